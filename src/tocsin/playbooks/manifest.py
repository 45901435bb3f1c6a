"""What a playbook declares, as data. Its code is imported in a process of its own, and this is all that comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
from msgspec import Struct

from tocsin.kernel.instant import DAY, MINUTE, Duration
from tocsin.kernel.matcher import Matcher, all_match
from tocsin.playbooks.confinement import Confine, Unconfined

Rung = Literal["observe", "suggest", "ask", "act"]
RUNGS: Final[tuple[Rung, ...]] = ("observe", "suggest", "ask", "act")
"""What a playbook is trusted to do, the least first."""

Over = Literal["playbook", "target", "fleet"]

MANIFEST: Final = "playbooks/.manifest.json"
"""Among a plan's files: what its playbooks declare. It is made from the code beside it, by whoever reads the folder."""
COMPOSED: Final = "playbooks/.composed.json"
"""Likewise: its playbooks in YAML, read."""
MADE: Final = frozenset({MANIFEST, COMPOSED})
"""What is among a plan's files and nobody wrote."""
FOLDER: Final = "playbooks/"
MOST_PLAYBOOKS: Final = 500


class AtMost(Struct, frozen=True, tag="at_most"):
    """So many runs in so long: of this playbook, of this playbook on one target, or of all playbooks (``fleet``)."""

    times: int
    per: Duration
    over: Over = "playbook"


class Cooldown(Struct, frozen=True, tag="cooldown"):
    """So long after a run on a target ended before the next one on it."""

    lasts: Duration


class Blast(Struct, frozen=True, tag="blast"):
    """How many targets of one type a service has under change at once: a number, or a share in percent.

    And none unless another one is well, or it is the only one there is; asked again before each fix.
    """

    most: int = 0
    percent: int = 0


class Frozen(Struct, frozen=True, tag="frozen"):
    """Nothing is changed in these hours of the week: minutes since Monday 00:00 in ``timezone``, end excluded."""

    start: int
    end: int
    timezone: str
    said: str


class Breaker(Struct, frozen=True, tag="breaker"):
    """Opens when this playbook failed so often in a row, or when the same trouble came back so often, within a time."""

    failures: int = 2
    returns: int = 3
    within: Duration = DAY


class Unless(Struct, frozen=True, tag="unless"):
    """Not while another service has an open incident."""

    service: str


Guard = AtMost | Cooldown | Blast | Frozen | Breaker | Unless


class Trust(Struct, frozen=True):
    """Where a playbook starts, and what it never goes above. ``approve``: the role that may answer it.

    ``within`` and ``default``: how long it waits for leave to do a fix, and what counts when nobody answered by then.
    """

    start: Rung = "ask"
    ceiling: Rung = "act"
    approve: Literal["responder", "admin"] = "responder"
    within: Duration = 30 * MINUTE
    default: Literal["yes", "no"] = "no"


class Param(Struct, frozen=True):
    """One parameter of a playbook: ``kind`` is a target's type such as ``redis``, or text, number,
    whole number or flag.

    ``default``: JSON, "" when it has to be given.
    """

    name: str
    kind: str
    target: bool = False
    default: str = ""


class Manifest(Struct, frozen=True, kw_only=True):
    """One playbook. ``meaning``: a digest of its code that layout and comments do not change.

    ``answers``: groups of matchers; an alert that meets all of any one group is answered. () only by hand or schedule.
    ``hand_over_to``: the escalation that is paged first when it hands over; "" for the service's alone.
    ``confine``: None when its runs have all that Tocsin's user has.
    """

    name: str
    file: str
    line: int
    function: str
    about: str
    meaning: str
    answers: tuple[tuple[Matcher, ...], ...] = ()
    severities: tuple[str, ...] = ()
    predicate: bool = False
    params: tuple[Param, ...] = ()
    guards: tuple[Guard, ...] = ()
    trust: Trust = Trust()
    hand_over_after: Duration = 5 * MINUTE
    hand_over_to: str = ""
    schedule: str = ""
    timezone: str = "UTC"
    fixes: bool = False
    confine: Confine | None = None

    def matches(self, labels: Mapping[str, str], severity: str) -> bool:
        """Whether it answers an alert."""
        if self.severities and severity not in self.severities:
            return False
        return any(all_match(group, labels) for group in self.answers)

    @property
    def targets(self) -> tuple[Param, ...]:
        """The parameters that are systems."""
        return tuple(one for one in self.params if one.target)


class Fault(Struct, frozen=True):
    """What is wrong with a playbook's file. ``line`` counts from 1. ``warns``: the plan is good all the same."""

    file: str
    line: int
    message: str
    hint: str = ""
    warns: bool = False


class Manifests(Struct, frozen=True):
    """What all playbooks of a plan declare, and what is wrong with them."""

    playbooks: tuple[Manifest, ...] = ()
    faults: tuple[Fault, ...] = ()


encode_manifests = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Manifests).decode


def read_manifests(files: Mapping[str, bytes]) -> Manifests:
    """The manifests among a plan's files. Files that hold code and no manifest are a fault each: nobody read them."""
    raw = files.get(MANIFEST)
    if raw is not None:
        try:
            return _decode(raw)
        except msgspec.DecodeError as error:
            return Manifests(faults=(Fault(MANIFEST, 1, f"the manifest cannot be read: {error}"),))
    unread = (name for name in sorted(files) if name.endswith(".py") or name == COMPOSED)
    return Manifests(faults=tuple(Fault(name, 1, "this playbook's code was not looked at") for name in unread))


def confinement_of(files: Mapping[str, bytes], playbook: str) -> Confine | None:
    """How a playbook's runs are confined, by the very version of the plan they are begun with; None: they are not.

    Raises Unconfined when that is not known: what may be meant to be confined does not run free.
    """
    found = next((one for one in read_manifests(files).playbooks if one.name == playbook), None)
    if found is None:
        raise Unconfined(f"the plan does not say of {playbook} whether it is confined")
    return found.confine
