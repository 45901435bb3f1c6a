"""Paging that rests for a moment, by a blink or a silence: what has not left waits, and nobody's page is lost."""

from __future__ import annotations

import pytest

from tests.engine.test_reach import PUSH
from tests.engine.test_stories import _received
from tests.engine.world import PLAN, START, World, dump
from tocsin.engine.commands import AddResponders, Reassign
from tocsin.engine.inputs import Delivered, Quarantine
from tocsin.intake.event import Event
from tocsin.kernel.instant import SECOND, format_rfc3339
from tocsin.kernel.reason import Reason

SLOW = PLAN.replace(b"wait: 5m", b"wait: 15m")


def says(world: World, name: str = "Down", *, ends: int = 3000) -> None:
    """Prometheus says of an alert when it ends, in seconds of the story."""
    labels = f'"alertname": "{name}", "job": "checkout", "severity": "critical"'
    at = format_rfc3339(START + ends * SECOND)
    world.apply(_received(world, f'[{{"labels": {{{labels}}}, "annotations": {{}}, "endsAt": "{at}"}}]'.encode()))


def blinks(world: World, at: int, name: str = "Down") -> None:
    """An alert ends, and fires again two seconds later, within its source's minute of quiet."""
    world.at(f"{at}s")
    says(world, name, ends=at)
    world.at(f"{at + 2}s")
    says(world, name)


def left(world: World) -> list[tuple[str, str, str]]:
    """Pages that left: when, to whom, where."""
    return [(at, person, address) for at, person, address, kind in world.left if kind == "page"]


def test_the_second_method_is_used_though_the_alert_blinked_meanwhile():
    world = World()
    world.has("ana", PUSH)
    world.left.clear()
    says(world)
    blinks(world, 60)
    world.at("4m")
    assert left(world) == [("0s", "ana", "https://push.example/ana"), ("120s", "ana", "ana@shop.example")]


def test_it_is_used_as_soon_as_a_silence_ends_that_began_before_it_was_due():
    world = World(SLOW)
    world.has("ana", PUSH)
    world.left.clear()
    world.fires("Down", job="checkout").at("1m").silences('job="checkout"', for_="3m")
    world.at("14m")
    assert left(world) == [("0s", "ana", "https://push.example/ana"), ("240s", "ana", "ana@shop.example")]
    (held,) = [row for row in world.rows(1) if row.address == "ana@shop.example"]
    assert held.state == "sent"


def test_while_it_is_silenced_nothing_leaves_and_the_ledger_says_why():
    world = World(SLOW)
    world.has("ana", PUSH)
    world.left.clear()
    world.fires("Down", job="checkout").at("1m").silences('job="checkout"', for_="3m")
    world.at("3m")
    (held,) = [row for row in world.rows(1) if row.address == "ana@shop.example"]
    assert (held.state, held.held, held.not_before) == ("intended", Reason.SILENCED, START + 240 * SECOND)


def test_a_first_page_that_waits_to_go_with_others_goes():
    world = World(SLOW)
    for name in "ABC":
        says(world, name)
    world.at("1s")
    says(world, "D")
    blinks(world, 10, "D")
    world.at("1m")
    assert [page for page in world.pages if page[2] == 4] == [("30s", "ana", 4)]


def test_a_page_on_its_way_that_is_refused_for_good_is_followed_by_the_next_step():
    world = World(SLOW)
    world.answers = lambda page: "never" if page.person == "ana" else "sent"
    says(world)
    blinks(world, 2)
    world.at("10s").apply(Delivered(1, "failed", "client", "550"))
    assert [(at, person) for at, person, _ in world.pages if person != "ana"] == [("10s", "ben"), ("10s", "kei")]


def test_one_that_is_refused_while_it_rests_is_followed_when_paging_goes_on():
    world = World(SLOW)
    world.answers = lambda page: "never" if page.person == "ana" else "sent"
    says(world)
    world.at("2s")
    says(world, ends=2)
    world.at("10s").apply(Delivered(1, "failed", "client", "550"))
    assert [person for _, person, _ in world.pages if person != "ana"] == []
    world.at("20s")
    says(world)
    assert [(at, person) for at, person, _ in world.pages if person != "ana"] == [("20s", "ben"), ("20s", "kei")]


def test_what_its_channel_did_not_send_because_it_rested_goes_when_it_goes_on():
    world = World(SLOW)
    world.answers = lambda page: "never"
    says(world)
    world.at("2s")
    says(world, ends=2)
    world.apply(Delivered(1, "unneeded"))
    world.answers = lambda page: "sent"
    world.at("20s")
    says(world)
    assert [(at, person) for at, person, _ in world.pages] == [("0s", "ana"), ("20s", "ana")]


def test_one_that_ends_for_good_pages_nobody_more():
    world = World()
    world.has("ana", PUSH)
    world.left.clear()
    says(world)
    world.at("1m")
    says(world, ends=60)
    world.at("10m")
    assert left(world) == [("0s", "ana", "https://push.example/ana")]
    assert {row.state for row in world.rows(1) if row.kind == "page"} == {"sent", "overtaken"}


@pytest.mark.parametrize("silenced_at", ["1m", "6m", "16m"])
def test_a_fresh_alert_in_a_silenced_incident_is_paged_like_the_first_of_one(silenced_at: str):
    """From the first step, not from where the escalation of what is silenced stood."""
    world = World()
    world.fires("Down", job="checkout", instance="a").at(silenced_at).silences('instance="a"', for_="48h")
    world.at("10h").pages.clear()
    world.fires("Down", job="checkout", instance="b").at("605m")
    assert [(at, person) for at, person, _ in world.pages] == [("36000s", "ana"), ("36300s", "ben")]


def test_a_shift_that_ended_during_a_silence_is_not_paged_but_whoever_has_it_now():
    duty = b"""schedules:
  duty:
    handoff notice: off
    layers: [{rotate: [ana, ben], every: week, handoff: Tue 09:00, starts: 2026-11-17 with ana}]
"""
    world = World(PLAN.replace(b"page: ana, wait: 5m", b"page: duty, wait: 15m") + duty)
    world.has("ana", PUSH)
    world.left.clear()
    world.fires("Down", job="checkout").at("1m").silences('job="checkout"', for_="40h")
    world.at("40h10m")
    assert [person for _, person, _ in left(world)] == ["ana", "ben"]


DUTY = b"""schedules:
  duty:
    handoff notice: off
    layers: [{rotate: [ana, ben], every: week, handoff: Tue 09:00, starts: 2026-11-17 with ana}]
"""
ON_DUTY = PLAN.replace(b"page: ana, wait: 5m", b"page: duty, wait: 5m").replace(b"page: ben", b"page: kei") + DUTY


@pytest.mark.parametrize("how", ["ends", "is ended", "returns", "blinks"])
def test_a_silence_that_outlasts_a_step_is_followed_by_the_first_whoever_is_on_call_then(how: str):
    """However the quiet ends: with the silence, or because the alert ended and fires again without it."""
    world = World(ON_DUTY)
    says(world, ends=200_000)
    if how == "returns":  # another machine's alert, which stays silenced, keeps the incident open meanwhile
        world.fires("Down", job="checkout", instance="other").silences('instance="other"', for_="48h")
    silence = world.at("1m").silences('alertname="Down"', for_="2399m" if how == "ends" else "48h")
    if how in ("returns", "blinks"):
        world.at("2395m" if how == "returns" else "2399m30s")
        says(world, ends=2390 * 60)
        world.expires(silence.id)
        says(world.at("40h"), ends=200_000)
    world.at("40h")
    if how == "is ended":
        world.expires(silence.id)
    world.at("2406m")
    pages = [(at, person) for at, person, number in world.pages if number]
    assert pages == [("0s", "ana"), ("144000s", "ben"), ("144300s", "kei")]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_silence_within_a_step_changes_nothing_of_what_follows():
    world = World().fires("Down", job="checkout").at("1m")
    silence = world.silences('alertname="Down"', for_="2h")
    world.at("4m").expires(silence.id)
    world.at("6m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1), ("300s", "ben", 1)]


def test_whoever_has_come_on_call_during_a_silence_within_a_step_is_paged():
    world = World(ON_DUTY.replace(b"page: duty, wait: 5m", b"page: duty, wait: 3h"))
    world.at("29h59m").fires("Down", job="checkout")  # 08:59 on Tuesday
    world.at("1799m30s").silences('alertname="Down"', for_="10m")
    world.at("31h")
    assert [(at, person) for at, person, _ in world.pages if _] == [("107940s", "ana"), ("108570s", "ben")]


def test_what_was_asked_for_by_name_is_not_called_off_with_the_steps():
    world = World()
    world.has("kei", PUSH)
    world.left.clear()
    world.fires("Down", job="checkout").at("1m")
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    world.silences('alertname="Down"', for_="1h")
    world.at("62m")
    assert left(world)[-2:] == [("3660s", "ana", "ana@shop.example"), ("3660s", "kei", "kei@shop.example")]


@pytest.mark.parametrize("silenced", [False, True])
def test_whoever_it_was_given_to_while_it_was_silenced_is_paged_first(silenced: bool):
    world = World().fires("Down", job="checkout").at("6m")
    if silenced:
        world.silences('alertname="Down"', for_="1h")
    world.asked(Reassign(actor="person:ana", incident=1, person="kei"))
    world.at("67m")
    assert [person for _, person, number in world.pages if number][2] == "kei"


OTHER = PLAN.replace(b"page: ben, wait: 10m, repeat: 2", b"page: ben, wait: 20m")


@pytest.mark.parametrize("plan", [PLAN, OTHER])
@pytest.mark.parametrize("when", ["before", "within", "paged"])
def test_a_fresh_alert_in_a_silenced_incident_pages_whom_it_was_given_to(when: str, plan: bytes):
    """Ana is on holiday from now on, she said; before the silence, within it, or before a silence of before ended."""
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    if when != "within":
        world.asked(Reassign(actor="person:ana", incident=1, person="kei"))
    if when == "paged":
        world.at("7m")
    world.silences('instance="a"', for_="1h")
    if when == "within":
        world.asked(Reassign(actor="person:ana", incident=1, person="kei"))
    if plan is OTHER:
        world.put_in_force(plan)
    world.at("10m").pages.clear()
    world.fires("Down", job="checkout", instance="z").at("17m")
    after = "ana" if plan is OTHER else "ben"
    assert [(at, person) for at, person, _ in world.pages] == [("600s", "kei"), ("900s", after)]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_many_fresh_alerts_of_one_request_begin_anew_once_and_none_where_somebody_has_it():
    anew = "An alert that the silence does not cover: paging begins anew"
    for held in (False, True):
        world = World().fires("Down", job="checkout", instance="a").at("1m")
        if held:
            world.acknowledges(1, "4h")
        world.silences('instance="a"', for_="1h")
        world.at("2m").hears(
            *(
                Event(
                    key="",
                    labels={"alertname": "Down", "severity": "critical", "job": "checkout", "instance": f"n{number}"},
                    own_title="Down fires",
                    severity="critical",
                    starts_at=world.now,
                    ends_at=None,
                )
                for number in range(60)
            )
        )
        assert [entry.what for entry in world.timeline].count(anew) == (0 if held else 1)
        assert [page for page in world.pages if page[0] == "120s"] == ([] if held else [("120s", "ana", 1)])


def test_what_was_asked_for_by_name_leaves_with_a_fresh_alert():
    world = World(SLOW)
    world.has("kei", PUSH)
    world.left.clear()
    world.fires("Down", job="checkout", instance="a").at("1m")
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    world.silences('instance="a"', for_="1h")
    world.at("10m").fires("Down", job="checkout", instance="b")
    assert left(world)[-2:] == [("600s", "kei", "kei@shop.example"), ("600s", "ana", "ana@shop.example")]


def test_what_is_set_aside_while_it_rests_asks_for_nothing_by_itself():
    """Nothing resumes it, and a page that waited for that would be due again and again."""
    world = World(SLOW)
    world.has("ana", PUSH)
    says(world)
    world.at("90s")
    says(world, ends=90)
    world.at("125s")
    assert [row.held for row in world.rows(1) if row.state == "intended"] == [Reason.CLEARING]
    world.check = lambda: None  # type: ignore[method-assign]
    world.apply(Quarantine("incident", "1", "boom"))
    inputs = world.seq
    assert not [row for row in world.rows(1) if row.state == "intended"]
    assert (world.incident(1).paused, world.incident(1).paused_until) == (None, None)
    world.at("20m")
    assert world.seq - inputs < 20
    assert dump(world.replayed().state) == dump(world.engine.state)
