from collections.abc import Iterable, Mapping
from typing import Self, final

from .prefix import Prefix, PrefixLike

__all__ = ["Observed"]

@final
class Observed:
    """Hold observed prefixes with their requests, and find their best cover.

    Args:
        units: for IPv4 and IPv6, the length of a unit: what is longer is cut to it.
        shortest: for IPv4 and IPv6, the least length of an entry, at most that of a unit.
    Threads: an object belongs to the thread that fills it.
    """
    def __new__(cls, units: tuple[int, int], shortest: tuple[int, int], /) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def requests(self) -> int:
        """All requests: of what was added; after `settle`, of what can be covered."""
    def add(self, prefixes: Iterable[Prefix], /) -> None:
        """Add prefixes without requests: what must be covered."""
    def add_mapping(self, observed: Mapping[PrefixLike, int], /) -> None:
        """Add the keys of a mapping, each with its value as its requests, which are 1 or more."""
    def add_each(self, observed: Iterable[PrefixLike], /) -> None:
        """Add each item of an iterable as one request."""
    def settle(
        self, refused: list[Prefix], excluded: list[Prefix], required: list[Prefix], most: int, /
    ) -> list[tuple[Prefix, int, Prefix, bool]]:
        """Make leaves of what was read, and the tree above them.

        Args:
            refused: disjoint `Prefix`es; no entry may lie inside one.
            excluded: disjoint `Prefix`es; no entry may touch one.
            required: disjoint `Prefix`es, which were added, too; a leaf that touches one cannot be left out.
            most: how many entries a cover has at most.
        Returns:
            What cannot be covered, as tuples: `Prefix`, requests, the bar around it, whether it is required.
        Raises:
            ValueError: a prefix would have to be cut into more than 65,536 pieces.
        """
    def solve(
        self, per_request: int, per_unit: int, budget: int, fixed_from: int = ..., /
    ) -> tuple[int, list[Prefix], list[int], int, int, int] | None:
        """Find the cover of the least cost; of these, one with the fewest entries.

        Args:
            per_request: what it costs to leave out a request; below 2**66.
            per_unit: what a unit beyond the observed costs.  No sum of costs may reach 2**126.
            budget: the most requests that are left out together in one part of the tree.
            fixed_from: leaves from this number on are not left out, but for those of `set_free`.
        Returns:
            The cost; the entries as `Prefix`es in canonical order; the numbers of the leaves that are left out, and
            their requests; the units beyond the observed, of IPv4 and of IPv6.  None if what is required does not fit.
        Cost: about n * K steps for n leaves and K entries.
        """
    def set_free(self, numbers: Iterable[int], /) -> None:
        """Let every `solve` leave out these leaves, whatever its `fixed_from` says, unless they are required."""
    def leaves_of(self, numbers: Iterable[int], /) -> list[tuple[Prefix, int]]:
        """Give leaves by their numbers: pairs of a `Prefix` and its requests."""
    def greedy(self) -> list[tuple[bool, int, Prefix, int]]:
        """Join the two entries that add the fewest units, again and again, until there are few enough.

        Returns:
            For each entry a tuple: whether it is required, its requests, its `Prefix`, its units beyond the observed.
            There are more than `most` if no two of them can be joined.
        Cost: n log n.
        """
