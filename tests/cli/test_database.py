"""`tocsin db`: on the database itself, without a server."""

from __future__ import annotations

import re
import sqlite3
import stat
from pathlib import Path

import pytest

from tests.cli.stage import run


def test_migrate_makes_the_database_and_says_whether_it_did(tmp_path: Path) -> None:
    """A second time there is nothing to do."""
    first = run("db", "migrate", "--data", str(tmp_path), "--json")
    assert first.code == 0, first.err
    assert first.json["migrated"] is True
    assert run("db", "migrate", "--data", str(tmp_path), "--json").json["migrated"] is False
    assert "up to date already" in run("db", "migrate", TOCSIN_DATA=str(tmp_path)).out


def test_a_whole_database_has_no_faults(tmp_path: Path) -> None:
    """Exit code 0 and an empty list."""
    run("db", "migrate", "--data", str(tmp_path))
    done = run("db", "check", "--data", str(tmp_path), "--json")
    assert (done.code, done.json["ok"], done.json["faults"]) == (0, True, [])
    assert run("db", "check", "--data", str(tmp_path)).out.startswith("No fault found in sqlite://")


def test_a_missing_or_broken_database_has_faults(tmp_path: Path) -> None:
    """Exit code 1, in words."""
    done = run("db", "check", "--data", str(tmp_path))
    assert done.code == 1
    assert "tocsin db migrate" in done.out
    assert run("db", "check", "--data", str(tmp_path / "none")).code == 1
    run("db", "migrate", "--data", str(tmp_path))
    file = next(path for path in tmp_path.iterdir() if path.read_bytes()[:6] == b"SQLite")
    file.write_bytes(b"this is no database" * 1000)
    broken = run("db", "check", "--data", str(tmp_path))
    assert broken.code == 1
    assert "no more of it can be looked at. Put a backup in its place" in broken.out
    assert broken.out.splitlines()[-1].startswith("1 fault found in sqlite://") and not broken.err


def test_a_backup_is_a_whole_database_only_its_owner_reads(tmp_path: Path) -> None:
    """It never replaces a file."""
    run("db", "migrate", "--data", str(tmp_path))
    to = tmp_path / "copy.db"
    done = run("db", "backup", str(to), "--data", str(tmp_path), "--json")
    assert done.json == {"file": str(to), "bytes": to.stat().st_size}
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert sqlite3.connect(to).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    again = run("db", "backup", str(to), "--data", str(tmp_path))
    assert again.code == 1
    assert "exists already" in again.err


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Half a copy must not be taken for one."""
    (tmp_path / "data").mkdir()
    to = tmp_path / "copy.db"
    assert run("db", "backup", str(to), "--data", str(tmp_path / "data")).code == 1
    assert not to.exists()


def test_a_databases_password_is_never_printed() -> None:
    """Neither in what is said nor in what is complained about."""
    url = "postgresql://ops:hunter2@127.0.0.1:1/tocsin"
    for words in (["db", "check"], ["db", "migrate", "--json"]):
        done = run(*words, TOCSIN_DATABASE=url)
        assert done.code == 1
        assert "hunter2" not in done.out + done.err
        assert "Traceback" not in done.err
        assert "127.0.0.1" in done.err


@pytest.mark.parametrize("url", ["mysql://a:hunter2@db/x", "postgresql://a:hunter2@[bad", "nonsense"])
def test_what_is_no_database_is_told_in_a_sentence_without_its_password(url: str) -> None:
    """Whoever mistypes the address gets no traceback, and the password stays out of logs."""
    done = run("db", "check", "--database", url)
    assert done.code == 1
    assert re.fullmatch(r"Error: .+\.\n", done.err)
    assert "hunter2" not in done.err
