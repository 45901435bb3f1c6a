"""The real amtool against a real Tocsin: what it adds, queries, silences, updates, expires and imports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import TocsinServer
from tests.support.waiting import eventually


class Amtool:
    """The tool, told where our server is and which key to use."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *arguments: str, code: int = 0) -> str:
        """Its output; its exit code must be as expected."""
        command = ["amtool", f"--alertmanager.url={self.url}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout.strip() if code == 0 else done.stderr.strip()

    def json(self, *arguments: str) -> Any:
        """Its output with `-o json`."""
        return json.loads(self.run(*arguments, "-o", "json") or "[]")

    def instances(self, *arguments: str) -> list[str]:
        """The instances of the alerts it finds."""
        return sorted(one["labels"]["instance"] for one in self.json("alert", "query", *arguments))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TocsinServer]:
    """A Tocsin for all tests here; each has a key of its own."""
    made = TocsinServer(tmp_path_factory.mktemp("amtool"), arguments=["--paging", "off"])
    try:
        made.start()
        eventually(lambda: made.status("/api/openapi.json") == 200, what="the faces to answer")
        yield made
    finally:
        made.close()
        print(made.output()[-4_000:])


@pytest.fixture
def new_amtool(server: TocsinServer) -> Callable[[], Amtool]:
    """The real amtool with a fresh key of the inbox."""

    def make() -> Amtool:
        status, key = server.call("POST", "/api/v1/keys", {"source": "alertmanager", "service": "inbox"})
        assert status == 201, key
        return Amtool(key["url"])

    return make


def test_amtool_sees_what_it_added_by_matchers(new_amtool: Callable[[], Amtool]) -> None:
    """Equality, pattern and negation."""
    amtool = new_amtool()
    for place in ("q1", "q2", "r1"):
        amtool.run("alert", "add", "alertname=Query", f"instance={place}", "--annotation=summary=down")
    eventually(lambda: amtool.instances("alertname=Query") == ["q1", "q2", "r1"], what="all alerts to be shown")
    assert amtool.instances("alertname=Query", "instance=~q.*") == ["q1", "q2"]
    assert amtool.instances("alertname=Query", "instance!=q1", "instance!~r.*") == ["q2"]
    assert amtool.instances("alertname=Nothing") == []
    assert "error parsing regexp" in amtool.run("alert", "query", "alertname=Query", "instance=~[", code=1)


def test_a_silence_lives_as_amtool_expects(new_amtool: Callable[[], Amtool], tmp_path: Path) -> None:
    """Added, updated in place, expired, and imported again."""
    amtool = new_amtool()
    amtool.run("alert", "add", "alertname=Quiet", "instance=s1")
    eventually(lambda: amtool.instances("alertname=Quiet") == ["s1"], what="the alert to be shown")
    name = amtool.run("silence", "add", "alertname=Quiet", "instance=~s.*", "-a", "ana", "-c", "upgrade", "-d", "2h")
    assert amtool.instances("alertname=Quiet") == []
    assert amtool.instances("alertname=Quiet", "-s") == ["s1"]
    (added,) = amtool.json("silence", "query", "alertname=Quiet")
    assert (added["id"], added["comment"], added["createdBy"]) == (name, "upgrade", "ana")

    amtool.run("silence", "update", "-d", "3h", "-c", "longer", name)
    (updated,) = amtool.json("silence", "query", "alertname=Quiet")
    assert (updated["id"], updated["comment"], updated["startsAt"]) == (name, "longer", added["startsAt"])
    assert updated["endsAt"] > added["endsAt"]

    amtool.run("silence", "expire", name)
    assert amtool.instances("alertname=Quiet") == ["s1"]
    assert amtool.json("silence", "query", "alertname=Quiet") == []
    (over,) = amtool.json("silence", "query", "--expired", "--within", "1h", "alertname=Quiet")
    assert over["status"]["state"] == "expired"

    kept = tmp_path / "silences.json"
    kept.write_text(json.dumps([{**over, "id": "", "endsAt": "2099-01-01T00:00:00.000Z"}]))
    amtool.run("silence", "import", str(kept))
    (imported,) = amtool.json("silence", "query", "alertname=Quiet")
    assert imported["id"] != name
    assert amtool.instances("alertname=Quiet") == []


def test_a_silence_that_says_nothing_is_refused_as_amtool_knows_it(new_amtool: Callable[[], Amtool]) -> None:
    """And an unknown one cannot be expired."""
    amtool = new_amtool()
    assert "match the empty string" in amtool.run("silence", "add", "instance=~.*", "-a", "a", "-c", "x", code=1)
    assert "not found" in amtool.run("silence", "expire", "99999999-2222-3333-4444-555555555555", code=1)


def test_amtool_reads_what_stands_for_a_configuration(new_amtool: Callable[[], Amtool]) -> None:
    """Shown, and good enough for its routing tree."""
    amtool = new_amtool()
    assert "receiver: inbox" in amtool.run("config", "show")
    assert "inbox" in amtool.run("config", "routes")


def test_a_revoked_key_shows_nothing(server: TocsinServer) -> None:
    """From the next request on."""
    _, key = server.call("POST", "/api/v1/keys", {"source": "alertmanager", "service": "inbox"})
    amtool = Amtool(key["url"])
    amtool.run("silence", "query")
    assert server.call("DELETE", f"/api/v1/keys/{key['id']}")[0] == 204
    assert amtool.run("silence", "query", code=1)
