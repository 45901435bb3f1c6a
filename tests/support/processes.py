"""A child process that a test owns: its output in a file, its end certain."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.nursery import Forked, nursery
from tests.support.waiting import eventually


class Process:
    """A running child in its own session.

    Whatever happens to the test process, the child ends with it: the kernel kills it when its parent dies.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        warm: bool = False,
        nursery_number: int = 0,
    ) -> None:
        """Start `argv`, appending stdout and stderr to `log`. `user` drops root to that account.

        `warm`: it is the `tocsin` command, forked from a process that has imported it (see `nursery`), from that
        number of those.
        """
        self.log = log
        self.popen: subprocess.Popen[bytes] | Forked
        if warm:
            with log.open("ab") as out:
                there = out.fileno()
                self.popen = nursery(nursery_number).start(
                    list(map(str, argv)), stdout=there, stderr=there, cwd=cwd, env=env or {}
                )
            return
        # setpriv is exec'ed away, so the pid is the program's own. It comes after the change of user,
        # which would clear the death signal.
        tie = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [*tie, *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                start_new_session=True,
                user=user,
                group="nogroup" if user else None,
                extra_groups=[] if user else None,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also its session's and its process group's."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def family(self) -> list[psutil.Process]:
        """The process and all its living descendants, it first."""
        try:
            first = psutil.Process(self.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def output(self) -> str:
        """All it has printed so far."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 40) -> str:
        """The last lines it has printed."""
        return "\n".join(self.output().splitlines()[-lines:])

    def wait_until(self, ready: Callable[[], object], *, within: float, what: str) -> None:
        """Wait for `ready`; if it does not come, or the process ends first, fail with what it printed."""

        def ready_or_dead() -> object:
            if not self.running:
                return "ended"
            return ready()

        try:
            eventually(ready_or_dead, within=within, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- {self.log}\n{self.tail()}") from None
        if not self.running:
            raise AssertionError(f"{what}: it ended with {self.popen.returncode}\n--- {self.log}\n{self.tail()}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        if self.running:
            self.popen.send_signal(number)

    def stop(self, *, within: float = 10.0, politely: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit code; after `within` seconds kill it and all its children."""
        family = self.family()
        self.send(politely)
        try:
            self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill9()
        _end(family)
        return self.popen.wait()

    def kill9(self) -> None:
        """SIGKILL the process and every descendant, at once, and wait until all are gone."""
        family = self.family()
        # Stopped first, so that none can start another between the look and the kill.
        for member in family:
            _signal(member, signal.SIGSTOP)
        family = self.family() or family
        _end(family)
        self.popen.wait()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass


def _end(family: Sequence[psutil.Process]) -> None:
    for member in family:
        _signal(member, signal.SIGKILL)
    deadline = time.monotonic() + 10
    for member in family:
        while _alive(member) and time.monotonic() < deadline:
            time.sleep(0.005)


def _alive(process: psutil.Process) -> bool:
    """Whether it holds anything yet: its first thread may be gone while another still ends a write."""
    try:
        if not process.is_running():
            return False
        return process.status() != psutil.STATUS_ZOMBIE or len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1
    except (psutil.NoSuchProcess, OSError):
        return False


def inherited_environment(**more: str) -> dict[str, str]:
    """This process's environment with `more`, without what leads a child astray or has it compile all anew."""
    astray = ("TOCSIN_", "PYTEST_", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if not name.startswith(astray)}
    return env | more
