"""The console: pages are printed where Tocsin runs, by ``terminal``. Never counts as reaching a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.pages.profile import Profile

if TYPE_CHECKING:
    from tocsin.pages.channels.setup import Setup
    from tocsin.pages.message import Channel


def _make(setup: Setup) -> Channel:
    from tocsin.pages.channels.terminal import Console

    return Console(setup)


PROFILE: Final = Profile(name="console", called="Console", by="on the console", make=_make, masked=str, real=False)
