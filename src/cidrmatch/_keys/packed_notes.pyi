from typing import Any, Final, Self, final

from .._core import Prefix

__all__ = ["SELECT_PACKED", "PackedNotes", "select_packed"]

SELECT_PACKED: Final[str]
"""The query with its parameters: the bytes, and how many rows they have."""

@final
class PackedNotes:
    """Hold some notes, packed, in the order in which they came.

    Attributes:
        count: how many notes.
        settled: how many notes they settle; a note of a loss settles as many as were lost.
        moments: those of the first and the last one, in seconds since 1970.
        kinds: the words of each kind: method, status, allowed, reason, problem, policy, step, and what a trial said.
        requests: how many of the notes are requests; the others tell of losses.
        entries: the words of each entry that decided: prefix, label, name of its list; the last two may be None.
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
    def entries(self) -> list[tuple[Prefix, str | None, str | None]]: ...
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

def select_packed(data: str, numbers: str, /) -> str:
    """Make the query of SQLite that reads packed rows.

    Args:
        data: the expression of the bytes.
        numbers: what stands behind FROM; its column `n` has the number of each row, from 0 on.
    """
