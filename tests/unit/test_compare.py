"""Two lists compared: against the slow twin over the whole address space, and against sets of `ipaddress`."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Entry, Prefix
from cidrmatch.advice.compare import Comparison, compare, difference
from tests.reference import Span, exclude_from, format_span, spans_of
from tests.strategies import labels, span_lists, spans

small_lists = st.lists(st.tuples(st.integers(0, 15), st.integers(28, 32)), max_size=6)


@given(small_lists, small_lists)
def test_a_difference_is_that_of_the_sets_of_addresses(
    these: list[tuple[int, int]], those: list[tuple[int, int]]
) -> None:
    lists = [
        [f"192.0.2.{first >> 32 - length << 32 - length}/{length}" for first, length in each] for each in (these, those)
    ]
    allowed, left_out = ({address for prefix in each for address in ip_network(prefix)} for each in lists)
    found = difference(AllowList(lists[0]), AllowList(lists[1]))
    assert {address for prefix in found for address in ip_network(str(prefix))} == allowed - left_out
    assert found == AllowList(map(str, found)).aggregate()


@given(span_lists(), span_lists())
def test_a_difference_is_what_the_twin_leaves_of_both_families(these: list[Span], those: list[Span]) -> None:
    found = difference(AllowList(map(format_span, these)), AllowList(map(format_span, those)))
    assert spans_of(found) == exclude_from(these, those)


def test_no_difference_turns_ipv6_into_all_of_ipv4() -> None:
    """C16: the rest of ::/0 ends beside ::ffff:0:0/96, and that is no IPv6 prefix."""
    found = difference(AllowList(["::/0"]), AllowList(["::fffe:0:0/96"]))
    assert len(found) == 95
    assert all(prefix.family == 6 for prefix in found)
    assert not any(ip_address("::ffff:1.2.3.4") in ip_network(str(prefix)) for prefix in found)


def test_families_are_never_left_out_of_each_other() -> None:
    everyone = AllowList(["0.0.0.0/0", "::/0"])
    assert difference(everyone, AllowList(["0.0.0.0/0"])) == [Prefix("::/0")]
    assert difference(everyone, AllowList(["::/0"])) == [Prefix("0.0.0.0/0")]
    assert difference(everyone, everyone) == []
    assert difference(AllowList([]), everyone) == []
    assert difference(everyone, AllowList([])) == [Prefix("0.0.0.0/0"), Prefix("::/0")]


def test_a_comparison_tells_addresses_entries_and_labels() -> None:
    before = AllowList([("198.51.100.0/24", "Office"), "203.0.113.5"])
    after = AllowList([("198.51.100.0/25", "Office"), ("203.0.113.5", "Gate"), "203.0.113.4"])
    found = compare(before, after)
    assert found == Comparison(
        gained=(Prefix("203.0.113.4"),),
        lost=(Prefix("198.51.100.128/25"),),
        added=(Entry("198.51.100.0/25", "Office"), Entry("203.0.113.4")),
        removed=(Entry("198.51.100.0/24", "Office"),),
        relabelled=((Entry("203.0.113.5"), Entry("203.0.113.5", "Gate")),),
    )
    assert not found.is_equal
    assert repr(found) == "<Comparison: 1 prefixes gained, 1 lost; entries: 2 added, 1 removed, 1 relabelled>"


def test_other_entries_may_let_in_the_same_addresses() -> None:
    found = compare(AllowList(["10.0.0.0/9", "10.128.0.0/9"]), AllowList(["10.0.0.0/8"]))
    assert (found.gained, found.lost) == ((), ())
    assert not found.is_equal


listed = st.lists(st.tuples(spans().map(format_span), labels()), max_size=6)


@given(listed, listed)
def test_a_comparison_is_equal_exactly_when_the_lists_are(
    before: list[tuple[str, str | None]], after: list[tuple[str, str | None]]
) -> None:
    one, other = AllowList(before), AllowList(after)
    found = compare(one, other)
    assert found.is_equal is (one == other)
    assert compare(one, one).is_equal
    back = compare(other, one)
    assert (back.gained, back.lost, back.added, back.removed) == (found.lost, found.gained, found.removed, found.added)


def test_a_comparison_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(compare(AllowList([]), AllowList([])))
