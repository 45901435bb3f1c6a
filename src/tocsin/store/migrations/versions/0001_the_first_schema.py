"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite gives a table its fast row id only for the very type INTEGER.
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE = sa.text("live")


def _workspace() -> sa.Column[int]:
    return sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False)


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "alerts",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("incident", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_incident_id", "alerts", ["incident", "id"])
    op.create_index("ix_alerts_live_id", "alerts", ["id"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_table(
        "changes",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
    )
    op.create_index("ix_changes_service_at", "changes", ["service", "at"])
    op.create_table(
        "entries",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("incident", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
    )
    op.create_index("ix_entries_incident_id", "entries", ["incident", "id"])
    op.create_table(
        "heartbeats",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "name", name="pk_heartbeats"),
    )
    op.create_table(
        "incidents",
        sa.Column("number", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_incidents"),
    )
    op.create_index("ix_incidents_live_number", "incidents", ["number"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_index("ix_incidents_service_number", "incidents", ["service", "number"])
    op.create_index("ix_incidents_state_number", "incidents", ["state", "number"])
    op.create_table(
        "journal",
        sa.Column("seq", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_journal"),
    )
    op.create_index("ix_journal_at", "journal", ["at"])
    op.create_table(
        "keys",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("revoked", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("hash", name="uq_keys_hash"),
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("backend", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_lease"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "pages",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("incident", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("intended_at", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pages"),
    )
    op.create_index("ix_pages_incident_id", "pages", ["incident", "id"])
    op.create_index("ix_pages_live_id", "pages", ["id"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.create_table(
        "parked",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("discarded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_parked"),
    )
    op.create_table(
        "plans",
        sa.Column("version", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_plans"),
    )
    op.create_table(
        "results",
        sa.Column("key", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_results"),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    op.create_table(
        "tokens",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
    op.create_table(
        "users",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("tzdata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
    )
