"""The silence by which somebody has a system apart: in force, and over whatever alert is about it."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.engine.turn import Turn
from tocsin.kernel.matcher import Matcher, implied
from tocsin.silences.silence import Silence


def silence_on(turn: Turn, lock: str) -> Silence | None:
    """The silence in force that keeps every alert quiet that is about a target, or about a system that other services
    have too; of several the one that began first.
    """
    if not turn.state.silences:
        return None
    bindings, there = turn.plan.bindings, _in_force(turn)
    targets = [one for one in map(bindings.held_by, bindings.alike([lock])) if one is not None]
    return min(
        (
            one
            for target in targets
            for what in (*target.match, None)
            for one in there.get(what, ())
            if (not one.origin or one.origin == target.service) and implied(one.matchers, target.match)
        ),
        key=lambda one: (one.starts_at, one.id),
        default=None,
    )


def _in_force(turn: Turn) -> Mapping[Matcher | None, list[Silence]]:
    """The silences in force by what a target's own matchers have to say for one to cover it; None: by nothing. They are
    gone through once for all targets that are asked about.
    """
    state, changed = turn.state, len(turn.changes.silences)
    if turn.apart is None or turn.apart[0] != (len(state.silences), changed):
        found: dict[Matcher | None, list[Silence]] = {}
        for one in state.silences.values():
            if one.state(turn.now) == "active":
                equal = next((what for what in one.matchers if what.operator == "=" and what.value), None)
                found.setdefault(equal, []).append(one)
        turn.apart = (len(state.silences), changed), found
    return turn.apart[1]
