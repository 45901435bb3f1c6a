"""The demo itself: the ordinary `tocsin up`, real faults, a story that is true, and nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.support.processes import Process, inherited_environment
from tests.support.waiting import eventually
from tocsin.demo.run import by_hand

pytestmark = pytest.mark.journey


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
