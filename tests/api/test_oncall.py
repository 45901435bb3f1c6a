"""Who is on call, over the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import World
from tests.faces.filled import NOW
from tocsin.engine.commands import AddOverride, AnswerOverride, AskCover, AskSwap, CancelOverride, Result
from tocsin.kernel.instant import DAY, HOUR, parse_rfc3339


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


async def test_an_override_counts_and_says_so(world: World) -> None:
    """Nobody is on call on Sundays, until Ben fills the gap."""
    number = world.filler.override(reason="Sunday")
    assert (await world.get("/oncall/schedules/shop/who"))["items"] == [
        {
            "person": "ben",
            "since": "2026-11-22T03:24:00.000Z",
            "until": "2026-11-22T04:24:00.000Z",
            "why": f"override {number} of shop: ben, asked by ana: Sunday",
        }
    ]
    path = "/oncall/schedules/shop/shifts?from=2026-11-22T00:00:00Z&to=2026-11-22T12:00:00Z"
    assert [one["layer"] for one in (await world.get(path))["items"]] == [f"override {number}"]
    assert (await world.get("/oncall/schedules"))["items"][0]["on_call"][0]["person"] == "ben"
    mine = "/oncall/people/ben/shifts?from=2026-11-22T00:00:00Z&to=2026-11-23T12:00:00Z"
    assert [(one["schedule"], one["layer"]) for one in (await world.get(mine))["items"]] == [
        ("shop", f"override {number}"), ("shop", "week"),
    ]  # fmt: skip


async def test_an_override_of_the_past_is_in_the_past(world: World) -> None:
    """Asked for last night, the shifts are those of last night."""
    world.filler.override(starts_at=NOW - 4 * HOUR, ends_at=NOW - 3 * HOUR, agreed_at=NOW - 5 * HOUR)
    path = "/oncall/schedules/shop/shifts?from=2026-11-21T12:00:00Z&to=2026-11-22T12:00:00Z"
    assert [(one["person"], one["layer"]) for one in (await world.get(path))["items"]] == [
        ("ana", "week"), ("ben", "override 1"),
    ]  # fmt: skip


async def test_a_shift_that_was_interrupted_began_anew(world: World) -> None:
    """Ana's week was cut by an override that is over: she is on call since its end, as the list of shifts says."""
    start = parse_rfc3339("2026-11-17T10:00:00Z")
    world.filler.override(starts_at=start, ends_at=start + HOUR, agreed_at=start)
    [who] = (await world.get("/oncall/schedules/shop/who?at=2026-11-19T00:00:00Z"))["items"]
    path = "/oncall/schedules/shop/shifts?from=2026-11-17T10:30:00Z&to=2026-11-19T00:00:01Z"
    shifts = (await world.get(path))["items"]
    assert (who["person"], who["since"]) == ("ana", "2026-11-17T11:00:00.000Z")
    assert [(one["person"], one["start"]) for one in shifts] == [
        ("ben", "2026-11-17T10:30:00.000Z"), ("ana", "2026-11-17T11:00:00.000Z"),
    ]  # fmt: skip


async def test_who_answers_for_a_service(world: World) -> None:
    every = {"severities": [], "tiers": [], "when": "", "passed": False, "one_of": False, "next": False}
    (one,) = (await world.get("/oncall/services/checkout/who"))["items"]
    assert one == {"step": 1, "person": "ana", "by": "", **every}
    (one,) = (await world.get("/oncall/services/checkout/who?severity=sev3"))["items"]
    assert one["severities"] == ["sev3"]
    for asked, field in (("severity=high", "severity"), ("tier=gold", "tier")):
        refused = await world.call("GET", f"/oncall/services/checkout/who?{asked}", role="viewer")
        assert (refused.status_code, refused.json()["field"]) == (400, field)


async def test_whom_a_service_would_page_over_a_range(world: World) -> None:
    path = "/oncall/services/checkout/shifts?from=2026-11-20T00:00:00Z&to=2026-11-23T12:00:00Z"
    (one,) = (await world.get(path))["items"]
    assert one == {
        "step": 1, "person": "ana", "by": "", "start": "2026-11-20T00:00:00.000Z", "end": "2026-11-23T12:00:00.000Z",
        "severities": [], "tiers": [], "when": "", "one_of": False, "last_resort": False,
    }  # fmt: skip
    (one,) = (await world.get(f"{path}&severity=sev3"))["items"]
    assert one["severities"] == ["sev3"]
    for asked, status, field in (
        (path.replace("checkout", "chekout"), 404, ""),
        (f"{path}&tier=gold", 400, "tier"),
        (path.replace("2026-11-20", "2020-11-20"), 400, "to"),
    ):
        refused = await world.call("GET", asked, role="viewer")
        assert (refused.status_code, refused.json().get("field", "")) == (status, field)


async def test_overrides_are_listed_live_and_all(world: World) -> None:
    world.filler.override(ends_at=NOW - 1, starts_at=NOW - HOUR)
    world.filler.override(kind="cover", person="", instead_of="ana", agreed_at=None)
    live = (await world.get("/oncall/overrides"))["items"]
    assert [(one["id"], one["kind"], one["state"]) for one in live] == [(2, "cover", "asked")]
    every = (await world.get("/oncall/overrides?state=all"))["items"]
    assert [one["state"] for one in every] == ["asked", "over"]
    assert (await world.get("/oncall/overrides/1"))["state"] == "over"
    assert (await world.call("GET", "/oncall/overrides/9")).status_code == 404


async def test_what_is_wanted_becomes_a_command(world: World) -> None:
    """With who asks; the person who answers is the one who is signed in, never one that was sent."""
    number = world.filler.override()
    world.core.answer = Result(ok=True, id=str(number))
    times = {"starts_at": "2026-11-22T04:00:00Z", "ends_at": "2026-11-22T05:00:00Z"}
    back = {"back_starts_at": "2026-11-23T04:00:00Z", "back_ends_at": "2026-11-23T05:00:00Z"}
    for path, body in (
        ("/oncall/overrides", {"schedule": "shop", "person": "ben", "duration": "2h", "reason": "ill"}),
        ("/oncall/swaps", {"schedule": "shop", "other": "ben"} | times | back),
        ("/oncall/covers", {"schedule": "shop", "person": "ana"} | times),
    ):
        assert (await world.call("POST", path, body, "responder")).status_code == 201, path
    its = f"/oncall/overrides/{number}"
    assert (await world.call("POST", f"{its}/answer", {"yes": False}, "responder")).status_code == 200
    assert (await world.call("DELETE", its, None, "responder")).status_code == 204
    start = parse_rfc3339(times["starts_at"])
    assert [command for command, _ in world.core.asked] == [
        AddOverride(
            actor="person:ana", schedule="shop", person="ben", starts_at=NOW, ends_at=NOW + 2 * HOUR, reason="ill"
        ),
        AskSwap(
            actor="person:ana", schedule="shop", person="ana", other="ben", starts_at=start, ends_at=start + HOUR,
            back_starts_at=start + DAY, back_ends_at=start + DAY + HOUR,
        ),
        AskCover(actor="person:ana", schedule="shop", person="ana", starts_at=start, ends_at=start + HOUR),
        AnswerOverride(actor="person:ana", id=number, person="ana", yes=False),
        CancelOverride(actor="person:ana", id=number),
    ]  # fmt: skip


async def test_what_may_be_of_no_use_is_said_with_the_answer_alone(world: World) -> None:
    """No service pages by this schedule, and Ben is on call by it already."""
    world.filler.override(starts_at=NOW - HOUR, ends_at=NOW + DAY)
    number = world.filler.override(starts_at=NOW, ends_at=NOW + HOUR)
    world.core.answer = Result(ok=True, id=str(number))
    answer = await world.call("POST", "/oncall/overrides", {"schedule": "shop", "person": "ben", "duration": "1h"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["warnings"][0] == "Ben is on call by shop all that time already"
    assert (await world.get(f"/oncall/overrides/{number}"))["warnings"] == []
    for yes, said in ((True, answer.json()["warnings"]), (False, [])):
        answered = await world.call("POST", f"/oncall/overrides/{number}/answer", {"yes": yes}, "responder")
        assert answered.json()["warnings"] == said


async def test_a_named_token_stands_for_its_user_and_is_told_beside_them(world: World) -> None:
    """Ana's script asks Ben: it is Ana who asks. One of a user who is nobody of the plan stays what it is."""
    world.filler.token("c" * 40, 2, name="ci")
    number = world.filler.override()
    world.core.answer = Result(ok=True, id=str(number))
    headers = {"Authorization": f"Bearer {'c' * 40}"}
    answer = await world.client.post(f"/api/v1/oncall/overrides/{number}/answer", headers=headers)
    assert answer.status_code == 200
    await world.call("DELETE", f"/oncall/overrides/{number}", None, "admin")
    (first, _), (second, _) = world.core.asked
    assert first == AnswerOverride(actor="person:ana (token ci)", id=number, person="ana")
    assert second == CancelOverride(actor="token:admin script", id=number)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/oncall/overrides", {"schedule": "shop", "person": "ben"}, "ends_at"),
        ("/oncall/overrides", {"schedule": "shop", "person": "ben", "ends_at": "x"}, "ends_at"),
        ("/oncall/overrides", {"schedule": "shop", "person": "ben", "duration": "1h", "ends_at": "x"}, "ends_at"),
        ("/oncall/overrides", {"schedule": "shop", "person": "", "duration": "1h"}, "person"),
        ("/oncall/covers", {"schedule": "shop", "duration": "1h", "unknown": 1}, "unknown"),
        ("/oncall/swaps", {"schedule": "shop", "other": "ben"}, "starts_at"),
    ],
)  # fmt: skip
async def test_bad_wishes_are_refused_with_the_field(world: World, path: str, body: dict[str, Any], field: str) -> None:
    answer = await world.call("POST", path, body, "responder")
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["field"]
    assert world.core.asked == []


async def test_viewers_change_nothing(world: World) -> None:
    number = world.filler.override()
    for method, path in (
        ("POST", "/oncall/overrides"),
        ("POST", "/oncall/swaps"),
        ("POST", "/oncall/covers"),
        ("POST", f"/oncall/overrides/{number}/answer"),
        ("DELETE", f"/oncall/overrides/{number}"),
    ):
        assert (await world.call(method, path, {}, "viewer")).status_code == 403, path
        assert (await world.call(method, path, {}, "")).status_code == 401, path
