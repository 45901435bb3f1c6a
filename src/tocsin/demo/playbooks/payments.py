"""payments does not answer: end a process that hangs, so that its supervisor starts another; else call someone."""

from __future__ import annotations

from tocsin import Run, at_most, playbook, trust
from tocsin.library import process


@playbook(
    name="restart-payments",
    answers=['alertname="ProbeHttpFailed"', 'probe="health"'],
    guards=[at_most(3, per="1h")],
    trust=trust(start="act"),
    hand_over_after="1m",
)
def restart_payments(run: Run, server: process.Process) -> None:
    """End a payments that hangs, and see that the next one answers."""
    before = run.look(process.state, server)
    if not before.running:
        run.hand_over(
            "there is no process to restart, and its supervisor has not started one", before,
            next="read why payments ended, then start it: its supervisor has given up",
        )  # fmt: skip
    answer = run.look(process.answering, server, within="1s")
    if answer.answers:
        run.hand_over(
            "it answers now, so a restart would only lose work", before, answer,
            next="see whether its health comes and goes: a restart is not the cure for that",
        )  # fmt: skip
    run.fix(process.stop, server, before.pid, before.started, grace="2s")
    run.verify(
        process.answering, server, within="20s", every="200ms",
        until=lambda now: now.answers and now.pid != before.pid,
    )  # fmt: skip
