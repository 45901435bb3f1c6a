"""The door: signing in and out, the first-event page, and what is said when something cannot be done."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.response import Redirect

from tocsin.access.credentials import User
from tocsin.catalog.services import INBOX
from tocsin.faces.faces import LINK_PATH, Faces
from tocsin.faces.problem import Problem
from tocsin.faces.who import (
    NotSignedIn,
    Who,
    end_session,
    link_works,
    sign_in_with_link,
    sign_in_with_password,
    start_session,
)
from tocsin.intake.entrances import entrances, snippet, where
from tocsin.web.services import Made, make_key, public_url
from tocsin.web.view import (
    FRAGMENT_HEADER,
    AnyRequest,
    View,
    came_from,
    fields,
    once,
    own_path,
    preferences,
    templates,
    view,
)
from tocsin.web.words import sentence

THE_KEY = "YOUR-KEY"


def bare(
    request: AnyRequest,
    template: str,
    *,
    code: int = 200,
    headers: dict[str, str] | None = None,
    theme: str = "",
    **what: Any,
) -> Response[bytes]:
    """A page without the shell, for whoever is not signed in or when the shell itself may be what is broken."""
    who = getattr(request.state, "who", None)
    chosen = theme or preferences(request).theme
    text = templates.get_template(template).render(
        who=who if isinstance(who, Who) else Who(),
        theme="" if chosen == "system" else chosen,
        path=request.scope["path"],
        **what,
    )
    return Response(text.encode(), status_code=code, media_type="text/html", headers=headers or {})


# -- signing in --------------------------------------------------------------------------------------------------------


@get("/sign-in", needs="anyone")
async def sign_in_page(request: Request[Any, Any, Any], who: Who) -> Response[bytes]:
    """Name and password, or how to get a link."""
    return _sign_in(request, who, own_path(request.query_params.get("next", "/")))


def _sign_in(
    request: AnyRequest, who: Who, onward: str, *, name: str = "", fault: str = "", code: int = 200
) -> Response[bytes]:
    return bare(request, "sign-in.html", code=code, onward=onward, name=name, fault=fault, signed_in=who.name)


@post("/sign-in", needs="anyone", status_code=303)
async def sign_in(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[Any]:
    """Let a browser in by name and password."""
    form = await fields(request)
    password = (await request.form()).get("password", "")
    onward = own_path(form.get("next", "/"))
    try:
        user = await sign_in_with_password(
            faces, who, form.get("name", ""), password if isinstance(password, str) else ""
        )
    except Problem as problem:
        if problem.status not in (401, 429):
            raise
        detail = problem.detail[:1].upper() + problem.detail[1:] + "."
        answer = _sign_in(request, who, onward, name=form.get("name", "")[:100], fault=detail, code=problem.status)
        answer.headers.update({name: value for name, value in problem.headers.items() if name.lower() == "retry-after"})
        return answer
    return _let_in(faces, who, user, onward)


def _let_in(faces: Faces, who: Who, user: User, onward: str) -> Redirect:
    answer = Redirect(onward, status_code=303)
    start_session(faces, who, user, answer)
    return answer


@get(LINK_PATH + "{secret:str}", needs="anyone")
async def link_page(request: Request[Any, Any, Any], faces: Faces, who: Who, secret: str) -> Response[bytes]:
    """What a one-time link opens. Looking uses nothing up: mail programs look too."""
    if not await link_works(faces, secret, faces.clock()):
        fault = "It was used already, has expired, or was never there."
        return bare(request, "link.html", code=401, secret=secret, fault=fault)
    return bare(request, "link.html", secret=secret, fault="", headers={"referrer-policy": "same-origin"})


@post(LINK_PATH + "{secret:str}", needs="anyone", status_code=303)
async def use_link(request: Request[Any, Any, Any], faces: Faces, who: Who, secret: str) -> Response[Any]:
    """Use the link up and let this browser in."""
    try:
        user = await sign_in_with_link(faces, secret)
    except Problem as problem:
        if problem.status not in (401, 404, 409):
            raise
        return bare(
            request, "link.html", code=401, secret=secret, fault=problem.detail[:1].upper() + problem.detail[1:] + "."
        )
    incidents = await faces.read(faces.reads.incidents, limit=1)
    return _let_in(faces, who, user, "/" if incidents.items else "/welcome")


@post("/sign-out", needs="anyone", status_code=303)
async def sign_out(who: Who) -> Redirect:
    """Let this browser go."""
    answer = Redirect("/sign-in", status_code=303)
    end_session(who, answer)
    return answer


# -- the first event ---------------------------------------------------------------------------------------------------


@get("/welcome")
async def welcome_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """How the first event gets here."""
    return await _welcome(await view(request, faces, who), None)


@post("/welcome", needs="admin", status_code=200)
async def welcome_key(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Make a key for Prometheus and show it in the block to paste, once."""
    key = once(await fields(request))
    seen = await view(request, faces, who)
    return await _welcome(seen, await make_key(seen, "alertmanager", INBOX, "Prometheus", idempotency_key=key))


async def _welcome(seen: View, made: Made | None) -> Response[bytes]:
    faces = seen.faces
    keys = [
        key
        for key in (await faces.read(faces.reads.keys, limit=100)).items
        if key.revoked_at is None and key.source == "alertmanager"
    ]
    first = (await faces.read(faces.reads.incidents, limit=1)).items
    heard = await faces.read(faces.reads.alerts, limit=1)
    base = public_url(seen)
    person = seen.plan.people.get(seen.reader.person) if seen.plan is not None else None
    return seen.draw(
        "welcome.html",
        made=made,
        block=made.snippet if made else snippet("alertmanager", base, THE_KEY),
        placeholder=THE_KEY,
        where=where("alertmanager"),
        others=[way.name for kind, way in entrances().items() if kind != "alertmanager"],
        hints=[key.hint for key in keys],
        heard=bool(heard.items) or bool(first),
        newest=first[0] if first else None,
        has_mail=seen.plan is not None and seen.plan.mail is not None,
        person=person,
        inbox=INBOX,
        base=base,
    )


# -- what cannot be done -----------------------------------------------------------------------------------------------

WRITTEN = ("text", "note", "comment", "matchers", "why", "reason", "did")
"""Fields of forms in which people write what would be a pity to lose: a page that refuses a form gives them back."""
HEADLINES = {
    400: "This cannot be used as it is.",
    403: "You may not do this.",
    404: "There is nothing here.",
    405: "This cannot be done that way.",
    409: "It is not so any more.",
    413: "This is too large.",
    429: "Too many, too fast.",
    500: "Tocsin made a mistake here.",
    503: "Tocsin does not answer at the moment.",
}


def error_page(request: AnyRequest, problem: Problem) -> Response[Any]:
    """A refusal as a page: what is the matter, and where to go from here. Nobody is led to sign in and back."""
    if isinstance(problem, NotSignedIn):
        if FRAGMENT_HEADER in request.headers:
            return Response(b"", status_code=401, media_type="text/plain")
        path = request.scope["path"]
        query = request.scope["query_string"].decode("ascii", "replace")
        onward = own_path(path + ("?" + query if query else "")) if request.method == "GET" else "/"
        return Redirect("/sign-in" + ("?" + urlencode({"next": onward}) if onward != "/" else ""), status_code=303)
    faces: Faces = request.app.state.faces
    back = came_from(request)
    form, who = getattr(request.state, "form", {}), getattr(request.state, "who", None)
    headline, detail, sign_in = HEADLINES.get(problem.status, "This did not work."), _sentence(problem), ""
    if problem.code == "unwritten":
        headline = "Done, and not written down yet."
    elif problem.code == "csrf":
        headline = "This page was too old."
        if isinstance(who, Who) and who.user is None and not request.scope["path"].startswith("/sign-in"):
            headline, detail = "You are signed out.", "Nothing was done. Sign in, and do it again."
            sign_in = "/sign-in" + (f"?{urlencode({'next': back})}" if back else "")
    keep = {name: value for name, value in problem.headers.items() if name.lower() in ("retry-after", "allow")}
    return bare(
        request,
        "error.html",
        code=problem.status,
        headers=keep,
        headline=headline,
        detail=detail,
        wrote="\n".join(form[name].strip() for name in WRITTEN if form.get(name, "").strip()),
        status=problem.status,
        sign_in=sign_in,
        back=back if back != request.scope["path"] else "",
        now=faces.now(),
        gone=problem.status == 503 and problem.code != "unwritten",
        repeat=request.method == "GET",
    )


def _sentence(problem: Problem) -> str:
    if problem.status == 404 and problem.detail == "there is nothing here":
        return "The address may be old, or cut short on its way."
    return sentence(problem.detail)


handlers = [sign_in_page, sign_in, link_page, use_link, sign_out, welcome_page, welcome_key]
