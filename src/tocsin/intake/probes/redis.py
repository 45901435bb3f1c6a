"""Redis and Valkey: does it answer, and how near is its memory to its limit. Needs the extra ``redis``.

The target is a reference to its address, for that holds a password: ``secret:NAME``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from tocsin.intake.checked import Checked, Measured, Probe
from tocsin.intake.probes.client import Client, asked
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import Instant
from tocsin.kernel.outside import Outside

MISSING = "the client for Redis is not there: pip install 'tocsin[redis]'"
_REDIS = Client("Redis", MISSING)


def installed() -> bool:
    """Whether the client's package is there."""
    return find_spec("redis") is not None


def checker(secret: Callable[[str], str]) -> Probe:
    """The probe. ``secret`` is the text behind a reference; raises LookupError without one."""

    async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
        """Ask for its memory once."""
        info = await asked(_REDIS, spec, outside, lambda: secret(spec.target), _info)
        return info if isinstance(info, Checked) else _judged(spec, info)

    return check


def _judged(spec: ProbeSpec, info: dict[str, Any]) -> Checked:
    name = _REDIS.named(spec)
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    facts = {"used": f"{used:,} bytes", "limit": f"{limit:,} bytes" if limit else "none"}
    facts["policy"] = str(info.get("maxmemory_policy", ""))
    if not limit:
        return Checked(True, f"{name} answers; its memory has no limit", facts)
    percent = 100 * used / limit
    most = float(spec.options.get("memory_percent", "90"))
    measured = Measured("memory used", round(percent, 2), "%", most)
    if percent >= most:
        said = f"{name} uses {percent:.0f} % of its memory, {most:g} % is too much"
        return Checked(False, said, facts, measured)
    return Checked(True, f"{name} uses {percent:.0f} % of its memory", facts, measured)


def _info(url: str, within: float) -> dict[str, Any]:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=within, socket_connect_timeout=within)
    try:
        found: Any = client.info("memory")
        return dict(found)
    finally:
        client.close()
