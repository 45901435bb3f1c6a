"""A plan as the engine uses it, put together from the rooms' own types."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from tocsin.catalog.people import Person, Team
from tocsin.catalog.services import INBOX, Service
from tocsin.escalation.policy import Escalation, Step
from tocsin.incidents.routes import Route, Router
from tocsin.intake.checked import alert_key, labels_of
from tocsin.intake.specs import CalendarSpec, HeartbeatSpec, KeySpec, ProbeSpec
from tocsin.kernel.identity import identity
from tocsin.kernel.instant import Instant
from tocsin.oncall.asking import layer_of
from tocsin.oncall.hours import Hours
from tocsin.oncall.imported import Colleague, Names
from tocsin.oncall.moved import in_vain
from tocsin.oncall.override import Cover, Override
from tocsin.oncall.roster import Roster, away
from tocsin.oncall.schedule import Schedule
from tocsin.oncall.zone import said
from tocsin.pages.loops import LoopSpec
from tocsin.pages.pace import Pace
from tocsin.pages.profiles import profile, profiles
from tocsin.pages.templates import Words
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.coverage import Covered, Rule, Rungs, Wanted, covered
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.targets import Target, Targets
from tocsin.playbooks.triggers import Trigger

Covers = Mapping[str, tuple[Cover, ...]]
"""Overrides that may count, by schedule."""
Paged = Mapping[str, Instant]
"""When schedules were paged last."""
_NOT_PAGED: Paged = {}


class PagedNext(NamedTuple):
    """Whom a step pages that is due: these people, or one of them, and those who stand in ``beside`` them."""

    step: Step
    people: tuple[Person, ...]
    beside: tuple[Person, ...]


class Reached(NamedTuple):
    """Somebody behind a target. ``by``: the schedule and layer that has them on call; "" when they are named."""

    person: Person
    by: str


class Mail(Struct, frozen=True):
    """The mail server pages leave through.

    ``server`` is ``smtp://``, ``smtp+starttls://`` or ``smtps://`` host[:port]; ``password`` is a reference such as
    ``secret:smtp``, never the password.
    """

    server: str
    sender: str
    user: str = ""
    password: str = ""


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
    schedules: dict[str, Schedule] = {}
    hours: dict[str, Hours] = {}
    customer_tiers: tuple[str, ...] = ()
    """The highest first. The tier of an alert's customer is what ``customer_tier_label`` says, else its service's."""
    customer_tier_label: str = "customer_tier"
    routes: tuple[Route, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()
    heartbeats: tuple[HeartbeatSpec, ...] = ()
    keys: tuple[KeySpec, ...] = ()
    calendars: dict[str, CalendarSpec] = {}
    mail: Mail | None = None
    channels: dict[str, dict[str, str]] = {}
    """What the plan says of each channel it sets up: keys and texts as ``plan.channels`` describes them."""
    paces: dict[str, Pace] = {}
    """How many pages a second each channel is given, where the plan says so."""
    last_resort: tuple[str, ...]
    """Targets as in a step, at least one: ``"person:ana"`` or ``"team:shop"``."""
    playbooks: dict[str, Manifest] = {}
    checklists: dict[str, Checklist] = {}
    """The playbooks that people carry out. No name is a playbook's and a checklist's."""
    answers: dict[str, tuple[str, ...]] = {}
    """Which playbooks and checklists answer for a service, in the order in which they are tried."""
    targets: tuple[Target, ...] = ()
    coverage: Wanted | None = None
    """How much of what may fire is to be answered by code, for ``plan check``."""
    triggers: tuple[Trigger, ...] = ()
    messages: dict[str, Words] = {}
    """The team's own words for pages, by channel."""
    loops: tuple[LoopSpec, ...] = ()
    """The channels Tocsin pages itself through, to see whether they work."""
    findings_at: int | None = 9 * 60
    """The minute of the day at which is told what is wrong with schedules, in ``timezone``; None is never."""
    outside_heartbeat: str = ""
    """A URL that is fetched whenever the self-audit passes, so that something outside notices when it does not."""

    @cached_property
    def router(self) -> Router:
        """The routes, indexed once."""
        telling = {matcher.label for spec in self.heartbeat_alerts for matcher in spec.alert}
        if self.customer_tiers:
            telling.add(self.customer_tier_label)
        return Router(self.routes, self.services, telling)

    @cached_property
    def bindings(self) -> Targets:
        """The targets, indexed once."""
        return Targets(self.targets)

    @cached_property
    def heartbeat_alerts(self) -> tuple[HeartbeatSpec, ...]:
        """The heartbeats for which an alert counts as the sign of life."""
        return tuple(spec for spec in self.heartbeats if spec.alert)

    @cached_property
    def names(self) -> dict[str, str]:
        """What its people are called, by their keys."""
        return {key: person.name for key, person in self.people.items()}

    @cached_property
    def known_as(self) -> dict[str, tuple[Person, ...]]:
        """Its people by key, name and e-mail address, in small letters: several may have one name."""
        found: dict[str, dict[str, Person]] = {}
        for person in self.people.values():
            for name in (person.key, person.name, person.email):
                found.setdefault(name.lower(), {})[person.key] = person
        return {name: tuple(people.values()) for name, people in found.items()}

    @cached_property
    def rosters(self) -> dict[str, Roster]:
        """The schedules, made to be asked; each remembers what it was asked lately."""
        return {key: Roster(schedule) for key, schedule in self.schedules.items()}

    def follows(self, before: Plan) -> None:
        """It is put in force after another: of schedules that stayed the same, what was drawn up is kept."""
        same = {key: one for key, one in before.rosters.items() if self.schedules.get(key) == one.schedule}
        self.rosters.update(same)

    @cached_property
    def reaches(self) -> frozenset[str]:
        """The channels that are set up, by which people can have contact methods."""
        there = {*self.channels, *(("mail",) if self.mail else ())}
        ways = (one for one in profiles().values() if one.real)
        return frozenset(one.name for one in ways if not one.needs or one.needs in there)

    def set_up_as(self, channel: str) -> str:
        """How a channel is set up, told from every other way: what it refused may be taken when this changes."""
        key = set_up.key if (set_up := profile(channel).set_up) is not None else ""
        said = self.mail if key == "mail" else sorted(self.channels.get(key, {}).items())
        return identity(key, repr(said)).hex()

    def service(self, key: str) -> Service:
        """The service of that name, or the inbox when the plan no longer has it."""
        return self.services.get(key) or self.services[INBOX]

    def with_needs(self, service: str) -> tuple[str, ...]:
        """A service and everything it needs, directly or through others, the nearest first, each once."""
        found = [service]
        for name in found:  # grows while it is walked
            if name in self.services:
                found += [need for need in self.services[name].needs if need not in found]
        return tuple(found)

    def rules(self) -> list[Rule]:
        """The alerts it surely knows of, each once: what its routes name by equality, and those of its own probes and
        heartbeats.
        """
        found: dict[tuple[str, str], Rule] = {}
        for route in self.routes:
            labels = {one.label: one.value for one in route.match if one.operator == "=" and one.value}
            if labels:
                rule = Rule(route.service, labels)
                found.setdefault((rule.service, rule.text), rule)
        for probe in self.probes:
            labels = labels_of(probe)
            routed = self.router.route(probe.service, alert_key(probe), labels, probe.severity)
            told = {"alertname": labels["alertname"], "probe": probe.name}
            # A route for its alertname alone names the same alert.
            found.pop((probe.service, Rule("", {"alertname": labels["alertname"]}).text), None)
            found[probe.service, Rule("", told).text] = Rule(probe.service, told, labels, routed.severity)
        for heart in self.heartbeats:
            labels = {"alertname": "HeartbeatMissing", "heartbeat": heart.name}
            found.setdefault((heart.service, Rule("", labels).text), Rule(heart.service, labels))
        return list(found.values())

    def covered(self, seen: Sequence[Rule] = (), rung: Rungs | None = None) -> list[Covered]:
        """What answers each alert it surely knows of, as it starts each playbook, or as each is trusted now.

        ``seen``: others that have come.
        """
        rules = self.rules()
        rules += [one for one in seen if not any(_about(known, one) for known in rules)]
        return covered(list(self.services), self.answers, self.playbooks, rules, self.bindings, self.checklists, rung)

    def tier_of(self, service: str, labels: Mapping[str, str]) -> str:
        """The tier of the customer an alert of a service is about; "" when nothing says it."""
        said = labels.get(self.customer_tier_label, "").strip().lower() if self.customer_tiers else ""
        return said if said in self.customer_tiers else self.service(service).customer_tier

    def highest_tier(self, tiers: Iterable[str]) -> str:
        """The highest of some customers' tiers, those the plan does not have left out."""
        order = self.customer_tiers
        return min((one for one in tiers if one in order), key=order.index, default="")

    def paged_as(self, service: str, tier: str) -> str:
        """The tier whose escalation pages for a customer's: its own, else the next lower one that the service names an
        escalation for; "" when it is paged as anybody is.
        """
        order, named = self.customer_tiers, self.service(service).tier_escalations
        if not named or tier not in order:
            return ""
        return next((one for one in order[order.index(tier) :] if one in named), "")

    def steps(self, service: str, severity: str = "", tier: str = "") -> tuple[Step, ...]:
        """The escalation steps of a service for a customer's tier (``paged_as``), else for a severity; the last resort
        alone when it names none.
        """
        asked = self.service(service)
        of_tier = asked.tier_escalations.get(self.paged_as(service, tier))
        name = of_tier or asked.escalations.get(severity) or asked.escalation
        found = self.escalations.get(name)
        return found.steps if found else (Step(self.last_resort),)

    def people_of(
        self, targets: tuple[str, ...], at: Instant, covers: Covers, since: Paged = _NOT_PAGED
    ) -> tuple[Person, ...]:
        """The people behind targets at an instant, each once, in order."""
        return tuple(one.person for one in self.reached_by(targets, at, covers, since))

    def stand_ins(self, service: str) -> tuple[str, ...]:
        """The targets that are paged beside the next step when one of a service's reaches nobody."""
        team = self.teams.get(self.service(service).team)
        return (*((f"person:{team.lead}",) if team and team.lead else ()), *self.last_resort)

    def paged_next(
        self,
        service: str,
        steps: tuple[Step, ...],
        step: int,
        at: Instant,
        covers: Covers,
        since: Paged = _NOT_PAGED,
        meant: Callable[[Step], bool] = lambda step: True,
        answered: Container[str] = (),
    ) -> PagedNext:
        """Who is paged when a step is due at an instant, the last resort after the last one; without who has
        ``answered``.

        One that is not ``meant`` then is passed over. Behind one that reaches nobody it is whoever the first after it
        reaches, and those who stand in.
        """
        places = [one for one in steps[step:] if meant(one)]
        due = next((one for one in places if self.people_of(one.targets, at, covers, since)), None)
        fell = bool(places) and due is not places[0]
        due = due or Step(self.last_resort)
        people = tuple(one for one in self.people_of(due.targets, at, covers, since) if one.key not in answered)
        others = self.people_of(self.stand_ins(service), at, covers) if fell else ()
        beside = (one for one in others if one.key not in answered and (due.one or one not in people))
        return PagedNext(due, people, tuple(beside))

    def reached_by(
        self, targets: tuple[str, ...], at: Instant, covers: Covers, since: Paged = _NOT_PAGED
    ) -> tuple[Reached, ...]:
        """The people behind targets such as ``person:ana``, ``team:shop`` and ``schedule:shop-primary`` at an instant.

        Each once, in order, with the schedule and layer that has them on call. ``covers``: the overrides in force, by
        schedule. Unknown names are left out. ``since``: when schedules were paged before in the same pass, if they
        were: ``next on`` one counts from whoever had it then, and pages whoever has come on call since as well.
        """
        found: dict[str, Reached] = {}
        for target in targets:
            for name, by in self._names_of(target, at, covers, since):
                if name in self.people:
                    found.setdefault(name, Reached(self.people[name], by))
        return tuple(found.values())

    def _names_of(self, target: str, at: Instant, covers: Covers, since: Paged) -> list[tuple[str, str]]:
        kind, _, name = target.partition(":")
        if kind == "person":
            return [(name, "")]
        if kind == "team":
            return [(member, "") for member in self.teams[name].members] if name in self.teams else []
        key, _, offset = name.partition(":")
        roster = self.rosters.get(key)
        if roster is None:
            return []
        known = self.covers_for(key, covers)
        on_call = [(shift.person, f"{key}, {layer_of(roster.schedule, shift)}") for shift in roster.who(at, known)]
        if not offset:
            return on_call
        then = since.get(key, at)
        shifts, gone = roster.beside(then, 1 if offset == "next" else -1, known), away(at, known)
        paged = {shift.person for shift in roster.who(then, known)}
        return [
            *(
                (
                    shift.person,
                    f"{offset} on {key}, {layer_of(roster.schedule, shift)}"
                    + (", away like all the others" if shift.person in gone else ""),
                )
                for shift in shifts
            ),
            *(one for one in on_call if one[0] not in paged),
        ]

    @cached_property
    def in_calendars(self) -> Names:
        """What entries of calendars may call its people."""
        return Names(Colleague(one.key, one.name, one.email) for one in self.people.values())

    @cached_property
    def calendars_of(self) -> dict[str, frozenset[str]]:
        """By schedule: the calendars that have a say in it, by its layers or by when its people are away."""
        people = self.people
        return {
            key: one.calendars | {name for who in one.people() if who in people for name in people[who].holidays}
            for key, one in self.schedules.items()
        }

    @cached_property
    def takes_turns(self) -> tuple[Step, ...]:
        """The steps of its escalations that page one of several."""
        return tuple(step for one in self.escalations.values() for step in one.steps if step.one)

    @cached_property
    def has_holidays(self) -> bool:
        """Whether a calendar that is kept elsewhere closes some of its hours."""
        return any(one.holidays for one in self.hours.values())

    def asks(self, service: str, schedule: str) -> bool:
        """Whether a service pages by a schedule, be it for one severity or one customer tier alone."""
        asked = self.service(service)
        names = {asked.escalation, *asked.escalations.values(), *asked.tier_escalations.values()}
        names |= {self.playbooks[one].hand_over_to for one in self.answers.get(service, ()) if one in self.playbooks}
        steps = (step for name in names if name in self.escalations for step in self.escalations[name].steps)
        return any(target.split(":")[:2] == ["schedule", schedule] for step in steps for target in step.targets)

    def zone_of(self, person: str) -> str:
        """The zone a person reads times in: their own, else the plan's, else UTC; also for nobody, who is ""."""
        own = self.people[person].timezone if person in self.people else "UTC"
        # UTC is also what the plan says of a person it knows no zone of.
        return own if own != "UTC" else self.timezone

    def covers_for(self, schedule: str, covers: Covers) -> tuple[Cover, ...]:
        """The overrides of a schedule whose person is in the plan: who has left takes nobody's place.

        The very same as the last time while nothing changed, by which rosters know them.
        """
        asked = covers.get(schedule, ())
        known = self._covers_of.get(schedule)
        if known is None or known[0] is not asked:
            if known is not None and known[0] == asked:  # after a start, or a plan and back: what they say is the same
                kept = known[1]
            else:
                left = all(not one.person or one.person in self.people for one in asked)
                kept = asked if left else tuple(one for one in asked if not one.person or one.person in self.people)
            known = self._covers_of[schedule] = asked, kept
        return known[1]

    @cached_property
    def paged_beside(self) -> dict[str, dict[str, None]]:
        """By schedule, those that an escalation pages before or after it."""
        found: dict[str, dict[str, None]] = {}
        for one in self.escalations.values():
            for first, second in one.successive():
                found.setdefault(first, {})[second] = found.setdefault(second, {})[first] = None
        return found

    @cached_property
    def stood(self) -> list[tuple[object, Covers]]:
        """By which calendars it was reckoned last what they do to its schedules, and that: one entry, or none."""
        return []

    @cached_property
    def _covers_of(self) -> dict[str, tuple[tuple[Cover, ...], tuple[Cover, ...]]]:
        """By schedule: the covers that were asked about last, and those of them that count."""
        return {}

    def on_schedule(self, schedule: str, covers: Covers, now: Instant) -> tuple[str, ...]:
        """Everybody who has turns on a schedule: in its layers, or by what calendars from elsewhere say from now on."""
        layers = self.schedules[schedule].people() if schedule in self.schedules else ()
        entries = (one for one in self.covers_for(schedule, covers) if one.id < 0 and one.person and not one.instead_of)
        named = (one.person for one in entries if one.end > now)
        return tuple(name for name in dict.fromkeys((*layers, *named)) if name in self.people)

    def takers(self, schedule: str, instead_of: str, covers: Covers, now: Instant) -> tuple[str, ...]:
        """Who can take somebody's place: the others on the schedule, else the teams whose services page by it."""
        others = [one for one in self.on_schedule(schedule, covers, now) if one != instead_of]
        if not others and schedule in self.schedules:
            teams = dict.fromkeys(one.team for one in self.services.values() if self.asks(one.key, schedule))
            members = dict.fromkeys(one for team in teams if team in self.teams for one in self.teams[team].members)
            others = [one for one in members if one != instead_of]
        return tuple(others)

    def why_idle(self, override: Override, covers: Covers, now: Instant) -> str:
        """Why an override takes nobody's place, though it may be agreed; "" when it does. ``covers``: as above."""
        why = override.idle(self.rosters, self.people)
        if why or override.state(now) != "agreed":
            return why
        key, zone = override.schedule, self.schedules[override.schedule].timezone
        return "; ".join(
            f"{one.instead_of} is not on call by {key} from {said(one.start, zone)} to {said(one.end, zone)} {zone}"
            for one in in_vain(self.rosters[key], override, self.covers_for(key, covers), now)
        )

    def shadows_of(
        self, targets: tuple[str, ...], at: Instant, covers: Covers, reached: tuple[Reached, ...]
    ) -> tuple[Person, ...]:
        """Who gets a copy of what is paged to targets at an instant: nobody of those who are ``reached`` themselves."""
        paged = {one.person.key for one in reached}
        shadows: dict[str, Person] = {}
        for target in targets:
            key = target.removeprefix("schedule:")
            roster = self.rosters.get(key)
            if roster is None or not any(layer.shadows for layer in roster.schedule.layers):
                continue
            for name in roster.shadows(at, self.covers_for(key, covers)):
                if name in self.people and name not in paged:
                    shadows.setdefault(name, self.people[name])
        return tuple(shadows.values())


def _about(known: Rule, seen: Rule) -> bool:
    """Whether an alert that has come is one that is known already."""
    return known.service == seen.service and known.told.items() <= (seen.labels or seen.told).items()
