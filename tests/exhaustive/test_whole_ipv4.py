"""All 2**32 addresses of IPv4, for lists of every kind, against a bitmap made from plain ranges.

    pytest tests/exhaustive/test_whole_ipv4.py --run-long        every list, every address: half an hour
    CIDRMATCH_DATA=folder pytest ...                             also the lists in there (*v4*.txt.gz)

Addresses are asked chunk by chunk.  A chunk is made once, all values of its last bytes; its first ones are patched:

    packed      [ 10.0.0.0 | 10.0.0.1 | ... | 10.255.255.255 ]     2**24 addresses; then the same with 11.
    expected    [ 0 0 0 0 1 1 1 1 1 1 0 0 ... ]                    a slice of ones for each range
    answers     [ 0 0 0 0 1 1 1 1 1 1 0 0 ... ]                    what `contains_many` writes

The truth knows nothing of cidrmatch: `ipaddress` parses, a sweep merges, slices are assigned.  Every address is asked
in the form that the list's size chooses.  In some chunks, most of them with borders of ranges, the other forms are
asked as well, in turn and each with other vector instructions.

A share runs always: the shorter lists, in chunks of 2**16 addresses around their borders.
"""

import gzip
import os
import sys
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network
from itertools import chain, cycle
from pathlib import Path
from random import Random
from socket import inet_ntoa
from time import perf_counter
from typing import NamedTuple

import pytest

from cidrmatch import AllowList
from cidrmatch._core.probe import freeze_as

DATA = os.environ.get("CIDRMATCH_DATA")
SEED = int(os.environ.get("CIDRMATCH_SEED", "20240616"))
END = 2**32
LONGEST_SCAN = 300  # ranges; a scan asks them all, so nobody waits for more


# Lists


def text_of(first: int, length: int) -> str:
    return f"{inet_ntoa(first.to_bytes(4, 'big'))}/{length}"


def around(number: int, length: int) -> str:
    return text_of(number >> (32 - length) << (32 - length), length)


def cut(first: int, end: int) -> Iterator[str]:
    """The fewest prefixes that fill a range."""
    while first < end:
        bits = min((first & -first).bit_length() - 1 if first else 32, (end - first).bit_length() - 1)
        yield text_of(first, 32 - bits)
        first += 1 << bits


def checkerboard(bits: int, phase: int, first: int = 0, end: int = END) -> Iterator[str]:
    """Every second block of 2**bits addresses."""
    return (text_of(block, 32 - bits) for block in range(first + (phase << bits), end, 2 << bits))


def staircase(phase: int) -> Iterator[str]:
    """A block of each second size from both ends: 1, 4, 16, ... addresses."""
    for bits in range(phase, 31, 2):
        yield text_of(1 << bits, 32 - bits)
        yield text_of(END - (2 << bits), 32 - bits)


def chains(count: int, random: Random) -> Iterator[str]:
    """Prefixes inside one another, about every length around each of some addresses."""
    for _ in range(count):
        number = random.randrange(END)
        yield from (around(number, length) for length in range(random.randint(8, 20), 33, random.randint(1, 3)))


def evenly(count: int, random: Random) -> Iterator[str]:
    """So many ranges, each somewhere in its own equal share of the universe."""
    share = END // count
    for begin in range(0, share * count, share):
        first = begin + random.randrange(share // 2)
        yield from cut(first, first + random.randint(1, min(share // 2 - 1, 2000)))


def slashes24(count: int, pieces: float, random: Random) -> Iterator[str]:
    """So many /24s, and beside that many parts of one for each."""
    for place in random.sample(range(2**24), count):
        yield text_of(place << 8, 24)
        if random.random() < pieces:
            yield around(random.randrange(END), random.randint(25, 32))


def clouds(count: int, random: Random) -> Iterator[str]:
    """Clusters, most prefixes between /16 and /28, some addresses; now and then the next one follows at once."""
    homes = [random.randrange(END) for _ in range(max(1, count // 200))]
    following = None
    for _ in range(count):
        length = random.choice((*range(14, 29), *range(20, 25), 32, 32))
        number = random.choice(homes) ^ random.getrandbits(20) if following is None else following
        yield around(number, length)
        following = (number + (1 << (32 - length))) % END if random.random() < 0.3 else None


def routes(count: int, random: Random) -> Iterator[str]:
    """A table of routes: 60 % /24s, the others broader, many inside others."""
    for _ in range(count):
        yield around(random.randrange(1 << 24, 224 << 24), random.choice((*[24] * 12, *range(15, 24))))


Named = tuple[str, Iterable[str]]
BORDERS = ("0.0.0.0", "0.0.0.1", "127.255.255.255", "128.0.0.0", "203.0.113.5", "255.255.255.254", "255.255.255.255")


def short_lists(random: Random) -> Iterator[Named]:
    yield "nothing", []
    yield "everything", ["0.0.0.0/0"]
    yield "both halves", ["0.0.0.0/1", "128.0.0.0/1"]
    yield "every /8", [text_of(block << 24, 8) for block in range(256)]
    yield from ((f"only {address}", [address]) for address in BORDERS)
    yield "both ends", ["0.0.0.0", "255.255.255.255"]
    yield "all but both ends", cut(1, END - 1)
    yield "all but 0.0.0.0", cut(1, END)
    yield "all but 255.255.255.255", cut(0, END - 1)
    yield "all but 203.0.113.5", [*cut(0, 0xCB007105), *cut(0xCB007106, END)]
    for bits in (31, 30, 29, 28):
        yield f"every second 2**{bits}", checkerboard(bits, 0)
        yield f"every second 2**{bits}, not the first", checkerboard(bits, 1)
    yield from ((f"every second 2**{bits}", checkerboard(bits, 0)) for bits in (26, 25, 24, 20))
    yield "every second address of a /20", checkerboard(0, 1, 0x0A000000, 0x0A001000)
    yield "every second address of the last /20", checkerboard(0, 1, END - 2**12)
    yield "half of each /24 in a /12", checkerboard(7, 0, 0x0A000000, 0x0A100000)
    yield "staircase", staircase(0)
    yield "other staircase", staircase(1)
    yield "chains", chains(200, random)
    yield from ((f"{count} ranges", evenly(count, random)) for count in (9, 64, 65, 273, 274))
    yield "cloud of 300", clouds(300, random)
    yield "cloud of 3,000", clouds(3_000, random)


def long_lists(random: Random) -> Iterator[Named]:
    for bits in (18, 17, 16, 15, 14):
        yield f"every second 2**{bits}", checkerboard(bits, 0)
        yield f"every second 2**{bits}, not the first", checkerboard(bits, 1)
    yield "every second address of a /14", checkerboard(0, 0, 0x0A000000, 0x0A040000)
    yield "many chains", chains(20_000, random)
    yield from ((f"{count} ranges", evenly(count, random)) for count in (4_625, 4_626, 100_000))
    yield from ((f"{count} /24s", slashes24(count, 0, random)) for count in (8_191, 8_300, 100_000))
    yield "/24s, few pieces", slashes24(300_000, 0.05, random)
    yield "/24s, many pieces", slashes24(50_000, 0.2, random)


def stand_ins(random: Random) -> Iterator[Named]:
    """For real lists, where there are none."""
    yield "cloud of 20,000", clouds(20_000, random)
    yield "cloud of 200,000", clouds(200_000, random)
    yield "single addresses", (around(random.randrange(END), 32) for _ in range(100_000))
    yield "30,000 routes", routes(30_000, random)
    yield "600,000 routes", routes(600_000, random)


def read_lists(folder: str) -> Iterator[Named]:
    for path in sorted(Path(folder).glob("*v4*.txt.gz")):
        with gzip.open(path, "rt", encoding="ascii") as lines:
            yield path.name, lines.read().split()


# The truth


class Ranges(NamedTuple):
    """Where ranges begin, and where each has ended; sorted, none touches another."""

    firsts: list[int]
    ends: list[int]


def ranges_of(texts: list[str]) -> Ranges:
    """Parse, sort, merge."""
    merged = Ranges([], [])
    for network in sorted(map(IPv4Network, texts), key=lambda network: int(network.network_address)):
        first = int(network.network_address)
        end = first + network.num_addresses
        if merged.ends and first <= merged.ends[-1]:
            merged.ends[-1] = max(merged.ends[-1], end)
        else:
            merged.firsts.append(first)
            merged.ends.append(end)
    return merged


def paint(ranges: Ranges, begin: int, expected: memoryview, zeros: bytes, ones: memoryview) -> None:
    """Write the answers for all addresses from `begin` on."""
    size = len(expected)
    expected[:] = zeros
    place = bisect_right(ranges.ends, begin)
    while place < len(ranges.firsts) and ranges.firsts[place] < begin + size:
        first, end = max(ranges.firsts[place] - begin, 0), min(ranges.ends[place] - begin, size)
        expected[first:end] = ones[: end - first]
        place += 1


# The comparison


class Case(NamedTuple):
    """One list: what is true, who answers, in which chunks, and in which of them the other forms answer too."""

    name: str
    ranges: Ranges
    by_size: AllowList
    others: Iterator[tuple[str, AllowList]]
    chunks: Collection[int]
    chunks_of_others: Collection[int]


def build_case(name: str, texts: list[str], bits: int, is_share: bool, number: int) -> Case:
    random, ranges = Random(f"{SEED} {name}"), ranges_of(texts)
    # 1. chunks where something begins or ends, and some where perhaps nothing does
    borders = {border >> bits for border in (*ranges.firsts, *ranges.ends) if border < END}
    some = set(random.sample(sorted(borders), min(10, len(borders))))
    some |= {0, (END - 1) >> bits, random.randrange(END >> bits)}
    # 2. the other forms, each with vectors of its own
    forms = ["ladder", "map", "scan"] if len(ranges.firsts) <= LONGEST_SCAN else ["ladder", "map"]
    others = [
        (f"{name}, {form}, vectors {vectors % 4}", freeze_as(texts, form, vectors % 4))
        for vectors, form in enumerate(forms, number)
    ]
    return Case(name, ranges, AllowList(texts), cycle(others), some if is_share else range(END >> bits), some)


def consecutive(bits: int) -> bytearray:
    """The first 2**bits addresses, packed."""
    numbers = array("I", range(1 << bits))
    if sys.byteorder == "little":
        numbers.byteswap()
    return bytearray(numbers)


def compare(cases: list[Case], bits: int) -> int:
    """Ask each list about its chunks; tell how many addresses were asked."""
    size, packed, asked = 1 << bits, consecutive(bits), 0
    expected, answers = bytearray(size), bytearray(size)
    zeros, ones, unwritten = bytes(size), memoryview(b"\1" * size), b"\7" * size
    for number in sorted(set().union(*(case.chunks for case in cases))):
        for place, byte in enumerate(number.to_bytes(4 - bits // 8, "big")):
            packed[place::4] = bytes([byte]) * size
        for case in cases:
            if number not in case.chunks:
                continue
            paint(case.ranges, number << bits, memoryview(expected), zeros, ones)
            asking = [(case.name, case.by_size)]
            if number in case.chunks_of_others:
                asking.append(next(case.others))
            for name, allow in asking:
                memoryview(answers)[:] = unwritten
                allow.contains_many(packed, family=4, out=answers)
                if answers != expected:
                    raise AssertionError(f"{name}, seed {SEED}: {difference(answers, expected, number << bits)}")
                asked += size
    return asked


def difference(answers: bytearray, expected: bytearray, begin: int) -> str:
    places = [place for place in range(len(answers)) if answers[place] != expected[place]]
    first = inet_ntoa((begin + places[0]).to_bytes(4, "big"))
    return f"{len(places)} wrong answers, the first {answers[places[0]]} about {first}"


def test_share_of_the_universe_agrees_with_a_bitmap() -> None:
    lists = enumerate(short_lists(Random(SEED)))
    cases = [build_case(name, list(texts), 16, True, number) for number, (name, texts) in lists]
    assert compare(cases, 16) > len(cases) * 2 * 2**16


@pytest.mark.long
def test_whole_universe_agrees_with_a_bitmap(capsys: pytest.CaptureFixture[str]) -> None:
    begin, random = perf_counter(), Random(SEED)
    last_ones = stand_ins(random) if DATA is None else read_lists(DATA)
    lists = enumerate(chain(short_lists(random), long_lists(random), last_ones))
    cases = [build_case(name, list(texts), 24, False, number) for number, (name, texts) in lists]
    asked = compare(cases, 24)
    assert asked > len(cases) * END
    with capsys.disabled():
        print(f"\n{len(cases)} lists, {asked:,} addresses, {perf_counter() - begin:.0f} s, seed {SEED}, no mismatch")
