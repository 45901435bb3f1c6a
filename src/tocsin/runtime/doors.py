"""The doors monitors come in by: which key and source, whether it may, what it says, the answer after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

import structlog

from tocsin.access.credentials import Key, secret_hash
from tocsin.alerts.alert import Alert
from tocsin.engine.inputs import Received
from tocsin.intake.request import Limits, Reply, Request, Source
from tocsin.kernel.instant import SECOND, Instant
from tocsin.runtime.clock import Clock
from tocsin.runtime.listener import Exchange
from tocsin.runtime.writer import Job, Writer

log = structlog.get_logger("tocsin.intake")

KEPT_HEADERS = (b"content-type", b"user-agent", b"ce-id", b"ce-type", b"ce-source")
MOST_REMEMBERED = 10_000


class Bucket:
    """A token bucket: ``rate`` requests a second, ``burst`` at once."""

    __slots__ = ("at", "left")

    def __init__(self, limits: Limits, now: Instant) -> None:
        self.left = float(limits.burst)
        self.at = now

    def take(self, limits: Limits, now: Instant) -> bool:
        """Take one; False when there is none."""
        passed = max(0, now - self.at)  # the clock may have been set back
        self.left = min(float(limits.burst), self.left + passed * limits.rate / SECOND)
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class Doors:
    """Takes requests of monitors. Runs on the event loop; the engine's state is only read here."""

    def __init__(
        self,
        writer: Writer,
        sources: Mapping[str, Source],
        clock: Clock,
        routing_key: Callable[[bytes], str | None],
        redacted: Callable[[bytes], bytes],
    ) -> None:
        self._writer = writer
        self._sources = sources
        self._routing_key = routing_key
        self._redacted = redacted
        self._clock = clock
        self._by_text: dict[str, tuple[Key, Source]] = {}
        self._buckets: dict[int, Bucket] = {}
        self.requests = 0
        self.refused = 0
        self.full = False
        self.refusing_since: Instant | None = None
        self._loop = asyncio.get_running_loop()

    def handle(self, exchange: Exchange) -> bool:
        """Take a request if it is for one of the doors; False when it is not."""
        path = exchange.path
        if path.startswith("/am/"):
            key, _, rest = path[4:].partition("/")
            if exchange.method != "POST" or rest != "api/v2/alerts":
                return False
            self._take(exchange, "alertmanager", key, "/" + rest)
        elif path.startswith("/ping/"):
            key, _, rest = path[6:].partition("/")
            # A long log must not make a healthy job look dead: it is cut, never refused.
            exchange.body = exchange.body[: self._sources["heartbeat"].limits.body]
            self._take(exchange, "heartbeat", key, "/" + rest)
        elif path in ("/v2/enqueue", "/v2/change/enqueue"):
            if exchange.method != "POST":
                self._refuse(exchange, self._sources["pagerduty"], 405, "only POST is taken here")
                return True
            self._take_pagerduty(exchange, path)
        elif path == "/api/events" or path.startswith("/api/events/"):
            if exchange.method != "POST":
                self._refuse(exchange, self._sources["events"], 405, "only POST is taken here")
                return True
            bearer = exchange.header(b"authorization")
            key = path[12:] or (bearer[7:].strip() if bearer[:7].lower() == "bearer " else "")
            self._take(exchange, "events", key, "/api/events")
        else:
            return False
        return True

    def _take_pagerduty(self, exchange: Exchange, path: str) -> None:
        """PagerDuty's key lies in the body; it is taken out before the request is kept."""
        if len(exchange.body) > self._sources["pagerduty"].limits.body:  # before it is read for its key
            self.requests += 1
            limit = self._sources["pagerduty"].limits.body
            self._refuse(exchange, self._sources["pagerduty"], 413, f"the body has more than {limit} bytes")
            return
        key = self._routing_key(exchange.body)
        if key is None:
            self.requests += 1
            self.refused += 1
            source = self._sources["pagerduty"]
            request = Request(
                source="pagerduty", method=exchange.method, path=path, body=exchange.body[: source.limits.body]
            )
            exchange.answer(source.decode(request, self._clock.now(), source.limits, {}).reply)
            return
        exchange.body = self._redacted(exchange.body)
        self._take(exchange, "pagerduty", key, path)

    def _take(self, exchange: Exchange, source_name: str, text: str, path: str) -> None:
        now = self._clock.now()
        self.requests += 1
        known = self._by_text.get(text) or self._look_up(text, source_name)
        if known is None or known[0].revoked_at is not None or known[0].source != source_name:
            status = 400 if source_name == "pagerduty" else 403 if text else 401
            why = f"this key is not known for {source_name}, or was revoked" if text else "no key was sent"
            self._refuse(exchange, self._sources[source_name], status, why)
            return
        key, source = known
        limits = source.limits
        if len(exchange.body) > limits.body:
            self._refuse(exchange, source, 413, f"the body has more than {limits.body} bytes")
            return
        bucket = self._buckets.get(key.id)
        if bucket is None:
            bucket = self._buckets[key.id] = Bucket(limits, now)
        if not bucket.take(limits, now):
            self._refuse(exchange, source, 429, "more requests than this key may send", 1)
            return
        if self.full or self._writer.overloaded(now):
            self.refusing_since = self.refusing_since or now
            self._refuse(exchange, source, 503, "more is waiting than can be kept; send it again", 2)
            return
        request = Request(
            source=source_name,
            method=exchange.method,
            path=path,
            query=exchange.query,
            body=exchange.body,
            headers={
                name.decode(): value.decode("latin-1") for name, value in exchange.headers if name in KEPT_HEADERS
            },
        )
        self.offer(request, source, key.id, key.service, now, exchange.answer)

    def offer(
        self, request: Request, source: Source, key: int, service: str, now: Instant, answer: Callable[[Reply], None]
    ) -> None:
        """Read a request, keep it, and answer after the commit."""
        remembered = self._writer.engine.state.known_of(service)
        try:
            heard = source.decode(request, now, source.limits, remembered)
        except Exception as error:  # a source's own fault: the request is kept unread, and a person is told
            log.exception("reading_failed", source=source.name)
            self._keep_unread(Received(key, service, now, request, repr(error)[:500]), source, answer)
            return
        if not (heard.events or heard.beats or heard.changes or heard.park):
            durable = self._durable(remembered, heard.repeated)
            if durable is not None:
                if durable:
                    # The writer's time goes on when the clock was set back, and expiry is by that.
                    self._writer.seen.add(durable, max(now, self._writer.latest))
                elif heard.fault:
                    self.refused += 1
                answer(heard.reply)
                return

        def done(job: Job) -> None:
            if job.failed:
                answer(source.refuse(503, f"it could not be kept: {job.failed}; send it again", 2))
            else:
                answer(heard.reply)

        self._writer.intake(Job(Received(key, service, now, request), done, heard, size=len(request.body) + 500), now)

    def _keep_unread(self, received: Received, source: Source, answer: Callable[[Reply], None]) -> None:
        def done(job: Job) -> None:
            if job.failed:
                answer(source.refuse(503, f"it could not be kept: {job.failed}; send it again", 2))
            else:
                answer(source.refuse(400, "it could not be read; it was kept, and a person is told", None))

        self.refused += 1
        self._writer.intake(Job(received, done, size=len(received.request.body) + 500), received.at)

    def _durable(self, remembered: Mapping[bytes, Alert], repeated: tuple[bytes, ...]) -> list[int] | None:
        """The alerts that are repeated; None when one is not committed yet.

        Then this waits for a commit like any news.
        """
        kept = self._writer.kept_alerts
        ids = []
        for digest in repeated:
            alert = remembered.get(digest)
            if alert is None or alert.id > kept:
                return None
            ids.append(alert.id)
        return ids

    def _look_up(self, text: str, source: str) -> tuple[Key, Source] | None:
        if not text or len(text) > 200:
            return None
        key = self._writer.engine.state.keys_by_hash.get(secret_hash(text))
        if key is None:
            return None
        if len(self._by_text) >= MOST_REMEMBERED:
            self._by_text.clear()
        self._by_text[text] = key, self._sources[key.source]
        return self._by_text[text]

    def forget_keys(self) -> None:
        """Keys changed, or the engine was read anew: look each up again."""
        self._by_text.clear()

    def _refuse(
        self, exchange: Exchange, source: Source, status: int, message: str, retry_after: int | None = None
    ) -> None:
        self.refused += 1
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("refused", source=source.name, status=status, why=message, client=exchange.peer)
        exchange.answer(source.refuse(status, message, retry_after))
