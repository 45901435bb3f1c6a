"""Proof of pages from the command line: the ledger, synthetic pages, and why a person was not paged."""

from __future__ import annotations

import re
from typing import Any

from tests.cli.stage import Stage, page
from tests.engine.world import START, World
from tocsin.faces.why import _standing
from tocsin.pages.exported import exported


def row(**more: Any) -> dict[str, Any]:
    """A row of an exported ledger as the API gives it."""
    from tocsin.pages.exported import COLUMNS

    told: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"page": 3, "incident": 17, "step": 1, "attempts": 1}
    return told | {"possible_duplicate": False, "person": "ana", "channel": "email", "state": "sent"} | more


def test_a_ledger_is_a_table_a_file_or_json(stage: Stage) -> None:
    rows = [row(because="this step of the escalation was due", intended_at="2026-11-22T03:15:00.000Z")]
    stage.answers["GET /incidents/17/ledger"] = (200, {"items": rows, "next": None})
    assert "ana" in stage.run("incidents", "ledger", "#17").out
    written = stage.run("incidents", "ledger", "17", "--csv").out.splitlines()
    assert written[0].startswith("page,incident,kind,person")
    assert "this step of the escalation was due" in written[1]
    assert stage.run("incidents", "ledger", "17", "--json").json == rows
    assert stage.run("incidents", "ledger", "17", "--json", "--csv").code == 2


def test_a_ledger_words_what_became_of_a_page_as_the_incident_does(stage: Stage) -> None:
    at = "2026-11-22T03:15:00.000Z"
    rows = [
        row(state="intended", attempts=0, not_before="2026-11-22T03:15:30.000Z", intended_at=at),
        row(state="intended", attempts=2, next_at="2026-11-22T03:16:00.000Z", intended_at=at),
        row(answered_by_channel_at="2026-11-22T03:15:11.000Z", possible_duplicate=True, intended_at=at),
    ]
    stage.answers["GET /incidents/17/ledger"] = (200, {"items": rows, "next": None})
    told = stage.run("incidents", "ledger", "17").out
    assert re.search(r"planned for \d\d:15:30", told) and re.search(r"tried 2 times, again at \d\d:16:00", told)
    assert "sent after 11 s, perhaps twice" in told


def test_while_an_incident_is_open_more_pages_may_follow() -> None:
    world = World()
    world.fires("Down", job="checkout").at("6m")
    rows = world.rows(1)
    assert [one.person for one in rows] == ["ana", "ben"]
    followed = [[row.followed for row in exported(rows, {}, over=over)] for over in (False, True)]
    assert followed[0][0].startswith("the next page was 2, to ben by email")
    assert [rows[-1] for rows in followed] == ["", "no further page"]


def test_what_ends_by_no_time_has_no_end() -> None:
    """Paging stays off however late the next step is."""
    about = World(paging=False).fires("Down", job="checkout").incident(1)
    assert about.next_at is not None
    now = [_standing(about, [], START, paging, None, {}, {}) for paging in (True, False)]
    assert [(one.reason, one.until) for one in now] == [("waiting_for_answer", about.next_at), ("paging_off", None)]


def test_a_synthetic_page_that_is_missing_is_an_exit_code(stage: Stage) -> None:
    one = {
        "channel": "email", "state": "missing", "page": 4, "sent_at": None, "due_at": None, "next_at": None,
        "came_at": None, "took": None, "failure": "The synthetic page by email did not come back within 5 min",
    }  # fmt: skip
    stage.answers["GET /synthetic-pages"] = (200, {"items": [one], "next": None})
    done = stage.run("channel", "synthetic")
    assert (done.code, "did not come back within 5 min" in done.out) == (1, True)
    back = one | {"state": "back", "came_at": "2026-11-22T03:15:00.000Z", "took": "1s234ms", "failure": ""}
    stage.answers["GET /synthetic-pages"] = (200, {"items": [back], "next": None})
    done = stage.run("channel", "synthetic")
    assert (done.code, "the last took 1s234ms" in done.out) == (0, True)


def test_why_a_person_was_not_paged(stage: Stage) -> None:
    sentence = {
        "at": "2026-11-22T03:20:00.000Z", "text": "Step 2 means them, and it had not come to that", "until": None,
        "reason": "not_yet", "because": "somebody before them answered", "actor": "",
    }  # fmt: skip
    stage.answers["GET /why/person/ben"] = (200, {
        "person": "ben", "at": "2026-11-22T03:24:00.000Z", "paged": False, "pages": [page(1)], "on_call": [],
        "incidents": [{"incident": 17, "title": "Down", "service": "cart", "stood": sentence, "person": sentence}],
        "more": False,
    })  # fmt: skip
    done = stage.run("why", "--person", "ben", "--at", "2026-11-22T03:24:00Z")
    assert done.code == 0, done.err
    assert "No page to them left." in done.out and "#17 Down (cart)" in done.out
    assert "because somebody before them answered" in done.out
    assert stage.asked[-1].query["at"] == ["2026-11-22T03:24:00.000Z"]
    assert stage.run("why").code == 2
    both = stage.run("why", "17", "--person", "ben")
    assert (both.code, "not both" in both.err) == (2, True)
    assert stage.run("why", "17", "--at", "2026-11-22T03:24:00Z").code == 2
