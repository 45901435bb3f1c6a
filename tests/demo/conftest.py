"""Demos for the tests of this room."""

from __future__ import annotations

import pytest

from tests.demo.running import Running


@pytest.fixture
def demo(tmp_path_factory):
    """Starts a demo, and ends it whatever happens."""
    started: list[Running] = []

    def start(*arguments: str, fast: bool = True) -> Running:
        # A short name: the path of a Unix socket below it has room for about a hundred characters.
        started.append(Running(tmp_path_factory.mktemp("demo"), *arguments, *(["--fast"] if fast else [])))
        return started[-1]

    yield start
    for each in started:
        if each.process.running:
            each.process.stop()
