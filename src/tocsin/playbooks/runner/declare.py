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
from hashlib import blake2b
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import msgspec
from msgspec import structs

from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher
from tocsin.playbooks import language
from tocsin.playbooks.language import Declared, Run, Target
from tocsin.playbooks.manifest import MOST_PLAYBOOKS, Fault, Frozen, Manifest, Manifests, Param, encode_manifests
from tocsin.playbooks.runner.bounds import adopt, bound, end_strays
from tocsin.playbooks.runner.modules import make_importable, module_names

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
PLAIN: dict[Any, str] = {str: "text", int: "number", float: "number", bool: "flag"}


class Wrong(Exception):
    """A playbook declares what cannot be meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


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
        playbooks = _with_shared(folder, playbooks)
        out.write(b"\n" + encode_manifests(Manifests(tuple(playbooks), tuple(faults))))


def _read(folder: Path, file: str, name: str, playbooks: list[Manifest], faults: list[Fault]) -> None:
    before, threads = len(language.declared), threading.active_count()
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001  # the code of others: whatever it raises is what is to be told
        faults.append(_raised(file, folder / file, error))
        return
    if threading.active_count() > threads:
        faults.append(Fault(file, 1, "importing this playbook starts a thread", "begin it in a step, and end it there"))
    tree = ast.parse((folder / file).read_bytes())
    for declared in language.declared[before:]:
        if declared.body.__module__ != name:
            continue  # a module imports another one: that one's file says it
        line = _line(tree, declared)
        try:
            made = _manifest(file, line, declared, tree)
        except (Wrong, MatcherError) as error:
            faults.append(Fault(file, line, str(error), getattr(error, "hint", "")))
            continue
        except Exception as error:  # noqa: BLE001  # whatever else cannot be read in it has a place all the same
            hint = "import the types of its parameters without TYPE_CHECKING" if isinstance(error, NameError) else ""
            what = f"what {declared.name} declares cannot be read: {type(error).__name__}: {error}"
            faults.append(Fault(file, line, what[:500], hint))
            continue
        twin = next((one for one in playbooks if one.name == made.name), None)
        if twin is not None:
            faults.append(Fault(file, line, f"there is another playbook {made.name}, in {twin.file}:{twin.line}"))
        elif len(playbooks) >= MOST_PLAYBOOKS:
            faults.append(Fault(file, line, f"the plan has more than {MOST_PLAYBOOKS} playbooks"))
        else:
            playbooks.append(made)


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
    return Fault(file, line, f"importing it raises {type(error).__name__}: {what}"[:500], hint)


def _manifest(file: str, line: int, declared: Declared, tree: ast.Module) -> Manifest:
    body = declared.body
    if not NAME.fullmatch(declared.name):
        raise Wrong(f"{declared.name!r} is no name for a playbook", "letters, digits, '.', '_' and '-'")
    code = _code(tree, body.__name__)
    fixes = _calls(code, "fix")
    if fixes and not _calls(code, "verify"):
        raise Wrong(
            f"{declared.name} fixes and verifies nothing", "say with run.verify what must hold after the fix, and when"
        )
    for severity in declared.severities:
        if severity not in SEVERITIES:
            raise Wrong(f"{severity!r} is no severity", f"write {', '.join(SEVERITIES)}")
    _check_schedule(declared)
    return Manifest(
        name=declared.name,
        file=file,
        line=line,
        function=f"{body.__module__}:{body.__name__}",
        about=_about(body, tree),
        meaning=_meaning(tree, body.__name__),
        answers=tuple(_matchers(declared.name, group) for group in declared.answers),
        severities=declared.severities,
        predicate=declared.when is not None,
        params=tuple(_params(declared)),
        guards=declared.guards,
        trust=declared.trust,
        hand_over_after=declared.hand_over_after,
        schedule=declared.schedule,
        timezone=declared.timezone,
        fixes=fixes,
    )


def _matchers(name: str, group: tuple[str, ...]) -> tuple[Matcher, ...]:
    found = tuple(map(parse_matcher, group))
    if all(one.matches({}) for one in found):
        raise Wrong(f"{name} answers everything", "name at least one label that must be there: alertname=\"…\"")
    return found


def _about(body: Any, tree: ast.Module) -> str:
    text = inspect.getdoc(body) or ast.get_docstring(tree) or ""
    return text.strip().partition("\n")[0][:300]


def _check_schedule(declared: Declared) -> None:
    from cronsim import CronSim, CronSimError

    zones = [declared.timezone, *(one.timezone for one in declared.guards if isinstance(one, Frozen))]
    for zone in zones:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise Wrong(f"unknown time zone {zone!r}", "write a name such as Europe/Madrid") from None
    if declared.schedule:
        try:
            next(CronSim(declared.schedule, datetime(2026, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration, ValueError, AssertionError) as error:
            message = f"{declared.schedule!r} is not a cron line: {error}"
            raise Wrong(message, "five fields, such as 0 4 * * *") from None


def _params(declared: Declared) -> Iterator[Param]:
    names = list(inspect.signature(declared.body).parameters.values())
    hints: Mapping[str, Any] = get_type_hints(declared.body)
    if not names or hints.get(names[0].name) is not Run:
        raise Wrong(f"{declared.name} takes a run first", f"def {declared.body.__name__}(run: Run, …)")
    for one in names[1:]:
        kind = hints.get(one.name)
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
    if declared.schedule and any(one.default is one.empty and hints.get(one.name) in PLAIN for one in names[1:]):
        raise Wrong(f"{declared.name} runs by a schedule, which gives no parameters", "give each a default")


# -- the code itself ---------------------------------------------------------------------------------------------------


def _code(tree: ast.Module, name: str) -> ast.FunctionDef:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise Wrong(f"{name} is not at the top of its module", "write it as a plain function, def, of the module")


def _calls(code: ast.FunctionDef, verb: str) -> bool:
    """Whether a verb of the run is called somewhere in a playbook's body."""
    run = code.args.args[0].arg if code.args.args else ""
    used = (node for node in ast.walk(code) if isinstance(node, ast.Attribute) and node.attr == verb)
    return any(isinstance(node.value, ast.Name) and node.value.id == run for node in used)


def _with_shared(folder: Path, playbooks: list[Manifest]) -> list[Manifest]:
    """What modules that declare no playbook say belongs to the meaning of every playbook: any may use them."""
    declaring = {one.body.__module__ for one in language.declared}
    shared: list[str] = []
    for file, name in module_names(folder):
        code = (folder / file).read_bytes()
        if name in declaring or not code.strip():
            continue
        try:
            shared.append(f"{name} {_digest(ast.parse(code), set())}")
        except (SyntaxError, ValueError):
            continue  # a fault says so, and the plan is refused
    if not shared:
        return playbooks
    return [
        structs.replace(one, meaning=blake2b("\n".join((one.meaning, *shared)).encode(), digest_size=12).hexdigest())
        for one in playbooks
    ]


def _meaning(tree: ast.Module, name: str) -> str:
    """A digest of a module without its other playbooks, docstrings, layout, and what says how far it is trusted."""
    return _digest(tree, {one.body.__name__ for one in language.declared} - {name})


def _digest(tree: ast.Module, others: set[str]) -> str:
    kept: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in others and node.decorator_list:
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner) is not None:
                inner.body = inner.body[1:] or [ast.Pass()]
            if isinstance(inner, ast.Call):
                inner.keywords = [one for one in inner.keywords if one.arg != "trust"]
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            kept.append(ast.dump(node))
    return blake2b("\n".join(kept).encode(), digest_size=12).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    end_strays(set())
    os._exit(0)  # whatever a module left running ends here
