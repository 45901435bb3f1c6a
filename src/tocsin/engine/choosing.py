"""Which playbook works on which of an incident's targets next, and which of them only a person can help now.

The gravest firing alert goes first, of those the one that came first. Each is answered by the first of its service's
playbooks that answers it, finds its target and is let run; a playbook works on a target once, until the incident is
opened again. One run works or asks at a time; one that is verified and waits for its alerts to end keeps nobody. What
only a run of another incident on the same system keeps back waits for that (``queuing``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Final

from tocsin.alerts.alert import Alert
from tocsin.engine import about, answering, checking, guarding, holding, queuing, telling_targets
from tocsin.engine.turn import Turn
from tocsin.engine.wanted import Chain, Wish, key_of, wish_of
from tocsin.incidents.incident import Incident, Work
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.left import Blocked
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.run import Run
from tocsin.playbooks.targets import Unbound

LOOKED_AT = 1_000
"""Of a storm, so many alerts say on what a person has code try: no page waits while all are looked at."""
MOST_NAMED = 5
SO_SOON: Final = frozenset({Reason.GUARD_COOLDOWN, Reason.GUARD_AT_MOST})
"""Guards that say no because of what was done."""
MOST_WORKS = 100
"""On so many targets code begins, or is refused, before an incident is a person's: it is no known problem any more."""


def holds(turn: Turn, incident: Incident) -> bool:
    """Whether pages wait for code now. What is to be answered next is begun, if there is anything."""
    if not incident.considered:
        incident.considered = True
        checking.offer(turn, incident)
    _leave_newcomers(turn, incident)
    if turn.plan.answers.get(incident.service) or incident.works:
        _go_on(turn, incident)
    return incident.hold_until is not None and incident.hold_until > turn.now


def why_held(turn: Turn, incident: Incident) -> Reason:
    """What pages wait for."""
    states = {run.state for run in holding.at_work(turn, incident)}
    if "running" in states:
        return Reason.PLAYBOOK_RUNS
    waits = any(one.waiting and one.pages_until for one in incident.works.values())
    return Reason.WAITS_FOR_RUN if waits and "watching" not in states else Reason.PLAYBOOK_VERIFIED


def meant(
    turn: Turn, incident: Incident, manifest: Manifest, named: Mapping[str, str]
) -> Mapping[str, str] | Unbound | None:
    """The labels of the alert of an incident that a person means who has a playbook run: of the gravest that is about
    the targets they ``named``; else about those code is not done with. Where the playbook answers none of them, of what
    fires. None when that is about none of its targets, Unbound when it leaves several.
    """
    found: dict[Wish, list[int]] = {}
    for chain, ids in about.chains(turn, incident).items():
        for wish in chain:
            if wish.playbook == manifest.name and (heard := list(_heard(turn, incident, ids))):
                found.setdefault(wish, []).extend(heard)
    found = found or _by_targets(turn, incident, manifest)
    exact = {wish: ids for wish, ids in found.items() if named.items() <= dict(wish.targets).items()}
    bound = {wish: ids for wish, ids in exact.items() if not wish.why} or exact or found
    left = {wish: ids for wish, ids in bound.items() if _undone(incident, wish.key)} or bound
    places = sorted({" and ".join(wish.names) for wish in left})
    if len(places) > 1 and not named:
        some = ", ".join(places[:MOST_NAMED]) + (
            f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
        )
        return Unbound(f"Alerts fire about several targets ({some}): say on which {manifest.name} is to run")
    alerts = [id for ids in left.values() for id in ids]
    return turn.state.alerts[_first(turn, alerts)].labels if alerts else None


def _by_targets(turn: Turn, incident: Incident, manifest: Manifest) -> dict[Wish, list[int]]:
    """An incident's firing alerts by the targets that a playbook would have for them, though it may answer none."""
    found: dict[Wish, list[int]] = {}
    for id in turn.members(incident).told[:LOOKED_AT]:
        wish = wish_of(turn.plan, incident.service, manifest, turn.state.alerts[id].labels)
        if not wish.why:
            found.setdefault(wish, []).append(id)
    return found


def put_off(turn: Turn, incident: Incident) -> tuple[str, ...]:
    """What somebody puts off who resolves an incident while alerts fire: all that is done about these, or would be."""
    if not turn.plan.answers.get(incident.service):
        return ()
    firing = turn.members(incident).firing
    there = [chain for chain, ids in about.chains(turn, incident).items() if not ids.isdisjoint(firing)]
    done = {wish.key for chain in there for wish in chain if wish.key in incident.works}
    turns = (_turn_of(incident, chain) for chain in there)
    return tuple(sorted(done | {wish.key for wish in turns if wish is not None and not wish.why}))


def _heard(turn: Turn, incident: Incident, ids: Set[int]) -> Iterator[int]:
    """Those of its alerts that fire and nothing silences."""
    members = turn.members(incident)
    return (id for id in ids if id in members.firing and id not in members.silenced)


def _first(turn: Turn, ids: list[int]) -> int:
    alerts = turn.state.alerts
    return min(ids, key=lambda one: (alerts[one].severity, alerts[one].first_seen, one))


def _rank(alert: Alert, wish: Wish) -> tuple[str, int, int, int]:
    return alert.severity, alert.first_seen, wish.place, alert.id


def _turn_of(incident: Incident, chain: Chain) -> Wish | None:
    """Whose turn it is with an alert: the first that was not refused, begun or not; None when all were."""
    for wish in chain:
        work = incident.works.get(wish.key)
        if work is None or not work.passes_on:
            return wish
    return None


def _go_on(turn: Turn, incident: Incident) -> None:
    """Begin what is next; when an alert is left that code cannot help, have pages wait no longer."""
    if incident.lifted is Reason.RUN_CANCELLED:
        queuing.stop_waiting(turn, incident)
        return
    busy = holding.busy(turn, incident)
    if incident.number in turn.state.waiting:
        wanted = _still_wanted(turn, incident)
        if busy is not None:  # what it waits for is judged anew when the incident's own run is over
            wanted &= queuing.goes_on_waiting(turn, incident)
        queuing.stop_waiting(turn, incident, but=wanted)
    if busy is not None or not _begin_next(turn, incident):
        _leave(turn, incident)


def _still_wanted(turn: Turn, incident: Incident) -> set[str]:
    """The keys of what waits rightly: whose turn it is with an alert that is heard."""
    chains = about.wanting(turn, incident, [key for key, work in incident.works.items() if work.waiting])
    turns = ((_turn_of(incident, chain), ids) for chain, ids in chains.items())
    return {wish.key for wish, ids in turns if wish is not None and next(_heard(turn, incident, ids), None) is not None}


def _undone(incident: Incident, key: str) -> bool:
    """Whether nothing came of it yet: it was not begun, or waits for another run."""
    work = incident.works.get(key)
    return work is None or work.waiting


def _full(incident: Incident, key: str = "") -> bool:
    """Whether code has been asked about as many targets as it is at all, and this is none of them."""
    return len(incident.works) >= MOST_WORKS and key not in incident.works


def _begin_next(turn: Turn, incident: Incident) -> bool:
    """Whether a run began."""
    if _full(incident) and incident.number not in turn.state.waiting:
        return False  # asked at every alert of a storm
    waiting: list[tuple[tuple[str, int, int, int], Chain, Alert]] = []
    for chain, ids in about.chains(turn, incident).items():
        wish = _turn_of(incident, chain)
        if wish is None or not _undone(incident, wish.key):
            continue
        heard = list(_heard(turn, incident, ids))
        if heard:
            alert = turn.state.alerts[_first(turn, heard)]
            waiting.append((_rank(alert, wish), chain, alert))
    by_rank = sorted(waiting, key=lambda one: one[0])
    return any(_answer(turn, incident, chain, alert.labels) for _, chain, alert in by_rank)


def _answer(turn: Turn, incident: Incident, chain: Chain, labels: Mapping[str, str]) -> bool:
    """Have the first of a chain that is let run begin. Whether one did."""
    while (wish := _turn_of(incident, chain)) is not None and _undone(incident, wish.key):
        if _full(incident, wish.key):
            return False
        begun = _try(turn, incident, wish, labels)
        if begun is None:
            return False  # its turn comes when what other runs wait for has ended
        if begun:
            _stand_by(turn, incident, chain, wish)
            return True
    return False


def _try(turn: Turn, incident: Incident, wish: Wish, labels: Mapping[str, str]) -> bool | None:
    """Begin a run, or write down why not. None: not yet, for it is only other runs that keep it, which end."""
    manifest = turn.plan.playbooks[wish.playbook]
    if wish.why:
        _not_run(turn, incident, wish, Blocked(Reason.NO_TARGET, wish.why))
        return False
    run = answering.make(turn, manifest, incident.service, dict(wish.targets), incident=incident, labels=labels)
    no = guarding.guarded(turn, manifest, run)
    if no is not None:
        others = [one for one in guarding.keepers(turn, run) if one.incident != incident.number]
        hoping = frozenset(lock for one in (*holding.at_work(turn, incident), *others) for lock in one.holds)
        later = guarding.guarded(turn, manifest, run, hoping=hoping) if hoping else no
        if later is None or (later.reason is Reason.GUARD_AT_MOST and _counted(run, others)):
            work = incident.works.get(wish.key)
            since = work.since if work is not None and work.waiting else turn.now
            held = work is not None and work.pages_until > turn.now
            if turn.now - since < holding.LONGEST or held or not others:
                turn.state.counters.run -= 1  # nobody has heard of it
                _wait(turn, incident, wish, run, others)
                return None
            no = no._replace(why=f"{no.why}, and it has waited {say_duration(turn.now - since)} for its turn")
        elif others:
            no = later  # it would not be let run after these either
    if no is not None:
        answering.refuse(turn, run, no)
        _not_run(turn, incident, wish, no, run)
        if no.reason in SO_SOON:
            queuing.give_time(turn, run, incident)
        return False
    _leave(turn, incident)  # one before it may be left: pages do not wait for this one then
    answering.begin(turn, run, incident)
    return True


def _counted(run: Run, others: list[Run]) -> bool:
    """Whether a rate counts one of these runs, which live and may come to change nothing."""
    return any(one.playbook == run.playbook for one in others)


def _wait(turn: Turn, incident: Incident, wish: Wish, run: Run, others: list[Run]) -> None:
    """It is not its turn yet. What waits for this incident's own runs is not kept as waiting: these bring it up."""
    if others:
        queuing.wait(turn, incident, wish.key, run, others[0])
    else:
        queuing.stop_waiting(turn, incident, but=incident.works.keys() - {wish.key})


def _not_run(turn: Turn, incident: Incident, wish: Wish, no: Blocked, run: Run | None = None) -> None:
    where = f" on {' and '.join(wish.names)}" if wish.names and incident.works else ""
    sentence = f"{wish.playbook} was not run{where}: {no.why}"
    answering.unsaid(incident, incident.works.get(wish.key))
    turn.enter(incident.number, sentence, no.reason)
    answering.note(incident, sentence)
    number = run.number if run is not None else 0
    incident.works = {**incident.works, wish.key: Work(wish.playbook, wish.names, number, "blocked", no.why[:200])}
    telling_targets.tell(turn, incident)
    turn.save_incident(incident)


def _stand_by(turn: Turn, incident: Incident, chain: Chain, begun: Wish) -> None:
    """Say of every other playbook that answers the same alert that it stands by, the first time."""
    if sum(one.playbook == begun.playbook for one in incident.works.values()) > 1:
        return
    for wish in chain:
        if wish.place > begun.place:
            what = f"{wish.playbook} answers this too; {begun.playbook} came first"
            turn.enter(incident.number, what, Reason.PLAYBOOK_STANDS_BY)


def _leave(turn: Turn, incident: Incident) -> None:
    """Pages wait no longer when an alert fires that nothing answers, code is done with, or that is one too many."""
    if incident.lifted is None:
        _leave_unanswered(turn, incident)
    if incident.lifted is not None or not incident.works:
        return
    live = {key_of(one.playbook, one.targets.values()) for one in holding.at_work(turn, incident)}
    if len(incident.works) < MOST_WORKS:  # what code has not been asked about has its turn yet to come
        there = about.wanting(turn, incident, incident.works)
    else:
        there = about.chains(turn, incident)
    left = [chain for chain, ids in there.items() if _is_left(turn, incident, chain, ids, live)]
    if not left:
        return
    wish = _turn_of(incident, min(left))  # one that a restart does not change
    reason, why = _left(incident, wish, incident.works.get(wish.key) if wish is not None else None)
    answering.note(incident, *([why] if why else []))
    holding.lift(turn, incident, reason, why)
    telling_targets.tell(turn, incident)


def _is_left(turn: Turn, incident: Incident, chain: Chain, ids: Set[int], live: Set[str]) -> bool:
    """Whether code is done with alerts that are heard: nothing is at it, and nobody's turn is yet to come."""
    wish = _turn_of(incident, chain)
    if not chain or (wish is not None and wish.key in live):
        return False
    if wish is not None and wish.key not in incident.works and len(incident.works) < MOST_WORKS:
        return False
    works = [work for one in chain if (work := incident.works.get(one.key)) is not None]
    if any(work.waiting or work.pages_until > turn.now for work in works):
        return False
    return next(_heard(turn, incident, ids), None) is not None


def _leave_unanswered(turn: Turn, incident: Incident) -> None:
    """An alert that no playbook answers may be a consequence of the others, and nobody knows: its page waits for none.

    But for what a person began: they know of it.
    """
    there = about.chains(turn, incident)
    if () not in there or (len(there) == 1 and not incident.works):
        return
    if incident.called and not any(run.holding and not run.by_hand for run in holding.at_work(turn, incident)):
        return
    first = min(_heard(turn, incident, there[()]), default=None)  # all of a storm: asked last
    if first is None:
        return
    title = turn.state.alerts[first].title
    said = f"No playbook answers {title}: its pages wait for code no longer"
    holding.lift(turn, incident, Reason.UNANSWERED, said)


def _leave_newcomers(turn: Turn, incident: Incident) -> None:
    """What a person began holds the pages of what they knew of: none of an alert that came after, and is not what
    their run is about, whatever its pages waited for before.
    """
    runs = [run for run in holding.at_work(turn, incident) if run.holding and run.by_hand]
    for run in runs:
        began, key, alerts = run.started_at, key_of(run.playbook, run.targets.values()), turn.state.alerts
        strange = (
            (id, Reason.LEFT_UNFIXED if chain else Reason.UNANSWERED)
            for chain, ids in about.chains(turn, incident).items()
            if not any(wish.key == key or not set(wish.holds).isdisjoint(run.holds) for wish in chain)
            for id in _heard(turn, incident, ids)
            if alerts[id].first_seen > began
        )
        first = min(strange, default=None)
        if first is not None:
            title = alerts[first[0]].title
            said = f"{title} came after {run.playbook} was begun, which is not about it: its pages wait no longer"
            run.let_go = True
            holding.lift(turn, incident, first[1], said)
            return


def _left(incident: Incident, wish: Wish | None, work: Work | None) -> tuple[Reason, str]:
    if work is not None and work.outcome == "verified":
        where = " and ".join(work.targets) or incident.service
        return Reason.FIXED_AND_BACK, f"{work.playbook} had fixed {where} (run {work.run}), and its alert fires again"
    if wish is not None and work is None:
        return Reason.LEFT_UNFIXED, f"Code has been asked about {MOST_WORKS} targets; the others are a person's"
    return Reason.LEFT_UNFIXED, ""


def tend(turn: Turn, incident: Incident) -> None:
    """Look at the runs that wait for their alerts to end, while others of the incident fire."""
    watching = [run for run in holding.at_work(turn, incident) if run.state == "watching"]
    if not watching or not turn.members(incident).firing:
        return
    found = about.fires(turn, incident)
    for run in watching:
        if about.still_fires(turn, incident, run, found):
            if run.quiet_at is not None:
                run.quiet_at = None
                turn.save_run(run)
        elif run.quiet_at is None:
            run.quiet_at = turn.now + incident.quiet
            turn.save_run(run)
            if not incident.quiet:
                answering.held(turn, run)
