"""What the referee was told and saw, which all of its judging needs; and whom a step means by that."""

from __future__ import annotations

from bench.simulation.cases import Case
from bench.simulation.clocks import morning
from bench.simulation.duty import Cover, Rota, next_in_line, on_call, rota_of
from bench.simulation.landscape import Landscape, Step, Turns
from tocsin.pages.ledger import Page


class Seen:
    """One run, so far."""

    def __init__(self, land: Landscape) -> None:
        self.land = land
        self.by_number: dict[int, Case] = {}
        self.covers: dict[str, list[Cover]] = {}
        self.gaps: list[tuple[int, int]] = []
        self.failing: set[tuple[str, str]] = set()
        self.rows: dict[int, list[Page]] = {}
        """Of this instant, by incident: rows of the ledger that were written,"""
        self.tries: dict[int, list[tuple[Page, str]]] = {}
        """and what was handed to a channel, with its answer."""
        self.absent = 0
        """How often a schedule was asked of which somebody was away, or that a calendar decides."""
        self._rotas: dict[tuple[str, tuple[Turns, ...]], Rota] = {}
        """By name and layers: calendars are the same in every edition of the plan."""
        self._in_force: dict[str, Rota] = {}

    def plan(self, land: Landscape) -> None:
        """Another plan is in force."""
        self.land = land
        self._in_force.clear()

    def rota(self, name: str) -> Rota:
        """A schedule of the plan in force."""
        found = self._in_force.get(name)
        if found is None:
            layers = self.land.rotas[name]
            found = self._rotas.get((name, layers))
            if found is None:
                found = self._rotas[name, layers] = rota_of(self.land, name)
            self._in_force[name] = found
        return found

    def people(self, case: Case, step: Step, first: int, now: int) -> set[str]:
        """Everybody behind a step's targets. The next in line counts from whom steps before the ``first`` that is due
        paged of that rota, and whoever has come on call since is paged beside them.
        """
        found: set[str] = set()
        for target in step.targets:
            kind, _, name = target.partition(" ")
            if kind == "person":
                found.add(name)
            elif kind == "team":
                found |= set(self.land.teams[name])
            elif kind == "next":
                rota, covers = self.rota(name), self.covers.get(name, [])
                before = [
                    at
                    for place, at in case.asked.items()
                    if place < min(first, len(case.steps)) and f"schedule {name}" in case.steps[place].targets
                ]
                then = max(before, default=now)
                found |= next_in_line(rota, covers, then) | (on_call(rota, covers, now) - on_call(rota, covers, then))
            else:
                rota = self.rota(name)
                self.absent += bool(rota.gone(now) or rota.named(now))
                found |= on_call(rota, self.covers.get(name, []), now)
        return found

    def asleep(self, people: set[str], now: int) -> int | None:
        """Until when all of some people sleep; None when somebody does not."""
        ends = [morning(self.land.people[one].zone, now) for one in people]
        awake = [end for end in ends if end is not None]
        return min(awake) if awake and len(awake) == len(ends) else None
