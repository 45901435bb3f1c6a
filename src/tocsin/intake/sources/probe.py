"""What Tocsin's own probes found: an Event as it is. No key opens this door."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tocsin.intake.event import Event
from tocsin.intake.request import Heard, Known, Limits, Reply, Request, Source
from tocsin.kernel.instant import Instant

_read = msgspec.json.Decoder(Event).decode


def decode(request: Request, now: Instant, limits: Limits, known: Mapping[bytes, Known]) -> Heard:
    """Read one probe's Event."""
    try:
        return Heard(reply=Reply(202), events=(_read(request.body),))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Heard(reply=Reply(400), fault=str(error), park=True)


def refuse(status: int, message: str, retry_after: int | None = None) -> Reply:
    """A refusal; the prober tries again with its next look."""
    return Reply(status, message.encode())


SOURCE = Source(name="probe", version=1, decode=decode, refuse=refuse)
