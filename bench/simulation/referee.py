"""The rules of paging, written a second time from the manual, and held against what the engine did.

The referee hears what was said to the engine and sees what left it: rows of the ledger and messages. It never reads
what the engine has in mind, except to ask why an alert is quiet. ``Foul`` is raised at the first thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from bench.simulation.clocks import SECOND, Cover, morning, next_in_line, on_call
from bench.simulation.landscape import URGENT, Landscape, Step
from tocsin.pages.ledger import Page

MINUTE = 60 * SECOND
BUNDLED_WITHIN = 30 * SECOND
APART = 2 * MINUTE
AFTER_THE_LAST = 30 * MINUTE
AFTER_DEAFNESS = 5 * MINUTE
REMINDED = 15 * MINUTE
REMEMBERED = 15 * MINUTE
"""An alert that ended and fires again within less is the one it was."""
UNMET = -1
"""The number of an incident that was opened and has not been heard of yet."""
STEPS = frozenset({"step_due", "step_repeated", "escalation_exhausted", "last_resort"})


class Foul(AssertionError):
    """The engine broke a rule. The message says which, for what, and when."""


@dataclass
class Alarm:
    """An alert that fires. ``ends``: when it expires. ``silences``: those that cover it, with their ends."""

    instance: str
    heard: int
    ends: int | None
    silences: dict[str, int] = field(default_factory=dict)
    deaf_until: int = 0
    """Time in which nothing could be heard is counted up to here."""
    home: bool = False
    """Whether it belongs to the case's incident: what came while silenced, and none was open, does not."""


@dataclass
class Case:
    """One group of trouble: its alerts, and its incident (``number`` 0: none was opened yet)."""

    service: str
    name: str
    severity: str
    number: int = 0
    state: str = "none"
    alarms: dict[str, Alarm] = field(default_factory=dict)
    put_off: set[str] = field(default_factory=set)
    """The alerts a snooze is of: those that fired when a person resolved it, until all of them have ended."""
    ended: dict[str, int] = field(default_factory=dict)
    """When alerts of the incident ended last."""
    steps: tuple[Step, ...] = ()
    step: int = 0
    round: int = 0
    under_way: int | None = None
    """The step that was paged last; None while none was."""
    paged: set[str] = field(default_factory=set)
    """Everybody its incident paged."""
    due: int | None = None
    held_until: int | None = None
    snoozed_until: int | None = None
    keep_until: int | None = None
    paused: bool = False
    resume: int | None = None
    waits: bool = False
    watched: int | None = None
    """When it is on the agenda."""
    judged: int = -1
    """When a step of it was due last."""
    quieted: int = -1
    """When what had not left yet was withdrawn last."""
    asked: dict[int, int] = field(default_factory=dict)
    """When each step of its incident last wrote pages down."""
    asked_whom: dict[int, set[str]] = field(default_factory=dict)
    """Whom each step of its incident paged."""
    kept: list[tuple[int, str, str, int]] = field(default_factory=list)
    """What was owed while it was paused, and is owed again when it goes on: since when, to whom, by which way, step."""
    went_on: int = -1
    """When it was paused no more last."""
    relieved: set[int] = field(default_factory=set)
    """The steps whose message had not left by then to somebody whom they do not mean any more."""

    @property
    def at_home(self) -> list[Alarm]:
        """The alerts of its incident that fire."""
        return [one for one in self.alarms.values() if one.home]

    @property
    def loud(self) -> bool:
        """Whether some alert of its incident fires that nothing silences."""
        return any(not one.silences for one in self.at_home)

    @property
    def open(self) -> bool:
        """Whether somebody has to see to it, or does."""
        return self.state in ("triggered", "acknowledged")

    @property
    def wanted(self) -> bool:
        """Whether somebody has to be paged for it."""
        return self.state == "triggered" and not self.paused


class Referee:
    """Judges one run."""

    def __init__(self, land: Landscape) -> None:
        self.land = land
        self.cases: dict[tuple[str, str], Case] = {}
        self.by_number: dict[int, Case] = {}
        self.numbers = 0
        self.covers: dict[str, list[Cover]] = {}
        self.silences: dict[str, list[tuple[str, str, int]]] = {}
        self.gaps: list[tuple[int, int]] = []
        self.failing: set[tuple[str, str]] = set()
        self._agenda: list[tuple[int, tuple[str, str]]] = []
        self._turns: list[int] = []
        """When overrides begin and end."""
        self._owed: list[tuple[int, int, int, str, str, int]] = []
        """Until when, and since when, a message for an incident has to have left to a person, by a way ("" any), for a
        step.
        """
        self._sent: dict[tuple[int, str, str], int] = {}
        self._paged: dict[tuple[str, str], list[int]] = {}
        self._silenced_at: dict[str, int] = {}
        self._rung: dict[tuple[str, str], Case] = {}
        self._rows: dict[int, list[Page]] = {}
        self._tries: dict[int, list[tuple[Page, str]]] = {}
        self._turned: list[tuple[int, Case, int, str, set[str]]] = []
        """What steps that page one of several did at this instant: by which row, which step, whom, of whom."""
        self._had: dict[tuple[str, int], dict[str, int]] = {}
        """By escalation and step: which turn of all it was when each of these people had theirs last."""
        self.steps_reached = 0

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
        case = self.by_number[number]
        case.state, case.held_until = "acknowledged", now + hold
        case.due = case.resume = None
        case.waits, case.quieted = False, now
        self._watch(case)

    def resolved_by_hand(self, number: int, snooze: int, now: int) -> None:
        """It is over, says a person; while alerts fire that is a snooze."""
        case = self.by_number[number]
        put_off = {one.instance for one in case.at_home}
        put_off |= {instance for instance, at in case.ended.items() if at == now}  # at the very instant: it fired then
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
        self.covers.setdefault(rota, []).append(cover)
        for at in (cover.start, cover.end):
            if at > now:
                heappush(self._turns, at)
        self._ask_again(now)

    def deaf(self, start: int, end: int) -> None:
        """Nothing could be heard, and nothing done; what was due then is due when it ends."""
        self.gaps.append((start, end))

    def changed(self, land: Landscape, now: int) -> None:
        """A plan is put in force. Incidents keep the steps they were opened with; what waits for a morning is judged
        again: now, or when its silence ends.
        """
        self.land = land
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
        self._rows.setdefault(page.incident, []).append(page)

    def left(self, page: Page, together: Iterable[Page], answer: str, now: int) -> None:
        """A message was handed to its channel, which answered."""
        for row in together:
            case = self.by_number.get(row.incident)
            if case is None or not case.wanted:
                raise self._foul(f"page {row.id} to {row.person} left though nobody is to be paged", case, now)
            self._sent[row.incident, row.person, row.channel] = now
            self._tries.setdefault(row.incident, []).append((row, answer))
        lately = self._paged.setdefault((page.person, page.channel), [])
        lately.append(now)
        del lately[:-4]

    def answered(self, page: Page, answer: str) -> None:
        """A channel answered. Refused for good, the method is left alone while there is another."""
        if answer == "failed":
            self.failing.add((page.person, page.channel))
        elif answer == "sent":
            self.failing.discard((page.person, page.channel))

    def meet(self, number: int, service: str, name: str) -> None:
        """An incident has this number. After a stop several may be opened at once, and nobody says in which order."""
        case = self.cases.get((service, name))
        if number not in self.by_number and case is not None and case.number == UNMET:
            case.number = number
            self.by_number[number] = case

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
                self._escalates(case, now)
                self._watch(case)
        self._go_round(now)
        for number in self._rows:
            paged = self.by_number.get(number)
            if paged is None:
                raise self._foul(f"a page for an incident nobody opened, #{number}", None, now)
            self._explained(paged, now)
            touched.append(paged)
        self._rows.clear()
        self._tries.clear()
        self._collect(now)
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
            self.by_number.pop(case.number, None)
            del self.cases[case.service, case.name]
        elif not (case.wanted and case.due is not None and case.due <= now):
            self._watch(case)

    def _noticed(self, id: str, until: int) -> int:
        """When an end of a silence that lies in a stop is come upon: with the reminder before it."""
        length = until - self._silenced_at.get(id, until)
        reminder = until - min(REMINDED, length // 4)
        lay_in_a_stop = self.gaps and self.gaps[-1][0] <= reminder and until <= self.gaps[-1][1]
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
        for start, end in self.gaps[-20:]:
            if end > max(alarm.heard, alarm.deaf_until) and start < alarm.ends:
                alarm.ends += end - max(start, alarm.heard) + AFTER_DEAFNESS
                alarm.deaf_until = end
        return alarm.ends

    def _place(self, case: Case, alarm: Alarm, now: int) -> None:
        """An alert fires that is in no open incident: an open one takes it, the last one is reopened, or one is new."""
        if case.state == "resolved" and case.keep_until is not None and now > case.keep_until:
            self.by_number.pop(case.number, None)
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
        elif case.state == "triggered" and case.paused and not alarm.silences and case.ended.get(alarm.instance) != now:
            self._trigger(case, now, anew=True)  # nobody was ever paged for what the silence does not cover

    def _is_put_off(self, case: Case, alarm: Alarm, now: int) -> bool:
        """Whether an alert that fires again is part of what a person put off, who resolved its incident."""
        return alarm.instance in case.put_off and now - case.ended[alarm.instance] < REMEMBERED

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
            if step >= len(case.steps) or person in self.people(case, case.steps[step], case.step, now):
                heappush(self._owed, (now + BUNDLED_WITHIN, begun, case.number, person, way, step))
            else:
                case.relieved.add(step)
        case.kept.clear()

    def _outlasted(self, case: Case, now: int) -> bool:
        """Whether a silence outlasted the step that was paged last, or whoever it means."""
        if case.under_way is None:
            return False
        if case.resume is None or case.resume <= now:
            return True
        last = Step((f"person {self.land.last_resort}",), 0)
        step = case.steps[case.under_way] if case.under_way < len(case.steps) else last
        people = self.people(case, step, case.step, now)
        return bool(people) and not (people & case.paged if step.one else people <= case.paged)

    def _begins_again(self, case: Case, now: int) -> None:
        """It was paused for longer than somebody's shift. A step whose message to them had not left pages whoever has
        the shift now, and the escalation goes on from there. When a message was to leave is known to half a minute, and
        of those that failed not at all: there it is enough that the step paged somebody who is not meant any more.
        """
        again = {row.step for row in self._rows.get(case.number, ()) if str(row.reason) in STEPS and not row.instead_of}
        for step in sorted(step for step in case.asked_whom if step < len(case.steps)):
            off = case.asked_whom[step] - self.people(case, case.steps[step], case.step, now)
            due = case.due is not None and case.due <= now and case.step <= step
            if off and (step in case.relieved or (step in again and not due)):
                case.step, case.round, case.due = step, 0, now
                self._owed = [one for one in self._owed if not (one[2] == case.number and one[3] in off)]
                heapify(self._owed)
                return

    def _trigger(self, case: Case, now: int, anew: bool = False) -> None:
        """Page from the first step; ``anew``: by the steps the plan has now."""
        if anew:
            case.steps = self.land.services[case.service].steps
            case.keep_until = None
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
        reopen = self.land.services[case.service].reopen * SECOND
        case.keep_until = now + max(reopen, snooze or 0)

    def _watch(self, case: Case) -> None:
        moments = [one for one in (case.due if case.wanted else None, case.snoozed_until, case.held_until) if one]
        for alarm in case.alarms.values():
            moments += alarm.silences.values()
            if alarm.ends is not None:
                moments.append(alarm.ends)
        if not moments and case.state == "resolved" and not case.alarms and case.keep_until is not None:
            moments = [case.keep_until + 1]
        at = min(moments, default=None)
        if at is not None and (case.watched is None or at < case.watched):
            case.watched = at
            heappush(self._agenda, (at, (case.service, case.name)))

    # -- escalating ----------------------------------------------------------------------------------------------------

    def people(self, case: Case, step: Step, first: int, now: int) -> set[str]:
        """Everybody behind a step's targets. The next in line counts from whom steps before the ``first`` that is due
        paged of that rota, and whoever has come on call since is paged beside them.
        """
        found: set[str] = set()
        for target in step.targets:
            kind, _, name = target.partition(" ")
            if kind == "person":
                found.add(name)
            elif kind == "team":
                found |= set(self.land.teams[name])
            elif kind == "next":
                rota, covers = self.land.rotas[name], self.covers.get(name, [])
                before = [
                    at
                    for place, at in case.asked.items()
                    if place < min(first, len(case.steps)) and f"schedule {name}" in case.steps[place].targets
                ]
                then = max(before, default=now)
                found |= next_in_line(rota, covers, then) | (on_call(rota, covers, now) - on_call(rota, covers, then))
            else:
                found |= on_call(self.land.rotas[name], self.covers.get(name, []), now)
        return found

    def _escalates(self, case: Case, now: int) -> None:
        """A step is due: it must have been paged at this very instant, and what reached nobody passed over at once."""
        rows = [row for row in self._rows.get(case.number, ()) if str(row.reason) in STEPS and not row.instead_of]
        low = self.land.services[case.service].low and URGENT[case.severity] == "low"
        case.waits, case.judged = False, now
        before, skipped = (case.step, case.round), False
        while True:
            last = case.step >= len(case.steps)
            step = Step((f"person {self.land.last_resort}",), 0) if last else case.steps[case.step]
            if not last and step.grave and case.severity != "critical":
                case.step, case.round = case.step + 1, 0
                continue
            people = self.people(case, step, before[0], now)
            able = {one for one in people if self.land.people[one].ways}
            if not able and not last:
                skipped = True
                case.step, case.round = case.step + 1, 0
                continue
            if low and (until := self._asleep(people, now)) is not None:
                case.due, case.waits = until, True
                case.step, case.round = before  # it is judged anew then
                return
            if skipped:
                self._stands_in(case, low, now)
            paged = {row.person for row in rows if row.step == case.step}
            self._right_people(case, step, people, able, paged, low, now)
            self.steps_reached += 1
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
            case.step, case.round = case.step + 1, 0
        if extra := {row.person for row in rows if row.step > at_last}:
            raise self._foul(f"{sorted(extra)} paged by a step that was not due", case, now)

    def _right_people(
        self, case: Case, step: Step, people: set[str], able: set[str], paged: set[str], low: bool, now: int
    ) -> None:
        if low:
            asleep = {one for one in people if self._asleep({one}, now) is not None}
            missed = {one for one in able - asleep - paged if self._sent_at(case.number, one) != now}
            wrong = paged - people
        elif step.one:
            missed = set() if len(paged) == 1 else able
            wrong = paged - able
            if len(paged) == 1 and not wrong:
                row = max(row.id for row in self._rows[case.number] if row.step == case.step and row.person in paged)
                self._turned.append((row, case, case.step, next(iter(paged)), able))
        else:
            beside = {row.person for row in self._rows.get(case.number, ())}  # paged in somebody's stead just now
            missed, wrong = people - beside, paged - people
        if missed:
            raise self._foul(f"step {case.step + 1} must page {sorted(missed)} now and did not", case, now)
        if wrong:
            raise self._foul(f"step {case.step + 1} paged {sorted(wrong)}, who are not on call for it", case, now)
        for one in (paged & able) if not low else ():
            self._owes(case, one, now)

    def _go_round(self, now: int) -> None:
        """Of several who can be reached a step pages whoever had their turn longest ago, or never yet."""
        for _, case, step, one, able in sorted(self._turned, key=lambda turned: turned[0]):
            had = self._had.setdefault((case.service, step), {})
            waited = sorted(other for other in able if had.get(other, 0) < had.get(one, 0))
            if waited:
                raise self._foul(f"step {step + 1} paged {one} though it was the turn of {waited}", case, now)
            had[one] = max(had.values(), default=0) + 1
        self._turned.clear()

    def _owes(self, case: Case, person: str, now: int) -> None:
        """A message has to leave to somebody who is paged: now, or with others within half a minute; then the next."""
        who = self.land.people[person]
        lately = [at for at in self._paged.get((person, who.ways[0]), ()) if now - at < BUNDLED_WITHIN]
        slack = BUNDLED_WITHIN if not who.flaky and len(lately) >= 3 else 0
        heappush(self._owed, (now + slack, now, case.number, person, "", case.step))
        if not who.flaky and len(who.ways) > 1:
            heappush(self._owed, (now + APART + BUNDLED_WITHIN, now, case.number, person, who.ways[1], case.step))

    def _collect(self, now: int) -> None:
        while self._owed and self._owed[0][0] <= now:
            until, begun, number, person, way, step = heappop(self._owed)
            case = self.by_number.get(number)
            if case is not None and case.state == "triggered" and case.paused and begun > case.quieted:
                case.kept.append((begun, person, way, step))
                continue
            if case is None or not case.wanted:
                continue  # answered or over: nobody needs it any more
            if self.gaps and self.gaps[-1][0] <= until < self.gaps[-1][1]:
                heappush(self._owed, (self.gaps[-1][1] + BUNDLED_WITHIN, begun, number, person, way, step))
            elif (self._sent.get((number, person, way), 0) if way else self._sent_at(number, person)) < begun:
                if begun <= case.quieted <= now:
                    continue  # it was answered, over or paged anew meanwhile, and what had not left was withdrawn
                raise self._foul(f"no message left to {person} ({way or 'any way'}) in time", case, now)

    def _sent_at(self, number: int, person: str) -> int:
        return max((self._sent.get((number, person, way), 0) for way in ("webhook", "email", "console")), default=0)

    def _reached(self, case: Case, people: set[str], now: int) -> bool:
        """Whether a message of this step was taken. If not, every way there is must have been tried."""
        tries = [
            (row, answer)
            for row, answer in self._tries.get(case.number, ())
            if row.step == case.step and row.person in people and row.intended_at == now
        ]
        if any(answer != "retry" and answer != "failed" for _, answer in tries):
            return True
        for one in people:
            if not self.land.people[one].flaky:
                return True  # their methods do not fail; this one goes out with others in a moment, or in their morning
            tried = {row.channel for row, _ in self._tries.get(case.number, ()) if row.person == one}
            ways = set(self.land.people[one].ways)
            untried = {way for way in ways - tried if (one, way) not in self.failing}
            if untried or not tried:
                raise self._foul(f"{one} was not reached and {sorted(untried or ways)} not tried", case, now)
        return False

    def _asleep(self, people: set[str], now: int) -> int | None:
        ends = [morning(self.land.people[one].zone, now) for one in people]
        awake = [end for end in ends if end is not None]
        return min(awake) if awake and len(awake) == len(ends) else None

    def _stands_in(self, case: Case, low: bool, now: int) -> None:
        """A step has nobody at all: the team's lead and the last resort are paged beside the next one, or in the
        morning.
        """
        team = self.land.teams[self.land.services[case.service].team]
        known = {row.person for row in self._rows.get(case.number, ())}
        for one in (team[0], self.land.last_resort):
            if low and self._asleep({one}, now) is not None:
                continue
            if one not in known and now - self._sent_at(case.number, one) > AFTER_THE_LAST:
                raise self._foul(f"a step reaches nobody, and {one} was not paged in its stead", case, now)

    def _explained(self, case: Case, now: int) -> None:
        """Every row that was written is of a step that is due, or of one that reached nobody."""
        team = self.land.teams[self.land.services[case.service].team]
        for row in self._rows[case.number]:
            if row.kind != "page":
                continue
            case.paged.add(row.person)
            reason = str(row.reason)
            if reason in STEPS:
                case.asked[row.step] = row.intended_at
                case.asked_whom.setdefault(row.step, set()).add(row.person)
            if row.instead_of and self._sent_at(case.number, row.person):
                continue  # the next method of a page that was right when it was written, and failed for good just now
            if reason in STEPS and case.judged != now:
                raise self._foul(f"{row.person} paged by step {row.step + 1} before it was due", case, now)
            if reason == "stands_in" and row.person not in (team[0], self.land.last_resort):
                raise self._foul(f"{row.person} stands in, who is neither lead nor last resort", case, now)

    def _foul(self, what: str, case: Case | None, now: int) -> Foul:
        return Foul(f"at {now}: {what}; {case}")
