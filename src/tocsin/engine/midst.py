"""What code left in the midst of a change is a person's until somebody said so: whatever incident comes about it.

A run that is over keeps what it left with itself (``Run.in_midst``), so that no restart, no end of its incident and no
run that comes after forgets it. Here is who asks for it, and what settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tocsin.engine.standings import incident_of, short
from tocsin.engine.turn import SYSTEM, Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, say_duration
from tocsin.kernel.reason import Reason
from tocsin.playbooks.left import Left
from tocsin.playbooks.run import REMEMBERED, Run, Step


def left_on(turn: Turn, run: Run) -> list[Run]:
    """The runs that left what this one would change in the midst of a change, the newest first."""
    if not turn.state.in_midst:
        return []
    locks = frozenset(turn.plan.bindings.alike(run.holds))  # few are left so, and many may have run there
    newest = (turn.state.runs[number] for number in sorted(turn.state.in_midst, reverse=True))
    return [one for one in newest if not locks.isdisjoint(one.holds)]


def counted(turn: Turn) -> dict[str, int]:
    """The locks that ``blast_radius`` counts as being changed still, and the run that left each so: until its incident
    is over.
    """
    found: dict[str, int] = {}
    for run in _while_open(turn, sorted(turn.state.in_midst)):
        found |= dict.fromkeys(turn.plan.bindings.alike(run.locks), run.number)
    return found


def concerns(turn: Turn, run: Run) -> Run | None:
    """The run because of which one asks before its fix: the newest that left something of the same incident, or what
    this one would change, in the midst of a change. Who begins a run by hand knows what they do.
    """
    if run.by_hand:
        return None
    own = next(iter(left_on(turn, run)), None)
    if own is not None:
        return own
    newest = sorted(turn.state.in_midst, reverse=True) if run.incident else ()
    theirs = (number for number in newest if turn.state.runs[number].incident == run.incident)
    return next(_while_open(turn, theirs), None)


def _while_open(turn: Turn, numbers: Iterable[int]) -> Iterator[Run]:
    for number in numbers:
        run = turn.state.runs[number]
        incident = incident_of(turn, run)
        if not run.incident or (incident is not None and incident.open):
            yield run


def said(run: Run) -> str:
    """What a run left, as a sentence without its end."""
    return f"run {run.number} left {_where(run)} in the midst of a change that nothing verified"


def _where(run: Run) -> str:
    return " and ".join(run.targets.values()) or run.service


def how_to_end(run: Run) -> str:
    """What a person can do about it, as a sentence."""
    it = run.number
    return (
        f"To end that: continue, repeat or take over run {it}, run a playbook by hand on {_where(run)}, or, once you"
        f" have looked, give it back (tocsin playbook give-back {it})"
    )


def asks_because(turn: Turn, run: Run) -> bool:
    """Whether a run has to ask before its fix, whatever it is trusted with; it keeps why among its findings."""
    left = concerns(turn, run)
    if left is not None:
        run.find(f"It asks because {said(left)}")
        run.find(how_to_end(left))
    return left is not None


def unsure(steps: Iterable[Step], run: Run) -> tuple[str, ...]:
    """Which fixes may have been done, and nobody knows, as a run ends: its own that began or failed, and those of runs
    before it that it never came to. Of one that doing twice is as good as once it does not matter.
    """
    fixes = [one for one in steps if one.may_have_changed and not one.idempotent]
    own = [f"{one.function} {one.digest}" for one in fixes if one.state in ("begun", "failed")]
    done = {f"{one.function} {one.digest}" for one in fixes if one.state == "done"}
    return (*own, *(one for one in run.wary if one not in done and one not in own))


def inherit(turn: Turn, run: Run) -> None:
    """A run that was to go on with another one is over and has verified nothing: what that one left is this one's to
    tell of. Who had it go on reads why it did not, and has said nothing else.
    """
    left = turn.state.runs.get(run.continues)
    if left is not None and left.unproven and run.verified_at is None:
        run.unproven = True


def doubted(turn: Turn, run: Run) -> tuple[str, ...]:
    """Fixes that were left so on what a run would change: their probe is asked first whether they were done."""
    return tuple(identity for one in left_on(turn, run) for identity in one.unsure)


def may_have_done(turn: Turn, run: Run, identity: str) -> Run | None:
    """The run that may have done this fix there already, and nobody knows. Who begins it by hand says that it may be
    done again. Where the system has another name for that run, so have the arguments: any such fix counts.
    """
    function, names = identity.partition(" ")[0], set(run.targets.values())
    for one in () if run.by_hand else left_on(turn, run):
        alike = set(one.targets.values()) != names and any(of.partition(" ")[0] == function for of in one.unsure)
        if alike or identity in one.unsure:
            return one
    return None


# -- what changed nothing ----------------------------------------------------------------------------------------------


def not_begun(turn: Turn, run: Run) -> None:
    """A fix was let begin, and its process was never told so: it was not done, and is no work of the playbook's."""
    for step in turn.state.steps.get(run.number, {}).values():
        if step.verb == "fix" and step.state == "begun" and step.attempt == run.attempt:
            step.state, step.ended_at = "skipped", turn.now
            _counts_not(turn, run, step)
            run.find(f"{short(step.function)}({step.shown}) was not begun")
    run.prove(turn.state.steps.get(run.number, {}).values())


def refused(turn: Turn, run: Run, step: Step) -> None:
    """A fix was let begin, and refused before it had changed anything."""
    step.undone = True
    _counts_not(turn, run, step)
    run.prove(turn.state.steps[run.number].values())


def _counts_not(turn: Turn, run: Run, step: Step) -> None:
    turn.save_step(step)
    run.fixes -= 1
    if (incident := incident_of(turn, run)) is not None:
        incident.fixes = max(0, incident.fixes - 1)
        turn.save_incident(incident)


# -- what settles it ---------------------------------------------------------------------------------------------------


def _covered(turn: Turn, by: Run) -> list[Run]:
    """What was left on nothing but what a run holds."""
    locks = frozenset(turn.plan.bindings.alike(by.holds))
    return [one for one in left_on(turn, by) if locks.issuperset(one.holds)]


def goes_on(turn: Turn, by: Run, who: str, *, since: bool = False) -> None:
    """A person works there: they begin a run, or take one over. Who has one go on that is in doubt about the same, and
    does not say that it is to be done again, has settled nothing by that. ``since``: this was some time ago, and what
    was left after it is not meant.
    """
    doubt = frozenset(by.wary if by.continues and not by.taken_by else ())
    for one in _covered(turn, by):
        if doubt.isdisjoint(one.unsure) and (one.number < by.number or not since):
            _settle(turn, one, who)


def made_good(turn: Turn, by: Run) -> None:
    """A run came to its end, and a verification held after all it changed: what a person let be changed is known to be
    whole, and so is what the same playbook left there, when all that was in doubt is known to be done. A verification
    before that, or of a run that changed nothing, may as well have asked whether there is anything to do.
    """
    if by.unproven or by.verified_at is None or not by.fixes:
        return
    steps = turn.state.steps.get(by.number, {}).values()
    done = {f"{one.function} {one.digest}" for one in steps if (one.verb, one.state) == ("fix", "done")}
    for one in _covered(turn, by):
        own = by.playbook == one.playbook and done.issuperset(one.unsure)
        if one.number < by.number and (by.approved_by or own):
            _settle(turn, one, f"run:{by.number}")


def resolved(turn: Turn, incident: Incident) -> None:
    """An incident is over. A person who says so says it of what code left there, too."""
    if incident.resolved_by == SYSTEM:
        return
    for number in sorted(turn.state.in_midst):
        if turn.state.runs[number].incident == incident.number:
            _settle(turn, turn.state.runs[number], _resolved(incident))


def _resolved(incident: Incident) -> str:
    return f"incident:{incident.number}"


def here_still(turn: Turn, incident: Incident) -> None:
    """An incident is to be opened again. When an alert fires still that fired when somebody resolved it, it was put off
    and not over, and neither is what code left there.
    """
    since = incident.resolved_at
    if since is None or incident.resolved_by == SYSTEM:
        return
    firing = (turn.state.alerts[id] for id in turn.members(incident).firing)
    if any(one.first_seen <= since for one in firing):
        for run in [one for one in turn.state.runs.values() if one.settled_by == _resolved(incident)]:
            _settle(turn, run, "")


def of_before(turn: Turn) -> None:
    """Runs that an older version wrote get which of their fixes nobody knows, and what people said of them since.

    Of an incident that is forgotten it is not known who resolved it: then only what is in doubt counts on.
    """
    left = [turn.state.runs[number] for number in sorted(turn.state.in_midst)]
    for run in left:
        run.unsure = run.unsure or unsure(turn.state.steps.pop(run.number, {}).values(), run)
        turn.save_run(run)
    for run in left:
        incident = incident_of(turn, run)
        if incident is None:
            said = "time" if run.incident and not run.unsure else ""
        else:
            said = "" if incident.open or incident.resolved_by == SYSTEM else _resolved(incident)
        if said:
            _settle(turn, run, said)
    for by in [turn.state.runs[number] for number in sorted(turn.state.runs) if turn.state.runs[number].by_hand]:
        goes_on(turn, by, by.by, since=True)


def given_back(turn: Turn, run: Run, who: str) -> bool:
    """A person has looked, and code may work there again. Answers whether there was anything to say that of."""
    if not run.in_midst:
        return False
    _settle(turn, run, who)
    return True


def _settle(turn: Turn, run: Run, who: str) -> None:
    run.settled_by = who
    turn.save_run(run)


def keeps(turn: Turn, run: Run) -> bool:
    """Whether a run that was over long ago is kept in mind, because its incident is open still: look again in a day.
    Else what it left counts no more, and is not shown to.
    """
    incident = incident_of(turn, run)
    if not run.in_midst:
        return False
    if incident is None or not incident.open:
        run.settled_by = "time"
        return False
    run.kept_until = turn.now + DAY
    turn.save_run(run)
    return True


# -- what people read --------------------------------------------------------------------------------------------------


def tell(turn: Turn, run: Run) -> None:
    """A run is over: whether it left something in the midst of a change, and until when that counts."""
    if run.in_midst and run.incident:
        what = (
            f"{_where(run)} was left in the midst of a change: code asks before it changes it again, until a person"
            f" continues, repeats, takes over or gives back run {run.number}, runs a playbook there, or resolves the"
            f" incident, or until {run.playbook} verifies it; at the latest when {say_duration(REMEMBERED)} have passed"
            " and the incident is over"
        )
        turn.enter(run.incident, what, Reason.LEFT_IN_MIDST, run=str(run.number))


def shown(turn: Turn, run: Run) -> Iterator[Left]:
    """The same beside a playbook's guards."""
    for one in left_on(turn, run)[:1]:
        incident = incident_of(turn, one)
        over = incident is None or not incident.open
        yield Left(
            kind="midst",
            now=f"{said(one)}: it asks before each fix there. {how_to_end(one)}",
            until=one.due() if over else None,
            then="forgotten" if over else "",
        )
