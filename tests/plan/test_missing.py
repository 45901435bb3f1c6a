"""What a plan needs and this machine lacks is told when it is read, not at the first incident."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.plan.written import good
from tocsin.settings import Settings
from tocsin.wiring import missing_clients, missing_secrets

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHL6gKmGRrLyvRnFf0sH0Qe5sPZb1Zp3m3Q9tQh1b2cd"
PLAN = f"""
services:
  web:
    targets:
      host: {{ssh: {{host: web-1, user: u, host key: {KEY}}}, look with: secret:watch, fix with: secret:deploy}}
      one: {{http: {{at: 'https://web-1/', restart: [restart, web], on: host}}, look with: secret:token}}
      two: {{http: {{at: 'https://web-2/'}}}}
      payer: {{supervisor: {{at: 'http://10.0.0.7:9001', program: p, user: t, restart: on}}, look with: secret:word}}
      workers: {{dial: {{url: 'http://s/', least: 1, usual: 2, most: 3}}, look with: secret:scale}}
      folder: {{haproxy: {{socket: /run/h.sock, server: web/one, drain: on}}}}
      cache: {{redis: secret:cache}}
"""


def test_secrets_of_systems_that_the_plan_describes(tmp_path: Path) -> None:
    there = {"TOCSIN_SECRET_TOKEN": "x"}
    told = missing_secrets(Settings(tmp_path, environ=there), good(PLAN))
    missing = ("watch", "deploy", "word", "scale", "cache")
    assert {one.split()[1] for one in told} == {f"secret:{name}" for name in missing}
    assert all(one.startswith("warning: ") and one.endswith("until then what needs it fails") for one in told)
    assert len(told) == 5


def test_clients_of_systems_that_are_reached_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_clients(good(PLAN)) == []
    for name in ("asyncssh", "cryptography"):
        monkeypatch.setitem(sys.modules, name, None)
    told = missing_clients(good(PLAN))
    assert len(told) == 1 and "pip install 'tocsin[ssh]'; until then playbooks" in told[0]
    with_file = PLAN.replace("{at: 'https://web-2/'}", "{at: 'https://web-2/', certificate: /etc/web.pem}")
    told = missing_clients(good(with_file))
    assert len(told) == 2 and "pip install 'tocsin[http]'" in told[1]
