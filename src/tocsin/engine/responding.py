"""What responders do with an incident beside answering: give it away, put it off, ask for help, take a newer plan."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.access.actors import called
from tocsin.catalog.people import Person
from tocsin.engine import commands as c
from tocsin.engine import helping, holding, paging, rising, settling, unreached
from tocsin.engine.answering import MOST_STEPS
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn
from tocsin.escalation.policy import Step
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, MINUTE, Duration, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import PageKind

LONGEST_REASON = 500
MOST_RESPONDERS = 50
MOST_NAMED = 3
"""So many are named of those who were asked for help."""
LONGEST_SNOOZE: Duration = 7 * DAY


def reassign(turn: Turn, incident: Incident, command: c.Reassign) -> c.Result:
    """Another person has to answer: they are paged at once, and after them the escalation goes on where it stood.

    Refused where nothing reaches them: whoever gives it away believes that somebody has it.
    """
    person = turn.plan.people.get(command.person)
    if person is None:
        return refuse("invalid", f"The plan has no person {command.person!r}", "person")
    wrong = _unfit(incident, command.note)
    if wrong is not None:
        return wrong
    if len(incident.steps) >= MOST_STEPS:
        return refuse("conflict", f"Incident #{incident.number} was given away too often")
    if helping.mute(turn, [person]):
        nothing = f"Incident #{incident.number} was not given away: {helping.by_nothing([person])}"
        return refuse("conflict", nothing, "person")
    step = min(incident.step, len(incident.steps))
    given = f"{called(command.actor, turn.plan.names)} gave it to {person.name}{_because(command.note)}"
    incident.steps = (*incident.steps[:step], Step((f"person:{person.key}",), given=given), *incident.steps[step:])
    turn.enter(incident.number, f"Given to {person.name}{_because(command.note)}", Reason.REASSIGNED, command.actor)
    holding.given(turn, incident)
    rising.follow_plan(turn, incident)
    helping.came(turn, incident, person.key)  # it is theirs: nobody waits for them to help with it
    _page_from(turn, incident, step)
    incident.reason = Reason.REASSIGNED
    return c.Result(ok=True, reason=Reason.REASSIGNED, id=str(incident.number))


def snooze(turn: Turn, incident: Incident, command: c.Snooze) -> c.Result:
    """Quiet until a set time. It is an acknowledgement with an end of its own, so that it can be taken over."""
    wrong = _unfit(incident, command.note)
    if wrong is not None:
        return wrong
    length = command.until - turn.now
    if not MINUTE <= length <= LONGEST_SNOOZE:
        return refuse("invalid", "A snooze lasts from one minute to seven days", "until")
    settling.acknowledge(turn, incident, command.actor, Reason.PUT_OFF, length, _because(command.note))
    return c.Result(ok=True, reason=Reason.PUT_OFF, id=str(incident.number))


def add_responders(turn: Turn, incident: Incident, command: c.AddResponders) -> c.Result:
    """Page more people now. While somebody has the incident they are asked for help, and need not take it over.

    Refused where somebody who is named can be reached by nothing: whoever asks would wait for them in vain. Of a team
    those are asked who can be.
    """
    wrong = _unfit(incident, command.note)
    if wrong is not None:
        return wrong
    for target in command.targets:
        kind, _, name = target.partition(":")
        if kind not in ("person", "team") or name not in (turn.plan.people if kind == "person" else turn.plan.teams):
            return refuse("invalid", f"The plan has no {kind if kind == 'team' else 'person'} {name!r}", "targets")
    people = turn.plan.people_of(command.targets, turn.now, turn.state.covers)
    if not people:
        return refuse("invalid", "Name whom to ask: a person, or a team", "targets")
    mute = helping.mute(turn, people)
    by_name = [one for one in mute if f"person:{one.key}" in command.targets]
    people = tuple(one for one in people if one not in mute)
    if by_name or not people:
        return refuse("conflict", f"Nobody was asked: {helping.by_nothing(by_name or mute)}", "targets")
    responders = tuple(dict.fromkeys((*incident.responders, *(person.key for person in people))))
    if len(responders) > MOST_RESPONDERS:
        return refuse("conflict", f"At most {MOST_RESPONDERS} people are added to one incident", "targets")
    incident.responders = responders
    names = ", ".join(person.name for person in people)
    said = "Asked" if turn.state.counters.paging else "Paging is off; it would have asked"
    without = f"; {helping.by_nothing(mute)}" if mute else ""
    what = f"{said} {names} for help{_because(command.note)}{without}"
    turn.enter(incident.number, what, Reason.ASKED_FOR_HELP, command.actor)
    alone = incident.state == "triggered" and incident.paused is None
    because = f"{called(command.actor, turn.plan.names)} asked for help{_because(command.note)}"
    asked: PageKind = "page" if alone else "help"
    for person in people:
        paging.page(turn, incident, person, Reason.ASKED_FOR_HELP, incident.step, asked, because, command.actor)
    if not alone:
        _promise(turn, incident, people, command.actor)
    turn.save_incident(incident)
    return c.Result(ok=True, reason=Reason.ASKED_FOR_HELP, id=str(incident.number))


def _promise(turn: Turn, incident: Incident, people: Sequence[Person], asked_by: str) -> None:
    """Who waits for help is told when none of those who were asked last has answered in time."""
    helping.drop_promise(turn, incident)
    names = " and ".join(one.name for one in people[:MOST_NAMED])
    names += f" and {len(people) - MOST_NAMED} more" if len(people) > MOST_NAMED else ""
    length = say_duration(helping.ANSWERED_WITHIN)
    have = "has" if len(people) == 1 else "have"
    title = f"{names} {have} not answered the call for help in {length}: incident #{incident.number}, {incident.title}"
    for one in helping.waiting(turn, incident, asked_by, [each.key for each in people]):
        until = turn.now + helping.ANSWERED_WITHIN
        paging.notice(turn, one, Reason.HELP_UNANSWERED, title, unless=until, incident=incident.number)


def apply_plan(turn: Turn, incident: Incident, command: c.ApplyPlan) -> c.Result:
    """The steps and the urgency the plan has now; what is not answered yet is paged from the first step."""
    wrong = _unfit(incident, "")
    if wrong is not None:
        return wrong
    if incident.plan == turn.plan.version:
        return refuse("conflict", f"Incident #{incident.number} follows the plan now in force already")
    loud = rising.counting(turn, incident)
    tiers = [turn.plan.tier_of(incident.service, one.labels) for one in loud]
    incident.customer_tier = turn.plan.highest_tier(tiers or [incident.customer_tier])
    incident.steps = turn.plan.steps(incident.service, incident.severity, incident.customer_tier)
    was, incident.plan = incident.plan, turn.plan.version
    if loud:
        incident.urgency = "high" if any(rising.urgency(turn, one) == "high" for one in loud) else "low"
    what = f"The plan {turn.plan.version[:8]} applies now"
    anew = {"paged": "anew"} if incident.state == "triggered" else {}
    turn.enter(incident.number, what, Reason.PLAN_APPLIED, command.actor, plan=turn.plan.version, was=was, **anew)
    if incident.state == "triggered":
        _page_from(turn, incident, 0)
    else:
        incident.step = incident.round = incident.laps = 0
        turn.save_incident(incident)
    return c.Result(ok=True, reason=Reason.PLAN_APPLIED, id=str(incident.number))


def _page_from(turn: Turn, incident: Incident, step: int) -> None:
    """Page from a step, now; when paging is paused, as soon as it goes on."""
    paging.withdraw(turn, incident)
    unreached.say_all_again(incident)
    incident.state = "triggered"
    incident.acknowledged_by, incident.answers = "", {}
    incident.acknowledged_at = incident.acknowledged_until = incident.waits = None
    incident.step, incident.round = step, 0
    if incident.paused is None:
        incident.next_at = turn.now
    else:
        incident.resume_at = turn.now
    turn.save_incident(incident)
    turn.touch(incident.number)


def _unfit(incident: Incident, note: str) -> c.Result | None:
    if not incident.open:
        return refuse("conflict", f"Incident #{incident.number} is resolved already")
    if len(note) > LONGEST_REASON or not note.isprintable():
        return refuse("invalid", f"A reason has up to {LONGEST_REASON} printable characters", "note")
    return None


def _because(note: str) -> str:
    return f": {note.strip()}" if note.strip() else ""
