"""Alembic's way in: runs the migrations on the database whose URL the caller put into the configuration."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from tocsin.store.opening import MIGRATING
from tocsin.store.tables import metadata

database = create_engine(context.config.attributes["url"])
with database.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # of two nodes that start together one migrates, the other waits
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING})"))
        context.run_migrations()
    connection.commit()
database.dispose()
