"""Systems on this machine, as the plan declares them: what reaches them, what may be done, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.plan.written import read
from tocsin.library.dial import Where as DialWhere
from tocsin.library.disk import Where as FolderWhere
from tocsin.library.haproxy import Where as HaproxyWhere
from tocsin.library.http import Where as HttpWhere
from tocsin.library.process import Where as ProcessWhere
from tocsin.library.supervised import Where as SupervisedWhere
from tocsin.library.systemd import Where as SystemdWhere
from tocsin.playbooks.targets import Target, credential

PLAN = """
tocsin: 1
people: {ana: {}}
services:
  shop:
    probes:
      - {http: "http://127.0.0.1:1/", name: health}
    targets:
      it: %s
"""


def target(text: str) -> Target:
    plan = read(tocsin=PLAN % text).plan
    assert plan is not None
    return plan.targets[0]


def no_secret(reference: str) -> str:
    raise LookupError(reference)


def test_a_process_is_reached_by_what_the_plan_says_and_restarted_only_where_it_says_how():
    said = "process: /run/it.pid, command: shop --serve, health: 'http://127.0.0.1:1/'"
    seen = target(f"{{{said}}}")
    assert (seen.kind, seen.fixing) == ("process", "")
    looks = msgspec.json.decode(credential(seen.reading, no_secret), type=ProcessWhere)
    assert looks == ProcessWhere("/run/it.pid", "shop --serve", "http://127.0.0.1:1/")
    asked = ("systemctl", "restart", "it")
    for written, words in (("supervisor", ("supervisor",)), ("[systemctl, restart, it]", asked)):
        fixes = credential(target(f"{{{said}, restart with: {written}}}").fixing, no_secret)
        assert msgspec.json.decode(fixes, type=ProcessWhere).restart == words


def test_a_folder_is_changed_only_where_the_plan_says_what_may_go():
    seen = target("{folder: /var/log/it}")
    assert (seen.kind, seen.fixing) == ("folder", "")
    may = target("{folder: /var/log/it, delete: ['*.log.*']}")
    where = msgspec.json.decode(credential(may.fixing, no_secret), type=FolderWhere)
    assert where == FolderWhere("/var/log/it", ("*.log.*",))


def test_a_folder_on_another_machine_is_reached_as_the_one_who_looks_and_as_the_one_who_fixes():
    key = "ssh-ed25519 " + "A" * 68
    there = f"host: web-1.internal, user: watcher, fix as: deploy, host key: '{key}'"
    machine = f"{{ssh: {{{there}}}, look with: secret:l%s}}"
    text = "{folder: /var/log/it, delete: ['*.log.*'], rotate: [logrotate, -f, it], on: web-1}\n      web-1: "
    seen = target(text + machine % ", fix with: secret:f")
    looks, fixes = (
        msgspec.json.decode(credential(one, lambda name: name.upper()), type=FolderWhere)
        for one in (seen.reading, seen.fixing)
    )
    assert looks.on == {"host": "web-1.internal", "port": 22, "user": "watcher", "host_keys": [key]}
    assert (looks.secrets, looks.rotate) == ({"key": "SECRET:L"}, ())
    assert fixes.on is not None and fixes.on["user"] == "deploy" and fixes.secrets == {"key": "SECRET:F"}
    assert (fixes.delete, fixes.rotate) == (("*.log.*",), ("logrotate", "-f", "it"))
    wrong = read(tocsin=PLAN % (text + machine % ""))
    assert "web-1 says no key to fix with" in "\n".join(map(str, wrong.findings))
    lost = read(tocsin=PLAN % "{folder: /var/log/it, on: web-2}")
    assert "shop has no ssh target web-2" in "\n".join(map(str, lost.findings))


def test_a_postgres_is_reached_by_secrets_and_changed_only_where_one_says_with_what():
    seen = target("{postgres: secret:ro, fix with: secret:rw}")
    assert (seen.kind, seen.reading, seen.fixing) == ("postgres", "secret:ro", "secret:rw")
    assert target("{postgres: secret:ro}").fixing == ""


def test_what_is_no_secret_is_never_looked_up_as_one_and_a_secret_is():
    with pytest.raises(LookupError, match="secret:ro"):
        credential(target("{redis: secret:ro}").reading, no_secret)


@pytest.mark.parametrize(
    "text",
    [
        "{process: /run/it.pid}",
        "{process: it.pid, command: x}",
        "{process: /run/it.pid, command: x, folder: /var/log/it}",
        "{folder: /var/log/it, restart with: supervisor}",
        "{folder: var/log}",
        "{redis: secret:ro, on: web-1}",
        "{process: /run/it.pid, command: x, health: 'file:///etc/passwd'}",
        "{redis: secret:ro, delete: ['*']}",
        "{postgres: 'postgresql://watcher:word@db/shop'}",
        "{postgres: secret:ro, redis: secret:ro}",
    ],
)
def test_what_cannot_be_meant_is_refused(text: str):
    reading = read(tocsin=PLAN % text)
    assert reading.plan is None and reading.findings


def test_coverage_knows_a_probes_alert_by_the_name_it_has():
    plan = read(tocsin=PLAN % "{folder: /var/log/it}").plan
    assert plan is not None
    assert ("shop", 'alertname="ProbeHttpFailed" probe="health"') in [(one.service, one.text) for one in plan.rules()]


# -- systems that are reached from here --------------------------------------------------------------------------------

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxvbmdlbm91Z2hmb3JhaG9zdGtleXRoaXNpcw=="
MACHINE = f"{{host: web-1, user: watcher, fix as: deploy, host key: {KEY}}}"
HOST = f"{{ssh: {MACHINE}, look with: secret:ro, fix with: secret:rw}}"


def held(target: Target, fixing: bool = False) -> dict[str, Any]:
    text = credential(target.fixing if fixing else target.reading, lambda name: f"text of {name}")
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def test_a_machine_has_a_user_and_a_key_to_look_and_others_to_fix():
    seen = target(HOST)
    assert "text of" not in seen.reading + seen.fixing, "the plan holds no secret"
    there = {"host": "web-1", "port": 22, "host_keys": [KEY]}
    assert held(seen) == there | {"user": "watcher", "secrets": {"key": "text of secret:ro"}}
    assert held(seen, fixing=True) == there | {"user": "deploy", "secrets": {"key": "text of secret:rw"}}
    with pytest.raises(LookupError, match="secret:ro"):
        credential(seen.reading, no_secret)


def test_an_instance_knows_its_fellows_and_runs_commands_on_its_machine_with_its_keys():
    text = (
        "{http: {at: 'http://a/health', restart: [restart, web], on: host}, look with: secret:a}\n"
        "      other: {http: {at: 'http://b/health', sign in: basic}, look with: secret:b}\n"
        f"      host: {HOST}"
    )
    seen = target(text)
    looks, fixes = held(seen), held(seen, fixing=True)
    assert looks["fellows"] == {"other": {"at": "http://b/health", "basic": True}}
    assert "restart" not in looks and fixes["restart"] == ["restart", "web"]
    assert looks["secrets"] == {"token": "text of secret:a", "at other": "text of secret:b", "key": "text of secret:ro"}
    assert fixes["secrets"] == looks["secrets"] | {"key": "text of secret:rw"}
    assert (looks["on"]["user"], fixes["on"]["user"]) == ("watcher", "deploy")
    msgspec.json.decode(credential(seen.fixing, str), type=HttpWhere)


@pytest.mark.parametrize(
    ("text", "kind", "may"),
    [
        ("{http: {at: 'http://a/'}}", HttpWhere, False),
        ("{haproxy: {socket: /run/h.sock, server: web/a}}", HaproxyWhere, False),
        ("{haproxy: {socket: 'h:9999', server: web/a, drain: on}}", HaproxyWhere, True),
        ("{haproxy: {socket: /run/h.sock, server: web/a, least: 2, usual: 9}}", HaproxyWhere, True),
        ("{supervisor: {at: /run/s.sock, program: web}}", SupervisedWhere, False),
        ("{supervisor: {at: /run/s.sock, program: web, restart: on}}", SupervisedWhere, True),
        ("{systemd: {unit: web.service}}", SystemdWhere, False),
        ("{systemd: {unit: web@1.service, restart: on, manager: /run/user/7}}", SystemdWhere, True),
        ("{dial: {read: [a], set: [b, '{value}'], least: 1, usual: 2, most: 3}}", DialWhere, True),
        ("{dial: {url: 'http://a/', least: 1, usual: 2, most: 3}, fix with: secret:x}", DialWhere, True),
    ],
)
def test_what_is_reached_from_here_is_changed_only_where_the_plan_says_how(text: str, kind: type, may: bool):
    seen = target(text)
    msgspec.json.decode(credential(seen.reading, str), type=kind)
    assert bool(seen.fixing) is may
    if may:
        msgspec.json.decode(credential(seen.fixing, str), type=kind)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ssh: {host: web-1, user: watcher}, look with: secret:ro}", "host key"),
        (f"{{ssh: {{host: web-1, user: watcher, host key: {KEY}}}}}", "no key to look with"),
        ("{ssh: {host: web-1, user: watcher, host key: AAAA}, look with: secret:ro}", "is not a host key"),
        (f"{{ssh: {{host: '-oProxy', user: watcher, host key: {KEY}}}, look with: secret:ro}}", "is not a host"),
        ("{http: {at: 'http://a/', on: nowhere}}", "no ssh target nowhere"),
        ("{systemd: {unit: web}}", "is not a service of systemd"),
        ("{systemd: {unit: '--root=x.service'}}", "is not a service of systemd"),
        ("{systemd: {unit: web.service, on: nowhere}}", "no ssh target nowhere"),
        ("{haproxy: {socket: /run/h.sock, server: web}}", "is not a server of HAProxy"),
        ("{haproxy: {socket: /run/h.sock, server: web/a, least: 9, usual: 2}}", "no bounds"),
        ("{haproxy: {socket: /run/h.sock, server: web/a, least: 9}}", "no bounds"),
        ("{dial: {url: 'http://a/', least: 3, usual: 2, most: 9}}", "not least, usual, most"),
        ("{dial: {read: [a], least: 1, usual: 2, most: 9}}", "needs 'set'"),
        ("{dial: {read: [a], set: [b, value], least: 1, usual: 2, most: 9}}", "a command without {value}"),
        ("{redis: secret:a, look with: secret:b}", "needs 'kind' or 'ssh'"),
    ],
)
def test_what_cannot_be_reached_so_is_refused_with_the_reason(text: str, why: str):
    reading = read(tocsin=PLAN % text)
    assert reading.plan is None
    assert why in "\n".join(map(str, reading.findings)).replace("`", "'").replace('"', "'")


# -- which system a target is ------------------------------------------------------------------------------------------

TWO = PLAN + """      host: {ssh: {host: web-1, user: watcher, host key: KEY}, look with: secret:l, fix with: secret:f}
  bank:
    targets:
      that: %s
      there: {ssh: {host: web-1, user: other, host key: KEY}, look with: secret:m, fix with: secret:f}
      away: {ssh: {host: web-2, user: other, host key: KEY}, look with: secret:m, fix with: secret:f}
""".replace("KEY", KEY)


@pytest.mark.parametrize(
    ("ours", "theirs", "one"),
    [
        ("{redis: secret:a, fix with: secret:b}", "{redis: secret:a}", True),
        ("{redis: secret:a, fix with: secret:b}", "{redis: secret:c, fix with: secret:b}", False),
        ("{kind: box, look with: secret:a}", "{kind: crate, look with: secret:a}", False),
        ("{folder: /srv/a, delete: ['*.old']}", "{folder: /srv/a, delete: ['*.log'], rotate: [x]}", True),
        ("{folder: /srv/a}", "{folder: /srv/b}", False),
        ("{folder: /srv/a}", "{folder: /srv/a, on: there}", False),
        ("{folder: /srv/a, on: host}", "{folder: /srv/a, on: there}", True),
        ("{folder: /srv/a, on: host}", "{folder: /srv/a, on: away}", False),
        ("{process: /run/a.pid, command: a}", "{process: /run/a.pid, command: aa, restart with: supervisor}", True),
        ("{http: {at: 'http://a/'}}", "{http: {at: 'http://a/', restart: [r]}, look with: secret:x}", True),
        ("{haproxy: {socket: /run/h, server: w/a}}", "{haproxy: {socket: /run/h, server: w/a, drain: on}}", True),
        ("{haproxy: {socket: /run/h, server: w/a}}", "{haproxy: {socket: /run/h, server: w/b}}", False),
        ("{supervisor: {at: /run/s, program: w}}", "{supervisor: {at: /run/s, program: w, restart: on}}", True),
        ("{systemd: {unit: w.service}}", "{systemd: {unit: w.service, restart: on}}", True),
        ("{systemd: {unit: w.service}}", "{systemd: {unit: w.service, on: there}}", False),
        (
            "{dial: {read: [a], set: [b, '{value}'], least: 1, usual: 2, most: 3}}",
            "{dial: {read: [a], set: [c, '{value}'], least: 0, usual: 2, most: 9}}",
            True,
        ),
    ],
)
def test_a_system_is_one_for_all_services_that_say_where_it_is_alike(ours: str, theirs: str, one: bool):
    plan = read(tocsin=TWO % (ours, theirs)).plan
    assert plan is not None
    assert ("bank/that" in plan.bindings.alike(["shop/it"])) is one
    assert plan.bindings.alike(["shop/host"]) == ("shop/host", "bank/there"), "whoever looks there"
