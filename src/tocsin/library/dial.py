"""A number that can be read and set within the plan's bounds: how many replicas or workers run, what is let in.

For a spike of traffic: turn it up (or down, to shed), see that it helps, and turn it back when all is calm. A target is
``{dial: {url: http://scaler/web, least: 2, usual: 3, most: 10}}``, or with commands ``read`` and ``set``.
"""

from __future__ import annotations

import re
from typing import ClassVar

from msgspec import Struct

from tocsin.library import commands
from tocsin.library.described import Refused, Trouble, described
from tocsin.library.outgoing import ask
from tocsin.library.ssh import Reach
from tocsin.playbooks.language import Target, fix, look

WITHIN = 10.0
_NUMBER = re.compile(r"\s*([0-9]{1,7})\s*")


class Where(Struct, frozen=True):
    """What the plan says of a dial. ``step``: by how much it is turned at once, at the most."""

    least: int
    usual: int
    most: int
    step: int
    url: str = ""
    basic: bool = False
    read: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    on: Reach | None = None
    secrets: dict[str, str] = {}


class Dial(Target, frozen=True):
    """One number."""

    kind: ClassVar[str] = "dial"

    @property
    def where(self) -> Where:
        """What the plan says of it. Raises ValueError for anything else."""
        return described(self, Where, "{dial: {url: http://scaler/web, least: 2, usual: 3, most: 10}}")


class Level(Struct, frozen=True):
    """Where a dial stands, and where it may."""

    now: int
    least: int
    usual: int
    most: int
    step: int

    @property
    def up(self) -> int:
        """One step up; the same as now when it may go no higher."""
        return max(self.now, min(self.most, self.now + self.step))

    @property
    def down(self) -> int:
        """One step down; the same as now when it may go no lower."""
        return min(self.now, max(self.least, self.now - self.step))

    @property
    def back(self) -> int:
        """One step towards ``usual``."""
        return max(self.usual, self.now - self.step) if self.now > self.usual else min(self.usual, self.now + self.step)

    def __str__(self) -> str:
        return f"it stands at {self.now}, usually {self.usual}, within {self.least} and {self.most}"


@look
def level(dial: Dial) -> Level:
    """Where it stands. Raises Trouble when that is no whole number."""
    where = dial.where
    return Level(_read(where), where.least, where.usual, where.most, where.step)


@fix(idempotent=True, says="turn {dial} from {was} to {to}", undo="turn it back to {was}")
def turn(dial: Dial, to: int, was: int) -> str:
    """Set it. ``was``: where it stood when that was decided; when it stands elsewhere by now, somebody else turns it.

    Raises Trouble then, and outside of the plan's bounds and step; it is left alone.
    """
    where = dial.where
    if not where.least <= to <= where.most:
        raise Refused(f"{to} is not within {where.least} and {where.most}, the plan's bounds")
    if abs(to - was) > where.step:
        raise Refused(f"from {was} to {to} is more than {where.step} at once")
    now = _read(where)
    if now == to:
        return f"it stands at {to} already"
    if now != was:
        raise Refused(f"it stands at {now} and not at {was}: somebody else turns it")
    _write(where, to)
    return f"it was {was} and is set to {to}"


def _read(where: Where) -> int:
    if where.url:
        answer = ask("GET", where.url, token=where.secrets.get("token", ""), basic=where.basic, within=WITHIN)
        if answer.status != 200:
            raise Trouble(f"the dial answered {answer.status or answer.why}")
        text = answer.body.decode(errors="replace")
    else:
        text = commands.succeed(where.read, where.on, where.secrets, within="10s").out
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise Trouble(f"the dial answers no whole number: {text.strip()[:100]!r}")
    return int(found[1])


def _write(where: Where, to: int) -> None:
    if where.url:
        answer = ask(
            "PUT", where.url, token=where.secrets.get("token", ""), basic=where.basic,
            content=str(to).encode(), within=WITHIN,
        )  # fmt: skip
        if not 200 <= answer.status < 300:
            raise Trouble(f"the dial was not set: it answered {answer.status or answer.why}")
    else:
        words = tuple(one.replace("{value}", str(to)) for one in where.set)
        commands.succeed(words, where.on, where.secrets)
