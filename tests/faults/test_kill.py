"""kill -9 under load, again and again: what was acknowledged is there, every page arrived, repetitions say so."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.faults.counting import SECRET, a_plan_for, bundle_briefly, check_pages, everything, missing, settled
from tests.faults.load import PLAN_ROUTES, Load
from tests.journeys.telling import curl
from tests.support.catcher import Catcher
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

Find = Callable[[TocsinServer, str], psutil.Process]


@pytest.fixture
def server(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, database: str | None
) -> TocsinServer:
    """Tocsin that pages two people for every incident of the load."""
    started = tocsin_server(
        plan=a_plan_for(mail_server, catcher, PLAN_ROUTES),
        database=database,
        environment={"TOCSIN_SECRET_BEN": SECRET},
    )
    bundle_briefly(started)
    return started


def test_nothing_acknowledged_is_lost_and_no_page_is_missing(
    server: TocsinServer, mail_server: MailServer, catcher: Catcher, kills: int, process_of: Find
) -> None:
    """At random moments the whole tree is killed, or the core alone, which the supervisor starts again."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with Load(server).running() as load:
        for _ in range(kills):
            load.wait_for_more(dice.randrange(1, 120))
            if dice.random() < 0.5:
                server.kill9()
                server.start()
            else:
                core = process_of(server, "core")
                core.kill()
                core.wait(10)
                server.wait_ready()
        load.wait_for_more(100)
    assert server.process is not None
    assert server.process.running
    assert missing(server, load.acknowledged) == set()
    counted = check_pages(server, mail_server, catcher)
    print(f"{kills} kills, {len(load.acknowledged)} acknowledged, answers {load.answers}, {dict(counted)}")
    assert counted["incidents"] >= len(load.acknowledged) // 20
    assert set(load.answers) <= {200, 202, 503}
    eventually(lambda: server.status("/readyz") == 200, within=20, what="the self-audit to pass")
    server.run("db", "check", *(["--database", server.database] if server.database else []))


def test_a_page_that_was_leaving_when_tocsin_died_is_sent_again_and_marked(
    server: TocsinServer, mail_server: MailServer, catcher: Catcher
) -> None:
    """The mail server took the first one and never said so: it goes out again, and says that it may be a repetition."""
    mail_server.stall()
    server.run("send", "--service", "load", "--title", "leaving")
    mail_server.wait_for(1)
    catcher.wait_for(1)
    server.kill9()
    mail_server.behave()
    server.start()
    mail_server.wait_for(2)
    counted = check_pages(server, mail_server, catcher)
    assert counted["pages"] == 2
    assert counted["repeated"] >= 1


def test_what_was_acknowledged_before_the_kill_is_not_paged_after_it(
    server: TocsinServer, mail_server: MailServer
) -> None:
    """The page was leaving, nobody knows whether it arrived, and nobody needs it any more."""
    mail_server.mute()
    server.run("send", "--service", "load", "--title", "acknowledged in time")
    eventually(lambda: mail_server.connections >= 1, what="the mail to be leaving")
    server.run("incidents", "ack", "1")
    server.kill9()
    mail_server.behave()
    server.start()
    rows = settled(server)
    assert {row["state"] for row in rows if row["person"] == "ana"} == {"overtaken"}
    assert mail_server.messages == []


def test_time_in_which_tocsin_was_down_resolves_nothing_and_pages_nobody_twice(
    server: TocsinServer, mail_server: MailServer, catcher: Catcher
) -> None:
    """A thousand alerts whose end, as their monitor set it, passes while nobody could hear a repetition.

    Three incidents: more would be bundled, and settle after that end.
    """
    the_end_of_a_thousand_alerts_passes(server, mail_server, catcher, gone=server.kill9, back=server.start)


def test_time_in_which_tocsin_was_stopped_resolves_nothing_and_pages_nobody_twice(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, database: str | None
) -> None:
    """A paused container: its processes stand still, and no clock does. The heartbeat was due meanwhile, too."""
    plan = a_plan_for(mail_server, catcher, PLAN_ROUTES)
    plan["services"]["inbox"]["heartbeats"] = {"batch": {"every": "6s", "grace": "1s"}}
    server = tocsin_server(plan=plan, database=database, environment={"TOCSIN_SECRET_BEN": SECRET})
    bundle_briefly(server)
    assert server.process is not None
    family = server.process.family()
    assert len(family) == 3
    key = server.json("key", "create", "--source", "heartbeat", "--service", "inbox", "--heartbeat", "batch")

    waiting: list[socket.socket] = []

    def gone() -> None:
        curl("-f", key["url"])
        for one in family:
            one.suspend()

    def tell(url: str, alerts: list[dict[str, Any]]) -> None:
        """As Prometheus does, which gives up after a while; and as a script that waits for as long as it takes."""
        for patient in (False, True):
            ends = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
            body = json.dumps([{**one, "endsAt": ends, "annotations": {"p": str(patient)}} for one in alerts]).encode()
            parts = urlsplit(url)
            sender = socket.create_connection((parts.hostname or "", parts.port or 0))
            head = f"POST {parts.path}/api/v2/alerts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            sender.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            if patient:
                waiting.append(sender)
            else:
                sender.close()

    def back() -> None:
        for one in reversed(family):
            one.resume()
        (sender,) = waiting
        sender.settimeout(20)
        assert sender.recv(100).startswith(b"HTTP/1.1 200")
        sender.close()

    the_end_of_a_thousand_alerts_passes(server, mail_server, catcher, gone, back, tell)
    assert [int(seconds) >= 7 for seconds in re.findall(r"was_stopped +seconds=(-?\d+)", server.output())] == [True]
    _, listed = server.call("GET", "/api/v1/heartbeats")
    (heart,) = listed["items"]
    assert heart["state"] == "up"


def the_end_of_a_thousand_alerts_passes(
    server: TocsinServer,
    mail_server: MailServer,
    catcher: Catcher,
    gone: Callable[[], None],
    back: Callable[[], object],
    tell: Callable[[str, list[dict[str, Any]]], None] = lambda url, alerts: None,
) -> None:
    """While Tocsin is gone; nothing comes of it when it is back. ``tell``: their monitor goes on meanwhile."""
    key = server.new_key("alertmanager")
    end = datetime.now(UTC) + timedelta(seconds=6)
    batch = [
        {"labels": {"alertname": "Load", "n": str(n), "incident": f"i{n // 400}"}, "endsAt": end.isoformat()}
        for n in range(1000)
    ]
    sent = curl(
        "-f", "-H", "Content-Type: application/json", "--data-binary", json.dumps(batch),
        key["url"] + "/api/v2/alerts", "-w", "%{http_code}",
    )  # fmt: skip
    assert sent == "200"
    before = settled(server)
    assert len(before) == 6
    assert datetime.now(UTC) < end, "this machine is too slow for the test to mean anything"
    gone()
    left = datetime.now(UTC)
    tell(key["url"], batch)
    back_at = max(end, left + timedelta(seconds=7)) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) > back_at, what="their end to pass", within=20)
    back()
    eventually(lambda: server.status("/readyz") == 200, what="the self-audit to pass")
    firing = list(everything(server, "/api/v1/alerts", state="firing"))
    assert len(firing) == 1000
    assert {one["state"] for one in everything(server, "/api/v1/incidents")} == {"triggered"}
    # They are heard again as Prometheus would say them: nothing new comes of it.
    again = datetime.now(UTC) + timedelta(minutes=4)
    curl(
        "-f", "-H", "Content-Type: application/json", key["url"] + "/api/v2/alerts", "--data-binary",
        json.dumps([{**one, "endsAt": again.isoformat()} for one in batch]),
    )  # fmt: skip
    assert [row["id"] for row in settled(server)] == [row["id"] for row in before]
    counted = check_pages(server, mail_server, catcher)
    assert counted == {"incidents": 3, "pages": 6, "repeated": 0}
    # And what is told now counts to the letter, be it of an end in that time.
    over = json.dumps([{**one, "endsAt": (left + timedelta(seconds=3)).isoformat()} for one in batch])
    curl("-f", "-H", "Content-Type: application/json", key["url"] + "/api/v2/alerts", "--data-binary", over)
    assert not list(everything(server, "/api/v1/alerts", state="firing"))


def test_a_step_that_fell_due_while_tocsin_was_down_is_paged_at_the_start(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, database: str | None
) -> None:
    """Ana did not answer within three seconds, and nobody was there to call ben: he is called first thing."""
    plan = a_plan_for(mail_server, catcher, PLAN_ROUTES)
    plan["escalations"]["both"] = [{"page": "ana", "wait": "3s"}, {"page": "ben", "wait": "1h"}]
    server = tocsin_server(plan=plan, database=database, environment={"TOCSIN_SECRET_BEN": SECRET})
    server.run("send", "--service", "load", "--title", "nobody answers")
    mail_server.wait_for(1)
    due = datetime.now(UTC) + timedelta(seconds=3)
    server.kill9()
    assert catcher.requests == [], "this machine is too slow for the test to mean anything"
    eventually(lambda: datetime.now(UTC) > due, what="the second step to be due")
    server.start()
    catcher.wait_for(1)
    assert {(row["person"], row["state"]) for row in settled(server)} == {("ana", "sent"), ("ben", "sent")}


def test_sigterm_under_load_loses_nothing_and_ends_well(
    server: TocsinServer, mail_server: MailServer, catcher: Catcher
) -> None:
    with Load(server).running() as load:
        for _ in range(2):
            load.wait_for_more(150)
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 8
            server.start()
        load.wait_for_more(50)
    assert missing(server, load.acknowledged) == set()
    counted = check_pages(server, mail_server, catcher)
    print(f"{len(load.acknowledged)} acknowledged, answers {load.answers}, {dict(counted)}")


def test_the_supervisor_starts_a_killed_core_again_within_moments(
    server: TocsinServer, process_of: Find
) -> None:
    """The same supervisor, the same port, another process."""
    assert server.process is not None
    supervisor = server.process.pid
    for _ in range(2):
        core = process_of(server, "core")
        core.kill()
        began = time.monotonic()
        core.wait(10)
        assert process_of(server, "core").pid != core.pid
        server.wait_ready(within=10)
        assert time.monotonic() - began < 8
    assert server.process.pid == supervisor
    assert "core ended (signal SIGKILL); starting it again" in server.output()


def test_the_children_end_with_their_supervisor(server: TocsinServer) -> None:
    """Kill -9 of the supervisor alone leaves nobody behind who would write beside its successor."""
    assert server.process is not None
    children = server.process.family()[1:]
    assert len(children) == 2
    server.process.popen.kill()
    server.process.popen.wait()
    eventually(lambda: not any(child.is_running() for child in children), what="the children to end")
    server.start()
    assert server.status("/readyz") == 200
