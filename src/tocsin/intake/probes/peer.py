"""Peer: is another Tocsin well, by its own word? The target is its address; ``/readyz`` is asked.

Ready there means that its last self-audit, a few seconds ago, found nothing: it hears, judges, writes and pages. What
it says is wrong is told in its own words. It has no options.
"""

from __future__ import annotations

from time import perf_counter

from tocsin.intake.checked import Checked, without_credentials
from tocsin.intake.probed import Looks, Probed, url_named
from tocsin.intake.specs import ProbeSpec
from tocsin.kernel.instant import SECOND, Instant
from tocsin.kernel.outside import Outside, Unanswered
from tocsin.notation.decoder import Field
from tocsin.notation.findings import Findings
from tocsin.notation.words import URL

_READ = 16_384
_SHOWN = 300


async def check(spec: ProbeSpec, now: Instant, outside: Outside) -> Checked:
    """Ask once whether it is ready."""
    base = spec.target.rstrip("/")
    named = f"Tocsin at {without_credentials(base)}"
    started = perf_counter()
    answer = await outside.request("GET", f"{base}/readyz", within=spec.timeout / SECOND, limit=_READ)
    facts = {"took": f"{perf_counter() - started:.3f} s"}
    if isinstance(answer, Unanswered):
        if answer.code == "deadline":
            return Checked(False, f"{named} is deaf: it did not answer within {spec.timeout / SECOND:g} s", facts)
        return Checked(False, f"{named} is deaf: {answer.error}", facts)
    facts["status"] = str(answer.status)
    lines = [line.strip() for line in answer.body.decode("utf-8", "replace").splitlines() if line.strip()]
    if answer.status == 200 and lines[:1] == ["ready"]:
        return Checked(True, f"{named} is ready", facts)
    if answer.status == 503 and lines:
        return Checked(False, f"{named} is not well: {'; '.join(lines)}"[:_SHOWN], facts)
    return Checked(False, f"{named} is not what answers there: {answer.status} for /readyz", facts)


class PeerProbe(Probed):
    """Asks another Tocsin whether it is well."""

    what = "a peer probe"
    peer = Field(URL, "The other Tocsin's address; its /readyz is asked.", required=True)

    def looks_at(self, findings: Findings) -> Looks:
        """A URL."""
        return self.peer or "", {}

    def named(self, kind: str, target: str) -> str:
        """The URL without its query, which may hold a token."""
        return url_named(kind, target)


PROBE = PeerProbe
