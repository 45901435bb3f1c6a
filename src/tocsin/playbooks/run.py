"""A run of a playbook: what it is now, what each of its steps came to, and how what its process reports moves it on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from tocsin.kernel.instant import MINUTE, SECOND, Duration, Instant
from tocsin.playbooks.left import Left
from tocsin.playbooks.manifest import Rung

RunState = Literal["running", "asking", "watching", "ended"]
Outcome = Literal[
    "", "verified", "done", "observed", "suggested", "not_needed", "blocked", "cancelled", "overtaken", "handed_over"
]
Agreement = Literal["", "agreed", "differed"]
Verb = Literal["when", "look", "fix", "verify", "ask", "tell"]
StepState = Literal["begun", "done", "failed", "skipped"]

WATCH: Duration = 10 * MINUTE
"""After it was verified, alerts get this long to end; then a person is called."""
GRACE: Duration = 10 * SECOND
MOST_STEPS = 500
MOST_RESULT = 256 * 1024
MOST_RESULTS = 4 * 1024 * 1024
"""So many bytes the results of all steps of a run have together: they are given to its process when it begins again."""
TOO_MUCH = f"what its steps answered has more than {MOST_RESULTS:,} bytes together"
MOST_SAID = 500
MOST_FINDINGS = 30
FIRST_FINDINGS = 10
"""So many of a run's first sentences are kept, when there are too many: of the others the newest."""
REMEMBERED: Duration = 7 * 24 * 60 * MINUTE
"""So long runs that ended are kept in mind, for guards that count."""


class Approval(Struct):
    """What a run waits to be told. ``default``: what counts when nobody answers until ``due``.

    ``step``: its ordinal; ``fix``: the fix it is about, "" for a question of the playbook's own; ``digest``: which fix
    it is, with its arguments. ``does``, ``undo``: what that does, and how it is undone, as the fix itself says it.
    """

    step: int
    question: str
    choices: tuple[str, ...]
    default: str
    due: Instant
    role: str = "responder"
    fix: str = ""
    answer: str = ""
    by: str = ""
    at: Instant | None = None
    digest: str = ""
    does: str = ""
    undo: str = ""


class Step(Struct, kw_only=True):
    """One step of a run, as recorded. ``result`` is JSON, "" until it ended; ``said`` what a person reads of it.

    ``digest``: of its arguments. ``shown``: the arguments, shortened, as a person reads them.
    """

    run: int
    ordinal: int
    verb: Verb
    function: str
    digest: str
    shown: str = ""
    state: StepState = "begun"
    began_at: Instant
    ended_at: Instant | None = None
    attempt: int = 1
    idempotent: bool = False
    probe: bool = False
    within: Duration = 0
    result: str = ""
    said: str = ""
    error: str = ""
    samples: int = 0
    undone: bool = False
    """Of a fix that failed: it refused before it had changed anything."""

    @property
    def may_have_changed(self) -> bool:
        """Whether it is a fix that was done, or begun and not known to have changed nothing."""
        return self.verb == "fix" and self.state != "skipped" and not self.undone

    @property
    def sentence(self) -> str:
        """What came of it, as its run keeps it among its findings; "" until it ended, and of a question."""
        if self.state not in ("done", "failed") or self.verb in ("when", "ask"):
            return ""
        if self.verb == "tell":
            return self.said
        kind = {"look": "Looked", "fix": "Fixed", "verify": "Verified"}[self.verb]
        if self.state == "failed":
            kind = "Not verified" if self.verb == "verify" else f"Failed to {self.verb}"
        name = ".".join(self.function.rsplit(".", 2)[-2:])
        return f"{kind}: {name}: {self.said if self.state == 'done' else self.error}"


def place_of(service: str, playbook: str) -> str:
    """What a run without targets holds."""
    return f"{service}//{playbook}"


class Run(Struct, kw_only=True):
    """One run.

    ``targets``: parameter to target's name; ``args``: the other parameters, as JSON. ``rung``: what it may do: as it
    was when it started, or less when trust fell meanwhile. ``attempt`` counts processes: what an earlier one says
    counts no more. ``spoke``: the last of these that was heard of; ``interrupted``: how often Tocsin stopped in the
    midst of it. ``deadline``: when it is handed over if it has not ended. ``unproven``: something was changed, and
    no verification held since. ``broke``: it raised, was late, or its process was lost. ``cut``: what kept it from
    its end was no doing of its playbook: Tocsin itself, that was down or ended it in the midst of it, people who are
    at it, or that what it was for was over.
    ``asked``: questions that were answered, by step. ``approved_by``: who allowed a fix last. ``unheard_at``: what it
    is for is over while it asks: then it is told of, unless that has come back.
    ``approved``: which fixes were allowed, by step; ``approved_all``: who began it by hand allowed them all.
    ``trouble``: the incident's group. ``readings``: what probes measured around it, in words. ``advice``: what is
    suggested to whoever it was handed over to; ``suspected``: the change out there that was the last before the
    trouble began, in words.

    ``continues``: the run it continues at ``from_step``, or repeats when that is 0; ``because``: why, in the words of
    who asked; ``resumed``: the run that continues this one. ``doubt``: fixes that may have happened in an earlier run,
    as ``Began.identity`` has them; ``again``: a person said that this run is to do them
    again; ``carried``: how many of ``fixes`` earlier runs did; ``helped``: a person did part of it, so that it says
    little about the playbook; ``stood``: what the playbook was trusted with when this one began to go on, else "".
    ``holding``: pages may wait for it; ``let_go``: never any more, whoever began it.
    ``whole``: it is there for all of its incident's alerts, not for those about its targets;
    ``quiet_at``: these have ended, and it is verified then if they stay quiet. ``opening``: how often its incident had
    been reopened when it began.
    ``taken_by`` works on its targets by hand, until ``taken_until`` or the end of the incident.
    ``unsure``: once it is over, the fixes of which nobody knows whether they were done, as ``Began.identity`` has them.
    ``settled_by``: who said since that what it left in the midst of a change is no matter any more, or the run whose
    verification did (``run:17``), or its incident when somebody resolved that (``incident:3``), or ``time``; "" while
    nothing has. ``kept_until``: it is kept in mind until then.
    ``spoilt_by``: the run that made another change to its targets while its own was watched, 0 when none did: what
    becomes of its alerts is evidence of nothing then.

    ``would``: the fix before which one that only watches ended, as a person reads it; ``would_do``: its function.
    ``agreement``: whether that is what a person did, once somebody said so or did it; ``agreed_how``: a sentence;
    ``agreed_run``: the run it was compared with by itself, 0 when a person said so.
    ``took``: what it took from its guards, as they were when it was over; () when it changed nothing and did not fail.
    ``left_out``: how many of its findings were too many, behind the first FIRST_FINDINGS.
    """

    number: int
    playbook: str
    service: str
    plan: str
    meaning: str = ""
    targets: dict[str, str] = {}
    args: dict[str, str] = {}
    incident: int = 0
    labels: dict[str, str] = {}
    by: str = "code"
    rung: Rung = "ask"
    state: RunState = "running"
    outcome: Outcome = ""
    why: str = ""
    started_at: Instant
    deadline: Instant
    patience: Duration = 5 * MINUTE
    trouble: str = ""
    attempt: int = 1
    spoke: int = 0
    interrupted: int = 0
    first_step_at: Instant | None = None
    fixes: int = 0
    unproven: bool = False
    broke: bool = False
    cut: bool = False
    verified_at: Instant | None = None
    approval: Approval | None = None
    unheard_at: Instant | None = None
    approved_by: str = ""
    approved: dict[str, str] = {}
    approved_all: bool = False
    asked: dict[str, str] = {}
    stopping: str = ""
    stop_by: Instant | None = None
    watch_until: Instant | None = None
    holding: bool = False
    let_go: bool = False
    whole: bool = False
    quiet_at: Instant | None = None
    opening: int = 0
    ended_at: Instant | None = None
    findings: tuple[str, ...] = ()
    left_out: int = 0
    output: str = ""
    continues: int = 0
    from_step: int = 0
    because: str = ""
    resumed: int = 0
    doubt: tuple[str, ...] = ()
    again: bool = False
    carried: int = 0
    stood: str = ""
    helped: bool = False
    taken_by: str = ""
    taken_until: Instant | None = None
    unsure: tuple[str, ...] = ()
    settled_by: str = ""
    kept_until: Instant | None = None
    would: str = ""
    would_do: str = ""
    agreement: Agreement = ""
    agreed_by: str = ""
    agreed_how: str = ""
    agreed_at: Instant | None = None
    agreed_run: int = 0
    readings: tuple[str, ...] = ()
    advice: str = ""
    suspected: str = ""
    took: tuple[Left, ...] = ()
    spoilt_by: int = 0

    @property
    def by_hand(self) -> bool:
        """Whether a person began it."""
        return self.by != "code" and not self.unasked

    @property
    def unasked(self) -> bool:
        """Whether neither an incident nor a person began it: a schedule or a trigger did, and nobody looks at it."""
        return self.by == "schedule" or self.by.startswith("trigger:")

    @property
    def live(self) -> bool:
        """Whether it has not come to its end."""
        return self.state != "ended"

    @property
    def locks(self) -> tuple[str, ...]:
        """The locks it holds while it lives: nobody else may change these."""
        return tuple(f"{self.service}/{name}" for name in self.targets.values())

    @property
    def holds(self) -> tuple[str, ...]:
        """Its locks; without targets it holds its playbook's place at its service, so that there is one run of it."""
        return self.locks or (place_of(self.service, self.playbook),)

    @property
    def only_asks(self) -> bool:
        """Whether it waits for an answer and has changed nothing so far: it keeps nobody's hands off then."""
        return self.state == "asking" and not self.changed and not self.unproven

    @property
    def works(self) -> bool:
        """Whether it may change something, or has and has not seen yet that it holds: nobody else changes that now."""
        return self.live and self.state != "watching" and not self.only_asks

    @property
    def over_by(self) -> Instant:
        """When it is over, or has to be allowed more time, at the latest."""
        if self.state == "asking" and self.approval is not None:
            return self.approval.due
        return self.watch_until or self.deadline if self.state == "watching" else self.deadline

    @property
    def failed(self) -> bool:
        """Whether it counts against its playbook: it changed something in vain, or it broke.

        One that looked, and handed over by itself before it changed anything, did what it is there for. What an earlier
        run changed counted against that one. What was cut off says nothing about it.
        """
        return self.outcome == "handed_over" and not self.cut and (self.broke or self.changed)

    @property
    def changed(self) -> bool:
        """Whether it changed anything itself."""
        return self.fixes > self.carried

    @property
    def in_midst(self) -> bool:
        """Whether it is over and left something changed, or perhaps changed, that nothing verified since, and of which
        no person has said anything: by continuing or repeating it, by taking it over, or otherwise (``settled_by``).
        """
        said = self.resumed or self.taken_by or self.settled_by
        return not self.live and self.unproven and not said

    @property
    def wary(self) -> tuple[str, ...]:
        """Fixes that it does again only when a probe says that they were not done."""
        return () if self.again else self.doubt

    def due(self) -> Instant | None:
        """When something about it happens by itself."""
        if self.state == "ended":
            return max((self.ended_at or self.started_at) + REMEMBERED, self.taken_until or 0, self.kept_until or 0)
        if self.state == "asking" and self.approval is not None:
            return self.approval.due if self.unheard_at is None else min(self.approval.due, self.unheard_at)
        if self.state == "watching":
            return min((at for at in (self.watch_until, self.quiet_at) if at is not None), default=None)
        return self.deadline if self.stop_by is None else min(self.deadline, self.stop_by)

    def allowed(self, began: Began) -> bool:
        """Whether a person said yes to this very fix."""
        return self.approved_all or self.approved.get(str(began.ordinal)) == began.identity

    def prove(self, steps: Iterable[Step]) -> None:
        """Take from its steps whether a verification held since the last change."""
        there = list(steps)
        held = [one for one in there if one.verb == "verify" and one.state == "done"]
        last = max(held, key=lambda one: one.ordinal, default=None)
        done = [one.ordinal for one in there if one.may_have_changed]
        self.unproven = bool(done) and (last is None or last.ordinal < max(done))
        self.verified_at = None if self.unproven or last is None else last.ended_at

    def find(self, sentence: str) -> None:
        """Keep a sentence for whoever takes over. The newest are worth most, and of equal ones only the newest is kept:
        what there is no room for goes from the midst.
        """
        if not sentence:
            return
        said = sentence[:MOST_SAID]
        found = (*(one for one in self.findings if one != said), said)
        if len(found) > MOST_FINDINGS:
            found = (*found[:FIRST_FINDINGS], *found[FIRST_FINDINGS + 1 :])
            self.left_out += 1
        self.findings = found

    @property
    def told(self) -> tuple[str, ...]:
        """All it found as a person reads it, with a word where something was left out."""
        if not self.left_out:
            return self.findings
        gap = f"… {self.left_out:,} more left out here …"
        return (*self.findings[:FIRST_FINDINGS], gap, *self.findings[FIRST_FINDINGS:])

    def beside(self, steps: Iterable[Step]) -> tuple[str, ...]:
        """What it found that neither the lines of its steps say nor what it came to."""
        said = {one.sentence[:MOST_SAID] for one in steps} | {f"It would have done {self.would}"[:MOST_SAID]}
        why = self.why.lower()
        # What was left out and a step says is there to be read: no word of a gap.
        whole = len(said.difference(self.findings, ("",))) >= self.left_out
        found = self.findings if whole else self.told
        return tuple(one for one in found if one not in said and one.lower() not in why)

    def dwell_on(self, sentence: str) -> None:
        """Keep what a playbook hands over with. What a step found already is not said twice: it comes last, as that."""
        said = next((one for one in self.findings if sentence and _says(one, sentence)), None)
        if said is None:
            self.find(sentence)
        else:
            self.findings = (*(one for one in self.findings if one != said), said)


def _says(found: str, sentence: str) -> bool:
    """Whether what a step found, ``Looked: redis.memory: …``, is this sentence; it may have been cut."""
    _, _, rest = found.partition(": ")
    _, _, what = rest.partition(": ")
    return bool(what) and (what == sentence or (len(found) == MOST_SAID and sentence.startswith(what)))


# -- what a run's process reports --------------------------------------------------------------------------------------


class Began(Struct, frozen=True, tag="began"):
    """It wants to begin with a step that has to be written down first: a fix, a verification or a question.

    ``says``, ``undo``: what a fix does with these arguments and how it is undone, in its own words; ``about``: what its
    function says of itself.
    """

    ordinal: int
    verb: Verb
    function: str
    digest: str
    shown: str = ""
    idempotent: bool = False
    probe: bool = False
    within: Duration = 0
    choices: tuple[str, ...] = ()
    default: str = ""
    role: str = ""
    says: str = ""
    undo: str = ""
    about: str = ""

    @property
    def identity(self) -> str:
        """What is to be done, and with which arguments: what a person allows."""
        return f"{self.function} {self.digest}"


class Looking(Struct, frozen=True, tag="looking"):
    """It is in a look now, which nobody has to allow. ``since``: for how long, when it is told.

    Its process says so before each look, and with ``ordinal`` 0 when it begins with the playbook's code and has come to
    no step yet; it is written down only of what lasts, or that the process ended in.
    """

    ordinal: int
    function: str
    digest: str
    shown: str = ""
    since: Duration = 0


class Finished(Struct, frozen=True, tag="finished"):
    """A step ended. ``ok``: of a verification, whether it held; of the others, whether they did not raise. ``undone``:
    a fix refused before it had changed anything.
    """

    ordinal: int
    verb: Verb
    function: str
    digest: str
    ok: bool
    shown: str = ""
    result: str = "null"
    said: str = ""
    error: str = ""
    samples: int = 0
    undone: bool = False


class Returned(Struct, frozen=True, tag="returned"):
    """The body came to its end."""


class Unmatched(Struct, frozen=True, tag="unmatched"):
    """The playbook's own predicate says that it is not meant for this; or, with ``error``, came to no answer."""

    error: str = ""


class GaveUp(Struct, frozen=True, tag="gave_up"):
    """It cannot finish the job: handed over by the playbook, an exception, or a record that does not fit.

    ``kind``: handed_over, raised, strayed, killed, lost; withheld: what was to begin next, Tocsin let not begin;
    cut: Tocsin itself ended it in the midst of it. ``next``: what the playbook suggests to do next.
    """

    kind: str
    why: str
    findings: tuple[str, ...] = ()
    next: str = ""


class Sampled(Struct, frozen=True, tag="sampled"):
    """What probes of its service measured until then. ``series``: see ``evidence.Series``, as JSON; ``readings``: the
    same in words. ``before``: it is taken before the first step, else after the last.
    """

    before: bool
    series: str
    readings: tuple[str, ...] = ()


class Printed(Struct, frozen=True, tag="printed"):
    """What it wrote to its standard output and error, shortened and without secrets. Comes last."""

    text: str


Report = Began | Looking | Finished | Returned | Unmatched | GaveUp | Sampled | Printed
