"""Who is on call at an instant costs nothing that grows with what calendars and people put over a schedule."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oncall.rotas import rota, utc
from tocsin.kernel.instant import DAY, HOUR, MINUTE
from tocsin.oncall.duty import next_handoff
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


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            "- {rotate: [ana], only: Mon-Wed 00:00-24:00}",  # ends where a piece does that is drawn up at once
            "- {rotate: [ana, ben], every: week, starts: 2026-11-16 with ana}",
            "- {rotate: [ana, ben], every: 12h, starts: 2026-11-16 with ana}",
            "- {rotate: [ana, ben], every: 3h, starts: 2026-11-16 with ana, only: Tue 00:00-24:00}",
        ]
    ),
    st.lists(st.tuples(st.integers(-9, 60), st.integers(1, 40), st.sampled_from(["ana", "zoe"])), max_size=3),
    st.integers(0, 200),
)
def test_a_handoff_is_when_others_are_on_call(layers: str, spans: list[tuple[int, int, str]], hours: int):
    roster, after = rota(layers), START + hours * HOUR
    covers = tuple(
        Cover(n, who, START + low * 5 * HOUR, START + (low + long) * 5 * HOUR)
        for n, (low, long, who) in enumerate(spans, 1)
    )
    had = {one.person for one in roster.who(after, covers)}
    shifts = roster.shifts(after, after + 30 * DAY, covers)
    edges = sorted({edge for one in shifts for edge in (one.start, one.end) if edge > after})
    others = (at for at in edges if {one.person for one in shifts if one.start <= at < one.end} != had)
    assert next_handoff(roster, covers, after) == next(others)
