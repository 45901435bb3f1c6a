"""Where plans are compared: a thread of its own, so that it takes none of those that pages and programs read by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, ParamSpec, TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tocsin.faces.problem import Problem, unavailable

P = ParamSpec("P")
T = TypeVar("T")

LONGEST: Final = 20.0
"""Seconds somebody waits for a comparison, or for their turn. Importing a plan's playbooks may take 15."""
MOST_WAITING: Final = 8


class Comparer:
    """Compares one thing after another. A thread cannot be ended: what took too long ends by itself, while the next
    one waits for it.
    """

    def __init__(self, longest: float = LONGEST) -> None:
        self._longest = longest
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="plans")
        self._asked = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it when it has its turn.

        Problem 503: ``unavailable`` while others wait, or the database does not answer; ``too_long`` when it began and
        did not end in time, so that asking again would not help.
        """
        if self._asked >= MOST_WAITING:
            raise unavailable("other plans are being compared", 10)
        self._asked += 1
        job = self._pool.submit(partial(work, *args, **kwargs))
        future = asyncio.wrap_future(job)
        future.add_done_callback(_looked_at)
        try:
            done, _ = await asyncio.wait([future], timeout=self._longest)
            if done:
                return future.result()
        except (OperationalError, PoolTimeout) as error:
            raise unavailable("the database does not answer") from error
        finally:
            self._asked -= 1
            begun = not job.cancel()  # whoever has gone is not worked for, unless it has begun
        if begun:
            raise Problem(503, "too_long", f"comparing these plans takes more than {self._longest:.0f} seconds")
        raise unavailable("other plans are being compared", 10)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _looked_at(future: asyncio.Future[T]) -> None:
    """Nobody may be there any more for what it raised."""
    if not future.cancelled():
        future.exception()
