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

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
import structlog
from litestar import Request, Response, Router, delete, get, post, route
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from tocsin.access.credentials import Key, secret_hash
from tocsin.alerts.alert import Alert
from tocsin.api.silences import same_second
from tocsin.catalog.services import INBOX
from tocsin.engine.commands import ExpireSilence, SetSilence
from tocsin.faces.core import CoreGone
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import SAFE
from tocsin.kernel.identity import fingerprint
from tocsin.kernel.instant import Instant, format_rfc3339, from_datetime
from tocsin.kernel.matcher import Matcher, MatcherError, Operator, all_match, compiled, matcher
from tocsin.silences.silence import Silence
from tocsin.store.reads import Reads

VERSION = "0.25.0"
MOST_SILENCES = 10_000

T = TypeVar("T")

log = structlog.get_logger("alertmanager")

# Space is what Go's \s is: no vertical tab.
_FILTER = re.compile(
    r"[ \t\n\f\r]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t\n\f\r]*(=~|=|!=|!~)[ \t\n\f\r]*(.*?)[ \t\n\f\r]*", re.DOTALL
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_UUID = re.compile(r"(?i)[a-f0-9]{8}-?[a-f0-9]{4}-?[a-f0-9]{4}-?[a-f0-9]{4}-?[a-f0-9]{12}")
_TRUE = frozenset({"true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"})
_ZERO = from_datetime(datetime.fromisoformat("0001-01-01T00:00:00+00:00"))
_ORDER = {"active": 1, "pending": 2, "expired": 3}


class Refused(Exception):
    """A request that is refused in Alertmanager's own shape: a JSON text, or its framework's code and message."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Any = message if code is None else {"code": code, "message": message}


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
    return _json(
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
    return _json([{"name": name} for name in await _receivers(faces, await _key(faces, key))])


@get("/api/v2/alerts")
async def alerts(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
    """Firing alerts, by fingerprint."""
    of = await _key(faces, key)
    wanted, now = _Wanted(request), faces.now()

    def shown(chunk: list[Alert]) -> list[tuple[str, bytes]]:
        return [(_fingerprint(one), msgspec.json.encode(_gettable(one, now))) for one in chunk]

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
            "alerts": [_gettable(one, now) for one in sorted(members, key=_place)],
            "labels": _group_labels(members[0]),
            "receiver": {"name": service},
        }
        for (service, _), members in together.items()
    ]
    return _json(sorted(shown, key=lambda one: (_label_order(one["labels"]), one["receiver"]["name"])))


@get("/api/v2/silences")
async def silences(request: Request[Any, Any, Any], faces: Faces, key: str) -> Response[bytes]:
    """Silences of this key's service: in force, to come, over."""
    of = await _key(faces, key)
    wanted = _filters(request)
    now = faces.now()
    found = [
        one
        for one in await faces.read(_silences, faces.reads, of.service, now)
        # As Alertmanager does: each filter must be one of the silence's own matchers, letter for letter.
        if all(any(own == asked for own in one.matchers) for asked in wanted)
    ]
    return _json([_gettable_silence(one, now) for one in sorted(found, key=lambda one: _silence_place(one, now))])


@get("/api/v2/silence/{silence:str}")
async def silence(faces: Faces, key: str, silence: str) -> Response[bytes]:
    """One silence."""
    of = await _key(faces, key)
    found = await _own_silence(faces, of, _uuid(silence))
    return Response(b"", status_code=404) if found is None else _json(_gettable_silence(found, faces.now()))


# --- silencing


@delete("/api/v2/silence/{silence:str}", status_code=200, csrf=False)
async def expire(faces: Faces, key: str, silence: str) -> Response[bytes]:
    """End a silence. One that is over stays so."""
    of = await _key(faces, key)
    found = await _own_silence(faces, of, _uuid(silence))
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
        raise Refused(415, f"unsupported media type {_quoted(kind)}, only [application/json] are allowed", 415)
    given = _posted(await request.body())
    now = faces.now()
    if given.starts_at >= given.ends_at:
        raise Refused(400, "Failed to create silence: start time must be before end time")
    if given.ends_at < now:
        raise Refused(400, "Failed to create silence: end time can't be in the past")
    old = await _own_silence(faces, of, given.id) if given.id else None
    if given.id and old is None:
        raise Refused(404, "silence not found")
    matchers = _checked(given)
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
    return _json({"silenceID": result.id})


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


# One for each step of a path: having taken a known step, the router does not come back for another way.
_NOTHING = ["/{rest:path}", "/api/{rest:path}", "/api/v2/{rest:path}", "/-/{rest:path}"]


@route(_NOTHING, http_method=["GET", "POST", "PUT", "PATCH", "DELETE"], csrf=False)
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
    if found is None or found.source != "alertmanager":
        raise Refused(401, "this key is not known here", 401)
    if found.revoked_at is not None:
        raise Refused(401, "this key was revoked", 401)
    return found


async def _receivers(faces: Faces, key: Key) -> list[str]:
    plan = await faces.plan()
    return sorted(plan.services) if plan is not None and key.service == INBOX else [key.service]


class _Wanted:
    """The filters of a list of alerts."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self.matchers = _filters(request)
        self.active = _flag(request, "active")
        self.silenced = _flag(request, "silenced")
        asked = request.query_params.getall("receiver", [])
        try:
            self.receiver = compiled(asked[-1]) if asked and asked[-1] else None
        except MatcherError as error:
            raise Refused(400, f"failed to parse receiver param: {_regex_fault(error)}") from None

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


# --- shapes


def _gettable(one: Alert, now: Instant) -> dict[str, Any]:
    ends = one.ends_at
    if ends is None or ends < now:
        # Never by time, or its last repetitions changed nothing and were not written down one by one: it fires still.
        ends = now + (one.ttl or 300_000_000)
    return {
        "annotations": one.annotations,
        "endsAt": format_rfc3339(ends),
        "fingerprint": _fingerprint(one),
        "receivers": [{"name": one.service}],
        "startsAt": format_rfc3339(one.starts_at),
        "status": {
            "inhibitedBy": [],
            "silencedBy": list(one.silences),
            "state": "suppressed" if one.silences else "active",
        },
        "updatedAt": format_rfc3339(one.last_seen),
        **({"generatorURL": one.link} if one.link else {}),
        "labels": one.labels,
    }


def _gettable_silence(one: Silence, now: Instant) -> dict[str, Any]:
    return {
        "id": one.id,
        "status": {"state": one.state(now)},
        "updatedAt": format_rfc3339(one.updated_at),
        "comment": one.comment,
        "createdBy": one.author,
        "endsAt": format_rfc3339(one.ends_at),
        "matchers": [
            {
                "isEqual": m.operator in ("=", "=~"),
                "isRegex": m.operator in ("=~", "!~"),
                "name": m.label,
                "value": m.value,
            }
            for m in one.matchers
        ],
        "startsAt": format_rfc3339(one.starts_at),
    }


def _silence_place(one: Silence, now: Instant) -> tuple[int, int]:
    state = one.state(now)
    when = {"active": one.ends_at, "pending": one.starts_at, "expired": -one.ends_at}[state]
    return _ORDER[state], when


def _place(one: Alert) -> tuple[Any, ...]:
    # By job, then instance, those without last; then by all labels.
    first = [(label not in one.labels, one.labels.get(label, "")) for label in ("job", "instance")]
    return *first, _label_order(one.labels)


def _label_order(labels: dict[str, str]) -> tuple[Any, ...]:
    """Alertmanager's order of label sets: the fewer first; where one lacks a name that the other has, the one first."""
    # Of equally many, the one whose first differing name comes later lacks the earlier name: later names sort first.
    return len(labels), [((*(-ord(char) for char in name), 1), value) for name, value in sorted(labels.items())]


def _group_labels(one: Alert) -> dict[str, str]:
    """The labels a group was made by: its text is ``name=value`` of each, with commas between."""
    text = f",{one.group},"
    return {name: value for name, value in one.labels.items() if f",{name}={value}," in text}


def _fingerprint(one: Alert) -> str:
    return _fingerprinted(tuple(sorted(one.labels.items())))


@lru_cache(maxsize=65_536)
def _fingerprinted(labels: tuple[tuple[str, str], ...]) -> str:
    return fingerprint(dict(labels))


def _json(told: Any) -> Response[bytes]:
    return Response(msgspec.json.encode(told) + b"\n", media_type="application/json")


# --- what is asked


def _flag(request: Request[Any, Any, Any], name: str) -> bool:
    given = request.query_params.getall(name, [])
    return not given or not given[-1] or given[-1].lower() in _TRUE


def _filters(request: Request[Any, Any, Any]) -> tuple[Matcher, ...]:
    return tuple(read_filter(text) for text in request.query_params.getall("filter", []))


def read_filter(text: str) -> Matcher:
    """A matcher as Alertmanager 0.25 reads it: quotes are optional, and a backslash that escapes nothing is itself."""
    found = _FILTER.fullmatch(text)
    if found is None:
        raise Refused(400, f"bad matcher format: {text}")
    label, operator, raw = found.groups()
    value, open_quote, place, quoted = [], raw.startswith('"'), 0, raw
    if open_quote:
        raw = raw[1:]
    while place < len(raw):
        char = raw[place]
        if char == "\\" and place + 1 < len(raw):
            place += 1
            value.append({"n": "\n", '"': '"', "\\": "\\"}.get(raw[place], "\\" + raw[place]))
        elif char == '"':
            if not open_quote or place < len(raw) - 1:
                raise Refused(400, f"matcher value contains unescaped double quote: {quoted}")
            open_quote = False
        else:
            value.append(char)
        place += 1
    if open_quote:
        raise Refused(400, f"matcher value contains unescaped double quote: {quoted}")
    try:
        return matcher(label, _operator(operator), "".join(value))
    except MatcherError as error:
        raise Refused(400, _regex_fault(error)) from None


def _operator(text: str) -> Operator:
    match text:
        case "=" | "!=" | "=~" | "!~":
            return text
    raise AssertionError(text)


class _Posted(msgspec.Struct):
    id: str
    comment: str
    author: str
    starts_at: Instant
    ends_at: Instant
    matchers: list[tuple[str, str, bool, bool]]


def _posted(body: bytes) -> _Posted:
    """What was posted, checked in the order in which Alertmanager's framework checks."""
    if not body.strip():
        raise _required("silence")
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(str(error)) from None
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise _unreadable("it is not an object")
    texts = {name: _text(given, name) for name in ("id", "comment", "createdBy")}
    times = {name: _time(given, name) for name in ("startsAt", "endsAt")}
    listed = given.get("matchers")
    if listed is not None and not isinstance(listed, list):
        raise _unreadable("matchers is not a list")
    for one in listed or []:
        if one is not None and not isinstance(one, dict):
            raise _unreadable("a matcher is not an object")
        for name, kind in (("name", str), ("value", str), ("isRegex", bool), ("isEqual", bool)):
            if one and one.get(name) is not None and not isinstance(one[name], kind):
                raise _unreadable(f"matchers.{name} has the wrong type")
    comment, author, ends = texts["comment"], texts["createdBy"], times["endsAt"]
    if comment is None:
        raise _required("comment")
    if author is None:
        raise _required("createdBy")
    if ends is None:
        raise _required("endsAt")
    if listed is None:
        raise _required("matchers")
    if not listed:
        raise Refused(422, "matchers in body should have at least 1 items", 612)
    for place, one in enumerate(listed):
        for name in ("isRegex", "name", "value"):
            if (one or {}).get(name) is None:
                raise _required(f"matchers.{place}.{name}")
    starts = times["startsAt"]
    if starts is None:
        raise _required("startsAt")
    matchers = [(one["name"], one["value"], one["isRegex"], one.get("isEqual") is not False) for one in listed]
    return _Posted(texts["id"] or "", comment, author, starts, ends, matchers)


def _checked(given: _Posted) -> tuple[Matcher, ...]:
    """The matchers, or the refusal Alertmanager's silences give."""
    found: list[Matcher] = []
    for place, (name, value, regex, equal) in enumerate(given.matchers):
        if _NAME.fullmatch(name) is None:
            raise Refused(400, f"silence invalid: invalid label matcher {place}: invalid label name {_quoted(name)}")
        try:
            found.append(
                matcher(name, _operator(("=" if equal else "!") + ("~" if regex else "" if equal else "=")), value)
            )
        except MatcherError as error:
            raise Refused(
                400,
                f"silence invalid: invalid label matcher {place}: invalid regular expression {_quoted(value)}: "
                f"{_regex_fault(error)}",
            ) from None
    if _all_empty(found):
        raise Refused(400, "silence invalid: at least one matcher must not match the empty string")
    return tuple(found)


def _all_empty(matchers: Iterable[Matcher]) -> bool:
    # As in Alertmanager a negative matcher always counts as one that says something.
    return all(
        (one.operator == "=" and not one.value) or (one.operator == "=~" and compiled(one.value).search("") is not None)
        for one in matchers
    )


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise _unreadable(f"{name} is not a text")
    return value


def _time(given: dict[str, Any], name: str) -> Instant | None:
    value = _text(given, name)
    if value is None:
        return None
    if not value:
        return _ZERO
    try:
        if "T" not in value and "t" not in value and " " not in value:
            raise ValueError
        return from_datetime(datetime.fromisoformat(value.upper()))
    except (ValueError, OverflowError):
        raise _unreadable(
            f"parsing time {_quoted(value)} as {_quoted('2006-01-02T15:04:05.000Z')}: cannot parse it"
        ) from None


def _required(name: str) -> Refused:
    return Refused(422, f"{name} in body is required", 602)


def _unreadable(because: str) -> Refused:
    return Refused(400, f'parsing silence body from "" failed, because {because}', 400)


def _uuid(text: str) -> str:
    if _UUID.fullmatch(text) is None:
        raise Refused(422, f"silenceID in path must be of type uuid: {_quoted(text)}", 601)
    return text


def _regex_fault(error: MatcherError) -> str:
    return f"error parsing regexp: {error}"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
