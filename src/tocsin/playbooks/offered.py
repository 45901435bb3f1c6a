"""What solutions offer to whoever writes a playbook, as the list of them shows it."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """A look or a fix: its name, ``look`` or ``fix``, its parameters as its author wrote them, what it is about."""

    name: str
    verb: str
    takes: str
    about: str


class Described(NamedTuple):
    """A solution and what it can do. ``package``: whose it is, with its version; "" for Tocsin's own.

    ``wrong``: why it cannot be used by its short name, or not at all for importing it raises; then no more is known.
    """

    name: str
    module: str
    package: str
    wrong: str
    about: str = ""
    works_on: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    playbooks: tuple[str, ...] = ()
