"""The words for how grave something is, and how urgent that makes it."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.catalog.services import Urgency
from tocsin.incidents.routes import DEFAULT_SEVERITY, SEVERITIES
from tocsin.notation.decoder import Field, Record
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed
from tocsin.plan.words import URGENCY


class UrgencyOf(Record):
    """How urgent each severity is."""

    what = "a mapping of severities to high or low"
    sev1 = Field(URGENCY, "How urgent a sev1 is.")
    sev2 = Field(URGENCY, "How urgent a sev2 is.")
    sev3 = Field(URGENCY, "How urgent a sev3 is.")
    sev4 = Field(URGENCY, "How urgent a sev4 is.")


class Severities:
    """The words that mean something here: everyone's, and those the plan's routes map."""

    def __init__(self, mapped: Iterable[str], complete: bool, findings: Findings) -> None:
        self._words = frozenset(DEFAULT_SEVERITY).union(mapped)
        self._complete = complete
        self._findings = findings

    def known(self, said: Placed[str] | None) -> str:
        """The word, reported when it means nothing here; "critical" when none was written."""
        if said is None:
            return "critical"
        # Routes map words as they are written; the words everyone knows may be written in any case.
        if said.value not in self._words and said.value.lower() not in self._words and self._complete:
            hint = self._findings.nearest(said.value, sorted(self._words)) or "write critical, error, warning or info"
            self._findings.error(said.at, f"unknown severity {shown(said.value)}", hint)
        return said.value


def urgencies(said: str | UrgencyOf | None) -> dict[str, Urgency]:
    """One word for every severity, or what is said of each."""
    words = {level: said if isinstance(said, str) else getattr(said, level, None) for level in SEVERITIES}
    return {level: "low" if word == "low" else "high" for level, word in words.items() if word is not None}
