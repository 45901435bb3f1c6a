"""Jobs that call an address with curl when they are well, and what their silence becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.telling import a_plan, becomes, curl, incidents, opened, reasons
from tests.support.mail import MailServer
from tests.support.processes import Process
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.kernel.instant import SECOND, parse_rfc3339

pytestmark = pytest.mark.journey

HEARTBEATS = {
    "quick": {"every": "2s", "grace": "1s"},
    "nightly": {"cron": "0 3 * * *", "timezone": "Europe/Madrid", "grace": "20m"},
}


@pytest.fixture
def server(tocsin_server: Callable[..., TocsinServer], mail_server: MailServer) -> TocsinServer:
    """Tocsin with two heartbeats on the batch service."""
    return tocsin_server(plan=a_plan(mail_server, {"batch": {"heartbeats": HEARTBEATS}}))


def address(server: TocsinServer, heartbeat: str) -> str:
    """The address one pastes into a job."""
    made = server.json("key", "create", "--source", "heartbeat", "--service", "batch", "--heartbeat", heartbeat)
    return str(made["url"])


def beats(server: TocsinServer, name: str) -> dict[str, Any]:
    """What is known of a heartbeat."""
    found = server.call("GET", "/api/v1/heartbeats")[1]["items"]
    return next((one for one in found if one["name"] == name), {"beats": 0, "state": "new"})


def test_every_way_to_call_the_address_is_a_sign_of_life(server: TocsinServer) -> None:
    ping = address(server, "nightly")
    assert curl(ping) == "OK"
    assert curl("--head", ping).startswith("HTTP/1.1 200 OK")
    assert curl("-d", "12 tables, 4.2 GB", ping) == "OK"
    assert beats(server, "nightly")["beats"] == 3
    assert beats(server, "nightly")["state"] == "up"

    assert curl(ping + "/start") == "OK"
    assert beats(server, "nightly")["started"]
    assert curl(ping + "/0") == "OK"
    found = beats(server, "nightly")
    assert (found["beats"], found["state"], found["exit_code"], found["started"]) == (4, "up", 0, None)
    assert found["took"]
    # Due at the next 03:00 in Madrid and twenty minutes, whatever the season.
    due = parse_rfc3339(found["due"])
    assert due % (3600 * SECOND) == 20 * 60 * SECOND
    assert curl("--head", ping + "/start").startswith("HTTP/1.1 200")
    assert incidents(server) == []


def test_a_job_that_fails_pages_with_the_end_of_its_log_and_its_next_success_ends_it(
    server: TocsinServer, mail_server: MailServer
) -> None:
    ping = address(server, "nightly")
    assert curl("--data-binary", "pg_dump: error: no space left", ping + "/3") == "OK"
    found = opened(server)
    assert (found["service"], found["severity"], found["state"]) == ("batch", "sev1", "triggered")
    assert found["title"] == "nightly of batch reported a failure with exit code 3"
    assert found["alerts"][0]["annotations"]["body"] == "pg_dump: error: no space left"
    assert "exit code 3" in mail_server.wait_for(1)[0].subject
    assert curl(ping) == "OK"
    found = becomes(server, found["number"], "resolved")
    assert found["alerts"][0]["reason"] == "heartbeat_back"
    assert curl(ping + "/fail") == "OK"
    again = becomes(server, found["number"], "triggered")
    assert again["reopened"] == 1


class Job:
    """A job of the crontab kind: curl, again and again, until it is stopped."""

    def __init__(self, ping: str, log: Path) -> None:
        self._command = ["sh", "-c", f"while curl -fsS -m 5 -o /dev/null {ping}; do sleep 0.5; done"]
        self._log = log
        self.process = Process(self._command, log=log)

    def again(self) -> None:
        """Start it again."""
        self.process = Process(self._command, log=self._log)


@pytest.fixture
def job(server: TocsinServer, tmp_path: Path) -> Iterator[Job]:
    """A job that beats twice a second."""
    job = Job(address(server, "quick"), tmp_path / "job.log")
    yield job
    job.process.stop()


def test_a_heartbeat_that_stops_pages_and_one_that_comes_back_ends_it(
    server: TocsinServer, job: Job, mail_server: MailServer
) -> None:
    eventually(lambda: beats(server, "quick")["beats"] >= 8, what="signs of life beyond its first period")
    assert incidents(server) == []
    job.process.kill9()
    last = parse_rfc3339(beats(server, "quick")["last"])
    found = opened(server)
    assert found["title"].startswith("quick of batch gives no sign of life (last heard ")
    assert found["title"].endswith(" UTC)"), "a title that stands for hours names no time that passes"
    late = parse_rfc3339(found["opened_at"]) - last
    assert 3 * SECOND <= late < 4 * SECOND
    assert reasons(found)[:2] == ["opened", "step_due"]
    assert found["title"] in mail_server.wait_for(1)[0].subject
    assert beats(server, "quick")["state"] == "late"
    job.again()
    found = becomes(server, found["number"], "resolved")
    assert found["alerts"][0]["reason"] == "heartbeat_back"


def test_a_restart_does_not_make_a_heartbeat_late(server: TocsinServer, job: Job) -> None:
    """While Tocsin is down it cannot hear; five minutes later it may conclude something again."""
    eventually(lambda: beats(server, "quick")["beats"] >= 2, what="signs of life")
    job.process.kill9()
    last = parse_rfc3339(beats(server, "quick")["last"])
    server.kill9()
    eventually(lambda: server.status("/readyz") is None, what="silence")
    server.start()
    found = beats(server, "quick")
    assert parse_rfc3339(found["due"]) - last >= 5 * 60 * SECOND
    assert incidents(server) == []


def test_what_is_no_sign_of_life_is_refused_in_plain_words(server: TocsinServer) -> None:
    ping = address(server, "nightly")
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert curl(*status, ping + "/256") == "404"
    assert curl(*status, ping + "/maybe") == "404"
    assert curl(*status, "-X", "DELETE", ping) == "405"
    assert curl(*status, ping[:-4] + "0000") == "401"
    assert "known are /start, /fail" in curl(ping + "/maybe")
    assert beats(server, "nightly")["beats"] == 0
    assert curl("--data-binary", "x" * 60_000, ping) == "OK"
    assert beats(server, "nightly")["beats"] == 1


def test_prometheus_watchdog_counts_as_one(tocsin_server: Callable[..., TocsinServer]) -> None:
    """An alert that always fires is a heartbeat: nothing opens while it comes, and its absence would page."""
    watchdog = {"watchdog": {"every": "5m", "alert": "alertname=Watchdog"}}
    server = tocsin_server(plan=a_plan(services={"monitoring": {"heartbeats": watchdog}}))
    key = server.new_key("alertmanager")
    body = '[{"labels": {"alertname": "Watchdog", "severity": "none"}}]'
    send = ["-f", "-H", "Content-Type: application/json", "-d", body, key["url"] + "/api/v2/alerts"]
    curl(*send)
    curl(*send)
    eventually(lambda: beats(server, "watchdog")["beats"], what="the watchdog to be heard")
    assert incidents(server) == []
    (alert,) = server.json("alerts")
    assert alert["reason"] == "counts_as_heartbeat"
    assert not alert["incident"]
    # It says that it ended: that is no sign of life, and its absence is counted from the last one.
    over = body.replace("}}]", '}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-02T00:00:00Z"}]')
    curl("-f", "-H", "Content-Type: application/json", "-d", over, key["url"] + "/api/v2/alerts")
    assert beats(server, "watchdog")["state"] == "up"
