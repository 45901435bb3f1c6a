"""Tocsin's own format: ``POST /api/events`` with one event, or with ``{"events": [...]}``.

    {"title": "disk 97% full", "labels": {"instance": "db1"}, "severity": "critical"}
    {"key": "backup/db1", "title": "backup failed", "state": "firing", "starts_at": "2026-11-22T03:24:00Z"}
    {"key": "backup/db1", "state": "resolved"}

All or nothing: if one event of a batch is wrong, none is taken, and the answer (``application/problem+json``) names
every field that is wrong, unknown ones too: taking half a batch would leave its sender to guess which half. What is
refused for its content is parked as well, for a script in a cron table reads no answers; unless all of it was about
what is over, or a signed-in person sent it, who does read them. A ``link`` that cannot be a link costs nothing but
itself: it is kept among the annotations, as text.

``key`` is the identity, else the full label set is. A firing event with neither gets a key of its own, which the
answer names under ``keys`` so that it can be resolved. ``ends_at`` of a firing event is when it expires unless
repeated; without one it fires until it is resolved. What is said to be over, or acknowledged, and does not fire is
taken and changes nothing; the answer counts such under ``not_firing``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import cast

import msgspec

from tocsin.intake.bounds import (
    MAX_ANNOTATION,
    MAX_ANNOTATIONS,
    MAX_KEY,
    MAX_LABEL,
    MAX_LABELS,
    MAX_NAME,
    MAX_SEVERITY,
    bounded_annotations,
    bounded_labels,
    clean,
    cut,
    cut_identity,
    first_line,
    flattened,
    scalar,
    too_much,
    web_link,
)
from tocsin.intake.entrance import Entrance
from tocsin.intake.event import Event, EventState
from tocsin.intake.json_body import NotJson, read_json
from tocsin.intake.request import Heard, Known, Limits, Reply, Request, Source
from tocsin.kernel.identity import identity, keyed, label_text, texts_json
from tocsin.kernel.instant import DAY, Instant, parse_rfc3339

VERSION = 1
PATH = "/api/events"
MAX_NAMED = 50
"""How many wrong fields one answer names."""

_FIELDS = ("title", "state", "key", "labels", "annotations", "severity", "starts_at", "ends_at", "link")
ENDINGS = ("resolved", "acknowledged")
_STATES = ("firing", *ENDINGS)
BY_PERSON = "x-actor"
"""The header that names the signed-in user who handed in a request. No sender can give it: it is not allow-listed."""


class _Wrong:
    """The fields that are wrong, each with what is wrong with it."""

    def __init__(self) -> None:
        self.fields: list[dict[str, str]] = []

    def add(self, field: str, message: str) -> None:
        self.fields.append({"field": clean(field), "message": clean(message)})


def decode(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    """Read one event or a batch. Never raises. Every event is judged; only the answer asks what is ``known``."""
    if request.path.rstrip("/") not in ("", PATH):
        return _refused(404, f"there is nothing at {cut(request.path, 256)}; events go to {PATH}")
    if request.method != "POST":
        return _refused(405, f"method {cut(request.method, 32)} is not allowed, only POST", (("Allow", "POST"),))
    try:
        posted = read_json(request.body)
    except NotJson as error:
        return _parked(request, f"the body is not JSON: {error}")
    wrong = _Wrong()
    given: list[tuple[str, object]]
    if isinstance(posted, dict) and "events" in posted:
        batch = posted["events"]
        for name in posted:
            if name != "events":
                wrong.add(str(name), "is not known beside events; a batch holds nothing else")
        if not isinstance(batch, list):
            wrong.add("events", "must be an array of events")
            batch = []
        if len(batch) > limits.alerts:
            return _refused(413, f"{len(batch)} events in one request; this key may send {limits.alerts}")
        given = [(f"events[{number}].", one) for number, one in enumerate(batch)]
    elif isinstance(posted, list):
        wrong.add("body", 'must be a JSON object, one event; a batch of them is {"events": [...]}')
        given = []
    else:
        given = [("", posted)]
    events = []
    keys = []
    for number, (place, one) in enumerate(given):
        event = _event(one, place, number, request.body, now, wrong)
        if event is None:
            continue
        events.append(event)
        # A made key is worth telling; the sender knows its own.
        keys.append(event.key if isinstance(one, dict) and not one.get("key") else "")
        if len(wrong.fields) > MAX_NAMED:
            break
    if wrong.fields:
        over = bool(given) and all(isinstance(one, dict) and one.get("state") in ENDINGS for _, one in given)
        named = wrong.fields[:MAX_NAMED]
        rest = f", and {len(wrong.fields) - 1} more" if len(wrong.fields) > 1 else ""
        first = f"{named[0]['field']} {named[0]['message']}{rest}"
        return _parked(request, first, "nothing was taken: ", named, worth=not over)
    answer: dict[str, object] = {"accepted": len(events)}
    if any(keys):
        answer["keys"] = keys
    if idle := _not_firing(events, known):
        answer["not_firing"] = idle
    return Heard(reply=Reply(202, msgspec.json.encode(answer)), events=tuple(events))


def _not_firing(events: list[Event], known: Mapping[bytes, Known]) -> int:
    """How many events are about what neither fires nor began in the same request: they change nothing."""
    begun: set[bytes] = set()
    idle = 0
    for event in events:
        place = keyed(event.key) if event.key else label_text(event.labels)
        if event.state == "firing":
            begun.add(place)
        elif place not in begun and ((alert := known.get(place)) is None or not alert.firing):
            idle += 1
    return idle


def refuse(status: int, message: str, retry_after: int | None = None) -> Reply:
    """A refusal as problem+json."""
    if status == HTTPStatus.UNAUTHORIZED:
        return _problem(status, message, (("WWW-Authenticate", 'Bearer realm="tocsin"'),))
    return _problem(status, message, (("Retry-After", str(retry_after)),) if retry_after is not None else ())


def _event(one: object, place: str, number: int, body: bytes, now: Instant, wrong: _Wrong) -> Event | None:
    """Read one event, noting all that is wrong with it; None when anything is."""
    if not isinstance(one, dict):
        wrong.add(place.rstrip(".") or "body", "must be a JSON object")
        return None
    fields = cast("dict[str, object]", one)
    before = len(wrong.fields)

    def field(name: str, read: Callable[[object], object]) -> object:
        value = fields.get(name)
        if value is None:
            return None
        try:
            return read(value)
        except ValueError as error:
            wrong.add(place + name, str(error))
            return None

    for name in fields:
        if name not in _FIELDS:
            wrong.add(place + cut(name, 64), f"is not a known field; known are {', '.join(_FIELDS)}")
    title = cast("str | None", field("title", _title))
    state = cast("EventState", field("state", _state) or "firing")
    if fields.get("title") is None and fields.get("state") not in ENDINGS:
        wrong.add(place + "title", "is missing")
    key = cast("str", field("key", _key) or "")
    labels = _mapping(fields.get("labels"), place + "labels", wrong)
    annotations = _mapping(fields.get("annotations"), place + "annotations", wrong)
    severity = cast("str", field("severity", _severity) or "")
    link = web_link(scalar(fields.get("link")) or "")
    if not link and (text := flattened(fields.get("link"), "link")):
        annotations = {**text, **annotations}
    starts_at = cast("Instant | None", field("starts_at", _time))
    ends_at = cast("Instant | None", field("ends_at", _time))
    if ends_at is not None and starts_at is not None and ends_at < starts_at:
        wrong.add(place + "ends_at", "is before starts_at")
    elif ends_at is not None and ends_at <= now and state != "resolved":
        wrong.add(place + "ends_at", "has passed; an event that is over has the state resolved")
    if starts_at is not None and starts_at > now + DAY:
        wrong.add(place + "starts_at", "lies more than a day ahead")
    # An empty label is an absent one, everywhere in Tocsin.
    labels = {name: value for name, value in labels.items() if value}
    if not key and not labels and state != "firing":
        wrong.add(place + "key", f"is missing: without a key or labels nobody can tell what is {state}")
    if len(wrong.fields) > before:
        return None
    if not key and not labels:
        key = identity("events", body, str(number), str(now)).hex()
    if state == "resolved":
        ends_at = now if ends_at is None else min(ends_at, now)
    if starts_at is None:
        starts_at = ends_at if state == "resolved" and ends_at is not None else now
    return Event(
        key=key,
        state=state,
        labels=bounded_labels(labels) if too_much(labels, MAX_LABELS, MAX_LABEL) else labels,
        annotations_json=texts_json(
            bounded_annotations(annotations) if too_much(annotations, MAX_ANNOTATIONS, MAX_ANNOTATION) else annotations
        ),
        own_title=title or "",
        severity=severity,
        starts_at=starts_at,
        ends_at=ends_at,
        link=link,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {_kind(value)}")
    return clean(value)


def _title(value: object) -> str:
    title = first_line(_text(value))
    if not title:
        raise ValueError("must not be blank")
    return title


def _state(value: object) -> str:
    if value not in _STATES:
        raise ValueError(f"must be one of {', '.join(_STATES)}")
    return str(value)


def _key(value: object) -> str:
    return cut_identity(_text(value), MAX_KEY)


def _severity(value: object) -> str:
    return cut(_text(value).strip(), MAX_SEVERITY)


def _time(value: object) -> Instant:
    text = _text(value)
    # fromisoformat also reads dates alone and weeks; a time of day and a zone are asked for.
    if "T" not in text.upper() and " " not in text:
        raise ValueError("must be a time as in 2026-11-22T03:24:00Z")
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        zone = "zone" in str(error)
        raise ValueError(str(error) if zone else "must be a time as in 2026-11-22T03:24:00Z") from None


def _mapping(value: object, place: str, wrong: _Wrong) -> dict[str, str]:
    """Labels or annotations. Numbers and truth values stand for their texts; anything deeper is refused."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        wrong.add(place, f"must be an object of texts, not {_kind(value)}")
        return {}
    texts: dict[str, str] = {}
    for name, inner in value.items():
        text = scalar(inner)
        if not name.strip() or len(name) > MAX_NAME:
            wrong.add(f"{place}[{cut(name, 64)!r}]", f"needs a name of 1 to {MAX_NAME} characters")
        elif text is None:
            wrong.add(f"{place}.{cut(name, 64)}", f"must be a text, not {_kind(inner)}")
        else:
            texts[clean(name)] = text
        if len(wrong.fields) > MAX_NAMED:
            break
    return texts


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return "an array"
        case bool():
            return "a truth value"
        case str():
            return "a text"
        case _:
            return "a number"


def _parked(
    request: Request, fault: str, before: str = "", errors: list[dict[str, str]] | None = None, worth: bool = True
) -> Heard:
    """Refuse a request for its content, and keep it when nobody else would tell a person."""
    park = worth and BY_PERSON not in request.headers
    kept = "; it was kept, and a person is told" if park else ""
    return Heard(reply=_problem(400, f"{before}{fault}{kept}", errors=errors), fault=fault, park=park)


def _refused(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Heard:
    return Heard(reply=_problem(status, message, headers), fault=message)


_TITLES = {
    400: "The request cannot be read",
    401: "A known key is needed",
    403: "This key may not do that",
    404: "Not found",
    405: "Method not allowed",
    413: "The request is too large",
    429: "Too many requests",
    503: "Not now",
}


def _problem(
    status: int, detail: str, headers: tuple[tuple[str, str], ...] = (), errors: list[dict[str, str]] | None = None
) -> Reply:
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "The request was refused"),
        "status": status,
        "detail": clean(detail),
    }
    if errors:
        problem["errors"] = errors
    return Reply(status, msgspec.json.encode(problem), "application/problem+json", headers)


def _snippet(url: str, _key: str) -> str:
    return (
        f"curl -fsS -H 'Content-Type: application/json' {url} \\\n  -d '"
        '{"title": "Backup failed", "key": "backup/db1", "severity": "critical"}\'\n'
    )


ENTRANCE = Entrance(
    name="Plain HTTP",
    about="One POST with curl, a script or a webhook.",
    where="Into a script, or anything that can send a POST.",
    prefix=PATH,
    key="header",
    paths=(PATH,),
    methods=(),
    snippet=_snippet,
)
SOURCE = Source(name="events", version=VERSION, decode=decode, refuse=refuse, entrance=ENTRANCE)
