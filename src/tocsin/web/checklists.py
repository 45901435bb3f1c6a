"""The checklists in an incident's room, as they are drawn: who did which step, and a button for each."""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

from tocsin.faces.checklists import on_incident
from tocsin.incidents.incident import Incident
from tocsin.playbooks.checklist import Shown
from tocsin.web.view import View

_PIECES = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<url>https?://[^\s()]+)\)|`(?P<code>[^`]+)`")


class Piece(NamedTuple):
    """A part of a step's text. ``url``: where it leads; ``code``: it is to be typed."""

    text: str
    url: str = ""
    code: bool = False


class StepView(NamedTuple):
    """One step as it is drawn. ``runs``: the playbook whose button stands beside it, "" when it may not be run now."""

    number: int
    shown: Shown
    pieces: list[Piece]
    runs: str
    place: str
    """What a fault about it is filed under."""


class ChecklistView(NamedTuple):
    """One checklist: its steps below their headings."""

    name: str
    title: str
    done: int
    total: int
    parts: list[tuple[str, list[StepView]]]


def checklists_of(seen: View, incident: Incident, startable: set[str]) -> list[ChecklistView]:
    """The checklists of an incident. ``startable``: the playbooks whoever looks may have run for it now."""
    made = []
    for one in on_incident(seen.plan, incident):
        steps = [
            StepView(
                number,
                step,
                pieces(step.item.text),
                step.item.playbook if step.item.playbook in startable and step.tick is None else "",
                place_of(one.name, step.item.id),
            )
            for number, step in enumerate(one.steps, 1)
        ]
        parts = [(under, list(those)) for under, those in groupby(steps, lambda step: step.shown.item.under)]
        made.append(ChecklistView(one.name, one.title, one.done, len(steps), parts))
    return made


def pieces(text: str) -> list[Piece]:
    """A step's text with its links and what is to be typed told apart. Nothing else of Markdown is read."""
    found: list[Piece] = []
    end = 0
    for match in _PIECES.finditer(text):
        found.append(Piece(text[end : match.start()]))
        found.append(Piece(match["code"], code=True) if match["code"] else Piece(match["text"], match["url"]))
        end = match.end()
    return [one for one in (*found, Piece(text[end:])) if one.text]


def place_of(checklist: str, step: str) -> str:
    """What a fault about a step is filed under."""
    return f"{checklist}-{step}"
