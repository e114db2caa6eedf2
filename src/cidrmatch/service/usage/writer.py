"""The thread that writes: it takes notes from the buffer, and puts them into the database, a batch a transaction.

    buffer --take--> batch --format, insert, COMMIT--> database
                       |
                       '-- it fails --> the same batch again, after 0.1, 0.2, 0.4 ... 5 seconds; the buffer fills

One transaction has rows, days, last uses, losses, and how many notes of this process are settled.  So a record is
written once or not at all, also if the answer to a commit was lost: then the batch is found settled.

While the database is down, checks go on.  The buffer fills, and what does not fit is counted under the cause "database"
or "disk".  The first batch after that has a record of the loss.

A batch that a working database refuses three times is written off, under the cause "refused".

Cost: 6 microseconds of a core a record, of which 3 hold the interpreter.
Threads: one, a daemon; it is started by the first note after the start, and after a fork.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .buffer import Loss
from .errors import UsageUnavailable
from .schema import DAY_MICROS, lock_last, make_day, table_of, upgrade
from .sessions import Abandoned, Session, abandoned

if TYPE_CHECKING:
    from .attempts import Watch
    from .buffer import Buffer, Note
    from .databases import Connection, PostgresDatabase, SqliteDatabase
    from .formatting import Formatter, Rows

__all__ = ["Writer"]

_log = logging.getLogger(__name__)

_EVERY: Final = 0.1
_MOST_IN_A_BATCH: Final = 2_000
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
_MOST_REFUSALS: Final = 3
_USES_EVERY: Final = 5.0
_UPKEEP_EVERY: Final = 30.0
_AHEAD_MICROS: Final = 3_600_000_000
"""The table of the next day is made an hour before it begins."""


class Writer:
    """Write what a buffer gets.

    Args:
        upkeep: called now and then, between two batches; it drops old days.
    """

    def __init__(
        self,
        database: SqliteDatabase | PostgresDatabase,
        buffer: Buffer,
        formatter: Formatter,
        watch: Watch,
        stem: str,
        upkeep: Callable[[], object],
    ) -> None:
        self._database = database
        self._buffer = buffer
        self._formatter = formatter
        self._watch = watch
        self._stem = stem
        self._upkeep = upkeep
        self.session = Session(stem)
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="cidrmatch-usage", daemon=True)
        self._stopping: str | None = None
        self._batch: list[Note] = []
        self._losses: list[Loss] = []
        self._settled = 0
        self._days: set[int] = set()
        self._keys: dict[bytes, tuple[int, int | None]] = {}
        self._entries: dict[tuple[int, bytes], int] = {}
        self._is_ready = False
        self._next_uses = self._next_upkeep = 0.0
        self.written = 0
        self.trouble: str | None = None
        """What the database said at the last attempt; None after a success."""

        self._thread.start()

    # -- The end --------------------------------------------------------------

    def flush(self, seconds: float) -> bool:
        """Wait until all that was noted is written or lost; return whether it is."""
        wanted = self.session.noted
        self._buffer.awake.set()
        with self._progress:
            return self._progress.wait_for(lambda: self._settled >= wanted, seconds)

    def stop(self, seconds: float) -> bool:
        """Write what waits, and stop; return whether everything was written."""
        is_done = self.flush(seconds)
        self._stopping = "flushed" if is_done else "now"
        self._buffer.awake.set()
        self._thread.join(seconds + 1)
        missing = self.session.noted - self._settled
        if missing:
            _log.error("the usage log was closed before %d notes were written; its next start tells of them", missing)
        self.session.end(settled=not missing)
        if not missing:
            self._forget_session()
        return not missing

    def _forget_session(self) -> None:
        """Delete the session, after its counter: the other way round, a crash in between would tell of losses."""
        with suppress(UsageUnavailable), self._database.writing() as connection:
            connection.run("DELETE FROM usage_sessions WHERE id = ?", (self.session.id,))

    # -- The thread -----------------------------------------------------------

    def _run(self) -> None:
        wait = _FIRST_WAIT
        refusals = 0
        while not self._is_over():
            self.session.beat()
            try:
                if not self._work():
                    self._buffer.awake.wait(_EVERY)
                    self._buffer.awake.clear()
                wait, refusals = _FIRST_WAIT, 0
                self._hear(None)
            except UsageUnavailable as error:
                self._hear(error)
                self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            except Exception as error:
                refusals += 1
                _log.exception("a batch of the usage log failed")
                self._hear(UsageUnavailable(type(error).__name__))
                if refusals >= _MOST_REFUSALS:
                    self._write_off()
                self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        if self._stopping == "flushed" and self._keys:
            with suppress(UsageUnavailable):
                self._write(with_uses=True)

    def _is_over(self) -> bool:
        return self._stopping == "now" or (self._stopping is not None and not (self._batch or self._buffer.notes))

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._stopping is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _EVERY))
            self.session.beat()

    def _hear(self, error: UsageUnavailable | None) -> None:
        """Remember what is wrong with the database; say it once."""
        if error is not None:
            self._formatter.forget()
            self._days.clear()
            self._is_ready = False  # another database may come back
        said = None if error is None else str(error)
        if said is not None and self.trouble is None:
            _log.error("the usage log cannot be written; checks go on, and what does not fit is counted: %s", said)
        if said is None and self.trouble is not None:
            _log.warning("the usage log is written again")
        self.trouble = said
        self._buffer.cause = "full" if error is None else "disk" if error.is_full else "database"

    def _work(self) -> bool:
        """Do what there is to do; return whether more waits."""
        if not self._is_ready:
            self._prepare()
        now = time.monotonic()
        if now >= self._next_upkeep:
            self._next_upkeep = now + _UPKEEP_EVERY
            self._upkeep()
            self._days.clear()
        if not self._batch:
            self._batch = self._buffer.take(_MOST_IN_A_BATCH)
        self._losses += self._buffer.take_losses()
        with_uses = now >= self._next_uses and bool(self._keys)
        if self._batch or self._losses or with_uses:
            self._write(with_uses=with_uses)
        return len(self._buffer.notes) > 0

    def _prepare(self) -> None:
        upgrade(self._database)
        for other in abandoned(self._stem):
            self._recover(other)
        self._is_ready = True

    def _write(self, *, with_uses: bool) -> None:
        """Write one batch in one transaction, and settle it."""
        with self._database.writing() as connection:
            last = lock_last(connection, self._database.kind)
            if self._is_settled_already(connection):
                return
            if with_uses:
                _write_uses(connection, self._keys, self._entries)
            rows = self._formatter.format(connection, self._batch, self._losses, last)
            self._insert(connection, rows)
            self._settle(connection, rows)
        self._done(rows.settled)
        self._remember_uses(rows, anew=with_uses)
        for at in rows.refused:
            self._buffer.lose("refused", 1, at, at)
        for at, packed, reason in rows.denials:
            self._watch.see(at, packed, reason)

    def _remember_uses(self, rows: Rows, *, anew: bool) -> None:
        """Add the last uses of a batch to those that are written later."""
        if anew:
            self._keys, self._entries = {}, {}
            self._next_uses = time.monotonic() + _USES_EVERY
        for key, (seen, allowed) in rows.keys.items():
            if allowed is None:
                allowed = self._keys.get(key, (0, None))[1]  # noqa: PLW2901
            self._keys[key] = seen, allowed
        self._entries.update(rows.entries)

    def _done(self, settled: int) -> None:
        self.written += settled - sum(loss.notes for loss in self._losses)
        self._batch, self._losses = [], []
        with self._progress:
            self._settled += settled
            self._progress.notify_all()

    def _insert(self, connection: Connection, rows: Rows) -> None:
        for day, of_day in rows.by_day.items():
            self._make_days(connection, day, of_day[-1][0])
            connection.append(table_of(day), of_day)
            lag = rows.lags[day]
            connection.run("UPDATE usage_days SET records = records + ? WHERE day = ?", (len(of_day), day))
            connection.run("UPDATE usage_days SET lag = ? WHERE day = ? AND lag < ?", (lag, day, lag))
        connection.run("UPDATE usage_state SET last = ? WHERE id = 1", (rows.last,))

    def _make_days(self, connection: Connection, day: int, number: Any) -> None:
        """Make the table of a day, and that of the next day in time."""
        for each in {day, (number + _AHEAD_MICROS) // DAY_MICROS} - self._days:
            make_day(connection, self._database.kind, each)
            self._days.add(each)

    # -- Sessions -------------------------------------------------------------

    def _is_settled_already(self, connection: Connection) -> bool:
        """The answer to a commit may be lost; then the session says that the batch is written."""
        found = connection.rows("SELECT settled FROM usage_sessions WHERE id = ?", (self.session.id,))
        settled = (found[0][0] if found else 0) - self._settled
        if settled < 0:  # another database is there, such as a backup: its words have other ids
            self._formatter.forget()
            self._days.clear()
            self._entries = {}
        if settled <= 0:
            return False
        refused = len(self._batch) + sum(loss.notes for loss in self._losses) - settled
        if refused > 0:
            self._buffer.lose("refused", refused, self._batch[0][0], self._batch[-1][0])
        self._done(settled)
        return True

    def _settle(self, connection: Connection, rows: Rows) -> None:
        started, now = int(self.session.started * 1e6), int(time.time() * 1e6)
        connection.run(
            "INSERT INTO usage_sessions VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET settled = excluded.settled, seen = excluded.seen",
            (self.session.id, started, self._settled + rows.settled, now),
        )

    def _recover(self, other: Abandoned) -> None:
        """Write how many notes a process that was killed took with it."""
        with self._database.writing() as connection:
            last = lock_last(connection, self._database.kind)
            found = connection.rows("SELECT settled, seen FROM usage_sessions WHERE id = ?", (other.id,))
            settled, seen = found[0] if found else (0, 0)
            missing = other.noted - settled
            if missing > 0:
                first = seen / 1e6 if seen else other.seen
                loss = Loss("crash", missing, first, max(other.seen, first))
                self._insert(connection, self._formatter.format(connection, [], [loss], last))
            connection.run("DELETE FROM usage_sessions WHERE id = ?", (other.id,))
        if missing > 0:
            self._buffer.totals["crash"] += missing
            _log.warning("a process was killed before it had written %d records of the usage log", missing)
        other.forget()

    def _write_off(self) -> None:
        """Give up a batch that a working database refuses."""
        if self._batch:
            self._buffer.lose("refused", len(self._batch), self._batch[0][0], self._batch[-1][0])
            self._batch = []


def _write_uses(
    connection: Connection, keys: dict[bytes, tuple[int, int | None]], entries: dict[tuple[int, bytes], int]
) -> None:
    """Write when keys and entries were used last; a later moment stays."""
    connection.insert(
        "usage_keys",
        sorted((key, seen, allowed) for key, (seen, allowed) in keys.items()),
        "ON CONFLICT (key) DO UPDATE SET seen = CASE WHEN excluded.seen > usage_keys.seen THEN excluded.seen"
        " ELSE usage_keys.seen END, allowed = CASE WHEN usage_keys.allowed IS NULL OR excluded.allowed >"
        " usage_keys.allowed THEN excluded.allowed ELSE usage_keys.allowed END",
    )
    connection.insert(
        "usage_entries",
        sorted((entry, key, used) for (entry, key), used in entries.items()),
        "ON CONFLICT (entry, key) DO UPDATE SET used = CASE WHEN excluded.used > usage_entries.used"
        " THEN excluded.used ELSE usage_entries.used END",
    )
