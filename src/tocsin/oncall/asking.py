"""Questions about who is on call: what may be asked, and what is answered in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Shift
from tocsin.oncall.schedule import Schedule
from tocsin.oncall.zone import EARLIEST, LATEST, said, zone

LONGEST_RANGE: Duration = 732 * DAY
"""Shifts are listed for two years at most."""


def fault_of(at: Instant) -> str:
    """Why an instant cannot be asked about; "" when it can."""
    return "" if EARLIEST <= at < LATEST else "ask about a time from 1980 to 2199"


def fault_of_range(start: Instant, end: Instant) -> str:
    """Why a range cannot be asked about; "" when it can."""
    if start >= end:
        return "the range must end after it begins"
    if fault_of(start) or fault_of(end - 1):
        return fault_of(start) or fault_of(end - 1)
    return "ask about two years at most" if end - start > LONGEST_RANGE else ""


def layer_of(schedule: Schedule, shift: Shift) -> str:
    """Which layer, or which override, made a shift: ``layer 2``, ``override 7``, ``calendar``."""
    if shift.override < 0:
        return "calendar"
    return f"override {shift.override}" if shift.override else schedule.layers[shift.layer].name


def why(schedule: Schedule, shift: Shift, covers: Iterable[Cover] = ()) -> str:
    """Why somebody is on call, for people."""
    if shift.override:
        told = next((one.why for one in covers if one.id == shift.override), "")
        if shift.override < 0:
            return f"{schedule.key}: {told}" if told else schedule.key
        return f"override {shift.override} of {schedule.key}{': ' if told else ''}{told}"
    layer = schedule.layers[shift.layer]
    if len(layer.turns) == 1:
        return f"{layer.name} of {schedule.key}"
    edges = zone(layer.timezone).edges
    begin, end = edges(layer.begin(shift.turn))[0], edges(layer.begin(shift.turn + 1))[1]
    return (
        f"{layer.name} of {schedule.key}, the turn from {said(begin, layer.timezone)} to {said(end, layer.timezone)} "
        f"{layer.timezone}"
    )


def clipped(roster: Roster, start: Instant, end: Instant, covers: Sequence[Cover] = ()) -> list[Shift]:
    """The shifts of a range as far as they lie in it, in order of their begin."""
    found = [
        shift._replace(start=max(shift.start, start), end=min(shift.end, end))
        for shift in roster.shifts(start, end, covers)
    ]
    return sorted(found, key=lambda shift: (shift.start, shift.end, shift.person))
