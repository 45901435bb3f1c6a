"""Which page leaves next, and when: no clock runs here."""

from __future__ import annotations

from collections import Counter
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.test_delivery import a_page
from tocsin.kernel.instant import HOUR, MINUTE, SECOND
from tocsin.pages.channels.pagerduty import PagerDutyEvents
from tocsin.pages.channels.push import WebPush
from tocsin.pages.channels.webhook import SignedPosts
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
    assert {(why.code, why.permanent) for _, why in back} == {("untried", False)}
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
    """Two at once, then one a second: by how grave they are, of each first pages, then repeated ones; last notices.

    A SEV1 that was sent back untried, or that nobody answered in its first step, does not wait for what is less grave.
    """
    lane = Lane(Pace(1.0, 2))
    notice, repeated, second = a_page(kind="notice"), a_page(attempts=1), a_page(step=1)
    minor, worst, later, usual, about_itself = (a_page() for _ in range(5))
    about_itself.kind = "synthetic"
    order = [worst, repeated, second, usual, later, minor, about_itself, notice]
    for page, severity in (
        (notice, ""),
        (about_itself, ""),
        (repeated, "sev1"),
        (second, "sev1"),
        (minor, "sev4"),
        (usual, "sev2"),
        (worst, "sev1"),
        (later, "sev2"),
    ):
        lane.add(page, severity, 0)
    assert pages(leaving(lane, 0)) == [worst.id, repeated.id]
    left, now = [worst, repeated], 0
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
    assert abs(now - 6 * SECOND) < 1000
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


def test_a_page_whose_incident_becomes_graver_while_it_waits_passes_what_is_less_grave() -> None:
    """Behind its own person's eight, too; what became less grave gives way."""
    lane = Lane()
    for _ in range(EACH):
        lane.add(a_page(person="ana"), "sev3", 0)
    under_way = leaving(lane, 0)
    rose, other, behind = a_page(person="ana"), a_page(person="ana"), a_page(person="ana")
    lane.add(other, "sev2", 0)
    lane.add(behind, "sev3", 0)
    lane.add(rose, "sev4", 0)
    assert leaving(lane, 0) == [], "all are parked"
    lane.regrade(rose.id, "sev1")
    lane.regrade(other.id, "")
    lane.regrade(12345, "sev1")
    assert lane.holds(rose.id)
    assert not lane.holds(under_way[0].page.id)
    for turn, expected in zip(under_way, (rose, behind, other), strict=False):
        lane.ended(turn, Sent(), 1)
        assert pages(leaving(lane, 1)) == [expected.id]
    assert lane.waiting == []


def test_an_address_that_rests_for_seconds_holds_up_nobody_else_at_its_host_and_goes_on_then() -> None:
    """What waits for it leaves when its time is over, the gravest first."""
    lane = Lane(place=hosts)
    lane.add(a_page(address="hooks/ana", person="ana"), "", 0)
    (turn,) = leaving(lane, 0)
    lane.ended(turn, Failed("rate_limit", "429", retry_after=5 * SECOND), 0)
    minor, grave, ben = (a_page(address=f"hooks/{who}", person=who) for who in ("ana", "ana", "ben"))
    for page, severity in ((minor, "sev3"), (grave, "sev1"), (ben, "sev4")):
        assert lane.add(page, severity, SECOND) is None
    assert pages(leaving(lane, SECOND)) == [ben.id]
    assert lane.wakes(SECOND) == 5 * SECOND
    assert pages(leaving(lane, 5 * SECOND)) == [grave.id, minor.id]
    assert lane.wakes(5 * SECOND) is None


class Plain:
    """The same decisions in the plainest way: of all that waits, the least of those that may leave."""

    def __init__(self) -> None:
        self.waiting: list[tuple[tuple[str, bool, int], Page]] = []
        self.sending: Counter[tuple[str, str]] = Counter()
        self.rests: dict[str, int] = {}
        self.order = count()

    def add(self, page: Page, severity: str) -> None:
        self.waiting.append(((severity, page.attempts > 0, next(self.order)), page))

    def regrade(self, id: int, severity: str) -> None:
        self.waiting = [((severity, *key[1:]) if page.id == id else key, page) for key, page in self.waiting]

    def next(self, now: int) -> int | None:
        fit = [
            (key, page)
            for key, page in self.waiting
            if self.sending[page.person, page.address] < EACH and self.rests.get(page.address, 0) <= now
        ]
        if not fit or self.sending.total() >= SHARE:
            return None
        found = min(fit, key=lambda one: one[0])
        self.waiting.remove(found)
        self.sending[found[1].person, found[1].address] += 1
        return found[1].id


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 2), st.integers(1, 4), st.booleans()),
        st.tuples(st.just("regrade"), st.integers(0, 40), st.integers(1, 4), st.just(False)),
        st.tuples(st.just("leave"), st.integers(1, 12), st.just(0), st.just(False)),
        st.tuples(st.just("end"), st.integers(0, 40), st.integers(0, 3), st.just(False)),
        st.tuples(st.just("pass"), st.integers(0, 3), st.just(0), st.just(False)),
    ),
    min_size=20,
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_line_is_that_of_the_plainest_reckoning(steps: list[tuple[str, int, int, bool]]) -> None:
    """Whatever comes, ends, rests and becomes graver in whichever order; and it wakes when something may leave."""
    lane, plain, now = Lane(place=hosts), Plain(), 0
    under_way: list[Turn] = []
    added: list[Page] = []
    for what, first, second, repeated in steps:
        if what == "add":
            added.append(a_page(address=f"hooks/{first}", person=str(first), attempts=int(repeated)))
            assert lane.add(added[-1], f"sev{second}", now) is None
            plain.add(added[-1], f"sev{second}")
        elif what == "regrade" and added:
            id = added[first % len(added)].id
            lane.regrade(id, f"sev{second}")
            plain.regrade(id, f"sev{second}")
        elif what == "leave":
            for _ in range(first):
                turn = lane.next(now)
                assert (turn.page.id if turn else None) == plain.next(now)
                under_way += [turn] if turn else []
        elif what == "end" and under_way:
            turn = under_way.pop(first % len(under_way))
            plain.sending[turn.line] -= 1
            rest = second * SECOND
            lane.ended(turn, Failed("rate_limit", "429", retry_after=rest) if rest else Sent(), now)
            plain.rests[turn.page.address] = max(plain.rests.get(turn.page.address, 0), now + rest)
        elif what == "pass":
            now += first * SECOND
        assert {page.id for page in lane.waiting} == {page.id for _, page in plain.waiting}
    while under_way or plain.waiting:
        while (turn := lane.next(now)) is not None:
            assert turn.page.id == plain.next(now)
            under_way.append(turn)
        assert plain.next(now) is None
        if under_way:
            turn = under_way.pop()
            plain.sending[turn.line] -= 1
            lane.ended(turn, Sent(), now)
        else:
            wakes = lane.wakes(now)
            assert wakes is not None
            assert wakes > now
            now = wakes
    assert lane.next(now) is None
    assert lane.waiting == []


def test_what_counts_as_one_place() -> None:
    """Hosts of webhooks and push services, PagerDuty's integrations; an address that is none is nobody's."""
    key = "B" + "A" * 86
    device = f'{{"endpoint": "https://push.example/x", "p256dh": "{key}", "auth": "{"A" * 22}"}}'
    assert SignedPosts.place(None, "https://u:p@Hooks.Shop.example:8443/a?b") == "hooks.shop.example:8443"  # type: ignore[arg-type]
    assert SignedPosts.place(None, "https://[oops/") == ""  # type: ignore[arg-type]
    assert WebPush.place(None, device) == "push.example"  # type: ignore[arg-type]
    assert WebPush.place(None, "nonsense") == ""  # type: ignore[arg-type]
    assert PagerDutyEvents.place(None, "secret:pd") == "secret:pd"  # type: ignore[arg-type]
