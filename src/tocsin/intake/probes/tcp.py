"""TCP: does something accept connections at ``host:port`` (``[::1]:5432`` for IPv6)? It is closed again at once."""

from __future__ import annotations

from time import perf_counter

from tocsin.intake.checked import Checked, Measured
from tocsin.intake.probed import Looks, Probed
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Outside, Unanswered
from tocsin.notation.decoder import Field
from tocsin.notation.findings import Findings
from tocsin.notation.words import HOST_PORT


async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
    """Connect once."""
    host, _, port = spec.target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536):
        return Checked(False, f"{spec.target} is not a host and a port, such as db.example:5432")
    timeout = spec.timeout / SECOND
    started = perf_counter()
    line = await outside.connect(host, int(port), within=timeout)
    took = perf_counter() - started
    facts = {"took": f"{took:.3f} s"}
    if isinstance(line, Unanswered):
        if line.code == "deadline":
            return Checked(False, f"{spec.target} did not accept a connection within {timeout:g} s", facts)
        return Checked(False, f"{spec.target} did not accept a connection: {line.error}", facts)
    line.close()
    return Checked(True, f"{spec.target} accepts connections", facts, Measured("connected after", round(took, 4), "s"))


class TcpProbe(Probed):
    """Opens a connection and closes it again."""

    what = "a tcp probe"
    tcp = Field(HOST_PORT, "The host:port to connect to.", required=True)

    def looks_at(self, findings: Findings) -> Looks:
        """``host:port``, and nothing else."""
        return self.tcp or "", {}


PROBE = TcpProbe
