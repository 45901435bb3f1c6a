"""Clients of the whole application over the filled world."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.testing import AsyncTestClient

from tests.faces.filled import BASE, TOKENS, FakeCore, Filler, faces_of, fill, sqlite_url
from tocsin.api.handlers import api_handlers, openapi_config
from tocsin.faces.application import application


class World:
    """The application, its core and the database under it."""

    def __init__(self, client: AsyncTestClient[Litestar], core: FakeCore, filler: Filler) -> None:
        self.client = client
        self.core = core
        self.filler = filler

    async def call(self, method: str, path: str, body: Any = None, role: str = "admin", **headers: str) -> Any:
        """One request under /api/v1 as a user of a role ("": without a token)."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role:
            sent["Authorization"] = f"Bearer {TOKENS[role]}"
        return await self.client.request(method, f"/api/v1{path}", json=body, headers=sent)

    async def get(self, path: str, role: str = "viewer") -> Any:
        """What a successful GET answers."""
        answer = await self.call("GET", path, role=role)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def running_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """The application over a world of its own."""
    database = sqlite_url(folder)
    filler = fill(database)
    core = FakeCore()
    app = application(api_handlers(), faces_of(database, core, **settings), openapi=openapi_config("0.0.0"))
    async with AsyncTestClient(app, base_url=BASE) as client:
        yield World(client, core, filler)
