"""Confined runs, under the real bubblewrap: what the kernel lets them do, and that nothing runs unconfined instead."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.waiting import eventually
from tocsin.plan import read_plan
from tocsin.plan.composing import with_composed
from tocsin.playbooks import language
from tocsin.playbooks.confinement import MOST_CONFINEMENTS, Confine, Unconfined
from tocsin.playbooks.language import About, Misused
from tocsin.playbooks.manifest import MANIFEST, Manifests, confinement_of, read_manifests
from tocsin.playbooks.run import GaveUp, Report
from tocsin.playbooks.runner import confining
from tocsin.playbooks.runner.bounds import MARK
from tocsin.playbooks.runner.pool import Pool, Process, _seen
from tocsin.playbooks.runner.reading import with_manifest
from tocsin.playbooks.session import Start
from tocsin.wiring import unconfinable

CODE = b'''
import os, resource, signal, socket, subprocess, time
from pathlib import Path
from tocsin import Run, Target, fix, look, playbook

class Box(Target, frozen=True):
    kind = "box"

@look
def tried(box: Box, what: str, path: str) -> str:
    try:
        return str(TRIES[what](path))
    except OSError as error:
        return f"{type(error).__name__}: {error.strerror}"

@look
def never(box: Box) -> int:
    while True:
        time.sleep(0.01)

@look
def writes(box: Box, path: str) -> str:
    return write(path)

def write(path):
    Path(path).write_text("seen")
    return "written"

def opens(path):
    open(path, "a").close()
    return "open"

def talks(path):
    with socket.socket(socket.AF_UNIX if path.startswith("/") else socket.AF_INET) as line:
        line.connect(path if path.startswith("/") else ("127.0.0.1", int(path)))
    return "talked"

def ends(pid):
    os.kill(int(pid), signal.SIGKILL)
    return "ended"

def roots(_):
    mine = Path("/proc/self/status").read_text()
    caps = [int(line.split()[1], 16) for line in mine.splitlines() if line.startswith("Cap")]
    score = Path("/proc/self/oom_score_adj").read_text().strip()
    return (sum(caps), resource.getrlimit(resource.RLIMIT_NOFILE)[0], score)

def remounts(_):
    again = "mount -o remount,rw,bind /usr; touch /usr/x"
    script = f"{again}; unshare -Urm sh -c '{again}'"
    subprocess.run(["sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Path("/usr/x").exists()

TRIES = {"write": write, "open": opens, "talk": talks, "end": ends, "root": roots, "remount": remounts,
         "read": lambda path: Path(path).read_text()[:12], "list": lambda path: sorted(os.listdir(path)),
         "command": lambda pid: Path(f"/proc/{pid}/cmdline").read_text()[:6]}

@playbook(name="tries")
def tries(run: Run, box: Box, script: str) -> None:
    run.hand_over("; ".join(run.look(tried, box, *one.split(" ")) for one in script.split(";")))

@playbook(name="never")
def never_ends(run: Run, box: Box) -> None:
    run.look(never, box)

@playbook(name="writes")
def writes_there(run: Run, box: Box, script: str) -> None:
    run.look(writes, box, script)
'''
FILES = {"playbooks/box.py": CODE}


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[Pool]:
    needs.program("bwrap")
    hidden = (tmp_path / "data", tmp_path / "sockets")
    made = Pool(tmp_path / "data" / "playbooks", f"test-{os.getpid()}-{tmp_path.name}", hidden)
    (tmp_path / "data").mkdir()
    yield made
    await made.close()


async def begun(pool: Pool, confine: Confine | None, playbook: str, script: str = "", number: int = 1) -> Process:
    process = await pool.begin(FILES, number, 1, 60_000_000, confine)
    args = {"script": f'"{script}"'} if script else {}
    await process.start(Start(playbook, About(), {"box": "main"}, args, {"main": "x"}))
    return process


async def told(pool: Pool, confine: Confine | None, playbook: str, script: str = "") -> GaveUp:
    process = await begun(pool, confine, playbook, script)
    said: list[Report] = []
    while (report := await asyncio.wait_for(process.report(), 20)) is not None:
        said.append(report)
    await asyncio.wait_for(process.ended(), 20)
    process.close()
    assert isinstance(said[-1], GaveUp), said
    return said[-1]


async def tried(pool: Pool, confine: Confine | None, *script: str) -> list[str]:
    return (await told(pool, confine, "tries", ";".join(script))).why.split("; ")


async def test_it_writes_where_it_may_and_nowhere_else(pool: Pool, tmp_path: Path) -> None:
    for name in ("logs", "seen", "others"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "there").write_text(name)
    way = Confine(write=(f"{tmp_path}/logs",), read=(f"{tmp_path}/seen",))
    script = [
        f"write {tmp_path}/logs/new", f"read {tmp_path}/seen/there", f"write {tmp_path}/seen/new",
        f"read {tmp_path}/others/there", "write /etc/new", "write /usr/new", "write /new", "write /tmp/own",
        "list /tmp", "read /etc/shadow", "open /proc/sys/kernel/core_pattern", "remount x", "write /dev/shm/own",
    ]  # fmt: skip
    came = await tried(pool, way, *script)
    assert came[:2] == ["written", "seen"]
    assert came[2] == came[4] == came[5] == came[6] == "OSError: Read-only file system"
    assert came[3] == "FileNotFoundError: No such file or directory"
    assert came[7] == "written" and "'own'" in came[8]
    assert came[9] == "FileNotFoundError: No such file or directory"
    assert came[10].startswith(("OSError: Read-only", "PermissionError")) and came[11:] == ["False", "written"]
    assert (tmp_path / "logs" / "new").read_text() == "seen" and not Path("/tmp/own").exists()
    again = await tried(pool, way, "list /tmp", "list /dev/shm")
    assert "own" not in again[0] and again[1] == "[]", "the next run finds its own /tmp and /dev/shm empty"
    assert (tmp_path / "logs" / "new").exists(), "and what it may write is not its own"


async def test_it_has_no_network_and_talks_to_no_socket_unless_it_may(pool: Pool, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as near, socket.socket(socket.AF_UNIX) as unix:
        (tmp_path / "run").mkdir()
        unix.bind(f"{tmp_path}/run/it.sock")
        unix.listen()
        script = (f"talk {near.getsockname()[1]}", f"talk {tmp_path}/run/it.sock")
        assert await tried(pool, None, *script) == ["talked", "talked"]
        assert await tried(pool, Confine(), *script) == [
            "ConnectionRefusedError: Connection refused", "FileNotFoundError: No such file or directory"
        ]  # fmt: skip
        assert await tried(pool, Confine(read=(f"{tmp_path}/run",), network=True), *script) == ["talked", "talked"]


async def test_it_sees_no_process_unless_it_may_and_never_into_one(pool: Pool) -> None:
    """Root's own among them: its user is theirs, and what it has of root is nothing."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        script = (f"command {other.pid}", f"read /proc/{other.pid}/root/etc/shadow", f"read /proc/{other.pid}/environ")
        free = await tried(pool, None, *script, "root x")
        assert free[0] == sys.executable[:6] and len(free[2]) == 12
        blind = await tried(pool, Confine(), *script, f"end {other.pid}", "root x")
        assert blind[:3] == ["FileNotFoundError: No such file or directory"] * 3
        assert blind[3] == "ProcessLookupError: No such process"
        sees = await tried(pool, Confine(processes=True), *script, "root x", f"end {other.pid}")
        assert sees[0] == free[0] and sees[1:3] == ["PermissionError: Permission denied"] * 2 and sees[4] == "ended"
        assert blind[4] == sees[3] == "(0, 1024, '500')"
        assert other.wait(10) == -signal.SIGKILL


async def test_tocsins_own_folder_is_never_seen(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "data" / "secret").write_text("it is secret")
    script = (f"read {tmp_path}/data/secret", f"write {tmp_path}/data/new")
    assert (await tried(pool, None, script[0])) == ["it is secret"]
    assert await tried(pool, Confine(write=(str(tmp_path),)), *script, f"write {tmp_path}/beside") == [
        "FileNotFoundError: No such file or directory", "OSError: Read-only file system", "written"
    ]  # fmt: skip
    (tmp_path / "sockets").mkdir()
    with socket.socket(socket.AF_UNIX) as core:
        core.bind(f"{tmp_path}/sockets/core.sock")
        core.listen()
        there = f"talk {tmp_path}/sockets/core.sock"
        assert await tried(pool, None, there) == ["talked"]
        seen = await tried(pool, Confine(read=(str(tmp_path),)), there)
        assert seen == ["FileNotFoundError: No such file or directory"], "it asks nobody who they are"
    for path in (tmp_path / "data", tmp_path / "data" / "secret", tmp_path / "sockets"):
        with pytest.raises(Unconfined, match="which is Tocsin's own"):
            await begun(pool, Confine(read=(str(path),)), "tries", script[0])


async def test_a_folder_that_was_made_anew_is_the_one_that_is_seen(pool: Pool, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    way = Confine(write=(str(folder),))
    assert await tried(pool, way, f"write {folder}/a") == ["written"]
    running = await begun(pool, way, "never", number=7)
    folder.rename(tmp_path / "old")
    folder.mkdir()
    assert await tried(pool, way, f"write {folder}/b", f"list {folder}") == ["written", "['b']"]
    assert len(pool._zygotes) == 2, "the run that was under way goes on where it was"
    pool.kill(7, 1)
    assert (await asyncio.wait_for(running.ended(), 10))[0] == -signal.SIGKILL
    running.close()
    await pool.prepare({})
    assert pool._zygotes == {}


async def test_it_is_ended_as_any_other(pool: Pool) -> None:
    for way in (Confine(), Confine(processes=True)):
        process = await begun(pool, way, "never", number=1)
        pool.kill(1, 1)
        assert (await asyncio.wait_for(process.ended(), 10))[0] == -signal.SIGKILL
        process.close()
        hung_up = await begun(pool, way, "never", number=2)
        hung_up.close()
        assert (await asyncio.wait_for(hung_up.ended(), 10))[0] == -signal.SIGKILL
        orphan = await begun(pool, way, "never", number=3)
        await asyncio.to_thread(eventually, lambda: _marked(pool) >= 3, what="bubblewrap, zygote and run to be found")
        (zygote,) = (one for one in pool._zygotes.values() if one.alive)
        zygote.process.kill()
        assert (await asyncio.wait_for(orphan.ended(), 10))[0] is None
        orphan.close()
        await asyncio.to_thread(eventually, lambda: _marked(pool) == 0, what="no process to be left")
    assert await tried(pool, Confine(), "write /new") == ["OSError: Read-only file system"], "and another one is there"
    process = await begun(pool, Confine(), "never", number=4)
    await asyncio.to_thread(eventually, lambda: _marked(pool) >= 3, what="bubblewrap, zygote and run to be found")
    assert pool.end_orphans() >= 1, "an earlier Tocsin's are ended by their mark, from outside"
    assert (await asyncio.wait_for(process.ended(), 10))[0] is None
    process.close()


async def test_what_cannot_be_confined_is_not_begun(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("/etc")
    for path, why in (("gone", "cannot be seen: No such file"), ("link", "is a link: name what it leads to")):
        with pytest.raises(Unconfined, match=why):
            await begun(pool, Confine(write=(f"{tmp_path}/{path}",)), "tries", "list /")
    broken = tmp_path / "bin" / "bwrap"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    with pytest.raises(Unconfined, match="cannot confine it on this machine: bwrap: No permissions to create"):
        await begun(pool, Confine(), "tries", "list /")
    with pytest.raises(Unconfined, match="No permissions to create new namespace"):
        confining.tried(Confine(), FILES)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unconfined, match="bubblewrap is not on this machine"):
        await begun(pool, Confine(), "tries", "list /")
    assert pool._zygotes == {}


READS = b"""
from pathlib import Path
from tocsin import Run, playbook
HALF = "of it"
@playbook(name="half")
def half(run: Run) -> None:
    run.hand_over("it has half of its module")
SETTINGS = Path("PLACE").read_text()
"""
CONFINED = b"""
from tocsin import Run, confine, playbook
@playbook(name="small", confine=confine())
def small(run: Run) -> None:
    run.hand_over("it ran")
"""


async def test_a_module_that_cannot_be_imported_confined_ends_no_run_but_its_own(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "shop.conf").write_text("x")
    reads = READS.replace(b"PLACE", os.fsencode(tmp_path / "shop.conf"))
    files = {"playbooks/reads.py": reads, "playbooks/small.py": CONFINED}
    (small,) = await played(pool, Confine(), "small", files)
    assert small.why == "it ran"
    (half,) = await played(pool, Confine(), "half", files)
    assert half.kind == "withheld", "it counts as no failure of the playbook"
    assert half.why.startswith("it was not begun: importing playbooks/reads.py raises FileNotFoundError: ")
    assert half.next.endswith("confined to: writes nothing; no network")
    (free,) = await played(pool, None, "half", files)
    assert free.why == "it has half of its module"
    (named,) = await played(pool, Confine(read=(f"{tmp_path}/shop.conf",)), "half", files)
    assert named.why == "it has half of its module"
    (tmp_path / "shop.conf").unlink()
    gone = files | {"playbooks/more.py": b""}
    (small,) = await played(pool, None, "small", gone)
    assert small.why == "it ran", "nor where nothing is confined"
    (half,) = await played(pool, None, "half", gone)
    assert half.kind == "raised" and "playbooks/reads.py raises FileNotFoundError" in half.why
    ends = {"playbooks/ends.py": b"import os\nos.path.exists('/etc/shadow') or os._exit(3)", **files}
    with pytest.raises(Unconfined, match="ended, as it is confined: writes nothing; no network"):
        await pool.begin(ends, 1, 1, 60_000_000, Confine())


def test_a_plan_says_which_code_cannot_be_imported_as_it_is_confined(tmp_path: Path) -> None:
    needs.program("bwrap")
    (tmp_path / "shop.conf").write_text("x")
    reads = READS.replace(b"PLACE", os.fsencode(tmp_path / "shop.conf"))
    both = reads.replace(b'"half"', b'"half", confine=__import__("tocsin").confine()')
    plan = b"tocsin: 1\npeople: {ana: {}}\nservices: {cart: {playbooks: [small, half]}}\n"
    told = {}
    for code in (reads, both):
        files = with_manifest({"tocsin.yaml": plan, "playbooks/reads.py": code, "playbooks/small.py": CONFINED})
        read = read_plan(files).plan
        assert read is not None
        told[code] = unconfinable(read, files)
    assert told[reads] == [], "one that is not confined needs not be imported so"
    (half,) = told[both]
    assert (half.level, half.file, half.line) == ("notice", "playbooks/reads.py", 5)
    why = "half cannot be confined here: importing playbooks/reads.py raises FileNotFoundError"
    assert half.message.startswith(why)


async def played(pool: Pool, confine: Confine | None, playbook: str, files: dict[str, bytes]) -> list[GaveUp]:
    """What a playbook without targets comes to."""
    process = await pool.begin(files, 1, 1, 60_000_000, confine)
    await process.start(Start(playbook, About()))
    said = []
    while (report := await asyncio.wait_for(process.report(), 20)) is not None:
        said.append(report)
    await asyncio.wait_for(process.ended(), 20)
    process.close()
    return [one for one in said if isinstance(one, GaveUp)]


async def test_a_file_system_that_does_not_answer_holds_one_thread_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often runs are to be begun there: files of the plan are read, and Tocsin ends, as if it were not."""
    needs.program("bwrap")
    answers, looks = threading.Event(), []

    def held(confine: Confine) -> tuple[tuple[int, int], ...]:
        looks.append(threading.current_thread().name)
        answers.wait(20)
        return ((1, 2),)

    monkeypatch.setattr(confining, "seen", held)
    monkeypatch.setattr("tocsin.playbooks.runner.pool.SEEN_WITHIN", 0.05)
    away = Confine(read=("/away",))
    began = time.monotonic()
    for _ in range(40):
        with pytest.raises(Unconfined, match="does not answer within"):
            await _seen(away)
    assert looks == ["tocsin-look"] and time.monotonic() - began < 1.0
    assert await asyncio.wait_for(asyncio.to_thread(int, "7"), 5) == 7
    assert "does a file system not answer?" in str(confining.troubles([away], {}, within=0.05)[away])
    answers.set()
    while looks.count("tocsin-look") < 3:  # another look, once the held one is back
        with suppress(Unconfined):
            assert await _seen(away) == ((1, 2),)


async def test_a_confined_run_that_fails_says_to_what_it_is_confined(pool: Pool) -> None:
    failed = await told(pool, Confine(), "writes", "/etc/new")
    assert failed.kind == "raised" and "Read-only file system" in failed.why
    assert failed.next == "see whether it needs more than it is confined to: writes nothing; no network"


async def test_a_warm_confined_fork_takes_milliseconds(pool: Pool) -> None:
    took = []
    for number in range(1, 6):
        before = time.monotonic()
        process = await begun(pool, Confine(), "tries", "list /", number=number)
        for _ in ("where it is", "what came of it"):
            assert await asyncio.wait_for(process.report(), 10) is not None
        took.append(time.monotonic() - before)
        process.close()
        await asyncio.wait_for(process.ended(), 10)
    assert min(took) < 0.1, took


YAML = """
playbook: looks
works on: {place: folder}
CONFINE
steps:
  - look: disk.usage
    on: place
"""


def declared(*confines: str) -> Manifests:
    """What a plan's playbooks in YAML declare, one with each of these lines."""
    texts = {
        f"playbooks/{number}.yaml": YAML.replace("CONFINE", one).replace("looks", f"looks-{number}").encode()
        for number, one in enumerate(confines)
    }
    return read_manifests(with_manifest(with_composed(texts)))


def test_an_empty_confinement_is_one_and_what_it_says_is_part_of_the_meaning() -> None:
    """Without one the digest is what it was before there were any: nobody's trust falls by an upgrade."""
    found = declared("", "confine:", "confine: {}", "confine: {write: /var/log/shop, network: on}")
    assert found.faults == ()
    assert [one.confine for one in found.playbooks] == [
        None, Confine(), Confine(), Confine(write=("/var/log/shop",), network=True)
    ]  # fmt: skip
    (alone,) = declared("").playbooks
    (empty,) = declared("confine: {}").playbooks
    (wide,) = declared("confine: {network: on}").playbooks
    assert alone.meaning == "5:5965c67c4b24eecd49d52a79" and len({alone.meaning, empty.meaning, wide.meaning}) == 3


def test_a_plan_has_so_many_confinements_at_most() -> None:
    ways = [f"confine: {{write: /srv/{number}}}" for number in range(MOST_CONFINEMENTS)]
    assert declared(*ways, ways[0], "").faults == ()
    (fault,) = declared(*ways, "confine: {network: on}").faults
    assert fault.message == f"the plan's playbooks are confined in more than {MOST_CONFINEMENTS} ways"


def test_what_a_plan_does_not_say_of_a_playbook_is_not_run_unconfined() -> None:
    for files in ({}, {"playbooks/box.py": CODE}, {MANIFEST: b"{"}):
        with pytest.raises(Unconfined, match="does not say of looks whether it is confined"):
            confinement_of(files, "looks")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("logs", "no absolute path"),
        ("/var/../etc", "no absolute path"),
        ("/", "without / at its end"),
        ("/var/log/", "without / at its end"),
        ("/tmp", "are a confined run's own"),
        ("/proc/1", "are a confined run's own"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused(path: str, why: str) -> None:
    with pytest.raises(Misused, match=why):
        language.confine(write=[path])
    with pytest.raises(Misused, match="takes lists"):
        language.confine(read="/var/log")
    with pytest.raises(Misused, match="named twice"):
        language.confine(read=["/var/log"], write=["/var/log"])


def _marked(pool: Pool) -> int:
    """How many processes carry a pool's mark."""
    wanted, found = f"{MARK}={pool._mark}".encode(), 0
    for place in Path("/proc").iterdir():
        with suppress(OSError):
            found += place.name.isdigit() and wanted in (place / "environ").read_bytes().split(b"\0")
    return found
