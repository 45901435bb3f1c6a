"""What a snooze is of (decision 115): alerts that fired when a person resolved their incident, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.test_conditions import TIERED, paged
from tests.engine.world import PLAN, START, World, dump
from tocsin.engine.commands import Acknowledge, ApplyPlan, Reassign, Snooze
from tocsin.engine.inputs import Received, Seen
from tocsin.engine.state import State
from tocsin.intake.event import Event
from tocsin.intake.request import Request
from tocsin.kernel.instant import HOUR, MINUTE, format_rfc3339, parse_duration
from tocsin.kernel.stretches import spans
from tocsin.runtime.seen import bitmap


def _two_put_off() -> World:
    """Two machines in one incident, resolved after a minute while both fire."""
    world = World().fires("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="b").at("1m")
    world.resolves_by_hand(1)
    return world


def test_one_of_several_that_were_put_off_may_end_and_fire_again_while_another_fires_on():
    world = _two_put_off().at("2m").resolves("Down", job="checkout", instance="a")
    world.at("3m").fires("Down", job="checkout", instance="a").at("60m")
    assert (world.pages, world.told(1)[-1]) == ([("0s", "ana", 1)], "snoozed")
    world.at("61m")
    assert world.pages[1:] == [("3660s", "ana", 1)] and world.told(1)[-2:] == ["snooze_ended", "step_due"]


def test_one_that_was_put_off_and_fires_again_while_silenced_is_put_off_when_the_silence_ends():
    world = _two_put_off().at("2m").resolves("Down", job="checkout", instance="a")
    world.silences('instance="a"', for_="10m")
    world.at("3m").fires("Down", job="checkout", instance="a").at("60m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1)]
    world.at("61m")
    assert world.pages[-1] == ("3660s", "ana", 1)


def test_one_that_had_ended_before_its_incident_was_resolved_is_not_put_off_with_the_others():
    world = World().fires("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="b").at("1m")
    world.resolves("Down", job="checkout", instance="a").at("2m").resolves_by_hand(1)
    world.at("3m").fires("Down", job="checkout", instance="a")
    assert world.pages[1:] == [("180s", "ana", 1)] and world.told(1)[-2:] == ["reopened", "step_due"]


def test_one_that_was_put_off_and_is_away_for_long_is_new_when_it_fires():
    world = _two_put_off().at("2m").resolves("Down", job="checkout", instance="a")
    world.at("17m").fires("Down", job="checkout", instance="a")
    assert world.pages[1:] == [("1020s", "ana", 1)]


def test_a_repetition_that_comes_when_all_that_was_put_off_has_ended_opens_it_again():
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1)
    (alert,) = world.engine.state.alerts
    world.at("2m").resolves("Down", job="checkout", instance="a").at("3m")
    world.apply(Seen(alert, ((world.now, bitmap(alert, {alert})),)))
    assert world.engine.state.alerts[alert].firing
    assert world.pages[1:] == [("180s", "ana", 1)]


def test_the_time_it_was_resolved_in_between_is_none_in_which_it_was_open():
    """What fires again begins then; what was put off has gone on all along, and so says whoever is paged."""
    world = World().at("1m").fires("Down", job="checkout").at("2m").resolves("Down", job="checkout").at("10m")
    one = world.incident(1)
    assert (one.open, one.since, one.open_since) == (False, START + MINUTE, START + MINUTE)
    world.at("20m").fires("Down", job="checkout")
    assert (one.reopened, one.since, one.open_since) == (1, START + 20 * MINUTE, START + 20 * MINUTE)
    world.at("25m").resolves_by_hand(1, snooze="1h")
    assert one.since == one.open_since == START + 20 * MINUTE, "so long it was open"
    world.at("30m").fires("Down", job="checkout", instance="b").at("85m")
    assert (one.reopened, one.since, one.open_since) == (2, START + 30 * MINUTE, START + 30 * MINUTE), "by another"
    world.resolves_by_hand(1, snooze="1h")
    world.at("145m")
    assert (one.reopened, one.since, one.open_since) == (3, START + 20 * MINUTE, START + 145 * MINUTE)
    alike(world)


LOW = PLAN.replace(b"checkout: {escalation: shop,", b"checkout: {urgency: {sev3: low}, escalation: shop,")


def alike(world: World) -> None:
    """Replay, and a start from the rows, come to what there is."""
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(State(world.loaded())) == dump(world.engine.state)


def test_a_newcomer_of_low_urgency_wakes_nobody_and_has_nothing_grave_wait_for_the_morning():
    """What was put off counts again when its snooze ends: as grave, as urgent and of as high a customer as it is."""
    world = World(LOW).fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1, "1h")
    world.at("10m").fires("Down", job="checkout", instance="b", severity="warning").at("60m")
    assert (world.pages, world.incident(1).waits) == ([("0s", "ana", 1)], "quiet_hours")
    world.restarted().at("61m")
    assert (world.pages[1:], world.incident(1).urgency) == ([("3660s", "ana", 1)], "high")
    alike(world)


def test_a_newcomer_ends_no_snooze_of_a_higher_customer():
    world = World(TIERED).fires("Down", service="two", plan="gold", instance="a").at("1m")
    world.resolves_by_hand(1, "30m")
    world.at("2m").fires("Down", service="two", plan="silver", instance="b")
    assert (paged(world)[1:], world.incident(1).customer_tier) == ([("120s", "kei")], "silver")
    world.at("30m")
    assert world.incident(1).customer_tier == "silver"
    world.at("31m")
    assert (paged(world)[-1], world.incident(1).customer_tier) == (("1860s", "ben"), "gold")
    alike(world)


def test_what_was_put_off_for_days_pages_when_it_becomes_grave():
    world = World(LOW).at("6h").fires("Disk", job="checkout", instance="a", severity="warning").at("6h1m")
    assert world.asked(Snooze(actor="person:ana", incident=1, until=world.now + 72 * HOUR)).ok
    world.at("7h").fires("Disk", job="checkout", instance="b", severity="warning")
    assert world.incident(1).state == "acknowledged", "more of the same is what was put off"
    before = len(world.pages)
    world.at("20h").fires("Disk", job="checkout", instance="c")
    assert world.pages[before:] == [("72000s", "ana", 1)]
    assert "It was put off for less: paging begins again" in [entry.what for entry in world.timeline]
    alike(world)


def test_whoever_has_what_becomes_grave_is_told_and_has_it_no_longer_than_if_they_took_it_now():
    world = World(LOW).at("6h").fires("Disk", job="checkout", instance="a", severity="warning").at("6h1m")
    world.acknowledges(1, "24h")
    world.at("6h5m").fires("Disk", job="checkout", instance="b").at("7h4m")
    assert [page for page in world.pages if page[0] == "21900s"] == [("21900s", "ana", 1)]
    assert world.told_pages[-1].title == "Incident #1, which you have, is SEV1, was SEV3, of high urgency: Disk fires"
    world.at("7h5m")
    assert world.pages[-1] == ("25500s", "ana", 1)
    alike(world)


def test_who_cannot_be_told_has_nothing_that_becomes_grave():
    world = World(PLAN).fires("Disk", job="checkout", instance="a", severity="warning").at("1m")
    assert world.asked(Acknowledge(incident=1, actor="user:ops")).ok
    world.at("2m").fires("Disk", job="checkout", instance="b")
    assert world.pages[1:] == [("120s", "ana", 1)]
    alike(world)


@pytest.mark.parametrize("ended", [False, True])
def test_a_snooze_is_over_for_what_becomes_graver_than_all_that_was_put_off(ended):
    """Said of the alert that fires, or of one that ended and fires again while another of the snooze fires on."""
    world = World()
    for key in ("a", "b"):
        world.fires("Disk", service="checkout", key=key, severity="warning", instance=key)
    world.at("1m").resolves_by_hand(1, "24h")
    if ended:
        world.at("2m").resolves("Disk", service="checkout", key="a", severity="warning", instance="a")
    world.at("3m").fires("Disk", service="checkout", key="a", severity="warning", instance="a")
    assert world.incident(1).state == "resolved"
    if ended:
        world.at("4m").resolves("Disk", service="checkout", key="a", severity="warning", instance="a")
    key = "a" if ended else "b"
    world.at("10m").fires("Disk", service="checkout", key=key, instance=key)
    assert (world.pages[1:], world.incident(1).state) == ([("600s", "ana", 1)], "triggered")
    (more,) = [one for one in world.engine.state.alerts.values() if one.firing and one.key == key]
    off = world.incident(1).snoozed
    assert off is not None and not off.has(more.id), "it counts like any other, also should it become less"
    alike(world)


def test_what_was_put_off_with_a_newcomer_of_low_urgency_was_known_to_be_urgent():
    """It may blink without a page for it."""
    world = World(LOW).fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1, "10h")
    world.at("2m").fires("Down", job="checkout", instance="b", severity="warning").at("3m")
    assert world.incident(1).urgency == "low"
    world.resolves_by_hand(1, "10h")
    world.at("4m").resolves("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="a").at("9h")
    assert (len(world.pages), world.incident(1).state) == (1, "resolved")


def told(world: World, ends: str, instance: str = "a", job: str = "checkout", **more: str) -> World:
    """As Prometheus says that an alert fires until then, which may be now: one replica, while another says it fires."""
    labels = {"alertname": "Down", "severity": "critical", "job": job, "instance": instance} | more
    until = format_rfc3339(START + parse_duration(ends))
    body = msgspec.json.encode([{"labels": labels, "annotations": {}, "endsAt": until}])
    headers = {"content-type": "application/json"}
    request = Request(source="alertmanager", method="POST", path="/api/v2/alerts", headers=headers, body=body)
    world.apply(Received(0, "inbox", world.now, request))
    return world


def test_what_was_put_off_may_be_quiet_for_less_than_a_minute_though_nothing_else_fires():
    """As an open incident's may: of two replicas of Prometheus one may say that it is over while the other fires."""
    world = told(World(), "170m").at("1m")
    world.resolves_by_hand(1, "2h")
    told(told(world.at("10m"), "10m").at("602s"), "170m").at("100m")
    assert world.pages == [("0s", "ana", 1)] and world.incident(1).state == "resolved"
    told(world, "100m").at("101m")
    assert world.timeline[-1].what == "All that was put off has ended" and world.incident(1).snoozed_until is None
    told(world.at("102m"), "170m")
    assert world.pages[1:] == [("6120s", "ana", 1)], "mended, and back"
    alike(world)


def test_what_fires_again_is_where_it_was_also_after_its_window():
    """A window is for newcomers: one that blinks is no incident more, and takes none with it."""
    where = {"job": "search", "region": "eu"}
    world = told(World(), "170m", **where).at("1m")
    world.acknowledges(1, "2h")
    for minute in (10, 20):
        told(told(world.at(f"{minute}m"), f"{minute}m", **where).at(f"{minute * 60 + 2}s"), "170m", **where)
    assert (world.pages, list(world.engine.state.incidents)) == ([("0s", "ana", 1)], [1])
    told(world.at("21m"), "170m", instance="b", **where)
    assert world.pages[1:] == [("1260s", "ana", 2)]
    alike(world)


def test_what_was_put_off_stays_so_while_a_newer_incident_of_its_group_is_open():
    world = World()
    for instance in "12":
        world.fires("A", job="search", region="eu", instance=instance)
    world.at("10m").fires("A", job="search", region="eu", instance="3")
    world.acknowledges(2, "3h")
    world.resolves_by_hand(1, "2h")
    world.silences('instance="2"', for_="12m")
    before = len(world.pages)
    world.at("20m").resolves("A", job="search", region="eu", instance="1").at("1205s")
    world.fires("A", job="search", region="eu", instance="1").at("25m")
    assert [page for page in world.pages[before:] if page[2]] == []
    assert {one.incident for one in world.engine.state.alerts.values() if one.firing} == {1, 2}
    world.at("130m")
    assert next(page for page in world.pages[before:] if page[2]) == ("7800s", "ana", 1)
    alike(world)


@pytest.mark.parametrize("put_off", [False, True])
def test_nothing_is_over_because_nobody_could_be_heard(put_off):
    """One replica says that it is over, an upgrade of two minutes follows, and the other fires all the time."""
    world = told(World(), "170m").at("1m")
    if put_off:
        world.resolves_by_hand(1, "2h")
    else:
        world.acknowledges(1, "2h")
    told(world.at("10m"), "10m").at("610s").restarted("2m")
    alike(world)
    told(world.at("15m"), "170m").at("100m")
    assert world.pages == [("0s", "ana", 1)]
    assert world.incident(1).state == ("resolved" if put_off else "acknowledged")
    told(world, "100m").at("6060s")
    assert (world.incident(1).open, world.incident(1).snoozed_until) == (False, None)
    alike(world)


def test_what_another_plan_makes_urgent_waits_for_no_morning_when_it_is_put_off_no_longer():
    """Also where somebody had it and gave it away."""
    for how in ("acknowledged", "put off", "given"):
        world = World(LOW.replace(b"sev3: low", b"sev1: low")).at("6h").fires("Down", job="checkout")
        world.acknowledges(1, "14h") if how != "put off" else world.asked(
            Snooze(actor="person:ana", incident=1, until=world.now + 14 * HOUR)
        )
        world.at("1170m").put_in_force(LOW)
        before = len(world.pages)
        if how == "given":
            assert world.asked(Reassign(actor="person:ana", incident=1, person="ben")).ok
            assert world.pages[before:] == [("70200s", "ben", 1)]
        world.at("20h")
        assert how == "given" or world.pages[before:] == [("72000s", "ana", 1)]
        assert world.incident(1).urgency == "high"


def test_one_that_blinks_while_the_others_are_silenced_pages_nobody_anew():
    world = told(told(World(), "170m"), "170m", instance="b").at("1m")
    world.silences('instance="b"', for_="2h")
    told(told(world.at("2m"), "2m").at("122s"), "170m").at("4m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1)]
    told(world, "170m", instance="c").at("5m")
    assert [page for page in world.pages if page[2]][1:] == [("300s", "ben", 1)]
    alike(world)


def _opened_by_another() -> World:
    """At night what is urgent was put off until 04:01, and a newcomer of low urgency opened it again."""
    world = World(LOW)
    for key in "ax":
        world.fires("Down", key=key, job="checkout", instance=key)
    world.at("1m")
    world.silences('instance="x"', for_="20m")
    world.resolves_by_hand(1, "1h")
    return world.at("10m").fires("Down", job="checkout", instance="b", severity="warning").at("12m")


@pytest.mark.parametrize("what", ["flaps", "is relabelled", "is loud again"])
def test_what_was_put_off_wakes_nobody_through_a_newcomer(what):
    world = _opened_by_another()
    assert (world.pages, world.incident(1).waits) == ([("0s", "ana", 1)], "quiet_hours")
    for minute in (13, 14) if what == "flaps" else ():
        world.resolves("Down", key="a").at(f"{minute}m").fires("Down", key="a", job="checkout", instance="a")
    if what == "is relabelled":
        world.fires("Down", key="a", job="checkout", instance="a", runbook="r1")
    world.restarted().at("60m")
    assert ([page for page in world.pages if page[2]], world.incident(1).urgency) == ([("0s", "ana", 1)], "low")
    world.at("61m")
    assert world.pages[-1] == ("3660s", "ana", 1) and world.incident(1).snoozed is None
    alike(world)


def test_whoever_has_a_newcomer_has_it_still_when_what_was_put_off_flaps():
    world = World(TIERED).fires("Down", service="two", plan="gold", instance="a")
    world.fires("Down", service="two", plan="gold", instance="c").at("1m").resolves_by_hand(1, "5h")
    world.at("2m").fires("Down", service="two", plan="silver", instance="b").at("3m").acknowledges(1, "4h")
    for at in (5, 7):
        world.at(f"{at}m").resolves("Down", service="two", plan="gold", instance="a")
        world.at(f"{at + 1}m").fires("Down", service="two", plan="gold", instance="a")
    assert (world.incident(1).customer_tier, len(world.pages)) == ("silver", 2)
    world.at("242m")
    assert world.incident(1).state == "acknowledged", "for as long as they said"
    alike(world)


def test_one_that_was_put_off_and_becomes_more_than_all_of_it_pages_through_a_newcomer():
    world = World(LOW).at("6h")
    for key in ("a", "b"):
        world.fires("Disk", service="checkout", key=key, severity="warning", instance=key)
    world.at("361m").resolves_by_hand(1, "24h")
    world.at("370m").fires("Disk", service="checkout", key="c", severity="warning", instance="c").at("371m")
    world.acknowledges(1, "20h")
    before = len(world.told_pages)
    world.at("372m").fires("Disk", service="checkout", key="a", severity="warning", instance="a")
    assert len(world.told_pages) == before
    world.at("373m").fires("Disk", service="checkout", key="a", instance="a")
    assert "which you have, is SEV1" in world.told_pages[before].title
    alike(world)


def test_when_all_that_was_put_off_has_ended_the_snooze_is_over_though_a_newcomer_fires_on():
    """Till then only the newcomer counts, and it does: what a plan makes urgent waits for no morning."""
    world = told(World(LOW), "400m").at("1m")
    world.resolves_by_hand(1, "20h")
    told(world.at("10m"), "400m", instance="b", severity="warning").at("11m")
    world.acknowledges(1, "1h")
    world.put_in_force(PLAN)
    world.at("71m")
    assert world.pages[1:] == [("4260s", "ana", 1)], "the newcomer counts"
    world.acknowledges(1, "4h")
    told(told(world.at("80m"), "80m").at("4802s"), "400m").at("90m")
    assert world.incident(1).snoozed is not None, "a moment's quiet is no end"
    told(world, "90m").at("90m30s").restarted()
    alike(world)
    world.at("100m")
    assert (world.incident(1).snoozed, world.incident(1).state) == (None, "acknowledged")
    assert "All that was put off has ended" in [entry.what for entry in world.timeline]
    alike(world)


@pytest.mark.parametrize("fires", [False, True])
def test_what_an_older_version_put_off_is_put_off_for_as_long_as_some_of_it_fires(fires):
    """It kept until when alone, and did not see that all of it had ended."""
    world = World().fires("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="b").at("1m")
    world.resolves_by_hand(1, "8h")
    world.at("2m").resolves("Down", job="checkout", instance="a")
    until = world.incident(1).snoozed_until
    if not fires:
        world.resolves("Down", job="checkout", instance="b")
    kind, raw = world.tables["incidents"][1]
    row = msgspec.json.decode(raw) | {"snoozed_until": until}
    row.pop("snoozed", None)
    world.tables["incidents"][1] = kind, msgspec.json.encode(row)
    world.restarted()
    assert (world.incident(1).snoozed is not None, world.incident(1).snoozed_until is not None) == (fires, fires)
    world.at("10m").fires("Down", job="checkout", instance="b")
    assert world.pages[1:] == ([] if fires else [("600s", "ana", 1)])


def test_what_an_older_version_opened_again_goes_on_since_what_fires_was_heard():
    """It kept only that it had: whoever was paged answers still, and reads nothing of the days before."""
    world = World().fires("Down", job="checkout", instance="a").at("1m").resolves("Down", job="checkout", instance="a")
    world.at("5m").fires("Down", job="checkout", instance="b").at("6m").fires("Down", job="checkout", instance="c")
    (page,) = (one for one in world.engine.state.pages.values() if one.intended_at == START + 5 * MINUTE)
    kind, raw = world.tables["incidents"][1]
    row = msgspec.json.decode(raw)
    assert row["reopened"] == 1 and row.pop("reopened_at") == row.pop("began_at")
    world.tables["incidents"][1] = kind, msgspec.json.encode(row)
    world.restarted()
    one = world.incident(1)
    assert (one.since, one.reopened_at) == (START + 5 * MINUTE, None)
    assert msgspec.json.decode(world.tables["incidents"][1][1])["began_at"] == one.began_at
    world.resolves("Down", job="checkout", instance="b").restarted()
    assert world.incident(1).since == START + 5 * MINUTE, "it is told once"
    assert world.acknowledges(1, page=page.id).ok and world.incident(1).state == "acknowledged"


@pytest.mark.parametrize("how", ["given away", "by another plan"])
def test_what_was_put_off_makes_nothing_urgent_that_is_given_away_or_follows_another_plan(how):
    world = _opened_by_another()
    if how == "given away":
        assert world.asked(Reassign(actor="person:ana", incident=1, person="ben")).ok
    else:
        world.put_in_force(LOW.replace(b"repeat: 2", b"repeat: 3"))
        assert world.asked(ApplyPlan(actor="person:ana", incident=1)).ok
    assert (world.pages, world.incident(1).urgency, world.incident(1).waits) == (
        [("0s", "ana", 1)], "low", "quiet_hours",
    )  # fmt: skip
    alike(world)


def _newcomer_ended() -> World:
    """Put off for a day; a newcomer that opened the incident an hour later is over."""
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1, "24h")
    world.at("60m").fires("Down", job="checkout", instance="b").at("61m").resolves("Down", job="checkout", instance="b")
    return world.at("70m")


def test_who_resolves_what_a_newcomer_opened_leaves_the_others_put_off_for_as_long_as_somebody_said():
    world = _newcomer_ended()
    assert world.resolves_by_hand(1).ok
    assert world.timeline[-1].what == "Resolved while alerts still fire; judged again in 22 h 51 min"
    world.at("1440m")
    before = len(world.pages)
    assert world.pages[-1] == ("3900s", "ben", 1), "when the newcomer was not answered"
    world.at("1441m")
    assert world.pages[before:] == [("86460s", "ana", 1)]
    alike(world)


@pytest.mark.parametrize("but", ["a newcomer fires on", "it is nearly over", "another time is said"])
def test_who_resolves_what_a_newcomer_opened_puts_all_off_for_an_hour(but):
    """Nobody put a newcomer off for a day; and a snooze of which nobody says how long lasts an hour at least."""
    world = _newcomer_ended()
    if but == "a newcomer fires on":
        world.fires("Down", job="checkout", instance="c").at("71m")
    elif but == "it is nearly over":
        world.at("1430m")
    world.resolves_by_hand(1, "1h" if but == "another time is said" else "")
    assert world.incident(1).snoozed_until == world.now + HOUR


def test_a_silence_that_ends_over_what_is_put_off_says_and_counts_nothing():
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1, "24h")
    world.at("2m").silences('instance="a"', for_="10m")
    world.at("20m")
    assert ("Fires again while snoozed" in [one.what for one in world.timeline], world.incident(1).alerts) == (False, 1)
    world.fires("Down", job="checkout", instance="a", severity="critical")
    world.at("1440m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1)]
    world.at("1441m")
    assert world.pages[-1] == ("86460s", "ana", 1)
    alike(world)


def test_what_became_graver_under_a_silence_opens_what_was_put_off_when_that_ends():
    world = World().fires("Disk", service="checkout", key="a", severity="warning", instance="a").at("1m")
    world.resolves_by_hand(1, "24h")
    world.at("2m").silences('instance="a"', for_="10m")
    world.at("3m").fires("Disk", service="checkout", key="a", instance="a").at("12m")
    assert ([page for page in world.pages if page[2]][1:], world.incident(1).alerts) == ([("720s", "ana", 1)], 1)
    alike(world)


def test_what_is_put_off_becomes_no_more_by_flapping_however_long_it_lasts():
    """Each hands its place to the alert that it fires as; ids that were given in a row take up no room."""
    world = World()
    machines = [str(n) for n in range(200)]

    def all_of_them(state):
        world.hears(*(Event(labels={"alertname": "Disk", "job": "checkout", "instance": one}, own_title="Disk",
                            severity="warning", starts_at=world.now, state=state,
                            ends_at=None if state == "firing" else world.now) for one in machines))  # fmt: skip

    all_of_them("firing")
    world.at("1m").resolves_by_hand(1, "24h")
    machines.pop()  # one fires on
    for minute in range(2, 8):
        world.at(f"{minute}m")
        all_of_them("resolved")
        all_of_them("firing")
    off = world.incident(1).snoozed
    assert off is not None and sum(map(len, spans(off.alerts))) == 200
    assert {one.id for one in world.engine.state.alerts.values() if one.firing} == {
        id for span in spans(off.alerts) for id in span
    }
    assert len(off.alerts) < 5 and len(world.pages) == 1
    alike(world)


def test_what_a_version_before_wrote_down_as_put_off_stays_so():
    """It had each id by itself."""
    world = World()
    for instance in "abcd":
        world.fires("Down", job="checkout", instance=instance)
    world.at("1m").resolves_by_hand(1, "8h")
    kind, raw = world.tables["incidents"][1]
    row = msgspec.json.decode(raw)
    assert row["snoozed"]["alerts"] == [1, -4]
    row["snoozed"]["alerts"] = [1, 2, 3, 4]
    world.tables["incidents"][1] = kind, msgspec.json.encode(row)
    world.restarted().at("2m").resolves("Down", job="checkout", instance="b")
    world.at("3m").fires("Down", job="checkout", instance="b").at("4m")
    off = world.incident(1).snoozed
    assert off is not None and [id for span in spans(off.alerts) for id in span] == [1, 3, 4, 5]
    assert world.pages == [("0s", "ana", 1)]
