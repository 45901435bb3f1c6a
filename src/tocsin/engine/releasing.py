"""Pages that wait, when what they wait for ends: they leave, are meant for somebody else by now, or are withdrawn."""

from __future__ import annotations

from tocsin.engine import calling, holding, ledger, paging
from tocsin.engine.intending import BY_NAME
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import PAUSED, Page

PAUSES = holding.FOR_CODE | {Reason.SILENCED, Reason.CLEARING}
"""What an incident's pages may wait for while it is open and nobody has it."""


def hurry(turn: Turn, incident: Incident) -> None:
    """Whoever's pages wait for their morning is paged now, as their rules for high urgency say."""
    rows = [row for row in ledger.rows(turn, incident.number) if row.state == "intended" and row.handed_at is None]
    asleep = {(row.person, row.kind): row for row in rows if row.held is Reason.QUIET_HOURS}
    for (key, kind), row in asleep.items():
        paging.withdraw(turn, incident, person=key, kinds=(kind,))
        if key in turn.plan.people and kind == "copy":
            paging.copy(turn, incident, turn.plan.people[key], row.reason, row.step)
        elif key in turn.plan.people:
            paging.page(turn, incident, turn.plan.people[key], row.reason, row.step)


def go_on(turn: Turn, incident: Incident) -> None:
    """An incident is paused no more: what waited for that leaves."""
    for row in _kept(turn, incident):
        row.held, row.not_before, row.next_at = None, turn.now, turn.now
        paging.due(turn, row)


def _kept(turn: Turn, incident: Incident) -> list[Page]:
    """The pages that waited because their incident was paused."""
    rows = ledger.rows(turn, incident.number)
    return [row for row in rows if row.state == "intended" and row.handed_at is None and row.held in PAUSES]


def drop_resting(turn: Turn, incident: Incident) -> None:
    """Nothing ends an incident's pause any more: what waited for that is withdrawn."""
    for row in _kept(turn, incident):
        ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)


def off_duty(turn: Turn, incident: Incident) -> int | None:
    """The first step whose page waited in a pause that outlasted a shift: its person is not meant any more, and the
    page is withdrawn. None when all that waits is still right.
    """
    steps = []
    for row in _kept(turn, incident):
        if row.reason in calling.OF_A_STEP and row.step < len(incident.steps):
            behind = calling.behind(turn, incident, incident.steps[row.step].targets)
            if all(one.person.key != row.person for one in behind):
                ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
                steps.append(row.step)
    return min(steps, default=None)


def call_off(turn: Turn, incident: Incident) -> None:
    """Everybody is asked anew: what has not left of before is overtaken, but what somebody asked for by name."""
    incident.owed = ()
    for row in ledger.rows(turn, incident.number):
        if row.state == "intended" and row.kind in PAUSED and row.reason not in BY_NAME:
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
