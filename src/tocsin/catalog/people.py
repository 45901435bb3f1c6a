"""People and teams, as the plan names them."""

from __future__ import annotations

from msgspec import Struct


class Webhook(Struct, frozen=True):
    """Where a person's pages are posted, signed.

    ``secret`` is a reference such as ``secret:ana_hook``, never the secret.
    """

    url: str
    secret: str


class Person(Struct, frozen=True, kw_only=True):
    """Someone who can be paged. ``key`` is the name the plan uses.

    ``holidays``: the calendars that say when they are away.
    ``reach``: ``(channel, address)`` pairs in the order written; () means the mail first, then the webhook.
    """

    key: str
    name: str
    email: str = ""
    webhook: Webhook | None = None
    timezone: str = "UTC"
    reach: tuple[tuple[str, str], ...] = ()
    holidays: tuple[str, ...] = ()

    def declared(self) -> tuple[tuple[str, str], ...]:
        """``(channel, address)`` of the contact methods the plan names. The person's own are in the product."""
        ways = self.reach or (("email", self.email), ("webhook", self.webhook.url if self.webhook else ""))
        return tuple((way, address) for way, address in ways if address)


class Team(Struct, frozen=True, kw_only=True):
    """People who answer together."""

    key: str
    members: tuple[str, ...]
    lead: str = ""
