"""The engine: applies input after input, and says what each changed, what must be done, and when to wake it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tocsin.engine import (
    answering,
    asking,
    covering,
    deafness,
    deciding,
    declared,
    delivering,
    handing,
    hearing,
    ledger,
    looping,
    methods,
    older,
    overriding,
    paging,
    parking,
    releasing,
    rising,
    running,
    settling,
    starting,
    telling,
    ticking,
    waiting,
    watching,
)
from tocsin.engine.commands import ASKED, PullTrigger, Result, refuse
from tocsin.engine.inputs import (
    AnyInput,
    CalendarRead,
    Deaf,
    Decided,
    Delivered,
    PlanChange,
    Quarantine,
    Receipted,
    Received,
    Reported,
    Seen,
    Tick,
    Unsure,
)
from tocsin.engine.state import AFTER_DEAFNESS, MOST_DEAF, Changes, Kept, Loaded, State
from tocsin.engine.turn import Turn
from tocsin.escalation.turns import still_there
from tocsin.intake.request import WIDEST, Heard, Source
from tocsin.kernel.instant import MINUTE, Instant
from tocsin.kernel.reason import Reason
from tocsin.plan.model import Plan

VERSION = "9"
"""Changes when the same journal would be judged differently. Rows of the journal say by which one each was judged."""


SLOW = {"notice": 50, "silence": 50}
"""A notice of schedules, and a silence, takes as long as so many other things that are due: few are done in one commit.
"""
LATE = MINUTE
"""A request that was received longer ago than this by its own clock came while the clock was set back."""


class EngineFault(Exception):
    """Judging raised. The engine's memory may be half changed: drop it, reload, and quarantine what is named here."""

    def __init__(self, kind: str, id: str, error: str) -> None:
        super().__init__(f"{kind} {id}: {error}")
        self.kind, self.id, self.error = kind, id, error


class Applied(NamedTuple):
    """What one input came to: the result of a command, and whether anything was changed."""

    result: Result | None = None


class Engine:
    """The one writer's mind. Not thread-safe: whoever applies owns it."""

    def __init__(self, loaded: Loaded, plan: Plan, sources: Mapping[str, Source]) -> None:
        self.state = State(loaded)
        self.plan = plan
        covering.renew(self.state, plan)
        self.sources = sources
        self.changes = Changes()
        self._due: Instant | None = None
        self._asked = False
        """Whether ``_due`` is known: only an input changes when something is due."""

    def take(self) -> Changes:
        """What changed since the last call, to be written in one commit."""
        changes, self.changes = self.changes, Changes()
        return changes

    def next_due(self) -> Instant | None:
        """When a Tick is needed next."""
        if not self._asked:
            self._due, self._asked = self.state.timers.next(), True
        return self._due

    def decode(self, received: Received) -> Heard:
        """Read a request again as it was read when it was received."""
        source = self.sources[received.request.source]
        key = self.state.keys.get(received.key)
        known = self.state.known_of(source.name, key.service if key else received.service)
        return source.decode(received.request, received.at, WIDEST, known)

    def apply(
        self, seq: int, input: AnyInput, now: Instant, heard: Heard | None = None, plan: Plan | None = None
    ) -> Applied:
        """Apply the input at journal place ``seq`` as of ``now`` (never before the last one's).

        ``heard``: what a request says, when the caller has read it already. ``plan``: the plan a PlanChange names.
        Raises EngineFault when judging fails by a fault of its own.
        """
        self._asked = False
        counters = self.state.counters
        counters.applied, counters.now = seq, now
        turn = Turn(self.state, self.plan, self.sources, self.changes, seq, now)
        try:
            match input:
                case Received():
                    self._receive(turn, input, heard)
                case Seen():
                    self._seen(turn, input)
                case Decided():
                    return Applied(self._decide(turn, input))
                case Tick():
                    self._tick(turn, input)
                case Delivered():
                    delivering.delivered(turn, input)
                    looping.delivered(turn, input)
                case Receipted():
                    delivering.reached(turn, input)
                    looping.reached(turn, input)
                case Reported():
                    result = running.reported(turn, input)
                    self._settle(turn)
                    return Applied(result)
                case Unsure():
                    older.complete(turn)
                    paging.unsure(turn, input.pages)
                    running.again(turn, input.runs)
                case PlanChange():
                    fell = self._change_plan(turn, input, plan)
                    self._settle(turn)
                    return Applied(Result(ok=True, message="\n".join(fell)))
                case Deaf():
                    self._deaf(turn, input)
                case CalendarRead():
                    news = covering.is_news(turn, input)
                    covering.read(turn, input)
                    handing.calendar_read(turn, input.name)
                    if news:
                        telling.of_idle(turn, f"the calendar {input.name} says so")
                    if not input.error:
                        waiting.judge_again(turn, news=news)
                case Quarantine():
                    self._quarantine(turn, input)
            self._settle(turn)
        except EngineFault:
            raise
        except Exception as error:
            raise EngineFault(type(input).__name__, str(seq), repr(error)) from error
        return Applied()

    def under_way(self) -> Unsure:
        """What a start that has just read this memory is unsure of, before it begins anything itself."""
        pages = (one.id for one in self.state.pages.values() if one.state == "intended" and one.handed_at is not None)
        runs = (one.number for one in self.state.runs.values() if one.state == "running")
        return Unsure(tuple(sorted(pages)), tuple(sorted(runs)))

    def _settle(self, turn: Turn) -> None:
        """Ask each touched incident once whether somebody must be paged now."""
        while turn.touched:
            number = next(iter(turn.touched))
            del turn.touched[number]
            incident = self.state.incidents.get(number)
            if incident is not None:
                settling.settle(turn, incident)

    def _receive(self, turn: Turn, received: Received, heard: Heard | None) -> None:
        key = self.state.keys.get(received.key)
        if received.aside:
            parking.park(turn, key, received.service, received.request, received.aside)
            return
        if heard is None or heard.repeated:
            heard = self.decode(received)  # what was a repetition when it was read need not be one any more
        late = max(0, turn.now - received.at)
        turn.waited = received.waited > 0
        if turn.waited or late > LATE:
            heard = deafness.later(heard, late, endings=not turn.waited)
        if heard.park:
            parking.park(turn, key, received.service, received.request, heard.fault)
        hearing.hear(turn, key, received.service, received.request.source, heard)

    def _seen(self, turn: Turn, seen: Seen) -> None:
        for at, bitmap in seen.heard:
            for offset, byte in enumerate(bitmap):
                while byte:
                    low = byte & -byte
                    byte ^= low
                    alert = self.state.alerts.get(seen.base + offset * 8 + low.bit_length() - 1)
                    if alert is not None:
                        hearing.refresh(turn, alert, at)

    def _decide(self, turn: Turn, decided: Decided) -> Result:
        named, _, asked = decided.idempotency_key.rpartition(ASKED)  # a sender's own id may hold the mark
        named, asked = (named, asked) if named else (asked, "")
        key = f"{decided.command.actor}\n{named}" if named else ""
        kept = self.state.results.get(key) if key else None
        if kept is not None:
            if kept.asked and asked and kept.asked != asked:
                return refuse("reused", "This idempotency key was used for another request already")
            return kept.result
        result = deciding.decide(turn, decided.command)
        self._settle(turn)
        if key and (result.ok or not (isinstance(decided.command, PullTrigger) or result.code == "taken")):
            # What a trigger was refused began nothing: sent again later it is asked anew. So is an answer to what
            # somebody else had: a button is pressed again when nobody has it any more.
            kept = Kept(key=key, at=turn.now, result=result, asked=asked)
            self.state.results[key] = kept
            self.changes.results.append(kept)
            self.changes.dropped_results.pop(key, None)
        return result

    def _tick(self, turn: Turn, tick: Tick) -> None:
        rung = 0
        for kind, id in self.state.timers.due(turn.now):
            if kind == "alerts":
                for alert in ticking.due_alerts(turn.state, int(id), turn.now):
                    self._ring(turn, tick, "alert", alert)
                    rung += 1
                ticking.watch_again(turn, int(id))
            else:
                self._ring(turn, tick, kind, id)
                rung += SLOW.get(kind, 1)
            if rung >= tick.limit:
                break
        ticking.tidy(turn)

    def _ring(self, turn: Turn, tick: Tick, kind: str, id: int | str) -> None:
        if tick.skip and (kind, str(id)) in tick.skip:
            return
        try:
            ticking.ring(turn, kind, id)
            self._settle(turn)
        except Exception as error:
            raise EngineFault(kind, str(id), repr(error)) from error

    def _change_plan(self, turn: Turn, change: PlanChange, plan: Plan | None) -> list[str]:
        """Judge by another plan from now on. Says what it leaves out that was watched, and which
        playbooks are trusted less for it.
        """
        assert plan is not None, "a plan change comes with its plan"
        plan.follows(self.plan)
        self.plan = turn.plan = plan
        older.complete(turn)  # a start puts a plan in force first, and that asks what pages wait for
        begins = change.paging and not self.state.counters.paging
        first = not self.state.counters.plan
        self.state.counters.plan, self.state.counters.paging = change.version, change.paging
        if not change.paging:
            paging.stop(turn)
        self.state.counters.rounds = still_there(self.state.counters.rounds, plan.escalations, plan.people)
        if change.version != self.state.counters.since_written:  # each start puts the same one in force again
            self.state.counters.since_written = change.version
            self.changes.in_force[turn.now] = change.version
        left = watching.plan_changed(turn)
        theirs = declared.plan_changed(turn)
        methods.set_up_anew(turn)
        fell = starting.plan_changed(turn)
        looping.declare(turn)
        covering.forget(turn)
        covering.renew(self.state, plan)
        handing.arrange(turn, first=first)
        telling.of_idle(turn, handing.NEW_PLAN)
        waiting.plan_changed(turn)
        answering.plan_changed(turn)
        ended = watching.settled(turn)
        if begins:
            for incident in list(self.state.incidents.values()):
                if incident.state == "triggered":
                    settling.begin_again(turn, incident, Reason.PAGING_ON)
                    rising.weigh_all(turn, incident)
        told = (ended, left, theirs)  # what costs most first, and none of it for the others' number
        return [*(line for kind in told for line in watching.few(kind)), *fell]

    def _deaf(self, turn: Turn, deaf: Deaf) -> None:
        """Absence in a time when nothing could be heard proves nothing: what concludes from it is moved.

        Heartbeats, and incidents and runs whose alerts have just ended, are few and moved here. Alerts may be fifty
        thousand, most of them heard of again before they would expire: each counts the time in when its end comes up.
        """
        gaps = self.state.counters.deaf
        length = max(0, deaf.end - deaf.start)
        before = gaps[-1][1] if gaps else 0
        if deaf.continued and gaps:
            gaps[-1] = (gaps[-1][0], max(gaps[-1][1], deaf.end))
            moved = length
        else:
            gaps.append((deaf.start, deaf.start + length))
            del gaps[:-MOST_DEAF]
            moved = length + AFTER_DEAFNESS
        for place, heart in self.state.heartbeats.items():
            if heart.due is not None and heart.state != "late":
                # Its five minutes it has once until it is heard of: a machine that stands still again and again would
                # never find it late.
                heart.due += moved if heart.heard_at >= before else length
                self.changes.heartbeats[place] = heart
        for incident in self.state.incidents.values():
            if incident.clear_at is not None:
                incident.clear_at += moved
                if incident.paused is Reason.CLEARING:
                    incident.paused_until = incident.clear_at
                turn.save_incident(incident)
            if incident.snoozed is not None and incident.snoozed.over_at is not None:
                incident.snoozed.over_at += moved
                turn.save_incident(incident)
        looping.deafened(turn, lambda since: moved if since >= before else length)
        older.complete(turn)  # a start says first that nothing could be heard, and that asks what pages wait for
        answering.deafened(turn, length, moved)
        turn.count("decisions", Reason.DEAF)

    def _quarantine(self, turn: Turn, faulty: Quarantine) -> None:
        """Set aside what could not be judged, and page the last resort about it."""
        if faulty.kind == "incident":
            incident = self.state.incidents.get(int(faulty.id))
            if incident is not None:
                incident.next_at = incident.resume_at = incident.acknowledged_until = incident.clear_at = None
                incident.snoozed_until = incident.snoozed = incident.keep_until = None
                incident.hold_until, incident.held_since, incident.owed = None, None, ()
                incident.works = {key: work for key, work in incident.works.items() if not work.waiting}
                incident.answers, incident.waits, incident.lingers_until = {}, None, None
                releasing.drop_resting(turn, incident)
                incident.paused = incident.paused_until = None
                incident.reason = Reason.QUARANTINED
                turn.enter(incident.number, "Set aside after a fault of Tocsin's own", Reason.QUARANTINED)
                turn.save_incident(incident)
        self._unschedule(turn, faulty.kind, faulty.id)
        hearing.own_event(
            turn,
            "inbox",
            f"quarantine:{faulty.kind}:{faulty.id}",
            f"Tocsin could not judge {faulty.kind} {faulty.id}: {faulty.error}"[:300],
            "critical",
            {"kind": faulty.kind},
            name="Quarantined",
        )

    def _unschedule(self, turn: Turn, kind: str, id: str) -> None:
        if kind == "page" and int(id) in self.state.pages:
            ledger.finish(turn, self.state.pages[int(id)], "failed", Reason.QUARANTINED)
        elif kind == "alert" and int(id) in self.state.alerts:
            alert = self.state.alerts[int(id)]
            alert.ends_at = alert.ttl = None
            alert.stale = True
            turn.save_alert(alert)
        elif kind == "silence" and id in self.state.silences:
            silence = self.state.silences.pop(id)
            silence.closed = True
            self.changes.silences[id] = silence
            ticking.rejudge(turn, silence)  # what it kept quiet is quiet no longer
        elif kind == "run" and int(id) in self.state.runs:
            asking.heard(turn, self.state.runs[int(id)], Reason.QUARANTINED)
            answering.hand_over(turn, self.state.runs[int(id)], "judging it failed", Reason.QUARANTINED)
        elif kind == "loop":
            looping.set_aside(turn, id)
        elif kind == "override" and int(id) in self.state.overrides:
            overriding.close(turn, self.state.overrides[int(id)])
        elif kind == "notice" and id in self.state.duties:
            duty = self.state.duties[id]
            duty.at = duty.on = duty.ahead = None
            self.changes.duties[id] = duty
        elif kind == "heartbeat":
            service, _, name = id.partition("/")
            heart = self.state.heartbeats.get((service, name))
            if heart is not None:
                heart.due = None
                self.changes.heartbeats[service, name] = heart
