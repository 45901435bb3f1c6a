"""Who is on call, over the API."""

from __future__ import annotations

import pytest

from tests.api.client import World


async def test_schedules_come_with_who_is_on_call(world: World) -> None:
    found = (await world.get("/oncall/schedules?at=2026-11-16T09:00:00Z"))["items"]
    assert found == [
        {
            "name": "shop",
            "about": "Who is called first.",
            "timezone": "Europe/Madrid",
            "on_call": [
                {
                    "person": "ana",
                    "since": "2026-11-16T08:00:00.000Z",
                    "until": "2026-11-21T23:00:00.000Z",
                    "why": "week of shop, the turn from Mon 16 Nov 2026 09:00 to Mon 23 Nov 2026 09:00 Europe/Madrid",
                }
            ],
        }
    ]


async def test_who_is_on_call_now_and_at_an_instant(world: World) -> None:
    """Now is Sunday, the day nobody has."""
    assert (await world.get("/oncall/schedules/shop/who"))["items"] == []
    at = "2026-11-24T12:00:00%2B01:00"
    assert [one["person"] for one in (await world.get(f"/oncall/schedules/shop/who?at={at}"))["items"]] == ["ben"]


async def test_shifts_are_cut_where_the_range_is(world: World) -> None:
    path = "/oncall/schedules/shop/shifts?from=2026-11-20T00:00:00Z&to=2026-11-23T12:00:00Z"
    assert (await world.get(path))["items"] == [
        {"person": "ana", "start": "2026-11-20T00:00:00.000Z", "end": "2026-11-21T23:00:00.000Z", "layer": "week"},
        {"person": "ana", "start": "2026-11-22T23:00:00.000Z", "end": "2026-11-23T08:00:00.000Z", "layer": "week"},
        {"person": "ben", "start": "2026-11-23T08:00:00.000Z", "end": "2026-11-23T12:00:00.000Z", "layer": "week"},
    ]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/oncall/schedules/shpo/who", 404, "there is no schedule shpo; did you mean shop?"),
        ("/oncall/schedules/shop/who?at=yesterday", 400, "is not a time such as"),
        ("/oncall/schedules/shop/who?at=1066-10-14T00:00:00Z", 400, "ask about a time from 1980 to 2199"),
        ("/oncall/schedules/shop/shifts?from=2026-11-20T00:00:00Z", 400, "to"),
        (
            "/oncall/schedules/shop/shifts?from=2026-11-20T00:00:00Z&to=2026-11-20T00:00:00Z",
            400,
            "the range must end after it begins",
        ),
        (
            "/oncall/schedules/shop/shifts?from=2020-01-01T00:00:00Z&to=2026-11-20T00:00:00Z",
            400,
            "ask about two years at most",
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_why(world: World, path: str, status: int, detail: str) -> None:
    answer = await world.call("GET", path)
    assert answer.status_code == status, answer.text
    assert detail in answer.json()["detail"]
