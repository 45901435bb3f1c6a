"""What is kept of which alert is about which target is what looking at every alert says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tocsin.alerts.alert import Alert
from tocsin.engine import concerned
from tocsin.engine.concerned import Concerned, concerns
from tocsin.kernel.identity import label_text
from tocsin.kernel.matcher import parse_matcher
from tocsin.kernel.reason import Reason
from tocsin.playbooks.targets import Target, Targets


def target(name: str, *match: str, reading: str = "secret:x") -> Target:
    return Target(service="cart", name=name, kind="pump", reading=reading, match=tuple(map(parse_matcher, match)))


FIRST = Targets([target("a", 'host="a"'), target("b", 'host=~"b|c"'), target("all")])
SECOND = Targets([target("a", 'host="b"'), target("b", 'host="a"')])


def alert(id: int, host: str, service: str = "cart") -> Alert:
    labels = Raw(label_text({"alertname": "Down", "host": host}))
    return Alert(id, "events", "", labels, Raw(b"{}"), "sev1", service, 0, 0, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["new", "other", "ends", "beats", "moves", "forgotten", "plan", "asked"]), st.integers(0, 9)
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(STEPS)
def test_it_says_what_looking_at_every_alert_says(steps: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(concerned, "MOST_CHANGED", 3)
        _lives(steps)


def _lives(steps: list[tuple[str, int]]) -> None:
    kept, every, newest, targets = Concerned(), dict[int, Alert](), 0, FIRST
    for what, which in steps:
        meant = list(every.values())[which % len(every)] if every else None
        if what in ("new", "other"):
            newest += 1
            every[newest] = alert(newest, "abcd"[which % 4], "cart" if what == "new" else "payments")
        elif what == "plan":
            targets = SECOND if targets is FIRST else FIRST
        elif what == "asked":
            _agree(kept, every, newest, targets)
        elif meant is not None:
            _changes(what, meant, every)
            kept.changed(meant)
    _agree(kept, every, newest, targets)


def _changes(what: str, meant: Alert, every: dict[int, Alert]) -> None:
    match what:
        case "ends" | "forgotten":
            meant.state = "resolved" if meant.firing else "firing"
        case "beats":
            meant.reason = Reason.COUNTS_AS_HEARTBEAT
        case "moves":
            meant.labels_json = Raw(label_text({"host": "abcd"[meant.id % 4]}))
    if what == "forgotten" and not meant.firing:
        del every[meant.id]


def _agree(kept: Concerned, every: dict[int, Alert], newest: int, targets: Targets) -> None:
    asked: tuple[Any, ...] = ("cart", targets, every, newest)
    for one in targets.of("cart").values():
        about = {
            a.id
            for a in every.values()
            if a.service == "cart" and concerns(a) and one in targets.about("cart", a.labels)
        }
        assert kept.alerts(one.lock, *asked) == about
        assert (one.lock in kept.ill(*asked)) is bool(about and one.match)


class Counted(dict[int, Alert]):
    """Alerts, and how often one was looked up."""

    asked = 0

    def get(self, id: int, otherwise: Any = None) -> Any:
        self.asked += 1
        return super().get(id, otherwise)


def test_however_many_services_are_asked_about_each_alert_is_looked_at_a_few_times() -> None:
    services = [f"s{number}" for number in range(50)]
    targets = Targets(
        Target(service=one, name="db", kind="pump", reading="secret:x", match=(parse_matcher('host="a"'),))
        for one in services
    )
    kept, every = Concerned(), Counted()
    for newest in range(1, 1_001):
        every[newest] = alert(newest, "ab"[newest % 2], services[newest % 50])
        if newest % 500 == 0:
            found = [len(kept.alerts(f"{one}/db", one, targets, every, newest)) for one in services]
            assert sum(found) == newest // 2
    assert every.asked <= 4 * len(every)
