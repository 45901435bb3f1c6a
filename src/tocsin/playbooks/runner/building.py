"""Playbooks in YAML become playbooks: names are looked up in the library, and what a step is given is fitted to it.

The body that comes of one uses the same verbs as any other; nothing in it is code of the file.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from string import Template
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, structs

from tocsin.kernel.instant import format_duration
from tocsin.playbooks import language
from tocsin.playbooks.composed import (
    ALERT,
    COUNT,
    IT,
    LEFT_OUT,
    ORDERED,
    Argument,
    Comparison,
    Composed,
    ComposedStep,
    Condition,
    Missing,
    Parameter,
    System,
    Test,
    holds,
    read_composed,
    value_at,
)
from tocsin.playbooks.language import About, Declared, Fix, Look, Misused, Run, Target
from tocsin.playbooks.manifest import COMPOSED
from tocsin.playbooks.runner.fitting import (
    Unfit,
    Unfits,
    bare,
    fields_of,
    fits,
    found_by_name,
    hints_of,
    is_target,
    item_of,
    misspelt,
    say,
    sized,
    takes,
    typed,
)

PLAIN = "such an answer is compared itself: it: {is: …}"
UNTRUSTED = {"start": "ask", "ceiling": "act", "approve": "responder"}
"""Stands for whatever trust a text declares, for ever: a field more in it is no other meaning."""
TYPES: dict[str, type] = {"text": str, "number": float, "whole number": int, "flag": bool}


class _Doing(NamedTuple):
    """A step, ready to be done."""

    step: ComposedStep
    what: Any = None
    given: tuple[tuple[str, Any, str], ...] = ()
    """The parameters of its function: name, value, or what it is taken from."""
    signature: inspect.Signature = inspect.Signature()
    typed: Mapping[str, Condition] = {}
    """Its conditions, their values typed: ``when``, ``until``, ``harm``."""


def build(composed: Composed) -> tuple[Declared, tuple[Look[..., Any] | Fix[..., Any], ...]]:
    """The playbook, and the library's functions it uses. Raises Unfits for all that does not fit."""
    return _Builder(composed).build()


class _Builder:
    def __init__(self, composed: Composed) -> None:
        self._of = composed
        self._known: dict[str, Any] = {ALERT: About}
        """Type by name, of all that conditions and arguments may take."""
        self._choices: dict[str, tuple[str, ...]] = {}
        self._last: Any = None
        self._kinds: dict[str, type[Target]] = {}
        self._defaults: dict[str, Any] = {}
        self._used: list[Look[..., Any] | Fix[..., Any]] = []
        self._faults: list[Unfit] = []

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """What does not fit is noted, and the rest is looked at all the same."""
        try:
            yield
        except Unfit as error:
            self._faults.append(error)

    def build(self) -> tuple[Declared, tuple[Look[..., Any] | Fix[..., Any], ...]]:
        for one in self._of.systems:
            self._name(one.name, Target, one.line)
        for param in self._of.parameters:
            self._name(param.name, TYPES[param.kind], param.line)
            with self._noting():
                self._defaults[param.name] = _default(param)
        doing = [self._doing(step) for step in self._of.steps]
        self._check_used()
        self._check_verified(doing)
        if self._faults:
            raise Unfits(self._faults)
        body = _body(self._of, tuple(doing))
        _dress(body, self._of, self._kinds)
        found = Declared(
            body=body,
            name=self._of.name,
            answers=(),
            severities=self._of.severities,
            when=None,
            where=self._of.where,
            guards=self._of.guards,
            trust=self._of.trust,
            hand_over_after=self._of.hand_over_after,
            hand_over_to=self._of.hand_over_to or "",
            schedule=self._of.schedule,
            timezone=self._of.timezone,
            confine=self._of.confine or None,
        )
        return found, tuple(self._used)

    def _check_used(self) -> None:
        said = {one.name for one in self._of.systems}
        named = {name for step in self._of.steps for name in step.on}
        if named - said:
            return  # a name that is misspelt may be the one that seems to be missing
        for one in self._of.systems:
            if one.name not in named:
                fault = Unfit(one.line, f"no step works on {one.name}", "say it with a step's `on`, or leave it out")
                self._faults.append(fault)

    def _check_verified(self, doing: list[_Doing]) -> None:
        fixes = [place for place, one in enumerate(doing) if one.step.does == "fix" and not isinstance(one.what, Look)]
        if not fixes or any(one.step.does == "verify" for one in doing[fixes[-1] + 1 :]):
            return
        fault = Unfit(
            doing[fixes[-1]].step.line,
            f"{self._of.name} fixes and verifies nothing after it",
            "add a step `verify` with `until` and `within`: what must hold after the fix",
        )
        self._faults.append(fault)

    def _name(self, name: str, kind: Any, line: int) -> None:
        if name in self._known:
            fault = Unfit(line, f"{name} is said twice, or is Tocsin's own word", "each name stands for one thing")
            self._faults.append(fault)
            kind = self._known[name] if name == ALERT else Any  # which of the two is meant later is not known
        self._known[name] = kind

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _doing(self, step: ComposedStep) -> _Doing:
        conditions = {"when": self._condition(step.when, "if", self._last)}
        match step.does:
            case "ask":
                self._asks(step)
                return _Doing(step, typed=conditions)
            case "tell" | "hand over":
                self._says(step)
                return _Doing(step, typed=conditions)
        what = self._function(step)
        given = tuple(self._given(step, what) if what is not None else self._named(step))
        answers = get_type_hints(what.function).get("return", Any) if what is not None else Any
        if step.does == "verify":
            before = self._known
            own = {step.name: answers} if step.name and step.name not in before else {}  # its own name is what it sees
            self._known = {**before, **own}
            conditions["until"] = self._condition(step.until, "until", answers)
            with self._noting():
                self._sees(step, before)
            conditions["harm"] = self._condition(step.harm, "harm", answers)
            self._known = before
        if step.does == "look":
            self._last = answers
        if step.name:
            self._name(step.name, answers, step.at("as"))
        signature = inspect.signature(what.function) if what is not None else inspect.Signature()
        return _Doing(step, what, given, signature, conditions)

    def _sees(self, step: ComposedStep, known: Mapping[str, Any]) -> None:
        """Refuse an ``until`` that can hold whatever is seen: nothing would be verified."""
        for tests in step.until:
            if all(test.path.partition(".")[0] in known for test in tests):
                first = tests[0].path.partition(".")[0]
                hint = f"compare a field of what {step.what} answers; {first} was known before, and changes no more"
                raise Unfit(tests[0].line, f"until: {tests[0].path} is nothing that {step.what} sees", hint)

    def _asks(self, step: ComposedStep) -> None:
        if len(set(step.choices)) < len(step.choices):
            self._faults.append(Unfit(step.at("choices"), "two choices are the same"))
        if step.default not in step.choices:
            hint = f"write default: one of {', '.join(step.choices)}"
            what = f"the default {step.default!r} is none of its choices"
            self._faults.append(Unfit(step.at("default"), what, hint))
        if step.name:
            self._name(step.name, str, step.at("as"))
            self._choices[step.name] = step.choices

    def _says(self, step: ComposedStep) -> None:
        places = [(name, step.at("findings")) for name in step.findings]
        for text, key in ((step.what, step.does), (step.next or "", "next")):
            named = (found["named"] or found["braced"] for found in Template.pattern.finditer(text))
            places += [(name, step.at(key)) for name in named if name]
        for name, line in dict.fromkeys(places):
            with self._noting():
                self._type_of(name, line, None)

    def _function(self, step: ComposedStep) -> Look[..., Any] | Fix[..., Any] | None:
        """What a step does; None when that is nothing. One of the wrong kind is looked at further all the same."""
        line = step.at(step.does)
        found: Any = None
        with self._noting():
            found = found_by_name(step.what, line)
            wanted = Fix if step.does == "fix" else Look
            if not isinstance(found, Look | Fix):
                found = None
                raise Unfit(line, f"{step.what} is nothing a step can do", "use what is declared with @look or @fix")
            self._used.append(found)
            if not isinstance(found, wanted):
                other = "fix" if isinstance(found, Fix) else "look"
                what = f"{step.does} takes no {other}, and {step.what} is one"
                raise Unfit(line, what, f"write {other}: {step.what}")
        return found

    def _given(self, step: ComposedStep, what: Look[..., Any] | Fix[..., Any]) -> Iterator[tuple[str, Any, str]]:
        signature = inspect.signature(what.function)
        hints = takes(what.function)
        systems = [name for name in signature.parameters if is_target(hints.get(name))]
        if len(step.on) != len(systems):
            kinds = " and ".join(hints[name].kind for name in systems) or "no system"
            fault = Unfit(step.at("on"), f"{step.what} works on {kinds}, and `on` names {len(step.on) or 'none'}")
            self._faults.append(fault)
        for name, system in zip(systems, step.on, strict=False):
            with self._noting():
                self._bind(step, system, hints[name])
            yield name, None, system
        own = [name for name in signature.parameters if name not in systems]
        had = {*systems, *(one.name for one in step.args)}
        for one in step.args:
            with self._noting():
                if one.name not in own:
                    close = get_close_matches(one.name, own, 1)
                    had |= set(close)  # what was meant is not missing too
                    hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(own) or 'nothing else'}"
                    raise Unfit(one.line, f"{step.what} takes no {one.name}", hint)
                yield one.name, self._fitted(step, one, hints.get(one.name, Any)), one.ref
        for name, param in signature.parameters.items():
            if name not in had and param.default is param.empty and param.kind not in (2, 4):
                fault = Unfit(step.at("with"), f"{step.what} needs {name}", f"say it with `with: {{{name}: …}}`")
                self._faults.append(fault)

    def _named(self, step: ComposedStep) -> Iterator[tuple[str, Any, str]]:
        """What can be said of a step of which nobody knows what it does: whether there is what it names."""
        for system in step.on:
            with self._noting():
                self._system(step, system, "a kind of target")
        for one in step.args:
            with self._noting():
                if one.ref:
                    self._type_of(one.ref, one.line, None)
        yield from ()

    def _system(self, step: ComposedStep, system: str, kind: str) -> System:
        said = next((one for one in self._of.systems if one.name == system), None)
        if said is None:
            known = ", ".join(one.name for one in self._of.systems)
            hint = f"known here: {known}" if known else f"write works on: {{{system}: {kind}}}"
            raise Unfit(step.at("on"), f"`works on` names no {system}", hint)
        return said

    def _bind(self, step: ComposedStep, system: str, kind: type[Target]) -> None:
        said = self._system(step, system, kind.kind)
        if said.kind != kind.kind:
            raise Unfit(said.line, f"{step.what} works on a {kind.kind} target, and {system} is a {said.kind}")
        self._kinds.setdefault(system, kind)

    def _fitted(self, step: ComposedStep, one: Argument, wanted: Any) -> Any:
        if one.ref:
            found = self._type_of(one.ref, one.line, None)
            if not fits(found, wanted):
                raise Unfit(one.line, f"{one.name} of {step.what} takes {say(wanted)}, and {one.ref} is {say(found)}")
            if isinstance(given := self._defaults.get(one.ref), str) and (wrong := misspelt(given, wanted)):
                raise Unfit(one.line, f"{one.name} of {step.what}: the default of {one.ref}: {wrong}"[:300])
            return None
        try:
            value = typed(one.value, wanted)
        except (msgspec.ValidationError, ValueError):
            raise Unfit(one.line, f"{one.name} of {step.what} takes {say(wanted)}, not {one.value!r}"[:300]) from None
        if wrong := misspelt(value, wanted):
            raise Unfit(one.line, f"{one.name} of {step.what}: {wrong}"[:300])
        return value

    # -- conditions ----------------------------------------------------------------------------------------------------

    def _condition(self, condition: Condition, key: str, last: Any) -> Condition:
        return tuple(tuple(self._fitting(test, key, last) for test in tests) for tests in condition)

    def _fitting(self, test: Test, key: str, last: Any) -> Test:
        try:
            return self._test(test, key, last)
        except Unfit as error:
            self._faults.append(error)
            return test

    def _test(self, test: Test, key: str, last: Any) -> Test:
        found = self._type_of(test.path, test.line, last)
        compared = tuple(self._comparison(test, one, found, key) for one in test.comparisons)
        return structs.replace(test, comparisons=compared)

    def _comparison(self, test: Test, one: Comparison, found: Any, key: str) -> Comparison:
        plain = bare(found)
        if one.op == "empty":
            if plain is not Any and not sized(plain) and plain is found:
                raise Unfit(test.line, f"{key}: {test.path} is {say(found)}, which is never empty")
            return one
        if one.op in ORDERED and plain is not Any and plain not in (int, float):
            hint = f"compare a field of it: {', '.join(fields_of(plain)[:12])}" if fields_of(plain) else ""
            raise Unfit(test.line, f"{key}: {test.path} is {say(found)}, and `{one.op}` compares numbers", hint)
        if one.op == "contains" and plain is not Any and not sized(plain):
            raise Unfit(test.line, f"{key}: {test.path} is {say(found)}, which contains nothing")
        if one.ref:
            other = bare(self._type_of(one.ref, test.line, None))
            if (one.op in ORDERED or one.plus) and other not in (int, float, Any):
                raise Unfit(test.line, f"{key}: {one.ref} is {say(other)}, and `{one.op}` compares numbers")
            return one
        if one.op in ORDERED:
            return one
        wanted = item_of(plain) if one.op == "contains" else plain
        allowed = self._choices.get(test.path)
        try:
            value = typed(one.value, wanted if wanted is not Any else str)
        except (msgspec.ValidationError, ValueError):
            raise Unfit(test.line, f"{key}: {test.path} is {say(found)}, and is never {one.value!r}") from None
        if allowed and value not in allowed:
            raise Unfit(test.line, f"{key}: nobody can answer {value!r}", f"the choices are {', '.join(allowed)}")
        return structs.replace(one, value=value)

    def _type_of(self, path: str, line: int, last: Any) -> Any:
        """The type of what a path leads to. Raises Unfit when there is no such thing."""
        first, _, rest = path.partition(".")
        if first in self._known:
            found, parts = self._known[first], rest
        elif last is not None:
            found, parts = last, rest if first == IT else path
        else:
            names = [one for one in self._known if one != ALERT]
            close = get_close_matches(first, names, 1)
            how = "name a step's answer with `as`, and use it after that step"
            hint = f"did you mean {close[0]}?" if close else how
            raise Unfit(line, f"no earlier step's answer is called {first}", hint)
        for part in parts.split(".") if parts else ():
            found = self._part(found, part, path, line)
        return found

    def _part(self, kind: Any, part: str, path: str, line: int) -> Any:
        plain = bare(kind)
        if plain is Any:
            return Any
        if part == COUNT and sized(plain):
            return int
        if get_origin(plain) is dict:
            return get_args(plain)[1]
        hints = hints_of(plain)
        if part in hints:
            return hints[part]
        known = list(hints)
        close = get_close_matches(part, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known[:20])}" if known else PLAIN
        raise Unfit(line, f"{path}: {say(plain)} has no {part}", hint)


# -- the body ----------------------------------------------------------------------------------------------------------


def _body(of: Composed, steps: tuple[_Doing, ...]) -> Any:
    """A function that does the steps with the verbs of a run."""

    defaults = {one.name: _default(one) for one in of.parameters if one.default is not None}

    def body(run: Run, **given: Any) -> None:
        known: dict[str, Any] = {ALERT: run.about, **defaults, **given}
        last: Any = None
        for one in steps:
            try:
                if holds(one.typed["when"], known, last):
                    last = _do(run, one, known, last)
                    continue
            except (Missing, Misused) as error:
                raise Misused(f"{error} ({of.file.rpartition('/')[2]}:{one.step.line})") from None
            # An older answer is no evidence for what this step was to see, maybe of another system.
            if one.step.does == "look":
                last = LEFT_OUT
            if one.step.name:
                known[one.step.name] = LEFT_OUT

    return body


def _do(run: Run, one: _Doing, known: dict[str, Any], last: Any) -> Any:
    """Do one step; answers what was looked at last."""
    step = one.step
    bound = one.signature.bind(**{name: value_at(ref, known) if ref else value for name, value, ref in one.given})
    args, kwargs = bound.args, bound.kwargs
    answer: Any = None
    match step.does:
        case "look":
            last = answer = run.look(one.what, *args, **kwargs)
        case "fix":
            answer = run.fix(one.what, *args, **kwargs)
        case "verify":
            harm = one.typed["harm"]
            answer = run.verify(
                one.what,
                *args,
                until=lambda seen: holds(one.typed["until"], {**known, **_own(step, seen)}, seen),
                within=format_duration(step.within),
                every=format_duration(step.every),
                harm=(lambda seen: holds(harm, {**known, **_own(step, seen)}, seen)) if harm else None,
                **kwargs,
            )
        case "ask":
            within = format_duration(step.within)
            answer = run.ask(step.what, step.choices, within=within, default=step.default, role=step.role)
        case "tell":
            run.tell(_said(step.what, known))
        case "hand over":
            found = (known[name] for name in step.findings)
            there = (one for one in found if one is not LEFT_OUT)
            run.hand_over(_said(step.what, known), *there, next=_said(step.next or "", known))
    if step.name:
        known[step.name] = answer
    return last


def _own(step: ComposedStep, seen: Any) -> dict[str, Any]:
    return {step.name: seen} if step.name else {}


def _said(text: str, known: Mapping[str, Any]) -> str:
    there = {name: value for name, value in known.items() if value is not LEFT_OUT}
    said = {name: value.name if isinstance(value, Target) else str(value) for name, value in there.items()}
    return Template(text).safe_substitute(said)


def _dress(body: Any, of: Composed, kinds: Mapping[str, type[Target]]) -> None:
    """Give a body the name, the parameters and the types by which any playbook's are read."""
    one, kind = inspect.Parameter, inspect.Parameter.KEYWORD_ONLY
    params = [one("run", one.POSITIONAL_OR_KEYWORD, annotation=Run)]
    params += [one(said.name, kind, annotation=kinds[said.name]) for said in of.systems]
    params += [one(said.name, kind, annotation=TYPES[said.kind], default=_default(said)) for said in of.parameters]
    body.__signature__ = inspect.Signature(params)
    body.__annotations__ = {param.name: param.annotation for param in params}
    body.__name__ = body.__qualname__ = of.name
    body.__module__ = of.file
    body.__doc__ = of.about
    body.__kwdefaults__ = {param.name: param.default for param in params if param.default is not param.empty}


def _default(said: Parameter) -> Any:
    if said.default is None:
        return inspect.Parameter.empty
    try:
        return typed(said.default, TYPES[said.kind])
    except (msgspec.ValidationError, ValueError):
        raise Unfit(said.line, f"the default {said.default!r} of {said.name} is no {said.kind}") from None


def composed_of(folder: Path) -> tuple[Composed, ...]:
    """The playbooks in YAML of a plan that was laid into a folder."""
    place = folder / COMPOSED
    return read_composed(place.read_bytes()) if place.exists() else ()


def composed_among(files: Mapping[str, bytes]) -> tuple[Composed, ...]:
    """The playbooks in YAML among a plan's files."""
    return read_composed(files[COMPOSED]) if COMPOSED in files else ()


def said(composed: Composed) -> str:
    """What a playbook in YAML says, without its places, its words on itself, and how far it is trusted."""
    plain = msgspec.to_builtins(_placeless(structs.replace(composed, about="")), order="deterministic")
    plain["trust"] = UNTRUSTED
    return msgspec.json.encode(plain).decode()


def _placeless(value: Any) -> Any:
    """Without the places of all that is declared; what steps are given may have keys of these names, and keeps them."""
    if isinstance(value, tuple):
        return tuple(_placeless(one) for one in value)
    if not isinstance(value, Struct):
        return value
    nowhere: dict[str, Any] = {"line": 0, "lines": {}, "file": ""}
    fields = {name: nowhere.get(name, _placeless(getattr(value, name))) for name in value.__struct_fields__}
    return structs.replace(value, **fields)


def declare_composed(found: Iterable[Composed]) -> None:
    """Declare them in this process, as importing a module does. What is wrong with one was told when it was read."""
    for composed in found:
        with suppress(Unfits):
            language.declared.append(build(composed)[0])
