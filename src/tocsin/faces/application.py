"""One application for all faces: the wiring hands in the handlers of web and API, and gets what uvicorn runs."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from typing import Any

import structlog
from litestar import Litestar, Request, Response
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.exceptions import HTTPException, LitestarDeprecationWarning, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.params import ParameterKwarg
from litestar.plugins import InitPlugin, PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import ControllerRouterHandler, ExceptionHandlersMap, Message, Scope

from tocsin.faces import sessions
from tocsin.faces.core import CoreGone
from tocsin.faces.faces import Faces
from tocsin.faces.faults import in_words
from tocsin.faces.live import TooManySubscribers
from tocsin.faces.problem import FieldFault, Problem, unavailable
from tocsin.faces.who import SAFE, Who, cookie_names, guard
from tocsin.kernel.instant import SECOND
from tocsin.store.reads import CursorError

BODY_CAP = 1024 * 1024
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ErrorPage = Callable[[Request[Any, Any, Any], Problem], Response[Any]]
"""Renders a refusal as a page for a browser, or leads it to sign in (NotSignedIn)."""

_NAMED_FIELD = re.compile(r"field `([^`]+)`")

log = structlog.get_logger("faces")


class Application(Litestar):
    """Answers HEAD wherever it answers GET, with the same head."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Only what our own types need. Litestar would import pydantic and attrs wherever it finds them installed."""
        return [*plugins, MsgspecDIPlugin()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, as the server hands it over."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await super().__call__(scope, receive, send)
            return
        begun = asyncio.Event()

        async def head_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                begun.set()

        async def gone() -> Any:
            """A stream would go on for as long as somebody listened: once the head is out, nobody does."""
            hears = asyncio.ensure_future(receive())
            leaves = asyncio.ensure_future(begun.wait())
            await asyncio.wait((hears, leaves), return_when=asyncio.FIRST_COMPLETED)
            if hears.done() and not begun.is_set():
                leaves.cancel()
                return hears.result()
            hears.cancel()
            return {"type": "http.disconnect"}

        read: Any = {**scope, "method": "GET"}
        await super().__call__(read, gone, head_only)


def application(
    handlers: Sequence[ControllerRouterHandler],
    faces: Faces,
    *,
    error_page: ErrorPage | None = None,
    openapi: OpenAPIConfig | None = None,
    plugins: Sequence[InitPlugin | PluginProtocol] = (),
) -> Litestar:
    """Put the faces together.

    Handlers may ask for ``faces: Faces`` and ``who: Who``. What they need is their option ``needs`` (see ``who``).
    ``error_page`` answers browsers; scripts, and everything under ``/api`` and ``/am``, get problem documents.
    Handlers are left out of the OpenAPI document unless they say ``include_in_schema=True``.
    """

    @asynccontextmanager
    async def life(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await faces.close()

    async def finish(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            _finish(MutableScopeHeaders.from_message(message), scope, faces)

    with warnings.catch_warnings():
        # Litestar 3 will want its own markers on parameters that 2 infers; we ask for 2.
        warnings.simplefilter("ignore", LitestarDeprecationWarning)
        return Application(
            route_handlers=list(handlers),
            guards=[guard],
            dependencies={
                "faces": Provide(lambda: faces, sync_to_thread=False),
                "who": Provide(who_of, sync_to_thread=False),
            },
            exception_handlers=_refusals(error_page),
            before_send=[finish],
            lifespan=[life],
            state=State({"faces": faces}),
            request_max_body_size=BODY_CAP,
            openapi_config=openapi,
            include_in_schema=False,
            plugins=list(plugins),
            logging_config=None,
        )


def _refusals(error_page: ErrorPage | None) -> ExceptionHandlersMap:
    """What is answered to each kind of error, as a page where one is wanted."""

    def answered(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
        if error_page is not None and _browses(request):
            return error_page(request, problem)
        return problem.response()

    def on_problem(request: Request[Any, Any, Any], error: Problem) -> Response[Any]:
        return answered(request, error)

    def on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        return answered(request, _from_http(error, request))

    def on_gone(request: Request[Any, Any, Any], error: CoreGone) -> Response[Any]:
        log.warning("core_gone", error=str(error), path=request.scope["path"])
        return answered(request, unavailable(error.words(request.method not in SAFE)))

    def on_cursor(request: Request[Any, Any, Any], error: CursorError) -> Response[Any]:
        return answered(request, Problem(400, "invalid", str(error), field="cursor"))

    def on_crowd(request: Request[Any, Any, Any], _: TooManySubscribers) -> Response[Any]:
        return answered(request, unavailable("too many pages are kept live", 30))

    def on_deep(request: Request[Any, Any, Any], error: RecursionError) -> Response[Any]:
        if "deserializing" not in str(error):  # one of ours
            return on_fault(request, error)
        return answered(request, Problem(400, "invalid", "the body is nested too deeply", field="body"))

    def on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        log.error("fault", path=request.scope["path"], method=request.method, exc_info=error)
        return answered(request, Problem(500, "fault", "Tocsin made a mistake here; it is in its log"))

    return {
        Problem: on_problem,
        HTTPException: on_http,
        CoreGone: on_gone,
        CursorError: on_cursor,
        TooManySubscribers: on_crowd,
        RecursionError: on_deep,
        Exception: on_fault,
    }


def who_of(request: Request[Any, Any, Any]) -> Who:
    """The one who asks, as the guard found out."""
    who: Who = request.state.who
    return who


def _browses(request: Request[Any, Any, Any]) -> bool:
    path = request.scope["path"]
    return not path.startswith(("/api/", "/am/")) and "text/html" in request.headers.get("accept", "")


def _from_http(error: HTTPException, request: Request[Any, Any, Any]) -> Problem:
    headers = dict(error.headers or {})
    if isinstance(error, ValidationException):
        faults = tuple(_fault(one, request) for one in error.extra or () if isinstance(one, dict))
        if faults:
            return Problem(
                error.status_code,
                "invalid",
                "; ".join(f"{fault.field}: {fault.message}" for fault in faults),
                field=faults[0].field,
                errors=faults,
                headers=headers,
            )
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}.get(
        error.status_code
    )
    detail = error.detail or "the request cannot be understood"
    if error.status_code == 413:
        detail = f"the body is over {BODY_CAP} bytes"
    if error.status_code == 404:
        detail = "there is nothing here"
    return Problem(error.status_code, code or "invalid", detail, headers=headers)


def _fault(extra: dict[str, Any], request: Request[Any, Any, Any]) -> FieldFault:
    """One fault, with the field as the sender knows it."""
    field, message = str(extra.get("key") or "body"), str(extra.get("message") or "cannot be used")
    place = field.replace("[", ".").split(".")
    handler = request.scope.get("route_handler")
    known = handler.parsed_fn_signature.parameters.get(field) if isinstance(handler, HTTPRouteHandler) else None
    how = known.kwarg_definition if known is not None else None
    asked: tuple[Any, list[str]] = (known.annotation, []) if known is not None else (None, [])
    if known is None and isinstance(handler, HTTPRouteHandler) and "data" in handler.parsed_fn_signature.parameters:
        body = handler.parsed_fn_signature.parameters["data"].annotation
        asked = body, [part for part in place if not part.rstrip("]").isdigit()]
    if isinstance(how, ParameterKwarg):
        field = how.name or how.query or how.header or field
    if field == "data":
        named = _NAMED_FIELD.search(message)
        field = named.group(1) if named else "body"
    return FieldFault(field, in_words(message, *asked))


def _finish(headers: MutableScopeHeaders, scope: Scope, faces: Faces) -> None:
    """What every answer carries; and the session written anew while it is used."""
    headers.setdefault("content-security-policy", POLICY)
    headers.setdefault("x-content-type-options", "nosniff")
    # Not no-referrer: browsers would then send `Origin: null` with our own forms.
    headers.setdefault("referrer-policy", "same-origin")
    headers.setdefault("cross-origin-opener-policy", "same-origin")
    headers.setdefault("permissions-policy", "camera=(), geolocation=(), microphone=()")
    headers.setdefault("cache-control", "no-store")
    who = scope.get("state", {}).get("who")
    if not isinstance(who, Who):
        return
    if who.secure:
        headers.setdefault("strict-transport-security", "max-age=31536000")
    session_cookie, visit_cookie = cookie_names(who.secure)
    already = " ".join(headers.getall("set-cookie", []))
    if who.session is not None and f"{session_cookie}=" not in already:
        renewed = sessions.renewed(who.session, faces.now())
        if renewed is not None:
            left = (renewed.issued + sessions.ABSOLUTE - faces.now()) // SECOND
            headers.add(
                "set-cookie", _cookie(session_cookie, sessions.write(renewed, faces.signing_key), left, who.secure)
            )
    elif who.new_visit and headers.get("content-type", "").startswith("text/html"):
        headers.add("set-cookie", _cookie(visit_cookie, who.visit, 24 * 3600, who.secure))


def _cookie(name: str, value: str, seconds: int, secure: bool) -> str:
    jar = SimpleCookie()
    jar[name] = value
    jar[name].update({"path": "/", "max-age": str(seconds), "httponly": "yes", "samesite": "lax"})
    if secure:
        jar[name]["secure"] = "yes"
    return jar[name].OutputString()
