"""Inserting many rows: past SQLAlchemy, which needs three times as long for a row as the driver.

    SQLite        INSERT INTO keys VALUES (?, ...), (?, ...), ...      50 rows in one statement
    PostgreSQL    COPY keys FROM STDIN                                 for some dozens of rows or more; else SQLAlchemy

A row is a tuple of the values of all columns, in the order of the schema.

A statement of SQLite with a trigger behind it costs more to begin and to end than the row itself: so many rows share
one.  The triggers judge each row as before.

Cost: some 3 us a row.  Threads: as the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

__all__ = ["insert_rows", "roomy", "taking_turns"]

_WORTH_COPY = 50
"""From so many rows on, COPY is faster than INSERT."""
_IN_ONE = 50
"""Rows of one statement of SQLite; 500 values, and it takes 32,766."""
_PAGES = "PRAGMA cache_size"
_ROOMY = -64 * 1024  # kibibytes, as SQLite counts them where the number is negative


@contextmanager
def roomy(connection: Connection) -> Iterator[None]:
    """Give SQLite memory for the pages of a large change; with its 2 MB it would read and write them again and again.

    The pages are let go when the change is over.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    before = connection.exec_driver_sql(_PAGES).scalar_one()
    connection.exec_driver_sql(f"{_PAGES} = {_ROOMY}")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"{_PAGES} = {before}")


@contextmanager
def taking_turns(connection: Connection, *, is_large: bool) -> Iterator[Callable[..., None]]:
    """Let the caller make the next rows while PostgreSQL takes the last ones; what failed is raised at the next call.

    Gives a function that calls another one with its arguments, later and in a thread, one at a time.  Nobody else may
    use the connection until the block is left.  SQLite works in this process, and is called at once: a thread would
    wait for the interpreter as long as it saves.  So is a change that is not large.
    """
    if connection.dialect.name == "sqlite" or not is_large:
        yield lambda call, *given: call(*given)
        return
    with ThreadPoolExecutor(1, "cidrmatch-insert") as thread:
        last: Future[None] | None = None

        def later(call: Callable[..., None], *given: Any) -> None:
            nonlocal last
            before, last = last, None
            if before is not None:
                before.result()
            last = thread.submit(call, *given)

        yield later
        if last is not None:
            last.result()


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; a DBAPIError of SQLAlchemy if the database refuses one."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        _insert(connection, table, rows)
    elif len(rows) < _WORTH_COPY:
        names = [column.name for column in table.columns]
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
    else:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        _copy(connection, f"COPY {table.name} ({columns}) FROM STDIN", rows)


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows into SQLite: as many as go into full statements, then the rest one by one."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    row = f"({', '.join('?' * len(table.columns))})"
    full = len(rows) // _IN_ONE * _IN_ONE
    begin = f"INSERT INTO {table.name} ({columns}) VALUES "  # noqa: S608  names of the schema
    if full:
        parts = (rows[start : start + _IN_ONE] for start in range(0, full, _IN_ONE))
        many = [tuple(chain.from_iterable(part)) for part in parts]
        connection.exec_driver_sql(begin + ", ".join([row] * _IN_ONE), many)
    if full < len(rows):
        connection.exec_driver_sql(begin + row, list(rows[full:]))


def _copy(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Send rows by COPY, which SQLAlchemy does not know; its errors become those of SQLAlchemy."""
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(statement, None, error) from error
