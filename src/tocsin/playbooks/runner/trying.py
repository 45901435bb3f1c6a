"""A dry run: the diagnosis for real, in a process as any run's, up to the first thing that would change something."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tocsin.kernel.instant import SECOND, Duration, say_duration
from tocsin.playbooks.manifest import confinement_of
from tocsin.playbooks.run import Began, GaveUp, Looking, Report
from tocsin.playbooks.runner.pool import Pool, Process
from tocsin.playbooks.session import Go, Start, Stop


async def dry_run(
    files: Mapping[str, bytes], start: Start, patience: Duration, told: Callable[[Report], None], hidden: Sequence[Path]
) -> tuple[int, str]:
    """Carry a run out and tell what it reports; a fix or a question is told and ends it, and so does ``patience``.

    ``hidden``: what a confined one never sees. Returns the process's status and what it printed, without secrets.
    Raises runner.pool.Unstartable, or confinement.Unconfined: it is confined as a run is, or not begun.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-dry-run-") as place:
        pool = Pool(Path(place), f"dry-run-{os.getpid()}", hidden)
        try:
            process = await pool.begin(files, 1, 1, patience, confinement_of(files, start.playbook))
            last: list[Report] = []

            def heard(report: Report) -> None:
                last[:] = [report]
                told(report)

            try:
                async with asyncio.timeout(patience / SECOND):
                    await _carried(process, start, heard)
            except TimeoutError:
                pool.kill(1, 1)
                told(GaveUp("killed", f"it did not end within {say_duration(patience)}{_where(last)}"))
            status, output, _ = await process.ended()
            process.close()
            return -signal.SIGKILL if status is None else status, pool.clean(output, start.urls)
        finally:
            await pool.close()


async def _carried(process: Process, start: Start, told: Callable[[Report], None]) -> None:
    await process.start(start)
    while (report := await process.report()) is not None:
        told(report)
        if isinstance(report, Began):
            await process.reply(Go(report.within) if report.verb == "verify" else Stop("a dry run"))


def _where(last: Sequence[Report]) -> str:
    """In which step it was by what it told last, as the end of a sentence; "" between two."""
    for one in last:
        if isinstance(one, Looking) and not one.ordinal:
            return ": it came to no step"
        if isinstance(one, Looking) or (isinstance(one, Began) and one.verb == "verify"):
            verb = "look" if isinstance(one, Looking) else "verification"
            return f": it was in its {verb} {'.'.join(one.function.rsplit('.', 2)[-2:])}({one.shown})"
    return ""
