"""The demo itself: the ordinary `tocsin up`, real faults, a story that is true, and nothing left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.support.ports import free_port
from tests.support.processes import Process, inherited_environment
from tests.support.waiting import eventually
from tocsin.demo.run import by_hand

pytestmark = pytest.mark.journey


class Running:
    """A demo as a child process, with a temporary folder of its own to leave nothing in."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.port = free_port()
        ports = ["--port", str(self.port), "--inbox-port", str(free_port()), "--mail-port", str(free_port())]
        self.process = Process(
            [sys.executable, "-m", "tocsin", "demo", *ports, *arguments],
            log=folder / "story.txt",
            env=inherited_environment(TMPDIR=str(self.temporary), PYTHONUNBUFFERED="1"),
        )

    def told(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """Wait until the story has it."""
        self.process.wait_until(lambda: re.search(pattern, self.process.output()), within=within, what=pattern)
        found = re.search(pattern, self.process.output())
        assert found
        return found

    def left(self) -> list[str]:
        """Processes and files that exist and should not."""
        found = [str(path) for path in self.temporary.iterdir()]
        for each in psutil.process_iter():
            try:
                if each.environ().get("TMPDIR") == str(self.temporary) and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(each.cmdline()))
            except psutil.Error:
                continue
        return found


@pytest.fixture
def demo(tmp_path_factory):
    """Starts a demo, and ends it whatever happens."""
    started: list[Running] = []

    def start(*arguments: str, fast: bool = True) -> Running:
        # A short name: the path of a Unix socket below it has room for about a hundred characters.
        started.append(Running(tmp_path_factory.mktemp("demo"), *arguments, *(["--fast"] if fast else [])))
        return started[-1]

    yield start
    for each in started:
        if each.process.running:
            each.process.stop()


def test_code_fixes_three_faults_hands_one_over_and_all_are_resolved(demo):
    """The story is told in order: fixed by code with nobody woken, handed over with findings, paged; the exit code."""
    running = demo("--until-done")
    running.told(r"everything is green")
    eventually(lambda: not running.process.running, within=180, what="the end of the story")
    story = running.process.output()
    assert running.process.popen.returncode == 0, story
    assert "All 5 faults were resolved: 3 by code before anybody was paged, 2 by people." in story

    # In this order: what was broken, what was noticed and why, whom it paged, the mail, the next person, the end. What
    # code fixed may be over before the run says that it verified it, so its end is looked for by itself.
    for service in ("payments", "checkout", "carts"):
        assert re.search(rf"tocsin  #\d+ {service}: Resolved", story[: story.index("payments dies")]), story
    order = [
        r"shop    payments hangs: process \d+ is stopped",
        r"tocsin  #(\d+) opened on payments, SEV1: .*did not answer",
        r"tocsin  #\d+ payments: restart-payments runs",
        r"tocsin  #\d+ payments: Looked: process.state: process \d+ is stopped",
        r"tocsin  #\d+ payments: Looked: process.answering: no health: no answer within 1s",
        r"tocsin  #\d+ payments: Fixed: process.stop: process \d+ ended .* after SIGTERM",
        r"tocsin  #\d+ payments: Verified: process.answering: process \d+ answers",
        r"shop    checkout, process \d+, logs every step",
        r"tocsin  #\d+ opened on checkout, .* holds \d+ MB; the limit is 21 MB",
        r"tocsin  #\d+ checkout: Looked: disk.preview: \d+ files may go",
        r"tocsin  #\d+ checkout: Fixed: disk.delete: \d+ files deleted, \d+ MB freed",
        r"tocsin  #\d+ checkout: Verified: disk.usage",
        r"shop    storefront, process \d+, keeps the carts of a crawler for ever",
        r"tocsin  #\d+ opened on carts, .*Redis carts uses 9\d % of its memory",
        r"tocsin  #\d+ carts: Looked: redis.memory: \d\.\d MiB used \(9\d% of 8.0 MiB\)",
        r"tocsin  #\d+ carts: Looked: redis.idle_keys: [\d,]+ of [\d,]+ keys looked at are idle",
        r"tocsin  #\d+ carts: Fixed: redis.expire: \d+",
        r"tocsin  #\d+ carts: Verified: redis.memory",
        r"shop    payments dies",
        r"tocsin  #\d+ on payments is open again",
        r"tocsin  #\d+ payments: Looked: process.state: it does not run: .* is gone",
        r"tocsin  #\d+ payments: .*handed over: there is no process to restart",
        r"tocsin  #\d+ payments: Paging Ana.* \(because this step of the escalation was due\)",
        r"inbox   Ana has mail about #\d+: http://127.0.0.1:\d+/mails/\d+",
        r"tocsin  #\d+ payments: Paging Ben",
        r"inbox   Ben has mail about #\d+: ",
        r"shop    payments is started again",
        r"shop    worker dies",
        r"tocsin  #\d+ opened on worker",
        r"tocsin  #\d+ worker: Resolved",
    ]
    at = 0
    for pattern in order:
        found = re.compile(pattern).search(story, at)
        assert found, f"{pattern} is missing after {story[at : at + 200]!r}\n{story}"
        at = found.end()
    assert running.left() == []


@pytest.mark.browser
def test_an_answer_from_the_mail_ends_the_paging_and_ctrl_c_everything(demo, page, tmp_path):
    """Acknowledged by Ana, from her mail, Ben is left alone; Ctrl-C in the middle of a fault leaves nothing behind."""
    data = tmp_path / "data"
    running = demo("--data", str(data))
    sign_in = running.told(r"Tocsin +(http://\S+)")[1]
    inbox = running.told(r"Inbox +(http://\S+)")[1]
    running.told(r"payments dies")
    number = running.told(r"#(\d+) on payments is open again")[1]
    mail = running.told(rf"Ana has mail about #{number}: (http://\S+)")[1]
    assert mail.startswith(inbox)

    page.goto(mail)
    with page.expect_popup() as opened:
        page.frame_locator("iframe").get_by_role("link", name="Open to acknowledge").click()
    opened.value.get_by_role("button", name="Acknowledge").click()
    running.told(rf"#{number} payments: Acknowledged .*by ana")
    assert f"#{number} payments: Paging Ben" not in running.process.output()
    page.goto(sign_in)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(f"#{number}").first).to_be_visible()

    running.process.send(signal.SIGINT)
    eventually(lambda: not running.process.running, within=20, what="the end after Ctrl-C")
    assert running.process.popen.returncode == 0
    assert running.process.output().splitlines()[-1] == f"Ended. Tocsin's data is in {data}."
    assert running.left() == []


def test_a_second_run_works_and_a_third_beside_it_is_told_why_not(demo, tmp_path):
    """The same ports, twice in a row; at the same time one of them says who is in the way."""
    running = demo()
    running.told(r"everything is green")
    again = Process(
        [sys.executable, "-m", "tocsin", "demo", "--port", str(running.port)],
        log=tmp_path / "again.txt",
        env=inherited_environment(TMPDIR=str(running.temporary)),
    )
    eventually(lambda: not again.running, within=20)
    assert again.popen.returncode == 1
    assert f"Port {running.port} is busy" in again.output()

    running.process.send(signal.SIGTERM)
    eventually(lambda: not running.process.running, within=20, what="the end after SIGTERM")
    assert running.left() == []
    second = Process(
        [sys.executable, "-m", "tocsin", "demo", "--port", str(running.port)],
        log=tmp_path / "second.txt",
        env=inherited_environment(TMPDIR=str(running.temporary)),
    )
    try:
        second.wait_until(lambda: "everything is green" in second.output(), within=60, what="a second demo")
    finally:
        second.stop()
    assert running.left() == []


def test_even_kill_9_leaves_nothing(demo):
    """The kernel ends the children, the sweeper ends what they started and removes the folder."""
    running = demo()
    running.told(r"payments hangs")
    assert len(running.left()) > 5
    running.process.popen.kill()
    running.process.popen.wait()
    eventually(lambda: running.left() == [], within=20, what="nothing")


def test_the_printed_command_sends_an_event_and_ends_it(tocsin_server):
    """What the demo tells one to paste works as it stands."""
    server = tocsin_server(
        plan={"tocsin": 1, "people": {"ana": {"name": "Ana"}}, "services": {"checkout": {"about": "Orders."}}}
    )
    key = eventually(lambda: server.new_key("events", "checkout"), within=20, what="a key")
    for state in ("firing", "resolved"):
        done = subprocess.run(by_hand(key, state), shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert '"status":4' not in done.stdout
        assert alerts_of(server, state) == ["Card payments are slow"]


def alerts_of(server, state):
    """Titles of the alerts in a state, once there are any."""
    return eventually(lambda: [alert["title"] for alert in server.json("alerts", "--state", state)], what=state)
