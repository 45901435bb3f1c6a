"""A server as it was found: where it answers, and what it knows its caller by."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A server: its base URL without a slash at the end, the bearer token, and the folder it was found by, if any.

    ``certificate``: the very certificate the server shows, when it is on this machine: its public name need not
    match the loopback address it is reached by. ``own``: the token is the caller's, from the environment, whatever
    folder the server was found by.
    """

    url: str
    token: str
    folder: Path | None = None
    certificate: Path | None = None
    own: bool = False
