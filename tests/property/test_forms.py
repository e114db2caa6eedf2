"""Every form of the table, with every kind of vectors, answers as the twin does.

    forms      by size, scan, ladder, map       the last three whatever the size of the list
    vectors    0, 1, 2, 3                       no more are used than the machine has

Short lists come from the strategies, which love borders.  Long ones are generated, because mistakes of a ladder lie
where a node, or a step of signposts, is just full; so their sizes are one less, as many, and one more than that:

    IPv4    16 keys a node, 17 children:    16, 272, 4,624 keys, and a key less than ranges
    IPv6     8 keys a node,  9 children:     8, 72, 648, 5,832 keys
"""

import sys
from array import array
from collections.abc import Callable
from random import Random
from typing import Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cidrmatch import AllowList, Entry
from cidrmatch._core.probe import freeze_as, table_bytes
from tests import reference
from tests.judges import MAPPED
from tests.reference import Address, Span, build_span, format_address, format_span, largest, length_of, packed_of
from tests.strategies import probes, span_lists

FORMS = ("by size", "scan", "ladder", "map")
VECTORS = (0, 1, 2, 3)
OTHER_ORDER: Literal["big", "little"] = "big" if sys.byteorder == "little" else "little"
SIZES = [
    *(0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 71, 72, 73, 81),
    *(271, 272, 273, 274, 289, 290, 647, 648, 649, 729, 4624, 4625, 4626, 4913, 5832, 5833, 8192, 8193),
]
CORNERS = [
    [],
    ["0.0.0.0/0"],
    ["::/0"],
    ["0.0.0.0/0", "::/0"],
    ["0.0.0.0/1", "128.0.0.0/1"],
    ["::/1", "8000::/1"],
    ["0.0.0.0/32"],
    ["255.255.255.255/32"],
    ["0.0.0.0/32", "255.255.255.255/32"],
    ["::/128"],
    ["ffff:ffff:ffff:ffff::/64"],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"],
    ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"],
    ["0.0.0.0/0", "255.0.0.0/8", "255.255.255.254/31", "255.255.255.255/32", "::/0", "ff00::/8"],
    # equal first addresses, more than a node has keys
    [f"0.0.0.0/{length}" for length in range(33)],
    [f"10.0.0.0/{length}" for length in range(7, 33)] + [f"2001:db8::/{length}" for length in range(29, 129)],
    [f"0.0.0.0/{length}" for length in range(33)] + [f"240.0.0.{number}/32" for number in range(1, 255)],
    # one in the other, each with addresses before it and behind it
    [format_span(build_span(4, 0x0A55AAAA, length)) for length in range(33)],
    [format_span(build_span(6, 0x2001_0DB8_5555_AAAA_5555_AAAA_5555_AAAA, length)) for length in range(129)],
]


def tables(found: list[Span]) -> list[AllowList]:
    texts = [format_span(span) for span in found]
    return [freeze_as(texts, form, vectors) for form in FORMS for vectors in VECTORS]


# What is asked, and what the twin says


class Questions(NamedTuple):
    """Addresses and prefixes, with the answers: is it in, which entry (by number, -1 for none), is all of it in."""

    addresses: list[Address]
    are_in: list[bool]
    numbers: list[int]
    prefixes: list[Span]
    are_covered: list[bool]


def ask_twin(found: list[Span], addresses: list[Address], prefixes: list[Span]) -> Questions:
    ordered = sorted(set(found), key=reference.canonical_order)
    best = [reference.longest_match(ordered, reference.host_span(address)) for address in addresses]
    return Questions(
        addresses,
        [reference.contains(ordered, address) for address in addresses],
        [-1 if span is None else ordered.index(span) for span in best],
        prefixes,
        [reference.is_covered_whole(ordered, prefix) for prefix in prefixes],
    )


def borders(span: Span) -> list[Address]:
    """The first and the last address, and those beside them; none that is mapped."""
    near = [span.first - 1, span.first, span.last, span.last + 1]
    addresses = [Address(span.family, number) for number in near if 0 <= number <= largest(span.family)]
    return [address for address in addresses if address == reference.fold_address(address)]


ENDS = [Address(family, number) for family in (4, 6) for number in (0, largest(family) // 2, largest(family))]
ENDS.append(Address(6, 0xFFFFFFFFFFFFFFFF << 64))


# The comparison


def check(found: list[Span], questions: Questions) -> None:
    for allow in tables(found):
        check_texts(allow, questions)
        check_packed(allow, questions)
        assert [allow.covers(format_span(prefix)) for prefix in questions.prefixes] == questions.are_covered


def check_texts(allow: AllowList, questions: Questions) -> None:
    texts = [format_address(address) for address in questions.addresses]
    assert [text in allow for text in texts] == questions.are_in
    assert [allow.contains(text) for text in texts] == questions.are_in
    assert allow.contains_many(texts) == bytes(questions.are_in)
    assert list(allow.match_many(texts)) == questions.numbers
    matched = [None if number < 0 else allow[number] for number in questions.numbers]
    assert [allow.match(text) for text in texts] == matched


ENOUGH = 80
"""Addresses of one family, at least: two groups of 32, which are answered side by side, and a rest."""


def places_of(family: int, questions: Questions) -> list[int]:
    places = [place for place, address in enumerate(questions.addresses) if address.family == family]
    return places * -(-ENOUGH // len(places)) if places else []


def check_packed(allow: AllowList, questions: Questions) -> None:
    narrow = places_of(4, questions)
    are_in, numbers = bytes(questions.are_in[place] for place in narrow), [questions.numbers[place] for place in narrow]
    # 1. IPv4 as bytes and as integers of both orders
    integers = array("I", [questions.addresses[place].number for place in narrow])
    swapped = array("I", integers)
    swapped.byteswap()
    network = (integers if sys.byteorder == "big" else swapped).tobytes()
    assert allow.contains_many(network, family=4) == are_in
    assert allow.contains_many(integers, family=4, byteorder=sys.byteorder) == are_in
    assert allow.contains_many(swapped, family=4, byteorder=OTHER_ORDER) == are_in
    assert list(allow.match_many(network, family=4)) == numbers
    assert list(allow.match_many(integers, family=4, byteorder=sys.byteorder)) == numbers
    assert list(allow.match_many(swapped, family=4, byteorder=OTHER_ORDER)) == numbers
    # 2. IPv6 alone
    wide_only = places_of(6, questions)
    six = b"".join(packed_of(*questions.addresses[place]) for place in wide_only)
    assert allow.contains_many(six, family=6) == bytes(questions.are_in[place] for place in wide_only)
    # 3. both families in 16 bytes each, IPv4 mapped
    packed = [packed_of(*address) for address in questions.addresses]
    wide = b"".join(one if len(one) == 16 else MAPPED + one for one in packed)
    assert allow.contains_many(wide, family=6) == bytes(questions.are_in)
    assert list(allow.match_many(wide, family=6)) == questions.numbers


# Short lists


@given(span_lists(), st.data())
def test_every_form_answers_as_the_twin_does(found: list[Span], data: st.DataObject) -> None:
    asked = data.draw(st.lists(probes(found), min_size=1, max_size=20))
    prefixes = data.draw(st.lists(st.sampled_from(found), max_size=3)) if found else []
    check(found, ask_twin(found, asked, prefixes + wider(prefixes)))


def wider(prefixes: list[Span]) -> list[Span]:
    """Each prefix with its twin beside it; one of mapped addresses stays out, for it would be read as IPv4."""
    found = [build_span(one.family, one.first, max(0, reference.length_of(one) - 1)) for one in prefixes]
    return [one for one in found if one == reference.fold_span(one)]


@pytest.mark.parametrize("texts", CORNERS, ids=" ".join)
def test_every_form_of_a_corner_answers_as_the_twin_does(texts: list[str]) -> None:
    found = [reference.parse_prefix(text) for text in texts]
    asked = ENDS + [address for span in found for address in borders(span)]
    check(found, ask_twin(found, asked, found + wider(found)))


# Long lists: so many ranges that neither meet nor touch, by where they lie


def spread(family: int, base: int, stride: int, size: int, random: Random) -> list[Span]:
    """A range at each stride, as narrow as one address or up to half of the stride."""
    bits = reference.bits_of(family)
    widest = stride.bit_length() - 2
    return [build_span(family, base + place * stride, bits - random.randint(0, widest)) for place in range(size)]


def slashes24(size: int, random: Random) -> list[Span]:
    """Every other /24, and one in sixteen of them a piece: what a map is made for."""
    lengths = [random.randint(25, 32) if random.random() < 1 / 16 else 24 for _ in range(size)]
    return [build_span(4, (place * 2 + 77) << 8, length) for place, length in enumerate(lengths)]


def slashes48(size: int, random: Random) -> list[Span]:
    """Every other /48 or wider, and one in sixteen of them a piece: what a trie is made for."""
    lengths = [random.randint(49, 128) if random.random() < 1 / 16 else random.randint(40, 48) for _ in range(size)]
    return [build_span(6, SITE + (place << 89), length) for place, length in enumerate(lengths)]


ALL_ONES = 0xFFFFFFFFFFFFFFFF << 64
SITE = 0x20010DB8 << 96
LAYOUTS: dict[str, Callable[[int, Random], list[Span]]] = {
    "IPv4 at the start": lambda size, random: spread(4, 0, 8, size, random),
    "IPv4 at the end": lambda size, random: spread(4, 2**32 - 8 * size, 8, size, random),
    "IPv4 over everything": lambda size, random: spread(4, 0, 2**18, size, random),
    "IPv4 /24s": slashes24,
    "IPv6 /40s to /48s": slashes48,
    "IPv6 /48s": lambda size, random: spread(6, SITE, 1 << 80, size, random),
    "IPv6 over everything": lambda size, random: spread(6, 1 << 114, 1 << 114, size, random),
    "IPv6 inside one /64": lambda size, random: spread(6, SITE, 8, size, random),
    "IPv6 over the border of a /64": lambda size, random: spread(
        6, SITE + (1 << 64) - 8 * (size // 2), 8, size, random
    ),
    "IPv6 upper half all ones": lambda size, random: spread(6, ALL_ONES, 8, size, random),
    "IPv6 up to all ones": lambda size, random: spread(6, 2**128 - (size << 63), 1 << 63, size, random),
    "both": lambda size, random: spread(4, 0, 8, size, random) + spread(6, SITE, 1 << 62, size, random),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=max(1, settings().max_examples // 4))
@given(size=st.sampled_from(SIZES), random=st.randoms(use_true_random=False), nested=st.integers(0, 20))
def test_every_form_of_a_long_list_answers_as_the_twin_does(
    layout: str, size: int, random: Random, nested: int
) -> None:
    found = LAYOUTS[layout](size, random)
    chosen = random.sample(found, min(8, size)) + found[:1] + found[-1:]
    found = found + [inside(random.choice(found), random) for _ in range(nested if found else 0)]
    asked = ENDS + [address for span in chosen for address in borders(span)]
    check(found, ask_twin(found, asked, chosen[:3] + wider(chosen[:3])))


def inside(span: Span, random: Random) -> Span:
    length = random.randint(reference.length_of(span), reference.bits_of(span.family))
    return build_span(span.family, random.randint(span.first, span.last), length)


@pytest.mark.parametrize("wholes", [0x2000, 0x100], ids=["rows", "nodes"])
def test_list_that_has_no_trie_because_it_would_be_too_large_answers_from_the_ladder(wholes: int) -> None:
    """4,096 rows and 65,535 nodes are the most; these /48s are spread over more /16s, or have hardly an equal node."""
    random = Random(48)
    slashes = sorted({random.randrange(0x2000 << 32, (0x2000 + wholes) << 32) for _ in range(60_000)})
    allow = freeze_as([format_span(build_span(6, slash << 80, 48)) for slash in slashes], "map")
    assert table_bytes(allow) < 50 * len(slashes)
    members = set(slashes)
    asked = [near for slash in slashes[::100] for near in (slash, slash + 1)]
    packed = b"".join((slash << 80).to_bytes(16, "big") for slash in asked)
    assert allow.contains_many(packed, family=6) == bytes(slash in members for slash in asked)
    matched = [allow.match((slash << 80).to_bytes(16, "big")) for slash in asked]
    assert [entry is not None for entry in matched] == [slash in members for slash in asked]
    assert all(entry is None or entry.prefix.length == 48 for entry in matched)


def test_range_that_begins_in_one_block_of_a_trie_and_ends_inside_a_later_one() -> None:
    """The range is one, of two entries; its last /48 is in by half."""
    allow = freeze_as(["2001:db8::/48", "2001:db8:1::/49"], "map")
    asked = [
        "2001:db8::1",
        "2001:db8:1::1",
        "2001:db8:1:7fff::1",
        "2001:db8:1:8000::",
        "2001:db8:1:ffff::",
        "2001:db8:2::",
    ]
    assert [address in allow for address in asked] == [True, True, True, False, False, False]


@pytest.mark.parametrize("vectors", VECTORS)
def test_C16_mapped_text_in_hexadecimal_is_asked_among_ipv4(vectors: int) -> None:
    for form in FORMS:
        only4, only6 = (freeze_as([entry], form, vectors) for entry in ("203.0.113.0/24", "::/0"))
        for text in ("::ffff:cb00:7109", "0:0:0:0:0:ffff:cb00:7109", "::ffff:203.0.113.9"):
            assert text in only4, (form, text)
            assert text not in only6, (form, text)


def test_label_of_the_longest_match_is_found_in_every_form() -> None:
    texts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:2::/64"]
    asked = ["10.9.9.9", "10.1.9.9", "10.1.2.3", "2001:db8:9::", "2001:db8:1:9::", "2001:db8:1:2::3"]
    for form in FORMS:
        allow = freeze_as([(text, text) for text in texts], form)
        assert [allow.match(address) for address in asked] == [Entry(text, text) for text in texts]
        assert allow.match("11.0.0.0") is allow.match("2001:db9::") is None


def test_long_list_whose_entries_are_known_by_their_length_matches_as_the_ladder_does() -> None:
    """From 32,768 entries on; some lie in others, and some are pieces of a /24 or a /48."""
    random = Random(32_768)
    narrow = [inside(build_span(4, 0x0A000000, 8), random) for _ in range(20_000)]
    narrow = [
        build_span(4, span.first, 25 if random.random() < 1 / 16 else min(24, length_of(span))) for span in narrow
    ]
    wide = [build_span(6, SITE + (random.getrandbits(16) << 80), random.randint(33, 49)) for _ in range(20_000)]
    for found in (narrow + slashes24(40_000, random), wide + slashes48(40_000, random)):
        texts = list(map(format_span, found))
        allow, ladder = AllowList(texts), freeze_as(texts, "ladder")
        assert sys.getsizeof(allow) > sys.getsizeof(ladder) + 2 * 65_536
        asked = [format_address(address) for span in random.sample(found, 2_000) for address in borders(span)]
        numbers = ladder.match_many(asked)
        assert list(map(allow.match, asked)) == [ladder[number] if number >= 0 else None for number in numbers]


def test_address_whose_upper_half_is_all_ones_stays_inside_the_ladder() -> None:
    """All ones compare equal to the padding of nodes, which leads to no child."""
    found = spread(6, SITE, 1 << 64, 60_000, Random(60_000))
    for allow in tables(found):
        for text in ("ffff:ffff:ffff:ffff::", "ffff:ffff:ffff:ffff::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"):
            assert text not in allow
            assert allow.match(text) is None
            assert list(allow.match_many([text])) == [-1]
        assert allow.contains_many(b"\xff" * 16, family=6) == b"\0"
