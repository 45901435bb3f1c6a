"""Alerts that came together lie together until they change; repetitions lie apart."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _workspace() -> sa.Column[int]:
    return sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False)


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "alert_blocks",
        sa.Column("first", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        _workspace(),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("first", name="pk_alert_blocks"),
        if_not_exists=True,
    )
    op.create_table(
        "alert_block_incidents",
        sa.Column("incident", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        _workspace(),
        sa.PrimaryKeyConstraint("incident", "first", name="pk_alert_block_incidents"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "alert_sightings",
        sa.Column("stretch", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stretch", name="pk_alert_sightings"),
        if_not_exists=True,
    )
