"""Schedules as tests write them: as the plan does."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent, indent

from tocsin.kernel.instant import Instant, from_datetime, parse_rfc3339
from tocsin.oncall.roster import Roster, Shift
from tocsin.plan import read_plan

PEOPLE = "ana ben kei zoe"
HEAD = f"tocsin: 1\npeople: {{{', '.join(f'{one}: {{email: {one}@shop.example}}' for one in PEOPLE.split())}}}\n"


def rota(layers: str, timezone: str = "UTC") -> Roster:
    """A schedule called ``shop`` of layers as a plan writes them."""
    written = indent(dedent(layers).strip(), "      ")
    text = f"{HEAD}schedules:\n  shop:\n    timezone: {timezone}\n    layers:\n{written}\n"
    reading = read_plan({"tocsin.yaml": text.encode()})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    return reading.plan.rosters["shop"]


def utc(text: str) -> Instant:
    """An instant, as ``2026-11-16 09:00`` in UTC."""
    return parse_rfc3339(f"{text.replace(' ', 'T')}:00Z")


def told(shifts: tuple[Shift, ...]) -> list[tuple[str, str, str]]:
    """Person, begin and end, in UTC."""

    def clock(at: Instant) -> str:
        moment = datetime.fromtimestamp(at / 1_000_000, UTC)
        assert from_datetime(moment) == at
        return f"{moment:%Y-%m-%d %H:%M}"

    return [(shift.person, clock(shift.start), clock(shift.end)) for shift in shifts]


def names(shifts: tuple[Shift, ...]) -> list[str]:
    """Who."""
    return [shift.person for shift in shifts]
