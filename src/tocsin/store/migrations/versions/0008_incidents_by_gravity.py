"""Incidents by who must act: in one state the gravest first."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.create_index(
        "ix_incidents_state_severity_number",
        "incidents",
        ["workspace", "state", "severity", "number"],
        if_not_exists=True,
    )
