"""The file of a SQLite database: a connection to a file that was replaced is dropped, and none is open during a fork.

    keys.db       inode 17  <--- connections              a backup is put back:  keys.db  inode 23
    keys.db-wal   inode 18                                inode 17 has no name any more, and would be read for ever

So a connection remembers which files it has opened.  When it is taken from the pool, they must still be those of the
path; if they are not, all connections of the pool are made anew.

SQLite keeps in memory, for each process, which locks it has on a file.  A forked child gets this memory and not the
locks: it would believe that nobody may remove the journal under its feet.  So the parent waits until its transactions
have ended, closes all connections, and forks then.  If one of its transactions goes on, the child may not use the file.

    parent    transactions end (5 seconds at most)   close   FORK   go on
    child                                                    |      opens the file as any other process does

Cost: two calls of stat for each transaction.  Threads: safe.
Source: https://www.sqlite.org/howtocorrupt.html, sections 2.6 and 4.2
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError

from .errors import StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["Identity", "SqliteFile", "identity_of", "path_of"]

_FORK_SECONDS: Final = 5.0
Identity: TypeAlias = tuple[tuple[int, int] | None, ...]
"""Device and inode of the file, and of its journal; None for what is not there."""


def identity_of(path: str) -> Identity:
    """Tell which files lie at the path of a database; () for a database in memory."""
    return (_inode(path), _inode(f"{path}-wal")) if path else ()


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def path_of(connection: Any) -> str:
    """Give the path of the file that a connection has opened; "" for a database in memory."""
    rows: list[tuple[int, str, str]] = connection.execute("PRAGMA database_list").fetchall()
    return next((path for _, name, path in rows if name == "main"), "")


class SqliteFile:
    """Watch the file that the connections of a pool have opened."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_tainted = False
        self._make()
        event.listen(engine, "connect", _remember_files)
        event.listen(engine, "checkout", _check_files)

    def _make(self) -> None:
        self._turn = threading.Condition()
        self._mine = threading.local()
        self._count = 0  # transactions that go on
        self._forks = 0
        self._is_clean = True

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the file open for a transaction; wait while the process forks.

        Raises:
            StoreUnavailable: the process was forked in the middle of a transaction.
        """
        if self._is_tainted:
            raise StoreUnavailable("this process was forked in the middle of a transaction of SQLite; start it again")
        turn, mine = self._turn, self._mine
        with turn:
            turn.wait_for(lambda: not self._forks, _FORK_SECONDS)
            self._count += 1
        mine.count = getattr(mine, "count", 0) + 1
        try:
            yield
        finally:
            mine.count -= 1
            with turn:
                self._count -= 1
                turn.notify_all()

    def before_fork(self) -> None:
        """Wait until the transactions of other threads have ended, and close all connections."""
        mine = getattr(self._mine, "count", 0)
        with self._turn:
            self._forks += 1
            self._turn.wait_for(lambda: self._count <= mine, _FORK_SECONDS)
            self._is_clean = self._count == 0
        self._engine.dispose()

    def after_fork(self) -> None:
        """Let transactions begin again."""
        with self._turn:
            self._forks -= 1
            self._turn.notify_all()

    def begin_anew(self) -> None:
        """Begin anew in a forked child; it may not use the file if a transaction was open."""
        self._is_tainted = self._is_tainted or not self._is_clean
        self._make()


def _remember_files(connection: Any, record: Any) -> None:
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the journal, too
    path = path_of(connection)
    record.info["file"] = (path, identity_of(path))


def _check_files(_connection: object, record: Any, _proxy: object) -> None:
    path, opened = record.info["file"]
    if identity_of(path) != opened:
        raise InvalidatePoolError(f"{path} is another file now")
