"""How far a playbook's runs are confined: what of the machine they see, what they may write, whom they may reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

MOST_NAMED: Final = 32
"""So many paths one confinement names at most."""
MOST_CONFINEMENTS: Final = 8
"""So many different ones the playbooks of a plan have together: each is a process that waits with all code imported."""
_OWN: Final = ("/proc", "/sys", "/dev")
PRIVATE: Final = "/tmp"  # noqa: S108  # a confined run has one of its own
SHARED: Final = "/dev/shm"  # noqa: S108  # likewise


class Confine(Struct, frozen=True):
    """What a confined run has of the machine beside its programs.

    ``write``: absolute paths it may change; ``read``: those it only sees, and may talk to sockets of programs that lie
    there. ``network``: it has the machine's. ``processes``: it sees the machine's, and may signal those of Tocsin's
    user.
    """

    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    network: bool = False
    processes: bool = False

    def __str__(self) -> str:
        """As people say it: ``writes /var/log/shop; no network``."""
        parts = [f"writes {_listed(self.write)}" if self.write else "writes nothing"]
        parts += [f"reads {_listed(self.read)}"] if self.read else []
        parts += ["network" if self.network else "no network"]
        parts += ["the machine's processes"] if self.processes else []
        return "; ".join(parts)


class Unconfined(Exception):
    """A run cannot be confined here as its playbook asks, so it is not begun; the message says why."""


def trouble(confine: Confine) -> str:
    """What of it cannot be meant, as a sentence; "" when all can."""
    named = (*confine.write, *confine.read)
    if len(named) > MOST_NAMED:
        return f"a confinement names at most {MOST_NAMED} paths"
    for path in named:
        if not path.startswith("/") or {"..", "."} & set(path.split("/")):
            return f"{path!r} is no absolute path"
        if path != path.rstrip("/") or "//" in path or not path.isprintable():
            return f"{path!r} must be written without / at its end, and without signs that cannot be printed"
        if path == PRIVATE or any(path == one or path.startswith(f"{one}/") for one in _OWN):
            return f"{path!r} cannot be named: /dev, /proc and /tmp itself are a confined run's own"
    twice = next((one for one in named if named.count(one) > 1), None)
    return f"{twice!r} is named twice" if twice else ""


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(paths)
