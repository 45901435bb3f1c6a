"""What playbooks declare is read in a process of its own; whatever is wrong with one is a finding with a place."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tocsin.plan import read_plan
from tocsin.playbooks.manifest import MANIFEST, Fault, Manifests, read_manifests
from tocsin.playbooks.runner import reading
from tocsin.playbooks.runner.bounds import MOST_MEMORY
from tocsin.playbooks.runner.reach import Code
from tocsin.playbooks.runner.reading import with_manifest

HEAD = b"from tocsin import *\nfrom tocsin import Run, Target, at_most, fix, look, playbook, trust, unless\n"
GOOD = b'''"""Says something."""
from tocsin import Run, Target, at_most, fix, look, playbook, trust

class Box(Target, frozen=True):
    kind = "box"

@look
def see(box: Box) -> int:
    return 1

@fix
def change(box: Box) -> int:
    return 1

@playbook(name="good", answers=['alertname="Full"'], guards=[at_most(3, per="1h")], trust=trust(start="ask"))
def good(run: Run, box: Box, most: int = 5) -> None:
    """Makes it well."""
    run.fix(change, box)
    run.verify(see, box, until=lambda now: now == 1, within="1m")
'''

SEES = b"def see(box: Box) -> int:\n    return 1"
VERIFIES = b'    run.verify(see, box, until=lambda now: now == 1, within="1m")\n'


def declared(*codes: bytes) -> Manifests:
    files = {f"playbooks/p{place}.py": code for place, code in enumerate(codes)}
    return read_manifests(with_manifest(files))


def test_who_calls_a_person_and_suggests_nothing_is_warned_and_runs_all_the_same():
    silent = b'    if run.look(see, box) > 9:\n        run.hand_over("it is over")\n    run.fix(change, box)\n'
    code = GOOD.replace(b"    run.fix(change, box)\n", silent)
    found = declared(code)
    (warned,) = found.faults
    assert warned.warns and warned.message == "run.hand_over suggests nothing to do next" and "next=" in warned.hint
    assert code.splitlines()[warned.line - 1].strip() == b'run.hand_over("it is over")'
    assert [one.name for one in found.playbooks] == ["good"]
    assert declared(code.replace(b'("it is over")', b'("it is over", next="look at it")')).faults == ()


def test_everything_a_playbook_declares_comes_back_as_data():
    (found,) = declared(GOOD).playbooks
    assert (found.name, found.about, found.file, found.line) == ("good", "Makes it well.", "playbooks/p0.py", 15)
    assert [(one.name, one.kind, one.target, one.default) for one in found.params] == [
        ("box", "box", True, ""),
        ("most", "whole number", False, "5"),
    ]
    assert found.fixes and found.trust.start == "ask" and found.matches({"alertname": "Full"}, "sev1")


@pytest.mark.parametrize(
    ("was", "now", "hint"),
    [
        (b"answers=[", b"anwsers=[", "did you mean answers?"),
        (b'per="1h"', b'pre="1h"', "did you mean per?"),
        (b'trust(start="ask")', b'trust(xyz="ask")', "it takes start, ceiling, approve, within, default"),
    ],
)
def test_an_option_that_is_misspelt_has_its_nearest_word(was: bytes, now: bytes, hint: str):
    (fault,) = declared(GOOD.replace(was, now)).faults
    assert "unexpected keyword argument" in fault.message and (fault.line, fault.hint) == (15, hint)


def test_layout_comments_and_trust_change_no_meaning_and_code_does():
    (first,) = declared(GOOD).playbooks
    laid_out = GOOD.replace(b"run.fix(change, box)", b"# now\n    run.fix(\n        change, box,\n    )")
    (same,) = declared(laid_out.replace(b'start="ask"', b'start="act"').replace(b"Makes it well.", b"Other.")).playbooks
    (other,) = declared(GOOD.replace(b'within="1m"', b'within="2m"')).playbooks
    (helper,) = declared(GOOD.replace(SEES, SEES.replace(b"1", b"2"))).playbooks
    assert first.meaning == same.meaning
    assert len({first.meaning, other.meaning, helper.meaning}) == 3


TWO = b"""
@look
def seen_by_other(box: Box) -> int:
    return 5

@playbook(name="other", answers=['alertname="Other"'])
def other(run: Run, box: Box) -> None:
    run.look(seen_by_other, box)
"""
SHARES = GOOD.replace(b"class Box", b"from playbooks.lib.ours import drain\nfrom playbooks import lib\n\nclass Box")
SHARES = SHARES.replace(b"    return 1\n\n@playbook", b"    return drain() + lib.theirs.more()\n\n@playbook")
SHARED = b"AMOUNT = 1\n\ndef drain() -> int:\n    return AMOUNT\n\ndef unused() -> int:\n    return 7\n"


def meanings(files: dict[str, bytes]) -> dict[str, str]:
    found = read_manifests(with_manifest({f"playbooks/{name}": code for name, code in files.items()}))
    assert found.faults == ()
    return {one.name: one.meaning for one in found.playbooks}


def test_the_code_a_playbook_can_reach_is_its_meaning_in_whatever_file_it_lies():
    """A fix may lie in a module of its own, or in another playbook's: edited, it is another fix."""
    files = {
        "good.py": SHARES + TWO,
        "lib/__init__.py": b"from playbooks.lib import theirs\n",
        "lib/ours.py": SHARED,
        "lib/theirs.py": GOOD.replace(b'"good"', b'"third"') + b"\ndef more() -> int:\n    return 3\n",
        "lib/apart.py": b"def nobody() -> int:\n    return 1\n",
    }
    first = meanings(files)

    def moved(name: str, was: bytes, now: bytes) -> set[str]:
        assert was in files[name]
        edited = meanings({**files, name: files[name].replace(was, now)})
        return {one for one in first if edited[one] != first[one]}

    assert moved("lib/ours.py", b"AMOUNT = 1", b"AMOUNT = 2") == {"good"}, "through a name in another file"
    assert moved("lib/theirs.py", b"return 3", b"return 4") == {"good"}, "through a module by its name"
    assert moved("good.py", b"return 5", b"return 6") == {"other"}, "not of its neighbour in the file"
    assert moved("lib/ours.py", b"return 7", b"return 8") == set(), "nobody reaches it"
    assert moved("lib/apart.py", b"return 1", b"return 2") == set()
    assert moved("lib/ours.py", b"AMOUNT = 1", b"# here\nAMOUNT = (1)") == set()
    assert moved("lib/ours.py", b"def unused", b"print('at import')\n\ndef unused") == {"good"}, "runs at import"
    assert moved("good.py", b"    return drain()", b"    return globals()['drain']()") == {"good"}
    inside = files["good.py"]
    local = b"    from playbooks.lib import apart\n    return apart.nobody()"
    files["good.py"] = inside.replace(b"    return drain()", local)
    first = meanings(files)
    assert moved("lib/apart.py", b"return 1", b"return 2") == {"good"}, "through an import within a function"
    files["good.py"] = inside.replace(b"    return drain()", b"    return globals()['drain']()")
    first = meanings(files)
    assert moved("lib/apart.py", b"return 1", b"return 2") == {"good"}, "what looks names up may reach anything"


REACHING = {
    "a module as an argument": "from playbooks import b\ndef on(it): it.drain()\ndef go(run):\n    on(b)\n",
    "a module of another name": "import playbooks.b as x\ndef go(run):\n    y = x\n    y.drain()\n",
    "the same at the top": "from playbooks import b\nz = b\ndef go(run):\n    z.drain()\n",
    "by its package": "import playbooks.b\nz = playbooks.b\ndef go(run):\n    z.drain()\n",
    "a module in a list": "from playbooks import b\nALL = [b]\ndef go(run):\n    ALL[0].drain()\n",
    "through a third": "from playbooks import c\ndef go(run):\n    c.b.drain()\n",
    "a third's module by its name": "from playbooks.c import b\ndef go(run):\n    b.drain()\n",
    "import_module": "from importlib import import_module\ndef go(run):\n    import_module('playbooks.b').drain()\n",
    "by another name": "from importlib import import_module as get\ndef go(run):\n    get('playbooks.b').drain()\n",
    "imported inside": "def go(run):\n    from importlib import import_module as get\n    get('playbooks.b').drain()\n",
    "sys.modules": "import sys\nimport playbooks.b\ndef go(run):\n    sys.modules['playbooks.b'].drain()\n",
    "from sys": "from sys import modules\nimport playbooks.b\ndef go(run):\n    modules['playbooks.b'].drain()\n",
    "attrgetter": "import operator, playbooks\ndef go(run):\n    operator.attrgetter('b.drain')(playbooks)()\n",
    "registered": "from playbooks.b import *\n_ = HOOKS.append(drain)\ndef go(run):\n    HOOKS[0]()\n",
    "and typed": "from playbooks.b import *\nX: object = HOOKS.append(drain)\ndef go(run):\n    HOOKS[0]()\n",
    "added to": "from playbooks.b import each, HOOKS, drain\nHOOKS += [drain]\ndef go(run):\n    each()\n",
    "in a class": "from playbooks.b import *\nclass X:\n    HOOKS.append(drain)\ndef go(run):\n    HOOKS[0]()\n",
    "as a default": "from playbooks.b import *\ndef x(y=HOOKS.append(drain)): ...\ndef go(run):\n    HOOKS[0]()\n",
}


def reached(folder: Path, code: str, fix: str) -> str:
    (folder / "playbooks").mkdir(exist_ok=True)
    (folder / "playbooks/a.py").write_text(code)
    (folder / "playbooks/b.py").write_text(fix)
    (folder / "playbooks/c.py").write_text("from playbooks import b\n")
    return Code(folder).meaning([("playbooks.a", "go")])


@pytest.mark.parametrize("code", REACHING.values(), ids=list(REACHING))
def test_code_that_is_reached_by_no_name_of_its_own_is_seen(tmp_path: Path, code: str):
    fix = "HOOKS = []\ndef each():\n    for one in HOOKS: one()\ndef drain():\n    return 1\n"
    assert reached(tmp_path, code, fix) == reached(tmp_path, code + "# more\n", fix)
    assert reached(tmp_path, code, fix) != reached(tmp_path, code, fix.replace("return 1", "return 2"))


def test_a_package_imports_from_itself_within_a_function(tmp_path: Path):
    package = tmp_path / "playbooks/lib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def go(run):\n    from . import theirs\n    theirs.drain()\n")

    def meaning(fix: str) -> str:
        (package / "theirs.py").write_text(fix)
        return Code(tmp_path).meaning([("playbooks.lib", "go")])

    assert meaning("def drain():\n    return 1\n") != meaning("def drain():\n    return 2\n")


def test_what_a_module_has_beside_what_is_named_is_not(tmp_path: Path):
    fix = "def drain():\n    return 1\ndef other():\n    return 3\n"
    for code in (
        "from playbooks import b\ndef go(run):\n    b.drain()\n",
        "from tocsin import *\nfrom playbooks import b\ndef go(run):\n    b.drain()\n",
        "import playbooks.b\nimport sys\ndef go(run):\n    print(playbooks.b.drain(), file=sys.stderr)\n",
    ):
        assert reached(tmp_path, code, fix) == reached(tmp_path, code, fix.replace("return 3", "return 4")), code
        assert reached(tmp_path, code, fix) != reached(tmp_path, code, fix.replace("return 1", "return 2")), code


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        (b"import json\n1 / 0\n", 2, "importing it raises ZeroDivisionError: division by zero"),
        (b"x = (\n", 1, "importing it raises SyntaxError"),
        (b"import nothing_of_the_kind\n", 1, "importing it raises ModuleNotFoundError"),
        (b"import sys\nsys.exit(3)\n", 2, "importing it raises SystemExit: 3"),
        (b"import os\nos._exit(3)\n", 1, "importing it ended Python"),
        (
            b"import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n", 1,
            "importing this playbook starts a thread",
        ),
        (GOOD.replace(VERIFIES, b""), 15, "good fixes and verifies nothing"),
        (GOOD.replace(b'alertname="Full"', b'alertname=~".*"'), 15, "good answers everything"),
        (GOOD.replace(b'alertname="Full"', b'alertname=~"("'), 15, "is not a regular expression RE2 accepts"),
        (GOOD.replace(b'name="good"', b'name="a b"'), 15, "'a b' is no name for a playbook"),
        (GOOD.replace(b"run: Run, box", b"box"), 15, "good takes a run first"),
        (GOOD.replace(b"most: int = 5", b"most: list[int]"), 15, "the parameter most of good has no type"),
        (GOOD.replace(b"name=\"good\"", b'name="good", schedule="99 * * * *"'), 15, "is not a cron line"),
        (GOOD.replace(b'trust(start="ask")', b'trust(approve="nobody")'), 15, "nobody has the role 'nobody'"),
        (GOOD.replace(b'trust(start="ask")', b'trust(start="act", ceiling="ask")'), 15, "start is never above ceiling"),
        (GOOD.replace(b"at_most(3", b"at_most(0"), 15, "one or more"),
        (
            GOOD.replace(VERIFIES, VERIFIES + b"    run.ask('Which?', ('left', 'right'))\n"), 20,
            "the default 'no' of run.ask is none of its choices",
        ),
        (
            GOOD.replace(VERIFIES, VERIFIES + b"    run.ask('Which?', role='manager')\n"), 20,
            "run.ask asks nobody: there is no role 'manager'",
        ),
        (
            GOOD.replace(VERIFIES, VERIFIES + b"    run.ask('Which?', choices=['a', 'a'])\n"), 20,
            "two different choices",
        ),
        (
            b"from __future__ import annotations\nimport typing\nif typing.TYPE_CHECKING:\n    from x import Much\n"
            + GOOD.replace(b"most: int = 5", b"most: Much"),
            19, "what good declares cannot be read: NameError: name 'Much' is not defined",
        ),
        (
            b"from tocsin import playbook\n\n@playbook(name=\"thing\")\nclass Thing:\n    pass\n", 3,
            "Thing is not at the top of its module",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(code: bytes, line: int, message: str):
    (fault,) = declared(code).faults
    assert message in fault.message
    assert (fault.file, fault.line) == ("playbooks/p0.py", line)
    reading_ = read_plan({"tocsin.yaml": b"tocsin: 1\npeople: {ana: {}}\n", **with_manifest({"playbooks/p0.py": code})})
    assert reading_.plan is None, "and the plan is refused: the last good one stays in force"


def test_one_that_never_ends_while_it_is_imported_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "PATIENCE", 1.0)
    began = time.monotonic()
    (fault,) = declared(GOOD, b"import time\nwhile True:\n    time.sleep(1)\n").faults
    assert fault.file == "playbooks/p1.py" and "did not end within 1 s" in fault.message
    assert time.monotonic() - began < 5


def test_what_is_started_while_it_is_imported_ends_and_nobody_waits_for_it(tmp_path: Path):
    """It left the group, and holds whatever it was given."""
    where = tmp_path / "pid"
    code = GOOD + f"""
import os, resource, time
assert resource.getrlimit(resource.RLIMIT_AS)[0] == {MOST_MEMORY}
if os.fork() == 0:
    os.setsid()
    with open({str(where)!r}, "w") as out:
        out.write(str(os.getpid()))
    time.sleep(600)
while not (os.path.exists({str(where)!r}) and os.path.getsize({str(where)!r})):
    time.sleep(0.01)
""".encode()
    began = time.monotonic()
    (fault,) = declared(code, GOOD.replace(b"good", b"fair")).faults
    assert time.monotonic() - began < 10
    assert fault.file == "playbooks/p0.py" and fault.message == "importing this playbook leaves a process running"
    gone = Path(f"/proc/{where.read_text()}/environ")
    eventually(lambda: not gone.exists() or not gone.read_bytes(), what="it to be ended")


def test_a_process_that_importing_waits_for_is_nobodys_matter():
    found = declared(GOOD + b"import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])\n")
    assert found.faults == () and len(found.playbooks) == 1


ENDED = [
    b"import os\nHOST = os.popen('echo here').read()\n",
    b"import subprocess\nHOST = subprocess.Popen(['echo', 'here'], stdout=subprocess.PIPE).stdout.read()\n",
    b"import multiprocessing\nLOCK = multiprocessing.get_context('spawn').Lock()\n",  # ends with it
]


def test_a_process_that_is_over_and_not_waited_for_is_nobodys_matter_either():
    names = [b"one", b"two", b"three"]
    found = declared(*(GOOD.replace(b"good", name) + code for name, code in zip(names, ENDED, strict=True)))
    assert found.faults == () and len(found.playbooks) == 3


def test_only_the_file_that_starts_a_process_is_blamed_for_it_also_when_a_thread_or_a_broken_one_does():
    by_a_thread = b"""
import subprocess, threading
begun = threading.Event()
def start():
    subprocess.Popen(["sleep", "60"])
    begun.set()
    threading.Event().wait()
threading.Thread(target=start, daemon=True).start()
begun.wait()
"""
    broken = b"import subprocess\nsubprocess.Popen(['sleep', '60'])\n1 / 0\n"
    faults = declared(by_a_thread, GOOD, broken, GOOD.replace(b"good", b"fair")).faults
    assert [(one.file, one.message) for one in faults] == [
        ("playbooks/p0.py", "importing this playbook starts a thread"),
        ("playbooks/p0.py", "importing this playbook leaves a process running"),
        ("playbooks/p2.py", "importing it raises ZeroDivisionError: division by zero"),
    ]


def test_what_any_thread_started_is_ended_but_for_what_is_known():
    code = """
import subprocess, threading
from tocsin.playbooks.runner.bounds import children, end_strays, lasting
begun = threading.Event()
def start():
    subprocess.Popen(["sleep", "60"])
    begun.set()
    threading.Event().wait()
threading.Thread(target=start, daemon=True).start()
begun.wait()
known = subprocess.Popen(["sleep", "60"])
assert len(lasting({known.pid}, 0.0)) == 1 and len(children()) == 2
end_strays({known.pid})
assert children() == {known.pid} and known.poll() is None
end_strays(set())
assert children() == set()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def answering(answers: bytes) -> Manifests:
    return declared(GOOD.replace(b"""answers=['alertname="Full"']""", b"answers=" + answers))


@pytest.mark.parametrize(
    "answers",
    [
        b"""['alertname=~".+"']""",
        b"""[['alertname="Full"'], ['alertname=~"^(?:.+)$"', 'alertname=~"(?s).*"']]""",
        b"""['service=~".*"', 'alertname!="nope"']""",
    ],
)
def test_a_pattern_that_every_alert_meets_is_as_good_as_none(answers: bytes):
    (fault,) = answering(answers).faults
    assert "good answers everything" in fault.message and fault.hint and not fault.warns


NEARLY = [
    (b"""['alertname=~".+"', 'severity!="info"']""", 'severity!="info"'),
    (b"""['severity=~"(?s).+"', 'alertname!~"nope.*"']""", 'alertname!~"nope.*"'),
    (b"""['alertname=~".+"'], severity=('sev1', 'sev2')""", "severity"),
    (b"""['alertname=~".+"'], when=lambda about: about.service == 'cart'""", "when"),
    (b"""['alertname=~".+"'], where="service == 'cart'\"""", "where"),
    (b"""['service=~".+"']""", ""),  # whatever sends none
    (b"""['alertname=~"[^|]+"']""", ""),  # most have no such character
]


def test_a_pattern_that_nearly_every_alert_meets_is_warned_of_and_the_playbook_is_there() -> None:
    codes = []
    for at, (answers, _) in enumerate(NEARLY):
        code = GOOD.replace(b"""answers=['alertname="Full"']""", b"answers=" + answers)
        codes.append(code.replace(b'name="good"', b'name="n%d"' % at))
    found = declared(*codes)
    assert [one.name for one in found.playbooks] == [f"n{at}" for at in range(len(NEARLY))]
    for at, (warned, (_, beside)) in enumerate(zip(found.faults, NEARLY, strict=True)):
        assert warned.warns and (warned.file, warned.line) == (f"playbooks/p{at}.py", 15) and warned.hint
        assert warned.message.startswith(f"n{at} answers nearly everything") and warned.message.endswith(beside)


@pytest.mark.parametrize("answers", [b"""['alertname=~"[a-z].*"']""", b"""['alertname=~".+"', 'queue=~".+"']"""])
def test_a_pattern_that_leaves_something_out_is_good(answers: bytes):
    assert answering(answers).faults == ()


def test_when_without_answers_is_warned_of_unless_time_begins_it():
    alone = GOOD.replace(b"""answers=['alertname="Full"']""", b"when=lambda about: True")
    (fault,) = declared(alone).faults
    assert fault.warns and "no alert begins it" in fault.message
    assert declared(alone.replace(b"when=", b'schedule="0 4 * * *", when=')).faults == ()


def test_guards_of_targets_are_warned_of_where_there_are_none() -> None:
    body = b"(run: Run) -> None:\n    pass\n"
    code = b"""
from tocsin import Run, at_most, blast_radius, playbook


@playbook(answers=['alertname="Full"'], guards=[at_most(1, per="6h", over="target"), blast_radius(1)])
def good""" + body
    found = declared(code)
    assert [one.name for one in found.playbooks] == ["good"] and all(one.warns for one in found.faults)
    assert [one.message.partition(", and ")[2] for one in found.faults] == [
        "blast_radius counts targets",
        'over="target" counts by target',
    ]
    by_number = code.replace(b"1, per=\"6h\", over=\"target\"", b"1, per=\"6h\"").replace(b", blast_radius(1)", b"")
    assert declared(by_number).faults == ()


def test_a_fix_whose_verification_only_the_run_can_tell_is_warned_of_and_the_playbook_is_there() -> None:
    held = b"    if most:\n        run.verify(see, box, until=bool, within='1m')\n"
    found = declared(GOOD.replace(VERIFIES, held))
    assert [one.name for one in found.playbooks] == ["good"]
    (warned,) = found.faults
    assert warned.warns and warned.line == 18
    assert warned.message == "it may end after this fix with nothing verified"
    handed = declared(GOOD.replace(VERIFIES, b"    (checked or see)(run, box)\n\ndef checked(run, box): ...\n"))
    assert handed.faults == () and handed.playbooks[0].fixes, "whoever is given the run may verify"


BESIDE = b"""
def mend(box, run):
    run.fix(change, box)

def check(run, box, how=1):
    if how:
        run.verify(see, box, until=lambda now: now == 1, within="1m")
    else:
        run.hand_over("no", next="look")

def both(run, box):
    mend(box, run=run)
    check(run, box)

def again(run, box):
    again(run, box)

def apply(run, box, mend):
    mend(box, run)
"""
FIX = b"    run.fix(change, box)\n"


NOTHING, ENDS, MAY = "fixes and verifies nothing", "it ends after this fix", "it may end after this fix"
FOLLOWED = [
    (b"    mend(box, run)\n", {(15, NOTHING)}),
    (FIX + b"    mend(box, run)\n    return check(run, box)\n", set()),
    (b"    both(run, box)\n", set()),
    (FIX + b"    check(run=run, box=box)\n    mend(box, run)\n", {(20, ENDS)}),
    (b"    both(run, box)\n    if most:\n        mend(box, run)\n", {(20, ENDS)}),
    (b"    if most:\n        mend(box, run)\n        if most > 2:\n            check(run, box)\n", {(19, MAY)}),
    (FIX + b"    try:\n        check(run, box)\n    except Exception:\n        check(run, box)\n", set()),
    (FIX + b"    again(run, box)\n", set()),  # it may do anything
    (FIX + b"    apply(run, box, check)\n", set()),  # and so may what it is given
    (FIX + b"    done = check(run, box)\n    print(done)\n", set()),
    (FIX + b"    run.look(see, box)\n    print(box, run.about)\n", {(15, NOTHING)}),
]


def test_a_function_that_is_given_the_run_is_followed_in_whatever_file_it_lies() -> None:
    head, lines = b"from playbooks.p0 import *\nfrom playbooks import p0\n", 2
    shared = HEAD + GOOD[: GOOD.index(b"@playbook")] + BESIDE
    codes, wanted = [shared], {}
    for body, faults in FOLLOWED:
        for more, code in ((0, GOOD + BESIDE), (lines, head + GOOD)):
            wanted[f"playbooks/p{len(codes)}.py"] = {(line + more, what) for line, what in faults}
            code = code.replace(FIX + VERIFIES, body).replace(b'name="good"', b'name="n%d"' % len(codes))
            codes.append(code.replace(b"  mend(", b"  p0.mend(", 1) if more else code)
    found = declared(*codes)
    told = {name: {(one.line, one.message) for one in found.faults if one.file == name} for name in wanted}
    for name, faults in wanted.items():
        assert [line for line, _ in sorted(told[name])] == [line for line, _ in sorted(faults)], name
        assert all(what in said for (_, what), (_, said) in zip(sorted(faults), sorted(told[name]), strict=True)), name
    assert found.playbooks and all(one.fixes for one in found.playbooks)


CHECKED = b"""
import functools

def checked(does):
    @functools.wraps(does)
    def both(run, box):
        does(run, box)
        run.verify(see, box, until=lambda now: now == 1, within="1m")
    return both

def _mend(run, box):
    run.fix(change, box)

mend = checked(_mend)
"""


def test_what_is_wrapped_is_not_taken_for_what_is_in_it() -> None:
    at, both = GOOD.index(b"@playbook"), FIX + VERIFIES
    helper = GOOD[:at] + CHECKED + GOOD[at:].replace(both, b"    mend(run, box)\n")
    itself = GOOD[:at] + CHECKED + GOOD[at:].replace(b"\ndef good", b"\n@checked\ndef good")
    itself = itself.replace(both, FIX).replace(b"good", b"fair").replace(b", most: int = 5", b"")
    found = declared(helper, itself)
    assert [one for one in found.faults if not one.warns] == []
    assert [one.name for one in found.playbooks] == ["good", "fair"]


def test_many_functions_that_are_given_the_run_are_read_in_no_time() -> None:
    """Twelve calls in each, four deep: 20,000 ways down."""
    code, called = GOOD[: GOOD.index(b"@playbook")], [b"check"]
    code += b"def check(run, box):\n" + FIX + VERIFIES
    for level in (b"c", b"b", b"a"):
        calls = b"".join(b"        %s(run, box)\n" % name for name in called) * (12 // len(called))
        called = [level + name for name in (b"1", b"2", b"3")]
        for name in called:
            code += b"def %s(run, box):\n    try:\n%s    except ValueError:\n        pass\n" % (name, calls)
    calls = b"".join(b"    %s(run, box)\n" % name for name in called) * 4
    found = declared(code + GOOD[GOOD.index(b"@playbook") :].replace(FIX + VERIFIES, calls))
    assert found.playbooks and found.playbooks[0].fixes
    # What is verified may raise before it is, and they go on after that.
    assert {(one.warns, one.message) for one in found.faults} == {(True, MAY + " with nothing verified")}


def test_what_no_alert_says_no_playbook_that_answers_one_needs() -> None:
    (fault,) = declared(GOOD.replace(b"most: int = 5", b"most: int")).faults
    assert fault.message == "good answers alerts, and none of them says its parameter most" and "default" in fault.hint
    by_hand = GOOD.replace(b"most: int = 5", b"most: int").replace(b"answers=['alertname=\"Full\"'], ", b"")
    assert declared(by_hand).faults == ()


def test_two_targets_at_once_are_not_found_where_there_is_one() -> None:
    code = GOOD.replace(b"box: Box, most", b"box: Box, other: Box, most")
    plan = b"""
tocsin: 1
people: {ana: {}}
services:
  cart: {playbooks: [good], targets: {main: {kind: box, look with: secret:a, fix with: secret:b}}}
"""
    found = read_plan({"tocsin.yaml": plan, **with_manifest({"playbooks/p0.py": code})})
    why = "good works on 2 box targets at once, and cart has main alone"
    assert found.plan is not None and [one.why for one in found.plan.covered() if one.service == "cart"] == [why]
    assert any(why in one.message and one.line == 5 for one in found.findings)
    two = plan.replace(b"targets: {", b"targets: {other: {kind: box, look with: secret:c, fix with: secret:d}, ")
    found = read_plan({"tocsin.yaml": two, **with_manifest({"playbooks/p0.py": code})})
    assert found.plan is not None and [one.answer for one in found.plan.covered() if one.service == "cart"] == ["ask"]


def test_two_of_one_name_and_one_broken_file_beside_a_good_one():
    found = declared(GOOD, GOOD, b"1 / 0")
    assert [one.file for one in found.playbooks] == ["playbooks/p0.py"]
    assert [one.message for one in found.faults] == [
        "there is another playbook good, in playbooks/p0.py:15",
        "importing it raises ZeroDivisionError: division by zero",
    ]


def test_what_a_file_imports_from_one_that_is_read_after_it_has_its_playbooks_all_the_same():
    shares = b"from playbooks.p1 import Box, change, see\nfrom tocsin import Run, playbook\n"
    other = shares + GOOD[GOOD.index(b"@playbook") :].replace(b"good", b"other").replace(
        b', guards=[at_most(3, per="1h")], trust=trust(start="ask")', b""
    )
    found = declared(other, GOOD)
    assert {one.name: one.file for one in found.playbooks} == {"other": "playbooks/p0.py", "good": "playbooks/p1.py"}
    assert found.faults == ()


def test_what_a_file_declared_before_importing_it_failed_is_not_said_twice():
    first = b"from playbooks.p1 import nothing_of_this_name\n"
    second = b"import sys\n" + GOOD + b"if not hasattr(sys, 'again'):\n    sys.again = 1\n    1 / 0\n"
    found = declared(first, second)
    assert [one.name for one in found.playbooks] == ["good"]
    assert [(one.file, one.line) for one in found.faults] == [("playbooks/p0.py", 1)]


def test_code_that_nobody_looked_at_is_refused():
    (fault,) = read_manifests({"playbooks/a.py": GOOD}).faults
    assert fault.message == "this playbook's code was not looked at"
    (broken,) = read_manifests({"playbooks/a.py": GOOD, MANIFEST: b"{"}).faults
    assert "cannot be read" in broken.message


def test_the_plan_says_what_does_not_fit():
    plan = b"""
tocsin: 1
people: {ana: {}}
services:
  cart: {playbooks: [good]}
"""
    found = read_plan({"tocsin.yaml": plan, **with_manifest({"playbooks/p0.py": GOOD})})
    assert found.plan is not None
    assert any("works on a box target, and cart has none" in one.message for one in found.findings)
    alone = plan.replace(b"{playbooks: [good]}", b"{}")
    unused = read_plan({"tocsin.yaml": alone, **with_manifest({"playbooks/p0.py": GOOD})})
    assert any("no service uses the playbook 'good'" in one.message for one in unused.findings)
    guarded = GOOD.replace(b'at_most(3, per="1h")', b'__import__("tocsin").unless("nowhere")')
    wrong = read_plan({"tocsin.yaml": plan, **with_manifest({"playbooks/p0.py": guarded})})
    assert any("good names an unknown service 'nowhere'" in one.message for one in wrong.findings)


def test_two_threads_that_read_two_plans_each_have_their_own(monkeypatch):
    """A page's thread may clear what a reload's has just read."""
    begun = threading.Barrier(2)

    def slow(code):
        begun.wait(10)
        return Manifests(faults=(Fault(next(iter(code)), 1, "x"),))

    monkeypatch.setattr(reading, "_declared", slow)
    monkeypatch.setattr(reading, "_read", {})
    plans = [{f"playbooks/{name}.py": b"pass"} for name in ("a", "b")]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(with_manifest, plans))
    assert [read_manifests(one).faults[0].file for one in found] == ["playbooks/a.py", "playbooks/b.py"]
    assert len(reading._read) == 1
