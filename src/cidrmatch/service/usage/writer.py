"""The thread that writes: it takes notes from the buffer, and puts them into the database, a batch a transaction.

    buffer --take--> batch --rows, INSERT, COMMIT--> database
                       |
                       '-- it fails --> the same batch again, after 0.1, 0.2, 0.4 ... 5 seconds; the buffer fills

One transaction has rows, days, last uses, losses, and how many notes of this process are settled.  So a record is
written once or not at all, also if the answer to a commit was lost: then the batch is found settled.

While the database is down, checks go on.  The buffer fills, and what does not fit is counted under the cause "database"
or "disk".  The first batch after that has a record of the loss.

A batch that a working database refuses three times is halved until one note is left; it is lost under the cause
"refused".

With SQLite, one statement writes a batch whose words are all known (at_once.py): each statement costs a busy thread
more than its own work, because it gives up the interpreter lock and gets it back.  For the same reason a few notes wait
for others, 0.1 seconds at most.

Cost: 6 to 12 microseconds of a core a record, nearly all without the interpreter lock.
Threads: one, a daemon; it is started by the first note after the start, and after a fork.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..._keys import PackedNotes
from .at_once import MOST_ROWS, AtOnce
from .buffer import Loss
from .databases import SqliteDatabase
from .errors import UsageUnavailable
from .record import LOST
from .schema import DAY_MICROS, lock_last, make_day, table_of, upgrade
from .sessions import Abandoned, Session, abandoned
from .uses import write_uses

if TYPE_CHECKING:
    from .attempts import Watch
    from .buffer import Buffer
    from .databases import Connection, PostgresDatabase
    from .formatting import Formatter

__all__ = ["Writer"]

_log = logging.getLogger(__name__)

_EVERY: Final = 0.1
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
        self._at_once = AtOnce(database) if isinstance(database, SqliteDatabase) else None
        self._upkeep = upkeep
        self.session = Session(stem)
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="cidrmatch-usage", daemon=True)
        self._stopping: str | None = None
        self._batches: deque[PackedNotes] = deque()
        self._spent: PackedNotes | None = None
        self._settled = 0
        self._days: set[int] = set()
        self._is_isolating = False
        self._unused: int | None = None
        """The number from which on last uses are not written; None if all are."""
        self._last: int | None = None
        """The last number of the log after the last success; None if that is not known."""
        self._is_alone = True
        """Whether one statement may write a batch; not until the next last uses after such a try has failed."""
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
                if refusals >= _MOST_REFUSALS or self._is_isolating:
                    self._isolate()
                else:
                    self._pause(wait)
                    wait = min(wait * 2, _LONGEST_WAIT)
        if self._stopping == "flushed" and self._unused is not None:
            with suppress(UsageUnavailable):
                self._write(with_uses=True)

    def _is_over(self) -> bool:
        return self._stopping == "now" or (self._stopping is not None and not (self._batches or self._buffer.waiting))

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
        """Do what there is to do; return whether more should be done at once."""
        if not self._is_ready:
            self._prepare()
        now = time.monotonic()
        if now >= self._next_upkeep:
            self._next_upkeep = now + _UPKEEP_EVERY
            self._upkeep()
            self._days.clear()
        if not self._batches:
            self._take()
        with_uses = now >= self._next_uses and self._unused is not None
        if self._batches or with_uses:
            self._write(with_uses=with_uses)
        return bool(self._batches) or self._buffer.has_enough

    def _take(self) -> None:
        """Take the next batch, with what was lost meanwhile; without new losses, a retry is the same batch."""
        self._is_isolating = False
        batch, losses = self._buffer.take(self._spent), self._buffer.take_losses()
        self._spent = None
        if batch is not None:
            self._batches.append(batch)
        if losses:
            self._batches.append(_told(losses))

    def _prepare(self) -> None:
        upgrade(self._database)
        for other in abandoned(self._stem):
            self._recover(other)
        self._is_ready = True

    def _write(self, *, with_uses: bool) -> None:
        """Write one batch in one transaction, and settle it."""
        batch = self._batches[0] if self._batches else PackedNotes()
        if with_uses or not self._write_at_once(batch):
            self._last = None
            with self._database.writing() as connection:
                last = lock_last(connection, self._database.kind)
                if self._is_settled_already(connection, batch):
                    return
                if self._unused is None:  # it may be another database now
                    self._unused = last + 1
                end = self._insert(connection, batch, last)
                self._settle(connection, batch.settled)
                if with_uses:
                    write_uses(connection, self._unused)
            self._last = end
            self._is_alone |= with_uses
        if with_uses:
            self._unused = None
            self._next_uses = time.monotonic() + _USES_EVERY
        self._give(batch)
        self._done(batch.settled)

    def _write_at_once(self, batch: PackedNotes) -> bool:
        """Write a batch in one statement, if nothing about it is new, and no other process writes; else do nothing."""
        if self._at_once is None or self._last is None or not self._is_alone or not self._days:
            return False
        parts = self._formatter.known_parts(batch, self._last)
        if parts is None or len(parts) != 1 or parts[0].rows > MOST_ROWS:
            return False
        if not self._days.issuperset(_days_of(parts[0].day, parts[0].last)):
            return False
        if self._unused is None:
            self._unused = self._last + 1
        words = {
            "before": self._last,
            "session": self.session.id,
            "was": self._settled,
            "settled": self._settled + batch.settled,
            "seen": int(time.time() * 1e6),
        }
        self._is_alone = self._at_once.write(parts[0], words)
        if self._is_alone:
            self._last = parts[0].last
        return self._is_alone

    def _give(self, batch: PackedNotes) -> None:
        """Give the denials of a batch to the watch."""
        for denial in batch.denials:
            self._watch.see(*denial)

    def _done(self, settled: int) -> None:
        """Note that the first batch is written."""
        if self._batches:
            self._spent = self._batches.popleft()
            self.written += self._spent.requests
        with self._progress:
            self._settled += settled
            self._progress.notify_all()

    def _insert(self, connection: Connection, batch: PackedNotes, last: int) -> int:
        """Insert the rows of a batch; return the last number."""
        for part in self._formatter.parts(connection, self._database.kind, batch, last):
            self._make_days(connection, part.day, part.last)
            connection.append_packed(table_of(part.day), part.data, part.rows)
            connection.run(
                "UPDATE usage_days SET records = records + ?, lag = CASE WHEN lag < ? THEN ? ELSE lag END"
                " WHERE day = ?",
                (part.rows, part.lag, part.lag, part.day),
            )
            last = part.last
        connection.run("UPDATE usage_state SET last = ? WHERE id = 1", (last,))
        return last

    def _make_days(self, connection: Connection, day: int, number: int) -> None:
        """Make the table of a day, and that of the next day in time."""
        for each in _days_of(day, number) - self._days:
            make_day(connection, self._database.kind, each)
            self._days.add(each)

    # -- Sessions -------------------------------------------------------------

    def _is_settled_already(self, connection: Connection, batch: PackedNotes) -> bool:
        """The answer to a commit may be lost; then the session says that the batch is written."""
        found = connection.rows("SELECT settled FROM usage_sessions WHERE id = ?", (self.session.id,))
        settled = (found[0][0] if found else 0) - self._settled
        if settled < 0:  # another database is there, such as a backup: its words have other ids
            self._formatter.forget()
            self._days.clear()
            self._unused = None
        if settled <= 0:
            return False
        self._give(batch)
        self._done(settled)
        return True

    def _settle(self, connection: Connection, settled: int) -> None:
        started, now = int(self.session.started * 1e6), int(time.time() * 1e6)
        connection.run(
            "INSERT INTO usage_sessions VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET settled = excluded.settled, seen = excluded.seen",
            (self.session.id, started, self._settled + settled, now),
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
                self._insert(connection, _told([loss]), last)
            connection.run("DELETE FROM usage_sessions WHERE id = ?", (other.id,))
        if missing > 0:
            self._buffer.totals["crash"] += missing
            _log.warning("a process was killed before it had written %d records of the usage log", missing)
        other.forget()

    def _isolate(self) -> None:
        """Halve a batch that a working database refuses, again and again; a note that is refused alone is lost."""
        if not self._batches:
            return
        self._is_isolating = True
        batch = self._batches.popleft()
        if batch.count > 1:
            self._give(batch)
            self._batches.extendleft(reversed(batch.halves()))
        else:
            self._buffer.lose("refused", batch.settled, *batch.moments)


def _days_of(day: int, number: int) -> set[int]:
    """Give the days whose tables must be there when the last row of a batch has this number."""
    return {day, (number + _AHEAD_MICROS) // DAY_MICROS}


def _told(losses: list[Loss]) -> PackedNotes:
    """Make notes that tell of losses."""
    batch = PackedNotes()
    for loss in losses:
        words = (None, None, None, LOST[loss.cause], None, None, None, None)
        batch.add_loss(words, loss.last, max(loss.last - loss.first, 0.0), loss.notes)
    return batch
