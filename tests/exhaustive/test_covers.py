"""The best cover of every set of a small universe, against all lists that there are.

    the universe    16 units: the addresses of an IPv4 /28, or the /64s of an IPv6 /60
    a list          disjoint prefixes inside it: 458,330 of them, so every list is looked at
    a set           each of the 65,536 sets of units; each limit from 1 to 8 entries, which are as many as any set needs

The truth needs no tree: for each set of units that a list has, its fewest entries; for each set of observed units, the
smallest such set around it.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from cidrmatch import Prefix
from cidrmatch._core import Observed
from cidrmatch.advice.suggest import _NO_BUDGET, _REQUEST_FIRST

UNITS = 16
SETS = 1 << UNITS
MOST = 8
NAMES = {
    4: [Prefix(f"198.51.100.{48 + unit}") for unit in range(UNITS)],
    6: [Prefix(f"2001:db8:0:{0x30 + unit:x}::/64") for unit in range(UNITS)],
}


def lists(first: int, size: int) -> dict[int, int]:
    """Give the sets of units that lists inside a prefix have, each with the fewest entries for it."""
    whole = ((1 << size) - 1) << first
    if size == 1:
        return {0: 0, whole: 1}
    left, right = lists(first, size // 2), lists(first + size // 2, size // 2)
    return {a | b: entries + more for a, entries in left.items() for b, more in right.items()} | {whole: 1}


@cache
def smallest() -> list[list[int]]:
    """For each limit and each set, the size of the smallest set around it that a list has."""
    counts = lists(0, UNITS)
    tables = []
    for most in range(1, MOST + 1):
        best = [units.bit_count() if counts[units] <= most else UNITS + 1 for units in range(SETS)]
        for bit in (1 << unit for unit in range(UNITS)):
            best = [size if units & bit else min(size, best[units | bit]) for units, size in enumerate(best)]
        tables.append(best)
    return tables


@cache
def fewest() -> list[int]:
    counts = lists(0, UNITS)
    return [counts[units] for units in range(SETS)]


def test_the_truth_knows_every_list() -> None:
    assert len(fewest()) == SETS
    assert max(fewest()) == MOST
    assert all(a >= b for less, more in pairwise(smallest()) for a, b in zip(less, more, strict=True))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("most", range(1, MOST + 1))
def test_the_best_cover_of_every_set_is_the_smallest_of_all_lists(family: int, most: int) -> None:
    names, truth = NAMES[family], smallest()[most - 1]
    for units in range(1, SETS):
        held = Observed((32, 64), (0, 0))
        held.add_each([names[unit] for unit in range(UNITS) if units >> unit & 1])
        held.settle([], [], [], most)
        found = held.solve(_REQUEST_FIRST, 1, _NO_BUDGET)
        assert found is not None
        _, entries, left_out, requests, *extra = found
        assert (len(entries) <= most, left_out, requests) == (True, [], 0)
        assert sum(extra) == truth[units] - units.bit_count(), bin(units)
