"""What a core is put together from, and the plan it begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tocsin.engine.commands import DeclareKeys
from tocsin.intake.request import Source
from tocsin.pages.message import Channel
from tocsin.plan.model import Plan
from tocsin.runtime.calendars import Calendars
from tocsin.runtime.clock import Clock
from tocsin.runtime.probing import Prober
from tocsin.runtime.running import Runner
from tocsin.store.writer import Store


class PlanRead:
    """A plan as read from its folder: the plan or None, its files, and its findings as texts.

    ``refused``: what is wrong with the folder, when this is the last good plan in its stead.
    """

    def __init__(
        self,
        plan: Plan | None,
        files: Mapping[str, bytes],
        findings: tuple[str, ...],
        ok: bool,
        refused: tuple[str, ...] = (),
    ) -> None:
        self.plan = plan
        self.files = files
        self.findings = findings
        self.ok = ok
        self.refused = refused


class Parts:
    """The real parts a core is put together from. The wiring picks them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        sources: Mapping[str, Source],
        read_plan: Callable[[], PlanRead],
        declared_keys: Callable[[Plan], DeclareKeys],
        channels: Callable[[Plan], Mapping[str, Channel]],
        prober: Callable[..., Prober],
        calendars: Callable[..., Calendars],
        signing_key: bytes,
        public_url: str,
        paging: bool,
        outside: Callable[[str], object],
        ballast: Path,
        runner: Runner | None = None,
        secret: Callable[[str], str] = str,
        plan_folder: str = "",
    ) -> None:
        self.store = store
        self.clock = clock
        self.sources = sources
        self.read_plan = read_plan
        self.declared_keys = declared_keys
        self.channels = channels
        self.prober = prober
        self.calendars = calendars
        self.signing_key = signing_key
        self.public_url = public_url
        self.paging = paging
        self.outside = outside
        self.ballast = ballast
        self.runner = runner
        self.secret = secret
        self.plan_folder = plan_folder
