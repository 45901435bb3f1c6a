"""Systems on this machine, as the plan declares them: what reaches them, what may be done, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from tests.plan.written import read
from tocsin.library.disk import Where as FolderWhere
from tocsin.library.process import Where as ProcessWhere
from tocsin.playbooks.targets import Target, credential

PLAN = """
tocsin: 1
people: {ana: {}}
services:
  shop:
    targets:
      it: %s
    probes:
      - {http: "http://127.0.0.1:1/", name: health}
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
    assert ("shop", {"alertname": "ProbeHttpFailed", "probe": "health"}) in plan.rules()
