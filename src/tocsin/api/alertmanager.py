"""The part of Alertmanager's API v2 that tools read and silence through: ``/am/{key}/api/v2/…``. The core hears alerts.

A key sees the alerts and silences whose origin is its service. Shapes, filters and refusals are those of Alertmanager
0.25. Deliberate differences:

- a receiver is the service an alert was routed to, one for each alert; there is no inhibition;
- a silence needs a comment and an author; a change of one that is refused leaves it as it was (there it ends);
- ``generatorURL`` only where a browser may follow it; times in UTC; a pattern that is none
  without the anchors is refused;
- the reason after ``parsing silence body from "" failed, because`` and ``error parsing regexp`` is in our words;
- an alert repeated unchanged may show an earlier ``endsAt`` than the last repetition said, but never a past one;
- ``silencedBy`` may name a silence of all services, which this key cannot read or change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import structlog
from litestar import HttpMethod, Request, Response, Router, delete, get, post, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from tocsin.access.credentials import Key, secret_hash, unknown_key
from tocsin.alerts.alert import Alert
from tocsin.api.gettable import (
    answer,
    fingerprint_of,
    gettable,
    gettable_silence,
    group_labels,
    label_order,
    place,
    silence_place,
)
from tocsin.api.postable import Refused, checked, filters, flag, posted, quoted, regex_fault, uuid
from tocsin.api.silences import same_second
from tocsin.catalog.services import INBOX
from tocsin.engine.commands import ExpireSilence, SetSilence
from tocsin.faces.core import CoreGone
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import SAFE
from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.kernel.matcher import MatcherError, all_match, compiled
from tocsin.silences.silence import Silence
from tocsin.store.reads import Reads

VERSION = "0.25.0"
MOST_SILENCES = 10_000

T = TypeVar("T")

log = structlog.get_logger("alertmanager")


# --- reading


@get("/api/v2/status")
async def status(faces: Faces, key: str) -> Response[bytes]:
    """What amtool asks before anything else."""
    of = await _key(faces, key)
    receivers = await _receivers(faces, of)
    config = "route:\n  receiver: " + of.service + "\nreceivers:\n" + "".join(f"- name: {name}\n" for name in receivers)
    try:
        started = (await faces.core.status()).started_at
    except CoreGone:
        started = faces.now()
    about = {"branch": "", "buildDate": "", "buildUser": "tocsin", "goVersion": "", "revision": "", "version": VERSION}
    return answer(
        {
            "cluster": {"peers": [], "status": "disabled"},
            "config": {"original": config},
            "uptime": format_rfc3339(started),
            "versionInfo": about,
        }
    )


@get("/api/v2/receivers")
async def receivers(faces: Faces, key: str) -> Response[bytes]:
    """The services this key's alerts may be routed to."""
    return answer([{"name": name} for name in await _receivers(faces, await _key(faces, key))])


@get("/api/v2/alerts")
async def alerts(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
    """Firing alerts, by fingerprint."""
    of = await _key(faces, key)
    wanted, now = _Wanted(request), faces.now()

    def shown(chunk: list[Alert]) -> list[tuple[str, bytes]]:
        return [(fingerprint_of(one), msgspec.json.encode(gettable(one, now))) for one in chunk]

    found = sorted(await _firing(faces, of, wanted, shown))
    return Response(b"[" + b",".join(text for _, text in found) + b"]\n", media_type="application/json")


@get("/api/v2/alerts/groups")
async def groups(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
    """Firing alerts in the groups the plan's routes put them in."""
    of = await _key(faces, key)
    wanted = _Wanted(request)
    now = faces.now()
    together: dict[tuple[str, str], list[Alert]] = {}
    for one in await _firing(faces, of, wanted, list):
        together.setdefault((one.service, one.group), []).append(one)
    shown = [
        {
            "alerts": [gettable(one, now) for one in sorted(members, key=place)],
            "labels": group_labels(members[0]),
            "receiver": {"name": service},
        }
        for (service, _), members in together.items()
    ]
    return answer(sorted(shown, key=lambda one: (label_order(one["labels"]), one["receiver"]["name"])))


@get("/api/v2/silences")
async def silences(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
    """Silences of this key's service: in force, to come, over."""
    of = await _key(faces, key)
    wanted = filters(request)
    now = faces.now()
    found = [
        one
        for one in await faces.read(_silences, faces.reads, of.service, now)
        # As Alertmanager does: each filter must be one of the silence's own matchers, letter for letter.
        if all(any(own == asked for own in one.matchers) for asked in wanted)
    ]
    return answer([gettable_silence(one, now) for one in sorted(found, key=lambda one: silence_place(one, now))])


@get("/api/v2/silence/{silence:str}")
async def silence(faces: Faces, key: str, silence: str) -> Response[bytes]:
    """One silence."""
    of = await _key(faces, key)
    found = await _own_silence(faces, of, uuid(silence))
    return Response(b"", status_code=404) if found is None else answer(gettable_silence(found, faces.now()))


# --- silencing


@delete("/api/v2/silence/{silence:str}", status_code=200, csrf=False)
async def expire(faces: Faces, key: str, silence: str) -> Response[bytes]:
    """End a silence. One that is over stays so."""
    of = await _key(faces, key)
    found = await _own_silence(faces, of, uuid(silence))
    if found is None:
        raise Refused(500, "silence not found")
    if found.state(faces.now()) != "expired":
        await faces.core.submit(ExpireSilence(actor=f"key:{of.id}", id=found.id, origin=of.service))
    return Response(b"", status_code=200)


@post("/api/v2/silences", status_code=200, csrf=False)
async def set_silence(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
    """Create a silence, or change one. Other matchers, or another beginning of one in force, make a new one."""
    of = await _key(faces, key)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, f"unsupported media type {quoted(kind)}, only [application/json] are allowed", 415)
    given = posted(await request.body())
    now = faces.now()
    if given.starts_at >= given.ends_at:
        raise Refused(400, "Failed to create silence: start time must be before end time")
    if given.ends_at < now:
        raise Refused(400, "Failed to create silence: end time can't be in the past")
    old = await _own_silence(faces, of, given.id) if given.id else None
    if given.id and old is None:
        raise Refused(404, "silence not found")
    matchers = checked(given)
    starts = given.starts_at
    if old is not None and same_second(starts, old.starts_at):
        # Clients write milliseconds: what they read and send back is the same beginning.
        starts = old.starts_at
    command = SetSilence(
        actor=f"key:{of.id}",
        # One that is over cannot be changed: like Alertmanager, begin a new one.
        id=old.id if old is not None and old.state(now) != "expired" else "",
        matchers=matchers,
        author=given.author,
        comment=given.comment,
        starts_at=starts,
        ends_at=given.ends_at,
        origin=of.service,
    )
    result = await faces.core.submit(command)
    if not result.ok:
        if result.code == "not_found":
            raise Refused(404, "silence not found")
        raise Refused(400, f"silence invalid: {result.message}")
    return answer({"silenceID": result.id})


# --- being well


@get("/-/healthy", media_type="text/plain")
async def healthy(faces: Faces, key: str) -> Response[bytes]:
    """That the faces run."""
    await _key(faces, key)
    return Response(b"OK", media_type="text/plain")


@get("/-/ready", media_type="text/plain")
async def ready(faces: Faces, key: str) -> Response[bytes]:
    """That the core takes alerts."""
    await _key(faces, key)
    if not (await faces.core.status()).ready:
        raise CoreGone("the core is not ready")
    return Response(b"OK", media_type="text/plain")


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_TAKEN = {
    "/api/v2/status": ("GET",),
    "/api/v2/receivers": ("GET",),
    "/api/v2/alerts/groups": ("GET",),
    "/api/v2/silences": ("GET", "POST"),
    "/api/v2/silence/{silence:str}": ("DELETE", "GET"),
}
"""By which methods each is called here; ``/api/v2/alerts`` is the core's but to be read."""


def _otherwise(path: str, taken: tuple[str, ...]) -> HTTPRouteHandler:
    """What is called by another method than it takes."""

    others = [HttpMethod(one) for one in _METHODS if one not in taken]

    @route(path, http_method=others, status_code=405, csrf=False)
    async def otherwise(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
        await _key(faces, key)
        said = f"method {request.method} is not allowed, but [{','.join(taken)}] are"
        answer = _refused(request, Refused(405, said, 405))
        answer.headers["Allow"] = ",".join(taken)
        return answer

    return otherwise


# One for each step of a path: having taken a known step, the router does not come back for another way.
_NOTHING = ["/{rest:path}", "/api/{rest:path}", "/api/v2/{rest:path}", "/-/{rest:path}"]


@route(_NOTHING, http_method=[HttpMethod(one) for one in _METHODS], csrf=False)
async def nothing(request: Request[Any, Any, Any], faces: Faces, key: str, rest: str) -> Response[bytes]:
    """Whatever else Alertmanager may know."""
    await _key(faces, key)
    raise Refused(404, f"path {_path(request)} was not found", 404)


def router() -> Router:
    """All of it, under ``/am/{key}``."""
    return Router(
        "/am/{key:str}",
        route_handlers=[
            status,
            receivers,
            alerts,
            groups,
            silences,
            silence,
            expire,
            set_silence,
            healthy,
            ready,
            nothing,
            *(_otherwise(path, taken) for path, taken in _TAKEN.items()),
        ],
        exception_handlers={
            Refused: _refused,
            HTTPException: _unknown,
            Problem: _problem,
            CoreGone: _gone,
            Exception: _fault,
        },
        opt={"needs": "anyone"},
        include_in_schema=False,
    )


def _refused(_: Request[Any, Any, State], error: Refused) -> Response[bytes]:
    end = b"\n" if isinstance(error.body, str) else b""
    return Response(msgspec.json.encode(error.body) + end, status_code=error.status, media_type="application/json")


def _unknown(request: Request[Any, Any, State], error: HTTPException) -> Response[bytes]:
    message = f"path {_path(request)} was not found" if error.status_code == 404 else error.detail
    return _refused(request, Refused(error.status_code, message, error.status_code))


def _path(request: Request[Any, Any, Any]) -> str:
    """The path after the key."""
    return "/" + request.scope["path"].split("/", 3)[-1]


def _problem(request: Request[Any, Any, State], error: Problem) -> Response[bytes]:
    answer = _refused(request, Refused(error.status, error.detail, error.status))
    answer.headers.update(error.headers)
    return answer


def _gone(request: Request[Any, Any, State], error: CoreGone) -> Response[bytes]:
    answer = _refused(request, Refused(503, error.words(request.method not in SAFE), 503))
    answer.headers["Retry-After"] = "2"
    return answer


def _fault(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    log.error("fault", path="/am/…" + _path(request), method=request.method, exc_info=error)
    return _refused(request, Refused(500, "Tocsin made a mistake here; it is in its log", 500))


# --- who, what


async def _key(faces: Faces, secret: str) -> Key:
    found = await faces.read(faces.reads.key_by_hash, secret_hash(secret))
    if found is None or found.source != "alertmanager" or found.revoked_at is not None:
        raise Refused(401, unknown_key(secret, "alertmanager"), 401)
    return found


async def _receivers(faces: Faces, key: Key) -> list[str]:
    plan = await faces.plan()
    return sorted(plan.services) if plan is not None and key.service == INBOX else [key.service]


class _Wanted:
    """The filters of a list of alerts."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self.matchers = filters(request)
        self.active = flag(request, "active")
        self.silenced = flag(request, "silenced")
        asked = request.query_params.getall("receiver", [])
        try:
            self.receiver = compiled(asked[-1]) if asked and asked[-1] else None
        except MatcherError as error:
            raise Refused(400, f"failed to parse receiver param: {regex_fault(error)}") from None

    def takes(self, one: Alert, now: Instant) -> bool:
        if one.ttl is None and one.ends_at is not None and one.ends_at < now:
            # Over, and no repetition can have moved its end: the engine is about to say so.
            return False
        if one.silences:
            if not self.silenced:
                return False
        elif not self.active:
            return False
        if self.receiver is not None and self.receiver.fullmatch(one.service) is None:
            return False
        return all_match(self.matchers, one.labels)


async def _firing(faces: Faces, key: Key, wanted: _Wanted, shown: Callable[[list[Alert]], list[T]]) -> list[T]:
    """What is wanted of the firing alerts, chunk by chunk: no snapshot, thread or loop is held for long."""
    chunks = iter(faces.reads.firing_alerts(key.service))

    def following() -> list[T] | None:
        chunk = next(chunks, None)
        now = faces.now()
        return None if chunk is None else shown([one for one in chunk if wanted.takes(one, now)])

    found: list[T] = []
    while (some := await faces.read(following)) is not None:
        found += some
    return found


def _silences(reads: Reads, origin: str, now: Instant) -> list[Silence]:
    found: list[Silence] = []
    cursor: str | None = None
    while len(found) < MOST_SILENCES:
        one = reads.silences(now, which="all", origin=origin, after=cursor, limit=500)
        found += one.items
        cursor = one.next
        if cursor is None:
            break
    return found


async def _own_silence(faces: Faces, key: Key, name: str) -> Silence | None:
    found = await faces.read(faces.reads.silence, name)
    return found if found is not None and found.origin == key.service else None
