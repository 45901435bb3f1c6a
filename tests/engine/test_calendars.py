"""Stories of rotas and holidays that are kept elsewhere, in virtual time with the real engine."""

from __future__ import annotations

from time import process_time

from tests.engine.test_handing import notices
from tests.engine.world import START, World, dump
from tocsin.engine import covering
from tocsin.engine.commands import AddOverride, AnswerOverride, AskCover, Result
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import CalendarRead
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import DAY, HOUR
from tocsin.kernel.reason import Reason
from tocsin.oncall.asking import why
from tocsin.oncall.imported import AHEAD, BEHIND, Busy
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
LAYERED = PLAN.replace(b"schedules:\n", b"""hours:
  office: {open: Mon-Fri 09:00-17:00, holidays: days-off}
schedules:
  between:
    handoff notice: off
    layers:
      - {rotate: zoe, only: Mon 03:00-17:00}
      - {calendar: rota}
      - {rotate: kei, only: office, shadow: zoe}
""")
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


def test_the_lead_is_told_of_events_that_could_not_be_read_and_a_restart_knows_of_them():
    world = World(PLAN)
    world.apply(CalendarRead("days-off", (Busy(START - DAY, START - HOUR, False, "away"),), unread=3))
    world.at("3h").restarted("1m").at("7h")
    (word,) = notices(world)
    assert word.lines == ("3 events of the calendar days-off could not be read: their time is left to the layers",)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)
    world.apply(CalendarRead("days-off", ()))
    assert list(covering.findings(world.engine.plan, world.engine.state.calendars, world.now)) == []


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


def test_while_all_the_others_are_away_the_next_is_paged_all_the_same_and_it_is_said():
    plan = PLAN.replace(b", holidays: days-off", b"")
    for one in (b"ben", b"kei"):
        plan = plan.replace(one + b"@shop.example}", one + b"@shop.example, holidays: days-off}")
    world = World(plan.replace(b"[{page: layers,", b"[{page: next on layers,"))
    world.apply(CalendarRead("days-off", (Busy(START, START + 2 * HOUR, False, "away"),)))
    world.at("1h").fires("Down", service="two")
    assert world.pages[-1][1] == "ben"
    assert any("(next on layers, layer 1, away like all the others)" in entry.what for entry in world.timeline)
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


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


def test_a_handoff_moves_when_the_plan_says_whose_calendar_counts():
    """The schedule is the same, and who is on call by it is not."""
    told = PLAN.replace(b"  layers:\n    handoff notice: off\n", b"  layers:\n")
    world = World(told.replace(b", holidays: days-off", b""))
    world.apply(CalendarRead("days-off", (Busy(START + 8 * HOUR, START + 10 * HOUR, False, "away"),)))
    world.put_in_force(told)
    world.at("9h")
    assert [(page.person, str(page.reason)) for page in notices(world) if page.reason.startswith("shift")] == [
        ("ben", "shift_begins"),
        ("ana", "shift_ends"),
    ]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_an_entry_without_end_counts_as_far_as_a_calendar_is_kept_and_costs_no_more_than_that():
    """Ana is away from the year 2 to the year 9000; her turns are another's as far as anybody looks."""
    for far in (
        Busy(zone("UTC").shows(START) - 2024 * 365 * 1440, zone("UTC").shows(START) + 6974 * 365 * 1440, True, "away"),
        Busy(START - 2024 * 365 * DAY, START + 6974 * 365 * DAY, False, "away"),
    ):
        world = World(PLAN)
        began = process_time()
        world.apply(CalendarRead("days-off", (far,)))
        assert process_time() - began < 2.0
        assert on_call(world, "layers") == ["ben"]
        covers = world.engine.state.covers["layers"]
        assert covers[0].start >= START - BEHIND
        assert START + AHEAD - 3 * DAY <= covers[-1].end <= START + AHEAD
        world.at("6d")
        assert on_call(world, "layers") == ["ben"]
        assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_a_rota_entry_without_end_pages_whom_it_names():
    world = World(PLAN)
    world.apply(CalendarRead("rota", (Busy(-62_000_000_000 * 10**6, 250_000_000_000 * 10**6, False, "Ben"),)))
    world.fires("Down", service="one")
    assert world.pages[-1][1] == "ben"


def test_everybody_an_imported_rota_names_at_a_time_is_on_call():
    """Two entries overlap for an hour, two are at the very same time, one of them twice; overrides lie over all."""
    world = World(PLAN)
    world.apply(
        CalendarRead(
            "rota",
            (
                Busy(START, START + 3 * HOUR, False, "Ana Ruiz"),
                Busy(START + 2 * HOUR, START + 5 * HOUR, False, "Ben"),
                *(Busy(START + 5 * HOUR, START + 6 * HOUR, False, who) for who in ("Kei", "Ben", "Kei")),
            ),
        )
    )
    assert on_call(world, "imported") == ["ana"]
    world.at("2h").fires("Down", service="one")
    assert sorted(page[1] for page in world.pages) == ["ana", "ben"]
    world.at("4h")
    assert on_call(world, "imported") == ["ben"]
    world.at("5h")
    assert sorted(on_call(world, "imported")) == ["ben", "kei"]
    ends = world.now + HOUR
    world.asked(AddOverride(actor="x", schedule="imported", person="zoe", starts_at=world.now, ends_at=ends))
    assert on_call(world, "imported") == ["zoe"]
    assert dump(Engine(world.loaded(), world.engine.plan, SOURCES).state) == dump(world.engine.state)


def test_a_long_rota_and_many_people_hold_nobody_up():
    """Fifty schedules lie under one rota of two thousand entries, in a plan of three hundred people."""
    entries, many = 2_000, b"  p%d: {name: Per%d Son%d, email: p%d@x.example}\n"
    desk = b"  desk%d: {calendar: rota, layers: [{rotate: [ana, ben], every: week, starts: 2026-11-16 with ana}]}\n"
    plan = PLAN.replace(b"people:\n", b"people:\n" + b"".join(many % ((n,) * 4) for n in range(300)))
    plan = plan.replace(b"schedules:\n", b"schedules:\n" + b"".join(desk % n for n in range(50)))
    world = World(plan)
    step = 240 * DAY // entries
    begin = START - 40 * DAY
    rota = tuple(
        Busy(begin + n * step, begin + (n + 1) * step, False, f"On call: Per{n % 300} Son{n % 300}")
        for n in range(entries)
    )
    began = process_time()
    world.apply(CalendarRead("rota", rota))
    read = process_time()
    world.fires("Down", service="one")
    paged = process_time()
    assert list(covering.findings(world.engine.plan, world.engine.state.calendars, world.now)) == []
    found = process_time()
    assert read - began < 3.0
    assert paged - read < 0.2
    assert found - paged < 0.5


def day_of(world: World, schedule: str = "between", hours: int = 20) -> str:
    """Who is on call, hour by hour, by their initials; a hole where nobody is."""
    plan, state = world.engine.plan, world.engine.state
    covers, roster = plan.covers_for(schedule, state.covers), plan.rosters[schedule]
    found = [[one.person for one in roster.who(START + hour * HOUR, covers)] for hour in range(hours)]
    listed = roster.shifts(START, START + hours * HOUR, covers)
    for hour, people in enumerate(found):
        at = START + hour * HOUR
        assert people == list(dict.fromkeys(one.person for one in listed if one.start <= at < one.end)), "as it pages"
    gaps = roster.gaps(START, START + hours * HOUR, covers)
    holes = {hour for hour in range(hours) if any(low <= START + hour * HOUR < high for low, high in gaps)}
    assert holes == {hour for hour, people in enumerate(found) if not people}
    return "".join("+".join(one[0] for one in people) or "." for people in found)


def test_an_imported_rota_between_layers_lies_over_the_earlier_and_under_the_later():
    """Zoe has it by day, whoever the rota names is over her, Kei's office hours are over both; else it is a gap."""
    world = World(LAYERED)
    assert day_of(world) == "zzzzzzkkkkkkkk......"
    late = Busy(START + 12 * HOUR, START + 18 * HOUR, False, "Ben")
    world.apply(CalendarRead("rota", (*ROTA, late)))
    assert day_of(world) == "zaaaabkkkkkkkkbbbb.."
    roster, covers = world.engine.plan.rosters["between"], world.engine.state.covers["between"]
    assert [one.by for one in roster.who(START + HOUR, covers)] == ["calendar"]
    over = AddOverride(
        actor="x", schedule="between", person="zoe", starts_at=START + 5 * HOUR, ends_at=START + 7 * HOUR
    )
    assert world.asked(over).ok
    assert day_of(world) == "zaaaazzkkkkkkkbbbb.."
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_of_two_calendars_in_a_row_the_later_counts_and_one_over_all_layers_over_both():
    """Ana has the night by the first calendar, Ben a part of it by the second, and Kei an hour of his by the last."""
    in_a_row = b"      - {calendar: rota}\n      - {calendar: second}\n"
    plan = LAYERED.replace(b"      - {calendar: rota}\n", in_a_row)
    plan = plan.replace(b"  days-off:", b"  second: {ical: secret:second}\n  over: {ical: secret:over}\n  days-off:")
    world = World(plan.replace(b"  between:\n", b"  between:\n    calendar: over\n"))
    world.apply(CalendarRead("rota", (Busy(START, START + 6 * HOUR, False, "Ana Ruiz"),)))
    world.apply(CalendarRead("second", (Busy(START + HOUR, START + 3 * HOUR, False, "Ben"),)))
    world.apply(CalendarRead("over", (Busy(START + 2 * HOUR, START + 3 * HOUR, False, "Kei"),)))
    assert day_of(world, hours=7) == "abkaaak"
    roster, covers = world.engine.plan.rosters["between"], world.engine.state.covers["between"]
    (ben,) = roster.who(START + HOUR, covers)
    assert why(roster.schedule, ben, covers) == "between: the calendar second"


def test_holidays_that_a_calendar_says_close_a_layers_hours_as_written_days_do():
    """Below it the rota counts, and below that the first layer; a whole day of the calendar is one of the layer's."""
    world = World(LAYERED)
    world.apply(CalendarRead("rota", ROTA))
    world.apply(CalendarRead("days-off", (Busy(START + 7 * HOUR, START + 9 * HOUR, False, "all hands"),)))
    assert day_of(world) == "zaaaabkbbkkkkk......"
    roster, covers = world.engine.plan.rosters["between"], world.engine.state.covers["between"]
    assert (roster.shadows(START + 6 * HOUR, covers), roster.shadows(START + 8 * HOUR, covers)) == (("zoe",), ())
    monday = zone("UTC").shows(START) // (24 * 60) * 24 * 60
    world.apply(CalendarRead("days-off", (Busy(monday, monday + 24 * 60, True, "Labour day"),)))
    assert day_of(world) == "zaaaabbbbzzzzz......"
    written = LAYERED.replace(b"09:00-17:00, holidays: days-off}", b"09:00-17:00, closed: 2026-11-23}")
    other = World(written)
    other.apply(CalendarRead("rota", ROTA))
    assert day_of(other) == day_of(world)
    world.at("9h").fires("Down", service="one")
    world.restarted()
    assert day_of(world) == "zaaaabbbbzzzzz......"


def test_a_handoff_moves_when_a_calendar_closes_a_layer():
    told = LAYERED.replace(b"  between:\n    handoff notice: off\n", b"  between:\n")
    world = World(told)
    assert world.engine.state.duties["handoff between"].at == START + 6 * HOUR
    world.apply(CalendarRead("rota", ()))
    world.apply(CalendarRead("days-off", (Busy(START + 5 * HOUR, START + 8 * HOUR, False, "all hands"),)))
    assert world.engine.state.duties["handoff between"].at == START + 8 * HOUR


AGREED = PLAN.replace(b"{rotate: [ana, ben, kei], every: day", b"{rotate: [ana, ben, kei], every: week")


def agreed(world: World) -> tuple[int, int]:
    """Zoe agreed to have Ana's turn, from tomorrow for ten hours."""
    world.apply(CalendarRead("days-off", ()))
    world.apply(CalendarRead("rota", ()))
    span = START + DAY, START + DAY + 10 * HOUR
    whose = AddOverride(
        actor="person:ben", schedule="layers", person="zoe", starts_at=span[0], ends_at=span[1], instead_of="ana"
    )
    assert world.asked(whose).ok
    return span


def idle(world: World) -> list[str]:
    """What is said of overrides that take nobody's place."""
    plan, state = world.engine.plan, world.engine.state
    return [sentence for _, sentence in covering.idle(plan, state.overrides, state.covers, world.now)]


def test_a_cover_that_was_agreed_counts_though_the_calendar_says_the_same():
    world = World(AGREED)
    span = agreed(world)
    world.apply(CalendarRead("days-off", (Busy(*span, False, "trip"),)))
    world.at("25h").fires("Down", service="two")
    assert world.pages[-1][1] == "zoe"
    assert idle(world) == []
    world.at("35h")
    assert on_call(world, "layers") == ["ana"]
    away = AddOverride(
        actor="person:ana", schedule="layers", person="kei", starts_at=world.now + DAY, ends_at=world.now + DAY + HOUR,
        instead_of="ana",
    )  # fmt: skip
    world.apply(CalendarRead("days-off", (Busy(away.starts_at, away.ends_at, False, "trip"),)))
    assert world.asked(away).ok, "whose turn it is may give it away while somebody stands in"
    world.at("59h1m")
    assert on_call(world, "layers") == ["kei"]
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_who_agreed_is_told_when_a_new_plan_or_calendar_leaves_them_nobodys_place():
    world = World(AGREED)
    agreed(world)
    world.put_in_force(AGREED.replace(b"starts: 2026-11-23 with ana", b"starts: 2026-11-23 with ben"))
    sentence = (
        "Override 1 on layers takes nobody's place: ana is not on call by layers from Tue 24 Nov 2026 03:00 to "
        "Tue 24 Nov 2026 13:00 UTC"
    )
    said = lambda: [one for one in world.engine.state.pages_of[0].values() if one.title == sentence]  # noqa: E731
    assert [(one.person, one.lines) for one in said()] == [("zoe", ("Because the plan is another",))]
    assert idle(world) == [sentence]
    world.put_in_force(AGREED.replace(b"starts: 2026-11-23 with ana", b"starts: 2026-11-23 with kei"))
    assert len(said()) == 1, "it is told once"


COVERED = PLAN.replace(b"schedules:\n", b"schedules:\n  bare: {calendar: rota, handoff notice: off}\n").replace(
    b"one: {escalation: imported}", b"one: {escalation: imported}\n  three: {escalation: bare, team: shop}"
).replace(b"escalations:\n", b"escalations:\n  bare: [{page: bare, wait: 2h}]\n")  # fmt: skip


def cover(world: World, person: str, schedule: str = "bare") -> Result:
    """Somebody asks for cover for the first of the rota's shifts."""
    return world.asked(
        AskCover(
            actor=f"person:{person}", schedule=schedule, person=person, starts_at=START + HOUR, ends_at=START + 5 * HOUR
        )
    )


def asked_of(world: World) -> set[str]:
    return {row.person for row in world.engine.state.pages_of.get(0, {}).values() if row.reason is Reason.COVER_ASKED}


def test_a_cover_request_asks_whom_the_schedules_calendar_names():
    world = World(COVERED)
    past = Busy(START - 5 * HOUR, START - HOUR, False, "Zoe")
    world.apply(CalendarRead("rota", (past, ROTA[0], Busy(START + 9 * HOUR, START + 10 * HOUR, False, "Kei"))))
    done = cover(world, "ana")
    assert (done.ok, asked_of(world)) == (True, {"kei"})
    take = AnswerOverride(actor="person:zoe", id=int(done.id), person="zoe", yes=True)
    assert world.asked(take).message == "Only people on bare can take its shifts"
    assert world.asked(AnswerOverride(actor="person:kei", id=int(done.id), person="kei", yes=True)).ok
    world.at("2h")
    assert on_call(world, "bare") == ["kei"]


def test_a_cover_request_asks_the_team_where_nobody_else_is_on_the_schedule_and_is_refused_where_nobody_is():
    world = World(COVERED)
    world.apply(CalendarRead("rota", ROTA[:1]))
    assert (cover(world, "ana").ok, asked_of(world)) == (True, {"ben"})
    world = World(COVERED.replace(b"members: [ana, ben]", b"members: [ana]"))
    world.apply(CalendarRead("rota", ROTA[:1]))
    done = cover(world, "ana")
    assert (done.ok, done.field, asked_of(world)) == (False, "schedule", set())
    assert done.message == "Nobody else is on bare, nor in a team that is paged by it: nobody could take it"
    assert not world.engine.state.overrides
