"""Alertmanager's API v2, as Prometheus and amtool use it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.intake.hearing import NOW, Remembered, answer, hear, recorded, remembered
from tocsin.intake.go_texts import is_request_uri
from tocsin.intake.request import Heard, Limits
from tocsin.intake.sources.alertmanager import RESOLVE_TIMEOUT
from tocsin.kernel.instant import MINUTE, SECOND, format_rfc3339, parse_rfc3339, to_datetime

ZERO = "0001-01-01T00:00:00.000Z"


def post(body: object, **how: Any) -> Heard:
    return hear("alertmanager", body, path="/api/v2/alerts", **how)


def alert(labels: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"labels": {"alertname": "Down"} if labels is None else labels, **fields}


def at(seconds: int) -> str:
    return format_rfc3339(NOW + seconds * SECOND)


# --- What real senders sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prometheus_to_alertmanager_api", "amtool"])
def test_recorded_requests_are_answered_as_a_real_alertmanager_answered_them(name: str) -> None:
    for record in recorded(name):
        sent = {header.lower(): value for header, value in record["headers"]}
        heard = post(record["body"]["text"], now=int(record["t"] * SECOND), content_type=sent["content-type"])
        assert heard.reply.status == record["reply"]["status"] == 200
        assert heard.reply.body.decode() == record["reply"]["body"]
        assert len(heard.events) == len(json.loads(record["body"]["text"]))
        assert not heard.fault and not heard.park


def test_what_prometheus_sent_in_two_minutes_reads_as_it_meant_it() -> None:
    known: dict[bytes, Remembered] = {}
    story = []
    for record in recorded("prometheus_to_alertmanager_api"):
        now = int(record["t"] * SECOND)
        heard = post(record["body"]["text"], now=now, known=known)
        for event in heard.events:
            story.append(f"{event.title} {event.state}")
            known.pop(event.label_text, None)  # what has ended is no repetition
            known |= remembered(event, now=now)
        story += ["repeated"] * len(heard.repeated)
    flaps = ["flapping firing", "flapping resolved"]
    assert story == ["127.0.0.1:1 down firing", *flaps, *flaps, "repeated", *flaps]


def test_the_alert_amtool_adds_without_times_starts_now_and_times_out() -> None:
    (event,) = post(recorded("amtool")[0]["body"]["text"]).events
    assert event.labels == {"alertname": "DiskFull", "instance": "db1", "service": "storage", "severity": "critical"}
    assert event.annotations == {"runbook_url": "http://rb/x", "summary": "disk 97%"}
    assert (event.title, event.severity, event.link, event.key) == ("disk 97%", "critical", "http://gen/x", "")
    assert (event.starts_at, event.ends_at, event.timeout) == (NOW, NOW + RESOLVE_TIMEOUT, True)


# --- Times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unset", [{}, {"startsAt": None, "endsAt": None}, {"startsAt": ZERO, "endsAt": ZERO}])
def test_without_times_an_alert_starts_now_and_ends_in_five_minutes_unless_repeated(unset: dict[str, Any]) -> None:
    (event,) = post([alert(**unset)]).events
    assert (event.state, event.starts_at, event.ends_at, event.timeout) == ("firing", NOW, NOW + 5 * MINUTE, True)


@pytest.mark.parametrize(("seconds", "state"), [(60, "firing"), (1, "firing"), (0, "resolved"), (-60, "resolved")])
def test_an_alert_whose_end_has_passed_is_resolved(seconds: int, state: str) -> None:
    (event,) = post([alert(startsAt=at(-600), endsAt=at(seconds))]).events
    assert (event.state, event.starts_at, event.ends_at, event.timeout) == (
        state, NOW - 600 * SECOND, NOW + seconds * SECOND, False,
    )  # fmt: skip


def test_an_alert_with_an_end_and_no_start_starts_at_its_end() -> None:
    (event,) = post([alert(endsAt=at(-60))]).events
    assert event.starts_at == event.ends_at == NOW - 60 * SECOND


def test_an_empty_time_is_1970_as_in_alertmanagers_library() -> None:
    (event,) = post([alert(startsAt="", endsAt="")]).events
    assert (event.state, event.starts_at, event.ends_at) == ("resolved", 0, 0)


@pytest.mark.parametrize("fields", [{"startsAt": at(60), "endsAt": at(30)}, {"startsAt": at(301)}])
def test_a_start_after_the_end_is_refused(fields: dict[str, Any]) -> None:
    heard = post([alert(**fields)])
    assert heard.reply.status == 400 and heard.reply.body == b'"start time must be before end time"\n'
    assert heard.events == () and heard.fault


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00.500+0200", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456Z"),
        ("2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.5Z"),
        ("2026-01-01T1:00:00Z", "2026-01-01T01:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01 00:00:00", "2026-01-01T00:00:00Z"),
        ("0001-01-01T02:00:00+02:00", at(0)),
    ],
)
def test_times_are_read_in_every_layout_alertmanager_reads(text: str, same: str) -> None:
    (event,) = post([alert(startsAt=text)]).events
    assert event.starts_at == parse_rfc3339(same)


@pytest.mark.parametrize(
    "text", ["x", "2026-01-01", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z",
             "2026-01-01T00:00:60Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:00+0200", "2026-W01-1T00:00:00Z"]
)  # fmt: skip
@pytest.mark.parametrize("field", ["startsAt", "endsAt"])
def test_a_time_that_is_none_refuses_the_whole_batch_and_is_named(text: str, field: str) -> None:
    heard = post([alert(), {**alert(), field: text}])
    assert heard.reply.status == 400 and answer(heard)["code"] == 400
    assert answer(heard)["message"].startswith('parsing alerts body from "" failed, because alerts[1].' + field)
    assert heard.events == () and heard.park


@pytest.mark.parametrize(("text", "year"), [("0000-01-01T00:00:00Z", 1), ("9999-12-31T23:59:59-12:00", 9999)])
def test_times_stay_within_what_a_calendar_can_show(text: str, year: int) -> None:
    (event,) = post([alert(startsAt="0001-01-02T00:00:00Z", endsAt=text) if year > 1 else alert(startsAt=text)]).events
    shown = event.ends_at if year > 1 else event.starts_at
    assert shown is not None and to_datetime(shown).year == year


# --- Labels and annotations ------------------------------------------------------------------------------------------


def test_empty_label_values_are_absent_labels_and_empty_annotations_stay() -> None:
    (event,) = post([alert({"a": "x", "b": "", "1?": "", "c": None}, annotations={"n": "", "m": None})]).events
    assert event.labels == {"a": "x"}
    assert event.annotations == {"n": "", "m": ""}


@pytest.mark.parametrize("labels", [{}, {"a": ""}, {"a": None}])
def test_an_alert_without_labels_is_refused(labels: dict[str, Any]) -> None:
    assert post([alert(labels)]).reply.body == b'"at least one label pair required"\n'


@pytest.mark.parametrize("name", ["1a", "a-b", "", "é", "a b", "a:b", "a\n"])
def test_names_are_letters_digits_and_underscores(name: str) -> None:
    assert post([alert({name: "x"})]).reply.body.startswith(b'"invalid label set: invalid name ')
    assert post([alert(annotations={name: "x"})]).reply.body.startswith(b'"invalid annotations: invalid name ')


def test_the_good_part_of_a_bad_batch_is_kept_and_the_answer_names_the_rest() -> None:
    heard = post([alert({"a": "1"}), alert({"a-b": "x"}), alert({"a": "2"}), alert({}), alert({"a": "3"})])
    assert [event.labels for event in heard.events] == [{"a": "1"}, {"a": "2"}, {"a": "3"}]
    assert heard.reply.status == 400
    assert answer(heard) == 'invalid label set: invalid name "a-b"; at least one label pair required'
    assert heard.fault == answer(heard) and heard.park


def test_of_very_many_refused_alerts_the_answer_names_a_hundred() -> None:
    heard = post([alert({})] * 1_000)
    assert answer(heard).count("at least one label") == 100
    assert answer(heard).endswith("; and 900 more")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 422, "alerts in body is required"),
        ([{}], 422, "0.labels in body is required"),
        ([alert(), {"labels": None}], 422, "1.labels in body is required"),
        ([alert(generatorURL="x")], 422, '0.generatorURL in body must be of type uri: "x"'),
    ],
)
def test_what_alertmanagers_framework_refuses_is_refused_in_its_words(body: object, status: int, message: str) -> None:
    heard = post(body)
    assert (heard.reply.status, answer(heard)["message"], heard.events) == (status, message, ())
    assert heard.reply.content_type == "application/json" and heard.park


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "alerts: "),
        ([1], "alerts[0]: "),
        ([None], "alerts[0]: "),
        ([alert(), {"labels": []}], "alerts[1].labels: "),
        ([alert({"a": "x", "b": 1})], 'alerts[0].labels["b"]: '),
        ([alert(annotations={"n": ["x"]})], 'alerts[0].annotations["n"]: '),
        ([alert(generatorURL=5)], "alerts[0].generatorURL: "),
        ([alert(startsAt=5)], "alerts[0].startsAt: "),
        ([alert(endsAt=5)], "alerts[0].endsAt: "),
        (b"[{", ""),
        (b"\xef\xbb\xbf[]", ""),
        (b"[" * 100_000, ""),
        (b"a=b", ""),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_whole_names_the_place_and_is_parked(body: object, place: str) -> None:
    heard = post(body)
    assert heard.reply.status == 400 and heard.events == () and heard.park and heard.fault
    assert answer(heard)["message"].startswith('parsing alerts body from "" failed, because ' + place)


def test_a_compressed_body_is_said_to_be_compressed() -> None:
    heard = post(gzip.compress(b"[]"))
    assert heard.reply.status == 400 and "it is compressed (gzip)" in answer(heard)["message"]


def test_nothing_to_say_is_fine() -> None:
    assert post(b"[]") == post(b" null ")
    assert post([]).reply.status == 200 and post([]).reply.body == b""


def test_other_routes_methods_and_types_are_refused_as_alertmanager_does() -> None:
    assert hear("alertmanager", b"[]", path="/api/v2/alerts/").reply.status == 200
    assert hear("alertmanager", b"[]", path="/api/v2/nope").reply.status == 404
    put = post(b"[]", method="PUT")
    assert put.reply.status == 405 and put.reply.headers == (("Allow", "GET,POST"),)
    assert answer(put)["message"] == "method PUT is not allowed, but [GET,POST] are"
    assert post(b"[]", content_type="application/json; charset=utf-8").reply.status == 200
    plain = post(b"[]", content_type="text/plain")
    assert plain.reply.status == 415 and not plain.park
    assert answer(plain)["message"] == 'unsupported media type "text/plain", only [application/json] are allowed'


def test_more_alerts_than_the_key_may_send_are_refused() -> None:
    assert post([alert()] * 3, limits=Limits(alerts=2)).reply.status == 413
    assert post([alert()] * 2, limits=Limits(alerts=2)).reply.status == 200


# --- What is made of it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "annotations", "title"),
    [
        ({"alertname": "Down"}, {"summary": " it is down \nvery", "description": "no"}, "it is down"),
        ({"alertname": "Down"}, {"summary": " ", "description": "first line\nsecond"}, "first line"),
        ({"alertname": "Down", "instance": "db1"}, {}, "Down on db1"),
        ({"alertname": "Down"}, {}, "Down"),
        ({"job": "x", "a": "b"}, {}, "a=b, job=x"),
    ],
)
def test_the_title_is_the_best_there_is(labels: dict[str, str], annotations: dict[str, str], title: str) -> None:
    (event,) = post([alert(labels, annotations=annotations)]).events
    assert event.title == title


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1", "http://prom:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1"),
        ("https://prom/%20x", "https://prom/%20x"),
        ("/graph", ""),
        ("javascript:alert(1)", ""),
        ("http://prom/?q=<script>", ""),
        ("http://prom/" + "x" * 3_000, ""),
        ("", ""),
        (None, ""),
    ],
)
def test_only_a_web_address_becomes_a_link(url: str | None, link: str) -> None:
    (event,) = post([alert(generatorURL=url)]).events
    assert event.link == link


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("http://h", True), ("http://u:p@h:80/x#f", True), ("http://[::1]:9/x", True), ("/x", True),
        ("http://[fe80::1%25en0]/", True), ("*", True), ("mailto:x y", True), ("http://é/ü ü", True),
        ("http://h/?%zz", True),
        ("http://[::1", False), ("http://h:b", False), ("http://h/%zz", False), ("http://a b", False), (":x", False),
        ("x", False), ("", False), (" http://h", False), ("1http://x", False), ("http://h/\x7f", False),
    ],
)  # fmt: skip
def test_a_generator_url_is_what_go_takes_for_a_request_uri(url: str, good: bool) -> None:
    assert is_request_uri(url) is good


def test_what_is_not_text_becomes_a_replacement_character() -> None:
    body = b'[{"labels":{"a":"\\u0000x\\ud800","b":"\xff","c":"\\ud83d\\ude00","d":"\\\\ud800"}}]'
    (event,) = post(body).events
    assert event.labels == {"a": "\ufffdx\ufffd", "b": "\ufffd", "c": "😀", "d": "\\ud800"}
    event.title.encode()


def test_long_texts_are_cut_and_labels_that_differ_stay_different() -> None:
    long = "x" * 100_000
    one, two = post([alert({"a": long + "1"}, annotations={"n": long}), alert({"a": long + "2"})]).events
    assert len(one.labels["a"]) <= 2_048 and one.labels != two.labels
    assert len(one.annotations["n"]) == 16_384 and one.annotations["n"].endswith("… (cut)")
    many, more = post([alert({f"l{n}": "x" for n in range(500)}), alert({f"l{n}": "x" for n in range(501)})]).events
    assert len(many.labels) == 128 and many.labels != more.labels


# --- Unchanged repetitions -------------------------------------------------------------------------------------------


def resent(body: object, first: object | None = None, *, later: int = 60 * SECOND) -> Heard:
    """The same (or another) body again, a minute after the first was heard."""
    known = remembered(*post(first if first is not None else body).events)
    return post(body, now=NOW + later, known=known)


def test_a_batch_sent_again_with_its_ends_moved_on_is_nothing_but_repetitions() -> None:
    def batch(seconds: int) -> list[dict[str, Any]]:
        return [alert({"n": str(n)}, startsAt=at(-60), endsAt=at(240 + seconds)) for n in range(64)]

    heard = resent(batch(60), batch(0))
    assert len(heard.repeated) == 64 and len(set(heard.repeated)) == 64
    assert heard.events == () and heard.reply.status == 200


@pytest.mark.parametrize("moved", [-5, 0, 5])
def test_an_end_may_be_five_seconds_nearer_or_farther_than_last_time(moved: int) -> None:
    heard = resent([alert(endsAt=at(300 + moved))], [alert(endsAt=at(240))], later=60 * SECOND)
    assert len(heard.repeated) == 1


@pytest.mark.parametrize("moved", [-6, 6])
def test_an_end_that_moved_more_is_news(moved: int) -> None:
    known = remembered(*post([alert(startsAt=at(0), endsAt=at(240))]).events)
    heard = post([alert(startsAt=at(0), endsAt=at(300 + moved))], now=NOW + 60 * SECOND, known=known)
    assert heard.repeated == () and len(heard.events) == 1


def test_an_end_that_stays_exactly_where_it_was_is_a_repetition() -> None:
    said = [alert(startsAt=at(0), endsAt=at(900))]
    assert resent(said, later=600 * SECOND).repeated == ()
    known = {labels: have._replace(ttl=None) for labels, have in remembered(*post(said).events).items()}
    assert len(post(said, now=NOW + 600 * SECOND, known=known).repeated) == 1


def test_an_end_that_has_passed_is_never_a_repetition() -> None:
    known = remembered(*post([alert(startsAt=at(0), endsAt=at(3))]).events)
    for seconds in (3, 4):
        heard = post([alert(startsAt=at(0), endsAt=at(seconds))], now=NOW + 4 * SECOND, known=known)
        assert [event.state for event in heard.events] == ["resolved"] and heard.repeated == ()


@pytest.mark.parametrize("times", [{}, {"startsAt": ZERO}, {"startsAt": ZERO, "endsAt": ZERO}, {"endsAt": None}])
def test_an_alert_without_times_repeats_as_the_alert_it_is(times: dict[str, Any]) -> None:
    assert len(resent([alert(**times)]).repeated) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": {"summary": "other"}},
        {"labels": {"alertname": "Down", "instance": "b"}},
        {"startsAt": at(-61)},
        {"generatorURL": "http://other"},
        {"endsAt": at(30)},
    ],
)
def test_anything_that_changed_makes_an_event(change: dict[str, Any]) -> None:
    first = {**alert(startsAt=at(-60), endsAt=at(240), generatorURL="http://x"), "annotations": {"summary": "it"}}
    heard = resent([{**first, "endsAt": at(300), **change}], [first])
    assert heard.repeated == () and len(heard.events) == 1


def test_one_text_is_never_taken_for_another_in_its_neighbour_field() -> None:
    known = remembered(*post([alert({"a": "b"})]).events)
    heard = post([{"annotations": {"a": "b"}}], known=known)
    assert heard.repeated == () and heard.reply.status == 422


def test_news_about_a_known_alert_earlier_in_the_batch_makes_the_old_word_an_event_too() -> None:
    old = alert({"a": "1", "b": "2"}, annotations={"summary": "old"})
    known = remembered(*post([old]).events)
    turned = {"labels": {"b": "2", "a": "1"}, "annotations": {"summary": "new"}}
    heard = post([turned, old], known=known)
    assert [event.title for event in heard.events] == ["new", "old"] and heard.repeated == ()
    heard = post([old, turned, alert({"a": "2"})], known=known)
    assert [event.title for event in heard.events] == ["new", "a=2"] and len(heard.repeated) == 1


def test_a_repetition_is_kept_even_when_the_rest_of_its_batch_is_refused() -> None:
    known = remembered(*post([alert()]).events)
    heard = post([alert(), alert({})], known=known)
    assert len(heard.repeated) == 1 and heard.reply.status == 400 and heard.events == ()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 11))
def test_where_a_batch_is_divided_makes_no_difference(numbers: list[int], at_: int) -> None:
    """Six words on three label sets, two each: what is known in the end does not depend on the batches."""

    def take(bodies: list[list[int]]) -> tuple[dict[str, str], dict[str, int]]:
        shown: dict[str, str] = {}
        count: dict[str, int] = {}
        known: dict[bytes, Remembered] = {}
        for body in bodies:
            heard = post([alert({"n": str(n // 2)}, annotations={"summary": f"{n}"}) for n in body], known=known)
            for id in heard.repeated:
                count[str(id)] += 1
            for event in heard.events:
                name = event.labels["n"]
                shown[name] = event.title
                count[name] = count.get(name, 0) + 1
                known[event.label_text] = remembered(event)[event.label_text]._replace(id=int(name))
        return shown, count

    assert take([numbers]) == take([numbers[:at_], numbers[at_:]]) == take([[n] for n in numbers])


everyday = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(
            st.sampled_from(["alertname", "n", "severity", "_x"]),
            st.sampled_from(["a", "b", "é", "", "x\0", "\\u0000"]),
        )
    },
    optional={
        "annotations": st.dictionaries(
            st.sampled_from(["summary", "description"]), st.sampled_from(["", " s\nt", "é"])
        ),
        "startsAt": st.sampled_from([-60, -30, 0, 60]).map(at),
        "endsAt": st.sampled_from([-30, 240, 245, 300]).map(at),
        "generatorURL": st.sampled_from(["", "http://p/graph", "mailto:ana", "x y"]),
    },
)


@given(batch=st.lists(everyday, min_size=3, max_size=8), before=st.lists(everyday, max_size=4), ordered=st.booleans())
def test_a_batch_says_what_its_alerts_say_one_by_one(
    batch: list[dict[str, Any]], before: list[dict[str, Any]], ordered: bool
) -> None:
    """Whole batches are read in other steps than single alerts, unless something in them is out of the ordinary."""

    def written(alerts: list[dict[str, Any]]) -> bytes:
        return json.dumps(alerts, sort_keys=ordered, separators=(",", ":")).encode()

    known = remembered(*(event for one in before for event in post(written([one])).events))
    together = post(written(batch), known=known)
    alone = [post(written([one]), known=known) for one in batch]
    if {one.reply.status for one in alone} == {200}:
        assert together.reply.status == 200
        # Of one label set nothing is a repetition any more once there was news about it.
        news = {event.label_text for event in together.events}
        assert [event for one in alone for event in one.events if event.label_text not in news] == []
        assert set(together.repeated) <= {id for one in alone for id in one.repeated}
        heard = {(event.label_text, event.starts_at, event.ends_at, event.title) for event in together.events}
        assert {(e.label_text, e.starts_at, e.ends_at, e.title) for one in alone for e in one.events} <= heard
