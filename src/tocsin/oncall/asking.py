"""Questions about who is on call: what may be asked, and what is answered in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Shift
from tocsin.oncall.schedule import Schedule
from tocsin.oncall.zone import EARLIEST, LATEST, WEEK_OF, said, zone

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


def on_call(roster: Roster, at: Instant, covers: tuple[Cover, ...] = ()) -> tuple[Shift, ...]:
    """Who is on call at an instant, each with the whole of their shift."""
    return tuple(
        _whole(roster, one, covers) if _may_be_parted(roster.schedule, one) else one for one in roster.who(at, covers)
    )


def _whole(roster: Roster, shift: Shift, covers: tuple[Cover, ...]) -> Shift:
    """A shift with what is before and after it and is one with it, as ``unbroken`` says."""
    start, end, whose = shift.start, shift.end, _whose(shift)

    def there(at: Instant) -> list[Shift]:  # other than ``who`` tells, beside whatever else they are on call by
        found = (one for _, piece in roster.drawn(at, at + 1, covers) for one in piece.shifts if one.start <= at)
        return [one for one in found if at < one.end and _whose(one) == whose]

    while (before := min((one.start for one in there(start - 1)), default=start)) < start:
        start = before
    while (after := max((one.end for one in there(end)), default=end)) > end:
        end = after
    return shift._replace(start=start, end=end)


def unbroken(schedule: Schedule, shifts: Iterable[Shift]) -> list[Shift]:
    """Shifts in order of their begin, with those made one that only a handoff parts which hands nothing over.

    A layer of one turn has no other, whatever its plan says of them, and an override is one, over whatever turns and
    other overrides it lies. Where a layer applies all week it stays parted: somewhere a shift must end.
    """
    found: list[Shift] = []
    last: dict[tuple[str, int, int], int] = {}
    for shift in shifts:
        place = last.get(_whose(shift))
        if place is not None and shift.start <= found[place].end:
            found[place] = found[place]._replace(end=max(found[place].end, shift.end))
            continue
        if _may_be_parted(schedule, shift):
            last[_whose(shift)] = len(found)
        found.append(shift)
    return found


def _may_be_parted(schedule: Schedule, shift: Shift) -> bool:
    if shift.layer < 0 or shift.override > 0:
        return shift.override > 0
    layer = schedule.layers[shift.layer]
    return len(layer.turns) == 1 and 0 < sum(one.minutes for one in layer.only) < WEEK_OF


def _whose(shift: Shift) -> tuple[str, int, int]:
    return shift.person, shift.layer if shift.override <= 0 else 0, shift.override


def clipped(roster: Roster, start: Instant, end: Instant, covers: Sequence[Cover] = ()) -> list[Shift]:
    """The shifts of a range as far as they lie in it, in order of their begin."""
    found = [
        shift._replace(start=max(shift.start, start), end=min(shift.end, end))
        for shift in unbroken(roster.schedule, roster.shifts(start, end, covers))
    ]
    return sorted(found, key=lambda shift: (shift.start, shift.end, shift.person))
