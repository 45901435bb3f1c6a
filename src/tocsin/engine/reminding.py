"""What a silence's author is told: that it ends soon, and that it has ended. Many at once are one message."""

from __future__ import annotations

from tocsin.access.actors import called, person_of
from tocsin.catalog.people import Person
from tocsin.engine import ledger, methods, paging
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import MINUTE, Instant
from tocsin.kernel.reason import Reason
from tocsin.oncall.zone import said
from tocsin.pages.ledger import Page
from tocsin.silences.silence import Silence

MOST_LINES = 10
ENDS = {Reason.SILENCE_ENDS_SOON: "end soon", Reason.SILENCE_ENDED: "have ended"}


def ends_soon(turn: Turn, silence: Silence) -> None:
    """A silence ends soon. It wakes nobody unless something fires under it; who sleeps until it has ended is told then.

    It waits a little for others that end just then, as a script's do.
    """
    fires = any(silence.id in alert.silences for alert in turn.state.alerts.values() if alert.firing)
    until = turn.now + min(MINUTE, (silence.ends_at - turn.now) // 4)
    for person, whose in _author(turn, silence):
        if fires or (methods.morning(turn, person) or turn.now) < silence.ends_at:
            becomes = f"ends {said(silence.ends_at, person.timezone)} ({person.timezone})"
            _tell(turn, person, silence, Reason.SILENCE_ENDS_SOON, f"{whose} {becomes}", until, urgent=fires)
    turn.count("silences", Reason.SILENCE_ENDS_SOON)


def kept_quiet(turn: Turn, silence: Silence) -> int:
    """How many alerts a silence keeps quiet."""
    return sum(silence.id in alert.silences for alert in turn.state.alerts.values())


def ended_early(turn: Turn, silence: Silence, actor: str, quiet: int) -> None:
    """Somebody has ended a silence before its time: its author is told, unless it was them. ``quiet``: as there.

    By a key nobody knows who it was, and who uses one is mostly the author: amtool at the other end of it.
    """
    known = turn.plan.known_as.get(silence.author.strip().lower(), ())
    if known and not actor.startswith("key:") and person_of(actor) not in {person.key for person in known}:
        ended(turn, silence, quiet, f"was ended by {called(actor, turn.plan.names)}")
    else:
        turn.count("silences", Reason.SILENCE_ENDED)


def ended(turn: Turn, silence: Silence, quiet: int, how: str = "has ended") -> None:
    """A silence has ended. ``quiet``: how many alerts still fire that it kept quiet."""
    kept = f"{quiet:,} alerts it kept quiet still fire" if quiet != 1 else "1 alert it kept quiet still fires"
    what = f"{how}{f'; {kept}' if quiet else ''}"
    for person, whose in _author(turn, silence):
        urgent = quiet > 0
        _tell(turn, person, silence, Reason.SILENCE_ENDED, f"{whose} {what}", turn.now + MINUTE, urgent=urgent)
    turn.count("silences", Reason.SILENCE_ENDED)


def _author(turn: Turn, silence: Silence) -> list[tuple[Person, str]]:
    """Who is told, and whose silence it is to them: its author where the plan knows them by name or address, else the
    last resort.
    """
    known = turn.plan.known_as.get(silence.author.strip().lower(), ())
    whose = "Your silence" if known else f"The silence of {silence.author.strip()[:100] or 'nobody'}"
    people = known or turn.plan.people_of(turn.plan.last_resort, turn.now, turn.state.covers)
    return [(person, whose) for person in people]


def _tell(
    turn: Turn, person: Person, silence: Silence, reason: Reason, becomes: str, until: Instant, *, urgent: bool
) -> None:
    title = f"{becomes}: {' '.join(str(m) for m in silence.matchers)}"
    row = next((one for one in turn.state.pages_of.get(0, {}).values() if _takes(one, person, reason, urgent)), None)
    if row is None:
        urgency = "high" if urgent else "low"
        paging.notice(turn, person, reason, title, silence=silence.id, urgency=urgency, together=until)
        return
    row.lines = row.lines or (row.title,)
    if len(row.lines) < MOST_LINES:
        row.lines, row.silence = (*row.lines, title), f"{row.silence} {silence.id}"
    row.gathered = max(row.gathered, 1) + 1
    _name(row)
    turn.save_page(row)


def _name(row: Page) -> None:
    if row.gathered == 1 and row.lines:
        (row.title,), row.lines, row.gathered = row.lines, (), 0
    else:
        more = f", {len(row.lines)} of them" if row.gathered > len(row.lines) else ""
        row.title = f"{row.gathered:,} silences {ENDS[row.reason]}{more}"


def changed(turn: Turn, silence: Silence) -> None:
    """A silence was changed, or is over before its time: that it ends soon is not said any more by what still waits."""
    for row in list(turn.state.pages_of.get(0, {}).values()):
        names = row.silence.split()
        if row.reason is not Reason.SILENCE_ENDS_SOON or not row.planned or silence.id not in names:
            continue
        if row.gathered <= 1:
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)
            continue
        at = names.index(silence.id)
        row.silence = " ".join(names[:at] + names[at + 1 :])
        row.lines, row.gathered = row.lines[:at] + row.lines[at + 1 :], row.gathered - 1
        _name(row)
        turn.save_page(row)


def _takes(row: Page, person: Person, reason: Reason, urgent: bool) -> bool:
    """Whether a message that waits can say so as well: what is urgent does not wait for somebody's morning."""
    alike = row.silence and row.person == person.key and row.reason is reason and row.planned
    return bool(alike) and not (urgent and row.held is Reason.QUIET_HOURS)
