"""Commands: what people and scripts ask for, decided. Each returns a Result and changes nothing when it refuses."""

from __future__ import annotations

from tocsin.access.actors import called, person_of, same
from tocsin.engine import (
    admitting,
    asking,
    beating,
    checking,
    comparing,
    contacting,
    ending,
    helping,
    ledger,
    overriding,
    responding,
    resuming,
    rising,
    running,
    settling,
    silencing,
    starting,
    triggering,
)
from tocsin.engine import commands as c
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, MINUTE, Duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page

LONGEST_HOLD: Duration = 7 * DAY
LONGEST_NOTE = 10_000
CARRIED = 120
"""So much of an incident's last note is carried over to who comes on call."""


Access = (
    c.CreateKey | c.LimitKey | c.RevokeKey | c.DeclareKeys | c.SetUser | c.CreateToken | c.UseLink | c.RevokeToken
)
Covering = c.AddOverride | c.AskSwap | c.AskCover | c.AnswerOverride | c.CancelOverride
Contacting = (
    c.AddContact
    | c.SendCode
    | c.VerifyContact
    | c.MarkContact
    | c.RemoveContact
    | c.TryContact
    | c.SetReach
    | c.StartDrill
    | c.AnswerDrill
)
Running = (
    c.StartRun
    | c.PullTrigger
    | c.AnswerRun
    | c.ResumeRun
    | c.CompareRun
    | c.TakeOverRun
    | c.GiveBackRun
    | c.CancelRun
    | c.SetTrust
)
Responding = c.Reassign | c.Snooze | c.AddResponders | c.ApplyPlan | c.TickStep | c.UntickStep


def decide(turn: Turn, command: c.AnyCommand) -> c.Result:
    """Decide one command."""
    match command:
        case c.Acknowledge():
            return _acknowledge(turn, command)
        case c.Resolve():
            return _resolve(turn, command)
        case c.AddNote():
            return _note(turn, command)
        case c.SetSilence():
            return silencing.set_silence(turn, command)
        case c.ExpireSilence():
            return silencing.expire(turn, command)
        case c.DiscardParked():
            return _discard_parked(turn, command)
    if isinstance(command, Responding):
        return _respond(turn, command)
    if isinstance(command, Running):
        return _run(turn, command)
    if isinstance(command, Covering):
        return _cover(turn, command)
    if isinstance(command, Contacting):
        return _contact(turn, command)
    return _admit(turn, command)


def _run(turn: Turn, command: Running) -> c.Result:
    match command:
        case c.StartRun():
            return starting.start(turn, command)
        case c.PullTrigger():
            return triggering.pull(turn, command)
        case c.AnswerRun():
            return asking.answer(turn, command)
        case c.ResumeRun():
            return resuming.resume(turn, command)
        case c.CompareRun():
            return comparing.compare(turn, command)
        case c.TakeOverRun():
            return resuming.take_over(turn, command)
        case c.GiveBackRun():
            return resuming.give_back(turn, command)
        case c.CancelRun():
            return running.cancel(turn, command)
        case c.SetTrust():
            return starting.set_trust(turn, command)


def _cover(turn: Turn, command: Covering) -> c.Result:
    match command:
        case c.AddOverride():
            return overriding.add(turn, command)
        case c.AskSwap():
            return overriding.ask_swap(turn, command)
        case c.AskCover():
            return overriding.ask_cover(turn, command)
        case c.AnswerOverride():
            return overriding.answer(turn, command)
        case c.CancelOverride():
            return overriding.cancel(turn, command)


def _contact(turn: Turn, command: Contacting) -> c.Result:
    match command:
        case c.AddContact():
            return contacting.add(turn, command)
        case c.SendCode():
            return contacting.send_code(turn, command)
        case c.VerifyContact():
            return contacting.verify(turn, command)
        case c.MarkContact():
            return contacting.mark(turn, command)
        case c.RemoveContact():
            return contacting.remove(turn, command)
        case c.TryContact():
            return contacting.test(turn, command)
        case c.SetReach():
            return contacting.set_reach(turn, command)
        case c.StartDrill():
            return contacting.start_drill(turn, command)
        case c.AnswerDrill():
            return contacting.answer_drill(turn, command)


def _admit(turn: Turn, command: Access) -> c.Result:
    match command:
        case c.CreateKey():
            return admitting.create_key(turn, command)
        case c.LimitKey():
            return admitting.limit_key(turn, command)
        case c.RevokeKey():
            return admitting.revoke_key(turn, command)
        case c.DeclareKeys():
            return admitting.declare_keys(turn, command)
        case c.SetUser():
            return admitting.set_user(turn, command)
        case c.CreateToken():
            return admitting.create_token(turn, command)
        case c.UseLink():
            return admitting.use_link(turn, command)
        case c.RevokeToken():
            return admitting.revoke_token(turn, command)


# -- incidents ---------------------------------------------------------------------------------------------------------


def _incident(turn: Turn, number: int) -> Incident | c.Result:
    incident = turn.state.incidents.get(number)
    if incident is not None:
        return incident
    if 0 < number <= turn.state.counters.incident:
        return refuse("conflict", f"Incident #{number} is over and closed")
    return refuse("not_found", f"There is no incident #{number}")


def _respond(turn: Turn, command: Responding) -> c.Result:
    incident = _incident(turn, command.incident)
    if isinstance(incident, c.Result):
        return incident
    match command:
        case c.Reassign():
            return responding.reassign(turn, incident, command)
        case c.Snooze():
            return responding.snooze(turn, incident, command)
        case c.AddResponders():
            return responding.add_responders(turn, incident, command)
        case c.ApplyPlan():
            return responding.apply_plan(turn, incident, command)
        case c.TickStep():
            return checking.tick(turn, incident, command)
        case c.UntickStep():
            return checking.untick(turn, incident, command)


def _acknowledge(turn: Turn, command: c.Acknowledge) -> c.Result:
    page = turn.state.pages.get(command.page)
    incident = _incident(turn, command.incident or (page.incident if page is not None else 0))
    if isinstance(incident, c.Result):
        return incident
    if command.hold is not None and not MINUTE <= command.hold <= LONGEST_HOLD:
        return refuse("invalid", "An acknowledgement holds from one minute to seven days", "hold")
    if command.page and (page is None or page.incident != incident.number):
        return refuse("not_found", f"There is no page {command.page} of incident #{incident.number}")
    actor = command.actor or (f"person:{page.person}" if page is not None else "")
    if page is not None and page.kind == "help" and incident.helped_by(page.intended_at):
        return _comes_to_help(turn, incident, page, actor)
    asked = [incident] if page is None else _answered_by(turn, incident, page, actor)
    if not any(one.open for one in asked):
        since = "was opened again since that page" if incident.open else "is resolved already"
        return refuse("conflict", f"Incident #{incident.number} {since}")
    first, *_ = asked
    if not command.over and first.state == "acknowledged" and not same(first.acknowledged_by, actor):
        had = f"has incident #{first.number} already"
        had = f"put incident #{first.number} off" if first.reason is Reason.PUT_OFF else had
        return refuse("taken", f"{called(first.acknowledged_by, turn.plan.names)} {had}")
    if page is not None:
        ledger.answered(turn, page)
    reason, *_ = [settling.answer(turn, one, actor, command.hold) for one in asked]
    said = first.noted if reason is Reason.ANSWERED else ""
    return c.Result(ok=True, reason=reason, id=str(first.number), message=said)


def _comes_to_help(turn: Turn, incident: Incident, page: Page, actor: str) -> c.Result:
    """Whoever was asked for help says that they come. Who has the incident still has it."""
    ledger.answered(turn, page)
    helping.came(turn, incident, page.person)
    turn.enter(incident.number, "Comes to help", Reason.ANSWERED, actor)
    turn.save_incident(incident)
    said = f"You come to help with incident #{incident.number}"
    return c.Result(ok=True, reason=Reason.ANSWERED, id=str(incident.number), message=said)


def _answered_by(turn: Turn, incident: Incident, page: Page, actor: str) -> list[Incident]:
    """Which incidents an answer to a page of one is for: one answer is for all that came in the same message and wait
    for this person, the gravest first. When none does it is for its own. What was opened again since is another
    trouble, of which the message did not tell: [] when nothing else is left.
    """
    rows = {row.incident: row for row in ledger.still_tells(turn.state, page)}
    found = [one for number in rows if (one := turn.state.incidents.get(number)) is not None and one.open]
    found.sort(key=lambda one: (one.severity, one.number))
    waits = [one for one in found if one.state == "triggered" and person_of(actor) not in one.answers]
    for one in waits:
        ledger.answered(turn, rows[one.number])
    return waits or ([incident] if incident.number in rows else [])


def _resolve(turn: Turn, command: c.Resolve) -> c.Result:
    incident = _incident(turn, command.incident)
    if isinstance(incident, c.Result):
        return incident
    if command.snooze is not None and not MINUTE <= command.snooze <= LONGEST_HOLD:
        return refuse("invalid", "A snooze lasts from one minute to seven days", "snooze")
    if not incident.open:
        return refuse("conflict", f"Incident #{incident.number} is resolved already")
    members = turn.members(incident)
    for id in sorted(members.firing):
        alert = turn.state.alerts[id]
        if alert.source == ending.OWN and not beating.is_missing(turn, alert):
            ending.resolve(turn, alert, Reason.BY_HAND)
    if members.firing:
        snooze = command.snooze if command.snooze is not None else settling.unsaid_snooze(turn, incident)
        rising.put_off(turn, incident)
        settling.resolve(turn, incident, command.actor, Reason.BY_HAND, snooze)
        return c.Result(ok=True, reason=Reason.SNOOZED, id=str(incident.number))
    settling.resolve(turn, incident, command.actor, Reason.BY_HAND)
    return c.Result(ok=True, reason=Reason.BY_HAND, id=str(incident.number))


def _note(turn: Turn, command: c.AddNote) -> c.Result:
    text = command.text.strip()
    if not text or len(text) > LONGEST_NOTE:
        return refuse("invalid", f"A note has 1 to {LONGEST_NOTE:,} characters", "text")
    if not 0 < command.incident <= turn.state.counters.incident:
        return refuse("not_found", f"There is no incident #{command.incident}")
    turn.enter(command.incident, text, Reason.NOTE, command.actor)
    incident = turn.state.incidents.get(command.incident)
    if incident is not None:
        incident.note = " ".join(text.split())[:CARRIED]
        turn.save_incident(incident)
    return c.Result(ok=True, reason=Reason.NOTE, id=str(turn.state.counters.entry))


def _discard_parked(turn: Turn, command: c.DiscardParked) -> c.Result:
    parked = turn.state.parked.pop(command.id, None)
    if parked is None:
        return refuse("not_found", f"There is no parked request {command.id}")
    parked.discarded = True
    turn.changes.parked[parked.id] = parked
    return c.Result(ok=True, id=str(parked.id))
