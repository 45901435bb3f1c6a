"""The rules of paging, written a second time from the manual, and held against what the engine did.

The referee hears what was said to the engine and sees what left it: rows of the ledger and messages. It never reads
what the engine has in mind, except to ask why an alert is quiet. ``Foul`` is raised at the first thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from bench.simulation.cases import (
    AFTER_DEAFNESS,
    LONGEST_PASS,
    REMEMBERED,
    REMINDED,
    STEPS,
    UNMET,
    Alarm,
    Case,
    foul,
)
from bench.simulation.clocks import NEVER, SECOND
from bench.simulation.duty import Cover
from bench.simulation.landscape import Landscape, Step
from bench.simulation.messages import Messages
from bench.simulation.seen import Seen
from bench.simulation.steps import Steps
from tocsin.pages.ledger import Page


class Referee:
    """Judges one run."""

    def __init__(self, land: Landscape) -> None:
        self.seen = Seen(land)
        self.messages = Messages(self.seen)
        self.steps = Steps(self.seen, self.messages)
        self.cases: dict[tuple[str, str], Case] = {}
        self.numbers = 0
        self.silences: dict[str, list[tuple[str, str, int]]] = {}
        self._agenda: list[tuple[int, tuple[str, str]]] = []
        self._turns: list[int] = []
        """When overrides begin and end."""
        self._silenced_at: dict[str, int] = {}
        self._rung: dict[tuple[str, str], Case] = {}

    # -- what was said -------------------------------------------------------------------------------------------------

    def next_due(self) -> int | None:
        """When something must happen by itself."""
        if self._turns and (not self._agenda or self._turns[0] < self._agenda[0][0]):
            return self._turns[0]
        return self._agenda[0][0] if self._agenda else None

    def fires(self, service: str, name: str, instance: str, severity: str, ends: int | None, now: int) -> None:
        """An alert fires: new, in an open incident, or again in one that is over."""
        case = self.cases.setdefault((service, name), Case(service, name, severity))
        alarm = case.alarms.get(instance)
        if alarm is not None:
            # Told again while it fires: the later of both ends holds, and none at all is the latest.
            alarm.heard, alarm.ends = now, None if None in (alarm.ends, ends) else max(alarm.ends or 0, ends or 0)
        else:
            case.alarms[instance] = alarm = Alarm(instance, now, ends)
            for id, which, until in self.silences.get(name, ()):
                if which in ("", instance) and until > now:
                    alarm.silences[id] = until
            self._place(case, alarm, now)
        self._judge_again(case, now)
        self._watch(case)

    def resolves(self, service: str, name: str, instance: str, now: int) -> None:
        """The monitor says that it ended."""
        case = self.cases.get((service, name))
        if case is not None and instance in case.alarms:
            self._ends(case, instance, now)
            self._judge_again(case, now)
            self._watch(case)

    def acknowledged(self, number: int, hold: int, now: int) -> None:
        """Somebody has it."""
        case = self.seen.by_number[number]
        case.state, case.held_until = "acknowledged", now + hold
        case.due = case.resume = None
        case.waits, case.quieted = False, now
        self._watch(case)

    def resolved_by_hand(self, number: int, snooze: int, now: int) -> None:
        """It is over, says a person; while alerts fire that is a snooze."""
        case = self.seen.by_number[number]
        put_off = {one.instance for one in case.at_home}
        self._over(case, now, snooze if case.at_home else None)
        case.put_off = put_off if case.snoozed_until is not None else set()
        self._watch(case)

    def silenced(self, id: str, name: str, instance: str, until: int, now: int) -> None:
        """Alerts of a name (of an instance, or all) are silenced from now on."""
        self.silences.setdefault(name, []).append((id, instance, until))
        self._silenced_at[id] = now
        for case in [case for (_, named), case in self.cases.items() if named == name]:
            for alarm in case.alarms.values():
                if instance in ("", alarm.instance):
                    alarm.silences[id] = until
            self._judge_again(case, now)
            self._watch(case)

    def covered(self, rota: str, cover: Cover, now: int) -> None:
        """Somebody takes a place on call: what waits for a morning is judged again, now, and when the cover begins and
        ends.
        """
        before = self.seen.covers.get(rota, ())
        self.seen.covers[rota] = [*(one for one in before if one.end > now - LONGEST_PASS), cover]
        for at in (cover.start, cover.end):
            if at > now:
                heappush(self._turns, at)
        self._ask_again(now)

    def calendar_read(self, now: int) -> None:
        """A calendar was read: what waits for a morning is judged again. What it says was known from the beginning."""
        self._ask_again(now)

    def deaf(self, start: int, end: int) -> None:
        """Nothing could be heard, and nothing done; what was due then is due when it ends."""
        self.seen.gaps.append((start, end))

    def changed(self, land: Landscape, now: int) -> None:
        """A plan is put in force. Incidents keep the steps they were opened with; what waits for a morning is judged
        again: now, or when its silence ends.
        """
        self.seen.plan(land)
        self._ask_again(now)

    def _ask_again(self, now: int) -> None:
        for case in self.cases.values():  # also those nobody was paged for yet, whose number nobody knows
            if case.state != "triggered" or not case.waits:
                continue
            case.waits = False
            if case.paused:
                case.resume = now
            else:
                case.due = now
                self._rung[case.service, case.name] = case

    # -- what was seen -------------------------------------------------------------------------------------------------

    def wrote(self, page: Page) -> None:
        """A row of the ledger was written."""
        self.seen.rows.setdefault(page.incident, []).append(page)

    def left(self, page: Page, together: Sequence[Page], answer: str, now: int) -> None:
        """A message was handed to its channel, which answered."""
        for row in together:
            case = self.seen.by_number.get(row.incident)
            if case is None or not case.wanted:
                raise foul(f"page {row.id} to {row.person} left though nobody is to be paged", case, now)
            self.steps.on_shift(case, row, now)
            self.seen.tries.setdefault(row.incident, []).append((row, answer))
        self.messages.left(page, together, answer, now)

    def answered(self, page: Page, answer: str) -> None:
        """A channel answered. Refused for good, the method is left alone while there is another."""
        if answer == "failed":
            self.seen.failing.add((page.person, page.channel))
        elif answer == "sent":
            self.seen.failing.discard((page.person, page.channel))

    def meet(self, number: int, service: str, name: str) -> None:
        """An incident has this number. After a stop several may be opened at once, and nobody says in which order."""
        case = self.cases.get((service, name))
        if number not in self.seen.by_number and case is not None and case.number == UNMET:
            case.number = number
            self.seen.by_number[number] = case

    # -- judging -------------------------------------------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """What time alone changes, before the engine is told the time: silences, acknowledgements and snoozes end."""
        while self._turns and self._turns[0] <= now:
            heappop(self._turns)
            self._ask_again(now)
        while self._agenda and self._agenda[0][0] <= now:
            at, key = heappop(self._agenda)
            case = self.cases.get(key)
            if case is not None and case.watched == at:
                case.watched = None
                self._ring(case, now)
                self._rung[key] = case

    def settle(self, now: int) -> list[Case]:
        """Everything of this instant was said and seen: what had to happen must have. Answers the cases it touched."""
        self.advance(now)
        touched = list(self._rung.values())
        self._rung.clear()
        for case in touched:
            if case.wanted and case.went_on == now:
                self._begins_again(case, now)
            if case.wanted and case.due is not None and case.due <= now:
                self.steps.escalates(case, now)
                self._watch(case)
        self.steps.go_round(now)
        for number in self.seen.rows:
            paged = self.seen.by_number.get(number)
            if paged is None:
                raise foul(f"a page for an incident nobody opened, #{number}", None, now)
            self.steps.explained(paged, now)
            touched.append(paged)
        self.seen.rows.clear()
        self.seen.tries.clear()
        self.messages.collect(now)
        return touched

    def _ring(self, case: Case, now: int) -> None:
        """What time did to a case, in the order in which it was due: after a stop much may be due at once."""
        due = [(case.snoozed_until, "incident", "")] if case.snoozed_until is not None else []
        for alarm in case.alarms.values():
            due += [(self._noticed(id, until), "silence", alarm.instance) for id, until in alarm.silences.items()]
            if alarm.ends is not None:
                due.append((self._expires(alarm), "alert", alarm.instance))
        for at, kind, instance in sorted(due):
            if at <= now:
                self._passes(case, kind, instance, now)
        self._judge_again(case, now)
        if case.state == "acknowledged" and case.held_until is not None and case.held_until <= now:
            self._trigger(case, now)
        if case.state in ("none", "resolved") and not case.alarms and now > (case.keep_until or 0):
            self._forget(case)
            del self.cases[case.service, case.name]
        elif not (case.wanted and case.due is not None and case.due <= now):
            self._watch(case)

    def _forget(self, case: Case) -> None:
        """Its incident comes back no more."""
        self.seen.by_number.pop(case.number, None)
        self.messages.over(case.number)

    def _noticed(self, id: str, until: int) -> int:
        """When an end of a silence that lies in a stop is come upon: with the reminder before it."""
        length = until - self._silenced_at.get(id, until)
        reminder = until - min(REMINDED, length // 4)
        lay_in_a_stop = self.seen.gaps and self.seen.gaps[-1][0] <= reminder and until <= self.seen.gaps[-1][1]
        return reminder if lay_in_a_stop else until

    def _passes(self, case: Case, kind: str, instance: str, now: int) -> None:
        """A snooze, a silence or an alert's own time is over."""
        alarm = case.alarms.get(instance)
        if kind == "incident" and case.snoozed_until is not None:
            case.snoozed_until = None
            if case.at_home:
                self._trigger(case, now, anew=True)
        elif kind == "alert" and alarm is not None:
            self._ends(case, instance, now)
        elif kind == "silence" and alarm is not None:
            alarm.silences = {id: until for id, until in alarm.silences.items() if until > now}
            if not alarm.silences and not alarm.home:
                self._place(case, alarm, now)

    def _ends(self, case: Case, instance: str, now: int) -> None:
        """An alert ended. With the last of those that were put off nothing is put off any more."""
        if case.alarms.pop(instance).home:
            case.ended[instance] = now
            if not case.at_home:
                case.put_off = set()

    def _expires(self, alarm: Alarm) -> int:
        """When an alert ends that nobody repeats: what could not be heard counts, and five minutes more."""
        assert alarm.ends is not None
        for start, end in self.seen.gaps[-20:]:
            if end > max(alarm.heard, alarm.deaf_until) and start < alarm.ends:
                alarm.ends += end - max(start, alarm.heard) + AFTER_DEAFNESS
                alarm.deaf_until = end
        return alarm.ends

    def _place(self, case: Case, alarm: Alarm, now: int) -> None:
        """An alert fires that is in no open incident: an open one takes it, the last one is reopened, or one is new."""
        if case.state == "resolved" and case.keep_until is not None and now > case.keep_until:
            self._forget(case)
            case.state, case.number = "none", 0
        if case.snoozed_until is not None and self._is_put_off(case, alarm, now):
            alarm.home = True
            return
        if alarm.silences and not case.open:
            return
        alarm.home = True
        if case.state == "none":
            self.numbers += 1
            case.number = UNMET
            case.asked.clear()
            case.paged.clear()
            self._trigger(case, now, anew=True)
        elif case.state == "resolved":
            self._trigger(case, now, anew=True)
        elif case.state == "triggered" and case.paused and not alarm.silences and not self._returns(case, alarm, now):
            self._trigger(case, now, anew=True)  # nobody was ever paged for what the silence does not cover

    def _is_put_off(self, case: Case, alarm: Alarm, now: int) -> bool:
        """Whether an alert that fires again is part of what a person put off, who resolved its incident."""
        return alarm.instance in case.put_off and self._returns(case, alarm, now)

    def _returns(self, case: Case, alarm: Alarm, now: int) -> bool:
        """Whether an alert that fires is one that had ended a while ago. Somebody was paged for it, and is paged on."""
        return now - case.ended.get(alarm.instance, -REMEMBERED) < REMEMBERED

    def _judge_again(self, case: Case, now: int) -> None:
        """Alerts of a case changed: it is over, it pauses, or it goes on."""
        if not case.open:
            pass
        elif not case.at_home:
            self._over(case, now, None)
        elif not case.loud:
            if not case.paused:
                case.paused, case.resume, case.due = True, case.due, None
        elif case.paused:
            case.paused = False
            if case.state == "triggered":
                self._goes_on(case, now)
            case.resume = None

    def _goes_on(self, case: Case, now: int) -> None:
        """It is paused no more: what had not left by then leaves now, and it goes on where it stood. If that is over,
        or means somebody else by now, it begins from the first step.
        """
        if self._outlasted(case, now):
            case.step, case.round, case.under_way, case.resume, case.waits = 0, 0, None, now, False
            case.quieted = now
            case.kept.clear()
            case.due = now
            return
        case.due = max(case.resume if case.resume is not None else now, now)
        case.went_on = now
        case.relieved.clear()
        self._rung[case.service, case.name] = case
        for begun, person, way, step in case.kept:
            if step >= len(case.steps) or person in self.seen.people(case, case.steps[step], case.step, now):
                self.messages.again(case, begun, person, way, step, now)
            else:
                case.relieved.add(step)
        case.kept.clear()

    def _outlasted(self, case: Case, now: int) -> bool:
        """Whether a silence outlasted the step that was paged last, or whoever it means."""
        if case.under_way is None:
            return False
        if case.resume is None or case.resume <= now:
            return True
        last = Step((f"person {self.seen.land.last_resort}",), 0)
        step = case.steps[case.under_way] if case.under_way < len(case.steps) else last
        people = self.seen.people(case, step, case.step, now)
        return bool(people) and not (people & case.paged if step.one else people <= case.paged)

    def _begins_again(self, case: Case, now: int) -> None:
        """It was paused for longer than somebody's shift. A step whose message to them had not left pages whoever has
        the shift now, and the escalation goes on from there. When a message was to leave is known to half a minute, and
        of those that failed not at all: there it is enough that the step paged somebody who is not meant any more.
        """
        rows = self.seen.rows.get(case.number, ())
        again = {row.step for row in rows if str(row.reason) in STEPS and not row.instead_of}
        for step in sorted(step for step in case.asked_whom if step < len(case.steps)):
            off = case.asked_whom[step] - self.seen.people(case, case.steps[step], case.step, now)
            due = case.due is not None and case.due <= now and case.step <= step
            if off and (step in case.relieved or (step in again and not due)):
                case.step, case.round, case.due = step, 0, now
                self.messages.forget(case.number, off)
                return

    def _trigger(self, case: Case, now: int, anew: bool = False) -> None:
        """Page from the first step; ``anew``: by the steps the plan has now."""
        if anew:
            case.steps = self.seen.land.services[case.service].steps
            case.keep_until = None
        if case.state == "resolved":
            case.reopened = now
        case.state = "triggered"
        case.step, case.round, case.under_way = 0, 0, None
        case.due, case.resume, case.paused, case.waits = now, None, False, False
        case.held_until = case.snoozed_until = None
        case.put_off = set()
        case.quieted = now
        case.kept.clear()
        case.asked_whom.clear()
        self._judge_again(case, now)

    def _over(self, case: Case, now: int, snooze: int | None) -> None:
        case.state, case.paused, case.quieted = "resolved", False, now
        case.due = case.resume = case.held_until = None
        case.snoozed_until = now + snooze if snooze is not None else None
        reopen = self.seen.land.services[case.service].reopen * SECOND
        case.keep_until = now + max(reopen, snooze or 0)

    def _watch(self, case: Case) -> None:
        at = case.due or NEVER if case.state == "triggered" and not case.paused else NEVER
        at = min(at, case.snoozed_until or NEVER, case.held_until or NEVER)
        for alarm in case.alarms.values():
            if alarm.ends is not None and alarm.ends < at:
                at = alarm.ends
            if alarm.silences:
                at = min(at, *alarm.silences.values())
        if at == NEVER and case.state == "resolved" and not case.alarms and case.keep_until is not None:
            at = case.keep_until + 1
        if at != NEVER and (case.watched is None or at < case.watched):
            case.watched = at
            heappush(self._agenda, (at, (case.service, case.name)))
