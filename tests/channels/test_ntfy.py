"""The ntfy channel: published to a stand-in of its server, read and pressed on a telephone by an unmodified client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from python_ntfy import BroadcastAction, HttpAction, MessagePriority, MessageSendError, NtfyClient, ViewAction

from tests.channels.words import page
from tests.support.catcher import Catcher, Reply
from tests.support.ntfy import NtfyServer, Phone, Refusal, running_ntfy
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tocsin.kernel.instant import HOUR, SECOND
from tocsin.pages import rendering
from tocsin.pages.answers import Answer, Call, DeafError, Got, Heard, Taken
from tocsin.pages.channels.ntfy_server import HOW, Ntfy
from tocsin.pages.channels.setup import Setup
from tocsin.pages.contacts import checked_address
from tocsin.pages.loops import mark, marks
from tocsin.pages.message import Failed, Message, Sent
from tocsin.pages.profile import BadAddress
from tocsin.pages.profiles import profile
from tocsin.pages.templates import Words
from tocsin.runtime.outbound import Outbound

TOPIC, LOOP, KEY = "ana-pages-x7Qp2", "loop-9vK", bytes(range(32))
TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
LINK = "https://tocsin.example/page/abc123"


def ntfy(server: str, key: bytes = KEY, base: str = "https://t.example", **said: str) -> Ntfy:
    """The channel as the wiring makes it."""
    made = profile("ntfy").make(
        Setup(
            Outbound(),
            {"secret:ntfy": TOKEN, "secret:word": "pass: wörd"}.__getitem__,
            channels={"ntfy": {"server": server, **said}},
            derive=lambda purpose: key + purpose.encode(),
            looped=lambda text: marks(KEY, text),
            loops={"ntfy": LOOP},
            public_url=base,
        )
    )
    assert isinstance(made, Ntfy)
    return made


def to_ana(**other: Any) -> Message:
    return page(**{"address": TOPIC, **other})


@pytest.fixture
def server() -> Iterator[NtfyServer]:
    """One that wants the token."""
    with running_ntfy(token=TOKEN) as running:
        yield running


@pytest.fixture
def phone(server: NtfyServer) -> Phone:
    return Phone(server, TOPIC)


def test_a_plan_without_it_has_no_such_channel() -> None:
    assert profile("ntfy").make(Setup(Outbound(), dict[str, str]().__getitem__)) is None


async def test_a_page_comes_to_the_telephone_with_a_button_as_a_client_would_make_it(
    server: NtfyServer, phone: Phone
) -> None:
    title = "Checkout <b>answers</b> 503, \\n & 🔥 hangs"
    message = to_ana(title=title, tried=("Restarted checkout-2: it hangs again",), idempotency_key="tocsin-page-34-7")
    sent = await ntfy(server.url + "/", token="secret:ntfy").send(message)
    (got,) = await asyncio.to_thread(phone.received)
    assert sent == Sent(f"tocsin-page-34-7/{got['id']}")
    assert (got["topic"], got["title"]) == (TOPIC, rendering.subject(message))
    assert title in got["title"]
    for told in ("Since ", "The process payments hangs", "Code tried: Restarted checkout-2", HOW):
        assert told in got["message"]
    assert LINK not in got["message"], "it is a tap away"
    assert (got["priority"], got["click"]) == (5, LINK)
    assert got["tags"] == ["rotating_light", "sev1", "checkout"]
    body = got["actions"][0]["body"]
    theirs: list[ViewAction | BroadcastAction | HttpAction] = [
        HttpAction("Acknowledge", "https://t.example/callbacks/ntfy", "POST", body=body, clear=True),
        ViewAction("Open", LINK),
    ]
    assert server.published[0]["actions"] == [one.to_dict() for one in theirs]
    NtfyClient(TOPIC, server.url, TOKEN).send(
        got["message"], "ours in ASCII", MessagePriority.MAX, got["tags"], actions=theirs
    )
    _, other = await asyncio.to_thread(phone.received)
    kept = {"id", "time", "expires", "sequence_id", "title", "click"}  # the last three it does not know
    assert without_ids(other, kept) == without_ids(got, kept)


def without_ids(message: dict[str, Any], kept: set[str]) -> dict[str, Any]:
    """A message without what differs each time."""
    told = {name: value for name, value in message.items() if name not in kept}
    return told | {"actions": [{k: v for k, v in one.items() if k != "id"} for one in message["actions"]]}


async def test_the_stand_in_refuses_what_a_client_may_not(server: NtfyServer) -> None:
    """The same client, on the side that publishes."""
    for topic, token in ((TOPIC, "tk_wrong"), (TOPIC, None), ("docs", TOKEN)):
        with pytest.raises(MessageSendError):
            await asyncio.to_thread(NtfyClient(topic, server.url, token).send, "a word")
    assert not server.messages
    how: dict[str, Any] = {"headers": {"authorization": f"Bearer {TOKEN}"}, "within": 5, "limit": 1_000}
    for body, code in (("{", 40024), ('{"topic": "a b"}', 40009), ('{"topic": "a", "priority": 9}', 40007)):
        answer = await Outbound().request("POST", server.url, content=body.encode(), **how)
        assert json.loads(getattr(answer, "body", b""))["code"] == code
    await Outbound().request("POST", server.url, content=b'{"topic": "a", "text": ""}', **how)
    assert server.wrong == ["text is no field"]
    server.wrong.clear()


@pytest.mark.parametrize(
    ("what", "priority", "sign"),
    [
        ({"severity": "sev1"}, 5, "rotating_light"),
        ({"severity": "sev2"}, 5, "rotating_light"),
        ({"severity": "sev3"}, 4, "warning"),
        ({"severity": "sev4"}, 3, "warning"),
        ({"severity": "odd, and long"}, 5, "rotating_light"),
        ({"kind": "drill"}, 5, "rotating_light"),
        ({"kind": "help", "severity": "sev3"}, 4, "warning"),
        ({"kind": "notice"}, 2, "information_source"),
        ({"kind": "copy"}, 2, "information_source"),
        ({"kind": "update", "state": "acknowledged", "replaces": "a/b"}, 2, "raising_hand"),
        ({"kind": "update", "state": "resolved", "replaces": "a/b"}, 2, "white_check_mark"),
        ({"kind": "notice", "idempotency_key": mark(KEY, 7)}, 1, "information_source"),
    ],
)
def test_what_asks_is_loud_by_its_severity_and_all_else_makes_no_sound(
    what: dict[str, Any], priority: int, sign: str
) -> None:
    told = json.loads(ntfy("https://n.example").preview(to_ana(**what)))
    assert (told["priority"], told["tags"][0]) == (priority, sign)
    asks = what.get("kind", "page") in ("page", "drill", "help")
    assert [one["label"] for one in told["actions"]] == (["Acknowledge"] if asks else []) + ["Open"]
    assert (HOW in told["message"]) == asks
    assert TOPIC not in str(told), "whoever previews is not its owner"
    assert not any("," in tag for tag in told["tags"]), "ntfy parts them by commas"


async def test_an_update_takes_the_pages_place_without_its_button(server: NtfyServer, phone: Phone) -> None:
    channel = ntfy(server.url, token="secret:ntfy")
    first = await channel.send(to_ana())
    assert isinstance(first, Sent)
    update = to_ana(
        kind="update", state="acknowledged", who="Ana", replaces=first.provider_id, acknowledge_url="",
        page=36, idempotency_key="page-36",
    )  # fmt: skip
    for _ in range(2):  # one that is said again, after a crash, changes nothing
        assert isinstance(await channel.send(update), Sent)
        (shown,) = await asyncio.to_thread(phone.drawer)
        assert shown["message"].endswith("Ana has it.")
        assert [one["label"] for one in shown["actions"]] == ["Open"]
        assert shown["priority"] == 2
    other = await channel.send(to_ana(idempotency_key="page-35", page=35))
    assert isinstance(other, Sent)
    assert len(await asyncio.to_thread(phone.drawer)) == 2, "another page rings for itself"
    assert await channel.send(to_ana(kind="update", replaces="")) == Sent()


async def test_several_incidents_are_one_notification_and_one_press(server: NtfyServer, phone: Phone) -> None:
    lines = ("SEV1 #12 checkout: 503, since 03:18", "SEV2 #13 search: slow, since 03:20")
    several = to_ana(incidents=2, title="2 incidents, the gravest: 503", service="", lines=lines)
    await ntfy(server.url, token="secret:ntfy").send(several)
    (got,) = await asyncio.to_thread(phone.drawer)
    assert got["title"] == "[SEV1] 2 incidents, the gravest: 503"
    assert all(line in got["message"] for line in lines)
    assert got["tags"] == ["rotating_light", "sev1"]
    assert got["actions"][0]["body"].startswith(f"{TOPIC}.34."), "the row that was handed over stands for all"


async def test_before_ntfy_knew_sequences_an_update_stands_beside_the_page() -> None:
    with running_ntfy(knows_sequences=False) as old:
        first = await ntfy(old.url).send(to_ana())
        assert isinstance(first, Sent)
        await ntfy(old.url).send(to_ana(kind="update", state="resolved", replaces=first.provider_id))
        shown = await asyncio.to_thread(Phone(old, TOPIC).drawer)
        assert [one["priority"] for one in shown] == [5, 2]


async def test_what_is_too_long_stays_a_message(server: NtfyServer, phone: Phone) -> None:
    """Longer ones ntfy makes a file of, or refuses."""
    for filler in ("🔥", '"\\', "x"):
        long = Words(subject=filler * 400, text=f"$title {filler * 3_500}")
        sent = await ntfy(server.url, token="secret:ntfy").send(to_ana(words=long, title=filler * 900))
        assert isinstance(sent, Sent), sent
        got = (await asyncio.to_thread(phone.received))[-1]
        assert len(got["message"].encode()) <= 3_000 and got["message"].endswith("…")
        assert len(got["title"]) <= 250
        assert got["actions"][0]["label"] == "Acknowledge" and got["click"] == LINK


async def test_own_words_stand_in_the_notification(server: NtfyServer, phone: Phone) -> None:
    await ntfy(server.url, token="secret:ntfy").send(to_ana(words=Words(subject="$service!", text="Read $link now")))
    (got,) = await asyncio.to_thread(phone.received)
    assert got["title"] == "checkout!"
    assert got["message"].startswith(f"Read {LINK} now\n{HOW}")


async def test_who_signs_in_by_name_is_taken() -> None:
    with running_ntfy(user="tocsin", password="pass: wörd") as named:
        assert isinstance(await ntfy(named.url, user="tocsin", password="secret:word").send(to_ana()), Sent)
        refused = await ntfy(named.url, user="tocsin2", password="secret:word").send(to_ana())
        assert isinstance(refused, Failed) and refused.code == "auth"
        assert "pass" not in refused.error.replace("password", "")


@pytest.mark.parametrize(
    ("refusal", "code", "permanent", "wait"),
    [
        (Refusal(42901, "limit reached: too many requests"), "rate_limit", False, None),
        (Refusal(42901, "limit reached", {"Retry-After": "7"}), "rate_limit", False, 7 * SECOND),
        (Refusal(42908, "limit reached: daily message quota reached"), "rate_limit", False, HOUR),
        (Refusal(50001, "internal server error"), "server", False, None),
        (Refusal(50701, "cannot publish to UnifiedPush topic"), "server", False, None),
        (Refusal(40009, "invalid request: topic invalid"), "address", True, None),
        (Refusal(40010, "invalid request: topic name is not allowed"), "address", True, None),
        (Refusal(40014, "invalid request: attachments not allowed"), "server", True, None),
        (Refusal(41303, "JSON body too large"), "server", True, None),
        (Refusal(40401, "page not found"), "server", True, None),
        (Refusal(40101, "unauthorized"), "auth", True, None),
        (Refusal(40301, "forbidden"), "auth", True, None),
    ],
)
async def test_what_a_refusal_means(
    server: NtfyServer, refusal: Refusal, code: str, permanent: bool, wait: int | None
) -> None:
    """A permanent ``client`` marks the person's method: only a topic that can be none is that."""
    server.refuse(refusal)
    answer = await ntfy(server.url, token="secret:ntfy").send(to_ana())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent, answer.retry_after) == (code, permanent, wait)
    assert refusal.error in answer.error


@pytest.mark.parametrize(
    ("reply", "code", "permanent"),
    [
        (Reply(429, headers={"Retry-After": "7"}), "rate_limit", False),
        (Reply(502, "<html>"), "server", False),
        (Reply(507), "server", False),
        (Reply(200, "no JSON"), "server", False),
        (Reply(200, '{"id": 7}'), "server", False),
        (Reply(200, '{"event": "message"}'), "server", False),
        (Reply(404, "<html>no such page"), "server", False),
        (Reply(405, "[]"), "server", False),
        (Reply(403, "a proxy's word"), "auth", True),
        (Reply(302, headers={"Location": "https://elsewhere.example"}), "server", True),
        (Reply(reset=True), "unreachable", False),
        (Reply(half=True, body="{"), "deadline", False),
        (Reply(delay=30), "deadline", False),
    ],
)
async def test_what_another_answer_means(
    catcher: Catcher, reply: Reply, code: str, permanent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of it is the topic's fault, and none of it names the token."""
    if code == "deadline":
        monkeypatch.setattr("tocsin.pages.channels.ntfy_server.DEADLINE", 3.0)
    catcher.default = reply
    answer = await ntfy(catcher.url, token="secret:ntfy").send(to_ana())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == (code, permanent)
    assert answer.retry_after == (7 * SECOND if code == "rate_limit" else None)
    assert TOKEN not in answer.error and TOPIC not in answer.error
    (asked,) = catcher.requests
    assert (asked.method, asked.path) == ("POST", "/"), "the topic stands in no address"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_token_that_cannot_be_had_or_be_one_is_said(catcher: Catcher) -> None:
    for secrets, said in (({}, "secret:n cannot be read"), ({"secret:n": "tk_a\nb"}, "secret:n holds no access token")):
        told = {"ntfy": {"server": catcher.url, "token": "secret:n"}}
        made = profile("ntfy").make(Setup(Outbound(), dict(secrets).__getitem__, channels=told))
        assert made is not None
        answer = await made.send(to_ana())
        assert isinstance(answer, Failed)
        assert (answer.code, answer.permanent) == ("auth", True)
        assert said in answer.error
    away = await ntfy(f"http://127.0.0.1:{free_port()}").send(to_ana())
    assert isinstance(away, Failed) and (away.code, away.permanent) == ("unreachable", False)
    assert not catcher.requests


async def test_without_a_name_and_a_public_address_a_page_still_leaves() -> None:
    """Nothing is signed in with, and there is nothing to press: its words are all."""
    with running_ntfy() as anybodys:
        bare = ntfy(anybodys.url, base="")
        assert isinstance(await bare.send(to_ana(acknowledge_url="", url="")), Sent)
        (got,) = await asyncio.to_thread(Phone(anybodys, TOPIC).received)
        assert "actions" not in got and "click" not in got and HOW not in got["message"]


@pytest.mark.parametrize("address", ["a b", "ntfy.sh/ana", "https://ntfy.sh/ana", "ünsere", "a,b", "x" * 65, "a.b"])
def test_only_a_topic_is_an_address(address: str) -> None:
    assert checked_address("ntfy", f" {TOPIC} ") == TOPIC
    with pytest.raises(BadAddress, match="topic"):
        checked_address("ntfy", address)


# -- the button --------------------------------------------------------------------------------------------------------


def call(body: bytes, path: str = "") -> Call:
    return Call(url="https://t.example/callbacks/ntfy", path=path, headers={}, body=body, now=0)


async def button(server: NtfyServer, **other: Any) -> bytes:
    """What the button of a page in the telephone posts."""
    await ntfy(server.url, token="secret:ntfy").send(to_ana(**other))
    got = (await asyncio.to_thread(Phone(server, other.get("address", TOPIC)).received))[-1]
    return str(got["actions"][0]["body"]).encode()


async def test_a_press_names_its_page_and_whom_it_went_to(server: NtfyServer) -> None:
    channel, body = ntfy("https://n.example"), await button(server)
    heard = channel.hear(call(body))
    assert isinstance(heard, Heard)
    assert heard.answer == Answer(page=34, by=TOPIC, mark="press/34")
    yes = await channel.thank(heard.answer, Taken(True, "You have incident #12."))
    assert (yes.status, yes.body) == (200, b"You have incident #12.\n")
    assert ("access-control-allow-origin", "*") in yes.headers, "ntfy's web app may read it"
    no = await channel.thank(heard.answer, Taken(False, "This page is too old to be answered here: open Tocsin."))
    assert (no.status, b"too old" in no.body) == (409, True)
    replay = await channel.thank(heard.answer, Taken(False, ""))
    assert (replay.status, b"pressed before" in replay.body) == (409, True)
    later = await channel.thank(heard.answer, Taken(False, "Nothing was changed.", again=True))
    assert later.status == 503


async def test_what_another_made_or_changed_is_refused(server: NtfyServer) -> None:
    channel, body = ntfy("https://n.example"), await button(server)
    bens = await button(server, address="ben-Zk3", page=35)
    topic, number, signature = body.decode().split(".")
    forged = [
        b"", b"{}", b"\xff" * 500, topic.encode(), body + b"x", body[:-1], b" " + body, body * 100,
        f"ben-Zk3.{number}.{signature}".encode(),
        f"{topic}.35.{signature}".encode(),
        f"{topic}.35.{bens.decode().split('.')[2]}".encode(),
        f"{topic}.034.{signature}".encode(),
        f"{topic}.{number}.{'A' * 22}".encode(),
    ]  # fmt: skip
    for one in forged:
        refused = channel.hear(call(one))
        assert not isinstance(refused, Heard) and refused.status == 403, one
    refused = channel.hear(call(body, path="more"))
    assert not isinstance(refused, Heard) and refused.status == 404
    refused = ntfy("https://n.example", key=bytes(32)).hear(call(body))
    assert not isinstance(refused, Heard) and refused.status == 403, "another Tocsin's"


# -- synthetic pages ---------------------------------------------------------------------------------------------------


class Desk:
    """Takes what came back, as Tocsin does: once each."""

    def __init__(self) -> None:
        self.got: list[Got] = []

    async def take(self, told: Answer | Got) -> Taken:
        assert isinstance(told, Got)
        if told in self.got:
            return Taken(False, "")
        self.got.append(told)
        return Taken(True, "")


async def listening(channel: Ntfy, desk: Desk, until: Callable[[], object]) -> None:
    """Listen until that is so; an end before it is raised."""
    task = asyncio.create_task(channel.listen(desk.take, lambda provider_id: ()))
    waiting = asyncio.create_task(asyncio.to_thread(eventually, until, within=10))
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    await waiting
    task.cancel()


def synthetic(number: int) -> Message:
    """As they are composed."""
    mine = mark(KEY, number)
    return to_ana(address=LOOP, kind="notice", page=number, idempotency_key=mine, lines=(mine,), acknowledge_url="")


async def test_a_synthetic_page_is_back_when_the_server_hands_it_out(
    server: NtfyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.ntfy_server._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("tocsin.pages.channels.ntfy_server._AT_START", 0.0)
    channel, desk = ntfy(server.url, token="secret:ntfy"), Desk()
    task = asyncio.create_task(channel.listen(desk.take, lambda provider_id: ()))
    await asyncio.sleep(0)
    stranger = NtfyClient(LOOP, server.url, TOKEN)
    await asyncio.to_thread(stranger.send, mark(bytes(32), 7) + " " + "tocsin-loop-7-" + "A" * 22)
    await channel.send(to_ana())
    assert server.polls == 0, "nothing is awaited"
    assert isinstance(await channel.send(synthetic(7)), Sent)
    await asyncio.to_thread(eventually, lambda: desk.got)
    assert desk.got == [Got(page=7, receipt="delivered")]
    asked = server.polls
    await channel.send(synthetic(8))
    await asyncio.to_thread(eventually, lambda: len(desk.got) == 2)
    assert desk.got[1] == Got(page=8, receipt="delivered")
    assert 1 <= server.polls - asked <= 2, "it asks no more than it has to"
    task.cancel()


async def test_the_next_one_is_looked_for_at_once_while_the_last_is_not_back(
    server: NtfyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.ntfy_server._FIRST_PAUSE", 60.0)
    monkeypatch.setattr("tocsin.pages.channels.ntfy_server._LONGEST_PAUSE", 60.0)
    channel, desk = ntfy(server.url, token="secret:ntfy"), Desk()
    server.forgets.add(LOOP)
    task = asyncio.create_task(channel.listen(desk.take, lambda provider_id: ()))
    await channel.send(synthetic(7))
    await asyncio.to_thread(eventually, lambda: server.polls >= 1)
    server.forgets.clear()
    await channel.send(synthetic(8))
    await asyncio.to_thread(eventually, lambda: desk.got)
    assert desk.got == [Got(page=8, receipt="delivered")]
    task.cancel()


async def test_one_that_left_before_a_restart_is_found(server: NtfyServer) -> None:
    await ntfy(server.url, token="secret:ntfy").send(synthetic(7))
    desk = Desk()
    await listening(ntfy(server.url, token="secret:ntfy"), desk, lambda: desk.got)
    assert desk.got == [Got(page=7, receipt="delivered")]


async def test_one_that_the_server_lost_does_not_come_back(
    server: NtfyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.pages.channels.ntfy_server._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("tocsin.pages.channels.ntfy_server._LONGEST_PAUSE", 0.02)
    server.forgets.add(LOOP)
    channel, desk = ntfy(server.url, token="secret:ntfy"), Desk()
    await channel.send(synthetic(7))
    await listening(channel, desk, lambda: server.polls > 5)
    assert not desk.got


async def test_a_topic_of_synthetic_pages_that_may_not_be_read_is_told_of(server: NtfyServer) -> None:
    server.forbids(LOOP)
    with pytest.raises(DeafError, match="synthetic pages cannot be read: ntfy lets it not use this topic"):
        await asyncio.wait_for(ntfy(server.url, token="secret:ntfy").listen(Desk().take, lambda provider_id: ()), 10)


async def test_without_a_synthetic_page_nothing_is_asked(server: NtfyServer) -> None:
    made = profile("ntfy").make(Setup(Outbound(), str, channels={"ntfy": {"server": server.url}}))
    assert isinstance(made, Ntfy)
    task = asyncio.create_task(made.listen(Desk().take, lambda provider_id: ()))
    await asyncio.sleep(0.05)
    assert not task.done() and server.polls == 0
    task.cancel()
