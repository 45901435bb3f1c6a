"""What a channel's answer means: for the pages that went, for the method they went by, and for its owner."""

from __future__ import annotations

from tocsin.engine import following, ledger, methods, paging, ringing, unreached
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import Duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import GATHERING, MISSED, PAUSED, RINGS, Page, Receipt, receive, retry_after
from tocsin.pages.profiles import DEVICE, profile

REFUSALS = frozenset({"address", "gone"})
"""Codes of a failure that is the address's, which only its channel can know: all others are Tocsin's own, the account's
or the provider's, and say nothing of a person.
"""

LOST = "deadline"
"""The code of an answer that did not come in time: what was asked may have been done; what was not has another code."""
ENDS: frozenset[Receipt] = frozenset({"failed", "busy", "no_answer", "over"})
"""By these a call is over."""


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
    if profile(page.channel).rings and outcome.state != "sent":
        ringing.line_free(turn, page.address)
    if stayed and contact is not None:
        paging.make_way(turn, contact)


def _delivered(turn: Turn, row: Page, outcome: Delivered) -> None:
    if outcome.state == "unneeded":
        if row.state != "intended":
            row.over_at = row.over_at or turn.now  # it was answered before its channel came to it
            turn.save_page(row)
        elif (why := paging.paused(turn, row)) is not None:
            row.handed_at = None
            paging.hold(turn, row, *why)
        elif row.kind in PAUSED:  # the acknowledgement it saw was never committed, or the pause is over
            _again(turn, row, retry_after(1))
        else:
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
        return
    row.attempts += 1
    row.error = outcome.error
    row.provider_id = outcome.provider_id or row.provider_id
    if row.state != "intended":
        row.finished_at = turn.now  # it was on its way when the acknowledgement came
        if profile(row.channel).rings and outcome.state != "sent" and outcome.code != LOST:
            row.over_at = row.over_at or turn.now
        if row.state == "overtaken" and outcome.state == "sent":
            row.outcome = Reason.LEFT_BEFORE
            turn.count("page_outcomes", Reason.LEFT_BEFORE)
            following.left_after_all(turn, row)
        turn.save_page(row)
        return
    if outcome.state == "sent":
        ledger.finish(turn, row, "sent", Reason.POSSIBLE_DUPLICATE if outcome.duplicate else Reason.SENT)
        unreached.reached(turn, row)
    elif outcome.state == "retry" and row.delivered_at is not None:
        ledger.finish(turn, row, "sent", Reason.SENT)  # its channel did not hear so, its provider says so
        unreached.reached(turn, row)
    elif outcome.state == "retry" and (newer := ledger.newer(turn, row)):
        row.overtaken_by = newer.id
        ledger.finish(turn, row, "overtaken", Reason.REPLACED)
    elif outcome.state == "retry":
        row.lost_at = turn.now if outcome.code == LOST and profile(row.channel).rings else None
        pause = max(outcome.retry_after or 0, retry_after(row.attempts))
        _again(turn, row, pause if row.lost_at is None else max(pause, RINGS))
        turn.count("page_outcomes", Reason.RETRYING)
        if row.attempts == 1:
            paging.next_method(turn, row)  # a channel that fails may stay down: use the person's next one meanwhile
    elif methods.moved(turn, row):  # it was on its way to an address that its method has left
        _again(turn, row, 0)
        turn.count("page_outcomes", Reason.RETRYING)
    else:
        ledger.finish(turn, row, "failed", Reason.FAILED)
        paging.next_method(turn, row)


def _again(turn: Turn, row: Page, pause: Duration) -> None:
    """It is tried again after a pause. What it waited for before it was tried is over: only the pause holds it now."""
    row.outcome, row.handed_at, row.next_at = Reason.RETRYING, None, turn.now + pause
    if row.held in GATHERING:
        row.held = row.not_before = None
    turn.save_page(row)


def reached(turn: Turn, told: Receipted) -> None:
    """Take a provider's word on how far a message got. One that fails after all is treated like one never taken."""
    page = turn.state.pages.get(told.page)
    if page is None:
        return
    if profile(page.channel).rings and told.receipt in ENDS and "" != told.provider_id != page.provider_id != "":
        turn.count("page_receipts", Reason.OVERTAKEN)
        return  # it is of the call before: the one that is under way goes on
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
            turn.count("page_receipts", told.receipt)
            if row.told:
                ledger.finish(turn, row, "sent", Reason.SENT)  # it needs no other try
                unreached.reached(turn, row)
            else:
                turn.save_page(row)
    for row in news if missed is not None else ():
        if row.rang:
            ringing.call_again(turn, row)
    if news and profile(page.channel).rings and told.receipt not in ("delivered", "seen"):
        ringing.line_free(turn, page.address, news if told.receipt == "busy" else ())


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
    contact.fails(turn.now, outcome.error[:500], turn.plan.set_up_as(contact.channel))
    turn.save_contact(contact)
    turn.count("contacts", Reason.CONTACT_FAILING)
    if outcome.code == "gone" and contact.channel == DEVICE:
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
        contact.works()
        turn.save_contact(contact)
        turn.count("contacts", Reason.CONTACT_WORKS)
