"""The drawn schema, read: plain SQL, so that an empty database gets its tables at once and no migration is imported.

``drawing`` makes it. A drawing that is older than the newest migration is not used: the migrations then make the
tables, as they always can.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "schema"
HEADER = "-- schema "


def drawn(dialect: str, head: str) -> str:
    """The SQL that makes every table of migration ``head`` in an empty database; "" when there is none for it.

    ``dialect`` is "sqlite" or "postgresql". The text has no BEGIN and no COMMIT.
    """
    text = (FOLDER / f"{dialect}.sql").read_text()
    return text if text.startswith(f"{HEADER}{head}\n") else ""
