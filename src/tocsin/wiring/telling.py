"""How a process says what it has to say: structured lines on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tocsin.runtime.supervisor import say


def teller(form: str) -> Callable[[str], None]:
    """How the process that only watches says something: a logger's imports would stay in its memory for a few lines."""
    if form != "json":
        return say
    from tocsin.kernel.instant import format_rfc3339
    from tocsin.runtime.clock import SystemClock

    def tell(text: str) -> None:
        line = {"event": text, "level": "error", "timestamp": format_rfc3339(SystemClock().now())}
        print(json.dumps(line), file=sys.stderr, flush=True)

    return tell


def set_up_logs(form: str) -> None:
    """Structured logs on standard error: lines for people, or JSON."""
    import logging

    import structlog

    shared: Iterable[Any] = (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    shown: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, shown],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(shared),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,  # else what a traceback's variables hold would be shown too
                shown,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
