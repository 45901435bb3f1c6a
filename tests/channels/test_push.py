"""Web push: the RFC's own example, the official VAPID package, and push services that refuse."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply
from tests.support.certificates import Certificate
from tests.support.device import Device, padded, unpadded
from tocsin.intake.request import Reply as Answer
from tocsin.kernel.instant import SECOND
from tocsin.pages.answers import Call, Got, Heard
from tocsin.pages.channels.push import WebPush, encrypted, public_key
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Failed, Sent
from tocsin.pages.profiles import profiles
from tocsin.pages.subscription import Subscription, read_subscription
from tocsin.runtime.outbound import Outbound

BASE = "https://tocsin.example"


def derive(purpose: str) -> bytes:
    return purpose.encode().ljust(32, b".")


@pytest.fixture
def push(certificate: Certificate, tls_catcher: Catcher) -> WebPush:
    """The channel, trusting the test's authority; the plan allows the push service that the test is."""
    outside = Outbound(tls=ssl.create_default_context(cafile=certificate.authority))
    setup = Setup(
        outside,
        dict[str, str]().__getitem__,
        channels={"push": {"service": tls_catcher.url}},
        public_url=BASE,
        derive=derive,
    )
    made = profiles()["push"].make(setup)
    assert isinstance(made, WebPush)
    return made


Told = Callable[..., Any]


@pytest.fixture
def told(push: WebPush, tls_catcher: Catcher) -> Told:
    """Send a page to a new device; gives what it could read, the request and the answer."""

    async def send(reply: Reply | None = None, **what: Any) -> tuple[dict[str, Any], Any, Sent | Failed]:
        device = Device()
        tls_catcher.default = reply or Reply(201, headers={"Location": "https://push.example/m/1"})
        address = read_subscription(json.dumps(device.said(f"{tls_catcher.url}/device/1"))).written()
        answer = await push.send(page(address=address, **what))
        got = tls_catcher.requests[-1]
        return json.loads(device.read(got.body)), got, answer

    return send


def test_the_example_of_rfc_8291_comes_out_to_the_last_byte() -> None:
    """Its appendix A: keys, salt and what they give."""
    subscription = Subscription(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "BTBZMqHH6r4Tts7J_aSIgg",
    )
    private = int.from_bytes(padded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
    own = ec.derive_private_key(private, ec.SECP256R1())
    sealed = encrypted(
        b"When I grow up, I want to be a watermelon", subscription, padded("DGv6ra1nlYgDCS1FRnbzlw"), own
    )
    assert unpadded(sealed) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
        "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    reader = Device(
        int.from_bytes(padded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big"), padded("BTBZMqHH6r4Tts7J_aSIgg")
    )
    assert reader.read(sealed) == b"When I grow up, I want to be a watermelon"


async def test_a_page_is_read_by_its_device_alone_and_believed_by_its_push_service(told: Told) -> None:
    said, got, answer = await told(tried=("Restarted checkout-2",))
    assert answer == Sent("https://push.example/m/1")
    assert said["title"] == "[SEV1] Checkout answers 503 (#12)"
    for words in ("Since ", "checkout", "Code tried: Restarted checkout-2"):
        assert words in said["body"]
    assert (said["kind"], said["tag"], said["acknowledge"], said["url"]) == (
        "page", "incident-12", "/page/abc123", "/page/abc123",
    )  # fmt: skip
    assert got.headers["content-encoding"] == "aes128gcm"
    assert (got.headers["urgency"], got.headers["ttl"], got.headers["topic"]) == ("high", "3600", "tocsin-12")
    assert Vapid02.verify(got.headers["authorization"])
    token, key = got.headers["authorization"].removeprefix("vapid t=").split(",k=")
    assert key == public_key(derive("web push"))
    claims = json.loads(padded(token.split(".")[1]))
    assert claims["aud"] == f"https://{got.headers['host']}"
    assert claims["sub"] == BASE
    assert b"Checkout" not in got.body
    with pytest.raises(InvalidTag):
        Device().read(got.body)


async def test_an_update_is_quiet_and_takes_the_place_of_the_page(told: Told) -> None:
    said, got, _ = await told(kind="update", state="acknowledged", who="Ana")
    assert (said["kind"], said["tag"], said["acknowledge"]) == ("update", "incident-12", "")
    assert "Ana has it." in said["body"]
    assert got.headers["urgency"] == "normal"


async def test_what_is_long_is_cut_to_what_every_push_service_takes(told: Told) -> None:
    said, got, answer = await told(title="ü" * 5_000, lines=("ö" * 3_000,) * 10, tried=("ä" * 3_000,) * 10)
    assert isinstance(answer, Sent)
    assert len(got.body) <= 4_096
    assert said["acknowledge"] == "/page/abc123"


@pytest.mark.parametrize(
    ("reply", "code", "permanent"),
    [
        (Reply(404), "gone", True),
        (Reply(410), "gone", True),
        (Reply(403), "auth", True),
        (Reply(413), "client", True),
        (Reply(429, headers={"Retry-After": "9"}), "rate_limit", False),
        (Reply(500), "server", False),
        (Reply(reset=True), "unreachable", False),
    ],
)
async def test_what_an_answer_means(told: Told, reply: Reply, code: str, permanent: bool) -> None:
    _, _, answer = await told(reply)
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == (code, permanent)
    assert answer.retry_after == (9 * SECOND if code == "rate_limit" else None)


async def test_one_that_never_answers_is_given_up(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.pages.channels.push.DEADLINE", 1.5)
    _, _, answer = await told(Reply(delay=30))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)


def test_a_device_says_that_a_page_arrived_by_a_token_only_it_was_told(push: WebPush) -> None:
    from tocsin.pages.channels.push import said
    from tocsin.pages.links import make_token

    path = json.loads(said(page(), BASE, make_token(derive("push arrived"), 34)))["arrived"]

    def call(path: str) -> Heard | Answer:
        return push.hear(Call(url="", path=path, headers={}, body=b"", now=0))

    inner = path.removeprefix("/callbacks/push/")
    heard = call(inner)
    assert isinstance(heard, Heard)
    assert heard.got == Got(page=34, receipt="delivered")
    for forged in (inner[:-1] + "x", inner.replace("34.", "35."), "arrived/", "seen/" + inner.partition("/")[2]):
        refused = call(forged)
        assert isinstance(refused, Answer)
        assert refused.status == 403


GOOD = Device().said("https://push.example/d/1")


@pytest.mark.parametrize(
    "wrong",
    [
        "", "null", "[]", "{}", "{" * 500, json.dumps(GOOD)[:-1], json.dumps({**GOOD, "keys": 7}),
        json.dumps({**GOOD, "endpoint": "http://push.example/d/1"}),
        json.dumps({**GOOD, "endpoint": "https://ana:pw@push.example/"}),
        json.dumps({**GOOD, "endpoint": "https:///d"}),
        json.dumps({**GOOD, "endpoint": "https://push.example:x/"}),
        json.dumps({**GOOD, "endpoint": "https://push.example/" + "x" * 2_000}),
        json.dumps({**GOOD, "endpoint": "https://push.example/\r\nX: y"}),
        json.dumps({**GOOD, "keys": {**GOOD["keys"], "auth": "AAAA"}}),
        json.dumps({**GOOD, "keys": {**GOOD["keys"], "p256dh": "AAAA"}}),
        json.dumps({**GOOD, "keys": {**GOOD["keys"], "p256dh": "?!"}}),
    ],
)  # fmt: skip
def test_what_is_no_subscription_is_refused_in_a_sentence(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"subscription"):
        read_subscription(wrong)


def test_a_subscription_is_kept_as_it_was_said() -> None:
    kept = read_subscription(json.dumps(GOOD))
    assert read_subscription(kept.written()) == kept
    assert kept.endpoint == GOOD["endpoint"]


async def test_a_key_that_is_no_point_is_refused_for_good(push: WebPush) -> None:
    keys = {"p256dh": unpadded(b"\4" + bytes(64)), "auth": unpadded(bytes(16))}
    address = read_subscription(json.dumps({"endpoint": "https://push.example/d", "keys": keys})).written()
    answer = await push.send(page(address=address))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("address", True)


async def test_nothing_is_posted_to_a_service_on_this_machine_that_the_plan_does_not_allow(
    push: WebPush, tls_catcher: Catcher
) -> None:
    """Another port there is somebody else's; nor is it when the device was added before that was looked at."""
    other = Device().said("https://127.0.0.1:1/device/1")
    answer = await push.send(page(address=read_subscription(json.dumps(other)).written()))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("address", True)
    assert "is on the machine Tocsin runs on" in answer.error
    assert tls_catcher.requests == []
