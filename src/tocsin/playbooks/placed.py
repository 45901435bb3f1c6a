"""Whether a look or fix is given a system where it takes one: a text in its place names none that the plan bound."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from tocsin.playbooks.language import Fix, Look, Misused, Target

HOLDERS = (list, tuple, set, frozenset, Sequence, Iterable)
"""Of what a parameter may take several at once."""
IMPORTED = "import the types of its parameters, and of its answer, without TYPE_CHECKING"


class _Place(NamedTuple):
    """A parameter that takes a target. ``kinds``: what may be given; ``many``: several of them at once."""

    kinds: tuple[type, ...]
    many: bool


def given_targets(what: Look[..., Any] | Fix[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises Misused when something else stands where a look or fix takes a target, or nobody can say what it takes. A
    call that does not fit it at all fails in its own words.
    """
    short = ".".join(what.name.rsplit(".", 2)[-2:])
    if why := unreadable(what.function):
        raise Misused(f"{short} {why}; {IMPORTED}")
    if not _targets(what.function):
        return
    try:
        given = inspect.signature(what.function).bind(*args, **kwargs).arguments
    except TypeError:
        return
    wrong = next((wrong for name, value in given.items() if (wrong := no_target(what.function, name, value))), "")
    if wrong:
        raise Misused(f"{short} {wrong}")


def unreadable(function: Callable[..., object]) -> str:
    """Why it cannot be known what a function takes and answers, as what is wrong with it; "" when it can. Its answer
    could not be read either, after it was done.
    """
    try:
        get_type_hints(function)
    except Exception as error:  # noqa: BLE001  # hints may say anything
        return f"says what it takes and answers in words that cannot be read: {type(error).__name__}: {error}"[:300]
    return ""


def no_target(function: Callable[..., object], name: str, value: object) -> str:
    """What is wrong with a value that is given for one parameter, when that takes a target; "" when nothing is."""
    place = _targets(function).get(name)
    if place is None:
        return ""
    each: Iterable[object] = (value,)
    if place.many and isinstance(value, list | tuple | set | frozenset | dict):
        each = value.values() if isinstance(value, dict) else value
    if all(isinstance(one, place.kinds) for one in each):
        return ""
    kind = " or ".join(one.__name__ for one in place.kinds if one is not NoneType)
    among = f"a {kind}" if not place.many else f"any number of {kind}"
    return f"takes {among} as {name}, one of the playbook's targets, and is given {value!r:.80}"


@cache
def _targets(function: Callable[..., object]) -> dict[str, _Place]:
    """The parameters of a function that take a target, and what may be given for each; none where its hints cannot be
    read.
    """
    if unreadable(function):
        return {}
    hints = get_type_hints(function)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kind, many = hints.get(name), parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if not many and get_origin(kind) in HOLDERS:
            kind, many = (get_args(kind) or (None,))[0], True
        kinds = tuple(_bound(one) for one in (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)))
        classes = tuple(one for one in kinds if isinstance(one, type))
        if len(classes) == len(kinds) and any(issubclass(one, Target) for one in classes):
            found[name] = _Place(classes, many)
    return found


def _bound(kind: Any) -> Any:
    """A type variable is whatever it is bound to."""
    return kind.__bound__ if isinstance(kind, TypeVar) else kind
