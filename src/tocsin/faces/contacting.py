"""Whose contact methods and rules somebody may see and change, and the code that proves a method.

A person's own, when their user is linked to the person; anybody's for an admin. Nobody, admin or not, can call a method
proven without its code.
"""

from __future__ import annotations

import secrets

from tocsin.engine.commands import AddContact, SendCode, VerifyContact
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, invalid, not_found
from tocsin.faces.who import Who
from tocsin.pages.contacts import Contact, code_hash, code_of
from tocsin.pages.profiles import DEVICE, signs_own

SEED_BYTES = 32


def person_of(who: Who, asked: str = "") -> str:
    """The person that is meant: the one named, else whoever asks. Raises Problem when they may not."""
    own = who.user.person if who.user else ""
    person = asked or own
    if not person:
        raise invalid("person", "your user is no person of the plan: name one, or have an admin link your user")
    if person != own and not who.may("admin"):
        raise Problem(403, "forbidden", f"only {person} and admins may see and change how {person} is reached")
    return person


async def contact_of(faces: Faces, who: Who, number: int) -> Contact:
    """A contact method of theirs. One of somebody else looks as if it was not there."""
    contact = await faces.read(faces.reads.contact, number)
    own = who.user.person if who.user else ""
    if contact is None or (contact.person != own and not who.may("admin")):
        raise not_found(f"contact method {number}")
    return contact


async def add(faces: Faces, who: Who, command: AddContact, idempotency_key: str = "") -> Contact:
    """Add a method and send a code to it; a device needs none.

    When too many were sent already it is there without: one can be asked for.
    """
    if signs_own(command.channel) and not who.may("responder"):
        # Tocsin stands inside the network: where it connects to is not for everybody who may look to say.
        raise Problem(403, "forbidden", "adding a webhook needs the role responder")
    number = int((await faces.submit(command, idempotency_key)).id)
    if command.channel == DEVICE:
        return await contact_of(faces, who, number)
    try:
        await send_code(faces, who, number, f"code for {idempotency_key}" if idempotency_key else "")
    except Problem as problem:
        if problem.status != 429:
            raise
    return await contact_of(faces, who, number)


async def send_code(faces: Faces, who: Who, contact: int, idempotency_key: str = "") -> None:
    """Have a code sent. It is made from a random seed here, to be hashed, and again where the message is written."""
    seed = secrets.token_bytes(SEED_BYTES)
    hash = code_hash(faces.signing_key, contact, seed, code_of(faces.signing_key, contact, seed))
    await faces.submit(SendCode(actor=who.actor, contact=contact, seed=seed, hash=hash), idempotency_key)


async def verify(faces: Faces, who: Who, contact: Contact, code: str, idempotency_key: str = "") -> None:
    """A code came back. Raises Problem when it is not the one that was sent."""
    hash = code_hash(faces.signing_key, contact.id, contact.seed, code)
    await faces.submit(VerifyContact(actor=who.actor, contact=contact.id, hash=hash), idempotency_key)


def as_person(who: Who) -> str:
    """The actor for what only a person can do, such as taking an incident. Raises Problem for a user who is none."""
    if who.user is None or not who.user.person:
        raise Problem(403, "no_person", "your user is no person of the plan: an admin can link it under users")
    return f"person:{who.user.person}"
