"""A node's port and its line to the faces, and who is behind them: a standby until this node may write, then a core."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import msgspec

from tocsin.intake.request import Reply
from tocsin.runtime.line_server import Answering, LineServer
from tocsin.runtime.listener import Exchange, Listener
from tocsin.runtime.passing import Passer


class Behind(Answering, Protocol):
    """Who answers what comes by the port and the line."""

    def take(self, exchange: Exchange) -> bool:
        """Take a request if a monitor sent it; False when it is for somebody else."""
        ...

    def refusal(self, path: str, status: int, message: str) -> Reply | None:
        """What a monitor is told whose request was refused before it was one; None when it is for somebody else."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Why it cannot do all of its work now; () when it can."""
        ...

    def remarks(self) -> tuple[str, ...]:
        """What somebody should look at although it can do all of its work; () when there is nothing."""
        ...

    def metrics(self) -> bytes:
        """Its figures, in Prometheus' text format."""
        ...


class Front:
    """Listens, and stays open when who is behind it changes."""

    def __init__(self, behind: Behind, faces: Path) -> None:
        self._behind = behind
        self.faces = faces
        self.line = LineServer(behind)
        self.listener = Listener(self._handle, self._refusal)
        self._passer = Passer(str(faces))
        self._open = False

    @property
    def opened(self) -> bool:
        """Whether it listens, or did."""
        return self._open

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None, line: Path) -> None:
        """Begin to listen, unless it does already. Raises OSError when the address is taken."""
        if self._open:
            return
        self._open = True
        await self.line.start(line)
        await self.listener.start(host, port, tls)

    def turn_to(self, behind: Behind) -> None:
        """From now on somebody else answers."""
        self._behind = self.line.answering = behind

    async def close(self, patience: float = 0.0) -> None:
        """Let requests under way finish for ``patience`` seconds, then hang up."""
        await self.listener.stop(patience)
        await self._passer.close()

    def _refusal(self, path: str, status: int, message: str) -> Reply | None:
        """What is refused before it is a request, in the words of the door or API it was for."""
        if path.startswith("/api/v1/"):
            title = HTTPStatus(status).phrase
            problem = {"type": "about:blank", "title": title, "status": status, "code": "too_large", "detail": message}
            return Reply(status, msgspec.json.encode(problem), "application/problem+json")
        return self._behind.refusal(path, status, message)

    def _handle(self, exchange: Exchange) -> None:
        if self._behind.take(exchange):
            return
        match exchange.path:
            case "/healthz":
                exchange.answer(Reply(200, b"ok\n", "text/plain; charset=utf-8"))
            case "/readyz":
                faults = self._behind.faults()
                body = "".join(f"{line}\n" for line in (*(faults or ("ready",)), *self._behind.remarks()))
                exchange.answer(Reply(503 if faults else 200, body.encode(), "text/plain; charset=utf-8"))
            case "/metrics":
                exchange.answer(Reply(200, self._behind.metrics(), "text/plain; version=0.0.4; charset=utf-8"))
            case _:
                self._passer.handle(exchange)
