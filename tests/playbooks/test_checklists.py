"""Runbooks as checklists: what is read of them, and what people tick on an incident, in virtual time."""

from __future__ import annotations

import pytest

from tests.engine.world import World, dump
from tocsin.engine import commands as c
from tocsin.notation.findings import Findings
from tocsin.plan import read_plan
from tocsin.plan.checklists import read_checklists
from tocsin.plan.model import Plan
from tocsin.playbooks.checklist import shown

RUNBOOK = """\
---
answers: ['alertname="CartDown"']
---
# The cart is down

Some words that are no step.

## Look

- [ ] Open the dashboard: [cart](https://grafana.example/cart)
- [x] Count the workers

      ps -C cart-worker | wc -l

## Mend
1. [ ] Restart one worker

   ```
   # [ ] this is no step, nor a heading
   systemctl restart cart@1
   ```
2. [ ] Restart one worker
* [ ] Tell support
Not below it any more.
"""
PLAN = """\
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
mail: {server: "smtp://localhost:25", from: t@shop.example}
services:
  cart: {playbooks: [cart-down, anything]}
  bank: {}
routes:
  - {match: ['alertname="CartDown"'], service: cart}
  - {match: ['alertname="CartSlow"'], service: cart}
  - {match: ['alertname="BankDown"'], service: bank}
"""
FILES = {"playbooks/cart-down.md": RUNBOOK, "playbooks/anything.md": "# Whatever it is\n- [ ] Breathe\n"}


class Shop(World):
    """A world with two runbooks."""

    def read(self, plan: bytes) -> Plan:
        reading = read_plan({"tocsin.yaml": plan, **{name: text.encode() for name, text in FILES.items()}})
        assert reading.plan is not None, reading.findings
        return reading.plan

    def steps(self, number: int = 1) -> list[str]:
        plan, incident = self.engine.plan, self.incident(number)
        return [
            f"{'x' if one.tick else ' '} {one.item.text}"
            for name in incident.checklists
            for one in shown(plan.checklists.get(name), incident.ticks.get(name, {}))
        ]

    def id(self, text: str) -> str:
        return next(one.id for one in self.engine.plan.checklists["cart-down"].items if one.text == text)


def ticks(world: Shop, step: str, actor: str = "person:ana", checklist: str = "cart-down") -> c.Result:
    return world.asked(c.TickStep(actor=actor, incident=1, checklist=checklist, step=step))


def test_headings_tasks_and_what_stands_below_them_are_read():
    (found,) = read_checklists({"playbooks/cart-down.md": RUNBOOK.encode()}, Findings())
    assert (found.name, found.title, found.file) == ("cart-down", "The cart is down", "playbooks/cart-down.md")
    assert [(one.line, one.under, one.text) for one in found.items] == [
        (10, "Look", "Open the dashboard: [cart](https://grafana.example/cart)"),
        (11, "Look", "Count the workers"),
        (16, "Mend", "Restart one worker"),
        (22, "Mend", "Restart one worker"),
        (23, "Mend", "Tell support"),
    ]
    assert found.items[1].detail == "ps -C cart-worker | wc -l"
    assert found.items[2].detail == "# [ ] this is no step, nor a heading\nsystemctl restart cart@1"
    assert found.items[4].detail == ""
    assert len({one.id for one in found.items}) == 5
    moved = RUNBOOK.replace("- [x] Count the workers", "- [ ] Sit down\n- [ ] Count the workers")
    (after,) = read_checklists({"playbooks/cart-down.md": moved.encode()}, Findings())
    assert {one.id for one in found.items} < {one.id for one in after.items}, "what is ticked stays ticked"


def findings(**files: str) -> list[tuple[str, int, str, str]]:
    made = {f"playbooks/{name.replace('_', '-')}.md": text.encode() for name, text in files.items()}
    plan = PLAN.replace("cart-down, anything", ", ".join(name.replace("_", "-") for name in files))
    found = read_plan({"tocsin.yaml": plan.encode(), **made}).findings
    return [(one.level, one.line, one.message, one.hint) for one in found if one.file.endswith(".md")]


@pytest.mark.parametrize(
    ("text", "level", "line", "message"),
    [
        ("# Only words\n", "warning", 1, "no step to tick"),
        ("---\nanswers: ['alertname=']\nnever ends\n", "error", 1, "has no end"),
        ("---\nanswer: ['alertname=\"X\"']\n---\n- [ ] a\n", "error", 2, "unknown key 'answer'"),
        ("- [ ] a\n- [ ] Restart: [go](playbook:restart)\n", "error", 2, "runs an unknown playbook 'restart'"),
        ("- [ ] [a](playbook:x) and [b](playbook:y)\n", "error", 1, "names two playbooks"),
        (f"- [ ] {'a' * 501}\n", "error", 1, "more than 500 characters"),
        ("- [ ] a\n" * 201, "error", 201, "at most 200 steps"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_runbook_has_its_line(text: str, level: str, line: int, message: str):
    assert any((one[0], one[1]) == (level, line) and message in one[2] for one in findings(it=text)), findings(it=text)


def test_an_incident_says_which_checklists_are_for_it():
    world = Shop(PLAN.encode())
    world.fires("CartDown")
    assert world.incident(1).checklists == ("cart-down", "anything")
    assert world.told(1).count("checklist_fits") == 2
    world.fires("BankDown")
    assert world.incident(2).checklists == ()
    world.fires("CartSlow")
    assert world.incident(3).checklists == ("anything",)
    assert world.pages, "and nobody is paged less for it"


def test_steps_are_ticked_by_name_and_taken_back_with_a_reason():
    world = Shop(PLAN.encode())
    world.fires("CartDown")
    world.at("2m")
    first, tell = world.id("Count the workers"), world.id("Tell support")
    assert ticks(world, first).ok and ticks(world, tell, "person:ben").ok
    assert world.steps()[1] == "x Count the workers" and world.steps()[4] == "x Tell support"
    done = world.incident(1).ticks["cart-down"][first]
    assert (done.by, done.at) == ("person:ana", world.now)
    assert world.told(1).count("ticked") == 2

    assert ticks(world, first).ok and world.told(1).count("ticked") == 2, "once is enough"
    taken = ticks(world, first, "person:ben")
    assert (taken.ok, taken.code) == (False, "conflict") and "Ana has ticked it already" in taken.message
    assert ticks(world, "nope").code == "not_found" and ticks(world, first, checklist="nope").code == "not_found"

    def undo(step: str, why: str) -> c.Result:
        return world.asked(
            c.UntickStep(actor="person:ben", incident=1, checklist="cart-down", step=step, why=why)
        )

    assert undo(first, " ").code == "invalid" and undo("nope", "x").code == "not_found"
    assert undo(first, "they were zombies").ok and world.steps()[1] == "  Count the workers"
    assert undo(first, "again").code == "conflict"
    started = world.asked(c.StartRun(actor="person:ana", playbook="cart-down", incident=1))
    assert started.code == "invalid" and "is a checklist" in started.message
    assert world.told(1).count("unticked") == 1
    assert dump(world.restarted().engine.state)
    assert world.steps()[4] == "x Tell support"
    world.asked(c.Resolve(actor="person:ana", incident=1))
    assert ticks(world, first).code == "conflict"


def test_what_is_back_begins_with_nothing_ticked():
    """What somebody did the last time is not done: whoever is paged now reads no "done", and may tick it."""
    world = Shop(PLAN.encode())
    world.fires("CartDown")
    world.at("2m")
    tell = world.id("Tell support")
    assert ticks(world, tell, "person:ana").ok and "x Tell support" in world.steps()
    world.resolves("CartDown")
    world.at("10m")
    assert world.incident(1).state == "resolved"
    world.fires("CartDown")
    world.at("11m")
    assert world.incident(1).reopened == 1 and world.incident(1).checklists == ("cart-down", "anything")
    assert world.steps() and not any(one.startswith("x") for one in world.steps())
    assert world.told(1).count("checklist_fits") == 4, "each is said anew"
    assert ticks(world, tell, "person:ben").ok
    assert world.incident(1).ticks["cart-down"][tell].by == "person:ben"


def test_a_step_that_the_plan_has_no_more_stays_with_whoever_did_it(monkeypatch: pytest.MonkeyPatch):
    world = Shop(PLAN.encode())
    world.fires("CartDown")
    ticks(world, world.id("Tell support"))
    monkeypatch.setitem(FILES, "playbooks/cart-down.md", RUNBOOK.replace("Tell support", "Write to support"))
    world.put_in_force((PLAN + "# edited\n").encode())
    assert world.steps()[4:6] == ["  Write to support", "x Tell support"]
    assert dump(world.engine.state)


def test_a_checklist_is_an_answer_after_code_and_before_nothing():
    plan = Shop(PLAN.encode()).engine.plan
    found = plan.covered()
    assert [(one.service, one.rule, one.answer, one.playbook) for one in found] == [
        ("bank", 'alertname="BankDown"', "nothing", ""),
        ("cart", 'alertname="CartDown"', "checklist", "cart-down"),
        ("cart", 'alertname="CartSlow"', "checklist", "anything"),
        ("inbox", "any", "nothing", ""),
    ]
