"""How much is answered by code: each alert rule a plan names, and what answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from tocsin.kernel.matcher import all_match
from tocsin.playbooks.manifest import Manifest


class Covered(Struct, frozen=True):
    """A rule of a service. ``answer``: act, ask, suggest, observe or nothing; ``playbook``: by which, "" by none."""

    service: str
    rule: str
    answer: str
    playbook: str


def covered(
    services: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    playbooks: Mapping[str, Manifest],
    rules: Sequence[tuple[str, Mapping[str, str]]],
) -> list[Covered]:
    """What answers each rule. ``rules``: service and labels of every alert a plan surely knows of.

    What playbooks answer counts as a rule too, in their own words. A service of which nothing is known has the rule
    ``any``, answered by nothing.
    """
    found: dict[tuple[str, str], Covered] = {}
    for service in services:
        names = [name for name in answers.get(service, ()) if name in playbooks]
        for of, labels in rules:
            if of == service:
                by = next((n for n in names if any(all_match(g, labels) for g in playbooks[n].answers)), "")
                text = " ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
                found[service, text] = _one(service, text, by, playbooks)
        for name in names:
            for group in playbooks[name].answers:
                text = " ".join(map(str, group))
                found.setdefault((service, text), _one(service, text, name, playbooks))
        if all(one.service != service for one in found.values()):
            found[service, "any"] = Covered(service, "any", "nothing", "")
    return sorted(found.values(), key=lambda one: (one.service, one.rule))


def _one(service: str, rule: str, by: str, playbooks: Mapping[str, Manifest]) -> Covered:
    return Covered(service, rule, playbooks[by].trust.start if by else "nothing", by)
