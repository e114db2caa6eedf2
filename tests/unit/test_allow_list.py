"""`AllowList`: who is in, through which entry, and that nothing can change it afterwards."""

import array
import copy
import operator
import pickle
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

import pytest

from cidrmatch import AllowList, Entry, InvalidAddress, InvalidPrefix, PolicyError, Prefix, presets
from cidrmatch.policy.policy import Policy

OFFICE = AllowList(
    [
        ("203.0.113.5", "Gateway"),
        ("198.51.100.0/24", "Office"),
        ("198.51.100.128/25", "Upstairs"),
        ("2001:db8::/48", "Site"),
        "2001:db8::1",
    ]
)
INSIDE = ["203.0.113.5", "198.51.100.0", "198.51.100.255", "2001:db8::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff"]
OUTSIDE = [
    "203.0.113.4",
    "203.0.113.6",
    "198.51.99.255",
    "198.51.101.0",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8:1::",
    "0.0.0.0",
    "::",
    "255.255.255.255",
]


# Who is in


@pytest.mark.parametrize("address", INSIDE)
def test_listed_address_is_in(address: str) -> None:
    assert address in OFFICE
    assert OFFICE.contains(address) is True


@pytest.mark.parametrize("address", OUTSIDE)
def test_unlisted_address_is_not_in(address: str) -> None:
    assert address not in OFFICE
    assert OFFICE.contains(address) is False


def test_B13_single_ipv4_address_matches_exactly_one_address() -> None:
    allow = AllowList(["203.0.113.5"])
    assert [f"203.0.113.{low}" in allow for low in range(256)] == [low == 5 for low in range(256)]
    assert "203.0.112.5" not in allow
    assert "202.0.113.5" not in allow


def test_B14_range_matches_both_ends_and_nothing_beside() -> None:
    allow = AllowList(["203.0.113.0/24"])
    assert all(f"203.0.113.{low}" in allow for low in range(256))
    assert "203.0.112.255" not in allow
    assert "203.0.114.0" not in allow


def test_B15_single_ipv6_address_matches_exactly_one_address() -> None:
    allow = AllowList(["2001:db8::1"])
    assert "2001:db8::1" in allow
    assert [address in allow for address in ("2001:db8::", "2001:db8::2", "2001:db8:0:0:1::1")] == [False] * 3


def test_B6_match_on_any_entry_passes() -> None:
    entries = [f"10.{low}.0.0/16" for low in range(0, 40, 2)]
    allow = AllowList(entries)
    assert all(f"10.{low}.7.7" in allow for low in range(0, 40, 2))
    assert not any(f"10.{low}.7.7" in allow for low in range(1, 40, 2))


def test_B24_families_mix_in_one_list_and_never_meet() -> None:
    allow = AllowList(["1.2.3.4", "::5:6:7:8/128"])
    assert "1.2.3.4" in allow
    assert "::5:6:7:8" in allow
    assert "::1.2.3.4" not in allow
    assert "1.2.3.4" not in AllowList(["::/0"])
    assert "::1" not in AllowList(["0.0.0.0/0"])
    assert "::102:304" not in AllowList(["0.0.0.0/0"])


def test_C16_mapped_client_is_the_ipv4_client() -> None:
    allow = AllowList(["203.0.113.5"])
    packed = bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 5])
    clients: list[Any] = ["::ffff:203.0.113.5", "::ffff:cb00:7105", packed, IPv6Address(packed)]
    for client in clients:
        assert client in allow
        assert allow.match(client) == Entry("203.0.113.5")
        assert allow.contains_many([client]) == b"\x01"
    assert allow.contains_many(packed, family=6) == b"\x01"
    assert "::203.0.113.5" not in allow


def test_C16_mapped_entry_becomes_its_ipv4_form() -> None:
    assert AllowList(["::ffff:10.0.0.0/104"]) == AllowList(["10.0.0.0/8"])
    assert "10.1.2.3" in AllowList(["::ffff:10.0.0.0/104"])
    assert "11.0.0.0" not in AllowList(["::ffff:10.0.0.0/104"])


@pytest.mark.parametrize("broad", ["::/0", "::/80", "::/64", "::fffe:0:0/95"])
def test_C16_entry_broader_than_the_mapped_range_does_not_answer_for_ipv4(broad: str) -> None:
    allow = AllowList([broad])
    assert "1.2.3.4" not in allow
    assert "::ffff:1.2.3.4" not in allow
    assert b"\x01\x02\x03\x04" not in allow
    assert bytes(10) + b"\xff\xff\x01\x02\x03\x04" not in allow
    assert allow.contains_many(bytes(10) + b"\xff\xff\x01\x02\x03\x04", family=6) == b"\0"
    assert "::fffe:1.2.3.4" in allow


def test_every_form_of_one_address_gives_one_answer() -> None:
    four: list[Any] = ["198.51.100.7", bytes([198, 51, 100, 7]), IPv4Address("198.51.100.7"), "::ffff:198.51.100.7"]
    six: list[Any] = ["2001:DB8:0::1", bytes.fromhex("20010db8" + "0" * 23 + "1"), IPv6Address("2001:db8::1")]
    for forms in (four, six):
        assert [form in OFFICE for form in forms] == [True] * len(forms)
        assert len({OFFICE.match(form) for form in forms}) == 1


def test_empty_list_lets_nobody_in() -> None:
    empty = AllowList()
    assert (len(empty), list(empty)) == (0, [])
    assert "0.0.0.0" not in empty
    assert "::" not in empty
    assert empty.match("1.2.3.4") is None
    assert empty.contains_many(["1.2.3.4", "::1"]) == b"\0\0"
    assert empty.covers("1.2.3.4") is False
    assert empty == AllowList([])


def test_everything_lets_everybody_of_its_family_in() -> None:
    everyone = AllowList(["0.0.0.0/0", "::/0"])
    for address in ["0.0.0.0", "255.255.255.255", "127.255.255.255", "128.0.0.0", "::", "ffff:" * 7 + "ffff", "8000::"]:
        assert address in everyone


def test_truth_value_is_refused_on_purpose() -> None:
    for allow in (AllowList(), OFFICE):
        with pytest.raises(TypeError):
            bool(allow)
        with pytest.raises(TypeError):
            print("denied" if allow and "1.2.3.4" not in allow else "allowed")  # type: ignore[unreachable]


@pytest.mark.parametrize("junk", ["", "junk", "10.0.0.1 ", "10.0.0.0/8", "1.2.3", b"12345", "::1%lo", "10.0.0.1\n"])
def test_junk_is_refused_and_never_not_listed(junk: Any) -> None:
    questions: list[Callable[[], object]] = [
        lambda: junk in OFFICE,
        lambda: OFFICE.contains(junk),
        lambda: OFFICE.match(junk),
        lambda: OFFICE.matches(junk),
        lambda: OFFICE.contains_many([junk]),
        lambda: junk in AllowList(),
    ]
    for ask in questions:
        with pytest.raises(InvalidAddress) as caught:
            ask()
        assert caught.value.text == junk


@pytest.mark.parametrize("prefix", [Prefix("198.51.100.0/24"), Prefix("203.0.113.5"), IPv4Network("203.0.113.5/32")])
def test_prefix_in_list_is_a_type_error(prefix: Any) -> None:
    with pytest.raises(TypeError):
        assert prefix in OFFICE
    with pytest.raises(TypeError):
        OFFICE.contains(prefix)
    with pytest.raises(TypeError):
        OFFICE.match(prefix)


# Through which entry


def test_B20_match_is_the_most_specific_entry_with_its_label() -> None:
    assert OFFICE.match("198.51.100.200") == Entry("198.51.100.128/25", "Upstairs")
    assert OFFICE.match("198.51.100.127") == Entry("198.51.100.0/24", "Office")
    assert OFFICE.match("2001:db8::1") == Entry("2001:db8::1")
    assert OFFICE.match("2001:db8::2") == Entry("2001:db8::/48", "Site")
    assert OFFICE.match("192.0.2.1") is None


def test_matches_go_from_the_most_specific_outwards() -> None:
    assert OFFICE.matches("198.51.100.200") == [
        Entry("198.51.100.128/25", "Upstairs"),
        Entry("198.51.100.0/24", "Office"),
    ]
    assert OFFICE.matches("2001:db8::1") == [Entry("2001:db8::1"), Entry("2001:db8::/48", "Site")]
    assert OFFICE.matches("192.0.2.1") == []


def test_matches_of_the_longest_chain() -> None:
    allow = AllowList([f"::/{length}" for length in range(129)] + [f"0.0.0.0/{length}" for length in range(33)])
    assert [entry.prefix.length for entry in allow.matches("::")] == list(range(128, -1, -1))
    assert [entry.prefix.length for entry in allow.matches("0.0.0.0")] == list(range(32, -1, -1))
    assert [entry.prefix.length for entry in allow.matches("0:0:0:1::")] == list(range(63, -1, -1))


# Many at once


def test_contains_many_answers_each_in_turn() -> None:
    mixed = [address for pair in zip(INSIDE, OUTSIDE, strict=False) for address in pair]
    assert OFFICE.contains_many(mixed) == bytes([1, 0] * len(INSIDE))
    assert OFFICE.contains_many(iter(mixed)) == bytes([1, 0] * len(INSIDE))
    assert OFFICE.contains_many(tuple(mixed)) == bytes([1, 0] * len(INSIDE))
    assert OFFICE.contains_many([]) == b""
    assert OFFICE.contains_many([b"\xcb\x00\x71\x05", IPv4Address("203.0.113.6")]) == b"\x01\x00"


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda packed: array.array("B", packed)])
def test_contains_many_reads_packed_addresses_in_network_order(wrap: Any) -> None:
    four = struct.pack(">III", 0xCB007105, 0x057100CB, 0xC6336400)
    assert OFFICE.contains_many(wrap(four), family=4) == b"\x01\x00\x01"
    six = b"".join(IPv6Address(text).packed for text in ["2001:db8::1", "::1", "2001:db8:1::"])
    assert OFFICE.contains_many(wrap(six), family=6) == b"\x01\x00\x00"
    assert OFFICE.contains_many(wrap(b""), family=4) == OFFICE.contains_many(wrap(b""), family=6) == b""


@pytest.mark.parametrize(("size", "family"), [(1, 4), (3, 4), (5, 4), (7, 4), (4, 6), (15, 6), (17, 6), (24, 6)])
def test_contains_many_refuses_a_buffer_that_holds_part_of_an_address(size: int, family: Any) -> None:
    with pytest.raises(ValueError):
        OFFICE.contains_many(bytes(size), family=family)


@pytest.mark.parametrize("family", [0, 5, -4, 46, 2**40])
def test_contains_many_refuses_another_family(family: Any) -> None:
    with pytest.raises(ValueError):
        OFFICE.contains_many(bytes(16), family=family)


@pytest.mark.parametrize("addresses", ["203.0.113.5", b"\xcb\x00\x71\x05", bytearray(4), memoryview(bytes(4)), 5, None])
def test_contains_many_without_a_family_refuses_what_is_no_list(addresses: Any) -> None:
    with pytest.raises(TypeError):
        OFFICE.contains_many(addresses)


@pytest.mark.parametrize("addresses", [["203.0.113.5"], "203.0.113.5", 5, None, object()])
def test_contains_many_with_a_family_refuses_what_is_no_buffer(addresses: Any) -> None:
    with pytest.raises(TypeError):
        OFFICE.contains_many(addresses, family=4)


def test_contains_many_never_misreads_a_buffer_with_holes() -> None:
    packed = struct.pack(">IIII", 0xCB007105, 0, 0xCB007105, 0)
    strided = memoryview(packed)[::2]
    try:
        answer = OFFICE.contains_many(strided, family=4)
    except (ValueError, BufferError, TypeError):
        return
    assert answer == OFFICE.contains_many(bytes(strided), family=4)


def test_contains_many_refuses_junk_with_its_index() -> None:
    with pytest.raises(InvalidAddress) as caught:
        OFFICE.contains_many(["203.0.113.5", "1.2.3.4", "junk"])
    assert (caught.value.index, caught.value.text) == (2, "junk")


# Covers


@pytest.mark.parametrize(
    "prefix", ["198.51.100.0/24", "198.51.100.0/25", "198.51.100.7", "2001:db8::/48", "203.0.113.5"]
)
def test_covers_a_prefix_inside(prefix: str) -> None:
    assert OFFICE.covers(prefix) is True
    assert OFFICE.covers(Prefix(prefix)) is True


@pytest.mark.parametrize(
    "prefix",
    ["198.51.100.0/23", "0.0.0.0/0", "::/0", "203.0.113.4/31", "2001:db8::/47", "192.0.2.0/24", "::203.0.113.5"],
)
def test_covers_no_prefix_that_reaches_outside(prefix: str) -> None:
    assert OFFICE.covers(prefix) is False


def test_covers_adds_several_entries_up() -> None:
    halves = AllowList(["10.0.0.0/9", "10.128.0.0/9", "2001:db8::/33", "2001:db8:8000::/34"])
    assert halves.covers("10.0.0.0/8") is True
    assert halves.covers("2001:db8::/32") is False


def test_covers_refuses_junk() -> None:
    for junk in ["junk", "10.0.0.1/8", ""]:
        with pytest.raises(InvalidPrefix):
            OFFICE.covers(junk)


# Building


def test_entries_come_back_in_canonical_order() -> None:
    assert list(OFFICE) == [
        Entry("198.51.100.0/24", "Office"),
        Entry("198.51.100.128/25", "Upstairs"),
        Entry("203.0.113.5", "Gateway"),
        Entry("2001:db8::/48", "Site"),
        Entry("2001:db8::1"),
    ]
    assert len(OFFICE) == 5


def test_B20_entries_come_in_every_form() -> None:
    forms: list[Any] = [
        "203.0.113.0/24",
        ("203.0.113.0/24", None),
        {"prefix": "203.0.113.0/24"},
        Entry("203.0.113.0/24"),
        Prefix("203.0.113.0/24"),
        IPv4Network("203.0.113.0/24"),
    ]
    for form in forms:
        assert list(AllowList([form])) == [Entry("203.0.113.0/24")]


def test_entries_may_come_from_any_iterable() -> None:
    texts = ["10.0.0.0/8", "192.0.2.1"]
    for iterable in (tuple(texts), set(texts), iter(texts), (text for text in texts), AllowList(texts)):
        assert AllowList(iterable) == AllowList(texts)


def test_C6_duplicates_collapse_and_the_first_label_stays() -> None:
    allow = AllowList([("1.2.3.4", "first"), ("1.2.3.4/32", "second"), "::ffff:1.2.3.4", ("2001:DB8::1", None)])
    assert list(allow) == [Entry("1.2.3.4", "first"), Entry("2001:db8::1")]
    unlabelled = AllowList(["2001:DB8::1", ("2001:db8:0::1/128", "later")])
    assert len(unlabelled) == 1


def test_bad_entry_is_refused_with_its_index_and_nothing_is_built() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        AllowList(["10.0.0.0/8", ("192.0.2.1", "fine"), "203.0.113.7/24"])
    assert (caught.value.index, caught.value.code) == (2, "host_bits")
    assert "entry 2" in str(caught.value)


def test_C15_list_refuses_host_bits_and_suggests_the_network() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        AllowList(["203.0.113.7/24"])
    assert caught.value.suggestion == "203.0.113.0/24"


@pytest.mark.parametrize("entry", ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "0.0.0.0/0", "ff02::1"])
def test_C25_list_without_a_policy_applies_the_text_rules_only(entry: str) -> None:
    assert len(AllowList([entry])) == 1


@pytest.mark.parametrize("entry", [None, 5, True, 1.5, bytearray(4), object(), [], ("10.0.0.0/8",), {}])
def test_entry_of_another_type_is_a_type_error(entry: Any) -> None:
    with pytest.raises(TypeError):
        AllowList(["192.0.2.1", entry])


ONE_THING = [
    "10.0.0.0/8",
    "",
    "1",
    b"\x0a\0\0\0",
    b"",
    bytearray(4),
    {"10.0.0.0/8": "label"},
    {"prefix": "10.0.0.0/8"},
    {},
    Entry("10.0.0.0/8"),
    Prefix("10.0.0.0/8"),
    IPv4Address("1.2.3.4"),
    None,
    5,
]


@pytest.mark.parametrize("entries", ONE_THING, ids=repr)
def test_one_thing_is_no_list_of_entries(entries: Any) -> None:
    with pytest.raises(TypeError):
        AllowList(entries)


def test_one_network_object_is_no_list_of_entries() -> None:
    """It can be iterated, address by address; 2 ** 128 of them would be a strange reading of ::/0."""
    with pytest.raises(TypeError):
        AllowList(IPv4Network("10.0.0.0/30"))


def test_iterable_that_raises_midway_is_not_swallowed() -> None:
    def entries() -> Iterator[str]:
        yield "10.0.0.0/8"
        raise OSError("the file ended")

    with pytest.raises(OSError, match="the file ended"):
        AllowList(entries())
    with pytest.raises(OSError, match="the file ended"):
        OFFICE.contains_many(address.removesuffix("/8") for address in entries())


def test_policy_decides_what_is_accepted() -> None:
    with pytest.raises(PolicyError) as caught:
        AllowList(["10.0.0.0/8", "junk"], policy=presets.bitbybit())
    assert [problem.index for problem in caught.value.report.errors] == [0, 1]
    assert AllowList(["10.0.0.0/9"], policy=presets.bitbybit()) == AllowList(["10.0.0.0/9"])
    assert AllowList(["203.0.113.7/24"], policy=Policy(host_bits="mask")) == AllowList(["203.0.113.0/24"])


# A value


def test_equality_is_same_prefixes_and_same_labels() -> None:
    one = AllowList([("10.0.0.0/8", "a"), "192.0.2.1"])
    assert one == AllowList(["192.0.2.1/32", ("10.0.0.0/8", "a"), "192.0.2.1"])
    assert hash(one) == hash(AllowList(["192.0.2.1/32", ("10.0.0.0/8", "a")]))
    for other in (AllowList([("10.0.0.0/8", "b"), "192.0.2.1"]), AllowList(["10.0.0.0/8", "192.0.2.1"]), AllowList()):
        assert one != other
    assert one != [Entry("10.0.0.0/8", "a"), Entry("192.0.2.1")]
    assert AllowList(["0.0.0.0/0"]) != AllowList(["::/0"])


def test_lists_with_equal_addresses_but_other_entries_are_not_equal() -> None:
    assert AllowList(["10.0.0.0/8"]) != AllowList(["10.0.0.0/9", "10.128.0.0/9"])
    assert AllowList(["10.0.0.0/8"]) != AllowList(["10.0.0.0/8", "10.1.0.0/16"])


def test_union_holds_both_and_the_left_label_wins() -> None:
    left = AllowList([("10.0.0.0/8", "left"), "192.0.2.1"])
    right = AllowList([("10.0.0.0/8", "right"), ("2001:db8::/32", "docs")])
    assert left | right == AllowList([("10.0.0.0/8", "left"), "192.0.2.1", ("2001:db8::/32", "docs")])
    assert right | left == AllowList([("10.0.0.0/8", "right"), "192.0.2.1", ("2001:db8::/32", "docs")])
    assert (left, right) == (
        AllowList([("10.0.0.0/8", "left"), "192.0.2.1"]),
        AllowList([("10.0.0.0/8", "right"), ("2001:db8::/32", "docs")]),
    )


@pytest.mark.parametrize("other", [["10.0.0.0/8"], "10.0.0.0/8", None, {"10.0.0.0/8"}, 5])
def test_union_with_something_else_is_a_type_error(other: Any) -> None:
    with pytest.raises(TypeError):
        OFFICE | other
    with pytest.raises(TypeError):
        other | OFFICE


@pytest.mark.parametrize("other", [["10.0.0.0/8"], "10.0.0.0/8", None, {"10.0.0.0/8"}, 5])
@pytest.mark.parametrize(
    "combine", [operator.sub, operator.and_, operator.xor, operator.le, operator.lt, operator.ge, operator.gt]
)
def test_a_list_is_combined_and_compared_with_lists_only(combine: Callable[[Any, Any], Any], other: Any) -> None:
    """A set of texts might be meant as a list, but it might hold junk as well: that is for AllowList() to say."""
    for one, two in ((OFFICE, other), (other, OFFICE)):
        with pytest.raises(TypeError, match=r"not supported|unsupported"):
            combine(one, two)
    for ask in (OFFICE.isdisjoint, OFFICE.issubset, OFFICE.issuperset):
        with pytest.raises(TypeError, match="an AllowList was expected, not"):
            ask(other)


def test_pieces_have_the_label_of_the_most_specific_entry_around_them() -> None:
    corp = AllowList([("10.0.0.0/8", "Corp"), ("10.1.0.0/16", "Vienna"), "10.1.2.0/24", ("192.0.2.1", "CI")])
    rest = corp - AllowList([("10.1.128.0/17", "other"), ("10.1.2.128/25", "other")])
    asked = ["10.9.9.9", "10.1.3.3", "10.1.2.1", "10.1.2.200", "10.1.200.1", "192.0.2.1"]
    found = [rest.match(address) for address in asked]
    assert [entry and entry.label for entry in found] == ["Corp", "Vienna", None, None, None, "CI"]
    assert [entry and str(entry) for entry in found[2:5]] == ["10.1.2.0/25", None, None]
    assert corp & AllowList([("10.1.2.3", "other")]) == AllowList(["10.1.2.3"])
    assert corp & AllowList([("10.0.0.0/7", "other")]) == AllowList(list(corp)[:3])


def test_aggregate_is_the_fewest_prefixes() -> None:
    allow = AllowList(["10.0.0.0/9", ("10.128.0.0/9", "b"), "10.1.2.3", "::/1", "8000::/1"])
    assert [str(prefix) for prefix in allow.aggregate()] == ["10.0.0.0/8", "::/0"]


@pytest.mark.parametrize("allow", [OFFICE, AllowList(), AllowList(["0.0.0.0/0", ("::/0", "é")])], ids=len)
def test_pickle_and_copy_give_an_equal_list(allow: AllowList) -> None:
    twins = [pickle.loads(pickle.dumps(allow, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for twin in [*twins, copy.copy(allow), copy.deepcopy(allow)]:
        assert type(twin) is AllowList
        assert (twin, hash(twin), list(twin)) == (allow, hash(allow), list(allow))
        assert [address in twin for address in INSIDE + OUTSIDE] == [address in allow for address in INSIDE + OUTSIDE]


@pytest.mark.parametrize("name", ["entries", "contains", "anything", "__class__", "__dict__"])
def test_attributes_cannot_be_set(name: str) -> None:
    allow = AllowList(["10.0.0.0/8"])
    with pytest.raises((AttributeError, TypeError)):
        setattr(allow, name, [])
    with pytest.raises((AttributeError, TypeError)):
        delattr(allow, name)
    assert "10.1.2.3" in allow


def call_if_there(value: object, name: str, argument: object) -> None:
    """Calling it may be refused, or do nothing; what it may not do is seen afterwards."""
    try:
        getattr(value, name)(argument)
    except (TypeError, AttributeError, ValueError):
        return


def test_second_init_and_setstate_change_nothing() -> None:
    allow = AllowList(["10.0.0.0/8"])
    before = hash(allow)
    everyone = AllowList(["0.0.0.0/0"])
    for name in ("__init__", "__cinit__", "__setstate__", "__setstate_cython__"):
        for argument in (["0.0.0.0/0"], everyone, everyone.__reduce_ex__(4)):
            call_if_there(allow, name, argument)
    assert (list(allow), hash(allow)) == ([Entry("10.0.0.0/8")], before)
    assert "11.0.0.0" not in allow


def test_list_keeps_nothing_of_the_list_it_came_from() -> None:
    entries = ["10.0.0.0/8"]
    allow = AllowList(entries)
    entries.append("0.0.0.0/0")
    entries[0] = "::/0"
    assert list(allow) == [Entry("10.0.0.0/8")]


def test_no_list_without_its_parts_can_be_made() -> None:
    with pytest.raises(TypeError):
        object.__new__(AllowList)
    assert list(AllowList.__new__(AllowList)) == []


def test_repr_shows_the_entries_and_stays_short() -> None:
    assert "AllowList" in repr(OFFICE)
    assert "198.51.100.0/24" in repr(OFFICE)
    assert len(repr(AllowList([bytes([10, 0, high, low]) for high in range(20) for low in range(256)]))) < 2000


def test_U13_range_covers_servers_that_are_added_later() -> None:
    allow = AllowList(["10.0.0.0/24"])
    assert allow.contains_many([f"10.0.0.{low}" for low in range(256)]) == b"\x01" * 256
    assert "10.0.1.0" not in allow


@pytest.mark.parametrize(
    "count", [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 19, 20, 21, 31, 32, 33, 63, 64, 65, 100, 257, 1000, 5000]
)
def test_every_size_of_list_answers_at_every_border(count: int) -> None:
    """A list may choose its form by size; each form must know its first, its last and its gaps."""
    four = [0x0A000001 + 4 * place for place in range(count)]
    six = [(0x20010DB8 << 96) + (1 << 64) * place + (1 << 63) for place in range(count)]
    allow = AllowList([number.to_bytes(4, "big") for number in four] + [number.to_bytes(16, "big") for number in six])
    assert len(allow) == 2 * count
    for numbers, size in ((four, 4), (six, 16)):
        probes = [(number + step).to_bytes(size, "big") for number in numbers for step in (-1, 0, 1)]
        assert allow.contains_many(probes) == bytes([0, 1, 0] * count)
        assert [probe in allow for probe in probes] == [False, True, False] * count
