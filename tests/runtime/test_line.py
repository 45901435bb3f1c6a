"""The line between the faces and the core, with a real socket."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tocsin.access.credentials import User
from tocsin.engine.commands import AddNote, AnyCommand, Result
from tocsin.faces.core import DECIDED_WITHIN, CoreClient, CoreGone
from tocsin.kernel.instant import SECOND
from tocsin.runtime import line_server as module
from tocsin.runtime.line import Changed, Firing, HeardReply, Known, Reloaded, Status, Weighing
from tocsin.runtime.line_server import LineServer


class Core:
    """Answers as a core does, slowly when told to."""

    def __init__(self) -> None:
        self.decided: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.broken = False

    async def submit(self, command: AnyCommand, idempotency_key: str = "", until: int = 0) -> Result:
        """Decide."""
        assert isinstance(command, AddNote)
        if self.broken:
            raise KeyError("a fault of our own")
        if command.text == "slow":
            await self.free.wait()
        self.decided.append(command.text)
        self.until = until
        return Result(ok=True, id=f"{command.text}/{idempotency_key}")

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        """Hear."""
        return HeardReply(202, service.encode() + body + actor.encode())

    async def reload(self, actor: str, only: str = "") -> Reloaded:
        """Read the plan."""
        await self.free.wait()
        self.decided.append(f"reload by {actor}")
        return Reloaded(True, True, "v2")

    def status(self) -> Status:
        """How it is."""
        return Status(True, True, 1, 2, "v1", None, 3, 4, 5)

    async def guards(self, service: str, playbook: str, target: str, run: int) -> Weighing:
        """Measure."""
        return Weighing(why=f"{service}/{playbook}/{target}/{run}")

    def firing(self, incident: int, newest: int) -> Firing:
        """Count."""
        return Firing(incident, {"s": 2}, newest)

    def known(self, token: bytes, user: int) -> Known:
        """Remember."""
        return Known(None, User(id=user, name=token.decode(), role="viewer", created_at=0))


def note(text: str) -> AddNote:
    return AddNote(incident=1, text=text, actor="person:ana")


class Line:
    """Both ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "c.sock"
        self.core = Core()
        self.server = LineServer(self.core)
        self.client = CoreClient(str(self.path), timeout=5)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """A line that is up."""
    one = Line(tmp_path)
    await one.server.start(one.path)
    yield one
    await one.client.close()
    await one.server.close()


async def test_every_question_has_its_own_answer(line: Line) -> None:
    """However many are asked at once; one that takes long holds up no other."""
    line.core.free.clear()
    slow = asyncio.create_task(line.client.submit(note("slow"), "k"))
    answers = await asyncio.gather(*(line.client.submit(note(str(number)), f"k{number}") for number in range(50)))
    assert [answer.id for answer in answers] == [f"{number}/k{number}" for number in range(50)]
    assert await line.client.events("shop", b"|body|", "ana") == HeardReply(202, b"shop|body|ana")
    assert (await line.client.status()).alerts_live == 3
    measured = await line.client.guards("shop", "free", "main", run=7)
    assert measured.why == "shop/free/main/7"
    assert await line.client.firing(7) == Firing(7, {"s": 2})
    assert await line.client.firing(7, 5) == Firing(7, {"s": 2}, 5)
    remembered = await line.client.known(token=b"t", user=4)
    assert remembered.user is not None
    assert (remembered.token, remembered.user.id, remembered.user.name) == (None, 4, "t")
    line.core.free.set()
    assert (await slow).id == "slow/k"
    assert (await line.client.reload("ana")).version == "v2"


async def test_nobody_is_told_that_nothing_was_changed_when_that_is_not_known(line: Line) -> None:
    """What was asked in vain may still be done, what could not even be asked was not; the core knows when to stop."""
    line.core.free.clear()
    impatient = CoreClient(str(line.path), timeout=0.2)
    before = asyncio.get_running_loop().time()
    with pytest.raises(CoreGone) as late:
        await impatient.submit(note("slow"))
    assert "may still be done" in late.value.words(True)
    assert "changed" not in late.value.words(False)
    line.core.free.set()
    await impatient.submit(note("quick"))
    assert before < line.core.until / SECOND <= asyncio.get_running_loop().time() + 0.2 * DECIDED_WITHIN
    await impatient.close()
    with pytest.raises(CoreGone) as nowhere:
        await CoreClient(f"{line.path}.gone").submit(note("nobody"))
    assert nowhere.value.words(True).endswith("; nothing was changed")


async def test_only_its_owner_can_open_the_socket(line: Line) -> None:
    """Whoever can speak on it is believed."""
    assert stat.S_IMODE(line.path.stat().st_mode) == 0o600


async def test_watchers_hear_what_changed(line: Line) -> None:
    """All of them, each notice once and in order; those that went are forgotten."""
    heard: list[list[Changed]] = [[], []]

    async def watch(into: list[Changed]) -> None:
        async for changed in line.client.changes():
            into.append(changed)
            if len(into) == 3:
                return

    watching = [asyncio.create_task(watch(into)) for into in heard]
    async with asyncio.timeout(5):
        while len(line.server._watchers) < 2:
            await asyncio.sleep(0.01)
    for number in range(3):
        line.server.tell(Changed((number,), ("alerts",)))
    await asyncio.wait_for(asyncio.gather(*watching), 5)
    assert [[one.incidents for one in into] for into in heard] == [[(0,), (1,), (2,)]] * 2
    async with asyncio.timeout(5):
        while line.server._watchers:
            await asyncio.sleep(0.01)
            line.server.tell(Changed())


async def test_a_watcher_that_does_not_read_is_hung_up_on(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fill the core's memory; it reads anew when it comes back."""
    monkeypatch.setattr(module, "MOST_BEHIND", 100_000)
    changes = line.client.changes()
    first = asyncio.ensure_future(anext(changes))
    async with asyncio.timeout(5):
        while not line.server._watchers:
            await asyncio.sleep(0.01)
        line.server.tell(Changed())
        await first
        while line.server._watchers:
            line.server.tell(Changed(tuple(range(20_000))))

    async def read_on() -> None:
        while True:
            await anext(changes)

    with pytest.raises(CoreGone):
        await asyncio.wait_for(read_on(), 5)


async def test_what_waits_hears_at_once_that_the_core_is_gone_and_the_next_question_finds_it_again(line: Line) -> None:
    """A restart of the core is a moment without answers, not a line that stays broken."""
    line.core.free.clear()
    waiting = asyncio.create_task(line.client.submit(note("slow")))
    await line.client.submit(note("one"))
    await line.server.close()
    with pytest.raises(CoreGone):
        await asyncio.wait_for(waiting, 2)
    line.path.unlink(missing_ok=True)
    with pytest.raises(CoreGone):
        await line.client.submit(note("nobody"))
    line.server = LineServer(line.core)
    await line.server.start(line.path)
    assert (await line.client.submit(note("two"))).ok
    assert line.core.decided == ["one", "two"]


async def test_what_was_asked_is_done_to_its_end_when_the_faces_die(line: Line) -> None:
    """A plan half put in force would be worse than one nobody hears the answer to."""
    line.core.free.clear()
    asking = asyncio.create_task(line.client.reload("ana"))
    async with asyncio.timeout(5):
        while not line.server._open:
            await asyncio.sleep(0.01)
    await line.client.status()
    await line.client.close()
    asking.cancel()
    line.core.free.set()
    async with asyncio.timeout(5):
        while not line.core.decided:
            await asyncio.sleep(0.01)
    assert line.core.decided == ["reload by ana"]


async def test_a_fault_of_one_question_breaks_nothing_else(line: Line) -> None:
    """Whoever asked waits in vain for a while; the line and the others go on."""
    line.core.broken = True
    impatient = CoreClient(str(line.path), timeout=0.1)
    with capture_logs() as logs, pytest.raises(CoreGone):
        await impatient.submit(note("broken"))
    line.core.broken = False
    assert (await impatient.submit(note("fine"))).ok
    assert [one["event"] for one in logs] == ["line_fault"]
    await impatient.close()


@pytest.mark.parametrize("rubbish", [b"\x00\x00\x00\x05hello", b"\xff\xff\xff\xff", b"\x00"])
async def test_rubbish_on_the_line_ends_that_connection_only(line: Line, rubbish: bytes) -> None:
    """What is no frame, or too long a one."""
    reader, writer = await asyncio.open_unix_connection(line.path)
    writer.write(rubbish)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(-1), 5) == b""
    writer.close()
    assert (await line.client.submit(note("fine"))).ok
