"""Where Tocsin differs from Alertmanager on purpose: each line of the list in `docs/senders/alertmanager-api.md`.

A difference that goes away, on either side, fails here: the list, and what the comparison leaves out, are then too
long.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.differential.pair import Example, Pair
from tests.support.waiting import eventually


def silence(example: Example, **changes: Any) -> dict[str, Any]:
    """A good silence, changed."""
    good = {
        "matchers": [example.matcher()], "startsAt": example.at(-30), "endsAt": example.at(3_600),
        "comment": "why", "createdBy": "ana",
    }  # fmt: skip
    return good | changes


def alerts_of(example: Example) -> tuple[Any, Any]:
    """What each tells of the example's only alert."""
    theirs, ours = example.pair.ask("GET", f"/api/v2/alerts?{example.query([])}")
    (their,), (our,) = theirs.told, ours.told
    return their, our


@pytest.mark.parametrize("field", ["comment", "createdBy"])
def test_a_silence_needs_a_comment_and_an_author(pair: Pair, example: Example, field: str) -> None:
    theirs, ours = pair.ask("POST", "/api/v2/silences", silence(example, **{field: ""}))
    pair.theirs.ask("DELETE", f"/api/v2/silence/{theirs.told['silenceID']}")
    assert (theirs.status, ours.status) == (200, 400)
    assert ours.told.startswith("silence invalid: A silence needs")


def test_a_change_that_is_refused_leaves_the_silence_in_force(pair: Pair, example: Example) -> None:
    """Alertmanager ends it first and then refuses the new one."""
    made = example.set_silence(silence(example))
    assert made is not None
    bad = silence(example, matchers=[{"name": "a-b", "value": "x", "isRegex": False}])
    assert example.set_silence(bad, made) is None
    states = [
        side.ask("GET", f"/api/v2/silence/{id}").told["status"]["state"]
        for side, id in zip(pair.sides, made.ids, strict=True)
    ]
    assert states == ["expired", "active"]


@pytest.mark.parametrize("link", ["mailto:ana", "/graph", "*"])
def test_only_links_a_browser_may_follow_are_shown(pair: Pair, example: Example, link: str) -> None:
    pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(), "generatorURL": link}])
    their, our = alerts_of(example)
    assert their["generatorURL"] == link
    assert "generatorURL" not in our


def test_times_are_told_in_utc(pair: Pair, example: Example) -> None:
    pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(), "startsAt": "2020-01-01T02:00:00+02:00"}])
    their, our = alerts_of(example)
    assert (their["startsAt"], our["startsAt"]) == ("2020-01-01T02:00:00.000+02:00", "2020-01-01T00:00:00.000Z")


def test_nul_is_shown_as_the_replacement_character(pair: Pair, example: Example) -> None:
    pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(job="a\0b")}])
    their, our = alerts_of(example)
    assert (their["labels"]["job"], our["labels"]["job"]) == ("a\0b", "a\ufffdb")


def test_a_word_that_an_alert_is_over_which_does_not_fire_is_not_kept(pair: Pair, example: Example) -> None:
    """Alertmanager keeps it, and lets an overlapping firing begin where that one began."""
    labels = example.labels()
    pair.ask("POST", "/api/v2/alerts", [{"labels": labels, "startsAt": example.at(-600), "endsAt": example.at(-60)}])
    pair.ask("POST", "/api/v2/alerts", [{"labels": labels, "startsAt": example.at(-300)}])
    their, our = alerts_of(example)
    assert (their["startsAt"], our["startsAt"]) == (example.at(-600), example.at(-300))


def test_an_unchanged_repetition_moves_the_end_within_a_minute(pair: Pair, example: Example) -> None:
    """An end up to five seconds from where the last one lay, seen from its arrival, is no change of its own."""
    for ahead in (300, 303):
        body = {"labels": example.labels(), "startsAt": example.at(-60), "endsAt": example.at(ahead)}
        pair.ask("POST", "/api/v2/alerts", [body])
    their, our = alerts_of(example)
    assert (their["endsAt"], our["endsAt"]) == (example.at(303), example.at(300))


def test_a_beginning_that_nobody_named_stays_when_a_repetition_is_unchanged(pair: Pair, example: Example) -> None:
    """With an end and no beginning an alert begins at its end, says Alertmanager, and moves it each time."""
    for ahead in (300, 303):
        pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(), "endsAt": example.at(ahead)}])
    their, our = alerts_of(example)
    assert (their["startsAt"], our["startsAt"]) == (example.at(303), example.at(300))


def test_a_pattern_must_be_one_by_itself(pair: Pair, example: Example) -> None:
    """Alertmanager looks only after it has put anchors and a group around it."""
    theirs, ours = pair.ask("GET", f"/api/v2/alerts?filter={quote('job=~a)|(b')}")
    assert (theirs.status, ours.status) == (200, 400)


def test_bad_utf_8_in_a_filter_is_read_as_the_replacement_character(pair: Pair) -> None:
    theirs, ours = pair.ask("GET", "/api/v2/alerts?filter=job%3D%ff")
    assert (theirs.status, ours.status) == (400, 200)


def test_a_key_of_one_service_sees_its_own_alone(pair: Pair, example: Example) -> None:
    """Alertmanager has no keys: everybody sees everything."""
    pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(job="web")}])
    their, our = alerts_of(example)
    assert their["receivers"] == our["receivers"] == [{"name": "checkout"}]
    assert json.loads(pair.neighbour.ask("GET", f"/api/v2/alerts?{example.query([])}").text) == []


def test_tocsin_s_own_alerts_about_the_service_are_told_too(pair: Pair) -> None:
    """Such as this one: that a request was refused, in whole or in part, and kept for a person to see."""
    theirs, ours = pair.ask("POST", "/api/v2/alerts", [{"labels": {}}])
    assert (theirs.status, ours.status) == (400, 400)
    theirs, ours = pair.ask("GET", "/api/v2/alerts?filter=alertname=RequestParked")
    assert (len(theirs.told), len(ours.told)) == (0, 1)


def test_there_is_no_inhibition_and_an_alert_has_one_receiver_and_group(pair: Pair, example: Example) -> None:
    """With `continue: true` Alertmanager tells both."""
    pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(severity="both")}])
    pair.ask("POST", "/api/v2/alerts", [{"labels": example.labels(severity="inhibited")}])
    theirs, ours = pair.ask("GET", f"/api/v2/alerts?{example.query([])}")
    states = [
        {one["labels"]["severity"]: (len(one["receivers"]), one["status"]["state"]) for one in side.told}
        for side in (theirs, ours)
    ]
    assert states[0] == {"both": (2, "active"), "inhibited": (1, "suppressed")}
    assert states[1] == {"both": (1, "active"), "inhibited": (1, "active")}

    def groups() -> bool:
        theirs, ours = pair.ask("GET", f"/api/v2/alerts/groups?{example.query(['severity=both'])}")
        return (len(theirs.told), len(ours.told)) == (2, 1)

    assert eventually(groups, what="Alertmanager to group them")
