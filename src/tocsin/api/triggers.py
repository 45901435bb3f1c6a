"""Triggers: another program, such as an APM, has a playbook run with a key of its own."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.types import ControllerRouterHandler
from msgspec import Meta, Struct

from tocsin.access.credentials import Key, secret_hash
from tocsin.access.limits import KeyLimits
from tocsin.engine.commands import ASKED, PullTrigger
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, invalid
from tocsin.intake.request import Limits
from tocsin.kernel.buckets import Bucket
from tocsin.kernel.instant import SECOND
from tocsin.playbooks.triggers import SOURCE

MOST_BODY = 64 * 1024
PACE = Limits(rate=1.0, burst=20, body=MOST_BODY)
"""How often one key may ask: runs are few, and each that a guard refuses is a row in the history."""
MOST_REMEMBERED = 10_000
Text = Annotated[str, Meta(max_length=200)]


class Pulled(Struct, frozen=True, kw_only=True):
    """What a sender says, all of it optional; what else its webhook holds is passed over.

    ``id``: of its event; sent again within a day, nothing is run twice. ``labels``: which target is meant.
    ``args``: parameters the plan lets it set.
    """

    id: Annotated[str, Meta(max_length=200)] | int = ""
    labels: Annotated[dict[Text, Text], Meta(max_length=50)] = {}
    args: Annotated[dict[Text, Annotated[str, Meta(max_length=4_000)] | int | float | bool], Meta(max_length=20)] = {}


class TriggeredRun(Struct, frozen=True, kw_only=True):
    """The run that was begun, or is under way."""

    run: int
    trigger: str
    service: str


Paced = dict[int, Bucket]


@post("/triggers", tags=["playbooks"], needs="key", status_code=202)
async def pull_trigger(request: Request[Any, Any, Any], faces: Faces) -> TriggeredRun:
    """Run the playbook a trigger of the plan names. Its key is the bearer token.

    202 with the run's number, also when it is under way already; 409 when a guard says no. ``Idempotency-Key``, or
    ``id`` in the body, makes sending it again harmless for a day.
    """
    key = await _key(faces, _bearer(request))
    _pace(request.app.state, key, faces)
    body = await _body(request)
    pulled = _read(body)
    command = PullTrigger(
        actor=f"trigger:{key.service}/{key.name}",
        service=key.service,
        trigger=key.name,
        labels=pulled.labels,
        args={name: msgspec.json.encode(value).decode() for name, value in pulled.args.items()},
    )
    named = request.headers.get("idempotency-key", "")[:200] or str(pulled.id)
    digest = hashlib.blake2b(msgspec.json.encode((pulled.labels, pulled.args), order="sorted"), digest_size=16)
    result = await faces.submit(command, f"{named}{ASKED}{digest.hexdigest()}" if named else "")
    return TriggeredRun(run=int(result.id), trigger=key.name, service=key.service)


def _bearer(request: Request[Any, Any, Any]) -> str:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


async def _key(faces: Faces, text: str) -> Key:
    headers = {"WWW-Authenticate": 'Bearer realm="tocsin"'}
    if not text:
        raise Problem(401, "no_key", "send the trigger's key as the bearer token", headers=headers)
    found = await faces.read(faces.reads.key_by_hash, secret_hash(text)) if len(text) <= 200 else None
    if found is None or found.revoked_at is not None or found.source != SOURCE:
        raise Problem(401, "unknown_key", "no trigger of the plan has this key", headers=headers)
    return found


def _pace(state: Any, key: Key, faces: Faces) -> None:
    paced: Paced | None = getattr(state, "paced", None)
    if paced is None or len(paced) > MOST_REMEMBERED:
        paced = state.paced = {}
    now, limits = faces.now(), PACE.of(KeyLimits())
    bucket = paced.setdefault(key.id, Bucket(limits, now))
    if not bucket.take(limits, now):
        wait = -(-bucket.wait(limits, now) // SECOND)
        raise Problem(429, "too_many", "this trigger is pulled too often", headers={"Retry-After": str(wait)})


async def _body(request: Request[Any, Any, Any]) -> bytes:
    length = request.headers.get("content-length", "0")
    body = b"" if length.isdigit() and int(length) > MOST_BODY else await request.body()
    if (length.isdigit() and int(length) > MOST_BODY) or len(body) > MOST_BODY:
        raise Problem(413, "too_large", f"the body has more than {MOST_BODY:,} bytes")
    return body


def _read(body: bytes) -> Pulled:
    if not body.strip():
        return Pulled()
    try:
        said = msgspec.json.decode(body)
        return msgspec.convert(_ours(said) if isinstance(said, dict) else said, type=Pulled)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise invalid("body", f"it is no JSON of id, labels and args: {error}") from None


def _ours(said: dict[str, Any]) -> dict[str, Any]:
    """A body, without what others mean by the same words: a list of labels, or an id that is none, is passed over.

    What then is not known, such as which of several targets is meant, is said when it is asked for.
    """
    ours = dict(said)
    if isinstance(ours.get("id"), bool) or not isinstance(ours.get("id"), str | int):
        ours.pop("id", None)
    labels = ours.pop("labels", None)
    if isinstance(labels, dict):
        plain = {name: one for name, one in labels.items() if isinstance(one, str | int | float | bool)}
        ours["labels"] = {
            name: one if isinstance(one, str) else msgspec.json.encode(one).decode() for name, one in plain.items()
        }
    if ours.get("args", {}) is None:
        del ours["args"]
    return ours


HANDLERS: list[ControllerRouterHandler] = [pull_trigger]
