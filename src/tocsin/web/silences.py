"""Silences: the list, and a form that says how many firing alerts it would keep quiet before it is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.alerts.alert import Alert
from tocsin.engine.commands import ExpireSilence, SetSilence
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Instant, from_datetime, to_datetime
from tocsin.kernel.matcher import Matcher, MatcherError, parse_matcher
from tocsin.silences.silence import Silence, everything
from tocsin.web.alerts import split_matchers
from tocsin.web.view import View, fields, leads_to, view, with_query

SHOWN = 50
HIT_SHOWN = 5
LENGTHS = (
    ("30 min", 30 * MINUTE),
    ("1 h", HOUR),
    ("2 h", 2 * HOUR),
    ("4 h", 4 * HOUR),
    ("8 h", 8 * HOUR),
    ("1 d", DAY),
    ("3 d", 3 * DAY),
    ("7 d", 7 * DAY),
)
UNTIL = "until"
LONGEST = 5_000
"""So many characters a form's matchers have at most."""


class Hits(NamedTuple):
    """The firing alerts a form's matchers meet."""

    number: int
    more: bool
    some: list[Alert]


class Typed(NamedTuple):
    """What is in the form."""

    matchers: str = ""
    comment: str = ""
    length: str = str(2 * HOUR)
    until: str = ""
    everything: bool = False


@get("/silences")
async def silences_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Silences in force or to come; or those that are over."""
    asked = request.query_params
    which = "expired" if asked.get("which") == "expired" else "live"
    seen = await view(request, faces, who)
    found = await faces.read(faces.reads.silences, seen.now, which=which, after=asked.get("after") or None, limit=SHOWN)
    active = sum(one.state(seen.now) == "active" for one in found.items)
    firing = await faces.firing() if active else None
    if which == "expired":
        headline = "Silences that are over."
    elif firing is not None and 1 < (firing.count or 0) <= max(firing.quiet.values(), default=0):
        headline = f"Everything that fires is silenced: all {firing.count:,} alerts."
    elif active:
        headline = f"{active} {'silence keeps' if active == 1 else 'silences keep'} alerts quiet."
    else:
        headline = "Nothing is silenced."
    return seen.draw(
        "silences.html",
        silences=found.items,
        quiet=firing.quiet if firing is not None else None,
        which=which,
        headline=headline,
        older=with_query("/silences", which=which, after=found.next) if found.next else "",
        newer=with_query("/silences", which=which) if asked.get("after") else "",
    )


def _hits(faces: Faces, matchers: tuple[Matcher, ...], origin: str) -> Hits:
    """``origin``: the service whose keys they must have come with; "" for any."""
    found = faces.reads.alerts(state="firing", matchers=matchers, origin=origin, limit=500)
    return Hits(len(found.items), found.next is not None, found.items[:HIT_SHOWN])


@get("/silences/new", needs="responder")
async def new_silence(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """The form, with matchers from the address when it has some."""
    asked = request.query_params
    typed = Typed(
        asked.get("matchers", ""),
        asked.get("comment", ""),
        asked.get("length", Typed().length),
        asked.get("until", ""),
    )
    return await _form(await view(request, faces, who), None, typed, {}, preview=bool(typed.matchers))


@get("/silences/{name:str}")
async def silence_page(request: Request[Any, Any, Any], faces: Faces, who: Who, name: str) -> Response[bytes]:
    """One silence, to be read and, while it is not over, changed."""
    seen = await view(request, faces, who)
    silence = await faces.found("such silence", faces.reads.silence, name)
    local = to_datetime(silence.ends_at).astimezone(seen.reader.zone)
    typed = Typed("\n".join(str(one) for one in silence.matchers), silence.comment, UNTIL, f"{local:%Y-%m-%dT%H:%M}")
    return await _form(seen, silence, typed, {}, preview=True)


async def _form(
    seen: View, silence: Silence | None, typed: Typed, faults: dict[str, str], *, preview: bool = False, code: int = 200
) -> Response[bytes]:
    hits, kept, wide = None, False, False
    origin = silence.origin if silence is not None else ""
    if preview and "matchers" not in faults:
        try:
            matchers = read_matchers(typed.matchers)
        except MatcherError as error:
            faults = {**faults, "matchers": str(error)}
        else:
            hits = await seen.faces.read(_hits, seen.faces, matchers, origin) if matchers else None
            wide = bool(matchers) and everything(matchers)
            kept = silence is not None and silence.state(seen.now) == "active" and matchers == silence.matchers
    return seen.draw(
        "silence.html",
        code=code,
        silence=silence,
        typed=typed,
        faults=faults,
        hits=hits,
        kept=kept,
        wide=wide,
        lengths=LENGTHS,
        until=UNTIL,
        over=silence is not None and silence.state(seen.now) == "expired",
    )


def read_matchers(text: str) -> tuple[Matcher, ...]:
    """Matchers, one a line or with commas between. Raises MatcherError; cut off, they would mean more alerts."""
    if len(text) > LONGEST:
        raise MatcherError(f"All matchers together have at most {LONGEST:,} characters.")
    return tuple(parse_matcher(part) for part in split_matchers(text))


@post(["/silences", "/silences/new"], needs="responder", status_code=303)
async def create_silence(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes] | Redirect:
    """Begin a silence, or only look at what it would do."""
    return await _save(request, faces, who, None)


@post("/silences/{name:str}", needs="responder", status_code=303)
async def change_silence(
    request: Request[Any, Any, Any], faces: Faces, who: Who, name: str
) -> Response[bytes] | Redirect:
    """Change a silence."""
    silence = await faces.found("such silence", faces.reads.silence, name)
    return await _save(request, faces, who, silence)


async def _save(
    request: Request[Any, Any, Any], faces: Faces, who: Who, silence: Silence | None
) -> Response[bytes] | Redirect:
    form = await fields(request)
    seen = await view(request, faces, who)
    typed = Typed(
        form.get("matchers", "").replace("\r\n", "\n"),
        form.get("comment", "")[:2000],
        form.get("length", ""),
        form.get("until", ""),
        form.get("everything") == "on",
    )
    if form.get("do") == "preview":
        return await _form(seen, silence, typed, {}, preview=True)
    faults: dict[str, str] = {}
    matchers: tuple[Matcher, ...] = ()
    try:
        matchers = read_matchers(typed.matchers)
    except MatcherError as error:
        faults["matchers"] = str(error)
    if not matchers and not faults:
        faults["matchers"] = 'Write at least one matcher, such as job="checkout".'
    meant = typed.everything or (silence is not None and matchers == silence.matchers)
    if not meant and matchers and everything(matchers):
        faults["everything"] = (
            "What has no label at all meets all of these, so everything is quiet that they do not except. Name a label "
            "that what you mean has, or say here that everything is meant."
        )
    if not typed.comment:
        faults["comment"] = "Say why, for whoever finds it at night."
    ends = _end(seen, typed, faults)
    if not faults:
        starts = silence.starts_at if silence is not None else seen.now
        author = silence.author if silence is not None else seen.reader.plain_name(who.name)
        command = SetSilence(
            actor=who.actor,
            matchers=matchers,
            author=author,
            comment=typed.comment,
            starts_at=starts,
            ends_at=ends,
            id=silence.id if silence is not None else "",
            origin=silence.origin if silence is not None else "",
            everything=meant,
        )
        try:
            result = await faces.submit(command)
        except Problem as problem:
            if problem.status not in (400, 404, 409):
                raise
            faults[{"ends_at": "until"}.get(problem.field, problem.field)] = problem.detail.removeprefix(
                f"{problem.field}: "
            )
        else:
            return leads_to(f"/silences/{result.id}", "silenced")
    return await _form(seen, silence, typed, faults, preview=True, code=400)


def _end(seen: View, typed: Typed, faults: dict[str, str]) -> Instant:
    """When the silence ends: so long from now, or the time written down in the reader's zone."""
    length = next((size for _, size in LENGTHS if str(size) == typed.length), None)
    if length is not None:
        return seen.now + length
    try:
        ends = from_datetime(datetime.fromisoformat(typed.until).replace(tzinfo=seen.reader.zone))
    except (ValueError, OverflowError):
        faults["until"] = "Write a date and a time, such as 2026-11-22T07:00."
        return 0
    if ends <= seen.now:
        faults["until"] = f"{seen.reader.full(ends)} is in the past."
    return ends


@post("/silences/{name:str}/expire", needs="responder", status_code=303)
async def expire_silence(faces: Faces, who: Who, name: str) -> Redirect:
    """End a silence now."""
    await faces.submit(ExpireSilence(actor=who.actor, id=name))
    return leads_to("/silences", "expired")


handlers = [silences_page, new_silence, silence_page, create_silence, change_silence, expire_silence]
