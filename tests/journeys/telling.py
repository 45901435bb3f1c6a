"""What the stories share: a plan with a shop in it, and looking at what Tocsin made of what it heard."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import textwrap
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import needs
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tests.support.processes import Process, inherited_environment
from tests.support.server import TocsinServer
from tests.support.waiting import eventually


def a_plan(mail: MailServer | None = None, services: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A plan with ana on call, by mail when there is a mail server, for `services` beside the inbox."""
    plan: dict[str, Any] = {
        "tocsin": 1,
        "team": "shop",
        "people": {"ana": {"name": "Ana", **({"email": "ana@shop.example"} if mail else {})}},
        "escalations": {"shop": [{"page": "ana", "wait": "5m", "repeat": 2}]},
        "services": {"inbox": {"escalation": "shop"}}
        | {name: {"escalation": "shop", **about} for name, about in (services or {}).items()},
    }
    if mail:
        plan["mail"] = {"server": f"smtp://{mail.host}:{mail.port}", "from": "tocsin@shop.example"}
    return plan | more


def incidents(server: TocsinServer, **query: str) -> list[dict[str, Any]]:
    """Incidents as the API lists them, the newest first."""
    status, found = server.call("GET", "/api/v1/incidents?" + urllib.parse.urlencode(query))
    assert status == 200, found
    return list(found["items"])


def incident(server: TocsinServer, number: int) -> dict[str, Any]:
    """One incident with its timeline, pages and alerts as plain lists, the oldest first."""
    status, found = server.call("GET", f"/api/v1/incidents/{number}")
    assert status == 200, found
    for part in ("timeline", "pages", "alerts"):
        status, listed = server.call("GET", f"/api/v1/incidents/{number}/{part}?limit=200")
        assert status == 200, listed
        found[part] = sorted(listed["items"], key=lambda one: int(one["id"]))
    return dict(found)


def opened(server: TocsinServer, *, within: float = 10.0, **query: str) -> dict[str, Any]:
    """The one incident there is, once there is one."""
    eventually(lambda: incidents(server, **query), within=within, what="an incident")
    (found,) = incidents(server, **query)
    return incident(server, found["number"])


def becomes(server: TocsinServer, number: int, state: str, *, within: float = 10.0) -> dict[str, Any]:
    """The incident, once it is in a state."""

    def asked() -> dict[str, Any] | None:
        found = incident(server, number)
        assert found["state"] == state, f"#{number} is {found['state']} ({found['reason']})"
        return found

    found = eventually(asked, within=within, what=f"incident {number} to be {state}")
    assert found is not None
    return found


def reasons(found: Mapping[str, Any]) -> list[str]:
    """The reasons on an incident's timeline, in order."""
    return [entry["reason"] for entry in found["timeline"]]


def alerting_block(text: str) -> dict[str, Any]:
    """The `alerting:` block somewhere in what Tocsin printed, cut out as a person would and read as YAML."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip() == "alerting:")
    depth = len(lines[start]) - len(lines[start].lstrip())
    block = [lines[start]]
    for line in lines[start + 1 :]:
        if not line.strip() or len(line) - len(line.lstrip()) <= depth:
            break
        block.append(line)
    found: dict[str, Any] = yaml.safe_load(textwrap.dedent("\n".join(block)))
    return found


class Shop:
    """A real process that Prometheus scrapes: Python's own file server with a file called metrics."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "metrics").write_text("shop_orders_total 1\n")
        (folder / "health").write_text("ok\n")
        self.process: Process | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Open."""
        command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(self.port)]
        self.process = Process(command, log=self.folder / "log", cwd=self.folder)
        self.process.wait_until(self._answers, within=10, what="the shop to open")

    def die(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.kill9()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        finally:
            connection.close()


class Amtool:
    """Debian's amtool, told of one Alertmanager only."""

    def __init__(self, url: str, home: Path) -> None:
        if not shutil.which("amtool"):
            pytest.skip("no amtool on this machine: `make setup` installs it where it may")
        self.url, self.home = url, home

    def __call__(self, *arguments: str, typed: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it; with `check` a non-zero exit fails and shows what it said."""
        command = [needs.program("amtool"), f"--alertmanager.url={self.url}", *arguments]
        done = subprocess.run(
            command, env=inherited_environment(HOME=str(self.home)), input=typed, capture_output=True, text=True,
            timeout=30, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def said(self, *arguments: str) -> str:
        """What it printed."""
        return self(*arguments).stdout.strip()


def curl(*arguments: str, check: bool = True) -> str:
    """Run curl and return what it printed; with `check` a failure shows what it said."""
    command = [needs.program("curl"), "-sS", "--max-time", "15", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
