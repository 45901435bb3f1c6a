"""A process that hangs or leaks: see it, end it gracefully or by force, and see that another one answers.

For a process on the machine Tocsin runs on, found by its pid file and recognised by its command line; Linux only. A
target is ``{process: /run/x.pid, command: …, health: http://…, restart with: …}`` in the plan. Tocsin's user must be
allowed to signal it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.playbooks.language import Span, Target, fix, look

SUPERVISOR = "supervisor"
"""What ``restart with`` says when something else starts the process again whenever it ends."""
KILLED_WITHIN = 5.0
"""Seconds a process may take to be gone after SIGKILL."""
COMMAND_WITHIN = 60.0
MOST_SAID = 300
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATUS = {"R": "running", "S": "sleeping", "D": "waiting for a disk", "T": "stopped", "t": "traced", "Z": "dead"}


class Where(Struct, frozen=True):
    """How the plan says a process is found and started again. ``restart`` (): it may only be looked at."""

    pidfile: str
    command: str
    health: str = ""
    restart: tuple[str, ...] = ()


class Process(Target, frozen=True):
    """One process with a pid file."""

    kind: ClassVar[str] = "process"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        try:
            return msgspec.json.decode(self.credential, type=Where)
        except msgspec.MsgspecError:
            raise ValueError(f"{self.name} is no process: write {{process: /run/x.pid, command: …}}") from None


class Trouble(Exception):
    """What was asked for could not be done; the message says why."""


class _Stat(Struct, frozen=True):
    status: str
    started: int
    ticks: int
    threads: int
    memory: int


class State(Struct, frozen=True):
    """A process as it is. ``pid`` 0 and ``why``: there is none. ``started``: in ticks since boot; with the pid it is
    never the same twice. ``cpu``: cores it used while it was looked at. ``memory``: resident bytes.
    """

    running: bool
    pid: int = 0
    started: int = 0
    status: str = ""
    cpu: float = 0.0
    memory: int = 0
    threads: int = 0
    why: str = ""

    def __str__(self) -> str:
        if not self.running:
            return f"it does not run: {self.why}"
        used = f"{self.cpu:.2f} cores, {self.memory / 2**20:.0f} MiB, {self.threads} thread{'s' * (self.threads != 1)}"
        return f"process {self.pid} is {self.status}: {used}"


@look
def state(server: Process, *, over: Span = "200ms") -> State:
    """Whether it runs, and what it uses; its CPU is measured ``over`` so long."""
    where = server.where
    pid, why = _pid_of(where)
    before = _stat(pid) if pid else None
    if before is None:
        return State(False, why=why or "it ended while it was looked at")
    began = time.monotonic()
    time.sleep(parse_duration(over) / SECOND)
    after, seconds = _stat(pid), time.monotonic() - began
    if after is None or after.started != before.started:
        return State(False, why="it ended while it was looked at")
    cpu = (after.ticks - before.ticks) / _TICKS / max(seconds, 0.001)
    status = _STATUS.get(after.status, after.status)
    return State(True, pid, after.started, status, round(cpu, 2), after.memory, after.threads)


class Answer(Struct, frozen=True):
    """What its health address said. ``pid`` and ``started``: of the process that ran meanwhile; 0 when none did."""

    answers: bool
    took_ms: float
    pid: int = 0
    started: int = 0
    why: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} answers within {self.took_ms:.0f} ms" if self.answers else f"no health: {self.why}"


@look
def answering(server: Process, *, within: Span = "1s") -> Answer:
    """Whether it runs and its health address answers with 2xx in time. Redirects and proxies are not followed."""
    where = server.where
    if not where.health:
        raise Trouble(f"the plan gives no health address for {server.name}")
    pid, _ = _pid_of(where)
    now = _stat(pid) if pid else None
    began = time.monotonic()
    why = ""
    try:
        with _direct.open(where.health, timeout=parse_duration(within) / SECOND) as answer:
            answer.read(1)
    except urllib.error.HTTPError as refused:
        with refused:
            why = f"it answered {refused.code}"
    except TimeoutError:
        why = f"no answer within {within}"
    except OSError as error:
        inner = getattr(error, "reason", error)
        why = f"no answer within {within}" if isinstance(inner, TimeoutError) else str(inner)[:MOST_SAID]
    if not why and now is None:
        why = "something answers there, but its process does not run"  # another program may have taken its port
    took = (time.monotonic() - began) * 1000
    return Answer(not why, round(took, 1), pid if now else 0, now.started if now else 0, why)


@fix(
    idempotent=True,
    says="end process {pid} of {server}, by force when it has not ended after {grace}",
    undo="it cannot be: what it was at is lost. Its supervisor starts another",
)
def stop(server: Process, pid: int, started: int, *, grace: Span = "10s") -> str:
    """End exactly the process that was looked at: SIGTERM, and SIGKILL when it is not gone after ``grace``.

    What starts it again is its supervisor. Doing it twice harms nobody: the second time it is gone, and another
    process with its number is not it. Raises Trouble when even SIGKILL does not end it.
    """
    with _held(server.where, pid, started) as handle:
        if handle is None:
            return f"process {pid} was gone already"
        began = time.monotonic()
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        signal.pidfd_send_signal(handle, signal.SIGCONT)  # a stopped process hears SIGTERM only once it goes on
        if _gone(handle, parse_duration(grace) / SECOND):
            return f"process {pid} ended {time.monotonic() - began:.1f} s after SIGTERM"
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        if _gone(handle, KILLED_WITHIN):
            return f"process {pid} did not end within {grace} of SIGTERM, and was killed"
    raise Trouble(f"process {pid} is still there {KILLED_WITHIN:g} s after SIGKILL: the kernel holds it")


@look
def was_replaced(server: Process, pid: int, started: int) -> bool:
    """Whether another process than this one runs now."""
    now, _ = _pid_of(server.where)
    found = _stat(now) if now else None
    return found is not None and (now, found.started) != (pid, started)


@fix(
    probe=was_replaced,
    says="restart {server}, process {pid} now, with the plan's command",
    undo="it cannot be: what it was at is lost",
)
def restart(server: Process, pid: int, started: int) -> str:
    """Run the plan's ``restart with`` (such as ``systemctl restart payments``), unless another process runs already.

    What the command itself leaves in the background ends with the run: it must ask a supervisor. Raises Trouble when
    it fails.
    """
    where = server.where
    if was_replaced(server, pid, started):
        return "another process runs already"
    if not where.restart or where.restart == (SUPERVISOR,):
        raise Trouble(f"{server.name} is started by its supervisor: use process.stop")
    try:
        done = subprocess.run(
            where.restart, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=COMMAND_WITHIN, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Trouble(f"{where.restart[0]} did not end within {COMMAND_WITHIN:g} s") from None
    if done.returncode != 0:
        raise Trouble(f"{where.restart[0]} ended with {done.returncode}: {done.stderr.strip()[-MOST_SAID:]}")
    return f"{where.restart[0]} was run"


# -- reading the kernel's word -----------------------------------------------------------------------------------------


def _pid_of(where: Where) -> tuple[int, str]:
    """The pid the file names when it is of the declared command and alive, else 0 and why."""
    try:
        with Path(where.pidfile).open("rb") as file:
            text = file.read(64).strip()
    except OSError as error:
        return 0, f"its pid file cannot be read ({error.strerror})"
    if not text.isdigit() or not 1 < int(text) < 2**31:
        return 0, "its pid file holds no process number"
    pid = int(text)
    found = _stat(pid)
    if found is None or found.status in "ZX":
        return 0, f"its pid file names process {pid}, which is gone"
    if not _is_of(pid, where.command):
        return 0, f"its pid file names process {pid}, which is something else now"
    return pid, ""


def _is_of(pid: int, command: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return bool(command) and command in b" ".join(words).decode(errors="replace")


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    words = text.rpartition(b")")[2].split()  # the name before it may hold anything
    return _Stat(
        status=words[0].decode(),
        ticks=int(words[11]) + int(words[12]),
        threads=int(words[17]),
        started=int(words[19]),
        memory=int(words[21]) * _PAGE,
    )


@contextmanager
def _held(where: Where, pid: int, started: int) -> Iterator[int | None]:
    """A handle on this very process, so that no other one is meant whoever gets its number; None: it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        now = _stat(pid)
        same = now is not None and now.started == started and now.status not in "ZX" and _is_of(pid, where.command)
        yield handle if same else None
    finally:
        os.close(handle)


def _gone(handle: int, within: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(within * 1000))


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Go nowhere else: another address being well says nothing of this one."""


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
