"""Whether a look or fix is given a system where it takes one: a text in its place names none that the plan bound."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from tocsin.playbooks.language import Fix, Look, Misused, Target


def given_targets(what: Look[..., Any] | Fix[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises Misused when something else stands where a look or fix takes a target. A call that does not fit it at all
    fails in its own words.
    """
    if not _targets(what.function):
        return
    try:
        given = inspect.signature(what.function).bind(*args, **kwargs).arguments
    except TypeError:
        return
    wrong = next((wrong for name, value in given.items() if (wrong := no_target(what.function, name, value))), "")
    if wrong:
        raise Misused(f"{'.'.join(what.name.rsplit('.', 2)[-2:])} {wrong}")


def no_target(function: Callable[..., object], name: str, value: object) -> str:
    """What is wrong with a value that is given for one parameter, when that takes a target; "" when nothing is."""
    wanted = _targets(function).get(name, (object,))
    if isinstance(value, wanted):
        return ""
    kind = " or ".join(one.__name__ for one in wanted if one is not NoneType)
    return f"takes a {kind} as {name}, one of the playbook's targets, and is given {value!r:.80}"


@cache
def _targets(function: Callable[..., object]) -> dict[str, tuple[type, ...]]:
    """The parameters of a function that take a target, and what may be given for each."""
    try:
        hints = get_type_hints(function)
    except Exception:  # noqa: BLE001  # hints may say anything, and what cannot be read asks for nothing
        return {}
    found = {}
    for name in inspect.signature(function).parameters:
        kind = hints.get(name)
        each = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
        plain = all(isinstance(one, type) for one in each)
        if plain and any(issubclass(one, Target) for one in each):
            found[name] = tuple(each)
    return found
