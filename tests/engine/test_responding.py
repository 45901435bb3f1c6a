"""What responders do with an incident: take it, give it away, put it off, ask for help, apply a newer plan."""

from __future__ import annotations

import msgspec
import pytest

from tests.engine.world import PLAN, World, dump
from tocsin.engine.commands import Acknowledge, AddResponders, ApplyPlan, Reassign, Snooze
from tocsin.kernel.instant import HOUR, MINUTE
from tocsin.pages.rendering import because
from tocsin.runtime.composing import compose


def down(world: World | None = None) -> World:
    return (world or World()).fires("Down", job="checkout")


def test_an_incident_given_to_somebody_pages_them_at_once_and_the_escalation_goes_on_after_them():
    world = down().at("1m")
    assert world.asked(Reassign(actor="person:ana", incident=1, person="kei", note="knows the bank")).ok
    assert world.pages[-1] == ("60s", "kei", 1)
    assert world.timeline[-2].what == "Given to Kei: knows the bank"
    assert (world.timeline[-2].reason, world.timeline[-2].actor) == ("reassigned", "person:ana")
    (row,) = world.rows(1, "kei")
    assert (row.reason, row.why) == ("reassigned", "Ana gave it to Kei: knows the bank")
    leaving = msgspec.structs.replace(row, state="intended")
    message = compose(world.engine.state, world.engine.plan, leaving, world.now, "", b"k")
    assert message is not None
    assert because(message) == "Tocsin pages Kei because Ana gave it to Kei: knows the bank"
    world.at("6m")
    assert world.pages[-1] == ("360s", "ben", 1)
    assert dump(world.replayed().state) == dump(world.engine.state)


@pytest.mark.parametrize("has", [False, True], ids=["nobody has it", "ana has it"])
def test_nothing_is_given_to_whom_nothing_reaches(has):
    world = World(PLAN.replace(b"kei: {name: Kei, email: kei@shop.example}", b"kei: {name: Kei}"))
    down(world)
    if has:
        world.acknowledges(1)
    before = dump(world.engine.state)["incidents"]
    given = world.asked(Reassign(actor="person:ana", incident=1, person="kei"))
    said = "Incident #1 was not given away: Kei can be reached by nothing"
    assert (given.ok, given.code, given.field, given.message) == (False, "conflict", "person", said)
    assert dump(world.engine.state)["incidents"] == before


def test_in_a_trial_the_console_is_enough_for_whom_it_is_given_to():
    world = World(PLAN.replace(b", email: ana@shop.example", b"").replace(b", email: ben@shop.example", b"")
                  .replace(b", email: kei@shop.example", b""))  # fmt: skip
    assert down(world).asked(Reassign(actor="person:ana", incident=1, person="kei")).ok


def test_giving_away_what_was_acknowledged_makes_the_other_answer():
    world = down()
    world.acknowledges(1)
    world.asked(Reassign(actor="person:ana", incident=1, person="ben"))
    assert (world.incident(1).state, world.incident(1).acknowledged_by) == ("triggered", "")
    assert world.pages[-1] == ("0s", "ben", 1)


@pytest.mark.parametrize("put_off", [False, True], ids=["acknowledged", "put off"])
def test_an_answer_that_was_not_meant_to_takes_nothing_from_whoever_has_it(put_off):
    """Two people press "Acknowledge" in the same minute: whoever comes second reads that somebody has it."""
    world = down()
    first = Snooze(actor="person:ana", incident=1, until=world.now + 3 * HOUR) if put_off else None
    assert world.asked(first or Acknowledge(actor="person:ana", incident=1, over=False)).ok
    page = world.rows(1)[0].id
    before = [entry.what for entry in world.timeline]
    for command in (
        Acknowledge(actor="person:ben", incident=1, over=False),
        Acknowledge(actor="person:ben", page=page, over=False),
    ):
        second = world.asked(command)
        said = "Ana put incident #1 off" if put_off else "Ana has incident #1 already"
        assert (second.ok, second.code, second.message) == (False, "taken", said)
    assert world.incident(1).acknowledged_by == "person:ana"
    assert [entry.what for entry in world.timeline] == before
    assert world.asked(Acknowledge(actor="person:ana (token ci)", incident=1, over=False)).ok, "it is her own"
    assert world.asked(Acknowledge(actor="person:ben", incident=1)).ok, "who means it takes it over"
    assert world.incident(1).acknowledged_by == "person:ben"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_giving_away_while_silenced_pages_when_the_silence_ends():
    world = down()
    world.silences('alertname="Down"', for_="30m")
    world.asked(Reassign(actor="person:ana", incident=1, person="kei"))
    world.at("29m")
    assert [p for p in world.pages if p[2]] == [("0s", "ana", 1)]
    world.at("31m")
    assert [p for p in world.pages if p[2]][1:] == [("1800s", "kei", 1)]


def test_a_snooze_holds_until_its_time_and_then_paging_begins_again():
    world = down()
    until = world.now + 3 * HOUR
    assert world.asked(Snooze(actor="person:ana", incident=1, until=until, note="fixed by the morning job")).ok
    assert world.timeline[-1].what == "Put off for 3 h: fixed by the morning job"
    world.at("2h59m")
    assert world.pages == [("0s", "ana", 1)]
    world.at("3h")
    assert world.pages[-1] == ("10800s", "ana", 1)


def test_help_is_paged_at_once_while_nobody_has_the_incident():
    world = down().at("1m")
    assert world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",))).ok
    assert world.pages[-1] == ("60s", "kei", 1)
    assert world.incident(1).responders == ("kei",)
    assert world.rows(1, "kei")[0].why == "Ana asked for help"
    world.acknowledges(1)
    assert world.incident(1).state == "acknowledged"


def test_who_is_asked_for_help_with_what_somebody_has_need_not_take_it_over():
    world = down()
    world.acknowledges(1)
    world.has("kei", "https://push.example/kei")
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("team:shop",), note="the bank"))
    asked = [(person, kind) for _, person, _, kind in world.left if kind == "help"]
    assert asked == [("ana", "help"), ("ben", "help"), ("kei", "help")]
    page = next(row for row in world.rows(1, "kei") if row.kind == "help")
    answer = world.asked(Acknowledge(actor="person:kei", incident=1, page=page.id))
    assert (answer.reason, world.incident(1).acknowledged_by) == ("answered", "person:ana")
    assert world.timeline[-1].what == "Comes to help"
    world.at("30m")
    assert [kind for _, person, _, kind in world.left if person == "kei"].count("help") == 1, "the mail is withdrawn"


def test_help_asked_for_ends_with_the_incident():
    world = down()
    world.acknowledges(1)
    world.has("kei", "https://push.example/kei")
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    world.resolves("Down", job="checkout").at("20m")
    assert [row.state for row in world.rows(1, "kei")] == ["sent", "overtaken"]


MUTE = PLAN.replace(b"kei: {name: Kei, email: kei@shop.example}", b"kei: {name: Kei}").replace(
    b"last resort: kei", b"last resort: ben"
)


def test_nobody_is_asked_for_help_whom_nothing_reaches():
    world = down(World(MUTE))
    world.acknowledges(1)
    before = [entry.what for entry in world.timeline]
    refused = world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei", "person:ben")))
    assert (refused.ok, refused.message) == (False, "Nobody was asked: Kei can be reached by nothing")
    assert [entry.what for entry in world.timeline] == before
    assert (world.incident(1).responders, world.rows(1, "ben")) == ((), [])
    assert world.asked(AddResponders(actor="person:ana", incident=1, targets=("team:shop",))).ok
    assert world.timeline[-1].what == "Asked Ana, Ben for help; Kei can be reached by nothing"
    assert world.incident(1).responders == ("ana", "ben")
    assert not world.rows(1, "kei")


def test_in_a_trial_the_console_is_how_help_is_asked_for():
    world = down(World(MUTE.replace(b", email: ana@shop.example", b"").replace(b", email: ben@shop.example", b"")))
    world.acknowledges(1)
    assert world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",))).ok


@pytest.mark.parametrize("has_it", [True, False])
def test_whoever_waits_for_help_is_told_at_once_that_it_reached_nobody(has_it):
    world = down().at("1m")
    if has_it:
        world.acknowledges(1)
    world.has("kei", "https://push.example/kei")
    world.answers = lambda page: "failed client" if page.person == "kei" else "sent"
    world.asked(AddResponders(actor="person:ana (token cli)", incident=1, targets=("person:kei",)))
    assert [row.state for row in world.rows(1, "kei")] == ["failed", "failed"], "the mail after the push"
    told = [entry.what for entry in world.timeline if entry.reason == "help_unheard"]
    assert told == ["The call for help did not reach Kei"]
    notices = [row for row in world.rows(1, "ana") if row.reason == "help_unheard"]
    assert [row.title for row in notices] == [
        f"The call for help did not reach Kei: incident #1, {world.incident(1).title}"
    ]
    leaving = msgspec.structs.replace(notices[0], state="intended")
    assert compose(world.engine.state, world.engine.plan, leaving, world.now, "", b"k") is not None
    assert notices[0].state == "sent"
    assert world.incident(1).state == ("acknowledged" if has_it else "triggered")
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_that_help_was_not_reached_goes_by_the_next_method_and_costs_nobody_the_incident():
    world = down()
    world.acknowledges(1)
    world.has("ana", "https://push.example/ana")
    world.answers = lambda page: "sent" if page.person == "ana" and page.channel == "email" else "failed client"
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    ways = [(row.channel, row.state) for row in world.rows(1, "ana") if row.reason == "help_unheard"]
    assert ways == [("webhook", "failed"), ("email", "sent")]
    world = down()
    world.acknowledges(1)
    world.answers = lambda page: "failed client"
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    assert (world.incident(1).state, world.incident(1).acknowledged_by) == ("acknowledged", "person:ana")


def test_help_whose_channel_is_down_is_said_to_be_tried_again_and_once():
    world = down()
    world.acknowledges(1)
    world.answers = lambda page: "retry" if page.person == "kei" else "sent"
    world.asked(AddResponders(actor="user:owner", incident=1, targets=("person:kei",)))
    told = [entry.what for entry in world.timeline if entry.reason == "help_unheard"]
    assert told == ["The call for help has not reached Kei; it is tried again"]
    assert [row.person for row in world.rows(1) if row.reason == "help_unheard"] == ["ana"], "who has it waits too"
    world.at("50m")
    assert sum(entry.reason == "help_unheard" for entry in world.timeline) == 1


@pytest.mark.parametrize("then", ["somebody has it", "it becomes graver", "it is given away", "it is long since"])
def test_that_nobody_comes_is_told_whatever_becomes_of_the_incident_while_it_is_open(then):
    """The way to whoever asked is down at first."""
    world = World().fires("Disk", job="checkout", instance="a", severity="warning").at("1m")
    if then != "somebody has it":
        hold = 5 * MINUTE if then == "it is long since" else None
        world.asked(Acknowledge(actor="person:ana", incident=1, hold=hold))
    mended = False

    def answers(page):
        if page.person == "kei":
            return "failed client"
        return "sent" if mended or page.kind != "notice" else "retry"

    world.answers = answers
    assert world.asked(AddResponders(actor="person:ben", incident=1, targets=("person:kei",))).ok
    world.at("2m")
    if then == "somebody has it":
        world.acknowledges(1)
    elif then == "it becomes graver":
        world.fires("Disk", job="checkout", instance="b")
    elif then == "it is given away":
        assert world.asked(Reassign(actor="person:ana", incident=1, person="ana")).ok
    world.at("8m")
    mended = True
    world.at("30m")
    heard = [row for row in world.rows(1, "ben") if row.reason == "help_unheard"]
    assert [(row.kind, row.state) for row in heard] == [("notice", "sent")]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_that_nobody_comes_is_told_no_more_once_it_is_over():
    world = down().at("1m")
    world.answers = lambda page: "failed client" if page.person == "kei" else "retry"
    world.asked(AddResponders(actor="person:ben", incident=1, targets=("person:kei",)))
    world.at("2m").resolves("Down", job="checkout")
    assert [row.state for row in world.rows(1, "ben") if row.reason == "help_unheard"] == ["overtaken"]


@pytest.mark.parametrize("mail", ["failed client", "retry"])
def test_help_that_reached_nobody_so_far_by_either_method_is_said_once_and_when_the_last_is_given_up(mail):
    """The push is tried again all the while, and the mail after it is refused, for good or for now."""
    world = down()
    world.acknowledges(1, "5h")
    world.has("kei", "https://push.example/kei")
    world.answers = lambda page: "sent" if page.person == "ana" else "retry" if page.channel == "webhook" else mail
    world.asked(AddResponders(actor="user:owner", incident=1, targets=("person:kei",)))
    told = lambda: [entry.what for entry in world.timeline if entry.reason == "help_unheard"]  # noqa: E731
    first = "The call for help has not reached Kei; it is tried again"
    assert told() == [first], "whoever waits need not wait an hour to know"
    world.at("59m")
    assert told() == [first]
    world.at("3h")
    assert told() == [first, "The call for help did not reach Kei"]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_help_that_reached_somebody_by_one_method_is_no_failure():
    world = down()
    world.acknowledges(1)
    world.has("kei", "https://push.example/kei")
    world.answers = lambda page: "failed client" if page.channel == "webhook" else "sent"
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:kei",)))
    assert [row.state for row in world.rows(1, "kei")] == ["failed", "sent"]
    assert "help_unheard" not in world.told(1)


def test_a_newer_plan_is_applied_by_hand_and_only_then():
    world = down().at("1m")
    newer = PLAN.replace(b"- {page: ana, wait: 5m}", b"- {page: kei, wait: 5m}")
    world.put_in_force(newer)
    opened = world.incident(1).plan
    assert world.asked(ApplyPlan(actor="person:ana", incident=1)).ok
    assert world.pages[-1] == ("60s", "kei", 1)
    assert world.incident(1).plan == world.engine.plan.version != opened
    assert "plan_applied" in world.told(1)
    told = next(one for one in world.timeline if one.reason == "plan_applied")
    assert told.detail == {"was": opened, "plan": world.engine.plan.version, "paged": "anew"}
    assert world.asked(ApplyPlan(actor="person:ana", incident=1)).code == "conflict"


def test_a_newer_plan_pages_nobody_while_somebody_has_the_incident():
    world = down()
    world.acknowledges(1)
    world.put_in_force(PLAN.replace(b"- {page: ana, wait: 5m}", b"- {page: kei, wait: 5m}"))
    world.asked(ApplyPlan(actor="person:ana", incident=1))
    assert world.pages == [("0s", "ana", 1)]
    assert "paged" not in next(one for one in world.timeline if one.reason == "plan_applied").detail
    world.at("61m")
    assert world.pages[1] == ("3600s", "kei", 1)


@pytest.mark.parametrize(
    ("command", "code", "field"),
    [
        (Reassign(incident=9, person="ana"), "not_found", ""),
        (Reassign(incident=1, person="nobody"), "invalid", "person"),
        (Reassign(incident=1, person="ana", note="x" * 501), "invalid", "note"),
        (Reassign(incident=1, person="ana", note="a\nb"), "invalid", "note"),
        (Snooze(incident=1, until=0), "invalid", "until"),
        (Snooze(incident=1, until=2**62), "invalid", "until"),
        (AddResponders(incident=1, targets=()), "invalid", "targets"),
        (AddResponders(incident=1, targets=("person:nobody",)), "invalid", "targets"),
        (AddResponders(incident=1, targets=("ana",)), "invalid", "targets"),
        (ApplyPlan(incident=1), "conflict", ""),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(command, code, field):
    from tests.engine.world import dump

    world = down()
    before = dump(world.engine.state)
    refused = world.asked(command)
    assert (refused.ok, refused.code, refused.field) == (False, code, field)
    after = dump(world.engine.state)
    del before["counters"]["applied"], after["counters"]["applied"]
    assert after == before


def test_nothing_is_done_to_what_is_resolved():
    world = down()
    world.resolves("Down", job="checkout").at("10m")
    for command in (
        Reassign(incident=1, person="ana"),
        Snooze(incident=1, until=world.now + HOUR),
        AddResponders(incident=1, targets=("person:ana",)),
        ApplyPlan(incident=1),
    ):
        assert world.asked(command).code == "conflict"


def test_whoever_is_asked_for_help_by_name_is_paged_at_once_however_little_urgent_it_is():
    """As while somebody has it. What was said, and done, is one."""
    world = World(PLAN.replace(b"checkout: {", b"checkout: {urgency: {sev1: low}, "))
    world.fires("Down", job="checkout")
    assert world.pages == [], "three in the morning"
    world.asked(AddResponders(actor="person:ana", incident=1, targets=("person:ben",)))
    assert world.pages == [("0s", "ben", 1)]
