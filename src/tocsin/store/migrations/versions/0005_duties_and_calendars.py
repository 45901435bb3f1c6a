"""Notices that Tocsin sends of its own accord, and the last good copies of calendars from elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    for table in ("duties", "calendars"):
        op.create_table(
            table,
            sa.Column("name", sa.Text(), nullable=False),
            sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False),
            sa.Column("body", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("name", name=f"pk_{table}"),
            if_not_exists=True,
        )
