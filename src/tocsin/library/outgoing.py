"""One HTTP request of a step: to an address that was looked at, within a time for all of it, a bounded answer.

What no one has business with (clouds' metadata, link-local) is refused, as for probes; private addresses are what plans
name. Redirects are not followed: another address being well says nothing of this one. Proxies are not used.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from msgspec import Struct

from tocsin.kernel.addresses import refusal

MOST = 64 * 1024
SAID = 200


class Answered(Struct, frozen=True):
    """What came back: ``status`` 0 and ``why`` when nothing did. ``body``: its first 64 KiB."""

    status: int = 0
    body: bytes = b""
    took_ms: float = 0.0
    why: str = ""


def ask(
    method: str, url: str, *, token: str = "", basic: bool = False, content: bytes | None = None, within: float
) -> Answered:
    """Send one request. Never raises for what the other side does."""
    began = time.monotonic()
    try:
        status, body = _asked(method, url, _headers(token, basic, content), content, began + within)
    except (OSError, http.client.HTTPException, ValueError) as error:
        took = time.monotonic() - began
        late = isinstance(error, TimeoutError) or took >= within
        why = f"no answer within {within:g} s" if late else _said(error)
        return Answered(took_ms=round(took * 1000, 1), why=why)
    return Answered(status, body, round((time.monotonic() - began) * 1000, 1))


def connected(host: str, port: int, within: float) -> socket.socket:
    """A connection to the first of a host's addresses that takes one. Raises OSError; also for refused addresses."""
    until = time.monotonic() + within
    trouble: OSError = OSError(f"{host} has no address")
    for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        address = str(one[4][0])
        why = refusal(address)
        if why:
            trouble = OSError(why)
            continue
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            return socket.create_connection((address, port), timeout=left)
        except OSError as error:
            trouble = error
    raise trouble


def _asked(method: str, url: str, headers: dict[str, str], content: bytes | None, until: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    plain = connected(host, port, until - time.monotonic())
    # All of it has to be over in time, however slowly it drips: the line is cut then. By a handle of its own, for TLS
    # takes the line's away from ``plain``.
    handle = socket.socket(fileno=os.dup(plain.fileno()))
    cut = threading.Timer(max(0.0, until - time.monotonic()), _cut, (handle,))
    cut.daemon = True
    cut.start()
    line: socket.socket = plain
    try:
        if secure:
            line = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        asking = http.client.HTTPConnection(host, port)
        asking.sock = line
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        asking.request(method, path, body=content, headers={"Host": parts.netloc.rpartition("@")[2], **headers})
        answer = asking.getresponse()
        body = answer.read(MOST)
        if time.monotonic() >= until:  # cut short, which looks like an end
            raise TimeoutError
        return answer.status, body
    finally:
        cut.cancel()
        for one in (handle, line, plain):
            with suppress(OSError):
                one.close()


def _cut(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _headers(token: str, basic: bool, content: bytes | None) -> dict[str, str]:
    headers = {"User-Agent": "Tocsin", "Accept": "*/*", "Connection": "close"}
    if content is not None:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    if token.strip():
        word = base64.b64encode(token.strip().encode()).decode() if basic else token.strip()
        headers["Authorization"] = f"{'Basic' if basic else 'Bearer'} {word}"
    return headers


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return (str(getattr(error, "strerror", "") or error) or type(error).__name__)[:SAID]
