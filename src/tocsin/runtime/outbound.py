"""Guarded hands to the outside: HTTP requests, TCP connections and calls that may block for ever.

A host's name is resolved once; what may not be reached is refused; the connection then goes to exactly the address that
was looked at, so a name that changes its mind in between gains nothing. Private and loopback addresses are allowed
unless ``deny_private``: watching internal services is the job. Proxies named by the environment are ignored: they would
resolve the name themselves.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

import httpcore2
import httpx2

from tocsin import __version__
from tocsin.kernel.addresses import refusal
from tocsin.kernel.instant import SECOND
from tocsin.kernel.outside import Answer, Unanswered

T = TypeVar("T")
Resolver = Callable[[str, int], Sequence[str]]

class RefusedAddressError(Exception):
    """A connection was not attempted, because its address is one that nothing here has business with."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, best first, as the system resolves it. Blocks; raises OSError or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Threads:
    """Calls that may block for ever, each on a thread of its own that is given up, not waited for, when it is late."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Future[object]] = {}

    async def aside(self, key: str, call: Callable[[], T], *, within: float) -> T:
        """As ``Outside.aside``. The thread pool is not used: a few stuck calls would stop everybody else's."""
        loop = asyncio.get_running_loop()
        pending = self._under_way.get(key)
        if pending is None or pending.get_loop() is not loop:
            pending = self._under_way[key] = loop.create_future()
            pending.add_done_callback(lambda done: self._forget(key, done))
            # A daemon: a thread stuck in the kernel must not keep the process from ending.
            threading.Thread(target=_answer, args=(loop, pending, call), name=f"aside {key}", daemon=True).start()
        async with asyncio.timeout(within):
            # Shielded: one who waited too long must not take the answer from the others.
            return cast(T, await asyncio.shield(pending))  # the key says what is asked, and so what comes

    def _forget(self, key: str, done: asyncio.Future[object]) -> None:
        if self._under_way.get(key) is done:
            del self._under_way[key]
        if not done.cancelled():
            done.exception()  # looked at, so that an error after everyone left is no complaint


def _answer(loop: asyncio.AbstractEventLoop, pending: asyncio.Future[object], call: Callable[[], object]) -> None:
    answer: object = None
    error: BaseException | None = None
    try:
        answer = call()
    except BaseException as raised:  # noqa: BLE001  # it belongs to the one who waits, whatever it is
        error = raised

    def tell() -> None:
        if pending.done():
            return
        if error is None:
            pending.set_result(answer)
        else:
            pending.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        pass  # the loop closed while the call was stuck; nobody waits any more


class Guard:
    """Turns a host into addresses that may be connected to."""

    def __init__(self, threads: Threads, *, deny_private: bool = False, resolver: Resolver = resolve) -> None:
        self._threads, self._deny_private, self._resolver = threads, deny_private, resolver

    async def addresses(self, host: str, port: int, *, within: float) -> list[str]:
        """Addresses to try, best first. Raises RefusedAddressError when there are some and none is allowed."""
        if not 0 < port < 65_536:
            raise ValueError(f"there is no port {port}")
        try:
            found: Sequence[str] = [str(ipaddress.ip_address(host))]
        except ValueError:
            found = await self._threads.aside(
                f"resolve:{host}:{port}", lambda: self._resolver(host, port), within=within
            )
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        refusals = {address: refusal(address, deny_private=self._deny_private) for address in found}
        allowed = [address for address, reason in refusals.items() if not reason]
        if not allowed:
            raise RefusedAddressError(next(iter(refusals.values())))
        return allowed

    async def first(self, host: str, port: int, attempt: Callable[[str, float], Awaitable[T]], *, within: float) -> T:
        """Try the addresses one after the other, each with its share of the time, and return the first that worked."""
        clock = asyncio.get_running_loop().time
        ends = clock() + within
        addresses = await self.addresses(host, port, within=within)
        for count in range(len(addresses), 1, -1):
            share = max(0.0, min(2.0, (ends - clock()) / count))
            try:
                async with asyncio.timeout(share):
                    return await attempt(addresses[-count], share)
            except (OSError, httpcore2.NetworkError, httpcore2.TimeoutException):
                continue
        async with asyncio.timeout_at(ends):
            return await attempt(addresses[-1], max(0.0, ends - clock()))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens HTTP's connections, to addresses the guard has looked at."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self._inner = guard, httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2 names it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first allowed address that accepts. An address is never resolved again below this."""

        async def attempt(address: str, share: float) -> httpcore2.AsyncNetworkStream:
            return await self._inner.connect_tcp(address, port, share, local_address, socket_options)

        return await self._guard.first(host, port, attempt, within=30.0 if timeout is None else timeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore2 names it
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Refused: no URL leads to a local socket."""
        raise RefusedAddressError("local sockets are not connected to")

    async def sleep(self, seconds: float) -> None:
        """Wait, between attempts."""
        await asyncio.sleep(seconds)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, stream: httpcore2.Response) -> None:
        self._answer = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._answer.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """httpx2's transport over the guarded backend: a connection for each request, no proxies, nothing kept open."""

    def __init__(self, guard: Guard, tls: Callable[[], ssl.SSLContext]) -> None:
        self._guard, self._tls = guard, tls
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request."""
        if self._pool is None:
            self._pool = httpcore2.AsyncConnectionPool(
                ssl_context=self._tls(),
                max_connections=None,
                # A probe that reuses a connection does not learn that no new one can be had; and a page must not meet
                # a connection that its server closed a moment ago.
                max_keepalive_connections=0,
                network_backend=GuardedBackend(self._guard),
            )
        with _as_httpx():
            plain = httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
            answer = await self._pool.handle_async_request(plain)
        return httpx2.Response(
            status_code=answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close what is open."""
        if self._pool is not None:
            await self._pool.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The two packages name their errors alike; a caller of httpx2 expects httpx2's."""
    try:
        yield
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
        kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise kind(str(error)) from error
    except httpcore2.UnsupportedProtocol as error:
        raise httpx2.UnsupportedProtocol(str(error)) from error


class Outbound:
    """The guarded hands that probes and channels are given: ``tocsin.kernel.outside.Outside``."""

    def __init__(
        self, *, deny_private: bool = False, tls: ssl.SSLContext | None = None, resolver: Resolver = resolve
    ) -> None:
        """``tls``: which certificates are believed; the system's (and ``SSL_CERT_FILE``) when left out."""
        self._threads = Threads()
        self._guard = Guard(self._threads, deny_private=deny_private, resolver=resolver)
        self._tls = tls
        self.client = httpx2.AsyncClient(
            transport=GuardedTransport(self._guard, lambda: self.tls),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # the deadline covers the whole request, not each read
            headers={"user-agent": f"Tocsin/{__version__}", "accept": "*/*", "accept-encoding": "identity"},
        )

    @property
    def tls(self) -> ssl.SSLContext:
        """TLS settings for connections to the outside, made when first needed: reading all authorities takes time."""
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
        return self._tls

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        within: float,
        limit: int,
    ) -> Answer | Unanswered:
        """As ``Outside.request``."""
        try:
            async with (
                asyncio.timeout(within),
                self.client.stream(method, url, headers=dict(headers or {}), content=content or None) as answer,
            ):
                certificate_until = _certificate_until(answer)
                body, truncated = await _read(answer, limit)
                return Answer(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    body=body,
                    truncated=truncated,
                    certificate_until=certificate_until,
                )
        except _OUTSIDE as error:
            return unanswered(error)

    async def connect(self, host: str, port: int, *, within: float) -> socket.socket | Unanswered:
        """As ``Outside.connect``; what comes back is a connected socket that does not block."""
        try:
            async with asyncio.timeout(within):
                return await self._guard.first(host, port, lambda address, _: _open(address, port), within=within)
        except _OUTSIDE as error:
            return unanswered(error)

    async def aside(self, key: str, call: Callable[[], T], *, within: float) -> T:
        """As ``Outside.aside``."""
        return await self._threads.aside(key, call, within=within)

    async def close(self) -> None:
        """Let go of every connection."""
        await self.client.aclose()


_OUTSIDE = (
    OSError,  # with it TimeoutError, gaierror, ssl.SSLError
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.TimeoutException,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    RefusedAddressError,
    UnicodeError,  # a host name or header that cannot be written
    ValueError,
)


async def _open(address: str, port: int) -> socket.socket:
    line = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, (address, port))
    except BaseException:
        line.close()
        raise
    return line


async def _read(answer: httpx2.Response, limit: int) -> tuple[bytes, bool]:
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > limit:
            return bytes(body[:limit]), True
    return bytes(body), False


def _certificate_until(answer: httpx2.Response) -> int | None:
    stream = answer.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    found = tls.getpeercert() if tls is not None else None
    return int(ssl.cert_time_to_seconds(found["notAfter"])) * SECOND if found and "notAfter" in found else None


def unanswered(error: BaseException) -> Unanswered:
    """What went wrong, in words for a person."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    # Waiting for more of what is encrypted is no fault of the encryption: that is a server that does not answer.
    chain = [one for one in chain if not isinstance(one, ssl.SSLWantReadError | ssl.SSLWantWriteError)]
    for one in chain:
        if isinstance(one, RefusedAddressError):
            return Unanswered("refused_address", str(one))
        if isinstance(one, ssl.SSLCertVerificationError):
            return Unanswered("tls", f"its certificate is not accepted: {one.verify_message}")
        if isinstance(one, ssl.SSLError):
            return Unanswered("tls", f"no secure connection came about: {one.reason or one}")
        if isinstance(one, socket.gaierror):
            return Unanswered("unreachable", f"its name cannot be resolved: {one.strerror}")
    for one in chain:
        if isinstance(one, OSError) and not isinstance(one, TimeoutError) and one.errno is not None:
            if one.errno == errno.ECONNREFUSED:
                return Unanswered("unreachable", "the connection was refused, nothing listens there")
            return Unanswered("unreachable", (one.strerror or str(one)).lower())
    if isinstance(error, TimeoutError | httpx2.TimeoutException | httpcore2.TimeoutException):
        return Unanswered("deadline", "no answer came in time")
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | ValueError):
        return Unanswered("client", f"it cannot be asked: {error}")
    if isinstance(error, httpx2.ProtocolError | httpcore2.ProtocolError):
        return Unanswered("unreachable", f"the connection broke off: {error}")
    return Unanswered("unreachable", str(error) or "the connection broke off")
