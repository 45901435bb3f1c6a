"""Predicates in CEL, the Common Expression Language: what ``where`` of a playbook says of an incident.

Needs the extra ``cel``. Evaluation is bounded: an expression is short, its patterns are RE2, its iterations are counted
by the library itself, and it runs in the run's own process, which has a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tocsin.playbooks.language import About, Misused

MOST: Final = 2_000
"""Characters of an expression."""
EXTRA: Final = "CEL is not installed: pip install 'tocsin[cel]'"


class RuleError(Exception):
    """A rule came to no answer. The message says why."""


def rule(text: str) -> Callable[[About], bool]:
    """A predicate, ready to be asked. It raises RuleError for an incident on which it comes to no answer.

    Raises Misused when it cannot be a predicate, or the extra is missing.
    """
    if len(text) > MOST:
        raise Misused(f"where has more than {MOST:,} characters")
    try:
        from cel_expr_python import cel
    except ImportError:
        raise Misused(EXTRA) from None
    kind = cel.Type
    variables = {
        "service": kind.STRING,
        "severity": kind.STRING,
        "title": kind.STRING,
        "incident": kind.INT,
        "labels": kind.Map(kind.STRING, kind.STRING),
    }
    try:
        expression = cel.NewEnv(variables=variables).compile(text)
    except RuntimeError as error:
        raise Misused(f"where is no CEL: {_plain(error)}") from None
    if expression.return_type() != kind.BOOL:
        raise Misused(f"where comes to {expression.return_type().name().lower()}, not to true or false")

    def holds(about: About) -> bool:
        given = {name: getattr(about, name) for name in variables}
        try:
            value = expression.eval(data=given)
        except RuntimeError as error:
            raise RuleError(_plain(error)) from None
        if value.type() != kind.BOOL:
            raise RuleError(_plain(value.value()))
        return bool(value.value())

    return holds


def _plain(error: object) -> str:
    """The first line of what the library says, without its codes."""
    first = str(error).partition("\n")[0]
    for code in ("INVALID_ARGUMENT: ", "NOT_FOUND: ", "INTERNAL: ", "ERROR: "):
        first = first.removeprefix(code)
    return first.removesuffix("[INTERNAL]").removesuffix("[INVALID_ARGUMENT]").strip()[:300]
