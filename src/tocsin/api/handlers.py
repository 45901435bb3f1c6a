"""All routes of the API, for the wiring; and what its OpenAPI document says about itself."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ControllerRouterHandler

from tocsin.api import (
    access,
    alertmanager,
    checklists,
    contacts,
    docs,
    incidents,
    oncall,
    playbooks,
    preview,
    proof,
    silences,
    system,
    triggers,
)
from tocsin.api.asking import known_query, repetition


def api_handlers() -> list[ControllerRouterHandler]:
    """The routers under ``/api`` and ``/am``, for ``faces.application``."""
    return [
        Router(
            "/api/v1",
            route_handlers=[
                *incidents.HANDLERS,
                *silences.HANDLERS,
                *oncall.HANDLERS,
                *playbooks.HANDLERS,
                *checklists.HANDLERS,
                *triggers.HANDLERS,
                *access.HANDLERS,
                *contacts.HANDLERS,
                *system.HANDLERS,
                *preview.HANDLERS,
                *proof.HANDLERS,
            ],
            guards=[known_query],
            dependencies={"idempotency_key": Provide(repetition)},
            include_in_schema=True,
        ),
        *docs.HANDLERS,
        alertmanager.router(),
    ]


def openapi_config(version: str) -> OpenAPIConfig:
    """How Litestar collects the document; ``docs`` serves it. Its own pages are put out of the way."""
    return OpenAPIConfig(
        title="Tocsin",
        version=version,
        description=docs.ABOUT,
        path="/api/-/litestar",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        use_handler_docstrings=True,
    )
