"""For every face: which playbooks answer for which service, how far each is trusted there, and what continues a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.access.credentials import Role
from tocsin.engine.commands import ResumeRun
from tocsin.faces.faces import Faces
from tocsin.faces.problem import Problem
from tocsin.plan.model import Plan
from tocsin.playbooks.manifest import Manifest, Rung
from tocsin.playbooks.resuming import Word, needed
from tocsin.playbooks.trust import Standing, stands


class InService(NamedTuple):
    """One playbook as it stands with one service."""

    service: str
    manifest: Manifest
    standing: Standing | None
    rung: Rung


async def resuming(
    faces: Faces, actor: str, role: Role, number: int, why: str, step: int = 0, word: Word = ""
) -> ResumeRun:
    """The command that continues a run at a step (0: repeats it), with what is needed of its recorded steps.

    They are read after the run was seen to be over, so none of them changes any more. Raises the problem that says
    that there is no such run, or that it is not over.
    """
    run = await faces.found(f"run {number}", faces.reads.run, number)
    if run.live:
        raise Problem(409, "conflict", f"Run {number} is not over: stop it first")
    kept = needed(run, await faces.read(faces.reads.steps, number), step, why)
    return ResumeRun(actor=actor, run=number, why=why, step=step, word=word, recorded=kept, role=role)


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
