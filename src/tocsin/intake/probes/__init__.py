"""Probes: one file looks at one kind of thing, once. When to look and what follows is decided elsewhere.

To add one: a file with ``check(spec, now, outside) -> Checked``, or where it needs secrets ``checker(secret)`` that
makes one, and its name here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from tocsin.intake.checked import Probe

KINDS = (
    "http",
    "tcp",
    "process",
    "disk",
    "peer",
    "redis",
    "postgres",
)
"""Each line is the name of a file here."""


def probe(kind: str, secret: Callable[[str], str]) -> Probe:
    """The probe of a kind. ``secret`` is the text behind a reference such as ``secret:cart_ro``."""
    file = import_module(f"{__name__}.{kind}")
    made: Probe = file.checker(secret) if hasattr(file, "checker") else file.check
    return made


def probes(secret: Callable[[str], str]) -> Mapping[str, Probe]:
    """Every probe."""
    return {kind: probe(kind, secret) for kind in KINDS}
