"""What others ask the engine's memory, answered on the writer's thread between two turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from tocsin.engine.engine import Engine
from tocsin.kernel.instant import Instant

Look = Callable[[Engine, Instant], None]


class Questions:
    """A line of them. Each is taken once, be it by the thread that answers or by whoever finds that it has ended."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Look, Callable[[], None]]] = deque()
        self._ended = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, look: Look, ended: Callable[[], None]) -> None:
        """From any thread. ``look`` changes nothing and raises nothing; ``ended`` is called in its stead when nobody
        answers any more.
        """
        self._waiting.append((look, ended))
        if self._ended:  # it may have ended just before this came
            self._let_go()

    def answer(self, engine: Engine, now: Instant) -> None:
        """One of them: they hold up nobody."""
        if self._waiting:
            self._waiting.popleft()[0](engine, now)

    def end(self) -> None:
        """Nobody answers from now on."""
        self._ended = True
        self._let_go()

    def _let_go(self) -> None:
        with suppress(IndexError):
            while True:
                self._waiting.popleft()[1]()
