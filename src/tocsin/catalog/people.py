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

    def contacts(self, email_ready: bool) -> tuple[tuple[str, str], ...]:
        """``(channel, address)`` pairs in the order to use them; the console when there is nothing better.

        ``email_ready`` says whether the plan configures a mail server at all.
        """
        found = []
        if self.email and email_ready:
            found.append(("email", self.email))
        if self.webhook:
            found.append(("webhook", self.webhook.url))
        return tuple(found) or (("console", self.key),)


class Team(Struct, frozen=True, kw_only=True):
    """People who answer together."""

    key: str
    members: tuple[str, ...]
    lead: str = ""
