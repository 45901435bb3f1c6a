"""What a channel's answer means: for the pages that went, for the method they went by, and for its owner."""

from __future__ import annotations

from tocsin.engine import ledger, methods, paging
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.engine.turn import Turn
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import CALLS, MISSED, Page, receive, retry_after

REFUSALS = frozenset({"client", "gone", "refused_address"})
"""Codes of a failure that is the address's: others are Tocsin's own or the channel's, and say nothing of a person."""


def delivered(turn: Turn, outcome: Delivered) -> None:
    """Take a channel's answer, for every page that went in the message."""
    page = turn.state.pages.get(outcome.page)
    if page is None:
        turn.count("page_outcomes", Reason.OVERTAKEN)
        return
    rows = ledger.together(turn, page)
    if outcome.state == "failed":
        _refused(turn, page, outcome)
    elif outcome.state == "sent":
        _works(turn, page)
    contact = turn.state.contacts.get(page.contact) if page.kind == "page" and outcome.state != "sent" else None
    stayed = contact is not None and methods.stayed(turn, contact, page.handed_at)
    for row in rows:
        _delivered(turn, row, outcome)
    if page.channel in CALLS and outcome.state != "sent":
        paging.line_free(turn, page.address, busy=False)
    if stayed and contact is not None:
        paging.make_way(turn, contact)


def _delivered(turn: Turn, row: Page, outcome: Delivered) -> None:
    if outcome.state == "unneeded":
        if row.state != "intended":
            row.over_at = row.over_at or turn.now  # it was answered before its channel came to it
            turn.save_page(row)
        elif row.kind == "update":
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
        else:  # the acknowledgement it saw was never committed
            row.handed_at, row.next_at, row.outcome = None, turn.now + retry_after(1), Reason.RETRYING
            turn.save_page(row)
        return
    row.attempts += 1
    row.error = outcome.error
    row.provider_id = outcome.provider_id or row.provider_id
    if row.state != "intended":
        row.finished_at = turn.now  # it was on its way when the acknowledgement came
        if row.state == "overtaken" and outcome.state == "sent":
            row.outcome = Reason.LEFT_BEFORE
            turn.count("page_outcomes", Reason.LEFT_BEFORE)
        turn.save_page(row)
        return
    if outcome.state == "sent":
        ledger.finish(turn, row, "sent", Reason.POSSIBLE_DUPLICATE if outcome.duplicate else Reason.SENT)
    elif outcome.state == "retry" and (newer := ledger.newer(turn, row)):
        row.overtaken_by = newer.id
        ledger.finish(turn, row, "overtaken", Reason.REPLACED)
    elif outcome.state == "retry":
        row.outcome, row.handed_at = Reason.RETRYING, None
        row.next_at = turn.now + max(outcome.retry_after or 0, retry_after(row.attempts))
        turn.save_page(row)
        turn.count("page_outcomes", Reason.RETRYING)
        if row.attempts == 1:
            paging.next_method(turn, row)  # a channel that fails may stay down: use the person's next one meanwhile
    else:
        ledger.finish(turn, row, "failed", Reason.FAILED)
        paging.next_method(turn, row)


def reached(turn: Turn, told: Receipted) -> None:
    """Take a provider's word on how far a message got. One that fails after all is treated like one never taken."""
    page = turn.state.pages.get(told.page)
    if page is None:
        return
    missed = MISSED.get(told.receipt)
    news = [row for row in ledger.together(turn, page) if receive(row, told.receipt, turn.now)]
    for row in news:
        if missed is not None:
            row.over_at = turn.now
            _missed(turn, row, missed, told.error)
        elif told.receipt == "failed":
            row.error = told.error
            ledger.finish(turn, row, "failed", Reason.FAILED)
            paging.next_method(turn, row)
        else:
            turn.save_page(row)
            turn.count("page_receipts", told.receipt)
    for row in news if missed is not None else ():
        if row.rang:
            paging.call_again(turn, row)
    if news and page.channel in CALLS and told.receipt not in ("delivered", "seen"):
        paging.line_free(turn, page.address, busy=told.receipt == "busy")


def _missed(turn: Turn, row: Page, missed: Reason, error: str) -> None:
    """Nobody took a call. Of one that was not needed any more by then nothing follows."""
    row.error = error
    if row.state == "overtaken":
        turn.save_page(row)
    else:
        ledger.finish(turn, row, "failed", missed)


def _refused(turn: Turn, row: Page, outcome: Delivered) -> None:
    """A channel refused an address for good: mark the method, and tell its owner by another."""
    contact = turn.state.contacts.get(row.contact)
    if contact is None or contact.address != row.address or outcome.code not in REFUSALS:
        return
    known = contact.state == "failing"
    contact.failed_at, contact.failure = turn.now, outcome.error[:500]
    if contact.trusted:
        contact.state = "failing"
    turn.save_contact(contact)
    turn.count("contacts", Reason.CONTACT_FAILING)
    if outcome.code == "gone" and contact.channel == "push":
        methods.drop(turn, contact)  # a browser that subscribes again has another address
    person = turn.plan.people.get(contact.person)
    if known or person is None or not contact.trusted:
        return
    if row.incident in turn.state.incidents:
        what = f"{contact.channel} does not reach {person.name} any more, and is marked as failing"
        turn.enter(row.incident, what, Reason.CONTACT_FAILING, page=str(row.id))
    others = [one for one in methods.able(turn, person.key) if one is not contact and one.state == "verified"]
    if others:
        title = f"Your contact method {contact.label or contact.channel} fails: {contact.failure}"[:300]
        paging.notice(turn, person, Reason.CONTACT_FAILING, title, contact=others[0])


def _works(turn: Turn, row: Page) -> None:
    """A message went through: a method that was marked as failing works again."""
    contact = turn.state.contacts.get(row.contact)
    if contact is not None and contact.state == "failing" and contact.address == row.address:
        contact.state, contact.failure, contact.failed_at = "verified", "", None
        turn.save_contact(contact)
        turn.count("contacts", Reason.CONTACT_WORKS)
