"""Unchanged repetitions on their way into the journal."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tocsin.engine.inputs import Seen
from tocsin.runtime.seen import BUCKET, SPAN, SeenBuffer, bitmap

IDS = st.one_of(st.integers(1, 300), st.integers(1, 50_000_000))


def read(seen: Seen) -> dict[int, set[int]]:
    """What one input says was heard when, as the engine reads its bitmaps."""
    return {
        at: {seen.base + place * 8 + bit for place, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1}
        for at, bits in seen.heard
    }


@given(st.sets(IDS, min_size=1, max_size=50).filter(lambda ids: max(ids) - min(ids) < SPAN))
def test_a_bitmap_holds_what_went_in(ids: set[int]) -> None:
    """Every id and no other."""
    base = min(ids)
    assert read(Seen(base, ((0, bitmap(base, ids)),))) == {0: ids}


@given(st.lists(st.tuples(st.integers(0, 60_000_000), st.sets(IDS, max_size=20)), max_size=20))
def test_what_goes_in_comes_out(heard: list[tuple[int, set[int]]]) -> None:
    """Whatever was repeated when: each alert once in five seconds, none lost, none made up, in order of time."""
    buffer = SeenBuffer()
    wanted: dict[int, set[int]] = {}
    for at, ids in heard:
        buffer.add(iter(ids), at)
        wanted.setdefault(at - at % BUCKET, set()).update(ids)
    found: dict[int, set[int]] = {}
    for seen in buffer.take():
        assert [at for at, _ in seen.heard] == sorted({at for at, _ in seen.heard})
        for at, ids in read(seen).items():
            assert not ids & found.get(at, set())
            found.setdefault(at, set()).update(ids)
    assert found == {at: ids for at, ids in wanted.items() if ids}
    assert buffer.take() == []


def test_an_alert_that_fires_for_years_makes_no_long_bitmaps() -> None:
    """The first alert ever beside the newest: two short inputs, not one as long as all ids between them."""
    buffer = SeenBuffer()
    buffer.add([1, 50_000_000], 0)
    taken = buffer.take()
    assert [seen.base for seen in taken] == [1, 50_000_000]
    assert sum(len(bits) for seen in taken for _, bits in seen.heard) < 10


def test_nothing_is_lost_between_two_threads() -> None:
    """What is added while another thread takes is in one of its takes."""
    buffer = SeenBuffer()
    found: list[int] = []
    done = threading.Event()

    def take() -> None:
        while not done.is_set() or buffer:
            for seen in buffer.take():
                found.extend(id for ids in read(seen).values() for id in ids)

    taker = threading.Thread(target=take)
    taker.start()
    for id in range(1, 20_001):
        buffer.add((id,), id * 1_000)
    done.set()
    taker.join()
    assert sorted(found) == list(range(1, 20_001))
