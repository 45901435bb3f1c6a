"""PagerDuty's own client over TLS, and a real Alertmanager that believes it speaks to PagerDuty."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.telling import a_plan, becomes, curl, incident, incidents, opened, reasons
from tests.support.alertmanager import Alertmanager
from tests.support.certificates import Certificate
from tests.support.mail import MailServer
from tests.support.processes import inherited_environment
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


@pytest.fixture
def server(
    tocsin_server: Callable[..., TocsinServer],
    mail_server: MailServer,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> TocsinServer:
    """Tocsin behind TLS, with an authority that only this test trusts."""
    # What the test itself asks goes through urllib, which knows no other way to be told whom to trust.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    return tocsin_server(
        plan=a_plan(mail_server, {"checkout": {}}),
        arguments=["--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key)],
        scheme="https",
    )


@pytest.fixture
def key(server: TocsinServer) -> dict[str, str]:
    """A key for checkout."""
    return server.new_key("pagerduty", "checkout")


class Client:
    """The official client, imported in a process of its own as a program of a customer's would."""

    def __init__(self, server: TocsinServer, key: str, certificate: Certificate) -> None:
        self._base, self._key, self._authority = server.url, key, certificate.authority

    def __call__(self, program: str) -> str:
        """Run a few lines with `client` in scope; returns what they print."""
        lines = (
            "import pagerduty\n"
            f"client = pagerduty.EventsApiV2Client({self._key!r}, base_url={self._base!r})\n"
            "client.retry = {}\n" + program
        )
        done = subprocess.run(
            [sys.executable, "-c", lines],
            env=inherited_environment(
                REQUESTS_CA_BUNDLE=str(self._authority), SSL_CERT_FILE=str(self._authority)
            ),
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def client(server: TocsinServer, key: dict[str, str], certificate: Certificate) -> Client:
    """PagerDuty's client, pointed here by its base URL and nothing else."""
    return Client(server, key["key"], certificate)


def test_the_official_client_triggers_acknowledges_and_resolves(
    server: TocsinServer, client: Client, key: dict[str, str], mail_server: MailServer
) -> None:
    assert key["url"] == f"{server.url}/v2/enqueue"
    assert len(key["key"]) == 32
    dedup = client(
        "print(client.trigger('Payments time out', 'checkout-7', severity='critical',"
        " custom_details={'queue': {'depth': 9000}}, links=[{'href': 'https://runbooks.example/x', 'text': 'Runbook'}],"
        " payload={'component': 'payments', 'class': 'timeout', 'group': 'shop'}))"
    )
    assert dedup
    found = opened(server)
    assert (found["title"], found["service"], found["severity"]) == ("Payments time out", "checkout", "sev1")
    (alert,) = found["alerts"]
    assert alert["labels"] == {
        "source": "checkout-7", "component": "payments", "class": "timeout", "group": "shop",
    }  # fmt: skip
    assert alert["annotations"]["queue.depth"] == "9000"
    assert alert["link"] == "https://runbooks.example/x"
    assert "Payments time out" in mail_server.wait_for(1)[0].subject

    # The same key again is the same alert; acknowledged by the monitor is acknowledged.
    assert client(f"print(client.trigger('Payments time out', 'checkout-7', dedup_key={dedup!r}))") == dedup
    assert client(f"print(client.acknowledge({dedup!r}))") == dedup
    found = becomes(server, found["number"], "acknowledged")
    assert found["alert_count"] == 1
    assert "by_source" in reasons(found)
    assert client(f"print(client.resolve({dedup!r}))") == dedup
    found = becomes(server, found["number"], "resolved")
    assert found["alerts"][0]["reason"] == "source_resolved"

    # The key may come back after that: the trouble returned, to the same incident.
    client(f"client.trigger('Payments time out', 'checkout-7', dedup_key={dedup!r})")
    found = becomes(server, found["number"], "triggered")
    assert found["reopened"] == 1
    mail_server.wait_for(2)
    assert len(incidents(server)) == 1


def test_an_unknown_dedup_key_is_taken_and_does_nothing(server: TocsinServer, client: Client) -> None:
    assert client("print(client.acknowledge('never heard of'))") == "never heard of"
    assert client("print(client.resolve('never heard of'))") == "never heard of"
    assert incidents(server) == []
    assert server.json("alerts") == []
    assert server.call("GET", "/api/v1/parked")[1]["items"] == []


def test_a_change_is_kept_beside_the_service(server: TocsinServer, client: Client) -> None:
    client(
        "client.submit('checkout 4.2 deployed', source='ci', custom_details={'commit': 'abc'},"
        " links=[{'href': 'https://ci.example/7', 'text': 'build'}], timestamp='2026-11-22T03:24:00Z')"
    )
    (change,) = server.call("GET", "/api/v1/changes")[1]["items"]
    assert (change["summary"], change["service"], change["link"]) == (
        "checkout 4.2 deployed", "checkout", "https://ci.example/7",
    )  # fmt: skip
    assert change["details"]["commit"] == "abc"
    assert incidents(server) == []


def test_a_revoked_key_fails_in_the_client_as_a_bad_request(
    server: TocsinServer, client: Client, key: dict[str, str]
) -> None:
    server.run("key", "revoke", str(key["id"]))
    said = client(
        "try:\n    client.trigger('x', 'y')\n"
        "except pagerduty.HttpError as error:\n    print(error.response.status_code, error.response.json()['status'])"
    )
    assert said == "400 invalid event"
    assert incidents(server) == []


def test_a_client_that_trusts_nobody_here_does_not_get_in(server: TocsinServer, key: dict[str, str]) -> None:
    body = f'{{"routing_key": "{key["key"]}", "event_action": "trigger", "payload": {{}}}}'
    said = subprocess.run(
        ["curl", "-sS", "-d", body, key["url"]], capture_output=True, text=True, timeout=30, check=False
    )
    assert said.returncode == 60, said.stderr
    assert incidents(server) == []


def test_plain_http_on_the_tls_port_is_hung_up_on(server: TocsinServer) -> None:
    assert curl("http://" + server.url.partition("://")[2] + "/healthz", check=False) == ""
    assert server.status("/readyz") == 200


def test_only_tls_1_2_and_newer_are_spoken(server: TocsinServer, certificate: Certificate) -> None:
    old = curl("--tls-max", "1.1", "--cacert", str(certificate.authority), f"{server.url}/healthz", check=False)
    assert old == ""
    assert ssl.HAS_TLSv1_3
    new = curl("--tlsv1.3", "--cacert", str(certificate.authority), f"{server.url}/healthz")
    assert new == "ok\n"


# --- Alertmanager's own PagerDuty notifier ----------------------------------------------------------------------------


@pytest.fixture
def notifying(
    server: TocsinServer, key: dict[str, str], certificate: Certificate, tmp_path: Path
) -> Iterator[Alertmanager]:
    """A real Alertmanager whose receiver is PagerDuty, and PagerDuty is Tocsin."""
    pagerduty: dict[str, Any] = {
        "routing_key": key["key"], "url": key["url"], "send_resolved": True,
        "http_config": {"tls_config": {"ca_file": str(certificate.authority)}},
    }  # fmt: skip
    alertmanager = Alertmanager(
        tmp_path,
        {
            "route": {
                "receiver": "tocsin", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "tocsin", "pagerduty_configs": [pagerduty]}],
        },
    )  # fmt: skip
    yield alertmanager
    alertmanager.process.stop()


def test_alertmanagers_pagerduty_receiver_opens_and_ends_an_incident(
    server: TocsinServer, notifying: Alertmanager
) -> None:
    def post(state: str) -> None:
        ends = '"endsAt": "2026-01-02T00:00:00Z", ' if state == "resolved" else ""
        body = (
            f'[{{"startsAt": "2026-01-01T00:00:00Z", {ends}'
            '"labels": {"alertname": "DiskFull", "instance": "db1", "severity": "critical"}}]'
        )
        curl("-f", "-H", "Content-Type: application/json", "-d", body, f"{notifying.url}/api/v2/alerts")

    post("firing")
    found = opened(server, within=20)
    assert found["service"] == "checkout"
    assert "DiskFull" in found["title"]
    (alert,) = found["alerts"]
    assert alert["source"] == "pagerduty"
    assert alert["annotations"]["num_firing"] == "1"
    post("resolved")
    eventually(lambda: incident(server, found["number"])["state"] == "resolved", within=20, what="its end")
