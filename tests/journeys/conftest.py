"""What several journeys begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.telling import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop that is open."""
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Shop(folder)
    shop.start()
    return shop
