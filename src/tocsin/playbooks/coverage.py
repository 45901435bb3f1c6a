"""How much is answered by code: each alert rule a plan names, and what answers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, structs

from tocsin.catalog.services import INBOX
from tocsin.kernel.matcher import all_match
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.targets import Targets, Unbound, bind

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


class Rule(NamedTuple):
    """An alert that a plan surely knows of. ``told``: labels that name it. ``labels``: all it will have, None when only
    those are known. ``severity``: as its service will have it, "" when that is not known.
    """

    service: str
    told: Mapping[str, str]
    labels: Mapping[str, str] | None = None
    severity: str = ""

    @property
    def text(self) -> str:
        """Its name, as matchers are written."""
        return " ".join(f'{name}="{value}"' for name, value in sorted(self.told.items()))


class Covered(Struct, frozen=True):
    """A rule of a service. ``answer``: act, ask, suggest, observe, checklist or nothing; ``playbook``: by which, ""
    by none. ``named``: a playbook that names it and will not run for it all the same, and ``why``; "" when none is held
    up so.
    """

    service: str
    rule: str
    answer: str
    playbook: str
    named: str = ""
    why: str = ""


class Share(Struct, frozen=True):
    """How much is answered: so many of so many rules; and those that are not."""

    answered: int
    of: int
    missing: tuple[Covered, ...]

    @property
    def percent(self) -> float:
        """The share in percent; 100 where there is no rule."""
        return 100 * self.answered / self.of if self.of else 100.0


Rungs = Callable[[str, str], str]
"""What a playbook is trusted with for a service, by the names of both."""


def covered(
    services: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    playbooks: Mapping[str, Manifest],
    rules: Sequence[Rule],
    targets: Targets,
    checklists: Mapping[str, Checklist] = {},
    rung: Rungs | None = None,
) -> list[Covered]:
    """What answers each rule: the first playbook that names it and will find what it works on, as an incident would.

    What playbooks answer counts as a rule too, in their own words, unless those are about a rule that is known. A
    service of which nothing is known has the rule ``any``, answered by nothing, or by a checklist for every incident.
    What code answers counts before a checklist. ``rung``: what each is trusted with; None: where the plan starts it.
    """
    found: dict[tuple[str, str], Covered] = {}
    for service in services:
        code = [playbooks[name] for name in answers.get(service, ()) if name in playbooks]
        lists = [checklists[name] for name in answers.get(service, ()) if name in checklists]
        known = [one for one in rules if one.service == service]
        for one in known:
            named = [by for by in code if any(all_match(group, one.labels or one.told) for group in by.answers)]
            found[service, one.text] = _answer(one, named, lists, targets, rung)
        for by in code:
            for group in by.answers:
                own = Rule(service, {}, None)
                text = " ".join(map(str, group))
                if not any(all_match(group, one.labels or one.told) for one in known):
                    answer = _answer(own, [by], [], targets, rung)
                    found.setdefault((service, text), structs.replace(answer, rule=text))
        for listed in lists:
            for group in listed.answers:
                text = " ".join(map(str, group))
                if not any(all_match(group, one.labels or one.told) for one in known):
                    found.setdefault((service, text), Covered(service, text, "checklist", listed.name))
        if all(one.service != service for one in found.values()):
            found[service, "any"] = _listed(service, "any", {}, [one for one in lists if not one.answers])
    return sorted(found.values(), key=lambda one: (one.service, one.rule))


def _answer(
    rule: Rule, named: Sequence[Manifest], lists: Sequence[Checklist], targets: Targets, rung: Rungs | None
) -> Covered:
    held = why = ""
    for by in named:
        why = _held_up(rule, by, targets)
        if not why:
            trusted = rung(rule.service, by.name) if rung is not None else by.trust.start
            return Covered(rule.service, rule.text, trusted, by.name)
        held = by.name
    listed = _listed(rule.service, rule.text, rule.labels or rule.told, lists)
    return structs.replace(listed, named=held, why=why)


def _held_up(rule: Rule, by: Manifest, targets: Targets) -> str:
    """Why a playbook that names a rule will not run for it; "" when it will, as far as that can be known."""
    if by.severities and rule.severity and rule.severity not in by.severities:
        return f"{by.name} answers {', '.join(by.severities)} alone, and this is {rule.severity}"
    if lacking := [one.name for one in by.params if not (one.target or one.default)]:
        return f"{by.name} needs its parameter {' and '.join(lacking)}, which no alert says"
    if rule.labels is not None:
        bound = bind(by, rule.service, targets, rule.labels)
        return f"{by.name}: {bound.why}" if isinstance(bound, Unbound) else ""
    for kind, wanted in Counter(one.kind for one in by.targets).items():
        there = [one.name for one in targets.of(rule.service).values() if one.kind == kind]
        if not there:
            return f"{by.name}: {rule.service} has no {kind} target at all"
        if len(there) < wanted:
            only = " and ".join(there)
            return f"{by.name} works on {wanted} {kind} targets at once, and {rule.service} has {only} alone"
    return ""


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


def _listed(service: str, rule: str, labels: Mapping[str, str], lists: Sequence[Checklist]) -> Covered:
    """Answered by the first checklist that is for it, whatever its severity; else by nothing."""
    fits = (one.name for one in lists if not one.answers or any(all_match(group, labels) for group in one.answers))
    name = next(fits, "")
    return Covered(service, rule, "checklist" if name else "nothing", name)
