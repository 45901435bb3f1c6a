"""Everything that can happen to the engine.

What is journaled is one of these, and replaying them gives the same state.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from tocsin.engine.commands import AnyCommand
from tocsin.intake.request import Request
from tocsin.kernel.instant import Duration, Instant
from tocsin.oncall.imported import Busy
from tocsin.pages.ledger import Receipt
from tocsin.playbooks.run import Report


class Received(Struct, frozen=True, tag="request", gc=False):
    """A request from a monitor, by the key it came with (0: from Tocsin itself or a signed-in user, for ``service``).

    ``at`` is when it was received: what it says is read as of then.
    """

    key: int
    service: str
    at: Instant
    request: Request
    aside: str = ""
    """Why it is set aside unread, when judging it has failed before."""
    waited: Duration = 0
    """So long after ``at`` it was read, for it lay in a socket while Tocsin was stopped: how far ahead it sets an end
    counts from when it is judged. 0: it was read as it came."""


class Seen(Struct, frozen=True, tag="seen"):
    """Unchanged repetitions, gathered: ``(instant, bitmap of alert ids counted from base)``, oldest first."""

    base: int
    heard: tuple[tuple[Instant, bytes], ...]


class Decided(Struct, frozen=True, tag="command"):
    """A command of a person or a script."""

    command: AnyCommand
    idempotency_key: str = ""


class Tick(Struct, frozen=True, tag="tick"):
    """Time has come for what is due, at most ``limit`` things.

    ``skip``: each ``(kind, id)`` that cannot be judged and that setting aside did not help.
    """

    limit: int = 500
    skip: tuple[tuple[str, str], ...] = ()


class Delivered(Struct, frozen=True, tag="outcome"):
    """What came of trying to send one page. ``state``: sent, retry, failed (for good) or unneeded (not tried)."""

    page: int
    state: str
    code: str = ""
    error: str = ""
    provider_id: str = ""
    retry_after: Duration | None = None
    duplicate: bool = False
    """It may have left before Tocsin stopped, and its channel drops no repetitions."""


class Receipted(Struct, frozen=True, tag="receipt"):
    """A channel's provider told how far a page got. ``error``: why it failed after it had been taken.

    ``provider_id``: what the provider calls the message, or the call, that it speaks of; "" when it does not say.
    """

    page: int
    receipt: Receipt
    error: str = ""
    provider_id: str = ""


class Reported(Struct, frozen=True, tag="playbook"):
    """The process of a run's attempt says something."""

    run: int
    attempt: int
    report: Report


class Unsure(Struct, frozen=True, tag="unsure"):
    """Tocsin starts again: pages that were handed over and have no outcome may have left before it stopped.

    ``pages`` and ``runs`` were under way when it stopped: not what the start itself has begun since. None: whatever is
    under way now.
    """

    pages: tuple[int, ...] | None = None
    runs: tuple[int, ...] | None = None


class PlanChange(Struct, frozen=True, tag="plan"):
    """Another plan is in force from now on. The plan itself is kept whole under its version."""

    version: str
    paging: bool = True


class Deaf(Struct, frozen=True, tag="deaf"):
    """Tocsin could not hear from ``start`` to ``end``: absence in that time proves nothing.

    ``continued``: it goes on from the last one's end, and monitors get their time to speak again only once.
    """

    start: Instant
    end: Instant
    continued: bool = False


class CalendarRead(Struct, frozen=True, tag="calendar"):
    """A calendar from elsewhere was read; or could not be, and ``error`` says why.

    ``unread``: how many of its events made no sense, and are left out of ``busy``.
    """

    name: str
    busy: tuple[Busy, ...] = ()
    error: str = ""
    unread: int = 0


class Quarantine(Struct, frozen=True, tag="quarantine"):
    """Judging something failed by a fault of Tocsin's own: it is set aside, and a person is told."""

    kind: str
    id: str
    error: str


AnyInput = (
    Received
    | Seen
    | Decided
    | Tick
    | Delivered
    | Receipted
    | Reported
    | Unsure
    | PlanChange
    | Deaf
    | Quarantine
    | CalendarRead
)

encode_input = msgspec.msgpack.Encoder().encode
decode_input = msgspec.msgpack.Decoder(AnyInput).decode
