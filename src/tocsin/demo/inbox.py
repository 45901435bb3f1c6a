"""The inbox: the caught mails in a browser.

A few GET routes on the loopback, served by asyncio itself. Mails are untrusted: every text is escaped by the templates,
and a mail's own HTML is shown in a sandboxed frame whose policy allows no script, no form and no request to anywhere.
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import jinja2

from tocsin.demo.mail import Catcher

_FOLDER = Path(__file__).with_name("inbox_files")
_FILES = {"/inbox.css": "text/css; charset=utf-8", "/inbox.js": "text/javascript; charset=utf-8"}

_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# allow-same-origin lets the page around it measure the mail's height. Nothing in the mail can use it: no script runs.
_SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
_MAIL_POLICY = (
    f"sandbox {_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'self'"
)

_PLAIN = "text/plain; charset=utf-8"
_SECONDS = 10.0
_LARGEST_HEAD = 16 * 1024
_MOST_CONNECTIONS = 64
_LETTER = re.compile(r"/mails/(\d{1,9})(/html|/source)?")


@dataclass(frozen=True)
class _Answer:
    body: str
    status: HTTPStatus = HTTPStatus.OK
    kind: str = "text/html; charset=utf-8"
    policy: str = _PAGE_POLICY


class Inbox:
    """Serves what a catcher holds. ``home`` is where Tocsin itself is found, for the way back."""

    def __init__(self, catcher: Catcher, home: str = "") -> None:
        """Show the letters of `catcher`."""
        self._catcher = catcher
        self.home = home
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
        )
        self._page = pages.get_template("inbox.html")
        self._list = pages.get_template("list.html")

    async def listen(self, line: socket.socket) -> None:
        """Serve on a socket that listens."""
        self._server = await asyncio.start_server(self._serve, sock=line, limit=_LARGEST_HEAD)

    async def close(self) -> None:
        """Stop, and let go of every connection."""
        if self._server:
            self._server.close()
        for writer in list(self._connections):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(writer)
        try:
            async with asyncio.timeout(_SECONDS):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(self._reply(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that sent no whole request, or went away
        finally:
            self._connections.discard(writer)
            writer.close()

    def _reply(self, head: str) -> bytes:
        line, *rest = head.split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        method, _, target = line.partition(" ")
        path, _, query = target.partition(" ")[0].partition("?")
        answer = self._answer(method, path, query, headers.get("host", ""))
        body = answer.body.encode("utf-8", "replace")
        lines = [
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(body)}",
            f"Content-Security-Policy: {answer.policy}",
            "X-Content-Type-Options: nosniff",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body)

    def _answer(self, method: str, path: str, query: str, host: str) -> _Answer:
        # Mails hold links that acknowledge: a foreign page that points its own name at 127.0.0.1 must not read them.
        if re.sub(r":\d+$", "", host) not in ("127.0.0.1", "localhost", "[::1]"):
            return _Answer("ask for 127.0.0.1 or localhost\n", HTTPStatus.MISDIRECTED_REQUEST, _PLAIN)
        if method not in ("GET", "HEAD"):
            return _Answer("GET only\n", HTTPStatus.METHOD_NOT_ALLOWED, _PLAIN)
        if path in _FILES:
            return _Answer((_FOLDER / path[1:]).read_text(encoding="utf-8"), kind=_FILES[path])
        if path == "/":
            return self._shown(0)
        if path == "/list":
            number = query.removeprefix("open=")
            return _Answer(self._list.render(**self._what(int(number) if re.fullmatch(r"\d{1,9}", number) else 0)))
        found = _LETTER.fullmatch(path)
        letter = self._catcher.letter(int(found[1])) if found else None
        if found is None or letter is None:
            return _Answer("there is nothing here, or not any more\n", HTTPStatus.NOT_FOUND, _PLAIN)
        if found[2] == "/source":
            return _Answer(letter.source, kind=_PLAIN)
        if found[2] == "/html":
            return _Answer(_opening_elsewhere(letter.html), policy=_MAIL_POLICY)
        return self._shown(letter.number)

    def _shown(self, number: int) -> _Answer:
        letter = self._catcher.letter(number)
        return _Answer(self._page.render(letter=letter, home=self.home, sandbox=_SANDBOX, **self._what(number)))

    def _what(self, number: int) -> dict[str, object]:
        return {"letters": list(reversed(self._catcher.letters)), "caught": self._catcher.caught, "number": number}


def _opening_elsewhere(html: str) -> str:
    """The mail's HTML with its links opening in a new tab, unless it says otherwise for one of them."""
    base = '<base target="_blank">'
    head = re.search(r"<head(?:\s[^>]*)?>", html, re.IGNORECASE)
    return html[: head.end()] + base + html[head.end() :] if head else base + html
