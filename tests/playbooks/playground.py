"""The world with playbooks: their code runs in the test's own process, in virtual time, against fake systems."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, get_type_hints

import msgspec
from msgspec import Struct

from tests.engine.world import World
from tocsin.engine.commands import (
    AnswerRun,
    CancelRun,
    GiveBackRun,
    Result,
    ResumeRun,
    SetTrust,
    StartRun,
    TakeOverRun,
)
from tocsin.engine.concerned import concerns
from tocsin.engine.engine import Engine
from tocsin.engine.holding import FOR_CODE, longest
from tocsin.engine.inputs import AnyInput, Deaf, PlanChange
from tocsin.engine.state import Changes
from tocsin.engine.wanted import chain_of, key_of
from tocsin.incidents.incident import Incident
from tocsin.intake.request import Heard
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.matcher import parse_matcher
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.playbooks import language
from tocsin.playbooks.language import About, Declared, Run, Target, fix, look
from tocsin.playbooks.manifest import MANIFEST, Manifest, Manifests, Param, encode_manifests
from tocsin.playbooks.resuming import Word
from tocsin.playbooks.run import WATCH, Step
from tocsin.playbooks.run import Run as Row
from tocsin.playbooks.runner.declare import PLAIN
from tocsin.testing.carrying import Carrier, Killed

SERVICE = """
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
escalations:
  shop:
    - {page: ana, wait: 5m}
    - {page: ben, wait: 10m}
services:
  cart:
    escalation: shop
    playbooks: [PLAYBOOKS]
    targets:
      main: {kind: pump, look with: secret:ro, fix with: secret:rw, match: ['instance="cart-1"']}
      spare: {kind: pump, look with: secret:ro, fix with: secret:rw, match: ['instance="cart-2"']}
  payments: {escalation: shop}
routes:
  - {match: ['alertname="PaymentsDown"'], service: payments}
  - {match: ['alertname=~".+"'], service: cart}
"""


class Pump(Target, frozen=True):
    """A system made for tests."""

    kind: ClassVar[str] = "pump"


class Level(Struct, frozen=True):
    """How full it is, in percent."""

    full: int

    def __str__(self) -> str:
        return f"{self.full} % full"


@look
def level(pump: Pump) -> Level:
    raise AssertionError("the playground has its own")


@look
def was_drained(pump: Pump) -> bool:
    raise AssertionError("the playground has its own")


@fix(idempotent=True)
def drain(pump: Pump) -> int:
    raise AssertionError("the playground has its own")


@fix
def kick(pump: Pump) -> int:
    raise AssertionError("the playground has its own")


@fix(probe=was_drained)
def pour(pump: Pump) -> int:
    raise AssertionError("the playground has its own")


class Playground(World):
    """A world whose playbooks run. ``system`` is what they look at and change."""

    def __init__(self, *playbooks: Callable[..., None], rung: str = "act", plan: str = SERVICE, **more: Any) -> None:
        self.found = {one.name: one for one in language.declared if one.body in playbooks}
        self.manifests = [manifest(one) for one in self.found.values()]
        self.text = plan.replace("PLAYBOOKS", ", ".join(self.found))
        self.full: dict[str, int] = {"main": 97, "spare": 20}
        self.after_drain = 40
        self.done: list[str] = []
        self.looks = 0
        self.dead = False
        self.begun: deque[tuple[Row, int]] = deque()
        self.written: dict[int, Row] = {}
        """Every run there ever was, as it was last written down."""
        self.allowed: set[int] = set()
        """The runs of which a person answered a question."""
        self._openings: dict[int, tuple[int, int, Instant]] = {}
        """Of each incident how often it was reopened, the last page there was before that, and when that was."""
        self._put_off_at: dict[int, tuple[tuple[str, ...], int]] = {}
        """Of each incident what somebody put off, and the last run there was then."""
        self._last_page = 0
        self.deep = 0
        self.carrier = Carrier(self.apply, lambda: self.now, self.passing, self.fakes())
        super().__init__(self.text.encode(), **more)
        for name in self.found:
            if rung and self.engine.plan.playbooks[name].trust.start != rung:
                self.trusts(name, rung)

    def fakes(self) -> dict[str, Callable[..., Any]]:
        """What the library's functions do here."""

        def see(pump: Pump) -> Level | None:
            self.looks += 1
            if self.dead:
                raise ConnectionError("nobody answers")
            return Level(self.full[pump.name])

        def change(name: str) -> Callable[[Pump], int]:
            def do(pump: Pump) -> int:
                assert pump.credential == "fake:fixing"
                self.done.append(name)
                self.full[pump.name] = self.after_drain
                return 57

            return do

        return {
            level.name: see,
            was_drained.name: lambda pump: self.full[pump.name] == self.after_drain,
            drain.name: change("drain"),
            kick.name: change("kick"),
            pour.name: change("pour"),
        }

    def passing(self, until: Instant) -> None:
        """Time passes within a run's step."""
        self.ring(until)
        self.now = max(self.now, until)

    def read(self, plan: bytes) -> Plan:
        files = {"tocsin.yaml": plan, MANIFEST: encode_manifests(Manifests(tuple(self.manifests)))}
        reading = read_plan(files)
        assert reading.plan is not None, "\n".join(map(str, reading.findings))
        return reading.plan

    def apply(self, input: AnyInput, heard: Heard | None = None, plan: Plan | None = None) -> Result | None:
        self.deep += 1
        try:
            result = super().apply(input, heard, plan)
        finally:
            self.deep -= 1
        while self.begun and not self.deep:
            self._carry(*self.begun.popleft())
        return result

    def _take(self, changes: Changes) -> None:
        self.written |= {number: msgspec.structs.replace(run) for number, run in changes.runs.items()}
        self.carrier.halted.update(changes.halt)
        self.begun.extend((run, run.attempt) for run in changes.begin.values())
        for run in changes.runs.values():
            if run.outcome == "verified" and run.ended_at == self.now and run.watch_until and not run.by_hand:
                state = self.engine.state
                firing = state.members[run.incident].firing if run.incident in state.members else ()
                assert not any(state.alerts[id].labels == run.labels for id in firing), "its alert fires"
        super()._take(changes)

    def check(self) -> None:
        """What is kept so that it is found at once says what looking at everything would."""
        super().check()
        state = self.engine.state
        living = [run for run in state.runs.values() if run.live]
        assert state.locked == _by_lock(living)
        assert state.changing == _by_lock([run for run in living if run.state != "watching"])
        self._check_alone([run for run in living if run.works])
        self._check_waiting()
        assert state.in_midst == {run.number for run in state.runs.values() if run.in_midst}
        assert state.at_work == {
            incident: {run.number for run in living if run.incident == incident}
            for incident in {run.incident for run in living if run.incident}
        }
        self._note_openings()
        self._check_put_off(living)
        self._check_holds(living)
        taken = [run for run in state.runs.values() if run.taken_until is not None]
        assert state.claimed == {
            lock: {one.number for one in taken if lock in one.holds} for run in taken for lock in run.holds
        }
        targets, alerts = self.engine.plan.bindings, state.alerts
        for service in list(state.concerned.services):
            firing = {one.id: targets.about(service, one.labels) for one in alerts.values() if concerns(one)}
            ill = state.concerned.ill(service, targets, alerts, state.counters.alert)
            for target in targets.of(service).values():
                about = {id for id, those in firing.items() if alerts[id].service == service and target in those}
                kept = state.concerned.alerts(target.lock, service, targets, alerts, state.counters.alert)
                assert kept == about and (target.lock in ill) == bool(about and target.match), target.lock
        opened = [incident for incident in state.incidents.values() if incident.open]
        assert {(service, number) for service, numbers in state.open_of.items() for number in numbers} == {
            (incident.service, incident.number) for incident in opened
        }
        assert all(run.outcome != "blocked" for run in state.runs.values()), "no guard counts those"
        assert state.answered == {one.number for one in opened if one.state == "acknowledged" or one.answers}

    def _check_alone(self, working: list[Row]) -> None:
        """One run at a time may change a system, by whatever name it has it."""
        bindings, held = self.engine.plan.bindings, set[str]()
        for run in working:
            alike = set(bindings.alike(run.holds))
            assert held.isdisjoint(alike), f"another run works on {sorted(alike & held)}"
            held |= alike

    def _check_waiting(self) -> None:
        """What waits does so for a run of another incident that lives, and has pages wait no longer than is written."""
        state, plan = self.engine.state, self.engine.plan
        waiting: set[int] = set()
        awaited: dict[int, set[int]] = {}
        for incident in state.incidents.values():
            for key, work in incident.works.items():
                if not work.waiting:
                    continue
                waiting.add(incident.number)
                awaited.setdefault(work.awaits, set()).add(incident.number)
                assert incident.open and incident.state == "triggered" and state.members[incident.number].loud
                other = state.runs[work.awaits]
                assert other.live and other.incident != incident.number, f"{key} waits for what is over: {other}"
                assert work.until >= other.over_by or other.state != "running", (work, other)
                most = plan.playbooks[work.playbook].hand_over_after + WATCH
                assert not work.pages_until or work.pages_until <= work.since + most
                assert any(other.playbook in one for one in (work.why,)), work.why
            if incident.open and any(work.pages_until for work in incident.works.values()):
                waiting.add(incident.number)
        assert state.waiting == waiting and state.awaited == awaited

    def _check_holds(self, living: list[Row]) -> None:
        """Pages wait for code only while code is at it, or for alerts to end, and never for longer than is written."""
        state, plan = self.engine.state, self.engine.plan
        for incident in state.incidents.values():
            for work in incident.works.values() if incident.open else ():
                ended = state.runs[work.run].ended_at if work.run in state.runs else None
                of_now = ended is None or ended >= self._openings[incident.number][2]
                put_off = key_of(work.playbook, work.targets) in incident.put_off
                assert of_now or put_off, f"of another time: {work}"
            runs = [run for run in living if run.incident == incident.number and run.state != "asking"]
            waits = incident.open and incident.hold_until is not None and incident.hold_until > self.now
            if waits:
                assert incident.hold_until is not None and incident.held_since is not None
                holders = [run for run in runs if run.holding and run.rung in ("ask", "act")]
                untils = [run.deadline if run.state == "running" else run.watch_until or 0 for run in holders]
                untils += [work.pages_until for work in incident.works.values()]
                assert max(untils) >= incident.hold_until, incident
                stopping = any(run.stopping for run in holders)  # by a person: pages leave when it has, in seconds
                if not any(run.by_hand for run in holders) and not stopping:
                    assert incident.lifted is None
                    self._check_answered(incident, living)
                if incident.state == "triggered" and self._was_paged(incident):
                    known = [run for run in holders if run.by_hand or run.number in self.allowed]
                    assert known == holders, "people were paged before"
                if not any(run.by_hand for run in holders):
                    most = longest(plan, incident.service)
                    assert incident.held + incident.hold_until - incident.held_since <= most, incident
            else:
                assert incident.held_since is None or not incident.open or incident.hold_until is not None
            if incident.paused in FOR_CODE:
                assert incident.hold_until is not None, incident
            if incident.number in state.wanted.incidents and incident.number in state.members:
                firing = state.members[incident.number].firing
                if len(firing) > 40:
                    continue
                kept = state.wanted.chains(plan, incident, firing, state.alerts, state.counters.alert)
                fresh: dict[Any, set[int]] = {}
                for id in firing:
                    chain = chain_of(plan, incident.service, state.alerts[id].labels, incident.severity)
                    fresh.setdefault(chain, set()).add(id)
                assert {chain: ids & firing for chain, ids in kept.items() if ids & firing} == fresh
                asked = plan, incident, firing, state.alerts, state.counters.alert
                for key in {wish.key for chain in kept for wish in chain}:
                    those = {chain: ids for chain, ids in kept.items() if any(wish.key == key for wish in chain)}
                    assert state.wanted.wanting([key], *asked) == those, key

    def _check_put_off(self, living: list[Row]) -> None:
        """Code begins nothing by itself where somebody put it off, while others have the incident open or not."""
        for incident in self.engine.state.incidents.values():
            since = self._put_off_at.get(incident.number)
            if not incident.put_off:
                self._put_off_at.pop(incident.number, None)
                continue
            if since is None or since[0] != incident.put_off:
                self._put_off_at[incident.number] = (incident.put_off, max((0, *self.written)))
                continue
            new = [run for run in living if run.incident == incident.number and run.number > since[1]]
            for run in new:
                key = key_of(run.playbook, run.targets.values())
                assert run.by_hand or key not in incident.put_off, f"{key} was put off"

    def _check_answered(self, incident: Incident, living: list[Row]) -> None:
        """While pages wait for code it is at each alert that is heard, or its turn is yet to come."""
        if incident.state != "triggered":
            return  # nobody waits for a page
        state, plan = self.engine.state, self.engine.plan
        live = {key_of(run.playbook, run.targets.values()) for run in living if run.incident == incident.number}
        heard = state.members[incident.number].heard
        for id in heard if len(heard) <= 40 else ():
            chain = chain_of(plan, incident.service, state.alerts[id].labels, incident.severity)
            works = [incident.works.get(wish.key) for wish in chain]
            meant = zip(chain, works, strict=True)
            turn = next((wish.key for wish, work in meant if not (work and work.passes_on)), "")
            work = incident.works.get(turn)
            at_it = bool(turn) and (work is None or work.waiting or turn in live)
            given_time = any(one is not None and one.pages_until > self.now for one in works)
            assert at_it or given_time, f"code is not at {state.alerts[id].title}"

    def _was_paged(self, incident: Incident) -> bool:
        """Whether a step of its escalation has paged anybody since it was opened or reopened."""
        first = self._openings[incident.number][1]
        rows = self.engine.state.pages_of.get(incident.number, {})
        return any(id > first and row.kind == "page" and row.went for id, row in rows.items())

    def _note_openings(self) -> None:
        state = self.engine.state
        for number, incident in state.incidents.items():
            if self._openings.get(number, (-1,))[0] != incident.reopened:
                self._openings[number] = (incident.reopened, self._last_page, self.now)
        self._last_page = max((self._last_page, *state.pages))

    def _carry(self, run: Row, attempt: int) -> None:
        state = self.engine.state
        incident = state.incidents.get(run.incident)
        title, severity = (incident.title, incident.severity) if incident else ("", "")
        about = About(run.service, run.incident, title, severity, run.labels)
        recorded = state.steps.get(run.number, {})
        steps = [recorded[n] for n in sorted(recorded)]
        self.deep += 1
        try:
            self.carrier.carry(self.found[run.playbook], run, attempt, steps, about)
        except Killed:
            self.deep -= 1
            self.comes_back()
        else:
            self.deep -= 1

    def comes_back(self, after: int = 2 * SECOND) -> None:
        """It was killed: start again from the rows."""
        last = self.now
        self.begun.clear()
        deep, self.deep = self.deep, 1
        self.engine = Engine(self.loaded(), self.engine.plan, SOURCES)
        self.now += after
        unsure = self.engine.under_way()
        self.apply(Deaf(last, self.now))
        plan = self.engine.plan
        self.apply(PlanChange(plan.version, self.engine.state.counters.paging), plan=plan)  # as each start does
        self.apply(unsure)
        self.deep = deep
        while self.begun and not self.deep:
            self._carry(*self.begun.popleft())

    # -- what people do ------------------------------------------------------------------------------------------------

    def trusts(self, playbook: str, rung: str, role: str = "admin") -> Result:
        return self.asked(
            SetTrust(actor="person:ana", service="cart", playbook=playbook, rung=rung, why="a test", role=role)  # type: ignore[arg-type]
        )

    def says(self, run: int, answer: str, role: str = "responder", step: int | None = None) -> Result:
        """Ana answers: what is asked now, or what was asked at a step."""
        found = self.engine.state.runs.get(run)
        asked = found.approval if found is not None else None
        step = step if step is not None else asked.step if asked else 0
        self.allowed.add(run)
        return self.asked(AnswerRun(actor="person:ana", run=run, step=step, answer=answer, role=role))  # type: ignore[arg-type]

    def stops(self, run: int) -> Result:
        return self.asked(CancelRun(actor="person:ana", run=run))

    def recorded(self, number: int) -> tuple[Step, ...]:
        """A run's steps, as a face reads them."""
        found = sorted(key for key in self.tables.get("steps", {}) if key[0] == number)
        return tuple(msgspec.json.decode(self.tables["steps"][key][1], type=Step) for key in found)

    def resumes(self, number: int, step: int = 0, word: Word = "", actor: str = "person:ana", **more: Any) -> Result:
        """Somebody continues a run at a step, or repeats it."""
        given = {"why": "I looked at it", "recorded": self.recorded(number)} | more
        return self.asked(ResumeRun(actor=actor, run=number, step=step, word=word, **given))

    def takes_over(self, number: int, actor: str = "person:ana") -> Result:
        return self.asked(TakeOverRun(actor=actor, run=number, why="I do it by hand"))

    def gives_back(self, number: int) -> Result:
        return self.asked(GiveBackRun(actor="person:ana", run=number))

    def runs_by_hand(self, playbook: str, **more: Any) -> Result:
        return self.asked(StartRun(actor="person:ana", playbook=playbook, service="cart", **more))

    # -- what is so ----------------------------------------------------------------------------------------------------

    def run(self, number: int) -> Row:
        """A run: the engine's own while it is in mind, else as it was written down."""
        kept = self.engine.state.runs.get(number)
        return kept if kept is not None else self.written[number]

    def rung(self, playbook: str) -> str:
        return self.engine.state.standings["cart", playbook].rung

    @property
    def outcomes(self) -> list[str]:
        return [run.outcome or run.state for run in self.written.values()]

    def steps(self, number: int) -> list[str]:
        found = sorted(key for key in self.tables.get("steps", {}) if key[0] == number)
        rows = [msgspec.json.decode(self.tables["steps"][key][1], type=self.tables["steps"][key][0]) for key in found]
        return [f"{one.verb} {one.function.rpartition('.')[2]} {one.state}" for one in rows]


def _by_lock(runs: list[Row]) -> dict[str, set[int]]:
    return {lock: {run.number for run in runs if lock in run.holds} for one in runs for lock in one.holds}


def manifest(found: Declared) -> Manifest:
    """What the process that reads declarations would have answered."""
    kinds = get_type_hints(found.body)
    given = inspect.signature(found.body).parameters
    names = list(given)[1:]
    return Manifest(
        name=found.name,
        file="playbooks/here.py",
        line=1,
        function=f"here:{found.body.__name__}",
        about=found.body.__doc__ or "",
        meaning=found.body.__name__,
        answers=tuple(tuple(map(parse_matcher, group)) for group in found.answers),
        severities=found.severities,
        hand_over_to=found.hand_over_to,
        predicate=found.when is not None,
        params=tuple(_param(name, kinds[name], given[name].default) for name in names),
        guards=found.guards,
        trust=found.trust,
        hand_over_after=found.hand_over_after,
        schedule=found.schedule,
        timezone=found.timezone,
        fixes=True,
    )


def _param(name: str, kind: type, default: Any) -> Param:
    if issubclass(kind, Target):
        return Param(name, "pump", target=True)
    written = "" if default is inspect.Parameter.empty else msgspec.json.encode(default).decode()
    return Param(name, PLAIN[kind], default=written)


__all__ = ["Level", "Playground", "Pump", "Run", "drain", "kick", "level", "pour"]
