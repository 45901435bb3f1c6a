"""A real Alertmanager, alone on loopback."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support import needs
from tests.support.ports import free_port
from tests.support.processes import Process

_QUIET: dict[str, Any] = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


class Alertmanager:
    """A running Alertmanager; `url` is its base, without a slash at the end."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None, *, arguments: tuple[str, ...] = ()) -> None:
        """Start one with its data under `folder`; without `config` it notifies nobody."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config or _QUIET))
        self.process = Process(
            [
                needs.program("prometheus-alertmanager", "alertmanager"),
                f"--config.file={file}",
                f"--storage.path={folder / 'alertmanager-data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
                *arguments,
            ],
            log=folder / "alertmanager.log",
        )
        self.process.wait_until(self._ready, within=20, what="Alertmanager to be ready")

    def get(self, path: str) -> Any:
        """The decoded JSON of a GET, for instance of `/api/v2/alerts`."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)


@contextmanager
def running_alertmanager(
    config: dict[str, Any] | None = None, *, arguments: tuple[str, ...] = ()
) -> Iterator[Alertmanager]:
    """An Alertmanager for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="tocsin-alertmanager-") as name:
        server = Alertmanager(Path(name), config, arguments=arguments)
        try:
            yield server
        finally:
            server.process.stop()
