"""A step's page that nothing has taken so far, or whose telephone rang in vain, when its person's shift is over."""

from __future__ import annotations

from tocsin.catalog.people import Person
from tocsin.engine import announcing, calling, ledger, methods
from tocsin.engine.turn import Turn
from tocsin.escalation.decide import Call
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import Page


def instead(turn: Turn, row: Page) -> list[Person] | None:
    """Who is paged in place of a page's person whose shift is over, for they are on call now and were not paged since;
    then that is the page's end. None where it is tried on.
    """
    incident, rang = turn.state.incidents.get(row.incident), ledger.rang_before(turn, row)
    asks_again = row.kind == "page" and (row.refused or rang)
    if not asks_again or row.reason not in calling.OF_A_STEP or incident is None or row.step >= len(incident.steps):
        return None
    step, rows = incident.steps[row.step], ledger.rows(turn, incident.number)
    there = calling.behind(turn, incident, step.targets, row.step, row.id)
    able = any(methods.has_any(turn, one.person.key) for one in there)  # else what is tried on may reach somebody yet
    if not able or not calling.meant(turn, incident, step) or calling.meant_still(turn, incident, row):
        return None
    theirs = ledger.of_round(turn, row)
    began = min(one.intended_at for one in theirs)  # a page of another pass, or from before, is not this one's
    was = turn.plan.people_of(step.targets, began if rang else row.intended_at, turn.state.covers)
    if any(one.handed for one in incident.steps) and all(one.key != row.person for one in was):
        return None  # steps were put before its own since, and this is none of them
    if any(one.left for one in theirs) and not rang:
        return None  # they were paged while it was their shift
    for one in theirs:
        if one.state == "intended" and one.step == row.step:
            ledger.finish(turn, one, "overtaken", Reason.RELIEVED)
    call = Call(step.targets, row.step, Reason.STEP_DUE, incident.step, incident.round, incident.laps, turn.now)
    reached = calling.whom(turn, incident, call, there)
    since = [one for one in rows if one.kind == "page" and one.intended_at >= began]
    paged = {one.person for one in since if one.refused or one.may_reach or one.rang}
    people = [one.person for one in reached if one.person.key not in paged]
    who, others = turn.plan.names.get(row.person, row.person), announcing.listed(people)
    before = "they picked up the telephone" if rang else "a page could leave"
    what = f"The shift of {who} ended before {before}{f': paging {others}' if people else ''}"
    turn.enter(incident.number, what, Reason.RELIEVED, page=str(row.id))
    calling.takes_turn(turn, incident, call, [one for one in reached if one.person in people])
    return people
