"""A playbook composed of library steps, as data: what a plan's ``playbooks/*.yaml`` says, read and placed.

Nothing here names a function or a type yet: that is for the process that has the library imported. Conditions are
comparisons, never code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tocsin.kernel.instant import MINUTE, SECOND, Duration
from tocsin.kernel.matcher import Matcher
from tocsin.playbooks.confinement import Confine
from tocsin.playbooks.manifest import Guard, Trust

Op = Literal["over", "under", "at least", "at most", "is", "is not", "empty", "contains"]
ORDERED: frozenset[Op] = frozenset({"over", "under", "at least", "at most"})
Does = Literal["look", "fix", "verify", "ask", "tell", "hand over"]
ALERT = "alert"
"""What conditions call the incident a run is about: ``alert.severity``, ``alert.labels.instance``."""
IT = "it"
"""What conditions call all of what was looked at last, or of what a verification sees: a plain answer has no fields."""
COUNT = "count"
"""What conditions call how many things there are in a list or text: ``idle.expirable.count``."""
REF = "from"
"""The key by which an argument or a comparison takes what an earlier step answered."""


LEFT_OUT = object()
"""What is known of a step that was left out: that it answered nothing, and nothing else stands for it."""
FLAGS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


class Missing(Exception):
    """A condition asks for what is not there: no evidence either way. The message says what."""


class Comparison(Struct, frozen=True):
    """One comparison. ``value``: a text, as written, until the type it is compared with is known; or ``ref``, the path
    of what an earlier step answered, ``plus`` a number.
    """

    op: Op
    value: Any = None
    ref: str = ""
    plus: float = 0.0


class Test(Struct, frozen=True):
    """What one value has to be: all of the comparisons. ``path``: such as ``before.used_ratio``."""

    path: str
    comparisons: tuple[Comparison, ...]
    line: int


Condition = tuple[tuple[Test, ...], ...]
"""Lists of tests: all tests of one list hold. () asks for nothing."""


class Argument(Struct, frozen=True):
    """What a step's function is given: plain texts, lists and mappings of them, or ``ref``, what a step answered."""

    name: str
    line: int
    value: Any = None
    ref: str = ""


class ComposedStep(Struct, frozen=True, kw_only=True):
    """One step. ``what``: the function, the question, the text or the reason; ``lines``: where its keys stand."""

    does: Does
    what: str
    line: int
    lines: dict[str, int] = {}
    when: Condition = ()
    name: str = ""
    on: tuple[str, ...] = ()
    args: tuple[Argument, ...] = ()
    until: Condition = ()
    harm: Condition = ()
    within: Duration = 10 * MINUTE
    every: Duration = SECOND
    choices: tuple[str, ...] = ("yes", "no")
    default: str = "no"
    role: Literal["responder", "admin"] = "responder"
    findings: tuple[str, ...] = ()
    next: str | UnsetType = UNSET
    """What is suggested to do next; left out, a playbook's meaning is what it was before there was such a word."""

    def at(self, key: str) -> int:
        """The line a key stands on; the step's own when it was left out."""
        return self.lines.get(key, self.line)


class Parameter(Struct, frozen=True):
    """A parameter that is no system: a ``kind`` of plain value. ``default`` None: it has to be given."""

    name: str
    kind: Literal["text", "number", "whole number", "flag"]
    line: int
    default: str | None = None


class System(Struct, frozen=True):
    """A system it works on, and the kind of target that is."""

    name: str
    kind: str
    line: int


class Composed(Struct, frozen=True, kw_only=True):
    """One playbook."""

    name: str
    file: str
    line: int
    about: str = ""
    answers: tuple[tuple[Matcher, ...], ...] = ()
    severities: tuple[str, ...] = ()
    where: str = ""
    systems: tuple[System, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    guards: tuple[Guard, ...] = ()
    trust: Trust = Trust()
    hand_over_after: Duration = 5 * MINUTE
    schedule: str = ""
    timezone: str = "UTC"
    steps: tuple[ComposedStep, ...] = ()
    lines: dict[str, int] = {}
    confine: Confine | UnsetType = UNSET
    hand_over_to: str | UnsetType = UNSET
    """Unset they are in no text of this, so that the digests of those written without them stay what they were."""

    def at(self, key: str) -> int:
        """The line a key of the file stands on."""
        return self.lines.get(key, self.line)


encode_composed = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(tuple[Composed, ...]).decode


def read_composed(raw: bytes) -> tuple[Composed, ...]:
    """What ``encode_composed`` wrote. Raises msgspec.DecodeError."""
    return _decode(raw)


# -- what conditions come to -------------------------------------------------------------------------------------------

_HOLDS: Mapping[Op, Callable[[Any, Any], bool]] = {
    "over": lambda found, wanted: found > wanted,
    "under": lambda found, wanted: found < wanted,
    "at least": lambda found, wanted: found >= wanted,
    "at most": lambda found, wanted: found <= wanted,
    "is": lambda found, wanted: found == wanted,
    "is not": lambda found, wanted: found != wanted,
    "contains": lambda found, wanted: wanted in found,
}


def value_at(path: str, known: Mapping[str, Any], last: Any = None) -> Any:
    """What a path leads to: ``name.field.field``; without a known name in front, a field of what was seen ``last``.

    Raises Missing when there is no such thing now: the step was left out (LEFT_OUT), or answered nothing.
    """
    first, _, rest = path.partition(".")
    found, parts = (known[first], rest) if first in known else (last, rest if first == IT else path)
    if found is LEFT_OUT:
        raise Missing(f"there is no {path}: the step it is of was left out")
    for part in parts.split(".") if parts else ():
        if found is None:
            raise Missing(f"there is no {path}: nothing was answered there")
        found = _part(found, part, path)
    return found


def _part(found: Any, part: str, path: str) -> Any:
    if isinstance(found, Mapping):
        return found.get(part, "" if all(isinstance(one, str) for one in found.values()) else None)
    if part == COUNT and hasattr(found, "__len__"):
        return len(found)
    try:
        return getattr(found, part)
    except AttributeError:
        raise Missing(f"there is no {path}: the step it is of was left out, or answered something else") from None


def holds(condition: Condition, known: Mapping[str, Any], last: Any = None) -> bool:
    """Whether all tests of one list hold; True for a condition that asks for nothing. Raises Missing."""
    return not condition or any(all(_passes(test, known, last) for test in tests) for tests in condition)


def _passes(test: Test, known: Mapping[str, Any], last: Any) -> bool:
    found = value_at(test.path, known, last)
    for one in test.comparisons:
        if one.op == "empty":
            if (found is None or (hasattr(found, "__len__") and not len(found))) != one.value:
                return False
            continue
        wanted = value_at(one.ref, known) if one.ref else one.value
        if one.plus:
            wanted += one.plus
        if found is None or wanted is None:
            raise Missing(f"there is no {test.path if found is None else one.ref} to compare")
        try:
            passed = _HOLDS[one.op](*_alike(found, wanted))
        except (TypeError, ValueError, OverflowError):
            raise Missing(f"{test.path} is {found!r:.100}, which does not compare with {wanted!r:.100}") from None
        if not passed:
            return False
    return True


def _alike(found: Any, wanted: Any) -> tuple[Any, Any]:
    """Both as one type, where one is a text and the other is not. Raises ValueError when it cannot be read as that."""
    if isinstance(wanted, str) and isinstance(found, bool | int | float):
        return found, _like(wanted, found)
    if isinstance(found, str) and isinstance(wanted, bool | int | float):
        return _like(found, wanted), wanted
    return found, wanted


def _like(text: str, other: bool | int | float) -> bool | int | float:
    if isinstance(other, bool) and text in FLAGS:
        return FLAGS[text]
    return msgspec.convert(text, bool if isinstance(other, bool) else int | float, strict=False)
