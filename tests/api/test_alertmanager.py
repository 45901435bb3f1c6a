"""What Alertmanager's tools see, compared with a real Alertmanager 0.25 wherever nothing has to be decided."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.client import World
from tests.faces.filled import KEY, NOW
from tests.support.alertmanager import Alertmanager
from tocsin.engine.commands import ExpireSilence, Result, SetSilence
from tocsin.kernel.instant import HOUR, MINUTE, format_rfc3339, parse_rfc3339
from tocsin.kernel.matcher import Matcher
from tocsin.kernel.reason import Reason

LIVE = "11111111-2222-3333-4444-555555555555"
NONE = "99999999-2222-3333-4444-555555555555"


def ask(
    base: str, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, str, str]:
    """Status, content type and body of a real server's answer."""
    request = urllib.request.Request(
        base + path, data=body, method=method, headers={"Content-Type": kind} if body is not None else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers.get("content-type") or "", answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("content-type") or "", error.read().decode()


async def ours(
    world: World, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, str, str]:
    """The same of ours."""
    headers = {"Content-Type": kind} if body is not None else {}
    answer = await world.client.request(method, f"/am/{KEY}{path}", content=body, headers=headers)
    return answer.status_code, answer.headers.get("content-type", "") if answer.content else "", answer.text


def silence(**changes: Any) -> dict[str, Any]:
    """A good silence, changed."""
    now = datetime.now(UTC) if changes.pop("wall", False) else datetime.fromtimestamp(NOW / 1e6, UTC)
    good = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False, "isEqual": True}],
        "comment": "why",
        "createdBy": "ana",
        "startsAt": now.isoformat().replace("+00:00", "Z"),
        "endsAt": "2100-01-01T00:00:00Z",  # the real Alertmanager goes by the real clock
    }
    return {name: value for name, value in (good | changes).items() if value != "absent"}


def lasting(**changes: Any) -> dict[str, Any]:
    """A silence that has not ended yet by any clock: the real Alertmanager knows only the wall's."""
    return silence(**{"endsAt": "2099-01-01T00:00:00Z"} | changes)


LONG_AGO = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-02T00:00:00Z"}
BAD_SILENCES: list[Any] = [
    {},
    None,
    b"",
    lasting(comment="absent"),
    lasting(comment=None),
    lasting(createdBy="absent"),
    lasting(startsAt="absent"),
    lasting(endsAt="absent"),
    lasting(matchers="absent"),
    lasting(matchers=[]),
    lasting(matchers=[{}]),
    lasting(matchers=[{"name": "a", "isRegex": False}]),
    lasting(matchers=[{"name": "a", "value": "b", "isRegex": False}, {"name": "a", "value": "b"}]),
    lasting(matchers=[{"name": "", "value": "b", "isRegex": False}]),
    lasting(matchers=[{"name": "a-b", "value": "b", "isRegex": False}]),
    lasting(matchers=[{"name": "a", "value": "", "isRegex": False}]),
    lasting(matchers=[{"name": "a", "value": ".*", "isRegex": True}]),
    lasting(matchers=[{"name": "a", "value": "", "isRegex": False}, {"name": "b", "value": "x?", "isRegex": True}]),
    lasting(startsAt="2100-01-01T00:00:00Z", endsAt="2099-01-01T00:00:00Z"),
    lasting(startsAt="2100-01-01T00:00:00Z", endsAt="2100-01-01T00:00:00Z"),
    lasting(**LONG_AGO),
    lasting(id="x", startsAt="2099-01-01T00:00:00Z", endsAt="2100-01-01T00:00:00Z"),
    lasting(id=NONE, startsAt="2099-01-01T00:00:00Z", endsAt="2100-01-01T00:00:00Z"),
]
UNREADABLE: list[bytes] = [
    b"{",
    b"[]",
    b'"x"',
    json.dumps(silence(startsAt="x")).encode(),
    json.dumps(silence(startsAt=5)).encode(),
    json.dumps(silence(endsAt="2030-01-01")).encode(),
    json.dumps(silence(matchers="x")).encode(),
    json.dumps(silence(matchers=[{"name": 5, "value": "b", "isRegex": False}])).encode(),
    json.dumps(silence(comment=5)).encode(),
]


async def test_a_bad_silence_is_refused_in_the_same_words(world: World, alertmanager: Alertmanager) -> None:
    """Status, type and body, to the letter."""
    for bad in BAD_SILENCES:
        body = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
        assert await ours(world, "POST", "/api/v2/silences", body) == ask(
            alertmanager.url, "POST", "/api/v2/silences", body
        ), bad
    assert world.core.asked == []


async def test_a_silence_by_negative_matchers_alone_is_taken_by_both(world: World, alertmanager: Alertmanager) -> None:
    """What Tocsin's own API asks a word for: to Alertmanager a negative matcher says something."""
    world.core.answer = Result(ok=True, id=LIVE)
    body = json.dumps(lasting(matchers=[{"name": "a", "value": "b", "isRegex": False, "isEqual": False}])).encode()
    real = ask(alertmanager.url, "POST", "/api/v2/silences", body)
    try:
        assert real[0] == 200 == (await ours(world, "POST", "/api/v2/silences", body))[0]
    finally:
        made = json.loads(real[2])["silenceID"]
        ask(alertmanager.url, "DELETE", f"/api/v2/silence/{made}")


async def test_a_body_that_cannot_be_read_is_refused_in_the_same_shape(
    world: World, alertmanager: Alertmanager
) -> None:
    """The reason itself is in our words."""
    for body in UNREADABLE:
        real, mine = (
            ask(alertmanager.url, "POST", "/api/v2/silences", body),
            await ours(world, "POST", "/api/v2/silences", body),
        )
        assert mine[:2] == real[:2], body
        begins = 'parsing silence body from "" failed, because '
        assert json.loads(real[2])["message"].startswith(begins)
        assert json.loads(mine[2])["message"].startswith(begins)
        assert json.loads(mine[2])["code"] == json.loads(real[2])["code"]


async def test_a_pattern_that_cannot_be_compiled_is_refused_up_to_its_reason(
    world: World, alertmanager: Alertmanager
) -> None:
    """In a silence, a filter and a receiver."""
    body = json.dumps(
        silence(matchers=[{"name": "a", "value": "[", "isRegex": True}], endsAt="2100-01-01T00:00:00Z")
    ).encode()
    for method, path, sent in (
        ("POST", "/api/v2/silences", body),
        ("GET", "/api/v2/alerts?filter=a%3D~%5B", None),
        ("GET", "/api/v2/silences?filter=a%3D~%5B", None),
        ("GET", "/api/v2/alerts?receiver=%5B", None),
    ):
        real, mine = ask(alertmanager.url, method, path, sent), await ours(world, method, path, sent)
        mark = "error parsing regexp"
        assert mine[:2] == real[:2]
        assert mine[2].partition(mark)[:2] == real[2].partition(mark)[:2]


@pytest.mark.parametrize("text", ["a", "", "=b", 'a="b', 'a=b"c', "a-b=c", 'a="b"c', "ä=b", 'a="\\"', "a==", "a=~"])
async def test_filters_are_read_alike(world: World, alertmanager: Alertmanager, text: str) -> None:
    """Refused in the same words, or taken by both (nothing carries a label `a`, so both find nothing)."""
    for path in ("/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences"):
        query = f"{path}?{urllib.parse.urlencode({'filter': text})}"
        real, mine = ask(alertmanager.url, "GET", query), await ours(world, "GET", query)
        if real[0] != 200:
            assert mine == real
        else:
            assert mine[0] == 200


async def test_single_silences_and_what_is_unknown_answer_alike(world: World, alertmanager: Alertmanager) -> None:
    """404 without a body for a read, 500 for a deletion, 422 for what is no id, 415 for another type."""
    for method, path in (
        ("GET", f"/api/v2/silence/{NONE}"),
        ("DELETE", f"/api/v2/silence/{NONE}"),
        ("GET", "/api/v2/silence/x"),
        ("DELETE", "/api/v2/silence/x"),
        ("GET", "/api/v2/nothing"),
        ("GET", "/-/healthy"),
        ("GET", "/-/ready"),
    ):
        assert await ours(world, method, path) == ask(alertmanager.url, method, path), (method, path)
    body = json.dumps(silence()).encode()
    real, mine = (
        ask(alertmanager.url, "POST", "/api/v2/silences", body, "text/plain"),
        await ours(world, "POST", "/api/v2/silences", body, "text/plain"),
    )
    assert mine == real


async def test_a_method_that_a_path_does_not_take_is_refused_alike(world: World, alertmanager: Alertmanager) -> None:
    """In the same shape; in which order the real one names those it takes changes from run to run."""

    def named(answer: tuple[int, str, str]) -> tuple[int, str, list[str]]:
        status, kind, body = answer
        said = json.loads(body)
        return status, kind, [str(said["code"]), *sorted(re.findall(r"[A-Z]{3,}|[a-z]+", said["message"]))]

    for path, methods in (
        ("status", "POST PUT"), ("receivers", "POST"), ("alerts/groups", "DELETE"), ("silences", "PATCH DELETE PUT"),
        (f"silence/{NONE}", "PUT POST"),
    ):  # fmt: skip
        for method in methods.split():
            mine = named(await ours(world, method, f"/api/v2/{path}"))
            assert mine == named(ask(alertmanager.url, method, f"/api/v2/{path}")), (method, path)
            assert mine[0] == 405


async def test_a_key_sees_its_own_service_only(world: World) -> None:
    """Alerts and silences of other services are not there, even by id; unknown and revoked keys see nothing."""
    shown = json.loads((await ours(world, "GET", "/api/v2/alerts"))[2])
    assert {one["labels"]["alertname"] for one in shown} == {"RedisDown"}
    world.filler.silence("a=b", name=NONE, origin="search")
    assert (await ours(world, "GET", f"/api/v2/silence/{NONE}"))[0] == 404
    assert (await ours(world, "DELETE", f"/api/v2/silence/{NONE}"))[0] == 500
    assert [one["id"] for one in json.loads((await ours(world, "GET", "/api/v2/silences"))[2])] == [LIVE]
    world.filler.key("R" * 32, revoked_at=NOW)
    for key in ("R" * 32, "P" * 32, "nobody"):
        refused = await world.client.get(f"/am/{key}/api/v2/alerts")
        # As at the door by which alerts come: which of the two it is, is nobody's business.
        assert refused.status_code == 401
        assert refused.json() == {"code": 401, "message": "this key is not known for alertmanager, or was revoked"}
    assert world.core.asked == []


async def test_an_alert_is_shown_as_alertmanager_shows_it(world: World) -> None:
    """Field by field, in its order."""
    alert = next(
        one
        for one in json.loads((await ours(world, "GET", "/api/v2/alerts"))[2])
        if one["labels"]["instance"] == "cart-1"
    )
    assert list(alert) == [
        "annotations", "endsAt", "fingerprint", "receivers", "startsAt", "status", "updatedAt",
        "generatorURL", "labels",
    ]  # fmt: skip
    assert alert["status"] == {"inhibitedBy": [], "silencedBy": [], "state": "active"}
    assert alert["fingerprint"] == "1a455ae926c5dd24"
    assert (alert["startsAt"], alert["endsAt"]) == ("2026-11-22T03:14:00.000Z", "2026-11-22T03:28:00.000Z")
    assert alert["receivers"] == [{"name": "checkout"}]


@pytest.mark.parametrize(
    ("query", "instances"),
    [
        ("", ["cart-1", "cart-2"]),
        ("?silenced=false", ["cart-1"]),
        ("?active=false", ["cart-2"]),
        ("?active=false&silenced=false", []),
        ("?active=no&active=yes", ["cart-1", "cart-2"]),
        ("?inhibited=false&unprocessed=false", ["cart-1", "cart-2"]),
        ("?filter=instance%3D~%22cart-.%22&filter=instance!%3Dcart-1", ["cart-2"]),
        ("?filter=nolabel%3D%22%22", ["cart-1", "cart-2"]),
        ("?filter=nolabel!%3D%22%22", []),
        ("?receiver=check.*", ["cart-1", "cart-2"]),
        ("?receiver=check", []),
    ],
)
async def test_the_filters_of_alerts_mean_what_they_mean_there(world: World, query: str, instances: list[str]) -> None:
    """Flags hide, matchers and receivers choose."""
    shown = json.loads((await ours(world, "GET", f"/api/v2/alerts{query}"))[2])
    assert sorted(one["labels"]["instance"] for one in shown) == instances


async def test_a_firing_alert_never_shows_an_end_that_has_passed(world: World) -> None:
    """Unchanged repetitions are not written one by one; a reader would take it for resolved."""
    world.filler.alert({"alertname": "Old"}, ends_at=NOW - MINUTE, ttl=4 * MINUTE)
    world.filler.alert({"alertname": "Endless"}, ends_at=None)
    shown = json.loads((await ours(world, "GET", "/api/v2/alerts"))[2])
    assert all(one["endsAt"] > format_rfc3339(NOW) for one in shown)
    assert {"Old", "Endless"} <= {one["labels"]["alertname"] for one in shown}


async def test_groups_are_those_the_routes_made(world: World) -> None:
    """Labels of the group, its receiver, its alerts by instance."""
    for place in ("b", "a"):
        labels = {"alertname": "Full", "zone": "eu,west", "instance": place}
        world.filler.alert(labels, group="alertname=Full,zone=eu,west")
    found = json.loads((await ours(world, "GET", "/api/v2/alerts/groups?filter=alertname%3DFull"))[2])
    assert [one["labels"] for one in found] == [{"alertname": "Full", "zone": "eu,west"}]
    assert [one["labels"]["instance"] for one in found[0]["alerts"]] == ["a", "b"]
    assert found[0]["receiver"] == {"name": "checkout"}


async def test_silences_are_listed_in_force_first_then_to_come_then_over(world: World) -> None:
    """And filtered by their own matchers, letter for letter."""
    world.filler.silence("a=b", "c!~d", name="soon", origin="checkout", starts_at=NOW + MINUTE)
    world.filler.silence("a=b", name="over", origin="checkout", starts_at=NOW - HOUR, ends_at=NOW - MINUTE)
    world.filler.silence("a=b", name="first", origin="checkout", ends_at=NOW + MINUTE)
    shown = json.loads((await ours(world, "GET", "/api/v2/silences"))[2])
    assert [one["id"] for one in shown] == ["first", LIVE, "soon", "over"]
    assert list(shown[0]) == ["id", "status", "updatedAt", "comment", "createdBy", "endsAt", "matchers", "startsAt"]
    chosen = json.loads((await ours(world, "GET", "/api/v2/silences?filter=a%3Db&filter=c!~d"))[2])
    assert [one["id"] for one in chosen] == ["soon"]
    assert chosen[0]["matchers"][1] == {"isEqual": False, "isRegex": True, "name": "c", "value": "d"}


async def test_a_silence_is_set_for_the_key_s_service(world: World) -> None:
    """A missing `isEqual` means true; Go's zero time means from now on."""
    world.core.answer = Result(ok=True, id=LIVE, reason=Reason.SILENCE_CREATED)
    body = silence(startsAt="0001-01-01T00:00:00.000Z", matchers=[{"name": "a", "value": "b", "isRegex": True}])
    answer = await ours(world, "POST", "/api/v2/silences", json.dumps(body).encode())
    assert answer == (200, "application/json", f'{{"silenceID":"{LIVE}"}}\n')
    command, _ = world.core.asked[0]
    assert isinstance(command, SetSilence)
    assert (command.origin, command.actor, command.id) == ("checkout", "key:1", "")
    assert command.matchers == (Matcher("a", "=~", "b"),)
    assert command.starts_at < NOW
    assert command.ends_at == parse_rfc3339("2100-01-01T00:00:00Z")


async def test_an_update_keeps_the_beginning_it_was_read_with(world: World) -> None:
    """Clients send milliseconds back; one that is over begins anew under no old id."""
    name = world.filler.silence(
        "a=b", name="aaaaaaaa-2222-3333-4444-555555555555", origin="checkout", starts_at=NOW - MINUTE + 42
    )
    body = silence(id=name, startsAt=format_rfc3339(NOW - MINUTE + 42))
    assert (await ours(world, "POST", "/api/v2/silences", json.dumps(body).encode()))[0] == 200
    over = world.filler.silence(
        "a=b", name="bbbbbbbb-2222-3333-4444-555555555555", origin="checkout", starts_at=NOW - HOUR, ends_at=NOW - 1
    )
    assert (await ours(world, "POST", "/api/v2/silences", json.dumps(silence(id=over)).encode()))[0] == 200
    (first, _), (second, _) = world.core.asked
    assert isinstance(first, SetSilence)
    assert isinstance(second, SetSilence)
    assert (first.id, first.starts_at) == (name, NOW - MINUTE + 42)
    assert second.id == ""


async def test_deleting_expires_once(world: World) -> None:
    """What is over stays over, without a word."""
    assert await ours(world, "DELETE", f"/api/v2/silence/{LIVE}") == (200, "", "")
    assert world.core.asked == [(ExpireSilence(actor="key:1", id=LIVE, origin="checkout"), "")]
    over = world.filler.silence("a=b", name=NONE, origin="checkout", starts_at=NOW - HOUR, ends_at=NOW - 1)
    assert await ours(world, "DELETE", f"/api/v2/silence/{over}") == (200, "", "")
    assert len(world.core.asked) == 1


async def test_without_the_core_silencing_answers_503(world: World) -> None:
    """And readiness says so too, while reads go on."""
    world.core.gone = True
    assert (await ours(world, "POST", "/api/v2/silences", json.dumps(silence()).encode()))[0] == 503
    assert (await ours(world, "GET", "/-/ready"))[0] == 503
    assert (await ours(world, "GET", "/-/healthy"))[0] == 200
    assert (await ours(world, "GET", "/api/v2/alerts"))[0] == 200
    assert (await ours(world, "GET", "/api/v2/status"))[0] == 200
