"""The core: its real parts, and how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import importlib.metadata
import os
import secrets
import signal
import socket
import sqlite3
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog

from tocsin.plan.model import Plan
from tocsin.playbooks.runner.pool import Pool
from tocsin.runtime.begun import Begun
from tocsin.runtime.calendars import Calendars
from tocsin.runtime.clock import Clock, SystemClock
from tocsin.runtime.core import Core
from tocsin.runtime.first_run import first_run, leave_address
from tocsin.runtime.front import Front
from tocsin.runtime.outbound import Outbound
from tocsin.runtime.parts import Parts, PlanRead
from tocsin.runtime.probing import Prober
from tocsin.runtime.standby import Standby
from tocsin.runtime.supervisor import DO_NOT_RESTART
from tocsin.settings import Settings
from tocsin.store.opening import damage, open_writer, url_for
from tocsin.store.writer import LeaseLost, Stopped, Store
from tocsin.wiring.plans import declared_keys, files_in_force, last_good, plan_reader
from tocsin.wiring.plugs import channels, probes, sources
from tocsin.wiring.starter import begin_with_starter

SECRETS_WITHIN = 3.0
"""Seconds a start waits for the secrets command; what it says later counts when it is said."""
HOLD_EVERY = 1.0
"""Seconds after which the right to write is renewed while the writer that does so is not there yet."""
SOON = 0.3
"""Seconds after which a node that may not write yet answers as a standby."""

log = structlog.get_logger("tocsin")

T = TypeVar("T")


async def core(settings: Settings) -> int:
    """Judge, page and probe until told to end, once this node may. Returns the process's exit code.

    A database that is damaged ends everything with a word on what to do, for no new start mends it.
    """
    try:
        return await _core(settings)
    except LeaseLost as error:
        log.warning("stands_by", why=str(error))
        return 0
    except sqlite3.Error as error:
        said = damage(url_for(settings.data, settings.database), error)
        if not said:
            raise
        log.critical("database_damaged", why=said)
        return DO_NOT_RESTART
    finally:
        settings.end_asking()


async def _core(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    clock, outside, begin, stop = SystemClock(), Outbound(), Begun(), threading.Event()
    pool = _pool(settings)
    # From here on a wish to read the plan again is kept until there is somebody to do it.
    reloads = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, reloads.set)
    _when_told_to_end(stop.set)
    reading = plan_reader(settings, within=SECRETS_WITHIN, confining=False)
    # Before this node asks whether it may write: meanwhile one that has read its plan can page people.
    found = await asyncio.to_thread(reading)
    try:
        store, front = await _until_this_node_writes(settings, clock, stop, pool, begin)
    except Stopped:
        await pool.close()
        return 0
    except (OSError, ValueError) as error:
        log.critical("nothing_started", why=str(error))
        return DO_NOT_RESTART
    try:
        starter = await asyncio.to_thread(begin_with_starter, settings, store)
    except OSError as error:
        log.critical("nothing_started", why=f"a starter plan cannot be written to {settings.plan_folder}: {error}")
        return await _ended(front, store, pool, DO_NOT_RESTART)
    if starter or front.opened:  # it stood by, and the plan may be another by now
        found = await holding(store, clock, asyncio.to_thread(reading))
    read = await _plan_to_begin_with(settings, store, clock, outside, found)
    if read.plan is None or stop.is_set():
        return await _ended(front, store, pool, DO_NOT_RESTART if read.plan is None else 0)
    core = Core(_parts(settings, store, clock, outside, begin, pool), read)

    def end() -> None:
        stop.set()
        core.stop()

    _when_told_to_end(end)
    try:
        await core.start()
        await front.open(settings.host, settings.port, _tls(settings), settings.socket("core"))
    except (OSError, ValueError) as error:
        log.critical("nothing_started", why=str(error))
        return DO_NOT_RESTART
    core.answer(front)
    # What exists now stays; the collector need not look at it again, and new things mostly die without it.
    gc.collect()
    gc.freeze()
    await _greet(settings, core, read.plan, clock, starter)
    if not starter:  # of the plan that Tocsin has just written itself the pages say it
        _tell_findings(read.findings, None)
    loop.add_signal_handler(signal.SIGHUP, lambda: begin(core.reload("signal:SIGHUP")))
    if reloads.is_set():
        begin(core.reload("signal:SIGHUP"))
    log.info("ready", address=settings.base_url, paging=settings.paging, plan=read.plan.version[:12])
    try:
        await core.run()
    except sqlite3.Error as error:  # started again at once; when the file itself is damaged, that start says so
        log.critical("database_failed", error=repr(error))
        return 1
    await outside.close()
    return 0


async def _ended(front: Front, store: Store, pool: Pool, code: int) -> int:
    """Let go of everything before anything began. Returns the exit code."""
    await front.close()
    await front.line.close()
    store.close()
    await pool.close()
    return code


def _when_told_to_end(end: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)


async def holding(store: Store, clock: Clock, work: Awaitable[T]) -> T:
    """Something that takes its time and does not use the store, while this node stays the one that writes.

    Raises LeaseLost when another one is. A database that is away meanwhile is for the writer to wait for.
    """
    doing = asyncio.ensure_future(work)
    while not (await asyncio.wait((doing,), timeout=HOLD_EVERY))[0]:
        try:
            await asyncio.to_thread(store.housekeep, clock.now())
        except Exception as error:
            if not store.takes_nothing(error):
                raise
    return await doing


async def _plan_to_begin_with(
    settings: Settings, store: Store, clock: Clock, outside: Outbound, found: PlanRead
) -> PlanRead:
    """The plan as it was ``found`` in its folder, else the last good one; without either its plan is None, and why has
    been said. Whoever keeps the secrets has a moment only: nobody is paged meanwhile.
    """
    read = told = _usable(settings, found, outside, _signing_key(store))
    _tell_findings(told.findings, log.warning if told.ok else log.error)
    if read.plan is None or not read.ok:
        kept = await asyncio.to_thread(files_in_force, store)
        working = asyncio.to_thread(last_good, settings, kept, read.findings, SECRETS_WITHIN)
        read = await holding(store, clock, working)
        _tell_findings((one for one in read.findings if one not in told.findings), log.warning)
    if read.plan is None:
        log.critical(
            "plan_refused",
            why=f"the plan in {settings.plan_folder} has errors and none was in force before; nothing was started",
        )
    return read


def _tell_findings(findings: Iterable[str], say: Callable[..., object] | None) -> None:
    """Say what is to be known about the plan, each on a line. ``say`` None: only notices, of which nobody is warned."""
    for finding in findings:
        notice = ": notice: " in finding.partition("\n")[0]
        if notice == (say is None):
            (say or log.info)("plan_finding", finding=finding.replace("\n    ", ". "))


async def _greet(settings: Settings, core: Core, plan: Plan, clock: Clock, starter: bool) -> None:
    """Say where it is to be found, and to a newcomer how to begin."""
    link_wanted = sys.stdout.isatty()
    lines = await first_run(core, plan, settings.data, settings.base_url, clock.now(), link_wanted=link_wanted)
    if starter:
        lines.insert(1, f"A starter plan was written to {settings.plan_folder}: an inbox, and you as its one person")
    if settings.address_is_guessed:
        lines.append(
            f"Links and pages say {settings.base_url}. If people reach Tocsin by another address, as they do in a "
            "container or behind a proxy, give it as --public-url (TOCSIN_PUBLIC_URL)"
        )
    leave_address(settings.data, settings.local_url, settings.tls_cert)
    print("\n".join(lines), flush=True)


def _pool(settings: Settings) -> Pool:
    """Where runs of playbooks get their processes. What an earlier Tocsin of this data folder left running is ended:
    before anything goes on that it may still be at.
    """
    mark = hashlib.sha256(os.fsencode(settings.data.resolve())).hexdigest()[:32]
    pool = Pool(settings.data / "playbooks", mark, settings.own_folders)
    pool.end_orphans()
    return pool


async def warm_up(settings: Settings, pool: Pool, opening: asyncio.Future[Store]) -> None:
    """A standby imports its plan's playbooks meanwhile, so that no run waits for that when it takes over.

    Once it has, the core says which playbooks are wanted, and what was read here may be an older plan.
    """
    with contextlib.suppress(OSError):  # the start itself says what is wrong with the plan
        read = await asyncio.to_thread(plan_reader(settings))
        if read.ok and not opening.done():
            await pool.prepare(read.files)


async def _until_this_node_writes(
    settings: Settings, clock: Clock, stop: threading.Event, pool: Pool, begin: Begun
) -> tuple[Store, Front]:
    """The store, once this node may write, and the node's front, which answers as a standby until then.

    Raises writer.Stopped when asked to end before that, OSError or ValueError when nothing can be listened on.
    """
    standby = Standby(sources(), clock.now, paging=settings.paging, public_url=settings.base_url)
    front = Front(standby, settings.socket("faces"))
    url, tzdata = url_for(settings.data, settings.database), importlib.metadata.version("tzdata")
    node = f"{socket.gethostname()} ({settings.data.resolve()})"
    opening = asyncio.create_task(asyncio.to_thread(open_writer, url, tzdata, stop, node, standby.waits))
    await asyncio.wait((opening,), timeout=SOON)
    try:
        if not opening.done():
            await front.open(settings.host, settings.port, _tls(settings), settings.socket("core"))
            begin(warm_up(settings, pool, opening))
        store = await opening
    except BaseException:
        stop.set()
        await asyncio.gather(opening, return_exceptions=True)
        await front.close()
        await front.line.close()
        raise
    standby.waits("this node takes over, and reads what is written")
    return store, front


def _parts(
    settings: Settings, store: Store, clock: Clock, outside: Outbound, begin: Begun, pool: Pool
) -> Parts:
    signing_key = _signing_key(store)
    looks = probes(settings.secret)
    return Parts(
        store=store,
        clock=clock,
        sources=sources(),
        read_plan=plan_reader(settings),
        declared_keys=lambda plan: declared_keys(settings, plan),
        channels=lambda plan: channels(settings, plan, outside, signing_key),
        signing_key=signing_key,
        public_url=settings.base_url,
        paging=settings.paging,
        prober=lambda specs, submit: Prober(specs, submit, probes=looks, outside=outside, now=clock.now),
        calendars=lambda specs, submit: Calendars(
            specs, submit, outside=outside, secret=settings.secret, now=clock.now
        ),
        outside=lambda url: begin(outside.request("GET", url, within=10, limit=1024)),
        ballast=settings.data / "ballast",
        runner=pool,
        secret=settings.secret,
        plan_folder=str(settings.plan_folder.absolute()),
    )


def _signing_key(store: Store) -> bytes:
    """What links, codes and callbacks are signed with: made at the first start, and kept in the database."""
    key = store.meta("signing_key")
    if key is None:
        key = secrets.token_bytes(32)
        store.set_meta("signing_key", key)
    return key


def _usable(settings: Settings, read: PlanRead, outside: Outbound, signing_key: bytes) -> PlanRead:
    """The same, but not ok when this machine lacks what a channel needs."""
    if read.plan is None:
        return read
    try:
        channels(settings, read.plan, outside, signing_key)
    except (LookupError, ValueError) as error:
        return PlanRead(read.plan, read.files, (*read.findings, str(error)), ok=False)
    return read


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the certificate {settings.tls_cert} and its key cannot be used: {error}") from error
    return context
