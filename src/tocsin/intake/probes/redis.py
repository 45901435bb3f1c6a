"""Redis and Valkey: does it answer, and does what the plan says of it hold: memory, clients, persistence, replication.

Needs the extra ``redis``. The target is a reference to its address, for that holds a password: ``secret:NAME``. Its
user needs ``INFO`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from importlib.util import find_spec
from typing import Any, Final

from tocsin.intake.checked import Checked, Measured, Probe
from tocsin.intake.probed import PERCENT, Looks, Probed, said
from tocsin.intake.probes.client import Client, asked
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import Instant
from tocsin.kernel.outside import Outside
from tocsin.notation.decoder import Field, Word
from tocsin.notation.findings import Findings
from tocsin.notation.words import HOST, SECRET, STRING, SWITCH, read_host_port

MISSING = "the client for Redis is not there: pip install 'tocsin[redis]'"
_REDIS = Client("Redis", MISSING)
FULL = "max number of clients reached"
SILENT = 15
"""So many seconds without a word from its primary, and a link is up in name only: it is sent a ping every 10."""


def installed() -> bool:
    """Whether the client's package is there."""
    return find_spec("redis") is not None


def checker(secret: Callable[[str], str]) -> Probe:
    """The probe. ``secret`` is the text behind a reference; raises LookupError without one."""

    async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
        """Ask once."""
        info = await asked(_REDIS, spec, outside, lambda: secret(spec.target), _info, _refused)
        return info if isinstance(info, Checked) else _judged(spec, info)

    return check


def _refused(error: Exception) -> str:
    said = str(error)
    if FULL in said:
        return "takes no more clients: every one of maxclients is in use"
    if "SCRIPT KILL" in said or said.startswith("BUSY"):  # the client takes the first word off, as a rule
        return "is busy with a script and answers nothing else"
    if type(error).__name__ == "BusyLoadingError":
        return "is loading its data and answers nothing yet"
    return f"did not answer: {type(error).__name__}"


def _judged(spec: ProbeSpec, info: Mapping[str, Any]) -> Checked:
    """By what the plan says of it; by its memory where it says nothing, as the plan never does."""
    name = _REDIS.named(spec)
    limits = spec.options or {"memory_percent": "90"}
    facts = _facts(info)
    wrong: list[str] = []
    measured = list[Measured]()
    for key, used, limit, what in (
        ("memory_percent", int(info["used_memory"]), int(info.get("maxmemory", 0)), "memory"),
        ("clients_percent", int(info["connected_clients"]), int(info.get("maxclients", 0)), "clients"),
    ):
        if key in limits and limit:
            percent, most = 100 * used / limit, float(limits[key])
            measured.append(Measured(f"{what} used", round(percent, 2), "%", most))
            if percent >= most:
                wrong.append(f"uses {percent:.0f} % of its {what}, {most:g} % is too much")
    if limits.get("persistence") == "on":
        wrong += _unwritten(info)
    if "follows" in limits:
        wrong += _unfollowed(info, limits["follows"])
    # The one nearest to its limit is worth the graph.
    worst = max(measured, key=lambda one: one.value / (one.limit or 100), default=None)
    if wrong:
        return Checked(False, f"{name} {'; '.join(wrong)}", facts, worst)
    return Checked(True, f"{name} {_well(limits, measured, facts)}", facts, worst)


def _facts(info: Mapping[str, Any]) -> dict[str, str]:
    limit = int(info.get("maxmemory", 0))
    most, connected = int(info.get("maxclients", 0)), int(info["connected_clients"])
    facts = {
        "used": f"{int(info['used_memory']):,} bytes",
        "limit": f"{limit:,} bytes" if limit else "none",
        "policy": str(info.get("maxmemory_policy", "")),
        "clients": f"{connected:,} of {most:,}" if most else f"{connected:,}",
        "last snapshot": str(info.get("rdb_last_bgsave_status", "")),
    }
    if info.get("role") == "slave":
        facts["follows"] = f"{info.get('master_host')}:{info.get('master_port')}, link {info.get('master_link_status')}"
    else:
        facts["replicas"] = str(info.get("connected_slaves", 0))
    return facts


def _well(limits: Mapping[str, str], measured: Sequence[Measured], facts: Mapping[str, str]) -> str:
    uses = " and ".join(f"{one.value:.0f} % of its {one.what.removesuffix(' used')}" for one in measured)
    parts = [f"uses {uses}"] * bool(measured)
    if "memory_percent" in limits and facts["limit"] == "none":
        parts.append("has no limit on its memory")
    if limits.get("persistence") == "on":
        parts.append("has written what it saves")
    if "follows" in limits:
        parts.append(f"follows {facts['follows'].partition(',')[0]}")
    return "; ".join(parts) or "answers"


def _unwritten(info: Mapping[str, Any]) -> Iterator[str]:
    """What would be lost with it. A server that saves nothing has failed at nothing."""
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        unsaved = int(info.get("rdb_changes_since_last_save", 0))
        yield f"could not write its last snapshot; {unsaved:,} writes since the one before"
    if int(info.get("aof_enabled", 0)):
        if info.get("aof_last_write_status", "ok") != "ok":
            yield "cannot write its log (AOF)"
        elif info.get("aof_last_bgrewrite_status", "ok") != "ok":
            yield "could not rewrite its log (AOF)"


def _unfollowed(info: Mapping[str, Any], wanted: str) -> Iterator[str]:
    """What is wrong with how it follows its primary. ``wanted``: ``any``, or the primary's host:port."""
    if info.get("role") != "slave":
        yield "follows nobody" + ("" if wanted == "any" else f", and should follow {wanted}")
        return
    follows = f"{info['master_host']}:{info['master_port']}"
    if wanted not in ("any", follows):
        yield f"follows {follows}, and should follow {wanted}"
    elif info.get("master_sync_in_progress"):
        yield f"copies everything of {follows} anew"
    elif info.get("master_link_status") != "up":
        yield f"follows {follows}, and the link is down since {info.get('master_link_down_since_seconds', '?')} s"
    elif int(info.get("master_last_io_seconds_ago", 0)) >= SILENT:
        yield f"follows {follows}, which has said nothing for {info['master_last_io_seconds_ago']} s"


def _info(url: str, within: float, what: Set[str]) -> dict[str, Any]:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=within, socket_connect_timeout=within)
    try:
        found: Any = client.info()
        return dict(found)
    finally:
        client.close()


def _followed(text: str) -> str:
    return text if text == "any" else read_host_port(text)


FOLLOWED: Final = Word(
    "a primary",
    _followed,
    pattern=f"any|{HOST}:[0-9]{{1,5}}",
    write="write host:port as the replica itself says it, such as cart-1:6379, or any",
    also=STRING,
)


class RedisProbe(Probed):
    """Asks a Redis or Valkey server for its memory, its clients, what it saves and whom it follows."""

    what = "a redis probe"
    redis = Field(SECRET, "The address it is read by, as secret:NAME.", required=True)
    memory = Field(PERCENT, "This much or more of its memory's limit is a failure. Default: 90%, if nothing is said.")
    clients = Field(PERCENT, "This much or more of its maxclients is. Default: 90%, if nothing is said.")
    persistence = Field(SWITCH, "on: a snapshot or log that was not written is. Default: on, if nothing is said.")
    follows = Field(FOLLOWED, "It is a replica; following nobody, another than this host:port, or in vain is.")

    def looks_at(self, findings: Findings) -> Looks:
        """A reference, and what is said to be judged, or what keeps every server from taking writes:
        ``memory_percent``, ``clients_percent`` such as ``90``; ``persistence``, ``on``; ``follows``, ``any`` or the
        primary's ``host:port``.
        """
        limits = said(
            memory_percent=self.memory,
            clients_percent=self.clients,
            persistence=self.persistence,
            follows=self.follows,
        )
        return self.redis or "", limits or {"memory_percent": "90", "clients_percent": "90", "persistence": "on"}


PROBE = RedisProbe
