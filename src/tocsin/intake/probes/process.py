"""Process: does it run, and does it hold too much memory? Found by its pid file or by its name, and looked at in /proc.

Option ``memory_bytes``: holding more than so much resident memory is a failure; of several of a name, any of them.
Option ``by``: ``name`` (the exact process name, or the base name of the command it was started with) or ``pidfile``
(the target is the path of a file that holds the pid). A zombie does not run. A stopped process is there and does
nothing, which is what "hung" looks like from outside, so one stopped among many is a failure too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tocsin.intake.checked import Checked, Measured
from tocsin.intake.probed import Looks, Probed, said
from tocsin.intake.probes.amounts import size_of
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Outside
from tocsin.notation.decoder import Either, Field, Record, RecordOf, Word
from tocsin.notation.findings import Findings
from tocsin.notation.words import PATH, SIZE

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NAME_KEPT = 15  # the kernel keeps this much of a process' name


async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
    """Look once. Aside, because reading /proc/PID/cmdline waits for a process that hangs inside the kernel."""
    by, target, timeout = spec.options.get("by", "name"), spec.target, spec.timeout / SECOND
    if not target:
        return Checked(False, "This probe names no process")
    look = _by_pidfile if by == "pidfile" else _by_name
    most = int(spec.options.get("memory_bytes", "0"))

    def looked() -> tuple[Checked, tuple[int, int]]:
        """Nothing in it is this probe's own: others that look for the same process meanwhile share it."""
        found, pids = look(target)
        return found, max(((_memory(one), one) for one in pids), default=(0, 0))

    try:
        found, held = await outside.aside(f"process:{by}:{target}", looked, within=timeout)
        return _held(found, target if by == "name" else "", *held, most) if found.ok and most else found
    except TimeoutError:
        return Checked(False, f"Looking for the process {target} did not end within {timeout:g} s")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return Checked(False, f"The process {target} cannot be looked for: {reason}")


def _held(found: Checked, name: str, held: int, pid: int, most: int) -> Checked:
    """What was found, judged by the memory of the one that holds most."""
    measured = Measured("memory held", held, "bytes", most)
    facts = {**found.facts, "memory": f"{size_of(held)} in pid {pid}"}
    who = f"The process {name or found.facts['name']} (pid {pid})"
    if held > most:
        return Checked(False, f"{who} holds {size_of(held)} of memory, {size_of(most)} is the most", facts, measured)
    return Checked(True, f"{found.summary} and holds {size_of(held)}", facts, measured)


def _memory(pid: int) -> int:
    """Resident bytes; 0 of one that is gone."""
    try:
        return int((_PROC / str(pid) / "statm").read_bytes().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _by_pidfile(path: str) -> tuple[Checked, list[int]]:
    """What it is like, and which processes it is."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(64).split()
    except FileNotFoundError:
        return Checked(False, f"No process: its pid file {path} does not exist"), []
    if not text or not text[0].isdigit() or int(text[0]) <= 0:
        return Checked(False, f"No process: its pid file {path} holds no pid"), []
    pid = int(text[0])
    facts = {"pid": str(pid)}
    found = _status(pid)
    if found is None:
        return Checked(False, f"The process of {path} is gone: nothing runs as pid {pid}", facts), []
    name, state = found
    facts |= {"name": name, "state": state}
    if state in "ZX":
        return Checked(False, f"The process {name} (pid {pid}) has died: only a zombie is left", facts), []
    if state in "Tt":
        return Checked(False, f"The process {name} (pid {pid}) hangs: it is stopped", facts), []
    return Checked(True, f"The process {name} runs (pid {pid})", facts), [pid]


def _by_name(name: str) -> tuple[Checked, list[int]]:
    running: list[int] = []
    stopped: list[int] = []
    zombies: list[int] = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        found = _status(pid)
        if found is None or (name not in (found[0], _started_as(pid)) and not _kept(found[0], name)):
            continue
        (zombies if found[1] in "ZX" else stopped if found[1] in "Tt" else running).append(pid)
    facts = {"running": str(len(running)), "stopped": str(len(stopped)), "zombies": str(len(zombies))}
    if stopped:
        which = f"pid {stopped[0]}" if len(stopped) == 1 else f"{len(stopped)} of them"
        beside = f" beside {len(running)} that run{'s' if len(running) == 1 else ''}" if running else ""
        return Checked(False, f"The process {name} hangs: it is stopped ({which}){beside}", facts), []
    if running:
        many = "" if len(running) == 1 else f", {len(running)} times"
        return Checked(True, f"The process {name} runs{many}", facts), running
    if zombies:
        return Checked(False, f"The process {name} has died: only a zombie is left (pid {zombies[0]})", facts), []
    return Checked(False, f"No process named {name} runs", facts), []


def _kept(kept: str, name: str) -> bool:
    """Whether this is the beginning the kernel kept of a longer name."""
    return len(name) > _NAME_KEPT and len(kept) == _NAME_KEPT and name.startswith(kept)


def _status(pid: int) -> tuple[str, str] | None:
    """Name and state letter of a process, None when it is gone."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may hold brackets and spaces itself, so the last one counts.
    end = stat.rindex(b")")
    name = stat[stat.index(b"(") + 1 : end].decode("utf-8", "replace")
    return name, _beyond_the_first(pid, chr(stat[end + 2]))


def _beyond_the_first(pid: int, state: str) -> str:
    """A process whose first thread has ended looks like a zombie while others still work."""
    if state != "Z":
        return state
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            stat = (task / "stat").read_bytes()
            letter = chr(stat[stat.rindex(b")") + 2])
            if letter not in "ZX":
                return letter
    except OSError:
        return state
    return state


def _started_as(pid: int) -> str:
    """The base name of the command it was started with; "" for a kernel thread, a zombie or one that is gone."""
    try:
        with (_PROC / str(pid) / "cmdline").open("rb") as file:
            first = file.read(4096).split(b"\0", 1)[0]
    except OSError:
        return ""
    return first.rpartition(b"/")[2].decode("utf-8", "replace")


PROCESS: Final = Word("a process' name", str, pattern=r"[^\x00-\x1f]{1,200}")


class Pidfile(Record):
    """A file that holds the number of a process."""

    what = "a mapping with the key pidfile"
    pidfile = Field(PATH, "Its absolute path.", required=True)


class ProcessProbe(Probed):
    """Looks whether a process runs on this machine, and how much memory it holds."""

    what = "a process probe"
    process = Field(Either(PROCESS, RecordOf(Pidfile)), "The process' name, or {pidfile: /run/it.pid}.", required=True)
    memory = Field(SIZE, "Holding more memory than this is a failure, such as 2GB; of several, any of them.")

    def looks_at(self, findings: Findings) -> Looks:
        """A name or a pidfile, as ``by`` says; ``memory_bytes``, the most it may hold."""
        process = self.process
        if isinstance(process, Pidfile):
            return process.pidfile or "", said(by="pidfile", memory_bytes=self.memory)
        return process or "", said(by="name", memory_bytes=self.memory)


PROBE = ProcessProbe
