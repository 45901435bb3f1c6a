"""Stories: what happens to people when monitors speak, told in virtual time with the real engine."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.world import PLAN, START, World, dump
from tocsin.access.credentials import secret_hash
from tocsin.access.limits import KeyLimits
from tocsin.engine.commands import (
    ASKED,
    Acknowledge,
    CreateKey,
    DeclareKeys,
    ExpireSilence,
    LimitKey,
    SetSilence,
    SetUser,
)
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import Deaf, Delivered, Received
from tocsin.engine.state import State
from tocsin.intake.request import Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import MINUTE, SECOND, parse_duration
from tocsin.kernel.matcher import parse_matcher
from tocsin.silences.silence import Silence


def test_nobody_answers_so_each_step_is_paged_and_then_the_last_resort_and_all_again():
    """Ana, five minutes later Ben, ten later Ben again, ten later Kei; half an hour after that it begins anew."""
    world = World().fires("Down", job="checkout").at("60m")
    assert world.pages == [
        ("0s", "ana", 1),
        ("300s", "ben", 1),
        ("900s", "ben", 1),
        ("1500s", "kei", 1),
        ("3300s", "ana", 1),
        ("3600s", "ben", 1),
    ]
    assert world.told(1)[:5] == ["opened", "step_due", "step_due", "step_repeated", "escalation_exhausted"]


def test_forty_alerts_of_one_name_are_one_incident_and_one_page():
    world = World()
    for host in range(40):
        world.fires("Slow", job="checkout", instance=f"host-{host}")
    assert list(world.engine.state.incidents) == [1]
    assert world.incident(1).alerts == 40
    assert world.pages == [("0s", "ana", 1)]


def test_alerts_that_share_nothing_are_never_one_incident():
    world = (
        World()
        .fires("Slow", job="checkout")
        .fires("Full", job="checkout")
        .fires("", service="search", key="a")
        .fires("", service="search", key="b")
    )
    assert len(world.engine.state.incidents) == 4


def test_an_acknowledgement_keeps_everybody_quiet_until_it_runs_out():
    world = World().fires("Down", job="checkout").at("1m")
    assert world.acknowledges(1).ok
    world.at("60m")
    assert world.pages == [("0s", "ana", 1)]
    world.at("62m")
    assert world.pages[1:] == [("3660s", "ana", 1)]
    assert world.told(1)[-2:] == ["acknowledgement_ended", "step_due"]


def test_notes_and_the_acknowledgement_survive_every_later_event():
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.acknowledges(1)
    world.notes(1, "looking at the database")
    world.fires("Down", job="checkout", instance="b").fires("Down", job="checkout", instance="a").at("5m")
    assert world.incident(1).state == "acknowledged"
    assert world.incident(1).acknowledged_by == "person:ana"
    assert [e.what for e in world.timeline if e.reason == "note"] == ["looking at the database"]
    assert world.pages == [("0s", "ana", 1)]


def test_the_monitor_resolves_and_nobody_is_paged_any_more():
    world = World().fires("Down", job="checkout").at("1m").resolves("Down", job="checkout").at("40m")
    assert world.pages == [("0s", "ana", 1)]
    assert world.told(1)[-1] == "all_clear"


def test_trouble_that_returns_within_the_window_reopens_the_same_incident_and_pages():
    world = (
        World()
        .fires("Down", job="checkout")
        .at("1m")
        .resolves("Down", job="checkout")
        .at("20m")
        .fires("Down", job="checkout")
    )
    assert list(world.engine.state.incidents) == [1]
    assert world.incident(1).reopened == 1
    assert world.pages == [("0s", "ana", 1), ("1200s", "ana", 1)]


def test_trouble_that_returns_later_is_a_new_incident():
    world = (
        World()
        .fires("Down", job="checkout")
        .at("1m")
        .resolves("Down", job="checkout")
        .at("40m")
        .fires("Down", job="checkout")
    )
    assert list(world.engine.state.incidents) == [2]
    assert world.pages[-1] == ("2400s", "ana", 2)


def test_resolved_by_hand_while_alerts_fire_is_judged_again_after_the_snooze():
    world = World().fires("Down", job="checkout").at("1m")
    assert world.resolves_by_hand(1).reason == "snoozed"
    world.at("60m")
    assert world.pages == [("0s", "ana", 1)]
    world.at("61m")
    assert world.pages[-1] == ("3660s", "ana", 1)
    assert world.told(1)[-2:] == ["snooze_ended", "step_due"]


def test_a_snooze_is_of_what_fires_and_not_of_another_machine_or_of_what_had_ended():
    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1)
    world.at("2m").fires("Down", job="checkout", instance="a").at("3m")
    assert world.pages == [("0s", "ana", 1)], "heard again is what still fires"
    world.fires("Down", job="checkout", instance="b")
    assert world.pages[1:] == [("180s", "ana", 1)] and world.told(1)[-2:] == ["reopened", "step_due"]

    world = World().fires("Down", job="checkout", instance="a").at("1m")
    world.resolves_by_hand(1)
    world.at("2m").resolves("Down", job="checkout", instance="a")
    world.at("3m").fires("Down", job="checkout", instance="a")
    assert world.pages[1:] == [("180s", "ana", 1)]


def test_a_silence_that_ends_while_its_incident_is_snoozed_opens_nothing():
    world = World().fires("Down", job="checkout")
    world.silences('alertname="Down"', for_="10m")
    world.at("1m").resolves_by_hand(1)
    world.at("30m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1)]
    world.at("61m")
    assert world.pages[-1] == ("3660s", "ana", 1)


def test_a_snooze_that_ends_after_the_alert_did_stays_quiet():
    world = World().fires("Down", job="checkout").at("1m")
    world.resolves_by_hand(1, snooze="10m")
    world.at("5m").resolves("Down", job="checkout").at("2h")
    assert world.pages == [("0s", "ana", 1)]


def test_a_silenced_alert_opens_nothing_and_pages_at_once_when_the_silence_ends():
    world = World()
    silence = world.silences('alertname="Down"', for_="30m")
    world.fires("Down", job="checkout").at("29m")
    assert [p for p in world.pages if p[2]] == []
    assert not world.engine.state.incidents
    world.at("31m")
    assert [p for p in world.pages if p[2]] == [("1800s", "ana", 1)]
    assert silence.ok


def test_silencing_every_alert_of_an_incident_pauses_its_escalation_and_ending_it_goes_on():
    world = World().fires("Down", job="checkout").at("1m")
    silence = world.silences('alertname="Down"', for_="2h")
    world.at("4m")
    assert [p for p in world.pages if p[2]] == [("0s", "ana", 1)]
    assert world.incident(1).paused == "silenced"
    world.expires(silence.id)
    assert world.at("6m").pages[-1] == ("300s", "ben", 1)


def test_a_silence_to_come_begins_at_its_time_over_what_fires_already():
    world = World().fires("Down", job="checkout")
    world.silences('alertname="Down"', for_="2h", after="2m")
    world.at("1m59s")
    assert world.incident(1).paused is None
    world.at("60m")
    assert world.incident(1).paused == "silenced"
    assert [p for p in world.pages if p[2]] == [("0s", "ana", 1)]


def test_one_loud_alert_among_silenced_ones_is_paged():
    world = World()
    world.silences('instance="a"', for_="2h")
    world.fires("Down", job="checkout", instance="a").fires("Down", job="checkout", instance="b")
    assert [p for p in world.pages if p[2]] == [("0s", "ana", 1)]


def test_the_author_of_a_silence_is_told_before_and_at_its_end():
    world = World().at("6h")
    world.silences('alertname="Down"', for_="2h")
    world.at("9h")
    assert world.pages == [("27960s", "ana", 0), ("28860s", "ana", 0)]


@pytest.mark.parametrize(("lasts", "told"), [("1h", "45m"), ("30m", "1350s"), ("4m", "3m")])
def test_of_a_short_silence_the_author_is_told_when_three_quarters_of_it_have_passed(lasts, told):
    world = World()
    world.silences('alertname="Down"', for_=lasts)
    world.fires("Down", job="checkout").at(lasts)
    (soon,) = [page for page in world.engine.state.pages.values() if page.reason == "silence_ends_soon"] or [
        page for page in world.told_pages if page.reason == "silence_ends_soon"
    ]
    assert soon.intended_at == START + parse_duration(told)
    assert soon.tried_at is not None, "before it ends"
    assert soon.tried_at - soon.intended_at <= MINUTE


def test_silences_that_end_at_night_wake_nobody_where_nothing_fires_and_are_one_message_in_the_morning():
    world = World()
    for n in range(20):
        world.silences(f'alertname="A{n}"', for_="30m")
        world.at(f"{n}s")
    world.at("4h")
    assert world.pages == []
    world.at("8h")
    (told,) = world.told_pages
    assert (told.reason, told.title, len(told.lines)) == ("silence_ended", "20 silences have ended, 10 of them", 10)
    assert world.left[0][0] == "18000s", "08:00"
    assert dump(world.replayed().state) == dump(world.engine.state) == dump(State(world.loaded()))


def test_silences_under_which_something_fires_are_told_of_at_once_together():
    world = World().fires("A", job="checkout")
    for n, name in enumerate("ABC"):
        world.at(f"{n}s").silences(f'alertname=~"A|{name}"', for_="2h")
    world.at("110m")
    (told,) = world.told_pages[1:]
    assert (told.reason, told.title, len(told.lines)) == ("silence_ends_soon", "3 silences end soon", 3)
    assert world.left[-1][0] == "6360s", "a minute after the first"


def test_the_author_of_a_silence_hears_that_somebody_else_has_ended_it():
    world = World().fires("Down")
    first, second = (world.silences(one, for_="2h") for one in ('alertname="Down"', 'alertname="Other"'))
    world.expires(second.id)
    every = world.engine.state.pages.values()
    assert not [page for page in every if page.reason == "silence_ended"], "who ends their own knows"
    world.asked(ExpireSilence(id=first.id, actor="person:ben"))
    world.at("2m")
    (told,) = [page for page in world.told_pages if page.reason == "silence_ended"]
    assert told.person == "ana"
    assert told.title.startswith("Your silence was ended by Ben; 1 alert it kept quiet still fires")


def test_who_ends_their_own_silence_through_a_token_is_not_told_so():
    world = World().fires("Down")
    silence = world.silences('alertname="Down"', for_="2h").id
    world.asked(ExpireSilence(id=silence, actor="person:ana (token this machine)"))
    world.at("3m")
    assert not [page for page in world.told_pages if page.reason == "silence_ended"]


@pytest.mark.parametrize("how", ["prolonged", "ended", "replaced"])
def test_a_reminder_that_waits_says_nothing_of_a_silence_that_was_changed_meanwhile(how):
    world = World().fires("A", job="checkout")
    first, second, third = (world.silences(f'alertname=~"A|{name}"', for_="2h").id for name in "ABC")
    world.at("105m30s")
    for id, name in ((first, "A"), (third, "C")):
        if how == "ended":
            world.expires(id)
        else:
            world.silences('alertname="A"' if how == "replaced" else f'alertname=~"A|{name}"', for_="5h", id=id)
    world.at("110m")
    (told,) = [page for page in world.told_pages if page.reason == "silence_ends_soon"]
    assert (told.lines, told.gathered, told.title.endswith('alertname=~"A|B"')) == ((), 0, True)
    assert told.silence == second
    world = World().fires("A", job="checkout")
    only = world.silences('alertname="A"', for_="2h").id
    world.at("105m30s").silences('alertname="A"', for_="5h", id=only)
    world.at("110m")
    assert not [page for page in world.told_pages if page.reason == "silence_ends_soon"]
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize(
    ("author", "person", "whose"), [("ana", "ana", "Your silence"), ("zed", "kei", "The silence of zed")]
)
def test_whoever_is_told_of_a_silence_of_another_is_told_whose_it_was(author, person, whose):
    world = World().fires("Down", job="checkout")
    matchers, ends = (parse_matcher('alertname="Down"'),), world.now + parse_duration("2h")
    world.asked(
        SetSilence(actor="token:1", author=author, matchers=matchers, comment="x", starts_at=world.now, ends_at=ends)
    )
    world.at("2h1m")
    soon = [page.title for page in world.told_pages if page.reason == "silence_ends_soon"]
    assert soon == [f'{whose} ends Mon 23 Nov 2026 05:00 (UTC): alertname="Down"']
    titles = {page.person: page.title for page in world.told_pages if page.reason == "silence_ended"}
    assert titles == {person: f'{whose} has ended; 1 alert it kept quiet still fires: alertname="Down"'}


@pytest.mark.parametrize(("author", "told"), [("ANA", {"ana"}), ("ben@Shop.example", {"ben"}), ("Somebody", {"kei"})])
def test_an_author_is_known_by_name_or_address_in_any_letters_else_the_last_resort_is_told(author, told):
    world = World()
    matchers = (parse_matcher('alertname="Down"'),)
    ends = world.now + parse_duration("2h")
    asked = SetSilence(
        matchers=matchers, author=author, comment="known", starts_at=world.now, ends_at=ends, actor="user:boss"
    )
    assert world.asked(asked).ok
    world.at("8h")
    assert {person for _, person, _ in world.pages} == told


def test_when_something_is_due_is_known_again_after_every_input():
    """It is asked much more often than it changes; every input may change it."""
    world = World().fires("Down", job="checkout")
    assert world.engine.next_due() == world.now + parse_duration("5m")
    world.acknowledges(1)
    assert world.engine.next_due() == world.now + parse_duration("1h")
    world.at("1h")
    assert world.pages[-1] == ("3600s", "ana", 1)


@pytest.mark.parametrize("first", ["2m", "8m"])
def test_of_alerts_that_have_one_timer_each_ends_at_its_own_time(first):
    """Also when the one that is due next was not the first to come."""
    second = "8m" if first == "2m" else "2m"
    world = World()
    world.fires("Down", job="checkout", instance="a", expires=first)
    world.fires("Down", job="checkout", instance="b", expires=second)
    world.at("2m")
    assert [alert.firing for alert in world.engine.state.alerts.values()] == [first != "2m", second != "2m"]
    world.at("479s")
    assert world.incident(1).open
    world.at("8m")
    assert not world.incident(1).open


def test_an_expiring_alert_that_nobody_repeats_ends_at_its_time():
    world = World().fires("Down", job="checkout", expires="4m").at("10m")
    assert world.told(1)[-1] == "all_clear"
    assert world.pages == [("0s", "ana", 1)]


def test_two_replicas_one_of_which_says_resolved_do_not_resolve_the_incident():
    """An Alertmanager-API alert that ended must stay quiet for a minute before its incident resolves."""
    world = World()
    body = b'[{"labels":{"alertname":"Down","job":"checkout"},"annotations":{},"endsAt":"%s"}]'
    alertmanager = lambda ends: world.apply(_received(world, body % ends))  # noqa: E731  # reads better in the story
    alertmanager(b"2026-11-23T03:04:00Z")
    world.at("1m")
    alertmanager(b"2026-11-23T03:01:00Z")
    assert world.incident(1).paused == "clearing"
    world.at("90s")
    alertmanager(b"2026-11-23T03:05:30Z")
    world.at("5m")
    assert world.incident(1).state == "triggered"
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]


def test_a_page_that_fails_for_good_falls_through_to_the_next_step_at_once():
    world = World()
    world.answers = lambda page: "failed" if page.person == "ana" else "sent"
    world.fires("Down", job="checkout")
    assert world.pages == [("0s", "ana", 1), ("0s", "ben", 1), ("0s", "kei", 1)]  # kei: the last resort is told
    assert "nobody_reachable" in world.told(1)


def test_a_page_that_fails_for_the_moment_is_tried_again_with_growing_pauses():
    world = World()
    tries = iter(["retry", "retry", "sent"])
    world.answers = lambda page: next(tries) if page.person == "ana" else "sent"
    world.fires("Down", job="checkout").at("1m")
    assert [page for page in world.pages if page[1] == "ana"] == [("0s", "ana", 1), ("5s", "ana", 1), ("15s", "ana", 1)]


def test_a_step_whose_channel_is_down_is_followed_by_the_next_at_once_and_still_tried_again():
    world = World()
    tries = iter(["retry", "retry", "sent"])
    world.answers = lambda page: next(tries) if page.person == "ana" else "sent"
    world.fires("Down", job="checkout")
    assert world.pages == [("0s", "ana", 1), ("0s", "ben", 1)]
    assert "nobody_reachable" in world.told(1)
    world.at("9m")
    assert [page.state for page in world.engine.state.pages.values()] == ["sent", "sent"]
    assert world.pages[2:] == [("5s", "ana", 1), ("15s", "ana", 1)], "the wait of Ben's step counts from his page"


def test_while_every_channel_is_down_each_step_is_tried_once_and_then_only_again():
    """Nobody can be reached: all steps and the last resort are tried at once, and a call that nobody got is no loop."""
    world = World()
    world.answers = lambda page: "retry"
    world.fires("Down", job="checkout")
    assert world.pages == [("0s", "ana", 1), ("0s", "ben", 1), ("0s", "kei", 1)]
    world.at("4s")
    assert len(world.engine.state.pages) == 3
    world.answers = lambda page: "sent"
    world.at("6s")
    assert world.pages[3:] == [("5s", "ana", 1), ("5s", "ben", 1), ("5s", "kei", 1)]


def test_a_step_of_which_one_person_was_reached_waits_for_an_answer():
    world = World(PLAN.replace(b"{page: ana, wait: 5m}", b"{page: [ana, kei], wait: 5m}"))
    world.answers = lambda page: "sent" if page.person == "kei" else "retry"
    world.fires("Down", job="checkout").at("4m")
    assert {person for _, person, _ in world.pages} == {"ana", "kei"}


def test_a_persons_last_method_that_fails_skips_nobody_who_was_reached():
    """Ana's mail and her webhook fail one after the other; Kei, of the same step, was reached before."""
    plan = PLAN.replace(b"{page: ana, wait: 5m}", b"{page: [ana, kei], wait: 5m}").replace(
        b"email: ana@shop.example}",
        b"email: ana@shop.example, webhook: {url: 'https://hook.example/ana', secret: secret:hook}}",
    )
    world = World(plan)
    world.answers = lambda page: "sent" if page.person == "kei" else "never"
    world.fires("Down", job="checkout").at("10s")
    world.apply(Delivered(1, "retry", error="refused"))
    world.at("20s").apply(Delivered(3, "failed", error="gone"))
    world.at("4m")
    assert {person for _, person, _ in world.pages} == {"ana", "kei"}


def test_a_page_that_fails_late_pages_no_step_that_was_paged_since():
    world = World()
    world.answers = lambda page: "never" if page.person == "ana" else "sent"
    world.fires("Down", job="checkout").at("6m")
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]
    world.apply(Delivered(1, "failed", error="too late"))
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]


def test_a_newer_page_to_the_same_place_replaces_one_that_never_left():
    """Ben's mail server is down over his first page and his second: when it is back, one mail leaves."""
    world = World()
    world.answers = lambda page: "retry" if page.person == "ben" else "sent"
    world.fires("Down", job="checkout").at("46m")
    older = [page for page in world.engine.state.pages.values() if page.person == "ben" and page.state == "overtaken"]
    newer = [page for page in world.engine.state.pages.values() if page.person == "ben" and page.state == "intended"]
    assert [page.outcome for page in older] == ["replaced"] * len(older) and older
    assert len(newer) == 1 and older[-1].overtaken_by == newer[0].id
    world.pages.clear()
    world.answers = lambda page: "sent"
    world.at("54m")
    assert [person for _, person, _ in world.pages].count("ben") == 1


def test_a_page_refused_after_a_newer_one_was_taken_is_not_tried_again():
    world = World(PLAN.replace(b"{page: ben, wait: 10m, repeat: 2}", b"{page: ana, wait: 10m}"))
    world.answers = lambda page: "never" if page.id == 1 else "sent"
    world.fires("Down", job="checkout").at("6m")
    world.apply(Delivered(1, "retry", error="deadline"))
    page = world.engine.state.pages[1]
    assert (page.state, page.outcome, page.overtaken_by) == ("overtaken", "replaced", 2)


def test_a_late_start_fires_what_waits_once_and_the_next_step_counts_from_there():
    """Down for an hour: one page at the return, not all the steps that would have been due."""
    world = World().fires("Down", job="checkout").at("1m").restarted("60m")
    world.at("62m")
    assert world.pages == [("0s", "ana", 1), ("3660s", "ben", 1)]


def test_ten_minutes_down_with_alerts_that_would_have_been_repeated_resolve_nothing_and_page_nobody_twice():
    world = World()
    for host in range(50):
        world.fires("Down", job="checkout", instance=str(host), expires="4m")
    world.acknowledges(1)
    world.at("1m").restarted("10m")
    assert world.incident(1).state == "acknowledged"
    assert len(world.engine.state.members[1].firing) == 50
    for host in range(50):
        world.fires("Down", job="checkout", instance=str(host), expires="4m")
    world.at("14m")
    assert len(world.engine.state.members[1].firing) == 50
    assert world.pages == [("0s", "ana", 1)]


def test_a_page_without_an_outcome_is_sent_again_and_marked_as_a_possible_repetition():
    world = World()
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout").at("1m")
    world.answers = lambda page: "sent"
    world.restarted()
    assert world.pages == [("0s", "ana", 1), ("62s", "ana", 1)]
    assert world.engine.state.pages[1].unsure


def test_a_page_that_was_acknowledged_while_it_left_is_overtaken():
    world = World()
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    world.acknowledges(1)
    assert world.engine.state.pages[1].state == "overtaken"
    assert world.engine.state.pages[1].outcome == "overtaken"


def test_a_page_that_was_delivered_although_it_was_overtaken_says_so():
    world = World()
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout").at("1s").acknowledges(1)
    world.at("4s").apply(Delivered(1, "sent", provider_id="250 OK"))
    page = world.engine.state.pages[1]
    assert (page.state, page.outcome, page.provider_id) == ("overtaken", "left_before", "250 OK")
    assert page.finished_at == world.now


def test_acknowledging_from_a_page_proves_its_channel():
    world = World().fires("Down", job="checkout")
    assert world.engine.state.counters.proven_at is None
    assert world.acknowledges(1, page=1).ok
    assert world.engine.state.counters.proven_at == world.now


def test_a_heartbeat_that_stops_is_an_incident_and_its_return_ends_it():
    world = World()
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    ping = lambda suffix="": world.apply(_ping(world, int(key.id), suffix))  # noqa: E731
    ping()
    world.at("14m")
    assert world.pages == []
    world.at("16m")
    assert world.pages == [("900s", "ana", 1)]
    ping()
    assert not world.incident(1).open
    ping("/fail")
    assert world.pages[-1] == ("960s", "ana", 1)


def test_a_watchdog_alert_is_a_heartbeat_and_its_silence_pages():
    world = World().fires("Watchdog", expires="4m").at("3m").fires("Watchdog", expires="4m").at("8m")
    assert world.pages == []
    world.at("10m")
    assert world.pages == [("540s", "ana", 1)]


def test_a_heartbeat_that_stays_away_is_paged_for_again_though_a_person_resolved_it():
    """Like any alert that fires on; a sign of life ends it. One that an older version let go is raised at the start."""
    world = World().fires("Watchdog", expires="4m").at("9m")
    assert world.resolves_by_hand(1).reason == "snoozed"
    world.at("69m")
    assert world.pages == [("360s", "ana", 1), ("4140s", "ana", 1)]
    world.resolves_by_hand(1, "24h")
    world.at("70m").fires("Watchdog", expires="4m").at("72m")
    assert not any(one.firing for one in world.engine.state.alerts.values() if one.source == "tocsin")
    heart = msgspec.structs.replace(world.engine.state.heartbeats["orders", "nightly"], state="late", last=START)
    world.tables["heartbeats"]["orders", "nightly"] = (type(heart), msgspec.json.encode(heart))
    world.restarted(plan=PLAN)
    assert world.pages[2:] == [("4322s", "ana", 1)] and "nightly" in world.incident(1).title


def test_paging_off_writes_down_whom_it_would_have_paged():
    world = World(paging=False).fires("Down", job="checkout").at("6m")
    assert world.pages == []
    assert [(p.person, p.outcome) for p in world.engine.state.pages.values()] == [
        ("ana", "paging_off"),
        ("ben", "paging_off"),
    ]


def test_the_same_idempotency_key_gives_the_same_answer_and_acts_once():
    world = World().fires("Down", job="checkout")
    answers = [world.asked(_note(1), key="k") for _ in range(3)]
    assert len({a.id for a in answers}) == 1
    assert world.told(1).count("note") == 1


def test_an_idempotency_key_is_for_one_request_only():
    """Another note under it would be lost, and its writer would believe that it is on the timeline."""
    world = World().fires("Down", job="checkout")
    first = world.asked(_note(1), key=f"k{ASKED}one")
    assert world.asked(_note(1), key=f"k{ASKED}one") == first
    assert world.asked(_note(1), key=f"k{ASKED}two").code == "reused"
    assert world.asked(_note(1), key=f"l{ASKED}two").ok
    assert world.told(1).count("note") == 2


def test_a_plan_change_leaves_the_steps_an_incident_was_opened_with():
    world = World().fires("Down", job="checkout").at("1m")
    world.put_in_force(PLAN.replace(b"page: ben, wait: 10m, repeat: 2", b"page: kei, wait: 1m"))
    world.at("6m")
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]


def test_a_person_removed_from_the_plan_is_passed_over():
    world = World().fires("Down", job="checkout").at("1m")
    gone = PLAN.replace(b"  ben: {name: Ben, email: ben@shop.example}\n", b"").replace(
        b"[ana, ben, kei]", b"[ana, kei]"
    )
    world.put_in_force(gone.replace(b"    - {page: ben, wait: 10m, repeat: 2}\n", b""))
    world.at("6m")
    assert world.pages == [("0s", "ana", 1), ("300s", "kei", 1), ("300s", "ana", 1)]  # ana: the team's lead


def test_an_alert_said_graver_raises_its_incident():
    world = (
        World()
        .fires("Down", job="checkout", severity="warning", key="k")
        .fires("Down", job="checkout", severity="critical", key="k")
    )
    assert world.incident(1).severity == "sev1"


def test_a_request_that_cannot_be_read_is_kept_and_a_person_is_paged_once_in_ten_minutes():
    world = World()
    for _ in range(3):
        world.apply(_received(world, b"{not json"))
    assert len(world.engine.state.parked) == 3
    assert world.pages == [("0s", "kei", 1)]


def test_refusals_change_nothing():
    world = World().fires("Down", job="checkout")
    before = dump(world.engine.state)
    for refused, code in (
        (world.acknowledges(99), "not_found"),
        (world.acknowledges(1, hold="8d"), "invalid"),
        (world.resolves_by_hand(1, snooze="1s"), "invalid"),
        (world.notes(1, "  "), "invalid"),
        (world.silences('a=~".*"', for_="1h"), "invalid"),
        (world.expires("nothing"), "not_found"),
    ):
        assert not refused.ok
        assert refused.code == code
        assert refused.message
    after = dump(world.engine.state)
    for moved in ("applied", "now"):
        before["counters"].pop(moved), after["counters"].pop(moved)
    assert before == after


def _received(world: World, body: bytes):
    from tocsin.engine.inputs import Received
    from tocsin.intake.request import Request

    return Received(
        0,
        "inbox",
        world.now,
        Request(
            source="alertmanager",
            method="POST",
            path="/api/v2/alerts",
            headers={"content-type": "application/json"},
            body=body,
        ),
    )


def _ping(world: World, key: int, suffix: str):
    from tocsin.engine.inputs import Received
    from tocsin.intake.request import Request

    return Received(key, "orders", world.now, Request(source="heartbeat", method="GET", path=suffix or "/"))


def _note(incident: int):
    from tocsin.engine.commands import AddNote

    return AddNote(incident=incident, text="same", actor="user:ops")


def test_a_restart_does_not_make_a_heartbeat_late():
    """Putting the same plan in force again, as every start does, leaves what deafness moved."""
    world = World()
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    world.apply(_ping(world, int(key.id), ""))
    world.at("5m").restarted("30m")
    world.put_in_force(PLAN)
    world.at("36m")
    assert world.pages == []


def test_a_machine_that_stands_still_again_and_again_finds_a_heartbeat_late_all_the_same():
    """What could not be heard counts, and the five minutes to speak again once until there is a sign of life."""
    world = World()
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    world.apply(_ping(world, int(key.id), ""))
    for minute in range(1, 60):
        world.at(f"{minute}m").apply(Deaf(world.now - 6 * SECOND, world.now))
    assert world.pages[0] == (f"{(15 + 5) * 60 + 22 * 6}s", "ana", 1)


def test_paging_switched_on_pages_the_first_person_at_once():
    world = World(paging=False).fires("Down", job="checkout").at("2m")
    world.paging = True
    world.put_in_force(PLAN)
    assert world.pages == [("120s", "ana", 1)]


def test_a_page_that_the_start_itself_wrote_down_is_no_possible_duplicate():
    """Paging goes on with this start: the page never left before, and says nothing of having arrived already."""
    world = World(paging=False).fires("Down", job="checkout").at("2m")
    world.answers = lambda page: "never"  # its outcome is heard after the start
    world.restarted(plan=PLAN)
    assert world.pages == [("122s", "ana", 1)], "handed over once"
    (page,) = (one for one in world.engine.state.pages.values() if one.state == "intended" and one.handed_at)
    assert not page.unsure
    assert "paging_on" in world.told(1)
    assert "plan_changed" not in world.told(1)
    world.restarted(plan=PLAN)
    assert page.id == world.told_pages[-1].id
    assert world.told_pages[-1].unsure, "this time it was leaving when Tocsin stopped"


def test_the_alert_of_a_heartbeat_that_left_the_plan_ends():
    world = World()
    key = world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly"))
    world.apply(_ping(world, int(key.id), "/fail"))
    assert world.incident(1).open
    world.put_in_force(PLAN.replace(b"      nightly: {every: 10m, grace: 5m}\n", b""))
    world.at("61s")
    assert (world.incident(1).open, str(world.incident(1).reason)) == (False, "left_the_plan")


def test_moving_the_end_of_a_silence_moves_what_its_incident_says():
    world = World().fires("Down", job="checkout").at("1m")
    silence = world.silences('alertname="Down"', for_="1h")
    world.silences('alertname="Down"', for_="2h", id=silence.id)
    assert world.incident(1).paused_until == world.now + parse_duration("2h")


# --- How much a key may send ------------------------------------------------------------------------------------------


def test_limits_of_a_key_are_kept_refused_out_of_bounds_and_the_plan_s_are_its_own():
    """And the journal alone gives the same, even for a request that is beyond what the key may send later."""
    world = World()
    made = world.asked(
        CreateKey(hash=b"h" * 32, hint="hhhh", source="events", service="inbox", limits=KeyLimits(alerts=9_000))
    )
    key = int(made.id)
    refused = world.asked(LimitKey(id=key, limits=KeyLimits(alerts=10**6)))
    assert (refused.code, refused.field) == ("invalid", "limits.alerts")
    assert world.asked(LimitKey(id=99, limits=KeyLimits())).code == "not_found"
    many = [{"title": "Many", "labels": {"alertname": "Many", "n": str(number)}} for number in range(6_000)]
    body = msgspec.json.encode({"events": many})
    request = Request(source="events", method="POST", path="/api/events", body=body)
    world.apply(Received(key, "inbox", world.now, request))
    assert len(world.engine.state.alerts) == 6_000
    assert world.asked(LimitKey(id=key, limits=KeyLimits(rate=50, alerts=10))).ok
    world.asked(
        DeclareKeys(keys=((b"d" * 32, "dddd", "events", "inbox", "d"),), limits={b"d" * 32: KeyLimits(body=2_000)})
    )
    assert world.engine.state.keys[key + 1].limits == KeyLimits(body=2_000)
    assert world.asked(LimitKey(id=key + 1, limits=KeyLimits())).code == "conflict"
    world.asked(DeclareKeys(keys=((b"d" * 32, "dddd", "events", "inbox", "d"),)))
    assert world.engine.state.keys[key + 1].limits == KeyLimits()
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_a_heartbeat_that_is_renamed_in_the_plan_is_heard_and_missed_by_its_new_name():
    """Its secret is the same, so what sends it need not be told."""
    world, hash = World(), secret_hash("x" * 32)
    world.asked(DeclareKeys(keys=((hash, "xxxx", "heartbeat", "orders", "nightly"),)))
    world.put_in_force(PLAN.replace(b"nightly: {every", b"backup: {every"))
    world.asked(DeclareKeys(keys=((hash, "xxxx", "heartbeat", "orders", "backup"),)))
    key = world.engine.state.keys_by_hash[hash]
    world.apply(Received(key.id, "orders", world.now, Request(source="heartbeat", method="GET", path="/")))
    assert not world.engine.state.alerts, "the plan has it"
    world.at("3h")
    assert [alert.own_title for alert in world.engine.state.alerts.values() if alert.firing]
    world.asked(DeclareKeys(keys=((hash, "xxxx", "events", "orders", "backup"),)))
    assert (key.source, key.heartbeat) == ("events", "")
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_key_that_is_renamed_while_its_secret_is_not_to_be_had_stays_in_use():
    """It is known by its reference; when the secret is there it has its new name."""
    world, hash, am = World(), b"o" * 32, "secret:am_key"
    world.asked(DeclareKeys(keys=((hash, "oooo", "events", "inbox", "am"),), secrets={hash: am}))
    key = world.engine.state.keys_by_hash[hash]
    world.asked(DeclareKeys(keys=(), kept=(("events", "inbox", "prometheus"),), away=(am,)))
    assert (key.name, key.revoked_at) == ("am", None)
    world.asked(DeclareKeys(keys=((hash, "oooo", "events", "inbox", "prometheus"),), secrets={hash: am}))
    assert (key.name, key.revoked_at) == ("prometheus", None)
    assert dump(world.replayed().state) == dump(world.engine.state)
    world.asked(DeclareKeys(keys=(), kept=(("events", "inbox", "other"),), away=("secret:other",)))
    assert key.revoked_at is not None


def test_a_declared_key_whose_secret_is_not_to_be_had_stays_in_use():
    """One that the plan names no more does not, whatever else cannot be had."""
    world = World()
    old, gone = (b"o" * 32, "oooo", "events", "inbox", "am"), (b"g" * 32, "gggg", "events", "inbox", "gone")
    world.asked(DeclareKeys(keys=(old, gone), limits={b"o" * 32: KeyLimits(body=2_000)}))
    world.asked(DeclareKeys(keys=(), kept=(("events", "inbox", "am"), ("events", "inbox", "never"))))
    keys = {key.name: key for key in world.engine.state.keys.values()}
    assert keys["am"].revoked_at is None and keys["am"].limits == KeyLimits(body=2_000)
    assert keys["gone"].revoked_at is not None and set(keys) == {"am", "gone"}
    assert dump(world.replayed().state) == dump(world.engine.state)
    world.asked(DeclareKeys(keys=((b"n" * 32, "nnnn", "events", "inbox", "am"),)))
    used = [key.hint for key in world.engine.state.keys.values() if key.revoked_at is None]
    assert used == ["nnnn"], "the secret was changed meanwhile"


def test_a_page_alone_says_what_is_acknowledged_and_by_whom():
    """For when nothing can be looked up: the incident is the page's, the person whoever was paged."""
    world = World()
    world.fires("Down", job="checkout")
    (page,) = world.engine.state.pages.values()
    assert world.asked(Acknowledge(page=page.id)).ok
    assert world.engine.state.incidents[1].acknowledged_by == "person:ana"
    assert world.asked(Acknowledge(page=999)).code == "not_found"
    assert world.asked(Acknowledge()).code == "not_found"


def test_where_nobody_is_paged_any_more_nothing_leaves_that_was_written_down_before():
    """A backup is looked at, or paging is switched off in the middle: whoever was being paged hears nothing more."""
    world = World()
    world.has("ana", "https://hook.example")
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout").at("1m")
    waits = [row for row in world.rows(1) if row.state == "intended"]
    assert [row.waiting for row in waits] == [False, True], "one on its way, one that is to follow"
    world.left.clear()
    world.restarted(plan=PLAN, paging=False).at("20m")
    assert world.left == []
    assert {row.outcome for row in world.rows(1)} == {"paging_off"}
    world.apply(Delivered(waits[0].id, "failed", "client", "550"))
    assert world.left == []
    world.restarted(plan=PLAN, paging=True)
    assert [(person, kind) for _, person, _, kind in world.left] == [("ana", "page")], "begun again"


def test_a_silence_is_asked_only_of_what_it_covers_or_did(monkeypatch):
    """Its reminder changes nothing; its end is judged by what it kept quiet."""
    asked = []
    was = Silence.covers

    def covers(self, labels, origin):
        asked.append(self.id)
        return was(self, labels, origin)

    monkeypatch.setattr(Silence, "covers", covers)
    world = World()
    for name in "ABCDE":
        world.fires(name, job="checkout")
    one = world.silences('alertname="A"', for_="2h").id
    two = world.silences('alertname="B"', for_="4h").id
    asked.clear()
    world.at("110m")
    assert asked == [], "it was reminded of, and nothing was judged"
    assert [page.reason for page in world.told_pages if page.kind == "notice"] == ["silence_ends_soon"]
    world.at("121m")
    assert asked.count(two) == 1, "asked only of what the other kept quiet"
    assert (one, world.engine.state.alerts[1].silences) == (one, ())


def test_the_first_user_who_is_refused_is_nowhere():
    world = World()
    result = world.asked(SetUser(actor="cli", name="root", role="admin", disabled=True))
    assert (result.ok, result.message) == (False, "root is the last admin")
    assert world.engine.state.users == {}
    assert world.engine.state.counters.user == 0


def test_the_timeline_says_from_whom_it_was_taken_over():
    world = World().fires("Down", service="checkout")
    world.acknowledges(1)
    assert world.asked(Acknowledge(incident=1, actor="person:ben")).ok
    world.acknowledges(1)
    said = [entry.what for entry in world.timeline if entry.reason == "acknowledged"]
    assert said == ["Acknowledged for 1 h", *(f"Acknowledged for 1 h, taken over from {one}" for one in ("Ana", "Ben"))]
