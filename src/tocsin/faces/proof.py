"""Proof of pages: an incident's ledger whole, and how the synthetic pages went."""

from __future__ import annotations

import msgspec

from tocsin.engine.state import Counters
from tocsin.pages.exported import LedgerRow, exported
from tocsin.pages.ledger import Page
from tocsin.pages.loops import Loop
from tocsin.store.reads import MOST, Reads

MOST_ROWS = 20_000
"""So many rows of one incident are exported, the newest."""


def ledger(reads: Reads, incident: int) -> list[LedgerRow] | None:
    """Every page of an incident, the oldest first; None when there is no such incident."""
    about = reads.incident(incident)
    if about is None:
        return None
    pages: list[Page] = []
    cursor: str | None = None
    while True:
        found = reads.pages(incident=incident, after=cursor, limit=MOST)
        pages += found.items
        cursor = found.next
        if cursor is None or len(pages) >= MOST_ROWS:
            break
    pages.reverse()
    people = dict.fromkeys(page.person for page in pages)
    labels = {one.id: one.label for person in people for one in reads.contacts(person)}
    return exported(pages, labels, over=not about.open)


def loops(reads: Reads) -> list[Loop]:
    """What is known of each channel's synthetic page, as the last commit says."""
    counters = reads.meta("counters")
    found = msgspec.json.decode(counters, type=Counters).loops if counters is not None else {}
    return [found[channel] for channel in sorted(found)]
