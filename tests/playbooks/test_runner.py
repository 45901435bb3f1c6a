"""Real processes: what playbooks may do to them, and what is said of it. One pool for all, no server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import eventually
from tocsin.playbooks.language import About
from tocsin.playbooks.run import Began, Finished, GaveUp, Looking, Report, Returned, Step
from tocsin.playbooks.runner.bounds import MARK, MOST_MEMORY, end_marked
from tocsin.playbooks.runner.child import redacted, secret_parts
from tocsin.playbooks.runner.pool import Pool, Process
from tocsin.playbooks.session import Go, Start, Stop, Wait

CODE = b'''
import os, subprocess, sys, threading, time
from pathlib import Path
from tocsin import Run, Target, fix, look, playbook

class Box(Target, frozen=True):
    kind = "box"

@look
def secret(box: Box) -> str:
    print("the password is", box.credential, flush=True)
    return f"connected with {box.credential}"

@look
def environment(box: Box) -> dict[str, str]:
    return dict(os.environ)

@look
def forks(box: Box, where: str) -> int:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    stray = subprocess.Popen(["setsid", "--fork", sys.executable, "-c",
        f"import os,time; open({where!r}, 'w').write(str(os.getpid())); time.sleep(600)"])
    until = time.monotonic() + 10
    while not (Path(where).exists() and Path(where).read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    return child.pid

@look
def floods(box: Box) -> int:
    while True:
        os.write(1, b"x" * 65536)

@look
def never(box: Box) -> int:
    while True:
        time.sleep(0.01)

@look
def large(box: Box) -> str:
    return "x" * 1_000_000

@look
def dies(box: Box) -> int:
    os._exit(3)

@look
def kills(box: Box, whom: str) -> int:
    inner = os.getppid()
    outer = int(Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(inner, 0)  # whether it is there may be asked
    match whom:
        case "inner":
            os.kill(inner, 9)
        case "outer":
            os.kill(outer, 15)
        case "group":
            os.killpg(os.getpgid(inner), 9)
        case "negative":
            os.kill(-os.getpgid(inner), 9)
        case "all":
            os.kill(-1, 9)
    own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    os.killpg(own.pid, 9)
    return own.wait()

@look
def sees(box: Box) -> int:
    return 7

@fix
def change(box: Box, by: int) -> str:
    return box.credential

@playbook(name="tells-secret")
def tells_secret(run: Run, box: Box) -> None:
    said = run.look(secret, box)
    run.hand_over(said)

@playbook(name="changes")
def changes(run: Run, box: Box) -> None:
    try:
        run.fix(change, box, by=run.look(sees, box))
    except Exception:
        pass
    run.verify(sees, box, until=lambda now: now == 7, within="1s")

@playbook(name="looks-with-a-fix")
def looks_with_a_fix(run: Run, box: Box) -> None:
    run.look(change, box, by=1)

@playbook(name="calls-a-fix")
def calls_a_fix(run: Run, box: Box) -> None:
    change(box, by=1)

@playbook(name="lambda")
def sends_a_lambda(run: Run, box: Box) -> None:
    run.look(forks, box, lambda: 1)

@look
def interrupts(box: Box) -> int:
    raise KeyboardInterrupt

class Own(BaseException):
    pass

@playbook(name="owns")
def owns(run: Run, box: Box) -> None:
    run.look(sees, box)
    raise Own(box.name)

@playbook(name="swallows")
def swallows(run: Run, box: Box) -> None:
    while True:
        try:
            run.fix(change, box, by=1)
        except BaseException:
            run.verify(sees, box, until=lambda now: False, within="1s")

def one(name, function, *more):
    @playbook(name=name)
    def body(run: Run, box: Box) -> None:
        run.look(function, box, *more)
    body.__name__ = body.__qualname__ = name.replace("-", "_")
    return body

for name, function in (("environment", environment), ("floods", floods), ("never", never), ("large", large),
                       ("dies", dies), ("interrupts", interrupts)):
    one(name, function)
for whom in ("inner", "outer", "group", "negative", "all", "own"):
    one(f"kills-{whom}", kills, whom)
one("forks", forks, os.environ.get("HOME", "/tmp") + "/stray")
'''


@pytest.fixture
async def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setenv("TOCSIN_SECRET_CART", "do not pass this on")
    made = Pool(tmp_path / "pool", f"test-{os.getpid()}-{tmp_path.name}")
    yield made
    await made.close()


class Told:
    """What one run said, and how its process ended."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.looks: list[Looking] = []
        self.status: int | None = 0
        self.output = ""
        self.flooded = False

    @property
    def last(self) -> Report:
        return self.reports[-1]

    @property
    def why(self) -> str:
        assert isinstance(self.last, GaveUp)
        return self.last.why


async def begun(
    pool: Pool, playbook: str, number: int = 1, recorded: tuple[Step, ...] = (), code: bytes = CODE
) -> Process:
    process = await pool.begin({"playbooks/box.py": code}, number, 1, 60_000_000)
    about = About(service="cart", incident=1)
    urls = {"main": "redis://reader:pa55word@host/0"}
    await process.start(Start(playbook, about, {"box": "main"}, {}, urls, recorded))
    return process


async def came_to(process: Process) -> Report | None:
    """What it says next, but for where it is."""
    while isinstance(report := await asyncio.wait_for(process.report(), 20), Looking):
        pass
    return report


async def carried(pool: Pool, playbook: str, *replies: Go | Stop | Wait, recorded: tuple[Step, ...] = ()) -> Told:
    process, told, answers = await begun(pool, playbook, recorded=recorded), Told(), list(replies)
    while (report := await asyncio.wait_for(process.report(), 20)) is not None:
        if isinstance(report, Looking):
            told.looks.append(report)
            continue
        told.reports.append(report)
        if isinstance(report, Began):
            await process.reply(answers.pop(0))
    told.status, told.output, told.flooded = await asyncio.wait_for(process.ended(), 20)
    process.close()
    return told


GO = Go(5_000_000, {"main": "redis://writer:s3cretword@host/0"})


async def test_a_secret_is_in_no_report_and_the_environment_is_its_own(pool: Pool) -> None:
    told = await carried(pool, "tells-secret")
    assert "•••" in told.why and "pa55word" not in repr(told.reports)
    assert pool.clean(told.output, {"main": "redis://reader:pa55word@host/0"}) == "the password is •••\n"
    seen = await carried(pool, "environment")
    found = seen.reports[0]
    assert isinstance(found, Finished) and "do not pass" not in found.result and MARK in found.result


def test_a_secret_is_found_however_it_is_written() -> None:
    secret = 'redis://u:p%22a%5Css%20word@h/0'
    known = sorted(secret_parts([secret]), key=len, reverse=True)
    for text in (secret, 'p"a\\ss word', json.dumps({"a": 'p"a\\ss word'}), repr(['p"a\\ss word']), json.dumps(secret)):
        assert "ss" not in redacted(text, known), text


async def test_a_fix_has_its_credential_only_with_its_go(pool: Pool) -> None:
    told = await carried(pool, "changes", GO, GO)
    kinds = [type(one).__name__ for one in told.reports]
    assert kinds == ["Finished", "Began", "Finished", "Began", "Finished", "Returned"]
    fixed = told.reports[2]
    assert isinstance(fixed, Finished) and fixed.ok and fixed.result == '"•••"'
    stopped = await carried(pool, "changes", Stop("no"))
    assert [type(one).__name__ for one in stopped.reports] == ["Finished", "Began"]
    assert stopped.status == 0


async def test_no_except_of_a_playbook_goes_on_after_a_stop(pool: Pool) -> None:
    told = await carried(pool, "swallows", Stop("no"))
    assert [type(one).__name__ for one in told.reports] == ["Began"]


@pytest.mark.parametrize(
    ("playbook", "why"),
    [
        ("looks-with-a-fix", "Misused: run.look takes what is declared with @look, not the fix"),
        ("calls-a-fix", "change changes something: write run.fix(change, …)"),
        ("lambda", "is a function, and functions do not cross processes"),
        ("large", "1,000,002 bytes, at most 262,144 are written down"),
        ("nowhere", "the plan's code as it was laid out has no nowhere"),
    ],
)
async def test_what_cannot_be_meant_is_handed_over_in_words(pool: Pool, playbook: str, why: str) -> None:
    told = await carried(pool, playbook)
    assert why in told.why


async def test_a_record_that_does_not_fit_is_handed_over(pool: Pool) -> None:
    step = Step(run=1, ordinal=1, verb="look", function="elsewhere.sees", digest="x", state="done", began_at=0)
    told = await carried(pool, "changes", recorded=(step,))
    assert isinstance(told.last, GaveUp) and told.last.kind == "strayed"
    assert told.why.endswith("step 1 was look box.sees; the record says look elsewhere.sees")


async def test_what_it_started_ends_with_it(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "stray"
    code = CODE.replace(b'os.environ.get("HOME", "/tmp") + "/stray"', repr(str(where)).encode())
    process = await begun(pool, "forks", code=code)
    report = await came_to(process)
    assert isinstance(report, Finished) and report.ok
    children = [int(report.result), int(where.read_text())]
    await asyncio.wait_for(process.ended(), 20)
    process.close()
    await asyncio.to_thread(eventually, lambda: not any(_runs(pid) for pid in children), what="both to be gone")


async def test_it_prints_without_end_and_harms_nobody(pool: Pool) -> None:
    told = await carried(pool, "floods")
    assert told.flooded and told.status == -signal.SIGKILL
    assert len(told.output) < 20_000 and "bytes left out" in told.output
    begun, look = told.looks
    assert begun.ordinal == 0, "it says that it has begun before it comes to a step"
    assert look.function.endswith("floods") and look.shown == "main", "and it said where it was"


async def test_a_process_that_dies_says_how(pool: Pool) -> None:
    assert (await carried(pool, "dies")).status == 3
    # What no signal can have raised, and no `except Exception` catches, has a place as any other.
    for playbook, why in (("interrupts", "KeyboardInterrupt (box.py:"), ("owns", "Own: main (box.py:")):
        told = await carried(pool, playbook)
        assert told.why.startswith(f"it ended its process by {why}") and told.status == 0


async def test_it_is_ended_when_told_when_its_line_ends_and_with_its_zygote(pool: Pool) -> None:
    process = await begun(pool, "never", 1)
    pool.kill(1, 1)
    assert (await asyncio.wait_for(process.ended(), 10))[0] == -signal.SIGKILL
    process.close()
    hung_up = await begun(pool, "never", 2)
    hung_up.close()
    assert (await asyncio.wait_for(hung_up.ended(), 10))[0] == -signal.SIGKILL
    orphan = await begun(pool, "never", 3)
    (zygote,) = pool._zygotes.values()
    zygote.process.kill()
    assert (await asyncio.wait_for(orphan.ended(), 10))[0] is None, "nobody knows how it would have ended"
    orphan.close()
    await asyncio.to_thread(eventually, lambda: end_marked(pool._mark) == 0, what="no process to be left")
    assert (await carried(pool, "dies")).status == 3, "and another zygote is there for the next"


async def test_what_a_run_runs_in_is_not_its_to_end_and_nobody_beside_it_is_harmed(pool: Pool) -> None:
    beside = await begun(pool, "never", 99)
    (zygote,) = pool._zygotes.values()
    for number, whom in enumerate(("inner", "outer", "group", "negative", "all"), 1):
        process = await begun(pool, f"kills-{whom}", number)
        report = await came_to(process)
        assert isinstance(report, Finished) and not report.ok, whom
        assert report.error.startswith("PermissionError: "), "the failure is its own"
        assert report.error.endswith("is not signalled from here: this run itself runs in it")
        process.close()
    process = await begun(pool, "kills-own", 50)
    report = await came_to(process)
    assert isinstance(report, Finished) and report.result == str(-signal.SIGKILL), "what it started is its own to end"
    process.close()
    assert zygote.alive and (99, 1) in zygote.gone
    pool.kill(99, 1)
    assert (await asyncio.wait_for(beside.ended(), 10))[0] == -signal.SIGKILL
    beside.close()


async def test_code_is_bounded_while_it_is_imported_and_a_run_may_still_compute(pool: Pool) -> None:
    code = CODE + f"""
import resource
assert resource.getrlimit(resource.RLIMIT_AS)[0] == {MOST_MEMORY}
assert Path("/proc/self/oom_score_adj").read_text().strip() == "500"
@look
def may_compute(box: Box) -> int:
    return resource.getrlimit(resource.RLIMIT_CPU)[0]
one("may-compute", may_compute)
""".encode()
    process = await begun(pool, "may-compute", code=code)
    report = await came_to(process)
    assert isinstance(report, Finished) and report.result == "60"
    await process.ended()
    process.close()


async def test_a_kill_that_a_busy_zygote_cannot_take_now_is_told_again(pool: Pool) -> None:
    process = await begun(pool, "never")
    (zygote,) = pool._zygotes.values()
    line, refused = zygote.line, [BlockingIOError(), BlockingIOError()]

    class Full:
        def send(self, body: bytes) -> int:
            if refused:
                raise refused.pop()
            return line.send(body)

        def __getattr__(self, name: str) -> Any:
            return getattr(line, name)

    zygote.line = Full()  # type: ignore[assignment]
    pool.kill(1, 1)
    assert (await asyncio.wait_for(process.ended(), 10))[0] == -signal.SIGKILL
    assert refused == []
    zygote.line = line
    process.close()


async def test_old_code_goes_when_its_last_run_ends(pool: Pool) -> None:
    await pool.prepare({"playbooks/box.py": CODE})
    process = await begun(pool, "never")
    await pool.prepare({"playbooks/box.py": CODE + b"# new"})
    assert len(pool._zygotes) == 2, "a run goes on with the code it began with"
    pool.kill(1, 1)
    await process.ended()
    process.close()
    assert len(pool._zygotes) == 1


def test_importing_tocsin_imports_no_client_and_no_server() -> None:
    libraries = ", ".join(f"tocsin.library.{name}" for name in ("redis", "postgres", "sql", "process", "disk"))
    code = f"import sys; from tocsin import Run, playbook; import {libraries}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "tocsin.playbooks.language" in found
    assert "tocsin.library.postgres.sessions" in found
    assert not {"redis", "psycopg", "asyncio", "sqlalchemy", "litestar"} & set(found)


async def test_a_warm_fork_takes_milliseconds(pool: Pool) -> None:
    await pool.prepare({"playbooks/box.py": CODE})
    took = []
    for number in range(10):
        began = time.perf_counter()
        process = await begun(pool, "changes", number)
        assert isinstance(await came_to(process), Finished)
        took.append(time.perf_counter() - began)
        process.close()
        await process.ended()
    assert sorted(took)[2] < 0.25, took


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


__all__ = ["Returned"]
