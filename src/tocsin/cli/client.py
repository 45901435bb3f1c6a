"""A small client of the API, on the standard library's HTTP: a second of imports would be felt at every command."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from email.utils import parsedate_to_datetime
from time import sleep
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from tocsin import __version__
from tocsin.cli.failure import Failure, NotFound, Refused, Unauthorised, Unreachable
from tocsin.cli.server import Place
from tocsin.cli.text import read_in
from tocsin.kernel.instant import Instant, from_datetime, parse_rfc3339

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
PATIENCE_SECONDS = 5.0
LARGEST_ANSWER = 64 * 1024 * 1024
PAGE = 500

_BROKEN = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, http.client.BadStatusLine)
"""How a connection ends that the other side closed. http.client.RemoteDisconnected is a BadStatusLine."""


class Api:
    """One server's ``/api/v1``, over one connection that is kept between requests. Use it with ``with``.

    Every method raises Failure. ``now`` is the server's time at its last answer, so that "5 min ago" does not depend on
    this machine's clock; None when the server did not say.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.now: Instant | None = None
        parts = urlsplit(place.url)
        assert parts.hostname is not None
        self._host, self._port, self._prefix = parts.hostname, parts.port, f"{parts.path}/api/v1"
        self._tls = parts.scheme == "https"
        self._connection: http.client.HTTPConnection | None = None
        self._come_back: float | None = None

    def __enter__(self) -> Api:
        read_in(self.zone)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """Read one thing. ``path`` follows ``/api/v1``; parts of it that come from people go through ``segment``.

        What is asked is named as the options are: a refusal of ``at`` is one of ``--at``.
        """
        try:
            return self._ask("GET", path + _query(query))
        except Refused as error:
            field = str(error.told.get("field") or "")
            if field not in (query or {}):
                raise
            detail = str(error.told.get("detail") or "").replace(f"{field}: ", f"--{field}: ", 1)
            told = {**error.told, "field": f"--{field}", "detail": detail}
            raise type(error)(sentence(told), told) from None

    def every(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Read a whole list, page by page, or its first ``limit`` items."""
        asked: dict[str, Any] = {**(query or {}), "limit": PAGE if limit is None else max(1, min(limit, PAGE))}
        left = limit
        while True:
            page = self._ask("GET", path + _query(asked))
            items = page.get("items") if isinstance(page, dict) else None
            if not isinstance(items, list):
                raise self._not_ours()
            for item in items:
                if left == 0:
                    return
                yield item
                left = None if left is None else left - 1
            if not page.get("next") or left == 0:
                return
            asked["cursor"] = page["next"]

    def every_of(
        self, service: str | None, path: str, query: Mapping[str, Any], limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """As ``every``, for a list that may be of one service. Raises NotFound when there is no such service."""
        none = True
        for one in self.every(path, {**query, "service": service}, limit):
            none = False
            yield one
        if none and service:
            # Only then, for a service that the plan has no more may still have something.
            names = [str(one["name"]) for one in self.get("/services")["items"]]
            if service not in names:
                near = get_close_matches(service, names, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:20])}."
                raise NotFound(f"There is no service {service!r}; {hint}")

    def write(self, method: str, path: str, body: Any = None, options: Mapping[str, str] | None = None) -> Any:
        """Change something. A repetition after a broken connection carries the same idempotency key.

        ``options``: by a field of the body, the option that says it: a refusal names that, or nothing for "".
        """
        try:
            return self._ask(method, path, json.dumps(body if body is not None else {}).encode(), os.urandom(16).hex())
        except Refused as error:
            field = str(error.told.get("field") or "")
            if field not in (options or {}):
                raise
            told = {**error.told, "field": (options or {})[field]}
            raise type(error)(sentence(told), told) from None

    def zone(self) -> str:
        """The zone in which whoever asks is told times; "" when the server does not say."""
        try:
            return str(self.get("/me").get("timezone", ""))
        except Failure:
            return ""

    def time(self) -> Instant:
        """What time the server has it, to reckon from: this machine's clock may be wrong."""
        try:
            return parse_rfc3339(self.get("/status")["now"])
        except (KeyError, TypeError, ValueError):
            raise self._not_ours() from None

    # --- one request

    def _ask(self, method: str, path: str, body: bytes | None = None, key: str = "") -> Any:
        headers = {
            "Accept": "application/json, application/problem+json",
            "Authorization": f"Bearer {self.place.token}",
            "User-Agent": f"tocsin/{__version__}",
        }
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        status, kind, content = self._patiently(method, self._prefix + path, body, headers)
        if kind == "json":
            try:
                answer = json.loads(content) if content else None
            except ValueError:
                raise self._not_ours() from None
        else:
            answer = None
        if 200 <= status < 300:
            if kind != "json" and content:
                raise self._not_ours()
            return answer
        raise self._refusal(status, answer)

    def _patiently(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        """One exchange; while the server says that it will be ready in a moment, as when it starts, wait for that."""
        waited = 0.0
        while True:
            status, kind, content = self._exchange(method, target, body, headers)
            wait = self._come_back
            if status != 503 or wait is None or waited + wait > PATIENCE_SECONDS:
                return status, kind, content
            sleep(wait)
            waited += wait

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, bytes]:
        for again in (True, False):
            try:
                connection = self._connected()
                connection.request(method, target, body, headers)
                response = connection.getresponse()
                content = response.read(LARGEST_ANSWER + 1)
                break
            except _BROKEN as error:
                self.close()
                if not again:
                    raise Unreachable(f"{self.place.url} closed the connection without an answer, twice.") from error
            except TimeoutError as error:
                self.close()
                done = " It may still have been done." if body is not None else ""
                raise Unreachable(f"{self.place.url} did not answer within {ANSWER_SECONDS:.0f} s.{done}") from error
            except ssl.SSLCertVerificationError as error:
                raise Unreachable(
                    f"The certificate of {self.place.url} is not trusted: {error.verify_message}. "
                    "If it comes from an authority of your own, name that in SSL_CERT_FILE."
                ) from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise self._no_answer(error) from error
        if len(content) > LARGEST_ANSWER:
            raise self._not_ours()
        date = response.getheader("Date")
        if date:
            try:
                self.now = from_datetime(parsedate_to_datetime(date))
            except ValueError:
                self.now = None
        later = response.getheader("Retry-After", "").strip()
        self._come_back = max(0.1, int(later)) if later.isascii() and later.isdigit() and len(later) < 6 else None
        if response.will_close:
            self.close()
        media = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
        return response.status, "json" if media == "application/json" or media.endswith("+json") else media, content

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._tls:
                made: http.client.HTTPConnection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=CONNECT_SECONDS, context=self._trust()
                )
            else:
                made = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
            made.connect()
            made.sock.settimeout(ANSWER_SECONDS)
            self._connection = made
        return self._connection

    def _trust(self) -> ssl.SSLContext:
        """Whom to believe: the machine's authorities, or on the server's own machine the one certificate it shows."""
        if self.place.certificate is None:
            return ssl.create_default_context()
        context = ssl.create_default_context(cafile=str(self.place.certificate))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
        return context

    # --- what went wrong, in words

    def _no_answer(self, error: Exception) -> Failure:
        url, folder = self.place.url, self.place.folder
        if isinstance(error, ConnectionRefusedError):
            if folder is not None:
                return Unreachable(
                    f"No server runs on {folder}: nothing answers at {url}, where it last was. "
                    f"Start it with `tocsin up --data {folder}`."
                )
            return Unreachable(f"Nothing answers at {url}: no server listens there.")
        if isinstance(error, socket.gaierror):
            return Unreachable(f"{self._host} cannot be found: {error.strerror}.")
        if isinstance(error, ssl.SSLError):
            return Unreachable(f"{url} does not speak TLS as it should: {error.reason or error}.")
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unreachable(f"{url} cannot be reached: {cause}.")

    def _not_ours(self) -> Failure:
        return Unreachable(f"What answers at {self.place.url} is not Tocsin's API. Is the address right?")

    def _refusal(self, status: int, answer: Any) -> Failure:
        problem = answer if isinstance(answer, dict) else None
        said = sentence(problem) if problem else ""
        if status == 401:
            where = "TOCSIN_TOKEN" if self.place.own else f"the one in {self.place.folder}"
            return Unauthorised(
                f"{self.place.url} does not accept the token ({where}): it is wrong, expired or revoked."
            )
        if status == 403:
            return Unauthorised(said or "This token may not do that.")
        if 300 <= status < 400:
            return Unreachable(
                f"{self.place.url} sends its callers elsewhere ({status}): use the address it really has."
            )
        if status in (502, 503, 504):
            return Unreachable(said or f"{self.place.url} is not ready ({status}): try again in a moment.")
        if problem is None:
            return self._not_ours() if status in (404, 405) else Unreachable(f"{self.place.url} answered {status}.")
        if status == 404:
            return NotFound(said or "There is no such thing.")
        return Refused(said or f"The server refused with {status}.", problem)


def _query(query: Mapping[str, Any] | None) -> str:
    kept = {name: value for name, value in (query or {}).items() if value not in (None, "", (), [])}
    return f"?{urlencode(kept, doseq=True)}" if kept else ""


def segment(text: object) -> str:
    """A text as one part of a path."""
    return quote(str(text), safe="")


def sentence(problem: Mapping[str, Any]) -> str:
    """A problem+json document as one sentence that names the field, when there is one."""
    said = str(problem.get("detail") or problem.get("title") or "").strip()
    named: list[tuple[str, str]] = []
    if isinstance(problem.get("field"), str) and problem["field"]:
        named.append((problem["field"], ""))
    errors = problem.get("errors") or problem.get("extra")
    if isinstance(errors, list):
        for error in errors:
            if isinstance(error, dict):
                field = error.get("field") or error.get("key") or error.get("pointer") or ""
                named.append((str(field), str(error.get("message") or error.get("detail") or "")))
    # A sentence begins with a capital, unless it begins with the name of a field.
    if not any(field and said.startswith(field) for field, _ in named):
        said = said[:1].upper() + said[1:]
    parts = []
    for field, message in named:
        if field and field not in said:
            parts.append(f"{field}: {message}" if message else field)
        elif message and message not in said:
            parts.append(message)
    if not parts:
        return said if said.endswith((".", "?", "!", ")")) or not said else f"{said}."
    return f"{said.rstrip('.')} ({'; '.join(parts)})." if said else "; ".join(parts)
