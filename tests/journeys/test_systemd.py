"""A real systemd and a real Tocsin: a service that hangs is restarted by a playbook, here and by SSH."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import TocsinServer
from tests.support.sshd import running_sshd
from tests.support.systemd import Manager, running_systemd
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

UNITS = {f"{name}.service": "[Service]\nExecStart=/bin/sleep 600\n" for name in ("near", "far")}
PLAN = """
tocsin: 1
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 5m}]}
services:
  web:
    escalation: shop
    playbooks: [restart-web]
    targets:
      host:
        ssh: {host: 127.0.0.1, port: PORT, user: USER, host key: "KEY"}
        look with: secret:key
        fix with: secret:key
      near: {systemd: {unit: near.service, restart: on, manager: MANAGER}, match: 'instance="near"'}
      far: {systemd: {unit: far.service, restart: on, manager: MANAGER, on: host}, match: 'instance="far"'}
      seen: {systemd: {unit: near.service, manager: MANAGER}, match: 'instance="seen"'}
routes:
  - {match: ['alertname="WebHangs"'], service: web, group: {by: [instance]}}
"""
PLAYBOOK = """
playbook: restart-web
about: It does not answer; have systemd restart it.
answers: ['alertname="WebHangs"']
works on: {unit: systemd}
trust: {start: act}
steps:
  - look: systemd.state
    on: unit
    as: before
  - fix: systemd.restart
    on: unit
    with: {invocation: {from: before.invocation}}
  - verify: systemd.state
    on: unit
    until: {running: {is: yes}, since: {at least: 1}, restarts: {is: 0}}
    within: 20s
    every: 200ms
"""


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with running_systemd(UNITS) as made:
        yield made


@pytest.fixture(scope="module")
def server(manager: Manager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TocsinServer]:
    folder = tmp_path_factory.mktemp("systemd")
    with running_sshd(tmp_path_factory.mktemp("sshd")) as sshd:
        known = {"PORT": str(sshd.port), "USER": sshd.user, "KEY": sshd.host_key, "MANAGER": str(manager.runtime)}
        (folder / "plan" / "playbooks").mkdir(parents=True)
        (folder / "plan" / "tocsin.yaml").write_text(re.sub("|".join(known), lambda found: known[found[0]], PLAN))
        (folder / "plan" / "playbooks" / "web.yaml").write_text(PLAYBOOK)
        (folder / "data" / "secrets").mkdir(parents=True)
        (folder / "data" / "secrets" / "key").write_text(sshd.key)
        made = TocsinServer(folder, plan=folder / "plan")
        made.start()
        yield made
        made.stop()


def run_for(server: TocsinServer, instance: str, state: str) -> dict[str, Any]:
    arguments = ["--service", "inbox", "--title", instance, "--label", "alertname=WebHangs"]
    server.run("send", *arguments, "--label", f"instance={instance}", "--severity", "critical")
    incident = server.json("incidents", "list", "--state", "all", "--limit", "1")[0]["number"]

    def there() -> dict[str, Any]:
        found: list[dict[str, Any]] = server.call("GET", f"/api/v1/runs?incident={incident}")[1]["items"]
        assert found and state in (found[0]["state"], found[0]["outcome"]), found
        return found[0]

    return eventually(there, what=f"the run for {instance} to be {state}", within=30)


@pytest.mark.parametrize("name", ["near", "far"])
def test_a_service_that_hangs_is_restarted_and_seen_to_stay_up(
    server: TocsinServer, manager: Manager, name: str
) -> None:
    manager.ctl("start", f"{name}.service")
    before = {one: manager.show(f"{name}.service", one) for one in ("MainPID", "InvocationID")}
    os.kill(int(before["MainPID"]), signal.SIGSTOP)
    run = run_for(server, name, "watching")
    assert manager.show(f"{name}.service", "InvocationID") != before["InvocationID"]
    steps = server.call("GET", f"/api/v1/runs/{run['number']}")[1]["steps"]
    assert [(one["verb"], one["state"]) for one in steps] == [("look", "done"), ("fix", "done"), ("verify", "done")]
    assert not Path(f"/proc/{before['MainPID']}").exists()


def test_one_that_the_plan_lets_nobody_restart_is_handed_over_untouched(server: TocsinServer, manager: Manager) -> None:
    before = manager.show("near.service", "InvocationID")
    run = run_for(server, "seen", "handed_over")
    assert manager.show("near.service", "InvocationID") == before, run
