"""A changed plan is looked at before it is in force: by the command line, the API and another folder; then it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

PLAN = """\
tocsin: 1
timezone: Europe/Madrid
people: {ana: {name: Ana, email: ana@shop.example}, ben: {name: Ben, email: ben@shop.example}}
mail: {server: smtp://127.0.0.1:9, from: tocsin@shop.example}
last resort: [ana]
schedules:
  shop: {layers: [{rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-11-16 with ana}]}
escalations: {shop: [{page: shop, wait: 5m}]}
services: {checkout: {escalation: shop}}
"""
CHANGED = PLAN.replace("2026-11-16 with ana", "2026-11-16 with ben")


def test_a_changed_plan_is_seen_before_it_is_in_force(
    tocsin_server: Callable[..., TocsinServer], tmp_path: Path
) -> None:
    server = tocsin_server(plan=PLAN)
    force = server.call("GET", "/api/v1/plan")[1]["version"]
    assert "Nothing would change" in server.run("plan", "preview").stdout

    server.write_plan(CHANGED)
    told = server.json("plan", "preview")
    (shop,) = told["schedules"]
    assert (told["ok"], told["in_force"], shop["name"], shop["kind"]) == (True, force, "shop", "changed")
    assert {(*one["before"], *one["after"]) for one in shop["changes"]} == {("ana", "ben"), ("ben", "ana")}
    assert server.call("GET", "/api/v1/plan")[1]["version"] == force, "looking changed nothing"

    # An override counts in both: while Ana has everything, nothing of hers changes.
    server.run("oncall", "override", "shop", "ana", "--for", "2w")
    after = server.json("plan", "preview")["schedules"][0]["changes"]
    assert after[0]["start"] > shop["changes"][0]["start"]

    # Another folder, sent to the server; and one that is no good, which says so and still tells of its schedules.
    other = tmp_path / "other"
    other.mkdir()
    (other / "tocsin.yaml").write_text(CHANGED)
    sent = server.json("plan", "preview", "--plan", str(other))
    assert (sent["version"], sent["schedules"][0]["name"]) == (told["version"], "shop")
    (other / "tocsin.yaml").write_text(CHANGED.replace("escalation: shop}", "escalation: shpo}"))
    bad = server.run("plan", "preview", "--plan", str(other), check=False)
    assert (bad.returncode, "cannot be put in force" in bad.stdout) == (1, True)
    offline = server.run("plan", "preview", "--plan", str(server.plan), "--against", str(other))
    assert "overrides and calendars are not known here" in offline.stderr

    # By the API: one file onto the plan in force; a large plan is taken, too much is refused, and so is
    # somebody who may not reload.
    files = {"tocsin.yaml": CHANGED}
    one = {"files": files, "onto": True}
    assert server.call("POST", "/api/v1/plan/preview", one)[1]["version"] == told["version"]
    ample = {"files": {f"{place}.yaml": "#" * 999_000 for place in range(6)} | files}
    assert server.call("POST", "/api/v1/plan/preview", ample)[1]["asked"], "a plan that may be in force"
    large = {"files": {"tocsin.yaml": "#" * 17_000_000}}
    assert server.call("POST", "/api/v1/plan/preview", large)[0] == 413
    for place in range(15):
        (other / f"{place}.yaml").write_text("#\t\t" * 333_000)
    huge = server.run("plan", "preview", "--plan", str(other), check=False)
    assert (huge.returncode, "16 MB that can be sent to a server; compare it" in huge.stderr) == (1, True)
    server.run("user", "add", "lena", "--role", "responder")
    token = server.json("user", "token", "lena")["token"]
    theirs = {"Authorization": f"Bearer {token}"}
    assert server.call("POST", "/api/v1/plan/preview", one, headers=theirs, authorized=False)[0] == 403

    who = server.json("oncall", "shifts", "shop", "--from", "2026-11-16T12:00Z", "--to", "2026-11-16T13:00Z")
    assert [one["person"] for one in who] == ["ana"]
    now = server.call("GET", "/api/v1/status")[1]["now"]
    server.run("plan", "reload")
    assert eventually(lambda: server.call("GET", "/api/v1/plan")[1]["version"] == told["version"], what="the reload")
    assert "Nothing would change" in server.run("plan", "preview").stdout

    # Asked why Ana was not paged before that, it is her plan that says whether she was on call; the new one since.
    then = server.json("why", "--person", "ana", "--at", now)
    assert (then["plan"], then["older"], then["doubt"]) == (force, True, "")
    assert "Judged by the plan that was in force then" in server.run("why", "--person", "ana", "--at", now).stdout
    since = server.json("why", "--person", "ana")
    assert (since["plan"], since["older"]) == (told["version"], False)
    unknown = server.json("why", "--person", "ana", "--at", "2020-01-01T00:00Z")
    assert (unknown["plan"], unknown["doubt"]) == ("", "which plan was in force then was not written down")
