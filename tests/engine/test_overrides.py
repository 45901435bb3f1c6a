"""Stories of overrides, swaps and cover requests, in virtual time with the real engine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.test_oncall import PLAN, said
from tests.engine.world import START, World, dump
from tocsin.engine import overriding
from tocsin.engine.commands import AddOverride, AnswerOverride, AskCover, AskSwap, CancelOverride, Result
from tocsin.kernel.instant import parse_duration
from tocsin.oncall.override import Override, covers_by_schedule
from tocsin.oncall.roster import Roster

# `primary` has ana until 04:00, an hour after the world begins, then ben until 04:00 the day after, then ana.


def at(offset: str) -> int:
    """An instant, as a time after the start."""
    return START - parse_duration(offset[1:]) if offset.startswith("-") else START + parse_duration(offset)


def overrides(world: World, person: str, start: str, end: str, key: str = "", **more: Any) -> Result:
    """Somebody is put on call by ana."""
    more = {"schedule": "primary", "actor": "person:ana"} | more
    return world.asked(AddOverride(person=person, starts_at=at(start), ends_at=at(end), **more), key)


def swaps(world: World, mine: tuple[str, str], theirs: tuple[str, str], **more: Any) -> Result:
    """Ana asks Ben to swap."""
    more = {"schedule": "primary", "actor": "person:ana", "person": "ana", "other": "ben"} | more
    return world.asked(
        AskSwap(
            starts_at=at(mine[0]), ends_at=at(mine[1]), back_starts_at=at(theirs[0]), back_ends_at=at(theirs[1]), **more
        )
    )


def answers(world: World, person: str, id: int = 1, yes: bool = True) -> Result:
    """Somebody answers."""
    return world.asked(AnswerOverride(id=id, person=person, yes=yes, actor=f"person:{person}"))


def test_whoever_asked_through_a_token_is_told_like_whoever_asked_by_hand():
    world = World(PLAN)
    made = swaps(world, ("30m", "45m"), ("2h", "3h"), actor="person:ana (token ci)")
    assert made.ok
    assert answers(world, "ben").ok
    assert [one for one in notices(world) if one.startswith("ana: ")], "Ben agreed, and Ana hears of it"
    said = world.engine.state.covers["primary"][0].why
    assert said == "ben for ana, asked by ana (token ci)"


def pages(world: World) -> list[tuple[str, str, int]]:
    """What was paged about incidents."""
    return [page for page in world.pages if page[2]]


def notices(world: World) -> list[str]:
    """What people were told about who is on call."""
    return [
        f"{page.person}: {page.title}"
        for page in sorted(world.told_pages, key=lambda page: page.id)
        if not page.incident
    ]


def paged_at(world: World, *offsets: str) -> list[str]:
    """Who a new incident of checkout pages first, at each of these times."""
    found = []
    for offset in offsets:
        world.at(offset).fires(f"At {offset}", job="checkout")
        number = max(world.engine.state.incidents)
        found += [person for _, person, incident in world.pages if incident == number]
        world.acknowledges(number)
    return found


def test_an_override_is_paged_instead_of_the_plans_layers_while_it_lasts():
    world = World(PLAN)
    assert overrides(world, "kei", "10m", "20m").ok
    assert paged_at(world, "9m", "10m", "19m", "20m") == ["ana", "kei", "kei", "ana"]
    assert said(world, 2) == ["Paging Kei (primary, override 1); next in 30 min if nobody answers"]


def test_the_later_override_counts():
    world = World(PLAN)
    overrides(world, "kei", "0s", "50m")
    overrides(world, "zoe", "10m", "20m")
    assert paged_at(world, "9m", "10m", "20m") == ["kei", "zoe", "kei"]


def test_an_override_for_somebody_counts_where_they_would_be_on_call():
    """Kei stands in for ana alone: at 04:00 it is ben's turn all the same."""
    world = World(PLAN)
    assert overrides(world, "kei", "0s", "3h", instead_of="ana").ok
    assert paged_at(world, "30m", "90m") == ["kei", "ben"]


def test_an_override_fills_a_gap():
    world = World(PLAN)
    assert overrides(world, "zoe", "0s", "30m", schedule="hours").ok
    world.fires("Down", job="quiet").at("1m")
    assert pages(world) == [("0s", "zoe", 1)]


def test_an_override_made_meanwhile_counts_when_the_next_step_is_due():
    world = World(PLAN).fires("Down", job="checkout").at("10m")
    overrides(world, "kei", "0s", "50m")
    world.at("31m")
    assert pages(world) == [("0s", "ana", 1), ("1800s", "kei", 1)]


def test_an_override_that_begins_in_the_past_begins_now():
    """What was is not changed."""
    world = World(PLAN).at("10m")
    assert overrides(world, "kei", "-2h", "20m").ok
    assert world.engine.state.overrides[1].starts_at == at("10m")


def test_a_cancelled_override_ends_now_and_what_was_stays():
    world = World(PLAN)
    overrides(world, "kei", "10m", "50m")
    assert paged_at(world, "20m") == ["kei"]
    override = world.engine.state.overrides[1]
    assert world.asked(CancelOverride(id=1, actor="person:ben")).reason == "override_cancelled"
    assert [(cover.start, cover.end) for cover in override.covers()] == [(at("10m"), at("20m"))]
    assert paged_at(world, "21m") == ["ana"]
    again = world.asked(CancelOverride(id=1, actor="person:ben"))
    assert (again.ok, again.code) == (False, "conflict")


NEXT_ON = PLAN.replace(b"{page: watched, wait: 30m}\n", b"{page: watched, wait: 10m}\n    - {page: next on watched}\n")


@pytest.mark.parametrize("ends", ["over", "cancelled"])
def test_whoever_comes_on_call_as_an_override_ends_is_paged_beside_the_next(ends: str):
    """Who had the turn when the first step was due is asked of what lay over the rota then, though it is over."""
    world = World(NEXT_ON)
    assert overrides(world, "kei", "0s", "8m" if ends == "over" else "50m", schedule="watched").ok
    world.at("5m").fires("Down", job="shadowed")
    if ends == "cancelled":
        assert world.at("8m").asked(CancelOverride(id=1, actor="person:ben")).ok
    world.at("12m").restarted().at("16m")
    paged = [one for one in pages(world) if one[1] != "zoe"]  # who shadows
    assert paged == [("300s", "kei", 1), ("900s", "ben", 1), ("900s", "ana", 1)]


def test_an_override_that_is_over_is_forgotten_after_a_week():
    world = World(PLAN)
    overrides(world, "kei", "10m", "20m")
    world.at("21m")
    assert world.asked(CancelOverride(id=1, actor="person:ben")).message == "Override 1 is over"
    assert not world.engine.state.overrides[1].live(world.now)
    world.at(f"{7 * 24 * 60 + 21}m")
    assert (world.engine.state.overrides, world.engine.state.covers) == ({}, {})


@pytest.mark.parametrize("taken_back", [True, False])
def test_overrides_that_are_over_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, taken_back: bool):
    monkeypatch.setattr(overriding, "MOST_LIVE", 5)
    monkeypatch.setattr(overriding, "MOST_OVER", 5)
    world = World(PLAN)
    for number in range(1, 12):
        assert overrides(world, "kei", "0s", "50m" if taken_back else f"{number}s").ok, "what is over counts for none"
        world.at(f"{number}s")
        if taken_back:
            world.asked(CancelOverride(id=number, actor="person:ben"))
    assert list(world.engine.state.overrides) == [7, 8, 9, 10, 11], "the latest"


def test_somebody_who_left_the_plan_takes_nobodys_place():
    world = World(PLAN)
    overrides(world, "kei", "0s", "9h")
    left = PLAN.replace(b"  kei: {name: Kei, email: kei@shop.example}\n", b"").replace(b"rotate: kei", b"rotate: zoe")
    left = left.replace(b"{page: kei,", b"{page: zoe,")
    world.put_in_force(left.replace(b"ana, ben, kei]", b"ana, ben]"))
    assert paged_at(world, "1m") == ["ana"]
    world.at("7h")
    (word,) = [page for page in world.told_pages if page.reason == "schedule_findings"]
    assert "Override 1 on primary takes nobody's place: kei is not in the plan" in word.lines


@pytest.mark.parametrize(
    ("what", "code", "field", "message"),
    [
        ({"start": "20m", "end": "10m"}, "invalid", "ends_at", "It must end after it begins"),
        ({"start": "10m", "end": "10m"}, "invalid", "ends_at", "It must end after it begins"),
        ({"start": "-2h", "end": "-1h"}, "invalid", "ends_at", "It cannot end in the past"),
        ({"end": "400d"}, "invalid", "ends_at", "It lasts a year at most, and ends within two"),
        ({"start": "740d", "end": "741d"}, "invalid", "ends_at", "It lasts a year at most, and ends within two"),
        ({"person": "bob"}, "invalid", "person", "The plan has no person 'bob'"),
        ({"person": ""}, "invalid", "person", "The plan has no person ''"),
        ({"instead_of": "bob"}, "invalid", "instead_of", "The plan has no person 'bob'"),
        ({"instead_of": "kei"}, "invalid", "instead_of", "Nobody stands in for themselves"),
        ({"instead_of": "ben"}, "invalid", "instead_of", "ben is not on call by primary in that time"),
        ({"schedule": "primry"}, "invalid", "schedule", "The plan has no schedule 'primry'"),
        ({"reason": "x" * 1001}, "invalid", "reason", "A reason has at most 1,000 characters"),
    ],
)
def test_an_override_that_cannot_be_is_refused_and_changes_nothing(what, code, field, message):
    world = World(PLAN)
    before = dump(world.engine.state) | {"counters": None}
    refused = overrides(world, **({"person": "kei", "start": "0s", "end": "50m"} | what))
    assert (refused.ok, refused.code, refused.field, refused.message) == (False, code, field, message)
    assert dump(world.engine.state) | {"counters": None} == before
    assert world.engine.state.counters.override == 0


def test_an_override_asked_for_twice_with_one_key_is_made_once():
    world = World(PLAN)
    assert overrides(world, "kei", "0s", "50m", "key").id == overrides(world, "kei", "0s", "50m", "key").id == "1"
    assert list(world.engine.state.overrides) == [1]


def test_a_swap_counts_when_the_other_agrees_and_both_ways():
    world = World(PLAN)
    assert swaps(world, ("10m", "50m"), ("2h", "3h")).reason == "swap_asked"
    assert paged_at(world, "5m") == ["ana"]
    assert answers(world, "ben").reason == "on_call_changed"
    assert paged_at(world, "20m", "55m", "150m", "4h") == ["ben", "ana", "ana", "ben"]


def test_only_the_other_agrees_to_a_swap():
    world = World(PLAN)
    swaps(world, ("10m", "50m"), ("2h", "3h"))
    for person in ("ana", "kei", ""):
        assert answers(world, person).code == "forbidden"
    assert answers(world, "ben", yes=False).reason == "swap_declined"
    assert answers(world, "ben").code == "conflict"
    assert paged_at(world, "20m", "150m") == ["ana", "ben"]


def test_a_swap_nobody_agreed_to_in_time_lapses():
    world = World(PLAN)
    swaps(world, ("10m", "50m"), ("2h", "3h"))
    override = world.engine.state.overrides[1]
    world.at("11m")
    assert answers(world, "ben").message == "Override 1 is over"
    assert override.state(world.now) == "lapsed"
    assert paged_at(world, "20m", "150m") == ["ana", "ben"]


def test_a_swap_is_ended_at_once_both_ways():
    world = World(PLAN)
    swaps(world, ("10m", "50m"), ("2h", "3h"))
    answers(world, "ben")
    world.at("20m")
    world.asked(CancelOverride(id=1, actor="person:ana"))
    assert paged_at(world, "21m", "150m") == ["ana", "ben"]


@pytest.mark.parametrize(
    ("mine", "theirs", "more", "message"),
    [
        (("10m", "50m"), ("2h", "3h"), {"person": ""},
         "Only people of the plan swap their shifts, and you are none of them"),
        (("10m", "50m"), ("2h", "3h"), {"other": "bob"}, "The plan has no person 'bob'"),
        (("10m", "50m"), ("2h", "3h"), {"other": "ana"}, "A swap needs somebody else"),
        (("50m", "10m"), ("2h", "3h"), {}, "It must end after it begins"),
        (("10m", "50m"), ("3h", "2h"), {}, "It must end after it begins"),
        (("-10m", "50m"), ("2h", "3h"), {}, "A swap is of times to come"),
        (("10m", "150m"), ("2h", "3h"), {}, "The two times of a swap overlap"),
        (("2h", "3h"), ("10m", "50m"), {}, "ana is not on call by primary in that time"),
        (("10m", "50m"), ("26h", "27h"), {}, "ben is not on call by primary in that time"),
    ],
)  # fmt: skip
def test_a_swap_that_cannot_be_is_refused(mine, theirs, more, message):
    refused = swaps(World(PLAN), mine, theirs, **more)
    assert (refused.ok, refused.message) == (False, message)


def test_a_cover_request_is_taken_by_somebody_on_the_schedule():
    world = World(PLAN)
    asked = AskCover(schedule="primary", person="ana", starts_at=at("10m"), ends_at=at("3h"), actor="person:ana")
    assert world.asked(asked).reason == "cover_asked"
    assert paged_at(world, "11m") == ["ana"], "nobody has taken it yet"
    assert answers(world, "kei").message == "Only people on primary can take its shifts"
    assert answers(world, "ana").message == "It is your own place that is to be taken"
    assert answers(world, "ben", yes=False).code == "invalid"
    world.at("20m")
    assert answers(world, "ben").ok
    assert paged_at(world, "30m") == ["ben"]
    assert world.engine.state.overrides[1].covers()[0].start == at("20m"), "what was stays"
    assert answers(world, "ben").message == "This cover request was answered already"


def test_an_override_asks_nobody():
    world = World(PLAN)
    made = AddOverride(schedule="primary", person="ben", starts_at=at("1h"), ends_at=at("2h"), actor="person:ana")
    assert world.asked(made).ok
    assert answers(world, "ben").message == "Override 1 asks nobody: it counts already"


def test_a_gap_can_be_asked_to_be_covered():
    world = World(PLAN)
    gap = AskCover(schedule="hours", starts_at=at("0s"), ends_at=at("30m"), actor="person:ana")
    assert world.asked(gap).ok
    assert answers(world, "kei").ok
    world.fires("Down", job="quiet")
    assert pages(world) == [("0s", "kei", 1)]


def wants_cover(world: World, actor: str, end: str, **more: Any) -> Result:
    """Somebody asks for cover from now on, and does not say whose place it is."""
    more = {"schedule": "primary"} | more
    return world.asked(AskCover(starts_at=at("0s"), ends_at=at(end), actor=actor, **more))


@pytest.mark.parametrize("actor", ["person:ana", "person:ana (token ci)"])
def test_who_asks_for_cover_of_their_own_shift_need_not_say_whose_it_is(actor):
    world = World(PLAN)
    assert wants_cover(world, actor, "30m").ok
    assert world.engine.state.overrides[1].instead_of == "ana"
    assert answers(world, "ben").ok
    assert paged_at(world, "10m", "35m") == ["ben", "ana"]


def test_their_own_is_theirs_beside_others_who_are_on_call_with_them():
    world = World(PLAN.replace(b"rotate: [ana, ben], every: day", b"rotate: [[ana, zoe], ben], every: day"))
    assert wants_cover(world, "person:ana", "30m").ok
    assert world.engine.state.overrides[1].instead_of == "ana"


@pytest.mark.parametrize(
    ("actor", "end", "who"),
    [
        ("person:ana", "2h", "ana and ben are"),
        ("person:ben", "30m", "ana is"),
        ("user:ops", "30m", "ana is"),
        ("person:kei", "2h", "ana and ben are"),
    ],
)
def test_where_it_may_be_anothers_place_whose_is_asked_and_the_choice_named(actor, end, who):
    refused = wants_cover(World(PLAN), actor, end)
    wanted = f"In that time {who} on call by primary: say whose place is to be taken"
    assert (refused.ok, refused.field, refused.message) == (False, "person", wanted)


def test_of_many_whose_place_it_may_be_a_few_are_named():
    rota = b"rotate: [[ana, ben], [kei, zoe]], every: 12h"
    refused = wants_cover(World(PLAN.replace(b"rotate: [ana, ben], every: day", rota)), "person:ana", "20h")
    assert refused.message.startswith("In that time kei, zoe, ana and 1 more are on call by primary: ")


def test_there_is_a_bound_on_overrides():
    world = World(PLAN)
    for _ in range(500):
        assert overrides(world, "kei", "0s", "50m").ok
    assert overrides(world, "kei", "0s", "50m").code == "conflict"
    assert overrides(world, "kei", "0s", "50m", schedule="hours").ok


def test_overrides_survive_a_restart_and_the_journal_again():
    world = World(PLAN)
    overrides(world, "kei", "10m", "50m", reason="dentist")
    swaps(world, ("55m", "58m"), ("2h", "3h"))
    answers(world, "ben", 2)
    world.at("20m")
    before = dump(world.engine.state)
    assert dump(world.replayed().state) == before
    world.restarted()
    assert dump(world.engine.state)["covers"] == before["covers"]
    assert paged_at(world, "30m", "56m", "150m") == ["kei", "ben", "ana"]


def test_those_concerned_are_told_and_whoever_does_it_is_not():
    """In their own time zone; a cover request goes to everybody else on the schedule."""
    world = World(PLAN.replace(b"kei: {name: Kei,", b"kei: {name: Kei, timezone: Asia/Tokyo,"))
    overrides(world, "kei", "10m", "20m", instead_of="ana", reason="dentist")
    assert notices(world) == [
        "kei: You are on call for Ana: primary, Mon 23 Nov 2026 12:10 to Mon 23 Nov 2026 12:20 Asia/Tokyo (dentist)"
    ]
    swaps(world, ("30m", "50m"), ("2h", "3h"))
    answers(world, "ben", 2)
    world.asked(CancelOverride(id=2, actor="user:ops"))
    asked = AskCover(schedule="primary", person="ben", starts_at=at("2h"), ends_at=at("3h"), actor="person:ben")
    world.asked(asked)
    assert [line.partition(", ")[0] for line in notices(world)[1:]] == [
        "ben: Ana asks you to swap shifts and take over: primary",
        "ana: Ben takes over: primary",
        "ben: Taken back: the plan counts again: primary",
        "ana: Taken back: the plan counts again: primary",
        "ana: Somebody is wanted for Ben: primary",
    ]


def test_an_answer_that_comes_before_the_tick_that_closes_is_too_late_all_the_same():
    world = World(PLAN)
    swaps(world, ("10m", "50m"), ("2h", "3h"))
    world.now = at("10m")  # the command is applied first
    assert answers(world, "ben").message == "Override 1 is over"
    assert world.engine.state.covers == {}


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["fire", "override", "for somebody", "cancel", "swap", "cover", "agree", "acknowledge"]),
        st.integers(1, 200),
        st.sampled_from(["ana", "ben", "kei", "zoe"]),
        st.integers(5, 300),
    ),
    min_size=3,
    max_size=14,
)


@given(MOVES)
def test_nobody_off_shift_is_paged_and_what_was_is_never_changed(moves):
    """Looked at in the end, with every override there ever was: whoever was paged by the schedule was on call then."""
    world = World(PLAN)
    every: dict[int, Override] = {}
    minutes = 0
    for kind, wait, person, length in moves:
        minutes += wait
        world.at(f"{minutes}m")
        last = world.engine.state.counters.override
        start, end = f"{minutes + length % 60}m", f"{minutes + length % 60 + length}m"
        match kind:
            case "fire":
                world.fires(f"At {minutes}", job="checkout")
            case "override":
                overrides(world, person, start, end)
            case "for somebody":
                overrides(world, person, start, end, instead_of="ana")
            case "cancel":
                world.asked(CancelOverride(id=1 + length % max(1, last), actor="user:ops"))
            case "swap":
                swaps(
                    world, (f"{minutes + 1}m", f"{minutes + 60}m"), (f"{minutes + 60}m", f"{minutes + 120 + length}m")
                )
            case "cover":
                asked = AskCover(
                    schedule="primary", person="ana", starts_at=at(start), ends_at=at(end), actor="user:ops"
                )
                world.asked(asked)
            case "agree":
                answers(world, "ben", last)
            case _ if world.engine.state.incidents:
                world.acknowledges(max(world.engine.state.incidents))
        every |= world.engine.state.overrides
    world.at(f"{minutes + 120}m")
    roster = Roster(world.engine.plan.schedules["primary"])
    covers = covers_by_schedule(every).get("primary", ())
    for page in world.told_pages:
        if page.kind == "page" and page.step == 0:
            # What is recorded at the very instant of a page, and after it, does not count for it.
            moments = (page.intended_at - 1, page.intended_at)
            assert page.person in {shift.person for at in moments for shift in roster.who(at, covers)}, page
    assert dump(world.replayed().state)["covers"] == dump(world.engine.state)["covers"]
