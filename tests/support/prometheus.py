"""A real Prometheus with the configuration and rules a test gives it."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.support import needs
from tests.support.ports import free_port
from tests.support.processes import Process


class Prometheus:
    """A running Prometheus; `url` is its base, without a slash at the end."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any] | str,
        rules: dict[str, Any] | str | None = None,
        *,
        resend_delay: str = "2s",
    ) -> None:
        """Start one under `folder` with `config` (a mapping or YAML text).

        `rules` is the content of one rule file, which is added to the configuration's `rule_files`. A firing alert is
        sent again after `resend_delay`; Prometheus' own default is a minute, and what it sends before it has learnt
        of its alertmanagers (up to five seconds) is gone until then.
        """
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        decoded: dict[str, Any] = yaml.safe_load(config) if isinstance(config, str) else dict(config)
        if rules is not None:
            file = folder / "rules.yml"
            file.write_text(rules if isinstance(rules, str) else yaml.safe_dump(rules))
            decoded["rule_files"] = [*decoded.get("rule_files", []), str(file)]
        main = folder / "prometheus.yml"
        main.write_text(yaml.safe_dump(decoded))
        self.process = Process(
            [
                needs.program("prometheus"),
                f"--config.file={main}",
                f"--storage.tsdb.path={folder / 'prometheus-data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--rules.alert.resend-delay={resend_delay}",
            ],
            log=folder / "prometheus.log",
        )
        self.process.wait_until(self._ready, within=20, what="Prometheus to be ready")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query, as the API gives it."""
        with urllib.request.urlopen(
            f"{self.url}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=10
        ) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result

    def alerts(self) -> list[dict[str, Any]]:
        """Pending and firing alerts, as the API gives them."""
        with urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["alerts"]
            return result

    def _ready(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
