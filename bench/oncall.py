"""How long it takes to say who is on call: at one instant, and for a calendar of many schedules."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from tocsin.kernel.instant import DAY, HOUR, MINUTE, parse_rfc3339
from tocsin.oncall.imported import ROTA
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.plan import read_plan
from tocsin.runtime.ical import MOST_ENTRIES

SCHEDULES = 200
WEEKS = 12
NOW = parse_rfc3339("2026-11-23T10:00:00Z")
ENTRY = 170 * MINUTE
"""So long an entry of the imported rota is: that many of these lie in the days that are kept of a calendar."""
_ZONES = ("Europe/Madrid", "Asia/Tokyo", "America/New_York", "Australia/Sydney", "UTC")


def plan_text(schedules: int) -> bytes:
    """A plan of schedules such as teams have: weeks, days or half days, and a site that takes office hours."""
    people = [f"p{n}" for n in range(50)]
    lines = ["tocsin: 1", "people:", *(f"  {one}: {{email: {one}@shop.example}}" for one in people), "schedules:"]
    for n in range(schedules):
        turns = ", ".join(people[(n * 7 + step) % 50] for step in range(6))
        every = ("every: week, handoff: Mon 09:00", "every: day, handoff: 09:00", "every: 12h")[n % 3]
        lines += [
            f"  s{n}:",
            f"    timezone: {_ZONES[n % 5]}",
            "    layers:",
            f"      - {{rotate: [{turns}], {every}, starts: 2026-11-16}}",
            f"      - {{rotate: {people[n % 50]}, timezone: {_ZONES[(n + 1) % 5]}, only: Mon-Fri 09:00-18:00}}",
        ]
    return "\n".join(lines).encode()


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Medians: microseconds for one instant cold and from the cache, milliseconds for the calendar.

    ``imported``: as many entries of a calendar lie over the layers as are read of one, and another shift is asked
    about than the one that was.
    """
    reading = read_plan({"tocsin.yaml": plan_text(SCHEDULES)})
    assert reading.plan is not None, reading.findings[:3]
    schedules = list(reading.plan.schedules.values())
    covers = tuple(Cover(n, "p1", NOW + n * DAY, NOW + n * DAY + HOUR) for n in range(1, 11))
    rota = tuple(Cover(ROTA, f"p{n % 50}", NOW + n * ENTRY, NOW + (n + 1) * ENTRY) for n in range(MOST_ENTRIES))
    cold, cached, overridden, calendar = [], [], [], []
    imported_cold, imported = [], []
    for _ in range(rounds):
        rosters = [Roster(schedule) for schedule in schedules]
        cold += [_took(partial(roster.who, NOW)) for roster in rosters]
        for roster in rosters:
            cached.append(_took(partial(roster.who, NOW + 60)))
            roster.who(NOW, covers)
            overridden.append(_took(partial(roster.who, NOW + 60, covers)))
        for roster in [Roster(schedule) for schedule in schedules[:20]]:
            imported_cold.append(_took(partial(roster.who, NOW, rota)))
            imported.append(_took(partial(roster.who, NOW + 2 * ENTRY, rota)))
        fresh = [Roster(schedule) for schedule in schedules]
        calendar.append(_took(partial(_calendar, fresh)))
    found = {
        "cold_us": median(cold) * 1e6, "cold_worst_us": max(cold) * 1e6, "cached_us": median(cached) * 1e6,
        "overridden_us": median(overridden) * 1e6, "calendar_ms": median(calendar) * 1e3,
        "imported_us": median(imported) * 1e6, "imported_cold_us": median(imported_cold) * 1e6,
    }  # fmt: skip
    say(
        f"who is on call: {found['cached_us']:.1f} µs from the cache ({found['overridden_us']:.1f} with ten overrides),"
        f" {found['cold_us']:.0f} µs cold; of {MOST_ENTRIES:,} imported entries {found['imported_us']:.1f} µs, cold"
        f" {found['imported_cold_us']:.0f}; {WEEKS} weeks of {SCHEDULES} schedules {found['calendar_ms']:.0f} ms"
    )
    return found


def _calendar(rosters: list[Roster]) -> int:
    return sum(len(roster.shifts(NOW, NOW + WEEKS * 7 * DAY)) for roster in rosters)


def _took(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
