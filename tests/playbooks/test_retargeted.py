"""Trust stands on what a playbook may do: on its code, and on what the plan says of its targets."""

from __future__ import annotations

import msgspec
import pytest

from tests.plan.written import read
from tests.playbooks.playground import Playground, Pump, Run, drain, level
from tocsin.playbooks.language import playbook
from tocsin.playbooks.targets import Target
from tocsin.playbooks.trust import MOST_TARGETS, START, Standing, retargeted, said_of

PLAN = """
tocsin: 1
people: {ana: {}}
services:
  files:
    targets:
      %s
"""
LOGS = "logs: {folder: /srv/app/logs, delete: ['*.log'], match: ['disk=\"a\"']}"
WEB = "{http: {at: 'http://%s/', restart: [restart, web]}, look with: secret:%s}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxvbmdlbm91Z2hmb3JhaG9zdGtleXRoaXNpcw=="
HOST = "{ssh: {host: %s, user: watcher, host key: '" + KEY + "'}, look with: secret:k}"


def targets(*written: str) -> tuple[Target, ...]:
    reading = read(tocsin=PLAN % "\n      ".join(written))
    assert reading.plan is not None, reading.findings
    return reading.plan.targets


def why(before: list[str], now: list[str]) -> str:
    return retargeted(said_of(targets(*before)), said_of(targets(*now)))


@pytest.mark.parametrize(
    "now",
    [
        LOGS.replace("*.log", "*"),
        LOGS.replace("'*.log'", "'*.log', '*.old'"),
        LOGS.replace("/srv/app/logs", "/srv/app"),
        LOGS.replace(", match: ['disk=\"a\"']", ""),
        LOGS.replace("delete", "rotate: [rm, -rf, /srv], delete"),
    ],
)
def test_a_target_that_says_something_else_is_told(now: str) -> None:
    assert why([LOGS], [now]) == "the plan says something else of its target logs"


def test_how_it_is_written_is_no_matter_nor_which_fellows_an_instance_has() -> None:
    flow = LOGS.replace("{folder", "{  folder").replace("['*.log']", '"*.log"')
    assert why([LOGS], ["logs:  # ours\n        " + flow[6:]]) == ""
    one, other = (f"{name}: {WEB % (name, name)}" for name in ("a", "b"))
    assert why([one], [one, other]) == "" == why([one, other], [one])


def test_another_of_which_as_much_is_said_is_no_change_and_one_that_may_do_more_is() -> None:
    more = "dumps: {folder: /srv/dumps, delete: [%s]}"
    assert why([LOGS], [LOGS, more % "'*.log'"]) == ""
    assert why([LOGS], [LOGS, more % "'*'"]) == "the plan lets it do at dumps what it could do nowhere"
    assert why([LOGS], [more % "'*'"]) == "the plan lets it do at dumps what it could do nowhere"
    assert why([LOGS, more % "'*'"], [LOGS]) == "", "what it may do no more is no reason"
    assert why([f"a: {HOST % 'a'}"], [f"a: {HOST % 'a'}", f"b: {HOST % 'b'}"]) == ""
    assert "its target main" in why(["main: {redis: secret:a}"], ["main: {redis: secret:a, fix with: secret:b}"])


def test_of_many_that_say_something_else_the_first_are_named_and_the_others_counted() -> None:
    names = [f"t{n}" for n in range(10)]
    before, now = ([f"{name}: {WEB % (name, secret)}" for name in names] for secret in ("a", "b"))
    assert why(before, now) == "the plan says something else of its targets t0 and t1 and t2 and 7 more"
    assert why(before[:3], now[:3]) == "the plan says something else of its targets t0 and t1 and t2"


def test_of_very_many_it_is_kept_what_may_be_done_alone() -> None:
    def fleet(number: int, may: str = "m") -> list[Target]:
        many = range(number)
        return [Target(service="s", name=f"t{n}", kind="box", reading="r", says=f"s{n}", may=may) for n in many]

    few, many = said_of(fleet(MOST_TARGETS)), said_of(fleet(MOST_TARGETS + 1))
    assert len(few) == MOST_TARGETS + 1 and len(many) == 2
    assert retargeted(few, many) == "" == retargeted(many, few)
    wider = said_of([*fleet(MOST_TARGETS + 1), *fleet(1, "more")])
    assert retargeted(many, wider) == "the plan lets it do at others what it could do nowhere"


# -- in force ----------------------------------------------------------------------------------------------------------


@playbook(name="drains-some")
def drains_some(run: Run, pump: Pump) -> None:
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


class Author(Playground):
    """Whoever edits the targets of a plan."""

    def __init__(self) -> None:
        super().__init__(drains_some, rung="")

    def edits(self, was: str, now: str) -> None:
        assert self.text.count(was) == 1
        self.text = self.text.replace(was, now)
        self.put_in_force(self.text.encode())

    @property
    def stands(self) -> str:
        return self.rung("drains-some")

    @property
    def standing(self) -> Standing:
        return self.engine.state.standings["cart", "drains-some"]


MAIN = """fix with: secret:rw, match: ['instance="cart-1"']"""


def test_trust_falls_by_a_step_when_a_target_says_something_else_and_not_for_its_layout() -> None:
    world = Author()
    world.trusts("drains-some", "act")
    world.edits(MAIN, MAIN.replace(": ", ":   ") + "  ")
    assert world.stands == "act"
    world.edits("match:   ['instance=\"cart-1\"']  ", "match: ['instance=~\".+\"']")
    assert world.stands == "ask"
    assert world.standing.because == "the plan says something else of its target main"
    world.edits("services:", "services:  # the same once more")
    assert world.stands == "ask"
    assert world.replayed().state.standings["cart", "drains-some"] == world.standing


def test_what_nobody_has_said_a_word_about_is_written_in_peace() -> None:
    world = Author()
    world.edits("instance=\"cart-1\"", "instance=~\".+\"")
    assert (world.stands, world.standing.because) == ("ask", START)


def test_an_upgrade_lowers_nothing_and_counts_from_then_on() -> None:
    world = Author()
    world.trusts("drains-some", "act")
    for standing in (world.standing, *world.engine.state.standings.values()):
        standing.targets = None  # as an older version wrote it
        world.tables["standings"]["cart", "drains-some"] = (Standing, msgspec.json.encode(standing))
    world.comes_back()
    assert world.stands == "act" and world.standing.targets
    world.edits("instance=\"cart-1\"", "instance=~\".+\"")
    assert world.stands == "ask"
    by_another_rule = world.standing.targets | {"": "0"}
    assert retargeted(by_another_rule, said_of(world.engine.plan.bindings.of("cart").values())) == ""
