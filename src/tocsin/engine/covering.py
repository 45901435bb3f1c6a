"""Who stands in for whom: overrides, and what calendars from elsewhere say, as covers over the plan's schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from tocsin.engine.inputs import CalendarRead
from tocsin.engine.state import State
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.oncall.hours import is_open, opens
from tocsin.oncall.imported import Imported, rota_covers, shut_by, shut_covers, unnamed
from tocsin.oncall.moved import held
from tocsin.oncall.override import Cover, Override, covers_by_schedule
from tocsin.oncall.roster import Span, merged
from tocsin.oncall.schedule import Schedule
from tocsin.oncall.standing_in import away_covers
from tocsin.oncall.zone import said
from tocsin.plan.model import Covers, Plan


def reckoned(plan: Plan, calendars: Mapping[str, Imported]) -> Covers:
    """What calendars do to schedules, as ``standing`` says; reckoned once for the same plan and the same copies."""
    asked = {name: (one.read_at, one.busy) for name, one in calendars.items()}
    known = next(iter(plan.stood), None)
    if known is None or known[0] != asked:
        known = asked, standing(plan, calendars)
        plan.stood[:] = [known]
    return known[1]


def standing(
    plan: Plan, calendars: Mapping[str, Imported], was: Covers | None = None, changed: str = ""
) -> dict[str, tuple[Cover, ...]]:
    """What calendars do to schedules, by schedule. The same for the same plan and calendars, whatever the time.

    ``was``: what it was by the same plan before the calendar ``changed`` was read, which changes no other schedules.
    """
    if not any(one.busy for one in calendars.values()):
        return {}
    keys = plan.rosters.keys() if was is None else _concerned(plan, changed)
    found = {key: covers for key, covers in (was or {}).items() if key not in keys}
    found.update(_said(plan, calendars, keys))
    away = _away(plan, calendars, keys)
    for key, roster in plan.rosters.items():
        spans = merged(sorted(span for one in roster.schedule.people() for span in away.get(one, ())))
        if key not in keys or not spans:
            continue
        others: dict[str, list[Span]] = {}
        for other in plan.paged_beside.get(key, ()):
            on = held(plan.rosters[other], found.get(other, ()), spans) if other in plan.rosters else {}
            for person, its in on.items():
                others[person] = merged(sorted([*others.get(person, ()), *its]))
        covers = found.get(key, ())
        made = away_covers(roster, away, spans[0][0], spans[-1][1], covers, others)
        found[key] = (*covers, *made)
    return {key: found[key] for key in plan.rosters if key in found}


def _concerned(plan: Plan, calendar: str) -> Set[str]:
    """The schedules a calendar has a say in, and those whose stand-ins hang on who is on call by these."""
    left = [key for key in plan.rosters if calendar in plan.calendars_of[key]]
    found: set[str] = set()
    while left:
        key = left.pop()
        if key not in found:
            found.add(key)
            left += plan.paged_beside.get(key, ())
    return found


def _said(plan: Plan, calendars: Mapping[str, Imported], keys: Set[str]) -> dict[str, tuple[Cover, ...]]:
    """What calendars say of some schedules, by schedule, except who is away."""
    names = plan.in_calendars if any(plan.schedules[key].rotas for key in keys) else None
    rotas: dict[tuple[str, str, int, int | None], list[Cover]] = {}  # many schedules may lie under one calendar
    found: dict[str, tuple[Cover, ...]] = {}
    for key, schedule in plan.schedules.items():
        covers = list(_shut_layers(schedule, calendars)) if key in keys else []
        for place, (layer, name) in enumerate(schedule.rotas if key in keys else ()):
            if name not in calendars or names is None:
                continue
            asked = name, schedule.timezone, place, layer
            if asked not in rotas:
                rotas[asked] = list(rota_covers(calendars[name], names, *asked[1:]))
            covers += rotas[asked]
        if covers:
            found[key] = tuple(covers)
    return found


def _shut_layers(schedule: Schedule, calendars: Mapping[str, Imported]) -> Iterator[Cover]:
    """When calendars close the hours that layers are meant for."""
    for place, layer in enumerate(schedule.layers):
        closing = (calendars[name] for name in layer.holidays if name in calendars)
        spans = [(start, end) for one in closing for _, start, end in one.spans(layer.timezone)]
        yield from shut_covers(place, merged(sorted(spans)))


def laid_over(standing: Covers, overrides: dict[int, Override]) -> dict[str, tuple[Cover, ...]]:
    """Covers of calendars, and the overrides over them."""
    made = covers_by_schedule(overrides)
    return {key: (*standing.get(key, ()), *made.get(key, ())) for key in dict.fromkeys((*standing, *made))}


def _away(
    plan: Plan, calendars: Mapping[str, Imported], keys: Set[str]
) -> dict[str, list[tuple[Instant, Instant]]]:
    """When people of some schedules are away."""
    found: dict[str, list[tuple[Instant, Instant]]] = {}
    drawn: dict[tuple[str, str], list[tuple[Instant, Instant]]] = {}  # many people may have one calendar
    names = dict.fromkeys(one for key in plan.rosters if key in keys for one in plan.schedules[key].people())
    for person in (plan.people[name] for name in names if name in plan.people):
        asked = [(name, person.timezone) for name in person.holidays if name in calendars]
        for name, timezone in asked:
            if (name, timezone) not in drawn:
                drawn[name, timezone] = [(start, end) for _, start, end in calendars[name].spans(timezone)]
        spans = [span for one in asked for span in drawn[one]]
        if spans:
            found[person.key] = merged(sorted(spans))
    return found


def findings(plan: Plan, calendars: Mapping[str, Imported], now: Instant) -> Iterator[tuple[str, str]]:
    """Sources that are away, and entries that name nobody: the schedule, and a sentence."""
    names = plan.in_calendars
    for key, schedule in plan.schedules.items():
        for rota in (calendars[name] for _, name in schedule.rotas if name in calendars):
            lost = unnamed(rota, names, schedule.timezone, now)
            if lost:
                what = f"{len(lost)} entries" if len(lost) > 1 else "An entry"
                verb = "name" if len(lost) > 1 else "names"
                yield key, f"{what} of {rota.name} {verb} nobody of the plan: “{lost[0].text[:60]}”"
        theirs = (plan.people[who] for who in schedule.people() if who in plan.people)
        asked = schedule.calendars | {name for person in theirs for name in person.holidays}
        for name in sorted(asked & calendars.keys()):
            calendar = calendars[name]
            if calendar.unread:
                events = f"{calendar.unread} events" if calendar.unread > 1 else "One event"
                yield key, f"{events} of the calendar {name} could not be read: their time is left to the layers"
            if calendar.stale(now):
                zone = schedule.timezone
                since = f"since {said(calendar.failing_since or now, zone)} {zone}"
                kept = "its last copy counts" if calendar.read_at is not None else "it was never read"
                yield key, f"The calendar {name} cannot be read {since} ({calendar.error}); {kept}"


def idle(plan: Plan, overrides: Mapping[int, Override], covers: Covers, now: Instant) -> Iterator[tuple[Override, str]]:
    """Overrides, swaps and cover requests that take nobody's place by this plan, and a sentence on each.

    ``covers``: what calendars and overrides do to schedules.
    """
    for id, one in sorted(overrides.items()):
        why = plan.why_idle(one, covers, now) if one.state(now) in ("asked", "agreed") else ""
        if why:
            noun = {"override": "Override", "swap": "Swap", "cover": "Cover request"}[one.kind]
            yield one, f"{noun} {id} on {one.schedule} takes nobody's place: {why}"


def open_now(turn: Turn, name: str) -> bool | None:
    """Whether named hours are open now; None when the plan does not have them any more."""
    hours = turn.plan.hours.get(name)
    return is_open(hours, turn.now, shut_by(hours, turn.state.calendars)) if hours is not None else None


def opens_at(turn: Turn, name: str) -> Instant | None:
    """When named hours are open next; None when they are now, never are, or are not known."""
    hours = turn.plan.hours.get(name)
    at = opens(hours, turn.now, shut_by(hours, turn.state.calendars)) if hours is not None else None
    return at if at is not None and at > turn.now else None


def is_news(turn: Turn, told: CalendarRead) -> bool:
    """Whether a calendar says something else than when it was read before."""
    known = turn.state.calendars.get(told.name)
    return not told.error and (known is None or known.read_at is None or known.busy != told.busy)


def read(turn: Turn, told: CalendarRead) -> None:
    """A calendar was read, or could not be: the last good copy counts on."""
    if told.name not in turn.plan.calendars:
        return  # the plan changed while it was read
    known = turn.state.calendars.get(told.name) or Imported(name=told.name)
    if told.error:
        known.failing_since = known.failing_since or turn.now
        known.error = told.error[:500]
        turn.count("calendars", Reason.CALENDAR_AWAY)
    else:
        known.read_at, known.failing_since, known.error = turn.now, None, ""
        known.busy, known.unread = told.busy, told.unread
        turn.count("calendars", Reason.CALENDAR_READ)
    turn.state.calendars[told.name] = turn.changes.calendars[told.name] = known
    turn.changes.dropped_calendars.discard(told.name)
    if not told.error:
        turn.state.standing = standing(turn.plan, turn.state.calendars, turn.state.standing, told.name)
        lay_over(turn.state)


def renew(state: State, plan: Plan) -> None:
    """The plan changed: what calendars do to schedules is reckoned anew. A start puts the very same in force again."""
    if state.stands_by is not plan:
        state.standing, state.stands_by = dict(reckoned(plan, state.calendars)), plan
        lay_over(state)


def lay_over(state: State, schedule: str = "") -> None:
    """Overrides changed, of one schedule or of any: lay them over what calendars say.

    What lies over a schedule as before stays the very same: by that rosters know what they have drawn up of it.
    """
    if schedule:
        one = laid_over(
            {key: covers for key, covers in state.standing.items() if key == schedule},
            {id: each for id, each in state.overrides.items() if each.schedule == schedule},
        )
        others = {key: covers for key, covers in state.covers.items() if key != schedule}
        state.covers = {**others, **one}
        return
    was = state.covers
    now = laid_over(state.standing, state.overrides)
    state.covers = {key: was[key] if was.get(key) == covers else covers for key, covers in now.items()}


def forget(turn: Turn) -> None:
    """Calendars the plan does not name any more go."""
    for name in [name for name in turn.state.calendars if name not in turn.plan.calendars]:
        del turn.state.calendars[name]
        turn.changes.calendars.pop(name, None)
        turn.changes.dropped_calendars.add(name)
