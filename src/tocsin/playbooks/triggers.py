"""Triggers: keys with which another program has one playbook run. What it may say of the run stands in the plan."""

from __future__ import annotations

from msgspec import Struct

SOURCE = "trigger"
"""The kind of key that pulls a trigger. It is no monitor's: no door takes it."""


class Trigger(Struct, frozen=True, kw_only=True):
    """One trigger of a service. ``targets``: parameter to target's name, where labels are not to tell which is meant.

    ``takes``: the playbook's other parameters that the sender may set.
    """

    service: str
    name: str
    playbook: str
    targets: dict[str, str] = {}
    takes: tuple[str, ...] = ()
