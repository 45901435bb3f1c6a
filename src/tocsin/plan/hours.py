"""The section ``hours``, and what asks for them: conditions of escalation steps, and layers for business hours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tocsin.escalation.policy import When
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed
from tocsin.oncall.hours import Hours
from tocsin.oncall.schedule import Window, joined
from tocsin.oncall.zone import WEEK_OF
from tocsin.plan import schema as written
from tocsin.plan.names import Names


def read_hours(
    files: Sequence[written.PlanFile],
    names: Names,
    calendars: Names,
    zone_of: Callable[[written.PlanFile], str],
) -> dict[str, Hours]:
    """All named hours."""
    found: dict[str, Hours] = {}
    for plan in files:
        for (key, at), hours in plan.hours or ():
            if hours is None or key in found or names.places[key] != at:
                continue
            found[key] = Hours(
                key=key,
                timezone=hours.timezone or zone_of(plan),
                open=joined([window for windows in hours.open or () for window in windows]),
                closed=tuple(sorted({day.value for day in hours.closed or ()})),
                holidays=tuple(calendars.known(one) for one in hours.holidays or ()),
            )
    return found


def read_condition(said: written.Condition | None, hours: Names, tiers: Names) -> When:
    """What a step asks for."""
    if said is None:
        return When()
    name, outside = "", False
    if said.hours is not None:
        outside = said.hours.value.startswith("outside ")
        name = hours.known(Placed(said.hours.value.removeprefix("outside").strip(), said.hours.at))
    asked = tuple(dict.fromkeys(tiers.known(one) for one in said.customer_tier or ()))
    return When(tuple(said.severity or ()), name, outside, said.match or (), asked)


ALWAYS = (Window(0, WEEK_OF),)
"""All of the week, where days may still be closed."""


def layer_hours(
    layer: written.Layer, zone: str, hours: Mapping[str, Hours], findings: Findings
) -> tuple[list[Window], list[Hours]]:
    """The windows a layer is for, and those of its named hours that say them."""
    windows: list[Window] = []
    used: list[Hours] = []
    for said, at in layer.only or ():
        if not isinstance(said, str):
            windows += said
        elif said not in hours:
            hint = findings.nearest(said, hours) or "write hours such as Mon-Fri 09:00-18:00"
            findings.error(at, f"unknown hours {shown(said)}", hint)
        elif hours[said].timezone != zone:
            message = f"{said} is meant in {hours[said].timezone}, and the layer in {zone}"
            findings.error(at, message, f"give the layer `timezone: {hours[said].timezone}`")
        else:
            windows += hours[said].open or ALWAYS
            used.append(hours[said])
    return windows, used
