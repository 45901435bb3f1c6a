"""checkout's log folder is full: delete the old debugging logs, which the plan lets go; else call someone."""

from __future__ import annotations

from tocsin import Run, at_most, playbook, trust
from tocsin.library import disk

ENOUGH = 10_000_000


@playbook(
    name="clear-debug-logs",
    answers=['alertname="ProbeDiskFailed"', 'probe="log-folder"'],
    guards=[at_most(3, per="1h")],
    trust=trust(start="act"),
    hand_over_after="1m",
)
def clear_debug_logs(run: Run, folder: disk.Folder) -> None:
    """Delete old debugging logs, the two newest excepted."""
    before = run.look(disk.usage, folder)
    grown = run.look(disk.growth, folder, over="500ms")
    may_go = run.look(disk.preview, folder, older_than="1s", keep=2)
    if not may_go.files:
        run.hand_over(
            "nothing in it may be deleted", before, grown, may_go, next="end what writes there, or give it more room"
        )
    run.fix(disk.delete, folder, may_go.files)
    run.verify(disk.usage, folder, within="10s", every="500ms", until=lambda now: now.size < ENOUGH)
