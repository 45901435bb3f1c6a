"""Steps that are due: who must be paged at that very instant, and nobody else."""

from __future__ import annotations

from bench.simulation.cases import AFTER_THE_LAST, STEPS, Case, foul
from bench.simulation.clocks import SECOND
from bench.simulation.landscape import URGENT, Step
from bench.simulation.messages import Messages
from bench.simulation.seen import Seen
from tocsin.pages.ledger import Page


class Steps:
    """Judges what a due step did."""

    def __init__(self, seen: Seen, messages: Messages) -> None:
        self.seen, self.messages = seen, messages
        self.reached = 0
        self._turned: list[tuple[int, Case, int, str, set[str]]] = []
        """What steps that page one of several did at this instant: by which row, which step, whom, of whom."""
        self._had: dict[tuple[str, int], dict[str, int]] = {}
        """By escalation and step: which turn of all it was when each of these people had theirs last."""

        self._repeated: dict[tuple[int, int], int] = {}
        """When a step of an incident that was passed over was repeated last."""
        self._taken_over: dict[tuple[int, int], int] = {}
        """When whoever was on call then was paged by a step of an incident in the place of others."""

    def escalates(self, case: Case, now: int) -> None:
        """A step is due: it must have been paged at this very instant, and what reached nobody passed over at once."""
        rows = [row for row in self.seen.rows.get(case.number, ()) if str(row.reason) in STEPS and not row.instead_of]
        low = self.seen.land.services[case.service].low and URGENT[case.severity] == "low"
        case.waits, case.judged = False, now
        if not case.step and not case.round:
            case.owed.clear()
        before, skipped = (case.step, case.round), False
        while True:
            last = case.step >= len(case.steps)
            step = Step((f"person {self.seen.land.last_resort}",), 0) if last else case.steps[case.step]
            if not last and step.grave and case.severity != "critical":
                case.step, case.round = case.step + 1, 0
                continue
            people = self.seen.people(case, step, before[0], now)
            able = {one for one in people if self.seen.land.people[one].ways}
            if not able and not last:
                skipped = True
                case.step, case.round = case.step + 1, 0
                continue
            if low and (until := self.seen.asleep(people, now)) is not None:
                case.due, case.waits = until, True
                case.step, case.round = before  # it is judged anew then
                return
            if skipped:
                self._stands_in(case, low, now)
            paged = {row.person for row in rows if row.step == case.step}
            self._right_people(case, step, people, able, paged, low, now)
            self.reached += 1
            reached = low or self._reached(case, able if not step.one else paged & able, now)
            at_last = case.under_way = case.step
            if last:
                case.step, case.round, case.due = 0, 0, now + AFTER_THE_LAST
                break
            if reached:
                case.round += 1
                if case.round >= step.repeat:
                    case.step, case.round = at_last + 1, 0
                case.due = now + step.wait * SECOND
                break
            if case.round + 1 < step.repeat:
                case.owed[case.step] = (now + step.wait * SECOND, step.repeat - case.round - 1)
            case.step, case.round = case.step + 1, 0
        if extra := {row.person for row in rows if row.step > at_last}:
            raise foul(f"{sorted(extra)} paged by a step that was not due", case, now)

    def _right_people(
        self, case: Case, step: Step, people: set[str], able: set[str], paged: set[str], low: bool, now: int
    ) -> None:
        if low:
            asleep = {one for one in people if self.seen.asleep({one}, now) is not None}
            missed = {one for one in able - asleep - paged if self.messages.sent_at(case.number, one) != now}
            wrong = paged - people
        elif step.one:
            missed = set() if len(paged) == 1 else able
            wrong = paged - able
            if len(paged) == 1 and not wrong:
                rows = self.seen.rows[case.number]
                row = max(one.id for one in rows if one.step == case.step and one.person in paged)
                self._turned.append((row, case, case.step, next(iter(paged)), able))
        else:
            beside = {row.person for row in self.seen.rows.get(case.number, ())}  # paged in somebody's stead just now
            missed, wrong = people - beside, paged - people
        if missed:
            raise foul(f"step {case.step + 1} must page {sorted(missed)} now and did not", case, now)
        if wrong:
            raise foul(f"step {case.step + 1} paged {sorted(wrong)}, who are not on call for it", case, now)
        for one in (paged & able) if not low else ():
            self.messages.owes(case, one, now)

    def go_round(self, now: int) -> None:
        """Of several who can be reached a step pages whoever had their turn longest ago, or never yet."""
        if not self._turned:  # which is nearly always so, and asked at every instant
            return
        for _, case, step, one, able in sorted(self._turned, key=lambda turned: turned[0]):
            had = self._had.setdefault((case.service, step), {})
            waited = sorted(other for other in able if had.get(other, 0) < had.get(one, 0))
            if waited:
                raise foul(f"step {step + 1} paged {one} though it was the turn of {waited}", case, now)
            had[one] = max(had.values(), default=0) + 1
        self._turned.clear()

    def _reached(self, case: Case, people: set[str], now: int) -> bool:
        """Whether a message of this step was taken. If not, every way there is must have been tried."""
        tries = [
            (row, answer)
            for row, answer in self.seen.tries.get(case.number, ())
            if row.step == case.step and row.person in people and row.intended_at == now
        ]
        if any(answer != "retry" and answer != "failed" for _, answer in tries):
            return True
        for one in people:
            if not self.seen.land.people[one].flaky:
                return True  # their methods do not fail; this one goes out with others in a moment, or in their morning
            tried = {row.channel for row, _ in self.seen.tries.get(case.number, ()) if row.person == one}
            ways = set(self.seen.land.people[one].ways)
            untried = {way for way in ways - tried if (one, way) not in self.seen.failing}
            if untried or not tried:
                raise foul(f"{one} was not reached and {sorted(untried or ways)} not tried", case, now)
        return False

    def _stands_in(self, case: Case, low: bool, now: int) -> None:
        """A step has nobody at all: the team's lead and the last resort are paged beside the next one, or in the
        morning.
        """
        team = self.seen.land.teams[self.seen.land.services[case.service].team]
        known = {row.person for row in self.seen.rows.get(case.number, ())}
        for one in (team[0], self.seen.land.last_resort):
            if low and self.seen.asleep({one}, now) is not None:
                continue
            if one not in known and now - self.messages.sent_at(case.number, one) > AFTER_THE_LAST:
                raise foul(f"a step reaches nobody, and {one} was not paged in its stead", case, now)

    def on_shift(self, case: Case, row: Page, now: int) -> None:
        """A page that was refused for now and never left is not tried beyond its person's shift where somebody has it
        by then who can be reached.
        """
        if row.attempts and str(row.reason) in STEPS and row.step < len(case.steps):
            people = self.seen.people(case, case.steps[row.step], case.step, now)
            was = self.seen.people(case, case.steps[row.step], case.step, row.intended_at)
            over = self.messages.taken_at(case.number, row.person) < row.intended_at and row.person in was - people
            able = any(self.seen.land.people[one].ways for one in people)
            if over and able and not self._meant_by_another(case, row, now):
                raise foul(f"{row.person} was tried again by step {row.step + 1} though their shift is over", case, now)

    def _meant_by_another(self, case: Case, row: Page, now: int) -> bool:
        """Whether another step that was paged, or passed over, means the person of a row."""
        last = max(case.under_way or 0, row.step)
        others = (place for place in range(min(last + 1, len(case.steps))) if place != row.step)
        return any(row.person in self.seen.people(case, case.steps[place], place, now) for place in others)

    def _takes_over(self, case: Case, row: Page, now: int) -> bool:
        """Whether a row is to somebody on call now, in place of somebody whose shift ended before a page left."""
        if row.step >= len(case.steps):
            return False
        asked = case.asked_whom.get(row.step, set())
        people = self.seen.people(case, case.steps[row.step], case.step, now)
        since = case.asked.get(row.step, now)
        gone = {one for one in asked - people if self.messages.taken_at(case.number, one) < since}
        asked -= gone
        if gone:
            self._taken_over[case.number, row.step] = now  # by several, perhaps
        return self._taken_over.get((case.number, row.step)) == now and row.person in people

    def _is_owed(self, case: Case, row: Page, now: int) -> bool:
        """Whether a step that was passed over, because nobody took its pages, is repeated in its own time."""
        at, left = case.owed.get(row.step, (now + 1, 0))
        under_way = self._repeated.get((case.number, row.step)) == now  # several may be paged by it
        if not under_way and (not left or now < at):
            return False
        people = self.seen.people(case, case.steps[row.step], case.step, now)
        if row.person not in people:
            return False
        if case.steps[row.step].one and not row.instead_of and not under_way:
            able = {one for one in people if self.seen.land.people[one].ways}
            self._turned.append((row.id, case, row.step, row.person, able))
        if not under_way:
            self._repeated[case.number, row.step] = now
            case.owed[row.step] = (now + case.steps[row.step].wait * SECOND, left - 1)
            case.asked[row.step] = row.intended_at
        return True

    def explained(self, case: Case, now: int) -> None:
        """Every row that was written is of a step that is due, or of one that reached nobody."""
        team = self.seen.land.teams[self.seen.land.services[case.service].team]
        for row in self.seen.rows[case.number]:
            if row.kind != "page":
                continue
            case.paged.add(row.person)
            reason = str(row.reason)
            due = case.judged == now and row.step == case.under_way
            if reason == "step_repeated" and not due and self._is_owed(case, row, now):
                continue
            over = reason in STEPS and case.judged != now and self._takes_over(case, row, now)
            if reason in STEPS:
                case.asked[row.step] = row.intended_at
                case.asked_whom.setdefault(row.step, set()).add(row.person)
            if row.instead_of and self.messages.sent_at(case.number, row.person):
                continue  # the next method of a page that was right when it was written, and failed for good just now
            if reason in STEPS and case.judged != now and not over:
                raise foul(f"{row.person} paged by step {row.step + 1} before it was due", case, now)
            if reason == "stands_in" and row.person not in (team[0], self.seen.land.last_resort):
                raise foul(f"{row.person} stands in, who is neither lead nor last resort", case, now)
