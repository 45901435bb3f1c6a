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

from collections.abc import Callable, Mapping
from itertools import chain
from operator import gt
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import msgspec

from tocsin.intake.bounds import (
    MAX_ANNOTATION,
    MAX_ANNOTATIONS,
    MAX_LABEL,
    MAX_LABELS,
    MAX_SEVERITY,
    clean,
    cut,
)
from tocsin.intake.entrance import Entrance
from tocsin.intake.event import Burst, Event
from tocsin.intake.go_texts import ZERO, instant
from tocsin.intake.json_body import NotJson, mended, plain, refuse_compressed
from tocsin.intake.posted import (
    ABSENT,
    BACKSLASH,
    GOOD_NAMES,
    NUL,
    One,
    Posted,
    Whole,
    event_of,
    link_of,
    placed,
    start_of,
    unreadable,
)
from tocsin.intake.request import Heard, Known, Limits, Reply, Request, Source
from tocsin.kernel.instant import MINUTE, SECOND, Duration, Instant

VERSION = 1
PATH = "/api/v2/alerts"
RESOLVE_TIMEOUT: Duration = 5 * MINUTE
REPEAT_SLACK: Duration = 5 * SECOND
"""How much nearer or farther than last time a repetition's end may lie and still change nothing."""

MAX_NAMED = 100
"""How many refused alerts one answer names."""

_OK = Heard(reply=Reply(200, b"", ""))


_batch = msgspec.json.Decoder(list[Posted])
_many_texts = msgspec.json.Decoder(list[dict[str, str]]).decode
_many_full_texts = msgspec.json.Decoder(list[dict[str, Annotated[str, msgspec.Meta(min_length=1)]]]).decode
"""Raises for an empty value, which counts as absent."""
_sorted_json = msgspec.json.Encoder(order="sorted").encode


def decode(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    """Read one posted batch. Never raises.

    The caller takes ``repeated`` before ``events``; a known alert that comes after news about the same label set in the
    same batch is an event again, so that the order within a batch keeps its meaning.
    """
    try:
        return _heard(request, now, limits, known)
    except Whole as refusal:
        park = refusal.status in (400, 422) and request.method == "POST"
        headers = (("Allow", "GET,POST"),) if refusal.status == 405 else ()
        reply = _answer(refusal.status, refusal.code, refusal.message, headers)
        return Heard(reply=reply, fault=refusal.message, park=park)


def _heard(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    body = request.body
    if request.path != PATH or request.method != "POST":
        _check_route(request)
    if not body.strip(b" \t\r\n"):
        raise Whole(422, 602, "alerts in body is required")
    if request.headers.get("content-type") != "application/json":
        _check_type(request.headers.get("content-type", ""))
    posted = _read(body)
    if len(posted) > limits.alerts:
        raise Whole(413, 413, f"{len(posted)} alerts in one request are more than this key may send ({limits.alerts})")

    plain = _plain(posted, now, known.get) if len(posted) > 2 else None
    if plain is not None:
        repeated, burst = plain
        return Heard(reply=_OK.reply, events=burst or (), repeated=tuple(repeated))
    return _one_by_one(posted, now, known.get)


Recall = Callable[[bytes], Known | None]
Text = TypeVar("Text", msgspec.Raw, str | None)
Value = TypeVar("Value")


def _plain(posted: list[Posted], now: Instant, recall: Recall) -> tuple[list[int], Burst | None] | None:
    """What a batch repeats and what is news, if nothing in it is out of the ordinary, as in nearly all.

    Nearly every step is one call for the whole batch: taken one by one the alerts cost twice as much.
    None: something has to be looked at more closely, or refused.
    """
    try:
        starts = _column([one.starts_at for one in posted], _start)
        ends = _column([one.ends_at for one in posted], _end)
        links = _column([one.generator for one in posted], _link)
        raws = [bytes(one.labels) for one in posted]  # copies, as below: the body is not held
        known = list(map(recall, raws))
        if not any(known):
            return [], _burst(raws, [bytes(one.annotations) for one in posted], starts, ends, links, now)
        return _told_apart(list(zip(posted, raws, known, starts, ends, links, strict=True)), now)
    except (ValueError, msgspec.DecodeError, Whole):  # a text, a time or a link that cannot be read, or none plain
        return None


def _told_apart(
    rows: list[tuple[Posted, bytes, Known | None, Instant, Instant | None, str]], now: Instant
) -> tuple[list[int], Burst | None]:
    """What a batch repeats and what is news. Raises ValueError as ``_burst``."""
    repeated: list[int] = []
    fresh: list[tuple[bytes, bytes, Instant, Instant | None, str]] = []
    told: set[bytes] = set()
    for one, raw, have, start, end, link in rows:
        if have is not None:
            timeout = end is None
            until = now + RESOLVE_TIMEOUT if end is None else end
            if raw not in told and _repeats(have, one.annotations, start, link, until, timeout, now):
                repeated.append(have.id)
                continue
            told.add(raw)
        fresh.append((raw, bytes(one.annotations), start, end, link))
    if not fresh:
        return repeated, None
    raws, written, starts, ends, links = map(list, zip(*fresh, strict=True))
    return repeated, _burst(raws, written, starts, ends, links, now)


def _column(texts: list[Text], read: Callable[[Text], Value]) -> list[Value]:
    """What each of some texts reads as. Those of one rule are the same, and often those of a whole batch."""
    last = texts[0]
    value = read(last)
    if texts.count(last) == len(texts):
        return [value] * len(texts)
    found: list[Value] = []
    for text in texts:
        if text != last:
            last, value = text, read(text)
        found.append(value)
    return found


def _start(text: msgspec.Raw) -> Instant:
    start = start_of(text, 0)
    if start == ZERO:
        raise ValueError("it starts when it ends, or now")
    return start


def _end(text: str | None) -> Instant | None:
    """None: no end is named."""
    end = ZERO if text is None else instant(text)
    return None if end == ZERO else end


def _link(text: msgspec.Raw) -> str:
    link = link_of(text, 0)
    if link is None:
        raise ValueError("it is no link")
    return link


def _burst(
    raws: list[bytes],
    written: list[bytes],
    starts: list[Instant],
    named_ends: list[Instant | None],
    links: list[str],
    now: Instant,
) -> Burst:
    """Plain alerts as read: labels and annotations as posted, start, end (None: it is a timeout), link.

    A raw text no longer than its bound holds no value beyond that bound.
    Raises ValueError for texts that cannot be read, and when one is not plain.
    """
    raw, notes = b"[%b]" % b",".join(raws), b"[%b]" % b",".join(written)
    labels, annotations = _many_full_texts(raw), _many_texts(notes)
    severities = [one.get("severity", "") for one in labels]
    timeouts = [one is None for one in named_ends]
    ends = [now + RESOLVE_TIMEOUT if one is None else one for one in named_ends]
    if (
        any(map(gt, starts, ends))
        or not all(labels)
        or not GOOD_NAMES.issuperset(chain.from_iterable(labels))
        or not GOOD_NAMES.issuperset(chain.from_iterable(annotations))
        or max(map(len, raws)) > MAX_LABEL
        or max(map(len, written)) > MAX_ANNOTATION
        or max(map(len, labels)) > MAX_LABELS
        or max(map(len, annotations)) > MAX_ANNOTATIONS
        or max(map(len, severities)) > MAX_SEVERITY
        # One byte is looked for much faster than six, and most texts hold no escape at all.
        or (BACKSLASH in raw and NUL in raw)
        or (BACKSLASH in notes and NUL in notes)
        or _sorted_json(labels) != raw  # written in another manner
    ):
        raise ValueError("one of them is not plain")
    return Burst(now, labels, raws, list(map(msgspec.Raw, written)), severities, starts, ends, timeouts, links)


def _one_by_one(posted: list[Posted], now: Instant, recall: Recall) -> Heard:
    repeated: list[int] = []
    events: list[Event] = []
    refused: list[str] = []
    first_invalid: Whole | None = None
    said = _Said(events)
    last_text: str | None = None
    last_end = start = ZERO
    last_start = last_generator = ABSENT
    link: str | None = ""
    for index, one in enumerate(posted):
        text = one.ends_at
        if text != last_text:
            last_text = text
            try:
                last_end = ZERO if text is None else instant(text)
            except ValueError as error:
                raise unreadable(f"alerts[{index}].endsAt {error}") from None
        timeout = last_end == ZERO
        end = now + RESOLVE_TIMEOUT if timeout else last_end
        labels = bytes(one.labels)
        have = recall(labels)
        if one.starts_at != last_start:
            last_start, start = one.starts_at, start_of(one.starts_at, index)
        if one.generator != last_generator:
            last_generator, link = one.generator, link_of(one.generator, index)
        if have is not None and labels not in said and _repeats(have, one.annotations, start, link, end, timeout, now):
            repeated.append(have.id)
            continue
        try:
            event = event_of(one, index, start, end, timeout, link, now)
        except One as reason:
            refused.append(str(reason))
        except Whole as refusal:
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


def _check_route(request: Request) -> None:
    if request.path.rstrip("/") != PATH:
        raise Whole(404, 404, f"path {cut(request.path, 256)} was not found")
    if request.method != "POST":
        raise Whole(405, 405, f"method {cut(request.method, 32)} is not allowed, but [GET,POST] are")


def _check_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower() or "application/octet-stream"
    if kind != "application/json":
        raise Whole(415, 415, f'unsupported media type "{cut(kind, 128)}", only [application/json] are allowed')


def _read(body: bytes) -> list[Posted]:
    try:
        return _batch.decode(body)
    except RecursionError:
        raise unreadable("it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if body.strip() == b"null":
        return []
    try:
        refuse_compressed(body)
    except NotJson as error:
        raise unreadable(str(error)) from None
    try:
        return _batch.decode(mended(body))
    except RecursionError:
        raise unreadable("it is nested too deeply") from None
    except msgspec.DecodeError as error:
        raise unreadable(placed(plain(str(error)))) from None


def _snippet(url: str, _key: str) -> str:
    parts = urlsplit(url)
    return (
        "alerting:\n  alertmanagers:\n"
        f"    - scheme: {parts.scheme}\n      path_prefix: {parts.path}\n"
        f"      static_configs:\n        - targets: ['{parts.netloc}']\n"
    )


ENTRANCE = Entrance(
    name="Prometheus",
    about="Prometheus sends to Tocsin as if it were an Alertmanager; amtool works too.",
    where="Into prometheus.yml, beside or instead of what stands under alerting: now. Then reload it.",
    prefix="/am",
    key="path",
    paths=(PATH,),
    methods=("POST", "PUT", "PATCH", "DELETE"),
    snippet=_snippet,
)
SOURCE = Source(
    name="alertmanager", version=VERSION, decode=decode, refuse=refuse, quiet=60 * SECOND, entrance=ENTRANCE
)
