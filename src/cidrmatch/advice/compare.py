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
Threads: safe, keeps no state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, NoReturn

from .._core import PatriciaTrie, parse_prefix

if TYPE_CHECKING:
    from .._core import AllowList, Entry, Prefix

__all__ = ["Comparison", "compare", "difference"]


@dataclass(frozen=True, slots=True)
class Comparison:
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
        raise TypeError("a Comparison has no truth value; ask its .is_equal, or its .gained and .lost")

    def __repr__(self) -> str:
        entries = f"{len(self.added):,} added, {len(self.removed):,} removed, {len(self.relabelled):,} relabelled"
        return f"<Comparison: {len(self.gained):,} prefixes gained, {len(self.lost):,} lost; entries: {entries}>"


def compare(before: AllowList, after: AllowList) -> Comparison:
    """Compare a list with an earlier list.

    Args:
        before, after: the two lists.
    Returns:
        `Comparison`; everything in it is in canonical order.
    Cost: that of `difference` in both directions, and of a dictionary of each list's entries.

    >>> was = AllowList([("198.51.100.0/24", "Office")])
    >>> found = compare(was, AllowList([("198.51.100.0/25", "Office"), "203.0.113.5"]))
    >>> found.gained, found.lost
    ((Prefix('203.0.113.5/32'),), (Prefix('198.51.100.128/25'),))
    """
    old = {entry.prefix: entry for entry in before}
    new = {entry.prefix: entry for entry in after}
    return Comparison(
        gained=tuple(difference(after, before)),
        lost=tuple(difference(before, after)),
        added=tuple(entry for prefix, entry in new.items() if prefix not in old),
        removed=tuple(entry for prefix, entry in old.items() if prefix not in new),
        relabelled=tuple(
            (old[prefix], entry) for prefix, entry in new.items() if prefix in old and old[prefix] != entry
        ),
    )


def difference(allow: AllowList, without: AllowList) -> list[Prefix]:
    """Find the fewest prefixes with the addresses of one list that are not in another.

    Args:
        allow: the list whose addresses are given.
        without: the list whose addresses are left out.
    Returns:
        `list[Prefix]` in canonical order.  No IPv6 prefix in it lies inside ::ffff:0:0/96, because addresses in there
        are IPv4 addresses.
    Cost: some microseconds for each prefix and each piece.  If a broad prefix covers n others, each halving of it takes
    n steps.
    Source: C16; ADR 0006.

    >>> difference(AllowList(["192.0.2.0/24"]), AllowList(["192.0.2.64/26"]))
    [Prefix('192.0.2.0/26'), Prefix('192.0.2.128/25')]
    """
    holes = PatriciaTrie((prefix, None) for prefix in without.aggregate())
    return [left for prefix in allow.aggregate() for left in _left_of(prefix, holes)]


def _left_of(prefix: Prefix, holes: PatriciaTrie[None]) -> Iterator[Prefix]:
    """Halve a prefix until each piece is wholly inside or wholly outside the holes; yield the pieces outside.

    The pieces are the fewest, because a piece is halved only if it has a hole in it.
    """
    if holes.longest_match(prefix) is not None:
        return
    if not holes.covered(prefix):
        yield prefix
        return
    for network in ip_network(str(prefix)).subnets():
        half = parse_prefix(network)
        if half.family == prefix.family:  # ::ffff:0:0/96 was parsed as all of IPv4: leave it out
            yield from _left_of(half, holes)
