"""The prefix room: address and length, host bits, mapped prefixes, order, and `Entry`, a prefix with a label."""

import copy
import pickle
import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest

from cidrmatch import AllowList, Entry, InvalidPrefix, Prefix, aggregate, parse_entry, parse_prefix


def read(text: str) -> str:
    return str(parse_prefix(text))


# What is taken


def test_B13_single_ipv4_address_is_a_32() -> None:
    prefix = parse_prefix("203.0.113.5")
    assert (str(prefix), prefix.length, prefix.is_address) == ("203.0.113.5/32", 32, True)


def test_B15_single_ipv6_address_is_a_128() -> None:
    prefix = parse_prefix("2001:db8::1")
    assert (str(prefix), prefix.length, prefix.is_address) == ("2001:db8::1/128", 128, True)


def test_facts_of_a_prefix() -> None:
    four, six = parse_prefix("198.51.100.0/24"), parse_prefix("2001:db8::/48")
    assert (four.family, four.length, four.packed, four.address) == (4, 24, bytes([198, 51, 100, 0]), "198.51.100.0")
    assert (six.family, six.length, six.packed.hex()) == (6, 48, "20010db8" + "0" * 24)
    assert (six.address, four.is_address, six.is_address) == ("2001:db8::", False, False)


@pytest.mark.parametrize("length", range(33))
def test_every_ipv4_length_is_taken(length: int) -> None:
    assert read(f"0.0.0.0/{length}") == f"0.0.0.0/{length}"


@pytest.mark.parametrize("length", range(129))
def test_every_ipv6_length_is_taken(length: int) -> None:
    assert read(f"::/{length}") == f"::/{length}"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("255.255.255.255/32", "255.255.255.255/32"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("2001:db8::0001/128", "2001:db8::1/128"),
        ("64:ff9b::0.0.0.0/96", "64:ff9b::/96"),
    ],
)
def test_canonical_text_of_a_prefix(text: str, canonical: str) -> None:
    assert read(text) == canonical
    assert read(canonical) == canonical


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (b"\xcb\x00\x71\x05", "203.0.113.5/32"),
        (bytes(15) + b"\x01", "::1/128"),
        (IPv4Address("203.0.113.5"), "203.0.113.5/32"),
        (IPv6Address("2001:db8::1"), "2001:db8::1/128"),
        (IPv4Network("203.0.113.0/24"), "203.0.113.0/24"),
        (IPv6Network("2001:db8::/48"), "2001:db8::/48"),
        (IPv4Network("0.0.0.0/0"), "0.0.0.0/0"),
        (IPv6Network("::/0"), "::/0"),
    ],
)
def test_packed_bytes_and_ipaddress_objects_are_taken(given: Any, canonical: str) -> None:
    assert str(parse_prefix(given)) == canonical
    assert str(Prefix(given)) == canonical
    assert str(parse_entry(given).prefix) == canonical


def test_prefix_is_taken_as_it_is() -> None:
    prefix = Prefix("10.0.0.0/8")
    assert parse_prefix(prefix) == prefix
    assert Prefix(prefix) == prefix


# Mapped prefixes


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("::ffff:203.0.113.5", "203.0.113.5/32"),
        ("::ffff:203.0.113.5/128", "203.0.113.5/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::FFFF:a00:0/104", "10.0.0.0/8"),
        ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ("::ffff:0:0/97", "0.0.0.0/1"),
    ],
)
def test_C16_mapped_prefix_is_its_ipv4_prefix(text: str, canonical: str) -> None:
    assert read(text) == canonical
    assert parse_prefix(text) == parse_prefix(canonical)


def test_C16_mapped_network_object_is_its_ipv4_prefix() -> None:
    assert str(parse_prefix(IPv6Network("::ffff:10.0.0.0/104"))) == "10.0.0.0/8"


@pytest.mark.parametrize("text", ["::/0", "::/80", "::/64", "::fffe:0:0/95", "::fffe:0:0/96", "::1:0:0:0/96"])
def test_C16_prefix_around_or_beside_the_mapped_range_stays_ipv6(text: str) -> None:
    assert parse_prefix(text).family == 6
    assert read(text) == text


def test_C16_length_of_a_mapped_prefix_is_counted_in_128_bits() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix("::ffff:10.0.0.0/8")
    assert caught.value.code == "host_bits"


# Host bits


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("10.0.0.1/31", "10.0.0.0/31"),
        ("2001:db8::1/48", "2001:db8::/48"),
        ("2001:db8:0:0:8000::/64", "2001:db8::/64"),
        ("2001:db8::/16", "2001::/16"),
    ],
)
def test_C15_host_bits_are_refused_and_the_network_suggested(text: str, suggestion: str) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert (caught.value.code, caught.value.suggestion) == ("host_bits", suggestion)
    assert f"did you mean {suggestion}?" in str(caught.value)
    assert 0 <= caught.value.position <= len(text)


def test_C15_suggestion_for_a_mapped_prefix_is_the_ipv4_network_in_any_spelling() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix("::ffff:203.0.113.7/120")
    assert caught.value.suggestion is not None
    assert read(caught.value.suggestion) == "203.0.113.0/24"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("255.255.255.255/0", "0.0.0.0/0"),
        ("255.255.255.255/1", "128.0.0.0/1"),
        ("2001:db8::1/48", "2001:db8::/48"),
        ("2001:db8:0:0:8000::/65", "2001:db8:0:0:8000::/65"),
        ("2001:db8:0:0:8000::1/64", "2001:db8::/64"),
        ("::ffff:203.0.113.7/120", "203.0.113.0/24"),
        ("::ffff:203.0.113.7/95", "::fffe:0:0/95"),
        ("203.0.113.7", "203.0.113.7/32"),
    ],
)
def test_C15_mask_cuts_the_host_bits_off_when_asked(text: str, masked: str) -> None:
    assert str(parse_prefix(text, host_bits="mask")) == masked
    assert str(parse_entry(text, host_bits="mask").prefix) == masked


def test_C15_reject_is_the_default_and_may_be_said() -> None:
    for read_entry in (parse_prefix, parse_entry):
        with pytest.raises(InvalidPrefix):
            read_entry("203.0.113.7/24", host_bits="reject")
        with pytest.raises(InvalidPrefix):
            read_entry("203.0.113.7/24")


@pytest.mark.parametrize("unknown", ["", "Mask", "keep", None, 1, True])
def test_unknown_way_with_host_bits_is_refused(unknown: Any) -> None:
    for read_entry in (parse_prefix, parse_entry):
        with pytest.raises((ValueError, TypeError)):
            read_entry("10.0.0.0/8", host_bits=unknown)


# What is refused

REFUSED = {
    "empty": [("", 0)],
    "not_ascii": [
        ("10.0.0.0/\uff18", 9),
        ("\uff110.0.0.0/8", 0),
        ("10.0.0.0\uff0f8", 8),
        ("10.0.0.0/8\u200b", 10),
        ("::/\ud800", 3),
    ],
    "unexpected_character": [
        (" 10.0.0.0/8", 0),
        ("10.0.0.0 /8", 8),
        ("203.0.113.1-203.0.113.9", 11),
        ("203.0.113.1-9", 11),
        ("10.0.0.0,10.0.0.1", 8),
        ("10.0.0.0\\8", 8),
        ("[::1]/128", 0),
        ("localhost", 0),
        ("*", 0),
    ],
    "leading_zero": [("010.0.0.0/8", 0), ("10.0.0.00/8", 7)],
    "octet_too_large": [("10.0.0.256/32", 7)],
    "octet_count": [("10.0.0/24", 6), ("10/8", 2)],
    "group_too_long": [("20010::/16", 0)],
    "group_count": [("2001:db8/32", 8)],
    "zone_id": [("fe80::1%eth0", 7), ("fe80::%eth0/64", 6)],
    "length_missing": [("10.0.0.0/", 9), ("::/", 3)],
    "length_not_a_number": [
        ("10.0.0.0/abc", 9),
        ("10.0.0.0/8junk", 10),
        ("10.0.0.0/-1", 9),
        ("10.0.0.0/+8", 9),
        ("10.0.0.0/ 8", 9),
        ("10.0.0.0/8 ", 10),
        ("10.0.0.0/8\n", 10),
        ("10.0.0.0/8\0", 10),
        ("10.0.0.0/0x8", 10),
        ("10.0.0.0//8", 9),
        ("10.0.0.0/8/8", 10),
        ("::/a", 3),
    ],
    "length_leading_zero": [("10.0.0.0/08", 9), ("10.0.0.0/00", 9), ("10.0.0.0/032", 9), ("::/064", 3), ("::/000", 3)],
    "length_too_large": [
        ("10.0.0.0/33", 9),
        ("10.0.0.0/99", 9),
        ("10.0.0.0/128", 9),
        ("10.0.0.0/999", 9),
        ("10.0.0.0/1000", 9),
        ("0.0.0.0/4294967296", 8),
        ("0.0.0.0/18446744073709551616", 8),
        ("::/129", 3),
        ("::/999", 3),
        ("::/256", 3),
        ("::ffff:10.0.0.0/129", 16),
    ],
}
REFUSED_ROWS = [(text, code, position) for code, rows in REFUSED.items() for text, position in rows]


@pytest.mark.parametrize(("text", "code", "position"), REFUSED_ROWS)
def test_text_that_is_no_prefix_is_refused_with_code_and_position(text: str, code: str, position: int) -> None:
    for read_entry in (parse_prefix, parse_entry, Prefix):
        with pytest.raises(InvalidPrefix) as caught:
            read_entry(text)
        assert (caught.value.code, caught.value.position) == (code, position)
        assert caught.value.text == text


@pytest.mark.parametrize("text", [text for text, code, _ in REFUSED_ROWS if code != "host_bits"])
def test_masking_host_bits_forgives_nothing_else(text: str) -> None:
    with pytest.raises(InvalidPrefix):
        parse_prefix(text, host_bits="mask")


@pytest.mark.parametrize("text", ["/", "/0", "/8", "/abc", "//", "/10.0.0.0/8"])
def test_length_without_an_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert caught.value.position == 0


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("203.0.113.5/255.255.255.255", "203.0.113.5/32"),
        ("203.0.113.0/0.0.0.255", "203.0.113.0/24"),
        ("10.0.0.0/0.255.255.255", "10.0.0.0/8"),
        ("203.0.113.7/255.255.255.0", "203.0.113.0/24"),  # host bits too: what is suggested must be right
        ("10.0.0.0/255.255.255.254", "10.0.0.0/31"),
    ],
)
def test_netmask_and_hostmask_are_refused_and_the_length_suggested(text: str, suggestion: str) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert (caught.value.code, caught.value.suggestion) == ("netmask", suggestion)
    assert caught.value.position in (text.index("/") + 1, text.index(".", text.index("/")))


@pytest.mark.parametrize(
    "mask", ["8.0", "64:", "255.0.255.0", "0.0.0.0", "1.2.3.4", "255.255.255.256", "255.255.255", "ffff::"]
)
def test_what_looks_like_a_mask_is_refused_too(mask: str) -> None:
    with pytest.raises(InvalidPrefix):
        parse_prefix(f"0.0.0.0/{mask}")


@pytest.mark.parametrize("size", [0, 1, 3, 5, 15, 17])
def test_packed_bytes_of_another_size_are_refused(size: int) -> None:
    for read_entry in (parse_prefix, parse_entry, Prefix):
        with pytest.raises(InvalidPrefix) as caught:
            read_entry(bytes(size))
        assert caught.value.code == "packed_size"


@pytest.mark.parametrize("zoned", [IPv6Address("fe80::1%eth0"), IPv6Network("fe80::%eth0/64")])
def test_ipv6_object_with_a_zone_is_refused(zoned: IPv6Address | IPv6Network) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(zoned)
    assert caught.value.code == "zone_id"


# Equality, hash, order


def test_C6_two_spellings_of_one_prefix_are_equal_and_hash_alike() -> None:
    for one, other in [("2001:DB8::1", "2001:db8:0::1/128"), ("1.2.3.4", "1.2.3.4/32"), ("::ffff:1.2.3.4", "1.2.3.4")]:
        assert Prefix(one) == Prefix(other)
        assert hash(Prefix(one)) == hash(Prefix(other))
        assert len({Prefix(one), Prefix(other)}) == 1


@pytest.mark.parametrize(
    "other", ["10.0.0.0/9", "10.0.0.0/7", "11.0.0.0/8", "a00::/8", "::a00:0/104", "::/8", "10.0.0.0"]
)
def test_prefixes_that_differ_in_anything_are_not_equal(other: str) -> None:
    masked = parse_prefix(other, host_bits="mask")
    assert Prefix("10.0.0.0/8") != masked


def test_prefix_never_equals_its_text() -> None:
    assert Prefix("10.0.0.0/8") != "10.0.0.0/8"
    assert Prefix("10.0.0.0/8") != IPv4Network("10.0.0.0/8")


CANONICAL = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "0.0.0.0/32",
    "9.0.0.0/8",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.0.0.0/32",
    "10.128.0.0/9",
    "127.0.0.0/8",
    "128.0.0.0/1",
    "255.255.255.255/32",
    "::/0",
    "::/1",
    "::/128",
    "::1/128",
    "::8000:0:0:0/65",
    "0:0:0:1::/64",
    "2001:db8::/32",
    "8000::/1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
]


def test_order_is_family_then_first_address_then_length() -> None:
    prefixes = [Prefix(text) for text in CANONICAL]
    random.Random(1).shuffle(prefixes)
    assert [str(prefix) for prefix in sorted(prefixes)] == CANONICAL


def test_all_six_comparisons_agree() -> None:
    prefixes = [Prefix(text) for text in CANONICAL]
    for place, one in enumerate(prefixes):
        for other_place, other in enumerate(prefixes):
            answers = (one < other, one <= other, one == other, one != other, one >= other, one > other)
            expected = (
                place < other_place,
                place <= other_place,
                place == other_place,
                place != other_place,
                place >= other_place,
                place > other_place,
            )
            assert answers == expected


def test_order_with_something_else_is_a_type_error() -> None:
    for other in ["10.0.0.0/8", None, 8, IPv4Network("10.0.0.0/8")]:
        with pytest.raises(TypeError):
            assert Prefix("10.0.0.0/8") < other  # type: ignore[operator]


def test_covers_is_reflexive_and_keeps_families_apart() -> None:
    eight = Prefix("10.0.0.0/8")
    inner: list[Any] = ["10.0.0.0/8", "10.0.0.0/9", "10.255.255.255", "::ffff:10.1.0.0/112", b"\x0a\x01\x02\x03"]
    for inside in inner:
        assert eight.covers(inside)
    for outside in ["0.0.0.0/0", "10.0.0.0/7", "11.0.0.0", "9.255.255.255", "a00::/8", "::a00:0/104", "::/0"]:
        assert not eight.covers(outside)
    assert not Prefix("::/0").covers("0.0.0.0")
    assert not Prefix("::/0").covers("::ffff:1.2.3.4")
    assert Prefix("::/0").covers("::")


def test_covers_refuses_junk_instead_of_answering_no() -> None:
    with pytest.raises(InvalidPrefix):
        Prefix("10.0.0.0/8").covers("junk")


# Entries


@pytest.mark.parametrize(
    "given",
    [
        ("203.0.113.5", "Office"),
        ("203.0.113.5/32", "Office"),
        (Prefix("203.0.113.5"), "Office"),
        {"prefix": "203.0.113.5", "label": "Office"},
        {"prefix": IPv4Address("203.0.113.5"), "label": "Office"},
        Entry("203.0.113.5", "Office"),
    ],
)
def test_B20_label_comes_back(given: Any) -> None:
    entry = parse_entry(given)
    assert (str(entry.prefix), entry.label) == ("203.0.113.5/32", "Office")


@pytest.mark.parametrize(
    "given", ["203.0.113.5", ("203.0.113.5", None), {"prefix": "203.0.113.5"}, {"prefix": "203.0.113.5", "label": None}]
)
def test_B20_label_is_optional(given: Any) -> None:
    assert parse_entry(given) == Entry("203.0.113.5")
    assert parse_entry(given).label is None


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("203.0.113.5",),
        ("203.0.113.5", "Office", "more"),
        ["203.0.113.5", "Office"],
        {"203.0.113.5", "Office"},
        ("203.0.113.5", 5),
        ("203.0.113.5", b"Office"),
        {},
        {"label": "Office"},
        {"prefix": "203.0.113.5", "lable": "Office"},
        {"prefix": "203.0.113.5", "label": "Office", "more": 1},
        {"prefix": "203.0.113.5", "label": 5},
        {"address": "203.0.113.5"},
        {"prefix": None},
        (None, "Office"),
        (("203.0.113.5", "Office"), "Office"),
        ({"prefix": "203.0.113.5"}, "Office"),
    ],
)
def test_entry_of_another_shape_is_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError):
        parse_entry(given)


@pytest.mark.parametrize("given", [("junk", "Office"), {"prefix": "junk"}, {"prefix": "10.0.0.1/8", "label": "x"}])
def test_entry_with_bad_text_is_an_invalid_prefix(given: Any) -> None:
    with pytest.raises(InvalidPrefix):
        parse_entry(given)


def test_entries_are_equal_by_prefix_and_label() -> None:
    assert Entry("1.2.3.4", "a") == Entry("1.2.3.4/32", "a")
    assert hash(Entry("1.2.3.4", "a")) == hash(Entry("1.2.3.4/32", "a"))
    assert Entry("1.2.3.4", "a") != Entry("1.2.3.4", "b")
    assert Entry("1.2.3.4", "a") != Entry("1.2.3.4")
    assert Entry("1.2.3.4", "a") != Entry("1.2.3.5", "a")
    assert Entry("1.2.3.4") != Prefix("1.2.3.4")


# Values: immutable, picklable, shown usefully

VALUES = [
    Prefix("10.0.0.0/8"),
    Prefix("2001:db8::/48"),
    Prefix("::/0"),
    Entry("10.0.0.0/8"),
    Entry("2001:db8::1", "Büro"),
]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_pickle_and_copy_give_an_equal_value(value: Prefix | Entry) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_repr_says_what_it_is(value: Prefix | Entry) -> None:
    assert type(value).__name__ in repr(value)
    assert str(value if isinstance(value, Prefix) else value.prefix) in repr(value)


@pytest.mark.parametrize("name", ["family", "packed", "length", "address", "is_address", "anything", "__class__"])
def test_prefix_cannot_be_changed(name: str) -> None:
    prefix = Prefix("10.0.0.0/8")
    with pytest.raises((AttributeError, TypeError)):
        setattr(prefix, name, 1)
    with pytest.raises((AttributeError, TypeError)):
        delattr(prefix, name)
    assert prefix == Prefix("10.0.0.0/8")


@pytest.mark.parametrize("name", ["prefix", "label", "anything", "__class__"])
def test_entry_cannot_be_changed(name: str) -> None:
    entry = Entry("10.0.0.0/8", "Office")
    with pytest.raises((AttributeError, TypeError)):
        setattr(entry, name, "x")
    assert entry == Entry("10.0.0.0/8", "Office")


def call_init_again(value: Any, *arguments: Any) -> None:
    """Calling __init__ on a finished value may be refused; what it may not do is change it."""
    try:
        value.__init__(*arguments)
    except TypeError:
        return


def test_second_init_changes_nothing() -> None:
    prefix, entry = Prefix("10.0.0.0/8"), Entry("10.0.0.0/8", "Office")
    call_init_again(prefix, "0.0.0.0/0")
    call_init_again(entry, "0.0.0.0/0", "everyone")
    assert (str(prefix), prefix.length) == ("10.0.0.0/8", 8)
    assert entry == Entry("10.0.0.0/8", "Office")


@pytest.mark.parametrize("closed", [Prefix, Entry, AllowList])
def test_subclassing_is_refused(closed: type) -> None:
    with pytest.raises(TypeError):
        type("Sub", (closed,), {})


@pytest.mark.parametrize("closed", [Prefix, Entry])
def test_no_empty_value_can_be_made(closed: Any) -> None:
    for make in (closed, lambda: closed.__new__(closed), lambda: object.__new__(closed)):
        with pytest.raises(TypeError):
            make()


# The module's aggregate


def test_aggregate_joins_neighbours_and_drops_what_is_covered() -> None:
    given = ["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "2001:db8::/33", "2001:db8:8000::/33", "192.0.2.1"]
    assert [str(prefix) for prefix in aggregate(given)] == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]


@pytest.mark.parametrize(
    "ends", [["128.0.0.0/1", "192.0.0.0/2", "255.255.255.255"], ["8000::/1", "c000::/2", "ffff::"]]
)
def test_aggregate_drops_what_is_covered_where_the_family_ends(ends: list[str]) -> None:
    assert [str(prefix) for prefix in aggregate(ends)] == ends[:1]


def test_aggregate_keeps_neighbours_that_are_no_twins() -> None:
    given = ["10.0.1.0/24", "10.0.2.0/24"]
    assert [str(prefix) for prefix in aggregate(given)] == given


def test_aggregate_keeps_families_apart() -> None:
    given = ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]
    assert [str(prefix) for prefix in aggregate(given)] == ["0.0.0.0/0", "::/0"]
    assert aggregate([]) == []


def test_aggregate_of_junk_is_refused_with_its_index() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        aggregate(["10.0.0.0/8", "junk"])
    assert caught.value.index == 1


@pytest.mark.parametrize(
    "text", ["office.example.net", "a.example.", "12.example.org", "xn--bcher-kva.example", "_d.ex.at"]
)
def test_a_host_name_is_refused_with_the_way_that_takes_it(text: str) -> None:
    with pytest.raises(InvalidPrefix, match="a host name is not a prefix; only a feed with hosts resolves names"):
        parse_prefix(text)


@pytest.mark.parametrize(
    "text", ["localhost", "10.0.0.x", "192.168.1.abc", "example.com/24", "a..example", "-a.example"]
)
def test_other_texts_are_not_taken_for_host_names(text: str) -> None:
    with pytest.raises(InvalidPrefix) as caught:
        parse_prefix(text)
    assert "host name" not in str(caught.value)
