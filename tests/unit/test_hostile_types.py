"""Values that are not what they seem, at every door of the package.

A door is a public call that takes an address or a prefix.  Every door is tried with every value:

    wrong type           None, 5, True, bytearray ...               TypeError
    a lying subclass     str and bytes that override everything     taken by its base value; no override is called
    a tampered object    IPv4Address with _ip = 2 ** 40 ...         refused, or a value that is whole; never a crash
    a lying container    __len__, __iter__, __length_hint__ ...     the items themselves decide, or the error shows

What goes in through a door must never be believed because it says so itself.
"""

import array
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, NoReturn

import pytest

from cidrmatch import (
    AllowList,
    Engine,
    Entry,
    InvalidText,
    KeyStore,
    PatriciaTrie,
    Policy,
    Prefix,
    aggregate,
    format_address,
    parse_address,
    parse_entry,
    parse_prefix,
)

Door = Callable[[Any], Any]

ALLOW = AllowList(["203.0.113.5", "2001:db8::/32"])
TRIE = PatriciaTrie([("203.0.113.5", "four"), ("2001:db8::/32", "six")])

ADDRESS_DOORS: dict[str, Door] = {
    "parse_address": parse_address,
    "format_address": format_address,
    "in": lambda value: value in ALLOW,
    "contains": ALLOW.contains,
    "match": ALLOW.match,
    "matches": ALLOW.matches,
    "contains_many": lambda value: ALLOW.contains_many([value]),
    "in an empty list": lambda value: value in AllowList(),
}


def set_and_drop(value: Any) -> list[object]:
    trie = PatriciaTrie([(value, 1)])
    keys: list[object] = list(trie)
    del trie[value]
    return keys


PREFIX_DOORS: dict[str, Door] = {
    "parse_prefix": parse_prefix,
    "parse_prefix, masked": lambda value: parse_prefix(value, host_bits="mask"),
    "Prefix": Prefix,
    "Prefix.covers": Prefix("0.0.0.0/0").covers,
    "Entry": Entry,
    "AllowList.covers": ALLOW.covers,
    "aggregate": lambda value: aggregate([value]),
    "trie set, del": set_and_drop,
    "trie get": TRIE.get,
    "trie in": lambda value: value in TRIE,
    "longest_match": TRIE.longest_match,
    "covering": TRIE.covering,
    "covered": TRIE.covered,
    "exclude": TRIE.exclude,
}
ENTRY_DOORS: dict[str, Door] = {
    "parse_entry": parse_entry,
    "AllowList": lambda value: list(AllowList([value])),
    "parse_entry, tuple": lambda value: parse_entry((value, None)),
    "parse_entry, mapping": lambda value: parse_entry({"prefix": value}),
}
ALL_DOORS = ADDRESS_DOORS | PREFIX_DOORS | ENTRY_DOORS


def doors(of: dict[str, Door]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("door", of.values(), ids=of)


# Wrong types


class LyingIPv4(IPv4Address):
    """A subclass, and so not to be believed."""

    @property
    def packed(self) -> bytes:
        return b"\xcb\x00\x71\x05"


class LyingIPv6Network(IPv6Network):
    """The same for a network."""


class Spoken:
    """Says it is an address, whichever way it is asked."""

    packed = b"\xcb\x00\x71\x05"
    _ip = 0xCB007105
    version = 4

    def __str__(self) -> str:
        return "203.0.113.5"

    def __fspath__(self) -> str:
        return "203.0.113.5"

    def __bytes__(self) -> bytes:
        return self.packed

    def __index__(self) -> int:
        return self._ip

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("203.0.113.5")


class Impostor(Spoken):
    """Even says that it is a str."""

    __class__ = property(lambda _: str)


WRONG = [
    None,
    True,
    0,
    5,
    3405803781,
    -1,
    2**200,
    5.0,
    1j,
    Decimal(1),
    bytearray(b"\xcb\x00\x71\x05"),
    memoryview(b"\xcb\x00\x71\x05"),
    array.array("B", b"\xcb\x00\x71\x05"),
    [203, 0, 113, 5],
    ["203.0.113.5"],
    {"203.0.113.5"},
    frozenset({"203.0.113.5"}),
    iter(["203.0.113.5"]),
    object(),
    str,
    len,
    Spoken(),
    Impostor(),
    LyingIPv4("203.0.113.5"),
    LyingIPv6Network("2001:db8::/32"),
    IPv4Interface("203.0.113.5/32"),
    IPv6Interface("2001:db8::1/128"),
    NotImplemented,
    ...,
]


@doors(ALL_DOORS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
def test_value_of_a_wrong_type_is_a_type_error(door: Door, value: Any) -> None:
    with pytest.raises(TypeError):
        door(value)


@doors(ADDRESS_DOORS)
@pytest.mark.parametrize(
    "value",
    [IPv4Network("203.0.113.5/32"), IPv6Network("::1/128"), Prefix("203.0.113.5"), Entry("203.0.113.5"), (), {}],
)
def test_prefix_is_no_address(door: Door, value: Any) -> None:
    with pytest.raises(TypeError):
        door(value)


@doors(PREFIX_DOORS)
@pytest.mark.parametrize(
    "value", [Entry("203.0.113.5"), ("203.0.113.5", "x"), {"prefix": "203.0.113.5"}, (), {}], ids=str
)
def test_entry_is_no_prefix(door: Door, value: Any) -> None:
    with pytest.raises(TypeError):
        door(value)


@pytest.mark.parametrize(
    "function",
    [
        *(parse_address, format_address, parse_prefix, parse_entry, Prefix, Entry, aggregate, Prefix("::/0").covers),
        *(ALLOW.contains, ALLOW.match, ALLOW.matches, ALLOW.contains_many, ALLOW.covers),
        *(TRIE.longest_match, TRIE.covering, TRIE.covered, TRIE.exclude, TRIE.get),
    ],
)
def test_call_without_or_with_too_many_arguments_is_a_type_error(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError):
        function()
    with pytest.raises(TypeError):
        function("203.0.113.5", "203.0.113.5", "203.0.113.5")


@pytest.mark.parametrize("label", [5, b"Office", ["Office"], object(), True, Spoken()], ids=repr)
def test_label_of_a_wrong_type_is_a_type_error(label: Any) -> None:
    for build in (lambda: Entry("203.0.113.5", label), lambda: AllowList([("203.0.113.5", label)])):
        with pytest.raises(TypeError):
            build()


# Subclasses that lie


def refuse_to_answer(*_: object, **__: object) -> NoReturn:
    raise AssertionError("an overridden method was called")


OVERRIDDEN = [
    *("__len__", "__str__", "__repr__", "__eq__", "__ne__", "__hash__", "__iter__", "__getitem__", "__contains__"),
    *("__add__", "__bytes__", "__format__", "__lt__", "__gt__", "__le__", "__ge__", "__buffer__"),
    *("encode", "decode", "split", "partition", "isascii", "strip", "find", "index", "count", "startswith", "hex"),
]
LIES: dict[str, Any] = dict.fromkeys(OVERRIDDEN, refuse_to_answer)
LyingText: Any = type("LyingText", (str,), LIES)
LyingBytes: Any = type("LyingBytes", (bytes,), LIES)
LyingTuple: Any = type("LyingTuple", (tuple,), {"__getitem__": refuse_to_answer, "__len__": lambda _: 2})

TEXTS = ["203.0.113.5", "203.0.113.6", "2001:db8::1", "::ffff:203.0.113.5"]
PACKED = [b"\xcb\x00\x71\x05", b"\xcb\x00\x71\x06", bytes.fromhex("20010db8") + bytes(12)]


@doors(ALL_DOORS)
@pytest.mark.parametrize("text", TEXTS)
def test_lying_text_is_taken_by_its_base_value(door: Door, text: str) -> None:
    assert door(LyingText(text)) == door(text)


@doors(ALL_DOORS)
@pytest.mark.parametrize("packed", PACKED, ids=bytes.hex)
def test_lying_bytes_are_taken_by_their_base_value(door: Door, packed: bytes) -> None:
    assert door(LyingBytes(packed)) == door(packed)


@doors(ALL_DOORS)
@pytest.mark.parametrize("text", ["junk", "203.0.113.5\n", "", "\uff11.2.3.4", "203.0.113.256", "::1%lo"])
def test_lying_text_is_refused_by_its_base_value(door: Door, text: str) -> None:
    with pytest.raises(InvalidText) as caught:
        door(LyingText(text))
    with pytest.raises(InvalidText) as plain:
        door(text)
    assert str(caught.value) == str(plain.value)
    assert type(caught.value.text) is str


@doors(ALL_DOORS)
def test_lying_bytes_are_refused_by_their_base_value(door: Door) -> None:
    with pytest.raises(InvalidText) as caught:
        door(LyingBytes(b"12345"))
    assert caught.value.code == "packed_size"
    assert type(caught.value.text) is bytes
    assert "12345" in str(caught.value)


def pose_as_mapping(base: Any, value: Any) -> Any:
    """A text, or bytes, that says it is a mapping with another prefix in it."""
    pose = {
        "__class__": property(lambda _: dict),
        "__iter__": lambda _: iter(["prefix"]),
        "__len__": lambda _: 1,
        "__contains__": lambda _, key: key == "prefix",
        "__getitem__": lambda _, key: "0.0.0.0/0",
        "get": lambda *_: None,
        "keys": lambda _: ["prefix"],
    }
    return type("Posing", (base,), pose)(value)


@doors(ENTRY_DOORS)
def test_text_that_poses_as_a_mapping_is_still_a_text(door: Door) -> None:
    assert door(pose_as_mapping(str, "203.0.113.5")) == door("203.0.113.5")
    assert door(pose_as_mapping(bytes, b"\xcb\x00\x71\x05")) == door("203.0.113.5")


def test_policy_takes_lying_text_by_its_base_value() -> None:
    for value in (LyingText("203.0.113.5"), LyingBytes(b"\xcb\x00\x71\x05"), pose_as_mapping(str, "203.0.113.5")):
        assert Policy().accept([value]) == (Entry("203.0.113.5"),)
    for value in (LyingText("203.0.113.0/24"), pose_as_mapping(str, "203.0.113.0/24")):
        report = Policy(kinds=frozenset({"address"})).validate([value])
        assert [problem.code for problem in report.errors] == ["kind"]


def test_lying_label_is_kept_as_plain_text() -> None:
    try:
        entry = Entry("203.0.113.5", LyingText("Office"))
    except TypeError:
        return
    assert type(entry.label) is str
    assert (entry == Entry("203.0.113.5", "Office"), hash(entry)) == (True, hash(Entry("203.0.113.5", "Office")))


def test_lying_tuple_is_refused_or_taken_by_its_base_value() -> None:
    try:
        entry = parse_entry(LyingTuple(("203.0.113.5", "Office")))
    except TypeError:
        return
    assert entry == Entry("203.0.113.5", "Office")


def test_lying_text_as_the_list_of_entries_is_still_one_text() -> None:
    for one in (LyingText("203.0.113.5"), LyingBytes(b"\xcb\x00\x71\x05")):
        with pytest.raises(TypeError):
            AllowList(one)
        with pytest.raises(TypeError):
            ALLOW.contains_many(one)


# Tampered ipaddress objects


class LyingNumber(int):
    """An int that answers otherwise when asked."""

    def __index__(self) -> int:
        return 0xCB007105

    def __int__(self) -> int:
        return 0xCB007105

    def to_bytes(self, *_: object, **__: object) -> bytes:
        return b"\xcb\x00\x71\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


NUMBERS = [2**32, 2**128, 2**200, -1, -(2**40), "203.0.113.5", b"\0", None, 1.5, True, object(), LyingNumber(1), [1]]


def tampered(kind: Any, number: Any) -> Any:
    address = kind(1)
    address._ip = number
    return address


@doors(ALL_DOORS)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: type(number).__name__)
@pytest.mark.parametrize("kind", [IPv4Address, IPv6Address])
def test_address_with_a_tampered_number_is_refused_or_whole(door: Door, kind: Any, number: Any) -> None:
    value = tampered(kind, number)
    try:
        answer = door(value)
    except (TypeError, ValueError, OverflowError):
        return
    assert isinstance(number, int), "only a number can have been believed"
    width = 4 if kind is IPv4Address else 16
    plain = int.__index__(number)
    assert 0 <= plain < 2 ** (8 * width), "only a number that fits"
    assert answer == door(plain.to_bytes(width, "big"))


@doors(ALL_DOORS)
@pytest.mark.parametrize("kind", [IPv4Address, IPv6Address])
def test_address_without_its_number_is_refused(door: Door, kind: Any) -> None:
    value = kind(1)
    del value._ip
    with pytest.raises((TypeError, ValueError, AttributeError)):
        door(value)


@pytest.mark.parametrize("scope", [5, "", b"eth0", object()], ids=repr)
def test_ipv6_address_with_a_tampered_zone_is_refused_or_ignored(scope: Any) -> None:
    value: Any = IPv6Address("2001:db8::1")
    value._scope_id = scope
    try:
        packed = parse_address(value)
    except (TypeError, ValueError):
        return
    assert packed == parse_address("2001:db8::1")


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: type(number).__name__)
def test_tampered_address_is_a_problem_of_the_policy_not_an_exception(number: Any) -> None:
    value = tampered(IPv4Address, number)
    report = Policy().validate(["203.0.113.5", value])
    try:
        taken = parse_prefix(value)
    except (TypeError, ValueError, OverflowError):
        assert [problem.index for problem in report.errors] == [1]
    else:
        assert report.ok
        assert report.accepted[1].prefix == taken


TAMPERED_NETWORKS: dict[str, dict[str, Any]] = {
    "host bits": {"network_address": IPv4Address("10.0.0.1")},
    "length too large": {"_prefixlen": 33},
    "huge length": {"_prefixlen": 2**70},
    "negative length": {"_prefixlen": -1},
    "length of text": {"_prefixlen": "8"},
    "length None": {"_prefixlen": None},
    "length True": {"_prefixlen": True},
    "lying length": {"_prefixlen": LyingNumber(8)},
    "address None": {"network_address": None},
    "address of text": {"network_address": "10.0.0.0"},
    "address of the other family": {"network_address": IPv6Address("::")},
    "address lying": {"network_address": LyingIPv4("10.0.0.0")},
    "address tampered": {"network_address": tampered(IPv4Address, 2**32)},
    "netmask": {"netmask": IPv4Address("0.0.0.0")},
}


@doors(PREFIX_DOORS | ENTRY_DOORS)
@pytest.mark.parametrize("attributes", TAMPERED_NETWORKS.values(), ids=TAMPERED_NETWORKS)
def test_tampered_network_is_refused_or_whole(door: Door, attributes: dict[str, Any]) -> None:
    network: Any = IPv4Network("10.0.0.0/8")
    for name, value in attributes.items():
        setattr(network, name, value)
    try:
        answer = door(network)
    except (TypeError, ValueError, OverflowError):
        return
    believable = [door("10.0.0.0/8"), door("10.0.0.0/9"), door("0.0.0.0/0")]
    if attributes.get("_prefixlen") is True:
        believable.append(door("0.0.0.0/1"))
    assert answer in believable


def test_network_without_its_parts_is_refused() -> None:
    for name in ("network_address", "_prefixlen"):
        network = IPv4Network("10.0.0.0/8")
        delattr(network, name)
        with pytest.raises((TypeError, ValueError, AttributeError)):
            parse_prefix(network)


# Huge and strange texts

HUGE = 10_000_000
HUGE_TEXTS = {
    "digits": "1" * HUGE,
    "dots": "." * HUGE,
    "colons": ":" * HUGE,
    "zeros": "0" * HUGE,
    "octets": "1." * (HUGE // 2),
    "groups": "1:" * (HUGE // 2),
    "slashes": "/" * HUGE,
    "good, then zeros": "203.0.113.5" + "0" * HUGE,
    "good, then NUL": "203.0.113.5" + "\0" * HUGE,
    "good, then length": "203.0.113.5/" + "3" * HUGE,
    "good after spaces": " " * HUGE + "203.0.113.5",
    "wide": "é" * HUGE,
    "surrogates": "\ud800" * (HUGE // 10),
    "zone": "fe80::1%" + "x" * HUGE,
}


@doors(ALL_DOORS)
@pytest.mark.parametrize("name", HUGE_TEXTS)
def test_huge_text_is_refused_at_once(door: Door, name: str) -> None:
    start = time.process_time()
    with pytest.raises(InvalidText):
        door(HUGE_TEXTS[name])
    assert time.process_time() - start < 1.0


STRANGE = {
    "NUL first": "\0" + "203.0.113.5",
    "NUL inside": "203.0.\x00113.5",
    "NUL last": "203.0.113.5\0",
    "NUL before the length": "203.0.113.5\0/8",
    "full-width": "\uff12\uff10\uff13.0.113.5",
    "Arabic digits": "\u0662\u0660\u0663.\u0660.\u0661\u0661\u0663.\u0665",
    "Devanagari digits": "२०३.0.113.5",
    "superscript": "203.0.113.⁵",
    "full-width dot": "203\uff0e0.113.5",
    "full-width colon": "2001\uff1adb8::1",
    "full-width slash": "203.0.113.5\uff0f32",
    "full-width hex": "2001:\uff44b8::1",
    "Cyrillic a": "2001:db8::\u0430",
    "byte order mark": "\ufeff203.0.113.5",
    "soft hyphen": "203.0.113.5\u00ad",
    "zero-width joiner": "203.0\u200d.113.5",
    "lone surrogate": "203.0.113.5\udc80",
    "surrogate pair halves": "\ud83d\ude00",
    "right-to-left mark": "\u200f203.0.113.5",
    "no-break space": "203.0.113.5\u00a0",
    "combining": "203.0.113.5\u0301",
    "Roman numeral": "203.0.113.\u2164",
    "Latin-1 superscript": "203.0.113.²",
    "next line": "203.0.113.5\x85",
    "last code point": "203.0.113.5\U0010ffff",
}


@doors(ALL_DOORS)
@pytest.mark.parametrize("name", STRANGE)
def test_strange_text_is_refused(door: Door, name: str) -> None:
    with pytest.raises(InvalidText) as caught:
        door(STRANGE[name])
    assert caught.value.text == STRANGE[name]
    assert 0 <= caught.value.position <= len(STRANGE[name])


# Containers that lie


class LyingList(list[Any]):
    """A list that does not say how long it is, nor what is in it."""

    __len__ = __getitem__ = __contains__ = __eq__ = refuse_to_answer


class LyingTupleOfEntries(tuple[Any, ...]):
    """The same for a tuple."""

    __len__ = __getitem__ = __contains__ = refuse_to_answer


@pytest.mark.parametrize("kind", [LyingList, LyingTupleOfEntries])
def test_items_of_a_lying_list_decide(kind: Any) -> None:
    try:
        allow = AllowList(kind(["203.0.113.5", "192.0.2.1"]))
        many = allow.contains_many(kind(["203.0.113.5", "192.0.2.2"]))
    except (AssertionError, TypeError):
        return  # asking is allowed: the error shows
    assert allow == AllowList(["203.0.113.5", "192.0.2.1"])
    assert many == b"\1\0"


class Hinting:
    """Iterates two entries and says that there are some other number of them."""

    def __init__(self, hint: Any) -> None:
        self.hint = hint

    def __iter__(self) -> Iterator[str]:
        return iter(["203.0.113.5", "192.0.2.1"])

    def __length_hint__(self) -> Any:
        return self.hint

    def __len__(self) -> Any:
        return self.hint


@pytest.mark.parametrize("hint", [0, 1, 2**31, 2**62, -1, 2**70, None, "2", 1.5], ids=repr)
def test_wrong_length_hint_never_loses_or_invents_entries(hint: Any) -> None:
    try:
        allow = AllowList(Hinting(hint))
        many = allow.contains_many(Hinting(hint))
    except (TypeError, ValueError, OverflowError, MemoryError):
        return
    assert allow == AllowList(["203.0.113.5", "192.0.2.1"])
    assert many == b"\1\1"


def test_iterable_whose_iter_or_next_misbehaves_shows_its_error() -> None:
    class NoIterator:
        def __iter__(self) -> Any:
            return 5

    class Raising:
        def __iter__(self) -> Iterator[str]:
            raise OSError("not today")

    cases: list[tuple[Any, type[Exception]]] = [(NoIterator(), TypeError), (Raising(), OSError)]
    for entries, error in cases:
        with pytest.raises(error):
            AllowList(entries)
        with pytest.raises(error):
            ALLOW.contains_many(entries)
        with pytest.raises(error):
            aggregate(entries)


class Sweeping(Mapping[str, object]):
    """An entry that empties the list it stands in while it is being read."""

    def __init__(self, entries: list[Any], sweep: Callable[[list[Any]], object]) -> None:
        self.entries, self.sweep = entries, sweep

    def __getitem__(self, key: str) -> object:
        self.sweep(self.entries)
        return {"prefix": "192.0.2.1", "label": None}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["prefix"])

    def __len__(self) -> int:
        return 1


SWEEPS: dict[str, Callable[[list[Any]], object]] = {
    "clear": lambda entries: entries.clear(),
    "shrink": lambda entries: entries.__delitem__(slice(1, None)),
    "grow": lambda entries: entries.extend(["203.0.113.5"] * (1000 if len(entries) < 1000 else 0)),
    "replace": lambda entries: entries.__setitem__(slice(None), ["junk"] * len(entries)),
}


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=SWEEPS)
def test_list_that_changes_while_it_is_read_does_not_crash(sweep: Callable[[list[Any]], object]) -> None:
    entries: list[Any] = [bytes([10, 0, 0, low]) for low in range(100)]
    entries[50] = Sweeping(entries, sweep)
    possible = {Prefix(bytes([10, 0, 0, low])) for low in range(100)} | {Prefix("192.0.2.1"), Prefix("203.0.113.5")}
    try:
        allow = AllowList(entries)
    except (InvalidText, RuntimeError):
        return
    assert {entry.prefix for entry in allow} <= possible


class Mutating(int):
    """The number of an address; whoever asks it for itself changes the list it stands in."""

    entries: list[Any]

    def __index__(self) -> int:
        self.entries.clear()
        return 1

    __int__ = __index__

    def to_bytes(self, *_: object, **__: object) -> bytes:
        self.entries.clear()
        return bytes(4)


def test_list_of_addresses_that_changes_while_it_is_read_does_not_crash() -> None:
    number = Mutating(1)
    addresses: list[Any] = ["203.0.113.5"] * 10 + [tampered(IPv4Address, number)] + ["203.0.113.5"] * 10
    number.entries = addresses
    try:
        answer = ALLOW.contains_many(addresses)
    except (TypeError, ValueError, RuntimeError):
        return
    assert answer[:10] == b"\1" * 10


def test_mapping_that_lies_about_its_keys_is_never_half_read() -> None:
    class Lying(dict[str, object]):
        def keys(self) -> Any:
            return ["prefix"]

        def __iter__(self) -> Iterator[str]:
            return iter(["prefix"])

        def __len__(self) -> int:
            return 1

    with pytest.raises(TypeError):
        parse_entry(Lying(address="203.0.113.5"))
    try:
        entry = parse_entry(Lying(prefix="203.0.113.5", extra="x"))
    except TypeError:
        return
    assert entry == Entry("203.0.113.5")


class Fickle(Mapping[str, object]):
    """A mapping that gives another prefix each time it is asked."""

    def __init__(self, *prefixes: str) -> None:
        self.prefixes = list(prefixes)

    def __getitem__(self, key: str) -> object:
        if key == "label":
            return None
        self.prefixes.append(self.prefixes.pop(0))
        return self.prefixes[-1]

    def __iter__(self) -> Iterator[str]:
        return iter(["prefix", "label"])

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize("turns", range(4))
def test_mapping_that_changes_its_mind_does_not_get_past_a_policy(turns: int) -> None:
    prefixes = ["203.0.113.5"] * 4
    prefixes[turns] = "198.51.100.0/24"
    accepted = Policy(kinds=frozenset({"address"})).validate([Fickle(*prefixes)]).accepted
    assert all(entry.prefix.is_address for entry in accepted)


def test_text_compared_with_everything_equal_is_not_fooled() -> None:
    everything: Any = Spoken()
    assert Prefix("203.0.113.5").__eq__(everything) is NotImplemented
    assert Entry("203.0.113.5").__eq__(everything) is NotImplemented
    assert AllowList(["203.0.113.5"]).__eq__(everything) is NotImplemented
    with pytest.raises(TypeError):
        assert Prefix("203.0.113.5") < everything


# A class that raises when it is asked what it is, and a list that changes behind one's back


class StopError(BaseException):
    """As KeyboardInterrupt: no `Exception`, and never an answer."""


def raising(error: type[BaseException]) -> Any:
    def ask(_: object) -> type:
        raise error("asked for its class")

    return type("Raising", (), {"__class__": property(ask), "__iter__": lambda _: iter(["203.0.113.5"])})()


LIST_DOORS: dict[str, Door] = {
    "AllowList": AllowList,
    "aggregate": aggregate,
    "contains_many": ALLOW.contains_many,
    "match_many": ALLOW.match_many,
    "validate": Policy().validate,
    "KeyStore": KeyStore,
    "KeyStore, entries": lambda value: KeyStore({"key": value}),
    "allows_many, keys": lambda value: KeyStore({}).allows_many(value, ["203.0.113.5"]),
    "allows_many, addresses": lambda value: KeyStore({}).allows_many(["key"], value),
    "engine, allows_many": lambda value: Engine(Policy()).allows_many(["key"], value),
}


@doors(LIST_DOORS | {name: ENTRY_DOORS[name] for name in ("parse_entry", "AllowList")})
@pytest.mark.parametrize("error", [KeyboardInterrupt, StopError, RuntimeError, MemoryError, SystemExit])
def test_what_a_hostile_class_raises_is_heard(door: Door, error: type[BaseException]) -> None:
    with pytest.raises(error, match="asked for its class"):
        door(raising(error))


def test_interruption_while_a_value_is_asked_for_its_class_is_not_lost() -> None:
    """It comes at the value, not at the next call of something else."""
    for door in LIST_DOORS.values():
        try:
            door(raising(KeyboardInterrupt))
        except KeyboardInterrupt:
            continue
        raise AssertionError("the interruption is lost")
    assert ALLOW.contains("203.0.113.5")


SHRINKING = """
import gc, sys
from cidrmatch import AllowList, Engine, KeyStore, Policy
store = KeyStore({"key": ["203.0.113.0/24"]})
engine = Engine(Policy())
engine.put_key("key", ["203.0.113.0/24"])
allow = AllowList(["203.0.113.0/24"])
asks = {
    "store, keys": lambda items: store.allows_many(items, ADDRESSES),
    "store, addresses": lambda items: store.allows_many(KEYS, items),
    "engine, keys": lambda items: engine.allows_many(items, ADDRESSES),
    "engine, addresses": lambda items: engine.allows_many(KEYS, items),
    "contains_many": allow.contains_many,
    "match_many": allow.match_many,
}
COUNT = 5_000
KEYS, ADDRESSES = ("key",) * COUNT, ("203.0.113.7",) * COUNT

class Cleaner:
    def __init__(self, items, keep):
        self.items, self.keep, self.itself = items, keep, self
    def __del__(self):
        del self.items[self.keep:]

for name, ask in asks.items():
    for keep in (0, 1, COUNT - 1):
        for threshold in range(1, 12):
            text = "key" if name.endswith("keys") else "203.0.113.7"
            items = ["".join(list(text)) for _ in range(COUNT)]
            gc.collect()
            gc.disable()
            Cleaner(items, keep)            # garbage in a cycle: freed by the next collection
            gc.set_threshold(threshold, 1, 1)
            gc.enable()
            try:
                answers = ask(items)
            except ValueError:
                continue
            finally:
                gc.set_threshold(700, 10, 10)
            assert len(answers) in (0, keep, COUNT), (name, len(answers))
            assert all(answer in (0, 1) for answer in answers), name
print("done")
"""


def test_list_that_a_finalizer_shrinks_while_it_is_read_never_crashes() -> None:
    """Where the interpreter collects garbage inside an allocation, the finalizer runs in the middle of the batch."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SHRINKING], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]
