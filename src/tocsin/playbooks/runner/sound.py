"""What is wrong with a playbook's code, as far as that can be seen before it runs: at night it would be seen too late.

Nothing is run here. What cannot be known from the code, such as a function handed about as a value, is let pass.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any, NamedTuple, get_type_hints

from tocsin.kernel.instant import Duration, parse_duration, say_duration
from tocsin.playbooks.language import Fix, Look, Run
from tocsin.playbooks.runner.fitting import bare, fields_of, hints_of, misspelt, takes

VERBS = tuple(name for name in vars(Run) if not name.startswith("_"))
STEPS = ("look", "fix", "verify")
MUST = ("until", "within", "every", "harm")
"""What a verification is told, beside what its look is."""


SUGGEST = "next='…': what you would have them do first, half asleep"


class Unsound(NamedTuple):
    """What is wrong, where, and what to write instead ("" when that is plain)."""

    line: int
    message: str
    hint: str = ""


def unsound(code: ast.FunctionDef, module: ModuleType, patience: Duration) -> list[Unsound]:
    """Everything that is wrong with a playbook's body, by line. ``patience``: its ``hand_over_after``."""
    run = code.args.args[0].arg if code.args.args else ""
    reader = _Reader(code, module, run, patience)
    found = [*reader.verbs(), *reader.answers(), *_unverified(code, run)]
    return sorted(set(found))


def unsaid(code: ast.FunctionDef) -> list[Unsound]:
    """Where a playbook calls a person and suggests nothing; what they do first its author knows better than anybody."""
    run = code.args.args[0].arg if code.args.args else ""
    calls = (node for node in ast.walk(code) if isinstance(node, ast.Call) and _verb(node, run) == "hand_over")
    return [
        Unsound(one.lineno, "run.hand_over suggests nothing to do next", SUGGEST)
        for one in calls
        if not any(given.arg in ("next", None) for given in one.keywords)
    ]


class _Reader:
    def __init__(self, code: ast.FunctionDef, module: ModuleType, run: str, patience: Duration) -> None:
        self._code, self._module, self._run, self._patience = code, module, run, patience
        self._local = {node.id for node in ast.walk(code) if isinstance(node, ast.Name) and _is_bound(node)}
        self._local |= {one.arg for node in ast.walk(code) if isinstance(node, ast.arguments) for one in _all(node)}

    # -- what the run is told to do ------------------------------------------------------------------------------------

    def verbs(self) -> Iterator[Unsound]:
        """Verbs that are none, and steps that cannot be taken as they are written."""
        for node in ast.walk(self._code):
            if isinstance(node, ast.Attribute) and _named(node.value, self._run) and node.attr not in (*VERBS, "about"):
                yield Unsound(node.lineno, f"a run has no {node.attr}", _near(node.attr, VERBS, "it has"))
            if isinstance(node, ast.Call) and (verb := _verb(node, self._run)) in STEPS:
                yield from self._step(node, verb)

    def _step(self, call: ast.Call, verb: str) -> Iterator[Unsound]:
        if not call.args or isinstance(call.args[0], ast.Starred):
            return
        what = self._value(call.args[0])
        shown = ast.unparse(call.args[0])
        if isinstance(what, _Missing):
            yield Unsound(call.lineno, f"run.{verb}: {what.message}", what.hint)
        if not isinstance(what, Look | Fix):
            if what is not None and not isinstance(what, _Missing):
                yield Unsound(call.lineno, f"{shown} is neither a look nor a fix", "declare it with @look or @fix")
            return
        if isinstance(what, Fix) != (verb == "fix"):
            other = f"run.fix({shown}, …)" if verb != "fix" else f"run.look({shown}, …)"
            kind = "changes something" if isinstance(what, Fix) else "only looks"
            yield Unsound(call.lineno, f"run.{verb}: {what.name} {kind}", f"write {other}")
        yield from self._given(call, verb, what)
        if verb == "verify":
            yield from self._must(call)

    def _given(self, call: ast.Call, verb: str, what: Look[..., Any] | Fix[..., Any]) -> Iterator[Unsound]:
        """Whether what is called takes what it is given."""
        if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
            return
        own = [one for one in call.keywords if verb != "verify" or one.arg not in MUST]
        signature = inspect.signature(what.function)
        for one in own:
            takes = [name for name, of in signature.parameters.items() if of.kind is not of.VAR_KEYWORD]
            if one.arg not in takes and len(takes) == len(signature.parameters):
                yield Unsound(call.lineno, f"{what.name} takes no {one.arg}", _near(str(one.arg), takes, "it takes"))
                return
        try:
            given = signature.bind(*call.args[1:], **{str(one.arg): one.value for one in own})
        except TypeError as error:
            yield Unsound(call.lineno, f"{what.name}: {error}", f"it takes {', '.join(signature.parameters)}")
            return
        wanted = _takes(what)
        for name, value in given.arguments.items():
            text = self._plain(value) if isinstance(value, ast.expr) else None
            if text is not None and (wrong := misspelt(text, wanted.get(name))):
                yield Unsound(value.lineno, f"{name} of {what.name}: {wrong}")

    def _plain(self, node: ast.expr) -> Any:
        """A text or number that stands in the code or at the module's top; None when it is made while the code runs."""
        if isinstance(node, ast.Constant):
            return node.value
        found = self._value(node)
        return found if isinstance(found, str | int | float) else None

    def _must(self, call: ast.Call) -> Iterator[Unsound]:
        """Whether a verification can come out either way, in a time that is left for it."""
        told = {one.arg: one.value for one in call.keywords}
        for name in ("until", "within"):
            if name not in told and None not in told:
                yield Unsound(call.lineno, f"run.verify needs {name}", "what must be true, and within what time")
        for name in ("until", "harm"):
            rule = told.get(name)
            if isinstance(rule, ast.Lambda) and isinstance(rule.body, ast.Constant) and rule.body.value is not None:
                hint = "say what must be seen" if name == "until" else "leave it out, or say what would show harm"
                yield Unsound(rule.lineno, f"run.verify: {name} is {rule.body.value!r} whatever is seen", hint)
        for name in ("within", "every"):
            text = told.get(name)
            if isinstance(text, ast.Constant):
                yield from self._lasts(text, name)

    def _lasts(self, text: ast.Constant, name: str) -> Iterator[Unsound]:
        try:
            lasts = parse_duration(text.value) if isinstance(text.value, str) else 0
        except ValueError as error:
            yield Unsound(text.lineno, f"run.verify: {name}: {error}")
            return
        if lasts <= 0:
            yield Unsound(text.lineno, f"run.verify: {name} is more than nothing", "such as 30s or 2m")
        elif name == "within" and lasts > self._patience:
            patience = say_duration(self._patience)
            what = f"run.verify waits {say_duration(lasts)}, and a person is called after {patience}"
            yield Unsound(text.lineno, what, "a longer hand_over_after, or a shorter within")

    # -- what is read off an answer ------------------------------------------------------------------------------------

    def answers(self) -> Iterator[Unsound]:
        """What is read off an answer and is not in it."""
        kept = self._kept()
        for node in ast.walk(self._code):
            if isinstance(node, ast.Call) and _verb(node, self._run) == "verify" and node.args:
                kind = self._answer(node)
                for one in node.keywords:
                    if isinstance(one.value, ast.Lambda) and len(one.value.args.args) == 1:
                        yield from _misread(one.value.body, one.value.args.args[0].arg, kind)
        for name, kind in kept.items():
            yield from _misread(self._code, name, kind)

    def _kept(self) -> Mapping[str, Any]:
        """Names that hold one answer and never anything else, and what that answer is."""
        often: dict[str, int] = {}
        for node in ast.walk(self._code):
            if isinstance(node, ast.Name) and _is_bound(node):
                often[node.id] = often.get(node.id, 0) + 1
        found = {}
        for node in ast.walk(self._code):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if often[name] == 1 and isinstance(node.value, ast.Call) and _verb(node.value, self._run) in STEPS:
                    found[name] = self._answer(node.value)
        others = {one.arg for node in ast.walk(self._code) if isinstance(node, ast.arguments) for one in _all(node)}
        return {name: kind for name, kind in found.items() if name not in others}

    def _answer(self, call: ast.Call) -> Any:
        what = self._value(call.args[0]) if call.args else None
        if not isinstance(what, Look | Fix):
            return None
        try:
            return bare(get_type_hints(what.function).get("return"))
        except Exception:  # noqa: BLE001  # a type that is not there when code runs says nothing here
            return None

    def _value(self, node: ast.expr) -> Any:
        """What an expression of names leads to; None when that is known only while the code runs."""
        if isinstance(node, ast.Name):
            if node.id in self._local:
                return None
            names = vars(self._module)
            if node.id in names or hasattr(builtins, node.id):
                return names.get(node.id)
            return _Missing(f"there is no {node.id}", _near(node.id, list(names), ""))
        if isinstance(node, ast.Attribute):
            of = self._value(node.value)
            if not isinstance(of, ModuleType):
                return of if isinstance(of, _Missing) else None
            if not hasattr(of, node.attr):
                offered = [name for name, one in vars(of).items() if isinstance(one, Look | Fix)]
                return _Missing(f"{ast.unparse(node.value)} has no {node.attr}", _near(node.attr, offered, "it has"))
            return getattr(of, node.attr)
        return None


def _takes(what: Look[..., Any] | Fix[..., Any]) -> Mapping[str, Any]:
    try:
        return takes(what.function)
    except Exception:  # noqa: BLE001  # a type that is not there when code runs says nothing here
        return {}


class _Missing(NamedTuple):
    message: str
    hint: str


def _misread(code: ast.AST, name: str, kind: Any) -> Iterator[Unsound]:
    """What is read off the answer called ``name``, of a type, and is no part of it."""
    there = hints_of(kind)
    if not there:
        return
    for node in ast.walk(code):
        if not (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _named(node.value, name)):
            continue
        if node.attr not in there and not hasattr(kind, node.attr):
            near = _near(node.attr, fields_of(kind), "it has")
            yield Unsound(node.lineno, f"{kind.__name__} has no {node.attr}", near)


def _near(name: str, known: Any, otherwise: str) -> str:
    close = get_close_matches(name, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"{otherwise} {', '.join(known)}" if otherwise and known else ""


def _named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _verb(call: ast.Call, run: str) -> str:
    """Which verb of the run is called; "" for anything else."""
    return call.func.attr if isinstance(call.func, ast.Attribute) and _named(call.func.value, run) else ""


def _is_bound(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _all(arguments: ast.arguments) -> list[ast.arg]:
    more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more]


# -- every way through it ----------------------------------------------------------------------------------------------

Ways = frozenset[int]
"""How a playbook may come to a place: with the fix of a line done and nothing verified since; 0: with nothing open."""


class _Out(NamedTuple):
    """Where statements lead: on to what follows, out of the loop they are in, and to the end of the playbook."""

    on: Ways = frozenset()
    broken: Ways = frozenset()
    over: Ways = frozenset()


def _unverified(code: ast.FunctionDef, run: str) -> Iterator[Unsound]:
    """Fixes after which the playbook may end without a verification."""
    out = _through(code.body, frozenset({0}), run)
    for line in sorted((out.on | out.over) - {0}):
        hint = "say with run.verify what must hold after it, on every way from here to the end"
        yield Unsound(line, "it may end after this fix with nothing verified", hint)


def _through(body: list[ast.stmt], ways: Ways, run: str) -> _Out:
    broken: Ways = frozenset()
    over: Ways = frozenset()
    for one in body:
        out = _statement(one, ways, run)
        ways, broken, over = out.on, broken | out.broken, over | out.over
        if not ways:
            break
    return _Out(ways, broken, over)


def _statement(one: ast.stmt, ways: Ways, run: str) -> _Out:
    match one:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return _Out(ways)
        case ast.Return():
            return _Out(over=_evaluated(one, ways, run))
        case ast.Raise():
            return _Out()  # it is handed over
        case ast.Break() | ast.Continue():
            return _Out(broken=ways)
        case ast.If():
            ways = _evaluated(one.test, ways, run)
            always = one.test.value if isinstance(one.test, ast.Constant) else None
            then = _through(one.body, ways, run) if always is None or always else _Out()
            other = _through(one.orelse, ways, run) if always is None or not always else _Out()
            return _Out(*(a | b for a, b in zip(then, other, strict=True)))
        case ast.For() | ast.AsyncFor() | ast.While():
            ways = _evaluated(one.iter if not isinstance(one, ast.While) else one.test, ways, run)
            first = _through(one.body, ways, run)
            again = _through(one.body, first.on | first.broken | ways, run)
            endless = isinstance(one, ast.While) and isinstance(one.test, ast.Constant) and bool(one.test.value)
            ran_out = frozenset() if endless else ways | first.on | again.on
            rest = _through(one.orelse, ran_out, run)
            return _Out(rest.on | first.broken | again.broken, rest.broken, first.over | again.over | rest.over)
        case ast.With() | ast.AsyncWith():
            for item in one.items:
                ways = _evaluated(item.context_expr, ways, run)
            return _through(one.body, ways, run)
        case ast.Try() | ast.TryStar():
            tried = _through(one.body, ways, run)
            midst = ways | tried.on | _any_of(one.body, run)
            caught = [_through(handler.body, midst, run) for handler in one.handlers]
            rest = _through(one.orelse, tried.on, run)
            on = rest.on.union(*(out.on for out in caught))
            broken = frozenset().union(*(out.broken for out in (tried, rest, *caught)))
            over = frozenset().union(*(out.over for out in (tried, rest, *caught)))
            last = [_through(one.finalbody, some, run) for some in (on, broken, over)]
            ends = frozenset().union(*(out.over for out in last))
            return _Out(last[0].on, last[1].on | last[0].broken, last[2].on | ends)
        case ast.Match():
            ways = _evaluated(one.subject, ways, run)
            outs = [_through(case.body, ways, run) for case in one.cases]
            if not any(_takes_all(case) for case in one.cases):
                outs.append(_Out(ways))
            return _Out(*(frozenset().union(*parts) for parts in zip(*outs, strict=True)))
        case _:
            after = _evaluated(one, ways, run)
            return _Out(after)


def _takes_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def _any_of(body: list[ast.stmt], run: str) -> Ways:
    """The fixes in a block of which one may just have been done when something in it raises."""
    calls = (node for one in body for node in ast.walk(one) if isinstance(node, ast.Call))
    return frozenset(node.lineno for node in calls if _verb(node, run) == "fix")


def _evaluated(node: ast.AST, ways: Ways, run: str) -> Ways:
    """What the calls in an expression make of the ways to it, in the order they are written; () when none goes on."""
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    for call in sorted(calls, key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0)):
        match _verb(call, run):
            case "fix":
                ways = frozenset({call.lineno})
            case "verify":
                ways = frozenset({0})
            case "hand_over":
                return frozenset()
            case "":
                if any(_named(given, run) for given in (*call.args, *(one.value for one in call.keywords))):
                    ways = frozenset({0})  # what it is handed to may verify, or fix: that is not known here
    return ways
