"""Pages: whom a due step pages, by which method, and what a channel's answer means."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.access.credentials import User
from tocsin.catalog.people import Person
from tocsin.engine.inputs import Delivered, Receipted
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import Call, escalate
from tocsin.incidents.incident import Incident
from tocsin.kernel.instant import say_duration
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import FOLLOWED, GIVE_UP_AFTER, Page, PageState, receive, retry_after
from tocsin.plan.model import Reached


def contacts(turn: Turn, person: Person) -> tuple[tuple[str, str], ...]:
    """A person's contact methods under the plan in force: their own devices, then what the plan says."""
    users = (user for user in turn.state.users.values() if user.person == person.key and user.disabled_at is None)
    own = tuple(("push", device.address) for user in users for device in user.devices)
    declared = person.contacts(turn.plan.reaches)
    return own + tuple(way for way in declared if way[0] != "console") if own else declared


def drop_device(turn: Turn, user: User, id: str) -> bool:
    """Let a user's device go; False when they have no such device."""
    left = tuple(device for device in user.devices if device.id != id)
    if len(left) == len(user.devices):
        return False
    user.devices = left
    turn.changes.users[user.id] = user
    return True


def _unsubscribed(turn: Turn, address: str) -> None:
    """A push service knows a device no more: it was removed there."""
    for user in turn.state.users.values():
        for device in user.devices:
            if device.address == address:
                drop_device(turn, user, device.id)


def escalate_now(turn: Turn, incident: Incident) -> None:
    """A step is due: write a page for each person it reaches, and when the next step is due."""
    plan = turn.plan
    call = escalate(
        incident.steps,
        incident.step,
        incident.round,
        incident.laps,
        plan.last_resort,
        lambda targets: bool(plan.people_of(targets, turn.now, turn.state.covers)),
        turn.now,
    )
    for step in call.skipped:
        turn.enter(incident.number, _reaches_nobody(incident, step), Reason.NOBODY_REACHABLE)
    reached = _whom(turn, incident, call)
    people = [one.person for one in reached]
    names = ", ".join(f"{person.name} ({by})" if by else person.name for person, by in reached) or "nobody"
    shadows = plan.shadows_of(call.targets, turn.now, turn.state.covers)
    if shadows:
        names += f", with a copy to {', '.join(person.name for person in shadows)}"
    paging = "Paging" if turn.state.counters.paging else "Paging is off; it would have paged"
    turn.enter(
        incident.number,
        f"{paging} {names}; next in {say_duration(call.next_at - turn.now)} if nobody answers",
        call.reason,
        step=str(call.at_step + 1),
    )
    for person in people:
        _page(turn, incident, person, call.reason, call.at_step, 0)
    for shadow in shadows:
        _copy(turn, incident, shadow, call)
    incident.step, incident.round, incident.laps = call.step, call.round, call.lap
    incident.next_at = call.next_at
    turn.save_incident(incident)


def _whom(turn: Turn, incident: Incident, call: Call) -> tuple[Reached, ...]:
    """Whom a step pages: everybody behind its targets, or one of them, each in turn from incident to incident."""
    found = turn.plan.reached_by(call.targets, turn.now, turn.state.covers)
    step = incident.steps[call.at_step] if call.at_step < len(incident.steps) else None
    if step is None or not step.one or not found:
        return found
    return (found[(incident.number - 1 + incident.round + incident.laps) % len(found)],)


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
    channel, address = contacts(turn, person)[0]
    turn.state.counters.page += 1
    page = Page(
        id=turn.state.counters.page,
        incident=incident.number,
        person=person.key,
        channel=channel,
        address=address,
        kind="copy",
        title=incident.title,
        reason=call.reason,
        step=call.at_step,
        intended_at=turn.now,
        next_at=turn.now,
    )
    _hand_over(turn, page)


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
    _hand_over(turn, page)
    turn.count("pages", reason)


def notice(turn: Turn, person: Person, reason: Reason, title: str, *, silence: str = "") -> None:
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
        silence=silence,
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
    for id in sorted(turn.state.pages_of.get(incident.number, ())):
        page = turn.state.pages[id]
        if page.state == "intended" and page.kind == "page":
            finish(turn, page, "overtaken", Reason.OVERTAKEN)


def tell(turn: Turn, incident: Incident) -> None:
    """Somebody has the incident or it is over: say so where it paged, in the channels that follow an incident."""
    last: dict[tuple[str, str, str], Page] = {}
    for id in sorted(turn.state.pages_of.get(incident.number, ())):
        page = turn.state.pages[id]
        place = page.person, page.channel, page.address
        if page.kind == "update":
            if page.state == "intended" and page.handed_at is None:
                finish(turn, page, "overtaken", Reason.OVERTAKEN)  # this one says more
        elif page.kind == "page" and page.channel in FOLLOWED and (page.state == "sent" or _on_its_way(page)):
            last[place] = page
    for about in last.values():
        turn.state.counters.page += 1
        page = Page(
            id=turn.state.counters.page,
            incident=incident.number,
            person=about.person,
            channel=about.channel,
            address=about.address,
            kind="update",
            title=incident.title,
            reason=incident.reason,
            about=about.id,
            intended_at=turn.now,
            next_at=turn.now,
        )
        _hand_over(turn, page)


def _on_its_way(page: Page) -> bool:
    """Whether its channel has it and has not answered, even if nobody waits for it any more."""
    return page.handed_at is not None and not page.attempts


def awaited(turn: Turn, incident: Incident) -> bool:
    """Whether some page of an incident has not come to its end."""
    return any(turn.state.pages[id].state == "intended" for id in turn.state.pages_of.get(incident.number, ()))


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
        if page.state == "intended" and page.kind == "update":
            finish(turn, page, "overtaken", Reason.OVERTAKEN)
        elif page.state == "intended":  # the acknowledgement it saw was never committed
            page.handed_at, page.next_at = None, turn.now + retry_after(1)
            turn.save_page(page)
        return
    page.attempts += 1
    page.error = outcome.error
    page.provider_id = outcome.provider_id or page.provider_id
    if page.state != "intended":
        page.finished_at = turn.now  # it was on its way when the acknowledgement came
        turn.save_page(page)
        return
    if outcome.state == "sent":
        finish(turn, page, "sent", Reason.POSSIBLE_DUPLICATE if outcome.duplicate else Reason.SENT)
    elif outcome.state == "retry":
        page.outcome, page.handed_at = Reason.RETRYING, None
        page.next_at = turn.now + max(outcome.retry_after or 0, retry_after(page.attempts))
        turn.save_page(page)
        turn.count("page_outcomes", Reason.RETRYING)
        if page.attempts == 1:
            _next_method(turn, page)  # a channel that fails may stay down: use the person's next one meanwhile
    else:
        finish(turn, page, "failed", Reason.FAILED)
        if outcome.code == "gone":
            _unsubscribed(turn, page.address)
        _next_method(turn, page)


def reached(turn: Turn, told: Receipted) -> None:
    """Take a provider's word on how far a page got. One that fails after all is treated like one never taken."""
    page = turn.state.pages.get(told.page)
    if page is None or not receive(page, told.receipt, turn.now):
        return
    if told.receipt == "failed":
        page.error = told.error
        finish(turn, page, "failed", Reason.FAILED)
        _next_method(turn, page)
    else:
        turn.save_page(page)
        turn.count("page_receipts", told.receipt)


def unsure(turn: Turn) -> None:
    """Tocsin starts again: what was handed over and has no outcome may have left.

    It is judged again, and sent again.
    """
    for id in sorted(turn.state.pages):
        page = turn.state.pages[id]
        if page.state == "intended" and page.handed_at is not None:
            page.unsure = True
            due(turn, page)


def _further(turn: Turn, person: Person, page: Page, siblings: Sequence[Page]) -> int | None:
    """The person's method after this page's, the first when that is gone; None when it was used already."""
    ways = contacts(turn, person)
    here = (page.channel, page.address)
    further = ways.index(here) + 1 if here in ways else 0
    if further >= len(ways):
        return None
    since = (p for p in siblings if p.person == page.person and p.intended_at >= page.intended_at)
    return None if any((p.channel, p.address) == ways[further] for p in since) else further


def _next_method(turn: Turn, page: Page) -> None:
    """A page did not get through: use the person's next method, else, when the step reached nobody, go on at once."""
    incident = turn.state.incidents.get(page.incident)
    if page.kind != "page" or incident is None or incident.state != "triggered" or incident.paused is not None:
        return
    siblings = [one for id in turn.state.pages_of[incident.number] if (one := turn.state.pages[id]).kind == "page"]
    person = turn.plan.people.get(page.person)
    further = _further(turn, person, page, siblings) if person is not None else None
    if person is not None and further is not None:
        turn.enter(
            incident.number,
            f"{page.channel} did not reach {person.name}; trying the next method",
            Reason.FAILED if page.state == "failed" else Reason.RETRYING,
            page=str(page.id),
        )
        _page(turn, incident, person, page.reason, page.step, further)
        turn.save_incident(incident)
        return
    if page.state != "failed":
        return
    same_step = [p for p in siblings if p.step == page.step and p.intended_at >= page.intended_at]
    if all(p.state == "failed" for p in same_step):
        turn.enter(incident.number, f"Step {page.step + 1} reached nobody", Reason.NOBODY_REACHABLE, page=str(page.id))
        if incident.step <= len(incident.steps) and incident.next_at is not None and page.step < len(incident.steps):
            incident.step, incident.round = (page.step + 1, 0)
            escalate_now(turn, incident)
