"""A company made up at random: people, teams, rotas, escalations and services, and the plan that says so.

What stands here is what the plan's text says, in plain values: the referee reads these and never the engine's types.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import NamedTuple

ZONES = (
    "Europe/Madrid", "America/New_York", "Asia/Tokyo", "Australia/Sydney", "Australia/Lord_Howe", "Europe/Dublin",
    "America/Santiago", "Africa/Casablanca", "Pacific/Auckland", "Asia/Kolkata", "UTC",
)  # fmt: skip
SEVERITIES = ("critical", "warning")
HOUR = 3_600_000_000
DAY = 24 * HOUR
MOST_WITH_CALENDARS = 60
"""Among the first so many rotas are those with calendars: each time one is read, all are reckoned anew."""
URGENT = {"critical": "high", "warning": "low"}
"""How urgent each severity is where a service has incidents of low urgency; else everything is high."""


@dataclass(frozen=True)
class Somebody:
    """A person. ``ways``: the methods the plan gives them, the most direct first. ``flaky``: these may fail."""

    key: str
    zone: str
    ways: tuple[str, ...]
    flaky: bool


class Away(NamedTuple):
    """When somebody is away, by a calendar of their own: instants in microseconds."""

    person: str
    start: int
    end: int


class Entry(NamedTuple):
    """Whom a rota that is kept in a calendar names, from when to when."""

    person: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Turns:
    """A layer. ``length``: minutes, or 0 for months. ``only``: Monday to Friday from nine to six, or always.

    Found again by which one it is, not by what it says: that would have to be read whole each time.
    """

    people: tuple[tuple[str, ...], ...]
    length: int
    starts: date
    minute: int
    zone: str
    only: bool = False


@dataclass(frozen=True)
class Step:
    """Page these: ``schedule s1``, ``next s1``, ``person p1``, ``team t1``. ``wait`` in seconds. ``grave``: for the
    critical alone.
    """

    targets: tuple[str, ...]
    wait: int
    repeat: int = 1
    one: bool = False
    grave: bool = False


@dataclass(frozen=True)
class Service:
    """A service and its escalation. ``hold`` and ``reopen`` in seconds."""

    key: str
    team: str
    hold: int
    reopen: int
    low: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Landscape:
    """All there is at one time."""

    people: dict[str, Somebody]
    teams: dict[str, tuple[str, ...]]
    rotas: dict[str, tuple[Turns, ...]]
    services: dict[str, Service]
    last_resort: str
    away: dict[str, tuple[Away, ...]] = field(default_factory=dict)
    """When people who have a calendar for that are away."""
    entries: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    """What the calendars say that lie over rotas."""
    edition: int = 0
    begins: date = field(default=date(2026, 1, 5))

    def text(self) -> bytes:
        """The plan, as somebody would have written it."""
        lines = ["tocsin: 1", f"# edition {self.edition}"]
        lines += ["mail: {server: smtp://localhost:25, from: tocsin@sim.example}", f"last resort: {self.last_resort}"]
        lines += ["findings notice: off", "people:"]
        for one in self.people.values():
            ways = {
                "email": f"email: {one.key}@sim.example",
                "webhook": f"webhook: {{url: https://hooks.sim.example/{one.key}, secret: secret:hook}}",
            }
            off = [f"holidays: {absences(one.key)}"] if one.key in self.away else []
            told = [f"timezone: {one.zone}", *(ways[way] for way in one.ways), *off]
            lines.append(f"  {one.key}: {{{', '.join(told)}}}")
        calendars = [*map(absences, self.away), *map(rota_calendar, self.entries)]
        lines += ["calendars:", *(f"  {one}: {{ical: https://calendar.sim.example/{one}.ics}}" for one in calendars)]
        lines.append("teams:")
        lines += [f"  {key}: {{members: [{', '.join(who)}], lead: {who[0]}}}" for key, who in self.teams.items()]
        lines.append("schedules:")
        for key, layers in self.rotas.items():
            told = [] if int(key[1:]) % 100 == 7 else ["    handoff notice: off"]  # enough of them to be in the way
            told += [f"    calendar: {rota_calendar(key)}"] if key in self.entries else []
            lines += [f"  {key}:", *told, "    layers:", *(f"      - {_layer(layer)}" for layer in layers)]
        lines.append("escalations:")
        for service in self.services.values():
            lines += [f"  {service.key}:", *(f"    - {_step(step)}" for step in service.steps)]
        lines.append("services:")
        for one_of in self.services.values():
            urgency = ", urgency: {sev3: low}" if one_of.low else ""
            lines.append(
                f"  {one_of.key}: {{escalation: {one_of.key}, team: {one_of.team}, acknowledge for: {one_of.hold}s, "
                f"reopen within: {one_of.reopen}s{urgency}}}"
            )
        return "\n".join(lines).encode()


def absences(person: str) -> str:
    """The calendar in which it says when somebody is away."""
    return f"off-{person}"


def rota_calendar(rota: str) -> str:
    """The calendar that lies over a rota."""
    return f"rota-{rota}"


def _layer(layer: Turns) -> str:
    turns = ", ".join(one[0] if len(one) == 1 else f"[{', '.join(one)}]" for one in layer.people)
    clock = f"{layer.minute // 60:02d}:{layer.minute % 60:02d}"
    every = "month" if not layer.length else f"{layer.length // 60}h"
    handoff = f"1 {clock}" if not layer.length else clock
    only = ", only: Mon-Fri 09:00-18:00" if layer.only else ""
    return (
        f"{{rotate: [{turns}], every: {every}, handoff: '{handoff}', starts: {layer.starts.isoformat()}, "
        f"timezone: {layer.zone}{only}}}"
    )


def _step(step: Step) -> str:
    said = {"schedule": "{}", "person": "{}", "team": "team {}", "next": "next on {}"}
    targets = ", ".join(said[kind].format(name) for kind, name in (one.split() for one in step.targets))
    which = "page one of" if step.one else "page"
    when = ", when: {severity: sev1}" if step.grave else ""
    return f"{{{which}: [{targets}], wait: {step.wait}s, repeat: {step.repeat}{when}}}"


def made_up(random: Random, people: int, schedules: int, years: int, editions: int) -> list[Landscape]:
    """A landscape, and the editions of it that follow each other as its people change the plan."""
    size = 5
    everybody = _people(random, people, size)
    names = list(everybody)
    teams = {f"t{n}": tuple(names[n * size : (n + 1) * size]) for n in range(people // size)}
    begins = date(2026, 1, 5)
    rotas, services = {}, {}
    for n in range(schedules):
        team = f"t{n % len(teams)}"
        rotas[f"s{n}"] = _rota(random, teams[team], begins)
        flaky = any(everybody[one].flaky for one in teams[team])
        low = not flaky and random.random() < 0.5
        services[f"svc{n}"] = Service(
            key=f"svc{n}",
            team=team,
            hold=random.choice((1_800, 3_600, 14_400)),
            reopen=random.choice((600, 1_800)),
            low=low,
            steps=_steps(random, n, team, teams[team], schedules, flaky, low),
        )
    first = Landscape(everybody, teams, rotas, services, names[0], begins=begins)
    found = [first]
    for edition in range(1, editions):
        found.append(_edited(random, found[-1], edition, years))
    apart = Random()
    apart.setstate(random.getstate())  # the company itself is drawn as if there were no calendars
    away, entries = _calendars(apart, first, years)
    return [replace(one, away=away, entries=entries) for one in found]


def _calendars(
    random: Random, land: Landscape, years: int
) -> tuple[dict[str, tuple[Away, ...]], dict[str, tuple[Entry, ...]]]:
    """In some teams two people have a calendar of when they are away, at times both; over some rotas lies a calendar.

    Three of five are always there, and one of those with office hours, so that somebody can stand in for a whole turn.
    """
    away: dict[str, tuple[Away, ...]] = {}
    entries: dict[str, tuple[Entry, ...]] = {}
    begun = int(datetime.combine(land.begins, datetime.min.time(), UTC).timestamp()) * 1_000_000
    until = begun + years * 365 * DAY
    for n, (key, layers) in enumerate(land.rotas.items()):
        team = land.teams.get(f"t{n}", ())
        if n >= MOST_WITH_CALENDARS or not team:
            break
        if n % 5 == 2:
            office = {turn[0] for layer in layers[1:] for turn in layer.people}
            able = [one for one in team if one not in office or one == min(office)]
            for person in random.sample(able, 2):
                spans = _spans(random, begun, until, (DAY // 2, 14 * DAY), (4 * DAY, 40 * DAY))
                away[person] = tuple(Away(person, *span) for span in spans)
        elif n % 5 == 4:
            spans = _spans(random, begun, until, (8 * HOUR, 6 * DAY), (-12 * HOUR, 3 * DAY))
            entries[key] = tuple(Entry(random.choice(team), *span) for span in spans)
    return away, entries


def _spans(
    random: Random, begun: int, until: int, length: tuple[int, int], pause: tuple[int, int]
) -> list[tuple[int, int]]:
    """Ranges of time, one after the other; with a negative pause they overlap."""
    found, at = [], begun + random.randrange(20 * DAY)
    while at < until:
        end = at + random.randrange(*length) // HOUR * HOUR
        found.append((at, end))
        at = end + random.randrange(*pause)
    return found


def _people(random: Random, count: int, size: int) -> dict[str, Somebody]:
    """Teams are steady or flaky as a whole; in a flaky one some have one method only, or none."""
    found = {}
    for n in range(count):
        flaky = n >= size and (n // size) % 3 == 0
        ways: tuple[str, ...] = ("webhook", "email")
        if flaky:
            ways = random.choice((ways, ways, ("email",), ("webhook",), ()))
        elif random.random() < 0.3:
            ways = ("email",)
        found[f"p{n}"] = Somebody(f"p{n}", random.choice(ZONES), ways, flaky)
    return found


def _rota(random: Random, team: tuple[str, ...], begins: date) -> tuple[Turns, ...]:
    minute = random.choice((0, 2 * 60 + 30, 9 * 60, 9 * 60, 17 * 60))
    lengths = (7 * 1_440, 7 * 1_440, 1_440, 720, 14 * 1_440, 0)
    first = begins if (length := random.choice(lengths)) else begins.replace(day=1)
    order = random.sample(team, len(team))
    turns: tuple[tuple[str, ...], ...] = tuple((one,) for one in order)
    if random.random() < 0.2:
        turns = ((order[0], order[1]), *((one,) for one in order[2:]))
    layers = [Turns(turns, length, first, minute, random.choice(ZONES), random.random() < 0.1)]
    if random.random() < 0.4:
        days = tuple((one,) for one in random.sample(team, 2))
        layers.append(Turns(days, 7 * 1_440, begins, 9 * 60, random.choice(ZONES), only=True))
    return tuple(layers)


def _steps(
    random: Random, n: int, team: str, members: tuple[str, ...], count: int, flaky: bool, low: bool
) -> tuple[Step, ...]:
    """Escalations of teams whose methods never fail stay among themselves: what they do at night is then certain."""
    other = f"schedule s{random.randrange(count)}" if flaky else f"schedule s{n}"
    second = random.choice((other, f"next s{n}", f"person {random.choice(members)}"))
    steps = [
        Step((f"schedule s{n}",), random.choice((120, 300, 600)), random.choice((1, 1, 2))),
        Step((second,), random.choice((180, 600)), 1, grave=random.random() < 0.2),
    ]
    if n % 4 == 1 and not low:  # drawn by no chance: the same company, in which some take turns from the first step on
        takers = tuple(f"person {one}" for one in members[:3])
        steps[0] = replace(steps[0], targets=takers, one=True)
    if random.random() < 0.5:
        steps.append(Step((f"team {team}",), 900, random.choice((1, 2)), one=not low and random.random() < 0.3))
    return tuple(steps)


def _edited(random: Random, before: Landscape, edition: int, years: int) -> Landscape:
    """Some rotas turn in another order, some escalations wait for another time."""
    rotas, services = dict(before.rotas), dict(before.services)
    for key in random.sample(list(rotas), max(1, len(rotas) // 5)):
        layers = rotas[key]
        turns = tuple(random.sample(layers[0].people, len(layers[0].people)))
        starts = layers[0].starts
        if layers[0].length:
            starts += timedelta(weeks=2 * random.randrange(20 * years))
        rotas[key] = (replace(layers[0], people=turns, starts=starts), *layers[1:])
    for key in random.sample(list(services), max(1, len(services) // 5)):
        service = services[key]
        first = replace(service.steps[0], wait=random.choice((60, 240, 420)))
        services[key] = replace(service, steps=(first, *service.steps[1:]), hold=random.choice((1_800, 7_200)))
    return replace(before, rotas=rotas, services=services, edition=edition)
