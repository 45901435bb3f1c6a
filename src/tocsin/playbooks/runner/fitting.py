"""What a playbook in YAML names, found in the library; and whether a text or an answer fits a type there."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from difflib import get_close_matches
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from tocsin.playbooks.composed import FLAGS
from tocsin.playbooks.language import Spelled, Target
from tocsin.playbooks.runner import solutions

SIZED = (str, list, tuple, set, frozenset, dict)


class Unfit(Exception):
    """What a playbook in YAML says does not fit; ``line`` is where."""

    def __init__(self, line: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.line, self.hint = line, hint


class Unfits(Exception):
    """Everything that does not fit in one playbook, by line; there is something."""

    def __init__(self, faults: Iterable[Unfit]) -> None:
        self.faults = tuple(sorted(faults, key=lambda one: one.line))
        super().__init__("; ".join(map(str, self.faults)))


def found_by_name(name: str, line: int) -> Any:
    """What a dotted name leads to: in a solution, in the plan's own modules, or in a package by its full name."""
    module, _, function = name.rpartition(".")
    for place in solutions.places(module):
        there = _module(place, line)
        if there is None:
            continue
        if hasattr(there, function):
            return getattr(there, function)
        close = get_close_matches(function, solutions.offered(there), 1)
        hint = f"did you mean {module}.{close[0]}?" if close else f"it has {', '.join(solutions.offered(there))}"
        raise Unfit(line, f"{module} has no {function}", hint)
    if clash := solutions.why_not(module):
        raise Unfit(line, f"{module} does not say which solution is meant", clash)
    known = solutions.names()
    close = get_close_matches(module, known, 1)
    hint = f"did you mean {close[0]}.{function}?" if close else f"there are {', '.join(known)}"
    beside = "a package's is there once it is installed beside Tocsin"
    raise Unfit(line, f"there is no solution {module}", f"{hint}; {beside}")


def _module(place: str, line: int) -> ModuleType | None:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            return None
        raise Unfit(line, f"importing {place} raises {error}", "install it beside Tocsin") from None
    except Exception as error:  # noqa: BLE001  # code of others: whatever it raises is what is to be told
        raise Unfit(line, f"importing {place} raises {type(error).__name__}: {error}"[:500]) from None


def is_target(kind: Any) -> bool:
    """Whether a type is a system."""
    return isinstance(kind, type) and issubclass(kind, Target)


def takes(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function's parameters, with how their texts are written. Raises whatever is wrong with them."""
    return get_type_hints(function, include_extras=True)


def misspelt(value: Any, wanted: Any) -> str:
    """What is wrong with how a text is written that is given for a type; "" when nothing is, or that is not known."""
    ways = [one for one in getattr(wanted, "__metadata__", ()) if isinstance(one, Spelled)]
    if not ways:
        found = (misspelt(value, one) for one in get_args(wanted) if get_origin(wanted) in (Union, UnionType))
        return next((one for one in found if one and value is not None), "")
    if not isinstance(value, str):
        return f"{value!r} is no text"
    try:
        for way in ways:
            way.read(value)
    except ValueError as error:
        return str(error)
    return ""


def bare(kind: Any) -> Any:
    """A type without None, and without how it is written."""
    if get_origin(kind) is Annotated:
        return bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        others = [one for one in get_args(kind) if one is not NoneType]
        return others[0] if len(others) == 1 else Any
    return str if get_origin(kind) is Literal else kind


def sized(kind: Any) -> bool:
    """Whether things of a type may be empty, and counted."""
    return (get_origin(kind) or kind) in SIZED


def item_of(kind: Any) -> Any:
    """The type of what is in a list; a text in a text."""
    args = get_args(kind)
    return args[0] if args and kind is not str else str


def hints_of(kind: Any) -> dict[str, Any]:
    """What a type has: its fields, and its properties."""
    if not isinstance(kind, type) or not (issubclass(kind, Struct) or is_dataclass(kind)):
        return {}
    found = {name: one for name, one in get_type_hints(kind).items() if get_origin(one) is not ClassVar}
    for name, one in inspect.getmembers(kind, lambda one: isinstance(one, property)):
        found[name] = get_type_hints(one.fget).get("return", Any)
    return {name: one for name, one in found.items() if not name.startswith("_")}


def fields_of(kind: Any) -> list[str]:
    """The names of what a type has."""
    return list(hints_of(kind))


def typed(value: Any, wanted: Any) -> Any:
    """A text as the type it is for. Raises ValidationError or ValueError."""
    if bare(wanted) is bool:
        return FLAGS[value] if isinstance(value, str) and value in FLAGS else msgspec.convert(value, bool)
    if wanted is Any:
        return value
    return msgspec.convert(value, wanted, strict=False)


def fits(found: Any, wanted: Any) -> bool:
    """Whether a value of one type may be given for another, as far as that can be seen."""
    found, wanted = bare(found), bare(wanted)
    if Any in (found, wanted) or found == wanted or (found, wanted) == (int, float):
        return True
    kinds = [get_origin(one) or one for one in (found, wanted)]
    if any(one in (str, int, float, bool) for one in kinds):
        return False
    return not (isinstance(wanted, type) and issubclass(wanted, Struct))


def say(kind: Any) -> str:
    """A type, as people say it."""
    words = {str: "a text", int: "a whole number", float: "a number", bool: "yes or no"}
    plain = bare(kind)
    return words.get(plain) or getattr(plain, "__name__", None) or str(plain).replace("typing.", "")
