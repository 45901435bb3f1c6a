"""What the core holds of the runner: zygotes, one per state of the code, and the lines to the runs they fork."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
import structlog
from msgspec import structs

from tocsin.kernel.instant import Duration
from tocsin.playbooks.confinement import Confine, Unconfined
from tocsin.playbooks.manifest import read_manifests
from tocsin.playbooks.run import Report
from tocsin.playbooks.runner import confining
from tocsin.playbooks.runner.bounds import end_marked
from tocsin.playbooks.runner.child import redacted, secret_parts
from tocsin.playbooks.runner.frames import (
    MAX_FRAME,
    Fork,
    Gone,
    Kill,
    Ready,
    encode,
    frame,
    read_report,
    read_word,
    send_with,
)
from tocsin.playbooks.runner.looking import Looks
from tocsin.playbooks.runner.reading import apart, code_of, unpack
from tocsin.playbooks.session import Reply, Start

log = structlog.get_logger("tocsin.playbooks")

READY_WITHIN = 20.0
SEEN_WITHIN = 5.0
_LOOKS = Looks()


class Unstartable(Exception):
    """A run's process could not be begun; the message says why."""


class Process:
    """One run's process, as the core sees it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gone: asyncio.Future[Gone | None],
        confined: str,
    ) -> None:
        self._confined = confined
        self._reader = reader
        self._writer = writer
        self._gone = gone

    async def start(self, start: Start) -> None:
        """Tell it what to do."""
        await self._send(encode(structs.replace(start, confined=self._confined)))

    async def report(self) -> Report | None:
        """The next thing it says; None at its end. Raises ValueError for what is no report."""
        try:
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            if size > MAX_FRAME:
                raise ValueError(f"it says {size:,} bytes at once")
            body = await self._reader.readexactly(size)
        except (EOFError, OSError):
            return None
        try:
            report: Report = read_report(body)
        except msgspec.DecodeError as error:
            raise ValueError(f"what it says cannot be read: {error}") from None
        return report

    async def reply(self, reply: Reply) -> None:
        """Answer it. It may be gone."""
        await self._send(encode(reply))

    async def ended(self) -> tuple[int | None, str, bool]:
        """Wait for its end: status, what it printed, and whether it was ended for printing. A status below 0: a signal;
        None: what it was forked from ended, and took it along.
        """
        gone = await self._gone
        return (gone.status, gone.output, gone.flooded) if gone is not None else (None, "", False)

    def close(self) -> None:
        """Hang up: a process that still lives ends by that."""
        self._writer.close()

    async def _send(self, body: bytes) -> None:
        with suppress(OSError):
            self._writer.write(frame(body))
            await self._writer.drain()


class _Zygote:
    """One zygote, the folder its code lies in, and the runs it has forked."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        line: socket.socket,
        folder: Path,
        idle: Callable[[_Zygote], None],
        sees: tuple[tuple[int, int], ...],
        confined: str,
    ) -> None:
        self.confined = confined
        self.sees = sees
        """See ``confining.seen``."""
        self.idle = idle
        self.ended = False
        self.process = process
        self.line = line
        self.folder = folder
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: dict[tuple[int, int], asyncio.Future[Gone | None]] = {}

    def hear(self) -> None:
        """Take what it says, until it says nothing more."""
        while True:
            try:
                body = self.line.recv(65_536)
            except BlockingIOError:
                return
            except OSError:
                body = b""
            if not body:
                self.lost()
                return
            match read_word(body):
                case Ready() as ready:
                    for file, why in ready.failed.items():
                        log.warning("code_not_imported", file=file, why=why, confined=self.confined)
                    if not self.ready.done():
                        self.ready.set_result(None)
                case Gone() as gone:
                    waiting = self.gone.pop((gone.run, gone.attempt), None)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(gone)
                    if not self.gone:
                        self.idle(self)

    def lost(self) -> None:
        """It is gone, and its runs with it."""
        self.ended = True
        if self.line.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.line)
        if not self.ready.done():
            self.ready.set_exception(Unstartable("the process that imports the plan's playbooks ended"))
            self.ready.exception()
        for waiting in self.gone.values():
            if not waiting.done():
                waiting.set_result(None)
        self.gone.clear()

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return not self.ended and self.process.poll() is None


class Pool:
    """Begins and ends the processes of runs. ``folder`` is its own; ``mark`` tells its processes from all others.

    ``hidden``: what confined runs never see, whatever they are given: Tocsin's own folders.
    """

    def __init__(self, folder: Path, mark: str, hidden: Sequence[Path] = ()) -> None:
        self._folder = folder.absolute()  # zygotes work elsewhere
        self._mark = mark
        self._hidden = hidden
        self._zygotes: dict[str, _Zygote] = {}
        self._starting: dict[Confine | None, asyncio.Lock] = {}
        self._current: set[str] = set()
        self._made = 0
        self._ending: set[asyncio.Task[None]] = set()

    def end_orphans(self) -> int:
        """End what an earlier Tocsin of this data folder left running. Says how many there were. Blocks for some ms."""
        return end_marked(self._mark)

    async def prepare(self, files: Mapping[str, bytes]) -> None:
        """Have this code imported and ready, so that the first run need not wait. What is not used any more goes."""
        code = code_of(files)
        ways = {one.confine for one in read_manifests(files).playbooks} or {None}
        self._current = {_key(code, way) for way in ways} if code else set()
        for way in sorted(ways, key=str) if code else ():
            try:
                await self._zygote(code, way)
            except Unstartable as error:
                log.warning("code_not_ready", why=str(error), confined=str(way) if way else "")
            except Unconfined as error:
                log.warning("not_confined", why=str(error), confined=str(way))
        for key, zygote in list(self._zygotes.items()):
            if key not in self._current and not zygote.gone:
                del self._zygotes[key]
                await self._end(zygote)

    async def begin(
        self, files: Mapping[str, bytes], run: int, attempt: int, cpu: Duration, confine: Confine | None = None
    ) -> Process:
        """Fork a process for a run's attempt. ``cpu``: how long it may compute. ``confine``: what it has of all
        that is there.

        Raises Unstartable; Unconfined when it cannot be confined so: it never runs otherwise then.
        """
        ours, theirs = socket.socketpair()
        try:
            gone = await self._forked(files, Fork(run, attempt, cpu), theirs, confine)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=2 * MAX_FRAME)
        return Process(reader, writer, gone, str(confine) if confine else "")

    async def _forked(
        self, files: Mapping[str, bytes], order: Fork, line: socket.socket, confine: Confine | None
    ) -> asyncio.Future[Gone | None]:
        """Have a zygote fork; by another one when the first has died and nobody has noticed yet."""
        why = ""
        for _ in range(5):
            zygote = await self._zygote(code_of(files), confine)
            gone: asyncio.Future[Gone | None] = asyncio.get_running_loop().create_future()
            zygote.gone[order.run, order.attempt] = gone
            try:
                send_with(zygote.line, encode(order), line.fileno())
            except BlockingIOError as error:  # it has much to do: in a moment
                why = str(error)
                del zygote.gone[order.run, order.attempt]
                await asyncio.sleep(0.02)
            except OSError as error:
                why = str(error)
                del zygote.gone[order.run, order.attempt]
                zygote.lost()
            else:
                return gone
        raise Unstartable(f"no process could be forked: {why}")

    def clean(self, text: str, urls: Mapping[str, str]) -> str:
        """A text without the secrets in these credentials."""
        return redacted(text, sorted(secret_parts(urls.values()), key=len, reverse=True))

    def kill(self, run: int, attempt: int) -> None:
        """End a run's process and all that it started."""
        for zygote in self._zygotes.values():
            if (run, attempt) in zygote.gone:
                try:
                    zygote.line.send(encode(Kill(run, attempt)))
                except BlockingIOError:  # it has much to do: in a moment
                    asyncio.get_running_loop().call_later(0.02, self.kill, run, attempt)
                except OSError:
                    continue  # it is gone, and its runs with it

    async def close(self) -> None:
        """End everything."""
        zygotes, self._zygotes = list(self._zygotes.values()), {}
        for zygote in zygotes:
            await self._end(zygote)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _zygote(self, code: Mapping[str, bytes], confine: Confine | None) -> _Zygote:
        key = _key(code, confine)
        sees = await _seen(confine) if confine is not None else ()
        # One that cannot be started for long keeps nobody waiting who is to be confined otherwise, or not at all.
        async with self._starting.setdefault(confine, asyncio.Lock()):
            found = self._zygotes.get(key)
            if found is not None and found.alive and found.sees != sees:
                self._retire(key)
                found = None
            if found is None or not found.alive:
                found = self._zygotes[key] = await self._make(code, key, confine, sees)
        try:
            await asyncio.wait_for(asyncio.shield(found.ready), READY_WITHIN)
        except TimeoutError:
            await self._end(found)
            why = f"importing the plan's playbooks did not end within {READY_WITHIN:.0f} s"
        except Unstartable as error:
            why = str(error)
        else:
            return found
        if confine is not None:  # it was imported when the plan was read: it lacks something now
            raise Unconfined(f"{why}, as it is confined: {confine}")
        raise Unstartable(why)

    async def _make(
        self, code: Mapping[str, bytes], key: str, confine: Confine | None, sees: tuple[tuple[int, int], ...]
    ) -> _Zygote:
        self._made += 1
        folder = self._folder / f"{key[:24]}-{self._made}"
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            process = await asyncio.to_thread(_spawn, code, folder, theirs, self._mark, confine, self._hidden)
        except OSError as error:
            ours.close()
            raise Unstartable(f"no process could be started: {error}") from None
        except Unconfined:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        zygote = _Zygote(process, ours, folder, self._idle, sees, str(confine) if confine else "")
        asyncio.get_running_loop().add_reader(ours, zygote.hear)
        return zygote

    def _retire(self, key: str) -> None:
        """A zygote that sees folders as they were goes on with its runs, and begins none any more."""
        zygote = self._zygotes.pop(key)
        self._zygotes[f"{key} {zygote.folder.name}"] = zygote
        if not zygote.gone:
            self._idle(zygote)

    def _idle(self, zygote: _Zygote) -> None:
        """A zygote of code that is in force no more has no run left."""
        for key, one in list(self._zygotes.items()):
            if one is zygote and self._current and key not in self._current:
                del self._zygotes[key]
                ending = asyncio.create_task(self._end(one))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def _end(self, zygote: _Zygote) -> None:
        with suppress(OSError):
            asyncio.get_running_loop().remove_reader(zygote.line)
            zygote.line.close()  # by this it ends all that it forked, and itself
        try:
            await asyncio.to_thread(zygote.process.wait, 5.0)
        except subprocess.TimeoutExpired:
            zygote.process.kill()
            await asyncio.to_thread(zygote.process.wait)
            await asyncio.to_thread(end_marked, self._mark)
        zygote.lost()
        shutil.rmtree(zygote.folder, ignore_errors=True)


async def _seen(confine: Confine) -> tuple[tuple[int, int], ...]:
    """See ``confining.seen``; a file system that does not answer does not keep Tocsin waiting."""
    looked, since = _LOOKS.begin(confine, partial(confining.seen, confine))
    try:  # one that was too long under way already is over before it is waited for
        found: tuple[tuple[int, int], ...] = await asyncio.wait_for(
            asyncio.wrap_future(looked), max(0.0, SEEN_WITHIN - since)
        )
    except TimeoutError:
        raise Unconfined(f"what its confinement names does not answer within {SEEN_WITHIN:.0f} s") from None
    return found


def _spawn(
    code: Mapping[str, bytes],
    folder: Path,
    line: socket.socket,
    mark: str,
    confine: Confine | None,
    hidden: Sequence[Path],
) -> subprocess.Popen[bytes]:
    """Lay the code into a folder and start a zygote on it. Raises OSError, and Unconfined when nothing was started.

    What is confined ends with the thread that starts it: run this in one that stays as long as the loop, as those of
    ``asyncio.to_thread`` do.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    unpack(code, folder)
    parent = os.getpid() if confine is None else 0
    command = [sys.executable, "-m", "tocsin.playbooks.runner.zygote", str(folder), str(line.fileno()), str(parent)]
    if confine is not None:
        confining.attempt(confining.confined(confine, [sys.executable, "-c", ""], code=folder, hidden=hidden))
        command = confining.confined(confine, command, code=folder, hidden=hidden)
    return apart(command, line.fileno(), mark)


def _key(code: Mapping[str, bytes], confine: Confine | None) -> str:
    """Which code, run how."""
    total = hashlib.sha256()
    for name in sorted(code):
        for part in (name.encode(), code[name]):
            total.update(len(part).to_bytes(8, "big") + part)
    if confine is not None:
        total.update(encode(confine))
    return total.hexdigest()
