"""Who takes the turns of people who are away: under what was agreed by hand, and as few people twice as can be."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oncall.rotas import names, rota, utc
from tocsin.kernel.instant import DAY, HOUR, Instant
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster, Span, merged
from tocsin.oncall.schedule import Layer, Schedule
from tocsin.oncall.standing_in import away_covers

START = utc("2026-11-16 00:00")
ROTAS = (
    "- {rotate: [ana, ben, kei], every: week, starts: 2026-11-16 with ana}",
    "- {rotate: [[ana, ben], [kei, zoe]], every: day, starts: 2026-11-16}",
    "- {rotate: [[ana, ben], [ben, kei], [kei, ana]], every: 2 days, starts: 2026-11-16}",
    "- {rotate: [ana, ben], every: week, starts: 2026-11-16}\n- {rotate: [kei, zoe], every: day, only: 08:00-20:00}",
    """
    - {rotate: [ana, ben], every: day, starts: 2026-11-16}
    - {rotate: kei, only: 06:00-20:00}
    - {rotate: zoe, only: Mon-Fri 09:00-17:00}
    """,
)
TEAM = ("ana", "ben", "kei", "zoe")
TIMES = st.tuples(st.integers(0, 20 * 24), st.integers(1, 200)).map(
    lambda some: (START + some[0] * HOUR, START + (some[0] + some[1]) * HOUR)
)
AWAY = st.dictionaries(st.sampled_from(TEAM), st.lists(TIMES, min_size=1, max_size=3).map(sorted).map(merged))
AGREED = st.tuples(st.permutations(TEAM), TIMES)


def on(span: Span, at: Instant) -> bool:
    return span[0] <= at < span[1]


@settings(max_examples=60)
@given(st.sampled_from(ROTAS), AWAY, AGREED)
def test_what_was_agreed_for_a_turn_counts_whatever_calendars_say(layers, away, agreed):
    roster, ((whose, taker, *_), span) = rota(layers), agreed
    covers = (*away_covers(roster, away, START, START + 40 * DAY), Cover(7, taker, span[0], span[1], whose))
    edges = {edge for spans in away.values() for low, high in spans for edge in (low, high, high - HOUR)}
    for at in sorted({span[0], span[1] - HOUR, *edges}):
        if on(span, at) and whose in names(roster.who(at)):
            assert taker in names(roster.who(at, covers))
            assert 7 in [one.override for one in roster.shifts(at, at + 1, covers)]


@settings(max_examples=60)
@given(st.sampled_from(ROTAS), AWAY)
def test_nobody_who_is_away_is_on_call_while_another_could_be_and_no_place_is_empty(layers, away):
    roster = rota(layers)
    covers = tuple(away_covers(roster, away, START, START + 40 * DAY))
    edges = {START, *(edge for spans in away.values() for span in spans for edge in span)}
    for at in sorted(edges):
        gone = {one for one, spans in away.items() if any(on(span, at) for span in spans)}
        now, planned = roster.who(at, covers), roster.who(at)
        assert now
        applying = [one for one in roster.schedule.layers if not one.only or _applies(one, at)]
        there = {one for layer in applying for turn in layer.turns for one in turn} - gone
        if there:
            assert not gone & set(names(now))
        top = {one for turn in roster.schedule.layers[planned[0].layer].turns for one in turn} - gone
        if top:
            assert len(now) >= min(len(planned), len(top))


def _applies(layer: Layer, at: Instant) -> bool:
    return bool(Roster(Schedule(key="alone", layers=(layer,))).who(at))


def test_who_stands_in_for_somebody_may_give_it_away_as_well():
    roster = rota(ROTAS[0])
    span = START + 2 * DAY, START + 4 * DAY
    covers = tuple(away_covers(roster, {"ana": [span]}, START, START + 9 * DAY))
    at = span[0] + HOUR
    assert names(roster.who(at, covers)) == ["ben"]
    by_ben = (*covers, Cover(7, "zoe", *span, "ben"))
    assert names(roster.who(at, by_ben)) == ["zoe"]
    assert names(roster.who(at, (*by_ben, Cover(8, "kei", *span, "ana")))) == ["kei"]
    assert names(roster.who(at, (*by_ben, Cover(8, "kei", *span, "ben")))) == ["zoe"]


def test_a_pair_stays_two_while_a_third_is_free_and_is_one_where_only_the_other_is_there():
    pairs = "[[ana, ben], [ben, kei], [kei, ana]]"
    roster = rota(f"- {{rotate: {pairs}, every: week, handoff: Mon 00:00, starts: 2026-11-16}}")
    week = [(START, START + 7 * DAY)]
    covers = tuple(away_covers(roster, {"ana": week}, START, START + 7 * DAY))
    assert set(names(roster.who(START, covers))) == {"ben", "kei"}
    covers = tuple(away_covers(roster, {"ana": week, "kei": week}, START, START + 7 * DAY))
    assert names(roster.who(START, covers)) == ["ben"]


def test_a_layer_of_one_who_is_away_does_not_apply_where_somebody_below_is_there():
    roster = rota(
        """
        - {rotate: [ana, ben], every: week, handoff: Mon 00:00, starts: 2026-11-16 with ana}
        - {rotate: kei, only: Mon-Fri 09:00-18:00}
        """
    )
    week, noon = [(START, START + 7 * DAY)], START + 12 * HOUR
    covers = tuple(away_covers(roster, {"kei": week}, START, START + 7 * DAY))
    assert names(roster.who(noon, covers)) == ["ana"]
    assert names(roster.beside(noon, 1, covers)) == ["ben"]
    covers = tuple(away_covers(roster, {"kei": week, "ana": week}, START, START + 7 * DAY))
    assert names(roster.who(noon, covers)) == ["ben"]
    covers = tuple(away_covers(roster, {"kei": week, "ana": week, "ben": week}, START, START + 7 * DAY))
    assert names(roster.who(noon, covers)) == ["kei"]


def test_a_layer_of_one_who_is_away_applies_where_nothing_lies_below_or_a_rota_does_not_name_who_is_there():
    roster = rota("- {rotate: kei, only: Mon-Fri 09:00-18:00}\n- {rotate: zoe, only: Mon-Fri 09:00-12:00}")
    week, noon = [(START, START + 7 * DAY)], START + 11 * HOUR
    away = {"kei": week, "zoe": week}
    assert names(roster.who(noon, tuple(away_covers(roster, away, START, START + 7 * DAY)))) == ["zoe"]
    entry = Cover(-2_000_000, "ben", START, START + DAY, "", "", 1)
    covers = (entry, *away_covers(roster, away, START, START + 7 * DAY, [entry]))
    assert names(roster.who(noon, covers)) == ["ben"]


def test_who_is_on_call_beside_a_schedule_stands_in_on_it_only_where_nobody_else_can():
    roster = rota("- {rotate: [ana, ben, kei], every: week, handoff: Mon 00:00, starts: 2026-11-16 with ana}")
    week, day = (START, START + 7 * DAY), (START + DAY, START + 2 * DAY)
    made = away_covers(roster, {"ana": [week]}, *week, beside={"ben": [week]})
    assert [one.person for one in made if one.person] == ["kei"]
    made = away_covers(roster, {"ana": [week], "kei": [day]}, *week, beside={"ben": [week]})
    assert [one[1:4] for one in made if one.person] == [
        ("kei", week[0], day[0]), ("ben", *day), ("kei", day[1], week[1])
    ]  # fmt: skip
    made = away_covers(roster, {"ana": [week]}, *week, beside={"ben": [week], "kei": [week]})
    assert [one.person for one in made if one.person] == ["ben"]
