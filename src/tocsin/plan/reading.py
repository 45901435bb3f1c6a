"""Reads a whole plan from the contents of its files. Pure: what is on a disk or in a request is all the same here."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from tocsin.kernel.instant import Instant
from tocsin.notation.decoder import RecordOf
from tocsin.notation.documents import Entries, read_document
from tocsin.notation.findings import Finding, Findings
from tocsin.notation.positions import Position
from tocsin.plan.checklists import read_checklists
from tocsin.plan.composing import compose
from tocsin.plan.model import Plan
from tocsin.plan.schema import LANGUAGE, PlanFile
from tocsin.plan.sections import Source, assemble
from tocsin.playbooks.manifest import FOLDER, MADE, read_manifests

MAX_FILES: Final = 1_000
MAX_FILE_BYTES: Final = 1_000_000
MAX_BYTES: Final = 16_000_000

_FILE: Final = RecordOf(PlanFile)
_WHO: Final = frozenset({"people", "teams", "schedules", "calendars", "hours"})
_SETTING: Final = frozenset({"tocsin", "team", "timezone"})


class Reading(NamedTuple):
    """What a plan says, or why it cannot be used. ``plan`` is None exactly when a finding is an error."""

    plan: Plan | None
    findings: tuple[Finding, ...]


def plan_version(files: Mapping[str, bytes]) -> str:
    """The SHA-256, in hexadecimal, of names and contents in the order of names.

    Lengths are hashed too, so that no byte can move from one file to the next unseen.
    """
    total = sha256()
    for name in sorted(files):
        for part in (name.encode("utf-8", "surrogatepass"), files[name]):
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
    return total.hexdigest()


def read_plan(files: Mapping[str, bytes], now: Instant = 0) -> Reading:
    """Read a plan from its files: path inside the plan's folder to content. ``now``: from when on findings look ahead;
    the plan is the same whatever it is.

    Files are taken in the order of their names, which is also the order of their routes. All errors are found at once.
    Never raises for what a file says.
    """
    findings = Findings(now)
    if not _within_bounds(files, findings):
        return Reading(None, findings.sorted())
    sources = []
    complete = True
    manifests = read_manifests(files)
    for fault in manifests.faults:
        tell = findings.warning if fault.warns else findings.error
        tell(Position(fault.file, fault.line, 1), fault.message, fault.hint)
    compose(files, findings)
    checklists = read_checklists(files, findings)
    coded = not findings.errors
    for name in sorted(files):
        if name.startswith(FOLDER):
            continue
        before = findings.errors
        node = read_document(name, files[name], findings)
        if node is None:
            complete = complete and findings.errors == before
            continue
        plan = _FILE.read(node, findings)
        if plan is None:
            complete = False
            continue
        said = plan.tocsin
        if said is not None and said.value != LANGUAGE:
            hint = f"this Tocsin reads `tocsin: {LANGUAGE}`; a newer plan needs a newer Tocsin"
            findings.error(said.at, "this version of the plan language is not known", hint)
            complete = False
        sources.append(Source(name, plan))
    if not sources and not findings.errors:
        where = next(iter(sorted(files)), "tocsin.yaml")
        findings.error(Position(where, 1, 1), "there is no plan", "begin with `tocsin: 1` and name the people to page")
    version = plan_version(files)
    plan_or_none = (
        assemble(sources, version, complete, findings, manifests.playbooks, checklists, coded=coded)
        if sources
        else None
    )
    return Reading(plan_or_none, findings.sorted())


def read_schedules(files: Mapping[str, bytes]) -> Reading:
    """Read who is on call out of a plan that has errors: its people, teams and schedules, whatever else is wrong in it.

    For questions alone: nobody is paged by this. The version is that of the whole.
    """
    findings = Findings()
    if not _within_bounds(files, findings):
        return Reading(None, findings.sorted())
    sources = []
    for name in sorted(files):
        if name.startswith(FOLDER):
            continue
        node = read_document(name, files[name], Findings())
        if not isinstance(node, Entries) or not any(key.text in _WHO for key, _ in node.entries):
            continue
        node.entries = [(key, value) for key, value in node.entries if key.text in _WHO | _SETTING]
        plan = _FILE.read(node, findings)
        if plan is not None:
            sources.append(Source(name, plan))
    plan_or_none = assemble(sources, plan_version(files), True, findings) if sources else None
    return Reading(plan_or_none, findings.sorted())


def _within_bounds(files: Mapping[str, bytes], findings: Findings) -> bool:
    first = next(iter(sorted(files)), "tocsin.yaml")
    if len(files) > MAX_FILES:
        findings.error(Position(first, 1, 1), f"the plan has {len(files):,} files; {MAX_FILES:,} are allowed")
    if sum(map(len, files.values())) > MAX_BYTES:
        findings.error(Position(first, 1, 1), f"the plan has more than {MAX_BYTES:,} bytes in all")
    for name in sorted(files):
        if len(files[name]) > MAX_FILE_BYTES and name not in MADE:
            findings.error(Position(name, 1, 1), f"this file has more than {MAX_FILE_BYTES:,} bytes", "split it")
    return not findings.errors
