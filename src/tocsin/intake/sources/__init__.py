"""The wire formats Tocsin hears: one file each, all pure. This register is the only list of them.

The names are all that is known without reading the files: a plan is checked and a command line completed by them
alone. A file is read when its source is first asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from tocsin.intake.request import Source

Kind = Literal[
    "alertmanager",
    "pagerduty",
    "events",
    "heartbeat",
]
"""The sources keys are made for. Each line is the name of a file here, whose ``SOURCE`` is called so too."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
OWN: Final = ("probe",)
"""What Tocsin says to itself; no key opens these doors."""


class _Sources(Mapping[str, "Source"]):
    """Every source by its name, each read from its file when it is first asked for."""

    def __init__(self) -> None:
        self._read: dict[str, Source] = {}

    def __getitem__(self, name: str) -> Source:
        if name not in self._read:
            if name not in self:
                raise KeyError(name)
            self._read[name] = import_module(f"{__name__}.{name}").SOURCE
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in KINDS or name in OWN

    def __iter__(self) -> Iterator[str]:
        return iter((*KINDS, *OWN))

    def __len__(self) -> int:
        return len(KINDS) + len(OWN)


SOURCES: Final[Mapping[str, Source]] = _Sources()
