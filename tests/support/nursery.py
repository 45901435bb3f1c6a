"""Starts `tocsin` by forking a process that has imported it already: the imports are most of what a start costs.

What runs is `tocsin.cli.main()` with the arguments, environment, working folder and output that were asked for, in a
session of its own, exactly as the installed command runs it; only the interpreter's start and the imports are shared.
What is shared, too, is the seed of its hashes, and with it the order of sets. So there are two such processes with
different seeds, and a server that starts again is a fork of the other one, as would be a standby that takes over.
The tests of the start itself, and `make faults`, start the installed command instead (`TocsinServer(warm=False)`).

`python -m tests.support.nursery FD` is that process. It ends with the one that started it, and all it forked with it.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LONGEST_REQUEST = 1024 * 1024
MOST_FILES = 4096
IMPORTED = (
    "anyio._backends._asyncio",
    "psycopg",
    "uvicorn",
    "uvloop",
    "tocsin.api.handlers",
    "tocsin.cli.up",
    "tocsin.faces.application",
    "tocsin.pages.channels.matrix_client",
    "tocsin.pages.channels.slack_app",
    "tocsin.pages.channels.smtp",
    "tocsin.pages.channels.telegram_bot",
    "tocsin.pages.channels.terminal",
    "tocsin.pages.channels.twilio",
    "tocsin.playbooks.runner.pool",
    "tocsin.runtime.core",
    "tocsin.runtime.first_run",
    "tocsin.runtime.standby",
    "tocsin.store.opening",
    "tocsin.store.postgres",
    "tocsin.web.routes",
    "tocsin.wiring.core",
    "tocsin.wiring.faces",
    "tocsin.wiring.node",
)
_PR_SET_PDEATHSIG = 1


class Forked:
    """A process the nursery forked: the part of `subprocess.Popen` that `Process` and its users need."""

    def __init__(self, argv: Sequence[str], pid: int, answers: socket.socket) -> None:
        self.args = list(argv)
        self.pid = pid
        self.returncode: int | None = None
        self._answers = answers

    def poll(self) -> int | None:
        """Its exit code once it has ended, -N when by signal N; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._answers], [], [], timeout)[0]:
            said = self._answers.recv(64)
            self.returncode = int(said) if said else -signal.SIGKILL  # the nursery is gone, and it with it
            self._answers.close()
        return self.returncode


class Nursery:
    """The other end: asks the process for forks. Begun when first needed, each once per process of tests."""

    def __init__(self, seed: int) -> None:
        self._mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "tests.support.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=Path(__file__).parents[2],
                env=os.environ | {"PYTHONHASHSEED": str(seed)},
            )
        atexit.register(self.close)

    def start(
        self,
        argv: Sequence[str],
        *,
        stdout: int,
        stderr: int,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: int | None = None,
    ) -> Forked:
        """Run `tocsin` with these arguments; `argv[0]` is the command's path.

        `stdin` (without it there is nothing to read), `stdout` and `stderr` are descriptors, the caller's own.
        """
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked = json.dumps({"argv": list(argv), "cwd": str(cwd or Path.cwd()), "env": dict(env)}).encode()
        with theirs:
            self._mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_REQUEST)
            socket.send_fds(self._mine, [asked], [theirs.fileno(), stdout, stderr, *([] if stdin is None else [stdin])])
        pid = int(mine.recv(64) or b"0")
        assert pid, "the nursery has ended"
        return Forked(argv, pid, mine)

    def close(self) -> None:
        """End it, and what it forked."""
        self._mine.close()
        self._process.wait()


def run_warm(
    argv: Sequence[str], env: Mapping[str, str], timeout: float, *, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of a `tocsin` command with both outputs as text. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        command = nursery().start(
            argv, stdin=given.fileno(), stdout=out.fileno(), stderr=err.fileno(), cwd=cwd, env=env
        )
        try:
            code = command.wait(timeout)
        except subprocess.TimeoutExpired:
            command.kill()
            raise
        texts = [os.pread(one.fileno(), os.fstat(one.fileno()).st_size, 0).decode() for one in (out, err)]
    return subprocess.CompletedProcess(argv, code, *texts)


MANY = 2
_nurseries: dict[tuple[int, int], Nursery] = {}


def nursery(number: int = 0) -> Nursery:
    """One of this process's own; any number will do. Their seeds are drawn, as those of an interpreter are."""
    place = os.getpid(), number % MANY
    if place not in _nurseries:
        drawn = random.SystemRandom().randrange(1, 2**31)
        _nurseries[place] = Nursery(drawn * MANY + place[1])  # never two alike
    return _nurseries[place]


# --- The process itself ----------------------------------------------------------------------------------------------


def main() -> None:
    """Fork what is asked for until the other end is closed."""
    asking = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    gc.collect()
    gc.freeze()
    me, told = os.getpid(), dict[int, socket.socket]()
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    while True:
        ready = select.select([asking.fileno(), wake], [], [])[0]
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            _tell_ends(told)
        if asking.fileno() not in ready:
            continue
        asked, given, _, _ = socket.recv_fds(asking, LONGEST_REQUEST, 4)
        if not asked:
            break
        answers = socket.socket(fileno=given[0])
        pid = os.fork()
        if not pid:
            _become(me, json.loads(asked), *given)
        told[pid] = answers
        for number in given[1:]:
            os.close(number)
    for pid in told:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _tell_ends(told: dict[int, socket.socket]) -> None:
    for pid in list(told):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with told.pop(pid) as answers, contextlib.suppress(OSError):  # nobody may want to know any more
                answers.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(
    nursery: int, asked: dict[str, object], answers: int, stdout: int, stderr: int, stdin: int = 0
) -> None:
    """What a new process of its own would be: session, signals, descriptors, folder, environment, arguments."""
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != nursery:
            os._exit(1)
        os.write(answers, str(os.getpid()).encode())  # who asked may rely on its session from here on
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.closerange(3, MOST_FILES)
        env, argv = asked["env"], asked["argv"]
        assert isinstance(env, dict) and isinstance(argv, list)
        _open_streams(unbuffered="PYTHONUNBUFFERED" in env)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(str(asked["cwd"]))
        time.tzset()
        sys.argv, sys.path[0] = argv, str(Path(argv[0]).parent)
        from tocsin.cli import main as tocsin

        code = tocsin()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  # as the interpreter would
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)


def _open_streams(unbuffered: bool) -> None:
    """Python's own three, anew: what kind of file is behind each decides how it is written to."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # open for as long as the process is
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stdout.reconfigure(write_through=unbuffered)


def _import_everything() -> None:
    """All that core and faces import, and nothing that opens, starts or reads anything."""
    for name in IMPORTED:
        importlib.import_module(name)
    from tocsin.wiring import plugs

    plugs.sources()
    plugs.probes(str)


if __name__ == "__main__":
    main()
