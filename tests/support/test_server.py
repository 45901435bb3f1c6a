"""The real `tocsin up`, as a test sees it."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.server import TocsinServer


def test_a_server_is_ready_answers_and_ends(tocsin_server: Callable[..., TocsinServer]) -> None:
    server = tocsin_server()
    assert server.status("/healthz") == 200
    assert server.token
    assert server.json("incidents", "list") == []
    assert server.stop() == 0
    assert server.status("/healthz") is None


def test_a_killed_server_comes_back_on_the_same_port(tocsin_server: Callable[..., TocsinServer]) -> None:
    server = tocsin_server()
    before = server.process
    server.kill9()
    assert server.status("/readyz") is None
    server.restart()
    assert server.process is not before
    assert server.status("/readyz") == 200
