"""What an administrator sets, read once and handed in from outside."""

from __future__ import annotations

import hashlib
import os
import shlex
import socket
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tocsin.secrets_command import LONGEST, SecretsCommand

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104  # names for it, nothing is bound here
"""Addresses that mean every one of this machine's, and how the machine reaches itself there."""
USUAL = ("/run/tocsin", "/tmp", "/var/tmp")  # noqa: S108  # a folder there is used only when it is ours alone
LONGEST_SOCKET = 100
"""A Unix socket's path may have 107 bytes on Linux."""


@dataclass(frozen=True)
class Settings:
    """One node's settings. ``database`` "" means SQLite in ``data``; ``plan`` None means ``data``/plan.

    Folders are absolute, however they were written: processes that work elsewhere are told of them.

    ``environ`` is where secrets given by environment variables are looked up; ``secrets_command``, as a shell would
    split it, is asked for the others that are in no file.
    """

    data: Path
    plan: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    database: str = ""
    public_url: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    paging: bool = True
    log_format: str = "text"
    secrets_command: str = ""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def __post_init__(self) -> None:
        """Make what is relative to the working folder absolute."""
        for name in ("data", "plan", "tls_cert", "tls_key"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, path.absolute())

    @property
    def plan_folder(self) -> Path:
        """Where the plan is."""
        return self.plan or self.usual_plan_folder

    @property
    def usual_plan_folder(self) -> Path:
        """Where the plan is when nothing is said."""
        return self.data / "plan"

    @property
    def plan_is_usual(self) -> bool:
        """Whether the plan is where it is when nothing is said. Anywhere else a missing folder is a mistyped one."""
        return self.plan_folder.resolve() == self.usual_plan_folder.resolve()

    @property
    def base_url(self) -> str:
        """The address people and monitors reach it by, without a slash at its end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = socket.gethostname() if self.host in EVERYWHERE else self.host
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"

    @property
    def address_is_guessed(self) -> bool:
        """Whether that address names this machine because nothing better was said: others may reach it by another."""
        return not self.public_url and self.host in EVERYWHERE

    @property
    def local_url(self) -> str:
        """The address this machine itself reaches it by, whatever people elsewhere use."""
        host = EVERYWHERE.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"

    def socket(self, name: str) -> Path:
        """Where one of the node's own Unix sockets lies: in the data folder.

        When that path is too long, it lies in a folder of its own in the first of the usual places where it is short
        enough. Raises ValueError when there is none, and PermissionError when the folder is someone else's.
        """
        path = self.data.resolve() / f"{name}.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET:
            return path
        folders = [folder for folder in self._socket_folders() if os.access(folder.parent, os.W_OK)]
        short = [folder for folder in folders if len(os.fsencode(folder / f"{name}.sock")) <= LONGEST_SOCKET]
        if not short:
            raise ValueError(
                f"the paths of {self.data} and {tempfile.gettempdir()} are too long for a Unix socket"
                f" ({LONGEST_SOCKET} bytes): give --data or TMPDIR a shorter one"
            )
        folder = short[0]
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or folder.is_symlink():
            raise PermissionError(f"{folder} belongs to someone else")
        return folder / f"{name}.sock"

    def _socket_folders(self) -> list[Path]:
        """Where sockets may lie that cannot lie in the data folder, there or not."""
        mark = hashlib.sha256(os.fsencode(self.data.resolve())).hexdigest()[:16]
        places = (self.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), *USUAL)
        return [Path(place) / f"tocsin-{os.getuid()}-{mark}" for place in places if place]

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """The folders that are Tocsin's alone: its data, and wherever its sockets may lie, there or not.

        Another process of it may have another environment than this one: where a session of its user has them is named.
        What somebody else laid there, or what may not be looked at, is none of them.
        """
        session = Path(f"/run/user/{os.getuid()}")
        more = self._socket_folders()
        there = filter(_may_be_ours, (*more, *(session / one.name for one in more)))
        return tuple(dict.fromkeys((self.data.resolve(), *there)))

    @cached_property
    def asked(self) -> SecretsCommand | None:
        """Who is asked for secrets that are neither in the environment nor in a file. Raises ValueError when its words
        cannot be told apart.
        """
        words = shlex.split(self.secrets_command)
        return SecretsCommand(words, self.environ) if words else None

    def ask_for(self, references: Iterable[str], *, anew: bool = True, within: float = LONGEST) -> None:
        """Have the secrets command asked for those of these secrets that it is for; ``anew``, or only for those that it
        was not asked for yet. Waits ``within`` so many seconds at most.
        """
        if self.asked is not None:
            wanted = [name for name in map(_name, references) if not self._is_here(name)]
            self.asked.ask(wanted, anew=anew, within=within)

    def end_asking(self) -> None:
        """End what the secrets command is still at."""
        if self.asked is not None:
            self.asked.end()

    def stale(self, reference: str) -> str:
        """Why the secrets command's answer is an earlier one, "" when it is not."""
        name = _name(reference)
        return self.asked.stale(name) if self.asked is not None and not self._is_here(name) else ""

    def secret(self, reference: str) -> str:
        """The text behind ``secret:NAME``: ``TOCSIN_SECRET_NAME`` of the environment, or ``data``/secrets/NAME, or what
        the secrets command said when it was asked.

        Raises LookupError, in words that say where it was looked for; SecretAway when it may be had in a while.
        """
        name = _name(reference)
        found = self._here(name)
        if found is not None:
            return found
        if self.asked is not None:
            return self.asked.secret(name)
        raise LookupError(
            f"secret:{name} is not set: give it as {_variable(name)}, or in the file {self._secret_file(name)}"
        )

    def _is_here(self, name: str) -> bool:
        """Whether the command is not the one to ask."""
        try:
            return self._here(name) is not None
        except LookupError:  # a bad file, which is said when it is looked up
            return True

    def _here(self, name: str) -> str | None:
        """A secret of the environment or of a file; None when there is neither. Raises LookupError for a bad file."""
        found = self.environ.get(_variable(name))
        if found:
            return found
        file = self._secret_file(name)
        try:
            found = file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            raise LookupError(f"secret:{name} is not text: {file} must be UTF-8") from None
        except OSError:
            return None
        if not found:
            raise LookupError(f"secret:{name} is empty: {file} holds nothing")
        return found

    def _secret_file(self, name: str) -> Path:
        return self.data / "secrets" / Path(name).name


def _may_be_ours(folder: Path) -> bool:
    """Whether it is a folder, and no link to one, of the user this process runs as; or nothing yet."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _name(reference: str) -> str:
    return reference.removeprefix("secret:")


def _variable(name: str) -> str:
    return "TOCSIN_SECRET_" + "".join(c if c.isalnum() else "_" for c in name).upper()
