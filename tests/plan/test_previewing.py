"""A preview says of both plans what paging would ask of them, and of findings what only one of them has."""

from __future__ import annotations

import pytest

from tocsin.kernel.instant import DAY, HOUR, parse_rfc3339
from tocsin.oncall.override import Cover
from tocsin.plan import previewing, read_plan
from tocsin.plan.previewing import (
    AHEAD,
    MOST_CHANGES,
    MOST_CHANGES_IN_ALL,
    MOST_TURNS,
    Side,
    TooManyTurns,
    bounded,
    preview,
)
from tocsin.plan.previewing import side as read_side

NOW = parse_rfc3339("2026-10-20T01:31:00Z")
PLAN = """\
tocsin: 1
timezone: Europe/Madrid
people: {ana: {email: ana@shop.example}, ben: {email: ben@shop.example}, kei: {email: kei@shop.example}}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
schedules:
  first:
    layers: [{rotate: [ana, ben], every: week, handoff: Mon 02:30, starts: 2026-10-19 with ana}]
  second:
    layers: [{rotate: [kei, ana], every: day, handoff: 02:30, starts: 2026-10-19 with kei}]
"""
REORDERED = PLAN.replace("[ana, ben]", "[ben, kei, ana]").replace("with ana}]", "with ben}]")


def side(files: dict[str, bytes]) -> Side:
    """A plan as one side, read now."""
    return read_side(files, NOW)


def of(text: str) -> dict[str, bytes]:
    """A plan of one file."""
    return {"tocsin.yaml": text.encode()}


def test_what_is_told_is_what_pages() -> None:
    """Every half hour of twelve weeks, over the change of the clocks, with an override that counts in both."""
    covers = {"first": (Cover(1, "kei", NOW + DAY, NOW + 3 * DAY),)}
    before, after = side(of(PLAN))._replace(covers=covers), side(of(REORDERED))._replace(covers=covers)
    assert before.plan is not None
    assert after.plan is not None
    told = preview(before, after, NOW)
    assert [one.name for one in told.schedules] == ["first"]
    assert told.same == 1
    for at in range(NOW, NOW + AHEAD, HOUR // 2):
        was, becomes = (
            tuple(sorted(shift.person for shift in plan.rosters["first"].who(at, covers["first"])))
            for plan in (before.plan, after.plan)
        )
        inside = [(one.before, one.after) for one in told.schedules[0].changes if one.start <= at < one.end]
        assert inside == ([] if was == becomes else [(was, becomes)]), at
    assert sum(one.after - one.before for one in told.people) == pytest.approx(0, abs=2 * HOUR)


def test_a_schedule_comes_and_goes() -> None:
    """Under its new name it is new, under its old one gone: nobody is on call by it any more."""
    told = preview(side(of(PLAN)), side(of(PLAN.replace("  second:", "  backup:"))), NOW)
    assert [(one.name, one.kind) for one in told.schedules] == [("second", "gone"), ("backup", "new")]
    assert {one.after for one in told.schedules[0].changes} == {()}
    assert {one.before for one in told.schedules[1].changes} == {()}
    assert told.people == (), "who has how much is over all schedules"


def test_of_a_plan_with_errors_its_schedules_are_told_and_that_it_is_no_good() -> None:
    told = preview(side(of(PLAN)), side(of(REORDERED + "services: {checkout: {escalation: shpo}}\n")), NOW)
    assert (told.ok, told.asked) == (False, True)
    assert [one.name for one in told.schedules] == ["first"]
    assert [one.level for one in told.new if one.level == "error"] == ["error"]
    nothing = preview(side(of(PLAN)), side(of("tocsin: [")), NOW)
    assert (nothing.ok, nothing.asked, nothing.schedules, nothing.same) == (False, False, (), 0)


def test_findings_that_moved_are_not_new() -> None:
    """Lines put in above them leave them what they were; a gap that is filled is gone."""
    gappy = PLAN.replace("kei, ana], every: day", "kei, ana], only: Mon-Fri, every: day")
    told = preview(side(of(gappy)), side(of("# one line more\n" + gappy)), NOW)
    assert told.new == told.gone == ()
    filled = preview(side(of(gappy)), side(of(PLAN)), NOW)
    assert any("second" in one.message for one in filled.gone)


def test_many_changes_are_counted_and_not_all_told() -> None:
    hourly = PLAN.replace("every: day, handoff: 02:30", "every: hour, handoff: 00:00")
    told = preview(side(of(PLAN)), side(of(hourly)), NOW)
    (second,) = told.schedules
    assert len(second.changes) == MOST_CHANGES
    assert second.more > 0


def hourly(number: int, first: str = "ana", more: str = "") -> str:
    """A plan with so many schedules whose turns last an hour."""
    layer = "layers: [{rotate: [ana, ben], every: hour, handoff: 00:00, starts: 2026-10-19 with %s}]"
    made = "".join(f"  s{one}: {{{layer % first}}}\n" for one in range(number))
    return PLAN + made + more


def test_findings_look_ahead_from_now_as_those_of_a_check_do() -> None:
    """Of a schedule that began years ago too: the first time is one that is yet to come."""
    began = PLAN.replace("2026-10-19", "2024-01-01")
    steps = "services: {it: {escalation: e}}\nescalations: {e: [{page: first, wait: 5m}, {page: second}]}\n"
    after = of(began + steps)
    (twice,) = [one.message for one in preview(side(of(began)), side(after), NOW).new if "at once" in one.message]
    assert " Oct 2026" in twice
    assert twice in {one.message for one in read_plan(after, NOW).findings}


def test_schedules_that_are_the_same_are_drawn_up_once_and_those_that_change_within_a_bound() -> None:
    """Two hundred schedules of hourly turns that change are refused before any is drawn up; that stay, they are not."""
    many, others = side(of(hourly(200))), side(of(hourly(200, "ben")))
    with pytest.raises(TooManyTurns, match=r"have about 8[0-9]{2},[0-9]{3} turns, and 400,000 are compared at most"):
        preview(many, others, NOW)
    with pytest.raises(TooManyTurns):
        bounded(many, others)
    changed = side(of(hourly(200).replace("rotate: [kei, ana]", "rotate: [kei, ben]")))
    told = preview(many, changed, NOW)
    assert [one.name for one in told.schedules] == ["second"]
    assert told.same == 201
    assert not told.counted
    assert MOST_TURNS == 400_000


def test_times_on_call_are_of_what_changes_alone_where_the_rest_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much longer, and for whom, is the same in both tellings."""
    before, after = side(of(hourly(3))), side(of(hourly(3).replace("rotate: [kei, ana]", "rotate: [kei, ben]")))
    whole = preview(before, after, NOW)
    monkeypatch.setattr(previewing, "MOST_TURNS", 4_000)
    part = preview(before, after, NOW)
    assert (whole.counted, part.counted) == (True, False)
    moved = lambda told: {one.person: one.after - one.before for one in told.people}  # noqa: E731
    assert moved(whole) == moved(part) != {}
    assert whole.people != part.people
    assert whole.schedules == part.schedules


def test_the_answer_has_a_bound_over_all_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previewing, "MOST_CHANGES_IN_ALL", 250)
    told = preview(side(of(hourly(3))), side(of(hourly(3, "ben"))), NOW)
    assert [len(one.changes) for one in told.schedules] == [MOST_CHANGES, 250 - MOST_CHANGES, 0]
    assert len({len(one.changes) + one.more for one in told.schedules}) == 1
    assert MOST_CHANGES_IN_ALL > 8 * MOST_CHANGES, "those that are drawn have some"
