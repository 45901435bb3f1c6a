"""Whom a step calls that is due now, whether that waits, and whether it reached anybody. Nothing is changed here but
whose turn it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tocsin.access.actors import person_of
from tocsin.catalog.people import Person
from tocsin.engine import ledger, methods
from tocsin.engine.covering import open_now, opens_at
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import Call, escalate
from tocsin.escalation.policy import Step
from tocsin.escalation.turns import chosen, next_in_turn, round_of
from tocsin.incidents.incident import Incident
from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import CALL_AGAIN, MOST_CALLS, RINGS, Page
from tocsin.pages.profiles import CONSOLE, profile
from tocsin.plan.model import Reached
from tocsin.plan.whom import nobody_behind

OF_A_STEP = frozenset(
    {Reason.STEP_DUE, Reason.STEP_REPEATED, Reason.REASSIGNED, Reason.ESCALATION_EXHAUSTED, Reason.LAST_RESORT}
)
"""Why a page is a step's own, and none beside it."""


def call(turn: Turn, incident: Incident) -> Call:
    """Which step an incident's time has come for, and what follows it."""
    return escalate(
        incident.steps,
        incident.step,
        incident.round,
        incident.laps,
        turn.plan.last_resort,
        lambda targets: _reachable(turn, incident, targets),
        turn.now,
        lambda step: not unmet(turn, incident, step),
    )


def waits(turn: Turn, incident: Incident) -> tuple[Instant, Reason] | None:
    """Until when an incident would wait, and for what, if its step were due now; None when it would not."""
    return waits_for(turn, incident, [one.person for one in whom(turn, incident, call(turn, incident))])


def meant(turn: Turn, incident: Incident, step: Step) -> bool:
    """Whether what a step asks for holds for an incident now."""
    when = step.when
    is_open = open_now(turn, when.hours) if when.hours else None
    return when.met(incident.severity, incident.customer_tier, incident.labels, is_open)


def whom(turn: Turn, incident: Incident, call: Call, there: Sequence[Reached] | None = None) -> tuple[Reached, ...]:
    """Whom a step pages: everybody behind its targets (``there``, when that is known), or one of them, each in turn
    whenever it pages.

    Of several the one is somebody who can be reached.
    """
    there = behind(turn, incident, call.targets) if there is None else there
    found = tuple(one for one in there if one.person.key not in incident.answers)
    step = incident.steps[call.at_step] if call.at_step < len(incident.steps) else None
    if step is None or not step.one or not found:
        return found
    found = tuple(one for one in found if methods.has_any(turn, one.person.key)) or found
    key = next_in_turn([one.person.key for one in found], turn.state.counters.rounds.get(round_of(step), ()))
    return tuple(one for one in found if one.person.key == key)


def takes_turn(turn: Turn, incident: Incident, call: Call, reached: Sequence[Reached]) -> None:
    """A step that pages one of several pages these: whoever is next the next time is somebody else."""
    step = incident.steps[call.at_step] if call.at_step < len(incident.steps) else None
    if step is not None and step.one:
        key, rounds = round_of(step), turn.state.counters.rounds
        for one in reached:
            rounds[key] = chosen(rounds.get(key, ()), one.person.key)


def unmet(turn: Turn, incident: Incident, step: Step) -> str:
    """Why a step is not for this incident now; "" when it is."""
    if not meant(turn, incident, step):
        return f"it is for {step.when.said}"
    return "everybody in it has answered" if all_answered(turn, incident, step.targets) else ""


def nobody_left(turn: Turn, incident: Incident) -> bool:
    """Whether everybody has answered whom a step that is meant now, or the last resort, would page."""
    targets = [target for step in incident.steps if not unmet(turn, incident, step) for target in step.targets]
    return all_answered(turn, incident, (*targets, *turn.plan.last_resort))


def all_answered(turn: Turn, incident: Incident, targets: tuple[str, ...]) -> bool:
    """Whether there are people behind these targets, and each has answered."""
    people = behind(turn, incident, targets) if incident.answers else ()
    return bool(people) and all(one.person.key in incident.answers for one in people)


def behind(
    turn: Turn, incident: Incident, targets: tuple[str, ...], step: int | None = None, before: int | None = None
) -> tuple[Reached, ...]:
    """Who is behind targets now, when they are paged for an incident: by its next step, or by ``step`` when this is
    said; ``before``: as far as the pages before this one tell.
    """
    if not _counts_on(targets):
        return turn.behind(targets)
    rows = [row for row in ledger.rows(turn, incident.number) if before is None or row.id < before]
    since = paged_since(incident, rows, incident.step if step is None else step)
    return turn.plan.reached_by(targets, turn.now, turn.state.covers, since) if since else turn.behind(targets)


@lru_cache(maxsize=10_000)
def _counts_on(targets: tuple[str, ...]) -> bool:
    """Whether some of these targets are counted on from whoever has a schedule: ``schedule:shop:next``."""
    return any(target.startswith("schedule:") and target.count(":") > 1 for target in targets)


def paged_since(incident: Incident, rows: Iterable[Page], step: int) -> dict[str, Instant]:
    """When the steps before one last paged schedules, by those: who has the next turn counts from who had it then.

    ``rows``: the incident's pages.
    """
    found: dict[str, Instant] = {}
    for row in rows:
        if row.kind == "page" and row.reason in OF_A_STEP and row.step < min(step, len(incident.steps)):
            for target in incident.steps[row.step].targets:
                kind, _, key = target.partition(":")
                if kind == "schedule" and ":" not in key:
                    found[key] = max(found.get(key, 0), row.intended_at)
    return found


def meant_still(turn: Turn, incident: Incident, row: Page) -> bool:
    """Whether the person of a step's page is behind that step now, or behind another that was paged or passed over."""
    for place, step in enumerate(incident.steps[: max(under_way(incident), row.step) + 1]):
        there = behind(turn, incident, step.targets, place, row.id if place == row.step else None)
        if any(one.person.key == row.person for one in there):
            return True
    return False


def outlasted(turn: Turn, incident: Incident) -> bool:
    """Whether a pause outlasted where the escalation stood: the time of the step that was paged last is over, or that
    step means somebody by now who was not paged. Not what is to be paged first in any case, or was given to somebody.
    """
    begun = incident.step or incident.round or incident.laps
    to_come = incident.steps[incident.step] if incident.step < len(incident.steps) else None
    if not begun or (to_come is not None and to_come.given and not incident.round):
        return False
    if incident.resume_at is None or incident.resume_at <= turn.now:
        return True
    last = under_way(incident)
    step = incident.steps[last] if last < len(incident.steps) else None
    means = behind(turn, incident, step.targets if step is not None else turn.plan.last_resort)
    paged = {row.person for row in ledger.rows(turn, incident.number) if row.kind == "page"} | set(incident.answers)
    known = [one.person.key in paged for one in means]
    return bool(known) and not (any(known) if step is not None and step.one else all(known))


def reaches_nobody(turn: Turn, incident: Incident, step: int) -> str:
    """Says of a step why it is passed over: nobody is on call, or those who are can be reached by nothing."""
    targets = incident.steps[step].targets
    there = [one.person for one in behind(turn, incident, targets)]
    mute = [one.name for one in there if one.key not in incident.answers]
    why = "" if there else nobody_behind(turn.plan, targets)
    why = f"{' and '.join(mute)} can be reached by nothing" if mute else why
    return f"Step {step + 1} reaches nobody{f': {why}' if why else ''}"


def line_taken(turn: Turn, row: Page) -> Instant | None:
    """Until when a call waits at first because its number is being called; None when it can be made.

    What ends sooner, or has no outcome by then, is seen then.
    """
    if not profile(row.channel).rings:
        return None
    until = turn.state.calls.taken_until(row)
    return min(until, turn.now + RINGS) if until is not None and until > turn.now else None


def severity(turn: Turn, row: Page) -> str:
    """How grave the incident of a page is."""
    incident = turn.state.incidents.get(row.incident)
    return incident.severity if incident is not None else SEVERITIES[-1]


def rank(turn: Turn, row: Page) -> tuple[bool, str]:
    """By this calls to one number go: pages before what nobody has to answer, the gravest first."""
    return row.kind not in ("page", "help"), severity(turn, row)


def waiting(turn: Turn, number: str) -> list[Page]:
    """What waits for a number, the gravest first."""
    return sorted(turn.state.calls.waiting(number), key=lambda one: rank(turn, one))


def goes_before(turn: Turn, row: Page) -> Page | None:
    """The gravest page that waits for the same free line as another, whose turn is first; None when there is none."""
    if line_taken(turn, row) is not None:
        return None
    there = turn.state.calls.waiting(row.address)
    ready = [one for one in there if one.next_at is not None and one.next_at <= turn.now]
    first = min(ready, key=lambda one: rank(turn, one), default=row)
    return first if rank(turn, first) < rank(turn, row) else None


def paged_by(turn: Turn, row: Page) -> bool:
    """Whether a page is what takes the line of another: that telephone rings for something, as far as is known."""
    others = turn.state.calls.ringing.get(row.address, {}).values()
    taking = [one for one in others if one is not row and (one.rings_until or 0) > turn.now]
    return any(one.kind == "page" and one.handed_at is not None for one in taking)


def may_call_again(turn: Turn, incident: Incident, row: Page) -> bool:
    """Whether a number that nobody answered is called once more: its step waits, or whoever asked for help, and it was
    not tried too often.
    """
    if row.kind == "help":
        return _may_ask_again(turn, incident, row)
    if row.kind != "page" or incident.state != "triggered" or row.person in incident.answers:
        return False
    next_at = incident.resume_at if incident.paused is not None else incident.next_at
    if next_at is None or next_at - turn.now <= CALL_AGAIN:
        return False
    theirs = ledger.rows(turn, incident.number)
    after = [one.step for one in theirs if one.id > row.id and one.reason in OF_A_STEP]
    # What is owed of a step before, or goes to who came on call by it, is paged beside the one under way.
    if any(step > row.step for step in after) or (min(after, default=row.step) < row.step > under_way(incident)):
        return False
    if any(one.id > row.id and one.contact == row.contact and one.state == "intended" for one in theirs):
        return False  # the step was repeated meanwhile
    return sum(one.rang and one.contact == row.contact for one in ledger.of_round(turn, row)) < MOST_CALLS


def _may_ask_again(turn: Turn, incident: Incident, row: Page) -> bool:
    """The same of a call for help. No step waits for it; who has come to help, or has it by now, is not asked again."""
    theirs = ledger.of_round(turn, row)
    if not incident.open or person_of(incident.acknowledged_by) == row.person:
        return False
    if any(one.answered_at is not None for one in theirs):
        return False
    if any(one.id > row.id and one.contact == row.contact and one.state == "intended" for one in theirs):
        return False  # they were asked anew meanwhile
    return sum(one.rang and one.contact == row.contact for one in theirs) < MOST_CALLS


def _reachable(turn: Turn, incident: Incident, targets: tuple[str, ...]) -> bool:
    """Whether a step reaches somebody who has not answered. The console counts only where nobody has anything better:
    in a trial.
    """
    people = [one.person for one in behind(turn, incident, targets) if one.person.key not in incident.answers]
    if any(methods.has_any(turn, person.key) for person in people):
        return True
    return bool(people) and on_trial(turn)


def on_trial(turn: Turn) -> bool:
    """Whether nobody has anything better than the console, which then counts as reaching somebody."""
    return not any(methods.has_any(turn, key) for key in turn.plan.people)


def waits_for(turn: Turn, incident: Incident, people: Sequence[Person]) -> tuple[Instant, Reason] | None:
    """Until when an incident of low urgency waits, and for what: its service's hours, or somebody's morning."""
    hours = turn.plan.service(incident.service).hours
    opening = opens_at(turn, hours) if incident.urgency == "low" and hours else None
    if opening is not None:
        return opening, Reason.CLOSED_HOURS
    morning = _morning(turn, incident, people)
    return (morning, Reason.QUIET_HOURS) if morning is not None else None


def _morning(turn: Turn, incident: Incident, people: Sequence[Person]) -> Instant | None:
    """Until when an incident of low urgency waits for the first of these people; None when it does not."""
    if incident.urgency != "low" or not people:
        return None
    ends = [methods.morning(turn, person) for person in people]
    waits = [end for end in ends if end is not None]
    return min(waits) if len(waits) == len(ends) else None


def of_a_step(turn: Turn, row: Page) -> Page | None:
    """The page of a step that a page is, or whose place it took at the same address; None for any other."""
    if row.reason in OF_A_STEP:
        return row
    theirs = ledger.alike(turn, row)
    return next((one for one in theirs if one.overtaken_by == row.id and one.reason in OF_A_STEP), None)


def under_way(incident: Incident) -> int:
    """Which step was paged last, by its place: the last resort comes after all; -1 when none was."""
    if incident.round:
        return incident.step
    return len(incident.steps) if incident.laps and not incident.step else incident.step - 1


def reached_nobody(turn: Turn, incident: Incident, row: Page) -> bool:
    """Whether the step a page belongs to is the last one paged, and every page of it was refused at least once, but
    those of people who have answered: others are asked for beside them.

    That a channel may take it later is no reason to wait: nobody knows of the incident until then. What is on the
    console beside it reaches nobody, except in a trial.
    """
    if row.step != under_way(incident):
        return False  # another step was paged since, though perhaps without a row of its own
    pages = [one for one in ledger.rows(turn, row.incident) if one.kind == "page" and one.reason in OF_A_STEP]
    if any(one.id > row.id and one.step > row.step for one in pages):
        return False
    of_step = [one for one in pages if one.step == row.step]
    rounds = [one.intended_at for one in of_step if not one.instead_of and one.id <= row.id]
    began = max(rounds, default=row.intended_at)
    asked = [one for one in of_step if one.person not in incident.answers]
    # What still waits of a round before is this round's as well: of everybody, or of the one whose turn it is.
    turns = row.step < len(incident.steps) and incident.steps[row.step].one
    rest = {one.id for one in asked if one.waiting and not (turns and one.person != row.person)}
    rest |= {one.id for one in asked if (one.left_at or 0) >= began and not (turns and one.person != row.person)}
    reaching = [one for one in asked if (one.may_reach or one.rang) and (one.intended_at >= began or one.id in rest)]
    return not reaching or (all(one.channel == CONSOLE for one in reaching) and not on_trial(turn))
