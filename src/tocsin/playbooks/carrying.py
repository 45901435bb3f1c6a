"""Runs a playbook's body from its top to its end, whatever it does, and says what is left to report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, get_type_hints

import msgspec

from tocsin.playbooks.cel import RuleError, rule
from tocsin.playbooks.language import About, Declared, Failed, Run
from tocsin.playbooks.run import MOST_SAID, GaveUp, Report, Returned, Unmatched
from tocsin.playbooks.session import Ended, Session, Start, line_of


def carry_out(session: Session, found: Declared, start: Start) -> Report | None:
    """Run a playbook to its end. Returns what is left to report; None when all is told already."""
    try:
        try:
            given = _arguments(found, start)
        except msgspec.MsgspecError as error:
            return GaveUp("withheld", session.redacted(f"it was not begun: a parameter is none: {error}")[:MOST_SAID])
        if lacking := _lacking(found, given):
            return GaveUp("withheld", f"it was not begun: nothing says its parameter {' or '.join(lacking)}")
        meant = _predicate(found)
        if meant is not None and not session.when(lambda: meant(start.about)):
            return Unmatched()
        found.body(Run(session, start.about), **given)
    except Ended:
        return None
    except RuleError as error:
        return Unmatched(session.redacted(str(error))[:MOST_SAID])
    except Failed as error:
        return GaveUp("raised", str(error)[:MOST_SAID])
    except SystemExit as error:
        return left_python(error, session.redacted)
    except Exception as error:  # noqa: BLE001  # the edge of the playbook: whatever it raised, a person is called
        text = f"{type(error).__name__}: {error}{line_of(error)}"
        return GaveUp("raised", session.redacted(text)[:MOST_SAID])
    return None if session.over else Returned()


def left_python(error: BaseException, redacted: Callable[[str], str]) -> GaveUp:
    """What is said of a playbook that ended its process by what no `except Exception` catches, and where."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return GaveUp("raised", redacted(f"it ended its process by {what}{line_of(error)}")[:MOST_SAID])


def _predicate(found: Declared) -> Callable[[About], bool] | None:
    """What says whether an incident is meant: ``where``, and then ``when``."""
    asked = [*([rule(found.where)] if found.where else []), *([found.when] if found.when is not None else [])]
    return (lambda about: all(bool(one(about)) for one in asked)) if asked else None


def _arguments(found: Declared, start: Start) -> dict[str, Any]:
    hints = get_type_hints(found.body)
    given: dict[str, Any] = {name: hints[name](name=target) for name, target in start.targets.items()}
    return given | {name: msgspec.json.decode(raw, type=hints[name]) for name, raw in start.args.items()}


def _lacking(found: Declared, given: Mapping[str, Any]) -> list[str]:
    """What a body must be given beside its run, and is not."""
    takes = list(signature(found.body).parameters.values())[1:]
    return [one.name for one in takes if one.default is one.empty and one.name not in given]
