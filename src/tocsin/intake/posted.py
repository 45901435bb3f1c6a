"""One alert as it is posted to Alertmanager's API: how each of its fields is read, and what it is refused for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import msgspec

from tocsin.intake.bounds import (
    MAX_ANNOTATION,
    MAX_ANNOTATIONS,
    MAX_LABEL,
    MAX_LABELS,
    MAX_LINK,
    MAX_NAME,
    MAX_SEVERITY,
    bounded_annotations,
    bounded_labels,
    clean,
    cut,
    too_much,
    web_link,
)
from tocsin.intake.event import Event
from tocsin.intake.go_texts import ZERO, instant, is_request_uri, quoted
from tocsin.intake.json_body import mended, plain
from tocsin.kernel.identity import label_text, read_texts, texts_json
from tocsin.kernel.instant import Instant

ABSENT = msgspec.Raw(b"")


class Posted(msgspec.Struct, gc=False):
    """One alert as posted. What is raw is compared as it is, and read only if the alert turns out to be new."""

    labels: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = msgspec.Raw(b"{}")
    starts_at: msgspec.Raw = msgspec.field(name="startsAt", default=ABSENT)
    ends_at: str | None = msgspec.field(name="endsAt", default=None)
    generator: msgspec.Raw = msgspec.field(name="generatorURL", default=ABSENT)


_texts_or_null = msgspec.json.Decoder(dict[str, str | None] | None)
_raws = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_or_null: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


class Whole(Exception):
    """The whole request is refused: its first argument is the reply."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class One(Exception):
    """One alert is refused; the message is Alertmanager's."""


def event_of(
    one: Posted,
    index: int,
    start: Instant,
    end: Instant,
    timeout: bool,
    link: str | None,
    now: Instant,
) -> Event:
    """Build the event of any alert, or raise One or Whole. The order of the checks is Alertmanager's."""
    raw, written = bytes(one.labels), bytes(one.annotations)  # copies: the whole body would stay in memory with them
    labels, annotations = _texts(raw), _texts(written)
    if labels is None:
        labels = _mended_texts(raw, index, "labels")
    if annotations is None:
        annotations = _mended_texts(written, index, "annotations") or {}
        written = bytes(texts_json(annotations))
    if link is None:
        raise _invalid(index, "generatorURL", "uri", _text_or_null.decode(mended(bytes(one.generator))) or "")
    if labels is None:
        raise Whole(422, 602, f"{index}.labels in body is required")
    if start == ZERO:
        start = now if timeout else end
    if "" in labels.values():
        labels = {name: value for name, value in labels.items() if value}
    if end < start:
        raise One("start time must be before end time")
    if not labels:
        raise One("at least one label pair required")
    for texts, what in ((labels, "label set"), (annotations, "annotations")):
        if not GOOD_NAMES.issuperset(texts) and not _well_named(texts):
            raise One(f"invalid {what}: invalid name {_first_bad_name(texts)}")
    if not _within(raw, labels, MAX_LABELS, MAX_LABEL):
        labels = bounded_labels(labels)
    if not _within(written, annotations, MAX_ANNOTATIONS, MAX_ANNOTATION):
        annotations = bounded_annotations(annotations)
        written = bytes(texts_json(annotations))
    return Event(
        labels,
        start,
        end,
        "firing" if end > now else "resolved",
        "",
        cut(labels.get("severity", ""), MAX_SEVERITY),
        msgspec.Raw(written),
        link,
        timeout,
        label_text(labels),
    )


def _within(raw: bytes, texts: Mapping[str, str], count: int, longest: int) -> bool:
    """Whether texts, read from ``raw``, are within their bounds and hold no NUL.

    A raw text no longer than its bound holds no value beyond that bound.
    """
    if BACKSLASH in raw and NUL in raw:  # one byte is looked for much faster than six
        return False
    return (len(raw) <= longest and len(texts) <= count and GOOD_NAMES.issuperset(texts)) or not too_much(
        texts, count, longest
    )


NUL = b"\\u0000"
BACKSLASH = NUL[0]
_NAMES_KEPT = 20_000
GOOD_NAMES: set[str] = set()
"""Names that were found good and short. Monitors send the same ones all day."""


def _well_named(texts: Mapping[str, str]) -> bool:
    """Whether every name is one Alertmanager takes."""
    if not (all(map(str.isidentifier, texts)) and "".join(texts).isascii()):
        return False
    if len(GOOD_NAMES) + len(texts) > _NAMES_KEPT:
        GOOD_NAMES.clear()
    GOOD_NAMES.update(name for name in texts if len(name) <= MAX_NAME)
    return True


def start_of(raw: msgspec.Raw, index: int) -> Instant:
    text = _text(raw, index, "startsAt")
    if text is None:
        return ZERO
    try:
        return instant(text)
    except ValueError as error:
        raise unreadable(f"alerts[{index}].startsAt {error}") from None


# Links that may be shown as they are: a narrower set than bounds.web_link takes.
_PLAIN_URL = re.compile(
    r"https?://[A-Za-z0-9.\-]+(?::[0-9]*)?"
    r"(?:/[!#$&'()*+,\-./0-9:;=@A-Z_a-z~]*)?(?:\?[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*)?"
)
_LINKS_KEPT = 5_000
_plain_links: set[str] = set()
"""Links that need no look: a rule sends the same one with every alert."""


def link_of(raw: msgspec.Raw, index: int) -> str | None:
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
        raise unreadable(f"alerts[{index}].{field}: {plain(str(error)).lower()}") from None


def _texts(raw: bytes) -> dict[str, str] | None:
    """Labels or annotations; None when they are no plain texts."""
    try:
        return read_texts(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _mended_texts(raw: bytes, index: int, field: str) -> dict[str, str] | None:
    """Labels or annotations that are no plain texts; None when absent or null. A null value is an empty one, as in Go.

    Raises Whole when they cannot be read.
    """
    text = mended(raw)
    if not text:
        return None
    try:
        found = _texts_or_null.decode(text)
    except msgspec.DecodeError as error:
        raise unreadable(_misfit(text, f"alerts[{index}].{field}", error)) from None
    return None if found is None else {name: value or "" for name, value in found.items()}


def _misfit(text: bytes, place: str, error: msgspec.DecodeError) -> str:
    """Which entry of a mapping is not a text."""
    try:
        entries = _raws.decode(text)
    except msgspec.DecodeError:
        return placed(f"{error} - at `$").replace("alerts", place, 1)
    for name, raw in entries.items():
        try:
            _text_or_null.decode(raw)
        except msgspec.DecodeError as entry:
            return f"{place}[{cut(json.dumps(name, ensure_ascii=False), 128)}]: {plain(str(entry)).lower()}"
    return f"{place}: {error}"


def unreadable(why: str) -> Whole:
    return Whole(400, 400, f'parsing alerts body from "" failed, because {why}')


def placed(message: str) -> str:
    """``Expected `array`, got `object` - at `$[3].endsAt``` in a reader's words: the place first."""
    what, _, where = message.partition(" - at ")
    place = "alerts" + where.strip("`").removeprefix("$")
    return f"{place}: {what[:1].lower()}{what[1:]}" if where or what.startswith("Expected") else what


def _invalid(index: int, field: str, kind: str, value: str) -> Whole:
    return Whole(422, 601, f"{index}.{field} in body must be of type {kind}: {quoted(cut(value, 512))}")


def _first_bad_name(texts: Mapping[str, str]) -> str:
    return next(quoted(cut(name, 256)) for name in texts if not (name.isidentifier() and name.isascii()))
