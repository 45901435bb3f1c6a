"""Each probe looks at real things: servers, certificates, processes that hang or died, disks that fill."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.support.catcher import Catcher, Reply, running_catcher
from tests.support.certificates import make_certificate
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.waiting import eventually
from tocsin.intake.checked import Checked, as_event
from tocsin.intake.looking import probed
from tocsin.intake.probes import KINDS, probe, probes
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import MILLISECOND, SECOND, Instant
from tocsin.runtime.outbound import Outbound


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    made = Outbound()
    yield made
    await made.close()


def wall_clock() -> Instant:
    return time.time_ns() // 1000


def spec(kind: str, target: str, timeout: float = 5.0, **options: str) -> ProbeSpec:
    return ProbeSpec(
        service="checkout", name="front", kind=kind, target=target, timeout=int(timeout * SECOND), options=options
    )


async def look(outbound: Outbound, one: ProbeSpec) -> Checked:
    return await probe(one.kind, str)(one, wall_clock(), outbound)


# --- http ------------------------------------------------------------------------------------------------------------


async def test_a_page_that_answers_is_well(outbound: Outbound, catcher: Catcher) -> None:
    found = await look(outbound, spec("http", f"{catcher.url}/health"))
    assert found.ok
    assert found.summary.startswith(f"GET {catcher.url}/health answered 200 after ")
    assert catcher.requests[0].method == "GET"
    assert catcher.requests[0].headers["user-agent"].startswith("Tocsin/")


async def test_a_wrong_status_says_what_came_and_what_was_expected(outbound: Outbound, catcher: Catcher) -> None:
    catcher.default = Reply(503)
    found = await look(outbound, spec("http", f"{catcher.url}/health"))
    assert not found.ok
    assert found.summary.startswith(f"GET {catcher.url}/health answered 503 after ")
    assert found.summary.endswith(", expected 200-399")
    assert found.facts["status"] == "503"


@pytest.mark.parametrize(
    ("wanted", "status", "ok"),
    [
        ("200", 200, True),
        ("200", 204, False),
        ("200,404", 404, True),
        ("200-299, 301", 301, True),
        ("400-499", 200, False),
    ],
)
async def test_the_wanted_status_is_one_several_or_a_range(
    outbound: Outbound, catcher: Catcher, wanted: str, status: int, ok: bool
) -> None:
    catcher.default = Reply(status)
    assert (await look(outbound, spec("http", catcher.url, status=wanted))).ok is ok


async def test_a_body_without_the_pattern_fails(outbound: Outbound, catcher: Catcher) -> None:
    catcher.default = Reply(body='{"queue": "stuck"}')
    assert (await look(outbound, spec("http", catcher.url, body='"queue": "(ok|stuck)"'))).ok
    found = await look(outbound, spec("http", catcher.url, body='"queue": "ok"'))
    assert not found.ok
    assert "is not in the answer" in found.summary


async def test_the_body_is_read_to_the_first_megabyte_only(outbound: Outbound, catcher: Catcher) -> None:
    catcher.default = Reply(body=b"x" * 1_200_000 + b"needle")
    found = await look(outbound, spec("http", catcher.url, body="needle"))
    assert not found.ok
    assert "first megabyte" in found.summary


async def test_a_slow_answer_fails_a_latency_limit_and_a_silent_one_its_timeout(
    outbound: Outbound, catcher: Catcher
) -> None:
    catcher.default = Reply(delay=0.3)
    slow = await look(outbound, spec("http", catcher.url, latency=str(100 * MILLISECOND)))
    assert not slow.ok
    assert slow.summary.endswith("slower than the 0.1 s allowed")
    catcher.default = Reply(delay=20)
    silent = await look(outbound, spec("http", catcher.url, timeout=0.3))
    assert not silent.ok
    assert silent.summary == f"GET {catcher.url} did not answer within 0.3 s"


async def test_nothing_listening_and_a_reset_are_failures_in_words(outbound: Outbound, catcher: Catcher) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    found = await look(outbound, spec("http", url))
    assert found.summary == f"GET {url} did not answer: the connection was refused, nothing listens there"
    catcher.default = Reply(reset=True)
    assert not (await look(outbound, spec("http", catcher.url))).ok


async def test_a_certificate_that_ends_in_three_days_fails_a_limit_of_fourteen(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    short = make_certificate(tmp_path_factory.mktemp("short"), days=3.01)
    outbound = Outbound(tls=ssl.create_default_context(cafile=str(short.authority)))
    with running_catcher(short) as server:
        ends_soon = await look(outbound, spec("http", server.url, certificate_days="14"))
        still_good = await look(outbound, spec("http", server.url, certificate_days="2"))
        unasked = await look(outbound, spec("http", server.url))
    await outbound.close()
    assert not ends_soon.ok
    assert "its certificate ends in 3 days, on " in ends_soon.summary
    assert "at least 14 days are wanted" in ends_soon.summary
    assert still_good.ok
    assert unasked.ok
    assert unasked.facts["certificate_until"]


async def test_a_certificate_nobody_signed_is_a_failure(outbound: Outbound, tls_catcher: Catcher) -> None:
    found = await look(outbound, spec("http", tls_catcher.url))
    assert not found.ok
    assert "certificate is not accepted" in found.summary


async def test_the_password_of_a_url_is_sent_and_never_shown(outbound: Outbound, catcher: Catcher) -> None:
    catcher.default = Reply(500)
    one = spec("http", catcher.url.replace("http://", "http://ana:hunter2@"))
    found = await look(outbound, one)
    assert catcher.requests[0].headers["authorization"].startswith("Basic ")
    assert "hunter2" not in found.summary + repr(as_event(one, found, 0))


# --- tcp -------------------------------------------------------------------------------------------------------------


async def test_a_port_that_accepts_is_well_and_one_that_refuses_is_not(outbound: Outbound, catcher: Catcher) -> None:
    assert (await look(outbound, spec("tcp", f"127.0.0.1:{catcher.port}"))).ok
    assert (await look(outbound, spec("tcp", f"localhost:{catcher.port}"))).ok
    target = f"127.0.0.1:{free_port()}"
    found = await look(outbound, spec("tcp", target))
    assert found.summary == f"{target} did not accept a connection: the connection was refused, nothing listens there"


async def test_a_listener_whose_queue_is_full_did_not_accept_in_time(outbound: Outbound) -> None:
    import socket

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        target = f"127.0.0.1:{full.getsockname()[1]}"
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        found = await look(outbound, spec("tcp", target, timeout=0.3))
        for one in waiting:
            one.close()
    assert found.summary == f"{target} did not accept a connection within 0.3 s"


@pytest.mark.parametrize("target", ["", "db", "db:", ":5432", "db:0", "db:99999", "db:x", "db:²"])
async def test_a_target_without_host_and_port_is_told_so(outbound: Outbound, target: str) -> None:
    found = await look(outbound, spec("tcp", target))
    assert not found.ok
    assert "is not a host and a port" in found.summary


async def test_ipv6_is_written_in_brackets(outbound: Outbound) -> None:
    try:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    assert (await look(outbound, spec("tcp", f"[::1]:{server.sockets[0].getsockname()[1]}"))).ok
    server.close()


# --- process ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """A real process whose name is the one given: a copy of `sleep` under that name."""
    started: list[Process] = []

    def run(name: str) -> Process:
        program = tmp_path / name
        if not program.exists():
            program.write_bytes(Path("/bin/sleep").resolve().read_bytes())
            program.chmod(0o755)
        one = Process([program, "600"], log=tmp_path / "log")
        # setpriv has the pid first and then becomes the program
        eventually(lambda: psutil.Process(one.pid).cmdline()[:1] == [str(program)], what="the program")
        started.append(one)
        return one

    yield run
    for one in started:
        one.kill9()


async def test_a_process_is_found_by_name_and_a_stopped_one_hangs(
    outbound: Outbound, start: Callable[[str], Process]
) -> None:
    one = spec("process", "tocsin-test-a", by="name")
    assert (await look(outbound, one)).summary == "No process named tocsin-test-a runs"
    process = start("tocsin-test-a")
    running = await look(outbound, one)
    assert (running.ok, running.summary) == (True, "The process tocsin-test-a runs")
    process.send(signal.SIGSTOP)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    hung = await look(outbound, one)
    assert not hung.ok
    assert hung.summary == f"The process tocsin-test-a hangs: it is stopped (pid {process.pid})"
    start("tocsin-test-a")
    beside = await look(outbound, one)
    assert not beside.ok
    assert beside.summary.endswith("beside 1 that runs")
    process.send(signal.SIGCONT)
    eventually(lambda: psutil.Process(process.pid).status() != psutil.STATUS_STOPPED)
    assert (await look(outbound, one)).summary == "The process tocsin-test-a runs, 2 times"


async def test_a_look_that_others_share_is_judged_by_each_for_itself(outbound: Outbound) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    plain, sober = spec("process", name, by="name"), spec("process", name, by="name", memory_bytes="1")
    here, held = await asyncio.gather(look(outbound, plain), look(outbound, sober))
    assert here.ok and "memory" not in here.facts
    assert not held.ok and "is the most" in held.summary


async def test_a_process_that_leaks_holds_more_than_it_may(outbound: Outbound, tmp_path: Path) -> None:
    grows = (
        "import sys; held = []; print(flush=True)\n"
        "for line in sys.stdin: held.append('x' * 30_000_000); print(flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", grows], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            (tmp_path / "pid").write_text(str(process.pid))
            one = spec("process", str(tmp_path / "pid"), by="pidfile", memory_bytes="50000000")
            well = await look(outbound, one)
            assert well.ok and " MB" in well.summary, well.summary
            for _ in range(2):
                process.stdin.write("\n")
                process.stdout.readline()
            leaks = await look(outbound, one)
            assert not leaks.ok and leaks.summary.endswith("MB of memory, 50 MB is the most"), leaks.summary
            assert leaks.measured is not None and leaks.measured.value > 50_000_000
            named = spec("process", Path(sys.executable).name, by="name", memory_bytes="50000000")
            assert not (await look(outbound, named)).ok, "of several any of them"
        finally:
            process.kill()


async def test_a_name_longer_than_the_kernel_keeps_is_found_and_only_whole(
    outbound: Outbound, start: Callable[[str], Process]
) -> None:
    start("tocsin-with-a-long-name")
    assert (await look(outbound, spec("process", "tocsin-with-a-long-name"))).ok
    assert not (await look(outbound, spec("process", "tocsin-with-a-lon"[:14]))).ok


async def test_a_zombie_does_not_run(outbound: Outbound, tmp_path: Path, start: Callable[[str], Process]) -> None:
    process = start("tocsin-test-z")
    process.send(signal.SIGKILL)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    by_name = await look(outbound, spec("process", "tocsin-test-z"))
    assert by_name.summary == f"The process tocsin-test-z has died: only a zombie is left (pid {process.pid})"
    (tmp_path / "pid").write_text(f"{process.pid}\n")
    by_file = await look(outbound, spec("process", str(tmp_path / "pid"), by="pidfile"))
    assert by_file.summary == f"The process tocsin-test-z (pid {process.pid}) has died: only a zombie is left"
    process.popen.wait()
    gone = await look(outbound, spec("process", str(tmp_path / "pid"), by="pidfile"))
    assert gone.summary == f"The process of {tmp_path / 'pid'} is gone: nothing runs as pid {process.pid}"


async def test_a_pid_file_is_followed(outbound: Outbound, tmp_path: Path, start: Callable[[str], Process]) -> None:
    file = tmp_path / "shop.pid"
    one = spec("process", str(file), by="pidfile")
    assert (await look(outbound, one)).summary == f"No process: its pid file {file} does not exist"
    for nonsense in ("", "x", "-1", "0"):
        file.write_text(nonsense)
        assert (await look(outbound, one)).summary == f"No process: its pid file {file} holds no pid"
    process = start("tocsin-test-b")
    file.write_text(f" {process.pid}\n")
    assert (await look(outbound, one)).ok
    process.send(signal.SIGSTOP)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
    assert (await look(outbound, one)).summary == f"The process tocsin-test-b (pid {process.pid}) hangs: it is stopped"
    assert not (await look(outbound, spec("process", str(tmp_path), by="pidfile"))).ok


async def test_a_process_whose_first_thread_ended_still_runs(outbound: Outbound, tmp_path: Path) -> None:
    """The kernel shows its first thread as a zombie while the others work."""
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    process = Process([sys.executable, "-c", code], log=tmp_path / "log")
    try:
        # the State line of the first thread itself
        eventually(lambda: "State:\tZ" in Path(f"/proc/{process.pid}/status").read_text())
        (tmp_path / "pid").write_text(str(process.pid))
        assert (await look(outbound, spec("process", str(tmp_path / "pid"), by="pidfile"))).ok
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.popen.wait()


# --- disk ------------------------------------------------------------------------------------------------------------


async def test_a_disk_is_judged_by_share_used_and_bytes_free(outbound: Outbound, tmp_path: Path) -> None:
    path = str(tmp_path)
    assert (await look(outbound, spec("disk", path))).ok
    assert (await look(outbound, spec("disk", path, used_percent="101", free_bytes="1"))).ok
    full = await look(outbound, spec("disk", path, used_percent="0"))
    assert not full.ok
    assert "% full" in full.summary
    assert full.summary.endswith("; the limit is 0%")
    scarce = await look(outbound, spec("disk", path, free_bytes=str(10**18)))
    assert scarce.summary.endswith("; at least 1000.0 PB are wanted")


async def test_the_share_used_is_the_one_df_reports(outbound: Outbound) -> None:
    process = await asyncio.create_subprocess_exec("df", "--output=pcent", "/", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    found = await look(outbound, spec("disk", "/"))
    assert abs(int(out.split()[1].rstrip(b"%")) - int(found.facts["used_percent"])) <= 1


async def test_a_path_that_is_not_there_is_a_failure(outbound: Outbound, tmp_path: Path) -> None:
    found = await look(outbound, spec("disk", str(tmp_path / "gone")))
    assert not found.ok
    assert "does not exist" in found.summary
    assert not (await look(outbound, spec("disk", "nul\0byte"))).ok


async def test_a_mount_that_hangs_is_told_and_blocks_nothing(
    outbound: Outbound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network mount whose server is gone: the call does not return, for as long as the outage lasts."""
    release, real = threading.Event(), os.statvfs
    calls: list[str] = []

    def hanging(path: Any) -> os.statvfs_result:
        if path == "/mnt/gone":
            calls.append(path)
            release.wait(30)
        return real(tmp_path)

    monkeypatch.setattr(os, "statvfs", hanging)
    for _ in range(5):
        found = await look(outbound, spec("disk", "/mnt/gone", timeout=0.05))
        assert found.summary == "The disk at /mnt/gone did not answer within 0.05 s"
        assert (await look(outbound, spec("disk", str(tmp_path)))).ok
    assert calls == ["/mnt/gone"]
    assert [thread.name for thread in threading.enumerate() if "/mnt/gone" in thread.name] == ["aside disk:/mnt/gone"]
    release.set()
    assert (await asyncio.wait_for(look(outbound, spec("disk", "/mnt/gone")), 5)).ok


# --- event -----------------------------------------------------------------------------------------------------------


def test_a_probe_with_a_title_says_what_was_found_below_it() -> None:
    one = msgspec.structs.replace(spec("http", "http://shop.example/health"), title="Nobody can order")
    event = as_event(one, Checked(False, "it is down", {"status": "503"}), 90)
    assert (event.own_title, event.annotations) == (
        "Nobody can order", {"description": "it is down", "status": "503"},
    )  # fmt: skip


def test_a_failure_and_its_end_share_key_and_labels() -> None:
    one = spec("http", "http://user:pw@shop.example/health")
    failed = as_event(one, Checked(False, "it is down", {"status": "503"}), 90, since=60)
    over = as_event(one, Checked(True, "it is up"), 120)
    assert failed.key == over.key == "checkout/front"
    assert failed.labels == over.labels == {
        "alertname": "ProbeHttpFailed",
        "service": "checkout",
        "probe": "front",
        "instance": "http://shop.example/health",
    }
    assert (failed.state, failed.title, failed.starts_at, failed.ends_at) == ("firing", "it is down", 60, None)
    assert (over.state, over.starts_at, over.ends_at) == ("resolved", 120, 120)
    assert failed.annotations == {"status": "503"}
    assert failed.severity == "critical"


def test_the_plan_knows_every_probe_of_the_register_and_no_other() -> None:
    assert set(probes(str)) == set(KINDS) == set(probed())
    assert all(kind in said.fields and said.fields[kind].required for kind, said in probed().items())


@pytest.mark.parametrize("kind", KINDS)
async def test_no_probe_raises_for_a_target_or_option_that_is_nonsense(outbound: Outbound, kind: str) -> None:
    for target in ("", "\0", "http://[", "//", "\ud800", "x" * 5000, "http://\ud800.example", "a:b:c:1"):
        options = {"status": "x", "latency": "y", "certificate_days": "z", "used_percent": "q", "free_bytes": "?"}
        found = await look(outbound, ProbeSpec(service="s", name="n", kind=kind, target=target, options=options))
        assert not found.ok
        event = as_event(spec(kind, target), found, 0)
        assert event.title
        assert msgspec.json.encode(event)  # can be stored


async def test_a_body_pattern_re2_refuses_is_a_failure_not_a_crash(outbound: Outbound, catcher: Catcher) -> None:
    assert not (await look(outbound, spec("http", catcher.url, body="(?=x)"))).ok


# --- peer -------------------------------------------------------------------------------------------------------------


async def test_a_peer_is_well_when_it_says_so_and_else_its_own_words_are_told(
    outbound: Outbound, catcher: Catcher
) -> None:
    catcher.replies.extend([Reply(200, "ready\n"), Reply(503, "timers are 9 s late\nthe plan\n"), Reply(200, "<html>")])
    well, ill, stranger = [await look(outbound, spec("peer", catcher.url + "/")) for _ in range(3)]
    assert (well.ok, well.summary) == (True, f"Tocsin at {catcher.url} is ready")
    assert (ill.ok, ill.summary) == (False, f"Tocsin at {catcher.url} is not well: timers are 9 s late; the plan")
    assert (stranger.ok, stranger.summary.split(" is ")[1]) == (False, "not what answers there: 200 for /readyz")
    assert {one.path for one in catcher.requests} == {"/readyz"}
    deaf = await look(outbound, spec("peer", f"http://127.0.0.1:{free_port()}"))
    assert not deaf.ok and "is deaf: the connection was refused" in deaf.summary
    catcher.default = Reply(delay=3.0)
    silent = await look(outbound, spec("peer", catcher.url, timeout=0.2))
    assert silent.summary.endswith("is deaf: it did not answer within 0.2 s")
