"""Whether what a playbook answers leaves anything out: one that answers every alert was hardly meant to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.kernel.matcher import Matcher, all_match, met_by_all

WORDS = ("a", "Z", "0", "qx7-Zr", "Worker 3 is lost, since 04:12")
"""Words of all kinds: what takes each of these takes nearly any."""
USUAL = ("alertname", "service", "severity")
"""Labels that are as good as always there. Those that are not leave something out."""
NAME = 'say which it is for: alertname="…"'


class Wide(NamedTuple):
    """What is wrong with what a playbook called so-and-so answers: ``message`` follows its name.

    ``certain``: there is no alert that it does not answer.
    """

    message: str
    hint: str
    certain: bool


def wide(groups: Sequence[tuple[Matcher, ...]], narrowed: Sequence[str] = ()) -> Wide | None:
    """Whether one of these groups of matchers is met by every alert, or nearly so; None when they all leave things out.

    ``narrowed``: what else is asked of an incident, each by its name: with that, wide matchers may well be meant.
    """
    found: Wide | None = None
    for group in groups:
        if all(one.matches({}) for one in group):
            return Wide("answers everything", 'name at least one label that must be there: alertname="…"', certain=True)
        if not all(all_match(group, dict.fromkeys(USUAL, word)) for word in WORDS):
            continue
        says = " ".join(map(str, group))
        if not narrowed and all(map(met_by_all, group)):
            return Wide(f"answers everything: every alert meets {says}", NAME, certain=True)
        beside = [*(str(one) for one in group if one.operator in ("!=", "!~")), *narrowed]
        what = f"answers nearly everything: hardly an alert does not meet {says}"
        if beside:
            what = f"answers nearly everything that is not left out by {' and '.join(beside)}"
        found = Wide(what, f"{NAME}; or leave it so if it is meant", certain=False)
    return found


def impossible(groups: Sequence[tuple[Matcher, ...]]) -> str:
    """Why no alert meets one of these groups, as what follows the playbook's name; "" where one may meet each."""
    for group in groups:
        said = [one for one in group if one.operator == "="]
        for one in said:
            beside = (each for each in group if each.label == one.label)
            if (other := next((each for each in beside if not each.matches({one.label: one.value})), None)) is not None:
                return f"answers no alert: none meets {one} and {other}"
    return ""
