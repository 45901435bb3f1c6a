"""Two nodes on one PostgreSQL: the second answers from the start, and writes as soon as the first does not."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.counting import SECRET, a_plan_for, everything, settled
from tests.faults.load import PLAN_ROUTES
from tests.support.catcher import Catcher
from tests.support.mail import MailServer
from tests.support.postgres import running_postgres
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

Pair = tuple[TocsinServer, TocsinServer]


@pytest.fixture
def start_pair(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, tmp_path: Path
) -> Callable[[str], Pair]:
    """Call with a database: a node that writes, and one that stands by."""

    def start(database: str) -> Pair:
        plan = a_plan_for(mail_server, catcher, PLAN_ROUTES)
        plan["escalations"]["both"] = [{"page": "ana", "wait": "14s"}, {"page": "ben", "wait": "1h"}]
        secrets = {"TOCSIN_SECRET_BEN": SECRET}
        first = tocsin_server(plan=plan, database=database, environment=secrets)
        second = tocsin_server(plan=plan, database=database, environment=secrets, start=False)
        second.start(wait=False)
        eventually(lambda: second.status("/healthz") == 200, within=20, what="the standby to answer")
        eventually(lambda: second.status("/sign-in") == 200, within=20, what="the standby's pages")
        return first, second

    return start


def call(server: TocsinServer, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request with a token that is not of the node's own data folder."""
    return server.call(method, path, body, headers={"Authorization": f"Bearer {token}"}, authorized=False)


def test_a_standby_shows_what_is_written_and_refuses_what_would_change_it(
    start_pair: Callable[[str], Pair], postgres_url: str, mail_server: MailServer
) -> None:
    first, second = start_pair(postgres_url)
    first.run("send", "--service", "load", "--title", "seen from both")
    mail_server.wait_for(1)
    token = first.token
    assert second.status("/readyz") == 503
    assert "standby: " in second.call("GET", "/readyz", authorized=False)[1]
    assert str(first.data) in second.call("GET", "/readyz", authorized=False)[1]
    assert "tocsin_standby 1.0" in second.call("GET", "/metrics", authorized=False)[1]
    status, found = call(second, token, "GET", "/api/v1/incidents")
    assert (status, [one["title"] for one in found["items"]]) == (200, ["seen from both"])
    status, said = call(second, token, "GET", "/api/v1/status")
    assert (status, said["ready"]) == (200, False)
    assert "standby" in said["audit"][0]
    status, said = call(second, token, "POST", "/api/v1/incidents/1/acknowledge")
    assert (status, said["code"]) == (503, "unavailable")
    assert "standby" in said["detail"]
    status, said = call(second, token, "POST", "/api/v1/plan/reload")
    assert (status, said["code"]) == (503, "unavailable")
    assert "standby" in said["detail"]
    for source, path in (("events", "/api/events"), ("alertmanager", "/am/{key}/api/v2/alerts")):
        key = first.new_key(source)["key"]
        request = urllib.request.Request(
            second.url + path.format(key=key), data=b"[]", headers={"Authorization": f"Bearer {key}"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        assert refused.value.code == 503
        assert refused.value.headers["retry-after"] == "2"
        assert b"standby" in refused.value.read()
    assert call(first, token, "POST", "/api/v1/incidents/1/acknowledge")[0] == 200
    assert second.stop() == 0


def test_a_standby_takes_over_when_the_writing_node_dies(
    start_pair: Callable[[str], Pair], postgres_url: str, mail_server: MailServer, catcher: Catcher
) -> None:
    """Within the lease of eight seconds and a moment; what was waited for is paged by it, and nothing twice."""
    first, second = start_pair(postgres_url)
    first.run("send", "--service", "load", "--title", "nobody answers")
    mail_server.wait_for(1)
    token = first.token
    key = first.new_key("events", "load")["key"]
    pid = second.process.pid if second.process else 0
    first.kill9()
    second.wait_ready(within=20)
    assert second.process is not None
    assert second.process.pid == pid
    assert call(second, key, "POST", "/api/events", {"title": "heard by the second"})[0] == 202
    catcher.wait_for(1, within=30)
    assert call(second, token, "POST", "/api/v1/incidents/1/acknowledge")[0] == 200
    assert len(mail_server.messages) == 2
    # The one that died comes back, and stands by.
    first.start(wait=False)
    eventually(lambda: first.status("/healthz") == 200, within=20, what="the first to answer again")
    assert first.status("/readyz") == 503
    assert second.stop() == 0
    first.wait_ready(within=10)


def test_a_database_that_was_away_leaves_the_writing_node_its_lease(
    start_pair: Callable[[str], Pair], mail_server: MailServer, catcher: Catcher
) -> None:
    """However long it was away: that node went on in memory, and what it was told would be lost."""
    with running_postgres(durable=True) as postgres:
        first, second = start_pair(postgres.new_database())
        first.run("send", "--service", "load", "--title", "nobody answers")
        mail_server.wait_for(1)
        token = first.token
        postgres.process.kill9()
        catcher.wait_for(1, within=40)  # 14 s later, so the lease has run out meanwhile
        status, said = call(first, token, "POST", "/api/v1/incidents/1/acknowledge")
        assert (status, said["code"]) == (503, "unwritten")
        assert "the database cannot be reached" in second.call("GET", "/readyz", authorized=False)[1]
        postgres.start()
        first.wait_ready(within=20)
        assert second.status("/readyz") == 503
        (incident,) = everything(first, "/api/v1/incidents")
        assert incident["state"] == "acknowledged"
        assert {(row["person"], row["state"]) for row in settled(first)} == {("ana", "sent"), ("ben", "sent")}
        assert len(catcher.requests) == 1
        assert second.stop() == 0
        assert first.stop() == 0
