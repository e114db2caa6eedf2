"""JSON lines on stderr: one object a line, so that a log collector needs no pattern.

    {"time": "2026-01-01T00:00:00.000000Z", "level": "warning", "logger": "cidrmatch.engine", "message": "..."}

A line that cannot be written is dropped and counted; a server does not stop because nobody reads its log.

Threads: safe, as `logging` is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonFormatter", "configuration", "dropped"]


class JsonFormatter(logging.Formatter):
    """Write a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=True)


class _Handler(logging.StreamHandler[Any]):
    """Write to stderr; `tell` of a record that could not be written."""

    @staticmethod
    def tell() -> None:
        """Tell nobody yet."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  as logging calls it
        """Count the record."""
        self.tell()


def dropped(tell: Callable[[], None]) -> None:
    """Have a function called for each record that could not be written."""
    _Handler.tell = staticmethod(tell)  # type: ignore[method-assign]


def configuration(level: str) -> dict[str, Any]:
    """Give the configuration of `logging` for the server and its workers, as `logging.config.dictConfig` takes it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.JsonFormatter"}},
        "handlers": {"stderr": {"()": f"{__name__}._Handler", "formatter": "json"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {  # granian's own have handlers, and would write in their form
            name: {"handlers": [], "level": level.upper(), "propagate": True} for name in ("_granian", "granian.access")
        },
    }
