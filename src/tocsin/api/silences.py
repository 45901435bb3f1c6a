"""Silences: list, read, create, change, expire."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import delete, get, post, put
from litestar.params import Parameter, QueryParameter
from litestar.types import ControllerRouterHandler

from tocsin.api import models as m
from tocsin.api.asking import Cursor, IdempotencyKey, Limit, Text
from tocsin.engine.commands import ExpireSilence, SetSilence
from tocsin.faces.faces import Faces
from tocsin.faces.problem import invalid
from tocsin.faces.who import Who
from tocsin.kernel.instant import SECOND, Instant
from tocsin.silences.silence import Silence, everything
from tocsin.store.reads import LIMIT

EVERYTHING = (
    "an alert without any label meets all of these, so everything is quiet that they do not except; name a label that "
    "what you mean has, or say that everything is meant ('everything': true; --everything on the command line)"
)

SilenceId = Annotated[str, Parameter(min_length=1, max_length=100)]


@get("/silences", tags=["silences"])
async def list_silences(
    faces: Faces,
    limit: Limit = LIMIT,
    in_state: Annotated[Literal["live", "expired", "all"], QueryParameter(name="state")] = "live",
    origin: Text = None,
    cursor: Cursor = None,
) -> m.Listed[m.PublishedSilence]:
    """List silences, the one that ends last first. ``live``: in force or still to come."""
    now = faces.now()
    found = await faces.read(faces.reads.silences, now, which=in_state, origin=origin, after=cursor, limit=limit)
    # What is over keeps nothing quiet; the core is asked once for all of a page.
    firing = await faces.firing() if in_state != "expired" and found.items else None
    return m.listed(found, lambda one: m.silence_out(one, now, firing))


@get("/silences/{silence:str}", tags=["silences"])
async def read_silence(faces: Faces, silence: SilenceId) -> m.PublishedSilence:
    """Read a silence."""
    return await _told(faces, silence)


@post("/silences", tags=["silences"], needs="responder")
async def create_silence(
    faces: Faces, who: Who, data: m.SilenceIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedSilence:
    """Keep what matches quiet for a while. It always ends, and what still fires then is judged again."""
    result = await faces.submit(_command(data, who, faces.now(), None), idempotency_key or "")
    return await _told(faces, result.id)


@put("/silences/{silence:str}", tags=["silences"], needs="responder")
async def change_silence(
    faces: Faces, who: Who, silence: SilenceId, data: m.SilenceIn, idempotency_key: IdempotencyKey = None
) -> m.PublishedSilence:
    """Change a silence. Other matchers, or another beginning of one in force, make a new one with a new id."""
    old = await _silence(faces, silence)
    result = await faces.submit(_command(data, who, faces.now(), old), idempotency_key or "")
    return await _told(faces, result.id)


@delete("/silences/{silence:str}", tags=["silences"], needs="responder")
async def expire_silence(faces: Faces, who: Who, silence: SilenceId, idempotency_key: IdempotencyKey = None) -> None:
    """End a silence now. What still fires is judged again."""
    await faces.submit(ExpireSilence(actor=who.by, id=silence), idempotency_key or "")


def _command(data: m.SilenceIn, who: Who, now: Instant, old: Silence | None) -> SetSilence:
    starts = m.instant(data.starts_at, "starts_at")
    if old is not None and (starts is None or same_second(starts, old.starts_at)):
        starts = old.starts_at
    starts = now if starts is None else starts
    ends, lasts = m.instant(data.ends_at, "ends_at"), m.span(data.duration, "duration")
    if (ends is None) == (lasts is None):
        raise invalid("ends_at", "say either ends_at or duration")
    if ends is None:
        assert lasts is not None
        # What is in force and gets a new duration lasts that long from now.
        ends = max(starts, now) + lasts
    matchers = m.matchers_in(data.matchers)
    meant = data.everything or (old is not None and matchers == old.matchers)
    if not meant and everything(matchers):
        raise invalid("matchers", EVERYTHING)
    return SetSilence(
        actor=who.by,
        id=old.id if old else "",
        matchers=matchers,
        author=data.author or who.name,
        comment=data.comment,
        starts_at=starts,
        ends_at=ends,
        origin=data.origin or (old.origin if old else ""),
        everything=meant,
    )


def same_second(one: Instant, other: Instant) -> bool:
    """Whether two instants are the same to those who write them with fewer digits than are kept."""
    return one // SECOND == other // SECOND


async def _told(faces: Faces, name: str) -> m.PublishedSilence:
    return m.silence_out(await _silence(faces, name), faces.now(), await faces.firing())


async def _silence(faces: Faces, name: str) -> Silence:
    return await faces.found(f"silence {name}", faces.reads.silence, name)


HANDLERS: list[ControllerRouterHandler] = [
    list_silences,
    read_silence,
    create_silence,
    change_silence,
    expire_silence,
]
