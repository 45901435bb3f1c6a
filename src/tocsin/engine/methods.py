"""How a person can be paged now: by which of their methods, by what rules, and when they sleep."""

from __future__ import annotations

from collections.abc import Collection

from tocsin.catalog.people import Person
from tocsin.engine.turn import Turn
from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import HOUR, Duration, Instant
from tocsin.pages.contacts import Contact
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Left, Planned, Reach, Way, quiet_until, reaches, remembered, usable, ways

SOON: Duration = HOUR
"""What begins within that time is told at once, whatever a person's rules for low urgency are."""


def reach_of(turn: Turn, person: str) -> Reach:
    """A person's own rules, or none."""
    return turn.state.reaches.get(person) or Reach(person=person)


def able(turn: Turn, person: str) -> list[Contact]:
    """The methods a person can be paged by now, the most direct first."""
    return usable(_of(turn, person), turn.plan.reaches)


def _of(turn: Turn, person: str) -> Collection[Contact]:
    """A person's methods as they are kept, for a look that changes none."""
    theirs = turn.state.contacts_of.get(person)
    return theirs.values() if theirs else ()


def has_any(turn: Turn, person: str) -> bool:
    """Whether a person can be paged by any method now."""
    return reaches(_of(turn, person), turn.plan.reaches)


def serves(turn: Turn, contact: Contact, person: str) -> bool:
    """Whether a person is paged by a method now: one that fails serves only when there is nothing else."""
    if contact.person == person and contact.trusted and contact.state == "verified":
        return contact.channel in turn.plan.reaches
    return contact in able(turn, person)


def planned(turn: Turn, person: str, urgency: str = "high") -> list[Planned]:
    """By which methods a person is paged for something of this urgency, and after which time each."""
    return ways(person, _of(turn, person), reach_of(turn, person), urgency, turn.plan.reaches)


def morning(turn: Turn, person: Person) -> Instant | None:
    """Until when a person's quiet hours last; None when they have none now."""
    return quiet_until(reach_of(turn, person.key), person.timezone, turn.now)


def reads_by(turn: Turn, person: Person) -> Instant:
    """By when a person has read what is told by their rules for low urgency."""
    return max(morning(turn, person) or turn.now, turn.now + SOON)


def cannot_wait(turn: Turn, person: Person, begins: Instant) -> bool:
    """Whether what begins then asks something of a person before their morning, or soon."""
    return begins < reads_by(turn, person)


def left(contact: Contact) -> list[Left]:
    """What left by a method lately. Of what was kept without how grave it was, it counts as the gravest."""
    unknown = [SEVERITIES[0]] * (len(contact.paged) - len(contact.graded))
    return [Left(*one) for one in zip(contact.paged, [*unknown, *contact.graded], strict=True)]


def is_busy(contact: Contact, reach: Reach, now: Instant) -> bool:
    """Whether anything left by a method within the time in which others may have to wait for it."""
    return bool(contact.paged) and now - contact.paged[-1] < reach.bundle_within


def leaves(turn: Turn, contact: Contact, severity: str) -> None:
    """A message leaves by a method: remember it as long as others may have to wait for it."""
    reach = reach_of(turn, contact.person)
    before = left(contact) if is_busy(contact, reach, turn.now) else []
    of_late = [*before, Left(turn.now, severity)]
    kept = remembered(of_late, reach.bundle_after, reach.bundle_within, turn.now)
    contact.paged, contact.graded = [one.at for one in kept], [one.severity for one in kept]
    turn.save_contact(contact)


def stayed(turn: Turn, contact: Contact, at: Instant | None) -> bool:
    """What was to leave by a method then did not: nothing has to wait for it. Whether it counted so far."""
    if at not in contact.paged:
        return False
    kept = left(contact)
    del kept[contact.paged.index(at)]
    contact.paged, contact.graded = [one.at for one in kept], [one.severity for one in kept]
    turn.save_contact(contact)
    return True


def moved(turn: Turn, row: Page) -> bool:
    """Whether a page's method leads elsewhere by now than where the page was to go: a plan that names another address,
    a browser that subscribed anew.
    """
    contact = turn.state.contacts.get(row.contact)
    return contact is not None and contact.state == "verified" and contact.address != row.address


def follows(turn: Turn, row: Page) -> bool:
    """Have a page go where its method leads now; False when it leads nowhere any more."""
    contact = turn.state.contacts.get(row.contact)
    if contact is not None and moved(turn, row):
        turn.state.calls.forget(row)  # it waits, or rings, for another number from now on
        row.address = contact.address
        turn.save_page(row)
    return contact is not None and contact.address == row.address and contact.left_at is None


def set_up_anew(turn: Turn) -> None:
    """Another plan: a channel that is set up otherwise may take what it refused before, and is asked once more."""
    for contact in turn.state.contacts.values():
        if contact.state == "failing" and contact.refused_under not in ("", turn.plan.set_up_as(contact.channel)):
            contact.works()
            turn.save_contact(contact)


def takes_place(turn: Turn, contact: Contact, of: Contact) -> None:
    """Their person's rules name one method where they named another."""
    reach = turn.state.reaches.get(of.person)
    if reach is not None:
        reach.high = _in_place_of(reach.high, of.id, contact.id)
        reach.low = _in_place_of(reach.low, of.id, contact.id)
        turn.changes.reaches[reach.person] = reach


def _in_place_of(ways: tuple[Way, ...], gone: int, kept: int) -> tuple[Way, ...]:
    """Each method is named once: where both were, at the earlier time."""
    either = [way for way in ways if way.contact in (gone, kept)]
    first = min(either, key=lambda way: way.after, default=None)
    left = [way for way in ways if way is first or way not in either]
    return tuple(Way(kept, way.after) if way is first else way for way in left)


def drop(turn: Turn, contact: Contact) -> None:
    """A method goes, and the rules that name it forget it."""
    contact.removed = True
    contact.forget_code()
    turn.state.forget_contact(contact)
    turn.save_contact(contact)
    reach = turn.state.reaches.get(contact.person)
    if reach is not None and any(way.contact == contact.id for way in (*reach.high, *reach.low)):
        reach.high = tuple(way for way in reach.high if way.contact != contact.id)
        reach.low = tuple(way for way in reach.low if way.contact != contact.id)
        turn.changes.reaches[reach.person] = reach
