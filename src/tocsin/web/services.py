"""Services with who answers for them, the keys monitors send with, and test events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.access.credentials import Key, secret_hash
from tocsin.access.limits import KeyLimits, read_rate, read_size, show_rate, show_size
from tocsin.access.limits import show as show_limits
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.catalog.services import INBOX, Service
from tocsin.engine.commands import CreateKey, LimitKey, RevokeKey
from tocsin.escalation.policy import Step
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, not_found
from tocsin.faces.who import Who
from tocsin.intake.entrances import called, entrances, sender_url, snippet, where
from tocsin.intake.request import Limits
from tocsin.intake.specs import HeartbeatSpec, ProbeSpec
from tocsin.kernel.instant import MINUTE, format_rfc3339
from tocsin.plan.ahead import Course
from tocsin.plan.model import Plan
from tocsin.plan.whom import Alike, alike
from tocsin.store.reads import OpenCount
from tocsin.web.view import View, fields, form_secret, leads_to, once, own_path, view, with_query
from tocsin.web.words import listed, span

TEST_LASTS = 10 * MINUTE
NAME_LONGEST = 100


class Card(NamedTuple):
    """One service of the list."""

    service: Service
    steps: tuple[Step, ...]
    ways: list[tuple[str, str]]
    """Which incidents, "" for all, and how they are paged, as a sentence."""
    open: OpenCount | None
    probes: list[ProbeSpec]
    hearts: list[tuple[HeartbeatSpec, Heartbeat | None]]
    keys: int


@get("/services")
async def services_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Every service of the plan: what is open on it and who is paged, in words."""
    seen = await view(request, faces, who)
    counts = {one.service: one for one in await faces.read(faces.reads.open_counts)}
    hearts = {(one.service, one.name): one for one in await faces.read(faces.reads.heartbeats)}
    keys = (await faces.read(faces.reads.keys, limit=500)).items
    cards = []
    plan = seen.plan
    if plan is not None:
        order = sorted(
            plan.services.values(), key=lambda one: (one.key not in counts, one.key == INBOX, one.tier, one.key)
        )
        for service in order:
            steps = plan.steps(service.key)
            beats = [one for one in plan.heartbeats if one.service == service.key]
            cards.append(
                Card(
                    service,
                    steps,
                    _all_in_words(seen, plan, service),
                    counts.get(service.key),
                    [one for one in plan.probes if one.service == service.key],
                    [(beat, hearts.get((beat.service, beat.name))) for beat in beats],
                    sum(key.service == service.key and key.revoked_at is None for key in keys),
                )
            )
    busy = sum(card.open is not None for card in cards)
    if not cards:
        headline = "There is no plan yet."
    elif busy:
        headline = f"{busy} of {len(cards)} services {'has' if busy == 1 else 'have'} something open."
    else:
        headline = f"Nothing is open on {'the one service' if len(cards) == 1 else f'any of {len(cards)} services'}."
    return seen.draw("services.html", cards=cards, headline=headline)


def _all_in_words(seen: View, plan: Plan, service: Service) -> list[tuple[str, str]]:
    """The escalation of a service; where severities or customers have different ones, each with those it is for."""
    ways = alike(plan, service.key)
    return [(which(one) if len(ways) > 1 else "", in_words(seen, one.steps)) for one in ways]


def which(one: Alike | Course) -> str:
    """Which incidents are meant: ``SEV1 and SEV2``, ``SEV1 of gold customers and those of no tier``."""
    severities = listed([level.upper() for level in one.severities])
    named = [f"{listed([tier for tier in one.tiers if tier])} customers"] if any(one.tiers) else []
    customers = listed([*named, *([f"{'those' if named else 'customers'} of no tier"] if "" in one.tiers else [])])
    said = f"{severities} of {customers}" if severities and customers else severities or customers
    return said[:1].upper() + said[1:]


def in_words(seen: View, steps: tuple[Step, ...]) -> str:
    """An escalation as one sentence: ``Ana is paged first; after 5 min Ben; after 10 min Chi, 3 times.``"""
    parts = []
    waited = 0
    for index, step in enumerate(steps):
        names = seen.reader.step(step) or "nobody"
        if index == 0:
            verb = "are" if seen.reader.plural(step) else "is"
            parts.append(f"{names[:1].upper() + names[1:]} {verb} paged first")
        else:
            parts.append(f"after {span(waited)} {names}")
        if step.repeat > 1:
            parts[-1] += f", {step.repeat} times"
        if step.when.said:
            parts[-1] += f" (only for {step.when.said})"
        if step.answers > 1:
            parts[-1] += f", until {step.answers} people have it"
        waited = step.wait * step.repeat
    return "; ".join(parts) + "." if parts else "Nobody is paged."


@post("/services/{name:str}/test", needs="responder", status_code=303)
async def send_test(request: Request[Any, Any, Any], faces: Faces, who: Who, name: str) -> Redirect:
    """Have a test event heard for a service, as if a monitor had sent it. It ends by itself after ten minutes.

    It has no ``alertname``, so that each makes an incident and a page of its own: one that joined an incident somebody
    holds already would page nobody, and prove nothing.
    """
    form = await fields(request)
    seen = await view(request, faces, who)
    if seen.plan is None or name not in seen.plan.services:
        raise not_found(f"service {name}")
    by = seen.reader.plain_name(who.name)
    event = {
        "title": f"Test event for {name}, sent by {by}",
        "key": f"tocsin/test/{seen.now}",
        "severity": "warning",
        "labels": {"sent_by": by},
        "annotations": {"summary": "Nothing is wrong. Somebody wants to see whether this arrives."},
        "ends_at": format_rfc3339(seen.now + TEST_LASTS),
    }
    heard = await faces.core.events(name, msgspec.json.encode(event), who.actor)
    if heard.status >= 300:
        raise Problem(
            heard.status, "refused", f"the test event was refused: {heard.body.decode(errors='replace')[:300]}"
        )
    return leads_to(own_path(form.get("back", ""), with_query("/", service=name)), "sent")


# -- keys --------------------------------------------------------------------------------------------------------------


_USUAL = Limits()
USUAL = {
    "rate": show_rate(_USUAL.rate),
    "burst": f"{_USUAL.burst:,}",
    "alerts": f"{_USUAL.alerts:,}",
    "body": show_size(_USUAL.body),
}
"""How much every key may send, as it is shown."""


class Made(NamedTuple):
    """A key just made: the only time it is shown."""

    key: str
    source: str
    service: str
    address: str
    snippet: str
    where: str


@get("/keys")
async def keys_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """The keys there are, and the form for another."""
    return await _keys(await view(request, faces, who))


async def _keys(
    seen: View, *, made: Made | None = None, typed: dict[str, str] | None = None, faults: dict[str, str] | None = None
) -> Response[bytes]:
    asked = seen.request.query_params
    found = await seen.faces.read(seen.faces.reads.keys, after=asked.get("after") or None, limit=100)
    used = [key for key in found.items if key.revoked_at is None]
    plan = seen.plan
    hearts = [(one.service, one.name) for one in plan.heartbeats if not one.alert] if plan is not None else []
    return seen.draw(
        "keys.html",
        code=400 if faults else 200,
        keys=used,
        revoked=[key for key in found.items if key.revoked_at is not None],
        made=made,
        typed=typed or {},
        faults=faults or {},
        usual=USUAL,
        limits=show_limits,
        senders=entrances(),
        called=called,
        services=sorted(plan.services) if plan is not None else [],
        hearts=hearts,
        headline=_headline(used, seen),
        older=with_query("/keys", after=found.next) if found.next else "",
        newer="/keys" if asked.get("after") else "",
        base=public_url(seen),
    )


def _headline(used: list[Key], seen: View) -> str:
    if not used:
        return "No monitor may send yet."
    kinds = sorted({called(key.source) for key in used})
    return f"{len(used)} {'key lets' if len(used) == 1 else 'keys let'} monitors in: {listed(kinds)}."


def public_url(seen: View) -> str:
    """The address monitors reach this server by."""
    return (
        seen.status.public_url if seen.status is not None and seen.status.public_url else seen.faces.settings.public_url
    ).rstrip("/")


async def make_key(
    seen: View,
    source: str,
    service: str,
    name: str,
    heartbeat: str = "",
    limits: KeyLimits = KeyLimits(),
    idempotency_key: str = "",
) -> Made:
    """Make a key and have it written down; the same one for the same form. Raises Problem when it is refused."""
    secret = form_secret(seen, "key", idempotency_key)
    command = CreateKey(
        actor=seen.who.actor,
        hash=secret_hash(secret),
        hint=secret[-4:],
        source=source,
        service=service,
        name=name,
        heartbeat=heartbeat,
        limits=limits,
    )
    await seen.faces.submit(command, idempotency_key)
    base = public_url(seen)
    return Made(
        secret, source, service, sender_url(base, source, secret), snippet(source, base, secret), where(source)
    )


@post("/keys", needs="admin", status_code=200)
async def create_key(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Make a key. It is in this one answer and nowhere else, so there is no page to go on to."""
    form = await fields(request)
    seen = await view(request, faces, who)
    source, service, heartbeat = form.get("source", ""), form.get("service", ""), ""
    name = form.get("name", "")[:NAME_LONGEST]
    faults: dict[str, str] = {}
    if source == "heartbeat":
        service, _, heartbeat = form.get("heartbeat", "").partition("/")
        if not heartbeat:
            faults["heartbeat"] = (
                "Choose which heartbeat of the plan it feeds. Heartbeats are written in the plan first."
            )
    limits = _limits(form, faults)
    if not faults:
        try:
            made = await make_key(seen, source, service, name, heartbeat, limits, once(form))
        except Problem as problem:
            if problem.status not in (400, 409):
                raise
            faults[problem.field or ""] = problem.detail.removeprefix(f"{problem.field}: ")
        else:
            return await _keys(seen, made=made)
    return await _keys(seen, typed=form, faults=faults)


@get("/keys/{number:int}", needs="admin")
async def key_page(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes]:
    """One key, and the form for how much it may send."""
    seen, key = await view(request, faces, who), await _key(faces, number)
    return _draw_key(seen, key, _typed(key.limits))


@post("/keys/{number:int}/limits", needs="admin", status_code=303)
async def limit_key(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes] | Redirect:
    """Change how much a key may send."""
    form = await fields(request)
    faults: dict[str, str] = {}
    limits = _limits(form, faults)
    if faults:
        seen, key = await view(request, faces, who), await _key(faces, number)
        return _draw_key(seen, key, form, faults)
    await faces.submit(LimitKey(actor=who.actor, id=number, limits=limits))
    return leads_to("/keys", "limited")


async def _key(faces: Faces, number: int) -> Key:
    return await faces.found(f"key {number}", faces.reads.key, number)


def _draw_key(seen: View, key: Key, typed: dict[str, str], faults: dict[str, str] | None = None) -> Response[bytes]:
    return seen.draw(
        "key.html", code=400 if faults else 200, key=key, typed=typed, faults=faults or {}, called=called, usual=USUAL
    )


def _typed(limits: KeyLimits) -> dict[str, str]:
    """Limits as a form holds them."""
    return {
        "rate": show_rate(limits.rate) if limits.rate is not None else "",
        "burst": str(limits.burst) if limits.burst is not None else "",
        "alerts": str(limits.alerts) if limits.alerts is not None else "",
        "body": show_size(limits.body) if limits.body is not None else "",
    }


def _limits(form: dict[str, str], faults: dict[str, str]) -> KeyLimits:
    """The limits a form says; what cannot be read is left in ``faults``."""
    read: dict[str, Callable[[str], Any]] = {"rate": read_rate, "burst": int, "alerts": int, "body": read_size}
    found: dict[str, Any] = {}
    for name, reading in read.items():
        text = form.get(name, "")
        if not text:
            continue
        try:
            found[name] = reading(text)
        except ValueError as error:
            faults[name] = f"{error}." if name in ("rate", "body") else "Write a whole number."
            continue
        fault = KeyLimits(**{name: found[name]}).fault()
        if fault is not None:
            faults[name] = f"{fault[1]}."
    faults.update({name: text[:1].upper() + text[1:] for name, text in faults.items()})
    return KeyLimits(**found)


@post("/keys/{number:int}/revoke", needs="admin", status_code=303)
async def revoke_key(faces: Faces, who: Who, number: int) -> Redirect:
    """Shut a monitor out."""
    await faces.submit(RevokeKey(actor=who.actor, id=number))
    return leads_to("/keys", "revoked")


handlers = [services_page, send_test, keys_page, create_key, key_page, limit_key, revoke_key]
