"""Secrets that a command outside knows: ``pass show``, ``vault kv get …``, whatever an administrator names."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 10.0
"""Seconds the command has for one secret."""
AGAIN = 60.0
"""Seconds after which a secret that was not to be had is asked for again."""
MOST = 64 * 1024
AT_ONCE = 4


class SecretsCommand:
    """Asks a command for secrets and keeps what it says in memory.

    ``words``: the command, without a shell; the secret's name comes as its last word. What it prints is the secret,
    without the line's end. Whoever looks a secret up while others wait is never made to wait for the command: only
    ``ask`` runs it, and a secret that failed is asked for again beside the one who wants it.
    """

    def __init__(self, words: Iterable[str], environ: Mapping[str, str]) -> None:
        self._words = tuple(words)
        self._environ = dict(environ)
        self._known: dict[str, str] = {}
        self._failed: dict[str, tuple[str, float]] = {}

    def ask(self, names: Iterable[str]) -> None:
        """Ask for secrets now, each anew, a few at once. What cannot be had is said when it is looked up."""
        with ThreadPoolExecutor(AT_ONCE) as few:
            list(few.map(self._ask, dict.fromkeys(names)))

    def secret(self, name: str) -> str:
        """A secret that was asked for. Raises LookupError, in words that say why it is not there."""
        found = self._known.get(name)
        if found is not None:
            return found
        why, at = self._failed.get(name, ("it was not asked for yet", 0.0))
        if time.monotonic() - at >= AGAIN:
            self._failed[name] = why, time.monotonic()
            threading.Thread(target=self._ask, args=(name,), name="tocsin-secret", daemon=True).start()
        raise LookupError(f"secret:{name} is not to be had from {self._words[0]}: {why}")

    def _ask(self, name: str) -> None:
        try:
            self._known[name] = self._answer(name)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            slow = isinstance(error, subprocess.TimeoutExpired)
            why = f"it took longer than {PATIENCE:.0f} s" if slow else str(error)
            self._failed[name] = why, time.monotonic()
            self._known.pop(name, None)
        else:
            self._failed.pop(name, None)

    def _answer(self, name: str) -> str:
        """Raises ValueError for what is no secret, and what running a program raises."""
        if name.startswith("-"):
            raise ValueError("a name that begins with a hyphen would be an option of it")
        process = subprocess.Popen(
            [*self._words, name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self._environ,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it began
            process.wait()
            raise
        if process.returncode != 0:
            raise ValueError(f"it ended with code {process.returncode}")
        try:
            found = printed[:MOST].decode().strip()
        except UnicodeDecodeError:
            raise ValueError("what it printed is not text") from None
        if not found:
            raise ValueError("it printed nothing")
        return found
