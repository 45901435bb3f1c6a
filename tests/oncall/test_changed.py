"""Who would be on call differently: every instant is told as it is on both sides, and nothing that stays is told."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tocsin.oncall.changed import Change, changes, together
from tocsin.oncall.roster import Span, merged

spans = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=4).map(
    lambda pairs: merged(sorted((start, start + length) for start, length in pairs))
)
held = st.dictionaries(st.sampled_from(["ana", "ben", "kei"]), spans, max_size=3)


def on_at(of: dict[str, list[Span]], at: int) -> tuple[str, ...]:
    """Who is on call at an instant."""
    return tuple(sorted(person for person, times in of.items() if any(low <= at < high for low, high in times)))


@given(held, held)
def test_every_instant_is_told_as_it_is(was: dict[str, list[Span]], now: dict[str, list[Span]]) -> None:
    told = changes(was, now)
    for at in range(45):
        inside = [one for one in told if one.start <= at < one.end]
        before, after = on_at(was, at), on_at(now, at)
        assert [(one.before, one.after) for one in inside] == ([] if before == after else [(before, after)])
    for one, following in pairwise(told):
        assert one.end <= following.start
        assert one.end < following.start or one[2:] != following[2:], "what goes on alike is one change"


def test_a_handoff_between_the_same_people_does_not_cut_a_change() -> None:
    """Ana has the day in two pieces that meet; Ben in her place is one change."""
    assert changes({"ana": [(0, 5), (5, 10)]}, {"ben": [(0, 10)]}) == [Change(0, 10, ("ana",), ("ben",))]
    assert together({"ana": [(0, 5), (7, 10)]}) == {"ana": 8}
