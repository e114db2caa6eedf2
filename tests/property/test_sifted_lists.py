"""A long list is judged in a short way; the twin is the judge that hears every entry, and both say the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Condition, Entry, Policy, Prefix
from cidrmatch._core import PrefixLines, Sieve
from cidrmatch.policy import validation
from cidrmatch.policy.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS = (
    *(
        "10.0.0.0/8",
        "10.0.0.0",
        "10.0.0.0/32",
        "10.1.0.0/16",
        "10.1.0.0/17",
        "10.1.2.3",
        "203.0.113.0/24",
        "203.0.113.7",
    ),
    *("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "224.0.0.0/4", "255.255.255.255", "0.0.0.0/32", "127.0.0.1/32"),
    *(
        "2001:db8::/32",
        "2001:db8::",
        "2001:DB8::/48",
        "2001:db8:0:0::/48",
        "::/0",
        "::/1",
        "8000::/1",
        "::1",
        "ff00::/8",
    ),
    *("::ffff:10.0.0.0/104", "::ffff:203.0.113.7", "::ffff:0:0/96", "fe80::1", "fc00::/7"),
    *("junk", "10.0.0.1/8", "010.0.0.1", "", "10.0.0.0/33", "bü", "2001:db8::1/32", "10.0.0.0/255.0.0.0"),
)
LABELS = (None, "Office", "", "a\x1bb", "\u202eright", "x" * 300, "Büro")

texts = st.sampled_from(TEXTS)
forms = st.one_of(
    texts,
    st.tuples(texts, st.sampled_from(LABELS)),
    st.sampled_from(TEXTS[:24]).map(Prefix),
    st.builds(Entry, st.sampled_from(TEXTS[:24]), st.sampled_from(LABELS)),
)
policies = st.one_of(
    st.sampled_from([make() for make in PRESETS.values()]),
    st.builds(
        Policy,
        families=st.sampled_from([frozenset({4}), frozenset({6}), frozenset({4, 6})]),
        kinds=st.sampled_from([frozenset({"address"}), frozenset({"cidr"}), frozenset({"address", "cidr"})]),
        min_entries=st.sampled_from([0, 1, 3]),
        min_prefix_v4=st.sampled_from([None, 0, 8, 9, 24]),
        min_prefix_v6=st.sampled_from([None, 32, 33]),
        labels=st.sampled_from(["optional", "refuse"]),
        private=st.sampled_from(["accept", "warn", "reject"]),
        allow_any=st.booleans(),
        host_bits=st.sampled_from(["reject", "reject", "mask"]),
        duplicates=st.sampled_from(["collapse", "collapse", "reject"]),
    ),
)


def judged(policy: Policy, entries: Any, *, long: int, on_key: bool = True) -> tuple[Any, Any]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(validation, "_LONG", long)
        report = policy.validate(entries, on_key=on_key)
    return report.accepted, report.problems


@given(policies, st.lists(forms, max_size=12), st.booleans())
def test_a_sifted_list_has_the_report_of_a_heard_one(policy: Policy, entries: list[Any], on_key: bool) -> None:
    expected = judged(policy, entries, long=1_000_000, on_key=on_key)
    assert judged(policy, entries, long=0, on_key=on_key) == expected
    assert judged(policy, tuple(entries), long=0, on_key=on_key) == expected


@given(policies, st.lists(texts.filter(bool), max_size=12))
def test_a_text_without_objects_has_the_report_of_its_entries(policy: Policy, entries: list[str]) -> None:
    lines = PrefixLines("\n".join(entries).encode())
    expected = judged(policy, [(text, None) for text in entries], long=1_000_000)
    assert judged(policy, lines, long=0) == expected
    assert judged(policy, lines, long=1_000_000) == expected


@given(st.lists(st.sampled_from([text for text in TEXTS if text.startswith("2")]), min_size=80, max_size=300))
def test_long_lists_of_one_family_find_the_first_of_equals(entries: list[str]) -> None:
    assert judged(Policy(), entries, long=0) == judged(Policy(), entries, long=1_000_000)


def test_a_long_list_with_everything_in_it_is_sifted_by_itself() -> None:
    plain = [f"198.{i >> 8}.{i & 255}.0/24" for i in range(600)] + [f"2001:db8:{i:x}::/48" for i in range(600)]
    entries = [*TEXTS, *plain, *TEXTS]
    for policy in (Policy(), replace(PRESETS["unkey"](), private="warn"), PRESETS["pigment"]()):
        assert judged(policy, entries, long=256) == judged(policy, entries, long=1_000_000)


@pytest.mark.parametrize("label", LABELS)
def test_a_label_of_a_long_list_is_judged_as_that_of_a_short_one(label: str | None) -> None:
    entries = [(f"198.51.{i}.0/24", "Office") for i in range(256)] + [("203.0.113.5", label)]
    long, alone = Policy().validate(entries), Policy().validate(entries[-1:])
    assert [problem.code for problem in long.problems] == [problem.code for problem in alone.problems]
    assert long.ok == (label in (None, "Office", "Büro"))


@pytest.mark.parametrize(
    "entry",
    [b"\x0a\0\0\0", {"prefix": "10.0.0.0"}, Entry("10.0.0.0", None, Condition(effect="deny")), ("10.0.0.0",), 5],
)
def test_an_entry_of_another_form_leaves_the_list_to_the_judge(entry: Any) -> None:
    entries = ["10.0.0.0/8"] * 3 + [entry]
    assert not sieve(entries).is_whole
    assert judged(Policy(), entries, long=0) == judged(Policy(), entries, long=1_000_000)


def test_a_list_that_changes_while_it_is_read_is_left_to_the_judge() -> None:
    class Shrinking(list[str]):
        def __len__(self) -> int:
            return 5

    assert not sieve(Shrinking(["10.0.0.0"] * 4)).is_whole
    assert not sieve(Shrinking(["10.0.0.0"] * 6)).is_whole
    assert sieve(Shrinking(["10.0.0.0"] * 5)).is_whole


def sieve(entries: Sequence[Any]) -> Sieve:
    return Sieve(
        entries,
        families={4, 6},
        has_addresses=True,
        has_ranges=True,
        least4=0,
        least6=0,
        named=[],
        most_label=255,
    )
