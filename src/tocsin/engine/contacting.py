"""Contact methods and rules of people: added, proven, marked, removed; and the drill that shows what a page is like.

Whether somebody may change a person's methods was decided by the face that took the command; here it is decided whether
the change makes sense. A wrong code is the one refusal that changes something: it counts as a try.
"""

from __future__ import annotations

import hmac

from msgspec.structs import replace

from tocsin.engine import commands as c
from tocsin.engine import ledger, methods, paging, waiting
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import SECOND, Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.contacts import (
    ASKED_WITHIN,
    CODE_TRIES,
    CODE_WORKS,
    CODES_PER_HOUR,
    CODES_PER_PERSON,
    LONGEST_LABEL,
    MOST_CONTACTS,
    Contact,
    checked_address,
    masked,
)
from tocsin.pages.ledger import DRILL_WORKS, Page
from tocsin.pages.profile import BadAddress
from tocsin.pages.profiles import DEVICE, owned
from tocsin.pages.rules import fault
from tocsin.pages.subscription import read_subscription

BETWEEN_CODES: Duration = 20 * SECOND


def add(turn: Turn, command: c.AddContact) -> c.Result:
    """A new method, unverified; a device is verified by its subscription, and one that is known gets its new keys."""
    if command.person not in turn.plan.people:
        return refuse("invalid", f"The plan has no person {command.person!r}", "person")
    if command.channel not in turn.plan.reaches & owned():
        there = ", ".join(sorted(turn.plan.reaches & owned()))
        return refuse("invalid", f"The plan sets up no channel {command.channel!r}; there are {there}", "channel")
    try:
        address = checked_address(command.channel, command.address, turn.plan.channels.get(command.channel))
    except BadAddress as error:
        return refuse("invalid", f"{str(error)[:1].upper()}{str(error)[1:]}", "address")
    label = " ".join(command.label.split())
    if len(label) > LONGEST_LABEL or not label.isprintable():
        return refuse("invalid", f"A label has up to {LONGEST_LABEL} printable characters", "label")
    theirs = turn.state.contacts_by(command.person)
    if command.channel == DEVICE:
        if command.actor != f"person:{command.person}":
            return refuse("invalid", "A device is added by its own person, from its own browser", "channel")
        known = _same_device(turn, command.person, address)
        if known is not None:
            known.address, known.label = address, label or known.label
            verified(turn, known)
            return c.Result(ok=True, id=str(known.id))
    same = next((one for one in theirs if (one.channel, one.address) == (command.channel, address)), None)
    if same is not None and same.left_at is not None:  # the plan left it out: it is theirs, once it is proved
        same.declared, same.left_at, same.added_by = False, None, command.actor
        same.label = label or same.label
        turn.save_contact(same)
        return c.Result(ok=True, id=str(same.id))
    if same is not None:
        return refuse("conflict", "This contact method is there already", "address")
    if sum(one.left_at is None for one in theirs) >= MOST_CONTACTS:
        return refuse("conflict", f"A person has at most {MOST_CONTACTS} contact methods: remove one first")
    contact = new(turn, command.person, command.channel, address, label, command.actor)
    if command.channel == DEVICE:
        verified(turn, contact)  # the browser that gave the subscription is the proof
        waiting.reachable(turn, contact.person)
    return c.Result(ok=True, id=str(contact.id))


def _same_device(turn: Turn, person: str, address: str) -> Contact | None:
    """This person's method for the same browser. Others' goes: it shows the pages of whoever signed in last."""
    endpoint, found = read_subscription(address).endpoint, None
    for contact in [one for one in turn.state.contacts.values() if one.channel == DEVICE]:
        if read_subscription(contact.address).endpoint == endpoint:
            if contact.person == person:
                found = contact
            else:
                methods.drop(turn, contact)
    return found


def drop_devices(turn: Turn, person: str) -> None:
    """Whoever may not sign in any more is shown nothing either."""
    for contact in [one for one in turn.state.contacts_by(person) if one.channel == DEVICE]:
        methods.drop(turn, contact)


def new(turn: Turn, person: str, channel: str, address: str, label: str = "", added_by: str = "") -> Contact:
    """One more method of a person, not verified."""
    turn.state.counters.contact += 1
    contact = Contact(
        id=turn.state.counters.contact,
        person=person,
        channel=channel,
        address=address,
        label=label,
        added_at=turn.now,
        added_by=added_by,
    )
    turn.state.add_contact(contact)
    turn.save_contact(contact)
    return contact


def verified(turn: Turn, contact: Contact) -> None:
    """It is trusted from now on."""
    contact.verified_at = turn.now
    contact.works()
    contact.forget_code()
    turn.save_contact(contact)


def send_code(turn: Turn, command: c.SendCode) -> c.Result:
    """Send a code by the method itself. The message is made from the seed when it leaves."""
    contact = _contact(turn, command.contact)
    if isinstance(contact, c.Result):
        return contact
    if contact.state == "verified":
        return refuse("conflict", "This contact method is verified already")
    if contact.left_at is not None:
        return refuse("conflict", "The plan left out this contact method: put it there again, or add it as your own")
    if not 16 <= len(command.seed) <= 64 or len(command.hash) != 32:
        return refuse("invalid", "A code needs a random seed and the hash of the code", "seed")
    refused = _ask(turn, contact)
    if refused is not None:
        return refused
    contact.seed, contact.code_hash, contact.tries = command.seed, command.hash, 0
    contact.code_until = turn.now + CODE_WORKS
    contact.failure, contact.failed_at = "", None
    turn.save_contact(contact)
    title = "Your code for this contact method"
    paging.notice(turn, turn.plan.people[contact.person], Reason.CONTACT_CODE, title, contact=contact)
    return c.Result(ok=True, reason=Reason.CONTACT_CODE, id=str(contact.id))


def verify(turn: Turn, command: c.VerifyContact) -> c.Result:
    """The code came back."""
    contact = _contact(turn, command.contact)
    if isinstance(contact, c.Result):
        return contact
    if contact.state == "verified":
        return c.Result(ok=True, id=str(contact.id))
    if not contact.code_hash or contact.code_until is None:
        return refuse("conflict", "No code is waiting for this contact method: ask for one", "code")
    if contact.code_until <= turn.now:
        return refuse("conflict", "The code has expired: ask for another", "code")
    contact.tries += 1
    if not hmac.compare_digest(contact.code_hash, command.hash):
        left = CODE_TRIES - contact.tries
        if left <= 0:
            contact.forget_code()
        turn.save_contact(contact)
        then = f"{left} more {'try' if left == 1 else 'tries'}" if left > 0 else "ask for another code"
        return refuse("invalid", f"This is not the code: {then}", "code")
    verified(turn, contact)
    turn.count("contacts", "verified")
    waiting.reachable(turn, contact.person)
    tell_owner(turn, contact, "A contact method of yours was added and verified")
    return c.Result(ok=True, id=str(contact.id))


def mark(turn: Turn, command: c.MarkContact) -> c.Result:
    """Its owner says that a method does not work."""
    contact = _contact(turn, command.contact)
    if isinstance(contact, c.Result):
        return contact
    if contact.state != "verified":
        return refuse("conflict", f"This contact method is {contact.state} already")
    why = " ".join(command.why.split())[:200]
    contact.fails(turn.now, why or "its owner says so")
    turn.save_contact(contact)
    return c.Result(ok=True, id=str(contact.id))


def remove(turn: Turn, command: c.RemoveContact) -> c.Result:
    """A method goes, and the rules that name it forget it."""
    contact = _contact(turn, command.contact)
    if isinstance(contact, c.Result):
        return contact
    if contact.declared and contact.left_at is None:
        return refuse("conflict", "The plan declares this contact method: remove it there")
    gone(turn, contact)
    if contact.trusted:
        tell_owner(turn, contact, "A contact method of yours was removed")
    return c.Result(ok=True, id=str(contact.id))


def gone(turn: Turn, contact: Contact) -> None:
    """A method goes. What waited to leave by it need not any more: the person's next method is used."""
    waits = sorted(turn.state.gathering.get(contact.id, ()))
    methods.drop(turn, contact)
    for row in [turn.state.pages[id] for id in waits]:
        if row.gathers:
            row.next_at = turn.now
            paging.due(turn, row)


def tell_owner(turn: Turn, contact: Contact, what: str) -> None:
    """Say by another method that one was changed: whoever got into an account cannot turn pages away unseen."""
    others = [one for one in methods.able(turn, contact.person) if one.id != contact.id]
    if others:
        title = f"{what}: {contact.label or contact.channel} {masked(contact.channel, contact.address)}"[:300]
        paging.notice(turn, turn.plan.people[contact.person], Reason.CONTACT_CHANGED, title, contact=others[0])


def test(turn: Turn, command: c.TryContact) -> c.Result:
    """Send a harmless message, by a method that works or one that is said to fail."""
    contact = _contact(turn, command.contact)
    if isinstance(contact, c.Result):
        return contact
    if not contact.trusted:
        return refuse("conflict", "This contact method is not verified: ask for a code, which tests it as well")
    refused = _ask(turn, contact)
    if refused is not None:
        return refused
    person = turn.plan.people[contact.person]
    page = paging.notice(turn, person, Reason.CONTACT_TEST, "This is a test: it arrived", contact=contact)
    return c.Result(ok=True, reason=Reason.CONTACT_TEST, id=str(page.id))


def set_reach(turn: Turn, command: c.SetReach) -> c.Result:
    """A person's own rules, whole."""
    reach = command.reach
    if reach.person not in turn.plan.people:
        return refuse("invalid", f"The plan has no person {reach.person!r}", "person")
    wrong = fault(reach, {one.id for one in turn.state.contacts_by(reach.person)})
    if wrong is not None:
        field, message = wrong
        return refuse("invalid", f"{message[:1].upper()}{message[1:]}", field)
    kept = replace(
        reach,
        high=tuple(sorted(reach.high, key=lambda way: way.after)),
        low=tuple(sorted(reach.low, key=lambda way: way.after)),
        asked=methods.reach_of(turn, reach.person).asked,
    )
    before = methods.reach_of(turn, reach.person)
    turn.state.reaches[reach.person] = turn.changes.reaches[reach.person] = kept
    if (before.quiet_from, before.quiet_until) != (kept.quiet_from, kept.quiet_until):
        waiting.quiet_hours_changed(turn, reach.person)
    return c.Result(ok=True, id=reach.person)


def start_drill(turn: Turn, command: c.StartDrill) -> c.Result:
    """Page a person about nothing."""
    person = turn.plan.people.get(command.person)
    if person is None:
        return refuse("invalid", f"The plan has no person {command.person!r}", "person")
    if any(one.person == person.key and one.state == "intended" for one in _drills(turn)):
        return refuse("conflict", "A drill is under way: answer it first")
    refused = _ask(turn, None, person.key)
    if refused is not None:
        return refused
    pages = paging.drill(turn, person)
    return c.Result(ok=True, reason=Reason.DRILL, id=str(pages[0].id))


def answer_drill(turn: Turn, command: c.AnswerDrill) -> c.Result:
    """A page of a drill was answered: the rest of it is not sent."""
    page = turn.state.pages.get(command.page)
    if page is None or page.kind != "drill" or turn.now - page.intended_at > DRILL_WORKS:
        return refuse("not_found", "This drill is over")
    ledger.answered(turn, page)
    for one in _drills(turn):
        if one.person == page.person and one.intended_at == page.intended_at and one.state == "intended":
            ledger.finish(turn, one, "overtaken", Reason.OVERTAKEN)
    return c.Result(ok=True, reason=Reason.ANSWERED, id=str(page.id))


def _drills(turn: Turn) -> list[Page]:
    return [page for page in turn.state.pages_of.get(0, {}).values() if page.kind == "drill"]


def _contact(turn: Turn, id: int) -> Contact | c.Result:
    contact = turn.state.contacts.get(id)
    if contact is None or contact.person not in turn.plan.people:
        return refuse("not_found", f"There is no contact method {id}")
    return contact


def _ask(turn: Turn, contact: Contact | None, person: str = "") -> c.Result | None:
    """Count a message that somebody has sent to themself; the refusal when there were too many."""
    reach = methods.reach_of(turn, contact.person if contact else person)
    of_person, of_contact = _lately(reach.asked, turn.now), _lately(contact.asked, turn.now) if contact else []
    wait = of_contact[-1] + BETWEEN_CODES - turn.now if of_contact else 0
    if len(of_contact) >= CODES_PER_HOUR:
        wait = of_contact[0] + ASKED_WITHIN - turn.now
    if len(of_person) >= CODES_PER_PERSON:
        wait = max(wait, of_person[0] + ASKED_WITHIN - turn.now)
    if wait > 0:
        return refuse("too_many", f"Too many, too fast: ask again in {say_duration(wait + SECOND)}")
    reach.asked = [*of_person, turn.now]
    turn.state.reaches[reach.person] = turn.changes.reaches[reach.person] = reach
    if contact is not None:
        contact.asked = [*of_contact, turn.now]
        turn.save_contact(contact)
    return None


def _lately(moments: list[Instant], now: Instant) -> list[Instant]:
    return [at for at in moments if now - at < ASKED_WITHIN]
