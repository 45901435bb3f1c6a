"""The writer when things go wrong: the database takes nothing, judging has a fault of its own, the clock is odd."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.engine.world import PLAN, dump, plan_of
from tests.runtime.stage import Stage, received
from tests.runtime.test_running import MANIFESTS, TEXT
from tests.support.waiting import eventually
from tocsin.engine import covering, deciding, delivering, hearing, paging, ticking
from tocsin.engine.commands import Acknowledge, AddNote
from tocsin.engine.engine import EngineFault
from tocsin.engine.inputs import (
    CalendarRead,
    Deaf,
    Decided,
    Delivered,
    PlanChange,
    Quarantine,
    Receipted,
    Received,
    Reported,
    Tick,
)
from tocsin.engine.turn import Turn
from tocsin.intake.event import Event
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.pages.ledger import Page
from tocsin.plan import read_plan
from tocsin.playbooks.manifest import MANIFEST, encode_manifests
from tocsin.playbooks.run import GaveUp
from tocsin.runtime import weighing
from tocsin.runtime.jobs import Job
from tocsin.runtime.line import Weighing
from tocsin.runtime.pulse import Pulse
from tocsin.runtime.questions import Questions
from tocsin.runtime.waiting import MOST_WAITING_BYTES
from tocsin.runtime.weighing import ENDED, weighed
from tocsin.runtime.writer import Writer
from tocsin.store.writer import LeaseLost


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A writer of one's own."""
    one = Stage(tmp_path)
    yield one
    one.store.close()


def ack(incident: int) -> Decided:
    return Decided(Acknowledge(incident=incident, actor="person:ana"))


def note(text: str) -> Decided:
    return Decided(AddNote(incident=1, text=text, actor="person:ana"))


# --- The database takes nothing --------------------------------------------------------------------------------------


def test_a_hiccup_of_the_database_is_waited_out_and_nobody_notices(stage: Stage) -> None:
    """Answers and pages come a moment later, and everything is written."""
    stage.store.failing = 1
    asked, heard = stage.asks(Deaf(1, 2)), stage.hears("Down")
    stage.turn()
    assert stage.told == []
    later = stage.hears("Later")
    stage.clock.passes(SECOND // 2)
    stage.turn()
    stage.turn()
    assert [job.failed for job in (asked, heard, later)] == ["", "", ""]
    assert [one.kept for one in stage.told] == [True, True]
    assert [page.person for page in stage.pages()] == ["kei", "kei"]
    stage.stands()


def test_while_the_database_is_away_requests_are_refused_and_what_was_heard_before_is_paged(stage: Stage) -> None:
    """The one that was being written is judged all the same: nobody can know whether its sender says it again."""
    stage.store.failing = 10
    caught = stage.hears("Caught")
    stage.turn()
    stage.clock.passes(2 * SECOND)
    stage.turn()
    assert "takes nothing" in caught.failed
    assert [page.person for page in stage.pages(kept=False)] == ["kei"]
    refused = stage.hears("Refused")
    stage.turn()
    assert "takes nothing" in refused.failed
    assert {alert.labels["alertname"] for alert in stage.state.alerts.values()} == {"Caught"}
    stage.turns()
    again = stage.hears("Caught")
    stage.turns()
    assert not again.failed
    assert [page.person for page in (*stage.pages(), *stage.pages(kept=False))] == ["kei"], "and is recognised"
    stage.stands()


def test_every_request_is_answered_once_however_long_it_lasts(stage: Stage) -> None:
    """However many share a commit, and whatever is beside them."""
    stage.store.failing = 8
    jobs = [stage.hears(f"A{number}") for number in range(30)]
    jobs += [stage.asks(note(f"n{number}")) for number in range(5)]
    stage.turn()
    jobs += [stage.hears(f"B{number}") for number in range(3)]
    stage.turns()
    assert all(stage.answers.count(job) == 1 for job in jobs)
    assert [bool(job.failed) for job in jobs] == [True] * 30 + [False] * 5 + [True] * 3
    stage.stands()


def test_what_people_and_channels_say_meanwhile_counts_at_once_and_is_written_in_its_order(stage: Stage) -> None:
    """An acknowledgement stops paging when it is given, not when the database is back."""
    stage.hears("Down", job="checkout")
    stage.turns()
    (page,) = stage.pages()
    stage.store.failing = 12
    stage.clock.passes(5 * MINUTE)
    stage.turn()
    stage.clock.passes(2 * SECOND)
    stage.turn()
    (second,) = stage.pages(kept=False)
    assert second.person == "ben"
    asked = [stage.asks(note("one")), stage.asks(Delivered(page.id, "sent")), stage.asks(Delivered(second.id, "sent"))]
    acked = stage.asks(ack(1))
    stage.turn()
    assert acked.unwritten
    assert acked.result is not None
    assert acked.result.ok
    assert stage.answers.count(acked) == 1
    stage.clock.passes(30 * MINUTE)
    stage.turn()
    assert len(stage.pages(kept=False)) == 1, "nobody else is paged while an acknowledgement holds"
    asked.append(stage.asks(note("two")))
    stage.turns()
    kept = [one for one in stage.journal if isinstance(one, Decided | Delivered)]
    said = [one.command.text if isinstance(one, Decided) and isinstance(one.command, AddNote) else "" for one in kept]
    assert said == ["one", "", "", "", "two"]
    assert {page.state for page in stage.state.pages.values()} == {"sent"}
    assert stage.state.incidents[1].acknowledged_by == "person:ana"
    stage.stands()


def test_a_command_nobody_waits_for_any_more_is_not_decided(stage: Stage) -> None:
    """The person was told that it failed: it must not take effect a minute later."""
    stage.hears("Down")
    stage.turns()
    held_up = stage.asks(note("held up"), until=stage.clock.awake() + 8 * SECOND)
    in_time = stage.asks(note("in time"), until=stage.clock.awake() + 20 * SECOND)
    stage.clock.passes(9 * SECOND)
    stage.turns()
    assert [bool(job.failed) for job in (held_up, in_time)] == [True, False]
    assert stage.answers.count(held_up) == 1
    assert [one.command.text for one in stage.journal if isinstance(one, Decided)] == ["in time"]  # type: ignore[union-attr]
    stage.stands()


def test_a_page_that_left_unrecorded_is_in_the_ledger_afterwards_and_leaves_only_once(stage: Stage) -> None:
    """A page that nobody wrote down is better than one that nobody got; the same again every second is not."""
    stage.hears("Down")
    stage.turns()
    assert [page.person for page in stage.pages()] == ["kei"]
    stage.store.failing = 30
    stage.clock.passes(31 * MINUTE)
    for _ in range(30):
        stage.turn()
        stage.clock.passes(SECOND)
    (page,) = stage.pages(kept=False)
    assert (page.person, page.incident) == ("kei", 1)
    stage.asks(Delivered(page.id, "sent"))
    stage.turns()
    assert [page.person for page in stage.pages()] == ["kei"], "only the one from before"
    assert stage.state.pages[page.id].state == "sent"
    stage.stands()


def test_small_writes_that_succeed_do_not_keep_pages_from_leaving(stage: Stage) -> None:
    """A database that takes a few bytes and no commit is away all the same."""
    stage.store.small_too = False
    stage.hears("Down")
    stage.turns()
    stage.store.failing = 30
    stage.clock.passes(31 * MINUTE)
    for _ in range(30):
        stage.turn()
        stage.clock.passes(SECOND)
    assert [page.person for page in stage.pages(kept=False)] == ["kei"]


@pytest.mark.parametrize("more", [False, True])
def test_a_commit_whose_answer_was_lost_is_not_written_twice(stage: Stage, more: bool) -> None:
    """The tables say how far it came; the rest is judged again and written."""
    stage.hears("Down", job="checkout")
    stage.turns()
    stage.store.unanswered = 1
    one = stage.hears("Other", job="checkout")
    stage.turn()
    assert not stage.answers.count(one)
    if more:
        stage.store.failing = 3
        stage.asks(ack(1))
        stage.asks(Delivered(1, "sent"))
        stage.clock.passes(5 * MINUTE)
    stage.turns()
    assert stage.answers.count(one) == 1
    assert len([row for row in stage.journal if isinstance(row, Received)]) == 2
    people = [page.person for page in (*stage.pages(), *stage.pages(kept=False))]
    assert people == (["ana", "ana", "ben"] if more else ["ana", "ana"])
    stage.stands()


def test_runs_are_begun_and_ended_though_the_answer_to_their_commit_was_lost(stage: Stage) -> None:
    """Nobody would begin them later, and a process that nobody ends would go on."""
    reading = read_plan({"tocsin.yaml": TEXT, MANIFEST: encode_manifests(MANIFESTS)})
    assert reading.plan is not None
    stage.asks(PlanChange(reading.plan.version), plan=reading.plan)
    stage.turns()
    stage.told.clear()
    stage.store.unanswered = 1
    stage.hears("ProbeTcpFailed", job="checkout")
    stage.turns()
    assert [list(one.changes.begin) for one in stage.told if one.changes.begin] == [[1]]
    stage.told.clear()
    stage.store.unanswered = 1
    stage.asks(Reported(1, 1, GaveUp("handed_over", "it is full")))
    stage.turns()
    assert [list(one.changes.halt) for one in stage.told if one.changes.halt] == [[(1, 1)]]


def test_a_plan_that_came_into_force_in_a_commit_whose_answer_was_lost_is_in_force(stage: Stage) -> None:
    """In memory as in the tables."""
    other = plan_of(PLAN.replace(b"last resort: kei", b"last resort: ben"))
    stage.store.unanswered = 1
    stage.asks(PlanChange(other.version), plan=other)
    stage.turn()
    stage.hears("Down")
    stage.turns()
    assert stage.writer.engine.plan is other
    assert [page.person for page in stage.pages()] == ["ben"]


def test_probes_are_heard_while_the_database_is_away(stage: Stage) -> None:
    """Nobody else would say what Tocsin saw itself, and somebody is paged for it."""
    stage.store.failing = 20
    stage.asks(Deaf(1, 2))
    stage.turn()
    stage.clock.passes(2 * SECOND)
    stage.turn()
    now = stage.clock.now()
    seen = Event(key="orders/web", state="firing", own_title="web is down", labels={"alertname": "P"}, starts_at=now)
    request = Request(source="probe", method="POST", path="/orders/web", body=msgspec.json.encode(seen))
    job = Job(Received(0, "inbox", stage.clock.now(), request), stage.answers.append, size=100)
    stage.writer.intake(job, stage.clock.now())
    stage.turn()
    assert not job.failed
    assert [page.person for page in stage.pages(kept=False)] == ["kei"]
    stage.turns()
    stage.stands()


def test_a_fault_of_our_own_while_the_database_is_away_costs_nothing_that_is_unwritten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is read again, and what the tables do not hold is judged again, without paging anybody twice."""
    stage.hears("Down", job="checkout")
    stage.turns()
    stage.store.failing = 20
    stage.clock.passes(5 * MINUTE)
    stage.asks(note("kept"))
    stage.turn()
    stage.clock.passes(2 * SECOND)
    stage.turn()
    assert [page.person for page in stage.pages(kept=False)] == ["ben"]
    breaks(monkeypatch, deciding, "_acknowledge", lambda *_: True)
    asked = stage.asks(ack(1))
    stage.turn()
    assert "judging it failed" in asked.failed
    stage.turns()
    assert [page.person for page in (*stage.pages(), *stage.pages(kept=False))] == ["ana", "ben"]
    assert note("kept") in stage.journal
    stage.stands()


def test_rows_that_the_database_refuses_for_what_they_are_are_forgotten(stage: Stage) -> None:
    """Their senders hear no, memory is what the tables say, and what nobody else would say again is judged again."""
    first = stage.hears("Before")
    stage.turns()
    stage.store.refusing = sqlite3.IntegrityError("UNIQUE constraint failed")
    lost, asked = stage.hears("Lost"), stage.asks(note("kept"))
    stage.turn()
    assert not first.failed
    assert "UNIQUE" in lost.failed
    assert {alert.labels["alertname"] for alert in stage.state.alerts.values()} == {"Before"}
    stage.stands()
    stage.store.refusing = None
    stage.turns()
    assert not asked.failed
    assert note("kept") in stage.journal
    stage.stands()


def test_a_database_that_refuses_everything_for_what_it_is_counts_as_away(stage: Stage) -> None:
    """Paging does not wait for rows that will never be taken."""
    stage.hears("Down")
    stage.turns()
    stage.store.refusing = sqlite3.IntegrityError("UNIQUE constraint failed")
    stage.asks(note("never"))
    stage.clock.passes(31 * MINUTE)
    for _ in range(10):
        stage.turn()
        stage.clock.passes(SECOND)
    assert [page.person for page in stage.pages(kept=False)] == ["kei"]
    stage.store.refusing = None
    stage.turns()
    stage.stands()


def test_an_end_while_the_database_is_away_says_what_is_lost(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would say it again."""
    stage.hears("Down")
    stage.turns()
    stage.store.failing = 1000
    stage.asks(note("lost"))
    stage.turn()
    monkeypatch.setattr(stage.writer._event, "wait", lambda _: stage.clock.passes(SECOND))
    with capture_logs() as logs:
        stage.writer._last_chance()
    (lost,) = [line for line in logs if line["event"] == "never_written"]
    assert lost["input"]["command"]["text"] == "lost"
    stage.store.failing = 0


@pytest.mark.parametrize("fails", ["commit", "load"])
def test_everybody_who_waits_for_a_writer_that_ends_is_told_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """What is being judged, what waits behind it, and what comes later; each once."""

    def taken_over(*_: Any) -> Any:
        stage.asks(note("behind"))
        raise LeaseLost("another node writes now")

    monkeypatch.setattr(stage.store, fails, taken_over)
    if fails == "load":  # memory is read anew after a fault of our own
        monkeypatch.setattr(stage.writer.engine, "apply", refuses)
    ended: list[BaseException] = []
    stage.answers.clear()
    stage.writer._fatal = ended.append
    stage.asks(note("first"))
    stage.hears("Down")
    with capture_logs():
        stage.writer._run()
    assert [type(error) for error in ended] == [LeaseLost]
    assert len(stage.answers) == 3
    stage.asks(note("later"))
    stage.hears("Later")
    assert len(stage.answers) == 5 == len(set(stage.answers))
    assert all("another node has taken over" in job.failed for job in stage.answers)
    assert stage.writer.waiting == 0


def refuses(*_: Any) -> Any:
    raise EngineFault("command", "1", "a fault of our own")


def test_a_clock_set_back_does_not_hold_time_up(stage: Stage) -> None:
    """Steps go on, at half the pace, until the clock has caught up; and monitors that mean it by the clock are
    understood."""
    stage.hears("Down", job="checkout")
    stage.turns()
    stage.clock.jumps(-HOUR)
    stage.turns()
    for _ in range(11 * 60):
        stage.clock.passes(SECOND)
        stage.turns()
    assert [page.person for page in stage.pages()] == ["ana", "ben"]
    before = stage.state.counters.now
    for _ in range(2 * 60):
        stage.clock.passes(MINUTE)
        stage.turns()
    stage.hears("Other")
    stage.turns()
    assert stage.state.counters.now == stage.clock.now() > before


# --- Faults of our own -----------------------------------------------------------------------------------------------


def breaks(monkeypatch: pytest.MonkeyPatch, room: Any, name: str, when: Any) -> list[object]:
    """Have a function of the engine raise for some of its arguments; returns those it raised for."""
    real = getattr(room, name)
    broken: list[object] = []

    def function(*given: Any, **named: Any) -> Any:
        if when(*given):
            broken.append(given)
            raise KeyError("a fault of our own")
        return real(*given, **named)

    monkeypatch.setattr(room, name, function)
    return broken


def test_a_request_that_cannot_be_judged_is_set_aside_and_everything_else_is_kept_in_order(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is parked whole, an incident says so, and the last resort is paged for it."""
    breaks(monkeypatch, hearing, "_hear_event", lambda *given: given[-1].title == "Bad fires")
    jobs = [stage.hears("One"), stage.hears("Bad"), stage.hears("Two"), stage.hears("Bad"), stage.hears("Three")]
    stage.turns()
    assert all(not job.failed for job in jobs)
    assert stage.answers.count(jobs[1]) == 1
    requests = [one for one in stage.journal if isinstance(one, Received)]
    assert [bool(one.aside) for one in requests] == [False, True, False, True, False]
    assert [alert.title for alert in stage.state.alerts.values() if alert.source == "events"] == [
        "One fires",
        "Two fires",
        "Three fires",
    ]
    assert [parked.request for parked in stage.state.parked.values()] == [requests[1].request, requests[3].request]
    told = [alert for alert in stage.state.alerts.values() if alert.labels["alertname"] == "RequestParked"]
    assert len(told) == 1
    assert ("kei", told[0].incident) in {(page.person, page.incident) for page in stage.pages()}
    stage.stands()


@pytest.mark.parametrize("kind", ["incident", "silence", "heartbeat", "page"])
def test_a_timer_that_cannot_be_judged_is_quarantined_and_holds_up_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The last resort is paged about it, and what is due beside it happens."""
    broken: Any = {
        "incident": (ticking, "_incident", lambda turn, incident: incident.number == 1),
        "silence": (ticking, "_silence", lambda turn, silence: True),
        "heartbeat": (ticking, "_heartbeat", lambda turn, name: True),
        "page": (paging, "due", lambda turn, page: page.attempts == 1),
    }
    prepare(stage, kind)
    calls = breaks(monkeypatch, *broken[kind])
    stage.clock.passes(11 * MINUTE)
    stage.hears("Elsewhere")
    stage.turns()
    stage.clock.passes(10 * MINUTE)
    stage.turns()
    assert calls
    aside = [one for one in stage.journal if isinstance(one, Quarantine)]
    assert [one.kind for one in aside] == [kind]
    told = [alert for alert in stage.state.alerts.values() if alert.labels["alertname"] == "Quarantined"]
    assert len(told) == 1
    assert told[0].incident in {page.incident for page in stage.pages() if page.person == "kei"}
    assert stage.writer.unjudged == ()
    assert "ben" in {page.person for page in stage.pages() if page.incident == 2}, "the other incident's next step"
    if kind == "silence":
        assert stage.state.incidents[1].state == "triggered"
        assert all(not alert.silences for alert in stage.state.alerts.values())
    stage.stands()


def prepare(stage: Stage, kind: str) -> None:
    """Two incidents of checkout's, and whatever else the kind needs, due within twenty minutes."""
    from tocsin.engine.commands import SetSilence
    from tocsin.kernel.matcher import parse_matcher

    stage.hears("First", job="checkout")
    stage.turns()
    stage.hears("Second", job="checkout")
    stage.turns()
    now = stage.clock.now()
    if kind == "silence":
        matchers = (parse_matcher('alertname="First"'),)
        stage.asks(
            Decided(
                SetSilence(
                    matchers=matchers, author="ana", comment="x", starts_at=now, ends_at=now + 10 * MINUTE, actor="a"
                )
            )
        )
    if kind == "heartbeat":
        from tocsin.engine.inputs import Received
        from tocsin.intake.request import Request

        beat = Request(source="heartbeat", method="GET", path="/")
        stage.writer.intake(Job(Received(0, "orders", now, beat)), now)
    if kind == "page":
        stage.turns()
        stage.asks(Delivered(stage.pages()[0].id, "retry"))
    stage.turns()


def test_a_fault_in_the_quarantine_itself_does_not_go_round_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer is passed over, the last resort hears of it, and other timers ring."""
    stage.hears("First", job="checkout")
    stage.turns()
    stage.hears("Second", job="checkout")
    stage.turns()
    calls = breaks(monkeypatch, ticking, "_incident", lambda turn, incident: incident.number == 1)
    real = Turn.save_incident

    def save(turn: Turn, incident: Any) -> None:
        if incident.number == 1:
            raise ValueError("not even this")
        real(turn, incident)

    monkeypatch.setattr(Turn, "save_incident", save)
    stage.clock.passes(6 * MINUTE)
    stage.turns(10)
    assert len(calls) == 1
    assert stage.writer.unjudged == (("incident", "1"),)
    assert "ben" in {page.person for page in stage.pages() if page.incident == 2}
    told = [alert for alert in stage.state.alerts.values() if alert.labels["alertname"] == "Quarantined"]
    assert told
    assert told[0].incident in {page.incident for page in stage.pages() if page.person == "kei"}
    loads = stage.store.loads
    for _ in range(20):
        stage.clock.passes(MINUTE)
        stage.turns(10)
    assert stage.store.loads == loads, "memory is read anew only for something new"
    assert [one for one in stage.journal if isinstance(one, Tick)][-1].skip == (("incident", "1"),)
    stage.stands(timers=False)


def test_when_nothing_at_all_can_be_said_of_a_fault_the_writer_still_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even the last word failing ends in silence about that one thing, not in a loop."""
    stage.hears("First", job="checkout")
    stage.turns()
    breaks(monkeypatch, ticking, "_incident", lambda turn, incident: incident.number == 1)
    breaks(monkeypatch, hearing, "own_event", lambda *_: True)
    stage.clock.passes(6 * MINUTE)
    stage.turns(10)
    assert ("incident", "1") in stage.writer.unjudged
    job = stage.hears("Second", job="checkout")
    stage.turns(10)
    assert not job.failed


def test_a_faulty_command_is_refused_and_those_beside_it_are_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked hears that it could not be done."""
    stage.hears("Down")
    stage.turns()
    breaks(monkeypatch, deciding, "_acknowledge", lambda *_: True)
    before, asked, after = stage.asks(note("a")), stage.asks(ack(1)), stage.asks(note("b"))
    heard = stage.hears("Other")
    stage.turns()
    assert [bool(job.failed) for job in (before, asked, after, heard)] == [False, True, False, False]
    assert all(stage.answers.count(job) == 1 for job in (before, asked, after, heard))
    assert [one.command.text for one in stage.journal if isinstance(one, Decided)] == ["a", "b"]  # type: ignore[union-attr]
    stage.stands()


def test_an_outcome_that_cannot_be_judged_sets_its_page_aside(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not left waiting for an hour, and the last resort hears of it."""
    stage.hears("Down", job="checkout")
    stage.turns()
    (page,) = stage.pages()
    breaks(monkeypatch, delivering, "delivered", lambda *_: True)
    stage.asks(Delivered(page.id, "retry"))
    stage.turns()
    assert stage.state.pages[page.id].state == "failed"
    assert "kei" in {one.person for one in stage.pages()}
    stage.stands()


@pytest.mark.parametrize(
    ("judge", "name", "input"),
    [
        (covering, "read", CalendarRead("days-off")),
        (delivering, "reached", Receipted(1, "delivered")),
        (delivering, "delivered", Delivered(1, "sent")),
    ],
)
def test_an_input_of_our_own_that_cannot_be_judged_is_answered_so_that_nobody_waits_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, judge: Any, name: str, input: Any
) -> None:
    stage.hears("Down", job="checkout")
    stage.turns()
    breaks(monkeypatch, judge, name, lambda *_: True)
    asked, after = stage.asks(input), stage.asks(note("a"))
    stage.turns()
    assert [stage.answers.count(job) for job in (asked, after)] == [1, 1]
    assert asked.failed.startswith("judging it failed: ")
    assert not after.failed
    assert any(isinstance(one, Quarantine) for one in stage.journal)
    stage.stands()


# --- Time in which nothing could be heard ----------------------------------------------------------------------------


def test_a_machine_that_slept_says_so_before_anything_expires(stage: Stage) -> None:
    """A jump of the clock is deafness; what would have expired in it has not."""
    body = received(stage.clock.now(), "Down")
    stage.writer.intake(Job(body), stage.clock.now())
    stage.turns()
    alert = next(iter(stage.state.alerts.values()))
    alert.ends_at = stage.clock.now() + 4 * MINUTE
    alert.ttl = 4 * MINUTE
    stage.state.watch_alert(alert)
    stage.clock.passes(MINUTE)
    stage.clock.jumps(2 * HOUR)
    stage.turns()
    deaf = [one for one in stage.journal if isinstance(one, Deaf)]
    assert [(one.end - one.start) // HOUR for one in deaf] == [2]
    assert alert.firing
    stage.clock.passes(7 * MINUTE)
    stage.turns()
    assert alert.firing
    stage.clock.passes(2 * HOUR)
    stage.turns()
    assert not alert.firing, "absence counts again"


def stopped(stage: Stage, time: int, *, loop_first: bool) -> None:
    """The whole process stands still, and then either of its threads is the first to go on."""
    stage.writer.time.pulse.beat()
    stage.clock.passes(time)
    if loop_first:
        stage.writer.time.pulse.beat()
    stage.turns()
    stage.writer.time.pulse.beat()
    stage.turns()


@pytest.mark.parametrize("loop_first", [True, False])
def test_a_process_that_was_stopped_says_so_before_anything_expires(stage: Stage, loop_first: bool) -> None:
    """Both clocks go on while a container is paused, and nobody could hear: one deafness, whoever wakes first."""
    stage.hears("Down")
    stage.turns()
    alert = next(iter(stage.state.alerts.values()))
    alert.ends_at = stage.clock.now() + 4 * MINUTE
    alert.ttl = 4 * MINUTE
    stage.state.watch_alert(alert)
    stage.clock.passes(MINUTE)
    stage.turns()
    began = stage.clock.now()
    with capture_logs() as told:
        stopped(stage, 10 * MINUTE, loop_first=loop_first)
    assert [one["seconds"] for one in told if one["event"] == "was_stopped"] == [600]
    deaf = [one for one in stage.journal if isinstance(one, Deaf)]
    assert [(one.start, one.end) for one in deaf] == [(began, began + 10 * MINUTE)]
    assert alert.firing
    stage.clock.passes(HOUR)
    stage.writer.time.pulse = Pulse(stage.clock)
    stage.turns()
    assert not alert.firing, "absence counts again"


def test_what_is_read_soon_after_a_stop_may_have_come_in_it(stage: Stage) -> None:
    """Before the loop's own beat too, for what waits is read first; of two stops in a row, in the first."""
    clock, pulse = stage.clock, stage.writer.time.pulse
    assert pulse.stopped() is None
    pulse.beat()
    clock.passes(4 * SECOND)
    assert pulse.stopped() is None
    pulse.beat()
    clock.passes(MINUTE)
    assert pulse.stopped() == MINUTE
    pulse.beat()
    clock.passes(2 * SECOND)
    pulse.beat()
    clock.passes(MINUTE)
    pulse.beat()
    assert pulse.stopped() == 2 * MINUTE + 2 * SECOND
    for _ in range(30):
        clock.passes(SECOND)
        pulse.beat()
    assert pulse.stopped() is not None
    clock.passes(SECOND)
    pulse.beat()
    assert pulse.stopped() is None


def test_a_process_that_is_stopped_again_and_again_reads_nothing_as_of_long_ago(stage: Stage) -> None:
    """Between the stops it went on: what waited through the first of a hundred is read by now."""
    clock, pulse = stage.clock, stage.writer.time.pulse
    pulse.beat()
    longest = 0
    for _ in range(100):
        clock.passes(20 * SECOND)
        pulse.beat()
        longest = max(longest, pulse.stopped() or 0)
        for _ in range(10):
            clock.passes(SECOND)
            pulse.beat()
    assert 3 * 20 * SECOND <= longest <= 4 * 30 * SECOND
    for _ in range(100):  # a loop that is starved at each of its rounds
        clock.passes(6 * SECOND)
        pulse.beat()
        longest = max(longest, pulse.stopped() or 0)
    assert longest <= 31 * 6 * SECOND + 4 * 30 * SECOND


def test_a_process_that_was_held_up_for_a_moment_was_not_deaf(stage: Stage) -> None:
    """What came meanwhile waited in the sockets."""
    stopped(stage, 4 * SECOND, loop_first=False)
    stopped(stage, 4 * SECOND, loop_first=True)
    assert not [one for one in stage.journal if isinstance(one, Deaf)]


def test_a_loop_that_stays_stuck_is_one_deafness_that_goes_on(stage: Stage) -> None:
    """The writer's thread goes on meanwhile, and says so again and again; monitors get their time to speak once."""
    stage.writer.time.pulse.beat()
    for _ in range(60):
        stage.clock.passes(SECOND)
        stage.turn()
    deaf = [one for one in stage.journal if isinstance(one, Deaf)]
    assert [one.continued for one in deaf] == [False] + [True] * 9
    assert all(before.end == after.start for before, after in itertools.pairwise(deaf))


def test_a_clock_that_goes_as_it_should_is_no_deafness(stage: Stage) -> None:
    """However long nothing happens."""
    for _ in range(10):
        stage.clock.passes(HOUR)
        stage.turn()
    assert not [one for one in stage.journal if isinstance(one, Deaf)]


def test_a_clock_corrected_back_and_forth_is_no_deafness(stage: Stage) -> None:
    """The engine's time did not jump, and everything was heard: nothing that concludes from absence is put off."""
    for _ in range(2):
        stage.clock.jumps(-HOUR)
        stage.turn()
        stage.clock.passes(10 * SECOND)
        stage.turn()
        stage.clock.jumps(HOUR)
        stage.turn()
    assert not [one for one in stage.journal if isinstance(one, Deaf)]


def test_of_a_clock_that_was_behind_only_what_time_skipped_is_deafness(stage: Stage) -> None:
    """Behind for an hour, time went on at half its pace: setting the clock right skips the other half."""
    stage.clock.jumps(-2 * HOUR)
    for _ in range(60):
        stage.turn()
        stage.clock.passes(MINUTE)
    stage.turn()
    stage.clock.jumps(2 * HOUR)
    stage.turn()
    assert [(one.end - one.start) // MINUTE for one in stage.journal if isinstance(one, Deaf)] == [30]


# --- Threads ---------------------------------------------------------------------------------------------------------


def test_more_waiting_than_may_is_an_overload_and_ends_with_it(stage: Stage) -> None:
    """By bytes and by time, and what was taken is subtracted again."""
    now = stage.clock.now()
    assert not stage.writer.overloaded(now)
    stage.writer.intake(Job(received(now, "Big"), size=MOST_WAITING_BYTES + 1), now)
    assert stage.writer.overloaded(now)
    stage.turns()
    assert stage.writer.waiting_bytes == 0
    assert not stage.writer.overloaded(now)
    stage.hears("Late")
    stage.clock.passes(3 * SECOND)
    assert stage.writer.overloaded(stage.clock.now())
    stage.turns()
    assert not stage.writer.overloaded(stage.clock.now())


def test_everything_handed_in_from_elsewhere_is_answered_and_the_end_waits_for_it(tmp_path: Path) -> None:
    """The real thread: nothing is slept over, and stop finishes what waits."""
    from tests.runtime.stage import HandClock, open_store

    answered: list[Job] = []
    clock, store = HandClock(), open_store(tmp_path)

    def committed(one: Any, engine: Any) -> None:
        for job in one.jobs:
            if job.done is not None:
                job.done(job)

    writer = Writer(store, plan_of(PLAN), SOURCES, clock, committed, lambda error: pytest.fail(repr(error)))
    writer.start()
    for number in range(300):
        writer.intake(Job(received(clock.now(), f"A{number}"), answered.append, size=10), clock.now())
        if number % 50 == 0:
            eventually(lambda: not writer.waiting)
    writer.seen.add([1], clock.now())
    writer.urgent(Job(note("last"), answered.append))
    writer.stop()
    assert len(answered) == 301
    assert all(not job.failed for job in answered)
    assert writer.waiting_bytes == 0
    again = open_store(tmp_path)
    kinds = [type(row.input).__name__ for row in again.journal()]
    assert kinds.count("Received") == 300
    assert kinds[-1] == "Seen"
    again.close()


async def test_what_nobody_waits_for_any_more_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.runtime.stage import HandClock, open_store

    looked: list[str] = []
    monkeypatch.setattr(weighing, "weigh", lambda *asked: looked.append(asked[3]))
    writer = Writer(open_store(tmp_path), plan_of(PLAN), SOURCES, HandClock(), lambda *_: None, lambda error: None)
    gone = asyncio.ensure_future(weighed(writer, "gone", "none", "", 0))
    await asyncio.sleep(0)
    gone.cancel()
    with monkeypatch.context() as hurry:
        hurry.setattr(weighing, "WITHIN", 0.01)
        assert (await weighed(writer, "late", "none", "", 0)).why == weighing.LATE
    monkeypatch.setattr(weighing, "WITHIN", 10)
    last = asyncio.ensure_future(weighed(writer, "waits", "none", "", 0))
    await asyncio.sleep(0)
    writer.start()
    assert await last == Weighing() and looked == ["waits"]
    writer.stop()


async def test_whoever_asks_a_writer_that_has_ended_is_answered(tmp_path: Path) -> None:
    """At once, be the question there before the end or after it; and while it lives, with what is in memory."""
    from tests.runtime.stage import HandClock, open_store

    writer = Writer(open_store(tmp_path), plan_of(PLAN), SOURCES, HandClock(), lambda *_: None, lambda error: None)
    before = asyncio.ensure_future(weighed(writer, "inbox", "none", "", 0))
    await asyncio.sleep(0)
    writer.start()
    assert await asyncio.wait_for(before, 10) == Weighing()
    writer.stop()
    assert (await asyncio.wait_for(weighed(writer, "inbox", "none", "", 0), 10)).why == ENDED
    waiting, ends = Questions(), []
    waiting.put(lambda engine, now: pytest.fail("nobody looks"), lambda: ends.append("before"))
    waiting.end()
    waiting.put(lambda engine, now: pytest.fail("nobody looks"), lambda: ends.append("after"))
    assert (ends, bool(waiting)) == (["before", "after"], False)


def test_the_tables_hold_what_is_in_memory_after_every_commit(stage: Stage) -> None:
    """Whatever failed before it, and whether or not anybody learned that it succeeded."""
    stood = 0
    for number in range(80):
        stage.store.failing += number % 7 == 0
        stage.store.unanswered = number % 5 == 1
        stage.hears(f"A{number % 7}")
        if number % 5 == 0:
            stage.asks(ack(1 + number % 3))
        stage.turn()
        if not stage.writer.failures:
            stage.stands()
            stood += 1
        stage.clock.passes(40 * SECOND)
    stage.turns()
    stage.stands()
    assert stood > 20
    assert dump(stage.state)["alerts"]


def test_pages_are_handed_over_only_after_their_commit(stage: Stage) -> None:
    """A page of a commit that failed waits, and one that is sent has its row."""
    stage.store.failing = 1
    stage.hears("Down")
    stage.turn()
    assert stage.pages() == stage.pages(kept=False) == []
    stage.turns()
    (page,) = stage.pages()
    assert isinstance(page, Page)
    assert page.id in {one.id for one in stage.store.real.load().pages}
