"""Whom a service would page for twelve weeks, as the page On call shows it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from msgspec import structs

from tests.web.conftest import Browserless
from tests.web.test_oncall import shown
from tocsin.catalog.people import Team
from tocsin.kernel.instant import DAY, HOUR, parse_rfc3339
from tocsin.plan import read_plan
from tocsin.web.paged_ahead import MOST_TURNS, Wanted, paged_ahead, stands_in, wanted
from tocsin.web.words import Reader

NOW = parse_rfc3339("2026-11-27T16:00:00Z")  # Fri
READING = read_plan(
    {
        "tocsin.yaml": b"""
tocsin: 1
people: {ana: {name: Ana Ruiz, email: a@b.example}, ben: {name: Ben Roe}, kei: {name: Kei Ito}}
mail: {server: smtp://localhost, from: a@b.example}
last resort: kei
customer tiers: [gold]
schedules: {day: {layers: [{rotate: [ana, ben], every: day, starts: 2026-11-23 with ben, only: Mon-Fri 09:00-18:00}]}}
escalations: {day: [{page: day}], both: [{page: day}, {page: ben, when: {severity: sev1}}]}
services: {desk: {escalation: day}, shop: {escalation: both}}
"""
    }
)
assert READING.plan is not None, READING.findings
PLAN = READING.plan
READER = Reader(now=NOW, zone=ZoneInfo("UTC"), plan=PLAN, person="ana")


def test_steps_gaps_and_the_last_resort() -> None:
    (way,) = paged_ahead(PLAN, Wanted("desk", "", ""), READER, {}, lambda one: one == "ana")
    assert way.of == ""
    first, last = way.steps
    assert (first.name, first.last_resort) == ("Step 1: whoever is on call by day (Ben now)", False)
    assert (last.name, last.last_resort) == ("Last resort, while no step reaches anybody", True)
    ben, nobody, ana = first.turns[:3]
    assert (ben.person, ben.end, ben.by, ben.unreached) == ("ben", NOW + 2 * HOUR, "day, layer 1", True)
    assert (nobody.person, nobody.end - nobody.start, nobody.unreached) == ("", 63 * HOUR, False)
    assert (ana.person, ana.unreached, ana.always) == ("ana", False, False)
    assert [(one.person, one.start, one.end) for one in last.turns[:1]] == [("kei", nobody.start, nobody.end)]
    assert (len(first.turns), first.more) == (MOST_TURNS, 2 * 61 - 1 - MOST_TURNS)
    assert first.turns[-1].end < NOW + 84 * DAY


def test_ways_are_told_apart_where_there_are_several_or_one_is_asked_for() -> None:
    def of(*asked: str) -> list[tuple[str, list[bool]]]:
        found = paged_ahead(PLAN, Wanted(*asked), READER, {}, lambda one: True)
        return [(one.of, [step.turns[0].always for step in one.steps]) for one in found]

    assert of("shop", "", "") == [("SEV1", [False, True]), ("SEV2, SEV3 and SEV4", [False, False])]
    assert of("shop", "sev1", "gold") == [("SEV1 of gold customers", [False, True])]


def test_who_is_paged_beside_the_next_step_where_one_reaches_nobody() -> None:
    assert stands_in(PLAN, "desk", READER) == "Kei", "the last resort"
    team = structs.replace(PLAN.service("desk"), team="day")
    led = structs.replace(PLAN, services={"desk": team}, teams={"day": Team(key="day", members=("ben",), lead="ana")})
    assert stands_in(led, "desk", READER) == "Ana and Kei", "its team's lead, too"


def test_what_an_address_asks_that_is_not_there_is_not_asked() -> None:
    asked = {"service": "desk", "severity": "sev9", "tier": "silver"}
    assert wanted(PLAN, asked) == ("desk", "", "")
    assert wanted(PLAN, {"service": "<b>", "severity": "sev1", "tier": "gold"}) == ("", "sev1", "gold")


def test_the_page_shows_the_service_that_is_asked_for(ana: Browserless) -> None:
    text = shown(ana.get("/oncall?service=search&severity=sev2").text)
    assert "Whom search pages, for twelve weeks" in text
    assert "SEV2 Step 1: Mei at any time Mei Tanaka Step 2: Ana at any time Ana Ribeiro (you)" in text
    text = shown(ana.get("/oncall?service=nope").text)
    assert "Whom a service pages" in text and "Step 1" not in text
