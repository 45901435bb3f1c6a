"""Contact methods that the plan declares, and what becomes of a person's when a plan leaves them, or one, out.

A plan leaves somebody out by mistake, or for good; and a name may be another person's when it comes back. Within a week
all is as it was. After it what a plan cannot vouch for is proved anew.
"""

from __future__ import annotations

from msgspec.structs import replace

from tocsin.access.actors import person_of
from tocsin.catalog.people import Person
from tocsin.engine import contacting, methods, paging
from tocsin.engine.state import LEFT_OUT_KEPT
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import DAY, SECOND, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.contacts import Contact

MOST_NAMED = 5
"""So many incidents are named that somebody has who is not in the plan any more."""


def plan_changed(turn: Turn) -> list[str]:
    """Bring the methods that the plan declares in line with the plan in force: they are trusted as they stand. Says
    what somebody loses by it, and what they have to prove again.
    """
    said = []
    for person in turn.plan.people.values():
        since = methods.reach_of(turn, person.key).left_at
        said += _declare(turn, person)
        if since is not None:
            said += _back(turn, person, since)
    known = set(turn.state.contacts_of) | {user.person for user in turn.state.users.values() if user.person}
    for name in sorted(known - set(turn.plan.people)):
        said += _gone(turn, name)
    for contact in list(turn.state.contacts.values()):
        if contact.left_at is not None and turn.now - contact.left_at > LEFT_OUT_KEPT:
            methods.drop(turn, contact)
    return said


def _declare(turn: Turn, person: Person) -> list[str]:
    wanted, said = dict(person.declared()), []
    theirs = turn.state.contacts_by(person.key)
    for contact in [one for one in theirs if one.declared]:
        address = wanted.pop(contact.channel, None)
        if address is None and contact.left_at is None:
            _leave_out(turn, contact)
            contacting.tell_owner(turn, contact, "The plan leaves out a contact method of yours")
            said.append(
                f"warning: {person.key}'s {contact.channel} is left out: pages use it no more. Put back within a week "
                "it has the place in their rules that it had"
            )
        elif address is not None and (address != contact.address or contact.left_at is not None):
            place = (contact.channel, address)
            own = next((one for one in theirs if not one.declared and (one.channel, one.address) == place), None)
            if own is not None:  # two methods with one address would bring each page twice
                methods.takes_place(turn, own, contact)
                contacting.gone(turn, contact)
                contact = own
            contact.declared, contact.address, contact.left_at = True, address, None
            contacting.verified(turn, contact)
    for channel, address in wanted.items():
        own = next((one for one in theirs if (one.channel, one.address) == (channel, address)), None)
        contact = own or contacting.new(turn, person.key, channel, address, added_by="plan")
        contact.declared = True
        contacting.verified(turn, contact)
    return said


def _leave_out(turn: Turn, contact: Contact) -> None:
    """It is used no more, and keeps its number and its place in the rules."""
    contact.left_at, contact.verified_at, contact.state = turn.now, None, "unverified"
    turn.save_contact(contact)


def _gone(turn: Turn, name: str) -> list[str]:
    """A person is not in the plan. What is theirs is kept."""
    reach = methods.reach_of(turn, name)
    if reach.left_at is not None:
        return []
    _left_since(turn, name, turn.now)
    theirs = turn.state.contacts_by(name)
    for contact in [one for one in theirs if one.declared and one.left_at is None]:
        _leave_out(turn, contact)
    own, users = sum(not one.declared for one in theirs), _users(turn, name)
    what = [f"{own} contact method{'s' if own > 1 else ''} of their own"] if own else []
    what += [f"user {user}" for user in users]
    kept = f": {' and '.join(what)} stay{'s' if own + len(users) == 1 else ''} theirs" if what else ""
    said = [f"warning: {name} is not in the plan any more{kept}. Back within a week they are as they were"]
    return said + _had(turn, name)


def _had(turn: Turn, name: str) -> list[str]:
    """Which incidents somebody has who is not in the plan any more: they may be gone, and nobody is paged for these."""
    had = [
        one
        for one in turn.state.incidents.values()
        if one.state == "acknowledged" and person_of(one.acknowledged_by) == name and one.acknowledged_until is not None
    ]
    if not had:
        return []
    what = f"incident{'s' if len(had) > 1 else ''} {', '.join(f'#{one.number}' for one in had[:MOST_NAMED])}"
    more = f" and {len(had) - MOST_NAMED} more" if len(had) > MOST_NAMED else ""
    holds = max(one.acknowledged_until or 0 for one in had) - turn.now
    said = (
        f"warning: {name} has {what}{more} and is not in the plan any more: nobody is paged for that in the next "
        f"{say_duration(-(-holds // SECOND) * SECOND)}. Give it to somebody"
    )
    return [said]


def _back(turn: Turn, person: Person, since: Instant) -> list[str]:
    """The plan has the name again: after a week it may be another person's."""
    _left_since(turn, person.key, None)
    away = turn.now - since
    if away <= LEFT_OUT_KEPT:
        return []
    said = []
    own = [one for one in turn.state.contacts_by(person.key) if not one.declared and one.trusted]
    for contact in own:
        contact.verified_at, contact.state = None, "unverified"
        contact.forget_code()
        turn.save_contact(contact)
    users = _users(turn, person.key)
    for user in users:
        turn.state.users_by_name[user].person = ""
        turn.changes.users[turn.state.users_by_name[user].id] = turn.state.users_by_name[user]
    days = f"{person.key} is back in the plan after {away // DAY} days, and may be another person by now"
    if own:
        said.append(f"warning: {days}: what they added then pages them only when a code proved it again")
        able = methods.able(turn, person.key)
        title = f"You are in the plan again after {away // DAY} days: prove the contact methods you had added once more"
        if able:
            paging.notice(turn, person, Reason.CONTACT_CHANGED, title, contact=able[0])
    said += [
        f"warning: {days}: user {user} acts for them no more. If it is theirs, "
        "say so on the page Users"
        for user in users
    ]
    return said


def _users(turn: Turn, person: str) -> list[str]:
    return sorted(user.name for user in turn.state.users.values() if user.person == person)


def _left_since(turn: Turn, person: str, at: Instant | None) -> None:
    reach = replace(methods.reach_of(turn, person), left_at=at)
    turn.state.reaches[person] = turn.changes.reaches[person] = reach
