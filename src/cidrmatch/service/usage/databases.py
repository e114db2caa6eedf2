"""The database of a log, SQLite or PostgreSQL: one statement language, transactions that read, and one that writes.

    reading     SQLite: BEGIN            PostgreSQL: REPEATABLE READ, READ ONLY     one moment, and no writer waits
    writing     SQLite: BEGIN IMMEDIATE  PostgreSQL: the row of usage_state locked  one writer at a time
    alone       SQLite: none             --                                         a statement is one by itself

Statements are written with `?`, and have no other question mark and no percent sign.

A commit of SQLite survives the death of the process at once, and a power failure after the next checkpoint
(synchronous=NORMAL): a log that waits for the disk ten times a second would slow down its neighbours.

SQLite keeps in memory, for each process, which locks it has.  So no connection to a file is open during a fork: the
parent waits until its transactions have ended, closes the writer's connection, and forks then.  A child whose parent
was in the middle of a transaction may not use the file.

The writer's connection to a file stays open, because its pages stay in memory.  It is made anew if another file lies at
the path.

Threads: safe; each transaction that reads has a connection of its own.
Source: https://www.sqlite.org/howtocorrupt.html, section 2.6
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..._keys import SELECT_PACKED
from ...engine.forking import remember
from ...errors import quote
from .errors import UsageError, UsageUnavailable

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["Connection", "Database", "open_database"]

_LOCK_SECONDS: Final = 30
_FORK_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 2.0
_CHECKPOINT_PAGES: Final = 4_000
"""16 MB: an index by key dirties nearly a page a record, and most of these pages are dirtied again soon."""
_FULL: Final = (sqlite3.SQLITE_FULL,)
_GONE: Final = "the log has been dropped in part while it was read"
_POSTGRESQL: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "primary",
    "prepare_threshold": None,  # a pooler may give the next transaction to another server process
}


class Connection(Protocol):
    """A transaction, as the log uses it."""

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]: ...  # all rows of an answer

    def run(self, statement: str, values: Sequence[object] = ()) -> None: ...  # no answer

    def append_packed(self, table: str, data: bytes, rows: int) -> None: ...  # rows of a `PackedNotes`


class Database(Protocol):
    """What a log needs of a database."""

    kind: str
    url: URL

    def reading(self) -> Any: ...  # a context with a `Connection` that sees one moment

    def writing(self) -> Any: ...  # a context with a `Connection` that is committed at the end, or undone

    def size_bytes(self, tables: Iterable[str]) -> int: ...  # of what the log occupies

    def close(self) -> None: ...  # close what nobody uses


def open_database(url: str) -> SqliteDatabase | PostgresDatabase:
    """Find the database of a URL; nothing is opened yet.

    Raises:
        UsageError: the URL is none, or names another kind of database.
    """
    try:
        found = make_url(url)
        kind = found.get_backend_name()
    except (ArgumentError, ValueError):  # the text may hold a password, and so may the error
        raise UsageError("this is no URL of a database; one is sqlite:///usage.db") from None
    if kind == "sqlite" and found.database not in (None, "", ":memory:"):
        return SqliteDatabase(found)
    if kind == "postgresql":
        return PostgresDatabase(found)
    raise UsageError(f"a usage log lies in a file of sqlite or in postgresql, not in {quote(kind)}")


class _Cursor:
    """Rows in and out of one connection of either driver."""

    def __init__(self, connection: Any, mark: str) -> None:
        self.connection = connection
        self._mark = mark

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Run a statement and give all rows of its answer."""
        found: list[Any] = self.connection.execute(statement.replace("?", self._mark), values).fetchall()
        return found

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """Run a statement that has no answer."""
        self.connection.execute(statement.replace("?", self._mark), values)

    def append_packed(self, table: str, data: bytes, rows: int) -> None:
        """Insert the rows of a `PackedNotes`."""
        self.connection.execute(f"INSERT INTO {table} {SELECT_PACKED}", (data, rows))


class SqliteDatabase:
    """One file of SQLite."""

    kind = "sqlite"

    def __init__(self, url: URL) -> None:
        self.url = url
        self.path = os.path.abspath(url.database or "")
        self._is_tainted = False
        self._kept: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._make_locks()
        remember(self)

    def _make_locks(self) -> None:
        self._one_writer = threading.RLock()
        self._turn = threading.Condition()
        self._open = 0
        self._forks = 0
        self._is_clean = True

    # -- Transactions ---------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[_Cursor]:
        """Open a transaction that sees one moment.

        Raises:
            UsageUnavailable: the file cannot be read.
        """
        with self._told(), self._in_use():
            connection = self._connect()
            try:
                connection.execute("BEGIN")
                yield _Cursor(connection, "?")
            finally:
                connection.close()

    @contextmanager
    def writing(self) -> Iterator[_Cursor]:
        """Open the one transaction that writes.

        Raises:
            UsageUnavailable: the file cannot be written.
        """
        with self._told(), self._one_writer, self._in_use():
            connection = self._writers()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _Cursor(connection, "?")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Give the writer's connection without a transaction: each statement is one of its own.

        Raises:
            UsageUnavailable: the file cannot be opened.
        """
        with self._told(), self._one_writer, self._in_use():
            yield self._writers()

    def _connect(self) -> sqlite3.Connection:
        """Open the file; a new one is its owner's alone, because it tells who came from where."""
        if not os.path.lexists(self.path):
            with suppress(OSError):  # SQLite says what is wrong
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA cache_size=-65536")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        return connection

    def _writers(self) -> sqlite3.Connection:
        """Give the writer's connection; make it anew if the file was replaced."""
        if self._kept is not None and _identity(self.path) != self._opened:
            self._close_writers()
        if self._kept is None:
            self._kept = self._connect()
            self._opened = _identity(self.path)
        return self._kept

    def _close_writers(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        if self._is_tainted:
            raise UsageUnavailable("this process was forked in the middle of a transaction of SQLite; start it again")
        with self._turn:
            self._turn.wait_for(lambda: not self._forks, _FORK_SECONDS)
            self._open += 1
        try:
            yield
        finally:
            with self._turn:
                self._open -= 1
                self._turn.notify_all()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DataError, sqlite3.IntegrityError):  # of the rows, not of the database
            raise
        except sqlite3.Error as error:
            is_full = getattr(error, "sqlite_errorcode", None) in _FULL
            raise UsageUnavailable(f"{self.path}: {error}", is_full=is_full) from error

    # -- Forks and the end ----------------------------------------------------

    def before_fork(self) -> None:
        """Wait until the transactions have ended, and close the writer's connection."""
        with self._turn:
            self._forks += 1
            self._turn.wait_for(lambda: self._open == 0, _FORK_SECONDS)
            self._is_clean = self._open == 0
            if self._is_clean:
                self._close_writers()

    def after_fork(self) -> None:
        """Let transactions begin again."""
        with self._turn:
            self._forks -= 1
            self._turn.notify_all()

    def begin_anew(self) -> None:
        """Begin anew in a forked child; it may not use the file if a transaction was open."""
        self._is_tainted = self._is_tainted or not self._is_clean
        self._make_locks()

    def close(self) -> None:
        """Close the writer's connection, unless a transaction waits for another program's lock."""
        if not self._one_writer.acquire(timeout=_CLOSE_SECONDS):
            return
        try:
            with self._in_use():
                self._close_writers()
        finally:
            self._one_writer.release()

    # -- Differences ----------------------------------------------------------

    def size_bytes(self, tables: Iterable[str]) -> int:  # noqa: ARG002  SQLite does not count by table
        """Give the bytes of the file that are in use."""
        with self.reading() as connection:
            ((pages,),), ((free,),), ((size,),) = (
                connection.rows(f"PRAGMA {name}") for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)


class PostgresDatabase:
    """A database of PostgreSQL."""

    kind = "postgresql"

    def __init__(self, url: URL) -> None:
        self.url = url.set(drivername="postgresql+psycopg")
        self._engine = create_engine(self.url, connect_args=_POSTGRESQL, pool_pre_ping=True, pool_recycle=300)
        remember(self)

    def begin_anew(self) -> None:
        """Forget the connections of the parent, in a forked child; they stay open for the parent."""
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[_Cursor]:
        """Open a transaction that sees one moment.

        Raises:
            UsageUnavailable: the server does not answer, or a day was dropped while it was read.
        """
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as connection:
            connection.run("SET LOCAL statement_timeout = '120s'")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[_PostgresCursor]:
        """Open the one transaction that writes; another writer waits for it.

        Raises:
            UsageUnavailable: the server does not answer, or refuses.
        """
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED") as connection:
            connection.run(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[_PostgresCursor]:
        with ExitStack() as stack:
            stack.enter_context(_told_by_server())
            pooled = self._engine.raw_connection()
            stack.callback(pooled.close)
            connection: Any = pooled.driver_connection
            connection.autocommit = True
            connection.execute(begin)
            try:
                yield _PostgresCursor(connection, "%s")
                connection.execute("COMMIT")
            except BaseException:
                if connection.closed:
                    pooled.invalidate()
                else:
                    connection.execute("ROLLBACK")
                raise

    def size_bytes(self, tables: Iterable[str]) -> int:
        """Give the bytes of some tables with their indexes."""
        with self.reading() as connection:
            return sum(connection.rows("SELECT pg_total_relation_size(?)", (name,))[0][0] for name in tables)


class _PostgresCursor(_Cursor):
    def append_packed(self, table: str, data: bytes, rows: int) -> None:  # noqa: ARG002  `data` ends by itself
        """Insert the rows of a `PackedNotes` by COPY."""
        with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.write(data)


@contextmanager
def _told_by_server() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        raise UsageUnavailable(_GONE, is_gone=True) from error
    except (psycopg.DataError, psycopg.IntegrityError) as error:  # of the rows, not of the database
        raise ValueError(_said(error)) from None
    except (psycopg.Error, SQLAlchemyError) as error:
        original = getattr(error, "orig", None) or error
        raise UsageUnavailable(_said(original), is_full=isinstance(original, psycopg.errors.DiskFull)) from None


def _said(error: BaseException) -> str:
    """Give the first line of a server's message; the others may quote a row, with its key and its address."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return " ".join((primary or str(error)).split())[:500] or type(error).__name__


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
