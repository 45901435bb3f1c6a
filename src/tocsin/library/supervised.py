"""A program that supervisor runs: see it, and have supervisor restart it, by its own XML-RPC.

Nothing to install. A target is ``{supervisor: {at: /run/supervisor.sock, program: web, restart: on}}``, or with the
address of supervisor's HTTP server; ``user`` with ``look with: secret:PASSWORD`` where it wants one.
"""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from base64 import b64encode
from typing import Any, ClassVar
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library.described import Refused, Trouble, described
from tocsin.library.outgoing import connected
from tocsin.playbooks.language import Span, Target, fix, look

WITHIN = 5.0
ALREADY_STARTED, NOT_RUNNING = 60, 70
"""Numbers of supervisor's faults."""
_ON_PURPOSE = ("STOPPED", "STOPPING")
_DOWN = ("STOPPED", "EXITED", "FATAL", "BACKOFF", "UNKNOWN")


class Where(Struct, frozen=True):
    """What the plan says of a program. ``program``: its name, or ``group:name``."""

    at: str
    program: str
    user: str = ""
    secrets: dict[str, str] = {}


class Program(Target, frozen=True):
    """One program under supervisor."""

    kind: ClassVar[str] = "supervisor"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        return described(self, Where, "{supervisor: {at: /run/supervisor.sock, program: web}}")


class State(Struct, frozen=True):
    """A program in supervisor's words: ``state`` RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL… ``pid`` 0: none.

    ``since``: seconds it has run; ``exited``: the last exit code; ``why`` it does not run, as supervisor says.
    """

    state: str
    pid: int
    since: int
    exited: int
    why: str = ""

    @property
    def running(self) -> bool:
        """It runs, and longer than supervisor's ``startsecs``."""
        return self.state == "RUNNING"

    def __str__(self) -> str:
        run = f", process {self.pid} for {self.since} s" if self.pid else ""
        return f"{self.state}{run}" + (f": {self.why}" if self.why else "")


@look
def state(program: Program) -> State:
    """How supervisor sees it. Raises Trouble when supervisor cannot be asked or does not know it."""
    return _state(program.where)


@look
def was_replaced(program: Program, pid: int, *, grace: Span = "30s") -> bool:
    """Whether another process than this one runs now."""
    now = _state(program.where)
    return now.pid not in (0, pid) and now.running


@fix(probe=was_replaced, says="have supervisor restart {program}", undo="it cannot be: what it was at is lost")
def restart(program: Program, pid: int, *, grace: Span = "30s") -> str:
    """Have supervisor stop it, as its ``stopsignal`` and ``stopwaitsecs`` say, and start it again.

    ``pid``: of the process that was looked at, 0 for none; when another one runs by now nothing is done. Raises Trouble
    when it has not ended after ``grace``, or does not start; and when it was stopped meanwhile, for that is how people
    stop it: what nobody asked to stop is EXITED, BACKOFF or FATAL.
    """
    where = program.where
    now = _state(where)
    if now.pid not in (0, pid):
        return f"process {now.pid} runs by now, and was left alone"
    if pid and now.state in _ON_PURPOSE:
        raise Refused(f"process {pid} was stopped meanwhile, and is not started: by a person, or a run that broke off")
    seconds = parse_duration(grace) / SECOND
    # supervisor acts by itself as well: what ended meanwhile need not be stopped, what it began again not be started.
    if now.state not in _DOWN:
        _call(where, "stopProcess", where.program, True, within=seconds, unless=NOT_RUNNING)
    _call(where, "startProcess", where.program, True, within=seconds, unless=ALREADY_STARTED)
    after = _state(where)
    return f"process {pid or '(none)'} was stopped; process {after.pid} is {after.state}"


def _state(where: Where) -> State:
    found: dict[str, Any] = _call(where, "getProcessInfo", where.program)
    pid = int(found["pid"])
    return State(
        state=str(found["statename"]),
        pid=pid,
        since=max(0, int(found["now"]) - int(found["start"])) if pid else 0,
        exited=int(found["exitstatus"]),
        why=str(found["spawnerr"])[:300],
    )


def _call(where: Where, method: str, *args: Any, within: float = WITHIN, unless: int = 0) -> Any:
    """Ask supervisor. ``unless``: the fault that says that it was so already. Raises Trouble for any other."""
    transport = _Transport(where, within)
    try:
        proxy = xmlrpc.client.ServerProxy("http://supervisor/RPC2", transport=transport)
        return getattr(proxy.supervisor, method)(*args)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == unless:
            return None
        raise Trouble(f"supervisor says of {where.program}: {fault.faultString}") from None
    except xmlrpc.client.ProtocolError as error:
        raise Trouble(f"supervisor answers {error.errcode} {error.errmsg}") from None
    except TimeoutError:
        raise Trouble(f"supervisor does not answer within {within:g} s") from None
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise Trouble(f"supervisor cannot be asked at {where.at}: {error}") from None
    finally:
        transport.close()


class _Line(http.client.HTTPConnection):
    """To a Unix socket, or to an address that was looked at."""

    def __init__(self, at: str, within: float) -> None:
        super().__init__("supervisor", timeout=within)
        self._at, self._within = at, within

    def connect(self) -> None:
        """Connect; nothing is resolved again."""
        if not self._at.startswith("/"):
            parts = urlsplit(self._at)
            if parts.scheme != "http":
                raise OSError("supervisor speaks plain HTTP only")
            self.sock = connected(parts.hostname or "", parts.port or 80, WITHIN)
            self.sock.settimeout(self._within)
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._within)
        self.sock.connect(self._at)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, where: Where, within: float) -> None:
        word = b64encode(f"{where.user}:{where.secrets.get('password', '').strip()}".encode()).decode()
        super().__init__(headers=[("Authorization", f"Basic {word}")] if where.user else [])
        self._at, self._within = where.at, within

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """A new one each time."""
        return _Line(self._at, self._within)
