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
    """Someone who can be paged. ``key`` is the name the plan uses."""

    key: str
    name: str
    email: str = ""
    webhook: Webhook | None = None
    timezone: str = "UTC"

    def declared(self) -> tuple[tuple[str, str], ...]:
        """``(channel, address)`` of the contact methods the plan names. The person's own are in the product."""
        found = []
        if self.email:
            found.append(("email", self.email))
        if self.webhook:
            found.append(("webhook", self.webhook.url))
        return tuple(found)


class Team(Struct, frozen=True, kw_only=True):
    """People who answer together."""

    key: str
    members: tuple[str, ...]
    lead: str = ""
