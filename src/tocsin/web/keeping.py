"""What an admin looks after: parked requests, users, the plan."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec
from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.access.credentials import ROLES, secret_hash
from tocsin.engine.commands import CreateToken, DiscardParked, SetUser
from tocsin.faces.faces import LINK_PATH, Faces
from tocsin.faces.problem import Problem
from tocsin.faces.proof import loops
from tocsin.faces.who import Who
from tocsin.kernel.instant import DAY, Instant
from tocsin.notation.findings import Finding
from tocsin.pages import rendering
from tocsin.pages.profiles import profile
from tocsin.pages.sample import sample
from tocsin.plan.model import Plan
from tocsin.plan.reading import read_plan
from tocsin.playbooks.manifest import MADE
from tocsin.web.view import View, fields, form_secret, leads_to, once, view, with_query
from tocsin.web.words import count, span, spelled
from tocsin.web.you import channel_name

SHOWN = 50
BODY_SHOWN = 100_000
FILE_SHOWN = 400_000
LINK_LASTS = DAY


# -- parked requests ---------------------------------------------------------------------------------------------------


@get("/parked")
async def parked_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Requests that could not be read, until a person has seen them."""
    seen = await view(request, faces, who)
    asked = request.query_params
    found = await faces.read(faces.reads.parked, after=asked.get("after") or None, limit=SHOWN)
    many = len(found.items)
    headline = "Every request could be read."
    if many:
        number = spelled(many)[:1].upper() + spelled(many)[1:]
        headline = (
            f"{'More than ' if found.next else ''}{number} {'request' if many == 1 else 'requests'} could not be read."
        )
    return seen.draw(
        "parked.html",
        parked=found.items,
        headline=headline,
        older=with_query("/parked", after=found.next) if found.next else "",
        newer="/parked" if asked.get("after") else "",
    )


@get("/parked/{number:int}")
async def parked_request_page(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Response[bytes]:
    """One parked request as it came, shown as text whatever it holds."""
    seen = await view(request, faces, who)
    parked = await faces.found(f"parked request {number}", faces.reads.parked_request, number)
    key = await faces.read(faces.reads.key, parked.key_id) if parked.key_id else None
    body = parked.request.body
    return seen.draw(
        "parked-request.html",
        parked=parked,
        key=key,
        body=as_text(body[:BODY_SHOWN]),
        left_out=max(0, len(body) - BODY_SHOWN),
        size=len(body),
    )


def as_text(body: bytes) -> str:
    """Bytes as text that shows what they are: JSON indented, and every sign that cannot be seen written out."""
    try:
        return _plain(msgspec.json.format(body, indent=2).decode())
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _plain(body.decode("utf-8", "backslashreplace"))


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign in "\n\t" else json.dumps(sign)[1:-1] for sign in text)


@post("/parked/{number:int}/discard", needs="responder", status_code=303)
async def discard_parked(faces: Faces, who: Who, number: int) -> Redirect:
    """A person has seen it."""
    await faces.submit(DiscardParked(actor=who.actor, id=number))
    return leads_to("/parked", "discarded")


# -- users -------------------------------------------------------------------------------------------------------------


class Link(NamedTuple):
    """A one-time sign-in link just made."""

    user: str
    address: str
    lasts: str


@get("/users", needs="admin")
async def users_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Who may sign in."""
    return await _users(await view(request, faces, who))


async def _users(
    seen: View, *, link: Link | None = None, typed: dict[str, str] | None = None, faults: dict[str, str] | None = None
) -> Response[bytes]:
    found = await seen.faces.read(seen.faces.reads.users, limit=500)
    users = sorted(found.items, key=lambda one: (one.disabled_at is not None, one.name.casefold()))
    able = sum(one.disabled_at is None for one in users)
    number = spelled(able)[:1].upper() + spelled(able)[1:]
    return seen.draw(
        "users.html",
        code=400 if faults else 200,
        users=users,
        roles=ROLES,
        link=link,
        typed=typed or {},
        faults=faults or {},
        people=sorted(seen.plan.people.values(), key=lambda one: one.name) if seen.plan is not None else [],
        headline=f"{number} {'person' if able == 1 else 'people'} may sign in.",
    )


async def _new_link(seen: View, name: str, idempotency_key: str) -> Link:
    secret = form_secret(seen, "link", idempotency_key)
    command = CreateToken(
        actor=seen.who.actor,
        hash=secret_hash(secret),
        kind="link",
        user=name,
        name="sign-in link",
        expires_at=seen.now + LINK_LASTS,
    )
    await seen.faces.submit(command, idempotency_key)
    return Link(name, seen.faces.link(LINK_PATH + secret), span(LINK_LASTS))


@post("/users", needs="admin", status_code=200)
async def add_user(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Add someone, and show the link that lets them in once."""
    form = await fields(request)
    seen = await view(request, faces, who)
    name, role = form.get("name", ""), next((one for one in ROLES if one == form.get("role")), None)
    faults: dict[str, str] = {}
    if role is None:
        faults["role"] = "Choose a role."
    elif name and await faces.read(faces.reads.user, name) is not None:
        faults["name"] = f"There is a user {name} already."
    else:
        try:
            await faces.submit(SetUser(actor=who.actor, name=name, role=role, person=form.get("person", "")))
        except Problem as problem:
            if problem.status not in (400, 409):
                raise
            faults[problem.field] = problem.detail.removeprefix(f"{problem.field}: ")
        else:
            return await _users(seen, link=await _new_link(seen, name, once(form)))
    return await _users(seen, typed=form, faults=faults)


@post("/users/{number:int}", needs="admin", status_code=200)
async def change_user(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int
) -> Response[bytes] | Redirect:
    """Change a role or a person, make a link, disable or enable."""
    form = await fields(request)
    user = await faces.found("such user", faces.reads.user_by_id, number)
    seen = await view(request, faces, who)
    match form.get("do"):
        case "link":
            return await _users(seen, link=await _new_link(seen, user.name, once({**form, "of": user.name})))
        case "disable":
            await faces.submit(SetUser(actor=who.actor, name=user.name, disabled=True))
        case "enable":
            await faces.submit(SetUser(actor=who.actor, name=user.name, disabled=False))
        case _:
            role = next((one for one in ROLES if one == form.get("role")), None)
            await faces.submit(SetUser(actor=who.actor, name=user.name, role=role, person=form.get("person")))
    return leads_to("/users", "user")


# -- the plan ----------------------------------------------------------------------------------------------------------


@get("/plan")
async def plan_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """The plan in force: its files, to be read, and what is to be said about them."""
    return await _plan(await view(request, faces, who))


def _messages(plan: Plan, now: Instant, base: str) -> list[tuple[str, str, str]]:
    """The team's own words for pages: the channel, and head and body of an invented page in them."""
    shown = []
    for name, words in plan.messages.items():
        page = sample("page", next(iter(plan.people.values())), "", now, base, words)
        wording = profile(name).wording
        if wording is not None and wording.style == "short":
            shown.append((name, "", rendering.own(page)))
        else:
            full = wording is not None and wording.style == "full"
            text = rendering.text(page) if full else rendering.chat(page).partition("\n")[2]
            shown.append((name, rendering.subject(page), text))
    return shown


async def _plan(seen: View, *, refused: tuple[str, ...] = (), code: int = 200) -> Response[bytes]:
    faces = seen.faces
    version = await faces.read(faces.reads.plan_version)
    files = (await faces.read(faces.reads.plan_files, version) if version else None) or {}
    findings: tuple[Finding, ...] = (await faces.read(read_plan, files, faces.now())).findings if files else ()
    plan = seen.plan
    if plan is None:
        headline = "There is no plan yet."
    else:
        people = count(len(plan.people), "person", "people")
        headline = f"{count(len(plan.services), 'service')}, {people} to page, {count(len(plan.routes), 'route')}."
    shown = [
        (name, files[name][:FILE_SHOWN].decode("utf-8", "replace"), len(files[name]) > FILE_SHOWN)
        for name in sorted(files)
        if name not in MADE
    ]
    return seen.draw(
        "plan.html",
        code=code,
        at="/plan",
        version=version,
        files=shown,
        findings=findings,
        refused=refused,
        headline=headline,
        loops=await faces.read(loops, faces.reads),
        channel_name=channel_name,
        messages=_messages(plan, faces.now(), faces.settings.public_url) if plan is not None else (),
    )


@post("/plan/reload", needs="admin", status_code=200)
async def reload_plan(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Read the plan folder again. A bad plan changes nothing, and its findings are shown; nor does another one than
    was looked at, where a form says which.
    """
    came = await faces.core.reload(who.actor, (await fields(request)).get("only", "")[:64])
    if came.ok:
        return leads_to("/plan", "reloaded" if came.changed else "unchanged")
    return await _plan(
        await view(request, faces, who), refused=came.findings or ("The plan folder cannot be read.",), code=409
    )


handlers = [
    parked_page,
    parked_request_page,
    discard_parked,
    users_page,
    add_user,
    change_user,
    plan_page,
    reload_plan,
]
