"""What the referee knows of trouble: its alerts, its incident, and where that one's escalation stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.simulation.clocks import SECOND
from bench.simulation.landscape import Step

MINUTE = 60 * SECOND
BUNDLED_WITHIN = 30 * SECOND
APART = 2 * MINUTE
AFTER_THE_LAST = 30 * MINUTE
AFTER_DEAFNESS = 5 * MINUTE
REMINDED = 15 * MINUTE
REMEMBERED = 15 * MINUTE
"""An alert that ended and fires again within less is the one it was."""
LONGEST_PASS = 30 * 24 * 60 * MINUTE
"""Nobody asks who was on call longer ago: a ``next`` step counts from when the same pass paged its rota."""
UNMET = -1
"""The number of an incident that was opened and has not been heard of yet."""
STEPS = frozenset({"step_due", "step_repeated", "escalation_exhausted", "last_resort"})


class Foul(AssertionError):
    """The engine broke a rule. The message says which, for what, and when."""


def foul(what: str, case: Case | None, now: int) -> Foul:
    """What is wrong, with all that is known of the case."""
    return Foul(f"at {now}: {what}; {case}")


@dataclass
class Alarm:
    """An alert that fires. ``ends``: when it expires. ``silences``: those that cover it, with their ends."""

    instance: str
    heard: int
    ends: int | None
    silences: dict[str, int] = field(default_factory=dict)
    deaf_until: int = 0
    """Time in which nothing could be heard is counted up to here."""
    home: bool = False
    """Whether it belongs to the case's incident: what came while silenced, and none was open, does not."""


@dataclass
class Case:
    """One group of trouble: its alerts, and its incident (``number`` 0: none was opened yet)."""

    service: str
    name: str
    severity: str
    number: int = 0
    state: str = "none"
    reopened: int = -1
    """When it was opened again last."""
    alarms: dict[str, Alarm] = field(default_factory=dict)
    put_off: set[str] = field(default_factory=set)
    """The alerts a snooze is of: those that fired when a person resolved it, until all of them have ended."""
    ended: dict[str, int] = field(default_factory=dict)
    """When alerts of the incident ended last."""
    steps: tuple[Step, ...] = ()
    step: int = 0
    round: int = 0
    under_way: int | None = None
    """The step that was paged last; None while none was."""
    paged: set[str] = field(default_factory=set)
    """Everybody its incident paged."""
    due: int | None = None
    held_until: int | None = None
    snoozed_until: int | None = None
    keep_until: int | None = None
    paused: bool = False
    resume: int | None = None
    waits: bool = False
    watched: int | None = None
    """When it is on the agenda."""
    judged: int = -1
    """When a step of it was due last."""
    quieted: int = -1
    """When what had not left yet was withdrawn last."""
    asked: dict[int, int] = field(default_factory=dict)
    """When each step of its incident last wrote pages down."""
    owed: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Steps that reached nobody and say that they are repeated: from when on, and how often at most."""
    asked_whom: dict[int, set[str]] = field(default_factory=dict)
    """Whom each step of its incident paged."""
    kept: list[tuple[int, str, str, int]] = field(default_factory=list)
    """What was owed while it was paused, and is owed again when it goes on: since when, to whom, by which way, step."""
    went_on: int = -1
    """When it was paused no more last."""
    relieved: set[int] = field(default_factory=set)
    """The steps whose message had not left by then to somebody whom they do not mean any more."""

    @property
    def at_home(self) -> list[Alarm]:
        """The alerts of its incident that fire."""
        return [one for one in self.alarms.values() if one.home]

    @property
    def loud(self) -> bool:
        """Whether some alert of its incident fires that nothing silences."""
        return any(not one.silences for one in self.at_home)

    @property
    def open(self) -> bool:
        """Whether somebody has to see to it, or does."""
        return self.state in ("triggered", "acknowledged")

    @property
    def wanted(self) -> bool:
        """Whether somebody has to be paged for it."""
        return self.state == "triggered" and not self.paused
