"""From what is written of the synthetic page to what the engine keeps: one for each channel, if it can be sent."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from tocsin.incidents.routes import SEVERITIES
from tocsin.kernel.instant import HOUR, MINUTE, format_duration
from tocsin.notation.decoder import Field, Record
from tocsin.notation.findings import Findings
from tocsin.pages.loops import LoopSpec
from tocsin.pages.profiles import profiles
from tocsin.plan.model import Plan
from tocsin.plan.words import LOOP_EVERY, LOOP_WITHIN, REFERENCE

LOOPED: Final = {name: one.loopback for name, one in profiles().items() if one.loopback is not None}
"""The channels whose messages can come back by themselves, or whose provider says that they arrived."""


class SyntheticPage(Record, more={name: Field(one.to, one.about) for name, one in LOOPED.items()}):
    """Tocsin pages itself through the channels named, and somebody is told when such a page does not come back."""

    what = "a synthetic page"
    every = Field(LOOP_EVERY, "How often one leaves by each channel. Default: 1h.")
    within = Field(LOOP_WITHIN, "How soon it must be back, before the next one leaves. Default: 5m.")
    service = Field(REFERENCE, "Whose people are told, by other channels, when one is not back. Default: inbox.")


def loops_of(page: SyntheticPage, service: str, ready: Set[str], findings: Findings) -> Iterator[LoopSpec]:
    """The synthetic page of each channel that is named. ``ready``: what the plan sets up, ``mail`` among it."""
    every, within = page.every or HOUR, page.within or 5 * MINUTE
    if within >= every:
        said = f"a synthetic page has {format_duration(within)} to come back, and the next leaves every"
        findings.error(page.where("within"), f"{said} {format_duration(every)}", "within is shorter than every")
    if not any(channel in page.places for channel in LOOPED):
        findings.error(page.at, "the synthetic page names no channel", f"name some of {', '.join(LOOPED)}")
    for channel in LOOPED:
        need, address = profiles()[channel].needs, page.values.get(channel)
        if need and channel in page.places and need not in ready:
            message = f"a synthetic page is to leave by {channel}, and the plan does not set that up"
            hint = "add mail: {server: …, from: …}" if need == "mail" else f"add channels: {{{need}: …}}"
            findings.error(page.where(channel), message, hint)
        if isinstance(address, str):
            yield LoopSpec(channel=channel, address=address, every=every, within=within, service=service)


def note_loops(page: SyntheticPage, plan: Plan, findings: Findings) -> None:
    """Say of which channels the word that they are dead would leave by them alone, as far as the plan knows.

    No warning: the plan does not know what people add themselves.
    """
    for loop in plan.loops:
        people = [plan.people[one] for one in _told(plan, loop.service)]
        ways = {way for person in people for way, _ in person.declared() if way in plan.reaches}
        if ways <= {loop.channel}:
            by = profiles()[loop.channel].by
            message = f"when the synthetic page {by} does not come back, the plan can say so to people {by} alone"
            hint = f"name another way for one whom {loop.service} pages, or the last resort; methods of their own count"
            findings.notice(page.where(loop.channel), message, hint)


def _told(plan: Plan, service: str) -> set[str]:
    """Whoever may ever be paged for a service, the last resort among them."""
    steps = [step for severity in SEVERITIES for step in plan.steps(service, severity)]
    found: set[str] = set()
    for target in [*(target for step in steps for target in step.targets), *plan.last_resort]:
        kind, _, name = target.partition(":")
        if kind == "person":
            found.add(name)
        elif kind == "team" and name in plan.teams:
            found.update(plan.teams[name].members)
        elif (key := name.partition(":")[0]) in plan.schedules:
            found.update(plan.schedules[key].people())
    return found & plan.people.keys()
