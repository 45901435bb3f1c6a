"""Keys at the doors: what each imitated API says to a sender that may not come in, or sends too much."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.journeys.telling import a_plan, curl, incidents
from tests.support import needs
from tests.support.server import TocsinServer

pytestmark = pytest.mark.journey

# The server as it is, with smaller limits for its sources: the usual ones take a minute of a whole machine to reach.
SMALL = """
import sys
sys.argv = sys.argv[1:]
from tocsin.intake import sources
from tocsin.intake.request import Limits
small = Limits(rate=0.5, burst=3, body=2000, alerts=4)
sources.SOURCES = {name: source._replace(limits=small) for name, source in sources.SOURCES.items()}
from tocsin.cli import main
sys.exit(main())
"""


class Answer(NamedTuple):
    """What a sender was told."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def send(source: str, url: str, key: str, *, body: str | None = None) -> Answer:
    """Send something good, or `body`, the way this source's senders do."""
    good = {
        "alertmanager": '[{"labels": {"alertname": "A"}}]',
        "pagerduty": json.dumps(
            {
                "routing_key": key, "event_action": "trigger", "dedup_key": "d",
                "payload": {"summary": "s", "source": "x", "severity": "info"},
            }
        ),
        "events": '{"title": "t", "key": "k"}',
        "heartbeat": "log",
    }[source]  # fmt: skip
    address = f"{url}/api/v2/alerts" if source == "alertmanager" else url
    said = _curl(address, key, body or good)
    head, _, rest = said.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, rest)


def _curl(address: str, key: str, body: str) -> str:
    """Head and body of the answer. The body sent comes by a pipe: it may be longer than an argument can be."""
    command = [
        needs.program("curl"), "-sS", "-D", "-", "-H", "Content-Type: application/json", "-H", "Expect:",
        "-H", f"Authorization: Bearer {key}", "--data-binary", "@-", address,
    ]  # fmt: skip
    done = subprocess.run(command, input=body, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def has_shape(source: str, answer: Answer) -> bool:
    """Whether a refusal looks as the imitated API's own do, and says something."""
    match source:
        case "alertmanager":
            said = answer.json()
            return said["code"] == answer.status and bool(said["message"])
        case "pagerduty":
            said = answer.json()
            return bool(said["status"] and said["message"] and said["errors"])
        case "events":
            said = answer.json()
            return answer.headers["content-type"] == "application/problem+json" and said["status"] == answer.status
        case _:
            return answer.headers["content-type"].startswith("text/plain") and "\n" not in answer.body.strip()


TAKEN = {"alertmanager": 200, "pagerduty": 202, "events": 202, "heartbeat": 200}
UNKNOWN = {"alertmanager": 401, "pagerduty": 400, "events": 401, "heartbeat": 401}
SOURCES = tuple(TAKEN)
PLAN = a_plan(services={"batch": {"heartbeats": {"nightly": {"every": "1d"}}}})


@pytest.fixture
def server(tocsin_server: Callable[..., TocsinServer]) -> TocsinServer:
    """Tocsin with its usual limits."""
    return tocsin_server(plan=PLAN)


def test_a_revoked_key_is_refused_at_once_in_its_own_api_s_shape(server: TocsinServer) -> None:
    for source in SOURCES:
        key = server.new_key(source, "batch")
        taken = send(source, key["url"], key["key"])
        assert taken.status == TAKEN[source], (source, taken)
        server.run("key", "revoke", str(key["id"]))
        refused = send(source, key["url"], key["key"])
        assert refused.status == UNKNOWN[source], (source, refused)
        assert has_shape(source, refused), (source, refused)
    listed = server.json("key", "list", "--all", "--service", "batch")
    assert all(one["revoked_at"] for one in listed)
    assert all("key" not in one or not one["key"] for one in listed), "a key is shown once"


def test_a_key_opens_its_own_source_s_door_only(server: TocsinServer) -> None:
    keys = {source: server.new_key(source, "batch") for source in SOURCES}
    for source in SOURCES:
        for other in SOURCES:
            if other == source:
                continue
            url = keys[source]["url"].replace(keys[source]["key"], keys[other]["key"])
            refused = send(source, url, keys[other]["key"])
            assert refused.status == UNKNOWN[source], (source, other, refused)
            assert has_shape(source, refused), (source, other, refused)
    assert incidents(server) == []
    assert server.json("alerts") == []


def test_no_key_at_all_is_refused_too(server: TocsinServer) -> None:
    status = ["-o", "/dev/null", "-w", "%{http_code}"]
    assert curl(*status, "-d", "[]", f"{server.url}/am//api/v2/alerts") == "401"
    assert curl(*status, "-d", "{}", f"{server.url}/api/events") == "401"
    assert curl(*status, "-d", "{}", f"{server.url}/v2/enqueue") == "400"
    assert curl(*status, f"{server.url}/ping/") == "401"
    assert curl(*status, f"{server.url}/api/events") == "405"


def test_a_key_never_appears_in_what_is_kept_or_logged(server: TocsinServer) -> None:
    """In the log, the database or an answer of the API."""
    keys = {source: server.new_key(source, "batch") for source in SOURCES}
    for source, key in keys.items():
        send(source, key["url"], key["key"])
        send(source, key["url"], key["key"], body="{")
    server.stop()
    kept = b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file()) + server.output().encode()
    for source, key in keys.items():
        assert key["key"].encode() not in kept, source


def test_a_body_beyond_the_limit_is_413_and_one_within_is_taken(server: TocsinServer) -> None:
    for source in ("alertmanager", "pagerduty", "events"):
        key = server.new_key(source, "batch")
        refused = send(source, key["url"], key["key"], body=_padded(source, key["key"], 4 * 1024 * 1024 + 1))
        assert refused.status == 413, (source, refused)
        assert has_shape(source, refused), (source, refused)
        taken = send(source, key["url"], key["key"], body=_padded(source, key["key"], 4 * 1024 * 1024))
        assert taken.status == TAKEN[source], (source, taken)


def _padded(source: str, key: str, size: int) -> str:
    start = {
        "alertmanager": '[{"labels": {"alertname": "A"}, "annotations": {"a": "',
        "pagerduty": f'{{"routing_key": "{key}", "event_action": "trigger", "payload": '
        '{"summary": "s", "source": "x", "severity": "info", "custom_details": "',
        "events": '{"title": "t", "annotations": {"a": "',
    }[source]
    end = '"}}]' if source == "alertmanager" else '"}}'
    return start + "x" * (size - len(start) - len(end)) + end


# --- with limits small enough to reach --------------------------------------------------------------------------------


@pytest.fixture
def strict(tocsin_server: Callable[..., TocsinServer]) -> TocsinServer:
    """Tocsin that takes three requests of a key at once, then one every two seconds."""
    return tocsin_server(plan=PLAN, prefix=[sys.executable, "-c", SMALL])


def test_more_than_a_key_may_send_is_429_with_retry_after(strict: TocsinServer) -> None:
    for source in SOURCES:
        key, another = strict.new_key(source, "batch"), strict.new_key(source, "batch")
        answers = [send(source, key["url"], key["key"]) for _ in range(5)]
        assert [answer.status for answer in answers[:3]] == [TAKEN[source]] * 3, source
        refused = answers[-1]
        assert refused.status == 429, (source, refused)
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        assert has_shape(source, refused), (source, refused)
        assert send(source, another["url"], another["key"]).status == TAKEN[source], "another key has its own"


def test_more_alerts_in_one_request_than_a_key_may_send_are_413(strict: TocsinServer) -> None:
    many = {
        "alertmanager": json.dumps([{"labels": {"alertname": f"A{n}"}} for n in range(5)]),
        "events": json.dumps({"events": [{"title": str(n)} for n in range(5)]}),
    }
    for source, body in many.items():
        key = strict.new_key(source, "batch")
        refused = send(source, key["url"], key["key"], body=body)
        assert refused.status == 413, (source, refused)
        assert has_shape(source, refused), (source, refused)
    assert strict.json("alerts") == []


def test_a_long_log_does_not_make_a_healthy_job_look_dead(strict: TocsinServer) -> None:
    """A heartbeat whose body is beyond the key's limit is still a sign of life: its body is cut, as documented."""
    key = strict.new_key("heartbeat", "batch")
    assert send("heartbeat", key["url"], key["key"], body="x" * 2_001).status == 200


# --- with limits of a key's own ---------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def own(request: pytest.FixtureRequest, tocsin_server: Callable[..., TocsinServer]) -> TocsinServer:
    """Tocsin on either database, whose plan declares a key that may send little."""
    database = None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    plan = _limited({"rate": "1/m", "burst": 2, "alerts": 3, "body": "2KB"})
    return tocsin_server(plan=plan, database=database, environment={"TOCSIN_SECRET_SMALL": SMALL_KEY})


SMALL_KEY = "a-key-of-the-plan-of-32-characters"


def _limited(limits: dict[str, Any]) -> dict[str, Any]:
    keys = {"small": {"source": "events", "secret": "secret:small", "limits": limits}}
    return a_plan(services={"batch": {"heartbeats": {"nightly": {"every": "1d"}}, "keys": keys}})


def _many(count: int) -> str:
    return json.dumps({"events": [{"title": str(n), "key": str(n)} for n in range(count)]})


def test_a_key_may_send_what_was_set_for_it_and_no_other_is_touched(own: TocsinServer) -> None:
    """At once, after a change and after another start; refused as the imitated API refuses."""
    for source in SOURCES:
        made = own.json(
            "key", "create", "--source", source, "--service", "batch", "--rate", "1/m", "--burst", "2", "--body", "2KB"
        )
        answers = [send(source, made["url"], made["key"]) for _ in range(3)]
        assert [answer.status for answer in answers] == [TAKEN[source], TAKEN[source], 429], source
        assert 20 < int(answers[2].headers["retry-after"]) <= 60, "the next is taken a minute after the second"
        assert has_shape(source, answers[2]), source
        other = own.new_key(source, "batch")
        assert all(send(source, other["url"], other["key"]).status == TAKEN[source] for _ in range(5))
        if source != "heartbeat":
            taken = send(source, other["url"], other["key"], body=_padded(source, other["key"], 4_000))
            assert taken.status == TAKEN[source]
            small = own.json("key", "create", "--source", source, "--service", "batch", "--body", "2KB")
            refused = send(source, small["url"], small["key"], body=_padded(source, small["key"], 4_000))
            assert (refused.status, has_shape(source, refused)) == (413, True), source
    long = own.json("key", "create", "--source", "pagerduty", "--service", "batch", "--body", "6MiB")
    body = _padded("pagerduty", long["key"], 5 * 2**20)
    assert send("pagerduty", long["url"], long["key"], body=body).status == 202
    events = own.json("key", "create", "--source", "events", "--service", "batch", "--alerts", "3")
    assert send("events", events["url"], events["key"], body=_many(3)).status == 202
    assert send("events", events["url"], events["key"], body=_many(4)).status == 413
    changed = own.json("key", "set", str(events["id"]), "--alerts", "6000")
    assert (changed["limits"]["alerts"], changed["limits_set"]) == (6000, ["alerts"])
    assert send("events", events["url"], events["key"], body=_many(5_500)).status == 202
    own.kill9()
    own.start()
    assert send("events", events["url"], events["key"], body=_many(6_001)).status == 413
    assert send("events", events["url"], events["key"], body=_many(6_000)).status == 202
    own.json("key", "set", str(events["id"]), "--alerts", "default")
    assert send("events", events["url"], events["key"], body=_many(5_001)).status == 413


def test_the_plan_limits_the_keys_it_declares(own: TocsinServer) -> None:
    url = f"{own.url}/api/events/{SMALL_KEY}"
    (declared,) = (one for one in own.json("key", "list") if one["declared"])
    assert declared["limits"] == {"rate": pytest.approx(1 / 60), "burst": 2, "body": 2000, "alerts": 3}
    assert send("events", url, SMALL_KEY, body=_many(4)).status == 413
    assert send("events", url, SMALL_KEY).status == 202
    assert send("events", url, SMALL_KEY).status == 429
    refused = own.run("key", "set", str(declared["id"]), "--rate", "50/s", check=False)
    assert refused.returncode == 1
    assert "The plan declares key" in refused.stderr
    own.write_plan(_limited({"rate": "50/s"}))
    own.run("plan", "reload")
    (declared,) = (one for one in own.json("key", "list") if one["declared"])
    assert (declared["limits"]["burst"], declared["limits_set"]) == (250, ["rate"])
    assert send("events", url, SMALL_KEY, body=_many(4)).status == 202
    own.write_plan(_limited({"rate": "50"}))
    refused = own.run("plan", "check", str(own.plan), check=False)
    assert refused.returncode == 1
    assert "50/s" in refused.stdout + refused.stderr
