"""Who is measured: cidrmatch, the floors and the rivals.

    build(texts) -> box     a list of prefix texts becomes what the loop asks (see ways.py)
    way                     the loop

Each is written the fastest way its library offers: a slot before a method, a
frozen tree where freezing helps, its own packed lookup where it has one.

The roles:

    empty    shown beside the others, compared with nobody, subtracted from nobody: the loop
             alone, nothing asked; the floor's own bound method, for what a call costs
    floor    what a Python user pays for less.  A set of texts, as many as the list
             has prefixes, is `exact`: it holds addresses and is asked for those,
             with as many hits as the others have.  For a packed buffer it is one
             read of all its bytes: who answers has at least to read the question
    ours     cidrmatch
    rival    everybody else

Known limits of the rivals, and how they are met here: pytricia and ipset_c hold
one family (a mixed list is two pytricia trees and a choice in Python);
pysubnettree's exact `lookup` fails on a miss, so it is asked by `in` alone;
netaddr and a scan with `ipaddress` take part up to 1,000 prefixes.

Our own are measured on older commits, too, to show a before and an after: those
that need a method which a commit does not have stay away.
"""

import ipaddress
import socket
import warnings
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal

import ipset_c
import netaddr
import numpy as np
import pytricia
import radix

from benchmarks import ways
from benchmarks.data import Coverage, Family, space_of
from benchmarks.ways import Way
from cidrmatch import AllowList, Entry, PatriciaTrie, Prefix, parse_address

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # SWIG's own types, on newer Pythons
    import SubnetTree

Role = Literal["ours", "floor", "empty", "rival"]
Build = Callable[[Any], Any]


@dataclass(frozen=True)
class Contestant:
    """One way of answering a question."""

    name: str
    build: Build
    way: Way = ways.IN
    role: Role = "rival"
    exact: bool = False
    largest: int = 10_000_000
    """The longest list it is asked to hold: the slow ones stay out of the large questions."""
    needs: str = "contains"
    """The method of `AllowList` without which this one stays away."""
    builds_from: Literal["texts", "lines"] = "texts"
    """What a question of building hands over: a list of texts, or one buffer with a text a line."""

    @property
    def is_slow(self) -> bool:
        return self.largest <= 1_000

    @property
    def is_possible(self) -> bool:
        return hasattr(AllowList, self.needs)


# --- the boxes ---------------------------------------------------------------


def no_box(_texts: list[str]) -> None:
    return None


def insert_all(tree: Any, texts: Iterable[str]) -> Any:
    for text in texts:
        tree[text] = text
    return tree


def pytricia_tree(texts: list[str]) -> pytricia.PyTricia:
    return insert_all(pytricia.PyTricia(space_of(texts[0]).bits), texts)


def pytricia_frozen(texts: list[str]) -> pytricia.PyTricia:
    tree = pytricia_tree(texts)
    tree.freeze()
    return tree


def pytricia_pair(texts: list[str]) -> Callable[[str], bool]:
    """One tree for each family, and the choice that its user has to write."""
    v4 = pytricia_frozen([text for text in texts if ":" not in text])
    v6 = pytricia_frozen([text for text in texts if ":" in text])
    return lambda text: text in (v6 if ":" in text else v4)


def radix_tree(texts: list[str]) -> radix.Radix:
    tree = radix.Radix()
    for text in texts:
        tree.add(text)
    return tree


def radix_find(texts: list[str]) -> Callable[..., Any]:
    return radix_tree(texts).search_best  # type: ignore[no-any-return]


def subnet_tree(texts: list[str]) -> SubnetTree.SubnetTree:
    return insert_all(SubnetTree.SubnetTree(), texts)


def subnet_tree_packed(texts: list[str]) -> SubnetTree.SubnetTree:
    tree = subnet_tree(texts)
    tree.set_binary_lookup_mode(True)
    return tree


def sorted_borders(texts: list[str]) -> ways.Borders:
    """The best one can write by hand: merged ranges, packed, asked by `bisect`."""
    space = space_of(texts[0])
    return space.socket_family, Coverage(texts).packed_borders(space)


def scan_networks(texts: list[str]) -> Callable[[str], bool]:
    """What most people write first."""
    networks = [ipaddress.ip_network(text) for text in texts]

    def covers(text: str) -> bool:
        address = ipaddress.ip_address(text)
        return any(address in network for network in networks)

    return covers


def from_lines(lines: bytes) -> AllowList:
    return AllowList.from_lines(lines)


def trie_of(texts: list[str]) -> PatriciaTrie[str]:
    trie: PatriciaTrie[str] = PatriciaTrie()
    return insert_all(trie, texts)  # type: ignore[no-any-return]


# --- the answers of a match: the text of the prefix, or None -----------------


def entry_text(entry: Entry | None) -> str | None:
    return None if entry is None else str(entry.prefix)


def item_text(item: tuple[Prefix, object] | None) -> str | None:
    return None if item is None else str(item[0])


def node_text(node: Any) -> str | None:
    return None if node is None else str(node.prefix)


def same_text(text: str | None) -> str | None:
    return text


# --- who answers which question ----------------------------------------------

EMPTY = Contestant("the empty loop", no_box, ways.NOTHING, role="empty")
FROZENSET = Contestant("text in frozenset", frozenset, role="floor", exact=True)
FROZENSET_CALL = Contestant(
    "frozenset.__contains__(text)",
    lambda texts: frozenset(texts).__contains__,
    ways.CALL,
    role="empty",
    exact=True,
)
ALLOW_IN = Contestant("ip in allow", AllowList, role="ours")
BISECT = Contestant("inet_pton + bisect", sorted_borders, ways.BISECT)

_RIVALS = (
    Contestant("pytricia", pytricia_frozen),
    Contestant("ipset_c", ipset_c.IPSet),
    Contestant("py-radix", radix_find, ways.CALL),
    Contestant("pysubnettree", subnet_tree),
    BISECT,
    Contestant("netaddr", netaddr.IPSet, largest=1_000),
    Contestant("ipaddress, a scan", scan_networks, ways.CALL, largest=1_000),
)
_RIVALS_MIXED = (
    Contestant("pytricia", pytricia_pair, ways.CALL),
    Contestant("py-radix", radix_find, ways.CALL),
    Contestant("pysubnettree", subnet_tree),
    Contestant("ipaddress, a scan", scan_networks, ways.CALL, largest=1_000),
)


def lookup(family: Family) -> tuple[Contestant, ...]:
    """Is this text on the list?"""
    ours = (ALLOW_IN, Contestant("allow.contains(ip)", lambda texts: AllowList(texts).contains, ways.CALL, role="ours"))
    return (EMPTY, FROZENSET, FROZENSET_CALL, *ours, *(_RIVALS_MIXED if family == "mixed" else _RIVALS))


LOOKUP_FEW = (EMPTY, FROZENSET, ALLOW_IN, Contestant("pytricia", pytricia_frozen), Contestant("ipset_c", ipset_c.IPSet))
"""Those of the first rank, for the rows that only vary the share of hits."""

MATCH = (
    EMPTY,
    Contestant("dict.get", lambda texts: dict.fromkeys(texts, True).get, ways.CALL, role="floor", exact=True),
    Contestant("allow.contains(ip)", lambda texts: AllowList(texts).contains, Way(ways.ask_call), role="empty"),
    Contestant(
        "allow.match(ip)", lambda texts: AllowList(texts).match, ways.say(ways.ask_call, entry_text), role="ours"
    ),
    Contestant(
        "trie.longest_match(ip)",
        lambda texts: trie_of(texts).longest_match,
        ways.say(ways.ask_call, item_text),
        role="ours",
    ),
    Contestant("pytricia", lambda texts: pytricia_frozen(texts).get_key, ways.say(ways.ask_call, same_text)),
    Contestant("py-radix", radix_find, ways.say(ways.ask_call, node_text)),
)
"""Which prefix of the list covers it, the most specific one?"""

BATCH = (
    Contestant("[ip in frozenset ...]", frozenset, ways.LIST_IN, role="floor", exact=True),
    Contestant("contains_many(ips)", lambda texts: AllowList(texts).contains_many, ways.ONCE, role="ours"),
    Contestant("[ip in allow ...]", AllowList, ways.LIST_IN, role="ours"),
    Contestant("pytricia", pytricia_frozen, ways.LIST_IN),
    Contestant("ipset_c", ipset_c.IPSet, ways.LIST_IN),
)
"""The same for a list of texts, the answers kept."""


# --- packed addresses, many of them in one buffer -----------------------------


def read_buffer(_texts: list[str]) -> Callable[[bytes], object]:
    """Read every byte once and keep one register.  (Of NumPy's reductions, `max` reads the fastest.)"""
    return lambda buffer: np.frombuffer(buffer, "u8").max()


def family_of(texts: list[str]) -> Literal[4, 6]:
    return 6 if ":" in texts[0] else 4


def packed_contains(texts: list[str]) -> Callable[..., Any]:
    return partial(AllowList(texts).contains_many, family=family_of(texts))


def packed_match(texts: list[str], allow: AllowList) -> Callable[..., Any]:
    return partial(allow.match_many, family=family_of(texts))


def into(ask: Callable[..., object], new_output: Callable[[int], Any], texts: list[str]) -> Callable[[bytes], Any]:
    """The same with an output of the caller's own, made once for each count of addresses and used again."""
    output_for = cache(new_output)
    size_bytes = space_of(texts[0]).bits // 8

    def answer(buffer: bytes) -> Any:
        output = output_for(len(buffer) // size_bytes)
        ask(buffer, out=output)
        return output

    return answer


def new_indexes(count: int) -> "array[int]":
    return array("i", bytes(4 * count))


def indexed(texts: list[str], ask: Callable[[list[str], AllowList], Callable[..., Any]]) -> ways.Indexed:
    allow = AllowList(texts)
    return ways.Indexed(ask(texts, allow), [str(entry.prefix) for entry in allow])


READ = Contestant("read of the buffer", read_buffer, ways.BUFFER_READ, role="floor")
CONTAINS_BUFFER = Contestant("contains_many(buffer)", packed_contains, ways.BUFFER_ONCE, role="ours")
CONTAINS_INTO = Contestant(
    "contains_many(buffer, out=)",
    lambda texts: into(packed_contains(texts), bytearray, texts),
    ways.BUFFER_ONCE,
    role="ours",
    needs="match_many",  # `out` came with it
)

PACKED = (
    READ,
    CONTAINS_BUFFER,
    CONTAINS_INTO,
    Contestant("packed in allow", AllowList, ways.PACKED_IN, role="ours"),
    Contestant("pytricia", pytricia_frozen, ways.PACKED_IN),
    Contestant("py-radix", radix_find, ways.PACKED_RADIX),
    Contestant("pysubnettree", subnet_tree_packed, ways.PACKED_IN),
    Contestant("bisect", sorted_borders, ways.PACKED_BISECT),
)
"""The same for packed addresses: in one buffer, or one by one."""

PACKED_FEW = (READ, CONTAINS_BUFFER, CONTAINS_INTO, Contestant("pytricia", pytricia_frozen, ways.PACKED_IN))

MATCH_MANY = (
    Contestant(
        "[dict.get(ip) ...]",
        lambda texts: dict.fromkeys(texts, True).get,
        ways.LIST_CALL,
        role="floor",
        exact=True,
    ),
    Contestant(
        "match_many(ips)",
        lambda texts: indexed(texts, lambda _texts, allow: allow.match_many),
        ways.INDEX_ONCE,
        role="ours",
        needs="match_many",
    ),
    Contestant(
        "[allow.match(ip) ...]",
        lambda texts: AllowList(texts).match,
        ways.say(ways.list_call, entry_text),
        role="ours",
    ),
    Contestant("pytricia", lambda texts: pytricia_frozen(texts).get_key, ways.say(ways.list_call, same_text)),
    Contestant("py-radix", radix_find, ways.say(ways.list_call, node_text)),
)
"""Which prefixes cover the texts of a list?  Ours says so by index."""

MATCH_MANY_PACKED = (
    READ,
    Contestant(
        "match_many(buffer)",
        lambda texts: indexed(texts, packed_match),
        ways.BUFFER_INDEX_ONCE,
        role="ours",
        needs="match_many",
    ),
    Contestant(
        "match_many(buffer, out=)",
        lambda texts: indexed(texts, lambda texts, allow: into(packed_match(texts, allow), new_indexes, texts)),
        ways.BUFFER_INDEX_ONCE,
        role="ours",
        needs="match_many",
    ),
    Contestant(
        "[allow.match(packed) ...]",
        lambda texts: AllowList(texts).match,
        ways.say(ways.list_call, entry_text, takes="packed"),
        role="ours",
    ),
    Contestant(
        "pytricia",
        lambda texts: pytricia_frozen(texts).get_key,
        ways.say(ways.list_call, same_text, takes="packed"),
    ),
    Contestant("py-radix", radix_find, ways.say_radix(ways.list_radix_packed, node_text)),
)
"""The same for packed addresses."""

BUILD = (
    replace(FROZENSET, name="frozenset(texts)"),
    Contestant("AllowList(texts)", AllowList, role="ours"),
    Contestant("AllowList.from_lines(buffer)", from_lines, role="ours", needs="from_lines", builds_from="lines"),
    Contestant("pytricia", pytricia_tree),
    Contestant("ipset_c", ipset_c.IPSet),
    Contestant("py-radix", radix_find, ways.CALL),
    Contestant("pysubnettree", subnet_tree),
    replace(BISECT, largest=100_000),
)
"""From a list of texts, or from one buffer of lines, to something that can be asked."""

TRIE = Way(ways.ask_nothing, lambda trie, items: [trie.longest_match(item) is not None for item in items])
"""A trie's own `in` asks for a key, not for an address."""

INSERT = (
    Contestant("dict", lambda texts: insert_all({}, texts), role="floor", exact=True),
    Contestant("PatriciaTrie", trie_of, TRIE, role="ours"),
    Contestant("pytricia", pytricia_tree),
    Contestant("py-radix", radix_find, ways.CALL),
    Contestant("pysubnettree", subnet_tree),
)
"""The same one prefix after another, into something that can be changed."""

PARSE = (
    EMPTY,
    Contestant(
        "inet_pton",
        lambda texts: space_of(texts[0]).socket_family,
        Way(ways.ask_inet_pton, lambda family, items: [socket.inet_pton(family, text) for text in items]),
        role="floor",
    ),
    Contestant("parse_address", lambda _texts: parse_address, ways.say(ways.ask_call, bytes), role="ours"),
    Contestant(
        "ip_address", lambda _texts: ipaddress.ip_address, ways.say(ways.ask_call, lambda address: address.packed)
    ),
    Contestant(
        "netaddr.IPAddress", lambda _texts: netaddr.IPAddress, ways.say(ways.ask_call, lambda address: address.packed)
    ),
)
"""From text to packed bytes, or to the library's own address."""

MEMORY = (
    replace(FROZENSET, name="frozenset(texts)"),
    Contestant("AllowList", AllowList, role="ours"),
    Contestant("PatriciaTrie", trie_of, role="ours"),
    Contestant("pytricia", pytricia_tree),
    Contestant("ipset_c", ipset_c.IPSet),
    Contestant("py-radix", radix_tree),
    Contestant("pysubnettree", subnet_tree),
    Contestant("inet_pton + bisect", sorted_borders),
)
"""How many bytes it takes."""
