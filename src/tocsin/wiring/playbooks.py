"""Playbooks apart from any server: tried for real, or imported for tests of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.settings import Settings

if TYPE_CHECKING:
    from tocsin.plan.model import Plan
    from tocsin.playbooks.language import Fix, Look
    from tocsin.playbooks.manifest import Manifest
    from tocsin.playbooks.offered import Described
    from tocsin.playbooks.run import Report


def dry_run(
    settings: Settings,
    files: Mapping[str, bytes],
    plan: Plan,
    manifest: Manifest,
    service: str,
    targets: Mapping[str, str],
    args: Mapping[str, str],
    labels: Mapping[str, str],
    told: Callable[[Report], None],
    title: str = "",
    severity: str = "",
) -> tuple[int, str]:
    """Diagnose for real with one of the plan's playbooks, apart from any server; nothing is changed.

    Returns its process's status and what it printed. Raises LookupError for a missing secret, and
    OSError when it was not begun.
    """
    from tocsin.playbooks.confinement import Unconfined
    from tocsin.playbooks.language import About
    from tocsin.playbooks.runner.pool import Unstartable
    from tocsin.playbooks.runner.trying import dry_run
    from tocsin.playbooks.session import Start
    from tocsin.playbooks.targets import credential, secrets_of

    there = {one.name: one for one in plan.targets if one.service == service}
    settings.ask_for(text for name in targets.values() for text in secrets_of(there[name].reading))
    urls = {name: credential(there[name].reading, settings.secret) for name in targets.values()}
    about = About(service=service, title=title, severity=severity, labels=dict(labels))
    start = Start(manifest.name, about, dict(targets), dict(args), urls)
    try:
        return asyncio.run(dry_run(files, start, manifest.hand_over_after, told, settings.own_folders))
    except (Unconfined, Unstartable) as error:
        raise OSError(f"It was not begun: {error}") from None


def import_playbooks(folder: Path, files: Mapping[str, bytes]) -> None:
    """Import a plan's playbooks into this process: for tests of them, which run there."""
    import importlib

    from tocsin.playbooks.runner.building import composed_among, declare_composed
    from tocsin.playbooks.runner.modules import module_names

    with importing_from(folder):
        for _, name in module_names(folder):
            importlib.import_module(name)
        declare_composed(composed_among(files))


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Meanwhile, ``from playbooks.mine import …`` finds what lies in a plan's folder, and none of another plan."""
    from tocsin.playbooks.runner.modules import forget_modules, make_importable

    forget_modules()
    make_importable(folder)
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def named_step(name: str) -> Look[..., Any] | Fix[..., Any]:
    """The look or fix of a name, of a solution or of the plan that was imported. Raises LookupError in words."""
    from tocsin.playbooks.language import Fix, Look
    from tocsin.playbooks.runner.fitting import Unfit, found_by_name

    try:
        found = found_by_name(name, 0)
    except Unfit as error:
        raise LookupError(str(error)) from None
    if not isinstance(found, Look | Fix):
        raise LookupError(f"{name} is neither a look nor a fix any more")
    return found


def solutions(name: str = "") -> list[Described]:
    """The solutions that are there, or those of one name: Tocsin's own, and what packages beside it publish."""
    from tocsin.playbooks.runner.solutions import described

    return described(name)


def playbook_of(solution: str, name: str) -> dict[str, str]:
    """The files of a playbook that a package's solution brings, and of its test, by their names.

    Raises LookupError, with what there is, when no package brings it.
    """
    from tocsin.playbooks.runner.solutions import brought, installed, playbooks_of

    meant = [one for one in installed() if one.name == solution]
    if not meant:
        there = ", ".join(one.name for one in installed()) or "none is installed"
        raise LookupError(f"no package beside Tocsin has a solution {solution}: {there}")
    word = name.replace("-", "_")
    files = brought(meant[0])
    wanted = [f"{word}.py", f"{name}.yaml", f"{name}.md"]
    if not any(file in files for file in wanted):
        there = ", ".join(playbooks_of(files)) or "none"
        raise LookupError(f"{solution} brings no playbook {name}; it brings {there}")
    return {file: files[file].decode() for file in (*wanted, f"test_{word}.py") if file in files}
