"""The hands of a run: writes each step down, answers what is written down already, and ends when it is told to.

Knows nothing of processes: what it reports and asks goes over a ``Wire``. In a run's process that is a pipe to Tocsin;
in a test, the engine itself in virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NoReturn, Protocol, get_type_hints

import msgspec
from msgspec import Struct, structs

from tocsin.kernel.instant import SECOND, Duration, format_duration
from tocsin.playbooks import saying
from tocsin.playbooks.cel import RuleError
from tocsin.playbooks.language import (
    About,
    Failed,
    Fix,
    Look,
    Misused,
    Must,
    Refused,
    Target,
    Uninstalled,
    Vault,
    vault,
)
from tocsin.playbooks.placed import given_targets
from tocsin.playbooks.run import (
    MOST_RESULT,
    MOST_RESULTS,
    MOST_SAID,
    MOST_STEPS,
    TOO_MUCH,
    Began,
    Finished,
    GaveUp,
    Looking,
    Report,
    Step,
    Verb,
)
from tocsin.playbooks.verdict import harmful, is_yes

SHOWN = 300
SHOWN_ANSWER = 120
NOTHING = "null"
FLAGS = {"true": True, "false": False}
HIDDEN = "•••"
"""Stands where a secret was."""


class Start(Struct, frozen=True):
    """What a run's process is told first. ``urls``: reading credentials, by target's name.

    ``args``: the parameters, as JSON; ``targets``: parameter to target's name. ``doubt``: fixes that an earlier run may
    have done at step ``since`` or later, each as often as it may have: their probe is asked first.
    ``confined``: to what its process is, in words; "" when it is not. ``approved``: which fixes were allowed, by step,
    as ``Began.identity`` has them.
    """

    playbook: str
    about: About
    targets: dict[str, str] = {}
    args: dict[str, str] = {}
    urls: dict[str, str] = {}
    recorded: tuple[Step, ...] = ()
    doubt: tuple[str, ...] = ()
    since: int = 0
    confined: str = ""
    approved: dict[str, str] = {}


class Go(Struct, frozen=True, tag="go"):
    """Begin. ``left``: what is left of a step's time; ``urls``: credentials for this step alone."""

    left: Duration = 0
    urls: dict[str, str] = {}


class Answered(Struct, frozen=True, tag="answered"):
    """What was said to a question."""

    answer: str


class Wait(Struct, frozen=True, tag="wait"):
    """A person has to answer first: end, and be started again then."""


class Stop(Struct, frozen=True, tag="stop"):
    """Do not begin, and end: Tocsin knows why."""

    why: str = ""


Reply = Go | Answered | Wait | Stop


class Wire(Protocol):
    """Between a run's code and Tocsin."""

    def begin(self, began: Began) -> Reply:
        """Ask to begin with a step; answers when that is written down."""
        ...

    def tell(self, report: Report) -> None:
        """Report something that nobody has to allow."""
        ...

    def looks(self, looking: Looking) -> None:
        """Say that a look begins, for when it does not end."""
        ...

    def clock(self) -> float:
        """Seconds, from any moment on, never backwards."""
        ...

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Ended(BaseException):
    """The run ends here, and Tocsin knows. No ``except Exception`` of a playbook stops it."""


class Session:
    """The hands of one run.

    ``urls``: the reading credentials. ``redact`` takes secrets out of a text. ``instead``: what is called for a look or
    a fix, in a test; it may raise ``Ended``.
    """

    def __init__(
        self,
        wire: Wire,
        recorded: Sequence[Step],
        urls: Mapping[str, str],
        redact: Callable[[str], str],
        instead: Callable[[Look[..., Any] | Fix[..., Any]], Callable[..., Any]] = lambda what: what.function,
        doubt: Sequence[str] = (),
        since: int = 0,
        approved: Mapping[str, str] | None = None,
    ) -> None:
        self._call = instead
        self._doubt, self._since = list(doubt), since
        self._approved = approved or {}
        self._renewed = ""
        """What was looked at again, because its answer is not all written down."""
        self._wire = wire
        self._recorded = {step.ordinal: step for step in recorded}
        self._results = sum(len(step.result.encode()) for step in recorded)
        self._reading = Vault(dict(urls))
        self.redacted: Callable[[str], str] = lambda text: redact(_text(text))
        self._ordinal = 0
        self.over = False

    # -- the verbs -----------------------------------------------------------------------------------------------------

    def look(self, what: Look[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """See ``Run.look``."""
        given_targets(what, args, kwargs)
        place = self._next("look", what.name, args, kwargs)
        known = place.known
        if known is not None and known.state != "begun":
            changed = any(one.verb == "fix" and one.ordinal > place.ordinal for one in self._recorded.values())
            if HIDDEN not in known.result or changed:
                return self._again(known, what.function)
            self._renewed = _not_all(known)  # nothing was changed by what it answered: it may be looked at again
        self._wire.looks(Looking(place.ordinal, place.function, place.digest, place.shown))
        return self._do(place, what, args, kwargs, self._reading)

    def fix(self, what: Fix[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """See ``Run.fix``."""
        given_targets(what, args, kwargs)
        place = self._next("fix", what.name, args, kwargs)
        if self._approved.get(str(place.ordinal), place.identity) != place.identity:
            was = f"fix {_short(what.name)}"
            self._astray(f"step {place.ordinal} was {was}; another one was allowed, or one with other arguments")
        known, doubted = place.known, self._doubted(place)
        if known is not None and known.state != "begun":
            # What a probe or a person says was done has no answer of its own.
            return None if known.result == NOTHING and known.state == "done" else self._again(known, what.function)
        if (known is not None or doubted) and not what.idempotent and what.probe is not None:
            # It was under way when the run was interrupted, or in an earlier run. Without a probe the engine decides.
            probe = self._call(what.probe)
            if self._with(self._reading, lambda: probe(*args, **kwargs)):
                self._end(place, True, NOTHING, "it was done already, says its probe")
                return None
        reply = self._begin(self._wants(place, what, args, kwargs))
        return self._do(place, what, args, kwargs, Vault(reply.urls))

    def verify(self, what: Look[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], must: Must) -> Any:
        """See ``Run.verify``."""
        given_targets(what, args, kwargs)
        place = self._next("verify", what.name, args, kwargs)
        known = place.known
        if known is not None and known.state != "begun":
            return self._again(known, what.function)
        reply = self._begin(place.began(within=must.within))
        held, value, why, samples = self._watch(self._call(what), args, kwargs, must, reply.left / SECOND)
        raw = self._json(value)
        said = self._said(value) if value is not None else "nothing could be seen"
        if not held:
            self._end(place, False, self._kept(raw), said, why, samples)
            self._give_up("unverified", f"{_short(what.name)}: {why}; last seen: {said}")
        self._end(place, True, self._kept(raw), said, samples=samples)
        return self._decoded(raw, what.function, what.name)

    def ask(self, question: str, choices: tuple[str, ...], within: Duration, default: str, role: str) -> str:
        """See ``Run.ask``."""
        place = self._next("ask", self.redacted(question)[:SHOWN], choices, {})
        meant = {self.redacted(one): one for one in choices}
        if len(meant) < len(choices):
            raise Misused("the choices of run.ask cannot be told apart without the secrets in them")
        if place.known is not None and place.known.state == "done":
            answer = msgspec.json.decode(place.known.result, type=str)
            return meant.get(answer, answer)
        began = Began(place.ordinal, "ask", place.function, place.digest, within=within)
        asked = structs.replace(began, choices=tuple(meant), default=self.redacted(default), role=role)
        reply = self._wire.begin(asked)
        if isinstance(reply, Answered):
            return meant.get(reply.answer, reply.answer)
        raise self._closed()

    def tell(self, text: str) -> None:
        """See ``Run.tell``."""
        place = self._next("tell", "tell", (text,), {})
        if place.known is None:
            self._end(place, True, NOTHING, text)

    def hand_over(self, why: str, findings: Sequence[object], next: str = "") -> NoReturn:
        """See ``Run.hand_over``."""
        self._give_up("handed_over", why, tuple(self._said(one) for one in findings), next)

    def when(self, holds: Callable[[], bool]) -> bool:
        """The playbook's own predicate, as the run's first step."""
        place = self._next("when", "when", (), {})
        if place.known is not None and place.known.state == "done":
            return bool(msgspec.json.decode(place.known.result))
        try:
            meant = bool(holds())
        except Exception as error:  # noqa: BLE001  # whatever a rule raises, it came to no answer, which is no match
            plain = isinstance(error, RuleError)
            why = str(error) if plain else f"{type(error).__name__}: {error}{line_of(error)}"
            self._end(place, False, NOTHING, "", self.redacted(why)[:MOST_SAID])
            raise RuleError(why) from None
        self._end(place, True, "true" if meant else "false", "it is meant for this" if meant else "not meant")
        return meant

    # -- inside --------------------------------------------------------------------------------------------------------

    def _next(self, verb: Verb, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Place:
        if self.over:
            raise Ended
        self._ordinal += 1
        if self._ordinal > MOST_STEPS:
            self._give_up("raised", f"it has more than {MOST_STEPS} steps")
        text = self.redacted(self._json([list(args), dict(sorted(kwargs.items()))], f"the arguments of {function}"))
        digest = blake2b(text.encode(), digest_size=16).hexdigest()
        known = self._recorded.get(self._ordinal)
        if known is not None and (known.verb, known.state) == ("look", "begun"):
            known = None  # it was interrupted in it, and nothing came of it: it may look at something else now
        if known is not None and (known.verb, known.function, known.digest) != (verb, function, digest):
            was = f"{known.verb} {_short(known.function)}"
            now = f"{verb} {_short(function)}"
            other = f"{was} with other arguments" if was == now else was
            self._astray(f"step {self._ordinal} was {now}; the record says {other}")
        shown = self.redacted(", ".join([*map(_shown, args), *(f"{k}={_shown(v)}" for k, v in kwargs.items())]))
        return _Place(self._ordinal, verb, function, digest, shown[:SHOWN], known)

    def _doubted(self, place: _Place) -> bool:
        """Whether an earlier run may have done this. It may have as often as it is named."""
        if place.ordinal < self._since or place.identity not in self._doubt:
            return False
        self._doubt.remove(place.identity)
        return True

    def _astray(self, how: str) -> NoReturn:
        """Run again it does not what it did: its own fault, unless it was not told what it was told then."""
        if self._renewed:
            self._give_up("cut", f"{self._renewed}; looked at again, {how}")
        self._give_up("strayed", f"run again, {how}")

    def _wants(self, place: _Place, what: Fix[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Began:
        says, undo = (
            self.redacted(saying.said(text, what.function, args, kwargs))[:SHOWN] for text in (what.says, what.undo)
        )
        about = self.redacted(saying.first_line(what.function))[:SHOWN]
        began = place.began(what.idempotent, what.probe is not None)
        return structs.replace(began, says=says, undo=undo, about=about)

    def _begin(self, began: Began) -> Go:
        reply = self._wire.begin(began)
        if isinstance(reply, Go):
            return reply
        raise self._closed()

    def _do(
        self, place: _Place, what: Look[..., Any] | Fix[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any],
        held: Vault,
    ) -> Any:  # fmt: skip
        call = self._call(what)
        try:
            value = self._with(held, lambda: call(*args, **kwargs))
        except Uninstalled as error:
            why = self.redacted(str(error))[:MOST_SAID]
            if place.verb != "fix":  # one that was let begin was not begun
                self._end(place, False, NOTHING, "", why)
            self._give_up("withheld", f"{_short(place.function)} cannot be done on this machine: {why}")
        except Exception as error:  # noqa: BLE001  # whatever a step raises is what came of it
            why = self.redacted(f"{type(error).__name__}: {error}")[:MOST_SAID]
            self._end(place, False, NOTHING, "", why, undone=place.verb == "fix" and isinstance(error, Refused))
            raise Failed(f"{_short(place.function)} failed: {why}") from None
        try:
            raw = self._json(value, f"what {place.function} answered")
        except Misused as error:
            self._end(place, False, NOTHING, "", self.redacted(str(error))[:MOST_SAID])  # it is not in it any more
            raise
        self._end(place, True, self._kept(raw), self._said(value))
        return self._decoded(raw, what.function, place.function)

    def _watch(
        self, call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], must: Must, left: float
    ) -> tuple[bool, Any, str, int]:
        """Whether it held, what was seen last, why not, and how many looks answered."""
        until = self._wire.clock() + left
        value, samples, trouble = None, 0, ""
        while True:
            try:
                seen = self._with(self._reading, lambda: call(*args, **kwargs))
                if seen is not None:
                    value, samples = seen, samples + 1
                    shown = harmful(must.harm(seen)) if must.harm is not None else ""
                    if shown:
                        return False, value, self.redacted(shown)[:MOST_SAID], samples
                    if is_yes("until", must.until(seen)):
                        return True, value, "", samples
            except Exception as error:  # noqa: BLE001  # no answer is no evidence; the next look may have one
                trouble = self.redacted(f"{type(error).__name__}: {error}")[:MOST_SAID]
            if self._wire.clock() + must.every / SECOND > until:
                break
            self._wire.rest(must.every / SECOND)
        within = format_duration(must.within)
        if not samples:
            return False, None, f"no look answered within {within}{f' ({trouble})' if trouble else ''}", 0
        return False, value, f"it did not hold within {within}{f' ({trouble})' if trouble else ''}", samples

    def _with(self, held: Vault, call: Callable[[], Any]) -> Any:
        token = vault.set(held)
        try:
            return call()
        finally:
            vault.reset(token)

    def _end(
        self, place: _Place, ok: bool, raw: str, said: str, error: str = "", samples: int = 0, undone: bool = False
    ) -> None:
        said = self.redacted(said)[:MOST_SAID]
        self._results += len(raw.encode())
        too_much = self._results > MOST_RESULTS
        raw = NOTHING if too_much else raw
        self._wire.tell(
            Finished(
                place.ordinal, place.verb, place.function, place.digest, ok, place.shown, raw, said, error, samples,
                undone,
            )
        )
        if too_much:
            self._give_up("raised", TOO_MUCH)

    def _again(self, known: Step, call: Callable[..., Any]) -> Any:
        """What a step that was done before came to."""
        if known.verb == "verify" and known.state == "failed":
            self._give_up("unverified", f"{_short(known.function)}: {known.error}")
        if known.state == "failed":
            raise Failed(f"{_short(known.function)} failed: {known.error}")
        if HIDDEN in known.result:
            self._give_up("cut", f"{_not_all(known)}: it cannot go on from there")
        return self._decoded(known.result, call, known.function)

    def _decoded(self, raw: str, call: Callable[..., Any], name: str) -> Any:
        """An answer as the function says it is. Raises Misused when it is something else."""
        wanted = get_type_hints(call).get("return", Any)
        if wanted in (int, float) and raw in FLAGS:
            return FLAGS[raw]  # as Python has it, a flag is a number
        try:
            return msgspec.json.decode(raw, type=wanted)
        except msgspec.ValidationError as error:
            said = raw if len(raw) <= SHOWN_ANSWER else f"{raw[:SHOWN_ANSWER]}…"
            kind = getattr(wanted, "__name__", str(wanted))
            raise Misused(f"{_short(name)} answered {said}, and says it answers {kind}: {error}") from None

    def _json(self, value: Any, what: str = "the value") -> str:
        try:
            text = msgspec.json.encode(value, enc_hook=_plain, order="deterministic")
        except UnicodeEncodeError:
            how = "decode what was read with errors='replace'"
            raise Misused(f"{what} cannot be written down: it holds bytes that are no text; {how}") from None
        except (TypeError, msgspec.MsgspecError) as error:
            raise Misused(f"{what} cannot be written down: {error}") from None
        if len(text) > MOST_RESULT:
            raise Misused(f"{what} has {len(text):,} bytes, at most {MOST_RESULT:,} are written down")
        return text.decode()

    def _kept(self, raw: str) -> str:
        """An answer as it is written down, without secrets. The playbook goes on with the answer itself: a password may
        be a word that stands in its data.
        """
        if self.redacted(raw) == raw:
            return raw
        kept = msgspec.json.encode(_without(msgspec.json.decode(raw), self.redacted), order="deterministic").decode()
        return kept if self.redacted(kept) == kept else msgspec.json.encode(HIDDEN).decode()

    def _said(self, value: object) -> str:
        return self.redacted(str(value) if value is not None else "done")[:MOST_SAID]

    def _give_up(self, kind: str, why: str, findings: tuple[str, ...] = (), next: str = "") -> NoReturn:
        self._wire.tell(GaveUp(kind, self.redacted(why)[:MOST_SAID], findings, self.redacted(next)[:MOST_SAID]))
        raise self._closed()

    def _closed(self) -> Ended:
        self.over = True
        return Ended()


class _Place(Struct, frozen=True):
    ordinal: int
    verb: Verb
    function: str
    digest: str
    shown: str
    known: Step | None

    @property
    def identity(self) -> str:
        """See ``Began.identity``."""
        return f"{self.function} {self.digest}"

    def began(self, idempotent: bool = False, probe: bool = False, within: Duration = 0) -> Began:
        """What is asked before it begins."""
        return Began(
            self.ordinal, self.verb, self.function, self.digest, self.shown, idempotent, probe, within=within
        )


def line_of(error: BaseException) -> str:
    """Where in the playbook it was raised: the last line of its own code."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/playbooks/" in file and "/tocsin/" not in file:
            found = f" ({file.rpartition('/')[2]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


def _not_all(known: Step) -> str:
    """That a step's answer cannot be taken from its record, in words."""
    return f"what {_short(known.function)} answered had a secret in it, which is not written down"


def _plain(value: Any) -> Any:
    if callable(value):
        raise TypeError(f"{getattr(value, '__name__', value)!r} is a function, and functions do not cross processes")
    raise TypeError(f"{type(value).__name__} is no plain value")


def _without(value: Any, redacted: Callable[[str], str]) -> Any:
    """What was read from JSON, without secrets; still JSON, also where a number or a name is one."""
    match value:
        case str():
            return redacted(value)
        case list():
            return [_without(one, redacted) for one in value]
        case dict():
            return {redacted(key): _without(one, redacted) for key, one in value.items()}
        case bool() | None:
            return value
    return value if redacted(str(value)) == str(value) else HIDDEN


def _shown(value: object) -> str:
    if isinstance(value, Target):
        return value.name
    if isinstance(value, list | tuple | set | dict) and len(value) > 3:
        return f"{len(value)} of them"
    return repr(value) if isinstance(value, str) else str(value)


def _text(text: str) -> str:
    """A text that can be written down: what is none in it (a lone surrogate) is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _short(function: str) -> str:
    """A function as people say it: ``redis.memory`` for ``tocsin.library.redis.memory``."""
    return ".".join(function.rsplit(".", 2)[-2:])
