"""Two lists combined, for every pair of subsets of a tiny universe, against bits and against halving.

The universes are those of `test_subsets.py`, and more with seven prefixes or fewer, so each has up to 16,384 pairs:

    a, b      every subset of the prefixes, labelled by their places
    bits      for each address near a border, whether it is in: what `a - b` means is an operation on two integers
    pieces    what is left of a prefix, by halving it until each half is wholly in or wholly out
"""

from collections.abc import Iterable
from functools import cache

from cidrmatch import AllowList, Prefix
from cidrmatch.advice import diff
from tests.exhaustive.test_subsets import (
    SMALL,
    V6,
    Universe,
    build_universe,
    expected_bits,
    inside,
    members,
    most_specific,
    path,
    universes,
)
from tests.reference import (
    Span,
    aggregate,
    build_span,
    canonical_order,
    exclude_from,
    fold_span,
    format_span,
    length_of,
    span_covers,
    spans_of,
)

MAPPED = 0xFFFF << 32


def without_mapped(universe: Universe) -> Universe:
    """Leave out the borders inside ::ffff:0:0/96: as packed addresses they are IPv4."""
    known = [place for place, packed in enumerate(universe.packed) if packed[:12] != bytes(10) + b"\xff\xff"]
    packed, holders = [universe.packed[place] for place in known], [universe.holders[place] for place in known]
    return Universe(universe.spans, universe.prefixes, packed, holders)


UNIVERSES = {
    **SMALL,
    "ipv4 from /0": build_universe(inside(4, 0, 0, 2)),
    "ipv4 and ipv6": build_universe(inside(4, 0xC0000200, 31, 32) + inside(6, 0xC0000200, 127, 128)),
    "ipv4 and ipv6, everyone": build_universe(inside(4, 0, 0, 1) + inside(6, 0, 0, 1)),
    "ipv6 around the middle": build_universe(path(6, V6, [63, 64, 65])),
    "ipv6 around the mapped space": without_mapped(
        build_universe([*path(6, MAPPED, [94, 95]), build_span(6, 0xFFFE << 32, 96), build_span(4, 0, 0)])
    ),
}
"""Universes whose pairs of subsets are few enough."""


def test_universes_are_as_small_as_promised() -> None:
    assert len(UNIVERSES) == 10
    assert max(len(universe.spans) for universe in UNIVERSES.values()) == 7


def lists_of(universe: Universe) -> list[AllowList]:
    """Every subset as a list; the label of a prefix is its place, and the first prefix has none."""
    labels = [str(place) if place else None for place in range(len(universe.prefixes))]
    pairs = list(zip(universe.prefixes, labels, strict=True))
    return [
        AllowList([pair for place, pair in enumerate(pairs) if subset >> place & 1])
        for subset in range(1 << len(universe.prefixes))
    ]


def bits_in(allow: AllowList, universe: Universe) -> int:
    return int.from_bytes(allow.contains_many(universe.packed), "big")


@universes(UNIVERSES)
def test_every_pair_has_the_addresses_of_the_sets(universe: Universe) -> None:
    lists = lists_of(universe)
    truth = [int.from_bytes(expected_bits(universe, subset), "big") for subset in range(len(lists))]
    for one, these in zip(lists, truth, strict=True):
        for other, those in zip(lists, truth, strict=True):
            assert bits_in(one - other, universe) == these & ~those
            assert bits_in(one & other, universe) == these & those
            assert bits_in(one | other, universe) == these | those
            assert bits_in(one ^ other, universe) == these ^ those
            assert one.isdisjoint(other) is (these & those == 0)
            assert one.issubset(other) is (one <= other) is (other >= one) is (these & ~those == 0)
            assert one.issuperset(other) is (those & ~these == 0)
            assert (one < other) is (other > one) is (these & ~those == 0 and these != those)


@universes(UNIVERSES)
def test_every_pair_keeps_entries_and_splits_others_as_halving_does(universe: Universe) -> None:
    lists = lists_of(universe)
    for subset, one in enumerate(lists):
        for other, without in enumerate(lists):
            own, holes = chosen(universe, subset), tuple(aggregate(chosen(universe, other)))
            assert [entry.prefix for entry in one - without] == as_prefixes(kept(own, holes, is_in=False))
            assert [entry.prefix for entry in one & without] == as_prefixes(kept(own, holes, is_in=True))
            assert spans_of(diff(without, one).gained) == exclude_from(own, list(holes))


@universes(UNIVERSES)
def test_every_pair_keeps_the_label_of_the_most_specific_match(universe: Universe) -> None:
    lists = lists_of(universe)
    for subset, one in enumerate(lists):
        labels = [label_of(universe, holder & subset) for holder in universe.holders]
        for other in lists:
            for result in (one - other, one & other):
                for packed, label in zip(universe.packed, labels, strict=True):
                    match = result.match(packed)
                    assert match is None or match.label == label


def label_of(universe: Universe, holder: int) -> str | None:
    prefix = most_specific(universe, holder)
    return None if prefix is None or prefix == universe.prefixes[0] else str(universe.prefixes.index(prefix))


def chosen(universe: Universe, subset: int) -> list[Span]:
    return [span for place, span in enumerate(universe.spans) if subset >> place & 1]


def as_prefixes(spans: Iterable[Span]) -> list[Prefix]:
    return [Prefix(format_span(span)) for span in spans]


def kept(spans: list[Span], ranges: tuple[Span, ...], *, is_in: bool) -> list[Span]:
    """What of each span lies in the ranges, or outside them."""
    found = {piece for span in spans for piece in pieces(span, ranges, is_in)}
    return sorted((piece for piece in found if fold_span(piece) == piece), key=canonical_order)


@cache
def pieces(span: Span, ranges: tuple[Span, ...], is_in: bool) -> list[Span]:
    """Halve a span until each piece is wholly in the ranges or wholly outside."""
    if any(span_covers(one, span) for one in ranges):
        return [span] if is_in else []
    if not any(span_covers(span, one) for one in ranges):
        return [] if is_in else [span]
    length = length_of(span) + 1
    halves = [build_span(span.family, edge, length) for edge in (span.first, span.last)]
    return [piece for half in halves for piece in pieces(half, ranges, is_in)]


def test_the_pairs_of_all_subsets_of_eight_addresses() -> None:
    """65,536 pairs of lists of addresses, as the prefixes that they aggregate to."""
    universe = build_universe(inside(4, 0xC0000200, 29, 32))
    singles = [place for place, prefix in enumerate(universe.prefixes) if prefix.is_address]
    subsets = [sum(1 << place for k, place in enumerate(singles) if chosen >> k & 1) for chosen in range(256)]
    lists = [AllowList(AllowList(members(universe, subset)).aggregate()) for subset in subsets]
    truth = [int.from_bytes(expected_bits(universe, subset), "big") for subset in subsets]
    assert len(singles) == 8
    for one, these in zip(lists, truth, strict=True):
        for other, those in zip(lists, truth, strict=True):
            assert bits_in(one - other, universe) == these & ~those
            assert bits_in(one & other, universe) == these & those
            assert bits_in(one ^ other, universe) == these ^ those
            assert one.issubset(other) is (these & ~those == 0)


def test_the_universe_of_the_mapped_space_is_what_it_says() -> None:
    found = [str(prefix) for prefix in UNIVERSES["ipv6 around the mapped space"].prefixes]
    assert found == ["0.0.0.0/0", "::fff8:0:0/94", "::fffc:0:0/94", "::fffc:0:0/95", "::fffe:0:0/95", "::fffe:0:0/96"]
