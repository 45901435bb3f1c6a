"""The Matrix channel against a real Synapse, and what its answers mean against a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply
from tests.support.ports import free_port
from tests.support.synapse import MatrixPerson, Synapse
from tocsin.kernel.instant import SECOND
from tocsin.pages.answers import Answer, Got, Listening, Taken, meant
from tocsin.pages.channels.matrix_client import NAMED, WHICH, Unclear, heard
from tocsin.pages.channels.setup import Setup
from tocsin.pages.ledger import Page
from tocsin.pages.message import Channel, Failed, Sent
from tocsin.pages.profiles import profiles
from tocsin.runtime.outbound import Outbound


def matrix(server: str, token: str = "a token") -> Channel:
    """The channel as the wiring makes it."""
    said = {"matrix": {"server": server, "token": "secret:matrix"}}
    made = profiles()["matrix"].make(Setup(Outbound(), {"secret:matrix": token}.__getitem__, channels=said))
    assert made is not None
    return made


async def two(synapse: Synapse, *names: str) -> list[MatrixPerson]:
    """Accounts of a test's own."""
    return [await asyncio.to_thread(synapse.person, name) for name in names]


def test_a_plan_without_it_has_no_such_channel() -> None:
    assert profiles()["matrix"].make(Setup(Outbound(), dict[str, str]().__getitem__)) is None


async def test_a_person_keeps_one_room_and_a_page_told_twice_is_there_once(synapse: Synapse) -> None:
    bot, ana = await two(synapse, "bot-once", "ana-once")
    channel = matrix(synapse.url + "/", bot.token)
    first = await channel.send(page(address=ana.id))
    again = await channel.send(page(address=ana.id, possible_duplicate=True))
    other = await channel.send(page(address=ana.id, idempotency_key="page-35", page=35))
    assert isinstance(first, Sent) and isinstance(other, Sent)
    assert first == again
    rooms = await asyncio.to_thread(ana.rooms)
    assert [len(said) for said in rooms.values()] == [2]
    assert other.provider_id.startswith(next(iter(rooms)) + "/")


async def test_two_first_pages_at_once_make_one_room(synapse: Synapse) -> None:
    bot, ana = await two(synapse, "bot-two", "ana-two")
    channel = matrix(synapse.url, bot.token)
    await asyncio.gather(*(channel.send(page(address=ana.id, idempotency_key=f"p{n}")) for n in range(4)))
    assert [len(said) for said in (await asyncio.to_thread(ana.rooms)).values()] == [4]


async def test_who_left_the_room_is_asked_into_a_new_one(synapse: Synapse) -> None:
    bot, ana = await two(synapse, "bot-left", "ana-left")
    channel = matrix(synapse.url, bot.token)
    await channel.send(page(address=ana.id))
    (room,) = await asyncio.to_thread(ana.rooms)
    await asyncio.to_thread(ana.call, "POST", f"/rooms/{room}/leave", {})
    assert isinstance(await channel.send(page(address=ana.id, idempotency_key="page-35")), Sent)
    (new,) = await asyncio.to_thread(ana.rooms)
    assert new != room


async def test_a_notice_makes_no_sound_and_asks_for_nothing(synapse: Synapse) -> None:
    bot, ana = await two(synapse, "bot-quiet", "ana-quiet")
    await matrix(synapse.url, bot.token).send(page(address=ana.id, kind="notice", acknowledge_url=""))
    _, event = await asyncio.to_thread(ana.page)
    assert event["content"]["msgtype"] == "m.notice"
    assert "React" not in event["content"]["body"]


async def test_what_code_already_tried_is_told(synapse: Synapse) -> None:
    bot, ana = await two(synapse, "bot-tried", "ana-tried")
    await matrix(synapse.url, bot.token).send(page(address=ana.id, tried=("Restarted checkout-2: it hangs again",)))
    _, event = await asyncio.to_thread(ana.page)
    assert "Code tried: Restarted checkout-2: it hangs again" in event["content"]["body"]


async def test_a_token_that_is_not_known_is_refused_for_good(synapse: Synapse) -> None:
    answer = await matrix(synapse.url, "syt_wrong").send(page(address="@ana:matrix.example"))
    assert answer == Failed("auth", "the Matrix server answered 401", permanent=True)


async def test_somebody_who_is_not_there_is_refused_for_good(synapse: Synapse) -> None:
    bot = await asyncio.to_thread(synapse.person, "bot-nobody")
    answer = await matrix(synapse.url, bot.token).send(page(address="@nobody:matrix.example"))
    assert answer == Failed("address", "the Matrix server answered 404", permanent=True)


@pytest.mark.parametrize(
    ("reply", "code", "permanent"),
    [
        (Reply(429, headers={"Retry-After": "7"}), "rate_limit", False),
        (Reply(500), "server", False),
        (Reply(200, "no JSON"), "server", False),
        (Reply(200, "[]"), "server", False),
        (Reply(403), "auth", True),
        (Reply(404), "client", True),
        (Reply(reset=True), "unreachable", False),
    ],
)
async def test_what_an_answer_means(catcher: Catcher, reply: Reply, code: str, permanent: bool) -> None:
    catcher.default = reply
    answer = await matrix(catcher.url).send(page(address="@ana:matrix.example"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == (code, permanent)
    assert answer.retry_after == (7 * SECOND if code == "rate_limit" else None)


async def test_a_server_that_never_answers_is_given_up(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.pages.channels.matrix_client.DEADLINE", 0.2)
    catcher.default = Reply(delay=30)
    answer = await matrix(catcher.url).send(page(address="@ana:matrix.example"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("deadline", False)


async def test_a_server_that_is_not_there_may_come_back() -> None:
    answer = await matrix(f"http://127.0.0.1:{free_port()}").send(page(address="@ana:matrix.example"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("unreachable", False)


async def test_a_token_that_cannot_be_had_is_said(catcher: Catcher) -> None:
    said = {"matrix": {"server": catcher.url, "token": "secret:elsewhere"}}
    channel = profiles()["matrix"].make(Setup(Outbound(), dict[str, str]().__getitem__, channels=said))
    assert channel is not None
    answer = await channel.send(page(address="@ana:matrix.example"))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("auth", True)
    assert "secret:elsewhere" in answer.error
    assert not catcher.requests


# -- what people answer ------------------------------------------------------------------------------------------------


def sent(number: int, at: int, incident: int = 0) -> Page:
    """A page that left at a second, of an incident of its own unless told."""
    return Page(
        id=number, incident=incident or number, person="ana", channel="matrix", address="@ana:m.example",
        reason="step_due", intended_at=0, next_at=None, handed_at=at * SECOND, state="sent",  # type: ignore[arg-type]
        provider_id=f"!room/$page{number}",
    )  # fmt: skip


def spoke(at: int, text: str = "ack", about: str = "", age: int = 1_000) -> dict[str, Any]:
    """What `/sync` says when Ana spoke at a second."""
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": about}}} if about else {}
    event = {
        "type": "m.room.message", "sender": "@ana:m.example", "event_id": "$said", "origin_server_ts": at * 1_000,
        "content": {"body": text, **relation}, "unsigned": {"age": age},
    }  # fmt: skip
    return {"next_batch": "s2", "rooms": {"join": {"!room": {"timeline": {"events": [event]}}}}}


def understood(new: dict[str, Any], *pages: Page) -> list[Answer | Got | Unclear]:
    """What it says of these pages."""
    return list(heard(new, "@tocsin:m.example", lambda of: [p for p in pages if p.provider_id.startswith(of)]))


@pytest.mark.parametrize(
    ("pages", "written", "expected"),
    [
        ([sent(1, 1000), sent(2, 1200)], 1010, [1]),  # the second left after it, and was seen by nobody
        ([sent(1, 1000), sent(2, 1200)], 1210, [2]),
        ([sent(1, 1000), sent(2, 1045)], 1010, [1, 2]),  # the clocks may differ by so much
        ([sent(1, 1000, 7), sent(2, 1045, 7)], 1010, [1]),  # whichever it is, it is one incident
        ([sent(1, 1045)], 1010, [1]),
        ([sent(1, 1100)], 1010, []),
        ([], 1010, []),
    ],
)
def test_which_pages_words_without_a_reply_may_mean(pages: list[Page], written: int, expected: list[int]) -> None:
    assert [one.id for one in meant(pages, written * SECOND)] == expected


def test_a_bare_ack_takes_no_page_that_left_after_it() -> None:
    one, two, near = sent(1, 1000), sent(2, 1200), sent(3, 1045)
    (told,) = understood(spoke(1010), one, two)
    assert isinstance(told, Answer) and (told.page, told.written) == (1, 1010 * SECOND)
    (told,) = understood(spoke(1010, about="$page2"), one, two)
    assert isinstance(told, Answer) and (told.page, told.written) == (2, 0), "a reply names its page"
    assert understood(spoke(1010), one, near) == [Unclear("!room/$said")]
    assert understood(spoke(1010, age=3_600_000), one, near) == [], "heard again by a start, an hour later"


async def test_what_cannot_be_taken_now_is_asked_for_again_and_its_writer_told_once(
    catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.matrix_client._AGAIN", 0.01)
    pages, taken, tries = [sent(1, 1000), sent(3, 1045)], list[Answer | Got](), 3

    async def take(told: Answer | Got) -> Taken:
        taken.append(told)
        if isinstance(told, Answer) and told.written:
            return Taken(False, "Do you mean incident #9?", unclear=True)
        return Taken(False, "Nothing was changed.", again=True) if len(taken) <= tries else Taken(True, "It is yours.")

    def reply(what: Any) -> Reply:
        return Reply(200, json.dumps(what))

    first, second, later = spoke(1010, about="$page1"), spoke(1010), spoke(1200)
    refused = Reply(403, json.dumps({"errcode": "M_FORBIDDEN"}))
    catcher.replies.extend([
        reply({"user_id": "@tocsin:m.example"}), reply({"next_batch": "s1"}),
        reply(first), refused, reply(first), reply(first), reply(first),
        reply({**second, "next_batch": "s3"}), reply({"event_id": "$which"}),
        reply({**later, "next_batch": "s4"}), reply({"event_id": "$meant"}),
    ])  # fmt: skip
    catcher.default = reply({"next_batch": "s5"})
    channel = matrix(catcher.url)
    assert isinstance(channel, Listening)
    task = asyncio.create_task(channel.listen(take, lambda of: [p for p in pages if p.provider_id.startswith(of)]))
    asked = await asyncio.to_thread(catcher.wait_for, 12)
    task.cancel()
    since = [one.query["since"][0] for one in asked if "/sync" in one.path and "since" in one.query]
    assert since[:6] == ["s1", "s1", "s1", "s1", "s2", "s3"]
    assert len(taken) == 5
    told = [one.json()["body"] for one in asked if "/send/" in one.path]
    said = ["Nothing was changed.", WHICH, f"Do you mean incident #9? {NAMED}"]
    assert told == said, "that it could not be said makes it deaf to nobody"
