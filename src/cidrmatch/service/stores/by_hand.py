"""Edits by hand are noticed: rows that somebody changes with psql or sqlite3 become changes like any other.

    store      BEGIN   mark   INSERT, UPDATE, DELETE   unmark   COMMIT      triggers are silent; the store notes changes
    by hand    BEGIN          INSERT, UPDATE, DELETE            COMMIT      triggers note them: operation "by hand"

Triggers of the migrations watch what decides about requests.  A statement by hand moves the head of its tenant on, so
every follower sees it.  PostgreSQL notes a statement as one change, SQLite notes each row.

The mark belongs to a transaction.  In PostgreSQL it is a setting, local to the transaction.  SQLite has none, so it
is a row of the table `writing`.  Nobody else sees this row, because it is gone before the commit.

Cost: two statements for each transaction.  Threads: as safe as the connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["marked_writer"]

_MARK = {
    "postgresql": "SELECT set_config('cidrmatch.writer', 'on', true)",
    "sqlite": "INSERT INTO writing VALUES ('store')",
}
_UNMARK = {
    "postgresql": "SELECT set_config('cidrmatch.writer', 'off', true)",
    "sqlite": "DELETE FROM writing",
}


@contextmanager
def marked_writer(connection: Connection) -> Iterator[None]:
    """Keep the triggers silent while the store writes, inside of its transaction.

    After an exception in PostgreSQL the mark stays, because a failed transaction takes no statement but its end.
    """
    name = connection.dialect.name
    connection.exec_driver_sql(_MARK[name])
    try:
        yield
    except BaseException:
        if name == "sqlite":  # it goes on after an error, so a caller could commit the mark
            connection.exec_driver_sql(_UNMARK[name])
        raise
    connection.exec_driver_sql(_UNMARK[name])
