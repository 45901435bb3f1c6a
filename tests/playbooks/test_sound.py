"""What can be seen to be wrong with a playbook's code is said before it runs, and nothing else is."""

from __future__ import annotations

import ast
import sys
from textwrap import indent
from types import ModuleType

import pytest

from tocsin.kernel.instant import MINUTE
from tocsin.playbooks.runner.calls import Unsound
from tocsin.playbooks.runner.sound import unsound

HEAD = """
from typing import ClassVar
from msgspec import Struct
from tocsin import Run, Span, Target, Failed, fix, look, playbook
from tocsin.library import redis

class Pump(Target, frozen=True):
    kind: ClassVar[str] = "pump"

class Level(Struct, frozen=True):
    full: int
    @property
    def half(self) -> bool:
        return self.full > 50
    def drained(self, by: int = 1) -> bool: ...

@look
def level(pump: Pump, *, deep: bool = False) -> Level: ...
@look
def plain(pump: Pump): ...
@fix
def drain(pump: Pump, by: int = 1, *, older_than: Span = "1d") -> int: ...
@fix
def absent(pump: "Pumpe") -> None: ...
@fix
def several(*pumps: Pump, named: "list[Pump]" = ()) -> None: ...
@fix
def bare(pump): ...
WEEK, OLD = "a week", "7d"
def helper(run: Run, pump: Pump) -> None: ...

def body(run: Run, pump: Pump, keys: str = "") -> None:
"""
AGAIN = "        continue\n    break\nelse:\n    run.hand_over('no')"
VERIFY = 'run.verify(level, pump, until=lambda now: now.full < 80, within="2m")'


def found(body: str) -> list[Unsound]:
    """What is found in a playbook's body."""
    text = HEAD + indent(body, "    ")
    module = ModuleType("playbooks_sound")
    sys.modules[module.__name__] = module
    exec(compile(text, "sound.py", "exec"), vars(module))
    code = next(one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and one.name == "body")
    return unsound(code, module, 5 * MINUTE)


def faults(body: str) -> list[str]:
    """It, as it is told; warnings say so."""
    return ["warning: " * one.warns + one.message + (f" ({one.hint})" if one.hint else "") for one in found(body)]


OPEN = "it ends after this fix with nothing verified"
PERHAPS = "warning: it may end after this fix with nothing verified"


@pytest.mark.parametrize(
    "body",
    [
        "run.look(level, pump)",
        f"run.fix(several, pump, pump, named=[pump])\nrun.fix(bare, pump)\n{VERIFY}",
        "helper(run, pump)\nlevel(pump)",
        f"run.fix(drain, pump)\n{VERIFY}",
        f"a = run.look(level, pump, deep=True)\nif a.full < 5 and a.half:\n    run.hand_over('no', a)\n{VERIFY}",
        f"for by in (1, 2):\n    run.fix(drain, pump, by)\n{VERIFY}",
        f"for by in (1, 2):\n    run.fix(drain, pump, by)\n    {VERIFY}",
        f"while True:\n    run.fix(drain, pump)\n    {VERIFY}\n    if run.look(level, pump).full < 9:\n        break",
        "run.fix(drain, pump)\nrun.hand_over('look at it', next='see')",
        "run.fix(drain, pump)\nraise ValueError",
        f"try:\n    run.fix(drain, pump)\nexcept Failed:\n    run.hand_over('no')\n{VERIFY}",
        f"try:\n    run.fix(drain, pump)\n    return\nfinally:\n    {VERIFY}",
        f"if run.ask('sure?') == 'no':\n    return\nrun.fix(drain, pump)\nif keys:\n    {VERIFY}\nelse:\n    {VERIFY}",
        f"match keys:\n    case 'a':\n        run.fix(drain, pump)\n    case _:\n        run.tell('nothing')\n{VERIFY}",
        "run.fix(drain, pump)\nhelper(run, pump)",
        "what = drain\nrun.fix(what, pump, nobody='knows')\nhelper(run, pump)",
        f"run.fix(drain, pump, older_than=OLD)\nrun.fix(drain, pump, older_than=keys)\n{VERIFY}",
        "args = (1,)\nrun.fix(drain, pump, *args)\n" + VERIFY,
        "found = run.look(plain, pump)\nfound.anything",
        "now = run.look(level, pump)\nnow = 3\nnow.real",
        f"if False:\n    run.fix(drain, pump)\n{VERIFY}",
        "from tocsin.library import disk\nrun.look(disk.usage, pump)",
        "import tocsin.library.disk as where\nrun.look(where.usage, pump)",
        "@look\ndef near(pump: Pump) -> int: ...\nrun.look(near, pump)",
        "match keys:\n    case str() as one:\n        run.look(one, pump)",
        "match keys:\n    case [*those]:\n        run.look(those, pump)",
        "match keys:\n    case {**rest}:\n        run.look(rest, pump)",
        "now = run.look(level, pump)\ntry:\n    pass\nexcept Failed as now:\n    now.anything",
        f"def check() -> None:\n    {VERIFY}\nrun.fix(drain, pump)\ncheck()",
        f"check = lambda: {VERIFY}\nrun.fix(drain, pump)\ncheck()",
        f"def check() -> None:\n    {VERIFY}\ndef all() -> None:\n    check()\nrun.fix(drain, pump)\nall()",
        f"def check() -> None:\n    {VERIFY}\nfor one in (check,):\n    run.fix(drain, pump)\n    one()",
        f"def check() -> None:\n    {VERIFY}\nrun.fix(drain, pump)\nhelper.again(check)",
        "verify = run.verify\nrun.fix(drain, pump)\nverify(level, pump, until=keys, within='2m')",
        "act = lambda: run.fix(drain, pump)\nif keys:\n    act()",
        "def act() -> None:\n    run.fix(drain, pump)\nif keys:\n    act()",
        "with helper(run):\n    run.fix(drain, pump)",
        f"class Check:\n    def now(self):\n        {VERIFY}\ncheck = Check()\nrun.fix(drain, pump)\ncheck.now()",
        f"run.fix(drain, pump)\nfor one in (pump, keys):\n    {VERIFY}",
        f"for by in keys:\n    run.fix(drain, pump)\n    try:\n        {VERIFY}\n    except Failed:\n{AGAIN}",
        "run.fix(drain, pump)\nhelper(pump, told=[run.tell])",
    ],
)  # fmt: skip
def test_what_is_sound_is_let_pass(body: str) -> None:
    assert faults(body) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (f"{VERIFY}\nrun.fix(drain, pump)", OPEN),
        (f"run.fix(drain, pump)\nif keys:\n    {VERIFY}", PERHAPS),
        (f"for one in keys:\n    run.fix(drain, pump)\nfor one in keys:\n    {VERIFY}", PERHAPS),
        (f"done = False\nif keys:\n    run.fix(drain, pump)\n    done = True\nif done:\n    {VERIFY}", PERHAPS),
        (f"run.fix(drain, pump)\nif keys:\n    run.fix(drain, pump)\n    {VERIFY}", PERHAPS),
        ("run.fix(drain, pump)\nif keys:\n    run.hand_over('no')", OPEN),
        (f"for one in keys:\n    run.fix(drain, pump)\n    if keys:\n        continue\n    {VERIFY}", PERHAPS),
        (f"while True:\n    run.fix(drain, pump)\n    if keys:\n        break\n    {VERIFY}", PERHAPS),
        (f"run.fix(drain, pump)\nfor one in (*keys,):\n    {VERIFY}", PERHAPS),
        ("try:\n    run.tell('a')\nfinally:\n    run.fix(drain, pump)", OPEN),
        ("run.fix(drain, pump)\nstr(run.about.title)\nhelper(pump)", OPEN),
        (f"def never() -> None:\n    {VERIFY}\nrun.fix(drain, pump)", OPEN),
        (f"run.fix(drain, pump)\nif False:\n    {VERIFY}", OPEN),
        (f"run.fix(drain, pump)\nfor one in keys:\n    {VERIFY}", PERHAPS),
        (f"run.fix(drain, pump)\nif keys:\n    return\n{VERIFY}", PERHAPS),
        (f"for by in (1, 2):\n    {VERIFY}\n    run.fix(drain, pump)", PERHAPS),
        (f"while keys:\n    run.fix(drain, pump)\n    if keys == 'x':\n        break\n    {VERIFY}", PERHAPS),
        (f"try:\n    run.fix(drain, pump)\n    {VERIFY}\nexcept Failed:\n    run.tell('never mind')", PERHAPS),
        (f"match keys:\n    case 'a':\n        {VERIFY}\n        run.fix(drain, pump)", OPEN),
        ("run.fixx(drain, pump)", "a run has no fixx (did you mean fix?)"),
        ("run.look(levle, pump)", "run.look: there is no levle (did you mean level?)"),
        ("run.look(redis.memroy, pump)", "run.look: redis has no memroy (did you mean memory?)"),
        (f"drain(pump)\n{VERIFY}", "drain is called without the run (write run.fix(drain, …))"),
        ("redis.expire(pump, ())", "redis.expire is called without the run (write run.fix(redis.expire, …))"),
        ("run.look(helper, pump)", "helper is neither a look nor a fix (declare it with @look or @fix)"),
        ("run.look(len, pump)", "len is neither a look nor a fix (declare it with @look or @fix)"),
        ("run.look(drain, pump)", "run.look: playbooks_sound.drain changes something (write run.fix(drain, …))"),
        (f"run.fix(level, pump)\n{VERIFY}", "run.fix: playbooks_sound.level only looks (write run.look(level, …))"),
        ("run.look(level)", "playbooks_sound.level: missing a required argument: 'pump' (it takes pump, deep)"),
        (f"run.fix(drain, pump, older_then='1d')\n{VERIFY}", "drain takes no older_then (did you mean older_than?)"),
        ("run.verify(level, pump, within='2m')", "run.verify needs until"),
        ("run.verify(level, pump, until=lambda now: True, within='2m')", "until is True whatever is seen"),
        ("run.verify(level, pump, until=lambda now: now.ful, within='2m')", "Level has no ful (did you mean full?)"),
        ("run.verify(level, pump, until=lambda n: n.half, within='2 m')", "within: '2 m' is not a duration"),
        ("run.verify(level, pump, until=lambda n: n.half, within='0s')", "within is more than nothing"),
        ("run.verify(level, pump, until=lambda n: n.half, within='6m')", "a person is called after 5 min"),
        (f"run.fix(drain, pump, older_than='7 days')\n{VERIFY}", "of playbooks_sound.drain: '7 days' is not"),
        (f"run.fix(drain, pump, older_than=WEEK)\n{VERIFY}", "older_than of playbooks_sound.drain: 'a week' is not"),
        (f"run.fix(drain, pump, older_than=7)\n{VERIFY}", "older_than of playbooks_sound.drain: 7 is no text"),
        (f"run.fix(drain, 'main')\n{VERIFY}", "drain takes a Pump as pump, one of the playbook's targets, and is"),
        (f"run.fix(drain, pump=WEEK)\n{VERIFY}", "as pump, one of the playbook's targets, and is given 'a week'"),
        ("run.look(level, 5)", "level takes a Pump as pump, one of the playbook's targets, and is given 5"),
        (f"run.fix(absent, 'main')\n{VERIFY}", "cannot be read: NameError: name 'Pumpe' is not defined (import"),
        (f"run.fix(several, pump, 'main')\n{VERIFY}", "takes any number of Pump as pumps, one of the"),
        (f"run.fix(several, pump, named='main')\n{VERIFY}", "takes any number of Pump as named"),
        (f"run.fix(bare, 'main')\n{VERIFY}", "warning: playbooks_sound.bare does not say what pump is: a text may"),
        ("before = run.look(level, pump)\nrun.tell(before.fulll)", "Level has no fulll (did you mean full?)"),
    ],
)  # fmt: skip
def test_what_would_fail_at_night_is_said_before(body: str, said: str) -> None:
    told = faults(body)
    assert len(told) == 1 and said in told[0], told


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("lambda now: (now.half, 'half full')", "until answers (now.half, 'half full'), which is neither yes nor no"),
        ("lambda now: now.drained", "until answers now.drained, which is a function nobody called: now.drained()"),
        ("lambda now: now", "until answers all that is seen, which is neither yes nor no"),
        ("level", "level itself, which is neither yes nor no"),
        ("None", "until is None, which is no function"),
        ("'now.full < 5'", "which is no function"),
        ("OLD", "until is OLD, which is no function"),
        ("lambda now, then: now.half", "until is given one thing, what is seen, and takes something else"),
        ("lambda: True", "until is given one thing"),
        ("helper", "until is given one thing"),
        ("lambda now: now.half, harm=lambda now: (now.full > 90, 'worse')", "harm answers (now.full > 90, 'worse')"),
        ("lambda now: now.full", "warning: run.verify: until may answer now.full, which is neither yes nor no"),
        ("lambda now: now.half and len(str(now))", "warning: run.verify: until may answer len(str(now)), which is"),
        ("lambda now: re.search('0', str(now))", "until may answer re.search('0', str(now)), which"),
        ("lambda now: now.half, harm=lambda now: now.half and 'worse'", "warning: run.verify: harm may answer 'worse'"),
        ("lambda now: now.half, harm=lambda now: 'worse' if now.half else ''", "harm may answer 'worse', which is"),
    ],
)
def test_rules_that_answer_neither_yes_nor_no_are_none(rules: str, said: str) -> None:
    told = faults(f"run.verify(level, pump, within='2m', until={rules})")
    assert len(told) == 1 and said in told[0], told


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("run.ask('x?', within='soon')", "run.ask: within: 'soon' is not a duration"),
        ("run.ask('x?', within=5)", "run.ask: within: '' is not a duration"),
        ("run.ask('x?', choices='yesno')", "run.ask: choices is a text, 'yesno'"),
        ("run.ask()", "run.ask: missing a required argument: 'question'"),
        ("run.tell()", "run.tell: missing a required argument: 'text' (it takes text)"),
        ("run.hand_over()", "run.hand_over: missing a required argument: 'why'"),
        ("run.hand_over('why', nxt='x')", "run.hand_over: got an unexpected keyword argument 'nxt'"),
    ],
)
def test_what_a_person_cannot_be_told_or_asked_is_said_before(body: str, said: str) -> None:
    told = faults(body)
    assert len(told) == 1 and said in told[0], told
    assert faults(f"run.ask('x?', ('a', 'b'), within='5m', default='a')\nrun.tell(keys)\n{VERIFY}") == []


def test_everything_is_said_at_once() -> None:
    assert len(faults("run.fixx(drain, pump)\nrun.fix(drain, pump, older_then='1d')\nrun.look(nothing, pump)")) == 4
