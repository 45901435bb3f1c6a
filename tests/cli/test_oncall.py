"""`tocsin oncall` on a plan's files, and against the real server: the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.stage import Stage, run
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

PLAN = """\
tocsin: 1
timezone: Europe/Madrid
people:
  ana: {name: Ana}
  ben: {name: Ben}
  kei: {name: Kei, timezone: Asia/Tokyo}
last resort: [ana]
schedules:
  shop-primary:
    layers:
      - {rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}
      - {rotate: [kei], every: week, handoff: Mon 09:00, timezone: Asia/Tokyo, only: [Mon-Fri 09:00-18:00]}
  office:
    layers: [{rotate: ana, only: Mon-Fri 09:00-18:00}]
escalations:
  shop: [{page: shop-primary, wait: 5m}, {page: ben}]
  desk: [{page one of: [ana, ben]}, {page: ana}]
services:
  checkout: {escalation: shop}
  desk: {escalation: desk}
"""
UNKNOWN = "overrides are not known here"

CALENDARS = f"{UNKNOWN}, nor what the calendars say that it names"

Start = Callable[..., TocsinServer]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A plan folder."""
    (tmp_path / "tocsin.yaml").write_text(PLAN)
    return str(tmp_path)


def test_who_is_on_call_by_the_files_alone(folder: str) -> None:
    """JSON on stdout; what the files cannot know is said on stderr."""
    done = run("oncall", "who", "shop-primary", "--at", "2026-11-24T03:00Z", "--plan", folder, "--json")
    assert done.code == 0, done.err
    assert UNKNOWN in done.err
    assert done.json == [
        {
            "person": "kei",
            "since": "2026-11-24T00:00:00.000Z",
            "until": "2026-11-24T09:00:00.000Z",
            "why": "layer 2 of shop-primary",
        }
    ]


def test_shifts_by_the_files_alone(folder: str) -> None:
    start, end = "2026-11-23T00:00Z", "2026-11-24T12:00Z"
    done = run("oncall", "shifts", "shop-primary", "--from", start, "--to", end, "--plan", folder, "--json")
    assert done.code == 0, done.err
    assert done.json == [
        {"person": "kei", "start": "2026-11-23T00:00:00.000Z", "end": "2026-11-23T09:00:00.000Z", "layer": "layer 2"},
        {"person": "ben", "start": "2026-11-23T09:00:00.000Z", "end": "2026-11-24T00:00:00.000Z", "layer": "layer 1"},
        {"person": "kei", "start": "2026-11-24T00:00:00.000Z", "end": "2026-11-24T09:00:00.000Z", "layer": "layer 2"},
        {"person": "ben", "start": "2026-11-24T09:00:00.000Z", "end": "2026-11-24T12:00:00.000Z", "layer": "layer 1"},
    ]


def test_how_long_still_is_counted_from_now_and_not_from_the_time_asked_about(stage: Stage) -> None:
    shift = {
        "person": "kei",
        "since": "2026-11-24T00:00:00.000Z",
        "until": "2026-11-24T09:00:00.000Z",
        "why": "layer 2",
    }
    stage.answers["GET /oncall/schedules/shop/who"] = (200, {"items": [shift], "next": None})
    assert "09:00:00 UTC (in 53 h)" in stage.run("oncall", "who", "shop", "--at", "2026-11-24T03:00Z").out
    listed = {"name": "shop", "about": "", "on_call": [shift]}
    stage.answers["GET /oncall/schedules"] = (200, {"items": [listed], "next": None})
    assert "09:00:00 UTC (in 53 h)" in stage.run("oncall", "list", "--at", "2026-11-24T03:00Z").out


def test_a_service_whose_incidents_are_paged_differently_is_told_way_by_way(stage: Stage) -> None:
    def row(step: int, person: str, **more: object) -> dict[str, object]:
        return {"step": step, "person": person, "by": "", **EVERY, **more}

    gold = {"severities": ["sev1", "sev2"], "tiers": ["gold", ""]}
    rows = [row(1, "ana", **gold), row(2, "ben", when="outside office", passed=True, **gold), row(1, "kei", tiers=[""])]
    stage.answers["GET /oncall/services/shop/who"] = (200, {"items": rows, "next": None})
    said = stage.run("oncall", "service", "shop", "--severity", "SEV1", "--tier", "gold").out.splitlines()
    assert [" ".join(line.split()) for line in said if line] == [
        "SEV1, SEV2, gold customers or customers of no tier",
        "STEP PERSON BY FOR",
        "1 ana named in the plan",
        "2 ben named in the plan outside office: passed over",
        "Customers of no tier",
        "STEP PERSON BY",
        "1 kei named in the plan",
    ]
    (asked,) = [one for one in stage.asked if one.path.endswith("/who")]
    assert asked.query == {"severity": ["sev1"], "tier": ["gold"]}
    stage.answers["GET /oncall/services/shop/who"] = (200, {"items": [row(1, "ana")], "next": None})
    assert " ".join(stage.run("oncall", "service", "shop").out.split()) == "STEP PERSON BY 1 ana named in the plan"
    assert stage.run("oncall", "service", "shop", "--severity", "sev9").code == 2


RANGE = ["--from", "2026-11-23T08:00Z", "--to", "2026-11-23T22:00Z"]


def test_whom_a_service_would_page_over_a_time_by_the_files_alone(folder: str) -> None:
    done = run("oncall", "service", "checkout", *RANGE, "--plan", folder, "--json")
    assert (done.code, UNKNOWN in done.err) == (0, True), done.err
    every = {"severities": [], "tiers": [], "when": "", "one_of": False, "last_resort": False}
    noon, end = "2026-11-23T09:00:00.000Z", "2026-11-23T22:00:00.000Z"
    start = "2026-11-23T08:00:00.000Z"
    assert done.json == [
        {"step": 1, "person": "kei", "by": "shop-primary, layer 2", "start": start, "end": noon, **every},
        {"step": 2, "person": "ben", "by": "", "start": start, "end": end, **every},
        {"step": 1, "person": "ben", "by": "shop-primary, layer 1", "start": noon, "end": end, **every},
    ]
    at = ["--plan", folder, "--json", "--at", "2026-11-23T08:00Z"]
    assert [one["person"] for one in run("oncall", "service", "checkout", *at).json] == ["kei", "ben"]
    weeks = run("oncall", "service", "checkout", "--weeks", "3", "--plan", folder, "--json").json
    begins, ends = (datetime.fromisoformat(weeks[place][edge]) for place, edge in ((0, "start"), (-1, "end")))
    assert ends - begins == timedelta(weeks=3)


def test_where_a_step_or_all_of_them_reach_nobody_the_list_says_so(folder: str) -> None:
    text = PLAN.replace("checkout: {escalation: shop}", "checkout: {escalation: day}")
    Path(folder, "tocsin.yaml").write_text(text.replace("escalations:\n", "escalations:\n  day: [{page: office}]\n"))
    said = run("oncall", "service", "checkout", *RANGE, "--plan", folder, TZ="UTC").out.splitlines()
    begin, close, end = (f"2026-11-23 {hour}:00:00 UTC" for hour in ("08", "17", "22"))
    assert [" ".join(line.split()) for line in said if line] == [
        "FROM TO STEP PERSON BY",
        f"{begin} {close} 1 ana office, layer 1",
        f"{close} {end} 1 nobody whoever is next is asked at once, the team's lead and the last resort as well",
        f"{close} {end} 2 ana last resort",
    ]


def test_people_get_tables_and_sentences(folder: str) -> None:
    done = run("oncall", "who", "shop-primary", "--at", "2020-11-24T03:00Z", "--plan", folder, TZ="UTC")
    assert "kei     2020-11-24 00:00:00 UTC  2020-11-24 09:00:00 UTC  layer 2 of shop-primary" in done.out
    assert (
        "Nobody is on call by office."
        in run("oncall", "who", "office", "--at", "2026-11-22T03:00Z", "--plan", folder).out
    )


def test_shifts_are_those_of_the_next_twelve_weeks_unless_said_otherwise(folder: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    first, *_, last = run("oncall", "shifts", "shop-primary", "--plan", folder, "--json").json
    begins, ends = (datetime.fromisoformat(one) for one in (first["start"], last["end"]))
    assert before <= begins <= datetime.now(UTC)
    assert ends - begins == timedelta(weeks=12)
    found = run("oncall", "shifts", "shop-primary", "--plan", folder, "--from", "2026-12-01T00:00Z", "--json").json
    assert (found[0]["start"], found[-1]["end"]) == ("2026-12-01T00:00:00.000Z", "2027-02-23T00:00:00.000Z")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["who", "shop-primry"], 1, "The plan has no schedule shop-primry. Did you mean shop-primary?"),
        (["who", "zzz"], 1, "It has shop-primary, office."),
        (["who", "office", "--at", "soon"], 2, "'soon' is not a time"),
        (["who", "office", "--at", "0001-01-01T00:00Z"], 2, "ask about a time from 1980 to 2199"),
        (["shifts", "office", "--from", "2026-11-24T00:00Z", "--to", "2026-11-24T00:00Z"], 2, "--to must be later"),
        (["shifts", "office", "--from", "2020-01-01T00:00Z", "--to", "2026-01-01T00:00Z"], 2, "two years at most"),
        (["who", "office", "--url", "http://localhost"], 2, "Give --plan, or a server"),
        (["service", "chekout"], 1, "The plan has no service chekout. Did you mean checkout?"),
        (["service", "checkout", "--tier", "gold"], 1, "--tier: the plan has no customer tiers, and not gold"),
        (["person", "anna"], 1, "The plan has no person anna. Did you mean ana?"),
        (["person", "ana", "--from", "2020-01-01", "--to", "2026-01-01"], 2, "two years at most"),
        (["service", "checkout", "--weeks", "1", "--at", "2026-11-24T00:00Z"], 2, "Ask about one time (--at), or"),
        (["service", "checkout", "--weeks", "1", "--to", "2026-11-24T00:00Z"], 2, "Say either --weeks or --to."),
        (["service", "checkout", "--weeks", "105"], 2, "105 is not in the range"),
        (["service", "checkout", "--from", "2020-01-01", "--to", "2026-01-01"], 2, "two years at most"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_why(folder: str, arguments: list[str], code: int, says: str) -> None:
    done = run("oncall", *arguments, "--plan", folder)
    assert (done.code, done.out) == (code, "")
    assert says in done.err


def test_schedules_with_errors_are_not_answered_from(folder: str) -> None:
    Path(folder, "tocsin.yaml").write_text(PLAN.replace("[ana, ben]", "[ana, bne]"))
    done = run("oncall", "who", "office", "--plan", folder)
    assert (done.code, done.out) == (1, "")
    assert "unknown person 'bne'" in done.err
    assert run("oncall", "who", "office", "--plan", folder + "/nowhere").code == 1


def test_what_is_wrong_elsewhere_in_the_plan_keeps_nobody_from_an_answer(folder: str) -> None:
    """Files that are no plan, and services written for a newer Tocsin."""
    good = run("oncall", "who", "shop-primary", "--at", "2026-11-21T02:24:00Z", "--plan", folder, "--json")
    text = PLAN.replace("checkout: {", "checkout: {playbooks: [x], tier: nine, ") + "maintenance: []\n"
    Path(folder, "tocsin.yaml").write_text(text)
    Path(folder, "nights.yaml").write_text("scenario: one\n---\nscenario: two\n")
    done = run("oncall", "who", "shop-primary", "--at", "2026-11-21T02:24:00Z", "--plan", folder, "--json")
    assert (done.code, done.out) == (0, good.out) and '"ana"' in good.out
    assert f"The plan has errors elsewhere; `tocsin plan check {folder}` lists them." in done.err


def test_the_server_answers_as_the_files_do(tocsin_server: Start, folder: str) -> None:
    server = tocsin_server(plan=PLAN)
    at = ["--at", "2026-11-24T03:00Z"]
    ranged = ["--from", "2026-10-20T00:00Z", "--to", "2026-11-24T00:00Z"]
    shifts = (["shifts", "shop-primary", *ranged], ["person", "ana", *ranged])
    for arguments in (["who", "shop-primary", *at], ["who", "office", *at], *shifts):
        offline = run("oncall", *arguments, "--plan", folder, "--json")
        done = server.run("oncall", *arguments, "--json")
        assert json.loads(done.stdout) == offline.json
        assert UNKNOWN not in done.stderr
    done = server.run("oncall", "who", "shop-primry", check=False)
    assert done.returncode == 1
    assert "did you mean shop-primary?" in done.stderr


def test_an_override_is_made_seen_and_taken_back(tocsin_server: Start) -> None:
    """Who is on call changes with each; the plan's files do not."""
    server = tocsin_server(plan=PLAN)
    made = server.json("oncall", "override", "office", "kei", "--for", "4h", "--reason", "painting")
    assert (made["id"], made["kind"], made["state"], made["person"]) == (1, "override", "agreed", "kei")
    assert made["asked_by"] == "token:this machine", "whoever is on that machine is nobody of the plan"
    [who] = server.json("oncall", "who", "office")
    assert (who["person"], who["until"]) == ("kei", made["ends_at"])
    assert who["why"].startswith("override 1 of office: kei, asked by ")
    assert who["why"].endswith(": painting")
    assert [one["id"] for one in server.json("oncall", "overrides")] == [1]
    server.write_plan(PLAN.replace("  kei: {name: Kei, timezone: Asia/Tokyo}\n", "").replace("[kei]", "[ben]"))
    assert "Override 1 on office takes nobody's place: kei is not in the plan" in server.run("plan", "reload").stdout
    assert "not in force: kei is not in the plan; painting" in server.run("oncall", "overrides").stdout
    assert server.json("oncall", "overrides")[0]["idle"] == "kei is not in the plan"
    assert "Override 1: kei on office" in server.run("oncall", "cancel", "1").stdout
    assert server.json("oncall", "overrides") == []
    assert [one["state"] for one in server.json("oncall", "overrides", "--state", "all")] == ["cancelled"]
    assert server.run("oncall", "cancel", "1", check=False).returncode == 1


def test_a_swap_and_a_cover_request_wait_for_their_people(tocsin_server: Start, tmp_path: Path) -> None:
    server = tocsin_server(plan=PLAN)
    tokens = {}
    for name in ("ana", "ben"):
        server.run("user", "add", name, "--role", "responder", "--person", name)
        tokens[name] = server.json("user", "token", name)["token"]

    def as_(person: str, *arguments: str) -> Any:
        return run("oncall", *arguments, "--url", server.url, "--json", TOCSIN_TOKEN=tokens[person])

    shifts = server.json("oncall", "shifts", "shop-primary", "--from", soon(2), "--to", soon(16))
    other = {"ana": "ben", "ben": "ana"}
    first = next(one for one in shifts if one["person"] in other)
    second = next(one for one in shifts if one["person"] == other[first["person"]])
    mine, theirs = first["person"], second["person"]
    asked = as_(
        mine, "swap", "shop-primary", theirs, "--from", first["start"], "--to", first["end"],
        "--back-from", second["start"], "--back-to", second["end"],
    )  # fmt: skip
    assert asked.code == 0, asked.err
    assert asked.json["state"] == "asked"
    refused = as_(mine, "accept", "1")
    assert (refused.code, "can answer this swap" in refused.err) == (4, True)
    assert as_(theirs, "accept", "1").json["state"] == "agreed"
    back = [f"{one[:10]} {one[11:19]} UTC" for one in (second["start"], second["end"])]
    said = run("oncall", "overrides", "--url", server.url, TOCSIN_TOKEN=tokens[mine]).out
    assert f"for {back[0]} to {back[1]}" in said
    for shift, person in ((first, theirs), (second, mine)):
        [who] = server.json("oncall", "who", "shop-primary", "--at", shift["start"])
        assert (who["person"], who["since"], who["until"]) == (person, shift["start"], shift["end"])

    later = next(one for one in shifts if one["person"] == mine and one is not first)
    wanted = as_(mine, "cover", "shop-primary", "--from", later["start"], "--to", later["end"])
    assert (wanted.json["state"], wanted.json["instead_of"]) == ("asked", mine)
    again = as_(theirs, "override", "shop-primary", theirs, "--from", first["start"], "--to", first["end"])
    assert (again.code, again.json["state"]) == (0, "agreed")
    assert "Warning: " in again.err and "is on call by shop-primary all that time already." in again.err
    other = as_(theirs, "cover", "shop-primary", "--from", later["start"], "--to", later["end"])
    assert f"In that time {mine} is on call by shop-primary: say whose place is to be taken (--person)." in other.err
    assert as_(theirs, "accept", "2").json["person"] == theirs
    backwards = as_(mine, "override", "shop-primary", theirs, "--from", later["end"], "--to", later["start"])
    assert (backwards.code, "It must end after it begins" in backwards.err) == (1, True)


EVERY = {"severities": [], "tiers": [], "when": "", "passed": False, "one_of": False, "next": False}


def soon(days: int) -> str:
    """Midnight, so many days from now."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT00:00Z}"


def test_who_is_on_call_for_schedules_people_and_services(tocsin_server: Start) -> None:
    server = tocsin_server(plan=PLAN)
    at = ["--at", "2026-11-24T03:00Z"]
    server.run("user", "add", "kei", "--role", "responder", "--person", "kei")
    as_kei = {"TOCSIN_URL": server.url, "TOCSIN_TOKEN": server.json("user", "token", "kei")["token"]}
    asked = ["oncall", "who", "shop-primary", *at]
    assert "2026-11-24 18:00:00 JST" in run(*asked, TZ="", **as_kei).out, "a reader is told times in their own zone"
    assert "2026-11-24 10:00:00 CET" in run(*asked, TZ="Europe/Madrid", **as_kei).out, "TZ is a choice"
    assert run(*asked, "--json", TZ="", **as_kei).json[0]["until"] == "2026-11-24T09:00:00.000Z"
    for typed, zone in (("12:00", ""), ("04:00", "Europe/Madrid"), ("03:00", "UTC")):
        written = ["oncall", "who", "shop-primary", "--at", f"2026-11-24T{typed}", "--json"]
        assert run(*written, TZ=zone, **as_kei).json[0]["until"] == "2026-11-24T09:00:00.000Z", "read as it is told"
    assert server.json("oncall", "person", "kei"), "in the next twelve weeks"
    listed = server.json("oncall", "list", *at)
    assert [(one["name"], [who["person"] for who in one["on_call"]]) for one in listed] == [
        ("office", []),
        ("shop-primary", ["kei"]),
    ]
    assert "office        nobody" in server.run("oncall", "list", *at).stdout
    ranged = ["--from", "2026-11-23T00:00Z", "--to", "2026-11-23T12:00Z"]
    assert server.json("oncall", "person", "kei", *ranged) == [
        {
            "schedule": "shop-primary",
            "start": "2026-11-23T00:00:00.000Z",
            "end": "2026-11-23T09:00:00.000Z",
            "layer": "layer 2",
        }
    ]
    assert server.json("oncall", "service", "checkout", *at) == [
        {"step": 1, "person": "kei", "by": "shop-primary, layer 2", **EVERY},
        {"step": 2, "person": "ben", "by": "", **EVERY},
    ]
    listed = server.json("oncall", "service", "checkout", *ranged)
    assert [(one["step"], one["person"], one["start"][11:13], one["end"][11:13]) for one in listed] == [
        (1, "kei", "00", "09"), (2, "ben", "00", "12"), (1, "ben", "09", "12"),
    ]  # fmt: skip
    asked = server.json("oncall", "service", "checkout", "--severity", "SEV2", *at)
    assert [(one["person"], one["severities"]) for one in asked] == [("kei", ["sev2"]), ("ben", ["sev2"])]
    done = server.run("oncall", "service", "checkout", "--tier", "gold", check=False)
    assert (done.returncode, "--tier: the plan has no customer tiers, and not gold" in done.stderr) == (1, True)
    assert "did you mean checkout?" in server.run("oncall", "service", "chekout", check=False).stderr

    def desk() -> list[tuple[int, str, bool, bool]]:
        found = server.json("oncall", "service", "desk")
        return [(one["step"], one["person"], one["one_of"], one["next"]) for one in found]

    assert desk() == [(1, "ana", True, True), (1, "ben", True, False), (2, "ana", False, False)]
    server.run("send", "--title", "The desk is on fire", "--service", "desk")
    eventually(lambda: desk()[:2] == [(1, "ana", True, False), (1, "ben", True, True)], what="the turn to go on")
    told = " ".join(server.run("oncall", "service", "desk").stdout.split())
    assert "1, one of ben named in the plan, whose turn it is 2 ana named in the plan" in told


def test_a_calendar_is_made_read_and_revoked(tocsin_server: Start) -> None:
    """Through the whole server: its address needs no signing in, until it is revoked."""
    server = tocsin_server(plan=PLAN)
    made = server.json("oncall", "feed", "--schedule", "shop-primary")
    answer = httpx2.get(made["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert answer.text.startswith("BEGIN:VCALENDAR\r\n")
    assert answer.text.count("BEGIN:VEVENT") > 300
    server.run("user", "revoke", str(made["id"]))
    assert httpx2.get(made["url"]).status_code == 404
    assert server.run("oncall", "feed", "--person", "bob", check=False).returncode == 1
    assert server.run("oncall", "feed", check=False).returncode == 2


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_an_override_pages_on_both_stores(tocsin_server: Start, request: pytest.FixtureRequest, store: str) -> None:
    """Made, survived kill -9, and paged: the timeline and `tocsin why` say by what."""
    database = request.getfixturevalue("postgres_url") if store == "postgres" else None
    server = tocsin_server(plan=PLAN, database=database)
    server.run("oncall", "override", "shop-primary", "ben", "--for", "4h")
    server.kill9()
    server.restart()
    assert server.json("oncall", "who", "shop-primary")[0]["person"] == "ben"
    server.run("send", "--service", "checkout", "--title", "Cards fail", "--severity", "critical")
    [incident] = eventually(lambda: server.json("incidents", "list"))
    told = server.run("why", str(incident["number"])).stdout
    assert "Paging Ben (shop-primary, override 1); next in 5 min if nobody answers" in told


def test_without_a_server_it_is_said_that_calendars_are_not_known(tmp_path: Path) -> None:
    text = PLAN.replace("schedules:\n", "calendars: {rota: {ical: secret:rota}}\nschedules:\n")
    text = text.replace("  office:\n", "  office:\n    calendar: rota\n")
    (tmp_path / "tocsin.yaml").write_text(text)
    said = run("oncall", "who", "office", "--plan", str(tmp_path))
    assert CALENDARS in said.err
    assert CALENDARS not in run("oncall", "who", "shop-primary", "--plan", str(tmp_path)).err


def test_refusals_name_what_was_typed_and_not_the_fields_of_the_api(stage: Stage) -> None:
    """Of a moment, a length, a person; and a number that is none."""
    swap = ["swap", "shop", "ben", "--from", "2026-11-24", "--to", "2026-11-25"]
    swap += ["--back-from", "2026-11-26", "--back-to", "2026-11-27"]
    cover = ["cover", "shop", "--person", "nobody", "--for", "4h"]
    override = ["override", "shop", "ben"]
    for command, field, detail, said in (
        (swap, "back_starts_at", "The two times of a swap overlap", "overlap (--back-from)."),
        (cover, "person", "The plan has no person 'nobody'", "'nobody' (--person)."),
        (swap, "other", "A swap needs somebody else", "somebody else (PERSON)."),
        ([*override, "--to", "2026-11-20"], "ends_at", "It cannot end in the past", "in the past (--to)."),
        ([*override, "--for", "900d"], "ends_at", "It is too long", "too long (--for)."),
        ([*override, "--for", "1s"], "duration", "duration: it is too short", "Error: --for: it is too short."),
    ):
        for path in ("swaps", "overrides", "covers"):
            stage.problem(f"POST /oncall/{path}", 400, "invalid", detail, field=field)
        assert said in stage.run("oncall", *command).err, command
    for move in ("accept", "decline", "cancel"):
        done = stage.run("oncall", move, "abc")
        assert (done.code, "'abc' is not a number, such as 7." in done.err) == (2, True)
