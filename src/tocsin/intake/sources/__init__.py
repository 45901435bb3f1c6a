"""The wire formats Tocsin hears: one file each, all pure. This register is the only list of them."""

from __future__ import annotations

from tocsin.intake.request import Source
from tocsin.intake.sources import alertmanager, events, heartbeat, pagerduty, probe

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (alertmanager.SOURCE, events.SOURCE, heartbeat.SOURCE, pagerduty.SOURCE, probe.SOURCE)
}
