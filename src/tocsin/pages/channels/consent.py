"""What people write in a chat, or put under a message, to say that they have it, and which page they mean by it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.kernel.instant import MINUTE, Duration, Instant
from tocsin.pages.ledger import Page

CLOCKS: Duration = MINUTE
"""What a chat server's clock and this machine's may differ by."""
_YES = re.compile(r"(?i)(ack(nowledged?)?|got it|on it|mine|👍|✅|✔)[.!]?")
_LOOKS = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]")
"""What only changes how an emoji looks: its presentation and the colour of its skin."""


def says_yes(text: str) -> bool:
    """Whether that is all they say: ``ack``, ``Got it!``, ``👍🏽``."""
    return bool(_YES.fullmatch(_LOOKS.sub("", text.strip())))


def meant(pages: Sequence[Page], written: Instant) -> Sequence[Page]:
    """The pages that words without a reply may mean, of those of their chat, oldest first: one where it is clear.

    It is the newest that left before they were ``written``: they are often read late, and a page that left meanwhile
    was seen by nobody. One that left within the clocks' difference after them may have been; with others it is unclear,
    unless all are of one incident.
    """
    there = [page for page in pages if (page.handed_at or 0) <= written + CLOCKS]
    before = [page for page in there if (page.handed_at or 0) <= written]
    near = [page for page in there if page not in before]
    maybe = [*before[-1:], *near]
    return maybe[:1] if len({page.incident for page in maybe}) == 1 else maybe
