"""Two statements about one alert's times become one, as Alertmanager merges them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.merge import Span, merge, overlap

NOW = 100


@pytest.mark.parametrize(
    ("why", "old", "new", "made"),
    [
        ("a repetition moves the end on", Span(10, 140), Span(10, 150), Span(10, 150)),
        ("the later named end holds", Span(10, 150), Span(10, 140), Span(10, 150)),
        ("the earliest start is kept", Span(10, 140), Span(20, 150), Span(10, 150)),
        ("an earlier start is taken over", Span(20, 150), Span(10, 140), Span(10, 150)),
        ("a timeout never outlives a named end", Span(10, 150, True), Span(10, 140), Span(10, 140)),
        ("a named end outlives a timeout", Span(10, 150), Span(10, 140, True), Span(10, 150, True)),
        ("a later timeout moves the end on", Span(10, 140), Span(20, 150, True), Span(10, 150, True)),
        ("resolved holds against a later firing end", Span(10, 140), Span(10, 90), Span(10, 90)),
        ("of two ends that passed the later holds", Span(10, 90), Span(10, 80), Span(10, 90)),
        ("one replica fires on after another resolved", Span(10, 90), Span(20, 150), Span(10, 150)),
        ("a firing after the end is a new one", Span(10, 50), Span(60, 150), Span(60, 150)),
        ("touching is not overlapping", Span(10, 50), Span(50, 150), Span(50, 150)),
        ("never ending outlives every end", Span(10, None), Span(20, 150), Span(10, None)),
        ("a never ending one is resolved by a passed end", Span(10, None), Span(10, 90), Span(10, 90)),
    ],
)
def test_spans_merge_as_alertmanager_merges_them(why: str, old: Span, new: Span, made: Span) -> None:
    assert merge(old, new, NOW) == made, why


instants = st.integers(0, 200)
spans = st.tuples(instants, st.one_of(st.none(), instants), st.booleans()).map(
    lambda parts: Span(parts[0], None if parts[1] is None else max(parts[0], parts[1]), parts[2])
)


@given(spans, spans, instants)
def test_a_span_never_ends_before_it_starts_and_saying_it_again_changes_nothing(old: Span, new: Span, now: int) -> None:
    made = merge(old, new, now)
    assert made.ends_at is None or made.ends_at >= made.starts_at
    assert made.starts_at == (min(old.starts_at, new.starts_at) if overlap(old, new) else new.starts_at)
    assert made.ends_at in (old.ends_at, new.ends_at)
    assert merge(new, new, now) == new


@given(spans, spans, instants)
def test_what_was_said_to_be_over_is_over(old: Span, new: Span, now: int) -> None:
    if new.over(now):
        assert merge(old, new, now).over(now)
    else:
        assert not merge(old, new, now).over(now)
