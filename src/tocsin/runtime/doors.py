"""The doors monitors come in by: which key and source, whether it may, what it says, the answer after the commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import structlog
from msgspec import structs

from tocsin.access.credentials import Key, secret_hash, unknown_key
from tocsin.engine.inputs import Received
from tocsin.intake.entrance import InBody
from tocsin.intake.entrances import door, ways_in
from tocsin.intake.request import Heard, Limits, Reply, Request, Source
from tocsin.kernel.buckets import Bucket
from tocsin.kernel.instant import SECOND, Duration, Instant
from tocsin.kernel.reason import Reason
from tocsin.runtime.clock import Clock
from tocsin.runtime.jobs import Job
from tocsin.runtime.listener import Exchange
from tocsin.runtime.writer import Writer

log = structlog.get_logger("tocsin.intake")

KEPT_HEADERS = (b"content-type", b"user-agent", b"ce-id", b"ce-type", b"ce-source")
MOST_REMEMBERED = 10_000
MOMENT = SECOND
"""What lay in a socket no longer than this did not wait."""

STRANGERS = Limits(rate=20.0, burst=100)
"""How many whose key lies in the body and cannot be found there are told in detail what is wrong, and"""
SPELT_OUT = 16 * 1024
"""how long that body is. It is read on the event loop, and anybody can send it."""


def refusal(sources: Mapping[str, Source], path: str, status: int, message: str) -> Reply | None:
    """What is refused before it is a request, in the shape of the API it was for; None when that is no monitor's.

    All below an address that keys follow is meant for its API, be it at a path of it that the faces answer.
    """
    ways = ways_in(sources)
    below = (kind for kind, way in ways.items() if way.key == "path" and way.below(path))
    kind = door(ways, "POST", path) or next(below, None)
    return None if kind is None else sources[kind].refuse(status, message, None)


class Way(NamedTuple):
    """How a request with a certain head comes in, while ``era`` is that of the doors."""

    era: object
    key: Key
    source: Source
    limits: Limits
    path: str
    headers: dict[str, str]


class Doors:
    """Takes requests of monitors. Runs on the event loop; the engine's state is only read here."""

    def __init__(
        self,
        writer: Writer,
        sources: Mapping[str, Source],
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._sources = sources
        self._ways = ways_in(sources)
        self._clock = clock
        self._by_text: dict[str, tuple[Key, Source, Limits]] = {}
        self._era = object()
        self._buckets: dict[int, Bucket] = {}
        self._strangers = Bucket(STRANGERS, clock.now())
        self.requests = 0
        self.refused = 0
        self.full = False
        self.refusing_since: Instant | None = None
        self._loop = asyncio.get_running_loop()
        self._longest = self._longest_bodies()

    def refusal(self, path: str, status: int, message: str) -> Reply | None:
        """How a door words the refusal of what never became a request for it; None when the path is no door's."""
        reply = refusal(self._sources, path, status, message)
        if reply is not None:
            self.requests += 1
            self.refused += 1
        return reply

    def handle(self, exchange: Exchange) -> bool:
        """Take a request if it is for one of the doors; False when it is not."""
        way = exchange.head.memo
        if isinstance(way, Way) and way.era is self._era and way.key.revoked_at is None:
            self.requests += 1
            self._let_in(exchange, way, self._clock.now())
            return True
        path = exchange.path
        name = door(self._ways, exchange.method, path)
        if name is None:
            return False
        entrance = self._ways[name]
        key, rest = entrance.read(path) or ("", path)
        if entrance.key != "path" and exchange.method != "POST":
            self.requests += 1
            self.refused += 1
            refused = self._sources[name].refuse(405, "only POST is taken here", None)
            exchange.answer(refused._replace(headers=(*refused.headers, ("Allow", "POST"))))
        elif isinstance(entrance.key, InBody):
            self._take_by_body(exchange, name, entrance.key, path)
        else:
            if not key:
                bearer = exchange.header(b"authorization")
                key = bearer[7:].strip() if entrance.key == "header" and bearer[:7].lower() == "bearer " else ""
            self._take(exchange, name, key, rest)
        return True

    def _take_by_body(self, exchange: Exchange, name: str, in_body: InBody, path: str) -> None:
        """The key lies in the body; it is taken out before the request is kept."""
        source, longest = self._sources[name], self._longest[name]
        if len(exchange.body) > longest:  # before it is read for its key
            self.requests += 1
            self._refuse(exchange, source, 413, f"the body has more than {longest} bytes")
            return
        key = in_body.find(exchange.body)
        if key is not None:
            self._take(exchange, name, key, path, in_body)
            return
        self.requests += 1
        now = self._clock.now()
        if len(exchange.body) > SPELT_OUT or not self._strangers.take(STRANGERS, now):
            self._refuse(exchange, source, 400, "no key that is known was found in what was sent")
            return
        self.refused += 1
        request = Request(source=name, method=exchange.method, path=path, body=exchange.body)
        exchange.answer(source.decode(request, now, source.limits, {}).reply)

    def _take(
        self, exchange: Exchange, source_name: str, text: str, path: str, in_body: InBody | None = None
    ) -> None:
        now = self._clock.now()
        self.requests += 1
        known = self._by_text.get(text) or self._look_up(text, source_name)
        if known is None or known[0].revoked_at is not None or known[0].source != source_name:
            status = 400 if in_body is not None else 401
            self._refuse(exchange, self._sources[source_name], status, unknown_key(text, source_name))
            return
        key, source, limits = known
        headers = {name.decode(): value.decode("latin-1") for name, value in exchange.headers if name in KEPT_HEADERS}
        way = Way(self._era, key, source, limits, path, headers)
        if in_body is None:
            exchange.remember(way)
        else:  # a head without the key opens nothing
            exchange.body = in_body.hide(exchange.body)
        self._let_in(exchange, way, now)

    def _let_in(self, exchange: Exchange, way: Way, now: Instant) -> None:
        """Take a request whose key is known, if that key may send it now."""
        _, key, source, limits, path, headers = way
        if source.cuts:
            # A long log must not make a healthy job look dead: it is cut, never refused.
            exchange.body = exchange.body[: limits.body]
        if len(exchange.body) > limits.body:
            self._refuse(exchange, source, 413, f"the body has more than {limits.body} bytes")
            return
        bucket = self._buckets.get(key.id)
        if bucket is None:
            bucket = self._buckets[key.id] = Bucket(limits, now)
        if not bucket.take(limits, now):
            wait = -(-bucket.wait(limits, now) // SECOND)
            self._refuse(exchange, source, 429, "more requests than this key may send", wait)
            return
        if self.full or self._writer.overloaded(now):
            self.refusing_since = self.refusing_since or now
            self._refuse(exchange, source, 503, "more is waiting than can be kept; send it again", 2)
            return
        head = exchange.head
        request = Request(
            source=source.name, method=head.method, path=path, query=head.query, body=exchange.body, headers=headers
        )
        waited = self._waited(exchange)
        self.offer(request, source, key.id, key.service, now, exchange.answer, limits, waited)

    def _waited(self, exchange: Exchange) -> Duration:
        """How long a request lay in its socket because Tocsin was stopped.

        As of when it came it is understood: an end that has passed since says that its monitor was not heard, not that
        the alert is over. Where the machine cannot tell, it may have come as early as the stop began.
        """
        stopped = self._writer.time.pulse.stopped()
        if stopped is None:
            return 0
        came = exchange.came
        lain = stopped if came is None else min(time.monotonic_ns() // 1_000 - came, stopped)
        return lain if lain > MOMENT else 0

    def offer(
        self,
        request: Request,
        source: Source,
        key: int,
        service: str,
        now: Instant,
        answer: Callable[[Reply], None],
        limits: Limits | None = None,
        waited: Duration = 0,
    ) -> None:
        """Read a request within a key's limits (None: the source's), keep it, and answer after the commit.

        While others wait, it is read when its turn comes, on the writer's thread: what was read long before it is
        judged has left the processor's caches by then, which costs as much again.
        """

        def done(job: Job) -> None:
            if job.failed:
                answer(source.refuse(503, f"it could not be kept: {job.failed}; send it again", 2))
            elif job.reply is None:
                self.refused += 1
                answer(source.refuse(400, "it could not be read; it was kept, and a person is told", None))
            else:
                answer(job.reply)

        received = Received(key, service, now - waited, request, waited=waited)
        job = Job(received, done, size=len(request.body) + 500)
        if self._writer.busy:
            job.read = lambda: self._read(
                job, source, limits, lambda heard: self._loop.call_soon_threadsafe(self._said, answer, heard)
            )
            self._writer.intake(job, now)
        elif self._read(job, source, limits, lambda heard: self._said(answer, heard)):
            self._writer.intake(job, now)

    def _read(self, job: Job, source: Source, limits: Limits | None, say: Callable[[Heard], object]) -> bool:
        """Read a request. Whether anything in it has to be kept; if not, ``say`` answers it."""
        received = job.input
        assert isinstance(received, Received)
        known = self._writer.engine.state.known_of(source.name, received.service)
        try:
            heard = job.heard = source.decode(received.request, received.at, limits or source.limits, known)
        except Exception as error:  # a source's own fault: the request is kept unread, and a person is told
            log.exception("reading_failed", source=source.name)
            job.input = structs.replace(received, aside=repr(error)[:500])
            return True
        job.reply = heard.reply
        told = heard.events or heard.beats or heard.changes or heard.park
        if told or received.waited or self._is_news(heard.repeated):
            return True
        if heard.repeated:
            # The writer's time goes on when the clock was set back, and expiry is by that.
            self._writer.seen.add(heard.repeated, max(received.at, self._writer.time.latest))
        say(heard)
        return False

    def _said(self, answer: Callable[[Reply], None], heard: Heard) -> None:
        if heard.fault:
            self.refused += 1
        answer(heard.reply)

    def _is_news(self, repeated: tuple[int, ...]) -> bool:
        """Whether a repetition waits for a commit like any news.

        It does when what it repeats is not committed yet, and when it is a heartbeat: that is what it says anew each
        time, to the second, and not a minute later with others.
        """
        engine = self._writer.engine
        changes = engine.changes
        if not (changes.alerts.keys().isdisjoint(repeated) and changes.new_alerts.keys().isdisjoint(repeated)):
            return True
        if not engine.plan.heartbeat_alerts:
            return False
        known = (engine.state.alerts.get(id) for id in repeated)
        return any(alert is not None and alert.reason is Reason.COUNTS_AS_HEARTBEAT for alert in known)

    def _look_up(self, text: str, source: str) -> tuple[Key, Source, Limits] | None:
        if not text or len(text) > 200:
            return None
        key = self._writer.engine.state.keys_by_hash.get(secret_hash(text))
        if key is None or key.source not in self._sources:  # what pulls a trigger is no monitor's key
            return None
        if len(self._by_text) >= MOST_REMEMBERED:
            self._by_text.clear()
        of = self._sources[key.source]
        self._by_text[text] = key, of, of.limits.of(key.limits)
        return self._by_text[text]

    def forget_keys(self) -> None:
        """Keys changed, or the engine was read anew: look each up again."""
        self._by_text.clear()
        self._era = object()
        self._longest = self._longest_bodies()

    def _in_body(self, source: str) -> bool:
        return isinstance(self._ways[source].key, InBody)

    def _longest_bodies(self) -> dict[str, int]:
        """The most that any key may send at once, of each source whose key lies in what it sends."""
        return {name: self._longest_body(name) for name in self._ways if self._in_body(name)}

    def _longest_body(self, source: str) -> int:
        limits = self._sources[source].limits
        keys = list(self._writer.engine.state.keys.values())
        own = [limits.of(key.limits).body for key in keys if key.source == source and key.revoked_at is None]
        return max([limits.body, *own])

    def _refuse(
        self, exchange: Exchange, source: Source, status: int, message: str, retry_after: int | None = None
    ) -> None:
        self.refused += 1
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("refused", source=source.name, status=status, why=message, client=exchange.peer)
        exchange.answer(source.refuse(status, message, retry_after))
