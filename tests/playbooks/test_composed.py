"""Playbooks in YAML: the same runs as in Python, and every mistake named with its file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from tocsin.library import postgres, redis, sql
from tocsin.notation.documents import read_document
from tocsin.notation.findings import Findings
from tocsin.plan import read_plan
from tocsin.plan.composing import compose, with_composed
from tocsin.plan.playbook_file import Plain, json_schema
from tocsin.playbooks.composed import Composed
from tocsin.playbooks.language import About, Misused, Run, look
from tocsin.playbooks.manifest import MANIFEST, Manifests, read_manifests
from tocsin.playbooks.runner.building import build, said
from tocsin.playbooks.runner.fitting import Unfits
from tocsin.playbooks.runner.reading import with_manifest
from tocsin.testing import Scene

PLAN = b"""\
tocsin: 1
people:
  ana: {name: Ana, email: ana@shop.example}
mail: {server: "smtp://localhost:25", from: t@shop.example}
services:
  cart:
    playbooks: [free-memory]
    targets:
      main: {redis: secret:ro, fix with: secret:rw, match: ['instance="cart-1"']}
routes:
  - {match: ['alertname=~"Redis.*"'], service: cart}
"""
GOOD = """\
playbook: free-memory
about: Expire what nobody has read for a week, else wake someone.
answers: ['alertname="RedisMemoryHigh"']
works on: {server: redis}
parameters: {sample: {type: whole number, default: 500}}
guards:
  - {at most: 9, per: 6h}
trust: {start: act}
steps:
  - {look: redis.memory, on: server, as: before}
  - look: redis.idle_keys
    on: server
    with: {older_than: 7d, sample: {from: sample}}
    as: idle
  - hand over: no key is safe to expire ($idle)
    if: {expirable: {empty: yes}}
    findings: [before, idle]
  - tell: $before
    if: [{before.keys: {over: 1000}}, {alert.labels.zone: {is: eu}}]
  - fix: redis.expire
    on: server
    with: {keys: {from: idle.expirable}, older_than: 7d, spread: 60s}
  - verify: redis.memory
    on: server
    until: {used_ratio: {under: 0.80}}
    harm: {hit_ratio: {under: {from: before.hit_ratio, plus: -0.10}}}
    within: 2m
"""
FILE = "playbooks/free-memory.yaml"


def memory(used_ratio: float, hit_ratio: float = 0.9, keys: int = 9) -> redis.Memory:
    return redis.Memory(
        used=1, limit=1, used_ratio=used_ratio, policy="noeviction", keys=keys, evicted=0, hit_ratio=hit_ratio
    )


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "tocsin.yaml").write_bytes(PLAN)
    (tmp_path / FILE).write_text(GOOD)
    return tmp_path


def night(plan: Path, *, after: redis.Memory, expirable: tuple[str, ...] = ("old",), **labels: str) -> Scene:
    scene = Scene(plan)
    scene.fake(redis.memory, [memory(0.97), after])
    scene.fake(redis.idle_keys, redis.Idle(looked_at=9, idle=2, expirable=expirable))
    scene.fake(redis.expire, lambda server, keys, **how: len(keys))
    scene.fires("RedisMemoryHigh", instance="cart-1", **labels)
    return scene


def test_it_runs_as_its_twin_in_python_does(plan: Path) -> None:
    scene = night(plan, after=memory(0.6), zone="eu")
    assert scene.steps == [
        "look redis.memory done", "look redis.idle_keys done", "tell tell done", "fix redis.expire done",
        "verify redis.memory done",
    ]  # fmt: skip
    assert (scene.outcome, scene.paged) == ("watching", [])
    plain = night(plan, after=memory(0.6))
    assert "tell tell done" not in plain.steps and plain.outcome == "watching"
    nothing = night(plan, after=memory(0.6), expirable=())
    assert nothing.outcome == "handed_over" and nothing.run.fixes == 0
    assert "no key is safe to expire (0 of 9 keys" in nothing.findings[0]
    harmed = night(plan, after=memory(0.6, hit_ratio=0.75))
    assert harmed.outcome == "handed_over" and "it shows harm" in harmed.findings[0]


def test_it_says_what_to_do_next_and_lint_warns_where_it_does_not(plan: Path) -> None:
    found = "    findings: [before, idle]"
    said = GOOD.replace(found, f"{found}\n    next: Look at who writes ($before)")
    (plan / FILE).write_text(said)
    scene = night(plan, after=memory(0.6), expirable=())
    assert scene.outcome == "handed_over" and scene.run.advice.startswith("Look at who writes (")
    files = {"tocsin.yaml": PLAN, FILE: GOOD.encode()}
    (warned,) = [one for one in read_plan(with_manifest(with_composed(files))).findings if "next" in one.message]
    assert (warned.level, warned.file, warned.line) == ("warning", FILE, 15)
    assert not [one for one in declared(said).faults if one.warns]


def declared(text: str) -> Manifests:
    """What it declares."""
    return read_manifests(with_manifest(with_composed({"tocsin.yaml": PLAN, FILE: text.encode()})))


def test_killed_at_every_point_it_goes_on_from_what_is_written_down(plan: Path) -> None:
    for point in range(1, night(plan, after=memory(0.6)).points + 1):
        scene = Scene(plan)
        scene.kill_at(point)
        scene.fake(redis.memory, [memory(0.97), memory(0.6)])
        scene.fake(redis.idle_keys, redis.Idle(looked_at=9, idle=2, expirable=("old",)))
        scene.fake(redis.expire, lambda server, keys, **how: len(keys))
        scene.fires("RedisMemoryHigh", instance="cart-1")
        assert scene.outcome == "watching", point


def test_what_a_condition_asks_for_and_is_not_there_hands_over(plan: Path) -> None:
    """No evidence is no reason to change anything."""
    skipped = GOOD.replace("as: idle\n", "as: idle\n    if: {before.keys: {over: 99}}\n")
    skipped = skipped.replace("{expirable: {empty: yes}}", "{idle.expirable: {empty: yes}}")
    (plan / FILE).write_text(skipped)
    scene = night(plan, after=memory(0.6))
    assert scene.outcome == "handed_over" and scene.run.fixes == 0
    assert "there is no idle.expirable" in scene.findings[0] and "free-memory.yaml:16" in scene.findings[0]


class Hand:
    """Does the steps of a body: answers what it was told to, and writes down what was done."""

    def __init__(self, **answers: object) -> None:
        self._answers, self.done = answers, list[str]()

    def look(self, what: Any, args: Any, kwargs: Any) -> object:
        self.done.append(f"look {args[0].name}")
        return self._answers[args[0].name]

    def fix(self, what: Any, args: Any, kwargs: Any) -> None:
        self.done.append(f"fix {args[0].name}")

    def verify(self, what: Any, args: Any, kwargs: Any, must: Any) -> object:
        self.done.append("verified" if must.until(self._answers[args[0].name]) else "not verified")
        return self._answers[args[0].name]

    def hand_over(self, reason: str, findings: Any, next: str) -> None:
        self.done.append(f"handed over: {reason} {findings}")


def does(steps: str, **answers: object) -> list[str]:
    """What a playbook of these steps does when its systems answer so; at the end why it went no further."""
    systems = ", ".join(f"{name}: postgres" for name in answers)
    (found,), findings = composed(f"playbook: x\nworks on: {{{systems}}}\nsteps:\n{steps}")
    assert findings == []
    hand = Hand(**answers)
    body = build(found)[0].body
    try:
        body(Run(cast("Any", hand), About()), **{name: postgres.Server(name=name) for name in answers})
    except Misused as error:
        hand.done.append(str(error))
    return hand.done


def connections(used_ratio: float) -> postgres.Connections:
    return postgres.Connections(95, 100, used_ratio, 0, 0, 0, ())


LEFT_OUT = """\
  - {look: postgres.connections, on: a}
  - {look: postgres.connections, on: b, if: {used_ratio: {over: 0.99}}, as: used}
  - {fix: postgres.checkpoint, on: b, if: {%s: {over: 0.9}}}
  - {verify: postgres.connections, on: b, until: {used_ratio: {under: 0.5}}, within: 10s}
"""


@pytest.mark.parametrize("path", ["used_ratio", "used.used_ratio"])
def test_an_older_look_at_another_system_stands_for_none_that_was_left_out(path: str) -> None:
    done = does(LEFT_OUT % path, a=connections(0.95), b=connections(0.2))
    assert done == ["look a", f"there is no {path}: the step it is of was left out (free-memory.yaml:6)"]
    done = does(LEFT_OUT % path, a=connections(0.995), b=connections(0.92))
    assert done == ["look a", "look b", "fix b", "not verified"]


def test_what_was_left_out_is_no_finding_and_no_word() -> None:
    steps = LEFT_OUT[: LEFT_OUT.index("  - {fix")] + "  - {hand over: it is $used, findings: [used]}\n"
    done = does(steps, a=connections(0.95), b=connections(0.2))
    assert done == ["look a", "handed over: it is $used ()"]


COUNTED = """\
  - {look: sql.rows, on: a, with: {statement: select 1}, as: stuck}
  - {fix: postgres.checkpoint, on: a, if: {stuck.value: {%s: %s}}}
  - {verify: sql.rows, on: a, with: {statement: select 1}, until: {value: {%s: %s}}, within: 10s}
"""


@pytest.mark.parametrize(
    ("answer", "written", "same"),
    [
        (0, "0", True), (7, "0", False), (7, "7.0", True), (0.5, "0.5", True), ("0", "0", True), ("idle", "0", False),
        (True, "yes", True), (True, "no", False), (False, "no", True), (7, "many", None), (True, "maybe", None),
    ],
)  # fmt: skip
def test_a_value_of_any_type_is_compared_as_what_it_is(answer: object, written: str, same: bool | None) -> None:
    rows = sql.Rows(("it",), ((cast("Any", answer),),))
    steps = [COUNTED % (op, f"'{written}'", op, f"'{written}'") for op in ("is", "is not")]
    fixed = ["look a", "fix a", "verified"]
    left = ["look a", "not verified"]
    if same is None:
        for one in steps:
            done = does(one, a=rows)
            assert len(done) == 2 and "does not compare with" in done[1], done
    else:
        assert [does(one, a=rows) for one in steps] == ([fixed, left] if same else [left, fixed])


def test_what_is_no_number_is_more_than_none() -> None:
    done = does(COUNTED % ("over", 3, "over", 3), a=sql.Rows(("it",), (("idle",),)))
    assert "stuck.value is 'idle', which does not compare with 3.0" in done[1]
    assert does(COUNTED % ("over", 3, "over", 3), a=sql.Rows(("it",), (("4.5",),)))[1:] == ["fix a", "verified"]


@look
def depth(server: postgres.Server) -> int:
    raise AssertionError("the test has its own")


@pytest.mark.parametrize("path", ["it", "deep"])
@pytest.mark.parametrize(("answer", "done"), [(0, ["look a", "fix a", "verified"]), (7, ["look a", "not verified"])])
def test_a_plain_answer_is_compared_itself(path: str, answer: int, done: list[str]) -> None:
    steps = f"""\
  - {{look: {__name__}.depth, on: a}}
  - {{fix: postgres.checkpoint, on: a, if: {{it: {{is: 0}}}}}}
  - {{verify: {__name__}.depth, on: a, until: {{{path}: {{is: 0}}}}, within: 10s, as: deep}}
"""
    assert does(steps, a=answer) == done


def test_an_answer_without_fields_says_what_to_write_and_what_was_known_before_is_still_no_evidence() -> None:
    look = f"{__name__}.depth"
    head = "playbook: x\nworks on: {a: postgres}\nsteps:\n"
    for until, hint in (("{depth: {is: 0}}", "it: {is: …}"), ("{before: {is: 0}}", "before was known before")):
        steps = f"  - {{look: {look}, on: a, as: before}}\n  - {{verify: {look}, on: a, until: {until}, within: 9s}}\n"
        (found,), _ = composed(head + steps)
        with pytest.raises(Unfits) as raised:
            build(found)
        assert hint in raised.value.faults[0].hint


def test_a_verification_that_an_if_may_leave_out_is_warned_of(plan: Path) -> None:
    verify = "  - verify: redis.memory\n"
    skipped = GOOD.replace(verify, verify + "    if: {alert.severity: {is: sev1}}\n")
    assert skipped != GOOD
    (warned,) = [one for one in declared(skipped).faults if "may leave out" in one.message]
    assert warned.warns and "verify" in skipped.splitlines()[warned.line - 1]
    assert not [one for one in declared(GOOD).faults if "may leave out" in one.message]


@pytest.mark.parametrize(
    "until",
    [
        "{alert.severity: {is: sev1}}",
        "{before.used_ratio: {over: 0.5}}",
        "[{used_ratio: {under: 0.8}}, {idle.idle: {over: 1}}]",
    ],
)
def test_a_verification_that_holds_whatever_it_sees_is_refused(until: str) -> None:
    (found,), findings = composed(GOOD.replace("{used_ratio: {under: 0.80}}", until))
    assert findings == []
    with pytest.raises(Unfits, match=r"until: .* is nothing that redis.memory sees") as raised:
        build(found)
    assert raised.value.faults[0].line == 25
    (beside,), _ = composed(GOOD.replace("{used_ratio: {under: 0.80}}", f"{{used_ratio: {{over: 0}}, {KNOWN}}}"))
    assert build(beside)


KNOWN = "alert.severity: {is: sev1}"


def test_what_a_statement_is_given_is_its_meaning_whatever_its_key_is_called() -> None:
    def meaning(values: str, before: str = "") -> str:
        given = f"with: {{statement: delete, values: {values}, most: 9}}"
        (found,), findings = composed(
            f"{before}playbook: x\nworks on: {{a: postgres}}\nsteps:\n  - {{fix: sql.repeatable, on: a, {given}}}\n"
        )
        assert findings == []
        return said(found)

    for key in ("line", "lines", "file"):
        assert meaning(f"{{{key}: 5}}") != meaning(f"{{{key}: 500}}"), key
    assert meaning("{line: 5}") == meaning("{line: 5}", "# below a comment\n")


def test_its_manifest_is_read_with_the_plan(plan: Path) -> None:
    def manifest(text: str) -> str:
        files = with_manifest(with_composed({"tocsin.yaml": PLAN, FILE: text.encode()}))
        reading = read_plan(files)
        assert reading.plan is not None, reading.findings
        found = reading.plan.playbooks["free-memory"]
        assert (found.file, found.line, found.fixes) == (FILE, 1 + text.count("# here"), True)
        assert [(one.name, one.kind, one.default) for one in found.params] == [
            ("server", "redis", ""), ("sample", "whole number", "500"),
        ]  # fmt: skip
        return found.meaning

    first = manifest(GOOD)
    laid_out = "# here\n" + GOOD.replace("{start: act}", "{start: ask}").replace("for a week", "for long")
    assert manifest(laid_out) == first
    assert manifest(GOOD.replace("under: 0.80", "under: 0.81")) != first


def composed(text: str) -> tuple[list[Composed], list[tuple[int, str, str]]]:
    findings = Findings()
    found = compose({FILE: text.encode()}, findings)
    return list(found), [(one.line, one.message, one.hint) for one in findings.sorted()]


@pytest.mark.parametrize(
    ("was", "now", "line", "says", "hint"),
    [
        ("look: redis.memory, on", "lok: redis.memory, on", 10, "unknown kind 'lok'", "did you mean look?"),
        ("under: 0.80", "bellow: 0.80", 25, "unknown key 'bellow'", "known here: over, under"),
        ("under: 0.80", "under: most", 25, "'most' is not a number", "0.9"),
        ("{used_ratio: {under: 0.80}}", "used_ratio < 0.8", 25, "is no condition", "conditions compare"),
        ("{used_ratio: {under: 0.80}}", "{is: 0}", 25, "expected a comparison, found a text", "{it: {is: 0}}"),
        ("{used_ratio: {under: 0.80}}", "{used_ratio: 5}", 25, "expected a comparison, found a text", "{it: {is: 0}}"),
        ("    until: {used_ratio: {under: 0.80}}\n", "", 23, "needs the key 'until'", "must hold"),
        ("within: 2m", "within: 2 minutes", 27, "'2 minutes' is not a duration", "90s"),
        ("per: 6h", "per: 60d", 7, "out of bounds", "1w"),
        ("{start: act}", "{start: act, ceiling: ask}", 8, "above its ceiling", "never above"),
        ("- tell: $before", "- tell: $before\n    fix: redis.expire", 19, "has one kind, not both", "make it two"),
        ("guards:\n  - {at most: 9, per: 6h}", "guards:\n  - {freeze: weekends}", 7, "no hours of the week", ""),
        ("steps:", "services: {}\nsteps:", 9, "unknown key 'services'", ""),
    ],
)  # fmt: skip
def test_what_is_misspelt_has_its_line_and_what_to_write(was: str, now: str, line: int, says: str, hint: str) -> None:
    assert was in GOOD
    found, findings = composed(GOOD.replace(was, now, 1))
    assert found == []
    assert any(at == line and says in message and hint in how for at, message, how in findings), findings


@pytest.mark.parametrize(
    ("was", "now", "line", "says", "hint"),
    [
        ("look: redis.memory,", "look: redis.memry,", 10, "redis has no memry", "did you mean redis.memory?"),
        ("look: redis.memory,", "look: reddis.memory,", 10, "there is no solution reddis", "redis.memory?"),
        ("look: redis.memory,", "look: redis.expire,", 10, "look takes no fix", "write fix: redis.expire"),
        ("look: redis.memory,", "look: redis.connected,", 10, "nothing a step can do", "@look"),
        ("with: {older_than: 7d,", "with: {older_then: 7d,", 13, "takes no older_then", "older_than?"),
        ("sample: {from: sample}", "sample: many", 13, "takes a whole number, not 'many'", ""),
        ("keys: {from: idle.expirable}, ", "", 22, "redis.expire needs keys", "keys: …"),
        ("keys: {from: idle.expirable}", "keys: {from: idle.expirible}", 22, "Idle has no expirible", "expirable?"),
        ("keys: {from: idle.expirable}", "keys: {from: before.used}", 22, "before.used is a whole number", ""),
        ("{expirable: {empty: yes}}", "{expirable: {over: 3}}", 16, "`over` compares numbers", ""),
        ("{expirable: {empty: yes}}", "{idel.expirable: {empty: yes}}", 16, "Idle has no idel", ""),
        ("{used_ratio: {under: 0.80}}", "{before: {under: 0.80}}", 25, "is Memory", "used_ratio"),
        ("findings: [before, idle]", "findings: [before, idel]", 17, "answer is called idel", "did you mean idle?"),
        ("tell: $before", "tell: $befor", 18, "answer is called befor", "did you mean before?"),
        ("as: idle", "as: before", 14, "before is said twice", ""),
        ("{server: redis}", "{server: process}", 4, "works on a redis target, and server is a process", ""),
        ("{server: redis}", "{server: redis, other: redis}", 4, "no step works on other", ""),
        ("default: 500}", "default: many}", 5, "the default 'many' of sample is no whole number", ""),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_library_has_its_line(was: str, now: str, line: int, says: str, hint: str) -> None:
    assert was in GOOD
    (found,), findings = composed(GOOD.replace(was, now, 1))
    assert findings == []
    with pytest.raises(Unfits) as raised:
        build(found)
    first = raised.value.faults[0]
    assert first.line == line and says in str(first), (first.line, str(first))
    assert hint in first.hint, first.hint


def test_all_that_does_not_fit_is_said_at_once_and_what_only_follows_from_it_is_not() -> None:
    wrong = GOOD
    for was, now in (
        ("{look: redis.memory, on: server", "{look: redis.memry, on: servr"),
        ("on: server\n    with: {older_than: 7d, sample: {from: sample}}", "on: servr\n    with: {older_then: 7d}"),
        ("{empty: yes}}\n    findings: [before, idle]", "{over: 3}}\n    findings: [befor, idel]"),
        ("- fix: redis.expire", "- fix: redis.memory"),
        ("{used_ratio: {under: 0.80}}", "{use_ratio: {under: 0.80}}"),
        ("default: 500}", "default: many}"),
        ("""'alertname="RedisMemoryHigh"'""", """'alertname!="x"'"""),
    ):
        assert was in wrong
        wrong = wrong.replace(was, now, 1)
    wrong = wrong.replace("guards:", "where: service ==\nguards:", 1)
    assert composed(wrong)[1] == []
    made = with_manifest(with_composed({FILE: wrong.encode()}))
    found = [(one.line, one.message) for one in read_manifests(made).faults]
    assert sorted(line for line, _ in found) == [3, 5, 6, 11, 11, 13, 14, 17, 18, 18, 21, 23, 23, 23, 26], found
    (fits,), _ = composed(GOOD)
    assert build(fits)


@pytest.mark.parametrize(
    ("was", "now", "line"),
    [
        ("with: {older_than: 7d,", "with: {older_than: 7 days,", 13),
        ("spread: 60s", "spread: 60", 22),
        ("with: {older_than: 7d,", "with: {older_than: {from: age},", 13),
    ],
)
def test_a_time_that_is_none_is_refused_before_anything_is_changed(was: str, now: str, line: int) -> None:
    text = GOOD.replace("default: 500}}", "default: 500}, age: {type: text, default: a week}}").replace(was, now, 1)
    (found,), findings = composed(text)
    assert was in GOOD and findings == []
    with pytest.raises(Unfits, match="is not a duration") as raised:
        build(found)
    assert [one.line for one in raised.value.faults] == [line]


def test_answering_nearly_everything_is_warned_of_where_it_stands() -> None:
    named = """'alertname="RedisMemoryHigh"'"""
    wide = GOOD.replace(named, """'alertname=~".+"', 'severity!="info"'""")
    every = GOOD.replace(named, """'alertname=~".+"'""").replace("free-memory", "all")
    files = {FILE: wide.encode(), "playbooks/all.yaml": every.encode()}
    found = read_manifests(with_manifest(with_composed(files)))
    assert [(one.file, one.message, one.warns) for one in found.faults] == [
        ("playbooks/all.yaml", 'all answers everything: every alert meets alertname=~".+"', False),
        (FILE, 'free-memory answers nearly everything that is not left out by severity!="info"', True),
        (FILE, "`hand over` suggests nothing to do next", True),
    ]
    assert {wide.splitlines()[one.line - 1].partition(":")[0] for one in found.faults[:2]} == {"answers"}
    assert [one.name for one in found.playbooks] == ["free-memory"]


def test_a_fix_without_a_verification_after_it_and_a_match_of_everything_are_refused() -> None:
    unverified = GOOD[: GOOD.index("  - verify")]
    early = "  - {verify: redis.memory, on: server, until: {used: {over: 0}}, within: 1m}\n  - tell:"
    before = unverified.replace("  - tell:", early)
    everything = GOOD.replace("""'alertname="RedisMemoryHigh"'""", """'alertname!="x"'""").replace("free-memory", "all")
    bad_default = GOOD.replace("  - tell: $before", "  - ask: Which half?\n    choices: [left, right]")
    bad_default = bad_default.replace("free-memory", "asks")
    files = {FILE: unverified, "playbooks/b.yaml": before.replace("free-memory", "b"), "playbooks/c.yaml": everything}
    files["playbooks/d.yaml"] = bad_default
    files["playbooks/e.yaml"] = GOOD.replace("free-memory", "other", 1)
    files["playbooks/f.yaml"] = GOOD.replace("free-memory", "other", 1)
    made = with_manifest(with_composed({name: text.encode() for name, text in files.items()}))
    found = [(one.file, one.line, one.message) for one in read_manifests(made).faults if not one.warns]
    assert found == [
        ("playbooks/b.yaml", 21, "b fixes and verifies nothing after it"),
        ("playbooks/c.yaml", 3, "all answers everything"),
        ("playbooks/d.yaml", 18, "the default 'no' is none of its choices"),
        ("playbooks/f.yaml", 1, "there is another playbook other, in playbooks/e.yaml:1"),
        (FILE, 20, "free-memory fixes and verifies nothing after it"),
    ]
    del made[MANIFEST]
    assert any("was not looked at" in one.message for one in read_plan({"tocsin.yaml": PLAN, **made}).findings)


def plain(text: str) -> object:
    node = read_document(FILE, text.encode(), Findings())
    assert node is not None
    return Plain().read(node, Findings())


def test_the_schema_for_editors_takes_what_tocsin_takes_and_refuses_what_it_refuses() -> None:
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    assert list(check.iter_errors(plain(GOOD))) == []
    for wrong in ("steps:\n  - {}\n", GOOD.replace("within: 2m", ""), GOOD.replace("under: 0.80", "below: 1")):
        assert list(check.iter_errors(plain(wrong)))


def test_a_test_of_what_never_ran_is_told_why(plan: Path) -> None:
    quiet = Scene(plan)
    with pytest.raises(LookupError, match="no playbook has run: no alert has fired"):
        _ = quiet.outcome
    with pytest.raises(LookupError, match="no alert has fired"):
        _ = quiet.findings
    quiet.fires("Other", service="cart")
    with pytest.raises(LookupError, match="no playbook of the service cart answers 'Other fires'"):
        _ = quiet.outcome
    quiet.fires("RedisMemoryHigh", instance="cart-9")
    with pytest.raises(LookupError, match="was not run: cart has no redis target that this alert is about"):
        _ = quiet.steps
    (plan / "tocsin.yaml").write_bytes(PLAN.replace(b"    playbooks: [free-memory]\n", b""))
    unused = Scene(plan)
    with pytest.raises(LookupError, match="no service uses free-memory: name it with one"):
        unused.trust("free-memory", "act")
    unused.fires("RedisMemoryHigh", instance="cart-1")
    with pytest.raises(LookupError, match=r"no service uses free-memory; name it with one .* \[free-memory\]"):
        _ = unused.outcome


def test_two_that_answer_the_same_have_an_order_and_that_is_said() -> None:
    files = {FILE: GOOD, "playbooks/b.yaml": GOOD.replace("free-memory", "b", 1)}
    made = with_manifest(with_composed({name: text.encode() for name, text in files.items()}))
    reading = read_plan({"tocsin.yaml": PLAN.replace(b"[free-memory]", b"[b, free-memory]"), **made})
    assert [(one.level, one.line, one.message) for one in reading.findings if one.level == "notice"] == [
        ("notice", 7, 'b and free-memory both answer alertname="RedisMemoryHigh" for cart: b comes first'),
    ]
