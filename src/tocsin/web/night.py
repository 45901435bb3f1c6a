"""The page a person opens from a mail at three in the morning: what, since when, what happens next, and one button.

The address is signed and is all the permission there is, so looking changes nothing and only the button acknowledges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.access.actors import person_of, same
from tocsin.engine.commands import Acknowledge, AnswerDrill
from tocsin.faces.core import CoreGone
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant, to_datetime
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import DRILL_WORKS, Page
from tocsin.pages.links import read_token, still_works
from tocsin.pages.profiles import profile
from tocsin.store.reads import Brief, Reads
from tocsin.web.door import bare
from tocsin.web.view import AnyRequest, preferences, zone_of
from tocsin.web.words import Reader, because, count, night

HEADERS = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex, nofollow"}
LINES = 5
TRIED = 6
"""So many sentences of what code tried: the weightiest come first, and a thumb has to reach the button."""
SHOWN = 8
"""So many of what came in one message are listed; all of it is counted, and answered."""


@get("/p/{token:str}", needs="anyone")
async def page_page(request: Request[Any, Any, Any], faces: Faces, token: str) -> Response[bytes]:
    """Show what it is about. Changes nothing, whoever or whatever looks."""
    try:
        return await _draw(request, faces, token)
    except Problem as problem:
        number = read_token(faces.signing_key, token)
        if problem.code != "unavailable" or number is None:
            raise
        return _away(request, token, "Do you have it?", "Tocsin's database does not answer. Paging goes on without it.")


# No form token: the address is the secret, and a person's first tap must not fail because a cookie was not kept.
@post("/p/{token:str}", needs="anyone", csrf=False, status_code=303)
async def acknowledge_page(request: Request[Any, Any, Any], faces: Faces, token: str) -> Response[Any]:
    """Acknowledge as the person who was paged. Tapping twice is the same as once.

    What somebody else has by then stays theirs and the answer says so, unless it was to be taken over (``over=1``): who
    presses may look at a page of before.
    """
    number, over = read_token(faces.signing_key, token), request.query_params.get("over") == "1"
    try:
        found = await faces.read(_find, faces.reads, number)
    except Problem as problem:
        if problem.code != "unavailable" or number is None:
            raise
        return await _acknowledge_unseen(request, faces, token, number)
    if found is None or not _works(found.page, found.incident, faces.now()):
        return await _draw(request, faces, token)
    page, incident, _ = found
    command = _answer(page, incident, over, faces.now())
    if command is None and incident is not None and _is_anothers(page, incident):
        return await _draw(request, faces, token, code=409)
    if command is not None:
        try:
            await faces.submit(command)
        except CoreGone:
            return await _draw(
                request,
                faces,
                token,
                fault="Tocsin did not answer, so nothing was written down. Press it again.",
                code=503,
            )
        except Problem as problem:
            if problem.code == "unwritten":
                return _taken(request, token, problem)
            if problem.code == "taken":
                return await _draw(request, faces, token, code=409)
            if problem.status not in (404, 409):
                raise
    answer = Redirect(f"/p/{token}", status_code=303)
    answer.headers.update(HEADERS)
    return answer


async def _acknowledge_unseen(request: AnyRequest, faces: Faces, token: str, page: int) -> Response[bytes]:
    """Acknowledge by the page alone: the core knows its incident, and whom it paged."""
    try:
        result = await faces.submit(Acknowledge(page=page, over=False))
    except CoreGone:
        return _away(request, token, "Tocsin did not answer.", "Nothing was written down. Press it again.")
    except Problem as problem:
        if problem.code == "unwritten":
            return _taken(request, token, problem)
        if problem.code == "taken":
            return _away(request, token, "Somebody has it", f"{problem.detail}.", code=409, taken=True)
        return _away(request, token, "That could not be done.", f"{problem.detail}.", code=problem.status)
    if result.reason == Reason.ANSWERED:  # one of several, or to help: somebody else has it, or is still paged
        return _away(request, token, "It is written down", f"{result.message}.", code=200, taken=True)
    return _away(request, token, "You have it", "It is written down.", code=200, taken=True)


def _taken(request: AnyRequest, token: str, problem: Problem) -> Response[bytes]:
    return _away(request, token, "You have it", f"{problem.detail}.", code=202, taken=True)


def _away(
    request: AnyRequest, token: str, headline: str, detail: str, *, code: int = 503, taken: bool = False
) -> Response[bytes]:
    """What can be shown, and done, when nothing can be read."""
    return bare(
        request, "away.html", code=code, headers=HEADERS, headline=headline, detail=detail, taken=taken, token=token
    )


def _helps(page: Page, incident: Incident) -> bool:
    return page.kind == "help" and incident.helped_by(page.intended_at)


def _is_anothers(page: Page, incident: Incident) -> bool:
    """Whether somebody else has what a page paged somebody for, and does not ask for help with it."""
    theirs = incident.state == "acknowledged" and not same(incident.acknowledged_by, f"person:{page.person}")
    return theirs and not _helps(page, incident)


def _answer(page: Page, incident: Incident | None, over: bool, now: Instant) -> Acknowledge | AnswerDrill | None:
    """What the button asks for; None when there is nothing left to answer. ``over``: to take it from who has it."""
    actor = f"person:{page.person}"
    if incident is None:
        return AnswerDrill(actor=actor, page=page.id) if page.answered_at is None else None
    helps = _helps(page, incident) and page.answered_at is None
    theirs = over and _is_anothers(page, incident)
    waits = incident.state == "triggered" and page.person not in incident.answers
    if waits or helps or theirs:
        # Who comes by an old page and sees that it was opened again since answers what they see.
        named = 0 if incident.opened_after(page.intended_at) or page.long_lost(now) else page.id
        return Acknowledge(actor=actor, incident=incident.number, page=named, over=over)
    return None


def _works(page: Page, incident: Incident | None, now: Instant) -> bool:
    """Whether a link still does something."""
    if incident is None:
        return now - page.intended_at <= DRILL_WORKS
    return still_works(incident.resolved_at, now)


class Found(NamedTuple):
    """A page that can be answered, and what it is about: nothing, when it is a drill's. ``others``: what else came in
    the same message, in the order in which it needs this person.
    """

    page: Page
    incident: Incident | None
    others: tuple[Brief, ...] = ()


def _find(reads: Reads, number: int | None) -> Found | None:
    """A page that can be answered.

    Of several that came in one message it is the one that most needs somebody; an answer to it answers all of them.
    """
    page = reads.page(number) if number is not None else None
    if page is None or page.kind == "notice":
        return None
    together = reads.told_with(page) if page.bundle else {}
    person = page.person
    rows = sorted(together, key=lambda row: _needs(together[row], person))
    found = (reads.page(rows[0]) if rows else None) or page
    incident = reads.incident(found.incident) if found.incident else None
    if incident is None and found.kind != "drill":
        return None
    return Found(found, incident, tuple(one for one in map(together.get, rows[1:]) if one is not None))


def _waits(one: Incident | Brief, person: str) -> bool:
    """Whether it is paged to a person on, who can answer it."""
    return one.state == "triggered" and person not in one.answers


def _needs(one: Incident | Brief, person: str) -> tuple[int, str, int]:
    """First what nobody has, then what somebody has, of each the gravest first."""
    states = ("triggered", "acknowledged", "resolved")
    return 0 if _waits(one, person) else 1 + states.index(one.state), one.severity, one.number


async def _draw(request: AnyRequest, faces: Faces, token: str, *, fault: str = "", code: int = 200) -> Response[bytes]:
    now = faces.now()
    found = await faces.read(_find, faces.reads, read_token(faces.signing_key, token))
    plan = await faces.plan()
    if found is None or not _works(found.page, found.incident, now):
        # A forged link and a missing page look alike.
        return bare(
            request, "stale.html", code=410 if found is not None else 404, headers=HEADERS, known=found is not None
        )
    page, incident, others = found
    zone = zone_of(plan, page.person)
    covers, paging = await faces.covers(), faces.settings.paging
    turns, calendars = await faces.turns(covers), await faces.calendars()
    reader = Reader(
        now, zone, plan, person=page.person, covers=covers, turns=turns, paging=paging, calendars=calendars
    )
    if incident is None:
        return _draw_drill(request, reader, page, token, fault, code)
    run = await faces.read(faces.reads.run, incident.told_by) if incident.told_by else None
    everything: tuple[Incident | Brief, ...] = (incident, *others)
    shown = everything[:SHOWN]
    firing_count, titles = await _firing(faces, incident.number)
    return bare(
        request,
        "night.html",
        code=code,
        headers=HEADERS,
        theme=_theme(request, reader),
        reader=reader,
        plan=plan,
        page=page,
        incident=incident,
        headline=_headline(incident, others),
        fate=reader.fate(incident),
        mine=incident.state == "acknowledged" and person_of(incident.acknowledged_by) == page.person,
        noted=reader.noted(incident),
        holder=reader.holder(incident),
        clock=f"{to_datetime(now).astimezone(zone):%H:%M}",
        firing=[title or "Untitled" for title in titles if title != incident.title or incident.alerts > 1],
        firing_count=firing_count,
        more=max(0, firing_count - LINES),
        others=others,
        shown=shown,
        waiting=sum(_waits(one, page.person) for one in everything),
        helping=_helps(page, incident),
        coming=page.answered_at,
        why=_why(page, incident),
        tried_shown=TRIED,
        advice=run.advice if run is not None else "",
        how=profile(page.channel).by,
        token=token,
        fault=fault,
        now=now,
    )


async def _firing(faces: Faces, incident: int) -> tuple[int, Sequence[str]]:
    """How many alerts its message is about, and what the newest of them are called.

    The core has it at hand; the database is asked when it is away or stands by, and looks at each.
    """
    held = await faces.firing(incident, LINES)
    if held is not None:
        return held.heard, held.titles
    read = await faces.read(faces.reads.heard, incident, LINES)
    return read.alerts, [alert.title for alert in read.newest]


def _theme(request: AnyRequest, reader: Reader) -> str:
    """As this browser chose; else dark while it is night where the person is."""
    chosen = preferences(request).theme
    return chosen if chosen != "system" else "dark" if night(reader.now, reader.zone) else "system"


def _headline(incident: Incident, others: Sequence[Brief]) -> str:
    """What it is; of several how many, and the one that most needs somebody, as the message said it."""
    title = incident.title or "Untitled"
    if not others:
        return title
    graver = any(one.severity < incident.severity for one in others)
    left = "" if not graver else " nobody has" if incident.state == "triggered" else " still open"
    return f"{count(len(others) + 1, 'incident')}, the gravest{left}: {title}"


def _why(page: Page, incident: Incident) -> str:
    """Why this person was paged, as a sentence without its full stop."""
    reason = page.because or because(page.reason)
    if page.reason in (Reason.STEP_DUE, Reason.STEP_REPEATED):
        return f"You are step {page.step + 1} for {incident.service}, and {reason}"
    if page.reason in (Reason.LAST_RESORT, Reason.ESCALATION_EXHAUSTED):
        return f"You are the last resort, and {reason}"
    return reason[:1].upper() + reason[1:]


def _draw_drill(request: AnyRequest, reader: Reader, page: Page, token: str, fault: str, code: int) -> Response[bytes]:
    return bare(
        request,
        "drill.html",
        code=code,
        headers=HEADERS,
        theme=_theme(request, reader),
        reader=reader,
        page=page,
        clock=f"{to_datetime(reader.now).astimezone(reader.zone):%H:%M}",
        how=profile(page.channel).by,
        token=token,
        fault=fault,
    )


handlers = [page_page, acknowledge_page]
