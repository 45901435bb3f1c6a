"""Times that are typed without a zone are meant by the clock that times are told by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tocsin.cli.text import read_in, stamp
from tocsin.cli.words import Written, meant, time, until
from tocsin.kernel.instant import Instant, parse_rfc3339


@pytest.fixture(autouse=True)
def in_madrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TZ", raising=False)
    read_in(lambda: "Europe/Madrid")
    yield
    read_in(lambda: "")


def read(one: Instant | Written) -> Instant:
    found: Instant = meant({"at": one})["at"]
    return found


@pytest.mark.parametrize("typed", ["2026-12-10T12:00", "2026-12-10 12:00:00", "2026-07-10T12:00", "2026-12-10"])
def test_what_was_told_is_read_as_it_was_told(typed):
    at = read(time(typed))
    assert stamp(at).startswith(typed.replace("T", " "))
    assert read(until(typed)) == at


@pytest.mark.parametrize(
    ("typed", "first", "last"),
    [
        ("2026-12-10T12:00", "2026-12-10T11:00:00Z", "2026-12-10T11:00:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        ("2027-03-28T02:10", "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:50", "2027-03-28T01:00:00Z", "2027-03-28T01:00:00Z"),
        ("2027-03-28T02:10+01:00", "2027-03-28T01:10:00Z", "2027-03-28T01:10:00Z"),
        ("2027-03-28T02:10Z", "2027-03-28T02:10:00Z", "2027-03-28T02:10:00Z"),
    ],
)
def test_a_time_that_comes_twice_or_not_at_all_follows_the_rules_of_clocks(typed, first, last):
    assert (read(time(typed)), read(until(typed))) == (parse_rfc3339(first), parse_rfc3339(last))


def test_this_machines_own_clock_follows_them_too(monkeypatch):
    from time import tzset

    monkeypatch.setenv("TZ", "Europe/Madrid")
    tzset()
    read_in(lambda: "")
    try:
        for typed in ("2027-03-28T02:10", "2027-03-28T02:50"):
            assert read(time(typed)) == read(until(typed)) == parse_rfc3339("2027-03-28T01:00:00Z")
        assert read(time("2026-10-25T02:30")) == parse_rfc3339("2026-10-25T00:30:00Z")
        assert read(until("2026-10-25T02:30")) == parse_rfc3339("2026-10-25T01:30:00Z")
    finally:
        monkeypatch.undo()
        tzset()


def test_tz_is_a_choice_for_reading_too(monkeypatch):
    from time import tzset

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    try:
        assert read(time("2026-12-10T12:00")) == parse_rfc3339("2026-12-10T03:00:00Z")
    finally:
        monkeypatch.undo()
        tzset()
