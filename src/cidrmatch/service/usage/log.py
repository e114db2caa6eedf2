"""The usage log, as hosts use it: `UsageLog`.

    log = UsageLog("sqlite:///usage.db")
    app = AllowListMiddleware(app, guard=guard, key=key_of, usage=log)      each request is noted, blocked ones too
    log.find(UsageFilter(key="key_live_1", status=403), limit=50)           the newest first
    log.close()                                                             at the end of the process

The thread that writes starts with the first note.  A log that only answers questions has none.

Several processes may write one log, each with a `UsageLog` of its own.  Numbers grow in the order of the commits.
Within one process that is the order of the notes.  Across processes, records of the last 0.1 seconds may stand in
another order than their times; a record never gets a number below one that a reader may have seen.

Threads: safe.  A forked child begins anew, with no notes.  Source: B25 to B29, B31; C26.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakMethod

from ...engine.forking import remember
from ...errors import quote
from .attempts import Alarm, Watch
from .buffer import Buffer
from .databases import SqliteDatabase, open_database
from .errors import UsageError, UsageUnavailable
from .formatting import Formatter, packer_for
from .masks import Mask
from .questions import Questions
from .record import LOST
from .retention import Retention, upkeep
from .schema import upgrade
from .writer import Writer

if TYPE_CHECKING:
    from ...engine.engine import Engine
    from ...gateways.guard import GuardDecision

__all__ = ["UsageLog"]

_log = logging.getLogger(__name__)
_SIZE: Final = 100_000
_PATIENCE: Final = 5.0


class UsageLog(Questions):
    """UsageLog(url): note requests, and find them again.

    Args:
        url: "sqlite:///usage.db" or "postgresql+psycopg://user@host/name"; the tables are made if they are not there.
        mask: a `Mask` for personal data.
        engine: an `Engine` whose revisions are written with the records.
        size: the most notes that wait for the database.
        when_full: "drop" loses a note at once if so many wait; "block" lets the request wait for room, at most
            `patience` seconds.
        retention: a `Retention`: how long records are kept; None for ever.
        alarm: an `Alarm` for addresses that are denied again and again.
        counters: the folder for the counters that outlive a crash; by default that of the file of SQLite, and the
            folder for temporary files for PostgreSQL.
    Raises:
        TypeError, ValueError: an argument has a wrong type or value.
        UsageError: the URL is none, or the tables are of a newer program.  A database that does not answer is no error
            here: notes wait until it does.
    Threads: safe.
    """

    def __init__(
        self,
        url: str,
        *,
        mask: Mask | None = None,
        engine: Engine | None = None,
        size: int = _SIZE,
        when_full: Literal["drop", "block"] = "drop",
        patience: float = _PATIENCE,
        retention: Retention | None = None,
        alarm: Alarm | None = None,
        counters: str | os.PathLike[str] | None = None,
    ) -> None:
        _check(mask=(mask, Mask), retention=(retention, Retention), alarm=(alarm, Alarm))
        if type(size) is not int or size < 1:
            raise ValueError("size is a number of notes, 1 or more")
        if when_full not in ("drop", "block"):
            raise ValueError(f"when_full is 'drop' or 'block', not {quote(when_full)}")
        super().__init__(open_database(url), mask)
        self._size = size
        self._patience = patience if when_full == "block" else 0.0
        self._engine = engine
        self._retention = retention
        self._watch = Watch(alarm)
        self._stem = self._stem_in(counters)
        self._make()
        try:
            upgrade(self.database)
        except UsageUnavailable as error:
            _log.warning("the usage log does not answer; notes wait: %s", error)
        except UsageError:
            self.database.close()
            raise
        self._at_exit = _end_with_process(self)
        remember(self)

    def _make(self) -> None:
        self._starting = threading.Lock()
        self._writer: Writer | None = None
        self._buffer = Buffer(packer_for(self._size, self._mask), self._patience)
        self._tick: Callable[[], object] = self._start_and_tick

    def _stem_in(self, counters: str | os.PathLike[str] | None) -> str:
        """Give what the names of this log's counters begin with."""
        if isinstance(self.database, SqliteDatabase) and counters is None:
            return self.database.path
        whole = self.database.url.render_as_string(hide_password=True)
        name = f"cidrmatch-usage-{os.getuid()}-{hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()}"
        return str(Path(counters or tempfile.gettempdir()) / name)

    # -- Notes ----------------------------------------------------------------

    def note(
        self,
        found: GuardDecision | None,
        *,
        key: str | None = None,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        seconds: float | None = None,
        stopped_at: str | None = None,
    ) -> None:
        """Note a request.  It is packed, and written later; nothing is raised.

        Args:
            found: the guard's decision; None if the guard was not asked.
            key: the key's id, where `found` is None.
            method, path: of the request.
            status: what the client was told.
            request_id: by which other logs name the request.
            seconds: how long it took.
            stopped_at: the host's step that ended it.
        Cost: a microsecond or two; if the log is full and blocks, up to its `patience`.
        Threads: safe.
        """
        buffer, now = self._buffer, time()
        try:
            self._tick()
        except Exception:  # it is counted already
            _log.exception("a request could not be noted")
            return
        try:
            answer = buffer.put(now, found, method, path, status, request_id, seconds, stopped_at, key)
            if answer:
                buffer.heed(answer, (now, found, method, path, status, request_id, seconds, stopped_at, key))
        except Exception:
            buffer.lose("refused", 1, now, now)
            _log.exception("a request cannot be written to the usage log as it is; it is counted as refused")

    def start(self) -> None:
        """Start the thread that writes; the first note does so by itself.

        It tells of records that a killed process took with it.

        Raises:
            OSError: the folder for counters cannot be written.
        """
        with self._starting:
            self._start()

    def _start(self) -> None:
        if self._writer is not None:
            return
        lost = self._buffer.untold
        formatter = Formatter(self._mask, self._engine)
        self._writer = Writer(self.database, self._buffer, formatter, self._watch, self._stem, self._keep_house)
        self._tick = self._writer.session.tick
        for _ in range(lost):  # what was lost before there was a counter will be settled, too
            self._tick()

    def _start_and_tick(self) -> object:
        with self._starting:
            try:
                self._start()
            except OSError:  # there is no room for a counter
                now = time()
                self._buffer.lose("disk", 1, now, now)
                raise
        return self._tick()

    def _keep_house(self) -> None:
        if self._retention is not None:
            upkeep(self.database, self._retention)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything that was noted is written, or counted as lost; return whether it is."""
        return self._writer is None or self._writer.flush(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Write what waits, and end.  Notes from now on are lost, and counted.

        Returns:
            Whether everything was written.  If not, the next start tells how many records are missing.
        """
        atexit.unregister(self._at_exit)
        with self._starting:
            writer, self._writer = self._writer, None
            self._tick = self._refuse
        is_done = writer is None or writer.stop(timeout)
        self.database.close()
        return is_done

    def _refuse(self) -> None:
        now = time()
        self._buffer.lose("closed", 1, now, now)
        raise ValueError("the usage log is closed")

    def begin_anew(self) -> None:
        """Begin anew in a forked child, without the parent's notes: the parent writes them."""
        if self._writer is not None:
            self._writer.session.leave()
        is_closed = self._tick == self._refuse
        self._make()
        if is_closed:
            self._tick = self._refuse

    # -- How it goes ----------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """Give the counts of this process, for a page of metrics.

        Returns:
            "waiting", "written", "lost_full" and the others of `LOST`, "attempts", and "alarms".
        """
        writer = self._writer
        lost = {LOST[cause]: count for cause, count in self._buffer.totals.items()}
        return {
            "waiting": self._buffer.waiting,
            "written": 0 if writer is None else writer.written,
            **lost,
            "attempts": self._watch.attempts,
            "alarms": self._watch.alarms,
        }

    @property
    def trouble(self) -> str | None:
        """What the database said when it was written last; None if all is well."""
        return None if self._writer is None else self._writer.trouble

    def __repr__(self) -> str:
        return f"<UsageLog {self.database.url.render_as_string(hide_password=True)}>"


def _check(**given: tuple[object, type]) -> None:
    for name, (value, kind) in given.items():
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} is a {kind.__name__}, or None, not {type(value).__name__}")


def _end_with_process(log: UsageLog) -> Callable[[], None]:
    """Close a log that nobody closed when the process ends."""
    close = WeakMethod(log.close)

    def at_exit() -> None:
        method = close()
        if method is not None:
            method()

    atexit.register(at_exit)
    return at_exit
