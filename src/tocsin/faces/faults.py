"""What is wrong with a value that was sent, in the words of whoever sent it: no type of Python's, and every choice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct

_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_EXPECTED = re.compile(r"Expected `([^`]+)`(?: (of length )?(<=|>=|<|>) (\S+))?(?:, got `([^`]+)`)?")
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}


def in_words(message: str, annotation: Any = None, path: Sequence[str] = ()) -> str:
    """A decoder's message as people say it. ``annotation`` and ``path`` say what was asked for, where it is known.

    >>> in_words("Expected `str | null`, got `int`")
    'must be a text or null, not a whole number'
    >>> in_words("Invalid enum value 'nope'", Literal["open", "all"])
    "must be one of open, all, not 'nope'"
    """
    if message.startswith("Invalid enum value "):
        words = list(dict.fromkeys(_choices(annotation, path)))
        given = message.removeprefix("Invalid enum value ")
        return f"must be one of {', '.join(words)}, not {given}" if words else f"cannot be {given}"
    if message.startswith("Object missing required field"):
        return "is missing"
    if message.startswith("Object contains unknown field"):
        return "is not known here"
    if message == "'data'":  # how the framework says that there is none
        return "is missing"
    found = _EXPECTED.match(message)
    if found is None:
        return message
    kinds, length, sign, bound, got = found.groups()
    told = " or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))
    if sign:
        much = f"{_BOUNDS[sign]} {bound}"
        things = ("item" if kinds == "array" else "character") + ("" if bound == "1" else "s")
        return f"must be {much}" if not length else f"must have {much} {things}"
    return f"must be {told}" + (f", not {_KINDS.get(got, got)}" if got else "")


def _choices(annotation: Any, path: Sequence[str]) -> Iterator[str]:
    """The words that a Literal inside an annotation allows; with a path, in that field of the structs it names."""
    for one in _parts(annotation):
        if not path:
            if get_origin(one) is Literal:
                yield from map(str, get_args(one))
        elif isinstance(one, type) and issubclass(one, Struct):
            yield from _choices(get_type_hints(one).get(path[0]), path[1:])


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    if get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _parts(inner)
