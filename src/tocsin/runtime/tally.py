"""How many alerts fire, counted in the engine's memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tocsin.alerts.alert import Alert
from tocsin.engine.state import State
from tocsin.runtime.line import Firing


def firing(state: State, incident: int, newest: int = 0) -> Firing:
    """How many alerts fire, of an incident or (0) of all, and how many of them each silence keeps quiet.

    ``newest``: so many of those a page of the incident is about are named, and all of these counted.

    From any thread: what may change meanwhile is copied in one step. Of 50,000 alerts it takes a few milliseconds, and
    of an incident as long as its silenced ones are many.
    """
    if not incident:
        alive = [alert for alert in list(state.alerts.values()) if alert.state == "firing"]
        return Firing(len(alive), _quiet(alert for alert in alive if alert.silences))
    members = state.members.get(incident)
    if members is None:
        return Firing(0)
    silenced = (state.alerts.get(id) for id in list(members.silenced))
    quiet = _quiet(alert for alert in silenced if alert is not None)
    if not newest:
        return Firing(len(members.firing), quiet)
    told = members.told
    named = (state.alerts.get(id) for id in told[: -newest - 1 : -1])
    return Firing(len(members.firing), quiet, len(told), tuple(one.title for one in named if one is not None))


def _quiet(alerts: Iterable[Alert]) -> dict[str, int]:
    return dict(Counter(name for alert in alerts for name in alert.silences))
