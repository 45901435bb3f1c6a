"""A password that is a word: the playbook works on what is there, and nothing that leaves its process has the word."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.playbooks.playground import Pump, Run, drain
from tocsin.playbooks import language
from tocsin.playbooks.carrying import carry_out
from tocsin.playbooks.language import About, look, playbook
from tocsin.playbooks.run import Began, Finished, GaveUp, Returned, Step
from tocsin.playbooks.runner.child import redacted, secret_parts
from tocsin.playbooks.session import Answered, Go, Reply, Session, Start

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
    after, given, _ = carried(rows)
    assert given == [] and isinstance(after[-1], GaveUp) and after[-1].kind == "cut"
    assert "playground.drain answered had a secret in it, which is not written down" in after[-1].why
    assert not isinstance(after[-1], Returned)
