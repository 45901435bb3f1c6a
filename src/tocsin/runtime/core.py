"""The core process: listener, writer, timers, delivery, probing and the line to the faces, put to work together."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
from msgspec import structs

from tocsin.engine.commands import ANSWERS, AnyCommand, Result
from tocsin.engine.covering import idle
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import CalendarRead, Deaf, Decided, PlanChange
from tocsin.intake.request import Reply
from tocsin.kernel.instant import Duration
from tocsin.oncall.imported import Imported
from tocsin.pages.ledger import Page
from tocsin.pages.loops import Loop
from tocsin.pages.message import Channel, Message
from tocsin.pages.rules import reaches
from tocsin.plan.model import Plan
from tocsin.runtime import points
from tocsin.runtime.answers import Answers
from tocsin.runtime.begun import Begun
from tocsin.runtime.composing import awaited, compose, severity
from tocsin.runtime.declaring import Declaring, Kept
from tocsin.runtime.delivery import Delivery
from tocsin.runtime.doors import Doors
from tocsin.runtime.front import Front
from tocsin.runtime.jobs import Committed, Job
from tocsin.runtime.line import Changed, Firing, HeardReply, Known, Reloaded, Status, Weighing
from tocsin.runtime.listener import Exchange
from tocsin.runtime.loopback import Loopback
from tocsin.runtime.metrics import Metrics
from tocsin.runtime.own_requests import MOST_FINDINGS, OwnRequests
from tocsin.runtime.parts import Parts, PlanRead
from tocsin.runtime.points import Point
from tocsin.runtime.probing import Prober
from tocsin.runtime.running import Runs
from tocsin.runtime.tally import firing
from tocsin.runtime.upkeep import Upkeep
from tocsin.runtime.weighing import weighed
from tocsin.runtime.writer import NOTHING_TAKEN, Writer

log = structlog.get_logger("tocsin.core")

LONGEST_START = 20.0
CALENDARS_WITHIN = 3.0
"""Seconds a new plan's calendars have to be looked at before the answer says how that went."""
MOST_LOGGED = 50
MOST_UNWRITTEN = 20_000
"""More inputs that are in memory alone than this, and people's commands are refused until some are written."""
UNWRITTEN = f"It is in force, but not written down yet: {NOTHING_TAKEN}. That is done when it does"
CHANGED_MEANWHILE = "The plan folder has changed since it was looked at: look again at what it changes"
PLAN_KEY = "tocsin:plan"
"""The deduplication key of what is told when the plan on disk could not be used at a start."""
KEYS_KEY = "tocsin:keys"
"""That of what is told when secrets of keys that the plan declares are not to be had."""


class Core:
    """Everything that must go on at night. One per node; the faces are elsewhere."""

    def __init__(self, parts: Parts, plan: PlanRead) -> None:
        assert plan.plan is not None
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._plan = plan.plan
        self._stopped = asyncio.Event()
        self.fault: BaseException | None = None
        self.ready = False
        self.started_at = parts.clock.now()
        self.counted: Counter[tuple[str, str]] = Counter()
        self._reloading = asyncio.Lock()
        self._begin = Begun()
        self.writer = Writer(parts.store, self._plan, parts.sources, parts.clock, self._committed, self._fatal)
        self._judging = self.writer.engine
        self.doors = Doors(self.writer, parts.sources, parts.clock)
        self._own = OwnRequests(
            self.doors, parts.sources, parts.clock, lambda: self._plan, lambda: self.writer.engine.state
        )
        self.delivery = Delivery(
            self._compose, self.writer.urgent, self._severity, lambda *said: self.answers.spoke(*said)
        )
        self.upkeep = Upkeep(
            self.writer,
            self.doors,
            self.delivery,
            parts.clock,
            parts.ballast,
            sound=self._tell_outside,
            shut=lambda: self.runs.call_people() if self.runs is not None else None,
        )
        self.answers = Answers(
            lambda: self.writer.engine.state,
            self.submit,
            self._apply,
            parts.clock,
            parts.public_url,
            lambda: self.writer.away,
        )
        self._files: dict[str, Mapping[str, bytes]] = {self._plan.version: plan.files}
        """The files of the plan in force, and of those that runs were begun with."""
        self.runs: Runs | None = None
        if parts.runner is not None:
            self.runs = Runs(
                parts.runner,
                lambda: self.writer.engine.state,
                lambda: self._plan,
                lambda version: self._files.get(version),
                parts.secret,
                self._apply,
                self.writer.urgent,
                lambda service: self._prober.measured(service) if self._prober is not None else (),
            )
        self.loopback = Loopback(
            lambda: self.writer.engine.state, self.writer.urgent, parts.clock, parts.signing_key
        )
        self._metrics = Metrics(self)
        self._front: Front | None = None
        self._prober: Prober | None = None
        self._calendars = parts.calendars(plan.plan.calendars, self._calendar_read)
        self._declaring = Declaring(self._declare_again, self._tell_of_keys)
        self._read = plan
        self._plan_refused = plan.refused
        """What is wrong with the plan on disk, when another judges; () when that one does."""
        self._faces_up = False
        self._beating: asyncio.Task[None] | None = None
        """Ends after all the others: what the end takes its time for is no deafness."""

    async def start(self) -> None:
        """Catch up with the time in which nothing was heard, then begin to judge, page and probe."""
        now = self._parts.clock.now()
        counters = self.writer.engine.state.counters
        alive = int(self._parts.store.meta("alive_at") or b"0")
        last = max(alive, counters.now)
        # Before the writer looks at the clock for the first time: the ways out, and that nothing could be heard.
        await self.delivery.replace(self._parts.channels(self._plan), self._plan.paces)
        keys = self._parts.declared_keys(self._plan)
        self._declaring.declared(keys.kept)
        if last:
            self.writer.urgent(Job(Deaf(last, now)))
        change = PlanChange(self._plan.version, self._parts.paging)
        unsure = self.writer.engine.under_way()  # as it was left: a page that the plan has leave now is none of these
        first = (Job(change, plan=self._plan, files=self._read.files), Job(Decided(keys)), Job(unsure))
        answers = [asyncio.ensure_future(self._apply(job)) for job in first]
        await asyncio.sleep(0)  # all of them wait in the writer's queue now
        for run in list(self.writer.engine.state.runs.values()):
            files = self._parts.store.plan_files(run.plan) if run.live and run.plan not in self._files else None
            if files is not None:  # read now: the store is the writer's from here on
                self._files[run.plan] = files
        self._beating = asyncio.create_task(self.writer.time.pulse.run())
        self.writer.start()
        done, _ = await asyncio.wait(answers, timeout=LONGEST_START)
        if len(done) < len(answers) or any(answer.result().unwritten for answer in done):
            log.error("not_written_down", why="the database takes nothing; paging goes on, and it is tried again")
        _told_of(first[0])
        self.answers.replace(self.delivery.channels)
        self._prepare(self._read.files)
        self._prober = self._parts.prober(self._plan.probes, self._own.probed)
        self._begin(self._prober.run())
        self._begin(self._calendars.run())
        if self._plan_refused:
            log.error("plan_refused", actor="start", findings=list(self._plan_refused[:20]))
        self._begin(self._tell_of_plan())
        self._begin(self._declaring.run())
        self._begin(self.upkeep.run())
        if self.runs is not None:
            self._begin(self.runs.fence(lambda: self._parts.store.safe_until))

    def answer(self, front: Front) -> None:
        """Open the doors: answer what comes by them from now on."""
        self._front = front
        front.listener.heeds = lambda: self.writer.time.pulse.stopped() is not None
        front.turn_to(self)
        self.ready = True
        self._begin(self._meet_faces(front.faces))

    async def _meet_faces(self, path: Path) -> None:
        """Ready means that pages can be opened too; later on, their absence alone makes nothing unready."""
        while not self._faces_up:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(path)
                writer.close()
                self._faces_up = True
                return
            await asyncio.sleep(0.02)

    async def run(self) -> None:
        """Until stopped. Raises what ended the writer, if it failed."""
        await self._stopped.wait()
        self.ready = False
        sound = self.fault is None  # without its writer nothing can be finished: be started again at once
        if not sound:  # what waits in the lanes may be acknowledged by now, or another node's to send
            await self.delivery.close()
        await self._begin.end()
        if self._front is not None:
            await self._front.close(5.0 if sound else 0.0)
        if self.runs is not None:
            await self.runs.close()
        await self.answers.close()
        if sound:
            await self.delivery.close(2.0)
        if self._front is not None:
            await self._front.line.close()
        if self.fault is None:
            await asyncio.to_thread(self.writer.stop)
        if self._beating is not None:
            self._beating.cancel()
        if self.fault is not None:
            raise self.fault

    def stop(self) -> None:
        """Ask it to end."""
        self._stopped.set()

    # -- what others ask -----------------------------------------------------------------------------------------------

    async def submit(self, command: AnyCommand, idempotency_key: str = "", until: Duration = 0) -> Result:
        """Have a command decided; answers after the commit. ``until``: see AskSubmit.

        While nothing can be written, what people say to a page is decided all the same, and the answer says how it is.
        """
        if self.writer.away and (not isinstance(command, ANSWERS) or self.writer.unwritten > MOST_UNWRITTEN):
            return Result(ok=False, code="unavailable", message=f"Nothing was changed: {NOTHING_TAKEN}")
        job = await self._apply(Job(Decided(command, idempotency_key), until=until))
        if job.unwritten and job.result is not None and job.result.ok:
            return structs.replace(job.result, ok=False, code="unwritten", message=UNWRITTEN)
        if job.result is not None and not job.failed:
            return job.result
        return Result(ok=False, code="unavailable", message=f"It could not be decided: {job.failed}")

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        """Take events for a service on behalf of a signed-in user."""
        return await self._own.events(service, body, actor)

    async def reload(self, actor: str, only: str = "") -> Reloaded:
        """Read the plan again, and put it in force when it is good. Nothing is while nothing can be written.

        ``only``: the version somebody looked at before they asked; another one is not put in force.
        """
        if self.writer.away:
            return Reloaded(False, False, self._plan.version, (f"Nothing was changed: {NOTHING_TAKEN}",), looked=False)
        async with self._reloading:
            try:
                read = await asyncio.to_thread(self._parts.read_plan)
            except OSError as error:
                self._plan_refused = (str(error),)
                return Reloaded(False, False, self._plan.version, (str(error),))
            if read.plan is None or not read.ok:
                self._plan_refused = read.findings
                log.warning("plan_refused", actor=actor, findings=list(read.findings[:20]))
                return Reloaded(False, False, self._plan.version, read.findings)
            if only not in ("", read.plan.version):
                return Reloaded(False, False, self._plan.version, (CHANGED_MEANWHILE,))
            changed = read.plan.version != self._plan.version
            try:
                written, fell = await self._put_in_force(read.plan, read.files)
            except (LookupError, ValueError) as error:
                self._plan_refused = (str(error),)
                log.warning("plan_refused", actor=actor, why=str(error))
                return Reloaded(False, False, self._plan.version, (*read.findings, str(error)))
            if self._prober is not None:
                self._prober.replace(read.plan.probes)
            self._calendars.replace(read.plan.calendars)
            self._plan_refused = ()
            await self._tell_of_plan()
            log.info("plan_in_force", actor=actor, version=read.plan.version, changed=changed)
            findings = (*read.findings, *fell) if written else (*read.findings, *fell, UNWRITTEN)
            findings += tuple(await self._calendars.faults(CALENDARS_WITHIN))
            state = self.writer.engine.state
            overrides = idle(read.plan, state.overrides, state.covers, self._parts.clock.now())
            findings += tuple(f"warning: {sentence}" for _, sentence in overrides)
            return Reloaded(True, changed, read.plan.version, findings)

    def take(self, exchange: Exchange) -> bool:
        """Take a request if a monitor sent it."""
        return self.doors.handle(exchange) or self.answers.handle(exchange) or self.loopback.handle(exchange)

    def refusal(self, path: str, status: int, message: str) -> Reply | None:
        """How a monitor's door words what was refused before it was a request."""
        return self.doors.refusal(path, status, message)

    def faults(self) -> tuple[str, ...]:
        """Why it cannot do all of its work now; () when it can."""
        if not self._faces_up:
            return ("the pages are starting",)
        return self.upkeep.faults

    def remarks(self) -> tuple[str, ...]:
        """That it judges by another plan than the one on disk, when it does."""
        if not self._plan_refused:
            return ()
        return (f"the plan on disk is refused, the last good one is in force: {self._plan_refused[0]}",)

    def metrics(self) -> bytes:
        """What it counted and measured, in Prometheus' text format."""
        return self._metrics.text()

    def status(self) -> Status:
        """How it is."""
        state = self.writer.engine.state
        return Status(
            ready=self.ready,
            paging=self._parts.paging,
            started_at=self.started_at,
            now=self._parts.clock.now(),
            plan_version=self._plan.version,
            real_channel_proven_at=state.counters.proven_at,
            alerts_live=sum(max(0, n) for n in list(state.active_by_key.values())),
            incidents_open=sum(i.open for i in list(state.incidents.values())),
            waiting=self.writer.waiting,
            audit=self.upkeep.audit.faults,
            audit_at=self.upkeep.audit.at or None,
            requests=self.doors.requests,
            refused=self.doors.refused,
            public_url=self._parts.public_url,
            mail_ready=self._plan.mail is not None,
            plan_refused=self._plan_refused[:MOST_FINDINGS],
            plan_folder=self._parts.plan_folder,
            console_only=not any(reaches(state.contacts_by(key), self._plan.reaches) for key in self._plan.people),
        )

    def known(self, token: bytes, user: int) -> Known:
        """Who a token's hash or a user's id names."""
        state = self.writer.engine.state
        found = state.tokens_by_hash.get(token)
        return Known(found, state.users.get(found.user if found is not None else user))

    async def guards(self, service: str, playbook: str, target: str, run: int) -> Weighing:
        """What is left of a playbook's guards now, or of a run's that lives."""
        return await weighed(self.writer, service, playbook, target, run)

    def firing(self, incident: int, newest: int = 0) -> Firing:
        """How many alerts fire, of an incident or (0) of all, and how many of them each silence keeps quiet."""
        return firing(self.writer.engine.state, incident, newest)

    def counts(self) -> dict[tuple[str, str], int]:
        """Decisions by kind and reason since the start."""
        return dict(self.counted)

    def loops(self) -> list[Loop]:
        """What is known of each channel's synthetic page."""
        return list(self.writer.engine.state.counters.loops.values())

    def calendars(self) -> list[Imported]:
        """What is known of each calendar that is kept elsewhere."""
        return list(self.writer.engine.state.calendars.values())

    def levels(self) -> dict[str, tuple[float, str]]:
        """What the metrics page shows as levels."""
        status = self.status()
        return {
            "requests_total": (status.requests, "Requests with events, taken or refused."),
            "requests_refused_total": (status.refused, "Those of them that were refused."),
            "commits_total": (self.writer.commits, "Commits of the writer."),
            "alerts_firing": (status.alerts_live, "Alerts that fire."),
            "incidents_open": (status.incidents_open, "Incidents that are not resolved."),
            "inputs_waiting": (status.waiting, "Inputs that wait for the writer."),
            "pages_under_way": (self.delivery.under_way, "Pages handed to a channel and not answered yet."),
            "connections": (self._front.listener.connections if self._front else 0, "Open connections."),
            "audit_faults": (len(status.audit), "Faults the self-audit found last; anything but 0 needs a person."),
            "inputs_unwritten": (self.writer.unwritten, "Inputs in memory alone, because the database takes nothing."),
            "journal_applied": (self.writer.engine.state.counters.applied, "The last journal row applied."),
        }

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _put_in_force(self, plan: Plan, files: Mapping[str, bytes]) -> tuple[bool, list[str]]:
        """Have another plan judge from now on; says whether it is written down, and which playbooks it cost trust.

        Raises ValueError or LookupError when it cannot.
        """
        keys = self._parts.declared_keys(plan)
        before, channels = self.delivery.channels, self._parts.channels(plan)
        used = {run.plan for run in list(self.writer.engine.state.runs.values()) if run.live} | {self._plan.version}
        self._files = {version: held for version, held in self._files.items() if version in used}
        self._files[plan.version] = files
        # A page of the new plan finds its channel, and one under way still finds that of the old.
        await self.delivery.replace({**channels, **before})
        gone: list[Channel] = []

        def turns(change: Job) -> None:
            """Before the pages of this very commit leave: they are by the new plan, and so are their channels."""
            if not change.failed:
                self._plan = plan
                gone.extend(self.delivery.use(channels, plan.paces))
                self.answers.replace(channels)

        change = Job(PlanChange(plan.version, self._parts.paging), plan=plan, files=files)
        changed = await self._apply(change, turns)
        if changed.failed:
            await self.delivery.replace(before)
            raise ValueError(f"the plan could not be put in force: {changed.failed}")
        for channel in gone:
            await channel.close()
        self._prepare(files)
        declared = await self._apply(Job(Decided(keys)))
        if declared.failed:
            raise ValueError(f"the plan is in force, but not the keys it declares: {declared.failed}")
        self._declaring.declared(keys.kept)
        return not (changed.unwritten or declared.unwritten), _told_of(changed)

    def _prepare(self, files: Mapping[str, bytes]) -> None:
        """Have the plan's playbooks imported, so that the first run finds them ready. Nobody waits for it."""
        if self._parts.runner is not None:
            self._begin(self._parts.runner.prepare(files))

    async def _tell_of_plan(self) -> None:
        """Tell the inbox that a start found a plan that is no good, and when that is over.

        A reload tells whoever asked for it; nobody may be there to see a start.
        """
        title = "The plan on disk has errors; the last good one is in force"
        await self._own.tell_inbox(PLAN_KEY, title, "PlanRefused", "errors", self._plan_refused)

    async def _declare_again(self) -> Kept:
        """Declare the keys of the plan in force whose secrets are to be had by now; says which stay as they were."""
        async with self._reloading:
            keys = await asyncio.to_thread(self._parts.declared_keys, self._plan)
            if self.writer.away or set(keys.kept) == set(self._declaring.kept):
                return self._declaring.kept
            done = await self._apply(Job(Decided(keys)))
            log.info("keys_declared", not_to_be_had=len(keys.kept), failed=done.failed or None)
            return self._declaring.kept if done.failed else keys.kept

    async def _tell_of_keys(self, kept: Kept) -> bool:
        """Tell the inbox which keys stay as they were, because their secrets are not to be had, and when that is over.

        A monitor whose key was never to be had is refused meanwhile.
        """
        title = "Secrets of keys are not to be had; the keys in use stay in use, and a new one is not known yet"
        names = tuple(f"{name} of {service} ({source})" for source, service, name in kept)
        return await self._own.tell_inbox(KEYS_KEY, title, "KeysNotToBeHad", "keys", names)

    async def _apply(self, job: Job, then: Callable[[Job], None] | None = None) -> Job:
        """Have an input judged; answers after the commit. ``then`` is called at once, before anybody goes on."""
        answered: asyncio.Future[Job] = self._loop.create_future()

        def done(job: Job) -> None:
            if then is not None:
                then(job)
            if not answered.done():
                answered.set_result(job)

        job.done = done
        self.writer.urgent(job)
        return await answered

    async def _calendar_read(self, read: CalendarRead) -> None:
        job = await self._apply(Job(read))
        if job.failed:
            raise RuntimeError(f"what a calendar says was not kept: {job.failed}")

    def _compose(self, page: Page) -> Message | None:
        parts = self._parts
        state, now = self.writer.engine.state, parts.clock.now()
        return compose(state, self._plan, page, now, parts.public_url, parts.signing_key)

    def _severity(self, page: Page) -> str:
        return severity(self.writer.engine.state, page)

    def _committed(self, committed: Committed, engine: Engine) -> None:
        """On the writer's thread: hand over to the loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed while stopping
            self._loop.call_soon_threadsafe(self._tell, committed, engine)

    def _tell(self, committed: Committed, engine: Engine) -> None:
        changes = committed.changes
        points.passed(Point.TOLD, changes)
        if self.delivery.waits:  # what is not written down is not named here: then any incident may have become graver
            state = self.writer.engine.state
            self.delivery.regrade(awaited(state, changes.incidents) if committed.kept else None)
        for page in changes.deliver.values():
            if not committed.kept:
                log.warning("page_unrecorded", page=page.id, incident=page.incident, person=page.person)
            self.delivery.hand(page)
        if self.runs is not None and committed.kept:
            for number, attempt in changes.halt:
                self.runs.halt(number, attempt)
            for run in changes.begin.values():
                self.runs.begin(run)
        for job in committed.jobs:
            if job.done is not None:
                try:
                    job.done(job)
                except Exception:  # one answer that cannot be given must not cost the others theirs
                    log.exception("answer_fault")
        if not committed.kept:
            self.upkeep.close_intake()
        for _, entry in changes.entries[:MOST_LOGGED]:
            log.info(
                "decided", incident=entry.incident, reason=str(entry.reason), what=entry.what[:200], actor=entry.actor
            )
        if changes.keys or engine is not self._judging:
            # Memory that was read anew may hold keys that nobody was told of: the answer to their commit was lost.
            self._judging = engine
            self.doors.forget_keys()
            if self._front is not None:
                self._front.listener.heads.clear()
        if changes.counted:
            self.counted.update(changes.counted)
        kinds = changes.kinds()
        if self._front is not None and (kinds or changes.incidents):
            self._front.line.tell(Changed(tuple(changes.incidents), kinds))
        self.upkeep.mind_deafness()

    def _tell_outside(self) -> None:
        """Something outside is to notice when this stops coming."""
        if self._plan.outside_heartbeat:
            self._parts.outside(self._plan.outside_heartbeat)

    def _fatal(self, error: BaseException) -> None:
        self.fault = error
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopped.set)


def _told_of(change: Job) -> list[str]:
    """What a change of plan leaves out that was watched, and which playbooks it cost trust, as sentences; they are
    logged.
    """
    told = change.result.message.splitlines() if change.result is not None else []
    for sentence in told:
        log.warning("plan_costs", why=sentence.removeprefix("warning: "))
    return told
