"""Structured logs: JSON in production, colours at a desk; Faust's own lines go the same way."""

from __future__ import annotations

import logging
import sys

import structlog

from processors.runtime.settings import Worker

QUIET = ("faust", "mode", "aiokafka", "httpx", "httpcore", "pymilvus", "feast", "botocore", "asyncio")


def configure(settings: Worker) -> None:
    """Send structlog and the standard library's logging to standard error, one event a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if settings.log_format == "json":
        tail: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        tail = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # it warns of every malformed form, so a stranger could fill the log; the answer says it anyway
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
