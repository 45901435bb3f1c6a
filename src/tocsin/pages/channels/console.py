"""Console: prints the page where Tocsin runs. For trials, and for a plan that reaches nobody better.

Never counts as reaching a person. Alert texts cannot move the cursor or colour the terminal; ``NO_COLOR`` is respected.
"""

from __future__ import annotations

import os
import sys
from itertools import count
from typing import TextIO

from tocsin.pages import rendering
from tocsin.pages.channels.setup import Setup
from tocsin.pages.message import Failed, Message, Sent

_COLOURS = {"SEV1": "1;31", "SEV2": "33", "SEV3": "34", "SEV4": "2"}


def channel(setup: Setup) -> Console:
    """The console of this process."""
    return Console(setup)


class Console:
    """Prints. The write happens aside: a terminal that was paused (Ctrl-S) takes nothing and would stop everything."""

    name = "console"
    idempotent = False
    real = False

    def __init__(self, setup: Setup) -> None:
        self._outside = setup.outside
        self._terminal = setup.terminal or sys.stdout
        self._numbers = count()
        self._writing = False

    async def send(self, message: Message) -> Sent | Failed:
        """Print it."""
        if self._writing:
            return Failed("deadline", "the terminal still has not taken the page before this one")
        self._writing = True
        try:
            block = page(message, coloured=_colours(self._terminal))
            await self._outside.aside(f"console {next(self._numbers)}", lambda: self._write(block), within=5.0)
        except TimeoutError:
            return Failed("deadline", "the terminal does not take any output")
        except (OSError, ValueError) as error:
            self._writing = False
            return Failed("unreachable", f"the terminal is gone: {error}")
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
