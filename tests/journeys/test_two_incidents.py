"""Two incidents about one system on a real server, on both stores: the second waits for the first one's run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import TocsinServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.journey

PLAN = """
tocsin: 1
team: shop
people: {ana: {name: Ana}}
escalations: {shop: [{page: ana, wait: 5m}]}
services:
  files: {escalation: shop, playbooks: [write, again], targets: TARGETS}
  other: {escalation: shop, playbooks: [write, again], targets: TARGETS}
routes:
  - {match: ['of="other"'], service: other}
  - {match: ['alertname=~".+"'], service: files}
""".replace("TARGETS", "{disk: {kind: note, look with: secret:note, fix with: secret:note}}")
CODE = '''"""A note on a disk, written once somebody lets it be."""

import time
from pathlib import Path

from tocsin import Run, Target, fix, look, playbook, trust


class Note(Target, frozen=True):
    kind = "note"


@look
def lines(note: Note) -> int:
    path = Path(note.credential)
    return len(path.read_text().splitlines()) if path.exists() else 0


@fix(idempotent=True)
def write_down(note: Note) -> None:
    while not Path(note.credential + ".go").exists():
        time.sleep(0.02)
    Path(note.credential).write_text("written\\n")


@fix(idempotent=True)
def write_more(note: Note) -> None:
    Path(note.credential).write_text("written\\nagain\\n")


@playbook(answers=['alertname="Missing"'], trust=trust(start="act"), hand_over_after="1m")
def write(run: Run, note: Note) -> None:
    if not run.look(lines, note):
        run.fix(write_down, note)
        run.verify(lines, note, until=lambda n: n > 0, within="5s")


@playbook(answers=['alertname="Short"'], trust=trust(start="ask"), hand_over_after="1m")
def again(run: Run, note: Note) -> None:
    run.fix(write_more, note)
    run.verify(lines, note, until=lambda n: n > 1, within="5s")
'''


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TocsinServer]:
    database = None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    (tmp_path / "plan" / "playbooks").mkdir(parents=True)
    (tmp_path / "plan" / "tocsin.yaml").write_text(PLAN)
    (tmp_path / "plan" / "playbooks" / "notes.py").write_text(CODE)
    secrets = {"TOCSIN_SECRET_NOTE": str(tmp_path / "note")}
    server = TocsinServer(tmp_path, plan=tmp_path / "plan", database=database, environment=secrets).start()
    yield server
    server.stop()


def got(server: TocsinServer, path: str) -> Any:
    return server.call("GET", f"/api/v1{path}")[1]


def code(server: TocsinServer, incident: int) -> dict[str, Any]:
    found = got(server, f"/incidents/{incident}")["code"]
    return dict(found[0]) if found else {}


def tells(server: TocsinServer, key: str, name: str, of: str, state: str = "firing") -> None:
    labels = {"alertname": name, "of": of}
    event = {"title": f"{name} of {of}", "key": f"{name}/{of}", "labels": labels, "state": state}
    assert server.call("POST", f"/api/events/{key}", event, authorized=False)[0] == 202


def test_the_second_waits_through_a_kill_and_nobody_is_called(server: TocsinServer, tmp_path: Path) -> None:
    key = server.new_key("events")["key"]
    tells(server, key, "Missing", "files")
    eventually(lambda: any(one["verb"] == "fix" for one in got(server, "/runs/1")["steps"]), what="the fix to begin")
    tells(server, key, "Missing", "other")
    works = "write waits for run 1 of write, which works on files/disk, which is other/disk too"

    def waits() -> bool:
        return (code(server, 2).get("why"), code(server, 2).get("awaits")) == (works, 1)

    eventually(waits, what="the second to wait")
    found = got(server, "/incidents/2")
    assert (found["paused"], code(server, 2)["until"]) == ("waits_for_run", got(server, "/runs/1")["deadline"])
    assert f"{works}, at most until" in " ".join(server.run("incidents", "show", "2").stdout.split())
    assert works in server.run("why", "2").stdout
    by_hand = server.run("playbook", "run", "write", "--service", "other", check=False)
    assert by_hand.returncode and "Not now: run 1 of write works on files/disk" in by_hand.stdout + by_hand.stderr
    server.kill9()
    server.start()
    assert waits() and got(server, "/incidents/2")["paused"] == "waits_for_run"
    (tmp_path / "note.go").touch()
    eventually(lambda: got(server, "/runs/1")["state"] == "watching", what="the fix to hold")
    eventually(lambda: "watches what it fixed" in code(server, 2)["why"], what="the second to wait for the watch")

    begun = server.run("playbook", "run", "again", "--service", "other", "--wait").stdout
    assert "Run 1 of write watches what it fixed on files/disk" in begun, "a watch keeps nobody"
    story = [one["reason"] for one in got(server, "/incidents/1/timeline")["items"]]
    assert "changed_beside" in story
    tells(server, key, "Missing", "other", "resolved")
    tells(server, key, "Missing", "files", "resolved")
    eventually(lambda: got(server, "/runs/1")["outcome"] == "overtaken", what="the watch to end")
    assert [got(server, f"/incidents/{one}")["state"] for one in (1, 2)] == ["resolved", "resolved"]
    assert got(server, "/pages")["items"] == [], "nobody was called"

    tells(server, key, "Short", "files")
    asks = int(eventually(lambda: code(server, 3).get("run"), what="a question") or 0)
    eventually(lambda: got(server, f"/runs/{asks}")["state"] == "asking", what="it to ask")
    (tmp_path / "note").unlink()
    tells(server, key, "Missing", "other")
    eventually(lambda: got(server, f"/runs/{asks}")["outcome"] == "overtaken", what="the question to be withdrawn")
    eventually(lambda: code(server, 3).get("run", asks) > asks, what="it to be asked anew")
