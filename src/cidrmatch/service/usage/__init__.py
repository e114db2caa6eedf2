"""Every request is on record, blocked ones too (B25-B29): written off the request path, found again by index.

    request --face--> log.note --> buffer --writer, ten times a second--> SQLite or PostgreSQL, one table a day
                                                                              |
                             find, count, sums, export, last uses, archive <--'

log          `UsageLog`, what hosts use
record       `UsageRecord`, one request
buffer       what requests append to, and what was lost
writer       the thread that writes
formatting   the words that rows name by number
uses         when keys and entries were used last
sessions     how many notes a killed process took with it
databases    SQLite and PostgreSQL
schema       the tables
filters      `UsageFilter`, and its SQL
questions    find, count, sums
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attempts import Alarm
    from .filters import UsageFilter
    from .log import UsageLog
    from .masks import Mask
    from .record import UsageRecord
    from .retention import Retention

__all__ = ["Alarm", "Mask", "Retention", "UsageFilter", "UsageLog", "UsageRecord"]

_ROOMS = {
    "UsageLog": "log",
    "UsageFilter": "filters",
    "UsageRecord": "record",
    "Mask": "masks",
    "Retention": "retention",
    "Alarm": "attempts",
}


def __getattr__(name: str) -> Any:
    """Import a room when its name is first used: others here need no database."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
