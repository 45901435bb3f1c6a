"""Tocsin: hears monitors, judges what they say, and wakes a person only when it must."""

from __future__ import annotations

import zoneinfo

__version__ = "0.1.0"

# Zone data is part of the release (the package tzdata), never the machine's: everything that knows clocks, be it a
# shift, somebody's quiet hours or a time in a message, means the same instant on every node.
zoneinfo.reset_tzpath(to=())
