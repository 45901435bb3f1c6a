"""Looks at file systems that may not answer: a disk or a server of files that is away holds whoever asks, for good."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any


class Looks:
    """One look at a thing at a time, each in a thread of its own: none that is held keeps others, or an end, waiting.

    Tocsin's other work shares its threads, and its end waits for those; this one is waited for by nobody.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, tuple[Future[Any], float]] = {}
        self._lock = threading.Lock()

    def begin(self, thing: Hashable, look: Callable[[], Any]) -> tuple[Future[Any], float]:
        """What a look at a thing will come to, and for how many seconds it has been under way. While one is, that is
        the one.
        """
        with self._lock:
            if thing in self._under_way:
                found, since = self._under_way[thing]
                return found, time.monotonic() - since
            found = Future[Any]()
            found.set_running_or_notify_cancel()  # whoever stops waiting for it does not end it
            self._under_way[thing] = found, time.monotonic()
        threading.Thread(target=self._look, args=(thing, look, found), name="tocsin-look", daemon=True).start()
        return found, 0.0

    def _look(self, thing: Hashable, look: Callable[[], Any], found: Future[Any]) -> None:
        try:
            seen = look()
        except BaseException as error:  # noqa: BLE001  # it is raised where it is waited for
            self._over(thing)
            found.set_exception(error)
        else:
            self._over(thing)
            found.set_result(seen)

    def _over(self, thing: Hashable) -> None:
        with self._lock:
            del self._under_way[thing]
