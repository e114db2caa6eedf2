"""What a forked child makes again: locks, and everything that ran in threads.

A child has a copy of its parent's memory and only the one thread that forked:

    parent   thread 1  fork -------------------------> child   thread 1
             thread 2  changes the engine, has its lock        the lock is locked, and no thread releases it

So each object with a lock or a thread is remembered here, by a weak reference,
and its `begin_anew` is called in the child.  The data in memory is always
valid, because a change is published by replacing one reference.

Threads: the child has one thread while this runs.  Source: POSIX fork.  CPython
makes its own locks (threading, logging) again in the same way, before this.
"""

from __future__ import annotations

import logging
import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["BeginsAnew", "remember"]

_log = logging.getLogger(__name__)


class BeginsAnew(Protocol):
    """An object with locks, threads or open files that a child must not use as they are."""

    def begin_anew(self) -> None:
        """Make new ones; called in the child, right after the fork."""


_remembered: WeakSet[BeginsAnew] = WeakSet()


def remember(something: BeginsAnew) -> None:
    """Call `begin_anew` of an object in each forked child, as long as the object lives."""
    _remembered.add(something)


def _tell_all() -> None:
    for something in list(_remembered):
        try:
            something.begin_anew()
        except Exception:
            _log.exception("after a fork, %r could not begin anew", something)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_all)
