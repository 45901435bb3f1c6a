"""What a plan needs and this machine lacks is told when it is read, not at the first incident."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.stage import run
from tests.plan.written import good
from tocsin.cli.plan import check
from tocsin.cli.playbook import playbook
from tocsin.settings import Settings
from tocsin.wiring import missing_clients, missing_secrets
from tocsin.wiring.plans import declared_keys, keys_without, plan_reader

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


CARTS = """
services:
  cart:
    playbooks: [free]
    targets: {main: {redis: secret:a, fix with: secret:b}}
"""


def test_a_playbook_whose_client_is_not_here_is_told_of_where_it_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tocsin.yaml").write_text("tocsin: 1\npeople: {ana: {}}\n" + CARTS)
    assert run("playbook", "new", "free", "--plan", str(tmp_path)).code == 0
    assert "Redis" not in CliRunner().invoke(playbook, ["lint", str(tmp_path)]).output
    monkeypatch.setitem(sys.modules, "redis", None)
    for command, *words in ((playbook, "lint"), (check,)):
        done = CliRunner().invoke(command, [*words, str(tmp_path)])
        told = next(line for line in done.output.splitlines() if "client for Redis" in line)
        assert done.exit_code == 0 and "playbooks/free.py:7" in told and "notice: free needs" in told
        assert "pip install 'tocsin[redis]'" in done.output


def test_without_pytest_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "playbooks").mkdir()
    monkeypatch.setitem(sys.modules, "pytest", None)
    done = CliRunner().invoke(playbook, ["test", str(tmp_path)])
    assert done.exit_code == 1 and "pipx inject tocsin pytest" in done.output


KEYED = """
tocsin: 1
people: {ana: {name: Ana}}
last resort: [ana]
services:
  cart:
    keys:
      am: {source: alertmanager, secret: secret:am}
      ours: {source: events, secret: secret:ours}
"""


def test_keys_whose_secrets_are_away_stay_and_those_that_are_wrong_refuse_the_plan(tmp_path: Path) -> None:
    """A vault that does not answer must not keep a plan, or a start, from being."""
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "tocsin.yaml").write_text(KEYED)
    vault = tmp_path / "vault"
    vault.write_text(f"#!/bin/sh\n[ -e {tmp_path}/up ] && echo 0123456789abcdef-$1 || exit 1\n")
    vault.chmod(0o755)
    one = Settings(tmp_path, secrets_command=str(vault), environ={"TOCSIN_SECRET_OURS": "o" * 32})
    read = plan_reader(one, within=5.0)()
    assert read.ok and read.plan is not None
    (said,) = (finding for finding in read.findings if "secret:am" in finding)
    assert said.startswith("warning: the key ") and "ended with code 1; until then the key in use stays" in said
    keys = declared_keys(one, read.plan)
    assert [key[2] for key in keys.keys] == ["events"]
    assert [source for source, _, _ in keys.kept] == ["alertmanager"]
    assert keys.away == ("secret:am",), "by it a key that was renamed meanwhile is known"

    (tmp_path / "up").touch()
    assert not [finding for finding in plan_reader(one)().findings if "secret" in finding]
    assert len(declared_keys(one, read.plan).keys) == 2 and not declared_keys(one, read.plan).kept
    assert declared_keys(one, read.plan).away == ()
    (tmp_path / "up").unlink()
    again = plan_reader(one)()
    assert again.ok and any("secret:am was not to be had anew: it ended" in finding for finding in again.findings)
    assert len(declared_keys(one, read.plan).keys) == 2

    short = Settings(tmp_path, environ={"TOCSIN_SECRET_OURS": "o" * 32, "TOCSIN_SECRET_AM": "short"})
    read = plan_reader(short)()
    assert not read.ok and any("fewer than 16 characters" in finding for finding in read.findings)
    lacking = plan_reader(Settings(tmp_path, environ={"TOCSIN_SECRET_OURS": "o" * 32}))()
    assert not lacking.ok and lacking.plan is not None
    assert any(finding.startswith("error: the key am of cart: secret:am is not set") for finding in lacking.findings)
    wrong, away = keys_without(Settings(tmp_path, environ={}), lacking.plan, "warning: {}")
    assert len(wrong) == 2 and not away


WEAK = {
    "CACHE": ("redis://app:cart@h/0", "has fewer than 8 characters"),
    "SHOP": ("postgresql://shopwriter:shopwriter@h/shop", "is called as its user"),
    "BOOKS": ("postgresql://reader:Bookkeeping@h/bookkeeping", "is called as its database"),
    "TOKEN": ("abc", "has fewer than 8 characters"),
    "LONG": ("redis://app:8sjHx-20dk@h/0", ""),
    "NONE": ("redis://h/0", ""),
    "MANY": ("many-words-that-are-no-name", ""),
}


def test_a_password_that_may_stand_in_data_is_noticed_where_the_plan_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = "".join(f"      t-{name.lower()}: {{redis: secret:{name.lower()}}}\n" for name in WEAK)
    targets += "      away: {redis: secret:gone}\n"
    text = f"tocsin: 1\npeople: {{ana: {{}}}}\nservices:\n  web:\n    targets:\n{targets}"
    (tmp_path / "tocsin.yaml").write_text(text)
    for name, (secret, _) in WEAK.items():
        monkeypatch.setenv(f"TOCSIN_SECRET_{name}", secret)
    weak = [(name, why) for name, (_, why) in WEAK.items() if why]
    done = CliRunner().invoke(check, [str(tmp_path), "--json"])
    found = [one for one in json.loads(done.output)["findings"] if "the password of" in one["message"]]
    assert [one["message"].split(":")[1].split()[0].upper() for one in found] == [name for name, _ in weak]
    for one, (name, why) in zip(found, weak, strict=True):
        assert (one["level"], one["file"]) == ("notice", "tocsin.yaml") and why in one["message"]
        assert f"secret:{name.lower()}" in text.splitlines()[one["line"] - 1][one["column"] - 1 :]
    assert not any(secret in done.output for secret, why in WEAK.values() if why), "and it is not said"
    told = plan_reader(Settings(tmp_path / "data", tmp_path))().findings
    assert sum("the password of" in one for one in told) == len(weak), "where Tocsin runs it is said at a start"
