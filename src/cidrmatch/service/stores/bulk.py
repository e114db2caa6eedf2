"""Inserting many rows: past SQLAlchemy, which needs three times as long for a row as the driver.

    SQLite        executemany                INSERT INTO keys (...) VALUES (?, ...)
    PostgreSQL    COPY keys (...) FROM STDIN    for some dozens of rows or more; else SQLAlchemy

All rows of one call are dictionaries with the same names in the same order.

Cost: some 3 us a row.  Threads: as the connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

__all__ = ["insert_rows"]

_WORTH_COPY = 50
"""From so many rows on, COPY is faster than INSERT."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; a DBAPIError of SQLAlchemy if the database refuses one."""
    if not rows:
        return
    columns = ", ".join(f'"{name}"' for name in rows[0])
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(rows[0]))
        values = [tuple(row.values()) for row in rows]
        statement = f"INSERT INTO {table.name} ({columns}) VALUES ({places})"  # noqa: S608  names of the schema
        connection.exec_driver_sql(statement, values)
    elif len(rows) < _WORTH_COPY:
        connection.execute(insert(table), list(rows))
    else:
        _copy(connection, f"COPY {table.name} ({columns}) FROM STDIN", rows)


def _copy(connection: Connection, statement: str, rows: Sequence[dict[str, Any]]) -> None:
    """Send rows by COPY, which SQLAlchemy does not know; its errors become those of SQLAlchemy."""
    raw: Any = connection.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(statement, None, error) from error
