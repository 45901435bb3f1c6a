"""What whoever takes over is told: what was measured, which change is suspected, what to do next."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.world import KEY, dump
from tests.playbooks.playground import Playground, Pump, Run, level
from tests.playbooks.test_stories import empty_it, fires
from tocsin.engine import suspecting
from tocsin.engine.inputs import Received, Reported
from tocsin.engine.records import HeardChange
from tocsin.intake.request import Request
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, format_rfc3339
from tocsin.pages import rendering
from tocsin.playbooks.evidence import AFTER, BEFORE, MOST_POINTS, Series, kept, said, thinned, together
from tocsin.playbooks.language import playbook, trust
from tocsin.playbooks.run import Run as Row
from tocsin.playbooks.run import Sampled, Step
from tocsin.runtime.composing import compose
from tocsin.web.graphs import LEFT, RIGHT, graph
from tocsin.web.words import Reader

NIGHT = 1_790_000_000 * SECOND


def series(*values: float, unit: str = "%", limit: float | None = 90.0, probe: str = "carts/memory") -> Series:
    points = tuple((NIGHT + number * MINUTE, one) for number, one in enumerate(values))
    return Series(probe, "memory used", unit, limit, points=points)


def test_measurements_are_said_in_a_phrase() -> None:
    assert said(series(61.2, 70, 94.4)) == "memory used 61 % → 94 % in 2 min, the limit is 90 %"
    assert said(series(94)) == "memory used 94 %, the limit is 90 %"
    assert said(series(94, 94.2)) == "memory used 94 %, as 1 min before, the limit is 90 %"
    meanwhile = "memory used 50 %, as 2 min before, between 50 % and 99 % meanwhile, the limit is 90 %"
    assert said(series(50, 99, 50)) == meanwhile
    assert said(series(0.004, 4.25, unit="s", limit=None)) == "memory used 4 ms → 4.2 s in 1 min"
    assert said(series(999, 21_000_000, unit="bytes", limit=None)) == "memory used 999 bytes → 21 MB in 1 min"
    assert said(series()) == ""
    gone = msgspec.structs.replace(series(94), silent=True)
    assert said(gone) == "memory used 94 %, the limit is 90 %, and no answer since"


def test_a_time_without_an_answer_is_said_and_breaks_the_line() -> None:
    """What was silent before the first point or is since the last lies between none of them."""
    silent = ((-5, 0), (65, 120), (185, 190))
    outages = tuple((NIGHT + began * SECOND, NIGHT + ended * SECOND) for began, ended in silent)
    one = msgspec.structs.replace(series(0.006, 0.005, 0.004, 0.004, unit="s", limit=None), gaps=outages)
    assert said(one) == "memory used 6 ms → 4 ms in 3 min, no answer for 55 s meanwhile"
    run = Row(number=1, playbook="p", service="carts", plan="v", started_at=NIGHT, deadline=NIGHT)
    drawn = graph(one, run, Reader(NIGHT, ZoneInfo("UTC"), None))
    assert [part.count("L") for part in drawn.line.split("M")[1:]] == [1, 1], "two lines of two points"
    ((began, ended),) = drawn.gaps
    assert [began, ended] == pytest.approx([LEFT + (RIGHT - LEFT) * at / 180 for at in (65, 120)], abs=0.1)
    assert (NIGHT + 65 * SECOND, "no answer") in drawn.rows and drawn.rows == sorted(drawn.rows)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_few_points_are_kept_with_the_ends_and_every_peak(values: list[float]) -> None:
    points = series(*values).points
    few = thinned(points)
    assert len(few) <= MOST_POINTS and set(few) <= set(points)
    assert few == tuple(sorted(few)) and (few[0], few[-1]) == (points[0], points[-1])
    assert max(one for _, one in few) == max(values)


def test_the_probe_that_fired_comes_first_and_few_are_kept() -> None:
    found = [series(1, probe=f"carts/{name}") for name in "abcd"]
    few = kept([*found, series(probe="carts/none")], "carts/c")
    assert [one.probe for one in few] == ["carts/c", "carts/a", "carts/b"]


def test_a_gap_that_was_open_before_the_run_ends_after_it() -> None:
    before = msgspec.structs.replace(series(1), silent=True, gaps=((NIGHT + 5, NIGHT + 20),))
    after = msgspec.structs.replace(series(1, 2), gaps=((NIGHT + 5, NIGHT + MINUTE),))
    rows = [
        Step(
            run=1, ordinal=ordinal, verb="look", function="probes", digest="", state="done", began_at=NIGHT,
            ended_at=NIGHT, result=msgspec.json.encode([one]).decode(),
        )
        for ordinal, one in ((BEFORE, before), (AFTER, after))
    ]  # fmt: skip
    assert together(rows)[0].within == [(NIGHT + 5, NIGHT + MINUTE)]


def test_before_and_after_become_one_series() -> None:
    whole = series(*range(10))

    def row(ordinal: int, points: tuple[tuple[int, float], ...]) -> Step:
        one = msgspec.structs.replace(whole, points=points)
        raw = msgspec.json.encode([one]).decode()
        return Step(run=1, ordinal=ordinal, verb="look", function="probes", digest="", began_at=NIGHT, result=raw)

    assert together([row(AFTER, whole.points[4:]), row(BEFORE, whole.points[:6])]) == (whole,)


def change(id: int, service: str, at: int) -> HeardChange:
    return HeardChange(id=id, at=at, service=service, source="pagerduty", summary=f"deploy {id}")


def test_the_last_change_before_it_is_suspected_its_own_service_first() -> None:
    services = ("checkout", "payments")
    early, late = change(1, "payments", NIGHT - 50 * MINUTE), change(2, "payments", NIGHT - 16 * MINUTE)
    found = suspecting.suspect([early, late], services, NIGHT)
    assert found is late
    assert suspecting.said(late, NIGHT) == "payments: deploy 2, 16 min before it began"
    own = change(3, "checkout", NIGHT - 16 * MINUTE)
    assert suspecting.suspect([own, late, early], services, NIGHT) is own
    for none in (change(4, "checkout", NIGHT + SECOND), change(5, "checkout", NIGHT - HOUR - 1), change(6, "x", NIGHT)):
        assert suspecting.suspect([none], services, NIGHT) is None


@playbook(answers=['alertname="Full"'], trust=trust(start="act"))
def give_up(run: Run, pump: Pump) -> None:
    """Empty a pump that is full."""
    run.hand_over("no part of it may be drained", run.look(level, pump), next="open the second valve")


@playbook(answers=['alertname="Full"'], trust=trust(start="act"))
def stumbles(run: Run, pump: Pump) -> None:
    """Empty a pump that is full."""
    run.look(level, pump)
    raise ValueError("a mistake of its own")


@playbook(answers=['alertname="Full"'], trust=trust(start="act"))
def gives_up_silently(run: Run, pump: Pump) -> None:
    """Empty a pump that is full."""
    seen = run.look(level, pump)
    run.tell("the valve is shut")
    run.hand_over("no part of it may be drained", seen)


class Measuring(Playground):
    """Measurements are handed in before a run's process begins, as they are live."""

    def _carry(self, run: Row, attempt: int) -> None:
        found = kept([series(61, 94)])
        told = Sampled(True, msgspec.json.encode(found).decode(), tuple(map(said, found)))
        self.apply(Reported(run.number, attempt, told))
        super()._carry(run, attempt)


def deployed(world: Playground, service: str, summary: str) -> None:
    """A deploy, as a pipeline tells of it in PagerDuty's format."""
    payload = {"summary": summary, "timestamp": format_rfc3339(world.now)}
    body = msgspec.json.encode({"routing_key": "r" * 32, "payload": payload})
    request = Request(source="pagerduty", method="POST", path="/v2/change/enqueue", body=body)
    world.apply(Received(0, service, world.now, request))


def test_what_is_handed_over_says_what_was_measured_what_changed_and_what_to_do_next() -> None:
    world = Measuring(give_up)
    deployed(world, "cart", "2026.11.23-1")
    deployed(world, "elsewhere", "something else")
    world.at("16m")
    fires(world)
    run = world.run(1)
    assert (run.outcome, run.advice, run.suspected) == (
        "handed_over", "open the second valve", "cart: 2026.11.23-1, 16 min before it began",
    )  # fmt: skip
    assert run.readings == ("memory used 61 % → 94 % in 1 min, the limit is 90 %",)
    conclusion = "give-up could not finish: no part of it may be drained"
    assert world.incident(1).tried[:2] == (conclusion, "It changed nothing")
    (page,) = [one for one in world.told_pages if one.incident == 1]
    page.state = "intended"
    message = compose(world.engine.state, world.engine.plan, page, world.now, "https://tocsin.example", KEY)
    assert message is not None
    text = rendering.text(message)
    assert "What it suggests next:\n- open the second valve" in text
    assert "Suspected change:\n- cart: 2026.11.23-1, 16 min before it began" in text
    assert "What was measured:\n- memory used 61 % → 94 % in 1 min, the limit is 90 %" in text
    assert "something else" not in text
    for words in ("open the second valve", "2026.11.23-1", "61 % → 94 %"):
        assert words in rendering.chat(message) and words in rendering.html(message)
    page.state = "sent"
    assert dump(world.replayed().state) == dump(world.engine.state), "and replayed it is the same"


def test_what_is_measured_after_a_run_is_kept_though_the_run_is_over() -> None:
    world = Measuring(give_up)
    fires(world)
    told = Sampled(False, msgspec.json.encode(kept([series(94, 31)])).decode(), ("memory used 94 % → 31 % in 1 min",))
    world.apply(Reported(1, 1, told))
    written = world.tables["steps"].items()
    rows = [msgspec.json.decode(raw, type=Step) for (_, at), (_, raw) in written if at in (BEFORE, AFTER)]
    assert [one.points for one in together(rows)] == [series(94, 31).points], "what was measured later counts"
    assert world.run(1).readings == ("memory used 94 % → 31 % in 1 min",)
    assert 1 not in world.engine.state.steps, "its steps are in the tables alone"


def test_without_a_word_of_the_playbook_the_next_step_is_what_is_left() -> None:
    world = Playground(stumbles)
    fires(world)
    by_hand = "Nothing was changed; by hand, this is what it is there for: Empty a pump that is full."
    assert world.run(1).advice == by_hand
    world = Playground(empty_it)
    world.after_drain = 95
    fires(world)
    assert world.run(1).advice == "Look at main first: what code changed there was not seen to help"
    assert "It changed nothing" not in world.incident(1).tried
    world = Playground(gives_up_silently)
    fires(world)
    assert world.run(1).advice == "Go on by hand from what was found on main: code changed nothing there"


def test_what_a_step_found_and_is_handed_over_with_is_said_once_and_last() -> None:
    world = Playground(gives_up_silently)
    fires(world)
    tried = world.incident(1).tried
    (once,) = [one for one in tried if "% full" in one]
    assert once.startswith("gives-up-silently: Looked: ") and tried[-1] == once, "what it hands over with comes last"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_long_finding_that_was_cut_is_the_same_one() -> None:
    world = Playground(give_up)
    fires(world)
    run = world.run(1)
    run.findings = tuple[str, ...]()
    run.find(f"Looked: redis.memory: {'x' * 5_000}")
    run.find("Looked: redis.idle: few")
    run.dwell_on("x" * 5_000)
    run.dwell_on("few and more")
    begins = [text[:20] for text in run.findings]
    assert begins == ["Looked: redis.idle: ", "Looked: redis.memory", "few and more"]
