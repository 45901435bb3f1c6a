"""Picks every real part. The only importer of the plug folders."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import hashlib
import hmac
import importlib.metadata
import json
import os
import resource
import secrets
import signal
import socket
import sqlite3
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tocsin.runtime.supervisor import DO_NOT_RESTART, run_once, say, supervise
from tocsin.settings import Settings

if TYPE_CHECKING:
    from tocsin.engine.commands import DeclareKeys
    from tocsin.intake.checked import Probe
    from tocsin.intake.request import Source
    from tocsin.pages.message import Channel, Failed, Message, Sent
    from tocsin.plan.findings import Finding
    from tocsin.plan.model import Plan
    from tocsin.playbooks.confinement import Confine
    from tocsin.playbooks.manifest import Manifest
    from tocsin.playbooks.run import Report
    from tocsin.playbooks.runner.pool import Pool
    from tocsin.runtime.clock import Clock
    from tocsin.runtime.core import Parts, PlanRead
    from tocsin.runtime.front import Front
    from tocsin.runtime.outbound import Outbound
    from tocsin.store.writer import Store


MOST_FILES = 65_536
SOON = 0.3
"""Seconds after which a node that may not write yet answers as a standby."""


def up(settings: Settings) -> int:
    """Run a node until it is told to end. Returns the process's exit code."""
    from tocsin.store.opening import SchemaError, create, damage, needs_migration, url_for
    from tocsin.store.sqlite import FolderInUse, hold_folder

    tell = _teller(settings.log_format)
    starter = not settings.plan_folder.exists()
    if starter and not settings.plan_is_usual:
        tell(
            f"there is no plan folder {settings.plan_folder}. Put the plan there, or leave --plan out: "
            f"a starter plan is then written to {settings.usual_plan_folder}"
        )
        return 1
    try:
        lock = hold_folder(settings.data)
    except (FolderInUse, OSError) as error:
        tell(str(error))
        return 1
    with lock:
        busy = _busy(settings) or _nowhere(settings)
        if busy:
            tell(busy)
            return 1
        url = url_for(settings.data, settings.database)
        try:
            if starter:
                _write_starter_plan(settings.plan_folder)
            if needs_migration(url) and not create(url) and run_once(lambda: _migrate(url, tell)):
                return 1
        except (SchemaError, OSError) as error:
            tell(str(error))
            return 1
        except sqlite3.Error as error:
            tell(damage(url, error) or f"the database {url} cannot be used: {error}")
            return 1
        _share()
        return supervise(
            {
                "core": lambda: _run(_sound(settings, starter), settings),
                "faces": lambda: _run(_faces(settings), settings),
            },
            reload="core",
            say=tell,
        )


def _share() -> None:
    """Import once, before anything is forked, what core and faces both need; its memory is then shared."""
    import anyio  # noqa: F401  # and so with the others: to be there already is all they are for
    import httptools  # noqa: F401
    import structlog  # noqa: F401
    import uvloop  # noqa: F401

    gc.freeze()  # a collection would write to every object, and so copy what is shared
    gc.set_threshold(50_000, 50, 100)  # new things mostly die without the collector


def _run(work: Coroutine[Any, Any, int], settings: Settings) -> int:
    import uvloop

    _logging(settings.log_format)
    _more_files()
    try:
        return uvloop.run(work)
    except Exception:  # noqa: BLE001  # the edge of the process: it is started again, and what ended it is told
        import structlog

        structlog.get_logger("tocsin").critical("ended_by_a_fault", exc_info=True)
        return 1


def _teller(form: str) -> Callable[[str], None]:
    """How the process that only watches says something: a logger's imports would stay in its memory for a few lines."""
    if form != "json":
        return say
    from tocsin.kernel.instant import format_rfc3339
    from tocsin.runtime.clock import SystemClock

    def tell(text: str) -> None:
        line = {"event": text, "level": "error", "timestamp": format_rfc3339(SystemClock().now())}
        print(json.dumps(line), file=sys.stderr, flush=True)

    return tell


# -- the core ----------------------------------------------------------------------------------------------------------


async def _sound(settings: Settings, starter: bool) -> int:
    """The core; a database that is damaged ends everything with a word on what to do, for no new start mends it."""
    from tocsin.store.opening import damage, url_for

    try:
        return await _core(settings, starter)
    except sqlite3.Error as error:
        said = damage(url_for(settings.data, settings.database), error)
        if not said:
            raise
        import structlog

        structlog.get_logger("tocsin").critical("database_damaged", why=said)
        return DO_NOT_RESTART


async def _core(settings: Settings, starter: bool) -> int:
    import structlog

    from tocsin.runtime.clock import SystemClock
    from tocsin.runtime.core import Core
    from tocsin.runtime.first_run import first_run, leave_address
    from tocsin.runtime.outbound import Outbound
    from tocsin.store.writer import LeaseLost, Stopped

    log = structlog.get_logger("tocsin")
    loop = asyncio.get_running_loop()
    clock, outside, begin, stop = SystemClock(), Outbound(), Beginning(), threading.Event()
    pool = _pool(settings)
    # From here on a wish to read the plan again is kept until there is somebody to do it.
    reloads = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, reloads.set)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        store, front = await _until_this_node_writes(settings, clock, stop, pool, begin)
    except Stopped:
        await pool.close()
        return 0
    except (OSError, ValueError) as error:
        log.critical("nothing_started", why=str(error))
        return DO_NOT_RESTART
    plan = _usable(settings, plan_reader(settings)(), outside, _signing_key(store))
    for finding in plan.findings:
        (log.warning if plan.ok else log.error)("plan_finding", finding=finding)
    if plan.plan is None or not plan.ok:
        plan = last_good(settings, store, plan.findings)
    if plan.plan is None:
        log.critical(
            "plan_refused",
            why=f"the plan in {settings.plan_folder} has errors and none was in force before; nothing was started",
        )
        await front.close()
        await front.line.close()
        store.close()
        return DO_NOT_RESTART
    core = Core(_parts(settings, store, clock, outside, begin, pool), plan)

    def end() -> None:
        stop.set()
        core.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
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
    lines = await first_run(
        core, plan.plan, settings.data, settings.base_url, clock.now(), link_wanted=sys.stdout.isatty()
    )
    if starter:
        lines.insert(1, f"A starter plan was written to {settings.plan_folder}: an inbox, and you as its one person")
    leave_address(settings.data, settings.local_url, settings.tls_cert)
    print("\n".join(lines), flush=True)
    loop.add_signal_handler(signal.SIGHUP, lambda: begin(core.reload("signal:SIGHUP")))
    if reloads.is_set():
        begin(core.reload("signal:SIGHUP"))
    log.info("ready", address=settings.base_url, paging=settings.paging, plan=plan.plan.version[:12])
    try:
        await core.run()
    except LeaseLost as error:
        log.warning("stands_by", why=str(error))
    except sqlite3.Error as error:  # started again at once; when the file itself is damaged, that start says so
        log.critical("database_failed", error=repr(error))
        return 1
    await outside.close()
    return 0


class Beginning:
    """Starts work that nobody waits for, and keeps hold of it: the loop alone would let go."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[object]] = set()

    def __call__(self, work: Coroutine[Any, Any, object]) -> None:
        """Start it."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _pool(settings: Settings) -> Pool:
    """Where runs of playbooks get their processes. What an earlier Tocsin of this data folder left running is ended:
    before anything goes on that it may still be at.
    """
    from tocsin.playbooks.runner.pool import Pool

    mark = hashlib.sha256(os.fsencode(settings.data.resolve())).hexdigest()[:32]
    pool = Pool(settings.data / "playbooks", mark, settings.data)
    pool.end_orphans()
    return pool


async def _warm_up(settings: Settings, pool: Pool, opening: asyncio.Future[Store]) -> None:
    """A standby imports its plan's playbooks meanwhile, so that no run waits for that when it takes over.

    Once it has, the core says which playbooks are wanted, and what was read here may be an older plan.
    """
    with contextlib.suppress(OSError):  # the start itself says what is wrong with the plan
        read = await asyncio.to_thread(plan_reader(settings))
        if read.ok and not opening.done():
            await pool.prepare(read.files)


async def _until_this_node_writes(
    settings: Settings, clock: Clock, stop: threading.Event, pool: Pool, begin: Beginning
) -> tuple[Store, Front]:
    """The store, once this node may write, and the node's front, which answers as a standby until then.

    Raises writer.Stopped when asked to end before that, OSError or ValueError when nothing can be listened on.
    """
    from tocsin.intake.sources import SOURCES
    from tocsin.runtime.front import Front
    from tocsin.runtime.standby import Standby
    from tocsin.store.opening import open_writer, url_for

    standby = Standby(SOURCES, clock.now, paging=settings.paging, public_url=settings.base_url)
    front = Front(standby, settings.socket("faces"))
    url, tzdata = url_for(settings.data, settings.database), importlib.metadata.version("tzdata")
    node = f"{socket.gethostname()} ({settings.data.resolve()})"
    opening = asyncio.create_task(asyncio.to_thread(open_writer, url, tzdata, stop, node, standby.waits))
    await asyncio.wait((opening,), timeout=SOON)
    try:
        if not opening.done():
            await front.open(settings.host, settings.port, _tls(settings), settings.socket("core"))
            begin(_warm_up(settings, pool, opening))
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
    settings: Settings, store: Store, clock: Clock, outside: Outbound, begin: Beginning, pool: Pool
) -> Parts:
    from tocsin.intake.probes import probes
    from tocsin.intake.sources import SOURCES
    from tocsin.intake.sources.pagerduty import redacted, routing_key
    from tocsin.runtime.calendars import Calendars
    from tocsin.runtime.core import Parts
    from tocsin.runtime.probing import Prober

    signing_key = _signing_key(store)
    looks = probes(settings.secret)
    return Parts(
        store=store,
        clock=clock,
        sources=SOURCES,
        routing_key=routing_key,
        redacted=redacted,
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
    )


def probe(kind: str) -> Probe:
    """The real probe of a kind."""
    from tocsin.intake.probes import PROBES

    return PROBES[kind]


def plan_reader(settings: Settings) -> Callable[[], PlanRead]:
    """A reader of the plan folder."""
    from tocsin.plan import read_plan
    from tocsin.plan.folder import PlanFolderError
    from tocsin.runtime.core import PlanRead

    def read() -> PlanRead:
        try:
            files = plan_files(settings.plan_folder)
        except PlanFolderError as error:
            return PlanRead(None, {}, (str(error),), ok=False)
        reading = read_plan(files)
        findings = [str(finding) for finding in reading.findings]
        if reading.plan is not None:
            findings += missing_secrets(settings, reading.plan) + missing_clients(reading.plan)
            findings += [f"warning: {one.message} ({one.hint})" for one in unconfinable(reading.plan, settings.data)]
        return PlanRead(reading.plan, files, tuple(findings), ok=reading.plan is not None)

    return read


def plan_files(folder: Path) -> dict[str, bytes]:
    """A plan's files, with what its playbooks declare. Raises PlanFolderError."""
    from tocsin.plan.composing import with_composed
    from tocsin.plan.folder import load_folder
    from tocsin.playbooks.runner.reading import with_manifest

    return with_manifest(with_composed(load_folder(folder)))


def dry_run(
    settings: Settings,
    files: Mapping[str, bytes],
    plan: Plan,
    manifest: Manifest,
    service: str,
    targets: Mapping[str, str],
    args: Mapping[str, str],
    labels: Mapping[str, str],
    told: Callable[[Report], None],
) -> tuple[int, str]:
    """Diagnose for real with one of the plan's playbooks, apart from any server; nothing is changed.

    Returns its process's status and what it printed. Raises LookupError for a missing secret, and
    OSError when it was not begun.
    """
    from tocsin.playbooks.confinement import Unconfined
    from tocsin.playbooks.language import About
    from tocsin.playbooks.runner.pool import Unstartable
    from tocsin.playbooks.runner.trying import dry_run
    from tocsin.playbooks.session import Start
    from tocsin.playbooks.targets import credential

    there = {one.name: one for one in plan.targets if one.service == service}
    urls = {name: credential(there[name].reading, settings.secret) for name in targets.values()}
    about = About(service=service, labels=dict(labels))
    start = Start(manifest.name, about, dict(targets), dict(args), urls)
    try:
        return asyncio.run(dry_run(files, start, manifest.hand_over_after, told, settings.data))
    except (Unconfined, Unstartable) as error:
        raise OSError(f"It was not begun: {error}") from None


def import_playbooks(folder: Path, files: Mapping[str, bytes]) -> None:
    """Import a plan's playbooks into this process: for tests of them, which run there."""
    import importlib

    from tocsin.playbooks.runner.composing import composed_among, declare_composed
    from tocsin.playbooks.runner.modules import make_importable, module_names

    for name in [one for one in sys.modules if one.partition(".")[0] == "playbooks"]:
        del sys.modules[name]  # another plan's, imported before
    make_importable(folder)
    for _, name in module_names(folder):
        importlib.import_module(name)
    declare_composed(composed_among(files))
    sys.path.remove(str(folder))


def sources() -> Mapping[str, Source]:
    """The sources, as the engine is handed them."""
    from tocsin.intake.sources import SOURCES

    return SOURCES


def _signing_key(store: Store) -> bytes:
    """What links, codes and callbacks are signed with: made at the first start, and kept in the database."""
    key = store.meta("signing_key")
    if key is None:
        key = secrets.token_bytes(32)
        store.set_meta("signing_key", key)
    return key


def _usable(settings: Settings, read: PlanRead, outside: Outbound, signing_key: bytes) -> PlanRead:
    """The same, but not ok when this machine lacks the secret of a key it declares or what a channel needs."""
    from tocsin.runtime.core import PlanRead

    if read.plan is None:
        return read
    try:
        declared_keys(settings, read.plan)
        channels(settings, read.plan, outside, signing_key)
    except (LookupError, ValueError) as error:
        return PlanRead(read.plan, read.files, (*read.findings, str(error)), ok=False)
    return read


def last_good(settings: Settings, store: Store, refused: tuple[str, ...]) -> PlanRead:
    """The plan that was in force last, as the database keeps it, in the stead of one that is ``refused``."""
    from tocsin.plan import read_plan
    from tocsin.runtime.core import PlanRead

    files = store.plan_files((store.meta("plan") or b"").decode())
    plan = read_plan(files).plan if files is not None else None
    if files is None or plan is None:
        return PlanRead(None, {}, refused, ok=False)
    return PlanRead(plan, files, tuple(missing_secrets(settings, plan)), ok=True, refused=refused)


def missing_secrets(settings: Settings, plan: Plan) -> list[str]:
    """Secrets that pages need and that this machine does not have, as warnings. The files alone cannot tell."""
    from tocsin.playbooks.targets import secrets_of

    named = [plan.mail.password] if plan.mail and plan.mail.password else []
    named += [person.webhook.secret for person in plan.people.values() if person.webhook]
    named += [text for one in plan.channels.values() for text in one.values() if text.startswith("secret:")]
    named += [one.url for one in plan.calendars.values() if one.url.startswith("secret:")]
    named += [probe.target for probe in plan.probes if probe.target.startswith("secret:")]
    held = (text for one in plan.targets for way in (one.reading, one.fixing) for text in secrets_of(way))
    named += [text for text in held if text.startswith("secret:")]
    named += [at for person in plan.people.values() for _, at in person.reach if at.startswith("secret:")]
    named += [one.address for one in plan.loops if one.address.startswith("secret:")]
    found = []
    for reference in dict.fromkeys(named):
        try:
            settings.secret(reference)
        except (LookupError, OSError, ValueError) as error:
            found.append(f"warning: {error.args[0] if error.args else error}; until then what needs it fails")
    return found


def missing_clients(plan: Plan) -> list[str]:
    """Packages that probes and playbooks need and that this machine does not have, as warnings."""
    from importlib.util import find_spec

    from tocsin.intake.probes import postgres, redis
    from tocsin.playbooks.targets import said

    hand_over = "; until then playbooks that need it hand over"
    wanted = {one.kind for one in plan.probes} | {one.kind for one in plan.targets}
    kinds = (("redis", redis), ("postgres", postgres))
    missing = [one.MISSING for kind, one in kinds if kind in wanted and not one.installed()]
    found = [f"warning: {one}; until then probes of it fire and playbooks hand over" for one in missing]
    certificates = any(one.kind == "http" and said(one.reading).get("certificate") for one in plan.targets)
    if "ssh" in wanted and find_spec("asyncssh") is None:
        found.append(f"warning: the client for SSH is not there: pip install 'tocsin[ssh]'{hand_over}")
    if certificates and find_spec("cryptography") is None:
        found.append(f"warning: certificates cannot be read here: pip install 'tocsin[http]'{hand_over}")
    return found


def unconfinable(plan: Plan, data: Path | None = None) -> list[Finding]:
    """Playbooks that cannot be confined on this machine as they ask, found by trying; another one may be able to.

    ``data``: Tocsin's own folder, where it is known.
    """
    from tocsin.plan.findings import Finding
    from tocsin.playbooks.runner.confining import trouble

    hint = "where Tocsin runs it has to be; until then its runs are not begun and a person is called"
    tried: dict[Confine, str] = {}
    found = []
    for one in plan.playbooks.values():
        if one.confine is None:
            continue
        if one.confine not in tried:
            tried[one.confine] = trouble(one.confine, data)
        if why := tried[one.confine]:
            found.append(Finding("notice", one.file, one.line, 1, f"{one.name} cannot be confined here: {why}", hint))
    return found


def channels(settings: Settings, plan: Plan, outside: Outbound, signing_key: bytes) -> Mapping[str, Channel]:
    """The channels a plan sets up."""
    from tocsin.pages.channels import CHANNELS
    from tocsin.pages.channels.setup import Setup

    setup = Setup(
        outside=outside,
        secret=settings.secret,
        mail=plan.mail,
        channels=plan.channels,
        mark=derived(signing_key, "installation").hex()[:16],
        derive=lambda purpose: derived(signing_key, purpose),
        public_url=settings.base_url,
        people=plan.people,
    )
    made = ((name, make(setup)) for name, make in CHANNELS.items())
    return {name: channel for name, channel in made if channel is not None}


def signing_key_of(settings: Settings) -> bytes:
    """The key of the installation in this data folder; a made-up one where nothing was started yet."""
    from sqlalchemy.exc import SQLAlchemyError

    from tocsin.store.opening import url_for
    from tocsin.store.reads import Reads, open_engine

    if not settings.database and not settings.data.is_dir():
        return bytes(32)
    try:
        return Reads(open_engine(url_for(settings.data, settings.database))).meta("signing_key") or bytes(32)
    except (SQLAlchemyError, OSError):
        return bytes(32)


async def send_once(settings: Settings, plan: Plan, name: str, message: Message) -> Sent | Failed | None:
    """Send one message by a channel of the plan, apart from any server; None when the plan does not set it up."""
    from tocsin.runtime.outbound import Outbound

    outside = Outbound()
    try:
        channel = channels(settings, plan, outside, signing_key_of(settings)).get(name)
        if channel is None:
            return None
        try:
            return await channel.send(message)
        finally:
            await channel.close()
    finally:
        await outside.close()


def derived(signing_key: bytes, purpose: str) -> bytes:
    """Thirty-two secret bytes of this installation for one purpose, always the same."""
    return hmac.new(signing_key, b"tocsin derived v1\0" + purpose.encode(), hashlib.sha256).digest()


def declared_keys(settings: Settings, plan: Plan) -> DeclareKeys:
    """The keys a plan declares, by the hashes of their secrets. Raises ValueError when one cannot be had."""
    from tocsin.access.credentials import secret_hash
    from tocsin.access.limits import KeyLimits
    from tocsin.engine.commands import DeclareKeys

    keys, limits = [], {}
    for spec in plan.keys:
        try:
            text = settings.secret(spec.secret)
        except LookupError as error:
            raise ValueError(f"the key {spec.name} of {spec.service}: {error.args[0]}") from None
        if len(text) < 16:
            raise ValueError(
                f"the key {spec.name} of {spec.service} has fewer than 16 characters: make a random one of 32"
            )
        keys.append((secret_hash(text), text[-4:], spec.source, spec.service, spec.name))
        if spec.limits != KeyLimits():
            limits[secret_hash(text)] = spec.limits
    return DeclareKeys(actor="plan", keys=tuple(keys), limits=limits)


# -- the faces ---------------------------------------------------------------------------------------------------------


async def _faces(settings: Settings) -> int:
    import uvicorn

    from tocsin.api.handlers import api_handlers, openapi_config
    from tocsin.faces.application import application
    from tocsin.faces.core import CoreClient
    from tocsin.faces.faces import Faces, FaceSettings
    from tocsin.plan import read_plan
    from tocsin.runtime.clock import SystemClock
    from tocsin.store.opening import url_for
    from tocsin.store.reads import Reads, open_engine
    from tocsin.web.routes import error_page
    from tocsin.web.routes import handlers as web_handlers

    version = importlib.metadata.version("tocsin")
    reads = Reads(open_engine(url_for(settings.data, settings.database)))
    signing_key = reads.meta("signing_key")
    while signing_key is None:  # the core makes it when it starts for the first time
        await asyncio.sleep(0.02)
        signing_key = reads.meta("signing_key")

    def plan_of(version: str, files: Mapping[str, bytes]) -> Plan:
        plan = read_plan(files).plan
        if plan is None:
            raise ValueError(f"the plan {version} cannot be read any more")
        return plan

    faces = Faces(
        reads=reads,
        core=CoreClient(str(settings.socket("core"))),
        clock=SystemClock().now,
        signing_key=signing_key,
        read_plan=plan_of,
        settings=FaceSettings(
            public_url=settings.base_url, paging=settings.paging, version=version, push_key=push_key(signing_key)
        ),
    )
    app = application([*api_handlers(), *web_handlers], faces, error_page=error_page, openapi=openapi_config(version))
    path = settings.socket("faces")
    path.unlink(missing_ok=True)
    os.umask(0o177)

    class Server(uvicorn.Server):
        """Ends live streams first: they would otherwise keep a stop waiting."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            faces.live.stop()
            super().handle_exit(sig, frame)

    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        uds=str(path),
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    await Server(config).serve()
    return 0


def push_key(signing_key: bytes) -> str:
    """What browsers are told to expect of this installation's web push; "" where the extra is not installed."""
    from tocsin.pages.channels.push import PURPOSE, public_key

    try:
        return public_key(derived(signing_key, PURPOSE))
    except ImportError:
        return ""


# -- before anything runs ----------------------------------------------------------------------------------------------


def _migrate(url: str, tell: Callable[[str], None]) -> int:
    from sqlalchemy.exc import DatabaseError

    from tocsin.store.opening import SchemaError, damage, migrate

    try:
        migrate(url)
    except SchemaError as error:
        tell(str(error))
        return 1
    except (sqlite3.Error, DatabaseError) as error:
        said = damage(url, getattr(error, "orig", None) or error)
        if not said:
            raise
        tell(said)
        return 1
    return 0


def _write_starter_plan(folder: Path) -> None:
    """Give a newcomer a plan to begin with."""
    from tocsin.plan import starter_plan

    folder.mkdir(parents=True)
    for name, content in starter_plan().items():
        (folder / name).write_bytes(content)


def _nowhere(settings: Settings) -> str:
    """Why core and faces could not reach each other, or ""."""
    try:
        settings.socket("faces")
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _more_files() -> None:
    """As many open files as this process may have: connections must not keep a page from leaving."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _busy(settings: Settings) -> str:
    """Why the address cannot be listened on, or ""."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            taken = ". Give --port another number, or stop what uses it" if error.errno == errno.EADDRINUSE else ""
            return f"cannot listen on {where}: {error.strerror}{taken}"
    return ""


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


def _logging(form: str) -> None:
    """Structured logs on standard error: lines for people, or JSON."""
    import logging

    import structlog

    shared: Iterable[Any] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    shown: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, shown],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(shared),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # else what a traceback's variables hold would be shown too
                shown,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
