"""What requests append to: a bounded queue of packed notes, and an account of everything that was lost.

    requests --put--> [ batch | batch | open batch ]  --take, in order--> writer
                            at most `size` notes
                               | full
                               '--> drop: counted      block: the request waits, some seconds at most

`Packer` of the compiled floor packs a note in the thread of the request, and takes no lock.  A drop takes one.

A client chooses the length of a path.  So notes with long texts have a bound of their own: one of them takes as much
memory as ten others.

The account has a line for each cause, with the moments of the first and the last loss.  The writer takes the lines and
writes them as records.

Cost: a microsecond a note.  Threads: safe.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from .record import LOST

if TYPE_CHECKING:
    from ..._keys import PackedNotes, Packer

__all__ = ["Buffer", "Loss"]

_TAKEN, _AWAKE, _FULL = range(3)
"""What `Packer.put` answers; 3: too many long ones wait."""


class Loss(NamedTuple):
    """So many notes were lost, for one cause, between two moments."""

    cause: str
    notes: int
    first: float
    last: float


class Buffer:
    """Buffer(packer, patience): the queue between requests and the writer.

    Args:
        packer: a `Packer`, which has the notes that wait.
        patience: seconds that a request waits for room; 0 drops at once.  After one has waited in vain, the others drop
            at once until the writer takes notes again: in one event loop they would wait one after the other.
    """

    def __init__(self, packer: Packer, patience: float) -> None:
        self.patience = patience
        self.cause = "full"
        """Why the queue is full now; the writer says so."""
        self.awake = threading.Event()
        self._packer = packer
        self.put = packer.put
        """Pack a note; what it answers is for `heed`, unless it is 0."""
        self._room = threading.Condition()
        self._losses: dict[str, Loss] = {}
        self.totals = dict.fromkeys(LOST, 0)
        self._waiting = 0
        self._has_given_up = False

    @property
    def waiting(self) -> int:
        """How many notes wait."""
        return self._packer.waiting

    @property
    def has_enough(self) -> bool:
        """Whether so many notes wait that they should be written at once."""
        return self._packer.waiting >= self._packer.enough

    def append(self, *note: Any) -> bool:
        """Append a note, or lose it; return whether it was taken.

        Args:
            note: the moment, the decision, method, path, status, request id, seconds, the step that ended it, and its
                key if there is no decision.
        Raises:
            Whatever `Packer.put` raises for a value that is none.
        """
        return self.heed(self.put(*note), note)

    def heed(self, answer: int, note: tuple[Any, ...]) -> bool:
        """Do what the answer to a note asks for; return whether the note was taken."""
        while answer == _FULL and self._find_room():
            answer = self.put(*note)
        if answer == _AWAKE:
            self.awake.set()
        if answer <= _AWAKE:
            return True
        self.lose(self.cause if answer == _FULL else "full", 1, note[0], note[0])
        return False

    def _find_room(self) -> bool:
        """Wait for room, if that is wanted."""
        self.awake.set()
        if not self.patience or self._has_given_up:
            return False
        with self._room:
            self._waiting += 1
            try:
                has_room = self._room.wait_for(lambda: self._packer.waiting < self._packer.size, self.patience)
                self._has_given_up = not has_room
                return has_room
            finally:
                self._waiting -= 1

    def take(self, spent: PackedNotes | None = None) -> PackedNotes | None:
        """Take the oldest batch, or None; the memory of a spent one is used again."""
        taken = self._packer.take(spent)
        self._has_given_up = False
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

    def _merge(self, loss: Loss) -> None:
        before = self._losses.get(loss.cause)
        if before is not None:
            first, last = min(before.first, loss.first), max(before.last, loss.last)
            loss = Loss(loss.cause, before.notes + loss.notes, first, last)
        self._losses[loss.cause] = loss
