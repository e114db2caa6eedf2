"""A batch of the log in one statement of SQLite, which is a transaction of its own.

    INSERT INTO whole_batch --trigger--> is the last number still ours?    else nothing is done
                                         the rows of the day               all of them, or nothing is done
                                         usage_days, usage_state, usage_sessions

Python's driver gives up the interpreter lock three times a statement, and each time a busy thread takes it and keeps it
for a while.  With a statement for each table these turns cost the requests more than all the work on records.

The trigger is of the writer's connection alone, in memory.  It knows the table of one day, and is made anew for the
next day.  A trigger may have no WITH, so the numbers of the rows are in a table.

Threads: one at a time, the writer's.
Source: https://www.sqlite.org/lang_createtrigger.html
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from ..._keys import select_packed
from .schema import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .databases import SqliteDatabase
    from .formatting import Part

__all__ = ["MOST_ROWS", "AtOnce"]

MOST_ROWS: Final = 4_096
"""A batch has 2,000 rows, and some more if threads put the last ones at the same time."""
_FIELDS: Final = ("data", "rows", "before", "last", "lag", "session", "was", "settled", "seen")
_NUMBER: Final = (
    "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)"
    " INSERT OR IGNORE INTO temp.row_numbers SELECT n FROM numbers"
)
_VIEW: Final = (
    f"CREATE TEMP VIEW IF NOT EXISTS whole_batch AS SELECT {', '.join(f'NULL AS {each}' for each in _FIELDS)}"
)
_TRIGGER: Final = """
    CREATE TEMP TRIGGER write_batch INSTEAD OF INSERT ON whole_batch BEGIN
        SELECT RAISE(ABORT, 'another process has written')
        WHERE (SELECT last FROM usage_state WHERE id = 1) IS NOT NEW.before
        OR (SELECT settled FROM usage_sessions WHERE id = NEW.session) IS NOT NEW.was;
        INSERT INTO {table} {rows};
        SELECT RAISE(ABORT, 'rows are missing') WHERE changes() IS NOT NEW.rows;
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
        self._ready: tuple[sqlite3.Connection, int] | None = None
        """The connection that has the trigger, and for which day."""

    def write(self, part: Part, words: Mapping[str, object]) -> bool:
        """Write the rows of a day, and settle them; return whether that was done.

        Args:
            part: at most `MOST_ROWS` rows.
            words: "before", the last number of the log until now; "session", the id of a row of `usage_sessions`;
                "was", the notes that it has settled; "settled" and "seen", what it says from now on.
        Returns:
            False if nothing was done, because the log is not as it was: another process has written, or the day is
            gone.
        Raises:
            UsageUnavailable: the file cannot be written.
        """
        values = {**words, "data": part.data, "rows": part.rows, "last": part.last, "lag": part.lag}
        with self._database.alone() as connection:
            try:
                if self._ready is None or self._ready[0] is not connection or self._ready[1] != part.day:
                    self._prepare(connection, part.day)
                connection.execute(_WRITE, values)
            except sqlite3.IntegrityError:
                return False
            except sqlite3.OperationalError as error:
                self._ready = None
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                return False
        return True

    def _prepare(self, connection: sqlite3.Connection, day: int) -> None:
        self._ready = None
        rows = select_packed("NEW.data", "temp.row_numbers WHERE n < NEW.rows")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("DROP TRIGGER IF EXISTS temp.write_batch")
        connection.execute("CREATE TEMP TABLE IF NOT EXISTS row_numbers (n integer PRIMARY KEY)")
        connection.execute(_NUMBER, (MOST_ROWS,))
        connection.execute(_VIEW)
        connection.execute(_TRIGGER.format(table=table_of(day), rows=rows, day=day))
        self._ready = connection, day
