"""PagerDuty's Events API v2, as its own client and Alertmanager's notifier use it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.intake.hearing import NOW, answer, hear, recorded
from tocsin.intake.request import Heard
from tocsin.intake.sources import pagerduty
from tocsin.intake.sources.pagerduty import redacted, routing_key
from tocsin.kernel.instant import SECOND, parse_rfc3339

KEY = "R0123456789ABCDEF0123456789ABCDE"
PAYLOAD = {"summary": "db down", "source": "db1", "severity": "critical"}


def send(event: object, path: str = "/v2/enqueue", **how: Any) -> Heard:
    return hear("pagerduty", event, path=path, **how)


def trigger(**fields: Any) -> dict[str, Any]:
    return {"routing_key": KEY, "event_action": "trigger", "payload": PAYLOAD, **fields}


def payload(**fields: Any) -> dict[str, Any]:
    return trigger(payload={**PAYLOAD, **fields})


# --- What real senders sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pagerduty", "alertmanager_pagerduty"])
def test_recorded_requests_are_taken_as_they_were(name: str) -> None:
    for record in recorded(name):
        sent = json.loads(record["body"]["text"])
        heard = send(record["body"]["text"], record["path"], now=int(record["t"] * SECOND))
        assert heard.reply.status == record["reply"]["status"] == 202
        assert answer(heard)["status"] == "success" and not heard.fault
        if record["path"] == "/v2/change/enqueue":
            assert [change.summary for change in heard.changes] == [sent["payload"]["summary"]]
            continue
        (event,) = heard.events
        assert answer(heard)["dedup_key"] == event.key == sent.get("dedup_key", event.key)
        assert event.key and event.label_text == b""


def test_alertmanagers_notifier_brings_everything_worth_a_look() -> None:
    record = next(r for r in recorded("alertmanager_pagerduty") if "DiskFull" in r["body"]["text"])
    (event,) = send(record["body"]["text"]).events
    assert event.labels == {"source": "Alertmanager", "class": "DiskFull", "component": "db1", "group": "storage"}
    assert event.title == "[FIRING:1] DiskFull storage (db1 critical)" and event.severity == "critical"
    assert event.link == "http://prom.example:27093/#/alerts?receiver=all"
    assert event.annotations["client"] == "Alertmanager" and event.annotations["num_firing"] == "1"
    assert "disk 97%" in event.annotations["firing"]


# --- Events ----------------------------------------------------------------------------------------------------------


def test_a_trigger_fires_until_it_is_resolved() -> None:
    (event,) = send(trigger(dedup_key="k")).events
    assert (event.key, event.state, event.starts_at, event.ends_at) == ("k", "firing", NOW, None)
    assert event.labels == {"source": "db1"} and event.title == "db down" and event.severity == "critical"


@pytest.mark.parametrize(("action", "state"), [("acknowledge", "acknowledged"), ("resolve", "resolved")])
def test_acknowledging_and_resolving_need_the_key_alone(action: str, state: str) -> None:
    heard = send({"routing_key": KEY, "event_action": action, "dedup_key": "k"})
    assert [(event.key, event.state) for event in heard.events] == [("k", state)]
    assert answer(heard) == {"status": "success", "message": "Event processed", "dedup_key": "k"}
    refused = send({"routing_key": KEY, "event_action": action})
    assert answer(refused)["errors"] == ["'dedup_key' is missing or blank"] and not refused.park


def test_a_key_that_was_not_given_is_made_from_the_content_and_the_time() -> None:
    first, again = send(trigger()), send(trigger())
    assert first.events[0].key == again.events[0].key == answer(first)["dedup_key"]
    assert send(trigger(), now=NOW + 1).events[0].key != first.events[0].key
    assert send(trigger(client="x")).events[0].key != first.events[0].key


def test_severity_is_free_text() -> None:
    assert send(payload(severity="Sev-2 (page)")).events[0].severity == "Sev-2 (page)"


@pytest.mark.parametrize(
    ("timestamp", "starts_at"),
    [
        ("2026-11-21T22:00:00Z", "2026-11-21T22:00:00Z"),
        ("2026-11-21T23:00:00.000+0100", "2026-11-21T22:00:00Z"),
        ("2026-11-21T22:00:00", "2026-11-21T22:00:00Z"),
        ("2027-01-01T00:00:00Z", "2026-11-22T03:24:00Z"),
        ("yesterday", "2026-11-22T03:24:00Z"),
        ("0001-01-01T00:00:00Z", "2026-11-22T03:24:00Z"),
        (5, "2026-11-22T03:24:00Z"),
    ],
)
def test_a_timestamp_says_when_it_started_if_it_can_be_read(timestamp: object, starts_at: str) -> None:
    assert send(payload(timestamp=timestamp)).events[0].starts_at == parse_rfc3339(starts_at)


def test_custom_details_become_annotations_whatever_they_are() -> None:
    deep = {"1": {"2": {"3": {"4": {"5": [6]}}}}}
    details = {"load": 9, "ok": True, "none": None, "a": {"b": [1, {"c": "x"}]}, "deep": deep}
    notes = send(payload(custom_details=details)).events[0].annotations
    assert notes == {
        "load": "9", "ok": "true", "none": "", "a.b.1": "1", "a.b.2.c": "x", "deep.1.2.3.4.5": "[6]",
    }  # fmt: skip
    assert send(payload(custom_details="text")).events[0].annotations == {"details": "text"}
    assert send(payload(custom_details=["a", "b"])).events[0].annotations == {"1": "a", "2": "b"}
    huge = json.dumps(payload(custom_details={"n": "HUGE", "m": "LONG", "f": 1.5})).encode()
    huge = huge.replace(b'"HUGE"', b"1e400").replace(b'"LONG"', b"9" * 5_000)
    assert send(huge).events[0].annotations == {"n": "1e400", "m": "9" * 5_000, "f": "1.5"}


def test_very_many_details_are_bounded() -> None:
    notes = send(payload(custom_details={f"n{n}": "x" * 20_000 for n in range(1_000)})).events[0].annotations
    assert len(notes) <= 128 and max(map(len, notes.values())) == 16_384 and "tocsin_cut" in notes


def test_links_and_images_become_annotations_and_the_first_web_address_the_link() -> None:
    event = send(
        trigger(
            client_url="javascript:alert(1)",
            links=[{"href": "https://x.example/1", "text": "runbook"}, {"text": "no address"}, "x"],
            images=[{"src": "https://x/a.png", "alt": "graph", "href": "https://x/a"}],
        )
    ).events[0]
    assert event.link == "https://x.example/1"
    assert event.annotations["link_1"] == "runbook https://x.example/1"
    assert event.annotations["image_1"] == "graph https://x/a.png https://x/a"


def test_a_long_summary_is_cut_and_kept_whole_beside() -> None:
    event = send(payload(summary="s" * 2_000)).events[0]
    assert len(event.title) == 1_024 and event.annotations["summary"] == "s" * 2_000


def test_long_keys_that_differ_at_their_ends_stay_different_and_come_back_whole() -> None:
    one, two = (send(trigger(dedup_key="k" * 300 + end)) for end in "ab")
    assert len(one.events[0].key) == 255 and one.events[0].key != two.events[0].key
    assert answer(one)["dedup_key"] == "k" * 300 + "a"


def test_a_change_is_a_change() -> None:
    record = next(r for r in recorded("pagerduty") if r["path"] == "/v2/change/enqueue")
    heard = send(record["body"]["text"], "/v2/change/enqueue")
    (change,) = heard.changes
    assert (change.summary, change.link) == ("deployed v2", "https://ci/1")
    assert change.at == parse_rfc3339("2026-11-21T22:00:00Z")
    assert change.details == {"link_1": "build https://ci/1", "sha": "abc", "source": "ci"}
    assert answer(heard)["status"] == "success" and heard.events == ()


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "errors"),
    [
        (trigger(routing_key=None), ["'routing_key' is missing or blank"]),
        (trigger(routing_key="short"), ["Length of 'routing_key' is incorrect (should be 32 characters)"]),
        (trigger(event_action=None), ["'event_action' is missing or blank"]),
        (trigger(event_action="page"), ["'event_action' must be one of trigger, acknowledge, resolve"]),
        (trigger(payload=None), ["'payload' is missing or blank"]),
        (trigger(payload=[]), ["'payload' must be an object"]),
        (payload(summary=" "), ["'payload.summary' is missing or blank"]),
        (payload(summary=5), ["'payload.summary' must be a text"]),
        (
            payload(source=None, severity=""),
            ["'payload.source' is missing or blank", "'payload.severity' is missing or blank"],
        ),
        (payload(source={}), ["'payload.source' must be a text"]),
        (trigger(dedup_key=5), ["'dedup_key' must be a text"]),
    ],
)
def test_a_refusal_names_every_field_in_pagerdutys_shape(event: dict[str, Any], errors: list[str]) -> None:
    heard = send(event)
    assert heard.reply.status == 400 and heard.events == ()
    assert answer(heard) == {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    # Monitors drop what was answered 400; a trigger of a known key must not be lost silently.
    assert heard.park is (event.get("event_action") == "trigger" and "routing_key" not in errors[0])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b'{"a":NaN}'])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    heard = send(body)
    assert heard.reply.status == 400 and answer(heard)["status"] == "invalid event" and not heard.park


def test_there_is_nothing_elsewhere() -> None:
    assert send(trigger(), "/v2/other").reply.status == 404
    assert send(trigger(), method="GET").reply.headers == (("Allow", "POST"),)


def test_refusals_of_tocsins_own_have_pagerdutys_shape() -> None:
    reply = pagerduty.refuse(429, "slow down", 7)
    assert (reply.status, reply.headers) == (429, (("Retry-After", "7"),))
    assert json.loads(reply.body) == {"status": "throttle exceeded", "message": "slow down", "errors": ["slow down"]}


# --- The key in the body ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (json.dumps(trigger()).encode(), KEY),
        (b'{"payload":{"n":1e400},"routing_key":"%s"}' % KEY.encode(), KEY),
        (b'{"x":"\xff","routing_key":"%s"}' % KEY.encode(), KEY),
        (b'{"routing_key":"\\u0052%s"}' % KEY[1:].encode(), KEY),
        (b'{"routing_key":"short"}', None),
        (b'{"routing_key":5}', None),
        (b'{"routing_key":"%s' % KEY.encode(), None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_the_routing_key_is_found_before_anything_is_decoded_and_can_be_taken_out(body: bytes, key: str | None) -> None:
    assert routing_key(body) == key
    assert key is None or KEY.encode() not in redacted(body)
    assert key is not None or redacted(body) == body


def test_a_redacted_request_reads_the_same() -> None:
    body = json.dumps(trigger(dedup_key="k", client=f"key {KEY}")).encode()
    (event,) = send(redacted(body)).events
    assert event.key == "k" and KEY not in str(event)
    escaped = b'{"routing_key":"\\u0052%s","event_action":"resolve","dedup_key":"k"}' % KEY[1:].encode()
    assert send(redacted(escaped)).events[0].state == "resolved"


@pytest.mark.parametrize(
    "inside",
    [
        b'"x":[' + b"{}," * 160_000 + b"{}]",
        b'"x":"' + b"\\ud800" * 80_000 + b'"',
        b'"x":[' + b"1e999," * 80_000 + b"1]",
        b'"x":"' + b"\xff" * 480_000 + b'"',
    ],
    ids=["objects", "halves of pairs", "numbers", "bytes"],
)
def test_of_what_anybody_may_send_nothing_is_made_to_find_its_key(
    inside: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for on the event loop, before anybody is known."""
    monkeypatch.setattr(pagerduty, "read_json", lambda body: pytest.fail("a stranger's body was read whole"))
    assert routing_key(b'{"routing_key":5,' + inside + b"}") is None
    assert routing_key(b'{"routing_key":"%s",' % KEY.encode() + inside + b"}") == KEY
    assert routing_key(b'{"routing_key":[' + inside[5:-1] + b"]}") is None
