"""The meaning of a playbook: a digest of the code it can reach in its file and in the plan's other files.

Names are followed from its function through the modules of the plan. What cannot be followed counts as a whole:
statements that run when a module is imported, and those of others that change something in it (``touching``),
decorators nobody here knows, a module that is handed about as a value, and all modules where code looks names up while
it runs. Layout, comments, docstrings and what says how far a playbook is trusted do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from tocsin.playbooks.runner.modules import PACKAGE, module_names
from tocsin.playbooks.runner.touching import Importing, changed_by

RULE = "5:"
"""In front of each digest: by which rule it was made. One made by another rule says nothing of whether code changed."""
KNOWN_DECORATORS = frozenset({"playbook", "look", "fix", "dataclass", "property", "cache", "lru_cache"})
"""Of these it is known that they do nothing with a function elsewhere."""
BY_ATTRIBUTE = frozenset(
    {"import_module", "modules", "attrgetter", "methodcaller", "__import__", "__dict__", "__globals__"}
)
BY_NAME = frozenset({"getattr", "globals", "locals", "vars", "eval", "exec", "importlib", *BY_ATTRIBUTE} - {"modules"})
"""With these code finds other code that no name in it says: as an attribute of whatever, and as a plain name."""

Place = tuple[str, str]
"""A module and a name in it; "" is what runs when the module is imported."""


OF = "of "
"""Before a module's name: the statements of another one that change something in it. No name has a space."""


class _Module(NamedTuple):
    named: Mapping[str, list[ast.stmt]]
    imported: Mapping[str, Place]
    """What a name stands for when it comes from elsewhere; a name of "" is the module itself."""
    starred: list[str]
    loose: list[ast.stmt]
    inside: str
    """From where imports with dots in front are counted."""


class Code:
    """The modules of a plan, by name."""

    def __init__(self, folder: Path) -> None:
        self._modules: dict[str, _Module] = {}
        for file, name in module_names(folder):
            try:
                tree = ast.parse((folder / file).read_bytes())
            except (SyntaxError, ValueError):
                continue  # a fault says so, and the plan is refused
            self._modules[name] = _read(tree, name, file.endswith("__init__.py"))
        each = {name: _importing(one) for name, one in self._modules.items()}
        self._changed = changed_by(each)

    def meaning(self, starts: Iterable[Place], also: str = "") -> str:
        """A digest of all that these names reach, and of a text."""
        said: dict[Place, str] = {}
        waiting = list(starts)
        while waiting:
            place = waiting.pop()
            if place in said:
                continue
            said[place] = "" if place[0] in self._modules else "from elsewhere"
            statements, more = self._of(place)
            said[place] = said[place] or "\n".join(map(_plain, statements))
            waiting += [*more, *(found for one in statements for found in self._used(place[0], one))]
        parts = (f"{module}:{name}\n{text}" for (module, name), text in sorted(said.items()) if text)
        return RULE + blake2b("\n".join((*parts, also)).encode(), digest_size=12).hexdigest()

    def _of(self, place: Place) -> tuple[list[ast.stmt], list[Place]]:
        """The statements a place stands for, and other places that come with it."""
        module, name = place
        there = self._modules.get(module)
        if there is None:
            return [], []
        if not name:
            parents = [(PACKAGE, ""), *((module[:at], "") for at, sign in enumerate(module) if sign == ".")]
            changed = [(other, f"{OF}{module}") for other in self._changed.get(module, ())]
            return there.loose, [*changed, *(one for one in parents if one != place)]
        if name.startswith(OF):
            return self._changed[name.removeprefix(OF)][module], []
        more = [(module, "")]
        if name in there.imported:
            more += self._through(place, there.imported[name])
        elif name not in there.named:
            more += [(star, name) for star in there.starred]
        return there.named.get(name, []), more

    def _through(self, place: Place, found: Place) -> Iterable[Place]:
        """What comes with a name that is imported where it is looked for: of a module nobody sees what is used."""
        path = ".".join(filter(None, found))
        return [found] if path == ".".join(place) else [found, *self._everything(path)]

    def _used(self, module: str, statement: ast.stmt) -> Iterator[Place]:
        here = self._modules[module]
        inside = here.inside
        nodes = list(ast.walk(statement))
        bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        if any(_looks_up(node, here) for node in nodes):
            yield from ((other, one) for other in self._modules for one in ("", *self._all(other)))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from _imports(node, inside).values()
                yield from (found for whole in self._whole(node, inside) for found in self._everything(whole))
                yield from (found for star in _stars(node, inside) for found in self._everything(star))
            elif isinstance(node, ast.Attribute):
                yield from self._attribute(here, node, id(node) in bases)
            elif isinstance(node, ast.Name):
                if node.id in here.named:
                    yield module, node.id
                if node.id in here.imported:
                    yield from self._imported(here.imported[node.id], id(node) in bases)
                else:
                    yield from ((star, node.id) for star in here.starred)

    def _whole(self, node: ast.Import | ast.ImportFrom, module: str) -> Iterator[str]:
        """The modules of the plan that an import within a function gives a name to: nobody follows that name."""
        for one in node.names:
            found = one.name if isinstance(node, ast.Import) else f"{_module_of(node, module)}.{one.name}"
            if found in self._modules:
                yield found

    def _imported(self, place: Place, base: bool) -> Iterator[Place]:
        """``base``: something of it is named."""
        inside = ".".join(filter(None, place))
        if inside in self._modules:
            yield inside, ""
        yield place
        if not base:
            yield from self._everything(inside)

    def _attribute(self, here: _Module, node: ast.Attribute, base: bool) -> Iterator[Place]:
        """``shared.drain``, where ``shared`` is a module of the plan. ``base``: something of it is named."""
        parts = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name) or inner.id not in here.imported:
            return
        module, name = here.imported[inner.id]
        whole = ".".join(one for one in (module, name, *reversed(parts)) if one)
        for known in self._modules:
            if whole.startswith(f"{known}."):
                yield known, whole[len(known) + 1 :].partition(".")[0]
        if not base:
            yield from self._everything(whole)

    def _everything(self, path: str) -> list[Place]:
        """All of a module of the plan, and of those within it; [] when a path leads to no module."""
        waiting = [one for one in self._modules if one == path or one.startswith(f"{path}.")]
        seen: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module in self._modules and module not in seen:
                seen.add(module)
                waiting += self._modules[module].starred
        return [(module, one) for module in sorted(seen) for one in ("", *self._all(module))]

    def _all(self, module: str) -> list[str]:
        there = self._modules.get(module)
        return [*there.named, *there.imported] if there is not None else []


def _read(tree: ast.Module, name: str, package: bool) -> _Module:
    named: dict[str, list[ast.stmt]] = {}
    imported: dict[str, Place] = {}
    starred: list[str] = []
    loose: list[ast.stmt] = []
    inside = f"{name}.__init__" if package else name
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imported |= _imports(statement, inside)
            starred += _stars(statement, inside)
            continue
        bound = set(bound_by(statement))
        for one in bound:
            named.setdefault(one, []).append(statement)
        if not bound or _does_something(statement):
            loose.append(statement)
    return _Module(named, imported, starred, [one for one in loose if not _is_text(one)], inside)


def _importing(of: _Module) -> Importing:
    return Importing(of.named, of.imported, of.starred, of.loose, partial(_imports, module=of.inside))


def bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names a statement of a module gives a meaning."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((one.asname or one.name).partition(".")[0] for one in node.names)


def _does_something(statement: ast.stmt) -> bool:
    """Whether it may do more than name something: a decorator nobody knows, a branch, a change of something else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if any(_decorator(one) not in KNOWN_DECORATORS for one in statement.decorator_list):
            return True
        if isinstance(statement, ast.ClassDef):
            return any(_does_something(one) for one in statement.body if not _is_text(one))
        return _calls(statement.args)
    if isinstance(statement, ast.Assign):
        changes = (node for one in statement.targets for node in ast.walk(one))
        return any(isinstance(node, ast.Subscript | ast.Attribute) for node in changes) or _calls(statement.value)
    if isinstance(statement, ast.AnnAssign):
        return not isinstance(statement.target, ast.Name) or (statement.value is not None and _calls(statement.value))
    return not isinstance(statement, ast.Pass)


def _calls(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Call) for one in ast.walk(node))


def _looks_up(node: ast.AST, here: _Module) -> bool:
    """Whether it is one of those that find code by a name that is made while they run."""
    if isinstance(node, ast.Attribute):
        return node.attr in BY_ATTRIBUTE
    if isinstance(node, ast.Name):
        return node.id in BY_NAME or _finds(here.imported.get(node.id, ("", "")))
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any(map(_finds, _imports(node, here.inside).values()))
    return False


def _finds(place: Place) -> bool:
    module, name = place
    library = module.partition(".")[0]
    return library != PACKAGE and (library == "importlib" or name in BY_NAME | BY_ATTRIBUTE)


def _decorator(node: ast.expr) -> str:
    inner = node.func if isinstance(node, ast.Call) else node
    return inner.attr if isinstance(inner, ast.Attribute) else inner.id if isinstance(inner, ast.Name) else ""


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _imports(statement: ast.Import | ast.ImportFrom, module: str) -> dict[str, Place]:
    """What each name of an import stands for."""
    if isinstance(statement, ast.Import):
        return {
            one.asname or one.name.partition(".")[0]: (one.name if one.asname else one.name.partition(".")[0], "")
            for one in statement.names
        }
    of = _module_of(statement, module)
    return {one.asname or one.name: (of, one.name) for one in statement.names if one.name != "*"}


def _stars(statement: ast.Import | ast.ImportFrom, module: str) -> list[str]:
    if isinstance(statement, ast.Import) or all(one.name != "*" for one in statement.names):
        return []
    return [_module_of(statement, module)]


def _module_of(statement: ast.ImportFrom, module: str) -> str:
    if not statement.level:
        return statement.module or ""
    parents = module.split(".")[: -statement.level]
    return ".".join([*parents, *([statement.module] if statement.module else [])])


def _plain(statement: ast.stmt) -> str:
    """A statement without layout, docstrings, and what says how far a playbook is trusted."""
    for inner in ast.walk(statement):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(inner) is not None:
                inner.body = inner.body[1:] or [ast.Pass()]
            for one in inner.decorator_list:
                if isinstance(one, ast.Call) and _decorator(one) == "playbook":
                    one.keywords = [said for said in one.keywords if said.arg != "trust"]
    return ast.dump(statement)
