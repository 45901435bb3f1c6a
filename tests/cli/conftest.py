"""The stage on which the command line is tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server that plays the API."""
    made = Stage()
    yield made
    made.close()
