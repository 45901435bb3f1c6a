"""The newest schema as plain SQL, so that an empty database gets its tables at once and no migration is imported.

The files under ``schema/`` are drawn from ``tables`` by ``python -m tocsin.store.drawing`` (`make schema`) after every
migration. A test holds them against the tables, and what they make against what the migrations make. A drawing that
is older than the newest migration is not used: the migrations then make the tables, as they always can.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "schema"
DIALECTS = ("sqlite", "postgresql")
_HEADER = "-- schema "


def drawn(dialect: str, head: str) -> str:
    """The SQL that makes every table of migration ``head`` in an empty database; "" when there is none for it.

    ``dialect`` is "sqlite" or "postgresql". The text has no BEGIN and no COMMIT.
    """
    text = (FOLDER / f"{dialect}.sql").read_text()
    return text if text.startswith(f"{_HEADER}{head}\n") else ""


def draw(dialect: str, head: str) -> str:
    """The same, from the tables as the code has them."""
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
    return f"{_HEADER}{head}\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    from tocsin.store.opening import HEAD

    FOLDER.mkdir(exist_ok=True)
    for name in DIALECTS:
        (FOLDER / f"{name}.sql").write_text(draw(name, HEAD))
    sys.exit(0)
