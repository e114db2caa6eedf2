"""One database, SQLite or PostgreSQL: transactions that read one moment, and transactions that write alone.

    reading     SQLite: BEGIN            PostgreSQL: REPEATABLE READ, READ ONLY     one moment, and no writer waits
    writing     SQLite: BEGIN IMMEDIATE  PostgreSQL: the row of the tenant locked   one writer of a tenant at a time

A commit of SQLite is on the disk when it returns (synchronous=FULL), in a journal that readers need not wait for (WAL).
Each wait has a bound: for a connection, for a lock, for an answer, for a network that has gone silent.

What a driver raises becomes `StoreUnavailable`.  If a commit fails, it may have been made all the same: the connection
broke before the answer.  Then `is_unknown` is True, and whoever made the change looks.

Threads: safe; each transaction has a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from ...engine.forking import remember
from ...errors import quote
from .errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Database"]

_LOCK_SECONDS: Final = 30
_ANSWER_SECONDS: Final = 120
_POSTGRESQL: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "prepare_threshold": None,  # a pooler may give the next transaction to another server process
}


class Database:
    """Database(url): the connections to one database.

    Args:
        url: "sqlite:///keys.db" or "postgresql+psycopg://user@host/name".
    Raises:
        StoreError: the URL is none, or names another kind of database.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except (ArgumentError, ValueError):  # the text may hold a password, and so may the error
            raise StoreError("this is no URL of a database; one is sqlite:///keys.db") from None
        self.kind = self.url.get_backend_name()
        if self.kind == "postgresql" and self.url.drivername != "postgresql+psycopg":
            self.url = self.url.set(drivername="postgresql+psycopg")
        if self.kind not in ("sqlite", "postgresql"):
            raise StoreError(f"a store lies in sqlite or postgresql, not in {quote(self.kind)}")
        self.engine = self._make()
        remember(self)

    def _make(self) -> Engine:
        if self.kind == "postgresql":
            return create_engine(self.url, connect_args=_POSTGRESQL, pool_pre_ping=True, pool_recycle=300)
        engine = create_engine(self.url, connect_args={"timeout": _LOCK_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def begin_anew(self) -> None:
        """Forget the connections of the parent, in a forked child; they stay open for the parent."""
        self.engine.dispose(close=False)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that sees one moment.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        options = {} if self.kind == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._told(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            self._limit(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end, or undone if the block raises.

        Raises:
            StoreUnavailable: the database does not answer, or another writer took too long.
        """
        with self._told(), self.engine.connect().execution_options(cidrmatch_writes=True) as connection:
            transaction = connection.begin()
            try:
                self._limit(connection)
                yield connection
            except BaseException:
                transaction.rollback()
                raise
            try:
                transaction.commit()
            except DBAPIError as error:
                raise StoreUnavailable(_said(error), is_unknown=True) from error

    def _limit(self, connection: Connection) -> None:
        """Bound the waits of this transaction; SQLite has a bound for locks alone, and answers by itself."""
        if self.kind == "postgresql":
            connection.execute(text(f"SET LOCAL statement_timeout = '{_ANSWER_SECONDS}s'"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))

    def history(self, connection: Connection) -> str:
        """Name the history of the database: another server, or one that was restored, has another name."""
        if self.kind == "sqlite":
            return "sqlite"
        query = "SELECT system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()"
        return "/".join(map(str, connection.execute(text(query)).one()))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreUnavailable(_said(error)) from error

    def __repr__(self) -> str:
        return f"<Database {self.url.render_as_string(hide_password=True)}>"


def _said(error: SQLAlchemyError) -> str:
    """Give the words of the driver; SQLAlchemy adds the query and its values."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(original).split())[:500] or type(original).__name__


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Prepare a new connection; the driver must not begin transactions by itself."""
    connection.isolation_level = None
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("cidrmatch_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
