"""Web push: a page as a notification of the web app, on a telephone or a desk, acknowledged from the notification.

A signed-in person lets a browser show their pages; the browser gives a push subscription. What is sent is encrypted for
that browser alone (RFC 8291) and signed with this installation's key (RFC 8292), so the push service in between learns
neither what it says nor whose it is. The worker of the web app (``web/static/worker.js``) shows it, and tells
``/callbacks/push/arrived/…`` that it did. Needs the extra: ``pip install 'tocsin[push]'``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tocsin.intake.request import Reply
from tocsin.kernel.instant import HOUR, SECOND, Instant
from tocsin.kernel.outside import Answer as Answered
from tocsin.notation.decoder import Field
from tocsin.notation.words import EMAIL, URL
from tocsin.pages import elsewhere, rendering
from tocsin.pages.answers import Answer, Call, Got, Heard, Taken
from tocsin.pages.channels.replies import failed, host, of_its_url
from tocsin.pages.channels.setup import DEADLINE, Setup
from tocsin.pages.links import make_token, read_token
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.profile import BadAddress, Own, Paced, Profile, SetUp, Wording
from tocsin.pages.subscription import Subscription, read_subscription

PURPOSE = "web push"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has: private keys are below."""
_RECORD = 4_096
_MOST = 3_000
"""Bytes of what is said: with what encryption adds it stays below the 4,096 that every push service takes."""
_WAITS = HOUR
"""So long a push service keeps a page for a device that is off."""
_READ = 16_384
OWN_SERVICE = "service"
"""Under this key a plan allows a push service on Tocsin's own machine."""
HERE = "that push service is on the machine Tocsin runs on: the plan has to allow it, as `service` of `channels: push`"
_MISSING = Failed("no_channel", "web push is not installed here: pip install 'tocsin[push]'", permanent=True)


class WebPush:
    """Posts to push services, for all devices.

    A notification takes the place of an earlier one of its incident, so none is twice.
    """

    name = "push"
    idempotent = True
    real = True

    def __init__(self, setup: Setup) -> None:
        self._outside, self._base = setup.outside, setup.public_url
        self._key, self._arrived = setup.derive(PURPOSE), setup.derive("push arrived")
        ours = setup.channels.get("push", {})
        contact, self._beside = ours.get("contact", ""), ours.get(OWN_SERVICE, "")
        # RFC 8292 wants an address that somebody answers at; what is tried out on one machine has none.
        own = self._base if self._base.startswith("https:") else "mailto:tocsin@localhost"
        self._subject = f"mailto:{contact}" if contact else own

    async def send(self, message: Message) -> Sent | Failed:
        """Encrypt it and post it once."""
        try:
            to = read_subscription(message.address)
        except ValueError as error:
            return Failed("address", str(error), permanent=True)
        if refused := _refusal(to, self._beside):  # it was added before that was looked at, or the plan allowed it then
            return Failed("address", refused, permanent=True)
        try:
            body = encrypted(said(message, self._base, make_token(self._arrived, message.page)), to)
            token = vapid(self._key, to.endpoint, self._subject, message.now)
        except ImportError:
            return _MISSING
        except ValueError:
            return Failed("address", "the device's key is no point of P-256", permanent=True)
        answer = await self._outside.request(
            "POST",
            to.endpoint,
            headers={
                "authorization": token,
                "content-encoding": "aes128gcm",
                "content-type": "application/octet-stream",
                "ttl": str(_WAITS // SECOND),
                "urgency": "high" if message.asks else "normal",
                "topic": f"tocsin-{message.incident or f'n{message.page}'}",
            },
            content=body,
            within=DEADLINE,
            limit=_READ,
        )
        if isinstance(answer, Answered) and answer.status in (404, 410):
            return Failed("gone", f"the push service answered {answer.status}: the device is gone", permanent=True)
        why = failed(answer, message.now, "the push service")
        if not isinstance(answer, Answered):
            why = of_its_url(why)  # the endpoint is the device's; what a service answers may be about what we sent
        return why or Sent(getattr(answer, "headers", {}).get("location", ""))

    def preview(self, message: Message) -> str:
        """What the web app's worker is told."""
        return msgspec.json.format(said(message, self._base, "…"), indent=2).decode()

    def place(self, address: str) -> str:
        """The push service that the device's browser uses."""
        try:
            return host(read_subscription(address).endpoint)
        except ValueError:
            return ""

    async def close(self) -> None:
        """Nothing is kept open."""

    def hear(self, call: Call) -> Heard | Reply:
        """A device shows a page: it knows a token that only the page's own message holds."""
        what, _, token = call.path.partition("/")
        page = read_token(self._arrived, token) if what == "arrived" else None
        return Reply(403) if page is None else Heard(got=Got(page=page, receipt="delivered"), reply=Reply(204))

    async def thank(self, answer: Answer, taken: Taken) -> Reply:
        """Never asked: acknowledging goes to the page's own link."""
        return Reply(204)


def said(message: Message, base: str, token: str) -> bytes:
    """What the worker is told, as JSON. Addresses are paths: the worker asks nobody but its own server."""

    def path(url: str) -> str:
        return url.removeprefix(base) if url.startswith(f"{base}/") else ""

    lines = rendering.chat(message).split("\n")
    link = rendering.link(message)
    told: dict[str, Any] = {
        "kind": message.kind,
        "title": lines[0],
        "body": "\n".join(line for line in lines[1:] if line != link),
        "tag": f"incident-{message.incident}" if message.incident else f"notice-{message.page}",
        "at": message.now // 1_000,
        "url": path(link) or "/",
        "acknowledge": path(message.acknowledge_url) if message.asks else "",
        "arrived": f"/callbacks/push/arrived/{token}",
    }
    text = msgspec.json.encode(told)
    if len(text) > _MOST:
        told["body"] = told["body"].encode()[: max(0, _MOST - len(text) + len(told["body"].encode()) - 200)].decode(
            "utf-8", "ignore"
        )
        text = msgspec.json.encode(told)
    return text


def public_key(key: bytes) -> str:
    """What browsers are told to expect signatures of, as base64url. Raises ImportError without the extra."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    point = _private(key).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _base64(point)


def vapid(key: bytes, endpoint: str, subject: str, now: Instant) -> str:
    """The Authorization header of RFC 8292: who sends, good for this push service and half a day."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    url = urlsplit(endpoint)
    claims = {"aud": f"{url.scheme}://{url.netloc}", "exp": (now + 12 * HOUR) // SECOND, "sub": subject}
    head, told = (_base64(msgspec.json.encode(part)) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
    r, s = decode_dss_signature(_private(key).sign(f"{head}.{told}".encode(), ec.ECDSA(SHA256())))
    signature = _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return f"vapid t={head}.{told}.{signature},k={public_key(key)}"


def encrypted(text: bytes, to: Subscription, salt: bytes = b"", own: Any = None) -> bytes:
    """One record of RFC 8188 under the keys of RFC 8291. ``salt`` and ``own`` key are made anew unless given.

    Raises ValueError when the subscription's key is no point of the curve.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    own = own or ec.generate_private_key(ec.SECP256R1())
    salt = salt or secrets.token_bytes(16)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), to.point)
    point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = _expand(
        _mac(to.secret, own.exchange(ec.ECDH(), theirs)), b"WebPush: info\0" + to.point + point, 32
    )
    extracted = _mac(salt, shared)
    key = _expand(extracted, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _expand(extracted, b"Content-Encoding: nonce\0", 12)
    sealed: bytes = AESGCM(key).encrypt(nonce, text + b"\2", None)
    head: bytes = salt + _RECORD.to_bytes(4, "big") + bytes([len(point)]) + point
    return head + sealed


def _private(key: bytes) -> Any:
    """The signing key of web push, made of 32 bytes that are this installation's own."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(key, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand of RFC 5869, of which one block is all that is needed here."""
    return _mac(key, info + b"\1")[:length]


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def checked(text: str, beside: str = "") -> str:
    """A subscription as it is kept. Raises BadAddress."""
    try:
        kept = read_subscription(text)
    except ValueError as error:
        raise BadAddress(str(error)) from None
    if why := _refusal(kept, beside):
        raise BadAddress(why)
    return kept.written()


def _refusal(to: Subscription, beside: str) -> str:
    """Why nothing is sent to a device's push service, or "": whoever has a browser says where that is."""
    why = elsewhere.refusal(to.endpoint, beside)
    return HERE if why == elsewhere.HERE else why


def readable(address: str) -> str:
    """A device's address is a secret between its browser and this server: its push service only."""
    return f"a device, by {urlsplit(read_subscription(address).endpoint).hostname}"


class Push(Paced):
    """Web push. People add their own devices in Tocsin's settings."""

    what = "web push"
    contact = Field(EMAIL, "Whom a push service may write to when something is wrong. Default: Tocsin's own address.")
    service = Field(URL, "A push service of your own on Tocsin's own machine; no device leads to another one there.")


PROFILE = Profile(
    name="push",
    called="Device",
    by="by push",
    make=WebPush,
    set_up=SetUp(
        "push", Push, "Pages as notifications of the web app, on devices people add themselves.", needed=False
    ),
    own=Own(checked, shown=readable, allowed=OWN_SERVICE),
    masked=lambda address: "a device",
    directness=10,
    wording=Wording("Notifications: their title and their text.", "chat"),
    follows=True,
)
