"""What can go wrong for someone at the command line, and the exit code it has. Scripts rely on the codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import click

from tocsin.cli.text import clean

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
UNAUTHORISED = 4
INTERRUPTED = 130

EXIT_CODES = {
    OK: "done",
    REFUSED: "refused or not found; or the plan or database has errors",
    USAGE: "the command was not understood",
    UNREACHABLE: "the server cannot be reached or is not ready",
    UNAUTHORISED: "not signed in, or not allowed",
    INTERRUPTED: "interrupted with Ctrl-C",
}


class Failure(click.ClickException):
    """Ends the command. The message is one or two sentences that say what the caller can do; it goes to stderr."""

    exit_code = REFUSED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message to stderr."""
        click.echo(f"Error: {clean(self.message, lines=True)}", file=file, err=True)


class Refused(Failure):
    """The server said no, there is no such thing, or what was looked at has errors. ``told``: the server's document."""

    def __init__(self, message: str, told: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.told = told or {}


class NotFound(Refused):
    """There is no such thing."""


class Unreachable(Failure):
    """Nothing that is Tocsin answers, or it is not ready: trying later may help."""

    exit_code = UNREACHABLE


class Unauthorised(Failure):
    """The token is missing, wrong or not enough."""

    exit_code = UNAUTHORISED
