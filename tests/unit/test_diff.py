"""Two lists compared: who gets in and who is shut out, by the slow twin, and which entries differ."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Entry, Prefix
from cidrmatch.advice import diff
from cidrmatch.advice.diff import ListDiff
from tests.reference import Span, exclude_from, format_span, spans_of
from tests.strategies import labels, span_lists, spans


@given(span_lists(), span_lists())
def test_who_gets_in_and_who_is_shut_out_is_what_the_twin_leaves(these: list[Span], those: list[Span]) -> None:
    found = diff(AllowList(map(format_span, these)), AllowList(map(format_span, those)))
    assert spans_of(found.gained) == exclude_from(those, these)
    assert spans_of(found.lost) == exclude_from(these, those)


def test_no_difference_turns_ipv6_into_all_of_ipv4() -> None:
    """C16: the rest of ::/0 ends beside ::ffff:0:0/96, and that is no IPv6 prefix."""
    found = diff(AllowList(["::fffe:0:0/96"]), AllowList(["::/0"])).gained
    assert len(found) == 95
    assert all(prefix.family == 6 for prefix in found)
    assert not any(ip_address("::ffff:1.2.3.4") in ip_network(str(prefix)) for prefix in found)


def test_families_are_never_left_out_of_each_other() -> None:
    everyone, everyone4 = AllowList(["0.0.0.0/0", "::/0"]), AllowList(["0.0.0.0/0"])
    assert diff(everyone4, everyone).gained == (Prefix("::/0"),)
    assert diff(everyone, everyone4).lost == (Prefix("::/0"),)
    assert diff(everyone, AllowList(["::/0"])).lost == (Prefix("0.0.0.0/0"),)
    assert diff(AllowList([]), everyone).gained == (Prefix("0.0.0.0/0"), Prefix("::/0"))
    assert diff(everyone, everyone).is_equal


def test_a_diff_tells_addresses_entries_and_labels() -> None:
    before = AllowList([("198.51.100.0/24", "Office"), "203.0.113.5"])
    after = AllowList([("198.51.100.0/25", "Office"), ("203.0.113.5", "Gate"), "203.0.113.4"])
    found = diff(before, after)
    assert found == ListDiff(
        gained=(Prefix("203.0.113.4"),),
        lost=(Prefix("198.51.100.128/25"),),
        added=(Entry("198.51.100.0/25", "Office"), Entry("203.0.113.4")),
        removed=(Entry("198.51.100.0/24", "Office"),),
        relabelled=((Entry("203.0.113.5"), Entry("203.0.113.5", "Gate")),),
    )
    assert not found.is_equal
    assert repr(found) == "<ListDiff: 1 prefixes gained, 1 lost; entries: 2 added, 1 removed, 1 relabelled>"


def test_other_entries_may_let_in_the_same_addresses() -> None:
    found = diff(AllowList(["10.0.0.0/9", "10.128.0.0/9"]), AllowList(["10.0.0.0/8"]))
    assert (found.gained, found.lost) == ((), ())
    assert not found.is_equal


listed = st.lists(st.tuples(spans().map(format_span), labels()), max_size=6)


@given(listed, listed)
def test_a_diff_is_equal_exactly_when_the_lists_are(
    before: list[tuple[str, str | None]], after: list[tuple[str, str | None]]
) -> None:
    one, other = AllowList(before), AllowList(after)
    found = diff(one, other)
    assert found.is_equal is (one == other)
    assert diff(one, one).is_equal
    back = diff(other, one)
    assert (back.gained, back.lost, back.added, back.removed) == (found.lost, found.gained, found.removed, found.added)


def test_a_diff_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(diff(AllowList([]), AllowList([])))
