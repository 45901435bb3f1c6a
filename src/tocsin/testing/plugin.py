"""The pytest plugin: fixtures for tests of playbooks. Imports nothing until one of them is asked for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tocsin.testing.scene import Scene


def _plan_above(test: Path) -> Path | None:
    for folder in test.parents:
        if (folder / "playbooks").is_dir() and any(folder.glob("*.y*ml")):
            return folder
    return None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """While a test beside playbooks is imported, ``from playbooks.mine import …`` finds those of its plan."""
    plan = _plan_above(collector.path) if isinstance(collector, pytest.Module) else None
    if plan is None or plan / "playbooks" not in collector.path.parents:
        return (yield)
    from tocsin.wiring import importing_from

    with importing_from(plan):
        return (yield)


@pytest.fixture
def tocsin_plan(request: pytest.FixtureRequest) -> Path:
    """The plan's folder: the nearest one above the test's file that has a YAML file and a folder ``playbooks``."""
    plan = _plan_above(request.path)
    if plan is not None:
        return plan
    raise pytest.UsageError("no plan was found above this test: a folder with a *.yaml file and playbooks/")


@pytest.fixture
def scene(tocsin_plan: Path) -> Scene:
    """A scene with the plan this test lies in. See ``tocsin.testing.scene``."""
    from tocsin.testing.scene import Scene

    return Scene(tocsin_plan)


@pytest.fixture
def each_kill(tocsin_plan: Path) -> Callable[[Callable[[Scene], None]], list[Scene]]:
    """Call it with a story, a function that takes a scene: told once for each point of its journal, and killed there.

    Answers with the scenes, in the order of the points, so that one line asserts what must hold in all of them. Raises
    LookupError when no playbook runs in the story: a test over nothing would be passed for ever.
    """
    from tocsin.testing.scene import Scene

    def told(story: Callable[[Scene], None]) -> list[Scene]:
        whole = Scene(tocsin_plan)
        story(whole)
        assert whole.run is not None  # raises, and says why, when there was none
        scenes = []
        for point in range(1, whole.points + 1):
            scene = Scene(tocsin_plan)
            scene.kill_at(point)
            story(scene)
            scenes.append(scene)
        return scenes

    return told
