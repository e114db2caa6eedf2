"""Every subset of a tiny universe, every address in it and beside it.

A universe is some prefixes that lie inside one another, and the addresses at all their borders:

    /30, with its two /31 and four /32:        7 prefixes,     128 subsets
    /29, with everything inside:              15 prefixes,  32,768 subsets
    the same over the 64-bit middle of IPv6   15 prefixes,  32,768 subsets
    a path down to /66 with twins beside it   13 prefixes,   8,192 subsets
    both families with the same low bits:     14 prefixes,  16,384 subsets

The trie goes through all subsets by a Gray code, one prefix added or removed at a time, so every insertion and every
removal happens in many states.  The truth is a table of bits: for each address, which prefixes hold it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from cidrmatch import AllowList, Entry, PatriciaTrie, Prefix
from tests import reference
from tests.reference import Address, Span, build_span, format_span, packed_of, span_contains, spans_of


class Universe(NamedTuple):
    """Prefixes in canonical order, the addresses to ask about, and who holds whom."""

    spans: list[Span]
    prefixes: list[Prefix]
    packed: list[bytes]
    holders: list[int]
    """For each address, a bit for each prefix that holds it."""


def inside(family: int, first: int, length: int, deepest: int) -> list[Span]:
    """A prefix and all prefixes in it, down to a length."""
    outer = build_span(family, first, length)
    found = [outer]
    if length < deepest:
        middle = (outer.first + outer.last + 1) // 2
        found += inside(family, outer.first, length + 1, deepest) + inside(family, middle, length + 1, deepest)
    return found


def path(family: int, number: int, lengths: list[int]) -> list[Span]:
    """The prefixes of these lengths around an address, each with its twin."""
    found = []
    for length in lengths:
        bit = 1 << (reference.bits_of(family) - length)
        found += [build_span(family, number, length), build_span(family, number ^ bit, length)]
    return found


def build_universe(spans: list[Span]) -> Universe:
    ordered = sorted(set(spans), key=reference.canonical_order)
    edges = {(span.family, edge) for span in ordered for edge in (span.first, span.last)}
    near = sorted({Address(family, edge + step) for family, edge in edges for step in (-1, 0, 1)})
    addresses = [one for one in near if 0 <= one.number <= reference.largest(one.family)]
    return Universe(
        ordered,
        [Prefix(format_span(span)) for span in ordered],
        [packed_of(*one) for one in addresses],
        [sum(1 << place for place, span in enumerate(ordered) if span_contains(span, one)) for one in addresses],
    )


V6 = 0x20010DB8 << 96
UNIVERSES = {
    "ipv4 /30": build_universe(inside(4, 0xC0000200, 30, 32)),
    "ipv4 /29": build_universe(inside(4, 0xC0000200, 29, 32)),
    "ipv4 from /0": build_universe(inside(4, 0, 0, 3)),
    "ipv4 last addresses": build_universe(inside(4, 0xFFFFFFFC, 30, 32)),
    "ipv6 /126": build_universe(inside(6, V6, 126, 128)),
    "ipv6 from /0": build_universe(inside(6, 0, 0, 2)),
    "ipv6 last addresses": build_universe(inside(6, 2**128 - 4, 126, 128)),
    "ipv6 /62 to /65": build_universe(inside(6, V6, 62, 65)),
    "ipv6 /62 to /66": build_universe(
        [*inside(6, V6, 62, 63), *path(6, V6 + (1 << 64), [64, 65, 66]), *path(6, V6, [65, 66])]
    ),
    "both families": build_universe(inside(4, 0xC0000200, 30, 32) + inside(6, 0xC0000200, 126, 128)),
}
SMALL = {name: universe for name, universe in UNIVERSES.items() if len(universe.spans) <= 10}


def universes(of: dict[str, Universe]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("universe", of.values(), ids=of)


def members(universe: Universe, subset: int) -> list[Prefix]:
    return [prefix for place, prefix in enumerate(universe.prefixes) if subset >> place & 1]


def expected_bits(universe: Universe, subset: int) -> bytes:
    return bytes([holder & subset != 0 for holder in universe.holders])


def most_specific(universe: Universe, holder: int) -> Prefix | None:
    """Of the prefixes that hold an address, the last in canonical order is the longest."""
    return universe.prefixes[holder.bit_length() - 1] if holder else None


def test_universes_are_as_large_as_promised() -> None:
    promised = {"ipv4 /30": 7, "ipv4 /29": 15, "ipv6 /62 to /65": 15, "ipv6 /62 to /66": 13, "both families": 14}
    assert {name: len(UNIVERSES[name].spans) for name in promised} == promised


# The frozen list


@universes(UNIVERSES)
def test_every_subset_as_a_list_contains_exactly_its_addresses(universe: Universe) -> None:
    for subset in range(1 << len(universe.prefixes)):
        allow = AllowList(members(universe, subset))
        assert allow.contains_many(universe.packed) == expected_bits(universe, subset)


@universes(SMALL)
def test_every_small_subset_is_the_same_through_every_door(universe: Universe) -> None:
    for subset in range(1 << len(universe.prefixes)):
        found = members(universe, subset)
        allow = AllowList(str(prefix) for prefix in reversed(found))
        assert [entry.prefix for entry in allow] == found
        assert len(allow) == len(found)
        assert bytes(packed in allow for packed in universe.packed) == expected_bits(universe, subset)
        for packed, holder in zip(universe.packed, universe.holders, strict=True):
            around = [Entry(prefix) for prefix in reversed(members(universe, holder & subset))]
            assert allow.matches(packed) == around
            assert allow.match(packed) == (around[0] if around else None)


@universes(SMALL)
def test_every_small_subset_aggregates_covers_and_unites(universe: Universe) -> None:
    """Subset and rest unite to the whole; covers is asked about every prefix of the universe."""
    count = len(universe.prefixes)
    whole = AllowList(universe.prefixes)
    for subset in range(1 << count):
        spans = [span for place, span in enumerate(universe.spans) if subset >> place & 1]
        allow = AllowList(members(universe, subset))
        assert spans_of(allow.aggregate()) == reference.aggregate(spans)
        assert allow | AllowList(members(universe, ~subset)) == whole
        for span, prefix in zip(universe.spans, universe.prefixes, strict=True):
            assert allow.covers(prefix) is reference.is_covered_whole(spans, span)


# The trie


def gray_code(count: int) -> Iterator[tuple[int, int]]:
    """Every subset but the empty one, each one change after the one before: (subset, the place that changed)."""
    for turn in range(1, 1 << count):
        yield turn ^ turn >> 1, (turn & -turn).bit_length() - 1


@universes(UNIVERSES)
def test_trie_walks_through_every_subset_by_single_changes(universe: Universe) -> None:
    trie: PatriciaTrie[int] = PatriciaTrie()
    for subset, place in gray_code(len(universe.prefixes)):
        if subset >> place & 1:
            trie[universe.prefixes[place]] = place
        else:
            del trie[universe.prefixes[place]]
        assert list(trie) == members(universe, subset)
        assert longest_matches(trie, universe) == [
            most_specific(universe, holder & subset) for holder in universe.holders
        ]


def longest_matches(trie: PatriciaTrie[int], universe: Universe) -> list[Prefix | None]:
    found = [trie.longest_match(packed) for packed in universe.packed]
    return [None if match is None else match[0] for match in found]


@universes(SMALL)
def test_trie_answers_about_every_prefix_in_every_small_subset(universe: Universe) -> None:
    trie: PatriciaTrie[int] = PatriciaTrie()
    for subset, place in gray_code(len(universe.prefixes)):
        if subset >> place & 1:
            trie[universe.prefixes[place]] = place
        else:
            del trie[universe.prefixes[place]]
        spans = [span for number, span in enumerate(universe.spans) if subset >> number & 1]
        assert spans_of(trie.aggregate()) == reference.aggregate(spans)
        for span, prefix in zip(universe.spans, universe.prefixes, strict=True):
            assert (prefix in trie) == (span in spans)
            assert spans_of(found for found, _ in trie.covering(prefix)) == reference.covering(spans, span)
            assert spans_of(found for found, _ in trie.covered(prefix)) == reference.covered(spans, span)
            assert spans_of(trie.exclude(prefix)) == reference.exclude(spans, span)
