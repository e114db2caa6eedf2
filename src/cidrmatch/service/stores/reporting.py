"""Reports of readers: each follower writes which revision it answers by, so that people see who lags behind.

    readers    "web-3:811:main"   (E, 17)   seen at 12:00:05       Data.readers() --> lag 0
               "web-4:233:main"   (E, 15)   seen at 12:00:04                          lag 2

A report is written as well as it goes: in a thread of its own, every five seconds, and at a new revision at most once a
second.  It may fail, for instance because the role of the follower may only read; then it is tried again much later.
Nothing waits for it.  A follower that is stopped takes its report away; one that was killed is forgotten after a day.

Threads: one for each follower.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ..._keys import Revision
from .rows import moment_text
from .schema import readers

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection

    from .database import Database
    from .reading import Head

__all__ = ["Reader", "Reporter", "read_readers"]

_log = logging.getLogger(__name__)
_EVERY: Final = 5.0
_AT_MOST_EVERY: Final = 1.0
_AFTER_A_FAILURE: Final = 30.0
_FORGET: Final = timedelta(days=1)
_STOP_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reader:
    """Tell of a follower what it has reported.

    Attributes:
        name: machine, process and tenant, or the name that it was given.
        revision: by which it answered.
        seen_at: when it said so, in ISO 8601.
        lag: how many commits it was behind the data; None if its data was of another epoch.
    """

    name: str
    revision: Revision
    seen_at: str
    lag: int | None


def read_readers(connection: Connection, head: Head) -> list[Reader]:
    """Read the reports of a tenant's followers, by name."""
    query = select(readers).where(readers.c.tenant == head.tenant).order_by(readers.c.name)
    found = []
    for row in connection.execute(query):
        is_same = row.epoch == head.revision.epoch
        lag = head.revision.generation - row.number if is_same else None
        found.append(Reader(row.name, Revision(row.epoch, row.number), row.seen_at, lag))
    return found


class Reporter:
    """Write reports of one follower.

    Args:
        database: where.
        tenant: the name of the tenant.
        now: gives the time.
        name: of the follower; None for machine, process and tenant.  A forked child adds its process.
    """

    def __init__(self, database: Database, tenant: str, now: Callable[[], datetime], name: str | None) -> None:
        self._database, self._tenant, self._now = database, tenant, now
        self._given, self._pid = name, os.getpid()
        self._head: Head | None = None
        self._thread: threading.Thread | None = None
        self._make()

    def _make(self) -> None:
        self._news, self._is_over = threading.Event(), threading.Event()

    @property
    def name(self) -> str:
        """The name of the follower in this process."""
        pid = os.getpid()
        if self._given is None:
            return f"{socket.gethostname()}:{pid}:{self._tenant}"
        return self._given if pid == self._pid else f"{self._given}:{pid}"

    def note(self, head: Head) -> None:
        """Note that the engine answers by this head now."""
        self._head = head
        self._news.set()

    def start(self) -> None:
        """Start the thread."""
        self._make()
        self._thread = threading.Thread(
            target=self._run, args=(self._news, self._is_over), name="cidrmatch-report", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop; the report is taken away, unless the database is slow."""
        self._is_over.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def begin_anew(self) -> None:
        """Start again, in a forked child."""
        if self._thread is not None and not self._is_over.is_set():
            self.start()

    # In the thread.

    def _run(self, news: threading.Event, is_over: threading.Event) -> None:
        while not is_over.is_set():
            news.wait(_EVERY * random.uniform(0.8, 1.0))  # noqa: S311  nothing secret
            news.clear()
            is_written = is_over.is_set() or self._try(self._write)
            is_over.wait(_AT_MOST_EVERY if is_written else _AFTER_A_FAILURE)
        self._try(self._take_away)

    def _try(self, job: Callable[[Head], None]) -> bool:
        try:
            if (head := self._head) is not None:
                job(head)
        except Exception as error:
            _log.info("what this reader answers by was not reported: %s", error)
            return False
        return True

    def _write(self, head: Head) -> None:
        now = self._now()
        row = {"tenant": head.tenant, "name": self.name, "epoch": head.revision.epoch}
        row |= {"number": head.revision.generation, "seen_at": moment_text(now)}
        with self._database.noting() as connection:
            connection.execute(self._upsert(row))
            forgotten = readers.c.seen_at < moment_text(now - _FORGET)
            connection.execute(delete(readers).where(readers.c.tenant == head.tenant, forgotten))

    def _upsert(self, row: dict[str, Any]) -> Any:
        make: Any = postgresql.insert if self._database.kind == "postgresql" else sqlite.insert
        new = {name: row[name] for name in ("epoch", "number", "seen_at")}
        return make(readers).values(**row).on_conflict_do_update(index_elements=["tenant", "name"], set_=new)

    def _take_away(self, head: Head) -> None:
        with self._database.noting() as connection:
            connection.execute(delete(readers).where(readers.c.tenant == head.tenant, readers.c.name == self.name))
