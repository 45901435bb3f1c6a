"""Lists: whole for scripts, readable for people, safe for terminals."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from tests.cli.stage import TOKEN, Asked, Stage, alert, incident, key, on_terminal, silence, token, user
from tests.support.processes import inherited_environment
from tests.support.server import tocsin_command

LISTS = [
    (["incidents", "list"], "GET /incidents", incident),
    (["incidents"], "GET /incidents", incident),
    (["alerts"], "GET /alerts", alert),
    (["alerts", "list"], "GET /alerts", alert),
    (["silence", "list"], "GET /silences", silence),
    (["key", "list"], "GET /keys", key),
    (["user", "list"], "GET /users", user),
    (["user", "tokens"], "GET /tokens", token),
]


@pytest.mark.parametrize(("arguments", "route", "make"), LISTS)
def test_json_is_one_array_of_every_page(stage: Stage, arguments, route, make) -> None:
    """All pages, in order, as the API published them; a page may be empty and still be followed by another."""
    items = [make(), make(), make()]
    stage.pages(route, items[:2], [], items[2:])
    assert stage.run(*arguments, "--json").json == items
    assert [asked.query.get("cursor") for asked in stage.asked] == [None, ["1"], ["2"]]


@pytest.mark.parametrize(("arguments", "route", "make"), LISTS)
def test_nothing_is_an_empty_array_and_a_sentence(stage: Stage, arguments, route, make) -> None:
    """Scripts get [], people a sentence."""
    stage.pages(route, [])
    assert stage.run(*arguments, "--json").out == "[]\n"
    assert re.fullmatch(r"[A-Z].+\n", stage.run(*arguments).out)


def test_a_list_that_breaks_off_is_no_json_and_no_success(stage: Stage) -> None:
    """A script must not take half a list for the whole."""

    def answer(asked: Asked) -> tuple[int, object]:
        if "cursor" in asked.query:
            return 503, {"status": 503, "detail": "not now"}
        return 200, {"items": [alert(1)], "next": "x"}

    stage.answers["GET /alerts"] = answer
    done = stage.run("alerts", "--json")
    assert done.code == 3
    with pytest.raises(json.JSONDecodeError):
        json.loads(done.out)


@pytest.mark.parametrize("command", ["incidents", "alerts"])
def test_a_service_that_does_not_exist_is_named_with_the_nearest(stage: Stage, command: str) -> None:
    """A list that is empty for a slip of the keyboard would look like a quiet night."""
    stage.pages(f"GET /{command}", [])
    stage.pages("GET /services", [{"name": "checkout"}, {"name": "inbox"}])
    for wanted in ([], ["--json"]):
        done = stage.run(command, "list", "--service", "chekout", *wanted)
        assert (done.code, done.err) == (1, "Error: There is no service 'chekout'; did you mean checkout?\n")
    assert stage.run(command, "list", "--service", "checkout", "--json").json == []


def test_limit_stops_asking(stage: Stage) -> None:
    """Pages that are not needed are not read."""
    stage.pages("GET /alerts", [alert(1), alert(2)], [alert(3)])
    assert [one["id"] for one in stage.run("alerts", "--json", "--limit", "2").json] == [1, 2]
    assert len(stage.asked) == 1
    assert len(stage.run("alerts", "--json", "--limit", "0").json) == 3


def test_filters_are_the_servers(stage: Stage) -> None:
    """What is asked for goes into the query as the API names it; matchers in their one spelling."""
    stage.pages("GET /alerts", [])
    stage.pages("GET /incidents", [])
    stage.pages("GET /silences", [])
    stage.run(
        "alerts",
        "--state",
        "all",
        "--service",
        "a b",
        "--match",
        "RedisFull",
        "--match",
        "region!=eu",
        "--incident",
        "3",
    )
    stage.run("incidents", "list", "--severity", "sev1", "--service", "x")
    stage.run("silence", "list", "--state", "expired")
    first, second, third = (asked.query for asked in stage.asked if not asked.path.endswith("/services"))
    assert first == {
        "state": ["all"], "service": ["a b"], "incident": ["3"],
        "matcher": ['alertname="RedisFull"', 'region!="eu"'], "limit": ["500"],
    }  # fmt: skip
    assert second == {
        "state": ["open"], "severity": ["sev1"], "order": ["gravest"], "service": ["x"], "limit": ["500"],
    }  # fmt: skip
    assert third == {"state": ["expired"], "limit": ["500"]}


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ([], ["gravest"]), (["--state", "triggered"], ["gravest"]), (["--order", "newest"], None),
        (["--state", "resolved"], None), (["--state", "all"], None), (["--json"], None),
        (["--json", "--order", "gravest"], ["gravest"]),
    ],
)  # fmt: skip
def test_the_table_lists_what_is_open_as_the_page_does_and_json_by_number(
    stage: Stage, words: list[str], order: list[str] | None
) -> None:
    """Scripts meet everything once; a SEV1 is not behind a hundred newer SEV4 for whoever looks."""
    stage.pages("GET /incidents", [])
    assert stage.run("incidents", *words).code == 0
    assert stage.asked[0].query.get("order") == order


def test_a_bad_matcher_is_refused_before_anything_is_asked(stage: Stage) -> None:
    """The same reader as the server's says what is wrong with it."""
    done = stage.run("alerts", "--match", "a=~(")
    assert done.code == 2
    assert "regular expression" in done.err
    assert stage.asked == []


def test_revoked_keys_are_left_out_unless_asked_for(stage: Stage) -> None:
    """The list is of what lets somebody in."""
    stage.pages("GET /keys", [key(1), key(2, revoked_at="2026-11-21T03:00:00.000Z"), key(3, service="shop")])
    assert [one["id"] for one in stage.run("key", "list", "--json").json] == [1, 3]
    assert [one["id"] for one in stage.run("key", "list", "--json", "--all").json] == [1, 2, 3]
    assert [one["id"] for one in stage.run("key", "list", "--json", "--service", "shop").json] == [3]


def test_into_a_pipe_go_plain_columns_with_nothing_cut_off(stage: Stage) -> None:
    """No colour, no lines drawn, every id whole, one row a line however long."""
    name = "6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10"
    long = "a very long comment " * 20
    stage.pages("GET /silences", [silence(name, comment=long)])
    out = stage.run("silence", "list", COLUMNS="40").out
    assert out.splitlines()[0].split() == ["ID", "STATE", "ENDS", "AUTHOR", "MATCHERS", "COMMENT"]
    assert len(out.splitlines()) == 2
    assert name in out
    assert long.strip() in out
    assert out.isascii()


def test_what_is_kept_quiet_does_not_look_like_what_waits_for_a_person(stage: Stage) -> None:
    """Paging that is off for all of Tocsin is said elsewhere."""
    reasons = {1: None, 2: "silenced", 3: "clearing", 4: "playbook_runs", 5: "playbook_verified", 6: "paging_off"}
    stage.pages(
        "GET /incidents",
        [incident(one, state="triggered", paused=why) for one, why in reasons.items()]
        + [incident(7, state="acknowledged", paused="silenced")],
    )
    lines = stage.run("incidents", "list").out.splitlines()[1:]
    words = ("triggered", "silenced", "clearing", "code is on it", "fixed, watching", "triggered", "acknowledged")
    for line, word in zip(lines, words, strict=True):
        assert line.split(maxsplit=1)[1].startswith(word)


def test_times_are_told_by_the_servers_clock(stage: Stage) -> None:
    """The stage says it is 03:30; whatever this machine thinks, the incident of 03:17 is open for 13 min."""
    stage.pages("GET /incidents", [incident()])
    assert "13 min" in stage.run("incidents", "list").out


def test_wide_characters_keep_columns_aligned(stage: Stage) -> None:
    """A Japanese service name takes two cells a character."""
    stage.pages("GET /incidents", [incident(1, service="注文", title="AAA"), incident(2, service="shop", title="BBB")])
    first, second = stage.run("incidents", "list").out.splitlines()[1:]
    assert len(first[: first.index("AAA")]) + 2 == len(second[: second.index("BBB")])


HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202egnp.exe\u200b\nsecond line\x00\ud800"


@pytest.mark.parametrize("columns", [0, 200, 40])
def test_texts_of_monitors_cannot_steer_the_terminal(stage: Stage, columns: int) -> None:
    """Escape sequences, line breaks, reordering and hidden characters are written out, on terminals and in pipes."""
    bad = HOSTILE.replace("\ud800", "")
    stage.pages("GET /incidents", [incident(1, title=bad, service=bad, acknowledged_by=bad)])
    if columns:
        out = on_terminal(columns, "incidents", "list", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN).out
        # What styles the table is rich's own: only SGR sequences.
        out = re.sub(r"\x1b\[[0-9;]*m", "", out).replace("\r\n", "\n")
    else:
        out = stage.run("incidents", "list").out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]", out)
    assert "\\x1b" in out


def test_rich_markup_in_a_title_is_text(stage: Stage) -> None:
    """[bold] is what the monitor wrote."""
    stage.pages("GET /incidents", [incident(1, title="[bold]disk[/bold] [link=http://x]full[/link]")])
    out = on_terminal(160, "incidents", "list", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN).out
    assert "[bold]disk[/bold] [link=http://x]full[/link]" in out


def test_json_is_ascii(stage: Stage) -> None:
    """So that nothing inside it reaches a terminal raw, and no locale can break it."""
    stage.pages("GET /incidents", [incident(1, title=HOSTILE.replace("\ud800", "") + "注文")])
    out = stage.run("incidents", "list", "--json").out
    assert out.isascii()
    assert json.loads(out)[0]["title"].endswith("注文")


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 120, 200])
def test_no_terminal_is_too_narrow_for_numbers_and_titles(stage: Stage, columns: int) -> None:
    """Columns give way before the text does, and no line is longer than the terminal."""
    stage.pages("GET /incidents", [incident(17), incident(18, title="Another")])
    out = on_terminal(columns, "incidents", "list", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN, NO_COLOR="1").out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, plain.split("\r\n"))) <= columns
    told = " ".join(plain.split())
    assert "17" in told
    assert "Another" in told
    assert "…" not in plain
    for word in ["Cart", "redis", "is", "out", "of", "memory"]:
        assert word in told


def test_ids_are_whole_on_a_narrow_terminal(stage: Stage) -> None:
    """What one copies must be all there."""
    name = "6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10"
    stage.pages("GET /silences", [silence(name)])
    assert name in on_terminal(60, "silence", "list", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN).out


def test_a_person_is_shown_a_hundred_rows_and_told_how_to_see_more(stage: Stage) -> None:
    """A pipe gets everything."""
    stage.pages("GET /alerts", [alert(number) for number in range(150)])
    shown = on_terminal(120, "alerts", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN)
    assert len(shown.out.splitlines()) == 101
    assert "--limit 0" in shown.err
    assert len(stage.run("alerts").out.splitlines()) == 151


def test_colour_is_for_terminals_that_want_it(stage: Stage) -> None:
    """NO_COLOR is honoured."""
    stage.pages("GET /incidents", [incident()])
    assert "\x1b[" in on_terminal(100, "incidents", "list", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN).out
    plain = on_terminal(100, "incidents", "list", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN, NO_COLOR="1").out
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)


def test_a_reader_that_leaves_early_is_no_error(stage: Stage) -> None:
    """`tocsin alerts | head -1` prints one line and no complaint."""
    stage.pages("GET /alerts", *[[alert(number) for number in range(500)] for _ in range(20)])
    env = inherited_environment(TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN)
    done = subprocess.run(
        ["sh", "-c", f"{tocsin_command()} alerts --json | head -1"],
        env=env, capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )  # fmt: skip
    assert done.stdout == "[\n"
    assert done.stderr == ""
