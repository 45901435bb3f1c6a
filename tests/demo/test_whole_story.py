"""The demo from its beginning to its end. It is told in real time: a file of its own, begun before all others."""

from __future__ import annotations

import re

import pytest

from tests.support.waiting import eventually

pytestmark = pytest.mark.journey


def test_code_fixes_three_faults_hands_one_over_and_all_are_resolved(demo):
    """The story is told in order: fixed by code with nobody woken, handed over with findings, paged; the exit code."""
    running = demo("--until-done")
    running.told(r"everything is green")
    eventually(lambda: not running.process.running, within=180, what="the end of the story")
    story = running.process.output()
    assert running.process.popen.returncode == 0, story
    assert "All 5 faults were resolved: 3 by code before anybody was paged, 2 after people were paged." in story

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
