"""What statements of one module change in another one when they are imported: all modules of a plan are one process.

``shared.LIMIT = 9`` and ``shared.HOOKS.append(more)`` in any file decide what a playbook does that uses ``shared``. So
may every call into it, and every call that is given something of it, whatever is made of the answer: what they do there
is not looked into, for a digest may be too wide, and never too narrow.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

NAMED = (ast.Name, ast.Attribute)
ONLY_READ = frozenset(
    (
        "abs", "all", "any", "bool", "dict", "float", "frozenset", "int", "isinstance", "len", "list", "max",
        "min", "range", "repr", "round", "set", "sorted", "str", "sum", "tuple",
    )
)  # fmt: skip
"""Python's own functions that do nothing to what they are given."""


class Importing(NamedTuple):
    """What is known of a module: see ``reach``. ``imports``: what the names of an import within it stand for."""

    named: Mapping[str, list[ast.stmt]]
    imported: Mapping[str, tuple[str, str]]
    starred: Sequence[str]
    loose: Sequence[ast.stmt]
    imports: Callable[[ast.Import | ast.ImportFrom], Mapping[str, tuple[str, str]]]


def changed_by(modules: Mapping[str, Importing]) -> dict[str, dict[str, list[ast.stmt]]]:
    """For each module the statements of others, by theirs, that change something of it."""
    found: dict[str, dict[str, list[ast.stmt]]] = {}
    for name, here in modules.items():
        for statement in here.loose:
            for of in sorted(_touched(modules, here, statement) - {name}):
                found.setdefault(of, {}).setdefault(name, []).append(statement)
    return found


def _touched(modules: Mapping[str, Importing], here: Importing, statement: ast.stmt) -> set[str]:
    """The modules that a statement changes something of, or a function of its own module that it names."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [statement]
    while waiting:
        nodes = list(ast.walk(waiting.pop()))
        inner = [here.imports(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {**here.imported, **dict(item for one in inner for item in one.items())}
        found.update(of for path in _changes(nodes) for of in _owners(modules, here, names, path))
        own = {node.id for node in nodes if isinstance(node, ast.Name) and node.id in here.named} - seen
        seen |= own
        waiting += [one for name in sorted(own) for one in here.named[name]]
    return found


def _changes(nodes: Iterable[ast.AST]) -> Iterator[list[str]]:
    """The names, with what is named of them, that something is stored in, or that are called or given to a call."""
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield _path(node.value)
        elif isinstance(node, ast.AugAssign):
            yield _path(node.target)  # a list that is added to is the same one
        elif isinstance(node, ast.Expr):
            yield from (_path(one) for one in ast.walk(node.value) if isinstance(one, NAMED))
        elif isinstance(node, ast.Call):
            yield _path(node.func)
            if not (isinstance(node.func, ast.Name) and node.func.id in ONLY_READ):
                given = (*node.args, *(one.value for one in node.keywords))
                yield from (_path(one) for arg in given for one in ast.walk(arg) if isinstance(one, NAMED))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from (_path(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list)


def _path(node: ast.AST) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.func if isinstance(node, ast.Call) else node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _owners(
    modules: Mapping[str, Importing], here: Importing, names: Mapping[str, tuple[str, str]], path: list[str]
) -> Iterator[str]:
    """The modules that a name leads into, and on from there where it is imported once more."""
    if not path:
        return
    waiting = [".".join(filter(None, (*names[path[0]], *path[1:])))] if path[0] in names else []
    if not waiting and path[0] not in here.named:
        waiting = [".".join((star, *path)) for star in here.starred]
    seen: set[str] = set()
    while waiting:
        whole = waiting.pop()
        known = max((one for one in modules if whole == one or whole.startswith(f"{one}.")), key=len, default="")
        if not known or whole in seen:
            continue
        seen.add(whole)
        yield known
        member, _, rest = whole[len(known) + 1 :].partition(".")
        there = modules[known]
        if member in there.imported:
            waiting.append(".".join(filter(None, (*there.imported[member], rest))))
        elif member and member not in there.named:
            waiting += [".".join(filter(None, (star, member, rest))) for star in there.starred]
