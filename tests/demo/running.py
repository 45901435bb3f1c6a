"""A demo as a child process."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import psutil

from tests.support.ports import free_port
from tests.support.processes import Process, inherited_environment


class Running:
    """A demo as a child process, with a temporary folder of its own to leave nothing in."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.port = free_port()
        ports = ["--port", str(self.port), "--inbox-port", str(free_port()), "--mail-port", str(free_port())]
        self.process = Process(
            [sys.executable, "-m", "tocsin", "demo", *ports, *arguments],
            log=folder / "story.txt",
            env=inherited_environment(TMPDIR=str(self.temporary), PYTHONUNBUFFERED="1"),
        )

    def told(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """Wait until the story has it."""
        self.process.wait_until(lambda: re.search(pattern, self.process.output()), within=within, what=pattern)
        found = re.search(pattern, self.process.output())
        assert found
        return found

    def left(self) -> list[str]:
        """Processes and files that exist and should not."""
        found = [str(path) for path in self.temporary.iterdir()]
        for each in psutil.process_iter():
            try:
                if each.environ().get("TMPDIR") == str(self.temporary) and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(each.cmdline()))
            except psutil.Error:
                continue
        return found
