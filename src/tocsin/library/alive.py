"""A process of this machine by its number and its start: what it uses, whether it answers, and ending just that one.

As ``below`` is, this file is run as it stands on the machine the process is on, here or by the ``python3`` of a machine
that is reached by SSH. So it needs nothing but Python's own library, 3.7 or newer; to end a process 3.9: its handle of
the kernel keeps another one from being meant that got its number.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

KILLED_WITHIN = 5.0
"""Seconds a process may take to be gone after SIGKILL."""
MOST_SAID = 300


class Fault(Exception):
    """It could not be done; the message says why."""


class Stat(NamedTuple):
    """What the kernel says of a process."""

    status: str
    started: int
    ticks: int
    threads: int
    memory: int


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer one question: ``{"what": state, answering, now or stop, "pidfile": …, "command": …}`` and what it takes.

    What it cannot do is ``{"fault": why}``.
    """
    try:
        done: dict[str, Any] = _WHAT[asked["what"]](asked)
    except Fault as fault:
        return {"fault": str(fault)}
    return done


def _state(asked: dict[str, Any]) -> dict[str, Any]:
    pid, why = _pid_of(asked)
    before = stat_of(pid) if pid else None
    if before is None:
        return {"running": False, "why": why or "it ended while it was looked at"}
    began = time.monotonic()
    time.sleep(asked["seconds"])
    after, seconds = stat_of(pid), time.monotonic() - began
    if after is None or after.started != before.started:
        return {"running": False, "why": "it ended while it was looked at"}
    cpu = (after.ticks - before.ticks) / os.sysconf("SC_CLK_TCK") / max(seconds, 0.001)
    return {
        "running": True, "pid": pid, "started": after.started, "status": after.status, "cpu": round(cpu, 2),
        "memory": after.memory, "threads": after.threads,
    }  # fmt: skip


def _answering(asked: dict[str, Any]) -> dict[str, Any]:
    pid, _ = _pid_of(asked)
    now = stat_of(pid) if pid else None
    began = time.monotonic()
    why = _health(asked["health"], asked["seconds"], asked["within"])
    if not why and now is None:
        why = "something answers there, but its process does not run"  # another program may have taken its port
    took = round((time.monotonic() - began) * 1000, 1)
    return {
        "answers": not why, "took_ms": took, "pid": pid if now else 0, "started": now.started if now else 0, "why": why,
    }  # fmt: skip


def _health(address: str, seconds: float, within: str) -> str:
    """Why an address does not say that all is well; "" when it does. Redirects and proxies are not followed."""
    import http.client
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any, **kwargs: Any) -> None:
            """Go nowhere else: another address being well says nothing of this one."""

    late = f"no answer within {within}"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay).open(address, timeout=seconds) as said:
            said.read(1)
    except urllib.error.HTTPError as refused:
        with refused:
            return f"it answered {refused.code}"
    except OSError as error:
        inner = getattr(error, "reason", error)
        timed_out = isinstance(inner, (TimeoutError, OSError)) and "timed out" in str(inner)
        return late if timed_out else str(inner)[:MOST_SAID] or late
    except (http.client.HTTPException, ValueError) as error:
        return f"it answered no HTTP: {str(error).strip()[:MOST_SAID] or type(error).__name__}"
    return ""


def _now(asked: dict[str, Any]) -> dict[str, Any]:
    """Which process it is now; 0 and 0: none."""
    pid, _ = _pid_of(asked)
    found = stat_of(pid) if pid else None
    return {"pid": pid if found else 0, "started": found.started if found else 0}


def _stop(asked: dict[str, Any]) -> dict[str, Any]:
    pid = asked["pid"]
    if not hasattr(os, "pidfd_open"):
        raise Fault("its python3 has no handle of a process, without which none is ended: it needs 3.9")
    with _held(pid, asked["started"], asked["command"]) as handle:
        if handle is None:
            return {"said": f"process {pid} was gone already"}
        began = time.monotonic()
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        signal.pidfd_send_signal(handle, signal.SIGCONT)  # a stopped process hears SIGTERM only once it goes on
        if _gone(handle, asked["seconds"]):
            return {"said": f"process {pid} ended {time.monotonic() - began:.1f} s after SIGTERM"}
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        if _gone(handle, KILLED_WITHIN):
            return {"said": f"process {pid} did not end within {asked['grace']} of SIGTERM, and was killed"}
    raise Fault(f"process {pid} is still there {KILLED_WITHIN:g} s after SIGKILL: the kernel holds it")


_WHAT = {"state": _state, "answering": _answering, "now": _now, "stop": _stop}


# -- reading the kernel's word -----------------------------------------------------------------------------------------


def _pid_of(asked: dict[str, Any]) -> tuple[int, str]:
    """The pid the file names when it is of the declared command and alive, else 0 and why."""
    try:
        with open(asked["pidfile"], "rb") as file:  # noqa: PTH123  # as it stands where it is run
            text = file.read(64).strip()
    except OSError as error:
        return 0, f"its pid file cannot be read ({error.strerror})"
    if not text.isdigit() or not 1 < int(text) < 2**31:
        return 0, "its pid file holds no process number"
    pid = int(text)
    found = stat_of(pid)
    if found is None or found.status in "ZX":
        return 0, f"its pid file names process {pid}, which is gone"
    if not _is_of(pid, asked["command"]):
        return 0, f"its pid file names process {pid}, which is something else now"
    return pid, ""


def _is_of(pid: int, command: str) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123  # as above
            words = file.read().split(b"\0")
    except OSError:
        return False
    return bool(command) and command in b" ".join(words).decode(errors="replace")


def stat_of(pid: int) -> Stat | None:
    """What the kernel says of a process; None when there is none of that number."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  # as above
            text = file.read()
    except OSError:
        return None
    words = text.rpartition(b")")[2].split()  # the name before it may hold anything
    return Stat(
        status=words[0].decode(),
        ticks=int(words[11]) + int(words[12]),
        threads=int(words[17]),
        started=int(words[19]),
        memory=int(words[21]) * os.sysconf("SC_PAGE_SIZE"),
    )


@contextmanager
def _held(pid: int, started: int, command: str) -> Iterator[int | None]:
    """A handle on this very process, so that no other one is meant whoever gets its number; None: it is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        now = stat_of(pid)
        same = now is not None and now.started == started and now.status not in "ZX" and _is_of(pid, command)
        yield handle if same else None
    finally:
        os.close(handle)


def _gone(handle: int, within: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(within * 1000))
