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
from tocsin.intake.request import Request
from tocsin.kernel.instant import SECOND, format_rfc3339

VIP = b"customer tiers: [gold, silver]\nescalations:\n  vip: [{page: kei, wait: 10m}]\n"
TIERS = PLAN.replace(b"escalations:\n", VIP)
TIERED = TIERS.replace(b"checkout: {escalation: shop", b"checkout: {escalation: shop, escalation for: {gold: vip}")

alerts = st.lists(
    st.tuples(
        st.sampled_from(["Down", "Slow"]),
        st.sampled_from(["checkout", "search"]),
        st.sampled_from(["critical", "critical", "critical", "warning", "info"]),
        st.integers(0, 39),
        st.sampled_from([240, 240, 240, 900, 1, -5]),
        st.sampled_from(["", "", "silver", "Gold"]),
    ),
    max_size=70,
)


def _posts(world: World, some: list[tuple[str, str, str, int, int, str]], waited: int = 0) -> None:
    batch = [
        {
            "labels": {"alertname": name, "job": job, "severity": severity, "n": str(n)}
            | ({"customer_tier": tier} if tier else {}),
            "annotations": {"summary": f"{name} {n}"},
            "endsAt": format_rfc3339(world.now - waited * SECOND + ends * SECOND),
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


MANY = [("Down", "checkout", "critical", n, 240, "") for n in range(40)]


SEARCH = ("Down", "search", "critical", 3, 240, "")
INFO = [("Down", "checkout", "info", n, 240, "") for n in range(25)]


@settings(max_examples=60, deadline=None)
@example([*MANY, *MANY[:3], ("Down", "checkout", "warning", 50, 240, ""), SEARCH], 21, "")
@example([*MANY, *(("Down", "checkout", "critical", n, 900, "") for n in range(60, 70))], 30, "")
@example([*MANY, ("Down", "checkout", "critical", 5, -5, ""), ("Down", "checkout", "critical", 5, 240, "")], 25, "")
@example([*INFO, ("Down", "checkout", "critical", 5, 240, "")], 25, "")
@example([*MANY, *(("Down", "checkout", "critical", n, 1, "") for n in range(50, 55))], 40, "")
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "Gold") for n in range(60, 65))], 40, "")
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "") for n in range(60, 70))], 40, "ends")
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "") for n in range(60, 70))], 40, "is silent")
@example([*MANY, *(("Down", "checkout", "critical", n, 240, "") for n in range(60, 70))], 40, "is had")
@given(alerts, st.integers(0, 70), st.sampled_from(["", "", "ends", "is silent", "is had"]))
def test_the_short_way_comes_to_the_same_as_the_long_one(some, at, meanwhile):
    short, long = World(TIERED), World(TIERED)
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
