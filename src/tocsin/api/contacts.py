"""How people are reached: their contact methods, their rules, and the drill that shows what a page is like."""

from __future__ import annotations

from litestar import delete, get, post, put
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import IdempotencyKey, Number, Text
from tocsin.engine.commands import AddContact, MarkContact, RemoveContact, SetReach, StartDrill, TryContact
from tocsin.faces.contacting import add, contact_of, person_of, send_code, verify
from tocsin.faces.faces import Faces
from tocsin.faces.who import Who
from tocsin.pages.contacts import Contact, webhook_secret
from tocsin.pages.profiles import signs_own


@get("/contacts", tags=["contacts"])
async def list_contacts(faces: Faces, who: Who, person: Text = None) -> m.Listed[m.PublishedContact]:
    """List a person's contact methods, the oldest first. Yours, unless you are an admin and name another."""
    found = await faces.read(faces.reads.contacts, person_of(who, person or ""))
    return m.Listed([m.contact_out(one) for one in found], None)


@post("/contacts", status_code=201, tags=["contacts"], needs="viewer")
async def add_contact(
    faces: Faces, who: Who, data: m.ContactIn, idempotency_key: IdempotencyKey = None
) -> m.NewContact:
    """Add a contact method and send a code to it. It is not used before the code came back.

    ``code_until`` null: too many codes were sent lately, so ask for one later.
    """
    command = AddContact(
        actor=who.actor,
        person=person_of(who, data.person),
        channel=data.channel,
        address=data.address,
        label=data.label,
    )
    contact = await add(faces, who, command, idempotency_key or "")
    secret = webhook_secret(faces.signing_key, contact.id) if signs_own(contact.channel) else None
    return m.new_contact_out(contact, secret)


@delete("/contacts/{number:int}", tags=["contacts"], needs="viewer")
async def remove_contact(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> None:
    """Remove a contact method. One that the plan declares goes with the plan only."""
    contact = await contact_of(faces, who, number)
    await faces.submit(RemoveContact(actor=who.actor, contact=contact.id), idempotency_key or "")


@post("/contacts/{number:int}/code", status_code=200, tags=["contacts"], needs="viewer")
async def send_contact_code(
    faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None
) -> m.PublishedContact:
    """Send another code. The one before works no more."""
    contact = await contact_of(faces, who, number)
    await send_code(faces, who, contact.id, idempotency_key or "")
    return m.contact_out(await _contact(faces, number))


@post("/contacts/{number:int}/verify", status_code=200, tags=["contacts"], needs="viewer")
async def verify_contact(
    faces: Faces, who: Who, number: Number, data: m.CodeIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedContact:
    """Prove a contact method with the code that arrived there."""
    await verify(faces, who, await contact_of(faces, who, number), data.code, idempotency_key or "")
    return m.contact_out(await _contact(faces, number))


@post("/contacts/{number:int}/failing", status_code=200, tags=["contacts"], needs="viewer")
async def mark_contact(
    faces: Faces, who: Who, number: Number, data: m.FailingIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.PublishedContact:
    """Say that a contact method does not work: pages use the others until a code proves it again."""
    contact = await contact_of(faces, who, number)
    command = MarkContact(actor=who.actor, contact=contact.id, why=data.why if data else "")
    await faces.submit(command, idempotency_key or "")
    return m.contact_out(await _contact(faces, number))


@post("/contacts/{number:int}/test", status_code=202, tags=["contacts"], needs="viewer")
async def try_contact(faces: Faces, who: Who, number: Number, idempotency_key: IdempotencyKey = None) -> m.Started:
    """Send a harmless message by a contact method."""
    contact = await contact_of(faces, who, number)
    result = await faces.submit(TryContact(actor=who.actor, contact=contact.id), idempotency_key or "")
    return m.Started(page=int(result.id))


@get("/reach", tags=["contacts"])
async def read_reach(faces: Faces, who: Who, person: Text = None) -> m.PublishedReach:
    """Read a person's rules: which method when, quiet hours, and how many pages go out one by one."""
    return m.reach_out(await faces.read(faces.reads.reach, person_of(who, person or "")))


@put("/reach", tags=["contacts"], needs="viewer")
async def set_reach(
    faces: Faces, who: Who, data: m.ReachIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedReach:
    """Set a person's rules, whole."""
    person = person_of(who, data.person)
    await faces.submit(SetReach(actor=who.actor, reach=m.reach_in(data, person)), idempotency_key or "")
    return m.reach_out(await faces.read(faces.reads.reach, person))


@post("/drill", status_code=202, tags=["contacts"], needs="viewer")
async def start_drill(
    faces: Faces, who: Who, data: m.DrillIn | None = None, idempotency_key: IdempotencyKey = None
) -> m.Started:
    """Page a person now, by their own rules and about nothing. The rest is withdrawn once they answer."""
    command = StartDrill(actor=who.actor, person=person_of(who, data.person if data else ""))
    return m.Started(page=int((await faces.submit(command, idempotency_key or "")).id))


async def _contact(faces: Faces, number: int) -> Contact:
    return await faces.found(f"contact method {number}", faces.reads.contact, number)


HANDLERS: list[ControllerRouterHandler] = [
    list_contacts,
    add_contact,
    remove_contact,
    send_contact_code,
    verify_contact,
    mark_contact,
    try_contact,
    read_reach,
    set_reach,
    start_drill,
]
