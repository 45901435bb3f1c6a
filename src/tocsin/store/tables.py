"""Every table, once, for both databases. The migrations under ``migrations/`` lead here; a test compares the two.

A row keeps the noun's whole struct as JSON in ``body``; the other columns are what is searched, sorted or joined by.
Instants are microseconds (BIGINT). Every row carries its workspace, one by default.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text, false, text
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite gives a table its fast row id only for the very type INTEGER.
BigKey: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")


def _workspace() -> Column[int]:
    return Column("workspace", Integer, nullable=False, server_default=text("1"))


journal = Table(
    "journal",
    metadata,
    Column("seq", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # request, seen, command, tick, outcome, plan, deaf
    Column("versions", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),  # MessagePack of the input, zstd-compressed when that is shorter
)
Index("ix_journal_at", journal.c.at)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("engine", Text, nullable=False),
    Column("tzdata", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("incident", BigInteger, nullable=False),
    Column("service", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("live", Boolean, nullable=False),  # the engine still keeps it in memory
    Column("body", LargeBinary, nullable=False),
)
Index("ix_alerts_incident_id", alerts.c.incident, alerts.c.id)
Index("ix_alerts_live_id", alerts.c.id, sqlite_where=text("live"), postgresql_where=text("live"))

alert_blocks = Table(
    "alert_blocks",
    metadata,
    Column("first", BigKey, primary_key=True, autoincrement=False),  # alert ids
    Column("last", BigInteger, nullable=False),
    _workspace(),
    Column("body", LargeBinary, nullable=False),  # JSON list of alerts as first heard, zstd-compressed
)

alert_block_incidents = Table(
    "alert_block_incidents",
    metadata,
    Column("incident", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    _workspace(),
    sqlite_with_rowid=False,
)

alert_sightings = Table(
    "alert_sightings",
    metadata,
    Column("stretch", BigKey, primary_key=True, autoincrement=False),  # ids from 512 times this on
    _workspace(),
    Column("body", LargeBinary, nullable=False),  # MessagePack of Sightings, zstd-compressed when that is shorter
)

incidents = Table(
    "incidents",
    metadata,
    Column("number", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("service", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("quiet", Boolean, nullable=False, server_default=false()),  # triggered, and nobody is paged for a while
    Column("opened_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("ix_incidents_state_number", incidents.c.state, incidents.c.number)
Index(
    "ix_incidents_state_quiet_severity_number",
    incidents.c.workspace,  # so that counting needs the index alone
    incidents.c.state,
    incidents.c.quiet,
    incidents.c.severity,
    incidents.c.number,
    incidents.c.service,  # likewise, of one service
)
Index("ix_incidents_service_number", incidents.c.service, incidents.c.number)
Index("ix_incidents_live_number", incidents.c.number, sqlite_where=text("live"), postgresql_where=text("live"))

entries = Table(
    "entries",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("incident", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("ix_entries_incident_id", entries.c.incident, entries.c.id)

pages = Table(
    "pages",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("incident", BigInteger, nullable=False),
    Column("person", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("intended_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("ix_pages_incident_id", pages.c.incident, pages.c.id)
Index("ix_pages_person_id", pages.c.person, pages.c.id)
Index("ix_pages_live_id", pages.c.id, sqlite_where=text("live"), postgresql_where=text("live"))

silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    _workspace(),
    Column("ends_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("ix_silences_ends_at", silences.c.ends_at)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("service", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _workspace(),
    Column("body", LargeBinary, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("revoked", Boolean, nullable=False, server_default=false()),
    Column("body", LargeBinary, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("name", Text, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
)

parked = Table(
    "parked",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),  # the journal row that holds the request
    _workspace(),
    Column("at", BigInteger, nullable=False),
    Column("discarded", Boolean, nullable=False, server_default=false()),
    Column("body", LargeBinary, nullable=False),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("person", Text, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("ix_contacts_person_id", contacts.c.person, contacts.c.id)

reaches = Table(
    "reaches",
    metadata,
    Column("person", Text, primary_key=True),
    _workspace(),
    Column("body", LargeBinary, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("service", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("ix_changes_service_at", changes.c.service, changes.c.at)

plans = Table(
    "plans",
    metadata,
    Column("version", Text, primary_key=True),
    _workspace(),
    Column("at", BigInteger, nullable=False),
    Column("files", LargeBinary, nullable=False),  # MessagePack map of name to content, zstd
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("schedule", Text, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),  # the engine still keeps it in memory
    Column("body", LargeBinary, nullable=False),
)
Index("ix_overrides_schedule_ends_at", overrides.c.schedule, overrides.c.ends_at)
Index("ix_overrides_live_id", overrides.c.id, sqlite_where=text("live"), postgresql_where=text("live"))

duties = Table(
    "duties",
    metadata,
    Column("name", Text, primary_key=True),  # a schedule's handoffs, or the daily word
    _workspace(),
    Column("body", LargeBinary, nullable=False),
)

calendars = Table(
    "calendars",
    metadata,
    Column("name", Text, primary_key=True),  # as the plan calls it; the body is the last good copy
    _workspace(),
    Column("body", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("number", BigKey, primary_key=True, autoincrement=False),
    _workspace(),
    Column("incident", BigInteger, nullable=False),  # 0: it answers none
    Column("service", Text, nullable=False),
    Column("playbook", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),  # the engine still keeps it in memory: guards count it
    Column("body", LargeBinary, nullable=False),
)
Index("ix_runs_incident_number", runs.c.incident, runs.c.number)
Index("ix_runs_playbook_number", runs.c.playbook, runs.c.number)
Index("ix_runs_live_number", runs.c.number, sqlite_where=text("live"), postgresql_where=text("live"))

steps = Table(
    "steps",
    metadata,
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    _workspace(),
    Column("body", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

standings = Table(
    "standings",
    metadata,
    Column("service", Text, primary_key=True),
    Column("playbook", Text, primary_key=True),
    _workspace(),
    Column("body", LargeBinary, nullable=False),
)

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),  # counters, alive_at, signing_key, plan, lease …
    _workspace(),
    Column("value", LargeBinary, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("key", Text, primary_key=True),  # actor and idempotency key of a command that was decided
    _workspace(),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),  # writer; only on PostgreSQL is there more than one node to hold it
    _workspace(),
    Column("token", BigInteger, nullable=False),  # counts up with every holder, so that an old one is told apart
    Column("holder", Text, nullable=False),
    Column("backend", Integer, nullable=False),  # the process id of the holder's connection on the server
    Column("ends_at", BigInteger, nullable=False),  # by the database's clock
)
