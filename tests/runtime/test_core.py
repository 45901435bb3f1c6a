"""The core put together: what must hold between the event loop and the writer's thread."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.engine.world import PLAN, START, plan_of
from tests.runtime.stage import HandClock, UncertainStore, events, open_store
from tests.runtime.test_delivery import Hand
from tocsin.engine.commands import Acknowledge, CreateKey, DeclareKeys, SetSilence
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Deaf, Decided, PlanChange, Received
from tocsin.engine.state import Changes, State
from tocsin.intake.request import Heard, Reply, Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.buckets import Bucket
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Duration, Instant, format_rfc3339
from tocsin.kernel.matcher import parse_matcher
from tocsin.pages.answers import Answer
from tocsin.pages.message import Channel, Failed, Sent
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.playbooks.evidence import Series
from tocsin.runtime import declaring
from tocsin.runtime.ballast import Ballast
from tocsin.runtime.clock import SystemClock
from tocsin.runtime.core import Core
from tocsin.runtime.jobs import Committed
from tocsin.runtime.listener import Exchange
from tocsin.runtime.parts import Parts, PlanRead
from tocsin.runtime.pulse import Pulse
from tocsin.store.rows import Journaled
from tocsin.store.writer import LeaseLost


class NoProber:
    """Probes nothing."""

    def replace(self, specs: object) -> None:
        """Nothing."""

    async def faults(self, within: float) -> list[str]:
        """None."""
        return []

    def measured(self, service: str) -> tuple[Series, ...]:
        """Nothing."""
        return ()

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.Event().wait()


class FullStore(UncertainStore):
    """A store that takes nothing at all while it is ``full``."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.full = False
        self.refuses: type | None = None

    def commit(self, journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        """As the real one, or not at all."""
        if self.full or (self.refuses and any(isinstance(row.input, self.refuses) for row in journal)):
            raise sqlite3.OperationalError("database or disk is full")
        self.real.commit(journal, changes, state)

    def set_meta(self, name: str, value: bytes) -> None:
        """As the real one, or not at all."""
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        self.real.set_meta(name, value)


class Running(HandClock):
    """A clock by hand whose monotonic half goes on by itself: the writer's thread waits by it."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic_ns()

    def awake(self) -> Duration:
        """The monotonic one."""
        return self.ran + (time.monotonic_ns() - self._began) // 1_000


class Night:
    """A core with a mail channel by hand, on a store that can be full."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.clock = Running()
        self.plan = PLAN
        self.mail = Hand()
        self.channels: Callable[[Plan], Mapping[str, Channel]] = lambda plan: {"email": self.mail, "console": self.mail}
        self.keys: Callable[[Plan], DeclareKeys] = lambda plan: DeclareKeys(actor="plan", keys=())
        self.core: Core

    async def start(self) -> Core:
        """Start, or start again."""
        self.store = FullStore(open_store(self.data).real)
        parts = Parts(
            store=self.store,
            clock=self.clock,
            sources=SOURCES,
            read_plan=self.read,
            declared_keys=lambda plan: self.keys(plan),
            channels=lambda plan: self.channels(plan),
            prober=lambda *_: NoProber(),  # type: ignore[arg-type]  # all the core asks of it
            calendars=lambda *_: NoProber(),  # type: ignore[arg-type]  # likewise
            signing_key=b"k" * 32,
            public_url="http://tocsin.example",
            paging=True,
            outside=lambda url: None,
            ballast=self.data / "ballast",
        )
        self.core = Core(parts, self.read())
        self.core.writer.time.pulse = Pulse(SystemClock())  # a clock that is put forward by hand stops nobody
        await self.core.start()
        return self.core

    def read(self) -> PlanRead:
        """The plan's files."""
        return PlanRead(plan_of(self.plan), {"tocsin.yaml": self.plan}, (), ok=True)

    async def stop(self) -> None:
        """In good order."""
        self.core.stop()
        await self.core.run()

    async def fires(self, *names: str) -> int:
        """Alerts come over the line, as from a signed-in user; the status."""
        reply = await self.core.events("inbox", events(self.clock.now(), names, {"job": "checkout"}), "user:ana")
        return reply.status

    async def hears(self, name: str, severity: str) -> None:
        """One alert, as grave as that."""
        body = events(self.clock.now(), [name], {"job": "checkout"}).replace(b'"critical"', b'"%s"' % severity.encode())
        assert (await self.core.events("inbox", body, "user:ana")).status == 202

    @property
    def state(self) -> State:
        """What the engine knows."""
        return self.core.writer.engine.state

    def journal(self, kind: type) -> list[Any]:
        """The inputs of a kind that were kept."""
        return [row.input for row in open_reader(self.data) if isinstance(row.input, kind)]


def open_reader(data: Path) -> list[Journaled]:
    """The journal, read beside the writer."""
    from tocsin.store.rows import read_journal_row

    with sqlite3.connect(data / "tocsin.db") as db:
        rows = db.execute("SELECT seq, at, body FROM journal ORDER BY seq").fetchall()
    return [one for row in rows for one in read_journal_row(*row)]


@pytest.fixture
async def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Night]:
    """A night that begins quietly."""
    monkeypatch.setattr("tocsin.runtime.ballast.SIZE", 1 << 20)
    monkeypatch.setattr("tocsin.runtime.ballast.ENOUGH", 4 << 20)
    monkeypatch.setattr("tocsin.runtime.upkeep.AUDIT_EVERY", 0.02)
    monkeypatch.setattr("tocsin.runtime.upkeep.LOOK_AGAIN", 0.02)
    one = Night(tmp_path)
    await one.start()
    yield one
    await one.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(8):
        while not condition():
            await asyncio.sleep(0.01)


# --- Starting --------------------------------------------------------------------------------------------------------


async def test_what_fell_due_while_it_was_down_is_paged_by_its_channel(night: Night) -> None:
    """The ways out are there before the first look at the clock: no page fails for want of a channel."""
    await night.fires("Down")
    await until(lambda: night.mail.sent)
    await night.stop()
    night.clock.jumps(6 * MINUTE)
    await night.start()
    await until(lambda: len(night.mail.sent) == 2)
    await until(lambda: all(page.state == "sent" for page in night.state.pages.values()))
    assert [page.person for page in night.state.pages.values()] == ["ana", "ben"]
    assert night.journal(Deaf)[-1].end - night.journal(Deaf)[-1].start >= 6 * MINUTE - SECOND


async def test_what_leaves_is_known_to_whoever_hears_what_people_answer(night: Night) -> None:
    """And nothing of what left before a start: what its reader means then is asked."""

    def spoken() -> list[int]:
        return [one.page for one in night.core.answers._spoken.lately("email", "ana@shop.example", night.clock.now())]

    await night.fires("Down")
    await until(lambda: night.mail.sent)
    assert spoken() == night.mail.sent == [1]
    await night.stop()
    await night.start()
    assert spoken() == []


async def test_a_page_under_way_at_an_orderly_end_is_not_sent_twice(night: Night) -> None:
    """The end waits for it."""
    night.mail.free.clear()
    await night.fires("Down")
    await until(lambda: night.core.delivery.under_way)
    stopping = asyncio.create_task(night.stop())
    await asyncio.sleep(0)
    night.mail.free.set()
    await stopping
    await night.start()
    await asyncio.sleep(0)
    await until(lambda: night.core.writer.waiting == 0)
    assert night.mail.sent == [1]
    assert night.state.pages[1].state == "sent"


@pytest.mark.parametrize("kept", [True, False])
async def test_a_page_in_line_stands_where_its_incident_is_by_now(night: Night, kept: bool) -> None:
    """Three of sev3, one mail a minute: the third becomes graver and leaves before the second, written down or not."""
    night.plan = PLAN.replace(b"from: tocsin@shop.example}", b"from: tocsin@shop.example, rate: 1/m, burst: 1}")
    await night.core.reload("user:ana")
    for name in ("First", "Second", "Third"):
        await night.hears(name, "warning")
    await until(lambda: night.mail.sent == [1])
    await until(lambda: night.core.delivery.waits)
    lane = night.core.delivery._lanes["email"]
    assert [lane.holds(page) for page in (1, 2, 3)] == [False, True, True]
    night.store.full = not kept
    third = night.state.incidents[3]
    if kept:
        await night.hears("Third", "critical")
    else:
        third.severity = "sev1"
        await night.core.submit(Acknowledge(incident=1, actor="user:ana"))
    await until(lambda: third.severity == "sev1")
    await until(lambda: min(one.key for ones in lane._by_page.values() for one in ones)[1] == "sev1")
    await night.core.delivery.replace(night.core.delivery.channels, {})
    await until(lambda: len(night.mail.sent) == 3)
    assert night.mail.sent == [1, 3, 2]
    night.store.full = False


# --- Plans -----------------------------------------------------------------------------------------------------------

BEN = PLAN.replace(b"{page: ana, wait: 5m}", b"{page: ben, wait: 5m}")


async def test_keys_whose_secrets_are_away_are_declared_when_they_are_there(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts without them, says so to a person, and asks again by itself."""
    monkeypatch.setattr(declaring, "AGAIN", 0.05)
    am = ("events", "inbox", "am")
    await night.stop()
    night.keys = lambda plan: DeclareKeys(actor="plan", keys=(), kept=(am,))
    await night.start()
    await until(lambda: night.state.incidents)
    incident = night.state.incidents[1]
    assert (incident.labels["alertname"], incident.service) == ("KeysNotToBeHad", "inbox")
    night.keys = lambda plan: DeclareKeys(actor="plan", keys=((b"h" * 32, "hhhh", *am),))
    await until(lambda: b"h" * 32 in night.state.keys_by_hash)
    await until(lambda: all(not alert.firing for alert in night.state.alerts.values()))
    await until(lambda: len(night.journal(Received)) >= 2)
    assert len(night.journal(Received)) == 2, "it fired once, and is over"


async def test_a_key_whose_secret_is_away_at_a_reload_is_told_and_declared_later(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing was away before."""
    monkeypatch.setattr(declaring, "AGAIN", 0.05)
    am = ("events", "inbox", "am")
    night.plan, night.keys = BEN, lambda plan: DeclareKeys(actor="plan", keys=(), kept=(am,))
    assert (await night.core.reload("user:ana")).ok
    await until(lambda: night.state.incidents)
    assert night.state.incidents[1].labels["alertname"] == "KeysNotToBeHad"
    night.keys = lambda plan: DeclareKeys(actor="plan", keys=((b"h" * 32, "hhhh", *am),))
    await until(lambda: b"h" * 32 in night.state.keys_by_hash)


async def test_only_the_plan_that_was_looked_at_is_put_in_force(night: Night) -> None:
    """It changed between looking and pressing: nothing happens, and the answer says so."""
    before, night.plan = night.core._plan.version, BEN
    answer = await night.core.reload("user:ana", "f" * 64)
    assert (answer.ok, answer.changed, answer.version) == (False, False, before)
    assert answer.findings == ("The plan folder has changed since it was looked at: look again at what it changes",)
    looked = read_plan({"tocsin.yaml": BEN}).plan
    assert looked is not None
    assert (await night.core.reload("user:ana", looked.version)).changed


async def test_a_plan_whose_channels_or_keys_cannot_be_had_changes_nothing(night: Night) -> None:
    """The answer says why, and pages leave as before."""
    good, before = night.channels, night.core._plan

    def fails(plan: Plan) -> Any:
        raise LookupError("secret:smtp is not set")

    night.plan, night.channels = BEN, fails
    answer = await night.core.reload("user:ana")
    assert (answer.ok, answer.findings) == (False, ("secret:smtp is not set",))

    def lacks(plan: Plan) -> DeclareKeys:
        raise ValueError("the key has fewer than 16 characters")

    night.channels, keys, night.keys = good, night.keys, lacks
    assert not (await night.core.reload("user:ana")).ok
    night.keys = keys
    assert night.core._plan is before is night.core.writer.engine.plan
    await night.fires("Down")
    await until(lambda: night.mail.sent)
    assert night.state.pages[1].person == "ana"
    assert (await night.core.reload("user:ana")).changed
    await night.fires("Other")
    await until(lambda: len(night.mail.sent) == 2)
    assert night.state.pages[2].person == "ben"


async def test_it_says_that_the_console_alone_is_paged_once_nobody_has_anything_better(night: Night) -> None:
    assert not night.core.status().console_only
    night.plan = re.sub(rb", email: \w+@shop\.example", b"", PLAN)
    assert (await night.core.reload("user:ana")).changed
    assert night.core.status().console_only
    night.plan = PLAN
    await night.core.reload("user:ana")
    assert not night.core.status().console_only


async def test_it_counts_what_fires_and_what_each_silence_keeps_quiet(night: Night) -> None:
    await night.fires("Down")
    await night.fires("Other")
    assert night.core.firing(0).count == 2
    assert {night.core.firing(number).count for number in (1, 2)} in ({1}, {0, 2})
    assert night.core.firing(99).count == 0
    ends = night.core._parts.clock.now() + HOUR
    matchers = (parse_matcher("alertname=Other"),)
    made = SetSilence(actor="user:ana", matchers=matchers, author="ana", comment="x", starts_at=0, ends_at=ends)
    name = (await night.core.submit(made)).id
    await until(lambda: night.core.firing(0).quiet == {name: 1})
    incident = next(alert.incident for alert in night.state.alerts.values() if alert.silences)
    assert night.core.firing(incident).quiet == {name: 1} and night.core.firing(99).quiet == {}


async def test_a_page_in_the_commit_of_a_plans_change_leaves_by_the_new_plans_channel(night: Night) -> None:
    """The old one may not know its address any more, and would refuse it for good."""
    old, new = night.mail, Hand()
    night.channels = lambda plan: {"email": new, "console": new}
    began, go_on = threading.Event(), threading.Event()
    real = night.core.writer._store.commit

    def slow(journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        began.set()
        go_on.wait(8)
        real(journal, changes, state)

    night.core.writer._store.commit = slow  # type: ignore[method-assign]
    quiet = asyncio.create_task(night.hears("Quiet", "info"))
    await until(began.is_set)
    night.plan = BEN
    reloading = asyncio.create_task(night.core.reload("user:ana"))
    await until(lambda: night.core.writer.waiting)
    firing = asyncio.create_task(night.fires("Down"))
    await until(lambda: night.core.writer.waiting == 2)
    go_on.set()
    assert (await reloading).changed
    await asyncio.gather(quiet, firing)
    await until(lambda: [page.state for page in night.state.pages.values()] == ["sent", "sent"])
    assert (old.sent, new.sent, old.closed) == ([1], [2], True), "the first was of the old plan"
    night.core.writer._store.commit = real  # type: ignore[method-assign]


async def test_a_plan_the_database_does_not_take_is_in_force_and_said_to_be_unwritten(night: Night) -> None:
    """Its channels are used; and while nothing can be written no further plan comes into force."""
    other = Hand()
    night.plan = BEN
    night.channels = lambda plan: {"email": other, "console": other}
    night.store.refuses = PlanChange
    answer = await night.core.reload("user:ana")
    assert answer.ok
    assert "not written down yet" in answer.findings[-1]
    night.plan = PLAN
    answer = await night.core.reload("user:ana")
    assert not answer.ok
    assert "Nothing was changed" in answer.findings[-1]
    night.store.refuses = None
    await until(lambda: not night.core.doors.full)
    await night.fires("Down")
    await until(lambda: other.sent)
    assert night.state.pages[1].person == "ben"
    assert night.journal(PlanChange)[-1].version == plan_of(BEN).version


async def test_reloads_at_the_same_time_come_one_after_the_other(night: Night) -> None:
    """The last one's plan is in force, with the last one's channels."""
    made: list[Hand] = []

    def channels(plan: Plan) -> Mapping[str, Channel]:
        made.append(Hand())
        return {"email": made[-1], "console": made[-1]}

    night.channels = channels
    plans = [PLAN, BEN, PLAN, BEN]

    async def reload(plan: bytes) -> bool:
        night.plan = plan
        return (await night.core.reload("signal:SIGHUP")).ok

    assert await asyncio.gather(*map(reload, plans)) == [True] * 4
    assert [one.closed for one in made] == [True] * 3 + [False]
    assert night.core.writer.engine.plan.version == plan_of(BEN).version == night.core._plan.version


# --- Answers ---------------------------------------------------------------------------------------------------------


async def test_whoever_stops_waiting_costs_nobody_a_page(night: Night) -> None:
    """The answer goes nowhere; the page of the same commit leaves."""
    asking = asyncio.create_task(night.fires("Down"))
    await asyncio.sleep(0)
    asking.cancel()
    await until(lambda: night.mail.sent)


async def test_a_test_event_counts_as_received(night: Night) -> None:
    """The page that waits for the first event would say 0 received beside it; what is no event is refused."""
    assert await night.fires("Down") == 202
    assert (night.core.status().requests, night.core.status().refused) == (1, 0)
    assert (await night.core.events("inbox", b"{}", "user:ana")).status == 400
    assert (night.core.status().requests, night.core.status().refused) == (2, 1)


async def test_an_answer_that_cannot_be_given_costs_no_other_its_own(night: Night) -> None:
    """Nor any page."""
    source = SOURCES["events"]

    def fails(reply: Reply) -> None:
        raise RuntimeError("nobody takes it")

    got: list[Reply] = []
    now = night.clock.now()
    with capture_logs() as logs:
        for answer in (fails, got.append, fails, got.append):
            request = Request(source="events", method="POST", path="/api/events", body=events(now, ["Down"]))
            night.core.doors.offer(request, source, 0, "inbox", now, answer)
        await until(lambda: len(got) == 2)
    assert {reply.status for reply in got} == {202}
    assert [one["event"] for one in logs].count("answer_fault") == 2
    await until(lambda: night.mail.sent)


async def test_an_acknowledgement_counts_while_nothing_can_be_written_and_the_answer_says_how_it_is(
    night: Night,
) -> None:
    """What would give a secret away that may be gone in a moment is refused instead."""
    await night.fires("Down")
    night.store.full = True
    result = await night.core.submit(Acknowledge(incident=1, actor="person:ana"))
    assert (result.ok, result.code) == (False, "unwritten")
    assert "in force, but not written down yet" in result.message
    assert night.state.incidents[1].state == "acknowledged"
    key = CreateKey(hash=b"h" * 32, hint="hhhh", source="events", service="inbox", actor="user:ana")
    result = await night.core.submit(key)
    assert (result.ok, result.code) == (False, "unavailable")
    await until(lambda: "in memory alone" in " ".join(night.core.upkeep.audit.faults))
    night.store.full = False
    await until(lambda: not night.core.doors.full)
    assert [one.command.actor for one in night.journal(Decided) if isinstance(one.command, Acknowledge)] == [
        "person:ana"
    ]
    assert not night.state.keys


async def test_nobody_hears_that_nothing_can_be_written_before_it_is_known_everywhere(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever hears it and asks for the next thing in the same moment is answered as if all were well."""
    committed, away = night.core.writer._committed, []

    def seen(told: Committed, engine: Engine) -> None:
        if not told.kept:
            away.append(night.core.writer.away)
        committed(told, engine)

    monkeypatch.setattr(night.core.writer, "_committed", seen)
    await night.fires("Down")
    night.store.full = True
    result = await night.core.submit(Acknowledge(incident=1, actor="person:ana"))
    assert result.code == "unwritten"
    assert away
    assert all(away)


async def test_a_request_its_source_cannot_read_for_a_fault_of_its_own_is_kept_and_answered(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parked, with an incident, and refused as what it is."""

    def decode(*_: object) -> Heard:
        raise ZeroDivisionError("the source's own fault")

    broken = SOURCES["events"]._replace(decode=decode)
    got: list[Reply] = []
    request = Request(source="events", method="POST", path="/api/events", body=b"{}")
    with capture_logs() as logs:
        night.core.doors.offer(request, broken, 0, "inbox", night.clock.now(), got.append)
        await until(lambda: got)
    assert got[0].status == 400
    assert [parked.request.body for parked in night.state.parked.values()] == [b"{}"]
    assert night.journal(Received)[-1].aside
    assert "reading_failed" in [one["event"] for one in logs]
    await until(lambda: night.mail.sent)


async def test_what_a_door_refuses_is_answered_once(night: Night) -> None:
    """Wrong method, unknown key, too long a body, too many requests."""
    from tests.runtime.test_listener import Talk
    from tocsin.access.credentials import secret_hash

    text = "k" * 32
    for source in ("pagerduty", "events", "alertmanager", "heartbeat"):
        beats = source == "heartbeat"
        made = await night.core.submit(
            CreateKey(
                hash=secret_hash(text + source),
                hint="kkkk",
                source=source,
                service="orders" if beats else "inbox",
                heartbeat="nightly" if beats else "",
                actor="user:ana",
            )
        )
        assert made.ok, made
    taken: list[Exchange] = []

    def handle(exchange: Exchange) -> None:
        taken.append(exchange)
        if not night.core.doors.handle(exchange):
            exchange.answer(Reply(404))

    big = b"x" * (SOURCES["pagerduty"].limits.body + 1)
    alert = msgspec.json.encode([{"labels": {"alertname": "a"}}])
    cases = [
        (b"GET", b"/v2/enqueue", b"", 405),
        (b"POST", b"/v2/enqueue", b"{}", 400),
        (b"POST", b"/v2/enqueue", b'{"x": "%s"}' % (b"x" * 20_000), 400),
        (b"POST", b"/v2/enqueue", big, 413),
        (b"POST", b"/v2/enqueue", b'{"routing_key": "unknown", "event_action": "trigger"}', 400),
        (b"GET", b"/api/events", b"", 405),
        (b"POST", b"/api/events", b"{}", 401),
        (b"POST", b"/api/events/unknown", b"{}", 401),
        (b"POST", b"/am/" + text.encode() + b"events/api/v2/alerts", alert, 401),
        (b"POST", b"/am/" + text.encode() + b"alertmanager/api/v2/alerts", alert, 200),
        (b"POST", b"/am/" + text.encode() + b"alertmanager/api/v2/alerts", big, 413),
        (b"GET", b"/am/" + text.encode() + b"alertmanager/api/v2/alerts", b"", 404),
        (b"POST", b"/ping/" + text.encode() + b"heartbeat", big, 200),
    ]
    with capture_logs() as logs:
        for method, path, body, status in cases:
            talk = Talk(handle)
            head = b" HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            talk.say(method + b" " + path + head + body)
            await until(lambda talk=talk: talk.answers())  # type: ignore[misc]
            assert [answer[0] for answer in talk.answers()] == [status], path
            assert (b"allow: post" in bytes(talk.wire.sent).lower()) == (status == 405)
    assert text not in repr(logs), "keys are in no log"


async def test_strangers_are_told_in_detail_what_is_wrong_only_so_often(night: Night) -> None:
    """Their body is read on the loop that pages people leave by."""
    from tests.runtime.test_listener import Talk
    from tocsin.runtime.doors import STRANGERS

    def handle(exchange: Exchange) -> None:
        assert night.core.doors.handle(exchange)

    talk = Talk(handle)
    ask = b'POST /v2/enqueue HTTP/1.1\r\nContent-Length: 24\r\n\r\n{"event_action": "tell"}'
    for _ in range(STRANGERS.burst + 1):
        talk.say(ask)
    said = [body for status, body in talk.answers() if status == 400]
    assert len(said) == STRANGERS.burst + 1 and len(set(said[:-1])) == 1
    assert b"no key that is known was found" in said[-1] and b"no key that is known was found" not in said[0]
    night.clock.passes(SECOND)
    talk.say(ask)
    assert talk.answers()[-1][1] == said[0]


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/api/v1/incidents/1/notes", "application/problem+json", ["code", "detail", "status", "title", "type"]),
        ("/api/events", "application/problem+json", ["detail", "status", "title", "type"]),
        ("/v2/enqueue", "application/json", ["errors", "message", "status"]),
        ("/am/key/api/v2/alerts", "application/json", ["code", "message"]),
    ],
)
async def test_a_body_beyond_every_bound_is_refused_in_the_words_of_its_api(
    night: Night, path: str, kind: str, said: list[str]
) -> None:
    from tests.runtime.test_listener import Talk
    from tocsin.access.limits import MOST_BODY
    from tocsin.runtime.front import Front

    talk = Talk()
    talk.listener.refusal = Front(night.core, Path("faces"))._refusal
    talk.say(f"POST {path}?x=1 HTTP/1.1\r\nContent-Length: {MOST_BODY + 1}\r\n\r\n".encode())
    ((status, body),) = talk.answers()
    assert status == 413
    assert f"content-type: {kind}\r\n".encode() in bytes(talk.wire.sent)
    told = msgspec.json.decode(body)
    assert sorted(told) == said
    assert str(MOST_BODY) in body.decode()


def test_a_clock_set_back_does_not_shut_a_key_out() -> None:
    """Its bucket does not empty by time that runs backwards."""
    limits = SOURCES["events"].limits
    bucket = Bucket(limits, START)
    assert bucket.take(limits, START - HOUR)
    assert bucket.take(limits, START - HOUR + 1)


# --- Not hearing -----------------------------------------------------------------------------------------------------


async def test_an_alert_that_counts_as_a_heartbeat_is_heard_to_the_second_and_ends_its_lateness_at_once(
    night: Night,
) -> None:
    """Other repetitions are gathered for a minute and rounded, which made this one late too early and back too late."""
    began = format_rfc3339(night.clock.now())
    got: list[Reply] = []

    async def beats() -> None:
        now = night.clock.now()
        labels = {"alertname": "Watchdog"}
        body = [{"labels": labels, "startsAt": began, "endsAt": format_rfc3339(now + 30 * MINUTE)}]
        request = Request(
            source="alertmanager",
            method="POST",
            path="/api/v2/alerts",
            body=msgspec.json.encode(body),
            headers={"content-type": "application/json"},
        )
        count = len(got)
        night.core.doors.offer(request, SOURCES["alertmanager"], 0, "inbox", now, got.append)
        await until(lambda: len(got) > count)

    await beats()
    heart = night.state.heartbeats["orders", "watchdog"]
    for _ in range(3):
        night.clock.passes(4 * MINUTE + 4 * SECOND)
        await beats()
        assert heart.last == night.clock.now()
        assert heart.due == night.clock.now() + 6 * MINUTE
    night.clock.passes(6 * MINUTE + SECOND)
    await until(lambda: heart.state == "late")
    await beats()
    assert heart.state == "up"
    assert len(night.journal(Received)) == 5
    assert night.core.writer.engine.state.alerts[1].firing


async def test_a_full_disk_closes_intake_and_time_in_which_nothing_is_heard_expires_nothing(night: Night) -> None:
    """The ballast is let go; deafness is said at once, while it lasts and at its end; then intake opens by itself."""
    ends = night.clock.now() + 4 * MINUTE
    labels = {"alertname": "Short", "job": "checkout"}
    body = msgspec.json.encode(
        [{"labels": labels, "endsAt": format_rfc3339(ends), "startsAt": format_rfc3339(night.clock.now())}]
    )
    source = SOURCES["alertmanager"]
    got: list[Reply] = []

    def post() -> None:
        now = night.clock.now()
        kind = {"content-type": "application/json"}
        request = Request(source="alertmanager", method="POST", path="/api/v2/alerts", body=body, headers=kind)
        night.core.doors.offer(request, source, 0, "inbox", now, got.append)

    post()
    await until(lambda: got)
    (alert,) = night.state.alerts.values()
    assert alert.ends_at == ends
    ballast = night.data / "ballast"
    assert ballast.exists()

    night.store.full = True
    assert await night.fires("Lost") == 503
    await until(lambda: night.core.doors.full)
    assert not ballast.exists()
    assert night.core.faults()
    night.store.full = False
    night.core.upkeep.ballast.take = lambda: False  # type: ignore[method-assign]  # the disk has room again only later
    await until(lambda: night.journal(Deaf))
    for _ in range(20):
        night.clock.passes(MINUTE)
        count = len(night.journal(Deaf))
        await until(lambda count=count: len(night.journal(Deaf)) > count)  # type: ignore[misc]
    (alert,) = (one for one in night.state.alerts.values() if one.labels["alertname"] == "Short")
    assert alert.firing
    assert night.state.incidents[1].open
    deaf = night.journal(Deaf)
    assert [one.continued for one in deaf] == [False] + [True] * (len(deaf) - 1)
    assert all(after.start == before.end for before, after in pairwise(deaf))

    del night.core.upkeep.ballast.take
    await until(lambda: not night.core.doors.full)
    assert ballast.exists()
    night.clock.passes(MINUTE)
    await until(lambda: night.core.doors.refusing_since is None)
    for _ in range(12):
        night.clock.passes(MINUTE)
        assert await night.fires("Tock") == 202
    await until(lambda: not night.state.alerts.get(1) or not night.state.alerts[1].firing)


async def test_a_small_disk_on_which_no_ballast_fits_opens_intake_again(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was never set aside is not waited for."""
    await night.stop()
    (night.data / "ballast").unlink(missing_ok=True)
    monkeypatch.setattr("tocsin.runtime.ballast.ENOUGH", 1 << 60)
    await night.start()
    night.store.full = True
    with capture_logs() as logged:
        assert await night.fires("Lost") == 503
        for _ in range(5):
            night.core.upkeep._open_intake()
    assert [one["event"] for one in logged if "ballast" in one["event"]] == [], "that it is full was said"
    assert "intake_closed" in {one["event"] for one in logged}
    night.store.full = False
    await until(lambda: not night.core.doors.full)
    assert await night.fires("Heard") == 202


async def test_a_hiccup_shuts_intake_no_longer_than_it_lasts_however_little_room_there_is(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ballast is let go only where it helps: on a full disk."""
    monkeypatch.setattr("tocsin.runtime.ballast.ENOUGH", 1 << 60)
    night.store.no_room = lambda error: False  # type: ignore[method-assign]  # the disk is not what fails
    night.store.full = True
    assert await night.fires("Lost") == 503
    await until(lambda: night.core.doors.full)
    assert (night.data / "ballast").exists()
    night.store.full = False
    await until(lambda: not night.core.doors.full)
    assert await night.fires("Heard") == 202


async def test_while_intake_is_shut_nobody_outside_is_told_that_all_is_well(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when commits succeed again and only the room is missing; and that is what is said."""
    monkeypatch.setattr("tocsin.runtime.ballast.ENOUGH", 1 << 60)
    sounds: list[int] = []
    night.core.upkeep._sound = lambda: sounds.append(night.core.doors.full)
    await until(lambda: sounds)
    night.store.full = True
    assert await night.fires("Lost") == 503
    await until(lambda: night.core.doors.full and not (night.data / "ballast").exists())
    night.store.full = False
    await until(lambda: night.core.writer.failures == 0)
    audited = night.core.upkeep.audit
    await until(lambda: night.core.upkeep.audit is not audited)
    await until(lambda: night.core.upkeep.audit is not audited and not night.core.upkeep.audit.faults)
    (fault,) = night.core.upkeep.faults
    assert "have to be free on the data folder" in fault
    audited = night.core.upkeep.audit
    await until(lambda: night.core.upkeep.audit is not audited)
    assert True not in sounds
    monkeypatch.setattr("tocsin.runtime.ballast.ENOUGH", 1 << 20)
    count = len(sounds)
    await until(lambda: len(sounds) > count)
    assert not night.core.doors.full


async def test_an_overload_that_comes_and_goes_is_one_time_of_deafness(night: Night) -> None:
    """However often it is refused within a minute."""
    real = night.core.writer.overloaded
    loaded = True

    def overloaded(now: Instant) -> bool:
        return loaded or real(now)

    night.core.writer.overloaded = overloaded  # type: ignore[method-assign]
    for number in range(20):
        loaded = True
        night.core.doors.refusing_since = night.core.doors.refusing_since or night.clock.now()
        night.core.upkeep.mind_deafness()
        night.clock.passes(SECOND)
        loaded = False
        await night.fires(f"A{number}")
    night.clock.passes(MINUTE)
    await until(lambda: night.core.doors.refusing_since is None)
    await until(lambda: len(night.journal(Deaf)) == 2)  # what no more waits may still be on its way into a commit
    assert [one.continued for one in night.journal(Deaf)] == [False, True]


# --- Looking after itself --------------------------------------------------------------------------------------------


async def test_the_self_audit_does_not_touch_the_timers(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the writer's thread; two threads in one heap lose timers."""
    from tocsin.engine.timers import Timers

    asked: set[str] = set()
    real = Timers.next

    def noticed(timers: Timers) -> Any:
        asked.add(threading.current_thread().name)
        return real(timers)

    monkeypatch.setattr(Timers, "next", noticed)
    before = night.core.upkeep.audit.at
    night.clock.passes(SECOND)
    await night.fires("Down")
    await until(lambda: night.core.upkeep.audit.at > before and asked)  # the writer asks once more after the event
    assert asked == {"tocsin-writer"}


async def test_what_the_self_audit_sees_once_is_half_of_a_change(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is there twice counts; and an audit that fails is a fault too."""
    seen: list[list[int]] = [[7], []]
    monkeypatch.setattr("tocsin.runtime.audit.unexplained", lambda state, now, alerts: seen.pop(0) if seen else [])
    assert (await night.core.upkeep.look()).faults == ()
    monkeypatch.setattr("tocsin.runtime.audit.unexplained", lambda state, now, alerts: [7])
    assert len((await night.core.upkeep.look()).faults) == 1

    def fails(state: State, now: int, alerts: object) -> list[int]:
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr("tocsin.runtime.audit.unexplained", fails)
    assert "the self-audit failed" in (await night.core.upkeep.look()).faults[0]


async def test_a_writer_that_ends_ends_the_core_at_once(night: Night) -> None:
    """Nothing can be finished without it, and every second counts until the next is up."""
    with capture_logs():
        night.core.writer._fatal(sqlite3.DatabaseError("file is not a database"))
        with pytest.raises(sqlite3.DatabaseError):
            await asyncio.wait_for(night.core.run(), 2)
        night.core.writer.stop()
    await night.start()


async def test_a_writer_that_ends_while_somebody_answers_ends_the_core_and_sends_nothing_more(night: Night) -> None:
    """They are told that it did not count; what waits in the lanes is another node's by now."""
    await night.fires("Down")
    await until(lambda: any(page.state == "sent" for page in night.state.pages.values()))
    (page,) = night.state.pages.values()
    night.mail.answer = lambda message: pytest.fail("it was another node's to send")
    night.mail.free.clear()
    await night.fires("Second")
    await until(lambda: night.core.delivery.under_way)
    began, go_on = threading.Event(), threading.Event()

    def loses(journal: Sequence[Journaled], changes: Changes, state: State) -> None:
        began.set()
        go_on.wait(8)
        raise LeaseLost("another node writes now")

    night.core.writer._store.commit = loses  # type: ignore[method-assign]
    firing = asyncio.create_task(night.fires("Third"))
    await until(began.is_set)
    taking = asyncio.create_task(night.core.answers.take("email", Answer(page=page.id, by=page.address, mark="mark")))
    stuck = asyncio.create_task(asyncio.Event().wait())  # a channel that never comes to the end of its thanks
    night.core.answers._calls.add(stuck)  # type: ignore[arg-type]
    await until(lambda: night.core.writer.waiting)
    with capture_logs():
        go_on.set()
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(night.core.run(), 7)
    taken = await asyncio.wait_for(taking, 2)
    assert (taken.ok, taken.again) == (False, True)
    assert await asyncio.wait_for(firing, 2) == 503
    assert stuck.cancelled()
    assert night.mail.closed
    night.mail.answer = lambda message: Sent()
    night.mail.free.set()
    night.store.close()
    await night.start()


async def test_a_channel_that_fails_is_followed_by_the_next_step_at_once(night: Night) -> None:
    """All the way: intake, judging, a channel that says no for good, the outcome, the next person."""
    night.mail.answer = lambda message: Failed("auth", "no", permanent=True) if message.person == "ana" else Sent()
    await night.fires("Down")
    await until(lambda: [page.state for page in night.state.pages.values()] == ["failed", "sent", "sent"])
    assert [page.person for page in night.state.pages.values()] == ["ana", "ben", "kei"]  # kei: the last resort


async def test_the_self_audit_does_not_pass_while_an_incident_has_reached_nobody(night: Night) -> None:
    """Every channel refuses, again and again: whoever watches from outside must notice that nobody is paged."""
    night.mail.answer = lambda message: Failed("unreachable", "connection refused")
    await night.fires("Down")
    await until(lambda: sum(page.refused for page in night.state.pages.values()) == 3)
    assert (await night.core.upkeep.look()).faults == ()
    for _ in range(3):
        night.clock.passes(MINUTE)
        attempts = sum(page.attempts for page in night.state.pages.values())
        await until(lambda: sum(page.attempts for page in night.state.pages.values()) > attempts)  # noqa: B023  # at once
    (fault,) = (await night.core.upkeep.look()).faults
    assert fault == "incident #1 has reached nobody for 2 min: its pages are refused"
    night.mail.answer = lambda message: Sent()
    night.clock.passes(HOUR // 2)
    await until(lambda: any(page.left for page in night.state.pages.values()))
    assert (await night.core.upkeep.look()).faults == ()


def test_the_ballast_says_whether_it_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room that was never set aside need not come back."""
    monkeypatch.setattr("tocsin.runtime.ballast.SIZE", 1 << 16)
    one = Ballast(tmp_path / "ballast")
    assert not one.release()
    assert one.take()
    assert (tmp_path / "ballast").stat().st_size == 1 << 16
    assert one.release()
    assert not (tmp_path / "ballast").exists()
