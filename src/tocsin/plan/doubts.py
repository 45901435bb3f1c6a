"""What whoever takes or gives a place on call should know before they rely on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from tocsin.kernel.instant import DAY, Duration, Instant
from tocsin.oncall.moved import moved
from tocsin.oncall.override import Override
from tocsin.plan.model import Covers, Plan

LONGEST: Duration = 400 * DAY
"""Of what is longer it is not said whether it changes anything: nothing so long is agreed to."""


class Doubt(NamedTuple):
    """``kind``: same (it changes nothing), unasked (nobody is paged by that schedule) or mute (nothing reaches them).

    ``said``: a sentence without its full stop.
    """

    kind: str
    said: str


def doubts(plan: Plan, one: Override, covers: Covers, now: Instant, reached: Callable[[str], bool]) -> list[Doubt]:
    """Why an override, a swap or a cover request may be of no use though it is allowed.

    ``covers``: those in force, that one or not among them. ``reached``: whether a person can be reached by anything.
    A wish counts as if it were agreed to now. Empty for what is not of this plan, or names nobody there.
    """
    if one.idle(plan.rosters, plan.people):
        return []
    found, key = [], one.schedule
    under = tuple(cover for cover in plan.covers_for(key, covers) if cover.id != one.id)
    own = msgspec.structs.replace(one, agreed_at=one.agreed_at or now).covers() if one.person else ()
    ranges = [(cover.start, cover.end) for cover in own]
    if ranges and sum(end - start for start, end in ranges) <= LONGEST:
        after = moved(plan.rosters[key], under, (*under, *own), ranges)
        if not after and one.back is None and not one.instead_of:
            found.append(Doubt("same", f"{_name(plan, one.person)} is on call by {key} all that time already"))
        elif not after:
            found.append(Doubt("same", f"It changes nothing: the same people are on call by {key} then"))
    if not any(plan.asks(service, key) for service in plan.services):
        found.append(Doubt("unasked", f"No service pages by {key}: nobody is called for it"))
    takes = dict.fromkeys(cover.person for cover in own if cover.person)
    mute = [_name(plan, person) for person in takes if not reached(person)]
    if mute and any(reached(person) for person in plan.people):  # else it is a trial, and the console counts
        found.append(Doubt("mute", f"{' and '.join(mute)} can be reached by nothing: add a contact method first"))
    return found


def _name(plan: Plan, person: str) -> str:
    return plan.names.get(person, person)
