"""Keeps processes running: forks them, starts again what dies, ends them together.

The parent stays small and does nothing else, so that a crash in a child is answered within milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

DO_NOT_RESTART = 78
"""A child that ends with this cannot work at all (EX_CONFIG): everything ends, with its code 1."""
FASTEST_RESTART = 0.05
SLOWEST_RESTART = 10.0
STEADY = 30.0
GRACE = 10.0
_PR_SET_PDEATHSIG = 1


class Child:
    """One process, and how often it died of late."""

    def __init__(self, name: str, work: Callable[[], int]) -> None:
        self.name = name
        self.work = work
        self.pid = 0
        self.started = 0.0
        self.deaths = 0
        self.again_at = 0.0

    def start(self) -> None:
        """Fork it."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.started = time.monotonic()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self.pid = pid
            return
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload must not end a child that does not listen yet
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            die_with_parent(parent)
            code = self.work()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001  # a child ends with a code, whatever ended it, and says what it was
            import traceback

            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def died(self) -> float:
        """It ended by itself: how long to wait before it is started again."""
        now = time.monotonic()
        self.pid = 0
        self.deaths = 0 if now - self.started > STEADY else self.deaths + 1
        wait = 0.0 if self.deaths <= 1 else min(FASTEST_RESTART * 2.0 ** min(self.deaths, 12), SLOWEST_RESTART)
        self.again_at = now + wait
        return wait


def say(text: str) -> None:
    """Tell whoever runs Tocsin, on standard error."""
    print(f"tocsin: {text}", file=sys.stderr, flush=True)


def supervise(works: Mapping[str, Callable[[], int]], reload: str, say: Callable[[str], None] = say) -> int:
    """Run one process for each work until SIGTERM or SIGINT; SIGHUP goes to the one named ``reload``.

    ``say`` tells what ended and when it is started again.

    Returns 0 when asked to end, 1 when a child said that it cannot work at all.
    """
    children = {name: Child(name, work) for name, work in works.items()}
    watched = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    for child in children.values():
        child.start()
    code = 0
    while True:
        due = [c.again_at for c in children.values() if not c.pid]
        patience = max(0.0, min(due) - time.monotonic()) if due else 3600.0
        caught = signal.sigtimedwait(watched, patience)
        number = caught.si_signo if caught else 0
        if number in (signal.SIGTERM, signal.SIGINT):
            break
        if number == signal.SIGHUP and children[reload].pid:
            os.kill(children[reload].pid, signal.SIGHUP)
        ended = _reap(children)
        if any(status == DO_NOT_RESTART for _, status in ended):
            code = 1
            break
        for child, status in ended:
            wait = child.died()
            say(f"{child.name} ended ({_told(status)}); starting it again{f' in {wait:.1f} s' if wait else ''}")
        for child in children.values():
            if not child.pid and child.again_at <= time.monotonic():
                child.start()
    _end(children)
    return code


def run_once(work: Callable[[], int]) -> int:
    """Run some work in a process of its own and wait for it: what it imports does not stay in this one."""
    child = Child("once", work)
    child.start()
    return os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _reap(children: Mapping[str, Child]) -> list[tuple[Child, int]]:
    ended = []
    for child in children.values():
        if child.pid:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                child.pid = 0
                ended.append((child, os.waitstatus_to_exitcode(status)))
    return ended


def _end(children: Mapping[str, Child]) -> None:
    """Ask all to end, wait, then end what is left."""
    for child in children.values():
        if child.pid:
            os.kill(child.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while any(c.pid for c in children.values()) and time.monotonic() < until:
        signal.sigtimedwait((signal.SIGCHLD,), 0.2)
        _reap(children)
    for child in children.values():
        if child.pid:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)


def _told(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
