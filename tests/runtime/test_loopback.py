"""Where synthetic pages come back: what strangers post there keeps none from being heard."""

from __future__ import annotations

from tests.engine.world import World
from tests.runtime.stage import HandClock
from tests.runtime.test_answers import Exchange
from tocsin.pages.loops import mark
from tocsin.runtime.jobs import Job
from tocsin.runtime.loopback import LIMITS, SMALL, Loopback

KEY = b"k" * 32


def test_what_holds_no_mark_uses_up_nothing_of_what_a_page_needs_that_comes_back() -> None:
    jobs: list[Job] = []
    world = World()
    door = Loopback(lambda: world.engine.state, jobs.append, HandClock(), KEY)

    def posted(body: bytes) -> int:
        exchange = Exchange("/loopback", body=body)
        assert door.handle(exchange)  # type: ignore[arg-type]  # all it asks of an exchange
        assert exchange.reply is not None
        return exchange.reply.status

    came_back = mark(KEY, 1).encode()
    assert posted(b"nothing") == 404
    assert [posted(b"nothing") for _ in range(LIMITS.burst)][-1] == 429
    for _ in range(2 * LIMITS.burst):
        assert posted(b"a mail, and in it " + came_back) == 204
    assert posted(b"x" * SMALL + came_back) == 429, "not all of it is looked through any more"


def test_pages_that_come_back_are_counted_among_nobody() -> None:
    """However many they are, the next is looked through as a whole: a mail gateway's mark may come late in it."""
    world = World()
    door = Loopback(lambda: world.engine.state, lambda job: None, HandClock(), KEY)
    came_back = mark(KEY, 1).encode()
    for _ in range(2 * LIMITS.burst):
        exchange = Exchange("/loopback", body=b"x" * SMALL + came_back)
        assert door.handle(exchange)  # type: ignore[arg-type]  # as above
        assert exchange.reply is not None and exchange.reply.status == 204
