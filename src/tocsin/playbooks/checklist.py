"""A checklist: a playbook that people carry out. Its steps are ticked on an incident, one by one, and by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tocsin.incidents.incident import Tick
from tocsin.kernel.matcher import Matcher, all_match

MOST_ITEMS: Final = 200


class Item(Struct, frozen=True, kw_only=True):
    """One step. ``id`` stays the same while its words and its heading do.

    ``under``: the headings above it. ``detail``: what stands below it, as written. ``playbook``: what a button beside
    it runs, "" for none.
    """

    id: str
    text: str
    line: int
    under: str = ""
    detail: str = ""
    playbook: str = ""


class Checklist(Struct, frozen=True, kw_only=True):
    """One checklist. ``answers``: as a playbook's; () for every incident of the services that name it."""

    name: str
    file: str
    line: int
    title: str
    items: tuple[Item, ...]
    answers: tuple[tuple[Matcher, ...], ...] = ()
    severities: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str], severity: str) -> bool:
        """Whether it is for an alert."""
        if self.severities and severity not in self.severities:
            return False
        return not self.answers or any(all_match(group, labels) for group in self.answers)

    def item(self, id: str) -> Item | None:
        """The step with that id."""
        return next((one for one in self.items if one.id == id), None)


class Shown(Struct, frozen=True):
    """A step as an incident shows it. ``gone``: it was ticked, and the plan has it no more."""

    item: Item
    tick: Tick | None
    gone: bool = False


def shown(checklist: Checklist | None, ticks: Mapping[str, Tick]) -> list[Shown]:
    """The steps of a checklist, with who did which; behind them those that were done and are in it no more."""
    items = checklist.items if checklist is not None else ()
    found = [Shown(one, ticks.get(one.id)) for one in items]
    known = {one.id for one in items}
    gone = [Shown(Item(id=id, text=tick.text, line=0), tick, True) for id, tick in ticks.items() if id not in known]
    return found + gone
