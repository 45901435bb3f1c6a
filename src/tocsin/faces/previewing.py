"""What a changed plan would change, asked of this server: the plan in force, its overrides and its calendars on one
side, and files that somebody sent, or that lie in the plan folder and are not in force, on the other.

No code of files that were sent runs here: what its playbooks declare comes with them, or is that of the plan in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tocsin.alerts.heartbeats import STANDS
from tocsin.engine.covering import idle, laid_over, standing
from tocsin.faces.disk import Files, Look, OnDisk
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem, not_found
from tocsin.kernel.instant import SECOND, Duration, Instant
from tocsin.oncall.override import Override
from tocsin.oncall.schedule import LONGEST_TURN
from tocsin.pages.rules import usable
from tocsin.plan.folder import PlanFolderError
from tocsin.plan.model import Plan
from tocsin.plan.previewing import Preview, Side, TooManyTurns, bounded, preview, side
from tocsin.playbooks.manifest import FOLDER, MADE

MOST_LEFT_OUT: Final = 20
LOOKS_EVERY: Final[Duration] = 5 * SECOND
"""So old what is known of the plan folder may be."""


class Seen(NamedTuple):
    """A preview, both plans, and what only this server can tell.

    ``unreached``: people who would be on call longer and whom nothing but the console reaches. ``idle``: overrides that
    would take nobody's place any more, as sentences. ``unread``: calendars that are read only once it is in force.
    ``left_out``: heartbeats that were heard so far, and that nothing would judge any more, as sentences.
    """

    preview: Preview
    before: Side
    after: Side
    unreached: tuple[str, ...]
    idle: tuple[str, ...]
    unread: tuple[str, ...]
    left_out: tuple[str, ...]


async def look(faces: Faces) -> Look:
    """Whether the plan folder holds other files than those in force, or why that cannot be told."""
    disk, now, plan = faces.disk, faces.now(), await faces.plan()
    if disk is None:
        return Look()
    version = plan.version if plan is not None else ""
    known = disk.looked
    if known is None or known[1] != version or not 0 <= now - known[0] < LOOKS_EVERY:
        known = disk.looked = (now, version, await faces.read(_looked, faces, disk, version))
    return known[2]


async def of_folder(faces: Faces) -> Seen:
    """What the files in the plan folder would change. Problem 404 without a folder, 409 when it cannot be used; else
    as ``of_files``.
    """
    if faces.disk is None:
        raise not_found("plan folder here")
    return await faces.comparer.run(_of_folder, faces, faces.disk)


async def of_files(faces: Faces, given: Files, *, onto: bool) -> Seen:
    """What files that were sent would change: a whole plan or, ``onto`` the one in force, files in the place of its
    own of the same names. Problem 413 when they differ by too many turns, 503 ``too_long`` when it takes too long.
    """
    return await faces.comparer.run(_of_files, faces, given, onto)


def _looked(faces: Faces, disk: OnDisk, version: str) -> Look:
    try:
        written = disk.written()
    except PlanFolderError as error:
        return Look(unusable=_unusable(error))
    force = (faces.reads.plan_files(version) if version else None) or {}
    return Look(dict(written) != {name: content for name, content in force.items() if name not in MADE})


def _unusable(error: PlanFolderError) -> str:
    return f"the plan folder cannot be used: {error}"


def _of_folder(faces: Faces, disk: OnDisk) -> Seen:
    try:
        files = disk.whole()
    except PlanFolderError as error:
        raise Problem(409, "plan_unreadable", _unusable(error)) from None
    return _compared(faces, files)


def _of_files(faces: Faces, given: Files, onto: bool) -> Seen:
    force = _force(faces)
    files = {**force, **given}
    if not onto:
        made = MADE if any(name.startswith(FOLDER) for name in given) else frozenset()
        files = {name: text for name, text in force.items() if name in made} | dict(given)
    return _compared(faces, files)


def _force(faces: Faces) -> Files:
    version = faces.reads.plan_version()
    return (faces.reads.plan_files(version) if version else None) or {}


def _compared(faces: Faces, files: Files) -> Seen:
    force, now = _force(faces), faces.now()
    overrides = {one.id: one for one in faces.reads.overrides_since(now - LONGEST_TURN)}
    bare = side(force, now) if force else Side("", None, ()), side(files, now)
    try:
        bounded(*bare)
        before, after = (_covered(faces, one, overrides) for one in bare)
        found = preview(before, after, now)
    except TooManyTurns as error:
        raise Problem(413, "too_many_turns", str(error)) from None
    return Seen(
        preview=found,
        before=before,
        after=after,
        unreached=tuple(_unreached(faces, found, after.plan)),
        idle=tuple(_idle(before, after, overrides, now)),
        unread=tuple(_unread(faces, before.plan, after.plan)),
        left_out=tuple(_left_out(faces, after.plan)),
    )


def _covered(faces: Faces, one: Side, overrides: Mapping[int, Override]) -> Side:
    """A plan with what the server's calendars and overrides do to its schedules."""
    if one.plan is None:
        return one
    calendars = {known.name: known for known in faces.reads.calendars() if known.name in one.plan.calendars}
    return one._replace(covers=laid_over(standing(one.plan, calendars), dict(overrides)))


def _unreached(faces: Faces, found: Preview, plan: Plan | None) -> list[str]:
    if plan is None or not found.ok:  # how people are reached was not read
        return []
    longer = [plan.people[one.person] for one in found.people if one.after > one.before and one.person in plan.people]
    return [
        one.key
        for one in longer
        if not any(channel in plan.reaches for channel, _ in one.declared())
        and not usable(faces.reads.contacts(one.key), plan.reaches)
    ]


def _idle(before: Side, after: Side, overrides: Mapping[int, Override], now: Instant) -> list[str]:
    known, found = (
        [sentence for _, sentence in idle(one.plan, overrides, one.covers, now)] if one.plan is not None else []
        for one in (before, after)
    )
    return [sentence for sentence in found if sentence not in known]


def _unread(faces: Faces, before: Plan | None, after: Plan | None) -> list[str]:
    known = {one.name for one in faces.reads.calendars() if one.read_at is not None}
    was = before.calendars if before is not None else {}
    new = after.calendars if after is not None else {}
    return [name for name, one in new.items() if name not in known or (name in was and was[name].url != one.url)]


def _left_out(faces: Faces, after: Plan | None) -> list[str]:
    if after is None:
        return []
    kept = {(spec.service, spec.name) for spec in after.heartbeats}
    gone = [one for one in faces.reads.heartbeats() if one.state != "new" and (one.service, one.name) not in kept]
    more = [f"And so would {len(gone) - MOST_LEFT_OUT} more"] if len(gone) > MOST_LEFT_OUT else []
    named = gone[:MOST_LEFT_OUT]
    return [
        *(f"The heartbeat {one.service}/{one.name}, {STANDS[one.state]}, would be judged no more" for one in named),
        *more,
    ]
