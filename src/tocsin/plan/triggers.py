"""Triggers as a plan writes them: which playbook a key has run, on what, and what its sender may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tocsin.notation.decoder import At, Field, ListOf, NamesOf, Record
from tocsin.notation.findings import Findings, shown
from tocsin.notation.words import NAME, SECRET
from tocsin.plan.words import REFERENCE
from tocsin.playbooks.manifest import Manifest
from tocsin.playbooks.targets import Target
from tocsin.playbooks.triggers import Trigger


class Triggered(Record):
    """A key with which another program, such as an APM, has a playbook of the service run."""

    what = "a trigger"
    playbook = Field(REFERENCE, "Which of the service's playbooks it runs.", required=True)
    secret = Field(At(SECRET), "The key itself: secret:NAME.", required=True)
    targets = Field(
        NamesOf(NAME, REFERENCE, "targets"),
        "The playbook's parameters and which target each gets. Default: the one whose match meets the sent labels.",
    )
    takes = Field(ListOf(REFERENCE, "parameters", at_most=20, single=True), "The other parameters its sender may set.")


def read_triggers(
    service: str,
    said: Sequence[tuple[Any, Triggered | None]],
    uses: Sequence[str],
    playbooks: Mapping[str, Manifest],
    targets: Sequence[Target],
    findings: Findings,
) -> Iterator[Trigger]:
    """The triggers of one service. ``uses``: the playbooks that answer for it."""
    for name, one in said:
        if one is None or one.playbook is None:
            continue
        named = one.playbook
        manifest = playbooks.get(named.value)
        if manifest is None and named.value in uses:
            continue  # that it cannot be read, or is not there, is said already where the service names it
        if named.value not in uses or manifest is None:
            hint = findings.nearest(named.value, uses) or f"name it with {service}: playbooks: [{named.value}]"
            findings.error(named.at, f"{service} does not use a playbook {shown(named.value)}", hint)
            continue
        _check(service, one, manifest, targets, findings)
        yield Trigger(
            service=service,
            name=name.value,
            playbook=named.value,
            targets={key.value: target.value for key, target in one.targets or () if target is not None},
            takes=tuple(param.value for param in one.takes or ()),
        )


def _check(service: str, one: Triggered, manifest: Manifest, targets: Sequence[Target], findings: Findings) -> None:
    """That its parameters and targets are there, and that every parameter without a default is given."""
    kinds = {param.name: param.kind for param in manifest.targets}
    for key, target in one.targets or ():
        there = [it.name for it in targets if it.service == service and it.kind == kinds.get(key.value)]
        if key.value not in kinds:
            hint = findings.nearest(key.value, kinds) or "it has none"
            findings.error(key.at, f"{manifest.name} has no target {shown(key.value)}", hint)
        elif target is not None and target.value not in there:
            hint = findings.nearest(target.value, there)
            findings.error(target.at, f"{service} has no {kinds[key.value]} target {shown(target.value)}", hint)
    plain = {param.name: param for param in manifest.params if not param.target}
    for param in one.takes or ():
        if param.value not in plain:
            hint = findings.nearest(param.value, plain) or "it has none"
            findings.error(param.at, f"{manifest.name} has no parameter {shown(param.value)}", hint)
    taken = {param.value for param in one.takes or ()}
    missing = [name for name, param in plain.items() if not param.default and name not in taken]
    if missing:
        message = f"{manifest.name} needs {' and '.join(missing)}, and the sender may not say it"
        findings.error(one.at, message, f"add takes: [{', '.join(missing)}], or give it a default in the playbook")
