"""What the routes have in common: their parameters, and the rule that an unknown one is refused by name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, Parameter, QueryParameter

from tocsin.api.models import LARGEST
from tocsin.faces.problem import Problem
from tocsin.store.reads import MOST

Severity = Literal["sev1", "sev2", "sev3", "sev4"]
Number = Annotated[int, Parameter(ge=0, le=LARGEST, description="Its number.")]
Limit = Annotated[int, Parameter(ge=1, le=MOST, description="How many items a page holds.")]
Cursor = Annotated[
    str | None,
    Parameter(max_length=200, min_length=1, description="The `next` of the page before; without it the first page."),
]
Text = Annotated[str | None, Parameter(max_length=1_000)]
Texts = Annotated[list[str] | None, Parameter(max_items=50)]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="A text of your choice. Sent again within a day, nothing is done twice and the answer is alike.",
    ),
]

_OURS = frozenset({"self", "data", "body", "request", "faces", "who", "idempotency_key"})


async def known_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse query parameters a route does not know: a filter that is silently ignored shows too much."""
    given = set(connection.query_params)
    if not given:
        return
    taken = _taken(handler) - set(connection.path_params)
    for name in sorted(given - taken):
        near = get_close_matches(name, taken, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(taken))}" if taken else ""
        raise Problem(400, "unknown_parameter", f"there is no query parameter {name!r} here{hint}", field=name)


def _taken(handler: BaseRouteHandler) -> set[str]:
    names = set()
    for name, field in handler.parsed_fn_signature.parameters.items():
        if name not in _OURS:
            how = field.kwarg_definition
            names.add((how.name if isinstance(how, QueryParameter) else None) or name)
    return names
