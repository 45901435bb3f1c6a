"""Targets: the systems of a service that a playbook may be bound to. A target's name, with its service, is its lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct

from tocsin.kernel.matcher import Matcher, all_match
from tocsin.playbooks.manifest import Manifest


class Target(Struct, frozen=True, kw_only=True):
    """One system. ``reading`` and ``fixing`` are references such as ``secret:cart_ro``, never what they name; or what
    the plan itself says of a system on this machine, as ``here`` makes it: no secret is in it.

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


def here(said: Mapping[str, object]) -> str:
    """The reference of a system on this machine that needs no secret: all that reaches it stands in the plan."""
    return HERE + msgspec.json.encode(said, order="deterministic").decode()


def credential(reference: str, secret: Callable[[str], str]) -> str:
    """What a reference stands for. Raises what ``secret`` does for one that names a secret."""
    return reference.removeprefix(HERE) if reference.startswith(HERE) else secret(reference)


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

    A target that is called as one of several parameters of its kind is meant by that one, and by no other.
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
        meant = _called(manifest, param.kind, kind)
        kind = [one for one in kind if meant.get(one.name, param.name) == param.name]
        about = [one for one in kind if labels is None or all_match(one.match, labels)]
        about = [one for one in about if one.name in meant] or about
        if not about:
            which = "that this alert is about" if kind else "at all"
            return Unbound(f"{service} has no {param.kind} target {which}")
        if len(about) > 1:
            names = " and ".join(one.name for one in about[:3])
            if labels is None:
                return Unbound(f"{service} has {names}: say which is meant")
            return Unbound(f"{names} of {service} are both meant by this alert: their match must tell them apart")
        if about[0].name in bound.values():
            return Unbound(f"{service} has {about[0].name} alone for two of {manifest.name}'s targets: name another")
        bound[param.name] = about[0].name
    return bound


def _called(manifest: Manifest, kind: str, there: Iterable[Target]) -> dict[str, str]:
    """Of the targets of a kind, those that are called as a parameter, where several parameters are of that kind."""
    params = {param.name for param in manifest.targets if param.kind == kind}
    return {one.name: one.name for one in there if one.name in params and len(params) > 1}
