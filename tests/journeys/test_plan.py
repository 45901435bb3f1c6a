"""The plan while Tocsin runs: read again on demand, and a bad one never replaces a good one. Paging off."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.journeys.telling import a_plan, becomes, incident, incidents, opened
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

BAD = """\
tocsin: 1
team: shop
people:
  ana: {name: Ana}
escalations:
  shop:
    - {page: anna, wait: 5m}
services:
  inbox: {escalation: shop}
  db: {escalation: shopp}
"""

UNKEPT = {"ci": {"source": "events", "secret": "secret:unset"}}


def in_force(server: TocsinServer) -> str:
    """The plan in force, as its one file."""
    found = server.call("GET", "/api/v1/plan")[1]
    return str(found["files"]["tocsin.yaml"])


def by_command(server: TocsinServer) -> None:
    server.run("plan", "reload", check=False)


def by_api(server: TocsinServer) -> None:
    status, _ = server.call("POST", "/api/v1/plan/reload")
    assert status in (200, 422), "in force, or refused"


def by_signal(server: TocsinServer) -> None:
    assert server.process is not None
    server.process.send(signal.SIGHUP)


@pytest.fixture
def server(tocsin_server: Callable[..., TocsinServer]) -> TocsinServer:
    """Tocsin with a plan that knows one service."""
    return tocsin_server(plan=a_plan(services={"db": {}}))


@pytest.mark.parametrize("reload", [by_command, by_api, by_signal])
def test_a_good_plan_replaces_the_old_one_and_a_bad_one_does_not(
    server: TocsinServer, reload: Callable[[TocsinServer], None]
) -> None:
    first = in_force(server)
    server.write_plan(a_plan(services={"db": {}, "web": {}}))
    reload(server)
    eventually(lambda: "web:" in in_force(server), what="the new plan to be in force")
    assert in_force(server) != first
    server.run("send", "--service", "web", "--title", "the new service is known")
    assert opened(server)["service"] == "web"

    good = in_force(server)
    server.write_plan(BAD)
    reload(server)
    # Whatever asks, everything is said at once: the file, the line and the nearest right name.
    if reload is by_signal:
        eventually(lambda: "plan_refused" in server.output(), what="the refusal in the log")
        assert "ana" in server.output().split("plan_refused")[1]
    assert in_force(server) == good
    server.run("send", "--service", "web", "--title", "still known")


def test_what_is_wrong_is_said_with_file_line_and_the_right_name(server: TocsinServer) -> None:
    server.write_plan(BAD)
    said = server.run("plan", "reload", check=False)
    assert said.returncode == 1
    for words in ("tocsin.yaml:7", "anna", "tocsin.yaml:10", "shopp", "stays in force"):
        assert words in said.stdout, said.stdout
    status, answer = server.call("POST", "/api/v1/plan/reload")
    assert (status, answer["code"], answer["ok"], answer["changed"]) == (422, "plan_refused", False, False)
    assert len([finding for finding in answer["findings"] if "error" in finding]) == 2
    checked = server.run("plan", "check", str(server.plan), check=False)
    assert checked.returncode == 1
    assert "anna" in checked.stdout


def test_a_server_that_never_had_a_good_plan_does_not_start_and_says_why(
    tocsin_server: Callable[..., TocsinServer],
) -> None:
    server = tocsin_server(plan=a_plan(), start=False)
    server.write_plan(BAD)
    server.start(wait=False)
    assert server.process is not None
    assert server.process.popen.wait(20) == 1
    assert "tocsin.yaml:7" in server.output()
    assert "nothing was started" in server.output()


@pytest.mark.parametrize("bad", [BAD, "", a_plan(services={"db": {"keys": UNKEPT}})])
def test_a_start_over_a_bad_plan_judges_with_the_last_good_one_and_says_so(server: TocsinServer, bad: Any) -> None:
    """Somebody breaks the plan, and the machine restarts at night: people are paged all the same, and told."""
    good = in_force(server)
    server.kill9()
    if bad:
        server.write_plan(bad)
    else:
        (server.plan / "tocsin.yaml").unlink()
    server.start()
    assert in_force(server) == good
    assert "plan_refused" in server.output()
    said = opened(server, service="inbox")
    assert "the plan on disk" in said["title"].lower()
    eventually(lambda: incident(server, said["number"])["pages"], what="a page about it")
    status, ready = server.call("GET", "/readyz")
    assert status == 200
    assert "the plan on disk is refused" in ready
    assert server.call("GET", "/api/v1/status")[1]["plan_refused"]
    told = server.run("status", check=False).stdout
    assert f"the last good one is in force. `tocsin plan check {server.plan}` says all of:" in told
    server.run("send", "--service", "db", "--title", "still known")

    server.kill9()
    server.start()
    assert len(incidents(server, service="inbox")) == 1, "another start tells nobody twice"
    server.write_plan(a_plan(services={"db": {}}))
    server.run("plan", "reload")
    eventually(lambda: incident(server, said["number"])["state"] == "resolved", what="its end")
    assert server.call("GET", "/api/v1/status")[1]["plan_refused"] == []


def test_a_start_while_the_vault_is_away_hears_its_monitors_all_the_same(
    tocsin_server: Callable[..., TocsinServer], tmp_path: Path
) -> None:
    """A power cut after which the vault comes up later: keys are those in use, and a plan can be put in force."""
    vault = tmp_path / "vault"
    vault.write_text(f"#!/bin/sh\n[ -e {tmp_path}/up ] && echo key-of-{'k' * 32} || exit 1\n")
    vault.chmod(0o755)
    (tmp_path / "up").touch()
    plan = a_plan(services={"db": {"keys": {"ci": {"source": "events", "secret": "secret:ci"}}}})
    server = tocsin_server(plan=plan, environment={"TOCSIN_SECRETS_COMMAND": str(vault)})

    def heard(title: str) -> int:
        said = {"authorization": f"Bearer key-of-{'k' * 32}", "content-type": "application/json"}
        body = msgspec.json.encode({"title": title})
        asked = urllib.request.Request(f"{server.url}/api/events", body, said, method="POST")
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert heard("Before") == 202
    server.kill9()
    (tmp_path / "up").unlink()
    server.start()
    assert heard("Meanwhile") == 202
    assert "the key ci of db: secret:ci is not to be had" in server.output()
    server.write_plan(plan | {"services": plan["services"] | {"web": {}}})
    said = server.run("plan", "reload")
    assert "the key in use stays in use" in said.stdout
    assert heard("With another plan") == 202


def test_the_last_good_plan_is_kept_in_postgresql_too(
    tocsin_server: Callable[..., TocsinServer], postgres_url: str
) -> None:
    server = tocsin_server(plan=a_plan(services={"db": {}}), database=postgres_url)
    good = in_force(server)
    server.kill9()
    server.write_plan(BAD)
    server.start()
    assert in_force(server) == good
    assert "the plan on disk" in opened(server)["title"].lower()


def test_a_plan_that_is_taken_away_leaves_the_one_in_force(server: TocsinServer) -> None:
    good = in_force(server)
    (server.plan / "tocsin.yaml").unlink()
    assert server.run("plan", "reload", check=False).returncode == 1
    assert in_force(server) == good
    server.run("send", "--service", "db", "--title", "still known")


def test_what_fires_is_judged_again_under_a_new_plan(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer
) -> None:
    """An incident keeps its steps, its people's addresses are live."""
    server = tocsin_server(plan=a_plan(mail_server, {"db": {}}))
    server.run("send", "--service", "db", "--title", "before")
    mail_server.wait_for(1)
    changed: dict[str, Any] = a_plan(mail_server, {"db": {}})
    changed["people"]["ana"]["email"] = "ana@elsewhere.example"
    server.write_plan(changed)
    server.run("plan", "reload")
    server.run("send", "--service", "db", "--title", "after")
    assert mail_server.wait_for(2)[1].recipients == ("ana@elsewhere.example",)


def test_keys_may_be_declared_in_the_plan_by_reference(tocsin_server: Callable[..., TocsinServer]) -> None:
    """The secret comes from the environment or a file, never from the plan."""
    keys = {"ci": {"source": "events", "secret": "secret:ci"}}
    secret = "k" * 32
    server = tocsin_server(plan=a_plan(services={"db": {"keys": keys}}), environment={"TOCSIN_SECRET_CI": secret})
    sent = {"Authorization": f"Bearer {secret}"}
    status, _ = server.call("POST", "/api/events", {"title": "by a declared key"}, headers=sent, authorized=False)
    assert status == 202
    assert opened(server)["service"] == "db"
    server.write_plan(a_plan(services={"db": {}}))
    server.run("plan", "reload")
    status, _ = server.call("POST", "/api/events", {"title": "not any more"}, headers=sent, authorized=False)
    assert status == 401
    assert len(server.json("alerts")) == 1


def test_a_plan_whose_secret_is_missing_is_refused_and_says_where_it_looked(server: TocsinServer) -> None:
    keys = {"ci": {"source": "events", "secret": "secret:ci"}}
    server.write_plan(a_plan(services={"db": {"keys": keys}}))
    said = server.run("plan", "reload", check=False)
    assert said.returncode == 1
    assert "TOCSIN_SECRET_CI" in said.stdout
    assert "keys:" not in in_force(server)


# --- beside another pager ---------------------------------------------------------------------------------------------


def test_with_paging_off_everything_is_judged_and_nobody_is_paged(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer
) -> None:
    server = tocsin_server(plan=a_plan(mail_server, {"db": {}}), arguments=["--paging", "off"])
    server.run("send", "--service", "db", "--title", "would have paged", "--key", "k")
    found = opened(server)
    assert (found["state"], found["paused"], found["next_page_at"]) == ("triggered", "paging_off", None)
    told = server.run("incidents", "show", str(found["number"])).stdout
    assert "Nobody is paged now: Tocsin runs with paging off." in told
    assert "next page goes out" not in told and "overtaken" not in told
    # Who would have been paged stands in the ledger, and why it was not sent.
    assert [(page["person"], page["state"], page["outcome"]) for page in found["pages"]] == [
        ("ana", "overtaken", "paging_off")
    ]
    why = server.json("why", str(found["number"]))
    assert why["paged"] is False
    assert why["now"]["reason"] == "paging_off", why
    assert server.call("GET", "/api/v1/status")[1]["paging"] is False
    server.run("incidents", "ack", str(found["number"]))
    becomes(server, found["number"], "acknowledged")
    server.run("send", "--service", "db", "--key", "k", "--resolve")
    becomes(server, found["number"], "resolved")
    server.run("send", "--service", "db", "--title", "fires while paging is off", "--key", "late")
    assert mail_server.messages == []

    # Paging on: what still fires is judged again, and pages.
    server.stop()
    server.arguments = []
    server.start()
    (mail,) = mail_server.wait_for(1)
    assert "fires while paging is off" in mail.subject
    late = incidents(server)[0]
    assert incident(server, late["number"])["pages"]
    assert server.status("/readyz") == 200


def test_turning_paging_off_withdraws_nothing_that_was_sent(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer
) -> None:
    server = tocsin_server(plan=a_plan(mail_server, {"db": {}}))
    server.run("send", "--service", "db", "--title", "paged")
    mail_server.wait_for(1)
    server.stop()
    server.arguments = ["--paging", "off"]
    server.start()
    found = opened(server)
    assert [page["state"] for page in found["pages"]] == ["sent"]
    assert server.status("/readyz") == 200
    assert len(mail_server.messages) == 1
