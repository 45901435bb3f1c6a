"""Calls that are over: a number that nobody answered is called again, and what waited for the line is called now."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.engine import calling, paging
from tocsin.engine.intending import About, row_of
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import CALL_AGAIN, Page
from tocsin.pages.rules import Planned


def call_again(turn: Turn, row: Page) -> None:
    """A call rang and nobody took it: the number works, so it is called again while its step waits for an answer, or
    whoever asked for help, and the person's next method is used at once.

    No step is passed over for it.
    """
    incident = turn.state.incidents.get(row.incident)
    name = turn.plan.names.get(row.person, row.person)
    contact = turn.state.contacts.get(row.contact)
    if incident is not None and contact is not None and calling.may_call_again(turn, incident, row):
        about = About(
            row.incident, row.title, row.reason, row.step, row.kind, because=row.because, asked_by=row.asked_by
        )
        planned, at = Planned(contact, contact.channel, contact.address, 0), turn.now + CALL_AGAIN
        again = row_of(turn, row.person, planned, about, at, Reason.CALLED_AGAIN)
        again.instead_of = row.id
        if incident.paused is None and paging.relieved(turn, again):
            return  # their shift ended while it rang
        how = "'s telephone was busy" if row.outcome is Reason.LINE_BUSY else " did not pick up the telephone"
        what = f"{name}{how}, and is called again in {say_duration(CALL_AGAIN)}"
        turn.enter(incident.number, what, row.outcome or Reason.NO_ANSWER, page=str(row.id))
    paging.next_method(turn, row)


def line_free(turn: Turn, number: str, busy: Sequence[Page] = ()) -> None:
    """A call to a number is over, or never was: what waited for it is called now, the gravest first, together where it
    is one person's.

    ``busy``: what was not told because somebody else is on the line. What is as grave or less waits as long as the next
    try, and the person's next method is used for it meanwhile; what is graver is tried for itself.
    """
    missed = min((calling.rank(turn, row) for row in busy), default=None)
    for row in calling.waiting(turn, number):
        if not row.on_hold:
            continue  # it went with one before it
        if missed is not None and calling.rank(turn, row) >= missed:
            paging.hold(turn, row, Reason.ON_THE_PHONE, turn.now + CALL_AGAIN)
            if not row.attempts:
                paging.next_method(turn, row)
        else:
            row.next_at = turn.now
            paging.due(turn, row)
