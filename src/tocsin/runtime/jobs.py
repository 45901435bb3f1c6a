"""What goes through the writer, and what comes out of it: inputs on their way, and commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tocsin.engine.commands import Result
from tocsin.engine.inputs import AnyInput
from tocsin.engine.state import Changes
from tocsin.intake.request import Heard, Reply
from tocsin.kernel.instant import Duration, Instant
from tocsin.plan.model import Plan


class Job:
    """One input on its way through the writer. ``done`` is called after the commit, on the writer's thread's behalf."""

    __slots__ = (
        "done", "failed", "files", "heard", "input", "plan", "read", "reply", "result", "since", "size", "until",
        "unwritten",
    )  # fmt: skip

    def __init__(
        self,
        input: AnyInput,
        done: Callable[[Job], None] | None = None,
        heard: Heard | None = None,
        plan: Plan | None = None,
        files: Mapping[str, bytes] | None = None,
        size: int = 0,
        until: Duration = 0,
    ) -> None:
        self.input = input
        self.done = done
        self.heard = heard
        self.reply: Reply | None = None
        """What a request that could be read is answered once it is kept."""
        self.read: Callable[[], bool] | None = None
        """Reads a request that was not read yet; False when nothing in it has to be kept, and it was answered."""
        self.plan = plan
        self.files = files
        self.size = size
        self.since: Instant = 0
        self.result: Result | None = None
        self.failed = ""
        self.unwritten = False
        """It was judged and is in force, but is in memory alone until the database takes it."""
        self.until = until
        """When whoever asked has gone, by the clock's ``awake``; 0: never. What they were told must stay true."""


class Committed(NamedTuple):
    """What one commit did, handed to the event loop."""

    jobs: list[Job]
    changes: Changes
    kept: bool = True
    """False: the database takes nothing. Only pages that leave unrecorded are in ``changes`` then."""
