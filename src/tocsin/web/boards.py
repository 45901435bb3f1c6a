"""What the page On call shows of schedules: who now and next, four weeks as bars, and who in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import NamedTuple

from tocsin.kernel.instant import DAY, HOUR, Duration, Instant, from_datetime, to_datetime
from tocsin.oncall.asking import unbroken
from tocsin.oncall.coverage import absent, at_once, overlaps, whom_named
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Shift, Span
from tocsin.oncall.zone import DAYS, MONTHS
from tocsin.plan.model import Covers, Plan
from tocsin.web.spelling import ISOLATES
from tocsin.web.words import Reader, listed, spelled

WEEKS = 4
AHEAD: Duration = WEEKS * 7 * DAY
OWN_AHEAD: Duration = 12 * 7 * DAY
SHORT: Duration = 5 * HOUR
"""Turns shorter than this have no room for a name in a line for a week."""
FARTHEST = 364
"""So many days ahead a calendar may begin."""
MOST_NEXT: Duration = 366 * DAY


class Board(NamedTuple):
    """One schedule now: who, until when, who next, and what is wrong in the weeks ahead."""

    key: str
    about: str
    services: list[str]
    now: tuple[Stint, ...]
    until: Instant | None
    then: tuple[Shift, ...]
    then_at: Instant | None
    steady: bool
    """Whether it is the same people as far as is looked ahead, and after."""
    gaps: tuple[Span, ...]
    unreached: list[str]
    yours: bool
    """Whether the reader is on call by it now."""
    takes_part: bool
    """Whether the reader ever is, by the plan."""


class Stint(NamedTuple):
    """As long as one person is on call without a break, be it by one layer after another: what people mean by a shift.

    ``by``: ``override`` or ``calendar`` where it was not a layer, else "", and then the names of its ``layers``.
    """

    start: Instant
    end: Instant
    person: str
    by: str
    layers: tuple[str, ...]


def stints(roster: Roster, start: Instant, end: Instant, covers: tuple[Cover, ...]) -> list[Stint]:
    """The stints of a range, in order of their begin. As far as it reaches: beyond its edges shifts are not joined."""
    last: dict[tuple[str, str], Stint] = {}
    found: list[Stint] = []
    shifts = unbroken(roster.schedule, roster.shifts(start, end, covers))
    for shift in sorted(shifts, key=lambda one: (one.start, one.end)):
        layers = () if shift.by else (roster.schedule.layers[shift.layer].name,)
        key, new = (shift.person, shift.by), Stint(shift.start, shift.end, shift.person, shift.by, layers)
        before = last.get(key)
        if before is not None and new.start <= before.end and not (shift.by and new.start == before.end):
            new = before._replace(end=max(before.end, new.end), layers=tuple(dict.fromkeys((*before.layers, *layers))))
        elif before is not None:
            found.append(before)
        last[key] = new
    return sorted([*found, *last.values()])


class Bar(NamedTuple):
    """A shift or a gap as a bar of a week: from and width in percent, on one of the week's lines."""

    left: float
    width: float
    line: int
    kind: str
    """``you``, ``over``, ``gap``, or ``p0`` to ``p2`` for others."""
    name: str
    title: str


class Week(NamedTuple):
    """Seven days of a calendar. ``now``: where the present is, in percent, or None."""

    name: str
    first: str
    last: str
    days: list[tuple[str, int, bool, int]]
    """Weekday, day of the month, whether it is today, and its length in hours."""
    lines: int
    bars: list[Bar]
    now: float | None


class Hours(NamedTuple):
    """A day of a calendar whose turns are short: a line from midnight to midnight, as wide as a week is else."""

    name: str
    today: bool
    lines: int
    bars: list[Bar]
    now: float | None


class Turn(NamedTuple):
    """One line of the list of who is on call, in order; ``person`` "" is a gap. ``layer``: "" for the only one."""

    start: Instant
    end: Instant
    person: str
    layer: str
    you: bool


def board(plan: Plan, key: str, covers: tuple[Cover, ...], reader: Reader, reached: Callable[[str], bool]) -> Board:
    """A schedule as its card shows it. ``reached``: whether a person can be paged by more than the console."""
    roster = plan.rosters[key]
    now = reader.now
    shifts = tuple(one for one in stints(roster, now, now + AHEAD, covers) if one.start <= now)
    until = min((shift.end for shift in shifts), default=None)
    then_at = until
    if until is None:
        later = roster.shifts(now, now + MOST_NEXT, covers)
        then_at = later[0].start if later else None
    then = roster.who(then_at, covers) if then_at is not None else ()
    return Board(
        key=key,
        about=roster.schedule.about,
        services=[name for name in plan.services if plan.asks(name, key)],
        now=shifts,
        until=until,
        then=then,
        then_at=then_at,
        steady=until is not None
        and until >= now + AHEAD
        and {shift.person for shift in shifts} == {shift.person for shift in then},
        gaps=roster.gaps(now, now + AHEAD, covers),
        unreached=[reader.name(shift.person) for shift in shifts if not reached(shift.person)],
        yours=any(shift.person == reader.person for shift in shifts),
        takes_part=reader.person in roster.schedule.people(),
    )


def own_first(boards: Sequence[Board]) -> list[Board]:
    """Those by which the reader is on call, then those they take turns in; among equals as the plan has them."""
    return sorted(boards, key=lambda one: (not one.yours, not one.takes_part))


def headline(boards: Sequence[Board], reader: Reader) -> str:
    """The h1: who is on call, and how many gaps there are."""
    if not boards:
        return "The plan has no schedules."
    people = list(dict.fromkeys(shift.person for one in boards for shift in one.now))
    if not people:
        who = "Nobody is on call."
    else:
        named = [reader.name(one) for one in people if one != reader.person]
        if reader.person in people:
            named = ["You", *named]
        shown = named if len(named) <= 4 else [*named[:3], f"{len(named) - 3} more"]
        who = f"{listed(shown)} {'are' if len(named) > 1 or shown[0] == 'You' else 'is'} on call."
        empty = [one.key for one in boards if not one.now]
        if empty:
            who += f" Nobody is for {listed(empty)}."
    gaps = sum(len(one.gaps) for one in boards)
    number = spelled(gaps)
    ahead = f"{number[:1].upper() + number[1:]} {'gap' if gaps == 1 else 'gaps'} in the next four weeks."
    return f"{who} {ahead}"


def doubles(plan: Plan, covers: Covers, reader: Reader) -> list[str]:
    """Who would be paged twice by one escalation in the weeks ahead, overrides included, as sentences."""
    start, end = reader.now, reader.now + AHEAD
    shifts: dict[str, tuple[Shift, ...]] = {}
    told: dict[tuple[str, str], str] = {}
    for escalation in plan.escalations.values():
        for pair in escalation.successive():
            if pair in told or not set(pair) <= plan.rosters.keys():
                continue
            for key in pair:
                if key not in shifts:
                    shifts[key] = plan.rosters[key].shifts(start, end, plan.covers_for(key, covers))
            found = at_once(shifts[pair[0]], shifts[pair[1]], start)
            if found is not None:
                you = found.person == reader.person
                who, whom = ("You are", "you") if you else (f"{reader.name(found.person)} is", "them")
                when = f"from {reader.minute(found.start)} to {reader.minute(found.end)}"
                both = f"{who} on call for {pair[0]} and {pair[1]} at once {when}"
                told[pair] = f"{both}: {escalation.key} would page {whom} twice."
        for key, person in escalation.named_beside():
            if (key, person) in told or key not in plan.rosters:
                continue
            if key not in shifts:
                shifts[key] = plan.rosters[key].shifts(start, end, plan.covers_for(key, covers))
            found = whom_named(shifts[key], person, start)
            if found is not None:
                you = person == reader.person
                who, whom = ("You are", "you") if you else (f"{reader.name(person)} is", "them")
                when = f"from {reader.minute(found.start)} to {reader.minute(found.end)}"
                all_of = f"{who} on call for {key} {when}, and all that another step of {escalation.key} pages"
                told[key, person] = f"{all_of}: it would page {whom} twice."
    return list(told.values())


def overlapping(plan: Plan, covers: Covers, reader: Reader) -> list[str]:
    """Where people are on call at once who have no turn together in the weeks ahead, the first of each schedule."""
    start, end = reader.now, reader.now + AHEAD
    told = []
    for key, roster in plan.rosters.items():
        both = overlaps(roster.shifts(start, end, plan.covers_for(key, covers)), start, end)
        if both:
            others = [reader.name(one) for one in both[0].people if one != reader.person]
            people = ["You", *others] if reader.person in both[0].people else others
            more = f", and {len(both) - 1} more times" if len(both) > 1 else ""
            when = f"from {reader.minute(both[0].start)}, {both[0].why}{more}"
            told.append(f"{listed(people)} are on call by {key} at once {when}.")
    return told


def absent_ahead(plan: Plan, covers: Covers, reader: Reader) -> list[str]:
    """Who is on call in the weeks ahead while they are away, the first time of each schedule."""
    start, end = reader.now, reader.now + AHEAD
    told = []
    for key, roster in plan.rosters.items():
        laid = plan.covers_for(key, covers)
        away = absent(roster.shifts(start, end, laid), laid, start, end)
        if away:
            you = away[0].person == reader.person
            who = "You are" if you else f"{reader.name(away[0].person)} is"
            more = f", and {len(away) - 1} more times" if len(away) > 1 else ""
            when = f"from {reader.minute(away[0].start)} to {reader.minute(away[0].end)}{more}"
            told.append(f"{who} on call by {key} and away {when}: nobody of the layer can take the turn.")
    return told


def monday_of(asked: str, reader: Reader) -> date:
    """The Monday a calendar begins with: of the week of a date such as ``2026-12-24``, this week's for anything else.

    What has been is not shown, for overrides that are over are not known here; nor what is more than a year ahead.
    """
    local = to_datetime(reader.now).astimezone(reader.zone).date()
    try:
        wanted = date.fromisoformat(asked[:10])
    except ValueError:
        wanted = local
    wanted = min(max(wanted, local), local + timedelta(days=FARTHEST))
    return wanted - timedelta(days=wanted.weekday())


def starts_of(monday: date, reader: Reader) -> Instant:
    """When a calendar that begins so begins: not before now."""
    return max(reader.now, from_datetime(datetime(monday.year, monday.month, monday.day, tzinfo=reader.zone)))


def weeks(
    roster: Roster, covers: tuple[Cover, ...], reader: Reader, monday: date, people: Sequence[str] = ()
) -> list[Week]:
    """Four weeks from a Monday on, in the reader's zone. ``people``: in this order they are told apart; else in the
    schedule's own.
    """
    order = {person: place for place, person in enumerate(people or roster.schedule.people())}
    return [_week(monday + timedelta(days=7 * n), roster, covers, reader, order) for n in range(WEEKS)]


def week_edges(monday: date, reader: Reader) -> list[Instant]:
    """The midnights of a week in the reader's zone, the last one included."""
    return [_at(monday + timedelta(days=n), 0, reader) for n in range(8)]


def _at(day: date, hour: int, reader: Reader) -> Instant:
    return from_datetime(datetime(day.year, day.month, day.day, hour, tzinfo=reader.zone))


def _place(edges: Sequence[Instant], at: Instant) -> float:
    """Where an instant is between the first edge and the last, in percent: what lies between two is equally wide."""
    parts = len(edges) - 1
    part = next((n for n in range(parts) if at < edges[n + 1]), parts - 1)
    within = (at - edges[part]) / max(1, edges[part + 1] - edges[part])
    return min(100.0, max(0.0, (part + within) / parts * 100))


def marks(spans: Sequence[Span], edges: Sequence[Instant]) -> list[tuple[float, float]]:
    """Where in a week, or a day, some times are: from and width in percent."""
    first, last = edges[0], edges[-1]
    near = [(max(low, first), min(high, last)) for low, high in spans if low < last and first < high]
    places = [(_place(edges, low), _place(edges, high)) for low, high in near]
    return [(round(low, 3), round(max(high - low, 0.4), 3)) for low, high in places]


def _bars(
    edges: Sequence[Instant], roster: Roster, covers: tuple[Cover, ...], reader: Reader, order: dict[str, int]
) -> tuple[list[Bar], int]:
    """The stints and gaps between the first edge and the last as bars, and how many lines they take."""
    start, end = edges[0], edges[-1]
    place = partial(_place, edges)
    bars: list[Bar] = []
    free: list[Instant] = []

    def add(low: Instant, high: Instant, kind: str, name: str, why: str) -> None:
        title = f"{name}{why}, {reader.minute(low)} to {reader.minute(high)}"
        low, high = max(low, start), min(high, end)
        line = next((n for n, until in enumerate(free) if until <= low), len(free))
        free[line:] = [high, *free[line + 1 :]]
        alone = name.strip(ISOLATES)  # nothing is beside it, and a short bar has its first letter
        bars.append(Bar(round(place(low), 3), round(place(high) - place(low), 3), line, kind, alone, title))

    gaps = roster.gaps(max(start, reader.now), end, covers) if end > reader.now else ()
    shown = [*stints(roster, start, end, covers), *(Stint(low, high, "", "", ()) for low, high in gaps)]
    for one in sorted(shown):
        you = one.person == reader.person
        kind = "over" if one.by else "you" if you else f"p{order.get(one.person, 0) % 3}"
        name = "You" if you else reader.name(one.person)
        how = {"override": " by an override", "calendar": " by a calendar"}.get(one.by, "")
        add(one.start, one.end, *((kind, name, how) if one.person else ("gap", "Nobody", "")))
    return bars, max(1, len(free))


def _week(monday: date, roster: Roster, covers: tuple[Cover, ...], reader: Reader, order: dict[str, int]) -> Week:
    dates = [monday + timedelta(days=n) for n in range(8)]
    edges = week_edges(monday, reader)
    bars, lines = _bars(edges, roster, covers, reader, order)
    last = dates[6]
    today = to_datetime(reader.now).astimezone(reader.zone).date()
    first = f"{monday.day}" + ("" if monday.month == last.month else f" {MONTHS[monday.month - 1]}")
    return Week(
        name=f"{first} to {last.day} {MONTHS[last.month - 1]}",
        first=f"{monday.day} {MONTHS[monday.month - 1]}",
        last=f"{last.day} {MONTHS[last.month - 1]}",
        days=[
            (DAYS[n], day.day, day == today, round((edges[n + 1] - edges[n]) / HOUR)) for n, day in enumerate(dates[:7])
        ],
        lines=lines,
        bars=bars,
        now=_now(edges, reader),
    )


def _now(edges: Sequence[Instant], reader: Reader) -> float | None:
    return round(_place(edges, reader.now), 3) if edges[0] <= reader.now < edges[-1] else None


def day_edges(day: date, reader: Reader) -> list[Instant]:
    """The quarters of a day in the reader's zone, from midnight to midnight."""
    return [*(_at(day, hour, reader) for hour in (0, 6, 12, 18)), _at(day + timedelta(days=1), 0, reader)]


def are_short(order: Sequence[Turn]) -> bool:
    """Whether most days of four weeks, whose turns these are, have some that are too short for a line for a week."""
    return sum(1 for one in order if one.person and one.end - one.start < SHORT) > WEEKS * 7


def hour_by_hour(
    roster: Roster, covers: tuple[Cover, ...], reader: Reader, monday: date, order: Sequence[Turn]
) -> list[Hours]:
    """The days of four weeks from a Monday on, where turns are short; else none. ``order``: the turns of these weeks.
    Days that are over are left out.
    """
    today = to_datetime(reader.now).astimezone(reader.zone).date()
    days = (monday + timedelta(days=n) for n in range(WEEKS * 7)) if are_short(order) else ()
    return [one_day(roster, covers, reader, day) for day in days if day >= today]


def one_day(
    roster: Roster, covers: tuple[Cover, ...], reader: Reader, day: date, people: Sequence[str] = ()
) -> Hours:
    """A day of a calendar, hour by hour. ``people``: as for ``weeks``."""
    places = {person: place for place, person in enumerate(people or roster.schedule.people())}
    edges = day_edges(day, reader)
    bars, lines = _bars(edges, roster, covers, reader, places)
    name = f"{DAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"
    return Hours(name, day == to_datetime(reader.now).astimezone(reader.zone).date(), lines, bars, _now(edges, reader))


def turns(
    roster: Roster, covers: tuple[Cover, ...], reader: Reader, start: Instant, length: Duration = AHEAD
) -> list[Turn]:
    """Who is on call from an instant on, in order, gaps among them."""
    end = start + length
    one_layer = len(roster.schedule.layers) == 1 and not roster.schedule.rotas  # its name says nothing then
    found = [
        Turn(
            one.start,
            one.end,
            one.person,
            one.by or ("" if one_layer else listed(one.layers)),
            one.person == reader.person,
        )
        for one in stints(roster, start, end, covers)
    ]
    found += [Turn(low, high, "", "", False) for low, high in roster.gaps(start, end, covers)]
    return sorted(found)


def own_turns(plan: Plan, person: str, covers: Covers, reader: Reader) -> list[tuple[str, Turn]]:
    """When a person is on call in the next twelve weeks, by which schedule, in order."""
    found = [
        (key, one)
        for key, roster in plan.rosters.items()
        if _concerns(roster, person, laid := plan.covers_for(key, covers))
        for one in turns(roster, laid, reader, reader.now, OWN_AHEAD)
        if one.person == person
    ]
    return sorted(found, key=lambda one: (one[1].start, one[0]))


def _concerns(roster: Roster, person: str, covers: tuple[Cover, ...]) -> bool:
    """Whether a person can be on call by it at all. Who a calendar names is known only where it is read."""
    schedule = roster.schedule
    return bool(schedule.rotas) or person in schedule.people() or any(one.person == person for one in covers)


def clock_changes(shown: Sequence[Week], reader: Reader) -> list[str]:
    """Days that are not 24 hours long, as sentences."""
    told = []
    for week in shown:
        for name, day, _, hours in week.days:
            if hours != 24:
                way = "back" if hours > 24 else "forward"
                told.append(f"{name} {day}: clocks in {reader.zone.key} go {way}, so that day has {hours} hours.")
    return told
