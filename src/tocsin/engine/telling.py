"""Who is told of overrides, swaps and cover requests, what, and how urgent that is.

Nobody is woken for what can wait: it is urgent for whoever is, or soon will be, on call by it, or has to answer before
it begins. Whoever does something by hand is not told of it; but whoever comes on call now is told what they take over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from tocsin.access import actors
from tocsin.access.actors import person_of
from tocsin.catalog.people import Person
from tocsin.engine import covering, handing, ledger, methods
from tocsin.engine.turn import Turn
from tocsin.kernel.instant import Instant
from tocsin.kernel.reason import Reason
from tocsin.oncall.moved import Moved, moved
from tocsin.oncall.override import Cover, Override
from tocsin.oncall.roster import Span
from tocsin.oncall.zone import said
from tocsin.pages.ledger import Page

MOST_LATER = 3

Event = Literal["made", "agreed", "cancelled"]


def covers_of(turn: Turn, schedule: str) -> tuple[Cover, ...]:
    """What counts for a schedule now: calendars, and overrides."""
    return turn.plan.covers_for(schedule, turn.state.covers)


def called(turn: Turn, name: str) -> str:
    """A person's name, or what they are called in the plan when they have left it."""
    return turn.plan.people[name].name if name in turn.plan.people else name


def wish(turn: Turn, override: Override, reason: Reason, people: Iterable[str], what: str, actor: str) -> None:
    """Tell people of something asked for, or of an answer that moves nobody."""
    for person in _others(turn, people, actor):
        begins = override.first if override.agreed_at is None else None
        _notice(turn, person, reason, _asking(turn, override, what, person), begins)


def _asking(turn: Turn, override: Override, what: str, person: Person) -> str:
    return f"{what}: {_times(turn, override, person)}{_because(override)}"[: handing.LONGEST_TITLE]


def asked(turn: Turn, override: Override) -> list[str]:
    """Who is asked by a cover request: whoever can take the place."""
    if override.kind != "cover":
        return []
    return list(turn.plan.takers(override.schedule, override.instead_of, turn.state.covers, turn.now))


def wanted(turn: Turn, override: Override) -> str:
    """What a cover request asks for, as its notice begins."""
    return f"Somebody is wanted for {called(turn, override.instead_of) or 'a gap'}"


def settled(
    turn: Turn,
    override: Override,
    reason: Reason,
    what: str,
    actor: str,
    *,
    told: Iterable[str] = (),
    also: Iterable[str] = (),
) -> None:
    """A cover request asks nobody any more: tell those who were asked, in their morning, and some others ``also``.

    Whoever has not read of the request yet, because it waits for their morning too, is told neither. ``told``: who
    knows already.
    """
    people, knows = turn.plan.people, {"", *told}
    for name in dict.fromkeys((*asked(turn, override), *also)):
        person = people.get(name)
        unread = _unread(turn, override, person) if person is not None else None
        if unread is not None:
            ledger.finish(turn, unread, "overtaken", Reason.OVERTAKEN)
        elif person is not None and name not in knows and not _by_hand(person, actor):
            _notice(turn, person, reason, f"{what}: {_times(turn, override, person)}{_because(override)}", None)


def _unread(turn: Turn, override: Override, person: Person) -> Page | None:
    """The notice that asked somebody, while it has not left: it says of this request what no other says of it."""
    title = _asking(turn, override, wanted(turn, override), person)
    rows = turn.state.pages_of.get(0, {}).values()
    mine = (row for row in rows if row.person == person.key and row.reason is Reason.COVER_ASKED)
    return next((row for row in mine if row.waiting and row.title == title), None)


def change(
    turn: Turn, override: Override, before: Sequence[Cover], reason: Reason, event: Event, actor: str
) -> set[str]:
    """Somebody's time on call is another from now on: tell all who come and go, and those who were asked or asked.

    ``before``: what counted for the schedule until now. Says who was told.
    """
    roster = turn.plan.rosters.get(override.schedule)
    moves: dict[str, Moved] = {}
    was: list[str] = []
    came: frozenset[str] = frozenset()
    if roster is not None:
        after = covers_of(turn, override.schedule)
        moves = moved(roster, before, after, _ranges(override, turn.now))
        was = [shift.person for shift in roster.who(turn.now, tuple(before))]
        came = frozenset(shift.person for shift in roster.who(turn.now, after)) - frozenset(was)
    _welcome(turn, override, came, was, moves, event, actor)
    handing.told_by_hand(turn, override.schedule, came, moves)
    named = (override.person, override.instead_of, person_of(override.asked_by))
    told = {*came}
    for person in _others(turn, (*named, *moves), actor):
        if person.key in came:
            continue
        move = moves.get(person.key, Moved((), ()))
        if event == "cancelled":
            title = f"Taken back: the plan counts again: {_taken_back(turn, override, person, move)}"
        elif move.gained and not move.lost:
            for_whom = f" for {called(turn, override.instead_of)}" if override.instead_of else ""
            title = f"You are on call{for_whom}: {override.schedule}, {handing.times(move.gained, person)}"
        elif move.lost:
            other = override.instead_of if person.key == override.person else override.person
            does = f"{called(turn, other)} {'takes over' if event == 'agreed' else 'is on call for you'}"
            title = f"{does}: {override.schedule}, {handing.times(move.lost, person)}"
            title += f"; you take {handing.times(move.gained, person)} for it" if move.gained else ""
        elif event == "agreed":
            vain = turn.plan.why_idle(override, turn.state.covers, turn.now) if not moves else ""
            title = f"{called(turn, override.person)} takes over: {_times(turn, override, person)}"
            title = f"{called(turn, override.person)} agreed to what takes nobody's place: {vain}" if vain else title
        elif person.key == override.person:
            title = f"You are on call: {_times(turn, override, person)}"
        else:
            continue
        relieved = person.key in was and bool(move.lost) and move.lost[0][0] <= turn.now
        work = tuple(handing.open_work(turn, override.schedule)) if relieved else ()
        begins = move.gained[0][0] if move.gained else None
        _notice(turn, person, reason, f"{title}{_because(override)}", begins, work)
        told.add(person.key)
    return told


def of_idle(turn: Turn, why: str) -> None:
    """A plan or a calendar is new: whoever agreed to what takes nobody's place is told so, once while that is so.

    It asks nothing of them, so it waits for their morning. What is not known yet, since a calendar is yet to be read,
    is told when it is.
    """
    plan, state = turn.plan, turn.state
    found = {one.id: sentence for one, sentence in covering.idle(plan, state.overrides, state.covers, turn.now)}
    for one in list(state.overrides.values()):
        sentence = found.get(one.id, "")
        if one.state(turn.now) != "agreed" or one.told_idle == bool(sentence) or handing.awaits(turn, one.schedule):
            continue
        one.told_idle = bool(sentence)
        turn.changes.overrides[one.id] = one
        people = (one.person, one.instead_of) if one.back else (one.person,)
        for name in people if sentence else ():
            if name in plan.people:
                lines = [f"Because {why}"]
                handing.tell(turn, plan.people[name], Reason.ON_CALL_CHANGED, sentence, lines, urgency="low")


def _welcome(
    turn: Turn,
    override: Override,
    came: frozenset[str],
    was: Sequence[str],
    moves: dict[str, Moved],
    event: Event,
    actor: str,
) -> None:
    """Who comes on call now is handed over to at once: that somebody did it by hand is no reason to know less."""
    if not came:
        return
    by, asked = (actors.called(one, turn.plan.names) for one in (actor, override.asked_by))
    whose = (
        f"{called(turn, override.person)}{f' for {called(turn, override.instead_of)}' if override.instead_of else ''}"
    )
    how = f"Override {override.id}, taken back by {by}" if event == "cancelled" else f"{whose}, asked by {asked}"

    def tell(person: Person, reason: Reason, title: str, lines: list[str]) -> None:
        if _by_hand(person, actor):  # they are awake, and need not be called for it
            gentle = methods.planned(turn, person.key, "low")[0].contact
            handing.tell(turn, person, reason, title, lines, urgency="high", contact=gentle)
        else:
            handing.tell(turn, person, reason, title, lines, urgency="high")

    def more(person: Person) -> list[str]:
        move = moves.get(person.key, Moved((), ()))
        later = [span for span in move.gained if span[0] > turn.now]
        reason = f": {override.reason}" if override.reason else ""
        also = [f"Later too: {_span(one, person)}" for one in later[:MOST_LATER]]
        return [f"{how}{reason}", *also, *([f"Not any more: {handing.times(move.lost, person)}"] if move.lost else [])]

    handing.welcome(turn, override.schedule, came, was, more, tell)


def _ranges(override: Override, now: Instant) -> list[Span]:
    spans = [(override.starts_at, override.ends_at), *([override.back] if override.back else [])]
    return [(max(start, now), end) for start, end in spans if end > now]


def _others(turn: Turn, names: Iterable[str], actor: str) -> list[Person]:
    people = turn.plan.people
    return [people[name] for name in dict.fromkeys(names) if name in people and not _by_hand(people[name], actor)]


def _by_hand(person: Person, actor: str) -> bool:
    """Whether a person did it themselves just now. A token of theirs may be a script's, at night as well."""
    return actor == f"person:{person.key}"


def _notice(
    turn: Turn, person: Person, reason: Reason, title: str, begins: Instant | None, lines: tuple[str, ...] = ()
) -> None:
    """``begins``: when it asks something of the person; None when it relieves them, which can wait for the morning."""
    urgency = "high" if begins is not None and methods.cannot_wait(turn, person, begins) else "low"
    handing.tell(turn, person, reason, title, list(lines), urgency=urgency)


def _times(turn: Turn, override: Override, person: Person, event: Event | None = None) -> str:
    """The schedule and the time, of a swap both times and who has which; in the person's own zone."""
    text = f"{override.schedule}, {_span((override.starts_at, override.ends_at), person)}"
    if override.back is None:
        return text
    if event == "cancelled":
        return f"{text} and {_span(override.back, person)}"
    who = "you take" if person.key == override.instead_of else f"{called(turn, override.instead_of)} takes"
    return f"{text}; {who} {_span(override.back, person)} for it"


def _taken_back(turn: Turn, override: Override, person: Person, move: Moved) -> str:
    """The schedule and the time; who has something by it and loses something by it, as in a swap, is told which."""
    if not override.back or not (move.gained or move.lost):
        again = f"; you are on call again {handing.times(move.gained, person)}" if move.gained else ""
        return f"{_times(turn, override, person, 'cancelled')}{again}"
    has = [f"you are on call again {handing.times(move.gained, person)}"] if move.gained else []
    lost = [f"not any more {handing.times(move.lost, person)}"] if move.lost else []
    return f"{override.schedule}, {', and '.join((*has, *lost))}"


def _span(span: Span, person: Person) -> str:
    return f"{said(span[0], person.timezone)} to {said(span[1], person.timezone)} {person.timezone}"


def _because(override: Override) -> str:
    return f" ({override.reason})" if override.reason else ""
