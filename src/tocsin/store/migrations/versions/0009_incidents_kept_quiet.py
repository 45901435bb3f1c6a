"""Incidents by who must act: what is kept quiet apart from what waits for a person, and counted by service."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


class Paused(msgspec.Struct):
    """What is read of an incident here."""

    paused: str | None = None


def upgrade() -> None:
    """Take the step, also where an upgrade that was interrupted before all were one transaction left parts of it."""
    place = op.get_bind()
    if "quiet" not in {column["name"] for column in sa.inspect(place).get_columns("incidents")}:
        op.add_column("incidents", sa.Column("quiet", sa.Boolean(), server_default=sa.false(), nullable=False))
    incidents = sa.table(
        "incidents",
        sa.column("number", sa.BigInteger()),
        sa.column("state", sa.Text()),
        sa.column("quiet", sa.Boolean()),
        sa.column("body", sa.LargeBinary()),
    )
    read = msgspec.json.Decoder(Paused).decode
    rows = place.execute(sa.select(incidents.c.number, incidents.c.body).where(incidents.c.state == "triggered"))
    quiet = [{"one": number} for number, body in rows if read(body).paused is not None]
    if quiet:
        place.execute(sa.update(incidents).where(incidents.c.number == sa.bindparam("one")).values(quiet=True), quiet)
    op.drop_index("ix_incidents_state_severity_number", "incidents", if_exists=True)
    op.create_index(
        "ix_incidents_state_quiet_severity_number",
        "incidents",
        ["workspace", "state", "quiet", "severity", "number", "service"],
        if_not_exists=True,
    )
