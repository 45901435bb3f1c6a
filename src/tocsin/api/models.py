"""What the API publishes and takes. Instants are RFC 3339 texts in UTC, durations texts such as ``5m``."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from tocsin.access.credentials import Key, Role, Token, User
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine.records import HeardChange, Parked
from tocsin.faces.problem import invalid
from tocsin.faces.why import Explanation, Sentence
from tocsin.incidents.incident import Incident
from tocsin.kernel.identity import fingerprint
from tocsin.kernel.instant import (
    Duration,
    Instant,
    format_duration,
    format_rfc3339,
    parse_duration,
    parse_rfc3339,
)
from tocsin.kernel.matcher import Matcher, MatcherError, Operator, matcher, parse_matcher
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.pages.ledger import Page
from tocsin.runtime.line import Status
from tocsin.silences.silence import Silence
from tocsin.store.reads import Slice, StoredEntry

T = TypeVar("T")

Moment = Annotated[
    str,
    Meta(
        description="An instant, RFC 3339.",
        examples=["2026-11-22T03:24:00.000Z"],
        max_length=64,
        extra_json_schema={"format": "date-time"},
    ),
]
Span = Annotated[
    str,
    Meta(description="A span of time: a number and a unit, such as 90s, 5m, 1h30m.", examples=["5m"], max_length=64),
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
LARGEST = 2**63 - 1


class Listed(Struct, Generic[T], frozen=True):
    """One page of a list. ``next`` is the cursor of the following page; null at the end."""

    items: list[T]
    next: str | None


class PublishedIncident(Struct, frozen=True, kw_only=True):
    """An incident. ``paused`` names why nothing is paged now although it is open, ``paused_until`` when that ends."""

    number: int
    url: str
    title: str
    service: str
    severity: str
    state: str
    reason: str
    because: str
    group: str
    labels: dict[str, str]
    opened_at: Moment
    updated_at: Moment
    alert_count: int
    page_count: int
    acknowledged_by: str
    acknowledged_at: Moment | None
    acknowledged_until: Moment | None
    first_acknowledged_at: Moment | None
    resolved_by: str
    resolved_at: Moment | None
    snoozed_until: Moment | None
    clear_at: Moment | None
    reopened: int
    paused: str | None
    paused_until: Moment | None
    next_page_at: Moment | None
    plan: str


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

    ``kind`` is page, notice, or update: that somebody has the incident or that it is over. ``delivered_at`` and
    ``seen_at`` are null where the channel's provider does not tell.
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


class PublishedAlert(Struct, frozen=True, kw_only=True):
    """An alert. ``fingerprint`` is what Alertmanager computes for its labels. ``origin``: the service of its key."""

    id: int
    fingerprint: str
    title: str
    state: str
    severity: str
    service: str
    origin: str
    source: str
    key: str
    group: str
    labels: dict[str, str]
    annotations: dict[str, str]
    link: str
    reason: str
    because: str
    routed: str
    starts_at: Moment
    ends_at: Moment | None
    first_seen: Moment
    last_seen: Moment
    resolved_at: Moment | None
    stale: bool
    count: int
    incident: int | None
    silences: list[str]


class IncidentSheet(PublishedIncident, frozen=True, kw_only=True):
    """An incident with the first page of its timeline, of the pages sent for it and of its firing alerts."""

    timeline: Listed[PublishedEntry]
    pages: Listed[PublishedPage]
    alerts: Listed[PublishedAlert]


class PublishedSilence(Struct, frozen=True, kw_only=True):
    """A silence. ``origin``: "" silences alerts of every service, else only those that came with keys of that one."""

    id: str
    state: Literal["pending", "active", "expired"]
    matchers: list[str]
    author: str
    comment: str
    starts_at: Moment
    ends_at: Moment
    created_at: Moment
    updated_at: Moment
    origin: str


class PublishedService(Struct, frozen=True, kw_only=True):
    """A service of the plan (``planned``), or one that only incidents still name; and how many of those are open."""

    name: str
    about: str
    tier: int | None
    team: str
    needs: list[str]
    escalation: str
    acknowledge_for: Span | None
    reopen_within: Span | None
    planned: bool
    triggered: int
    acknowledged: int


class PublishedKey(Struct, frozen=True, kw_only=True):
    """A key, without its secret. ``hint`` is its last four characters; ``declared``: the plan defines it."""

    id: int
    name: str
    source: str
    service: str
    hint: str
    heartbeat: str
    declared: bool
    created_at: Moment
    created_by: str
    revoked_at: Moment | None


class NewKey(Struct, frozen=True, kw_only=True):
    """A key just made. ``key`` is never shown again; ``url`` is what one pastes into the sender."""

    id: int
    key: str
    url: str


class PublishedUser(Struct, frozen=True, kw_only=True):
    """Someone who may sign in. ``person``: who of the plan they are, or ""."""

    name: str
    role: Role
    person: str
    password: bool
    created_at: Moment
    disabled_at: Moment | None


class PublishedToken(Struct, frozen=True, kw_only=True):
    """A bearer token or a one-time sign-in link, without its secret."""

    id: int
    kind: Literal["token", "link"]
    user: str
    name: str
    created_at: Moment
    expires_at: Moment | None
    used_at: Moment | None
    revoked_at: Moment | None


class NewToken(Struct, frozen=True, kw_only=True):
    """A bearer token just made; ``token`` is never shown again."""

    id: int
    token: str
    expires_at: Moment | None


class NewLink(Struct, frozen=True, kw_only=True):
    """A one-time sign-in link just made; ``url`` is never shown again."""

    id: int
    url: str
    expires_at: Moment


class Me(Struct, frozen=True, kw_only=True):
    """Who you are here. ``actor`` is how timelines name you."""

    user: str
    role: Role
    person: str
    actor: str


class PublishedParked(Struct, frozen=True, kw_only=True):
    """A request that could not be read. ``fault`` says what was wrong with it; ``incident`` tells of it."""

    id: int
    at: Moment
    service: str
    source: str
    key_id: int
    fault: str
    method: str
    path: str
    query: str
    size: int
    incident: int | None
    discarded: bool


class ParkedSheet(PublishedParked, frozen=True, kw_only=True):
    """A parked request, whole. ``body`` is its text; ``body_base64`` holds it when it is not UTF-8."""

    headers: dict[str, str]
    body: str | None
    body_base64: str | None


class PublishedChange(Struct, frozen=True, kw_only=True):
    """A deploy or another change that Tocsin was told about."""

    id: int
    at: Moment
    service: str
    source: str
    summary: str
    link: str
    details: dict[str, str]


class PublishedHeartbeat(Struct, frozen=True, kw_only=True):
    """What is known of a heartbeat. ``due``: when its absence becomes an alert."""

    service: str
    name: str
    state: str
    last: Moment | None
    started: Moment | None
    due: Moment | None
    took: Span | None
    exit_code: int | None
    beats: int


class PublishedPlan(Struct, frozen=True, kw_only=True):
    """The plan in force and the files it was read from."""

    version: str
    files: dict[str, str]


class PublishedReload(Struct, frozen=True, kw_only=True):
    """What a reload came to. ``ok`` false: the files have errors and the plan in force stays."""

    ok: bool
    changed: bool
    version: str
    findings: list[str]


class PublishedStatus(Struct, frozen=True, kw_only=True):
    """How Tocsin is. ``audit``: the faults its self-audit found last. ``waiting``: requests that wait for the journal.

    ``real_channel_proven_at``: when a page on a real channel was first delivered and acknowledged; null: never yet.
    """

    version: str
    ready: bool
    paging: bool
    started_at: Moment
    now: Moment
    plan_version: str
    real_channel_proven_at: Moment | None
    alerts_live: int
    incidents_open: int
    waiting: int
    audit: list[str]
    audit_at: Moment | None
    requests: int
    refused: int
    public_url: str
    mail_ready: bool


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


# --- what is taken in


class AcknowledgeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """``hold``: how long it holds before paging goes on; without it as the service's plan says."""

    hold: Span | None = None


class ResolveIn(Struct, frozen=True, forbid_unknown_fields=True):
    """``snooze``: while alerts still fire, when they are judged again; without it in one hour."""

    snooze: Span | None = None


class NoteIn(Struct, frozen=True, forbid_unknown_fields=True):
    """A note for the timeline."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000)]


class MatcherIn(Struct, frozen=True, forbid_unknown_fields=True):
    """One condition on one label."""

    label: Annotated[str, Meta(min_length=1, max_length=1_000)]
    operator: Operator
    value: Annotated[str, Meta(max_length=4_096)]


class SilenceIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A silence. Matchers are texts as Alertmanager writes them (``instance=~"cart-.*"``) or objects.

    It begins at ``starts_at`` (without it: now) and ends at ``ends_at``, or ``duration`` after its beginning.
    """

    matchers: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=6_000)] | MatcherIn], Meta(min_length=1, max_length=100)
    ]
    comment: Annotated[str, Meta(min_length=1, max_length=10_000)]
    author: Annotated[str, Meta(max_length=200)] = ""
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    duration: Span | None = None
    origin: Annotated[str, Meta(max_length=200)] = ""


class KeyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the key is for. ``heartbeat``: which heartbeat of the plan it beats (``source`` heartbeat only)."""

    source: Literal["alertmanager", "pagerduty", "events", "heartbeat"]
    service: Name
    name: Annotated[str, Meta(max_length=200)] = ""
    heartbeat: Annotated[str, Meta(max_length=200)] = ""


class UserIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new user. Without a password they sign in by link."""

    name: Name
    role: Role
    person: Annotated[str, Meta(max_length=200)] = ""
    password: Annotated[str, Meta(max_length=1_000)] | None = None


class UserChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed; the rest stays. ``sign_out`` ends all sessions."""

    role: Role | None = None
    person: Annotated[str, Meta(max_length=200)] | None = None
    password: Annotated[str, Meta(max_length=1_000)] | None = None
    disabled: bool | None = None
    sign_out: bool = False


class LinkIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``expires_in``: how long the link may wait to be used."""

    expires_in: Span = "15m"


class TokenIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name that timelines will show, and how long it is good for (null: until revoked)."""

    name: Name
    expires_in: Span | None = None


# --- from the rooms' nouns


def moment(instant: Instant | None) -> str | None:
    """An instant as it is published, or None."""
    return None if instant is None else format_rfc3339(instant)


def word(reason: Reason | None) -> str | None:
    """A reason's word, or None."""
    return None if reason is None else str(reason)


def listed(found: Slice[Any], publish: Any) -> Listed[Any]:
    """A page of nouns as a page of what is published."""
    return Listed([publish(one) for one in found.items], found.next)


def _incident(one: Incident, base: str) -> dict[str, Any]:
    return {
        "number": one.number,
        "url": f"{base}/incidents/{one.number}",
        "title": one.title,
        "service": one.service,
        "severity": one.severity,
        "state": one.state,
        "reason": str(one.reason),
        "because": EXPLAINED[one.reason],
        "group": one.group,
        "labels": one.labels,
        "opened_at": format_rfc3339(one.opened_at),
        "updated_at": format_rfc3339(one.updated_at),
        "alert_count": one.alerts,
        "page_count": one.pages,
        "acknowledged_by": one.acknowledged_by,
        "acknowledged_at": moment(one.acknowledged_at),
        "acknowledged_until": moment(one.acknowledged_until),
        "first_acknowledged_at": moment(one.first_acknowledged_at),
        "resolved_by": one.resolved_by,
        "resolved_at": moment(one.resolved_at),
        "snoozed_until": moment(one.snoozed_until),
        "clear_at": moment(one.clear_at),
        "reopened": one.reopened,
        "paused": word(one.paused),
        "paused_until": moment(one.paused_until),
        "next_page_at": moment(one.next_at),
        "plan": one.plan,
    }


def incident_out(one: Incident, base: str) -> PublishedIncident:
    """An incident; ``base`` is the public address."""
    return PublishedIncident(**_incident(one, base))


def sheet_out(
    one: Incident, base: str, timeline: Slice[StoredEntry], pages: Slice[Page], alerts: Slice[Alert]
) -> IncidentSheet:
    """An incident with the first pages of what belongs to it."""
    return IncidentSheet(
        **_incident(one, base),
        timeline=listed(timeline, entry_out),
        pages=listed(pages, page_out),
        alerts=listed(alerts, alert_out),
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
    """One row of the ledger. Of a webhook's address only the host: the rest may be a secret. Of a device's nothing."""
    address = "a device" if one.channel == "push" else one.address
    if one.channel == "webhook":
        parts = urlsplit(address)
        address = f"{parts.scheme}://{parts.hostname or ''}/…"
    return PublishedPage(
        id=one.id,
        incident=one.incident or None,
        person=one.person,
        channel=one.channel,
        address=address,
        kind=one.kind,
        title=one.title,
        reason=str(one.reason),
        because=EXPLAINED[one.reason],
        step=one.step,
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
    )


def alert_out(one: Alert) -> PublishedAlert:
    """An alert."""
    return PublishedAlert(
        id=one.id,
        fingerprint=fingerprint(one.labels),
        title=one.title,
        state=one.state,
        severity=one.severity,
        service=one.service,
        origin=one.origin,
        source=one.source,
        key=one.key,
        group=one.group,
        labels=one.labels,
        annotations=one.annotations,
        link=one.link,
        reason=str(one.reason),
        because=EXPLAINED[one.reason],
        routed=str(one.routed),
        starts_at=format_rfc3339(one.starts_at),
        ends_at=moment(one.ends_at),
        first_seen=format_rfc3339(one.first_seen),
        last_seen=format_rfc3339(one.last_seen),
        resolved_at=moment(one.resolved_at),
        stale=one.stale,
        count=one.count,
        incident=one.incident or None,
        silences=list(one.silences),
    )


def silence_out(one: Silence, now: Instant) -> PublishedSilence:
    """A silence as it is now."""
    return PublishedSilence(
        id=one.id,
        state=one.state(now),
        matchers=[str(m) for m in one.matchers],
        author=one.author,
        comment=one.comment,
        starts_at=format_rfc3339(one.starts_at),
        ends_at=format_rfc3339(one.ends_at),
        created_at=format_rfc3339(one.created_at),
        updated_at=format_rfc3339(one.updated_at),
        origin=one.origin,
    )


def key_out(one: Key) -> PublishedKey:
    """A key without its secret."""
    return PublishedKey(
        id=one.id,
        name=one.name,
        source=one.source,
        service=one.service,
        hint=one.hint,
        heartbeat=one.heartbeat,
        declared=one.declared,
        created_at=format_rfc3339(one.created_at),
        created_by=one.created_by,
        revoked_at=moment(one.revoked_at),
    )


def user_out(one: User) -> PublishedUser:
    """A user."""
    return PublishedUser(
        name=one.name,
        role=one.role,
        person=one.person,
        password=bool(one.password),
        created_at=format_rfc3339(one.created_at),
        disabled_at=moment(one.disabled_at),
    )


def token_out(one: Token, user: str) -> PublishedToken:
    """A token or link without its secret."""
    return PublishedToken(
        id=one.id,
        kind=one.kind,
        user=user,
        name=one.name,
        created_at=format_rfc3339(one.created_at),
        expires_at=moment(one.expires_at),
        used_at=moment(one.used_at),
        revoked_at=moment(one.revoked_at),
    )


def parked_fields(one: Parked) -> dict[str, Any]:
    """What a list tells of a parked request."""
    return {
        "id": one.id,
        "at": format_rfc3339(one.at),
        "service": one.service,
        "source": one.request.source,
        "key_id": one.key_id,
        "fault": one.fault,
        "method": one.request.method,
        "path": one.request.path,
        "query": one.request.query,
        "size": len(one.request.body),
        "incident": one.incident or None,
        "discarded": one.discarded,
    }


def change_out(one: HeardChange) -> PublishedChange:
    """A change."""
    return PublishedChange(
        id=one.id,
        at=format_rfc3339(one.at),
        service=one.service,
        source=one.source,
        summary=one.summary,
        link=one.link,
        details=one.details,
    )


def heartbeat_out(one: Heartbeat) -> PublishedHeartbeat:
    """A heartbeat."""
    return PublishedHeartbeat(
        service=one.service,
        name=one.name,
        state=one.state,
        last=moment(one.last),
        started=moment(one.started),
        due=moment(one.due),
        took=None if one.took is None else format_duration(one.took),
        exit_code=one.exit_code,
        beats=one.beats,
    )


def status_out(one: Status, version: str, public_url: str) -> PublishedStatus:
    """How the core is."""
    return PublishedStatus(
        version=version,
        ready=one.ready,
        paging=one.paging,
        started_at=format_rfc3339(one.started_at),
        now=format_rfc3339(one.now),
        plan_version=one.plan_version,
        real_channel_proven_at=moment(one.real_channel_proven_at),
        alerts_live=one.alerts_live,
        incidents_open=one.incidents_open,
        waiting=one.waiting,
        audit=list(one.audit),
        audit_at=moment(one.audit_at),
        requests=one.requests,
        refused=one.refused,
        public_url=one.public_url or public_url,
        mail_ready=one.mail_ready,
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


# --- from what is taken in


def span(text: str | None, field: str) -> Duration | None:
    """A duration that was sent. Raises Problem 400 that names the field."""
    if text is None:
        return None
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None
    if not 0 < found < 100 * 365 * 86_400 * 1_000_000:
        raise invalid(field, "a duration is longer than nothing and shorter than a century")
    return found


def instant(text: str | None, field: str) -> Instant | None:
    """An instant that was sent. Raises Problem 400 that names the field."""
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise invalid(field, f"{text!r} is not a time such as 2026-11-22T03:24:00Z ({error})") from None


def matchers_in(given: list[str | MatcherIn]) -> tuple[Matcher, ...]:
    """Matchers that were sent. Raises Problem 400 that names which one."""
    found = []
    for place, one in enumerate(given):
        try:
            found.append(parse_matcher(one) if isinstance(one, str) else matcher(one.label, one.operator, one.value))
        except MatcherError as error:
            raise invalid(f"matchers.{place}", str(error)) from None
    return tuple(found)
