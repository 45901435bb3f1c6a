"""Notices of the engine's own accord: who comes on call and who goes, and once a day what is wrong with schedules.

Each is a duty with an instant at which it is due, kept like everything else: a restart tells nothing twice and leaves
nothing out. They leave by the person's rules for low urgency, and wake nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial

from tocsin.catalog.people import Person
from tocsin.engine import covering, methods, paging
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.oncall import coverage
from tocsin.oncall.duty import FINDINGS, REMEMBERED, Duty, Stretch, handoff_of, next_clock, next_handoff, stretches
from tocsin.oncall.moved import Moved, differ, held_by, laid
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Shift, Span, merged
from tocsin.oncall.zone import said
from tocsin.pages.contacts import Contact
from tocsin.plan.model import Plan

AHEAD: Duration = 14 * DAY
"""How far ahead the daily word looks."""
MOST_LINES = 10
LONGEST_LINE = 200
LONGEST_TITLE = 300
NEW_PLAN = "the plan is another"


def arrange(turn: Turn, *, first: bool = False) -> None:
    """A plan is in force: when each duty is due is reckoned anew, and those it has no more are none.

    Whether the plan is another one is not asked: after a stop nobody knows which one they were reckoned by, and who is
    on call hangs on more than the schedule. A handoff that is due is done at once. ``first``: there was no plan.
    """
    plan, duties = turn.plan, turn.state.duties
    wanted = {handoff_of(key): key for key in plan.schedules}
    if plan.findings_at is not None and plan.schedules:
        wanted[FINDINGS] = ""
    gone = [duties[name] for name in sorted(duties) if name not in wanted]  # as a restart would, too
    for name in [one.name for one in gone]:
        del duties[name]
        turn.changes.duties.pop(name, None)
        turn.changes.dropped_duties.add(name)
    ended = [one for one in gone if one.schedule]
    before = _together(turn, ended)
    new = {key for name, key in wanted.items() if key and name not in duties}
    for name, key in sorted(wanted.items(), key=lambda one: one[1] in new):  # who is told of the others may be busy
        quiet = key in plan.schedules and not plan.schedules[key].handoff_notice
        if key in new and not first:
            duty = Duty(name=name, at=before.at, on=before.on, ahead=before.ahead, quiet=quiet)
            _anew(turn, duty, NEW_PLAN, new=True)
            continue
        duty = duties.get(name) or Duty(name=name)
        if duty.quiet != quiet:
            duty.quiet = quiet
            turn.changes.duties[name] = duty
        if duty.at is None or duty.at > turn.now:
            _anew(turn, duty, NEW_PLAN)
        elif key:
            ring(turn, duty)
    _end(turn, ended, new)


def rearrange(turn: Turn, schedule: str) -> None:
    """Who is on call by a schedule changed by hand: its next handoff may be another."""
    duty = turn.state.duties.get(handoff_of(schedule))
    if duty is not None and (duty.at is None or duty.at > turn.now):
        _wait_or_keep(turn, duty)


def told_by_hand(turn: Turn, schedule: str, came: Set[str], moves: Mapping[str, Moved]) -> None:
    """Who comes and goes by hand was told so: a handoff that is due, or a calendar yet to be read, tells it no more."""
    duty = turn.state.duties.get(handoff_of(schedule))
    if duty is None or duty.on is None:
        return
    ahead = duty.ahead
    if duty.at is not None and ahead is not None:
        end = duty.at + REMEMBERED
        ahead = stretches(laid(duty.remembered(duty.at, end), moves, (duty.at, end)))
    _save(turn, duty, duty.at, tuple(sorted({*duty.on, *came})), ahead)


def calendar_read(turn: Turn, calendar: str) -> None:
    """A calendar says something new: handoffs of the schedules it has a say in may be others."""
    for key in turn.plan.schedules:
        duty = turn.state.duties.get(handoff_of(key))
        if duty is None or calendar not in turn.plan.calendars_of.get(key, ()):
            continue
        if duty.at is not None and duty.at <= turn.now:
            ring(turn, duty)
        else:
            _anew(turn, duty, f"the calendar {calendar} says so")


def ring(turn: Turn, duty: Duty) -> None:
    """A duty is due: do it, and say when it is due again.

    A handoff stays due while a calendar of its schedule is yet to be read: nobody knows whose turn it is.
    """
    if duty.name == FINDINGS:
        _tell_findings(turn)
    elif awaits(turn, duty.schedule):
        return
    else:
        _look(turn, duty, "the plan or a calendar is another")
    _keep(turn, duty)


def _next(turn: Turn, duty: Duty) -> Instant | None:
    plan = turn.plan
    if duty.name == FINDINGS:
        return next_clock(plan.findings_at, plan.timezone, turn.now) if plan.findings_at is not None else None
    roster = plan.rosters.get(duty.schedule)
    return next_handoff(roster, plan.covers_for(duty.schedule, turn.state.covers), turn.now) if roster else None


def _on(turn: Turn, key: str) -> tuple[str, ...] | None:
    roster = turn.plan.rosters.get(key)
    if roster is None:
        return None
    return tuple(sorted(shift.person for shift in roster.who(turn.now, turn.plan.covers_for(key, turn.state.covers))))


def awaits(turn: Turn, key: str) -> bool:
    """Whether a calendar of a schedule is yet to be read: until it is, or fails, who is on call is not known."""
    if key not in turn.plan.schedules or not turn.plan.calendars:
        return False
    known = turn.state.calendars
    asked = (known.get(name) for name in turn.plan.calendars_of.get(key, ()) if name in turn.plan.calendars)
    return any(one is None or (one.read_at is None and one.failing_since is None) for one in asked)


def _keep(turn: Turn, duty: Duty) -> None:
    """Reckon when a duty is due, and remember who is on call until then and for a day after."""
    at, on = _next(turn, duty), _on(turn, duty.schedule)
    ahead = stretches(_held(turn, duty.schedule, at, at + REMEMBERED)) if on is not None and at is not None else None
    _save(turn, duty, at, on, ahead)


def _save(
    turn: Turn, duty: Duty, at: Instant | None, on: tuple[str, ...] | None, ahead: tuple[Stretch, ...] | None
) -> None:
    if turn.state.duties.get(duty.name) is duty and (duty.at, duty.on, duty.ahead) == (at, on, ahead):
        return
    duty.at, duty.on, duty.ahead = at, on, ahead
    turn.state.duties[duty.name] = turn.changes.duties[duty.name] = duty
    turn.changes.dropped_duties.discard(duty.name)
    turn.state.timers.set("notice", duty.name, at)


def _held(turn: Turn, key: str, low: Instant, high: Instant) -> dict[str, list[Span]]:
    return held_by(turn.plan.rosters[key], turn.plan.covers_for(key, turn.state.covers), low, high)


# -- a plan or a calendar is new ---------------------------------------------------------------------------------------


def _anew(turn: Turn, duty: Duty, why: str, *, new: bool = False) -> None:
    """Reckon a duty anew, and tell whose turn it is though it was not to be.

    While a calendar is yet to be read, who was on call stays remembered: what the layers say without it is nobody's
    turn, and would call people for the second until it is. ``new``: the schedule is.
    """
    if duty.on is not None and not awaits(turn, duty.schedule):
        _look(turn, duty, why, new=new)
    _wait_or_keep(turn, duty)


def _wait_or_keep(turn: Turn, duty: Duty) -> None:
    """Reckon a duty anew; what it remembers stays while a calendar is yet to be read."""
    if duty.on is not None and awaits(turn, duty.schedule):
        at = min((one for one in (duty.at, _next(turn, duty)) if one is not None), default=None)
        known = duty.ahead is not None or duty.at is None
        ahead = stretches(duty.remembered(at, at + REMEMBERED)) if at is not None and known else None
        _save(turn, duty, at, duty.on, ahead)
    else:
        _keep(turn, duty)


def _together(turn: Turn, ended: Sequence[Duty]) -> Duty:
    """What is remembered of schedules that the plan has no more, as one: they may have other names now.

    It is due: ``on`` is who was told that they are on call, ``ahead`` who was to be from now on.
    """
    known = [one for one in ended if one.on is not None]
    until = min((one.known_until(turn.now) for one in known), default=turn.now + REMEMBERED)
    had = [one.remembered(turn.now, until) for one in known]
    people = dict.fromkeys(person for one in had for person in one)
    spans = {one: merged(sorted(span for times in had for span in times.get(one, ()))) for one in people}
    on = tuple(sorted({one for duty in known for one in duty.on or ()}))
    return Duty(name="", at=until - REMEMBERED, on=on, ahead=stretches(spans))


def _end(turn: Turn, ended: Sequence[Duty], new: Set[str]) -> None:
    """Schedules that the plan has no more: who was on call by them, and is by no other, reads so in their morning.

    ``new``: those the plan did not have before. They may be the same by other names.
    """
    if not ended or any(awaits(turn, key) for key in new):
        return  # who is on call is not known yet
    on = {person for key in turn.plan.schedules for person in _on(turn, key) or ()}
    for duty in ended:
        for name in duty.on or () if not duty.quiet else ():
            if name not in on and name in turn.plan.people:
                title = f"Your shift on {duty.schedule} is over: the plan has no such schedule any more"
                tell(turn, turn.plan.people[name], Reason.SHIFT_ENDS, title, list(open_work(turn, duty.schedule)))


# -- what people know, and what is so ----------------------------------------------------------------------------------


def _look(turn: Turn, duty: Duty, why: str, *, new: bool = False) -> None:
    """Compare what people know with what is so now, and tell the difference, whatever was the cause of looking.

    People know what the duty remembers: who was told that they are on call, and who is to be from now on. Who comes as
    they were to reads so by their rules for low urgency, and so does who goes. Whoever is on call and was not to be, or
    will be before they would read of it, is told at once: they asked for it no more than they know of it. After a stop
    only what is so now is told, and to those it is new to.

    ``new``: the schedule is. Whoever others have for all that time is told of it by their rules for low urgency.
    """
    key, now = duty.schedule, turn.now
    names = _on(turn, key) if not duty.quiet else None
    if names is None:
        return
    until = duty.known_until(now)
    due = duty.at is not None and duty.at <= now
    was, meant, moves = _was(turn, duty), frozenset(names), {}
    if until > now:
        remembered = duty.remembered(now, until)
        meant = frozenset(one for one, spans in remembered.items() if spans[0][0] <= now)
        moves = differ(remembered, _held(turn, key, now, until))
    came = frozenset(names) - (frozenset(was) & meant)
    soon = {name: _soon(turn, name, move) for name, move in moves.items()}
    busy = {name for name, spans in soon.items() if _has(turn, name, spans)} if new else set()
    unmeant = came - meant

    def more(person: Person) -> list[str]:
        later = [span for span in soon.get(person.key, ()) if span[0] > now]
        return [f"Now, because {why}", *([f"Later too: {times(later, person)}"] if later else [])]

    welcome(turn, key, came & meant, was, lambda _: [], partial(tell, turn))
    welcome(turn, key, unmeant - busy, was, more, partial(tell, turn, urgency="high"))
    welcome(turn, key, unmeant & busy, was, more, partial(tell, turn))
    for name, spans in soon.items():
        person = turn.plan.people.get(name)
        if person is not None and name not in unmeant and spans:
            title = f"You are on call: {key}, {times(spans, person)}"
            urgency = "low" if name in busy else "high"
            tell(turn, person, Reason.ON_CALL_CHANGED, title, [f"Because {why}"], urgency=urgency)
    if not new:
        _relieve(turn, key, was, names, [] if due else [f"Now, because {why}"])


def _was(turn: Turn, duty: Duty) -> Sequence[str]:
    """Who was told that they are on call."""
    if duty.on is not None or duty.at is None:
        return duty.on or ()
    covers = turn.plan.covers_for(duty.schedule, turn.state.covers)
    return [shift.person for shift in turn.plan.rosters[duty.schedule].who(duty.at - 1, covers)]


def _soon(turn: Turn, name: str, move: Moved) -> list[Span]:
    """What somebody has more of, as far as it begins before they would read of it."""
    person = turn.plan.people.get(name)
    if person is None:
        return []
    return [span for span in move.gained if methods.cannot_wait(turn, person, span[0])]


def _has(turn: Turn, name: str, spans: Sequence[Span]) -> bool:
    """Whether other schedules, of which people were told, have somebody on call for all of some times.

    Looked at is all until they read of it.
    """
    plan, read = turn.plan, methods.reads_by(turn, turn.plan.people[name]) if spans else turn.now
    others = [
        one.schedule
        for one in turn.state.duties.values()
        if one.schedule in plan.rosters and not one.quiet and not awaits(turn, one.schedule)
    ]
    for low, end in spans:
        high = min(end, read)
        theirs = merged(sorted(span for key in others for span in _held(turn, key, low, high).get(name, ())))
        if theirs != [(low, high)]:
            return False
    return True


def _relieve(turn: Turn, key: str, was: Sequence[str], names: Sequence[str], more: list[str]) -> None:
    """Tell those who are on call no more who is, and what is open; it can wait for their morning."""
    plan, work = turn.plan, list(open_work(turn, key))
    for name in was:
        person = plan.people.get(name)
        if person is not None and name not in names:
            after = f"{_names(plan, names)} is on call now" if names else "nobody is on call now"
            tell(turn, person, Reason.SHIFT_ENDS, f"Your shift on {key} is over: {after}", [*more, *work])


def welcome(
    turn: Turn,
    key: str,
    came: Set[str],
    was: Sequence[str],
    more: Callable[[Person], list[str]],
    telling: Callable[[Person, Reason, str, list[str]], None],
) -> None:
    """Tell those of ``came`` who are on call by a schedule until when, who had it, what is open and what is ahead.

    ``more``: what a person is told beside it. ``telling`` sends it.
    """
    plan, roster = turn.plan, turn.plan.rosters[key]
    covers = plan.covers_for(key, turn.state.covers)
    work, now = list(open_work(turn, key)), roster.who(turn.now, covers)
    goes = [name for name in was if name not in {shift.person for shift in now}]
    before = f"Handed over by {_names(plan, goes)}" if goes else f"Beside {_names(plan, was)}"
    for shift in now:
        person = plan.people.get(shift.person)
        if person is None or shift.person not in came:
            continue
        over = roster.until(shift, covers)
        end = f" until {said(over, person.timezone)} {person.timezone}" if over is not None else ""
        others = before if was else "Nobody was on call before you"
        if shift.person in was:
            others = "You were on call already, and go on"
        lines = [others, *more(person), *work, *_ahead(roster, covers, shift, person, plan, turn.now)]
        telling(person, Reason.SHIFT_BEGINS, f"You are on call by {key}{end}", lines)


def open_work(turn: Turn, key: str) -> Iterator[str]:
    """What is open of that which a schedule answers for, the gravest first, with the last note on it."""
    ours = [one for one in turn.state.incidents.values() if one.open and _pages(one, key)]
    if not ours:
        yield "Nothing is open"
    for incident in sorted(ours, key=lambda one: (one.severity, one.number)):
        note = f": “{incident.note}”" if incident.note else ""
        yield f"#{incident.number} {incident.service}, {incident.state}: {incident.title}{note}"


def _pages(incident: Incident, key: str) -> bool:
    ours = (f"schedule:{key}", f"schedule:{key}:next", f"schedule:{key}:previous")
    return any(target in ours for step in incident.steps for target in step.targets)


def _ahead(
    roster: Roster, covers: tuple[Cover, ...], shift: Shift, person: Person, plan: Plan, now: Instant
) -> Iterator[str]:
    """What of a shift will not be as usual, the next first: somebody takes a part of it, or it leaves a gap.

    Looked at is all until the person's last turn without a break would end by the layers, or by calendars.
    """
    over = roster.until(shift, covers) or now + AHEAD
    usual = tuple(one for one in covers if one.id < 0)  # what calendars say; the rest people made
    last = (one for told in (usual, ()) for one in roster.who(over - 1, told) if one.person == person.key)
    end = max([over, *(one.end for one in last)])
    shifts = roster.shifts(now, end, covers)
    mine = merged(sorted((one.start, one.end) for one in shifts if one.person == person.key))
    why = {one.id: one.why for one in covers}
    found = [
        (one.start, f"{_span(one.start, one.end, person)} {_names(plan, [one.person])} ({why[one.override]})")
        for one in shifts
        if one.override and now < one.start < end and not any(low <= one.start < high for low, high in mine)
    ]
    found += [
        (low, f"nobody is on call {_span(low, high, person)}")
        for low, high in roster.gaps(now, min(end, now + AHEAD), covers)
    ]
    for _, what in sorted(found):
        yield f"Ahead: {what}"


def times(spans: Sequence[Span], person: Person) -> str:
    """The first of some times by a person's clock, and how many more there are."""
    more = f" and {len(spans) - 1} more time{'s' if len(spans) > 2 else ''}" if len(spans) > 1 else ""
    return f"{_span(*spans[0], person)} {person.timezone}{more}"


def _span(start: Instant, end: Instant, person: Person) -> str:
    return f"{said(start, person.timezone)} to {said(end, person.timezone)}"


def _names(plan: Plan, people: Iterable[str]) -> str:
    return " and ".join(plan.names.get(one, one) for one in people)


def tell(
    turn: Turn,
    person: Person,
    reason: Reason,
    title: str,
    lines: Sequence[str],
    *,
    urgency: str = "low",
    contact: Contact | None = None,
) -> None:
    """A notice short enough for any channel, by a person's rules for its urgency unless told by which method."""
    shown = lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"and {len(lines) - MOST_LINES + 1} more"]
    told = tuple(line[:LONGEST_LINE] for line in shown)
    paging.notice(turn, person, reason, title[:LONGEST_TITLE], urgency=urgency, contact=contact, lines=told)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def _tell_findings(turn: Turn) -> None:
    """Tell those who answer for schedules what is wrong with them in the days ahead. Nothing wrong: nothing is said."""
    told: dict[str, list[str]] = {}
    for key, finding in findings(turn):
        for person in _responsible(turn, key):
            told.setdefault(person, []).append(finding)
    for name, lines in told.items():
        someone = turn.plan.people.get(name)
        if someone is not None:
            count = f"{len(lines)} things are" if len(lines) > 1 else "One thing is"
            tell(turn, someone, Reason.SCHEDULE_FINDINGS, f"{count} wrong with who is on call", lines)


def findings(turn: Turn) -> Iterator[tuple[str, str]]:
    """What is wrong in the days ahead, overrides included: the schedule, and a sentence."""
    plan, start, end = turn.plan, turn.now, turn.now + AHEAD
    shifts: dict[str, tuple[Shift, ...]] = {}
    for key, roster in plan.rosters.items():
        covers = plan.covers_for(key, turn.state.covers)
        shifts[key] = roster.shifts(start, end, covers)
        zone = roster.schedule.timezone
        gaps = roster.gaps(start, end, covers)
        if gaps:
            more = f", and {len(gaps) - 1} more times" if len(gaps) > 1 else ""
            first = f"{said(gaps[0][0], zone)} to {said(gaps[0][1], zone)} {zone}"
            yield key, f"Nobody is on call by {key} from {first}{more}"
        both = coverage.overlaps(shifts[key], start, end)
        if both:
            more = f", and {len(both) - 1} more times" if len(both) > 1 else ""
            who, when = _names(plan, both[0].people), said(both[0].start, zone)
            yield key, f"{who} are on call by {key} at once from {when} {zone}, {both[0].why}{more}"
        away = coverage.absent(shifts[key], covers, start, end)
        if away:
            more = f", and {len(away) - 1} more times" if len(away) > 1 else ""
            who, when = _names(plan, [away[0].person]), f"{said(away[0].start, zone)} to {said(away[0].end, zone)}"
            alone = "nobody of the layer can take the turn"
            yield key, f"{who} is on call by {key} and away from {when} {zone}{more}: {alone}"
        for name in dict.fromkeys(shift.person for shift in shifts[key]):
            if name in plan.people and not methods.able(turn, name):
                yield key, f"{plan.people[name].name} is on call by {key} and can be reached by nothing but the console"
    yield from covering.findings(plan, turn.state.calendars, turn.now)
    for override, sentence in covering.idle(plan, turn.state.overrides, turn.state.covers, turn.now):
        yield override.schedule, sentence
    for escalation in plan.escalations.values():
        for first_key, second_key in escalation.successive():
            if not {first_key, second_key} <= shifts.keys():
                continue
            found = coverage.at_once(shifts[first_key], shifts[second_key], start)
            if found is not None:
                zone = plan.schedules[second_key].timezone
                when = f"{said(found.start, zone)} to {said(found.end, zone)} {zone}"
                who = _names(plan, [found.person])
                yield second_key, f"{who} is on call by {first_key} and {second_key} at once, first from {when}"
        for key, name in escalation.named_beside():
            found = coverage.whom_named(shifts.get(key, ()), name, start)
            if found is not None:
                zone = plan.schedules[key].timezone
                when = f"{said(found.start, zone)} to {said(found.end, zone)} {zone}"
                twice = f"is on call by {key} and all that another step of {escalation.key} pages"
                yield key, f"{_names(plan, [name])} {twice}, first from {when}"


def _responsible(turn: Turn, key: str) -> tuple[str, ...]:
    """Who answers for a schedule: the leads of the teams it pages for, else admins, else the last resort."""
    return answerable(turn, (service for service in turn.plan.services if turn.plan.asks(service, key)))


def answerable(turn: Turn, services: Iterable[str]) -> tuple[str, ...]:
    """Who answers for services: the leads of their teams, else admins, else the last resort."""
    plan = turn.plan
    teams = (plan.teams.get(plan.services[service].team) for service in services)
    leads = dict.fromkeys(team.lead for team in teams if team is not None and team.lead)
    admins = dict.fromkeys(
        user.person
        for user in turn.state.users.values()
        if user.role == "admin" and user.disabled_at is None and user.person in plan.people
    )
    last = (person.key for person in plan.people_of(plan.last_resort, turn.now, turn.state.covers))
    return tuple(leads or admins or last)
