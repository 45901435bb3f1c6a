"""From what was written to the Plan: names are looked up, defaults filled in, and what cannot be right is reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tocsin.catalog.people import Person, Team, Webhook
from tocsin.catalog.services import INBOX, Service
from tocsin.escalation.policy import Escalation, Step
from tocsin.incidents.routes import SEVERITIES, Route
from tocsin.intake.specs import HeartbeatSpec, KeySpec, ProbeSpec
from tocsin.kernel.instant import HOUR, MINUTE
from tocsin.notation.decoder import Record
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed, Position
from tocsin.pages.loops import LoopSpec
from tocsin.pages.pace import Pace
from tocsin.pages.profiles import profiles
from tocsin.pages.templates import Words
from tocsin.plan import schema as written
from tocsin.plan.answering import Answering
from tocsin.plan.calendars import read_calendars
from tocsin.plan.channels import Channels, read_channels, read_mail, read_messages, read_paces, warn_of_channels
from tocsin.plan.channels import Mail as WrittenMail
from tocsin.plan.circles import refuse_circles
from tocsin.plan.hours import read_condition, read_hours
from tocsin.plan.listening import read_heartbeats, read_keys, warn_of_heartbeats
from tocsin.plan.model import Mail, Plan
from tocsin.plan.names import Names, taken_for
from tocsin.plan.probes import read_probes
from tocsin.plan.reaching import warn_of_answers
from tocsin.plan.routes import read_routes, warn_of_routes
from tocsin.plan.schedules import Schedules
from tocsin.plan.severities import Severities, urgencies
from tocsin.plan.synthetic import loops_of, note_loops
from tocsin.plan.triggers import read_triggers
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.coverage import COUNTING, Wanted
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.targets import Target
from tocsin.playbooks.triggers import Trigger

_WAYS: Final = tuple(name for name, one in profiles().items() if one.address is not None)
"""The keys of a person that are contact methods."""
_TIERS: Final = "say which there are, the highest first: customer tiers: [gold, silver]"


class Source(NamedTuple):
    """One file as written, and the name it goes by."""

    name: str
    plan: written.PlanFile


def assemble(
    sources: Sequence[Source],
    version: str,
    complete: bool,
    findings: Findings,
    playbooks: Sequence[Manifest] = (),
    checklists: Sequence[Checklist] = (),
    *,
    coded: bool = True,
) -> Plan | None:
    """The plan that files make together; None when any of them has an error.

    ``complete``: every file could be read. When one could not, nobody knows its names, so none is called unknown.
    ``playbooks``: what the code beside the files declares; ``checklists``: the runbooks there; ``coded``: all of that
    code could be read.
    """
    return _Assembly(sources, version, complete, findings, playbooks, checklists, coded).plan()


class _Assembly:
    def __init__(
        self,
        sources: Sequence[Source],
        version: str,
        complete: bool,
        findings: Findings,
        playbooks: Sequence[Manifest],
        checklists: Sequence[Checklist],
        coded: bool,
    ) -> None:
        self._sources = sources
        self._files = [one.plan for one in sources]
        self._version = version
        self._complete = complete
        self._findings = findings
        self._people_names = Names("person", complete, findings)
        self._team_names = Names("team", complete, findings)
        self._service_names = Names("service", complete, findings)
        self._escalation_names = Names("escalation", complete, findings)
        self._schedule_names = Names("schedule", complete, findings)
        self._hour_names = Names("hours", complete, findings)
        self._calendar_names = Names("calendar", complete, findings)
        self._tier_names = Names("customer tier", complete, findings)
        names = self._people_names, self._schedule_names, self._calendar_names
        self._schedules = Schedules(self._files, *names, findings)
        mapped = (word.value for route in self._written_routes() for word, _ in route.severity or ())
        self._severities = Severities(mapped, complete, findings)
        self._answering = Answering(playbooks, checklists, complete and coded, findings)
        teams = [one.plan.team.value for one in sources if one.plan.team]
        zones = [one.plan.timezone for one in sources if one.plan.timezone]
        self._team = teams[0] if teams else ""
        self._zone = zones[0] if zones else "UTC"
        # A file that is silent follows the others when they agree.
        self._silent_team = self._team if len(set(teams)) == 1 else ""
        self._silent_zone = self._zone if len(set(zones)) == 1 else "UTC"

    def plan(self) -> Plan | None:
        """The plan, unless something in it is an error."""
        self._define_names()
        placed_routes = self._routes()
        plan = self._read(tuple(route for _, route in placed_routes))
        if not plan.people and self._people_names.complete:
            at = self._sources[0].plan.at
            self._findings.error(
                at, "the plan names nobody to page", "add people, such as: people: {ana: {email: ana@shop.example}}"
            )
        if self._findings.errors or not plan.last_resort:
            return None
        # Of a plan with errors only the errors are said: half of the warnings would be their consequences.
        self._warn_of_services()
        self._answering.warn(plan)
        for _, _, service in self._written_services():
            warn_of_heartbeats(service, self._findings)
        self._warn_of_people(plan)
        warn_of_channels(plan, self._mail(), self._people_names.places, self._findings)
        said = self._once("synthetic page")
        if said is not None and said.synthetic_page is not None:
            note_loops(said.synthetic_page, plan, self._findings)
        warn_of_routes(placed_routes, self._findings)
        self._schedules.warn(plan.schedules, plan.escalations)
        warn_of_answers(self._files, plan.escalations, plan.teams, plan.schedules, self._findings)
        return plan

    def _read(self, routes: tuple[Route, ...]) -> Plan:
        tiers = self._tiers()
        people = self._people()
        teams = self._teams()
        services = self._services()
        refuse_circles(services, self._needs(), self._findings)
        hours = read_hours(self._files, self._hour_names, self._calendar_names, self._zone_of)
        said = self._mail()
        mail, (channels, paces) = read_mail(said), self._channels(said)
        answers, targets = self._answering.read(self._written_services(), services)
        escalations = self._escalations()
        self._answering.check_handed(escalations, self._escalation_names.complete)
        return Plan(
            version=self._version,
            team=self._team,
            timezone=self._zone,
            people=people,
            teams=teams,
            services=services,
            escalations=escalations,
            schedules=self._schedules.read(self._zone_of, hours),
            hours=hours,
            customer_tiers=tuple(tiers),
            customer_tier_label=self._tier_label(),
            routes=routes,
            probes=tuple(self._probes()),
            heartbeats=tuple(self._heartbeats()),
            keys=tuple(self._keys()),
            calendars=read_calendars(self._files, self._calendar_names),
            mail=mail,
            channels=channels,
            paces=paces,
            loops=self._loops(mail, channels),
            messages=self._messages(),
            last_resort=self._last_resort(people, teams),
            findings_at=self._findings_at(),
            playbooks=self._answering.playbooks,
            checklists=self._answering.checklists,
            answers=answers,
            targets=targets,
            coverage=_wanted(self._once("coverage")),
            triggers=tuple(self._triggers(answers, targets)),
            outside_heartbeat=self._outside_heartbeat(),
        )

    # names

    def _define_names(self) -> None:
        said_teams: dict[str, Position] = {}
        for _, plan in self._sources:
            for key, names, section in (
                ("people", self._people_names, plan.people),
                ("teams", self._team_names, plan.teams),
                ("services", self._service_names, plan.services),
                ("escalations", self._escalation_names, plan.escalations),
                ("schedules", self._schedule_names, plan.schedules),
                ("calendars", self._calendar_names, plan.calendars),
                ("hours", self._hour_names, plan.hours),
            ):
                if key in plan.places and section is None:
                    names.complete = False  # it could not be read, and has been reported
                for name, _ in section or ():
                    names.define(name)
            if plan.team:
                said_teams.setdefault(plan.team.value, plan.team.at)
        for team, at in said_teams.items():
            self._team_names.places.setdefault(team, at)
        self._service_names.places.setdefault(INBOX, Position("", 1, 1))

    def _targets(self, targets: tuple[Placed[str], ...] | None, schedules: bool = True) -> tuple[str, ...]:
        found = (self._target(target, at, schedules) for target, at in targets or ())
        return tuple(dict.fromkeys(found))

    def _target(self, target: str, at: Position, schedules: bool) -> str:
        """A target by its kind: a name is a person's or a schedule's."""
        kind, _, name = target.partition(":")
        people, teams, rotas = self._people_names, self._team_names, self._schedule_names
        if kind == "team":
            teams.known(Placed(name, at))
        elif kind == "schedule" or (name in rotas.places and name not in people.places):
            rotas.known(Placed(name.partition(":")[0], at))
            if not schedules:
                message = f"the last resort is whom nobody stands before, and {shown(name)} may have nobody on shift"
                self._findings.error(at, message, "name a person or a team")
            return f"schedule:{name}"
        elif name not in people.places and people.complete and rotas.complete:
            kind_of = "person or schedule" if schedules and rotas.places else "person"
            hint = taken_for(name, (teams, self._service_names, self._escalation_names, self._calendar_names))
            near = self._findings.nearest(name, [*people.places, *(rotas.places if schedules else ())])
            self._findings.error(at, f"unknown {kind_of} {shown(name)}", hint or near)
        return f"person:{name}" if kind == "name" else target

    def _once(self, key: str) -> written.PlanFile | None:
        """The one file that says something only one file may say."""
        said = [one.plan for one in self._sources if key in one.plan.places]
        for again in said[1:]:
            first, at = said[0].where(key), again.where(key)
            message = f"{shown(key)} is said twice; the first is {first.seen_from(at)}"
            self._findings.error(at, message, "one file says it for all")
        return said[0] if said else None

    def _zone_of(self, plan: written.PlanFile) -> str:
        return plan.timezone or self._silent_zone

    # people

    def _people(self) -> dict[str, Person]:
        found: dict[str, Person] = {}
        for _, plan in self._sources:
            for (key, _), person in plan.people or ():
                if person is None or key in found:
                    continue
                hook = person.values.get("webhook")
                found[key] = Person(
                    key=key,
                    name=person.name or key,
                    email=str(person.values.get("email") or ""),
                    webhook=_webhook(hook) if isinstance(hook, Record) else None,
                    timezone=person.timezone or self._zone_of(plan),
                    reach=_reach(person),
                    holidays=tuple(self._calendar_names.known(one) for one in person.holidays or ()),
                )
        return found

    def _teams(self) -> dict[str, Team]:
        found: dict[str, Team] = {}
        said: dict[str, list[str]] = {}
        for _, plan in self._sources:
            for (key, _), team in plan.teams or ():
                if team is not None and key not in found:
                    names = dict.fromkeys(self._people_names.known(one) for one in team.members or ())
                    found[key] = Team(key=key, members=tuple(names), lead=self._people_names.known(team.lead))
            if plan.team:
                said.setdefault(plan.team.value, []).extend(name.value for name, _ in plan.people or ())
        defined = {name.value for _, plan in self._sources for name, _ in plan.teams or ()}
        for key, members in said.items():
            if key in defined:
                continue
            if not members and self._people_names.complete:
                hint = f"define it (teams: {{{key}: {{members: [ana]}}}}), or put its people into this file"
                self._findings.error(self._team_names.places[key], f"team {shown(key)} has nobody in it", hint)
            found[key] = Team(key=key, members=tuple(dict.fromkeys(members)))
        # The first team named is the first in line when nothing else says who is the last resort.
        first = found.pop(self._team, None)
        return {self._team: first, **found} if first else found

    def _last_resort(self, people: dict[str, Person], teams: dict[str, Team]) -> tuple[str, ...]:
        said = self._once("last resort")
        if said is not None:
            return self._targets(said.last_resort, schedules=False)
        first = next(iter(teams.values()), None)
        if first is not None:
            return (f"person:{first.lead}",) if first.lead else (f"team:{first.key}",)
        return tuple(f"person:{key}" for key in list(people)[:1])

    # services

    def _written_services(self) -> Iterator[tuple[written.PlanFile, Placed[str], written.Service]]:
        for _, plan in self._sources:
            for name, service in plan.services or ():
                if service is not None and self._service_names.places[name.value] == name.at:
                    yield plan, name, service

    def _services(self) -> dict[str, Service]:
        found: dict[str, Service] = {}
        for plan, (key, _), service in self._written_services():
            needs = tuple(dict.fromkeys(self._service_names.known(one) for one in service.needs or ()))
            ours = plan.team.value if plan.team else self._silent_team
            by_severity = self._by_severity(service.escalation)
            hold, reopen = service.acknowledge_for, service.reopen_within
            found[key] = Service(
                key=key,
                about=service.about or "",
                tier=service.tier or 3,
                team=self._team_names.known(service.team) or ours,
                needs=needs,
                escalation=next(iter(by_severity.values()), ""),
                escalations={} if isinstance(service.escalation, Placed) else by_severity,
                hours=self._hour_names.known(service.hours),
                customer_tier=self._tier_names.known(service.customer_tier, _TIERS),
                tier_escalations={
                    self._tier_names.known(tier, _TIERS): self._escalation_names.known(one)
                    for tier, one in service.escalation_for or ()
                },
                acknowledge_for=HOUR if hold is None else hold,
                reopen_within=30 * MINUTE if reopen is None else reopen,
                wait_for_code=service.wait_for_code,
                urgency=urgencies(service.urgency),
            )
        if INBOX not in found:
            found[INBOX] = Service(key=INBOX, about="Events that no route takes land here.", team=self._team)
        return found

    def _tiers(self) -> dict[str, Position]:
        """What customers there are, the highest first."""
        said = self._once("customer tiers")
        if said is not None and said.customer_tiers is None:
            self._tier_names.complete = False  # it could not be read, and has been reported
        for tier in (said.customer_tiers or ()) if said else ():
            self._tier_names.define(tier)
        return self._tier_names.places

    def _tier_label(self) -> str:
        said = self._once("customer tier label")
        return (said.customer_tier_label if said else None) or "customer_tier"

    def _needs(self) -> dict[tuple[str, str], Position]:
        """Where a service says that it needs another."""
        return {
            (name.value, need.value): need.at
            for _, name, service in self._written_services()
            for need in service.needs or ()
        }

    def _by_severity(self, said: Placed[str] | written.EscalationOf | None) -> dict[str, str]:
        """The escalation of each severity: what is not named follows the next graver one, else the first named."""
        if said is None or isinstance(said, Placed):
            return dict.fromkeys(SEVERITIES, self._escalation_names.known(said)) if said is not None else {}
        named = {level: self._escalation_names.known(getattr(said, level)) for level in SEVERITIES}
        found: dict[str, str] = {}
        last = next((name for name in named.values() if name), "")
        for level, name in named.items():
            last = found[level] = name or last
        return found

    # escalations

    def _escalations(self) -> dict[str, Escalation]:
        found: dict[str, Escalation] = {}
        for _, plan in self._sources:
            for (key, _), steps in plan.escalations or ():
                if key not in found:
                    read = (
                        Step(
                            self._targets(step.page or step.page_one_of),
                            step.wait or 5 * MINUTE,
                            step.repeat or 1,
                            step.page_one_of is not None,
                            read_condition(step.when, self._hour_names, self._tier_names),
                            step.until_acknowledged_by or 1,
                            round_of=f"{key}/{number}" if step.page_one_of is not None else "",
                        )
                        for number, step in enumerate(steps or (), 1)
                    )
                    found[key] = Escalation(key, tuple(read))
        return found

    # what Tocsin listens for

    def _routes(self) -> list[tuple[Position, Route]]:
        return list(read_routes(self._written_routes(), self._service_names))

    def _written_routes(self) -> Iterator[written.Route]:
        return (route for plan in self._files for route in plan.routes or ())

    def _probes(self) -> Iterator[ProbeSpec]:
        for _, (service, _), said in self._written_services():
            yield from read_probes(service, said.probes or (), self._severities, self._findings)

    def _heartbeats(self) -> Iterator[HeartbeatSpec]:
        for plan, (service, _), said in self._written_services():
            yield from read_heartbeats(service, said, self._zone_of(plan), self._severities)

    def _keys(self) -> Iterator[KeySpec]:
        return read_keys(((service, said) for _, (service, _), said in self._written_services()), self._findings)

    def _triggers(self, answers: Mapping[str, tuple[str, ...]], targets: Sequence[Target]) -> Iterator[Trigger]:
        for _, (service, _), one in self._written_services():
            uses = answers.get(service, ())
            known = self._answering.playbooks
            yield from read_triggers(service, one.triggers or (), uses, known, targets, self._findings)

    # the ways pages leave by

    def _mail(self) -> WrittenMail | None:
        said = self._once("mail")
        return said.mail if said else None

    def _channels(self, mail: WrittenMail | None) -> tuple[dict[str, dict[str, str]], dict[str, Pace]]:
        """What is said of each channel, and how many pages a second each is given."""
        said = self._once("channels")
        channels = said.channels if said else None
        found = read_channels(channels, self._findings)
        if self._complete and (said is None or channels is not None):
            self._check_ways(channels)
        return found, read_paces(mail, channels)

    def _check_ways(self, channels: Channels | None) -> None:
        """Refuse ways to reach people that the plan does not set up."""
        for _, plan in self._sources:
            for (key, _), person in plan.people or ():
                if person is None:
                    continue
                for way in _WAYS:
                    need = profiles()[way].needs
                    written_here = channels is not None and need in channels.places
                    if way in person.places and need not in ("", "mail") and not written_here:
                        message = f"{shown(key)} is to be paged by {way}, and the plan does not set that up"
                        self._findings.error(person.where(way), message, f"add channels: {{{need}: …}}")

    def _loops(self, mail: Mail | None, channels: dict[str, dict[str, str]]) -> tuple[LoopSpec, ...]:
        said = self._once("synthetic page")
        page = said.synthetic_page if said else None
        if page is None or not self._complete:
            return ()
        service = self._service_names.known(page.service) or INBOX
        return tuple(loops_of(page, service, {*channels, *(("mail",) if mail else ())}, self._findings))

    def _messages(self) -> dict[str, Words]:
        said = self._once("messages")
        return read_messages(said.messages if said else None)

    def _findings_at(self) -> int | None:
        """The minute of the day at which is told what is wrong with schedules; None is never."""
        said = self._once("findings notice")
        told_at = said.findings_notice if said is not None else None
        return 9 * 60 if told_at is None else told_at if told_at >= 0 else None

    def _outside_heartbeat(self) -> str:
        said = self._once("outside heartbeat")
        return (said.outside_heartbeat or "") if said else ""

    # what will probably surprise

    def _warn_of_services(self) -> None:
        for _, (key, at), service in self._written_services():
            if "escalation" not in service.places:
                self._findings.warning(at, f"service {shown(key)} has no escalation: it pages the last resort")

    def _warn_of_people(self, plan: Plan) -> None:
        unsent = []
        on_call = {one: schedule.key for schedule in reversed(plan.schedules.values()) for one in schedule.people()}
        for person in plan.people.values():
            at = self._people_names.places[person.key]
            if any(channel in plan.reaches for channel, _ in person.declared()):
                continue
            if person.email:
                unsent.append((at, person.key))
            else:
                hint = "methods of their own count (the page You, `tocsin contact`); without one the console pages them"
                whose = f", who is on call in {on_call[person.key]}" if person.key in on_call else ""
                self._findings.notice(at, f"the plan names no way to reach {shown(person.key)}{whose}", hint)
        if unsent:
            names = [key for _, key in unsent[:5]] + (["others"] if len(unsent) > 5 else [])
            whom = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
            hint = "add mail: {server: smtp://localhost:25, from: tocsin@shop.example}"
            message = f"the plan names no mail server, so only the console pages {whom}"
            self._findings.warning(unsent[0][0], message, hint)


def _wanted(said: written.PlanFile | None) -> Wanted | None:
    one = said.coverage if said is not None else None
    if one is None or one.at_least is None:
        return None
    return Wanted(one.at_least, one.counting or COUNTING, *one.at)


def _webhook(said: Record) -> Webhook:
    return Webhook(str(said.values.get("url") or ""), str(said.values.get("secret") or ""))


def _reach(person: written.Person) -> tuple[tuple[str, str], ...]:
    """Channel and address of each way to reach a person, in the order written; () when that says nothing more."""
    found = []
    for key in person.places:
        value = person.values.get(key)
        address = value.values.get("url") if isinstance(value, Record) else value
        if key in _WAYS and isinstance(address, str):
            found.append((key, address))
    return () if [key for key, _ in found] in ([], ["email"], ["webhook"], ["email", "webhook"]) else tuple(found)
