"""The page "You": how a person is reached, in which order, when not; a test of each method, and a page on demand."""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.engine.commands import AddContact, MarkContact, RemoveContact, SetReach, StartDrill, TryContact
from tocsin.faces.contacting import add, contact_of, person_of, send_code, verify
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who
from tocsin.kernel.instant import MINUTE, SECOND, Duration
from tocsin.pages.contacts import LONGEST_LABEL, Contact, directness, readable, webhook_secret
from tocsin.pages.profiles import CONSOLE, DEVICE, owned, profile, signs_own
from tocsin.pages.rules import Planned, Reach, Way, clock_text, parse_clock, ways
from tocsin.web.ledger import lines
from tocsin.web.view import View, fields, leads_to, once, view, with_query
from tocsin.web.words import listed, span

AFTER: tuple[Duration, ...] = tuple(MINUTE * minutes for minutes in (0, 1, 2, 3, 4, 5, 10, 15, 30, 60))
WITHIN: tuple[Duration, ...] = (10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE)
PAGES_SHOWN = 8
PAGES_AROUND = 100
"""So many of the latest pages of an incident are looked at for what followed one."""
BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "Chrome": "Chrome",
    "CriOS": "Chrome",
    "Safari": "Safari",
}
"""What tells browsers apart, the narrower marks first: most claim to be each other."""
PLACES = {
    "Android": "Android",
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Windows": "Windows",
    "Mac OS X": "a Mac",
    "CrOS": "a Chromebook",
    "Linux": "Linux",
}
SAYS_SO = (400, 403, 404, 409, 429)
"""Refusals that are said on the page, beside what was refused."""


class Choice(NamedTuple):
    """One method in the form of rules: what may be chosen for each urgency, and what is."""

    contact: Contact
    name: str
    high: Duration | None
    low: Duration | None


class Shown(NamedTuple):
    """What the page says after something was asked for."""

    faults: dict[str, str]
    typed: dict[str, str]
    secret: str = ""


NOTHING = Shown({}, {})


@get("/you")
async def you_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """How the reader is reached; for an admin who names one, how another person is."""
    return await _you(await view(request, faces, who), request.query_params.get("person", ""), NOTHING)


async def _you(seen: View, asked: str, shown: Shown, *, code: int = 200) -> Response[bytes]:
    faces, who, plan = seen.faces, seen.who, seen.plan
    people = sorted(plan.people.values(), key=lambda one: one.name) if plan is not None else []
    person = asked or (who.user.person if who.user else "")
    if not person:
        return seen.draw("nobody.html", people=people if who.may("admin") else [])
    person = person_of(who, person)
    contacts = await faces.read(faces.reads.contacts, person)
    reach = await faces.read(faces.reads.reach, person)
    pages = (await faces.read(faces.reads.pages, person=person, limit=PAGES_SHOWN)).items
    incidents = sorted({page.incident for page in pages if page.incident})
    of_them = await faces.read(faces.reads.latest_pages, incidents, each=PAGES_AROUND) if incidents else {}
    ready = plan.reaches if plan is not None else frozenset[str]()
    mine = person == (who.user.person if who.user else "")
    high, low = (ways(person, contacts, reach, urgency, ready) for urgency in ("high", "low"))
    return seen.draw(
        "you.html",
        code=code,
        person=person,
        mine=mine,
        query=with_query("", person="" if mine else person),
        contacts=contacts,
        named=named,
        ready=ready,
        channels=[(name, channel_name(name)) for name in sorted(ready & owned() - {DEVICE})],
        asked=_asked(ready),
        readable=readable,
        push_key=faces.settings.push_key,
        headline=_headline(seen, person, mine, high),
        under=_under(low, reach),
        choices=_choices(contacts, reach),
        own_rules=bool(reach.high or reach.low),
        afters=AFTER,
        withins=WITHIN,
        reach=reach,
        clock=clock_text,
        ledger=lines(seen.reader, pages, [one for theirs in of_them.values() for one in theirs]),
        shown=shown,
        faults=shown.faults,
        typed=shown.typed,
        people=[one for one in people if one.key != person] if who.may("admin") else [],
        longest_label=LONGEST_LABEL,
    )


def _asked(ready: Set[str]) -> list[str]:
    """What may be written as an address, the most direct first, each once."""
    ways = sorted((profile(name) for name in ready & owned()), key=lambda one: one.directness)
    return list(dict.fromkeys(one.own.asks for one in ways if one.own is not None and one.own.asks))


def channel_name(channel: str) -> str:
    """A channel as the page names it."""
    return profile(channel).called


def named(contact: Contact) -> str:
    """A contact method in a sentence: its label, else its channel."""
    return contact.label or channel_name(contact.channel)


def _headline(seen: View, person: str, mine: bool, planned: list[Planned]) -> str:
    who = "you" if mine else seen.reader.name(person)
    if seen.plan is not None and person not in seen.plan.people:
        return f"{person} is not in the plan: nothing pages {'you' if mine else 'them'}."
    if planned[0].channel == CONSOLE:
        return f"Nothing but the console reaches {who}."
    told = [f"{_by(one)} {'at once' if not one.after else 'after ' + span(one.after)}" for one in planned]
    return f"A page reaches {who} {listed(told)}."


def _by(one: Planned) -> str:
    """``by email``, with what the person calls it when they call it something."""
    label = f" ({one.contact.label})" if one.contact is not None and one.contact.label else ""
    return profile(one.channel).by + label


def _under(low: list[Planned], reach: Reach) -> str:
    if reach.quiet_from == reach.quiet_until:
        wait = "at any hour"
    else:
        wait = f"never between {clock_text(reach.quiet_from)} and {clock_text(reach.quiet_until)}"
    how = listed([_by(one) for one in low])
    return f"What is of low urgency comes {how}, {wait}."


def _choices(contacts: list[Contact], reach: Reach) -> list[Choice]:
    high, low = ({way.contact: way.after for way in chosen} for chosen in (reach.high, reach.low))
    # One that the plan leaves out has its place when the plan has it again, unless its owner takes it from it.
    able = sorted((one for one in contacts if one.trusted or one.left_at is not None), key=directness)
    return [Choice(one, named(one), high.get(one.id), low.get(one.id)) for one in able]


async def _refused(seen: View, person: str, problem: Problem, field: str, typed: dict[str, str]) -> Response[bytes]:
    """Say a refusal beside what was refused. ``field``: where, when the refusal names none of the form."""
    if problem.status not in SAYS_SO:
        raise problem
    name = problem.field if problem.field in typed else field
    detail = problem.detail.removeprefix(f"{problem.field}: ")
    said = f"{detail[:1].upper()}{detail[1:]}{'' if detail.endswith('.') else '.'}"
    return await _you(seen, person, Shown({name: said}, typed), code=problem.status)


@post("/you/contacts", needs="viewer", status_code=303)
async def add_method(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Add a method and send its code. The secret of a webhook is shown this once."""
    form = await fields(request)
    seen = await view(request, faces, who)
    person = person_of(who, form.get("person", ""))
    command = AddContact(
        actor=who.actor,
        person=person,
        channel=form.get("channel", ""),
        address=form.get("address", ""),
        label=form.get("label", ""),
    )
    try:
        contact = await add(faces, who, command, once(form))
    except Problem as problem:
        return await _refused(seen, person, problem, "address", form)
    if signs_own(contact.channel):
        return await _you(seen, person, Shown({}, {}, webhook_secret(faces.signing_key, contact.id)))
    return _back(who, person, "code" if contact.code_until is not None else "added")


@post("/you/devices", needs="viewer", status_code=303)
async def add_device(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Have this browser show its person's pages."""
    form = await fields(request)
    seen = await view(request, faces, who)
    person = person_of(who)
    label = browser_named(request.headers.get("user-agent", ""))
    command = AddContact(
        actor=who.actor, person=person, channel=DEVICE, address=form.get("address", ""), label=label
    )
    try:
        await add(faces, who, command, once(form))
    except Problem as problem:
        return await _refused(seen, person, problem, "device", {})
    return _back(who, person, "device")


@post("/you/contacts/{number:int}/{do:str}", needs="viewer", status_code=303)
async def change_method(
    request: Request[Any, Any, Any], faces: Faces, who: Who, number: int, do: str
) -> Response[bytes] | Redirect:
    """Send a code, take it back, test a method, say that it does not work, or remove it."""
    form = await fields(request)
    contact = await contact_of(faces, who, number)
    seen = await view(request, faces, who)
    key = once({**form, "of": f"{number} {do}"})
    try:
        match do:
            case "code":
                await send_code(faces, who, number, key)
            case "verify":
                await verify(faces, who, contact, form.get("code", ""), key)
            case "test":
                await faces.submit(TryContact(actor=who.actor, contact=number), key)
            case "failing":
                await faces.submit(MarkContact(actor=who.actor, contact=number), key)
            case "remove":
                await faces.submit(RemoveContact(actor=who.actor, contact=number), key)
            case _:
                raise Problem(404, "not_found", "there is nothing here")
    except Problem as problem:
        return await _refused(seen, contact.person, problem, f"contact-{number}", {})
    return _back(who, contact.person, {"code": "code", "verify": "proven", "test": "tested"}.get(do, do))


def browser_named(agent: str) -> str:
    """What a person would call the browser they use: ``Firefox on Android``."""
    name = next((said for mark, said in BROWSERS.items() if mark in agent), "A browser")
    place = next((said for mark, said in PLACES.items() if mark in agent), "")
    return f"{name} on {place}" if place else name


@post("/you/rules", needs="viewer", status_code=303)
async def keep_rules(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Keep a person's rules, or have them as everybody has."""
    form = await fields(request)
    seen = await view(request, faces, who)
    person = person_of(who, form.get("person", ""))
    try:
        reach = Reach(person=person) if form.get("do") == "reset" else _read_rules(form, person)
        await faces.submit(SetReach(actor=who.actor, reach=reach), once(form))
    except ValueError as error:
        said = str(error)
        return await _you(seen, person, Shown({"quiet": f"{said[:1].upper()}{said[1:]}."}, form), code=400)
    except Problem as problem:
        return await _refused(seen, person, problem, "rules", form)
    return _back(who, person, "rules")


def _read_rules(form: dict[str, str], person: str) -> Reach:
    """The rules of a form. Raises ValueError for a time of the day that is none."""
    chosen: dict[str, list[Way]] = {"high": [], "low": []}
    for urgency, found in chosen.items():
        for name, value in form.items():
            kind, _, number = name.partition("-")
            if kind == urgency and number.isascii() and number.isdigit() and value.isascii() and value.isdigit():
                found.append(Way(int(number[:18]), int(value[:18])))
        found.sort(key=lambda way: way.after)
    within, after = form.get("within", ""), form.get("after", "")
    return Reach(
        person=person,
        high=tuple(chosen["high"]),
        low=tuple(chosen["low"]),
        quiet_from=parse_clock(form.get("quiet_from", "")),
        quiet_until=parse_clock(form.get("quiet_until", "")),
        bundle_after=int(after[:9]) if after.isascii() and after.isdigit() else 0,
        bundle_within=int(within[:18]) if within.isascii() and within.isdigit() else 0,
    )


@post("/you/drill", needs="viewer", status_code=303)
async def page_me_now(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Page the person now, about nothing, as they would be at night."""
    form = await fields(request)
    seen = await view(request, faces, who)
    person = person_of(who, form.get("person", ""))
    try:
        await faces.submit(StartDrill(actor=who.actor, person=person), once(form))
    except Problem as problem:
        return await _refused(seen, person, problem, "drill", {})
    return _back(who, person, "drill")


def _back(who: Who, person: str, done: str) -> Redirect:
    own = who.user is not None and who.user.person == person
    return leads_to(with_query("/you", person="" if own else person), done)


handlers = [you_page, add_method, add_device, change_method, keep_rules, page_me_now]
