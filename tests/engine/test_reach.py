"""How one person is reached: their methods, their rules by urgency, their mornings, and many incidents at once."""

from __future__ import annotations

import pytest

from tests.engine.world import PLAN, START, World, dump
from tocsin.engine.inputs import Delivered
from tocsin.engine.quiet import why_quiet
from tocsin.engine.state import State
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Way

PUSH, SMS, CALL = "https://push.example/ana", "https://sms.example/ana", "https://call.example/ana"
MAIL = "ana@shop.example"
LOW = PLAN.replace(b"search: {escalation: shop}", b"search: {escalation: shop, urgency: low}").replace(
    b"team: shop\n", b"team: shop\ntimezone: Europe/Madrid\n", 1
)


def pages(world: World) -> list[tuple[str, str]]:
    """When pages left, and where to."""
    return [(at, address) for at, _, address, kind in world.left if kind == "page"]


def test_without_rules_the_most_direct_method_is_used_at_once_and_the_others_two_minutes_apart():
    world = World()
    world.has("ana", PUSH, SMS)
    world.fires("Down", job="checkout").at("4m59s")
    assert pages(world) == [("0s", PUSH), ("120s", SMS), ("240s", MAIL)]


def test_rules_say_which_method_comes_when():
    world = World()
    push, sms, call = world.has("ana", PUSH, SMS, CALL)
    assert world.rules("ana", high=(Way(call, 4 * MINUTE), Way(push, 0), Way(sms, 2 * MINUTE))).ok
    world.fires("Down", job="checkout").at("4m59s")
    assert pages(world) == [("0s", PUSH), ("120s", SMS), ("240s", CALL)]


def test_what_waits_is_in_the_ledger_with_a_named_reason_and_its_end():
    world = World()
    push, sms = world.has("ana", PUSH, SMS)
    world.rules("ana", high=(Way(push, 0), Way(sms, 2 * MINUTE)))
    world.fires("Down", job="checkout")
    (_, waits) = world.rows(1)
    assert (waits.state, waits.held, waits.not_before) == ("intended", "next_method", START + 2 * MINUTE)


def test_an_answer_withdraws_what_has_not_left_yet():
    world = World()
    world.has("ana", PUSH, SMS)
    world.fires("Down", job="checkout").at("1m")
    world.acknowledges(1)
    assert [(row.address, row.state) for row in world.rows(1)] == [
        (PUSH, "sent"), (SMS, "overtaken"), (MAIL, "overtaken"),
    ]  # fmt: skip
    world.at("30m")
    assert pages(world) == [("0s", PUSH)]


def test_the_monitors_own_end_withdraws_what_has_not_left_yet():
    world = World()
    world.has("ana", PUSH, SMS)
    world.fires("Down", job="checkout").at("1m").resolves("Down", job="checkout").at("30m")
    assert pages(world) == [("0s", PUSH)]


def test_a_repeated_step_does_not_push_back_what_the_round_before_had_planned():
    """A method that comes later than the step is repeated would otherwise never have its turn."""
    plan = PLAN.replace(b"- {page: ana, wait: 5m}", b"- {page: ana, wait: 5m, repeat: 3}")
    world = World(plan)
    push, sms = world.has("ana", PUSH, SMS)
    world.rules("ana", high=(Way(push, 0), Way(sms, 8 * MINUTE)))
    world.fires("Down", job="checkout").at("14m")
    assert pages(world) == [("0s", PUSH), ("300s", PUSH), ("480s", SMS), ("600s", PUSH)]


def test_a_method_that_is_refused_is_marked_and_the_next_one_is_used_at_once_and_its_owner_told():
    world = World()
    world.answers = lambda page: "failed address" if page.address == PUSH and page.kind == "page" else "sent"
    (push, _) = world.has("ana", PUSH, SMS)
    world.left.clear()
    world.fires("Down", job="checkout")
    assert world.left == [
        ("0s", "ana", PUSH, "page"), ("0s", "ana", SMS, "notice"), ("0s", "ana", SMS, "page"),
    ]  # fmt: skip
    contact = world.engine.state.contacts[push]
    assert (contact.state, contact.failure) == ("failing", "550 no such mailbox")
    assert "contact_failing" in world.told(1)
    world.at("4m59s")
    assert pages(world)[-1] == ("240s", MAIL), "what was planned for later keeps its time"


def test_a_failing_method_is_left_alone_while_there_is_another_and_used_when_there_is_none():
    world = World()
    world.answers = lambda page: "failed address" if page.kind == "page" and page.person == "ana" else "sent"
    world.fires("Down", job="checkout")
    assert next(c for c in world.engine.state.contacts_by("ana")).state == "failing"
    world.answers = lambda page: "sent"
    world.left.clear()
    world.fires("Slow", job="checkout")
    assert pages(world) == [("0s", MAIL)], "better a method that failed than none"
    assert next(c for c in world.engine.state.contacts_by("ana")).state == "verified", "it went through again"


def test_a_failure_that_is_not_the_addresses_marks_nothing():
    """A mail server's password that is wrong says nothing of anybody's mailbox."""
    world = World()
    world.answers = lambda page: "failed auth"
    world.fires("Down", job="checkout")
    assert {c.state for c in world.engine.state.contacts.values()} == {"verified"}


def test_a_removed_method_is_not_used_for_a_page_that_was_written_down_before():
    from tocsin.engine.commands import RemoveContact

    world = World()
    push, sms = world.has("ana", PUSH, SMS)
    world.rules("ana", high=(Way(push, 0), Way(sms, 2 * MINUTE)))
    world.fires("Down", job="checkout").at("1m")
    assert world.asked(RemoveContact(actor="person:ana", contact=sms)).ok
    world.at("3m")
    assert pages(world) == [("0s", PUSH), ("120s", MAIL)], "the next method, not the removed one"
    assert world.engine.state.reaches["ana"].high == (Way(push, 0),)


def test_a_step_that_reaches_nobody_falls_through_and_pages_the_lead_and_the_last_resort():
    plan = PLAN.replace(b"kei: {name: Kei, email: kei@shop.example}", b"kei: {name: Kei, email: kei@shop.example}\n"
                        b"  lou: {name: Lou}").replace(b"{page: ana, wait: 5m}", b"{page: lou, wait: 5m}")  # fmt: skip
    world = World(plan).fires("Down", job="checkout")
    assert world.pages == [("0s", "ben", 1), ("0s", "ana", 1), ("0s", "kei", 1)]
    assert world.told(1)[1:] == ["nobody_reachable", "step_due", "stands_in"]


def test_where_nobody_has_more_than_the_console_it_is_good_enough():
    world = World(b"tocsin: 1\npeople: {ana: {}, ben: {}}\nescalations: {e: [{page: ana}, {page: ben}]}\n"
                  b"services: {inbox: {escalation: e}}\n")  # fmt: skip
    world.fires("Down").at("6m")
    assert world.pages == [("0s", "ana", 1), ("300s", "ben", 1)]


# -- low urgency -------------------------------------------------------------------------------------------------------


def test_low_urgency_waits_for_the_persons_own_morning_and_says_so():
    """It is 04:00 in Madrid: Ana is paged at 08:00 there, and only then the next step counts."""
    world = World(LOW).fires("Slow", job="search").at("3h59m")
    assert world.left == []
    assert world.told(1) == ["opened", "quiet_hours"]
    quiet = why_quiet(world.engine.state, world.engine.state.alerts[1], world.now)
    assert quiet == (Reason.QUIET_HOURS, START + 4 * HOUR)
    world.at("4h4m")
    assert pages(world) == [("14400s", MAIL)]
    world.at("4h5m")
    assert world.pages[-1] == ("14700s", "ben", 1)


def test_high_urgency_knows_no_quiet_hours():
    assert pages(World(LOW).fires("Slow", job="checkout")) == [("0s", MAIL)]


def test_low_urgency_by_day_is_paged_at_once_by_the_gentlest_method_alone():
    world = World(LOW)
    world.has("ana", PUSH)
    world.left.clear()
    world.at("6h").fires("Slow", job="search").at("6h4m")
    assert pages(world) == [("21600s", MAIL)]


def test_quiet_hours_can_be_moved_and_switched_off():
    world = World(LOW)
    world.rules("ana", quiet_from=0, quiet_until=5 * 60)
    world.fires("Slow", job="search").at("1h")
    assert pages(world) == [("3600s", MAIL)]
    world = World(LOW)
    world.rules("ana", quiet_from=0, quiet_until=0)
    assert pages(world.fires("Slow", job="search")) == [("0s", MAIL)]


def test_what_becomes_urgent_does_not_wait_for_the_morning():
    plan = LOW.replace(b"urgency: low", b"urgency: {sev3: low, sev4: low}")
    world = World(plan).fires("Slow", job="search", severity="warning", region="eu").at("1h")
    assert world.left == []
    world.fires("Slow", job="search", severity="warning", region="eu", host="b").fires(
        "Bad", job="search", severity="critical", region="eu"
    )
    assert pages(world)[-1] == ("3600s", MAIL)
    world = World(plan.replace(b", window: 5m", b"")).fires("Slow", job="search", severity="warning").at("1h")
    world.fires("Bad", job="search", severity="critical")
    assert world.told(1)[-3:] == ["changed", "changed", "step_due"]
    assert pages(world) == [("3600s", MAIL)]


def test_what_was_begun_by_day_is_not_gone_on_with_at_night():
    """A retry, or a second method, whose time comes after the quiet hours began, waits for the morning too."""
    plan = LOW.replace(b"{page: ana, wait: 5m}", b"{page: ana, wait: 9h}")
    world = World(plan)
    (hook,) = world.has("ana", PUSH)
    world.left.clear()
    world.rules("ana", low=(Way(hook, 0), Way(1, 10 * MINUTE)), quiet_from=10 * 60, quiet_until=11 * 60)
    world.at("5h55m").fires("Slow", job="search").at("6h30m")
    assert pages(world) == [("21300s", PUSH)]
    world.at("7h1m")
    assert pages(world) == [("21300s", PUSH), ("25200s", MAIL)]


def test_of_several_people_those_awake_are_paged_and_the_others_wait_for_their_morning():
    """Kei is in Tokyo, where it is noon."""
    plan = LOW.replace(b"email: kei@shop.example}", b"email: kei@shop.example, timezone: Asia/Tokyo}").replace(
        b"{page: ana, wait: 5m}", b"{page: [ana, kei], wait: 5m}"
    )
    world = World(plan).fires("Slow", job="search").at("1m")
    assert [(at, person) for at, person, _, _ in world.left] == [("0s", "kei")]
    (waits,) = world.rows(1, "ana")
    assert (waits.held, waits.not_before) == ("quiet_hours", START + 4 * HOUR)
    world.resolves("Slow", job="search").at("6h")
    assert [person for _, person, _, _ in world.left] == ["kei"]


def test_a_silence_over_the_night_keeps_its_own_end():
    world = World(LOW).fires("Slow", job="search")
    world.silences('alertname="Slow"', for_="6h")
    world.at("5h59m")
    assert pages(world) == []
    world.at("6h1m")
    assert pages(world) == [("21600s", MAIL)]


# -- many at once ------------------------------------------------------------------------------------------------------


def storm(world: World, *names: str) -> World:
    """Incidents that share nothing, one after another."""
    for name in names:
        world.fires(name, job="checkout")
    return world


def test_the_first_pages_of_a_storm_leave_at_once_and_the_rest_go_out_as_one():
    world = storm(World(), *"ABCDEFG")
    assert world.pages == [("0s", "ana", 1), ("0s", "ana", 2), ("0s", "ana", 3)]
    assert [(row.held, row.not_before) for row in world.rows(4)] == [("bundled", START + 30 * SECOND)]
    world.at("31s")
    assert world.pages[3:] == [("30s", "ana", 4)], "one message"
    rows = [world.rows(number)[0] for number in (4, 5, 6, 7)]
    assert [(row.state, row.bundle, row.outcome) for row in rows] == [("sent", rows[0].id, "sent")] * 4
    assert rows[0].bundled == tuple(row.id for row in rows)


def test_a_step_that_comes_round_while_its_page_still_waits_says_that_it_waits():
    """No row is written then, so nobody is told that somebody was paged."""
    world = World(PLAN.replace(b"{page: ana, wait: 5m}", b"{page: ana, wait: 10s, repeat: 3}"))
    storm(world, "A", "B", "C", "D").at("25s")
    assert [row.person for row in world.rows(4)] == ["ana"]
    steps = [one for one in world.timeline if one.incident == 4 and one.detail.get("step") == "1"]
    assert [one.reason for one in steps] == ["step_due", "still_waits", "still_waits"]
    assert [one.what for one in steps] == [
        "Paging Ana; next in 10 s if nobody answers",
        "Step 1: the page to Ana by email still waits and leaves in 20 s; next in 10 s if nobody answers",
        "Step 1: the page to Ana by email still waits and leaves in 10 s; next in 10 s if nobody answers",
    ]
    first = [one.reason for one in world.timeline if one.incident == 1 and one.detail.get("step") == "1"]
    assert first == ["step_due", "step_repeated", "still_waits"], "its first page has left, so another is written"


def test_a_step_with_one_whose_page_waits_and_one_who_is_paged_says_both():
    world = World(PLAN.replace(b"{page: ana, wait: 5m}", b"{page: [ana, ben], wait: 10s, repeat: 3}"))
    world.rules("ben", bundle_within=0)
    storm(world, "A", "B", "C", "D").at("15s")
    steps = [one for one in world.timeline if one.incident == 4 and one.detail.get("step") == "1"]
    assert (steps[1].reason, steps[1].what) == (
        "step_repeated",
        "Paging Ben; the page to Ana by email still waits and leaves in 20 s; next in 10 s if nobody answers",
    )


def test_a_graver_page_waits_for_nothing_that_is_less_grave():
    """Five of sev3, then five of sev1: of each the first three leave at once. The rest goes out as one message."""
    world = World()
    for name in "ABCDE":
        world.fires(name, job="checkout", severity="warning")
    assert [number for _, _, number in world.pages] == [1, 2, 3]
    world.at("10s")
    for name in "VWXYZ":
        world.fires(name, job="checkout", severity="critical")
    assert world.pages[3:] == [("10s", "ana", number) for number in (6, 7, 8)]
    assert [row.bundle for number in (6, 7, 8) for row in world.rows(number)] == [0, 0, 0]
    assert world.rows(9)[0].not_before == START + 40 * SECOND
    world.at("41s")
    assert world.pages[6:] == [("30s", "ana", 4)]
    assert {one.id for number in (4, 5, 9, 10) for one in world.rows(number)} == set(world.rows(4)[0].bundled)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_a_page_that_waits_for_others_leaves_when_its_incident_becomes_graver():
    """The same escalation holds for both, so nobody is paged anew for it."""
    world = World()
    for name in "ABCDE":
        world.fires(name, job="checkout", severity="warning", key=name)
    world.at("5s").fires("D", job="checkout", severity="critical", key="D")
    assert world.incident(4).severity == "sev1"
    assert world.pages[3:] == [("5s", "ana", 4)]
    world.at("31s")
    assert world.pages[4:] == [("30s", "ana", 5)]


def test_what_left_before_its_severity_was_remembered_counts_as_the_gravest():
    """A database of an earlier version knows only when."""
    world = storm(World(), *"ABC")
    contact = next(iter(world.engine.state.contacts_by("ana")))
    assert contact.graded == ["sev1"] * 3
    contact.graded = []
    storm(world, "D")
    assert world.rows(4)[0].held == "bundled"


def test_bundling_is_the_persons_own_choice():
    world = World()
    world.rules("ana", bundle_after=1, bundle_within=MINUTE)
    storm(world, "A", "B", "C").at("61s")
    assert world.pages == [("0s", "ana", 1), ("60s", "ana", 2)]
    world = World()
    world.rules("ana", bundle_within=0)
    assert len(storm(world, *"ABCDEFG").pages) == 7


def test_what_was_answered_while_it_waited_is_not_in_the_message():
    world = storm(World(), *"ABCDEF").at("10s")
    world.acknowledges(4)
    world.at("31s")
    assert world.rows(4)[0].state == "overtaken"
    assert world.rows(5)[0].bundled == tuple(world.rows(number)[0].id for number in (5, 6))


def test_a_bundle_that_does_not_get_through_is_tried_again_as_one_and_each_page_uses_the_next_method():
    world = World()
    world.has("ana", PUSH)
    world.left.clear()
    world.answers = lambda page: "retry" if page.bundled and page.address == PUSH else "sent"
    storm(world, *"ABCDEF").at("31s")
    assert [address for _, address in pages(world)] == [PUSH] * 4 + [MAIL] * 3
    world.answers = lambda page: "sent"
    world.at("40s")
    assert pages(world)[-1] == ("35s", PUSH)
    assert all(row.state == "sent" for number in (4, 5, 6) for row in world.rows(number))


@pytest.mark.parametrize("refused", ["failed", "retry"])
def test_what_did_not_leave_has_nobody_wait_for_it_and_every_incident_falls_through_at_once(refused):
    """Five incidents whose second step reaches nobody: the last two go on when the others do, not half a minute on."""
    world = World(PLAN.replace(b"{page: ana, wait: 5m}", b"{page: ana, wait: 10s}"))
    world.rules("ana", bundle_within=0)
    world.answers = lambda page: refused if page.person == "ben" else "sent"
    storm(world, *"ABCDE").at("10s")
    rows = [row for number in range(1, 6) for row in world.rows(number)]
    assert {(row.intended_at, row.person) for row in rows if row.person == "kei"} == {(START + 10 * SECOND, "kei")}
    assert [row.incident for row in rows if row.person == "kei"] == [1, 2, 3, 4, 5]
    assert not [row for row in rows if row.person == "ben" and row.held]
    assert not world.engine.state.contacts_by("ben")[0].paged
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_pages_under_way_have_others_wait_until_it_is_known_that_they_did_not_leave():
    """Nothing else keeps a storm from leaving message by message."""
    world = World()
    world.answers = lambda page: "never"
    storm(world, *"ABCDEFG")
    assert [number for _, _, number in world.pages] == [1, 2, 3]
    world.at("2s").apply(Delivered(world.rows(2)[0].id, "retry", "network", "refused"))
    assert [page for page in world.pages[3:] if page[1] == "ana"] == [("2s", "ana", 4)]
    assert world.rows(4)[0].bundled == tuple(world.rows(number)[0].id for number in (4, 5, 6, 7))


def test_a_restart_sends_a_bundle_without_an_outcome_again_as_one():
    world = World()
    world.answers = lambda page: "never" if page.bundled else "sent"
    storm(world, *"ABCDEF").at("31s")
    world.answers = lambda page: "sent"
    world.acknowledges(4)
    world.restarted()
    assert world.pages[4:] == [("33s", "ana", 5)]
    assert world.rows(6)[0].state == "sent" and world.rows(6)[0].unsure
    assert world.rows(4)[0].state == "overtaken"


def test_one_answer_to_a_bundle_answers_all_of_it():
    world = storm(World(), *"ABCDEF").at("31s")
    world.acknowledges(5, page=world.rows(5)[0].id)
    assert [world.incident(number).state for number in range(1, 7)] == ["triggered"] * 3 + ["acknowledged"] * 3


def test_what_comes_of_a_message_is_heard_though_its_first_incident_is_long_over():
    world = World(PLAN.replace(b"reopen within: 30m", b"reopen within: 0s"))
    world.answers = lambda page: "never" if page.bundled else "sent"
    storm(world, *"ABCDEF").at("31s").resolves("D", job="checkout").at("10m")
    first = world.told_pages[3]
    assert (first.incident, first.bundled) == (4, (4, 5, 6))
    world.answers = lambda page: "sent"
    world.apply(Delivered(first.id, "failed", "auth", "no"))
    assert [(row.state, row.outcome) for n in (5, 6) for row in world.rows(n)[:1]] == [("failed", "failed")] * 2
    again = world.now
    assert [world.incident(n).state for n in (5, 6)] == ["triggered"] * 2
    world.fires("D", job="checkout")
    assert world.incident(7).opened_at == again, "kept for its page, it is not reopened"
    for n, name in ((5, "E"), (6, "F")):
        assert 4 in world.engine.state.incidents, n
        world.resolves(name, job="checkout").at(f"{20 + 20 * n}m")
    assert 4 not in world.engine.state.incidents


def test_a_retry_is_never_delayed_for_a_bundle():
    world = World()
    tries = iter(["retry"])
    world.answers = lambda page: next(tries, "sent")
    storm(world, *"ABCD").at("6s")
    assert world.pages[-1] == ("5s", "ana", 1)


# -- channels that are down --------------------------------------------------------------------------------------------


def test_a_step_whose_methods_are_all_refused_is_followed_by_the_next_at_once_without_a_wait_for_what_was_planned():
    world = World()
    world.has("ana", PUSH, SMS)
    world.left.clear()
    world.answers = lambda page: "retry" if page.person == "ana" else "sent"
    world.fires("Down", job="checkout")
    assert world.left == [
        ("0s", "ana", PUSH, "page"), ("0s", "ana", SMS, "page"), ("0s", "ana", MAIL, "page"),
        ("0s", "ben", "ben@shop.example", "page"),
    ]  # fmt: skip
    assert "stands_in" not in world.told(1), "her channels may come back: whoever is next is enough"


def test_a_page_planned_for_later_replaces_nothing_before_it_leaves():
    """Ana's push is down when her step is repeated: what is tried again stays until the next push leaves."""
    world = World(PLAN.replace(b"- {page: ana, wait: 5m}", b"- {page: ana, wait: 5m, repeat: 2}"))
    push, sms = world.has("ana", PUSH, SMS)
    world.rules("ana", high=(Way(sms, 0), Way(push, 2 * MINUTE)))
    world.answers = lambda page: "retry" if page.address == PUSH else "sent"
    world.fires("Down", job="checkout").at("6m")
    tried, planned = [row for row in world.rows(1, "ana") if row.address == PUSH]
    assert (tried.refused, planned.planned) == (True, True)
    world.at("7m")
    assert (tried.state, tried.outcome, tried.overtaken_by) == ("overtaken", "replaced", planned.id)
    assert planned.refused


def test_of_a_bundle_that_is_tried_again_what_a_newer_page_replaced_is_not_in_it():
    plan = PLAN.replace(b"- {page: ana, wait: 5m}", b"- {page: [ana, kei], wait: 35s, repeat: 2}")
    world = World(plan)
    world.answers = lambda page: "retry" if page.person == "ana" and page.bundled else "sent"
    storm(world, *"ABCDE").at("34s")
    world.answers = lambda page: "sent"
    world.at("3m")
    for number in (4, 5):
        older, *_, newest = world.rows(number, "ana")
        assert newest.state == "sent"
        assert older.state == "sent" or older.overtaken_by, older
    assert all(row.state != "intended" for row in world.engine.state.pages.values())


def test_of_several_the_one_who_is_paged_can_be_reached():
    """The console of somebody without any method wakes nobody while their colleague has a telephone."""
    plan = PLAN.replace(b"page: ana, wait: 5m", b"page one of: [zoe, ana], wait: 5m").replace(
        b"people:\n", b"people:\n  zoe: {name: Zoe}\n"
    )
    world = World(plan).fires("Down", job="checkout").fires("Slow", job="checkout")
    assert [person for _, person, _ in world.pages] == ["ana", "ana"]


def test_the_console_beside_a_refused_page_reaches_nobody():
    plan = PLAN.replace(b"page: ana, wait: 5m", b"page: [ana, zoe], wait: 5m").replace(
        b"people:\n", b"people:\n  zoe: {name: Zoe}\n"
    )
    world = World(plan)
    world.answers = lambda page: "retry" if page.person == "ana" else "sent"
    world.fires("Down", job="checkout")
    assert {(at, person) for at, person, _ in world.pages} == {("0s", "ana"), ("0s", "zoe"), ("0s", "ben")}
    assert "Step 1 reached nobody" in [entry.what for entry in world.timeline]


def test_what_fails_for_good_long_after_its_step_brings_nothing_forward():
    """The last resort was paged with others then, and so without a row of its own."""
    plan = PLAN.replace(b"people:\n", b"people:\n  zoe: {name: Zoe}\n").replace(b"lead: ana", b"lead: kei")
    steps = b"    - {page: ana, wait: 5m}\n    - {page: ben, wait: 10m, repeat: 2}\n"
    world = World(plan.replace(steps, b"    - {page: zoe}\n    - {page: ana, wait: 5m}\n"))
    world.rules("ana", bundle_within=0)
    for name in ("One", "Two", "Three"):
        world.fires(name, job="checkout")
    world.answers = lambda page: "retry" if page.person == "ana" else "sent"
    world.fires("Four", job="checkout")
    assert world.incident(4).next_at == START + 30 * MINUTE
    world.at("4m")
    world.answers = lambda page: "failed address" if page.person == "ana" and page.incident == 4 else "sent"
    world.at("29m59s")
    assert world.incident(4).next_at == START + 30 * MINUTE
    assert [row.state for row in world.rows(4, "ana")] == ["failed"]
    assert world.told(4).count("escalation_exhausted") == 1


@pytest.mark.parametrize("how", ["failed address", "failed gone", "retry"])
def test_who_has_two_methods_that_fail_at_once_is_told_of_both_by_the_first_that_works(how: str) -> None:
    """The word that one fails goes by the other first, which does not take it either."""
    world = World(PLAN).at("1m")
    world.has("ana", "https://a.example/x", "https://b.example/x", "https://c.example/x")
    world.left.clear()

    def answers(page: Page) -> str:
        if page.address.startswith("https://a."):
            return "failed address"
        return how if page.address.startswith("https://b.") else "sent"

    world.answers = answers
    world.fires("Down", job="checkout").at("2m")
    told = [row for row in world.told_pages if row.kind == "notice" and row.reason == "contact_failing"]
    by_c = [row.title for row in told if row.address == "https://c.example/x"]
    assert any("webhook fails" in title for title in by_c)
    assert len(by_c) == (1 if how == "retry" else 2), [(row.address, row.title) for row in told]
    assert all(row.person == "ana" for row in told)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_where_every_method_fails_nobody_is_told_without_end() -> None:
    world = World(PLAN).at("1m")
    world.has("ana", "https://a.example/x", "https://b.example/x", "https://c.example/x")
    world.answers = lambda page: "failed account" if page.reason == "contact_failing" else "failed address"
    world.fires("Down", job="checkout").at("2m")
    told = [row for row in world.told_pages if row.reason == "contact_failing"]
    assert 0 < len(told) < 10


EVENING = LOW.replace(b"last resort", b"""schedules: {p: {layers: [{rotate: [ana, ben], every: day, handoff: 21:50,
  starts: 2026-11-22 with ana}]}}
last resort""")  # fmt: skip
"""Ben comes on call at 21:50 in Madrid, 20:50 UTC, and reads so by his rules for low urgency; at 22:00 it is night."""


@pytest.mark.parametrize("answer", ["retry", "never"], ids=["refused for now", "no outcome"])
def test_a_notice_of_low_urgency_that_did_not_leave_by_day_does_not_leave_at_night(answer: str) -> None:
    world = World(EVENING).at("17h")
    world.left.clear()
    world.answers = lambda page: answer if page.kind == "notice" and world.now < START + 18 * HOUR else "sent"
    world.at("28h")
    tries = [float(at[:-1]) / 3600 for at, who, _, kind in world.left if kind == "notice" and who == "ben"]
    assert len(tries) > 1 and all(at <= 18 or at == 28 for at in tries), tries
    (row,) = (row for row in world.rows(0, "ben") if row.reason == "shift_begins")
    assert row.left
    assert dump(State(world.loaded())) == dump(world.engine.state) == dump(world.replayed().state)


@pytest.mark.parametrize("answer", ["retry", "never"], ids=["refused for now", "no outcome"])
@pytest.mark.parametrize("kind", ["page", "copy"])
def test_nor_does_a_page_or_a_copy_of_low_urgency(kind: str, answer: str) -> None:
    plan = EVENING.replace(b"starts: 2026-11-22 with ana", b"starts: 2026-11-22 with ana, shadow: kei")
    plan = plan.replace(b"page: ana, wait: 5m", b"page: p, wait: 3h").replace(b"handoff: 21:50", b"handoff: 09:00")
    world = World(plan).at("17h50m")
    world.answers = lambda page: answer if page.kind == kind and world.now < START + 18 * HOUR else "sent"
    world.fires("Down", job="search").at("28h")
    tries = [float(at[:-1]) / 3600 for at, _, _, its in world.left if its == kind and float(at[:-1]) > 17 * 3600]
    assert tries and not any(18 < at < 28 for at in tries), tries
    assert any(row.kind == kind and row.left for row in world.rows(1))


def test_what_was_refused_by_day_and_waits_for_the_morning_follows_quiet_hours_that_are_changed() -> None:
    world = World(EVENING).at("17h")
    world.answers = lambda page: "retry" if page.kind == "notice" and world.now < START + 18 * HOUR else "sent"
    world.at("19h")
    (row,) = (row for row in world.rows(0, "ben") if row.reason == "shift_begins")
    assert (row.held, row.next_at, row.attempts > 0) == ("quiet_hours", START + 28 * HOUR, True)
    assert world.rules("ben", quiet_from=23 * 60, quiet_until=7 * 60).ok  # it is 23:00 in Madrid
    assert row.next_at == START + 27 * HOUR
    assert world.rules("ben", quiet_from=0, quiet_until=0).ok
    assert row.left
