"""Pages by ntfy from a topic's first code on: published, pressed, and changed until it is over.

The server is a stand-in; what is on the telephone was read by an unmodified client (tests/support/ntfy.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.journeys.calling import a_plan_for, says
from tests.journeys.telling import becomes, incident, incidents
from tests.support.ntfy import NtfyServer, Phone, Refusal, running_ntfy
from tests.support.server import TocsinServer
from tests.support.waiting import eventually
from tocsin.kernel.instant import SECOND, parse_duration

pytestmark = pytest.mark.journey

TOKEN, TOPIC, LOOP = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2", "ana-pages-x7Qp2", "loop-9vK"


class Story:
    """Tocsin with Ana, who has the app."""

    def __init__(self, ntfy: NtfyServer, start: Callable[..., TocsinServer], **how: Any) -> None:
        self.ntfy, self.phone = ntfy, Phone(ntfy, TOPIC)
        plan = a_plan_for({"ntfy": {"token": "secret:ntfy", "server": ntfy.url}}) | how.pop("more", {})
        self.server = start(plan=plan, environment={"TOCSIN_SECRET_NTFY": TOKEN}, **how)

    def links(self) -> None:
        """Ana adds her topic, and types in the code that comes there."""
        added = self.server.json("contact", "add", "ntfy", TOPIC, "--person", "ana")
        code = re.search(r"\b\d{6}\b", self.phone.shows(title="is your code for Tocsin")["title"])
        assert code
        self.server.run("contact", "verify", str(added["id"]), code[0])

    def paged(self) -> dict[str, Any]:
        """The newest notification that asks, once there is one."""
        return self.phone.shows(title="[SEV1]", message="Press Acknowledge")


@pytest.fixture
def ntfy() -> Iterator[NtfyServer]:
    """One that wants the token."""
    with running_ntfy(token=TOKEN) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def story(request: pytest.FixtureRequest, ntfy: NtfyServer, tocsin_server: Callable[..., TocsinServer]) -> Story:
    """On both stores."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Story(ntfy, tocsin_server, database=database)


def test_a_topic_is_linked_paged_acknowledged_by_one_press_and_its_notification_changed_until_it_is_over(
    story: Story,
) -> None:
    story.links()
    story.server.run("contact", "drill", "--person", "ana")
    drill = story.phone.shows(title="[drill]", priority=5)
    assert story.phone.press(drill) == 200
    assert story.phone.pressed[-1] == (200, "That is how to answer.\n")
    says(story.server)
    page = story.paged()
    assert "Checkout <b>answers</b> 503 & hangs" in page["title"]
    assert page["click"].startswith(f"{story.server.url}/p/")
    door = page["actions"][0]["url"].removeprefix(story.server.url)
    assert story.server.call("GET", page["click"].removeprefix(story.server.url))[0] == 200
    assert story.server.call("GET", door)[0] == 405
    forged = {**page, "actions": [{**page["actions"][0], "body": page["actions"][0]["body"].replace(TOPIC, "another")}]}
    assert story.phone.press(forged) == 403
    assert incident(story.server, 1)["state"] == "triggered", "by nothing of that"
    assert story.phone.press(page) == 200
    assert story.phone.pressed[-1] == (200, "You have incident #1.\n")
    found = becomes(story.server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    (row,) = [one for one in found["pages"] if one["kind"] == "page"]
    assert row["provider_id"] == f"{page['sequence_id']}/{page['id']}"
    assert row["answered_at"] and not row["delivered_at"] and not row["seen_at"], "ntfy tells none of that"
    held = story.phone.shows(message="Ana has it.")
    assert held["sequence_id"] == page["sequence_id"] and held["priority"] == 2
    says(story.server, state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    story.phone.shows(title="[Resolved]")
    assert len(story.phone.drawer()) == 2, "the code's, and the incident's: the drill's was cleared by its press"
    assert story.phone.press(page) == 409
    for secret in (TOKEN, TOPIC, page["actions"][0]["body"].rpartition(".")[2]):
        assert secret not in story.server.output()
    assert all(TOKEN.encode() not in file.read_bytes() for file in story.server.data.rglob("*") if file.is_file())


def test_a_press_replayed_later_counts_for_nothing_and_what_ntfy_asks_to_wait_for_is_waited_for(
    ntfy: NtfyServer, tocsin_server: Callable[..., TocsinServer]
) -> None:
    story = Story(ntfy, tocsin_server)
    story.links()
    ntfy.refuse(Refusal(42901, "limit reached: too many requests", {"Retry-After": "1"}))
    says(story.server)
    page = story.paged()
    assert ntfy.took_at[-1] - ntfy.refused_at >= 1.0
    assert story.phone.press(page) == 200
    becomes(story.server, 1, "acknowledged")
    assert story.phone.press(page) == 200, "pressed twice is pressed once"
    says(story.server, state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    says(story.server)
    becomes(story.server, 1, "triggered")
    story.server.restart()
    assert story.phone.press(page) == 409
    assert incident(story.server, 1)["state"] == "triggered"
    assert "it was told before" in story.server.output()
    newest = story.paged()
    assert newest["sequence_id"] != page["sequence_id"]
    assert story.phone.press(newest) == 200
    becomes(story.server, 1, "acknowledged")


def test_a_synthetic_page_comes_back_and_one_that_ntfy_lost_is_an_incident(
    ntfy: NtfyServer, tocsin_server: Callable[..., TocsinServer]
) -> None:
    loop = {"synthetic page": {"every": "1m", "within": "3s", "ntfy": LOOP}}
    story = Story(ntfy, tocsin_server, more=loop)

    def state() -> dict[str, Any]:
        (one,) = story.server.call("GET", "/api/v1/synthetic-pages")[1]["items"]
        return dict(one)

    eventually(lambda: state()["state"] == "back", what="it to come back")
    assert 0 < parse_duration(state()["took"]) < 3 * SECOND
    (said,) = ntfy.to(LOOP)
    assert said["priority"] == 1 and [one["label"] for one in said["actions"]] == ["Open"]
    ntfy.forgets.add("another-loop")
    lost = {"synthetic page": {"every": "1m", "within": "1s", "ntfy": "another-loop"}}
    story.server.write_plan(a_plan_for({"ntfy": {"token": "secret:ntfy", "server": ntfy.url}}) | lost)
    story.server.run("plan", "reload")
    eventually(lambda: incidents(story.server), what="somebody to be told")
    assert incidents(story.server)[0]["title"] == "The synthetic page by ntfy did not come back within 1 s"
