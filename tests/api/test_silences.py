"""Silences over the API."""

from __future__ import annotations

from tests.api.client import World
from tests.faces.filled import NOW
from tocsin.engine.commands import ExpireSilence, Result, SetSilence
from tocsin.kernel.instant import HOUR, MINUTE
from tocsin.kernel.matcher import Matcher
from tocsin.runtime.line import Firing

LIVE = "11111111-2222-3333-4444-555555555555"


async def test_live_and_expired_silences_are_told_apart(world: World) -> None:
    """The default is what is in force or to come."""
    assert [one["id"] for one in (await world.get("/silences"))["items"]] == [LIVE]
    expired = (await world.get("/silences?state=expired"))["items"]
    assert [one["state"] for one in expired] == ["expired"]
    both = await world.get("/silences?state=all&limit=1")
    rest = await world.get(f"/silences?state=all&limit=1&cursor={both['next']}")
    assert [one["state"] for one in both["items"] + rest["items"]] == ["active", "expired"]
    assert rest["next"] is None


async def test_matchers_come_as_texts_or_objects(world: World) -> None:
    """Both become the same matchers; the author is who asks."""
    world.core.answer = Result(ok=True, id=LIVE)
    body = {
        "matchers": ['job="x"', {"label": "instance", "operator": "=~", "value": "cart-.*"}],
        "comment": "upgrade",
        "duration": "2h",
    }
    assert (await world.call("POST", "/silences", body, "responder")).status_code == 201
    command, _ = world.core.asked[0]
    assert command == SetSilence(
        actor="person:ana", author="ana", comment="upgrade", starts_at=NOW, ends_at=NOW + 2 * HOUR,
        matchers=(Matcher("job", "=", "x"), Matcher("instance", "=~", "cart-.*")),
    )  # fmt: skip


async def test_a_silence_of_everything_is_meant(world: World) -> None:
    """Matchers that what has no label meets are refused without the word for it, but where they stay as they were."""
    world.core.answer = Result(ok=True, id=LIVE)
    for matchers in (["foo!=bar"], ["foo!=bar", 'a=~".*"'], ['a=""'], ["a!~b"]):
        body = {"matchers": matchers, "comment": "x", "duration": "1h"}
        refused = await world.call("POST", "/silences", body)
        assert (refused.status_code, refused.json()["field"]) == (400, "matchers")
        assert "without any label" in refused.json()["detail"] and world.core.asked == []
        assert (await world.call("POST", "/silences", body | {"everything": True})).status_code == 201
        command, _ = world.core.asked.pop()
        assert isinstance(command, SetSilence) and command.everything
    assert (await world.call("POST", "/silences", body | {"matchers": ["a!=b", "c=d"]})).status_code == 201
    world.core.asked.clear()
    name = world.filler.silence("a!=b", name="wide", starts_at=NOW - MINUTE)
    longer = {"matchers": ['a!="b"'], "comment": "x", "duration": "3h"}
    assert (await world.call("PUT", f"/silences/{name}", longer)).status_code == 200
    assert (await world.call("PUT", f"/silences/{name}", longer | {"matchers": ["b!=c"]})).status_code == 400


async def test_a_silence_says_how_many_alerts_it_keeps_quiet(world: World) -> None:
    """As the core counts them, in the answer and in the list; what is over keeps nothing quiet."""
    world.core.answer = Result(ok=True, id=LIVE)
    world.core.fires = Firing(40, {LIVE: 3})
    body = {"matchers": ["a=b"], "comment": "x", "duration": "2h"}
    made = (await world.call("POST", "/silences", body)).json()
    assert (made["quiet_now"], made["firing_now"]) == (3, 40)
    both = (await world.get("/silences?state=all"))["items"]
    assert [one["quiet_now"] for one in both] == [3, 0]
    world.core.fires = Firing()
    assert (await world.get(f"/silences/{LIVE}"))["quiet_now"] is None


async def test_a_silence_says_exactly_one_end(world: World) -> None:
    """Neither and both are refused, and so is a matcher that cannot be read."""
    body = {"matchers": ["a=b"], "comment": "x"}
    assert (await world.call("POST", "/silences", body)).json()["field"] == "ends_at"
    both = body | {"ends_at": "2026-11-23T00:00:00Z", "duration": "1h"}
    assert (await world.call("POST", "/silences", both)).json()["field"] == "ends_at"
    assert (await world.call("POST", "/silences", body | {"ends_at": "tomorrow"})).json()["field"] == "ends_at"
    bad = body | {"matchers": ["a=b", 'c=~"["'], "duration": "1h"}
    assert (await world.call("POST", "/silences", bad)).json()["field"] == "matchers.1"


async def test_a_beginning_read_with_fewer_digits_is_the_same_beginning(world: World) -> None:
    """What was read and is sent back changes nothing but what was meant."""
    name = world.filler.silence("a=b", name="s", starts_at=NOW - MINUTE + 123_456, origin="checkout")
    world.core.answer = Result(ok=True, id=name)
    read = await world.get(f"/silences/{name}")
    body = {key: read[key] for key in ("matchers", "comment", "author", "starts_at")} | {"duration": "3h"}
    assert (await world.call("PUT", f"/silences/{name}", body)).status_code == 200
    command, _ = world.core.asked[0]
    assert isinstance(command, SetSilence)
    assert (command.id, command.starts_at, command.ends_at) == (name, NOW - MINUTE + 123_456, NOW + 3 * HOUR)
    assert command.origin == "checkout"


async def test_expiring_answers_without_content(world: World) -> None:
    """204, and the core is asked."""
    assert (await world.call("DELETE", f"/silences/{LIVE}", {}, "responder")).status_code == 204
    assert world.core.asked == [(ExpireSilence(actor="person:ana", id=LIVE), "")]
