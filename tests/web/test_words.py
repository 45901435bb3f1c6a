"""What pages say: spans, names, and the sentence of what happens next."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from tests.web.night import NOW, the_plan
from tocsin.escalation.policy import Step, When
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, parse_rfc3339
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.oncall.imported import Busy, Imported
from tocsin.pages.ledger import Page
from tocsin.plan import read_plan
from tocsin.plan.turns import Turns
from tocsin.playbooks.run import Run
from tocsin.web.room import _steps
from tocsin.web.whys import whys
from tocsin.web.words import Reader, because, count, initials, listed, night, span

STOCKHOLM = ZoneInfo("Europe/Stockholm")


def reader(**how: object) -> Reader:
    return Reader(NOW, STOCKHOLM, the_plan(), person="ana", user="ana", **how)  # type: ignore[arg-type]  # passes options through


def incident(**more: object) -> Incident:
    fields = {
        "number": 1,
        "service": "checkout",
        "group": "g",
        "title": "T",
        "severity": "sev1",
        "opened_at": NOW,
        "updated_at": NOW,
        "last_joined": NOW,
        "steps": the_plan().steps("checkout"),
        **more,
    }
    return Incident(**fields)  # type: ignore[arg-type]  # the fields of an incident


def page(person: str, **more: object) -> Page:
    fields = {
        "id": 1,
        "incident": 1,
        "person": person,
        "channel": "email",
        "address": "",
        "reason": Reason.STEP_DUE,
        "intended_at": NOW - MINUTE,
        "next_at": None,
        "state": "sent",
        **more,
    }
    return Page(**fields)  # type: ignore[arg-type]  # the fields of a page


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0 s"),
        (-5 * SECOND, "0 s"),
        (40 * SECOND, "40 s"),
        (2 * MINUTE, "2 min"),
        (130 * SECOND, "2 min 10 s"),
        (13 * MINUTE + 9 * SECOND, "13 min"),
        (4 * HOUR + 5 * MINUTE, "4 h 5 min"),
        (3 * DAY + 2 * HOUR, "3 d 2 h"),
        (60 * DAY, "60 d"),
    ],
)
def test_a_span_has_two_units_at_most_and_never_breaks_from_its_unit(length: int, said: str) -> None:
    assert span(length).replace("\u00a0", " ") == said
    assert " " not in span(40 * SECOND)


def test_numbers_and_names_read_as_a_sentence() -> None:
    assert (listed(["Ana"]), listed(["Ana", "Ben", "Mei"])) == ("Ana", "Ana, Ben and Mei")
    assert (count(1, "alert"), count(1200, "person", "people")) == ("1\u00a0alert", "1,200\u00a0people")
    assert (initials("Ana Ribeiro"), initials("ops"), initials("💥")) == ("AR", "O", "?")


def test_a_triggered_incident_says_who_was_paged_and_who_is_next() -> None:
    line = reader().now_line(incident(step=1, next_at=NOW + 130 * SECOND), [page("ana")])
    assert line.before == "Ana was paged by email; Ben is paged"
    assert (line.due, line.after) == (NOW + 130 * SECOND, "if nobody answers.")


def test_the_same_person_again_is_named_once() -> None:
    line = reader().now_line(incident(step=1, round=1, next_at=NOW + MINUTE), [page("ben", step=1)])
    assert line.before == "Ben was paged by email and is paged again"


def test_a_page_that_could_not_be_delivered_says_so() -> None:
    line = reader().now_line(
        incident(step=1, next_at=NOW + MINUTE), [page("ana", state="failed", outcome=Reason.FAILED)]
    )
    assert line.before.startswith("Ana could not be reached by email;")


def test_a_page_that_was_refused_is_not_said_to_be_leaving() -> None:
    line = reader().now_line(
        incident(step=1, next_at=NOW + MINUTE), [page("ana", state="intended", attempts=2, outcome=Reason.RETRYING)]
    )
    assert line.before.startswith("Ana could not be reached yet by email, which is tried again;")


def test_whom_no_page_reached_is_not_said_to_have_been_paged_with_the_others() -> None:
    """By two clauses; and it is the one who was reached whose face is shown."""
    due = incident(step=1, next_at=NOW + MINUTE)
    ana, ben = page("ana", channel="webhook"), page("ben", id=2, state="failed", outcome=Reason.FAILED)
    line = reader().now_line(due, [ben, ana])
    assert line.before.startswith("Ana was paged by webhook; Ben could not be reached by email; ")
    assert line.who.name == "Ana"
    trying = page("ben", id=2, state="intended", attempts=1, outcome=Reason.RETRYING)
    again = reader().now_line(due, [trying, ana]).before
    assert "Ben could not be reached yet by email, which is tried again;" in again
    both = [page("ben", id=3, channel="webhook"), ben, ana]
    assert reader().now_line(due, both).before.startswith("Ana and Ben were paged by webhook; ")
    said = dict(whys(reader(), due, [structs.replace(ben, error="the connection was refused"), ana]))
    assert [why for what, why in said.items() if what.startswith("Ben could not")] == ["the connection was refused"]
    first = _steps(reader(), due, [ben, ana])[0].last_page
    assert first is not None and first.may_reach


def test_a_page_that_left_although_it_was_overtaken_reached_its_person() -> None:
    late = page("ana", state="overtaken", outcome=Reason.LEFT_BEFORE, finished_at=NOW)
    line = reader().now_line(incident(step=1, next_at=NOW + MINUTE), [late])
    assert line.before == "Ana was paged by email; Ben is paged"


def test_after_the_last_step_comes_the_last_resort() -> None:
    assert reader().fate(incident(step=3, next_at=NOW + MINUTE)).before == "Ana is paged"


def test_a_step_that_reaches_nobody_now_is_said_so_with_who_is_paged_in_its_place() -> None:
    for targets, why in (
        (
            ("platform-hours:next", "platform-hours:previous"),
            "Nobody is next on platform-hours or previous on platform-hours",
        ),
        (("gone", "gone:next"), "The plan has no schedule gone"),
    ):
        steps = (Step(tuple(f"schedule:{one}" for one in targets)), *the_plan().steps("checkout"))
        fate = reader().fate(incident(steps=steps, next_at=NOW + MINUTE))
        assert fate.before == f"{why} now, so Ana is paged"
    steps = (Step(("person:zoe",)), *the_plan().steps("checkout"))
    fate = reader().fate(incident(steps=steps, next_at=NOW + MINUTE))
    assert fate.before == "Zoe is not in the plan now, so Ana is paged"


def test_who_has_answered_of_several_is_named_as_that_and_not_as_next() -> None:
    both, ben, mei = ("person:ben", "person:mei"), ("person:ben",), ("person:ben", "person:mei")
    one = incident(
        steps=(Step(both, answers=2), Step(ben), Step(mei)),
        step=1, next_at=NOW + MINUTE, answers={"ben": NOW + HOUR},
    )  # fmt: skip
    assert reader().fate(one).before == "Mei is paged"
    assert [step.state for step in _steps(reader(), one, [])] == ["later", "later", "next", "later"]
    holder = reader().holder(one)
    assert (holder.kind, holder.name, holder.letters) == ("person", "Ben, one of 2 who are asked for", "BO")
    ends = structs.replace(one, answers={"ben": NOW + 30 * SECOND})
    assert reader().fate(ends).before == "Ben is paged", "his answer is over by then"


def test_the_step_said_to_be_next_is_the_first_that_is_for_this_incident_then() -> None:
    ana, ben, mei = (Step((f"person:{one}",)) for one in ("ana", "ben", "mei"))
    steps = (ana, structs.replace(ben, when=When(severity=("sev4",))), mei)
    one = incident(steps=steps, step=1, next_at=NOW + MINUTE)
    assert reader().fate(one).before == "Mei is paged"
    assert [step.state for step in _steps(reader(), one, [])] == ["later", "later", "next", "later"]
    said = dict(whys(reader(), one, []))
    assert said["Ben has not been paged yet"] == "Ben is in step 2, for sev4"
    assert said["Mei has not been paged yet"] == "Mei is in step 3, due at 03:32:08"
    none = structs.replace(one, steps=steps[:2])
    assert reader().fate(none).before == "Ana is paged", "the last resort"
    assert [step.state for step in _steps(reader(), none, [])] == ["later", "later", "next"]


def test_a_step_for_hours_that_a_holiday_closes_is_not_said_to_be_next() -> None:
    text = """
tocsin: 1
people: {ana: {}, ben: {}}
last resort: ana
calendars: {feasts: {ical: "https://c.example/feasts.ics"}}
hours: {office: {open: [Mon-Sun 00:00-24:00], holidays: [feasts]}}
escalations: {o: [{page: ana}, {page: ben, when: {hours: office}}]}
services: {checkout: {escalation: o}}
"""
    plan = read_plan({"tocsin.yaml": text.encode()}).plan
    assert plan is not None and plan.has_holidays
    one = incident(steps=plan.steps("checkout"), step=1, next_at=NOW + MINUTE)
    closed = (Busy(NOW - HOUR, NOW + HOUR),)
    for busy, said in (((), "Ben is paged"), (closed, "Ana is paged")):
        calendars = {"feasts": Imported(name="feasts", read_at=NOW, busy=busy)}
        assert Reader(NOW, STOCKHOLM, plan, calendars=calendars).fate(one).before == said


def test_whoever_stands_for_a_place_is_called_by_all_of_its_name() -> None:
    plan = the_plan()
    people = {**plan.people, "pd": structs.replace(plan.people["ben"], key="pd", name="On call in PagerDuty")}
    told = Reader(NOW, STOCKHOLM, structs.replace(plan, people=people))
    assert (told.name("pd"), told.name("ana")) == ("On call in PagerDuty", "Ana")


def test_a_silenced_incident_says_why_nobody_is_paged_and_until_when() -> None:
    fate = reader().fate(incident(paused=Reason.SILENCED, paused_until=NOW + HOUR))
    assert fate.before == "Nobody is paged: a silence matches it. It is judged again"
    assert fate.due == NOW + HOUR


def test_an_acknowledged_incident_says_who_has_it_and_when_paging_goes_on() -> None:
    held = incident(
        state="acknowledged", acknowledged_by="person:ana", acknowledged_at=NOW - MINUTE, acknowledged_until=NOW + HOUR
    )
    assert reader().now_line(held, []).before == "You have it since 03:30. Paging goes on"
    assert (
        Reader(NOW, STOCKHOLM, the_plan(), person="ben").now_line(held, []).before.startswith("Ana has it since 03:30.")
    )


def test_a_snoozed_incident_says_when_it_is_looked_at_again() -> None:
    snoozed = incident(state="resolved", resolved_by="person:ben", resolved_at=NOW, snoozed_until=NOW + HOUR)
    line = reader().now_line(snoozed, [])
    assert line.before == "Resolved by Ben. It is looked at again"
    assert line.due == NOW + HOUR


RUN = Run(number=7, playbook="restart-payments", service="checkout", plan="p", started_at=NOW - MINUTE, deadline=NOW)


def test_what_code_fixed_says_which_playbook_and_that_nobody_was_woken() -> None:
    over = incident(state="resolved", resolved_by="code", resolved_at=NOW, reason=Reason.ALL_CLEAR, run=7)
    line = reader().now_line(over, [], structs.replace(RUN, outcome="verified"))
    assert line.before == "restart-payments fixed it, and saw that it holds. Nobody was paged."
    assert (line.who.kind, line.who.name) == ("code", "restart-payments")
    failed = reader().now_line(over, [page("ana"), page("ben")], structs.replace(RUN, outcome="handed_over"))
    assert failed.before == "Resolved: every alert in it has ended. Ben and Ana were paged."


def test_who_was_to_be_paged_and_was_not_is_not_said_to_have_been() -> None:
    over = incident(state="resolved", resolved_by="code", resolved_at=NOW, reason=Reason.ALL_CLEAR)
    spared = page("ana", state="overtaken", outcome=Reason.OVERTAKEN, finished_at=None)
    assert reader().now_line(over, [spared]).before == "Resolved: every alert in it has ended. Nobody was paged."


def test_what_is_over_says_until_when_the_same_trouble_opens_it_again() -> None:
    over = incident(state="resolved", resolved_by="code", resolved_at=NOW, keep_until=NOW + HOUR)
    assert reader().fate(over).before == "It is over for good"
    assert (reader().fate(over).due, reader().fate(over).after) == (NOW + HOUR, "unless the same trouble comes back.")


def test_a_due_time_is_printed_as_a_clock_time_for_those_without_scripts() -> None:
    text = str(reader().due(NOW + 130 * SECOND))
    assert "at 03:33:18</time>" in text
    assert f'data-due="{(NOW + 130 * SECOND) // 1000}"' in text


def test_a_reader_who_wants_clock_times_gets_no_relative_ones() -> None:
    plain = reader(absolute=True)
    assert "since 03:18" in str(plain.open_for(NOW - 13 * MINUTE))
    assert "data-" not in str(plain.ago(NOW - 13 * MINUTE))


def test_the_night_is_the_persons_own() -> None:
    """22:00 to 07:00 where they are, whatever the server's zone."""
    eleven = parse_rfc3339("2026-10-20T21:00:00Z")
    assert night(eleven, STOCKHOLM)
    assert not night(eleven, ZoneInfo("America/New_York"))
    assert not night(parse_rfc3339("2026-10-20T05:00:00Z"), STOCKHOLM)


def test_every_reason_has_a_because() -> None:
    assert all(because(reason) == EXPLAINED[reason] for reason in Reason)
    assert because("something_newer") == "something newer"


TURNS = Step(("person:ana", "person:ben"), one=True, round_of="shop/1")


def test_of_several_who_take_turns_one_is_paged_and_named_as_next():
    turns = Turns({"shop/1": ("ben", "ana")}, frozenset({"ana", "ben"}))
    told = reader(turns=turns)
    one = incident(steps=(TURNS,), next_at=NOW + 5 * MINUTE)
    assert told.fate(one).before == "One of Ana and Ben (Ben next) is paged"
    assert told.now_line(one, [page("mei")]).before == "Mei was paged by email; one of Ana and Ben (Ben next) is paged"
    team = Step(("team:shop",), one=True)
    assert told.step(team) == "one of shop (Ana and Ben; Ana next)"
    assert told.step(Step(("person:ana",), one=True)) == "Ana"
    assert told.step(Step(("person:ana", "person:ben"))) == "Ana and Ben"


def test_whoever_cannot_be_reached_is_not_next():
    turns = Turns({"shop/1": ("ben", "ana")}, frozenset({"ana"}))
    assert reader(turns=turns).step(TURNS) == "one of Ana and Ben (Ana next)"


def test_whoever_was_not_paged_because_of_anothers_turn_is_told_so():
    one = incident(steps=(TURNS, Step(("person:mei",))), step=1, next_at=NOW + 5 * MINUTE)
    told = dict(whys(reader(), one, [page("ben")]))
    assert told["You were not paged"] == "step 1 pages one of several, and it was Ben's turn"
    assert "Mei has not been paged yet" in told


def test_who_could_not_be_reached_until_it_was_over_is_not_said_to_have_been_held_back() -> None:
    tried = page("ana", state="overtaken", outcome=Reason.OVERTAKEN, attempts=2, error="the connection was refused")
    over = incident(state="resolved", resolved_by="code", resolved_at=NOW)
    assert whys(reader(), over, [tried])[0] == ("You could not be reached by email", "the connection was refused")
    spared = page("ana", state="overtaken", outcome=Reason.OVERTAKEN)
    assert whys(reader(), over, [spared])[0][0] == "You have not been paged: the page was held back"


def test_who_was_asked_for_help_or_sent_a_copy_is_not_said_to_have_been_passed_over() -> None:
    one = incident(state="acknowledged", acknowledged_by="person:ana", step=1)
    asked = page("ben", kind="help", reason=Reason.ASKED_FOR_HELP, because="Ana asked for help", finished_at=NOW)
    told = whys(reader(), one, [asked, page("mei", id=2, kind="copy", finished_at=NOW)])
    assert ("Ben was asked for help at 03:31:08", "Ana asked for help") in told
    assert ("Mei was sent a copy at 03:31:08", "Mei shadows whoever was paged") in told
    assert not [what for what, _ in told if what in ("Ben was not paged", "Mei was not paged")]
    lost = structs.replace(asked, state="failed", error="no such mailbox", finished_at=None)
    at = reader().clock(lost.intended_at)
    unheard = (f"Ben could not be reached with the call for help at {at}", "no such mailbox")
    assert unheard in whys(reader(), one, [lost])
    waits = [structs.replace(asked, id=3), asked, page("ben", id=4, finished_at=NOW)]
    said = [what for what, _ in whys(reader(), one, waits) if what.startswith("Ben")]
    assert said == ["Ben was paged at 03:31:08", "Ben was asked for help at 03:31:08, 2\u00a0calls for help in all"]


def test_the_last_resort_stands_in_the_escalation_too() -> None:
    steps = (Step(("person:mei",)),)
    due = incident(steps=steps, step=1, next_at=NOW + 4 * MINUTE)
    at = reader().clock(NOW + 4 * MINUTE)
    assert whys(reader(), due, [page("mei")])[0] == (
        "You have not been paged yet", f"you are the last resort, due at {at}"
    )  # fmt: skip
    taken = incident(steps=steps, step=1, state="acknowledged", acknowledged_by="person:mei")
    assert whys(reader(), taken, [page("mei")])[0] == (
        "You were not paged", "Mei acknowledged before the last resort was due"
    )  # fmt: skip


def test_a_step_of_low_urgency_that_reaches_nobody_is_one_sentence() -> None:
    """Nobody reads "so nobody is, so they are"; and of three people one ``and`` is enough."""
    plan = the_plan()
    plan = structs.replace(plan, last_resort=("person:ana", "person:ben"))
    gap = NOW - HOUR  # outside of platform-hours
    asked = Reader(gap, STOCKHOLM, plan, person="ana")
    steps = (Step(("schedule:platform-hours",)), Step(("person:mei", "person:ben")))
    one = incident(service="search", steps=steps, next_at=gap + HOUR, waits=Reason.QUIET_HOURS)
    line = asked.fate(one)
    assert line.before.startswith("Of low urgency: nobody is on call by platform-hours now, so Mei, Ben ")
    assert line.before.count(" and ") == 1 and line.before.endswith(" are paged")


def test_a_name_from_right_to_left_turns_nothing_round_that_stands_beside_it() -> None:
    """``7 d`` behind such a name would be read as ``d``, the name, ``7``."""
    plan = the_plan()
    people = {**plan.people, "ben": structs.replace(plan.people["ben"], name="يوسف الحسيني")}
    asked = Reader(NOW, STOCKHOLM, structs.replace(plan, people=people))
    assert (asked.name("ben"), asked.full_name("ben")) == ("\u2068يوسف\u2069", "\u2068يوسف الحسيني\u2069")
    assert asked.who("person:ben").letters == initials("يوسف الحسيني") != "?"
    assert (asked.name("ana"), asked.full_name("mei")) == ("Ana", "Mei Tanaka")


def test_a_minute_that_the_readers_clock_shows_twice_says_which_it_is() -> None:
    reads = reader()
    assert reads.minute(parse_rfc3339("2026-10-25T00:30:00Z")) == "Sun 25 Oct, 02:30 (UTC+2)"
    assert reads.minute(parse_rfc3339("2026-10-25T01:30:00Z")) == "Sun 25 Oct, 02:30 (UTC+1)"
    assert reads.minute(parse_rfc3339("2026-10-25T02:30:00Z")) == "Sun 25 Oct, 03:30"
