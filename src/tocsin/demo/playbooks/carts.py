"""The shop's cart store is near its memory limit: let carts that nobody comes back to expire; else call someone."""

from __future__ import annotations

from tocsin import Run, at_most, playbook, trust
from tocsin.library import redis


@playbook(
    name="clear-idle-carts",
    answers=['alertname="ProbeRedisFailed"', 'probe="memory"'],
    guards=[at_most(3, per="1h")],
    trust=trust(start="act"),
    hand_over_after="1m",
)
def clear_idle_carts(run: Run, server: redis.Server) -> None:
    """Give carts without an end one, where nobody has read them for a while."""
    before = run.look(redis.memory, server)
    idle = run.look(redis.idle_keys, server, older_than="1s", match="cart:*")
    if not idle.expirable:
        run.hand_over("no cart is safe to expire", before, idle, next="find out who fills it, or give it more memory")
    run.fix(redis.expire, server, idle.expirable, older_than="1s", spread="1s")
    run.verify(
        redis.memory, server, within="15s", every="250ms",
        until=lambda now: now.used_ratio < 0.80, harm=lambda now: now.evicted > before.evicted,
    )  # fmt: skip
