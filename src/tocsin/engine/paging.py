"""Pages: whom a due step pages, by which method, and what a channel's answer means."""

from __future__ import annotations

from tocsin.catalog.people import Person
from tocsin.engine.inputs import Delivered
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import escalate
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import GIVE_UP_AFTER, Page, PageState, retry_after
from tocsin.silences.silence import Silence


def contacts(turn: Turn, person: Person) -> tuple[tuple[str, str], ...]:
    """A person's contact methods under the plan in force."""
    return person.contacts(turn.plan.mail is not None)


def escalate_now(turn: Turn, incident: Incident) -> None:
    """A step is due: write a page for each person it reaches, and when the next step is due."""
    plan = turn.plan
    call = escalate(
        incident.steps,
        incident.step,
        incident.round,
        incident.laps,
        plan.last_resort,
        lambda targets: bool(plan.people_of(targets)),
        turn.now,
    )
    for step in call.skipped:
        turn.enter(incident.number, f"Step {step + 1} reaches nobody", Reason.NOBODY_REACHABLE)
    people = plan.people_of(call.targets)
    names = ", ".join(person.name for person in people) or "nobody"
    paging = "Paging" if turn.state.counters.paging else "Paging is off; it would have paged"
    turn.enter(
        incident.number,
        f"{paging} {names}; next in {say_duration(call.next_at - turn.now)} if nobody answers",
        call.reason,
        step=str(call.at_step + 1),
    )
    for person in people:
        _page(turn, incident, person, call.reason, call.at_step, 0)
    incident.step, incident.round, incident.laps = call.step, call.round, call.lap
    incident.next_at = call.next_at
    turn.save_incident(incident)


def _page(turn: Turn, incident: Incident, person: Person, reason: Reason, step: int, method: int) -> None:
    channel, address = contacts(turn, person)[method]
    turn.state.counters.page += 1
    page = Page(
        id=turn.state.counters.page,
        incident=incident.number,
        person=person.key,
        channel=channel,
        address=address,
        title=incident.title,
        reason=reason,
        step=step,
        method=method,
        intended_at=turn.now,
        next_at=turn.now,
    )
    incident.pages += 1
    _replace(turn, page)
    _hand_over(turn, page)
    turn.count("pages", reason)


def _replace(turn: Turn, newer: Page) -> None:
    """What never left and waits to be tried again gives way to a newer page: nobody needs both at once."""
    for page in _pages_of(turn, newer.incident):
        if page.refused and _same_place(page, newer):
            page.overtaken_by = newer.id
            finish(turn, page, "overtaken", Reason.REPLACED)


def _same_place(one: Page, other: Page) -> bool:
    return (one.person, one.channel, one.address) == (other.person, other.channel, other.address)


def _pages_of(turn: Turn, incident: int) -> list[Page]:
    """An incident's pages, oldest first."""
    return [turn.state.pages[id] for id in sorted(turn.state.pages_of.get(incident, ()))]


def notice(turn: Turn, person: Person, silence: Silence, reason: Reason, title: str) -> None:
    """Tell a person something that nobody has to answer."""
    channel, address = contacts(turn, person)[0]
    turn.state.counters.page += 1
    page = Page(
        id=turn.state.counters.page,
        incident=0,
        person=person.key,
        channel=channel,
        address=address,
        kind="notice",
        title=title,
        reason=reason,
        intended_at=turn.now,
        next_at=turn.now,
        silence=silence.id,
    )
    _hand_over(turn, page)


def _hand_over(turn: Turn, page: Page) -> None:
    turn.state.add_page(page)
    if turn.state.counters.paging:
        due(turn, page)
    else:
        finish(turn, page, "overtaken", Reason.PAGING_OFF)


def finish(turn: Turn, page: Page, state: PageState, outcome: Reason) -> None:
    """A page comes to its end."""
    page.state = state
    page.outcome = outcome
    page.next_at = None
    page.finished_at = turn.now
    turn.save_page(page)
    turn.count("page_outcomes", outcome)


def withdraw(turn: Turn, incident: Incident) -> None:
    """Nobody needs to be paged any more: what has not left is overtaken."""
    for page in _pages_of(turn, incident.number):
        if page.state == "intended":
            finish(turn, page, "overtaken", Reason.OVERTAKEN)


def due(turn: Turn, page: Page) -> None:
    """A page's time has come: hand it to its channel, unless it was tried for so long that it counts as failed."""
    if turn.now - page.intended_at > GIVE_UP_AFTER:
        finish(turn, page, "failed", Reason.FAILED)
        _next_method(turn, page)
        return
    page.handed_at = turn.now
    page.next_at = turn.now + GIVE_UP_AFTER  # its outcome comes sooner; if not, that is a fault to be seen
    turn.changes.deliver[page.id] = page
    turn.save_page(page)


def delivered(turn: Turn, outcome: Delivered) -> None:
    """Take a channel's answer."""
    page = turn.state.pages.get(outcome.page)
    if page is None:
        turn.count("page_outcomes", Reason.OVERTAKEN)
        return
    if outcome.state == "unneeded":
        if page.state == "intended":  # the acknowledgement it saw was never committed
            page.handed_at, page.next_at = None, turn.now + retry_after(1)
            turn.save_page(page)
        return
    page.attempts += 1
    page.error = outcome.error
    page.provider_id = outcome.provider_id or page.provider_id
    if page.state != "intended":
        page.finished_at = turn.now  # it was on its way when the acknowledgement came
        if page.state == "overtaken" and outcome.state == "sent":
            page.outcome = Reason.LEFT_BEFORE
            turn.count("page_outcomes", Reason.LEFT_BEFORE)
        turn.save_page(page)
        return
    if outcome.state == "sent":
        finish(turn, page, "sent", Reason.POSSIBLE_DUPLICATE if outcome.duplicate else Reason.SENT)
    elif outcome.state == "retry" and (newer := _newer(turn, page)):
        page.overtaken_by = newer.id
        finish(turn, page, "overtaken", Reason.REPLACED)
    elif outcome.state == "retry":
        page.outcome, page.handed_at = Reason.RETRYING, None
        page.next_at = turn.now + max(outcome.retry_after or 0, retry_after(page.attempts))
        turn.save_page(page)
        turn.count("page_outcomes", Reason.RETRYING)
        if page.attempts == 1:
            _next_method(turn, page)  # a channel that fails may stay down: use the person's next one meanwhile
    else:
        finish(turn, page, "failed", Reason.FAILED)
        _next_method(turn, page)


def _newer(turn: Turn, page: Page) -> Page | None:
    """A newer page of the same incident to the same place that has left or still may."""
    return next(
        (
            other
            for other in (_pages_of(turn, page.incident) if page.kind == "page" else ())
            if other.id > page.id and other.state in ("intended", "sent") and _same_place(other, page)
        ),
        None,
    )


def unsure(turn: Turn) -> None:
    """Tocsin starts again: what was handed over and has no outcome may have left.

    It is judged again, and sent again.
    """
    for id in sorted(turn.state.pages):
        page = turn.state.pages[id]
        if page.state == "intended" and page.handed_at is not None:
            page.unsure = True
            due(turn, page)


def _next_method(turn: Turn, page: Page) -> None:
    """A page did not get through: use the person's next method, else, when the step reached nobody, go on at once."""
    incident = turn.state.incidents.get(page.incident)
    if incident is None or incident.state != "triggered" or incident.paused is not None:
        return
    siblings = _pages_of(turn, incident.number)
    person = turn.plan.people.get(page.person)
    further = page.method + 1
    tried = any(p.person == page.person and p.method == further and p.intended_at >= page.intended_at for p in siblings)
    if person is not None and further < len(contacts(turn, person)) and not tried:
        turn.enter(
            incident.number,
            f"{page.channel} did not reach {person.name}; trying the next method",
            Reason.FAILED if page.state == "failed" else Reason.RETRYING,
            page=str(page.id),
        )
        _page(turn, incident, person, page.reason, page.step, further)
        turn.save_incident(incident)
        return
    if page.step < len(incident.steps) and incident.next_at is not None and _reached_nobody(page, siblings):
        turn.enter(incident.number, f"Step {page.step + 1} reached nobody", Reason.NOBODY_REACHABLE, page=str(page.id))
        incident.step, incident.round = page.step + 1, 0
        escalate_now(turn, incident)


def _reached_nobody(page: Page, pages: list[Page]) -> bool:
    """Whether the step a page belongs to is the last one paged, and every page of it was refused at least once.

    That a channel may take it later is no reason to wait: nobody knows of the incident until then.
    """
    if any(p.id > page.id and p.step != page.step for p in pages):
        return False
    of_step = [p for p in pages if p.step == page.step]
    began = max((p.intended_at for p in of_step if p.method == 0 and p.id <= page.id), default=page.intended_at)
    return not any(p.may_reach for p in of_step if p.intended_at >= began)
