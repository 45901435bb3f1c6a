"""What is left of a playbook's guards now, for people: measured as for a run that would begin this instant.

Nothing is kept of it: whoever asks changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from msgspec import Struct

from tocsin.engine import guarding, midst, standings
from tocsin.engine.state import Changes, State
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.kernel.instant import Instant
from tocsin.plan.model import Plan
from tocsin.playbooks import guards, trust
from tocsin.playbooks.guards import Measure, Unwell, shown
from tocsin.playbooks.left import Left
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.run import Run
from tocsin.playbooks.targets import Unbound, bind
from tocsin.playbooks.trust import Climb

DOING = {"running": "runs", "asking": "asks", "watching": "watches its fix"}
"""What a run does that lives. Only the first keeps a person, too."""
MOST_SHOWN = 20
"""So many targets' guards are measured for one question: more are a question of their own."""


class Weighed(Struct, frozen=True, kw_only=True):
    """The guards of a playbook for the targets it would work on, by parameter. ``no``: why it would not begin now."""

    targets: dict[str, str] = {}
    left: tuple[Left, ...] = ()
    no: str = ""


class Guards(Struct, frozen=True, kw_only=True):
    """A playbook's guards with one service, as they are ``at`` an instant.

    ``each``: for each target, or once. ``more``: targets beyond these. ``paging``: False where nobody is paged, so that
    it changes nothing whatever it is trusted with.
    """

    service: str
    playbook: str
    at: Instant
    climb: Climb
    each: tuple[Weighed, ...]
    more: int = 0
    paging: bool = True


def weigh(state: State, plan: Plan, now: Instant, service: str, playbook: str, target: str = "") -> Guards | None:
    """The guards of a playbook for each target of a service, or for one. None: the service uses no such playbook."""
    manifest = plan.playbooks.get(playbook)
    if manifest is None or playbook not in plan.answers.get(service, ()):
        return None
    turn = Turn(state, plan, {}, Changes(), state.counters.applied, now)
    wanted = list(islice(_wanted(turn, manifest, service, target), MOST_SHOWN + 1))
    health = guarding.unwell(turn, service)  # the same for all of them, and looked for once
    each = tuple(_of(turn, manifest, service, one, health) for one in wanted[:MOST_SHOWN])
    return _answer(turn, manifest, service, each, _rest(turn, manifest, service) if len(wanted) > len(each) else 0)


def weigh_run(state: State, plan: Plan, now: Instant, number: int) -> Guards | None:
    """The guards of a run that lives. None when it does not, or the plan has its playbook no more."""
    run = state.runs.get(number)
    manifest = plan.playbooks.get(run.playbook) if run is not None else None
    if run is None or manifest is None or not run.live:
        return None
    turn = Turn(state, plan, {}, Changes(), state.counters.applied, now)
    return _answer(turn, manifest, run.service, (_weighed(turn, manifest, run),))


def _answer(turn: Turn, manifest: Manifest, service: str, each: tuple[Weighed, ...], more: int = 0) -> Guards:
    return Guards(
        service=service,
        playbook=manifest.name,
        at=turn.now,
        climb=trust.climb(manifest, standings.looked_up(turn, manifest, service)),
        each=each,
        more=more,
        paging=turn.state.counters.paging,
    )


def _wanted(turn: Turn, manifest: Manifest, service: str, target: str) -> Iterator[Mapping[str, str]]:
    """What to say of targets so that one run is meant: each of its kind, where it works on one."""
    if len(manifest.targets) != 1:
        yield {}
        return
    param = manifest.targets[0]
    names = (one.name for one in turn.plan.bindings.of(service).values() if one.kind == param.kind)
    found = [{param.name: name} for name in names if target in ("", name)]
    yield from found or [{param.name: target} if target else {}]


def _rest(turn: Turn, manifest: Manifest, service: str) -> int:
    return len(turn.plan.bindings.group(service, manifest.targets[0].kind)) - MOST_SHOWN


def _of(turn: Turn, manifest: Manifest, service: str, wanted: Mapping[str, str], health: Unwell) -> Weighed:
    bound = bind(manifest, service, turn.plan.bindings, None, wanted)
    if isinstance(bound, Unbound):
        return Weighed(targets=dict(wanted), left=(Left(kind="target", now=bound.why, no=bound.why),), no=bound.why)
    run = Run(
        number=0, playbook=manifest.name, service=service, plan=turn.plan.version, meaning=manifest.meaning,
        targets=bound, by=SYSTEM, started_at=turn.now, deadline=turn.now + manifest.hand_over_after,
    )  # fmt: skip
    return _weighed(turn, manifest, run, health)


def _weighed(turn: Turn, manifest: Manifest, run: Run, health: Unwell | None = None) -> Weighed:
    at = guarding.situation(turn, manifest, run, thorough=True, health=health)
    there = (*_targets(turn, manifest, run), *midst.shown(turn, run))
    left = (_lock(turn, run), _person(turn, run), *guards.left(at), *there)
    return Weighed(targets=run.targets, left=left, no=next((one.no for one in left if one.no), ""))


def _lock(turn: Turn, run: Run) -> Left:
    by = guarding.holder(turn, run)
    if by is None and run.live and run.number in turn.state.runs:
        return Left(kind="lock", now="this run holds it")
    if by is None:
        others = guarding.beside(turn, run)
        some = "".join(f"; run {one.number} of {one.playbook} {DOING[one.state]}" for one in others[:1])
        return Left(kind="lock", now=f"nobody holds it{some}")
    no = guards.locked(by, run, turn.plan.bindings)
    said = f"held by run {by.number} of {by.playbook}, which {DOING[by.state]}"
    return shown("lock", Measure(said, no, until=by.over_by, then="over at the latest"))


def _person(turn: Turn, run: Run) -> Left:
    """Who works there by hand. Somebody who has an incident about it keeps a run from its fixes, and not from looking:
    it is asked of a fix, and so it is here. So does a silence that covers it.
    """
    by = guarding.claim(turn, run)
    if by is not None:
        no = guarding.claimed(turn, run)
        return shown("person", Measure(no.why if no else "", no, until=by.taken_until, then="given back at the latest"))
    no = guarding.silenced(turn, run)
    if no is None and not (run.by_hand or run.approved_by):
        no = guarding.person_at(turn, run)
    return shown("person", Measure(no.why if no else "nobody works there by hand", no))


def _targets(turn: Turn, manifest: Manifest, run: Run) -> Iterator[Left]:
    """Targets that are gone, or that the plan gives nothing to fix with."""
    if manifest.fixes and (no := guarding.unfit(turn, run)) is not None:
        yield shown("target", Measure(no.why, no))
