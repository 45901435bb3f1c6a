"""Secrets that may stand in what systems answer: too short, or the very name of a user or a database."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from tocsin.notation.findings import Finding
    from tocsin.plan.model import Plan
    from tocsin.settings import Settings

SHORTEST = 8


def weak_secrets(settings: Settings, plan: Plan, files: Mapping[str, bytes]) -> list[Finding]:
    """Notices, each where the plan names the secret first. Of those alone that can be had here."""
    from tocsin.playbooks.targets import secrets_of

    held = (text for one in plan.targets for way in (one.reading, one.fixing) for text in secrets_of(way))
    named = [one for one in held if one.startswith("secret:")]
    named += [one.target for one in plan.probes if one.target.startswith("secret:")]
    found = []
    for reference in dict.fromkeys(named):
        try:
            text = settings.secret(reference)
        except (LookupError, OSError, ValueError):
            continue  # that is told elsewhere
        why = _why_weak(text)
        if why:
            found.append(_finding(reference, why, files))
    return found


def _why_weak(text: str) -> str:
    """What about a secret makes it a word that may stand in data; "" when nothing does."""
    word, names = text.strip(), dict[str, str]()
    if "://" in text:
        try:
            address = urlsplit(text)
        except ValueError:
            return ""  # no address: what it is looked at with says so
        word = unquote(address.password or "")
        names = {"user": address.username or "", "database": address.path.strip("/")}
    if not word:
        return ""
    called = next((what for what, name in names.items() if name and unquote(name).casefold() == word.casefold()), "")
    if called:
        return f"is called as its {called}"
    return f"has fewer than {SHORTEST} characters" if len(word) < SHORTEST else ""


def _finding(reference: str, why: str, files: Mapping[str, bytes]) -> Finding:
    from tocsin.notation.findings import Finding

    what = f"the password of {reference} {why}: where it stands in what is looked at, people read it left out"
    hint = "have a longer one made that is no word"
    whole = re.compile(rf"{re.escape(reference)}(?![\w.\-])".encode())
    for name in sorted(files):
        if name.endswith((".yaml", ".yml")):
            for number, line in enumerate(files[name].splitlines(), 1):
                if (at := whole.search(line)) is not None:
                    return Finding("notice", name, number, at.start() + 1, what, hint)
    return Finding("notice", min(files, default=""), 1, 1, what, hint)
