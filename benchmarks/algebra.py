"""What it costs to combine two lists: beside ipset_c, which does the same in C, and beside netaddr, in Python.

    python -m benchmarks.algebra               a million prefixes in each list; five rounds, a minute
    python -m benchmarks.algebra 100000 3      fewer prefixes, fewer rounds

    before, after    random prefixes, three quarters of IPv4; a tenth of `after` is other prefixes than in `before`
    labelled         the same, each prefix with a label of its own
    netaddr          a hundredth of the prefixes, beside ours and ipset_c on the same hundredth

ipset_c and netaddr keep merged ranges, so they have no entries and no labels.  What they answer is compared first: the
fewest prefixes of each result are the same.  Then the contestants take turns in one process.  Seconds are those of the
processor, so another program on the machine changes little.
"""

from __future__ import annotations

import operator
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from ipset_c import IPSet
from netaddr import IPSet as NetaddrSet

from cidrmatch import AllowList
from cidrmatch.advice import diff

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a - b": operator.sub,
    "a & b": operator.and_,
    "a | b": operator.or_,
    "a ^ b": operator.xor,
    "a <= b": operator.le,
    "a <= a": lambda a, _b: a <= a,
}


def draw(count: int, seed: int) -> list[str]:
    """Draw different prefixes in random order: addresses, and prefixes of many lengths."""
    source = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        if source.random() < 0.75:
            length = 32 if source.random() < 0.5 else source.randint(20, 31)
            found[f"{IPv4Address(source.getrandbits(32) >> 32 - length << 32 - length)}/{length}"] = None
        else:
            length = source.choice([48, 56, 64, 128])
            number = 0x2A << 120 | source.getrandbits(120)
            found[f"{IPv6Address(number >> 128 - length << 128 - length)}/{length}"] = None
    return list(found)


def fewest(result: Any) -> list[str]:
    """Give the fewest prefixes of a result, whoever made it, as ours are written."""
    if isinstance(result, AllowList):
        return [str(prefix) for prefix in result.aggregate()]
    if isinstance(result, NetaddrSet):
        return fewest(AllowList(str(network) for network in result.iter_cidrs()))
    return fewest(AllowList(result.getCidrs()))


def seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def compare(sides: dict[str, tuple[Any, Any]], names: Iterable[str]) -> None:
    """Fail unless all contestants give the same addresses."""
    for name in names:
        act = OPERATIONS[name]
        answers = [act(*pair) for pair in sides.values()]
        plain = [answer if isinstance(answer, bool) else fewest(answer) for answer in answers]
        assert all(answer == plain[0] for answer in plain), (name, list(sides))
        print(f"{name:8} {plain[0] if isinstance(plain[0], bool) else f'{len(plain[0]):,} prefixes at least'}")


def main(count: int = 1_000_000, rounds: int = 5) -> None:
    """Compare the answers, then take turns and print the medians."""
    before, others = draw(count, 1), draw(count // 10, 2)
    after = before[len(others) :] + others
    few = before[-count // 100 :]  # most of them are in `after`, too
    few_after = few[len(few) // 10 :] + others[: len(few) // 10]
    sides: dict[str, tuple[Any, Any]] = {
        "ours": (AllowList(before), AllowList(after)),
        "ipset_c": (IPSet(before), IPSet(after)),
    }
    few_sides: dict[str, tuple[Any, Any]] = {
        "few, ours": (AllowList(few), AllowList(few_after)),
        "few, ipset_c": (IPSet(few), IPSet(few_after)),
        "few, netaddr": (NetaddrSet(few), NetaddrSet(few_after)),
    }
    compare(sides, OPERATIONS)
    compare(few_sides, OPERATIONS)
    labelled = tuple(AllowList((prefix, f"label of {prefix}") for prefix in each) for each in (before, after))
    contestants: dict[str, Callable[[], object]] = {}
    for name, act in OPERATIONS.items():
        for who, pair in (sides | few_sides | {"labelled": labelled}).items():
            contestants[f"{name}   {who}"] = partial(act, *pair)
    contestants["diff    ours"] = lambda: diff(*sides["ours"])
    contestants["diff    labelled"] = lambda: diff(*labelled)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, ask in contestants.items():
            times[name].append(seconds(ask))
    for name, found in times.items():
        print(
            f"{name:24} {statistics.median(found) * 1000:9.1f} ms ({min(found) * 1000:.1f} to {max(found) * 1000:.1f})"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
