"""Carrying a snapshot over a shelf: one machine puts it there, all others take it from there.

    store --> file and heartbeat (copying.py) --Putter--> bucket --Taker--> file and heartbeat --> workers
                                  beat: (moment, R)       pointer           moment = now - age of the pointer
                                                          current_at

How old the data is travels all the way.  A moment of the one machine becomes a time of day in the pointer.  The other
machine turns that into a moment of its own.  If the putter, the bucket or the taker is dead, no newer moment arrives,
and the workers of the taken file deny after their `max_age`.

A shelf that does not answer disturbs nobody but who waits for it: the putter has a thread of its own, and what goes
wrong is told once and tried again.

Threads: each step is called by one thread; `Putter.note` by any.
Cost: the putter reads and writes a pointer every two seconds, the taker reads one.  Source: C19.
"""

from __future__ import annotations

import logging
import random
import threading
from typing import TYPE_CHECKING, Final

from ...engine.following import seconds_since_boot
from ...engine.heartbeat import expect_heartbeat, write_heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..._keys import Revision
    from .shipping import Pointer, Shelf

__all__ = ["Putter", "Taker"]

_log = logging.getLogger(__name__)
_EVERY: Final = 2.0
_KEEP_SECONDS: Final = 3_600.0
"""An object that the pointer names no more is kept for so long: a slow machine may still be taking it."""


class _Steps:
    """Make a step again and again; what goes wrong is logged once, and the next step tries again."""

    what = ""

    def __init__(self) -> None:
        self._told = ""

    def step(self) -> None:
        raise NotImplementedError

    def try_step(self) -> bool:
        """Make a step; return whether it went well."""
        try:
            self.step()
        except Exception as error:  # a file system raises whatever its library does
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            if said != self._told:
                self._told = said
                _log.warning("%s: %s", self.what, said)
            return False
        self._told = ""
        return True


class Putter(_Steps):
    """Put a snapshot on a shelf when it is new, and otherwise say anew how old it is.

    Args:
        shelf: where.
        path: of the snapshot, which a `SnapshotCopy` keeps in step with its store.
    """

    what = "the snapshot is not put on its shelf"

    def __init__(self, shelf: Shelf, path: str) -> None:
        super().__init__()
        self._shelf = shelf
        self._path = path
        self._noted: tuple[float, Revision] | None = None
        self._news = threading.Event()
        self._pointer: Pointer | None = None
        self._put: list[tuple[float, str]] = []  # objects of this putter that it replaced, and when

    def note(self, moment: float, revision: Revision) -> None:
        """Note that the file is of a revision, and that its data was current at a moment of `seconds_since_boot`."""
        is_new = self._noted is None or self._noted[1] != revision
        self._noted = (moment, revision)
        if is_new:
            self._news.set()

    def step(self) -> None:
        """Put the file, or renew its pointer.

        Raises:
            StoreError, SnapshotError, OSError: see `Shelf.put`; and whatever the library of a file system raises.
        """
        if self._noted is None:
            return
        (moment, revision), before, pointer = self._noted, self._pointer, None
        if before is not None and before.revision == revision:
            pointer = self._shelf.renew(before, age=seconds_since_boot() - moment)
        if pointer is None:
            pointer = self._shelf.put(self._path, age=seconds_since_boot() - moment, only=revision)
        self._pointer = pointer
        if before is not None and before.name != pointer.name:
            self._put.append((seconds_since_boot(), before.name))
        self._remove_old()

    def _remove_old(self) -> None:
        while self._put and seconds_since_boot() - self._put[0][0] > _KEEP_SECONDS:
            self._shelf.remove(self._put.pop(0)[1])

    def run(self, is_over: threading.Event) -> None:
        """Make steps until the event is set: at once for a new revision, otherwise every two seconds."""
        while not is_over.is_set():
            self._news.wait(_EVERY * random.uniform(0.75, 1.0))  # noqa: S311  nothing secret
            self._news.clear()
            if not is_over.is_set() and not self.try_step():
                is_over.wait(_EVERY / 2)

    def hurry(self) -> None:
        """End the wait for the next step."""
        self._news.set()


class Taker(_Steps):
    """Take the latest snapshot from a shelf, and say beside it when its data was current.

    Args:
        shelf: from where.
        path: of the local file, which workers follow.
        tell: called with each revision that was taken.
    """

    what = "the snapshot is as old as it was"

    def __init__(self, shelf: Shelf, path: str, tell: Callable[[Revision], None]) -> None:
        super().__init__()
        self._shelf = shelf
        self._path = path
        self._tell = tell
        self._last: Pointer | None = None

    def step(self) -> None:
        """Look at the pointer; take its object if that is new.

        A pointer that did not change proves nothing new, so the heartbeat stays.  A clock that was set back in the
        meantime cannot make old data young.

        Raises:
            StoreError, SnapshotError, OSError: see `Shelf.take`; and whatever the library of a file system raises.
                The file and its heartbeat are as they were.
        """
        pointer = self._shelf.pointer()
        if pointer is not None:
            expect_heartbeat(self._path, pointer.revision)
        pointer, is_new = self._shelf.take(self._path)
        if is_new or pointer != self._last:
            moment = seconds_since_boot() - self._shelf.age_of(pointer)  # in this order: never too young
            write_heartbeat(self._path, moment, pointer.revision)
        self._last = pointer
        if is_new:
            self._tell(pointer.revision)

    def run(self, is_over: threading.Event, seconds: float) -> None:
        """Make steps until the event is set, with waits between half of the seconds and all of them."""
        while not is_over.wait(seconds * random.uniform(0.5, 1.0)):  # noqa: S311  nothing secret
            self.try_step()
