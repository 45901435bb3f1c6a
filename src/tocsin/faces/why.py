"""Why somebody was or was not paged: the recorded decisions in order, and how it stands now. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from tocsin.access.actors import called
from tocsin.alerts.alert import Alert
from tocsin.engine import holding
from tocsin.engine.state import Counters
from tocsin.incidents.incident import Entry, Incident
from tocsin.kernel.instant import Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.oncall.imported import Imported
from tocsin.pages.ledger import Page, unreached_since
from tocsin.plan.model import Covers, Plan
from tocsin.plan.whom import next_place
from tocsin.silences.silence import Silence
from tocsin.store.reads import MOST, Reads

LONGEST = 2_000
"""How many lines of a timeline, and how many rows of the ledger, one explanation holds."""
_NO_COVERS: Covers = {}


class Sentence(Struct, frozen=True, kw_only=True):
    """One decision. ``until``: when the quiet it names ends by itself."""

    at: Instant
    text: str
    reason: Reason
    until: Instant | None = None
    actor: str = ""


class Explanation(Struct, frozen=True, kw_only=True):
    """An answer to "why was, or wasn't, I paged?". ``now`` is how it stands; ``quiet``: nobody is paged now."""

    of: Literal["alert", "incident"]
    id: int
    title: str
    incident: int
    paged: bool
    quiet: bool
    sentences: tuple[Sentence, ...]
    now: Sentence


def explain_incident(
    reads: Reads, number: int, now: Instant, plan: Plan | None = None, covers: Covers = _NO_COVERS
) -> Explanation | None:
    """The whole story of an incident, or None when there is no such incident. ``plan``: the one in force."""
    incident = reads.incident(number)
    if incident is None:
        return None
    entries, pages = _timeline(reads, number), _pages(reads, number)
    standing = _standing(incident, pages, now, _paging(reads), plan, _calendars(reads, plan), covers)
    return Explanation(
        of="incident",
        id=number,
        title=incident.title,
        incident=number,
        paged=any(page.kind == "page" and page.left for page in pages),
        quiet=_quiet(incident) or standing.reason is Reason.PAGING_OFF,
        sentences=_in_order([*map(_entry, entries), *_ledger(pages, len(incident.steps))]),
        now=standing,
    )


def explain_alert(
    reads: Reads, number: int, now: Instant, plan: Plan | None = None, covers: Covers = _NO_COVERS
) -> Explanation | None:
    """The story of an alert: what was made of it, and of its incident since it was there. None when there is none."""
    alert = reads.alert(number)
    if alert is None:
        return None
    incident = reads.incident(alert.incident) if alert.incident else None
    silences = [one for one in (reads.silence(name) for name in alert.silences) if one is not None]
    told = [
        Sentence(
            at=alert.first_seen, text=f"{alert.title} was first heard from {alert.source}", reason=Reason.FIRST_SEEN
        ),
        Sentence(at=alert.first_seen, text=f"It went to the service {alert.service}", reason=alert.routed),
    ]
    told += [
        Sentence(
            at=max(silence.starts_at, alert.first_seen),
            text=f"The silence {silence.id} by {silence.author} keeps it quiet: {silence.comment}",
            reason=Reason.SILENCED,
            until=silence.ends_at,
            actor=silence.author,
        )
        for silence in silences
    ]
    if alert.reason is not Reason.FIRST_SEEN and not (silences and alert.reason is Reason.SILENCED):
        told.append(Sentence(at=_judged(alert), text=_alert_text(alert), reason=alert.reason))
    paged = False
    pages: list[Page] = []
    if incident is not None:
        entries, pages = _timeline(reads, incident.number), _pages(reads, incident.number)
        told += [
            _entry(entry)
            for entry in entries
            if entry.at >= alert.first_seen and entry.detail.get("alert", str(number)) == str(number)
        ]
        since = [page for page in pages if page.intended_at >= alert.first_seen]
        told += _ledger(since, len(incident.steps))
        sent = [page for page in pages if page.kind == "page" and page.left]
        paged = bool(sent)
        before = dict.fromkeys(page.person for page in sent if page.intended_at < alert.first_seen)
        if before:
            # It paged nobody itself: the incident it joined had.
            text = f"{', '.join(before)} had been paged for incident #{incident.number} before it came"
            told.append(Sentence(at=alert.first_seen, text=text, reason=Reason.JOINED))
    return Explanation(
        of="alert",
        id=number,
        title=alert.title,
        incident=alert.incident,
        paged=paged,
        quiet=not alert.firing or bool(alert.silences) or incident is None or _quiet(incident),
        sentences=_in_order(told),
        now=_alert_standing(
            alert, silences, incident, pages, now, _paging(reads), plan, _calendars(reads, plan), covers
        ),
    )


def _in_order(told: list[Sentence]) -> tuple[Sentence, ...]:
    # Sorting is stable: what was decided in one input stays in its order.
    return tuple(sorted(told, key=lambda sentence: sentence.at))


def _timeline(reads: Reads, number: int) -> list[Entry]:
    found: list[Entry] = []
    cursor: str | None = None
    while len(found) < LONGEST:
        one = reads.timeline(number, after=cursor, limit=MOST)
        found += [stored.entry for stored in one.items]
        cursor = one.next
        if cursor is None:
            break
    return found


def _pages(reads: Reads, number: int) -> list[Page]:
    found: list[Page] = []
    cursor: str | None = None
    while len(found) < LONGEST:
        one = reads.pages(incident=number, after=cursor, limit=MOST)
        found += one.items
        cursor = one.next
        if cursor is None:
            break
    return found[::-1]


def _entry(entry: Entry) -> Sentence:
    return Sentence(at=entry.at, text=entry.what, reason=entry.reason, actor=entry.actor)


def step_called(step: int, steps: int) -> str:
    """How step number ``step`` (from 0) of so many is called; after the last comes the last resort."""
    return f"step {step + 1}" if step < steps else "the last resort"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ledger(pages: list[Page], steps: int) -> list[Sentence]:
    told = []
    for page in pages:
        what = page.called
        step = f" ({step_called(page.step, steps)})" if page.kind == "page" else ""
        words = f": {page.because}" if page.because else ""
        article = "An" if what == "update" else "A"
        told.append(
            Sentence(
                at=page.intended_at,
                text=f"{article} {what} for {page.person} by {page.channel} was written down{step}{words}",
                reason=page.reason,
            )
        )
        if page.held is not None:
            text = f"The {what} for {page.person} by {page.channel} was not to leave at once"
            told.append(Sentence(at=page.intended_at, text=text, reason=page.held, until=page.not_before))
        if page.finished_at is not None and page.outcome is not None:
            error = f": {page.error}" if page.error else ""
            text = f"The {what} for {page.person} by {page.channel} {_end(page)}{error}"
            told.append(Sentence(at=page.finished_at, text=text, reason=page.outcome))
        elif page.state == "intended" and page.attempts:
            text = f"The {what} for {page.person} by {page.channel} has failed {page.attempts} times: {page.error}"
            told.append(Sentence(at=page.intended_at, text=text, reason=Reason.RETRYING, until=page.next_at))
        if page.unsure:
            text = f"The {what} for {page.person} by {page.channel} may have arrived twice"
            told.append(Sentence(at=page.finished_at or page.intended_at, text=text, reason=Reason.POSSIBLE_DUPLICATE))
        for at, how in ((page.delivered_at, "arrived"), (page.seen_at, "was seen")):
            if at is not None:
                text = f"The {what} for {page.person} by {page.channel} {how}"
                told.append(Sentence(at=at, text=text, reason=Reason.SENT))
        if page.answered_at is not None:
            told.append(
                Sentence(at=page.answered_at, text=f"{page.person} answered by {page.channel}", reason=Reason.ANSWERED)
            )
    return told


def _end(page: Page) -> str:
    """What became of a page that has come to its end."""
    if page.state == "overtaken" and page.left:
        return "was overtaken while it was leaving, and was delivered"
    if page.overtaken_by:
        return f"was not sent any more: page {page.overtaken_by} took its place"
    return {"sent": "left", "failed": "failed", "overtaken": "was not sent any more"}.get(page.state, page.state)


def _paging(reads: Reads) -> bool:
    """Whether Tocsin pages at all, as its last commit says."""
    counters = reads.meta("counters")
    return counters is None or msgspec.json.decode(counters, type=Counters).paging


def _quiet(incident: Incident) -> bool:
    return (
        not incident.open
        or incident.state == "acknowledged"
        or incident.paused is not None
        or incident.waits not in (None, Reason.REACHED_NOBODY)
    )


def _calendars(reads: Reads, plan: Plan | None) -> dict[str, Imported]:
    return {one.name: one for one in reads.calendars()} if plan is not None and plan.has_holidays else {}


def _standing(
    incident: Incident,
    pages: list[Page],
    now: Instant,
    paging: bool,
    plan: Plan | None,
    calendars: Mapping[str, Imported],
    covers: Covers,
) -> Sentence:
    """How an incident stands, whatever was said before."""
    names = plan.names if plan is not None else None
    if not incident.open:
        return _resolved(incident, now, names)
    if incident.state == "acknowledged":
        return Sentence(
            at=incident.acknowledged_at or incident.updated_at,
            text=f"{called(incident.acknowledged_by, names)} has it; nobody is paged while that holds",
            reason=Reason.ACKNOWLEDGED,
            until=incident.acknowledged_until,
            actor=incident.acknowledged_by,
        )
    if incident.paused is not None:
        return Sentence(
            at=incident.updated_at,
            text=f"Nobody is paged at the moment{_for_its_turn(incident)}{_so_long(incident, plan, now)}",
            reason=incident.paused,
            until=incident.paused_until,
        )
    if incident.clear_at is not None:
        return Sentence(
            at=incident.updated_at,
            text="Every alert has ended; it resolves if they stay quiet",
            reason=Reason.CLEARING,
            until=incident.clear_at,
        )
    if incident.next_at is not None:
        return _escalating(incident, pages, paging, next_place(plan, incident, now, calendars, covers))
    return Sentence(at=incident.updated_at, text="It is open", reason=incident.reason)


def _for_its_turn(incident: Incident) -> str:
    """For which runs its code waits."""
    waits = [one.why for one in incident.works.values() if one.waiting]
    return f": {'; '.join(waits)}" if waits and incident.paused is Reason.WAITS_FOR_RUN else ""


def _so_long(incident: Incident, plan: Plan | None, now: Instant) -> str:
    """How long its pages have waited for code, and how long they may."""
    if incident.paused not in holding.FOR_CODE or incident.held_since is None or plan is None:
        return ""
    most, so_far = holding.longest(plan, incident.service), incident.held + now - incident.held_since
    return f"; its pages have waited {say_duration(so_far)} for code, of at most {say_duration(most)} in all"


def _resolved(incident: Incident, now: Instant, names: Mapping[str, str] | None) -> Sentence:
    at, by = incident.resolved_at or incident.updated_at, incident.resolved_by
    if incident.snoozed_until is None or incident.snoozed_until <= now:
        return Sentence(at=at, text="It is resolved; nobody is paged", reason=incident.reason, actor=by)
    said = f"It was resolved by {called(by, names) or 'hand'} while alerts fired; nobody is paged until the snooze ends"
    return Sentence(at=at, text=said, reason=Reason.SNOOZED, until=incident.snoozed_until, actor=by)


def _escalating(incident: Incident, pages: list[Page], paging: bool, place: int) -> Sentence:
    """How one stands whose next step has its time. ``place``: which one that is."""
    at, step = incident.updated_at, step_called(place, len(incident.steps))
    unreached = unreached_since(pages)
    if not paging:
        text, reason = f"Nobody is paged; {step} would be next", Reason.PAGING_OFF
    elif incident.waits is Reason.REACHED_NOBODY:
        at = unreached or at
        text, reason = "Nobody was reached; paging begins again from the first step", Reason.REACHED_NOBODY
    elif incident.waits is not None:
        text, reason = f"Nobody is paged at the moment; {step} is next", incident.waits
    elif unreached is not None:
        at = unreached
        text = f"Nobody could be reached yet; {step} is paged next unless somebody answers"
        reason = Reason.RETRYING if any(page.refused for page in pages) else Reason.FAILED
    elif incident.pages:
        text, reason = f"{_upper(step)} is paged next unless somebody answers", Reason.WAITING_FOR_ANSWER
    else:
        text, reason = f"{_upper(step)} is paged next", Reason.STEP_DUE
    # That paging is off ends by no time.
    return Sentence(at=at, text=text, reason=reason, until=incident.next_at if paging else None)


def _alert_standing(
    alert: Alert,
    silences: list[Silence],
    incident: Incident | None,
    pages: list[Page],
    now: Instant,
    paging: bool,
    plan: Plan | None,
    calendars: Mapping[str, Imported],
    covers: Covers,
) -> Sentence:
    if not alert.firing:
        return Sentence(at=alert.resolved_at or alert.last_seen, text="It does not fire any more", reason=alert.reason)
    if alert.silences:
        ends = max((silence.ends_at for silence in silences), default=None)
        return Sentence(
            at=alert.last_seen, text="It is silenced; nobody is paged for it", reason=Reason.SILENCED, until=ends
        )
    if incident is not None:
        stands = _standing(incident, pages, now, paging, plan, calendars, covers)
        told = stands.text
        if incident.state != "acknowledged":  # that begins with a name
            told = told[0].lower() + told[1:]
        return Sentence(
            at=stands.at,
            text=f"It is in incident #{incident.number}: {told}",
            reason=stands.reason,
            until=stands.until,
            actor=stands.actor,
        )
    return Sentence(at=alert.last_seen, text=_alert_text(alert), reason=alert.reason)


def _judged(alert: Alert) -> Instant:
    return alert.resolved_at if alert.resolved_at is not None else alert.last_seen


def _alert_text(alert: Alert) -> str:
    return "It fires" if alert.firing else "It ended"
