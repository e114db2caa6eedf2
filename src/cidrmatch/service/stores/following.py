"""`StoreFollower`: an engine that is kept in step with a store, in each process that answers requests.

    with StoreFollower(store) as follower:          the first data is there
        follower.engine.check("key_1", address)     no database is asked
        follower.wait_until(change.revision)        from now on, by this change or a later one

    every two seconds, or when nudged:      a look, in one transaction
        head is the one we have             the data is current
        head is newer, of our history       what changed since      --apply-->    engine
        all else                            everything              --replace-->  engine

All else: there is no data yet, the policy is another, too much has changed, or the history is not ours, because a
backup was put back.  The last one is logged.

What is wrong with the database or with a row leaves the engine as it is, and its data grows older.  Data that is older
than `max_age` denies every check, or is served with a warning.  So is it known, in each process and at each moment: the
answers are those of at most ten seconds ago, or nobody gets in.  An engine that has no data yet denies everything.

The age counts from the moment before the transaction began, by a clock that nobody sets.

A grant that ends needs nothing: its entries end by themselves.

Threads: one looks, one watches the age, one reports (reporting.py), and each nudge has one.  In a forked child all of
them start again.  Cost: a look at unchanged data takes some milliseconds; a change, that of its keys and lists.
Source: B11, C19.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...engine.following import Follower, seconds_since_boot
from ...engine.forking import remember
from ...errors import Conflict, EngineError, quote
from .errors import NotYet, StoreError, StoreUnavailable
from .grants import PREFIX
from .nudges import Nudge, nudges_for
from .reporting import Reporter
from .waiting import Waiting

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ..._keys import Revision
    from ...engine.engine import Engine
    from .reading import Head, Reading
    from .store import Store

__all__ = ["StoreFollower"]

_log = logging.getLogger(__name__)
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


class StoreFollower:
    """StoreFollower(store): keep an engine in step with a store.

    Args:
        store: where the data is.
        every: seconds between two looks at most; the time is drawn anew for each look, from half of it to all of it.
        max_age: the data is stale from this age on, in seconds.
        when_stale: "deny" denies every check while the data is stale; "serve" goes on, with a warning in the log.
        nudges: what hurries the follower; "auto" for those that the database has by itself, () for none.
        name: under which the follower reports its revision; None for machine, process and tenant.
    Attributes:
        engine: answers checks; it takes no changes of its own.  Until the first data it denies everything.
    Raises:
        ValueError: an argument is out of range.

    >>> import tempfile
    >>> from cidrmatch import presets
    >>> from cidrmatch.service.stores.store import Store
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = Store.create(f"sqlite:///{folder.name}/keys.db", policy=presets.bitbybit())
    >>> with StoreFollower(store) as follower:
    ...     with store.change() as change:
    ...         report = change.put_key("key_1", ["203.0.113.0/24"])
    ...     follower.wait_until(change.revision)
    ...     follower.engine.allows("key_1", "203.0.113.7")
    True
    >>> store.close(); folder.cleanup()
    """

    def __init__(
        self,
        store: Store,
        *,
        every: float = 2.0,
        max_age: float = 10.0,
        when_stale: str = "deny",
        nudges: Iterable[Nudge] | str = "auto",
        name: str | None = None,
    ) -> None:
        if isinstance(nudges, str) and nudges != "auto":
            raise ValueError(f'nudges are "auto" or some nudges, not {quote(nudges)}')
        self.store = store
        self.engine: Engine = store.new_engine()
        self.engine.is_stale = True  # until there is data
        self._feed = self.engine.feed()
        self._says = (every, max_age, when_stale)
        self._follower = self._new_follower()
        self._nudges = nudges_for(store.database) if isinstance(nudges, str) else list(nudges)
        self._reporter = Reporter(store.database, store.tenant, store.now, name)
        self._head: Head | None = None  # of the data that the engine has
        self._error: Exception | None = None
        self._is_running = self._is_current = False
        self._counts = {"looks": 0, "full_loads": 0, "deltas": 0}
        self._make()
        remember(self, last=True)

    def _new_follower(self) -> Follower:
        return Follower(self, self._feed.freshness, *self._says, jitter=True)

    def _make(self) -> None:
        self._looking = threading.Lock()  # held during a look
        self._waiting = Waiting()

    # Start and stop.

    def start(self, timeout: float | None = _START_SECONDS) -> Self:
        """Start following, and wait for the first data.

        Args:
            timeout: how long to wait for it; None: not at all, and the engine denies everything until it is there.
        Raises:
            StoreError: there is no such store or tenant, or a row is spoilt.  StoreUnavailable: no data in this time.
            In both cases the follower is stopped.
        """
        self._begin()
        try:
            if timeout is None or (self._waiting.wait(self._is_decided, timeout) and self._is_current):
                return self
        except BaseException:
            self.stop()
            raise
        self.stop()
        raise self._reason(timeout)

    async def start_async(self, timeout: float | None = _START_SECONDS) -> Self:
        """As `start`, and the event loop goes on meanwhile."""
        self._begin()
        try:
            if timeout is None or (await self._waiting.wait_async(self._is_decided, timeout) and self._is_current):
                return self
        except BaseException:
            await self.stop_async()
            raise
        await self.stop_async()
        raise self._reason(timeout)

    def _begin(self) -> None:
        if self._is_running:
            raise StoreError("this follower was started already")
        self._is_running, self._is_current, self._error = True, False, None
        self._follower = self._new_follower()
        self._follower.start()
        self._reporter.start()
        for nudge in self._nudges:
            nudge.start(self._follower.hurry, self.store.tenant)

    def _is_decided(self) -> bool:
        """Whether there is data, or an error that no waiting mends."""
        if self._is_current:
            return not self.engine.is_stale
        return self._error is not None and not isinstance(self._error, StoreUnavailable)

    def _reason(self, timeout: float) -> Exception:
        return self._error or StoreUnavailable(f"there was no data within {timeout} seconds")

    def stop(self) -> None:
        """Stop following.  The engine goes on answering by its last data, and nobody watches the age of it."""
        self._is_running = False
        for nudge in self._nudges:
            nudge.stop()
        self._follower.stop(_STOP_SECONDS)
        self._reporter.stop()
        self._waiting.tell()

    async def stop_async(self) -> None:
        """As `stop`, and the event loop goes on meanwhile."""
        await asyncio.to_thread(self.stop)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await self.start_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop_async()

    # Looking.

    def refresh(self) -> bool:
        """Look once; return whether there was anything new.

        Raises:
            StoreError: the database does not answer, or a row is spoilt.  The engine is as it was.
        """
        with self._looking:
            try:
                is_new = self._look()
            except Exception as error:
                self._error = error
                self._waiting.tell()
                raise
            self._is_current, self._error = True, None
        if self._feed.freshness.age > self._follower.seconds:  # it took long; now look at what has come since
            self._follower.hurry()
        self._waiting.tell()
        return is_new

    def _look(self) -> bool:
        self._counts["looks"] += 1
        moment, last = seconds_since_boot(), self._head
        with self.store.look(last) as (head, reading):
            if last == head:
                reading.check_columns()
                self._feed.note(moment)
                return False
            if last is None or not self._catch_up(head, reading, last, moment):
                self._take_everything(head, reading, moment)
        self._head = head
        self._reporter.note(head)
        return True

    def _catch_up(self, head: Head, reading: Reading, last: Head, moment: float) -> bool:
        """Take over what has changed; return False if everything must be read."""
        if (head.tenant, head.ids, head.rules.policy) != (last.tenant, last.ids, last.rules.policy):
            return False
        changed = reading.changed_since(head, last.revision, last.mark)
        if changed is None or (head.rules != last.rules and not changed.rules):
            return False
        keys, lists = reading.some(head, changed)
        old = {name for name in self.engine.view.lists if name.startswith(PREFIX)}
        if old:
            lists |= dict.fromkeys(old - reading.lists_of_grants(head))
        try:
            self._feed.apply(head.revision, head.rules, keys, lists, moment=moment)
        except (EngineError, ValueError, TypeError) as error:
            _log.info("everything is read, because a change does not fit the data: %s", error)
            return False
        self._counts["deltas"] += 1
        return True

    def _take_everything(self, head: Head, reading: Reading, moment: float) -> None:
        last = self._head
        if last is not None and not _is_continued(head, reading, last):
            _log.warning(
                "the history is another one: the store is at %s, and this engine was at %s; everything is read anew",
                head.revision, last.revision,
            )  # fmt: skip
        keys, lists = reading.everything(head)
        self._feed.replace(head.revision, head.rules, keys, lists, moment=moment)
        self._counts["full_loads"] += 1

    # Asking.

    @property
    def revision(self) -> Revision | None:
        """The revision by which the engine answers; None before the first data."""
        return self._feed.revision

    @property
    def age(self) -> float | None:
        """Seconds since the data was known to be current; None before the first data."""
        return None if self._feed.revision is None else self._feed.freshness.age

    def health(self) -> dict[str, Any]:
        """Tell how it is, as plain values."""
        revision, age = self.revision, self.age
        return {
            "is_running": self._is_running,
            "revision": None if revision is None else {"epoch": f"{revision.epoch:x}", "number": revision.generation},
            "age": None if age is None else round(age, 3),
            "max_age": self._follower.max_age,
            "is_stale": self.engine.is_stale,
            "error": None if self._error is None else f"{type(self._error).__name__}: {self._error}",
            "nudges": [nudge.health() for nudge in self._nudges],
            **self._counts,
        }

    def wait_until(self, revision: Revision, timeout: float = 10.0, *, hurry: bool = True) -> None:
        """Wait until the engine answers by a revision, or a later one of the same history.

        Args:
            revision: such as that of a change that was just made.
            timeout: in seconds.
            hurry: whether the follower looks at once.
        Raises:
            Conflict: the engine answers by another history, which began later.
            NotYet: it does not after this time, or the follower was stopped.
        """
        self._hurry_for(revision, hurry)
        if not self._waiting.wait(lambda: self._has(revision) or not self._is_running, timeout):
            raise self._not_yet(revision, timeout)
        if not self._has(revision):
            raise NotYet(f"the follower is not running, and its engine is at {self.revision}")

    async def wait_until_async(self, revision: Revision, timeout: float = 10.0, *, hurry: bool = True) -> None:
        """As `wait_until`, and the event loop goes on meanwhile."""
        self._hurry_for(revision, hurry)
        if not await self._waiting.wait_async(lambda: self._has(revision) or not self._is_running, timeout):
            raise self._not_yet(revision, timeout)
        if not self._has(revision):
            raise NotYet(f"the follower is not running, and its engine is at {self.revision}")

    def _hurry_for(self, revision: Revision, hurry: bool) -> None:
        if hurry and not self._has(revision):
            self._follower.hurry()

    def _has(self, revision: Revision) -> bool:
        mine = self.revision
        if mine is not None and mine.epoch > revision.epoch:
            raise Conflict(f"the engine answers by {mine}, and {revision} is of an older history")
        return mine is not None and mine.epoch == revision.epoch and mine.generation >= revision.generation

    def _not_yet(self, revision: Revision, timeout: float) -> NotYet:
        said = "" if self._error is None else f"; the last look failed: {self._error}"
        return NotYet(f"after {timeout} seconds the engine is at {self.revision}, not at {revision}{said}")

    # At a fork.

    def before_fork(self) -> None:
        """Close what must not be open in two processes."""
        for nudge in self._nudges:
            nudge.before_fork()

    def after_fork(self) -> None:
        """Open it again."""
        for nudge in self._nudges:
            nudge.after_fork()

    def begin_anew(self) -> None:
        """Follow again, in a forked child."""
        self._make()
        for nudge in self._nudges:
            nudge.begin_anew()
        self._reporter.begin_anew()
        if self._is_running:
            self._follower.begin_anew()

    def __repr__(self) -> str:
        return f"<StoreFollower of {self.store!r} at {self.revision}>"


def _is_continued(head: Head, reading: Reading, last: Head) -> bool:
    """Whether the history of the store goes on where the engine stands."""
    is_later = head.revision > last.revision and head.revision.epoch == last.revision.epoch
    is_known = last.revision.generation == 0 or reading.has_commit(head, last.revision, last.mark)
    return is_later and head.tenant == last.tenant and is_known
