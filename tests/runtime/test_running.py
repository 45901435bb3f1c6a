"""Runs in the core: begun only when they are written down, told what may begin, and never waited for in vain."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.engine.world import PLAN
from tests.runtime.test_core import Night, until
from tocsin.intake.event import Event
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import Duration
from tocsin.kernel.matcher import parse_matcher
from tocsin.plan import read_plan
from tocsin.playbooks.confinement import Confine
from tocsin.playbooks.evidence import AFTER, BEFORE, Series, together
from tocsin.playbooks.manifest import MANIFEST, Manifest, Manifests, Param, Trust, encode_manifests
from tocsin.playbooks.run import Began, Finished, GaveUp, Report, Returned, Step
from tocsin.playbooks.session import Go, Reply, Start, Stop
from tocsin.runtime.parts import Parts, PlanRead

MANIFESTS = Manifests(
    (
        Manifest(
            name="drain",
            file="playbooks/a.py",
            line=1,
            function="a:drain",
            about="",
            meaning="1",
            answers=((parse_matcher('alertname=~"Probe.*"'),),),
            params=(Param("pump", "pump", target=True),),
            trust=Trust("act"),
            fixes=True,
        ),
    )
)
TEXT = PLAN.replace(
    b"checkout: {escalation: shop,",
    b"checkout: {playbooks: [drain], targets: {main: {kind: pump, look with: secret:ro, fix with: secret:rw}}, "
    b"escalation: shop,",
)
SPEC = ProbeSpec(service="checkout", name="tcp db", kind="tcp", target="db:1")


class Scripted:
    """A process that says what it was given, and keeps what it is answered."""

    def __init__(self, says: list[Report], status: int | None = 0) -> None:
        self.says, self.status = list(says), status
        self.told: Start | None = None
        self.replies: list[Reply] = []
        self.closed = False

    async def start(self, start: Start) -> None:
        self.told = start

    async def report(self) -> Report | None:
        return self.says.pop(0) if self.says else None

    async def reply(self, reply: Reply) -> None:
        self.replies.append(reply)

    async def ended(self) -> tuple[int | None, str, bool]:
        return self.status, "it printed text:rw", False

    def close(self) -> None:
        self.closed = True


class Hands:
    """A runner without processes."""

    def __init__(self) -> None:
        self.says: list[Report] = []
        self.begun: list[Scripted] = []
        self.killed: list[tuple[int, int]] = []
        self.status: int | None = 0

    async def prepare(self, files: Mapping[str, bytes]) -> None:
        pass

    async def begin(
        self, files: Mapping[str, bytes], run: int, attempt: int, cpu: Duration, confine: Confine | None
    ) -> Scripted:
        self.begun.append(Scripted(self.says, self.status))
        return self.begun[-1]

    def kill(self, run: int, attempt: int) -> None:
        self.killed.append((run, attempt))

    def clean(self, text: str, urls: Mapping[str, str]) -> str:
        for url in urls.values():
            text = text.replace(url, "•••")
        return text

    async def close(self) -> None:
        pass


class Coded(Night):
    """A night with a playbook and hands to run it."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.hands = Hands()

    def read(self) -> PlanRead:
        files = {"tocsin.yaml": TEXT, MANIFEST: encode_manifests(MANIFESTS)}
        reading = read_plan(files)
        assert reading.plan is not None, reading.findings
        return PlanRead(reading.plan, files, (), ok=True)

    @property
    def paged(self) -> list[int]:
        """The pages that left."""
        return self.mail.sent

    @property
    def tried(self) -> tuple[str, ...]:
        """What whoever is paged reads of what code did."""
        return self.state.incidents[1].tried


@pytest.fixture
async def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Coded]:
    monkeypatch.setattr("tocsin.runtime.ballast.SIZE", 1 << 20)
    monkeypatch.setattr("tocsin.runtime.ballast.ENOUGH", 4 << 20)
    monkeypatch.setattr("tocsin.runtime.upkeep.AUDIT_EVERY", 0.02)
    monkeypatch.setattr("tocsin.runtime.upkeep.LOOK_AGAIN", 0.02)
    one = Coded(tmp_path)
    made = Parts.__init__

    def with_runner(self: Parts, **parts: object) -> None:
        made(self, runner=one.hands, secret=lambda reference: reference.replace("secret:", "text:"), **parts)  # type: ignore[arg-type]

    monkeypatch.setattr(Parts, "__init__", with_runner)
    await one.start()
    yield one
    await one.stop()


def fires(night: Coded) -> asyncio.Task[None]:
    """A probe finds something."""
    event = Event(
        key="checkout/tcp db", labels={"alertname": "ProbeTcpFailed"}, own_title="db is down", severity="critical",
        starts_at=night.clock.now(),
    )  # fmt: skip
    return asyncio.ensure_future(night.core._own.probed(SPEC, event))


async def test_a_run_begins_after_its_commit_and_gets_what_it_needs_when_it_may(night: Coded) -> None:
    night.hands.says = [
        Finished(1, "look", "a.see", "x", True, said="97 % full"),
        Began(2, "fix", "a.drain", "y"),
        Finished(2, "fix", "a.drain", "y", True),
        Began(3, "verify", "a.see", "z", within=60_000_000),
        Finished(3, "verify", "a.see", "z", True, said="40 % full"),
        Returned(),
    ]
    await fires(night)
    await until(lambda: night.state.runs[1].state == "watching")
    (process,) = night.hands.begun
    assert process.told is not None and process.told.urls == {"main": "text:ro"}
    assert process.replies == [Go(0, {"main": "text:rw"}), Go(60_000_000, {})]
    await until(lambda: night.state.runs[1].output)
    assert night.state.runs[1].output == "it printed •••" and process.closed
    assert night.paged == []


async def test_what_probes_measured_is_written_down_before_the_first_step_and_after_the_last(night: Coded) -> None:
    prober, at = night.core._prober, night.clock.now()
    assert prober is not None
    name = "checkout/tcp db"
    series = [Series(name, "connected after", "s", None, False, ((at - 9, 0.1), (at, one))) for one in (0.4, 0.2)]
    measured = iter([(series[0],)])
    prober.measured = lambda service: next(measured, (series[1],)) if service == "checkout" else ()  # type: ignore[method-assign]
    night.hands.says = [Finished(1, "look", "a.see", "x", True, said="97 % full"), GaveUp("handed_over", "no")]
    await fires(night)
    await until(lambda: night.paged)
    with closing(sqlite3.connect(night.data / "tocsin.db")) as db:

        def written() -> list[Step]:
            rows = db.execute("SELECT body FROM steps ORDER BY ordinal").fetchall()
            return [msgspec.json.decode(row[0], type=Step) for row in rows]

        await until(lambda: len(written()) == 3)
        rows = written()
    assert night.state.runs[1].readings == ("connected after 200 ms",)
    assert [(one.ordinal, one.function) for one in rows] == [(BEFORE, "probes"), (1, "a.see"), (AFTER, "probes")]
    assert [one.points[-1] for one in together(rows[::2])] == [(at, 0.2)]
    (process,) = night.hands.begun
    assert process.told is not None and process.told.recorded == (), "they are no steps of the playbook's"


async def test_a_process_that_ends_without_a_word_calls_a_person_with_what_was_found(night: Coded) -> None:
    night.hands.says = [Finished(1, "look", "a.see", "x", True, said="97 % full")]
    await fires(night)
    await until(lambda: night.paged)
    assert night.tried[0] == "drain could not finish: its process ended with code 0 before it was done"
    assert "drain: Looked: a.see: 97 % full" in night.tried


async def test_when_what_runs_are_forked_from_ends_people_are_called_and_no_playbook_has_failed(night: Coded) -> None:
    night.hands.says = [Finished(1, "look", "a.see", "x", True, said="97 % full"), Began(2, "fix", "a.drain", "y")]
    night.hands.status = None
    await fires(night)
    await until(lambda: night.paged)
    run = night.state.runs[1]
    assert run.changed and run.outcome == "handed_over" and not run.failed
    assert "what runs are forked from was ended" in night.tried[0]
    assert any("It is not known whether a.drain() was done" in one for one in night.tried)
    standing = night.state.standings["checkout", "drain"]
    assert (standing.rung, standing.failed) == ("act", 0)


async def test_while_nothing_can_be_written_no_run_begins_and_no_page_waits_for_one(night: Coded) -> None:
    night.store.full = True
    told = fires(night)
    await until(lambda: night.paged)
    assert "nothing could be written down" in night.tried[0]
    assert night.hands.begun == []
    night.store.full = False
    await asyncio.gather(told, return_exceptions=True)
    await until(lambda: not night.core.doors.full)
    assert night.state.runs[1].outcome == "handed_over" and night.hands.begun == []


async def test_a_fix_whose_permission_cannot_be_written_down_does_not_begin(night: Coded) -> None:
    class Slow(Scripted):
        async def report(self) -> Report | None:
            if self.says and isinstance(self.says[0], Began):
                night.store.full = True
            return await super().report()

    async def begin(
        files: Mapping[str, bytes], run: int, attempt: int, cpu: Duration, confine: Confine | None
    ) -> Scripted:
        night.hands.begun.append(Slow([Began(1, "fix", "a.drain", "y")]))
        return night.hands.begun[-1]

    night.hands.begin = begin  # type: ignore[method-assign]
    await fires(night)
    await until(lambda: night.paged)
    assert [type(one) for one in night.hands.begun[0].replies] == [Stop]
    night.store.full = False
    await until(lambda: not night.core.doors.full)
