"""On call: who now in large type, four weeks of it, gaps as sentences; overrides, swaps, covers and feeds by forms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.access.credentials import Token, secret_hash
from tocsin.engine.commands import (
    AddOverride,
    AnswerOverride,
    AskCover,
    AskSwap,
    CancelOverride,
    CreateToken,
    RevokeToken,
)
from tocsin.engine.covering import findings
from tocsin.faces import previewing
from tocsin.faces.disk import Look
from tocsin.faces.doubting import doubted
from tocsin.faces.faces import Faces
from tocsin.faces.feeds import FEED, FEED_PATH
from tocsin.faces.problem import Problem, not_found
from tocsin.faces.who import Who
from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import DAY, Duration, Instant, to_datetime
from tocsin.oncall.asking import unbroken
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Cover, Override
from tocsin.oncall.zone import zone
from tocsin.pages.rules import usable
from tocsin.plan.model import Plan
from tocsin.web.boards import (
    WEEKS,
    Board,
    Turn,
    absent_ahead,
    board,
    clock_changes,
    doubles,
    headline,
    hour_by_hour,
    monday_of,
    overlapping,
    own_first,
    own_turns,
    starts_of,
    turns,
    weeks,
)
from tocsin.web.paged_ahead import MOST_WAYS, paged_ahead, stands_in, wanted
from tocsin.web.view import View, fields, form_secret, leads_to, once, view, with_query
from tocsin.web.words import Reader

MOST_LISTED = 80
SWAPPED: Duration = 8 * 7 * DAY
"""So far ahead shifts are offered for a swap."""
MOST_OFFERED = 60
AROUND: Duration = DAY
"""So much before and after what is asked for is shown with it."""
MOST_SHOWN: Duration = 8 * 7 * DAY
MOST_NUMBER = 1 << 62
"""Above every override there is: of two, the higher one counts."""


# -- the page ----------------------------------------------------------------------------------------------------------


@get("/oncall")
async def oncall_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Who is on call now, four weeks of one schedule, what is asked for, and who takes whose place."""
    return await _page(await view(request, faces, who))


async def _page(seen: View, feed_url: str = "") -> Response[bytes]:
    plan, reader = seen.plan, seen.reader
    rosters = plan.rosters if plan is not None else {}
    asked = seen.request.query_params

    def reached(person: str) -> bool:
        return plan is not None and bool(usable(seen.faces.reads.contacts(person), plan.reaches))

    def look() -> dict[str, Any]:
        assert plan is not None
        boards = own_first([board(plan, key, plan.covers_for(key, reader.covers), reader, reached) for key in rosters])
        chosen = _chosen(asked.get("schedule", ""), boards)
        covers = plan.covers_for(chosen, reader.covers)
        monday = monday_of(asked.get("from", ""), reader)
        shown = weeks(rosters[chosen], covers, reader, monday)
        order = turns(rosters[chosen], covers, reader, starts_of(monday, reader))
        whose = next((one for one in (asked.get("person", ""), reader.person) if one in plan.people), "")
        of = wanted(plan, asked)
        return {
            "boards": boards,
            "chosen": chosen,
            "weeks": shown,
            "hours": hour_by_hour(rosters[chosen], covers, reader, monday, order),
            "turns": order[:MOST_LISTED],
            "more": max(0, len(order) - MOST_LISTED),
            "changes": clock_changes(shown, reader),
            "monday": monday,
            "first": monday == monday_of("", reader),
            "step": timedelta(days=7 * WEEKS),
            "whose": whose,
            "people": plan.people,
            "own": own_turns(plan, whose, reader.covers, reader) if whose else [],
            "paged": paged_ahead(plan, of, reader, _calendars(plan, seen), reached) if of.service else [],
            "stands_in": stands_in(plan, of.service, reader) if of.service else "",
            "of": of,
            "services": plan.services,
            "severities": SEVERITIES,
            "tiers": plan.customer_tiers,
            "most_ways": MOST_WAYS,
            "doubles": [
                *doubles(plan, reader.covers, reader),
                *overlapping(plan, reader.covers, reader),
                *absent_ahead(plan, reader.covers, reader),
                *_lost(plan, seen),
            ],
        }

    looked: dict[str, Any] = await seen.faces.read(look) if rosters else {"boards": [], "chosen": ""}
    found = await seen.faces.read(seen.faces.reads.overrides, seen.now, limit=200)
    overrides = [one for one in found.items if one.live(seen.now)]
    feeds = await _feeds(seen)
    idle = await seen.faces.read(_idle, plan, overrides, reader) if plan is not None else {}
    return seen.draw(
        "oncall.html",
        folder=await previewing.look(seen.faces) if seen.who.may("responder") else Look(),
        headline=headline(looked["boards"], reader),
        asked=[one for one in overrides if one.agreed_at is None],
        agreed=[one for one in overrides if one.agreed_at is not None],
        may_answer=lambda one: _may_answer(one, plan, reader),
        said_of=lambda one: said_of(one, reader),
        idle_of=lambda one: idle.get(one.id, ""),
        feeds=feeds,
        feed_url=feed_url,
        stamp=lambda at: f"{to_datetime(at).astimezone(reader.zone):%Y-%m-%dT%H:%M}",
        asking=with_query,
        **looked,
    )


def _idle(plan: Plan, overrides: Sequence[Override], reader: Reader) -> dict[int, str]:
    return {one.id: plan.why_idle(one, reader.covers, reader.now) for one in overrides}


def _lost(plan: Plan, seen: View) -> list[str]:
    """What is wrong with calendars from elsewhere, each thing once though several schedules ask it."""
    calendars = _calendars(plan, seen)
    return list(dict.fromkeys(f"{text}." for _, text in findings(plan, calendars, seen.now))) if calendars else []


def _calendars(plan: Plan, seen: View) -> dict[str, Imported]:
    return {one.name: one for one in seen.faces.reads.calendars()} if plan.calendars else {}


def _chosen(asked: str, boards: Sequence[Board]) -> str:
    """The schedule whose calendar is shown: the one asked for, else the first, which is the reader's own if any is."""
    return asked if any(one.key == asked for one in boards) else boards[0].key


def _may_answer(one: Override, plan: Plan | None, reader: Reader) -> bool:
    person = reader.person
    if one.agreed_at is not None or not person or plan is None:
        return False
    if one.kind == "swap":
        return person == one.person
    return person in plan.takers(one.schedule, one.instead_of, reader.covers, reader.now)


def said_of(one: Override, reader: Reader) -> str:
    """An override, a swap or a cover request as a sentence, without its times."""

    def named(name: str) -> str:
        return "you" if name and name == reader.person else reader.name(name)

    by = reader.who(one.asked_by)
    asker = "You" if by.you else by.name
    if one.kind == "swap" and one.agreed_at is None:
        asks = named(one.instead_of)
        return f"{asks[:1].upper() + asks[1:]} asked {named(one.person)} to swap"
    if one.kind == "cover" and one.agreed_at is None:
        whose = f"takes the place of {named(one.instead_of)}" if one.instead_of else "fills a gap"
        return f"{asker} asked who {whose}"
    person = named(one.person)
    return f"{person[:1].upper() + person[1:]}{f' for {named(one.instead_of)}' if one.instead_of else ''}"


# -- overrides, swaps and covers ---------------------------------------------------------------------------------------

KINDS = {"override": "Put somebody on call", "swap": "Swap two shifts", "cover": "Ask for cover"}


class Offer(NamedTuple):
    """A shift that can be swapped. ``value`` is what the form sends: person and both instants."""

    value: str
    person: str
    start: Instant
    end: Instant


@get("/oncall/new", needs="responder")
async def new_override(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """The form, filled in from the address as far as that says something."""
    return _form(await view(request, faces, who), dict(request.query_params), {})


class Becomes(NamedTuple):
    """Who would be on call around what is asked for: as it is, and with it."""

    before: list[Turn]
    after: list[Turn]
    until: Instant | None
    """Where what is shown ends before what is asked for does."""


def _becomes(seen: View, command: AddOverride | AskSwap | AskCover) -> Becomes | None:
    """What a schedule becomes by a command; None while nobody is named, or where there is no such schedule."""
    plan, now = seen.plan, seen.now
    roster = plan.rosters.get(command.schedule) if plan is not None else None
    if plan is None or roster is None or isinstance(command, AskCover):
        return None
    swap = isinstance(command, AskSwap)
    one = Override(
        id=MOST_NUMBER,
        kind="swap" if swap else "override",
        schedule=command.schedule,
        person=command.other if isinstance(command, AskSwap) else command.person,
        instead_of=command.person if isinstance(command, AskSwap) else command.instead_of,
        starts_at=command.starts_at,
        ends_at=command.ends_at,
        back=(command.back_starts_at, command.back_ends_at) if isinstance(command, AskSwap) else None,
        asked_by=command.actor,
        asked_at=now,
        agreed_at=now,
    )
    start = max(now, one.first - AROUND)
    end = min(one.last + AROUND, start + MOST_SHOWN)
    if end <= start or one.person not in plan.people:
        return None

    def drawn(covers: Iterable[Cover]) -> list[Turn]:
        # Cut: a roster draws up all that a cover lies over, and this one may be of any length.
        near = (
            cover._replace(start=max(cover.start, start), end=min(cover.end, end))
            for cover in covers
            if cover.start < end and start < cover.end
        )
        return turns(roster, tuple(near), seen.reader, start, end - start)[:MOST_LISTED]

    covers = plan.covers_for(command.schedule, seen.reader.covers)
    return Becomes(drawn(covers), drawn((*covers, *one.covers())), None if one.last < end else end)


def _form(seen: View, typed: dict[str, str], faults: dict[str, str], becomes: Becomes | None = None) -> Response[bytes]:
    plan, reader = seen.plan, seen.reader
    schedules = list(plan.schedules) if plan is not None else []
    if plan is None or not schedules:
        raise not_found("schedule in the plan")
    kind = typed.get("kind", "") if typed.get("kind", "") in KINDS else "override"
    schedule = typed.get("schedule", "") if typed.get("schedule", "") in schedules else schedules[0]
    roster = plan.rosters[schedule]
    on_it = plan.on_schedule(schedule, reader.covers, seen.now)
    offers: list[Offer] = []
    if kind == "swap":
        covers = plan.covers_for(schedule, reader.covers)
        offers = [
            Offer(f"{shift.person}|{shift.start}|{shift.end}", shift.person, shift.start, shift.end)
            for shift in unbroken(roster.schedule, roster.shifts(seen.now, seen.now + SWAPPED, covers))
            if shift.start > seen.now
        ]
    return seen.draw(
        "oncall-new.html",
        code=400 if faults else 200,
        kind=kind,
        kinds=KINDS,
        schedule=schedule,
        schedules=schedules,
        on_it=on_it,
        others=[one for one in plan.people if one not in on_it],
        mine=[one for one in offers if one.person == reader.person][:MOST_OFFERED],
        theirs=[one for one in offers if one.person != reader.person][:MOST_OFFERED],
        typed=typed,
        faults=faults,
        becomes=becomes,
        looked=bool(typed.get("look")) and not faults,
        asking=with_query,
    )


@post("/oncall/overrides", needs="responder", status_code=303)
async def make_override(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Put somebody on call, ask for a swap, or ask for cover."""
    typed = {name: value[:1_000] for name, value in (await fields(request)).items()}
    seen = await view(request, faces, who)
    faults: dict[str, str] = {}
    command = _wanted(seen, typed, faults)
    if typed.get("look") and isinstance(command, AddOverride | AskCover) and command.ends_at <= seen.now:
        faults["to"] = "It cannot end in the past."
    if command is not None and not faults and typed.get("look"):
        return _form(seen, typed, faults, await faces.read(_becomes, seen, command))
    if command is not None and not faults:
        try:
            result = await faces.submit(command, once(typed))
        except Problem as problem:
            if problem.status not in (400, 403, 404, 409):
                raise
            named = {"starts_at": "from", "ends_at": "to", "other": "back", "back_starts_at": "back"}
            named |= {"person": "instead_of"} if isinstance(command, AskCover) else {}
            field = named.get(problem.field, problem.field)
            known = ("from", "to", "person", "instead_of", "schedule", "back", "reason")
            faults[field if field in known else ""] = problem.detail.removeprefix(f"{problem.field}: ")
        else:
            done = "overridden" if isinstance(command, AddOverride) else "wished"
            done += await _doubt(faces, int(result.id))
            return leads_to(with_query("/oncall", schedule=command.schedule), done)
    return _form(seen, typed, faults)


def _wanted(seen: View, typed: dict[str, str], faults: dict[str, str]) -> AddOverride | AskSwap | AskCover | None:
    actor, schedule, reason = seen.who.actor, typed.get("schedule", ""), typed.get("reason", "")
    if typed.get("kind") == "swap":
        mine, theirs = _offered(typed.get("mine", "")), _offered(typed.get("back", ""))
        if mine is None:
            faults["mine"] = "Choose one of your shifts."
        if theirs is None:
            faults["back"] = "Choose the shift you take."
        if mine is None or theirs is None:
            return None
        return AskSwap(
            actor=actor,
            schedule=schedule,
            person=seen.reader.person,
            other=theirs.person,
            starts_at=mine.start,
            ends_at=mine.end,
            back_starts_at=theirs.start,
            back_ends_at=theirs.end,
            reason=reason,
        )
    starts, ends = _written(seen, typed, "from", faults), _written(seen, typed, "to", faults)
    starts = seen.now if starts is None else starts
    if ends is None:
        faults.setdefault("to", "Say when it ends.")
        return None
    if typed.get("kind") == "cover":
        return AskCover(
            actor=actor,
            schedule=schedule,
            starts_at=starts,
            ends_at=ends,
            person=typed.get("instead_of", ""),
            reason=reason,
        )
    return AddOverride(
        actor=actor,
        schedule=schedule,
        person=typed.get("person", ""),
        starts_at=starts,
        ends_at=ends,
        instead_of=typed.get("instead_of", ""),
        reason=reason,
    )


def _written(seen: View, typed: dict[str, str], name: str, faults: dict[str, str]) -> Instant | None:
    """A time written in the reader's zone; None for nothing.

    As for shifts: what is from a time begins when the clock first shows it, what is to one ends when it last does.
    """
    text = typed.get(name, "")
    if not text:
        return None
    try:
        return zone(seen.reader.zone.key).written(datetime.fromisoformat(text))[name == "to"]
    except (ValueError, OverflowError):
        faults[name] = "Write a date and a time, such as 2026-11-22T07:00."
        return None


def _offered(value: str) -> Offer | None:
    person, _, times = value.partition("|")
    start, _, end = times.partition("|")
    if not person or not start.isdecimal() or not end.isdecimal() or len(start) > 18 or len(end) > 18:
        return None
    return Offer(value, person, int(start), int(end))


@post("/oncall/overrides/{number:int}/accept", needs="responder", status_code=303)
async def accept(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """Agree to a swap, or take a cover request."""
    command = AnswerOverride(actor=who.actor, id=number, person=_person(who))
    done = await _done(request, faces, command, "accepted")
    doubt = await _doubt(faces, number)
    return leads_to("/oncall", f"overridden{doubt}") if doubt else done


@post("/oncall/overrides/{number:int}/decline", needs="responder", status_code=303)
async def decline(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """Decline a swap."""
    command = AnswerOverride(actor=who.actor, id=number, person=_person(who), yes=False)
    return await _done(request, faces, command, "declined")


@post("/oncall/overrides/{number:int}/cancel", needs="responder", status_code=303)
async def cancel(request: Request[Any, Any, Any], faces: Faces, who: Who, number: int) -> Redirect:
    """Take something back, or end it."""
    return await _done(request, faces, CancelOverride(actor=who.actor, id=number), "taken-back")


async def _done(
    request: Request[Any, Any, Any], faces: Faces, command: AnswerOverride | CancelOverride, done: str
) -> Redirect:
    await faces.submit(command, once({**await fields(request), "of": f"{command.id} {done}"}))
    return leads_to("/oncall", done)


async def _doubt(faces: Faces, number: int) -> str:
    """Why something that was made or agreed to may be of no use, as what is said then ends; "" when it is of use."""
    made = await faces.read(faces.reads.override, number)
    covers = await faces.covers(schedule=made.schedule) if made is not None else {}
    found = await doubted(faces, await faces.plan(), made, covers) if made is not None else []
    return f"-{found[0].kind}" if found else ""


def _person(who: Who) -> str:
    return who.user.person if who.user else ""


# -- feeds -------------------------------------------------------------------------------------------------------------


async def _feeds(seen: View) -> list[Token]:
    user = seen.who.user
    if user is None:
        return []
    found = await seen.faces.read(seen.faces.reads.tokens, user=user.id, limit=200)
    return [one for one in found.items if one.kind == FEED and one.revoked_at is None]


@post("/oncall/feeds", needs="viewer", status_code=200)
async def make_feed(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Make a calendar's secret address. It is shown this once."""
    seen = await view(request, faces, who)
    form = await fields(request)
    of = form.get("of", "")
    kind, _, name = of.partition(":")
    known: Iterable[str] = ()
    if seen.plan is not None:
        known = seen.plan.schedules if kind == "schedule" else seen.plan.people if kind == "person" else ()
    if name not in known or who.user is None:
        raise not_found("such calendar")
    secret = form_secret(seen, "feed", once(form))
    command = CreateToken(actor=who.actor, hash=secret_hash(secret), kind=FEED, user=who.user.name, name=of)
    await faces.submit(command, once(form))
    return await _page(seen, faces.link(f"{FEED_PATH}{secret}.ics"))


@post("/oncall/feeds/{number:int}/revoke", needs="viewer", status_code=303)
async def revoke_feed(faces: Faces, who: Who, number: int) -> Redirect:
    """Make one of one's own calendar addresses useless."""
    token = await faces.read(faces.reads.token, number)
    if token is None or token.kind != FEED or who.user is None or token.user != who.user.id:
        raise not_found("such calendar of yours")
    await faces.submit(RevokeToken(actor=who.actor, id=number))
    return leads_to("/oncall", "feed-revoked")


handlers = [
    oncall_page,
    new_override,
    make_override,
    accept,
    decline,
    cancel,
    make_feed,
    revoke_feed,
]
