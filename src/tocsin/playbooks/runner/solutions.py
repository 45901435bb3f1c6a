"""The solutions that are there: Tocsin's own, and those that packages beside it publish by an entry point.

A package says ``[project.entry-points."tocsin.solutions"]`` and ``acme = "acme_tocsin"``: its short name, and the
module that has its looks, fixes and targets. Playbooks it brings lie in a folder ``playbooks`` of that module.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from types import ModuleType
from typing import Any, NamedTuple

from tocsin.playbooks.language import Fix, Look, Target
from tocsin.playbooks.offered import Described, Step

GROUP = "tocsin.solutions"
LIBRARY = "tocsin.library"
NAME = re.compile(r"[A-Za-z_]\w*")


class Solution(NamedTuple):
    """One solution: its short name, its module, and whose it is (a package and its version; "" Tocsin's own).

    ``wrong``: why it cannot be called by its short name; "" when it can.
    """

    name: str
    module: str
    package: str = ""
    wrong: str = ""


@cache
def installed() -> tuple[Solution, ...]:
    """Those of packages, by name. A name that is Tocsin's own, or of two packages, is nobody's short name."""
    found = sorted({(one.name, one.value): one for one in entry_points(group=GROUP)}.items())
    count: dict[str, list[str]] = {}
    for (name, _), one in found:
        count.setdefault(name, []).append(_package(one))
    return tuple(Solution(name, one.value, _package(one), _wrong(one, count[name])) for (name, _), one in found)


def _package(one: EntryPoint) -> str:
    return f"{one.dist.name} {one.dist.version}" if one.dist is not None else one.value


def _wrong(one: EntryPoint, packages: list[str]) -> str:
    if not NAME.fullmatch(one.name):
        return f"{one.name!r} is no name a step can say: letters, digits and underscores"
    if one.attr or one.extras or not one.module:
        return f"{one.value} is no module: a solution's entry point names a module alone"
    if one.name in own_modules():
        return f"{one.name} is a solution of Tocsin's own"
    if len(packages) > 1:
        return f"{' and '.join(packages)} both call theirs {one.name}"
    return ""


@cache
def own_modules() -> tuple[str, ...]:
    """The names of all modules of Tocsin's library, whatever is in them."""
    library = importlib.import_module(LIBRARY)
    return tuple(one.name for one in pkgutil.iter_modules(library.__path__))


def own() -> tuple[Solution, ...]:
    """Tocsin's own: of its library what has something to look at or to fix."""
    modules = ((name, importlib.import_module(f"{LIBRARY}.{name}")) for name in own_modules())
    return tuple(Solution(name, module.__name__) for name, module in modules if offered(module))


def names() -> list[str]:
    """Every short name that a step may say."""
    return sorted([one.name for one in own()] + [one.name for one in installed() if not one.wrong])


def places(path: str) -> list[str]:
    """The modules that the first part of a step's name may mean, the likeliest first."""
    first, _, rest = path.partition(".")
    theirs = [one for one in installed() if one.name == first and not one.wrong]
    found = [f"{LIBRARY}.{path}", *(".".join(filter(None, (one.module, rest))) for one in theirs)]
    if "." in path or not first.startswith("tocsin"):
        found.append(path)
    return list(dict.fromkeys(found))


def why_not(path: str) -> str:
    """Why a package's solution cannot be called so; "" when none wants to be."""
    first = path.partition(".")[0]
    for one in installed():
        if one.name == first and one.wrong:
            return f"{one.wrong}; write {one.module} in full"
    return ""


def offered(module: ModuleType) -> list[str]:
    """The names of what a module declares with ``@look`` and ``@fix``."""
    return sorted(name for name, one in vars(module).items() if isinstance(one, Look | Fix))


def kinds(module: ModuleType) -> list[str]:
    """The kinds of targets that a module knows, as ``works on`` says them."""
    there = (one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Target))
    return sorted({one.kind for one in there if one is not Target})


def brought(one: Solution) -> dict[str, bytes]:
    """The playbooks a package's solution brings, and their tests: contents by file's name."""
    if not one.package:
        return {}
    folder = files(one.module) / "playbooks"
    if not folder.is_dir():
        return {}
    ends = (".py", ".yaml", ".md")
    there = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.name)
    return {file.name: file.read_bytes() for file in there if file.name.endswith(ends) and file.name != "__init__.py"}


def modules_with_clients() -> tuple[str, ...]:
    """The beginnings of the names of modules whose ``WARM`` says what a run would otherwise wait for."""
    return (f"{LIBRARY}.", *(one.module for one in installed() if not one.wrong))


def described(name: str = "") -> list[Described]:
    """All solutions that are there, or those of one name: Tocsin's own first. Imports them, in this process."""
    return [_described(one) for one in (*own(), *installed()) if name in ("", one.name)]


def _described(one: Solution) -> Described:
    try:
        module = importlib.import_module(one.module)
        playbooks = playbooks_of(brought(one))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # code of others: whatever it raises is what is to be told
        return Described(*one[:3], one.wrong or f"importing {one.module} raises {type(error).__name__}: {error}"[:300])
    about = _first_sentence(module)
    steps = tuple(_step(name, getattr(module, name)) for name in offered(module))
    return Described(*one, about, tuple(kinds(module)), steps, playbooks)


def _step(name: str, what: Look[..., Any] | Fix[..., Any]) -> Step:
    takes = re.sub(r": '([^']*)'", r": \1", str(inspect.signature(what.function)).partition(" ->")[0])
    return Step(name, "fix" if isinstance(what, Fix) else "look", takes, _first_sentence(what.function))


def _first_sentence(thing: object) -> str:
    paragraph = " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].replace("``", "").split())
    first, stop, _ = paragraph.partition(". ")
    return first + stop.strip()


def playbooks_of(files: Iterable[str]) -> tuple[str, ...]:
    """The names of the playbooks among files, without their tests."""
    return tuple(sorted({file.rpartition(".")[0].replace("_", "-") for file in files if not file.startswith("test_")}))
