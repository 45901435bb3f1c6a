"""On call: who now in large type, four weeks of it, gaps as sentences; overrides, swaps, covers and feeds by forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
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
from tocsin.faces.faces import Faces
from tocsin.faces.feeds import FEED, FEED_PATH
from tocsin.faces.problem import Problem, not_found
from tocsin.faces.who import Who
from tocsin.kernel.instant import DAY, HOUR, Duration, Instant, from_datetime, to_datetime
from tocsin.oncall.coverage import at_once, overlaps
from tocsin.oncall.override import Cover, Override
from tocsin.oncall.roster import Roster, Shift, Span
from tocsin.oncall.zone import DAYS, MONTHS
from tocsin.pages.rules import usable
from tocsin.plan.model import Covers, Plan
from tocsin.web.view import View, fields, form_secret, leads_to, once, view, with_query
from tocsin.web.words import Reader, listed, spelled

WEEKS = 4
AHEAD: Duration = WEEKS * 7 * DAY
MOST_LISTED = 80
SWAPPED: Duration = 8 * 7 * DAY
"""So far ahead shifts are offered for a swap."""
MOST_OFFERED = 60
MOST_NEXT: Duration = 366 * DAY


# -- what the page shows -----------------------------------------------------------------------------------------------


class Board(NamedTuple):
    """One schedule now: who, until when, who next, and what is wrong in the weeks ahead."""

    key: str
    about: str
    services: list[str]
    now: tuple[Shift, ...]
    until: Instant | None
    then: tuple[Shift, ...]
    then_at: Instant | None
    gaps: tuple[Span, ...]
    unreached: list[str]
    yours: bool


class Bar(NamedTuple):
    """A shift or a gap as a bar of a week: from and width in percent, on one of the week's lines."""

    left: float
    width: float
    line: int
    kind: str
    """``you``, ``over``, ``gap``, or ``p0`` to ``p2`` for others."""
    name: str
    title: str


class Week(NamedTuple):
    """Seven days of a calendar. ``now``: where the present is, in percent, or None."""

    name: str
    first: str
    last: str
    days: list[tuple[str, int, bool, int]]
    """Weekday, day of the month, whether it is today, and its length in hours."""
    lines: int
    bars: list[Bar]
    now: float | None


class Turn(NamedTuple):
    """One line of the list of who is on call, in order; ``person`` "" is a gap."""

    start: Instant
    end: Instant
    person: str
    layer: str
    you: bool


def board(plan: Plan, key: str, covers: tuple[Cover, ...], reader: Reader, reached: Callable[[str], bool]) -> Board:
    """A schedule as its card shows it. ``reached``: whether a person can be paged by more than the console."""
    roster = plan.rosters[key]
    now = reader.now
    shifts = roster.who(now, covers)
    until = min((shift.end for shift in shifts), default=None)
    then_at = until
    if until is None:
        later = roster.shifts(now, now + MOST_NEXT, covers)
        then_at = later[0].start if later else None
    then = roster.who(then_at, covers) if then_at is not None else ()
    return Board(
        key=key,
        about=roster.schedule.about,
        services=[name for name in plan.services if plan.asks(name, key)],
        now=shifts,
        until=until,
        then=then,
        then_at=then_at,
        gaps=roster.gaps(now, now + AHEAD, covers),
        unreached=[reader.name(shift.person) for shift in shifts if not reached(shift.person)],
        yours=any(shift.person == reader.person for shift in shifts),
    )


def headline(boards: Sequence[Board], reader: Reader) -> str:
    """The h1: who is on call, and how many gaps there are."""
    if not boards:
        return "The plan has no schedules."
    people = list(dict.fromkeys(shift.person for one in boards for shift in one.now))
    if not people:
        who = "Nobody is on call."
    else:
        named = [reader.name(one) for one in people if one != reader.person]
        if reader.person in people:
            named = ["You", *named]
        shown = named if len(named) <= 4 else [*named[:3], f"{len(named) - 3} more"]
        who = f"{listed(shown)} {'are' if len(named) > 1 or shown[0] == 'You' else 'is'} on call."
        empty = [one.key for one in boards if not one.now]
        if empty:
            who += f" Nobody is for {listed(empty)}."
    gaps = sum(len(one.gaps) for one in boards)
    number = spelled(gaps)
    ahead = f"{number[:1].upper() + number[1:]} {'gap' if gaps == 1 else 'gaps'} in the next four weeks."
    return f"{who} {ahead}"


def doubles(plan: Plan, covers: Covers, reader: Reader) -> list[str]:
    """Who would be paged twice by one escalation in the weeks ahead, overrides included, as sentences."""
    start, end = reader.now, reader.now + AHEAD
    shifts: dict[str, tuple[Shift, ...]] = {}
    told: dict[tuple[str, str], str] = {}
    for escalation in plan.escalations.values():
        for pair in escalation.successive():
            if pair in told or not set(pair) <= plan.rosters.keys():
                continue
            for key in pair:
                if key not in shifts:
                    shifts[key] = plan.rosters[key].shifts(start, end, plan.covers_for(key, covers))
            found = at_once(shifts[pair[0]], shifts[pair[1]], start)
            if found is not None:
                you = found.person == reader.person
                who, whom = ("You are", "you") if you else (f"{reader.name(found.person)} is", "them")
                when = f"from {reader.minute(found.start)} to {reader.minute(found.end)}"
                both = f"{who} on call for {pair[0]} and {pair[1]} at once {when}"
                told[pair] = f"{both}: {escalation.key} would page {whom} twice."
    return list(told.values())


def overlapping(plan: Plan, covers: Covers, reader: Reader) -> list[str]:
    """Where people are on call at once who have no turn together in the weeks ahead, the first of each schedule."""
    start, end = reader.now, reader.now + AHEAD
    told = []
    for key, roster in plan.rosters.items():
        both = overlaps(roster.shifts(start, end, plan.covers_for(key, covers)), start, end)
        if both:
            others = [reader.name(one) for one in both[0].people if one != reader.person]
            people = ["You", *others] if reader.person in both[0].people else others
            more = f", and {len(both) - 1} more times" if len(both) > 1 else ""
            when = f"from {reader.minute(both[0].start)}, {both[0].why}{more}"
            told.append(f"{listed(people)} are on call by {key} at once {when}.")
    return told


def weeks(roster: Roster, covers: tuple[Cover, ...], reader: Reader) -> list[Week]:
    """Four weeks from this one on, in the reader's zone."""
    local = to_datetime(reader.now).astimezone(reader.zone)
    monday = local.date() - timedelta(days=local.weekday())
    order = {person: place for place, person in enumerate(roster.schedule.people())}
    return [_week(monday + timedelta(days=7 * n), roster, covers, reader, order) for n in range(WEEKS)]


def _week(monday: date, roster: Roster, covers: tuple[Cover, ...], reader: Reader, order: dict[str, int]) -> Week:
    dates = [monday + timedelta(days=n) for n in range(8)]
    edges = [from_datetime(datetime(day.year, day.month, day.day, tzinfo=reader.zone)) for day in dates]
    start, end = edges[0], edges[7]

    def place(at: Instant) -> float:
        """Where an instant is in the week, in percent: every day is as wide as the others."""
        day = next((n for n in range(7) if at < edges[n + 1]), 6)
        return min(100.0, (day + (at - edges[day]) / max(1, edges[day + 1] - edges[day])) / 7 * 100)

    bars: list[Bar] = []
    free: list[Instant] = []

    def add(low: Instant, high: Instant, kind: str, name: str, why: str) -> None:
        title = f"{name}{why}, {reader.minute(low)} to {reader.minute(high)}"
        low, high = max(low, start), min(high, end)
        line = next((n for n, until in enumerate(free) if until <= low), len(free))
        free[line:] = [high, *free[line + 1 :]]
        bars.append(Bar(round(place(low), 3), round(place(high) - place(low), 3), line, kind, name, title))

    for shift in roster.shifts(start, end, covers):
        you = shift.person == reader.person
        kind = "over" if shift.override else "you" if you else f"p{order.get(shift.person, 0) % 3}"
        name = "You" if you else reader.name(shift.person)
        how = {"override": " by an override", "calendar": " by a calendar"}.get(shift.by, "")
        add(shift.start, shift.end, kind, name, how)
    for low, high in roster.gaps(max(start, reader.now), end, covers) if end > reader.now else ():
        add(low, high, "gap", "Nobody", "")
    last = dates[6]
    today = to_datetime(reader.now).astimezone(reader.zone).date()
    first = f"{monday.day}" + ("" if monday.month == last.month else f" {MONTHS[monday.month - 1]}")
    return Week(
        name=f"{first} to {last.day} {MONTHS[last.month - 1]}",
        first=f"{monday.day} {MONTHS[monday.month - 1]}",
        last=f"{last.day} {MONTHS[last.month - 1]}",
        days=[
            (DAYS[n], day.day, day == today, round((edges[n + 1] - edges[n]) / HOUR)) for n, day in enumerate(dates[:7])
        ],
        lines=max(1, len(free)),
        bars=bars,
        now=round(place(reader.now), 3) if start <= reader.now < end else None,
    )


def turns(roster: Roster, covers: tuple[Cover, ...], reader: Reader) -> list[Turn]:
    """Who is on call in the weeks ahead, in order, gaps among them."""
    start, end = reader.now, reader.now + AHEAD
    found = [
        Turn(
            shift.start,
            shift.end,
            shift.person,
            shift.by or roster.schedule.layers[shift.layer].name,
            shift.person == reader.person,
        )
        for shift in roster.shifts(start, end, covers)
    ]
    found += [Turn(low, high, "", "", False) for low, high in roster.gaps(start, end, covers)]
    return sorted(found)


def clock_changes(shown: Sequence[Week], reader: Reader) -> list[str]:
    """Days that are not 24 hours long, as sentences."""
    told = []
    for week in shown:
        for name, day, _, hours in week.days:
            if hours != 24:
                way = "back" if hours > 24 else "forward"
                told.append(f"{name} {day}: clocks in {reader.zone.key} go {way}, so that day has {hours} hours.")
    return told


# -- the page ----------------------------------------------------------------------------------------------------------


@get("/oncall")
async def oncall_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Who is on call now, four weeks of one schedule, what is asked for, and who takes whose place."""
    return await _page(await view(request, faces, who))


async def _page(seen: View, feed_url: str = "") -> Response[bytes]:
    plan, reader = seen.plan, seen.reader
    rosters = plan.rosters if plan is not None else {}

    def reached(person: str) -> bool:
        return plan is not None and bool(usable(seen.faces.reads.contacts(person), plan.reaches))

    def look() -> dict[str, Any]:
        assert plan is not None
        boards = [board(plan, key, plan.covers_for(key, reader.covers), reader, reached) for key in rosters]
        chosen = _chosen(seen.request.query_params.get("schedule", ""), boards)
        covers = plan.covers_for(chosen, reader.covers)
        shown = weeks(rosters[chosen], covers, reader)
        order = turns(rosters[chosen], covers, reader)
        return {
            "boards": boards,
            "chosen": chosen,
            "weeks": shown,
            "turns": order[:MOST_LISTED],
            "more": max(0, len(order) - MOST_LISTED),
            "changes": clock_changes(shown, reader),
            "doubles": [
                *doubles(plan, reader.covers, reader),
                *overlapping(plan, reader.covers, reader),
                *_lost(plan, seen),
            ],
        }

    looked: dict[str, Any] = await seen.faces.read(look) if rosters else {"boards": [], "chosen": ""}
    found = await seen.faces.read(seen.faces.reads.overrides, limit=200)
    overrides = [one for one in found.items if one.state(seen.now) in ("asked", "agreed")]
    feeds = await _feeds(seen)
    return seen.draw(
        "oncall.html",
        headline=headline(looked["boards"], reader),
        asked=[one for one in overrides if one.agreed_at is None],
        agreed=[one for one in overrides if one.agreed_at is not None],
        may_answer=lambda one: _may_answer(one, plan, reader.person),
        said_of=lambda one: said_of(one, reader),
        idle_of=lambda one: one.idle(plan.rosters, plan.people) if plan is not None else "",
        feeds=feeds,
        feed_url=feed_url,
        stamp=lambda at: f"{to_datetime(at).astimezone(reader.zone):%Y-%m-%dT%H:%M}",
        asking=with_query,
        **looked,
    )


def _lost(plan: Plan, seen: View) -> list[str]:
    """What is wrong with calendars from elsewhere, each thing once though several schedules ask it."""
    if not plan.calendars:
        return []
    calendars = {one.name: one for one in seen.faces.reads.calendars()}
    return list(dict.fromkeys(f"{text}." for _, text in findings(plan, calendars, seen.now)))


def _chosen(asked: str, boards: Sequence[Board]) -> str:
    """The schedule whose calendar is shown: the one asked for, else the reader's own, else the first."""
    if any(one.key == asked for one in boards):
        return asked
    return next((one.key for one in boards if one.yours), boards[0].key)


def _may_answer(one: Override, plan: Plan | None, person: str) -> bool:
    if one.agreed_at is not None or not person or plan is None:
        return False
    if one.kind == "swap":
        return person == one.person
    roster = plan.rosters.get(one.schedule)
    return roster is not None and person != one.instead_of and person in roster.schedule.people()


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


def _form(seen: View, typed: dict[str, str], faults: dict[str, str]) -> Response[bytes]:
    plan, reader = seen.plan, seen.reader
    schedules = list(plan.schedules) if plan is not None else []
    if plan is None or not schedules:
        raise not_found("schedule in the plan")
    kind = typed.get("kind", "") if typed.get("kind", "") in KINDS else "override"
    schedule = typed.get("schedule", "") if typed.get("schedule", "") in schedules else schedules[0]
    roster = plan.rosters[schedule]
    on_it = roster.schedule.people()
    offers: list[Offer] = []
    if kind == "swap":
        covers = plan.covers_for(schedule, reader.covers)
        offers = [
            Offer(f"{shift.person}|{shift.start}|{shift.end}", shift.person, shift.start, shift.end)
            for shift in roster.shifts(seen.now, seen.now + SWAPPED, covers)
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
        asking=with_query,
    )


@post("/oncall/overrides", needs="responder", status_code=303)
async def make_override(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Put somebody on call, ask for a swap, or ask for cover."""
    typed = {name: value[:1_000] for name, value in (await fields(request)).items()}
    seen = await view(request, faces, who)
    faults: dict[str, str] = {}
    command = _wanted(seen, typed, faults)
    if command is not None and not faults:
        try:
            await faces.submit(command, once(typed))
        except Problem as problem:
            if problem.status not in (400, 403, 404, 409):
                raise
            field = {"starts_at": "from", "ends_at": "to", "other": "back", "back_starts_at": "back"}.get(
                problem.field, problem.field
            )
            known = ("from", "to", "person", "instead_of", "schedule", "back", "reason")
            faults[field if field in known else ""] = problem.detail.removeprefix(f"{problem.field}: ")
        else:
            done = "overridden" if isinstance(command, AddOverride) else "wished"
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
    """A time written in the reader's zone; None for nothing."""
    text = typed.get(name, "")
    if not text:
        return None
    try:
        return from_datetime(datetime.fromisoformat(text).replace(tzinfo=seen.reader.zone))
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
    return await _done(request, faces, AnswerOverride(actor=who.actor, id=number, person=_person(who)), "accepted")


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
