"""A team's own words for a channel's pages: text with placeholders such as ``$title``, and nothing that runs.

What a placeholder stands for is text and only text: it is never read as a template again. A line on which every
placeholder is empty is left out. What a page must say whatever its words are (how to answer, that it may be a
repetition) is not the template's and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Final

from msgspec import Struct

PLACEHOLDERS: Final = {
    "title": "what is wrong, in one line",
    "service": "the service it is about",
    "severity": "SEV1 to SEV4",
    "state": "Triggered, Acknowledged or Resolved",
    "since": "Since 03:18, for 6 min",
    "because": "why this person gets it, as a sentence",
    "next": "what happens if nobody answers, as a sentence",
    "alerts": "the firing alerts, a line each",
    "tried": "what code already did about it, a line each",
    "advice": "what code suggests to do next",
    "suspected": "the change that was the last before it began",
    "measured": "what probes measured, a line each",
    "number": "the incident's number, such as 12",
    "person": "the name of the person who is paged",
    "time": "when it was written, in the person's zone",
    "link": "where it is answered or read",
}
LONGEST: Final = 2_000
LONGEST_FILLED: Final = 10_000
_SAYS_WHAT: Final = frozenset({"title", "alerts"})


class Words(Struct, frozen=True):
    """The templates of one channel: the one line, and the rest. "" where the usual words are meant."""

    subject: str = ""
    text: str = ""


def fault(text: str, known: Mapping[str, str] = PLACEHOLDERS) -> tuple[str, str]:
    """What is wrong with a template: a sentence, and the unknown placeholder it is about; ("", "") when nothing is."""
    template = Template(text)
    if len(text) > LONGEST:
        return f"a template has at most {LONGEST:,} characters, and this one {len(text):,}", ""
    if not template.is_valid():
        return "a $ is followed by a placeholder's name; write $$ for the sign itself", ""
    for name in template.get_identifiers():
        if name not in known:
            return f"there is no placeholder ${name}", name
    return "", ""


def says_what(text: str) -> bool:
    """Whether a text template says what is wrong at all."""
    return bool(_SAYS_WHAT.intersection(Template(text).get_identifiers()))


def uses(text: str, name: str) -> bool:
    """Whether a template has that placeholder."""
    return name in Template(text).get_identifiers()


def fill(text: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders filled in, bounded. What ``fault`` refuses is left as it stands."""
    lines = []
    for line in text.strip().splitlines():
        template = Template(line)
        names = template.get_identifiers()
        if names and not any(values.get(name) for name in names):
            continue
        lines.append(template.safe_substitute(values).rstrip())
    return "\n".join(lines).strip()[:LONGEST_FILLED]
