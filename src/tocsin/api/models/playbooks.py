"""Playbooks, their runs and steps, as they are published and asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from tocsin.api.models.guards import PublishedGuard, guard_out
from tocsin.api.models.values import Moment, Name, moment
from tocsin.faces.coverage import Answered
from tocsin.kernel.instant import format_duration, format_rfc3339
from tocsin.playbooks.guards import guards_of, say_guard
from tocsin.playbooks.manifest import Manifest, Param, Rung
from tocsin.playbooks.resuming import Word
from tocsin.playbooks.run import Agreement, Outcome, Run, RunState, Step, StepState, Verb
from tocsin.playbooks.trust import Standing

MOST_RESULT = 20_000
"""Longer results are left out of what is published."""


class PublishedParam(Struct, frozen=True, kw_only=True):
    """What a playbook can be given: ``kind`` is text, number, whole number or flag. ``default``: JSON; "" for none."""

    name: str
    kind: str
    default: str


class PublishedPlaybook(Struct, frozen=True, kw_only=True):
    """A playbook, as it stands with one service.

    ``trust``: what it may do now; ``ceiling``: what it never goes above. ``held`` and ``failed``: runs since it came to
    this rung; ``agreed`` and ``differed``: of those that only watched, whether a person did what they would have done.
    ``next_at``: when its schedule starts it. ``rule_error``: why its rule came to no answer the last time it was asked,
    "" when it did. ``confined``: to what its runs are, in words; "" when they are not. ``params``: what it can be given
    beside its targets.
    """

    name: str
    service: str
    about: str
    file: str
    line: int
    answers: list[list[str]]
    guards: list[str]
    trust: Rung
    ceiling: Rung
    because: str
    held: int
    failed: int
    agreed: int
    differed: int
    hand_over_after: str
    hand_over_to: str
    targets: list[str]
    params: list[PublishedParam]
    schedule: str
    next_at: Moment | None
    rule_error: str
    confined: str


class PublishedAnswer(Struct, frozen=True, kw_only=True):
    """What answers an alert rule of a service.

    ``answer``: as the plan starts each playbook; ``now``: as it is trusted now; both act, ask, suggest, observe,
    checklist or nothing. ``playbook``: by which, "" by none. ``why``: why one that names it will not run for it, ""
    when none is held up so. ``incidents``: how many it opened in the last 90 days, ``last_at`` the last.
    """

    service: str
    rule: str
    answer: str
    playbook: str
    now: str
    why: str
    incidents: int
    last_at: Moment | None


class PublishedApproval(Struct, frozen=True, kw_only=True):
    """What a run waits to be told. ``default`` counts when nobody has answered by ``due``. ``step`` goes into the
    answer. ``fix``: the call that is asked about; ``does`` and ``undo``: what it does and how it is undone, in words.
    """

    step: int
    question: str
    choices: list[str]
    default: str
    due: Moment
    role: str
    fix: str
    does: str
    undo: str


class PublishedRun(Struct, frozen=True, kw_only=True):
    """A run. ``outcome`` is "" while it lives; ``findings`` are what whoever takes over has to know, of very
    many the first ten and the newest.

    ``continues``: the run it goes on with at ``from_step``, or repeats when that is 0, ``because`` a person said so;
    ``resumed``: the run that goes on with this one. ``taken_by`` works on its targets by hand until ``taken_until``, or
    until the incident is over. ``left_in_midst``: it left a change that nothing verified, and nobody has said anything
    of since: code asks before it changes that again. ``would``: the fix that one which only watches would have made,
    and whether that is what a person did (``agreement``: agreed, differed, or "" while nobody has said).
    ``advice``: what it suggests to do next. ``suspected``: the change out there that was the last before the trouble.
    ``measured``: what probes of the service measured, in words. ``took``: what it took from its guards, as they were
    when it was over; none when it changed nothing and did not fail.
    """

    number: int
    playbook: str
    service: str
    incident: int
    targets: dict[str, str]
    by: str
    trust: Rung
    state: RunState
    outcome: Outcome
    why: str
    started_at: Moment
    first_step_at: Moment | None
    deadline: Moment
    ended_at: Moment | None
    attempt: int
    approval: PublishedApproval | None
    approved_by: str
    continues: int
    from_step: int
    because: str
    resumed: int
    taken_by: str
    taken_until: Moment | None
    left_in_midst: bool
    would: str
    agreement: Agreement
    agreed_how: str
    findings: list[str]
    advice: str
    suspected: str
    measured: list[str]
    took: list[PublishedGuard]


class PublishedStep(Struct, frozen=True, kw_only=True):
    """A step of a run. ``result``: what it answered, when that is not too long to show."""

    ordinal: int
    verb: Verb
    function: str
    arguments: str
    state: StepState
    said: str
    error: str
    began_at: Moment
    ended_at: Moment | None
    samples: int
    result: Raw | UnsetType = UNSET


class RunSheet(PublishedRun, frozen=True, kw_only=True):
    """A run with its steps and what its process printed."""

    steps: list[PublishedStep]
    found: list[str]
    output: str


class StartRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Run a playbook for an incident, or for a service. ``targets``: parameter to target's name, where it must be said.

    ``args``: its other parameters, by name.
    """

    playbook: Name
    service: Annotated[str, Meta(max_length=200)] = ""
    incident: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    targets: dict[str, str] = {}
    args: dict[str, str | int | float | bool] = {}


class AnswerRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``yes`` or ``no`` to a fix, else one of the choices. ``step``: the one it asks at, as its ``approval`` says."""

    answer: Annotated[str, Meta(min_length=1, max_length=200)]
    step: Annotated[int, Meta(ge=1)]


Why = Annotated[str, Meta(min_length=1, max_length=300)]


class RepeatRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin it anew from the top. ``word``: ``again`` when changes that may have happened may be made again."""

    why: Why
    word: Literal["", "again"] = ""


class ContinueRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Go on at a step. ``word``: ``again`` when changes from there on that may have happened may be made again,
    ``done`` when the one before it is done.
    """

    step: Annotated[int, Meta(ge=1)]
    why: Why
    word: Word = ""


class TakeOverRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a person does it by hand."""

    why: Why


class CompareRunIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether what the run would have done is what was done; null takes back what was said. ``did``: what was, in your
    words.
    """

    same: bool | None
    did: Annotated[str, Meta(max_length=300)] = ""


class TrustIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a playbook is trusted to do for a service from now on, and why."""

    trust: Literal["observe", "suggest", "ask", "act"]
    why: Why


def answer_out(one: Answered) -> PublishedAnswer:
    """What answers a rule."""
    planned = one.planned
    return PublishedAnswer(
        service=planned.service,
        rule=planned.rule,
        answer=planned.answer,
        playbook=planned.playbook,
        now=one.now.answer,
        why=planned.why,
        incidents=one.came,
        last_at=moment(one.last),
    )


def playbook_out(manifest: Manifest, service: str, standing: Standing | None, rung: Rung) -> PublishedPlaybook:
    """A playbook as it stands with a service."""
    return PublishedPlaybook(
        name=manifest.name,
        service=service,
        about=manifest.about,
        file=manifest.file,
        line=manifest.line,
        answers=[[str(one) for one in group] for group in manifest.answers],
        guards=[say_guard(one) for one in guards_of(manifest)],
        trust=rung,
        ceiling=manifest.trust.ceiling,
        because=standing.because if standing else "where the plan starts it",
        held=standing.held if standing else 0,
        failed=standing.failed if standing else 0,
        agreed=standing.agreed if standing else 0,
        differed=standing.differed if standing else 0,
        hand_over_after=format_duration(manifest.hand_over_after),
        hand_over_to=manifest.hand_over_to,
        targets=[one.kind for one in manifest.targets],
        params=[_param_out(one) for one in manifest.params if not one.target],
        schedule=manifest.schedule,
        next_at=moment(standing.next_at) if standing else None,
        rule_error=standing.rule_error if standing else "",
        confined=str(manifest.confine) if manifest.confine else "",
    )


def _param_out(one: Param) -> PublishedParam:
    return PublishedParam(name=one.name, kind=one.kind, default=one.default)


def run_out(run: Run) -> PublishedRun:
    """A run."""
    return PublishedRun(**_fields(run))  # type: ignore[arg-type]  # the fields are its own, name by name


def run_sheet_out(run: Run, steps: Sequence[Step]) -> RunSheet:
    """A run with its steps."""
    more = {"steps": [_step_out(one) for one in steps], "found": list(run.beside(steps)), "output": run.output}
    return RunSheet(**_fields(run), **more)  # type: ignore[arg-type]  # the fields are its own, name by name


def _fields(run: Run) -> dict[str, object]:
    approval = run.approval
    return {
        "number": run.number,
        "playbook": run.playbook,
        "service": run.service,
        "incident": run.incident,
        "targets": run.targets,
        "by": run.by,
        "trust": run.rung,
        "state": run.state,
        "outcome": run.outcome,
        "why": run.why,
        "started_at": format_rfc3339(run.started_at),
        "first_step_at": moment(run.first_step_at),
        "deadline": format_rfc3339(run.deadline),
        "ended_at": moment(run.ended_at),
        "attempt": run.attempt,
        "approval": None
        if approval is None
        else PublishedApproval(
            step=approval.step,
            question=approval.question,
            choices=list(approval.choices),
            default=approval.default,
            due=format_rfc3339(run.due() or approval.due),
            role=approval.role,
            fix=approval.fix,
            does=approval.does,
            undo=approval.undo,
        ),
        "approved_by": run.approved_by,
        "continues": run.continues,
        "from_step": run.from_step,
        "because": run.because,
        "resumed": run.resumed,
        "taken_by": run.taken_by if run.taken_until is not None else "",
        "taken_until": moment(run.taken_until),
        "left_in_midst": run.in_midst,
        "would": run.would,
        "agreement": run.agreement,
        "agreed_how": run.agreed_how,
        "findings": list(run.told),
        "advice": run.advice,
        "suspected": run.suspected,
        "measured": list(run.readings),
        "took": [guard_out(one) for one in run.took],
    }


def _step_out(step: Step) -> PublishedStep:
    return PublishedStep(
        ordinal=step.ordinal,
        verb=step.verb,
        function=step.function,
        arguments=step.shown,
        state=step.state,
        said=step.said,
        error=step.error,
        began_at=format_rfc3339(step.began_at),
        ended_at=moment(step.ended_at),
        samples=step.samples,
        result=Raw((step.result or "null").encode()) if len(step.result) <= MOST_RESULT else UNSET,
    )
