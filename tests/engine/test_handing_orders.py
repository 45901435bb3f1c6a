"""Whoever is on call knows it: in any order of plans, calendars, overrides, stops and the time that passes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.world import START, World, dump, plan_of
from tocsin.engine.commands import AddOverride, CancelOverride
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import CalendarRead, Deaf, Unsure
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import DAY, HOUR, MINUTE, Instant
from tocsin.oncall.imported import Busy
from tocsin.oncall.moved import differ, held
from tocsin.oncall.roster import Span
from tocsin.pages.ledger import Page

PEOPLE = ("ana", "ben", "kei")
HEAD = """
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
last resort: ana
findings notice: off
"""
LAYERS = (
    "{rotate: ana}",
    "{rotate: [ana, ben], every: 2h, handoff: 10:00, starts: 2026-11-22 with ana}",
    "{rotate: [kei, ben], every: 3h, handoff: 11:00, starts: 2026-11-22 with kei}",
    "{rotate: [kei, ana], every: day, handoff: 04:00, starts: 2026-11-22 with kei}",
    "{rotate: [[ana, kei]], only: 05:00-09:00}",
    "{rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana}",
    "{rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana}, {rotate: kei, only: 05:10-09:00}",
    "{rotate: [ana, ben], every: day, handoff: 04:00, starts: 2026-11-22 with ana}, {rotate: ana, only: 04:00-09:00}",
)
CALENDARS = ("", "rota", "other")


def plan(key: str, layer: str, calendar: str) -> bytes:
    """One schedule by one layer, or a calendar over it."""
    over = f"    calendar: {calendar}\n" if calendar else ""
    source = f"calendars: {{{calendar}: {{ical: https://x.example/rota.ics}}}}\n" if calendar else ""
    escalation = f"escalations: {{shop: [{{page: {key}}}]}}\nservices: {{inbox: {{escalation: shop}}}}\n"
    return f"{HEAD}{source}schedules:\n  {key}:\n{over}    layers: [{layer}]\n{escalation}".encode()


def on_call(world: World) -> set[str]:
    """Who is on call by the plan's schedule now."""
    found = world.engine.plan
    covers = world.engine.state.covers
    return {
        shift.person
        for key, one in found.rosters.items()
        for shift in one.who(world.now, found.covers_for(key, covers))
    }


PLANS = st.builds(plan, st.sampled_from(("first", "second")), st.sampled_from(LAYERS), st.sampled_from(CALENDARS))
STEPS = st.one_of(
    st.tuples(st.just("plan"), PLANS),
    st.tuples(st.just("stop"), st.tuples(PLANS, st.sampled_from((1, 11, 50, 400)))),
    st.tuples(st.just("wait"), st.sampled_from((1, 55, 59, 130, 700))),
    st.tuples(st.just("read"), st.sampled_from((*PEOPLE, ""))),
    st.tuples(st.just("override"), st.tuples(st.sampled_from(PEOPLE), st.sampled_from((0, 30)), st.booleans())),
    st.tuples(st.just("cancel"), st.just(0)),
)


def happens(world: World, what: str, how: object) -> None:
    """One thing, and in the end no calendar is awaited."""
    match what, how:
        case "plan", bytes(text):
            world.put_in_force(text)
        case "stop", (bytes(text), int(minutes)):
            last, world.now = world.now, world.now + minutes * MINUTE
            read = plan_of(text)
            world.engine = Engine(world.loaded(), world.plans.setdefault(read.version, read), SOURCES)
            world.apply(Deaf(last, world.now))
            world.put_in_force(text)
            world.apply(Unsure())
            world.ring(world.now)
        case "wait", int(minutes):
            until = world.now + minutes * MINUTE
            world.ring(until)
            world.now = until
        case "read", str(name):
            for calendar in world.engine.plan.calendars:
                busy = (Busy(world.now - HOUR, world.now + 2 * HOUR, False, name.title()),) if name else ()
                world.apply(CalendarRead(calendar, busy))
        case "override", (str(person), int(begins), bool(late)):
            (key,) = world.engine.plan.rosters
            start = world.now + begins * MINUTE
            over = AddOverride(actor="user:ops", schedule=key, person=person, starts_at=start, ends_at=start + HOUR)
            if late:
                world.now += 20 * MINUTE  # a handoff may be due meanwhile
            world.asked(over)
            world.ring(world.now)
        case _:
            for number in list(world.engine.state.overrides)[:1]:
                world.asked(CancelOverride(id=number, actor="user:ops"))
    for name in world.engine.plan.calendars:
        if name not in world.engine.state.calendars:
            world.apply(CalendarRead(name, (), error="gone"))


def written(world: World) -> list[Page]:
    """Every notice there is, whether it left or waits for somebody's morning, in order."""
    pages = {page.id: page for page in (*world.told_pages, *world.engine.state.pages.values())}
    return [page for _, page in sorted(pages.items()) if page.kind == "notice"]


@settings(max_examples=60, deadline=None)
@example([("override", ("ben", 0, True)), ("stop", (plan("first", LAYERS[0], "rota"), 50))])
@example([("override", ("ana", 30, True)), ("stop", (plan("first", LAYERS[2], ""), 400))])
@given(st.lists(STEPS, min_size=2, max_size=7))
def test_whoever_is_on_call_was_told_so_since_they_were_not(steps: list[tuple[str, object]]) -> None:
    world = World(plan("first", LAYERS[1], ""))
    assert world.now == START
    knows, read = on_call(world), 0
    for what, how in steps:
        happens(world, what, how)
        new = [page for page in written(world) if page.id > read]
        for page in new:
            read = page.id
            if page.reason == "shift_begins":
                knows.add(page.person)
            elif page.reason == "shift_ends":
                knows.discard(page.person)
        assert on_call(world) <= knows, (what, how)
        knows &= on_call(world)
    assert dump(world.replayed().state) == dump(world.engine.state)


def reads_by(now: Instant) -> Instant:
    """When people have read what is not urgent: an hour later, or by 08:00 when they sleep."""
    clock = now % DAY
    morning = now - clock + 8 * HOUR if clock < 8 * HOUR else now - clock + 32 * HOUR if clock >= 22 * HOUR else now
    return max(morning, now + HOUR)


def to_come(world: World) -> Callable[[Instant, Instant], dict[str, list[Span]]]:
    """Who is to be on call between two instants by what counts now, whatever comes after."""
    ((key, roster),) = world.engine.plan.rosters.items()
    covers = world.engine.plan.covers_for(key, dict(world.engine.state.covers))
    return lambda low, high: held(roster, covers, [(low, high)])


AT_FOUR, LATER, LONGER = LAYERS[5:]


@settings(max_examples=100, deadline=None)
@example(AT_FOUR, [("wait", 59), ("stop", (plan("first", LATER, ""), 11))])
@example(AT_FOUR, [("wait", 59), ("stop", (plan("first", LONGER, ""), 11))])
@example(AT_FOUR, [("wait", 59), ("stop", (plan("second", LONGER, ""), 11))])
@example(AT_FOUR, [("wait", 59), ("stop", (plan("first", LAYERS[2], "rota"), 11)), ("wait", 1)])
@given(st.sampled_from(LAYERS), st.lists(STEPS, min_size=1, max_size=6))
def test_whoever_has_more_before_they_would_read_of_it_is_told_at_once_and_nobody_else_is_woken(
    layer: str, steps: list[tuple[str, object]]
) -> None:
    world = World(plan("first", layer, ""))
    for what, how in steps:
        was, read = to_come(world), max((page.id for page in written(world)), default=0)
        happens(world, what, how)
        until = reads_by(world.now)
        moves = differ(was(world.now, until), to_come(world)(world.now, until))
        more = {name for name, move in moves.items() if move.gained}
        left = {page.id for page in world.told_pages}
        told = {page.person for page in written(world) if page.id > read and page.id in left}
        assert more <= told, (what, how)
        if what in ("plan", "stop", "read") and until > world.now + HOUR:
            assert told <= more, (what, how)
