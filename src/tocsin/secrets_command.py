"""Secrets that a command outside knows: ``pass show``, ``vault kv get …``, whatever an administrator names."""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress

from tocsin.kernel.secret import SecretAway

PATIENCE = 10.0
"""Seconds the command has for one secret."""
LONGEST = 20.0
"""Seconds that whoever asks for many waits at most; the command goes on with the others beside."""
AGAIN = 15.0
"""Seconds after which a secret that was not to be had is asked for again, by whoever looks it up."""
MOST = 64 * 1024
AT_ONCE = 4
"""So many are asked for at once by whoever asks for many, and so many beside those who look them up."""


class SecretsCommand:
    """Asks a command for secrets and keeps what it says in memory.

    ``words``: the command, without a shell; the secret's name comes as its last word. What it prints is the secret,
    without the line's end. Whoever looks a secret up while others wait is never made to wait for the command: only
    ``ask`` runs it, and a secret that failed is asked for again beside the one who wants it.

    What it said last stays good while it says nothing: the night in which the vault is away is the one in which its
    secrets are needed. Runs and pages of a plan that is no more in force may need them too, so none is dropped.
    """

    def __init__(self, words: Iterable[str], environ: Mapping[str, str]) -> None:
        self._words = tuple(words)
        self._environ = dict(environ)
        self._known: dict[str, str] = {}
        self._failed: dict[str, tuple[str, float]] = {}
        self._beside: set[str] = set()
        self._running: set[int] = set()
        self._over = False
        self._few = threading.BoundedSemaphore(AT_ONCE)
        atexit.register(self.end)

    def ask(self, names: Iterable[str], *, anew: bool = True, within: float = LONGEST) -> None:
        """Ask for secrets now, a few at once, and wait for what is said ``within`` so many seconds. What cannot be had
        is said when it is looked up. ``anew`` False leaves out those that were asked for before.
        """
        wanted = [one for one in dict.fromkeys(names) if anew or (one not in self._known and one not in self._failed)]
        left, answered = deque(wanted), set[str]()
        few = [
            threading.Thread(target=self._work, args=(left, answered), name="tocsin-secrets", daemon=True)
            for _ in wanted[:AT_ONCE]
        ]
        until = time.monotonic() + within
        for one in few:
            one.start()
        for one in few:
            one.join(max(0.0, until - time.monotonic()))
        for name in wanted:
            if name not in answered:
                self._failed[name] = f"nothing was said of it within {within:.0f} s", time.monotonic()

    def secret(self, name: str) -> str:
        """A secret that was asked for. Raises SecretAway, in words that say why it is not there."""
        found, failed = self._known.get(name), self._failed.get(name)
        if failed is None and found is not None:
            return found
        why, at = failed or ("it was not asked for yet", 0.0)
        if time.monotonic() - at >= AGAIN:
            self._ask_beside(name, why)
        if found is not None:
            return found
        raise SecretAway(f"secret:{name} is not to be had from {self._words[0]}: {why}")

    def stale(self, name: str) -> str:
        """Why a secret that is known is the one of an earlier answer, "" when it is the last one or is not known."""
        failed = self._failed.get(name)
        return failed[0] if failed is not None and name in self._known else ""

    def _ask_beside(self, name: str, why: str) -> None:
        """One is asked for by one at a time; whoever waits for its turn is no process yet."""
        if name in self._beside:
            return

        def ask() -> None:
            with self._few:
                self._ask(name)
            self._beside.discard(name)

        self._failed[name] = why, time.monotonic()
        self._beside.add(name)
        threading.Thread(target=ask, name="tocsin-secret", daemon=True).start()

    def end(self) -> None:
        """End what still runs, and begin nothing more: nobody will hear its answer. So does a process's own exit."""
        self._over = True
        for number in list(self._running):
            with suppress(ProcessLookupError):
                os.killpg(number, signal.SIGKILL)

    def _work(self, left: deque[str], answered: set[str]) -> None:
        while True:
            try:
                name = left.popleft()
            except IndexError:
                return
            self._ask(name)
            answered.add(name)

    def _ask(self, name: str) -> None:
        try:
            found = self._answer(name)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            slow = isinstance(error, subprocess.TimeoutExpired)
            self._failed[name] = f"it took longer than {PATIENCE:.0f} s" if slow else str(error), time.monotonic()
        else:
            self._known[name] = found
            self._failed.pop(name, None)

    def _answer(self, name: str) -> str:
        """Raises ValueError for what is no secret, and what running a program raises."""
        if name.startswith("-"):
            raise ValueError("a name that begins with a hyphen would be an option of it")
        if self._over:
            raise ValueError("nothing is asked any more")
        process = subprocess.Popen(
            [*self._words, name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self._environ,
            start_new_session=True,
        )
        self._running.add(process.pid)
        try:
            printed = _printed(process, time.monotonic() + PATIENCE)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it began
            with suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel ends when it can
                process.wait(1.0)
            raise
        finally:
            self._running.discard(process.pid)
        if process.returncode != 0:
            raise ValueError(f"it ended with code {process.returncode}")
        try:
            found = printed.decode().strip()
        except UnicodeDecodeError:
            raise ValueError("what it printed is not text") from None
        if not found:
            raise ValueError("it printed nothing")
        return found


def _printed(process: subprocess.Popen[bytes], until: float) -> bytes:
    """What it prints to its end. Raises ValueError for more than a secret can have, TimeoutExpired past ``until``."""
    assert process.stdout is not None
    found = bytearray()
    with process.stdout as out, selectors.DefaultSelector() as ready:
        ready.register(out, selectors.EVENT_READ)
        while ready.select(max(0.0, until - time.monotonic())):
            part = os.read(out.fileno(), MOST + 1 - len(found))
            found += part
            if len(found) > MOST:
                raise ValueError(f"it printed more than {MOST // 1024} KB, which is no secret")
            if not part:
                process.wait(max(0.1, until - time.monotonic()))
                return bytes(found)
    raise subprocess.TimeoutExpired(process.args, PATIENCE)
