"""Pages on Matrix through a real Synapse: said, acknowledged by a reaction or a reply, edited after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.journeys.telling import becomes, incident, opened
from tests.support.server import TocsinServer
from tests.support.synapse import MatrixPerson, Synapse
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


class Story:
    """Tocsin with Ana and Ben on Matrix."""

    def __init__(self, synapse: Synapse, start: Callable[..., TocsinServer], number: int, **how: Any) -> None:
        self.bot, self.ana, self.ben = (synapse.person(f"{name}{number}") for name in ("tocsin", "ana", "ben"))
        plan = {
            "tocsin": 1,
            "people": {"ana": {"name": "Ana", "matrix": self.ana.id}, "ben": {"name": "Ben", "matrix": self.ben.id}},
            "escalations": {"all": [{"page": "ana", "wait": "1h"}]},
            "services": {"checkout": {"escalation": "all"}, "inbox": {"escalation": "all"}},
            "channels": {"matrix": {"server": synapse.url, "token": "secret:matrix"}},
        }
        self.server = start(plan=plan, environment={"TOCSIN_SECRET_MATRIX": self.bot.token}, **how)
        self.key = self.server.new_key("events", "checkout")

    def says(self, **event: Any) -> None:
        """A monitor speaks."""
        status, said = self.server.call(
            "POST",
            "/api/events",
            {"key": "e1", "title": "Checkout <b>answers</b> 503", "severity": "critical", **event},
            headers={"Authorization": f"Bearer {self.key['key']}"},
            authorized=False,
        )
        assert status == 202, said

    def last(self, who: MatrixPerson, room: str) -> dict[str, Any]:
        """What stands last in a room."""
        return dict(who.rooms()[room][-1]["content"])


_numbers = iter(range(1, 100))


@pytest.fixture(params=["sqlite", "postgres"])
def story(
    request: pytest.FixtureRequest, synapse: Synapse, tocsin_server: Callable[..., TocsinServer]
) -> Story:
    """On both stores."""
    how = {} if request.param == "sqlite" else {"database": request.getfixturevalue("postgres_url")}
    return Story(synapse, tocsin_server, next(_numbers), **how)


def test_a_page_is_said_acknowledged_by_a_reaction_and_edited_until_it_is_over(story: Story) -> None:
    story.says()
    room, event = story.ana.page()
    content = event["content"]
    assert event["sender"] == story.bot.id
    assert content["msgtype"] == "m.text", "it makes a sound"
    for told in ("[SEV1] Checkout <b>answers</b> 503 (#1)", "Since ", "checkout", "👍", f"{story.server.url}/p/1."):
        assert told in content["body"]
    assert "<b>" not in content["formatted_body"], "what a monitor wrote is text"
    story.ana.read(room, event["event_id"])
    story.ana.react(room, event["event_id"], "👍🏽")
    found = becomes(story.server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    (page,) = [page for page in found["pages"] if page["kind"] == "page"]
    assert page["provider_id"] == f"{room}/{event['event_id']}"
    assert page["state"] == "sent"
    assert page["answered_at"]
    eventually(
        lambda: "Ana has it." in story.last(story.ana, room).get("m.new_content", {}).get("body", ""),
        within=10,
        what="an edit",
    )
    story.says(state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    edit = eventually(
        lambda: (said := story.last(story.ana, room))["m.new_content"]["body"].startswith("[Resolved]") and said,
        within=10,
        what="another edit",
    )
    assert edit
    assert edit["m.relates_to"] == {"rel_type": "m.replace", "event_id": event["event_id"]}
    assert edit["m.new_content"]["msgtype"] == "m.notice", "it makes no sound"
    assert {page["kind"]: page["state"] for page in incident(story.server, 1)["pages"]} == {
        "page": "sent",
        "update": "sent",
    }


def test_what_was_read_is_seen_on_the_ledger(story: Story) -> None:
    story.says()
    room, event = story.ana.page()
    story.ana.read(room, event["event_id"])
    page = eventually(
        lambda: (page := incident(story.server, 1)["pages"][0])["seen_at"] and page, within=15, what="it to be seen"
    )
    assert page
    assert page["delivered_at"] == page["seen_at"]
    assert page["answered_at"] is None


def test_a_reply_acknowledges_and_talk_does_not(story: Story) -> None:
    story.says()
    room, event = story.ana.page()
    story.ana.say(room, "what is it now", reply_to=event["event_id"])
    story.ana.react(room, event["event_id"], "👎")
    story.ana.say(room, f"> <{story.bot.id}> [SEV1] ack\n\nAck!", reply_to=event["event_id"])
    found = becomes(story.server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"


def test_somebody_else_in_the_room_cannot_answer_for_the_one_who_was_paged(story: Story) -> None:
    """Ana has let Ben in. His thumb is no answer of hers, and he is told."""
    story.says()
    room, event = story.ana.page()
    story.ana.call("POST", f"/rooms/{room}/invite", {"user_id": story.ben.id})
    story.ben.rooms()
    story.ben.react(room, event["event_id"], "👍")
    said = eventually(lambda: "somebody else" in story.last(story.ana, room)["body"], within=10, what="a refusal")
    assert said
    assert incident(story.server, 1)["state"] == "triggered"
    story.ana.say(room, "ack")
    becomes(story.server, 1, "acknowledged")


def test_an_answer_given_while_tocsin_was_down_is_heard_when_it_is_back(story: Story) -> None:
    story.says()
    room, event = story.ana.page()
    eventually(lambda: incident(story.server, 1)["pages"][0]["state"] == "sent", what="it to be written down")
    story.server.kill9()
    story.ana.react(room, event["event_id"], "✅")
    story.server.start()
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"


def test_one_answer_counts_once_however_often_the_server_tells_it(story: Story) -> None:
    """The reaction stays under the old page. When the trouble is back, a restart must not take it for a new answer."""
    story.says()
    room, event = story.ana.page()
    story.ana.react(room, event["event_id"], "✅")
    becomes(story.server, 1, "acknowledged")
    opened(story.server)
    story.says(state="resolved")
    becomes(story.server, 1, "resolved", within=20)
    story.says()
    becomes(story.server, 1, "triggered")
    story.server.restart()
    eventually(lambda: "it was told before" in story.server.output(), within=15, what="it to be told again")
    assert incident(story.server, 1)["state"] == "triggered"


def test_a_synthetic_page_is_heard_again_in_its_room(
    synapse: Synapse, tocsin_server: Callable[..., TocsinServer]
) -> None:
    """Tocsin says it to somebody who is nobody, and the homeserver tells it back."""
    bot, loop = synapse.person("tocsin-loop"), synapse.person("nobody-loop")
    plan = {
        "tocsin": 1,
        "people": {"ana": {"matrix": "@ana-loop:matrix.example"}},
        "channels": {"matrix": {"server": synapse.url, "token": "secret:matrix"}},
        "synthetic page": {"matrix": loop.id},
    }
    server = tocsin_server(plan=plan, environment={"TOCSIN_SECRET_MATRIX": bot.token})

    def back() -> bool:
        (one,) = server.call("GET", "/api/v1/synthetic-pages")[1]["items"]
        return bool(one["state"] == "back" and one["took"])

    eventually(back, within=20, what="the homeserver to tell it back")
    (row,) = server.call("GET", "/api/v1/pages")[1]["items"]
    assert (row["kind"], row["incident"], row["person"]) == ("synthetic", None, "")
    assert row["delivered_at"]
