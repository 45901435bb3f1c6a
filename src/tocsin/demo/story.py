"""The story: what happens, told line by line, and whether all of it happened that should.

Reads what the running server says of its incidents and what the timetable and the mail catcher report. Decides what is
worth a line, and prints nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from tocsin.cli.text import clean
from tocsin.demo.faults import Chapter
from tocsin.demo.mail import Letter
from tocsin.kernel.instant import SECOND, to_datetime
from tocsin.kernel.reason import SAYS_WHY, Reason
from tocsin.runtime.clock import SystemClock

Voice = Literal["demo", "shop", "tocsin", "inbox"]
Tone = Literal["plain", "head", "bad", "held", "good"]

_COLOURS: dict[Tone, str] = {"plain": "", "head": "1", "bad": "31", "held": "33", "good": "36"}

_TELLING: dict[str, Tone] = {
    Reason.OPENED: "bad",
    Reason.REOPENED: "bad",
    Reason.STEP_DUE: "held",
    Reason.STEP_REPEATED: "held",
    Reason.ESCALATION_EXHAUSTED: "held",
    Reason.LAST_RESORT: "held",
    Reason.NOBODY_REACHABLE: "held",
    Reason.FAILED: "held",
    Reason.ACKNOWLEDGED: "good",
    Reason.ACKNOWLEDGEMENT_ENDED: "held",
    Reason.ALL_CLEAR: "good",
    Reason.BY_HAND: "good",
    Reason.SNOOZED: "good",
    Reason.SNOOZE_ENDED: "bad",
    Reason.NOTE: "plain",
    Reason.PLAYBOOK_RUNS: "plain",
    Reason.PLAYBOOK_STEP: "plain",
    Reason.PLAYBOOK_VERIFIED: "good",
    Reason.HANDED_OVER: "held",
    Reason.NOT_CLEARED: "held",
    Reason.GUARD_AT_MOST: "held",
    Reason.GUARD_BREAKER: "held",
    Reason.QUARANTINED: "bad",
}
"""The reasons that make a timeline entry worth a line here, and how it sounds. The rest is on the incident's page."""


@dataclass(frozen=True)
class Line:
    """One line of the story: the wall time, who speaks, what is said, and because of what."""

    at: str
    voice: Voice
    text: str
    tone: Tone = "plain"
    because: str = ""
    exact: float = field(default_factory=lambda: SystemClock().now() / SECOND, compare=False)
    """Its moment, to tell lines in the order in which things happened."""

    def shown(self, colours: bool) -> str:
        """The line for a terminal. Nothing in it can steer the terminal but our own colours."""
        text, because = clean(self.text), clean(self.because)
        if not colours:
            return f"{self.at}  {self.voice:<6}  {text}" + (f" (because {because})" if because else "")
        code = _COLOURS[self.tone]
        said = f"\x1b[{code}m{text}\x1b[0m" if code else text
        why = f"\x1b[2m because {because}\x1b[0m" if because else ""
        return f"\x1b[2m{self.at}  {self.voice:<6}\x1b[0m  {said}{why}"


def now() -> str:
    """The wall time on this machine, HH:MM:SS."""
    return time.strftime("%H:%M:%S")


def read_moment(moment: str) -> datetime:
    """A time as the API writes it, on this machine; now when it is not one."""
    try:
        return datetime.fromisoformat(moment).astimezone()
    except ValueError:
        return to_datetime(SystemClock().now()).astimezone()


def in_order(lines: Iterable[Line], until: float = float("inf")) -> tuple[list[Line], list[Line]]:
    """Lines up to a moment as they are told, and those that wait for what may have happened before them."""
    ordered = sorted(lines, key=lambda line: line.exact)
    return [line for line in ordered if line.exact <= until], [line for line in ordered if line.exact > until]


@dataclass
class Story:
    """What was told, and what is known of each incident. ``people`` are addresses by name, as the plan has them."""

    people: Mapping[str, str]
    inbox: str = ""
    _told: dict[int, int] = field(default_factory=dict)
    _seen: dict[int, str] = field(default_factory=dict)
    _service: dict[int, str] = field(default_factory=dict)
    _state: dict[int, str] = field(default_factory=dict)
    _answered: set[int] = field(default_factory=set)
    """Incidents on which a playbook works: what it does is on their timelines and changes nothing else of them."""
    _chapter: Chapter | None = None
    _opened: set[str] = field(default_factory=set)
    _mailed: set[tuple[str, str]] = field(default_factory=set)
    _coded: set[tuple[str, str]] = field(default_factory=set)
    """What became of playbooks: the service, and the reason."""

    def changed(self, incidents: Iterable[Mapping[str, Any]]) -> list[int]:
        """The numbers of the incidents in a list from the API of which something new can be read, oldest first."""
        return sorted(
            one["number"]
            for one in incidents
            if self._seen.get(one["number"]) != one["updated_at"] or one["number"] in self._answered
        )

    def incident(self, one: Mapping[str, Any], timeline: Sequence[Mapping[str, Any]]) -> list[Line]:
        """Take one incident as the API tells it, with its whole timeline, oldest first; say what is new about it."""
        number = int(one["number"])
        self._seen[number] = one["updated_at"]
        self._service[number], self._state[number] = one["service"], one["state"]
        fresh = timeline[self._told.get(number, 0) :]
        self._told[number] = len(timeline)
        if one["state"] != "resolved" or any(entry["reason"] in (Reason.OPENED, Reason.REOPENED) for entry in fresh):
            self._opened.add(one["service"])
        self._coded.update((one["service"], entry["reason"]) for entry in fresh)
        for entry in fresh:
            if entry["reason"] == Reason.PLAYBOOK_RUNS:
                self._answered.add(number)
            elif entry["reason"] in (Reason.PLAYBOOK_VERIFIED, Reason.HANDED_OVER):
                self._answered.discard(number)
        if one["state"] == "resolved":
            self._answered.discard(number)
        return [line for entry in fresh if (line := _line(one, entry))]

    def letter(self, letter: Letter) -> Line:
        """A mail arrived."""
        service = letter.header("X-Tocsin-Service")
        self._mailed.update((service, person) for person, address in self.people.items() if address in letter.to)
        names = {address: person.title() for person, address in self.people.items()}
        whose = ", ".join(names.get(address, address) for address in letter.to)
        number = letter.header("X-Tocsin-Incident")
        about = f"#{number}" if number not in ("", "0") else letter.subject
        return Line(letter.at, "inbox", f"{whose} has mail about {about}: {self.inbox}mails/{letter.number}", "held")

    def open(self) -> list[int]:
        """The incidents that are not resolved."""
        return sorted(number for number, state in self._state.items() if state != "resolved")

    def begin(self, chapter: Chapter) -> None:
        """From here on what happens belongs to this chapter."""
        self._chapter = chapter
        self._opened.clear()
        self._mailed.clear()
        self._coded.clear()

    def unnoticed(self) -> list[str]:
        """What should have happened in this chapter before it is mended and has not, in sentences."""
        chapter = self._chapter
        if chapter is None:
            return []
        found = []
        if chapter.service not in self._opened:
            found.append(f"{chapter.title}: no incident was open on {chapter.service}")
        unmailed = [person for person in chapter.paged if (chapter.service, person) not in self._mailed]
        found += [f"{chapter.title}: no mail for {person} about {chapter.service}" for person in unmailed]
        if chapter.handed_over and (chapter.service, Reason.HANDED_OVER) not in self._coded:
            found.append(f"{chapter.title}: no playbook handed {chapter.service} over")
        return found

    def missing(self) -> list[str]:
        """What should have happened in this chapter by its end and has not, in sentences."""
        chapter, found = self._chapter, self.unnoticed()
        if chapter is None:
            return []
        if chapter.fixed_by_code:
            if (chapter.service, Reason.PLAYBOOK_VERIFIED) not in self._coded:
                found.append(f"{chapter.title}: no playbook fixed {chapter.service}")
            woken = sorted(person for service, person in self._mailed if service == chapter.service)
            found += [f"{chapter.title}: {person} was paged about {chapter.service}" for person in woken]
        still = [number for number in self.open() if self._service[number] == chapter.service]
        if still:
            found.append(f"{chapter.title}: incident {', '.join(f'#{number}' for number in still)} is not resolved")
        return found


def _line(one: Mapping[str, Any], entry: Mapping[str, Any]) -> Line | None:
    tone = _TELLING.get(entry["reason"])
    if tone is None:
        return None
    number, service = one["number"], one["service"]
    if entry["reason"] == Reason.OPENED:
        found = str(entry["what"]).partition(": ")[2] or one["title"]
        text = f"#{number} opened on {service}, {one['severity'].upper()}: {found}"
    elif entry["reason"] == Reason.REOPENED:
        text = f"#{number} on {service} is open again"
    else:
        text = f"#{number} {service}: {entry['what']}"
    actor = str(entry.get("actor") or "")
    if actor.startswith(("person:", "user:", "token:", "page:")):
        text += f", by {actor.partition(':')[2]}"
    # Why it was opened is its title: what the probe found, or what the monitor sent.
    because = "" if entry["reason"] in (Reason.OPENED, *SAYS_WHY) else str(entry["because"])
    at = read_moment(entry["at"])
    return Line(f"{at:%H:%M:%S}", "tocsin", text, tone, because, at.timestamp())
