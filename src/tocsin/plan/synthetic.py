"""From what is written of the synthetic page to what the engine keeps: one for each channel, if it can be sent."""

from __future__ import annotations

from collections.abc import Iterator, Set

from tocsin.kernel.instant import HOUR, MINUTE, format_duration
from tocsin.pages.loops import CHANNELS, LoopSpec
from tocsin.plan import schema as written
from tocsin.plan.findings import Findings
from tocsin.plan.model import NEEDS


def loops_of(page: written.SyntheticPage, service: str, ready: Set[str], findings: Findings) -> Iterator[LoopSpec]:
    """The synthetic page of each channel that is named. ``ready``: what the plan sets up, ``mail`` among it."""
    every, within = page.every or HOUR, page.within or 5 * MINUTE
    if within >= every:
        said = f"a synthetic page has {format_duration(within)} to come back, and the next leaves every"
        findings.error(page.where("within"), f"{said} {format_duration(every)}", "within is shorter than every")
    if not any(channel in page.places for channel in CHANNELS):
        findings.error(page.at, "the synthetic page names no channel", f"name some of {', '.join(CHANNELS)}")
    for channel in CHANNELS:
        need, address = NEEDS.get(channel, ""), page.values.get(channel)
        if need and channel in page.places and need not in ready:
            message = f"a synthetic page is to leave by {channel}, and the plan does not set that up"
            hint = "add mail: {server: …, from: …}" if need == "mail" else f"add channels: {{{need}: …}}"
            findings.error(page.where(channel), message, hint)
        if isinstance(address, str):
            yield LoopSpec(channel=channel, address=address, every=every, within=within, service=service)
