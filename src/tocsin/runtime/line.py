"""What goes over the line between the core and the faces: questions down, answers and notices of change up.

Frames are a four-byte length and MessagePack.
"""

from __future__ import annotations

import asyncio

import msgspec
from msgspec import Struct

from tocsin.access.credentials import Token, User
from tocsin.engine.commands import AnyCommand, Result
from tocsin.engine.weighing import Guards
from tocsin.kernel.instant import Duration

MAX_FRAME = 32 * 1024 * 1024


class Ask(Struct, frozen=True, tag_field="ask"):
    """A question to the core; ``n`` comes back with its answer."""

    n: int


class AskSubmit(Ask, frozen=True, tag="submit"):
    """Decide a command.

    ``idempotency_key``: the same key from the same actor within 24 h answers with the first result. What follows the
    mark ``ASKED`` in it is a digest of the request: the same key for another request is refused.
    ``until``: when nobody waits for the answer any more, by this machine's clock that stands still while it sleeps
    (microseconds); a command that is not decided by then is not decided at all. 0: however long it takes.
    """

    command: AnyCommand
    idempotency_key: str = ""
    until: Duration = 0


class AskEvents(Ask, frozen=True, tag="events"):
    """Take a body of ``POST /api/events`` on behalf of a signed-in user, for one service."""

    service: str
    body: bytes
    actor: str


class AskReload(Ask, frozen=True, tag="reload"):
    """Read the plan folder again. A bad plan changes nothing; nor, where ``only`` names one, does another version."""

    actor: str
    only: str = ""


class AskStatus(Ask, frozen=True, tag="status"):
    """How the core is: see Status."""


class AskKnown(Ask, frozen=True, tag="known"):
    """Who a token's hash or a user's id names, from the engine's memory: for when the database does not answer."""

    token: bytes = b""
    user: int = 0


class AskGuards(Ask, frozen=True, tag="guards"):
    """What is left of the guards of a playbook with a service, for one target or each; or of a run that lives."""

    service: str = ""
    playbook: str = ""
    target: str = ""
    run: int = 0


class AskFiring(Ask, frozen=True, tag="firing"):
    """How many alerts fire, of an incident or (0) of all: see Firing. ``newest``: how many of an incident are named."""

    incident: int = 0
    newest: int = 0


class AskWatch(Ask, frozen=True, tag="watch"):
    """From now on tell this connection what changed: see Changed."""


AnyAsk = AskSubmit | AskEvents | AskReload | AskStatus | AskKnown | AskGuards | AskFiring | AskWatch


class Changed(Struct, frozen=True):
    """What one commit changed.

    ``incidents`` are numbers; ``kinds`` says which other kinds of thing: ``alerts``, ``silences``, ``keys``, ``plan``,
    ``heartbeats``, ``parked``.
    """

    incidents: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()


class Reloaded(Struct, frozen=True):
    """What a reload came to.

    ``findings`` are the plan's errors and warnings as texts; ``changed`` whether a new plan is in force. ``looked``:
    False when nothing can be changed now, whatever the plan says; why is the one finding.
    """

    ok: bool
    changed: bool
    version: str
    findings: tuple[str, ...] = ()
    looked: bool = True


class Status(Struct, frozen=True):
    """How the core is. ``audit``: the faults the self-audit found last, () when it passed.

    ``plan_refused``: what is wrong with the plan on disk, when an earlier one is in force.
    ``console_only``: nobody of the plan has a way to be paged that counts now but the console.
    ``plan_folder``: where the plan lies on the machine it runs on; "" when that is not known.
    """

    ready: bool
    paging: bool
    started_at: int
    now: int
    plan_version: str
    real_channel_proven_at: int | None
    alerts_live: int
    incidents_open: int
    waiting: int
    audit: tuple[str, ...] = ()
    audit_at: int | None = None
    requests: int = 0
    refused: int = 0
    public_url: str = ""
    mail_ready: bool = False
    plan_refused: tuple[str, ...] = ()
    console_only: bool = False
    plan_folder: str = ""


class HeardReply(Struct, frozen=True):
    """The answer to AskEvents: an HTTP status and body."""

    status: int
    body: bytes


class Known(Struct, frozen=True):
    """The answer to AskKnown; None for what is not known."""

    token: Token | None = None
    user: User | None = None


class Weighing(Struct, frozen=True):
    """The answer to AskGuards. ``guards``: None when there is nothing of that name. ``why``: why nobody can say now, ""
    when it was looked at.
    """

    guards: Guards | None = None
    why: str = ""


class Firing(Struct, frozen=True):
    """The answer to AskFiring: how many alerts fire, and how many of them each silence keeps quiet, by its id.

    ``count`` is None where nobody counts: on a node that stands by. ``heard``: how many a page of the incident is
    about, and ``titles``, as many of these as were asked for, the newest first.
    """

    count: int | None = None
    quiet: dict[str, int] = {}
    heard: int = 0
    titles: tuple[str, ...] = ()


class AnswerFiring(Struct, frozen=True, tag="firing"):
    """Carries a Firing."""

    n: int
    body: Firing


class AnswerWeighing(Struct, frozen=True, tag="weighing"):
    """Carries a Weighing."""

    n: int
    body: Weighing


class AnswerKnown(Struct, frozen=True, tag="known"):
    """Carries a Known."""

    n: int
    body: Known


class AnswerResult(Struct, frozen=True, tag="result"):
    """Carries a Result."""

    n: int
    body: Result


class AnswerHeard(Struct, frozen=True, tag="heard"):
    """Carries a HeardReply."""

    n: int
    body: HeardReply


class AnswerReloaded(Struct, frozen=True, tag="reloaded"):
    """Carries a Reloaded."""

    n: int
    body: Reloaded


class AnswerStatus(Struct, frozen=True, tag="status"):
    """Carries a Status."""

    n: int
    body: Status


class AnswerChanged(Struct, frozen=True, tag="changed"):
    """Carries a Changed; ``n`` is 0."""

    n: int
    body: Changed


AnyAnswer = (
    AnswerResult
    | AnswerHeard
    | AnswerReloaded
    | AnswerStatus
    | AnswerKnown
    | AnswerWeighing
    | AnswerFiring
    | AnswerChanged
)


encode = msgspec.msgpack.Encoder().encode
read_ask = msgspec.msgpack.Decoder(AnyAsk).decode
read_answer = msgspec.msgpack.Decoder(AnyAnswer).decode


def frame(body: bytes) -> bytes:
    """A frame as it goes over the socket."""
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Read one frame. Raises EOFError at the end and for a frame over the bound."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > MAX_FRAME:
        raise EOFError(f"a frame of {size} bytes is over the bound")
    return await reader.readexactly(size)
