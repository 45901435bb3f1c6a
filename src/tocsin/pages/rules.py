"""How a person wants to be reached: by which methods in which order, when not to be woken, and how many at once.

Decisions only: who waits for what, and until when. Each wait has a named reason and an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from datetime import datetime, time, timedelta, tzinfo
from typing import NamedTuple

from msgspec import Struct

from tocsin.kernel.instant import HOUR, MINUTE, SECOND, Duration, Instant, from_datetime, to_datetime
from tocsin.oncall.zone import zone as zone_of
from tocsin.pages.contacts import Contact, directness
from tocsin.pages.profiles import CONSOLE

APART: Duration = 2 * MINUTE
"""Without rules of their own a person has this long to answer before the next method is used."""
LONGEST_WAIT: Duration = HOUR
MOST_WAYS = 20
DAY_MINUTES = 24 * 60
MOST_BUNDLED = 20
LONGEST_BUNDLE: Duration = 5 * MINUTE


class Way(Struct, frozen=True):
    """Use this contact method, ``after`` so long without an answer."""

    contact: int
    after: Duration = 0


class Reach(Struct, kw_only=True, omit_defaults=True):
    """A person's own rules. What they leave empty is as a careful team would have it.

    ``high`` and ``low``: what is used for each urgency, in order. ``quiet_from`` and ``quiet_until`` are minutes of the
    person's own day; between them nothing of low urgency leaves. Both the same: no quiet hours.
    Once ``bundle_after`` pages have left by one method within ``bundle_within``, more of them wait for the end of that
    time and go out as one message. ``bundle_within`` 0: never.
    """

    person: str
    high: tuple[Way, ...] = ()
    low: tuple[Way, ...] = ()
    quiet_from: int = 22 * 60
    quiet_until: int = 8 * 60
    bundle_after: int = 3
    bundle_within: Duration = 30 * SECOND
    asked: list[Instant] = []
    """When codes and tests were sent to this person, within the last hour."""
    left_at: Instant | None = None
    """Since when the plan does not have this person any more."""


class Planned(NamedTuple):
    """One method to be used for a page, ``after`` the page was written down. ``contact`` None: the console."""

    contact: Contact | None
    channel: str
    address: str
    after: Duration


def usable(contacts: Iterable[Contact], ready: Set[str]) -> list[Contact]:
    """Methods pages may be sent by, the most direct first; those that fail only when there is nothing else.

    ``ready``: the channels that are set up. A method that was marked failing is better than none.
    """
    trusted = sorted((one for one in contacts if one.trusted and one.channel in ready), key=directness)
    return [one for one in trusted if one.state == "verified"] or trusted


def reaches(contacts: Iterable[Contact], ready: Set[str]) -> bool:
    """Whether ``usable`` names any method."""
    return any(one.trusted and one.channel in ready for one in contacts)


def ways(person: str, contacts: Iterable[Contact], reach: Reach, urgency: str, ready: Set[str]) -> list[Planned]:
    """Which methods are used for a page, and when. Never empty: the console when there is nothing better.

    High urgency without rules: all methods, the most direct at once, each other two minutes after the one before. Low
    urgency without rules: the gentlest alone. When no method that a rule names can be used, it is as without rules.
    """
    able = usable(contacts, ready)
    by_id = {one.id: one for one in able}
    rules = [way for way in (reach.low if urgency == "low" else reach.high) if way.contact in by_id]
    if rules:
        earliest = min(way.after for way in rules)  # what came before cannot be used, so nothing waits for it
        chosen = [(by_id[way.contact], way.after - earliest) for way in rules]
    elif urgency == "low":
        chosen = [(one, 0) for one in able[-1:]]
    else:
        chosen = [(one, APART * place) for place, one in enumerate(able)]
    chosen.sort(key=lambda pair: pair[1])
    return [Planned(one, one.channel, one.address, after) for one, after in chosen] or [
        Planned(None, CONSOLE, person, 0)
    ]


def avoiding(lost: Set[str], planned: list[Planned], able: list[Contact]) -> list[Planned]:
    """The same ways, those by channels that lose messages last; with a method no rule names when no other is left.

    When there is no other at all they stay as they are: a page that may be lost is better than none.
    """
    others = [one for one in planned if one.channel not in lost]
    if not others:
        others = [Planned(one, one.channel, one.address, 0) for one in able if one.channel not in lost][:1]
    if not others:
        return planned
    earliest = min(one.after for one in others)
    first = [one._replace(after=one.after - earliest) for one in others]
    return first + [one._replace(after=max(one.after, APART)) for one in planned if one.channel in lost]


def quiet_until(reach: Reach, zone: str, now: Instant) -> Instant | None:
    """When a person's quiet hours that hold now are over; None outside them.

    They begin and end by the clock on the wall. An end that comes twice counts the first time it is no more quiet; one
    that a change of clocks leaves out counts as much later as the clock jumped.
    """
    local = zone_of(zone).local(now)
    if not _within_quiet(reach, local):
        return None
    place = local.tzinfo
    at, today = time(*divmod(reach.quiet_until, 60)), local.date()
    days = [today + timedelta(days=day) for day in range(3)]  # a zone that crosses the date line leaves one out
    moments = (from_datetime(datetime.combine(day, at, place).replace(fold=fold)) for day in days for fold in (0, 1))
    return min(moment for moment in moments if moment > now and not _quiet(reach, place, moment))


def _quiet(reach: Reach, place: tzinfo | None, at: Instant) -> bool:
    return _within_quiet(reach, to_datetime(at).astimezone(place))


def _within_quiet(reach: Reach, local: datetime) -> bool:
    minute, begins, ends = local.hour * 60 + local.minute, reach.quiet_from, reach.quiet_until
    return begins <= minute < ends if begins <= ends else minute >= begins or minute < ends


class Left(NamedTuple):
    """A message left by a method: when, and how grave the gravest in it was."""

    at: Instant
    severity: str


def bundled_until(left: Iterable[Left], severity: str, after: int, within: Duration, now: Instant) -> Instant | None:
    """Until when a page waits to go out together with others; None: it leaves at once.

    The first ``after`` pages of any ``within`` are never delayed, counting those that are as grave or graver: what is
    graver than what left waits for none of it. None waits longer than ``within``.
    """
    lately = [one.at for one in left if now - one.at < within and one.severity <= severity]
    return lately[-after] + within if within and len(lately) >= after else None


def remembered(left: Iterable[Left], after: int, within: Duration, now: Instant) -> list[Left]:
    """Of what left, oldest first, what may still count for a page to come: the last ``after`` of each severity."""
    kept: list[Left] = []
    for one in reversed([one for one in left if now - one.at < within]):
        if sum(other.severity == one.severity for other in kept) < after:
            kept.insert(0, one)
    return kept


def parse_clock(text: str) -> int:
    """The minute of the day of ``22:00``. Raises ValueError."""
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text.strip(), re.ASCII)
    if found is None:
        raise ValueError(f"{text!r} is not a time of the day, such as 22:00")
    return int(found[1]) * 60 + int(found[2])


def clock_text(minute: int) -> str:
    """A minute of the day as people write it: ``08:00``."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def fault(reach: Reach, known: Set[int]) -> tuple[str, str] | None:
    """What is wrong with somebody's rules: the field and a sentence. ``known``: the ids of their own methods."""
    for name, chosen in (("high", reach.high), ("low", reach.low)):
        if len(chosen) > MOST_WAYS:
            return name, f"at most {MOST_WAYS} steps are kept"
        for way in chosen:
            if way.contact not in known:
                return name, f"there is no contact method {way.contact} of this person"
            if not 0 <= way.after <= LONGEST_WAIT:
                return name, "a method waits from nothing to one hour"
        if len({way.contact for way in chosen}) < len(chosen):
            return name, "each contact method is named once"
    if not (0 <= reach.quiet_from < DAY_MINUTES and 0 <= reach.quiet_until < DAY_MINUTES):
        return "quiet", "quiet hours are two times of the day, such as 22:00 and 08:00"
    if not 1 <= reach.bundle_after <= MOST_BUNDLED:
        return "bundle_after", f"from 1 to {MOST_BUNDLED} pages leave one by one before more are bundled"
    if not 0 <= reach.bundle_within <= LONGEST_BUNDLE:
        return "bundle_within", "pages are bundled within at most five minutes; 0 bundles none"
    return None
