"""Probes: one file looks at one kind of thing, once. When to look and what follows is decided elsewhere.

To add one: a file with ``check(spec, now, outside) -> Checked`` and a line here.
"""

from __future__ import annotations

from tocsin.intake.checked import Probe
from tocsin.intake.probes import disk, http, peer, process, tcp

PROBES: dict[str, Probe] = {
    "http": http.check,
    "tcp": tcp.check,
    "process": process.check,
    "disk": disk.check,
    "peer": peer.check,
}
