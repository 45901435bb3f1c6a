"""Stories of rotas and holidays that are kept elsewhere, in virtual time with the real engine."""

from __future__ import annotations

from tests.engine.test_handing import notices
from tests.engine.world import START, World, dump
from tocsin.engine.commands import AddOverride
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import CalendarRead
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import DAY, HOUR
from tocsin.oncall.imported import Busy
from tocsin.oncall.zone import zone

PLAN = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana Ruiz, email: ana@shop.example, holidays: days-off}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
  zoe: {name: Zoe, email: zoe@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
teams:
  shop: {members: [ana, ben], lead: ben}
last resort: zoe
calendars:
  rota: {ical: secret:rota}
  days-off: {ical: https://calendar.example/days-off.ics}
schedules:
  imported:
    handoff notice: off
    calendar: rota
    layers:
      - {rotate: zoe}
  layers:
    handoff notice: off
    layers:
      - {rotate: [ana, ben, kei], every: day, handoff: 00:00, starts: 2026-11-23 with ana}
escalations:
  imported: [{page: imported, wait: 2h, repeat: 50}]
  layers: [{page: layers, wait: 2h, repeat: 50}]
services:
  one: {escalation: imported}
  two: {escalation: layers}
"""
ROTA = (
    Busy(START + HOUR, START + 5 * HOUR, False, "On call: Ana Ruiz (primary)"),
    Busy(START + 5 * HOUR, START + 9 * HOUR, False, "shift", ("ben@shop.example",)),
    Busy(START + 9 * HOUR, START + 12 * HOUR, False, "team lunch"),
)


def on_call(world: World, schedule: str) -> list[str]:
    plan, state = world.engine.plan, world.engine.state
    covers = plan.covers_for(schedule, state.covers)
    return [shift.person for shift in plan.rosters[schedule].who(world.now, covers)]


def test_an_imported_rota_lies_over_the_layers_and_under_overrides():
    world = World(PLAN)
    world.apply(CalendarRead("rota", ROTA))
    assert on_call(world, "imported") == ["zoe"]  # before its first entry
    world.at("2h").fires("Down", service="one")
    assert world.pages[-1][1] == "ana"
    world.at("6h")
    assert world.pages[-1][1] == "ben"
    world.asked(
        AddOverride(
            actor="x", schedule="imported", person="kei", starts_at=world.now, ends_at=world.now + 2 * HOUR
        )
    )
    assert on_call(world, "imported") == ["kei"]
    world.at("10h")
    assert on_call(world, "imported") == ["zoe"]  # an entry that names nobody


def test_the_last_good_copy_counts_while_the_source_is_away_and_survives_a_restart():
    world = World(PLAN)
    world.apply(CalendarRead("rota", ROTA))
    world.apply(CalendarRead("rota", error="it answered 500"))
    world.at("2h").restarted("1m")
    assert on_call(world, "imported") == ["ana"]
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_the_lead_is_told_of_a_source_that_stays_away_and_of_entries_that_name_nobody():
    world = World(PLAN)
    world.apply(CalendarRead("rota", ROTA))
    world.apply(CalendarRead("rota", error="it answered 500"))
    world.at("7h")
    (word,) = notices(world)
    assert (word.person, word.lines) == ("ben", ("An entry of rota names nobody of the plan: “team lunch”",))
    world.at("31h")
    (line,) = notices(world)[-1].lines
    assert line == (
        "The calendar rota cannot be read since Mon 23 Nov 2026 03:00 UTC (it answered 500); its last copy counts"
    )


def test_who_is_away_gives_their_turn_to_the_next_who_is_not():
    world = World(PLAN)
    days = Busy(zone("UTC").shows(START), zone("UTC").shows(START + 2 * HOUR), True, "dentist")
    world.apply(CalendarRead("days-off", (days, Busy(START + 3 * DAY - HOUR, START + 3 * DAY, False, "away"))))
    assert on_call(world, "layers") == ["ben"]
    world.at("1h").fires("Down", service="two")
    assert world.pages[-1][1] == "ben"
    world.at("3h")
    assert on_call(world, "layers") == ["ana"]  # back at work, and still her day
    world.at("71h30m")
    assert on_call(world, "layers") == ["ben"]


def test_calendars_go_with_the_plan():
    world = World(PLAN)
    world.apply(CalendarRead("rota", ROTA))
    without = PLAN.replace(b"    calendar: rota\n", b"").replace(b"  rota: {ical: secret:rota}\n", b"")
    world.put_in_force(without)
    world.at("2h")
    assert on_call(world, "imported") == ["zoe"]
    assert world.engine.state.calendars == {}
    world.apply(CalendarRead("rota", ROTA))  # it was on its way
    assert world.engine.state.calendars == {}
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
