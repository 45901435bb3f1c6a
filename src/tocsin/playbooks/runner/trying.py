"""A dry run: the diagnosis for real, in a process as any run's, up to the first thing that would change something."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tocsin.kernel.instant import Duration
from tocsin.playbooks.manifest import confinement_of
from tocsin.playbooks.run import Began, Report
from tocsin.playbooks.runner.pool import Pool
from tocsin.playbooks.session import Go, Start, Stop


async def dry_run(
    files: Mapping[str, bytes], start: Start, cpu: Duration, told: Callable[[Report], None], hidden: Sequence[Path]
) -> tuple[int, str]:
    """Carry a run out and tell what it reports; a fix or a question is told and ends it.

    ``hidden``: what a confined one never sees. Returns the process's status and what it printed, without secrets.
    Raises runner.pool.Unstartable, or confinement.Unconfined: it is confined as a run is, or not begun.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-dry-run-") as place:
        pool = Pool(Path(place), f"dry-run-{os.getpid()}", hidden)
        try:
            process = await pool.begin(files, 1, 1, cpu, confinement_of(files, start.playbook))
            await process.start(start)
            while (report := await process.report()) is not None:
                told(report)
                if isinstance(report, Began):
                    await process.reply(Go(report.within) if report.verb == "verify" else Stop("a dry run"))
            status, output, _ = await process.ended()
            process.close()
            return status, pool.clean(output, start.urls)
        finally:
            await pool.close()
