"""Pages: whom a due step pages, by which of their methods and when, and what a channel's answer means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.catalog.people import Person
from tocsin.engine.covering import open_now, opens_at
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import AFTER_THE_LAST, Call, escalate
from tocsin.escalation.policy import Step
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.contacts import CONSOLE, Contact
from tocsin.pages.ledger import (
    APART,
    ASKING,
    FOLLOWED,
    GIVE_UP_AFTER,
    Page,
    PageKind,
    PageState,
    receive,
    retry_after,
)
from tocsin.pages.rules import Planned, Reach, avoiding, bundled_until, quiet_until, reaches, usable, ways
from tocsin.plan.model import Reached

REFUSALS = frozenset({"client", "gone", "refused_address"})
"""Codes of a failure that is the address's: others are Tocsin's own or the channel's, and say nothing of a person."""
OF_A_STEP = frozenset({Reason.STEP_DUE, Reason.STEP_REPEATED, Reason.ESCALATION_EXHAUSTED, Reason.LAST_RESORT})


class About(NamedTuple):
    """What rows of the ledger are written for: an incident, or nothing. ``about``: the page an update follows."""

    incident: int
    title: str
    reason: Reason
    step: int = 0
    kind: PageKind = "page"
    urgency: str = "high"
    about: int = 0


def reach_of(turn: Turn, person: str) -> Reach:
    """A person's own rules, or none."""
    return turn.state.reaches.get(person) or Reach(person=person)


def able(turn: Turn, person: str) -> list[Contact]:
    """The methods a person can be paged by now, the most direct first."""
    return usable(turn.state.contacts_by(person), turn.plan.reaches)


def _is_able(turn: Turn, person: str) -> bool:
    return reaches(turn.state.contacts_by(person), turn.plan.reaches)


def _planned(turn: Turn, person: str, urgency: str = "high") -> list[Planned]:
    return ways(person, turn.state.contacts_by(person), reach_of(turn, person), urgency, turn.plan.reaches)


def escalate_now(turn: Turn, incident: Incident) -> bool:
    """A step is due: write down each person's pages, and when the next step is due.

    One of low urgency waits while everybody it would page has quiet hours. When a step reached nobody, its team's lead
    and the last resort are paged beside the next one. False when everybody it could page has answered: then
    nothing is done, and ``settling``, which is asked before the turn ends, acknowledges it.
    """
    call = _call(turn, incident)
    reached = _whom(turn, incident, call)
    people = [one.person for one in reached]
    if not people and _nobody_left(turn, incident):
        turn.touch(incident.number)
        return False
    until = _waits(turn, incident, people)
    if until is not None:
        _wait(turn, incident, people, *until)
        return True
    for step in call.passed:
        what = f"Step {step + 1} is passed over: {_unmet(turn, incident, incident.steps[step])}"
        turn.enter(incident.number, what, Reason.STEP_NOT_MEANT)
    for step in call.skipped:
        turn.enter(incident.number, _reaches_nobody(incident, step), Reason.NOBODY_REACHABLE)
    shadows = turn.plan.shadows_of(call.targets, turn.now, turn.state.covers, turn.behind(call.targets))
    names = ", ".join(f"{person.name} ({by})" if by else person.name for person, by in reached) or "nobody"
    if shadows:
        names += f", with a copy to {_names(shadows)}"
    paging = "Paging" if turn.state.counters.paging else "Paging is off; it would have paged"
    what = f"{paging} {names}; next in {say_duration(call.next_at - turn.now)} if nobody answers"
    if not people and _all_answered(turn, incident, call.targets):
        what = f"The last resort has answered; others are paged again in {say_duration(call.next_at - turn.now)}"
    turn.enter(incident.number, what, call.reason, step=str(call.at_step + 1))
    incident.step, incident.round, incident.laps = call.step, call.round, call.lap
    incident.next_at, incident.waits = call.next_at, None
    for person in people:
        page(turn, incident, person, call.reason, call.at_step)
    for shadow in shadows:
        _copy(turn, incident, shadow, call)
    if call.skipped:
        _stand_in(turn, incident, call.at_step)
    turn.save_incident(incident)
    return True


def waits(turn: Turn, incident: Incident) -> tuple[Instant, Reason] | None:
    """Until when an incident would wait, and for what, if its step were due now; None when it would not."""
    return _waits(turn, incident, [one.person for one in _whom(turn, incident, _call(turn, incident))])


def _call(turn: Turn, incident: Incident) -> Call:
    return escalate(
        incident.steps,
        incident.step,
        incident.round,
        incident.laps,
        turn.plan.last_resort,
        lambda targets: _reachable(turn, incident, targets),
        turn.now,
        lambda step: not _unmet(turn, incident, step),
    )


def meant(turn: Turn, incident: Incident, step: Step) -> bool:
    """Whether what a step asks for holds for an incident now."""
    when = step.when
    is_open = open_now(turn, when.hours) if when.hours else None
    return when.met(incident.severity, incident.customer_tier, incident.labels, is_open)


def _whom(turn: Turn, incident: Incident, call: Call) -> tuple[Reached, ...]:
    """Whom a step pages: everybody behind its targets, or one of them, each in turn from incident to incident.

    Of several the one is somebody who can be reached.
    """
    found = tuple(one for one in turn.behind(call.targets) if one.person.key not in incident.answers)
    step = incident.steps[call.at_step] if call.at_step < len(incident.steps) else None
    if step is None or not step.one or not found:
        return found
    found = tuple(one for one in found if _is_able(turn, one.person.key)) or found
    return (found[(incident.number - 1 + incident.round + incident.laps) % len(found)],)


def _unmet(turn: Turn, incident: Incident, step: Step) -> str:
    """Why a step is not for this incident now; "" when it is."""
    if not meant(turn, incident, step):
        return f"it is for {step.when.said}"
    return "everybody in it has answered" if _all_answered(turn, incident, step.targets) else ""


def _nobody_left(turn: Turn, incident: Incident) -> bool:
    """Whether everybody has answered whom a step that is meant now, or the last resort, would page."""
    meant = [target for step in incident.steps if not _unmet(turn, incident, step) for target in step.targets]
    return _all_answered(turn, incident, (*meant, *turn.plan.last_resort))


def _all_answered(turn: Turn, incident: Incident, targets: tuple[str, ...]) -> bool:
    people = turn.behind(targets) if incident.answers else ()
    return bool(people) and all(one.person.key in incident.answers for one in people)


def _reaches_nobody(incident: Incident, step: int) -> str:
    """Says of a step why it is passed over."""
    schedules = [
        target.removeprefix("schedule:").partition(":")[0]
        for target in incident.steps[step].targets
        if target.startswith("schedule:")
    ]
    nobody = f": nobody is on call by {' and '.join(dict.fromkeys(schedules))}" if schedules else ""
    return f"Step {step + 1} reaches nobody{nobody}"


def _copy(turn: Turn, incident: Incident, person: Person, call: Call) -> None:
    """A shadow's copy of what a step pages. Nobody has to answer it, and it counts as nobody reached."""
    about = About(incident.number, incident.title, call.reason, call.at_step, "copy")
    _hand_over(turn, _row(turn, person.key, _planned(turn, person.key)[0], about, turn.now))


def _names(people: Sequence[Person]) -> str:
    return ", ".join(person.name for person in people) or "nobody"


def _reachable(turn: Turn, incident: Incident, targets: tuple[str, ...]) -> bool:
    """Whether a step reaches somebody who has not answered. The console counts only where nobody has anything better:
    in a trial.
    """
    people = [one.person for one in turn.behind(targets) if one.person.key not in incident.answers]
    if any(_is_able(turn, person.key) for person in people):
        return True
    return bool(people) and _on_trial(turn)


def _on_trial(turn: Turn) -> bool:
    """Whether nobody has anything better than the console, which then counts as reaching somebody."""
    return not any(_is_able(turn, key) for key in turn.plan.people)


def _waits(turn: Turn, incident: Incident, people: Sequence[Person]) -> tuple[Instant, Reason] | None:
    """Until when an incident of low urgency waits, and for what: its service's hours, or somebody's morning."""
    hours = turn.plan.service(incident.service).hours
    opening = opens_at(turn, hours) if incident.urgency == "low" and hours else None
    if opening is not None:
        return opening, Reason.CLOSED_HOURS
    morning = _morning(turn, incident, people)
    return (morning, Reason.QUIET_HOURS) if morning is not None else None


def _morning(turn: Turn, incident: Incident, people: Sequence[Person]) -> Instant | None:
    """Until when an incident of low urgency waits for the first of these people; None when it does not."""
    if incident.urgency != "low" or not people:
        return None
    ends = [quiet_until(reach_of(turn, person.key), person.timezone, turn.now) for person in people]
    waits = [end for end in ends if end is not None]
    return min(waits) if len(waits) == len(ends) else None


def _wait(turn: Turn, incident: Incident, people: Sequence[Person], until: Instant, reason: Reason) -> None:
    incident.next_at, incident.waits = until, reason
    length = say_duration(until - turn.now)
    turn.enter(incident.number, f"Of low urgency: {_names(people)} paged in {length}", reason)
    turn.save_incident(incident)


def _stand_in(turn: Turn, incident: Incident, step: int) -> None:
    """Page the team's lead and the last resort because a step reached nobody; nobody twice, nor in vain again."""
    team = turn.plan.teams.get(turn.plan.service(incident.service).team)
    lead = (f"person:{team.lead}",) if team and team.lead else ()
    paged = {
        one.person
        for one in _pages(turn, incident.number)
        if one.kind == "page" and one.state != "overtaken" and turn.now - one.intended_at < AFTER_THE_LAST
        and (one.state == "failed" or one.intended_at == turn.now or one.reason is Reason.STANDS_IN)
    }  # fmt: skip
    targets = (*lead, *turn.plan.last_resort)
    wanted = turn.plan.people_of(targets, turn.now, turn.state.covers)
    people = [person for person in wanted if person.key not in paged and person.key not in incident.answers]
    if people:
        turn.enter(incident.number, f"Paging {_names(people)} as well", Reason.STANDS_IN)
    for person in people:
        page(turn, incident, person, Reason.STANDS_IN, step)


# -- rows of the ledger ------------------------------------------------------------------------------------------------


def page(
    turn: Turn, incident: Incident, person: Person, reason: Reason, step: int, kind: PageKind = "page"
) -> list[Page]:
    """Write down a person's pages for an incident by their own rules, and hand over what leaves at once."""
    about = About(incident.number, incident.title, reason, step, kind, incident.urgency if kind == "page" else "high")
    return _write(turn, person, about)


def drill(turn: Turn, person: Person) -> list[Page]:
    """Page a person about nothing, by their own rules for high urgency."""
    return _write(turn, person, About(0, "This is what a page is like", Reason.DRILL, kind="drill"))


def synthetic(turn: Turn, channel: str, address: str) -> Page:
    """Tocsin pages itself. Nobody is reached by it, so it leaves where nobody is paged, too."""
    about = About(0, "A synthetic page: nobody has to act", Reason.SYNTHETIC, kind="synthetic")
    row = _row(turn, "", Planned(None, channel, address, 0), about, turn.now)
    _hand_over(turn, row)
    return row


def _apart(turn: Turn, incident: int, person: str, planned: list[Planned]) -> list[Planned]:
    """Who is told that a channel loses pages is told by another one first, when they have any."""
    alerts = {loop.channel: turn.state.alerts.get(loop.alert) for loop in turn.state.counters.loops.values()}
    lost = {channel for channel, one in alerts.items() if one is not None and one.firing and one.incident == incident}
    return avoiding(lost, planned, able(turn, person)) if lost else planned


def _write(turn: Turn, person: Person, about: About) -> list[Page]:
    quiet = quiet_until(reach_of(turn, person.key), person.timezone, turn.now) if about.urgency == "low" else None
    begins = quiet or turn.now
    coming = {
        one.contact: one
        for one in _pages(turn, about.incident)
        if one.person == person.key and one.kind == about.kind and one.waiting
    }
    written = []
    for planned in _apart(turn, about.incident, person.key, _planned(turn, person.key, about.urgency)):
        at = begins + planned.after
        known = coming.get(planned.contact.id if planned.contact else 0)
        if known is not None and (known.gathers or (known.next_at is not None and known.next_at <= at)):
            continue  # written down before, and due sooner
        if known is not None:
            finish(turn, known, "overtaken", Reason.OVERTAKEN)
        held = None if at <= turn.now else Reason.NEXT_METHOD if planned.after else Reason.QUIET_HOURS
        written.append(_row(turn, person.key, planned, about, at, held))
    for one in written:
        if one.state == "intended":  # what was refused at once may have brought the next one forward, or ended them all
            _hand_over(turn, one)
    return written


def _row(
    turn: Turn, person: str, planned: Planned, about: About, at: Instant, held: Reason | None = None, silence: str = ""
) -> Page:
    turn.state.counters.page += 1
    row = Page(
        id=turn.state.counters.page,
        incident=about.incident,
        person=person,
        channel=planned.channel,
        address=planned.address,
        kind=about.kind,
        title=about.title,
        reason=about.reason,
        step=about.step,
        contact=planned.contact.id if planned.contact else 0,
        held=held,
        not_before=at if held else None,
        intended_at=turn.now,
        next_at=at,
        silence=silence,
        about=about.about,
    )
    turn.state.add_page(row)  # with its timer
    turn.changes.pages[row.id] = row
    if about.kind not in ("notice", "copy", "update"):
        turn.count("pages", about.reason)
    return row


def notice(
    turn: Turn,
    person: Person,
    reason: Reason,
    title: str,
    *,
    silence: str = "",
    contact: Contact | None = None,
    urgency: str = "high",
    lines: tuple[str, ...] = (),
) -> Page:
    """Tell a person something that nobody has to answer, by their first method unless told by which.

    One of low urgency goes by their rules for that, and waits for their morning.
    """
    planned = _planned(turn, person.key, urgency)[0]
    if contact is not None:
        planned = Planned(contact, contact.channel, contact.address, 0)
    quiet = quiet_until(reach_of(turn, person.key), person.timezone, turn.now) if urgency == "low" else None
    about = About(0, title, reason, kind="notice", urgency=urgency)
    held = Reason.QUIET_HOURS if quiet is not None else None
    row = _row(turn, person.key, planned, about, quiet or turn.now, held, silence=silence)
    row.lines = lines
    _hand_over(turn, row)
    return row


ASKED_FOR = frozenset(
    {Reason.CONTACT_CODE, Reason.CONTACT_TEST, Reason.CONTACT_CHANGED, Reason.DRILL, Reason.SYNTHETIC}
)
"""Messages about a person's own methods, and those for no person: they go out even where nobody is paged."""


def _hand_over(turn: Turn, row: Page) -> None:
    if not turn.state.counters.paging and row.reason not in ASKED_FOR:
        _count(turn, row)
        finish(turn, row, "overtaken", Reason.PAGING_OFF)
    elif row.next_at is not None and row.next_at <= turn.now and row.handed_at is None:
        due(turn, row)


def _count(turn: Turn, row: Page) -> None:
    """A page counts for its incident once it is to leave."""
    incident = turn.state.incidents.get(row.incident)
    if incident is not None and row.kind not in ("copy", "update") and row.waiting:
        incident.pages += 1
        turn.save_incident(incident)


def finish(turn: Turn, row: Page, state: PageState, outcome: Reason) -> None:
    """A page comes to its end."""
    row.state = state
    row.outcome = outcome
    row.next_at = None
    row.finished_at = turn.now
    turn.save_page(row)
    turn.count("page_outcomes", outcome)


def withdraw(
    turn: Turn, incident: Incident, *, person: str = "", kinds: tuple[PageKind, ...] = ("page", "copy")
) -> None:
    """Nobody needs to be paged any more (or that person does not): what has not left is overtaken."""
    for row in _pages(turn, incident.number):
        if row.state == "intended" and row.kind in kinds and person in ("", row.person):
            finish(turn, row, "overtaken", Reason.OVERTAKEN)


def tell(turn: Turn, incident: Incident) -> None:
    """Somebody has the incident or it is over: say so where it paged, in the channels that follow an incident.

    Where a shadow got a copy nothing is said. A message about several incidents stays as it is: it is about the others
    too.
    """
    last: dict[tuple[str, str, str], Page] = {}
    for row in _pages(turn, incident.number):
        if row.kind == "update":
            if row.state == "intended" and row.handed_at is None:
                finish(turn, row, "overtaken", Reason.OVERTAKEN)  # this one says more
        elif row.kind not in ASKING or row.channel not in FOLLOWED or row.bundle:
            continue
        elif row.went:
            last[row.person, row.channel, row.address] = row
    for page in last.values():
        planned = Planned(turn.state.contacts.get(page.contact), page.channel, page.address, 0)
        about = About(incident.number, incident.title, incident.reason, kind="update", about=page.id)
        _hand_over(turn, _row(turn, page.person, planned, about, turn.now))


def awaited(turn: Turn, incident: Incident) -> bool:
    """Whether some page of an incident has not come to its end."""
    return any(row.state == "intended" for row in _pages(turn, incident.number))


def hurry(turn: Turn, incident: Incident) -> None:
    """Whoever's pages wait for their morning is paged now, as their rules for high urgency say."""
    rows = [row for row in _pages(turn, incident.number) if row.state == "intended" and row.handed_at is None]
    asleep = {row.person: row for row in rows if row.held is Reason.QUIET_HOURS}
    for key, row in asleep.items():
        withdraw(turn, incident, person=key)
        if key in turn.plan.people:
            page(turn, incident, turn.plan.people[key], row.reason, row.step)


def answered(turn: Turn, row: Page) -> None:
    """A page's own link was used. One that came by a real channel proves that people can be reached."""
    if row.answered_at is None:
        row.answered_at = turn.now
        turn.save_page(row)
        if row.channel != CONSOLE and turn.state.counters.proven_at is None:
            turn.state.counters.proven_at = turn.now


def _pages(turn: Turn, incident: int) -> list[Page]:
    pages = turn.state.pages_of.get(incident)
    return list(pages.values()) if pages else []


# -- leaving -----------------------------------------------------------------------------------------------------------


def due(turn: Turn, row: Page) -> None:
    """A page's time has come: hand it to its channel.

    Unless it was tried for so long that it counts as failed, its method went meanwhile, it is of low urgency and the
    person's quiet hours have begun, or so many pages have just left by the same method that it waits to go with others.
    """
    if not _fit(turn, row):
        return
    quiet = _quiet(turn, row)
    if quiet is not None:
        _hold(turn, row, Reason.QUIET_HOURS, quiet)
        return
    together = [row]
    contact = turn.state.contacts.get(row.contact)
    if row.kind == "page" and contact is not None and row.handed_at is None and row.channel not in APART:
        if row.gathers:
            together = [turn.state.pages[id] for id in sorted(turn.state.gathering[contact.id])]
        elif not row.attempts:
            reach = reach_of(turn, row.person)
            until = bundled_until(contact.paged, reach.bundle_after, reach.bundle_within, turn.now)
            if until is not None:
                _hold(turn, row, Reason.BUNDLED, until)
                return
        contact.paged = [*contact.paged, turn.now][-reach_of(turn, row.person).bundle_after :]
        turn.save_contact(contact)
    _hand(turn, together)


def _hold(turn: Turn, row: Page, reason: Reason, until: Instant) -> None:
    row.held, row.not_before, row.next_at = reason, until, until
    turn.save_page(row)
    turn.count("pages", reason)


def _quiet(turn: Turn, row: Page) -> Instant | None:
    """Until when a page of low urgency waits, though it was begun by day; None when it does not."""
    incident, person = turn.state.incidents.get(row.incident), turn.plan.people.get(row.person)
    if row.kind != "page" or incident is None or person is None or incident.urgency != "low":
        return None
    return quiet_until(reach_of(turn, row.person), person.timezone, turn.now) if row.handed_at is None else None


def _fit(turn: Turn, row: Page) -> bool:
    """Whether a page can still be sent by its method; if not, it has failed and the next method is used."""
    contact = turn.state.contacts.get(row.contact)
    if turn.now - (row.not_before or row.intended_at) > GIVE_UP_AFTER:
        outcome = Reason.FAILED
    elif row.kind == "update":
        return True  # it goes where its page went, whatever became of the method since
    elif row.contact and (contact is None or contact.address != row.address):
        outcome, row.error = Reason.CONTACT_REMOVED, "the contact method was removed or changed"
    elif row.kind != "notice" and contact is not None and row.waiting and not _serves(turn, contact, row.person):
        outcome, row.error = Reason.CONTACT_FAILING, contact.failure
    else:
        return True
    finish(turn, row, "failed", outcome)
    _next_method(turn, row)
    return False


def _serves(turn: Turn, contact: Contact, person: str) -> bool:
    """Whether a person is paged by a method now: one that fails serves only when there is nothing else."""
    if contact.person == person and contact.trusted and contact.state == "verified":
        return contact.channel in turn.plan.reaches
    return contact in able(turn, person)


def _hand(turn: Turn, rows: list[Page]) -> None:
    """Hand pages to their channel as one message; the first stands for all."""
    for row in rows:
        _replace(turn, row)
    rows = [row for row in rows if row.state == "intended"]
    first = rows[0]
    several = len(rows) > 1
    for row in rows:
        _count(turn, row)
        row.bundle = first.id if several else 0
        row.bundled = tuple(one.id for one in rows) if several and row is first else ()
        row.handed_at = turn.now
        row.next_at = turn.now + GIVE_UP_AFTER  # its outcome comes sooner; if not, that is a fault to be seen
        turn.save_page(row)
    turn.changes.deliver[first.id] = first


def delivered(turn: Turn, outcome: Delivered) -> None:
    """Take a channel's answer, for every page that went in the message."""
    page = turn.state.pages.get(outcome.page)
    if page is None:
        turn.count("page_outcomes", Reason.OVERTAKEN)
        return
    rows = _together(turn, page)
    if outcome.state == "failed":
        _refused(turn, page, outcome)
    elif outcome.state == "sent":
        _works(turn, page)
    for row in rows:
        _delivered(turn, row, outcome)


def _delivered(turn: Turn, row: Page, outcome: Delivered) -> None:
    if outcome.state == "unneeded":
        if row.state == "intended" and row.kind == "update":
            finish(turn, row, "overtaken", Reason.OVERTAKEN)
        elif row.state == "intended":  # the acknowledgement it saw was never committed
            row.handed_at, row.next_at, row.outcome = None, turn.now + retry_after(1), Reason.RETRYING
            turn.save_page(row)
        return
    row.attempts += 1
    row.error = outcome.error
    row.provider_id = outcome.provider_id or row.provider_id
    if row.state != "intended":
        row.finished_at = turn.now  # it was on its way when the acknowledgement came
        if row.state == "overtaken" and outcome.state == "sent":
            row.outcome = Reason.LEFT_BEFORE
            turn.count("page_outcomes", Reason.LEFT_BEFORE)
        turn.save_page(row)
        return
    if outcome.state == "sent":
        finish(turn, row, "sent", Reason.POSSIBLE_DUPLICATE if outcome.duplicate else Reason.SENT)
    elif outcome.state == "retry" and (newer := _newer(turn, row)):
        row.overtaken_by = newer.id
        finish(turn, row, "overtaken", Reason.REPLACED)
    elif outcome.state == "retry":
        row.outcome, row.handed_at = Reason.RETRYING, None
        row.next_at = turn.now + max(outcome.retry_after or 0, retry_after(row.attempts))
        turn.save_page(row)
        turn.count("page_outcomes", Reason.RETRYING)
        if row.attempts == 1:
            _next_method(turn, row)  # a channel that fails may stay down: use the person's next one meanwhile
    else:
        finish(turn, row, "failed", Reason.FAILED)
        _next_method(turn, row)


def _replace(turn: Turn, newer: Page) -> None:
    """What never left and waits to be tried again gives way to a newer page: nobody needs both at once."""
    for row in _alike(turn, newer):
        if row.id < newer.id and row.refused:
            row.overtaken_by = newer.id
            finish(turn, row, "overtaken", Reason.REPLACED)


def _newer(turn: Turn, row: Page) -> Page | None:
    """A newer page about the same to the same place that has left, or is tried."""
    others = (one for one in _alike(turn, row) if one.id > row.id)
    return next((one for one in others if one.left or (one.state == "intended" and not one.waiting)), None)


def _alike(turn: Turn, row: Page) -> list[Page]:
    """The pages of the same incident and kind to the same place, oldest first. What is about none has none like it."""
    place = (row.kind, row.person, row.channel, row.address)
    pages = _pages(turn, row.incident) if row.incident else []
    return [one for one in pages if (one.kind, one.person, one.channel, one.address) == place]


def reached(turn: Turn, told: Receipted) -> None:
    """Take a provider's word on how far a message got. One that fails after all is treated like one never taken."""
    page = turn.state.pages.get(told.page)
    for row in _together(turn, page) if page is not None else ():
        if not receive(row, told.receipt, turn.now):
            continue
        if told.receipt == "failed":
            row.error = told.error
            finish(turn, row, "failed", Reason.FAILED)
            _next_method(turn, row)
        else:
            turn.save_page(row)
            turn.count("page_receipts", told.receipt)


def _together(turn: Turn, page: Page) -> list[Page]:
    """Every page that went in the message of this one."""
    return [turn.state.pages[id] for id in page.bundled if id in turn.state.pages] or [page]


def unsure(turn: Turn) -> None:
    """Tocsin starts again: what was handed over and has no outcome may have left.

    It is judged again, and sent again; what went in one message goes in one message.
    """
    messages: dict[tuple[int, int], list[Page]] = {}
    for id in sorted(turn.state.pages):
        row = turn.state.pages[id]
        if row.state == "intended" and row.handed_at is not None:
            row.unsure = True
            messages.setdefault((row.bundle, 0 if row.bundle else row.id), []).append(row)
    for rows in messages.values():
        fit = [row for row in rows if _fit(turn, row)]
        if fit:
            _hand(turn, fit)


# -- what does not get through -----------------------------------------------------------------------------------------


def _refused(turn: Turn, row: Page, outcome: Delivered) -> None:
    """A channel refused an address for good: mark the method, and tell its owner by another."""
    contact = turn.state.contacts.get(row.contact)
    if contact is None or contact.address != row.address or outcome.code not in REFUSALS:
        return
    known = contact.state == "failing"
    contact.failed_at, contact.failure = turn.now, outcome.error[:500]
    if contact.trusted:
        contact.state = "failing"
    turn.save_contact(contact)
    turn.count("contacts", Reason.CONTACT_FAILING)
    if outcome.code == "gone" and contact.channel == "push":
        drop(turn, contact)  # a browser that subscribes again has another address
    person = turn.plan.people.get(contact.person)
    if known or person is None or not contact.trusted:
        return
    if row.incident in turn.state.incidents:
        what = f"{contact.channel} does not reach {person.name} any more, and is marked as failing"
        turn.enter(row.incident, what, Reason.CONTACT_FAILING, page=str(row.id))
    others = [one for one in able(turn, person.key) if one is not contact and one.state == "verified"]
    if others:
        title = f"Your contact method {contact.label or contact.channel} fails: {contact.failure}"[:300]
        notice(turn, person, Reason.CONTACT_FAILING, title, contact=others[0])


def drop(turn: Turn, contact: Contact) -> None:
    """A method goes, and the rules that name it forget it."""
    contact.removed = True
    contact.forget_code()
    turn.state.forget_contact(contact)
    turn.save_contact(contact)
    reach = turn.state.reaches.get(contact.person)
    if reach is not None and any(way.contact == contact.id for way in (*reach.high, *reach.low)):
        reach.high = tuple(way for way in reach.high if way.contact != contact.id)
        reach.low = tuple(way for way in reach.low if way.contact != contact.id)
        turn.changes.reaches[reach.person] = reach


def _works(turn: Turn, row: Page) -> None:
    """A message went through: a method that was marked as failing works again."""
    contact = turn.state.contacts.get(row.contact)
    if contact is not None and contact.state == "failing" and contact.address == row.address:
        contact.state, contact.failure, contact.failed_at = "verified", "", None
        turn.save_contact(contact)
        turn.count("contacts", Reason.CONTACT_WORKS)


def _named(incident: Incident, step: int) -> str:
    return f"Step {step + 1}" if step < len(incident.steps) else "The last resort"


def _next_method(turn: Turn, row: Page) -> None:
    """A page did not get through: use the person's next method, else, when the step reached nobody, go on at once."""
    incident = turn.state.incidents.get(row.incident)
    if row.kind in ("notice", "copy", "update", "synthetic") or (row.incident and incident is None):
        return
    if row.kind == "page" and (incident is None or incident.state != "triggered" or incident.paused is not None):
        return
    if row.kind == "page" and incident is not None and row.person in incident.answers:
        return
    rows = [one for one in _pages(turn, row.incident) if one.kind == row.kind and one.intended_at >= row.intended_at]
    theirs = [one for one in rows if one.person == row.person]
    person = turn.plan.people.get(row.person)
    following = min((one for one in theirs if one.waiting and not one.gathers), key=_when, default=None)
    if person is not None and following is None:
        used = {one.contact for one in theirs}
        fresh = next((one for one in able(turn, row.person) if one.id not in used), None)
        if fresh is not None:
            about = About(row.incident, row.title, row.reason, row.step, row.kind)
            planned = Planned(fresh, fresh.channel, fresh.address, 0)
            following = _row(turn, row.person, planned, about, turn.now)
            following.instead_of = row.id
    if person is not None and following is not None:
        if incident is not None:
            turn.enter(
                incident.number,
                f"{row.channel} did not reach {person.name}; trying the next method",
                Reason.FAILED if row.state == "failed" else Reason.RETRYING,
                page=str(row.id),
            )
        following.next_at = turn.now
        due(turn, following)
        return
    if row.reason not in OF_A_STEP or incident is None or incident.next_at is None or row.step >= len(incident.steps):
        return
    if _reached_nobody(turn, incident, row):
        what = f"{_named(incident, row.step)} reached nobody"
        turn.enter(incident.number, what, Reason.NOBODY_REACHABLE, page=str(row.id))
        incident.step, incident.round = (row.step + 1, 0)
        # A channel that is down may come back: then the next step is enough meanwhile.
        if escalate_now(turn, incident) and row.state == "failed":
            _stand_in(turn, incident, row.step)


def _reached_nobody(turn: Turn, incident: Incident, row: Page) -> bool:
    """Whether the step a page belongs to is the last one paged, and every page of it was refused at least once, but
    those of people who have answered: others are asked for beside them.

    That a channel may take it later is no reason to wait: nobody knows of the incident until then. What is on the
    console beside it reaches nobody, except in a trial.
    """
    if row.step != incident.step - (0 if incident.round else 1):
        return False  # another step was paged since, though perhaps without a row of its own
    pages = [one for one in _pages(turn, row.incident) if one.kind == "page" and one.reason in OF_A_STEP]
    if any(one.id > row.id and one.step != row.step for one in pages):
        return False
    of_step = [one for one in pages if one.step == row.step]
    rounds = [one.intended_at for one in of_step if not one.instead_of and one.id <= row.id]
    began = max(rounds, default=row.intended_at)
    asked = [one for one in of_step if one.person not in incident.answers]
    reaching = [one for one in asked if one.may_reach and (one.intended_at >= began or one.waiting)]
    return not reaching or (all(one.channel == CONSOLE for one in reaching) and not _on_trial(turn))


def _when(row: Page) -> tuple[Instant, int]:
    return row.next_at or 0, row.id
