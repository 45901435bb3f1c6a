"""Tocsin's own events."""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import Any

import pytest

from tests.intake.hearing import LIMITS, NOW, answer, hear
from tocsin.intake.request import Heard, Limits, Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.identity import keyed, label_text
from tocsin.kernel.instant import HOUR, format_rfc3339

LATER, EARLIER = format_rfc3339(NOW + HOUR), format_rfc3339(NOW - HOUR)


def post(body: object, path: str = "/api/events", **how: Any) -> Heard:
    return hear("events", body, path=path, **how)


def test_one_event_needs_a_title_alone() -> None:
    heard = post({"title": "disk full"})
    (event,) = heard.events
    assert (event.title, event.state, event.starts_at, event.ends_at) == ("disk full", "firing", NOW, None)
    assert heard.reply.status == 202
    # Nothing else tells it from another one, so it gets a key that the answer names.
    assert answer(heard) == {"accepted": 1, "keys": [event.key]} and len(event.key) == 32
    assert post({"title": "disk full"}, now=NOW + 1).events[0].key != event.key


def test_everything_an_event_can_say() -> None:
    heard = post(
        {
            "title": "backup late", "state": "firing", "key": "backup/db1", "labels": {"host": "db1", "n": 5, "no": ""},
            "annotations": {"last": "yesterday", "ok": False}, "severity": "warning", "starts_at": EARLIER,
            "ends_at": LATER, "link": "https://runbooks.example/backup",
        }
    )  # fmt: skip
    (event,) = heard.events
    assert event.labels == {"host": "db1", "n": "5"} and event.annotations == {"last": "yesterday", "ok": "false"}
    assert (event.key, event.severity, event.link) == ("backup/db1", "warning", "https://runbooks.example/backup")
    assert (event.starts_at, event.ends_at) == (NOW - HOUR, NOW + HOUR)
    assert answer(heard) == {"accepted": 1}


def test_an_array_is_told_how_a_batch_is_written() -> None:
    heard = post([{"title": "a"}])
    assert heard.reply.status == 400
    assert "body must be a JSON object, one event" in heard.fault
    assert '{"events": [...]}' in heard.fault


def test_what_is_over_and_does_not_fire_is_counted() -> None:
    """By its key or its labels; what begins in the same request fires."""
    over = [{"key": "a", "state": "resolved"}, {"labels": {"x": "y"}, "state": "acknowledged"}]
    assert answer(post({"events": over})) == {"accepted": 2, "not_firing": 2}
    known = {keyed("a"): SimpleNamespace(firing=True), label_text({"x": "y"}): SimpleNamespace(firing=False)}
    assert answer(post({"events": over}, known=known)) == {"accepted": 2, "not_firing": 1}
    assert answer(post({"events": [{"title": "t", "key": "a"}, over[0]]})) == {"accepted": 2}


def test_a_batch_is_taken_in_order() -> None:
    heard = post({"events": [{"title": "a", "key": "1"}, {"title": "b", "labels": {"x": "y"}}, {"title": "c"}]})
    assert [event.title for event in heard.events] == ["a", "b", "c"]
    assert answer(heard) == {"accepted": 3, "keys": ["", "", heard.events[2].key]}
    assert answer(post({"events": []})) == {"accepted": 0}


def test_two_alike_in_one_batch_without_keys_are_two() -> None:
    one, two = post({"events": [{"title": "a"}, {"title": "a"}]}).events
    assert one.key != two.key


@pytest.mark.parametrize(("ends_at", "ended"), [(None, NOW), (EARLIER, NOW - HOUR), (LATER, NOW)])
def test_resolved_says_when_it_ended_and_that_is_never_later_than_now(ends_at: str | None, ended: int) -> None:
    (event,) = post({"title": "a", "key": "k", "state": "resolved", "ends_at": ends_at}).events
    assert (event.state, event.ends_at) == ("resolved", ended)


@pytest.mark.parametrize(
    ("event", "field", "message"),
    [
        ({}, "title", "missing"),
        ({"title": " "}, "title", "blank"),
        ({"title": 5}, "title", "must be a text, not a number"),
        ({"title": "a", "serverity": "x"}, "serverity", "not a known field; known are title, state"),
        ({"title": "a", "state": "broken"}, "state", "firing, resolved, acknowledged"),
        ({"title": "a", "state": "resolved"}, "key", "without a key or labels"),
        ({"title": "a", "key": ["x"]}, "key", "not an array"),
        ({"title": "a", "labels": "x"}, "labels", "an object of texts"),
        ({"title": "a", "labels": {"x": None}}, "labels.x", "not null"),
        ({"title": "a", "annotations": {"x": {}}}, "annotations.x", "not an object"),
        ({"title": "a", "labels": {" ": "x"}}, "labels[' ']", "needs a name"),
        ({"title": "a", "starts_at": "yesterday"}, "starts_at", "as in 2026-11-22T03:24:00Z"),
        ({"title": "a", "starts_at": "2026-11-22T03:24:00"}, "starts_at", "needs a zone"),
        ({"title": "a", "starts_at": "2026-11-22"}, "starts_at", "as in 2026-11-22T03:24:00Z"),
        ({"title": "a", "starts_at": 5}, "starts_at", "not a number"),
        ({"title": "a", "starts_at": format_rfc3339(NOW + 25 * HOUR)}, "starts_at", "more than a day ahead"),
        ({"title": "a", "ends_at": EARLIER}, "ends_at", "has passed"),
        ({"title": "a", "starts_at": LATER, "ends_at": format_rfc3339(NOW + 1_000)}, "ends_at", "before starts_at"),
    ],
)
def test_what_is_wrong_is_named_field_by_field(event: dict[str, Any], field: str, message: str) -> None:
    for body, place in ((event, ""), ({"events": [{"title": "good"}, event]}, "events[1].")):
        heard = post(body)
        assert (heard.reply.status, heard.reply.content_type) == (400, "application/problem+json")
        problem = answer(heard)
        assert [error["field"] for error in problem["errors"]] == [place + field]
        assert message in problem["errors"][0]["message"]
        assert heard.events == (), "all or nothing"
        assert heard.fault and (place == "" and event.get("state") == "resolved") != heard.park


def test_everything_that_is_wrong_is_named_at_once_within_reason() -> None:
    problem = answer(post({"events": [{"state": "x", "severity": 5}, {"title": "a", "starts_at": "x"}]}))
    assert [error["field"] for error in problem["errors"]] == [
        "events[0].state", "events[0].title", "events[0].severity", "events[1].starts_at",
    ]  # fmt: skip
    assert len(answer(post({"events": [{}] * 4_000}))["errors"]) == 50


@pytest.mark.parametrize(
    ("body", "field"), [(b"[]", "body"), (b"5", "body"), ({"events": 5}, "events"), ({"events": [5]}, "events[0]"),
                        ({"events": [], "title": "x"}, "title")]
)  # fmt: skip
def test_what_has_not_the_shape_of_events_is_named(body: object, field: str) -> None:
    assert answer(post(body))["errors"][0]["field"] == field


@pytest.mark.parametrize("body", [b"", b"{", b"title=x", b"[" * 100_000])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    heard = post(body)
    assert heard.reply.status == 400 and answer(heard)["detail"].startswith("the body is not JSON: ")
    assert heard.park and answer(heard)["detail"].endswith("it was kept, and a person is told")


def test_what_a_script_sent_in_vain_is_kept_for_a_person() -> None:
    """A cron script reads no answers: what it wanted to say must not be known to nobody."""
    assert post({"title": 5}).park and post(b"disk full").park and post({"events": 5}).park
    assert post({"events": [{"key": "a", "state": "resolved"}, {"titel": "disk full"}]}).park
    assert not post({"state": "resolved"}).park, "what is over pages nobody anyway"
    typed = Request(source="events", method="POST", path="/api/events", headers={"x-actor": "person:ana"}, body=b"{}")
    heard = SOURCES["events"].decode(typed, NOW, LIMITS, {})
    assert heard.reply.status == 400 and not heard.park, "a person at the keyboard reads the answer"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "see the wiki", 5, ["a"]])
def test_an_odd_link_costs_nothing_but_itself(link: object) -> None:
    heard = post({"title": "db down", "link": link, "annotations": {"team": "dba"}})
    (event,) = heard.events
    assert heard.reply.status == 202 and (event.title, event.link) == ("db down", "")
    said = "a" if isinstance(link, list) else str(link)
    assert said in event.annotations.values() and event.annotations["team"] == "dba"


@pytest.mark.parametrize("state", ["resolved", "acknowledged"])
def test_what_is_over_needs_no_title(state: str) -> None:
    (event,) = post({"key": "kk", "state": state}).events
    assert (event.key, event.state, event.title) == ("kk", state, "")


def test_other_routes_methods_and_sizes_are_refused() -> None:
    assert post({"title": "a"}, "").reply.status == 202
    assert post({"title": "a"}, "/other").reply.status == 404
    assert post({"title": "a"}, method="GET").reply.headers == (("Allow", "POST"),)
    assert post({"events": [{"title": "a"}] * 3}, limits=Limits(alerts=2)).reply.status == 413


def test_long_texts_are_cut() -> None:
    long = "x" * 50_000
    (event,) = post({"title": long, "key": long, "labels": {"a": long}, "annotations": {"a": long}}).events
    assert (len(event.title), len(event.key), len(event.labels["a"]), len(event.annotations["a"])) == (
        1_024, 255, 2_048, 16_384,
    )  # fmt: skip


def test_a_compressed_body_is_told_to_be_one_and_kept() -> None:
    heard = post(gzip.compress(b"{}"))
    assert heard.park
    assert heard.fault == "the body is not JSON: it is compressed (gzip), and bodies are taken as they are"
