"""Overrides of schedules, swaps and cover requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# SQLite gives a table its fast row id only for the very type INTEGER.
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "overrides",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_overrides"),
        if_not_exists=True,
    )
    op.create_index("ix_overrides_schedule_ends_at", "overrides", ["schedule", "ends_at"], if_not_exists=True)
    op.create_index(
        "ix_overrides_live_id",
        "overrides",
        ["id"],
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
        if_not_exists=True,
    )
