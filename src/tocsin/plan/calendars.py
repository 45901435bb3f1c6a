"""The section ``calendars``: where rotas and holidays that are kept elsewhere are read from, and what names them."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.intake.specs import CalendarSpec
from tocsin.kernel.instant import MINUTE
from tocsin.plan import schema as written
from tocsin.plan.names import Names


def read_calendars(files: Sequence[written.PlanFile], names: Names) -> dict[str, CalendarSpec]:
    """Every calendar, by name."""
    found: dict[str, CalendarSpec] = {}
    for plan in files:
        for (key, at), calendar in plan.calendars or ():
            if calendar is not None and key not in found and names.places[key] == at:
                every = calendar.every or 15 * MINUTE
                found[key] = CalendarSpec(name=key, url=calendar.ical or "", every=every)
    return found
