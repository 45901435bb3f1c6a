"""Requests that could not be read: kept, and a person is told."""

from __future__ import annotations

from tocsin.access.credentials import Key
from tocsin.engine import ending
from tocsin.engine.hearing import own_event
from tocsin.engine.records import Parked
from tocsin.engine.turn import Turn
from tocsin.intake.request import Request
from tocsin.kernel.instant import MINUTE
from tocsin.kernel.reason import Reason

FOLD_PARKED = 10 * MINUTE
MOST_PARKED = 1_000
MOST_PARKED_BYTES = 64 * 1024 * 1024


def park(turn: Turn, key: Key | None, service: str, request: Request, fault: str) -> None:
    """Keep a request that could not be read, and have a person told: one incident per key and ten minutes."""
    origin = turn.plan.service(key.service if key else service).key
    parked = Parked(id=turn.seq, at=turn.now, key_id=key.id if key else 0, service=origin, fault=fault, request=request)
    turn.state.parked[parked.id] = turn.changes.parked[parked.id] = parked
    _make_room(turn)
    turn.count("events", Reason.PARKED_REQUEST)
    fold = f"parked:{parked.key_id}:{turn.now // FOLD_PARKED}"
    name = f"key {key.name or key.hint}" if key else "Tocsin itself"
    own_event(
        turn,
        origin,
        fold,
        f"A request from {name} could not be read: {fault}"[:300],
        "error",
        {"key": str(parked.key_id)},
        annotations={"parked": str(parked.id)},
        name="RequestParked",
    )
    alert = ending.own_alert(turn, origin, fold)
    parked.incident = alert.incident if alert else 0


def _make_room(turn: Turn) -> None:
    """Parked requests are held in memory whole: the oldest go when they are too many. The journal has them still."""
    parked = turn.state.parked
    held = sum(len(one.request.body) for one in parked.values())
    while len(parked) > MOST_PARKED or (held > MOST_PARKED_BYTES and len(parked) > 1):
        oldest = parked.pop(min(parked))
        held -= len(oldest.request.body)
        oldest.discarded = True
        turn.changes.parked[oldest.id] = oldest
