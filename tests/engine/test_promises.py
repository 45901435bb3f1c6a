"""The promises, over random nights: quiet only for a reason, no page while an acknowledgement holds, one truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.world import PLAN, START, World, dump, plan_of
from tocsin.engine.commands import (
    AddContact,
    AddResponders,
    ApplyPlan,
    Reassign,
    RemoveContact,
    Snooze,
    StartDrill,
)
from tocsin.engine.inputs import Deaf, Received, Seen
from tocsin.engine.state import Changes, State
from tocsin.intake.request import Request
from tocsin.kernel.instant import SECOND, Instant, format_rfc3339, parse_duration
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Way

NAMES = st.sampled_from(["Down", "Slow", "Watchdog"])
JOBS = st.sampled_from(["checkout", "search", "other"])
HOSTS = st.sampled_from(["a", "b"])
SPANS = st.sampled_from(["1s", "20s", "61s", "5m", "16m", "31m", "2h"])
INCIDENTS = st.integers(1, 5)

MOVES = st.one_of(
    st.tuples(st.just("fires"), NAMES, JOBS, HOSTS, st.sampled_from(["", "4m", "30s"])),
    st.tuples(st.just("resolves"), NAMES, JOBS, HOSTS),
    st.tuples(st.just("posts"), NAMES, JOBS, HOSTS, st.sampled_from([-60, 30, 240])),
    st.tuples(st.just("waits"), NAMES, JOBS, HOSTS, st.sampled_from([-60, 30, 240]), SPANS),
    st.tuples(st.just("wait"), SPANS),
    st.tuples(st.just("acknowledge"), INCIDENTS, st.sampled_from(["", "5m"])),
    st.tuples(st.just("resolve"), INCIDENTS, st.sampled_from(["", "2m"])),
    st.tuples(st.just("note"), INCIDENTS),
    st.tuples(
        st.just("silence"),
        st.sampled_from(['alertname="Down"', 'instance="a"', 'job!="x"']),
        SPANS,
        st.sampled_from(["0s", "5m"]),
    ),
    st.tuples(st.just("expire"), st.integers(0, 3)),
    st.tuples(st.just("answers"), st.sampled_from(["sent", "retry", "failed", "failed address", "never"])),
    st.tuples(st.just("restart"), SPANS),
    st.tuples(st.just("restart with"), SPANS, st.integers(0, 3)),
    st.tuples(st.just("deaf"), SPANS),
    st.tuples(st.just("plan"), st.integers(0, 3)),
    st.tuples(st.just("contact"), st.sampled_from(["ana", "ben"]), st.integers(0, 2)),
    st.tuples(st.just("prove"), st.integers(1, 8)),
    st.tuples(st.just("remove"), st.integers(1, 8)),
    st.tuples(st.just("rules"), st.sampled_from(["ana", "ben"]), st.lists(st.integers(1, 8), max_size=3),
              st.sampled_from([0, 60_000_000, 600_000_000]), st.integers(1, 3)),
    st.tuples(st.just("drill"), st.sampled_from(["ana", "ben"])),
    st.tuples(st.just("reassign"), INCIDENTS, st.sampled_from(["ana", "kei"])),
    st.tuples(st.just("snooze"), INCIDENTS, SPANS),
    st.tuples(st.just("help"), INCIDENTS, st.sampled_from(["person:ben", "team:shop"])),
    st.tuples(st.just("apply"), INCIDENTS),
    st.tuples(st.just("garbage")),
    st.tuples(st.just("seen"), st.sets(st.integers(1, 8), min_size=1)),
)

PLANS = (
    PLAN,
    PLAN.replace(b"page: ana, wait: 5m", b"page: team shop, wait: 1m"),
    PLAN.replace(b"      watchdog: {every: 5m, grace: 1m, alert: 'alertname=\"Watchdog\"'}\n", b""),
    PLAN.replace(b"{escalation: shop}", b"{escalation: shop, urgency: {sev3: low, sev1: low}}").replace(
        b"email: kei@shop.example}", b"email: kei@shop.example, timezone: Asia/Tokyo}"
    ),
)


def _always(answer: str) -> Callable[[Page], str]:
    return lambda page: answer


def _posted(at: Instant, name: str, job: str, host: str, ahead: int) -> Request:
    """As Prometheus tells of an alert at an instant, with its end so many seconds ahead."""
    alert = {
        "labels": {"alertname": name, "job": job, "instance": host},
        "endsAt": format_rfc3339(at + ahead * SECOND),
    }
    return Request(
        source="alertmanager",
        method="POST",
        path="/api/v2/alerts",
        headers={"content-type": "application/json"},
        body=msgspec.json.encode([alert]),
    )


def lived(moves: list[tuple[Any, ...]], check: Any = None) -> World:
    """A night made of moves. Every promise is looked at after every input (``World.check``)."""
    world = World()
    silences: list[str] = []
    for move in moves:
        match move:
            case ("fires", name, job, host, expires):
                world.fires(name, job=job, instance=host, expires=expires)
            case ("resolves", name, job, host):
                world.resolves(name, job=job, instance=host)
            case ("posts", name, job, host, ahead):
                world.apply(Received(0, "inbox", world.now, _posted(world.now, name, job, host, ahead)))
            case ("waits", name, job, host, ahead, span):
                # Tocsin stands still that long, and reads only then what came in the middle of it.
                start, waited = world.now, parse_duration(span) // 2
                world.now += parse_duration(span)
                world.apply(Deaf(start, world.now))
                posted = _posted(world.now - waited, name, job, host, ahead)
                world.apply(Received(0, "inbox", world.now - waited, posted, waited=waited))
                world.ring(world.now)
            case ("wait", span):
                world.at(f"{(world.now - START + parse_duration(span)) // 1000}ms")
            case ("acknowledge", incident, hold):
                world.acknowledges(incident, hold)
            case ("resolve", incident, snooze):
                world.resolves_by_hand(incident, snooze)
            case ("note", incident):
                world.notes(incident, "looking")
            case ("silence", matcher, span, after):
                silences.append(world.silences(matcher, for_=span, after=after).id)
            case ("expire", index):
                world.expires(silences[index % len(silences)] if silences else "none")
            case ("answers", answer):
                world.answers = _always(answer)
            case ("restart", span):
                world.restarted(span)
            case ("restart with", span, index):
                world.restarted(span, plan=PLANS[index])
            case ("deaf", span):
                start = world.now
                world.now += parse_duration(span)
                world.apply(Deaf(start, world.now))
                world.ring(world.now)
            case ("plan", index):
                world.put_in_force(PLANS[index])
            case ("contact", person, number):
                address = f"https://hook{number}.example/"
                world.asked(AddContact(actor="x", person=person, channel="webhook", address=address))
            case ("prove", contact):
                world.proves(contact)
            case ("remove", contact):
                world.asked(RemoveContact(actor="x", contact=contact))
            case ("rules", person, contacts, apart, after):
                ways = tuple(Way(id, apart * place) for place, id in enumerate(dict.fromkeys(contacts)))
                world.rules(person, high=ways, low=ways[:1], bundle_after=after)
            case ("drill", person):
                world.asked(StartDrill(actor="x", person=person))
            case ("reassign", incident, person):
                world.asked(Reassign(actor="x", incident=incident, person=person))
            case ("snooze", incident, span):
                world.asked(Snooze(actor="x", incident=incident, until=world.now + parse_duration(span)))
            case ("help", incident, target):
                world.asked(AddResponders(actor="x", incident=incident, targets=(target,)))
            case ("apply", incident):
                world.asked(ApplyPlan(actor="x", incident=incident))
            case ("garbage",):
                world.apply(
                    Received(
                        0,
                        "inbox",
                        world.now,
                        Request(
                            source="alertmanager",
                            method="POST",
                            path="/api/v2/alerts",
                            headers={"content-type": "application/json"},
                            body=b"{",
                        ),
                    )
                )
            case ("seen", ids):
                from tocsin.runtime.seen import bitmap

                world.apply(Seen(min(ids), ((world.now - SECOND, bitmap(min(ids), ids)),)))
        if check is not None:
            check(world)
    return world


@settings(max_examples=250, deadline=None)
@example(
    [
        ("fires", "Down", "search", "b", ""),
        ("wait", "16m"),
        ("fires", "Down", "search", "a", "4m"),
        ("wait", "2h"),
    ]
).via("two live incidents of one group, of which the newer is forgotten first")
@given(st.lists(MOVES, max_size=25))
def test_the_state_read_back_from_the_rows_is_the_live_one_after_every_move(moves):
    def check(world: World) -> None:
        assert dump(State(world.loaded())) == dump(world.engine.state)

    lived(moves, check)


@settings(max_examples=250, deadline=None)
@given(st.lists(MOVES.filter(lambda move: not move[0].startswith("restart")), max_size=30))
def test_the_journal_replayed_from_nothing_gives_the_live_state(moves):
    world = lived(moves)
    assert dump(world.replayed().state) == dump(world.engine.state)


@settings(max_examples=150, deadline=None)
@given(st.lists(MOVES, max_size=30))
def test_a_restart_changes_nothing_in_what_the_journal_says(moves):
    """Restarts included: what the journal replays to is what lives, for the journal holds the deaf time too."""
    world = lived(moves)
    assert dump(world.replayed().state) == dump(world.engine.state)


@settings(max_examples=150, deadline=None)
@given(st.lists(MOVES, max_size=25))
def test_whoever_waits_long_enough_is_paged_while_anything_fires(moves):
    """After any night, what still fires is paged again, when channels work and nothing keeps it quiet any more."""
    world = lived(moves)
    world.answers = lambda page: "sent"
    before = len(world.reached)
    world.at(f"{(world.now - START) // 1000 + 30 * 3_600_000}ms")
    open_incidents = {
        i.number for i in world.engine.state.incidents.values() if i.open and world.engine.state.members[i.number].loud
    }
    assert open_incidents <= set(world.reached[before:])


def test_since_when_a_plan_is_in_force_is_written_once_and_not_at_each_start():
    written: list[str] = []

    class Kept(World):
        def _keep(self, changes: Changes) -> None:
            written.extend(changes.in_force.values())
            super()._keep(changes)

    world = Kept()
    written.clear()
    first = world.engine.plan.version
    for plan in (PLAN, PLAN + b"\n# another\n", PLAN + b"\n# another\n", PLAN):
        world.put_in_force(plan)
        world.restarted()
    assert written == [plan_of(PLAN + b"\n# another\n").version, first]
