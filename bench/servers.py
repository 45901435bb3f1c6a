"""The servers that are measured: each a fresh, unmodified child process with a data folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psutil
import yaml

from bench.load_plan import alertmanager_config, tocsin_plan
from tests.support.ports import free_port
from tests.support.postgres import Postgres
from tests.support.processes import Process, inherited_environment
from tests.support.server import TocsinServer

RESULTS = Path(__file__).parent / "results"
KEYS = 48
"""Keys a round's alerts are spread over: each may have 50,000 active alerts and send 20,000 requests a second, and none
comes near that. All belong to the inbox, so that every alert is judged by all 100 routes."""


class Server(Protocol):
    """Something that takes `POST /api/v2/alerts`."""

    name: str
    url: str
    paths: list[str]

    def resident(self) -> int:
        """Bytes of memory its main process holds."""
        ...

    def processor_seconds(self) -> float:
        """Processor time all its processes have used."""
        ...

    def log_bytes(self) -> int:
        """Size of its write-ahead log, 0 when it has none to look at."""
        ...

    def decisions(self) -> dict[str, float]:
        """What it has counted so far, by name."""
        ...

    def close(self) -> None:
        """End it and remove its data."""
        ...


class Tocsin:
    """`tocsin up`, with the measuring plan, paging on and keys for a load."""

    def __init__(
        self,
        *,
        name: str = "tocsin",
        cores: str = "",
        postgres: Postgres | None = None,
        keys: int = KEYS,
        plan: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        started: bool = True,
    ) -> None:
        """Prepare one, and start it unless `started` says no. `cores` as taskset reads them, "" leaves it free."""
        self.name = name
        self._folder = new_folder()
        self._postgres = postgres
        self._database = postgres.new_database() if postgres else None
        self.server = TocsinServer(
            self._folder,
            plan=plan or tocsin_plan(),
            database=self._database,
            prefix=pinned(cores),
            environment=secrets or {},
        )
        self.url = self.server.url
        self.paths: list[str] = []
        if postgres is not None:
            pin(postgres.process, cores)
        if not started:
            return
        try:
            self.server.start()
            self.paths += [f"/am/{self.key()}/api/v2/alerts" for _ in range(keys)]
        except BaseException:
            self.close()
            raise

    def key(self, source: str = "alertmanager", service: str = "inbox") -> str:
        """Make a key and return its text."""
        status, made = self.server.call("POST", "/api/v1/keys", {"source": source, "service": service})
        if status != 201:
            raise RuntimeError(f"no key was made: {status} {made}")
        return str(made["key"])

    @property
    def core(self) -> psutil.Process:
        """The core process: the child of the supervisor that owns the listening socket."""
        process = self.server.process
        assert process is not None
        for member in process.family():
            if any(c.status == psutil.CONN_LISTEN for c in member.net_connections(kind="tcp")):
                return member
        raise RuntimeError("no process of Tocsin listens")

    def resident(self) -> int:
        """Bytes of memory the core holds."""
        return int(self.core.memory_info().rss)

    def processor_seconds(self) -> float:
        """Processor time of supervisor, core and faces, and of PostgreSQL where that is the store."""
        assert self.server.process is not None
        servers = [self.server.process, *([self._postgres.process] if self._postgres else [])]
        return sum(used_by(member) for server in servers for member in server.family())

    def log_bytes(self) -> int:
        """Size of SQLite's write-ahead log."""
        try:
            return (self.server.data / "tocsin.db-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def decisions(self) -> dict[str, float]:
        """Every figure of /metrics, labels and all."""
        return figures(self.url)

    def close(self) -> None:
        """End it and remove its data."""
        if self.server.process is not None and self.server.process.running:
            self.server.process.kill9()
        if self._postgres is not None and self._database is not None:
            self._postgres.drop_database(self._database)
        shutil.rmtree(self._folder, ignore_errors=True)


def figures(url: str) -> dict[str, float]:
    """What a server's /metrics says, by names with their labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


class Alertmanager:
    """Debian's Alertmanager, alone, with the same routes and nobody to notify."""

    def __init__(self, *, cores: str = "") -> None:
        self.name = "alertmanager"
        self._folder = new_folder()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.paths = ["/api/v2/alerts"]
        config = self._folder / "alertmanager.yml"
        config.write_text(yaml.safe_dump(alertmanager_config()))
        command = [
            *pinned(cores), program("prometheus-alertmanager", "alertmanager"), f"--config.file={config}",
            f"--storage.path={self._folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip
        self._process = Process(command, log=self._folder / "log", env=inherited_environment())
        self._process.wait_until(self._ready, within=30, what="Alertmanager to be ready")

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)

    def resident(self) -> int:
        """Bytes of memory it holds."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def processor_seconds(self) -> float:
        """Processor time it has used."""
        return used_by(psutil.Process(self._process.pid))

    def log_bytes(self) -> int:
        """It keeps alerts in memory only."""
        return 0

    def decisions(self) -> dict[str, float]:
        """Every figure of /metrics."""
        return figures(self.url)

    def close(self) -> None:
        """End it and remove its data."""
        self._process.kill9()
        shutil.rmtree(self._folder, ignore_errors=True)


class Watch:
    """Samples a server's memory and write-ahead log ten times a second; keeps the most."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self.most_log = 0
        self.most_resident = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            self.most_log = max(self.most_log, self._server.log_bytes())

    def _look(self) -> None:
        self.most_log = max(self.most_log, self._server.log_bytes())
        self.most_resident = max(self.most_resident, self._server.resident())


def used_by(process: psutil.Process) -> float:
    """Seconds of processor time one process has used, 0 when it is gone."""
    try:
        times = process.cpu_times()
        return float(times.user + times.system)
    except psutil.NoSuchProcess:
        return 0.0


def program(*names: str) -> str:
    """The path of the first of `names` on PATH. Raises SystemExit naming what would install it."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise SystemExit(f"bench: no {' or '.join(names)} on this machine; `make setup` installs it where it may")


def pinned(cores: str) -> list[str]:
    """What goes before a command to keep it on these cores; "" leaves it free."""
    return ["taskset", "-c", cores] if cores else []


def pin(process: Process, cores: str) -> None:
    """Keep a running server and what it starts from now on on these cores; "" sets it free."""
    for member in process.family():
        member.cpu_affinity([int(core) for core in cores.split(",") if core] or list(range(os.cpu_count() or 1)))


def new_folder() -> Path:
    """An empty folder on the disk the checkout lies on, for a server's data. Never one in memory."""
    RESULTS.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="round-", dir=RESULTS))


@contextmanager
def durable_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that keeps its promises (fsync on). Its data lies in /var/tmp, which is a disk.

    As root it runs as `nobody`, who may not be let through to the folder of this checkout.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir="/var/tmp") as folder:
        server = Postgres(Path(folder), durable=True)
        try:
            yield server
        finally:
            server.stop()


def fsync_milliseconds(times: int = 100) -> float:
    """The median time this disk takes to make 4 kB durable."""
    folder = new_folder()
    took = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    shutil.rmtree(folder)
    return sorted(took)[times // 2] * 1000


def version_of(command: Sequence[str]) -> str:
    """The first line a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.stdout or done.stderr else "?"


def python_version() -> str:
    """Such as 3.11.2."""
    return sys.version.split()[0]
