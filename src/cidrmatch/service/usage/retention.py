"""How long records are kept: whole days are dropped, the oldest first.

    days 20780 20781 20782 ... 20786 (today)      Retention(days=5): 20780 and 20781 go

With a day that is too old, the last uses of keys and entries from then on back are forgotten, too.

The day that is written now stays.  SQLite gives the pages of a dropped day to the next one; the file does not shrink.

Cost: a query or two, twice a minute; to drop a million records takes SQLite a second or more, while notes wait.
Threads: the writer's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .schema import DAY_MICROS, drop_day, table_of

if TYPE_CHECKING:
    from .databases import PostgresDatabase, SqliteDatabase

__all__ = ["Retention", "upkeep"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """Retention(days=30, size_bytes=10 * 2**30): what is kept; None for no limit.

    Args:
        days: whole days before today.
        size_bytes: of the tables and indexes of the log.
    Raises:
        ValueError: a limit is no number of 1 or more.
    """

    days: int | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("days", "size_bytes"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ValueError(f"{name} is a number of 1 or more, or None")


def upkeep(database: SqliteDatabase | PostgresDatabase, retention: Retention) -> list[int]:
    """Drop the days that are not kept; return them.

    Raises:
        UsageUnavailable: the database does not answer.
    """
    today = time.time_ns() // 1000 // DAY_MICROS
    dropped = list(_drop_old(database, retention, today))
    if retention.size_bytes is not None:
        dropped += _drop_large(database, retention.size_bytes, today)
    for day in dropped:
        _log.info("the usage log dropped the day %d", day)
    return dropped


def _drop_old(database: SqliteDatabase | PostgresDatabase, retention: Retention, today: int) -> Iterator[int]:
    if retention.days is None:
        return
    with database.writing() as connection:
        for day in _days(connection):
            if day < today - retention.days:
                drop_day(connection, day)
                _forget_uses(connection, (today - retention.days) * DAY_MICROS)
                yield day


def _forget_uses(connection: Any, before: int) -> None:
    """Forget the keys and entries that were not used since a moment, in microseconds."""
    connection.run("DELETE FROM usage_keys WHERE seen < ?", (before,))
    connection.run("DELETE FROM usage_entries WHERE used < ?", (before,))


def _drop_large(database: SqliteDatabase | PostgresDatabase, most: int, today: int) -> list[int]:
    dropped: list[int] = []
    while True:
        with database.reading() as connection:
            days = _days(connection)
        if not days or days[0] >= today or database.size_bytes(map(table_of, days)) <= most:
            return dropped
        with database.writing() as connection:
            drop_day(connection, days[0])
        dropped.append(days[0])


def _days(connection: Any) -> list[int]:
    return [day for (day,) in connection.rows("SELECT day FROM usage_days ORDER BY day")]
