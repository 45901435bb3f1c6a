"""PagerDuty's Events API v2: ``POST /v2/enqueue`` and ``POST /v2/change/enqueue``.

An alert's identity is the ``dedup_key``, which may come back after a resolve. Alerts never expire by time.
``source``, ``component``, ``group`` and ``class`` become labels; ``custom_details``, ``client``,
links and images become annotations.

The routing key, which authorises, lies in the body: ``routing_key`` finds it, ``redacted`` takes it out
before the request is kept. Both come before ``decode``, so that what is judged live and what is judged
again from the journal are one text.

Deliberate differences from PagerDuty:

- ``severity`` is free text (real senders write their own words) and is mapped by the route, but it must be there;
- texts that are too long are cut and marked; PagerDuty documents 1024 characters for a summary
  and 255 for a ``dedup_key``;
- a ``dedup_key`` that was not given is made from the content and the time of arrival;
- a number or a truth value stands for its text in ``source``, ``severity``, ``component``, ``group`` and ``class``;
- a ``timestamp`` that cannot be read, lies in the future, or is Go's zero time counts as now;
- a ``trigger`` or a change that is refused is parked as well: monitors drop what was answered 400, and nobody would
  know. Without a routing key that can be read nothing is parked, for it belongs to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

import msgspec

from tocsin.intake.bounds import (
    MAX_ANNOTATION,
    MAX_KEY,
    MAX_LABEL,
    MAX_SEVERITY,
    bounded_annotations,
    clean,
    cut,
    cut_identity,
    first_line,
    flattened,
    scalar,
    web_link,
)
from tocsin.intake.entrance import Entrance, InBody
from tocsin.intake.event import Change, Event, EventState
from tocsin.intake.go_texts import ZERO
from tocsin.intake.json_body import NotJson, read_json
from tocsin.intake.request import Heard, Known, Limits, Reply, Request, Source
from tocsin.kernel.identity import identity, texts_json
from tocsin.kernel.instant import Instant, from_datetime

VERSION = 1
ENQUEUE = "/v2/enqueue"
CHANGE = "/v2/change/enqueue"
KEY_LENGTH = 32
MAX_LINKS = 20
"""How many links and how many images are kept."""

_ACTIONS: dict[str, EventState] = {"trigger": "firing", "acknowledge": "acknowledged", "resolve": "resolved"}
_LABELS = ("source", "component", "group", "class")
_NOTED = {"source", "component", "group", "class", "summary", "severity", "timestamp", "custom_details"}


class _Keyed(msgspec.Struct):
    routing_key: msgspec.Raw = msgspec.Raw(b'""')


_keyed = msgspec.json.Decoder(_Keyed)
_PLAIN = re.compile(rb'"routing_key"\s*:\s*"([ !#-\[\]-~]{32})"')
_AS_LONG = 512 * 1024
"""What has more bytes, PagerDuty refuses."""


def routing_key(body: bytes) -> str | None:
    """The 32 characters that authorise a request, or None without them; ``decode`` then says what is wrong.

    Whoever sends is not known yet, so nothing is made of what they send: all but the key is passed over. Where that is
    no JSON to a strict reader, or more than PagerDuty takes, the key counts that stands there plainly, if one does.
    """
    if len(body) <= _AS_LONG:
        try:
            raw = bytes(_keyed.decode(body).routing_key)
            key = msgspec.json.decode(raw) if len(raw) <= 6 * KEY_LENGTH + 2 else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            fits = isinstance(key, str) and len(key) == KEY_LENGTH and key.isascii() and key.isprintable()
            return key if fits else None
    first = None
    for found in _PLAIN.finditer(body):
        if first not in (None, found[1]):
            return None
        first = found[1]
    return None if first is None else first.decode()


def redacted(body: bytes) -> bytes:
    """The body with stars in place of its routing key, wherever the key stands; unchanged when there is none."""
    key = routing_key(body)
    if key is None:
        return body
    stars = b"*" * KEY_LENGTH
    hidden = body.replace(key.encode(), stars)
    if routing_key(hidden) == stars.decode():
        return hidden
    # The key was written with escapes: write the whole body anew.
    event = cast("dict[str, object]", read_json(body))
    return msgspec.json.encode({**event, "routing_key": stars.decode()}).replace(key.encode(), stars)


def decode(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    """Read one event or one change. Never raises; ``limits`` and ``known`` play no part: a request holds one event."""
    if request.path.rstrip("/") not in (ENQUEUE, CHANGE):
        return _refused(404, f"nothing is at {cut(request.path, 256)}; events go to {ENQUEUE}, changes to {CHANGE}")
    if request.method != "POST":
        return _refused(405, f"method {cut(request.method, 32)} is not allowed, only POST", (("Allow", "POST"),))
    try:
        event = read_json(request.body)
    except NotJson as error:
        return _invalid([f"The body is not JSON: {error}"], "Event object format is unrecognized")
    if not isinstance(event, dict):
        return _invalid(["The body must be a JSON object"], "Event object format is unrecognized")
    wrong = _wrong_key(event.get("routing_key"))
    if wrong:
        return _invalid(wrong)
    if request.path.rstrip("/") == CHANGE:
        return _change(event, now)
    return _event(event, request.body, now)


def refuse(status: int, message: str, retry_after: int | None = None) -> Reply:
    """A refusal of Tocsin's own in PagerDuty's error shape."""
    word = {401: "unauthorized", 403: "forbidden", 413: "event too large", 429: "throttle exceeded", 503: "unavailable"}
    headers = (("Retry-After", str(retry_after)),) if retry_after is not None else ()
    return _error(status, word.get(status, "invalid event"), message, [message], headers)


def _event(event: dict[str, object], body: bytes, now: Instant) -> Heard:
    errors: list[str] = []
    action = event.get("event_action")
    state = _ACTIONS.get(action) if isinstance(action, str) else None
    if state is None:
        errors.append(
            "'event_action' is missing or blank"
            if action in (None, "")
            else "'event_action' must be one of trigger, acknowledge, resolve"
        )
    given = event.get("dedup_key")
    if given is not None and not isinstance(given, str):
        errors.append("'dedup_key' must be a text")
    elif not given and state in ("acknowledged", "resolved"):
        errors.append("'dedup_key' is missing or blank")
    payload = event.get("payload")
    if state == "firing":
        errors += _wrong_payload(payload, ("summary", "source", "severity"))
    if errors or state is None:
        return _invalid(errors, park=state == "firing")
    key = given if isinstance(given, str) and given else _made_key(body, now)
    reply = Reply(202, msgspec.json.encode({"status": "success", "message": "Event processed", "dedup_key": key}))
    key = cut_identity(key, MAX_KEY)
    if state != "firing":
        # What else such an event says is about the past; the alert keeps what its trigger said.
        ends_at = now if state == "resolved" else None
        return Heard(reply=reply, events=(Event(key=key, state=state, labels={}, starts_at=now, ends_at=ends_at),))
    assert isinstance(payload, dict)  # or it would have been refused above
    link, annotations = _details(event, payload)
    made = Event(
        key=key,
        state=state,
        labels={name: cut_identity(text, MAX_LABEL) for name in _LABELS if (text := scalar(payload.get(name)))},
        annotations_json=texts_json(annotations),
        own_title=first_line(str(payload["summary"])),
        severity=cut((scalar(payload["severity"]) or "").strip(), MAX_SEVERITY),
        starts_at=_time(payload.get("timestamp"), now),
        link=link,
    )
    return Heard(reply=reply, events=(made,))


def _change(event: dict[str, object], now: Instant) -> Heard:
    payload = event.get("payload")
    errors = _wrong_payload(payload, ("summary",))
    if errors:
        return _invalid(errors, park=True)
    assert isinstance(payload, dict)  # or it would have been refused above
    link, details = _details(event, payload)
    if source := scalar(payload.get("source")):
        details["source"] = cut(source, MAX_ANNOTATION)
    change = Change(
        summary=first_line(str(payload["summary"])), at=_time(payload.get("timestamp"), now), details=details, link=link
    )
    reply = Reply(202, msgspec.json.encode({"status": "success", "message": "Change event processed"}))
    return Heard(reply=reply, changes=(change,))


def _details(event: dict[str, object], payload: dict[str, object]) -> tuple[str, dict[str, str]]:
    """The link to show and everything worth a look, as annotations. The sender's own names win over ours."""
    notes: dict[str, str] = {}
    summary = payload.get("summary")
    if isinstance(summary, str) and first_line(summary) != summary:
        notes["summary"] = summary
    if client := scalar(event.get("client")):
        notes["client"] = client
    client_url = scalar(event.get("client_url")) or ""
    if client_url:
        notes["client_url"] = client_url
    links = _objects(event.get("links"))
    for number, one in enumerate(links, 1):
        if href := scalar(one.get("href")):
            notes[f"link_{number}"] = f"{scalar(one.get('text')) or ''} {href}".strip()
    for number, one in enumerate(_objects(event.get("images")), 1):
        if src := scalar(one.get("src")):
            words = (scalar(one.get("alt")) or "", src, scalar(one.get("href")) or "")
            notes[f"image_{number}"] = " ".join(filter(None, words))
    for name, value in payload.items():
        if name not in _NOTED:
            notes.update(flattened({name: value}, name))
    notes.update(flattened(payload.get("custom_details"), "details"))
    targets = (web_link(target) for target in (client_url, *(scalar(one.get("href")) or "" for one in links)))
    return next(filter(None, targets), ""), bounded_annotations(notes)


def _objects(value: object) -> list[dict[str, object]]:
    return [one for one in value[:MAX_LINKS] if isinstance(one, dict)] if isinstance(value, list) else []


def _wrong_key(key: object) -> list[str]:
    if not isinstance(key, str) or not key:
        return ["'routing_key' is missing or blank"]
    if len(key) != KEY_LENGTH:
        return [f"Length of 'routing_key' is incorrect (should be {KEY_LENGTH} characters)"]
    return []


def _wrong_payload(payload: object, needed: tuple[str, ...]) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank" if payload in (None, "") else "'payload' must be an object"]
    errors = []
    for name in needed:
        value = payload.get(name)
        text = value if name == "summary" and isinstance(value, str) else None if name == "summary" else scalar(value)
        if value not in (None, "") and text is None:
            errors.append(f"'payload.{name}' must be a text")
        elif text is None or not text.strip():
            errors.append(f"'payload.{name}' is missing or blank")
    return errors


def _made_key(body: bytes, now: Instant) -> str:
    """A key for a trigger without one: the same for the same request judged again, another for another."""
    return identity("pagerduty", body, str(now)).hex()


def _time(value: object, now: Instant) -> Instant:
    """A payload's timestamp, at most now. PagerDuty takes ISO 8601 in many forms; without a zone it is UTC. Go's zero
    time is what a Go client sends that sets none.
    """
    if not isinstance(value, str):
        return now
    try:
        moment = datetime.fromisoformat(value.strip())
        at = from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return now if at == ZERO else min(now, at)
    except (ValueError, OverflowError):
        return now


def _invalid(errors: list[str], message: str = "Event object is invalid", *, park: bool = False) -> Heard:
    return Heard(reply=_error(400, "invalid event", message, errors), fault="; ".join(errors), park=park)


def _refused(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Heard:
    return Heard(reply=_error(status, "invalid event", message, [message], headers), fault=message)


def _error(status: int, word: str, message: str, errors: list[str], headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    text = msgspec.json.encode({"status": word, "message": clean(message), "errors": [clean(e) for e in errors]})
    return Reply(status, text, headers=headers)


def _snippet(url: str, key: str) -> str:
    return (
        f"address:      {url}\nrouting key:  {key}\n\n# to try it\n"
        f"curl -fsS -H 'Content-Type: application/json' {url} -d '"
        f'{{"routing_key": "{key}", "event_action": "trigger", "dedup_key": "try",\n'
        '  "payload": {"summary": "A test", "source": "curl", "severity": "info"}}\'\n'
    )


ENTRANCE = Entrance(
    name="PagerDuty events",
    about="Anything that can send PagerDuty Events v2: only the address and the key change.",
    where="Wherever the tool asks for a routing (integration) key and the address of the events API.",
    prefix=ENQUEUE,
    key=InBody(routing_key, redacted),
    paths=(ENQUEUE, CHANGE),
    methods=(),
    snippet=_snippet,
)
SOURCE = Source(name="pagerduty", version=VERSION, decode=decode, refuse=refuse, entrance=ENTRANCE)
