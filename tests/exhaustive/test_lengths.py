"""Every prefix length there is, at the first, the last and the neighbouring addresses of each prefix."""

from typing import Literal

import pytest

from cidrmatch import AllowList, InvalidPrefix, PatriciaTrie, Prefix, parse_prefix
from tests import reference
from tests.reference import Span, bits_of, build_span, format_number, format_span, largest, packed_of

LENGTHS = [(4, length) for length in range(33)] + [(6, length) for length in range(129)]
NUMBERS = {
    4: [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xAAAAAAAA, 0x55555555, 0xC0000201],
    6: [
        *(0, 2**128 - 1, 2**127 - 1, 2**127, 2**64 - 1),
        *(int("a" * 32, 16), int("5" * 32, 16), (0x20010DB8 << 96) + (1 << 64)),
    ],
}
every_length = pytest.mark.parametrize(("family", "length"), LENGTHS)


def prefixes_of(family: int, length: int) -> list[Span]:
    return [build_span(family, number, length) for number in NUMBERS[family]]


def borders(span: Span) -> list[tuple[int, bool]]:
    """first-1, first, last, last+1 where they exist, and whether they are inside."""
    near = [(span.first - 1, False), (span.first, True), (span.last, True), (span.last + 1, False)]
    return [(number, is_in) for number, is_in in near if 0 <= number <= largest(span.family) and number >> 32 != 0xFFFF]


@every_length
def test_prefix_of_every_length_holds_its_borders_and_not_what_is_beside(family: Literal[4, 6], length: int) -> None:
    for span in prefixes_of(family, length):
        allow, trie = AllowList([format_span(span)]), PatriciaTrie([(format_span(span), 1)])
        for number, is_in in borders(span):
            for form in (packed_of(family, number), format_number(family, number)):
                assert (form in allow) is is_in
                assert (allow.match(form) is not None) is is_in
                assert (trie.longest_match(form) is not None) is is_in
                assert Prefix(format_span(span)).covers(form) is is_in
            assert allow.contains_many(packed_of(family, number), family=family) == bytes([is_in])


@every_length
def test_text_of_every_length_comes_back(family: int, length: int) -> None:
    for span in prefixes_of(family, length):
        prefix = parse_prefix(format_span(span))
        assert str(prefix) == format_span(span)
        assert reference.span_of(prefix) == span


@every_length
def test_every_single_host_bit_is_refused_and_masked_away(family: int, length: int) -> None:
    """Each host bit alone; the network bits alone are none."""
    bits = bits_of(family)
    for place in range(bits):
        number = 1 << (bits - 1 - place)
        text = f"{format_number(family, number)}/{length}"
        if place < length:
            assert parse_prefix(text).length == length
            continue
        with pytest.raises(InvalidPrefix) as caught:
            parse_prefix(text)
        assert caught.value.code == "host_bits"
        assert str(parse_prefix(text, host_bits="mask")) == f"{format_number(family, 0)}/{length}"


@pytest.mark.parametrize("length", range(33))
def test_C16_mapped_prefix_of_every_length_is_the_ipv4_prefix(length: int) -> None:
    for number in NUMBERS[4]:
        span = build_span(4, number, length)
        assert str(parse_prefix(f"::ffff:{format_number(4, span.first)}/{length + 96}")) == format_span(span)


@pytest.mark.parametrize("length", range(96))
def test_C16_ipv6_prefix_of_every_length_around_the_mapped_range_never_answers_for_ipv4(length: int) -> None:
    span = build_span(6, 0xFFFF << 32, length)
    allow, trie = AllowList([format_span(span)]), PatriciaTrie([(format_span(span), 1)])
    for packed in (bytes(4), b"\xff\xff\xff\xff", bytes(10) + b"\xff\xff\x01\x02\x03\x04"):
        assert packed not in allow
        assert trie.longest_match(packed) is None
    assert packed_of(6, span.first) in allow


@pytest.mark.parametrize(("address", "most"), [("0.0.0.0", 32), ("::", 128)])
def test_every_number_after_the_slash(address: str, most: int) -> None:
    for number in range(most + 1):
        assert parse_prefix(f"{address}/{number}").length == number
    for number in range(most + 1, 70_000):
        with pytest.raises(InvalidPrefix) as caught:
            parse_prefix(f"{address}/{number}")
        assert caught.value.code == "length_too_large"


def test_every_octet_and_every_group_of_one_to_four_digits() -> None:
    """Every decimal number up to 9999 with up to four digits, in each place; every group up to ffff."""
    for number in range(10_000):
        for digits in {str(number), f"{number:02}", f"{number:03}", f"{number:04}"}:
            is_octet = number <= 255 and digits == str(number)
            for text in (f"{digits}.1.1.1", f"1.{digits}.1.1", f"1.1.1.{digits}", f"::1.1.{digits}.1"):
                assert is_address(text) is is_octet
    for number in range(0x10000):
        assert is_address(f"1:{number:x}::{number:04X}")
        assert parse_prefix(f"::{number:x}").packed[-2:] == number.to_bytes(2, "big")


def is_address(text: str) -> bool:
    try:
        return parse_prefix(text).is_address
    except InvalidPrefix:
        return False
