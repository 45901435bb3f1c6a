"""Contact methods, rules and drills over the API: whose they are, and what the core is handed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import World
from tests.faces.filled import SIGNING_KEY
from tocsin.engine.commands import AddContact, Result, SendCode, SetReach, StartDrill, VerifyContact
from tocsin.pages.contacts import code_hash, code_of, webhook_secret
from tocsin.pages.rules import Reach, Way

MINUTE = 60_000_000


async def test_a_person_sees_their_own_and_an_admin_anybodys(world: World) -> None:
    """Ana is the responder; nobody else's numbers are hers to read."""
    mine = await world.get("/contacts", role="responder")
    assert [(one["address"], one["state"]) for one in mine["items"]] == [
        ("ana@example.org", "verified"), ("https://push.example/ana", "unverified"),
    ]  # fmt: skip
    assert "seed" not in str(mine) and "code_hash" not in str(mine)
    assert (await world.call("GET", "/contacts?person=ben", role="responder")).status_code == 403
    assert [one["person"] for one in (await world.get("/contacts?person=ben", role="admin"))["items"]] == ["ben"]


async def test_a_user_who_is_nobody_is_told_so(world: World) -> None:
    """Vera may look, and is no person of the plan."""
    answer = await world.call("GET", "/contacts", role="viewer")
    assert (answer.status_code, answer.json()["field"]) == (400, "person")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/contacts/3", None),
        ("POST", "/contacts/3/code", None),
        ("POST", "/contacts/3/verify", {"code": "123456"}),
        ("POST", "/contacts/3/failing", {}),
        ("POST", "/contacts/3/test", None),
    ],
)
async def test_somebody_elses_method_looks_as_if_it_was_not_there(
    world: World, method: str, path: str, body: Any
) -> None:
    """Neither seen nor changed; the core is not even asked."""
    assert (await world.call(method, path, body, "responder")).status_code == 404
    assert (await world.call(method, path, body, "viewer")).status_code == 404
    assert world.core.asked == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/contacts", {"channel": "email", "address": "x@y.example", "person": "ben"}),
        ("PUT", "/reach", {"person": "ben"}),
        ("POST", "/drill", {"person": "ben"}),
    ],
)
async def test_nobody_but_an_admin_does_it_for_another(world: World, method: str, path: str, body: Any) -> None:
    assert (await world.call(method, path, body, "responder")).status_code == 403
    assert world.core.asked == []
    assert (await world.call(method, path, body, "admin")).status_code < 300


async def test_a_new_method_is_added_and_a_code_sent_of_which_only_a_keyed_hash_travels(world: World) -> None:
    world.core.answer = Result(ok=True, id="2")
    body = {"channel": "webhook", "address": "https://push.example/ana", "label": "phone"}
    answer = await world.call("POST", "/contacts", body, "responder")
    assert answer.status_code == 201
    assert answer.json()["signing_secret"] == webhook_secret(SIGNING_KEY, 2)
    (added, _), (sent, _) = world.core.asked
    assert isinstance(added, AddContact) and (added.person, added.label) == ("ana", "phone")
    assert isinstance(sent, SendCode) and len(sent.seed) == 32
    code = code_of(SIGNING_KEY, 2, sent.seed)
    assert sent.hash == code_hash(SIGNING_KEY, 2, sent.seed, code)
    assert code not in answer.text
    assert webhook_secret(SIGNING_KEY, 2) not in str(await world.get("/contacts", role="responder"))


async def test_too_many_codes_still_leave_the_method_to_be_proven_later(world: World) -> None:
    answers = iter([Result(ok=True, id="2"), Result(ok=False, code="too_many", message="Too many")])

    async def submit(command: Any, key: str = "") -> Result:
        return next(answers)

    world.core.submit = submit  # type: ignore[method-assign, assignment]  # a core with two answers
    answer = await world.call("POST", "/contacts", {"channel": "email", "address": "x@y.example"}, "responder")
    assert (answer.status_code, answer.json()["code_until"]) == (201, None)


async def test_too_many_codes_are_429(world: World) -> None:
    world.core.answer = Result(ok=False, code="too_many", message="Too many, too fast: ask again in 20 s")
    answer = await world.call("POST", "/contacts/2/code", role="responder")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")


async def test_the_code_that_came_back_is_handed_on_as_a_hash(world: World) -> None:
    assert (await world.call("POST", "/contacts/2/verify", {"code": "12 34 56"}, "responder")).status_code == 200
    ((command, _),) = world.core.asked
    assert isinstance(command, VerifyContact)
    assert command.hash == code_hash(SIGNING_KEY, 2, b"s" * 32, "123456")


async def test_rules_are_set_whole(world: World) -> None:
    body = {
        "high": [{"contact": 1}, {"contact": 2, "after": "2m"}],
        "quiet_from": "23:30", "quiet_until": "7:00", "bundle_after": 1, "bundle_within": "0s",
    }  # fmt: skip
    assert (await world.call("PUT", "/reach", body, "responder")).status_code == 200
    ((command, _),) = world.core.asked
    assert command == SetReach(
        actor=command.actor,
        reach=Reach(
            person="ana", high=(Way(1), Way(2, 2 * MINUTE)), quiet_from=23 * 60 + 30, quiet_until=7 * 60,
            bundle_after=1, bundle_within=0,
        ),
    )  # fmt: skip


async def test_without_rules_the_defaults_are_told(world: World) -> None:
    told = await world.get("/reach", role="responder")
    assert (told["high"], told["quiet_from"], told["quiet_until"]) == ([], "22:00", "08:00")
    assert (told["bundle_after"], told["bundle_within"]) == (3, "30s")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quiet_from": "24:00"}, "quiet_from"),
        ({"quiet_until": "8am"}, "quiet_until"),
        ({"bundle_within": "soon"}, "bundle_within"),
        ({"high": [{"contact": 1, "after": "-1m"}]}, "high.0.after"),
        ({"bundle_after": 0}, "bundle_after"),
        ({"loud": True}, "loud"),
    ],
)
async def test_a_rule_that_cannot_be_is_named(world: World, body: dict[str, Any], field: str) -> None:
    answer = await world.call("PUT", "/reach", body, "responder")
    assert answer.status_code == 400
    assert field in str(answer.json())
    assert world.core.asked == []


async def test_a_drill_pages_whoever_asks(world: World) -> None:
    world.core.answer = Result(ok=True, id="40")
    answer = await world.call("POST", "/drill", role="responder")
    assert (answer.status_code, answer.json()) == (202, {"page": 40})
    ((command, _),) = world.core.asked
    assert isinstance(command, StartDrill) and command.person == "ana"


async def test_the_ledger_tells_nobody_a_persons_whole_address(world: World) -> None:
    (page,) = (await world.get("/incidents/1/pages"))["items"]
    assert page["address"] == "a…@example.org"


async def test_a_viewer_may_be_reached_but_not_point_tocsin_at_an_address_inside(world: World) -> None:
    """Vera is a person of the plan now; a webhook would have Tocsin connect to wherever she says."""
    vera = world.filler.user("vera ii", "viewer", person="ana")
    world.filler.token("w" * 40, vera, name="")
    headers = {"Authorization": "Bearer " + "w" * 40}
    for channel, address, status in (("webhook", "https://10.0.0.1/", 403), ("email", "vera@home.example", 201)):
        body = {"channel": channel, "address": address}
        answer = await world.client.post("/api/v1/contacts", json=body, headers=headers)
        assert answer.status_code == status, answer.text
