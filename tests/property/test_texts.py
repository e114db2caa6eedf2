"""Laws about texts: what is taken, what is refused, and what the canonical text is.

The judges are three, and none of them is ours: `socket.inet_pton` for any text at all, `ipaddress` for canonical text,
and the slow twin for prefixes.
"""

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cidrmatch import (
    AllowList,
    Entry,
    InvalidAddress,
    InvalidPrefix,
    InvalidText,
    Prefix,
    format_address,
    parse_address,
    parse_entry,
    parse_prefix,
)
from tests import reference
from tests.judges import MAPPED, inet_pton
from tests.reference import Address, Span
from tests.strategies import address_texts, addresses, any_texts, damaged, numbers, prefix_texts, spans, spellings


def ours(text: str) -> bytes | None:
    try:
        return parse_address(text)
    except InvalidAddress:
        return None


def our_prefix(text: str, *, mask: bool = False) -> Span | None:
    try:
        return reference.span_of(parse_prefix(text, host_bits="mask" if mask else "reject"))
    except InvalidPrefix:
        return None


def twin_prefix(text: str, *, mask: bool = False) -> Span | None:
    try:
        return reference.parse_prefix(text, mask=mask)
    except reference.Refused:
        return None


# Taken or refused


@given(any_texts())
@example("1:2:3:4:5:6:7::")
@example("::2:3:4:5:6:7:8")
@example("1::2:3:4:5:6:7:8")
@example("::ffff:1.2.3.4")
@example("1:2:3:4:5:6:7:1.2.3.4")
def test_any_text_is_taken_exactly_when_inet_pton_takes_it(text: str) -> None:
    assert ours(text) == inet_pton(text)


@given(damaged(address_texts()))
def test_damaged_address_is_taken_exactly_when_inet_pton_takes_it(text: str) -> None:
    assert ours(text) == inet_pton(text)


@given(any_texts())
def test_any_text_is_a_prefix_exactly_when_the_twin_says_so(text: str) -> None:
    assert our_prefix(text) == twin_prefix(text)
    assert our_prefix(text, mask=True) == twin_prefix(text, mask=True)


@given(damaged(prefix_texts()))
def test_damaged_prefix_is_a_prefix_exactly_when_the_twin_says_so(text: str) -> None:
    assert our_prefix(text) == twin_prefix(text)
    assert our_prefix(text, mask=True) == twin_prefix(text, mask=True)


@given(any_texts())
def test_every_address_is_a_prefix_and_the_other_way_round_without_a_slash(text: str) -> None:
    packed, prefix = ours(text), our_prefix(text)
    if "/" in text:
        assert packed is None
    else:
        assert (packed is None) == (prefix is None)
    if packed is not None:
        assert prefix == reference.host_span(reference.address_of_packed(packed))


@given(st.binary(max_size=20))
def test_packed_bytes_are_taken_by_their_size_alone(packed: bytes) -> None:
    try:
        assert parse_address(packed) == packed.removeprefix(MAPPED)
        assert len(packed) in (4, 16)
    except InvalidAddress:
        assert len(packed) not in (4, 16)


# Refused with the truth


@given(any_texts())
def test_refusal_points_into_the_text_and_names_a_known_reason(text: str) -> None:
    for read, noun in ((parse_address, InvalidAddress), (parse_prefix, InvalidPrefix), (parse_entry, InvalidPrefix)):
        error = refusal(read, text)
        if error is not None:
            assert type(error) is noun
            assert 0 <= error.position <= len(text)
            assert error.code in KNOWN_CODES
            assert error.text == text
            assert str(error).isprintable()


def refusal(read: Callable[[str], object], text: str) -> InvalidText | None:
    try:
        read(text)
    except InvalidText as error:
        return error
    return None


KNOWN_CODES = {
    *("empty", "not_ascii", "unexpected_character", "leading_zero", "octet_too_large", "octet_count", "group_too_long"),
    *("group_count", "double_compression", "zone_id", "length_missing", "length_not_a_number", "length_leading_zero"),
    *("length_too_large", "netmask", "host_bits", "packed_size"),
}


@given(any_texts())
@example("010.0.0.1")
@example(" 10.0.0.1 ")
@example("10.0.0.0/255.0.255.0")
@example("10.0.0.1/255.0.0.0")
@example("fe80::1%eth0/64")
@example("::ffff:10.0.0.1/104")
@example("010.0.0.1/8")
def test_every_suggestion_is_itself_accepted(text: str) -> None:
    for read in (parse_address, parse_prefix):
        error = refusal(read, text)
        if error is not None and error.suggestion is not None:
            assert refusal(read, error.suggestion) is None


@given(prefix_texts().filter(lambda text: twin_prefix(text) is None))
def test_C15_suggestion_for_host_bits_is_the_network_that_masking_gives(text: str) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert caught.value.code == "host_bits"
    network = parse_prefix(text, host_bits="mask")
    is_mapped = network.family == 6 and parse_prefix(text.partition("/")[0]).family == 4
    if is_mapped or network.length < {4: 8, 6: 16}[network.family]:
        assert caught.value.suggestion is None, "a large part of a family is never suggested, nor IPv6 for IPv4"
    else:
        assert caught.value.suggestion is not None
        assert parse_prefix(caught.value.suggestion) == network


# Round trips


@given(st.data())
def test_every_spelling_is_the_same_address(data: st.DataObject) -> None:
    address = data.draw(addresses())
    text = data.draw(spellings(address))
    packed = reference.packed_of(*address)
    assert parse_address(text) == parse_address(packed) == packed
    assert format_address(text) == format_address(packed) == reference.format_address(address)


@given(addresses())
def test_canonical_address_parses_back_to_itself(address: Address) -> None:
    packed = reference.packed_of(*address)
    canonical = format_address(packed)
    assert parse_address(canonical) == packed
    assert format_address(canonical) == canonical


@given(st.binary(min_size=16, max_size=16) | st.binary(min_size=4, max_size=4))
def test_any_packed_value_survives_the_way_through_text(packed: bytes) -> None:
    assert parse_address(format_address(packed)) == parse_address(packed)


@given(spans())
def test_canonical_prefix_parses_back_to_itself(span: Span) -> None:
    text = reference.format_span(span)
    prefix = parse_prefix(text)
    assert str(prefix) == text
    assert reference.span_of(prefix) == span
    assert Prefix(str(prefix)) == prefix
    assert hash(Prefix(str(prefix))) == hash(prefix)
    assert prefix.address == text.split("/", maxsplit=1)[0]
    assert prefix.is_address == (span.first == span.last)


@given(prefix_texts(), st.none() | st.text(min_size=1, max_size=5))
def test_masked_text_parses_back_in_every_form_of_an_entry(text: str, label: str | None) -> None:
    prefix = parse_prefix(text, host_bits="mask")
    for form in ((prefix, label), (str(prefix), label), {"prefix": str(prefix), "label": label}, Entry(prefix, label)):
        assert parse_entry(form) == Entry(str(prefix), label)


# Agreement with ipaddress


@given(addresses())
def test_canonical_address_is_that_of_ipaddress(address: Address) -> None:
    theirs = ipaddress.ip_address(reference.packed_of(*address))
    assert format_address(theirs) == str(theirs)
    assert parse_address(str(theirs)) == parse_address(theirs) == theirs.packed


@given(spans())
def test_canonical_prefix_is_that_of_ipaddress(span: Span) -> None:
    theirs = ipaddress.ip_network(reference.format_span(span))
    prefix = parse_prefix(str(theirs))
    assert str(prefix) == str(parse_prefix(theirs)) == str(theirs)
    assert (prefix.packed, prefix.length) == (theirs.network_address.packed, theirs.prefixlen)
    assert (prefix.family, prefix.address) == (theirs.version, str(theirs.network_address))


@given(spans(), spans())
def test_order_is_that_of_ipaddress_within_a_family(one: Span, other: Span) -> None:
    left, right = (parse_prefix(reference.format_span(span)) for span in (one, other))
    assert (left < right) == (reference.canonical_order(one) < reference.canonical_order(other))
    assert (left == right) == (one == other)
    if one.family == other.family:
        theirs = [ipaddress.ip_network(str(prefix)) for prefix in (left, right)]
        assert (left < right) == (theirs[0] < theirs[1])  # type: ignore[operator]


@given(numbers(4))
def test_C16_mapped_address_is_its_ipv4_address_in_every_form(number: int) -> None:
    packed = number.to_bytes(4, "big")
    mapped = MAPPED + packed
    dotted = ".".join(map(str, packed))
    for form in (f"::ffff:{dotted}", f"0:0:0:0:0:FFFF:{dotted}", mapped, ipaddress.IPv6Address(mapped)):
        assert parse_address(form) == packed
        assert format_address(form) == dotted
        assert parse_prefix(form) == parse_prefix(dotted)
        assert form in AllowList([dotted])
    assert not AllowList(["::/0"]).contains(mapped)
