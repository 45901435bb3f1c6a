"""Overrides, swaps and cover requests, decided. Each returns a Result and changes nothing when it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.access.actors import person_of
from tocsin.engine import commands as c
from tocsin.engine import covering, handing, telling, waiting
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.oncall.moved import held, pieces
from tocsin.oncall.override import Cover, Kind, Override
from tocsin.oncall.roster import Roster

LONGEST: Duration = 366 * DAY
AHEAD: Duration = 2 * 366 * DAY
"""How far ahead an override may end."""
LONGEST_REASON = 1_000
MOST_NAMED = 3
"""So many are named of those whose place may be meant."""
MOST_LIVE = 500
"""How many overrides of one schedule may be in force, to come or asked for."""
MOST_OVER = 50
"""So many of one schedule that are over are remembered, the latest."""


def add(turn: Turn, command: c.AddOverride) -> c.Result:
    """Somebody is on call for a while, from now on at the earliest."""
    refused = _refused(turn, command.schedule, command.starts_at, command.ends_at, command.reason)
    if refused is not None:
        return refused
    for field, name in (("person", command.person), ("instead_of", command.instead_of)):
        if (name or field == "person") and name not in turn.plan.people:
            return _refuse("invalid", f"The plan has no person {name!r}", field)
    if command.person == command.instead_of:
        return _refuse("invalid", "Nobody stands in for themselves", "instead_of")
    starts = max(command.starts_at, turn.now)
    if command.instead_of and not _has(turn, command.schedule, command.instead_of, starts, command.ends_at):
        message = f"{command.instead_of} is not on call by {command.schedule} in that time"
        return _refuse("invalid", message, "instead_of")
    made = _make(turn, "override", command, command.person, command.instead_of, starts, command.ends_at)
    made.agreed_at = turn.now
    before = telling.covers_of(turn, made.schedule)
    done = _keep(turn, made, Reason.ON_CALL_CHANGED)
    telling.change(turn, made, before, Reason.ON_CALL_CHANGED, "made", command.actor)
    return done


def ask_swap(turn: Turn, command: c.AskSwap) -> c.Result:
    """Two people exchange two times, when the other agrees."""
    if not command.person:
        return _refuse("forbidden", "Only people of the plan swap their shifts, and you are none of them")
    for start, end, field in (
        (command.starts_at, command.ends_at, ""),
        (command.back_starts_at, command.back_ends_at, "back_"),
    ):
        refused = _refused(turn, command.schedule, start, end, command.reason, field)
        if refused is not None:
            return refused
        if start < turn.now:
            return _refuse("invalid", "A swap is of times to come", f"{field}starts_at")
    if command.other not in turn.plan.people:
        return _refuse("invalid", f"The plan has no person {command.other!r}", "other")
    if command.other == command.person:
        return _refuse("invalid", "A swap needs somebody else", "other")
    if command.starts_at < command.back_ends_at and command.back_starts_at < command.ends_at:
        return _refuse("invalid", "The two times of a swap overlap", "back_starts_at")
    for name, start, end, field in (
        (command.person, command.starts_at, command.ends_at, "starts_at"),
        (command.other, command.back_starts_at, command.back_ends_at, "back_starts_at"),
    ):
        if not _has(turn, command.schedule, name, start, end):
            return _refuse("invalid", f"{name} is not on call by {command.schedule} in that time", field)
    made = _make(turn, "swap", command, command.other, command.person, command.starts_at, command.ends_at)
    made.back = (command.back_starts_at, command.back_ends_at)
    done = _keep(turn, made, Reason.SWAP_ASKED)
    asks = f"{telling.called(turn, made.instead_of)} asks you to swap shifts and take over"
    telling.wish(turn, made, Reason.SWAP_ASKED, [made.person], asks, command.actor)
    return done


def ask_cover(turn: Turn, command: c.AskCover) -> c.Result:
    """Somebody on the schedule is wanted for a time; whoever takes it is on call then.

    Where nobody is named it is for a gap, and where there is none for whoever asks, who must have all of that time.
    """
    refused = _refused(turn, command.schedule, command.starts_at, command.ends_at, command.reason)
    if refused is not None:
        return refused
    starts, whose = max(command.starts_at, turn.now), command.person
    if whose and not _has(turn, command.schedule, whose, starts, command.ends_at):
        return _refuse("invalid", f"{whose} is not on call by {command.schedule} in that time", "person")
    roster = turn.plan.rosters[command.schedule]
    covers = turn.plan.covers_for(command.schedule, turn.state.covers)
    if not whose and not any(roster.gaps(*piece, covers) for piece in pieces(starts, command.ends_at)):
        whose = person_of(command.actor)
        if not _has_all(turn, command.schedule, whose, starts, command.ends_at):
            there = _listed(list(held(roster, covers, [(starts, command.ends_at)])))
            why = f"In that time {there} on call by {command.schedule}: say whose place is to be taken"
            return _refuse("invalid", why, "person")
    if not turn.plan.takers(command.schedule, whose, turn.state.covers, turn.now):
        why = f"Nobody else is on {command.schedule}, nor in a team that is paged by it: nobody could take it"
        return _refuse("conflict", why, "schedule")
    made = _make(turn, "cover", command, "", whose, starts, command.ends_at)
    done = _keep(turn, made, Reason.COVER_ASKED)
    telling.wish(turn, made, Reason.COVER_ASKED, telling.asked(turn, made), telling.wanted(turn, made), command.actor)
    return done


def answer(turn: Turn, command: c.AnswerOverride) -> c.Result:
    """The other agrees to a swap or declines it; anybody on the schedule takes a cover request."""
    found = turn.state.overrides.get(command.id)
    if found is None or not found.live(turn.now):
        return _gone(turn, command.id)
    if not command.person:
        return _refuse("forbidden", "Only people of the plan answer, and you are none of them")
    if found.kind == "override":
        return _refuse("conflict", f"Override {found.id} asks nobody: it counts already")
    if found.agreed_at is not None:
        return _refuse("conflict", f"{_named(found)} was answered already")
    if found.kind == "swap" and command.person != found.person:
        return _refuse("forbidden", f"Only {found.person} can answer this swap")
    if found.kind == "cover":
        if not command.yes:
            return _refuse("invalid", "A cover request is taken or left alone", "yes")
        if command.person == found.instead_of:
            return _refuse("conflict", "It is your own place that is to be taken")
        if command.person not in turn.plan.takers(found.schedule, found.instead_of, turn.state.covers, turn.now):
            return _refuse("forbidden", f"Only people on {found.schedule} can take its shifts")
        found.person = command.person
    found.answered_by = command.actor
    if not command.yes:
        found.declined_at = turn.now
        done = _drop(turn, found, Reason.SWAP_DECLINED)
        declines = f"{telling.called(turn, command.person)} does not want to swap"
        askers = [found.instead_of, person_of(found.asked_by)]
        telling.wish(turn, found, Reason.SWAP_DECLINED, askers, declines, command.actor)
        return done
    before = telling.covers_of(turn, found.schedule)
    found.agreed_at = turn.now
    done = _keep(turn, found, Reason.ON_CALL_CHANGED)
    told = telling.change(turn, found, before, Reason.ON_CALL_CHANGED, "agreed", command.actor)
    takes = f"{telling.called(turn, found.person)} takes over, and nobody else is wanted"
    telling.settled(turn, found, Reason.ON_CALL_CHANGED, takes, command.actor, told=told)
    return done


def cancel(turn: Turn, command: c.CancelOverride) -> c.Result:
    """Take back what is asked for, or end what is in force: from now on the plan counts again."""
    found = turn.state.overrides.get(command.id)
    if found is None or not found.live(turn.now):
        return _gone(turn, command.id)
    before = telling.covers_of(turn, found.schedule)
    found.cancelled_at = turn.now
    done = (_keep if found.covers() else _drop)(turn, found, Reason.OVERRIDE_CANCELLED)
    _forget_the_oldest(turn, found.schedule)
    told = telling.change(turn, found, before, Reason.OVERRIDE_CANCELLED, "cancelled", command.actor)
    if found.agreed_at is None:
        gone = "Taken back, nobody is wanted any more"
        telling.settled(turn, found, Reason.OVERRIDE_CANCELLED, gone, command.actor, told=told)
    return done


def ring(turn: Turn, override: Override) -> None:
    """Somebody takes over by it, or goes back: what waits for the morning of who is on call is judged again."""
    if override.closes_at <= turn.now:
        close(turn, override)
        return
    override.judged_at = turn.now
    turn.changes.overrides[override.id] = override
    waiting.judge_again(turn)
    if not override.live(turn.now):
        turn.count("overrides", Reason.OVERRIDE_OVER)
        _forget_the_oldest(turn, override.schedule)
    turn.state.timers.set("override", override.id, override.due())


def close(turn: Turn, override: Override) -> None:
    """An override is over for long, or nobody answered in time: the store keeps it."""
    if override.agreed_at is not None and not override.live(turn.now):  # it was said when it ended
        _forget(turn, override)
        return
    _drop(turn, override, Reason.OVERRIDE_OVER)
    if override.agreed_at is None:
        askers = (override.instead_of, person_of(override.asked_by)) if override.kind == "cover" else ()
        telling.settled(turn, override, Reason.OVERRIDE_OVER, "Nobody took it, and its time is over", "", also=askers)


def _forget_the_oldest(turn: Turn, schedule: str) -> None:
    """Of those that are over the latest of a schedule are remembered: all of them are gone through at each change."""
    over = [one for one in _of(turn, schedule) if not one.live(turn.now)]
    if len(over) > MOST_OVER:
        _forget(turn, min(over, key=lambda one: (one.over_at, one.id)))


def _forget(turn: Turn, override: Override) -> None:
    del turn.state.overrides[override.id]
    turn.changes.overrides[override.id] = override
    covering.lay_over(turn.state, override.schedule)


def _refused(
    turn: Turn, schedule: str, starts_at: Instant, ends_at: Instant, reason: str, prefix: str = ""
) -> c.Result | None:
    """What is wrong with a time on a schedule, whatever is wanted for it."""
    if schedule not in turn.plan.schedules:
        return _refuse("invalid", f"The plan has no schedule {schedule!r}", "schedule")
    if ends_at <= starts_at:
        return _refuse("invalid", "It must end after it begins", f"{prefix}ends_at")
    if ends_at <= turn.now:
        return _refuse("invalid", "It cannot end in the past", f"{prefix}ends_at")
    if ends_at - max(starts_at, turn.now) > LONGEST or ends_at > turn.now + AHEAD:
        return _refuse("invalid", "It lasts a year at most, and ends within two", f"{prefix}ends_at")
    if len(reason) > LONGEST_REASON:
        return _refuse("invalid", f"A reason has at most {LONGEST_REASON:,} characters", "reason")
    if sum(one.live(turn.now) for one in _of(turn, schedule)) >= MOST_LIVE:
        return _refuse("conflict", f"{schedule} has {MOST_LIVE} overrides already: cancel some")
    return None


def _of(turn: Turn, schedule: str) -> list[Override]:
    return [one for one in turn.state.overrides.values() if one.schedule == schedule]


def _has(turn: Turn, schedule: str, person: str, start: Instant, end: Instant) -> bool:
    """Whether somebody is on call at some time of a range, as things stand, or would be were they not away.

    Whose turn it is while somebody stands in for them may give it to another all the same.
    """
    roster: Roster = turn.plan.rosters[schedule]
    return any(
        shift.person == person
        for laid in _layings(turn, schedule)
        for low, high in pieces(start, end)
        for shift in roster.shifts(low, high, laid)
    )


def _has_all(turn: Turn, schedule: str, person: str, start: Instant, end: Instant) -> bool:
    """As ``_has``, of all of a range."""
    roster = turn.plan.rosters[schedule]
    return any(held(roster, laid, [(start, end)]).get(person) == [(start, end)] for laid in _layings(turn, schedule))


def _layings(turn: Turn, schedule: str) -> Iterable[tuple[Cover, ...]]:
    """What lies over a schedule as things stand, and what would were nobody away."""
    covers = turn.plan.covers_for(schedule, turn.state.covers)
    return dict.fromkeys((covers, tuple(one for one in covers if not one.for_absence)))


def _listed(names: Sequence[str]) -> str:
    """Who of several is meant, with the verb: the first few by name."""
    if len(names) == 1:
        return f"{names[0]} is"
    few = list(names[:MOST_NAMED])
    rest = len(names) - len(few)
    last = f"{rest} more" if rest else few.pop()
    return f"{', '.join(few)} and {last} are"


def _make(
    turn: Turn,
    kind: Kind,
    command: c.AddOverride | c.AskSwap | c.AskCover,
    person: str,
    instead_of: str,
    starts_at: Instant,
    ends_at: Instant,
) -> Override:
    turn.state.counters.override += 1
    return Override(
        id=turn.state.counters.override,
        kind=kind,
        schedule=command.schedule,
        person=person,
        instead_of=instead_of,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=command.reason.strip(),
        asked_by=command.actor,
        asked_at=turn.now,
    )


def _keep(turn: Turn, override: Override, reason: Reason) -> c.Result:
    turn.state.overrides[override.id] = override
    override.judged_at = turn.now
    turn.state.timers.set("override", override.id, override.due())
    return _changed(turn, override, reason)


def _drop(turn: Turn, override: Override, reason: Reason) -> c.Result:
    del turn.state.overrides[override.id]
    return _changed(turn, override, reason)


def _changed(turn: Turn, override: Override, reason: Reason) -> c.Result:
    covering.lay_over(turn.state, override.schedule)
    turn.changes.overrides[override.id] = override
    handing.rearrange(turn, override.schedule)
    if override.agreed_at is not None:
        waiting.judge_again(turn)
    turn.count("overrides", reason)
    return c.Result(ok=True, reason=reason, id=str(override.id))


def _gone(turn: Turn, id: int) -> c.Result:
    if 0 < id <= turn.state.counters.override:
        return _refuse("conflict", f"Override {id} is over")
    return _refuse("not_found", f"There is no override {id}")


def _named(override: Override) -> str:
    return {"override": "An override", "swap": "This swap", "cover": "This cover request"}[override.kind]


def _refuse(code: str, message: str, field: str = "") -> c.Result:
    return c.Result(ok=False, code=code, message=message, field=field)
