"""What ``tocsin playbook new`` writes."""

from __future__ import annotations

PLAYBOOK = '''"""NAME: what is wrong, and what this does about it, in one sentence."""

from tocsin import Run, at_most, cooldown, playbook, trust
from tocsin.library import redis


@playbook(
    name="NAME",
    answers=['alertname="RedisMemoryHigh"'],
    guards=[at_most(3, per="6h"), cooldown("15m")],
    trust=trust(start="ask", ceiling="act"),
    hand_over_after="5m",
)
def WORD(run: Run, server: redis.Server) -> None:
    before = run.look(redis.memory, server)
    idle = run.look(redis.idle_keys, server, older_than="7d")
    if not idle.expirable:
        run.hand_over("no key is safe to expire", before, idle, next="Give it more memory, or find who writes so much")
    run.fix(redis.expire, server, idle.expirable, older_than="7d", spread="60s")
    run.verify(redis.memory, server, until=lambda now: now.used_ratio < 0.80, within="2m")
'''

COMPOSED = """\
playbook: NAME
about: What is wrong, and what this does about it, in one sentence.
answers: ['alertname="RedisMemoryHigh"']
works on: {server: redis}
guards:
  - {at most: 3, per: 6h}
  - {cooldown: 15m}
trust: {start: ask, ceiling: act}
hand over after: 5m
steps:
  - look: redis.memory
    on: server
    as: before
  - look: redis.idle_keys
    on: server
    with: {older_than: 7d}
    as: idle
  - hand over: no key is safe to expire
    if: {idle.expirable: {empty: yes}}
    findings: [before, idle]
    next: Give it more memory, or find who writes so much
  - fix: redis.expire
    on: server
    with: {keys: {from: idle.expirable}, older_than: 7d, spread: 60s}
  - verify: redis.memory
    on: server
    until: {used_ratio: {under: 0.80}}
    within: 2m
"""

TEST = '''"""NAME, against a server that is not there."""

from tocsin.library import redis


def memory(used_ratio: float) -> redis.Memory:
    """A server that is so full."""
    return redis.Memory(
        used=int(used_ratio * 1000), limit=1000, used_ratio=used_ratio, policy="noeviction", keys=9, evicted=0,
        hit_ratio=0.9,
    )


def test_it_frees_memory_and_sees_that_it_holds(scene):
    scene.fake(redis.memory, [memory(0.97), memory(0.60)])
    scene.fake(redis.idle_keys, redis.Idle(looked_at=9, idle=2, expirable=("old", "older")))
    scene.fake(redis.expire, lambda server, keys, **how: len(keys))
    scene.trust("NAME", "act")
    scene.fires("RedisMemoryHigh", instance="cart-1")  # the labels its target's match asks for
    assert scene.outcome == "watching"
    assert scene.steps == [
        "look redis.memory done", "look redis.idle_keys done", "fix redis.expire done", "verify redis.memory done",
    ]
    scene.resolves("RedisMemoryHigh", instance="cart-1").at("5m")
    assert scene.outcome == "verified"
    assert scene.paged == []
'''
