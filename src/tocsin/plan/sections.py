"""From what was written to the Plan: names are looked up, defaults filled in, and what cannot be right is reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tocsin.access.limits import KeyLimits
from tocsin.catalog.people import Person, Team, Webhook
from tocsin.catalog.services import INBOX, Service, Urgency
from tocsin.escalation.policy import Escalation, Step
from tocsin.incidents.routes import DEFAULT_SEVERITY, SEVERITIES, Route
from tocsin.intake.specs import HeartbeatSpec, KeySpec, ProbeSpec
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, format_duration
from tocsin.kernel.matcher import Matcher
from tocsin.oncall.schedule import Schedule
from tocsin.pages.loops import LoopSpec
from tocsin.pages.templates import Words
from tocsin.plan import schema as written
from tocsin.plan.answering import Answering
from tocsin.plan.calendars import read_calendars
from tocsin.plan.decoder import Record
from tocsin.plan.findings import Findings, shown
from tocsin.plan.hours import read_condition, read_hours
from tocsin.plan.model import NEEDS, Mail, Plan
from tocsin.plan.names import Names
from tocsin.plan.positions import Placed, Position
from tocsin.plan.reaching import warn_of_answers
from tocsin.plan.schedules import Schedules
from tocsin.plan.synthetic import loops_of
from tocsin.plan.triggers import read_triggers
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.coverage import COUNTING, Wanted
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.targets import Target
from tocsin.playbooks.triggers import SOURCE as TRIGGER
from tocsin.playbooks.triggers import Trigger

_WAYS: Final = ("email", "webhook", "matrix", "pagerduty", "slack", "apprise")
"""The keys of a person that are contact methods."""
_TIERS: Final = "say which there are, the highest first: customer tiers: [gold, silver]"
_CYCLE_SHOWN: Final = 8
_PAIRS: Final = 200_000
"""How many pairs of routes are compared in search of routes that can never match; a bound on time, not a rule."""


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
        self._schedules = Schedules([one.plan for one in sources], *names, findings)
        self._answering = Answering(playbooks, checklists, complete and coded, findings)
        teams = [one.plan.team.value for one in sources if one.plan.team]
        zones = [one.plan.timezone for one in sources if one.plan.timezone]
        self._team = teams[0] if teams else ""
        self._zone = zones[0] if zones else "UTC"
        # A file that is silent follows the others when they agree.
        self._silent_team = self._team if len(set(teams)) == 1 else ""
        self._silent_zone = self._zone if len(set(zones)) == 1 else "UTC"

    def plan(self) -> Plan | None:
        self._define_names()
        tiers = self._tiers()
        people = self._people()
        teams = self._teams()
        services = self._services()
        self._refuse_cycles(services)
        escalations = self._escalations()
        hours = read_hours([one.plan for one in self._sources], self._hour_names, self._calendar_names, self._zone_of)
        schedules = self._schedules.read(self._zone_of, hours)
        routes, placed_routes = self._routes()
        probes = tuple(self._probes())
        heartbeats = tuple(self._heartbeats())
        keys = tuple(self._keys())
        mail = self._mail()
        channels = self._channels()
        answers, targets = self._answering.read(self._written_services(), services)
        triggers = tuple(self._triggers(answers, targets))
        loops = self._loops(mail, channels)
        said = self._once("messages")
        last_resort = self._last_resort(people, teams)
        outside = self._once("outside heartbeat")
        findings = self._once("findings notice")
        told_at = findings.findings_notice if findings is not None else None
        if not people and self._people_names.complete:
            at = self._sources[0].plan.at
            self._findings.error(
                at, "the plan names nobody to page", "add people, such as: people: {ana: {email: ana@shop.example}}"
            )
        if self._findings.errors or not last_resort:
            return None
        # Of a plan with errors only the errors are said: half of the warnings would be their consequences.
        self._warn_of_services()
        plan = Plan(
            version=self._version,
            team=self._team,
            timezone=self._zone,
            people=people,
            teams=teams,
            services=services,
            escalations=escalations,
            schedules=schedules,
            hours=hours,
            customer_tiers=tuple(tiers),
            customer_tier_label=self._tier_label(),
            routes=routes,
            probes=probes,
            heartbeats=heartbeats,
            keys=keys,
            calendars=read_calendars([one.plan for one in self._sources], self._calendar_names),
            mail=mail,
            channels=channels,
            loops=loops,
            messages=_messages(said.messages if said else None),
            last_resort=last_resort,
            findings_at=9 * 60 if told_at is None else told_at if told_at >= 0 else None,
            playbooks=self._answering.playbooks,
            checklists=self._answering.checklists,
            answers=answers,
            targets=targets,
            coverage=_wanted(self._once("coverage")),
            triggers=triggers,
            outside_heartbeat=(outside.outside_heartbeat or "") if outside else "",
        )
        self._answering.warn(plan)
        self._warn_of_heartbeats()
        self._warn_of_people(plan, schedules)
        self._warn_of_mail(mail)
        self._warn_of_routes(placed_routes)
        self._schedules.warn(schedules, escalations, teams)
        warn_of_answers([one.plan for one in self._sources], escalations, teams, schedules, self._findings)
        return plan

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
            if name in teams.places:
                people.known(Placed(name, at), f"{name} is a team: write `team {name}`")
            elif rotas.places:
                hint = self._findings.nearest(name, [*people.places, *rotas.places])
                self._findings.error(at, f"unknown person or schedule {shown(name)}", hint)
            else:
                people.known(Placed(name, at))
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
                hook = person.webhook
                found[key] = Person(
                    key=key,
                    name=person.name or key,
                    email=person.email or "",
                    webhook=Webhook(hook.url or "", hook.secret or "") if hook else None,
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
                urgency=_urgency(service.urgency),
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

    def _refuse_cycles(self, services: dict[str, Service]) -> None:
        """Report services that are needed by what they need. Walks without recursion: a plan is input."""
        places = {
            (name.value, need.value): need.at
            for _, name, service in self._written_services()
            for need in service.needs or ()
        }
        done: set[str] = set()
        for start in services:
            path: dict[str, Iterator[str]] = {}
            current: str | None = None if start in done else start
            while current is not None:
                needs = path.get(current)
                if needs is None:
                    needs = path[current] = iter(services[current].needs)
                need = next(needs, None)
                if need is None:
                    done.add(current)
                    del path[current]
                    current = next(reversed(path), None)
                elif need in path:
                    circle = list(path)[list(path).index(need) :]
                    self._report_circle(circle, places[current, need])
                elif need in services and need not in done:
                    current = need

    def _report_circle(self, circle: list[str], at: Position) -> None:
        named = circle if len(circle) <= _CYCLE_SHOWN else [*circle[: _CYCLE_SHOWN - 1], "…"]
        message = f"services need each other in a circle: {' needs '.join([*named, circle[0]])}"
        self._findings.error(at, message, "leave out the one it can do without for a while")

    # escalations and routes

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
                        )
                        for step in steps or ()
                    )
                    found[key] = Escalation(key, tuple(read))
        return found

    def _routes(self) -> tuple[tuple[Route, ...], list[tuple[Position, Route]]]:
        placed = []
        for _, plan in self._sources:
            for route in plan.routes or ():
                group = route.group
                one = Route(
                    match=route.match or (),
                    service=self._service_names.known(route.service),
                    group_by=group.by if group else None,
                    group_window=(group.window or 0) if group else 0,
                    severity={name.value: level for name, level in route.severity or () if level is not None},
                    urgency=_urgency(route.urgency),
                )
                placed.append((route.at, one))
        return tuple(one for _, one in placed), placed

    # what Tocsin listens for

    def _probes(self) -> Iterator[ProbeSpec]:
        severities = self._severities()
        for _, name, service in self._written_services():
            places: dict[str, Position] = {}
            for probe in service.probes or ():
                kind, target, options = self._looks_at(probe)
                called = probe.name or _default_name(kind, target)
                at = probe.where("name")
                first = places.setdefault(called, at)
                if first != at:
                    message = f"{name.value} has two probes called {shown(called)}; the first is {first.seen_from(at)}"
                    self._findings.error(at, message, "give one of them a name")
                every = 30 * SECOND if probe.every is None else probe.every
                timeout = min(5 * SECOND, every) if probe.timeout is None else probe.timeout
                if timeout > every:
                    message = f"the probe waits {format_duration(timeout)} but looks every {format_duration(every)}"
                    self._findings.error(probe.where("timeout"), message, "timeout is never longer than every")
                if isinstance(probe, written.HttpProbe) and (probe.latency or 0) > timeout:
                    message = f"an answer later than {format_duration(timeout)} has failed already"
                    self._findings.error(probe.where("latency"), message, "latency is never longer than timeout")
                yield ProbeSpec(
                    service=name.value,
                    name=called,
                    kind=kind,
                    target=target,
                    every=every,
                    timeout=timeout,
                    failures=probe.failures or 2,
                    severity=self._severity(probe.severity, severities),
                    options=options,
                )

    def _looks_at(self, probe: written.Probe) -> tuple[str, str, dict[str, str]]:
        """Kind, target and options, as ``schema`` documents them."""
        match probe:
            case written.HttpProbe():
                url = probe.http or ""
                days = probe.certificate_days
                if days is not None and url and not url.lower().startswith("https:"):
                    self._findings.error(probe.where("certificate days"), "only https:// has a certificate")
                said = {
                    "status": probe.status,
                    "body": probe.body,
                    "latency": None if probe.latency is None else str(probe.latency),
                    "certificate_days": None if days is None else str(days),
                }
                return "http", url, {key: value for key, value in said.items() if value is not None}
            case written.TcpProbe():
                return "tcp", probe.tcp or "", {}
            case written.ProcessProbe():
                process = probe.process
                if isinstance(process, written.Pidfile):
                    return "process", process.pidfile or "", {"by": "pidfile"}
                return "process", process or "", {"by": "name"}
            case written.DiskProbe():
                if probe.free is not None:
                    return "disk", probe.disk or "", {"free_bytes": str(probe.free)}
                if probe.contents is not None:
                    return "disk", probe.disk or "", {"folder_bytes": str(probe.contents)}
                return "disk", probe.disk or "", {"used_percent": probe.used or "90"}
            case written.RedisProbe():
                return "redis", probe.redis or "", {"memory_percent": probe.memory or "90"}
            case written.PostgresProbe():
                return "postgres", probe.postgres or "", _judged(probe)
            case written.PeerProbe():
                return "peer", probe.peer or "", {}
        raise AssertionError(f"schema.PROBES has {type(probe).__name__}, which nothing here reads")

    def _heartbeats(self) -> Iterator[HeartbeatSpec]:
        severities = self._severities()
        for plan, service_name, service in self._written_services():
            for (name, _), beat in service.heartbeats or ():
                if beat is not None:
                    yield HeartbeatSpec(
                        service=service_name.value,
                        name=name,
                        every=beat.every or 0,
                        cron=beat.cron or "",
                        timezone=(beat.timezone or self._zone_of(plan)) if beat.cron else "UTC",
                        grace=5 * MINUTE if beat.grace is None else beat.grace,
                        severity=self._severity(beat.severity, severities),
                        alert=beat.alert or (),
                    )

    def _severities(self) -> frozenset[str]:
        """The words that mean something here: everyone's, and those the plan's routes map."""
        routes = (route for _, plan in self._sources for route in plan.routes or ())
        mapped = (word.value for route in routes for word, _ in route.severity or ())
        return frozenset(DEFAULT_SEVERITY).union(mapped)

    def _severity(self, said: Placed[str] | None, known: frozenset[str]) -> str:
        if said is None:
            return "critical"
        # Routes map words as they are written; the words everyone knows may be written in any case.
        if said.value not in known and said.value.lower() not in known and self._complete:
            hint = self._findings.nearest(said.value, sorted(known)) or "write critical, error, warning or info"
            self._findings.error(said.at, f"unknown severity {shown(said.value)}", hint)
        return said.value

    def _keys(self) -> Iterator[KeySpec]:
        secrets: dict[str, Placed[str]] = {}
        for _, service_name, service in self._written_services():
            for name, key in service.keys or ():
                if key is None or key.secret is None:
                    continue
                self._check_own_secret(secrets, service_name.value, key.secret)
                if key.source == "heartbeat":
                    self._check_heartbeat_key(name, service)
                service_key, secret = service_name.value, key.secret.value
                yield KeySpec(
                    source=key.source or "",
                    service=service_key,
                    name=name.value,
                    secret=secret,
                    limits=_limits(key.limits),
                )

            for name, trigger in service.triggers or ():
                if trigger is not None and trigger.secret is not None:
                    self._check_own_secret(secrets, service_name.value, trigger.secret)
                    secret = trigger.secret.value
                    yield KeySpec(source=TRIGGER, service=service_name.value, name=name.value, secret=secret)

    def _check_own_secret(self, secrets: dict[str, Placed[str]], service: str, secret: Placed[str]) -> None:
        first = secrets.setdefault(secret.value, Placed(service, secret.at))
        if first.at != secret.at:
            message = f"this is already a key of {first.value}, {first.at.seen_from(secret.at)}"
            self._findings.error(secret.at, message, "every key has a secret of its own")

    def _triggers(self, answers: Mapping[str, tuple[str, ...]], targets: Sequence[Target]) -> Iterator[Trigger]:
        for _, (service, _), one in self._written_services():
            uses = answers.get(service, ())
            known = self._answering.playbooks
            yield from read_triggers(service, one.triggers or (), uses, known, targets, self._findings)

    def _check_heartbeat_key(self, name: Placed[str], service: written.Service) -> None:
        """A ping says nothing but its key: the key's name must say which heartbeat it is."""
        beats = [beat.value for beat, _ in service.heartbeats or ()]
        unread = "heartbeats" in service.places and service.heartbeats is None
        if name.value not in beats and not unread:
            hint = self._findings.nearest(name.value, beats) or "define it under heartbeats"
            message = f"the key {shown(name.value)} is for a heartbeat of that name, and the service has none"
            self._findings.error(name.at, message, hint)

    def _mail(self) -> Mail | None:
        said = self._once("mail")
        mail = said.mail if said else None
        if mail is None:
            return None
        return Mail(mail.server or "", mail.sender or "", mail.user or "", mail.password or "")

    def _channels(self) -> dict[str, dict[str, str]]:
        """What is said of each channel, and a word on people who have an address for one that nothing is said of."""
        said = self._once("channels")
        channels = said.channels if said else None
        found: dict[str, dict[str, str]] = {}
        for name in channels.fields if channels else ():
            one = channels.values.get(name) if channels else None
            if isinstance(one, Record):
                found[name] = {key: str(value) for key, value in one.values.items()}
        slack = channels.values.get("slack") if channels else None
        if isinstance(slack, written.Slack) and not {"signing secret", "app token"} & slack.places.keys():
            message = "nobody could answer in Slack: neither a signing secret nor an app token is named"
            self._findings.error(slack.at, message, "add signing secret: secret:NAME, or app token: secret:NAME")
        unread = said is not None and channels is None
        for _, plan in self._sources:
            for (key, _), person in plan.people or ():
                if person is None or unread or not self._complete:
                    continue
                for way in _WAYS:
                    need = NEEDS.get(way, "")
                    written_here = channels is not None and need in channels.places
                    if way in person.places and need not in ("", "mail") and not written_here:
                        message = f"{shown(key)} is to be paged by {way}, and the plan does not set that up"
                        self._findings.error(person.where(way), message, f"add channels: {{{need}: …}}")
        return found

    def _loops(self, mail: Mail | None, channels: dict[str, dict[str, str]]) -> tuple[LoopSpec, ...]:
        said = self._once("synthetic page")
        page = said.synthetic_page if said else None
        if page is None or not self._complete:
            return ()
        service = self._service_names.known(page.service) or INBOX
        return tuple(loops_of(page, service, {*channels, *(("mail",) if mail else ())}, self._findings))

    # what will probably surprise

    def _warn_of_services(self) -> None:
        for _, (key, at), service in self._written_services():
            if "escalation" not in service.places:
                self._findings.warning(at, f"service {shown(key)} has no escalation: it pages the last resort")

    def _warn_of_heartbeats(self) -> None:
        for _, _, service in self._written_services():
            for (name, at), beat in service.heartbeats or ():
                if beat is not None and beat.alert and beat.every and beat.every < MINUTE:
                    often = format_duration(beat.every)
                    message = f"heartbeat {shown(name)} is an alert that must come again within {often}"
                    hint = "Prometheus says an alert again once a minute: write every: 1m or more"
                    self._findings.warning(at, message, hint)

    def _warn_of_people(self, plan: Plan, schedules: dict[str, Schedule]) -> None:
        unsent = []
        on_call = {one: schedule.key for schedule in reversed(schedules.values()) for one in schedule.people()}
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

    def _warn_of_mail(self, mail: Mail | None) -> None:
        if mail is None or not mail.password or not mail.server.startswith("smtp:"):
            return
        if urlsplit(mail.server).hostname not in ("localhost", "127.0.0.1", "::1"):
            said = next(one.plan.mail for one in self._sources if one.plan.mail)
            hint = "write smtp+starttls:// or smtps://"
            self._findings.warning(said.where("server"), "the mail password travels unencrypted with smtp://", hint)

    def _warn_of_routes(self, routes: list[tuple[Position, Route]]) -> None:
        """Routes that an earlier one leaves nothing to, where that is certain: patterns are not compared."""
        by_first: dict[tuple[str, str], list[tuple[Position, Route]]] = {}
        open_to_all: list[tuple[Position, Route]] = []
        pairs = 0
        for at, route in routes:
            equal = {one.label: one.value for one in route.match if one.operator == "="}
            candidates = open_to_all + [found for pair in equal.items() for found in by_first.get(pair, ())]
            pairs += len(candidates)
            if pairs > _PAIRS:
                return
            taker = next((found for found in candidates if _takes_all(found[1], route, equal)), None)
            if taker is not None:
                self._warn_of_route(at, route, *taker)
                continue  # whatever this route would take from later ones, the earlier one takes as well
            first = next(((one.label, one.value) for one in route.match if one.operator == "=" and one.value), None)
            (open_to_all if first is None else by_first.setdefault(first, [])).append((at, route))

    def _warn_of_route(self, at: Position, route: Route, earlier: Position, by: Route) -> None:
        where = earlier.seen_from(at)
        if route.service in (by.service, INBOX):
            self._findings.warning(at, f"this route never matches: the one {where} takes everything it would")
        else:
            # A key of one service reaches that service's routes alone: for it the earlier route does not count.
            message = f"only a key of {route.service} reaches this route: the one {where} takes all else it would"
            self._findings.warning(at, message, "put the narrower route first")


def _wanted(said: written.PlanFile | None) -> Wanted | None:
    one = said.coverage if said is not None else None
    if one is None or one.at_least is None:
        return None
    return Wanted(one.at_least, one.counting or COUNTING, *one.at)


def _messages(said: written.Messages | None) -> dict[str, Words]:
    """The team's own words by channel."""
    found = ((name, said.values.get(name)) for name in said.fields) if said else ()
    read = ((name, one.values) for name, one in found if isinstance(one, Record))
    return {name: Words(str(texts.get("subject") or ""), str(texts.get("text") or "")) for name, texts in read}


def _reach(person: written.Person) -> tuple[tuple[str, str], ...]:
    """Channel and address of each way to reach a person, in the order written; () when that says nothing more."""
    found = []
    for key in person.places:
        value = person.values.get(key)
        address = value.url if isinstance(value, written.Webhook) else value
        if key in _WAYS and isinstance(address, str):
            found.append((key, address))
    return () if [key for key, _ in found] in ([], ["email"], ["webhook"], ["email", "webhook"]) else tuple(found)


def _urgency(said: str | written.UrgencyOf | None) -> dict[str, Urgency]:
    """One word for every severity, or what is said of each."""
    words = {level: said if isinstance(said, str) else getattr(said, level, None) for level in SEVERITIES}
    return {level: "low" if word == "low" else "high" for level, word in words.items() if word is not None}


def _takes_all(earlier: Route, later: Route, equal: dict[str, str]) -> bool:
    """Whether every alert that meets ``later`` surely meets ``earlier``."""
    return all(one in later.match or _implied(one, equal) for one in earlier.match)


def _implied(one: Matcher, equal: dict[str, str]) -> bool:
    return one.label in equal and one.matches(equal)


def _judged(probe: written.PostgresProbe) -> dict[str, str]:
    """What a postgres probe judges: what is said, or what every server must not run out of."""
    oldest = None if probe.oldest_transaction is None else f"{probe.oldest_transaction / SECOND:g}"
    blocked = None if probe.blocked is None else str(probe.blocked)
    said = {
        "connections_percent": probe.connections,
        "wraparound_percent": probe.wraparound,
        "oldest_seconds": oldest,
        "blocked": blocked,
    }
    found = {key: value for key, value in said.items() if value is not None}
    return found or {"connections_percent": "90", "wraparound_percent": "50"}


def _default_name(kind: str, target: str) -> str:
    """What a probe is called that nobody named. A query may hold a token, so it stays out."""
    if kind in ("http", "peer"):
        parts = urlsplit(target)
        return f"{kind} {parts.netloc}{parts.path}".rstrip("/")
    return f"{kind} {target.removeprefix('secret:')}"


def _limits(said: written.KeyLimits | None) -> KeyLimits:
    if said is None:
        return KeyLimits()
    return KeyLimits(rate=said.rate, burst=said.burst, body=said.body, alerts=said.alerts)
