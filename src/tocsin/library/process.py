"""A process that hangs or leaks: see it, end it gracefully or by force, and see that another one answers.

For a process on the machine Tocsin runs on, or on one with ``python3`` reached by SSH (``on: web-1``), found by its pid
file and recognised by its command line; Linux only. A target is ``{process: /run/x.pid, command: …, health: http://…,
restart with: …}`` in the plan. The user who fixes must be allowed to signal it. What is asked of the kernel asks
``alive``, the same code here and there.
"""

from __future__ import annotations

import subprocess
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library import alive, carried
from tocsin.library.described import Refused
from tocsin.library.described import Trouble as Trouble
from tocsin.playbooks.language import Span, Target, fix, look

SUPERVISOR = "supervisor"
"""What ``restart with`` says when something else starts the process again whenever it ends."""
COMMAND_WITHIN = 60.0
MOST_SAID = 300
_STATUS = {"R": "running", "S": "sleeping", "D": "waiting for a disk", "T": "stopped", "t": "traced", "Z": "dead"}


class Where(Struct, frozen=True):
    """How the plan says a process is found and started again. ``restart`` (): it may only be looked at. ``on``: the
    machine it runs on (see ``ssh.Reach``), None for this one.
    """

    pidfile: str
    command: str
    health: str = ""
    restart: tuple[str, ...] = ()
    on: dict[str, Any] | None = None
    secrets: dict[str, str] = {}


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
    seconds = parse_duration(over) / SECOND
    found = msgspec.convert(_ask(server.where, "state", seconds, seconds=seconds), State)
    return msgspec.structs.replace(found, status=_STATUS.get(found.status, found.status))


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
    seconds = parse_duration(within) / SECOND
    found = _ask(where, "answering", seconds, seconds=seconds, within=within, health=where.health)
    return msgspec.convert(found, Answer)


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
    seconds = parse_duration(grace) / SECOND
    waits = seconds + alive.KILLED_WITHIN
    done = _ask(server.where, "stop", waits, pid=pid, started=started, seconds=seconds, grace=grace)
    return str(done["said"])


@look
def was_replaced(server: Process, pid: int, started: int) -> bool:
    """Whether another process than this one runs now."""
    now = _ask(server.where, "now")
    return now["pid"] != 0 and (now["pid"], now["started"]) != (pid, started)


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
    from tocsin.library.commands import succeed  # and with it asyncio: for who restarts alone

    where = server.where
    if was_replaced(server, pid, started):
        return "another process runs already"
    if not where.restart or where.restart == (SUPERVISOR,):
        raise Refused(f"{server.name} is started by its supervisor: use process.stop")
    if where.on is not None:
        succeed(where.restart, carried.machine(where.on), where.secrets, f"{COMMAND_WITHIN:g}s")
        return f"{where.restart[0]} was run"
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


def _ask(where: Where, what: str, waits: float = 0, **more: Any) -> dict[str, Any]:
    """Ask ``alive``, where the process is. Raises Trouble when it cannot say."""
    asked = {"what": what, "pidfile": where.pidfile, "command": where.command, **more}
    return carried.ask(alive, where.on, where.secrets, asked, waits)
