"""What a person's rules decide, and what a contact method's address and code may be."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo, reset_tzpath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, from_datetime, to_datetime
from tocsin.pages.contacts import (
    Contact,
    ContactState,
    checked_address,
    code_hash,
    code_of,
    masked,
    webhook_secret,
)
from tocsin.pages.profile import BadAddress
from tocsin.pages.rules import Left, Reach, Way, bundled_until, fault, quiet_until, remembered, ways

ZONES = (
    "UTC", "Europe/Madrid", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Europe/Dublin",
    "America/St_Johns", "Asia/Tokyo", "America/Santiago", "Pacific/Kiritimati",
)  # fmt: skip
YEARS = st.integers(from_datetime(datetime(2000, 1, 1, tzinfo=UTC)), from_datetime(datetime(2040, 1, 1, tzinfo=UTC)))
MINUTES = st.integers(0, 24 * 60 - 1)


def minute_of(at: int, zone: str) -> int:
    local = to_datetime(at).astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute


@settings(max_examples=500, deadline=None)
@example(from_datetime(datetime(2011, 12, 30, 9, tzinfo=UTC)), 22 * 60, 8 * 60, "Pacific/Apia").via("a skipped day")
@example(from_datetime(datetime(2026, 3, 29, 0, tzinfo=UTC)), 0, 2 * 60 + 30, "Europe/Madrid").via("an end left out")
@example(from_datetime(datetime(2026, 10, 25, 0, 40, tzinfo=UTC)), 22 * 60, 2 * 60 + 30, "Europe/Madrid").via("twice")
@given(YEARS, MINUTES, MINUTES, st.sampled_from(ZONES))
def test_quiet_hours_always_end_and_nothing_quiet_is_left_then(now, begins, ends, zone):
    reach = Reach(person="ana", quiet_from=begins, quiet_until=ends)
    until = quiet_until(reach, zone, now)
    minute = minute_of(now, zone)
    quiet = begins <= minute < ends if begins <= ends else minute >= begins or minute < ends
    assert (until is not None) == quiet
    if until is not None:
        assert now < until <= now + 2 * DAY
        assert quiet_until(reach, zone, until) is None


@pytest.mark.parametrize(
    ("now", "until"),
    [("2026-11-23T03:00", "2026-11-23T07:00"), ("2026-11-23T21:30", "2026-11-24T07:00"), ("2026-11-23T07:00", None)],
)
def test_the_night_is_the_persons_own(now, until):
    def at(text):
        return None if text is None else from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))

    assert quiet_until(Reach(person="ana"), "Europe/Madrid", at(now)) == at(until)


def test_the_night_is_by_the_zone_data_that_comes_with_tocsin(tmp_path):
    """Else the same journal would be judged differently on a machine whose own data are older."""
    (tmp_path / "Europe").mkdir()
    tokyo = files("tzdata.zoneinfo").joinpath("Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe" / "Madrid").write_bytes(tokyo)
    reset_tzpath([str(tmp_path)])
    ZoneInfo.clear_cache()
    try:
        evening = from_datetime(datetime(2026, 11, 23, 15, tzinfo=UTC))  # midnight in Tokyo
        assert minute_of(evening, "Europe/Madrid") == 0, "this machine's data are the wrong ones now"
        assert quiet_until(Reach(person="ana"), "Europe/Madrid", evening) is None
    finally:
        reset_tzpath()
        ZoneInfo.clear_cache()


def contact(id: int, channel: str, state: ContactState = "verified") -> Contact:
    verified = None if state == "unverified" else 1
    return Contact(
        id=id, person="ana", channel=channel, address=f"{channel}{id}", state=state, added_at=0, verified_at=verified
    )


READY = frozenset({"email", "sms", "push", "webhook"})


def chosen(contacts, reach=None, urgency="high", ready=READY):
    found = ways("ana", contacts, reach or Reach(person="ana"), urgency, ready)
    return [(one.address, one.after // MINUTE) for one in found]


def test_the_most_direct_method_comes_first_and_mail_last():
    all_of_them = [contact(1, "email"), contact(2, "webhook"), contact(3, "sms"), contact(4, "push")]
    assert chosen(all_of_them) == [("push4", 0), ("sms3", 2), ("webhook2", 4), ("email1", 6)]
    assert chosen(all_of_them, urgency="low") == [("email1", 0)]


def test_what_is_unproven_or_not_set_up_is_never_used():
    assert chosen([contact(1, "sms", "unverified"), contact(2, "voice")]) == [("ana", 0)]


def test_a_failing_method_is_used_when_there_is_nothing_else():
    assert chosen([contact(1, "sms", "failing"), contact(2, "email")]) == [("email2", 0)]
    assert chosen([contact(1, "sms", "failing")]) == [("sms1", 0)]


def test_rules_whose_first_method_is_gone_begin_with_the_next_at_once():
    reach = Reach(person="ana", high=(Way(9, 0), Way(2, 3 * MINUTE), Way(1, 5 * MINUTE)))
    assert chosen([contact(1, "email"), contact(2, "sms")], reach) == [("sms2", 0), ("email1", 2)]


def test_rules_that_name_nothing_usable_are_as_none():
    reach = Reach(person="ana", high=(Way(9, 0),))
    assert chosen([contact(1, "email")], reach) == [("email1", 0)]


def test_of_a_window_the_first_pages_leave_at_once_and_none_waits_longer_than_the_window():
    one, two, three = (Left(at, "sev2") for at in (1, 2, 3))
    assert bundled_until([], "sev2", 3, 30 * SECOND, 0) is None
    assert bundled_until([one, two], "sev2", 3, 30 * SECOND, 10) is None
    assert bundled_until([one, two, three], "sev2", 3, 30 * SECOND, 10) == 1 + 30 * SECOND
    assert bundled_until([one, two, three], "sev3", 3, 30 * SECOND, 10) == 1 + 30 * SECOND
    assert bundled_until([one, two, three], "sev1", 3, 30 * SECOND, 10) is None
    assert bundled_until([one, two, three], "sev2", 3, 30 * SECOND, 1 + 30 * SECOND) is None
    assert bundled_until([one, two, three], "sev2", 3, 0, 10) is None


@given(
    st.lists(st.tuples(st.integers(0, 3 * 60), st.sampled_from(SEVERITIES)), max_size=40),
    st.integers(1, 5),
    st.integers(0, 60),
)
def test_whatever_comes_leaves_within_its_window_and_never_more_messages_than_allowed(moments, after, within):
    """Pages at these seconds, handled as the engine does: nothing less grave delays one, and enough is remembered."""
    left: list[Left] = []
    kept: list[Left] = []
    for second, severity in sorted(moments):
        now = second * SECOND
        until = bundled_until(kept, severity, after, within * SECOND, now)
        assert until == bundled_until(left, severity, after, within * SECOND, now)
        assert until is None or now < until <= now + within * SECOND
        graver = [one for one in left if one.severity <= severity and now - one.at < within * SECOND]
        assert (until is None) == (not within or len(graver) < after)
        if until is None:
            left.append(Left(now, severity))
            kept = remembered([*kept, Left(now, severity)], after, within * SECOND, now)
    for severity in SEVERITIES:
        same = [one.at for one in left if one.severity == severity]
        for place in range(after, len(same)):
            assert same[place] - same[place - after] >= within * SECOND


@pytest.mark.parametrize(
    ("reach", "field"),
    [
        (Reach(person="ana", high=(Way(7),)), "high"),
        (Reach(person="ana", low=(Way(1, HOUR + 1),)), "low"),
        (Reach(person="ana", high=(Way(1), Way(1, MINUTE))), "high"),
        (Reach(person="ana", quiet_from=1440), "quiet"),
        (Reach(person="ana", quiet_until=-1), "quiet"),
        (Reach(person="ana", bundle_after=0), "bundle_after"),
        (Reach(person="ana", bundle_within=HOUR), "bundle_within"),
    ],
)
def test_rules_that_cannot_be_are_named_by_their_field(reach, field):
    wrong = fault(reach, {1})
    assert wrong is not None and wrong[0] == field


@pytest.mark.parametrize(
    ("channel", "written", "kept"),
    [
        ("sms", "+34 600-000 000", "+34600000000"),
        ("call", " +1 (555) 010.0199 ", "+15550100199"),
        ("sms", "+290 22 222", "+29022222"),
        ("sms", "+7 701 123 45 67", "+77011234567"),
        ("sms", "+498912345678901", "+498912345678901"),
        ("email", "Ana.B@SHOP.Example", "Ana.B@shop.example"),
        ("webhook", "https://push.example/a?b=c", "https://push.example/a?b=c"),
        ("telegram", " 12345 ", "12345"),
        ("ntfy", " ana-x7Qp2_ ", "ana-x7Qp2_"),
        ("matrix", "@ana:matrix.shop.example", "@ana:matrix.shop.example"),
        ("slack", "U024BE7LH", "U024BE7LH"),
    ],
)
def test_an_address_is_kept_in_one_form(channel, written, kept):
    assert checked_address(channel, written) == kept


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("+34 60000", "7 digits: with its country a telephone number has 8 to 15 of them"),
        ("+1234567", "7 digits: in +1 a telephone number has 11 of them"),
        ("+1 555 010 01990", "12 digits: in +1 a telephone number has 11 of them"),
        ("+7 701 123 45 6", "10 digits: in +7 a telephone number has 11 of them"),
        ("+3460000000000000", "16 digits: with its country a telephone number has 8 to 15 of them"),
        ("+1 055 010 0199", "in +1 an area's number begins with 2 to 9"),
        ("600000000", "write the number with + and its country, such as +34 600 000 000"),
    ],
)
def test_what_is_too_short_or_too_long_for_a_telephone_is_called_by_nobody(written, why):
    for channel in ("sms", "call"):
        with pytest.raises(BadAddress, match=re.escape(why)):
            checked_address(channel, written)


@pytest.mark.parametrize(
    ("channel", "written"),
    [
        ("sms", "600000000"), ("sms", "0034600000000"), ("sms", "+0600000000"), ("sms", "+3460"),
        ("sms", "+3460000000000000"), ("sms", "+34 6OO 000 000"), ("sms", "+\u0663\u0664600000000"),
        ("email", "ana@"), ("email", "a b@shop.example"), ("email", "ana@shop.example\nBcc: x@y.example"),
        ("webhook", "http://push.example/"), ("webhook", "ftp://push.example/"), ("webhook", "https:///x"),
        ("webhook", "https://a:b@push.example/"), ("webhook", "https://[::1"), ("telegram", "a\0b"), ("telegram", ""),
        ("telegram", "x" * 2_001), ("matrix", "ana"), ("matrix", "@ana"), ("slack", "ana"), ("ntfy", "secret:smtp"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused_with_what_to_write(channel, written):
    with pytest.raises(BadAddress):
        checked_address(channel, written)


def test_a_code_is_six_digits_of_its_own_seed_method_and_server():
    codes = {code_of(key, number, seed) for key in (b"k", b"l") for number in (1, 2) for seed in (b"a", b"b")}
    assert len(codes) == 8
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert code_hash(b"k", 1, b"a", " 123 456 ") == code_hash(b"k", 1, b"a", "123456")
    assert code_hash(b"k", 1, b"a", "123456") != code_hash(b"l", 1, b"a", "123456")


def test_a_webhooks_secret_is_its_own():
    assert len({webhook_secret(key, number) for key in (b"k", b"l") for number in (1, 2)}) == 4


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "[fe80::1]", "[::]"])
def test_a_webhook_to_where_nothing_is_ever_sent_is_refused_at_once(host: str) -> None:
    with pytest.raises(BadAddress, match="nothing is ever sent"):
        checked_address("webhook", f"https://{host}/x")
    assert checked_address("webhook", "https://10.0.0.7/x") == "https://10.0.0.7/x"


def test_others_see_too_little_of_an_address_to_use_it():
    assert masked("sms", "+34600000123") == "…123"
    assert masked("email", "ana@shop.example") == "a…@shop.example"
    assert masked("webhook", "https://push.example/secret-path") == "https://push.example/…"
    assert masked("webhook", "http://127.0.0.1:27090/ben") == "http://127.0.0.1:27090/…"
    assert masked("webhook", "https://ana:word@push.example/ana") == "https://push.example/…"
    assert masked("webhook", "https://[::1]:8443/ana") == "https://[::1]:8443/…"
    assert masked("telegram", "123") == "…"


LOOPBACKS = ["127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::ffff:127.8.0.1]"]
AS_RESOLVERS_READ = ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "LOCALHOST%2e", "[::127.0.0.1]", "ip6-localhost"]
WITH_OTHER_SCRIPTS = ["127\u30020\u30020\u30021", "localhost\uff61", "\uff4cocalhost", "127%E3%80%820.0.1"]


@pytest.mark.parametrize("host", ["10.1", "shop.example", "0x0a.0.0.1", "127.example", "128.1", "[2001:db8::7f00:1]"])
def test_a_webhook_to_another_machine_is_taken_however_it_is_written(host: str) -> None:
    assert checked_address("webhook", f"https://{host}:8443/x") == f"https://{host}:8443/x"


@pytest.mark.parametrize("host", LOOPBACKS + AS_RESOLVERS_READ + WITH_OTHER_SCRIPTS)
def test_a_webhook_to_tocsins_own_machine_is_not_a_persons_to_add(host: str) -> None:
    with pytest.raises(BadAddress, match="the machine Tocsin runs on"):
        checked_address("webhook", f"https://{host}:8443/x")
