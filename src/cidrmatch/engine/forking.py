"""What a forked child makes again: locks, and everything that ran in threads.

A child has a copy of its parent's memory and only the one thread that forked:

    parent   thread 1  fork -------------------------> child   thread 1
             thread 2  changes the engine, has its lock        the lock is locked, and no thread releases it

So each object with a lock or a thread is remembered here, by a weak reference,
and its `begin_anew` is called in the child.  Those that start threads come last,
because their threads use the locks of the others.  The data in memory is always
valid, because a change is published by replacing one reference.

An object with files that must not be open in two processes has `before_fork`
and `after_fork`, too, which the parent calls around the fork.

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
_last: WeakSet[BeginsAnew] = WeakSet()


def remember(something: BeginsAnew, *, last: bool = False) -> None:
    """Call `begin_anew` of an object in each forked child, as long as the object lives.

    Args:
        something: the object; if it has `before_fork` and `after_fork`, the parent calls them around each fork.
        last: call it after the others, because it starts threads that use them.
    """
    (_last if last else _remembered).add(something)


def _tell(what: str) -> None:
    """Call a method of all objects that have it; an error of one does not keep it from the others."""
    for something in [*_remembered, *_last]:
        method = getattr(something, what, None)
        if method is None:
            continue
        try:
            method()
        except Exception:
            _log.exception("at a fork, %s of %r failed", what, something)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _tell("before_fork"),
        after_in_parent=lambda: _tell("after_fork"),
        after_in_child=lambda: _tell("begin_anew"),
    )
