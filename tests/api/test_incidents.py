"""Incidents and alerts over the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.client import World
from tests.engine.world import PLAN as NIGHT
from tests.engine.world import World as Night
from tests.faces.filled import NOW, TOKENS
from tocsin.api.models import incident_out
from tocsin.engine.commands import (
    ASKED,
    Acknowledge,
    AddNote,
    AddResponders,
    ApplyPlan,
    Reassign,
    Resolve,
    Result,
    Snooze,
)
from tocsin.kernel.instant import MINUTE, SECOND, parse_rfc3339
from tocsin.store import tables


async def test_incidents_come_newest_first_and_page_by_page(world: World) -> None:
    """Following `next` meets every incident once."""
    numbers, cursor = [], ""
    while True:
        page = await world.get(f"/incidents?limit=1{cursor}")
        numbers += [one["number"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert numbers == [3, 2, 1]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("state=open", [2, 1]),
        ("state=resolved", [3]),
        ("service=search", [2]),
        ("severity=sev3", [2]),
        ("text=redis+cart", [1]),
        ("text=%233", [3]),
        ("state=open&service=search&severity=sev1", []),
        ("state=open&order=gravest", [1, 2]),
        ("state=open&order=newest", [2, 1]),
    ],
)
async def test_filters_of_incidents_are_all_met(world: World, query: str, numbers: list[int]) -> None:
    """Each filter narrows the list."""
    assert [one["number"] for one in (await world.get(f"/incidents?{query}"))["items"]] == numbers


@pytest.mark.parametrize("path", ["/incidents?state=open&", "/alerts?", "/changes?", "/export/incidents?"])
async def test_a_service_that_is_none_is_not_a_service_that_is_well(world: World, path: str) -> None:
    answer = await world.call("GET", f"{path}service=checkuot")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"] == "there is no service 'checkuot'; did you mean checkout?"
    assert (await world.call("GET", f"{path}service=checkout")).status_code == 200


async def test_by_gravity_is_listed_what_is_open_page_by_page(world: World) -> None:
    first = await world.get("/incidents?state=open&order=gravest&limit=1")
    rest = await world.get(f"/incidents?state=open&order=gravest&cursor={first['next']}")
    assert [one["number"] for one in (*first["items"], *rest["items"])] == [1, 2]
    for query in ("order=gravest", "order=gravest&state=resolved"):
        refused = await world.call("GET", f"/incidents?{query}")
        assert (refused.status_code, refused.json()["field"]) == (400, "order")


async def test_an_incident_shows_what_belongs_to_it(world: World) -> None:
    """The sheet holds timeline, pages and firing alerts, every instant an RFC 3339 text."""
    sheet = await world.get("/incidents/1")
    assert sheet["opened_at"] == "2026-11-22T03:14:00.000Z"
    assert [one["reason"] for one in sheet["timeline"]["items"]] == ["step_due", "opened"]
    assert [one["person"] for one in sheet["pages"]["items"]] == ["ana"]
    assert [one["labels"]["instance"] for one in sheet["alerts"]["items"]] == ["cart-2", "cart-1"]
    assert sheet["url"] == "http://tocsin.test/incidents/1"


async def test_an_incident_shows_what_was_changed_around_it(world: World) -> None:
    """On its service and on what that needs, an hour before it opened and since; nothing else, or after its end."""
    opened = (await world.get("/incidents/1"))["opened_at"]
    at = parse_rfc3339(opened)
    for service, minutes in (("checkout", -61), ("checkout", -59), ("search", -5), ("cards", -5), ("checkout", 3)):
        world.filler.change(service, f"{service} {minutes}", at + minutes * MINUTE)
    expected = ["checkout 3", "cards -5", "checkout -59", "deployed 42"]
    assert [one["summary"] for one in (await world.get("/incidents/1"))["changes"]["items"]] == expected
    first = await world.get("/incidents/1/changes?limit=2")
    rest = await world.get(f"/incidents/1/changes?limit=2&cursor={first['next']}")
    assert [one["summary"] for one in first["items"] + rest["items"]] == expected
    over = await world.get("/incidents/3")
    ended = parse_rfc3339(over["resolved_at"])
    for seconds in (-1, 1):
        world.filler.change(over["service"], f"{seconds}", ended + seconds * SECOND)
    told = [one["summary"] for one in (await world.get("/incidents/3/changes"))["items"]]
    assert told[0] == "-1", "what came after its end is not its own"


@pytest.mark.parametrize("number", [2**53 - 1, 2**63 - 2, 2**63 - 1, 10**20])
async def test_a_number_larger_than_any_is_not_there(world: World, number: int) -> None:
    for path in ("incidents", "alerts", "why/incident", "why/alert", "runs"):
        answer = await world.call("GET", f"/{path}/{number}")
        assert (path, answer.status_code) == (path, 404)


async def test_what_is_not_there_is_a_problem_that_says_so(world: World) -> None:
    """404 with a sentence, for the incident and for its parts."""
    for path in (
        "/incidents/99",
        "/incidents/99/timeline",
        "/alerts/99",
        "/why/alert/99",
        "/silences/99",
        "/parked/99",
    ):
        answer = await world.call("GET", path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "99" in answer.json()["detail"]


async def test_an_unknown_query_parameter_is_refused_by_name(world: World) -> None:
    """A misspelt filter never shows everything."""
    answer = await world.call("GET", "/incidents?servce=checkout")
    assert answer.status_code == 400
    assert answer.json()["field"] == "servce"
    assert "did you mean service?" in answer.json()["detail"]
    twice = await world.call("GET", "/incidents?service=checkout&service=search")
    assert (twice.status_code, twice.json()["field"]) == (400, "service")


async def test_a_fault_names_the_field_as_the_sender_knows_it(world: World) -> None:
    """Query parameters, known fields and unknown fields."""
    assert (await world.call("GET", "/incidents?state=odd")).json()["field"] == "state"
    assert (await world.call("GET", "/incidents?cursor=odd")).json()["field"] == "cursor"
    assert (await world.call("GET", f"/pages?incident={2**80}")).json()["field"] == "incident"
    assert (await world.call("POST", "/incidents/1/acknowledge", {"hold": "5"})).json()["field"] == "hold"
    assert (await world.call("POST", "/incidents/1/acknowledge", {"hodl": "5m"})).json()["field"] == "hodl"
    assert (await world.call("POST", "/incidents/1/notes", {})).json()["field"] == "text"


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/incidents/1/notes", None, "body: is missing"),
        ("POST", "/incidents/1/notes", {}, "text: is missing"),
        ("POST", "/incidents/1/notes", {"text": "a", "to": "b"}, "to: is not known here"),
        ("POST", "/incidents/1/notes", [1], "body: must be an object, not an array"),
        ("POST", "/incidents/1/acknowledge", {"hold": 5}, "hold: must be a text or null, not a whole number"),
        ("POST", "/users", {"name": "x", "role": "boss"}, "role: must be one of viewer, responder, admin, not 'boss'"),
        ("GET", "/incidents?state=nope", None,
         "state: must be one of open, triggered, acknowledged, resolved, all, not 'nope'"),
        ("GET", "/pages?state=bad", None, "state: must be one of intended, sent, failed, overtaken, not 'bad'"),
        ("GET", "/incidents?limit=x", None, "limit: must be a whole number, not a text"),
        ("GET", "/incidents?limit=0", None, "limit: must be at least 1"),
        ("GET", f"/incidents?text={'x' * 1_001}", None, "text: must have at most 1000 characters"),
    ],
)  # fmt: skip
async def test_a_fault_is_said_in_the_senders_words(
    world: World, method: str, path: str, body: object, detail: str
) -> None:
    """With every choice there is, and nothing of the language this is written in."""
    answer = await world.call(method, path, body)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


async def test_a_body_nested_without_end_is_refused(world: World) -> None:
    """It is the sender's fault, not ours."""
    headers = {"authorization": f"Bearer {TOKENS['admin']}", "content-type": "application/json"}
    answer = await world.client.post("/api/v1/incidents/1/notes", content=b"[" * 200_000, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (400, "the body is nested too deeply")


async def test_head_answers_as_get_without_a_body(world: World) -> None:
    """Watchers and proxies ask so; a stream, too, ends with its head."""
    for path in ("/incidents", "/incidents/99", "/events"):
        answer = await world.call("HEAD", path)
        assert answer.content == b""
        assert answer.status_code == (404 if "99" in path else 200)
        assert "json" in answer.headers["content-type"] or path == "/events"


async def test_a_responder_acts_and_the_core_is_told_who(world: World) -> None:
    """Commands carry the actor, the durations in microseconds and the idempotency key."""
    assert (
        await world.call("POST", "/incidents/1/acknowledge", {"hold": "30m"}, "responder", Idempotency_Key="k1")
    ).status_code == 200
    assert (await world.call("POST", "/incidents/1/resolve", {"snooze": "2h"}, "responder")).status_code == 200
    assert (await world.call("POST", "/incidents/1/notes", {"text": "looking"}, "responder")).status_code == 201
    assert world.core.asked[0][1].startswith(f"k1{ASKED}")
    assert world.core.asked == [
        (Acknowledge(actor="person:ana", incident=1, hold=30 * MINUTE), world.core.asked[0][1]),
        (Resolve(actor="person:ana", incident=1, snooze=120 * MINUTE), ""),
        (AddNote(actor="person:ana", incident=1, text="looking"), ""),
    ]


async def test_an_idempotency_key_carries_what_was_asked_under_it(world: World) -> None:
    """The same request has the same mark, another body or another address another one."""
    for number, text in ((1, "a"), (1, "a"), (1, "b"), (2, "a")):
        await world.call("POST", f"/incidents/{number}/notes", {"text": text}, Idempotency_Key="k")
    same, again, body, path = (key for _, key in world.core.asked)
    assert same == again
    assert len({same, body, path}) == 3
    world.core.answer = Result(ok=False, code="reused", message="This idempotency key was used already")
    assert (await world.call("POST", "/incidents/1/notes", {"text": "c"}, Idempotency_Key="k")).status_code == 422


async def test_a_viewer_reads_and_does_not_act(world: World) -> None:
    """403 that names the role, and nothing reaches the core."""
    answer = await world.call("POST", "/incidents/1/acknowledge", {}, "viewer")
    assert answer.status_code == 403
    assert "responder" in answer.json()["detail"]
    assert world.core.asked == []


async def test_a_refusal_of_the_engine_becomes_a_problem(world: World) -> None:
    """Code, sentence and field are passed on."""
    world.core.answer = Result(ok=False, code="conflict", message="Incident #1 is resolved already", field="")
    answer = await world.call("POST", "/incidents/1/acknowledge")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["detail"] == "Incident #1 is resolved already"


async def test_without_the_core_writes_answer_503_and_reads_go_on(world: World) -> None:
    """Retry-After says when to come again."""
    world.core.gone = True
    answer = await world.call("POST", "/incidents/1/acknowledge")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert (await world.get("/incidents"))["items"]


async def test_alerts_are_filtered_by_matchers_and_columns(world: World) -> None:
    """The default is what fires."""

    async def titles(query: str) -> list[int]:
        return [one["id"] for one in (await world.get(f"/alerts?{query}"))["items"]]

    assert await titles("") == [3, 2, 1]
    assert await titles("state=all") == [4, 3, 2, 1]
    assert await titles("matcher=instance%3D~%22cart-.*%22&matcher=instance!%3Dcart-1") == [2]
    assert await titles("service=search") == [3]
    assert await titles("incident=1") == [2, 1]
    assert (await world.call("GET", "/alerts?matcher=oops")).json()["field"] == "matcher"


async def test_why_tells_the_decisions_in_order_and_how_it_stands(world: World) -> None:
    """Machine words with their explanations, and until when quiet lasts."""
    story = await world.get("/why/incident/1")
    assert [one["reason"] for one in story["sentences"]] == ["opened", "step_due", "step_due", "sent"]
    assert story["paged"] is True
    assert all(one["because"] for one in story["sentences"])
    acknowledged = await world.get("/why/incident/2")
    assert (acknowledged["quiet"], acknowledged["now"]["reason"]) == (True, "acknowledged")
    assert acknowledged["now"]["until"] == "2026-11-22T04:19:00.000Z"


async def test_why_of_an_alert_that_joined_later_says_who_had_been_paged(world: World) -> None:
    """It paged nobody itself, and yet nobody may read that nobody was paged."""
    late = world.filler.alert({"alertname": "Late"}, incident=1, first_seen=NOW + MINUTE, last_seen=NOW + MINUTE)
    story = await world.get(f"/why/alert/{late}")
    assert story["paged"] is True
    assert "ana had been paged for incident #1 before it came" in [one["text"] for one in story["sentences"]]


async def test_why_of_a_silenced_alert_names_the_silence_and_its_end(world: World) -> None:
    """The silence is part of the story and of how it stands."""
    story = await world.get("/why/alert/2")
    assert story["now"]["reason"] == "silenced"
    assert story["now"]["until"] == "2026-11-22T04:24:00.000Z"
    assert any("11111111-2222" in one["text"] for one in story["sentences"])
    assert [one["at"] for one in story["sentences"]] == sorted(one["at"] for one in story["sentences"])


async def test_an_export_is_one_json_line_per_incident(world: World) -> None:
    """With the whole timeline and the ledger, across more incidents than one chunk holds."""
    world.filler.put(
        tables.incidents,
        [world.filler.incident_row(opened_at=NOW) for _ in range(120)],
    )
    answer = await world.call("GET", "/export/incidents", role="viewer")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["number"] for one in lines] == list(range(123, 0, -1))
    assert [one["reason"] for one in lines[-1]["timeline"]] == ["opened", "step_due"]
    assert [one["person"] for one in lines[-1]["pages"]] == ["ana"]


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        ("take", {"hold": "30m"}, Acknowledge(actor="person:ana", incident=1, hold=30 * MINUTE)),
        ("reassign", {"person": "ana", "note": "x"}, Reassign(actor="person:ana", incident=1, person="ana", note="x")),
        ("snooze", {"duration": "2h"}, Snooze(actor="person:ana", incident=1, until=NOW + 120 * MINUTE)),
        ("snooze", {"until": "2026-11-22T09:00:00Z"}, Snooze(actor="person:ana", incident=1, until=NOW + 336 * MINUTE)),
        (
            "responders",
            {"people": ["ana"], "teams": ["shop"]},
            AddResponders(actor="person:ana", incident=1, targets=("person:ana", "team:shop")),
        ),
        ("apply-plan", None, ApplyPlan(actor="person:ana", incident=1)),
    ],
)
async def test_what_responders_do_reaches_the_core_in_their_name(
    world: World, path: str, body: Any, command: Any
) -> None:
    answer = await world.call("POST", f"/incidents/1/{path}", body, "responder")
    assert answer.status_code == 200, answer.text
    assert [one for one, _ in world.core.asked] == [command]
    assert (await world.call("POST", f"/incidents/1/{path}", body, "viewer")).status_code == 403


async def test_only_a_person_can_take_an_incident(world: World) -> None:
    """A script's user is nobody who could come."""
    answer = await world.call("POST", "/incidents/1/take", role="admin")
    assert (answer.status_code, answer.json()["code"]) == (403, "no_person")


@pytest.mark.parametrize("body", [{}, {"until": "2026-11-22T09:00:00Z", "duration": "1h"}, {"until": "later"}])
async def test_a_snooze_says_its_end_once(world: World, body: dict[str, str]) -> None:
    answer = await world.call("POST", "/incidents/1/snooze", body)
    assert (answer.status_code, answer.json()["field"]) == (400, "until")


async def test_what_a_persons_named_token_does_is_done_by_them(world: World) -> None:
    """Not by the one in the data folder, which whoever is on that machine uses."""
    world.filler.token("n" * 40, 2, name="laptop")
    world.filler.token("m" * 40, 2, name="this machine")
    for secret, actor in (("n" * 40, "person:ana (token laptop)"), ("m" * 40, "token:this machine")):
        sent = {"Authorization": f"Bearer {secret}"}
        answer = await world.client.post("/api/v1/incidents/1/notes", json={"text": "Looking"}, headers=sent)
        assert answer.status_code < 300, answer.text
        assert world.core.asked[-1][0] == AddNote(actor=actor, incident=1, text="Looking")


def test_who_answered_where_that_takes_several_is_published() -> None:
    step = "{page: [ana, ben], wait: 5m, until acknowledged by: 2}"
    night = Night(NIGHT.replace(b"{page: ana, wait: 5m}", step.encode()))
    night.fires("Down", service="checkout")
    asked = incident_out(night.incident(1), "", True)
    assert (asked.state, asked.answered_by, asked.answers_needed) == ("triggered", [], 2)
    night.acknowledges(1)
    asked = incident_out(night.incident(1), "", True)
    assert (asked.state, asked.acknowledged_by, asked.answered_by) == ("triggered", "", ["ana"])
