"""How whoever did something is called: one wording for the timeline, the pages, the command line and ``why``."""

from __future__ import annotations

from collections.abc import Mapping

THIS_MACHINE = "this machine"
"""The name of the token in the data folder, by which the command line on the server's own machine gets in."""

_THROUGH = " (token "
_HERE = "Tocsin's command line"


def by_token(actor: str, token: str) -> str:
    """A user's actor when a named token of theirs does it: ``person:ana (token ci)``. It is still Ana who does it."""
    return f"{actor}{_THROUGH}{token})"


def person_of(actor: str) -> str:
    """The person of the plan an actor is, by themselves or by a token of theirs; "" for everybody else."""
    kind, _, name = actor.partition(":")
    return name.partition(_THROUGH)[0] if kind == "person" else ""


def same(one: str, other: str) -> bool:
    """Whether two actors are one: a person is who they are, whichever token of theirs was used."""
    return one == other or (person_of(one) == person_of(other) != "")


def called(actor: str, names: Mapping[str, str] | None = None) -> str:
    """An actor as people say it: ``Ana Ribeiro`` for ``person:ana``, ``deploys (token)`` for ``token:deploys``, ``Ana
    Ribeiro (token ci)`` for what Ana's token did in her name.

    ``names``: the names of the plan's people by their keys. What is no actor (a silence's author) stays as it is;
    "" is nobody.
    """
    kind, _, name = actor.partition(":")
    match kind:
        case "person":
            key, by, token = name.partition(_THROUGH)
            through = f" ({_HERE})" if token == f"{THIS_MACHINE})" else f"{by}{token}"
            return f"{(names or {}).get(key, key)}{through}"
        case "user" | "source":
            return name
        case "token":
            return _HERE if name == THIS_MACHINE else f"{name} (token)"
        case "signal":
            return f"{name} (signal)"
        case "key" | "page" | "trigger":
            return f"{kind} {name}"
        case "code":
            return "Tocsin"
    return actor
