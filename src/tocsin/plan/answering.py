"""Which playbooks answer for which service, and the systems they may work on: names looked up, oddities reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tocsin.catalog.services import Service
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed, Position
from tocsin.plan import schema as written
from tocsin.plan.model import Plan
from tocsin.plan.names import Names
from tocsin.plan.reach import Reached, said_of, system_of
from tocsin.playbooks.checklist import Checklist
from tocsin.playbooks.manifest import Manifest, Unless
from tocsin.playbooks.targets import Target

_OTHER = "{kind: %s, look with: secret:NAME, fix with: secret:NAME}"
_EXAMPLES = {
    "redis": "{redis: secret:NAME, fix with: secret:NAME}",
    "postgres": "{postgres: secret:NAME, fix with: secret:NAME}",
    "process": "{process: /run/it.pid, command: what it runs, restart with: supervisor}",
    "folder": "{folder: /var/log/it, delete: ['*.log.*']}",
}
_WHERE = "it belongs into the plan's folder playbooks/, as a *.py, *.yaml or *.md file"
_EXAMPLES |= {
    "ssh": "{ssh: {host: web-1, user: watcher, host key: ssh-ed25519 …}, look with: secret:NAME}",
    "http": "{http: {at: 'http://web-1:8080/health', restart: [systemctl, restart, web]}}",
    "haproxy": "{haproxy: {socket: /run/haproxy/admin.sock, server: web/web-1, drain: on}}",
    "supervisor": "{supervisor: {at: /run/supervisor.sock, program: web, restart: on}}",
    "systemd": "{systemd: {unit: web.service, restart: on}}",
    "dial": "{dial: {url: 'http://…', least: 2, usual: 3, most: 10}}",
}
_FIXING = {"process": "restart with: supervisor", "folder": "delete: ['*.log.*']"}
_FIXING |= {"http": "restart: [...]", "haproxy": "drain: on", "supervisor": "restart: on", "systemd": "restart: on"}
Written = Iterable[tuple[written.PlanFile, Placed[str], written.Service]]


class Answering:
    """What the plan's code declares, and what its services say of it."""

    def __init__(
        self, playbooks: Sequence[Manifest], checklists: Sequence[Checklist], complete: bool, findings: Findings
    ) -> None:
        self._findings = findings
        self.playbooks = {one.name: one for one in playbooks}
        self._names = Names("playbook", complete, findings)
        self.checklists = {one.name: one for one in checklists}
        self._all: list[Manifest | Checklist] = [*playbooks, *checklists]
        for one in self._all:
            self._names.define(Placed(one.name, _at(one)))
        self._places: dict[tuple[str, str], Position] = {}

    def read(
        self, services: Written, known: Mapping[str, Service]
    ) -> tuple[dict[str, tuple[str, ...]], tuple[Target, ...]]:
        """The playbooks of each service in their order, and all targets."""
        answers: dict[str, tuple[str, ...]] = {}
        targets: list[Target] = []
        for _, (service, _), one in services:
            for written_name in one.playbooks or ():
                self._places.setdefault((service, written_name.value), written_name.at)
            hint = "" if self.playbooks or self.checklists else _WHERE
            names = dict.fromkeys(self._names.known(said, hint) for said in one.playbooks or ())
            if names:
                answers[service] = tuple(names)
            reached = Reached(service, {name: it for (name, _), it in one.targets or () if it}, self._findings)
            for (name, _), target in one.targets or ():
                if target is not None:
                    targets.append(_target(service, name, target, reached))
        self._check_unless(known)
        self._check_buttons(answers)
        return answers, tuple(targets)

    def check_handed(self, escalations: Mapping[str, object], complete: bool) -> None:
        """Those that code hands over to have to be there: nobody would hear of it."""
        for one in self.playbooks.values():
            if one.hand_over_to and one.hand_over_to not in escalations and complete:
                hint = self._findings.nearest(one.hand_over_to, escalations)
                what = f"{one.name} hands over to an unknown escalation {shown(one.hand_over_to)}"
                self._findings.error(_at(one), what, hint)

    def _check_unless(self, known: Mapping[str, Service]) -> None:
        for one in self.playbooks.values():
            for guard in one.guards:
                if isinstance(guard, Unless) and guard.service not in known and self._names.complete:
                    hint = self._findings.nearest(guard.service, known)
                    self._findings.error(_at(one), f"{one.name} names an unknown service {shown(guard.service)}", hint)

    def _check_buttons(self, answers: Mapping[str, tuple[str, ...]]) -> None:
        """A step's button runs a playbook that every service with the checklist uses."""
        for one in self.checklists.values() if self._names.complete else ():
            using = [service for service, names in answers.items() if one.name in names]
            for item in one.items:
                at = Position(one.file, item.line, 1)
                if item.playbook and item.playbook not in self.playbooks:
                    hint = self._findings.nearest(item.playbook, self.playbooks)
                    self._findings.error(at, f"this step runs an unknown playbook {shown(item.playbook)}", hint)
                elif item.playbook:
                    for service in (name for name in using if item.playbook not in answers[name]):
                        hint = f"add it: playbooks: [{', '.join((*answers[service], item.playbook))}]"
                        self._findings.error(at, f"{service} does not use the playbook {item.playbook}", hint)

    def warn(self, plan: Plan) -> None:
        """Say what will probably surprise."""
        used = {name for names in plan.answers.values() for name in names}
        for one in self._all:
            if one.name not in used:
                kind = "checklist" if one.name in self.checklists else "playbook"
                hint = f"name it with a service: playbooks: [{one.name}]"
                self._findings.warning(_at(one), f"no service uses the {kind} {shown(one.name)}", hint)
        self._tell_of_order(plan)
        self._tell_of_strays(plan)
        for (service, name), at in self._places.items():
            manifest = plan.playbooks.get(name)
            for param in manifest.targets if manifest else ():
                there = [t for t in plan.targets if t.service == service and t.kind == param.kind]
                if not there:
                    message = f"{name} works on a {param.kind} target, and {service} has none: it will not run"
                    hint = f"add targets: {{main: {_EXAMPLES.get(param.kind, _OTHER % param.kind)}}}"
                    self._findings.warning(at, message, hint)
                elif manifest is not None and manifest.fixes and all(not one.fixing for one in there):
                    message = f"{name} fixes, and no {param.kind} target of {service} says with what"
                    hint = f"add `{_FIXING.get(param.kind, 'fix with: secret:NAME')}`, or it will only look"
                    self._findings.warning(at, message, hint)


    def _tell_of_strays(self, plan: Plan) -> None:
        """Alerts that a playbook names, and whose target it will not find although there are some."""
        for one in plan.covered():
            at = self._places.get((one.service, one.named))
            kinds = {param.kind for param in plan.playbooks[one.named].targets} if at is not None else set()
            if at is not None and all(plan.bindings.group(one.service, kind) for kind in kinds):
                hint = f"tocsin playbook dry-run {one.named} --label … shows what it would work on"
                self._findings.warning(at, f"nothing answers {one.rule}: {one.why}", hint)

    def _tell_of_order(self, plan: Plan) -> None:
        """Two that answer the very same alerts: one of them runs."""
        for service, names in plan.answers.items():
            first: dict[object, str] = {}
            for one in (plan.playbooks[name] for name in names if name in plan.playbooks):
                for group in one.answers if not one.predicate else ():
                    before = first.setdefault((frozenset(map(str, group)), one.severities), one.name)
                    if before != one.name:
                        what = " ".join(map(str, group))
                        message = f"{before} and {one.name} both answer {what} for {service}: {before} comes first"
                        hint = f"{one.name} runs when {before} may not; one of them is at work at a time"
                        self._findings.notice(self._places[service, one.name], message, hint)


def _at(one: Manifest | Checklist) -> Position:
    return Position(one.file, one.line, 1)


def _target(service: str, name: str, said: written.Target, reached: Reached) -> Target:
    kind, reading, fixing = reached.reference(name, said) or _plainly(said, reached)
    match = said.match or ()
    says, may = said_of(kind, reading, fixing, match)
    return Target(
        service=service, name=name, kind=kind, reading=reading, fixing=fixing, match=match,
        system=system_of(kind, reading), says=says, may=may,
    )  # fmt: skip


def _plainly(said: written.Target, reached: Reached) -> tuple[str, str, str]:
    """Kind, looking and fixing reference of a target whose address is a secret, or that lies in files."""
    kind, reading, fixing = said.kind or "", said.look_with or "", said.fix_with or ""
    if said.redis:
        kind, reading = "redis", said.redis
    elif said.postgres:
        kind, reading = "postgres", said.postgres
    elif said.process:
        there: dict[str, object] = {"pidfile": said.process, "command": said.command, "health": said.health or ""}
        kind, reading = "process", reached.there(there, said.on, fixing=False)
        again = {"restart": said.restart_with}
        fixing = reached.there(there | again, said.on, fixing=True) if said.restart_with else ""
    elif said.folder:
        patterns = said.delete or ()
        seen: dict[str, object] = {"folder": said.folder, "delete": patterns}
        kind, reading = "folder", reached.there(seen, said.on, fixing=False)
        more = {"rotate": said.rotate} if said.rotate else {}
        fixing = reached.there(seen | more, said.on, fixing=True) if patterns or said.rotate else ""
    return kind, reading, fixing
