"""Prometheus' side of Alertmanager: ``POST /api/v2/alerts`` as Alertmanager 0.25 takes it.

What it does with an alert (its ``api/v2/api.go`` and the ``Alert.Validate`` of prometheus/common):

- without ``startsAt`` (or with Go's zero time) an alert starts at its end if that is set, else now;
- without ``endsAt`` it ends five minutes from now unless repeated (``resolve_timeout``), and is marked as a timeout;
- an end that has passed means resolved; a start after the end is refused;
- empty label values count as absent; names are ``[a-zA-Z_][a-zA-Z0-9_]*``; an alert needs one label;
- alerts that break a rule are refused one by one: the good part of the batch is kept,
  the answer is 400 and a JSON string;
- a body that does not decode, lacks ``labels`` or has a ``generatorURL`` that is none is refused whole: 400, 422 or
  415 and ``{"code", "message"}``.

Whatever part of a request is refused for its content is parked too: Prometheus drops what was answered
400 and nobody would know.

The repetition of a known alert costs one digest and one look-up. The digest covers the raw text of everything but
``endsAt``, which moves on with every repetition; it is compared by how far ahead of now it lies (``REPEAT_SLACK``).

Deliberate differences from Alertmanager 0.25:

- ``[null]`` is refused with 400; Alertmanager's handler panics and the connection is dropped;
- the reason after ``parsing alerts body from "" failed, because`` is in our words and names the field;
- anything after the JSON array is refused; Alertmanager does not look at it.
  A Content-Type that cannot be parsed is 415, not 400;
- field names are matched exactly, Go ignores their case; of a field given twice the last counts, Go merges two objects;
- NUL in a text becomes U+FFFD, and so does each bad UTF-8 *sequence* (in Go, each bad byte);
- overlong texts and label sets are cut and marked (``intake.bounds``); Alertmanager keeps any;
- times are kept to the microsecond (Alertmanager: nanosecond) and from year 1 to 9999;
- of several invalid names in one alert the first is named (Alertmanager: any), and of very many
  refused alerts the first hundred;
- more alerts in one request than the key's limit are refused whole with 413.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

import msgspec

from tocsin.intake.bounds import (
    MAX_ANNOTATION,
    MAX_ANNOTATIONS,
    MAX_LABEL,
    MAX_LABELS,
    MAX_LINK,
    MAX_NAME,
    MAX_SEVERITY,
    MAX_TITLE,
    bounded_annotations,
    bounded_labels,
    clean,
    cut,
    first_line,
    too_much,
    web_link,
)
from tocsin.intake.event import Event
from tocsin.intake.json_body import mended, plain
from tocsin.intake.request import Heard, Known, Limits, Reply, Request, Source
from tocsin.kernel.instant import DAY, MINUTE, SECOND, Duration, Instant, from_datetime

VERSION = 1
PATH = "/api/v2/alerts"
RESOLVE_TIMEOUT: Duration = 5 * MINUTE
REPEAT_SLACK: Duration = 5 * SECOND
"""How much nearer or farther than last time a repetition's end may lie and still change nothing."""

MAX_NAMED = 100
"""How many refused alerts one answer names."""

ZERO: Instant = from_datetime(datetime.fromisoformat("0001-01-01T00:00:00Z"))
"""Go's zero time: what a Go client sends for a time it does not set."""
_LAST: Instant = from_datetime(datetime.fromisoformat("9999-12-31T23:59:59Z"))

_OK = Heard(reply=Reply(200, b"", ""))
_ABSENT = msgspec.Raw(b"")


class _Posted(msgspec.Struct, gc=False):
    """One alert as posted. What is raw is hashed as it is, and read only if the alert turns out to be new."""

    labels: msgspec.Raw = _ABSENT
    annotations: msgspec.Raw = _ABSENT
    starts_at: msgspec.Raw = msgspec.field(name="startsAt", default=_ABSENT)
    ends_at: str | None = msgspec.field(name="endsAt", default=None)
    generator: msgspec.Raw = msgspec.field(name="generatorURL", default=_ABSENT)


_batch = msgspec.json.Decoder(list[_Posted])
_texts = msgspec.json.Decoder(dict[str, str])
_texts_or_null = msgspec.json.Decoder(dict[str, str | None] | None)
_raws = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_or_null: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


class _Whole(Exception):
    """The whole request is refused: its first argument is the reply."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _One(Exception):
    """One alert is refused; the message is Alertmanager's."""


def decode(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    """Read one posted batch. Never raises.

    The caller takes ``repeated`` before ``events``; a known alert that comes after news about the same label set in the
    same batch is an event again, so that the order within a batch keeps its meaning.
    """
    try:
        return _heard(request, now, limits, known)
    except _Whole as refusal:
        park = refusal.status in (400, 422) and request.method == "POST"
        headers = (("Allow", "GET,POST"),) if refusal.status == 405 else ()
        reply = _answer(refusal.status, refusal.code, refusal.message, headers)
        return Heard(reply=reply, fault=refusal.message, park=park)


def _heard(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    body = request.body
    if request.path != PATH or request.method != "POST":
        _check_route(request)
    if not body.strip(b" \t\r\n"):
        raise _Whole(422, 602, "alerts in body is required")
    if request.headers.get("content-type") != "application/json":
        _check_type(request.headers.get("content-type", ""))
    posted = _read(body)
    if len(posted) > limits.alerts:
        raise _Whole(413, 413, f"{len(posted)} alerts in one request are more than this key may send ({limits.alerts})")

    repeated: list[bytes] = []
    events: list[Event] = []
    refused: list[str] = []
    first_invalid: _Whole | None = None
    said = _SaidBefore(events)
    has_nul = b"\\u0000" in body
    recall = known.get
    nearest, farthest = now - REPEAT_SLACK, now + REPEAT_SLACK
    last_text: str | None = None
    last_end = ZERO
    for index, one in enumerate(posted):
        text = one.ends_at
        if text != last_text:
            last_text = text
            try:
                last_end = ZERO if text is None else _instant(text)
            except ValueError as error:
                raise _unreadable(f"alerts[{index}].endsAt {error}") from None
        end = last_end if last_end != ZERO else now + RESOLVE_TIMEOUT
        raw = b"\0".join((one.labels, one.annotations, one.starts_at, one.generator))
        digest = blake2b(raw, digest_size=16).digest()
        have = recall(digest)
        if (
            have is not None
            and end > now
            and (
                end == have.ends_at
                if (ttl := have.ttl) is None
                # A named end said again to the very microsecond does not move: that is news, once.
                else nearest <= end - ttl <= farthest and (last_end == ZERO or end != have.ends_at)
            )
            and not (events and _identity(one, index, has_nul) in said)
        ):
            repeated.append(digest)
            continue
        try:
            event = _event(one, index, digest, end, last_end == ZERO, now, has_nul)
        except _One as reason:
            refused.append(str(reason))
        except _Whole as refusal:
            # What does not decode further on outweighs what decodes and is invalid, as in Alertmanager.
            if refusal.status != 422:
                raise
            first_invalid = first_invalid or refusal
        else:
            events.append(event)
    if first_invalid is not None:
        raise first_invalid
    if not refused:
        if not events and not repeated:
            return _OK
        return Heard(reply=_OK.reply, events=tuple(events), repeated=tuple(repeated))
    if len(refused) > MAX_NAMED:
        refused[MAX_NAMED:] = [f"and {len(refused) - MAX_NAMED} more"]
    fault = "; ".join(refused)
    return Heard(
        reply=Reply(400, msgspec.json.encode(fault) + b"\n"),
        events=tuple(events),
        repeated=tuple(repeated),
        fault=fault,
        park=True,
    )


def refuse(status: int, message: str, retry_after: int | None = None) -> Reply:
    """A refusal of Tocsin's own, in the shape of those that Alertmanager's framework makes."""
    return _answer(status, status, message, (("Retry-After", str(retry_after)),) if retry_after is not None else ())


def _answer(status: int, code: int, message: str, headers: tuple[tuple[str, str], ...]) -> Reply:
    return Reply(status, msgspec.json.encode({"code": code, "message": clean(message)}), headers=headers)


def _unreadable(why: str) -> _Whole:
    return _Whole(400, 400, f'parsing alerts body from "" failed, because {why}')


def _check_route(request: Request) -> None:
    if request.path.rstrip("/") != PATH:
        raise _Whole(404, 404, f"path {cut(request.path, 256)} was not found")
    if request.method != "POST":
        raise _Whole(405, 405, f"method {cut(request.method, 32)} is not allowed, but [GET,POST] are")


def _check_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower() or "application/octet-stream"
    if kind != "application/json":
        raise _Whole(415, 415, f'unsupported media type "{cut(kind, 128)}", only [application/json] are allowed')


def _read(body: bytes) -> list[_Posted]:
    try:
        return _batch.decode(body)
    except RecursionError:
        raise _unreadable("it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if body.strip() == b"null":
        return []
    try:
        return _batch.decode(mended(body))
    except RecursionError:
        raise _unreadable("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise _unreadable(_placed(plain(str(error)))) from None


def _placed(message: str) -> str:
    """``Expected `array`, got `object` - at `$[3].endsAt``` in a reader's words: the place first."""
    what, _, where = message.partition(" - at ")
    place = "alerts" + where.strip("`").removeprefix("$")
    return f"{place}: {what[:1].lower()}{what[1:]}" if where or what.startswith("Expected") else what


def _event(one: _Posted, index: int, digest: bytes, end: Instant, timeout: bool, now: Instant, has_nul: bool) -> Event:
    """Build the event of one alert, or raise _One or _Whole. The order of the checks is Alertmanager's."""
    starts_at = _start(one.starts_at, index)
    link = _link(one.generator, index)
    labels = _mapping(one.labels, index, "labels")
    annotations = _mapping(one.annotations, index, "annotations") or {}
    if link is None:
        raise _invalid(index, "generatorURL", "uri", _text_or_null.decode(mended(bytes(one.generator))) or "")
    if labels is None:
        raise _Whole(422, 602, f"{index}.labels in body is required")
    if starts_at == ZERO:
        starts_at = now if timeout else end
    if "" in labels.values():
        labels = {name: value for name, value in labels.items() if value}
    if end < starts_at:
        raise _One("start time must be before end time")
    if not labels:
        raise _One("at least one label pair required")
    if not _well_named(labels):
        raise _One(f"invalid label set: invalid name {_first_bad_name(labels)}")
    if annotations and not _well_named(annotations):
        raise _One(f"invalid annotations: invalid name {_first_bad_name(annotations)}")
    # A raw text no longer than its bound holds no value beyond that bound, and few short names are few and short.
    if has_nul or (not _few_and_short(one.labels, labels, MAX_LABEL) and too_much(labels, MAX_LABELS, MAX_LABEL)):
        labels = bounded_labels(labels)
    if has_nul or (
        not _few_and_short(one.annotations, annotations, MAX_ANNOTATION)
        and too_much(annotations, MAX_ANNOTATIONS, MAX_ANNOTATION)
    ):
        annotations = bounded_annotations(annotations)
    severity = labels.get("severity", "")
    return Event(
        state="firing" if end > now else "resolved",
        labels=labels,
        annotations=annotations,
        title=_title(labels, annotations),
        severity=severity if len(severity) <= MAX_SEVERITY else cut(severity, MAX_SEVERITY),
        starts_at=starts_at,
        ends_at=end,
        link=link,
        digest=digest,
        timeout=timeout,
    )


_NAMES_KEPT = 20_000
_well: dict[tuple[str, ...], bool] = {}
"""Sequences of label names that were found good, and whether they are few and short.

Monitors send the same ones all day.
"""


def _well_named(texts: Mapping[str, str]) -> bool:
    """Whether every name is one Alertmanager takes."""
    names = tuple(texts)
    if names in _well:
        return True
    if not (all(map(str.isidentifier, names)) and "".join(names).isascii()):
        return False
    if len(_well) >= _NAMES_KEPT:
        _well.clear()
    _well[names] = len(names) <= MAX_LABELS and sum(map(len, names)) <= MAX_NAME
    return True


def _few_and_short(raw: msgspec.Raw, texts: Mapping[str, str], longest: int) -> bool:
    return len(raw) <= longest and _well.get(tuple(texts), not texts)


class _SaidBefore:
    """The label sets of the events so far; worked out only when a known alert follows news in the same batch."""

    def __init__(self, events: list[Event]) -> None:
        self._events, self._labels = events, set[frozenset[tuple[str, str]]]()
        self._taken = 0

    def __contains__(self, labels: object) -> bool:
        for event in self._events[self._taken :]:
            self._labels.add(frozenset(event.labels.items()))
        self._taken = len(self._events)
        return labels in self._labels


def _identity(one: _Posted, index: int, has_nul: bool) -> frozenset[tuple[str, str]]:
    """The label set of a known alert as its event would carry it."""
    labels = _mapping(one.labels, index, "labels") or {}
    labels = {name: value for name, value in labels.items() if value}
    if has_nul or too_much(labels, MAX_LABELS, MAX_LABEL):
        labels = bounded_labels(labels)
    return frozenset(labels.items())


def _title(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    for name in ("summary", "description"):
        if title := annotations.get(name, "").strip():
            return title if len(title) <= MAX_TITLE and "\n" not in title else first_line(title)
    name = labels.get("alertname", "")
    if not name:
        return first_line(", ".join(f"{label}={value}" for label, value in sorted(labels.items())))
    instance = labels.get("instance", "")
    return first_line(f"{name} on {instance}" if instance else name)


def _mapping(raw: msgspec.Raw, index: int, field: str) -> dict[str, str] | None:
    """Labels or annotations; None when absent or null. A null value is an empty one, as in Go."""
    try:
        return _texts.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    text = mended(bytes(raw))
    if not text:
        return None
    try:
        found = _texts_or_null.decode(text)
    except msgspec.DecodeError as error:
        raise _unreadable(_misfit(text, f"alerts[{index}].{field}", error)) from None
    return None if found is None else {name: value or "" for name, value in found.items()}


def _misfit(text: bytes, place: str, error: msgspec.DecodeError) -> str:
    """Which entry of a mapping is not a text."""
    try:
        entries = _raws.decode(text)
    except msgspec.DecodeError:
        return _placed(f"{error} - at `$").replace("alerts", place, 1)
    for name, raw in entries.items():
        try:
            _text_or_null.decode(raw)
        except msgspec.DecodeError as entry:
            return f"{place}[{cut(json.dumps(name, ensure_ascii=False), 128)}]: {plain(str(entry)).lower()}"
    return f"{place}: {error}"


def _start(raw: msgspec.Raw, index: int) -> Instant:
    text = _text(raw, index, "startsAt")
    if text is None:
        return ZERO
    try:
        return _instant(text)
    except ValueError as error:
        raise _unreadable(f"alerts[{index}].startsAt {error}") from None


_LINKS_KEPT = 5_000
_plain_links: set[str] = set()
"""Links that need no look: a rule sends the same one with every alert."""


def _link(raw: msgspec.Raw, index: int) -> str | None:
    """The link to show, "" when there is none to show, None when Alertmanager would refuse it."""
    text = _text(raw, index, "generatorURL")
    if not text:
        return ""
    if text in _plain_links:
        return text
    if len(text) <= MAX_LINK and _PLAIN_URL.fullmatch(text):
        if len(_plain_links) >= _LINKS_KEPT:
            _plain_links.clear()
        _plain_links.add(text)
        return text
    return web_link(clean(text)) if is_request_uri(text) else None


def _text(raw: msgspec.Raw, index: int, field: str) -> str | None:
    try:
        return _text_or_null.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    text = mended(bytes(raw))
    if not text:
        return None
    try:
        return _text_or_null.decode(text)
    except msgspec.DecodeError as error:
        raise _unreadable(f"alerts[{index}].{field}: {plain(str(error)).lower()}") from None


def _invalid(index: int, field: str, kind: str, value: str) -> _Whole:
    return _Whole(422, 601, f"{index}.{field} in body must be of type {kind}: {_quoted(cut(value, 512))}")


def _first_bad_name(texts: Mapping[str, str]) -> str:
    return next(_quoted(cut(name, 256)) for name in texts if not (name.isidentifier() and name.isascii()))


_SHORT = {char: "\\" + letter for char, letter in zip('\a\b\f\n\r\t\v"\\', 'abfnrtv"\\', strict=True)}


def _quoted(text: str) -> str:
    """A text as Go's ``%q`` writes it."""
    return '"' + "".join(_SHORT.get(char) or (char if char.isprintable() else _escaped(char)) for char in text) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Times: the layouts that go-openapi's strfmt tries. Nearly every sender writes the first.
_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")
_ANY = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:"
    r"T(?P<time>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?P<fraction>[.,][0-9]+)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
    r"|T(?P<time2>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?P<fraction2>[.,](?:[0-9]{3}|[0-9]{6}))(?P<zone2>[+-][0-9]{4})"
    r"|T(?P<time3>[0-9]{1,2}:[0-9]{2})Z?"
    r"| (?P<time4>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?P<fraction4>[.,][0-9]+)?)"
)


@lru_cache(maxsize=4_096)
def _instant(text: str) -> Instant:
    """The instant of a time as Alertmanager reads it; "" is 1970, as in its library.

    Raises ValueError with what is wrong.

    Remembered, because alerts of one batch share their ends.
    """
    if not text:
        return 0
    if _USUAL.fullmatch(text):
        try:
            return min(from_datetime(datetime.fromisoformat(text)), _LAST)
        except ValueError:
            pass  # year 0, or a day that does not exist: read again below, which says so
    found = _ANY.fullmatch(text)
    if found is None:
        raise ValueError(f"is not a time: {_quoted(cut(text, 64))}")
    part = found.groupdict()
    year = int(text[:4])
    clock = [int(text) for text in (part["time"] or part["time2"] or part["time3"] or part["time4"]).split(":")]
    fraction = (part["fraction"] or part["fraction2"] or part["fraction4"] or ".0")[1:7].ljust(6, "0")
    zone = (part["zone"] or part["zone2"] or "Z").replace(":", "")
    try:
        # Python knows no year 0; like year 4 it has 366 days, and four years lie between them.
        day = datetime(year or 4, int(text[5:7]), int(text[8:10]), tzinfo=UTC)
        moment = day.replace(hour=clock[0], minute=clock[1], second=clock[2] if len(clock) > 2 else 0)
    except ValueError as error:
        raise ValueError(f"is not a time: {_quoted(cut(text, 64))}, {error}") from None
    at = from_datetime(moment) + int(fraction) - (0 if year else 1_461 * DAY)
    if zone != "Z":
        ahead = (int(zone[1:3]) * 60 + int(zone[3:])) * MINUTE
        at += ahead if zone[0] == "-" else -ahead
    return at if ZERO <= at <= _LAST else max(ZERO + 1, min(at, _LAST))


# generatorURL: what Go's url.ParseRequestURI accepts.
# The plain ones, which nearly all are, may also be linked to as they are: a narrower set than bounds.web_link takes.
_PLAIN_URL = re.compile(
    r"https?://[A-Za-z0-9.\-]+(?::[0-9]*)?"
    r"(?:/[!#$&'()*+,\-./0-9:;=@A-Z_a-z~]*)?(?:\?[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*)?"
)
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_USER = re.compile(r"(?:[A-Za-z0-9\-._:~!$&'()*+,;=@]|%[0-9a-fA-F]{2})*")
_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_HOST_CHAR = r"[A-Za-z0-9!$&'()*+,;=:\[\]<>\"\-._~\x80-\U0010ffff]"
_HOST = re.compile(rf"(?:{_HOST_CHAR}|%25|%[89a-fA-F][0-9a-fA-F])*")
_ZONED = re.compile(rf"\[(?:{_HOST_CHAR}|%[89a-fA-F][0-9a-fA-F])*%25(?:{_HOST_CHAR}|%[0-9a-fA-F]{{2}})*\](?::[0-9]*)?")


def is_request_uri(text: str) -> bool:
    """Whether Go's ``url.ParseRequestURI`` takes it: an absolute URI, or an absolute path."""
    if not text or _CONTROL.search(text):
        return False
    if text == "*":
        return True
    found = _SCHEME.match(text)
    if found is None and text.startswith(":"):
        return False
    rest = text[found.end() :] if found else text
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        return found is not None
    if found and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        if not _is_authority(authority):
            return False
        rest = slash + path
    return _PERCENT.search(rest) is None


def _is_authority(authority: str) -> bool:
    user, at, host = authority.rpartition("@")
    if at and not _USER.fullmatch(user):
        return False
    if host.startswith("["):
        inside, bracket, port = host.rpartition("]")
        if not bracket or not re.fullmatch(r"(?::[0-9]*)?", port):
            return False
        if "%25" in inside:
            return _ZONED.fullmatch(host) is not None
    elif ":" in host and not re.fullmatch(r"[0-9]*", host.rpartition(":")[2]):
        return False
    return _HOST.fullmatch(host) is not None


SOURCE = Source(name="alertmanager", version=VERSION, decode=decode, refuse=refuse, quiet=60 * SECOND)
