"""Whatever the files hold, reading them answers: a plan, or at least one error; every finding has a line."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.plan.test_schema import Editor, Texts, as_json
from tests.plan.written import example
from tocsin.notation.decoder import Record
from tocsin.plan import Reading, json_schema, read_plan

BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
EVERYTHING = example("everything.yaml").decode()
VALIDATOR = Draft202012Validator(json_schema())


def answers(files: dict[str, bytes]) -> Reading:
    """Read, and check what always holds."""
    reading = read_plan(files)
    errors = [one for one in reading.findings if one.level == "error"]
    assert (reading.plan is None) == bool(errors)
    for one in reading.findings:
        if files:
            text = files[one.file].decode("utf-8", "replace").removeprefix("\ufeff")
            assert 1 <= one.line <= len(BREAKS.split(text)), str(one)
        assert one.column >= 1
        assert one.message
        assert str(one).startswith(f"{one.file}:{one.line}:{one.column}: {one.level}: ")
    if reading.plan is not None:
        plan = reading.plan
        assert plan.people_of(plan.last_resort, 0, {})
        for service in plan.services:
            for step in plan.steps(service):  # a schedule may have nobody on shift
                assert plan.people_of(step.targets, 0, {}) or any("schedule:" in one for one in step.targets)
            assert set(plan.service(service).needs) <= set(plan.services)
        assert all(route.service in plan.services for route in plan.routes)
    return reading


@given(st.dictionaries(st.sampled_from(["a.yaml", "b.yml"]), st.binary(max_size=300), max_size=2))
def test_any_bytes_are_answered(files):
    """No exception, whatever is in the files."""
    answers(files)


SNIPPETS = st.sampled_from([
    "\t", "\n", " ", ":", "- ", "{", "}", "[", "]", "'", '"', "&a ", "*a", "!x ", "#", "<<: ", "---\n", "\x00", "ñ",
    "\u2028", "\x85", "ana", "shop", "checkout", "5m", "secret:x", "~", "0", "9" * 30, "[[[[[[", "needs: [checkout]",
    "? ", "| ", "%", "\r\n", "é" * 9000,
])  # fmt: skip


@st.composite
def mutations(draw: Any) -> str:
    """The plan with every key, with up to five pieces cut, doubled, swapped or put in."""
    text = EVERYTHING
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 1, 1, 3, 12, 60]))
        piece = text[at : at + length]
        kind = draw(st.sampled_from(["cut", "double", "swap", "put"]))
        if kind == "cut":
            text = text[:at] + text[at + length :]
        elif kind == "double":
            text = text[:at] + piece + text[at:]
        elif kind == "swap":
            to = draw(st.integers(0, len(text)))
            text = text[:to] + piece + text[to:]
        else:
            text = text[:at] + draw(SNIPPETS) + text[at + length :]
    return text


@given(mutations())
def test_a_mutated_plan_is_answered(text):
    """A plan or an error, never neither, never both."""
    answers({"a.yaml": text.encode()})


def keys() -> list[str]:
    """Every key of every record, and some that are none."""

    def records(of: type[Record]) -> list[type[Record]]:
        return [one for kind in of.__subclasses__() for one in (kind, *records(kind))]

    return [*sorted({key for kind in records(Record) for key in kind.fields}), "ana", "shop", "schedules", "1", ""]


WORDS = st.one_of(
    st.sampled_from(re.findall(r"[^\s{}\[\],\"']+", EVERYTHING)),
    st.sampled_from(["", "1", "5m", "no", "UTC"]),
    st.text(max_size=8),
)
TREES = st.recursive(
    WORDS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys()), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(keys()), TREES, max_size=5))
def test_a_plan_made_of_the_languages_own_words_is_answered(tree):
    """Right keys in wrong places, too."""
    answers({"a.yaml": written({"tocsin": "1", "people": {"ana": {}}} | tree).encode()})


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=6))
def test_what_is_cut_out_of_a_good_plan_and_still_stands_validates(cuts):
    """The decoder never accepts what the schema refuses."""
    lines = EVERYTHING.splitlines(keepends=True)
    for start, length in cuts:
        at = start % len(lines)
        del lines[at : at + 1 + length % 3]
        if not lines:
            return
    text = "".join(lines).encode()
    reading = answers({"a.yaml": text})
    if reading.plan is not None:
        for loader in (Texts, Editor):
            assert [error.message for error in VALIDATOR.iter_errors(as_json(text, loader))] == []


def written(value: Any) -> str:
    """A tree as YAML in brackets; None is written as nothing."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(inner) for inner in value) + "]"
    return "" if value is None else quoted(value)


def quoted(text: str) -> str:
    """A text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def test_two_thousand_services_in_two_hundred_files_are_read():
    """Measured at 0.3 s; a reload must not be felt."""
    files = {}
    for file in range(200):
        text = (
            f"tocsin: 1\nteam: t{file}\ntimezone: Europe/Madrid\npeople: {{p{file}: {{email: p{file}@shop.example}}}}\n"
        )
        text += f"escalations: {{e{file}: [{{page: p{file}, wait: 5m}}]}}\nservices:\n"
        routes = "routes:\n"
        for number in range(file * 10, file * 10 + 10):
            text += f"  s{number}:\n    about: One of many.\n    tier: 2\n    escalation: e{file}\n"
            text += f"    needs: [s{number - 1}]\n" if number else ""
            text += f"    probes:\n      - {{http: https://s{number}.shop.example/health, every: 30s}}\n"
            text += "    heartbeats:\n      nightly: {cron: 0 3 * * *, grace: 20m}\n"
            routes += f"  - match: ['job=\"s{number}\"', env=prod]\n    service: s{number}\n"
        files[f"teams/{file}.yaml"] = (text + routes).encode()
    reading = read_plan(files)
    assert reading.plan is not None, "\n".join(map(str, reading.findings[:5]))
    assert len(reading.plan.services) == 2_001
