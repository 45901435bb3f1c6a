"""Probes: one file looks at one kind of thing, once. When to look and what follows is decided elsewhere.

To add one: a file with ``check(spec, now, outside) -> Checked``, or where it needs secrets ``checker(secret)`` that
makes one, and with ``PROBE``, which is what a plan may say of it (``intake/probed.py``); and its name here. The file is
read wherever a plan is, so what takes its time to be imported (a client) is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from tocsin.intake.checked import Probe
from tocsin.intake.probed import Probed

KINDS = (
    "http",
    "tcp",
    "process",
    "disk",
    "redis",
    "postgres",
    "peer",
)
"""Each line is the name of a file here."""


def record(kind: str) -> type[Probed]:
    """What a plan may say of a kind."""
    found: type[Probed] = import_module(f"{__name__}.{kind}").PROBE
    return found


def missing(kind: str) -> str:
    """What a kind needs that is not on this machine, and how to get it; "" when nothing. Its file may say so:
    ``installed()``, and ``MISSING``.
    """
    file = import_module(f"{__name__}.{kind}")
    return str(file.MISSING) if hasattr(file, "installed") and not file.installed() else ""


def probe(kind: str, secret: Callable[[str], str]) -> Probe:
    """The probe of a kind. ``secret`` is the text behind a reference such as ``secret:cart_ro``."""
    file = import_module(f"{__name__}.{kind}")
    made: Probe = file.checker(secret) if hasattr(file, "checker") else file.check
    return made


def probes(secret: Callable[[str], str]) -> Mapping[str, Probe]:
    """Every probe."""
    return {kind: probe(kind, secret) for kind in KINDS}
