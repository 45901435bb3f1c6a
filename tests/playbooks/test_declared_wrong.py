"""What a playbook declares and cannot be meant is said where it stands, in words, and hides nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.playbooks.test_declaring import GOOD, declared
from tocsin.kernel.matcher import parse_matcher
from tocsin.plan import read_plan
from tocsin.playbooks.language import (
    Misused,
    at_most,
    blast_radius,
    breaker,
    cooldown,
    fix,
    freeze,
    look,
    playbook,
    trust,
    unless,
)
from tocsin.playbooks.manifest import Fault, Frozen, Manifests
from tocsin.playbooks.runner.width import wide

ANSWERS = b"answers=['alertname=\"Full\"']"


async def waits(run: object) -> int:
    return 1


def yields(run: object) -> Any:
    yield 1


def two(about: object, more: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"trust": "act"}, "trust='act' is no trust: write trust=trust(start='act')"),
        ({"trust": 3}, "write trust=trust(start='ask')"),
        ({"hand_over_after": 300}, "hand_over_after is a time such as '30s' or '5m', in quotes, not 300"),
        ({"guards": 5}, "guards=5 is no list: write guards=[…]"),
        ({"answers": {"alertname": "X"}}, "is no list: write answers=[…]"),
        ({"when": "x"}, "when='x' is no function of one thing"),
        ({"when": two}, "is no function of one thing"),
        ({"where": True}, "where=True is no text"),
        ({"schedule": 5}, "schedule=5 is no text"),
    ],
)
def test_an_option_that_is_something_else_is_told_with_what_to_write(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Misused) as told:
        playbook(**given)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: at_most(2.5, per="6h"), "at_most(…) is a whole number, not 2.5"),  # type: ignore[arg-type]
        (lambda: at_most(2, per=6), "at_most(per=…) is a time such as"),  # type: ignore[arg-type]
        (lambda: cooldown(5), "cooldown is a time such as"),  # type: ignore[arg-type]
        (lambda: blast_radius(percent=0.5), "blast_radius(percent=…) is a whole number"),  # type: ignore[arg-type]
        (lambda: breaker(failures=True), "breaker(failures=…) is a whole number"),
        (lambda: unless(["a"]), "unless takes the name of a service"),  # type: ignore[arg-type]
        (lambda: trust(within=5), "trust(within=…) is a time"),  # type: ignore[arg-type]
        (lambda: freeze("Fri 25:00-Mon 08:61"), "are no hours of the week"),
        (lambda: freeze("Fri 24:30-Mon 08:00"), "are no hours of the week"),
        (lambda: look(waits), "waits is written with async def"),
        (lambda: fix(waits), "waits is written with async def"),
        (lambda: look(yields), "yields has a yield"),
        (lambda: playbook()(yields), "yields has a yield"),
        (lambda: playbook()(waits), "waits is written with async def"),  # type: ignore[type-var]
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_declared(call: Any, said: str) -> None:
    with pytest.raises(Misused) as told:
        call()
    assert said in str(told.value)


def test_one_alone_needs_no_list_and_the_end_of_a_day_is_an_hour() -> None:
    one = b"answers='alertname=\"Full\"', severity='sev1'"
    code = GOOD.replace(ANSWERS, one).replace(b'guards=[at_most(3, per="1h")]', b'guards=at_most(3, per="1h")')
    (found,) = declared(code).playbooks
    assert [[str(each) for each in group] for group in found.answers] == [['alertname="Full"']]
    assert found.severities == ("sev1",) and len(found.guards) == 1
    assert freeze("Fri 16:00-Sun 24:00") == Frozen(4 * 1440 + 960, 0, "UTC", "Fri 16:00-Sun 24:00")


def test_each_fault_has_its_own_file_and_hides_no_other() -> None:
    text = b'trust=trust(start="ask")'
    codes = [GOOD.replace(text, b'trust="act"'), GOOD.replace(ANSWERS, b"answers=[5]"), GOOD]
    found = declared(*(code.replace(b'name="good"', b'name="g%d"' % at) for at, code in enumerate(codes)))
    assert [one.name for one in found.playbooks] == ["g2"]
    assert [(one.file, one.line) for one in found.faults] == [("playbooks/p0.py", 15), ("playbooks/p1.py", 15)]


def test_what_cannot_be_written_down_is_a_fault_of_its_own_file() -> None:
    late = b"from tocsin.playbooks.language import declared\nimport msgspec\n"
    late += b"declared[-1] = msgspec.structs.replace(declared[-1], hand_over_to=5)\n"
    found = declared(GOOD + late, GOOD.replace(b'name="good"', b'name="other"'))
    assert [one.name for one in found.playbooks] == ["other"]
    (fault,) = found.faults
    assert (fault.file, fault.line) == ("playbooks/p0.py", 15) and "what good declares cannot be read" in fault.message


TWICE = b"""
@playbook(name="second", answers=['alertname="Second"'])
def good(run: Run, box: Box) -> None:
    run.fix(change, box)
"""


def faults(code: bytes) -> tuple[Fault, ...]:
    found: Manifests = declared(code)
    assert found.faults, found
    return found.faults


def test_two_functions_of_one_name_are_refused_both() -> None:
    found = declared(GOOD + TWICE)
    assert found.playbooks == ()
    assert {one.message for one in found.faults} == {
        "good is written more than once in this file, on lines 16 and 22"
    }


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (b"@playbook(name=", b"@playbook\ndef bare(run: Run) -> None: ...\n@playbook(name=", "with its parentheses"),
        (ANSWERS, b"answers=['alertname=\"A\"', 'alertname=\"B\"']", 'none meets alertname="A" and alertname="B"'),
        (ANSWERS, b"answers=['alertname!=\"\"']", "answers everything"),
        (b"name=", b"schedule='* * * * * *', name=", "it has not five fields"),
        (b"run: Run, box: Box, most: int = 5", b"run: Run, *box: Box", "the parameter *box of good"),
        (b"most: int = 5", b'most: int = "high"', "the default of most is 'high', which is no"),
        (b"most: int = 5", b"most: int = 2.5", "the default of most is 2.5, which is no"),
    ],
)
def test_what_would_be_found_at_night_is_found_by_lint(was: bytes, now: bytes, said: str) -> None:
    first = faults(GOOD.replace(was, now, 1))[0]
    assert said in f"{first.message} ({first.hint})"


def test_a_group_that_may_be_met_is_let_be() -> None:
    assert declared(GOOD.replace(ANSWERS, b"answers=['alertname=\"A\"', 'alertname=~\"A|B\"']")).faults == ()
    assert wide([(parse_matcher('alertname!=""'),)], ["severity"]) is not None


def test_a_cron_line_of_six_fields_is_none_for_a_heartbeat_either() -> None:
    plan = b"tocsin: 1\nteam: a\nservices: {s: {heartbeats: {h: {cron: '0 0 4 * * *', grace: 5m}}}}\n"
    assert any("0 0 4 * * *' is not a cron line" in str(one) for one in read_plan({"tocsin.yaml": plan}).findings)
