"""What became of a page, in the words of the command line: a page may leave long after it was written down."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.cli.paged import became, page_row
from tocsin.cli.text import clock
from tocsin.kernel.instant import MINUTE, SECOND, format_rfc3339, parse_rfc3339

WRITTEN = parse_rfc3339("2026-11-26T01:19:32Z")


def page(**more: Any) -> dict[str, Any]:
    """A page as the API tells it: it left two minutes after it was written down."""
    times = {"intended_at": WRITTEN, "finished_at": WRITTEN + 2 * MINUTE} | {
        name: more.pop(name) for name in list(more) if name.endswith("_at") or name == "not_before"
    }
    told: dict[str, Any] = {
        "person": "ana", "channel": "email", "kind": "page", "state": "sent", "outcome": "sent", "attempts": 1,
        "unsure": False, "held": None, "because": "the channel took it", "error": "", "answered_at": None,
        "seen_at": None, "delivered_at": None, "next_at": None, "not_before": None,
    }  # fmt: skip
    return told | {name: at and format_rfc3339(at) for name, at in times.items()} | more


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "sent after 2 min"),
        ({"finished_at": WRITTEN + SECOND // 2}, "sent"),
        ({"answered_at": WRITTEN + 2 * MINUTE + 40 * SECOND}, "sent after 2 min, answered after 40 s"),
        ({"seen_at": WRITTEN + 3 * MINUTE}, "sent after 2 min, seen"),
        ({"delivered_at": WRITTEN + 3 * MINUTE}, "sent after 2 min, arrived"),
        ({"unsure": True}, "sent after 2 min, perhaps twice"),
        ({"state": "overtaken", "outcome": "left_before"}, "overtaken, yet delivered after 2 min"),
        ({"state": "overtaken", "outcome": "overtaken"}, "overtaken"),
        ({"state": "overtaken", "outcome": "paging_off"}, "not sent: paging is off"),
        ({"state": "failed", "outcome": "failed"}, "failed"),
        (
            {"state": "intended", "outcome": None, "finished_at": None, "attempts": 2, "next_at": WRITTEN + MINUTE},
            f"tried 2 times, again at {clock(WRITTEN + MINUTE)}",
        ),
        (
            {
                "state": "intended", "finished_at": None, "attempts": 0, "held": "bundled",
                "not_before": WRITTEN + MINUTE,
            },
            f"planned for {clock(WRITTEN + MINUTE)}",
        ),
        ({"state": "intended", "finished_at": None, "attempts": 0}, "leaving"),
    ],
)
def test_what_became_of_a_page_and_when(told: dict[str, Any], words: str) -> None:
    assert became(page(**told)) == words


def test_a_row_says_when_it_was_written_down_and_by_what_and_why() -> None:
    _, person, by, _, because = page_row(page(kind="help", error="550 no such mailbox"))
    assert (person, by, because) == ("ana", "email, help", "the channel took it: 550 no such mailbox")
