"""What people write in a chat, or put under a message, to say that they have it."""

from __future__ import annotations

import re

_YES = re.compile(r"(?i)(ack(nowledged?)?|got it|on it|mine|👍|✅|✔)[.!]?")
_AGREED = re.compile(r"(?i)(ok(ay)?|yes|on my way|omw)[.!]?")
_LOOKS = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]")
"""What only changes how an emoji looks: its presentation and the colour of its skin."""


def says_yes(text: str) -> bool:
    """Whether that is all they say: ``ack``, ``Got it!``, ``👍🏽``."""
    return bool(_YES.fullmatch(_LOOKS.sub("", text.strip())))


def agrees(text: str) -> bool:
    """Whether that is all they say where nobody but Tocsin reads it: ``ok`` and ``on my way`` as well."""
    return says_yes(text) or bool(_AGREED.fullmatch(text.strip()))
