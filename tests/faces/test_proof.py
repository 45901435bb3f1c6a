"""The exported ledger, and why a person was or was not paged at a time, on both databases."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faces.filled import NOW, Filler, sqlite_url
from tocsin.escalation.policy import Step
from tocsin.faces.proof import ledger
from tocsin.faces.why_person import PersonExplanation, explain_person
from tocsin.faces.why_plan import plan_then
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Instant
from tocsin.kernel.reason import Reason
from tocsin.pages.exported import as_csv
from tocsin.plan import read_plan
from tocsin.store import tables
from tocsin.store.reads import Reads, open_engine
from tocsin.store.rows import pack_files

PLAN_TEXT = b"""
tocsin: 1
people: {ana: {email: a@b.example}, ben: {email: b@b.example}, kei: {email: k@b.example}}
mail: {server: smtp://localhost, from: a@b.example}
schedules: {shop: {layers: [{rotate: ana, starts: 2026-11-16 with ana}]}}
"""
PLAN = read_plan({"tocsin.yaml": PLAN_TEXT}).plan
STEPS = (Step(("schedule:shop",), 5 * MINUTE), Step(("person:ben",), 5 * MINUTE))


@pytest.fixture(params=["sqlite", "postgres"])
def filler(request: pytest.FixtureRequest, tmp_path: Path) -> Filler:
    """An empty world on a database."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    return Filler(url)


@pytest.fixture
def asked(filler: Filler) -> Callable[..., PersonExplanation]:
    """Call with a person and a time: why they were, or were not, paged."""
    reads = Reads(open_engine(filler.database))

    def ask(person: str, at: Instant = NOW) -> PersonExplanation:
        assert PLAN is not None
        return explain_person(reads, PLAN, {}, person, at)

    return ask


def test_the_ledger_says_of_every_page_why_how_when_and_what_followed(filler: Filler) -> None:
    number = filler.incident(steps=STEPS)
    hook = filler.contact("ana", "webhook", "https://push.example/ana", label="Phone")
    filler.page(
        number, channel="webhook", contact=hook, state="failed", outcome=Reason.FAILED, error="=cmd|' /C calc'!A0",
        address="https://push.example/ana", handed_at=NOW - 9 * MINUTE + SECOND, attempts=1,
    )  # fmt: skip
    second = filler.page(number, instead_of=1, provider_id="abc", unsure=True, outcome=Reason.POSSIBLE_DUPLICATE)
    filler.page(number, person="ben", step=1, answered_at=NOW, intended_at=NOW - 4 * MINUTE)
    rows = ledger(Reads(open_engine(filler.database)), number)
    assert rows is not None
    first, instead, answered = rows
    assert (first.method, first.why, first.step, first.attempted_at) == (
        "Phone", "step_due", 1, "2026-11-22T03:15:01.000Z",
    )  # fmt: skip
    assert first.followed == f"page {second} to ana by email was written in its stead"
    assert "push.example/ana" not in first.address
    assert (instead.possible_duplicate, instead.provider_id) == (True, "abc")
    assert instead.followed == "the next page was 3, to ben by email: this step of the escalation was due"
    assert (answered.followed, answered.answered_by_person_at) == ("ben answered by it", "2026-11-22T03:24:00.000Z")
    written = list(csv.DictReader(io.StringIO(as_csv(rows).decode())))
    assert [row["page"] for row in written] == ["1", "2", "3"]
    assert written[0]["error"] == "'=cmd|' /C calc'!A0", "no spreadsheet takes it for a formula"
    assert ledger(Reads(open_engine(filler.database)), 99) is None


def test_the_ledger_says_that_a_page_was_tried_in_vain_before_it_was_overtaken(filler: Filler) -> None:
    number = filler.incident(steps=STEPS)
    filler.page(
        number, state="overtaken", outcome=Reason.OVERTAKEN, attempts=2, handed_at=None,
        tried_at=NOW - 9 * MINUTE, last_tried_at=NOW - 8 * MINUTE, finished_at=NOW,
    )  # fmt: skip
    ((row,),) = (ledger(Reads(open_engine(filler.database)), number) or [],)
    assert (row.attempts, row.attempted_at) == (2, "2026-11-22T03:16:00.000Z")
    assert row.answered_by_channel_at == "", "nobody answered but a person"


def test_who_was_on_call_and_paged_is_told_with_the_reason(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    number = filler.incident(steps=STEPS)
    filler.entry(number, "Paging ana (shop, layer 1)", Reason.STEP_DUE, at=NOW - 9 * MINUTE)
    filler.page(number)
    found = asked("ana")
    assert (found.paged, [one.schedule for one in found.on_call]) == (True, ["shop"])
    (of,) = found.incidents
    assert (of.stood.text, of.stood.reason) == ("Paging ana (shop, layer 1)", Reason.STEP_DUE)
    assert (of.person.text, of.person.reason) == ("A page to ana by email left", Reason.SENT)


def test_who_comes_later_or_not_at_all_is_told_why_not(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    number = filler.incident(steps=STEPS)
    filler.entry(number, "Acknowledged for 1 h", Reason.ACKNOWLEDGED, at=NOW - 8 * MINUTE, actor="person:ana")
    filler.entry(number, "a note", Reason.NOTE, at=NOW - MINUTE, actor="person:ana")
    ben, kei = asked("ben"), asked("kei")
    assert not ben.paged and not ben.on_call
    assert ben.incidents[0].person.text == "Step 2 means them, and it had not come to that"
    assert ben.incidents[0].stood.reason is Reason.ACKNOWLEDGED, "a note decides nothing"
    assert kei.incidents[0].person.reason is Reason.NOT_MEANT


def test_the_last_resort_is_told_that_it_had_not_come_to_that(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    filler.incident(steps=STEPS[1:])
    person = asked("ana").incidents[0].person
    said = "None of its steps means them, but they are the last resort, and it had not come to that"
    assert (person.text, person.reason) == (said, Reason.NOT_YET)


def test_a_call_for_help_and_a_copy_are_called_what_they_are(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    """And what is only told is no reason why somebody was or was not paged."""
    number = filler.incident(steps=STEPS)
    filler.page(number, kind="help", reason=Reason.ASKED_FOR_HELP, because="Ben asked for help")
    filler.page(number, person="kei", kind="copy")
    filler.page(number, person="ben", kind="notice", reason=Reason.HELP_UNHEARD)
    assert asked("ana").incidents[0].person.text == "A call for help to ana by email left"
    assert asked("kei").incidents[0].person.text == "A copy to kei by email left"
    assert asked("ben").incidents[0].person.text == "Step 2 means them, and it had not come to that"


def test_that_the_person_answered_is_told_before_that_they_were_paged(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    """By the page itself, by a button elsewhere, by a token of theirs; not after they were paged anew."""
    number = filler.incident(steps=STEPS, first_acknowledged_at=NOW - 6 * MINUTE)
    filler.page(number, answered_at=NOW - 7 * MINUTE)
    filler.entry(number, "Acknowledged for 1 h", Reason.ACKNOWLEDGED, at=NOW - 7 * MINUTE, actor="person:ana")
    person = asked("ana").incidents[0].person
    assert person.text == "A page to ana by email left, and they answered it 2 min later"
    assert (person.reason, person.at) == (Reason.ANSWERED, NOW - 7 * MINUTE)
    assert asked("ana", NOW - 8 * MINUTE).incidents[0].person.text == "A page to ana by email left"
    filler.entry(number, "Put off for 5 min", Reason.PUT_OFF, at=NOW - 6 * MINUTE, actor="person:ben (token ci)")
    assert asked("ben").incidents[0].person.text == "They answered: Put off for 5 min"
    filler.page(number, intended_at=NOW - MINUTE)
    assert asked("ana").incidents[0].person.text == "A page to ana by email left"


def test_an_answer_from_before_paging_began_anew_is_no_reason(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    """Ben answered a page, and Kei a button; then all began again, and it has not come to Ben a second time."""
    for anew in (Reason.ACKNOWLEDGEMENT_ENDED, Reason.REOPENED, Reason.SNOOZE_ENDED, Reason.REASSIGNED):
        number = filler.incident(steps=STEPS)
        filler.page(number, person="ben", answered_at=NOW - 7 * MINUTE)
        filler.entry(number, "Acknowledged for 1 h", Reason.ACKNOWLEDGED, at=NOW - 7 * MINUTE, actor="person:ben")
        filler.entry(number, "Acknowledged for 1 h", Reason.ACKNOWLEDGED, at=NOW - 6 * MINUTE, actor="person:kei")
        filler.entry(number, "All begins again", anew, at=NOW - 2 * MINUTE, actor="person:zoe")
    filler.entry(number, "Put off for 5 min", Reason.PUT_OFF, at=NOW - MINUTE, actor="person:kei")

    def told(person: str, at: Instant = NOW) -> list[str]:
        """Of all four, the newest first."""
        return [one.person.text for one in asked(person, at).incidents]

    assert told("ben") == ["A page to ben by email left"] * 4
    assert [one.stood.text for one in asked("ben").incidents[1:]] == ["All begins again"] * 3
    assert told("kei", NOW - 3 * MINUTE) == ["They answered: Acknowledged for 1 h"] * 4
    assert told("kei") == ["They answered: Put off for 5 min", *["None of its steps means kei at that time"] * 3]


def test_giving_it_to_another_is_an_answer(filler: Filler, asked: Callable[..., PersonExplanation]) -> None:
    number = filler.incident(steps=STEPS)
    filler.page(number)
    filler.entry(number, "Given to Ben", Reason.REASSIGNED, at=NOW - 2 * MINUTE, actor="person:ana")
    assert asked("ana").incidents[0].person.text == "They were paged for it, and answered: Given to Ben"


def test_what_waited_is_told_with_its_end_and_what_came_later_too(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    number = filler.incident(steps=STEPS)
    later = NOW + 2 * MINUTE
    filler.page(
        number, state="intended", outcome=None, finished_at=None, held=Reason.NEXT_METHOD, not_before=later,
        next_at=later, intended_at=NOW - SECOND,
    )  # fmt: skip
    filler.page(number, person="ben", intended_at=NOW + 5 * MINUTE, step=1)
    waiting = asked("ana").incidents[0].person
    assert (waiting.reason, waiting.until) == (Reason.NEXT_METHOD, later)
    assert not asked("ana").paged
    assert asked("ben").incidents[0].person.text == "They were not paged yet: a page by email followed"
    assert asked("ben").paged, "within a quarter of an hour"


def test_only_what_was_open_at_that_time_is_told(filler: Filler, asked: Callable[..., PersonExplanation]) -> None:
    filler.incident(state="resolved", resolved_at=NOW - 5 * MINUTE)
    filler.incident(opened_at=NOW - MINUTE)
    assert [one.incident for one in asked("ana", NOW - 6 * MINUTE).incidents] == [1]
    assert [one.incident for one in asked("ana").incidents] == [2]
    assert asked("ana", NOW - 3 * HOUR).incidents == ()


def test_who_was_on_call_is_told_by_the_plan_that_was_in_force_then(filler: Filler) -> None:
    """Ben had it by an older plan, which came back once; now it is Ana. What was not written down is not guessed."""
    assert PLAN is not None
    reads = Reads(open_engine(filler.database))
    bens = PLAN_TEXT.replace(b"ana, starts: 2026-11-16 with ana", b"ben, starts: 2026-11-16 with ben")
    ben = read_plan({"tocsin.yaml": bens}).plan
    assert ben is not None
    filler.incident(steps=(STEPS[0],), opened_at=NOW - 9 * HOUR)
    lost = "c" * 64
    for hours, version in ((8, ben.version), (7, PLAN.version), (6, ben.version), (5, lost), (4, PLAN.version)):
        filler.put(tables.meta, [{"name": f"plan@{NOW - hours * HOUR:020d}", "value": version.encode()}])
    kept = {ben.version: bens, PLAN.version: PLAN_TEXT}
    for version, text in kept.items():
        row = {"version": version, "at": NOW - 4 * HOUR, "files": pack_files({"tocsin.yaml": text})}
        filler.put(tables.plans, [row])

    def told(person: str, ago: Instant) -> tuple[list[str], bool, str, str]:
        assert PLAN is not None
        then = plan_then(reads, PLAN, NOW - ago)
        one = explain_person(reads, PLAN, {}, person, NOW - ago, then)
        return [each.schedule for each in one.on_call], one.older, one.doubt, str(one.incidents[0].person.reason)

    assert told("ben", 0) == ([], False, "", "not_meant")
    assert told("ana", 0) == (["shop"], False, "", "not_yet")
    assert told("ben", 7 * HOUR + MINUTE) == (["shop"], True, "", "not_yet")
    assert told("ana", 7 * HOUR - MINUTE) == (["shop"], False, "", "not_yet"), "the same as now, in between"
    assert told("ana", 6 * HOUR - MINUTE) == ([], True, "", "not_yet"), "as the last resort"
    assert told("kei", 6 * HOUR - MINUTE) == ([], True, "", "not_meant")
    gone = "the plan that was in force then, cccccccc, is not kept any more"
    assert told("ana", 5 * HOUR - MINUTE) == ([], False, gone, "plan_not_known")
    before = "which plan was in force then was not written down"
    assert told("ana", 8 * HOUR + MINUTE) == ([], False, before, "plan_not_known")


def test_a_plan_that_cannot_be_read_any_more_is_no_plan_to_judge_by(filler: Filler) -> None:
    """Whoever a step names is meant by whatever plan."""
    assert PLAN is not None
    reads = Reads(open_engine(filler.database))
    filler.incident(steps=STEPS)
    filler.put(tables.meta, [{"name": f"plan@{NOW - HOUR:020d}", "value": b"d" * 64}])
    filler.put(tables.plans, [{"version": "d" * 64, "at": 1, "files": pack_files({"tocsin.yaml": b"tocsin: 99"})}])
    then = plan_then(reads, PLAN, NOW)
    assert tuple(then) == (None, "this Tocsin cannot read the plan that was in force then, dddddddd")
    ana, ben = (explain_person(reads, PLAN, {}, who, NOW, then).incidents[0].person for who in ("ana", "ben"))
    assert (ana.reason, ben.reason) == (Reason.PLAN_NOT_KNOWN, Reason.NOT_YET)
    assert ana.text == f"Whom its steps meant then is not known: {then.doubt}"


BEN_ONLY = b"""
tocsin: 1
people: {ana: {email: a@b.example}, ben: {email: b@b.example}, kei: {email: k@b.example}}
mail: {server: smtp://localhost, from: a@b.example}
escalations: {all: [{page: ben}]}
services: {checkout: {escalation: all}}
"""


def test_a_plan_that_was_applied_meanwhile_is_told(filler: Filler, asked: Callable[..., PersonExplanation]) -> None:
    """Ben's plan was followed until Kei's was applied to it, two minutes ago; and none of Ben's has anything to do with
    Ana, whom the plan now in force would page.
    """
    old = read_plan({"tocsin.yaml": BEN_ONLY}).plan
    assert old is not None
    filler.put(tables.plans, [{"version": old.version, "at": 1, "files": pack_files({"tocsin.yaml": BEN_ONLY})}])
    number = filler.incident(steps=(Step(("person:kei",), 5 * MINUTE),), plan="f" * 64)
    applied = {"plan": "f" * 64, "was": old.version, "paged": "anew"}
    what = "The plan ffffffff applies now"
    filler.entry(number, what, Reason.PLAN_APPLIED, at=NOW - 2 * MINUTE, actor="person:ana", **applied)

    def told(person: str, at: Instant = NOW) -> tuple[str, Reason]:
        one = asked(person, at).incidents[0].person
        return one.text, one.reason

    before = NOW - 3 * MINUTE
    assert told("ben") == (
        "None of its steps means ben since the plan ffffffff was applied: step 1 did before", Reason.PLAN_APPLIED,
    )  # fmt: skip
    assert told("ben", before) == ("Step 1 means them, and it had not come to that", Reason.NOT_YET)
    assert told("kei", before) == (
        "None of its steps means kei at that time; the plan ffffffff was applied later, and its step 1 does",
        Reason.NOT_MEANT,
    )
    assert told("kei") == ("Step 1 means them, and it had not come to that", Reason.NOT_YET)
    filler.page(
        number, person="ben", state="overtaken", outcome=Reason.OVERTAKEN, finished_at=NOW - 2 * MINUTE,
        intended_at=NOW - 5 * MINUTE,
    )  # fmt: skip
    assert told("ben") == (
        "A page to ben by email was not sent any more: the plan ffffffff applies now, and paged anew",
        Reason.PLAN_APPLIED,
    )


def test_an_answer_from_before_a_plan_was_applied_counts_while_somebody_had_it(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    for anew in ({}, {"paged": "anew"}):
        number = filler.incident(steps=STEPS)
        filler.entry(number, "Has it, as 1 of 2", Reason.ANSWERED, at=NOW - 5 * MINUTE, actor="person:kei")
        filler.entry(number, "The plan applies now", Reason.PLAN_APPLIED, at=NOW - MINUTE, actor="person:ana", **anew)
    told = [one.person.text for one in asked("kei").incidents]
    assert told == ["None of its steps means kei at that time", "They answered: Has it, as 1 of 2"]


def test_that_a_newer_plan_would_mean_somebody_is_told(
    filler: Filler, asked: Callable[..., PersonExplanation]
) -> None:
    """It was put in force, and applied to this incident by nobody."""
    filler.incident(steps=(Step(("person:ben",), 5 * MINUTE),), plan="e" * 64)
    assert PLAN is not None
    one = asked("ana").incidents[0].person
    assert one.text == (
        "None of its steps means ana at that time: it keeps those of the plan eeeeeeee. "
        "Step 1 of the plan now in force does"
    )
    assert one.reason is Reason.NOT_MEANT


def test_whose_turn_it_was_not_is_told(filler: Filler, asked: Callable[..., PersonExplanation]) -> None:
    turns = Step(("person:ana", "person:ben"), 5 * MINUTE, one=True)
    number = filler.incident(steps=(turns, Step(("person:kei",), 5 * MINUTE)))
    filler.page(number, person="ben", intended_at=NOW - 2 * MINUTE)
    filler.entry(number, "Paging Ben; next in 5 min", Reason.STEP_DUE, at=NOW - 2 * MINUTE, step="1")
    told = asked("ana").incidents[0].person
    assert (told.text, told.reason) == (
        "Step 1 pages one of several, and it was the turn of another: paging Ben; next in 5 min", Reason.OTHERS_TURN,
    )  # fmt: skip
    assert asked("ana", NOW - 3 * MINUTE).incidents[0].person.reason is Reason.NOT_YET
