"""Two lists compared: which addresses one lets in and the other does not, and which entries differ.

    before      198.51.100.0/24 "Office"       203.0.113.5
    after       198.51.100.0/25 "Office"       203.0.113.5 "Gate"       203.0.113.4

    gained      203.0.113.4/32                 addresses that only `after` lets in
    lost        198.51.100.128/25              addresses that only `before` lets in
    added       198.51.100.0/25, 203.0.113.4   entries whose prefix is only in `after`
    removed     198.51.100.0/24                entries whose prefix is only in `before`
    relabelled  203.0.113.5, then "Gate"       the same prefix with another label

Addresses and entries are compared separately, because different entries can let in the same addresses.  For example,
the two halves of a prefix let in the same addresses as the whole prefix.

The lists here are `AllowList`s, so each entry allows, and counts at all times.  For entries with a condition, or for a
key with several lists, use `explain` and `lint`.
Cost: a pass over both lists, and an object for each difference.
Threads: safe, keeps no state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .._core import changes

if TYPE_CHECKING:
    from .._core import AllowList, Entry, Prefix

__all__ = ["ListDiff", "diff"]


@dataclass(frozen=True, slots=True)
class ListDiff:
    """Say how a list differs from an earlier list.

    Attributes:
        gained: the addresses that only the later list lets in, as the fewest prefixes.
        lost: the addresses that only the earlier list lets in, as the fewest prefixes.
        added: the entries whose prefix is only in the later list.
        removed: the entries whose prefix is only in the earlier list.
        relabelled: pairs of entries, before and after, with the same prefix and different labels.
    """

    gained: tuple[Prefix, ...]
    lost: tuple[Prefix, ...]
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    relabelled: tuple[tuple[Entry, Entry], ...]

    @property
    def is_equal(self) -> bool:
        """Whether both lists have the same entries, labels included."""
        return not (self.added or self.removed or self.relabelled)

    def __bool__(self) -> NoReturn:
        raise TypeError("a ListDiff has no truth value; ask its .is_equal, or its .gained and .lost")

    def __repr__(self) -> str:
        entries = f"{len(self.added):,} added, {len(self.removed):,} removed, {len(self.relabelled):,} relabelled"
        return f"<ListDiff: {len(self.gained):,} prefixes gained, {len(self.lost):,} lost; entries: {entries}>"


def diff(before: AllowList, after: AllowList) -> ListDiff:
    """Tell how a list differs from an earlier list: who gets in, who is shut out, and which entries differ.

    Args:
        before, after: the two lists.
    Returns:
        `ListDiff`; everything in it is in canonical order.  No IPv6 prefix that is gained or lost lies inside
        ::ffff:0:0/96, because addresses in there are IPv4 addresses.
    Cost: that of `after - before` and `before - after`, and a pass over the entries of both.
    Source: C16; ADR 0006.

    >>> was = AllowList([("198.51.100.0/24", "Office")])
    >>> found = diff(was, AllowList([("198.51.100.0/25", "Office"), "203.0.113.5"]))
    >>> found.gained, found.lost
    ((Prefix('203.0.113.5/32'),), (Prefix('198.51.100.128/25'),))
    """
    added, removed, relabelled = changes(before, after)
    return ListDiff(
        gained=tuple((after - before).aggregate()),
        lost=tuple((before - after).aggregate()),
        added=tuple(added),
        removed=tuple(removed),
        relabelled=tuple(relabelled),
    )
