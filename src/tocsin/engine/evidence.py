"""What is kept with a run for whoever takes over: what probes measured around it, and what is suggested next."""

from __future__ import annotations

from tocsin.engine.standings import short
from tocsin.engine.turn import Turn
from tocsin.playbooks.evidence import AFTER, BEFORE
from tocsin.playbooks.run import Run, Sampled, Step


def sampled(turn: Turn, run: Run, told: Sampled) -> None:
    """Keep what was measured among the run's steps. One that is over keeps its steps in the tables alone."""
    row = Step(
        run=run.number,
        ordinal=BEFORE if told.before else AFTER,
        verb="look",
        function="probes",
        digest="",
        state="done",
        began_at=turn.now,
        ended_at=turn.now,
        result=told.series,
    )
    if run.live:
        turn.save_step(row)
    else:
        turn.changes.steps[row.run, row.ordinal] = row
    run.readings = told.readings or run.readings
    turn.save_run(run)


def advice(turn: Turn, run: Run) -> str:
    """What to do next; where the playbook suggests nothing itself, as far as that can be said without it."""
    if run.advice:
        return run.advice
    where = ", ".join(run.targets.values()) or run.service
    steps = turn.state.steps.get(run.number, {}).values()
    begun = next((one for one in steps if (one.verb, one.state) == ("fix", "begun")), None)
    if begun is not None:
        return f"See first on {where} whether {short(begun.function)}({begun.shown}) was done: it had begun"
    if run.unproven:
        return f"Look at {where} first: what code changed there was not seen to help"
    manifest = turn.plan.playbooks.get(run.playbook)
    if run.broke and not run.fixes and manifest is not None and manifest.about:
        return f"Nothing was changed; by hand, this is what it is there for: {manifest.about}"
    if run.fixes:
        return f"Look beyond {where}: what code changed there was seen to hold, and the trouble is not over"
    return f"Go on by hand from what was found on {where}: code changed nothing there"
