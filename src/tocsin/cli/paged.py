"""How the command line words a row of the page ledger: when it was written down, and what became of it since."""

from __future__ import annotations

from typing import Any

from tocsin.cli import show
from tocsin.cli.text import clock, count, span, stamp
from tocsin.kernel.instant import SECOND, Instant

PAGE_COLUMNS = (
    show.Column("Written"),
    show.Column("Person"),
    show.Column("By", least=60),
    show.Column("State"),
    show.Column("Because", wide=True),
)


def page_row(page: dict[str, Any]) -> show.Row:
    """A page as a row under ``PAGE_COLUMNS``."""
    by = str(page["channel"]) if page["kind"] == "page" else f"{page['channel']}, {page['kind']}"
    because = f"{page['because']}: {page['error']}" if page["error"] else str(page["because"])
    return stamp(show.moment(page["intended_at"])), str(page["person"]), by, show.state(became(page)), because


def became(page: dict[str, Any]) -> str:
    """What became of a page, with the time it took: a page may leave long after it was written down."""
    state, written = str(page["state"]), show.instant(page["intended_at"])
    ended = show.moment(page["finished_at"])
    if page["outcome"] == "paging_off":
        return "not sent: paging is off"
    if state == "intended":
        return _under_way(page)
    how = f"sent{_after(written, ended)}" if state == "sent" else state
    if page["outcome"] == "left_before":
        how = f"{how}, yet delivered{_after(written, ended)}"
    if page["unsure"]:
        how = f"{how}, perhaps twice"
    if page["answered_at"]:
        return f"{how}, answered{_after(ended or written, show.moment(page['answered_at']))}"
    if page["seen_at"]:
        return f"{how}, seen"
    return f"{how}, arrived" if page["delivered_at"] else how


def _under_way(page: dict[str, Any]) -> str:
    again = show.moment(page["next_at"])
    if page["attempts"]:
        tried = count(int(page["attempts"]), "time")
        return f"tried {tried}, again at {clock(again)}" if again is not None else f"tried {tried}"
    if page["held"]:
        return f"planned for {clock(show.instant(page['not_before']))}"
    return "leaving"


def _after(begin: Instant, end: Instant | None) -> str:
    return f" after {span(end - begin)}" if end is not None and end - begin >= SECOND else ""
