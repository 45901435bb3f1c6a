"""Functions of the plan's own files that a playbook gives its run to: their code is there, and is followed as well.

What is no plain function that is found by its name is not followed, and may do whatever a body does: a method, a
function within another one, a generator, one with a decorator or wrapped in another one, one that takes its run in some
other way than as it is.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from tocsin.playbooks.runner.calls import named
from tocsin.playbooks.runner.modules import PACKAGE
from tocsin.playbooks.runner.reach import bound_by

DEEPEST = 4
"""So many functions deep a run is followed."""


class Body(NamedTuple):
    """What has a run: a playbook's own body, or a function's that is given one.

    ``run``: what it calls its run; ``deep``: through how many functions the run came here. Which ones makes no
    difference, so that nothing is found out again on each way to one; what calls itself is followed to the deepest.
    """

    code: ast.FunctionDef
    run: str
    module: ModuleType | None = None
    deep: int = 0

    def given_to(self, call: ast.Call) -> Body | None:
        """The function that a call gives the run to, as it is and once; None when that cannot be followed."""
        places: list[int | str] = [at for at, one in enumerate(call.args) if named(one, self.run)]
        places += [str(one.arg) for one in call.keywords if one.arg and named(one.value, self.run)]
        if len(places) != 1 or any(isinstance(one, ast.Starred) for one in call.args):
            return None
        function = self._value(call.func)
        if not isinstance(function, FunctionType) or function.__module__.partition(".")[0] != PACKAGE:
            return None
        code = _plain(function.__module__, function.__name__)
        if code is None or self.deep >= DEEPEST or not is_said_by(function, code):
            return None
        (place,) = places
        takes = [one.arg for one in (*code.args.posonlyargs, *code.args.args)]
        if isinstance(place, int):
            run = takes[place] if place < len(takes) else ""
        else:
            run = place if place in takes or place in [one.arg for one in code.args.kwonlyargs] else ""
        if not run or run in _stored(code):
            return None
        return Body(code, run, sys.modules[function.__module__], self.deep + 1)

    def _value(self, node: ast.expr) -> Any:
        """What a name, or a name in a module, leads to; None when that is known only while the code runs."""
        if isinstance(node, ast.Name):
            known = self.module is not None and node.id not in _stored(self.code) | _takes(self.code)
            return vars(self.module).get(node.id) if known else None
        if isinstance(node, ast.Attribute):
            of = self._value(node.value)
            return getattr(of, node.attr, None) if isinstance(of, ModuleType) else None
        return None


def is_said_by(function: Any, code: ast.FunctionDef) -> bool:
    """Whether a function is what stands in its module under its name, and not what a decorator made of that: such a one
    has its name and module all the same (``functools.wraps``), and does what it likes before and after.
    """
    made = getattr(function, "__code__", None)
    if made is None or hasattr(function, "__wrapped__"):
        return False
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    first = min([code.lineno, *(one.lineno for one in code.decorator_list)])
    return bool(made.co_filename == file and made.co_firstlineno == first)


@cache
def _plain(module: str, name: str) -> ast.FunctionDef | None:
    """The code of a plain function at the top of a module, that stands there once."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file:
        return None
    tree = ast.parse(Path(file).read_bytes())
    found = [one for one in tree.body if name in bound_by(one)]
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef) or found[0].decorator_list:
        return None
    yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(found[0]))
    return None if yields else found[0]


def _takes(code: ast.FunctionDef) -> frozenset[str]:
    """What it is given, in whatever way."""
    return frozenset(one.arg for one in ast.walk(code.args) if isinstance(one, ast.arg))


@cache
def _stored(code: ast.FunctionDef) -> frozenset[str]:
    """The names a body gives another meaning."""
    found = set[str]()
    for one in ast.walk(code):
        if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load):
            found.add(one.id)
        elif isinstance(one, ast.alias):
            found.add((one.asname or one.name).partition(".")[0])
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and one is not code:
            found.add(one.name)
    return frozenset(found)
