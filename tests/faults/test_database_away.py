"""A PostgreSQL that goes away: pages leave, people can answer them, and everything is in its tables later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.counting import SECRET, a_plan_for, bundle_briefly, check_pages, everything, missing, settled
from tests.faults.load import PLAN_ROUTES, Load
from tests.journeys.calling import says
from tests.journeys.telling import becomes, incident
from tests.journeys.test_telegram import ANA, Story
from tests.support.catcher import Catcher
from tests.support.mail import MailServer
from tests.support.postgres import Postgres, running_postgres
from tests.support.server import TocsinServer
from tests.support.telegram import running_telegram
from tests.support.waiting import eventually

pytestmark = pytest.mark.faults

Find = Callable[[TocsinServer, str], psutil.Process]


@contextmanager
def stopped(postgres: Postgres) -> Iterator[None]:
    """The server is shut down: connections end, and new ones are refused."""
    postgres.stop()
    yield
    postgres.start()


@contextmanager
def killed(postgres: Postgres) -> Iterator[None]:
    """The server dies without a word."""
    postgres.process.kill9()
    yield
    postgres.start()


@contextmanager
def frozen(postgres: Postgres) -> Iterator[None]:
    """The server closes nothing and answers nothing."""
    family = postgres.process.family()
    for process in family:
        process.suspend()
    yield
    for process in reversed(family):
        process.resume()


@pytest.fixture
def postgres_alone(tmp_path: Path) -> Iterator[Postgres]:
    """A server of one's own, which really writes to its disk."""
    with running_postgres(durable=True) as server:
        yield server


@pytest.fixture
def server(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, postgres_alone: Postgres
) -> TocsinServer:
    """Tocsin whose second step, some seconds later, is a webhook."""
    plan = a_plan_for(mail_server, catcher, PLAN_ROUTES)
    plan["escalations"]["both"] = [{"page": "ana", "wait": "6s"}, {"page": "ben", "wait": "1h"}]
    return tocsin_server(plan=plan, database=postgres_alone.new_database(), environment={"TOCSIN_SECRET_BEN": SECRET})


@pytest.mark.parametrize("away", [killed, frozen])
def test_a_step_that_falls_due_while_the_database_is_away_is_paged_and_can_be_answered(
    server: TocsinServer,
    mail_server: MailServer,
    catcher: Catcher,
    postgres_alone: Postgres,
    process_of: Find,
    away: Callable[[Postgres], AbstractContextManager[None]],
) -> None:
    """Once, to a real webhook; what was said meanwhile counts at once, and is in the tables when it is back."""
    key = server.new_key("events", "load")
    sent = {"Authorization": f"Bearer {key['key']}"}
    core = process_of(server, "core")
    token = server.token

    def event(number: int) -> Any:
        body = {"title": f"event {number}", "key": str(number), "labels": {"alertname": f"E{number}"}}
        return server.call("POST", "/api/events", body, headers=sent, authorized=False)

    for number in (1, 2):
        assert event(number)[0] == 202
    mail_server.wait_for(2)
    with away(postgres_alone):
        assert catcher.requests == [], "this machine is too slow for the test to mean anything"
        pages = {
            page.json()["data"]["incident"]["number"]: page.json()["data"] for page in catcher.wait_for(2, within=40)
        }
        status, said = event(3)
        assert status == 503
        assert "send it again" in said["detail"]
        assert server.status("/readyz") == 503
        assert server.status("/healthz") == 200
        assert "paging goes on in memory" in str(server.call("GET", "/readyz", authorized=False)[1])
        # By the link of the page alone, as from a telephone; and by a token, as the command line does.
        link = pages[1]["acknowledge_url"].removeprefix(server.url)
        shown = server.call("GET", link, authorized=False)
        assert shown[0] == 503
        assert "Do you have it?" in shown[1]
        answered = server.call("POST", link, b"", authorized=False)
        assert answered[0] == 202, answered
        assert "in force, but not written down yet" in answered[1]
        status, said = server.call(
            "POST", "/api/v1/incidents/2/acknowledge", headers={"Authorization": f"Bearer {token}"}
        )
        assert (status, said["code"]) == (503, "unwritten")
    eventually(lambda: server.status("/readyz") == 200, within=40, what="the database to be back")
    assert event(3)[0] == 202
    assert process_of(server, "core").pid == core.pid, "it went on without being started again"
    found = {one["number"]: one for one in everything(server, "/api/v1/incidents")}
    assert [found[number]["state"] for number in (1, 2, 3)] == ["acknowledged", "acknowledged", "triggered"]
    assert found[1]["acknowledged_by"] == "person:ben"
    rows = settled(server)
    assert {(row["incident"], row["person"], row["state"]) for row in rows if row["incident"] < 3} == {
        (number, person, "sent") for number in (1, 2) for person in ("ana", "ben")
    }
    assert len(catcher.requests) == 2, "nobody is paged twice"
    server.run("db", "check", "--database", str(server.database))


def test_a_database_that_comes_and_goes_under_load_loses_nothing_and_pages_once(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, catcher: Catcher, postgres_alone: Postgres
) -> None:
    """Killed in the middle of commits, whose answers are lost: nothing is written twice either."""
    server = tocsin_server(
        plan=a_plan_for(mail_server, catcher, PLAN_ROUTES),
        database=postgres_alone.new_database(),
        environment={"TOCSIN_SECRET_BEN": SECRET},
    )
    bundle_briefly(server)
    with Load(server).running() as load:
        for _ in range(3):
            load.wait_for_more(60)
            with killed(postgres_alone):
                refused = load.answers.get(503, 0)
                eventually(lambda r=refused: load.answers.get(503, 0) > r + 5, within=20, what="refusals")  # type: ignore[misc]
        load.wait_for_more(60, within=40)
    assert missing(server, load.acknowledged) == set()
    counted = check_pages(server, mail_server, catcher)
    print(len(load.acknowledged), load.answers, dict(counted))
    assert counted["repeated"] == 0
    assert server.process is not None
    assert "starting it again" not in server.output()


def test_an_end_while_the_database_is_away_is_an_end(
    server: TocsinServer, mail_server: MailServer, catcher: Catcher, postgres_alone: Postgres
) -> None:
    """Within its time; and at the next start what was due is paged."""
    server.run("send", "--service", "load", "--title", "nobody answers")
    mail_server.wait_for(1)
    with stopped(postgres_alone):
        catcher.wait_for(1, within=30)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 15
        assert "never_written" in server.output()
    server.start()
    pages = catcher.wait_for(2, within=20)
    assert {page.json()["data"]["page"] for page in pages} == {2}, "the same page, by the same number"
    assert len({page.headers["webhook-id"] for page in pages}) <= 2


def test_what_telegram_told_while_the_database_was_away_outlives_a_kill(
    tocsin_server: Callable[..., TocsinServer], postgres_alone: Postgres
) -> None:
    """In force at once, and confirmed to nobody before it is written down: so it is told again."""
    with running_telegram() as telegram:
        story = Story(telegram, tocsin_server, database=postgres_alone.new_database())
        story.links()
        says(story.server)
        message = story.paged()
        eventually(lambda: incident(story.server, 1)["pages"][0]["state"] == "sent", what="it to be written down")
        with killed(postgres_alone):
            telegram.presses(ANA, message)
            (told,) = telegram.wait_for("answerCallbackQuery", within=40)
            assert "not written down yet" in told["text"] and told["show_alert"]
            polls = telegram.polls
            eventually(lambda: telegram.polls > polls + 1, what="it to be asked for again")
            assert len(telegram.asked("answerCallbackQuery")) == 1, "she was told once"
            story.server.kill9()
        story.server.start()
        assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"
