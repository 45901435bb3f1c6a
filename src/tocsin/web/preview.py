"""What a changed plan changes: the one that waits in the plan folder, or a file that somebody tries; drawn beside what
is in force. The button puts in force exactly what was looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile

from tocsin.faces import previewing
from tocsin.faces.faces import Faces
from tocsin.faces.previewing import Seen
from tocsin.faces.problem import Problem
from tocsin.faces.who import Who
from tocsin.kernel.instant import to_datetime
from tocsin.oncall.changed import Change
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.plan.model import Plan
from tocsin.plan.previewing import ChangedSchedule, Side
from tocsin.playbooks.manifest import FOLDER
from tocsin.web.boards import (
    WEEKS,
    Hours,
    Week,
    are_short,
    day_edges,
    marks,
    monday_of,
    one_day,
    turns,
    week_edges,
    weeks,
)
from tocsin.web.view import View, fields, view
from tocsin.web.words import Reader, listed, sentence, spelled

DAYS_DRAWN = 7
"""So many days are drawn of a schedule with short turns."""
MOST_DRAWN = 8
"""So many schedules are drawn; of others the changes are listed alone."""
MOST_LISTED = 60
FIRST_LISTED = 8
MOST_SECTIONS = 40
"""So many schedules have a section each; the rest is named."""
LARGEST_FILE = 900_000
"""Bytes of a file that is tried: a form holds little more."""
UNUSABLE = "The plan folder cannot be used."
_HEADLINES = {
    "plan_unreadable": UNUSABLE,
    "not_found": "No changed plan waits.",
    "too_many_turns": "A changed plan waits that is too much to compare.",
    "too_long": "A changed plan waits that is too much to compare.",
}
"""What is said of the plan folder, by the code of why nothing can be shown of it."""


class Drawn(NamedTuple):
    """A week of a schedule by both plans, or a day where turns are short. A side is None where that plan has no such
    schedule. ``marks``: where other people would be on call.
    """

    name: str
    before: Week | Hours | None
    after: Week | Hours | None
    marks: list[tuple[float, float]]

    @property
    def head(self) -> Week | Hours | None:
        """The one from which the days are read."""
        return self.before or self.after


class Shown(NamedTuple):
    """A schedule that changes: four weeks from the first change on, or a week of days where turns are ``short``; and
    the changes in order.
    """

    name: str
    kind: str
    short: bool
    lines: list[Drawn]
    changes: tuple[Change, ...]
    more: int

    @property
    def days(self) -> str:
        """From which day to which it is drawn; "" when it is not."""
        first, last = (self.lines[0].head, self.lines[-1].head) if self.lines else (None, None)
        if isinstance(first, Week) and isinstance(last, Week):
            return f"{first.first} to {last.last}"
        return f"{self.lines[0].name} to {self.lines[-1].name}" if self.lines else ""


@get("/oncall/preview", needs="responder")
async def preview_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """What waits in the plan folder and what it changes; and the form in which an admin tries a file."""
    seen = await view(request, faces, who)
    asked = request.query_params.get("file", "")
    if asked and who.may("admin"):
        return await _page(seen, None, name=asked, text=(await _written(seen)).get(asked, ""))
    looked = await previewing.look(faces)
    if looked.unusable:
        return await _page(seen, None, headline=UNUSABLE, fault=sentence(looked.unusable))
    if not looked.waits:
        return await _page(seen, None)
    try:
        found = await previewing.of_folder(faces)
    except Problem as problem:
        if problem.code not in _HEADLINES:
            raise
        return await _page(seen, None, headline=_HEADLINES[problem.code], fault=sentence(problem.detail))
    return await _page(seen, found, waiting=True)


@post("/oncall/preview", needs="admin", status_code=200)
async def try_file(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """What a file in the place of the plan's own of that name would change. Nothing is kept."""
    seen, typed = await view(request, faces, who), await fields(request)
    upload = (await request.form()).get("upload")
    text, name = typed.get("text", ""), typed.get("name", "")[:300]
    if isinstance(upload, UploadFile) and upload.filename:
        text = (await upload.read(LARGEST_FILE + 1)).decode(errors="replace")
        name = name or upload.filename.rpartition("/")[2][:300]
    name = name or "tocsin.yaml"
    if not text.strip():
        return await _page(seen, None, name=name, fault="Paste the file, or choose one.", code=400)
    if len(text) > LARGEST_FILE:
        return await _page(seen, None, name=name, fault=f"The file is longer than {LARGEST_FILE:,} bytes.", code=400)
    if name.startswith(FOLDER) or not name.endswith((".yaml", ".yml")):
        fault = "A file of the plan ends in .yaml; playbooks are looked at by tocsin plan check."
        return await _page(seen, None, name=name, text=text, fault=fault, code=400)
    content = text.replace("\r\n", "\n").encode("utf-8", "surrogatepass")
    try:
        found = await previewing.of_files(faces, {name: content}, onto=True)
    except Problem as problem:
        if problem.code not in _HEADLINES:
            raise
        return await _page(seen, None, name=name, text=text, fault=sentence(problem.detail), code=problem.status)
    return await _page(seen, found, name=name, text=text)


async def _written(seen: View) -> dict[str, str]:
    """The plan's own files in YAML, as they are in force."""
    version = seen.plan.version if seen.plan is not None else ""
    files = (await seen.faces.read(seen.faces.reads.plan_files, version) if version else None) or {}
    return {name: files[name].decode(errors="replace") for name in sorted(files) if not name.startswith(FOLDER)}


async def _page(
    seen: View,
    found: Seen | None,
    *,
    waiting: bool = False,
    name: str = "",
    text: str = "",
    headline: str = "",
    fault: str = "",
    code: int = 200,
) -> Response[bytes]:
    readers = (seen.reader, seen.reader)
    if found is not None:
        readers = (_reader(seen, found.before), _reader(seen, found.after))
    shown = await seen.faces.read(_shown, found, readers) if found is not None else []

    def called(person: str) -> str:
        known = next((one for one in readers if one.plan is not None and person in one.plan.people), seen.reader)
        return known.full_name(person)

    return seen.draw(
        "oncall-preview.html",
        code=code,
        found=found,
        shown=shown,
        waiting=waiting,
        headline=headline or _headline(seen.plan, found, waiting, name),
        names=list(await _written(seen)) if seen.who.may("admin") else [],
        name=name,
        text=text,
        fault=fault,
        called=called,
        people=lambda names: listed([called(one) for one in names]) or "nobody",
        first=FIRST_LISTED,
        most=MOST_LISTED,
    )


def _headline(plan: Plan | None, found: Seen | None, waiting: bool, name: str) -> str:
    if found is None and name:
        return "What would this file change?"
    if found is None:
        return "No changed plan waits." if plan is not None else "There is no plan yet."
    told, what = found.preview, "The plan that waits" if waiting else "This file"
    if not told.asked:
        return f"{what} cannot be read."
    if not told.schedules:
        return f"{what} changes nobody's turns in the next twelve weeks."
    changed = len(told.schedules)
    return f"{what} changes who is on call by {spelled(changed)} {'schedule' if changed == 1 else 'schedules'}."


def _reader(seen: View, side: Side) -> Reader:
    """The reader, who reads the names of one of the plans."""
    own = seen.reader
    return Reader(own.now, own.zone, side.plan, person=own.person, user=own.user, absolute=own.absolute)


def _shown(found: Seen, readers: tuple[Reader, Reader]) -> list[Shown]:
    return [
        Shown(
            one.name,
            one.kind,
            *(_drawn(found, one, readers) if place < MOST_DRAWN else (False, [])),
            one.changes[:MOST_LISTED],
            one.more + max(0, len(one.changes) - MOST_LISTED),
        )
        for place, one in enumerate(found.preview.schedules[:MOST_SECTIONS])
    ]


Laid = tuple[Reader, Roster, tuple[Cover, ...]]
"""A schedule by one of the plans, with what lies over it, and the reader of that plan's names."""


def _drawn(found: Seen, one: ChangedSchedule, readers: tuple[Reader, Reader]) -> tuple[bool, list[Drawn]]:
    """Whether turns are short in it, and its weeks, or then its days."""
    reader = readers[0]
    first = one.changes[0].start if one.changes else reader.now
    sides: list[Laid | None] = [
        (own, side.plan.rosters[one.name], side.plan.covers_for(one.name, side.covers))
        if side.plan is not None and one.name in side.plan.rosters
        else None
        for side, own in zip((found.before, found.after), readers, strict=True)
    ]
    known = [side for side in sides if side is not None]
    people = list(dict.fromkeys(name for _, roster, _ in known for name in roster.schedule.people()))
    spans = [(change.start, change.end) for change in one.changes]
    short = any(are_short(turns(roster, covers, own, first)) for own, roster, covers in known)
    drawn: Iterable[tuple[Week | Hours, ...]]
    if short:
        day = to_datetime(first).astimezone(reader.zone).date()
        days = [day + timedelta(days=place) for place in range(DAYS_DRAWN)]
        edges = [day_edges(one, reader) for one in days]
        drawn = zip(*([one_day(r, covers, own, at, people) for at in days] for own, r, covers in known), strict=True)
    else:
        monday = monday_of(reader.date(first), reader)
        edges = [week_edges(monday + timedelta(days=7 * place), reader) for place in range(WEEKS)]
        drawn = zip(*(weeks(roster, covers, own, monday, people) for own, roster, covers in known), strict=True)
    marked = (marks(spans, one) for one in edges)
    return short, [_line(sides, each, places) for each, places in zip(drawn, marked, strict=True)]


def _line(sides: Sequence[Laid | None], drawn: Sequence[Week | Hours], marked: list[tuple[float, float]]) -> Drawn:
    """``drawn``: of the sides that have the schedule."""
    left = list(drawn)
    before, after = (left.pop(0) if side is not None else None for side in sides)
    return Drawn(drawn[0].name, before, after, marked)


handlers = [preview_page, try_file]
