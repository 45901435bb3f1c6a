"""The console: what a person sees in the terminal, and that a terminal that is stuck or gone stops nothing."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import threading

import pytest

from tests.channels.words import page
from tocsin.pages.channels import terminal as module
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Channel, Failed, Sent
from tocsin.pages.profiles import profiles
from tocsin.runtime.outbound import Outbound


def console(terminal: io.TextIOBase) -> Channel:
    made = profiles()["console"].make(Setup(Outbound(), lambda reference: "", terminal=terminal))  # type: ignore[arg-type]  # every text stream has what TextIO asks
    assert made is not None
    return made


async def test_a_page_is_printed_with_its_link_and_what_follows() -> None:
    out = io.StringIO()
    channel = console(out)
    assert (channel.name, channel.real) == ("console", False)
    assert await channel.send(page()) == Sent()
    shown = out.getvalue()
    assert "[SEV1] Checkout answers 503 (#12)" in shown
    assert "Acknowledge: https://tocsin.example/page/abc123" in shown
    assert "Ben is paged in 5 min if nobody answers." in shown
    assert "page for Ana" in shown
    assert "\x1b" not in shown, "no colours where nobody sees them"
    await channel.close()


@pytest.mark.parametrize("no_color", ["", "1"])
async def test_a_terminal_gets_colours_unless_it_asks_for_none(no_color: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal:
        await console(terminal).send(page())
        shown = os.read(master, 65536).decode()
    os.close(master)
    assert ("\x1b[1;31m[SEV1]" in shown) is not bool(no_color)


async def test_alert_texts_cannot_drive_the_terminal() -> None:
    out = io.StringIO()
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\u202eright to left\x00"
    await console(out).send(
        page(title=evil, service=evil, lines=(evil,), because=evil, person_name=evil, severity=evil)
    )
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out.getvalue())


async def test_a_terminal_that_knows_no_unicode_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    assert await console(out).send(page(title="Küche brennt ✓")) == Sent()
    assert b"K?che brennt ?" in raw.getvalue()


async def test_a_terminal_that_is_gone_is_a_failure() -> None:
    out = io.StringIO()
    out.close()
    answer = await console(out).send(page())
    assert isinstance(answer, Failed)
    assert (answer.code, answer.permanent) == ("unreachable", False)


class Paused(io.StringIO):
    """A terminal that takes nothing until released (Ctrl-S, Ctrl-Q)."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.release.wait(30)
        return super().write(text)


async def test_pages_that_come_together_are_printed_one_after_the_other() -> None:
    out = io.StringIO()
    channel = console(out)
    answers = await asyncio.gather(*(channel.send(page(title=f"number {n}")) for n in range(16)))
    assert answers == [Sent()] * 16
    assert re.findall(r"number (\d+) ", out.getvalue()) == [str(n) for n in range(16)]


async def test_a_paused_terminal_blocks_nothing_and_takes_pages_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKEN_WITHIN", 0.05)
    out = Paused()
    channel = console(out)
    for answer in await asyncio.gather(channel.send(page()), channel.send(page(title="second"))):
        assert isinstance(answer, Failed)
        assert answer.code == "deadline"
    out.release.set()
    async with asyncio.timeout(5):
        while await channel.send(page(title="third")) != Sent():
            await asyncio.sleep(0.01)
    assert "third" in out.getvalue()
    assert "second" not in out.getvalue()


async def test_a_page_waits_its_turn_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_WITHIN", 0.05)
    out = Paused()
    channel = console(out)
    first = asyncio.create_task(channel.send(page()))
    await asyncio.sleep(0)  # it has its turn now
    answer = await channel.send(page(title="second"))
    assert isinstance(answer, Failed)
    assert answer.code == "deadline"
    out.release.set()
    assert await first == Sent()
