"""Schedules from what was written to the room's own types, and what about them will probably surprise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from tocsin.escalation.policy import Escalation
from tocsin.kernel.instant import say_duration
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Position
from tocsin.oncall import coverage
from tocsin.oncall.hours import Hours
from tocsin.oncall.roster import Roster
from tocsin.oncall.schedule import Layer, Length, Schedule, joined
from tocsin.oncall.zone import DAY_OF, MONDAY, WEEK_OF, Wall, said, wall_of
from tocsin.oncall.zone import zone as zone_of
from tocsin.plan import schema as written
from tocsin.plan.hours import ALWAYS, layer_hours
from tocsin.plan.names import Names
from tocsin.plan.rotas import Handoff, Start

NO_START: Final = Start(date(2000, 1, 3), "")
"""A Monday: turns count from here when nothing is said."""

_NINE: Final = 9 * 60
_EFFORT: Final = 200_000
"""How many shifts are looked at ahead in search of surprises, a second's worth; what is left then goes without."""


class Schedules:
    """Reads the section ``schedules`` of a plan's files."""

    def __init__(
        self, files: Sequence[written.PlanFile], people: Names, schedules: Names, calendars: Names, findings: Findings
    ) -> None:
        self._files = files
        self._people = people
        self._names = schedules
        self._calendars = calendars
        self._findings = findings
        self._hours: Mapping[str, Hours] = {}
        self._looked = 0

    def read(self, zone_of: Callable[[written.PlanFile], str], hours: Mapping[str, Hours]) -> dict[str, Schedule]:
        """Every schedule, by name. ``zone_of`` says which time zone a file is in."""
        self._hours = hours
        found: dict[str, Schedule] = {}
        for plan in self._files:
            for (key, at), schedule in plan.schedules or ():
                if key in self._people.places:
                    message = f"{shown(key)} is a person as well, {self._people.places[key].seen_from(at)}"
                    self._findings.error(at, message, "give the schedule another name: both can be paged")
                if schedule is None or key in found:
                    continue
                zone = schedule.timezone or zone_of(plan)
                if not {"layers", "calendar"} & set(schedule.places):
                    hint = "say who takes turns, the later over the earlier, or name a calendar"
                    self._findings.error(schedule.at, "a schedule needs the key 'layers'", hint)
                layers: list[Layer] = []
                between: list[tuple[int, str]] = []
                for place, layer in enumerate(schedule.layers or (), 1):
                    if layer.calendar is not None:
                        self._check_calendar(layer)
                        between.append((len(layers), self._calendars.known(layer.calendar)))
                    elif (read := self._layer(layer, place, layer.timezone or zone)) is not None:
                        layers.append(read)
                found[key] = Schedule(
                    key=key,
                    about=schedule.about or "",
                    timezone=zone,
                    calendar=self._calendars.known(schedule.calendar),
                    handoff_notice=schedule.handoff_notice != "off",
                    layers=tuple(layers),
                    between=tuple(between),
                )
        return found

    def _check_calendar(self, layer: written.Layer) -> None:
        """What a calendar says needs no words beside it."""
        for key in sorted(layer.places.keys() - {"calendar"}):
            message = f"a layer from a calendar has no {shown(key)}: its entries say who, and when"
            self._findings.error(layer.where(key), message, "leave it out")

    def _layer(self, layer: written.Layer, place: int, zone: str) -> Layer | None:
        turns = [tuple(dict.fromkeys(self._people.known(one) for one in turn)) for turn in layer.rotate or ()]
        turns = [turn for turn in turns if turn]
        shadows = tuple(dict.fromkeys(self._people.known(one) for one in layer.shadow or ()))
        if not turns:
            return None
        start = layer.starts.value if layer.starts else NO_START
        if start.person:
            first = next((place for place, turn in enumerate(turns) if start.person in turn), None)
            if first is None:
                known = dict.fromkeys(one for turn in turns for one in turn)
                message = f"{shown(start.person)} has no turn in this layer, so it cannot start with them"
                self._findings.error(layer.where("starts"), message, self._findings.nearest(start.person, known))
            else:
                turns = turns[first:] + turns[:first]
        if layer.every is None and "every" not in layer.places and len(turns) > 1:
            hint = "write how long a turn is, such as `every: week`"
            self._findings.error(layer.at, "a layer whose people take turns needs the key 'every'", hint)
        length = layer.every.value if layer.every else Length(minutes=WEEK_OF)
        handoff = layer.handoff.value if layer.handoff else Handoff(_NINE)
        self._check_handoff(layer, length, handoff)
        begins, day = _begin(start, layer.starts is not None, length, handoff)
        only, named = layer_hours(layer, zone, self._hours, self._findings)
        return Layer(
            name=layer.name or f"layer {place}",
            turns=tuple(turns),
            length=length,
            begins=begins,
            day=day,
            timezone=zone,
            # Hours that are open all week are no reason to forget the days on which they are closed.
            only=joined(only) or (ALWAYS if any(one.closed or one.holidays for one in named) else ()),
            closed=tuple(sorted({day for one in named for day in one.closed})),
            holidays=tuple(dict.fromkeys(name for one in named for name in one.holidays)),
            shadows=shadows,
        )

    def _check_handoff(self, layer: written.Layer, length: Length, handoff: Handoff) -> None:
        at = layer.where("handoff")
        if handoff.weekday is not None and (length.months or length.minutes % WEEK_OF):
            hint = "write the time alone" if not length.months else "write the day of the month, such as 1 09:00"
            self._findings.error(at, "turns that do not last whole weeks have no weekday to change on", hint)
        if handoff.day is not None and not length.months:
            hint = "write a weekday or the time alone"
            self._findings.error(at, "turns that do not last whole months have no day of the month to change on", hint)

    # what will probably surprise

    def warn(self, schedules: dict[str, Schedule], escalations: dict[str, Escalation]) -> None:
        """Look ahead: turns without a beginning, layers nobody sees, gaps, and people who would be called twice."""
        self._warn_of_starts()
        self._warn_of_turns()
        self._warn_of_idle_keys()
        rosters = {key: Roster(one) for key, one in schedules.items()}
        for key, roster in rosters.items():
            at = self._names.places[key]
            self._warn_of_hidden(roster.schedule, at)
            self._warn_of_gaps(roster, at)
            self._warn_of_overlaps(roster, at)
        self._warn_of_offsets(escalations, rosters)
        self._warn_of_twice(escalations, rosters)
        self._warn_of_named(escalations, rosters)

    def _may_look(self, *rosters: Roster) -> bool:
        self._looked += sum(map(coverage.effort, rosters))
        return self._looked <= _EFFORT

    def _warn_of_starts(self) -> None:
        for plan in self._files:
            for _, schedule in plan.schedules or ():
                for layer in (schedule.layers or ()) if schedule else ():
                    if layer.starts is None and len(layer.rotate or ()) > 1:
                        first = (layer.rotate or ())[0][0].value
                        message = f"the layer has no `starts`: its turns count from Monday 2000-01-03 with {first}"
                        hint = f"say from which day, such as `starts: 2026-11-16 with {first}`"
                        self._findings.warning(layer.at, message, hint)

    def _warn_of_turns(self) -> None:
        for plan in self._files:
            for _, schedule in plan.schedules or ():
                for layer in (schedule.layers or ()) if schedule else ():
                    turns = [[one.value for one in turn] for turn in layer.rotate or ()]
                    for turn in turns:
                        if len(set(turn)) < len(turn):
                            twice = next(one for one in turn if turn.count(one) > 1)
                            self._findings.warning(layer.at, f"a turn names {twice} twice", "name each person once")
                    if len(turns) > 1 and all(set(turn) == set(turns[0]) for turn in turns):
                        who = " and ".join(dict.fromkeys(turns[0]))
                        hint = "name who takes turns with them, or write them once"
                        self._findings.warning(layer.at, f"every turn of the layer is that of {who}", hint)
                    for one in layer.shadow or ():
                        if turns and all(one.value in turn for turn in turns):
                            message = f"{one.value} shadows only themselves: every turn of the layer is theirs"
                            self._findings.warning(layer.at, message, "name somebody else under `shadow`")

    def _warn_of_idle_keys(self) -> None:
        """Keys about taking turns, where nobody takes turns."""
        for plan in self._files:
            for _, schedule in plan.schedules or ():
                for layer in (schedule.layers or ()) if schedule else ():
                    idle = [key for key in ("every", "handoff", "starts") if key in layer.places]
                    if len(layer.rotate or ()) != 1 or not idle:
                        continue
                    who = " and ".join(dict.fromkeys(one.value for one in (layer.rotate or ())[0]))
                    keys = " and ".join(f"`{key}`" for key in idle)
                    message = (
                        f"every turn of the layer is that of {who}, so {keys} change{'s' * (len(idle) == 1)} nothing"
                    )
                    hint = "leave it out, or name who takes turns with them"
                    self._findings.warning(layer.where(idle[0]), message, hint)

    def _warn_of_hidden(self, schedule: Schedule, at: Position) -> None:
        for place, layer in enumerate(schedule.layers[1:], 1):
            if not layer.only:
                under = " and ".join(one.name for one in schedule.layers[:place][-3:])
                message = f"{layer.name} of {schedule.key} always applies, so nobody is ever on call by {under}"
                self._findings.warning(at, message, "put the layer that always applies first, or give the later `only`")

        for place, name in schedule.between:
            over = next((one.name for one in schedule.layers[place:] if not one.only), "")
            if over:
                message = f"{over} of {schedule.key} always applies, so nobody is ever on call by the calendar {name}"
                self._findings.warning(at, message, "put the layer that always applies before it, or give it `only`")

    def _warn_of_gaps(self, roster: Roster, at: Position) -> None:
        if roster.schedule.rotas:
            return  # what it leaves uncovered is known only where it is read
        gaps = coverage.gaps_ahead(roster, self._findings.now) if self._may_look(roster) else ()
        if not gaps:
            return
        key, zone = roster.schedule.key, roster.schedule.timezone
        start, end = gaps[0]
        first = f"{said(start, zone)} to {said(end, zone)}"
        if zone_of(zone).local(start).year == NO_START.day.year:  # nobody said from when: the day means nothing
            first = re.sub(r" [0-9]+ \w+ [0-9]{4}", "", first)
        count = f"{len(gaps)} gap{'s' if len(gaps) > 1 else ''}"
        length = sum(end - start for start, end in gaps)
        lasts = f"{say_duration(length)} in 52 weeks, in {count}"
        message = f"nobody is on call by {key} for {lasts}; the first is from {first}"
        hint = "a page goes on to the next step then; a first layer without `only` covers all"
        self._findings.warning(at, message, hint)

    def _warn_of_overlaps(self, roster: Roster, at: Position) -> None:
        if roster.schedule.rotas:
            return
        both = coverage.overlaps_ahead(roster, self._findings.now) if self._may_look(roster) else ()
        if both:
            key, zone = roster.schedule.key, roster.schedule.timezone
            who, times = " and ".join(both[0].people), f"{len(both)} time{'s' if len(both) > 1 else ''} in 52 weeks"
            message = f"{who} are on call by {key} at once {both[0].why}: {times}, first at {said(both[0].start, zone)}"
            self._findings.warning(at, message, "hand off at an hour that clocks do not show twice, such as 09:00")

    def _warn_of_offsets(self, escalations: dict[str, Escalation], rosters: dict[str, Roster]) -> None:
        for escalation in escalations.values():
            for step in escalation.steps:
                for target in step.targets:
                    kind, _, rest = target.partition(":")
                    key, _, offset = rest.partition(":")
                    if kind != "schedule" or not offset or key not in rosters:
                        continue
                    for layer in rosters[key].schedule.layers:
                        if len(layer.turns) == 1:
                            message = f"{layer.name} has one turn, so there is no {offset} on {key} while it applies"
                            hint = f"{escalation.key} goes on to the next step then"
                            self._findings.warning(self._names.places[key], message, hint)

    def _warn_of_named(self, escalations: dict[str, Escalation], rosters: dict[str, Roster]) -> None:
        told: set[tuple[str, str]] = set()
        for escalation in escalations.values():
            for key, person in escalation.named_beside():
                roster = rosters.get(key)
                if (key, person) in told or roster is None or person not in roster.schedule.people():
                    continue
                told.add((key, person))
                found = coverage.named_too(roster, person, self._findings.now) if self._may_look(roster) else None
                if found is not None:
                    zone = roster.schedule.timezone
                    message = (
                        f"{person} is on call by {key}, first from {said(found.start, zone)} to "
                        f"{said(found.end, zone)}, and is all that another step of {escalation.key} pages: it would "
                        "page them twice and nobody else"
                    )
                    hint = "let that step page somebody else as well, or `next on` the schedule"
                    self._findings.warning(self._names.places[key], message, hint)

    def _warn_of_twice(self, escalations: dict[str, Escalation], rosters: dict[str, Roster]) -> None:
        told: set[tuple[str, str]] = set()
        for escalation in escalations.values():
            for key, other in escalation.successive():
                if (key, other) in told or not {key, other} <= rosters.keys():
                    continue
                told.add((key, other))
                found = None
                both = rosters[key], rosters[other]
                if all(one.schedule.layers for one in both) and self._may_look(*both):
                    found = coverage.twice(rosters[key], rosters[other], self._findings.now)
                if found is not None:
                    zone = rosters[other].schedule.timezone
                    message = (
                        f"{found.person} is on call by {key} and {other} at once, first from "
                        f"{said(found.start, zone)} to {said(found.end, zone)}: "
                        f"{escalation.key} would page them twice and nobody else"
                    )
                    hint = "let the second schedule start with another person"
                    self._findings.warning(self._names.places[other], message, hint)


def _begin(start: Start, written: bool, length: Length, handoff: Handoff) -> tuple[Wall, int]:
    """When the turn begins that is on at the start day's end, and the day of the month turns of months begin on.

    That is the last handoff on that day or before it.
    """
    day = wall_of(start.day)
    if length.months:
        of_month = handoff.day or (start.day.day if written else 1)
        layer = Layer(
            name="", turns=((),), length=Length(months=1), begins=day + handoff.minute, timezone="UTC", day=of_month
        )
        return layer.begin(layer.turn(day + DAY_OF - 1)), of_month
    if length.minutes % WEEK_OF == 0:
        weekday = (day - MONDAY) // DAY_OF % 7
        if handoff.weekday is not None:
            day -= (weekday - handoff.weekday) % 7 * DAY_OF
    return day + handoff.minute, 1
