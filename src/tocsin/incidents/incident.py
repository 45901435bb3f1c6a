"""An Incident: what people respond to. Its states, and when something about it is due."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

from msgspec import Struct

from tocsin.catalog.services import Urgency
from tocsin.escalation.policy import Step
from tocsin.kernel.instant import Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.kernel.stretches import Stretches, add, drop, has, spans

IncidentState = Literal["triggered", "acknowledged", "resolved"]


class Tick(Struct, frozen=True):
    """Who did a step of a checklist, and when. ``text``: the step as it was then, for when the plan has it no more."""

    by: str
    at: Instant
    text: str


class Work(Struct, frozen=True, omit_defaults=True):
    """What code did about one target of an incident, or why it did nothing there.

    ``targets``: their names; () for the service as a whole. ``run``: its number, 0 when none was written down.
    ``outcome``: "" while it lives, else what the run came to; ``blocked`` when none was let begin, ``unmatched`` when
    the playbook itself said that it is not meant, ``put_off`` when somebody had put its alerts off, ``waits`` when its
    turn comes once another run on the same system is over, ``cancelled`` also when a person stopped that one.
    ``why``: a sentence.

    ``awaits``: that other run, which is over ``until`` at the latest, and ``since`` when the first of them was waited
    for. ``pages_until``: so long pages wait for it: of what ``waits``, and of what was ``not_needed`` or
    ``blocked`` because another run had just fixed the same system, whose alerts get their time to end. 0: they do not.
    """

    playbook: str
    targets: tuple[str, ...] = ()
    run: int = 0
    outcome: str = ""
    why: str = ""
    awaits: int = 0
    since: Instant = 0
    until: Instant = 0
    pages_until: Instant = 0

    @property
    def waiting(self) -> bool:
        """Whether its turn is yet to come, once another run is over."""
        return self.outcome == "waits"

    @property
    def passes_on(self) -> bool:
        """Whether the next playbook that answers the same alert has its turn."""
        return self.outcome in ("blocked", "unmatched")


class Snoozed(Struct, omit_defaults=True):
    """What somebody put off who resolved an incident while alerts fired: the ids of these ``alerts``, as ``stretches``
    has them, and how grave, how urgent and of which customer all of it was. One that ends and fires again hands its
    place to the alert that it fires as, so these do not become more.

    ``over_at``: all of these have ended, and if they stay quiet nothing is put off any more then; None while one fires.
    """

    alerts: Stretches
    severity: str
    urgency: Urgency
    customer_tier: str = ""
    over_at: Instant | None = None

    def has(self, alert: int) -> bool:
        """Whether an alert is one of these."""
        return has(self.alerts, alert)

    def among(self, firing: Set[int]) -> bool:
        """Whether one of these is among others. Few are looked for in many."""
        if len(firing) < len(self.alerts):
            return any(map(self.has, firing))
        return any(
            any(one in span for one in firing) if len(firing) < len(span) else not firing.isdisjoint(span)
            for span in spans(self.alerts)
        )

    def hand_over(self, alert: int, to: int) -> None:
        """One fires again, as another."""
        if alert != to:
            drop(self.alerts, alert)
            add(self.alerts, to)

    def leave_out(self, alert: int) -> None:
        """One is more than was put off."""
        drop(self.alerts, alert)


class Owed(Struct, frozen=True):
    """Repetitions of a step that reached nobody, so that the next was paged at once: the ``round`` paged ``at``."""

    step: int
    round: int
    at: Instant


def opened_after(reopened_at: Instant | None, page_at: Instant) -> bool:
    """See ``Incident.opened_after``."""
    return reopened_at is not None and page_at < reopened_at


class Incident(Struct, kw_only=True, omit_defaults=True):
    """One incident, ``number`` short and counting up.

    Escalation: ``steps`` is the snapshot taken when it opened (or was reopened),
    ``step`` and ``round`` say what is paged next, ``next_at`` when (kept in ``resume_at`` while paused).
    ``waits`` names why ``next_at`` is not the step's own time: of low urgency later, where nobody was reached sooner.
    ``owed``: steps that were passed over because nobody took their pages are repeated as they say all the same.
    ``vain``: how often its escalation has begun since a page reached somebody; ``said``: the lines written of that.
    ``urgency`` is that of its most urgent alert; low waits for people's mornings.
    ``customer_tier``: the highest of the customers its alerts are about; "" when nothing says it.
    ``responders``: persons somebody added by hand.
    ``paused`` names why nothing is paged now although it is open, ``paused_until`` when that ends.
    ``acknowledged_until``: when an acknowledgement stops holding. ``clear_at``: when it resolves
    if its alerts stay quiet.
    ``quiet``: how long its alerts must stay quiet before it resolves, as the slowest of their sources asks.
    ``snoozed_until``: resolved by hand while alerts fired, which are ``snoozed``; these are judged again then, also
    when another has opened it meanwhile.
    ``keep_until``: until when trouble reopens it. ``lingers_until``: nothing reopens it any more, and it is kept for
    its pages; looked at again then. ``note``: the last one somebody wrote, shortened.
    ``reopened_at``: when it was reopened last, ``began_at``: when what fired then was first heard; None before.
    ``answers``: persons who acknowledged where that takes several, and until when that holds: they are not paged
    meanwhile. Empty unless it is triggered.
    ``considered``: it was looked whether a playbook answers it. ``hold_until``: until when at the latest pages wait for
    ``run``, its last run. ``checklists``: those that are for it; ``ticks``: of each, the steps people did, by id.
    ``works``: what code did since it was opened or reopened, by playbook and target. ``lifted``: why its pages wait
    for code no longer; ``held``: how long they have waited, before ``held_since``, when they began to wait now.
    ``put_off``: by playbook and target, what somebody put off who resolved it while alerts fired; code begins nothing
    there if another alert opens it again.
    ``called``: people were paged, or somebody had it, since then: what code begins by itself has no page wait any more.
    ``tried``: what code found and did, a sentence each, for whoever is paged. ``fixes``: how many it has begun
    since then.
    """

    number: int
    service: str
    group: str
    title: str
    severity: str
    state: IncidentState = "triggered"
    reason: Reason = Reason.OPENED
    opened_at: Instant
    updated_at: Instant
    last_joined: Instant
    window: Duration = 0
    quiet: Duration = 0
    alerts: int = 0
    plan: str = ""
    steps: tuple[Step, ...] = ()
    step: int = 0
    round: int = 0
    laps: int = 0
    next_at: Instant | None = None
    resume_at: Instant | None = None
    urgency: Urgency = "high"
    waits: Reason | None = None
    responders: tuple[str, ...] = ()
    paused: Reason | None = None
    paused_until: Instant | None = None
    pages: int = 0
    acknowledged_by: str = ""
    acknowledged_at: Instant | None = None
    acknowledged_until: Instant | None = None
    first_acknowledged_at: Instant | None = None
    clear_at: Instant | None = None
    ends_for: Reason | None = None
    """Why it resolves at ``clear_at``, when its alerts did not end by themselves: the plan leaves out what they watch.
    """
    resolved_by: str = ""
    resolved_at: Instant | None = None
    snoozed_until: Instant | None = None
    snoozed: Snoozed | None = None
    keep_until: Instant | None = None
    lingers_until: Instant | None = None
    reopened: int = 0
    reopened_at: Instant | None = None
    began_at: Instant | None = None
    labels: dict[str, str] = {}
    note: str = ""
    answers: dict[str, Instant] = {}
    considered: bool = False
    hold_until: Instant | None = None
    run: int = 0
    works: dict[str, Work] = {}
    lifted: Reason | None = None
    put_off: tuple[str, ...] = ()
    called: bool = False
    held: Duration = 0
    held_since: Instant | None = None
    tried: tuple[str, ...] = ()
    fixes: int = 0
    customer_tier: str = ""
    checklists: tuple[str, ...] = ()
    ticks: dict[str, dict[str, Tick]] = {}
    owed: tuple[Owed, ...] = ()
    vain: int = 0
    said: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it is not resolved."""
        return self.state != "resolved"

    @property
    def kept_quiet(self) -> bool:
        """Whether nobody is paged for a while although nobody has it: silenced, clearing, or code is on it."""
        return self.state == "triggered" and self.paused is not None

    @property
    def since(self) -> Instant:
        """Since when it goes on, or did until it was resolved; the time it was resolved in between is none of that."""
        return self.began_at or self.opened_at

    @property
    def open_since(self) -> Instant:
        """When it was opened, or reopened last."""
        return self.reopened_at or self.opened_at

    def opened_after(self, page_at: Instant) -> bool:
        """Whether it was opened again since a page was written down, which is not of this trouble then."""
        return opened_after(self.reopened_at, page_at)

    def helped_by(self, call_at: Instant) -> bool:
        """Whether a call for help that was written down then is answered by coming to help: whoever has it still has
        it then. One of before it was opened again is of other trouble, for which nobody was asked.
        """
        return self.state == "acknowledged" and not self.opened_after(call_at)

    @property
    def given_until(self) -> Instant | None:
        """When the first of its works that pages wait for by themselves has had its time."""
        there = (one.pages_until for one in self.works.values() if one.pages_until)
        return min(there, default=None) if self.open else None

    @property
    def told_by(self) -> int:
        """The run whose advice whoever is paged reads: the last that was handed over, else the last."""
        handed = (one.run for one in self.works.values() if one.outcome == "handed_over")
        return max(handed, default=self.run)

    @property
    def needed(self) -> int:
        """How many people have to answer before nobody is paged any more: what the steps paged so far ask for."""
        paged = max(1, self.step + (1 if self.round else 0))
        return max((step.answers for step in (self.steps if self.laps else self.steps[:paged])), default=1)

    def given_to(self, person: str) -> bool:
        """Whether somebody gave it to a person: then their answer is enough, whatever its steps ask for."""
        return any(step.given and f"person:{person}" in step.targets for step in self.steps)

    @property
    def noted(self) -> str:
        """Says to whoever answered, and is not enough alone, what that is worth. Without its full stop."""
        have = f"{len(self.answers)} of {self.needed} have incident #{self.number}"
        return f"Noted: {have}; the others are still paged"

    def due(self) -> Instant | None:
        """The next instant at which something about it happens by itself, or None when nothing is pending."""
        due = self.next_at
        for moment in (
            self.acknowledged_until, self.clear_at, self.snoozed_until, self.lingers_until or self.keep_until,
            self.hold_until, self.snoozed.over_at if self.snoozed is not None else None,
        ):  # fmt: skip
            if moment is not None and (due is None or moment < due):
                due = moment
        for one in self.owed:
            due = one.at if due is None else min(due, one.at)
        if self.works and (given := self.given_until) is not None:
            due = given if due is None else min(due, given)
        if self.answers:  # nearly never: this is asked at every turn
            due = min(self.answers.values()) if due is None else min(due, *self.answers.values())
        return due


class Entry(Struct, kw_only=True, gc=False, omit_defaults=True):
    """One line of an incident's timeline.

    ``reason`` is the because; ``actor`` is ``person:ana``, ``code`` or ``source:…``.
    """

    incident: int
    at: Instant
    what: str
    reason: Reason
    actor: str = "code"
    detail: dict[str, str] = {}
