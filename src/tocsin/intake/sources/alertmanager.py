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

The repetition of a known alert costs one look-up by the text of its labels and a comparison of the rest, to the letter.
Its ``endsAt`` moves on with every repetition; that is compared by how far ahead of now it lies (``REPEAT_SLACK``).

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
from tocsin.kernel.identity import label_text, read_texts, texts_json
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
    """One alert as posted. What is raw is compared as it is, and read only if the alert turns out to be new."""

    labels: msgspec.Raw = _ABSENT
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    starts_at: msgspec.Raw = msgspec.field(name="startsAt", default=_ABSENT)
    ends_at: str | None = msgspec.field(name="endsAt", default=None)
    generator: msgspec.Raw = msgspec.field(name="generatorURL", default=_ABSENT)


_batch = msgspec.json.Decoder(list[_Posted])
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

    repeated: list[int] = []
    events: list[Event] = []
    refused: list[str] = []
    first_invalid: _Whole | None = None
    said = _Said(events)
    recall = known.get
    last_text: str | None = None
    last_end = start = ZERO
    last_start = last_generator = _ABSENT
    link: str | None = ""
    for index, one in enumerate(posted):
        text = one.ends_at
        if text != last_text:
            last_text = text
            try:
                last_end = ZERO if text is None else _instant(text)
            except ValueError as error:
                raise _unreadable(f"alerts[{index}].endsAt {error}") from None
        timeout = last_end == ZERO
        end = now + RESOLVE_TIMEOUT if timeout else last_end
        labels = bytes(one.labels)
        have = recall(labels)
        if one.starts_at != last_start:
            last_start, start = one.starts_at, _start(one.starts_at, index)
        if one.generator != last_generator:
            last_generator, link = one.generator, _link(one.generator, index)
        if (
            have is not None
            and labels not in said
            and _repeats(have, one.annotations, start, link, end, timeout, now)
        ):
            repeated.append(have.id)
            continue
        try:
            event = None if link is None else _plain_event(one, labels, start, end, timeout, link, now)
            if event is None:
                event = _odd_event(one, index, start, end, timeout, link, now)
        except _One as reason:
            refused.append(str(reason))
        except _Whole as refusal:
            # What does not decode further on outweighs what decodes and is invalid, as in Alertmanager.
            if refusal.status != 422:
                raise
            first_invalid = first_invalid or refusal
        else:
            if event.label_text != labels:
                have = recall(event.label_text)
            if (
                have is not None  # written in another manner than last time, it may still say the same
                and event.label_text not in said
                and _repeats(have, event.annotations_json, start, event.link, end, timeout, now)
            ):
                repeated.append(have.id)
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


class _Said:
    """The label sets of the events so far; gathered only when a known alert has to be looked for among them."""

    def __init__(self, events: list[Event]) -> None:
        self._events, self._texts, self._gathered = events, set[bytes](), 0

    def __contains__(self, label_text: bytes) -> bool:
        if self._gathered < len(self._events):
            self._texts.update([event.label_text for event in self._events[self._gathered :]])
            self._gathered = len(self._events)
        return label_text in self._texts


def _repeats(
    have: Known, annotations: msgspec.Raw, start: Instant, link: str | None, end: Instant, timeout: bool, now: Instant
) -> bool:
    """Whether an alert with the labels of a known one says nothing new: it fires on, and only its end moves along."""
    if not (
        have.firing
        and timeout == have.timeout
        and end > now
        and annotations == have.annotations_json
        # One that is to begin only later may begin when the known one has ended: another firing.
        and (have.starts_at <= start <= now or start == ZERO)
        and link == have.link
    ):
        return False
    if have.ttl is None:
        return end == have.ends_at
    # A named end said again to the very microsecond does not move: that is news, once.
    return -REPEAT_SLACK <= end - have.ttl - now <= REPEAT_SLACK and (timeout or end != have.ends_at)


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


def _plain_event(
    one: _Posted, raw: bytes, start: Instant, end: Instant, timeout: bool, link: str, now: Instant
) -> Event | None:
    """The event of an alert in which nothing is out of the ordinary, as nearly all are; None for ``_odd_event`` to see.

    ``raw``: its labels as posted. A raw text no longer than its bound holds no value beyond that bound.
    """
    written = bytes(one.annotations)  # a copy: the whole body would stay in memory with it
    try:
        labels, annotations = read_texts(raw), read_texts(written)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    severity = labels.get("severity", "")
    if (
        not labels
        or not _good.issuperset(labels)
        or not _good.issuperset(annotations)
        or "" in labels.values()
        or len(raw) > MAX_LABEL
        or len(written) > MAX_ANNOTATION
        or len(labels) > MAX_LABELS
        or len(annotations) > MAX_ANNOTATIONS
        or len(severity) > MAX_SEVERITY
        # One byte is looked for much faster than six.
        or (_BACKSLASH in raw and _NUL in raw)
        or (_BACKSLASH in written and _NUL in written)
        or end < start
        or start == ZERO
    ):
        return None
    text = label_text(labels)
    title = annotations.get("summary", "").strip()
    return Event(
        labels,
        start,
        end,
        "firing" if end > now else "resolved",
        title if title and len(title) <= MAX_TITLE and "\n" not in title else _title(labels, annotations),
        severity,
        msgspec.Raw(written),
        link,
        timeout,
        raw if text == raw else text,  # the one whose hash is known already
    )


def _odd_event(
    one: _Posted,
    index: int,
    start: Instant,
    end: Instant,
    timeout: bool,
    link: str | None,
    now: Instant,
) -> Event:
    """Build the event of any alert, or raise _One or _Whole. The order of the checks is Alertmanager's."""
    labels = _mapping(one.labels, index, "labels")
    annotations = _mapping(one.annotations, index, "annotations") or {}
    if link is None:
        raise _invalid(index, "generatorURL", "uri", _text_or_null.decode(mended(bytes(one.generator))) or "")
    if labels is None:
        raise _Whole(422, 602, f"{index}.labels in body is required")
    if start == ZERO:
        start = now if timeout else end
    labels = {name: value for name, value in labels.items() if value}
    if end < start:
        raise _One("start time must be before end time")
    if not labels:
        raise _One("at least one label pair required")
    for texts, what in ((labels, "label set"), (annotations, "annotations")):
        if not _well_named(texts):
            raise _One(f"invalid {what}: invalid name {_first_bad_name(texts)}")
    if _NUL in bytes(one.labels) or too_much(labels, MAX_LABELS, MAX_LABEL):
        labels = bounded_labels(labels)
    if _NUL in bytes(one.annotations) or too_much(annotations, MAX_ANNOTATIONS, MAX_ANNOTATION):
        annotations = bounded_annotations(annotations)
    return Event(
        labels,
        start,
        end,
        "firing" if end > now else "resolved",
        _title(labels, annotations),
        cut(labels.get("severity", ""), MAX_SEVERITY),
        texts_json(annotations),
        link,
        timeout,
        label_text(labels),
    )


_NUL = b"\\u0000"
_BACKSLASH = _NUL[0]
_NAMES_KEPT = 20_000
_good: set[str] = set()
"""Names that were found good and short. Monitors send the same ones all day."""


def _well_named(texts: Mapping[str, str]) -> bool:
    """Whether every name is one Alertmanager takes."""
    if not (all(map(str.isidentifier, texts)) and "".join(texts).isascii()):
        return False
    if len(_good) + len(texts) > _NAMES_KEPT:
        _good.clear()
    _good.update(name for name in texts if len(name) <= MAX_NAME)
    return True


def _title(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    for name in ("summary", "description"):
        title = annotations.get(name)
        if title and (title := title.strip()):
            return title if len(title) <= MAX_TITLE and "\n" not in title else first_line(title)
    name = labels.get("alertname", "")
    if not name:
        return first_line(", ".join(f"{label}={value}" for label, value in sorted(labels.items())))
    instance = labels.get("instance", "")
    return first_line(f"{name} on {instance}" if instance else name)


def _mapping(raw: msgspec.Raw, index: int, field: str) -> dict[str, str] | None:
    """Labels or annotations; None when absent or null. A null value is an empty one, as in Go."""
    try:
        return read_texts(raw)
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
