"""Everything a handler of any face works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tocsin.access.credentials import Token, User
from tocsin.engine.commands import AnyCommand, Result
from tocsin.engine.covering import laid_over, reckoned
from tocsin.faces.comparing import Comparer
from tocsin.faces.core import CoreClient, CoreGone
from tocsin.faces.disk import OnDisk
from tocsin.faces.live import Live
from tocsin.faces.passwords import Guesses
from tocsin.faces.problem import Problem, not_found, refused, unavailable
from tocsin.kernel.instant import Instant
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import covers_by_schedule
from tocsin.oncall.schedule import LONGEST_TURN
from tocsin.plan.model import Covers, Plan
from tocsin.plan.turns import NOBODY, Turns
from tocsin.runtime.line import Firing, Weighing
from tocsin.store.reads import Reads

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_READ = 8.0
"""Seconds. Statements are bounded by the database; this is for one that does not even say so."""
WEIGHED_WITHIN = 1.0
"""Seconds a page waits for what is left of guards; it is shown without, and says so."""
LINK_PATH = "/sign-in/link/"
"""Where a one-time sign-in link leads; the secret follows."""


class FaceSettings(Struct, frozen=True, kw_only=True):
    """What the faces are told. ``public_url`` has no slash at its end; ``cookie_secure`` None: as the request came.

    ``push_key``: the public key of web push, "" where it is not installed.
    ``threads`` is how many reads run at once, ``waiting`` how many more may wait before callers are asked to come back.
    """

    public_url: str
    cookie_secure: bool | None = None
    paging: bool = True
    threads: int = 4
    waiting: int = 128
    version: str = ""
    push_key: str = ""


class _Told(Struct):
    """What the faces read of the engine's counters."""

    rounds: dict[str, tuple[str, ...]] = {}


class Faces:
    """The faces' parts: reads, the line to the core, the clock, the signing key.

    ``read_plan`` turns a version and its files into the Plan (the plan room's reader, handed in by the wiring).
    ``disk``: the plan folder, None where there is none to look at.
    """

    def __init__(
        self,
        *,
        reads: Reads,
        core: CoreClient,
        clock: Callable[[], Instant],
        signing_key: bytes,
        settings: FaceSettings,
        read_plan: Callable[[str, Mapping[str, bytes]], Plan],
        disk: OnDisk | None = None,
    ) -> None:
        if len(signing_key) < 32:
            raise ValueError("the signing key needs 32 bytes")
        self.reads = reads
        self.core = core
        self.clock = clock
        self.signing_key = signing_key
        self.settings = settings
        self.disk = disk
        self.comparer = Comparer()
        self.guesses = Guesses()
        self.live = Live(core.changes)
        self.hashing = asyncio.Semaphore(2)
        self._weighing = asyncio.Semaphore(4)
        """So few questions about guards at once: they are answered by the thread that judges."""
        self._read_plan = read_plan
        self._plan: tuple[str, Plan] | None = None
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="reads")
        self._asked = 0

    def now(self) -> Instant:
        """The wall clock."""
        return self.clock()

    def link(self, path: str) -> str:
        """An absolute address of this server."""
        return self.settings.public_url.rstrip("/") + path

    async def read(self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a read in the pool: ``await faces.read(faces.reads.incident, 17)``.

        Problem 503 when too many wait, or the database does not answer.
        """
        if self._asked >= self.settings.threads + self.settings.waiting:
            raise unavailable("too many reads are waiting")
        self._asked += 1
        try:
            async with asyncio.timeout(LONGEST_READ):
                return await asyncio.get_running_loop().run_in_executor(self._pool, partial(ask, *args, **kwargs))
        except (OperationalError, PoolTimeout, TimeoutError) as error:
            raise unavailable("the database does not answer") from error
        finally:
            self._asked -= 1

    async def found(self, what: str, ask: Callable[P, T | None], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a read finds: ``await faces.found("incident #17", faces.reads.incident, 17)``.

        Problem 404, which says that there is no such thing, when it finds nothing; else as ``read``.
        """
        found = await self.read(ask, *args, **kwargs)
        if found is None:
            raise not_found(what)
        return found

    async def bearer(self, digest: bytes) -> tuple[Token, User] | None:
        """A bearer token and its user. While the database does not answer, as the core remembers them."""
        try:
            return await self.read(self.reads.bearer, digest)
        except Problem:
            known = await self.core.known(token=digest)
            return (known.token, known.user) if known.token is not None and known.user is not None else None

    async def user(self, number: int) -> User | None:
        """The user with that id. While the database does not answer, as the core remembers them."""
        try:
            return await self.read(self.reads.user_by_id, number)
        except Problem:
            return (await self.core.known(user=number)).user

    async def submit(self, command: AnyCommand, idempotency_key: str = "") -> Result:
        """Have a command decided. Raises Problem when it is refused, CoreGone (503) when nobody decides."""
        result = await self.core.submit(command, idempotency_key)
        if not result.ok:
            raise refused(result)
        return result

    async def guards(self, service: str, playbook: str, target: str = "", run: int = 0) -> Weighing:
        """What is left of a playbook's guards now, as the engine has it. Says why when nobody can say."""
        try:
            async with self._weighing, asyncio.timeout(WEIGHED_WITHIN):
                return await self.core.guards(service, playbook, target, run)
        except (CoreGone, TimeoutError):
            return Weighing(why="Tocsin's core does not answer at the moment")

    async def firing(self, incident: int = 0, newest: int = 0) -> Firing | None:
        """How many alerts fire, of an incident or (0) of all, and how many each silence keeps quiet, as the engine has
        it; ``newest``: how many of those a page of the incident is about are named. None when nobody can say.
        """
        try:
            async with asyncio.timeout(WEIGHED_WITHIN):
                found = await self.core.firing(incident, newest)
        except (CoreGone, TimeoutError):
            return None
        return found if found.count is not None else None

    async def plan(self) -> Plan | None:
        """The plan in force, read once per version; None before the first."""
        return await self.read(self._current_plan)

    async def turns(self, covers: Covers) -> Turns:
        """Whose turn is next at steps that page one of several; of who is on call where they name schedules, now."""
        plan = await self.plan()
        if plan is None or not plan.takes_turns:
            return NOBODY
        people = {one.key for step in plan.takes_turns for one in plan.people_of(step.targets, self.now(), covers)}
        known = await self.read(self.reads.contacts_of, sorted(people))
        able = frozenset(one.person for one in known if one.trusted and one.channel in plan.reaches)
        told = await self.read(self.reads.meta, "counters")
        return Turns(msgspec.json.decode(told, type=_Told).rounds if told else {}, able)

    async def calendars(self) -> dict[str, Imported]:
        """What calendars that are kept elsewhere said last, by name, where any of them closes hours of the plan."""
        plan = await self.plan()
        if plan is None or not plan.has_holidays:
            return {}
        return {one.name: one for one in await self.read(self.reads.calendars)}

    async def covers(self, since: Instant | None = None, schedule: str = "", plan: Plan | None = None) -> Covers:
        """The overrides that count from an instant on (without it: now), by schedule of a plan (without it: in force).

        Those too that ended before it, as far back as a shift that is on then may have been cut by one.
        """
        since = (self.now() if since is None else since) - LONGEST_TURN
        found = await self.read(self.reads.overrides_since, since, schedule)
        overrides = {one.id: one for one in found}
        plan = plan or await self.plan()
        if plan is None or not plan.calendars:
            return covers_by_schedule(overrides)
        calendars = {one.name: one for one in await self.read(self.reads.calendars)}
        standing = await asyncio.to_thread(reckoned, plan, calendars)
        kept = {key: covers for key, covers in standing.items() if schedule in ("", key)}
        return laid_over(kept, overrides)

    def _current_plan(self) -> Plan | None:
        version = self.reads.plan_version()
        known = self._plan
        if known is None or known[0] != version:
            files = self.reads.plan_files(version) if version else None
            if files is None:
                return None
            known = self._plan = (version, self._read_plan(version, files))
        return known[1]

    async def close(self) -> None:
        """Let go of everything."""
        await self.live.close()
        await self.core.close()
        self.comparer.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
