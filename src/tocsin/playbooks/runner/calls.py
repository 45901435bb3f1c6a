"""How a playbook's code calls its run, and how what is wrong with it is said."""

from __future__ import annotations

import ast
from typing import NamedTuple


class Unsound(NamedTuple):
    """What is wrong, where, and what to write instead ("" when that is plain).

    ``warns``: it can be used all the same.
    """

    line: int
    message: str
    hint: str = ""
    warns: bool = False


def run_of(code: ast.FunctionDef) -> str:
    """What a playbook's body calls its run; "" when it takes none."""
    return code.args.args[0].arg if code.args.args else ""


def named(node: ast.expr, name: str) -> bool:
    """Whether an expression is just this name."""
    return isinstance(node, ast.Name) and node.id == name


def verb_of(call: ast.Call, run: str) -> str:
    """Which verb of the run is called; "" for anything else."""
    return call.func.attr if isinstance(call.func, ast.Attribute) and named(call.func.value, run) else ""
