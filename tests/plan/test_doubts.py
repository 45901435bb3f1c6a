"""What may be of no use though it is allowed: nobody moved, nobody asked, nobody reached."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import pytest

from tocsin.kernel.instant import DAY, HOUR, Instant, parse_rfc3339
from tocsin.oncall.override import Override, covers_by_schedule
from tocsin.plan import read_plan
from tocsin.plan.doubts import doubts

PLAN = b"""
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
schedules:
  shop: {layers: [{rotate: [ana, ben], every: day, handoff: 00:00, starts: 2026-11-23 with ana}]}
  pair: {layers: [{rotate: [[ana, ben]]}]}
  office: {layers: [{rotate: kei, only: 09:00-18:00}]}
  spare: {layers: [{rotate: [ana, ben], every: day}]}
escalations:
  shop: [{page: shop, wait: 5m}, {page: next on pair, wait: 5m}, {page: office, wait: 5m}]
services:
  inbox: {escalation: shop}
"""
NOW = parse_rfc3339("2026-11-23T08:00:00Z")  # ana's day


def override(person: str, start: Instant, end: Instant, **more: Any) -> Override:
    """Asked for now, by ana, and agreed unless told otherwise."""
    known: dict[str, Any] = {"id": 7, "kind": "override", "schedule": "shop", "agreed_at": NOW} | more
    return Override(person=person, starts_at=start, ends_at=end, asked_by="person:ana", asked_at=NOW, **known)


def said(one: Override, *others: Override, reached: Container[str] = ("ana", "ben", "kei")) -> list[str]:
    """What is doubted of it, `others` being in force, and it as well where it was agreed."""
    plan = read_plan({"tocsin.yaml": PLAN}).plan
    assert plan is not None
    covers = covers_by_schedule({each.id: each for each in (one, *others)})
    return [doubt.said for doubt in doubts(plan, one, covers, NOW, lambda person: person in reached)]


def test_who_is_on_call_already_takes_nothing() -> None:
    already = ["Ana is on call by shop all that time already"]
    assert said(override("ana", NOW, NOW + 4 * HOUR)) == already
    assert said(override("ana", NOW, NOW + 4 * HOUR), override("kei", NOW, NOW + HOUR, id=3)) == []
    assert said(override("ana", NOW, NOW + DAY)) == [], "from midnight on it is ben's"
    assert said(override("kei", NOW, NOW + HOUR)) == []
    assert said(override("kei", NOW, NOW + HOUR, schedule="office")) == [], "at eight the office is closed: a gap"
    assert said(override("kei", NOW + 2 * HOUR, NOW + 4 * HOUR, schedule="office")) == [
        "Kei is on call by office all that time already"
    ]
    assert said(override("ben", NOW, NOW + HOUR, schedule="pair")) == [], "ana is not any more"


def test_what_takes_a_place_nobody_has_then_changes_nothing() -> None:
    nothing = ["It changes nothing: the same people are on call by shop then"]
    for_ana: dict[str, Any] = {"instead_of": "ana"}
    assert said(override("kei", NOW, NOW + HOUR, **for_ana)) == []
    assert said(override("kei", NOW + DAY, NOW + DAY + HOUR, **for_ana)) == nothing, "that is ben's day"
    assert said(override("kei", NOW, NOW + HOUR, **for_ana), override("kei", NOW, NOW + DAY, id=3)) == nothing
    swap: dict[str, Any] = {"kind": "swap", "agreed_at": None} | for_ana
    assert said(override("ben", NOW + HOUR, NOW + 2 * HOUR, back=(NOW + DAY, NOW + DAY + HOUR), **swap)) == []
    assert said(override("ben", NOW + DAY, NOW + DAY + HOUR, back=(NOW, NOW + HOUR), **swap)) == nothing


def test_a_schedule_that_pages_nobody_is_named() -> None:
    assert said(override("kei", NOW, NOW + HOUR, schedule="spare")) == [
        "No service pages by spare: nobody is called for it"
    ]
    cover = override("", NOW, NOW + HOUR, schedule="spare", kind="cover", instead_of="ana", agreed_at=None)
    assert said(cover) == ["No service pages by spare: nobody is called for it"]


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        (("ana", "ben"), ["Kei can be reached by nothing: add a contact method first"]),
        (("ana", "kei"), []),
        ((), []),  # a trial: the console counts
    ],
)
def test_who_can_be_reached_by_nothing_is_named(reached: tuple[str, ...], expected: list[str]) -> None:
    assert said(override("kei", NOW, NOW + HOUR), reached=reached) == expected


def test_what_the_plan_does_not_know_or_is_longer_than_is_ever_agreed_is_not_looked_at() -> None:
    assert said(override("zoe", NOW, NOW + HOUR)) == []
    assert said(override("ana", NOW, NOW + 8_000 * DAY)) == []
