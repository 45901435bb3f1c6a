"""The process that has a plan's playbooks imported and forks one child for each run. Single-threaded, and small.

Run as ``python -m tocsin.playbooks.runner.zygote FOLDER DESCRIPTOR PARENT`` by ``pool``, or by bubblewrap with PARENT 0
(``confining``). When the line to Tocsin ends, everything it started ends, and then it does.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

from tocsin.playbooks.confinement import PRIVATE, SHARED
from tocsin.playbooks.runner import child
from tocsin.playbooks.runner.bounds import MOST_OPEN, adopt, bound, end_strays
from tocsin.playbooks.runner.frames import Fork, Gone, Kill, Ready, encode, read_order, receive_with
from tocsin.playbooks.runner.importing import import_code
from tocsin.playbooks.runner.modules import warm

CONTROL = 3
"""The descriptor of a run's line to Tocsin, the only one it has beside the usual three."""
HEAD = TAIL = 8 * 1024
"""What is kept of a run's output: so much of its beginning, and of its end."""
FLOOD = 16 * 1024 * 1024
"""A run that prints more than this is ended."""


class Child:
    """One run's process, and what it printed."""

    def __init__(self, run: int, attempt: int, pid: int, output: int) -> None:
        self.run = run
        self.attempt = attempt
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.output = output
        self.head = b""
        self.tail = b""
        self.printed = 0

    @property
    def text(self) -> str:
        """What is kept of its output."""
        lost = self.printed - len(self.head) - len(self.tail)
        middle = f"\n… {lost:,} bytes left out …\n".encode() if lost > 0 else b""
        return (self.head + middle + self.tail).decode(errors="replace")

    def take(self, some: bytes) -> None:
        """Keep what is to be kept."""
        self.printed += len(some)
        room = HEAD - len(self.head)
        self.head += some[:room]
        self.tail = (self.tail + some[room:])[-TAIL:] if len(some) > room else self.tail


class Zygote:
    """Forks, watches and ends runs."""

    def __init__(self, line: socket.socket, failed: dict[str, str], confined: bool = False) -> None:
        self._line = line
        self._failed = failed
        self._confined = confined
        self._selector = selectors.DefaultSelector()
        self._children: dict[tuple[int, int], Child] = {}
        self._pid = os.getpid()

    def serve(self) -> None:
        """Until the line ends."""
        self._selector.register(self._line, selectors.EVENT_READ, None)
        self._line.send(encode(Ready(self._failed)))
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    if not self._order():
                        self._end()
                        return
                elif key.fd == key.data.pidfd:
                    self._reap(key.data)
                elif key.data.output == key.fd:
                    self._listen(key.data)

    def _order(self) -> bool:
        try:
            body, descriptor = receive_with(self._line)
        except OSError:
            return False
        if not body:
            return False
        match read_order(body):
            case Fork() as order:
                assert descriptor is not None
                self._fork(order, socket.socket(fileno=descriptor))
            case Kill() as order:
                one = self._children.get((order.run, order.attempt))
                if one is not None:
                    _kill(one.pid)
        return True

    def _fork(self, order: Fork, control: socket.socket) -> None:
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._be_child(order, control, theirs)
        os.close(theirs)
        control.close()
        os.set_blocking(ours, False)
        one = self._children[order.run, order.attempt] = Child(order.run, order.attempt, pid, ours)
        self._selector.register(one.pidfd, selectors.EVENT_READ, one)
        self._selector.register(ours, selectors.EVENT_READ, one)

    def _be_child(self, order: Fork, control: socket.socket, output: int) -> None:
        try:
            child.become(self._pid, output, order.cpu)
            held = os.dup2(control.detach(), CONTROL, inheritable=False)
            os.closerange(CONTROL + 1, MOST_OPEN)
            child.run(socket.socket(fileno=held), self._failed)
        except BaseException:  # noqa: BLE001  # nothing of the zygote's may go on in a child
            import traceback

            traceback.print_exc()
        finally:
            os._exit(70)

    def _listen(self, one: Child) -> None:
        try:
            some = os.read(one.output, 65_536)
        except BlockingIOError:
            return
        if not some:
            self._selector.unregister(one.output)
            os.close(one.output)
            one.output = -1
            return
        one.take(some)
        if one.printed > FLOOD:
            _kill(one.pid)

    def _reap(self, one: Child) -> None:
        _kill(one.pid)  # what it started and left behind, in its session
        _, status = os.waitpid(one.pid, 0)
        self._selector.unregister(one.pidfd)
        os.close(one.pidfd)
        while one.output >= 0:
            before = one.printed
            self._listen(one)
            if one.printed == before and one.output >= 0:
                self._selector.unregister(one.output)  # a stray still holds its other end
                os.close(one.output)
                one.output = -1
        del self._children[one.run, one.attempt]
        self._end_strays()
        if self._confined and not self._children:
            for place in (Path(PRIVATE), Path(SHARED)):
                _empty(place, place.stat().st_dev)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):
            self._line.send(encode(Gone(one.run, one.attempt, code, one.text, one.printed > FLOOD)))

    def _end_strays(self) -> None:
        """Processes that left their run's session come to this one when their parent ends: end them."""
        end_strays({one.pid for one in self._children.values()})

    def _end(self) -> None:
        for one in self._children.values():
            _kill(one.pid)
        for one in self._children.values():
            with suppress(ChildProcessError):
                os.waitpid(one.pid, 0)
        self._children.clear()
        self._end_strays()


def _empty(folder: Path, device: int) -> None:
    """Delete what runs left in a folder of their own. What is on another device was laid over it, and stays."""
    for one in folder.iterdir():
        with suppress(OSError):
            now = one.lstat()
            if now.st_dev != device:
                continue
            if stat.S_ISDIR(now.st_mode):
                _empty(one, device)
                one.rmdir()
            else:
                one.unlink()


def _kill(pid: int) -> None:
    """End a run's process and its whole session's group."""
    for end in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def main(folder: Path, descriptor: int, parent: int) -> None:
    """Import, then serve."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when its line does, after its runs
    adopt()
    bound()
    line = socket.socket(fileno=descriptor)
    if parent and os.getppid() != parent:
        return
    failed = import_code(folder)
    end_strays(set())  # what importing left running would stay for as long as the plan is in force
    warm()
    gc.collect()
    gc.freeze()
    Zygote(line, failed, confined=not parent).serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    os._exit(0)
