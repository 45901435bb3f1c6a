"""Targets: the systems of a service that a playbook may be bound to. A target's name, with its service, is its lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from tocsin.kernel.matcher import Matcher, all_match
from tocsin.playbooks.manifest import Manifest


class Target(Struct, frozen=True, kw_only=True):
    """One system. ``reading`` and ``fixing`` are references such as ``secret:cart_ro``, never what they name; or what
    the plan itself says of a system, as ``here`` makes it: no secret is in it, only the names of secrets may be.

    ``match``: the alerts that are about it; () when every alert of the service may be. ``fixing`` "" when nothing may
    be changed on it.
    """

    service: str
    name: str
    kind: str
    reading: str
    fixing: str = ""
    match: tuple[Matcher, ...] = ()

    @property
    def lock(self) -> str:
        """What two runs may not hold at once."""
        return f"{self.service}/{self.name}"


HERE = "here:"


def here(said: Mapping[str, object], secrets: Mapping[str, str] | None = None) -> str:
    """The reference of a system that the plan itself describes. ``secrets``: what is beside that and not in the plan,
    such as ``{"key": "secret:web_ro"}``; the step that may use them finds their texts under ``secrets``.
    """
    beside = {"secrets": dict(secrets)} if secrets else {}
    return HERE + msgspec.json.encode(dict(said) | beside, order="deterministic").decode()


def credential(reference: str, secret: Callable[[str], str]) -> str:
    """What a reference stands for. Raises what ``secret`` does for one that names a secret."""
    if not reference.startswith(HERE):
        return secret(reference)
    text = reference.removeprefix(HERE)
    if '"secrets":' not in text:
        return text
    said = msgspec.json.decode(text, type=dict[str, Any])
    said["secrets"] = {name: secret(one) for name, one in said.get("secrets", {}).items()}
    return msgspec.json.encode(said, order="deterministic").decode()


def secrets_in(credential: str) -> tuple[str, ...]:
    """The secrets that a target's credential holds beside what the plan says; () for one that is all secret."""
    if not credential.startswith("{"):
        return ()
    try:
        return tuple(msgspec.json.decode(credential, type=_Held).secrets.values())
    except msgspec.MsgspecError:
        return ()


class _Held(Struct):
    secrets: dict[str, str] = {}


class Unbound(Struct, frozen=True):
    """Why no target could be found for a playbook, as a sentence."""

    why: str


def bind(
    manifest: Manifest,
    service: str,
    targets: Iterable[Target],
    labels: Mapping[str, str] | None,
    wanted: Mapping[str, str] | None = None,
) -> dict[str, str] | Unbound:
    """Which target each parameter gets: the one named in ``wanted``, else the one whose matchers meet the labels.

    ``labels`` None: no alert is there to tell targets apart, so there must be one of the kind alone.
    """
    there = [one for one in targets if one.service == service]
    bound: dict[str, str] = {}
    known = [param.name for param in manifest.targets]
    stray = next((name for name in wanted or {} if name not in known), None)
    if stray is not None:
        return Unbound(f"{manifest.name} has no target {stray}; it has {' and '.join(known) or 'none'}")
    for param in manifest.targets:
        named = (wanted or {}).get(param.name)
        kind = [one for one in there if one.kind == param.kind]
        if named is not None:
            if all(one.name != named for one in kind):
                return Unbound(f"{service} has no {param.kind} target {named}")
            bound[param.name] = named
            continue
        about = [one for one in kind if labels is None or all_match(one.match, labels)]
        if not about:
            which = "that this alert is about" if kind else "at all"
            return Unbound(f"{service} has no {param.kind} target {which}")
        if len(about) > 1:
            names = " and ".join(one.name for one in about[:3])
            if labels is None:
                return Unbound(f"{service} has {names}: say which is meant")
            return Unbound(f"{names} of {service} are both meant by this alert: their match must tell them apart")
        bound[param.name] = about[0].name
    return bound
