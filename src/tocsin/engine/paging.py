"""Pages: a due step pages people by their methods, a page leaves, and what does not get through goes another way."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.catalog.people import Person
from tocsin.engine import anew, announcing, calling, helping, holding, ledger, methods, relieving, unreached
from tocsin.engine.intending import BY_NAME, About, about_incident, coming, row_of, wanted, when
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import AFTER_THE_LAST
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import SECOND, Instant, say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.contacts import Contact, directness
from tocsin.pages.ledger import GIVE_UP_AFTER, PAUSED, Page, PageKind
from tocsin.pages.profiles import profile
from tocsin.pages.rules import Planned, bundled_until


def escalate_now(turn: Turn, incident: Incident) -> bool:
    """A step is due: write down each person's pages, and when the next step is due.

    One of low urgency waits while everybody it would page has quiet hours. When a step reached nobody, its team's lead
    and the last resort are paged beside the next one. False when everybody it could page has answered: then
    nothing is done, and ``settling``, which is asked before the turn ends, acknowledges it.
    """
    call = calling.call(turn, incident)
    begins = not incident.step and not incident.round
    incident.owed = tuple(one for one in incident.owed if one.step < call.at_step and not begins)
    reached = calling.whom(turn, incident, call)
    people = [one.person for one in reached]
    if not people and calling.nobody_left(turn, incident):
        turn.touch(incident.number)
        return False
    until = calling.waits_for(turn, incident, people)
    if until is not None:
        _wait(turn, incident, people, *until)
        return True
    if begins:
        unreached.begins(turn, incident)
    for step in call.passed:
        what = f"Step {step + 1} is passed over: {calling.unmet(turn, incident, incident.steps[step])}"
        unreached.say(turn, incident, what, Reason.STEP_NOT_MEANT)
    for step in call.skipped:
        unreached.say(turn, incident, calling.reaches_nobody(turn, incident, step), Reason.NOBODY_REACHABLE)
    there = calling.behind(turn, incident, call.targets)
    shadows = turn.plan.shadows_of(call.targets, turn.now, turn.state.covers, there)
    reason, what = announcing.step(turn, incident, call, reached, shadows)
    turns = call.at_step < len(incident.steps) and incident.steps[call.at_step].one
    unreached.say(turn, incident, what, reason, turns=turns, step=str(call.at_step + 1))
    incident.step, incident.round, incident.laps = call.step, call.round, call.lap
    incident.next_at, incident.waits = call.next_at, None
    if turn.state.counters.paging:
        holding.people_called(turn, incident)
    calling.takes_turn(turn, incident, call, reached)
    given = incident.steps[call.at_step].given if call.reason is Reason.REASSIGNED else ""
    for person in people:
        page(turn, incident, person, call.reason, call.at_step, because=given)
    for shadow in shadows:
        copy(turn, incident, shadow, call.reason, call.at_step)
    if call.skipped:
        _stand_in(turn, incident, call.at_step)
    turn.save_incident(incident)
    unreached.step_paged(turn, incident)
    return True


def copy(turn: Turn, incident: Incident, person: Person, reason: Reason, step: int) -> None:
    """A shadow's copy of what a step pages. Nobody has to answer it, and it counts as nobody reached. Of low urgency it
    goes by the shadow's own rules for that, and waits for their morning.
    """
    theirs = (row for row in ledger.rows(turn, incident.number) if row.kind == "copy" and row.person == person.key)
    if any(row.planned for row in theirs):
        return  # one waits already, and will say what is so then
    quiet = methods.morning(turn, person) if incident.urgency == "low" else None
    planned = methods.planned(turn, person.key, incident.urgency)[0]
    about = About(incident.number, incident.title, reason, step, "copy", incident.urgency)
    held = Reason.QUIET_HOURS if quiet is not None else None
    hand_over(turn, row_of(turn, person.key, planned, about, quiet or turn.now, held))


def _wait(turn: Turn, incident: Incident, people: Sequence[Person], until: Instant, reason: Reason) -> None:
    incident.next_at, incident.waits = until, reason
    length = say_duration(until - turn.now)
    turn.enter(incident.number, f"Of low urgency: {announcing.listed(people)} paged in {length}", reason)
    turn.save_incident(incident)


def _stand_in(turn: Turn, incident: Incident, step: int) -> None:
    """Page the team's lead and the last resort because a step reached nobody; nobody twice, nor in vain again."""
    paged = {
        one.person
        for one in ledger.rows(turn, incident.number)
        if one.kind == "page" and one.state != "overtaken" and turn.now - one.intended_at < AFTER_THE_LAST
        and (one.state == "failed" or one.intended_at == turn.now or one.reason is Reason.STANDS_IN)
    }  # fmt: skip
    wanted = turn.plan.people_of(turn.plan.stand_ins(incident.service), turn.now, turn.state.covers)
    people = [person for person in wanted if person.key not in paged and person.key not in incident.answers]
    if people:
        unreached.say(turn, incident, f"Paging {announcing.listed(people)} as well", Reason.STANDS_IN)
    for person in people:
        page(turn, incident, person, Reason.STANDS_IN, step)


# -- rows of the ledger ------------------------------------------------------------------------------------------------


def page(
    turn: Turn,
    incident: Incident,
    person: Person,
    reason: Reason,
    step: int,
    kind: PageKind = "page",
    because: str = "",
    asked_by: str = "",
) -> list[Page]:
    """Write down a person's pages for an incident by their own rules, and hand over what leaves at once.

    ``because``: why in words of this page's own, "" where the reason says it all. ``asked_by``: who asks for help.
    """
    return _write(turn, person, about_incident(incident, reason, step, kind, because, asked_by))


def drill(turn: Turn, person: Person) -> list[Page]:
    """Page a person about nothing, by their own rules for high urgency."""
    return _write(turn, person, About(0, "This is what a page is like", Reason.DRILL, kind="drill"))


def synthetic(turn: Turn, channel: str, address: str) -> Page:
    """Tocsin pages itself. Nobody is reached by it, so it leaves where nobody is paged, too."""
    about = About(0, "A synthetic page: nobody has to act", Reason.SYNTHETIC, kind="synthetic")
    row = row_of(turn, "", Planned(None, channel, address, 0), about, turn.now)
    hand_over(turn, row)
    return row


def _write(turn: Turn, person: Person, about: About) -> list[Page]:
    written = []
    for planned, at, known in wanted(turn, person, about):
        if known is not None:
            ledger.finish(turn, known, "overtaken", Reason.OVERTAKEN)
        held = None if at <= turn.now else Reason.NEXT_METHOD if planned.after else Reason.QUIET_HOURS
        written.append(row_of(turn, person.key, planned, about, at, held))
    for one in coming(turn, person.key, about).values() if about.reason in calling.OF_A_STEP else ():
        if one.step != about.step and one.reason in calling.OF_A_STEP:
            # The step leans on it: its refusal is that step's.
            one.step = about.step
            turn.save_page(one)
    for one in written:
        if one.state == "intended":  # what was refused at once may have brought the next one forward, or ended them all
            hand_over(turn, one)
    return written


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
    together: Instant | None = None,
    unless: Instant | None = None,
    incident: int = 0,
) -> Page:
    """Tell a person something that nobody has to answer, by their first method unless told by which.

    One of low urgency goes by their rules for that, and waits for their morning. ``together``: until then it waits for
    others like it; ``unless``: until then for somebody who comes to help. ``incident``: whoever has that must hear
    this; what one method does not take goes by their next.
    """
    planned = methods.planned(turn, person.key, urgency)[0]
    if contact is not None:
        planned = Planned(contact, contact.channel, contact.address, 0)
    quiet = methods.morning(turn, person) if urgency == "low" else None
    about = About(incident, title, reason, kind="notice", urgency=urgency)
    held = Reason.TOLD_TOGETHER if together is not None else Reason.HELP_AWAITED if unless is not None else None
    held = Reason.QUIET_HOURS if quiet is not None else held
    row = row_of(turn, person.key, planned, about, quiet or together or unless or turn.now, held, silence=silence)
    row.lines, row.gentle = lines, urgency == "low"
    hand_over(turn, row)
    return row


ASKED_FOR = frozenset(
    {Reason.CONTACT_CODE, Reason.CONTACT_TEST, Reason.CONTACT_CHANGED, Reason.DRILL, Reason.SYNTHETIC}
)
"""Messages about a person's own methods, and those for no person: they go out even where nobody is paged."""


def stop(turn: Turn) -> None:
    """Nobody is paged from now on: what has not left never does, and what may have left is not sent again."""
    for row in list(turn.state.pages.values()):
        if row.state == "intended" and row.reason not in ASKED_FOR:
            ledger.finish(turn, row, "overtaken", Reason.PAGING_OFF)


def _off(turn: Turn, row: Page) -> bool:
    """Whether nobody is paged by this page because nobody is paged at all: then that is its end."""
    if turn.state.counters.paging or row.reason in ASKED_FOR:
        return False
    _count(turn, row)
    ledger.finish(turn, row, "overtaken", Reason.PAGING_OFF)
    return True


def hand_over(turn: Turn, row: Page) -> None:
    """A page that was written down leaves, where its time has come."""
    if not _off(turn, row) and row.next_at is not None and row.next_at <= turn.now and row.handed_at is None:
        due(turn, row)


def _count(turn: Turn, row: Page) -> None:
    """A page counts for its incident once it is to leave."""
    incident = turn.state.incidents.get(row.incident)
    if incident is not None and row.kind not in ("copy", "update", "notice") and row.waiting and not row.tried_at:
        incident.pages += 1
        turn.save_incident(incident)


def withdraw(
    turn: Turn, incident: Incident, *, person: str = "", kinds: tuple[PageKind, ...] = ("page", "copy", "notice")
) -> None:
    """Nobody needs to be paged any more (or that person does not): what has not left is overtaken.

    Where paging only rests for a while, nothing is withdrawn: see ``paused``. Nor is what ``helping.outlasts`` that.
    """
    if not person and "page" in kinds:
        incident.owed = ()
    for row in ledger.rows(turn, incident.number):
        kind = "help" if row.reason is Reason.HELP_UNANSWERED else row.kind  # who waits for that still does
        meant = kind in kinds and person in ("", row.person)
        if row.state == "intended" and meant and not helping.outlasts(row, incident):
            ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)


def graver(turn: Turn, incident: Incident) -> None:
    """It became graver: its pages that wait to go with others leave now, unless as many so grave have just left."""
    for row in ledger.rows(turn, incident.number):
        contact = turn.state.contacts.get(row.contact)
        if row.gathers and row.held is not Reason.CALLED_AGAIN and contact and _bundled(turn, row, contact) is None:
            row.held = row.not_before = None
            row.next_at = turn.now
            due(turn, row)


def make_way(turn: Turn, contact: Contact) -> None:
    """What was to leave by a method did not: pages that wait for it to go with others leave now, as one message.

    If none can leave by it at all, each is followed at once by the person's next method, or by the next step.
    """
    gathering = [turn.state.pages[id] for id in sorted(turn.state.gathering.get(contact.id, ()))]
    ready = [row for row in gathering if row.held is Reason.BUNDLED and row.waiting and paused(turn, row) is None]
    waits = [row for row in ready if _quiet(turn, row) is None]
    if all(_bundled(turn, row, contact) is not None for row in waits):
        return
    for row in waits:
        row.held = row.not_before = None
    fit = [row for row in waits if _fit(turn, row)]
    taken = calling.line_taken(turn, fit[0]) if fit else None
    if taken is not None:
        for row in fit:
            hold(turn, row, Reason.ON_THE_PHONE, taken)
    elif fit:
        methods.leaves(turn, contact, min(calling.severity(turn, row) for row in fit))
        _hand(turn, fit)


# -- leaving -----------------------------------------------------------------------------------------------------------


def due(turn: Turn, row: Page) -> None:
    """A page's time has come: hand it to its channel.

    Unless it was tried for so long that it counts as failed, its method went meanwhile, its incident is paused, it is
    of low urgency and the person's quiet hours have begun, its number is being called already, or so many as grave have
    just left by the same method that it waits to go with others.
    """
    if not _fit(turn, row):
        return
    pause = paused(turn, row)
    if pause is not None:
        hold(turn, row, *pause)
        return
    if relieved(turn, row):
        return
    quiet = _quiet(turn, row)
    if quiet is not None:
        row.handed_at = None  # what its channel said nothing of may have left: it is not sent again at night
        hold(turn, row, Reason.QUIET_HOURS, quiet)
        return
    while row.on_hold and (graver := calling.goes_before(turn, row)):
        due(turn, graver)
        if row.state != "intended" or row.handed_at is not None:
            return  # it went with what was graver
    taken = calling.line_taken(turn, row)
    if taken is not None:
        _wait_for_line(turn, row, taken)
        return
    together = [row]
    contact = turn.state.contacts.get(row.contact)
    if row.kind == "page" and contact is not None and row.handed_at is None and not profile(row.channel).apart:
        if row.gathers:
            gathering = [turn.state.pages[id] for id in sorted(turn.state.gathering[contact.id])]
            ready = [one for one in gathering if methods.follows(turn, one) and paused(turn, one) is None]
            together = [one for one in ready if one is row or not relieved(turn, one)]
        elif row.attempts and row.bundle:  # what went as one message is tried again as one
            those = ledger.together(turn, turn.state.pages.get(row.bundle, row))
            again = [one for one in those if one.refused and one.handed_at is None]
            rest = [one for one in again if one is not row and paused(turn, one) is None]
            together = [row, *(one for one in rest if not relieved(turn, one))]
        elif not row.attempts:
            until = _bundled(turn, row, contact)
            if until is not None:
                hold(turn, row, Reason.BUNDLED, until)
                return
        methods.leaves(turn, contact, min(calling.severity(turn, one) for one in together))
    _hand(turn, together)


def paused(turn: Turn, row: Page) -> tuple[Reason, Instant] | None:
    """Why a page does not leave now though its time may have come, and until when: its incident is quiet for a while.

    Nothing of it is dropped for that: it leaves when paging goes on.
    """
    incident = turn.state.incidents.get(row.incident)
    if row.kind not in PAUSED or incident is None or incident.state != "triggered" or incident.paused is None:
        return None
    return incident.paused, max(incident.paused_until or turn.now, turn.now + SECOND)


def relieved(turn: Turn, row: Page) -> bool:
    """Whether ``relieving`` ends a page for those whose shift it is by now, who are paged then."""
    people = relieving.instead(turn, row)
    if people is None:
        return False
    for person in people:
        page(turn, turn.state.incidents[row.incident], person, Reason.STEP_DUE, row.step)
    return True


def _bundled(turn: Turn, row: Page, contact: Contact) -> Instant | None:
    """Until when a page waits to go with others, because so many as grave have just left by its method."""
    reach = methods.reach_of(turn, row.person)
    if not methods.is_busy(contact, reach, turn.now):
        return None
    left = methods.left(contact)
    return bundled_until(left, calling.severity(turn, row), reach.bundle_after, reach.bundle_within, turn.now)


def _wait_for_line(turn: Turn, row: Page, until: Instant) -> None:
    """Its number is being called. If that is small talk, or not known to ring, a page does not wait for it alone."""
    first = row.kind == "page" and not row.attempts and row.held is not Reason.ON_THE_PHONE
    hold(turn, row, Reason.ON_THE_PHONE, until)
    if first and not calling.paged_by(turn, row):
        next_method(turn, row)


def hold(turn: Turn, row: Page, reason: Reason, until: Instant) -> None:
    """A page is not to leave before an instant."""
    row.held, row.not_before, row.next_at = reason, until, until
    turn.save_page(row)
    turn.count("pages", reason)


def _quiet(turn: Turn, row: Page) -> Instant | None:
    """Until when what is of low urgency waits, though it was begun by day; None when it does not."""
    incident, person = turn.state.incidents.get(row.incident), turn.plan.people.get(row.person)
    low = incident is not None and incident.urgency == "low" if row.kind in PAUSED else row.gentle
    return methods.morning(turn, person) if low and person is not None and row.reason not in BY_NAME else None


def _fit(turn: Turn, row: Page) -> bool:
    """Whether a page can still be sent by its method; if not, it has failed and the next method is used."""
    if _off(turn, row):
        return False
    contact = turn.state.contacts.get(row.contact)
    if turn.now - max(row.tried_at or row.intended_at, row.not_before or 0) > GIVE_UP_AFTER:
        outcome = Reason.FAILED
    elif row.kind == "update":
        return True  # it goes where its page went, whatever became of the method since
    elif row.contact and not methods.follows(turn, row):
        outcome, row.error = Reason.CONTACT_REMOVED, "the contact method was removed or changed"
    elif row.kind != "notice" and contact is not None and row.waiting and not methods.serves(turn, contact, row.person):
        outcome, row.error = Reason.CONTACT_FAILING, contact.failure
    else:
        return True
    ledger.finish(turn, row, "failed", outcome)
    next_method(turn, row)
    return False


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
        row.handed_at, row.last_tried_at, row.lost_at = turn.now, turn.now, None
        row.tried_at = row.tried_at or turn.now
        row.next_at = turn.now + GIVE_UP_AFTER  # its outcome comes sooner; if not, that is a fault to be seen
        turn.save_page(row)
    turn.changes.deliver[first.id] = first


def _replace(turn: Turn, newer: Page) -> None:
    """What never left and waits to be tried again gives way to a newer page: nobody needs both at once."""
    for row in ledger.alike(turn, newer):
        if row.id < newer.id and row.refused:
            row.overtaken_by = newer.id
            ledger.finish(turn, row, "overtaken", Reason.REPLACED)


def unsure(turn: Turn, pages: Sequence[int] | None = None) -> None:
    """Tocsin starts again: what was handed over and has no outcome may have left. ``pages``: only these may have.

    It is judged again, and sent again; what went in one message goes in one message.
    """
    messages: dict[tuple[int, int], list[Page]] = {}
    for id in sorted(turn.state.pages if pages is None else pages):
        row = turn.state.pages.get(id)
        if row is not None and row.state == "intended" and row.handed_at is not None:
            if row.delivered_at is not None:
                ledger.finish(turn, row, "sent", Reason.SENT)
                continue
            row.unsure = True
            messages.setdefault((row.bundle, 0 if row.bundle else row.id), []).append(row)
    for rows in messages.values():
        fit = [row for row in rows if _fit(turn, row)]
        lead = next((row for row in fit if row.id == row.bundle), fit[0] if fit else None)  # by it a line is taken
        taken = calling.line_taken(turn, lead) if lead is not None else None
        for row in fit:
            if (pause := paused(turn, row)) is not None:
                row.handed_at = None
                hold(turn, row, *pause)
        fit = [row for row in fit if row.handed_at is not None]
        if taken is not None:
            for row in fit:
                row.handed_at = None
                hold(turn, row, Reason.ON_THE_PHONE, taken)
        elif fit:
            _hand(turn, fit)


# -- what does not get through -----------------------------------------------------------------------------------------


def next_method(turn: Turn, row: Page) -> None:
    """A page did not get through: use the person's next method, else, when the step reached nobody, go on at once."""
    incident = turn.state.incidents.get(row.incident)
    if row.reason is Reason.CONTACT_FAILING:
        _tell_by_next(turn, row)
    if row.kind in ("copy", "update", "synthetic") or (incident is None and (row.incident or row.kind == "notice")):
        return
    if row.kind == "notice" and incident is not None and not helping.tells_still(row, incident):
        return
    if row.kind == "page" and (incident is None or incident.state != "triggered"):
        return
    if row.kind == "page" and incident is not None and row.person in incident.answers:
        return
    theirs = ledger.of_round(turn, row)
    person = turn.plan.people.get(row.person)
    later = (one for one in theirs if one.waiting and not one.gathers and one.held is not Reason.CALLED_AGAIN)
    following = min(later, key=when, default=None)
    if person is not None and following is None:
        used = {one.contact for one in theirs}
        fresh = next((one for one in methods.able(turn, row.person) if one.id not in used), None)
        if fresh is not None:
            about = About(
                row.incident, row.title, row.reason, row.step, row.kind, because=row.because, asked_by=row.asked_by
            )
            planned = Planned(fresh, fresh.channel, fresh.address, 0)
            following = row_of(turn, row.person, planned, about, turn.now)
            following.instead_of = row.id
    if person is not None and following is not None:
        if incident is not None:
            why = Reason.RETRYING if row.state != "failed" else row.outcome if row.rang else Reason.FAILED
            what = f"{row.channel} did not reach {person.name}; trying the next method"
            if row.on_hold:
                why, what = row.held, f"{person.name}'s telephone is taken; trying the next method"
            unreached.say(turn, incident, what, why or Reason.FAILED, page=str(row.id))
        following.next_at = turn.now
        due(turn, following)
        return
    if row.kind == "notice" and incident is not None and not any(one.may_reach for one in theirs):
        if row.reason not in helping.TOLD:
            anew.untold(turn, incident, "Whoever has it could not be told")
        return
    if incident is not None and (unheard := helping.unheard(turn, incident, row, theirs)) is not None:
        what, waiting = unheard
        turn.enter(incident.number, what, Reason.HELP_UNHEARD, page=str(row.id))
        for one in waiting:
            title = f"{what}: incident #{incident.number}, {incident.title}"
            notice(turn, one, Reason.HELP_UNHEARD, title, incident=incident.number)
    if incident is None or (incident.next_at is None and incident.resume_at is None) or row.waiting:
        return
    asked = calling.of_a_step(turn, row)
    if asked is not None and not row.rang and calling.reached_nobody(turn, incident, asked):
        _falls_through(turn, incident, row, asked.step)
    unreached.look(turn, incident)


def _tell_by_next(turn: Turn, row: Page) -> None:
    """A word that one of a person's methods fails was not taken by another one: it goes by their next that works."""
    person, place = turn.plan.people.get(row.person), (profile(row.channel).directness, row.contact)
    rest = (one for one in methods.able(turn, row.person) if one.state == "verified" and directness(one) > place)
    following = next(rest, None)
    if person is not None and following is not None and row.attempts <= 1:  # else that was done at the first refusal
        notice(turn, person, row.reason, row.title, contact=following)


def _falls_through(turn: Turn, incident: Incident, row: Page, step: int) -> None:
    """A step reached nobody, as was seen by the refusal of a page: the next one is paged at once."""
    last = step >= len(incident.steps)
    if not last or row.state != "failed" or row.attempts <= 1:  # of the last resort it was said at the first refusal
        what = f"{announcing.numbered(incident, step)} reached nobody"
        unreached.say(turn, incident, what, Reason.NOBODY_REACHABLE, page=str(row.id))
    if not last:
        unreached.owe(turn, incident, step)
        incident.step, incident.round = (step + 1, 0)
        if incident.paused is not None:
            incident.resume_at = turn.now
            turn.save_incident(incident)
        # A channel that is down may come back: then the next step is enough meanwhile.
        if (incident.paused is not None or escalate_now(turn, incident)) and row.state == "failed":
            _stand_in(turn, incident, step)
