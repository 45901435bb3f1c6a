"""Rows that are not a noun of their own room: parked requests and heard changes."""

from __future__ import annotations

from msgspec import Struct

from tocsin.intake.request import Request
from tocsin.kernel.instant import Instant


class Parked(Struct, kw_only=True):
    """A request that could not be read, kept whole for a person to see. ``id`` is its place in the journal."""

    id: int
    at: Instant
    key_id: int
    service: str
    fault: str
    request: Request
    incident: int = 0
    discarded: bool = False


class HeardChange(Struct, kw_only=True):
    """A deploy or another change that someone told Tocsin about."""

    id: int
    at: Instant
    service: str
    source: str
    summary: str
    link: str = ""
    details: dict[str, str] = {}
