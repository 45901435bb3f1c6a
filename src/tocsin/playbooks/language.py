"""What a playbook is written with. ``from tocsin import Run, playbook, look, fix, at_most, cooldown, trust``.

Six verbs touch the world: ``look``, ``fix``, ``verify``, ``ask``, ``tell``, ``hand_over``. What a library offers is
declared as one or the other, so that a type checker refuses to look with something that changes things, and so does
Tocsin when it runs.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, NoReturn, ParamSpec, Protocol, TypeVar, overload

from msgspec import Struct

from tocsin.kernel.instant import DAY, HOUR, MINUTE, SECOND, Duration, parse_duration, say_duration
from tocsin.playbooks import saying
from tocsin.playbooks.confinement import Confine, trouble
from tocsin.playbooks.manifest import RUNGS, AtMost, Blast, Breaker, Cooldown, Frozen, Guard, Over, Rung, Trust, Unless
from tocsin.playbooks.run import REMEMBERED

P = ParamSpec("P")
T = TypeVar("T")
Body = TypeVar("Body", bound=Callable[..., None])

PATIENCE: Final = (10 * SECOND, HOUR)
"""So long a playbook may take, at the least and at the most."""
WAITS: Final = (MINUTE, DAY)
"""So long a playbook may wait for leave to do a fix, at the least and at the most."""
_LIBRARY: Final = "tocsin.library."
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK: Final = 7 * 24 * 60
_CLOCK: Final = r"(\w{3})\w* ([01]\d|2[0-3]|24(?=:00)):([0-5]\d)"
_HOURS: Final = re.compile(f"{_CLOCK} ?- ?{_CLOCK}")


class Misused(TypeError):
    """A playbook says something that cannot be meant; the message says what to write."""


# -- what a library offers ---------------------------------------------------------------------------------------------


class Look(Generic[P, T]):
    """Looks at a system and changes nothing. Made with ``@look``; used with ``run.look`` and ``run.verify``."""

    def __init__(self, function: Callable[P, T]) -> None:
        self.function = function
        self.name = _named(function)
        self.__doc__ = function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Look at once, without writing anything down: for one look within another."""
        return self.function(*args, **kwargs)


class Fix(Generic[P, T]):
    """Changes a system. Made with ``@fix``; used with ``run.fix`` alone."""

    def __init__(
        self,
        function: Callable[P, T],
        idempotent: bool,
        probe: Look[P, bool] | None,
        says: str = "",
        undo: str = "",
    ) -> None:
        self.function = function
        self.name = _named(function)
        self.idempotent = idempotent
        self.probe = probe
        self.says, self.undo = says, undo
        for what, text in (("says", says), ("undo", undo)):
            if why := saying.unknown(text, function):
                raise Misused(f"@fix({what}={text!r}): {why}")
        self.__doc__ = function.__doc__

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        """Refused: a change that nobody allowed and nothing wrote down."""
        raise Misused(f"{self.name} changes something: write run.fix({self.name.rpartition('.')[2]}, …)")


def look(function: Callable[P, T]) -> Look[P, T]:
    """Declare a function that looks and changes nothing. It may be run again at any time."""
    return Look(function)


@overload
def fix(function: Callable[P, T]) -> Fix[P, T]: ...
@overload
def fix(*, idempotent: bool = False, says: str = "", undo: str = "") -> Callable[[Callable[P, T]], Fix[P, T]]: ...
@overload
def fix(
    *, probe: Look[P, bool], idempotent: bool = False, says: str = "", undo: str = ""
) -> Callable[[Callable[P, T]], Fix[P, T]]: ...
def fix(
    function: Callable[P, T] | None = None,
    *,
    idempotent: bool = False,
    probe: Look[P, bool] | None = None,
    says: str = "",
    undo: str = "",
) -> Fix[P, T] | Callable[[Callable[P, T]], Fix[P, T]]:
    """Declare a function that changes something.

    ``idempotent``: doing it twice is as good as once. ``probe``: a look with the same arguments that says whether it
    was done. With neither, a run that was interrupted in the middle of it is handed over to a person.

    ``says``: what it does, for whoever is asked whether it may: ``"end process {pid} of {server}"``, with its
    parameters in braces; after "May it" and before a question mark. ``undo``: how it is undone, or that it cannot be.
    """
    if function is not None:
        return Fix(function, idempotent, probe)
    return lambda one: Fix(one, idempotent, probe, says, undo)


def _at_once(function: Callable[..., object]) -> None:
    """Raises Misused for a function of which nothing runs when it is called."""
    name = getattr(function, "__name__", "it")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise Misused(f"{name} is written with async def, and nothing would run of it: write a plain def")
    if inspect.isgeneratorfunction(function):
        raise Misused(f"{name} has a yield, so that nothing of it runs when it is called: write it without")


def _named(function: Callable[..., object]) -> str:
    _at_once(function)
    if "<lambda>" in function.__qualname__ or "<locals>" in function.__qualname__:
        raise Misused(f"{function.__qualname__} cannot be found by name in another process: put it at a module's top")
    module = function.__module__
    if module.startswith(_LIBRARY):
        # A solution of several files is one to whoever uses it: postgres.blocking, in whichever of them it is.
        module = _LIBRARY + module.removeprefix(_LIBRARY).partition(".")[0]
    return f"{module}.{function.__qualname__}"


class Spelled(Struct, frozen=True):
    """How a text is written that a look or a fix is given. ``read`` raises ValueError for any other."""

    read: Callable[[str], object]


Span = Annotated[str, Spelled(parse_duration)]
"""A time as it is written: ``90s``, ``5m``, ``7d``. A parameter of this type is looked at before the playbook runs."""


class Vault(Struct):
    """The credentials a step may use, by target's name."""

    urls: Mapping[str, str] = {}


vault: ContextVar[Vault | None] = ContextVar("tocsin_vault", default=None)


class Target(Struct, frozen=True):
    """A system a playbook works on, as the plan's ``targets`` name it. A library makes a class of it with its ``kind``.

    While a step looks, ``credential`` is the reading one; while it fixes, the fixing one. Outside of steps there is
    none.
    """

    kind: ClassVar[str] = ""
    name: str

    @property
    def credential(self) -> str:
        """What reaches it: an address, with user and password where it needs them. Raises LookupError without one."""
        held = vault.get()
        if held is None:
            raise LookupError(f"{self.name} is reached within run.look and run.fix only")
        found = held.urls.get(self.name)
        if not found:
            raise LookupError(f"the plan gives no credential for {self.name} that may be used here")
        return found


# -- a run, as its playbook sees it ------------------------------------------------------------------------------------


class Hands(Protocol):
    """Does what the verbs say. Tocsin's own are in ``session``."""

    def look(self, what: Look[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any: ...
    def fix(self, what: Fix[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any: ...
    def verify(self, what: Look[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], must: Must) -> Any: ...
    def ask(self, question: str, choices: tuple[str, ...], within: Duration, default: str, role: str) -> str: ...
    def tell(self, text: str) -> None: ...
    def hand_over(self, why: str, findings: Sequence[object], next: str = "") -> NoReturn: ...


class Must(Struct, frozen=True):
    """What a verification asks for: ``until`` holds within a time, and ``harm`` never does."""

    until: Callable[[Any], bool]
    within: Duration
    every: Duration
    harm: Callable[[Any], bool] | None


class About(Struct, frozen=True):
    """What a run is about: the incident's service, title, severity and labels; number 0 when there is none."""

    service: str = ""
    incident: int = 0
    title: str = ""
    severity: str = ""
    labels: dict[str, str] = {}


class Run:
    """One run of a playbook: six verbs, and what it is ``about``. What a verb answers is written down.

    After an interruption the playbook runs again from its top, and steps that were done answer what they answered
    before. So between verbs a playbook only decides: no clock, no randomness, nothing that touches the world.
    """

    def __init__(self, hands: Hands, about: About) -> None:
        self._hands = hands
        self.about = about

    def look(self, what: Look[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Diagnose: safe, repeatable. Raises whatever the look raises, as ``Failed``."""
        if not isinstance(what, Look):
            raise Misused(f"run.look takes what is declared with @look, not {_what(what)}")
        found: T = self._hands.look(what, args, kwargs)
        return found

    def fix(self, what: Fix[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Change something. It is written down before it begins, and begins only when guards and trust allow it."""
        if not isinstance(what, Fix):
            raise Misused(f"run.fix takes what is declared with @fix, not {_what(what)}")
        done: T = self._hands.fix(what, args, kwargs)
        return done

    def verify(
        self,
        what: Look[..., T],
        *args: Any,
        until: Callable[[T], bool],
        within: str,
        every: str = "1s",
        harm: Callable[[T], bool] | None = None,
        **kwargs: Any,
    ) -> T:
        """Look again and again until something holds. Hands over when it does not in time, or when harm shows.

        No answer is no evidence: a look that fails, or answers None, does not verify.
        """
        if not isinstance(what, Look):
            raise Misused(f"run.verify takes what is declared with @look, not {_what(what)}")
        must = Must(until, _time("run.verify(within=…)", within), _time("run.verify(every=…)", every), harm)
        seen: T = self._hands.verify(what, args, kwargs, must)
        return seen

    def ask(
        self,
        question: str,
        choices: tuple[str, ...] = ("yes", "no"),
        *,
        within: str = "10m",
        default: str = "no",
        role: Literal["responder", "admin"] = "responder",
    ) -> str:
        """Ask a person. ``default`` counts when nobody has answered in time. Paging goes on meanwhile."""
        if len(choices) < 2 or default not in choices or len(set(choices)) < len(choices):
            raise Misused("run.ask needs two different choices or more, and a default that is one of them")
        if role not in ("responder", "admin"):
            raise Misused(f"nobody has the role {role!r}: ask a responder or an admin")
        return self._hands.ask(question, choices, _time("run.ask(within=…)", within), default, role)

    def tell(self, text: str) -> None:
        """Write something on the incident's timeline."""
        self._hands.tell(text)

    def hand_over(self, why: str, *findings: object, next: str = "") -> NoReturn:
        """Call a person, with what was found. Does not return. ``next``: what you would have them do first."""
        self._hands.hand_over(why, findings, next)


def _what(thing: object) -> str:
    if isinstance(thing, Fix):
        return f"the fix {thing.name}"
    if isinstance(thing, Look):
        return f"the look {thing.name}"
    return f"{getattr(thing, '__name__', None) or type(thing).__name__}: declare it with @look or @fix"


class Failed(Exception):
    """A step failed; the message is what it raised."""


class Refused(Exception):
    """A fix raises it before it has changed anything: it was not done, and the message says why."""


class Uninstalled(Exception):
    """A look or fix needs what is not on this machine; the message says what to install. No playbook is at fault."""


# -- declaring a playbook ----------------------------------------------------------------------------------------------


class Declared(Struct, frozen=True):
    """A playbook as it was declared. ``body`` takes the run, then its parameters."""

    body: Callable[..., None]
    name: str
    answers: tuple[tuple[str, ...], ...]
    severities: tuple[str, ...]
    when: Callable[[About], bool] | None
    where: str
    guards: tuple[Guard, ...]
    trust: Trust
    hand_over_after: Duration
    hand_over_to: str
    schedule: str
    timezone: str
    confine: Confine | None = None


declared: list[Declared] = []
"""Every playbook of the modules imported so far."""


def playbook(
    *,
    name: str = "",
    answers: Sequence[str] | Sequence[Sequence[str]] = (),
    severity: Sequence[str] = (),
    when: Callable[[About], bool] | None = None,
    where: str = "",
    guards: Sequence[Guard] = (),
    trust: Trust | None = None,
    hand_over_after: str = "5m",
    hand_over_to: str = "",
    schedule: str = "",
    timezone: str = "UTC",
    confine: Confine | None = None,
) -> Callable[[Body], Body]:
    """Declare a playbook.

    ``answers``: matchers an alert must meet, all of them; or several such lists, of which one is enough. ``when``:
    looks at the incident and says whether it is meant; ``where``: the same in CEL.
    ``hand_over_after``: so long it may take, and pages wait (10 s to 1 h). ``hand_over_to``: an escalation of the plan
    that is paged at once when it hands over; the service's own goes on after it.
    ``schedule``: a cron line by which it runs without an incident. ``confine``: its runs have no more of the machine
    than that. Raises ``Misused`` for what cannot be meant.
    """
    patience = _time("hand_over_after", hand_over_after)
    if not PATIENCE[0] <= patience <= PATIENCE[1]:
        raise Misused(f"hand_over_after={hand_over_after!r}: a person is called after 10s to 1h")
    texts = (("name", name), ("where", where), ("hand_over_to", hand_over_to), ("schedule", schedule),
             ("timezone", timezone))  # fmt: skip
    for option, text in texts:
        if not isinstance(text, str):
            raise Misused(f"{option}={text!r} is no text")
    said = _several("answers", answers)
    groups = (said,) if said and isinstance(said[0], str) else tuple(_several("answers", one) for one in said)
    severities, watched = _several("severity", severity), _several("guards", guards)
    for one in watched:
        if not isinstance(one, Guard):
            raise Misused(f"{one!r} is no guard: write at_most, cooldown, blast_radius, freeze, breaker or unless")
    if trust is not None and not isinstance(trust, Trust):
        raise Misused(f"trust={trust!r} is no trust: write trust=trust(start={trust if trust in RUNGS else 'ask'!r})")
    if confine is not None and not isinstance(confine, Confine):
        raise Misused(f"{confine!r} is no confinement: write confine=confine(write=['/var/log/shop'])")
    if when is not None and not _takes_one(when):
        how = "write when=lambda about: about.severity == 'sev1'"
        raise Misused(f"when={when!r:.80} is no function of one thing: {how}")

    def declare(body: Body) -> Body:
        _at_once(body)
        declared.append(
            Declared(
                body=body,
                name=name or body.__name__.replace("_", "-"),
                answers=groups,
                severities=severities,
                when=when,
                where=where,
                guards=watched,
                trust=trust or Trust(),
                hand_over_after=patience,
                hand_over_to=hand_over_to,
                schedule=schedule,
                timezone=timezone,
                confine=confine,
            )
        )
        return body

    return declare


def _several(option: str, given: Any) -> tuple[Any, ...]:
    """What may be several: one alone stands for itself, as ``severity="sev1"`` does."""
    if isinstance(given, str | Guard):
        return (given,)
    if isinstance(given, Mapping) or not hasattr(given, "__iter__"):
        raise Misused(f"{option}={given!r:.80} is no list: write {option}=[…]")
    return tuple(given)


def _time(option: str, text: object) -> Duration:
    if not isinstance(text, str):
        raise Misused(f"{option} is a time such as '30s' or '5m', in quotes, not {text!r:.80}")
    return parse_duration(text)


def _whole(option: str, number: object) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise Misused(f"{option} is a whole number, not {number!r:.80}")


def _takes_one(function: object) -> bool:
    """Whether it can be called with one thing; so it seems where nobody can say."""
    try:
        inspect.signature(function).bind(None)  # type: ignore[arg-type]  # what is none raises
    except TypeError:
        return False
    except ValueError:
        return callable(function)
    return True


def _span(text: str, guard: str) -> Duration:
    """A time that a guard looks back on: runs are remembered for no longer."""
    span = _time(guard, text)
    if not 0 < span <= REMEMBERED:
        raise Misused(f"{guard} takes more than 0s and at most {say_duration(REMEMBERED)}, not {text}")
    return span


def at_most(times: int, *, per: str, over: Over = "playbook") -> AtMost:
    """So many runs in so long; ``over`` the playbook, one target, or the whole fleet."""
    _whole("at_most(…)", times)
    if times < 1 or over not in ("playbook", "target", "fleet"):
        raise Misused("at_most(3, per='6h', over='playbook'): one or more, over playbook, target or fleet")
    return AtMost(times, _span(per, "at_most(per=…)"), over)


def cooldown(lasts: str) -> Cooldown:
    """So long between the end of one run on a target and the next."""
    return Cooldown(_span(lasts, "cooldown"))


def blast_radius(most: int = 0, *, percent: int = 0) -> Blast:
    """At most so many targets of a service are changed at once, and only while another one is well."""
    _whole("blast_radius(…)", most)
    _whole("blast_radius(percent=…)", percent)
    if (most < 1) == (percent < 1) or percent > 100:
        raise Misused("blast_radius takes a number of targets, or percent= from 1 to 100")
    return Blast(most, percent)


def freeze(hours: str, *, timezone: str = "UTC") -> Frozen:
    """Nothing is changed in these hours of the week: ``freeze("Fri 16:00-Mon 08:00", timezone="Europe/Madrid")``."""
    found = _HOURS.fullmatch(str(hours).strip())
    if found is None or not {found[1].lower(), found[4].lower()} <= set(_DAYS):
        raise Misused(f"{hours!r} are no hours of the week: write Fri 16:00-Mon 08:00")
    minutes = [
        (_DAYS.index(found[at].lower()) * 1440 + int(found[at + 1]) * 60 + int(found[at + 2])) % WEEK for at in (1, 4)
    ]
    return Frozen(minutes[0], minutes[1], timezone, hours.strip())


def breaker(*, failures: int = 3, returns: int = 3, within: str = "24h") -> Breaker:
    """Stop after so many failures in a row, or when the same trouble came back so often, and wake a person."""
    _whole("breaker(failures=…)", failures)
    _whole("breaker(returns=…)", returns)
    if failures < 1 or returns < 1:
        raise Misused("breaker counts from 1")
    return Breaker(failures, returns, _span(within, "breaker(within=…)"))


def unless(service: str) -> Unless:
    """Not while this service has an open incident."""
    if not isinstance(service, str):
        raise Misused(f"unless takes the name of a service, not {service!r:.80}")
    return Unless(service)


def trust(
    start: Rung = "ask",
    ceiling: Rung = "act",
    *,
    approve: Literal["responder", "admin"] = "responder",
    within: str = "30m",
    default: Literal["yes", "no"] = "no",
) -> Trust:
    """Where it starts, what it never goes above, and who may answer when it asks.

    ``within``: how long it waits for leave to do a fix (a minute to a day); ``default``: what counts without an answer.
    """
    rungs = ("observe", "suggest", "ask", "act")
    if start not in rungs or ceiling not in rungs or rungs.index(start) > rungs.index(ceiling):
        raise Misused("trust(start, ceiling): observe, suggest, ask or act, and start is never above ceiling")
    if approve not in ("responder", "admin"):
        raise Misused(f"nobody has the role {approve!r}: approve='responder' or 'admin'")
    waits = _time("trust(within=…)", within)
    if not WAITS[0] <= waits <= WAITS[1]:
        raise Misused(f"trust(within={within!r}): leave is waited for 1m to 1d")
    if default not in ("yes", "no"):
        raise Misused(f"trust(default={default!r}): what counts without an answer is 'yes' or 'no'")
    return Trust(start, ceiling, approve, waits, default)


def confine(
    *, write: Sequence[str] = (), read: Sequence[str] = (), network: bool = False, processes: bool = False
) -> Confine:
    """Its runs see the machine's programs and what is named here, by absolute path; they change what they may write.

    ``network``: they have the machine's. ``processes``: they see the machine's, and may signal those of Tocsin's user.
    """
    if isinstance(write, str) or isinstance(read, str):
        raise Misused("confine takes lists of paths: write=['/var/log/shop']")
    found = Confine(tuple(write), tuple(read), bool(network), bool(processes))
    if wrong := trouble(found):
        raise Misused(wrong)
    return found
