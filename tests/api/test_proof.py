"""Proof of pages over the API."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete

from tests.api.client import World
from tests.faces.filled import NOW
from tocsin.engine.state import Counters
from tocsin.kernel.instant import MINUTE
from tocsin.pages.loops import Loop
from tocsin.store import tables


async def test_the_ledger_is_a_list_or_a_file(world: World) -> None:
    rows = (await world.get("/incidents/1/ledger"))["items"]
    assert {row["incident"] for row in rows} == {1}
    answer = await world.call("GET", "/incidents/1/ledger.csv", role="viewer")
    assert answer.headers["content-disposition"] == 'attachment; filename="incident-1-ledger.csv"'
    assert len(answer.text.splitlines()) == len(rows) + 1
    assert answer.text.startswith("page,incident,kind,person,channel,")
    assert (await world.call("GET", "/incidents/99/ledger.csv")).status_code == 404


async def test_synthetic_pages_are_listed_as_the_last_commit_left_them(world: World) -> None:
    assert (await world.get("/synthetic-pages"))["items"] == []
    loop = Loop(channel="email", page=7, sent_at=NOW, came_at=NOW, took=1_234_567, next_at=NOW + MINUTE)
    counters = msgspec.json.encode(Counters(loops={"email": loop}))
    with world.filler.engine.begin() as connection:
        connection.execute(delete(tables.meta).where(tables.meta.c.name == "counters"))
    world.filler.put(tables.meta, [{"name": "counters", "value": counters}])
    (one,) = (await world.get("/synthetic-pages"))["items"]
    assert (one["state"], one["took"], one["page"]) == ("back", "1s234ms", 7)


async def test_why_a_person_was_not_paged(world: World) -> None:
    found = await world.get("/why/person/ana?at=2026-11-22T03:20:00Z")
    assert (found["person"], found["at"]) == ("ana", "2026-11-22T03:20:00.000Z")
    assert (await world.call("GET", "/why/person/nobody")).status_code == 404
    assert (await world.call("GET", "/why/person/ana?at=tea")).status_code == 400
    assert (await world.call("GET", "/why/person/ana?at=1900-01-01T00:00:00Z")).status_code == 400
    to_come = await world.call("GET", "/why/person/ana?at=2099-01-01T00:00:00Z")
    assert (to_come.status_code, "yet to come" in to_come.text) == (400, True)
