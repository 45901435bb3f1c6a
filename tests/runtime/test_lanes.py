"""Which page leaves next, and when: no clock runs here."""

from __future__ import annotations

from tests.runtime.test_delivery import a_page
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.pages.channels.pagerduty import PagerDuty
from tocsin.pages.channels.push import Push
from tocsin.pages.channels.webhook import Webhook
from tocsin.pages.ledger import Page
from tocsin.pages.message import Failed, Sent
from tocsin.pages.pace import Pace
from tocsin.runtime.lanes import AT_ONCE, EACH, KEPT, MOST, MOST_PLACES, PATIENCE, SHARE, SILENT_SHARE, Lane, Turn

NOBODY = Failed("deadline", "no answer came in time")


def hosts(address: str) -> str:
    """The place of an address such as ``good/ana``."""
    return address.partition("/")[0]


def leaving(lane: Lane, now: int) -> list[Turn]:
    """All that may leave now."""
    found = []
    while (turn := lane.next(now)) is not None:
        found.append(turn)
    return found


def pages(turns: list[Turn]) -> list[int]:
    return [turn.page.id for turn in turns]


def fill(lane: Lane, address: str, many: int, now: int = 0) -> list[Page]:
    """So many pages wait for one place, each of a person of its own."""
    found = [a_page(address=address) for _ in range(many)]
    assert [lane.add(page, "", now) for page in found] == [None] * many
    return found


def test_a_place_that_never_answers_keeps_no_room_from_another() -> None:
    """Seventy pages wait for a silent host; one for a good host leaves at once, and so do its next."""
    lane = Lane(place=hosts)
    fill(lane, "dead", 70)
    assert len(leaving(lane, 0)) == SHARE
    (good,) = fill(lane, "good", 1)
    assert pages(leaving(lane, 0)) == [good.id]


def test_many_silent_places_leave_room_for_those_that_answer() -> None:
    """Of a channel's room a part is for places that answered the last page."""
    lane = Lane(place=hosts)
    fill(lane, "good", 1)
    (turn,) = leaving(lane, 0)
    assert lane.ended(turn, Sent(), 1) == []
    for number in range(40):
        fill(lane, f"dead-{number}", SHARE)
    assert len(leaving(lane, 2)) == MOST - KEPT
    good = fill(lane, "good", 1)
    assert pages(leaving(lane, 2)) == [good[0].id]


def test_what_waits_behind_pages_that_nobody_answered_goes_back_at_once() -> None:
    """Other ways are used for it then: it does not wait for its own turn to be unanswered."""
    lane = Lane(place=hosts)
    fill(lane, "dead", 70)
    under_way = leaving(lane, 0)
    back = lane.ended(under_way[0], NOBODY, 14 * SECOND)
    assert len(back) == 70 - SHARE
    assert {(why.code, why.permanent) for _, why in back} == {("deadline", False)}
    assert back[0][1].error.startswith("dead: not tried")
    for turn in under_way[1:]:
        assert lane.ended(turn, NOBODY, 14 * SECOND) == []
    fill(lane, "dead", 70)
    trying = leaving(lane, 20 * SECOND)
    assert len(trying) == SILENT_SHARE, "what is known to be silent is tried by few at once"
    lane.ended(trying[0], Sent(), 21 * SECOND)
    assert len(leaving(lane, 21 * SECOND)) == SHARE - SILENT_SHARE + 1


def test_one_address_that_hangs_at_a_place_that_answers_others_sends_nothing_back() -> None:
    """The place is sound: Ben's waiting pages wait their turn."""
    lane = Lane(place=hosts)
    fill(lane, "mixed", 2 * SHARE)
    hung, fine = leaving(lane, 0)[:2]
    lane.ended(fine, Sent(), SECOND)
    assert lane.ended(hung, NOBODY, 14 * SECOND) == []


def test_a_persons_hanging_address_leaves_room_for_their_other_one() -> None:
    """Ana's first webhook hangs eight times; her second takes its pages."""
    lane = Lane(place=hosts)
    for _ in range(20):
        lane.add(a_page(address="dead/1", person="ana"), "", 0)
    assert len(leaving(lane, 0)) == EACH
    second = a_page(address="good/2", person="ana")
    lane.add(second, "", 0)
    assert pages(leaving(lane, 0)) == [second.id]


def test_a_channel_with_one_provider_has_all_of_the_lane() -> None:
    """Mail goes to many addresses by one server."""
    lane = Lane()
    for number in range(2 * AT_ONCE):
        lane.add(a_page(address=f"{number}@shop.example"), "", 0)
    assert len(leaving(lane, 0)) == AT_ONCE


def test_pages_leave_at_the_pace_of_their_provider_the_most_urgent_first() -> None:
    """Two at once, then one a second: first pages by how grave they are, repeated ones, notices."""
    lane = Lane(Pace(1.0, 2))
    notice, repeated = a_page(kind="notice"), a_page(attempts=1)
    minor, worst, later, usual = (a_page() for _ in range(4))
    order = [worst, usual, later, minor, repeated, notice]
    for page, severity in (
        (notice, ""),
        (repeated, "sev1"),
        (minor, "sev4"),
        (usual, "sev2"),
        (worst, "sev1"),
        (later, "sev2"),
    ):
        lane.add(page, severity, 0)
    assert pages(leaving(lane, 0)) == [worst.id, usual.id]
    left, now = [worst, usual], 0
    by_id = {page.id: page for page in order}
    while len(left) < len(order):
        wakes = lane.wakes(now)
        assert wakes is not None
        assert 0 < wakes - now <= SECOND + 1
        assert leaving(lane, wakes - SECOND // 2) == []
        now = wakes
        (turn,) = leaving(lane, now)
        left.append(by_id[turn.page.id])
    assert left == order
    assert abs(now - 4 * SECOND) < 1000
    assert lane.wakes(now) is None


def test_each_place_has_a_pace_of_its_own_and_what_was_not_needed_costs_nothing() -> None:
    """A page that was acknowledged while it waited leaves its turn to the next."""
    lane = Lane(Pace(1 / 60), place=hosts)
    first, second = fill(lane, "one", 2)
    other = fill(lane, "two", 1)
    turns = leaving(lane, 0)
    assert set(pages(turns)) == {first.id, other[0].id}
    assert lane.wakes(0) is not None
    assert lane.ended(next(turn for turn in turns if turn.page is first), None, SECOND) == []
    assert pages(leaving(lane, SECOND)) == [second.id]


def test_a_provider_that_asks_for_patience_gets_nothing_until_then() -> None:
    """Short patience is had here; for a longer one, what waits and what comes goes back with the time it asked for."""
    lane = Lane()
    short, *_ = fill(lane, "a", 1)
    (turn,) = leaving(lane, 0)
    assert turn.page is short
    assert lane.ended(turn, Failed("rate_limit", "429", retry_after=2 * SECOND), 0) == []
    (patient,) = fill(lane, "b", 1)
    assert leaving(lane, SECOND) == []
    assert lane.wakes(SECOND) == 2 * SECOND
    (turn,) = leaving(lane, 2 * SECOND)
    assert turn.page is patient
    for _ in range(2 * AT_ONCE):
        lane.add(a_page(), "", 2 * SECOND)
    leaving(lane, 2 * SECOND)
    back = lane.ended(turn, Failed("rate_limit", "429", retry_after=10 * MINUTE), 3 * SECOND)
    assert len(back) == AT_ONCE + 1
    assert {(why.code, why.retry_after) for _, why in back} == {("rate_limit", 10 * MINUTE)}
    late = lane.add(a_page(), "sev1", 5 * MINUTE)
    assert late is not None
    assert late.retry_after == 5 * MINUTE + 3 * SECOND
    assert "not tried" in late.error
    assert lane.add(a_page(), "", 10 * MINUTE + 3 * SECOND - PATIENCE) is None
    assert lane.wakes(10 * MINUTE) == 10 * MINUTE + 3 * SECOND


def test_patience_that_is_asked_of_one_address_is_not_had_with_another_of_the_same_host() -> None:
    """Hosts of webhooks count each of theirs: Ben's is not Ana's."""
    lane = Lane(place=hosts)
    lane.add(a_page(address="hooks/ana"), "", 0)
    (turn,) = leaving(lane, 0)
    lane.ended(turn, Failed("rate_limit", "429", retry_after=HOUR), 0)
    assert lane.add(a_page(address="hooks/ana"), "", 1) is not None
    ben = a_page(address="hooks/ben")
    assert lane.add(ben, "", 1) is None
    assert pages(leaving(lane, 1)) == [ben.id]


def test_a_refusal_for_good_asks_for_no_patience() -> None:
    """It is about one page."""
    lane = Lane()
    fill(lane, "a", 1)
    (turn,) = leaving(lane, 0)
    lane.ended(turn, Failed("client", "400", permanent=True, retry_after=HOUR), 0)
    fill(lane, "b", 1)
    assert len(leaving(lane, 1)) == 1


def test_places_nothing_goes_to_are_forgotten_when_there_are_too_many() -> None:
    """But not one that asked for patience, while that lasts."""
    lane = Lane(place=hosts)
    for number in range(MOST_PLACES):
        lane.add(a_page(address=f"{number}/x"), "", 0)
        (turn,) = leaving(lane, 0)
        asked = Failed("rate_limit", "429", retry_after=HOUR)
        lane.ended(turn, asked if number == 7 else Sent(), 0)
    fill(lane, "new", 1)
    assert set(lane._places) == {"7", "new"}


def test_what_counts_as_one_place() -> None:
    """Hosts of webhooks and push services, PagerDuty's integrations; an address that is none is nobody's."""
    key = "B" + "A" * 86
    device = f'{{"endpoint": "https://push.example/x", "p256dh": "{key}", "auth": "{"A" * 22}"}}'
    assert Webhook.place(None, "https://u:p@Hooks.Shop.example:8443/a?b") == "hooks.shop.example:8443"  # type: ignore[arg-type]
    assert Webhook.place(None, "https://[oops/") == ""  # type: ignore[arg-type]
    assert Push.place(None, device) == "push.example"  # type: ignore[arg-type]
    assert Push.place(None, "nonsense") == ""  # type: ignore[arg-type]
    assert PagerDuty.place(None, "secret:pd") == "secret:pd"  # type: ignore[arg-type]
