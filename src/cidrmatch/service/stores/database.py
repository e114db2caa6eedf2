"""One database, SQLite or PostgreSQL: transactions that read one moment, and transactions that write alone.

    reading     SQLite: BEGIN            PostgreSQL: REPEATABLE READ, READ ONLY     one moment, and no writer waits
    writing     SQLite: BEGIN IMMEDIATE  PostgreSQL: the row of the tenant locked   one writer of a tenant at a time

A commit of SQLite is on the disk when it returns (synchronous=FULL), in a journal that readers need not wait for (WAL).
Each wait has a bound: for a connection, for a lock, for an answer, for a network that has gone silent.

A connection to a file of SQLite that was replaced is dropped, and none is open during a fork: see sqlite_file.py.
A server that stands by is refused: its data may be old, and nobody could tell how old.

What a driver raises becomes `StoreUnavailable`.  If a commit fails, it may have been made all the same: the connection
broke before the answer.  Then `is_unknown` is True, and whoever made the change looks.

Threads: safe; each transaction has a connection of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, SQLAlchemyError

from ...engine.forking import remember
from ...errors import quote
from .errors import StoreError, StoreUnavailable
from .sqlite_file import SqliteFile

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Database"]

_LOCK_SECONDS: Final = 30
_ANSWER_SECONDS: Final = 120
_IDLE_SECONDS: Final = 1.0
"""A connection that was idle for so long is asked whether it is alive; between two looks without a nudge it is."""
_POSTGRESQL: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "primary",
    "prepare_threshold": None,  # a pooler may give the next transaction to another server process
}
_LIMITS: Final = text(
    f"SELECT set_config('statement_timeout', '{_ANSWER_SECONDS}s', true), "
    f"set_config('lock_timeout', '{_LOCK_SECONDS}s', true)"
)
"""Both limits of a transaction in one statement."""


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
        self.file: SqliteFile | None = None
        self.engine = self._make()
        remember(self)

    def _make(self) -> Engine:
        if self.kind == "postgresql":
            engine = create_engine(self.url, connect_args=_POSTGRESQL, pool_recycle=300)
            event.listen(engine, "checkin", _note_use)
            event.listen(engine, "checkout", partial(_check_alive, engine))
            return engine
        engine = create_engine(self.url, connect_args={"timeout": _LOCK_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        self.file = SqliteFile(engine)
        return engine

    def before_fork(self) -> None:
        """Close the connections to a file, in the parent; those to a server stay open."""
        if self.file is not None:
            self.file.before_fork()

    def after_fork(self) -> None:
        """Let transactions begin again, in the parent."""
        if self.file is not None:
            self.file.after_fork()

    def begin_anew(self) -> None:
        """Forget the connections of the parent, in a forked child; they stay open for the parent."""
        if self.file is not None:
            self.file.begin_anew()
        self.engine.dispose(close=False)

    def connect_args(self) -> dict[str, Any]:
        """Give what `psycopg.connect` takes for a connection beside the pool."""
        _, words = self.engine.dialect.create_connect_args(self.url)
        return {**words, **_POSTGRESQL}

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
        with self._connected(**options) as connection, connection.begin():
            self._limit(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that is committed at the end, or undone if the block raises.

        Raises:
            StoreUnavailable: the database does not answer, or another writer took too long.
        """
        with self._connected(cidrmatch_writes=True) as connection:
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

    @contextmanager
    def noting(self) -> Iterator[Connection]:
        """Open a transaction that writes what may be lost: it waits for nobody, and for no disk.

        Raises:
            StoreUnavailable: the database does not answer, refuses, or is busy.
        """
        with self._connected(cidrmatch_writes=True, cidrmatch_notes=True) as connection, connection.begin():
            if self.kind == "postgresql":
                connection.execute(text("SET LOCAL synchronous_commit = off"))
                connection.execute(text("SET LOCAL statement_timeout = '2s'"))
            yield connection

    @contextmanager
    def _connected(self, **options: Any) -> Iterator[Connection]:
        with ExitStack() as stack:
            stack.enter_context(self._told())
            if self.file is not None:
                stack.enter_context(self.file.in_use())
            yield stack.enter_context(self.engine.connect().execution_options(**options))

    def _limit(self, connection: Connection) -> None:
        """Bound the waits of this transaction; SQLite has a bound for locks alone, and answers by itself."""
        if self.kind == "postgresql":
            connection.execute(_LIMITS)

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


def _said(error: Exception) -> str:
    """Give the words of the driver; SQLAlchemy adds the query and its values."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(original).split())[:500] or type(original).__name__


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Prepare a new connection; the driver must not begin transactions by itself."""
    connection.isolation_level = None
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {setting}")


def _note_use(_connection: object, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _check_alive(engine: Engine, connection: Any, record: Any, _proxy: object) -> None:
    """Ask the server before a connection is used that was idle; one that answered just now is not asked again."""
    used = record.info.get("used")
    if used is None or time.monotonic() - used < _IDLE_SECONDS:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError(_said(error)) from error


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    notes, writes = options.get("cidrmatch_notes", False), options.get("cidrmatch_writes", False)
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {100 if notes else _LOCK_SECONDS * 1000}")
    connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if notes else 'FULL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
