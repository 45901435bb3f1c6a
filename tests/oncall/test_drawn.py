"""Who is on call at an instant costs nothing that grows with what calendars and people put over a schedule."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oncall.rotas import rota, utc
from tocsin.kernel.instant import HOUR, MINUTE
from tocsin.oncall.override import Cover

START = utc("2026-11-16 00:00")


class Counted(tuple[Cover, ...]):
    """Covers that count how often they are read whole to be found."""

    read = 0

    def __hash__(self) -> int:
        type(self).read += 1
        return super().__hash__()


def test_the_covers_in_force_are_read_once_however_often_is_asked():
    roster = rota("- {rotate: [ana, ben], every: day, starts: 2026-11-16 with ana}")
    covers = Counted(Cover(n, "zoe", START + n * HOUR, START + n * HOUR + MINUTE) for n in range(100))
    asked = [roster.who(START + n * 7 * MINUTE, covers) for n in range(300)]
    assert Counted.read <= 2, "to look for equal ones, and to remember these"
    assert {one.person for shifts in asked for one in shifts} == {"ana", "ben", "zoe"}
    assert roster.who(START, tuple(covers)) == asked[0], "equal ones are as good"
    assert roster.who(START, covers[1:]) != asked[0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-300, 800), st.integers(1, 400), st.sampled_from(["ana", "ben", "kei", "zoe"]))),
    st.lists(st.integers(-300, 1_200), min_size=1, max_size=12),
)
def test_who_is_on_call_is_whoever_has_a_shift_then(spans: list[tuple[int, int, str]], asked: list[int]):
    """In any order of asking, and with what was drawn up before."""
    roster = rota("- {rotate: [ana, ben, kei], every: 12h, starts: 2026-11-16 with ana}")
    covers = tuple(
        Cover(n, who, START + low * 10 * MINUTE, START + (low + long) * 10 * MINUTE, "ben" if n % 3 else "")
        for n, (low, long, who) in enumerate(spans, 1)
    )
    for minutes in asked:
        at = START + minutes * 10 * MINUTE
        shifts = roster.shifts(at, at + 1, covers)
        assert {one.person for one in roster.who(at, covers)} == {one.person for one in shifts}
        assert all(one in shifts for one in roster.who(at, covers))
