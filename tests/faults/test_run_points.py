"""kill -9 at every commit of a run, enumerated: a change that may not be repeated is made once at most, or handed over.

Before a commit everything that the one before it let begin may have happened; after one, nothing it lets begin has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.test_points import Node
from tests.support.waiting import eventually
from tocsin.playbooks.run import Run
from tocsin.runtime.points import Point
from tocsin.store.reads import Reads, open_engine

pytestmark = pytest.mark.faults

MOST = 12
"""More commits than a run of three steps has."""
POINTS = (Point.WRITING, Point.WRITTEN) if int(os.environ.get("TOCSIN_KILLS", "10")) >= 100 else (Point.WRITING,)
"""``make faults`` dies after each commit too: in virtual time ``tests/playbooks`` always does."""
CONFINED = (False, True) if len(POINTS) > 1 else (False,)
"""``make faults`` does it again with runs that bubblewrap confines: they are forked, killed and begun again alike."""
HEAD = """
tocsin: 1
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 1h}]}
services:
  inbox: {escalation: shop, keys: {in: {source: events, secret: "secret:in"}}}
"""
SERVICE = """
  NAME:
    escalation: shop
    playbooks: [once]
    targets: {disk: {kind: disk, look with: "secret:NAME", fix with: "secret:NAME"}}
"""
CODE = '''
from pathlib import Path

from tocsin import Run, Target, confine, fix, look, playbook, trust


class Disk(Target, frozen=True):
    kind = "disk"


@look
def lines(disk: Disk) -> int:
    path = Path(disk.credential)
    return len(path.read_text().splitlines()) if path.exists() else 0


@fix
def write(disk: Disk) -> None:
    with Path(disk.credential).open("a") as opened:
        opened.write("written\\n")


@playbook(name="once", answers=['alertname=~"writ.+"'], trust=trust(start="act"), confine=CONFINED)
def once(run: Run, disk: Disk) -> None:
    run.look(lines, disk)
    run.fix(write, disk)
    run.verify(lines, disk, until=lambda now: now >= 1, within="5s")
'''


def services(point: Point) -> list[str]:
    """One for each place to die at: trust and locks of one do not meet those of another."""
    return [f"{point}-{nth}" for nth in range(1, MOST + 1)]


@pytest.fixture
def node(tmp_path: Path, point: Point, confined: bool) -> Iterator[Node]:
    names = services(point)
    routes = "\n".join(f"  - {{match: ['alertname=~\"{name}(-again)?\"'], service: {name}}}" for name in names)
    plan = HEAD + "".join(SERVICE.replace("NAME", name) for name in names) + "routes:\n" + routes + "\n"
    (tmp_path / "plan" / "playbooks").mkdir(parents=True)
    (tmp_path / "plan" / "tocsin.yaml").write_text(plan)
    (tmp_path / "plan" / "playbooks" / "files.py").write_text(
        CODE.replace("CONFINED", f"confine(write=[{str(tmp_path)!r}])" if confined else "None")
    )
    (tmp_path / "data" / "secrets").mkdir(parents=True)
    for name in names:
        (tmp_path / "data" / "secrets" / name).write_text(str(tmp_path / f"disk-{name}"))
    running = Node(tmp_path, None)
    yield running
    running.close()
    print((tmp_path / "node.log").read_text()[-4000:])


def lives(core: int) -> bool:
    """Whether a core lives beyond the commit that was just read: it dies right behind one, or not at all."""
    try:
        psutil.Process(core).wait(timeout=1)
    except psutil.TimeoutExpired:
        return True
    except psutil.NoSuchProcess:
        pass
    return False


@pytest.mark.parametrize("confined", CONFINED)
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_every_commit_changes_things_once_at_most_or_calls_a_person(
    node: Node, point: Point, confined: bool, tmp_path: Path
) -> None:
    reads = Reads(open_engine(node.url))

    def run_of(name: str) -> Run | None:
        return next(iter(reads.runs(service=name).items), None)

    def number_of(name: str) -> int:
        run = run_of(name)
        return run.number if run is not None else 0

    def over(name: str) -> bool:
        run = run_of(name)
        return run is not None and (run.state == "watching" or not run.live)

    killed: list[str] = []
    for nth, name in enumerate(services(point), 1):
        node._tell(f"{point} run{nth} {name}")
        if killed:
            if run_of(killed[-1]) is None:
                assert node.send(killed[-1])  # it died before it could answer; its sender says it again
            eventually(lambda: over(killed[-1]), within=40, what=f"the run of {killed[-1]} to end")
        if not node.send(name):
            killed.append(name)
            node.died()
            continue
        eventually(lambda: over(name) or not psutil.pid_exists(node.core), within=40, what=f"{name} to end")  # noqa: B023
        if over(name) and lives(node.core):
            break  # there was no further commit of its run to die at
        killed.append(name)
        node.died()
    assert 6 <= len(killed) < MOST, killed
    came_to = {}
    for name in killed:
        if run_of(name) is None:
            assert node.send(name)
            eventually(lambda: over(name), within=40, what=f"the run of {name} to end")  # noqa: B023
        run = run_of(name)
        assert run is not None
        disk = tmp_path / f"disk-{name}"
        written = len(disk.read_text().splitlines()) if disk.exists() else 0
        came_to[name] = (run.outcome or run.state, written)
        assert written <= 1, f"{name}: changed twice"
        assert (run.state == "watching" and written == 1) or run.outcome == "handed_over", f"{name}: {run}"
    print(came_to)
    handed_over = [name for name, (outcome, _) in came_to.items() if outcome == "handed_over"]
    assert 1 <= len(handed_over) <= 2, f"only where nobody can know whether it was done: {came_to}"
    for name in handed_over:  # another incident comes about the same disk
        first, _ = number_of(name), node.send(f"{name}-again")  # the row itself may change as the incident comes
        eventually(lambda: number_of(name) != first and over(name), within=40, what=f"{name} again to end")  # noqa: B023
        run = run_of(name)
        assert run is not None and run.outcome == "handed_over" and "may have done it already" in run.why, run
        disk = tmp_path / f"disk-{name}"
        written = len(disk.read_text().splitlines()) if disk.exists() else 0
        assert written == came_to[name][1], f"{name}: changed again"
