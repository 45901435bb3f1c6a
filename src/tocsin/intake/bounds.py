"""How much one event may carry, and in what shape its texts may reach a store or a page.

Nothing here refuses: a text that is too long is cut with a visible mark, because an alert with half a description
still has to wake someone. What makes two alerts one (label names and values, deduplication keys) is cut with a digest
of the whole, so that two long texts that differ only at their ends stay two.

Every text that leaves here can be stored by any database and encoded as UTF-8: NUL and halves
of surrogate pairs become U+FFFD.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import islice

MAX_TITLE = 1_024
MAX_LINK = 2_048
MAX_KEY = 255
MAX_SEVERITY = 64
MAX_NAME = 256
MAX_LABELS = 128
MAX_LABEL = 2_048
MAX_ANNOTATIONS = 128
MAX_ANNOTATION = 16_384
MAX_DEPTH = 6
"""How deep nested details are taken apart; what lies deeper is kept as one JSON text."""

CUT = "… (cut)"
OVERFLOW = "tocsin_cut"
"""The label or annotation that stands for all that were too many."""

_UNSAFE = re.compile("[\0\ud800-\udfff]")
_LINK = re.compile(r"https?://[^\s\0-\x1f\x7f\"<>\\^`{|}]+", re.IGNORECASE)


def clean(text: str) -> str:
    """The text without NUL and without halves of surrogate pairs."""
    return _UNSAFE.sub("\ufffd", text)


def cut(text: str, limit: int) -> str:
    """A cleaned text of at most ``limit`` characters; a cut one ends in a mark."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def cut_identity(text: str, limit: int) -> str:
    """A cleaned text of at most ``limit`` characters in which two different texts stay different."""
    text = clean(text)
    if len(text) <= limit:
        return text
    mark = "_cut_" + blake2b(text.encode(), digest_size=8).hexdigest()
    return text[: limit - len(mark)] + mark


def first_line(text: str, limit: int = MAX_TITLE) -> str:
    """The first line that says anything, cut."""
    return cut(text.strip().partition("\n")[0].rstrip(), limit)


def too_much(texts: Mapping[str, str], count: int, longest: int) -> bool:
    """Whether a mapping breaks its bounds. Cheap: most never do."""
    return bool(texts) and (
        len(texts) > count or max(map(len, texts.values())) > longest or max(map(len, texts)) > MAX_NAME
    )


def bounded_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels within bounds, still telling apart every two label sets that differed."""
    names = sorted(labels)
    kept = {
        cut_identity(name, MAX_NAME): cut_identity(labels[name], MAX_LABEL)
        for name in (names if len(names) <= MAX_LABELS else names[: MAX_LABELS - 1])
    }
    if len(names) > MAX_LABELS:
        rest = "\0".join(f"{name}\0{labels[name]}" for name in names[MAX_LABELS - 1 :])
        digest = blake2b(rest.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        kept[OVERFLOW] = f"{len(names) - MAX_LABELS + 1} labels, {digest}"
    return kept


def bounded_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Annotations within bounds; what is too much is cut and marked."""
    if len(annotations) <= MAX_ANNOTATIONS:
        return {cut(name, MAX_NAME): cut(text, MAX_ANNOTATION) for name, text in annotations.items()}
    first = islice(annotations.items(), MAX_ANNOTATIONS - 1)
    kept = {cut(name, MAX_NAME): cut(text, MAX_ANNOTATION) for name, text in first}
    kept[OVERFLOW] = f"{len(annotations) - MAX_ANNOTATIONS + 1} more were left out"
    return kept


def web_link(text: str) -> str:
    """The text if a page may link to it (http or https, within bounds), else "". Never ``javascript:``."""
    return text if len(text) <= MAX_LINK and _LINK.fullmatch(text) else ""


def scalar(value: object) -> str | None:
    """A JSON text, number or truth value as text; None for anything else, null too."""
    match value:
        case str():
            return clean(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case _:
            return None


def flattened(value: object, name: str) -> dict[str, str]:
    """Any JSON value as annotations, ``MAX_ANNOTATIONS`` at most.

    ``{"a": {"b": 1}}`` gives ``a.b``, a list counts from 1, and a bare value takes ``name``.
    """
    found = list(islice(_leaves(value, "", 0), MAX_ANNOTATIONS + 1))
    kept = {cut(path or name, MAX_NAME): cut(text, MAX_ANNOTATION) for path, text in found[:MAX_ANNOTATIONS]}
    if len(found) > MAX_ANNOTATIONS:
        kept.pop(next(reversed(kept)))
        kept[OVERFLOW] = "more were left out"
    return kept


def _json_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "(nested too deeply)"


def _leaves(value: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    parts: Iterator[tuple[object, object]]
    match value:
        case None:
            if path:
                yield path, ""
            return
        case dict() if depth < MAX_DEPTH:
            parts = iter(value.items())
        case list() if depth < MAX_DEPTH:
            parts = iter(enumerate(value, 1))
        case dict() | list():
            yield path, _json_text(value)
            return
        case _:
            yield path, scalar(value) or ""
            return
    for name, inner in parts:
        yield from _leaves(inner, f"{path}.{name}" if path else str(name), depth + 1)
