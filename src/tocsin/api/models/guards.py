"""What is left of guards, and of a playbook's way up, as they are published."""

from __future__ import annotations

from msgspec import Struct

from tocsin.api.models.values import Moment, moment
from tocsin.engine.weighing import Guards, Weighed
from tocsin.kernel.instant import format_rfc3339
from tocsin.playbooks.left import Guarding, Left
from tocsin.playbooks.manifest import Rung


class PublishedGuard(Struct, frozen=True, kw_only=True):
    """What is left of one guard.

    ``rule``: the guard, in words; "" for what holds for every playbook. ``now``: how it is, in words. ``blocks``: why
    it keeps a run from its work, "" when it does not. ``left`` of ``of``: what may still be taken, where that can be
    counted. ``until``: when it changes by itself, null when no time changes it; ``then``: how it is from then on.
    """

    kind: Guarding
    rule: str
    now: str
    blocks: str
    left: int | None
    of: int | None
    until: Moment | None
    then: str


class PublishedTarget(Struct, frozen=True, kw_only=True):
    """The guards of a playbook for the targets one run would work on, by parameter. ``blocks``: why none would begin
    now, or why it would not go on; "" when nothing keeps it.
    """

    targets: dict[str, str]
    blocks: str
    guards: list[PublishedGuard]


class PublishedClimb(Struct, frozen=True, kw_only=True):
    """How far a playbook is trusted, and what it lacks for more.

    ``right`` of ``tried``: runs on this rung that held, or, of one that only watches, that would have done what people
    did. ``at_least``: so often it is right, by Wilson's lower bound (95 %); ``needed``: so often it has to be.
    ``next``: the rung it climbs to, "" for none; ``more``: so many more in a row that are right bring it there.
    ``why``: why it climbs no further.
    """

    trust: Rung
    ceiling: Rung
    right: int
    tried: int
    at_least: float
    needed: float
    next: str
    more: int
    why: str


class PublishedGuards(Struct, frozen=True, kw_only=True):
    """What is left of a playbook's guards with one service, ``at`` an instant, as the engine would decide then.

    ``each``: for each target, or once where it works on none or several at once; ``more``: targets that are not among
    them: ask for each. ``pages``: false where Tocsin pages nobody, so that code changes nothing.
    """

    service: str
    playbook: str
    at: Moment
    pages: bool
    climb: PublishedClimb
    each: list[PublishedTarget]
    more: int


def guard_out(one: Left) -> PublishedGuard:
    """What is left of one guard."""
    return PublishedGuard(
        kind=one.kind, rule=one.rule, now=one.now, blocks=one.no, left=one.left, of=one.of, until=moment(one.until),
        then=one.then,
    )  # fmt: skip


def guards_out(found: Guards) -> PublishedGuards:
    """What is left of a playbook's guards."""
    climb = found.climb
    return PublishedGuards(
        service=found.service,
        playbook=found.playbook,
        at=format_rfc3339(found.at),
        pages=found.paging,
        climb=PublishedClimb(
            trust=climb.rung,
            ceiling=climb.ceiling,
            right=climb.right,
            tried=climb.tried,
            at_least=round(climb.bound, 3),
            needed=climb.needed,
            next=climb.next,
            more=climb.more,
            why=climb.why,
        ),
        each=[_target_out(one) for one in found.each],
        more=found.more,
    )


def _target_out(one: Weighed) -> PublishedTarget:
    return PublishedTarget(targets=one.targets, blocks=one.no, guards=[guard_out(each) for each in one.left])
