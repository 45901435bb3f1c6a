"""A database that takes nothing any more: refused instead of acknowledged, and heard again when there is room."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.faults.counting import SECRET, a_plan_for, bundle_briefly, check_pages, everything, missing
from tests.faults.load import PLAN_ROUTES, Load
from tests.support.catcher import Catcher
from tests.support.mail import MailServer
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

Find = Callable[[TocsinServer, str], psutil.Process]
ROOM = 64 * 1024
ENVIRONMENT = {"TOCSIN_SECRET_BEN": SECRET}


@contextmanager
def no_room(core: psutil.Process, server: TocsinServer) -> Iterator[None]:
    """The core can make no file longer than its write-ahead log is now, and a little: what a full disk is to SQLite."""
    size = (server.data / "tocsin.db-wal").stat().st_size + ROOM
    resource.prlimit(core.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(core.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_commit_that_fails_is_503_and_nothing_acknowledged_is_lost(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, process_of: Find
) -> None:
    server = tocsin_server(plan=a_plan_for(mail_server, catcher, PLAN_ROUTES), environment=ENVIRONMENT)
    bundle_briefly(server)
    core = process_of(server, "core")
    with Load(server).running() as load:
        load.wait_for_more(100)
        with no_room(core, server):
            eventually(lambda: load.answers.get(503, 0) > 50, within=30, what="refusals")
            eventually(lambda: server.status("/readyz") == 503, within=20, what="the self-audit to notice")
            assert server.status("/healthz") == 200
        load.wait_for_more(100, within=30)
        assert process_of(server, "core").pid == core.pid, "it went on without being started again"
    assert set(load.answers) <= {200, 202, 503}
    assert missing(server, load.acknowledged) == set()
    eventually(lambda: server.status("/readyz") == 200, within=30, what="the self-audit to pass")
    print(load.answers, dict(check_pages(server, mail_server, catcher)))
    server.run("db", "check")
    # What is in memory is what is in the tables: another life sees the same.
    before = [(one["number"], one["state"], one["alert_count"]) for one in everything(server, "/api/v1/incidents")]
    server.kill9()
    server.start()
    after = [(one["number"], one["state"], one["alert_count"]) for one in everything(server, "/api/v1/incidents")]
    assert after == before


def test_a_refusal_says_when_to_come_back_in_the_sender_s_own_shape(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, process_of: Find
) -> None:
    server = tocsin_server(plan=a_plan_for(mail_server, catcher, PLAN_ROUTES), environment=ENVIRONMENT)
    key = server.new_key("events", "load")
    sent = {"Authorization": f"Bearer {key['key']}"}

    def post(number: int) -> tuple[int, object]:
        body = {"title": "x" * 200, "key": str(number), "annotations": {"a": "y" * 8_000}}
        return server.call("POST", "/api/events", body, headers=sent, authorized=False)

    numbers = iter(range(10_000))
    with no_room(process_of(server, "core"), server):
        refused = eventually(lambda: (answer := post(next(numbers)))[0] == 503 and answer, what="a refusal")
    assert refused
    said = refused[1]
    assert isinstance(said, dict)
    assert said["status"] == 503
    assert "send it again" in said["detail"]
    eventually(lambda: post(next(numbers))[0] == 202, within=30, what="it to be heard again")


def test_a_page_that_is_due_goes_out_even_when_it_cannot_be_written_down(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, process_of: Find
) -> None:
    """And is in the ledger once there is room again."""
    plan = a_plan_for(mail_server, catcher, PLAN_ROUTES)
    plan["escalations"]["both"] = [{"page": "ben", "wait": "4s"}, {"page": "ana", "wait": "1h"}]
    server = tocsin_server(plan=plan, environment=ENVIRONMENT)
    key = server.new_key("events", "load")
    sent = {"Authorization": f"Bearer {key['key']}"}
    server.run("send", "--service", "load", "--title", "before the disk was full")
    catcher.wait_for(1)
    assert mail_server.messages == []
    with no_room(process_of(server, "core"), server):
        for number in range(10_000):
            body = {"title": "x", "key": str(number), "annotations": {"a": "y" * 16_000}}
            if server.call("POST", "/api/events", body, headers=sent, authorized=False)[0] == 503:
                break
        mails = mail_server.wait_for(1, within=20)
        assert any("before the disk was full" in mail.subject for mail in mails)
    eventually(lambda: server.status("/readyz") == 200, within=30, what="room again")

    def recorded() -> bool:
        rows = list(everything(server, "/api/v1/pages", incident="1", person="ana"))
        return bool(rows) and all(row["state"] == "sent" for row in rows)

    eventually(recorded, within=30, what="the page to be in the ledger")
