"""What requests append to: a bounded queue, and an account of everything that was lost.

    requests --append--> [ note note note ... ]  --take, in order--> writer
                            at most `size`
                               | full
                               '--> drop: counted      block: the request waits, some seconds at most

One append of a `deque` is atomic, so a note takes no lock.  A drop takes one.

The account has a line for each cause, with the moments of the first and the last loss.  The writer takes the lines and
writes them as records; if that fails, it gives them back.

Cost: 0.3 microseconds a note, without what the caller builds.  Threads: safe.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final, NamedTuple, TypeAlias

from .record import LOST

__all__ = ["Buffer", "Loss", "Note"]

_AWAKE_AT: Final = 500
"""The writer is woken early when so many notes wait, so that one batch never holds the interpreter for long."""


Note: TypeAlias = "tuple[float, object, object, object, object, object, object, object, object]"
"""What a request leaves, formatted later: the moment, the decision, method, path, status, request id, seconds, the step
that ended it, and its key if there is no decision.  A plain tuple: a named one takes five times as long to make."""


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
        patience: seconds that a request waits for room; 0 drops at once.
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

    def append(self, note: Note) -> bool:
        """Append a note, or lose it; never raises.  Return whether it was taken."""
        notes = self.notes
        if len(notes) >= self.size and not self._find_room():
            self.lose(self.cause, 1, note[0], note[0])
            return False
        notes.append(note)
        if len(notes) == _AWAKE_AT:
            self.awake.set()
        return True

    def _find_room(self) -> bool:
        """Wait for room, if that is wanted."""
        self.awake.set()
        if not self.patience:
            return False
        with self._room:
            self._waiting += 1
            try:
                return self._room.wait_for(lambda: len(self.notes) < self.size, self.patience)
            finally:
                self._waiting -= 1

    def take(self, most: int) -> list[Note]:
        """Take the oldest notes."""
        notes = self.notes
        taken = [notes.popleft() for _ in range(min(most, len(notes)))]
        if self._waiting:
            with self._room:
                self._room.notify_all()
        return taken

    def lose(self, cause: str, count: int, first: float, last: float) -> None:
        """Note that notes are lost."""
        with self._room:
            self.totals[cause] += count
            self._merge(Loss(cause, count, first, last))

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
