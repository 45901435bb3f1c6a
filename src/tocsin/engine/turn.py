"""One turn of the engine: what one input is judged with, and the small moves all judges share."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.alerts.alert import Alert
from tocsin.engine.state import Changes, Members, State
from tocsin.incidents.incident import Entry, Incident
from tocsin.intake.request import Source
from tocsin.kernel.instant import Instant
from tocsin.kernel.matcher import Matcher
from tocsin.kernel.reason import Reason
from tocsin.pages.contacts import Contact
from tocsin.pages.ledger import Page
from tocsin.plan.model import Covers, Plan, Reached
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.trust import Standing
from tocsin.silences.silence import Silence

SYSTEM = "code"


class Turn:
    """Hands a judge everything it may look at, and keeps note of what it changes."""

    __slots__ = (
        "_behind", "_behind_of", "apart", "changes", "now", "plan", "seq", "sources", "state", "touched", "waited",
    )  # fmt: skip

    def __init__(
        self, state: State, plan: Plan, sources: Mapping[str, Source], changes: Changes, seq: int, now: Instant
    ) -> None:
        self.state = state
        self.plan = plan
        self.sources = sources
        self.changes = changes
        self.seq = seq
        self.now = now
        self.touched: dict[int, None] = {}
        """Incidents to settle before the turn ends, in the order they were touched."""
        self.waited = False
        """Whether what is heard lay in a socket while nothing could be heard."""
        self.apart: tuple[tuple[int, int], Mapping[Matcher | None, list[Silence]]] | None = None
        """See ``apart``: silences in force, found once, and how many there were and were changed by then."""
        self._behind: dict[tuple[str, ...], tuple[Reached, ...]] = {}
        self._behind_of: tuple[Plan, Covers] = plan, state.covers

    def behind(self, targets: tuple[str, ...]) -> tuple[Reached, ...]:
        """Who is behind targets now. A step that is due asks this several times, and a storm for many incidents."""
        plan, covers = self._behind_of
        if plan is not self.plan or covers is not self.state.covers:
            self._behind_of = self.plan, self.state.covers
            self._behind.clear()
        found = self._behind.get(targets)
        if found is None:
            found = self._behind[targets] = self.plan.reached_by(targets, self.now, self.state.covers)
        return found

    def save_alert(self, alert: Alert) -> None:
        """An alert was changed; its timer follows."""
        self.state.watch_alert(alert)
        self.state.concerned.changed(alert)
        self.state.wanted.changed(alert)
        if alert.id not in self.changes.new_alerts:
            self.changes.alerts[alert.id] = alert
        elif not alert.firing:
            self.changes.brief_alerts[alert.id] = alert

    def saw_alert(self, alert: Alert) -> None:
        """An alert was heard again, unchanged; its timer follows."""
        self.state.watch_alert(alert)
        if alert.id not in self.changes.new_alerts and alert.id not in self.changes.alerts:
            self.changes.seen_alerts[alert.id] = alert

    def save_incident(self, incident: Incident) -> None:
        """An incident was changed; its timer follows."""
        incident.updated_at = self.now
        self.changes.incidents[incident.number] = incident
        self.state.watch_incident(incident)

    def save_counts(self, incident: Incident) -> None:
        """Nothing of an incident was changed that has a time or a state."""
        incident.updated_at = self.now
        self.changes.incidents[incident.number] = incident

    def save_page(self, page: Page) -> None:
        """A page was changed; its timer follows."""
        self.changes.pages[page.id] = page
        if page.state == "intended":
            self.state.timers.set("page", page.id, page.next_at)
        self.state.gather(page)

    def save_contact(self, contact: Contact) -> None:
        """A contact method was changed."""
        self.changes.contacts[contact.id] = contact

    def save_run(self, run: Run) -> None:
        """A run was changed; its timer and its locks follow."""
        self.changes.runs[run.number] = run
        self.state.watch_run(run)

    def save_step(self, step: Step) -> None:
        """A step of a run was changed. Those of runs that live are kept in mind."""
        self.changes.steps[step.run, step.ordinal] = step
        self.state.steps.setdefault(step.run, {})[step.ordinal] = step

    def save_standing(self, standing: Standing) -> None:
        """How a playbook stands was changed; its timer follows."""
        self.changes.standings[standing.service, standing.playbook] = standing
        self.state.timers.set("standing", f"{standing.service}/{standing.playbook}", standing.next_at)

    def touch(self, number: int) -> None:
        """An incident's alerts changed: settle it before the turn ends."""
        if number:
            self.touched[number] = None

    def enter(self, incident: int, what: str, reason: Reason, actor: str = SYSTEM, **detail: str) -> None:
        """Write one line on an incident's timeline."""
        self.state.counters.entry += 1
        entry = Entry(incident=incident, at=self.now, what=what, reason=reason, actor=actor, detail=detail)
        self.changes.entries.append((self.state.counters.entry, entry))
        self.count("decisions", reason)

    def count(self, kind: str, reason: str) -> None:
        """Count a decision for the metrics."""
        self.changes.counted[kind, reason] += 1

    def members(self, incident: Incident) -> Members:
        """The alerts of a live incident that fire."""
        return self.state.members[incident.number]
