"""Why somebody was, or was not, paged around an instant: on call or not, and what each incident then open did of it.

Everything is read from what was recorded; an incident's steps are those it had then, also where another plan was
applied to it since. Who is on call, and whom a step means, is asked of the plan that was in force then with the
overrides of that time: schedules are never kept with an incident. Where that plan is not known any more it is said, and
no other is asked. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from tocsin.access.actors import person_of
from tocsin.faces.why import Sentence
from tocsin.faces.why_plan import Plans, PlanThen, StepsThen
from tocsin.incidents.incident import Entry, Incident
from tocsin.kernel.instant import HOUR, MINUTE, Duration, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.oncall.asking import why as on_call_because
from tocsin.pages.ledger import CALLS, Page
from tocsin.plan.model import Covers, Plan
from tocsin.store.reads import MOST, Reads

AROUND: Duration = 15 * MINUTE
"""Pages this long before and after the instant are named."""
BEFORE: Duration = 12 * HOUR
"""An incident's pages are looked for as far back as this, for what is still under way at the instant."""
MOST_INCIDENTS = 20
ANSWERS = frozenset(
    {Reason.ACKNOWLEDGED, Reason.ANSWERED, Reason.PUT_OFF, Reason.BY_HAND, Reason.SNOOZED, Reason.REASSIGNED}
)
"""What a person does to an incident that answers for it."""
ANEW = frozenset(
    {Reason.REOPENED, Reason.SNOOZE_ENDED, Reason.ACKNOWLEDGEMENT_ENDED, Reason.REASSIGNED, Reason.PAGING_ON}
)
"""What has paging begin anew: no answer from before it is why anybody is not paged. A plan that was applied does so
unless somebody had the incident."""
SCANNED = 2_000
"""So many incidents are looked through, the newest first, for those that were open then."""


class OnCall(Struct, frozen=True):
    """A schedule that had the person on call then, and why."""

    schedule: str
    because: str


class OfIncident(Struct, frozen=True, kw_only=True):
    """An incident that was open then: how it stood, and what that meant for the person."""

    incident: int
    title: str
    service: str
    stood: Sentence
    """The last decision up to then."""
    person: Sentence
    """Why they were paged for it, or not, up to then."""


class PersonExplanation(Struct, frozen=True, kw_only=True):
    """An answer to "why was, or wasn't, this person paged then?". ``paged``: a page to them left around the instant."""

    person: str
    at: Instant
    paged: bool
    pages: tuple[Page, ...]
    on_call: tuple[OnCall, ...]
    incidents: tuple[OfIncident, ...]
    more: bool
    """More incidents were open than are told of."""
    plan: str = ""
    """The version of the plan that says who was on call: the one in force then; "" where that is not known any more."""
    older: bool = False
    """That is not the one in force now."""
    doubt: str = ""
    """Why it is not known who was on call; "" when it is."""


def explain_person(
    reads: Reads, plan: Plan, covers: Covers, person: str, at: Instant, then: PlanThen | None = None
) -> PersonExplanation:
    """The whole answer for one person and one instant.

    ``plan``: the one in force; ``then``: the one that was, and ``covers`` are over its schedules. None is the same one.
    """
    then = then or PlanThen(plan)
    pages = [page for page in _pages(reads, person, at) if page.kind != "update"]
    near = [page for page in pages if abs(page.intended_at - at) <= AROUND or _left_near(page, at)]
    incidents = list(_open_at(reads, at))
    plans = Plans(reads, plan, then)
    return PersonExplanation(
        person=person,
        at=at,
        paged=any(page.left for page in near if page.kind in ("page", "help")),
        pages=tuple(sorted(near, key=lambda page: (page.intended_at, page.id))),
        on_call=tuple(_on_call(then.plan, covers, person, at)) if then.plan is not None else (),
        incidents=tuple(_told(reads, plans, covers, person, one, pages, at) for one in incidents[:MOST_INCIDENTS]),
        more=len(incidents) > MOST_INCIDENTS,
        plan=then.plan.version if then.plan is not None else "",
        older=then.plan is not None and then.plan.version != plan.version,
        doubt=then.doubt,
    )


def _left_near(page: Page, at: Instant) -> bool:
    return page.finished_at is not None and abs(page.finished_at - at) <= AROUND


def _pages(reads: Reads, person: str, at: Instant) -> list[Page]:
    """The person's pages from ``BEFORE`` the instant until ``AROUND`` after it, the newest first."""
    found: list[Page] = []
    cursor: str | None = None
    while True:
        one = reads.pages(person=person, after=cursor, limit=MOST)
        found += [page for page in one.items if at - BEFORE <= page.intended_at <= at + AROUND]
        cursor = one.next
        if cursor is None or (one.items and one.items[-1].intended_at < at - BEFORE):
            return found


def _open_at(reads: Reads, at: Instant) -> Iterator[Incident]:
    """Incidents that were open then; of one that was reopened, its last time is known."""
    cursor: str | None = None
    scanned = 0
    while scanned < SCANNED:
        found = reads.incidents(after=cursor, limit=MOST)
        for one in found.items:
            if one.opened_at <= at and (one.resolved_at is None or one.resolved_at > at):
                yield one
        scanned += len(found.items)
        cursor = found.next
        if cursor is None:
            return


def _on_call(plan: Plan, covers: Covers, person: str, at: Instant) -> Iterator[OnCall]:
    for key, roster in plan.rosters.items():
        counting = plan.covers_for(key, covers)
        for shift in roster.who(at, counting):
            if shift.person == person:
                yield OnCall(key, on_call_because(roster.schedule, shift, counting))


def _told(
    reads: Reads, plans: Plans, covers: Covers, person: str, incident: Incident, pages: list[Page], at: Instant
) -> OfIncident:
    own = [one for one in pages if one.incident == incident.number]
    entries = _entries(reads, incident, at)
    stood, answer, since = _decided(entries, incident, person, at)
    steps = StepsThen(plans, incident, entries, at)
    return OfIncident(
        incident=incident.number,
        title=incident.title,
        service=incident.service,
        stood=stood,
        person=_answered(person, own, answer, since, at) or _of_person(steps, covers, person, own, at),
    )


def _entries(reads: Reads, incident: Incident, at: Instant) -> list[Entry]:
    """An incident's timeline, the newest first. Of a long one the last ``SCANNED`` lines up to an instant are read."""
    found: list[Entry] = []
    cursor: str | None = None
    scanned = 0
    while scanned < SCANNED:
        one = reads.timeline(incident.number, after=cursor, limit=MOST, newest_first=True)
        found += [stored.entry for stored in one.items]
        scanned += sum(stored.entry.at <= at for stored in one.items)
        cursor = one.next
        if cursor is None:
            break
    return found


def _decided(
    entries: list[Entry], incident: Incident, person: str, at: Instant
) -> tuple[Sentence, Entry | None, Instant]:
    """The last thing that was decided about an incident up to an instant, notes left out; the person's own answer to
    it, if they gave one that still counted; and since when answers count.
    """
    stood = Sentence(at=incident.opened_at, text="It was opened", reason=Reason.OPENED)
    past = [entry for entry in entries if entry.at <= at]
    last = next((entry for entry in past if entry.reason is not Reason.NOTE), None)
    if last is not None:
        stood = Sentence(at=last.at, text=last.what, reason=last.reason, actor=last.actor)
    for entry in past:
        if entry.reason in ANSWERS and person_of(entry.actor) == person:
            return stood, entry, 0
        if entry.reason in ANEW or entry.detail.get("paged") == "anew":
            return stood, None, entry.at
    return stood, None, 0


def _answered(person: str, pages: list[Page], answer: Entry | None, since: Instant, at: Instant) -> Sentence | None:
    """What they answered after ``since`` and up to an instant, unless they were paged anew; None when they did not."""
    asked = [page for page in pages if page.intended_at <= at and page.kind not in ("copy", "notice")]
    last = max(asked, key=lambda page: (page.intended_at, page.id), default=None)
    by_page = [page for page in asked if page.answered_at is not None and since < page.answered_at <= at]
    page = max(by_page, key=lambda page: page.answered_at or 0, default=None)
    moments = [page.answered_at or 0] if page is not None else []
    moments += [answer.at] if answer is not None else []
    if not moments or (last is not None and last.intended_at > max(moments)):
        return None
    if page is not None and page.answered_at is not None and page.answered_at == max(moments):
        after = say_duration(page.answered_at - (page.left_at or page.intended_at))
        text = f"A {page.called} to {person} by {page.channel} left, and they answered it {after} later"
        return Sentence(at=page.answered_at, text=text, reason=Reason.ANSWERED, actor=f"person:{person}")
    assert answer is not None, "no page was answered as late"
    paged = "They were paged for it, and answered" if last is not None else "They answered"
    return Sentence(at=answer.at, text=f"{paged}: {answer.what}", reason=answer.reason, actor=answer.actor)


def _of_person(steps: StepsThen, covers: Covers, person: str, pages: list[Page], at: Instant) -> Sentence:
    """What an incident meant for a person up to an instant."""
    pages = [page for page in pages if page.kind in CALLS]
    before = [page for page in pages if page.intended_at <= at]
    if before:
        return _of_page(steps, person, max(before, key=lambda page: (page.intended_at, page.id)), at)
    later = min((page for page in pages if page.intended_at > at), key=lambda page: page.intended_at, default=None)
    if later is not None:
        text = f"They were not paged yet: a {later.called} by {later.channel} followed"
        return Sentence(at=later.intended_at, text=text, reason=later.reason)
    meant = steps.meaning(steps.then, covers, person)
    if meant is None:
        return steps.not_meant(covers, person)
    if (taken := steps.turn_taken(meant)) is not None:
        text = f"Step {meant} pages one of several, and it was the turn of another: {_lower(taken.what)}"
        return Sentence(at=taken.at, text=text, reason=Reason.OTHERS_TURN)
    text = f"Step {meant} means them, and it had not come to that"
    return Sentence(at=at, text=text, reason=Reason.NOT_YET)


def _of_page(steps: StepsThen, person: str, page: Page, at: Instant) -> Sentence:
    """How the last page to them stood at an instant."""
    if page.held is not None and page.not_before is not None and page.not_before > at and not _over(page, at):
        text = f"A {page.called} to {person} by {page.channel} was written down, and was not to leave yet"
        return Sentence(at=page.intended_at, text=text, reason=page.held, until=page.not_before)
    if not _over(page, at):
        text = f"A {page.called} to {person} by {page.channel} was leaving"
        return Sentence(at=page.intended_at, text=text, reason=page.reason)
    applied = steps.applied_at(page.finished_at) if page.state == "overtaken" and not page.left else None
    if applied is not None:
        ended = f"was not sent any more: {_lower(applied.what)}, and paged anew"
        text = f"A {page.called} to {person} by {page.channel} {ended}"
        return Sentence(at=applied.at, text=text, reason=applied.reason, actor=applied.actor)
    how = {"sent": "left", "failed": "failed", "overtaken": "was not sent any more"}.get(page.state, "was leaving")
    text = f"A {page.called} to {person} by {page.channel} {how}"
    return Sentence(at=page.finished_at or page.intended_at, text=text, reason=page.outcome or page.reason)


def _over(page: Page, at: Instant) -> bool:
    return page.outcome is not None and page.finished_at is not None and page.finished_at <= at


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
