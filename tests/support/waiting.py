"""Waiting for a condition instead of sleeping for a guess."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_EVERY = 0.02


def eventually(condition: Callable[[], T], *, within: float = 10.0, what: str = "") -> T:
    """Ask `condition` until its answer is true and return that answer.

    An AssertionError or OSError raised by the condition counts as "not yet". After `within` seconds: AssertionError,
    naming `what` was waited for and the last answer.
    """
    deadline = time.monotonic() + within
    while True:
        last: object
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except (AssertionError, OSError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {within:g} s for {what or condition!r}; last answer: {last!r}")
        time.sleep(_EVERY)
