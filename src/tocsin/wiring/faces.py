"""The faces: reading, pages and the API, put together and served."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import os
from collections.abc import Mapping
from types import FrameType

import uvicorn

from tocsin.api.handlers import api_handlers, openapi_config
from tocsin.faces.application import application
from tocsin.faces.core import CoreClient
from tocsin.faces.disk import OnDisk
from tocsin.faces.faces import Faces, FaceSettings
from tocsin.plan import read_plan
from tocsin.plan.folder import load_folder
from tocsin.plan.model import Plan
from tocsin.runtime.clock import SystemClock
from tocsin.settings import Settings
from tocsin.store.opening import url_for
from tocsin.store.reads import Reads, open_engine
from tocsin.web.routes import error_page
from tocsin.web.routes import handlers as web_handlers
from tocsin.wiring.plans import plan_files
from tocsin.wiring.plugs import push_key


async def faces(settings: Settings) -> int:
    """Serve people and programs until told to end. Returns the process's exit code."""
    version = importlib.metadata.version("tocsin")
    reads = Reads(open_engine(url_for(settings.data, settings.database)))
    signing_key = reads.meta("signing_key")
    while signing_key is None:  # the core makes it when it starts for the first time
        await asyncio.sleep(0.02)
        signing_key = reads.meta("signing_key")

    def plan_of(version: str, files: Mapping[str, bytes]) -> Plan:
        plan = read_plan(files).plan
        if plan is None:
            raise ValueError(f"the plan {version} cannot be read any more")
        return plan

    reading = Faces(
        reads=reads,
        core=CoreClient(str(settings.socket("core"))),
        clock=SystemClock().now,
        signing_key=signing_key,
        read_plan=plan_of,
        disk=OnDisk(lambda: load_folder(settings.plan_folder), lambda: plan_files(settings.plan_folder)),
        settings=FaceSettings(
            public_url=settings.base_url, paging=settings.paging, version=version, push_key=push_key(signing_key)
        ),
    )
    app = application([*api_handlers(), *web_handlers], reading, error_page=error_page, openapi=openapi_config(version))
    path = settings.socket("faces")
    path.unlink(missing_ok=True)
    os.umask(0o177)

    class Server(uvicorn.Server):
        """Ends live streams first: they would otherwise keep a stop waiting."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            reading.live.stop()
            super().handle_exit(sig, frame)

    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        uds=str(path),
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    await Server(config).serve()
    return 0
