"""Tocsin's own format with curl, one by one and in batches, and `tocsin send`."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.journeys.telling import a_plan, becomes, curl, incident, incidents, opened
from tests.support.mail import MailServer
from tests.support.server import TocsinServer

pytestmark = pytest.mark.journey


@pytest.fixture
def server(tocsin_server: Callable[..., TocsinServer], mail_server: MailServer) -> TocsinServer:
    """Tocsin with a service called db."""
    return tocsin_server(plan=a_plan(mail_server, {"db": {}}))


def post(key: dict[str, str], body: object, *more: str) -> tuple[int, dict[str, object]]:
    """Curl with a bearer key: status and the decoded answer."""
    text = body if isinstance(body, str) else json.dumps(body)
    said = curl(
        "-H", f"Authorization: Bearer {key['key']}", "-H", "Content-Type: application/json", "-d", text,
        "-w", "\n%{http_code} %{content_type}", *more, key["url"],
    )  # fmt: skip
    answer, _, line = said.rpartition("\n")
    status, kind = line.split(" ", 1)
    assert "json" in kind
    return int(status), json.loads(answer)


def test_one_event_opens_an_incident_and_its_end_closes_it(server: TocsinServer, mail_server: MailServer) -> None:
    key = server.new_key("events", "db")
    failed = {
        "title": "Backup failed", "key": "backup/db1", "severity": "critical", "link": "https://ci.example/9",
        "labels": {"host": "db1"}, "annotations": {"runbook": "https://runbooks.example/backup"},
    }  # fmt: skip
    assert post(key, failed) == (202, {"accepted": 1})
    assert post(key, {**failed, "title": "Backup failed twice"}) == (202, {"accepted": 1})
    found = opened(server)
    assert (found["title"], found["service"], found["severity"]) == ("Backup failed", "db", "sev1")
    (alert,) = found["alerts"]
    assert (alert["count"], alert["title"], alert["link"]) == (2, "Backup failed twice", "https://ci.example/9")
    over = {"key": "backup/db1", "state": "resolved"}
    assert post(key, over) == (202, {"accepted": 1})
    assert post(key, over) == (202, {"accepted": 1, "not_firing": 1})
    becomes(server, found["number"], "resolved")
    assert len(mail_server.wait_for(1)) == 1


def test_a_sender_that_closes_its_half_of_the_connection_has_its_answer(server: TocsinServer) -> None:
    """As ``nc -N`` and Java's ``shutdownOutput`` do."""
    key, at = server.new_key("events", "db"), urlsplit(server.url)
    body = b'{"title": "Backup failed"}'
    head = f"POST /api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key['key']}\r\nContent-Length: {len(body)}"
    with socket.create_connection((at.hostname, at.port), timeout=10) as sender:
        sender.sendall(f"{head}\r\nContent-Type: application/json\r\n\r\n".encode() + body)
        sender.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sender.recv(4_096), b""))
    assert answer.startswith(b"HTTP/1.1 202 ") and b'{"accepted":1,' in answer
    assert opened(server)["title"] == "Backup failed"


def test_a_batch_is_taken_whole_or_not_at_all(server: TocsinServer) -> None:
    key = server.new_key("events", "db")
    good = [{"title": f"disk {n}", "labels": {"disk": str(n)}} for n in range(3)]
    status, answer = post(key, {"events": [*good, {"titel": "typo"}]})
    assert status == 400
    assert {wrong["field"] for wrong in answer["errors"]} == {"events[3].title", "events[3].titel"}  # type: ignore[attr-defined]  # a JSON answer
    assert [one["labels"]["alertname"] for one in server.json("alerts")] == ["RequestParked"]
    server.run("incidents", "resolve", str(opened(server)["number"]))
    status, answer = post(key, {"events": [*good, {"title": "nameless"}]})
    assert status == 202
    assert answer["accepted"] == 4
    assert len(server.json("alerts")) == 4
    # The nameless one was given a key, by which it ends.
    (made,) = [one for one in answer["keys"] if one]  # type: ignore[attr-defined]  # a JSON answer
    assert post(key, {"title": "nameless", "key": made, "state": "resolved"})[0] == 202
    assert len(server.json("alerts")) == 3
    # And by its key, which is all it has, one is silenced.
    assert post(key, {"title": "Backup failed", "key": "backup/db1"})[0] == 202
    until = ("--for", "1h", "--comment", "moving it")
    said = server.run("silence", "add", 'key="backup/db1"', "service=db", *until).stdout
    assert "1 of the 4 alerts that fire" in said
    refused = server.run("silence", "add", "enviroment!=prod", *until, check=False)
    assert refused.returncode == 1 and "--everything" in refused.stderr
    (alert,) = server.json("alerts", "--match", "key=backup/db1")
    assert (alert["labels"], len(alert["silences"])) == ({}, 1)
    assert server.json("alerts", "--match", "key=backup/db2") == []


def test_what_is_no_event_is_refused_as_a_problem_that_names_the_field(server: TocsinServer) -> None:
    key = server.new_key("events", "db")
    wrong = ('{"title": 5}', '{"title": "x", "state": "burning"}', '{"title": "x", "labels": {"a": []}}')
    for body in ("{", "[]", '"x"', *wrong):
        status, answer = post(key, body)
        assert status == 400, body
        assert answer["title"]
        assert answer["status"] == 400
    (kept,) = incidents(server)
    assert kept["service"] == "db", "one incident for all of them, where whoever looks after the sender sees it"
    assert kept["title"].startswith("A request from key")
    assert len(server.call("GET", "/api/v1/parked")[1]["items"]) == 6


def test_the_key_may_stand_in_a_header_or_in_the_address(server: TocsinServer) -> None:
    """The address that is printed works alone, for senders that can set no header."""
    key = server.new_key("events", "db")
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    body = '{"title": "from a sender without headers"}'
    assert curl(*status, "-d", body, key["url"]) == "202"
    assert opened(server)["service"] == "db"
    plain = f"{server.url}/api/events"
    assert curl(*status, "-d", body, "-H", f"Authorization: Bearer {key['key']}", plain) == "202"
    assert curl(*status, "-d", body, plain) == "401"
    assert "no key was sent" in curl("-d", body, plain)


def test_two_troubles_that_share_nothing_are_two_incidents(server: TocsinServer) -> None:
    """Told apart by labels alone, without a name or a key: the second pages as the first did."""
    key = server.new_key("events", "db")
    assert post(key, {"title": "Replica lags", "labels": {"replica": "1"}})[0] == 202
    assert post(key, {"title": "Restore failed", "labels": {"host": "db1"}})[0] == 202
    assert {one["title"] for one in incidents(server)} == {"Replica lags", "Restore failed"}


def test_tocsin_send_opens_one_and_the_line_it_prints_ends_it(server: TocsinServer) -> None:
    said = server.run(
        "send", "--service", "db", "--title", "Restore failed", "--severity", "error", "--label", "host=db1"
    ).stdout
    found = opened(server)
    assert (found["title"], found["service"], found["severity"]) == ("Restore failed", "db", "sev2")
    again = re.search(r"When it is over: tocsin (.*)", said)
    assert again is not None
    assert "Resolution taken for db." in server.run(*again.group(1).split()).stdout
    assert "nothing was resolved" in server.run(*again.group(1).split()).stdout
    becomes(server, found["number"], "resolved")
    assert server.json("send", "--service", "db", "--key", "x", "--title", "once")["accepted"] == 1
    assert server.run("send", "--service", "nowhere", check=False).returncode == 1
    assert incident(server, 2)["title"] == "once"


def test_the_command_line_answers_and_says_why(server: TocsinServer, mail_server: MailServer) -> None:
    """What a person at a terminal does with it: list, show, note, acknowledge, why, resolve."""
    server.run("send", "--service", "db", "--title", "Replication stopped", "--key", "r")
    mail_server.wait_for(1)
    (listed,) = server.json("incidents", "list")
    number = str(listed["number"])
    assert "Replication stopped" in server.run("incidents", "show", number).stdout
    server.run("incidents", "note", number, "looking at the replica")
    server.run("incidents", "ack", number)
    why = server.json("why", number)
    assert why["paged"] is True
    assert why["quiet"] is True
    assert why["now"]["reason"] == "acknowledged"
    assert why["now"]["until"]
    assert "looking at the replica" in server.run("incidents", "show", number).stdout
    server.run("incidents", "resolve", number)
    found = becomes(server, int(number), "resolved")
    assert found["reason"] in ("snoozed", "by_hand")
    assert found["snoozed_until"], "the alert still fires, so it is judged again"
    assert len(mail_server.messages) == 1
