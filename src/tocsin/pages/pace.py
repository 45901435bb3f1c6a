"""How many pages a second a channel's provider is given."""

from __future__ import annotations

from msgspec import Struct


class Pace(Struct, frozen=True):
    """``rate`` pages a second for long, ``burst`` at once. Of several providers each gets so many."""

    rate: float
    burst: int = 1
