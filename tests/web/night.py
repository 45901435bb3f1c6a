"""One invented night in a shop, written into a real SQLite file, and a core that decides just enough for the pages.

Everything is written through the store's own tables, as the writer would; hostile texts are among it on purpose.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Table, create_engine, func, insert, select, update

from tocsin.access.actors import called
from tocsin.access.credentials import Key, Token, User, secret_hash
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine import commands as c
from tocsin.engine.records import HeardChange, Parked
from tocsin.engine.state import Counters
from tocsin.faces.core import CoreGone
from tocsin.faces.passwords import hash_password
from tocsin.incidents.incident import Entry, Incident, Tick
from tocsin.intake.request import Request
from tocsin.kernel.identity import texts_json
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Instant, parse_rfc3339
from tocsin.kernel.matcher import Matcher
from tocsin.kernel.reason import Reason
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Override
from tocsin.pages.contacts import Contact, checked_address
from tocsin.pages.ledger import Page
from tocsin.pages.loops import Loop
from tocsin.pages.profile import BadAddress
from tocsin.pages.rules import Reach, Way
from tocsin.pages.rules import fault as rules_fault
from tocsin.plan import plan_version, read_plan
from tocsin.plan.model import Plan
from tocsin.runtime.line import Changed, Firing, HeardReply, Reloaded, Status, Weighing
from tocsin.silences.silence import Silence
from tocsin.store import tables
from tocsin.store.rows import pack_files

NOW = parse_rfc3339("2026-10-20T01:31:08Z")
"""03:31 in Stockholm."""
SIGNING_KEY = b"a signing key of thirty-two bytes"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}"
PASSWORD = "correct horse battery"

RUNBOOK = b"""# Cards are declined

## Find out which
- [ ] Open the [bank's status page](https://status.bank.example) and write down what it says
- [ ] Count declines by bank

      psql shop -c "select bank, count(*) from declines where at > now() - interval '10 min' group by 1"

## Get them through
- [ ] Route around the bank: `tocsinctl route --without BANK`
- [ ] Tell support what to say
"""

PLAN = {
    "playbooks/cards-declined.md": RUNBOOK,
    "tocsin.yaml": b"""\
tocsin: 1
team: shop
timezone: Europe/Stockholm

people:
  ana: {name: Ana Ribeiro, email: ana@larkfield.example, timezone: Europe/Stockholm}
  ben: {name: Ben Okafor, email: ben@larkfield.example, timezone: Europe/Stockholm}
  mei: {name: Mei Tanaka, email: mei@larkfield.example, timezone: Europe/Stockholm}

teams:
  shop: {members: [ana, ben], lead: ana}

mail: {server: smtp://127.0.0.1:25, from: tocsin@larkfield.example}

schedules:
  shop-primary:
    about: Who is called first.
    layers:
      - {rotate: [ana, ben], every: week, handoff: Mon 09:00, starts: 2026-10-19 with ana}
  platform-hours:
    layers:
      - {rotate: mei, only: "Mon-Fri 09:00-18:00"}

escalations:
  shop:
    - {page: ana, wait: 5m}
    - {page: ben, wait: 5m, repeat: 2}
    - {page: team shop, wait: 10m}
  platform:
    - {page: mei, wait: 5m}
    - {page: ana, wait: 10m}

services:
  checkout:
    about: Takes orders and puts them into the queue.
    tier: 1
    playbooks: [cards-declined]
    needs: [payments]
    escalation: shop
  payments:
    about: Charges cards.
    tier: 1
    escalation: shop
  search:
    about: Finds products.
    tier: 2
    escalation: platform
  orders-batch:
    about: Exports the day's orders to the warehouse.
    tier: 3
    escalation: platform
    heartbeats:
      nightly-export: {cron: "0 3 * * *", timezone: Europe/Stockholm, grace: 20m}

routes:
  - match: ['job="checkout"']
    service: checkout
  - match: ['job="search"']
    service: search

messages:
  email: {subject: "$severity $service: $title", text: "$title\\n$since\\n$alerts\\nTried: $tried"}
""",
}


def the_plan() -> Plan:
    """The night's plan."""
    reading = read_plan(PLAN)
    assert reading.plan is not None, reading.findings
    return reading.plan


LOOPS = {
    "email": Loop(
        channel="email", page=90, sent_at=NOW - 9 * MINUTE, next_at=NOW + 51 * MINUTE, came_at=NOW - 69 * MINUTE,
        took=4_200_000, alert=30, failure="The synthetic page by email did not come back within 5 min",
    ),
    "webhook": Loop(
        channel="webhook", page=91, sent_at=NOW - 9 * MINUTE, next_at=NOW + 51 * MINUTE, came_at=NOW - 9 * MINUTE,
        took=130_000,
    ),
}  # fmt: skip
"""Synthetic pages: by mail one is lost, by webhook they come back."""


class Night:
    """The database of the night. `put` writes one noun as the writer would; `connection` is for what a test adds."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tocsin.db"
        self.url = f"sqlite:///{self.path}"
        self.engine = create_engine(self.url)
        tables.metadata.create_all(self.engine)
        with sqlite3.connect(self.path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        self.plan = the_plan()
        self.entries = itertools.count(1)
        version = plan_version(PLAN)
        self._insert(tables.plans, version=version, at=NOW, files=pack_files(PLAN))
        self._insert(tables.meta, name="plan", value=version.encode())
        self._insert(tables.meta, name="counters", value=msgspec.json.encode(Counters(loops=LOOPS)))

    def replace_plan(self, files: dict[str, bytes]) -> None:
        """Put other files in force."""
        version = plan_version(files)
        self._insert(tables.plans, version=version, at=NOW, files=pack_files(files))
        with self.engine.begin() as connection:
            connection.execute(update(tables.meta).where(tables.meta.c.name == "plan").values(value=version.encode()))

    def _insert(self, table: Table, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(insert(table).values(**values))

    def put(self, *nouns: Any) -> None:
        """Write or overwrite rows."""
        with self.engine.begin() as connection:
            for noun in nouns:
                table, keys, more = _row(noun, next(self.entries) if isinstance(noun, Entry) else 0)
                values = {**keys, **more, "body": msgspec.json.encode(noun)}
                where = [table.c[name] == value for name, value in keys.items()]
                if connection.execute(select(table.c.body).where(*where)).first() is None:
                    connection.execute(insert(table).values(**values))
                else:
                    connection.execute(update(table).where(*where).values(**values))

    def incident(self, number: int) -> Incident:
        """Read one incident back."""
        with self.engine.begin() as connection:
            row = connection.execute(select(tables.incidents.c.body).where(tables.incidents.c.number == number)).one()
        return msgspec.json.decode(row[0], type=Incident)

    def contact(self, number: int) -> Contact:
        """Read one contact method back."""
        found: Contact = next(one for one in self.bodies(tables.contacts, Contact) if one.id == number)
        return found

    def bodies(self, table: Table, kind: type[Any]) -> list[Any]:
        """All rows of a table."""
        with self.engine.begin() as connection:
            return [msgspec.json.decode(row[0], type=kind) for row in connection.execute(select(table.c.body))]

    def enter(self, number: int, at: Instant, what: str, reason: Reason, actor: str = "code", **detail: str) -> None:
        """One line of a timeline."""
        self.put(Entry(incident=number, at=at, what=what, reason=reason, actor=actor, detail=detail))


def _row(noun: Any, ordinal: int) -> tuple[Table, dict[str, Any], dict[str, Any]]:
    match noun:
        case Incident():
            return (
                tables.incidents,
                {"number": noun.number},
                {
                    "service": noun.service,
                    "state": noun.state,
                    "severity": noun.severity,
                    "quiet": noun.kept_quiet,
                    "opened_at": noun.opened_at,
                    "live": noun.open,
                },
            )
        case Alert():
            more = {"incident": noun.incident, "service": noun.service, "state": noun.state, "live": noun.firing}
            return tables.alerts, {"id": noun.id}, more
        case Entry():
            return tables.entries, {"id": ordinal}, {"incident": noun.incident, "at": noun.at}
        case Page():
            return (
                tables.pages,
                {"id": noun.id},
                {
                    "incident": noun.incident,
                    "person": noun.person,
                    "state": noun.state,
                    "intended_at": noun.intended_at,
                    "live": True,
                },
            )
        case Silence():
            return tables.silences, {"id": noun.id}, {"ends_at": noun.ends_at, "live": not noun.closed}
        case Override():
            live = noun.cancelled_at is None and noun.declined_at is None
            more = {"schedule": noun.schedule, "ends_at": noun.last, "live": live}
            return tables.overrides, {"id": noun.id}, more
        case Imported():
            return tables.calendars, {"name": noun.name}, {}
        case Key():
            return tables.keys, {"id": noun.id}, {"hash": noun.hash, "revoked": noun.revoked_at is not None}
        case User():
            return tables.users, {"id": noun.id}, {"name": noun.name}
        case Token():
            return tables.tokens, {"id": noun.id}, {"hash": noun.hash}
        case Parked():
            return tables.parked, {"id": noun.id}, {"at": noun.at, "discarded": noun.discarded}
        case Contact():
            return tables.contacts, {"id": noun.id}, {"person": noun.person, "live": not noun.removed}
        case Reach():
            return tables.reaches, {"person": noun.person}, {}
        case HeardChange():
            return tables.changes, {"id": noun.id}, {"service": noun.service, "at": noun.at}
        case Heartbeat():
            return tables.heartbeats, {"service": noun.service, "name": noun.name}, {}
    raise TypeError(noun)


def alert(number: int, title: str, service: str, incident: int, **more: Any) -> Alert:
    """An alert that has fired for a while."""
    labels = more.pop("labels", {"alertname": title.split()[0], "job": service, "instance": f"{service}-{number}:9100"})
    began = more.pop("starts_at", NOW - 13 * MINUTE)
    return Alert(
        **{
            "id": number,
            "source": "alertmanager",
            "origin": "inbox",
            "key_id": 1,
            "labels_json": texts_json(labels),
            "annotations_json": texts_json({"summary": title}),
            "own_title": title,
            "severity": "sev2",
            "service": service,
            "incident": incident,
            "routed": Reason.ROUTE_MATCHED,
            "reason": Reason.JOINED,
            "starts_at": began,
            "first_seen": began,
            "last_seen": NOW - 12 * SECOND,
            "ends_at": NOW + 4 * MINUTE,
            "ttl": 4 * MINUTE,
            "count": 27,
            **more,
        }
    )


def fill(night: Night) -> Night:
    """The night at 03:31:08: two triggered, one held, one silenced, two resolved."""
    plan = night.plan
    password = hash_password(PASSWORD)
    night.put(
        User(id=1, name="ana", role="admin", person="ana", password=password, created_at=NOW - 90 * DAY),
        User(id=2, name="ben", role="responder", person="ben", created_at=NOW - 90 * DAY),
        User(id=3, name="auditor", role="viewer", created_at=NOW - 30 * DAY),
        User(id=4, name="lena", role="responder", created_at=NOW - 400 * DAY, disabled_at=NOW - 40 * DAY),
        Key(
            id=1,
            hash=b"1" * 32,
            hint="29qd",
            source="alertmanager",
            service="inbox",
            name="prometheus in Stockholm",
            created_at=NOW - 60 * DAY,
            created_by="person:ana",
        ),
        Key(
            id=2,
            hash=b"2" * 32,
            hint="Zk4u",
            source="pagerduty",
            service="payments",
            name="card provider",
            created_at=NOW - 21 * DAY,
            created_by="person:ben",
        ),
        Key(
            id=3,
            hash=b"3" * 32,
            hint="w0Rx",
            source="heartbeat",
            service="orders-batch",
            name="",
            heartbeat="nightly-export",
            declared=True,
            created_at=NOW - 60 * DAY,
        ),
        Key(
            id=4,
            hash=b"4" * 32,
            hint="aa11",
            source="events",
            service="search",
            name="old script",
            created_at=NOW - 80 * DAY,
            revoked_at=NOW - 9 * DAY,
        ),
        Heartbeat(
            service="orders-batch",
            name="nightly-export",
            state="up",
            last=NOW - 27 * MINUTE,
            due=NOW + 23 * HOUR,
            beats=61,
        ),
    )

    def incident(number: int, service: str, title: str, severity: str, opened: Instant, **more: Any) -> Incident:
        return Incident(
            number=number,
            service=service,
            group=f"alertname={title}",
            title=title,
            severity=severity,
            opened_at=opened,
            updated_at=NOW,
            last_joined=opened,
            steps=plan.steps(service),
            plan=plan.version,
            **more,
        )

    opened = NOW - 13 * MINUTE
    first = plan.checklists["cards-declined"].items[0]
    night.put(
        incident(
            1042,
            "checkout",
            "About 1 in 6 shoppers cannot pay by card",
            "sev1",
            opened,
            alerts=4,
            pages=2,
            step=1,
            round=1,
            next_at=NOW + 2 * MINUTE + 10 * SECOND,
            labels={"job": "checkout"},
            checklists=("cards-declined",),
            ticks={"cards-declined": {first.id: Tick("person:ben", NOW - 4 * MINUTE, first.text)}},
        ),
        incident(
            1044,
            "search",
            "Search takes 6 seconds for everyone",
            "sev2",
            NOW - 2 * MINUTE,
            alerts=1,
            pages=1,
            step=1,
            next_at=NOW + 2 * MINUTE + 52 * SECOND,
        ),
        incident(
            1043,
            "orders-batch",
            "Nightly order export runs 12 min late",
            "sev3",
            NOW - 41 * MINUTE,
            alerts=1,
            pages=1,
            state="acknowledged",
            reason=Reason.ACKNOWLEDGED,
            acknowledged_by="person:ben",
            acknowledged_at=NOW - 36 * MINUTE,
            first_acknowledged_at=NOW - 36 * MINUTE,
            acknowledged_until=NOW + 24 * MINUTE,
        ),
        incident(
            1041,
            "payments",
            "Refund queue is longer than 500",
            "sev3",
            NOW - 3 * HOUR,
            alerts=2,
            paused=Reason.SILENCED,
            paused_until=NOW + 89 * MINUTE,
        ),
        incident(
            1040,
            "payments",
            "Refunds were 4 min late",
            "sev3",
            NOW - 5 * HOUR,
            alerts=3,
            pages=1,
            state="resolved",
            reason=Reason.ALL_CLEAR,
            resolved_by="code",
            resolved_at=NOW - 4 * HOUR - 20 * MINUTE,
            first_acknowledged_at=NOW - 5 * HOUR + 2 * MINUTE,
        ),
        incident(
            1038,
            "checkout",
            "Product photos loaded slowly in Norway",
            "sev4",
            NOW - 9 * HOUR,
            alerts=1,
            state="resolved",
            reason=Reason.BY_HAND,
            resolved_by="person:ana",
            resolved_at=NOW - 8 * HOUR,
            snoozed_until=NOW + 16 * HOUR,
        ),
    )
    night.put(
        alert(1, "CardDeclineRate above 15% for 2 min", "checkout", 1042, severity="sev1", starts_at=opened),
        alert(
            2,
            "RedisMemoryHigh: cart-redis at 96%",
            "checkout",
            1042,
            starts_at=opened + 31 * SECOND,
            labels={
                "alertname": "RedisMemoryHigh",
                "job": "checkout",
                "instance": "cart-redis-1:9121",
                "region": "eu-north-1",
                "severity": "warning",
            },
        ),
        alert(3, "PaymentTimeout on 21 instances", "checkout", 1042, starts_at=opened + MINUTE),
        alert(
            4,
            "CheckoutErrorRate above 10%",
            "checkout",
            1042,
            state="resolved",
            reason=Reason.SOURCE_RESOLVED,
            ends_at=NOW - 3 * MINUTE,
            starts_at=opened,
        ),
        alert(5, "SearchLatencyHigh: p95 over 6 s", "search", 1044, starts_at=NOW - 2 * MINUTE, count=4),
        alert(6, "ExportLate by 12 min", "orders-batch", 1043, severity="sev3", starts_at=NOW - 41 * MINUTE, count=82),
        alert(
            7,
            "RefundQueueLong: 731 waiting",
            "payments",
            1041,
            severity="sev3",
            silences=("5f1c0a9e-1111-4222-8333-444455556666",),
            reason=Reason.SILENCED,
        ),
        alert(
            8,
            "RefundQueueOld: 40 min",
            "payments",
            1041,
            severity="sev3",
            silences=("5f1c0a9e-1111-4222-8333-444455556666",),
            reason=Reason.SILENCED,
        ),
        alert(
            9,
            "Watchdog",
            "inbox",
            0,
            severity="sev4",
            reason=Reason.COUNTS_AS_HEARTBEAT,
            routed=Reason.NO_ROUTE,
            count=8641,
        ),
        alert(
            10,
            "RefundsLate",
            "payments",
            1040,
            severity="sev3",
            state="resolved",
            reason=Reason.SOURCE_RESOLVED,
            ends_at=NOW - 4 * HOUR,
        ),
    )
    night.put(
        Page(
            id=17,
            incident=1042,
            person="ana",
            channel="email",
            address="ana@larkfield.example",
            title="About 1 in 6",
            reason=Reason.STEP_DUE,
            step=0,
            state="sent",
            outcome=Reason.SENT,
            intended_at=opened + 2 * SECOND,
            next_at=None,
            attempts=1,
            finished_at=opened + 3 * SECOND,
        ),
        Page(
            id=18,
            incident=1042,
            person="ben",
            channel="email",
            address="ben@larkfield.example",
            title="About 1 in 6",
            reason=Reason.STEP_DUE,
            step=1,
            state="sent",
            outcome=Reason.POSSIBLE_DUPLICATE,
            unsure=True,
            intended_at=NOW - 3 * MINUTE,
            next_at=None,
            attempts=2,
            finished_at=NOW - 3 * MINUTE + 41 * SECOND,
        ),
        Page(
            id=19,
            incident=1044,
            person="mei",
            channel="email",
            address="mei@larkfield.example",
            title="Search",
            reason=Reason.STEP_DUE,
            step=0,
            state="sent",
            outcome=Reason.SENT,
            intended_at=NOW - 2 * MINUTE,
            next_at=None,
            attempts=1,
            finished_at=NOW - 119 * SECOND,
        ),
        Page(
            id=16,
            incident=1043,
            person="mei",
            channel="email",
            address="mei@larkfield.example",
            title="Export",
            reason=Reason.STEP_DUE,
            step=0,
            state="sent",
            outcome=Reason.SENT,
            intended_at=NOW - 41 * MINUTE,
            next_at=None,
            attempts=1,
            finished_at=NOW - 41 * MINUTE + SECOND,
        ),
        Page(
            id=14,
            incident=0,
            person="ana",
            channel="webhook",
            address="https://push.larkfield.example/ana",
            kind="drill",
            title="Drill",
            reason=Reason.DRILL,
            contact=2,
            state="sent",
            outcome=Reason.SENT,
            intended_at=NOW - MINUTE,
            next_at=None,
            attempts=1,
            finished_at=NOW - MINUTE + SECOND,
        ),
        Page(
            id=20,
            incident=1043,
            person="mei",
            channel="email",
            address="mei@larkfield.example",
            kind="help",
            title="Export",
            reason=Reason.ASKED_FOR_HELP,
            contact=5,
            state="sent",
            outcome=Reason.SENT,
            intended_at=NOW - MINUTE,
            next_at=None,
            attempts=1,
            finished_at=NOW - MINUTE + SECOND,
        ),
        Page(
            id=21,
            incident=1042,
            person="ben",
            channel="webhook",
            address="https://push.larkfield.example/ben",
            title="About 1 in 6",
            reason=Reason.STEP_DUE,
            step=1,
            contact=6,
            held=Reason.NEXT_METHOD,
            not_before=NOW + MINUTE,
            intended_at=NOW - 3 * MINUTE,
            next_at=NOW + MINUTE,
        ),
        Contact(
            id=1, person="ana", channel="email", address="ana@larkfield.example", state="verified", declared=True,
            added_at=NOW - 90 * DAY, verified_at=NOW - 90 * DAY,
        ),
        Contact(
            id=2, person="ana", channel="webhook", address="https://push.larkfield.example/ana", label="Phone",
            state="verified", added_at=NOW - 80 * DAY, verified_at=NOW - 80 * DAY,
        ),
        Contact(
            id=3, person="ana", channel="webhook", address="https://push.larkfield.example/" + "long" * 40,
            label=HOSTILE[:60], added_at=NOW - MINUTE, seed=b"s" * 32, code_hash=b"h" * 32, code_until=NOW + 9 * MINUTE,
        ),
        Contact(
            id=4, person="ana", channel="webhook", address="https://old.larkfield.example/", label="Old phone",
            state="failing", added_at=NOW - 99 * DAY, verified_at=NOW - 99 * DAY, failed_at=NOW - DAY,
            failure="client: the webhook answered 410: it is gone for good",
        ),
        Contact(
            id=5, person="mei", channel="email", address="mei@larkfield.example", state="verified", declared=True,
            added_at=NOW - 90 * DAY, verified_at=NOW - 90 * DAY,
        ),
        Reach(person="ana", high=(Way(2, 0), Way(1, 3 * MINUTE))),
        Page(
            id=15,
            incident=1040,
            person="ana",
            channel="email",
            address="ana@larkfield.example",
            title="Refunds",
            reason=Reason.STEP_DUE,
            step=0,
            state="sent",
            outcome=Reason.SENT,
            intended_at=NOW - 5 * HOUR,
            next_at=None,
            attempts=1,
            finished_at=NOW - 5 * HOUR + SECOND,
            answered_at=NOW - 5 * HOUR + 2 * MINUTE,
        ),
    )
    title = "About 1 in 6 shoppers cannot pay by card"
    night.enter(1042, opened, f"Opened for checkout: {title}", Reason.OPENED, "source:alertmanager", alert="1")
    night.enter(1042, opened + 2 * SECOND, "Paging Ana Ribeiro; next in 5m if nobody answers", Reason.STEP_DUE)
    night.enter(
        1042,
        opened + 31 * SECOND,
        "Joined: RedisMemoryHigh: cart-redis at 96%",
        Reason.JOINED,
        "source:alertmanager",
        alert="2",
    )
    night.enter(
        1042, opened + MINUTE, "Joined: PaymentTimeout on 21 instances", Reason.JOINED, "source:alertmanager", alert="3"
    )
    night.enter(1042, opened + 3 * MINUTE, "Now SEV1, was SEV2", Reason.CHANGED, "source:alertmanager", alert="1")
    night.enter(1042, NOW - 3 * MINUTE, "Paging Ben Okafor; next in 5m if nobody answers", Reason.STEP_DUE)
    night.enter(
        1042,
        NOW - 90 * SECOND,
        "Started on the train, back in 10 minutes.\nCard provider has nothing on its status page.",
        Reason.NOTE,
        "person:ana",
    )
    night.put(
        Silence(
            id="5f1c0a9e-1111-4222-8333-444455556666",
            matchers=(Matcher("alertname", "=~", "Refund.*"), Matcher("job", "=", "payments")),
            author="Ana Ribeiro",
            comment="Refund worker is being moved to the new queue",
            starts_at=NOW - 2 * HOUR,
            ends_at=NOW + 89 * MINUTE,
            created_at=NOW - 2 * HOUR,
            updated_at=NOW - 2 * HOUR,
        ),
        Silence(
            id="6f1c0a9e-1111-4222-8333-444455556666",
            matchers=(Matcher("region", "=", "eu-west-9"),),
            author="Ben Okafor",
            comment="Region is built up",
            starts_at=NOW + HOUR,
            ends_at=NOW + DAY,
            created_at=NOW - HOUR,
            updated_at=NOW - HOUR,
        ),
        Silence(
            id="7f1c0a9e-1111-4222-8333-444455556666",
            matchers=(Matcher("job", "=", "search"),),
            author="Mei Tanaka",
            comment="Index rebuild",
            starts_at=NOW - 2 * DAY,
            ends_at=NOW - DAY,
            created_at=NOW - 2 * DAY,
            updated_at=NOW - 2 * DAY,
            closed=True,
        ),
        Parked(
            id=77,
            at=NOW - 17 * MINUTE,
            key_id=2,
            service="payments",
            fault="payload.severity: “disaster” is not one of critical, error, warning, info",
            request=Request(
                source="pagerduty",
                method="POST",
                path="/v2/enqueue",
                headers={"content-type": "application/json", "user-agent": "card-gate/2.1"},
                body=b'{"event_action":"trigger","payload":{"summary":"'
                + HOSTILE.replace('"', "'").encode()
                + b'","severity":"disaster"}}',
            ),
        ),
    )
    return night


class Clock:
    """Begins at the night's instant and goes on as time does."""

    def __init__(self, start: Instant = NOW) -> None:
        self._start, self._began = start, time.monotonic()

    def __call__(self) -> Instant:
        return self._start + round((time.monotonic() - self._began) * SECOND)

    def goes_on(self, length: int) -> None:
        """So much time passes at once."""
        self._start += length


class FakeCore:
    """A core that writes down what a command means for the pages, and says that it changed. Decides nothing else."""

    def __init__(self, night: Night, clock: Clock) -> None:
        self.night, self.clock = night, clock
        self.asked: list[c.AnyCommand] = []
        self.keys: list[str] = []
        self.kept: dict[str, c.Result] = {}
        self.heard: list[tuple[str, bytes, str]] = []
        self.gone = False
        self.answer: c.Result | None = None
        """What every command is answered with, instead of being done."""
        self.audit: tuple[str, ...] = ()
        self.plan_refused: tuple[str, ...] = ()
        self.proven: int | None = NOW - DAY
        self.console_only = False
        self.paging = True
        self.weighing: Weighing | None = None
        """What every question about guards is answered with, instead of being measured."""
        self.requests, self.refused = 48_211, 3
        self.reloaded = Reloaded(True, False, "v", ())
        self.reloads: list[tuple[str, str]] = []
        self._watchers: list[asyncio.Queue[Changed | None]] = []

    def _alive(self) -> None:
        if self.gone:
            raise CoreGone("the core does not answer")

    async def guards(self, service: str, playbook: str, target: str = "", run: int = 0) -> Weighing:
        self._alive()
        return self.weighing or Weighing(why="nothing is measured here")

    async def firing(self, incident: int = 0, newest: int = 0) -> Firing:
        self._alive()
        alive = [one for one in self.night.bodies(tables.alerts, Alert) if one.firing]
        asked = [one for one in alive if incident in (0, one.incident)]
        told = sorted([one for one in asked if not one.silences] or asked, key=lambda one: -one.id)
        quiet = dict(Counter(name for one in asked for name in one.silences))
        return Firing(len(asked), quiet, len(told) if newest else 0, tuple(one.title for one in told[:newest]))

    async def status(self) -> Status:
        self._alive()
        now = self.clock()
        with self.night.engine.begin() as connection:
            live = connection.execute(
                select(func.count()).select_from(tables.alerts).where(tables.alerts.c.live)
            ).scalar_one()
            opened = connection.execute(
                select(func.count()).select_from(tables.incidents).where(tables.incidents.c.live)
            ).scalar_one()
        return Status(
            ready=True,
            paging=self.paging,
            started_at=NOW - 134 * SECOND,
            now=now,
            plan_version=self.night.plan.version,
            real_channel_proven_at=self.proven,
            alerts_live=live,
            incidents_open=opened,
            waiting=0,
            audit=self.audit,
            plan_refused=self.plan_refused,
            console_only=self.console_only,
            audit_at=NOW - 4 * SECOND,
            requests=self.requests,
            refused=self.refused,
            public_url="https://tocsin.larkfield.example",
            mail_ready=True,
        )

    async def changes(self) -> AsyncIterator[Changed]:
        self._alive()
        queue: asyncio.Queue[Changed | None] = asyncio.Queue()
        self._watchers.append(queue)
        while (changed := await queue.get()) is not None:
            yield changed
        raise CoreGone("the line broke")

    def say(self, *numbers: int) -> None:
        """Tell every open page that something changed. Call it on the server's loop."""
        for queue in self._watchers:
            queue.put_nowait(Changed(incidents=numbers, kinds=("alerts",)))

    async def events(self, service: str, body: bytes, actor: str) -> HeardReply:
        self._alive()
        self.heard.append((service, body, actor))
        return HeardReply(202, b"{}")

    async def reload(self, actor: str, only: str = "") -> Reloaded:
        self._alive()
        self.reloads.append((actor, only))
        return self.reloaded

    async def close(self) -> None:
        """Nothing is open."""

    def _wish(self, command: c.AddOverride | c.AskSwap | c.AskCover, now: Instant) -> c.Result:
        if command.ends_at <= command.starts_at:
            return c.Result(ok=False, code="invalid", message="It must end after it begins", field="ends_at")
        made = Override(
            id=100 + len(self.asked), kind="cover", schedule=command.schedule, starts_at=command.starts_at,
            ends_at=command.ends_at, reason=command.reason, asked_by=command.actor, asked_at=now,
        )  # fmt: skip
        match command:
            case c.AddOverride():
                made.kind, made.agreed_at = "override", now
                made.person, made.instead_of = command.person, command.instead_of
            case c.AskSwap():
                made.kind, made.person, made.instead_of = "swap", command.other, command.person
                made.back = (command.back_starts_at, command.back_ends_at)
            case c.AskCover():
                made.instead_of = command.person
        self.night.put(made)
        return c.Result(ok=True, id=str(made.id))

    async def submit(self, command: c.AnyCommand, idempotency_key: str = "") -> c.Result:
        self._alive()
        self.asked.append(command)
        if self.answer is not None:
            return self.answer
        self.keys.append(idempotency_key)
        if idempotency_key in self.kept:
            return self.kept[idempotency_key]
        result = self._do(command)
        if idempotency_key:
            self.kept[idempotency_key] = result
        if isinstance(command, c.Acknowledge | c.Resolve | c.AddNote) and result.ok:
            self.say(command.incident)
        return result

    def _do(self, command: c.AnyCommand) -> c.Result:
        night, now = self.night, self.clock()
        match command:
            case c.Acknowledge(incident=number, actor=actor, over=over):
                incident = night.incident(number)
                if not over and incident.state == "acknowledged" and incident.acknowledged_by != actor:
                    who = called(incident.acknowledged_by, {"ben": "Ben"})
                    return c.Result(ok=False, code="taken", message=f"{who} has incident #{number} already")
                if not incident.open:
                    return c.Result(ok=False, code="conflict", message=f"Incident #{number} is resolved already")
                incident.state, incident.reason, incident.next_at = "acknowledged", Reason.ACKNOWLEDGED, None
                incident.acknowledged_by, incident.acknowledged_at, incident.acknowledged_until = actor, now, now + HOUR
                night.put(incident)
                night.enter(number, now, "Acknowledged for 1h", Reason.ACKNOWLEDGED, actor)
            case c.Resolve(incident=number, actor=actor, snooze=snooze):
                incident = night.incident(number)
                incident.state, incident.reason, incident.next_at = "resolved", Reason.BY_HAND, None
                incident.resolved_by, incident.resolved_at = actor, now
                incident.snoozed_until = now + snooze if snooze else None
                night.put(incident)
                night.enter(number, now, "Resolved while alerts still fire", Reason.SNOOZED, actor)
            case c.AddNote(incident=number, actor=actor, text=text):
                night.enter(number, now, text, Reason.NOTE, actor)
            case c.SetSilence():
                name = command.id or f"00000000-0000-4000-8000-{len(self.asked):012d}"
                night.put(
                    Silence(
                        id=name,
                        matchers=command.matchers,
                        author=command.author,
                        comment=command.comment,
                        starts_at=command.starts_at,
                        ends_at=command.ends_at,
                        created_at=now,
                        updated_at=now,
                    )
                )
                return c.Result(ok=True, id=name)
            case c.ExpireSilence(id=name):
                silence = next(one for one in night.bodies(tables.silences, Silence) if one.id == name)
                silence.ends_at, silence.closed = now, True
                night.put(silence)
            case c.CreateKey():
                if command.service not in night.plan.services:
                    return c.Result(
                        ok=False,
                        code="invalid",
                        message=f"The plan has no service {command.service!r}",
                        field="service",
                    )
                number = 100 + len(self.asked)
                night.put(
                    Key(
                        id=number,
                        hash=command.hash,
                        hint=command.hint,
                        source=command.source,
                        service=command.service,
                        name=command.name,
                        heartbeat=command.heartbeat,
                        created_at=now,
                        created_by=command.actor,
                    )
                )
                return c.Result(ok=True, id=str(number))
            case c.LimitKey(id=number, limits=limits):
                key = next(one for one in night.bodies(tables.keys, Key) if one.id == number)
                key.limits = limits
                night.put(key)
            case c.RevokeKey(id=number):
                key = next(one for one in night.bodies(tables.keys, Key) if one.id == number)
                key.revoked_at = now
                night.put(key)
            case c.SetUser():
                known = {one.name: one for one in night.bodies(tables.users, User)}
                user = known.get(command.name) or User(
                    id=100 + len(known), name=command.name, role=command.role or "viewer", created_at=now
                )
                user.role, user.person = (
                    command.role or user.role,
                    command.person if command.person is not None else user.person,
                )
                if command.password is not None:
                    user.password, user.epoch = command.password, user.epoch + 1
                if command.disabled is not None:
                    user.disabled_at = now if command.disabled else None
                night.put(user)
            case c.CreateToken():
                user = next(one for one in night.bodies(tables.users, User) if one.name == command.user)
                number = 100 + len(self.asked)
                night.put(
                    Token(
                        id=number,
                        hash=command.hash,
                        kind=command.kind,  # type: ignore[arg-type]  # one of the three
                        user=user.id,
                        name=command.name,
                        created_at=now,
                        expires_at=command.expires_at,
                    )
                )
                return c.Result(ok=True, id=str(number))
            case c.AddOverride() | c.AskSwap() | c.AskCover():
                return self._wish(command, now)
            case c.AnswerOverride(id=number) | c.CancelOverride(id=number):
                found = next(one for one in night.bodies(tables.overrides, Override) if one.id == number)
                if isinstance(command, c.CancelOverride):
                    found.cancelled_at = now
                elif command.yes:
                    found.person, found.agreed_at = found.person or command.person, now
                else:
                    found.declined_at = now
                night.put(found)
            case c.RevokeToken(id=number):
                token = next(one for one in night.bodies(tables.tokens, Token) if one.id == number)
                token.revoked_at = now
                night.put(token)
            case c.UseLink(hash=digest):
                tokens, users = night.bodies(tables.tokens, Token), night.bodies(tables.users, User)
                token = next((one for one in tokens if one.hash == digest and one.kind == "link"), None)
                if token is None or token.used_at is not None:
                    return c.Result(ok=False, code="conflict", message="This sign-in link was used already")
                token.used_at = now
                night.put(token)
                return c.Result(ok=True, id=next(one.name for one in users if one.id == token.user))
            case c.AddContact():
                try:
                    address = checked_address(command.channel, command.address)
                except BadAddress as error:
                    return c.Result(ok=False, code="invalid", message=str(error), field="address")
                number = 100 + len(self.asked)
                kept = {"person": command.person, "channel": command.channel, "label": command.label}
                night.put(Contact(id=number, address=address, added_at=now, **kept))  # type: ignore[arg-type]  # texts all
                return c.Result(ok=True, id=str(number))
            case c.SendCode():
                contact = night.contact(command.contact)
                contact.seed, contact.code_hash, contact.code_until = command.seed, command.hash, now + 10 * MINUTE
                night.put(contact)
            case c.VerifyContact():
                contact = night.contact(command.contact)
                if contact.code_hash != command.hash:
                    said = "This is not the code: 4 more tries"
                    return c.Result(ok=False, code="invalid", message=said, field="code")
                contact.state, contact.verified_at = "verified", now
                night.put(contact)
            case c.MarkContact():
                contact = night.contact(command.contact)
                contact.state, contact.failure = "failing", "its owner says so"
                night.put(contact)
            case c.RemoveContact():
                contact = night.contact(command.contact)
                contact.removed = True
                night.put(contact)
            case c.SetReach():
                wrong = rules_fault(command.reach, {one.id for one in night.bodies(tables.contacts, Contact)})
                if wrong is not None:
                    return c.Result(ok=False, code="invalid", message=wrong[1], field=wrong[0])
                night.put(command.reach)
            case c.AnswerDrill():
                page = next(one for one in night.bodies(tables.pages, Page) if one.id == command.page)
                page.answered_at = now
                night.put(page)
            case c.Reassign(incident=number, person=person):
                if person not in night.plan.people:
                    said = f"The plan has no person {person!r}"
                    return c.Result(ok=False, code="invalid", message=said, field="person")
                night.enter(number, now, f"Given to {person}", Reason.REASSIGNED, command.actor)
            case c.DiscardParked(id=number):
                parked = next(one for one in night.bodies(tables.parked, Parked) if one.id == number)
                parked.discarded = True
                night.put(parked)
        return c.Result(ok=True)


def link(night: Night, user: int, secret: str = "sign-in-secret") -> str:
    """A one-time sign-in link for a user; its secret."""
    night.put(
        Token(id=1, hash=secret_hash(secret), kind="link", user=user, name="link", created_at=NOW, expires_at=NOW + DAY)
    )
    return secret
