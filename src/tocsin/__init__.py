"""Tocsin: hears monitors, judges what they say, and wakes a person only when it must.

``from tocsin import Run, playbook, …`` is how a playbook is written. The names are fetched when they are asked for, so
that ``import tocsin`` costs nothing.
"""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.playbooks.language import About as About
    from tocsin.playbooks.language import Failed as Failed
    from tocsin.playbooks.language import Refused as Refused
    from tocsin.playbooks.language import Run as Run
    from tocsin.playbooks.language import Span as Span
    from tocsin.playbooks.language import Target as Target
    from tocsin.playbooks.language import at_most as at_most
    from tocsin.playbooks.language import blast_radius as blast_radius
    from tocsin.playbooks.language import breaker as breaker
    from tocsin.playbooks.language import confine as confine
    from tocsin.playbooks.language import cooldown as cooldown
    from tocsin.playbooks.language import fix as fix
    from tocsin.playbooks.language import freeze as freeze
    from tocsin.playbooks.language import look as look
    from tocsin.playbooks.language import playbook as playbook
    from tocsin.playbooks.language import trust as trust
    from tocsin.playbooks.language import unless as unless

__version__ = "0.1.0"

# Zone data is part of the release (the package tzdata), never the machine's: everything that knows clocks, be it a
# shift, somebody's quiet hours or a time in a message, means the same instant on every node.
zoneinfo.reset_tzpath(to=())

_LANGUAGE = frozenset(
    {
        "About",
        "Failed",
        "Refused",
        "Run",
        "Span",
        "Target",
        "at_most",
        "blast_radius",
        "breaker",
        "confine",
        "cooldown",
        "fix",
        "freeze",
        "look",
        "playbook",
        "trust",
        "unless",
    }
)
"""Names of ``playbooks.language`` that are this package's."""


def __getattr__(name: str) -> Any:
    if name in _LANGUAGE:
        from tocsin.playbooks import language

        return getattr(language, name)
    raise AttributeError(f"module 'tocsin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LANGUAGE])
