"""Making and upgrading the tables of a store: the revisions in `migrations`, one after the other.

    no tables --0001--> ... --> head         a row of the table cidrmatch_version names the revision

An upgrade is one transaction: all of it happens, or nothing.  Two upgrades at once wait for each other, and the second
finds nothing to do.  There is no way down: a newer schema may hold what an older one cannot.

Cost: an upgrade some 0.1 seconds; a look at the revision one query, and once for each connection some more.
Threads: safe, one upgrade at a time in a process, because Alembic keeps it in global names.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Select, column, inspect, select, table
from sqlalchemy.exc import DBAPIError

from .errors import StoreError, StoreUnavailable

__all__ = ["VERSION_TABLE", "check_schema", "revisions", "schema_version", "upgrade"]

VERSION_TABLE = "cidrmatch_version"
"""Not Alembic's own name: the host's program may keep its tables in the same database, and use Alembic for them."""

_VERSION: Select[Any] = select(column("version_num")).select_from(table(VERSION_TABLE))
_FOUND = "cidrmatch_version_found"
"""A connection remembers by this that it found the table."""
_ONE_AT_A_TIME = Lock()
_UPGRADES = 0x63696472  # the advisory lock of PostgreSQL that an upgrade holds: "cidr"


def upgrade(database: Engine, revision: str = "head") -> None:
    """Make the tables of a store, or bring them to a newer revision; do nothing if they are there.

    Raises:
        StoreError: the database is none that we know, or its schema is newer than this program.  Nothing was changed.
        StoreUnavailable: the database does not answer, or has other tables of these names.
    """
    try:
        with _ONE_AT_A_TIME, _alone(database) as connection:
            _check_not_newer(schema_version(connection))
            command.upgrade(_config(connection), revision)
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())[:500]
        raise StoreUnavailable(f"the tables of the store cannot be made or upgraded: {said}") from error


def schema_version(connection: Connection) -> str | None:
    """Give the revision of the store's tables; None where there is no store.

    Whether there is such a table is dear to ask, and each look asks for the revision.  So a connection on which it was
    found remembers that, until it is not found.
    """
    if _FOUND not in connection.info and not inspect(connection).has_table(VERSION_TABLE):
        return None
    try:
        version: str | None = connection.scalar(_VERSION)
    except DBAPIError:
        connection.info.pop(_FOUND, None)
        raise
    if version is not None:
        connection.info[_FOUND] = True
    return version


def check_schema(connection: Connection) -> None:
    """Raise StoreError where there is no store, or one of another revision than that of this program."""
    version = schema_version(connection)
    if version is None:
        raise StoreError("there is no store in this database: run `cidrmatch store init`")
    _check_not_newer(version)
    newest = revisions()[-1]
    if version != newest:
        raise StoreError(
            f"the store has the older schema {version}, and this program needs {newest}: run `cidrmatch store upgrade`"
        )


def revisions() -> list[str]:
    """List the revisions that this program knows, the oldest first."""
    return list(_known())


@cache
def _known() -> tuple[str, ...]:
    """Read the revisions once: each look at a store asks for the newest one, and Alembic reads files for it."""
    walk = ScriptDirectory.from_config(_config()).walk_revisions()
    return tuple(script.revision for script in walk)[::-1]


def _check_not_newer(version: str | None) -> None:
    if version is not None and version not in revisions():
        raise StoreError(
            f"the store has the schema {version}, which is newer than this program, whose newest is {revisions()[-1]}:"
            " use the cidrmatch that upgraded it, or a newer one"
        )


def _config(connection: Connection | None = None) -> Config:
    """Say to Alembic where the revisions are, without a file of settings."""
    config = Config()
    config.set_main_option("script_location", f"{__package__}:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(database: Engine) -> Iterator[Connection]:
    """Give a connection in a transaction that no other upgrade shares; commit it at the end."""
    if database.dialect.name == "postgresql":
        # Another level would keep the view from before the wait for the lock.
        with database.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADES})")
            yield connection
    elif database.dialect.name == "sqlite":
        with database.connect() as connection, connection.begin():
            if connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
                connection.exec_driver_sql("ROLLBACK")  # begun by the engine, and perhaps without the lock
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    else:
        raise StoreError(f"a store is in SQLite or in PostgreSQL, and not in {database.dialect.name}")
