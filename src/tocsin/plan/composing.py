"""Playbooks in YAML are read into data with places. What they may say stands in ``plan.playbook_file``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from msgspec import UNSET

from tocsin.kernel.instant import DAY, MINUTE, SECOND, format_duration
from tocsin.notation.documents import read_document
from tocsin.notation.findings import Findings
from tocsin.notation.positions import Placed
from tocsin.plan.playbook_file import (
    FILE,
    STEPS,
    AskStep,
    AtMostGuard,
    BlastGuard,
    BreakerGuard,
    Called,
    ComposedFile,
    ConfineOf,
    CooldownGuard,
    FreezeGuard,
    GuardOf,
    HandOverStep,
    ParameterOf,
    Step,
    UnlessGuard,
    VerifyStep,
)
from tocsin.playbooks import language
from tocsin.playbooks.composed import (
    Composed,
    ComposedStep,
    Does,
    Parameter,
    System,
    encode_composed,
)
from tocsin.playbooks.confinement import Confine
from tocsin.playbooks.language import Misused
from tocsin.playbooks.manifest import (
    COMPOSED,
    FOLDER,
    AtMost,
    Blast,
    Breaker,
    Cooldown,
    Guard,
    Over,
    Rung,
    Trust,
    Unless,
)


def is_composed(name: str) -> bool:
    """Whether a file of a plan is a playbook in YAML, by its path."""
    return name.startswith(FOLDER) and name.endswith((".yaml", ".yml"))


def with_composed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A plan's files, and beside its playbooks in YAML what they come to. The same files when there are none.

    What is wrong with one is for ``read_plan`` to tell: it is left out here.
    """
    kept = {name: content for name, content in files.items() if name != COMPOSED}
    found = compose(kept, Findings())
    return {**kept, COMPOSED: encode_composed(found)} if found else kept


def compose(files: Mapping[str, bytes], findings: Findings) -> tuple[Composed, ...]:
    """The playbooks in YAML among a plan's files that can be read; what is wrong with the others is reported."""
    found = []
    for name in sorted(files):
        if not is_composed(name):
            continue
        before = findings.errors
        node = read_document(name, files[name], findings)
        read = FILE.read(node, findings) if node is not None else None
        if read is not None and findings.errors == before:
            one = _composed(name, read, findings)
            if findings.errors == before:
                found.append(one)
    return tuple(found)


def _composed(file: str, read: ComposedFile, findings: Findings) -> Composed:
    assert read.playbook is not None
    return Composed(
        name=read.playbook.value,
        file=file,
        line=read.playbook.at.line,
        about=" ".join((read.about or "").split())[:300],
        answers=read.answers or (),
        severities=read.severity or (),
        where=read.rule or "",
        systems=tuple(System(name.value, kind, name.at.line) for name, kind in read.works_on or () if kind),
        parameters=tuple(_parameter(name, one) for name, one in read.parameters or () if one),
        guards=tuple(_guard(one, read.timezone or "UTC", findings) for one in read.guards or ()),
        trust=_trust(read, findings),
        hand_over_after=read.hand_over_after or 5 * MINUTE,
        hand_over_to=read.hand_over_to or UNSET,
        schedule=read.schedule or "",
        timezone=read.timezone or "UTC",
        steps=tuple(map(_step, read.steps or ())),
        lines={key: at.line for key, at in read.places.items()},
        confine=_confine(read.confine, findings) if read.confine is not None else UNSET,
    )


def _confine(said: ConfineOf, findings: Findings) -> Confine:
    try:
        return language.confine(
            write=said.write or (),
            read=said.read or (),
            network=said.network == "on",
            processes=said.processes == "on",
        )
    except Misused as error:
        findings.error(said.at, str(error))
        return Confine()


def _parameter(name: Placed[str], one: ParameterOf) -> Parameter:
    return Parameter(name.value, cast("Any", one.type), name.at.line, one.default)


def _trust(read: ComposedFile, findings: Findings) -> Trust:
    said = read.trust
    if said is None:
        return Trust()
    start, ceiling = cast("Rung", said.start or "ask"), cast("Rung", said.ceiling or "act")
    try:
        role, default = said.approve or "responder", said.default or "no"
        within = format_duration(said.within or 30 * MINUTE)
        return language.trust(
            start, ceiling, approve=cast("Any", role), within=within, default=cast("Any", default)
        )
    except Misused:
        findings.error(read.where("trust"), "it starts above its ceiling", "start is never above ceiling")
        return Trust()


def _guard(one: GuardOf, timezone: str, findings: Findings) -> Guard:
    match one:
        case AtMostGuard():
            return AtMost(one.at_most or 1, one.per or DAY, cast("Over", one.over or "playbook"))
        case CooldownGuard():
            return Cooldown(one.cooldown or DAY)
        case BlastGuard():
            return Blast(*(one.blast_radius or (1, 0)))
        case UnlessGuard():
            return Unless(one.unless or "")
        case BreakerGuard():
            return Breaker(one.breaker or 3, one.returns or 3, one.within or DAY)
        case FreezeGuard():
            try:
                return language.freeze(one.freeze or "", timezone=one.timezone or timezone)
            except Misused as error:
                findings.error(one.where("freeze"), str(error))
    return Unless("")


def _step(one: Step) -> ComposedStep:
    does = next(key for key in STEPS if key in one.values)
    common: dict[str, Any] = {
        "does": cast("Does", does),
        "what": one.values[does],
        "line": one.at.line,
        "lines": {key: at.line for key, at in one.places.items()},
        "when": one.condition or (),
    }
    match one:
        case VerifyStep():
            common |= {"until": one.until, "within": one.within, "every": one.every or SECOND, "harm": one.harm or ()}
        case AskStep():
            common |= {"choices": one.choices or ("yes", "no"), "within": one.within or 10 * MINUTE}
            common |= {"default": one.default or "no", "role": one.role or "responder", "name": one.name or ""}
        case HandOverStep():
            common |= {"findings": one.findings or (), "next": one.next or UNSET}
    if isinstance(one, Called):
        common |= {"on": one.on or (), "args": one.given or (), "name": one.name or ""}
    return ComposedStep(**common)
