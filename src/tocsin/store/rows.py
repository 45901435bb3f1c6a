"""What the engine changed, as rows: one place that says which columns each noun has, for both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import zstandard

from tocsin.engine.inputs import AnyInput, Received, decode_input, encode_input
from tocsin.engine.state import Changes, State
from tocsin.intake.bounds import clean
from tocsin.kernel.identity import identity, whole
from tocsin.kernel.instant import Instant
from tocsin.store import alert_rows

WORKSPACE = 1
COMPRESS_FROM = 2_048
ROWS_AT_ONCE = 5_000

Row = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode

_shrink = zstandard.ZstdCompressor(level=1).compress


class Journaled(NamedTuple):
    """One row of the journal, ready to be written."""

    seq: int
    at: Instant
    input: AnyInput


class Statement(NamedTuple):
    """Rows for one table. ``key``: the columns a row that exists is recognised by, () when every row is new.

    ``types`` are PostgreSQL's, for sending whole columns as arrays.
    """

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    key: tuple[str, ...] = ()


JOURNAL = Statement(
    "journal",
    ("seq", "workspace", "at", "kind", "versions", "body"),
    ("bigint", "int", "bigint", "text", "int", "bytea"),
)
_ALERT = ("id", "workspace", "incident", "service", "state", "live", "body")
_ALERT_TYPES = ("bigint", "int", "bigint", "text", "text", "boolean", "bytea")
NEW_ALERTS = Statement("alerts", _ALERT, _ALERT_TYPES)
ALERTS = Statement("alerts", _ALERT, _ALERT_TYPES, ("id",))
ALERT_BLOCKS = Statement("alert_blocks", ("first", "last", "workspace", "body"), ("bigint", "bigint", "int", "bytea"))
ALERT_BLOCK_INCIDENTS = Statement(
    "alert_block_incidents", ("incident", "first", "workspace"), ("bigint", "bigint", "int")
)
ALERT_SIGHTINGS = Statement(
    "alert_sightings", ("stretch", "workspace", "body"), ("bigint", "int", "bytea"), ("stretch",)
)
INCIDENTS = Statement(
    "incidents",
    ("number", "workspace", "service", "state", "severity", "quiet", "opened_at", "live", "body"),
    ("bigint", "int", "text", "text", "text", "boolean", "bigint", "boolean", "bytea"),
    ("number",),
)
ENTRIES = Statement(
    "entries", ("id", "workspace", "incident", "at", "body"), ("bigint", "int", "bigint", "bigint", "bytea")
)
PAGES = Statement(
    "pages",
    ("id", "workspace", "incident", "person", "state", "intended_at", "live", "body"),
    ("bigint", "int", "bigint", "text", "text", "bigint", "boolean", "bytea"),
    ("id",),
)
SILENCES = Statement(
    "silences", ("id", "workspace", "ends_at", "live", "body"), ("text", "int", "bigint", "boolean", "bytea"), ("id",)
)
HEARTBEATS = Statement(
    "heartbeats", ("service", "name", "workspace", "body"), ("text", "text", "int", "bytea"), ("service", "name")
)
KEYS = Statement(
    "keys", ("id", "workspace", "hash", "revoked", "body"), ("bigint", "int", "bytea", "boolean", "bytea"), ("id",)
)
USERS = Statement("users", ("id", "workspace", "name", "body"), ("bigint", "int", "text", "bytea"), ("id",))
TOKENS = Statement("tokens", ("id", "workspace", "hash", "body"), ("bigint", "int", "bytea", "bytea"), ("id",))
PARKED = Statement(
    "parked", ("id", "workspace", "at", "discarded", "body"), ("bigint", "int", "bigint", "boolean", "bytea"), ("id",)
)
CHANGES = Statement(
    "changes", ("id", "workspace", "service", "at", "body"), ("bigint", "int", "text", "bigint", "bytea")
)
OVERRIDES = Statement(
    "overrides",
    ("id", "workspace", "schedule", "ends_at", "live", "body"),
    ("bigint", "int", "text", "bigint", "boolean", "bytea"),
    ("id",),
)
CONTACTS = Statement(
    "contacts", ("id", "workspace", "person", "live", "body"), ("bigint", "int", "text", "boolean", "bytea"), ("id",)
)
REACHES = Statement("reaches", ("person", "workspace", "body"), ("text", "int", "bytea"), ("person",))
DUTIES = Statement("duties", ("name", "workspace", "body"), ("text", "int", "bytea"), ("name",))
CALENDARS = Statement("calendars", ("name", "workspace", "body"), ("text", "int", "bytea"), ("name",))
RUNS = Statement(
    "runs",
    ("number", "workspace", "incident", "service", "playbook", "state", "started_at", "live", "body"),
    ("bigint", "int", "bigint", "text", "text", "text", "bigint", "boolean", "bytea"),
    ("number",),
)
STEPS = Statement(
    "steps", ("run", "ordinal", "workspace", "body"), ("bigint", "int", "int", "bytea"), ("run", "ordinal")
)
STANDINGS = Statement(
    "standings", ("service", "playbook", "workspace", "body"), ("text", "text", "int", "bytea"), ("service", "playbook")
)
RESULTS = Statement("results", ("key", "workspace", "at", "body"), ("text", "int", "bigint", "bytea"), ("key",))
PLANS = Statement("plans", ("version", "workspace", "at", "files"), ("text", "int", "bigint", "bytea"), ("version",))
META = Statement("meta", ("name", "workspace", "value"), ("text", "int", "bytea"), ("name",))
VERSIONS = Statement("versions", ("id", "engine", "tzdata"), ("int", "text", "text"), ("id",))


IN_FORCE = "plan@"
"""Before the instant, in microseconds with 20 digits, since when a version of the plan has been in force: the name of a
row in ``meta``. Who asks about a night last week asks about that night's plan.
"""


def body(noun: Any) -> bytes:
    """A noun as its row keeps it.

    Halves of surrogate pairs, which no UTF-8 holds, become U+FFFD: no text stops a commit.
    """
    try:
        return _encode(noun)
    except UnicodeEncodeError:
        return _encode(_written(noun))


def _written(value: Any) -> Any:
    """The same in plain values, with texts that can be written."""
    match value:
        case str():
            return whole(value)
        case bytes() | int() | float() | None | msgspec.Raw():
            return value
        case msgspec.Struct():
            names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
            config = value.__struct_config__
            tag = {config.tag_field: config.tag} if config.tag_field is not None else {}
            return tag | {written: _written(getattr(value, name)) for name, written in names}
        case dict():
            return {_written(key): _written(one) for key, one in value.items()}
        case list() | tuple():
            return [_written(one) for one in value]
        case _:
            return _written(msgspec.to_builtins(value, builtin_types=(bytes,)))


def storable(text: str) -> str:
    """A text as any database can keep it in a column: without NUL and halves of surrogate pairs.

    Two different texts are still different. The noun itself is whole in its body.
    """
    cleaned = clean(text)
    return text if cleaned == text else f"{cleaned}#{identity(text.encode('utf-8', 'surrogatepass')).hex()}"


def _with_texts(statement: Statement, values: list[Row]) -> tuple[Statement, list[Row]]:
    """Rows whose text columns can be kept. Nearly always they already are."""
    texts = [place for place, kind in enumerate(statement.types) if kind == "text"]
    for place in texts:
        whole = "".join([row[place] for row in values])
        if "\0" in whole or not (whole.isascii() or clean(whole) == whole):
            return statement, [tuple(storable(v) if i in texts else v for i, v in enumerate(row)) for row in values]
    return statement, values


TOGETHER = b"\2"
"""What a journal row of several requests begins with; the rest is zstd."""
MOST_TOGETHER = 64 * 1024
"""Bytes of requests that are written in one row, before they are compressed."""


def pack(raw: bytes) -> bytes:
    """Compress what is worth it: a zero byte and the text as it is, or a one byte and zstd."""
    return b"\1" + _shrink(raw) if len(raw) >= COMPRESS_FROM else b"\0" + raw


def unpack(packed: bytes) -> bytes:
    """The text that ``pack`` was given."""
    if packed[:1] != b"\0":
        return zstandard.ZstdDecompressor().decompress(packed[1:], max_output_size=1 << 28)
    return packed[1:]


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """A plan's files as one value."""
    return pack(msgspec.msgpack.encode(dict(sorted(files.items()))))


def unpack_files(packed: bytes) -> dict[str, bytes]:
    """The files ``pack_files`` was given."""
    return msgspec.msgpack.decode(unpack(packed), type=dict[str, bytes])


def journal_rows(journal: Iterable[Journaled], changes: Changes, versions: int) -> Iterator[Row]:
    """The journal's rows as they are written, in order.

    Small requests that were judged at one instant lie together in one row, under the place of the first: they say much
    alike, and a row for each would cost more than half of what writing them down costs. Parked ones lie alone, for
    they are kept longer than others.
    """
    together: list[bytes] = []
    first, size = None, 0
    for one in journal:
        raw = _encoded(one.input)
        small = type(one.input) is Received and len(raw) < COMPRESS_FROM and one.seq not in changes.parked
        if first is not None and not (
            small and one.at == first.at and one.seq == first.seq + len(together) and size + len(raw) <= MOST_TOGETHER
        ):
            yield _journal_row(first, together, versions)
            first = None
        if not small:
            yield _journal_row(one, [raw], versions)
        elif first is None:
            first, together, size = one, [raw], len(raw)
        else:
            together.append(raw)
            size += len(raw)
    if first is not None:
        yield _journal_row(first, together, versions)


def _encoded(input: AnyInput) -> bytes:
    try:
        return encode_input(input)
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(_written(input))


def _journal_row(first: Journaled, raws: list[bytes], versions: int) -> Row:
    packed = pack(raws[0]) if len(raws) == 1 else TOGETHER + _shrink(msgspec.msgpack.encode([*map(msgspec.Raw, raws)]))
    return first.seq, WORKSPACE, first.at, first.input.__struct_config__.tag, versions, packed


_raws = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def read_journal_row(seq: int, at: Instant, packed: bytes) -> Iterator[Journaled]:
    """What lies in a journal row, with consecutive places from ``seq`` on."""
    raws = _raws(unpack(packed)) if packed[:1] == TOGETHER else [unpack(packed)]
    return (Journaled(seq + place, at, decode_input(raw)) for place, raw in enumerate(raws))


def statements(
    journal: Sequence[Journaled], changes: Changes, state: State, versions: int
) -> Iterator[tuple[Statement, list[Row]]]:
    """Everything one commit writes, without the tables it leaves alone."""

    def each(items: Iterable[Any], row: Callable[[Any], Row]) -> list[Row]:
        return [row(item) for item in items]

    def incident(i: Any) -> Row:
        live = i.number in state.incidents
        return i.number, WORKSPACE, i.service, i.state, i.severity, i.kept_quiet, i.opened_at, live, body(i)

    def page(p: Any) -> Row:
        return p.id, WORKSPACE, p.incident, p.person, p.state, p.intended_at, p.id in state.pages, body(p)

    def override(o: Any) -> Row:
        return o.id, WORKSPACE, o.schedule, o.over_at, o.id in state.overrides, body(o)

    def run(r: Any) -> Row:
        live = r.number in state.runs
        return r.number, WORKSPACE, r.incident, r.service, r.playbook, r.state, r.started_at, live, body(r)

    now = state.counters.now
    everything = (
        (JOURNAL, list(journal_rows(journal, changes, versions))),
        (INCIDENTS, each(changes.incidents.values(), incident)),
        (ENTRIES, each(changes.entries, lambda e: (e[0], WORKSPACE, e[1].incident, e[1].at, body(e[1])))),
        (PAGES, each(changes.pages.values(), page)),
        (SILENCES, each(changes.silences.values(), lambda s: (s.id, WORKSPACE, s.ends_at, not s.closed, body(s)))),
        (HEARTBEATS, each(changes.heartbeats.values(), lambda h: (h.service, h.name, WORKSPACE, body(h)))),
        (KEYS, each(changes.keys.values(), lambda k: (k.id, WORKSPACE, k.hash, k.revoked_at is not None, body(k)))),
        (USERS, each(changes.users.values(), lambda u: (u.id, WORKSPACE, u.name, body(u)))),
        (TOKENS, each(changes.tokens.values(), lambda t: (t.id, WORKSPACE, t.hash, body(t)))),
        (PARKED, each(changes.parked.values(), lambda p: (p.id, WORKSPACE, p.at, p.discarded, body(p)))),
        (CONTACTS, each(changes.contacts.values(), lambda c: (c.id, WORKSPACE, c.person, not c.removed, body(c)))),
        (REACHES, each(changes.reaches.values(), lambda r: (r.person, WORKSPACE, body(r)))),
        (CHANGES, each(changes.changes, lambda c: (c.id, WORKSPACE, c.service, c.at, body(c)))),
        (OVERRIDES, each(changes.overrides.values(), override)),
        (DUTIES, each(changes.duties.values(), lambda d: (d.name, WORKSPACE, body(d)))),
        (CALENDARS, each(changes.calendars.values(), lambda c: (c.name, WORKSPACE, body(c)))),
        (RUNS, each(changes.runs.values(), run)),
        (STEPS, each(changes.steps.values(), lambda s: (s.run, s.ordinal, WORKSPACE, body(s)))),
        (STANDINGS, each(changes.standings.values(), lambda s: (s.service, s.playbook, WORKSPACE, body(s)))),
        (RESULTS, each(changes.results, lambda r: (r.key, WORKSPACE, r.at, body(r)))),
        (PLANS, [(version, WORKSPACE, now, pack_files(files)) for version, files in changes.plans.items()]),
        (META, [("plan", WORKSPACE, state.counters.plan.encode())] if changes.plans else []),
        (META, [(f"{IN_FORCE}{at:020d}", WORKSPACE, version.encode()) for at, version in changes.in_force.items()]),
        (META, [("counters", WORKSPACE, body(state.counters))]),
    )
    yield from _alert_statements(changes, state)
    for statement, values in everything:
        if values:
            yield _with_texts(statement, values)


def _alert_statements(changes: Changes, state: State) -> Iterator[tuple[Statement, list[Row]]]:
    def alert(a: Any) -> Row:
        return a.id, WORKSPACE, a.incident, a.service, a.state, state.alerts.get(a.id) is a, body(a)

    new = changes.new_alerts
    together = len(new) >= alert_rows.BLOCK_FROM
    if together:
        blocks = list(alert_rows.blocks(list(new.values())))
        yield ALERT_BLOCKS, [(b[0].id, b[-1].id, WORKSPACE, pack(body(b))) for b in blocks]
        joined = ((number, b[0].id, WORKSPACE) for b in blocks for number in sorted({a.incident for a in b}))
        yield ALERT_BLOCK_INCIDENTS, list(joined)
    # What ended in the very commit it began in is no matter of blocks, where everything fires.
    alone = iter((changes.brief_alerts if together else new).values())
    changed = (a for a in changes.alerts.values() if a.id not in new)
    for statement, alerts in ((NEW_ALERTS, alone), (ALERTS, changed)):
        # In slices: a plan or a silence may change every alert, and all their rows at once would be a lot of memory.
        while some := list(islice(alerts, ROWS_AT_ONCE)):
            yield _with_texts(statement, [alert(a) for a in some])
    if changes.seen_alerts:
        stretches = sorted({id // alert_rows.STRETCH for id in changes.seen_alerts})
        yield ALERT_SIGHTINGS, [(stretch, WORKSPACE, pack(_sightings(state, stretch))) for stretch in stretches]


def _sightings(state: State, stretch: int) -> bytes:
    first = stretch * alert_rows.STRETCH
    held = map(state.alerts.get, range(first, first + alert_rows.STRETCH))
    return alert_rows.sightings(alert for alert in held if alert is not None and alert.firing)


def deletions(changes: Changes) -> Iterable[tuple[str, tuple[str, ...], list[Row]]]:
    """Rows that go: table, the columns that name a row, and the rows' names."""
    heartbeats: list[Row] = [tuple(map(storable, place)) for place in sorted(changes.dropped_heartbeats)]
    results: list[Row] = [(storable(key),) for key in changes.dropped_results]
    duties: list[Row] = [(storable(name),) for name in sorted(changes.dropped_duties)]
    calendars: list[Row] = [(storable(name),) for name in sorted(changes.dropped_calendars)]
    return (
        ("calendars", ("name",), calendars),
        ("heartbeats", ("service", "name"), heartbeats),
        ("results", ("key",), results),
        ("duties", ("name",), duties),
    )
