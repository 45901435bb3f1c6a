"""Every way through a playbook's body: after which fixes it may end with nothing verified.

A fix that no verification can follow goes wrong for certain. Where one follows on some ways, the code may see to it by
what is known only while it runs, such as a flag or two loops over the same things: that is warned of. When it does not,
a person is called.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tocsin.playbooks.runner.calls import Unsound, named, run_of, verb_of

Ways = frozenset[int]
"""How a playbook may come to a place: with the fix of a line done and nothing verified since; 0: with nothing open."""
NONE_OPEN: Ways = frozenset({0})
CERTAIN = "it ends after this fix with nothing verified"
POSSIBLE = "it may end after this fix with nothing verified"
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


def unverified(code: ast.FunctionDef) -> Iterator[Unsound]:
    """Fixes after which the playbook ends, or may end, without a verification."""
    run = run_of(code)
    walk = _Walk(run, _handed_on(code, run))
    out = walk.through(code.body, NONE_OPEN)
    for line in sorted((out.on | out.over) - NONE_OPEN):
        if walk.followed(line):
            hint = "say with run.verify what must hold after it, on every way; on one without, a person is called"
            yield Unsound(line, POSSIBLE, hint, warns=True)
        else:
            yield Unsound(line, CERTAIN, "say with run.verify what must hold after it, on every way to the end")


def hands_on(code: ast.FunctionDef) -> bool:
    """Whether the body gives its run to something else, which may do with it whatever a body does."""
    run = run_of(code)
    handed = _handed_on(code, run)
    return bool(handed) or any(_unknown(call, run, handed) for call in _calls(code.body))


class _Out(NamedTuple):
    """Where statements lead: on to what follows, out of the loop they are in, to its next round, to the end of all."""

    on: Ways = frozenset()
    broken: Ways = frozenset()
    again: Ways = frozenset()
    over: Ways = frozenset()


class _Walk:
    """One walk over all ways. It notes which fixes a verification was seen to follow."""

    def __init__(self, run: str, handed: frozenset[str]) -> None:
        self._run, self._handed = run, handed
        self._verified: set[int] = set()
        self._next: dict[int, set[int]] = {}
        """The fixes that were seen to follow a fix, with nothing verified between: what follows them follows it."""

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
        if not any(_unknown(call, self._run, self._handed) for call in _calls([one])):
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
        return frozenset(call.lineno for call in _calls(body) if verb_of(call, self._run) == "fix")

    def _evaluated(self, node: ast.AST, ways: Ways) -> Ways:
        """What the calls in an expression make of the ways to it, in the order they are written; () when none goes on.

        What the run is given to may verify, or fix: that is not known here.
        """
        for call in sorted(_calls([node]), key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0)):
            verb = verb_of(call, self._run)
            if verb == "hand_over":
                return frozenset()
            if verb == "fix":
                for line in ways - NONE_OPEN:
                    self._next.setdefault(line, set()).add(call.lineno)
                ways = frozenset({call.lineno})
            elif verb == "verify" or _unknown(call, self._run, self._handed):
                self._note(ways)
                ways = NONE_OPEN
        return ways

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


def _handed_on(code: ast.FunctionDef, run: str) -> frozenset[str]:
    """The names in a body that stand for something that may use its run: functions in it, and what is made of them."""
    found: frozenset[str] = frozenset()
    while (more := found | set(_holding(code, run, found))) != found:
        found = more
    return found


def _holding(code: ast.FunctionDef, run: str, known: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(code):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if node is not code and _mentions(node, run, known):
                    yield name
            case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.NamedExpr(value=value):
                if value is not None and _may_use(value, run, known):
                    places = node.targets if isinstance(node, ast.Assign) else [node.target]
                    yield from _bound_in(places)
            case (
                ast.For(iter=value, target=target)
                | ast.AsyncFor(iter=value, target=target)
                | ast.comprehension(iter=value, target=target)
            ):
                if _may_use(value, run, known):
                    yield from _bound_in([target])
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                if _may_use(value, run, known):
                    yield from _bound_in([target])


def _bound_in(places: Sequence[ast.expr]) -> Iterator[str]:
    for place in places:
        yield from (one.id for one in ast.walk(place) if isinstance(one, ast.Name))


def _unknown(call: ast.Call, run: str, known: frozenset[str]) -> bool:
    """Whether what is called may use the run. The verbs of the run itself are known."""
    if verb_of(call, run):
        return False
    parts = (call.func, *call.args, *(one.value for one in call.keywords))
    return any(_may_use(one, run, known) for one in parts)


def _may_use(value: ast.AST, run: str, known: frozenset[str]) -> bool:
    """Whether what an expression comes to may use the run. What a verb answers, or the run is about, does not."""
    match value:
        case ast.Name(id=name):
            return name == run or name in known
        case ast.Lambda():
            return _mentions(value, run, known)
        case ast.Attribute(value=of, attr="about") if named(of, run):
            return False
        case ast.Call():
            return _unknown(value, run, known)
        case _:
            return any(_may_use(one, run, known) for one in ast.iter_child_nodes(value))


def _mentions(node: ast.AST, run: str, known: frozenset[str]) -> bool:
    return any(isinstance(one, ast.Name) and (one.id == run or one.id in known) for one in ast.walk(node))
