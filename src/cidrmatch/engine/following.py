"""Following a file or another source: newer revisions are taken over, and the age of the data is watched.

    looker     looks at the file every second ---> refresh, which notes that the data is current
                 |  may hang, on a network file system or with a large file
    hurry      wakes the looker: somebody said that there is something new
    watchdog   reads a clock, nothing else ------> too long ago: every check is denied, or a warning

The age of the data counts from the last successful look, which found the same
file or took over a newer revision.  A look that finds no file, a damaged file
or an older revision is not successful.  So every problem shows as a growing
age.  With `max_age`, a limit is set: then either every request is denied, or
the log says that old data is served.

The log has a line for each newer revision, and one for each new problem.  No line has a key or an address.

Only `stop` ends a follower.  In a forked child, which has none of the parent's
threads, it starts again.

Threads: `Freshness` has a lock, held for a few instructions and never around I/O.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .._keys import Checker

__all__ = ["Follower", "Freshness", "seconds_since_boot"]

_log = logging.getLogger(__name__)


seconds_since_boot = partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Reads a clock that nobody can set; if the system has such a clock, it also runs while the machine sleeps."""


class Freshness:
    """Remember when the data of an engine was last current, and set the engine's `is_stale` accordingly.

    Args:
        checker: the engine whose `is_stale` is set.
        moment: when the engine's data was current, by `seconds_since_boot`; by default now.
    """

    def __init__(self, checker: Checker, moment: float | None = None) -> None:
        self._checker = checker
        self._current_at = seconds_since_boot() if moment is None else moment
        self._max_age = math.inf
        self._lock = threading.Lock()

    @property
    def age(self) -> float:
        """Seconds since the data was known to be current."""
        age = seconds_since_boot() - self._current_at
        return age if age > 0.0 else 0.0  # noqa: FURB136  each check asks, and a call would cost as much again

    def note(self, moment: float) -> None:
        """Note that the data was current at a moment of `seconds_since_boot`."""
        with self._lock:
            self._current_at = max(self._current_at, moment)
            if self.age <= self._max_age:  # after a look that took too long, the data is too old already
                self._checker.is_stale = False

    def limit(self, max_age: float) -> None:
        """Set how old the data may be; `math.inf` while no follower watches it."""
        with self._lock:
            self._max_age = max_age

    def judge(self, max_age: float, *, denies: bool) -> float:
        """Set `is_stale` if the data is too old; return the seconds until it is."""
        with self._lock:
            left = max_age - self.age
            if left <= 0 and denies:
                self._checker.is_stale = True
            return left

    def begin_anew(self) -> None:
        """Make a new lock, in a forked child."""
        self._lock = threading.Lock()


class Followed(Protocol):
    """What a follower looks at: an engine with a file, or a source that feeds an engine."""

    def refresh(self) -> object:
        """Look whether there is something new."""
        ...

    @property
    def revision(self) -> object:
        """The revision of the engine's data, for the log."""
        ...


class Follower:
    """Look at an engine's file again and again, and watch the age of its data.

    Args:
        followed: an engine that stands on a file, or the source of an engine.
        freshness: the `Freshness` of that engine.
        seconds: the time between two looks; with `jitter`, between half of it and all of it.
        max_age: the data is stale from this age on, in seconds; if it is None, nobody watches the age.
        when_stale: "deny" denies every check while the data is stale; "serve" goes on with the old data.
        jitter: draw the time between two looks, so that many followers do not look at one source at once.
    """

    def __init__(
        self,
        followed: Followed,
        freshness: Freshness,
        seconds: float,
        max_age: float | None,
        when_stale: str,
        *,
        jitter: bool = False,
    ) -> None:
        if isinstance(seconds, bool) or not 0 < seconds < math.inf:  # True would be a second
            raise ValueError(f"a follower looks every so many seconds, not {seconds!r}")
        if max_age is not None and (isinstance(max_age, bool) or not seconds < max_age < math.inf):
            raise ValueError(f"max_age is larger than the {seconds!r} seconds between two looks, not {max_age!r}")
        if when_stale not in ("deny", "serve"):
            raise ValueError(f"when_stale is 'deny' or 'serve', not {when_stale!r}")
        self.followed = followed
        self.freshness = freshness
        self.seconds = seconds
        self.max_age = max_age
        self.denies = when_stale == "deny"
        self.jitter = jitter
        self._is_over = threading.Event()
        self._wake = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told = ""

    def start(self) -> None:
        """Start the threads."""
        jobs: list[tuple[str, Callable[[threading.Event], None]]] = [("cidrmatch-follow", self._look)]
        if self.max_age is not None:
            self.freshness.limit(self.max_age if self.denies else math.inf)
            jobs.append(("cidrmatch-watch", self._watch))
        else:
            self.freshness.limit(math.inf)
        self._threads = [
            threading.Thread(target=job, args=(self._is_over,), name=name, daemon=True) for name, job in jobs
        ]
        for thread in reversed(self._threads):  # the watchdog first
            thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop following, and wait until the threads have ended; a stale engine stays so until a refresh succeeds.

        Args:
            timeout: the longest wait for a look that hangs, in seconds; None for as long as it takes.
        """
        was_over = self._is_over.is_set()
        self.let_go()
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(timeout)
        hangs = any(thread.is_alive() for thread in others)
        if not was_over and not hangs:  # only now, because until then a look that took too long must not count
            self.freshness.limit(math.inf)

    def let_go(self) -> None:
        """Stop soon, without waiting for a look that still runs.  The next follower sets how old the data may be."""
        self._is_over.set()
        self._wake.set()

    def hurry(self) -> None:
        """Look at once, because somebody said that there is something new.  Threads: any thread may call this."""
        self._wake.set()

    def begin_anew(self) -> None:
        """Start again, in a forked child."""
        if self._is_over.is_set():
            return
        self._is_over, self._wake = threading.Event(), threading.Event()
        try:
            self.start()
        except BaseException:
            if self.max_age is not None:
                self.freshness.judge(-math.inf, denies=self.denies)
            raise

    # In threads of their own.

    def _look(self, is_over: threading.Event) -> None:
        wait = 0.0
        while True:
            try:
                self._wake.wait(wait)
                self._wake.clear()  # before all else, so that no call of `hurry` or `let_go` is lost
                if is_over.is_set():
                    return
                share = random.uniform(0.5, 1.0) if self.jitter else 1.0  # noqa: S311  nothing secret
                wait = self.seconds * share
                self._refresh()
                self._told = ""
            except BaseException as error:
                with suppress(BaseException):
                    self._tell(error)

    def _refresh(self) -> None:
        """Look once; log a newer revision."""
        before = self.followed.revision
        self.followed.refresh()
        after = self.followed.revision
        if after != before:
            _log.info("the data changed from %s to %s", before, after)

    def _tell(self, error: BaseException) -> None:
        """Log what is wrong with the source; the same problem is logged once."""
        said = f"{type(error).__name__}: {error}"
        if said != self._told:
            self._told = said
            _log.warning("the data stays at %s: %s", self.followed.revision, error or type(error).__name__)

    def _watch(self, is_over: threading.Event) -> None:
        max_age = math.inf if self.max_age is None else self.max_age
        wait, was_late = 0.0, False
        while True:
            with suppress(BaseException):
                if is_over.wait(wait):
                    return
                left = self.freshness.judge(max_age, denies=self.denies)
                wait = self.seconds if left <= 0 else min(left, self.seconds)
                is_late, was_late = left <= 0 and not was_late, left <= 0
                if is_late:  # in a thread of its own, because a slow log must not stop the watch
                    threading.Thread(target=self._tell_age, name="cidrmatch-tell", daemon=True).start()

    def _tell_age(self) -> None:
        what = "every check is denied" if self.denies else "it is served all the same"
        with suppress(BaseException):
            self._log_age(what)

    def _log_age(self, what: str) -> None:
        _log.warning(
            "the data (%s) was last known to be current %.1f seconds ago, more than %s: %s",
            self.followed.revision, self.freshness.age, self.max_age, what,
        )  # fmt: skip
