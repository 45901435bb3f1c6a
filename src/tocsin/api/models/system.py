"""Services, heartbeats, changes, parked requests, the plan, and how Tocsin is."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tocsin.alerts.heartbeats import Heartbeat
from tocsin.api.models.values import Moment, Span, moment
from tocsin.engine.records import HeardChange, Parked
from tocsin.kernel.instant import (
    format_duration,
    format_rfc3339,
)
from tocsin.runtime.line import Status


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
    """What is known of a heartbeat. ``due``: when its absence becomes an alert, or, of one that is ``new``, when
    somebody is told that it was never heard. ``declared_at``: since when the plan has it, as far as that is known.
    """

    service: str
    name: str
    state: str
    declared_at: Moment | None
    last: Moment | None
    started: Moment | None
    due: Moment | None
    took: Span | None
    exit_code: int | None
    beats: int


class PublishedPlan(Struct, frozen=True, kw_only=True):
    """The plan in force and the files it was read from. ``counting``: the answers its coverage counts."""

    version: str
    files: dict[str, str]
    counting: list[str]


class PublishedReload(Struct, frozen=True, kw_only=True):
    """What a reload came to. ``ok`` false: the files have errors and the plan in force stays."""

    ok: bool
    changed: bool
    version: str
    findings: list[str]


class PublishedStatus(Struct, frozen=True, kw_only=True):
    """How Tocsin is. ``audit``: the faults its self-audit found last. ``waiting``: requests that wait for the journal.

    ``real_channel_proven_at``: when a page on a real channel was first delivered and acknowledged; null: never yet.
    ``plan_refused``: what is wrong with the plan on disk, when an earlier one is in force.
    ``console_only``: nobody of the plan has a way to be paged that counts now but the console.
    ``plan_folder``: where the plan lies on the machine it runs on; "" when that is not known.
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
    plan_refused: list[str] = []
    console_only: bool = False
    plan_folder: str = ""


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
        declared_at=moment(one.declared_at),
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
        plan_refused=list(one.plan_refused),
        console_only=one.console_only,
        plan_folder=one.plan_folder,
    )
