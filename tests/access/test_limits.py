"""How much a key may send: how it is written, what is out of bounds, and what every key may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.access.limits import KeyLimits, read_rate, read_size, show, show_rate, show_size
from tocsin.intake.request import Limits


@pytest.mark.parametrize(
    ("text", "rate"), [("50/s", 50), ("0.5/s", 0.5), ("30/m", 0.5), ("3600/h", 1), (" 10/m ", 10 / 60)]
)
def test_a_rate_is_requests_per_second_minute_or_hour(text: str, rate: float) -> None:
    assert read_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "50", "50/d", "/s", "-1/s", "1e3/s", "50 /s", "nan/s", "50/s2", "12345678/s"])
def test_what_is_no_rate_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="50/s"):
        read_rate(text)


@pytest.mark.parametrize(("text", "size"), [("1MB", 10**6), ("1 MiB", 2**20), ("512KiB", 2**19), ("1.5MB", 1_500_000)])
def test_a_size_is_a_number_and_its_unit(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "1", "MB", "1mb", "1.2.3MB", "-1MB", "1XB", "." + "1MB"])
def test_what_is_no_size_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="1MB"):
        read_size(text)


@given(st.integers(1024, 16 * 2**20), st.integers(1, 6_000_000))
def test_what_is_shown_is_read_as_the_same(size: int, hundredths: int) -> None:
    assert read_size(show_size(size)) == size
    rate = hundredths / 60
    if rate <= 100_000:
        assert read_rate(show_rate(rate)) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (KeyLimits(rate=0), "rate"),
        (KeyLimits(rate=float("nan")), "rate"),
        (KeyLimits(rate=1e6), "rate"),
        (KeyLimits(burst=0), "burst"),
        (KeyLimits(body=1), "body"),
        (KeyLimits(body=2**30), "body"),
        (KeyLimits(alerts=0), "alerts"),
        (KeyLimits(alerts=10**6), "alerts"),
        (KeyLimits(rate=1, burst=1, body=1024, alerts=1), None),
        (KeyLimits(), None),
    ],
)
def test_what_is_out_of_bounds_is_named(limits: KeyLimits, field: str | None) -> None:
    fault = limits.fault()
    assert (fault[0] if fault else None) == field


def test_what_is_not_set_is_as_for_every_key_and_a_burst_follows_its_rate() -> None:
    every = Limits()
    assert every.of(KeyLimits()) is every
    assert every.of(KeyLimits(alerts=7)) == Limits(every.rate, every.burst, every.body, 7)
    assert every.of(KeyLimits(rate=50)).burst == 250
    assert every.of(KeyLimits(rate=0.1)).burst == 1
    assert every.of(KeyLimits(rate=50, burst=3)).burst == 3


def test_what_was_set_is_said_in_one_line() -> None:
    assert show(KeyLimits()) == ""
    assert show(KeyLimits(rate=50, burst=200, alerts=1500, body=10**6)) == "50/s, 200 at once, 1,500 alerts, 1MB"
