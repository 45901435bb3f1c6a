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
def places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder for temporary files, and no other usual place."""
    tmp_path_factory.getbasetemp()  # not in that folder, which is gone with the test
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
    assert path.parent in Settings(data=places / "data", environ={}).own_folders


def test_what_somebody_else_laid_where_a_socket_may_lie_is_none_of_its_folders(places: Path) -> None:
    one = Settings(data=long_folder(places / "a"), environ={})
    own = one.own_folders[1]
    own.symlink_to("/")
    assert own not in one.own_folders
    own.unlink()
    assert own in one.own_folders, "and when nothing is there, it may come to be"


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
    assert one.own_folders[0] == one.data.resolve()
    assert path.parent in one.own_folders and path.parent not in other.own_folders, "confined runs are kept from it"


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


ASKED = """#!/bin/sh
echo "$1 $*" >> {log}
case "$1" in
  smtp) echo "from the vault";;
  slow) sleep 60; echo late;;
  odd) printf '\\377\\376';;
  empty) ;;
  long) yes x;;
  ended) yes x | head -c 65537;;
  most) yes x | head -c 65536;;
  late) [ -e {there} ] && echo "at last" || exit 3;;
  *) exit 3;;
esac
"""


def asking(tmp_path: Path, **more: str) -> Settings:
    """Settings with a command that knows a few secrets."""
    script = tmp_path / "vault.sh"
    script.write_text(ASKED.format(log=tmp_path / "log", there=tmp_path / "there"))
    script.chmod(0o755)
    return Settings(data=tmp_path, environ=more, secrets_command=f"'{script}'")


def test_secrets_come_from_a_command_where_neither_environment_nor_file_has_them(tmp_path: Path) -> None:
    """It runs when it is asked to, and nobody who looks a secret up waits for it."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "file").write_text("from the file\n")
    one = asking(tmp_path, TOCSIN_SECRET_ENV="from outside")
    with pytest.raises(LookupError, match="not asked for yet"):
        one.secret("secret:later")
    one.ask_for(["secret:smtp", "secret:file", "secret:env", "secret:nope", "secret:odd", "secret:empty", "secret:-x"])
    assert [one.secret(f"secret:{name}") for name in ("smtp", "file", "env")] == [
        "from the vault", "from the file", "from outside",
    ]  # fmt: skip
    said = {"nope": "ended with code 3", "odd": "not text", "empty": "printed nothing", "-x": "begins with a hyphen"}
    for name, why in said.items():
        with pytest.raises(LookupError, match=why):
            one.secret(f"secret:{name}")
    asked = sorted(line.split()[0] for line in (tmp_path / "log").read_text().splitlines())
    assert [name for name in asked if name != "later"] == ["empty", "nope", "odd", "smtp"]
    assert "from the vault" not in repr(one)


def test_a_command_that_hangs_is_ended_and_one_that_failed_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.waiting import eventually
    from tocsin import secrets_command

    monkeypatch.setattr(secrets_command, "PATIENCE", 0.3)
    one = asking(tmp_path)
    one.ask_for(["secret:slow", "secret:late"])
    with pytest.raises(LookupError, match="it took longer than"):
        one.secret("secret:slow")
    with pytest.raises(LookupError, match="ended with code 3"):
        one.secret("secret:late")
    (tmp_path / "there").touch()
    monkeypatch.setattr(secrets_command, "AGAIN", 0.0)

    def there() -> bool:
        try:
            return one.secret("secret:late") == "at last"
        except LookupError:
            return False

    eventually(there)


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    one = Settings(data=tmp_path, environ={}, secrets_command="/nowhere/vault get")
    one.ask_for(["secret:smtp"])
    with pytest.raises(LookupError, match="No such file"):
        one.secret("secret:smtp")


def test_what_was_said_last_stays_good_while_the_command_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vault is away in the very night in which its secrets are needed; when it is back, it is asked beside."""
    from tests.support.waiting import eventually
    from tocsin import secrets_command

    one = asking(tmp_path)
    (tmp_path / "there").touch()
    one.ask_for(["secret:late"])
    assert (one.secret("secret:late"), one.stale("secret:late")) == ("at last", "")
    (tmp_path / "there").unlink()
    one.ask_for(["secret:late"])
    assert one.secret("secret:late") == "at last"
    assert "ended with code 3" in one.stale("secret:late")
    (tmp_path / "there").touch()
    monkeypatch.setattr(secrets_command, "AGAIN", 0.0)
    eventually(lambda: one.secret("secret:late") == "at last" and not one.stale("secret:late"))


def test_a_command_that_prints_without_end_is_ended_and_what_it_said_is_no_secret(tmp_path: Path) -> None:
    """It is never cut: half a secret is a wrong one."""
    one = asking(tmp_path)
    one.ask_for(["secret:long", "secret:ended", "secret:most"])
    for name in ("long", "ended"):
        with pytest.raises(LookupError, match="more than 64 KB, which is no secret"):
            one.secret(f"secret:{name}")
    assert len(one.secret("secret:most")) == 65535


def test_many_secrets_that_hang_are_waited_for_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bound on all of them, and those that were not come to are asked beside."""
    import time

    from tests.support.waiting import eventually
    from tocsin import secrets_command
    from tocsin.kernel.secret import SecretAway

    monkeypatch.setattr(secrets_command, "PATIENCE", 0.4)
    monkeypatch.setattr(secrets_command, "AT_ONCE", 1)
    one = asking(tmp_path)
    began = time.monotonic()
    one.ask_for(["secret:slow", "secret:smtp"], within=0.1)
    assert time.monotonic() - began < 0.35
    with pytest.raises(SecretAway, match="nothing was said of it within 0 s"):
        one.secret("secret:smtp")
    eventually(lambda: had(one, "secret:smtp") == "from the vault")
    one.ask_for(["secret:slow", "secret:smtp"], anew=False)
    assert asked(tmp_path) == ["slow", "smtp"]


def test_what_it_is_still_at_ends_with_tocsin(tmp_path: Path) -> None:
    """A vault that hangs leaves no process behind."""
    from tests.support.waiting import eventually

    one = asking(tmp_path)
    one.ask_for(["secret:slow"], within=0.0)
    eventually(lambda: asked(tmp_path) == ["slow"])
    one.end_asking()
    eventually(lambda: one.asked is not None and not one.asked._running, within=5)
    one.ask_for(["secret:smtp"])
    assert had(one, "secret:slow") == had(one, "secret:smtp") == "" and asked(tmp_path) == ["slow"]


def asked(tmp_path: Path) -> list[str]:
    """What the command was asked for."""
    log = tmp_path / "log"
    return [line.split()[0] for line in log.read_text().splitlines()] if log.exists() else []


def had(one: Settings, reference: str) -> str:
    """A secret, "" when it is not to be had."""
    try:
        return one.secret(reference)
    except LookupError:
        return ""
