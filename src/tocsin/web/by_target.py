"""What code did about each target of an incident that has several, as its room shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from tocsin.alerts.alert import Alert
from tocsin.engine.wanted import chain_of, wish_of
from tocsin.incidents.incident import Incident, Work
from tocsin.kernel.instant import Instant
from tocsin.plan.model import Plan
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.run import Run
from tocsin.web.playbooks import CAME_TO, RunView

OF_WORKS = {
    "unmatched": ("mute", "slash", "Not meant for it"),
    "put_off": ("mute", "slash", "Put off"),
    "waits": ("held", "clock", "Waits its turn"),
}
"""What code came to on a target that no run comes to."""
YET = ("mute", "clock", "Not begun yet")
NOT_YET_SHOWN = 20
MOST_PARTS = 1_000
"""More than a playbook can have targets."""


class Place(NamedTuple):
    """One target, or the service as a whole. ``run``: its number, 0 when none was written down."""

    name: str
    playbook: str
    run: int
    badge: tuple[str, str, str]
    why: str
    note: str = ""
    """What is to be known beside the badge."""
    until: Instant | None = None
    """When what it waits for is over at the latest."""


class Try(NamedTuple):
    """Something a person may have code try: what the form sends, and what it says."""

    value: str
    said: str


def tries(incident: Incident, plan: Plan | None, alerts: Iterable[Alert], playbooks: Iterable[Manifest]) -> list[Try]:
    """The playbooks a person may have run: each for every target that alerts fire about, where these are several; first
    those code is not done with. Of one that answers none of these alerts likewise.
    """
    if plan is None:
        return []
    heard = [alert.labels for alert in alerts if alert.firing and not alert.silences]
    chains = [chain_of(plan, incident.service, labels, incident.severity) for labels in heard]
    wishes = dict.fromkeys(wish for chain in chains for wish in chain if not wish.why)
    found: list[Try] = []
    for manifest in playbooks:
        those = {wish.targets: wish for wish in wishes if wish.playbook == manifest.name}
        if not those:
            any_of = (wish_of(plan, incident.service, manifest, labels) for labels in heard)
            those = {wish.targets: wish for wish in any_of if not wish.why}
        if len(those) < 2:
            found.append(Try(manifest.name, manifest.name))
            continue
        some = sorted(those.values(), key=lambda wish: (wish.key in incident.works, wish.names))[:NOT_YET_SHOWN]
        for wish in some:
            value = urlencode({"playbook": manifest.name, **{f"on-{name}": target for name, target in wish.targets}})
            again = ", again" if wish.key in incident.works else ""
            found.append(Try(value, f"{manifest.name} on {' and '.join(wish.names)}{again}"))
    return found


def tried(value: str) -> tuple[str, dict[str, str]]:
    """The playbook and the targets that a ``Try`` names. What has more parts than any has names no playbook."""
    if "=" not in value:
        return value, {}
    try:
        named = dict(parse_qsl(value, max_num_fields=MOST_PARTS))
    except ValueError:
        return "", {}
    return named.get("playbook", ""), {
        name.removeprefix("on-"): target for name, target in named.items() if name.startswith("on-")
    }


def places(incident: Incident, plan: Plan | None, alerts: Iterable[Alert], runs: Iterable[RunView]) -> list[Place]:
    """Those code worked on, in the order it did, then those whose turn is yet to come; [] when there is one alone."""
    known = {one.run.number: one.run for one in runs}
    found = [_place(one, known) for one in incident.works.values()]
    yet = _yet(incident, plan, alerts) if incident.open else {}
    found += [Place(name, playbook, 0, YET, "") for name, playbook in list(yet.items())[:NOT_YET_SHOWN]]
    return found if len({one.name for one in found}) > 1 or any(one.until for one in found) else []


def _place(work: Work, runs: Mapping[int, Run]) -> Place:
    run = runs.get(work.run)
    state = work.outcome or (run.state if run is not None and run.live else "watching")  # what works is the newest
    badge = OF_WORKS.get(state) or CAME_TO[state]
    said = work.outcome in ("blocked", "handed_over", "cancelled", "put_off", "waits")
    why = work.why.removeprefix("handed over: ") if said else ""
    note = "" if work.outcome or run is None or run.state != "watching" else "its alerts have yet to end"
    until = work.until if work.waiting else None
    return Place(" and ".join(work.targets), work.playbook, work.awaits or work.run, badge, why, note, until)


def _yet(incident: Incident, plan: Plan | None, alerts: Iterable[Alert]) -> dict[str, str]:
    """The targets that alerts fire about and code has not begun with, and the playbook whose turn it would be."""
    if plan is None or not plan.answers.get(incident.service):
        return {}
    found: dict[str, str] = {}
    for alert in alerts:
        if not alert.firing or alert.silences:
            continue
        chain = chain_of(plan, incident.service, alert.labels, incident.severity)
        if chain and not any(wish.key in incident.works for wish in chain) and not chain[0].why:
            found.setdefault(" and ".join(chain[0].names), chain[0].playbook)
    return found
