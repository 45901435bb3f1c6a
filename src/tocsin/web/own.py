"""What a reader sets for themselves, the menu of small screens, and the stream that keeps pages live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.response import Redirect, Stream

from tocsin.engine.commands import SetUser
from tocsin.faces.core import CoreGone
from tocsin.faces.faces import Faces
from tocsin.faces.passwords import password_is
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who, new_password, start_session
from tocsin.web.view import Preferences, View, fields, keep, leads_to, own_path, preferences, view

BEAT = 2.0
"""Seconds between signs of life: a page says within five that it hears nothing."""


@get("/settings")
async def settings_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """What this browser and this user keep."""
    return _settings(await view(request, faces, who))


def _settings(seen: View, faults: dict[str, str] | None = None) -> Response[bytes]:
    return seen.draw("settings.html", code=400 if faults else 200, faults=faults or {})


@post("/settings", needs="viewer", status_code=303)
async def keep_settings(request: Request[Any, Any, Any], who: Who) -> Redirect:
    """Keep how this browser shows things."""
    form = await fields(request)
    answer = leads_to("/settings", "kept")
    keep(
        answer,
        Preferences(_theme(form.get("theme", "")), form.get("keys") == "on", form.get("times") == "absolute"),
        who.secure,
    )
    return answer


@post("/settings/password", needs="viewer", status_code=303)
async def change_password(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[Any]:
    """Change one's own password, which signs every other browser out."""
    form = await request.form()
    old, new = (str(form.get(name, "")) for name in ("old", "new"))
    seen = await view(request, faces, who)
    user = who.user
    if user is None:
        raise Problem(403, "forbidden", "a script's token has no password")
    if user.password:
        async with faces.hashing:
            right = await asyncio.to_thread(password_is, old, user.password)
        if not right:
            return _settings(seen, {"old": "This is not your password."})
    try:
        hashed = await new_password(faces, new)
    except ValueError as error:
        return _settings(seen, {"new": f"{str(error)[:1].upper()}{str(error)[1:]}."})
    await faces.submit(SetUser(actor=who.actor, name=user.name, password=hashed))
    answer = leads_to("/settings", "password")
    changed = await faces.read(faces.reads.user_by_id, user.id)
    if changed is not None:
        start_session(faces, who, changed, answer)
    return answer


@post("/theme", needs="anyone", status_code=303)
async def choose_theme(request: Request[Any, Any, Any], who: Who) -> Redirect:
    """Light, dark, or as the system is."""
    form = await fields(request)
    chosen = preferences(request)
    answer = Redirect(own_path(form.get("back", "/")), status_code=303)
    keep(answer, msgspec.structs.replace(chosen, theme=_theme(form.get("theme", ""))), who.secure)
    return answer


def _theme(text: str) -> Any:
    return text if text in ("light", "dark") else "system"


@get("/more")
async def more_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """What does not fit beside the four main pages on a small screen."""
    return (await view(request, faces, who)).draw("more.html")


@get("/live")
async def live_stream(faces: Faces) -> Stream:
    """Server-sent events: ``changed`` when something did, ``beat`` as a sign of life of these faces and of the core."""
    return Stream(
        _events(faces), media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


async def _events(faces: Faces) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n" + await _beat(faces)
    async for update in faces.live.updates(beat=BEAT):
        if update is None:
            yield await _beat(faces)
        else:
            yield b"event: changed\ndata: " + msgspec.json.encode(update) + b"\n\n"


async def _beat(faces: Faces) -> bytes:
    try:
        await asyncio.wait_for(faces.core.status(), BEAT)
        core = True
    except (CoreGone, TimeoutError):
        core = False
    return b"event: beat\ndata: " + msgspec.json.encode({"now": faces.now() // 1000, "core": core}) + b"\n\n"


handlers = [
    settings_page,
    keep_settings,
    change_password,
    choose_theme,
    more_page,
    live_stream,
]
