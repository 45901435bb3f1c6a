"""Where an incident paged it is said what became of it, in the channels that follow one."""

from __future__ import annotations

from tocsin.engine import ledger, paging
from tocsin.engine.intending import About, row_of
from tocsin.engine.turn import Turn
from tocsin.incidents.incident import Incident
from tocsin.kernel.reason import Reason
from tocsin.pages.ledger import ASKING, Page
from tocsin.pages.profiles import profile
from tocsin.pages.rules import Planned


def tell(turn: Turn, incident: Incident) -> None:
    """Somebody has the incident or it is over: say so where it paged, in the channels that follow an incident.

    Where a shadow got a copy nothing is said. A message about several incidents stays as it is: it is about the others
    too.
    """
    last: dict[tuple[str, str, str], Page] = {}
    for row in ledger.rows(turn, incident.number):
        if row.kind == "update":
            if row.state == "intended" and row.handed_at is None:
                ledger.finish(turn, row, "overtaken", Reason.OVERTAKEN)  # this one says more
        elif row.left and _followed(row):
            last[row.person, row.channel, row.address] = row
    for page in last.values():
        _follow(turn, incident, page)


def left_after_all(turn: Turn, row: Page) -> None:
    """It was on its way when its incident was answered, or over, and left: that is said where it went."""
    incident = turn.state.incidents.get(row.incident)
    if incident is not None and incident.state != "triggered" and _followed(row):
        _follow(turn, incident, row)


def _followed(row: Page) -> bool:
    return row.kind in ASKING and profile(row.channel).follows and not row.bundle


def _follow(turn: Turn, incident: Incident, page: Page) -> None:
    planned = Planned(turn.state.contacts.get(page.contact), page.channel, page.address, 0)
    about = About(incident.number, incident.title, incident.reason, kind="update", about=page.id)
    paging.hand_over(turn, row_of(turn, page.person, planned, about, turn.now))
