"""The names of a plan: each defined once, in any file, and used anywhere."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed, Position


class Names:
    """The names of one kind: defined once, used anywhere."""

    def __init__(self, kind: str, complete: bool, findings: Findings) -> None:
        self.kind = kind
        self.complete = complete
        self._findings = findings
        self.places: dict[str, Position] = {}

    def define(self, name: Placed[str]) -> None:
        """Take a name; report it when another place has it."""
        first = self.places.setdefault(name.value, name.at)
        if first != name.at:
            message = f"{self.kind} {shown(name.value)} is defined twice; the first is {first.seen_from(name.at)}"
            self._findings.error(
                name.at, message, "a name belongs to the file that defines it: rename one, or join them"
            )

    def known(self, name: Placed[str] | None, hint: str = "") -> str:
        """The name, when it was written and is defined; else "", reported when it is unknown."""
        if name is None:
            return ""
        if name.value not in self.places and self.complete:
            message = f"unknown {self.kind} {shown(name.value)}"
            self._findings.error(name.at, message, hint or self._findings.nearest(name.value, self.places))
        return name.value


def taken_for(name: str, others: Iterable[Names]) -> str:
    """The hint for a name that is to be paged and is of another kind; "" when it is of none of these."""
    kind = next((one.kind for one in others if name in one.places), "")
    if kind == "team":
        return f"{name} is a team: write `team {name}`"
    article = "an" if kind.startswith("e") else "a"
    return f"{name} is {article} {kind}: name a person, a team or a schedule" if kind else ""
