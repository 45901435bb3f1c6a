"""Whom a service's escalations would page: what is alike together, what is passed over, and the last resort."""

from __future__ import annotations

from tocsin.kernel.instant import parse_rfc3339
from tocsin.oncall.imported import Busy, Imported
from tocsin.plan import read_plan
from tocsin.plan.model import Plan
from tocsin.plan.whom import alike, whom

HEAD = b"""
tocsin: 1
people: {ana: {email: a@b.example}, ben: {email: b@b.example}, kei: {email: k@b.example}}
mail: {server: smtp://localhost, from: a@b.example}
last resort: kei
hours: {office: {open: Mon-Fri 09:00-17:00, timezone: UTC, holidays: [feasts]}}
calendars: {feasts: {ical: "https://c.example/feasts.ics"}}
schedules: {empty: {layers: [{rotate: ana, starts: 2026-11-16 with ana, only: Sun 00:00-01:00}]}}
"""
OPEN, SHUT = parse_rfc3339("2026-11-23T10:00:00Z"), parse_rfc3339("2026-11-23T20:00:00Z")


def plan(more: bytes) -> Plan:
    reading = read_plan({"tocsin.yaml": HEAD + more})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    return reading.plan


def told(of: Plan, at: int = OPEN, **asked: str) -> list[tuple[tuple[str, ...], tuple[str, ...], list[str]]]:
    """Severities, tiers and whom each step pages, those who are passed over in brackets."""
    return [
        (
            way.severities,
            way.tiers,
            [
                f"{step.number} {'(' if step.passed else ''}{one.person.key}{')' if step.passed else ''}"
                for step in whom(of, way, at, {})
                for one in step.reached
            ],
        )
        for way in alike(of, "shop", at, **asked)  # type: ignore[arg-type]  # severity and tier
    ]


def test_one_escalation_for_everything_is_one_way():
    of = plan(b"escalations: {all: [{page: ana}, {page: ben}]}\nservices: {shop: {escalation: all}}")
    assert told(of) == [((), (), ["1 ana", "2 ben"])]
    assert told(of, severity="sev2") == [(("sev2",), (), ["1 ana", "2 ben"])]


def test_severities_and_tiers_that_are_paged_alike_are_told_together():
    of = plan(
        b"customer tiers: [gold, silver, bronze]\n"
        b"escalations: {low: [{page: ana}], high: [{page: ben}], vip: [{page: kei}]}\n"
        b"services: {shop: {escalation: {sev1: high, sev3: low}, escalation for: {silver: vip}}}"
    )
    assert told(of) == [
        ((), ("gold", "silver"), ["1 kei"]),
        (("sev1", "sev2"), ("bronze", ""), ["1 ben"]),
        (("sev3", "sev4"), ("bronze", ""), ["1 ana"]),
    ]
    assert told(of, tier="bronze", severity="sev4") == [(("sev4",), ("bronze",), ["1 ana"])]
    assert told(of, severity="sev1") == [
        (("sev1",), ("gold", "silver"), ["1 kei"]), (("sev1",), ("bronze", ""), ["1 ben"]),
    ]  # fmt: skip


def test_a_service_whose_customers_have_a_tier_is_asked_about_no_other_ones():
    of = plan(
        b"customer tiers: [gold, silver]\nescalations: {all: [{page: ana, when: {customer tier: gold}}, {page: ben}]}\n"
        b"services: {shop: {escalation: all, customer tier: silver}}"
    )
    assert told(of) == [((), ("gold",), ["1 ana", "2 ben"]), ((), ("silver",), ["1 (ana)", "2 ben"])]


def test_steps_for_other_severities_or_hours_are_passed_over_then_and_labels_are_not_asked():
    of = plan(
        b"escalations:\n  all:\n    - {page: ana, when: {hours: office}}\n    - {page: ben, when: {severity: sev1}}\n"
        b"    - {page: kei, when: {match: ['region=\"eu\"']}}\n"
        b"services: {shop: {escalation: all}}"
    )
    assert told(of) == [
        (("sev1",), (), ["1 ana", "2 ben", "3 kei"]),
        (("sev2", "sev3", "sev4"), (), ["1 ana", "2 (ben)", "3 kei"]),
    ]
    assert told(of, SHUT, severity="sev1") == [(("sev1",), (), ["1 (ana)", "2 ben", "3 kei"])]
    feast = Busy(parse_rfc3339("2026-11-23T00:00:00Z"), parse_rfc3339("2026-11-24T00:00:00Z"))
    calendars = {"feasts": Imported(name="feasts", read_at=OPEN, busy=(feast,))}
    assert alike(of, "shop", OPEN, calendars, severity="sev1")[0].passed == (True, False, False)
    assert [one.passed for one in alike(of, "shop")] == [(False, False, False)], "without an instant nothing is"


def test_the_last_resort_is_told_where_no_step_pages_anybody():
    of = plan(
        b"escalations: {all: [{page: ana, when: {severity: sev1}}, {page: empty}]}\n"
        b"services: {shop: {escalation: all}}"
    )
    assert told(of) == [(("sev1",), (), ["1 ana"]), (("sev2", "sev3", "sev4"), (), ["1 (ana)", "3 kei"])]
    (way,) = alike(of, "shop", OPEN, severity="sev4")
    assert whom(of, way, OPEN, {})[-1].reached[0].by == "last resort"
