"""Every snippet of docs/senders, run as it is written: only the address and the key are filled in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.journeys.telling import a_plan, alerting_block, becomes, incident, incidents, opened
from tests.support import needs
from tests.support.alertmanager import Alertmanager
from tests.support.certificates import Certificate
from tests.support.processes import inherited_environment
from tests.support.prometheus import Prometheus
from tests.support.server import TocsinServer, tocsin_command
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

SENDERS = Path(__file__).parents[2] / "docs" / "senders"


class Snippets:
    """The fenced blocks of one page, each to be used once."""

    def __init__(self, page: str) -> None:
        text = (SENDERS / page).read_text(encoding="utf-8")
        self.left = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)

    def take(self, language: str, part: str) -> str:
        """The first unused block in a language that has `part` in it."""
        for place, (spoken, block) in enumerate(self.left):
            if spoken == language and part in block:
                del self.left[place]
                return str(block)
        raise AssertionError(f"no unused {language} block with {part!r}; left are {self.left}")


class Reader:
    """Somebody who pastes: knows the server, the key that was made for them, and a shell."""

    def __init__(self, server: TocsinServer, home: Path, **environment: str) -> None:
        self.server, self.home, self.key = server, home, ""
        # On the server's own machine, with `tocsin` on the path.
        path = f"{tocsin_command().parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = inherited_environment(
            TOCSIN_DATA=str(server.data), NO_COLOR="1", HOME=str(home), PATH=path, **environment
        )

    def filled(self, block: str) -> str:
        """The block with this server's address and key in it."""
        block = re.sub(r"https?://tocsin\.example\.com:8080", self.server.url, block)
        return re.sub(r"\bKEY\b", self.key, block).replace("tocsin.example.com:8080", self.server.url.split("//")[1])

    def shell(self, block: str) -> str:
        """Run a block as a shell script that stops at the first failure but the ones it provokes; what it printed."""
        return self._run(["bash", "-u", "-o", "pipefail", "-c", self.filled(block)])

    def python(self, block: str) -> str:
        """Run a block as a program."""
        return self._run([sys.executable, "-c", self.filled(block)])

    def make_key(self, block: str) -> str:
        """Run the block that makes a key, and keep the key it shows; what it printed."""
        said = self.shell(block)
        found = re.search(r"^ *key +(\S+)$", said, re.MULTILINE)
        assert found, said
        self.key = found.group(1)
        return said

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=self._environment, cwd=self.home, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def services(*names: str, **more: Any) -> Mapping[str, Any]:
    """A plan that knows these services."""
    return a_plan(services={**{name: {} for name in names}, **more})


def test_the_page_for_prometheus(
    tocsin_server: Callable[..., TocsinServer], start_prometheus: Callable[..., Prometheus], tmp_path: Path
) -> None:
    needs.program("amtool")
    snippets = Snippets("alertmanager-api.md")
    reader = Reader(tocsin_server(plan=services()), tmp_path)
    said = reader.make_key(snippets.take("sh", "tocsin key create"))
    block = yaml.safe_load(reader.filled(snippets.take("yaml", "alerting:")))
    # The command prints the same block with the key in it already.
    assert alerting_block(said) == block

    rule = {"alert": "Always", "expr": "vector(1)", "annotations": {"summary": "sent by Prometheus"}}
    start_prometheus(
        {"global": {"evaluation_interval": "1s"}, **block},
        {"groups": [{"name": "g", "interval": "1s", "rules": [rule]}]},
    )
    assert opened(reader.server, within=20)["title"] == "sent by Prometheus"

    reader.shell(snippets.take("sh", "api/v2/alerts"))
    assert len(incidents(reader.server)) == 2
    said = reader.shell(snippets.take("sh", "amtool"))
    assert "DiskFull" in said
    assert [silence["state"] for silence in reader.server.json("silence", "list", "--state", "all")] == ["expired"]
    snippets.take("yaml", "alertname=Watchdog")  # a plan: tests/docs reads it, test_heartbeats tells its story
    assert snippets.left == []


def test_the_page_for_pagerduty(
    tocsin_server: Callable[..., TocsinServer], certificate: Certificate, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    trusted = {"SSL_CERT_FILE": str(certificate.authority), "REQUESTS_CA_BUNDLE": str(certificate.authority)}
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    server = tocsin_server(
        plan=services("checkout"), arguments=["--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key)],
        scheme="https",
    )  # fmt: skip
    snippets = Snippets("pagerduty.md")
    reader = Reader(server, tmp_path, CURL_CA_BUNDLE=str(certificate.authority), **trusted)
    reader.make_key(snippets.take("sh", "tocsin key create"))
    reader.shell(snippets.take("sh", "/v2/enqueue"))
    found = opened(server)
    assert (found["title"], found["service"]) == ("Payments time out", "checkout")
    reader.python(snippets.take("python", "import pagerduty"))
    assert [one["title"] for one in incidents(server)] == ["Payments time out"] * 2
    assert {one["state"] for one in incidents(server)} == {"triggered", "resolved"}

    receivers = yaml.safe_load(reader.filled(snippets.take("yaml", "pagerduty_configs")))
    receivers["receivers"][0]["pagerduty_configs"][0]["http_config"] = {
        "tls_config": {"ca_file": str(certificate.authority)}
    }
    alertmanager = Alertmanager(tmp_path, {"route": {"receiver": "tocsin", "group_wait": "0s"}, **receivers})
    try:
        body = '[{"labels": {"alertname": "FromAlertmanager"}}]'
        reader.shell(f"curl -fsS -H 'Content-Type: application/json' -d '{body}' {alertmanager.url}/api/v2/alerts")
        eventually(lambda: len(incidents(server)) == 3, within=20, what="the incident of Alertmanager's page")
    finally:
        alertmanager.process.stop()
    assert snippets.left == []


def test_the_page_for_plain_json(tocsin_server: Callable[..., TocsinServer], tmp_path: Path) -> None:
    snippets = Snippets("events.md")
    server = tocsin_server(plan=services("db"))
    reader = Reader(server, tmp_path)
    reader.make_key(snippets.take("sh", "tocsin key create"))
    reader.shell(snippets.take("sh", '"Backup failed"'))
    found = opened(server)
    assert (found["title"], found["service"], found["severity"]) == ("Backup failed", "db", "sev1")
    reader.shell(snippets.take("sh", '"state": "resolved"'))
    becomes(server, found["number"], "resolved")
    assert '"accepted":2' in reader.shell(snippets.take("sh", '"events": ['))
    reader.shell(snippets.take("sh", "Bearer KEY"))
    reader.shell(snippets.take("sh", "tocsin send"))
    titles = {one["title"] for one in server.json("alerts")}
    assert titles == {"Replica 1 lags", "Replica 2 lags", "Restore takes long", "Restore failed"}
    assert snippets.left == []


def test_the_page_for_heartbeats(tocsin_server: Callable[..., TocsinServer], tmp_path: Path) -> None:
    snippets = Snippets("heartbeats.md")
    server = tocsin_server(plan=snippets.take("yaml", "tocsin: 1"), arguments=["--paging", "off"])
    reader = Reader(server, tmp_path)
    reader.make_key(snippets.take("sh", "tocsin key create"))

    def nightly() -> dict[str, Any]:
        found = server.call("GET", "/api/v1/heartbeats")[1]["items"]
        return dict(next(one for one in found if one["name"] == "nightly"))

    reader.shell(snippets.take("sh", "-o /dev/null http"))
    assert (nightly()["state"], nightly()["beats"]) == ("up", 1)
    reader.shell(snippets.take("sh", "/start"))
    assert nightly()["beats"] == 2
    assert nightly()["took"]
    assert incidents(server) == []
    reader.shell(snippets.take("sh", "$?"))
    found = opened(server)
    assert found["title"] == "Yesterday's orders are not booked"
    assert incident(server, found["number"])["service"] == "orders-batch"
    assert snippets.left == []


def test_the_page_for_probes(tocsin_server: Callable[..., TocsinServer]) -> None:
    """Its plan is put in force as it is; what probes do is told in test_probes."""
    snippets = Snippets("probes.md")
    server = tocsin_server(plan=snippets.take("yaml", "tocsin: 1"), arguments=["--paging", "off"])
    assert "certificate days: 14" in server.run("plan", "show").stdout
    assert snippets.left == []
