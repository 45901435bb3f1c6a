"""What overrides do to a schedule, whatever they are: the later over the earlier, and preview as paging."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.oncall.rotas import names, rota, told, utc
from tests.oncall.test_clocks import ROSTERS
from tocsin.kernel.instant import DAY, HOUR
from tocsin.oncall.override import Cover, Override

SHOP = "- {rotate: [ana, ben], every: day, handoff: 09:00, starts: 2026-11-16 with ana}"
AT = utc("2026-11-16 09:00")
PEOPLE = st.sampled_from(["ana", "ben", "kei", "zoe"])


@st.composite
def covers(draw) -> tuple[Cover, ...]:
    found = []
    for id in range(1, draw(st.integers(0, 6)) + 1):
        start = AT + draw(st.integers(-5 * DAY, 15 * DAY))
        person = draw(PEOPLE)
        whose = draw(st.sampled_from(["", "ana", "ben", "kei", "zoe"]))
        found.append(Cover(id, person, start, start + draw(st.integers(1, 6 * DAY)), "" if whose == person else whose))
    return tuple(draw(st.permutations(found)))


@given(ROSTERS, covers(), st.lists(st.integers(-5 * DAY, 15 * DAY), min_size=1, max_size=10))
def test_at_every_instant_the_overrides_are_laid_over_the_plan_in_their_order(roster, some, offsets):
    """Counted another way: start with who the plan has, and go through the overrides that hold at the instant."""
    shifts = roster.shifts(AT - 5 * DAY, AT + 15 * DAY, some)
    for at in (AT + offset for offset in offsets):
        expected = set(names(roster.who(at)))
        for cover in sorted(some):
            if cover.start <= at < cover.end:
                if not cover.instead_of:
                    expected = {cover.person}
                elif cover.instead_of in expected:
                    expected = expected - {cover.instead_of} | {cover.person}
        assert set(names(roster.who(at, some))) == expected
        if at < AT + 15 * DAY:
            assert {shift.person for shift in shifts if shift.start <= at < shift.end} == expected
            assert set(roster.who(at, some)) <= set(shifts)
            assert any(low <= at < high for low, high in roster.gaps(AT - 5 * DAY, AT + 15 * DAY, some)) == (
                not expected
            )


def test_an_override_cuts_the_shifts_around_it():
    shop = rota(SHOP)
    some = (Cover(1, "kei", AT + 2 * HOUR, AT + 4 * HOUR),)
    assert told(shop.shifts(AT, AT + DAY, some)) == [
        ("ana", "2026-11-16 09:00", "2026-11-16 11:00"),
        ("kei", "2026-11-16 11:00", "2026-11-16 13:00"),
        ("ana", "2026-11-16 13:00", "2026-11-17 09:00"),
    ]


def test_who_takes_over_by_an_override_can_be_replaced_again():
    shop = rota(SHOP)
    some = (Cover(1, "kei", AT, AT + 4 * HOUR, "ana"), Cover(2, "zoe", AT, AT + 2 * HOUR, "kei"))
    assert [names(shop.who(AT + hours * HOUR, some)) for hours in (1, 3, 5)] == [["zoe"], ["kei"], ["ana"]]


def test_a_swap_is_both_ways_and_nothing_after_it_was_cancelled():
    swap = Override(
        id=1, kind="swap", schedule="shop", person="ben", instead_of="ana", starts_at=AT, ends_at=AT + DAY,
        back=(AT + DAY, AT + 2 * DAY), asked_by="person:ana", asked_at=AT - DAY,
    )  # fmt: skip
    assert swap.covers() == ()
    assert (swap.state(AT - 1), swap.state(AT)) == ("asked", "lapsed")
    swap.agreed_at = AT - HOUR
    shop = rota(SHOP)
    assert [names(shop.who(AT + hours * HOUR, swap.covers())) for hours in (1, 25, 49)] == [["ben"], ["ana"], ["ana"]]
    swap.cancelled_at = AT + HOUR
    assert [(cover.start, cover.end) for cover in swap.covers()] == [(AT, AT + HOUR)]
    assert [names(shop.who(AT + hours * HOUR, swap.covers())) for hours in (0, 2, 25)] == [["ben"], ["ana"], ["ben"]]
    assert swap.state(AT + HOUR) == "cancelled"
