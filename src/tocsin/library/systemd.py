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

from tocsin.library import commands
from tocsin.library.described import Trouble, described
from tocsin.library.ssh import Reach
from tocsin.playbooks.language import Span, Target, fix, look

WITHIN = "15s"
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
        """It is up."""
        return self.active == "active"

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
    """Whether it is up, and in another run than this one."""
    now = _state(unit.where)
    return now.running and now.invocation not in ("", invocation)


@fix(probe=was_restarted)
def restart(unit: Unit, invocation: str, *, within: Span = "2m") -> str:
    """Have systemd stop it, as its unit says (``TimeoutStopSec``, then SIGKILL), and start it again.

    ``invocation``: the run of it that was looked at, "" when it had none; when it is in another one by now nothing is
    done. Raises Trouble when that has not happened ``within`` (systemd goes on with it then), when it does not come up,
    and when it was stopped meanwhile: somebody wants it so.
    """
    where = unit.where
    now = _state(where)
    if now.running and now.invocation != invocation:
        return "it runs anew by now, and was left alone"
    if invocation and now.stopped:
        raise Trouble("it was stopped meanwhile, and is not started: by a person, or it was done")
    if now.active == "failed":
        _ask(where, "reset-failed", WITHIN)  # a start that came too often before would be refused
    _ask(where, "restart", within)
    after = _state(where)
    if not after.running:
        raise Trouble(f"systemd was to restart it, and it is {after}")
    return f"systemd restarted it: process {after.pid or '(none)'}"


def _state(where: Where) -> State:
    # Times with their zone and year in UTC: the way of writing them that systemd knows for longest.
    said = _ask(where, "show", WITHIN, "--timestamp=utc", f"--property={','.join(_ASKED)}")
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
    own = ("env", f"XDG_RUNTIME_DIR={where.manager}", "systemctl", "--user") if where.manager else ("systemctl",)
    argv = (*own, "--no-pager", "--no-ask-password", verb, *more, "--", where.unit)
    said = commands.carry_out(argv, where.on, where.secrets, within)
    if said.code != 0:
        raise Trouble(f"systemctl {verb}: {said}")
    return said.out
