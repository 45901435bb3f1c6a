"""What people and scripts ask for. Every face hands one of these to ``runtime.submit`` and reads the ``Result``.

Secrets never travel in a command: faces make them, show them once, and pass their hashes.
"""

from __future__ import annotations

from msgspec import Struct

from tocsin.access.credentials import Role
from tocsin.access.limits import KeyLimits
from tocsin.kernel.instant import Duration, Instant
from tocsin.kernel.matcher import Matcher
from tocsin.pages.rules import Reach
from tocsin.playbooks.resuming import Word
from tocsin.playbooks.run import Step


class Command(Struct, frozen=True, kw_only=True, tag_field="do"):
    """Something asked for. ``actor``: ``person:ana``, ``user:ops``, ``token:deploys``, ``page:17`` or ``key:3``."""

    actor: str = ""


class Acknowledge(Command, frozen=True, kw_only=True, tag="acknowledge"):
    """Someone has the incident.

    ``page``: the ledger row whose link was used, or 0. ``hold``: how long, None as the service says. Without
    ``incident`` it is the page's, and without an ``actor`` whoever was paged: when nothing else can be looked up.
    ``over``: also from somebody who has it by then; else it stays theirs, and this is refused as ``taken``.
    """

    incident: int = 0
    page: int = 0
    hold: Duration | None = None
    over: bool = True


class Resolve(Command, frozen=True, kw_only=True, tag="resolve"):
    """It is over. While alerts still fire, ``snooze`` says when they are judged again (None: one hour)."""

    incident: int
    snooze: Duration | None = None


class AddNote(Command, frozen=True, kw_only=True, tag="note"):
    """Write something on the timeline (1 to 10,000 characters)."""

    incident: int
    text: str


class SetSilence(Command, frozen=True, kw_only=True, tag="set_silence"):
    """Create a silence, or change the one with ``id``. Answers with the id, a new one when the old is over.

    ``everything``: somebody said that all alerts are meant, where the matchers say nothing.
    """

    matchers: tuple[Matcher, ...]
    author: str
    comment: str
    starts_at: Instant
    ends_at: Instant
    id: str = ""
    origin: str = ""
    everything: bool = False


class ExpireSilence(Command, frozen=True, kw_only=True, tag="expire_silence"):
    """End a silence now. ``origin``: only if it belongs to that service's keys ("": any)."""

    id: str
    origin: str = ""


class CreateKey(Command, frozen=True, kw_only=True, tag="create_key"):
    """Let a monitor in. Answers with the key's id."""

    hash: bytes
    hint: str
    source: str
    service: str
    name: str = ""
    heartbeat: str = ""
    limits: KeyLimits = KeyLimits()


class LimitKey(Command, frozen=True, kw_only=True, tag="limit_key"):
    """From now on a key may send this much."""

    id: int
    limits: KeyLimits


class RevokeKey(Command, frozen=True, kw_only=True, tag="revoke_key"):
    """Shut a monitor out."""

    id: int


class SetUser(Command, frozen=True, kw_only=True, tag="set_user"):
    """Create or change a user. None leaves a field as it is; ``sign_out`` ends all sessions; ``new``: only create."""

    name: str
    role: Role | None = None
    person: str | None = None
    password: str | None = None
    disabled: bool | None = None
    sign_out: bool = False
    new: bool = False


class CreateToken(Command, frozen=True, kw_only=True, tag="create_token"):
    """Make a bearer token (``kind`` token) or one-time sign-in link (``kind`` link) for a user. Answers with its id."""

    hash: bytes
    kind: str
    user: str
    name: str = ""
    expires_at: Instant | None = None


class UseLink(Command, frozen=True, kw_only=True, tag="use_link"):
    """Use a one-time sign-in link. Answers with the user's name; refused when used, expired or unknown."""

    hash: bytes


class RevokeToken(Command, frozen=True, kw_only=True, tag="revoke_token"):
    """Make a token or link useless."""

    id: int


class DeclareKeys(Command, frozen=True, kw_only=True, tag="declare_keys"):
    """The keys the plan declares, in full: those missing are made, those not named any more are revoked.

    Each is ``(hash, hint, source, service, name)``. ``limits`` are by hash, for those that set any. ``kept`` are those
    whose secret is not to be had now, each ``(source, service, name)``: the one in use stays as it is. ``secrets`` are
    the references by hash, and ``away`` those that are not to be had: by these a key is known that was renamed.
    """

    keys: tuple[tuple[bytes, str, str, str, str], ...]
    limits: dict[bytes, KeyLimits] = {}
    kept: tuple[tuple[str, str, str], ...] = ()
    secrets: dict[bytes, str] = {}
    away: tuple[str, ...] = ()


class DiscardParked(Command, frozen=True, kw_only=True, tag="discard_parked"):
    """A person has seen a parked request and it may go."""

    id: int


class AddOverride(Command, frozen=True, kw_only=True, tag="add_override"):
    """``person`` is on call by a schedule for a while; ``instead_of`` somebody, or "" in place of everybody."""

    schedule: str
    person: str
    starts_at: Instant
    ends_at: Instant
    instead_of: str = ""
    reason: str = ""


class AskSwap(Command, frozen=True, kw_only=True, tag="ask_swap"):
    """``person``, who asks, gives a time on call to ``other`` and takes one of theirs, when they agree."""

    schedule: str
    person: str
    other: str
    starts_at: Instant
    ends_at: Instant
    back_starts_at: Instant
    back_ends_at: Instant
    reason: str = ""


class AskCover(Command, frozen=True, kw_only=True, tag="ask_cover"):
    """Somebody on the schedule is wanted for a time: in the place of ``person``, or with "" where nobody is on call,
    else in the place of whoever asks.
    """

    schedule: str
    starts_at: Instant
    ends_at: Instant
    person: str = ""
    reason: str = ""


class AnswerOverride(Command, frozen=True, kw_only=True, tag="answer_override"):
    """``person``, who asks, agrees to a swap or declines it, or takes a cover request."""

    id: int
    person: str
    yes: bool = True


class CancelOverride(Command, frozen=True, kw_only=True, tag="cancel_override"):
    """Take back or end an override, a swap or a cover request."""

    id: int


class AddContact(Command, frozen=True, kw_only=True, tag="add_contact"):
    """A new way to reach a person, unverified. Answers with its id. Whoever asks was found to be allowed to."""

    person: str
    channel: str
    address: str
    label: str = ""


class SendCode(Command, frozen=True, kw_only=True, tag="send_code"):
    """Send a code by a contact method, to prove that it is the person's.

    ``seed``: random, what the code is made from; ``hash``: the keyed hash it is recognised by (``pages.contacts``).
    """

    contact: int
    seed: bytes
    hash: bytes


class VerifyContact(Command, frozen=True, kw_only=True, tag="verify_contact"):
    """The code came back. Counts as a try when it is wrong."""

    contact: int
    hash: bytes


class MarkContact(Command, frozen=True, kw_only=True, tag="mark_contact"):
    """A contact method does not work, says its owner: pages use the others until a code proves it again."""

    contact: int
    why: str = ""


class RemoveContact(Command, frozen=True, kw_only=True, tag="remove_contact"):
    """A contact method goes. One that the plan declares goes with the plan only."""

    contact: int


class TryContact(Command, frozen=True, kw_only=True, tag="try_contact"):
    """Send a harmless message by a contact method."""

    contact: int


class SetReach(Command, frozen=True, kw_only=True, tag="set_reach"):
    """A person's own rules, whole."""

    reach: Reach


class StartDrill(Command, frozen=True, kw_only=True, tag="start_drill"):
    """Page a person by their own rules about nothing. Answers with the number of the first page."""

    person: str


class AnswerDrill(Command, frozen=True, kw_only=True, tag="answer_drill"):
    """The person answered a page of a drill: the rest of it is not sent."""

    page: int


class Reassign(Command, frozen=True, kw_only=True, tag="reassign"):
    """Give an incident to a person: they are paged now, and the escalation goes on after them."""

    incident: int
    person: str
    note: str = ""


class Snooze(Command, frozen=True, kw_only=True, tag="snooze"):
    """Put an open incident off until a set time; then paging begins again."""

    incident: int
    until: Instant
    note: str = ""


class AddResponders(Command, frozen=True, kw_only=True, tag="add_responders"):
    """Ask more people for help with an open incident. ``targets`` as in a step: ``person:kei``, ``team:shop``."""

    incident: int
    targets: tuple[str, ...]
    note: str = ""


class ApplyPlan(Command, frozen=True, kw_only=True, tag="apply_plan"):
    """Take the steps the plan has now instead of those the incident was opened with."""

    incident: int


class StartRun(Command, frozen=True, kw_only=True, tag="start_run"):
    """Run a playbook now: for an open incident, or for a service. Answers with the run's number.

    ``targets``: parameter to target's name, where the plan does not tell by itself; ``args``: other parameters, as
    JSON. ``role``: that of whoever asks.
    """

    playbook: str
    service: str = ""
    incident: int = 0
    targets: dict[str, str] = {}
    args: dict[str, str] = {}
    role: Role = "responder"


class PullTrigger(Command, frozen=True, kw_only=True, tag="pull_trigger"):
    """Another program has a playbook run, with a trigger's key. Answers with the run's number; with that of the run
    under way, when one is.

    ``labels``: what tells targets apart; ``args``: parameters as JSON, of those the plan lets the sender set.
    """

    service: str
    trigger: str
    labels: dict[str, str] = {}
    args: dict[str, str] = {}


class AnswerRun(Command, frozen=True, kw_only=True, tag="answer_run"):
    """Answer what a run asks: ``yes`` or ``no`` to a fix, else one of its choices. ``step``: at which of its steps; to
    any but the one it asks at now, the answer is refused.
    """

    run: int
    answer: str
    step: int = 0
    role: Role = "responder"


class CancelRun(Command, frozen=True, kw_only=True, tag="cancel_run"):
    """Stop a run before it begins with anything more; ten seconds later its process is ended."""

    run: int


class ResumeRun(Command, frozen=True, kw_only=True, tag="resume_run"):
    """Continue a run that was handed over or stopped at one of its steps; 0: repeat it from the top. Answers with the
    new run's number.

    ``word``: ``again`` when changes that may have happened are to be made again, ``done`` when the one before the
    chosen step is done. ``recorded``: the run's steps, read after it had ended: see ``resuming.needed``.
    """

    run: int
    why: str
    step: int = 0
    word: Word = ""
    recorded: tuple[Step, ...] = ()
    role: Role = "responder"


class CompareRun(Command, frozen=True, kw_only=True, tag="compare_run"):
    """Say whether what a run that only watched would have done is what was done, or (None) take back what was said.

    ``did``: what was done, in words.
    """

    run: int
    same: bool | None
    did: str = ""


class TakeOverRun(Command, frozen=True, kw_only=True, tag="take_over_run"):
    """Work on a run's targets by hand: it stops, its incident is acknowledged, and code changes nothing there."""

    run: int
    why: str


class GiveBackRun(Command, frozen=True, kw_only=True, tag="give_back_run"):
    """Code may work again on what was taken over."""

    run: int


class SetTrust(Command, frozen=True, kw_only=True, tag="set_trust"):
    """Say what a playbook is trusted to do for a service, and why."""

    service: str
    playbook: str
    rung: str
    why: str
    role: Role = "responder"


class TickStep(Command, frozen=True, kw_only=True, tag="tick_step"):
    """A step of a checklist is done. ``step``: its id."""

    incident: int
    checklist: str
    step: str


class UntickStep(Command, frozen=True, kw_only=True, tag="untick_step"):
    """A step of a checklist that was ticked is not done after all."""

    incident: int
    checklist: str
    step: str
    why: str


ASKED = "\n"
"""Stands in an idempotency key between the sender's text and a digest of what was asked under it."""

AnyCommand = (
    Acknowledge
    | Resolve
    | AddNote
    | SetSilence
    | ExpireSilence
    | CreateKey
    | LimitKey
    | RevokeKey
    | SetUser
    | CreateToken
    | UseLink
    | RevokeToken
    | DeclareKeys
    | DiscardParked
    | AddOverride
    | AskSwap
    | AskCover
    | AnswerOverride
    | CancelOverride
    | AddContact
    | SendCode
    | VerifyContact
    | MarkContact
    | RemoveContact
    | TryContact
    | SetReach
    | StartDrill
    | AnswerDrill
    | Reassign
    | Snooze
    | AddResponders
    | ApplyPlan
    | StartRun
    | PullTrigger
    | AnswerRun
    | CancelRun
    | ResumeRun
    | CompareRun
    | TakeOverRun
    | GiveBackRun
    | SetTrust
    | TickStep
    | UntickStep
)


ANSWERS = (Acknowledge, Resolve, AddNote, SetSilence, ExpireSilence)
"""What people say when they are paged: taken even while nothing can be written down."""


class Result(Struct, frozen=True, kw_only=True):
    """What came of a command.

    ``ok`` False: refused with a ``code`` (not_found, conflict, invalid, forbidden, too_many) and a sentence; or not
    decided (unavailable), or decided, in force and not written down yet (unwritten).
    ``reason`` names the decision; ``id`` is what was made (a text, whatever its kind).
    """

    ok: bool
    code: str = ""
    message: str = ""
    field: str = ""
    reason: str = ""
    id: str = ""


def refuse(code: str, message: str, field: str = "") -> Result:
    """A refusal: why, in a sentence, and which field."""
    return Result(ok=False, code=code, message=message, field=field)
