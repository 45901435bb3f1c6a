"""What real systems answered, read from what Tocsin wrote of a run, to be answered again in a test.

It takes what ``tocsin playbook history --run N --json`` and ``tocsin playbook dry-run NAME --json`` print.
"""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tocsin.playbooks.language import Fix, Look
from tocsin.wiring import named_step

Step = Look[..., Any] | Fix[..., Any]
TOUCHING = ("look", "fix", "verify")


class _Step(Struct):
    """A step of either form: a run's has a ``state``; a dry run's a ``type``, ``ok``, and a text of JSON as result."""

    verb: str = ""
    function: str = ""
    ordinal: int = 0
    type: str = ""
    ok: bool = False
    state: str = ""
    error: str = ""
    result: Raw | UnsetType = UNSET


class _Record(Struct):
    steps: list[_Step]


def read_recorded(text: bytes) -> list[tuple[Step, Any]]:
    """Each look and fix of a run, in its order, with what it answered: a value, or the exception that it raised.

    Raises ValueError for what is no such record, and for a step that the plan and the library do not have any more.
    """
    try:
        steps = msgspec.json.decode(text, type=_Record).steps
    except msgspec.DecodeError as error:
        how = "write it with `tocsin playbook history --run N --json`, or `dry-run NAME --json`"
        raise ValueError(f"this is no run that was written down ({error}): {how}") from None
    ended = [one for one in steps if one.state in ("done", "failed") or one.type == "finished"]
    return [(what := _what(one), _answer(one, what)) for one in ended if one.verb in TOUCHING]


def _what(step: _Step) -> Step:
    try:
        return named_step(step.function)
    except LookupError as error:
        raise ValueError(f"step {step.ordinal}: {error}") from None


def _answer(step: _Step, what: Step) -> Any:
    if step.result is UNSET:
        raise ValueError(f"step {step.ordinal}, {step.function}: its answer was too long to be shown; fake it yourself")
    raw = bytes(step.result)
    if step.type:
        raw = msgspec.json.decode(raw, type=str).encode()
    if not (step.ok or step.state == "done") and (step.verb != "verify" or raw == b"null"):
        kind, _, message = step.error.partition(": ")
        # The name stands in findings and on pages, and is the same again there.
        return type(kind, (Exception,), {})(message) if kind.isidentifier() else Exception(step.error)
    try:
        return msgspec.json.decode(raw, type=get_type_hints(what.function).get("return", Any))
    except msgspec.ValidationError as error:
        raise ValueError(f"step {step.ordinal}, {step.function} answers something else now: {error}") from None
