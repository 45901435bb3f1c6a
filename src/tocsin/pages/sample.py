"""A page about nothing: for previews, and for trying a channel out."""

from __future__ import annotations

from tocsin.catalog.people import Person
from tocsin.kernel.instant import MINUTE, Instant
from tocsin.pages.message import Message
from tocsin.pages.templates import Words

KINDS = ("page", "notice", "update")


def sample(
    kind: str, person: Person, address: str, now: Instant, base: str, words: Words | None = None
) -> Message:
    """What a page, a notice or an update looks like. Nothing in it is so, and its links lead nowhere."""
    return Message(
        page=34,
        idempotency_key=f"tocsin-sample-{now}",
        kind=kind,
        person=person.key,
        person_name=person.name,
        address=address,
        timezone=person.timezone,
        incident=12 if kind != "notice" else 0,
        title="Checkout answers 503",
        service="checkout",
        severity="sev1",
        since=now - 6 * MINUTE,
        now=now,
        state="acknowledged" if kind == "update" else "triggered",
        alerts=3,
        firing=3,
        because="this step of the escalation was due",
        next_step="Ben is paged in 5 min if nobody answers",
        tried=("Restarted checkout-2: it hangs again",),
        advice="roll checkout back to 2026.11.20-2",
        suspected="checkout: deploy 2026.11.21-1, 16 min before it began",
        measured=("answered after 90 ms → 4.2 s in 12 min",),
        who=person.name,
        lines=("GET http://checkout/health answered 503 after 0.2 s", "The process payments hangs"),
        url=f"{base}/incidents/12",
        acknowledge_url=f"{base}/p/34.sample" if kind == "page" else "",
        words=words if kind == "page" else None,
    )


def trial(person: Person, address: str, now: Instant, base: str) -> Message:
    """A message that says it is a test, and that nobody has to answer."""
    return Message(
        page=0,
        idempotency_key=f"tocsin-trial-{now}",
        kind="notice",
        person=person.key,
        person_name=person.name,
        address=address,
        timezone=person.timezone,
        incident=0,
        title="Test: Tocsin can reach you here",
        service="",
        severity="",
        since=now,
        now=now,
        state="",
        alerts=0,
        firing=0,
        because="somebody ran `tocsin channel test`",
        next_step="",
        url=base,
    )
