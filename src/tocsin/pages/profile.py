"""What a channel says of itself. Everybody who knows something of a channel has it from here.

A channel's file has one ``PROFILE``::

    PROFILE = Profile(
        name="pigeon",  # as the file is called, and the key of a person in the plan
        called="Pigeon",
        by="by pigeon",
        make=Pigeon,  # or a function that imports the rest: (Setup) -> Channel | None
        address=Address(TEXT, "The loft that pages fly to."),
    )
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from tocsin.notation.decoder import Field, Record, Shape
from tocsin.notation.findings import Findings
from tocsin.notation.words import BURST, PACE

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel

USUALLY = 80
"""The directness of a way that is neither a telephone nor a chat."""


class Paced(Record):
    """How fast a channel's provider is sent to. What a plan says of a channel under ``channels`` begins with that."""

    what = "a channel's pace"
    together = {"burst": "rate"}
    rate = Field(PACE, "Messages it is sent at most, such as 1/s or 30/m; first pages go before others. Default: any.")
    burst = Field(BURST, "How many of them may go at once. Default: one second of the rate.")

    def check(self, findings: Findings) -> None:
        """Report what does not go together."""


class SetUp(Struct, frozen=True):
    """What a plan says once, for everybody, under ``channels``; several channels may share it.

    ``record`` None: the plan has a section of its own for it, called ``key``. ``needed``: without it the channel
    reaches nobody.
    """

    key: str
    record: type[Paced] | None
    about: str
    needed: bool = True


class Address(Struct, frozen=True):
    """What a plan says of a person, under the channel's name: a word. (The webhook's is a record with a ``url``.)"""

    shape: Shape[Any]
    about: str


class BadAddress(ValueError):
    """An address cannot be one of its channel; the message says what to write."""


def _same(address: str) -> str:
    return address


class Own(Struct, frozen=True):
    """That people may add methods of their own. Each is proven by a code that is sent there.

    A channel whose addresses hold secrets has none: whoever named one could use any secret of the server.

    ``check``: the address as it is kept, from one without blanks around it, of 1 to 2,000 printable characters; raises
    BadAddress. ``asks`` says to whoever adds one what to write. ``shown``: an address as its owner is shown it.
    ``allowed``: the key of what a plan allows beside, which ``check`` is given then as its second argument.
    ``signed``: what goes there is signed with a secret that is shown once; Tocsin connects to wherever people say, so
    it takes a responder to add one.
    """

    check: Callable[..., str]
    asks: str = ""
    shown: Callable[[str], str] = _same
    allowed: str = ""
    signed: bool = False


class Wording(Struct, frozen=True):
    """That a team may have words of its own for it. ``style``: the whole text as in a mail, that of a chat, or one that
    is short or spoken and has no subject.
    """

    about: str
    style: Literal["full", "chat", "short"]


class Loopback(Struct, frozen=True):
    """That a synthetic page comes back by itself, or that its provider says that it arrived.

    ``to``: where one goes, as the plan says it. ``in_words``: only words are handed on: its mark is one of the lines.
    """

    to: Shape[str]
    about: str
    in_words: bool = False


def masked_end(address: str) -> str:
    """The last three characters of an address that is long enough for that."""
    return f"…{address[-3:]}" if len(address) > 6 else "…"


class Profile(Struct, frozen=True, kw_only=True):
    """A channel. What is left out does not hold for it.

    ``called`` names it at the head of a line, ``by`` in a sentence: Ana was paged *by text message*.
    ``make`` is given the parts of a plan that is in force, and hands to work with; None: the plan does not set it up.
    ``masked``: an address for everyone but its owner: enough to recognise it, too little to use it.
    ``directness``: of a person's methods the lowest is tried first, where they said nothing: a device 10, a telephone
    from 20, a chat from 40, mail 90.
    ``follows``: it is told when somebody has an incident that it paged for, or when that is over.
    ``apart``: it keeps an incident for each of ours, so pages are never bundled.
    ``hears_by``: what is set up for it beside, or what people answer there is not heard.
    ``rings``: one call at a time to a number, and one that nobody takes is made again.
    ``real``: whoever is paged by it counts as reached.
    """

    name: str
    called: str
    by: str
    make: Callable[[Setup], Channel | None]
    set_up: SetUp | None = None
    address: Address | None = None
    own: Own | None = None
    masked: Callable[[str], str] = masked_end
    directness: int = USUALLY
    wording: Wording | None = None
    loopback: Loopback | None = None
    hears_by: str = ""
    follows: bool = False
    apart: bool = False
    rings: bool = False
    real: bool = True

    @property
    def needs(self) -> str:
        """What a plan must set up before it reaches anybody: the key of its ``set_up``, "" when nothing."""
        return self.set_up.key if self.set_up is not None and self.set_up.needed else ""
