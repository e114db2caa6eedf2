"""Functions for the SQL of DuckDB: `register` gives a connection a function that asks a list, or an engine.

    register(connection, office, "look_up")         look_up(ip).listed, .reason, .prefix
    register(connection, engine, "decide")          decide(key, ip).allowed, .reason, .problem

    SELECT ip, found.prefix, found.reason
    FROM (SELECT ip, look_up(ip) AS found FROM requests)
    WHERE NOT found.listed AND found.reason = 'ip_not_listed'

DuckDB calls the function with vectors of rows as Arrow arrays, and gets Arrow arrays back.  A NULL gets to the function
like any other value, and its row has a reason.  What is no address never fails the query.

It needs the extra `duckdb`: duckdb and pyarrow.  answers.py tells what the fields mean.
The answers of an engine change with its data.  So DuckDB asks again each time a prepared statement runs, and keeps no
answer for constants.

Cost: DuckDB passes at most 2,048 rows at a time, so a row costs more than in Polars.
Threads: DuckDB calls a Python function with the interpreter lock; the core lets it go while it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import duckdb

from ..._core import AllowList
from .answers import ENTRY_FIELDS, Deciding, Listing

if TYPE_CHECKING:
    from ...engine.engine import Engine

__all__ = ["register"]


def register(
    connection: duckdb.DuckDBPyConnection,
    judge: AllowList | Engine,
    name: str,
    *,
    is_packed: bool = False,
    entries: bool = False,
) -> None:
    """Give a connection a function that asks a list or an engine.

    Args:
        connection: the connection; its cursors have the function, too.
        judge: an `AllowList`, for a function of an address; or an `Engine`, for one of a key and an address.
        name: of the function in SQL.
        is_packed: whether addresses are BLOBs of 4 or 16 bytes in network order, instead of VARCHAR.
        entries: of an engine: whether to tell which entry of which list decided; this costs about a microsecond a row.
    Raises:
        TypeError: the judge is neither; or `entries` was asked of a list, which always tells them.
        duckdb.Error: the connection has a function of this name.
    Source: B2, B5, B6, U6; C23.

    >>> import duckdb
    >>> from cidrmatch import AllowList
    >>> with duckdb.connect() as connection:
    ...     register(connection, AllowList(["203.0.113.0/24"]), "look_up")
    ...     connection.sql("SELECT look_up('203.0.113.7').prefix, look_up(NULL).reason").fetchall()
    [('203.0.113.0/24', 'not_given')]
    """
    address = "BLOB" if is_packed else "VARCHAR"
    if isinstance(judge, AllowList):
        if entries:
            raise TypeError("a list always tells its entries: entries=True is of an engine")
        answer: Callable[..., object] = Listing(judge).answer
        takes = [address]
        gives = {"listed": "BOOLEAN", "reason": "VARCHAR", "prefix": "VARCHAR"}
    else:
        answer = Deciding(judge, entries=entries).answer
        takes = ["VARCHAR", address]
        gives = {"allowed": "BOOLEAN", "reason": "VARCHAR", "problem": "VARCHAR"}
        gives |= dict.fromkeys(ENTRY_FIELDS, "VARCHAR") if entries else {}
    create: Any = connection.create_function  # its types know neither Arrow nor these words
    create(
        name,
        answer,
        takes,
        duckdb.struct_type(gives),
        type="arrow",
        null_handling="special",
        side_effects=not isinstance(judge, AllowList),  # DuckDB keeps answers for constants in a prepared statement
    )
