"""The demo's child processes: each in its own session, tied to the demo, known to the sweeper."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tocsin.demo import sweeper, tied


def environment() -> dict[str, str]:
    """What children inherit: no setting of a real Tocsin on this machine, and output that is written at once."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return mine | {"PYTHONUNBUFFERED": "1"}


class Children:
    """Everything the demo starts. `close` ends all of it and removes the folder."""

    def __init__(self, folder: Path) -> None:
        """Start the sweeper, which removes `folder` at the end, even when nobody else can."""
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: set[int] = set()
        self._sweeper = subprocess.Popen(
            [sys.executable, "-m", sweeper.__name__, str(folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def start(self, name: str, argv: Sequence[str], own: Mapping[str, str] | None = None) -> int:
        """Start `argv` as `name`, which must not be running; its output goes to ``<name>.log``. Returns its pid.

        `own`: what its environment has besides.
        """
        if self.alive(name):
            raise ValueError(f"{name} is running already")
        # The terminal's Ctrl-C must reach the demo alone, which ends the others in order: hence a session each.
        with self.log(name).open("ab") as out:
            child = subprocess.Popen(
                tied.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment() | dict(own or {}),
                start_new_session=True,
            )
        self._running[name] = child
        self._groups.add(child.pid)
        self._tell(f"group {child.pid}")
        return child.pid

    def log(self, name: str) -> Path:
        """Where the child's output goes."""
        return self.folder / f"{name}.log"

    def tail(self, name: str, lines: int = 20) -> str:
        """The last lines a child printed."""
        try:
            return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def pid(self, name: str) -> int:
        """The process id of the child, running or not. KeyError when it was never started."""
        return self._running[name].pid

    def alive(self, name: str) -> bool:
        """Whether the child was started and has not ended. A stopped process is alive."""
        child = self._running.get(name)
        if child is None:
            return False
        if child.poll() is None:
            return True
        if child.pid in self._groups and not sweeper.exists(child.pid):
            self._groups.discard(child.pid)
            self._tell(f"gone {child.pid}")
        return False

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the child itself, if it lives. After SIGKILL it is waited for."""
        if self.alive(name):
            self._running[name].send_signal(number)
            if number == signal.SIGKILL:
                self._running[name].wait()

    def close(self, polite: float = 5.0) -> None:
        """End every child, the last started first, and the sweeper; remove the folder."""
        for child in reversed(self._running.values()):
            for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process hears SIGTERM only once it goes on
                if child.poll() is None:
                    child.send_signal(number)
            try:
                child.wait(polite)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        sweeper.end_groups(self._groups, polite=1.0)  # what they left behind themselves
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._sweeper.stdin and not self._sweeper.stdin.closed:
            try:
                self._sweeper.stdin.close()
            except OSError:
                pass
        self._sweeper.wait()

    def _tell(self, line: str) -> None:
        if self._sweeper.stdin and not self._sweeper.stdin.closed:
            try:
                self._sweeper.stdin.write(line + "\n")
            except OSError:
                pass  # the sweeper was killed; the kernel's ties remain
