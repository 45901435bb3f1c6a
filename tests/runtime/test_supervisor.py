"""The supervisor, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import eventually

CHILDREN = """
import os, signal, sys, time
from pathlib import Path
from tocsin.runtime.supervisor import supervise

here = Path(sys.argv[1])

def say(name, what):
    with (here / name).open("a") as file:
        file.write(f"{what} {os.getpid()}\\n")

def steady(name):
    def work():
        signal.signal(signal.SIGHUP, lambda *_: say(name, "reload"))
        signal.signal(signal.SIGTERM, lambda *_: (say(name, "end"), sys.exit(0)))
        say(name, "start")
        while True:
            time.sleep(60)
    return work

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("faces", "start")
    while True:
        time.sleep(60)

def slow():
    say("core", "begin")
    while not (here / "go").exists():
        time.sleep(0.01)
    steady("core")()

def hopeless():
    say("faces", "start")
    return 78

def weak():
    say("faces", "start")
    raise ValueError("a fault of our own")

"""


class Family:
    """A supervisor in a process of its own, and what its children wrote down."""

    def __init__(self, folder: Path, works: str, before: str = "") -> None:
        self.folder = folder
        code = CHILDREN + textwrap.dedent(before) + f"sys.exit(supervise({works}, reload='core'))\n"
        self.process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE, text=True)

    def said(self, name: str) -> list[tuple[str, int]]:
        """What a child said so far, and with which process id."""
        try:
            lines = (self.folder / name).read_text().splitlines()
        except OSError:
            return []
        return [(line.split()[0], int(line.split()[1])) for line in lines]

    def started(self, name: str, times: int = 1) -> int:
        """Wait until a child has started so often; its process id."""
        return eventually(lambda: [pid for what, pid in self.said(name) if what == "start"][times - 1 : times])[0]

    def end(self) -> tuple[int, str]:
        """Wait for the end: the exit code, and what was written on standard error."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Callable[..., Family]]:
    """Call with the works to start."""
    made: list[Family] = []

    def start(works: str, before: str = "") -> Family:
        made.append(Family(tmp_path, works, before))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        assert one.process.stderr is not None
        one.process.stderr.close()
        for name in ("core", "faces"):
            eventually(lambda one=one, name=name: not any(alive(pid) for _, pid in one.said(name)))  # type: ignore[misc]


def alive(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


BOTH = "{'core': steady('core'), 'faces': steady('faces')}"


def test_a_child_that_dies_is_started_again_within_moments_and_the_other_goes_on(
    family: Callable[..., Family],
) -> None:
    """Whichever it is."""
    one = family(BOTH)
    core, faces = one.started("core"), one.started("faces")
    began = time.monotonic()
    os.kill(faces, signal.SIGKILL)
    assert one.started("faces", 2) != faces
    assert time.monotonic() - began < 2
    os.kill(core, signal.SIGSEGV)
    assert one.started("core", 2) != core
    assert len([what for what, _ in one.said("faces") if what == "start"]) == 2
    one.process.terminate()
    code, errors = one.end()
    assert code == 0
    assert "faces ended (signal SIGKILL); starting it again" in errors


def test_a_child_that_dies_again_and_again_is_not_started_without_pause(family: Callable[..., Family]) -> None:
    """The pauses grow; it is not given up."""
    one = family("{'core': steady('core'), 'faces': weak}")
    one.started("faces", 4)
    one.process.terminate()
    code, errors = one.end()
    assert code == 0
    pauses = [line.rpartition(" in ")[2] for line in errors.splitlines() if "starting it again in " in line]
    assert len(pauses) >= 2
    assert float(pauses[0].split()[0]) < float(pauses[1].split()[0])
    assert "ValueError: a fault of our own" in errors


def test_a_child_that_cannot_work_at_all_ends_everything(family: Callable[..., Family]) -> None:
    """With 1, and the other child is asked to end."""
    one = family("{'core': steady('core'), 'faces': hopeless}", "")
    code, _ = one.end()
    assert code == 1
    assert [what for what, _ in one.said("faces")] == ["start"]


def test_a_wish_to_reload_goes_to_the_core_alone(family: Callable[..., Family]) -> None:
    """SIGHUP, as often as it comes."""
    one = family(BOTH)
    core = one.started("core")
    one.started("faces")
    for times in (1, 2):
        one.process.send_signal(signal.SIGHUP)
        eventually(lambda times=times: one.said("core").count(("reload", core)) == times)  # type: ignore[misc]
    assert [what for what, _ in one.said("faces")] == ["start"]


def test_a_wish_to_reload_does_not_end_a_child_that_still_starts(family: Callable[..., Family]) -> None:
    """It does not listen for it yet, and by itself the signal is deadly."""
    one = family("{'core': slow, 'faces': steady('faces')}")
    ((_, begun),) = eventually(lambda: one.said("core"))
    one.started("faces")
    one.process.send_signal(signal.SIGHUP)
    os.kill(begun, signal.SIGHUP)
    (one.folder / "go").touch()
    assert one.started("core") == begun


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_end_together_in_good_order(family: Callable[..., Family], number: signal.Signals) -> None:
    """Each child is asked, and waited for."""
    one = family(BOTH)
    one.started("core")
    one.started("faces")
    one.process.send_signal(number)
    assert one.end()[0] == 0
    assert [what for what, _ in one.said("core")] == ["start", "end"]
    assert [what for what, _ in one.said("faces")] == ["start", "end"]


def test_a_child_that_will_not_end_is_ended(family: Callable[..., Family]) -> None:
    """After its grace."""
    one = family(
        "{'core': steady('core'), 'faces': stubborn}", "import tocsin.runtime.supervisor as s\ns.GRACE = 0.3\n"
    )
    one.started("core")
    stubborn = one.started("faces")
    one.process.terminate()
    assert one.end()[0] == 0
    assert not alive(stubborn)


def test_children_die_with_a_parent_that_was_killed(family: Callable[..., Family]) -> None:
    """Nothing of a killed Tocsin goes on paging beside its successor."""
    one = family(BOTH)
    children = [one.started("core"), one.started("faces")]
    one.process.kill()
    one.process.wait()
    eventually(lambda: not any(alive(pid) for pid in children), within=5)
