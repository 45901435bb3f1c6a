"""What a run found comes to whoever takes over: the newest, the doubtful, and what it hands over with."""

from __future__ import annotations

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tests.playbooks.test_stories import FULL, fires
from tocsin.engine.inputs import Reported
from tocsin.playbooks.language import playbook, trust
from tocsin.playbooks.run import FIRST_FINDINGS, MOST_FINDINGS, Began

ACTS = trust(start="act")


@playbook(answers=FULL, trust=ACTS)
def chatty(run: Run, pump: Pump) -> None:
    for number in range(60):
        run.tell(f"note {number}")
    run.hand_over("the reason", "finding one", run.look(level, pump), next="do this")


@playbook(answers=FULL, trust=ACTS)
def looping(run: Run, pump: Pump) -> None:
    for number in range(40):
        run.tell(f"note {number}")
    run.fix(kick, pump)


@playbook(answers=FULL, trust=ACTS)
def polling(run: Run, pump: Pump) -> None:
    run.tell("begun")
    for _ in range(50):
        run.look(level, pump)
    run.hand_over("it stays as it is")


@playbook(trust=ACTS)
def by_hand(run: Run, pump: Pump) -> None:
    """The test says what its process reports."""


@playbook(answers=FULL, trust=ACTS)
def few(run: Run, pump: Pump) -> None:
    run.look(level, pump)
    run.hand_over("the reason", "finding one", ["x", 3], next="do this")


def test_of_very_many_sentences_the_first_and_the_newest_are_kept_and_what_it_hands_over_with():
    world = Playground(chatty)
    fires(world)
    run, tried = world.run(1), world.incident(1).tried
    assert "finding one" in run.findings and run.findings[-1] == "the reason" and len(run.findings) == MOST_FINDINGS
    assert "note 0" in run.findings and "note 59" in run.findings and "note 30" not in run.findings
    gap = run.told[FIRST_FINDINGS]
    # 60 notes, a look, what it found, and why
    assert gap == f"… {63 - MOST_FINDINGS} more left out here …" and len(run.told) == MOST_FINDINGS + 1
    assert "chatty: finding one" in tried and "It changed nothing" in tried
    assert any("97 % full" in one for one in tried), "the last it saw"
    assert len(tried) == 12 and "chatty: … 53 earlier lines left out: run 1 has them" in tried, tried
    assert len([one for one in tried if "note " in one or "finding" in one or "97 %" in one]) == 62 - 53
    assert run.beside(world.recorded(1)) == ("finding one",), "its steps say all the others, and no gap is told of"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_that_a_fix_may_have_been_done_is_said_first_whatever_was_said_before():
    world = Playground(looping)
    world.carrier.kill_at = 2 * 40 + 2  # in the fix
    fires(world)
    doubt = "It is not known whether playground.kick(main) was done: it had begun"
    assert world.run(1).outcome == "handed_over" and doubt in world.run(1).findings
    assert world.incident(1).tried[1] == f"looping: {doubt}"
    assert world.incident(1).tried[2] == "looping: … 32 earlier lines left out: run 1 has them"


def test_equal_looks_are_one_finding():
    world = Playground(polling)
    fires(world)
    assert world.run(1).findings == ("begun", "Looked: playground.level: 97 % full", "it stays as it is")
    assert world.run(1).left_out == 0


def test_what_its_steps_do_not_say_is_found_beside_them():
    world = Playground(few)
    fires(world)
    assert world.run(1).beside(world.recorded(1)) == ("finding one", "['x', 3]")


def test_whoever_stops_a_run_in_the_midst_of_a_fix_reads_that_it_may_have_been_done():
    world = Playground(by_hand)
    world.carrier.carry = lambda *given: None  # type: ignore[method-assign]
    fires(world)
    assert world.runs_by_hand("by-hand", targets={"pump": "main"}, incident=1, role="admin").ok
    world.apply(Reported(1, 1, Began(1, "fix", drain.name, "x", "main")))
    assert world.stops(1).ok
    world.at("1m")
    run = world.run(1)
    doubt = "It is not known whether playground.drain(main) was done: it had begun"
    assert run.outcome == "cancelled" and run.findings == (doubt,)
    assert run.advice == "See first on main whether playground.drain(main) was done: it had begun"
    assert f"by-hand: {doubt}" in world.incident(1).tried
