"""A password that is a word: the playbook works on what is there, and nothing that leaves its process has the word."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import structs

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain
from tocsin.playbooks import language
from tocsin.playbooks.carrying import carry_out
from tocsin.playbooks.language import About, fix, look, playbook, trust
from tocsin.playbooks.manifest import Rung
from tocsin.playbooks.run import Began, Finished, GaveUp, Step
from tocsin.playbooks.runner import child
from tocsin.playbooks.runner.child import redacted, secret_parts
from tocsin.playbooks.session import Answered, Go, Reply, Session, Start
from tocsin.testing.carrying import Killed

URL = "redis://app:cart@host/1234"
SECRETS = sorted(secret_parts([URL, "redis://app:1234@host/0"]), key=len, reverse=True)
ANSWER: dict[str, Any] = {"cart:0": ["cart:1", 1234, 7, True, None], "n": {"a": "cart"}}


@look
def keys(pump: Pump) -> dict[str, Any]:
    return ANSWER


@playbook(name="words")
def words(run: Run, pump: Pump) -> None:
    found = run.look(keys, pump)
    assert found == ANSWER, "as they are"
    run.tell(f"found {list(found)}")
    assert run.ask("May cart:0 go?", ("cart", "no"), default="no") == "cart"
    run.fix(drain, *found["cart:0"])
    seen = run.verify(keys, pump, until=lambda now: "cart:0" in now, within="1s")
    run.hand_over("of cart:0", seen["n"], next="look at cart:0")


class Wire:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, began: Began) -> Reply:
        self.told.append(began)
        return Answered(began.choices[0]) if began.verb == "ask" else Go(1_000_000)

    def tell(self, report: Any) -> None:
        self.told.append(report)

    looks = tell

    def clock(self) -> float:
        return 0.0

    def rest(self, seconds: float) -> None: ...


def carried(recorded: tuple[Step, ...] = ()) -> tuple[list[Any], list[Any], Any]:
    wire, given = Wire(), []

    def instead(what: Any) -> Any:
        def change(*args: Any) -> int:
            given.append(args)
            return 1234

        return what.function if what is keys else change

    session = Session(wire, recorded, {"main": URL}, lambda text: redacted(text, SECRETS), instead)
    found = next(one for one in language.declared if one.name == "words")
    left = carry_out(session, found, Start("words", About(), {"pump": "main"}))
    return wire.told, given, left


def test_a_fix_is_given_what_was_found_and_no_report_has_the_word_in_it() -> None:
    told, given, left = carried()
    assert given == [("cart:1", 1234, 7, True, None)], left
    assert left is None and isinstance(told[-1], GaveUp) and told[-1].kind == "handed_over"
    for one in told:
        text = repr(one)
        assert "cart" not in text and "1234" not in text, text
        if isinstance(one, Finished):
            msgspec.json.decode(one.result)  # it stays JSON, whatever stood there
    assert told[1].result == '{"n":{"a":"•••"},"•••:0":["•••:1","•••",7,true,null]}'


def test_begun_again_it_looks_again_at_what_is_not_all_written_down_and_guesses_at_no_change() -> None:
    told, _, _ = carried()
    ended = [one for one in told if isinstance(one, Finished)]
    rows = tuple(
        Step(run=1, ordinal=one.ordinal, verb=one.verb, function=one.function, digest=one.digest, state="done",
             began_at=0, result=one.result)
        for one in ended
    )  # fmt: skip
    again, given, _ = carried(rows[:2])
    assert given == [("cart:1", 1234, 7, True, None)], "the look was made again"
    assert [one.ordinal for one in again if isinstance(one, Finished)] == [1, 4, 5]
    whole = structs.replace(rows[0], result=msgspec.json.encode(ANSWER).decode())
    for recorded, what in ((rows, "test_secret_words.keys"), ((whole, *rows[1:]), "playground.drain")):
        after, given, _ = carried(recorded)
        assert given == [] and isinstance(after[-1], GaveUp) and after[-1].kind == "cut"
        assert f"{what} answered had a secret in it, which is not written down" in after[-1].why


DB: list[str] = []
"""The names there are."""


@look
def names(pump: Pump) -> list[str]:
    raise AssertionError("the test has its own")


@fix(idempotent=True)
def delete(pump: Pump, these: list[str]) -> int:
    raise AssertionError("the test has its own")


def cleans(rung: Rung, restarts: int = 0, asks: bool = False) -> Playground:
    """A world whose playbook deletes the names it finds, of which the reading password is a part. ``restarts``: so
    often Tocsin is killed while it verifies.
    """
    left = [None] * restarts

    @playbook(name="cleans", answers=['alertname="Full"'], trust=trust(start=rung, default="yes", within="30m"))
    def cleans(run: Run, pump: Pump) -> None:
        found = run.look(names, pump)
        if asks and run.ask(f"Delete {len(found)}?", default="no") == "no":
            return
        run.fix(delete, pump, found)
        if left:
            left.pop()
            raise Killed
        run.verify(names, pump, until=lambda now: not now, within="1m")

    def gone(pump: Pump, these: list[str]) -> int:
        world.done.append(",".join(these))
        DB.clear()
        return len(these)

    world = Playground(cleans, rung=rung)
    world.carrier.redact = lambda text: redacted(text, ["cart"])
    world.carrier.instead[names.name] = lambda pump: list(DB)
    world.carrier.instead[delete.name] = gone
    DB[:] = ["cart:1", "cart:2"]
    world.fires("Full", instance="cart-1")
    return world


def test_what_was_looked_at_before_a_change_is_not_looked_at_again_after_it() -> None:
    world = cleans("act", restarts=1)
    assert world.done == ["cart:1,cart:2"], "once"
    run = world.run(1)
    assert (run.outcome, run.failed, world.rung("cleans")) == ("handed_over", False, "act")
    assert "names answered had a secret in it, which is not written down: it cannot go on from there" in run.why
    assert world.pages and dump(world.replayed().state) == dump(world.engine.state)


def test_a_yes_is_for_what_was_shown_and_asked_for_once() -> None:
    world = cleans("ask")
    assert world.run(1).state == "asking"
    world.at("1m")
    assert world.says(1, "yes").ok
    assert world.done == ["cart:1,cart:2"] and world.run(1).state == "watching", "what there is is what was shown"

    world = cleans("ask")
    DB[:] = ["cart:7"]
    world.at("1m")
    assert world.says(1, "yes").ok
    run = world.run(1)
    assert (run.outcome, run.failed, world.rung("cleans"), world.done) == ("handed_over", False, "ask", [])
    assert "looked at again, step 2 was fix test_secret_words.delete; another one was allowed" in run.why


def test_a_question_about_what_has_changed_meanwhile_is_nobodys_fault() -> None:
    world = cleans("act", asks=True)
    DB.append("cart:3")
    world.at("1m")
    assert world.says(1, "yes").ok
    run = world.run(1)
    assert (run.outcome, run.failed, world.rung("cleans"), world.done) == ("handed_over", False, "act", [])


def test_a_fix_with_other_arguments_each_time_is_not_asked_for_for_ever() -> None:
    tries = [0]

    @playbook(name="restless", answers=['alertname="Full"'], trust=trust(start="ask", default="yes", within="30m"))
    def restless(run: Run, pump: Pump) -> None:
        tries[0] += 1
        run.fix(delete, pump, [str(tries[0])])
        run.verify(names, pump, until=lambda now: not now, within="1m")

    world = Playground(restless, rung="ask")
    world.fires("Full", instance="cart-1")
    world.at("31m")
    run = world.run(1)
    assert run.outcome == "handed_over" and run.failed and not world.engine.state.locked
    assert "run again, step 1 was fix test_secret_words.delete; another one was allowed" in run.why


def test_a_runs_process_heeds_what_was_allowed() -> None:
    @playbook(name="one-fix")
    def one_fix(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)

    wire: Any = Wire()
    start = Start("one-fix", About(), {"pump": "main"}, approved={"1": f"{drain.name} another"})
    assert child._carry_out(wire, start, str, {}) is None
    assert isinstance(wire.told[-1], GaveUp) and wire.told[-1].kind == "strayed"
