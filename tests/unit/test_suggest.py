"""The best list for observed addresses: what is counted, who is left out and why, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from cidrmatch import InvalidPrefix, Policy, Prefix, presets
from cidrmatch._core import Observed, without_covered
from cidrmatch.advice import suggest
from cidrmatch.advice.suggest import REASONS, LeftOut

OFFICE = {"203.0.113.4": 120, "203.0.113.6": 30, "192.0.2.250": 1, "2001:db8::9": 88}


# -- The list -------------------------------------------------------------------


def test_B17_as_many_entries_as_there_is_room_for_have_nothing_extra() -> None:
    found = suggest(OFFICE, presets.bitbybit())
    assert found.entries == ("192.0.2.250/32", "203.0.113.4/32", "203.0.113.6/32", "2001:db8::/64")
    assert (found.admitted, found.extra, found.at_least, found.requests, found.left_out) == (4, 0, 0, 239, ())
    assert found.has_all


def test_B17_with_less_room_the_cheapest_entry_grows() -> None:
    found = suggest(OFFICE, presets.bitbybit(), max_entries=3)
    assert found.entries == ("192.0.2.250/32", "203.0.113.4/30", "2001:db8::/64")
    assert (found.admitted_by_family, found.extra_by_family) == ((5, 1), (2, 0))


def test_an_outlier_within_the_budget_is_left_out_if_that_narrows_the_list() -> None:
    found = suggest(OFFICE, presets.bitbybit(), max_entries=3, leave_out=0.01)
    assert found.entries == ("203.0.113.4/32", "203.0.113.6/32", "2001:db8::/64")
    assert found.left_out == (LeftOut(Prefix("192.0.2.250/32"), 1, "outlier"),)
    assert (found.extra, found.at_least, found.left_out_requests, found.has_all) == (0, 0, 1, True)
    assert (found.greedy.extra, found.greedy.left_out) == (2, 0)


def test_of_equal_outliers_as_many_are_left_out_as_the_budget_has() -> None:
    """Leaving out each of ten saves two units; the corners of the border are none and all ten."""
    observed = {f"203.0.113.{16 * number + 1}": 97 for number in range(10)}
    observed |= {f"203.0.113.{16 * number + 2}": 3 for number in range(10)}
    found = suggest(observed, max_entries=10, leave_out=0.0125)
    assert (found.extra, found.left_out_requests, found.at_least) == (12, 12, 12)


def test_an_outlier_stays_if_it_does_not_narrow_the_list() -> None:
    found = suggest(OFFICE, presets.bitbybit(), leave_out=0.5)
    assert (len(found.entries), found.left_out) == (4, ())


def test_a_budget_is_exactly_the_share_that_was_written() -> None:
    observed = {"203.0.113.1": 29, "203.0.113.4": 71}
    found = suggest(observed, max_entries=1, leave_out=0.29)  # as a binary number, 0.29 is a little less
    assert found.entries == ("203.0.113.4/32",)
    assert suggest(observed, max_entries=1, leave_out=Fraction(28, 100)).extra == 6


def test_of_different_outliers_the_one_that_saves_the_most_is_left_out() -> None:
    """Four corners: after each, the next outlier saves less.  The budget has room for the first one."""
    observed = {f"198.51.{group}.1": 97 for group in range(4)}
    observed |= {f"198.51.{group}.{(8 << group) + 1}": 3 for group in range(4)}
    found = suggest(observed, max_entries=4, leave_out=0.01)
    assert [str(one.prefix) for one in found.left_out] == ["198.51.3.65/32"]
    assert (found.extra, found.left_out_requests) == (14 + 30 + 62, 3)
    assert suggest(observed, max_entries=4, leave_out=0.0225).left_out_requests == 9


def test_B17_a_wish_for_more_entries_than_the_policy_accepts_is_not_granted() -> None:
    observed = [f"20.{number}.0.1" for number in range(0, 240, 8)]
    assert len(suggest(observed, presets.bitbybit(), max_entries=25).entries) == 20


def test_the_optimum_is_better_than_the_greedy_list() -> None:
    """Joining .0/31 and .2 adds one address, the least of all steps, and then a step that adds two is still needed.

    The list with .16/29 has these two more and nothing else.
    """
    observed = ["203.0.113.0/31", "203.0.113.2", "203.0.113.16", "203.0.113.18", "203.0.113.20/30"]
    found = suggest(observed, max_entries=3)
    assert found.entries == ("203.0.113.0/31", "203.0.113.2/32", "203.0.113.16/29")
    assert (found.extra, found.greedy.extra) == (2, 3)
    assert found.greedy.entries == ("203.0.113.0/30", "203.0.113.16/30", "203.0.113.20/30")


@pytest.mark.parametrize(("most", "extra"), [(1, 54), (2, 24), (3, 0)])
def test_the_published_answers_of_boundednet_are_met(most: int, extra: int) -> None:
    """The ranges and the sizes of the answers in the tests of github.com/fhltang/boundednet, here from 192.0.2.0 on."""
    found = suggest(["192.0.2.0", "192.0.2.1", "192.0.2.32/30", "192.0.2.60/30"], max_entries=most)
    assert (found.extra, len(found.entries)) == (extra, most)


def test_an_ipv6_address_counts_as_its_64() -> None:
    found = suggest(["2001:db8::1", "2001:db8::2", "2001:db8:0:3::1"], max_entries=1)
    assert (found.entries, found.admitted_by_family, found.extra_by_family) == (("2001:db8::/62",), (0, 4), (0, 2))


def test_an_ipv6_address_that_is_an_ipv4_address_is_one() -> None:
    """C16: a mapped address."""
    assert suggest(["::ffff:203.0.113.7"]).entries == ("203.0.113.7/32",)


def test_a_family_where_only_longer_prefixes_are_accepted_has_units_of_that_length() -> None:
    found = suggest(["2001:db8::1", "2001:db8::2"], Policy(min_prefix_v6=127))
    assert found.entries == ("2001:db8::/127", "2001:db8::2/127")
    assert suggest(["2001:db8::1"], Policy(kinds=frozenset(("address",)))).entries == ("2001:db8::1",)


def test_an_observed_prefix_stands_for_its_addresses() -> None:
    found = suggest({"198.51.100.0/25": 1, "198.51.100.7": 5, "198.51.100.128": 1}, max_entries=1)
    assert (found.entries, found.extra, found.requests) == (("198.51.100.0/24",), 127, 7)


def test_B18_of_many_pieces_no_more_requests_are_left_out_than_there_are() -> None:
    found = suggest({"198.51.0.0/16": 1, "192.0.2.7": 5}, Policy(min_prefix_v4=24), max_entries=20)
    assert (found.requests, found.left_out_requests) == (256 + 5, 256 + 5 - 19 - 5)
    assert found.greedy.left_out == found.left_out_requests
    found = suggest({"198.51.0.0/16": 1}, Policy(min_prefix_v4=24), must_exclude=["198.51.7.0"])
    assert (found.requests, found.left_out_requests, found.greedy.left_out) == (256 + 8, 1, 1)


def test_B18_an_observed_prefix_that_is_too_broad_is_two_entries() -> None:
    found = suggest({"20.0.0.0/8": 3}, presets.bitbybit())
    assert (found.entries, found.extra, found.requests) == (("20.0.0.0/9", "20.128.0.0/9"), 0, 3)
    with pytest.raises(ValueError, match=r"0\.0\.0\.0/0 is far too broad: no entry is broader than /17"):
        suggest(["0.0.0.0/0"], Policy(min_prefix_v4=17))


def test_all_of_both_families_is_counted_without_an_overflow() -> None:
    found = suggest(["0.0.0.1", "255.0.0.1", "::1:0:0:0:0", "fe00::1"], max_entries=2)
    assert found.entries == ("0.0.0.0/0", "::/0")
    assert (found.admitted, found.extra) == (2**32 + 2**64, 2**32 + 2**64 - 4)
    assert found.greedy.extra == found.extra


# -- Forms of entries -----------------------------------------------------------


def test_N8_N11_entries_have_the_form_that_the_policy_accepts() -> None:
    assert suggest(["192.168.1.100"], presets.nomsa()).entries == ("192.168.1.100",)
    assert suggest(["192.168.1.100"], Policy(kinds=frozenset(("address",)))).entries == ("192.168.1.100",)
    only_ranges = Policy(kinds=frozenset(("cidr",)), bare_addresses=True)
    assert suggest(["192.168.1.100"], only_ranges).entries == ("192.168.1.100/32",)


def test_a_policy_that_wants_more_entries_gets_halves() -> None:
    found = suggest({"198.51.100.0/24": 1, "203.0.113.7": 1}, Policy(min_entries=3))
    assert found.entries == ("198.51.100.0/25", "198.51.100.128/25", "203.0.113.7/32")
    assert (found.admitted, found.extra) == (257, 0)
    with pytest.raises(ValueError, match="at least 2 needed"):
        suggest(["203.0.113.7"], Policy(min_entries=2))
    with pytest.raises(ValueError, match="leave no list: 5 to 2 entries"):
        suggest(["203.0.113.7"], Policy(min_entries=5), max_entries=2)


# -- Who is left out ------------------------------------------------------------


def test_N9_who_does_not_fit_stays_outside_and_no_entry_is_too_broad() -> None:
    observed = {f"192.0.2.{number}": 100 + number for number in range(1, 31)}
    found = suggest(observed, presets.nomsa())
    assert len(found.entries) == 20
    assert found.entries[0] == "192.0.2.11"  # those with the most requests
    assert [str(one.prefix) for one in found.left_out[:2]] == ["192.0.2.10/32", "192.0.2.9/32"]
    assert {one.reason for one in found.left_out} == {"no_room"}
    assert not found.has_all


def test_B18_no_room_is_no_reason_for_a_broader_prefix() -> None:
    observed = {f"{number}.0.0.1": number for number in range(1, 64, 2)}
    found = suggest(observed, presets.bitbybit())
    assert len(found.entries) == 20
    assert found.left_out_requests == sum(range(1, 25, 2))
    assert found.extra == 0
    assert found.report.ok


@pytest.mark.parametrize(
    ("address", "policy", "reason"),
    [
        ("224.0.0.1", Policy(), "never"),
        ("0.0.0.0", Policy(), "never"),
        ("10.0.0.1", Policy(private="reject"), "private"),
        ("::1", Policy(private="reject"), "private"),
        ("2001:db8::1", presets.nomsa(), "family"),
    ],
)
def test_C25_C5_who_cannot_be_on_the_list_is_named_with_the_reason(address: str, policy: Policy, reason: Any) -> None:
    found = suggest({address: 5, "203.0.113.7": 1}, policy)
    assert [(one.requests, one.reason) for one in found.left_out] == [(5, reason)]
    assert found.entries[0].startswith("203.0.113.7")
    with pytest.raises(ValueError, match=f"nobody to list: .*{REASONS[reason][:30]}"):
        suggest([address], policy)


def test_who_cannot_be_on_the_list_has_no_part_in_the_budget() -> None:
    observed = {"224.0.0.1": 1000, "203.0.113.1": 10, "203.0.113.4": 990}
    assert suggest(observed, max_entries=1, leave_out=0.009).extra == 6
    assert suggest(observed, max_entries=1, leave_out=0.01).extra == 0


def test_C5_private_addresses_are_suggested_with_the_warning_of_the_policy() -> None:
    found = suggest(["10.0.0.1"], presets.bitbybit())
    assert [problem.code for problem in found.report.warnings] == ["private"]


# -- What must be in, and what must not -------------------------------------------


def test_what_must_be_included_is_in_and_not_extra() -> None:
    found = suggest(["203.0.113.4"], max_entries=1, must_include=["203.0.113.6"])
    assert (found.entries, found.extra, found.requests) == (("203.0.113.4/30",), 2, 1)


def test_what_must_be_included_is_never_an_outlier() -> None:
    observed = {"203.0.113.4": 999, "192.0.2.1": 1}
    assert suggest(observed, max_entries=1, leave_out=0.5).entries == ("203.0.113.4/32",)
    found = suggest(observed, max_entries=1, leave_out=0.5, must_include=["192.0.2.1"])
    assert (found.entries, found.left_out) == (("192.0.0.0/4",), ())


def test_what_must_be_excluded_is_in_no_entry() -> None:
    observed = {"203.0.113.4": 1, "203.0.113.6": 2, "203.0.113.9": 3}
    assert suggest(observed, max_entries=2).entries == ("203.0.113.4/30", "203.0.113.9/32")
    found = suggest(observed, max_entries=2, must_exclude=["203.0.113.5"])
    assert found.entries == ("203.0.113.6/32", "203.0.113.9/32")
    assert found.left_out == (LeftOut(Prefix("203.0.113.4/32"), 1, "no_room"),)


def test_an_observed_prefix_is_listed_around_what_must_be_excluded() -> None:
    found = suggest({"198.51.100.0/24": 9}, must_exclude=["198.51.100.64/26"])
    assert found.entries == ("198.51.100.0/26", "198.51.100.128/25")
    assert [(str(one.prefix), one.reason) for one in found.left_out] == [("198.51.100.64/26", "excluded")]


@pytest.mark.parametrize(
    ("include", "exclude", "message"),
    [
        (
            "203.0.113.4",
            "203.0.113.0/24",
            r"203\.0\.113\.4/32 and must_exclude 203\.0\.113\.0/24 contradict each other",
        ),
        ("203.0.113.0/24", "203.0.113.4", r"203\.0\.113\.0/24 and must_exclude 203\.0\.113\.4/32 contradict"),
        ("2001:db8::1", "2001:db8::2", r"db8::1/128 and must_exclude 2001:db8::2/128 contradict .* 2001:db8::/64, has"),
        ("224.0.0.1", "203.0.113.4", r"must_include 224\.0\.0\.1/32 cannot be on the list: no client ever has"),
    ],
)
def test_a_contradiction_names_both(include: str, exclude: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        suggest(["198.51.100.7"], must_include=[include], must_exclude=[exclude])


def test_what_must_be_included_and_is_observed_too_is_refused_all_the_same() -> None:
    with pytest.raises(ValueError, match="cannot be on the list: the policy does not accept its family"):
        suggest({"2001:db8::1": 5, "203.0.113.7": 1}, presets.nomsa(), must_include=["2001:db8::1"])


def test_B18_what_must_be_included_and_does_not_fit_is_refused() -> None:
    ends = ["20.0.0.1", "200.0.0.1"]
    with pytest.raises(ValueError, match="must_include does not fit: the list has at most 1 entries"):
        suggest(["203.0.113.4"], presets.bitbybit(), max_entries=1, must_include=ends)


# -- What is refused, and how it is said ------------------------------------------


@pytest.mark.parametrize(
    ("observed", "options", "error", "message"),
    [
        ({"203.0.113.7/24": 1}, {}, InvalidPrefix, "host bits are set"),
        (["203.0.113.7", "203.0.113.700"], {}, InvalidPrefix, "entry 1: '203.0.113.700' is not a prefix"),
        ("203.0.113.7", {}, TypeError, "observed"),
        ({"203.0.113.7": 0}, {}, ValueError, "the requests of 203.0.113.7 are a whole number from 1 on, not 0"),
        ({"203.0.113.7": 1.5}, {}, ValueError, "not 1.5"),
        ({"203.0.113.7": True}, {}, ValueError, "not True"),
        ({"203.0.113.7": 2**60, "203.0.113.8": 1}, {}, ValueError, r"too many requests .* at most 2\*\*60"),
        ([], {}, ValueError, "nobody to list: no address was observed"),
        (["203.0.113.7"], {"max_entries": 0}, ValueError, "max_entries is a whole number at least 1"),
        (["203.0.113.7"], {"leave_out": 1}, ValueError, "a share from 0 to less than 1, such as 0.01 for 1 %, not 1"),
        (["203.0.113.7"], {"leave_out": "1%"}, TypeError, "leave_out is a number, not str"),
        (["203.0.113.7"], {"must_include": "203.0.113.7"}, TypeError, "must_include"),
        (["203.0.113.7"], {"policy": "bitbybit"}, TypeError, "presets.bitbybit"),
        (["203.0.113.7"], {"policy": Policy(max_entries=0)}, ValueError, "leave no list: 1 to 0 entries"),
    ],
)
def test_what_is_refused_is_named(observed: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        suggest(observed, **options)


def test_an_answer_has_a_short_repr_plain_values_and_no_truth_value() -> None:
    found = suggest(OFFICE, presets.bitbybit(), max_entries=3, leave_out=0.01)
    assert repr(found) == "<Suggestion for 'bitbybit': 3 entries, 0 extra, 1 of 239 requests left out>"
    assert repr(found.greedy) == "<Greedy: 3 entries, 2 extra, 0 requests left out>"
    assert found.to_dict() == {
        "policy": "bitbybit",
        "entries": ["203.0.113.4/32", "203.0.113.6/32", "2001:db8::/64"],
        "admitted": {"ipv4": 2, "ipv6_64s": 1},
        "extra": {"ipv4": 0, "ipv6_64s": 0},
        "extra_at_least": 0,
        "requests": 239,
        "left_out_requests": 1,
        "left_out": [{"prefix": "192.0.2.250/32", "requests": 1, "reason": "outlier"}],
        "greedy": {
            "entries": ["192.0.2.250/32", "203.0.113.4/30", "2001:db8::/64"],
            "admitted": 6,
            "extra": 2,
            "left_out_requests": 0,
        },
        "warnings": [],
    }
    with pytest.raises(TypeError, match="a Suggestion has no truth value"):
        bool(found)


def test_the_greedy_list_has_what_must_be_included_before_what_has_more_requests() -> None:
    observed = {"20.0.0.1": 9, "60.0.0.1": 8, "100.0.0.1": 7}
    found = suggest(observed, presets.bitbybit(), max_entries=2, must_include=["200.0.0.1"])
    assert found.greedy.entries == ("20.0.0.1/32", "200.0.0.1/32")
    assert (found.greedy.extra, found.greedy.left_out) == (0, 15)


def test_the_compiled_room_refuses_questions_in_the_wrong_order() -> None:
    held = Observed((32, 64), (0, 0))
    held.add_each(["203.0.113.7"])
    for ask in (lambda: held.solve(1, 1, 1), held.greedy):
        with pytest.raises(ValueError, match="not settled"):
            ask()
    assert held.settle([], [], [], 1) == []
    with pytest.raises(ValueError, match="settled before"):
        held.settle([], [], [], 1)
    with pytest.raises(ValueError, match="settled before"):
        held.add_each(["203.0.113.8"])
    with pytest.raises(IndexError, match="no leaf 1"):
        held.leaves_of([1])


def test_a_cost_above_64_bits_is_exact() -> None:
    held = Observed((32, 64), (0, 0))
    held.add_each(["0.0.0.1", "255.0.0.1", "::1:0:0:0:0", "fe00::1"])
    assert held.settle([], [], [], 2) == []
    found = held.solve(1 << 65, 1, 2**64 - 1)
    assert found is not None
    assert (found[0], sum(found[4:])) == (2**32 + 2**64 - 4, 2**32 + 2**64 - 4)


def test_the_compiled_part_refuses_what_is_no_prefix() -> None:
    prefix = Prefix("192.0.2.7")
    assert without_covered([(prefix,)], [prefix]) == []
    wrong: list[tuple[Any, Any]] = [([(None,)], []), ([("192.0.2.7",)], [prefix]), ([(prefix,)], [None])]
    for outside, entries in wrong:
        with pytest.raises((TypeError, AttributeError), match=r"Cannot convert|NoneType"):
            without_covered(outside, entries)
