"""What guards count is found at once, and is what looking at every run would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.kernel.instant import MINUTE
from tocsin.playbooks.remembered import Remembered
from tocsin.playbooks.run import Run

MOVES = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "forget"]), st.integers(0, 2), st.integers(0, 2), st.integers(0, 9)),
    max_size=40,
)


@given(MOVES)
def test_each_index_says_what_looking_at_all_would(moves: list[tuple[str, int, int, int]]) -> None:
    kept, runs = Remembered(), dict[int, Run]()
    now = 0
    for number, (move, playbook, target, which) in enumerate(moves):
        now += which % 2 * MINUTE  # some things happen at one instant
        live = [run for run in runs.values() if run.live]
        over = [run for run in runs.values() if not run.live]
        if move == "begin":
            run = Run(
                number=number, playbook=f"p{playbook}", service="s", plan="v", targets={"a": f"t{target}"},
                trouble=f"g{target}", started_at=now, deadline=now,
            )  # fmt: skip
            runs[number] = run
            kept.keep(run)
        elif move == "end" and live:
            run = live[which % len(live)]
            run.state, run.ended_at, run.fixes = "ended", now, target % 2
            kept.keep(run)
            kept.keep(run)  # saved once more
        elif move == "forget" and over:
            run = over[which % len(over)]
            del runs[run.number]
            kept.forget(run)
    newest = sorted(runs.values(), key=lambda run: -run.number)
    spent = [run for run in newest if run.live or run.changed]
    for at in range(0, now + 2 * MINUTE, MINUTE):
        assert kept.since(at) == sum(run.started_at > at for run in spent)
        assert kept.of_playbook_since("p0", at) == sum(r.started_at > at for r in spent if r.playbook == "p0")
        for locks in (("s/t0",), ("s/t0", "s/t1"), ()):
            own = [run for run in spent if run.playbook == "p0" and set(run.locks) & set(locks)]
            assert kept.own_on_since("p0", locks, at) == sum(run.started_at > at for run in own)
    for name in ("p0", "p1", "p2"):
        own = [run for run in newest if run.playbook == name]
        ended = sorted((run for run in own if run.ended_at is not None), key=lambda r: (r.ended_at, r.number))[::-1]
        assert list(kept.ended("s", name)) == ended
        assert list(kept.changed("s", name)) == [run for run in ended if run.changed]
        for place in ("t0", "t1", "t2"):
            assert list(kept.own_on(name, f"s/{place}")) == [r for r in own if r.targets["a"] == place]
            changed = [run for run in ended if run.changed and run.targets["a"] == place]
            assert list(kept.changed_on(name, f"s/{place}")) == changed
            assert list(kept.answers_to("s", name, f"g{place[1]}")) == [r for r in own if r.trouble == f"g{place[1]}"]
    for run in list(runs.values()):
        if run.live:
            run.state, run.ended_at = "ended", now
            kept.keep(run)
        kept.forget(run)
    assert not any(vars(kept).values()), "nothing of it is left"
