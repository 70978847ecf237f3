"""The service's own log: lines for people on a terminal, JSON elsewhere; never the values of variables."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import structlog


class _Brief(logging.Formatter):
    """What a library caught, in one line: its traceback shows places in the library, and values beside."""

    def formatException(self, ei: Any) -> str:  # noqa: N802  # its name in the standard library
        """Kind and first line of the exception."""
        kind, error = ei[0], ei[1]
        return f"{getattr(kind, '__name__', 'error')}: {error}".split("\n", 1)[0]


class _BriefJson(_Brief):
    """The same as one line of JSON, with the keys of the service's own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """One object."""
        line = {"logger": record.name, "event": record.getMessage(), "level": record.levelname.lower()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return json.dumps(line)


def configure_logging(format: str = "") -> None:
    """`console`, `json`, or empty: console on a terminal. Tracebacks lack local variables: they hold secrets."""
    console = format == "console" or (not format and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        last: list[structlog.types.Processor] = [
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        ]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries speak up only when something is wrong; uvicorn's own lines say nothing that ours don't.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Brief("%(levelname)s %(name)s: %(message)s") if console else _BriefJson())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
