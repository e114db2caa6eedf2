"""The trie room: a map from prefix to value that also answers longest match, covering, covered.

The tree that most tests here ask about; a name is a value:

    0.0.0.0/0 "any"
    └── 10.0.0.0/8 "ten"
        ├── 10.1.0.0/16 "one"
        │   └── 10.1.2.3/32 "host"
        └── 10.128.0.0/9 "upper"
    2001:db8::/32 "docs"
    └── 2001:db8:1::/48 "site"
"""

import copy
import gc
import pickle
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest

from cidrmatch import InvalidPrefix, PatriciaTrie, Prefix

TREE = {
    "0.0.0.0/0": "any",
    "10.0.0.0/8": "ten",
    "10.1.0.0/16": "one",
    "10.1.2.3/32": "host",
    "10.128.0.0/9": "upper",
    "2001:db8::/32": "docs",
    "2001:db8:1::/48": "site",
}
"""In canonical order."""


def build(items: Any) -> PatriciaTrie[Any]:
    """Typed loosely on purpose: what happens is tested here, what type-checks is for the type checkers."""
    return PatriciaTrie(items)


def check_invariants(trie: Any) -> None:
    """The trie's own walk over its nodes; typed loosely because it is there for tests, not for users."""
    trie.check_invariants()


@pytest.fixture
def trie() -> PatriciaTrie[str]:
    return build(TREE)


def texts(prefixes: Any) -> list[str]:
    return [str(prefix) for prefix in prefixes]


def values(pairs: list[tuple[Prefix, str]]) -> list[str]:
    return [value for _, value in pairs]


# A mutable mapping


def test_trie_is_a_mutable_mapping(trie: PatriciaTrie[str]) -> None:
    assert isinstance(trie, MutableMapping)
    assert len(trie) == 7
    assert texts(trie) == texts(trie.keys()) == list(TREE)
    assert list(trie.values()) == list(TREE.values())
    assert [(str(prefix), value) for prefix, value in trie.items()] == list(TREE.items())


def test_keys_come_out_as_prefixes(trie: PatriciaTrie[str]) -> None:
    assert {type(key) for key in trie} == {Prefix}
    assert type(trie.covering("10.1.2.3")[0][0]) is Prefix


def test_built_from_pairs_in_any_order_it_is_the_same() -> None:
    backwards: PatriciaTrie[str] = PatriciaTrie(list(reversed(TREE.items())))
    assert texts(backwards) == list(TREE)
    assert backwards == build(TREE)


def test_empty_trie() -> None:
    trie: PatriciaTrie[int] = PatriciaTrie()
    assert (len(trie), list(trie), bool(trie)) == (0, [], False)
    assert trie.longest_match("10.0.0.1") is None
    assert trie.covering("10.0.0.1") == trie.covered("0.0.0.0/0") == trie.covered("::/0") == []
    assert trie.aggregate() == trie.exclude("10.0.0.0/8") == []


def test_get_and_in_ask_for_exactly_that_prefix(trie: PatriciaTrie[str]) -> None:
    assert trie["10.0.0.0/8"] == "ten"
    assert "10.0.0.0/8" in trie
    for absent in ["10.0.0.0/9", "10.0.0.0/7", "10.0.0.0", "10.1.2.2/31", "::/0", "a00::/8"]:
        assert absent not in trie
        assert trie.get(absent, "none") == "none"
        with pytest.raises(KeyError):
            trie[absent]


def test_value_none_is_a_value() -> None:
    trie = build({"10.0.0.0/8": None})
    assert "10.0.0.0/8" in trie
    assert trie["10.0.0.0/8"] is None
    assert trie.longest_match("10.1.1.1") == (Prefix("10.0.0.0/8"), None)
    assert trie.pop("10.0.0.0/8", "absent") is None


def test_values_are_kept_by_identity() -> None:
    value = object()
    trie = build({"10.0.0.0/8": value})
    assert trie["10.0.0.0/8"] is value
    assert trie.copy()["10.0.0.0/8"] is value


def test_C6_every_spelling_is_the_same_key() -> None:
    trie: PatriciaTrie[int] = PatriciaTrie()
    trie["2001:DB8:0::1"] = 1
    trie["2001:db8::1/128"] = 2
    trie["1.2.3.4"] = 3
    trie[b"\x01\x02\x03\x04"] = 4
    trie["::ffff:1.2.3.4/128"] = 5
    assert list(trie.items()) == [(Prefix("1.2.3.4"), 5), (Prefix("2001:db8::1"), 2)]


def test_setting_a_key_again_replaces_its_value(trie: PatriciaTrie[str]) -> None:
    trie["10.0.0.0/8"] = "new"
    assert (len(trie), trie["10.0.0.0/8"]) == (7, "new")


def test_deleting_leaves_the_others(trie: PatriciaTrie[str]) -> None:
    for gone in list(TREE):
        del trie[gone]
        check_invariants(trie)
        assert gone not in trie
        assert texts(trie) == [text for text in TREE if text in trie]
        with pytest.raises(KeyError):
            del trie[gone]
    assert len(trie) == 0


def test_deleting_a_joint_that_is_no_entry_is_a_key_error() -> None:
    trie = build({"10.0.0.0/9": 1, "10.128.0.0/9": 2})
    with pytest.raises(KeyError):
        del trie["10.0.0.0/8"]  # a node may stand there; an entry does not
    assert "10.0.0.0/8" not in trie
    assert trie.longest_match("10.0.0.0/8") is None
    assert len(trie) == 2


def test_pop_popitem_setdefault_update_clear(trie: PatriciaTrie[str]) -> None:
    assert trie.pop("10.1.0.0/16") == "one"
    assert trie.pop("10.1.0.0/16", "gone") == "gone"
    with pytest.raises(KeyError):
        trie.pop("10.1.0.0/16")
    assert trie.setdefault("10.0.0.0/8", "other") == "ten"
    assert trie.setdefault("192.0.2.0/24", "new") == "new"
    trie.update({"192.0.2.0/24": "newer"})
    assert trie["192.0.2.0/24"] == "newer"
    seen = dict([trie.popitem() for _ in range(len(trie))])
    assert len(seen) == 7
    with pytest.raises(KeyError):
        trie.popitem()
    trie["::/0"] = "again"
    trie.clear()
    assert (len(trie), list(trie)) == (0, [])
    trie["::/0"] = "usable"
    assert trie.longest_match("::1") == (Prefix("::/0"), "usable")


def test_copy_is_another_trie(trie: PatriciaTrie[str]) -> None:
    for twin in (trie.copy(), copy.copy(trie)):
        assert twin == trie
        twin["192.0.2.0/24"] = "new"
        del twin["10.0.0.0/8"]
        assert "192.0.2.0/24" not in trie
        assert "10.0.0.0/8" in trie


def test_deepcopy_copies_the_values_too() -> None:
    trie = build({"10.0.0.0/8": [1]})
    twin = copy.deepcopy(trie)
    twin["10.0.0.0/8"].append(2)
    assert (trie["10.0.0.0/8"], twin["10.0.0.0/8"]) == ([1], [1, 2])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_gives_an_equal_trie(trie: PatriciaTrie[str], protocol: int) -> None:
    twin = pickle.loads(pickle.dumps(trie, protocol))
    assert type(twin) is PatriciaTrie
    assert list(twin.items()) == list(trie.items())


def test_trie_that_holds_itself_survives_pickle_and_deepcopy() -> None:
    trie: PatriciaTrie[Any] = PatriciaTrie()
    trie["10.0.0.0/8"] = [trie]
    for twin in (pickle.loads(pickle.dumps(trie)), copy.deepcopy(trie)):
        assert twin["10.0.0.0/8"][0] is twin


def test_trie_is_unhashable(trie: PatriciaTrie[str]) -> None:
    with pytest.raises(TypeError):
        hash(trie)


def test_repr_shows_prefixes_and_values_of_a_few_and_counts_many(trie: PatriciaTrie[str]) -> None:
    assert repr(PatriciaTrie({"10.0.0.0/8": "site"})) == "PatriciaTrie({'10.0.0.0/8': 'site'})"
    assert repr(trie) == "<PatriciaTrie of 7 prefixes: 0.0.0.0/0, 10.0.0.0/8, 10.1.0.0/16, ...>"


def test_repr_of_a_trie_that_holds_itself_ends() -> None:
    trie: PatriciaTrie[Any] = PatriciaTrie()
    trie["::/0"] = trie
    assert "PatriciaTrie" in repr(trie)


# Longest match, covering, covered


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("10.1.2.3", "host"),
        ("10.1.2.3/32", "host"),
        ("10.1.2.4", "one"),
        ("10.1.2.2", "one"),
        ("10.1.0.0/16", "one"),
        ("10.0.0.0/15", "ten"),
        ("10.0.0.0/8", "ten"),
        ("10.128.0.0", "upper"),
        ("10.127.255.255", "ten"),
        ("10.255.255.255", "upper"),
        ("9.255.255.255", "any"),
        ("11.0.0.0", "any"),
        ("0.0.0.0", "any"),
        ("255.255.255.255", "any"),
        ("0.0.0.0/0", "any"),
        ("::ffff:10.1.2.3", "host"),
        ("2001:db8:1::1", "site"),
        ("2001:db8:2::", "docs"),
        ("2001:db8::/32", "docs"),
    ],
)
def test_longest_match_is_the_most_specific_entry(trie: PatriciaTrie[str], question: str, answer: str) -> None:
    found = trie.longest_match(question)
    assert found is not None
    assert found == (Prefix(next(text for text, value in TREE.items() if value == answer)), answer)


@pytest.mark.parametrize("question", ["::/0", "2001:db8::/31", "::", "2001:db7:ffff::", "::10.1.2.3", "a01:203::"])
def test_longest_match_of_what_nothing_covers_is_none(trie: PatriciaTrie[str], question: str) -> None:
    assert trie.longest_match(question) is None
    assert trie.covering(question) == []


def test_families_never_meet() -> None:
    trie = build({"::/0": "six"})
    assert trie.longest_match("10.0.0.1") is trie.longest_match("::ffff:10.0.0.1") is None
    trie = build({"0.0.0.0/0": "four"})
    assert trie.longest_match("::") is None
    assert trie.longest_match("::ffff:10.0.0.1") == (Prefix("0.0.0.0/0"), "four")


def test_covering_goes_from_the_most_specific_outwards(trie: PatriciaTrie[str]) -> None:
    assert values(trie.covering("10.1.2.3")) == ["host", "one", "ten", "any"]
    assert values(trie.covering("10.1.0.0/16")) == ["one", "ten", "any"]
    assert values(trie.covering("10.0.0.0/7")) == ["any"]
    assert texts(prefix for prefix, _ in trie.covering("2001:db8:1::")) == ["2001:db8:1::/48", "2001:db8::/32"]


def test_covered_is_in_canonical_order(trie: PatriciaTrie[str]) -> None:
    assert values(trie.covered("0.0.0.0/0")) == ["any", "ten", "one", "host", "upper"]
    assert values(trie.covered("10.0.0.0/8")) == ["ten", "one", "host", "upper"]
    assert values(trie.covered("10.0.0.0/9")) == ["one", "host"]
    assert values(trie.covered("10.1.2.3")) == ["host"]
    assert values(trie.covered("::/0")) == ["docs", "site"]
    assert trie.covered("11.0.0.0/8") == trie.covered("10.1.2.4") == trie.covered("2001:db8:1::/49") == []


def test_answers_are_lists_of_their_own(trie: PatriciaTrie[str]) -> None:
    trie.covering("10.1.2.3").clear()
    trie.covered("0.0.0.0/0").clear()
    assert len(trie.covering("10.1.2.3")) == 4


def test_the_longest_chain_there_can_be() -> None:
    trie = build({f"::/{length}": length for length in range(129)})
    assert [length for _, length in trie.covering("::")] == list(range(128, -1, -1))
    assert [length for _, length in trie.covered("::/0")] == list(range(129))
    for length in range(128):
        outside = Prefix(((1 << 127) >> length).to_bytes(16, "big"))  # differs from :: in bit `length` alone
        found = trie.longest_match(outside)
        assert found is not None
        assert found[1] == length


# Aggregate and exclude


def test_aggregate_is_the_fewest_prefixes_with_the_same_addresses(trie: PatriciaTrie[str]) -> None:
    assert texts(trie.aggregate()) == ["0.0.0.0/0", "2001:db8::/32"]
    del trie["0.0.0.0/0"]
    trie["11.0.0.0/8"] = "eleven"
    assert texts(trie.aggregate()) == ["10.0.0.0/7", "2001:db8::/32"]
    assert len(trie) == 7, "asking changes nothing"


def test_exclude_cuts_a_hole(trie: PatriciaTrie[str]) -> None:
    small = build({"198.51.100.0/24": 1, "2001:db8::/32": 2})
    assert texts(small.exclude("198.51.100.64/26")) == ["198.51.100.0/26", "198.51.100.128/25", "2001:db8::/32"]
    assert texts(small.exclude("198.51.100.0/24")) == ["2001:db8::/32"]
    assert texts(small.exclude("::/0")) == ["198.51.100.0/24"]
    assert texts(small.exclude("203.0.113.0/24")) == ["198.51.100.0/24", "2001:db8::/32"]
    assert len(small) == 2, "asking changes nothing"


def test_exclude_of_one_address_from_everything() -> None:
    rest = build({"::/0": 1}).exclude("::")
    assert texts(rest) == [
        str(Prefix((1 << place).to_bytes(16, "big"))).replace("/128", f"/{128 - place}") for place in range(128)
    ]


def test_C16_exclude_never_turns_an_ipv6_rest_into_everyone_in_ipv4() -> None:
    rest = build({"::fffe:0:0/95": 1}).exclude("::fffe:0:0/96")
    assert rest == [], "the other half is ::ffff:0:0/96, whose addresses are IPv4 addresses and not on the list"


# Bad keys


@pytest.mark.parametrize("junk", ["", "junk", "10.0.0.1/8", "10.0.0.0/abc", "/abc", "10.0.0.0/33", b"12345", "::/129"])
def test_junk_is_refused_everywhere_and_never_absent(trie: PatriciaTrie[str], junk: Any) -> None:
    questions: list[Callable[[], object]] = [
        lambda: trie[junk],
        lambda: junk in trie,
        lambda: trie.get(junk),
        lambda: trie.get(junk, "default"),
        lambda: trie.pop(junk, "default"),
        lambda: trie.setdefault(junk, "value"),
        lambda: trie.update({junk: "value"}),
        lambda: trie.__setitem__(junk, "value"),
        lambda: trie.__delitem__(junk),
        lambda: trie.longest_match(junk),
        lambda: trie.covering(junk),
        lambda: trie.covered(junk),
        lambda: trie.exclude(junk),
        lambda: build({junk: "value"}),
    ]
    for ask in questions:
        with pytest.raises(InvalidPrefix):
            ask()
    assert texts(trie) == list(TREE)


@pytest.mark.parametrize("items", ["10.0.0.0/8", b"\x0a\0\0\0", 5, None, ["10.0.0.0/8"], [5], [("10.0.0.0/8", 1, 2)]])
def test_items_of_another_shape_are_refused(items: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        PatriciaTrie(items)


# Iterators that notice change


@pytest.mark.parametrize("view", [iter, lambda trie: iter(trie.items()), lambda trie: iter(trie.values())])
@pytest.mark.parametrize(
    "change",
    [
        lambda trie: trie.__setitem__("192.0.2.0/24", "new"),
        lambda trie: trie.__delitem__("10.1.2.3"),
        lambda trie: trie.clear(),
    ],
    ids=["add", "remove", "clear"],
)
def test_iterating_a_trie_that_changed_is_a_runtime_error(
    trie: PatriciaTrie[str],
    view: Callable[[PatriciaTrie[str]], Iterator[object]],
    change: Callable[[PatriciaTrie[str]], None],
) -> None:
    iterator = view(trie)
    next(iterator)
    change(trie)
    with pytest.raises(RuntimeError):
        next(iterator)


def test_change_and_change_back_is_noticed_too(trie: PatriciaTrie[str]) -> None:
    iterator = iter(trie)
    next(iterator)
    del trie["10.1.2.3"]
    trie["10.1.2.3"] = "host"
    with pytest.raises(RuntimeError):
        list(iterator)


def test_asking_does_not_disturb_an_iterator(trie: PatriciaTrie[str]) -> None:
    for prefix in trie:
        assert trie.longest_match(prefix) == (prefix, trie[prefix])
        trie.aggregate()
        trie.copy()


def test_exhausted_iterator_stays_exhausted(trie: PatriciaTrie[str]) -> None:
    iterator = iter(trie)
    assert len(list(iterator)) == 7
    assert list(iterator) == []


def test_iterator_keeps_its_trie_alive() -> None:
    iterator = iter(build(TREE))
    gc.collect()
    assert texts(iterator) == list(TREE)


# The garbage collector, and values that bite back


class Value:
    """Something that can be watched dying, and that may hold what holds it."""

    held: object


def test_cycle_through_a_value_is_collected() -> None:
    value = Value()
    trie = build({"10.0.0.0/8": value, "10.0.0.0/9": 2})
    value.held = trie
    watch = weakref.ref(value)
    del value, trie
    gc.collect()
    assert watch() is None


def test_cycle_through_an_iterator_is_collected() -> None:
    value = Value()
    trie = build({"10.0.0.0/8": value})
    value.held = iter(trie)
    watch = weakref.ref(value)
    del value, trie
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize(
    "drop",
    [
        lambda trie: trie.__delitem__("10.0.0.0/8"),
        lambda trie: trie.__setitem__("10.0.0.0/8", None),
        lambda trie: trie.pop("10.0.0.0/8"),
        lambda trie: trie.clear(),
    ],
    ids=["delete", "replace", "pop", "clear"],
)
def test_value_that_leaves_is_let_go(drop: Callable[[PatriciaTrie[Any]], object]) -> None:
    value = Value()
    watch = weakref.ref(value)
    trie = build({"10.0.0.0/8": value})
    del value
    drop(trie)
    gc.collect()
    assert watch() is None


def test_references_balance() -> None:
    value = Value()
    before = sys.getrefcount(value)
    trie = build({"10.0.0.0/8": value, "10.0.0.0/9": value})
    for _ in range(100):
        trie["10.0.0.0/8"] = value
        trie.longest_match("10.1.1.1")
        trie.covering("10.1.1.1")
        trie.covered("0.0.0.0/0")
        list(trie.items())
        trie.copy()
        del trie["10.0.0.0/9"]
        trie["10.0.0.0/9"] = value
    assert sys.getrefcount(value) == before + 2
    del trie
    assert sys.getrefcount(value) == before


class Vengeful:
    """A value that changes the trie at the moment the trie lets go of it."""

    def __init__(self, trie: PatriciaTrie[Any], act: Callable[[PatriciaTrie[Any]], object]) -> None:
        self.trie, self.act = trie, act

    def __del__(self) -> None:
        self.act(self.trie)


def add_many(trie: PatriciaTrie[Any]) -> None:
    for low in range(200):
        trie[bytes([10, 0, 0, low])] = low


def remove_all(trie: PatriciaTrie[Any]) -> None:
    for prefix in list(trie):
        del trie[prefix]


ACTS = {"adds": add_many, "removes": remove_all, "clears": lambda trie: trie.clear(), "looks": list}
DROPS: dict[str, Callable[[PatriciaTrie[Any]], object]] = {
    "delete": lambda trie: trie.__delitem__("10.0.0.0/8"),
    "replace": lambda trie: trie.__setitem__("10.0.0.0/8", "new"),
    "pop": lambda trie: trie.pop("10.0.0.0/8"),
    "clear": lambda trie: trie.clear(),
    "update": lambda trie: trie.update({"10.0.0.0/8": "new", "10.0.0.0/9": "new"}),
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_value_whose_death_changes_the_trie_leaves_it_whole(
    act: Callable[[PatriciaTrie[Any]], object], drop: Callable[[PatriciaTrie[Any]], object]
) -> None:
    trie = build({"192.0.2.0/24": 1, "10.0.0.0/9": 2, "::/0": 3})
    trie["10.0.0.0/8"] = Vengeful(trie, act)
    drop(trie)
    gc.collect()
    check_invariants(trie)
    keys = list(trie)
    assert keys == sorted(set(keys))
    assert len(trie) == len(keys)
    assert all(trie.longest_match(key) == (key, trie[key]) for key in keys)
    trie.clear()
    assert list(trie) == []


def test_trie_full_of_vengeful_values_can_be_cleared_and_dropped() -> None:
    for _ in range(3):
        trie: PatriciaTrie[Any] = PatriciaTrie()
        for low in range(100):
            trie[bytes([10, 0, 0, low])] = Vengeful(trie, lambda trie: trie.pop(b"\x0a\0\0\x63", None))
        trie.clear()
        assert len(trie) == len(list(trie))
        trie["::/0"] = Vengeful(trie, remove_all)
        del trie
        gc.collect()


def test_update_from_items_that_change_the_trie_meanwhile() -> None:
    trie: PatriciaTrie[int] = PatriciaTrie()

    def items() -> Iterator[tuple[str, int]]:
        yield "10.0.0.0/8", 1
        trie.clear()
        yield "10.0.0.0/9", 2

    trie.update(items())
    assert list(trie.items()) == [(Prefix("10.0.0.0/9"), 2)]


def test_update_from_items_that_raise_keeps_what_came_before() -> None:
    def items() -> Iterator[tuple[str, int]]:
        yield "10.0.0.0/8", 1
        raise OSError("the file ended")

    trie: PatriciaTrie[int] = PatriciaTrie()
    with pytest.raises(OSError, match="the file ended"):
        trie.update(items())
    assert list(trie.items()) == [(Prefix("10.0.0.0/8"), 1)]


def test_arena_is_used_again() -> None:
    """Adding and removing for a long time costs no more memory than the largest moment."""
    trie: PatriciaTrie[int] = PatriciaTrie()

    def fill_and_empty(turn: int) -> None:
        for low in range(200):
            trie[bytes([10, turn, low, low])] = low
        for low in range(200):
            del trie[bytes([10, turn, low, low])]

    tracemalloc.start()
    try:
        fill_and_empty(0)
        largest_moment = tracemalloc.get_traced_memory()[1]
        for turn in range(1, 50):
            fill_and_empty(turn)
        assert tracemalloc.get_traced_memory()[0] < 2 * largest_moment
    finally:
        tracemalloc.stop()
    assert list(trie) == []
