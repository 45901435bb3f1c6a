"""A database as the engine would have left it, written straight through the tables; and a core that decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, Table, create_engine, event, insert

from tocsin.access.credentials import Key, Role, Token, User, secret_hash
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.catalog.people import Person
from tocsin.catalog.services import Service
from tocsin.engine.commands import AnyCommand, Result
from tocsin.engine.records import HeardChange, Parked
from tocsin.faces.core import CoreClient, CoreGone
from tocsin.faces.faces import Faces, FaceSettings
from tocsin.faces.passwords import hash_password
from tocsin.incidents.incident import Entry, Incident, IncidentState
from tocsin.kernel.identity import texts_json
from tocsin.kernel.instant import DAY, MINUTE, SECOND, Instant, parse_rfc3339
from tocsin.kernel.matcher import parse_matcher
from tocsin.kernel.reason import Reason
from tocsin.oncall.override import Override
from tocsin.oncall.schedule import Layer, Length, Schedule, Window
from tocsin.oncall.zone import DAY_OF, WEEK_OF, wall_of
from tocsin.pages.contacts import Contact
from tocsin.pages.ledger import Page
from tocsin.plan.model import Plan
from tocsin.runtime.line import Changed, Firing, HeardReply, Known, Reloaded, Status, Weighing
from tocsin.silences.silence import Silence
from tocsin.store import tables
from tocsin.store.reads import Reads, open_engine
from tocsin.store.rows import pack_files

NOW = parse_rfc3339("2026-11-22T03:24:00Z")
SIGNING_KEY = b"s" * 32
PASSWORD = "correct horse battery"
BASE = "http://tocsin.test"


def encode(noun: Any) -> bytes:
    """A noun as a row keeps it."""
    return msgspec.json.encode(noun)


class Filler:
    """Writes rows. Ids and numbers count up from 1 in each table."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.engine: Engine = create_engine(database)
        if database.startswith("sqlite"):
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
        tables.metadata.create_all(self.engine)
        self._counts: dict[str, int] = {}

    def next(self, table: Table) -> int:
        """The next id of a table."""
        self._counts[table.name] = self._counts.get(table.name, 0) + 1
        return self._counts[table.name]

    def put(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows in one commit."""
        with self.engine.begin() as connection:
            connection.execute(insert(table), list(rows))

    def incident_row(self, **fields: Any) -> dict[str, Any]:
        """A row of one incident, with defaults for what is not told."""
        number = self.next(tables.incidents)
        state: IncidentState = fields.pop("state", "triggered")
        at = fields.pop("opened_at", NOW - 10 * MINUTE)
        told: dict[str, Any] = {
            "service": "checkout", "group": f"alertname=A{number}", "title": f"RedisDown cart-{number}",
            "severity": "sev1",
            "updated_at": at, "last_joined": at, "labels": {"alertname": f"A{number}"}, "alerts": 1,
        } | fields  # fmt: skip
        one = Incident(number=number, state=state, opened_at=at, **told)
        return {
            "number": number, "service": one.service, "state": state, "severity": one.severity, "quiet": one.kept_quiet,
            "opened_at": at, "live": one.open, "body": encode(one),
        }  # fmt: skip

    def incident(self, **fields: Any) -> int:
        """Write one incident; its number."""
        row = self.incident_row(**fields)
        self.put(tables.incidents, [row])
        return int(row["number"])

    def entry(
        self, incident: int, what: str, reason: Reason, at: Instant = NOW, actor: str = "code", **detail: str
    ) -> None:
        """Write one line of a timeline."""
        one = Entry(incident=incident, at=at, what=what, reason=reason, actor=actor, detail=detail)
        self.put(
            tables.entries, [{"id": self.next(tables.entries), "incident": incident, "at": at, "body": encode(one)}]
        )

    def alert_row(self, labels: dict[str, str], **fields: Any) -> dict[str, Any]:
        """A row of one alert."""
        number = self.next(tables.alerts)
        told: dict[str, Any] = {
            "source": "alertmanager", "origin": "checkout", "service": "checkout",
            "annotations": {"summary": "it is down"},
            "own_title": labels.get("alertname", "?"), "severity": "sev1", "starts_at": NOW - 10 * MINUTE,
            "ends_at": NOW + 4 * MINUTE, "first_seen": NOW - 10 * MINUTE, "last_seen": NOW - 30 * SECOND,
            "link": "http://prometheus/graph",
        } | fields  # fmt: skip
        one = Alert(
            id=number, labels_json=texts_json(labels), annotations_json=texts_json(told.pop("annotations")), **told
        )
        return {
            "id": number, "incident": one.incident, "service": one.service, "state": one.state,
            "live": told.get("live", True), "body": encode(one),
        }  # fmt: skip

    def alert(self, labels: dict[str, str], **fields: Any) -> int:
        """Write one alert; its id."""
        row = self.alert_row(labels, **fields)
        self.put(tables.alerts, [row])
        return int(row["id"])

    def silence(
        self,
        *matchers: str,
        name: str,
        starts_at: Instant = NOW - MINUTE,
        ends_at: Instant = NOW + 60 * MINUTE,
        origin: str = "",
        comment: str = "maintenance",
    ) -> str:
        """Write one silence."""
        one = Silence(
            id=name, matchers=tuple(parse_matcher(text) for text in matchers), author="ana", comment=comment,
            starts_at=starts_at, ends_at=ends_at, created_at=starts_at, updated_at=starts_at, origin=origin,
        )  # fmt: skip
        self.put(tables.silences, [{"id": name, "ends_at": ends_at, "live": ends_at > NOW, "body": encode(one)}])
        return name

    def override(self, **fields: Any) -> int:
        """Write one override: by default ben in ana's place for the hour to come."""
        number = self.next(tables.overrides)
        told: dict[str, Any] = {
            "kind": "override", "schedule": "shop", "person": "ben", "instead_of": "", "starts_at": NOW,
            "ends_at": NOW + 60 * MINUTE, "asked_by": "person:ana", "asked_at": NOW - MINUTE, "agreed_at": NOW - MINUTE,
        } | fields  # fmt: skip
        one = Override(id=number, **told)
        row = {
            "id": number, "schedule": one.schedule, "ends_at": one.last, "live": one.closes_at > NOW,
            "body": encode(one),
        }  # fmt: skip
        self.put(tables.overrides, [row])
        return number

    def page(self, incident: int, person: str = "ana", **fields: Any) -> int:
        """Write one row of the ledger."""
        number = self.next(tables.pages)
        told: dict[str, Any] = {
            "channel": "email", "address": f"{person}@example.org", "reason": Reason.STEP_DUE, "state": "sent",
            "outcome": Reason.SENT, "intended_at": NOW - 9 * MINUTE, "next_at": None, "finished_at": NOW - 9 * MINUTE,
        } | fields  # fmt: skip
        one = Page(id=number, incident=incident, person=person, **told)
        row = {
            "id": number, "incident": incident, "person": person, "state": one.state, "intended_at": one.intended_at,
            "live": one.state == "intended", "body": encode(one),
        }  # fmt: skip
        self.put(tables.pages, [row])
        return number

    def key(self, secret: str, source: str = "alertmanager", service: str = "checkout", **fields: Any) -> int:
        """Write one key."""
        number = self.next(tables.keys)
        one = Key(id=number, hash=secret_hash(secret), hint=secret[-4:], source=source, service=service,
                  name=fields.pop("name", f"key {number}"), created_at=NOW, **fields)  # fmt: skip
        self.put(
            tables.keys, [{"id": number, "hash": one.hash, "revoked": one.revoked_at is not None, "body": encode(one)}]
        )
        return number

    def user(self, name: str, role: Role, **fields: Any) -> int:
        """Write one user."""
        number = self.next(tables.users)
        self.put(
            tables.users,
            [
                {
                    "id": number,
                    "name": name,
                    "body": encode(User(id=number, name=name, role=role, created_at=NOW, **fields)),
                }
            ],
        )
        return number

    def set_user(self, number: int, user: User) -> None:
        """Change a user, as the engine would."""
        with self.engine.begin() as connection:
            connection.execute(tables.users.update().where(tables.users.c.id == number).values(body=encode(user)))

    def token(self, secret: str, user: int, **fields: Any) -> int:
        """Write one token."""
        number = self.next(tables.tokens)
        one = Token(id=number, hash=secret_hash(secret), kind=fields.pop("kind", "token"), user=user,
                    name=fields.pop("name", "deploys"), created_at=NOW, **fields)  # fmt: skip
        self.put(tables.tokens, [{"id": number, "hash": one.hash, "body": encode(one)}])
        return number

    def contact(self, person: str, channel: str, address: str, **fields: Any) -> int:
        """Write one contact method."""
        number = self.next(tables.contacts)
        told: dict[str, Any] = {"added_at": NOW, "state": "verified", "verified_at": NOW} | fields
        one = Contact(id=number, person=person, channel=channel, address=address, **told)
        self.put(tables.contacts, [{"id": number, "person": person, "live": not one.removed, "body": encode(one)}])
        return number

    def parked(self, one: Parked) -> None:
        """Write one parked request."""
        self.put(tables.parked, [{"id": one.id, "at": one.at, "discarded": one.discarded, "body": encode(one)}])

    def change(self, service: str, summary: str, at: Instant = NOW) -> None:
        """Write one change."""
        number = self.next(tables.changes)
        one = HeardChange(id=number, at=at, service=service, source="pagerduty", summary=summary)
        self.put(tables.changes, [{"id": number, "service": service, "at": at, "body": encode(one)}])

    def heartbeat(self, one: Heartbeat) -> None:
        """Write one heartbeat."""
        self.put(tables.heartbeats, [{"service": one.service, "name": one.name, "body": encode(one)}])

    def plan(self, version: str, files: dict[str, bytes]) -> None:
        """Write the plan in force, for a long time by now."""
        self.put(tables.plans, [{"version": version, "at": NOW - 7 * DAY, "files": pack_files(files)}])
        self.put(tables.meta, [{"name": "plan", "value": version.encode()}])


TOKENS = {"viewer": "v" * 40, "responder": "r" * 40, "admin": "a" * 40}
KEY = "K" * 32


def fill(database: str) -> Filler:
    """A small, telling world: three users with tokens, two keys, incidents in every state, alerts, silences, pages."""
    filler = Filler(database)
    filler.put(tables.meta, [{"name": "signing_key", "value": SIGNING_KEY}])
    filler.plan("abc123", {"tocsin.yaml": b"team: shop\n"})
    password = hash_password(PASSWORD, b"salt" * 4)
    for name, role in (("vera", "viewer"), ("ana", "responder"), ("ops", "admin")):
        person = "ana" if name == "ana" else ""
        number = filler.user(name, role, person=person, password=password)  # type: ignore[arg-type]  # the three roles
        filler.token(TOKENS[role], number, name="" if role == "responder" else f"{role} script")
    filler.key(KEY)
    filler.key("P" * 32, source="pagerduty", service="search")
    one = filler.incident(alerts=2, pages=1, labels={"alertname": "RedisDown", "instance": "cart-1"})
    filler.entry(one, "opened", Reason.OPENED, NOW - 10 * MINUTE)
    filler.entry(one, "paged", Reason.STEP_DUE, NOW - 9 * MINUTE, person="ana")
    filler.alert({"alertname": "RedisDown", "instance": "cart-1", "severity": "critical"}, incident=one)
    filler.alert(
        {"alertname": "RedisDown", "instance": "cart-2", "severity": "critical"},
        incident=one,
        silences=("11111111-2222-3333-4444-555555555555",),
        reason=Reason.SILENCED,
    )
    filler.page(one)
    two = filler.incident(
        service="search", state="acknowledged", severity="sev3", title="SlowQueries", acknowledged_by="person:ana",
        acknowledged_at=NOW - 5 * MINUTE, acknowledged_until=NOW + 55 * MINUTE, paused=Reason.ACKNOWLEDGED,
        paused_until=NOW + 55 * MINUTE,
    )  # fmt: skip
    filler.alert(
        {"alertname": "SlowQueries", "severity": "warning"},
        incident=two,
        service="search",
        origin="search",
        source="pagerduty",
        ends_at=None,
    )
    filler.incident(state="resolved", title="DiskFull", resolved_by="code", resolved_at=NOW - MINUTE)
    filler.alert(
        {"alertname": "DiskFull", "instance": "db1"},
        incident=3,
        state="resolved",
        ends_at=NOW - 2 * MINUTE,
        reason=Reason.SOURCE_RESOLVED,
    )
    filler.silence('instance="cart-2"', name="11111111-2222-3333-4444-555555555555", origin="checkout")
    filler.silence(
        'job="x"', name="22222222-2222-3333-4444-555555555555", starts_at=NOW - 99 * MINUTE, ends_at=NOW - MINUTE
    )
    filler.change("checkout", "deployed 42")
    filler.contact("ana", "email", "ana@example.org", declared=True)
    filler.contact("ana", "webhook", "https://push.example/ana", state="unverified", verified_at=None, seed=b"s" * 32)
    filler.contact("ben", "email", "ben@example.org")
    filler.heartbeat(
        Heartbeat(service="checkout", name="backup", state="up", last=NOW - MINUTE, due=NOW + 5 * MINUTE, beats=3)
    )
    return filler


class FakeCore(CoreClient):
    """A core that says yes, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self.asked: list[tuple[AnyCommand, str]] = []
        self.answer = Result(ok=True, id="1")
        self.gone = False
        self.remembered = Known()
        self.reloaded = Reloaded(True, False, "abc123")
        self.heard: list[tuple[str, bytes, str]] = []
        self.changed: asyncio.Queue[Changed | None] = asyncio.Queue()
        self.weighing = Weighing()
        self.fires = Firing(0)
        self.weighed: list[tuple[str, str, str, int]] = []

    def _here(self) -> None:
        if self.gone:
            raise CoreGone("stopped")

    async def submit(self, command: AnyCommand, idempotency_key: str = "") -> Result:
        self._here()
        self.asked.append((command, idempotency_key))
        return self.answer

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        self._here()
        self.heard.append((service, body, actor))
        return HeardReply(202, b'{"accepted":1}')

    async def known(self, *, token: bytes = b"", user: int = 0) -> Known:
        self._here()
        return self.remembered

    async def guards(self, service: str, playbook: str, target: str = "", run: int = 0) -> Weighing:
        self._here()
        self.weighed.append((service, playbook, target, run))
        return self.weighing

    async def firing(self, incident: int = 0, newest: int = 0) -> Firing:
        self._here()
        return self.fires

    async def reload(self, actor: str, only: str = "") -> Reloaded:
        self._here()
        return self.reloaded

    async def status(self) -> Status:
        self._here()
        return Status(
            ready=True, paging=True, started_at=NOW - 60 * MINUTE, now=NOW, plan_version="abc123",
            real_channel_proven_at=None,
            alerts_live=3, incidents_open=2, waiting=0,
        )  # fmt: skip

    async def changes(self) -> AsyncIterator[Changed]:
        while True:
            one = await self.changed.get()
            if one is None:
                raise CoreGone("stopped")
            yield one


SHOP = Schedule(
    key="shop",
    about="Who is called first.",
    timezone="Europe/Madrid",
    layers=(
        Layer(
            name="week",
            turns=(("ana",), ("ben",)),
            length=Length(minutes=WEEK_OF),
            begins=wall_of(date(2026, 11, 16), 9 * 60),
            timezone="Europe/Madrid",
            only=(Window(0, 6 * DAY_OF),),
        ),
    ),
)
"""Ana and Ben week by week, from Monday to Saturday: nobody on Sundays."""


def plan(version: str = "abc123", files: Mapping[str, bytes] | None = None) -> Plan:
    """The plan of the filled world."""
    return Plan(
        version=version,
        people={
            "ana": Person(key="ana", name="Ana", email="ana@example.org"),
            "ben": Person(key="ben", name="Ben", email="ben@example.org"),
        },
        schedules={"shop": SHOP},
        services={
            "inbox": Service(key="inbox"),
            "checkout": Service(key="checkout", about="sells", tier=1, needs=("payments",)),
            "payments": Service(key="payments", needs=("cards", "checkout")),
            "cards": Service(key="cards"),
            "search": Service(key="search"),
        },
        last_resort=("person:ana",),
    )


def faces_of(database: str, core: CoreClient | None = None, **settings: Any) -> Faces:
    """Faces over a database, at NOW."""
    return Faces(
        reads=Reads(open_engine(database)),
        core=core or FakeCore(),
        clock=lambda: NOW,
        signing_key=SIGNING_KEY,
        settings=FaceSettings(public_url=BASE, **settings),
        read_plan=plan,
    )


def sqlite_url(folder: Path) -> str:
    """The address of a database file in a folder."""
    return f"sqlite:///{folder / 'tocsin.db'}"
