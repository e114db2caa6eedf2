from collections.abc import Callable
from typing import Self, final

from .packed_notes import PackedNotes

__all__ = ["Packer"]

@final
class Packer:
    """Pack notes into batches, as many as may wait.

    Args:
        size: the most notes that wait.
        shorten_key: gives the bytes of a key that is long, or no ASCII.
        name_key: gives what stands for a key, or None.
        cut_address: cuts packed addresses, or None.  Then no trail is kept.

    Attributes:
        waiting: how many notes wait.
        enough: so many should be written at once; fewer wait for others, until the writer looks.
        most_long: the most long notes that may.
    """
    @property
    def size(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def enough(self) -> int: ...
    @property
    def most_long(self) -> int: ...
    def __new__(
        cls,
        size: int,
        shorten_key: Callable[[str], bytes],
        name_key: Callable[[str], str] | None = None,
        cut_address: Callable[[bytes], bytes] | None = None,
    ) -> Self: ...
    def take(self, spent: PackedNotes | None = None, /) -> PackedNotes | None:
        """Take the oldest batch, or None.

        Args:
            spent: a batch that nobody needs any more, or None; its memory is used again.
        """
    def put(
        self,
        at: float,
        found: object,
        method: str | None,
        path: str | None,
        status: int | None,
        request_id: str | None,
        seconds: float | None,
        stopped_at: str | None,
        key: str | None,
        /,
    ) -> int:
        """Pack a note.

        Args:
            at: the moment, in seconds since 1970.
            found: a `GuardDecision`, or None.
            method, path, status, request_id, seconds, stopped_at, key: as `UsageLog.note` has them.
        Returns:
            0: it is taken.  1: and the writer should be woken.  2: it is not, because too many wait.  3: too many long
            ones do.
        Raises:
            Whatever a value raises that is none; then nothing is changed.
        """
