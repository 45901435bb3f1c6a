"""No page leaves while its incident rests, by whatever way it would, and none is lost for it."""

from __future__ import annotations

from tests.engine.test_calls_pauses import HOUR_LONG, handed, quiet_world, to_lia
from tests.engine.test_pauses import SLOW, left, says
from tests.engine.test_reach import PUSH, storm
from tests.engine.test_snoozes import LOW, alike
from tests.engine.world import PLAN, START, World
from tocsin.engine.commands import Acknowledge
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.kernel.instant import SECOND
from tocsin.kernel.reason import Reason


def told_of(world: World, after: int) -> list[list[int]]:
    """The incidents of each page to Ana that left, from the n-th on."""
    state, hers = world.engine.state, [page for page in world.told_pages if (page.kind, page.person) == ("page", "ana")]
    return [[state.pages[id].incident for id in page.bundled] or [page.incident] for page in hers[after:]]


def test_one_that_waits_to_go_with_others_is_not_in_their_message_while_it_is_silenced():
    world = storm(World(SLOW), *"ABCDEF").at("10s")
    world.silences('alertname="E"', for_="5m")
    world.at("309s")
    assert told_of(world, 3) == [[4, 6]]
    world.at("11m")
    assert told_of(world, 4) == [[5]]
    alike(world)


def test_a_message_that_is_tried_again_is_not_about_what_is_silenced_by_then():
    world = World(SLOW)
    world.answers = lambda page: "retry" if page.bundled else "sent"
    storm(world, *"ABCDEF").at("32s")
    assert told_of(world, 3) == [[4, 5, 6]]
    world.silences('alertname="E"', for_="5m")
    world.answers = lambda page: "sent"
    world.at("330s")
    assert told_of(world, 4) == [[4, 6]]
    world.at("11m")
    assert told_of(world, 5) == [[5]]
    alike(world)


def test_what_makes_way_for_others_does_not_take_along_what_is_silenced():
    world = World(SLOW)
    world.answers = lambda page: "never"
    storm(world, *"ABCDEFG").at("1s").silences('alertname="E"', for_="5m")
    world.at("2s").apply(Delivered(world.rows(2)[0].id, "retry", "network", "refused"))
    assert world.rows(4)[0].bundled == tuple(world.rows(number)[0].id for number in (4, 6, 7))
    assert world.rows(5)[0].handed_at is None


def test_what_was_under_way_when_tocsin_stopped_is_not_sent_again_while_it_is_silenced():
    world = World(SLOW)
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout").at("1s").silences('alertname="Down"', for_="5m")
    world.answers = lambda page: "sent"
    world.restarted()
    world.at("5m")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1)]
    world.at("302s")
    assert [page for page in world.pages if page[2]] == [("0s", "ana", 1), ("301s", "ana", 1)]
    alike(world)


def test_a_page_that_rested_for_longer_than_one_is_tried_has_not_failed():
    world = World(PLAN.replace(b"wait: 5m", b"wait: 5h"))
    world.has("ana", PUSH)
    world.left.clear()
    world.fires("Down", job="checkout").at("1m").silences('job="checkout"', for_="2h")
    world.at("122m")
    assert left(world) == [("0s", "ana", PUSH), ("7260s", "ana", "ana@shop.example")]
    (mail,) = [row for row in world.rows(1) if row.address == "ana@shop.example" and row.kind == "page"]
    assert mail.state == "sent" and mail.not_before == START + 7260 * SECOND


def test_whoever_has_answered_one_of_a_message_and_is_one_of_several_answers_the_others_alone():
    """The hold that they said before stays theirs."""
    plan = PLAN.replace(b"{page: ana, wait: 5m}", b"{page: ana, wait: 5m, until acknowledged by: 2}")
    world = storm(World(plan), *"ABCDEF").at("31s")
    (first,) = [page for page in world.told_pages if page.bundled]
    assert world.asked(Acknowledge(incident=4, actor="person:ana", hold=3 * 3600 * SECOND)).ok
    until = world.incident(4).answers["ana"]
    assert world.at("40s").asked(Acknowledge(incident=4, page=first.id)).ok
    assert world.incident(4).answers["ana"] == until
    assert [sorted(world.incident(number).answers) for number in (4, 5, 6)] == [["ana"]] * 3


def test_where_nobody_is_paged_any_more_what_waits_ends_at_once_and_the_ledger_says_why():
    world = World()
    world.has("ana", PUSH)
    world.fires("Down", job="checkout").at("1m")
    (waits,) = [row for row in world.rows(1) if row.state == "intended"]
    world.paging = False
    world.put_in_force(PLAN)
    assert (waits.state, waits.outcome, waits.finished_at) == ("overtaken", Reason.PAGING_OFF, world.now)


def test_what_a_plan_made_urgent_while_nobody_was_paged_waits_for_no_morning_when_somebody_is():
    world = World(LOW, paging=False).fires("Down", job="checkout", severity="warning").at("1m")
    world.paging = True
    world.put_in_force(PLAN)
    assert (world.pages, world.incident(1).urgency) == ([("60s", "ana", 1)], "high")


def test_time_in_which_nothing_could_be_heard_moves_what_is_said_of_the_pause_with_its_end():
    world = World()
    says(world)
    world.at("30s")
    says(world, ends=30)
    world.restarted("30s")
    incident = world.incident(1)
    assert incident.clear_at is not None and incident.clear_at > world.now + 60 * SECOND
    assert (incident.paused, incident.paused_until) == (Reason.CLEARING, incident.clear_at)


def test_what_is_urgent_does_not_wait_with_a_reminder_that_waits_for_the_morning():
    """At night one silence ends under which nothing fires, and then another under which something does."""
    world = World().fires("A", job="checkout")
    world.silences('alertname="Other"', for_="50m")
    world.silences('alertname="A"', for_="1h")
    world.at("62m")
    told = [page.title for page in world.told_pages if page.reason == "silence_ended"]
    assert len(told) == 1 and 'alertname="A"' in told[0] and "still fires" in told[0]


def test_a_number_that_rang_in_vain_is_called_again_though_its_incident_rests_by_then():
    world = quiet_world(HOUR_LONG)
    world.fires("Down", service="checkout", key="a")
    world.at("10m5s")
    silence = world.silences('service="checkout"', for_="2m")
    (call,) = handed(world)
    world.apply(Delivered(call.id, "sent", provider_id="CA1"))
    world.at("10m40s").apply(Receipted(call.id, "no_answer", provider_id="CA1"))
    (again,) = [row for row in world.rows(1) if row.channel == "call" and row.state == "intended"]
    assert (silence.ok, again.instead_of) == (True, call.id)
    world.at("13m")
    assert to_lia(world) == ["600s", "725s"]
