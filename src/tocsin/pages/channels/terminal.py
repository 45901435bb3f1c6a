"""Console: prints the page where Tocsin runs. For trials, and for a plan that reaches nobody better.

Never counts as reaching a person. Alert texts cannot move the cursor or colour the terminal; ``NO_COLOR`` is respected.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from typing import TextIO

from tocsin.pages import rendering
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Failed, Message, Sent

TURN_WITHIN = 8.0
TAKEN_WITHIN = 5.0
"""Seconds a page waits for those before it, and for the terminal: together below what a channel may take."""

_COLOURS = {"SEV1": "1;31", "SEV2": "33", "SEV3": "34", "SEV4": "2"}


class Console:
    """Prints. The write happens aside: a terminal that was paused (Ctrl-S) takes nothing and would stop everything."""

    name = "console"
    idempotent = False
    real = False

    def __init__(self, setup: Setup) -> None:
        self._outside = setup.outside
        self._terminal = setup.terminal or sys.stdout
        self._numbers = count()
        self._turn = asyncio.Lock()
        self._writing = False
        """Whether the terminal has a page that it has not taken yet, be it one whose time was up."""

    async def send(self, message: Message) -> Sent | Failed:
        """Print it, after those that came before: as many wait as the delivery has workers."""
        try:
            async with asyncio.timeout(TURN_WITHIN):
                await self._turn.acquire()
        except TimeoutError:
            return Failed("deadline", "the terminal is slow: other pages are still being printed")
        try:
            return await self._print(page(message, coloured=_colours(self._terminal)))
        except (OSError, ValueError) as error:
            self._writing = False
            return Failed("unreachable", f"the terminal is gone: {error}")
        finally:
            self._turn.release()

    async def _print(self, block: str) -> Sent | Failed:
        if self._writing:
            return Failed("deadline", "the terminal still has not taken an earlier page")
        self._writing = True
        try:
            await self._outside.aside(f"console {next(self._numbers)}", lambda: self._write(block), within=TAKEN_WITHIN)
        except TimeoutError:
            return Failed("deadline", "the terminal does not take any output")
        return Sent()

    def preview(self, message: Message) -> str:
        """The block, without colours."""
        return page(message, coloured=False)

    async def close(self) -> None:
        """Nothing to let go of: the terminal is not ours."""

    def _write(self, block: str) -> None:
        try:
            coding = getattr(self._terminal, "encoding", None) or "utf-8"
            self._terminal.write(block.encode(coding, "replace").decode(coding))
            self._terminal.flush()
        finally:
            self._writing = False


def page(message: Message, *, coloured: bool) -> str:
    """The block that is printed: subject, the words of the text mail, a line around it."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if coloured else text

    head = rendering.subject(message)
    colour = "0" if message.kind == "notice" else _COLOURS.get(rendering.severity(message), "1")
    body = rendering.text(message).rstrip("\n").split("\n")[2:]  # the subject has the title
    to = rendering.plain(message.person_name or message.person, 60)
    rule = paint("2", f"{'─' * 4} {'notice' if message.kind == 'notice' else 'page'} for {to} {'─' * 40}"[:80])
    return "\n".join(("", rule, paint(colour, head), *body, paint("2", "─" * 80), "")) + "\n"


def _colours(terminal: TextIO) -> bool:
    return terminal.isatty() and not os.environ.get("NO_COLOR")
