"""What the routes have in common: their parameters, and the rule that an unknown one is refused by name."""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, Parameter, QueryParameter

from tocsin.engine.commands import ASKED
from tocsin.faces.problem import LARGEST, Problem
from tocsin.store.reads import MOST

Severity = Literal["sev1", "sev2", "sev3", "sev4"]
Number = Annotated[int, Parameter(ge=0, le=LARGEST, description="Its number.")]
SomeNumber = Annotated[int | None, Parameter(ge=0, le=LARGEST, description="Its number.")]
Limit = Annotated[int, Parameter(ge=1, le=MOST, description="How many items a page holds.")]
Cursor = Annotated[
    str | None,
    Parameter(max_length=200, min_length=1, description="The `next` of the page before; without it the first page."),
]
Text = Annotated[str | None, Parameter(max_length=1_000)]
Texts = Annotated[list[str] | None, Parameter(max_items=50)]
IdempotencyKey = str | None
"""What ``repetition`` makes of the header; None without one."""
_IdempotencyHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="A text of your choice. Sent again within a day with the same request, nothing is done twice and "
        "the answer is alike; with another request it is refused (422).",
    ),
]


async def repetition(request: Request[Any, Any, Any], idempotency_header: _IdempotencyHeader = None) -> str | None:
    """The idempotency key with what is asked under it: see ``AskSubmit``."""
    if idempotency_header is None:
        return None
    digest = hashlib.blake2b(f"{request.method} {request.scope['path']}\n".encode(), digest_size=16)
    digest.update(await request.body())
    return f"{idempotency_header}{ASKED}{digest.hexdigest()}"


_OURS = frozenset({"self", "data", "body", "request", "faces", "who", "idempotency_key"})


async def known_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse query parameters a route does not know, or takes once: a filter that is ignored shows too much."""
    given = connection.query_params
    if not given:
        return
    taken = {name: many for name, many in _taken(handler).items() if name not in connection.path_params}
    for name in sorted(set(given)):
        if name not in taken:
            near = get_close_matches(name, taken, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(taken))}" if taken else ""
            raise Problem(400, "unknown_parameter", f"there is no query parameter {name!r} here{hint}", field=name)
        if not taken[name] and len(given.getall(name)) > 1:
            raise Problem(400, "invalid", f"{name} is given more than once", field=name)


def _taken(handler: BaseRouteHandler) -> dict[str, bool]:
    """The query parameters of a route, and whether each may be given several times."""
    names = {}
    for name, field in handler.parsed_fn_signature.parameters.items():
        if name not in _OURS:
            how = field.kwarg_definition
            known = (how.name if isinstance(how, QueryParameter) else None) or name
            names[known] = any(inner.is_non_string_sequence for inner in (field, *field.inner_types))
    return names
