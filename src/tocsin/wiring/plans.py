"""A plan as this machine has it: its folder read, and what the files alone cannot tell, its secrets and clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.secrets_command import LONGEST
from tocsin.settings import Settings
from tocsin.wiring.weak import weak_secrets

if TYPE_CHECKING:
    from tocsin.engine.commands import DeclareKeys
    from tocsin.intake.specs import KeySpec
    from tocsin.notation.findings import Finding
    from tocsin.plan.model import Plan
    from tocsin.runtime.parts import PlanRead
    from tocsin.store.writer import Store

CLIENTS = {"redis": ("redis", "Redis"), "postgres": ("psycopg", "PostgreSQL"), "ssh": ("asyncssh", "SSH")}
"""The package that a kind of target is reached with, and what it is for. The extra is called as the kind."""
STAYS = "until then the key in use stays in use"


def plan_reader(settings: Settings, within: float = LONGEST, confining: bool = True) -> Callable[[], PlanRead]:
    """A reader of the plan folder. ``within``: seconds that the secrets command has for all it is asked. ``confining``:
    whether it is tried how playbooks are confined, which takes its time as well.
    """
    from tocsin.plan import read_plan
    from tocsin.plan.folder import PlanFolderError
    from tocsin.runtime.clock import SystemClock
    from tocsin.runtime.parts import PlanRead

    def read() -> PlanRead:
        try:
            files = plan_files(settings.plan_folder)
        except PlanFolderError as error:
            return PlanRead(None, {}, (str(error),), ok=False)
        reading = read_plan(files, SystemClock().now())
        findings = [str(finding) for finding in reading.findings]
        if reading.plan is not None:
            findings += missing_secrets(settings, reading.plan, within=within) + missing_clients(reading.plan)
            tried = unconfinable(reading.plan, files, settings) if confining else []
            findings += [f"warning: {one.message} ({one.hint})" for one in tried]
            findings += map(str, weak_secrets(settings, reading.plan, files))
            unusable, away = keys_without(settings, reading.plan)
            findings += [*unusable, *away]
            return PlanRead(reading.plan, files, tuple(findings), ok=not unusable)
        return PlanRead(reading.plan, files, tuple(findings), ok=False)

    return read


def plan_files(folder: Path) -> dict[str, bytes]:
    """A plan's files, with what its playbooks declare. Raises PlanFolderError."""
    from tocsin.plan.composing import with_composed
    from tocsin.plan.folder import load_folder
    from tocsin.playbooks.runner.reading import with_manifest

    return with_manifest(with_composed(load_folder(folder)))


def files_in_force(store: Store) -> Mapping[str, bytes] | None:
    """The files of the plan that was in force last, as the database keeps them; None when it has none."""
    return store.plan_files((store.meta("plan") or b"").decode())


def last_good(
    settings: Settings, files: Mapping[str, bytes] | None, refused: tuple[str, ...], within: float = LONGEST
) -> PlanRead:
    """The plan that was in force last, of these files, in the stead of one that is ``refused``. Keys of it that cannot
    be had now stay as they are. ``within``: as for ``plan_reader``; what was asked just now is not again.
    """
    from tocsin.plan import read_plan
    from tocsin.runtime.parts import PlanRead

    plan = read_plan(files).plan if files is not None else None
    if files is None or plan is None:
        return PlanRead(None, {}, refused, ok=False)
    unusable, away = keys_without(settings, plan, f"warning: {{}}; {STAYS}")
    findings = (*missing_secrets(settings, plan, anew=False, within=within), *unusable, *away)
    return PlanRead(plan, files, findings, ok=True, refused=refused)


def named_secrets(plan: Plan) -> list[str]:
    """The references of all secrets that a plan names, but those of its keys, each once."""
    from tocsin.playbooks.targets import secrets_of

    named = [plan.mail.password] if plan.mail and plan.mail.password else []
    named += [person.webhook.secret for person in plan.people.values() if person.webhook]
    named += [text for one in plan.channels.values() for text in one.values() if text.startswith("secret:")]
    named += [one.url for one in plan.calendars.values() if one.url.startswith("secret:")]
    named += [probe.target for probe in plan.probes if probe.target.startswith("secret:")]
    held = (text for one in plan.targets for way in (one.reading, one.fixing) for text in secrets_of(way))
    named += [text for text in held if text.startswith("secret:")]
    named += [at for person in plan.people.values() for _, at in person.reach if at.startswith("secret:")]
    named += [one.address for one in plan.loops if one.address.startswith("secret:")]
    return list(dict.fromkeys(named))


def missing_secrets(settings: Settings, plan: Plan, *, anew: bool = True, within: float = LONGEST) -> list[str]:
    """Secrets that pages need and that this machine does not have, as warnings. The files alone cannot tell.

    Has the secrets command asked for all that the plan names: see ``Settings.ask_for``.
    """
    named = named_secrets(plan)
    settings.ask_for([*named, *(one.secret for one in plan.keys)], anew=anew, within=within)
    found = []
    for reference in named:
        try:
            settings.secret(reference)
        except (LookupError, OSError, ValueError) as error:
            found.append(f"warning: {error.args[0] if error.args else error}; until then what needs it fails")
    stale = {one: settings.stale(one) for one in (*named, *(one.secret for one in plan.keys))}
    used = "; the last answer is used"
    found += [f"warning: {one} was not to be had anew: {why}{used}" for one, why in stale.items() if why]
    return found


def missing_clients(plan: Plan) -> list[str]:
    """Packages that probes and playbooks need and that this machine does not have, as warnings."""
    from importlib.util import find_spec

    from tocsin.intake import probes
    from tocsin.playbooks.targets import said

    hand_over = "; until then playbooks that need it hand over"
    wanted = {one.kind for one in plan.probes} | {one.kind for one in plan.targets}
    missing = [why for kind in probes.KINDS if kind in wanted and (why := probes.missing(kind))]
    found = [f"warning: {one}; until then probes of it fire and playbooks hand over" for one in missing]
    certificates = any(one.kind == "http" and said(one.reading).get("certificate") for one in plan.targets)
    if "ssh" in wanted and find_spec("asyncssh") is None:
        found.append(f"warning: the client for SSH is not there: pip install 'tocsin[ssh]'{hand_over}")
    if certificates and find_spec("cryptography") is None:
        found.append(f"warning: certificates cannot be read here: pip install 'tocsin[http]'{hand_over}")
    return found


def without_clients(plan: Plan) -> list[Finding]:
    """Playbooks that a service uses and whose targets' client is not on this machine; another one may have it."""
    from importlib.util import find_spec

    from tocsin.notation.findings import Finding
    from tocsin.playbooks.targets import said

    found = []
    for name, one in plan.playbooks.items():
        kinds = {param.kind for param in one.targets}
        using = {service for service, names in plan.answers.items() if name in names}
        works_on = [it for it in plan.targets if it.kind in kinds and it.service in using]
        needed = {it.kind for it in works_on}
        if any("on" in said(way) for it in works_on for way in (it.reading, it.fixing)):
            needed.add("ssh")  # by which the machine it is on is reached
        for kind in sorted(needed & CLIENTS.keys()):
            package, client = CLIENTS[kind]
            if find_spec(package) is None:
                what = f"{name} needs the client for {client}, which is not on this machine: it would hand over at once"
                hint = f"where Tocsin runs: pip install 'tocsin[{kind}]'"
                found.append(Finding("notice", one.file, one.line, 1, what, hint))
    return found


def keys_without(settings: Settings, plan: Plan, unusable: str = "error: {}") -> tuple[list[str], list[str]]:
    """Keys a plan declares whose secret is none on this machine, and those whose secret may be had in a while; said as
    findings, the former in the words of ``unusable``.
    """
    from tocsin.kernel.secret import SecretAway

    wrong, away = [], []
    for spec in plan.keys:
        try:
            _key_text(settings, spec)
        except SecretAway as error:
            away.append(f"warning: {error.args[0]}; {STAYS}")
        except ValueError as error:
            wrong.append(unusable.format(error.args[0]))
    return wrong, away


def declared_keys(settings: Settings, plan: Plan) -> DeclareKeys:
    """The keys a plan declares, by the hashes of their secrets; those whose secret cannot be had stay as they are."""
    from tocsin.access.credentials import secret_hash
    from tocsin.access.limits import KeyLimits
    from tocsin.engine.commands import DeclareKeys

    keys, limits, kept, secrets, away = [], {}, [], {}, []
    for spec in plan.keys:
        try:
            text = _key_text(settings, spec)
        except (LookupError, ValueError):
            kept.append((spec.source, spec.service, spec.name))
            away.append(spec.secret)
            continue
        keys.append((secret_hash(text), text[-4:], spec.source, spec.service, spec.name))
        secrets[secret_hash(text)] = spec.secret
        if spec.limits != KeyLimits():
            limits[secret_hash(text)] = spec.limits
    return DeclareKeys(
        actor="plan", keys=tuple(keys), limits=limits, kept=tuple(kept), secrets=secrets, away=tuple(away)
    )


def _key_text(settings: Settings, spec: KeySpec) -> str:
    """The text of a key. Raises SecretAway when it may be had in a while, ValueError when this machine has none."""
    from tocsin.kernel.secret import SecretAway

    name = f"the key {spec.name} of {spec.service}"
    try:
        text = settings.secret(spec.secret)
    except SecretAway as error:
        raise SecretAway(f"{name}: {error.args[0]}") from None
    except LookupError as error:
        raise ValueError(f"{name}: {error.args[0]}") from None
    if len(text) < 16:
        raise ValueError(f"{name} has fewer than 16 characters: make a random one of 32")
    return text


def unconfinable(plan: Plan, files: Mapping[str, bytes], settings: Settings | None = None) -> list[Finding]:
    """Playbooks that cannot be confined on this machine as they ask, found by trying; another one may be able to.

    ``files``: the plan's. ``settings``: whose folders are kept from them, where that is known.
    """
    from tocsin.notation.findings import Finding
    from tocsin.playbooks.runner.confining import troubles
    from tocsin.playbooks.runner.importing import Imported, why_absent

    confined = [one for one in plan.playbooks.values() if one.confine is not None]
    ways = [one.confine for one in confined if one.confine is not None]
    came = troubles(ways, files, settings.own_folders if settings else ())
    found = []
    for one in confined:
        there = came[one.confine] if one.confine is not None else ""
        if isinstance(there, Imported) and one.name in there.declared:
            continue
        why, hint = there, "where Tocsin runs it has to be; until then its runs are not begun and a person is called"
        if isinstance(there, Imported):
            why = why_absent(there.failed, one.file)
            hint = "name what it needs in `confine`, or read it in a step; until then a person is called instead"
        found.append(Finding("notice", one.file, one.line, 1, f"{one.name} cannot be confined here: {why}", hint))
    return found
