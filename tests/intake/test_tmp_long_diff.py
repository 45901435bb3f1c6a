"""Tocsin's decoder and a real Alertmanager answer the same batches alike, and agree on the times they make of them."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.intake.hearing import hear
from tests.support.alertmanager import Alertmanager
from tocsin.alerts.merge import Span, merge
from tocsin.kernel.instant import MILLISECOND, SECOND, format_rfc3339, parse_rfc3339

PARSING = 'parsing alerts body from "" failed, because '
_serial = itertools.count()

# At most one invalid name in a mapping: of several, Alertmanager names any.
good_names = st.sampled_from(["alertname", "instance", "severity", "_x", "A9"])
bad_names = st.sampled_from(["", "1a", "a-b", "é", "a b", 'q"\\', "tab\t", "\u2028", "<&>", "😀"])
values = st.one_of(st.sampled_from(["", "x", "ü", None]), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
wrong = st.sampled_from([1, [], {}, True, 1.5])


@st.composite
def mappings(draw: st.DrawFn) -> object:
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.sampled_from([None, [], "x", 1]))
    found: dict[str, object] = draw(st.dictionaries(good_names, values, max_size=3))
    if kind == 1:
        found["wrong"] = draw(wrong)
    if kind in (2, 3):
        found[draw(bad_names)] = draw(values)
    return found


times = st.one_of(
    st.integers(-7_200, 7_200).map(lambda seconds: ("now", seconds)),
    st.sampled_from(
        [
            None, "", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "2020-01-01T00:00:00.123456789Z",
            "2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00", "2020-01-01 00:00:00", "2020-01-01T00:00Z",
            "2020-01-01T00:00:00,5Z", "2020-02-30T00:00:00Z", "2020-01-01", "x", "2999-01-01T00:00:00Z", 5,
            "2020-01-01T00:00:00.123+0200", "2020-01-01T00:00:00.12+0200", "2020-01-01T1:00:00Z",
        ]
    ),
)  # fmt: skip
urls = st.one_of(
    st.sampled_from(["", None, "http://p/graph?g=%zz", "/x", "*", "mailto:a", "http://[::1]:9/", "http://h:b", 5, "x"]),
    st.text("ab:/?#[]@%1 é.-\x7f", max_size=10).map(lambda rest: "http://" + rest),
    st.text("ab:/?#%1é.", max_size=6),
)


@st.composite
def alerts(draw: st.DrawFn) -> Any:
    if draw(st.integers(0, 39)) == 0:
        return draw(st.sampled_from([1, "x", []]))
    fields = {"labels": mappings(), "annotations": mappings(), "startsAt": times, "endsAt": times, "generatorURL": urls}
    # Labels nearly always, the rest now and then; a name nobody knows is passed over.
    chosen = [name for name in fields if draw(st.integers(0, 9)) < (9 if name == "labels" else 3)]
    return {name: draw(fields[name]) for name in chosen} | ({"foo": [1]} if draw(st.integers(0, 9)) == 0 else {})


def post(server: Alertmanager, body: bytes, method: str = "POST") -> tuple[int, bytes, str]:
    url = urlsplit(server.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        connection.request(method, "/api/v2/alerts", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers.get("Content-Type", "")
    finally:
        connection.close()


def both(server: Alertmanager, body: bytes) -> None:
    status, text, content_type = post(server, body)
    ours = hear("alertmanager", body, path="/api/v2/alerts", now=time.time_ns() // 1_000).reply
    assert (ours.status, ours.content_type) == (status, content_type), (text, ours)
    if text.startswith(b'{"code":400') and PARSING in json.loads(text)["message"]:
        # The reason is in our words: the one deliberate difference in a body.
        assert json.loads(ours.body)["code"] == 400
        assert json.loads(ours.body)["message"].startswith(PARSING)
    else:
        assert ours.body == text


@settings(max_examples=6000, suppress_health_check=[HealthCheck.too_slow])
@given(batch=st.lists(alerts(), max_size=4))
def test_any_batch_is_answered_as_alertmanager_answers_it(alertmanager: Alertmanager, batch: list[Any]) -> None:
    now = time.time_ns() // 1_000
    for one in batch:
        for field in ("startsAt", "endsAt"):
            if isinstance(one, dict) and isinstance(one.get(field), tuple):
                one[field] = format_rfc3339(now + one[field][1] * SECOND + 500 * MILLISECOND)
    both(alertmanager, json.dumps(batch, ensure_ascii=False).encode())


@settings(max_examples=4000)
@given(body=st.one_of(st.binary(max_size=20), st.text('[]{}",:ablse0 \\u', max_size=12).map(str.encode)))
def test_bytes_that_are_no_batch_are_answered_as_alertmanager_answers_them(
    alertmanager: Alertmanager, body: bytes
) -> None:
    try:
        json.JSONDecoder().raw_decode(body.decode(errors="replace").lstrip())
    except ValueError:
        both(alertmanager, body)  # what follows a whole value is a listed difference


def test_lists_of_everyday_mistakes_are_answered_as_alertmanager_answers_them(alertmanager: Alertmanager) -> None:
    for body in (b"", b"null", b"[]", b" [ ] ", b"{}", b'"x"', b"tru", b"[1,]", b'[{"labels":{"a":"\\ud800"}}]'):
        both(alertmanager, body)


def test_a_method_alertmanager_does_not_know_there_is_answered_alike(alertmanager: Alertmanager) -> None:
    status, text, _ = post(alertmanager, b"[]", "PUT")
    ours = hear("alertmanager", b"[]", path="/api/v2/alerts", method="PUT").reply
    # Go names the two methods in any order.
    assert (ours.status, ours.body) in ((status, text), (status, text.replace(b"[POST,GET]", b"[GET,POST]")))


ends = st.one_of(st.none(), st.integers(-900, 900).filter(lambda seconds: abs(seconds) > 20))
spans = st.tuples(st.one_of(st.none(), st.integers(-1_000, 250)), ends)


@settings(max_examples=2500, suppress_health_check=[HealthCheck.too_slow])
@given(words=st.lists(spans, min_size=1, max_size=4))
def test_what_several_words_on_one_alert_make_is_what_alertmanager_reports(
    alertmanager: Alertmanager, words: list[tuple[int | None, int | None]]
) -> None:
    """``decode`` and ``alerts.merge`` together keep the times Alertmanager keeps, to the second."""
    name = f"Word{next(_serial)}"
    base = time.time_ns() // 1_000_000 * MILLISECOND
    held: Span | None = None
    now = base
    for start, end in words:
        posted: dict[str, Any] = {"labels": {"alertname": name}}
        if start is not None:
            posted["startsAt"] = format_rfc3339(base + start * SECOND)
        if end is not None:
            posted["endsAt"] = format_rfc3339(base + end * SECOND)
        body = json.dumps([posted]).encode()
        post(alertmanager, body)
        now = time.time_ns() // 1_000
        for event in hear("alertmanager", body, path="/api/v2/alerts", now=now).events:
            span = Span(event.starts_at, event.ends_at, event.timeout)
            held = span if held is None else merge(held, span, now)
    found = alertmanager.get("/api/v2/alerts?filter=" + quote(f'alertname="{name}"'))
    if held is None or held.over(now):
        assert found == []
    else:
        (reported,) = found
        assert abs(parse_rfc3339(reported["startsAt"]) - held.starts_at) < 2 * SECOND
        assert held.ends_at is not None and abs(parse_rfc3339(reported["endsAt"]) - held.ends_at) < 2 * SECOND
