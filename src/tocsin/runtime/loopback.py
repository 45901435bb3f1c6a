"""Where synthetic pages come back: ``POST /loopback`` with anything that holds a page's mark, in a header or the body.

A webhook's synthetic page is posted here by Tocsin itself, over whatever lies between it and its public address; a mail
server or gateway posts the mail as it came. Whoever posts proves nothing but that they have the message: the mark is
signed, and one that is told again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tocsin.engine.inputs import Receipted
from tocsin.engine.state import State
from tocsin.intake.request import Limits, Reply
from tocsin.kernel.buckets import Bucket
from tocsin.pages.ledger import tells
from tocsin.pages.loops import marks
from tocsin.runtime.clock import Clock
from tocsin.runtime.jobs import Job
from tocsin.runtime.listener import Exchange

log = structlog.get_logger("tocsin.loopback")

PATH = "/loopback"
LIMITS = Limits(rate=20.0, burst=100, body=1024 * 1024)
"""How many that hold no mark are looked through and told so; of others not more than the beginning is looked at, of"""
SMALL = 64 * 1024
"""bytes."""


class Loopback:
    """Hears synthetic pages that come back. Runs on the event loop; the engine's state is only read here."""

    def __init__(self, state: Callable[[], State], urgent: Callable[[Job], None], clock: Clock, key: bytes) -> None:
        self._state, self._urgent, self._clock, self._key = state, urgent, clock, key
        self._bucket = Bucket(LIMITS, clock.now())

    def handle(self, exchange: Exchange) -> bool:
        """Take a request if a synthetic page may be in it; answers after the commit when it is news."""
        if exchange.path != PATH:
            return False
        if exchange.method != "POST":
            exchange.answer(_text(405, "Only POST is taken here.", ("allow", "POST")))
        elif len(exchange.body) > LIMITS.body:
            exchange.answer(_text(413, f"The body has more than {LIMITS.body} bytes."))
        else:
            self._hear(exchange)
        return True

    def _hear(self, exchange: Exchange) -> None:
        text = b"\n".join([*(value for _, value in exchange.headers), exchange.body])
        free = self._bucket.take(LIMITS, self._clock.now())
        found = list(dict.fromkeys(marks(self._key, text if free else text[:SMALL])))
        if not found and not free:
            exchange.answer(_text(429, "Too many; try again.", ("retry-after", "1")))
            return
        if found and free:
            # What anybody can send must not keep a page that comes back from being heard: only that is counted.
            self._bucket.give_back(LIMITS)
        if not found:
            log.warning("loopback_refused", client=exchange.peer)
            exchange.answer(_text(404, "This holds no mark of a synthetic page of this installation."))
            return
        pages = (self._state().pages.get(number) for number in found)
        news = [page for page in pages if page is not None and page.kind == "synthetic" and tells(page, "delivered")]
        if not news:
            exchange.answer(Reply(204))
            return
        left = len(news)

        def done(job: Job) -> None:
            nonlocal left
            left -= 1
            if not left:
                exchange.answer(_text(503, "Nothing can be written down now.") if job.failed else Reply(204))

        for page in news:
            self._urgent(Job(Receipted(page.id, "delivered"), done=done))


def _text(status: int, text: str, *headers: tuple[str, str]) -> Reply:
    return Reply(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)
