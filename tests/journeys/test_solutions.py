"""Each fault of PostgreSQL, Redis, a process and a folder on the real thing: answered by the documentation's playbooks.

Each is made ``TOCSIN_ROUNDS`` times (once without it; the figures in docs/solutions are of 20), and as often an alert
comes about a system that is well. With ``TOCSIN_FIGURES`` the times are written into that file.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.faults import PAGES, Fault
from tests.journeys.solutions import Stage, fill, staged
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey
ROUNDS = int(os.environ.get("TOCSIN_ROUNDS", "1"))
FIGURES = os.environ.get("TOCSIN_FIGURES", "")
FAULTS = (
    *("connections", "blocked", "long", "lag", "log", "slot", "archive", "wraparound"),
    *("process", "process-ssh", "leak", "leak-ssh", "disk", "disk-ssh", "rotate"),
    *("redis-memory", "redis-clients", "redis-full", "redis-script"),
)
LEFT = ("slot", "archive", "redis-full")
"""What a person alone may end."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("systems")) as made:
        assert tuple(made.faults) == FAULTS
        yield made


@pytest.fixture(scope="module")
def server(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TocsinServer]:
    folder = tmp_path_factory.mktemp("tocsin")
    stage.write_plan(folder / "plan")
    made = TocsinServer(folder, plan=folder / "plan", environment=stage.secrets)
    made.start()
    yield made
    made.stop()
    words = made.log.read_text()
    assert "readingword" not in words and "fixingword" not in words


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_mended_or_handed_over_with_what_holds_it(server: TocsinServer, stage: Stage, name: str) -> None:
    fault, took = stage.faults[name], []
    for round in range(ROUNDS):
        fault.befall(round)
        assert name in LEFT or not fault.over(), "there is a fault"
        before = fault.bystanders()
        began = time.monotonic()
        run = answered(server, fault, f"fault-{round}")
        took.append(time.monotonic() - began)
        assert (run["outcome"] or run["state"]) == fault.comes_to, json.dumps(run)
        assert fault.over()
        assert fault.bystanders() == before, "nothing else was touched"
        handed_over = fault.comes_to == "handed_over"
        assert not handed_over or fault.says in json.dumps(run["findings"]), run["findings"]
        ends(server, fault, f"fault-{round}", run)
        pages = server.call("GET", f"/api/v1/incidents/{run['incident']}/pages")[1]["items"]
        assert {one["person"] for one in pages} == ({"ana"} if handed_over else set()), json.dumps(pages)
    note(name, took)


@pytest.mark.parametrize("name", [one for one in FAULTS if one not in LEFT])
def test_a_system_that_is_well_is_left_alone(server: TocsinServer, stage: Stage, name: str) -> None:
    fault = stage.faults[name]
    fault.calm()
    before = fault.everything()
    for round in range(ROUNDS):
        run = answered(server, fault, f"well-{round}")
        assert run["outcome"] == "handed_over", json.dumps(run)
        steps = server.call("GET", f"/api/v1/runs/{run['number']}")[1]["steps"]
        assert {one["verb"] for one in steps} - {"when"} == {"look"} and all(one["state"] == "done" for one in steps)
        assert fault.everything() == before
        ends(server, fault, f"well-{round}", run)


def test_tocsins_own_probe_sees_it_and_sees_that_it_is_over(server: TocsinServer, stage: Stage) -> None:
    """On the server that grows old, so that nothing else is asked of it meanwhile."""
    shop = stage.old
    shop.quiet()
    # While it was made old it was stopped, and on a slow machine its probe may have seen that: then a run looked at a
    # server that was not there, which costs trust.
    known = newest(server, "probed").get("number")
    trust = "/api/v1/playbooks/probed/close-idle-connections/trust"
    assert server.call("PUT", trust, {"trust": "act", "why": "it looked at a server that was stopped"})[0] == 200
    fill(shop)
    verified_by_its_probe(server, "probed", known)
    shop.quiet()


def test_so_does_that_of_redis_before_nobody_gets_in(server: TocsinServer, stage: Stage) -> None:
    stage.crowded.befall(0)
    verified_by_its_probe(server, "probed-redis", None)
    assert stage.crowded.over()
    stage.crowded.calm()


def newest(server: TocsinServer, service: str) -> dict[str, Any]:
    """The newest run of a service; {} before the first."""
    found = server.call("GET", f"/api/v1/runs?service={service}&limit=1")[1]["items"]
    return dict(found[0]) if found else {}


def verified_by_its_probe(server: TocsinServer, service: str, known: int | None) -> None:
    """Wait until another run than a known one has mended it, and nobody was paged. Its alert was the probe's own."""

    def over() -> dict[str, Any]:
        run = newest(server, service)
        return run if run and run["number"] != known and run["state"] == "ended" else {}

    run = eventually(over, what="the run to be over", within=20)
    assert run["outcome"] == "verified", json.dumps(run)
    assert server.call("GET", f"/api/v1/incidents/{run['incident']}")[1]["state"] == "resolved"
    pages = server.call("GET", f"/api/v1/incidents/{run['incident']}/pages")[1]["items"]
    assert [page for page in pages if page["intended_at"] >= run["started_at"]] == []


def test_every_fault_of_the_documentation_is_made_here(stage: Stage) -> None:
    """But five: one's own statements (tests/library/test_sql.py), a program of supervisor's (test_supervised.py), a
    unit of systemd's (test_systemd.py), and what a replica and a disk of Redis come to (test_redis.py).
    """
    answered_here = {tuple(one.labels.values()) for one in stage.faults.values()}
    pages = {one.page for one in stage.faults.values()}
    text = "".join((PAGES / page).read_text(encoding="utf-8") for page in pages)
    declared = text.count("@playbook(")
    assert declared == len(answered_here) + 5


def tell(server: TocsinServer, fault: Fault, round: str, state: str) -> None:
    """What a monitor says about it."""
    labels = {**fault.labels, "fault": fault.name, "round": round}
    event = {"title": f"{fault.name} {round}", "state": state, "severity": "critical", "labels": labels}
    status, said = server.call("POST", "/api/v1/services/inbox/events", event)
    assert status < 300, said


def answered(server: TocsinServer, fault: Fault, round: str) -> dict[str, Any]:
    """Its run, once it has verified or handed over."""
    path = f"/api/v1/runs?service={fault.name}&limit=1"
    last = [one["number"] for one in server.call("GET", path)[1]["items"]]
    tell(server, fault, round, "firing")

    def there() -> dict[str, Any]:
        found = server.call("GET", path)[1]["items"]
        new = bool(found) and found[0]["number"] not in last and found[0]["state"] in ("watching", "ended")
        return found[0] if new else {}

    return eventually(there, what=f"the answer to {fault.name}", within=60)


def ends(server: TocsinServer, fault: Fault, round: str, run: dict[str, Any]) -> None:
    """The monitor says that it is over: so is the incident."""
    tell(server, fault, round, "resolved")
    path = f"/api/v1/incidents/{run['incident']}"
    eventually(lambda: server.call("GET", path)[1]["state"] == "resolved", what="the incident to be over")


def note(name: str, took: list[float]) -> None:
    """Keep the times."""
    if FIGURES:
        with Path(FIGURES).open("a") as file:
            median, most = statistics.median(took), max(took)
            file.write(f"{name}: {len(took)} of {ROUNDS}, median {median:.2f} s, at most {most:.2f} s\n")
