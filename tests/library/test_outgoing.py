"""Requests of steps, to servers that do not come to an end."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.certificates import Certificate, make_certificate
from tocsin.library.outgoing import ask


@contextmanager
def dripping(certificate: Certificate | None) -> Iterator[int]:
    """The port of a server that sends its answer byte by byte, five a second, for four seconds."""

    def drip() -> None:
        line, _ = drips.accept()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            line = context.wrap_socket(line, server_side=True)
        with line, suppress(OSError):
            line.recv(4096)
            line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            for _ in range(20):
                if select.select([line], [], [], 0.2)[0]:  # its client has gone
                    return
                line.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as drips:
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield drips.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "over TLS"])
def test_what_drips_is_cut_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure: bool) -> None:
    certificate = make_certificate(tmp_path) if secure else None
    if certificate:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    with dripping(certificate) as port:
        answer = ask("GET", f"http{'s' * secure}://localhost:{port}/", within=0.5)
    assert (answer.status, answer.why) == (0, "no answer within 0.5 s")
    assert 400 < answer.took_ms < 2_000
