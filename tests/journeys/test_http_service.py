"""An HTTP service on the real thing: HAProxy, two servers under supervisor, a real Tocsin, and what goes wrong.

``TOCSIN_ROUNDS=20`` does what docs/solutions/http.md says was measured, and prints how long it took.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import make_certificate
from tests.support.haproxy import Supervised, running_haproxy
from tests.support.server import TocsinServer
from tests.support.sshd import Sshd, running_sshd
from tests.support.steps import step
from tests.support.waiting import eventually
from tocsin.library import haproxy

pytestmark = pytest.mark.journey

ROUNDS = int(os.environ.get("TOCSIN_ROUNDS", "2"))
AWAY = ROUNDS if ROUNDS > 2 else 1
"""By SSH each connection has keys to agree on: that costs more than it tells."""
SECRETS = {"TOCSIN_SECRET_MONITOR": "monitor-0123456789abcdef", "TOCSIN_SECRET_APM": "apm-0123456789abcdefghij"}
PLAN = """
tocsin: 1
team: shop
people: {{ana: {{name: Ana}}}}
escalations: {{shop: [{{page: ana, wait: 5m}}]}}
services:
  web:
    escalation: shop
    playbooks: [restart-one, renew-certificate, shed, let-in]
    keys: {{monitor: {{source: events, secret: secret:monitor}}}}
    probes:
      - {{http: "{two}", name: two, every: 1s, timeout: 900ms}}
    targets:
      one: {{http: {{at: "{one}", restart: {restart_one}}}, match: [probe=one]}}
      two: {{http: {{at: "{two}", restart: {restart_two}}}, match: [probe=two]}}
      slot-one:
        haproxy: {{socket: {it.socket}, server: web/one, drain: on, least: 2, usual: 50}}
        match: [probe=one]
      slot-two:
        haproxy: {{socket: {it.socket}, server: web/two, drain: on, least: 2, usual: 50}}
        match: [probe=two]
  front:
    escalation: shop
    playbooks: [renew-certificate]
    keys: {{monitor-front: {{source: events, secret: secret:monitor_front}}}}
    targets:
      tls:
        http:
          at: "https://127.0.0.1:{it.tls_port}/"
          certificate: {it.pem}
          renew: [cp, {it.folder}/next.pem, {it.pem}]
          reload: [kill, -USR2, "{pid}"]
  worker:
    escalation: shop
    playbooks: [start-worker, scale-back]
    targets:
      good:
        ssh: {{host: 127.0.0.1, port: {sshd.port}, user: {sshd.user}, host key: "{sshd.host_key}"}}
        look with: secret:key
        fix with: secret:key
      far: {{dial: {{read: {read}, set: {set}, least: 1, usual: 3, most: 9, on: good}}}}
      near: {{dial: {{url: "{dial}", least: 1, usual: 3, most: 9}}}}
      other:
        ssh: {{host: 127.0.0.1, port: {sshd.port}, user: {sshd.user}, host key: "{sshd.other_host_key}"}}
        look with: secret:key
        fix with: secret:key
"""
TRIGGERS = """    triggers:
      spike: {playbook: shed, secret: secret:apm, takes: [sessions]}
      calm: {playbook: let-in, secret: secret:apm_calm}
"""
SECRETS |= {
    "TOCSIN_SECRET_MONITOR_FRONT": "front-0123456789abcdef",
    "TOCSIN_SECRET_APM_CALM": "calm-0123456789abcdefghi",
}

PLAYBOOKS = '''"""The web servers: restart the one that is ill, shed what they cannot do, renew their certificate."""

from tocsin import Run, at_most, blast_radius, breaker, playbook, trust
from tocsin.library import haproxy, http

MANY = breaker(failures=100, returns=100)


@playbook(
    name="restart-one",
    answers=[['alertname="ProbeHttpFailed"'], ['alertname="WebUnwell"']],
    guards=[at_most(500, per="1h"), blast_radius(1), MANY],
    trust=trust(start="act"),
    hand_over_after="1m",
)
def restart_one(run: Run, instance: http.Instance, slot: haproxy.Server) -> None:
    all_of_them = run.look(http.group, instance)
    if instance.name in all_of_them.well:
        run.hand_over("it is well, so a restart would only lose work", all_of_them)
    run.fix(haproxy.drain, slot)
    run.fix(http.restart, instance)
    run.verify(http.health, instance, until=lambda now: now.well, within="20s", every="100ms")
    run.fix(haproxy.put_back, slot)
    run.verify(haproxy.load, slot, until=lambda now: now.serves, within="10s", every="100ms")


@playbook(
    name="renew-certificate",
    answers=['alertname="CertificateEnds"'],
    guards=[at_most(500, per="1h"), MANY],
    trust=trust(start="act"),
    hand_over_after="1m",
)
def renew_certificate(run: Run, instance: http.Instance) -> None:
    before = run.look(http.certificate, instance)
    if before.days_left > 14:
        run.hand_over("it ends in more than two weeks", before)
    run.fix(http.renew_certificate, instance, before.served)
    run.verify(http.certificate, instance, within="20s", every="100ms",
               until=lambda now: now.served_until > before.served_until and now.days_left > 14)


@playbook(name="shed", guards=[at_most(500, per="1h"), MANY], trust=trust(start="act"), hand_over_after="1m")
def shed(run: Run, instance: http.Instance, slot: haproxy.Server, sessions: int = 4) -> None:
    before = run.look(http.health, instance, within="5s")
    load = run.look(haproxy.load, slot)
    if before.well and before.took_ms < 250 and load.sessions < load.limit // 2:
        run.hand_over("it answers in time, so nobody need be turned away", before, load)
    run.fix(haproxy.limit, slot, sessions)
    run.verify(http.health, instance, within="20s", every="200ms",
               until=lambda now: now.well and now.took_ms < 250)


@playbook(name="let-in", guards=[at_most(500, per="1h"), MANY], trust=trust(start="act"), hand_over_after="1m")
def let_in(run: Run, slot: haproxy.Server) -> None:
    load = run.look(haproxy.load, slot)
    if load.queued:
        run.hand_over("requests still wait", load)
    run.fix(haproxy.limit, slot, 50)
    run.verify(haproxy.load, slot, until=lambda now: now.limit == 50, within="5s")
'''


WORKER = '''"""A file on another machine stands for a worker that runs."""

from tocsin import Run, playbook, trust
from tocsin.library import dial, ssh


@playbook(name="start-worker", trust=trust(start="act"), hand_over_after="1m")
def start_worker(run: Run, machine: ssh.Machine, file: str) -> None:
    if run.look(ssh.run, machine, ("test", "-e", file)).code == 0:
        run.hand_over("it is there already")
    run.fix(ssh.ensure, machine, ("touch", file))
    run.verify(ssh.run, machine, ("test", "-e", file), until=lambda now: now.code == 0, within="10s")


@playbook(name="scale-back", trust=trust(start="act"), hand_over_after="1m")
def scale_back(run: Run, replicas: dial.Dial) -> None:
    before = run.look(dial.level, replicas)
    if before.now <= before.usual:
        return
    run.fix(dial.turn, replicas, before.back, before.now)
    run.verify(dial.level, replicas, until=lambda now: now.now == before.back, within="1m")
'''


class Dials:
    """A number over HTTP, and one in a file on a machine that is reached by SSH."""

    def __init__(self, file: Path) -> None:
        self.near, self.file = 3, file
        self.sets = 0
        self.far = 3
        dials = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(str(dials.near))

            def do_PUT(self) -> None:
                dials.near = int(self.rfile.read(int(self.headers["Content-Length"])))
                dials.sets += 1
                self._say("")

            def _say(self, text: str) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/replicas"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def far(self) -> int:
        return int(self.file.read_text())

    @far.setter
    def far(self, to: int) -> None:
        self.file.write_text(str(to))


@pytest.fixture(scope="module")
def dials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dials]:
    made = Dials(tmp_path_factory.mktemp("dials") / "replicas")
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    with running_haproxy(tmp_path_factory.mktemp("web"), Supervised) as made:
        assert isinstance(made, Supervised)
        yield made


@pytest.fixture(scope="module")
def server(
    web: Supervised, sshd: Sshd, dials: Dials, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TocsinServer]:
    folder = tmp_path_factory.mktemp("tocsin")
    (folder / "plan" / "playbooks").mkdir(parents=True)
    assert web.proxy is not None
    text = PLAN.format(
        it=web, sshd=sshd, one=web.at("one"), two=web.at("two"), pid=web.proxy.pid,
        restart_one=json.dumps([*web.restart, "one"]), restart_two=json.dumps([*web.restart, "two"]),
        dial=dials.url, read=json.dumps(["cat", str(dials.file)]),
        set=json.dumps(["sed", "-i", "s/.*/{value}/", str(dials.file)]),
    )  # fmt: skip
    (folder / "plan" / "tocsin.yaml").write_text(text.replace("  front:\n", TRIGGERS + "  front:\n"))
    (folder / "plan" / "playbooks" / "web.py").write_text(PLAYBOOKS)
    (folder / "plan" / "playbooks" / "worker.py").write_text(WORKER)
    made = TocsinServer(folder, plan=folder / "plan", environment=SECRETS | {"TOCSIN_SECRET_KEY": sshd.key})
    made.start()
    yield made
    made.stop()


# -- what monitors and people do ---------------------------------------------------------------------------------------


def post(server: TocsinServer, path: str, key: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    host = server.url.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=20)
    try:
        sent = body if isinstance(body, str) else json.dumps(body)
        line.request("POST", path, sent, {"Authorization": f"Bearer {key}", **headers})
        answer = line.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}
    finally:
        line.close()


def event(server: TocsinServer, key: str, name: str, number: int, state: str, **labels: str) -> None:
    """An alert of its own for each round, so that each is an incident of its own."""
    there = {"alertname": name, "round": str(number), **labels}
    body = {"title": name, "state": state, "severity": "critical", "labels": there, "key": f"{name}-{number}"}
    status, said = post(server, "/api/events", SECRETS[key], body)
    assert status < 300, said


def newest(server: TocsinServer, playbook: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = server.call("GET", f"/api/v1/runs?playbook={playbook}&limit=1")[1]["items"]
    return found[0] if found else {"number": 0, "state": "", "outcome": "", "findings": []}


def ended(server: TocsinServer, playbook: str, after: int) -> dict[str, Any]:
    """The run after that number, once it has come to what it comes to before its alert ends."""

    def there() -> dict[str, Any]:
        found = newest(server, playbook)
        return found if found["number"] > after and found["state"] in ("watching", "ended") else {}

    return eventually(there, what=f"a run of {playbook} to end", within=40)


def told(what: str, took: list[float]) -> None:
    if ROUNDS > 2:
        print(f"\n{what}: {len(took)} times, median {statistics.median(took):.2f} s, most {max(took):.2f} s")


def pid(web: Supervised, name: str) -> str:
    line = http.client.HTTPConnection("127.0.0.1", web.ports[name], timeout=10)
    try:
        line.request("GET", "/pid")
        return line.getresponse().read().decode()
    finally:
        line.close()


def sicken(web: Supervised, name: str) -> None:
    line = http.client.HTTPConnection("127.0.0.1", web.ports[name], timeout=10)
    line.request("GET", "/sicken")
    line.getresponse().read()
    line.close()


@contextmanager
def spike(web: Supervised, clients: int = 40) -> Iterator[list[int]]:
    """So many clients at once, each again and again, as long as it lasts. Gives what they were answered."""
    over, answers = threading.Event(), list[int]()

    def ask() -> None:
        while not over.is_set():
            line = http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
            try:
                line.request("GET", "/work")
                answers.append(line.getresponse().status)
            finally:
                line.close()
            over.wait(0.02)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for one in threads:
        one.start()
    try:
        yield answers
    finally:
        over.set()
        for one in threads:
            one.join()


def pages(server: TocsinServer) -> int:
    return sum(
        len(server.call("GET", f"/api/v1/incidents/{one['number']}/pages")[1]["items"])
        for one in server.call("GET", "/api/v1/incidents?state=all&limit=100")[1]["items"]
    )


# -- restart one of many -----------------------------------------------------------------------------------------------


def test_a_probe_sees_the_ill_one_and_code_restarts_it(server: TocsinServer, web: Supervised) -> None:
    other, mine = pid(web, "one"), pid(web, "two")
    sicken(web, "two")
    run = ended(server, "restart-one", 0)
    assert run["state"] == "watching" or run["outcome"] == "verified", run["findings"]
    assert pid(web, "one") == other and pid(web, "two") != mine
    eventually(
        lambda: newest(server, "restart-one")["outcome"] == "verified", what="the probe's alert to end", within=30
    )
    assert pages(server) == 0


def test_each_time_the_ill_one_is_restarted_and_put_back(server: TocsinServer, web: Supervised) -> None:
    took, paged = [], pages(server)
    for number in range(ROUNDS):
        other, mine, last = pid(web, "two"), pid(web, "one"), newest(server, "restart-one")["number"]
        sicken(web, "one")
        began = time.monotonic()
        event(server, "TOCSIN_SECRET_MONITOR", "WebUnwell", number, "firing", probe="one")
        run = ended(server, "restart-one", last)
        took.append(time.monotonic() - began)
        assert run["state"] == "watching", run["findings"]
        assert pid(web, "one") != mine and pid(web, "two") == other
        event(server, "TOCSIN_SECRET_MONITOR", "WebUnwell", number, "resolved", probe="one")
        eventually(lambda: newest(server, "restart-one")["outcome"] == "verified", what="it to be verified")
    told("restart one", took)
    assert pages(server) == paged


def test_each_time_all_are_well_none_is_restarted(server: TocsinServer, web: Supervised) -> None:
    before = (pid(web, "one"), pid(web, "two"))
    for number in range(100, 100 + ROUNDS):
        last = newest(server, "restart-one")["number"]
        event(server, "TOCSIN_SECRET_MONITOR", "WebUnwell", number, "firing", probe="one")
        run = ended(server, "restart-one", last)
        assert run["outcome"] == "handed_over" and "it is well" in run["findings"][-1], run
        event(server, "TOCSIN_SECRET_MONITOR", "WebUnwell", number, "resolved", probe="one")
    assert (pid(web, "one"), pid(web, "two")) == before


# -- a certificate -----------------------------------------------------------------------------------------------------


def next_certificate(web: Supervised, days: float) -> None:
    made = make_certificate(web.folder, days=days)
    (web.folder / "next.pem").write_bytes(made.cert.read_bytes() + made.key.read_bytes())


def certificate_story(server: TocsinServer, number: int, prepare: Callable[[], None]) -> tuple[dict[str, Any], float]:
    last = newest(server, "renew-certificate")["number"]
    prepare()
    began = time.monotonic()
    event(server, "TOCSIN_SECRET_MONITOR_FRONT", "CertificateEnds", number, "firing")
    run = ended(server, "renew-certificate", last)
    took = time.monotonic() - began
    event(server, "TOCSIN_SECRET_MONITOR_FRONT", "CertificateEnds", number, "resolved")
    return run, took


def served_serial(web: Supervised) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    with socket.create_connection(("127.0.0.1", web.tls_port), timeout=5) as plain, context.wrap_socket(plain) as line:
        return line.getpeercert(binary_form=True) or b""


def test_each_time_a_certificate_that_ends_soon_is_renewed_and_served(server: TocsinServer, web: Supervised) -> None:
    took = []
    for number in range(ROUNDS):

        def soon() -> None:
            was = served_serial(web)
            web.certify(days=3)
            web.reload(lambda: served_serial(web) != was)
            next_certificate(web, 60)

        run, seconds = certificate_story(server, number, soon)
        took.append(seconds)
        assert run["state"] == "watching", run["findings"]
    told("renew a certificate", took)


def test_each_time_it_is_good_nothing_is_renewed(server: TocsinServer, web: Supervised) -> None:
    was = served_serial(web)
    for number in range(100, 100 + ROUNDS):
        run, _ = certificate_story(server, number, lambda: None)
        assert run["outcome"] == "handed_over" and "more than two weeks" in run["findings"][-1], run
    assert served_serial(web) == was


# -- a spike, told by an APM's webhook ---------------------------------------------------------------------------------


def pull(server: TocsinServer, key: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    return post(server, "/api/v1/triggers", SECRETS[key], body, **headers)


def test_each_time_a_spike_is_shed_and_let_in_again_when_it_is_over(server: TocsinServer, web: Supervised) -> None:
    took, paged = [], pages(server)
    one = {"labels": {"probe": "one"}}
    two = {"two": {"socket": str(web.socket), "server": "web/two", "drain": True}}
    step(two, haproxy.drain, haproxy.Server(name="two"))  # else the other takes what this one does not
    for number in range(ROUNDS):
        with spike(web) as answers:
            eventually(lambda: len(answers) > 40, what="the spike to be felt")
            began = time.monotonic()
            status, said = pull(server, "TOCSIN_SECRET_APM", one | {"id": f"spike-{number}", "args": {"sessions": 4}})
            assert status == 202, said
            assert (
                pull(server, "TOCSIN_SECRET_APM", one | {"id": f"spike-{number}", "args": {"sessions": 4}})[1] == said
            )
            run = ended(server, "shed", said["run"] - 1)
            took.append(time.monotonic() - began)
            assert run["outcome"] == "verified", run["findings"]
            eventually(lambda: 503 in answers, what="some to be turned away")
        eventually(lambda: pull(server, "TOCSIN_SECRET_APM_CALM", one)[0] == 202, what="calm to be said", within=30)
        calm = ended(server, "let-in", said["run"])
        assert calm["outcome"] == "verified", calm["findings"]
    step(two, haproxy.put_back, haproxy.Server(name="two"))
    told("shed a spike", took)
    assert pages(server) == paged


def test_each_time_there_is_no_spike_nobody_is_turned_away(server: TocsinServer, web: Supervised) -> None:
    for _ in range(ROUNDS):
        said: dict[str, Any] = {}

        def asked(said: dict[str, Any] = said) -> bool:
            status, found = pull(server, "TOCSIN_SECRET_APM", {"labels": {"probe": "one"}})
            said.update(found)
            return status == 202

        eventually(asked, what="it to be pulled", within=30)
        run = ended(server, "shed", said["run"] - 1)
        assert run["outcome"] == "handed_over" and "in time" in run["findings"][-1], run


def test_a_trigger_refuses_what_it_may_not_do_and_says_why(server: TocsinServer) -> None:
    apm, one = "TOCSIN_SECRET_APM", {"labels": {"probe": "two"}}
    before = newest(server, "shed")["number"]
    assert post(server, "/api/v1/triggers", "", one)[0] == 401
    assert post(server, "/api/v1/triggers", "apm-of-somebody-else-0123", one)[0] == 401
    assert post(server, "/api/v1/triggers", SECRETS["TOCSIN_SECRET_MONITOR"], one)[0] == 401, "a monitor's key"
    assert post(server, "/api/events", SECRETS[apm], {"title": "x"})[0] == 401, "and a trigger's is no monitor's"
    for body, code, why in (
        (one | {"args": {"slot": "x"}}, 400, "may not set slot"),
        ({"labels": {"probe": "none"}}, 400, "No target fits"),
        ("[1, 2]", 400, "no JSON of id, labels and args"),
        ("{" * 2_000, 400, "no JSON of id, labels and args"),
        ("x" * 70_000, 413, "more than 65,536 bytes"),
    ):
        status, said = eventually(partial(_asked, server, apm, body), what="it to be asked") or (0, {})
        assert status == code and why in said["detail"], said
    assert newest(server, "shed")["number"] == before, "nothing was run"
    statuses = [pull(server, apm, {"labels": {"probe": "none"}})[0] for _ in range(25)]
    assert 429 in statuses
    assert not any(key in server.log.read_text() for key in SECRETS.values())


def _asked(server: TocsinServer, key: str, body: object) -> tuple[int, dict[str, Any]] | None:
    said = pull(server, key, body)
    return said if said[0] != 429 else None


# -- another machine ---------------------------------------------------------------------------------------------------


def test_a_run_works_on_another_machine_and_on_none_that_shows_another_host_key(
    server: TocsinServer, sshd: Sshd, tmp_path: Path
) -> None:
    for target, outcome in (("other", "handed_over"), ("good", "verified")):
        file, last = tmp_path / target, newest(server, "start-worker")["number"]
        body = {"playbook": "start-worker", "service": "worker", "targets": {"machine": target}}
        status, said = server.call("POST", "/api/v1/runs", body | {"args": {"file": str(file)}})
        assert status == 201, said
        run = ended(server, "start-worker", last)
        assert run["outcome"] == outcome, run["findings"]
        assert file.exists() == (outcome == "verified")
        assert outcome == "verified" or "not in the plan" in run["findings"][-1]
    lines = [one for one in sshd.key.splitlines() if not one.startswith("-")]
    sheet = server.call("GET", f"/api/v1/runs/{newest(server, 'start-worker')['number']}")[1]
    assert not any(one in server.log.read_text() + json.dumps(sheet) for one in lines)


def written(file: Path) -> tuple[int, int]:
    """What changes when somebody writes it; a look changes when it was read."""
    there = file.stat()
    return there.st_ino, there.st_mtime_ns


def by_hand(server: TocsinServer, playbook: str, target: dict[str, str], **args: str) -> tuple[dict[str, Any], float]:
    """A run that a person begins, and how long it took."""
    last, began = newest(server, playbook)["number"], time.monotonic()
    body = {"playbook": playbook, "service": "worker", "targets": target, "args": args}
    status, said = server.call("POST", "/api/v1/runs", body)
    assert status == 201, said
    return ended(server, playbook, last), time.monotonic() - began


def test_each_time_what_stands_still_on_another_machine_is_started_and_what_runs_is_left_alone(
    server: TocsinServer, tmp_path: Path
) -> None:
    took, file = [], tmp_path / "runs"
    for _ in range(AWAY):
        file.unlink(missing_ok=True)
        run, seconds = by_hand(server, "start-worker", {"machine": "good"}, file=str(file))
        took.append(seconds)
        assert run["outcome"] == "verified" and file.exists(), run["findings"]
    told("start by SSH", took)
    before = written(file)
    for _ in range(AWAY):
        run, _ = by_hand(server, "start-worker", {"machine": "good"}, file=str(file))
        assert run["outcome"] == "handed_over" and "it is there already" in run["findings"][-1], run
    assert written(file) == before


@pytest.mark.parametrize("where", ["near", "far"])
def test_each_time_a_dial_is_turned_back_by_a_step_and_one_that_stands_right_is_left_alone(
    server: TocsinServer, dials: Dials, where: str
) -> None:
    took, rounds = [], AWAY if where == "far" else ROUNDS
    for number in range(rounds):
        setattr(dials, where, 5 + number % 5)
        run, seconds = by_hand(server, "scale-back", {"replicas": where})
        took.append(seconds)
        assert run["outcome"] == "verified" and getattr(dials, where) == 4 + number % 5, run["findings"]
    told(f"turn a dial back, {where}", took)
    setattr(dials, where, 3)
    before = (dials.sets, written(dials.file))
    for _ in range(rounds):
        run, _ = by_hand(server, "scale-back", {"replicas": where})
        steps = server.call("GET", f"/api/v1/runs/{run['number']}")[1]["steps"]
        assert run["outcome"] == "done" and [one["verb"] for one in steps] == ["look"], run
    assert (dials.sets, written(dials.file)) == before
