"""Probes: one file looks at one kind of thing, once. When to look and what follows is decided elsewhere.

To add one: a file with ``check(spec, now, outside) -> Checked`` and a line here. One that needs secrets is made with
what knows them, in ``probes``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tocsin.intake.checked import Probe
from tocsin.intake.probes import disk, http, peer, postgres, process, redis, tcp

PROBES: dict[str, Probe] = {
    "http": http.check,
    "tcp": tcp.check,
    "process": process.check,
    "disk": disk.check,
    "peer": peer.check,
}


def probes(secret: Callable[[str], str]) -> Mapping[str, Probe]:
    """Every probe. ``secret`` is the text behind a reference such as ``secret:cart_ro``."""
    return {**PROBES, "redis": redis.checker(secret), "postgres": postgres.checker(secret)}
