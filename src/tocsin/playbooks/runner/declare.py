"""Reads what playbooks declare: imports them in this process, which is made for that, and writes what it found.

Run as ``python -m tocsin.playbooks.runner.declare FOLDER DESCRIPTOR`` by ``reading``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher
from tocsin.playbooks import language
from tocsin.playbooks.cel import EXTRA, rule
from tocsin.playbooks.composed import Composed, ComposedStep
from tocsin.playbooks.confinement import MOST_CONFINEMENTS
from tocsin.playbooks.language import Declared, Fix, Look, Misused, Run, Target
from tocsin.playbooks.manifest import (
    MOST_PLAYBOOKS,
    AtMost,
    Blast,
    Fault,
    Frozen,
    Manifest,
    Manifests,
    Param,
    encode_manifests,
)
from tocsin.playbooks.runner.bounds import adopt, bound, children, end_strays, lasting
from tocsin.playbooks.runner.building import build, composed_of, said
from tocsin.playbooks.runner.calls import Unsound, run_of
from tocsin.playbooks.runner.fitting import Unfit, Unfits
from tocsin.playbooks.runner.inner import Body, is_said_by
from tocsin.playbooks.runner.modules import make_importable, module_names
from tocsin.playbooks.runner.reach import Code
from tocsin.playbooks.runner.sound import unsaid, unsound
from tocsin.playbooks.runner.ways import reached
from tocsin.playbooks.runner.width import impossible, wide

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_UNEXPECTED = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")
NEXT = "next: what you would have them do first, half asleep"
EITHER = "all of one list must hold; for either of them, a list for each: [['alertname=\"A\"'], ['alertname=\"B\"']]"
UNANSWERED = "answers=['alertname=\"…\"'] says which alerts; without it a person or a trigger begins it"
IN_A_STEP = "begin it in a step, and end it there"
ENDING = 0.3
"""So many seconds a process has to end that importing is done with: its output is read before it is gone."""
PLAIN: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "flag"}


class Wrong(Exception):
    """A playbook declares what cannot be meant."""

    def __init__(self, message: str, hint: str = "", key: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.key = key
        """Under which key of a playbook in YAML it stands."""
        self.line = line
        """On which line; 0 is where the playbook begins."""


def main(folder: Path, descriptor: int) -> None:
    """Import all modules and write the manifests. Before each file its name is written, so that a hang has a place."""
    adopt()
    bound()
    os.register_at_fork(after_in_child=lambda: os.close(descriptor))  # nothing that is left behind holds the pipe
    with os.fdopen(descriptor, "wb", buffering=0) as out:
        make_importable(folder)
        playbooks: list[Manifest] = []
        faults: list[Fault] = []
        for file, name in module_names(folder):
            out.write(f"{file}\n".encode())
            _read(folder, file, name, playbooks, faults)
        code = Code(folder)
        playbooks = [structs.replace(one, meaning=code.meaning([_place(one)])) for one in playbooks]
        for composed in composed_of(folder):
            out.write(f"{composed.file}\n".encode())
            _compose(composed, code, playbooks, faults)
        out.write(b"\n" + encode_manifests(Manifests(tuple(playbooks), tuple(faults))))


def _read(folder: Path, file: str, name: str, playbooks: list[Manifest], faults: list[Fault]) -> None:
    threads, had = threading.active_count(), children()
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001  # the code of others: whatever it raises is what is to be told
        faults.append(_raised(file, folder / file, error))
        # What it, or one that failed with it, declared before that is half of it.
        language.declared[:] = [one for one in language.declared if one.body.__module__ in sys.modules]
        return
    if threading.active_count() > threads:
        faults.append(Fault(file, 1, "importing this playbook starts a thread", IN_A_STEP))
    if lasting(had, ENDING):
        # It would live beside Tocsin for as long as the plan is in force, and again after each start.
        faults.append(Fault(file, 1, "importing this playbook leaves a process running", IN_A_STEP))
        end_strays(set())  # so that the next file answers for itself
    tree = ast.parse((folder / file).read_bytes())
    for declared in list(language.declared):
        if declared.body.__module__ != name:
            continue  # of another file, which says it: also where this one, or one before it, imported that
        line = _line(tree, declared)
        try:
            made = _manifest(file, line, declared, tree)
            code = _code(tree, declared.body.__name__)
            wrapped = not is_said_by(declared.body, code)
            found = [*unsound(code, sys.modules[name], declared.hand_over_after, wrapped), *unsaid(code)]
            found += (Unsound(line, *one, True) for one in _check_answers(declared, made.answers))
            found += (Unsound(line, *one, True) for one in _without_target(made))
            if declared.when is not None and not declared.answers and not declared.schedule:
                found.append(Unsound(line, f"{declared.name} has `when`, and no alert begins it", UNANSWERED, True))
        except (Wrong, MatcherError) as error:
            faults.append(Fault(file, getattr(error, "line", 0) or line, str(error), getattr(error, "hint", "")))
            continue
        except Exception as error:  # noqa: BLE001  # whatever else cannot be read in it has a place all the same
            hint = "import the types of its parameters without TYPE_CHECKING" if isinstance(error, NameError) else ""
            what = f"what {declared.name} declares cannot be read: {type(error).__name__}: {error}"
            faults.append(Fault(file, line, what[:500], hint))
            continue
        faults += [Fault(file, one.line, one.message[:500], one.hint[:500], one.warns) for one in found]
        if all(one.warns for one in found):
            _keep(made, playbooks, faults)


def _keep(made: Manifest, playbooks: list[Manifest], faults: list[Fault]) -> None:
    twin = next((one for one in playbooks if one.name == made.name), None)
    if twin is not None:
        what = f"there is another playbook {made.name}, in {twin.file}:{twin.line}"
        faults.append(Fault(made.file, made.line, what))
    elif len(playbooks) >= MOST_PLAYBOOKS:
        faults.append(Fault(made.file, made.line, f"the plan has more than {MOST_PLAYBOOKS} playbooks"))
    elif (
        made.confine is not None
        and len({made.confine, *(one.confine for one in playbooks)} - {None}) > MOST_CONFINEMENTS
    ):
        what = f"the plan's playbooks are confined in more than {MOST_CONFINEMENTS} ways"
        faults.append(Fault(made.file, made.line, what, "a process waits for each: let some share what they may write"))
    else:
        try:
            msgspec.json.decode(encode_manifests(Manifests((made,))), type=Manifests)
        except msgspec.MsgspecError as error:
            # It would take all other findings with it where all are read together.
            faults.append(Fault(made.file, made.line, f"what {made.name} declares cannot be read: {error}"[:500]))
            return
        playbooks.append(made)


def _compose(composed: Composed, code: Code, playbooks: list[Manifest], faults: list[Fault]) -> None:
    """Read one playbook in YAML: what it says, fitted to the functions it names."""
    wrong: list[Wrong | Unfit] = []
    warned: list[tuple[str, str]] = []
    try:
        warned += _check_answers(composed, composed.answers)
    except Wrong as error:
        wrong.append(error)
    try:
        _check_common(composed)
    except Wrong as error:
        wrong.append(error)
    try:
        declared, used = build(composed)
        made = Manifest(
            name=composed.name,
            file=composed.file,
            line=composed.line,
            function=composed.file,
            about=composed.about,
            meaning=code.meaning([_defined(one) for one in used], also=said(composed)),
            answers=composed.answers,
            params=tuple(_params(declared, bool(composed.answers))),
            fixes=any(one.does == "fix" for one in composed.steps),
            **_common(declared),
        )
    except Unfits as error:
        wrong += error.faults
    except Wrong as error:
        wrong.append(error)
    except Exception as error:  # noqa: BLE001  # whatever else cannot be read in it has a place all the same
        what = f"what {composed.name} says cannot be read: {type(error).__name__}: {error}"
        faults.append(Fault(composed.file, composed.line, what[:500]))
        return
    for fault in wrong:
        line = fault.line if isinstance(fault, Unfit) else composed.at(fault.key)
        faults.append(Fault(composed.file, line, str(fault), fault.hint))
    if not wrong:
        _keep(made, playbooks, faults)
        silent = (one.line for one in composed.steps if one.does == "hand over" and not one.next)
        faults += [Fault(composed.file, composed.at("answers"), *one, True) for one in warned]
        faults += [Fault(composed.file, composed.at("guards"), *one, True) for one in _without_target(made)]
        if (skipped := _may_be_left_out(composed)) is not None:
            what = "`if` may leave out this `verify`, and then nothing verifies the fix before it"
            faults.append(Fault(composed.file, skipped.line, what, "leave `if` out of it", True))
        faults += [Fault(composed.file, line, "`hand over` suggests nothing to do next", NEXT, True) for line in silent]


def _may_be_left_out(composed: Composed) -> ComposedStep | None:
    """The verification after the last fix, when it is asked for less often than that fix is done."""
    fixes = [place for place, one in enumerate(composed.steps) if one.does == "fix"]
    after = [one for one in composed.steps[fixes[-1] + 1 :] if one.does == "verify"] if fixes else []
    asked, *when = [
        [[(test.path, test.comparisons) for test in tests] for tests in one.when]
        for one in (composed.steps[fixes[-1]] if fixes else composed.steps[0], *after)
    ]
    return after[-1] if after and all(one and one != asked for one in when) else None


def _place(one: Manifest) -> tuple[str, str]:
    module, _, name = one.function.partition(":")
    return module, name


def _defined(one: Look[..., Any] | Fix[..., Any]) -> tuple[str, str]:
    return one.function.__module__, one.function.__name__


def _line(tree: ast.Module, declared: Declared) -> int:
    """The first line of a declaration, also of what is no function."""
    code = getattr(declared.body, "__code__", None)
    if code is not None:
        return int(code.co_firstlineno)
    name = getattr(declared.body, "__name__", "")
    found = (one for one in ast.walk(tree) if isinstance(one, ast.ClassDef) and one.name == name)
    return min((line for one in found for line in (one.lineno, *(by.lineno for by in one.decorator_list))), default=1)


def _raised(file: str, path: Path, error: BaseException) -> Fault:
    line = 1
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == str(path):
            line = frame.lineno or line
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno or line
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = "install it beside Tocsin, or import it inside the step that needs it"
    if isinstance(error, TypeError) and "playbook() takes 0 positional arguments" in what:
        hint = "write @playbook() with its parentheses, and what it is told by name: @playbook(answers=[…])"
    if isinstance(error, TypeError) and (found := _UNEXPECTED.search(what)):
        declares = getattr(language, found[1], None)
        takes = list(inspect.signature(declares).parameters) if callable(declares) else []
        close = get_close_matches(found[2], takes, 1)
        hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(takes)}" if takes else ""
    return Fault(file, line, f"importing it raises {type(error).__name__}: {what}"[:500], hint)


def _manifest(file: str, line: int, declared: Declared, tree: ast.Module) -> Manifest:
    body = declared.body
    if not NAME.fullmatch(declared.name):
        raise Wrong(f"{declared.name!r} is no name for a playbook", "letters, digits, '.', '_' and '-'")
    code = _code(tree, body.__name__)
    does = reached(Body(code, run_of(code), sys.modules[body.__module__]))
    fixes = "fix" in does.verbs
    known = not does.unknown and is_said_by(body, code)
    if fixes and "verify" not in does.verbs and known:
        raise Wrong(
            f"{declared.name} fixes and verifies nothing", "say with run.verify what must hold after the fix, and when"
        )
    _check_questions(code)
    _check_common(declared)
    for severity in declared.severities:
        if severity not in SEVERITIES:
            raise Wrong(f"{severity!r} is no severity", f"write {', '.join(SEVERITIES)}")
    return Manifest(
        name=declared.name,
        file=file,
        line=line,
        function=f"{body.__module__}:{body.__name__}",
        about=_about(body, tree),
        meaning="",  # when all modules are known
        answers=tuple(tuple(map(parse_matcher, group)) for group in declared.answers),
        params=tuple(_params(declared, bool(declared.answers))),
        fixes=fixes,
        **_common(declared),
    )


def _check_questions(code: ast.FunctionDef) -> None:
    """What a question asks for stands in the code, mostly: then it is known before anybody is asked."""
    run = run_of(code)
    for node in ast.walk(code):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "ask"):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == run):
            continue
        given = {one.arg: one.value for one in node.keywords if one.arg}
        choices = _literal(node.args[1] if len(node.args) > 1 else given.get("choices"), ("yes", "no"))
        default = _literal(given.get("default"), "no")
        role = _literal(given.get("role"), "responder")
        if role is not None and role not in ("responder", "admin"):
            hint = "role='responder' or 'admin'"
            raise Wrong(f"run.ask asks nobody: there is no role {role!r}", hint, line=node.lineno)
        if not isinstance(choices, tuple | list):
            continue
        if len(choices) < 2 or len(set(map(repr, choices))) < len(choices):
            raise Wrong("run.ask needs two different choices or more", line=node.lineno)
        if default is not None and default not in choices:
            hint = f"default=one of {', '.join(map(str, choices))}: what counts when nobody answers in time"
            raise Wrong(f"the default {default!r} of run.ask is none of its choices", hint, line=node.lineno)


def _literal(node: ast.expr | None, otherwise: Any) -> Any:
    """What an expression is when it stands in the code; None when it is made while the code runs."""
    if node is None:
        return otherwise
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _check_answers(of: Declared | Composed, groups: tuple[tuple[Matcher, ...], ...]) -> list[tuple[str, str]]:
    """What it is warned of: answering nearly everything, each with what to write instead. Raises where it is all."""
    when = isinstance(of, Declared) and of.when is not None
    narrowed = [name for name, is_so in (("severity", of.severities), ("when", when), ("where", of.where)) if is_so]
    if never := impossible(groups):
        raise Wrong(f"{of.name} {never}", EITHER, "answers")
    found = wide(groups, narrowed)
    if found is not None and found.certain:
        raise Wrong(f"{of.name} {found.message}", found.hint, "answers")
    return [] if found is None else [(f"{of.name} {found.message}", found.hint)]


def _without_target(made: Manifest) -> list[tuple[str, str]]:
    """Guards that say nothing of a playbook without targets, each with what it comes to."""
    if made.targets:
        return []
    found = []
    if any(isinstance(one, Blast) for one in made.guards):
        found.append(("blast_radius counts targets", "it refuses nothing here: leave it out, or work on a target"))
    if any(isinstance(one, AtMost) and one.over == "target" for one in made.guards):
        found.append(('over="target" counts by target', "here it counts the runs for a service: leave `over` out"))
    return [(f"{made.name} works on no target, and {what}", hint) for what, hint in found]


def _check_common(said: Declared | Composed) -> None:
    _check_schedule(said)
    if said.where:
        _check_rule(said)


def _common(declared: Declared) -> dict[str, Any]:
    """What is declared in the same words in every form."""
    return {
        "severities": declared.severities,
        "predicate": declared.when is not None or bool(declared.where),
        "guards": declared.guards,
        "trust": declared.trust,
        "hand_over_after": declared.hand_over_after,
        "hand_over_to": declared.hand_over_to,
        "schedule": declared.schedule,
        "timezone": declared.timezone,
        "confine": declared.confine,
    }


def _check_rule(declared: Declared | Composed) -> None:
    try:
        rule(declared.where)
    except Misused as error:
        hint = "" if str(error) == EXTRA else "it may use service, severity, title, incident and labels"
        raise Wrong(f"{declared.name}: {error}", hint, "where") from None


def _about(body: Any, tree: ast.Module) -> str:
    text = inspect.getdoc(body) or ast.get_docstring(tree) or ""
    return text.strip().partition("\n")[0][:300]


def _check_schedule(declared: Declared | Composed) -> None:
    from cronsim import CronSim, CronSimError

    zones = [declared.timezone, *(one.timezone for one in declared.guards if isinstance(one, Frozen))]
    for zone in zones:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            hint = "write a name such as Europe/Madrid"
            raise Wrong(f"unknown time zone {zone!r}", hint, "timezone") from None
    if declared.schedule:
        try:
            if len(declared.schedule.split()) != 5:
                raise ValueError("it has not five fields")
            next(CronSim(declared.schedule, datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration, ValueError, AssertionError) as error:
            message = f"{declared.schedule!r} is not a cron line: {error}"
            raise Wrong(message, "five fields, such as 0 4 * * *", "schedule") from None


def _params(declared: Declared, answers: bool) -> Iterator[Param]:
    """``answers``: it is run for alerts, which say no parameter."""
    names = list(inspect.signature(declared.body).parameters.values())
    hints: Mapping[str, Any] = get_type_hints(declared.body)
    if not names or hints.get(names[0].name) is not Run:
        raise Wrong(f"{declared.name} takes a run first", f"def {declared.body.__name__}(run: Run, …)")
    for one in names[1:]:
        kind = hints.get(one.name)
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            stars = "*" * ((one.kind is one.VAR_POSITIONAL) + 2 * (one.kind is one.VAR_KEYWORD))
            what = f"the parameter {stars}{one.name} of {declared.name} cannot be given by its name"
            raise Wrong(what, f"write each by itself: {one.name}: …")
        if kind in PLAIN and one.default is not one.empty and not _of_kind(one.default, kind):
            what = f"the default of {one.name} is {one.default!r:.80}, which is no {PLAIN[kind]}"
            raise Wrong(what, "a default is what the parameter says it is")
        if isinstance(kind, type) and issubclass(kind, Target):
            yield Param(one.name, kind.kind, target=True)
        elif kind in PLAIN:
            given = one.default is not one.empty
            yield Param(one.name, PLAIN[kind], default=msgspec.json.encode(one.default).decode() if given else "")
        else:
            raise Wrong(
                f"the parameter {one.name} of {declared.name} has no type Tocsin can give",
                "a target such as redis.Server, or str, int, float or bool",
            )
    lacking = [one.name for one in names[1:] if one.default is one.empty and hints.get(one.name) in PLAIN]
    if declared.schedule and lacking:
        raise Wrong(f"{declared.name} runs by a schedule, which gives no parameters", "give each a default", "schedule")
    if answers and lacking:
        hint = "give it a default; or leave `answers` out, and have people or a trigger say it"
        what = f"{declared.name} answers alerts, and none of them says its parameter {' or '.join(lacking)}"
        raise Wrong(what, hint, "answers")


def _of_kind(value: object, kind: Any) -> bool:
    """As Python has it, a whole number is a number, and a flag is neither."""
    return type(value) is kind or (kind is float and type(value) is int)


# -- the code itself ---------------------------------------------------------------------------------------------------


def _code(tree: ast.Module, name: str) -> ast.FunctionDef:
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) > 1:
        lines = " and ".join(str(node.lineno) for node in found)
        raise Wrong(f"{name} is written more than once in this file, on lines {lines}", "give each a name of its own")
    if found:
        return found[0]
    raise Wrong(f"{name} is not at the top of its module", "write it as a plain function, def, of the module")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    end_strays(set())
    os._exit(0)  # whatever a module left running ends here
