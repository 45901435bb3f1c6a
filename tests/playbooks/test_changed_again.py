"""What code left in the midst of a change is a person's until somebody said so: whatever incident comes about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Pump, Run, drain, kick, level, pour, was_drained
from tests.playbooks.test_beside import one_at_a_time, plain
from tests.playbooks.test_left_in_midst import other_one
from tests.playbooks.test_one_system import PLAN, Shared
from tests.playbooks.test_targets_in_turn import MANY, Fleet
from tocsin.engine.commands import SetTrust
from tocsin.engine.weighing import weigh
from tocsin.kernel.instant import DAY
from tocsin.playbooks.language import playbook, trust
from tocsin.playbooks.run import Run as Row

FULL, STUCK = ['alertname="Full"'], ['alertname="Stuck"']
LEFT = "It asks because run 1 left a in the midst of a change that nothing verified"


@playbook(name="drains", answers=STUCK, guards=MANY, trust=trust(start="act", default="yes", within="5m"))
def drains(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="twice", answers=STUCK, guards=MANY, trust=trust(start="act"))
def twice(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="kicks", answers=FULL, guards=MANY, trust=trust(start="act"))
def kicks(run: Run, pump: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="pours", answers=FULL, guards=MANY, trust=trust(start="act"))
def pours(run: Run, pump: Pump) -> None:
    run.fix(pour, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="drops", answers=FULL, guards=MANY, trust=trust(start="act"))
def drops(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="looks", answers=STUCK, trust=trust(start="act"))
def looks(run: Run, pump: Pump) -> None:
    run.look(level, pump)


@playbook(name="sees", answers=STUCK, trust=trust(start="act"))
def sees(run: Run, pump: Pump) -> None:
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="admins", answers=STUCK, trust=trust(start="act", approve="admin"))
def admins(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="both", answers=['alertname="Both"'], guards=MANY, trust=trust(start="act"))
def both(run: Run, pump: Pump, other: Pump) -> None:
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="nowhere", answers=FULL, guards=MANY, trust=trust(start="act"))
def nowhere(run: Run) -> None:
    run.fix(kick, Pump(name="a"))
    run.verify(level, Pump(name="a"), until=lambda now: now.full < 80, within="1m")


@playbook(name="nightly", schedule="30 3 * * *", trust=trust(start="act"))
def nightly(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="waits", answers=FULL, guards=MANY, trust=trust(start="act"))
def waits(run: Run, pump: Pump) -> None:
    run.verify(level, pump, until=lambda now: now.full > 10, within="1m")
    if run.look(level, pump).full > 80:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="two_steps", answers=FULL, guards=MANY, trust=trust(start="act"))
def two_steps(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 98, within="1m")
    run.fix(kick, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="checks", answers=FULL, guards=MANY, trust=trust(start="act"))
def checks(run: Run, pump: Pump) -> None:
    run.verify(level, pump, until=lambda now: now.full > 10, within="1m")
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def cut_kick(what: Callable[..., None]) -> Fleet:
    """Tocsin is killed in the midst of the kick, wherever in the playbook that is."""
    for point in range(2, 20):
        world = Fleet(what)
        world.carrier.kill_at = point
        world.full_on("a")
        run = world.run(1)
        if run.in_midst and run.unsure and "kick" not in world.done:
            assert run.unsure[0].startswith(kick.name)
            return world
    raise AssertionError("it came to no kick")


def cut(*playbooks: Callable[..., None], host: str = "a") -> Fleet:
    """Tocsin is killed in the midst of a fix, and a person is called: nobody has said anything yet."""
    world = Fleet(*playbooks)
    world.carrier.kill_at = 2
    world.full_on(host)
    assert (world.run(1).outcome, world.run(1).in_midst, world.done) == ("handed_over", True, [])
    return world


def failed(*playbooks: Callable[..., None]) -> Fleet:
    """A fix was done, and its verification did not hold."""
    world = Fleet(*playbooks)
    world.after_drain = 97
    world.full_on("a")
    world.at("3m")
    assert world.run(1).outcome == "handed_over" and world.run(1).in_midst
    world.after_drain = 40
    return world


def stuck(world: Fleet, host: str = "a", region: str = "other") -> Row:
    """Another incident comes about the same system. Answers its run."""
    world.full[host] = 97
    world.fires("Stuck", instance=host, region=region)
    return last(world)


def last(world: Fleet) -> Row:
    return world.run(max(world.written))


def same(world: Fleet) -> None:
    """Neither a restart nor a replay knows it otherwise."""
    state = dump(world.engine.state)
    assert dump(world.replayed().state) == state
    world.comes_back()
    kept = {number: (run.in_midst, run.unsure, run.settled_by) for number, run in world.engine.state.runs.items()}
    assert kept == {number: (run.in_midst, run.unsure, run.settled_by) for number, run in world.written.items()
                    if number in kept}  # fmt: skip


@pytest.mark.parametrize("what", [plain, one_at_a_time])
def test_the_fix_of_which_nobody_knows_is_not_done_again_for_another_incident(what: Callable[..., None]) -> None:
    """The alert of another kind groups by itself: two alerts of one host are two incidents."""
    world = cut(what)
    world.at("1m").fires("Full", instance="a", region="other")
    assert world.done == [] and world.run(2).incident == 2
    assert world.run(2).outcome == "handed_over" and not world.run(2).failed
    assert "run 1 may have done it already, and doing it twice may do harm" in world.run(2).why
    assert any("give-back 1" in one for one in world.run(2).findings)
    assert [page[1:] for page in world.pages] == [("ana", 1), ("ana", 2)]
    same(world)


def test_nor_when_its_alert_blinks_again_and_again() -> None:
    """A fix that is itself what ends Tocsin is not repeated until a breaker opens."""
    world = cut(kicks)
    for minute in (1, 5, 9, 13):
        world.at(f"{minute}m").ends_on("a")
        world.at(f"{minute + 2}m")
        assert world.incident(1).state == "resolved"
        world.carrier.kill_at = world.carrier.points + 2
        world.full_on("a")
        assert world.done == [] and last(world).outcome == "handed_over"
    assert not any(run.fixes for number, run in world.written.items() if number > 1), "none came to its fix"
    same(world)


def test_a_verification_before_the_doubtful_fix_says_nothing_of_it() -> None:
    world = cut_kick(waits)
    world.full["a"] = 97
    world.at("1m").fires("Full", instance="a", region="other")
    assert world.done == [] and world.run(1).in_midst
    assert "run 1 may have done it already" in world.run(2).why
    same(world)


def test_nor_does_one_of_a_run_that_found_nothing_to_do() -> None:
    world = cut_kick(waits)
    world.full["a"] = 40
    world.at("1m").fires("Full", instance="a", region="other")
    assert world.run(2).verified_at is not None and world.run(2).outcome == "not_needed"
    assert world.run(1).in_midst
    world.resolves("Full", instance="a", region="other")
    world.full["a"] = 97
    world.at("9m").fires("Full", instance="a", region="third")
    assert world.done == [] and "run 1 may have done it already" in last(world).why


def test_nor_does_one_after_another_fix_that_a_person_let_be_done() -> None:
    world = cut_kick(two_steps)
    done = list(world.done)
    world.full["a"] = world.after_drain = 97
    world.at("1m").fires("Full", instance="a", region="other")
    assert last(world).state == "asking"
    world.says(2, "yes")
    assert world.done == [*done, "drain"] and world.run(1).in_midst
    assert last(world).outcome == "handed_over" and "run 1 may have done it already" in last(world).why
    same(world)


def test_one_before_the_fix_is_no_word_that_it_may_be_done_unasked() -> None:
    world = failed(checks)
    done = list(world.done)
    assert world.trusts("checks", "act").ok
    world.fires("Full", instance="a", region="other")
    assert last(world).state == "asking" and LEFT in last(world).findings and world.done == done
    world.says(last(world).number, "yes")
    assert world.run(1).settled_by == "run:2", "now it was seen to its end"


def test_once_it_was_resolved_by_itself_its_other_targets_are_asked_about_when_it_is_here_again() -> None:
    world = cut(plain)
    world.at("1m").ends_on("a")
    world.at("3m")
    assert world.incident(1).state == "resolved"
    world.full_on("b")
    assert world.incident(1).reopened == 1 and last(world).targets == {"pump": "b"}
    assert last(world).state == "asking" and LEFT in last(world).findings and world.done == []


@pytest.mark.parametrize("begins", [cut, failed])
def test_another_playbook_asks_whatever_it_is_trusted_with_and_silence_is_no_yes(begins: Callable[..., Fleet]) -> None:
    world = begins(plain, drains)
    done = list(world.done)
    run = stuck(world)
    assert run.state == "asking" and LEFT in run.findings and world.rung("drains") == "act"
    assert any(one.startswith("To end that: continue, repeat or take over run 1") for one in run.findings)
    assert run.approval is not None and run.approval.default == "no", "its plan would go on without an answer"
    world.at("30m")
    assert last(world).outcome == "cancelled" and world.done == done
    same(world)


def test_a_yes_is_for_one_fix_and_a_verification_after_it_ends_the_asking() -> None:
    world = cut(plain, twice)
    run = stuck(world)
    world.says(run.number, "yes")
    assert last(world).state == "asking" and world.done == ["drain"], "it asks again before the second"
    world.says(run.number, "yes")
    assert last(world).state == "watching" and world.run(1).settled_by == "run:2"
    world.at("1m").resolves("Stuck", instance="a", region="other")
    world.at("9m")
    assert stuck(world, region="third").state == "watching" and world.done == ["drain"] * 4
    same(world)


def test_a_fix_that_its_probe_knows_is_asked_of_the_probe_first() -> None:
    def breaks(pump: Pump) -> int:
        raise ConnectionError("nobody answers")

    for poured in (True, False):
        world = Fleet(pours)
        works = world.carrier.instead[pour.name]
        world.carrier.instead[pour.name] = breaks
        world.full_on("a")
        assert world.run(1).in_midst and world.trusts("pours", "act").ok
        world.carrier.instead[pour.name] = works
        world.full["a"] = 40 if poured else 97
        world.at("1m").fires("Full", instance="a", region="other")
        assert world.done == []
        if poured:
            assert last(world).state == "watching", "the probe says that it was done, and it is verified"
            assert world.run(1).settled_by == "run:2", "by the very playbook that left it"
        else:
            assert last(world).state == "asking" and LEFT in last(world).findings
            world.says(2, "yes")
            assert world.done == ["pour"]


def test_also_for_who_begins_it_by_hand() -> None:
    world = Fleet(pours)
    works = world.carrier.instead[pour.name]
    world.carrier.instead[pour.name] = lambda pump: 1 // 0
    world.full_on("a")
    world.carrier.instead[pour.name], world.full["a"] = works, 40
    assert world.runs_by_hand("pours", targets={"pump": "a"}, role="admin").ok
    assert world.done == [] and last(world).outcome == "verified"


@pytest.mark.parametrize("what", [drops, kicks])
def test_what_is_known_to_be_done_and_did_not_hold_is_asked_about(what: Callable[..., None]) -> None:
    world = failed(what)
    assert world.run(1).unsure == () and world.trusts(world.run(1).playbook, "act").ok
    world.fires("Full", instance="a", region="other")
    assert last(world).state == "asking" and LEFT in last(world).findings


def test_a_fix_that_may_be_done_twice_is_in_no_doubt() -> None:
    world = Fleet(drops)
    world.carrier.instead[drain.name] = lambda pump: 1 // 0
    world.full_on("a")
    assert world.run(1).in_midst and world.run(1).unsure == ()


def test_who_only_looks_at_it_for_another_trouble_ends_nothing_by_what_they_see() -> None:
    world = cut(plain, sees)
    world.full["a"] = 40
    world.fires("Stuck", instance="a", region="other")
    assert last(world).verified_at is not None and last(world).outcome == "not_needed"
    assert world.run(1).in_midst


def test_who_begins_one_by_hand_is_asked_by_its_trust_alone() -> None:
    world = cut(plain, admins)
    assert world.runs_by_hand("admins", incident=1, targets={"pump": "b"}, role="responder").ok
    assert last(world).state == "watching" or last(world).outcome == "verified"
    assert world.run(1).in_midst, "they are at another target"


def test_of_two_targets_a_person_has_to_go_on_at_both() -> None:
    world = Fleet(both, plain, kicks)
    world.carrier.kill_at = 2
    assert world.runs_by_hand("both", targets={"pump": "a", "other": "b"}, role="admin").ok
    assert world.run(1).in_midst
    assert world.runs_by_hand("kicks", targets={"pump": "a"}, role="admin").ok
    assert world.done == ["kick"] and world.run(1).in_midst, "who begins it by hand knows; b is left still"
    world.at("1h").fires("Full", instance="b")
    assert world.done == ["kick"] and "run 1 may have done it already" in last(world).why, "with b, whichever it was"
    assert world.runs_by_hand("both", targets={"pump": "b", "other": "a"}, role="admin").ok
    assert not world.run(1).in_midst


def test_a_playbook_without_targets_does_not_do_it_again_either() -> None:
    world = Fleet(nowhere)
    works = world.carrier.instead[kick.name]
    world.carrier.kill_at = 2
    world.full_on("a")
    assert world.run(1).in_midst and world.run(1).targets == {}
    world.carrier.instead[kick.name] = works
    world.at("1m").fires("Full", instance="a", region="other")
    assert world.done == [] and "run 1 may have done it already" in last(world).why
    assert any("on cart," in one for one in last(world).findings), "of what it works on there is no name but that"


def test_what_somebody_resolved_and_ended_is_over_also_when_it_comes_again() -> None:
    world = cut(kicks)
    assert world.resolves_by_hand(1, "1h").ok
    world.at("5m").ends_on("a")
    world.at("10m")
    world.full_on("a")
    assert world.incident(1).reopened == 1
    assert world.done == ["kick"], last(world).why


def test_who_only_looks_is_free_and_ends_nothing() -> None:
    world = cut(plain, looks)
    assert stuck(world).outcome == "not_needed"
    assert world.run(1).in_midst


def test_another_target_is_not_concerned() -> None:
    world = cut(plain, drains)
    assert stuck(world, "b").state == "watching"
    assert world.run(1).in_midst


def test_a_schedule_asks_as_well() -> None:
    world = cut(plain, nightly)
    world.at("24h")
    mine = {run.targets["pump"]: run for run in world.written.values() if run.by == "schedule"}
    assert mine["a"].outcome == "cancelled" and LEFT in mine["a"].findings, mine["a"].why
    assert mine["b"].outcome == "verified"


@pytest.mark.parametrize("name", ["main", "db"])
def test_the_same_system_by_the_name_it_has_in_another_service(name: str) -> None:
    ours, theirs = PLAN.split("  pay:\n")
    world = Shared(plain, plan=f"{ours}  pay:\n{theirs.replace('main: {kind', name + ': {kind')}")
    world.full["db"] = 97
    assert world.asked(
        SetTrust(actor="person:ana", service="pay", playbook="plain", rung="act", why="a test", role="admin")
    ).ok
    world.carrier.kill_at = 2
    world.full_of("cart")
    assert world.run(1).in_midst and world.run(1).service == "cart"
    world.until("1m").full_of("pay")
    assert world.run(2).service == "pay" and world.done == []
    assert "run 1 may have done it already" in world.run(2).why
    assert world.run(2).targets == {"pump": name}, "under which the arguments of its fix are others"


ENDS = ["continues", "repeats", "takes over", "takes over the next", "gives back", "looked", "by hand", "looks by hand",
        "resolves", "verified"]  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_it_ends_when_a_person_says_so_or_its_own_playbook_sees_that_it_holds(how: str) -> None:
    world = cut(plain, drains, looks)
    world.full["a"] = 40
    match how:
        case "takes over the next":
            assert world.takes_over(stuck(world, region="second").number).ok
            world.at("1m").resolves("Stuck", instance="a", region="second")
        case "looks by hand":
            assert world.runs_by_hand("looks", targets={"pump": "a"}, role="admin").ok
        case "continues":
            assert world.resumes(1, step=2, word="done").ok
        case "repeats":
            assert world.resumes(1, word="again").ok
        case "takes over":
            assert world.takes_over(1).ok
        case "gives back":
            assert world.takes_over(1).ok and world.gives_back(1).ok
        case "looked":
            assert world.gives_back(1).ok
            assert any("Code may work on a again" in entry.what for entry in world.timeline)
        case "by hand":
            assert world.runs_by_hand("drains", targets={"pump": "a"}, role="admin").ok
        case "resolves":
            assert world.resolves_by_hand(1).ok, "its alert is slow, and has ended within the hour"
        case "verified":
            run = stuck(world, region="second")
            world.full["a"] = 40
            world.says(run.number, "yes")
    assert not world.run(1).in_midst
    if how == "verified":
        world.at("5m").resolves("Stuck", instance="a", region="second")
    world.at("20m").ends_on("a")
    world.at("6h")
    assert not world.run(1).in_midst
    before = len(world.done)
    assert stuck(world).state == "watching", last(world).why
    assert len(world.done) == before + 1
    same(world)


GOES_ON = ["acknowledges", "had it when it ended", "over", "puts off", "no", "by hand elsewhere", "resolves another"]


@pytest.mark.parametrize("how", GOES_ON)
def test_it_goes_on_whoever_only_heard_of_it(how: str) -> None:
    world = cut(plain, drains, looks)
    match how:
        case "acknowledges":
            world.acknowledges(1, "1m")
        case "had it when it ended":
            world.acknowledges(1, "1h")
            world.at("1m").ends_on("a")
        case "over":
            world.at("1m").ends_on("a")
        case "puts off":
            assert world.resolves_by_hand(1, "10m").ok
        case "no":
            world.says(stuck(world, region="second").number, "no")
        case "by hand elsewhere":
            assert world.runs_by_hand("drains", targets={"pump": "b"}, role="admin").ok
        case "resolves another":
            world.says(stuck(world, region="second").number, "no")
            assert world.resolves_by_hand(2).ok
    world.at("1h")
    assert world.run(1).in_midst
    done = list(world.done)
    assert stuck(world).state == "asking" and world.done == done


def test_who_has_it_go_on_and_is_refused_has_settled_nothing() -> None:
    """They did not say that it is to be done again, and nothing was done."""
    world = Fleet(pours)
    world.carrier.instead[pour.name] = lambda pump: 1 // 0
    world.full_on("a")
    world.carrier.instead[was_drained.name] = lambda pump: 1 // 0
    assert world.run(1).in_midst and world.resumes(1).ok
    assert last(world).outcome == "handed_over" and not world.run(1).in_midst, "its probe does not answer"
    assert last(world).in_midst and last(world).unsure == world.run(1).unsure
    world = cut(plain, drains)
    world.at("1m").fires("Full", instance="a", region="other")
    assert world.run(2).outcome == "handed_over" and not world.run(2).in_midst
    assert world.resumes(2).ok, "it came to no step of its own"
    assert last(world).by_hand and last(world).outcome == "handed_over"
    assert world.done == [] and "may have done it already" in last(world).why
    world.at("20m").fires("Full", instance="a", region="third")
    assert world.done == [] and last(world).outcome == "handed_over", last(world).why


def test_nothing_is_given_back_that_was_neither_taken_nor_left() -> None:
    world = cut(plain)
    assert world.gives_back(1).ok
    refused = world.gives_back(1)
    assert refused.code == "conflict" and "it left nothing in the midst of a change" in refused.message


def test_it_is_said_where_people_look_and_what_ends_it() -> None:
    world = cut(plain, drains)
    left = next(entry for entry in world.timeline if entry.reason == "left_in_midst")
    assert left.what == (
        "a was left in the midst of a change: code asks before it changes it again, until a person continues, repeats,"
        " takes over or gives back run 1, runs a playbook there, or resolves the incident, or until plain verifies it;"
        " at the latest when 7 d have passed and the incident is over"
    )
    found = weigh(world.engine.state, world.engine.plan, world.now, "cart", "drains", "a")
    assert found is not None
    midst = next(one for one in found.each[0].left if one.kind == "midst")
    assert midst.now.startswith("run 1 left a in the midst of a change that nothing verified: it asks before each fix")
    assert not midst.no and midst.until is None and not found.each[0].no, "a run begins, and looks"
    world.at("1m").ends_on("a")
    world.at("3m")
    found = weigh(world.engine.state, world.engine.plan, world.now, "cart", "drains", "a")
    assert found is not None
    midst = next(one for one in found.each[0].left if one.kind == "midst")
    ended = world.run(1).ended_at
    assert ended is not None and (midst.until, midst.then) == (ended + 7 * DAY, "forgotten")
    elsewhere = weigh(world.engine.state, world.engine.plan, world.now, "cart", "drains", "b")
    assert elsewhere is not None and all(one.kind != "midst" for one in elsewhere.each[0].left)


def test_of_a_run_that_no_incident_began_it_is_said_where_it_is_told_of() -> None:
    world = Fleet(drains)
    world.after_drain = 97
    assert world.runs_by_hand("drains", targets={"pump": "a"}, role="admin").ok
    world.at("2m")
    assert world.run(1).in_midst and world.run(1).incident == 1
    assert [entry.what[:38] for entry in world.timeline if entry.reason == "left_in_midst"] == [
        "a was left in the midst of a change: c"
    ]


def test_it_is_no_lock_for_ever() -> None:
    """Seven days after a run ended it is forgotten, unless its incident is open still."""
    world = cut(plain, drains)
    world.at("1m").ends_on("a")
    world.at(f"{6 * 24}h")
    assert stuck(world, region="second").state == "asking"
    world.says(last(world).number, "no")
    world.resolves("Stuck", instance="a", region="second")
    world.at(f"{7 * 24 + 1}h")
    assert 1 not in world.engine.state.runs and not world.written[1].in_midst, "nor do pages say so any more"
    assert stuck(world).state == "watching"


def test_it_is_kept_in_mind_as_long_as_its_incident_is_open() -> None:
    """The blast radius forgot it after seven days, though somebody put it off each day."""
    world = cut(one_at_a_time, other_one)
    for day in range(1, 10):
        world.acknowledges(1, "24h30m")
        world.at(f"{day * 24}h")
    world.acknowledges(1, "24h30m")
    assert world.incident(1).state == "acknowledged" and world.run(1).in_midst
    assert stuck(world, "d").outcome == "blocked"
    assert "run 1 left a in the midst of a change" in last(world).why
    same(world)
    world.at("239h59m").ends_on("a")
    world.at("240h1m")
    assert world.incident(1).state == "resolved" and 1 not in world.engine.state.runs, "it is over, if only just"
    world.at("242h")
    assert stuck(world, "e", region="third").outcome != "blocked"
