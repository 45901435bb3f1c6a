"""`tocsin watch-peer`: what it tells its own server."""

from __future__ import annotations

from tests.cli.stage import Stage
from tests.support.ports import free_port
from tocsin.incidents.routes import Router


def test_each_deaf_peer_is_an_incident_of_its_own(stage: Stage) -> None:
    """One that joined the acknowledged incident of another would page nobody."""
    stage.answers["POST /services/ops/events"] = (202, {"accepted": 1})
    groups = set()
    for _ in range(2):
        done = stage.run("watch-peer", f"http://127.0.0.1:{free_port()}", "--service", "ops", "--once")
        assert (done.code, "whoever answers for ops is paged" in done.out) == (1, True)
        event = next(one.body for one in reversed(stage.asked) if one.method == "POST")
        assert event["state"] == "firing"
        groups.add(Router(()).route("ops", event["key"], event["labels"], event["severity"]).group)
    assert len(groups) == 2
