"""kill -9 at every point of a page's way out, enumerated: no page is lost, and what repeats itself says so.

The points in the code come from their register (``tocsin.runtime.points``); between the last byte that leaves and the
provider's answer the recipients stop at each stage of their protocol. Mail cannot drop repetitions; a webhook can.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.faults.counting import SECRET, a_plan_for
from tests.support.catcher import Catcher, Reply
from tests.support.mail import MailServer
from tests.support.ports import free_port
from tests.support.processes import inherited_environment
from tests.support.waiting import eventually
from tocsin.pages.ledger import Page
from tocsin.pages.rendering import DUPLICATE
from tocsin.runtime.points import Point
from tocsin.store.opening import url_for
from tocsin.store.reads import Reads, open_engine

pytestmark = pytest.mark.faults

OF_A_COMMIT = frozenset({Point.WRITING, Point.WRITTEN, Point.TOLD})
"""A page goes by these twice: with its intent and with its outcome."""
ONCE = {
    (Point.WRITING, "intent"), (Point.WRITTEN, "intent"), (Point.TOLD, "intent"), (Point.QUEUED, "-"),
    (Point.CHECKED, "-"), (Point.WRITTEN, "outcome"), (Point.TOLD, "outcome"),
}  # fmt: skip
"""Where a death repeats nothing: no byte had left, or its outcome was written down."""


class Case(NamedTuple):
    """Where to die, by which channel's page, and how often that page then arrives in all."""

    name: str
    channel: str
    arrives: int
    point: Point | None = None
    moment: str = "-"
    stage: str = ""


def in_the_code() -> Iterator[Case]:
    """Every point of the register, for both channels."""
    for channel in ("email", "webhook"):
        for point in Point:
            for moment in ("intent", "outcome") if point in OF_A_COMMIT else ("-",):
                arrives = 1 if (point, moment) in ONCE else 2
                yield Case(f"{channel} {point} {moment}", channel, arrives, point, moment)


def on_the_wire() -> Iterator[Case]:
    """Every stage of a recipient's protocol at which it can have nothing, all, or all and half an answer out."""
    for stage, arrives in (("greeting", 1), ("MAIL", 1), ("RCPT", 1), ("DATA", 2)):
        yield Case(f"email at {stage}", "email", arrives, stage=stage)
    for stage in ("taken", "half answered"):
        yield Case(f"webhook {stage}", "webhook", 2, stage=stage)


CASES = [*in_the_code(), *on_the_wire()]


class Node:
    """A core without supervisor or faces, forked from a process that has imported everything."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self.port = free_port()
        self.url = url_for(folder / "data", database or "")
        environment = inherited_environment(TOCSIN_SECRET_BEN=SECRET, TOCSIN_SECRET_IN="a" * 40)
        command = [sys.executable, "-m", "tests.faults.node", str(folder), str(self.port)]
        with (folder / "node.log").open("w") as log:
            self._process = subprocess.Popen(
                [*command, *([database] if database else [])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True,
            )  # fmt: skip
        self.core = 0

    def start(self, case: Case, title: str) -> None:
        """A core that dies as the case says, once it hears."""
        self._tell(f"{case.point} {case.moment} {title}" if case.point else "- - -")

    def live(self) -> None:
        """A core that lives."""
        self._tell("- - -")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self.core = int(self._said("began"))
        eventually(self._hears, within=20, what="the core to hear")

    def _said(self, word: str) -> str:
        assert self._process.stdout is not None
        said, _, rest = self._process.stdout.readline().partition(" ")
        assert said == word, f"{said} {rest}, not {word}"
        return rest.strip()

    def _hears(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5):
                return True
        except OSError:
            return False

    def send(self, title: str) -> bool:
        """Say that something fires; whether it was acknowledged. A monitor says it again until it is."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/events",
            data=json.dumps({"title": title, "key": title, "labels": {"alertname": title}}).encode(),
            headers={"Content-Type": "application/json", "Authorization": "Bearer " + "a" * 40},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bool(answer.status == 202)
        except OSError:
            return False

    def kill(self) -> None:
        """Kill it with -9, from outside."""
        psutil.Process(self.core).kill()

    def died(self) -> None:
        """Wait for the core's death, which was by SIGKILL."""
        assert self._said("ended") == "-9"

    def close(self) -> None:
        """End it all."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def node(
    mail_server: MailServer, catcher: Catcher, database: str | None, tmp_path: Path
) -> Iterator[Node]:
    """A node whose plan pages somebody else for each case: many pages to one person go out together."""
    plan = a_plan_for(mail_server, catcher, [
        {"match": [f"alertname={case.name}"], "service": f"s{n}"} for n, case in enumerate(CASES)
    ])  # fmt: skip
    hook = {"url": catcher.url + "/hook", "secret": "secret:ben"}
    ways = {"email": {"email": "ana@shop.example"}, "webhook": {"webhook": hook}}
    plan["people"] = {f"p{n}": ways[case.channel] for n, case in enumerate(CASES)}
    plan["escalations"] = {f"e{n}": [{"page": f"p{n}", "wait": "1h"}] for n in range(len(CASES))}
    plan["services"] = {f"s{n}": {"escalation": f"e{n}"} for n in range(len(CASES))}
    plan["services"]["inbox"] = {"escalation": "e0", "keys": {"in": {"source": "events", "secret": "secret:in"}}}
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "tocsin.yaml").write_text(json.dumps(plan))
    running = Node(tmp_path, database)
    yield running
    running.close()
    print((tmp_path / "node.log").read_text()[-4000:])


def test_no_page_is_lost_wherever_tocsin_dies_and_what_repeats_itself_says_so(
    node: Node, mail_server: MailServer, catcher: Catcher
) -> None:
    """One start for each case: the start after a death is where the page is made good, and where the next one dies."""
    assert {case.point for case in CASES if case.point} == set(Point), "a point that no case dies at"
    reads = Reads(open_engine(node.url))
    heard = True
    for number, case in enumerate(CASES):
        node.start(case, case.name)
        _made_good(node, reads, CASES[:number], heard)
        _stop_at(case.stage, mail_server, catcher)
        before = _stopped(mail_server, catcher)
        heard = node.send(case.name)
        if case.stage:
            eventually(lambda: _stopped(mail_server, catcher) > before, what=f"{case.name} to be reached")  # noqa: B023
            node.kill()
        node.died()
        mail_server.behave()
        catcher.default = Reply()
    node.live()
    rows = _made_good(node, reads, CASES, heard)
    arrived = _arrivals(rows, mail_server, catcher)
    assert {case.name: len(arrived[case.name]) for case in CASES} == {case.name: case.arrives for case in CASES}
    by_title = {row.title: row for row in rows}
    for case in CASES:
        again = arrived[case.name][1:]
        if case.channel == "webhook":
            assert set(again) <= {arrived[case.name][0]}, "a webhook's repetitions have one id"
            continue
        assert all(again), f"{case.name}: a repetition that does not say so"
        assert not again or by_title[case.name].outcome == "possible_duplicate"


def _stop_at(stage: str, mail: MailServer, catcher: Catcher) -> None:
    """Have a recipient stop at a stage and never go on."""
    match stage:
        case "greeting":
            mail.mute()
        case "MAIL" | "RCPT" | "DATA":
            mail.stall(at=stage)
        case "taken":
            catcher.default = Reply(delay=60.0)
        case "half answered":
            catcher.default = Reply(half=True)


def _stopped(mail: MailServer, catcher: Catcher) -> int:
    """How often a recipient has stopped so far."""
    return mail.stalled + len(catcher.requests)


def _made_good(node: Node, reads: Reads, cases: list[Case], heard: bool) -> list[Page]:
    """The ledger, once the page of every case so far was sent; the last one's event is said again if it must be."""
    assert heard or node.send(cases[-1].name)

    def settled() -> list[Page]:
        rows = list(reads.pages(limit=200).items)
        return rows if len(rows) == len(cases) and all(row.state == "sent" for row in rows) else []

    return eventually(settled, within=20, what="every page to have an outcome") if cases else []


def _arrivals(rows: list[Page], mail: MailServer, catcher: Catcher) -> dict[str, list[object]]:
    """Of each page by its title, in order: whether a mail says that it may be a repetition, or a post's webhook-id."""
    titles = {row.id: row.title for row in rows}
    found: dict[str, list[object]] = {title: [] for title in titles.values()}
    for one in mail.messages:
        (page,) = set(re.findall(r"/p/(\d+)\.", one.text()))
        found[titles[int(page)]].append(DUPLICATE in one.text())
    for post in catcher.requests:
        found[titles[int(post.json()["data"]["page"])]].append(post.headers["webhook-id"])
    return found
