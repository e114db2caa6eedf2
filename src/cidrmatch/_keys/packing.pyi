from collections.abc import Callable
from typing import Any, Final, Self, final

from .._core import Entry

__all__ = ["SELECT_PACKED", "PackedNotes", "Packer"]

SELECT_PACKED: Final[str]

@final
class PackedNotes:
    """Hold some notes, packed, in the order in which they came.

    Attributes:
        count: how many notes.
        settled: how many notes they settle; a note of a loss settles as many as were lost.
        moments: those of the first and the last one, in seconds since 1970.
        kinds: the words of each kind: method, status, allowed, reason, problem, policy, step, and what a trial said.
        requests: how many of the notes are requests; the others tell of losses.
        places: each entry, as `Entry`, with the name of its list or None.
        versions: the versions of the engine's data.
        denials: the moment, the address and the reason of each denial.
    """
    @property
    def count(self) -> int: ...
    @property
    def requests(self) -> int: ...
    @property
    def settled(self) -> int: ...
    @property
    def moments(self) -> tuple[float, float]: ...
    @property
    def kinds(self) -> list[tuple[Any, ...]]: ...
    @property
    def places(self) -> list[tuple[Entry, str | None]]: ...
    @property
    def versions(self) -> list[int]: ...
    @property
    def denials(self) -> list[tuple[float, bytes | None, object]]: ...
    def __new__(cls) -> Self: ...
    def add_loss(self, words: tuple[object, ...], last: float, seconds: float, lost: int, /) -> None:
        """Append a note that says that others are lost.

        Args:
            words: those of its kind.
            last: the moment of the last loss.
            seconds: from the first loss to the last one.
            lost: how many notes.
        """
    def halves(self) -> tuple[PackedNotes, PackedNotes]:
        """Give two batches with the first and the second half of the notes, without denials."""
    def parts(
        self, last: int, kinds: list[int], entries: list[int], data: list[int], /, *, as_copy: bool
    ) -> list[tuple[int, int, int, int, bytes]]:
        """Make the rows of all notes, in pieces, one for each day.

        Args:
            last: the greatest number of the log.
            kinds, entries, data: for each number of this batch, the id in the database.
            as_copy: for COPY of PostgreSQL; else for `SELECT_PACKED` of SQLite.
        Returns:
            (day, rows, number of the last row, greatest lag, bytes) for each day.  A number is the moment in
            microseconds, or one more than the number before.
        """

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
        most_long: the most long notes that may.
    """
    @property
    def size(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def most_long(self) -> int: ...
    def __new__(
        cls,
        size: int,
        shorten_key: Callable[[str], bytes],
        name_key: Callable[[str], str] | None = None,
        cut_address: Callable[[bytes], bytes] | None = None,
    ) -> Self: ...
    def take(self) -> PackedNotes | None:
        """Take the oldest batch, or None."""
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
