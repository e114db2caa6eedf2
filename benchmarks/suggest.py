"""What a suggestion costs: beside sorting the same addresses, and beside a greedy list in pure Python.

    python -m benchmarks.suggest               a million addresses; five rounds, two minutes
    python -m benchmarks.suggest 100000 3      fewer addresses, fewer rounds

    sorting      `sorted` over the addresses as integers: the floor, because every method has to bring them in order
    suggest      `suggest` from a dictionary of texts, bitbybit's limits, 20 entries
    leave out    the same, and 1 % of the requests may be left out
    mixed        the same addresses, half of them as IPv6
    python       a greedy list as one would write it, with `heapq` over integers; on a hundredth of the addresses,
                 beside `suggest` on the same hundredth

The contestants take turns in one process; a ratio is the median of the rounds' ratios.  Seconds are those of the
processor, so another program on the machine changes little.  First the answers are compared:
the greedy list of `suggest` has as many extra addresses as the one in pure Python.
"""

from __future__ import annotations

import heapq
import random
import statistics
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from cidrmatch import presets
from cidrmatch.advice import suggest

MOST = 20


def draw(count: int) -> dict[int, int]:
    """Draw addresses of some networks and their requests: half in one /6, half in a /10."""
    source = random.Random(1_618)
    found: dict[int, int] = {}
    while len(found) < count:
        number = 0x50000000 | source.getrandbits(26) if source.random() < 0.5 else 0xCB000000 | source.getrandbits(22)
        found[number] = source.randint(1, 9)
    return found


def greedy(numbers: list[int], most: int, shortest: int) -> int:
    """Join neighbours by the smallest step until there are few enough; return the extra addresses."""
    ordered = sorted(numbers)
    first, last = list(ordered), list(ordered)
    sizes = [1] * len(ordered)
    after = [*range(1, len(ordered)), -1]
    before = [*range(-1, len(ordered) - 1)]
    alive = [True] * len(ordered)

    def step(at: int) -> tuple[int, int, int, int] | None:
        following = after[at]
        if following < 0:
            return None
        bits = (first[at] ^ last[following]).bit_length()
        low = first[at] >> bits << bits
        outside = (before[at] >= 0 and last[before[at]] >= low) or (
            after[following] >= 0 and first[after[following]] < low + (1 << bits)
        )
        if outside or 32 - bits < shortest:
            return None
        return (1 << bits) - sizes[at] - sizes[following], at, following, bits

    heap = [found for at in range(len(ordered)) if (found := step(at))]
    heapq.heapify(heap)
    left = len(ordered)
    while left > most and heap:
        added, at, following, bits = heapq.heappop(heap)
        if not (alive[at] and alive[following]) or step(at) != (added, at, following, bits):
            continue
        first[at] = first[at] >> bits << bits
        last[at] = first[at] + (1 << bits) - 1
        sizes[at], alive[following], after[at] = 1 << bits, False, after[following]
        if after[at] >= 0:
            before[after[at]] = at
        left -= 1
        for near in (before[at], at):
            if near >= 0 and (found := step(near)):
                heapq.heappush(heap, found)
    return sum(size for size, is_alive in zip(sizes, alive, strict=True) if is_alive) - len(numbers)


def seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def main(count: int = 1_000_000, rounds: int = 5) -> None:
    """Compare the answers, then take turns and print the medians."""
    numbers = draw(count)
    shuffled = list(numbers)
    texts = {str(IPv4Address(number)): requests for number, requests in numbers.items()}
    mixed = {
        str(IPv4Address(number) if at % 2 else IPv6Address(0x20010DB8 << 96 | number << 64)): requests
        for at, (number, requests) in enumerate(numbers.items())
    }
    few = shuffled[: count // 100]
    few_texts = {str(IPv4Address(number)): 1 for number in few}
    policy = presets.bitbybit()
    asked = suggest(few_texts, policy)
    theirs = greedy(few, MOST, 9)
    assert asked.greedy.extra == theirs, (asked.greedy.extra, theirs)
    print(f"few: {len(few):,} addresses; best {asked.extra:,} extra, greedy {theirs:,}")
    contestants: dict[str, Callable[[], object]] = {
        "sorting": lambda: sorted(shuffled),
        "suggest": lambda: suggest(texts, policy),
        "leave out": lambda: suggest(texts, policy, leave_out=0.01),
        "mixed": lambda: suggest(mixed, policy),
        "few": lambda: suggest(few_texts, policy),
        "python": lambda: greedy(few, MOST, 9),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, act in contestants.items():
            times[name].append(seconds(act))
    for name, floor in [(name, "few" if name == "python" else "sorting") for name in contestants]:
        ratio = statistics.median(a / b for a, b in zip(times[name], times[floor], strict=True))
        span = f"{min(times[name]):.3f} to {max(times[name]):.3f}"
        print(f"{name:10} {statistics.median(times[name]):8.3f} s ({span})   {ratio:6.2f} x {floor}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
