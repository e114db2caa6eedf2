"""The policy room: each choice of a `Policy` by itself, and what a `Report` promises.

The helper `judge` gives the problems of a list as `(index, code)`, errors and warnings apart, so that a test
reads: this list, these errors, these warnings.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from typing import Any

import pytest

from cidrmatch import AllowList, Entry, KeyRules, Policy, PolicyError, Prefix, Report, presets
from cidrmatch.errors import HasProblems, IsProblem
from cidrmatch.policy.problems import Severity

Found = list[tuple[int | None, str]]


def codes(problems: Iterable[Any]) -> Found:
    return [(problem.index, problem.code) for problem in problems]


def judge(policy: Policy, entries: Iterable[Any]) -> tuple[Found, Found]:
    """Errors and warnings; that the report keeps its promises is checked on the way."""
    report = policy.validate(entries)
    check_promises(policy, report)
    return codes(report.errors), codes(report.warnings)


def check_promises(policy: Policy, report: Report) -> None:
    assert report.policy == policy
    assert report.ok == (not report.errors)
    assert sorted(map(id, report.problems)) == sorted(map(id, report.errors + report.warnings))
    assert {problem.severity for problem in report.errors} <= {Severity.ERROR}
    assert {problem.severity for problem in report.warnings} <= {Severity.WARNING}
    if report.errors:
        assert report.accepted == (), "nothing is half applied"
    json.dumps(report.to_dict())


def accepted(policy: Policy, entries: Iterable[Any]) -> list[str]:
    return [policy.canonical(entry.prefix) for entry in policy.accept(entries)]


PLAIN = Policy()
TWENTY = [f"203.0.113.{low}" for low in range(1, 21)]


# Families and kinds


def test_default_policy_takes_both_families_and_both_kinds() -> None:
    assert judge(PLAIN, ["203.0.113.5", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48"]) == ([], [])
    assert judge(PLAIN, []) == ([], [(None, "unrestricted")])


def test_family_that_is_not_allowed_is_refused() -> None:
    four, six = Policy(families=frozenset({4})), Policy(families=frozenset({6}))
    assert judge(four, ["203.0.113.5", "2001:db8::1", "2001:db8::/32"])[0] == [(1, "family"), (2, "family")]
    assert judge(six, ["203.0.113.5", "2001:db8::1", "198.51.100.0/24"])[0] == [(0, "family"), (2, "family")]


def test_C16_mapped_entry_is_taken_as_ipv4_with_a_warning() -> None:
    for policy in (PLAIN, Policy(families=frozenset({4}))):
        assert judge(policy, ["::ffff:203.0.113.5"]) == ([], [(0, "mapped")])
        assert accepted(policy, ["::ffff:203.0.113.0/120"]) == ["203.0.113.0/24"]


def test_C16_mapped_entry_is_refused_where_ipv4_is_not_allowed() -> None:
    assert (0, "family") in judge(Policy(families=frozenset({6})), ["::ffff:203.0.113.5"])[0]


def test_C16_limits_apply_to_what_a_mapped_entry_becomes() -> None:
    policy = Policy(min_prefix_v4=9, min_prefix_v6=33)
    assert judge(policy, ["::ffff:10.0.0.0/105"])[0] == []
    assert (0, "prefix_too_broad") in judge(policy, ["::ffff:10.0.0.0/104"])[0]


def test_address_and_cidr_are_told_apart_by_the_letter() -> None:
    addresses, ranges = Policy(kinds=frozenset({"address"})), Policy(kinds=frozenset({"cidr"}))
    entries = ["203.0.113.5", "203.0.113.6/32", "2001:db8::1", "2001:db8::2/128", "198.51.100.0/24"]
    assert judge(addresses, entries)[0] == [(1, "kind"), (3, "kind"), (4, "kind")]
    assert judge(ranges, entries)[0] == [(0, "kind"), (2, "kind")]


def test_address_objects_and_packed_bytes_are_addresses_and_network_objects_are_ranges() -> None:
    entries = [IPv4Address("203.0.113.5"), IPv6Address("2001:db8::1"), b"\xc6\x33\x64\x07", IPv4Network("192.0.2.0/24")]
    assert judge(Policy(kinds=frozenset({"address"})), entries)[0] == [(3, "kind")]


# How many


@pytest.mark.parametrize(("count", "warnings"), [(0, [(None, "unrestricted")]), (1, []), (19, []), (20, [])])
def test_as_many_entries_as_allowed_pass(count: int, warnings: Found) -> None:
    assert judge(Policy(max_entries=20), TWENTY[:count]) == ([], warnings)


@pytest.mark.parametrize("more", [1, 2, 30])
def test_more_entries_than_allowed_are_refused(more: int) -> None:
    extra = [f"198.51.100.{low}" for low in range(1, more + 1)]
    assert {code for _, code in judge(Policy(max_entries=20), TWENTY + extra)[0]} == {"too_many_entries"}


def test_C17_what_counts_is_what_is_left_after_collapsing_duplicates() -> None:
    policy = Policy(max_entries=20)
    doubled = [spelling for text in TWENTY for spelling in (text, f"{text}/32", f"::ffff:{text}")]
    assert judge(policy, doubled)[0] == []
    assert len(policy.accept(doubled)) == 20
    assert "too_many_entries" in {code for _, code in judge(policy, [*doubled, "198.51.100.1"])[0]}


def test_C17_entries_are_counted_in_whatever_state() -> None:
    """A covered, private or labelled entry counts like any other."""
    policy = Policy(max_entries=2, private="warn")
    entries = [("10.0.0.0/8", "all"), "10.1.0.0/16", {"prefix": "10.1.2.0/24", "label": "some"}]
    assert "too_many_entries" in {code for _, code in judge(policy, entries)[0]}


def test_fewer_entries_than_wanted_are_refused() -> None:
    policy = Policy(min_entries=2)
    for entries in ([], ["203.0.113.5"], ["203.0.113.5", "203.0.113.5/32"]):
        assert (None, "too_few_entries") in judge(policy, entries)[0]
    assert judge(policy, ["203.0.113.5", "203.0.113.6"])[0] == []


# How broad


@pytest.mark.parametrize(
    ("entry", "errors"),
    [
        ("128.0.0.0/9", []),
        ("203.0.113.5", []),
        ("128.0.0.0/8", [(0, "prefix_too_broad")]),
        ("128.0.0.0/1", [(0, "prefix_too_broad")]),
        ("2000::/33", []),
        ("2000::1", []),
        ("2000::/32", [(0, "prefix_too_broad")]),
        ("8000::/1", [(0, "prefix_too_broad")]),
        ("2000::/9", [(0, "prefix_too_broad")]),
    ],
)
def test_C1_C2_C3_minimum_prefix_is_a_field_per_family(entry: str, errors: Found) -> None:
    assert judge(Policy(min_prefix_v4=9, min_prefix_v6=33), [entry])[0] == errors


def test_C1_C2_C3_minimum_of_one_family_says_nothing_about_the_other() -> None:
    assert judge(Policy(min_prefix_v4=9), ["8000::/1"])[0] == []
    assert judge(Policy(min_prefix_v6=33), ["128.0.0.0/1"])[0] == []


@pytest.mark.parametrize("length", range(33))
def test_C1_every_ipv4_length_against_a_minimum_of_9(length: int) -> None:
    entry = f"128.0.0.0/{length}" if length else "0.0.0.0/0"
    refused = "prefix_too_broad" in {code for _, code in judge(Policy(min_prefix_v4=9), [entry])[0]}
    assert refused == (length < 9)


@pytest.mark.parametrize("length", range(129))
def test_C2_every_ipv6_length_against_a_minimum_of_33(length: int) -> None:
    entry = f"8000::/{length}" if length else "::/0"
    refused = "prefix_too_broad" in {code for _, code in judge(Policy(min_prefix_v6=33), [entry])[0]}
    assert refused == (length < 33)


# Duplicates

SAME = [
    ("2001:DB8::1", "2001:db8:0::1"),
    ("1.2.3.4", "1.2.3.4/32"),
    ("::ffff:1.2.3.4", "1.2.3.4"),
    ("2001:db8::/32", "2001:0DB8:0:0:0:0:0:0/32"),
    ("1.2.3.4", b"\x01\x02\x03\x04"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_C6_duplicates_are_found_by_canonical_value(one: Any, other: Any) -> None:
    assert (1, "duplicate") in judge(Policy(duplicates="reject"), [one, other])[0]
    errors, warnings = judge(Policy(duplicates="collapse"), [one, other])
    assert errors == []
    assert (1, "duplicate") in warnings


def test_C6_collapsing_keeps_the_first_and_its_label_and_reports_the_rest() -> None:
    entries: list[Any] = [("1.2.3.4", "first"), "5.6.7.8", ("1.2.3.4/32", "second"), "::ffff:1.2.3.4"]
    report = PLAIN.validate(entries)
    assert report.accepted == (Entry("1.2.3.4", "first"), Entry("5.6.7.8"))
    assert [index for index, code in codes(report.warnings) if code == "duplicate"] == [2, 3]


def test_C6_first_without_a_label_stays_without() -> None:
    assert PLAIN.accept(["1.2.3.4", ("1.2.3.4", "late")]) == (Entry("1.2.3.4"),)


def test_neighbours_and_relatives_are_no_duplicates() -> None:
    policy = Policy(duplicates="reject")
    assert judge(policy, ["1.2.3.4", "1.2.3.5", "1.2.3.4/31", "::1.2.3.4"])[0] == []


# Labels


@pytest.mark.parametrize("label", ["x", "Office 5, upstairs", "Büro 東京 \U0001f3e2", "a" * 255, "é" * 255, None])
def test_C18_labels_of_1_to_255_characters_pass(label: str | None) -> None:
    assert judge(PLAIN, [("203.0.113.5", label)]) == ([], [])
    assert PLAIN.accept([("203.0.113.5", label)]) == (Entry("203.0.113.5", label),)


@pytest.mark.parametrize(
    "label", ["", "a" * 256, "é" * 256, "two\nlines", "tab\tbed", "\0", "del\x7f", "next\x85line", "\x1b[31mred", "a\r"]
)
def test_C18_empty_long_and_control_characters_are_refused(label: str) -> None:
    for entry in (("203.0.113.5", label), {"prefix": "203.0.113.5", "label": label}, Entry("203.0.113.5", label)):
        assert judge(PLAIN, [entry])[0] == [(0, "label_invalid")]


def test_C18_longest_label_is_configurable() -> None:
    assert judge(Policy(max_label_length=3), [("203.0.113.5", "abc")])[0] == []
    assert judge(Policy(max_label_length=3), [("203.0.113.5", "abcd")])[0] == [(0, "label_invalid")]


def test_labels_can_be_refused() -> None:
    policy = Policy(labels="refuse")
    assert judge(policy, ["203.0.113.5", ("203.0.113.6", "Office"), ("203.0.113.7", None)])[0] == [(1, "label_refused")]


# Private addresses

PRIVATE = [
    ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
    ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
    ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
    ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
    ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
    ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
    ("::1", "::1", "::2", "::3"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fec0::"),
]
"""First and last address of each private range, and the two beside it."""


@pytest.mark.parametrize(("first", "last", "before", "after"), PRIVATE)
def test_C5_private_set_is_exactly_the_narrow_one(first: str, last: str, before: str, after: str) -> None:
    for inside in (first, last):
        assert judge(Policy(private="accept"), [inside]) == ([], [])
        assert judge(Policy(private="warn"), [inside]) == ([], [(0, "private")])
        assert judge(Policy(private="reject"), [inside])[0] == [(0, "private")]
    for outside in (before, after):
        assert judge(Policy(private="warn"), [outside]) == ([], [])
        assert judge(Policy(private="reject"), [outside]) == ([], [])


@pytest.mark.parametrize("entry", ["203.0.113.5", "2001:db8::1", "198.51.100.0/24", "192.0.2.1", "198.18.0.1"])
def test_C5_documentation_addresses_are_not_private(entry: str) -> None:
    assert judge(Policy(private="reject"), [entry]) == ([], [])


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/8", "10.1.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10", "100.64.0.0/10"]
)
def test_C5_private_ranges_are_found_whole_and_in_part(entry: str) -> None:
    assert judge(Policy(private="reject"), [entry])[0] == [(0, "private")]
    assert judge(Policy(private="reject"), [f"{entry.split('/', maxsplit=1)[0]}/28"])[0] == [(0, "private")]


def test_C5_mapped_private_address_is_private() -> None:
    assert (0, "private") in judge(Policy(private="reject"), ["::ffff:10.1.2.3"])[0]


# Host bits


def test_C15_host_bits_are_refused_with_the_network_as_hint() -> None:
    report = PLAIN.validate(["203.0.113.5", "203.0.113.7/24"])
    assert codes(report.errors) == [(1, "host_bits")]
    assert "203.0.113.0/24" in str(report.errors[0])
    assert "203.0.113.0/24" in (report.errors[0].hint or "")


def test_C15_mask_can_be_chosen_and_then_warns() -> None:
    policy = Policy(host_bits="mask")
    assert judge(policy, ["203.0.113.7/24", "198.51.100.0/24"]) == ([], [(0, "host_bits_masked")])
    assert accepted(policy, ["203.0.113.7/24", "2001:db8::1/48"]) == ["203.0.113.0/24", "2001:db8::/48"]


def test_C15_what_masking_makes_equal_is_a_duplicate() -> None:
    policy = Policy(host_bits="mask", duplicates="reject")
    assert (1, "duplicate") in judge(policy, ["203.0.113.7/24", "203.0.113.9/24"])[0]


# Never, and everyone


@pytest.mark.parametrize(
    "entry",
    [
        "0.0.0.0",
        "0.0.0.0/32",
        "::",
        "::/128",
        "255.255.255.255",
        "224.0.0.0",
        "239.255.255.255",
        "224.0.0.0/4",
        "232.1.0.0/16",
        "ff00::",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "ff00::/8",
        "ff02::/16",
    ],
)
def test_C25_entries_that_never_match_are_refused(entry: str) -> None:
    assert judge(PLAIN, [entry])[0] == [(0, "never_matches")]
    assert "never_matches" in {code for _, code in judge(Policy(allow_any=False), [entry])[0]}


@pytest.mark.parametrize(
    "entry",
    ["0.0.0.1", "223.255.255.255", "240.0.0.0", "255.255.255.254", "::1", "::2", "feff::", "128.0.0.0/1", "fe00::/7"],
)
def test_C25_entries_beside_or_around_them_are_taken(entry: str) -> None:
    assert judge(PLAIN, [entry])[0] == []


@pytest.mark.parametrize("entry", ["0.0.0.0/0", "::/0"])
def test_C24_everyone_is_accepted_with_a_warning(entry: str) -> None:
    errors, warnings = judge(PLAIN, [entry])
    assert errors == []
    assert "no_restriction" in {code for _, code in warnings}
    assert accepted(PLAIN, [entry]) == [entry]


@pytest.mark.parametrize("entry", ["0.0.0.0/0", "::/0", "::ffff:0:0/96"])
def test_C24_everyone_can_be_refused(entry: str) -> None:
    assert "no_restriction" in {code for _, code in judge(Policy(allow_any=False), [entry])[0]}


@pytest.mark.parametrize(
    "halves",
    [
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["::/1", "8000::/1"],
        ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"],
        [*(f"{first}.0.0.0/8" for first in range(224)), "224.0.0.0/3"],
    ],
    ids=len,
)
def test_C24_everyone_in_pieces_is_everyone(halves: list[str]) -> None:
    errors, warnings = judge(PLAIN, halves)
    assert errors == []
    assert "no_restriction" in {code for _, code in warnings}
    assert "no_restriction" in {code for _, code in judge(Policy(allow_any=False), halves)[0]}


def test_C24_half_of_the_addresses_is_not_everyone() -> None:
    for entry in ["0.0.0.0/1", "128.0.0.0/1", "8000::/1", "::/1"]:
        assert judge(Policy(allow_any=False), [entry]) == ([], [])


DENY = {"prefix": "10.0.0.0/8", "effect": "deny"}


@pytest.mark.parametrize("everyone", [["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["::ffff:0:0/96"]], ids=len)
def test_C24_everyone_without_those_that_are_denied_is_not_everyone(everyone: list[str]) -> None:
    for policy in (PLAIN, Policy(allow_any=False)):
        report = policy.validate([*everyone, DENY])
        assert report.ok
        assert "no_restriction" not in {problem.code for problem in report.problems}
        assert (None, "most_addresses") in codes(report.warnings)


def test_C24_one_denied_address_is_enough_to_be_a_restriction_and_is_told_as_what_it_is() -> None:
    for entries in (["0.0.0.0/0", {"prefix": "203.0.113.7", "effect": "deny"}], ["128.0.0.0/1", "64.0.0.0/2"]):
        assert judge(Policy(allow_any=False), entries) == ([], [(None, "most_addresses")])
    assert judge(PLAIN, ["::/0", {"prefix": "2001:db8::/32", "effect": "deny"}]) == ([], [(None, "most_addresses")])


@pytest.mark.parametrize(
    "entries",
    [
        ["0.0.0.0/0", {"prefix": "224.0.0.0/4", "effect": "deny"}],
        ["0.0.0.0/0", {"prefix": "0.0.0.0", "effect": "deny"}, {"prefix": "255.255.255.255", "effect": "deny"}],
        ["::/0", {"prefix": "ff00::/8", "effect": "deny"}],
        ["0.0.0.0/0", {"prefix": "10.0.0.0/8", "effect": "deny", "enabled": False}],
        ["0.0.0.0/0", {"prefix": "10.0.0.0/8", "effect": "deny"}, "10.0.0.0/9", "10.128.0.0/9"],
        [f"{first}.0.0.0/8" for first in (*range(224), *range(240, 256))],
    ],
    ids=len,
)
def test_C24_to_deny_what_no_client_has_or_what_is_let_back_in_is_no_restriction(entries: list[Any]) -> None:
    assert judge(Policy(allow_any=False), entries)[0] == [(None, "no_restriction")]
    assert (None, "no_restriction") in judge(PLAIN, entries)[1]


def test_C24_a_deny_entry_that_will_be_over_is_no_lasting_restriction() -> None:
    entries: list[Any] = ["0.0.0.0/0", {**DENY, "expires": "2027-01-01T00:00:00+00:00"}]
    problem = Policy(allow_any=False).validate(entries).errors[0]
    assert problem.code == "no_restriction"
    assert problem.message.endswith("at the times when its deny entries do not count")


def test_C25_to_deny_what_never_matches_is_no_mistake() -> None:
    entries = [
        "203.0.113.0/24",
        *({"prefix": text, "effect": "deny"} for text in ("224.0.0.0/4", "0.0.0.0", "ff02::1")),
    ]
    assert judge(PLAIN, entries) == ([], [])
    assert judge(PLAIN, ["203.0.113.0/24", "224.0.0.0/4"])[0] == [(1, "never_matches")]


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([DENY], "it only denies"),
        (["10.0.0.0/8", DENY], "denied again"),
        (
            [
                "10.1.0.0/16",
                "10.2.0.0/16",
                {"prefix": "10.1.0.0/16", "effect": "deny"},
                {"prefix": "10.2.0.0/16", "effect": "deny"},
            ],
            "denied",
        ),
        ([{"prefix": "10.0.0.0/8", "enabled": False}], "or disabled"),
    ],
)
def test_a_list_where_nobody_passes_is_told(entries: list[Any], why: str) -> None:
    report = PLAIN.validate(entries)
    assert (None, "nobody_passes") in codes(report.warnings)
    assert why in report.warnings[-1].message
    assert report.ok


def test_a_list_where_somebody_passes_at_some_time_is_not_told_of() -> None:
    for entries in (["10.1.2.3", DENY], [{"prefix": "10.0.0.0/8", "not_before": "2099-01-01T00:00:00+00:00"}]):
        assert "nobody_passes" not in {code for _, code in judge(PLAIN, entries)[1]}


# Overlaps


def test_covered_entry_is_a_warning_wherever_it_stands() -> None:
    for entries, index in ((["10.0.0.0/8", "10.1.2.3"], 1), (["10.1.2.3", "10.0.0.0/8"], 0)):
        assert judge(PLAIN, entries) == ([], [(index, "covered")])
        assert len(PLAIN.accept(entries)) == 2, "it is stored all the same: it may carry a label"
    assert judge(PLAIN, ["10.0.0.0/9", "10.128.0.0/9", "::10.0.0.0/128"]) == ([], [])


def test_an_entry_that_is_refused_covers_nothing_and_is_covered_by_nothing() -> None:
    policy = Policy(min_prefix_v4=9)
    assert judge(policy, ["10.0.0.0/8", "10.1.2.3"]) == ([(0, "prefix_too_broad")], [])
    assert judge(policy, ["10.0.0.0/9", ("10.1.2.3", "")]) == ([(1, "label_invalid")], [])
    report = policy.validate(["10.0.0.0/8", "10.0.0.0/16", "10.0.1.2"])
    assert [(problem.index, problem.message) for problem in report.warnings] == [
        (2, "covered by the broader entry '10.0.0.0/16'")
    ]


def test_a_repetition_of_an_entry_that_is_refused_is_not_said_to_be_kept() -> None:
    report = PLAIN.validate([("10.1.2.3", ""), "10.1.2.3", "10.1.2.3"])
    assert [problem.message for problem in report.warnings] == ["the same as '10.1.2.3' before it"] * 2


# No entries


@pytest.mark.parametrize("policy", [PLAIN, presets.bitbybit(), presets.unkey()], ids=lambda policy: policy.name)
def test_B4_no_entries_are_told_to_let_every_address_pass(policy: Policy) -> None:
    [problem] = policy.validate([]).problems
    assert (problem.index, problem.code, problem.severity) == (None, "unrestricted", Severity.WARNING)
    assert str(problem) == "the list: no entries: every address passes"
    assert policy.validate(iter(())).ok


@pytest.mark.parametrize(
    "policy", [presets.nomsa(), presets.pigment(), Policy(min_entries=1)], ids=lambda policy: policy.name
)
def test_C7_where_an_empty_list_opens_nothing_it_is_not_told_to(policy: Policy) -> None:
    assert judge(policy, []) == ([(None, "too_few_entries")], [])


def test_C22_a_named_list_without_entries_is_told_to_deny() -> None:
    [problem] = PLAIN.validate([], on_key=False).problems
    assert (problem.code, problem.message) == ("empty_list", "no entries: no address passes")
    assert PLAIN.validate(["10.0.0.1"], on_key=False).problems == ()


# Far too many entries


def test_a_list_far_above_its_limit_is_not_read_to_its_end() -> None:
    read = 0

    def entries() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "10.0.0.0/abc" if read == 7 else f"10.{read >> 16}.{read >> 8 & 255}.{read & 255}"

    report = Policy(max_entries=20).validate(entries())
    assert read < 2_000
    assert codes(report.errors) == [(6, "length_not_a_number"), (None, "too_many_entries")]
    assert report.errors[1].message == "more than 1000 entries, at most 20 are accepted; the rest was not read"


def test_a_list_of_far_too_many_bad_entries_is_not_read_to_its_end() -> None:
    report = presets.nomsa().validate(f"x{number}" for number in range(10**9))
    assert 1_000 < len(report.errors) < 2_000
    assert codes(report.errors)[-1] == (None, "too_many_entries")


def test_a_list_a_little_above_its_limit_is_read_whole() -> None:
    entries = [f"10.0.{number >> 8}.{number & 255}" for number in range(1, 900)]
    report = Policy(max_entries=20).validate([*entries, "junk"])
    assert codes(report.errors) == [(899, "unexpected_character"), (None, "too_many_entries")]
    assert report.errors[1].message == "899 entries, at most 20 are accepted"


# Every problem at once, and nothing half applied


def test_every_error_of_every_entry_is_reported() -> None:
    policy = Policy(families=frozenset({4}), min_prefix_v4=9, private="reject", duplicates="reject", labels="refuse")
    entries = ["junk", "10.0.0.0/8", "2001:db8::1", "203.0.113.7/24", ("203.0.113.5", "x"), None, "1.1.1.1", "1.1.1.1"]
    errors, _ = judge(policy, entries)
    assert {index for index, _ in errors} == {0, 1, 2, 3, 4, 5, 7}
    assert {(1, "prefix_too_broad"), (1, "private"), (2, "family"), (3, "host_bits")} <= set(errors)
    assert {(4, "label_refused"), (5, "wrong_type"), (7, "duplicate")} <= set(errors)


def test_one_bad_entry_of_a_thousand_refuses_the_list_whole() -> None:
    good = [bytes([203, 0, number // 250, number % 250 + 1]) for number in range(999)]
    entries: list[Any] = [*good[:500], "10.0.0.0/abc", *good[500:]]
    report = PLAIN.validate(entries)
    assert (codes(report.errors), report.accepted) == ([(500, "length_not_a_number")], ())
    with pytest.raises(PolicyError) as caught:
        report.entries()
    assert caught.value.report is report
    for apply in (PLAIN.accept, lambda given: AllowList(given, policy=PLAIN)):
        with pytest.raises(PolicyError):
            apply(entries)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("\uff11.2.3.4", "not_ascii"),
        ("10.0.0.1\n", "unexpected_character"),
        ("010.0.0.1", "leading_zero"),
        ("256.0.0.1", "octet_too_large"),
        ("10.0.0", "octet_count"),
        ("fffff::", "group_too_long"),
        ("1:2:3", "group_count"),
        ("1::2::3", "double_compression"),
        ("fe80::1%eth0", "zone_id"),
        ("10.0.0.0/", "length_missing"),
        ("10.0.0.0/abc", "length_not_a_number"),
        ("10.0.0.0/08", "length_leading_zero"),
        ("10.0.0.0/33", "length_too_large"),
        ("10.0.0.0/255.0.0.0", "netmask"),
        ("10.0.0.1/8", "host_bits"),
        (b"12345", "packed_size"),
    ],
)
def test_code_of_a_bad_text_is_that_of_the_error(text: Any, code: str) -> None:
    for entry in (text, (text, "label"), {"prefix": text}):
        assert judge(PLAIN, [entry])[0] == [(0, code)]


@pytest.mark.parametrize(
    "entry",
    [None, 5, True, 1.5, bytearray(4), object(), [], {}, ("1.2.3.4",), {"ip": "1.2.3.4"}, IPv4Interface("1.2.3.4")],
)
def test_entry_of_another_type_is_a_problem_not_an_exception(entry: Any) -> None:
    errors, _ = judge(PLAIN, ["203.0.113.5", entry])
    assert errors == [(1, "wrong_type")]


class ReadOnly(Mapping[str, object]):
    """A mapping that is no dict."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields

    def __getitem__(self, key: str) -> object:
        return self.fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)


@pytest.mark.parametrize("form", [dict, ReadOnly])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"effect": "Deny"}, "effect is 'allow' or 'deny', not 'Deny'"),
        ({"effect": "\x1b" * 1000}, "effect is 'allow' or 'deny', not '\\x1b"),
        ({"enabled": "no"}, "enabled is True or False, not 'no'"),
        ({"expires": "tomorrow"}, "expires is no time in ISO 8601: 'tomorrow'"),
        (
            {"expires": "2027-02-30T00:00:00Z"},
            "expires is no time in ISO 8601: '2027-02-30T00:00:00Z': day is out of range",
        ),
        ({"effects": "deny"}, "an entry as a mapping has the key 'prefix' and perhaps 'label' or a condition"),
        ({"label": 5}, "a label is text or None, not int"),
    ],
)
def test_a_mapping_with_a_bad_field_is_shown_by_its_prefix(
    form: Callable[..., Any], fields: dict[str, Any], message: str
) -> None:
    [problem] = PLAIN.validate([form(prefix="203.0.113.5", **fields)]).errors
    assert problem.text == "203.0.113.5"
    assert problem.message.startswith(message)
    assert str(problem).isprintable()
    assert len(str(problem)) < 500


def test_problem_shows_the_entry_and_says_what_and_what_to_do() -> None:
    problem = PLAIN.validate(["203.0.113.5", "203.0.113.7/24"]).errors[0]
    assert (problem.index, problem.text, problem.severity) == (1, "203.0.113.7/24", Severity.ERROR)
    assert str(problem).startswith("entry 1 '203.0.113.7/24': ")
    assert problem.message in str(problem)
    assert problem.to_dict()["code"] == "host_bits"
    assert json.loads(json.dumps(problem.to_dict()))["severity"] == "error"


def test_hostile_entry_is_shown_escaped_and_cut() -> None:
    for text in ["\x1b[2J" * 1000, "10.0.0.1\nentry 7: fine", "\ud800", "\u202e10.0.0.1"]:
        problem = PLAIN.validate([text]).errors[0]
        assert str(problem).isascii()
        assert str(problem).isprintable()
        assert len(str(problem)) < 1000
    hidden = PLAIN.validate([("10.0.0.1", "\x1b[2J\n")]).errors[0]
    assert str(hidden).isprintable()


# What may be given as a list


@pytest.mark.parametrize("entries", ["10.0.0.0/8", b"\x0a\0\0\0", {"10.0.0.0/8": "x"}, None, 5, bytearray(4)], ids=repr)
def test_one_thing_is_no_list_of_entries(entries: Any) -> None:
    for judge_list in (PLAIN.validate, PLAIN.accept):
        with pytest.raises(TypeError):
            judge_list(entries)


def test_entries_that_raise_midway_are_not_swallowed() -> None:
    def entries() -> Iterator[str]:
        yield "203.0.113.5"
        raise OSError("the file ended")

    with pytest.raises(OSError, match="the file ended"):
        PLAIN.validate(entries())


class Surprising(Mapping[str, object]):
    """A mapping whose keys are right and whose values raise."""

    def __getitem__(self, key: str) -> object:
        raise OSError("no value today")

    def __iter__(self) -> Iterator[str]:
        return iter(["prefix"])

    def __len__(self) -> int:
        return 1


def test_entry_that_raises_is_never_accepted() -> None:
    try:
        report = PLAIN.validate(["203.0.113.5", Surprising()])
    except OSError:
        return
    assert not report.ok


def test_entries_are_accepted_in_the_order_given() -> None:
    given = ["203.0.113.9", "2001:db8::1", "203.0.113.1", "198.51.100.0/24"]
    assert [entry.prefix for entry in PLAIN.accept(given)] == [Prefix(text) for text in given]
    assert PLAIN.validate(iter(given)).entries() == PLAIN.accept(given)


# The policy itself


def test_C4_canonical_text_is_a_field_of_the_policy() -> None:
    bare, full = Policy(bare_addresses=True), Policy(bare_addresses=False)
    for text, shown in [("203.0.113.5", "203.0.113.5"), ("2001:DB8::1", "2001:db8::1")]:
        assert bare.canonical(Prefix(text)) == shown
    assert full.canonical(Prefix("203.0.113.5")) == "203.0.113.5/32"
    assert full.canonical(Prefix("2001:db8::1")) == "2001:db8::1/128"
    for policy in (bare, full):
        assert policy.canonical(Prefix("198.51.100.0/24")) == "198.51.100.0/24"


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Policy)])
def test_policy_cannot_be_changed(name: str) -> None:
    policy = Policy()
    with pytest.raises((AttributeError, TypeError)):
        setattr(policy, name, None)
    assert policy == Policy()


def test_policies_are_values() -> None:
    assert Policy(max_entries=3) == Policy(max_entries=3)
    assert Policy(max_entries=3) != Policy(max_entries=4)
    assert hash(Policy(max_entries=3)) == hash(Policy(max_entries=3))
    assert dataclasses.replace(Policy(), max_entries=3) == Policy(max_entries=3)


def test_policy_takes_its_fields_by_name_only() -> None:
    with pytest.raises(TypeError):
        Policy("nomsa")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"families": frozenset({5})}, "families"),
        ({"families": frozenset()}, "families"),
        ({"kinds": {"address"}}, "kinds"),
        ({"duplicates": "merge"}, "duplicates"),
        ({"max_entries": -1}, "max_entries"),
        ({"min_prefix_v4": 33}, "min_prefix_v4"),
        ({"max_label_length": 0}, "max_label_length"),
        ({"max_label_length": True}, "max_label_length"),
    ],
)
def test_policy_that_contradicts_itself_is_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Policy(**wrong)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"binding": "group"}, ValueError),
        ({"cutover": datetime(2025, 6, 16)}, ValueError),  # a time without a zone
        ({"cutover": date(2025, 6, 16)}, TypeError),
        ({"pipeline": ("authenticate",)}, ValueError),
        ({"pipeline": ("ip", "ip")}, ValueError),
    ],
)
def test_C10_C11_key_rules_that_contradict_themselves_are_refused(
    wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        KeyRules(**wrong)


@pytest.mark.parametrize("value", [None, 0, 1, "", "false", []])
@pytest.mark.parametrize("name", ["new_keys_need_list", "default_list", "describe_lists"])
def test_a_switch_of_the_rules_of_keys_is_true_or_false(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} is True or False"):
        KeyRules(**{name: value})


@pytest.mark.parametrize("value", [None, 0, 1, "", "false", []])
@pytest.mark.parametrize("name", ["allow_any", "bare_addresses"])
def test_a_switch_of_a_policy_is_true_or_false(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} is True or False"):
        Policy(**{name: value})


@pytest.mark.parametrize("character", ["\n", "\x00", "\x7f", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\ud800"])
def test_C18_a_character_that_ends_a_line_or_turns_text_around_is_no_part_of_a_label(character: str) -> None:
    report = Policy().validate([("192.0.2.1", f"of{character}fice")])
    assert [problem.code for problem in report.errors] == ["label_invalid"]


def test_a_problem_gives_its_line_without_the_entry() -> None:
    report = Policy(max_entries=1, private="warn").validate(["10.0.0.1", "10.0.0.1/33"])
    for problem in report.problems:
        assert str(problem).endswith(f": {problem.advice}")
        assert problem.line == (problem.advice if problem.index is None else f"{problem.text!r}: {problem.advice}")
    private = next(problem for problem in report.problems if problem.code == "private")
    assert private.advice == f"{private.message}; {private.hint}"
    assert dataclasses.replace(private, hint=None).advice == private.message


def test_C10_a_key_needs_a_list_from_the_cutover_on() -> None:
    cutover = datetime(2025, 6, 16, tzinfo=UTC)
    rules = KeyRules(new_keys_need_list=True, cutover=cutover)
    moments = (cutover - timedelta(microseconds=1), cutover, cutover + timedelta(days=1))
    assert [rules.needs_list(moment) for moment in moments] == [False, True, True]
    assert not KeyRules(new_keys_need_list=False, cutover=cutover).needs_list(cutover)
    assert not KeyRules(new_keys_need_list=True).needs_list(cutover)


def test_the_report_of_an_error_has_what_an_error_promises() -> None:
    with pytest.raises(PolicyError) as caught:
        PLAIN.accept(["203.0.113.5", "10.0.0.1/8"])
    report = caught.value.report
    assert isinstance(report, Report)
    for promise, thing in ((HasProblems, report), (IsProblem, report.problems[0])):
        assert all(hasattr(thing, name) for name in vars(promise) if not name.startswith("_"))
    found = [(problem.index, problem.severity == "error", problem.hint) for problem in caught.value.report.errors]
    assert found == [(1, True, "did you mean 10.0.0.0/8?")]
