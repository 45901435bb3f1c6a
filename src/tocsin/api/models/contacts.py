"""Contact methods, rules and the moves of responders as they are published and asked for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tocsin.api.models.values import Moment, Name, Span, moment
from tocsin.faces.problem import LARGEST, invalid
from tocsin.kernel.instant import Duration, format_duration, format_rfc3339, parse_duration
from tocsin.pages.contacts import Contact, readable
from tocsin.pages.rules import Reach, Way, clock_text, parse_clock


class PublishedContact(Struct, frozen=True, kw_only=True):
    """A contact method. ``declared``: the plan names it, so it is trusted as it stands.

    ``state``: unverified until its code came back; failing when its channel refused the address, as ``failure`` says.
    ``address`` of a device (channel push) names its push service only. ``left_at``: since when the plan, which declared
    it, leaves it out: it is not used, and has its place in the rules again when the plan has it within a week.
    """

    id: int
    person: str
    channel: str
    address: str
    label: str
    state: Literal["unverified", "verified", "failing"]
    declared: bool
    added_at: Moment
    added_by: str
    verified_at: Moment | None
    failed_at: Moment | None
    failure: str
    code_until: Moment | None
    left_at: Moment | None


class NewContact(PublishedContact, frozen=True, kw_only=True):
    """A contact method just added. ``signing_secret``: what pages to a webhook are signed with, shown this once."""

    signing_secret: str | None


class WayOut(Struct, frozen=True, kw_only=True):
    """A method is used ``after`` so long without an answer."""

    contact: int
    after: Span


class PublishedReach(Struct, frozen=True, kw_only=True):
    """A person's rules. ``high`` or ``low`` empty: the most direct method at once and the others two minutes apart.

    Quiet hours are of the person's own day and hold for low urgency only; the same time twice is none. Once
    ``bundle_after`` pages left by one method within ``bundle_within``, more go out together at its end.
    """

    person: str
    high: list[WayOut]
    low: list[WayOut]
    quiet_from: str
    quiet_until: str
    bundle_after: int
    bundle_within: Span


class Started(Struct, frozen=True, kw_only=True):
    """A message was written down to be sent: ``page`` is its number in the ledger."""

    page: int


class ContactIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new contact method: a code is sent to it. Without ``person`` it is yours."""

    channel: Name
    address: Annotated[str, Meta(min_length=1, max_length=2_000)]
    label: Annotated[str, Meta(max_length=60)] = ""
    person: Annotated[str, Meta(max_length=200)] = ""


class CodeIn(Struct, frozen=True, forbid_unknown_fields=True):
    """The six digits that arrived."""

    code: Annotated[str, Meta(min_length=1, max_length=32)]


class FailingIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a method does not work."""

    why: Annotated[str, Meta(max_length=200)] = ""


class WayIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Use this method, ``after`` so long without an answer."""

    contact: Annotated[int, Meta(ge=0, le=LARGEST)]
    after: Span = "0s"


class ReachIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's rules, whole: what is left out is as for everybody. Without ``person`` they are yours."""

    person: Annotated[str, Meta(max_length=200)] = ""
    high: Annotated[list[WayIn], Meta(max_length=20)] = []
    low: Annotated[list[WayIn], Meta(max_length=20)] = []
    quiet_from: Annotated[str, Meta(max_length=5)] = "22:00"
    quiet_until: Annotated[str, Meta(max_length=5)] = "08:00"
    bundle_after: Annotated[int, Meta(ge=1, le=20)] = 3
    bundle_within: Span = "30s"


class DrillIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to page. Without ``person`` it is you."""

    person: Annotated[str, Meta(max_length=200)] = ""


Note = Annotated[str, Meta(max_length=500, description="Why, for the timeline.")]


class ReassignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who has to answer from now on."""

    person: Name
    note: Note = ""


class SnoozeIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When paging begins again: ``until`` an instant, or ``duration`` from now."""

    until: Moment | None = None
    duration: Span | None = None
    note: Note = ""


class RespondersIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ask for help: persons and teams of the plan."""

    people: Annotated[list[Name], Meta(max_length=50)] = []
    teams: Annotated[list[Name], Meta(max_length=50)] = []
    note: Note = ""


def _contact(one: Contact) -> dict[str, Any]:
    return {
        "id": one.id,
        "person": one.person,
        "channel": one.channel,
        "address": readable(one.channel, one.address),
        "label": one.label,
        "state": one.state,
        "declared": one.declared,
        "added_at": format_rfc3339(one.added_at),
        "added_by": one.added_by,
        "verified_at": moment(one.verified_at),
        "failed_at": moment(one.failed_at),
        "failure": one.failure,
        "code_until": moment(one.code_until),
        "left_at": moment(one.left_at),
    }


def contact_out(one: Contact) -> PublishedContact:
    """A contact method, as its owner may see it."""
    return PublishedContact(**_contact(one))


def new_contact_out(one: Contact, signing_secret: str | None) -> NewContact:
    """A contact method just added."""
    return NewContact(**_contact(one), signing_secret=signing_secret)


def reach_out(one: Reach) -> PublishedReach:
    """A person's rules."""
    return PublishedReach(
        person=one.person,
        high=[WayOut(contact=way.contact, after=format_duration(way.after)) for way in one.high],
        low=[WayOut(contact=way.contact, after=format_duration(way.after)) for way in one.low],
        quiet_from=clock_text(one.quiet_from),
        quiet_until=clock_text(one.quiet_until),
        bundle_after=one.bundle_after,
        bundle_within=format_duration(one.bundle_within),
    )


def reach_in(data: ReachIn, person: str) -> Reach:
    """Rules that were sent. Raises Problem 400 that names the field."""
    return Reach(
        person=person,
        high=_ways("high", data.high),
        low=_ways("low", data.low),
        quiet_from=_clock("quiet_from", data.quiet_from),
        quiet_until=_clock("quiet_until", data.quiet_until),
        bundle_after=data.bundle_after,
        bundle_within=_span_or_none("bundle_within", data.bundle_within),
    )


def _ways(field: str, given: list[WayIn]) -> tuple[Way, ...]:
    spans = [_span_or_none(f"{field}.{place}.after", one.after) for place, one in enumerate(given)]
    return tuple(Way(one.contact, after) for one, after in zip(given, spans, strict=True))


def _span_or_none(field: str, text: str) -> Duration:
    """A span that may be nothing at all: ``0s``."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None


def _clock(field: str, text: str) -> int:
    try:
        return parse_clock(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None
