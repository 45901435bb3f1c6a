"""What the systemd form of the process solution sees and does, on a real systemd; also over a real SSH server."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.sshd import running_sshd
from tests.support.steps import step
from tests.support.systemd import Manager, running_systemd
from tests.support.waiting import eventually
from tocsin import Refused
from tocsin.library import systemd
from tocsin.library.described import Trouble

WEB = systemd.Unit(name="web")
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
UNITS = {
    "web.service": "[Service]\nExecStart=/bin/sleep 600\nRestart=no\n",
    "again.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 600\nRestart=always\n",
    "deaf.service": f"[Service]\nExecStart={sys.executable} -c '{DEAF}'\nTimeoutStopSec=1\n",
    "slow.service": "[Service]\nExecStartPre=/bin/sh -c 'until test -e %t/go; do sleep 0.05; done; test ! -e %t/bad'\n"
    "ExecStart=/bin/sleep 600\n",
    "broken.service": "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=600\n[Service]\n"
    "ExecStart=/bin/sh -c 'test -e %t/mended && exec sleep 600'\n",
}


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with running_systemd(UNITS) as made:
        yield made


def held(manager: Manager, unit: str = "web.service", **more: Any) -> dict[str, Any]:
    return {"web": {"unit": unit, "manager": str(manager.runtime), **more}}


def started(manager: Manager, unit: str = "web.service") -> systemd.State:
    manager.ctl("reset-failed", unit, check=False)
    manager.ctl("start", unit)
    return step(held(manager, unit), systemd.state, WEB)


def test_it_is_seen_as_systemd_sees_it(manager: Manager) -> None:
    now = started(manager)
    assert now.running and not now.stopped and now.sub == "running" and now.result == "success"
    assert str(now.pid) == manager.show("web.service", "MainPID") and len(now.invocation) == 32
    assert 0 <= now.since < 60 and str(now).startswith("active (running) for ")
    manager.ctl("stop", "web.service")
    down = step(held(manager), systemd.state, WEB)
    assert down.stopped and not down.running and down.pid == 0
    with pytest.raises(Trouble, match=r"systemd has no none\.service it could run: not-found"):
        step(held(manager, "none.service"), systemd.state, WEB)
    with pytest.raises(Trouble, match=r"systemctl show: it ended with 1 .* Failed to connect"):
        step({"web": {"unit": "web.service", "manager": "/nowhere"}}, systemd.state, WEB)
    with pytest.raises(ValueError, match="is not described in the plan"):
        step({"web": {"pidfile": "/run/x"}}, systemd.state, WEB)


def test_a_hung_one_is_restarted_and_its_successor_told_from_it(manager: Manager) -> None:
    for unit in ("web.service", "deaf.service"):
        before = started(manager, unit)
        os.kill(before.pid, signal.SIGSTOP)
        said = step(held(manager, unit), systemd.restart, WEB, before.invocation)
        after = step(held(manager, unit), systemd.state, WEB)
        assert after.running and after.pid != before.pid and after.invocation != before.invocation, unit
        assert said == f"systemd restarted it: process {after.pid}"
        assert not Path(f"/proc/{before.pid}").exists()
        assert step(held(manager, unit), systemd.was_restarted, WEB, before.invocation)
        assert not step(held(manager, unit), systemd.was_restarted, WEB, after.invocation)
        again = step(held(manager, unit), systemd.restart, WEB, before.invocation)
        assert again == "it runs anew by now, and was left alone"
        assert step(held(manager, unit), systemd.state, WEB).pid == after.pid
        manager.ctl("stop", unit)
    assert not systemd.restart.idempotent and systemd.restart.probe is systemd.was_restarted


def test_one_that_was_stopped_meanwhile_stays_so_and_one_that_died_is_started(manager: Manager) -> None:
    before = started(manager)
    manager.ctl("stop", "web.service")
    with pytest.raises(Refused, match="stopped meanwhile, and is not started"):
        step(held(manager), systemd.restart, WEB, before.invocation)
    down = step(held(manager), systemd.state, WEB)
    assert down.stopped and down.invocation == ""
    assert step(held(manager), systemd.restart, WEB, "").startswith("systemd restarted it"), "it was seen to be down"
    manager.ctl("stop", "web.service")
    before = started(manager)
    os.kill(before.pid, signal.SIGKILL)
    eventually(lambda: step(held(manager), systemd.state, WEB).active == "failed", what="it to be failed")
    died = step(held(manager), systemd.state, WEB)
    assert (died.result, died.exited, died.invocation) == ("signal", 9, before.invocation)
    step(held(manager), systemd.restart, WEB, died.invocation)
    assert step(held(manager), systemd.state, WEB).running


def test_one_that_systemd_started_again_by_itself_is_left_alone(manager: Manager) -> None:
    before = started(manager, "again.service")
    os.kill(before.pid, signal.SIGKILL)
    eventually(lambda: step(held(manager, "again.service"), systemd.state, WEB).restarts == 1, what="systemd to act")
    eventually(lambda: step(held(manager, "again.service"), systemd.state, WEB).running, what="it to be up")
    now = step(held(manager, "again.service"), systemd.state, WEB)
    assert step(held(manager, "again.service"), systemd.restart, WEB, before.invocation).endswith("was left alone")
    assert step(held(manager, "again.service"), systemd.state, WEB).pid == now.pid
    manager.ctl("stop", "again.service")


@pytest.mark.parametrize(("touched", "comes"), [(["go"], "up"), ([], "late"), (["bad", "go"], "down")])
def test_one_that_is_coming_up_anew_is_waited_for_and_not_started_again(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, touched: list[str], comes: str
) -> None:
    """As after a restart in the middle of which Tocsin was killed."""
    unit = "slow.service"
    (manager.runtime / "bad").unlink(missing_ok=True)
    (manager.runtime / "go").touch()
    before = started(manager, unit)
    (manager.runtime / "go").unlink()
    manager.ctl("--no-block", "restart", unit)
    eventually(lambda: step(held(manager, unit), systemd.state, WEB).starting, what="it to be coming up")
    coming = step(held(manager, unit), systemd.state, WEB)
    assert not coming.running and coming.invocation not in ("", before.invocation)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        for name in touched:
            (manager.runtime / name).touch()
        rest(min(seconds, 0.05))

    rest = time.sleep
    with monkeypatch.context() as patch:
        # Only this module's: waiting for a process to end sleeps as well, and that must not let the service fail.
        patch.setattr(systemd, "time", SimpleNamespace(sleep=wait, monotonic=time.monotonic, time=time.time))
        within = "200ms" if comes == "late" else "20s"
        if comes == "up":
            said = step(held(manager, unit), systemd.restart, WEB, before.invocation, within=within)
            assert said == "it runs anew by now, and was left alone"
        else:
            why = {"late": r"activating \(start-pre\)", "down": "failed"}[comes]
            with pytest.raises(Trouble, match=f"it was started anew meanwhile, and is {why}"):
                step(held(manager, unit), systemd.restart, WEB, before.invocation, within=within)
        done = step(held(manager, unit), systemd.was_restarted, WEB, before.invocation, within=within)
        assert done == (comes != "down"), "the run goes on, and its verification says whether it came up"
    assert waits and max(waits) <= systemd.LOOKED_AGAIN
    assert manager.show(unit, "InvocationID") == coming.invocation
    manager.ctl("stop", unit)


def test_an_older_systemctl_is_asked_for_times_as_well(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before 247 it knew no ``--timestamp``, and always wrote them in its own zone."""
    older = tmp_path / "systemctl"
    refuses = "for one; do case $one in --timestamp*) echo \"unrecognized option '$one'\" >&2; exit 1;; esac; done"
    older.write_text(f'#!/bin/sh\n{refuses}\nexec {shutil.which("systemctl")} "$@"\n')
    older.chmod(0o755)
    manager.ctl("restart", "web.service")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "America/New_York")
    now = step(held(manager), systemd.state, WEB)
    assert now.running and 0 <= now.since < 60


def test_one_that_was_started_too_often_is_started_all_the_same(manager: Manager) -> None:
    unit = "broken.service"
    for _ in range(3):
        manager.ctl("start", unit, check=False)
        eventually(lambda: step(held(manager, unit), systemd.state, WEB).active == "failed", what="it to be failed")
    assert "exit-code" in str(step(held(manager, unit), systemd.state, WEB))
    with pytest.raises(AssertionError):
        manager.ctl("start", unit)
    (manager.runtime / "mended").touch()
    before = step(held(manager, unit), systemd.state, WEB)
    step(held(manager, unit), systemd.restart, WEB, before.invocation)
    assert step(held(manager, unit), systemd.state, WEB).running


def test_a_unit_on_another_machine_is_seen_and_restarted_by_ssh(
    manager: Manager, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as sshd:
        on = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "host_keys": [sshd.host_key]}
        there = held(manager, on=on, secrets={"key": sshd.key})
        before = started(manager)
        os.kill(before.pid, signal.SIGSTOP)
        assert step(there, systemd.state, WEB).pid == before.pid
        step(there, systemd.restart, WEB, before.invocation)
        after = step(held(manager), systemd.state, WEB)
        assert after.running and after.invocation != before.invocation
        other = there["web"] | {"on": on | {"host_keys": [sshd.other_host_key]}}
        with pytest.raises(Trouble, match="host key that is not in the plan"):
            step({"web": other}, systemd.state, WEB)
