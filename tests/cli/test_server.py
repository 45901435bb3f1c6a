"""The command line against the real `tocsin up`, found by its data folder."""

from __future__ import annotations

import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.stage import on_terminal, run
from tests.cli.test_manual import section
from tests.faults.conftest import find_process
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

PLAN = """\
tocsin: 1
people:
  ana: {name: Ana}
escalations:
  shop: [{page: ana, wait: 5m}]
last resort: [ana]
services:
  checkout: {escalation: shop}
"""

Start = Callable[..., TocsinServer]

pytestmark = pytest.mark.cold


def documented(title: str) -> set[str]:
    """The fields the manual names for a thing."""
    rows = [row.split("|")[1] for row in section(title).splitlines() if row.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_a_mistyped_plan_folder_starts_nothing(tocsin_server: Start, tmp_path: Path) -> None:
    """Another plan than the team's would page the wrong people, or nobody. Nothing is written anywhere."""
    server = tocsin_server(start=False)
    done = server.run("up", "--plan", str(tmp_path / "plam"), "--port", str(server.port), check=False)
    assert done.returncode == 1
    assert f"there is no plan folder {tmp_path / 'plam'}" in done.stderr
    assert not (tmp_path / "plam").exists()
    assert not server.data.exists()


def test_the_banner_says_where_a_starter_plan_was_written_and_who_signs_in(tocsin_server: Start) -> None:
    """And only the first time. An empty folder is as none; and where links lead is said, if it is a guess."""
    server = tocsin_server(arguments=["--host", "0.0.0.0"], start=False)
    (server.data / "plan").mkdir(parents=True)
    server.start()
    first = eventually(lambda: server.output() if "sign-in/link" in server.output() else "")
    assert f"A starter plan was written to {server.data / 'plan'}" in first
    assert "You are then admin, and act as admin of the plan." in first
    assert f"Links and pages say http://{socket.gethostname()}:{server.port}." in first and "--public-url" in first
    assert "plan_finding" not in first, "what Tocsin wrote itself a moment ago needs no warning"
    core = find_process(server, "core")
    core.kill()
    core.wait(10)
    server.wait_ready()
    server.restart()
    assert server.output().count("A starter plan was written") == 1
    told = eventually(lambda: server.output() if "plan_finding" in server.output() else "")
    assert re.search(r"\[info +\] plan_finding +finding=\S+:\d+:\d+: notice: ", re.sub("['\"]", "", told))
    assert "\\n" not in told


def test_the_first_admin_of_a_teams_own_plan_is_its_first_person(tocsin_server: Start) -> None:
    """Whoever uses the printed link answers in somebody's name, so the banner says in whose."""
    server = tocsin_server(plan=PLAN)
    assert "You are then admin, and act as ana of the plan." in eventually(
        lambda: server.output() if "sign-in/link" in server.output() else ""
    )
    [admin] = server.json("user", "list")
    assert (admin["name"], admin["person"]) == ("admin", "ana")


def test_an_event_becomes_an_incident_and_is_answered_from_the_command_line(tocsin_server: Start) -> None:
    """send, list, why, ack, note, resolve: each sees what the one before did, and prints the documented fields."""
    server = tocsin_server(plan=PLAN)
    assert server.run("status").stdout.startswith(f"Tocsin at {server.url} runs and hears.")
    assert server.json("incidents", "list") == []
    server.run(
        "send",
        "--service",
        "checkout",
        "--title",
        "Card payments fail",
        "--severity",
        "critical",
        "--label",
        "alertname=CardsFail",
    )

    def opened() -> Any:
        return server.json("incidents", "list")

    [incident] = eventually(opened)
    assert incident.keys() == documented("Incident")
    assert (incident["title"], incident["service"], incident["severity"]) == ("Card payments fail", "checkout", "sev1")
    number = str(incident["number"])
    [alert] = server.json("alerts")
    assert alert.keys() == documented("Alert")
    assert alert["incident"] == incident["number"]

    explained = server.json("why", f"#{number}")
    assert explained.keys() == documented("Explanation")
    assert [one["text"] for one in explained["sentences"]]
    assert server.json("why", "CardsFail")["id"] == alert["id"]
    assert server.json("why", "alert", str(alert["id"]))["incident"] == incident["number"]

    [acknowledged] = server.json("incidents", "ack", number)
    assert acknowledged["state"] == "acknowledged"
    assert "has it" in server.run("why", number).stdout
    server.run("incidents", "note", number, "Looking at the card provider")
    shown = server.json("incidents", "show", number)
    assert shown.keys() == documented("Incident") | {"timeline", "pages", "alerts", "changes"}
    assert all(entry.keys() == documented("Timeline entry") for entry in shown["timeline"])
    assert all(page.keys() == documented("Page") for page in shown["pages"])
    told = server.run("incidents", "show", number).stdout
    assert "Looking at the card provider" in told
    assert "because" in told

    assert (
        "What still fires is judged again in 2 h" in server.run("incidents", "resolve", number, "--snooze", "2h").stdout
    )
    server.run("send", "--service", "checkout", "--label", "alertname=CardsFail", "--resolve")
    assert server.json("alerts") == []
    assert server.json("incidents", "list") == []
    assert [one["number"] for one in server.json("incidents", "list", "--state", "resolved")] == [incident["number"]]


def test_a_silence_from_its_first_to_its_last_command(tocsin_server: Start) -> None:
    """add, list, show, update, expire."""
    server = tocsin_server(plan=PLAN)
    made = server.json(
        "silence", "add", "CardsFail", "region=~eu-.*", "--for", "2h", "--comment", "moving", "--author", "ana"
    )
    assert made.keys() == documented("Silence")
    assert made["matchers"] == ['alertname="CardsFail"', 'region=~"eu-.*"']
    assert [one["id"] for one in server.json("silence", "list")] == [made["id"]]
    changed = server.json("silence", "update", made["id"], "--for", "3h", "--comment", "still moving")
    assert changed["comment"] == "still moving"
    assert changed["id"] == made["id"]
    assert changed["ends_at"] > made["ends_at"]
    server.run("silence", "expire", made["id"])
    assert server.json("silence", "list") == []
    assert server.json("silence", "show", made["id"])["state"] == "expired"


def test_a_key_lets_a_monitor_in_until_it_is_revoked(tocsin_server: Start) -> None:
    """The three fields are what one needs."""
    server = tocsin_server(plan=PLAN)
    made = server.json("key", "create", "--source", "events", "--service", "checkout", "--name", "scripts")
    assert made.keys() == {"id", "key", "url"}
    listed = server.json("key", "list")
    assert listed[0].keys() == documented("Key")
    assert listed[0]["name"] == "scripts"
    path = made["url"].removeprefix(server.url)
    bearer = {"Authorization": f"Bearer {made['key']}"}
    assert server.call("POST", path, {"title": "x"}, headers=bearer, authorized=False)[0] == 202
    server.run("key", "revoke", str(made["id"]))
    assert server.call("POST", path, {"title": "x"}, headers=bearer, authorized=False)[0] in (401, 403)
    assert server.run("key", "revoke", "999", check=False).returncode == 1
    assert server.run("key", "create", "--source", "events", "--service", "nope", check=False).returncode == 1


def test_a_token_of_ones_own_reaches_the_server_by_its_address(tocsin_server: Start) -> None:
    """Made on the machine, used from anywhere, bound to a role, useless once revoked or its user shut out."""
    server = tocsin_server(plan=PLAN)
    assert server.json("user", "add", "ben", "--role", "viewer").keys() == documented("User")
    made = server.json("user", "token", "ben", "--name", "reading", "--for", "90d")
    elsewhere = {"TOCSIN_URL": server.url, "TOCSIN_TOKEN": made["token"]}
    assert run("incidents", "list", "--json", **elsewhere).out == "[]\n"
    denied = run("user", "list", **elsewhere)
    assert run("silence", "add", "a=b", "--for", "1h", "--comment", "x", **elsewhere).code == 4
    assert denied.code in (0, 4)
    assert server.json("user", "tokens")[0].keys() == documented("Token")
    server.run("user", "revoke", str(made["id"]))
    assert run("incidents", "list", **elsewhere).code == 4
    assert server.run("user", "link", "ben").stdout.startswith(server.url)
    server.run("user", "disable", "ben")
    assert next(one for one in server.json("user", "list") if one["name"] == "ben")["disabled_at"]


def test_a_plan_is_reloaded_whole_or_not_at_all(tocsin_server: Start) -> None:
    """A bad plan is exit code 1 and leaves the good one in force."""
    server = tocsin_server(plan=PLAN)
    version = server.json("plan", "show")["version"]
    server.write_plan(PLAN.replace("escalation: shop", "escalaton: shop"))
    refused = server.run("plan", "reload", check=False)
    assert refused.returncode == 1
    assert "escalation" in refused.stdout
    assert server.json("plan", "show")["version"] == version
    server.write_plan(PLAN.replace("5m", "6m"))
    assert "is in force" in server.run("plan", "reload").stdout
    assert server.json("plan", "show")["version"] != version
    assert server.json("status").keys() == documented("Status")


def test_the_database_is_backed_up_while_the_server_runs(tocsin_server: Start, tmp_path: Path) -> None:
    """And the copy is whole."""
    server = tocsin_server(plan=PLAN)
    copy = tmp_path / "copy.db"
    server.run("db", "backup", str(copy))
    assert server.run("db", "check", "--database", f"sqlite:///{copy}").returncode == 0


def test_what_up_leaves_in_its_folder_is_for_its_owner_alone(tocsin_server: Start) -> None:
    """The token file is 0600, and after a stop the command line says that nothing runs."""
    server = tocsin_server(plan=PLAN)
    assert stat.S_IMODE((server.data / "token").stat().st_mode) == 0o600
    server.stop()
    done = server.run("alerts", check=False)
    assert done.returncode == 3
    assert "No server runs on" in done.stderr


def test_a_server_behind_tls_is_found_on_its_machine(tocsin_server: Start, certificate: Any) -> None:
    """Its certificate is its own, from no authority this machine knows."""
    more = ("--tls-cert", str(certificate.cert), "--tls-key", str(certificate.key))
    server = tocsin_server(plan=PLAN, arguments=more, scheme="https", start=False)
    server.start(wait=False)
    eventually(lambda: server.run("status", check=False).returncode == 0, within=30)


def test_a_public_address_does_not_keep_the_machine_from_its_server(tocsin_server: Start) -> None:
    """Pages carry the public address; the command line on the machine takes the short way."""
    server = tocsin_server(plan=PLAN, arguments=("--public-url", "https://tocsin.invalid"))
    assert server.run("status").returncode == 0


@pytest.mark.parametrize("columns", [40, 100])
def test_a_person_at_a_terminal_sees_the_same(tocsin_server: Start, columns: int) -> None:
    """Whatever the width."""
    server = tocsin_server(plan=PLAN)
    server.run("send", "--service", "checkout", "--title", "Card payments fail")
    eventually(lambda: server.json("incidents", "list"))
    done = on_terminal(columns, "incidents", "list", TOCSIN_DATA=str(server.data))
    assert "Card payments fail" in done.out
    assert msgspec.json.decode(server.run("incidents", "list", "--json").stdout)
