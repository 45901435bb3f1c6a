"""A core that dies where it is told to: the real one of ``tocsin up``, without its supervisor and its faces.

``python -m tests.faults.node FOLDER PORT [DATABASE]`` imports everything once; for each line ``POINT MOMENT TITLE`` on
its standard input it forks a core, says ``began PID``, and ``ended STATUS`` when that core has ended. The core kills
itself with SIGKILL when a page of that title comes by the point; ``- - -`` lets it live.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import tocsin.pages.channels.matrix_client
import tocsin.pages.channels.slack_app
import tocsin.pages.channels.smtp
import tocsin.pages.channels.telegram_bot
import tocsin.pages.channels.terminal
import tocsin.pages.channels.twilio
import tocsin.runtime.core
import tocsin.runtime.first_run
import tocsin.runtime.outbound
import tocsin.store.postgres
import tocsin.store.sqlite  # noqa: F401  # all of these are imported here so that no core has to
from tocsin.engine.state import Changes
from tocsin.pages.ledger import Page
from tocsin.runtime import points
from tocsin.runtime.points import Point
from tocsin.runtime.supervisor import die_with_parent
from tocsin.settings import Settings
from tocsin.store.opening import needs_migration, url_for
from tocsin.wiring import plugs
from tocsin.wiring.core import core
from tocsin.wiring.node import migrated, run


def killing(point: Point, moment: str, title: str) -> Callable[[Point, object], None]:
    """Something that ends the process when a page of that title comes by.

    ``moment``: whether the commit holds the page's ``intent`` or its ``outcome``; "-" where there is but one. ``run3``:
    at the third commit that holds something of the run that answers an alert of that title.
    """
    if moment.startswith("run"):
        return _killing_a_run(point, int(moment.removeprefix("run")), title)

    def concerns(about: object) -> bool:
        if isinstance(about, Page):
            return about.title == title
        assert isinstance(about, Changes)
        if moment == "intent":
            return any(page.title == title for page in about.deliver.values())
        return any(page.title == title and page.attempts for page in about.pages.values())

    def passed(at: Point, about: object) -> None:
        if at is point and concerns(about):
            os.kill(os.getpid(), signal.SIGKILL)

    return passed


def _killing_a_run(point: Point, nth: int, title: str) -> Callable[[Point, object], None]:
    mine: set[int] = set()
    left = nth

    def passed(at: Point, about: object) -> None:
        nonlocal left
        if at is not point or not isinstance(about, Changes):
            return
        mine.update(run.number for run in about.runs.values() if run.labels.get("alertname") == title)
        if mine & (about.runs.keys() | {run for run, _ in about.steps}):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return passed


def main() -> None:
    """Fork cores until standard input ends."""
    folder, port, *more = sys.argv[1:]
    settings = Settings(
        data=Path(folder, "data"), plan=Path(folder, "plan"), port=int(port), database=more[0] if more else ""
    )
    settings.data.mkdir(exist_ok=True)
    plugs.sources()
    plugs.probes(settings.secret)
    url = url_for(settings.data, settings.database)
    if needs_migration(url):
        migrated(url, lambda text: print(text, file=sys.stderr))
    parent = os.getpid()
    for line in sys.stdin:
        point, moment, title = line.rstrip("\n").split(" ", 2)
        pid = os.fork()
        if not pid:
            die_with_parent(parent)
            os.dup2(2, 1)
            if point != "-":
                points.passed = killing(Point(point), moment, title)
            os._exit(run(core(settings), settings))
        print(f"began {pid}", flush=True)
        print(f"ended {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}", flush=True)


if __name__ == "__main__":
    main()
