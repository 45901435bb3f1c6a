"""One run's process, from the fork to its end: limits, its line to Tocsin, and the playbook's body."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from msgspec import structs

from tocsin.kernel.instant import SECOND
from tocsin.playbooks import language
from tocsin.playbooks.carrying import carry_out, left_python
from tocsin.playbooks.run import Began, GaveUp, Looking, Report
from tocsin.playbooks.runner.bounds import bound, limit
from tocsin.playbooks.runner.frames import encode, frame, read_reply, read_start, receive
from tocsin.playbooks.runner.importing import why_absent
from tocsin.playbooks.runner.sparing import spare_ancestors
from tocsin.playbooks.session import HIDDEN, Go, Reply, Session, Start
from tocsin.playbooks.targets import secrets_in

PDEATHSIG = 1
CONFINED = "see whether it needs more than it is confined to: {}"
LONG = 16
"""A word of a secret that is at least so long is kept out by itself: keys are written on many lines."""


def become(parent: int, output: int, cpu: int) -> None:
    """Turn a fork of the zygote into a run's process: a session and limits of its own; it ends with its parent."""
    os.setsid()
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    limit(resource.RLIMIT_CPU, max(1, cpu // SECOND))
    bound()
    spare_ancestors()


def run(control: socket.socket, failed: dict[str, str]) -> NoReturn:
    """Read what is to be done, do it, say how it ended, and end.

    ``failed``: of each file of the plan's code that could not be imported, why.
    """
    wire = PipeWire(control)
    start = read_start(receive(control))
    secrets = Secrets()
    secrets.learn(start.urls)
    wire.learn = secrets.learn
    wire.watch()
    wire.looks(Looking(0, "", ""))
    try:
        left = _carry_out(wire, start, secrets.redact, failed)
    except BaseException as error:  # noqa: BLE001  # no signal raises anything here: the playbook's code did
        left = left_python(error, secrets.redact)
    if isinstance(left, GaveUp) and start.confined:
        left = structs.replace(left, next=left.next or CONFINED.format(start.confined))
    if left is not None:
        wire.tell(left)
    control.shutdown(socket.SHUT_WR)
    os._exit(0)


def _carry_out(
    wire: PipeWire, start: Start, redact: Callable[[str], str], failed: dict[str, str]
) -> Report | None:
    found = next((one for one in language.declared if one.name == start.playbook), None)
    if found is None and failed:
        # The plan was read where its code could be imported: a confinement that lacks something is no failure of it.
        return GaveUp("withheld" if start.confined else "raised", f"it was not begun: {redact(why_absent(failed))}")
    if found is None:
        return GaveUp("withheld", f"it was not begun: the plan's code as it was laid out has no {start.playbook}")
    session = Session(
        wire, start.recorded, start.urls, redact, doubt=start.doubt, since=start.since, approved=start.approved
    )
    return carry_out(session, found, start)


class PipeWire:
    """A run's line to Tocsin. When its other end is gone, so is this process and all it started."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self.learn: Callable[[dict[str, str]], None] = lambda urls: None

    def begin(self, began: Began) -> Reply:
        """Ask, and wait for the answer."""
        self.tell(began)
        try:
            reply: Reply = read_reply(receive(self._control))
        except (EOFError, OSError):
            _end_all()
        if isinstance(reply, Go):
            self.learn(reply.urls)
        return reply

    def tell(self, report: Report) -> None:
        """Report something."""
        try:
            self._control.sendall(frame(encode(report)), socket.MSG_NOSIGNAL)  # an end of its own, with all it started
        except OSError:
            _end_all()

    def looks(self, looking: Looking) -> None:
        """Say where it is."""
        self.tell(looking)

    def clock(self) -> float:
        """Seconds."""
        return time.monotonic()

    def rest(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def watch(self) -> None:
        """End this process as soon as the other end of the line is gone, whatever it is doing."""
        threading.Thread(target=self._watch, daemon=True, name="tocsin-line").start()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLRDHUP)
        poll.poll()
        _end_all()


def _end_all() -> NoReturn:
    os.killpg(0, signal.SIGKILL)
    os._exit(1)


class Secrets:
    """What must be in no text that leaves: credentials, and the passwords in them."""

    def __init__(self) -> None:
        self._known: list[str] = []

    def learn(self, urls: dict[str, str]) -> None:
        """Keep these out from now on."""
        self._known = sorted({*self._known, *secret_parts(urls.values())}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """The text without them."""
        return redacted(text, self._known)


def secret_parts(urls: Any) -> set[str]:
    """What of credentials is secret: the whole, of an address its password, of a description the secrets in it and each
    line of theirs; also as JSON and Python write them.
    """
    found: set[str] = set()
    for url in urls:
        found.add(url)
        for one in secrets_in(url):
            found |= {one, one.strip(), *(line for line in one.split() if len(line) >= LONG)}
        try:
            password = urlsplit(url).password
        except ValueError:
            password = None
        if password:
            found |= {password, unquote(password)}
    written = {text for one in found for text in (json.dumps(one)[1:-1], repr(one)[1:-1])}
    return {one for one in found | written if len(one) >= 4}


def redacted(text: str, secrets: list[str]) -> str:
    """A text with every secret in it replaced."""
    for one in secrets:
        if one in text:
            text = text.replace(one, HIDDEN)
    return text


__all__ = ["Secrets", "become", "redacted", "run", "secret_parts"]
