"""Probes as a plan writes them: what each of them says is declared in its own file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tocsin.intake.looking import probed
from tocsin.intake.probed import Probed
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, format_duration
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Position
from tocsin.plan.severities import Severities

KINDS: Final = {record: kind for kind, record in probed().items()}
LATER: Final = frozenset(
    {"postgresql", "mysql", "rabbitmq", "kafka"}
    | {"dns", "icmp", "ping", "certificate", "grpc", "sqs", "lambda", "command"}
)
"""Kinds that are designed and not in this version."""


def read_probes(
    service: str, probes: Sequence[Probed], severities: Severities, findings: Findings
) -> Iterator[ProbeSpec]:
    """What one service has looked at, defaults filled in."""
    places: dict[str, Position] = {}
    for probe in probes:
        kind = KINDS[type(probe)]
        target, options = probe.looks_at(findings)
        called = probe.name or probe.named(kind, target)
        at = probe.where("name")
        first = places.setdefault(called, at)
        if first != at:
            message = f"{service} has two probes called {shown(called)}; the first is {first.seen_from(at)}"
            findings.error(at, message, "give one of them a name")
        every = 30 * SECOND if probe.every is None else probe.every
        timeout = min(5 * SECOND, every) if probe.timeout is None else probe.timeout
        if timeout > every:
            message = f"the probe waits {format_duration(timeout)} but looks every {format_duration(every)}"
            findings.error(probe.where("timeout"), message, "timeout is never longer than every")
        probe.check(timeout, findings)
        yield ProbeSpec(
            service=service,
            name=called,
            kind=kind,
            target=target,
            every=every,
            timeout=timeout,
            failures=probe.failures or 2,
            severity=severities.known(probe.severity),
            title=probe.title or "",
            options=options,
        )
