"""Silences as people set, change and end them."""

from __future__ import annotations

from datetime import UTC, datetime

from tocsin.engine import commands as c
from tocsin.engine import reminding, ticking
from tocsin.engine.commands import refuse
from tocsin.engine.turn import Turn
from tocsin.kernel.identity import identity, uuid_text
from tocsin.kernel.instant import Instant, from_datetime
from tocsin.kernel.reason import Reason
from tocsin.silences.silence import Silence

LAST_INSTANT = from_datetime(datetime(9999, 12, 31, tzinfo=UTC))


def set_silence(turn: Turn, command: c.SetSilence) -> c.Result:
    """Make a silence, or change one: in place, or by another that follows it."""
    refusal = _fault(command, turn.now)
    if refusal is not None:
        return refusal
    now, state = turn.now, turn.state
    starts = max(command.starts_at, now)
    old = state.silences.get(command.id) if command.id else None
    if command.id and (old is None or (command.origin and old.origin != command.origin)):
        return refuse("not_found", f"There is no silence {command.id} that could be changed")
    if old is not None:
        # What it has kept quiet stays true: another beginning only for one that is to come, and only to come.
        # Matchers are compared in their order, as Alertmanager does.
        match old.state(now):
            case "pending":
                in_place = command.starts_at >= now
            case "active":
                in_place = command.starts_at == old.starts_at
            case "expired":
                in_place = False
        if in_place and old.matchers == command.matchers:
            old.comment, old.author, old.ends_at, old.updated_at = command.comment, command.author, command.ends_at, now
            old.starts_at = command.starts_at
            old.reminded = False
            reminding.changed(turn, old)
            return _silence_changed(turn, old, Reason.SILENCE_CHANGED)
        if old.state(now) == "expired":
            ticking.close(turn, old)
        else:
            _end(turn, old)
    silence = Silence(
        id=uuid_text(identity("silence", str(turn.seq))),
        matchers=command.matchers,
        author=command.author,
        comment=command.comment,
        starts_at=starts,
        ends_at=command.ends_at,
        created_at=now,
        updated_at=now,
        origin=command.origin,
    )
    state.silences[silence.id] = silence
    return _silence_changed(turn, silence, Reason.SILENCE_CREATED, *([old] if old is not None else ()))


def _silence_changed(turn: Turn, silence: Silence, reason: Reason, *replaced: Silence) -> c.Result:
    turn.changes.silences[silence.id] = silence
    silence.begun = silence.state(turn.now) == "active"
    turn.state.timers.set("silence", silence.id, silence.due())
    turn.count("silences", reason)
    ticking.rejudge(turn, silence, *replaced)
    return c.Result(ok=True, reason=reason, id=silence.id)


def _end(turn: Turn, silence: Silence) -> None:
    silence.starts_at = min(silence.starts_at, turn.now)
    silence.ends_at = silence.updated_at = turn.now
    silence.closed = True
    del turn.state.silences[silence.id]
    turn.changes.silences[silence.id] = silence
    reminding.changed(turn, silence)


def expire(turn: Turn, command: c.ExpireSilence) -> c.Result:
    """End a silence now."""
    silence = turn.state.silences.get(command.id)
    if silence is None or (command.origin and silence.origin != command.origin):
        return refuse("not_found", f"There is no silence {command.id} in force")
    quiet = reminding.kept_quiet(turn, silence)
    _end(turn, silence)
    ticking.rejudge(turn, silence)
    reminding.ended_early(turn, silence, command.actor, quiet)
    return c.Result(ok=True, reason=Reason.SILENCE_ENDED, id=silence.id)


def _fault(command: c.SetSilence, now: Instant) -> c.Result | None:
    """Why no silence can be as it is asked for; None when it can."""
    if not command.matchers:
        return refuse("invalid", "A silence needs at least one matcher", "matchers")
    # As in Alertmanager a negative matcher always counts as one that says something.
    if not command.everything and all(m.operator in ("=", "=~") and m.matches({}) for m in command.matchers):
        return refuse(
            "invalid",
            "At least one matcher must not match the empty string, or it would silence everything",
            "matchers",
        )
    if command.ends_at <= command.starts_at:
        return refuse("invalid", "A silence must end after it begins", "ends_at")
    if command.ends_at <= now:
        return refuse("invalid", "A silence cannot end in the past", "ends_at")
    if command.ends_at > LAST_INSTANT:
        return refuse("invalid", "A silence must end before the year 10000", "ends_at")
    if not command.comment.strip():
        return refuse("invalid", "A silence needs a comment: why", "comment")
    if not command.author.strip():
        return refuse("invalid", "A silence needs an author", "author")
    return None
