"""The story: what is told, in which words, and what is found missing."""

from __future__ import annotations

import re

import pytest

from tests.demo.test_mail import mail
from tocsin.demo.faults import CHAPTERS, THE_END, timetable
from tocsin.demo.mail import Letter, read
from tocsin.demo.story import Line, Story, in_order
from tocsin.kernel.reason import EXPLAINED, Reason

PEOPLE = {"ana": "ana@shop.example", "ben": "ben@shop.example"}
AT = "2026-11-22T03:24:00.000Z"


def incident(number: int, service: str, state: str = "triggered", updated_at: str = AT) -> dict[str, object]:
    return {
        "number": number,
        "service": service,
        "state": state,
        "severity": "sev1",
        "title": f"{service} does not answer",
        "updated_at": updated_at,
    }


def entry(what: str, reason: str, actor: str = "code") -> dict[str, str]:
    return {"at": AT, "what": what, "reason": reason, "because": EXPLAINED[Reason(reason)], "actor": actor}


OPENED = entry("Opened for payments: payments does not answer", "opened", "source:probe")
PAGING = entry("Paging Ana; next in 10s if nobody answers", "step_due")

HANDED = entry("restart-payments: handed over: there is no process to restart", "handed_over")


def letter(number: int, to: str, service: str) -> Letter:
    message = mail(f"#1 {service}", to=to)
    message["X-Tocsin-Service"] = service
    message["X-Tocsin-Incident"] = "1"
    return read(number, "03:24:01", "tocsin@shop.example", (to,), bytes(message))


def test_only_what_is_new_is_told():
    """An incident read twice is told once; what was added later follows."""
    story = Story(PEOPLE)
    one = incident(1, "payments")
    assert story.changed([one]) == [1]
    told = story.incident(one, [OPENED, PAGING])
    assert [line.text for line in told] == [
        "#1 opened on payments, SEV1: payments does not answer",
        "#1 payments: Paging Ana; next in 10s if nobody answers",
    ]
    assert told[0].because == ""
    assert told[1].because == "this step of the escalation was due"
    assert story.changed([one]) == []
    assert story.incident(one, [OPENED, PAGING]) == []

    later = incident(1, "payments", "acknowledged", "2026-11-22T03:24:09.000Z")
    assert story.changed([later]) == [1]
    told = story.incident(later, [OPENED, PAGING, entry("Acknowledged for 1h", "acknowledged", "person:ana")])
    assert [line.text for line in told] == ["#1 payments: Acknowledged for 1h, by ana"]
    assert story.open() == [1]


def test_what_a_playbook_does_is_told_as_it_happens_and_says_no_reason_twice():
    """Its steps change nothing of the incident but the timeline, which is read again while it works."""
    story = Story(PEOPLE)
    one = incident(1, "payments")
    steps = [entry("restart-payments runs", "playbook_runs"), entry("Looked: state", "playbook_step")]
    assert [line.because for line in story.incident(one, [OPENED, *steps])] == ["", "", ""]
    assert story.changed([one]) == [1]
    steps.append(entry("restart-payments fixed it and saw that it holds", "playbook_verified"))
    assert [line.because for line in story.incident(one, [OPENED, *steps])] == [""]
    assert story.changed([one]) == []
    story.incident(one, [OPENED, *steps, steps[0]])
    assert story.changed([one]) == [1]
    story.incident(incident(1, "payments", "resolved"), [OPENED, *steps, steps[0]])
    assert story.changed([incident(1, "payments", "resolved")]) == []


def test_the_story_is_told_in_the_order_in_which_it_happened():
    """A line waits a moment for what comes before it and is read later."""
    shop, earlier, later = (Line("", "shop", text, exact=at) for text, at in (("b", 2.0), ("a", 1.0), ("c", 3.0)))
    told, waiting = in_order([shop, later], 2.5)
    assert ([line.text for line in told], [line.text for line in waiting]) == (["b"], ["c"])
    told, waiting = in_order([shop, earlier, *waiting])
    assert ([line.text for line in told], waiting) == (["a", "b", "c"], [])


def test_a_chapter_in_which_all_happened_misses_nothing():
    """Opened, handed over, both mails, resolved: nothing is missing; each of them alone is."""
    third = CHAPTERS[3]
    story = Story(PEOPLE, "http://127.0.0.1:8025/")
    story.begin(third)
    assert len(story.missing()) == 4
    story.incident(incident(1, "payments"), [OPENED, HANDED])
    line = story.letter(letter(1, "ana@shop.example", "payments"))
    assert line.text == "Ana has mail about #1: http://127.0.0.1:8025/mails/1"
    assert story.missing() == [
        f"{third.title}: no mail for ben about payments",
        f"{third.title}: incident #1 is not resolved",
    ]
    story.letter(letter(2, "ben@shop.example", "storefront"))
    assert f"{third.title}: no mail for ben about payments" in story.missing()
    story.letter(letter(3, "ben@shop.example", "payments"))
    story.incident(incident(1, "payments", "resolved"), [OPENED, HANDED, entry("Resolved", "all_clear")])
    assert story.missing() == []


def test_what_code_should_fix_is_missed_when_it_was_not_verified_or_somebody_was_woken():
    """Resolved alone is not enough: a playbook must have seen its fix hold, and nobody may have mail."""
    first = CHAPTERS[0]
    story = Story(PEOPLE)
    story.begin(first)
    assert story.unnoticed() == [f"{first.title}: no incident was open on payments"]
    story.incident(incident(1, "payments", "resolved"), [OPENED, entry("Resolved", "all_clear")])
    assert story.missing() == [f"{first.title}: no playbook fixed payments"]
    timeline = [OPENED, entry("Resolved", "all_clear"), entry("fixed it", "playbook_verified", "playbook:restart")]
    told = story.incident(incident(1, "payments", "resolved", "later"), timeline)
    assert [line.tone for line in told] == ["good"]
    assert story.missing() == []
    story.letter(letter(1, "ben@shop.example", "payments"))
    assert story.missing() == [f"{first.title}: ben was paged about payments"]


def test_what_happened_in_an_earlier_chapter_does_not_count_again():
    """A resolved incident of the same service must be reopened to count."""
    title = CHAPTERS[4].title
    story = Story(PEOPLE)
    story.begin(CHAPTERS[0])
    story.incident(incident(1, "worker", "resolved"), [OPENED, entry("Resolved", "all_clear")])
    story.begin(CHAPTERS[4])
    assert story.missing()[0] == f"{title}: no incident was open on worker"
    timeline = [OPENED, entry("Resolved", "all_clear"), entry("Reopened", "reopened"), entry("Resolved", "all_clear")]
    told = story.incident(incident(1, "worker", "resolved", "later"), timeline)
    assert told[0].text == "#1 on worker is open again"
    assert story.missing() == [f"{title}: no mail for ana about worker"]


@pytest.mark.parametrize("colours", [True, False])
def test_no_text_can_steer_the_terminal(colours):
    """Titles come from monitors: their control characters are written out."""
    shown = Line("03:24:00", "tocsin", "a\x1b[2Jb\nc", "bad", "d\x07").shown(colours)
    assert re.sub(r"\x1b\[\d+m", "", shown).isprintable()
    assert ("\x1b" in shown) is colours


def test_every_fault_is_mended_before_the_next_and_before_the_end():
    """The timetable holds together: one fault at a time, each with time to be noticed."""
    acts = timetable()
    assert acts == [(chapter, act) for chapter in CHAPTERS for act in (chapter.breaks, chapter.mends) if act]
    assert acts[-1][1].at < THE_END
    for chapter, after in zip(CHAPTERS, [*(one.breaks.at for one in CHAPTERS[1:]), THE_END], strict=True):
        assert after - chapter.breaks.at >= 15
        if chapter.mends is not None:
            assert chapter.mends.at - chapter.breaks.at >= 15
            assert chapter.mends.role == chapter.breaks.role
        else:
            assert chapter.fixed_by_code and not chapter.paged
    for _, act in acts:
        act.says.format(pid=1)
