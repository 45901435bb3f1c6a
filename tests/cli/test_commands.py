"""Each command: what it asks of the API, and what it says."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from typing import Any

import pytest

from tests.cli.stage import (
    TOKEN,
    Asked,
    Stage,
    alert,
    entry,
    explanation,
    incident,
    key,
    on_terminal,
    page,
    sheet,
    silence,
    status,
    user,
)
from tests.support.processes import inherited_environment
from tests.support.server import tocsin_command


def reloaded(ok: bool, changed: bool, version: str, *findings: str) -> dict[str, object]:
    """What the API answers to a reload."""
    return {"ok": ok, "changed": changed, "version": version, "findings": list(findings)}


def test_show_tells_how_it_stands_and_what_comes_next(stage: Stage) -> None:
    """State, alerts, pages and the timeline oldest first, each line with its because."""
    stage.answers["GET /incidents/17"] = (200, sheet())
    out = stage.run("incidents", "show", "#17").out
    assert out.startswith(
        "#17 Cart redis is out of memory\nNobody has it. The next page goes out in 4 min 32 s if nobody answers.\n"
    )
    assert "1 alert firing" in out
    assert "1 change since an hour before it opened" in out
    assert "maxmemory lowered to 2 GB https://ci.example/9" in out
    assert (
        out.index("The incident was opened") < out.index("Paged ana by email") < out.index("Note: moved traffic (ben)")
    )
    assert "because this step of the escalation was due" in out
    assert "Sun 22 Nov 2026, UTC" in out


def test_show_json_has_all_of_the_timeline_as_one_array(stage: Stage) -> None:
    """The API's first page is only the beginning; what follows is read too."""
    entries = [entry(number) for number in range(1, 4)]
    first = {"items": entries[:0:-1], "next": "2"}
    stage.answers["GET /incidents/17"] = (200, sheet(timeline=first))
    stage.pages("GET /incidents/17/timeline", entries[:2], entries[2:])
    found = stage.run("incidents", "show", "17", "--json").json
    assert found["timeline"] == entries
    assert found["pages"] == [page(7)]
    assert found["alerts"] == [alert(42)]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"state": "acknowledged", "acknowledged_by": "person:ana", "acknowledged_at": "2026-11-22T03:20:00.000Z",
             "acknowledged_until": "2026-11-22T04:20:00.000Z"},
            "ana has had it for 10 min. Paging goes on in 50 min if it is not resolved by then.",
        ),
        (
            {"state": "resolved", "resolved_by": "user:ops", "resolved_at": "2026-11-22T03:29:00.000Z",
             "because": "a person said so", "snoozed_until": "2026-11-22T04:29:00.000Z"},
            "Resolved 1 min ago by ops: a person said so. What still fires is judged again in 59 min.",
        ),
        (
            {"paused": "silenced", "paused_until": "2026-11-22T05:30:00.000Z"},
            "Nobody is paged now: a silence matches it, until 2026-11-22 05:30:00 UTC (in 2 h).",
        ),
        ({"paused": "of_the_future"}, "Nobody is paged now: of_the_future."),
        (
            {"clear_at": "2026-11-22T03:31:00.000Z"},
            "Every alert has ended; it resolves in 1 min if they stay quiet.",
        ),
        ({"next_page_at": None}, "Nobody has it."),
        ({"paused": "paging_off", "next_page_at": None}, "Nobody is paged now: Tocsin runs with paging off."),
        (
            {"state": "acknowledged", "acknowledged_by": "person:ana", "acknowledged_at": "2026-11-22T03:20:00.000Z",
             "acknowledged_until": "2026-11-22T04:20:00.000Z", "paused": "paging_off"},
            "ana has had it for 10 min. Nobody is paged: Tocsin runs with paging off.",
        ),
    ],
)  # fmt: skip
def test_each_standing_is_a_sentence(stage: Stage, changes: dict[str, Any], sentence: str) -> None:
    """What it is, and what happens if nobody acts."""
    stage.answers["GET /incidents/17"] = (200, sheet(**changes))
    assert stage.run("incidents", "show", "17").out.splitlines()[1] == sentence


def test_acknowledging_takes_several_and_a_time(stage: Stage) -> None:
    """The hold is written as the API reads durations; --json is an array."""
    for number in (17, 18):
        stage.answers[f"POST /incidents/{number}/acknowledge"] = (200, incident(number, state="acknowledged"))
    found = stage.run("incidents", "ack", "17", "#18", "--for", "90m", "--json").json
    assert [one["number"] for one in found] == [17, 18]
    assert [asked.body for asked in stage.asked] == [{"hold": "1h30m"}, {"hold": "1h30m"}]


@pytest.mark.parametrize("verb", ["acknowledge", "resolve"])
def test_one_that_is_refused_keeps_none_of_the_others(stage: Stage, verb: str) -> None:
    """Each is done or named with why not, and a script can tell."""
    for number in (23, 15):
        stage.answers[f"POST /incidents/{number}/{verb}"] = (200, incident(number, state="acknowledged"))
    stage.problem(f"POST /incidents/99999/{verb}", 404, "not_found", "There is no incident #99999")
    stage.problem(f"POST /incidents/16/{verb}", 409, "conflict", "It is resolved already")
    command = ("incidents", {"acknowledge": "ack", "resolve": "resolve"}[verb], "23", "99999", "16", "15")
    done = stage.run(*command)
    assert done.code == 1
    assert [line for line in done.out.splitlines() if line.startswith("#")] == [
        f"#{number} {incident(number)['title']}" for number in (23, 15)
    ]
    assert done.err == "Error: There is no incident #99999.\nError: #16: It is resolved already.\n"
    scripted = stage.run(*command, "--json")
    assert ([one["number"] for one in scripted.json], scripted.code) == ([23, 15], 1)


def test_a_server_that_takes_no_orders_is_not_asked_again(stage: Stage) -> None:
    """What was done until then is told, and what was not tried is named."""
    stage.answers["POST /incidents/17/acknowledge"] = (200, incident(17, state="acknowledged"))
    stage.problem("POST /incidents/18/acknowledge", 403, "forbidden", "this needs the role responder")
    done = stage.run("incidents", "ack", "17", "18", "19", "20", "--json")
    assert ([one["number"] for one in done.json], done.code) == ([17], 4)
    assert done.err.endswith("Not tried: #19, #20.\n")
    assert len(stage.asked) == 2


def test_resolving_may_snooze(stage: Stage) -> None:
    """Without --snooze the server decides how long."""
    stage.answers["POST /incidents/17/resolve"] = (
        200,
        incident(17, state="resolved", resolved_at="2026-11-22T03:30:00.000Z"),
    )
    assert stage.run("incidents", "resolve", "17").code == 0
    assert stage.run("incidents", "resolve", "17", "--snooze", "4h").code == 0
    assert [asked.body for asked in stage.asked] == [{}, {"snooze": "4h"}]


def test_a_note_is_words_or_stdin(stage: Stage) -> None:
    """Both are one text; an empty one is refused before it is sent."""
    stage.answers["POST /incidents/17/notes"] = (201, incident())
    stage.run("incidents", "note", "17", "moved", "traffic")
    stage.run("incidents", "note", "17", stdin="one\ntwo\n")
    assert [asked.body for asked in stage.asked] == [{"text": "moved traffic"}, {"text": "one\ntwo"}]
    assert stage.run("incidents", "note", "17", stdin=" \n").code == 1
    assert len(stage.asked) == 2


@pytest.mark.parametrize("words", [["17"], ["#17"], ["incident", "17"], ["incident", "#17"], ["Incident 17"]])
def test_why_takes_an_incident_however_it_is_written(stage: Stage, words: list[str]) -> None:
    """The decisions, each with its because, and how it stands."""
    stage.answers["GET /why/incident/17"] = (200, explanation())
    out = stage.run("why", *words).out
    assert "Somebody was paged." in out
    assert "because the channel took it" in out
    assert "Step 2 is paged next unless somebody answers, because someone was paged and has time to answer." in out
    assert "in 4 min" in out


@pytest.mark.parametrize("words", [["alert", "42"], ["42"], ["alert #42"]])
def test_why_takes_an_alert(stage: Stage, words: list[str]) -> None:
    """A number that is no incident's may be an alert's."""
    stage.answers["GET /why/alert/42"] = (200, explanation("alert", 42, paged=False))
    done = stage.run("why", *words)
    assert done.code == 0
    assert "Alert 42" in done.out
    assert "Nobody was paged." in done.out


def test_why_takes_an_alertname_and_means_the_newest(stage: Stage) -> None:
    """Older ones are named, on stderr."""
    stage.pages("GET /alerts", [alert(42), alert(40)])
    stage.answers["GET /why/alert/42"] = (200, explanation("alert", 42))
    done = stage.run("why", "RedisFull")
    assert "Alert 42" in done.out
    assert "alert 40" in done.err
    assert stage.asked[0].query["matcher"] == ['alertname="RedisFull"']
    assert stage.asked[0].query["state"] == ["all"]
    assert stage.run("why", "RedisFull", "--json").json["id"] == 42


def test_why_of_nothing_is_not_found(stage: Stage) -> None:
    """Exit code 1, and what it could have been."""
    stage.pages("GET /alerts", [])
    assert stage.run("why", "99")[::2] == (1, "Error: There is neither an incident nor an alert 99.\n")
    assert stage.run("why", "Nope").code == 1


def test_a_silence_is_added_for_a_time_or_until_one(stage: Stage) -> None:
    """Durations are reckoned by the server; the author is $USER unless said."""
    stage.answers["POST /silences"] = (201, silence())
    out = stage.run("silence", "add", "RedisFull", "region=~eu-.*", "--for", "2h", "--comment", "moving").out
    assert "6f1c5a0e-3c7f-4d6e-9a51-0f5f8a4f7f10" in out and "3 of the 40 alerts that fire" in out
    stage.run("silence", "add", "a=b", "--until", "2026-11-23T08:00+01:00", "--reason", "x", "--author", "ana")
    assert [asked.body for asked in stage.asked] == [
        {
            "matchers": ['alertname="RedisFull"', 'region=~"eu-.*"'],
            "duration": "2h",
            "comment": "moving",
            "author": "ops",
        },
        {"matchers": ['a="b"'], "ends_at": "2026-11-23T07:00:00.000Z", "comment": "x", "author": "ana"},
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"quiet_now": 40}, "everything that fires: all 40 alerts"),
        ({"quiet_now": 0}, "nothing that fires (40 alerts fire)"),
        ({"quiet_now": 0, "firing_now": 0}, "nothing (no alert fires)"),
        ({"quiet_now": None, "firing_now": None}, "not known"),
        ({"state": "pending", "quiet_now": 0}, "nothing yet: it is still to come"),
    ],
)
def test_a_silence_says_what_it_keeps_quiet(stage: Stage, found: dict[str, Any], said: str) -> None:
    """How many of those that fire; and the word that everything is meant is sent on."""
    stage.answers["POST /silences"] = (201, silence(**found))
    assert said in stage.run("silence", "add", "foo!=bar", "--for", "1h", "--comment", "x", "--everything").out
    body = stage.asked[0].body
    assert isinstance(body, dict) and body["everything"] is True


@pytest.mark.parametrize(
    "times", [[], ["--for", "1h", "--until", "2026-11-23T08:00"], ["--for", "0s"], ["--for", "soon"]]
)
def test_a_silence_always_ends_at_one_time(stage: Stage, times: list[str]) -> None:
    """None, two or no real time: the command is not understood."""
    assert stage.run("silence", "add", "a=b", "--comment", "x", *times).code == 2
    assert stage.asked == []


def test_updating_a_silence_keeps_what_is_not_given(stage: Stage) -> None:
    """--for counts from now, by the server's clock."""
    one = silence()
    stage.answers[f"GET /silences/{one['id']}"] = (200, one)
    stage.answers[f"PUT /silences/{one['id']}"] = (200, silence("another"))
    stage.answers["GET /status"] = (200, status(now="2026-11-22T03:30:00.500Z"))
    assert "another" in stage.run("silence", "update", one["id"], "--for", "1h").out
    assert stage.asked[-1].body == {
        "matchers": one["matchers"], "comment": one["comment"], "author": one["author"], "origin": "",
        "starts_at": one["starts_at"], "ends_at": "2026-11-22T04:30:00.500Z",
    }  # fmt: skip
    assert stage.run("silence", "update", one["id"]).code == 2


def test_silences_are_shown_and_expired(stage: Stage) -> None:
    """Several at once; --json says so for each."""
    stage.answers["GET /silences/a"] = (200, silence("a"))
    assert stage.run("silence", "show", "a", "--json").json["id"] == "a"
    assert "moving cart-1" in stage.run("silence", "show", "a").out
    stage.answers["DELETE /silences/a"] = stage.answers["DELETE /silences/b"] = (204, None)
    assert stage.run("silence", "expire", "a", "b", "--json").json == [
        {"id": "a", "state": "expired"},
        {"id": "b", "state": "expired"},
    ]


def test_each_silence_is_ended_whatever_became_of_the_one_before(stage: Stage) -> None:
    """Each is answered for, and the exit code says that not all went well."""
    stage.answers["DELETE /silences/a"] = stage.answers["DELETE /silences/c"] = (204, None)
    stage.problem("DELETE /silences/b", 404, "not_found", "there is no silence b in force")
    done = stage.run("silence", "expire", "a", "b", "c")
    assert (done.code, done.out) == (1, "Silence a has ended.\nSilence c has ended.\n")
    assert done.err.count("Error:") == 1
    assert "there is no silence b" in done.err.lower()
    done = stage.run("silence", "expire", "a", "b", "c", "--json")
    assert [one["state"] for one in done.json] == ["expired", "unchanged", "expired"]
    assert done.code == 1


def test_an_id_cannot_leave_its_place_in_the_path(stage: Stage) -> None:
    """What a person types is one segment, whatever is in it."""
    stage.run("silence", "show", "../keys?x=1#y")
    assert stage.asked[0].path == "/api/v1/silences/..%2Fkeys%3Fx%3D1%23y"


def test_sending_an_event(stage: Stage) -> None:
    """Everything a script may say; what ends by itself is reckoned by the server's clock."""
    stage.answers["POST /services/a%20b/events"] = (202, {"accepted": 1})
    stage.answers["GET /status"] = (200, status(now="2026-11-22T03:30:00.000Z"))
    done = stage.run(
        "send", "--service", "a b", "--title", "Restore failed", "--severity", "error", "--label", "host=db1",
        "--label", "path=/a=b", "--annotation", "summary=x", "--link", "https://x", "--for", "10m",
    )  # fmt: skip
    assert done.code == 0
    assert "tocsin send --service 'a b' --label host=db1 --label path=/a=b --resolve" in done.out
    assert stage.asked[-1].body == {
        "title": "Restore failed", "state": "firing", "severity": "error", "labels": {"host": "db1", "path": "/a=b"},
        "annotations": {"summary": "x"}, "link": "https://x", "ends_at": "2026-11-22T03:40:00.000Z",
    }  # fmt: skip


def test_an_event_without_key_or_labels_gets_a_key_to_resolve_it_with(stage: Stage) -> None:
    """So that a repetition after a broken connection is the same event."""
    stage.answers["POST /services/inbox/events"] = (202, {"accepted": 1})
    assert "--key cli-" in stage.run("send").out
    assert stage.asked[0].body["key"].startswith("cli-")
    assert stage.run("send", "--json").json == {"accepted": 1, "key": stage.asked[1].body["key"]}


def test_resolving_an_event_needs_to_know_which(stage: Stage) -> None:
    """By its key or its labels."""
    stage.answers["POST /services/inbox/events"] = (202, {"accepted": 1})
    assert stage.run("send", "--resolve").code == 2
    assert stage.run("send", "--resolve", "--key", "k").code == 0
    assert stage.asked[0].body == {"title": "Resolved from the command line", "state": "resolved", "key": "k"}


def test_resolving_what_does_not_fire_says_so_and_is_no_failure(stage: Stage) -> None:
    """A mistyped key is not told that its resolution was taken."""
    stage.answers["POST /services/inbox/events"] = (202, {"accepted": 1, "not_firing": 1})
    done = stage.run("send", "--resolve", "--key", "typo")
    assert (done.code, done.out) == (0, "Nothing that fires for inbox has the key typo: nothing was resolved.\n")
    assert "has these labels" in stage.run("send", "--resolve", "--label", "a=b").out
    assert stage.run("send", "--resolve", "--key", "typo", "--json").json["not_firing"] == 1


def test_a_new_key_is_three_fields_for_scripts_and_lines_to_paste_for_people(stage: Stage) -> None:
    """`url` is what one pastes into the sender."""
    made = {"id": 4, "key": "SECRET", "url": "https://tocsin.example.com/am/SECRET"}
    stage.answers["POST /keys"] = (201, made)
    command = ("key", "create", "--source", "alertmanager", "--service", "inbox", "--name", "prom")
    assert stage.run(*command, "--json").json == made
    assert stage.asked[0].body == {"source": "alertmanager", "service": "inbox", "name": "prom"}
    out = stage.run(*command).out
    assert "path_prefix: /am/SECRET" in out
    assert "targets: ['tocsin.example.com']" in out


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("pagerduty", "/v2/enqueue"),
        ("events", "/api/events/SECRET"),
        ("heartbeat", "/ping/SECRET"),
        ("new", "/somewhere"),
    ],
)
def test_every_source_has_its_lines_with_the_real_address(stage: Stage, source: str, url: str) -> None:
    """The key and the address stand in what is pasted."""
    stage.answers["POST /keys"] = (201, {"id": 4, "key": "SECRET", "url": f"https://t.example/base{url}"})
    pasted = stage.run("key", "create", "--source", source, "--service", "x").out.split("\n\n", 2)[2]
    assert "SECRET" in pasted
    if source != "new":
        assert f"https://t.example/base{url}" in pasted


def test_revoking_a_key(stage: Stage) -> None:
    """By its number."""
    stage.answers["DELETE /keys/4"] = (204, None)
    assert stage.run("key", "revoke", "4", "--json").json == {"id": "4", "revoked": True}
    assert stage.run("key", "revoke", "4").out == "Key 4 is revoked.\n"


def test_limits_are_sent_as_numbers_and_default_takes_them_back(stage: Stage) -> None:
    stage.answers["POST /keys"] = (201, {"id": 4, "key": "SECRET", "url": "https://t.example/am/SECRET"})
    stage.run("key", "create", "--source", "events", "--service", "x", "--rate", "30/m", "--body", "1MB", "--json")
    assert stage.asked[-1].body["limits"] == {"rate": 0.5, "body": 1_000_000}
    stage.answers["PATCH /keys/4"] = (200, key(4))
    said = stage.run("key", "set", "4", "--alerts", "5000", "--rate", "default", "--burst", "7").out
    assert stage.asked[-1].body == {"limits": {"alerts": 5000, "rate": None, "burst": 7}}
    assert said == "Key 4 may send 2000/s (10,000 at once), 5,000 alerts and 4MiB in one request.\n"
    asked = len(stage.asked)
    for wrong in (("--rate", "fast"), ("--body", "1"), ("--burst", "x"), ("--alerts", "0"), ()):
        refused = stage.run("key", "set", "4", *wrong)
        assert refused.code == 2, wrong
    assert len(stage.asked) == asked


def test_lists_of_keys_say_what_was_set(stage: Stage) -> None:
    limits = {"rate": 50.0, "burst": 250, "body": 4 * 2**20, "alerts": 500}
    stage.answers["GET /keys"] = (
        200,
        {"items": [key(1), key(2, limits=limits, limits_set=["rate", "alerts"])], "next": None},
    )
    shown = stage.run("key", "list").out
    assert "as every key" in shown
    assert "50/s, 500 alerts" in shown


def test_users_are_added_with_a_password_from_stdin(stage: Stage) -> None:
    """Never from the arguments."""
    stage.answers["POST /users"] = (201, user("ben"))
    assert (
        stage.run("user", "add", "ben", "--role", "admin", "--person", "ben", "--password", stdin="hunter2 x\n").code
        == 0
    )
    assert stage.asked[0].body == {"name": "ben", "role": "admin", "person": "ben", "password": "hunter2 x"}
    assert "tocsin user link ben" in stage.run("user", "add", "ben").out
    assert stage.asked[1].body == {"name": "ben", "role": "responder"}


def test_a_password_that_does_not_come_is_not_set(stage: Stage) -> None:
    """An empty stdin is no password."""
    assert stage.run("user", "password", "ana").code == 1
    assert stage.asked == []


def test_a_password_typed_on_a_terminal_is_asked_for_twice_and_not_shown(stage: Stage) -> None:
    """The terminal never receives it back."""
    stage.answers["PATCH /users/ana"] = (200, user())
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [str(tocsin_command()), "user", "password", "ana"],
        env=inherited_environment(TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN),
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(inner)
    received = b""
    for prompt in (b"Password", b"Again"):
        while prompt not in received:
            received += os.read(outer, 1000)
        os.write(outer, b"s3cret phrase\n")
    assert process.wait(30) == 0
    try:
        while part := os.read(outer, 1000):
            received += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(outer)
    assert b"s3cret" not in received
    assert stage.asked[0].body == {"password": "s3cret phrase", "sign_out": True}


def test_links_and_tokens_are_printed_alone(stage: Stage) -> None:
    """So that $(…) holds the secret and nothing else."""
    made = {"id": 3, "url": "https://t.example/sign-in/link/X", "expires_at": "2026-11-22T03:45:00.000Z"}
    stage.answers["POST /users/ana/link"] = (201, made)
    done = stage.run("user", "link", "ana")
    assert (done.out, done.err) == ("https://t.example/sign-in/link/X\n", "It works once, for 15 min.\n")
    stage.answers["POST /users/ana/tokens"] = (201, {"id": 3, "token": "tocsin_X", "expires_at": None})
    assert stage.run("user", "token", "ana", "--name", "deploys", "--for", "90d").out == "tocsin_X\n"
    assert stage.asked[-1].body == {"name": "deploys", "expires_in": "12w6d"}
    stage.answers["DELETE /tokens/3"] = (204, None)
    assert stage.run("user", "revoke", "3").code == 0


def test_users_are_disabled_and_let_in_again(stage: Stage) -> None:
    """Undo is the same command."""
    stage.answers["PATCH /users/ben"] = (200, user("ben"))
    assert stage.run("user", "disable", "ben").out == "User ben is shut out.\n"
    stage.run("user", "disable", "ben", "--undo")
    assert [asked.body for asked in stage.asked] == [{"disabled": True}, {"disabled": False}]


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({}, 0, "runs and hears"),
        ({"paging": False}, 0, "Paging is off"),
        ({"console_only": True}, 0, "Only the console is paged: nobody of the plan"),
        ({"real_channel_proven_at": None}, 0, "No page by email or webhook has been acknowledged yet"),
        ({"ready": False}, 3, "is not ready"),
        ({"plan_refused": ["a: b"], "plan_folder": "/etc/a plan"}, 0, "`tocsin plan check '/etc/a plan'` says all of"),
        ({"audit": ["incident #3 has no next timer"]}, 3, "incident #3 has no next timer"),
    ],
)
def test_status_says_how_it_is_and_its_exit_code_too(
    stage: Stage, changes: dict[str, object], code: int, word: str
) -> None:
    """0 only when it is ready and its self-audit passed."""
    stage.answers["GET /status"] = (200, status(**changes))
    done = stage.run("status")
    assert done.code == code
    assert word in done.out
    assert stage.run("status", "--json").json == status(**changes)
    assert "heard from" not in done.out, "it could not be read"


def test_status_names_the_heartbeats_that_were_never_heard(stage: Stage) -> None:
    stage.answers["GET /status"] = (200, status())
    hearts = [{"service": "orders", "name": f"h{number}", "state": "new"} for number in range(7)]
    stage.answers["GET /heartbeats"] = (200, {"items": [*hearts, {**hearts[0], "state": "up", "name": "nightly"}]})
    out = stage.run("status").out
    assert "Not heard from yet: h0 of orders, h1 of orders, h2 of orders, h3 of orders, h4 of orders and 2 more." in out
    assert "nightly" not in out


def test_plan_show_prints_the_files_in_force(stage: Stage) -> None:
    """Their text, and nothing that steers the terminal."""
    stage.answers["GET /plan"] = (200, {"version": "a1b2c3", "files": {"b.yaml": "two: 2\n", "a.yaml": "one: 1\x1b\n"}})
    assert stage.run("plan", "show").out == "# Plan a1b2c3, 2 files\n# --- a.yaml\none: 1\\x1b\n# --- b.yaml\ntwo: 2\n"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (reloaded(True, True, "b2", "a.yaml:1:1: warning: x"), 0, "Plan b2 is in force."),
        (reloaded(True, False, "b2"), 0, "Nothing changed: plan b2 was in force already."),
        (reloaded(False, False, "a1", "a.yaml:1:1: error: x"), 1, "The plan was refused; plan a1 stays in force."),
    ],
)
def test_reloading_says_which_plan_is_in_force(stage: Stage, answer: dict[str, object], code: int, said: str) -> None:
    """A refused plan is exit code 1, with its findings."""
    stage.answers["POST /plan/reload"] = (200, answer)
    done = stage.run("plan", "reload")
    assert (done.code, done.out.splitlines()[-1]) == (code, said)
    assert stage.run("plan", "reload", "--json").json == answer


def test_an_incident_on_a_terminal_is_readable_at_any_width(stage: Stage) -> None:
    """Its sheet holds tables of its own."""
    stage.answers["GET /incidents/17"] = (200, sheet())
    for columns in (40, 120):
        done = on_terminal(columns, "incidents", "show", "17", TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN)
        assert (done.code, done.err) == (0, "")
        assert "RedisFull" in done.out


def test_an_interrupted_command_says_so(stage: Stage) -> None:
    """Ctrl-C is exit code 130, without a trace of Python."""
    process: list[subprocess.Popen[str]] = []

    def answer(asked: Asked) -> None:
        process[0].send_signal(2)
        process[0].wait(30)

    stage.answers["GET /alerts"] = answer
    env = inherited_environment(TOCSIN_URL=stage.url, TOCSIN_TOKEN=TOKEN)

    def hears() -> None:
        """Where the tests run behind a shell's ``&`` interrupts are ignored, and that is inherited."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [str(tocsin_command()), "alerts"]
    process.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=hears))
    _, err = process[0].communicate(timeout=30)
    assert (process[0].returncode, err.strip()) == (130, "Interrupted.")


def test_a_command_of_a_group_is_found_where_it_is(stage: Stage) -> None:
    done = stage.run("ack", "1")
    assert done.code == 2
    assert "There is no command 'ack'. Did you mean 'incidents ack'?" in done.err
    assert "Did you mean 'status'?" in stage.run("statsu").err
