"""What a fix does, as a person reads it who is asked: ``end process 12425 of main`` for ``process.stop(main, 12425)``.

A fix says it with ``says``, a sentence with its parameters in braces. A system is said by its name, many things by how
many there are; ``{argv:words}`` has them one after the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

NAMED = "name"
WORDS = "words"


class _Formatter(Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        if spec == WORDS and isinstance(value, list | tuple):
            return " ".join(map(str, value))
        if isinstance(value, list | tuple | set | frozenset | dict):
            return f"{len(value):,}"
        return str(super().format_field(getattr(value, NAMED, value), "" if spec == WORDS else spec))


def unknown(template: str, function: Callable[..., object]) -> str:
    """Why a sentence cannot be said of a function; "" when it can."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        return str(error)
    takes = inspect.signature(function).parameters
    wrong = next((name for name in names if name not in takes), None)
    if wrong is None:
        return ""
    return f"{function.__name__} takes no {wrong or 'parameter without a name'}: it takes {', '.join(takes)}"


def said(template: str, function: Callable[..., object], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The sentence for one call. The template's braces as they stand when the call does not fit: that is told later."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs)
        given.apply_defaults()
        return _Formatter().vformat(template, (), given.arguments)
    except Exception:  # noqa: BLE001  # arguments that do not fit, or cannot be said, fail the step itself, in its words
        return template


def first_line(function: Callable[..., object]) -> str:
    """What a function says of itself in the first line of its text."""
    return (inspect.getdoc(function) or "").strip().partition("\n")[0]
