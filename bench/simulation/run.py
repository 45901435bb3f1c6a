"""One run: scripted trouble and people, the engine, the referee, and a clock that jumps from one to the next."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from pathlib import Path
from random import Random

from bench.simulation.cases import MINUTE, Case, Foul
from bench.simulation.clocks import NEVER, SECOND, instant, within
from bench.simulation.duty import Cover
from bench.simulation.landscape import SEVERITIES, Landscape, absences, made_up, rota_calendar
from bench.simulation.referee import Referee
from tocsin.alerts.alert import Alert
from tocsin.engine.commands import Acknowledge, AddOverride, AnyCommand, Resolve, Result, SetReach, SetSilence
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import AnyInput, CalendarRead, Deaf, Decided, Delivered, PlanChange, Received, Tick, Unsure
from tocsin.engine.quiet import why_quiet
from tocsin.engine.state import Counters, Loaded
from tocsin.intake.event import Event
from tocsin.intake.request import Heard, Reply, Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.matcher import parse_matcher
from tocsin.oncall.imported import Busy
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Reach
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.store.opening import migrate, open_writer, url_for
from tocsin.store.writer import Store

HOUR = 60 * MINUTE
DAY = 24 * HOUR
CALLED_KEPT = 10_000
"""Of so many alerts it is remembered what they are known by."""
REREAD = 140 * DAY
"""So often calendars are read: what is kept of one reaches 200 days ahead, and nobody is away for longer than 14."""
ASKED = Request(source="events", method="POST", path="/api/events")
"""Stands for the bytes: what they say is handed over beside it."""
STATES = {"sent": "sent", "retry": "retry", "failed": "failed"}


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    people: int = 1_000
    schedules: int = 200
    years: int = 5
    incidents: int = 200_000
    editions: int = 8
    each: int = 400
    """About so many incidents from one stop, one change of the plan and one deaf time to the next."""


@dataclass
class Told:
    """What a run came to."""

    incidents: int = 0
    inputs: int = 0
    steps: int = 0
    messages: int = 0
    refused: int = 0
    restarts: int = 0
    in_flight: int = 0
    deaf: int = 0
    plans: int = 0
    overrides: int = 0
    calendars: int = 0
    absent: int = 0
    """How often a schedule was asked of which somebody was away, or that a calendar decided."""
    silences: int = 0
    acknowledgements: int = 0
    looked_at: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    by_year: list[int] = field(default_factory=list)
    """How often something broke in each year: clocks are to change, and rotas to turn, while it does."""
    reasons: dict[str, int] = field(default_factory=dict)


def simulate(
    size: Size, seed: int, folder: Path, say: Callable[[str], None] = lambda what: None, database: str = ""
) -> Told:
    """Let a company live through its years. Raises Foul when a rule of paging is broken.

    ``database``: a PostgreSQL URL; without one it is SQLite in ``folder``.
    """
    began, worked = time.monotonic(), time.process_time()
    gc.set_threshold(50_000, 50, 100)  # as `tocsin up` does
    random = Random(seed)
    lands = made_up(random, size.people, size.schedules, size.years, size.editions)
    plans = [_read(land) for land in lands]
    say(f"{size.people:,} people, {size.schedules} schedules: {len(plans)} editions of the plan read")
    url = url_for(folder, database)
    migrate(url)
    run = Run(size, random, lands, plans, lambda: open_writer(url, "simulated"))
    gc.freeze()  # as it does, too
    try:
        run.live(say)
    finally:
        run.store.close()
    run.told.seconds = round(time.monotonic() - began, 1)
    run.told.processor_seconds = round(time.process_time() - worked, 1)
    return run.told


def _read(land: Landscape) -> Plan:
    reading = read_plan({"tocsin.yaml": land.text()})
    assert reading.plan is not None, "\n".join(str(one) for one in reading.findings[:5])
    return reading.plan


Deed = Callable[[], None]


class Run:
    """Everything of one run."""

    def __init__(
        self, size: Size, random: Random, lands: list[Landscape], plans: list[Plan], opened: Callable[[], Store]
    ) -> None:
        self.size, self.random, self.lands, self.plans = size, random, lands, plans
        self.opened = opened
        self.store = opened()
        self.now = self.begun = instant_of(lands[0])
        self.until = self.now + size.years * 365 * DAY
        self.told = Told(by_year=[0] * size.years)
        self.referee = Referee(lands[0])
        self.edition = 0
        self.engine = Engine(Loaded(Counters()), plans[0], SOURCES)
        self.seq = self.seen = self.names = 0
        self._script: list[tuple[int, int, Deed]] = []
        self._order = 0
        self._answering: set[int] = set()
        """Incidents that somebody is about to acknowledge."""
        self._called: dict[int, tuple[str, str]] = {}
        self._crash = False
        self._crashed: Page | None = None
        self._names_touched: list[tuple[str, str]] = []
        self._dead = {
            (one.key, way): _spells(random, self.now, self.until, 4 * size.years, 30 * DAY)
            for one in lands[0].people.values()
            if one.flaky
            for way in one.ways
        }
        outages = 12 * size.years
        self._down = {way: _spells(random, self.now, self.until, outages, 4 * HOUR) for way in ("email", "webhook")}
        self._everything_down = _spells(random, self.now, self.until, 4 * size.years, 2 * HOUR)

    # -- the clock -----------------------------------------------------------------------------------------------------

    def live(self, say: Callable[[str], None]) -> None:
        """From the first day to the last."""
        self._apply(PlanChange(self.plans[0].version), plan=self.plans[0])
        for one in self.lands[0].people.values():
            if one.flaky:
                self._ask(SetReach(actor=f"person:{one.key}", reach=Reach(person=one.key, bundle_within=0)))
        self._commit()
        for at in range(self.now, self.until, REREAD):
            self._at(at, self._read_calendars)
        self._read_calendars()
        self._make_script()
        said, worked = 0, time.process_time()
        while True:
            soonest = min(
                self.engine.next_due() or NEVER,
                self.referee.next_due() or NEVER,
                self._script[0][0] if self._script else NEVER,
            )
            if soonest == NEVER or (not self._script and soonest > self.until + 30 * DAY):
                break
            self.now = max(self.now, soonest)
            self._instant()
            if self.referee.numbers - said >= 20_000:
                each = (time.process_time() - worked) / (self.referee.numbers - said)
                said, worked = self.referee.numbers, time.process_time()
                what = f"{said:,} incidents, {self.told.messages:,} messages, {self.told.inputs:,} inputs"
                say(f"{what}; {each * 1e3:.2f} ms of processor time for each of the last")
        self._commit()
        self.told.absent = self.referee.seen.absent
        self.told.incidents, self.told.steps = self.referee.numbers, self.referee.steps.reached

    def _instant(self) -> None:
        """Everything of one instant: what is said, what is due, and whether it was right."""
        self.referee.advance(self.now)
        while True:
            deed = heappop(self._script)[2] if self._script and self._script[0][0] <= self.now else None
            if deed is not None:
                deed()
            self._late()  # what is said together, after a stop, is judged one by one all the same
            if not self._script or self._script[0][0] > self.now:
                break
        if self._crashed is not None:
            self._crashed = None
            self._stop(self.random.randrange(1, 90) * SECOND)

    def _ring(self) -> None:
        self.referee.advance(self.now)
        while (due := self.engine.next_due()) is not None and due <= self.now:
            self._apply(Tick())

    def _judge(self) -> None:
        touched = {(case.service, case.name) for case in self.referee.settle(self.now)}
        if self._names_touched:
            touched.update(self._names_touched)
            self._names_touched.clear()
        if self.engine.state.counters.incident != self.referee.numbers:
            opened = self.engine.state.counters.incident
            raise Foul(f"at {self.now}: {opened} incidents were opened, {self.referee.numbers} should have been")
        for key in touched:
            if key in self.referee.cases:
                self._look(self.referee.cases[key])

    def _look(self, case: Case) -> None:
        """Every alert of a case that fires is quiet for a reason that ends when the rules say."""
        state = self.engine.state
        firing = {}
        for alert in state.known_of("events", case.service).values():
            name, instance = self._called.get(alert.id) or self._call(alert)
            if alert.firing and name == case.name:
                firing[instance] = alert
        if firing.keys() != case.alarms.keys():
            raise Foul(f"at {self.now}: {sorted(firing)} fire, {sorted(case.alarms)} should; {case}")
        for alarm in case.alarms.values():
            self.told.looked_at += 1
            quiet = why_quiet(state, firing[alarm.instance], self.now)
            if quiet is None:
                raise Foul(f"at {self.now}: an alert is quiet for no reason; {case}")
            reason, until = str(quiet.reason), quiet.until
            self.told.reasons[reason] = self.told.reasons.get(reason, 0) + 1
            wanted = self._until(case, alarm.home)
            if alarm.home and until != wanted:
                raise Foul(f"at {self.now}: {reason} ends at {until} and should at {wanted}; {case}")
            if not alarm.home and until != max(alarm.silences.values(), default=0):
                raise Foul(f"at {self.now}: a silenced alert is quiet until {until}; {case}")

    def _call(self, alert: Alert) -> tuple[str, str]:
        """What an alert is known by, which never changes and would be read again and again."""
        if len(self._called) > CALLED_KEPT:
            self._called.clear()
        labels = alert.labels
        found = self._called[alert.id] = labels["alertname"], labels["instance"]
        return found

    def _until(self, case: Case, home: bool) -> int | None:
        if not home:
            return None
        if case.state == "resolved":
            return case.snoozed_until
        if case.paused:
            return min(max(one.silences.values()) for one in case.at_home if one.silences)
        return case.held_until if case.state == "acknowledged" else case.due

    # -- the engine ----------------------------------------------------------------------------------------------------

    def _apply(self, input: AnyInput, heard: Heard | None = None, plan: Plan | None = None) -> Result | None:
        self.seq += 1
        self.told.inputs += 1
        result = self.engine.apply(self.seq, input, self.now, heard, plan).result
        changes = self.engine.changes
        if self.engine.state.counters.page > self.seen:
            for id in range(self.seen + 1, self.engine.state.counters.page + 1):
                page = changes.pages.get(id)
                if page is not None and page.kind == "page":
                    incident = self.engine.state.incidents[page.incident]
                    self.referee.meet(page.incident, incident.service, incident.labels["alertname"])
                    self.referee.wrote(page)
            self.seen = self.engine.state.counters.page
        while changes.deliver:
            page = changes.deliver.pop(next(iter(changes.deliver)))
            if page.state == "intended":
                self._deliver(page)
        return result

    def _ask(self, command: AnyCommand) -> Result:
        result = self._apply(Decided(command))
        assert result is not None
        return result

    def _deliver(self, page: Page) -> None:
        """A message leaves, and its channel answers; or everything stops before it does."""
        answer = self._answer(page, self.now)
        together = [self.engine.state.pages[id] for id in page.bundled] or [page]
        self.told.messages += 1
        if page.kind == "page":
            self.referee.left(page, together, answer, self.now)
            if answer == "sent":
                self._perhaps_answered(page)
        if self._crash and answer == "sent" and page.kind == "page" and self._steady(page):
            self._crash, self._crashed = False, page
            self.told.in_flight += 1
            return
        self.referee.answered(page, answer)
        if answer != "sent":
            self.told.refused += 1
        code = "address" if answer == "failed" else ""
        self._apply(Delivered(page.id, STATES[answer], code, "550 no such mailbox" if code else ""))

    def _steady(self, page: Page) -> bool:
        return not self.lands[0].people[page.person].flaky

    def _answer(self, page: Page, at: int) -> str:
        if page.channel == "console" or self._steady(page):
            return "sent"
        if within(self._everything_down, at) or within(self._down[page.channel], at):
            return "retry"
        return "failed" if within(self._dead[page.person, page.channel], at) else "sent"

    def _commit(self) -> None:
        self.store.commit((), self.engine.take(), self.engine.state)
        self.store.housekeep(self.now)  # as the writer does between commits

    def _stop(self, down: int) -> None:
        """Tocsin stops hard, and starts again from its tables a while later."""
        self._late()
        self._commit()
        self.store.close()
        self.store = self.opened()
        start = self.now
        self.now += down
        self.told.restarts += 1
        self.engine = Engine(self.store.load(), self.plans[self.edition], SOURCES)
        self.referee.deaf(start, self.now)
        self.referee.advance(self.now)
        self._apply(Deaf(start, self.now))
        self._apply(PlanChange(self.plans[self.edition].version), plan=self.plans[self.edition])
        self.referee.changed(self.lands[self.edition], self.now)
        self._apply(Unsure())
        self._late()

    def _late(self) -> None:
        """What is due now happens, and is judged. What was to be said meanwhile is said after it, in its order."""
        self._ring()
        self._judge()

    # -- the script ----------------------------------------------------------------------------------------------------

    def _at(self, at: int, deed: Deed) -> None:
        """Have something done about then: never at the very instant at which something else is due, or nearly never."""
        self._order += 1
        heappush(self._script, (at + self.random.randrange(SECOND), self._order, deed))

    def _make_script(self) -> None:
        count = self.size.incidents * 15 // 16  # what comes back later makes the rest
        self._at(self.begun + self.random.randrange(DAY), lambda: self._trouble(count))
        for _ in range(max(20 * len(self.lands[0].rotas), count // 40)):
            self._at(self._moment(), self._override)

    def _moment(self) -> int:
        return self.random.randrange(self.now + HOUR, self.until)

    def _trouble(self, left: int) -> None:
        """Something breaks somewhere, sometimes much at once; and the next thing will."""
        storm = self.random.randrange(5, 30) if self.random.random() < 0.015 else 1
        for _ in range(min(storm, left)):
            self._at(self.now + self.random.randrange(20 * SECOND), self._breaks_down)
        left -= storm
        if left > 0:
            pause = self.random.expovariate(1.0) * (self.until - self.now) / left * min(storm, left)
            self._at(min(self.now + 1 + int(pause), self.until), lambda: self._trouble(left))

    def _breaks_down(self) -> None:
        self.names += 1
        self.told.by_year[min((self.now - self.begun) // (365 * DAY), self.size.years - 1)] += 1
        random, name = self.random, f"a{self.names}"
        service = f"svc{random.randrange(len(self.lands[0].services))}"
        severity = "critical" if random.random() < 0.75 else "warning"
        for n in range(1 if random.random() < 0.8 else random.randrange(2, 4)):
            at = self.now + (random.randrange(10 * MINUTE) if n else 0)
            self._at(at, lambda n=n: self._fire(service, name, f"i{n}", severity, 0))  # type: ignore[misc]
        for deed in (self._break, self._change_plan, self._go_deaf):
            if random.random() < 1 / self.size.each:  # while something is going on, which is when it hurts
                self._at(self.now + random.randrange(40 * MINUTE), deed)
        if random.random() < 0.04:
            instance = random.choice(("", "i0"))
            self._at(self.now + random.randrange(30 * MINUTE), lambda: self._silence(name, instance))

    def _fire(self, service: str, name: str, instance: str, severity: str, again: int) -> None:
        random = self.random
        ends = self.now + random.randrange(10, 60) * MINUTE if random.random() < 0.1 else None
        self.referee.fires(service, name, instance, severity, ends, self.now)
        self._said(service, name, instance, severity, "firing", ends)
        heals = self.now + int(MINUTE * 60 ** random.uniform(0, 1.3))
        self._at(heals, lambda: self._heal(service, name, instance, severity))
        if again < 2 and random.random() < 0.15:
            returns = heals + random.randrange(1, 40) * MINUTE
            self._at(returns, lambda: self._fire(service, name, instance, severity, again + 1))

    def _heal(self, service: str, name: str, instance: str, severity: str) -> None:
        self.referee.resolves(service, name, instance, self.now)
        self._said(service, name, instance, severity, "resolved", self.now)

    def _said(self, service: str, name: str, instance: str, severity: str, state: str, ends: int | None) -> None:
        event = Event(
            labels={"alertname": name, "instance": instance, "severity": severity},
            starts_at=self.now,
            ends_at=ends,
            state=state,  # type: ignore[arg-type]  # one of the two
            own_title=f"{name} of {service}",
            severity=severity,
        )
        self._apply(Received(0, service, self.now, ASKED), Heard(reply=Reply(202), events=(event,)))
        self._touch(service, name)

    def _touch(self, service: str, name: str) -> None:
        """Look at a case when this instant is over, as it is then."""
        self._names_touched.append((service, name))

    def _silence(self, name: str, instance: str) -> None:
        until = self.now + self.random.randrange(20, 120) * MINUTE
        which = [f'alertname="{name}"', *([f'instance="{instance}"'] if instance else [])]
        made = self._ask(
            SetSilence(
                matchers=tuple(map(parse_matcher, which)),
                author="sim",
                comment="known",
                starts_at=self.now,
                ends_at=until,
                actor="user:sim",
            )
        )
        assert made.ok, made
        self.told.silences += 1
        self.referee.silenced(made.id, name, instance, until, self.now)

    def _perhaps_answered(self, page: Page) -> None:
        eager = (0.2, 0.5, 0.8)[page.incident % 3]
        if page.incident not in self._answering and self.random.random() < eager:
            self._answering.add(page.incident)
            self._at(self.now + self.random.randrange(20, 480) * SECOND, lambda: self._acknowledge(page))

    def _acknowledge(self, page: Page) -> None:
        """One answer is for all that came in the message and nobody has; when somebody has them all, for its own. What
        was opened again since then is another trouble.
        """
        self._answering.discard(page.incident)
        rows = (self.engine.state.pages.get(id) for id in page.bundled)
        told = {page.incident: page} | {row.incident: row for row in rows if row is not None}
        cases = [(self.referee.seen.by_number[one], row) for one, row in told.items() if self._is_open(one)]
        still = [case for case, row in cases if row.intended_at >= case.reopened]
        still.sort(key=lambda one: (SEVERITIES.index(one.severity), one.number))
        own = [one for one in still if one.number == page.incident]
        meant = [one for one in still if one.state == "triggered"] or own
        hold = self.random.randrange(5, 90) * MINUTE if self.random.random() < 0.1 else None
        result = self._ask(Acknowledge(actor=f"person:{page.person}", page=page.id, hold=hold))
        if result.ok is not bool(meant) or (meant and result.id != str(meant[0].number)):
            raise Foul(f"at {self.now}: acknowledging #{page.incident} answered {result}, and is for {meant}")
        if not meant:
            return
        self.told.acknowledgements += 1
        for case in meant:
            own_hold = self.lands[self.edition].services[case.service].hold * SECOND
            self.referee.acknowledged(case.number, hold if hold is not None else own_hold, self.now)
            self._touch(case.service, case.name)
        several = len(meant[0].at_home) > 1  # rare, and of these a snooze has most to say
        if self.random.random() < (0.7 if several else 0.2):
            number = meant[0].number
            self._at(self.now + self.random.randrange(1, 30) * MINUTE, lambda: self._close(number))

    def _is_open(self, number: int) -> bool:
        case = self.referee.seen.by_number.get(number)
        return case is not None and case.open

    def _close(self, number: int) -> None:
        snooze = self.random.randrange(5, 60) * MINUTE
        wanted = self._is_open(number)
        result = self._ask(Resolve(actor="user:sim", incident=number, snooze=snooze))
        if result.ok is not wanted:
            raise Foul(f"at {self.now}: resolving #{number} answered {result}, open is {wanted}")
        if result.ok:
            case = self.referee.seen.by_number[number]
            firing = [alarm.instance for alarm in case.at_home]
            self.referee.resolved_by_hand(number, snooze, self.now)
            self._touch(case.service, case.name)
            if firing and self.random.random() < 0.5:
                self._stir(case, firing, snooze)

    def _stir(self, case: Case, firing: list[str], snooze: int) -> None:
        """While it is snoozed another machine has the same trouble, or one of those that had it has it again."""
        where, at = (case.service, case.name), self.now + self.random.randrange(snooze)
        if self.random.random() < (0.2 if len(firing) > 1 else 0.6):
            self._at(at, lambda: self._fire(*where, "other", case.severity, 2))
            return
        instance = self.random.choice(firing)
        self._at(at, lambda: self._heal(*where, instance, case.severity))
        back = at + self.random.randrange(1, 16) * MINUTE
        self._at(back, lambda: self._fire(*where, instance, case.severity, 2))

    def _override(self) -> None:
        random = self.random
        key = f"s{random.randrange(len(self.lands[0].rotas))}"
        team = self.lands[0].teams[f"t{int(key[1:]) % len(self.lands[0].teams)}"]
        person, other = random.sample(team, 2)
        instead = "" if random.random() < 0.4 else other
        start = self.now + random.randrange(-HOUR, 2 * DAY)
        end = max(start, self.now) + random.randrange(2 * HOUR, 4 * DAY)
        asked = AddOverride(
            actor=f"person:{person}", schedule=key, person=person, starts_at=start, ends_at=end, instead_of=instead
        )
        result = self._ask(asked)
        if not result.ok:
            return  # nobody stands in for somebody who is not on call then
        self.told.overrides += 1
        self.referee.covered(key, Cover(int(result.id), person, max(start, self.now), end, instead), self.now)

    def _read_calendars(self) -> None:
        """Every calendar is read; now and then one of them cannot be, and its last copy counts."""
        land = self.lands[self.edition]
        low, high = self.now - 45 * DAY, self.now + 205 * DAY
        said = [(absences(who), who, spans) for who, spans in land.away.items()]
        for name, rota, entries in said + [(rota_calendar(key), "", spans) for key, spans in land.entries.items()]:
            near = [one for one in entries if one.start < high and low < one.end]
            busy = tuple(Busy(one.start, one.end, text=one.person if not rota else "off") for one in near)
            self._apply(CalendarRead(name, busy))
            if self.random.random() < 0.1:
                self._apply(CalendarRead(name, error="it answered 503"))
            self.told.calendars += 1
            self.referee.calendar_read(self.now)

    def _change_plan(self) -> None:
        self.edition = self.random.randrange(len(self.plans))
        self.told.plans += 1
        self._apply(PlanChange(self.plans[self.edition].version), plan=self.plans[self.edition])
        self.referee.changed(self.lands[self.edition], self.now)

    def _break(self) -> None:
        if self.random.random() < 0.5:
            self._crash = True  # when the next message is on its way
        else:
            self._stop(self.random.randrange(1, 1_200) * SECOND)

    def _go_deaf(self) -> None:
        """The machine sleeps, or a clock jumps: nothing is heard, and nothing done."""
        self._late()  # of this instant everything has happened
        start = self.now
        self.now += self.random.randrange(10, 1_200) * SECOND
        self.told.deaf += 1
        self.referee.deaf(start, self.now)
        self.referee.advance(self.now)
        self._apply(Deaf(start, self.now))
        self._late()


def _spells(random: Random, start: int, until: int, count: int, longest: int) -> list[tuple[int, int]]:
    """Some ranges of time, in order and apart."""
    found: list[tuple[int, int]] = []
    for at in sorted(random.randrange(start, until) for _ in range(count)):
        if not found or found[-1][1] < at:
            found.append((at, at + random.randrange(MINUTE, longest)))
    return found


def instant_of(land: Landscape) -> int:
    """The first instant of a landscape's first day, in UTC."""
    return instant(datetime.combine(land.begins, datetime.min.time(), UTC))
