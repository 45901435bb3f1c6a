"""What comes in one batch is judged as it would be one by one, also where much comes and takes the short way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.world import PLAN, World, dump, plan_of
from tocsin.engine import hearing
from tocsin.engine.inputs import Received
from tocsin.incidents.routes import Router
from tocsin.intake.request import Request
from tocsin.kernel.instant import HOUR, SECOND, format_rfc3339

VIP = b"customer tiers: [gold, silver]\nescalations:\n  vip: [{page: kei, wait: 10m}]\n"
TIERS = PLAN.replace(b"escalations:\n", VIP)
TIERED = TIERS.replace(b"checkout: {escalation: shop", b"checkout: {escalation: shop, escalation for: {gold: vip}")

ASKED = TIERED.replace(b"by: [region]", b"by: [alertname]")
"""Every alert here has all that its routes ask of it: then a batch is told apart by columns."""

alerts = st.lists(
    st.tuples(
        st.sampled_from(["Down", "Slow"]),
        st.sampled_from(["checkout", "search"]),
        st.sampled_from(["critical", "critical", "critical", "warning", "info"]),
        st.integers(0, 39),
        st.sampled_from([240, 240, 240, 900, 1, -5]),
        st.sampled_from(["none", "none", "silver", "Gold"]),
    ),
    max_size=70,
)


def _posts(world: World, some: list[tuple[str, str, str, int, int, str]], waited: int = 0) -> None:
    """As Prometheus posts them, whose batches are read as columns."""
    batch = [
        {
            "annotations": {"summary": f"{name} {n}"},
            "endsAt": format_rfc3339(world.now - waited * SECOND + ends * SECOND),
            "startsAt": format_rfc3339(world.now - HOUR),
            "labels": {"alertname": name, "customer_tier": tier, "job": job, "n": str(n), "severity": severity},
        }
        for name, job, severity, n, ends, tier in some
    ]
    headers = {"content-type": "application/json"}
    body = msgspec.json.encode(batch)
    request = Request(source="alertmanager", method="POST", path="/api/v2/alerts", headers=headers, body=body)
    world.apply(Received(0, "inbox", world.now - waited * SECOND, request))


def _told(world: World) -> dict[str, Any]:
    found = dump(world.engine.state)
    found["counters"].pop("applied")
    return found


MANY = [("Down", "checkout", "critical", n, 240, "none") for n in range(40)]
TURNS = [("Down", "checkout", ("critical", "warning", "info")[n % 3], n, 240, "none") for n in range(60, 70)]
SEARCH = ("Down", "search", "critical", 3, 240, "none")
INFO = [("Down", "checkout", "info", n, 240, "none") for n in range(25)]


@settings(max_examples=60, deadline=None)
@example([*MANY, *MANY[:3], ("Down", "checkout", "warning", 50, 240, "none"), SEARCH], 21, "", ASKED)
@example([*MANY, *(("Down", "checkout", "critical", n, 900, "none") for n in range(60, 70))], 30, "", ASKED)
@example([*MANY, ("Down", "checkout", "critical", 5, -5, "none"), MANY[5]], 25, "", ASKED)
@example([*INFO, ("Down", "checkout", "critical", 5, 240, "none")], 25, "", ASKED)
@example([*MANY, *(("Down", "checkout", "critical", n, 1, "none") for n in range(50, 55))], 40, "", ASKED)
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "Gold") for n in range(60, 65))], 40, "", ASKED)
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "none") for n in range(60, 70))], 40, "ends", ASKED)
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "none") for n in range(60, 70))], 40, "is silent", ASKED)
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "none") for n in range(60, 70))], 40, "is had", ASKED)
@example([*MANY, *TURNS], 40, "", ASKED)
@example([*MANY, *TURNS], 40, "", TIERED)
@given(
    alerts,
    st.integers(0, 70),
    st.sampled_from(["", "", "ends", "is silent", "is had"]),
    st.sampled_from([ASKED, TIERED]),
)
def test_the_short_way_comes_to_the_same_as_the_long_one(some, at, meanwhile, plan):
    short, long = World(plan), World(plan)
    for world, patch in ((short, None), (long, lambda *_: None)):
        with pytest.MonkeyPatch.context() as patched:
            if patch is not None:
                patched.setattr(hearing, "_seat", patch)
            _posts(world, some[:at])
            world.at("1m")
            if meanwhile == "ends":  # and is to be resolved in a minute
                _posts(world, [(*one[:4], -1, one[5]) for one in some[:at]])
            elif meanwhile == "is silent":  # and is heard of again
                world.silences("job=~.+", for_="10s")
                world.at("1m10s")
            elif meanwhile == "is had" and 1 in world.engine.state.incidents:
                world.acknowledges(1)
            _posts(world, some[at:], waited=3)  # what would end in a second has ended when its turn comes
            world.at("3m30s")
    assert _told(short) == _told(long)
    assert dump(short.replayed().state) == dump(short.engine.state)


@pytest.mark.parametrize(("plan", "known"), [(ASKED, True), (TIERED, False)])
def test_a_batch_takes_the_short_way_by_columns(plan, known, monkeypatch):
    """Else the test above compares nothing. Of alerts without a label that routes ask for nothing is known so."""
    asked_of, seat, told, seats = Router.asked_of, hearing._seat, [], []

    def asked(self, many):
        told.append(asked_of(self, many))
        return told[-1]

    def seated(*how):
        seats.append(seat(*how))
        return seats[-1]

    monkeypatch.setattr(Router, "asked_of", asked)
    monkeypatch.setattr(hearing, "_seat", seated)
    world = World(plan)
    _posts(world, MANY)
    _posts(world.at("1m"), TURNS)
    assert [len(one) for one in told] == [40, 10] and all((row is not None) is known for one in told for row in one)
    assert any(seats) and world.incident(1).alerts == 50


@settings(max_examples=60, deadline=None)
@example(MANY, 21)
@given(alerts, st.integers(0, 70))
def test_where_much_that_comes_at_once_is_divided_makes_no_difference(some, at):
    # What ends within a batch is settled with it, not before.
    some = [(*one[:4], max(one[4], 240), one[5]) for one in some]
    whole, halves, single = World(TIERS), World(TIERS), World(TIERS)
    _posts(whole, some)
    for part in (some[:at], some[at:]):
        _posts(halves, part)
    for one in some:
        _posts(single, [one])
    told = [_told(world) for world in (whole, halves, single)]
    for one in told:
        for contact in one["contacts"].values():
            contact.pop("graded", None)  # what left as sev3 before the next part came did leave as sev3
    assert told[0] == told[1] == told[2]


@given(st.lists(st.dictionaries(st.sampled_from(["alertname", "job", "region", "customer_tier"]),
                                st.sampled_from(["", "checkout", "search", "gold"])), max_size=12))  # fmt: skip
def test_an_alert_is_routed_the_same_whatever_labels_those_before_it_had(some):
    plan = plan_of(TIERED)
    for labels in some:
        alone = msgspec.structs.replace(plan).router.route("inbox", "", labels, "critical")
        assert plan.router.route("inbox", "", labels, "critical") == alone
