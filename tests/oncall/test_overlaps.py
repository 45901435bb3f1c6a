"""When more people are on call than a turn names: said ahead, and only where it is not meant so."""

from __future__ import annotations

from tests.engine.world import plan_of
from tocsin.kernel.instant import DAY, HOUR, Instant, parse_rfc3339
from tocsin.oncall.coverage import Overlap, overlaps
from tocsin.oncall.override import Cover
from tocsin.oncall.roster import Roster
from tocsin.plan import read_plan

PLAN = """
tocsin: 1
timezone: Europe/Madrid
people: {ana: {name: Ana}, ben: {name: Ben}, kei: {name: Kei}}
last resort: ana
schedules:
  s:
    layers: [{%s}]
escalations: {e: [{page: s}]}
services: {inbox: {escalation: e}}
"""
WEEKLY = "rotate: [ana, ben], every: week, handoff: Sun 02:30, starts: 2026-11-15 with ana"
BACK = parse_rfc3339("2027-10-31T00:30:00Z")
"""02:30 in Madrid, an hour before it is that again."""


def roster(layer: str) -> Roster:
    """A schedule of one layer."""
    return plan_of((PLAN % layer).encode()).rosters["s"]


def found(layer: str, start: Instant, *covers: Cover) -> tuple[Overlap, ...]:
    """The overlaps of two weeks."""
    return overlaps(roster(layer).shifts(start, start + 14 * DAY, covers), start, start + 14 * DAY)


def warnings(layer: str) -> list[str]:
    """What `tocsin plan check` says of overlaps and turns."""
    said = [one.message for one in read_plan({"tocsin.yaml": (PLAN % layer).encode()}).findings]
    return [one for one in said if "at once" in one or "every turn" in one]


def test_a_handoff_in_the_hour_that_comes_twice_is_an_overlap():
    (one,) = found(WEEKLY, BACK - 3 * DAY)
    assert (set(one.people), one.start, one.end) == ({"ana", "ben"}, BACK, BACK + HOUR)
    assert one.why == "for 1 h, as clocks are set back over the handoff"
    (said,) = warnings(WEEKLY)
    at = "Sun 31 Oct 2027 02:30 (UTC+2)"
    assert said == f"ben and ana are on call by s at once {one.why}: 1 time in 52 weeks, first at {at}"


def test_other_handoffs_people_who_have_a_turn_together_and_one_person_are_none():
    for layer in (WEEKLY.replace("02:30", "09:00"), "rotate: [[ana, ben]]", "rotate: ana"):
        assert found(layer, BACK - 3 * DAY) == ()
        assert warnings(layer) == []
    (one,) = found(WEEKLY.replace("[ana, ben]", "[[ana, ben], [ana, kei]]"), BACK - 3 * DAY)
    assert set(one.people) == {"ben", "kei"}, "Ana stays"
    hourly = WEEKLY.replace("every: week, handoff: Sun 02:30", "every: hour")
    assert (bool(found(hourly, BACK - 3 * DAY)), warnings(hourly)) == (True, [])


def test_entries_of_a_calendar_that_overlap_are_one_and_those_for_the_same_time_are_meant():
    at = parse_rfc3339("2026-12-01T09:00:00Z")
    ana, ben = (Cover(-1, who, at, at + DAY, "", "the calendar rota") for who in ("ana", "ben"))
    late = ben._replace(start=at + 20 * HOUR, end=at + 2 * DAY)
    assert found("rotate: kei", at - DAY, ana, ben) == ()
    (one,) = found("rotate: kei", at - DAY, ana, late)
    assert (one.people, one.start, one.end, one.calendar) == (("ana", "ben"), at + 20 * HOUR, at + DAY, True)


def test_a_stand_in_beside_whoever_has_the_turn_too_is_none():
    at = parse_rfc3339("2026-12-01T09:00:00Z")
    assert found("rotate: [[ana, ben]]", at, Cover(1, "kei", at, at + DAY, "ana", "")) == ()


def test_a_rotation_of_one_person_is_warned_of_and_a_weighted_one_is_not():
    assert warnings(WEEKLY.replace("[ana, ben]", "[ana, ana]").replace("02:30", "09:00")) == [
        "every turn of the layer is that of ana"
    ]
    assert warnings(WEEKLY.replace("[ana, ben]", "[ana, ana, ben]").replace("02:30", "09:00")) == []
