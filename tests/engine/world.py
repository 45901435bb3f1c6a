"""A world in virtual time around the real engine: monitors that speak, people with phones, and a clock that jumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tocsin.engine.commands import (
    Acknowledge,
    AddContact,
    AddNote,
    AnyCommand,
    ExpireSilence,
    Resolve,
    Result,
    SendCode,
    SetReach,
    SetSilence,
    VerifyContact,
)
from tocsin.engine.covering import standing
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import (
    AnyInput,
    CalendarRead,
    Deaf,
    Decided,
    Delivered,
    PlanChange,
    Received,
    Tick,
    decode_input,
    encode_input,
)
from tocsin.engine.quiet import unexplained
from tocsin.engine.state import Changes, Counters, Loaded, State
from tocsin.incidents.incident import Entry, Incident
from tocsin.intake.event import Event
from tocsin.intake.request import Heard, Request
from tocsin.intake.sources import SOURCES
from tocsin.kernel.instant import SECOND, Instant, parse_duration, parse_rfc3339
from tocsin.kernel.matcher import parse_matcher
from tocsin.kernel.reason import Reason
from tocsin.pages.contacts import code_hash, code_of
from tocsin.pages.ledger import Page
from tocsin.pages.rules import Reach, quiet_until
from tocsin.plan import read_plan
from tocsin.plan.model import Plan

KEY = b"a signing key of thirty-two bytes"
START = parse_rfc3339("2026-11-23T03:00:00Z")

PLAN = b"""
tocsin: 1
team: shop
people:
  ana: {name: Ana, email: ana@shop.example}
  ben: {name: Ben, email: ben@shop.example}
  kei: {name: Kei, email: kei@shop.example}
mail: {server: smtp://localhost:25, from: tocsin@shop.example}
teams:
  shop: {members: [ana, ben, kei], lead: ana}
last resort: kei
escalations:
  shop:
    - {page: ana, wait: 5m}
    - {page: ben, wait: 10m, repeat: 2}
services:
  checkout: {escalation: shop, acknowledge for: 1h, reopen within: 30m}
  search: {escalation: shop}
  orders:
    escalation: shop
    heartbeats:
      nightly: {every: 10m, grace: 5m}
      watchdog: {every: 5m, grace: 1m, alert: 'alertname="Watchdog"'}
routes:
  - {match: ['job="checkout"'], service: checkout, severity: {critical: sev1, warning: sev3}}
  - {match: ['job="search"'], service: search, group: {by: [region], window: 5m}}
"""


def plan_of(text: bytes) -> Plan:
    """The plan a text says, which must be good."""
    reading = read_plan({"tocsin.yaml": text})
    assert reading.plan is not None, "\n".join(map(str, reading.findings))
    return reading.plan


class World:
    """Everything a story needs. Times are texts such as ``5m`` after the start."""

    def __init__(self, plan: bytes = PLAN, paging: bool = True) -> None:
        self.plans: dict[str, Plan] = {}
        self.now: Instant = START
        self.seq = 0
        self.journal: list[tuple[int, Instant, bytes]] = []
        self.pages: list[tuple[str, str, int]] = []
        self.told_pages: list[Page] = []
        self.reached: list[int] = []
        """The incidents of what left, each of a bundle too."""
        self.left: list[tuple[str, str, str, str]] = []
        """What left by which way: ``(clock, person, address, kind)``, notices and drills too."""
        self.timeline: list[Entry] = []
        self.tables: dict[str, dict[Any, Any]] = {}
        self.answers: Callable[[Page], str] = lambda page: "sent"
        self.paging = paging
        first = self.read(plan)
        self.engine = Engine(Loaded(Counters()), first, SOURCES)
        self.put_in_force(plan)

    # -- time ----------------------------------------------------------------------------------------------------------

    def at(self, offset: str) -> World:
        """Let time pass until then; everything due on the way happens at its own instant."""
        until = START + parse_duration(offset)
        assert until >= self.now, "time only goes forward"
        self.ring(until)
        self.now = until
        return self

    def ring(self, until: Instant) -> None:
        """Whatever is due until then, at its own instant."""
        while (due := self.engine.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.apply(Tick())

    @property
    def clock(self) -> str:
        """Seconds since the start."""
        return f"{(self.now - START) / SECOND:g}s"

    # -- inputs --------------------------------------------------------------------------------------------------------

    def apply(self, input: AnyInput, heard: Heard | None = None, plan: Plan | None = None) -> Result | None:
        """Journal and apply an input, then let channels answer, then look whether every promise holds."""
        self.seq += 1
        self.journal.append((self.seq, self.now, encode_input(input)))
        result = self.engine.apply(self.seq, input, self.now, heard, plan).result
        self._take(self.engine.take())
        self.check()
        if isinstance(input, CalendarRead):  # it was reckoned anew in part
            state = self.engine.state
            assert state.standing == standing(self.engine.plan, state.calendars)
        return result

    def _take(self, changes: Changes) -> None:
        for _, entry in changes.entries:
            self.timeline.append(msgspec.structs.replace(entry))
        self._keep(changes)
        for page in list(changes.deliver.values()):
            if page.state != "intended":
                continue
            if self.rests_since(page, changes):
                self.apply(Delivered(page.id, "unneeded"))
                continue
            self.must_be_wanted(page)
            self.pages.append((self.clock, page.person, page.incident))
            self.told_pages.append(page)
            together = [self.engine.state.pages[id] for id in page.bundled] or [page]
            self.reached += [row.incident for row in together if row.kind == "page"]
            self.left.append((self.clock, page.person, page.address, page.kind))
            answer = self.answers(page)
            if answer != "never":
                state, _, code = answer.partition(" ")
                self.apply(Delivered(page.id, state, code, "550 no such mailbox" if code else ""))

    def _keep(self, changes: Changes) -> None:
        """Keep rows as the store does: whole, as JSON."""
        state = self.engine.state
        alerts = changes.new_alerts | changes.seen_alerts | changes.alerts
        for name, changed, live in (
            ("alerts", alerts, lambda a: state.alerts.get(a.id) is a),
            ("incidents", changes.incidents, lambda i: i.number in state.incidents),
            ("pages", changes.pages, lambda p: p.id in state.pages),
            ("silences", changes.silences, lambda s: not s.closed),
            ("heartbeats", changes.heartbeats, lambda h: True),
            ("keys", changes.keys, lambda k: True),
            ("users", changes.users, lambda u: True),
            ("tokens", changes.tokens, lambda t: True),
            ("heard", {change.id: change for change in changes.changes}, lambda c: True),
            ("parked", changes.parked, lambda p: not p.discarded),
            ("overrides", changes.overrides, lambda o: o.id in state.overrides),
            ("contacts", changes.contacts, lambda c: not c.removed),
            ("reaches", changes.reaches, lambda r: True),
            ("duties", changes.duties, lambda d: True),
            ("calendars", changes.calendars, lambda c: True),
            ("runs", changes.runs, lambda r: r.number in state.runs),
            ("steps", changes.steps, lambda s: True),
            ("standings", changes.standings, lambda s: True),
        ):
            rows = self.tables.setdefault(name, {})
            for key, noun in changed.items():
                if live(noun):
                    rows[key] = (type(noun), msgspec.json.encode(noun))
                else:
                    rows.pop(key, None)
        for place in changes.dropped_heartbeats:
            self.tables["heartbeats"].pop(place, None)
        for name in changes.dropped_duties:
            self.tables["duties"].pop(name, None)
        for name in changes.dropped_calendars:
            self.tables["calendars"].pop(name, None)
        kept = self.tables.setdefault("results", {})
        for result in changes.results:
            kept[result.key] = (type(result), msgspec.json.encode(result))
        for key in changes.dropped_results:
            kept.pop(key, None)

    def restarted(self, down: str = "2s", plan: bytes | None = None, paging: bool = True) -> World:
        """Stop hard and start again from the rows, ``down`` later; with another plan, or with paging off or on.

        As the core starts: it has the plan on disk from the first moment, and puts it in force after the deafness.
        """
        last, read = self.now, self.engine.plan if plan is None else self.read(plan)
        if plan is not None:
            self.paging = paging
        self.plans[read.version] = read
        self.engine = Engine(self.loaded(), read, SOURCES)
        self.now += parse_duration(down)
        unsure = self.engine.under_way()
        self.apply(Deaf(last, self.now))
        self.apply(PlanChange(read.version, self.paging), plan=read)
        self.apply(unsure)
        self.ring(self.now)
        return self

    def loaded(self) -> Loaded:
        """The rows as the store reads them back."""
        counters = msgspec.json.decode(msgspec.json.encode(self.engine.state.counters), type=Counters)
        nouns = {
            name: [msgspec.json.decode(raw, type=kind) for kind, raw in rows.values()]
            for name, rows in self.tables.items()
        }
        return Loaded(counters=counters, **nouns)

    def replayed(self) -> Engine:
        """An engine that was given the whole journal again."""
        engine = Engine(Loaded(Counters()), next(iter(self.plans.values())), SOURCES)
        for seq, at, raw in self.journal:
            input = decode_input(raw)
            plan = self.plans[input.version] if isinstance(input, PlanChange) else None
            engine.apply(seq, input, at, None, plan)
            engine.take()
        return engine

    def read(self, plan: bytes) -> Plan:
        """The plan a text says."""
        return plan_of(plan)

    def put_in_force(self, plan: bytes) -> None:
        """Another plan."""
        read = self.read(plan)
        self.plans[read.version] = read
        self.apply(PlanChange(read.version, self.paging), plan=read)

    def hears(self, *events: Event, service: str = "inbox", source: str = "events") -> World:
        """Events come, as Tocsin's own API takes them."""
        body = msgspec.json.encode({"events": [_plain(event) for event in events]})
        self.apply(Received(0, service, self.now, Request(source=source, method="POST", path="/api/events", body=body)))
        return self

    def fires(
        self,
        name: str,
        *,
        service: str = "inbox",
        key: str = "",
        expires: str = "",
        severity: str = "critical",
        **labels: str,
    ) -> World:
        """An alert fires."""
        ends = self.now + parse_duration(expires) if expires else None
        return self.hears(
            Event(
                key=key,
                labels={"alertname": name, "severity": severity, **labels},
                own_title=f"{name} fires",
                severity=severity,
                starts_at=self.now,
                ends_at=ends,
            ),
            service=service,
        )

    def resolves(
        self, name: str, *, service: str = "inbox", key: str = "", severity: str = "critical", **labels: str
    ) -> World:
        """It ends."""
        return self.hears(
            Event(
                key=key,
                state="resolved",
                labels={"alertname": name, "severity": severity, **labels},
                own_title=f"{name} fires",
                severity=severity,
                starts_at=self.now,
                ends_at=self.now,
            ),
            service=service,
        )

    def asked(self, command: AnyCommand, key: str = "") -> Result:
        """Someone asks for something."""
        result = self.apply(Decided(command, key))
        assert result is not None
        return result

    def acknowledges(self, incident: int, hold: str = "", page: int = 0) -> Result:
        """Ana has it."""
        return self.asked(
            Acknowledge(incident=incident, actor="person:ana", page=page, hold=parse_duration(hold) if hold else None)
        )

    def resolves_by_hand(self, incident: int, snooze: str = "") -> Result:
        """Ana says it is over."""
        return self.asked(
            Resolve(incident=incident, actor="person:ana", snooze=parse_duration(snooze) if snooze else None)
        )

    def notes(self, incident: int, text: str) -> Result:
        """Ana writes something down."""
        return self.asked(AddNote(incident=incident, actor="person:ana", text=text))

    def silences(self, *matchers: str, for_: str, after: str = "0s", id: str = "") -> Result:
        """Ana silences something."""
        starts = self.now + parse_duration(after)
        return self.asked(
            SetSilence(
                matchers=tuple(map(parse_matcher, matchers)),
                author="Ana",
                comment="known",
                starts_at=starts,
                ends_at=starts + parse_duration(for_),
                actor="person:ana",
                id=id,
            )
        )

    def expires(self, silence: str) -> Result:
        """Ana ends a silence."""
        return self.asked(ExpireSilence(id=silence, actor="person:ana"))

    # -- what is so ----------------------------------------------------------------------------------------------------

    def incident(self, number: int) -> Incident:
        """An incident in memory."""
        return self.engine.state.incidents[number]

    def told(self, incident: int) -> list[str]:
        """The reasons on an incident's timeline, in order."""
        return [str(entry.reason) for entry in self.timeline if entry.incident == incident]

    def rests_since(self, page: Page, changes: Changes) -> bool:
        """Whether all that a message is about was paused after it was handed over: then its channel sends nothing."""
        state = self.engine.state
        paused = {entry.incident for _, entry in changes.entries if entry.reason in (Reason.SILENCED, Reason.CLEARING)}
        rows = [state.pages[id] for id in page.bundled] or [page]
        open_ones = (state.incidents.get(row.incident) for row in rows if row.state == "intended")
        return all(one is not None and one.paused is not None and one.number in paused for one in open_ones)

    def must_be_wanted(self, page: Page) -> None:
        """No page leaves while an acknowledgement holds; of a bundle every incident still needs somebody.

        None of low urgency leaves in its person's quiet hours, and none by a method that was never proven, or removed.
        """
        state, plan = self.engine.state, self.engine.plan
        for row in [state.pages[id] for id in page.bundled] or [page]:
            incident = state.incidents.get(row.incident)
            if row.kind == "page":
                assert incident is not None and incident.state == "triggered" and incident.paused is None, incident
                waits = incident.urgency == "low" and row.reason != "asked_for_help" and not row.unsure
                if waits and row.person in plan.people:
                    reach = state.reaches.get(row.person) or Reach(person=row.person)
                    assert quiet_until(reach, plan.people[row.person].timezone, self.now) is None, "it is their night"
            if row.kind != "notice" and row.contact and not row.unsure:
                contact = state.contacts[row.contact]
                assert contact.trusted and contact.address == row.address, contact

    def has(self, person: str, *addresses: str, channel: str = "webhook") -> list[int]:
        """A person adds contact methods of their own and proves them."""
        found = []
        for address in addresses:
            made = self.asked(AddContact(actor=f"person:{person}", person=person, channel=channel, address=address))
            found.append(int(made.id))
            self.proves(found[-1])
        return found

    def proves(self, contact: int) -> Result:
        """The code that is sent comes back. Counts no message: what it leaves is told apart by ``left``."""
        seed = b"%016d" % contact
        hash = code_hash(KEY, contact, seed, code_of(KEY, contact, seed))
        sent = self.asked(SendCode(actor="person:ana", contact=contact, seed=seed, hash=hash))
        return self.asked(VerifyContact(actor="person:ana", contact=contact, hash=hash)) if sent.ok else sent

    def rules(self, person: str, **rules: Any) -> Result:
        """A person says how they want to be reached."""
        return self.asked(SetReach(actor=f"person:{person}", reach=Reach(person=person, **rules)))

    def rows(self, incident: int, person: str = "") -> list[Page]:
        """The ledger of an incident, as far as it is in memory."""
        pages = self.engine.state.pages_of.get(incident, {})
        return [one for one in pages.values() if person in ("", one.person)]

    def check(self) -> None:
        """What must hold after every input."""
        state = self.engine.state
        due = self.engine.next_due()
        if due is None or due > self.now:
            assert unexplained(state, self.now) == []
        for row in state.pages.values():
            if row.state == "intended":
                assert row.next_at is not None, row
                reason = row.held or row.outcome
                assert not row.waiting or row.next_at <= self.now or reason is not None, "it waits for no reason"
        for incident in state.incidents.values():
            if incident.open:
                due = incident.due()
                assert due is not None or incident.paused is not None, incident
                assert due is None or due > self.now or self.engine.next_due() is not None


def _plain(event: Event) -> dict[str, Any]:
    from tocsin.kernel.instant import format_rfc3339

    plain: dict[str, Any] = {
        "title": event.title,
        "state": event.state,
        "labels": event.labels,
        "severity": event.severity,
    }
    if event.key:
        plain["key"] = event.key
    plain["starts_at"] = format_rfc3339(event.starts_at)
    if event.ends_at is not None:
        plain["ends_at"] = format_rfc3339(event.ends_at)
    return plain


def dump(state: State) -> dict[str, Any]:
    """Everything a state knows, in a form that can be compared."""

    def plain(noun: object) -> Any:
        return msgspec.json.decode(msgspec.json.encode(noun))

    return {
        "counters": plain(state.counters),
        "alerts": {id: plain(alert) for id, alert in sorted(state.alerts.items())},
        "places": {
            f"{source} {origin} {place!r}": alert.id
            for (source, origin), known in sorted(state._places.items())
            for place, alert in sorted(known.items())
        },
        "active": {key: number for key, number in sorted(state.active_by_key.items()) if number},
        "incidents": {number: plain(incident) for number, incident in sorted(state.incidents.items())},
        "groups": {f"{service}/{group}": numbers for (service, group), numbers in sorted(state._groups.items())},
        "members": {number: (sorted(m.firing), sorted(m.silenced)) for number, m in sorted(state.members.items())},
        "pages": {id: plain(page) for id, page in sorted(state.pages.items())},
        "silences": {id: plain(silence) for id, silence in sorted(state.silences.items())},
        "heartbeats": {f"{a}/{b}": plain(heart) for (a, b), heart in sorted(state.heartbeats.items())},
        "keys": {id: plain(key) for id, key in sorted(state.keys.items())},
        "users": {id: plain(user) for id, user in sorted(state.users.items())},
        "tokens": {id: plain(token) for id, token in sorted(state.tokens.items())},
        "parked": {id: plain(parked) for id, parked in sorted(state.parked.items())},
        "overrides": {id: plain(override) for id, override in sorted(state.overrides.items())},
        "covers": plain(state.covers),
        "contacts": {id: plain(contact) for id, contact in sorted(state.contacts.items())},
        "contacts_of": {name: sorted(ids) for name, ids in sorted(state.contacts_of.items())},
        "reaches": {name: plain(reach) for name, reach in sorted(state.reaches.items())},
        "calendars": {name: plain(calendar) for name, calendar in sorted(state.calendars.items())},
        "duties": {name: plain(duty) for name, duty in sorted(state.duties.items())},
        "runs": {number: plain(run) for number, run in sorted(state.runs.items())},
        "claimed": {lock: sorted(numbers) for lock, numbers in sorted(state.claimed.items())},
        "steps": {number: [plain(one) for _, one in sorted(s.items())] for number, s in sorted(state.steps.items())},
        "standings": {f"{a}/{b}": plain(one) for (a, b), one in sorted(state.standings.items())},
        "heard": [plain(change) for change in state.heard],
        "gathering": {id: sorted(pages) for id, pages in sorted(state.gathering.items())},
        "ringing": sorted(
            id
            for pages in state.calls.ringing.values()
            for id, page in pages.items()
            if (page.rings_until or 0) > state.counters.now  # what cannot ring any more is dropped some time
        ),
        "on_hold": {number: sorted(pages) for number, pages in sorted(state.calls.on_hold.items())},
        "results": {key: plain(kept) for key, kept in sorted(state.results.items())},
        "due": state.timers.next(),
    }
