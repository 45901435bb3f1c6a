"""The section ``schedules``: what is wrong with one, and what will surprise."""

from __future__ import annotations

import pytest

from tests.plan.written import good, read, warned, wrong
from tocsin.kernel.instant import parse_rfc3339
from tocsin.plan import read_plan

ROTA = "schedules:\n  shop:\n    layers:\n      - "
MISTAKES = {
    "an unknown person": (
        ROTA + "{rotate: [ana, §bne], every: day}",
        "unknown person 'bne'",
        "did you mean ben?",
    ),
    "an unknown shadow": (
        ROTA + "{rotate: ana, shadow: §anna}",
        "unknown person 'anna'",
        "did you mean ana?",
    ),
    "an empty rotation": (
        ROTA + "{rotate: §[], every: day}",
        "expected a list of turns, at least 1; found none",
        "",
    ),
    "an empty turn": (
        ROTA + "{rotate: [ana, §[]], every: day}",
        "expected a list of people, at least 1; found none",
        "",
    ),
    "no layers": (
        "schedules: {shop: {layers: §[]}}",
        "expected a list of layers, at least 1; found none",
        "",
    ),
    "a schedule of nothing": (
        "schedules: {shop: §{}}",
        "a schedule needs the key 'layers'",
        "the later over the earlier",
    ),
    "a zone that does not exist": (
        ROTA + "{rotate: ana, timezone: §Europe/Madird}",
        "unknown time zone 'Europe/Madird'",
        "did you mean Europe/Madrid?",
    ),
    "turns without a length": (
        ROTA + "§{rotate: [ana, ben]}",
        "a layer whose people take turns needs the key 'every'",
        "such as `every: week`",
    ),
    "a length": (
        ROTA + "{rotate: ana, every: §fortnight}",
        "'fortnight' is not the length of a turn",
        "12h, 3 days or 2 weeks",
    ),
    "a length of nothing": (
        ROTA + "{rotate: ana, every: §0 days}",
        "'0 days' is out of bounds here",
        "from 1 hour to 53 weeks",
    ),
    "too many months": (
        ROTA + "{rotate: ana, every: §13 months}",
        "'13 months' is out of bounds here",
        "from 1 hour to 12 months",
    ),
    "a handoff": (
        ROTA + "{rotate: ana, every: week, handoff: §Monday 9}",
        "'Monday 9' is not a time to hand over",
        "09:00, Mon 09:00 or 1 09:00",
    ),
    "a time that is none": (
        ROTA + "{rotate: ana, every: day, handoff: §25:00}",
        "'25:00' is not a time to hand over",
        "",
    ),
    "a weekday for days": (
        ROTA + "{rotate: [ana, ben], every: 3 days, §handoff: Mon 09:00}",
        "turns that do not last whole weeks have no weekday to change on",
        "write the time alone",
    ),
    "a weekday for months": (
        ROTA + "{rotate: [ana, ben], every: month, §handoff: Mon 09:00}",
        "turns that do not last whole weeks have no weekday to change on",
        "write the day of the month, such as 1 09:00",
    ),
    "a day of the month for weeks": (
        ROTA + "{rotate: [ana, ben], every: week, §handoff: 1 09:00}",
        "turns that do not last whole months have no day of the month to change on",
        "",
    ),
    "a day no month has": (
        ROTA + "{rotate: ana, every: month, handoff: §32 09:00}",
        "no month has a day 32",
        "",
    ),
    "a day that does not exist": (
        ROTA + "{rotate: ana, every: day, starts: §2026-02-30}",
        "there is no day '2026-02-30'",
        "",
    ),
    "a day long ago": (
        ROTA + "{rotate: ana, every: day, starts: §0001-01-01}",
        "'0001-01-01' is out of bounds here",
        "",
    ),
    "a start with somebody else": (
        ROTA + "{rotate: [ana], every: day, §starts: 2026-11-16 with ben}",
        "'ben' has no turn in this layer, so it cannot start with them",
        "known here: ana",
    ),
    "hours": (
        ROTA + "{rotate: ana, only: §9-18}",
        "'9-18' is not hours of the week",
        "such as Mon-Fri 09:00-18:00",
    ),
    "a person's name": (
        "schedules:\n  §ana: {layers: [{rotate: ana}]}",
        "'ana' is a person as well",
        "give the schedule another name",
    ),
    "a schedule misspelt in a step": (
        ROTA + "{rotate: ana}\nescalations: {e: [{page: §shopp}]}",
        "unknown person or schedule 'shopp'",
        "did you mean shop?",
    ),
    "an unknown last resort beside schedules": (
        ROTA + "{rotate: ana}\nlast resort: §shoop",
        "unknown person 'shoop'",
        "known here: ana, ben",
    ),
    "next on nothing": (
        ROTA + "{rotate: ana}\nescalations: {e: [{page: §next on shopp}]}",
        "unknown schedule 'shopp'",
        "did you mean shop?",
    ),
    "a schedule for the last resort": (
        ROTA + "{rotate: ana}\nlast resort: [ana, §shop]",
        "the last resort is whom nobody stands before, and 'shop' may have nobody on shift",
        "name a person or a team",
    ),
    "page and page one of": (
        "escalations: {e: [{page: ana, §page one of: [ana, ben]}]}",
        "an escalation step needs exactly one of page and page one of; found page and page one of",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported_once_where_it_is_with_what_to_write(name):
    text, message, hint = MISTAKES[name]
    before = text[: text.index("§")]
    (found,) = wrong(text.replace("§", ""))
    assert (found.line, found.column) == (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    assert message in found.message
    assert hint in found.hint


WEEK = "every: week, handoff: Mon 09:00"


def test_turns_without_a_start_are_warned_of():
    """Else who is on call would be a surprise."""
    assert warned(ROTA + f"{{rotate: [ben, ana], {WEEK}}}") == [
        "the layer has no `starts`: its turns count from Monday 2000-01-03 with ben"
    ]
    assert not any("`starts`" in one for one in warned(ROTA + f"{{rotate: [ana], {WEEK}}}")), "one turn needs no start"


def test_keys_about_turns_are_warned_of_where_nobody_takes_turns():
    """They are not in error, and silently do nothing."""
    assert warned(ROTA + "{rotate: ana, every: week, starts: 2026-11-16}") == [
        "every turn of the layer is that of ana, so `every` and `starts` change nothing"
    ]
    assert warned(ROTA + "{rotate: [[ana, ben]], handoff: '10:00'}") == [
        "every turn of the layer is that of ana and ben, so `handoff` changes nothing"
    ]
    assert warned(ROTA + "{rotate: ana}") == []


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("rotate: ana, shadow: ana", "ana shadows only themselves: every turn of the layer is theirs"),
        ("rotate: [[ana, ana], ben], every: week, starts: 2026-11-16 with ana", "a turn names ana twice"),
    ],
)
def test_a_person_named_twice_in_a_layer_is_warned_of(layer, said):
    assert warned(f"services: {{}}\nschedules: {{s: {{layers: [{{{layer}}}]}}}}").count(said) == 1
    other = layer.replace("shadow: ana", "shadow: ben").replace("[ana, ana]", "[ana]")
    assert said not in warned(f"services: {{}}\nschedules: {{s: {{layers: [{{{other}}}]}}}}")


def test_a_layer_nobody_sees_is_warned_of():
    rota = ROTA + "{rotate: ana}\n      - {rotate: ben}\n"
    assert warned(rota) == ["layer 2 of shop always applies, so nobody is ever on call by layer 1"]


def test_a_calendar_between_layers_is_read_and_needs_no_words_of_its_own():
    kept = "calendars: {kept: {ical: secret:kept}}\n"
    plan = good(kept + ROTA + "{rotate: ana}\n      - {calendar: kept}\n      - {rotate: ben, only: Sat}")
    shop = plan.schedules["shop"]
    assert (shop.between, [one.name for one in shop.layers]) == (((1, "kept"),), ["layer 1", "layer 3"])
    (found,) = wrong(kept + ROTA + "{calendar: kept, only: Sat}")
    assert found.message == "a layer from a calendar has no 'only': its entries say who, and when"
    (found,) = wrong(ROTA + "{calendar: kept}")
    assert found.message == "unknown calendar 'kept'"
    hidden = kept + ROTA + "{calendar: kept}\n      - {rotate: ben}"
    assert "layer 2 of shop always applies, so nobody is ever on call by the calendar kept" in warned(hidden)


def test_gaps_are_warned_of_with_the_first_one():
    """In the schedule's own time zone."""
    rota = ROTA + "{rotate: [ana, ben], every: day, starts: 2026-11-16, only: Mon-Fri 09:00-18:00}"
    (found,) = warned(rota.replace("layers", "timezone: Asia/Tokyo\n    layers"))
    assert found == (
        "nobody is on call by shop for 266 d 12 h in 52 weeks, in 260 gaps; the first is from "
        "Mon 16 Nov 2026 18:00 to Tue 17 Nov 2026 09:00"
    )


def test_a_gap_of_layers_without_a_start_has_no_date():
    (found,) = warned(ROTA + "{rotate: ana, only: Mon-Fri 09:00-18:00}")
    assert found.endswith("the first is from Mon 18:00 to Tue 09:00")


def test_layers_that_cover_each_others_gaps_have_none():
    rota = ROTA + "{rotate: ana, only: Mon-Fri 08:00-20:00}\n      - {rotate: ben, only: [20:00-08:00, 'Sat,Sun']}"
    assert warned(rota) == []


def test_a_gap_a_clock_makes_between_two_zones_is_found():
    """All winter long the two meet; in summer an hour is missing."""
    rota = (
        ROTA + "{rotate: ana, timezone: Europe/Madrid, only: 09:00-21:00, starts: 2026-11-16}\n"
        "      - {rotate: ben, timezone: Africa/Lagos, only: 21:00-09:00, starts: 2026-11-16}"
    )
    (found,) = [one for one in warned(rota) if one.startswith("nobody")]
    assert found.endswith("the first is from Sun 28 Mar 2027 19:00 to Sun 28 Mar 2027 20:00")


def test_looking_ahead_has_a_bound():
    """A plan of many busy schedules is read in a moment; what is not looked at is not warned of."""
    layers = "layers: [{rotate: [ana, ben], every: hour, starts: 2026-11-16, only: Mon-Fri}]"
    names = [f"s{n}" for n in range(200)]
    text = "schedules:\n" + "".join(f"  {name}: {{{layers}}}\n" for name in names)
    text += f"escalations: {{e: [{', '.join(f'{{page: {name}}}' for name in names[:100])}]}}\n"
    found = warned(text + "services: {a: {escalation: e}}")
    assert 10 < len(found) < 200


TWO = """
schedules:
  first: {layers: [{rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}]}
  second: {layers: [{rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with %s}]}
escalations: {e: [{page: first}, {page: [second, ana]}]}
services: {a: {escalation: e}}
"""


def test_the_same_person_first_and_second_is_warned_of():
    assert warned(TWO % "ben") == []
    assert warned(TWO % "ana") == [
        (
            "ana is on call by first and second at once, first from Mon 16 Nov 2026 09:00 to Mon 23 Nov 2026 09:00: "
            "e would page them twice and nobody else"
        )
    ]


def test_what_comes_is_looked_for_from_now_on_and_not_from_a_begin_years_ago():
    """The turns of two schedules meet a year after their start; hours are closed this Christmas."""
    text = """
schedules:
  first: {layers: [{rotate: [ana, ben], every: 53 weeks, handoff: Mon 09:00, starts: 2025-12-01 with ana}]}
  second: {layers: [{rotate: ben}]}
hours: {work: {open: Mon-Sun, closed: [2026-12-25]}}
escalations: {e: [{page: first}, {page: [second, ana]}]}
services: {a: {escalation: e}}
"""
    assert warned(text) == []
    now = parse_rfc3339("2026-11-26T05:00:00Z")
    (found,) = warned(text, now)
    assert found.startswith("ben is on call by first and second at once, first from Mon 7 Dec 2026 09:00 to")
    hours = "hours: {work: {open: Mon-Sun, closed: [2026-12-25]}}"
    closed = f"{ROTA}{{rotate: ana, only: work, starts: 2020-01-06}}\n{hours}"
    assert [one for one in warned(closed) if "nobody" in one] == []
    assert "the first is from Fri 25 Dec 2026 00:00 to Sat 26 Dec 2026 00:00" in "".join(warned(closed, now))


def test_turns_that_count_before_their_start_are_looked_at_from_now():
    now = parse_rfc3339("2026-11-26T05:00:00Z")
    hours = "hours: {work: {open: Mon-Sun, closed: [2026-12-25]}}"
    later = f"{ROTA}{{rotate: ana, only: work, starts: 2027-03-01}}\n{hours}"
    assert "the first is from Fri 25 Dec 2026 00:00 to Sat 26 Dec 2026 00:00" in "".join(warned(later, now))
    (found,) = warned(TWO.replace("starts: 2026-11-16", "starts: 2027-03-01") % "ana", now)
    assert found.startswith("ana is on call by first and second at once, first from Thu 26 Nov 2026 05:00 to")


def test_who_is_on_call_and_all_that_another_step_pages_is_warned_of():
    one = TWO.replace("{page: [second, ana]}", "{page: %s}") % ("ben", "ana")
    assert warned(one) == [
        (
            "ana is on call by first, first from Mon 16 Nov 2026 09:00 to Mon 23 Nov 2026 09:00, and is all that "
            "another step of e pages: it would page them twice and nobody else"
        )
    ]
    assert warned(TWO.replace("{page: [second, ana]}", "{page: [ana, ben]}") % "ben") == []
    before = TWO.replace("[{page: first}, {page: [second, ana]}]", "[{page: ben}, {page: first}, {page: ben}]") % "ben"
    assert [line.partition(",")[0] for line in warned(before)] == ["ben is on call by first"]


def test_next_on_a_layer_of_one_is_warned_of():
    rota = (
        ROTA + "{rotate: ana}\nescalations: {e: [{page: shop}, {page: next on shop}]}\nservices: {a: {escalation: e}}"
    )
    assert warned(rota) == ["layer 1 has one turn, so there is no next on shop while it applies"]


def test_somebody_on_call_whom_only_the_console_reaches_is_named_with_the_schedule():
    reading = read(
        a="tocsin: 1\npeople: {zoe: {}, ana: {email: a@b.example}}\n"
        "mail: {server: smtp://localhost, from: a@b.example}\nschedules: {shop: {layers: [{rotate: zoe}]}}"
    )
    assert [one.message for one in reading.findings] == ["the plan names no way to reach 'zoe', who is on call in shop"]


def test_a_step_pages_people_teams_and_schedules():
    plan = good(ROTA + "{rotate: ana}\nescalations: {e: [{page: [ana, team shop, shop, next on shop]}]}")
    assert plan.escalations["e"].steps[0].targets == (
        "person:ana", "team:shop", "schedule:shop", "schedule:shop:next",
    )  # fmt: skip


def test_hours_open_all_week_are_closed_on_their_closed_days() -> None:
    """A layer for them leaves those days to the layer below, and is not said to hide it."""
    text = (
        "tocsin: 1\npeople: {ana: {email: a@b.example}, ben: {email: b@b.example}}\n"
        "mail: {server: smtp://localhost, from: a@b.example}\n"
        "hours: {usual: {open: Mon-Sun, closed: [2026-12-25]}}\n"
        "schedules: {shop: {layers: [{rotate: ana}, {rotate: ben, only: usual}]}}\n"
    )
    reading = read_plan({"tocsin.yaml": text.encode()})
    assert reading.plan is not None
    assert [one.message for one in reading.findings] == []
    roster = reading.plan.rosters["shop"]
    days = ("2026-12-24T23:59:00Z", "2026-12-25T00:00:00Z", "2026-12-25T23:59:00Z", "2026-12-26T00:00:00Z")
    assert [roster.who(parse_rfc3339(day))[0].person for day in days] == ["ben", "ana", "ana", "ben"]
