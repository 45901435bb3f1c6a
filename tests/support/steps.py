"""Runs looks and fixes of the library as a step of a run does: with the credentials of that step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from tocsin.playbooks.language import Fix, Look, Vault, vault

T = TypeVar("T")


def step(held: Mapping[str, Mapping[str, Any] | str], what: Look[..., T] | Fix[..., T], *args: Any, **kwargs: Any) -> T:
    """What a look or fix comes to. ``held``: of each target's name, its credential or what describes it."""
    urls = {name: one if isinstance(one, str) else msgspec.json.encode(one).decode() for name, one in held.items()}
    token = vault.set(Vault(urls))
    call: Callable[..., T] = what.function
    try:
        return call(*args, **kwargs)
    finally:
        vault.reset(token)
