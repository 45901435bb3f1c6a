"""How much is answered by code: each alert rule a plan names, and what answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from tocsin.catalog.services import INBOX
from tocsin.kernel.matcher import all_match
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.manifest import Manifest

ANSWERS: Final = ("act", "ask", "suggest", "observe", "checklist")
"""What may answer a rule, apart from nothing."""
COUNTING: Final = ("act", "ask")


class Wanted(Struct, frozen=True):
    """How much a team wants answered: ``least`` percent of all rules, by any of ``counting``; and where it is said."""

    least: float
    counting: tuple[str, ...] = COUNTING
    file: str = ""
    line: int = 0
    column: int = 0


class Covered(Struct, frozen=True):
    """A rule of a service. ``answer``: act, ask, suggest, observe, checklist or nothing; ``playbook``: by which, ""
    by none.
    """

    service: str
    rule: str
    answer: str
    playbook: str


class Share(Struct, frozen=True):
    """How much is answered: so many of so many rules; and those that are not."""

    answered: int
    of: int
    missing: tuple[Covered, ...]

    @property
    def percent(self) -> float:
        """The share in percent; 100 where there is no rule."""
        return 100 * self.answered / self.of if self.of else 100.0


def covered(
    services: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    playbooks: Mapping[str, Manifest],
    rules: Sequence[tuple[str, Mapping[str, str]]],
    checklists: Mapping[str, Checklist] = {},
) -> list[Covered]:
    """What answers each rule. ``rules``: service and labels of every alert a plan surely knows of.

    What playbooks answer counts as a rule too, in their own words. A service of which nothing is known has the rule
    ``any``, answered by nothing, or by a checklist for every incident. What code answers counts before a checklist.
    """
    found: dict[tuple[str, str], Covered] = {}
    for service in services:
        names = [name for name in answers.get(service, ()) if name in playbooks]
        lists = [checklists[name] for name in answers.get(service, ()) if name in checklists]
        for of, labels in rules:
            if of == service:
                by = next((n for n in names if any(all_match(g, labels) for g in playbooks[n].answers)), "")
                text = " ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
                found[service, text] = _one(service, text, by, playbooks) or _listed(service, text, labels, lists)
        for name in names:
            for group in playbooks[name].answers:
                text = " ".join(map(str, group))
                found.setdefault((service, text), Covered(service, text, playbooks[name].trust.start, name))
        for one in lists:
            for group in one.answers:
                text = " ".join(map(str, group))
                found.setdefault((service, text), Covered(service, text, "checklist", one.name))
        if all(one.service != service for one in found.values()):
            found[service, "any"] = _listed(service, "any", {}, [one for one in lists if not one.answers])
    return sorted(found.values(), key=lambda one: (one.service, one.rule))


def share(found: Sequence[Covered], counting: Sequence[str]) -> Share:
    """How much of it is answered by any of these. What comes to the inbox without a rule of its own does not count."""
    asked = [one for one in found if (one.service, one.rule) != (INBOX, "any")]
    missing = tuple(one for one in asked if one.answer not in counting)
    return Share(len(asked) - len(missing), len(asked), missing)


def short_of(found: Sequence[Covered], wanted: Wanted) -> str:
    """That less is answered than is wanted, as a sentence; "" when it is enough."""
    have = share(found, wanted.counting)
    if have.percent >= wanted.least:
        return ""
    by = " or ".join(wanted.counting)
    return (
        f"{have.answered} of {have.of} alert rules ({have.percent:.3g}%) are answered by {by}; "
        f"at least {wanted.least:g}% is asked for"
    )


def _one(service: str, rule: str, by: str, playbooks: Mapping[str, Manifest]) -> Covered | None:
    return Covered(service, rule, playbooks[by].trust.start, by) if by else None


def _listed(service: str, rule: str, labels: Mapping[str, str], lists: Sequence[Checklist]) -> Covered:
    """Answered by the first checklist that is for it, whatever its severity; else by nothing."""
    fits = (one.name for one in lists if not one.answers or any(all_match(group, labels) for group in one.answers))
    name = next(fits, "")
    return Covered(service, rule, "checklist" if name else "nothing", name)
