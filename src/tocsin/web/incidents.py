"""The list of incidents: what is open by who must act, and what was resolved lately."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from litestar import Request, Response, get

from tocsin.catalog.services import INBOX
from tocsin.faces.faces import Faces
from tocsin.faces.known import no_such
from tocsin.faces.who import Who
from tocsin.incidents.incident import Incident
from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import DAY, Duration
from tocsin.notation.findings import shown
from tocsin.pages.ledger import Page
from tocsin.playbooks.run import Run
from tocsin.store.reads import OPEN_STATES, Lane, OpenLanes, Reads
from tocsin.web.view import View, view, with_query
from tocsin.web.words import Line, Reader, listed, spelled

SHOWN = 50
RESOLVED_SHOWN = 8
RESOLVED_LATELY: Duration = DAY
STATES = {
    "": OPEN_STATES,
    "triggered": ("triggered",),
    "acknowledged": ("acknowledged",),
    "resolved": ("resolved",),
    "all": (),
}
BY_GRAVITY = ("", *OPEN_STATES)
"""Lists that begin with what most needs somebody; the others begin with the newest."""
NEED, HELD, QUIET, PAST = "need", "held", "quiet", "past"
"""Groups of the list, in the order of ``Reads.gravest``."""


class Chosen(NamedTuple):
    """The filters, as the address says them."""

    state: str = ""
    service: str = ""
    severity: str = ""
    text: str = ""

    def link(self, **other: str) -> str:
        """The list with some of them changed."""
        return with_query("/", **{**self._asdict(), **other})


class Group(NamedTuple):
    """Incidents that ask the same of the reader."""

    key: str
    name: str
    note: str
    rows: list[tuple[Incident, Line]]


class Listing(NamedTuple):
    """Everything the list is drawn from, read in one go."""

    incidents: list[Incident]
    next: str | None
    lately: list[Incident]
    pages: dict[int, list[Page]]
    runs: dict[int, Run]
    """The last of those that are over, by number."""
    open: dict[Lane, int]
    """How many are open."""
    chosen: dict[Lane, int] | None
    """How many of these the filters leave, on all pages; None where only reading them all would tell."""
    silences: int
    parked: int

    def count(self, state: str) -> int:
        """How many are in a state."""
        return sum(many for lane, many in self.open.items() if lane.state == state)


@get(["/", "/incidents"])
async def incidents_page(request: Request[Any, Any, Any], faces: Faces, who: Who) -> Response[bytes]:
    """Open incidents by who must act, and what was resolved lately; or what the filters in the address choose."""
    asked = request.query_params
    state = asked.get("state", "")
    chosen = Chosen(
        state if state in STATES else "",
        asked.get("service", ""),
        asked.get("severity", ""),
        asked.get("text", "").strip()[:200],
    )
    seen = await view(request, faces, who)
    chosen, unknown = await _sense(faces, chosen)
    found = await faces.read(_listing, faces.reads, chosen, asked.get("after") or None, seen.now)
    reader = seen.reader
    filtered = any(chosen[1:])
    totals, partly = _totals(found, after=bool(asked.get("after")))
    first, more = _paged_first(seen)
    groups = _groups(reader, found, totals if chosen.state in BY_GRAVITY and found.chosen is not None else {})
    return seen.draw(
        "incidents.html",
        headline=_headline(reader, chosen, totals, partly),
        under=" ".join(filter(None, (unknown, _under(reader, found, chosen)))),
        needed=totals[NEED],
        tabs=[
            ("", "Open", sum(found.open.values())),
            ("triggered", "Triggered", found.count("triggered")),
            ("acknowledged", "Acknowledged", found.count("acknowledged")),
            ("resolved", "Resolved", None),
            ("all", "All", None),
        ],
        tab_links={key: chosen.link(state=key) for key in STATES},
        chosen=chosen,
        clear=Chosen(chosen.state).link(),
        services=sorted({*(seen.plan.services if seen.plan else ()), *((chosen.service,) if chosen.service else ())}),
        groups=groups,
        nothing=_nothing(chosen, filtered),
        fresh=not filtered and not chosen.state and not found.lately,
        by_gravity=chosen.state in BY_GRAVITY,
        older=with_query("/", **chosen._asdict(), after=found.next) if found.next else "",
        newer=chosen.link() if asked.get("after") else "",
        first=first,
        first_more=more,
        silences=found.silences,
        parked=found.parked,
    )


async def _sense(faces: Faces, chosen: Chosen) -> tuple[Chosen, str]:
    """The filters that mean something, and a sentence about those that do not: what nothing has hides everything, and
    would read as if all were well.
    """
    unknown = []
    if chosen.service and await no_such(faces, chosen.service):
        unknown.append(f"service {shown(chosen.service)}")
        chosen = chosen._replace(service="")
    if chosen.severity not in ("", *SEVERITIES):
        unknown.append(f"severity {shown(chosen.severity)}")
        chosen = chosen._replace(severity="")
    return chosen, f"There is no {' and no '.join(unknown)}, so that is not filtered by." if unknown else ""


def _listing(reads: Reads, chosen: Chosen, after: str | None, now: int) -> Listing:
    # What is open: a grave incident that waits for somebody stands before any number of newer lesser ones.
    counted = reads.open_by_lane(chosen.service)
    sliced = (reads.gravest if chosen.state in BY_GRAVITY else reads.incidents)(
        states=STATES[chosen.state],
        service=chosen.service,
        severity=chosen.severity,
        words=chosen.text,
        after=after,
        limit=SHOWN,
    )
    lately: list[Incident] = []
    if chosen.state == "" and after is None:
        recent = reads.incidents(
            states=("resolved",),
            service=chosen.service,
            severity=chosen.severity,
            words=chosen.text,
            limit=RESOLVED_SHOWN,
        )
        lately = [one for one in recent.items if (one.resolved_at or 0) > now - RESOLVED_LATELY]
    shown = [*sliced.items, *lately]
    paged = [one.number for one in shown if one.state != "acknowledged" and one.pages]
    pages = reads.latest_pages(paged, each=10) if paged else {}
    worked = [one.run for one in shown if not one.open and one.run]
    runs = reads.runs_by_number(worked) if worked else {}
    return Listing(
        sliced.items,
        sliced.next,
        lately,
        pages,
        runs,
        counted.all,
        _of(chosen, counted),
        sum(one.state(now) == "active" for one in reads.silences(now, limit=500).items),
        len(reads.parked(limit=100).items),
    )


def _of(chosen: Chosen, counted: OpenLanes) -> dict[Lane, int] | None:
    if chosen.text:
        return None
    return {lane: many for lane, many in counted.of.items() if chosen.severity in ("", lane.severity)}


def _group(state: str, quiet: bool) -> str:
    return QUIET if quiet else {"triggered": NEED, "acknowledged": HELD}.get(state, PAST)


def _totals(found: Listing, *, after: bool) -> tuple[Counter[str], bool]:
    """How many there are of each group on all pages, and whether there may be more: of what words are looked for in,
    nobody knows more than what was read. ``after``: the page is not the first.
    """
    if found.chosen is None:
        totals = Counter(_group(one.state, one.kept_quiet) for one in found.incidents)
        return totals, after or found.next is not None
    totals = Counter()
    for lane, many in found.chosen.items():
        totals[_group(lane.state, lane.quiet)] += many
    return totals, False


def _groups(reader: Reader, found: Listing, totals: Mapping[str, int]) -> list[Group]:
    """``totals``: how many there are of each group on all pages; empty where that is not known."""

    def rows(those: list[Incident]) -> list[tuple[Incident, Line]]:
        return [(one, reader.now_line(one, found.pages.get(one.number, ()), found.runs.get(one.run))) for one in those]

    gravest = sorted(found.incidents, key=lambda one: (one.severity, -one.number))
    made = []
    for key, name, note, those in (
        ("need", "Needs a person", "", [one for one in gravest if one.state == "triggered" and not one.kept_quiet]),
        ("held", "Somebody has it", "", [one for one in gravest if one.state == "acknowledged"]),
        ("quiet", "Kept quiet", ", nobody is paged", [one for one in gravest if one.kept_quiet]),
        ("past", "Resolved", "", [one for one in found.incidents if not one.open]),
        ("lately", "Resolved lately", " in the last 24 h", found.lately),
    ):
        if those:
            many = f"{len(those):,}"
            if totals.get(key, 0) > len(those):
                many += f" of {totals[key]:,}"
            elif found.next and not totals and key != "lately":
                many += "+"
            made.append(Group(key, name, many + note, rows(those)))
    return made


def _headline(reader: Reader, chosen: Chosen, totals: Counter[str], partly: bool) -> str:
    if chosen.state == "resolved":
        return "What was resolved, newest first."
    if not chosen.text:
        return reader.headline(totals[NEED], totals[HELD], totals[QUIET])
    many, needed = totals.total(), totals[NEED]
    least = f"at least {many:,}" if partly else spelled(many)
    if not many:
        return "Nothing was found here; there is more to look through." if partly else "No incident matches."
    told = f"{least[0].upper()}{least[1:]} {'incident matches' if many == 1 else 'incidents match'}"
    some = f"at least {needed:,}" if partly else spelled(needed)
    return told + (f"; {some} {'needs' if needed == 1 else 'need'} a person." if needed else ".")


def _under(reader: Reader, found: Listing, chosen: Chosen) -> str:
    said = []
    mine = [one for one in found.incidents if one.state == "acknowledged" and reader.is_you(one.acknowledged_by)]
    if mine:
        said.append(f"You have {listed([f'#{one.number}' for one in mine[:5]])}.")
    waiting = sorted((lane.severity, many) for lane, many in (found.chosen or {}).items() if _group(*lane[:2]) == NEED)
    if found.next and chosen.state in BY_GRAVITY and len(waiting) > 1:
        many_of = listed([f"{many:,} {severity.upper()}" for severity, many in waiting])
        said.append(f"These are {many_of}; the gravest stand first.")
    only = [
        part for part in (chosen.service, chosen.severity.upper(), f"“{chosen.text}”" if chosen.text else "") if part
    ]
    if only:
        said.append(f"Only {listed(only)}.")
    if not found.incidents and found.lately and not only:
        last = max(one.resolved_at or 0 for one in found.lately)
        said.append(f"The last incident was resolved at {reader.minute(last)}.")
    return " ".join(said)


def _nothing(chosen: Chosen, filtered: bool) -> str:
    if filtered:
        return "No incident matches these filters."
    return {
        "triggered": "Nothing is triggered.",
        "acknowledged": "Nobody holds an incident.",
        "resolved": "Nothing has been resolved yet.",
        "all": "There has been no incident yet.",
    }.get(chosen.state, "Nothing is open, and nothing was resolved in the last 24 hours.")


def _paged_first(seen: View, most: int = 6) -> tuple[list[tuple[str, list[str]]], int]:
    """Who is paged first, and for which services; whom only the inbox pages last."""
    plan = seen.plan
    if plan is None:
        return [], 0
    names = sorted(plan.services, key=lambda name: (name == INBOX, plan.services[name].tier, name))
    first: dict[str, list[str]] = {}
    for name in names:
        if plan.steps(name):
            first.setdefault(seen.reader.step(plan.steps(name)[0]), []).append(name)
    return list(first.items())[:most], max(0, len(first) - most)


handlers = [incidents_page]
