"""Whatever happens in whatever order: nothing that fires is quiet without a reason, no lock is held twice, and what is
replayed or loaded is what is live."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.world import dump
from tests.playbooks.playground import Playground, Pump, Run, drain, kick, level, pour
from tocsin.engine.commands import CompareRun
from tocsin.engine.engine import Engine
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import SECOND
from tocsin.playbooks.language import Refused, breaker, playbook, trust

MANY = [breaker(failures=99, returns=99)]


@playbook(name="drains", answers=['alertname="Full"'], trust=trust(start="ask"), guards=MANY, hand_over_after="3m")
def drains(run: Run, pump: Pump) -> None:
    before = run.look(level, pump)
    run.tell(f"It is {before}")
    run.fix(drain, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="1m")


@playbook(name="kicks", answers=['alertname="Stuck"'], trust=trust(start="act"), guards=MANY, hand_over_after="2m")
def kicks(run: Run, pump: Pump) -> None:
    if run.ask("Kick it?", within="4m", default="yes") == "yes":
        run.fix(kick, pump)
    run.fix(pour, pump)
    run.verify(level, pump, until=lambda now: now.full < 80, within="5m")


STEPS = st.one_of(
    st.tuples(st.just("fires"), st.sampled_from(["Full", "Stuck"]), st.sampled_from(["cart-1", "cart-2", "cart-9"])),
    st.tuples(st.just("resolves"), st.sampled_from(["Full", "Stuck"]), st.sampled_from(["cart-1", "cart-2"])),
    st.tuples(st.just("passes"), st.sampled_from([1, 30, 90, 200, 400, 700, 2_000])),
    st.tuples(st.just("says"), st.sampled_from(["yes", "no"])),
    st.tuples(st.just("stops")),
    st.tuples(st.just("acknowledges")),
    st.tuples(st.just("resolves by hand")),
    st.tuples(st.just("silences")),
    st.tuples(st.just("trusts"), st.sampled_from(["observe", "suggest", "ask", "act"])),
    st.tuples(st.just("by hand"), st.sampled_from(["main", "spare"])),
    st.tuples(st.just("breaks"), st.sampled_from([40, 97])),
    st.tuples(st.just("refuses")),
    st.tuples(st.just("restarts")),
    st.tuples(st.just("resumes"), st.integers(0, 4), st.sampled_from(["", "again", "done"])),
    st.tuples(st.just("takes over"), st.sampled_from(["person:ana", "person:ben"])),
    st.tuples(st.just("gives back")),
    st.tuples(st.just("compares"), st.booleans()),
)


def refuses(pump: Pump) -> int:
    raise Refused("somebody else does it")


def happens(world: Playground, step: tuple[object, ...]) -> None:
    state = world.engine.state
    incidents = [one.number for one in state.incidents.values() if one.open]
    run = state.counters.run
    match step:
        case ("fires", str(name), str(instance)):
            world.fires(name, instance=instance)
        case ("resolves", str(name), str(instance)):
            world.resolves(name, instance=instance)
        case ("passes", int(seconds)):
            world.passing(world.now + seconds * SECOND)
        case ("says", str(answer)):
            world.says(run, answer)
        case ("stops",):
            world.stops(run)
        case ("acknowledges",) if incidents:
            world.acknowledges(incidents[-1])
        case ("resolves by hand",) if incidents:
            world.resolves_by_hand(incidents[-1], "10m")
        case ("silences",):
            world.silences('alertname="Full"', for_="5m")
        case ("trusts", str(rung)):
            world.trusts("drains", rung)
        case ("by hand", str(target)):
            world.runs_by_hand("drains", targets={"pump": target})
        case ("resumes", int(at), ("" | "again" | "done") as word):
            world.resumes(run, at, word)
        case ("takes over", str(actor)):
            world.takes_over(run, actor)
        case ("gives back",):
            world.gives_back(run)
        case ("compares", bool(same)):
            world.asked(CompareRun(actor="person:ana", run=run, same=same))
        case ("breaks", int(full)):
            world.after_drain = full
            world.full = dict.fromkeys(world.full, 97)
        case ("refuses",):
            world.carrier.instead[pour.name] = world.carrier.instead[kick.name] = refuses
        case ("restarts",):
            world.comes_back()


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=3, max_size=14), st.integers(0, 40))
def test_any_order_of_things(steps: list[tuple[object, ...]], kill_at: int) -> None:
    world = Playground(drains, kicks, rung="")
    world.carrier.kill_at = kill_at
    for step in steps:
        happens(world, step)  # after each input the world looks whether every promise holds
        held = Counter(lock for run in world.engine.state.runs.values() if run.works for lock in run.locks)
        assert all(count == 1 for count in held.values()), held
        assert all(run.due() is not None for run in world.engine.state.runs.values())
        for run in world.engine.state.runs.values():
            assert run.fixes >= run.carried >= 0, run
            done = any(step.may_have_changed for step in world.recorded(run.number))
            assert done or not run.unproven or run.continues, "it changed nothing, and is said to have left something"
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)
    world.passing(world.now + 3 * 3600 * SECOND)
    assert not any(run.live for run in world.engine.state.runs.values()), "every run ends by itself"
