"""Whose turn is next at the steps of a plan that page one of several, for whoever is told before it happens."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import NamedTuple

from tocsin.catalog.people import Person
from tocsin.escalation.policy import Step
from tocsin.escalation.turns import Rounds, next_in_turn, round_of


class Turns(NamedTuple):
    """The rounds as they stand. ``reachable``: the persons who can be paged by anything."""

    rounds: Rounds
    reachable: Set[str]

    def next(self, step: Step, people: Iterable[Person]) -> str:
        """Whom of these a step pages if it does so now; "" when it pages all of them, or there is nobody."""
        keys = [person.key for person in people] if step.one else []
        able = [key for key in keys if key in self.reachable] or keys
        return next_in_turn(able, self.rounds.get(round_of(step), ())) if able else ""


NOBODY = Turns({}, frozenset())
"""Where nothing is known of any round."""
