"""What is answered when something cannot be done: RFC 9457 problem documents, with the field at fault by name."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Response
from msgspec import UNSET, Struct, UnsetType

from tocsin.engine.commands import Result

MEDIA_TYPE = "application/problem+json"


class FieldFault(Struct, frozen=True):
    """One thing that is wrong with what was sent. ``field`` is the path to it, such as ``matchers.0.value``."""

    field: str
    message: str


LARGEST = 2**53 - 1
"""No number of anything is larger: it is what JSON says to the letter everywhere, and every database holds."""


class ProblemDocument(Struct, frozen=True, kw_only=True):
    """The body of every refusal. ``code`` is a word for scripts, ``detail`` a sentence for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    field: str | UnsetType = UNSET
    errors: list[FieldFault] | UnsetType = UNSET


class Problem(Exception):
    """A request that is refused. Raise it anywhere behind a face: it becomes a problem document, or an error page."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str = "",
        errors: tuple[FieldFault, ...] = (),
        headers: dict[str, str] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.errors = errors
        self.headers = headers or {}
        self.more = more or {}
        """Further fields of the document, for those who know this problem."""

    def document(self) -> ProblemDocument:
        """The body that says so."""
        return ProblemDocument(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            code=self.code,
            detail=self.detail,
            field=self.field or UNSET,
            errors=list(self.errors) or UNSET,
        )

    def response(self) -> Response[Any]:
        """The answer that says so."""
        return Response(
            msgspec.json.encode({**msgspec.to_builtins(self.document()), **self.more}),
            status_code=self.status,
            media_type=MEDIA_TYPE,
            headers=dict(self.headers),
        )


def not_found(what: str) -> Problem:
    """Nothing is there, or nothing that the one who asks may see."""
    return Problem(404, "not_found", f"there is no {what}")


def invalid(field: str, message: str) -> Problem:
    """A value cannot be used."""
    return Problem(400, "invalid", f"{field}: {message}" if field else message, field=field)


def unavailable(detail: str, seconds: int = 2) -> Problem:
    """Not now; asking again in some seconds may help."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(seconds)})


_STATUS = {
    "not_found": 404, "conflict": 409, "invalid": 400, "forbidden": 403, "too_many": 429, "unavailable": 503,
    "unwritten": 503, "reused": 422,
}  # fmt: skip


def refused(result: Result) -> Problem:
    """The problem for a command that the engine refused, or that is in force and not written down yet."""
    status = _STATUS.get(result.code, 409)
    again = {"Retry-After": "2"} if result.code == "unavailable" else {}
    return Problem(status, result.code or "refused", result.message, field=result.field, headers=again)
