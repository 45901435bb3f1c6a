"""What the solutions for an HTTP service see and do, on a real HAProxy with two real servers behind it."""

from __future__ import annotations

import http.client
import http.server
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.haproxy import Balanced, running_haproxy
from tests.support.sshd import running_sshd
from tests.support.steps import step
from tests.support.waiting import eventually
from tocsin import Refused
from tocsin.library import dial, haproxy
from tocsin.library import http as solution
from tocsin.library.described import Trouble

ONE, SLOT, DIAL = solution.Instance(name="one"), haproxy.Server(name="one"), dial.Dial(name="workers")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    with running_haproxy(tmp_path_factory.mktemp("haproxy")) as made:
        yield made


@pytest.fixture
def web(running: Balanced) -> Balanced:
    """Both servers well, and HAProxy as its configuration says."""
    for name in ("one", "two"):
        if name not in running.processes:
            running.start(name)
        running.ill(name, False)
        other = {"name": slot(running, name)}
        step(other, haproxy.put_back, haproxy.Server(name="name"))
        step(other, haproxy.limit, haproxy.Server(name="name"), 50)
    both = (slot(running, "one"), slot(running, "two"))
    eventually(lambda: all(load(one).serves for one in both), what="both servers to be up")
    return running


def slot(web: Balanced, name: str = "one") -> dict[str, Any]:
    return {"socket": str(web.socket), "server": f"web/{name}", "drain": True, "least": 2, "usual": 50}


def load(there: dict[str, Any]) -> haproxy.Load:
    return step({"one": there}, haproxy.load, SLOT)


def instance(web: Balanced, **more: Any) -> dict[str, Any]:
    return {"one": {"at": web.at("one"), "fellows": {"two": {"at": web.at("two")}}, **more}}


def get(port: int, path: str = "/") -> tuple[int, bytes]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


# -- restart one of many -----------------------------------------------------------------------------------------------


def heals(web: Balanced, tmp_path: Path) -> list[str]:
    """A command that makes server one well again, and writes down that it was run."""
    asked, ill = str(tmp_path / "asked"), str(web.folder / "one.ill")
    return [sys.executable, "-c", f"import os; open({asked!r}, 'a').write('once;'); os.unlink({ill!r})"]


def test_the_one_that_is_not_well_is_restarted_and_no_other(web: Balanced, tmp_path: Path) -> None:
    held = instance(web, restart=heals(web, tmp_path))
    assert step(held, solution.group, ONE).well == ("one", "two")
    assert "well by now" in step(held, solution.restart, ONE) and not (tmp_path / "asked").exists()
    web.ill("one")
    seen = step(held, solution.group, ONE)
    assert seen.well == ("two",) and seen.unwell["one"].startswith("it answered 500 within")
    assert step(held, solution.is_well, ONE) is False
    assert step(held, solution.restart, ONE) == f"{sys.executable} was run"
    assert (tmp_path / "asked").read_text() == "once;"
    assert step(held, solution.health, ONE).well and step(held, solution.is_well, ONE) is True
    assert solution.restart.probe is solution.is_well and not solution.restart.idempotent


def test_when_all_are_ill_none_is_restarted(web: Balanced, tmp_path: Path) -> None:
    held = instance(web, restart=heals(web, tmp_path))
    web.ill("one")
    web.stop("two")
    assert "refused" in step(held, solution.group, ONE).unwell["two"]
    with pytest.raises(Refused, match="the cause lies elsewhere"):
        step(held, solution.restart, ONE)
    assert not (tmp_path / "asked").exists()
    with pytest.raises(Refused, match="does not say how"):
        step(instance(web), solution.restart, ONE)


def test_what_drips_and_what_goes_elsewhere_is_not_well(web: Balanced) -> None:
    slow = {"one": {"at": web.at("one").replace("/health", "/slow5")}}
    seen = step(slow, solution.health, ONE, within="300ms")
    assert not seen.well and seen.why == "no answer within 0.3 s" and seen.took_ms < 1500
    with socket.create_server(("127.0.0.1", 0)) as drips:

        def drip() -> None:
            line, _ = drips.accept()
            with line, suppress(OSError):
                line.recv(4096)
                line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
                while not select.select([line], [], [], 0.05)[0]:  # until its client has gone
                    line.sendall(b"x")

        threading.Thread(target=drip, daemon=True).start()
        at = f"http://127.0.0.1:{drips.getsockname()[1]}/"
        dripping = step({"one": {"at": at}}, solution.health, ONE, within="300ms")
    assert not dripping.well and dripping.why == "no answer within 0.3 s" and dripping.took_ms < 1500
    metadata = step({"one": {"at": "http://169.254.169.254/latest"}}, solution.health, ONE)
    assert not metadata.well and "metadata" in metadata.why


# -- drain and shed ----------------------------------------------------------------------------------------------------


def test_a_drained_server_finishes_what_it_has_gets_nothing_new_and_is_put_back(web: Balanced) -> None:
    there, answers = slot(web), []
    under_way = [threading.Thread(target=lambda: answers.append(get(web.port, "/slow1"))) for _ in range(4)]
    for one in under_way:
        one.start()
    eventually(lambda: load(there).sessions > 0, what="requests to be under way at it")
    assert "gets no new requests" in step({"one": there}, haproxy.drain, SLOT)
    assert "already" in step({"one": there}, haproxy.drain, SLOT)
    assert load(there).status == "DRAIN" and not load(there).serves
    assert {get(web.port)[1] for _ in range(6)} == {b"two"}
    for one in under_way:
        one.join()
    assert len(answers) == 4 and {status for status, _ in answers} == {200}, "nothing under way was cut"
    eventually(lambda: load(there).sessions == 0, what="it to be empty")
    step({"one": there}, haproxy.put_back, SLOT)
    assert {get(web.port)[1] for _ in range(6)} == {b"one", b"two"}


def test_the_last_that_serves_is_never_taken_out(web: Balanced) -> None:
    step({"one": slot(web, "two")}, haproxy.drain, SLOT)
    with pytest.raises(Refused, match="the last is not taken out"):
        step({"one": slot(web)}, haproxy.drain, SLOT)
    assert load(slot(web)).serves
    with pytest.raises(Trouble, match="add drain: on"):
        step({"one": slot(web) | {"drain": False}}, haproxy.drain, SLOT)
    with pytest.raises(Trouble, match="no server web/none; its backend has one, two"):
        load(slot(web, "none"))
    with pytest.raises(Trouble, match="cannot be reached"):
        load(slot(web) | {"socket": "/nowhere/admin.sock"})


def test_one_that_a_person_has_in_maintenance_stays_there(web: Balanced) -> None:
    where = haproxy.Where(str(web.socket), "web/one")
    haproxy._set(where, "state maint")
    try:
        for change in (haproxy.drain, haproxy.put_back):
            with pytest.raises(Trouble, match="somebody has one in maintenance"):
                step({"one": slot(web)}, change, SLOT)
        assert load(slot(web)).status == "MAINT"
    finally:
        haproxy._set(where, "state ready")


def test_a_limit_sheds_what_a_server_cannot_do_in_time_and_goes_back(web: Balanced) -> None:
    there = slot(web)
    step({"one": slot(web, "two")}, haproxy.drain, SLOT)
    assert load(there).limit == 50
    assert step({"one": there}, haproxy.limit, SLOT, 2) == "its limit is 2, was 50"
    assert "already" in step({"one": there}, haproxy.limit, SLOT, 2)
    answers: list[int] = []
    spike = [threading.Thread(target=lambda: answers.append(get(web.port, "/slow0.6")[0])) for _ in range(8)]
    for one in spike:
        one.start()
    eventually(lambda: load(there).queued > 0, what="some to wait")
    for one in spike:
        one.join()
    assert answers.count(200) == 2 and answers.count(503) == 6, "two are answered, the others are told at once"
    for wrong in (1, 51, 0):
        with pytest.raises(Trouble, match="the plan's bounds"):
            step({"one": there}, haproxy.limit, SLOT, wrong)
    step({"one": there}, haproxy.limit, SLOT, 50)
    assert load(there).limit == 50
    with pytest.raises(Trouble, match="does not let one be limited"):
        step({"one": there | {"usual": 0}}, haproxy.limit, SLOT, 5)


# -- certificates ------------------------------------------------------------------------------------------------------


def secure(web: Balanced, renew: str = "", **more: Any) -> dict[str, Any]:
    assert web.proxy is not None
    words = [sys.executable, "-c", renew] if renew else []
    reload = ["kill", "-USR2", str(web.proxy.pid)]
    at = f"https://127.0.0.1:{web.tls_port}/"
    return {"one": {"at": at, "certificate": str(web.pem), "renew": words, "reload": reload, **more}}


def renewing(web: Balanced, days: float) -> str:
    return (
        f"import sys; sys.path.insert(0, {str(Path.cwd())!r}); from pathlib import Path\n"
        f"from tests.support.haproxy import Balanced\n"
        f"it = Balanced.__new__(Balanced); it.folder, it.pem = Path({str(web.folder)!r}), Path({str(web.pem)!r})\n"
        f"it.certify(days={days})"
    )


def served(held: dict[str, Any]) -> solution.Certificate:
    return step(held, solution.certificate, ONE)


def test_a_certificate_that_ends_is_renewed_and_the_new_one_is_what_is_served(web: Balanced) -> None:
    web.certify(days=2)
    held = secure(web, renewing(web, 60))
    web.reload(lambda: served(held).days_left < 3)
    before = served(held)
    assert before.served == before.in_file and not before.newer_in_file and before.names == ("localhost",)
    assert step(held, solution.serves_another, ONE, before.served) is False
    said = step(held, solution.renew_certificate, ONE, before.served)
    assert said == f"{sys.executable} and kill were run"
    eventually(lambda: served(held).served != before.served, what="the new one to be served")
    after = served(held)
    assert after.served_until > before.served_until and after.days_left > 50
    assert "already" in step(held, solution.renew_certificate, ONE, before.served), "once is enough"
    assert step(held, solution.serves_another, ONE, before.served) is True


def test_one_that_lies_in_the_file_only_has_to_be_taken_up(web: Balanced) -> None:
    before = served(secure(web))
    web.certify(days=before.days_left + 30)
    held = secure(web)
    waiting = served(held)
    assert waiting.newer_in_file and waiting.served == before.served and "in its file is one" in str(waiting)
    with pytest.raises(Trouble, match="how it is taken up: add reload"):
        step(secure(web, "raise SystemExit", reload=[]), solution.renew_certificate, ONE, before.served)
    assert step(held, solution.renew_certificate, ONE, before.served) == "kill was run"
    eventually(lambda: served(held).served == waiting.in_file, what="it to be served")


def test_nothing_is_reloaded_for_a_certificate_that_is_no_better(web: Balanced) -> None:
    before = served(secure(web))
    with pytest.raises(Refused, match="does not say how a new one is made"):
        step(secure(web), solution.renew_certificate, ONE, before.served)
    with pytest.raises(Trouble, match="none that ends later"):
        step(secure(web, renewing(web, 1)), solution.renew_certificate, ONE, before.served)
    assert served(secure(web)).served == before.served
    with pytest.raises(Trouble, match="not https"):
        step(instance(web), solution.certificate, ONE)


def test_an_expired_one_is_seen_although_nobody_accepts_it(web: Balanced, tmp_path: Path) -> None:
    web.certify(days=-1)
    held = secure(web)
    web.reload(lambda: served(held).days_left < 0)
    assert not step(held, solution.health, ONE).well
    missing = step(secure(web, certificate=str(tmp_path / "none")), solution.certificate, ONE)
    assert missing.in_file_until == 0 and "cannot be read" in missing.why
    web.certify(days=5)


# -- a dial, and commands on another machine ---------------------------------------------------------------------------


def test_a_dial_is_turned_within_its_bounds_and_back(tmp_path: Path) -> None:
    file = tmp_path / "workers"
    file.write_text("3\n")
    bounds = {"least": 2, "usual": 3, "most": 6, "step": 2}
    words = {"read": ["cat", str(file)], "set": ["sh", "-c", f'echo "$0" > {file}', "{value}"]}
    held = {"workers": bounds | words}
    now = step(held, dial.level, DIAL)
    assert (now.now, now.up, now.down, now.back) == (3, 5, 2, 3)
    assert step(held, dial.turn, DIAL, now.up, now.now) == "it was 3 and is set to 5"
    assert file.read_text() == "5\n"
    assert "already" in step(held, dial.turn, DIAL, now.up, now.now), "interrupted and done again"
    up = step(held, dial.level, DIAL)
    assert (up.up, up.back) == (6, 3)
    for to, was, why in ((7, 5, "plan's bounds"), (1, 2, "plan's bounds"), (2, 5, "more than 2"), (5, 4, "already")):
        if why == "already":
            assert why in step(held, dial.turn, DIAL, to, was)
        else:
            with pytest.raises(Trouble, match=why):
                step(held, dial.turn, DIAL, to, was)
    with pytest.raises(Refused, match="somebody else turns it"):
        step(held, dial.turn, DIAL, 4, 3)
    assert step(held, dial.turn, DIAL, up.back, up.now) == "it was 5 and is set to 3"
    file.write_text("three")
    with pytest.raises(Trouble, match="no whole number: 'three'"):
        step(held, dial.level, DIAL)


def test_the_number_may_stand_within_a_word(tmp_path: Path) -> None:
    file = tmp_path / "workers"
    file.write_text("3")
    sets = ["sh", "-c", f'echo "${{0#--replicas=}}" > {file}', "--replicas={value}"]
    words = {"read": ["cat", str(file)], "set": sets}
    held = {"workers": {"least": 2, "usual": 3, "most": 6, "step": 2} | words}
    assert step(held, dial.turn, DIAL, 5, 3) == "it was 3 and is set to 5"
    assert file.read_text() == "5\n"


def test_commands_are_run_on_the_machine_the_plan_names(tmp_path: Path) -> None:
    with running_sshd(tmp_path) as sshd:
        on = {"host": "127.0.0.1", "port": sshd.port, "user": sshd.user, "host_keys": [sshd.host_key]}
        # What OpenSSH tells what it runs, and nobody else has.
        words = {"read": ["sh", "-c", "echo $SSH_CONNECTION | wc -w"], "set": ["sh", "-c", "exit 4", "{value}"]}
        bounds = {"least": 2, "usual": 3, "most": 6, "step": 2, "on": on, "secrets": {"key": sshd.key}}
        assert step({"workers": bounds | words}, dial.level, DIAL).now == 4
        with pytest.raises(Trouble, match="ended with 4"):
            step({"workers": bounds | words}, dial.turn, DIAL, 5, 4)


class Scaler(http.server.BaseHTTPRequestHandler):
    """A hook that keeps a number, for whoever has the token."""

    number, asked = b"3", list[str]()

    def do_GET(self) -> None:
        self._answer(lambda: None)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))

        def put() -> None:
            Scaler.number = body

        self._answer(put)

    def _answer(self, do: Callable[[], None]) -> None:
        Scaler.asked.append(self.command)
        good = self.headers["authorization"] == "Bearer scaler-token"
        if good:
            do()
        self.send_response(200 if good else 403)
        self.end_headers()
        self.wfile.write(Scaler.number)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def test_a_dial_by_http_is_read_and_set_with_its_token() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scaler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/web"
            bounds = {"least": 2, "usual": 3, "most": 6, "step": 2, "url": url}
            held = {"workers": bounds | {"secrets": {"token": "scaler-token\n"}}}
            now = step(held, dial.level, DIAL)
            assert step(held, dial.turn, DIAL, now.up, now.now) == "it was 3 and is set to 5"
            assert (Scaler.number, step(held, dial.level, DIAL).now) == (b"5", 5)
            Scaler.asked.clear()
            with pytest.raises(Trouble, match="answered 403"):
                step({"workers": bounds | {"secrets": {"token": "another"}}}, dial.turn, DIAL, 6, 5)
            assert Scaler.asked == ["GET"], "where it may not even be read nothing is set"
        finally:
            server.shutdown()
