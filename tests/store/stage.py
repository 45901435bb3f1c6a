"""A small company's nights, made of numbers: the same numbers are the same inputs in every process, on every store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec
from hypothesis import strategies as st

from tocsin.catalog.people import Person, Team, Webhook
from tocsin.catalog.services import INBOX, Service
from tocsin.engine import commands as c
from tocsin.engine.engine import Engine
from tocsin.engine.inputs import (
    AnyInput,
    Deaf,
    Decided,
    Delivered,
    PlanChange,
    Quarantine,
    Received,
    Seen,
    Tick,
    Unsure,
)
from tocsin.engine.state import Counters, Loaded, Members, State
from tocsin.escalation.policy import Escalation, Step
from tocsin.incidents.routes import Route
from tocsin.intake.request import Heard, Request
from tocsin.intake.sources import SOURCES
from tocsin.intake.specs import HeartbeatSpec
from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Duration, Instant, format_rfc3339, parse_rfc3339
from tocsin.kernel.matcher import parse_matcher
from tocsin.oncall.schedule import Layer, Length, Schedule
from tocsin.oncall.zone import DAY_OF, wall_of
from tocsin.pages.calls import Calls
from tocsin.pages.contacts import code_hash, code_of
from tocsin.pages.rules import Reach, Way
from tocsin.pages.said import Said
from tocsin.plan.model import Mail, Plan
from tocsin.playbooks.remembered import Remembered
from tocsin.store.rows import Journaled
from tocsin.store.writer import Store

KEY = b"a signing key of thirty-two bytes"
START: Instant = parse_rfc3339("2026-11-22T03:24:00Z")
WAITS: tuple[Duration, ...] = (
    0,
    SECOND,
    20 * SECOND,
    61 * SECOND,
    5 * MINUTE,
    16 * MINUTE,
    31 * MINUTE,
    2 * HOUR,
    25 * HOUR,
)

PEOPLE = {
    "ana": Person(key="ana", name="Ana"),
    "ben": Person(
        key="ben", name="Ben", email="ben@shop.example", webhook=Webhook("https://hook.example/ben", "secret:ben")
    ),
    "kei": Person(key="kei", name="Kei 渓", email="kei@shop.example"),
}
PLAN = Plan(
    version="a" * 64,
    people=PEOPLE,
    teams={"shop": Team(key="shop", members=("ana", "ben"))},
    services={
        INBOX: Service(key=INBOX),
        "shop": Service(key="shop", escalation="shop", acknowledge_for=10 * MINUTE, reopen_within=10 * MINUTE),
        "db": Service(key="db", urgency={"sev1": "low", "sev2": "low"}),
    },
    schedules={
        "shop": Schedule(
            key="shop",
            layers=(
                Layer(
                    name="day",
                    turns=(("ana",), ("ben",)),
                    length=Length(minutes=DAY_OF),
                    begins=wall_of(date(2026, 11, 22)),
                    timezone="Europe/Lisbon",
                ),
            ),
        )
    },
    escalations={
        "shop": Escalation("shop", (Step(("schedule:shop",), 5 * MINUTE, 2), Step(("team:shop",), 5 * MINUTE)))
    },
    routes=(
        Route(match=(parse_matcher("job=db"),), service="db", group_by=("instance",), group_window=5 * MINUTE),
        Route(match=(parse_matcher("job=shop"),), service="shop", severity={"critical": "sev1"}),
    ),
    heartbeats=(
        HeartbeatSpec(service="shop", name="backup", every=10 * MINUTE, grace=MINUTE),
        HeartbeatSpec(
            service="db", name="watchdog", every=5 * MINUTE, grace=MINUTE, alert=(parse_matcher("alertname=Watchdog"),)
        ),
        HeartbeatSpec(service="db", name="nightly", cron="0 4 * * *", timezone="Europe/Lisbon"),
    ),
    mail=Mail(server="smtp://mail.example", sender="tocsin@shop.example"),
    last_resort=("person:kei",),
)  # fmt: skip
OTHER = msgspec.structs.replace(
    PLAN,
    version="b" * 64,
    people={name: PEOPLE[name] for name in ("ana", "kei")},
    services=PLAN.services | {"shop": Service(key="shop", escalation="shop", reopen_within=0)},
    escalations={"shop": Escalation("shop", (Step(("person:ben",), MINUTE), Step(("person:ana",), 2 * MINUTE)))},
    heartbeats=(HeartbeatSpec(service="shop", name="backup", every=MINUTE, grace=0),),
    mail=None,
)
PLANS = {plan.version: plan for plan in (PLAN, OTHER)}
FILES: dict[str, Mapping[str, bytes]] = {version: {"tocsin.yaml": version.encode()} for version in PLANS}

Move = tuple[int, int, int, int, int]
"""What happens, three numbers that say how, and which of ``WAITS`` passes before it."""

KINDS = 29
moves: st.SearchStrategy[list[Move]] = st.lists(
    st.tuples(
        st.integers(0, KINDS - 1), st.integers(0, 7), st.integers(0, 7), st.integers(0, 3),
        st.integers(0, len(WAITS) - 1),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip

BEGINNING: tuple[AnyInput, ...] = (
    PlanChange(PLAN.version),
    Decided(c.CreateKey(hash=b"inbox", hint="aaaa", source="alertmanager", service=INBOX, name="prometheus")),
    Decided(c.CreateKey(hash=b"shop", hint="bbbb", source="alertmanager", service="shop")),
    Decided(c.CreateKey(hash=b"backup", hint="cccc", source="heartbeat", service="shop", heartbeat="backup")),
    Decided(c.SetUser(name="ops", role="admin")),
)


def empty() -> Engine:
    """An engine that knows nothing."""
    return Engine(Loaded(Counters()), PLAN, SOURCES)


def apply(engine: Engine, row: Journaled, heard: Heard | None = None) -> None:
    """Apply one journaled input as the writer does, with the plan it names."""
    plan = PLANS[row.input.version] if isinstance(row.input, PlanChange) else None
    engine.apply(row.seq, row.input, row.at, heard, plan)
    if plan is not None:
        engine.changes.plans[plan.version] = FILES[plan.version]


def commit(store: Store, engine: Engine, journal: Sequence[Journaled]) -> None:
    """Write what was applied."""
    store.commit(journal, engine.take(), engine.state)


class Life:
    """An engine that lives through moves; ``rows`` is its journal."""

    def __init__(self) -> None:
        self.engine = empty()
        self.now = START
        self.rows: list[Journaled] = []
        for one in BEGINNING:
            self.hear(one)

    @classmethod
    def again(cls, engine: Engine, rows: Sequence[Journaled]) -> Life:
        """Go on with an engine that was read back after these inputs."""
        life = cls()
        life.engine, life.rows, life.now = engine, list(rows), engine.state.counters.now
        return life

    def hear(self, one: AnyInput, heard: Heard | None = None) -> None:
        """One input now."""
        row = Journaled(len(self.rows) + 1, self.now, one)
        apply(self.engine, row, heard)
        self.rows.append(row)

    def live(self, move: Move) -> None:
        """What a move says, as of after its wait. Ticks that are due before it come first, as they would."""
        kind, a, b, d, wait = move
        until = self.now + WAITS[wait]
        for _ in range(200):
            due = self.engine.next_due()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.hear(Tick(1 + a * 3))
        self.now = max(self.now, until)
        one = self._input(kind, a, b, d)
        heard = None
        if isinstance(one, Received) and not one.aside and d % 2:
            heard = self.engine.decode(one)  # as the doors do, passing over what is known already
        self.hear(one, heard)

    def _input(self, kind: int, a: int, b: int, d: int) -> AnyInput:
        now = self.now
        match kind:
            case 0 | 1 | 2 | 3:
                return self._prometheus(
                    [a, b] if d == 3 else [a], ends=(None, 4 * MINUTE, -SECOND, 30 * SECOND)[b % 4], key=1 + d % 2
                )
            case 4:
                alerts = [{"status": "resolved", **_alert(a), "endsAt": format_rfc3339(now - SECOND)}]
                return _received(1, INBOX, now, "alertmanager", "/api/v2/alerts", alerts)
            case 5 | 6:
                state = ("firing", "resolved", "acknowledged", "firing")[d]
                event = {
                    "title": f"odd \0 {a} \u2028 𝄞",
                    "key": f"event {a % 3}",
                    "state": state,
                    "severity": ("critical", "warning", "?")[b % 3],
                }
                if state == "firing" and b > 5:
                    event["ends_at"] = format_rfc3339(now + 3 * MINUTE)
                return _received(0, ("shop", "db", INBOX)[b % 3], now, "events", "/api/events", event)
            case 7:
                action = ("trigger", "acknowledge", "resolve", "trigger")[d]
                payload = {"summary": "full", "source": "db1", "severity": "error"}
                body = {"event_action": action, "dedup_key": f"pd{a % 2}", "routing_key": "x", "payload": payload}
                return _received(0, "db", now, "pagerduty", "/v2/enqueue", body)
            case 8:
                return _received(3, "shop", now, "heartbeat", ("/", "/start", "/fail", "/3")[d], b"said \xff\0")
            case 9:
                return _received(1 + d % 2, INBOX, now, "alertmanager", "/api/v2/alerts", b"{ not json \xff")
            case 10:
                return msgspec.structs.replace(self._prometheus([a], None, 1), aside="judging it failed")
            case 11:
                ids = sorted(self.engine.state.alerts)[: 1 + a]
                return Seen(min(ids, default=1), ((now - b * SECOND, bytes([1 + d * 60, a])), (now, bytes([255]))))
            case 12:
                return Decided(
                    c.Acknowledge(
                        actor="person:ana", incident=1 + a % 4, page=b if d == 1 else 0, hold=(None, 2 * MINUTE)[d % 2]
                    )
                )
            case 13:
                return Decided(
                    c.Resolve(actor="user:ops", incident=1 + a % 4, snooze=(None, 2 * MINUTE, None, HOUR)[d])
                )
            case 14:
                return Decided(
                    c.AddNote(actor="user:ops", incident=1 + a % 4, text="seen \0"),
                    idempotency_key=f"note {b % 3}" if d else "",
                )
            case 15:
                what = (("job=shop",), ("alertname=~A1|A2",), ("alertname!=A1", "job=db"), ("instance=i0",))[a % 4]
                known = sorted(self.engine.state.silences)
                return Decided(c.SetSilence(
                    actor="user:ops", matchers=tuple(map(parse_matcher, what)), author=("ana", "nobody")[d % 2],
                    comment="why", starts_at=now + (0, 5 * MINUTE)[d // 2],
                    ends_at=now + (2 * MINUTE, 20 * MINUTE, 90 * MINUTE, 6 * HOUR)[b % 4],
                    id=known[b % len(known)] if known and b > 5 else "", origin=("", "shop")[b // 4],
                ))  # fmt: skip
            case 16:
                known = sorted(self.engine.state.silences)
                return Decided(c.ExpireSilence(actor="user:ops", id=known[a % len(known)] if known else "none"))
            case 17 | 18:
                return Delivered(
                    1 + a + 8 * (b % 3),
                    ("sent", "retry", "failed", "sent")[d],
                    "x",
                    "why \0",
                    "id",
                    (None, MINUTE)[b % 2],
                    duplicate=b == 3,
                )
            case 19:
                return (Unsure(), Tick(), Deaf(now - MINUTE, now), Deaf(now - b * HOUR, now))[d]
            case 20:
                return PlanChange((PLAN, OTHER)[a % 2].version, paging=d != 3)
            case 21:
                return self._quarantine(a, b)
            case 22:
                parked = sorted(self.engine.state.parked)
                return Decided(c.DiscardParked(actor="user:ops", id=parked[a % len(parked)] if parked else 99))
            case 23 | 24:
                return Decided(self._overriding(a, b, d), idempotency_key=f"override {a}" if d == 3 else "")
            case 25:
                return Decided(self._contact(a, b, d))
            case 26:
                ways = tuple(Way(1 + (a + n) % 6, n * MINUTE) for n in range(d))
                low = Reach(person=("ana", "ben")[b % 2], high=ways, low=ways[:1], quiet_from=0, quiet_until=a * 60)
                return Decided(c.SetReach(actor="user:ops", reach=low))
            case 27:
                return Decided(self._responding(a, b))
            case _:
                return Decided(self._access(a, b), idempotency_key=f"access {a}" if d == 3 else "")

    def _prometheus(self, which: Sequence[int], ends: Duration | None, key: int) -> Received:
        alerts = [
            _alert(one) | ({"endsAt": format_rfc3339(self.now + ends)} if ends is not None else {}) for one in which
        ]
        return _received(key, INBOX, self.now, "alertmanager", "/api/v2/alerts", alerts)

    def _quarantine(self, a: int, b: int) -> Quarantine:
        state = self.engine.state
        kind, found = (
            ("incident", sorted(map(str, state.incidents))),
            ("alert", sorted(map(str, state.alerts))),
            ("page", sorted(map(str, state.pages))),
            ("silence", sorted(state.silences)),
            ("heartbeat", sorted(f"{service}/{name}" for service, name in state.heartbeats)),
        )[a % 5]  # fmt: skip
        return Quarantine(kind, found[b % len(found)], "boom \0") if found else Quarantine("Decided", "7", "boom")

    def _overriding(self, a: int, b: int, d: int) -> c.AnyCommand:
        now, who = self.now, ("ana", "ben", "kei", "nobody")[b % 4]
        until = now + (2 * MINUTE, 20 * MINUTE, 6 * HOUR, -MINUTE)[d]
        many: tuple[c.AnyCommand, ...] = (
            c.AddOverride(actor="user:ops", schedule="shop", person=who, starts_at=now, ends_at=until, reason="x \0"),
            c.AddOverride(
                actor="person:ana", schedule="shop", person=who, starts_at=now + 5 * MINUTE, ends_at=now + HOUR,
                instead_of="ana",
            ),
            c.AskCover(actor="person:ana", schedule="shop", person="ana", starts_at=now, ends_at=until),
            c.AskSwap(
                actor="person:ana", schedule="shop", person="ana", other="ben", starts_at=now, ends_at=until,
                back_starts_at=now + 26 * HOUR, back_ends_at=now + 30 * HOUR,
            ),
            c.AnswerOverride(actor=f"person:{who}", id=1 + b, person=who, yes=d != 3),
            c.AnswerOverride(actor=f"person:{who}", id=1 + d, person=who),
            c.CancelOverride(actor="user:ops", id=1 + b),
            c.AddOverride(actor="user:ops", schedule=who, person="ana", starts_at=now, ends_at=until),
        )  # fmt: skip
        return many[a]

    def _contact(self, a: int, b: int, d: int) -> c.AnyCommand:
        contact, seed = 1 + b, b"%016d" % d
        hash = code_hash(KEY, contact, seed, code_of(KEY, contact, seed))
        address = f"https://hook.example/{b % 3}"
        many: tuple[c.AnyCommand, ...] = (
            c.AddContact(
                actor="user:ops", person=("ana", "ben")[d % 2], channel="webhook", address=address, label="odd 渓"
            ),
            c.SendCode(actor="user:ops", contact=contact, seed=seed, hash=hash),
            c.VerifyContact(actor="user:ops", contact=contact, hash=hash),
            c.VerifyContact(actor="user:ops", contact=contact, hash=b"wrong"),
            c.MarkContact(actor="user:ops", contact=contact, why="lost \0"),
            c.RemoveContact(actor="user:ops", contact=contact),
            c.TryContact(actor="user:ops", contact=contact),
            c.StartDrill(actor="user:ops", person=("ana", "ben")[d % 2])
            if d < 2 else c.AnswerDrill(actor="", page=1 + b * 3),
        )  # fmt: skip
        return many[a]

    def _responding(self, a: int, b: int) -> c.AnyCommand:
        incident = 1 + b % 4
        many: tuple[c.AnyCommand, ...] = (
            c.Reassign(actor="person:ana", incident=incident, person=("ana", "kei")[b // 4], note="odd 渓"),
            c.Snooze(actor="person:ana", incident=incident, until=self.now + (2 * MINUTE, HOUR)[b // 4]),
            c.AddResponders(actor="person:ana", incident=incident, targets=(("person:ben", "team:shop")[b // 4],)),
            c.ApplyPlan(actor="person:ana", incident=incident),
        )
        return many[a % 4]

    def _access(self, a: int, b: int) -> c.AnyCommand:
        many: tuple[c.AnyCommand, ...] = (
            c.CreateKey(actor="user:ops", hash=b"k%d" % b, hint="x\0", source="events", service="shop", name="n\0"),
            c.RevokeKey(actor="user:ops", id=1 + b),
            c.SetUser(
                actor="user:ops", name=f"user {b % 3}", role=("viewer", "admin")[b % 2], password="x", sign_out=b > 5
            ),
            c.CreateToken(
                actor="user:ops", hash=b"t%d" % b, kind=("token", "link")[b % 2], user="ops", expires_at=self.now + HOUR
            ),
            c.UseLink(actor="", hash=b"t%d" % b),
            c.RevokeToken(actor="user:ops", id=1 + b),
            c.DeclareKeys(actor="plan", keys=((b"d%d" % b, "dddd", "events", "db", "declared"),)),
            c.SetUser(actor="user:ops", name="ops", disabled=b > 3),
        )
        return many[a]


def lived(moves: Iterable[Move]) -> Life:
    """A life made of moves."""
    life = Life()
    for move in moves:
        life.live(move)
    return life


def _alert(one: int) -> dict[str, Any]:
    labels = {
        "alertname": ("A0", "A1", "A2", "Watchdog")[one % 4],
        "job": ("shop", "db")[one // 4],
        "instance": f"i{one % 3}",
    }
    return {
        "labels": labels | ({"severity": "critical"} if one % 2 else {}),
        "annotations": {"summary": "it is \0 down"},
    }


def _received(key: int, service: str, now: Instant, source: str, path: str, body: object) -> Received:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    return Received(key, service, now, Request(source=source, method="POST", path=path, headers=headers, body=raw))


def dump(state: State) -> dict[str, Any]:
    """Everything a state holds, in an order of its own. What is empty is as good as absent.

    Of the timers, what will ring and when: a thing rings when it is due, but never before the time it is queued for.
    What alerts are about is worked out when a guard asks, and kept until then: no part of what is known. Nor is where
    those with one timer begin that are not gone: it is passed over as they go, and looked for anew after a start.
    """
    found: dict[str, Any] = {}
    for name, value in vars(state).items():
        if name in ("timers", "concerned", "wanted", "_oldest"):
            continue
        found[name] = _plain(value)
    rings = {}
    for (kind, which), queued in state.timers._earliest.items():
        due = state.due_of(kind, which)
        if due is not None:
            rings[f"{kind} {which}"] = max(due, queued)
    found["timers"] = dict(sorted(rings.items()))
    return found


def _plain(value: object) -> Any:
    """Nouns and indexes as plain values; what is empty in an index is left out."""
    if isinstance(value, dict):
        kept = {repr(key): _plain(one) for key, one in value.items()}
        return {key: kept[key] for key in sorted(kept) if kept[key]}
    if isinstance(value, Remembered | Calls | Said):
        return _plain(vars(value))
    if isinstance(value, Members):
        return [sorted(value.firing), sorted(value.silenced)] if value.firing or value.silenced else None
    return msgspec.json.decode(msgspec.json.encode(value, order="deterministic"))


def digest(tables: Mapping[str, Any]) -> str:
    """A short name for the content of all tables."""
    return hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()
