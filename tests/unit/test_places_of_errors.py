"""An error about one of many says which."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, InvalidAddress, InvalidPrefix, PatriciaTrie, Policy, aggregate

OFFICE = AllowList(["203.0.113.0/24"])
Sweep = Callable[[list[Any]], object]
SWEEPS: dict[str, Sweep] = {
    "AllowList": AllowList,
    "AllowList of an iterator": lambda items: AllowList(iter(items)),
    "aggregate": aggregate,
    "contains_many": OFFICE.contains_many,
    "match_many": OFFICE.match_many,
    "PatriciaTrie": lambda items: PatriciaTrie((item, None) for item in items),
    "update": lambda items: PatriciaTrie({"10.0.0.0/8": 7}).update([(item, 1) for item in items]),
}
NO_TEXT: list[Any] = [None, 5, True, 1.5, [], {1}, object()]


@pytest.mark.parametrize("name", SWEEPS)
@given(before=st.integers(0, 40), after=st.integers(0, 3), value=st.sampled_from(NO_TEXT))
def test_an_item_of_another_type_is_named_by_its_position(name: str, before: int, after: int, value: Any) -> None:
    items = [f"198.51.100.{number}" for number in range(before)] + [value] + ["192.0.2.1"] * after
    with pytest.raises(TypeError, match=rf"^entry {before}: an? (address|prefix|item) is"):
        SWEEPS[name](items)


@pytest.mark.parametrize("name", SWEEPS)
@given(before=st.integers(0, 40), value=st.sampled_from(["junk", "", "10.0.0.0/99", "203.0.113.7 ", b"junk!"]))
def test_a_bad_text_is_named_by_its_position(name: str, before: int, value: Any) -> None:
    items = [f"198.51.100.{number}" for number in range(before)] + [value]
    with pytest.raises((InvalidAddress, InvalidPrefix), match=rf"^entry {before}: ") as caught:
        SWEEPS[name](items)
    assert caught.value.index == before


def test_one_alone_has_no_position() -> None:
    asks: list[Callable[[Any], object]] = [OFFICE.contains, OFFICE.match, OFFICE.covers, PatriciaTrie().longest_match]
    for ask in asks:
        with pytest.raises(TypeError, match=r"^an? (address|prefix) is"):
            ask(None)


def test_a_policy_given_by_position_is_told_to_be_a_keyword() -> None:
    with pytest.raises(TypeError, match=re.escape("a policy is a keyword: AllowList(entries, policy=...)")):
        AllowList(["203.0.113.7"], Policy())  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=re.escape("AllowList(entries, policy=...)")):
        AllowList("203.0.113.7", "203.0.113.8")  # type: ignore[call-arg, arg-type]


@pytest.mark.parametrize("item", [None, 5, "ab", ("10.0.0.0/8",), ("10.0.0.0/8", 1, 2), "10.0.0.0/8"], ids=str)
def test_an_item_of_a_trie_that_is_no_pair_is_named(item: Any) -> None:
    trie = PatriciaTrie({"192.0.2.0/24": 0})
    with pytest.raises((TypeError, InvalidPrefix), match=r"^entry 1: "):
        trie.update([("10.0.0.0/8", 1), item])
    assert [str(prefix) for prefix in trie] == ["10.0.0.0/8", "192.0.2.0/24"]


def test_a_trie_is_not_made_of_one_text() -> None:
    for one in ("10.0.0.0/8", b"abcd"):
        with pytest.raises(TypeError, match="a list of items was expected"):
            PatriciaTrie(one)  # type: ignore[arg-type]


def test_a_trie_takes_what_has_keys() -> None:
    class Keyed:
        def keys(self) -> list[str]:
            return ["10.0.0.0/8"]

        def __getitem__(self, key: str) -> int:
            return 7

    assert dict(PatriciaTrie(Keyed())) == dict(PatriciaTrie({"10.0.0.0/8": 7}))  # type: ignore[arg-type]
    assert dict(PatriciaTrie(PatriciaTrie({"10.0.0.0/8": 7}))) == dict(PatriciaTrie([("10.0.0.0/8", 7)]))
