"""A batch of the log in one statement of SQLite, which is a transaction of its own.

    INSERT INTO whole_batch --trigger--> is the last number still ours?    else nothing is done
                                         the rows of the day
                                         usage_days, usage_state, usage_sessions

Python's driver gives up the interpreter lock three times a statement, and each time a busy thread takes it and keeps it
for a while.  With a statement for each table these turns cost the requests more than all the work on records.

The trigger is of the writer's connection alone, in memory.  It knows the table of one day, and is made anew for the
next day.

Threads: one at a time, the writer's.
Source: https://www.sqlite.org/lang_createtrigger.html
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..._keys import select_packed
from .schema import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .databases import SqliteDatabase
    from .formatting import Part

__all__ = ["AtOnce"]

_MOST_ROWS: Final = 2_000
"""As many as `row_numbers` has, and as a batch."""
_FIELDS: Final = ("data", "rows", "before", "last", "lag", "session", "was", "settled", "seen")
_PREPARE: Final = (
    "PRAGMA temp_store=MEMORY",
    "CREATE TEMP TABLE row_numbers (n integer PRIMARY KEY)",
    "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < 2000)"
    " INSERT INTO temp.row_numbers SELECT n FROM numbers",
    f"CREATE TEMP VIEW whole_batch AS SELECT {', '.join(f'NULL AS {name}' for name in _FIELDS)}",
)
_TRIGGER: Final = """
    CREATE TEMP TRIGGER write_batch INSTEAD OF INSERT ON whole_batch BEGIN
        SELECT RAISE(ABORT, 'another process has written')
        WHERE (SELECT last FROM usage_state WHERE id = 1) IS NOT NEW.before
        OR (SELECT settled FROM usage_sessions WHERE id = NEW.session) IS NOT NEW.was;
        INSERT INTO {table} {rows};
        UPDATE usage_days SET records = records + NEW.rows, lag = max(lag, NEW.lag) WHERE day = {day};
        UPDATE usage_state SET last = NEW.last WHERE id = 1;
        UPDATE usage_sessions SET settled = NEW.settled, seen = NEW.seen WHERE id = NEW.session;
    END
"""
_WRITE: Final = f"INSERT INTO whole_batch VALUES ({', '.join(f':{name}' for name in _FIELDS)})"  # noqa: S608  our names


class AtOnce:
    """AtOnce(database): write batches in one statement each."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._prepared: sqlite3.Connection | None = None
        self._day: int | None = None

    def write(self, part: Part, words: Mapping[str, object]) -> bool:
        """Write the rows of a day, and settle them; return whether that was done.

        Args:
            words: "before", the last number of the log until now; "session", the id of a row of `usage_sessions`;
                "was", the notes that it has settled; "settled" and "seen", what it says from now on.
        Returns:
            False if nothing was done, for whatever reason: a transaction of several statements will tell it.
        Raises:
            UsageUnavailable: the file cannot be opened.
        """
        if part.rows > _MOST_ROWS:
            return False
        values = {**words, "data": part.data, "rows": part.rows, "last": part.last, "lag": part.lag}
        with self._database.alone() as connection:
            try:
                if connection is not self._prepared or part.day != self._day:
                    self._prepare(connection, part.day)
                connection.execute(_WRITE, values)
            except sqlite3.Error:
                self._forget(connection)
                return False
        return True

    def _prepare(self, connection: sqlite3.Connection, day: int) -> None:
        if connection is not self._prepared:
            for statement in _PREPARE:
                connection.execute(statement)
            self._prepared = connection
        self._forget(connection)
        rows = select_packed("NEW.data", "temp.row_numbers WHERE n < NEW.rows")
        connection.execute(_TRIGGER.format(table=table_of(day), rows=rows, day=day))
        self._day = day

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Drop the trigger: its table may be gone."""
        self._day = None
        with suppress(sqlite3.Error):
            connection.execute("DROP TRIGGER IF EXISTS temp.write_batch")
