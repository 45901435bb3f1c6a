"""Times, spans and sentences as people read them: short, active, past tense for facts, present for now.

A ``Reader`` is whoever looks: their zone, whether they want clock times everywhere, and which person of the plan they
are. Everything here is a function of its arguments; what is returned as ``Markup`` is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from tocsin.access.actors import called, person_of
from tocsin.escalation.policy import Step
from tocsin.incidents.incident import Entry, Incident
from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Duration, Instant, format_rfc3339, to_datetime
from tocsin.kernel.reason import EXPLAINED, Reason
from tocsin.oncall.imported import Imported
from tocsin.oncall.zone import which
from tocsin.pages.ledger import Page, unreached_since
from tocsin.pages.profiles import profile
from tocsin.plan.model import Covers, Plan
from tocsin.plan.turns import NOBODY, Turns
from tocsin.plan.whom import answered, meant, next_place, next_step, nobody_behind
from tocsin.playbooks.run import Run
from tocsin.web.spelling import count, initials, isolated, listed, sentence, span, spelled

STATES = {
    "triggered": ("ring", "bell", "Triggered"),
    "acknowledged": ("held", "half", "Acknowledged"),
    "resolved": ("rest", "ok", "Resolved"),
}
SEVERITY_WORDS = {"sev1": "critical", "sev2": "major", "sev3": "minor", "sev4": "low"}
HELD = {
    Reason.NEXT_METHOD: ", if nobody answers",
    Reason.QUIET_HOURS: ", in their morning",
    Reason.BUNDLED: ", with others",
    Reason.TOLD_TOGETHER: ", with others like it",
    Reason.ON_THE_PHONE: ", when the call before it is over",
    Reason.CALLED_AGAIN: ", once more",
    Reason.HELP_AWAITED: ", if nobody comes",
}
"""What a page waits for, after the time it waits until."""
TOGETHER: Duration = 30 * SECOND
"""Pages intended within this span of each other left for one reason."""


class Who(NamedTuple):
    """Somebody or something that acted. ``kind``: person, code, source or none."""

    kind: str
    name: str
    letters: str = ""
    you: bool = False


class Line(Struct, frozen=True):
    """One sentence with a time in its middle: ``Ben is paged`` (due) ``if nobody answers``. ``due`` may be None."""

    who: Who
    before: str
    due: Instant | None = None
    after: str = ""

    @property
    def text(self) -> str:
        """The sentence without its time."""
        return " ".join(part for part in (self.before, self.after) if part)


class Reader:
    """Whoever looks at the page, and the instant it is drawn for."""

    def __init__(
        self,
        now: Instant,
        zone: ZoneInfo,
        plan: Plan | None = None,
        *,
        person: str = "",
        user: str = "",
        absolute: bool = False,
        covers: Covers | None = None,
        turns: Turns = NOBODY,
        paging: bool = True,
        calendars: Mapping[str, Imported] | None = None,
    ) -> None:
        self.now = now
        self.zone = zone
        self.plan = plan
        self.person = person
        self.user = user
        self.absolute = absolute
        self.covers: Covers = covers or {}
        self.turns = turns
        self.paging = paging
        self.calendars = calendars or {}

    # --- times

    def clock(self, at: Instant) -> str:
        """``03:18:02`` in the reader's zone."""
        return f"{to_datetime(at).astimezone(self.zone):%H:%M:%S}"

    def minute(self, at: Instant) -> str:
        """``03:18``, with the day when it is not today, and the year when it is not this one; with its offset where the
        clock shows that time twice.
        """
        local, today = to_datetime(at).astimezone(self.zone), to_datetime(self.now).astimezone(self.zone)
        if local.date() == today.date():
            return f"{local:%H:%M}{which(local)}"
        year = f" {local.year}" if local.year != today.year else ""
        return f"{local:%a} {local.day} {local:%b}{year}, {local:%H:%M}{which(local)}"

    def day(self, at: Instant) -> str:
        """``Tue 20 Oct 2026``."""
        local = to_datetime(at).astimezone(self.zone)
        return f"{local:%a} {local.day} {local:%b %Y}"

    def date(self, at: Instant) -> str:
        """``2026-10-20`` in the reader's zone, as an address says a day."""
        return f"{to_datetime(at).astimezone(self.zone):%Y-%m-%d}"

    def full(self, at: Instant) -> str:
        """``Tue 20 Oct 2026, 03:18:02``."""
        return f"{self.day(at)}, {self.clock(at)}"

    def time(self, at: Instant, text: str, kind: str = "") -> Markup:
        """A ``<time>`` that says ``text``. ``kind`` names how a script keeps it fresh: due, since, open or ago."""
        mark = Markup(' data-{}="{}"').format(kind, at // 1000) if kind and not self.absolute else Markup()
        return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
            format_rfc3339(at), self.full(at), mark, text
        )

    def at(self, at: Instant) -> Markup:
        """A clock time with seconds."""
        return self.time(at, self.clock(at))

    def on(self, at: Instant) -> Markup:
        """A time to the minute, with the day when it is not today."""
        return self.time(at, self.minute(at))

    def ago(self, at: Instant) -> Markup:
        """``13 min ago``, kept fresh; a clock time for a reader who wants those."""
        if self.absolute:
            return self.on(at)
        return self.time(at, "just now" if self.now - at < 5 * SECOND else f"{span(self.now - at)} ago", "ago")

    def open_for(self, at: Instant) -> Markup:
        """``open 13 min``, kept fresh."""
        if self.absolute:
            return self.time(at, f"since {self.minute(at)}")
        return self.time(at, f"open {span(self.now - at)}", "open")

    def length(self, at: Instant) -> Markup:
        """``13 min`` so far, kept fresh."""
        return self.time(at, span(self.now - at), "since")

    def near(self, at: Instant) -> bool:
        """Whether it is so soon that a countdown says more than the day."""
        return at - self.now < 12 * HOUR

    def due(self, at: Instant) -> Markup:
        """``at 03:48:10``, which a script turns into ``in 2 min 10 s`` and counts down."""
        near = self.near(at)
        on = "at" if self.day(at) == self.day(self.now) else "on"
        text = f"at {self.clock(at)}" if near else f"{on} {self.minute(at)}"
        return Markup('<span class="left">{}</span>').format(self.time(at, text, "due" if near else ""))

    # --- people

    def name(self, person: str) -> str:
        """How they are called in a sentence: the first name, while it is the only one; no ``The`` of ``The pager``."""
        if self.plan is None or person not in self.plan.people:
            return person
        name = self.plan.people[person].name
        first, *rest = name.split() or [person]
        alike = sum(other.name.split()[:1] == [first] for other in self.plan.people.values()) > 1
        return isolated(name if alike or (rest and rest[0].islower()) else first)

    def plain_name(self, person: str) -> str:
        """A person's whole name as the plan has it, for what is kept."""
        return self.plan.people[person].name if self.plan is not None and person in self.plan.people else person

    def full_name(self, person: str) -> str:
        """A person's whole name, to be shown."""
        return isolated(self.plain_name(person))

    def is_you(self, actor: str) -> bool:
        """Whether an actor such as ``person:ana`` or ``user:ops`` is the reader."""
        return bool((self.person and person_of(actor) == self.person) or (self.user and actor == f"user:{self.user}"))

    def who(self, actor: str) -> Who:
        """Who an actor is: ``person:ana``, ``user:ops``, ``token:deploys``, ``source:alertmanager``, ``code``."""
        kind, _, name = actor.partition(":")
        if kind == "person":
            name = person_of(actor)
            said = called(actor, {name: self.name(name)})
            return Who("person", said, initials(self.full_name(name)), self.is_you(actor))
        if kind == "user":
            return Who("person", name, initials(name), self.is_you(actor))
        if kind == "source":
            return Who("source", called(actor))
        return Who("code", called(actor)) if actor else Who("none", "Nobody yet")

    def targets(self, targets: Iterable[str]) -> str:
        """``Ana``, ``everyone in shop (Ana and Ben)`` for a step's targets."""
        parts = []
        for target in targets:
            kind, _, name = target.partition(":")
            if kind == "team" and self.plan is not None and name in self.plan.teams:
                members = listed([self.name(member) for member in self.plan.teams[name].members])
                team = f"the team {name}" if name == "everyone" else name
                parts.append(f"everyone in {team} ({members})" if members else f"team {name}")
            elif kind == "schedule":
                parts.append(self._on_call(target, name))
            else:
                parts.append(self.name(name))
        return listed(parts)

    def step(self, step: Step) -> str:
        """Whom a step pages: ``Ana and Ben``; ``one of Ana and Ben (Ben next)`` where they take turns."""
        names = self.targets(step.targets)
        people = self.plan.people_of(step.targets, self.now, self.covers) if self.plan is not None and step.one else ()
        if len(people) < 2:
            return names
        turn = self.turns.next(step, people)
        names, turn = f"one of {names.replace('everyone in ', '')}", f"{self.name(turn)} next" if turn else ""
        return f"{names[:-1]}; {turn})" if turn and names.endswith(")") else f"{names} ({turn})" if turn else names

    def _on_call(self, target: str, name: str) -> str:
        """``whoever is on call by shop-primary (Ana now)``: who is paged is known when the step is due."""
        key, _, offset = name.partition(":")
        people = self.plan.people_of((target,), self.now, self.covers) if self.plan is not None else ()
        now = listed([self.name(person.key) for person in people]) or "nobody"
        return f"whoever is {offset or 'on call'} {'on' if offset else 'by'} {key} ({now} now)"

    def plural(self, step: Step) -> bool:
        """Whether a step pages more than one person, so that its names take ``are``."""
        several = len(step.targets) > 1 or any(target.startswith("team:") for target in step.targets)
        return several and not step.one and not self.targets(step.targets).startswith("everyone")

    def _instead(self, incident: Incident, targets: tuple[str, ...]) -> tuple[str, str, bool] | None:
        """That nobody is behind these targets now, and who is paged in their place; None when somebody is."""
        why = nobody_behind(self.plan, targets) if self.plan is not None else ""
        if self.plan is None or not why or self.plan.people_of(targets, self.now, self.covers):
            return None
        asked = incident.service, incident.steps, incident.step, self.now, self.covers
        is_meant, gone = meant(self.plan, incident, self.now, self.calendars, self.covers), answered(incident, self.now)
        found = self.plan.paged_next(*asked, meant=is_meant, answered=gone)
        due = replace(found.step, targets=tuple(f"person:{one.key}" for one in found.people))
        theirs = [self.step(due)] if found.step.one else [self.name(one.key) for one in found.people]
        names = listed(list(filter(None, [*theirs, *(self.name(one.key) for one in found.beside)])))
        return why, names, self.plural(due) or (bool(found.beside) and bool(found.people)) or len(found.beside) > 1

    # --- what is going on

    def noted(self, incident: Incident) -> str:
        """Says of the reader's own answer, where it is not enough alone, as which of how many it counts."""
        if self.person not in incident.answers:
            return ""
        return f"{spelled(len(incident.answers))} of {incident.needed} who are asked for. The others are still paged."

    def next_place(self, incident: Incident) -> int:
        """The place of the step paged next, behind those that are not for it then; behind the last: the last resort."""
        return next_place(self.plan, incident, self.now, self.calendars, self.covers)

    def next_step(self, incident: Incident) -> Step:
        """The step paged next, the last resort after the last one."""
        return next_step(self.plan, incident, self.now, self.calendars, self.covers)

    def fate(self, incident: Incident, pages: Sequence[Page] = ()) -> Line:
        """What happens if nobody does anything. Its ``who`` is nobody in particular.

        ``pages``: its last ones, where that they reached nobody is to be said, too.
        """
        none = Who("none", "")
        if not incident.open:
            if incident.snoozed_until is not None:
                anew = "and pages anew if alerts still fire."
                return Line(none, "It is looked at again", incident.snoozed_until, anew)
            if incident.keep_until is not None and incident.keep_until > self.now:
                return Line(none, "It is over for good", incident.keep_until, "unless the same trouble comes back.")
            return Line(none, "Nothing more happens by itself.")
        if incident.clear_at is not None:
            return Line(none, "Every alert has ended. It resolves", incident.clear_at, "if they stay quiet.")
        if not self.paging:
            return Line(none, "Nobody is paged: Tocsin runs with paging off.")
        if incident.state == "acknowledged":
            if incident.acknowledged_until is None:
                return Line(none, "Nobody else is paged while it is acknowledged.")
            return Line(none, "Paging goes on", incident.acknowledged_until, "unless it is resolved by then.")
        if incident.paused is not None:
            why = EXPLAINED[incident.paused]
            if incident.paused_until is not None:
                return Line(none, f"Nobody is paged: {why}. It is judged again", incident.paused_until, "")
            return Line(none, f"Nobody is paged: {why}.")
        if incident.next_at is None:
            return Line(none, "Nobody is left to page.")
        step = self.next_step(incident)
        name = self.step(step) or "the last resort"
        several = self.plural(step)
        if (instead := self._instead(incident, step.targets)) is not None:
            why, people, several = instead
            name = f"{why} now, so {people or 'the last resort'}"
        verb = "are" if several else "is"
        again = " again" if incident.round > 0 or (incident.laps > 0 and incident.step == 0) else ""
        if incident.next_at <= self.now:
            return Line(none, f"{_upper(name)} {verb} being paged{again} now.")
        if unreached_since(pages) is not None:
            return Line(none, f"Nobody was reached. {_upper(name)} {verb} paged{again}", incident.next_at, "")
        if incident.waits not in (None, Reason.REACHED_NOBODY):
            low = f"Of low urgency{', so' if instead is None else ':'} {name} {verb} paged"
            return Line(none, low, incident.next_at, "and not at night.")
        return Line(none, f"{_upper(name)} {verb} paged{again}", incident.next_at, "if nobody answers.")

    def paged(self, pages: Sequence[Page]) -> tuple[Who, str] | None:
        """Who was paged last and how, from ledger rows newest first; None when nobody was."""
        real = [
            page
            for page in pages
            if page.kind == "page" and (page.state != "overtaken" or page.left) and not page.planned
        ]
        if not real:
            return None
        newest = real[0]
        last = [page for page in real if newest.intended_at - page.intended_at <= TOGETHER and page.step == newest.step]
        lost: list[Page] = []
        reached: list[Page] = []
        for person in dict.fromkeys(page.person for page in reversed(last)):
            theirs = [page for page in last if page.person == person]
            through = [page for page in theirs if page.may_reach]
            reached += through
            lost += [] if through else theirs
        both = [self._of(reached, "paged"), self._of(lost, "lost")] if reached and lost else []
        told = reached or lost
        names, people = self._people(told)
        face = newest.person if newest.person in people else people[-1]
        one = Who("person", names, initials(self.full_name(face)), people == [self.person])
        return one, "; ".join(both) or self._of(told, "paged" if reached else "lost")

    def _people(self, pages: Sequence[Page]) -> tuple[str, list[str]]:
        """Whom pages are to, by name and by key."""
        people = list(dict.fromkeys(page.person for page in pages))
        return listed([self.name(person) for person in people]), people

    def _of(self, pages: Sequence[Page], what: str) -> str:
        """Who was paged by these and how; or that they could not be."""
        names, people = self._people(pages)
        how = listed(list(dict.fromkeys(profile(page.channel).by for page in pages)))
        if all(page.rang for page in pages):
            return f"{names} did not pick up the telephone"
        if what == "lost":
            again = any(page.refused for page in pages)
            return f"{names} could not be reached {'yet ' if again else ''}{how}{', which is tried again' * again}"
        be = "were" if len(people) > 1 else "was"
        if all(page.state == "intended" for page in pages):
            be = "are being" if len(people) > 1 else "is being"
        return f"{names} {be} paged {how}"

    def now_line(self, incident: Incident, pages: Sequence[Page], run: Run | None = None) -> Line:
        """What is happening this second, in one line; of one that is over how it ended, by its last run if code did."""
        fate = self.fate(incident)  # what came of its pages is said before it
        if incident.state == "acknowledged" and incident.clear_at is None:
            holder = self.who(incident.acknowledged_by)
            since = f" since {self.minute(incident.acknowledged_at)}" if incident.acknowledged_at is not None else ""
            has = "have" if holder.you else "has"
            return Line(
                holder,
                f"{'You' if holder.you else _upper(holder.name)} {has} it{since}. {fate.before}",
                fate.due,
                fate.after,
            )
        if not incident.open:
            by, said = self.ended(incident, pages, run)
            if incident.snoozed_until is not None:
                return Line(by, f"{said} {fate.before}", fate.due, fate.after)
            return Line(by, said)
        last = self.paged(pages)
        if last is None or incident.clear_at is not None or incident.paused is not None:
            who = last[0] if last is not None else Who("none", "")
            return Line(who, fate.before, fate.due, fate.after)
        if fate.due is not None and self.step(self.next_step(incident)) == last[0].name:
            # The same one again: named once.
            again = fate.before.removeprefix(_upper(last[0].name)).strip()
            return Line(last[0], f"{last[1]} and {again}", fate.due, fate.after)
        return Line(last[0], f"{last[1]}; {_lower(fate.before, self)}", fate.due, fate.after)

    def ended(self, incident: Incident, pages: Sequence[Page], run: Run | None) -> tuple[Who, str]:
        """Who ended an incident, how, and who was paged for it."""
        by = self.who(incident.resolved_by or "code")
        if by.kind != "code":
            return by, f"Resolved by {'you' if by.you else by.name}."
        told = [page.person for page in reversed(pages) if page.kind == "page" and page.left]
        people = list(dict.fromkeys(self.name(person) for person in told))
        paged = f"{listed(people) or 'Nobody'} {'were' if len(people) > 1 else 'was'} paged."
        if run is not None and run.outcome == "verified":
            return Who("code", run.playbook), f"{run.playbook} fixed it, and saw that it holds. {paged}"
        return by, f"Resolved: {EXPLAINED.get(incident.reason, 'every alert in it has ended')}. {paged}"

    def holder(self, incident: Incident) -> Who:
        """Who has the incident, or had it last."""
        if incident.state == "resolved":
            return self.who(incident.resolved_by or "code")
        if have := list(incident.answers):
            said = f"{listed(list(map(self.name, have)))}, {spelled(len(have))} of {incident.needed} who are asked for"
            return Who("person", said, initials(self.full_name(have[0])))
        return self.who(incident.acknowledged_by if incident.state == "acknowledged" else "")

    def headline(self, needed: int, held: int, quiet: int) -> str:
        """The h1 of the list: is anything on fire?"""
        if needed:
            first = f"{_upper(spelled(needed))} {'incident needs' if needed == 1 else 'incidents need'} a person."
            return first + (f" {_upper(spelled(held))} more {'is' if held == 1 else 'are'} held." if held else "")
        if held:
            many = f"{_upper(spelled(held))} {'incident is' if held == 1 else 'incidents are'}"
            return f"{many} held. Nothing else needs a person."
        if quiet:
            many = f"{_upper(spelled(quiet))} {'incident is' if quiet == 1 else 'incidents are'}"
            return f"Nothing needs a person. {many} kept quiet."
        return "Nothing needs a person."


def because(reason: Reason | str) -> str:
    """The sentence of a named reason."""
    try:
        return EXPLAINED[Reason(reason)]
    except (ValueError, KeyError):
        return str(reason).replace("_", " ")


def written(entry: Entry) -> str:
    """The words of a note, or "" for a line that is not one."""
    return entry.detail.get("text") or entry.what if entry.reason is Reason.NOTE else ""


def night(at: Instant, zone: ZoneInfo) -> bool:
    """Whether it is between 22:00 and 07:00 there."""
    hour = to_datetime(at).astimezone(zone).hour
    return hour >= 22 or hour < 7


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str, reader: Reader) -> str:
    """A sentence as the second half of another: lower case unless it begins with a name."""
    people = reader.plan.people.values() if reader.plan is not None else ()
    starts_with_name = any(person.name and text.startswith(person.name.split()[0]) for person in people)
    return text if starts_with_name else text[:1].lower() + text[1:]


__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "Line",
    "Reader",
    "Who",
    "because",
    "count",
    "initials",
    "listed",
    "night",
    "sentence",
    "span",
    "spelled",
    "written",
]
