"""All the ways Tocsin looks by itself, as the probes' own files tell of them; read when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from tocsin.intake.probed import Probed
from tocsin.intake.probes import KINDS, record


@cache
def probed() -> Mapping[str, type[Probed]]:
    """What a plan may say of each probe, by its kind, in the order of the register."""
    return {kind: record(kind) for kind in KINDS}
