"""Tocsin's own probes on real things that break and are mended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.journeys.telling import Shop, a_plan, becomes, incident, incidents, opened, reasons
from tests.support.mail import MailServer
from tests.support.processes import Process
from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

EVERY = {"every": "1s", "timeout": "1s"}


def test_an_http_server_that_dies_pages_and_its_return_ends_it(
    tocsin_server: Callable[..., TocsinServer], mail_server: MailServer, shop: Shop
) -> None:
    url = f"http://{shop.address}/health"
    server = tocsin_server(plan=a_plan(mail_server, {"shop": {"probes": [{"http": url, **EVERY}]}}))
    shop.die()
    found = opened(server, within=15)
    assert found["service"] == "shop"
    assert url in found["title"] or "refused" in found["title"]
    assert found["alerts"][0]["source"] == "probe"
    assert found["title"] in mail_server.wait_for(1)[0].subject
    shop.start()
    found = becomes(server, found["number"], "resolved", within=15)
    assert found["alert_count"] == 1
    # It comes back broken in another way: the words it must say are gone.
    (shop.folder / "health").unlink()
    again = becomes(server, found["number"], "triggered", within=15)
    assert "404" in again["alerts"][-1]["title"]


def test_a_port_a_process_and_a_folder_are_watched_too(
    tocsin_server: Callable[..., TocsinServer], shop: Shop, tmp_path: Path
) -> None:
    """Each breaks and is mended on its own service, and the others say nothing meanwhile."""
    queue = tmp_path / "queue"
    queue.mkdir()
    pidfile = tmp_path / "worker.pid"

    def work() -> Process:
        worker = Process(["sleep", "600"], log=tmp_path / "worker.log")
        pidfile.write_text(str(worker.pid))
        return worker

    worker = work()
    server = tocsin_server(
        plan=a_plan(
            services={
                "port": {"probes": [{"tcp": shop.address, **EVERY}]},
                "worker": {"probes": [{"process": {"pidfile": str(pidfile)}, **EVERY}]},
                "queue": {"probes": [{"disk": str(queue), "contents": "10kB", "failures": 1, **EVERY}]},
                "root": {"probes": [{"disk": "/", "used": "100%", "failures": 1, **EVERY}]},
            }
        )
    )

    def the(service: str) -> int:
        (found,) = eventually(lambda: incidents(server, service=service), within=15, what=f"an incident of {service}")
        return int(found["number"])

    shop.die()
    port = the("port")
    assert [one["service"] for one in incidents(server)] == ["port"]
    worker.kill9()
    process = the("worker")
    (queue / "orders").write_bytes(b"x" * 20_000)
    folder = the("queue")
    assert "20" in incident(server, folder)["title"]
    assert {one["service"] for one in incidents(server)} == {"port", "worker", "queue"}

    shop.start()
    becomes(server, port, "resolved", within=15)
    work()
    becomes(server, process, "resolved", within=15)
    (queue / "orders").unlink()
    becomes(server, folder, "resolved", within=15)


def test_a_probe_taken_out_of_the_plan_ends_its_alert(
    tocsin_server: Callable[..., TocsinServer], shop: Shop
) -> None:
    probes = [{"tcp": shop.address, "failures": 1, **EVERY}]
    server = tocsin_server(plan=a_plan(services={"shop": {"probes": probes}}))
    shop.die()
    found = opened(server, within=15)
    server.write_plan(a_plan(services={"shop": {}}))
    server.run("plan", "reload")
    _ends_for_it(server, found["number"])


def _ends_for_it(server: TocsinServer, number: int) -> None:
    """Its alert has ended; the incident is resolved a minute later, unless the plan has the probe again by then."""
    eventually(lambda: incident(server, number)["clear_at"], within=15, what=f"incident {number} to end")
    found = incident(server, number)
    assert {one["state"] for one in found["alerts"]} == {"resolved"}
    assert "left_the_plan" in reasons(found)


def test_a_probe_s_alert_survives_a_restart_and_ends_after_it(
    tocsin_server: Callable[..., TocsinServer], shop: Shop
) -> None:
    probes = [{"tcp": shop.address, "failures": 1, **EVERY}]
    server = tocsin_server(plan=a_plan(services={"shop": {"probes": probes}}))
    shop.die()
    found = opened(server, within=15)
    server.kill9()
    server.start()
    assert incident(server, found["number"])["state"] == "triggered"
    shop.start()
    becomes(server, found["number"], "resolved", within=15)
    assert len(incidents(server)) == 1


def test_a_probe_taken_out_of_the_plan_while_tocsin_was_down_ends_its_alert_too(
    tocsin_server: Callable[..., TocsinServer], shop: Shop
) -> None:
    """Nothing else could ever end it."""
    probes = [{"tcp": shop.address, "failures": 1, **EVERY}]
    server = tocsin_server(plan=a_plan(services={"shop": {"probes": probes}}))
    shop.die()
    found = opened(server, within=15)
    server.stop()
    server.write_plan(a_plan(services={"shop": {}}))
    server.start()
    _ends_for_it(server, found["number"])
