"""What the benchmarks ask about: lists of prefixes, and addresses to ask them for.

Everything comes out of a seed, so that two runs, and two machines, measure the
same thing.  Nothing here is timed.

    prefixes(family, size)      canonical text, in canonical order, no duplicates

        10, 20, 1,000, 100,000    an allow list as people write them: half of it
                                  single addresses, the rest offices and clouds
        FULL                      an Internet table: 901,899 IPv4 or 160,147 IPv6
                                  prefixes, with the lengths and the nesting of a
                                  real one

    addresses(texts, count, hits=50)   canonical text, `hits` per cent of it covered
    borders(texts, count)              the first and last of a prefix, and one beyond

A miss is half of the time a near one (the prefix next door) and half of the
time anywhere in the space that is in use: far misses alone would be too easy.

If CIDRMATCH_DATA names a folder with `bgp_v4.txt.gz` and `bgp_v6.txt.gz` (one
prefix a line), FULL is that table and every result says "real".  Otherwise it
is generated, from the shortest prefixes to the longest:

    roots    |---- /12 ----|-- /14 --|   |-- /16 --| |-/24-|     covered by nobody
    nested      |-/16-|      |-/24-|        |-/24-|              inside a root
                  |/24|                                          ... or inside another nested one

A root mostly follows on the end of another, as it does in the registries: that
is why 444,690 roots make only some 70,000 ranges.
"""

import gzip
import os
import random
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal, NamedTuple

Family = Literal["v4", "v6", "mixed"]
Takes = Literal["text", "packed", "buffer"]
FULL = 0
"""The size that stands for an Internet table, however long that is."""

# Of each length: how many roots, how many nested.  Counted in a real table.
_TABLE_V4 = {
    8: (16, 0), 9: (9, 4), 10: (38, 0), 11: (99, 4), 12: (268, 31), 13: (485, 96), 14: (1025, 178),
    15: (1636, 464), 16: (10284, 3206), 17: (4481, 3754), 18: (6923, 6875), 19: (15055, 9815),
    20: (19405, 23206), 21: (23027, 27723), 22: (59396, 49227), 23: (41454, 55056), 24: (261082, 276616),
    25: (0, 20), 26: (0, 3), 27: (0, 11), 28: (1, 17), 29: (0, 17), 30: (0, 3), 31: (0, 3), 32: (6, 880),
}  # fmt: skip
_TABLE_V6 = {
    16: (1, 0), 19: (1, 0), 20: (16, 0), 21: (3, 0), 22: (7, 0), 23: (8, 0), 24: (27, 3), 25: (7, 1),
    26: (15, 0), 27: (18, 2), 28: (108, 85), 29: (4317, 54), 30: (367, 283), 31: (154, 130),
    32: (16821, 5727), 33: (559, 2367), 34: (730, 1873), 35: (394, 649), 36: (2604, 3392), 37: (217, 663),
    38: (769, 848), 39: (247, 1130), 40: (3183, 10235), 41: (423, 480), 42: (469, 1832), 43: (567, 434),
    44: (4059, 10306), 45: (285, 1268), 46: (1421, 1618), 47: (676, 2477), 48: (30575, 44913), 49: (0, 11),
    50: (0, 3), 52: (0, 1), 55: (0, 1), 56: (1, 23), 58: (0, 20), 60: (2, 0), 64: (5, 179), 112: (0, 2),
    122: (0, 1), 124: (0, 4), 125: (0, 9), 126: (0, 19), 127: (0, 42), 128: (0, 6),
}  # fmt: skip


class Space(NamedTuple):
    """One family: its width, the part of it in use, and what lists of it look like."""

    bits: int
    socket_family: int
    in_use: tuple[tuple[int, int], ...]  # (first, last) of each part
    list_lengths: dict[int, int]  # of an allow list: length -> weight
    table_lengths: dict[int, tuple[int, int]]  # of an Internet table: length -> (roots, nested)
    follows: float  # the share of roots that start where another ends

    def is_in_use(self, value: int) -> bool:
        return any(first <= value <= last for first, last in self.in_use)

    def random_value(self, rng: random.Random) -> int:
        return rng.randint(*rng.choice(self.in_use))

    def text(self, value: int) -> str:
        return inet_ntop(self.socket_family, value.to_bytes(self.bits // 8, "big"))


V4 = Space(
    bits=32,
    socket_family=AF_INET,
    in_use=((1 << 24, (224 << 24) - 1),),
    list_lengths={32: 50, 24: 20, 29: 8, 28: 8, 22: 6, 20: 5, 16: 3},
    table_lengths=_TABLE_V4,
    follows=0.5,
)
V6 = Space(
    bits=128,
    socket_family=AF_INET6,
    in_use=tuple(
        (first << 112, (first + width << 112) - 1)
        for first, width in ((0x2001, 1), (0x2400, 16), (0x2600, 16), (0x2800, 16), (0x2A00, 16), (0x2C00, 16))
    ),
    list_lengths={128: 50, 64: 20, 48: 15, 56: 10, 32: 5},
    table_lengths=_TABLE_V6,
    follows=0.41,
)


class Range(NamedTuple):
    """A prefix as numbers."""

    space: Space
    first: int
    length: int

    @property
    def last(self) -> int:
        return self.first | self.hosts

    @property
    def hosts(self) -> int:
        """All host bits set; as a number, the count of addresses less one."""
        return (1 << self.space.bits - self.length) - 1

    def text(self) -> str:
        return f"{self.space.text(self.first)}/{self.length}"


def space_of(text: str) -> Space:
    return V6 if ":" in text else V4


def pack(text: str) -> bytes:
    return inet_pton(space_of(text).socket_family, text)


def read_prefix(text: str) -> Range:
    """Read a prefix, or an address as the prefix that holds it alone."""
    space = space_of(text)
    address, _, length = text.partition("/")
    return Range(space, int.from_bytes(pack(address), "big"), int(length or space.bits))


# --- lists of prefixes -------------------------------------------------------


@cache
def prefixes(family: Family, size: int) -> tuple[str, ...]:
    """The list of one size, IPv4 before IPv6, each in canonical order."""
    if family == "mixed":
        return prefixes("v4", size // 2) + prefixes("v6", size - size // 2)
    folder = data_folder()
    if size == FULL and folder:
        return tuple(gzip.decompress((folder / f"bgp_{family}.txt.gz").read_bytes()).decode("ascii").split())
    space = V4 if family == "v4" else V6
    rng = random.Random(f"{family} {size}")
    found = _internet_table(space, rng) if size == FULL else _allow_list(space, size, rng)
    return tuple(Range(space, first, length).text() for first, length in sorted(found))


def data_folder() -> Path | None:
    folder = os.environ.get("CIDRMATCH_DATA")
    return Path(folder) if folder else None


def source(size: int) -> str:
    """Say where a list came from: a result repeats it."""
    return "real" if size == FULL and data_folder() else "generated"


def shuffled(texts: Sequence[str]) -> list[str]:
    return random.Random("shuffled").sample(texts, len(texts))


def _allow_list(space: Space, size: int, rng: random.Random) -> set[tuple[int, int]]:
    lengths, weights = zip(*space.list_lengths.items(), strict=True)
    found: set[tuple[int, int]] = set()
    while len(found) < size:
        (length,) = rng.choices(lengths, weights)
        found.add((_clear_host_bits(space.random_value(rng), length, space), length))
    return found


def _internet_table(space: Space, rng: random.Random) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    parents: list[Range] = []  # everything shorter than the length in hand
    roots = _Roots(space, rng)
    for length, (root_count, nested_count) in space.table_lengths.items():
        wanted = len(found) + root_count + nested_count
        found.update((roots.place(length), length) for _ in range(root_count))
        while len(found) < wanted:
            inside = _random_inside(rng.choice(parents), rng)
            found.add((_clear_host_bits(inside, length, space), length))
        parents += [Range(space, first, found_length) for first, found_length in found if found_length == length]
    return found


class _Roots:
    """Prefixes that do not overlap, placed from the shortest to the longest.

    That order makes "is it free?" a question about the shorter ones alone: a
    new prefix can lie inside one that is there, never around it.
    """

    def __init__(self, space: Space, rng: random.Random) -> None:
        self._space = space
        self._rng = rng
        self._placed: dict[int, set[int]] = {}
        self._ends: list[int] = []  # where the next root could follow

    def place(self, length: int) -> int:
        """Find room for one more prefix of this length, and return its first address."""
        while True:
            slot, first = self._choose(length)
            if self._is_free(first, length):
                break
            if slot is not None:
                self._ends.pop(slot)
        self._placed.setdefault(length, set()).add(first)
        end = first + (1 << self._space.bits - length)
        if slot is None:
            self._ends.append(end)
        else:
            self._ends[slot] = end
        return first

    def _choose(self, length: int) -> tuple[int | None, int]:
        """A place to try: at the end of another root (and of which one), or anywhere."""
        if self._ends and self._rng.random() < self._space.follows:
            slot = self._rng.randrange(len(self._ends))
            return slot, self._ends[slot]
        return None, _clear_host_bits(self._space.random_value(self._rng), length, self._space)

    def _is_free(self, first: int, length: int) -> bool:
        return self._space.is_in_use(first) and not any(
            _clear_host_bits(first, shorter, self._space) in placed
            for shorter, placed in self._placed.items()
            if shorter <= length
        )


def _clear_host_bits(value: int, length: int, space: Space) -> int:
    shift = space.bits - length
    return value >> shift << shift


def _random_inside(prefix: Range, rng: random.Random) -> int:
    return prefix.first | rng.randint(0, prefix.hosts)


# --- who is covered: the truth that every contestant is checked against ------


class Coverage:
    """The union of some prefixes, one sorted list of borders per family.

    borders   [ first0 | last0 + 1 | first1 | last1 + 1 | ... ]     touching ranges are joined
    covered:  an odd number of borders lies at or below the address
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._borders: dict[int, list[int]] = {V4.bits: [], V6.bits: []}
        for prefix in sorted(map(read_prefix, texts), key=lambda prefix: prefix.first):
            borders = self._borders[prefix.space.bits]
            if borders and prefix.first <= borders[-1]:
                borders[-1] = max(borders[-1], prefix.last + 1)
            else:
                borders += (prefix.first, prefix.last + 1)

    def covers(self, space: Space, value: int) -> bool:
        return bisect_right(self._borders[space.bits], value) % 2 == 1

    def __contains__(self, text: str) -> bool:
        return self.covers(space_of(text), int.from_bytes(pack(text), "big"))

    def packed_borders(self, space: Space) -> list[bytes]:
        """The same as bytes, which sort as the numbers do.  2**bits becomes one byte more, above them all."""
        top = 1 << space.bits
        size = space.bits // 8
        return [
            b"\xff" * (size + 1) if value == top else value.to_bytes(size, "big") for value in self._borders[space.bits]
        ]


_coverage = lru_cache(maxsize=4)(Coverage)
"""Of a full table it takes seconds, and each share of hits asks for it again."""


# --- addresses to ask --------------------------------------------------------


def addresses(texts: Sequence[str], count: int, hits: int = 50) -> list[str]:
    """Distinct where the list has room for it; `hits` per cent of them covered, in random order."""
    rng = random.Random(f"{len(texts)} {count} {hits}")
    coverage = _coverage(tuple(texts))
    hit_count = count * hits // 100
    covered = (_hit(read_prefix(rng.choice(texts)), rng) for _ in range(hit_count))
    missed = _misses(texts, coverage, rng)
    asked = [*covered, *(next(missed) for _ in range(count - hit_count))]
    rng.shuffle(asked)
    return asked


def borders(texts: Sequence[str], count: int) -> list[str]:
    """The first and the last address of up to `count` prefixes, and the addresses one beyond."""
    rng = random.Random(f"borders {len(texts)}")
    chosen = map(read_prefix, rng.sample(texts, min(count, len(texts))))
    return [
        prefix.space.text(value)
        for prefix in chosen
        for value in (prefix.first - 1, prefix.first, prefix.last, prefix.last + 1)
        if prefix.space.is_in_use(value)
    ]


def members(texts: Sequence[str]) -> list[str]:
    """One address out of each prefix: what a set of exact texts would hold in place of the list."""
    rng = random.Random(f"members {len(texts)}")
    return [_hit(read_prefix(text), rng) for text in texts]


def _hit(prefix: Range, rng: random.Random) -> str:
    """An address inside: half of the time a server's low number, half of the time any (in IPv6, a longer text)."""
    host = rng.randint(0, min(prefix.hosts, 0xFFFF)) if rng.random() < 0.5 else rng.randint(0, prefix.hosts)
    return prefix.space.text(prefix.first | host)


def _misses(texts: Sequence[str], coverage: Coverage, rng: random.Random) -> Iterator[str]:
    while True:
        prefix = read_prefix(rng.choice(texts))
        value = _next_door(prefix, rng) if rng.random() < 0.5 else prefix.space.random_value(rng)
        if not coverage.covers(prefix.space, value) and prefix.space.is_in_use(value):
            yield prefix.space.text(value)


def _next_door(prefix: Range, rng: random.Random) -> int:
    """An address that differs in one of the last eight bits of the prefix."""
    flipped = 1 << prefix.space.bits - prefix.length + rng.randrange(min(8, prefix.length))
    return _random_inside(prefix, rng) ^ flipped


# --- fresh objects for each pass ---------------------------------------------


class Pool:
    """Addresses to ask, cut into slices; every pass takes the next slice, in new objects.

    A `str` caches its hash, so that the second lookup of one object in a set is
    cheaper than any lookup of a text that has just come in with a request.
    """

    def __init__(self, texts: Sequence[str], slice_size: int) -> None:
        self._slices = [texts[start : start + slice_size] for start in range(0, len(texts), slice_size)]
        self._size_bytes = len(pack(texts[0]))

    def take(self, takes: Takes, turn: int) -> list[str] | list[bytes] | bytearray:
        """Texts, packed addresses, or one buffer of them in network order (the last two: one family only)."""
        which = turn % len(self._slices)
        if takes == "text":
            return self._joined[which].decode("ascii").split("\n")
        if takes == "buffer":
            return bytearray(self._packed[which])
        packed = self._packed[which]
        return [packed[start : start + self._size_bytes] for start in range(0, len(packed), self._size_bytes)]

    @cached_property
    def _joined(self) -> list[bytes]:
        return ["\n".join(texts).encode("ascii") for texts in self._slices]

    @cached_property
    def _packed(self) -> list[bytes]:
        return [b"".join(map(pack, texts)) for texts in self._slices]
