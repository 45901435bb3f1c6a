"""amtool, unmodified, against `tocsin up`: every command of it that speaks to an Alertmanager."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.telling import Amtool, a_plan, becomes, incident, opened
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


@pytest.fixture
def server(tocsin_server: Callable[..., TocsinServer]) -> TocsinServer:
    """Tocsin with two services."""
    routes = [{"match": ["alertname=DiskFull"], "service": "storage", "group": {"by": ["instance"]}}]
    return tocsin_server(plan=a_plan(services={"storage": {}}, routes=routes))


@pytest.fixture
def amtool(server: TocsinServer, tmp_path: Path) -> Amtool:
    """Amtool with a key for the inbox."""
    return Amtool(server.new_key("alertmanager")["url"], tmp_path)


def queried(amtool: Amtool, *what: str) -> list[dict[str, Any]]:
    """Alerts as `alert query` gives them in JSON."""
    return list(json.loads(amtool.said("alert", "query", "-o", "json", *what)))


def names(found: list[dict[str, Any]]) -> list[str]:
    """The instance of each."""
    return sorted(one["labels"]["instance"] for one in found)


def test_config_and_cluster_are_shown(amtool: Amtool) -> None:
    config = amtool.said("config", "show")
    assert "receiver: inbox" in config
    assert "storage" in config
    assert "disabled" in amtool.said("cluster", "show")


def test_alerts_are_added_and_queried_by_matchers(server: TocsinServer, amtool: Amtool) -> None:
    for instance, severity in (("db1", "critical"), ("db2", "warning"), ("web1", "critical")):
        amtool(
            "alert", "add", "DiskFull", f"instance={instance}", f"severity={severity}",
            "--annotation=summary=disk 97%", "--annotation=runbook_url=http://rb/x", "--generator-url=http://gen/x",
        )  # fmt: skip
    assert names(queried(amtool)) == ["db1", "db2", "web1"]
    assert names(queried(amtool, "severity=critical")) == ["db1", "web1"]
    assert names(queried(amtool, "DiskFull", "instance=~db.*")) == ["db1", "db2"]
    assert names(queried(amtool, "instance!=db1", "severity!~warn.*")) == ["web1"]
    assert queried(amtool, "DiskEmpty") == []
    assert "db1" in amtool.said("alert", "query", "-o", "extended", "instance=db1")
    one = queried(amtool, "instance=db1")[0]
    assert one["annotations"] == {"summary": "disk 97%", "runbook_url": "http://rb/x"}
    assert one["generatorURL"] == "http://gen/x"
    assert one["status"] == {"inhibitedBy": [], "silencedBy": [], "state": "active"}
    assert [receiver["name"] for receiver in one["receivers"]] == ["storage"]
    assert names(queried(amtool, "--receiver=storage")) == ["db1", "db2", "web1"]
    assert queried(amtool, "--receiver=inbox") == []
    # Zero times mean five minutes from now, as with Alertmanager.
    stored = {one["labels"]["instance"]: one for one in server.json("alerts")}
    assert {one["service"] for one in stored.values()} == {"storage"}
    assert all(one["ends_at"] > one["starts_at"] for one in stored.values())


def test_an_alert_with_an_end_resolves_then(server: TocsinServer, amtool: Amtool) -> None:
    amtool("alert", "add", "DiskFull", "instance=db1")
    found = opened(server)
    amtool("alert", "add", "DiskFull", "instance=db1", "--end=2026-01-01T00:00:00Z", "--start=2025-12-31T00:00:00Z")
    eventually(lambda: incident(server, found["number"])["clear_at"], what="the alert to have ended")
    assert queried(amtool) == []


def test_what_alertmanager_would_refuse_is_refused_in_its_words(amtool: Amtool) -> None:
    refused = amtool("alert", "add", "DiskFull", "instance=db1", "--end=2020-01-01T00:00:00Z", check=False)
    assert refused.returncode == 0, "an end that passed is a resolved alert"
    refused = amtool(
        "alert", "add", "x", "--start=2030-01-02T00:00:00Z", "--end=2030-01-01T00:00:00Z", check=False
    )
    assert refused.returncode == 1
    assert "start time must be before end time" in refused.stderr
    refused = amtool("silence", "expire", "6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10", check=False)
    assert refused.returncode == 1
    stranger = Amtool(amtool.url[:-1] + ("a" if amtool.url[-1] != "a" else "b"), amtool.home)
    assert stranger("alert", "query", check=False).returncode == 1
    assert stranger("alert", "add", "x", check=False).returncode == 1


def test_a_silence_lives_its_whole_life(server: TocsinServer, amtool: Amtool) -> None:
    amtool("alert", "add", "DiskFull", "instance=db1", "severity=critical")
    found = opened(server)
    number = found["number"]

    made = amtool.said(
        "silence", "add", "DiskFull", "instance=~db.*", "severity!=info",
        "--comment=maint INC-42", "--author=alice", "--duration=1h",
    )  # fmt: skip
    assert len(made) == 36
    assert queried(amtool) == []
    assert names(queried(amtool, "--silenced")) == ["db1"]
    suppressed = {"inhibitedBy": [], "silencedBy": [made], "state": "suppressed"}
    assert queried(amtool, "--silenced")[0]["status"] == suppressed
    paused = incident(server, number)
    assert (paused["paused"], paused["state"]) == ("silenced", "triggered")
    assert paused["paused_until"]

    assert amtool.said("silence", "query", "-q") == made
    assert amtool.said("silence", "query", "-q", "instance=~db.*", "severity!=info") == made
    assert amtool.said("silence", "query", "-q", "alertname=Other") == ""
    assert amtool.said("silence", "query", "-q", "--within=2h") == made
    assert amtool.said("silence", "query", "-q", "--within=30m") == ""
    assert "maint INC-42" in amtool.said("silence", "query", "-o", "extended")
    (ours,) = server.json("silence", "list")
    assert (ours["id"], ours["author"], ours["comment"]) == (made, "alice", "maint INC-42")

    updated = amtool.said("silence", "update", made, "--duration=2h", "--comment=longer")
    assert made in updated
    assert amtool.said("silence", "query", "-q", "--within=90m") == ""
    assert incident(server, number)["paused_until"] > paused["paused_until"]

    exported = amtool.said("silence", "query", "-o", "json")
    amtool("silence", "expire", made)
    assert amtool.said("silence", "query", "-q") == ""
    assert amtool.said("silence", "query", "-q", "--expired") == made
    assert names(queried(amtool)) == ["db1"]
    again = incident(server, number)
    assert again["paused"] is None
    assert again["next_page_at"]

    # An exported silence is imported: a new one, for the old one is over.
    assert amtool("silence", "import", typed=exported).returncode == 0
    (imported,) = amtool.said("silence", "query", "-q").split()
    assert imported != made
    assert queried(amtool) == []
    assert incident(server, number)["paused"] == "silenced"


def test_a_silence_without_a_comment_is_refused_by_amtool_and_by_tocsin(amtool: Amtool) -> None:
    assert amtool("silence", "add", "x", "--author=a", "--comment=", check=False).returncode == 1
    refused = amtool("silence", "add", "x", "--author=a", "--no-require-comment", check=False)
    assert refused.returncode == 1
    assert "comment" in refused.stderr


def test_two_keys_do_not_see_each_other(server: TocsinServer, amtool: Amtool) -> None:
    other = Amtool(server.new_key("alertmanager", "storage")["url"], amtool.home)
    amtool("alert", "add", "OfTheInbox", "instance=a")
    other("alert", "add", "OfStorage", "instance=b")
    assert names(queried(amtool)) == ["a"]
    assert names(queried(other)) == ["b"]
    silence = other.said("silence", "add", "instance=~.+", "--comment=all of mine", "--author=o")
    assert names(queried(amtool)) == ["a"]
    assert queried(other) == []
    assert amtool("silence", "expire", silence, check=False).returncode == 1
    assert names(queried(other, "--silenced")) == ["b"]


def test_a_resolved_incident_of_amtools_alert_is_the_plans_service(server: TocsinServer, amtool: Amtool) -> None:
    amtool("alert", "add", "DiskFull", "instance=db1", "severity=warning")
    found = opened(server)
    assert found["service"] == "storage"
    server.run("incidents", "ack", str(found["number"]))
    becomes(server, found["number"], "acknowledged")
    server.run("incidents", "resolve", str(found["number"]))
    assert becomes(server, found["number"], "resolved")["snoozed_until"]
