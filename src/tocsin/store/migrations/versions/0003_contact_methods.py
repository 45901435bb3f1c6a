"""Contact methods of people, and their rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# SQLite gives a table its fast row id only for the very type INTEGER.
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _workspace() -> sa.Column[int]:
    return sa.Column("workspace", sa.Integer(), server_default=sa.text("1"), nullable=False)


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "contacts",
        sa.Column("id", BIG_KEY, autoincrement=False, nullable=False),
        _workspace(),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contacts"),
        if_not_exists=True,
    )
    op.create_index("ix_contacts_person_id", "contacts", ["person", "id"], if_not_exists=True)
    op.create_index("ix_pages_person_id", "pages", ["person", "id"], if_not_exists=True)
    op.create_table(
        "reaches",
        sa.Column("person", sa.Text(), nullable=False),
        _workspace(),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("person", name="pk_reaches"),
        if_not_exists=True,
    )
