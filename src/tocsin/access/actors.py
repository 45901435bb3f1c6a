"""How whoever did something is called: one wording for the timeline, the pages, the command line and ``why``."""

from __future__ import annotations

from collections.abc import Mapping

THIS_MACHINE = "this machine"
"""The name of the token in the data folder, by which the command line on the server's own machine gets in."""


def called(actor: str, names: Mapping[str, str] | None = None) -> str:
    """An actor as people say it: ``Ana Ribeiro`` for ``person:ana``, ``deploys (token)`` for ``token:deploys``.

    ``names``: the names of the plan's people by their keys. What is no actor (a silence's author) stays as it is;
    "" is nobody.
    """
    kind, _, name = actor.partition(":")
    match kind:
        case "person":
            return (names or {}).get(name, name)
        case "user" | "source":
            return name
        case "token":
            return "Tocsin's command line" if name == THIS_MACHINE else f"{name} (token)"
        case "signal":
            return f"{name} (signal)"
        case "key" | "page" | "trigger":
            return f"{kind} {name}"
        case "code":
            return "Tocsin"
    return actor
