"""Two incidents about one system: the second waits for the first one's run, and nobody is called for what it fixes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level
from tests.playbooks.test_one_system import FULL, PLAN
from tocsin.engine.commands import Result, SetTrust, Snooze, StartRun
from tocsin.engine.inputs import Deaf
from tocsin.engine.state import State
from tocsin.engine.weighing import weigh
from tocsin.kernel.instant import MINUTE, SECOND, parse_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.language import at_most, cooldown, playbook, trust
from tocsin.playbooks.manifest import Guard

APART = PLAN.replace("service: cart}", "service: cart, group: {by: [region]}}")
WORKS = "fixes waits for run 1 of fixes, which works on cart/main, which is pay/main too"


class Waits(Playground):
    """Two services with one system. ``midst`` happens while the first fix is under way, which takes ``takes``."""

    def __init__(self, *playbooks: Callable[..., None], plan: str = PLAN, **more: Any) -> None:
        self.midst: list[Callable[[], object]] = []
        self.takes = "0s"
        super().__init__(*playbooks, plan=plan, **more)

    def fakes(self) -> dict[str, Callable[..., Any]]:
        def slow(does: Callable[[Pump], int]) -> Callable[[Pump], int]:
            def do(pump: Pump) -> int:
                things, self.midst = self.midst, []
                for thing in things:
                    thing()
                if self.takes != "0s":
                    self.passing(self.now + parse_duration(self.takes))
                return does(pump)

            return do

        found = super().fakes()
        return found | {one.name: slow(found[one.name]) for one in (drain, kick)}

    def full_of(self, service: str, instance: str = "one", **labels: str) -> Waits:
        if not self.deep:
            self.full |= {"main": 97, "spare": 97}
        self.fires(labels.pop("name", "Full"), instance=instance, of=service, **labels)
        return self

    def over_of(self, service: str, instance: str = "one", **labels: str) -> Waits:
        self.resolves(labels.pop("name", "Full"), instance=instance, of=service, **labels)
        return self

    def until(self, offset: str) -> Waits:
        self.at(offset)
        return self

    def by_hand(self, service: str = "pay", name: str = "fixes", **more: Any) -> Result:
        asked = StartRun(actor="person:ana", playbook=name, service=service, targets={"pump": "main"}, **more)
        return self.asked(asked)

    def is_whole(self) -> None:
        assert dump(self.replayed().state) == dump(self.engine.state), "replayed"
        assert dump(State(self.loaded())) == dump(self.engine.state), "read from the tables"

    def waits(self, number: int) -> list[str]:
        return [work.why for work in self.incident(number).works.values() if work.waiting]


@playbook(name="fixes", answers=FULL, trust=trust(start="act"), hand_over_after="5m")
def fixes(run: Run, pump: Pump) -> None:
    now = run.look(level, pump)
    if now.full > 80:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="kicks", answers=['alertname="Stuck"'], trust=trust(start="act"), hand_over_after="5m")
def kicks(run: Run, pump: Pump) -> None:
    now = run.look(level, pump)
    if now.full > 80:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


def two(*playbooks: Callable[..., None], takes: str = "2s", **more: Any) -> Waits:
    """While a run for cart works, pay is heard of too."""
    world = Waits(*(playbooks or (fixes,)), **more)
    world.takes = takes
    world.midst.append(lambda: world.full_of("pay"))
    return world


def seen_at(world: Waits, what: Callable[[], object]) -> list[object]:
    """What is so a second into the fix."""
    found: list[object] = []

    def look() -> None:
        world.passing(world.now + SECOND)
        found.append(what())

    world.midst.append(look)
    return found


# -- it waits ----------------------------------------------------------------------------------------------------------


def test_two_incidents_about_one_system_at_once_wake_nobody_for_what_the_first_run_fixes() -> None:
    world = two()
    seen = seen_at(world, lambda: (world.waits(2), world.incident(2).paused, world.incident(2).hold_until))
    world.full_of("cart")
    began = world.run(1).started_at
    assert seen == [([WORKS], Reason.WAITS_FOR_RUN, began + 5 * MINUTE)]
    assert world.run(1).state == "watching" and world.done == ["drain"]
    assert world.waits(2) == [WORKS.replace("works on", "watches what it fixed on")]
    assert "waits_for_run" in world.told(2)
    world.is_whole()
    world.over_of("pay").over_of("cart").at("30m")
    assert world.pages == [] and world.outcomes == ["verified"] and not world.incident(2).open
    assert world.incident(2).works == {} and world.incident(2).tried == ()
    world.is_whole()


def test_when_its_alert_goes_on_it_has_its_turn_once_the_first_is_over() -> None:
    world = two()
    world.full_of("cart")
    world.until("2m").full["main"] = 97
    world.over_of("cart").at("5m")
    assert world.outcomes == ["verified", "watching"] and world.run(2).incident == 2
    assert world.done == ["drain", "drain"] and world.pages == []
    assert world.waits(2) == [] and not any("waits for" in one for one in world.incident(2).tried)


def test_when_the_first_is_handed_over_the_second_is_judged_by_what_is_so_then() -> None:
    world = two()
    world.after_drain = 95
    world.full_of("cart")
    assert world.run(1).outcome == "handed_over" and world.run(2).rung == "act", "trust is each service's"
    assert world.run(2).state == "asking" and world.run(2).started_at == world.run(1).ended_at
    assert "It asks because run 1 left main in the midst of a change that nothing verified" in world.run(2).findings
    assert {number for number, *_ in ((page[2],) for page in world.pages)} == {1, 2}


def test_what_was_cut_off_in_its_fix_is_not_done_again_by_the_one_that_waited() -> None:
    @playbook(name="once", answers=FULL, trust=trust(start="act"))
    def once(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    whole = two(once)
    whole.full_of("cart")
    cut = set()
    for point in range(1, whole.carrier.points + 1):
        world = two(once)
        world.carrier.kill_at = point
        world.full_of("cart")
        if world.run(1).outcome == "handed_over" and 2 in world.engine.state.incidents:
            cut.add(point)
            assert len(world.done) <= 1 and world.run(2).outcome == "handed_over", point
            assert "run 1 may have done it already" in world.run(2).why, "nobody is asked at night whether to risk it"
    assert cut


@pytest.mark.parametrize("guard", [cooldown("1h"), at_most(1, per="1h", over="target")])
def test_what_a_guard_leaves_undone_after_a_fix_has_its_time_and_is_a_persons_then(guard: Guard) -> None:
    @playbook(name="rests", answers=FULL, trust=trust(start="act"), guards=[guard])
    def body(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    for ends in (True, False):
        world = two(body)
        seen = seen_at(world, lambda: world.waits(2))  # noqa: B023
        world.full_of("cart").until("30s")
        assert seen == [["rests waits for run 1 of rests, which works on cart/main, which is pay/main too"]]
        assert world.waits(2), "for the watch, too"
        world.until("1m").over_of("cart").until("90s")
        assert world.incident(2).works["rests main"].outcome == "blocked"
        assert world.pages == [] and world.incident(2).paused is Reason.PLAYBOOK_VERIFIED
        world.is_whole()
        if ends:
            world.over_of("pay")
        world.until("30m")
        assert world.done == ["drain"]
        assert [page[:3:2] for page in world.pages[:1]] == ([] if ends else [("603s", 2)])


def test_what_was_fixed_has_its_time_to_end_also_when_a_person_resolves_the_other_incident() -> None:
    world = two()
    world.full_of("cart").until("1m").resolves_by_hand(1, "1h")
    assert world.outcomes == ["overtaken", "not_needed"]
    world.until("2m").over_of("pay").until("30m")
    assert world.pages == []


def test_what_a_person_fixed_without_an_incident_has_its_time_to_end_too() -> None:
    world = Waits(fixes, kicks)
    world.takes = "2s"
    world.midst.append(lambda: world.full_of("pay", name="Stuck"))
    world.full["main"] = 97
    assert world.by_hand("cart").ok
    assert world.outcomes == ["verified", "not_needed"]
    world.over_of("pay", name="Stuck").until("30m")
    assert world.pages == []


def test_several_have_their_turn_in_the_order_they_came_one_at_a_time() -> None:
    @playbook(name="looks", answers=FULL, trust=trust(start="act"))
    def looks(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Waits(looks, plan=APART)
    world.takes = "2s"
    for region in "abc":
        world.midst.append(partial(world.full_of, "cart", region=region))
    world.full_of("cart", region="first")
    for minute, region in enumerate(("first", "a", "b", "c")):
        assert [len(world.waits(one + 1)) for one in range(4)] == [0] * (minute + 1) + [1] * (3 - minute)
        world.is_whole()
        world.over_of("cart", region=region).until(f"{minute + 1}m")
    assert [run.incident for run in world.written.values()] == [1, 2, 3, 4] and set(world.outcomes) == {"verified"}
    assert world.pages == []


def both_have(*names: str) -> str:
    """A plan in which both services have these systems."""
    one = "      {0}: {{kind: pump, look with: secret:{0}, fix with: secret:rw, match: ['instance=\"{0}\"']}}\n"
    head, *services = PLAN.split("    targets:\n")
    targets = "    targets:\n" + "".join(map(one.format, names))
    rest = (part[min(at for at in (part.find("  pay:"), part.find("  payments:")) if at >= 0) :] for part in services)
    whole = head + "".join(targets + part for part in rest)
    return whole.replace("service: pay}", "service: pay, group: {by: [region]}}")


def test_many_that_wait_say_it_once_each_and_leave_what_was_found_to_be_read() -> None:
    names = "abcdef"
    world = Waits(fixes, plan=both_have(*names))
    world.takes, world.full = "2s", dict.fromkeys(names, 97)

    def storm() -> None:
        for name in names:
            for service in ("cart", "pay"):
                world.fires("Full", instance=name, of=service)

    world.midst.append(storm)
    world.fires("Full", instance="a", of="cart")
    world.until("5m")
    assert world.done == ["drain"] * 6 and world.pages == [] and set(world.outcomes) == {"watching"}
    for number in (1, 2):
        assert len(world.waits(number)) == 3
        assert 3 <= world.told(number).count("waits_for_run") <= 6, "each when it works, and when it watches"
        assert sum("waits for run" in one for one in world.incident(number).tried if "By target" not in one) == 1
    world.is_whole()


def test_pages_wait_no_longer_than_for_a_run_of_its_own_and_code_goes_on_beside() -> None:
    world = two(plan=PLAN.replace("  pay:\n", "  pay:\n    wait for code: 30s\n"), takes="2m")
    world.full_of("cart")
    assert [(page[0], page[2]) for page in world.pages] == [("30s", 2)]
    assert world.incident(2).lifted is Reason.CODE_LIMIT and world.waits(2), "it waits on, and nobody for it"
    world.until("5m").full["main"] = 97
    world.over_of("cart").until("8m")
    assert world.run(2).incident == 2 and not world.run(2).holding and world.done == ["drain", "drain"]
    assert "playbook_beside" in world.told(2)


def test_its_own_time_bounds_it_too() -> None:
    @playbook(name="brief", answers=['alertname="Stuck"'], trust=trust(start="act"), hand_over_after="1m")
    def brief(run: Run, pump: Pump) -> None:
        run.fix(kick, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Waits(fixes, brief)
    world.takes = "3m"
    world.midst.append(lambda: world.full_of("pay", name="Stuck"))
    world.full_of("cart")
    assert ("60s", 2) in [(page[0], page[2]) for page in world.pages]
    assert "Pages have waited 1 min for the turn of brief, and wait no longer" in world.incident(2).tried


def slow_look(world: Waits, takes: str) -> None:
    """The next look takes its time."""
    see, waits = world.carrier.instead[level.name], [takes]

    def looks(pump: Pump) -> object:
        if waits:
            world.passing(world.now + parse_duration(waits.pop()))
        return see(pump)

    world.carrier.instead[level.name] = looks


@pytest.mark.parametrize("by_hand", [False, True])
def test_when_the_other_is_late_it_has_its_turn_in_that_instant_and_nobody_is_called_for_it(by_hand: bool) -> None:
    """Also when its pages' time and that run's are over at once, and its own comes up first."""
    world = Waits(fixes)
    slow_look(world, "6m")
    seen = world.carrier.instead[level.name]

    def looks(pump: Pump) -> object:
        if not any(one.service == "pay" for one in world.engine.state.incidents.values()):
            world.full_of("pay")
        return seen(pump)

    world.carrier.instead[level.name] = looks
    assert world.by_hand("cart").ok if by_hand else world.full_of("cart")
    late, pay = world.run(1), world.run(2)
    assert late.outcome == "handed_over" and pay.service == "pay" and pay.state == "watching"
    assert pay.started_at == late.ended_at == late.deadline
    assert world.incident(pay.incident).lifted is None
    assert [page[2] for page in world.pages] == ([] if by_hand else [1]), "who runs it by hand is there"
    world.is_whole()


def test_a_schedules_run_that_is_late_is_told_of_also_when_an_incident_waits_for_it() -> None:
    """The incident's own time comes up first, and no open incident hears of that run."""

    @playbook(name="nightly", answers=['alertname="Never"'], trust=trust(start="act"), schedule="1 3 * * *")
    def nightly(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Waits(nightly, kicks)
    world.takes = "6m"
    world.midst.append(lambda: world.full_of("pay", name="Stuck"))
    world.until("20m")
    late = world.run(1)
    assert (late.by, late.service, late.outcome) == ("schedule", "cart", "handed_over")
    told = world.incident(late.incident)
    assert told.service == "cart" and told.title.startswith("nightly could not finish: it did not end within 5 min")
    assert told.number in [page[2] for page in world.pages]
    assert world.run(max(world.written)).playbook == "kicks"


# -- what happens while it waits ---------------------------------------------------------------------------------------


def test_time_that_was_given_ends_also_while_pages_wait_for_another_system() -> None:
    world = Waits(fixes, kicks, plan=both_have("a", "b"))
    world.full = {"a": 97, "b": 97}
    world.fires("Full", instance="a", of="cart")
    world.until("1m").fires("Stuck", instance="a", of="pay")
    assert world.run(2).outcome == "not_needed"
    world.until("5m").fires("Full", instance="b", of="pay")
    assert world.run(3).state == "watching" and world.incident(2).hold_until == world.now + 10 * MINUTE
    world.over_of("cart", instance="a").until("14m")
    assert [page[:3:2] for page in world.pages] == [("600s", 2)], "what fires on a is nobody's"
    world.is_whole()


def test_no_page_waits_for_an_answer_also_while_another_system_is_watched() -> None:
    @playbook(name="asks", answers=['alertname="Odd"'], trust=trust(start="ask"))
    def asks(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Waits(fixes, asks, plan=both_have("a", "b"), rung="")
    world.full = {"a": 97, "b": 97}
    world.fires("Odd", instance="a", of="cart")
    world.until("1m").fires("Full", instance="b", of="pay")
    assert world.run(2).state == "watching" and world.incident(2).hold_until
    world.until("2m").fires("Odd", instance="a", of="pay")
    assert world.waits(2) and ("120s", 2) in [page[:3:2] for page in world.pages]


def test_a_shorter_time_to_wait_for_code_counts_at_once() -> None:
    world = two()
    world.full_of("cart").until("1m")
    assert world.pages == []
    world.put_in_force(world.text.replace("  pay:\n", "  pay:\n    wait for code: 30s\n").encode())
    assert [page[2] for page in world.pages] == [2] and world.waits(2)


def test_what_another_run_fixed_has_longer_to_end_when_nothing_could_be_heard() -> None:
    world = Waits(fixes, kicks)
    world.full_of("cart").fires("Stuck", instance="one", of="pay")
    until = world.incident(2).hold_until
    world.until("1m").apply(Deaf(world.now, world.now))
    world.now += 4 * MINUTE
    world.apply(Deaf(world.now - 4 * MINUTE, world.now))
    assert until is not None and world.incident(2).hold_until == until + 4 * MINUTE
    world.is_whole()


def test_what_had_its_time_to_end_has_no_other_however_often_tocsin_starts_again() -> None:
    world = Waits(fixes, kicks)
    world.full_of("cart").fires("Stuck", instance="one", of="pay")
    world.until("1m").silences('of="pay"', for_="3h")
    world.over_of("cart").until("3h").comes_back(30 * SECOND)
    assert world.incident(2).hold_until is None
    world.until("3h2m")
    assert [page[:3:2] for page in world.pages if page[2] == 2] == [("10860s", 2)], "when the silence is over"


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("ack", []),
        ("resolve", []),
        ("snooze", []),
        ("silence", []),
        ("over", []),
        ("restart", [2]),
        ("deaf", [2]),
        ("reload", [2]),
        ("no target", []),
        ("no playbook", []),
    ],
)
def test_whatever_happens_while_it_waits(what: str, after: list[int]) -> None:
    world = two()
    world.full_of("cart")
    world.until("30s").full["main"] = 97
    assert len(world.waits(2)) == 1 and world.pages == []
    head, pay = world.text.split("  pay:\n")
    gone = pay.replace("match: ['instance=\"one\"']", "match: ['instance=\"nine\"']")
    happens: dict[str, Callable[[], object]] = {
        "ack": lambda: world.acknowledges(2, "2h"),
        "resolve": lambda: world.resolves_by_hand(2, "2h"),
        "snooze": lambda: world.asked(Snooze(actor="person:ben", incident=2, until=world.now + 120 * MINUTE)),
        "silence": lambda: world.silences('of="pay"', for_="2h"),
        "over": lambda: world.over_of("pay"),
        "restart": lambda: world.comes_back(30 * SECOND),
        "deaf": lambda: world.apply(Deaf(world.now - SECOND, world.now)),
        "reload": lambda: world.put_in_force((world.text + "\n# another\n").encode()),
        "no target": lambda: world.put_in_force(f"{head}  pay:\n{gone}".encode()),
        "no playbook": lambda: world.put_in_force(f"{head}  pay:\n{pay.replace('playbooks: [fixes]', '')}".encode()),
    }
    happens[what]()
    assert bool(world.waits(2)) == bool(after), what
    world.is_whole()
    world.over_of("cart").until("9m")
    runs = [run.incident for run in world.written.values() if run.number > 1 and run.outcome != "blocked"]
    assert runs == after and world.engine.state.waiting == set()
    assert bool([page for page in world.pages if page[2] == 2]) == (what in ("no target", "no playbook"))
    world.is_whole()


def test_what_a_person_stops_does_not_begin_a_moment_later_for_the_incident_that_waited() -> None:
    world = two()
    world.midst += [lambda: world.passing(world.now + SECOND), lambda: world.stops(1)]
    world.full_of("cart").until("1m")
    assert world.outcomes == ["cancelled"] and world.waits(2) == []
    assert world.incident(2).works["fixes main"].why == "cancelled by Ana (run 1, for which it waited)"
    assert sorted(page[2] for page in world.pages) == [1, 2]
    world.is_whole()


def test_what_a_person_ran_and_stops_says_nothing_of_what_code_would_do() -> None:
    world = Waits(fixes)
    world.takes = "2s"
    world.midst += [lambda: world.full_of("pay"), lambda: world.stops(1)]
    world.full["main"] = 97
    assert world.by_hand("cart").ok
    assert world.run(1).outcome == "cancelled" and world.run(2).service == "pay"


def test_trust_that_falls_while_it_waits_counts_at_once() -> None:
    world = two()
    world.full_of("cart").until("10s")
    assert world.pages == []
    to = SetTrust(actor="person:ana", service="pay", playbook="fixes", rung="suggest", why="a test", role="admin")
    assert world.asked(to).ok
    assert [page[:3:2] for page in world.pages] == [("10s", 2)], "no page waits for what changes nothing"


def test_pages_wait_as_long_as_is_written_also_for_what_takes_an_hour() -> None:
    @playbook(name="slow", answers=FULL, trust=trust(start="act"), hand_over_after="1h")
    def slow(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = two(slow, takes="10m")
    world.midst.append(lambda: world.until("35m").fires("Full", instance="one", of="pay", part="joins"))
    world.full_of("cart")
    assert world.pages == [] and world.outcomes == ["watching"]


def test_killed_at_every_point_of_the_run_it_waits_for_it_is_the_same() -> None:
    whole = two()
    whole.full_of("cart")
    for point in range(1, whole.carrier.points + 1):
        world = two()
        world.carrier.kill_at = point
        world.full_of("cart")
        world.over_of("cart").over_of("pay").until("20m")
        assert world.pages == [] or world.run(1).outcome == "handed_over", point
        assert world.engine.state.waiting == set() and not world.incident(2).open
        world.is_whole()


# -- a watch -----------------------------------------------------------------------------------------------------------


def test_another_playbook_for_another_alert_does_not_wait_for_a_watch_and_the_watch_is_no_evidence_then() -> None:
    world = Waits(fixes, kicks)
    world.full_of("cart")
    assert world.run(1).state == "watching"
    held = world.engine.state.standings["cart", "fixes"].held
    world.until("20s").full_of("pay", name="Stuck")
    assert world.done == ["drain", "kick"] and world.run(2).state == "watching" and world.pages == []
    assert world.run(1).spoilt_by == 2 and "changed_beside" in world.told(1)
    world.over_of("cart").over_of("pay", name="Stuck").until("10m")
    assert world.outcomes == ["overtaken", "verified"]
    assert world.run(1).why == "it was fixed and verified, and the alerts ended; run 2 changed something there too"
    assert world.engine.state.standings["cart", "fixes"].held == held and world.rung("fixes") == "act"
    world.is_whole()


def test_a_watch_that_another_change_spoilt_and_that_ends_in_vain_is_nobodys_failure() -> None:
    world = Waits(fixes, kicks)
    world.full_of("cart")
    world.until("20s").full_of("pay", name="Stuck").over_of("pay", name="Stuck").until("15m")
    assert world.run(1).outcome == "handed_over" and not world.run(1).failed and world.rung("fixes") == "act"
    assert [page[2] for page in world.pages] == [1, 1]


def test_code_that_finds_nothing_to_fix_where_another_run_just_fixed_it_gives_the_alert_time_to_end() -> None:
    world = Waits(fixes, kicks)
    world.full_of("cart")
    world.fires("Stuck", instance="one", of="pay")
    assert world.run(2).outcome == "not_needed" and world.pages == []
    assert world.incident(2).paused is Reason.PLAYBOOK_VERIFIED
    world.is_whole()
    world.comes_back()
    world.until("9m")
    assert [page[2] for page in world.pages] == []
    world.until("11m")
    assert sorted(page[2] for page in world.pages) == [1, 2], "neither of them ended"


def test_what_is_heard_long_after_a_fix_held_is_new_trouble_and_does_not_wait_for_its_watch() -> None:
    world = Waits(fixes)
    world.full_of("cart").until("3m").full_of("pay")
    assert world.done == ["drain", "drain"] and world.run(1).spoilt_by == 2 and world.pages == []


def test_what_is_watched_rests_from_when_it_held() -> None:
    rests: list[Guard] = [cooldown("10m")]

    @playbook(name="calm", answers=FULL, trust=trust(start="act"), guards=rests)
    def calm(run: Run, pump: Pump) -> None:
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Waits(calm)
    world.full_of("cart").until("3m").full_of("pay")
    assert world.done == ["drain"] and [page[2] for page in world.pages] == [2]
    why = "its last change was less than 10 min ago; 7 min left"
    assert world.incident(2).works["calm main"].why == why
    assert world.by_hand(name="calm").message == f"Not now: {why}"


def test_a_person_is_never_kept_by_a_watch_and_always_by_a_run_that_works() -> None:
    world = Waits(fixes)
    world.takes = "2s"
    refused = seen_at(world, lambda: world.by_hand().message)
    world.full_of("cart")
    assert refused == ["Not now: run 1 of fixes works on cart/main, which is pay/main too"]
    assert world.run(1).state == "watching"
    world.until("1m").full["main"] = 97
    begun = world.by_hand()
    assert begun.ok and world.run(1).spoilt_by == int(begun.id)
    told = world.run(int(begun.id)).findings[0]
    assert told.startswith("Run 1 of fixes watches what it fixed on cart/main, which is pay/main too: its watch says")
    world.until("90s").full["main"] = 97
    assert world.by_hand("cart", incident=1).ok, "for its own incident too"
    world.over_of("cart").until("9m")
    assert world.run(1).outcome == "overtaken" and world.pages == []
    world.is_whole()


# -- a question --------------------------------------------------------------------------------------------------------


def asks_first(**said: Any) -> Waits:
    @playbook(name="asks", answers=['alertname="Odd"'], trust=trust(start="ask", **{"within": "30m"} | said))
    def asks(run: Run, pump: Pump) -> None:
        run.look(level, pump)
        run.fix(drain, pump)
        run.verify(level, pump, until=lambda now: now.full < 80, within="1m")

    world = Waits(asks, kicks, rung="")
    world.full_of("cart", name="Odd")
    assert world.run(1).state == "asking" and [page[2] for page in world.pages] == [1]
    return world


def test_a_question_keeps_no_other_playbook_and_is_asked_anew_after_what_that_changed() -> None:
    world = asks_first()
    shown = weigh(world.engine.state, world.engine.plan, world.now, "pay", "kicks")
    assert shown is not None and shown.each[0].no == "" and "run 1 of asks asks" in shown.each[0].left[0].now
    world.until("10s").full_of("pay", name="Stuck")
    assert world.done == ["kick"] and world.run(2).incident == 2
    assert [page[2] for page in world.pages] == [1], "pay woke nobody"
    assert world.run(1).outcome == "overtaken" and "its question was withdrawn" in world.run(1).why
    assert world.run(3).state == "asking" and world.run(3).incident == 1, "it looked anew"
    assert world.says(3, "yes").ok and world.done == ["kick", "drain"]
    world.is_whole()


def test_the_same_playbook_asks_once_about_a_system() -> None:
    world = asks_first()
    world.until("10s").full_of("pay", name="Odd")
    assert [page[2] for page in world.pages] == [1, 2], "who is to answer is called for both"
    on = "cart/main, which is pay/main too"
    assert world.waits(2) == [f"asks waits for run 1 of asks, which asks before it changes {on}"]
    assert world.waits(2)[0] in world.incident(2).tried
    seen = seen_at(world, lambda: world.waits(2))
    assert world.says(1, "yes").ok and world.run(1).state == "watching"
    assert seen == [[f"asks waits for run 1 of asks, which works on {on}"]], "it has its answer"
    world.over_of("pay", name="Odd").over_of("cart", name="Odd").until("10m")
    assert world.outcomes == ["verified"] and not world.incident(2).open
    world.is_whole()


def test_a_no_counts_for_the_incident_that_waited_for_the_answer() -> None:
    world = asks_first()
    world.until("10s").full_of("pay", name="Odd")
    assert world.says(1, "no").ok
    assert world.outcomes == ["cancelled"] and world.waits(2) == []
    why = "Ana said no to playground.drain(main) (run 1, for which it waited)"
    assert world.incident(2).works["asks main"].why == why and f"asks was not run: {why}" in world.incident(2).tried
    world.is_whole()


def test_a_yes_is_not_taken_while_another_run_works_there() -> None:
    world = asks_first()
    answers: list[Result] = []
    see = world.carrier.instead[level.name]

    def looks(pump: Pump) -> object:
        if len(answers) < 1 and world.done == [] and 2 in world.engine.state.runs:
            answers.append(world.says(1, "yes"))
        return see(pump)

    world.carrier.instead[level.name] = looks
    world.full_of("pay", name="Stuck")
    assert [one.code for one in answers] == ["conflict"] and world.done == ["kick"]
    assert answers[0].message.startswith("Not now: run 2 of kicks works on pay/main")
    assert world.run(3).state == "asking" and world.run(3).incident == 1


def test_what_nobody_answered_is_no_yes_while_another_run_works_there() -> None:
    world = asks_first(within="1m", default="yes")
    world.until("50s")
    slow_look(world, "30s")
    world.full_of("pay", name="Stuck")
    assert world.run(1).outcome == "overtaken" and world.run(1).ended_at == world.run(1).started_at + MINUTE
    assert world.done == ["kick"] and world.run(3).incident == 1 and world.run(3).state == "asking"
    world.until("10m")
    assert world.done == ["kick", "drain"], "nobody works there any more"
