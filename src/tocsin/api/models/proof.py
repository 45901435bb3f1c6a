"""The exported ledger, synthetic pages, and why a person was or was not paged around an instant."""

from __future__ import annotations

from msgspec import Struct

from tocsin.api.models.incidents import PublishedPage, PublishedSentence, page_out, sentence_out
from tocsin.api.models.values import Moment, Span, moment
from tocsin.faces.why_person import OfIncident, PersonExplanation
from tocsin.kernel.instant import MILLISECOND, format_duration, format_rfc3339
from tocsin.pages.loops import Loop


class PublishedSynthetic(Struct, frozen=True, kw_only=True):
    """How a channel's synthetic page goes. ``state``: new, awaited, back or missing.

    ``page`` is the newest one's number in the ledger; ``due_at``: until when it must be back, null when it is not
    awaited. ``came_at`` and ``took``: the last one that came back. ``failure``: why it is missing.
    """

    channel: str
    state: str
    page: int | None
    sent_at: Moment | None
    due_at: Moment | None
    next_at: Moment | None
    came_at: Moment | None
    took: Span | None
    failure: str


class PublishedOnCallThen(Struct, frozen=True, kw_only=True):
    """A schedule that had the person on call then, and why."""

    schedule: str
    because: str


class PublishedOfIncident(Struct, frozen=True, kw_only=True):
    """An incident that was open then. ``stood``: the last decision up to then; ``person``: what it meant for them."""

    incident: int
    title: str
    service: str
    stood: PublishedSentence
    person: PublishedSentence


class PublishedPersonExplanation(Struct, frozen=True, kw_only=True):
    """Why a person was or was not paged. ``pages``: theirs within a quarter of an hour of the instant.

    ``more``: more incidents were open than are told of. ``plan``: the version that says who was on call, the one in
    force then; ``older``: another is by now. Where it is not known any more it is empty, as is ``on_call``, and
    ``doubt`` says why.
    """

    person: str
    at: Moment
    paged: bool
    pages: list[PublishedPage]
    on_call: list[PublishedOnCallThen]
    incidents: list[PublishedOfIncident]
    more: bool
    plan: str = ""
    older: bool = False
    doubt: str = ""


def synthetic_out(one: Loop) -> PublishedSynthetic:
    """A channel's synthetic page."""
    return PublishedSynthetic(
        channel=one.channel,
        state=one.state,
        page=one.page or None,
        sent_at=moment(one.sent_at),
        due_at=moment(one.due_at),
        next_at=moment(one.next_at),
        came_at=moment(one.came_at),
        took=None if one.took is None else format_duration(one.took // MILLISECOND * MILLISECOND),
        failure=one.failure,
    )


def person_out(one: PersonExplanation) -> PublishedPersonExplanation:
    """Why a person was or was not paged."""
    return PublishedPersonExplanation(
        person=one.person,
        at=format_rfc3339(one.at),
        paged=one.paged,
        pages=[page_out(page) for page in one.pages],
        on_call=[PublishedOnCallThen(schedule=each.schedule, because=each.because) for each in one.on_call],
        incidents=[_of_incident(each) for each in one.incidents],
        more=one.more,
        plan=one.plan,
        older=one.older,
        doubt=one.doubt,
    )


def _of_incident(one: OfIncident) -> PublishedOfIncident:
    return PublishedOfIncident(
        incident=one.incident,
        title=one.title,
        service=one.service,
        stood=sentence_out(one.stood),
        person=sentence_out(one.person),
    )
