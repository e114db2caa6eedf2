"""Counting how many addresses a list allows.

The most specific entry decides; if two are equally specific, deny wins.  So a
prefix decides about its addresses that are not in a prefix inside it:

    allow 10.0.0.0/8       |==========================================|
    deny  10.1.0.0/16            |------------------------|
    allow 10.1.2.0/24                  |=======|
    passes                 |=====|     |=======|          |===========|

The count is an upper bound for all times.  So an allow entry is counted unless
it is disabled, and a deny entry only if it is neither disabled nor limited in
time.  For the count at one moment, leave out entries that are over.

Addresses that no client ever has (C25) are not counted, and neither are those
in ::ffff:0:0/96, because no IPv6 client has one.  A list that allows all other
addresses allows everyone.

Cost: a sort, and about a microsecond for each entry.  If a list has no deny entries and allows at most half of a
family, its sizes are only added up.
Threads: safe, keeps no state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from .._core import Prefix

if TYPE_CHECKING:
    from .._core import Entry

__all__ = ["NEVER", "Reach", "allows", "denies_for_a_time", "range_of", "reach_of", "reach_of_sizes"]

_Range: TypeAlias = tuple[int, int]

NEVER: Final = {
    "0.0.0.0/32": "the unspecified address",
    "255.255.255.255": "the broadcast address",
    "224.0.0.0/4": "multicast",
    "::": "the unspecified address",
    "ff00::/8": "multicast",
}
"""Addresses that are never the source of a connection (C25)."""

_BITS: Final = {4: 32, 6: 128}


def allows(entry: Entry) -> bool:
    """Whether an entry is an allow entry."""
    return entry.condition is None or entry.condition.effect == "allow"


def denies_for_a_time(entry: Entry) -> bool:
    """Whether an entry is enabled, denies, and is limited in time."""
    condition = entry.condition
    if condition is None or condition.effect == "allow" or not condition.enabled:
        return False
    return not condition.start == -condition.end == -math.inf


@dataclass(frozen=True, slots=True)
class Reach:
    """Hold how many addresses a list allows.

    Attributes:
        clients: for each family, an upper bound of the addresses of clients that pass.
        denied: for each family, an upper bound of the addresses in deny entries.
    """

    clients: dict[int, int]
    denied: dict[int, int]

    def is_nobody(self) -> bool:
        """Whether no address passes at any time."""
        return not any(self.clients.values())

    def is_everyone(self, family: int) -> bool:
        """Whether every address of the family that a client can have passes."""
        return self.clients[family] == _CLIENTS[family]

    def is_most(self, family: int) -> bool:
        """Whether more than half of the family passes."""
        return 2 * self.clients[family] > 1 << _BITS[family]


def reach_of(entries: Iterable[Entry]) -> Reach:
    """Count the addresses that a list lets through."""
    effects: dict[int, dict[Prefix, bool]] = {4: {}, 6: {}}
    for entry in entries:
        if _is_lasting(entry):
            family, prefix = effects[entry.prefix.family], entry.prefix
            family[prefix] = allows(entry) and family.get(prefix, True)
    return Reach(
        {family: _count(family, found) for family, found in effects.items()},
        {family: _total(family, found, passes=False) for family, found in effects.items()},
    )


def reach_of_sizes(lengths: Mapping[int, Sequence[int]], ranges: Callable[[], Iterable[tuple[int, int, int]]]) -> Reach:
    """Count the same for a list of plain allow entries, without an object for each.

    Args:
        lengths: for each family, how many of its prefixes have each length.
        ranges: a function that gives the disjoint ranges of the list: family, first and last address; it is called
            only if need be.
    """
    clients = {
        family: sum(count << (_BITS[family] - length) for length, count in enumerate(counts))
        for family, counts in lengths.items()
    }
    if large := [family for family, sizes in clients.items() if 2 * sizes > 1 << _BITS[family]]:
        clients |= dict.fromkeys(large, 0)
        for family, first, last in ranges():
            if family in large:
                clients[family] += _count_clients(family, (first, last))
    return Reach(clients, dict.fromkeys(clients, 0))


def _total(family: int, effects: dict[Prefix, bool], *, passes: bool) -> int:
    """Add up the sizes of the prefixes that allow, or of those that deny; overlaps are counted several times."""
    return sum(1 << (_BITS[family] - prefix.length) for prefix, effect in effects.items() if effect is passes)


def _is_lasting(entry: Entry) -> bool:
    """Whether an entry is used for the upper bound."""
    return entry.condition is None or (entry.condition.enabled and not denies_for_a_time(entry))


def _count(family: int, effects: dict[Prefix, bool]) -> int:
    sizes = _total(family, effects, passes=True)
    if 2 * sizes <= 1 << _BITS[family] and all(effects.values()):
        return sizes
    return sum(_count_clients(family, passing) for passing in _passing(effects))


def _passing(effects: dict[Prefix, bool]) -> Iterator[_Range]:
    """Yield the ranges that pass, in order: each prefix without the prefixes inside it, which decide by themselves."""
    at = 0
    around: list[tuple[int, bool]] = []  # the prefixes around `at`: the end of each, and whether it passes

    def close(before: int | None) -> Iterator[_Range]:
        nonlocal at
        while around and (before is None or around[-1][0] < before):
            last, passes = around.pop()
            if passes and at <= last:
                yield at, last
            at = max(at, last + 1)

    for prefix in sorted(effects):
        first, last = range_of(prefix)
        yield from close(first)
        if around and around[-1][1] and at < first:
            yield at, first - 1
        at = first
        around.append((last, effects[prefix]))
    yield from close(None)


def range_of(prefix: Prefix) -> _Range:
    """Give the first and the last address of a prefix as numbers."""
    first = int.from_bytes(prefix.packed, "big")
    return first, first + (1 << (_BITS[prefix.family] - prefix.length)) - 1


_NO_CLIENTS: Final = {
    4: [range_of(prefix) for prefix in map(Prefix, NEVER) if prefix.family == 4],
    6: [(0xFFFF << 32, (0x10000 << 32) - 1)]  # ::ffff:0:0/96 is IPv4
    + [range_of(prefix) for prefix in map(Prefix, NEVER) if prefix.family == 6],
}


def _count_clients(family: int, passing: _Range) -> int:
    """Count the addresses of a range that a client can have."""
    first, last = passing
    none = sum(max(0, min(last, end) - max(first, start) + 1) for start, end in _NO_CLIENTS[family])
    return last - first + 1 - none


_CLIENTS: Final = {family: _count_clients(family, (0, (1 << bits) - 1)) for family, bits in _BITS.items()}
