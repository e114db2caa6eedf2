"""What requests append to: a bounded queue, and an account of everything that was lost.

    requests --append--> [ note note note ... ]  --take, in order--> writer
                            at most `size`
                               | full
                               '--> drop: counted      block: the request waits, some seconds at most

One append of a `deque` is atomic, so a note takes no lock.  A drop takes one.

A client chooses the length of a path, and of a key that nobody knows.  So notes with long texts have a bound of their
own: one of them takes as much memory as a hundred others.

The account has a line for each cause, with the moments of the first and the last loss.  The writer takes the lines and
writes them as records; if that fails, it gives them back.

Cost: 0.5 microseconds a note, without what the caller builds.  Threads: safe.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Final, NamedTuple, TypeAlias

from .record import LOST

__all__ = ["Buffer", "Loss", "Note"]

_AWAKE_AT: Final = 500
"""The writer is woken early when so many notes wait, so that one batch never holds the interpreter for long."""


Note: TypeAlias = "tuple[float, object, object, object, object, object, object, object, object]"
"""What a request leaves, formatted later: the moment, the decision, method, path, status, request id, seconds, the step
that ended it, and its key if there is no decision.  A plain tuple: a named one takes five times as long to make."""

_LONG: Final = 2_000
"""A note with more characters than this is a long one."""
_LONG_SHARE: Final = 100
"""One of so many notes that wait may be long."""


def _is_long(note: Note) -> bool:
    """Whether what a client wrote makes this note a long one; also if nobody can tell."""
    found: Any = note[1]
    path, request_id, key = note[3], note[5], note[8]
    size = len(path) if type(path) is str else 0
    try:
        if found is not None:
            key, trail = found.key, found.client[2]
            if trail:
                size += len(trail[-1])  # a long element ends the search
    except Exception:  # a host's own strategy gave something else
        return True
    for text in (request_id, key):
        if type(text) is str:
            size += len(text)
    return size > _LONG


class Loss(NamedTuple):
    """So many notes were lost, for one cause, between two moments."""

    cause: str
    notes: int
    first: float
    last: float


class Buffer:
    """Buffer(size, patience): the queue between requests and the writer.

    Args:
        size: the most notes that wait.
        patience: seconds that a request waits for room; 0 drops at once.  After one has waited in vain, the others drop
            at once until the writer takes notes again: in one event loop they would wait one after the other.
    """

    def __init__(self, size: int, patience: float) -> None:
        self.size = size
        self.patience = patience
        self.cause = "full"
        """Why the queue is full now; the writer says so."""
        self.awake = threading.Event()
        self.notes: deque[Note] = deque()
        self._room = threading.Condition()
        self._losses: dict[str, Loss] = {}
        self.totals = dict.fromkeys(LOST, 0)
        self._waiting = 0
        self._has_given_up = False
        self._long = 0
        self.most_long = size // _LONG_SHARE + 1
        """The most long notes that wait."""

    def append(self, note: Note) -> bool:
        """Append a note, or lose it; never raises.  Return whether it was taken."""
        notes = self.notes
        if len(notes) >= self.size and not self._find_room():
            self.lose(self.cause, 1, note[0], note[0])
            return False
        if _is_long(note) and not self._take_long():
            self.lose("full", 1, note[0], note[0])
            return False
        notes.append(note)
        if len(notes) == _AWAKE_AT:
            self.awake.set()
        return True

    def _find_room(self) -> bool:
        """Wait for room, if that is wanted."""
        self.awake.set()
        if not self.patience or self._has_given_up:
            return False
        with self._room:
            self._waiting += 1
            try:
                has_room = self._room.wait_for(lambda: len(self.notes) < self.size, self.patience)
                self._has_given_up = not has_room
                return has_room
            finally:
                self._waiting -= 1

    def _take_long(self) -> bool:
        """Count one more long note; return whether there is room for it."""
        with self._room:
            if self._long >= self.most_long:
                return False
            self._long += 1
            return True

    def take(self, most: int) -> list[Note]:
        """Take the oldest notes."""
        notes = self.notes
        taken = [notes.popleft() for _ in range(min(most, len(notes)))]
        self._has_given_up = False
        if self._long:
            with self._room:
                self._long -= sum(map(_is_long, taken))
        if self._waiting:
            with self._room:
                self._room.notify_all()
        return taken

    def lose(self, cause: str, count: int, first: float, last: float) -> None:
        """Note that notes are lost."""
        with self._room:
            self.totals[cause] += count
            self._merge(Loss(cause, count, first, last))

    @property
    def untold(self) -> int:
        """How many notes were lost, and are not written as such."""
        with self._room:
            return sum(loss.notes for loss in self._losses.values())

    def take_losses(self) -> list[Loss]:
        """Take what was lost since the last call."""
        with self._room:
            losses, self._losses = self._losses, {}
        return list(losses.values())

    def give_back(self, losses: list[Loss]) -> None:
        """Take back losses that could not be written."""
        with self._room:
            for loss in losses:
                self._merge(loss)

    def _merge(self, loss: Loss) -> None:
        before = self._losses.get(loss.cause)
        if before is not None:
            first, last = min(before.first, loss.first), max(before.last, loss.last)
            loss = Loss(loss.cause, before.notes + loss.notes, first, last)
        self._losses[loss.cause] = loss

    def lose_all(self, cause: str) -> int:
        """Lose everything that waits; return how many notes."""
        taken = self.take(len(self.notes))
        if taken:
            self.lose(cause, len(taken), taken[0][0], time.time())
        return len(taken)
