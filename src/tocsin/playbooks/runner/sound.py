"""What is wrong with a playbook's code, as far as that can be seen before it runs: at night it would be seen too late.

Nothing is run here. What cannot be known from the code, such as a function handed about as a value, is let pass.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any, NamedTuple, get_origin, get_type_hints

from tocsin.kernel.instant import Duration, parse_duration, say_duration
from tocsin.playbooks.language import Fix, Look, Run
from tocsin.playbooks.placed import IMPORTED, no_target, unreadable
from tocsin.playbooks.runner.calls import Unsound, named, run_of, verb_of
from tocsin.playbooks.runner.fitting import bare, fields_of, hints_of, misspelt, takes
from tocsin.playbooks.runner.ways import unverified

VERBS = tuple(name for name in vars(Run) if not name.startswith("_"))
STEPS = ("look", "fix", "verify")
SAID = ("ask", "tell", "hand_over")
MUST = ("until", "within", "every", "harm")
"""What a verification is told, beside what its look is."""
NO_FUNCTION = (
    ast.Constant, ast.JoinedStr, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.Compare, ast.BinOp, ast.UnaryOp,
)  # fmt: skip
FULL = (ast.JoinedStr, ast.Lambda, ast.GeneratorExp)
"""What is never empty, and no yes."""
COUNTS = (int, float, str, bytes, list, tuple, set, frozenset, dict)
COUNTING = ("len", "sum", "int", "float", "str", "list", "sorted", "re.search", "re.match", "re.fullmatch")
"""Types, and calls, of which an answer is neither yes nor no unless it is empty or 0."""
GIVEN = "is given one thing, what is seen, and takes something else"


SUGGEST = "next='…': what you would have them do first, half asleep"


def unsound(code: ast.FunctionDef, module: ModuleType, patience: Duration, wrapped: bool = False) -> list[Unsound]:
    """Everything that is wrong with a playbook's body, or may be, by line. ``patience``: its ``hand_over_after``;
    ``wrapped``: a decorator put something around it.
    """
    run = run_of(code)
    reader = _Reader(code, module, run, patience)
    return sorted({*reader.verbs(), *reader.answers(), *unverified(code, module, wrapped)})


def unsaid(code: ast.FunctionDef) -> list[Unsound]:
    """Where a playbook calls a person and suggests nothing; what they do first its author knows better than anybody."""
    run = run_of(code)
    calls = (node for node in ast.walk(code) if isinstance(node, ast.Call) and verb_of(node, run) == "hand_over")
    return [
        Unsound(one.lineno, "run.hand_over suggests nothing to do next", SUGGEST, warns=True)
        for one in calls
        if not any(given.arg in ("next", None) for given in one.keywords)
    ]


class _Reader:
    def __init__(self, code: ast.FunctionDef, module: ModuleType, run: str, patience: Duration) -> None:
        self._code, self._module, self._run, self._patience = code, module, run, patience
        self._bound = Counter(_bound(code))

    # -- what the run is told to do ------------------------------------------------------------------------------------

    def verbs(self) -> Iterator[Unsound]:
        """Verbs that are none, and steps that cannot be taken as they are written."""
        for node in ast.walk(self._code):
            if isinstance(node, ast.Attribute) and named(node.value, self._run) and node.attr not in (*VERBS, "about"):
                yield Unsound(node.lineno, f"a run has no {node.attr}", _near(node.attr, VERBS, "it has"))
            if isinstance(node, ast.Call) and (verb := verb_of(node, self._run)) in STEPS:
                yield from self._step(node, verb)
            elif isinstance(node, ast.Call) and verb in SAID:
                yield from self._says(node, verb)
            elif isinstance(node, ast.Call) and isinstance(self._value(node.func), Fix):
                what = ast.unparse(node.func)
                yield Unsound(node.lineno, f"{what} is called without the run", f"write run.fix({what}, …)")

    def _says(self, call: ast.Call, verb: str) -> Iterator[Unsound]:
        """Whether what a person is told or asked can be."""
        if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
            return
        signature = inspect.signature(getattr(Run, verb))
        try:
            signature.bind(None, *call.args, **{str(one.arg): one.value for one in call.keywords})
        except TypeError as error:
            yield Unsound(call.lineno, f"run.{verb}: {error}", f"it takes {', '.join(list(signature.parameters)[1:])}")
        told = {one.arg: one.value for one in call.keywords}
        choices = call.args[1] if verb == "ask" and len(call.args) > 1 else told.get("choices")
        if isinstance(choices, ast.Constant) and isinstance(choices.value, str):
            yield Unsound(call.lineno, f"run.ask: choices is a text, {choices.value!r}", "choices=('yes', 'no')")
        if isinstance(within := told.get("within"), ast.Constant):
            try:
                parse_duration(within.value if isinstance(within.value, str) else "")
            except ValueError as error:
                yield Unsound(within.lineno, f"run.ask: within: {error}")

    def _step(self, call: ast.Call, verb: str) -> Iterator[Unsound]:
        if not call.args or isinstance(call.args[0], ast.Starred):
            return
        shown = ast.unparse(call.args[0])
        what = self._value(call.args[0])
        if what is None and shown not in {*self._bound, *vars(self._module)}:
            what = getattr(builtins, shown, None)  # len, open: Python's own are neither
        if isinstance(what, _Missing):
            yield Unsound(call.lineno, f"run.{verb}: {what.message}", what.hint)
        if not isinstance(what, Look | Fix):
            if what is not None and not isinstance(what, _Missing):
                yield Unsound(call.lineno, f"{shown} is neither a look nor a fix", "declare it with @look or @fix")
            return
        if wrong := unreadable(what.function):
            yield Unsound(call.lineno, f"{what.name} {wrong}", IMPORTED)
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
        for name, value in _each(given.arguments):
            text = self._plain(value)
            if text is not None and (wrong := misspelt(text, wanted.get(name))):
                yield Unsound(value.lineno, f"{name} of {what.name}: {wrong}")
            if text is not None and (wrong := no_target(what.function, name, text)):
                yield Unsound(value.lineno, f"{what.name} {wrong}")
            if isinstance(text, str) and verb == "fix" and _untyped(signature, name):
                said = f"{what.name} does not say what {name} is: a text may stand where a system is meant"
                yield Unsound(value.lineno, said, f"write {name}: str, or the type of system it works on", warns=True)

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
            if rule is not None and (wrong := self._no_rule(call, name, rule)):
                hint = "say what must be seen" if name == "until" else "leave it out, or say what would show harm"
                yield Unsound(rule.lineno, f"run.verify: {name} {wrong}", f"{hint}: {name}=lambda now: …")
            elif isinstance(rule, ast.Lambda) and (answers := _unclear(rule, self._answer(call))):
                what = f"run.verify: {name} may answer {answers}, which is neither yes nor no"
                yield Unsound(rule.lineno, what, "compare it with something", warns=True)
        for name in ("within", "every"):
            text = told.get(name)
            if isinstance(text, ast.Constant):
                yield from self._lasts(text, name)

    def _no_rule(self, call: ast.Call, name: str, rule: ast.expr) -> str:
        """Why ``until`` or ``harm`` cannot say yes or no of the one thing that is seen; "" where it may."""
        if isinstance(rule, ast.Lambda):
            return _no_answer(rule, self._answer(call))
        if isinstance(rule, ast.Constant) and rule.value is None and name == "harm":
            return ""
        if isinstance(rule, NO_FUNCTION):
            return f"is {ast.unparse(rule):.60}, which is no function"
        found = self._value(rule)
        if isinstance(found, _Missing):
            return f"cannot be asked: {found.message}"
        if isinstance(found, Look | Fix):
            return f"is {found.name} itself, which is neither yes nor no"
        if found is not None and not callable(found):
            return f"is {ast.unparse(rule):.60}, which is no function"
        try:
            inspect.signature(found).bind(None)
        except TypeError:
            return "" if found is None else GIVEN
        except ValueError:
            return ""
        return ""

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
            if isinstance(node, ast.Call) and verb_of(node, self._run) == "verify" and node.args:
                kind = self._answer(node)
                for one in node.keywords:
                    if isinstance(one.value, ast.Lambda) and len(one.value.args.args) == 1:
                        yield from _misread(one.value.body, one.value.args.args[0].arg, kind)
        for name, kind in kept.items():
            yield from _misread(self._code, name, kind)

    def _kept(self) -> Mapping[str, Any]:
        """Names that hold one answer and never anything else, and what that answer is."""
        found = {}
        for node in ast.walk(self._code):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, node.value
                if self._bound[name] == 1 and isinstance(value, ast.Call) and verb_of(value, self._run) in STEPS:
                    found[name] = self._answer(value)
        return found

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
            if node.id in self._bound:
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


def _each(arguments: Mapping[str, Any]) -> Iterator[tuple[str, ast.expr]]:
    """What is given, by parameter; of one that takes any number each."""
    for name, value in arguments.items():
        many = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        yield from ((name, one) for one in many)


def _untyped(signature: inspect.Signature, name: str) -> bool:
    return name in signature.parameters and signature.parameters[name].annotation is inspect.Parameter.empty


def _takes(what: Look[..., Any] | Fix[..., Any]) -> Mapping[str, Any]:
    try:
        return takes(what.function)
    except Exception:  # noqa: BLE001  # a type that is not there when code runs says nothing here
        return {}


def _no_answer(rule: ast.Lambda, kind: Any) -> str:
    """Why a lambda over what is seen, of a type, says neither yes nor no, or always the same."""
    takes, body = rule.args, rule.body
    least = len(takes.posonlyargs) + len(takes.args) - len(takes.defaults)
    if least > 1 or not (takes.posonlyargs or takes.args or takes.vararg) or None in takes.kw_defaults:
        return GIVEN
    if isinstance(body, ast.Constant):
        return f"is {body.value!r} whatever is seen" if body.value is not None else ""
    filled = isinstance(body, ast.Tuple | ast.List | ast.Set) and bool(body.elts)
    if filled or isinstance(body, FULL) or (isinstance(body, ast.Dict) and body.keys):
        return f"answers {ast.unparse(body):.60}, which is neither yes nor no"
    seen = (takes.posonlyargs + takes.args)[0].arg if takes.posonlyargs or takes.args else ""
    if isinstance(kind, type) and kind is not bool and named(body, seen):
        return "answers all that is seen, which is neither yes nor no"
    if isinstance(body, ast.Attribute) and named(body.value, seen):
        part = inspect.getattr_static(kind, body.attr, None) if isinstance(kind, type) else None
        if inspect.isroutine(part) or isinstance(part, staticmethod | classmethod):
            return f"answers {seen}.{body.attr}, which is a function nobody called: {seen}.{body.attr}()"
    return ""


def _unclear(rule: ast.Lambda, kind: Any) -> str:
    """What a lambda over what is seen, of a type, may answer that is neither yes nor no; "" when nothing is known."""
    takes = rule.args.posonlyargs + rule.args.args
    seen, there = takes[0].arg if takes else "", hints_of(kind)
    waiting: list[ast.expr] = [rule.body]
    while waiting:
        body = waiting.pop()
        if isinstance(body, ast.IfExp):
            waiting += [body.body, body.orelse]
        elif isinstance(body, ast.BoolOp):  # the operands before an `and` are answered when they are no
            waiting += body.values if isinstance(body.op, ast.Or) else body.values[-1:]
        elif isinstance(body, ast.Attribute) and named(body.value, seen):
            if get_origin(part := there.get(body.attr)) in COUNTS or part in COUNTS:
                return f"{seen}.{body.attr}"
        elif isinstance(body, ast.Call):
            if ast.unparse(body.func) in COUNTING:
                return f"{ast.unparse(body):.60}"
        elif isinstance(body, ast.Constant) and body.value and not isinstance(body.value, bool):
            return f"{ast.unparse(body):.60}"
    return ""


class _Missing(NamedTuple):
    message: str
    hint: str


def _misread(code: ast.AST, name: str, kind: Any) -> Iterator[Unsound]:
    """What is read off the answer called ``name``, of a type, and is no part of it."""
    there = hints_of(kind)
    if not there:
        return
    for node in ast.walk(code):
        if not (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and named(node.value, name)):
            continue
        if node.attr not in there and not hasattr(kind, node.attr):
            near = _near(node.attr, fields_of(kind), "it has")
            yield Unsound(node.lineno, f"{kind.__name__} has no {node.attr}", near)


def _near(name: str, known: Any, otherwise: str) -> str:
    close = get_close_matches(name, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"{otherwise} {', '.join(known)}" if otherwise and known else ""


def _bound(code: ast.FunctionDef) -> Iterator[str]:
    """The names that a body, or a function in it, binds, each as often as it does."""
    for node in ast.walk(code):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.alias():  # of an import
                yield node.asname or node.name.partition(".")[0]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if node is not code:
                    yield name
            case (
                ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
                | ast.ExceptHandler(name=str() as name)
            ):
                yield name
            case ast.arguments():
                yield from (one.arg for one in _all(node))


def _all(arguments: ast.arguments) -> list[ast.arg]:
    more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more]
