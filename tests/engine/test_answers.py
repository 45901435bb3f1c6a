"""What channels tell back, and what they are told after a page: in virtual time with the real engine."""

from __future__ import annotations

import pytest

from tests.engine.world import PLAN, World, dump
from tocsin.engine.commands import Acknowledge, AddResponders
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.kernel.instant import MINUTE, SECOND
from tocsin.kernel.reason import Reason
from tocsin.pages.answers import ANSWERABLE, Answer, refusal
from tocsin.pages.ledger import DRILL_WORKS, Page, Receipt, receive

MATRIX = PLAN.replace(
    b"ana: {name: Ana, email: ana@shop.example}", b'ana: {name: Ana, matrix: "@ana:m.example", email: ana@shop.example}'
).replace(
    b"\nmail:", b"\nchannels: {matrix: {server: 'https://m.example', token: secret:m}}\nmail:"
)


def a_page(**other: object) -> Page:
    fields: dict[str, object] = {
        "id": 1, "incident": 1, "person": "ana", "channel": "matrix", "address": "@ana:m.example",
        "reason": Reason.STEP_DUE, "state": "sent", "intended_at": 0, "next_at": None,
    }  # fmt: skip
    return Page(**{**fields, **other})  # type: ignore[arg-type]  # the test's own fields


def sent(world: World) -> list[tuple[str, str, str]]:
    """Person, channel and kind of every row of the ledger that left."""
    rows = [page for page in world.engine.state.pages.values() if page.handed_at is not None or page.attempts]
    return [(page.person, page.channel, page.kind) for page in sorted(rows, key=lambda page: (page.handed_at, page.id))]


@pytest.mark.parametrize(
    ("told", "delivered", "seen"),
    [
        (["delivered"], 1, None),
        (["seen"], 1, 1),
        (["delivered", "seen"], 1, 2),
        (["seen", "delivered"], 1, 1),
        (["delivered", "delivered", "seen", "seen"], 1, 3),
    ],
)
def test_how_far_a_page_got_only_moves_forward(told: list[Receipt], delivered: int, seen: int | None) -> None:
    page = a_page()
    for now, receipt in enumerate(told, 1):
        receive(page, receipt, now)
    assert (page.delivered_at, page.seen_at) == (delivered, seen)


@pytest.mark.parametrize("page", [a_page(answered_at=5), a_page(state="failed"), a_page(delivered_at=5)])
def test_what_reached_somebody_or_has_failed_does_not_fail(page: Page) -> None:
    assert not receive(page, "failed", 9)


def test_a_page_that_was_taken_and_failed_on_its_way_is_tried_by_the_next_method_at_once() -> None:
    world = World(MATRIX).fires("Down", job="checkout")
    assert sent(world) == [("ana", "matrix", "page")]
    world.at("20s").apply(Receipted(1, "failed", "no such device"))
    assert sent(world) == [("ana", "matrix", "page"), ("ana", "email", "page")]
    assert world.engine.state.pages[1].error == "no such device"
    world.apply(Receipted(1, "failed", "told twice"))
    assert len(sent(world)) == 2


def test_a_page_somebody_saw_is_not_tried_again_by_another_method() -> None:
    world = World(MATRIX).fires("Down", job="checkout")
    world.apply(Receipted(1, "seen"))
    world.apply(Receipted(1, "failed", "too late to fail"))
    assert sent(world) == [("ana", "matrix", "page")]
    assert world.engine.state.pages[1].seen_at == world.now
    world.apply(Receipted(99, "seen"))  # of an incident that is forgotten


def test_where_it_paged_is_told_who_has_it_and_that_it_is_over() -> None:
    world = World(MATRIX).fires("Down", job="checkout").at("6m")  # by then Ben was paged by mail
    world.acknowledges(1)
    assert sent(world)[3:] == [("ana", "matrix", "update")]
    world.at("7m").resolves("Down", job="checkout").at("9m")
    assert sent(world)[4:] == [("ana", "matrix", "update")]
    about = [page.about for page in world.engine.state.pages.values() if page.kind == "update"]
    assert about == [1, 1]
    assert world.incident(1).pages == 3, "updates are no pages"
    assert dump(world.replayed().state) == dump(world.engine.state)


def test_an_update_that_fails_pages_nobody() -> None:
    world = World(MATRIX).fires("Down", job="checkout")
    world.answers = lambda page: "failed"
    world.acknowledges(1)
    assert sent(world)[1:] == [("ana", "matrix", "update")]


def test_an_incident_is_kept_until_it_was_told_that_it_is_over() -> None:
    """However soon the plan would forget it: PagerDuty would go on paging."""
    world = World(MATRIX.replace(b"reopen within: 30m", b"reopen within: 0s")).fires("Down", job="checkout")
    world.answers = lambda page: "retry"
    world.resolves("Down", job="checkout").at("10m")
    assert world.incident(1).state == "resolved"
    world.answers = lambda page: "sent"
    world.at("20m")
    assert 1 not in world.engine.state.incidents


def test_an_update_made_of_what_is_not_so_any_more_ends() -> None:
    world = World(MATRIX).fires("Down", job="checkout")
    world.answers = lambda page: "never" if page.kind == "update" else "sent"
    world.acknowledges(1)
    world.answers = lambda page: "unneeded" if page.kind == "update" else "sent"
    world.restarted()
    assert [page.state for page in world.engine.state.pages.values() if page.kind == "update"] == ["overtaken"]


def test_a_page_on_its_way_when_it_was_acknowledged_is_followed_up() -> None:
    world = World(MATRIX)
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    world.acknowledges(1)
    assert sent(world) == [("ana", "matrix", "page")], "it is not known yet whether it leaves"
    world.apply(Delivered(1, "sent", provider_id="!room/$1"))
    assert sent(world)[1:] == [("ana", "matrix", "update")]
    world.at("1m").resolves("Down", job="checkout").at("4m")
    assert sent(world)[2:] == [("ana", "matrix", "update")], "also when that was heard only later"


def test_a_page_that_was_not_sent_because_it_was_answered_before_is_not_followed_up() -> None:
    """The update would be the first that somebody hears of it, at night."""
    world = World(MATRIX)
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    world.acknowledges(1)
    world.apply(Delivered(1, "unneeded"))
    world.at("1m").resolves("Down", job="checkout").at("4m")
    assert sent(world) == [("ana", "matrix", "page")]


def test_a_page_that_failed_after_it_was_acknowledged_is_not_followed_up() -> None:
    world = World(MATRIX)
    world.answers = lambda page: "never"
    world.fires("Down", job="checkout")
    world.acknowledges(1)
    world.apply(Delivered(1, "failed", "address", "address: no such user"))
    world.at("1m").resolves("Down", job="checkout").at("4m")
    assert sent(world)[1:] == [("ana", "email", "notice")], "that her method fails"


def test_nobody_is_told_with_paging_off() -> None:
    world = World(MATRIX, paging=False).fires("Down", job="checkout")
    world.acknowledges(1)
    assert [page.kind for page in world.engine.state.pages.values()] == ["page", "page"]


def test_where_it_asked_for_help_is_told_that_it_is_over() -> None:
    world = World(MATRIX).fires("Down", job="checkout")
    world.asked(Acknowledge(actor="person:ben", incident=1))
    world.asked(AddResponders(actor="person:ben", incident=1, targets=("person:ana",)))
    assert sent(world)[1:] == [("ana", "matrix", "update"), ("ana", "matrix", "help")]
    world.at("1m").resolves("Down", job="checkout").at("4m")
    assert sent(world)[-1] == ("ana", "matrix", "update")
    last = max(page.id for page in world.engine.state.pages.values())
    helped = [page.id for page in world.engine.state.pages.values() if page.kind == "help"]
    assert world.engine.state.pages[last].about == helped[0]


def test_a_message_about_several_incidents_is_not_updated_and_pagerduty_gets_none() -> None:
    def crowd(plan: bytes) -> World:
        world = World(plan)
        for name in "ABCDEF":
            world.fires(name, job="checkout")
        return world.at("31s")

    world = crowd(MATRIX)
    bundled = [page for page in world.engine.state.pages.values() if page.bundle]
    assert {page.channel for page in bundled} == {"matrix"}
    for number in sorted(world.engine.state.incidents):
        world.acknowledges(number)
    followed = {page.about for page in world.engine.state.pages.values() if page.kind == "update"}
    assert followed and not followed & {page.id for page in bundled}
    pager = crowd(PLAN.replace(b"email: ana@shop.example", b"pagerduty: secret:old"))
    assert not any(page.bundle for page in pager.engine.state.pages.values() if page.channel == "pagerduty")


ANSWER = Answer(page=1, by="@ana:m.example", mark="m1")


@pytest.mark.parametrize(
    ("page", "answer", "now", "why"),
    [
        (a_page(), ANSWER, MINUTE, ""),
        (a_page(), ANSWER, ANSWERABLE, ""),
        (a_page(), ANSWER, ANSWERABLE + SECOND, "too old"),
        (None, ANSWER, 0, "no such page"),
        (a_page(channel="email"), ANSWER, 0, "no such page"),
        (a_page(kind="notice"), ANSWER, 0, "no such page"),
        (a_page(kind="help"), ANSWER, ANSWERABLE, ""),
        (a_page(kind="drill"), ANSWER, DRILL_WORKS, ""),
        (a_page(kind="drill"), ANSWER, DRILL_WORKS + SECOND, "too old"),
        (a_page(address="@ben:m.example"), ANSWER, 0, "somebody else"),
    ],
)
def test_whose_answer_counts(page: Page | None, answer: Answer, now: int, why: str) -> None:
    found = refusal(page, "matrix", answer, now)
    assert why in found
    assert bool(why) == bool(found)
