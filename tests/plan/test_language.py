"""What the language means where it is left unsaid, and how files make one plan."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tests.plan.written import HEAD, good, read
from tocsin.plan import read_plan
from tocsin.plan.reading import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, plan_version


def test_twenty_lines_are_not_needed():
    """The shortest plan: somebody, and the inbox that always exists."""
    reading = read(tocsin="tocsin: 1\npeople: {ana: {}}")
    assert reading.plan is not None
    assert list(reading.plan.services) == ["inbox"]
    assert reading.plan.last_resort == ("person:ana",)
    assert reading.plan.steps("inbox")[0].targets == ("person:ana",)
    assert reading.plan.timezone == "UTC"


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("", ("team:shop",)),
        ("teams: {shop: {members: [ana], lead: ben}}", ("person:ben",)),
        ("teams: {night: {members: [ben], lead: ben}}", ("team:shop",)),
        ("last resort: ben", ("person:ben",)),
        ("last resort: team shop", ("team:shop",)),
        ("last resort: [ben, team shop, ben]", ("person:ben", "team:shop")),
    ],
)
def test_there_is_always_a_last_resort(text, targets):
    """What the plan says; else its team's lead; else the team; else the first person."""
    assert good(text).last_resort == targets


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("low", {"sev1": "low", "sev2": "low", "sev3": "low", "sev4": "low"}),
        ("{sev3: low, sev1: high}", {"sev1": "high", "sev3": "low"}),
        ("{}", {}),
    ],
)
def test_urgency_is_one_word_or_said_by_severity(written, meant):
    """For a service and for a route alike."""
    plan = good(f"services: {{pay: {{urgency: {written}}}}}\nroutes: [{{match: [], service: pay, urgency: {written}}}]")
    assert plan.services["pay"].urgency == plan.routes[0].urgency == meant


@pytest.mark.parametrize("written", ["none", "{sev5: low}", "{sev1: middling}", "[low]"])
def test_an_urgency_that_is_none_is_refused(written):
    reading = read(tocsin=f"tocsin: 1\npeople: {{ana: {{}}}}\nservices: {{pay: {{urgency: {written}}}}}")
    assert reading.plan is None


def test_a_telephone_number_is_not_the_plans():
    """It is the person's own, and the refusal says where it belongs."""
    reading = read(tocsin="tocsin: 1\npeople: {ana: {phone: +34600000000}}")
    (found,) = [one for one in reading.findings if one.level == "error"]
    assert found.message == "'phone' is not part of a person"
    assert "tocsin contact add" in found.hint


def test_a_files_team_is_its_people_unless_teams_says_otherwise():
    """Files of one team add up."""
    reading = read(
        a="tocsin: 1\nteam: t\npeople: {a: {}}", b="tocsin: 1\nteam: t\npeople: {b: {}}", c="tocsin: 1\npeople: {c: {}}"
    )
    assert reading.plan is not None
    assert reading.plan.teams["t"].members == ("a", "b")
    assert good("teams: {shop: {members: [ben]}}").teams["shop"].members == ("ben",)


def test_a_silent_file_follows_the_others_when_they_agree():
    """One time zone and one team for the whole plan are said once."""
    silent = "tocsin: 1\nservices: {pay: {heartbeats: {n: {cron: 0 3 * * *}}}}"
    one = read(a="tocsin: 1\nteam: t\ntimezone: Asia/Tokyo\npeople: {a: {}}", b=silent).plan
    assert one is not None
    assert (one.heartbeats[0].timezone, one.services["pay"].team) == ("Asia/Tokyo", "t")
    two = read(
        a="tocsin: 1\nteam: t\ntimezone: Asia/Tokyo\npeople: {a: {}}",
        b="tocsin: 1\nteam: u\ntimezone: Europe/Madrid\npeople: {b: {}}",
        c=silent,
    ).plan
    assert two is not None
    assert (two.heartbeats[0].timezone, two.services["pay"].team) == ("UTC", "")
    assert (two.people["a"].timezone, two.people["b"].timezone) == ("Asia/Tokyo", "Europe/Madrid")
    assert (two.team, two.timezone) == ("t", "Asia/Tokyo")


def test_routes_of_many_files_stand_in_the_order_of_names():
    """The first match wins, so the order is told."""
    files = {f"{name}.yaml": f"tocsin: 1\nroutes: [{{match: ['f={name}'], service: inbox}}]".encode() for name in "cab"}
    reading = read_plan({**files, "z.yaml": b"tocsin: 1\npeople: {ana: {}}"})
    assert reading.plan is not None
    assert [one.match[0].value for one in reading.plan.routes] == ["a", "b", "c"]


def test_texts_stay_what_was_written():
    """No text becomes a number, a truth or nothing because of how it looks."""
    for text in ("10:00", "no", "~", "null", "0x10", "1e3", "2026-11-22", "=", ".inf"):
        assert good(f"services: {{a: {{about: {text}}}}}").services["a"].about == text
    assert good("services: {no: {}, 007: {needs: [no]}}").services["007"].needs == ("no",)


def test_quotes_and_blocks_are_only_ways_of_writing():
    """A tier in quotes is a tier, and JSON is a plan too."""
    assert good('services: {"a": {"tier": "1"}}').services["a"].tier == 1
    assert good("services:\n  a:\n    about: >\n      two\n      lines\n").services["a"].about == "two lines\n"
    assert read_plan({"a.yaml": b'{"tocsin": 1, "people": {"ana": {}}}'}).plan is not None


def test_a_byte_order_mark_is_no_part_of_the_plan():
    """Windows editors write one."""
    assert read_plan({"a.yaml": b"\xef\xbb\xbf" + HEAD.encode()}).plan is not None


def test_sections_with_nothing_in_them_are_empty():
    """A section whose lines are all comments says nothing, as in the starter plan."""
    plan = good("services:\nroutes:\nescalations:\nteams:\n")
    assert (plan.routes, plan.escalations) == ((), {})


def test_the_version_is_the_hash_of_names_and_contents():
    """The same files are the same version, in whatever order they came; any other byte is another."""
    files = {"b.yaml": b"tocsin: 1", "a.yaml": HEAD.encode()}
    version = plan_version(files)
    assert version == plan_version(dict(reversed(files.items())))
    assert len(version) == len(sha256().hexdigest())
    assert version != plan_version({**files, "b.yaml": b"tocsin: 1 "})
    assert plan_version({"a": b"xb", "c": b""}) != plan_version({"a": b"x", "bc": b""})
    reading = read_plan(files)
    assert reading.plan is not None
    assert reading.plan.version == version


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({f"{n}.yaml": b"" for n in range(MAX_FILES + 1)}, "the plan has 1,001 files; 1,000 are allowed"),
        ({"a.yaml": b"#" * (MAX_FILE_BYTES + 1)}, "this file has more than 1,000,000 bytes"),
        (
            {f"{n}.yaml": b"#" * MAX_FILE_BYTES for n in range(MAX_BYTES // MAX_FILE_BYTES + 1)},
            "the plan has more than 16,000,000 bytes in all",
        ),
    ],
)
def test_a_plan_is_bounded(files, message):
    """Whoever hands the files in."""
    reading = read_plan(files)
    assert reading.plan is None
    assert [one.message for one in reading.findings] == [message]
