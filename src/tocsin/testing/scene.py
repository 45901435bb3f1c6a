"""A scene: a plan with its playbooks, fake systems, a clock that jumps, and Tocsin's own engine in between.

What a story needs is said in the words of the plan. Nothing sleeps, nothing leaves the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import msgspec

from tocsin.catalog.services import INBOX
from tocsin.engine.commands import AnswerRun, AnyCommand, CancelRun, Result, SetTrust, StartRun
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import AnyInput, Deaf, Decided, Delivered, PlanChange, Received, Tick
from tocsin.engine.state import Changes, Counters, Loaded
from tocsin.incidents.incident import Entry, Incident
from tocsin.incidents.routes import DEFAULT_SEVERITY, UNKNOWN_SEVERITY
from tocsin.intake.request import Request
from tocsin.kernel.instant import SECOND, Instant, parse_duration, parse_rfc3339
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.playbooks import language
from tocsin.playbooks.language import About, Fix, Look
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.targets import Unbound, bind
from tocsin.testing.carrying import Carrier, Killed, Unfaked
from tocsin.wiring import import_playbooks, plan_files, sources

STARTS = "2026-11-23T03:24:00Z"
ROWS = ("alerts", "incidents", "pages", "contacts", "overrides", "runs", "steps", "standings", "silences")


class NotFaked(LookupError):
    """A playbook came to a look or a fix that the test has no fake of: nothing was called."""

    def __init__(self, name: str) -> None:
        said = ".".join(name.rsplit(".", 2)[-2:])
        how = f"scene.fake({said}, …), or scene.real({said}) to have it called for real"
        super().__init__(f"{said} is not faked, and nothing was called: {how}")


class Scene:
    """One story. ``plan``: the folder with ``tocsin.yaml`` and ``playbooks/``; ``starts``: when, RFC 3339."""

    def __init__(self, plan: Path, starts: str = STARTS) -> None:
        files = plan_files(plan)
        reading = read_plan(files)
        if reading.plan is None:
            raise ValueError("this plan is not good:\n" + "\n".join(map(str, reading.findings)))
        import_playbooks(plan, files)
        self.plan: Plan = reading.plan
        self._place = plan / "playbooks"
        self.now: Instant = parse_rfc3339(starts)
        self.paged: list[str] = []
        """Who was paged, in order."""
        self.timeline: list[Entry] = []
        self.calls: list[str] = []
        """The fakes that were called, by the short name of what they stand for."""
        self._started = self.now
        self._bodies = {one.name: one for one in language.declared}
        self._fakes: dict[str, Callable[..., Any]] = {}
        self._carrier = Carrier(self._apply, lambda: self.now, self._pass, self._fakes, fakes_alone=True)
        self._begun: deque[tuple[Run, int]] = deque()
        self._rows: dict[str, dict[Any, tuple[type, bytes]]] = {name: {} for name in ROWS}
        self._deep = self._seq = 0
        self._engine = Engine(Loaded(Counters()), self.plan, sources())
        self._apply(PlanChange(self.plan.version), self.plan)

    # -- before the story ----------------------------------------------------------------------------------------------

    def fake(self, what: Look[..., Any] | Fix[..., Any], answers: Any) -> None:
        """Have a look or a fix answered: by a function with its parameters, a list (one each time, the last for ever),
        an exception that it raises, or one answer for all.
        """
        name = what.name
        short = ".".join(name.rsplit(".", 2)[-2:])
        given: Iterator[Any] = chain(answers, repeat(answers[-1])) if isinstance(answers, list) else repeat(answers)

        def called(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(short)
            answer = next(given)
            if isinstance(answer, Exception):
                raise answer
            return answer(*args, **kwargs) if callable(answer) else answer

        self._fakes[name] = called

    def real(self, *what: Look[..., Any] | Fix[..., Any]) -> None:
        """Have looks and fixes called for real, as they are written. No credential is there for them to use."""
        for one in what:
            self._fakes[one.name] = one.function

    def replays(self, record: str | Path) -> None:
        """Have looks and fixes answer what they answered in a run that was written down; each, in the end, its last.

        ``record``: a file of ``tocsin playbook history --run N --json`` or ``dry-run NAME --json``, found from the
        plan's folder playbooks/. What ``fake`` says later counts. Raises ValueError for a file that is none.
        """
        from tocsin.testing.recorded import read_recorded

        found = read_recorded((self._place / record).read_bytes())
        for name in dict.fromkeys(what.name for what, _ in found):
            answers = [(what, answer) for what, answer in found if what.name == name]
            self.fake(answers[0][0], [answer for _, answer in answers])

    def trust(self, playbook: str, rung: str, service: str = "") -> None:
        """Have a playbook trusted to observe, suggest, ask or act; by its services, or one of them."""
        using = [name for name, names in self.plan.answers.items() if playbook in names and service in ("", name)]
        if not using:
            of = f"the service {service} does not use" if service else "no service uses"
            raise LookupError(f"{of} {playbook}: name it with one in the plan, playbooks: [{playbook}]")
        for name in using:
            command = SetTrust(
                actor="user:test", service=name, playbook=playbook, rung=rung, why="a test", role="admin"
            )
            self._ask(command)

    def kill_at(self, point: int) -> None:
        """Kill Tocsin and the run's process at the n-th point of the journal, counted from 1; it starts again at once.

        Each thing a run reports has a point before it is written down, and one after. ``points`` counts them.
        """
        self._carrier.kill_at = point

    @property
    def points(self) -> int:
        """How many points of the journal there were so far."""
        return self._carrier.points

    # -- what happens --------------------------------------------------------------------------------------------------

    def at(self, offset: str) -> Scene:
        """Let time pass until so long after the start; what is due on the way happens."""
        until = self._started + parse_duration(offset)
        if until < self.now:
            raise ValueError(f"{offset} has passed already: time only goes forward")
        self._pass(until)
        return self

    def fires(
        self, alertname: str, *, severity: str = "critical", service: str = "", title: str = "", **labels: str
    ) -> Scene:
        """An alert fires. ``title``: what it says of itself; without one that it fires.

        It comes with a key of ``service``; without one, as the plan's routes take it, and where none does, with a key
        of the one service that has a playbook for it.
        """
        return self._event("firing", alertname, severity, service, labels, title)

    def resolves(self, alertname: str, *, severity: str = "critical", service: str = "", **labels: str) -> Scene:
        """It ends. ``service`` as with ``fires``."""
        return self._event("resolved", alertname, severity, service, labels)

    def answers(self, answer: str, run: int = 0) -> Result:
        """A person answers what a run asks (the last run, unless told which)."""
        number = run or self.run.number
        found = self._engine.state.runs.get(number)
        step = found.approval.step if found is not None and found.approval is not None else 0
        return self._ask(AnswerRun(actor="user:test", run=number, step=step, answer=answer, role="admin"))

    def cancels(self, run: int = 0) -> Result:
        """A person stops a run."""
        return self._ask(CancelRun(actor="user:test", run=run or self.run.number))

    def starts_by_hand(self, playbook: str, service: str, **targets: str) -> Result:
        """A person has a playbook run."""
        return self._ask(
            StartRun(actor="user:test", playbook=playbook, service=service, targets=targets, role="admin")
        )

    # -- what is so ----------------------------------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        """The last run. Raises LookupError, and says why, when there was none."""
        if not self._rows["runs"]:
            raise LookupError(f"no playbook has run{self._why_none()}")
        found: Run = self._row("runs", max(self._rows["runs"]))
        return found

    @property
    def outcome(self) -> str:
        """What became of the last run: its outcome, or its state while it lives."""
        return self.run.outcome or self.run.state

    @property
    def steps(self) -> list[str]:
        """The last run's steps, such as ``fix redis.expire done``."""
        number = self.run.number
        found = [self._row("steps", key) for key in sorted(self._rows["steps"]) if key[0] == number]
        return [f"{one.verb} {'.'.join(one.function.rsplit('.', 2)[-2:])} {one.state}" for one in found]

    @property
    def incident(self) -> Incident:
        """The last incident, as it was last written down. Raises LookupError when there was none."""
        if not self._rows["incidents"]:
            raise LookupError("there is no incident: no alert has fired")
        found: Incident = self._row("incidents", max(self._rows["incidents"]))
        return found

    @property
    def findings(self) -> Sequence[str]:
        """What whoever is paged reads of what code found and tried."""
        return self.incident.tried

    # -- inside --------------------------------------------------------------------------------------------------------

    def _why_none(self) -> str:
        """What kept playbooks from running, as far as the story tells."""
        said = [entry.what for entry in self.timeline if " was not run: " in entry.what]
        if said:
            return f": {said[-1]}"
        used = {name for names in self.plan.answers.values() for name in names}
        unused = sorted(self.plan.playbooks.keys() - used)
        if unused:
            return f": no service uses {' or '.join(unused)}; name it with one in the plan: playbooks: [{unused[0]}]"
        if not self._rows["incidents"]:
            return ": no alert has fired"
        none = f": no playbook of the service {self.incident.service} answers {self.incident.title!r}"
        able = sorted({service for service, _ in self._answering({"severity": "critical", **self.incident.labels})})
        if able and self.incident.service == INBOX:
            return f"{none}, which no route takes; say which is meant: service={' or '.join(map(repr, able))}"
        return f"{none}; one of {' and '.join(able)} does" if able else none

    def _row(self, table: str, key: Any) -> Any:
        kind, raw = self._rows[table][key]
        return msgspec.json.decode(raw, type=kind)

    def _event(
        self, state: str, name: str, severity: str, service: str, labels: dict[str, str], title: str = ""
    ) -> Scene:
        labels = {"alertname": name, "severity": severity, **labels}
        service = service or self._service_of(labels)
        body = msgspec.json.encode({"events": [{"title": title or f"{name} fires", "state": state, "labels": labels}]})
        self._apply(Received(0, service, self.now, Request(source="events", method="POST", path="/", body=body)))
        return self

    def _service_of(self, labels: dict[str, str]) -> str:
        """The service whose key an alert without one comes with."""
        if self.plan.router.match(labels) is not None:
            return INBOX
        able = self._answering(labels)
        about = [
            one
            for one, name in able
            if not isinstance(bind(self.plan.playbooks[name], one, self.plan.bindings, labels), Unbound)
        ]
        for found in ({one for one, _ in able}, set(about)):
            if len(found) == 1:
                return found.pop()
        return INBOX

    def _answering(self, labels: dict[str, str]) -> list[tuple[str, str]]:
        """The services that have a playbook for an alert, each with its name."""
        grave = DEFAULT_SEVERITY.get(labels["severity"].lower(), UNKNOWN_SEVERITY)
        known = self.plan.playbooks
        using = ((service, name) for service, names in self.plan.answers.items() for name in names if name in known)
        return [(service, name) for service, name in using if known[name].matches(labels, grave)]

    def _ask(self, command: AnyCommand) -> Result:
        result = self._apply(Decided(command))
        assert result is not None
        return result

    def _pass(self, until: Instant) -> None:
        while (due := self._engine.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self._apply(Tick())
        self.now = max(self.now, until)

    def _apply(self, input: AnyInput, plan: Plan | None = None) -> Result | None:
        self._deep += 1
        try:
            self._seq += 1
            result = self._engine.apply(self._seq, input, self.now, None, plan).result
            self._take(self._engine.take())
        finally:
            self._deep -= 1
        self._carry_out()
        return result

    def _take(self, changes: Changes) -> None:
        self._carrier.halted.update(changes.halt)
        self._begun.extend((run, run.attempt) for run in changes.begin.values())
        self.timeline += [entry for _, entry in changes.entries]
        state = self._engine.state
        kept = {"alerts": changes.new_alerts | changes.seen_alerts | changes.alerts}
        for name in ROWS:
            for key, noun in (kept.get(name) or getattr(changes, name)).items():
                self._rows[name][key] = (type(noun), msgspec.json.encode(noun))
        for page in list(changes.deliver.values()):
            if state.pages.get(page.id) is page and page.state == "intended":
                if page.kind in ("page", "help"):
                    self.paged.append(page.person)
                self._apply(Delivered(page.id, "sent"))

    def _carry_out(self) -> None:
        while self._begun and not self._deep:
            run, attempt = self._begun.popleft()
            incident = self._engine.state.incidents.get(run.incident)
            title, severity = (incident.title, incident.severity) if incident else ("", "")
            about = About(run.service, run.incident, title, severity, run.labels)
            recorded = self._engine.state.steps.get(run.number, {})
            steps: list[Step] = [recorded[ordinal] for ordinal in sorted(recorded)]
            self._deep += 1
            killed = False
            try:
                self._carrier.carry(self._bodies[run.playbook], run, attempt, steps, about)
            except Killed:
                killed = True
            except Unfaked as missing:
                raise NotFaked(str(missing)) from None
            finally:
                self._deep -= 1
            if killed:
                self._start_again()

    def _start_again(self) -> None:
        last, state = self.now, self._engine.state
        live: dict[str, Callable[[Any], bool]] = {
            "alerts": lambda key: key in state.alerts,
            "incidents": lambda key: key in state.incidents,
            "pages": lambda key: key in state.pages,
            "runs": lambda key: key in state.runs,
            "silences": lambda key: key in state.silences,
            "overrides": lambda key: key in state.overrides,
            "contacts": lambda key: key in state.contacts,
        }
        nouns = {
            name: [self._row(name, key) for key in rows if live.get(name, lambda key: True)(key)]
            for name, rows in self._rows.items()
        }
        counters = msgspec.json.decode(msgspec.json.encode(state.counters), type=Counters)
        self._begun.clear()
        self._engine = Engine(Loaded(counters=counters, **nouns), self.plan, sources())
        self.now += 2 * SECOND
        self._deep += 1
        self._apply(Deaf(last, self.now))
        self._apply(self._engine.under_way())
        self._deep -= 1
        self._carry_out()
