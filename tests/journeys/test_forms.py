"""Every form of a playbook on a real server: steps in YAML, a runbook people tick, a rule in CEL."""

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
  files:
    escalation: shop
    playbooks: [write-it, write-nowhere, only-in-europe, look-around]
    targets:
      disk: {kind: note, look with: secret:note, fix with: secret:note, match: ['place="here"']}
      nowhere: {kind: note, look with: secret:missing, fix with: secret:missing, match: ['place="nowhere"']}
routes:
  - {match: ['alertname=~".+"'], service: files, group: {by: [alertname, place]}}
"""
CODE = '''"""A note on a disk."""

from pathlib import Path

from tocsin import Target, fix, look


class Note(Target, frozen=True):
    kind = "note"


@look
def lines(note: Note) -> tuple[str, ...]:
    path = Path(note.credential)
    return tuple(path.read_text().splitlines()) if path.exists() else ()


@fix(idempotent=True)
def write(note: Note, *, text: str, times: int = 1) -> None:
    Path(note.credential).write_text(f"{text}\\n" * times)
'''
WRITE = """
playbook: write-it
about: Writes what is missing.
answers: ['alertname="Missing"']
works on: {note: note}
trust: {start: act}
steps:
  - {look: playbooks.notes.lines, on: note, as: before}
  - hand over: it is there already
    if: {before: {contains: hello}}
    findings: before
  - {fix: playbooks.notes.write, on: note, with: {text: hello, times: 2}}
  - {verify: playbooks.notes.lines, on: note, until: {count: {is: 2}}, within: 5s}
"""
RULE = """
playbook: only-in-europe
answers: ['alertname="Slow"']
where: labels.zone == 'eu'
steps: [{tell: hello}]
"""
RUNBOOK = """# Look around

## First
- [ ] Open the window
- [ ] Write it down: [now](playbook:write-it)

## Then
- [ ] Tell support `#help`
"""


def made(folder: Path, database: str | None = None) -> TocsinServer:
    (folder / "plan" / "playbooks").mkdir(parents=True)
    (folder / "plan" / "tocsin.yaml").write_text(PLAN)
    files = {"notes.py": CODE, "write-it.yaml": WRITE, "europe.yaml": RULE, "look-around.md": RUNBOOK}
    files["nowhere.yaml"] = WRITE.replace("write-it", "write-nowhere").replace("Missing", "Nowhere")
    for name, text in files.items():
        (folder / "plan" / "playbooks" / name).write_text(text)
    secrets = {"TOCSIN_SECRET_NOTE": str(folder / "note")}
    return TocsinServer(folder, plan=folder / "plan", database=database, environment=secrets).start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TocsinServer]:
    server = made(tmp_path_factory.mktemp("forms"))
    yield server
    server.stop()


def got(server: TocsinServer, path: str) -> Any:
    return server.call("GET", f"/api/v1{path}")[1]


def playbooks(server: TocsinServer) -> dict[str, Any]:
    return {one["name"]: one for one in got(server, "/playbooks")}


def told(server: TocsinServer, incident: int) -> list[str]:
    return [f"{one['reason']}: {one['what']}" for one in got(server, f"/incidents/{incident}/timeline")["items"]]


def fires(server: TocsinServer, name: str, **labels: str) -> int:
    more = [text for key, value in labels.items() for text in ("--label", f"{key}={value}")]
    server.run(
        "send", "--service", "inbox", "--title", name, "--label", f"alertname={name}", *more, "--severity", "critical"
    )
    return int(got(server, "/incidents?state=all&limit=1")["items"][0]["number"])


def run_of(server: TocsinServer, incident: int, *outcomes: str) -> dict[str, Any]:
    def there() -> dict[str, Any]:
        found: list[dict[str, Any]] = got(server, f"/runs?incident={incident}")["items"]
        return found[0] if found and {found[0]["state"], found[0]["outcome"]} & set(outcomes) else {}

    return eventually(there, what=f"the run of #{incident} to be {outcomes}", within=30)


def test_steps_in_yaml_fix_and_verify_a_real_thing(server: TocsinServer) -> None:
    incident = fires(server, "Missing", place="here")
    run = run_of(server, incident, "watching", "handed_over")
    assert run["state"] == "watching", run["findings"]
    sheet = got(server, f"/runs/{run['number']}")
    assert [one["verb"] for one in sheet["steps"]] == ["look", "fix", "verify"]
    assert sheet["steps"][1]["arguments"] == "disk, text='hello', times=2"


def test_a_secret_that_is_missing_calls_a_person_and_costs_no_trust(server: TocsinServer) -> None:
    incident = fires(server, "Nowhere", place="nowhere")
    run = run_of(server, incident, "handed_over")
    assert "missing" in run["why"]
    found = playbooks(server)["write-nowhere"]
    assert (found["trust"], found["failed"]) == ("act", 0)
    assert got(server, f"/incidents/{incident}/pages")["items"]


def test_a_rule_that_comes_to_no_answer_is_seen_everywhere(server: TocsinServer) -> None:
    incident = fires(server, "Slow", place="here")
    run = run_of(server, incident, "not_needed")
    assert "Key not found" in run["why"]
    assert any(one.startswith("rule_error: ") and "Key not found" in one for one in told(server, incident))
    assert "Key not found" in playbooks(server)["only-in-europe"]["rule_error"]
    eventually(lambda: "rule_error" in server.log.read_text(), what="the log to say so")
    assert 'kind="rules",reason="rule_error"' in str(server.call("GET", "/metrics")[1])


def test_a_runbook_is_ticked_from_the_terminal(server: TocsinServer) -> None:
    incident = fires(server, "Odd")
    number = str(incident)
    shown = server.run("incidents", "checklist", number).stdout
    assert "Look around (look-around): 0 of 3 done" in shown and "[ ]  1. Open the window" in shown
    assert f"tocsin playbook run write-it --incident {number}" in shown
    done = server.json("incidents", "tick", number, "3")
    assert done["done"] == 1 and done["steps"][2]["done_by"]
    assert "has no step 9" in server.run("incidents", "tick", number, "9", check=False).stderr
    back = server.json("incidents", "untick", number, "3", "--why", "nobody was there")
    assert back["done"] == 0
    story = told(server, incident)
    assert "ticked: Done: Tell support `#help`" in story
    assert "unticked: Not done after all: Tell support `#help`: nobody was there" in story


def test_ticks_are_kept_on_postgresql_too(postgres_url: str, tmp_path: Path) -> None:
    server = made(tmp_path, postgres_url)
    try:
        incident = fires(server, "Odd")
        (shown,) = got(server, f"/incidents/{incident}/checklists")
        place = f"/api/v1/incidents/{incident}/checklists/{shown['name']}"
        first, second = (one["id"] for one in shown["steps"][:2])
        for step in (first, second, first):
            assert server.call("POST", f"{place}/{step}/tick")[0] == 200, "the same person says it twice"
        assert server.call("POST", f"{place}/{second}/untick", {"why": "too early"})[0] == 200
        assert server.call("POST", f"{place}/{second}/untick", {"why": "too early"})[0] == 409
        assert server.call("POST", f"{place}/{second}/untick", {})[0] == 400
        assert server.call("POST", f"{place}/nope/tick")[0] == 404
        (again,) = got(server, f"/incidents/{incident}/checklists")
        assert [bool(one["done_by"]) for one in again["steps"]] == [True, False, False]
        assert sum(one.startswith("ticked") for one in told(server, incident)) == 2
    finally:
        server.stop()
