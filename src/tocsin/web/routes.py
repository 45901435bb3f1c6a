"""Every page, for the wiring: ``application([*web.routes.handlers, …], faces, error_page=web.routes.error_page)``."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from tocsin.faces import feeds
from tocsin.web import (
    acting,
    alerts,
    coverage,
    door,
    files,
    incidents,
    keeping,
    night,
    oncall,
    own,
    playbooks,
    preview,
    proof,
    room,
    services,
    silences,
    you,
)
from tocsin.web.door import error_page as error_page

handlers: list[ControllerRouterHandler] = [
    files.static_file,
    files.favicon,
    files.manifest,
    files.worker,
    *door.handlers,
    *incidents.handlers,
    *room.handlers,
    *acting.handlers,
    *alerts.handlers,
    *oncall.handlers,
    *preview.handlers,
    *feeds.handlers,
    *silences.handlers,
    *playbooks.handlers,
    *coverage.handlers,
    *services.handlers,
    *keeping.handlers,
    *night.handlers,
    *own.handlers,
    *you.handlers,
    *proof.handlers,
]
"""Hand these to ``faces.application.application`` together with the API's."""
