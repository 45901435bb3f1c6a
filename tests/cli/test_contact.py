"""``tocsin contact`` and the moves of ``tocsin incidents``: what they ask of the API, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.stage import Stage, contact, incident, page, reach, sheet


def test_contact_methods_are_listed_with_what_is_wrong_with_them(stage: Stage) -> None:
    listed = [
        contact(1, channel="email", state="verified", declared=True, label="", address="ana@shop.example"),
        contact(7, state="failing", failure="client: it is gone", verified_at="2026-11-21T03:30:00.000Z"),
    ]
    stage.answers["GET /contacts"] = (200, {"items": listed, "next": None})
    out = stage.run("contact", "list").out
    assert "by the plan" in out
    assert ["FAILURE" in out, "https://push.example/ana:" in out, "client: it is gone" in out] == [True, False, True]
    assert stage.run("contact", "list", "--json").json == listed
    stage.answers["GET /contacts"] = (200, {"items": [], "next": None})
    assert "tocsin contact add" in stage.run("contact", "list", "--person", "ben").out
    assert stage.asked[-1].query == {"person": ["ben"]}


def test_a_method_is_added_and_the_next_step_said(stage: Stage) -> None:
    stage.answers["POST /contacts"] = (201, contact())
    out = stage.run("contact", "add", "webhook", "https://push.example/ana", "--label", "phone").out
    assert stage.asked[-1].body == {
        "channel": "webhook", "address": "https://push.example/ana", "label": "phone", "person": "",
    }  # fmt: skip
    assert "whsec_x" in out
    assert out.endswith("When it arrives: tocsin contact verify 7\n")
    stage.answers["POST /contacts"] = (201, contact(code_until=None, signing_secret=None))
    assert "later: tocsin contact code 7" in stage.run("contact", "add", "email", "a@b.example").out


@pytest.mark.parametrize(
    ("command", "route", "body", "said"),
    [
        (["code", "7"], "POST /contacts/7/code", {}, "A code is on its way"),
        (["verify", "7", "123456"], "POST /contacts/7/verify", {"code": "123456"}, "is verified"),
        (["test", "7"], "POST /contacts/7/test", {}, "A test is on its way"),
        (["failing", "7", "--why", "lost"], "POST /contacts/7/failing", {"why": "lost"}, "while there is another"),
        (["remove", "7"], "DELETE /contacts/7", {}, "Contact method 7 is removed"),
        (["drill"], "POST /drill", {"person": ""}, "The page is on its way"),
    ],
)
def test_each_command_asks_one_thing_and_says_what_came_of_it(
    stage: Stage, command: list[str], route: str, body: dict[str, Any], said: str
) -> None:
    stage.answers[route] = (200, contact())
    assert said in stage.run("contact", *command).out
    assert stage.asked[-1].body == body
    assert stage.run("contact", *command, "--json").code == 0


def test_the_code_is_asked_for_when_it_is_not_given(stage: Stage) -> None:
    stage.answers["POST /contacts/7/verify"] = (200, contact(state="verified"))
    assert "is verified" in stage.run("contact", "verify", "7", stdin="123 456\n").out
    assert stage.asked[-1].body == {"code": "123 456"}


def test_a_wrong_code_is_said_and_the_command_fails(stage: Stage) -> None:
    stage.problem("POST /contacts/7/verify", 400, "invalid", "This is not the code: 4 more tries", field="code")
    done = stage.run("contact", "verify", "7", "1")
    assert done.code != 0
    assert "This is not the code: 4 more tries" in done.err


def test_rules_are_shown_and_changed_one_by_one(stage: Stage) -> None:
    stage.answers["GET /reach"] = (200, reach())
    stage.answers["PUT /reach"] = lambda asked: (200, {**reach(), **asked.body, "person": "ana"})
    out = stage.run("contact", "rules").out
    assert "high urgency: 7 at once, 4 after 2 min" in out
    assert "low urgency: as for everybody" in out
    assert "quiet hours: 22:00 to 08:00" in out
    out = stage.run("contact", "rules", "--low", "4", "--quiet", "none", "--bundle-within", "0s").out
    sent = stage.asked[-1].body
    assert (sent["low"], sent["high"]) == ([{"contact": 4, "after": "0s"}], reach()["high"])
    assert (sent["quiet_from"], sent["quiet_until"]) == ("00:00", "00:00")
    assert "quiet hours: none" in out and "many pages: one by one" in out
    stage.run("contact", "rules", "--reset", "--high", "7=90s")
    assert stage.asked[-1].body == {"high": [{"contact": 7, "after": "90s"}], "person": ""}


@pytest.mark.parametrize(
    "bad", [["--high", "phone"], ["--high", "7=soon"], ["--quiet", "22:00"], ["--bundle-after", "0"]]
)
def test_a_rule_that_cannot_be_asks_for_nothing(stage: Stage, bad: list[str]) -> None:
    assert stage.run("contact", "rules", *bad).code != 0
    assert [one for one in stage.asked if one.method == "PUT"] == []


@pytest.mark.parametrize(
    ("command", "route", "body"),
    [
        (["take", "17", "--for", "30m"], "take", {"hold": "30m"}),
        (["reassign", "17", "kei", "--why", "hers"], "reassign", {"person": "kei", "note": "hers"}),
        (["snooze", "#17", "--for", "4h"], "snooze", {"duration": "4h", "note": ""}),
        (
            ["snooze", "17", "--until", "2026-11-23T08:00Z"],
            "snooze",
            {"until": "2026-11-23T08:00:00.000Z", "note": ""},
        ),
        (["ask", "17", "kei", "--team", "shop"], "responders", {"people": ["kei"], "teams": ["shop"], "note": ""}),
        (["apply-plan", "17"], "apply-plan", {}),
    ],
)
def test_what_responders_do(stage: Stage, command: list[str], route: str, body: dict[str, Any]) -> None:
    stage.answers[f"POST /incidents/17/{route}"] = (200, incident())
    assert stage.run("incidents", *command).out.startswith("#17 Cart redis is out of memory\n")
    assert stage.asked[-1].body == body


@pytest.mark.parametrize(
    "command", [["snooze", "17"], ["snooze", "17", "--for", "1h", "--until", "2030-01-01"], ["ask", "17"]]
)
def test_a_move_that_says_too_little_or_too_much_asks_for_nothing(stage: Stage, command: list[str]) -> None:
    assert stage.run("incidents", *command).code == 2
    assert stage.asked == []


def test_who_answered_where_that_takes_several_is_not_nobody(stage: Stage) -> None:
    stage.answers["POST /incidents/17/acknowledge"] = (200, incident(answered_by=["ben"], answers_needed=2))
    out = stage.run("incidents", "ack", "17").out
    assert "ben has answered, 1 of 2 who are asked for. The next page goes out in 4 min 32 s if nobody else " in out
    assert "Nobody" not in out
    stage.answers["GET /incidents/17"] = (200, sheet(answered_by=["ben", "ana"], answers_needed=3))
    out = stage.run("incidents", "show", "17").out
    assert "ben and ana have answered, 2 of 3 who are asked for. The next page" in out


def test_an_incident_that_waits_for_the_morning_says_so(stage: Stage) -> None:
    waits = sheet(urgency="low", waits="quiet_hours", responders=["kei"])
    due = "2026-11-22T03:33:00.000Z"
    planned = page(8, state="intended", held="next_method", attempts=0, next_at=due, not_before=due, finished_at=None)
    waits["pages"] = {"items": [planned], "next": None}
    stage.answers["GET /incidents/17"] = (200, waits)
    out = stage.run("incidents", "show", "17").out
    assert "Of low urgency: the next page goes out in 4 min 32 s, not at night." in out
    assert "planned for 03:33:00" in out
    assert "asked for help" in out
