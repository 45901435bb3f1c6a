"""The real `tocsin up` as a child process, driven only through what scripts may rely on."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.support.nursery import run_warm
from tests.support.ports import free_port
from tests.support.processes import Process, inherited_environment
from tests.support.waiting import eventually

# In the data folder, readable by its owner alone: what lets the command line in on the server's own machine.
TOKEN_FILE = "token"
_NURSERIES = itertools.count()


class TocsinServer:
    """One Tocsin with its data, plan and port. It outlives its process: stop, kill and restart keep all three."""

    warm_by_default = False
    """Tests set it (`tests/conftest.py`); benchmarks, which measure starts, do not."""

    def __init__(
        self,
        folder: Path,
        *,
        plan: Mapping[str, Any] | str | Path | None = None,
        database: str | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        scheme: str = "http",
        warm: bool | None = None,
    ) -> None:
        """Prepare a server under `folder`; `start()` starts it.

        `plan` is a folder, or the content of its `tocsin.yaml` as text or mapping; without one Tocsin writes its
        starter plan. `database` is a SQLAlchemy URL, without one it is SQLite in the data folder. `arguments` follow
        `tocsin up`; `prefix` goes before it (`["taskset", "-c", "0"]`). `warm`: whether it is forked from a process
        that has imported everything, instead of executing the installed command.
        """
        self.data = folder / "data"
        self.plan = plan if isinstance(plan, Path) else self.data / "plan" if plan is None else folder / "plan"
        if plan is not None and not isinstance(plan, Path):
            self.write_plan(plan)
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.database = database
        self.arguments = list(arguments)
        self.environment = dict(environment or {})
        self.prefix = list(prefix)
        self.warm = not prefix and (self.warm_by_default if warm is None else warm)
        self.log = folder / "tocsin.log"
        self.process: Process | None = None
        self._nursery = next(_NURSERIES)

    def write_plan(self, plan: Mapping[str, Any] | str) -> None:
        """Write the plan's `tocsin.yaml`; a running server reads it when told to reload."""
        self.plan.mkdir(parents=True, exist_ok=True)
        text = plan if isinstance(plan, str) else yaml.safe_dump(dict(plan), sort_keys=False)
        (self.plan / "tocsin.yaml").write_text(text)

    def start(self, *, wait: bool = True, within: float = 30.0) -> TocsinServer:
        """Start `tocsin up` and, unless told not to, wait until /readyz says 200."""
        assert self.process is None or not self.process.running, "already running"
        command = [*self.prefix, str(tocsin_command()), "up", "--data", str(self.data), "--plan", str(self.plan)]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        if self.database:
            command += ["--database", self.database]
        environment = inherited_environment(PYTHONUNBUFFERED="1", **self.environment)
        self._nursery += 1  # another than before, and than that of whoever was made before it
        self.process = Process(
            [*command, *self.arguments],
            log=self.log,
            env=environment,
            warm=self.warm,
            nursery_number=self._nursery,
        )
        if wait:
            self.wait_ready(within=within)
        return self

    def wait_ready(self, *, within: float = 30.0) -> None:
        """Wait until /readyz says 200; if the process ends first, fail with what it printed."""
        self._running().wait_until(lambda: self.status("/readyz") == 200, within=within, what="Tocsin to be ready")

    def stop(self, *, within: float = 20.0) -> int:
        """SIGTERM, and its exit code."""
        return self._running().stop(within=within)

    def kill9(self) -> None:
        """SIGKILL to the supervisor and all its children at once; returns when none is left."""
        self._running().kill9()

    def restart(self, *, wait: bool = True) -> TocsinServer:
        """Stop it if it runs, and start it again on the same data, plan and port."""
        if self.process is not None and self.process.running:
            self.stop()
        return self.start(wait=wait)

    def status(self, path: str) -> int | None:
        """The status code of a GET without credentials; None while nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    @property
    def token(self) -> str:
        """The bearer token of the server's own machine, from its data folder."""
        return eventually(lambda: (self.data / TOKEN_FILE).read_text().strip(), what=f"{self.data / TOKEN_FILE}")

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        authorized: bool = True,
    ) -> tuple[int, Any]:
        """One HTTP request: status and the body, decoded when it is JSON, else as text.

        `body` is sent as JSON unless it is bytes. `authorized` sends the machine's own token.
        """
        sent = {"Authorization": f"Bearer {self.token}"} if authorized else {}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={**sent, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                status, kind, content = answer.status, answer.headers.get_content_type(), answer.read()
        except urllib.error.HTTPError as error:
            status, kind, content = error.code, error.headers.get_content_type(), error.read()
        return status, json.loads(content) if content and kind.endswith("json") else content.decode(errors="replace")

    def run(self, *arguments: str, check: bool = True, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run another `tocsin` command against this server, found by its data folder.

        With `check`, a non-zero exit is an AssertionError that shows both outputs.
        """
        environment = inherited_environment(TOCSIN_DATA=str(self.data), NO_COLOR="1", COLUMNS="200")
        run = run_warm if self.warm else _run_cold
        done = run([str(tocsin_command()), *arguments], environment, timeout)
        if check:
            shown = f"tocsin {' '.join(arguments)} ended with {done.returncode}"
            assert done.returncode == 0, f"{shown}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        """What a command prints with `--json`, decoded."""
        return json.loads(self.run(*arguments, "--json").stdout)

    def new_key(self, source: str, service: str = "inbox") -> dict[str, str]:
        """`tocsin key create`: `id`, `key`, and the `url` one pastes into the sender."""
        key: dict[str, str] = self.json("key", "create", "--source", source, "--service", service)
        return key

    def output(self) -> str:
        """All that it, and its earlier lives, printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def close(self) -> None:
        """Stop it if it runs, leaving its files."""
        if self.process is not None and self.process.running:
            self.process.stop(within=10)

    def _running(self) -> Process:
        assert self.process is not None, "never started"
        return self.process


def _run_cold(argv: Sequence[str], env: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )


def tocsin_command() -> Path:
    """The `tocsin` installed beside the Python that runs the tests."""
    command = Path(sys.executable).parent / "tocsin"
    assert command.exists(), f"{command} is not installed"
    return command
