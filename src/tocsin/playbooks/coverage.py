"""How much is answered by code: each alert rule a plan names, and what answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tocsin.kernel.matcher import all_match
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.manifest import Manifest


class Covered(Struct, frozen=True):
    """A rule of a service. ``answer``: act, ask, suggest, observe, checklist or nothing; ``playbook``: by which, ""
    by none.
    """

    service: str
    rule: str
    answer: str
    playbook: str


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


def _one(service: str, rule: str, by: str, playbooks: Mapping[str, Manifest]) -> Covered | None:
    return Covered(service, rule, playbooks[by].trust.start, by) if by else None


def _listed(service: str, rule: str, labels: Mapping[str, str], lists: Sequence[Checklist]) -> Covered:
    """Answered by the first checklist that is for it, whatever its severity; else by nothing."""
    fits = (one.name for one in lists if not one.answers or any(all_match(group, labels) for group in one.answers))
    name = next(fits, "")
    return Covered(service, rule, "checklist" if name else "nothing", name)
