"""Code of ours that is asked something where the plan says: in this process, or by the ``python3`` of another machine.

What is carried is a module that needs nothing but Python's own library and has ``answer``. Its text and the question go
over SSH on standard input, so that the command line is the same for every question and no word of it comes from data.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.library.described import Trouble

if TYPE_CHECKING:
    from tocsin.library.ssh import Reach

WITHIN = 90
"""Seconds an answer from another machine may take, besides what it waits for itself."""
MOST_ANSWERED = 4 * 1024 * 1024
"""Bytes of one."""
_THERE = (
    "import json,sys;code,asked=sys.stdin.buffer.read().split(bytes(1),1);here={'__name__':'carried'};"
    "exec(compile(code,'carried.py','exec'),here);print();print(json.dumps(here['answer'](json.loads(asked.decode()))))"
)
"""What python3 is told there. It never changes: code and question come on its standard input."""


def machine(on: Mapping[str, Any] | None) -> Reach | None:
    """The machine that the plan names; None: this one. Imports the client for SSH only for another one."""
    if on is None:
        return None
    from tocsin.library.ssh import Reach

    return msgspec.convert(on, Reach)


def ask(
    module: ModuleType, on: Mapping[str, Any] | None, secrets: Mapping[str, str], asked: dict[str, Any], waits: float
) -> dict[str, Any]:
    """What a module answers. ``waits``: seconds it takes its time. Raises Trouble when it cannot say."""
    reach = machine(on)
    found = module.answer(asked) if reach is None else _far(module, reach, secrets["key"], asked, waits)
    if "fault" in found:
        raise Trouble(found["fault"])
    return dict(found)


def _far(module: ModuleType, reach: Reach, key: str, asked: dict[str, Any], waits: float) -> dict[str, Any]:
    from tocsin.library import ssh

    told = inspect.getsource(module).encode() + b"\0" + msgspec.json.encode(asked)
    argv, within = ("python3", "-I", "-c", _THERE), f"{WITHIN + round(waits)}s"
    said = ssh.carry_out(reach, key, argv, within, feed=told, keep=MOST_ANSWERED)
    if said.code == 127:
        raise Trouble(f"{reach.host} has no python3, which is what is asked there")
    if said.code != 0 or said.cut:
        raise Trouble(f"{reach.host} could not say: {'it said too much' if said.cut else said}")
    try:
        # Whatever the user's shell says of itself comes before.
        return msgspec.json.decode(said.out.rstrip("\n").rpartition("\n")[2], type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Trouble(f"{reach.host} answered something else: {said.out[-200:]!r}") from None
