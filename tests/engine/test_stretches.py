"""A set that is kept as a list of stretches is that set."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.kernel.stretches import add, drop, has, spans, stretches

numbers = st.integers(1, 24)
moves = st.lists(st.tuples(st.sampled_from(["comes", "goes"]), numbers), max_size=30)


def _is(of: list[int], these: set[int]) -> None:
    assert [one for span in spans(of) for one in span] == sorted(these)
    assert [has(of, one) for one in range(30)] == [one in these for one in range(30)]


def _moved(of: list[int], these: set[int], how: str, number: int) -> None:
    (add if how == "comes" else drop)(of, number)
    (these.add if how == "comes" else these.discard)(number)
    _is(of, these)


@given(st.sets(numbers), moves)
@example({1, 2, 3, 5}, [("comes", 4), ("goes", 1), ("goes", 5), ("goes", 3), ("comes", 3), ("goes", 2), ("goes", 3)])
def test_numbers_come_and_go_one_by_one(some, then):
    of, these = stretches(some), set(some)
    _is(of, these)
    for how, number in then:
        _moved(of, these, how, number)
        assert of == stretches(these), "however it came to be, a set is one list"


@given(st.sets(numbers), moves)
def test_a_list_of_single_numbers_is_that_set_too(some, then):
    """As rows of an older version have it."""
    of, these = sorted(some), set(some)
    _is(of, these)
    for how, number in then:
        _moved(of, these, how, number)


def test_what_was_given_in_a_row_is_two_numbers():
    assert stretches(range(1, 50_001)) == [1, -50_000]
    assert stretches([3, 9, 8, 7, 12, 11]) == [3, 7, -9, 11, -12]
