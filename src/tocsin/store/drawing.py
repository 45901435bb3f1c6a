"""Draws the newest schema as plain SQL: ``python -m tocsin.store.drawing`` (`make schema`) after every migration.

A test holds the files under ``schema/`` against the tables, and what they make against what the migrations make.
"""

from __future__ import annotations

import sys

from tocsin.store.drawn import FOLDER, HEADER
from tocsin.store.opening import HEAD

DIALECTS = ("sqlite", "postgresql")


def draw(dialect: str, head: str) -> str:
    """The SQL that makes every table of migration ``head`` in an empty database, as the code has them.

    ``dialect`` is "sqlite" or "postgresql".
    """
    from sqlalchemy.dialects import postgresql, sqlite
    from sqlalchemy.schema import CreateIndex, CreateTable

    from tocsin.store.tables import metadata

    speech = sqlite.dialect() if dialect == "sqlite" else postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own lack annotations
    key = "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    statements = [
        f"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, {key})",
        f"INSERT INTO alembic_version (version_num) VALUES ('{head}')",  # noqa: S608  # a migration's own number
    ]
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=speech)))
        made = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [str(CreateIndex(index).compile(dialect=speech)) for index in made]
    lines = [line.rstrip() for one in statements for line in f"{one.strip()};".splitlines()]
    return f"{HEADER}{head}\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in DIALECTS:
        (FOLDER / f"{name}.sql").write_text(draw(name, HEAD))
    sys.exit(0)
