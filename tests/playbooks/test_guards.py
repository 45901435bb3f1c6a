"""Guards, trust, targets and coverage, as functions."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.kernel.instant import from_datetime
from tocsin.kernel.matcher import parse_matcher
from tocsin.playbooks.coverage import Rule, covered
from tocsin.playbooks.guards import Situation, blocked, frozen, locked, say_guard
from tocsin.playbooks.language import Misused, at_most, blast_radius, breaker, cooldown, freeze, trust, unless
from tocsin.playbooks.manifest import Guard, Manifest, Param
from tocsin.playbooks.remembered import Remembered
from tocsin.playbooks.run import Run
from tocsin.playbooks.targets import Target, Targets, Unbound, bind
from tocsin.playbooks.trust import CLIMB, lower_bound

MADRID = ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("2026-11-27 15:59", False),  # a Friday
        ("2026-11-27 16:00", True),
        ("2026-11-29 12:00", True),
        ("2026-11-30 07:59", True),
        ("2026-11-30 08:00", False),
        ("2026-03-29 03:30", True),  # the night the clock goes forward
        ("2026-10-26 07:59", True),  # the morning after it went back
        ("2026-10-26 08:00", False),
    ],
)
def test_a_freeze_is_by_the_clock_on_the_wall_there(at: str, inside: bool) -> None:
    guard = freeze("Fri 16:00-Mon 08:00", timezone="Europe/Madrid")
    now = from_datetime(datetime.fromisoformat(at).replace(tzinfo=MADRID))
    found = frozen(guard, now)
    assert (found is not None) == inside
    assert found is None or found.why == "nothing is changed Fri 16:00-Mon 08:00 (Europe/Madrid)"


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)), st.integers(0, 6), st.integers(1, 7 * 24 - 1))
def test_every_instant_is_inside_one_of_two_freezes_that_share_the_week(at: datetime, day: int, hours: int) -> None:
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    end = datetime(2026, 11, 23) + timedelta(days=day, hours=hours)
    begins, ends = f"{names[day]} 00:00", f"{names[end.weekday()]} {end.hour:02}:00"
    now = from_datetime(at.replace(tzinfo=MADRID))
    inside = [frozen(freeze(f"{a}-{b}", timezone="Europe/Madrid"), now) for a, b in ((begins, ends), (ends, begins))]
    assert sum(one is not None for one in inside) == 1


def test_the_lower_bound_needs_evidence_and_grows_with_it() -> None:
    assert lower_bound(0, 0) == 0
    assert lower_bound(15, 15) < CLIMB <= lower_bound(16, 16)
    assert lower_bound(23, 24) < CLIMB <= lower_bound(24, 25)
    assert lower_bound(31, 33) >= CLIMB
    assert lower_bound(28, 30) == pytest.approx(0.787, abs=0.001)


@example(held=0, failed=11)
@given(st.integers(0, 500), st.integers(0, 500))
def test_the_lower_bound_lies_below_the_share(held: int, failed: int) -> None:
    if held + failed:
        assert 0 <= lower_bound(held, held + failed) <= held / (held + failed)
        assert lower_bound(held, held + failed) >= lower_bound(held, held + failed + 1) - 1e-9


def test_what_cannot_be_meant_is_refused_where_it_is_written() -> None:
    for wrong in (
        lambda: at_most(0, per="1h"),
        lambda: at_most(1, per="1h", over="galaxy"),  # type: ignore[arg-type]
        lambda: blast_radius(),
        lambda: blast_radius(1, percent=5),
        lambda: blast_radius(percent=101),
        lambda: freeze("weekends"),
        lambda: breaker(failures=0),
        lambda: trust("act", "ask"),
    ):
        with pytest.raises(Misused):
            wrong()
    with pytest.raises(ValueError, match="not a duration"):
        cooldown("soon")


def test_the_lock_that_is_named_is_always_the_same() -> None:
    names = [f"t{number}" for number in range(40)]
    by, run = (
        Run(number=n, playbook="p", service="s", plan="", started_at=0, deadline=0, targets={a: a for a in order})
        for n, order in ((1, names), (2, names[::-1]))
    )
    assert locked(by, run, Targets(())).why == "run 1 of p works on s/t0"


def test_guards_are_said_in_words() -> None:
    guards: list[Guard] = [at_most(3, per="6h", over="target"), cooldown("15m"), blast_radius(percent=25), unless("x")]
    assert [say_guard(one) for one in guards] == [
        "at most 3 runs on one target in 6 h",
        "15 min after a change on a target",
        "at most 25 % of the targets at once, and another one must be well",
        "not while x has an incident",
    ]


BOTH = Manifest(
    name="copy", file="", line=1, function="", about="", meaning="",
    params=(Param("source", "redis", target=True), Param("sink", "disk", target=True)),
)  # fmt: skip


def target(name: str, kind: str, *match: str) -> Target:
    return Target(service="cart", name=name, kind=kind, reading="secret:x", match=tuple(map(parse_matcher, match)))


def test_each_parameter_gets_the_target_the_alert_is_about() -> None:
    known = [target("a", "redis", 'instance="a"'), target("b", "redis", 'instance="b"'), target("d", "disk")]
    there = Targets(known)
    assert bind(BOTH, "cart", there, {"instance": "b"}) == {"source": "b", "sink": "d"}
    assert bind(BOTH, "cart", there, {"instance": "b"}, {"source": "a"}) == {"source": "a", "sink": "d"}
    for labels, wanted, why in (
        ({"instance": "c"}, None, "cart has no redis target that this alert is about"),
        ({"instance": "a"}, {"sink": "z"}, "cart has no disk target z"),
        (None, None, "cart has a and b: say which is meant"),
        ({"instance": "a"}, {"x": "a"}, "copy has no target x; it has source and sink"),
    ):
        assert bind(BOTH, "cart", there, labels, wanted) == Unbound(why)
    twice = Targets([*known, target("e", "disk")])
    both = "d and e of cart are both meant by this alert: their match must tell them apart"
    assert bind(BOTH, "cart", twice, {"instance": "a"}) == Unbound(both)
    many = Targets([target(f"d{n}", "disk") for n in range(10)] + known[:1])
    named = "d0 and d1 and d2 and 7 more"
    assert bind(BOTH, "cart", many, None, {"source": "a"}) == Unbound(f"cart has {named}: say which is meant")
    all_ten = f"{named} of cart are all meant by this alert: their match must tell them apart"
    assert bind(BOTH, "cart", many, {"instance": "a"}) == Unbound(all_ten)


def test_two_targets_of_one_kind_are_told_apart_by_the_parameters_names() -> None:
    params = (Param("replica", "redis", target=True), Param("primary", "redis", target=True))
    pair = Manifest(name="follow", file="", line=1, function="", about="", meaning="", params=params)
    replicas = [target(name, "redis", f'instance="{name}"') for name in ("r1", "r2")]
    there = Targets([target("primary", "redis"), *replicas])
    assert bind(pair, "cart", there, {"instance": "r2"}) == {"replica": "r2", "primary": "primary"}
    named = Targets([target(name, "redis") for name in ("primary", "replica", "other")])
    assert bind(pair, "cart", named, None) == {"replica": "replica", "primary": "primary"}
    assert isinstance(bind(pair, "cart", there, {"instance": "r3"}), Unbound), "never the primary in a replica's place"
    one = Targets([target("other", "redis")])
    assert bind(pair, "cart", one, None) == Unbound("cart has other alone for two of follow's targets: name another")


def test_coverage_says_for_each_rule_what_answers_it() -> None:
    answers = Manifest(
        name="free", file="", line=1, function="", about="", meaning="", trust=trust("suggest"),
        answers=((parse_matcher('alertname="Full"'),),),
    )  # fmt: skip
    rules = [Rule("cart", {"alertname": "Full"}), Rule("cart", {"alertname": "Slow"})]
    found = covered(["cart", "web"], {"cart": ("free",)}, {"free": answers}, rules, Targets(()))
    assert [(one.service, one.rule, one.answer, one.playbook) for one in found] == [
        ("cart", 'alertname="Full"', "suggest", "free"),
        ("cart", 'alertname="Slow"', "nothing", ""),
        ("web", "any", "nothing", ""),
    ]


def _targets() -> list[Target]:
    return [
        Target(service="web", name=f"{kind}-{number}", kind=kind, reading="secret:r", fixing="secret:f")
        for kind in ("http", "haproxy")
        for number in (1, 2, 3)
    ]


def _blast(locks: tuple[str, ...], busy: dict[str, str], guard: Guard) -> str:
    """What blast_radius says of a run with these locks while another holds what is busy."""
    held = {f"web/{name}" for name in busy.values()}
    here = Situation(
        manifest=_manifest((guard,)), service="web", locks=locks, incident=0, returned=(),
        runs=Remembered(), targets=Targets(_targets()), busy=held, broken=(), unwell=lambda locks: "", now=5,
    )  # fmt: skip
    found = blocked(here)
    return "" if found is None else found.why


def _manifest(guards: tuple[Guard, ...]) -> Manifest:
    return Manifest(name="it", file="f.py", line=1, function="f:it", about="", meaning="m", guards=guards)


def test_a_blast_radius_counts_each_kind_of_target_for_itself() -> None:
    one_of_each = ("web/http-1", "web/haproxy-1")
    assert _blast(one_of_each, {}, blast_radius(1)) == "", "an instance and its place in the balancer are one"
    two = _blast(("web/http-1", "web/http-2"), {}, blast_radius(1))
    assert two == "0 of 3 targets are being changed, at most 1 may"
    busy = {"instance": "http-2", "slot": "haproxy-2"}
    assert _blast(one_of_each, busy, blast_radius(1)) == "1 of 3 targets are being changed, at most 1 may"
    assert _blast(one_of_each, busy, blast_radius(2)) == ""
    busy |= {"second": "http-3"}
    assert "of the other 2 targets is well" in _blast(one_of_each, busy, blast_radius(3))
