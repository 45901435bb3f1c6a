"""What the engine knows, and what one commit changed of it.

In memory are open alerts and incidents and what is still waited for; closed ones are forgotten (the store has them).
Everything here can be rebuilt from the tables.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from msgspec import Raw, Struct

from tocsin.access.credentials import Key, Token, User
from tocsin.alerts.alert import Alert
from tocsin.alerts.heartbeats import Heartbeat
from tocsin.engine.commands import Result
from tocsin.engine.concerned import Concerned
from tocsin.engine.records import HeardChange, Parked
from tocsin.engine.timers import Kind, Timers
from tocsin.engine.wanted import Wanted
from tocsin.incidents.incident import Entry, Incident
from tocsin.kernel.identity import label_text
from tocsin.kernel.instant import DAY, MINUTE, Instant
from tocsin.oncall.duty import Duty
from tocsin.oncall.imported import Imported
from tocsin.oncall.override import Cover, Override, covers_by_schedule
from tocsin.pages.calls import Calls
from tocsin.pages.contacts import Contact
from tocsin.pages.ledger import Page
from tocsin.pages.loops import Loop
from tocsin.pages.rules import Reach
from tocsin.pages.said import Said
from tocsin.playbooks.remembered import Remembered
from tocsin.playbooks.run import Run, Step
from tocsin.playbooks.trust import Standing
from tocsin.silences.silence import Silence

TOGETHER = 64
"""So many alerts in a row have one timer: what comes together mostly ends together."""
AFTER_DEAFNESS = 5 * MINUTE
"""Monitors get this long to speak again before absence counts."""
MOST_DEAF = 20
"""So many of the last times in which nothing could be heard are remembered."""
LEFT_OUT_KEPT = 7 * DAY
"""So long is kept what a plan leaves out, as it was, should it come back."""
REMEMBER_RESOLVED = 15 * MINUTE
"""A resolved alert stays in memory this long, so that a repetition under way still finds it."""
RESULTS_KEPT = DAY
STALE_AFTER = DAY


COMPLETED = 2
"""What the counters say once all that ``engine.older`` adds was added: from 1 on methods were tried again, from 2 on it
is known what runs left in the midst of a change."""


class Counters(Struct):
    """The last number given of each kind; ``applied`` is the last journal row applied, at ``now``."""

    alert: int = 0
    incident: int = 0
    entry: int = 0
    page: int = 0
    key: int = 0
    user: int = 0
    token: int = 0
    change: int = 0
    override: int = 0
    contact: int = 0
    run: int = 0
    applied: int = 0
    now: Instant = 0
    paging: bool = True
    plan: str = ""
    since_written: str = ""
    """The plan of which was written down last since when it is in force."""
    proven_at: Instant | None = None
    deaf: list[tuple[Instant, Instant]] = []
    """The last times in which nothing could be heard, oldest first: expiry counts them in when it comes up."""
    loops: dict[str, Loop] = {}
    """Synthetic pages, by channel."""
    completed: int = 0
    """What rows of an older version do not say and was added once, up to COMPLETED: see ``engine.older``."""
    rounds: dict[str, tuple[str, ...]] = {}
    """Whom the steps that page one of several chose, as ``escalation.turns`` has it."""


class Members(Struct):
    """An incident's alerts that fire, and those of them that a silence covers."""

    firing: set[int] = set()
    silenced: set[int] = set()

    @property
    def loud(self) -> bool:
        """Whether some alert fires that nothing silences."""
        return len(self.firing) > len(self.silenced)

    @property
    def heard(self) -> list[int]:
        """Those that fire and that nothing silences, the oldest first."""
        return sorted(self.firing - self.silenced)

    @property
    def told(self) -> list[int]:
        """Those that a page is about: what a silence covers is not, unless it covers them all. The oldest first."""
        return self.heard or sorted(self.firing)


class Kept(Struct):
    """A command's result under its idempotency key."""

    key: str
    at: Instant
    result: Result
    asked: str = ""
    """A digest of what was asked, "" when nobody said."""


class Loaded(NamedTuple):
    """Live rows as the store reads them back."""

    counters: Counters
    alerts: Iterable[Alert] = ()
    incidents: Iterable[Incident] = ()
    pages: Iterable[Page] = ()
    silences: Iterable[Silence] = ()
    heartbeats: Iterable[Heartbeat] = ()
    keys: Iterable[Key] = ()
    users: Iterable[User] = ()
    tokens: Iterable[Token] = ()
    parked: Iterable[Parked] = ()
    overrides: Iterable[Override] = ()
    results: Iterable[Kept] = ()
    contacts: Iterable[Contact] = ()
    reaches: Iterable[Reach] = ()
    duties: Iterable[Duty] = ()
    calendars: Iterable[Imported] = ()
    runs: Iterable[Run] = ()
    steps: Iterable[Step] = ()
    standings: Iterable[Standing] = ()
    heard: Iterable[HeardChange] = ()
    """The latest changes out there, in any order."""


class Changes:
    """What the inputs since the last commit changed. Each thing once, however often it was touched."""

    def __init__(self) -> None:
        self.alerts: dict[int, Alert] = {}
        self.new_alerts: dict[int, Alert] = {}
        self.brief_alerts: dict[int, Alert] = {}
        """Those of the new ones that have ended since the last commit, even if they fire again."""
        self.seen_alerts: dict[int, Alert] = {}
        """Alerts of which nothing changed but when they were heard last, how often, and where their end is."""
        self.incidents: dict[int, Incident] = {}
        self.pages: dict[int, Page] = {}
        self.silences: dict[str, Silence] = {}
        self.heartbeats: dict[tuple[str, str], Heartbeat] = {}
        self.dropped_heartbeats: set[tuple[str, str]] = set()
        self.keys: dict[int, Key] = {}
        self.users: dict[int, User] = {}
        self.tokens: dict[int, Token] = {}
        self.parked: dict[int, Parked] = {}
        self.overrides: dict[int, Override] = {}
        self.contacts: dict[int, Contact] = {}
        self.reaches: dict[str, Reach] = {}
        self.duties: dict[str, Duty] = {}
        self.dropped_duties: set[str] = set()
        self.calendars: dict[str, Imported] = {}
        self.dropped_calendars: set[str] = set()
        self.runs: dict[int, Run] = {}
        self.steps: dict[tuple[int, int], Step] = {}
        self.standings: dict[tuple[str, str], Standing] = {}
        self.begin: dict[int, Run] = {}
        """Runs to begin a process for, once that is written down."""
        self.halt: dict[tuple[int, int], None] = {}
        """Runs, by number and attempt, whose processes are to end now."""
        self.entries: list[tuple[int, Entry]] = []
        self.changes: list[HeardChange] = []
        self.results: list[Kept] = []
        self.dropped_results: dict[str, None] = {}
        self.plans: dict[str, Mapping[str, bytes]] = {}
        self.in_force: dict[Instant, str] = {}
        """Since when which version of the plan is in force."""
        self.deliver: dict[int, Page] = {}
        self.counted: defaultdict[tuple[str, str], int] = defaultdict(int)

    def kinds(self) -> tuple[str, ...]:
        """Which kinds of thing changed, for those who watch."""
        named = {
            "alerts": self.alerts or self.new_alerts or self.seen_alerts,
            "silences": self.silences,
            "heartbeats": self.heartbeats,
            "keys": self.keys,
            "users": self.users or self.tokens,
            "parked": self.parked,
            "pages": self.pages,
            "contacts": self.contacts or self.reaches,
            "changes": self.changes,
            "overrides": self.overrides or self.calendars,
            "runs": self.runs or self.steps,
            "standings": self.standings,
            "plan": self.plans,
        }
        return tuple(name for name, changed in named.items() if changed)


class State:
    """Everything the engine knows. Built from what the store loaded; empty for a new journal."""

    def __init__(self, loaded: Loaded) -> None:
        self.counters = loaded.counters
        self.alerts: dict[int, Alert] = {}
        self._oldest: dict[int, int] = {}
        """Of alerts whose timers are one, some of which are gone: where the oldest that is not can be."""
        self._places: dict[tuple[str, str], dict[bytes, Alert]] = {}
        self.active_by_key: dict[int, int] = {}
        self.concerned = Concerned()
        self.wanted = Wanted()
        self.incidents: dict[int, Incident] = {}
        self._groups: dict[tuple[str, str], list[int]] = {}
        self.members: dict[int, Members] = {}
        self.pages: dict[int, Page] = {}
        self.pages_of: dict[int, dict[int, Page]] = {}
        """Pages by incident, the oldest first."""
        self.silences: dict[str, Silence] = {}
        self.heartbeats: dict[tuple[str, str], Heartbeat] = {}
        self.keys: dict[int, Key] = {}
        self.keys_by_hash: dict[bytes, Key] = {}
        self.users: dict[int, User] = {}
        self.users_by_name: dict[str, User] = {}
        self.tokens: dict[int, Token] = {}
        self.tokens_by_hash: dict[bytes, Token] = {}
        self.parked: dict[int, Parked] = {}
        self.overrides: dict[int, Override] = {}
        self.covers: dict[str, tuple[Cover, ...]] = {}
        self.calendars: dict[str, Imported] = {}
        self.standing: dict[str, tuple[Cover, ...]] = {}
        """What calendars do to schedules, under the overrides. Reckoned from them and the plan."""
        self.stands_by: object = None
        """The plan it was reckoned by."""
        self.results: dict[str, Kept] = {}
        self.contacts: dict[int, Contact] = {}
        self.contacts_of: dict[str, dict[int, Contact]] = {}
        """Contact methods by person, the oldest first."""
        self.reaches: dict[str, Reach] = {}
        self.duties: dict[str, Duty] = {}
        self.gathering: dict[int, set[int]] = {}
        """Pages that wait to go out together, by contact method."""
        self.calls = Calls()
        self.said = Said()
        self.runs: dict[int, Run] = {}
        """Those that live, and those that ended lately: guards count them. None that was not let begin."""
        self.remembered = Remembered()
        """The same runs, found by what guards count."""
        self.locked: dict[str, set[int]] = {}
        """The runs that live and hold a lock: one that works, and those that only ask or watch beside it."""
        self.changing: dict[str, set[int]] = {}
        """Of those, the ones that may still change something: they have not been verified."""
        self.waiting: set[int] = set()
        """Open incidents of which code waits for another run, or whose pages wait for what another run fixed."""
        self.awaited: dict[int, set[int]] = {}
        """Of these the ones of which code waits for a run, by its number."""
        self._awaits: dict[int, set[int]] = {}
        """The same, by incident."""
        self.in_midst: set[int] = set()
        """The runs that left their targets in the midst of a change, as far as they are kept in mind."""
        self.at_work: dict[int, set[int]] = {}
        """The runs of an incident that live."""
        self.claimed: dict[str, set[int]] = {}
        """The runs by which people took over what a lock is of."""
        self.open_of: dict[str, set[int]] = {}
        """A service's open incidents."""
        self.answered: set[int] = set()
        """Open incidents that somebody has, or one of several who are asked for."""
        self.steps: dict[int, dict[int, Step]] = {}
        """The steps of runs that live, by ordinal; before ``engine.older`` was there, of those in the midst as well."""
        self.standings: dict[tuple[str, str], Standing] = {}
        self.heard: tuple[HeardChange, ...] = tuple(sorted(loaded.heard, key=lambda c: c.id))
        """The latest changes out there, the oldest first. Replaced, never altered: other threads read it."""
        self.timers = Timers(self.due_of)
        self._take(loaded)

    def _take(self, loaded: Loaded) -> None:
        for incident in sorted(loaded.incidents, key=lambda i: i.number):
            self.add_incident(incident)
        for alert in sorted(loaded.alerts, key=lambda a: a.id):
            place = alert.place
            if not alert.key:
                # Rows of older versions have the labels in their sender's order. One text for both.
                place = label_text(alert.labels)
                alert.labels_json = Raw(place)
            self.add_alert(alert, place)
        for page in sorted(loaded.pages, key=lambda p: p.id):
            self.add_page(page)
        for silence in loaded.silences:
            self.silences[silence.id] = silence
            self.timers.set("silence", silence.id, self.due_of("silence", silence.id))
        for heart in loaded.heartbeats:
            self.heartbeats[heart.service, heart.name] = heart
            called = f"{heart.service}/{heart.name}"
            self.timers.set("heartbeat", called, self.due_of("heartbeat", called))
        for key in loaded.keys:
            self.keys[key.id] = self.keys_by_hash[key.hash] = key
        for user in loaded.users:
            self.users[user.id] = self.users_by_name[user.name] = user
        for token in loaded.tokens:
            self.tokens[token.id] = self.tokens_by_hash[token.hash] = token
        for parked in loaded.parked:
            self.parked[parked.id] = parked
        for override in loaded.overrides:
            self.overrides[override.id] = override
            self.timers.set("override", override.id, override.due())
        self.covers = covers_by_schedule(self.overrides)
        for loop in self.counters.loops.values():
            self.timers.set("loop", loop.channel, loop.due())
        for kept in loaded.results:
            self.results[kept.key] = kept
        for contact in sorted(loaded.contacts, key=lambda c: c.id):
            self.add_contact(contact)
        for reach in loaded.reaches:
            self.reaches[reach.person] = reach
        for calendar in loaded.calendars:
            self.calendars[calendar.name] = calendar
        for duty in loaded.duties:
            self.duties[duty.name] = duty
            self.timers.set("notice", duty.name, duty.at)
        for run in sorted(loaded.runs, key=lambda r: r.number):
            self.runs[run.number] = run
            self.watch_run(run)
        for step in sorted(loaded.steps, key=lambda s: (s.run, s.ordinal)):
            its = self.runs.get(step.run)
            if its is not None and (its.live or (its.in_midst and self.counters.completed < COMPLETED)):
                self.steps.setdefault(step.run, {})[step.ordinal] = step
        for standing in loaded.standings:
            self.standings[standing.service, standing.playbook] = standing
            self.timers.set("standing", f"{standing.service}/{standing.playbook}", standing.next_at)

    def watch_run(self, run: Run) -> None:
        """A run was changed: its timer and its locks follow."""
        self.timers.set("run", run.number, run.due())
        self.remembered.keep(run)
        for lock in run.holds:
            _among(self.locked, lock, run.number, run.live)
            _among(self.changing, lock, run.number, run.live and run.state != "watching")
            if run.taken_until is not None:
                self.claimed.setdefault(lock, set()).add(run.number)
        if run.taken_until is None:
            self._unclaim(run)
        if run.in_midst:
            self.in_midst.add(run.number)
        else:
            self.in_midst.discard(run.number)
        if run.incident and run.live:
            self.at_work.setdefault(run.incident, set()).add(run.number)
        elif (numbers := self.at_work.get(run.incident)) is not None:
            numbers.discard(run.number)
            if not numbers:
                del self.at_work[run.incident]

    def forget_run(self, run: Run) -> None:
        """Let a run go that no guard counts any more."""
        del self.runs[run.number]
        self.remembered.forget(run)
        self.in_midst.discard(run.number)
        self._unclaim(run)

    def _unclaim(self, run: Run) -> None:
        for lock in run.holds:
            numbers = self.claimed.get(lock)
            if numbers is not None:
                numbers.discard(run.number)
                if not numbers:
                    del self.claimed[lock]

    def watch_incident(self, incident: Incident) -> None:
        """An incident was changed: its timer follows, and whether its service has one open."""
        self.timers.set("incident", incident.number, incident.due())
        if incident.state == "acknowledged" or (incident.open and incident.answers):
            self.answered.add(incident.number)
        else:
            self.answered.discard(incident.number)
        if incident.works and incident.open and any(one.waiting or one.pages_until for one in incident.works.values()):
            self.waiting.add(incident.number)
        else:
            self.waiting.discard(incident.number)
        if incident.number in self.waiting or incident.number in self._awaits:
            self._follow_awaited(incident)
        if incident.open:
            if (open_ones := self.open_of.get(incident.service)) is None:
                open_ones = self.open_of[incident.service] = set()
            open_ones.add(incident.number)
        elif (numbers := self.open_of.get(incident.service)) is not None:
            numbers.discard(incident.number)
            if not numbers:
                del self.open_of[incident.service]

    def _follow_awaited(self, incident: Incident) -> None:
        now = {one.awaits for one in incident.works.values() if one.waiting} if incident.open else set()
        for run in now | self._awaits.pop(incident.number, set()):
            _among(self.awaited, run, incident.number, run in now)
        if now:
            self._awaits[incident.number] = now

    def other_open(self, service: str, but: int) -> bool:
        """Whether a service has an open incident other than this one."""
        numbers = self.open_of.get(service, ())
        return len(numbers) > (but in numbers)

    def due_of(self, kind: Kind, id: int | str, by: Instant = -1) -> Instant | None:
        """When something is due next, from the thing itself. Of many that are due by an instant any is as good."""
        match kind:
            case "alerts":
                return self.alerts_due(int(id), by=by)
            case "incident":
                incident = self.incidents.get(int(id))
                return incident.due() if incident else None
            case "page":
                page = self.pages.get(int(id))
                return page.next_at if page and page.state == "intended" else None
            case "silence":
                silence = self.silences.get(str(id))
                return silence.due() if silence else None
            case "heartbeat":
                service, _, name = str(id).partition("/")
                heart = self.heartbeats.get((service, name))
                return heart.due if heart and heart.state != "late" and heart.left_at is None else None
            case "loop":
                loop = self.counters.loops.get(str(id))
                return loop.due() if loop else None
            case "notice":
                duty = self.duties.get(str(id))
                return duty.at if duty else None
            case "override":
                override = self.overrides.get(int(id))
                return override.due() if override else None
            case "run":
                run = self.runs.get(int(id))
                return run.due() if run else None
            case "standing":
                service, _, name = str(id).partition("/")
                standing = self.standings.get((service, name))
                return standing.next_at if standing else None

    def add_alert(self, alert: Alert, place: bytes) -> None:
        """Keep an alert in memory, under all that finds it. ``place`` is its own."""
        self.alerts[alert.id] = alert
        self.known_of(alert.source, alert.origin)[place] = alert
        if alert.state == "firing":
            self.active_by_key[alert.key_id] = self.active_by_key.get(alert.key_id, 0) + 1
            if alert.incident and (members := self.members.get(alert.incident)) is not None:
                members.firing.add(alert.id)
                if alert.silences:
                    members.silenced.add(alert.id)
        self.watch_alert(alert)

    def watch_alert(self, alert: Alert) -> None:
        """Have an alert looked at when it is due."""
        self.timers.set("alerts", alert.id // TOGETHER, alert_due(alert))

    def alerts_of(self, stretch: int) -> Iterator[Alert]:
        """The alerts whose timers are one, in order."""
        return (alert for alert in map(self.alerts.get, self._ids_of(stretch)) if alert is not None)

    def _ids_of(self, stretch: int) -> range:
        """Where the alerts whose timers are one can be."""
        first = stretch * TOGETHER
        return range(self._oldest.get(stretch, first), min(first + TOGETHER, self.counters.alert + 1))

    def alerts_due(self, stretch: int, after: Instant = -1, by: Instant = -1) -> Instant | None:
        """When the first of the alerts whose timers are one is due, of those that are due after an instant.

        When some are due up to ``by``, that of one of these.
        """
        found: Instant | None = None
        get = self.alerts.get
        for id in self._ids_of(stretch):  # plain, for it is asked at every turn
            alert = get(id)
            if alert is None:
                continue
            due = alert_due(alert)
            if due is not None and due > after and (found is None or due < found):
                if due <= by:
                    return due
                found = due
        return found

    def known_of(self, source: str, origin: str) -> dict[bytes, Alert]:
        """The alerts that came from a source with keys of one service, by their place."""
        return self._places.setdefault((source, origin), {})  # in one step: the listener's thread asks too

    def forget_alert(self, alert: Alert) -> None:
        """Let a resolved alert go."""
        del self.alerts[alert.id]
        self._pass_over(alert.id // TOGETHER)
        known, place = self.known_of(alert.source, alert.origin), alert.place
        if known.get(place) is alert:
            del known[place]

    def _pass_over(self, stretch: int) -> None:
        """An alert is gone: nothing looks any more where the oldest of those whose timers are one were."""
        ids = self._ids_of(stretch)
        oldest = next((id for id in ids if id in self.alerts), ids.stop)
        if oldest < (stretch + 1) * TOGETHER:
            self._oldest[stretch] = oldest
        else:
            self._oldest.pop(stretch, None)

    def add_incident(self, incident: Incident) -> None:
        """Keep an incident in memory."""
        self.incidents[incident.number] = incident
        insort(self._groups.setdefault((incident.service, incident.group), []), incident.number)
        self.members[incident.number] = Members(set(), set())
        self.watch_incident(incident)

    def newest_of(self, service: str, group: str) -> Incident | None:
        """The newest live incident of a group. There are several when a window closed one to newcomers."""
        numbers = self._groups.get((service, group))
        return self.incidents[numbers[-1]] if numbers else None

    def forget_incident(self, incident: Incident) -> None:
        """Let an incident go that nothing can reopen, and its finished pages."""
        del self.incidents[incident.number]
        self.answered.discard(incident.number)
        self.waiting.discard(incident.number)
        self.wanted.forget(incident.number)
        del self.members[incident.number]
        group = incident.service, incident.group
        self._groups[group].remove(incident.number)
        if not self._groups[group]:
            del self._groups[group]
        for id in self.pages_of.pop(incident.number, ()):
            page = self.pages.pop(id, None)
            if page is not None:
                self.calls.forget(page)
                self.said.forget(page)

    def add_page(self, page: Page) -> None:
        """Keep a page in memory: while it is intended, or while its incident is."""
        self.pages[page.id] = page
        self.pages_of.setdefault(page.incident, {})[page.id] = page
        self.timers.set("page", page.id, page.next_at if page.state == "intended" else None)
        self.gather(page)

    def forget_page(self, id: int) -> Page:
        """Let a page go that belongs to no incident, or before that goes."""
        page = self.pages.pop(id)
        del self.pages_of[page.incident][id]
        self.calls.forget(page)
        self.said.forget(page)
        return page

    def gather(self, page: Page) -> None:
        """Keep note of whether a page waits for others to go with, takes a telephone, and of where it was said."""
        self.calls.note(page)
        self.said.note(page)
        if page.gathers:
            self.gathering.setdefault(page.contact, set()).add(page.id)
        elif page.contact in self.gathering:
            self.gathering[page.contact].discard(page.id)
            if not self.gathering[page.contact]:
                del self.gathering[page.contact]

    def add_contact(self, contact: Contact) -> None:
        """Keep a contact method in memory."""
        self.contacts[contact.id] = contact
        self.contacts_of.setdefault(contact.person, {})[contact.id] = contact

    def forget_contact(self, contact: Contact) -> None:
        """A contact method is no more."""
        del self.contacts[contact.id]
        self.contacts_of[contact.person].pop(contact.id, None)
        if not self.contacts_of[contact.person]:
            del self.contacts_of[contact.person]

    def contacts_by(self, person: str) -> list[Contact]:
        """A person's contact methods, the oldest first."""
        theirs = self.contacts_of.get(person)
        return list(theirs.values()) if theirs else []


_Key = TypeVar("_Key", int, str)


def _among(sets: dict[_Key, set[int]], key: _Key, number: int, there: bool) -> None:
    """Have a number be among those of a key, or not. A key without any is no key."""
    if there:
        sets.setdefault(key, set()).add(number)
    elif (numbers := sets.get(key)) is not None:
        numbers.discard(number)
        if not numbers:
            del sets[key]


def alert_due(alert: Alert) -> Instant | None:
    """When something about an alert happens by itself: it expires, goes stale, or, resolved, is forgotten."""
    if alert.resolved_at is not None:
        return alert.resolved_at + REMEMBER_RESOLVED
    if alert.ends_at is not None:
        return alert.ends_at
    return None if alert.stale else alert.last_seen + STALE_AFTER
