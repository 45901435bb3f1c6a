"""People and teams, as the plan names them."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct


class Webhook(Struct, frozen=True):
    """Where a person's pages are posted, signed.

    ``secret`` is a reference such as ``secret:ana_hook``, never the secret.
    """

    url: str
    secret: str


class Person(Struct, frozen=True, kw_only=True):
    """Someone who can be paged. ``key`` is the name the plan uses.

    ``reach``: ``(channel, address)`` pairs in the order to use them; () means the mail first, then the webhook.
    """

    key: str
    name: str
    email: str = ""
    webhook: Webhook | None = None
    timezone: str = "UTC"
    reach: tuple[tuple[str, str], ...] = ()

    def declared(self) -> tuple[tuple[str, str], ...]:
        """``(channel, address)`` of every way to reach them that the plan names, in the order to use them."""
        ways = self.reach or (("email", self.email), ("webhook", self.webhook.url if self.webhook else ""))
        return tuple((way, address) for way, address in ways if address)

    def contacts(self, reaches: Collection[str]) -> tuple[tuple[str, str], ...]:
        """Those of them whose channel the plan sets up (``reaches``); the console when there is nothing better."""
        ways = tuple((way, address) for way, address in self.declared() if way in reaches)
        return ways or (("console", self.key),)


class Team(Struct, frozen=True, kw_only=True):
    """People who answer together."""

    key: str
    members: tuple[str, ...]
    lead: str = ""
