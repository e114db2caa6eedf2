from collections.abc import Collection, Iterable, Sequence
from typing import final

from .prefix import Entry, EntryLike, Prefix

__all__ = ["Sieve"]

@final
class Sieve:
    """Sift a list.

    Args:
        entries: a sequence of entries.
        families: the families that are accepted.
        has_addresses, has_ranges: whether entries without and with a slash are accepted.
        least4, least6: the shortest length that is accepted; 0 for any.
        named: disjoint prefixes; an entry inside one of them remains.
        most_label: the longest label that is accepted; 0 for none.
    """
    @property
    def is_whole(self) -> bool: ...
    def __new__(
        cls,
        entries: Sequence[EntryLike],
        *,
        families: Collection[int],
        has_addresses: bool,
        has_ranges: bool,
        least4: int,
        least6: int,
        named: list[Prefix],
        most_label: int,
    ) -> Sieve: ...
    def remaining(self) -> list[int]:
        """Give the numbers of the entries that remain, in order."""
    def covered(self, refused: Iterable[int], /) -> list[tuple[int, int]]:
        """Give the entries that a broader entry covers, each with the nearest one, as pairs of numbers.

        Args:
            refused: the numbers of the entries that count for nothing.
        """
    def entries(self) -> tuple[Entry, ...]:
        """Give every prefix once, as the first `Entry` that has it, in the order of the list."""
    def lengths(self) -> dict[int, list[int]]:
        """Count the prefixes of each family and length, each prefix once."""
    def ranges(self) -> list[tuple[int, int, int]]:
        """Give the disjoint ranges of addresses that all entries together have: family, first and last as numbers."""
