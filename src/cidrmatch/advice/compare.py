"""Two lists compared: which addresses one lets in and the other does not, and which entries differ.

    before      198.51.100.0/24 "Office"       203.0.113.5
    after       198.51.100.0/25 "Office"       203.0.113.5 "Gate"       203.0.113.4

    gained      203.0.113.4/32                 addresses that only `after` lets in
    lost        198.51.100.128/25              addresses that only `before` lets in
    added       198.51.100.0/25, 203.0.113.4   entries whose prefix is only in `after`
    removed     198.51.100.0/24                entries whose prefix is only in `before`
    relabelled  203.0.113.5, then "Gate"       the same prefix with another label

Addresses and entries are two questions.  Two halves of a prefix and the whole
prefix are different entries, and let in the same addresses.

Lists are `AllowList`s here, so every entry allows and counts at all times.
Entries with a condition, and what an engine makes of several lists, are for
`explain` and `lint`.
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
    """Say how a list differs from the one before it.

    Attributes:
        gained: the fewest prefixes of the addresses that are let in and were not.
        lost: the fewest prefixes of the addresses that were let in and are not.
        added: the entries whose prefix is new.
        removed: the entries whose prefix is gone.
        relabelled: pairs of entries, before and after, of one prefix with two labels.
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
    """Compare a list with the one that it was before.

    Args:
        before, after: the two lists.
    Returns:
        `Comparison`; all that it holds is in canonical order.
    Cost: that of `difference` both ways, and a dictionary of each list's entries.

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
        allow: the list whose addresses are looked for.
        without: the list whose addresses are left out.
    Returns:
        `list[Prefix]` in canonical order.  What is left of IPv6 never holds a prefix inside ::ffff:0:0/96: these
        addresses are IPv4, and no IPv6 client ever has one.
    Cost: some microseconds for each prefix and each piece; a broad prefix around n others costs n at each halving.
    Source: C16; ADR 0006.

    >>> difference(AllowList(["192.0.2.0/24"]), AllowList(["192.0.2.64/26"]))
    [Prefix('192.0.2.0/26'), Prefix('192.0.2.128/25')]
    """
    holes = PatriciaTrie((prefix, None) for prefix in without.aggregate())
    return [left for prefix in allow.aggregate() for left in _left_of(prefix, holes)]


def _left_of(prefix: Prefix, holes: PatriciaTrie[None]) -> Iterator[Prefix]:
    """Halve a prefix until each piece lies wholly inside or outside the holes; yield those outside.

    The pieces are the fewest: a half is cut only where a hole begins in it.
    """
    if holes.longest_match(prefix) is not None:
        return
    if not holes.covered(prefix):
        yield prefix
        return
    for network in ip_network(str(prefix)).subnets():
        half = parse_prefix(network)
        if half.family == prefix.family:  # else it is ::ffff:0:0/96, which would come back as all of IPv4
            yield from _left_of(half, holes)
