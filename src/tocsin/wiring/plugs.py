"""The plugs, for whoever needs one: the sources, a probe, the channels a plan sets up."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tocsin.settings import Settings

if TYPE_CHECKING:
    from tocsin.intake.checked import Probe
    from tocsin.intake.request import Source
    from tocsin.pages.message import Channel, Failed, Message, Sent
    from tocsin.plan.model import Plan
    from tocsin.runtime.outbound import Outbound


def probe(kind: str) -> Probe:
    """The real probe of a kind that needs no secret."""
    from tocsin.intake import probes

    return probes.probe(kind, str)


def probes(secret: Callable[[str], str]) -> Mapping[str, Probe]:
    """The real probes. ``secret`` is the text behind a reference."""
    from tocsin.intake import probes

    return probes.probes(secret)


def sources() -> Mapping[str, Source]:
    """The sources, all read, as the engine is handed them."""
    from tocsin.intake.sources import SOURCES

    return dict(SOURCES)


def channels(settings: Settings, plan: Plan, outside: Outbound, signing_key: bytes) -> Mapping[str, Channel]:
    """The channels a plan sets up."""
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.loops import marks
    from tocsin.pages.profiles import profiles

    setup = Setup(
        outside=outside,
        secret=settings.secret,
        mail=plan.mail,
        channels=plan.channels,
        mark=derived(signing_key, "installation").hex()[:16],
        derive=lambda purpose: derived(signing_key, purpose),
        looped=lambda text: marks(signing_key, text),
        loops={one.channel: one.address for one in plan.loops},
        public_url=settings.base_url,
        people=plan.people,
    )
    made = ((name, one.make(setup)) for name, one in profiles().items())
    return {name: channel for name, channel in made if channel is not None}


def signing_key_of(settings: Settings) -> bytes:
    """The key of the installation in this data folder; a made-up one where nothing was started yet."""
    from sqlalchemy.exc import SQLAlchemyError

    from tocsin.store.opening import url_for
    from tocsin.store.reads import Reads, open_engine

    if not settings.database and not settings.data.is_dir():
        return bytes(32)
    try:
        return Reads(open_engine(url_for(settings.data, settings.database))).meta("signing_key") or bytes(32)
    except (SQLAlchemyError, OSError):
        return bytes(32)


async def send_once(settings: Settings, plan: Plan, name: str, message: Message) -> Sent | Failed | None:
    """Send one message by a channel of the plan, apart from any server; None when the plan does not set it up."""
    from tocsin.runtime.outbound import Outbound

    outside = Outbound()
    try:
        channel = channels(settings, plan, outside, signing_key_of(settings)).get(name)
        if channel is None:
            return None
        try:
            return await channel.send(message)
        finally:
            await channel.close()
    finally:
        await outside.close()


def derived(signing_key: bytes, purpose: str) -> bytes:
    """Thirty-two secret bytes of this installation for one purpose, always the same."""
    return hmac.new(signing_key, b"tocsin derived v1\0" + purpose.encode(), hashlib.sha256).digest()


def push_key(signing_key: bytes) -> str:
    """What browsers are told to expect of this installation's web push; "" where the extra is not installed."""
    from tocsin.pages.channels.push import PURPOSE, public_key

    try:
        return public_key(derived(signing_key, PURPOSE))
    except ImportError:
        return ""
