"""Where sockets lie and secrets are found."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tocsin import settings as module
from tocsin.settings import LONGEST_SOCKET, Settings


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for temporary files, and no other usual place."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        monkeypatch.setattr(module, "USUAL", ())
        yield Path(short)


def long_folder(parent: Path) -> Path:
    """A folder whose path is too long for a socket."""
    folder = parent / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    return folder


def listens(path: Path) -> bool:
    """Whether a socket can be opened there."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    path.unlink()
    return True


def test_sockets_lie_in_the_data_folder(places: Path) -> None:
    """When its path is short enough."""
    path = Settings(data=places / "data", environ={}).socket("core")
    assert path == (places / "data").resolve() / "core.sock"


def test_a_long_data_folder_has_its_sockets_elsewhere_in_a_folder_of_their_own(places: Path) -> None:
    """The same for every process of the node, another for another data folder, and nobody else can enter."""
    one, other = (
        Settings(data=long_folder(places / "a"), environ={}),
        Settings(data=long_folder(places / "b"), environ={}),
    )
    path = one.socket("core")
    assert len(os.fsencode(path)) <= LONGEST_SOCKET
    assert path == one.socket("core")
    assert path.parent == one.socket("faces").parent != other.socket("core").parent
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert listens(path)


def test_when_temporary_files_lie_too_deep_as_well_the_next_usual_place_is_used(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own runtime folder first of all."""
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder(places / "t")))
    data = long_folder(places / "a")
    runtime = places / "r"
    runtime.mkdir()
    assert Settings(data=data, environ={"XDG_RUNTIME_DIR": str(runtime)}).socket("core").parent.parent == runtime
    monkeypatch.setattr(module, "USUAL", (str(places / "missing"), str(places)))
    assert listens(Settings(data=data, environ={}).socket("core"))


def test_when_there_is_no_place_at_all_it_is_said(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that say what to do, before anything starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(long_folder(places / "t")))
    with pytest.raises(ValueError, match=r"too long for a Unix socket.*give --data or TMPDIR a shorter one"):
        Settings(data=long_folder(places / "a"), environ={}).socket("core")


def test_a_folder_that_someone_else_left_there_is_not_used(places: Path) -> None:
    """Not even by way of a link."""
    one = Settings(data=long_folder(places / "a"), environ={})
    folder = one.socket("core").parent
    folder.rmdir()
    (places / "theirs").mkdir()
    folder.symlink_to(places / "theirs")
    with pytest.raises(PermissionError):
        one.socket("core")


def test_a_secret_comes_from_the_environment_or_else_from_its_file(tmp_path: Path) -> None:
    """The environment wins; a file's line end is not part of it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "smtp-relay").write_text("from the file\n")
    one = Settings(data=tmp_path, environ={})
    assert one.secret("secret:smtp-relay") == "from the file"
    assert Settings(data=tmp_path, environ={"TOCSIN_SECRET_SMTP_RELAY": "from outside"}).secret(
        "secret:smtp-relay"
    ) == ("from outside")


@pytest.mark.parametrize("name", ["missing", "empty", "binary", "folder", "../outside", "/etc/hostname"])
def test_a_secret_that_cannot_be_had_says_where_it_was_looked_for(tmp_path: Path, name: str) -> None:
    """And nothing outside of the folder for secrets is ever read."""
    folder = tmp_path / "secrets"
    (folder / "folder").mkdir(parents=True)
    (folder / "empty").write_text(" \n")
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "outside").write_text("not this")
    with pytest.raises(LookupError, match=f"secret:{name} is"):
        Settings(data=tmp_path, environ={"TOCSIN_SECRET_EMPTY": ""}).secret(f"secret:{name}")


def test_secrets_are_not_in_what_settings_say_of_themselves(tmp_path: Path) -> None:
    """A log that shows them shows no environment."""
    assert "hunter2" not in repr(Settings(data=tmp_path, environ={"TOCSIN_SECRET_SMTP": "hunter2"}))
