"""Five years of nights against rules written a second time, and whether those rules would notice a fault."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from bench.simulation.cases import Foul
from bench.simulation.run import Size, simulate
from tocsin.engine import calling, covering, deafness, engine, methods, paging, placing, settling, ticking
from tocsin.engine.state import State
from tocsin.escalation.decide import Call, escalate
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import MINUTE
from tocsin.oncall.roster import Roster
from tocsin.silences import silence
from tocsin.store.sqlite import FILE

CI = Size(incidents=5_000, editions=4)
SMALL = Size(people=60, schedules=12, years=1, incidents=300, editions=3, each=5)


def test_five_years_of_a_thousand_people_break_no_rule(tmp_path):
    """Every step at its instant, nobody off shift, no page while somebody has it, no quiet without an end."""
    told = simulate(CI, 20_261_127, tmp_path)
    assert told.incidents > 4_900
    assert told.steps > 2 * told.incidents
    assert min(told.by_year) > sum(told.by_year) / 7, "something breaks all the time"
    assert min(told.restarts, told.deaf, told.plans, told.overrides, told.absent, told.silences, told.refused) >= 5
    assert {"acknowledged", "waiting_for_answer", "quiet_hours", "silenced", "snoozed"} <= set(told.reasons)


def _late(*asked: Any) -> Call:
    call = escalate(*asked)
    return call._replace(next_at=call.next_at + 1)


def _skips_one(*asked: Any) -> Call:
    call = escalate(*asked)
    return call._replace(step=call.step + 1) if call.step == 1 else call


def _forgets_who_waits(state: State, loaded: Any, init: Callable[..., None] = State.__init__) -> None:
    """After a stop, what was due next is not known any more."""
    init(state, loaded)
    for incident in state.incidents.values():
        incident.next_at = None if incident.number % 2 else incident.next_at


FAULTS: dict[str, tuple[object, str, Any]] = {
    "a step that comes a microsecond late": (calling, "escalate", _late),
    "a step that is left out": (calling, "escalate", _skips_one),
    "a shift that is read an hour late": (
        Roster, "who", lambda self, at, covers=(), who=Roster.who: who(self, at - 60 * MINUTE, covers)
    ),
    "overrides that do not count": (Roster, "who", lambda self, at, covers=(), who=Roster.who: who(self, at)),
    "holidays that do not count": (covering, "away_covers", lambda *asked: ()),
    "entries of a calendar that do not count": (covering, "rota_covers", lambda *asked: ()),
    "pages that are not withdrawn": (paging, "withdraw", lambda *a, **k: None),
    "an acknowledgement that never ends": (settling, "unacknowledge", lambda turn, incident: None),
    "a silence that covers what it does not name": (
        silence.Silence, "covers", lambda self, labels, origin: bool(self.matchers)
    ),
    "a silence after which nothing is judged again": (ticking, "rejudge", lambda turn, changed="": None),
    "nights in which people are woken for little": (methods, "quiet_until", lambda *a: None),
    "a stop that forgets who waits": (engine, "State", type("Forgetful", (State,), {"__init__": _forgets_who_waits})),
    "nobody paged in the stead of a step that has nobody": (paging, "_stand_in", lambda *a: None),
    "one who cannot be reached stands for several": (
        calling, "whom", lambda turn, incident, call: _first_of(turn, incident, call)
    ),
    "turns that follow the numbers of all incidents": (
        calling, "whom", lambda turn, incident, call, whom=calling.whom: _by_number(turn, incident, call, whom)
    ),
    "a turn that is not remembered": (calling, "takes_turn", lambda *a: None),
    "a channel's refusal that nobody acts on": (paging, "next_method", lambda turn, row: None),
    "deaf time that counts as silence of the monitors": (deafness, "survived", lambda turn, alert: 0),
    "a snooze that holds for all that joins": (
        placing, "_whose", lambda turn, alert, home, whose=placing._whose: (whose(turn, alert, home)[0], True)
    ),
    "a snooze that ends with any alert that fires again": (placing, "home_of", lambda turn, alert: placing.Home()),
    "a step that asks for graver incidents and is paged all the same": (
        calling, "unmet", lambda turn, incident, step: ""
    ),
    "steps of the plan in force instead of the incident's own": (
        paging, "escalate_now", lambda turn, incident, go=paging.escalate_now: _by_the_plan_now(turn, incident, go)
    ),
}  # fmt: skip


def _first_of(turn: Any, incident: Incident, call: Call) -> Any:
    found = turn.plan.reached_by(call.targets, turn.now, turn.state.covers)
    step = incident.steps[call.at_step] if call.at_step < len(incident.steps) else None
    return found[:1] if step is not None and step.one else found[:0] if len(found) > 1 else found


def _by_number(turn: Any, incident: Incident, call: Call, whom: Callable[..., Any]) -> Any:
    """Of several one by the incident's number, which other services' incidents move as well."""
    step = incident.steps[call.at_step] if call.at_step < len(incident.steps) else None
    if step is None or not step.one:
        return whom(turn, incident, call)
    able = [one for one in turn.behind(call.targets) if methods.has_any(turn, one.person.key)]
    return (able[(incident.number - 1 + incident.round + incident.laps) % len(able)],)


def _by_the_plan_now(turn: Any, incident: Incident, go: Callable[..., bool]) -> bool:
    incident.steps = tuple(replace(step) for step in turn.plan.steps(incident.service))
    return go(turn, incident)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_referee_notices(fault, monkeypatch, tmp_path):
    """Each of these was put into the engine, and is found."""
    room, name, broken = FAULTS[fault]
    monkeypatch.setattr(room, name, broken)
    with pytest.raises(Foul):
        simulate(SMALL, 7, tmp_path)


def test_a_small_company_on_postgresql_breaks_no_rule(postgres_url, tmp_path):
    """Stopped hard every few incidents, and started from its tables."""
    told = simulate(SMALL, 11, tmp_path, database=postgres_url)
    assert told.restarts > 20


def test_the_same_small_company_without_a_fault_breaks_no_rule(tmp_path):
    """Else finding faults in it would say nothing. And a start does not read more the longer ago the first one was."""
    told = simulate(SMALL, 7, tmp_path)
    assert told.incidents > 150
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        blocks = database.execute("SELECT count(*) FROM alert_blocks").fetchone()[0]
    assert blocks <= 5 < told.restarts
