"""The page ledger of an incident for other programs and for later: flat rows, as CSV too."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from tocsin.kernel.instant import Instant, format_rfc3339
from tocsin.kernel.reason import EXPLAINED
from tocsin.pages.contacts import masked
from tocsin.pages.ledger import Page


class LedgerRow(Struct, frozen=True, kw_only=True):
    """One page, as it is exported. Instants are RFC 3339 in UTC; "" where there is none.

    ``why`` and ``outcome`` are named reasons, with the sentences they stand for. ``method`` is what the person calls
    the contact method, ``address`` so much of where it goes that its owner knows it. ``intended_at``: it was written
    down; ``attempted_at``: it was handed to its channel last; ``answered_by_channel_at``: the channel's own outcome.
    ``possible_duplicate``: it may have arrived twice. ``step``: from 1, 0 where no
    step sent it. ``followed``: what came of it, or which page was next, which need not be because of it.
    """

    page: int
    incident: int
    kind: str
    person: str
    channel: str
    method: str
    address: str
    why: str
    because: str
    step: int
    intended_at: str
    not_before: str
    attempted_at: str
    next_at: str
    attempts: int
    answered_by_channel_at: str
    delivered_at: str
    seen_at: str
    answered_by_person_at: str
    state: str
    outcome: str
    outcome_because: str
    provider_id: str
    error: str
    possible_duplicate: bool
    followed: str


COLUMNS = LedgerRow.__struct_fields__


def exported(pages: Sequence[Page], labels: Mapping[int, str], *, over: bool) -> list[LedgerRow]:
    """All pages of an incident as rows, the oldest first as they come. ``labels``: what contact methods are called.

    ``over``: no page can follow the last any more.
    """
    then = followed(pages)
    return [_row(page, labels, _followed(page, then[page.id].instead, then[page.id].next, over=over)) for page in pages]


class Followed(NamedTuple):
    """What came of a page: which was ``instead`` of it, or else which was the incident's ``next``, whatever for."""

    instead: Page | None
    next: Page | None


def followed(pages: Sequence[Page]) -> dict[int, Followed]:
    """What came of each page of an incident, the oldest first as they come."""
    stood_in: dict[int, Page] = {}
    for page in pages:
        if page.instead_of:
            stood_in[page.instead_of] = page
    following: Page | None = None
    found: dict[int, Followed] = {}
    for page in reversed(pages):
        found[page.id] = Followed(stood_in.get(page.id), following)
        following = page if page.kind == "page" else following
    return found


def _row(page: Page, labels: Mapping[int, str], followed: str) -> LedgerRow:
    return LedgerRow(
        page=page.id,
        incident=page.incident,
        kind=page.kind,
        person=page.person,
        channel=page.channel,
        method=labels.get(page.contact, ""),
        address=masked(page.channel, page.address),
        why=str(page.reason),
        because=page.why,
        step=page.numbered,
        intended_at=format_rfc3339(page.intended_at),
        not_before=_moment(page.not_before),
        attempted_at=_moment(page.last_tried_at or page.handed_at or page.tried_at),
        next_at=_moment(page.next_at if page.state == "intended" and page.handed_at is None else None),
        attempts=page.attempts,
        answered_by_channel_at=_moment(page.finished_at if page.state in ("sent", "failed") else None),
        delivered_at=_moment(page.delivered_at),
        seen_at=_moment(page.seen_at),
        answered_by_person_at=_moment(page.answered_at),
        state=page.state,
        outcome=str(page.outcome or ""),
        outcome_because=EXPLAINED[page.outcome] if page.outcome else "",
        provider_id=page.provider_id,
        error=page.error,
        possible_duplicate=page.unsure,
        followed=followed,
    )


def _moment(at: Instant | None) -> str:
    return "" if at is None else format_rfc3339(at)


def _followed(page: Page, instead: Page | None, following: Page | None, *, over: bool) -> str:
    """What came of a page: its answer, what took its place, else which page was the incident's next, whatever for."""
    if page.answered_at is not None:
        return f"{page.person} answered by it"
    if page.overtaken_by:
        return f"page {page.overtaken_by} took its place"
    if instead is not None:
        return f"page {instead.id} to {instead.person} by {instead.channel} was written in its stead"
    if page.kind != "page":
        return ""
    if following is None:
        return "no further page" if over else ""
    why = EXPLAINED[following.reason]
    return f"the next page was {following.id}, to {following.person} by {following.channel}: {why}"


def as_csv(rows: Iterable[LedgerRow]) -> bytes:
    """The rows with a head, as RFC 4180 has it. What a spreadsheet would take for a formula is made plain text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in COLUMNS])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
