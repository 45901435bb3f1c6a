"""A service that systemd runs: see it, and have systemd restart it, here or on a machine reached by SSH.

systemd's own words are asked for with ``systemctl show``, which is made to be read by programs. Nothing to install. A
target is ``{systemd: {unit: web.service, restart: on}}``; with ``on: web-1`` it runs on the service's ssh target of
that name, with ``manager: /run/user/1000`` under a user's own systemd. Who looks and fixes there must be allowed to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from msgspec import Struct

from tocsin.kernel.instant import SECOND, parse_duration
from tocsin.library import commands
from tocsin.library.described import Refused, Trouble, described
from tocsin.library.ssh import Reach
from tocsin.playbooks.language import Span, Target, fix, look

WITHIN = "15s"
LOOKED_AGAIN = 1.0
"""Seconds between two looks at one that is coming up."""
_ASKED = (
    "LoadState", "ActiveState", "SubState", "Result", "MainPID", "InvocationID", "NRestarts", "MemoryCurrent",
    "TasksCurrent", "StateChangeTimestamp", "ExecMainStatus",
)  # fmt: skip
_UNCOUNTED = 2**64 - 1
"""What older ones say where nothing is counted; newer ones say [not set]."""


class Where(Struct, frozen=True):
    """What the plan says of a service. ``manager`` "": the machine's systemd."""

    unit: str
    manager: str = ""
    on: Reach | None = None
    secrets: dict[str, str] = {}


class Unit(Target, frozen=True):
    """One service under systemd."""

    kind: ClassVar[str] = "systemd"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        return described(self, Where, "{systemd: {unit: web.service}}")


class State(Struct, frozen=True):
    """A service in systemd's words: ``active`` active, activating, deactivating, inactive, failed…; ``sub`` running,
    dead, auto-restart…; ``result`` success, exit-code, signal, timeout, watchdog, oom-kill, start-limit-hit…

    ``invocation``: of this run of it, never the same twice; "" while it is inactive. ``pid`` 0: no main process.
    ``since``: seconds in this state, by Tocsin's clock. ``restarts``: so often systemd started it again by itself.
    ``memory``: bytes, ``tasks``: of all its processes; None where systemd does not count. ``exited``: the last exit
    code or signal.
    """

    active: str
    sub: str
    result: str
    pid: int
    invocation: str
    since: int
    restarts: int
    memory: int | None
    tasks: int | None
    exited: int

    @property
    def running(self) -> bool:
        """It is up, if it reads its settings anew or not."""
        return self.active in ("active", "reloading", "refreshing")

    @property
    def starting(self) -> bool:
        """It is coming up. One that failed and waits for systemd to try again is not."""
        return self.active == "activating" and not self.sub.startswith("auto-restart")

    @property
    def stopped(self) -> bool:
        """It is down, and ended as it should: a person stopped it, or it was done."""
        return self.active == "inactive" and self.result == "success"

    def __str__(self) -> str:
        now = f"{self.active} ({self.sub}) for {self.since} s"
        now += f", process {self.pid}" if self.pid else ""
        now += f", {self.memory / 2**20:.0f} MiB" if self.memory else ""
        now += f", restarted {self.restarts} times by itself" if self.restarts else ""
        return now + (f": {self.result}" if self.result not in ("", "success") else "")


@look
def state(unit: Unit) -> State:
    """How systemd sees it. Raises Trouble when systemd cannot be asked, or does not know it."""
    return _state(unit.where)


@look
def was_restarted(unit: Unit, invocation: str, *, within: Span = "2m") -> bool:
    """Whether it is up in another run than this one, or still coming up ``within`` which it is waited for."""
    now = _state(unit.where)
    return _anew(now, invocation) and _anew(_come_up(unit.where, now, within), invocation)


@fix(probe=was_restarted, says="have systemd restart {unit}", undo="it cannot be: what it was at is lost")
def restart(unit: Unit, invocation: str, *, within: Span = "2m") -> str:
    """Have systemd stop it, as its unit says (``TimeoutStopSec``, then SIGKILL), and start it again.

    ``invocation``: the run of it that was looked at, "" when it had none; when it is in another one by now nothing is
    done, and one that is still coming up is waited for. Raises Trouble when that has not happened ``within`` (systemd
    goes on with it then), when it does not come up, and when it was stopped meanwhile: somebody wants it so.
    """
    where = unit.where
    now = _state(where)
    if _anew(now, invocation):
        now = _come_up(where, now, within)
        if not now.running:
            raise Refused(f"it was started anew meanwhile, and is {now}")
        return "it runs anew by now, and was left alone"
    if invocation and now.stopped:
        raise Refused("it was stopped meanwhile, and is not started: by a person, or it was done")
    if now.active == "failed":
        _ask(where, "reset-failed", WITHIN)  # a start that came too often before would be refused
    _ask(where, "restart", within)
    after = _state(where)
    if not after.running:
        raise Trouble(f"systemd was to restart it, and it is {after}")
    return f"systemd restarted it: process {after.pid or '(none)'}"


def _anew(now: State, invocation: str) -> bool:
    """Whether it is in another run than this one, or about to be."""
    return (now.running or now.starting) and now.invocation not in ("", invocation)


def _come_up(where: Where, now: State, within: str) -> State:
    """How it is when it has come up, or has not: a start may take long, and is not to be begun again in the middle."""
    until = time.monotonic() + parse_duration(within) / SECOND
    while now.starting and (left := until - time.monotonic()) > 0:
        time.sleep(min(LOOKED_AGAIN, left))
        now = _state(where)
    return now


def _state(where: Where) -> State:
    said = _ask(where, "show", WITHIN, f"--property={','.join(_ASKED)}")
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    loaded = found.get("LoadState", "")
    if loaded != "loaded":
        raise Trouble(f"systemd has no {where.unit} it could run: {loaded or 'it says nothing of it'}")
    active = found["ActiveState"]
    return State(
        active=active,
        sub=found["SubState"],
        result=found.get("Result", ""),
        pid=int(found.get("MainPID") or 0),
        # Of one that was stopped it may be forgotten, or not: it has none.
        invocation="" if active == "inactive" else found.get("InvocationID", ""),
        since=_seconds_since(found.get("StateChangeTimestamp", "")),
        restarts=int(found.get("NRestarts") or 0),
        memory=_count(found, "MemoryCurrent"),
        tasks=_count(found, "TasksCurrent"),
        exited=int(found.get("ExecMainStatus") or 0),
    )


def _count(found: Mapping[str, str], name: str) -> int | None:
    text = found.get(name, "")
    return int(text) if text.isdigit() and int(text) != _UNCOUNTED else None


def _seconds_since(text: str) -> int:
    """From ``Thu 2026-11-26 01:46:54 UTC``; 0 where it says no time. Its day's name may be in any language."""
    try:
        at = datetime.strptime(" ".join(text.split()[1:3]), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return 0
    now = time.time()  # noqa: TID251  # a step is the world outside: since when it runs says that machine's clock
    return max(0, int(now - at.timestamp()))


def _ask(where: Where, verb: str, within: str, *more: str) -> str:
    """What systemctl says. Raises Trouble when it refuses."""
    # systemctl writes times in its own zone, and --timestamp=utc is younger (247) than many a machine's.
    own = (f"XDG_RUNTIME_DIR={where.manager}", "systemctl", "--user") if where.manager else ("systemctl",)
    argv = ("env", "TZ=UTC", *own, "--no-pager", "--no-ask-password", verb, *more, "--", where.unit)
    said = commands.carry_out(argv, where.on, where.secrets, within)
    if said.code != 0:
        raise Trouble(f"systemctl {verb}: {said}")
    return said.out
