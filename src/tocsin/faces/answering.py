"""Which playbooks answer for which service, and how far each is trusted there: what every face shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.plan.model import Plan
from tocsin.playbooks.manifest import Manifest, Rung
from tocsin.playbooks.trust import Standing, stands


class InService(NamedTuple):
    """One playbook as it stands with one service."""

    service: str
    manifest: Manifest
    standing: Standing | None
    rung: Rung


def in_service(plan: Plan | None, standings: Sequence[Standing], service: str = "") -> list[InService]:
    """Every playbook with every service it answers for (or with one), in the order in which they are tried."""
    if plan is None:
        return []
    known = {(one.service, one.playbook): one for one in standings}
    found = []
    for name, playbooks in plan.answers.items():
        for playbook in playbooks if service in ("", name) else ():
            manifest = plan.playbooks.get(playbook)
            if manifest is not None:
                standing = known.get((name, playbook))
                rung = stands(manifest, standing) if standing else manifest.trust.start
                found.append(InService(name, manifest, standing, rung))
    return found
