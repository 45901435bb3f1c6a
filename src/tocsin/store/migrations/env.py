"""Alembic's way in: runs the migrations on the database whose URL the caller put into the configuration.

All of them are one transaction, on both databases: what is interrupted leaves the database as it was.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, event, text

from tocsin.store.opening import MIGRATING, is_sqlite
from tocsin.store.tables import metadata

url = context.config.attributes["url"]
# SQLite's driver, left to itself, begins a transaction before the first row that is written: tables changed until then
# would stay so in a database whose version says nothing of them. So it begins none, and `begin` below does.
database = create_engine(url, connect_args={"isolation_level": None} if is_sqlite(url) else {})
if is_sqlite(url):
    event.listen(database, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
with database.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":  # of two nodes that start together one migrates, the other waits
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATING})"))
        context.run_migrations()
    connection.commit()
database.dispose()
