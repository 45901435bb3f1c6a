"""Slack in socket mode: the official client, unmodified, connects out; what is pressed comes by its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from tests.journeys.calling import a_plan_for, says
from tests.journeys.telling import becomes, incident
from tests.support.server import TocsinServer
from tests.support.standing_in import StandIn
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


class Workspace(StandIn):
    """Slack's side: its Web API and the socket it hands out. `posted` is what was asked of the API, `acked` envelopes
    that the client took.
    """

    def __init__(self) -> None:
        super().__init__([web.post("/api/{method}", self._api), web.get("/link", self._link)])
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.acked: list[str] = []
        self.tokens: list[str] = []
        self._sockets: list[web.WebSocketResponse] = []

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if method == "apps.connections.open":
            self.tokens.append(request.headers["authorization"])
            return web.json_response({"ok": True, "url": f"ws://127.0.0.1:{self.port}/link?ticket=t"})
        self.posted.append((method, await request.json()))
        return web.json_response({"ok": True, "channel": "D024BE91L", "ts": "1700000000.000100"})

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data.startswith("{"):
                self.acked.append(json.loads(message.data)["envelope_id"])
        return socket

    @property
    def connected(self) -> int:
        """Connections that were opened so far."""
        return len(self._sockets)

    def press(self, page: str, number: int, user: str = "U012ABCDEF") -> None:
        """Somebody presses the button; the envelope is as Slack's documentation has it."""
        action = {"action_id": "tocsin_acknowledge", "value": page, "action_ts": f"1700000001.{number:06d}"}
        where = {"channel_id": "D024BE91L"}
        payload = {"type": "block_actions", "user": {"id": user}, "container": where, "actions": [action]}
        told = {"type": "interactive", "envelope_id": f"e{number}", "payload": payload}
        asyncio.run_coroutine_threadsafe(self._sockets[-1].send_json(told), self._loop).result(5)

    def tell(self, message: dict[str, Any]) -> None:
        """Something was said in a channel the app is in; the envelope is as Slack's documentation has it."""
        what = {"type": "message", "channel": "C012ABCDEF", "bot_id": "B1", "text": message["text"]}
        payload = {"type": "event_callback", "event": {**what, "blocks": message["blocks"]}}
        told = {"type": "events_api", "envelope_id": "ev", "payload": payload, "accepts_response_payload": False}
        asyncio.run_coroutine_threadsafe(self._sockets[-1].send_json(told), self._loop).result(5)

    def hang_up(self) -> None:
        """Slack ends a connection now and then."""
        asyncio.run_coroutine_threadsafe(self._sockets[-1].close(), self._loop).result(5)


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace() as running:
        yield running


def test_presses_come_by_tocsins_own_connection_and_after_a_new_one_too(
    tocsin_server: Callable[..., TocsinServer], workspace: Workspace
) -> None:
    app = {"token": "secret:slack", "app token": "secret:app", "server": workspace.url}
    server = tocsin_server(
        plan=a_plan_for({"slack": app}, slack="U012ABCDEF"),
        environment={"TOCSIN_SECRET_SLACK": "xoxb-test", "TOCSIN_SECRET_APP": "xapp-test"},
    )
    eventually(lambda: workspace.connected, what="Tocsin to connect")
    assert set(workspace.tokens) == {"Bearer xapp-test"}
    says(server)
    eventually(lambda: workspace.posted, what="the page")
    workspace.press("1", 1, user="U0000BEN")
    eventually(lambda: len(workspace.posted) == 2, what="the stranger to be told")
    assert workspace.posted[1][0] == "chat.postEphemeral"
    assert incident(server, 1)["state"] == "triggered"
    workspace.press("nonsense", 2)
    workspace.hang_up()
    eventually(lambda: workspace.connected == 2, within=20, what="a new connection")
    workspace.press("1", 3)
    assert becomes(server, 1, "acknowledged")["acknowledged_by"] == "person:ana"
    eventually(lambda: {"e1", "e3"} <= set(workspace.acked), what="both presses to be taken")
    assert server.call("POST", "/callbacks/slack", b"payload={}")[0] == 404, "nobody could have signed it"
    eventually(lambda: workspace.posted[-1][0] == "chat.update", what="the message to say who has it")
    assert "xapp-test" not in server.output()


def test_a_synthetic_page_comes_back_by_the_same_connection(
    tocsin_server: Callable[..., TocsinServer], workspace: Workspace
) -> None:
    app = {"token": "secret:slack", "app token": "secret:app", "server": workspace.url}
    plan = a_plan_for({"slack": app}, slack="U012ABCDEF")
    server = tocsin_server(
        plan={**plan, "synthetic page": {"slack": "C012ABCDEF", "every": "1h"}},
        environment={"TOCSIN_SECRET_SLACK": "xoxb-test", "TOCSIN_SECRET_APP": "xapp-test"},
    )
    eventually(lambda: workspace.connected and workspace.posted, what="the page, and Tocsin to listen")
    ((method, said),) = workspace.posted
    assert (method, said["channel"]) == ("chat.postMessage", "C012ABCDEF")

    def state() -> str:
        return str(json.loads(server.run("channel", "synthetic", "--json", check=False).stdout)[0]["state"])

    workspace.tell({"text": "hello", "blocks": []})
    assert state() == "awaited"
    workspace.tell(said)
    eventually(lambda: state() == "back", what="the page to come back")
    eventually(lambda: "ev" in workspace.acked, what="what was said to be taken")
