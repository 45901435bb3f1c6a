"""Whose turn it is where a step pages one of several: whoever was chosen longest ago.

Each such step of each escalation goes round by itself, whatever other incidents there are. Somebody who cannot be
reached for a while is left out meanwhile and comes next afterwards; somebody new comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tocsin.escalation.policy import Escalation, Step

Rounds = Mapping[str, tuple[str, ...]]
"""Whom each step has chosen, by what ``round_of`` says: the persons, whoever was chosen last at the end."""


def round_of(step: Step) -> str:
    """Which round a step goes: that of its escalation and place there, ``support/1``.

    Steps of incidents opened by older versions do not say it: these share a round with what names the same targets.
    """
    return step.round_of or ",".join(step.targets)


def next_in_turn(people: Sequence[str], lately: Sequence[str]) -> str:
    """Who of these is next; of those who never were the first. ``people`` is not empty."""
    place = {person: number for number, person in enumerate(lately)}
    return min(people, key=lambda person: place.get(person, -1))


def chosen(lately: Sequence[str], person: str) -> tuple[str, ...]:
    """The round after somebody was chosen."""
    return (*(one for one in lately if one != person), person)


def still_there(
    rounds: Rounds, escalations: Mapping[str, Escalation], people: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """The rounds of the steps a plan has, without people it does not have any more."""
    there = {round_of(step) for one in escalations.values() for step in one.steps if step.one}
    kept = {key: tuple(one for one in lately if one in people) for key, lately in rounds.items() if key in there}
    return {key: lately for key, lately in kept.items() if lately}
