"""Incidents with their timelines and pages, what is said to them, and why somebody was paged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tocsin.alerts.alert import Alert
from tocsin.api.models.alerts import PublishedAlert, alert_out
from tocsin.api.models.system import PublishedChange, change_out
from tocsin.api.models.values import Listed, Moment, Span, listed, moment, word
from tocsin.engine.records import HeardChange
from tocsin.faces.why import Explanation, Sentence
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import (
    format_rfc3339,
)
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.contacts import masked
from tocsin.pages.ledger import Page
from tocsin.store.reads import Slice, StoredEntry


class PublishedWork(Struct, frozen=True):
    """What code did about one target of an incident. ``targets``: their names; empty for the service as a whole.

    ``outcome``: "" while the run lives; ``blocked`` when none was let begin; else what it came to. ``run``: its number,
    0 when there is none. ``why``: a sentence, "" when there is nothing to say. ``outcome`` is ``waits`` when its turn
    comes once the run ``awaits`` is over, ``until`` then at the latest; else ``awaits`` is 0 and ``until`` null.
    """

    playbook: str
    targets: list[str]
    run: int
    outcome: str
    why: str
    awaits: int
    until: str | None


class PublishedIncident(Struct, frozen=True, kw_only=True):
    """An incident. ``paused`` names why nothing is paged now although it is open, ``paused_until`` when that ends.

    ``since``: when the trouble that goes on, or was resolved last, was first heard; of one that was reopened, what
    fired then. ``customer_tier``: the highest of the customers it is about; "" when nothing says it.
    ``answered_by``: persons who acknowledged it while that takes more of them, ``answers_needed`` in all.
    ``waits`` names why the next page is not when its step is. ``responders`` were added by hand. ``plan``: the version
    whose steps it follows. ``code``: what playbooks did, by target; ``code_lifted`` names why its pages wait for them
    no longer, null while they may. ``tried``: what code tried and found, as a page that leaves now says it.
    With paging off that is ``paging_off``, and ``next_page_at`` is null: nothing follows by itself.
    """

    number: int
    url: str
    title: str
    service: str
    severity: str
    customer_tier: str
    state: str
    reason: str
    because: str
    group: str
    labels: dict[str, str]
    opened_at: Moment
    since: Moment
    updated_at: Moment
    alert_count: int
    page_count: int
    acknowledged_by: str
    acknowledged_at: Moment | None
    acknowledged_until: Moment | None
    first_acknowledged_at: Moment | None
    answered_by: list[str]
    answers_needed: int
    resolved_by: str
    resolved_at: Moment | None
    snoozed_until: Moment | None
    clear_at: Moment | None
    reopened: int
    reopened_at: Moment | None
    paused: str | None
    paused_until: Moment | None
    next_page_at: Moment | None
    urgency: Literal["high", "low"]
    waits: str | None
    responders: list[str]
    plan: str
    code: list[PublishedWork]
    code_lifted: str | None
    tried: list[str]


class PublishedEntry(Struct, frozen=True, kw_only=True):
    """One line of a timeline. ``actor``: ``person:ana``, ``user:ops``, ``token:deploys``, ``source:…`` or Tocsin."""

    id: int
    at: Moment
    what: str
    reason: str
    because: str
    actor: str
    detail: dict[str, str]


class PublishedPage(Struct, frozen=True, kw_only=True):
    """A row of the page ledger. ``unsure``: Tocsin stopped while it was leaving, so it may have arrived twice.

    ``kind`` is page, notice, copy, help, drill, update (somebody has the incident, or it is over), or synthetic.
    ``delivered_at`` and ``seen_at`` are null where the channel's provider does not tell.
    ``step``: of the escalation, from 1; 0 where no step sent it.
    ``contact``: the person's contact method. ``held`` names why it was not to leave at once, ``not_before`` the end of
    that. ``bundle``: the page it goes out with in one message. ``overtaken_by``: the newer page to the same place that
    was sent in its stead.
    """

    id: int
    incident: int | None
    person: str
    channel: str
    address: str
    kind: str
    title: str
    reason: str
    because: str
    step: int
    state: str
    outcome: str | None
    intended_at: Moment
    next_at: Moment | None
    attempts: int
    finished_at: Moment | None
    delivered_at: Moment | None
    seen_at: Moment | None
    answered_at: Moment | None
    provider_id: str
    error: str
    unsure: bool
    contact: int | None
    held: str | None
    not_before: Moment | None
    bundle: int | None
    overtaken_by: int | None


class IncidentSheet(PublishedIncident, frozen=True, kw_only=True):
    """An incident with the first page of its timeline, of the pages sent for it, of its firing alerts and of changes.

    ``changes``: those of its service and of all that this needs, from an hour before it opened until it was resolved.
    """

    timeline: Listed[PublishedEntry]
    pages: Listed[PublishedPage]
    alerts: Listed[PublishedAlert]
    changes: Listed[PublishedChange]


class PublishedSentence(Struct, frozen=True, kw_only=True):
    """One decision. ``because`` explains ``reason``; ``until``: when the quiet it names ends."""

    at: Moment
    text: str
    reason: str
    because: str
    until: Moment | None
    actor: str


class PublishedExplanation(Struct, frozen=True, kw_only=True):
    """Why somebody was or was not paged, in order. ``now`` is how it stands; ``quiet``: nobody is paged now."""

    of: Literal["alert", "incident"]
    id: int
    title: str
    incident: int | None
    paged: bool
    quiet: bool
    sentences: list[PublishedSentence]
    now: PublishedSentence


class AcknowledgeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """``hold``: how long it holds before paging goes on; without it as the service's plan says."""

    hold: Span | None = None


class ResolveIn(Struct, frozen=True, forbid_unknown_fields=True):
    """``snooze``: while alerts still fire, when they are judged again; without it in one hour, or when a later snooze
    ends that goes on already and is of all of them.
    """

    snooze: Span | None = None


class NoteIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A note for the timeline."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000)]


def _incident(one: Incident, base: str, paging: bool) -> dict[str, Any]:
    off = one.open and not paging
    return {
        "number": one.number,
        "url": f"{base}/incidents/{one.number}",
        "title": one.title,
        "service": one.service,
        "severity": one.severity,
        "customer_tier": one.customer_tier,
        "state": one.state,
        "reason": str(one.reason),
        "because": EXPLAINED[one.reason],
        "group": one.group,
        "labels": one.labels,
        "opened_at": format_rfc3339(one.opened_at),
        "since": format_rfc3339(one.since),
        "updated_at": format_rfc3339(one.updated_at),
        "alert_count": one.alerts,
        "page_count": one.pages,
        "acknowledged_by": one.acknowledged_by,
        "acknowledged_at": moment(one.acknowledged_at),
        "acknowledged_until": moment(one.acknowledged_until),
        "first_acknowledged_at": moment(one.first_acknowledged_at),
        "answered_by": list(one.answers),
        "answers_needed": one.needed,
        "resolved_by": one.resolved_by,
        "resolved_at": moment(one.resolved_at),
        "snoozed_until": moment(one.snoozed_until),
        "clear_at": moment(one.clear_at),
        "reopened": one.reopened,
        "reopened_at": moment(one.reopened_at),
        "paused": word(one.paused or (Reason.PAGING_OFF if off else None)),
        "paused_until": moment(one.paused_until),
        "next_page_at": moment(None if off else one.next_at),
        "urgency": one.urgency,
        "waits": word(one.waits),
        "responders": list(one.responders),
        "plan": one.plan,
        "code": [
            PublishedWork(
                playbook=each.playbook,
                targets=list(each.targets),
                run=each.run,
                outcome=each.outcome,
                why=each.why,
                awaits=each.awaits,
                until=format_rfc3339(each.until) if each.waiting else None,
            )
            for each in one.works.values()
        ],
        "code_lifted": word(one.lifted or (Reason.PEOPLE_CALLED if one.called and one.works else None)),
        "tried": list(one.tried),
    }


def incident_out(one: Incident, base: str, paging: bool) -> PublishedIncident:
    """An incident; ``base`` is the public address, ``paging`` whether this server pages anybody."""
    return PublishedIncident(**_incident(one, base, paging))


def sheet_out(
    one: Incident,
    base: str,
    paging: bool,
    timeline: Slice[StoredEntry],
    pages: Slice[Page],
    alerts: Slice[Alert],
    changes: Slice[HeardChange],
) -> IncidentSheet:
    """An incident with the first pages of what belongs to it."""
    return IncidentSheet(
        **_incident(one, base, paging),
        timeline=listed(timeline, entry_out),
        pages=listed(pages, page_out),
        alerts=listed(alerts, alert_out),
        changes=listed(changes, change_out),
    )


def entry_out(stored: StoredEntry) -> PublishedEntry:
    """One line of a timeline."""
    one = stored.entry
    return PublishedEntry(
        id=stored.id,
        at=format_rfc3339(one.at),
        what=one.what,
        reason=str(one.reason),
        because=EXPLAINED[one.reason],
        actor=one.actor,
        detail=one.detail,
    )


def page_out(one: Page) -> PublishedPage:
    """One row of the ledger. Of an address only so much that its owner knows it: it is nobody else's business."""
    return PublishedPage(
        id=one.id,
        incident=one.incident or None,
        person=one.person,
        channel=one.channel,
        address=masked(one.channel, one.address),
        kind=one.kind,
        title=one.title,
        reason=str(one.reason),
        because=one.why,
        step=one.numbered,
        state=one.state,
        outcome=word(one.outcome),
        intended_at=format_rfc3339(one.intended_at),
        next_at=moment(one.next_at),
        attempts=one.attempts,
        finished_at=moment(one.finished_at),
        delivered_at=moment(one.delivered_at),
        seen_at=moment(one.seen_at),
        answered_at=moment(one.answered_at),
        provider_id=one.provider_id,
        error=one.error,
        unsure=one.unsure,
        contact=one.contact or None,
        held=word(one.held),
        not_before=moment(one.not_before),
        bundle=one.bundle or None,
        overtaken_by=one.overtaken_by or None,
    )


def sentence_out(one: Sentence) -> PublishedSentence:
    """One sentence of an explanation."""
    return PublishedSentence(
        at=format_rfc3339(one.at),
        text=one.text,
        reason=str(one.reason),
        because=EXPLAINED[one.reason],
        until=moment(one.until),
        actor=one.actor,
    )


def explanation_out(one: Explanation) -> PublishedExplanation:
    """An explanation."""
    return PublishedExplanation(
        of=one.of,
        id=one.id,
        title=one.title,
        incident=one.incident or None,
        paged=one.paged,
        quiet=one.quiet,
        sentences=[sentence_out(each) for each in one.sentences],
        now=sentence_out(one.now),
    )
