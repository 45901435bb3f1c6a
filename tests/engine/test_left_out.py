"""What a plan leaves out once, and puts back: a heartbeat is judged on from what was known of it."""

from __future__ import annotations

import pytest

from tests.engine.test_stories import _ping
from tests.engine.world import PLAN, START, World, dump
from tocsin.engine import watching
from tocsin.engine.commands import (
    Acknowledge,
    AddContact,
    CreateKey,
    DeclareKeys,
    Reassign,
    RemoveContact,
    SendCode,
    SetUser,
)
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import PlanChange
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.pages.contacts import Contact
from tocsin.pages.rules import Way

NIGHTLY = b"      nightly: {every: 10m, grace: 5m}\n"
WITHOUT = PLAN.replace(NIGHTLY, b"")
NO_KEI = (
    PLAN.replace(b"  kei: {name: Kei, email: kei@shop.example}\n", b"")
    .replace(b", kei]", b"]")
    .replace(b"last resort: kei", b"last resort: ben")
)
NO_WATCHDOG = PLAN.replace(b"      watchdog: {every: 5m, grace: 1m, alert: 'alertname=\"Watchdog\"'}\n", b"")


def beating(suffix: str = "") -> tuple[World, int]:
    """A world in which the nightly job beat once."""
    world = World()
    key = int(world.asked(CreateKey(hash=b"h", hint="h", source="heartbeat", service="orders", heartbeat="nightly")).id)
    world.apply(_ping(world, key, suffix))
    return world, key


def force(world: World, plan: bytes) -> list[str]:
    """Another plan, and what whoever put it in force is told."""
    read = world.read(plan)
    world.plans[read.version] = read
    result = world.apply(PlanChange(read.version, True), plan=read)
    assert result is not None
    return result.message.splitlines()


def alike(world: World) -> None:
    """The journal and the rows say the same as the memory."""
    assert dump(world.replayed().state) == dump(world.engine.state)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_a_heartbeat_that_is_missing_is_missing_when_the_plan_has_it_again():
    world, key = beating()
    world.at("16m")
    assert world.pages == [("900s", "ana", 1)]
    said = force(world, WITHOUT)
    assert said[1].startswith("warning: the heartbeat orders/nightly, which is missing now, is left out")
    assert said[0] == (
        "warning: the heartbeat orders/nightly is left out while it fires: incident #1 will be resolved for it"
    )
    assert world.incident(1).open
    world.at("17m1s")
    assert (world.incident(1).open, str(world.incident(1).reason)) == (False, "left_the_plan")
    assert world.told(1)[-2:] == ["clearing", "left_the_plan"]
    world.restarted(plan=WITHOUT).at("18m")
    alike(world)
    assert force(world, PLAN) == []
    assert (world.pages[-1], world.incident(1).open) == (("1080s", "ana", 1), True)
    alike(world)
    world.apply(_ping(world, key, ""))
    assert not world.incident(1).open


@pytest.mark.parametrize("renamed", [False, True])
def test_whoever_has_a_missing_heartbeat_has_it_still_after_a_plan_left_it_out_for_a_moment(renamed: bool):
    world, _ = beating()
    if renamed:
        world = World()
        world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "nightly"),)))
        world.apply(_ping(world, 1, ""))
    assert world.at("16m").acknowledges(1, "4h").ok
    world.at("20m")
    if renamed:
        force(world, PLAN.replace(b"nightly: {every", b"backup: {every"))
        world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "backup"),)))
    else:
        force(world, WITHOUT)
        world.at("20m30s")
        force(world, PLAN)
    world.at("40m")
    incident = world.incident(1)
    assert (incident.state, incident.acknowledged_by, incident.reopened) == ("acknowledged", "person:ana", 0)
    assert world.pages == [("900s", "ana", 1)]
    alike(world)


def fires(world: World) -> list[str]:
    """What is alarmed for now."""
    return [one.own_title for one in world.engine.state.alerts.values() if one.firing]


@pytest.mark.parametrize("back", ["1m", "3m", "30m", "2d"])
def test_one_that_failed_fires_again_however_long_it_was_left_out(back: str):
    world, _ = beating("/fail")
    world.at("1m")
    force(world, WITHOUT)
    world.at(back)
    force(world, PLAN)
    assert fires(world) == ["nightly of orders reported a failure"]
    assert any(one.open for one in world.engine.state.incidents.values())
    alike(world)


def test_a_failure_that_a_person_settled_is_not_raised_again_when_it_is_renamed():
    world = World()
    world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "nightly"),)))
    world.apply(_ping(world, 1, "/fail"))
    world.at("1m")
    assert world.resolves_by_hand(1).ok
    world.at("5m")
    force(world, PLAN.replace(b"nightly: {every", b"backup: {every"))
    world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "backup"),)))
    assert (fires(world), world.incident(1).open) == ([], False)


def test_a_failure_that_was_told_while_it_was_left_out_is_raised_when_it_is_back():
    world, key = beating()
    world.at("1m")
    force(world, WITHOUT)
    world.at("2m").apply(_ping(world, key, "/fail"))
    world.at("3m")
    force(world, PLAN)
    assert "nightly of orders reported a failure" in fires(world)


def test_the_incident_that_ends_is_told_first_however_much_else_is_left_out():
    many = b"".join(b"      job-%d: {every: 1d, grace: 1h}\n" % n for n in range(30))
    world = World(PLAN.replace(NIGHTLY, NIGHTLY + many))
    for name in ("nightly", *(f"job-{n}" for n in range(30))):
        key = world.asked(CreateKey(hash=name.encode(), hint="h", source="heartbeat", service="orders", heartbeat=name))
        world.apply(_ping(world, int(key.id), ""))
    world.at("16m")
    said = force(world, NO_BEN.replace(NIGHTLY, b""))
    assert said[0].endswith("is left out while it fires: incident #1 will be resolved for it")
    assert said[21] == "warning: and 11 more like this one"
    assert said[22].startswith("warning: ben is not in the plan any more")


def test_one_that_beat_keeps_its_time_and_is_paged_for_when_its_job_died():
    world, _ = beating()
    world.at("3m")
    (said,) = force(world, WITHOUT)
    assert "which was heard so far, is left out" in said
    world.at("4m").put_in_force(PLAN)
    world.at("14m59s")
    assert world.pages == []
    world.at("16m")
    assert world.pages == [("900s", "ana", 1)]


def test_a_sign_that_was_expected_meanwhile_is_not_missed_but_the_next_is():
    """A key of the plan is refused while the plan does not have it."""
    world, _ = beating()
    world.at("9m").put_in_force(WITHOUT)
    world.at("11m").put_in_force(PLAN)
    world.at("25m59s")
    assert world.pages == []
    world.at("27m")
    assert world.pages == [("1560s", "ana", 1)]


@pytest.mark.parametrize("then", [WITHOUT, PLAN.replace(b"grace: 5m", b"grace: 6m", 1)])
def test_the_next_one_is_waited_for_though_the_plan_changes_once_more(then: bytes):
    """A sign of life was refused while the plan left it out: nothing that comes after makes that one missing."""
    world, _ = beating()
    world.at("9m").put_in_force(WITHOUT)
    world.at("11m").put_in_force(PLAN)
    world.at("12m").put_in_force(then)
    world.put_in_force(PLAN)
    world.at("25m59s")
    assert world.pages == []
    alike(world)
    world.at("27m")
    assert world.pages == [("1560s", "ana", 1)]


def test_one_may_have_been_refused_though_a_stop_before_gave_it_more_time():
    """The job knows nothing of that, and comes in its own time."""
    world, key = beating()
    world.at("30s").restarted("40m", plan=WITHOUT)
    world.at("53m").put_in_force(PLAN)
    world.at("60m40s").apply(_ping(world, key, ""))
    assert world.at("75m").pages == []
    alike(world)
    assert world.at("77m").pages == [("4540s", "ana", 1)]


def test_left_out_twice_each_sign_that_was_expected_by_the_jobs_own_time_may_have_been_refused():
    world, key = beating()
    world.at("9m").put_in_force(WITHOUT)
    world.at("13m").put_in_force(PLAN)
    world.at("19m").put_in_force(WITHOUT)
    world.at("21m").put_in_force(PLAN)
    world.at("30m").apply(_ping(world, key, ""))
    assert world.at("44m").pages == []
    alike(world)
    assert world.at("46m").pages == [("2700s", "ana", 1)]


def test_what_left_out_is_heard_is_not_missing_when_it_comes_back():
    world, key = beating()
    world.at("16m").put_in_force(WITHOUT)
    world.at("2d").apply(_ping(world, key, ""))
    world.at("48h5m").put_in_force(PLAN)
    heart = world.engine.state.heartbeats["orders", "nightly"]
    assert (heart.state, heart.beats) == ("up", 2)
    told = [one for one in world.engine.state.incidents.values() if one.title.startswith("A heartbeat came for orders")]
    assert [one.state for one in told] == ["resolved"], "and the plan defines it"
    alike(world)


def test_it_is_kept_for_a_week_and_is_then_as_new_as_any(monkeypatch):
    world, _ = beating()
    world.at("16m").put_in_force(WITHOUT)
    world.at("8d").put_in_force(PLAN)
    assert world.engine.state.heartbeats["orders", "nightly"].state == "new"
    world, _ = beating()
    monkeypatch.setattr(watching, "MOST_KEPT", 0)
    world.put_in_force(WITHOUT)
    assert ("orders", "nightly") not in world.engine.state.heartbeats
    alike(world)


def test_a_dead_job_is_paged_for_by_its_new_name_when_its_key_is_the_same():
    world = World()
    world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "nightly"),)))
    world.apply(_ping(world, 1, ""))
    world.at("16m").put_in_force(PLAN.replace(b"nightly: {every", b"backup: {every"))
    world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "backup"),)))
    assert set(world.engine.state.heartbeats) == {("orders", "backup"), ("orders", "watchdog")}
    assert world.incident(1).open, "it is of the same service, and goes on"
    (fires,) = (one for one in world.engine.state.alerts.values() if one.firing)
    assert fires.own_title.startswith("backup of orders gives no sign of life (last heard")
    world.at("19m59s")
    assert world.pages == [("900s", "ana", 1)]
    alike(world)


def test_a_watchdog_that_the_plan_left_out_once_counts_as_a_heartbeat_again():
    world = World().fires("Watchdog").at("1m")
    world.restarted(plan=NO_WATCHDOG)
    assert world.incident(1).open, "it is an alert like any other meanwhile"
    world.at("2m")
    world.restarted(plan=PLAN)
    assert not world.incident(1).open
    world.at("4m").fires("Watchdog").at("9m")
    assert len(world.engine.state.incidents) == 1, "what it says counts"
    alike(world)
    world.at("11m")
    assert world.incident(2).open, "and so does its silence"


DAILY = PLAN.replace(NIGHTLY, b"      nightly: {every: 1d, grace: 1h}\n")


def daily() -> World:
    """A world in which a daily job with a key of the plan beat once."""
    world = World(DAILY)
    world.asked(DeclareKeys(keys=((b"k" * 32, "kkkk", "heartbeat", "orders", "nightly"),)))
    world.apply(_ping(world, 1, ""))
    return world


def test_a_job_that_had_begun_and_died_is_late_in_time_though_the_plan_left_it_out_for_a_moment():
    world = daily().at("24h")
    world.apply(_ping(world, 1, "/start"))
    world.at("24h10m")
    force(world, WITHOUT)
    world.at("24h10m30s")
    force(world, DAILY)
    world.at("25h1m")
    assert [page for page in world.pages if page[2] == 1] == [("90000s", "ana", 1)]
    alike(world)


def test_what_it_was_given_for_a_time_in_which_nothing_could_be_heard_it_keeps():
    world, _ = beating()
    world.at("1m").restarted("31m")
    due = world.engine.state.heartbeats["orders", "nightly"].due
    assert due == START + 51 * MINUTE
    world.at("33m")
    force(world, WITHOUT)
    world.at("34m")
    force(world, PLAN)
    assert world.engine.state.heartbeats["orders", "nightly"].due == due
    world.at("35m")
    assert world.pages == []


def test_a_sign_that_may_have_been_refused_within_the_grace_is_not_missed_but_the_next_is():
    world = daily().at("24h20m")
    force(world, WITHOUT)
    world.at("24h40m")
    force(world, DAILY)
    world.at("25h1m")
    assert world.pages == []
    assert world.engine.state.heartbeats["orders", "nightly"].due == START + (24 * 60 + 40 + 25 * 60) * MINUTE


@pytest.mark.parametrize("how", ["reload", "restart", "blink"])
def test_a_plan_put_in_force_is_no_sign_of_life_of_a_dead_watchdog(how: str):
    world = World().fires("Watchdog").at("7m")
    assert world.pages == [("360s", "ana", 1)]
    assert world.acknowledges(1, "4h").ok
    world.at("8m")
    if how == "restart":
        world.restarted(plan=PLAN)
    elif how == "blink":
        force(world, NO_WATCHDOG)
    force(world, PLAN)
    world.at("20m")
    assert (world.engine.state.heartbeats["orders", "watchdog"].state, world.incident(1).state) == (
        "late",
        "acknowledged",
    )
    assert [page for page in world.pages if page[2] == 1] == [("360s", "ana", 1)]
    alike(world)
    world.fires("Watchdog").at("22m")
    assert not world.incident(1).open


def test_reloads_do_not_put_off_when_a_watchdog_is_late():
    world = World().fires("Watchdog")
    for minute in range(1, 7):
        world.at(f"{minute}m")
        force(world, PLAN)
    world.at("7m")
    assert world.pages == [("360s", "ana", 1)]


# --- People, and their contact methods --------------------------------------------------------------------------------

HOOK = "https://push.example/ben"
OF_THE_PLAN = b", webhook: {url: 'https://ben.example/hook', secret: 'secret:ben'}"
HOOKED = PLAN.replace(b"ben@shop.example}", b"ben@shop.example" + OF_THE_PLAN + b"}")
NO_HOOK = HOOKED.replace(OF_THE_PLAN, b"")
NO_BEN = b"".join(
    line.replace(b"[ana, ben, kei]", b"[ana, kei]")
    for line in HOOKED.splitlines(keepends=True)
    if not line.startswith((b"  ben: ", b"    - {page: ben"))
)


def reached(world: World) -> list[str]:
    """By which addresses Ben is paged for something new that is given to him."""
    world.left.clear()
    world.fires("Down", job="checkout", n=str(world.seq))
    world.asked(Reassign(incident=max(world.engine.state.incidents), person="ben", actor="person:ana"))
    world.at(f"{(world.now - START) // SECOND + 3000}s")
    found = [address for _, who, address, kind in world.left if (who, kind) == ("ben", "page")]
    for number, incident in list(world.engine.state.incidents.items()):
        if incident.open:
            assert world.resolves_by_hand(number, "24h").ok
    return list(dict.fromkeys(found))


def contacts(world: World) -> dict[str, Contact]:
    """Ben's methods by address."""
    return {one.address: one for one in world.engine.state.contacts_by("ben")}


def with_rules() -> World:
    """Ben is paged at his webhook of the plan at once, by a method of his own after ten minutes, by mail never."""
    world = World(HOOKED)
    (own,) = world.has("ben", HOOK)
    hook = contacts(world)["https://ben.example/hook"].id
    assert world.rules("ben", high=(Way(hook), Way(own, 10 * MINUTE))).ok
    return world


def test_whoever_leaves_somebody_out_reads_what_that_person_has():
    """Nobody is paged for it while they have it, and they may be gone."""
    world = World()
    world.asked(SetUser(actor="user:admin", name="kei", role="responder", person="kei"))
    for name in ("Down", "Slow"):
        world.fires(name, job="checkout")
    for number in (1, 2):
        world.asked(Acknowledge(actor="person:kei (token ci)", incident=number, hold=3 * HOUR))
    world.at("1h")
    left, had = force(world, NO_KEI)
    assert "kei is not in the plan any more: user kei stays theirs. Back within a week they are as they were" in left
    said = "kei has incidents #1, #2 and is not in the plan any more: nobody is paged for that in the next 2 h. Give it"
    assert said in had
    assert [world.incident(number).state for number in (1, 2)] == ["acknowledged"] * 2, "it is told, and nothing else"
    alike(world)
    assert force(world, PLAN) == [] and not any("has incident" in line for line in force(World(), NO_KEI))


def test_who_is_left_out_for_a_moment_is_paged_as_before():
    world = with_rules()
    before = {address: (one.id, one.state) for address, one in contacts(world).items()}
    (said,) = [line for line in force(world, NO_BEN) if "ben" in line]
    assert said == (
        "warning: ben is not in the plan any more: 1 contact method of their own stays theirs. "
        "Back within a week they are as they were"
    )
    alike(world)
    assert force(world, HOOKED) == []
    assert {address: (one.id, one.state) for address, one in contacts(world).items()} == before
    assert reached(world) == ["https://ben.example/hook", HOOK]
    alike(world)


def test_a_method_that_the_plan_leaves_out_keeps_its_place_in_the_rules_and_its_owner_is_told():
    world = with_rules()
    world.left.clear()
    (said,) = [line for line in force(world, NO_HOOK) if "ben" in line]
    assert said.startswith("warning: ben's webhook is left out")
    notices = [page.title for page in world.told_pages if (page.person, page.reason) == ("ben", "contact_changed")]
    assert notices[-1].startswith("The plan leaves out a contact method of yours: webhook")
    hook = contacts(world)["https://ben.example/hook"]
    assert not hook.trusted
    assert world.asked(SendCode(actor="person:ben", contact=hook.id, seed=b"s" * 16, hash=b"h" * 32)).code == "conflict"
    assert reached(world) == [HOOK]
    alike(world)
    force(world, HOOKED)
    assert reached(world) == ["https://ben.example/hook", HOOK]


def test_what_the_plan_left_out_its_owner_may_add_as_their_own_or_remove_and_in_a_week_it_is_gone():
    world = with_rules()
    force(world, NO_HOOK)
    hook = contacts(world)["https://ben.example/hook"].id
    made = world.asked(AddContact(actor="person:ben", person="ben", channel="webhook", address=HOOK))
    assert made.code == "conflict", "that is there"
    made = world.asked(
        AddContact(actor="person:ben", person="ben", channel="webhook", address="https://ben.example/hook")
    )
    assert int(made.id) == hook and not contacts(world)["https://ben.example/hook"].trusted
    assert world.proves(hook).ok
    assert contacts(world)["https://ben.example/hook"].trusted
    force(world, HOOKED)
    force(world, NO_HOOK)
    assert world.asked(RemoveContact(actor="person:ben", contact=hook)).ok
    force(world, HOOKED)
    force(world, NO_HOOK)
    world.at("8d").put_in_force(PLAN)
    assert set(contacts(world)) == {"ben@shop.example", HOOK}


NEW_HOOK = "https://new.example/hook"
MOVED = HOOKED.replace(b"https://ben.example/hook", NEW_HOOK.encode())


def test_the_plan_takes_up_a_method_that_its_owner_added_meanwhile_and_pages_come_once():
    world = with_rules()
    force(world, NO_HOOK)
    (old,) = [way.contact for way in world.engine.state.reaches["ben"].high if way.after == 0]
    (new,) = world.has("ben", NEW_HOOK)
    reach = world.engine.state.reaches["ben"]
    assert world.rules("ben", high=(*reach.high, Way(new, 20 * MINUTE)), low=(Way(old),)).ok
    force(world, MOVED)
    reach = world.engine.state.reaches["ben"]
    assert [(way.contact == new, way.after) for way in reach.high] == [(True, 0), (False, 10 * MINUTE)]
    assert reach.low == (Way(new),)
    assert set(contacts(world)) == {"ben@shop.example", HOOK, NEW_HOOK}
    assert (contacts(world)[NEW_HOOK].id, contacts(world)[NEW_HOOK].declared) == (new, True)
    alike(world)
    world.fires("Down", job="checkout").asked(Reassign(incident=1, person="ben", actor="person:ana"))
    world.at("1m")
    assert [one for one in world.left if one[1] == "ben" and one[3] == "page"] == [("0s", "ben", NEW_HOOK, "page")]


def test_what_waits_for_a_method_whose_place_an_own_one_takes_leaves_by_the_next():
    world = with_rules()
    world.has("ben", NEW_HOOK)
    (old,) = [way.contact for way in world.engine.state.reaches["ben"].high if way.after == 0]
    for name in ("Slow", "Down", "Full", "Late", "Big"):
        world.fires(name, job=name)
        world.asked(Reassign(incident=max(world.engine.state.incidents), person="ben", actor="person:ana"))
    assert world.engine.state.gathering[old]
    force(world, MOVED)
    assert old not in world.engine.state.contacts and old not in world.engine.state.gathering
    alike(world)
    world.at("1s")
    paged = {page.incident for page in world.told_pages if (page.person, page.kind) == ("ben", "page")}
    assert paged == {1, 2, 3, 4, 5}


def test_a_name_that_comes_back_after_a_week_inherits_no_telephone_and_no_user():
    world = with_rules()
    world.asked(SetUser(name="benedict", role="responder", person="ben"))
    said = [line for line in force(world, NO_BEN) if "ben" in line]
    assert "1 contact method of their own and user benedict stay theirs" in said[0]
    world.at("40d")
    said = force(world, HOOKED.replace(b"https://ben.example/hook", b"https://other.example/hook"))
    days = "warning: ben is back in the plan after 40 days, and may be another person by now"
    assert said[0] == f"{days}: what they added then pages them only when a code proved it again"
    assert said[1] == f"{days}: user benedict acts for them no more. If it is theirs, say so on the page Users"
    assert world.engine.state.users_by_name["benedict"].person == ""
    assert not contacts(world)[HOOK].trusted
    assert HOOK not in reached(world)
    told = [page.title for page in world.told_pages if (page.person, page.reason) == ("ben", "contact_changed")]
    assert told[-1] == "You are in the plan again after 40 days: prove the contact methods you had added once more"
    alike(world)
    assert world.proves(contacts(world)[HOOK].id).ok
    assert HOOK in reached(world)
