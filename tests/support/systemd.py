"""A real systemd: a user's manager in a mount namespace of its own, with whatever units a test writes."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.waiting import eventually

PROGRAMS = (Path("/usr/lib/systemd/systemd"), Path("/lib/systemd/systemd"))
CGROUPS = Path("/sys/fs/cgroup")


class Manager:
    """One manager. ``runtime``: what a plan calls ``manager``."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime

    def ctl(self, *words: str, check: bool = True) -> str:
        """``systemctl --user`` of it."""
        env = os.environ | {"XDG_RUNTIME_DIR": str(self.runtime)}
        env.pop("DBUS_SESSION_BUS_ADDRESS", None)
        done = subprocess.run(
            ("systemctl", "--user", *words), capture_output=True, text=True, timeout=30, env=env, check=False
        )
        assert not check or done.returncode == 0, done
        return done.stdout

    @property
    def answers(self) -> bool:
        """Whether it can be asked."""
        return bool(self.ctl("show", "--property=Version", "--value", check=False).strip())

    def show(self, unit: str, name: str) -> str:
        """One property."""
        return self.ctl("show", f"--property={name}", "--value", unit).strip()


@contextmanager
def running_systemd(units: Mapping[str, str]) -> Iterator[Manager]:
    """Start one with these units, and end it and all it runs. Skips the test where none can run.

    systemd starts as a user's manager where a folder in /run says that the machine was booted with it: here it has a
    /run of its own.
    """
    bwrap = needs.program("bwrap")
    program = next((one for one in PROGRAMS if one.exists()), None)
    if program is None:
        pytest.skip("no systemd on this machine: `make setup` installs it where it may")
    with tempfile.TemporaryDirectory(prefix="systemd-") as place, _own_groups() as enter:
        folder = Path(place)
        written = folder / "config" / "systemd" / "user"
        written.mkdir(parents=True)
        for name, text in units.items():
            (written / name).write_text(text)
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        env |= {"XDG_RUNTIME_DIR": str(runtime), "XDG_DATA_HOME": str(folder / "data")}
        confined = (bwrap, "--dev-bind", "/", "/", "--tmpfs", "/run", "--dir", "/run/systemd/system")
        command = (*confined, "--die-with-parent", "--", str(program), "--user", "--log-target=console")
        with (folder / "log").open("wb") as log:
            entered = ("/bin/sh", "-c", enter + 'exec "$@"', "sh", *command)
            process = subprocess.Popen(entered, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        manager = Manager(runtime)
        try:
            with suppress(AssertionError):
                eventually(lambda: process.poll() is not None or manager.answers, what="systemd to answer")
            if not manager.answers:
                pytest.skip(f"systemd does not run here: {(folder / 'log').read_text()[-300:] or process.poll()}")
            yield manager
        finally:
            manager.ctl("exit", check=False)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _own_groups() -> Iterator[str]:
    """Shell words by which a process enters control groups made for it, below the one it is in; removed at the end.

    One in every hierarchy, or none: a manager moves whatever it finds beside itself into a group below. It stays within
    what this process may use. cpuset alone it leaves be, and that one takes no process before it has processors.
    """
    made: list[Path] = []
    try:
        try:
            for here in _groups():
                own = here / f"tocsin-test-{os.getpid()}"
                own.mkdir()
                made.append(own)
        except OSError as error:
            pytest.skip(f"systemd would need a control group of its own here: {error}")
        if not made:
            pytest.skip("systemd would need a control group of its own here, and there are none")
        yield "".join(f"echo $$ >{one}/cgroup.procs || exit 1; " for one in made)
    finally:
        for one in made:
            eventually(lambda: _removed(one), what="the control group to be empty")  # noqa: B023  # waited for here


def _groups() -> Iterator[Path]:
    """The control groups this process is in, one for each hierarchy that a manager would use."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        name = controllers.removeprefix("name=") or ("unified" if (CGROUPS / "unified").is_dir() else "")
        if (CGROUPS / name / "cgroup.procs").exists() and name != "cpuset":
            yield CGROUPS / name / path.removeprefix("/")


def _removed(group: Path) -> bool:
    """End what is left in a control group, and remove it."""
    for left in group.rglob("cgroup.procs"):
        with suppress(OSError):
            for pid in map(int, left.read_text().split()):
                os.kill(pid, signal.SIGKILL)
    for one in (*sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True), group):
        with suppress(OSError):
            one.rmdir()
    return not group.exists()
