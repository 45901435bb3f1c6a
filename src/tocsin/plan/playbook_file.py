"""Playbooks in YAML, declared: the language of ``playbooks/*.yaml``.

What a step's function is, and whether its arguments and conditions fit it, is found out where the library is imported:
``playbooks.runner.building``. The decoder and the JSON Schema for editors both read what is declared here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND
from tocsin.kernel.matcher import Matcher
from tocsin.notation.decoder import (
    At,
    Choice,
    Either,
    Field,
    Json,
    ListOf,
    NamesOf,
    Record,
    RecordOf,
    Shape,
    Unfit,
    Variants,
    Word,
)
from tocsin.notation.documents import Entries, Items, Node, Scalar, Unreadable
from tocsin.notation.findings import Findings, shown
from tocsin.notation.positions import Placed
from tocsin.notation.words import NAME, PATH, SWITCH, TEXT, duration, whole
from tocsin.plan.words import CRON, LEVEL, MATCHER, ZONE
from tocsin.playbooks import language
from tocsin.playbooks.composed import (
    REF,
    Argument,
    Comparison,
    Condition,
    Op,
    Test,
)
from tocsin.playbooks.run import REMEMBERED

MOST_STEPS: Final = 100
_WORD: Final = r"[a-z_][a-z0-9_]{0,63}"
VARIABLE: Final = Word("a name", str, pattern=_WORD, write="small letters, digits and _, such as before")
FUNCTION: Final = Word(
    "a step of a library", str, pattern=r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){1,9}", write="write it as redis.memory"
)
VALUE_PATH: Final = Word(
    "what is compared", str, pattern=r"\w[\w\-]*(\.\w[\w\-]*){0,9}", write="write a field such as before.used_ratio"
)
NUMBER: Final = Word("a number", float, pattern=r"-?\d{1,15}(\.\d{1,9})?", write="write a number such as 0.9")
_NO_CODE = "conditions compare: {over: 0.9}, {under: 5}, {at least: 1}, {at most: 9}, {is: text}, {empty: yes}"


class Plain(Shape[Any]):
    """Any text, list or mapping, as it stands: what it has to be is known to whoever takes it."""

    what = "a value"

    def read(self, node: Node, findings: Findings) -> Any:
        """Texts, lists and mappings; None when something in it could not be read."""
        match node:
            case Scalar():
                return node.text
            case Items():
                return [self.read(one, findings) for one in node.items]
            case Entries():
                return {key.text: self.read(value, findings) for key, value in node.entries}
            case Unreadable():
                return None

    def json(self, defs: Json) -> Json:
        """Anything."""
        return {}


class Groups(Shape[tuple[tuple[Matcher, ...], ...]]):
    """Matchers an alert must meet, all; or several lists of them, of which one is enough."""

    what = "a list of matchers"
    _one = ListOf(MATCHER, "matchers", at_least=1, at_most=50, single=True)
    _several = ListOf(ListOf(MATCHER, "matchers", at_least=1, at_most=50), "lists of matchers", at_least=1, at_most=50)

    def read(self, node: Node, findings: Findings) -> tuple[tuple[Matcher, ...], ...] | None:
        """The groups."""
        if isinstance(node, Items) and node.items and all(isinstance(one, Items) for one in node.items):
            return self._several.read(node, findings)
        read = self._one.read(node, findings)
        return None if read is None else (read,)

    def json(self, defs: Json) -> Json:
        """Either."""
        return {"anyOf": [self._one.json(defs), self._several.json(defs)]}


# -- conditions and arguments ------------------------------------------------------------------------------------------


class Answer(Record):
    """What an earlier step answered."""

    what = "what a step answered"
    answer = Field(VALUE_PATH, "Which: its name, and a field of it, such as before.hit_ratio.", required=True, key=REF)
    plus = Field(NUMBER, "A number that is added to it; may be below zero.")


class Compared(Record):
    """What a value has to be; all that is said."""

    what = "a comparison"
    instead = "name what is compared first: {used_ratio: {under: 0.8}}; `it` is all of the answer: {it: {is: 0}}"
    over = Field(Either(NUMBER, RecordOf(Answer)), "More than this.")
    under = Field(Either(NUMBER, RecordOf(Answer)), "Less than this.")
    at_least = Field(Either(NUMBER, RecordOf(Answer)), "This or more.")
    at_most = Field(Either(NUMBER, RecordOf(Answer)), "This or less.")
    is_ = Field(Either(TEXT, RecordOf(Answer)), "Exactly this.", key="is")
    is_not = Field(Either(TEXT, RecordOf(Answer)), "Anything else.")
    empty = Field(Choice("yes or no", "yes", "no"), "Whether there is nothing in it.")
    contains = Field(Either(TEXT, RecordOf(Answer)), "A list that has this in it, or a text.")


class Conditions(Shape[Condition]):
    """Comparisons that must all hold; or a list of such, of which one is enough."""

    what = "a condition"
    _all = NamesOf(VALUE_PATH, RecordOf(Compared), "comparisons")
    _any = ListOf(_all, "conditions", at_least=1, at_most=20)

    def read(self, node: Node, findings: Findings) -> Condition | None:
        """The condition."""
        if isinstance(node, Scalar):
            findings.error(node.at, f"{shown(node.text)} is no condition", _NO_CODE)
            return None
        groups = self._any.read(node, findings) if isinstance(node, Items) else (self._all.read(node, findings),)
        if groups is None:
            return None
        found = []
        for group in groups:
            if not group:
                if group is not None:
                    findings.error(node.at, "this condition compares nothing", _NO_CODE)
                return None
            tests = [_test(path, one, findings) for path, one in group if one is not None]
            found.append(tuple(one for one in tests if one is not None))
        return tuple(found)

    def json(self, defs: Json) -> Json:
        """Either."""
        return {"anyOf": [self._all.json(defs), self._any.json(defs)]}


def _test(path: Placed[str], one: Compared, findings: Findings) -> Test | None:
    if not one.values:
        if not one.places:
            findings.error(path.at, f"{shown(path.value)} is compared with nothing", _NO_CODE)
        return None
    return Test(path.value, tuple(_comparison(cast("Op", op), value) for op, value in one.values.items()), path.at.line)


def _comparison(op: Op, value: object) -> Comparison:
    if isinstance(value, Answer):
        return Comparison(op, ref=value.answer or "", plus=value.plus or 0.0)
    return Comparison(op, value == "yes" if op == "empty" else value)


class Given(Shape[tuple[Argument, ...]]):
    """What a step's function is given, by the names of its parameters."""

    what = "a mapping from parameters to values"
    _names = NamesOf(VARIABLE, Plain(), "values")

    def read(self, node: Node, findings: Findings) -> tuple[Argument, ...] | None:
        """The arguments."""
        read = self._names.read(node, findings)
        if read is None:
            return None
        return tuple(_argument(name, value) for name, value in read)

    def json(self, defs: Json) -> Json:
        """Any values."""
        return self._names.json(defs)


def _argument(name: Placed[str], value: Any) -> Argument:
    if isinstance(value, dict) and list(value) == [REF] and isinstance(value[REF], str):
        return Argument(name.value, name.at.line, ref=value[REF])
    return Argument(name.value, name.at.line, value)


# -- steps -------------------------------------------------------------------------------------------------------------


class Step(Record):
    """One step of a playbook."""

    what = "a step"
    condition = Field(Conditions(), "Only then; else the step is left out.", key="if")


class Called(Step):
    """A step that a library does."""

    on = Field(ListOf(VARIABLE, "systems", at_most=5, single=True), "The system it works on, as `works on` calls it.")
    given = Field(Given(), "What else it is given: {older_than: 7d}, or {keys: {from: idle.expirable}}.", key="with")
    name = Field(VARIABLE, "What later steps call its answer.", key="as")


class LookStep(Called):
    """Diagnose: safe, may be repeated."""

    look = Field(FUNCTION, "What to look at, such as redis.memory.", required=True)


class FixStep(Called):
    """Change something, when guards and trust allow it."""

    fix = Field(FUNCTION, "What to change, such as redis.expire.", required=True)


class VerifyStep(Called):
    """Look until something holds; else a person is called."""

    verify = Field(FUNCTION, "What to look at, such as redis.memory.", required=True)
    until = Field(Conditions(), "What must hold: {used_ratio: {under: 0.8}}.", required=True)
    within = Field(duration(SECOND, HOUR), "In this time.", required=True)
    every = Field(duration(SECOND // 10, 10 * MINUTE), "So often it looks. Default: 1s.")
    harm = Field(Conditions(), "What would show harm: then a person is called at once.")


class AskStep(Step):
    """Ask a person."""

    ask = Field(TEXT, "The question.", required=True)
    choices = Field(ListOf(TEXT, "choices", at_least=2, at_most=10), "What may be answered. Default: [yes, no].")
    within = Field(duration(SECOND, DAY), "So long it waits. Default: 10m.")
    default = Field(TEXT, "What counts when nobody answers. Default: no.")
    role = Field(Choice("a role", "responder", "admin"), "Who may answer. Default: responder.")
    name = Field(VARIABLE, "What later steps call the answer.", key="as")


class TellStep(Step):
    """Write on the timeline."""

    tell = Field(TEXT, "The text; $before is what the step `before` answered.", required=True)


class HandOverStep(Step):
    """Call a person, with what was found. The playbook ends here."""

    hand_over = Field(TEXT, "Why; $before is what the step `before` answered.", required=True)
    findings = Field(ListOf(VARIABLE, "names", at_most=20, single=True), "The answers that are shown with it.")
    next = Field(TEXT, "What you would have them do first; $before as above.")


STEPS: Final[Mapping[str, type[Step]]] = {
    "look": LookStep,
    "fix": FixStep,
    "verify": VerifyStep,
    "ask": AskStep,
    "tell": TellStep,
    "hand over": HandOverStep,
}


# -- guards, trust, the file -------------------------------------------------------------------------------------------

_SPAN: Final = duration(SECOND, REMEMBERED)


def _blast(text: str) -> tuple[int, int]:
    number = int(text.rstrip(" %"))
    if not 1 <= number <= (100 if text.endswith("%") else 10_000):
        raise Unfit(f"{shown(text)} is no number of targets", "write 1, or a share such as 25%")
    return (0, number) if text.endswith("%") else (number, 0)


class GuardOf(Record):
    """When it may not run."""

    what = "a guard"


class AtMostGuard(GuardOf):
    """So many runs in so long."""

    at_most = Field(whole("a number of runs", 1, 10_000), "So many runs.", required=True)
    per = Field(_SPAN, "In so long.", required=True)
    over = Field(Choice("what is counted", "playbook", "target", "fleet"), "Counted over. Default: playbook.")


class CooldownGuard(GuardOf):
    """So long between the end of one run on a target and the next."""

    cooldown = Field(_SPAN, "So long.", required=True)


class BlastGuard(GuardOf):
    """How many targets of a service are changed at once."""

    blast_radius = Field(
        Word("a number or a share", _blast, pattern="[0-9]{1,5} ?%?", write="write 1, or 25%"),
        "A number, or a share such as 25%.",
        required=True,
    )


class FreezeGuard(GuardOf):
    """Hours of the week in which nothing is changed."""

    freeze = Field(TEXT, "Such as Fri 16:00-Mon 08:00.", required=True)
    timezone = Field(ZONE, "Where. Default: the playbook's.")


class UnlessGuard(GuardOf):
    """Not while a service has an open incident."""

    unless = Field(NAME, "The service.", required=True)


class BreakerGuard(GuardOf):
    """Stops after so many failures in a row, or when the same trouble keeps coming back."""

    breaker = Field(whole("a number of failures", 1, 1_000), "So many failures.", required=True)
    returns = Field(whole("a number", 1, 1_000), "So many returns. Default: 3.")
    within = Field(_SPAN, "In so long. Default: 24h.")


GUARDS: Final[Mapping[str, type[GuardOf]]] = {
    "at most": AtMostGuard,
    "cooldown": CooldownGuard,
    "blast radius": BlastGuard,
    "freeze": FreezeGuard,
    "unless": UnlessGuard,
    "breaker": BreakerGuard,
}
_RUNG: Final = Choice("a rung of trust", "observe", "suggest", "ask", "act")


class TrustOf(Record):
    """What it is trusted to do."""

    what = "what it is trusted with"
    start = Field(_RUNG, "Where it starts. Default: ask.")
    ceiling = Field(_RUNG, "What it never goes above. Default: act.")
    approve = Field(Choice("a role", "responder", "admin"), "Who may answer it. Default: responder.")
    within = Field(duration(*language.WAITS), "How long it waits for leave to do a fix. Default: 30m.")
    default = Field(Choice("an answer", "yes", "no"), "What counts when nobody answers in time. Default: no.")


class ConfineOf(Record):
    """What of the machine its runs have. Nothing else, then."""

    what = "what it is confined to"
    write = Field(ListOf(PATH, "absolute paths", at_most=32, single=True), "What it may change. Default: nothing.")
    read = Field(ListOf(PATH, "absolute paths", at_most=32, single=True), "What it sees beside the programs.")
    network = Field(SWITCH, "Whether it has the machine's network. Default: off.")
    processes = Field(SWITCH, "Whether it sees the machine's processes. Default: off.")


class ParameterOf(Record):
    """A parameter that is no system."""

    what = "a parameter"
    type = Field(Choice("a kind of value", "text", "number", "whole number", "flag"), "What it is.", required=True)
    default = Field(TEXT, "What it is when nothing is given.")


class ComposedFile(Record):
    """A Tocsin playbook, composed of library steps."""

    what = "a playbook"
    playbook = Field(At(NAME), "Its name.", required=True)
    about = Field(TEXT, "What is wrong, and what this does about it, in one sentence.")
    answers = Field(Groups(), "The alerts it answers: matchers that all hold, or lists of which one is enough.")
    severity = Field(ListOf(LEVEL, "severities", at_most=5, single=True), "Only incidents of these.")
    rule = Field(TEXT, "A condition on the incident in CEL, such as labels.zone == 'eu'. An extra.", key="where")
    works_on = Field(NamesOf(VARIABLE, NAME, "kinds of targets"), "The systems it works on: {server: redis}.")
    parameters = Field(NamesOf(VARIABLE, RecordOf(ParameterOf), "parameters"), "What else may be given.")
    guards = Field(ListOf(Variants("a guard", GUARDS), "guards", at_most=50), "When it may not run.")
    trust = Field(RecordOf(TrustOf), "What it is trusted to do. Default: it starts at ask, and may come to act.")
    confine = Field(RecordOf(ConfineOf), "What of the machine its runs have. Default: all that Tocsin's user has.")
    hand_over_after = Field(
        duration(*language.PATIENCE), "So long it may take, and pages wait; then a person is called. Default: 5m."
    )
    hand_over_to = Field(NAME, "The escalation that is paged first when it hands over; the service's goes on after it.")
    schedule = Field(CRON, "When it runs without an incident, such as 0 4 * * *.")
    timezone = Field(ZONE, "Where the schedule is. Default: UTC.")
    steps = Field(
        ListOf(Variants("a step", STEPS), "steps", at_least=1, at_most=MOST_STEPS), "What it does.", required=True
    )


FILE: Final = RecordOf(ComposedFile)


def json_schema() -> dict[str, Any]:
    """A playbook in YAML as JSON Schema 2020-12, for editors."""
    defs: dict[str, Any] = {}
    top = FILE.json(defs)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Tocsin playbook", **top, "$defs": defs}
