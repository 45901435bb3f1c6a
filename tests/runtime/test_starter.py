"""Whoever begins gets a plan to begin with, in a folder that stays as it is; nobody else does."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tocsin.plan import starter_plan
from tocsin.runtime.supervisor import DO_NOT_RESTART
from tocsin.settings import Settings
from tocsin.store.opening import create, url_for
from tocsin.wiring.core import core
from tocsin.wiring.starter import begin_with_starter

FILES = starter_plan()


def of(in_force: dict[str, bytes] | None) -> Any:
    """What a database says of the plan in force."""
    return SimpleNamespace(meta=lambda name: b"v1" if in_force else None, plan_files=lambda version: in_force)


NEW, OLD = of(None), of({"tocsin.yaml": b"tocsin: 1"})


def plan_in(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if not one.name.startswith((".", "lost"))}


def test_the_folder_itself_stays_whose_and_what_it_is(tmp_path: Path) -> None:
    """It may be a mount, or a link to where the team keeps its plan, with rights of its own."""
    theirs = tmp_path / "kept elsewhere"
    (theirs / "lost+found").mkdir(parents=True)
    (theirs / ".gitkeep").touch()
    theirs.chmod(0o2770)
    before = theirs.stat()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plan").symlink_to(theirs)
    around = set(tmp_path.iterdir())
    assert begin_with_starter(Settings(data=tmp_path / "data"), NEW)
    assert plan_in(theirs) == FILES
    after = theirs.stat()
    assert (after.st_ino, stat.S_IMODE(after.st_mode)) == (before.st_ino, 0o2770)
    assert set(tmp_path.iterdir()) == around and [one.name for one in (tmp_path / "data").iterdir()] == ["plan"]
    assert not begin_with_starter(Settings(data=tmp_path / "data"), NEW), "once"


def test_who_had_a_plan_is_no_newcomer_wherever_it_has_gone(tmp_path: Path) -> None:
    """A folder that did not come along, or a second node without one: the last good plan stays in force."""
    settings = Settings(data=tmp_path)
    assert not begin_with_starter(settings, OLD) and not (tmp_path / "plan").exists()
    (tmp_path / "plan").mkdir()
    assert not begin_with_starter(settings, OLD) and not plan_in(tmp_path / "plan")
    (tmp_path / "plan" / "team.yaml").touch()
    assert not begin_with_starter(settings, NEW) and plan_in(tmp_path / "plan") == {"team.yaml": b""}
    (tmp_path / "named").mkdir()
    assert not begin_with_starter(Settings(data=tmp_path, plan=tmp_path / "named"), NEW)


async def test_what_could_not_be_written_is_said_and_the_next_start_is_a_beginning_again(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, environ={})
    create(url_for(tmp_path, ""))
    (tmp_path / "plan" / ".tocsin.yaml.new").mkdir(parents=True)
    assert await core(settings) == DO_NOT_RESTART
    assert not plan_in(tmp_path / "plan")
    (tmp_path / "plan" / ".tocsin.yaml.new").rmdir()
    assert begin_with_starter(settings, NEW), "its database is there by now"
    assert plan_in(tmp_path / "plan") == FILES


@pytest.mark.parametrize("left", ["", "half of it"])
def test_what_an_attempt_left_is_no_plan(left: str, tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / ".tocsin.yaml.new").write_text(left)
    assert begin_with_starter(Settings(data=tmp_path), NEW)
    assert plan_in(tmp_path / "plan") == FILES and len(list((tmp_path / "plan").iterdir())) == 1
