"""Any order of what telephones and their provider do: one call at a time, no try too soon, none endless."""

from __future__ import annotations

from typing import cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.engine.test_calls import LIA, MAIL, PLAN, ZOE, alone
from tests.engine.world import START, World
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.kernel.instant import SECOND, Instant
from tocsin.pages.ledger import MOST_CALLS, Page, Receipt, retry_after

TOGETHER = PLAN.replace(b"page: lia", b"page: [lia, zoe]")
STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 3, 10, 30, 45, 60, 200]),
        st.sampled_from(["fires", "fires", "takes", "takes", "takes", "says", "says", "says", "answers", "restarts"]),
        st.integers(0, 30),
    ),
    min_size=5,
    max_size=30,
)
OUTCOMES = ["sent"] * 3 + ["retry server", "retry rate_limit", "retry deadline", "failed auth", "failed address"]
RECEIPTS = ["delivered", "over", "busy", "no_answer", "busy", "no_answer", "failed"]


class Telephones(World):
    """A world that looks, at every change, at who is called."""

    def __init__(self, plan: bytes) -> None:
        self.not_before: dict[int, Instant] = {}
        """By page that was refused: when it may be tried again."""
        self.wished: dict[int, Instant] = {}
        """By page that was refused: until when the provider wants to be left alone."""
        super().__init__(plan)

    def lines(self) -> dict[str, list[Page]]:
        """By number, the calls that may ring."""
        found: dict[str, list[Page]] = {}
        for row in self.engine.state.pages.values():
            if (row.rings_until or 0) > self.now and row.bundle in (0, row.id):
                found.setdefault(row.address, []).append(row)
        return found

    def refuses(self, row: Page, code: str) -> None:
        """The provider takes it later, or is not heard at all."""
        wish = 120 * SECOND if code == "rate_limit" else None
        together = [self.engine.state.pages[id] for id in row.bundled] or [row]
        for one in together:
            if one.state == "intended":
                self.not_before[one.id] = self.now + max(wish or 0, retry_after(one.attempts + 1))
                self.wished[one.id] = self.now + (wish or 0)
        self.apply(Delivered(row.id, "retry", code, retry_after=wish))

    def must_be_wanted(self, page: Page) -> None:
        """What is handed to the telephone was not refused just now."""
        super().must_be_wanted(page)
        others = [one for one in self.lines().get(page.address, []) if one is not page]
        if page.unsure:  # Tocsin was started again; what was not needed may have been said to have left only now
            assert all(one.state == "overtaken" for one in others), others
            return
        assert not others, "one call at a time"
        assert self.not_before.get(page.id, 0) <= self.now, "it was to be left alone until then"
        for row in [self.engine.state.pages[id] for id in page.bundled]:  # what went with it before goes along
            assert self.wished.get(row.id, 0) <= self.now, "the provider was to be left alone until then"

    def check(self) -> None:
        """Nothing waits for a telephone that is free, unless something as grave was just missed there."""
        super().check()
        due = self.engine.next_due()
        if due is not None and due <= self.now:
            return
        for row in self.engine.state.pages.values():
            if row.on_hold and row.kind == "page" and not row.attempts and not self.taken(row.address):
                milder = [one for one in self.missed(row.address) if self.severity(one) <= self.severity(row)]
                assert milder, "nothing as grave was missed there, and it waits"

    def taken(self, number: str) -> bool:
        """Whether something may ring there: a call that its channel did not come to though it is not needed counts."""
        rows = [one for one in self.engine.state.pages.values() if one.address == number and one.handed_at is not None]
        return number in self.lines() or any(one.outcome == "overtaken" and one.over_at is None for one in rows)

    def severity(self, row: Page) -> str:
        """How grave a page is, what is about no incident the least."""
        incident = self.engine.state.incidents.get(row.incident)
        return incident.severity if incident and row.kind == "page" else "sev9"

    def missed(self, number: str) -> list[Page]:
        """The calls to a number that were busy a minute ago at most."""
        rows = [one for one in self.engine.state.pages.values() if one.address == number and one.error]
        busy = [one for one in rows if one.outcome in ("line_busy", "left_before")]
        return [one for one in busy if self.now - (one.over_at or 0) <= 60 * SECOND]


def story(world: Telephones, steps: list[tuple[int, str, int]]) -> None:
    """Let it happen."""
    at = (world.now - START) // SECOND
    for after, what, which in steps:
        at += after
        world.at(f"{at}s")
        rows = [row for row in world.engine.state.pages.values() if row.channel == "call" and row.handed_at is not None]
        leading = [row for row in rows if row.bundle in (0, row.id)]
        unsaid = [row for row in leading if row.outcome == "overtaken" and row.over_at is None]
        line = [row for row in leading if row.state == "intended"] + unsaid
        told = [row for row in leading if row.left]
        if what == "fires":
            service = ("checkout", "search", "orders")[which % 3]
            world.fires(f"Down{at}", service=service, severity=("critical", "warning")[which % 2])
        elif what == "takes" and line:
            state, _, code = OUTCOMES[which % len(OUTCOMES)].partition(" ")
            row = line[which % len(line)]
            if state == "retry" and row.state == "intended":
                world.refuses(row, code)
            else:
                world.apply(Delivered(row.id, state, code, provider_id=f"CA{at}" if state == "sent" else ""))
        elif what == "says" and told:
            row = told[-1 - which % min(2, len(told))]
            receipt = cast(Receipt, RECEIPTS[which % len(RECEIPTS)])
            world.apply(Receipted(row.id, receipt, "Twilio says so", provider_id=row.provider_id))
        elif what == "answers" and world.engine.state.incidents:
            numbers = sorted(world.engine.state.incidents)
            world.acknowledges(numbers[which % len(numbers)])
        elif what == "restarts":
            world.restarted("2s")
            at += 2


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, shared=st.booleans(), mail=st.booleans(), second=st.booleans())
@example(  # two were refused as one: the first whose pause is over takes the other along
    steps=[
        *[(1, "fires", 0), (1, "fires", 0), (1, "takes", 3), (1, "fires", 0), (1, "takes", 1), (45, "takes", 3)],
        *[(10, "fires", 0), (1, "restarts", 0)],  # and a start does not take the message itself for what is on the line
    ],
    shared=False,
    mail=False,
    second=False,
)
def test_calls_in_any_order(steps: list[tuple[int, str, int]], shared: bool, mail: bool, second: bool):
    world = Telephones(TOGETHER)
    world.has("lia", LIA, *(["+34600000009"] if second else []), channel="call")
    world.has("zoe", LIA if shared else ZOE, channel="call")
    if mail:
        world.has("lia", MAIL, channel="email")
    world.at("10m").left.clear()
    world.answers = lambda page: "never" if page.channel == "call" else "sent"
    story(world, steps)
    alone(world)
    rounds: dict[tuple[int, str, int, str], int] = {}
    for row in world.engine.state.pages.values():
        if row.rang and row.kind == "page":
            begun = sum(
                one.contact == row.contact and one.step == row.step and not one.instead_of
                for one in world.rows(row.incident, row.person)
            )
            key = (row.incident, row.person, row.step, row.address)
            rounds[key] = rounds.get(key, 0) + 1
            assert rounds[key] <= MOST_CALLS * max(1, begun)
