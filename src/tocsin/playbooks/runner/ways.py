"""Every way through a playbook's body: after which fixes it may end with nothing verified.

A fix that no verification can follow goes wrong for certain. Where one follows on some ways, the code may see to it by
what is known only while it runs, such as a flag or two loops over the same things: that is warned of. When it does not,
a person is called.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import NamedTuple

from tocsin.playbooks.runner.calls import Unsound, named, run_of, verb_of
from tocsin.playbooks.runner.inner import Body

Ways = frozenset[int]
"""How a playbook may come to a place: with the fix of a line done and nothing verified since; 0: with nothing open."""
NONE_OPEN: Ways = frozenset({0})
CERTAIN = "it ends after this fix with nothing verified"
POSSIBLE = "it may end after this fix with nothing verified"
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


def unverified(code: ast.FunctionDef, module: ModuleType | None = None, wrapped: bool = False) -> Iterator[Unsound]:
    """Fixes after which the playbook ends, or may end, without a verification.

    ``module``: where its names are looked up. A fix in a function that has the run is told of where that is called.
    ``wrapped``: what a decorator put around it may verify as well.
    """
    walk = _Walk(Body(code, run_of(code), module))
    out = walk.through(code.body, NONE_OPEN)
    for line in sorted((out.on | out.over) - NONE_OPEN):
        if wrapped or walk.followed(line):
            hint = "say with run.verify what must hold after it, on every way; on one without, a person is called"
            yield Unsound(line, POSSIBLE, hint, warns=True)
        else:
            yield Unsound(line, CERTAIN, "say with run.verify what must hold after it, on every way to the end")


class Reached(NamedTuple):
    """What a body does with its run, itself or by functions it gives it to: the verbs; ``unknown``: it may do more."""

    verbs: frozenset[str]
    unknown: bool


@cache
def reached(body: Body) -> Reached:
    """What a body may do with its run, on whatever way. What functions within it say is counted as said by it."""
    uses = _uses(body)
    said = (node for node in ast.walk(body.code) if isinstance(node, ast.Attribute))
    verbs = {one.attr for one in said if named(one.value, body.run)}
    unknown = bool(uses.names)
    for call in _calls(body.code.body):
        inner = uses.inner(call)
        if inner is not None:
            more = reached(inner)
            verbs |= more.verbs
            unknown = unknown or more.unknown
        else:
            unknown = unknown or uses.unknown(call)
    return Reached(frozenset(verbs), unknown)


class _Out(NamedTuple):
    """Where statements lead: on to what follows, out of the loop they are in, to its next round, to the end of all."""

    on: Ways = frozenset()
    broken: Ways = frozenset()
    again: Ways = frozenset()
    over: Ways = frozenset()


class _Walk:
    """One walk over all ways. It notes which fixes a verification was seen to follow.

    ``at``: the line of the playbook from which it came into a function, which is that of all that is done there; 0 in
    the playbook itself. ``outer``: the walk it is a part of.
    """

    def __init__(self, body: Body, at: int = 0, outer: _Walk | None = None) -> None:
        self._run, self._uses, self._at = body.run, _uses(body), at
        self._verified: set[int] = outer._verified if outer else set()
        self._next: dict[int, set[int]] = outer._next if outer else {}
        """The fixes that were seen to follow a fix, with nothing verified between: what follows them follows it."""
        self._known: dict[tuple[Body, int, Ways], Ways] = outer._known if outer else {}
        """Where functions led that were walked before, in the same line and on the same ways."""

    def followed(self, line: int) -> bool:
        """Whether some way leads from a fix to a verification."""
        seen, left = set[int](), [line]
        while left:
            one = left.pop()
            if one in self._verified:
                return True
            if one not in seen:
                seen.add(one)
                left += self._next.get(one, ())
        return False

    def through(self, body: list[ast.stmt], ways: Ways) -> _Out:
        """Where a block leads, for all ways to it."""
        found = _Out(ways)
        for one in body:
            if not found.on:
                break
            out = self._statement(one, found.on)
            found = _Out(out.on, found.broken | out.broken, found.again | out.again, found.over | out.over)
        return found

    def _statement(self, one: ast.stmt, ways: Ways) -> _Out:
        match one:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return _Out(ways)
            case ast.Return():
                return _Out(over=self._evaluated(one, ways))
            case ast.Raise():
                return _Out()  # it is handed over
            case ast.Break():
                return _Out(broken=ways)
            case ast.Continue():
                return _Out(again=ways)
            case ast.If():
                ways = self._evaluated(one.test, ways)
                always = one.test.value if isinstance(one.test, ast.Constant) else None
                then = self.through(one.body, ways) if always is None or always else _Out()
                other = self.through(one.orelse, ways) if always is None or not always else _Out()
                return _Out(*(a | b for a, b in zip(then, other, strict=True)))
            case ast.For() | ast.AsyncFor() | ast.While():
                return self._loop(one, ways)
            case ast.With() | ast.AsyncWith():
                return self._with(one, ways)
            case ast.Try() | ast.TryStar():
                return self._try(one, ways)
            case ast.Match():
                ways = self._evaluated(one.subject, ways)
                outs = [self.through(case.body, ways) for case in one.cases]
                if not any(_takes_all(case) for case in one.cases):
                    outs.append(_Out(ways))
                return _Out(*(frozenset().union(*parts) for parts in zip(*outs, strict=True)))
            case _:
                return _Out(self._evaluated(one, ways))

    def _loop(self, one: ast.For | ast.AsyncFor | ast.While, ways: Ways) -> _Out:
        ways = self._evaluated(one.iter if not isinstance(one, ast.While) else one.test, ways)
        first = self.through(one.body, ways)
        later = self.through(one.body, first.on | first.again | ways)
        rounds = first.on | first.again | later.on | later.again
        if isinstance(one, ast.While):
            endless = isinstance(one.test, ast.Constant) and bool(one.test.value)
            ran_out = frozenset[int]() if endless else ways | rounds
        else:
            ran_out = rounds if _has_one(one.iter) else ways | rounds
        rest = self.through(one.orelse, ran_out)
        broken = first.broken | later.broken
        return _Out(rest.on | broken, rest.broken, rest.again, first.over | later.over | rest.over)

    def _with(self, one: ast.With | ast.AsyncWith, ways: Ways) -> _Out:
        for item in one.items:
            ways = self._evaluated(item.context_expr, ways)
        out = self.through(one.body, ways)
        if not any(self._uses.unknown(call) for call in _calls([one])):
            return out
        # What was given the run may use it at the end of the block, also after what follows it in there.
        self._note(frozenset().union(*out))
        return _Out(*(NONE_OPEN if some else some for some in out))

    def _try(self, one: ast.Try | ast.TryStar, ways: Ways) -> _Out:
        tried = self.through(one.body, ways)
        midst = ways | tried.on | self._any_of(one.body)
        caught = [self.through(handler.body, midst) for handler in one.handlers]
        rest = self.through(one.orelse, tried.on)
        left = _Out(*(frozenset().union(*parts) for parts in zip(tried, rest, *caught, strict=True)))
        on = rest.on.union(*(out.on for out in caught))
        last = [self.through(one.finalbody, some) for some in (on, left.broken, left.again, left.over)]
        broken, again, over = (frozenset().union(*parts) for parts in list(zip(*last, strict=True))[1:])
        return _Out(last[0].on, last[1].on | broken, last[2].on | again, last[3].on | over)

    def _any_of(self, body: list[ast.stmt]) -> Ways:
        """The fixes in a block of which one may just have been done when something in it raises."""
        return frozenset(self._line(call) for call in _calls(body) if self._fixes(call))

    def _fixes(self, call: ast.Call) -> bool:
        inner = self._uses.inner(call)
        return verb_of(call, self._run) == "fix" or (inner is not None and "fix" in reached(inner).verbs)

    def _line(self, call: ast.Call) -> int:
        return self._at or call.lineno

    def _evaluated(self, node: ast.AST, ways: Ways) -> Ways:
        """What the calls in an expression make of the ways to it, in the order they are written; () when none goes on.

        What the run is given to may verify, or fix: that is not known where it cannot be followed.
        """
        for call in sorted(_calls([node]), key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0)):
            verb = verb_of(call, self._run)
            if verb == "hand_over":
                return frozenset()
            if verb == "fix":
                for line in ways - NONE_OPEN:
                    self._next.setdefault(line, set()).add(self._line(call))
                ways = frozenset({self._line(call)})
            elif (inner := self._uses.inner(call)) is not None:
                ways = self._within(inner, self._line(call), ways)
                if not ways:
                    return ways
            elif verb == "verify" or self._uses.unknown(call):
                self._note(ways)
                ways = NONE_OPEN
        return ways

    def _within(self, inner: Body, line: int, ways: Ways) -> Ways:
        """Where a function leads that is given the run; () when it never comes back."""
        key = (inner, line, ways)
        if key not in self._known:
            out = _Walk(inner, line, self).through(inner.code.body, ways)
            self._known[key] = out.on | out.over
        return self._known[key]

    def _note(self, ways: Ways) -> None:
        self._verified |= ways - NONE_OPEN


def _has_one(things: ast.expr) -> bool:
    """Whether a loop over this comes round at least once."""
    return isinstance(things, ast.Tuple | ast.List) and any(not isinstance(one, ast.Starred) for one in things.elts)


def _takes_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


# -- what else may use the run -----------------------------------------------------------------------------------------


def _calls(nodes: Sequence[ast.AST]) -> Iterator[ast.Call]:
    """The calls that are made when these run: what functions in them say is not done by saying it."""
    left: list[ast.AST] = list(nodes)
    while left:
        one = left.pop()
        if isinstance(one, _Scope):
            continue
        if isinstance(one, ast.Call):
            yield one
        left += ast.iter_child_nodes(one)


class _Uses:
    """What in a body may use its run, and which functions are known that are given it."""

    def __init__(self, body: Body) -> None:
        self._body, self._run = body, body.run
        self._inner: dict[int, Body | None] = {}
        self.names = frozenset[str]()
        """Those that stand for something that may use the run: functions in the body, and what is made of them."""
        while (more := self.names | set(self._holding())) != self.names:
            self.names = more

    def inner(self, call: ast.Call) -> Body | None:
        """The function that a call gives the run to, and whose code is known; None for any other call."""
        if id(call) not in self._inner:
            self._inner[id(call)] = self._followed(call)
        others = (one for one in (*call.args, *(one.value for one in call.keywords)) if not named(one, self._run))
        return None if any(map(self.may_use, others)) else self._inner[id(call)]

    def _followed(self, call: ast.Call) -> Body | None:
        inner = self._body.given_to(call)
        if inner is None:
            return None
        given_back = (one.value for one in ast.walk(inner.code) if isinstance(one, ast.Return) and one.value)
        return None if any(map(_uses(inner).may_use, given_back)) else inner

    def _holding(self) -> Iterator[str]:
        code = self._body.code
        for node in ast.walk(code):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    if node is not code and self._mentions(node):
                        yield name
                case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value):
                    if value is not None and self.may_use(value):
                        places = node.targets if isinstance(node, ast.Assign) else [node.target]
                        yield from _bound_in(places)
                case (
                    ast.For(iter=value, target=target)
                    | ast.AsyncFor(iter=value, target=target)
                    | ast.comprehension(iter=value, target=target)
                ):
                    if self.may_use(value):
                        yield from _bound_in([target])
                case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                    if self.may_use(value):
                        yield from _bound_in([target])

    def unknown(self, call: ast.Call) -> bool:
        """Whether what is called may use the run in a way that is not known. Its verbs are, and functions with code."""
        if verb_of(call, self._run) or self.inner(call) is not None:
            return False
        parts = (call.func, *call.args, *(one.value for one in call.keywords))
        return any(self.may_use(one) for one in parts)

    def may_use(self, value: ast.AST) -> bool:
        """Whether what an expression comes to may use the run. What a verb answers, or the run is about, does not."""
        match value:
            case ast.Name(id=name):
                return name == self._run or name in self.names
            case ast.Lambda():
                return self._mentions(value)
            case ast.Attribute(value=of, attr="about") if named(of, self._run):
                return False
            case ast.Call():
                return self.unknown(value)
            case _:
                return any(self.may_use(one) for one in ast.iter_child_nodes(value))

    def _mentions(self, node: ast.AST) -> bool:
        names = {self._run, *self.names}
        return any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(node))


@cache
def _uses(body: Body) -> _Uses:
    return _Uses(body)


def _bound_in(places: Sequence[ast.expr]) -> Iterator[str]:
    for place in places:
        yield from (one.id for one in ast.walk(place) if isinstance(one, ast.Name))
