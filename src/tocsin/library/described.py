"""What the plan itself says of a system, as its target's credential brings it into a step."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from tocsin.playbooks import language
from tocsin.playbooks.language import Target

D = TypeVar("D", bound=Struct)


class Trouble(Exception):
    """What was asked for could not be done; the message says why."""


class Refused(Trouble, language.Refused):
    """It was not begun: nothing was changed."""


def described(target: Target, kind: type[D], example: str) -> D:
    """The description of a target. Raises ValueError for a target of another kind; LookupError outside of a step."""
    text = target.credential
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError:
        raise ValueError(f"{target.name} is not described in the plan: write {example}") from None
