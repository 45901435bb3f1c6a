"""Runs of playbooks, their steps, and how each playbook stands with each service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None

# SQLite gives a table its fast row id only for the very type INTEGER.
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "runs",
        sa.Column("number", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("incident", sa.BigInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("playbook", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        if_not_exists=True,
    )
    op.create_index("ix_runs_incident_number", "runs", ["incident", "number"], if_not_exists=True)
    op.create_index("ix_runs_playbook_number", "runs", ["playbook", "number"], if_not_exists=True)
    op.create_index(
        "ix_runs_live_number",
        "runs",
        ["number"],
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
        if_not_exists=True,
    )
    op.create_table(
        "steps",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run", "ordinal", name="pk_steps"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "standings",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("playbook", sa.Text(), nullable=False),
        sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "playbook", name="pk_standings"),
        if_not_exists=True,
    )
