"""What holds for every wire format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.intake.hearing import LIMITS, NOW, hear, remembered
from tocsin.intake.event import Beat, Change, Event
from tocsin.intake.request import Heard, Request
from tocsin.intake.sources import SOURCES, pagerduty

PATHS = {
    "alertmanager": ["/api/v2/alerts"],
    "events": ["/api/events"],
    "heartbeat": ["", "/start", "/3"],
    "pagerduty": ["/v2/enqueue", "/v2/change/enqueue"],
}
KEY = "R0123456789ABCDEF0123456789ABCDE"

texts = st.one_of(st.text(max_size=12), st.sampled_from(["\0", "\ud800", "x" * 5_000, "\u2028", "a\nb", ""]))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
fields = st.sampled_from(
    ["labels", "annotations", "startsAt", "endsAt", "generatorURL", "title", "state", "key", "severity", "starts_at",
     "ends_at", "link", "events", "routing_key", "event_action", "dedup_key", "payload", "summary", "source",
     "custom_details", "timestamp", "links", "images", "client", "client_url", "href", "src"]
)  # fmt: skip
likely = st.sampled_from(
    [KEY, "trigger", "resolve", "firing", "resolved", "2026-11-22T03:24:00Z", "0001-01-01T00:00:00Z", "http://x/"]
)
shaped: st.SearchStrategy[Any] = st.recursive(
    st.one_of(likely, scalars),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(fields, texts), inner, max_size=6)),
    max_leaves=25,
)
jsons = st.one_of(values, shaped, st.lists(st.dictionaries(fields, shaped, max_size=5), max_size=3)).map(
    lambda value: json.dumps(value).encode()
)
escapes = st.text('[]{}",:\\ud8c0eE1-.+ nulltruefalse\n\ufeff', max_size=40).map(str.encode)
bodies = st.one_of(st.binary(max_size=60), jsons, escapes)


def events_of(heard: Heard) -> tuple[Event | Change | Beat, ...]:
    return (*heard.events, *heard.changes, *heard.beats)


def texts_in(value: Any) -> Iterator[str]:
    """Every text in it, names too."""
    match value:
        case str():
            yield value
        case dict():
            for name, inner in value.items():
                yield name
                yield from texts_in(inner)
        case list() | tuple():
            for inner in value:
                yield from texts_in(inner)


@pytest.mark.parametrize("name", sorted(PATHS))
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(body=bodies, which=st.integers(0, 5), method=st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "DELETE"]))
def test_no_bytes_make_it_raise_and_whatever_comes_out_can_be_stored(
    name: str, body: bytes, which: int, method: str
) -> None:
    source = SOURCES[name]
    path = PATHS[name][which % len(PATHS[name])]
    request = Request(source=name, method=method, path=path, headers={"content-type": "application/json"}, body=body)
    heard = source.decode(request, NOW, LIMITS, {})
    assert 200 <= heard.reply.status < 500
    if heard.reply.status >= 400:
        assert heard.fault, "a refusal says why"
    else:
        assert not heard.fault and not heard.park
    for event in events_of(heard):
        # PostgreSQL cannot store NUL, and nothing can store what UTF-8 cannot say.
        assert not any("\0" in text for text in texts_in(msgspec.json.decode(msgspec.json.encode(event))))
        msgspec.json.encode(event).decode()
    assert heard == source.decode(request, NOW, LIMITS, {}), "the same request judged again is the same"


@given(body=bodies)
def test_no_bytes_make_finding_or_hiding_a_routing_key_raise(body: bytes) -> None:
    hidden = pagerduty.redacted(body)
    key = pagerduty.routing_key(body)
    assert key is None or pagerduty.routing_key(hidden) == "*" * 32


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    batch=st.lists(
        st.fixed_dictionaries(
            {"labels": st.dictionaries(st.sampled_from(["a", "b", "c"]), texts, min_size=1)},
            optional={"annotations": st.dictionaries(st.sampled_from(["n", "summary"]), texts)},
        ),
        max_size=8,
    ),
    later=st.integers(0, 299_000_000),
)
def test_whatever_fires_and_is_sent_again_is_nothing_but_a_repetition(batch: list[dict[str, Any]], later: int) -> None:
    first = hear("alertmanager", batch, path="/api/v2/alerts")
    known = remembered(*first.events)
    assume(len(known) == len(first.events))  # of two words on one label set only the last is remembered
    again = hear("alertmanager", batch, path="/api/v2/alerts", now=NOW + later, known=known)
    assert again.events == () and again.repeated == tuple(known[event.label_text].id for event in first.events)
    assert again.reply == first.reply


@pytest.mark.parametrize("name", sorted(PATHS))
@pytest.mark.parametrize("status", [401, 403, 413, 429, 503])
def test_every_source_refuses_in_its_own_shape(name: str, status: int) -> None:
    reply = SOURCES[name].refuse(status, "because", 9 if status in (429, 503) else None)
    assert reply.status == status and b"because" in reply.body
    asks = (("WWW-Authenticate", 'Bearer realm="tocsin"'),) if (name, status) == ("events", 401) else ()
    assert reply.headers == ((("Retry-After", "9"),) if status in (429, 503) else asks)
    assert reply.content_type.startswith("text/plain") or json.loads(reply.body)


def test_the_register_names_every_source_by_its_own_name_and_each_open_one_is_tested_here() -> None:
    assert {name: source.name for name, source in SOURCES.items()} == {name: name for name in SOURCES}
    assert {name for name, source in SOURCES.items() if source.entrance is not None} == set(PATHS)
    assert all(source.version >= 1 for source in SOURCES.values())
    assert [name for name, source in SOURCES.items() if source.quiet] == ["alertmanager"]
