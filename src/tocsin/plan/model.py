"""A plan as the engine uses it, put together from the rooms' own types."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from tocsin.catalog.people import Person, Team
from tocsin.catalog.services import INBOX, Service
from tocsin.escalation.policy import Escalation, Step
from tocsin.incidents.routes import Route, Router
from tocsin.intake.specs import HeartbeatSpec, KeySpec, ProbeSpec


class Mail(Struct, frozen=True):
    """The mail server pages leave through.

    ``server`` is ``smtp://``, ``smtp+starttls://`` or ``smtps://`` host[:port]; ``password`` is a reference such as
    ``secret:smtp``, never the password.
    """

    server: str
    sender: str
    user: str = ""
    password: str = ""


NEEDS = {"email": "mail", "matrix": "matrix", "slack": "slack", "sms": "twilio", "call": "twilio"}
"""What a plan must set up before a channel reaches anybody."""
OPEN = frozenset({"webhook", "pagerduty", "apprise", "push"})
"""Channels that need nothing set up: what they need stands with the person."""


class Plan(Struct, frozen=True, kw_only=True, dict=True):
    """Everything a team checked in. Names are unique in their kind; every name that is used is defined.

    ``services`` always holds the inbox. ``last_resort``: who is paged when nobody else can be.
    ``version`` is the content hash (hex) of the files it was read from.
    """

    version: str
    team: str = ""
    timezone: str = "UTC"
    people: dict[str, Person]
    teams: dict[str, Team] = {}
    services: dict[str, Service]
    escalations: dict[str, Escalation] = {}
    routes: tuple[Route, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()
    heartbeats: tuple[HeartbeatSpec, ...] = ()
    keys: tuple[KeySpec, ...] = ()
    mail: Mail | None = None
    channels: dict[str, dict[str, str]] = {}
    """What the plan says of each channel it sets up: keys and texts as ``plan.schema`` describes them."""
    last_resort: tuple[str, ...]
    """Targets as in a step, at least one: ``"person:ana"`` or ``"team:shop"``."""
    outside_heartbeat: str = ""
    """A URL that is fetched whenever the self-audit passes, so that something outside notices when it does not."""

    @cached_property
    def router(self) -> Router:
        """The routes, indexed once."""
        return Router(self.routes)

    @cached_property
    def reaches(self) -> frozenset[str]:
        """The channels that are set up, by which people can be reached."""
        there = {*self.channels, *(("mail",) if self.mail else ())}
        return OPEN | {way for way, need in NEEDS.items() if need in there}

    def service(self, key: str) -> Service:
        """The service of that name, or the inbox when the plan no longer has it."""
        return self.services.get(key) or self.services[INBOX]

    def steps(self, service: str) -> tuple[Step, ...]:
        """The escalation steps of a service; the last resort alone when it names none."""
        found = self.escalations.get(self.service(service).escalation)
        return found.steps if found else (Step(self.last_resort),)

    def people_of(self, targets: tuple[str, ...]) -> tuple[Person, ...]:
        """The people behind targets such as ``person:ana`` and ``team:shop``, each once, in order.

        Unknown names are left out.
        """
        found: dict[str, Person] = {}
        for target in targets:
            kind, _, name = target.partition(":")
            members = (name,) if kind == "person" else self.teams[name].members if name in self.teams else ()
            for member in members:
                if member in self.people:
                    found.setdefault(member, self.people[member])
        return tuple(found.values())
