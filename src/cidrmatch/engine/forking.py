"""What a forked child begins anew: locks, and what ran in threads.

A child has a copy of its parent's memory and only the one thread that forked:

    parent   thread 1  fork -------------------------> child   thread 1
             thread 2  changes the engine, has its lock        the lock, locked, and nobody who gives it back

So whoever has a lock or a thread is remembered here, weakly, and told in the
child.  The memory itself is whole: a change is published by moving one reference.

Threads: the child has one while this runs.  Source: POSIX fork; CPython's own
locks (threading, logging) begin anew in the same way, and before ours.
"""

from __future__ import annotations

import logging
import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["BeginsAnew", "remember"]

_log = logging.getLogger(__name__)


class BeginsAnew(Protocol):
    """Something with locks, threads or open files that a child must not take over as they are."""

    def begin_anew(self) -> None:
        """Make new ones; called in the child, right after the fork."""


_remembered: WeakSet[BeginsAnew] = WeakSet()


def remember(something: BeginsAnew) -> None:
    """Tell something in each child, as long as it lives."""
    _remembered.add(something)


def _tell_all() -> None:
    for something in list(_remembered):
        try:
            something.begin_anew()
        except Exception:
            _log.exception("after a fork, %r could not begin anew", something)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tell_all)
