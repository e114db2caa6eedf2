"""Laws about policies: all or nothing, whatever the policy and whatever the list."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Entry, InvalidPrefix, Policy, PolicyError, Prefix, parse_entry, presets
from tests.reference import format_span
from tests.strategies import any_texts, labels, prefix_texts, spans


def entries() -> st.SearchStrategy[Any]:
    text = st.one_of(prefix_texts(), prefix_texts(), spans().map(format_span), any_texts())
    odd = st.sampled_from([None, 5, True, b"1234", b"12345", (), {}, {"prefix": "1.2.3.4"}, Entry("10.0.0.0/8", "x")])
    pair = st.tuples(text, st.one_of(labels(), st.text(max_size=3)))
    return st.one_of(text, text, pair, odd)


def policies() -> st.SearchStrategy[Policy]:
    made = st.builds(
        Policy,
        families=st.sampled_from([frozenset({4}), frozenset({6}), frozenset({4, 6})]),
        kinds=st.sampled_from([frozenset({"address"}), frozenset({"cidr"}), frozenset({"address", "cidr"})]),
        min_entries=st.integers(0, 2),
        max_entries=st.sampled_from([None, 1, 3, 20]),
        min_prefix_v4=st.sampled_from([None, 0, 9, 32]),
        min_prefix_v6=st.sampled_from([None, 0, 33, 128]),
        duplicates=st.sampled_from(["collapse", "reject"]),
        labels=st.sampled_from(["optional", "refuse"]),
        private=st.sampled_from(["accept", "warn", "reject"]),
        host_bits=st.sampled_from(["reject", "mask"]),
        allow_any=st.booleans(),
        bare_addresses=st.booleans(),
    )
    return st.one_of(made, st.sampled_from([make() for make in presets.PRESETS.values()]))


@given(policies(), st.lists(entries(), max_size=8))
def test_report_is_all_or_nothing_and_speaks_of_entries_that_exist(policy: Policy, given_list: list[Any]) -> None:
    report = policy.validate(given_list)
    assert report.ok == (not report.errors)
    assert report.ok or report.accepted == ()
    assert all(problem.index is None or 0 <= problem.index < len(given_list) for problem in report.problems)
    assert all(str(problem).isprintable() for problem in report.problems)
    assert policy.validate(given_list) == report, "judging changes nothing"
    json.dumps(report.to_dict(), allow_nan=False)


@given(policies(), st.lists(entries(), max_size=8))
def test_accepted_entries_obey_the_policy(policy: Policy, given_list: list[Any]) -> None:
    accepted = policy.validate(given_list).accepted
    if not accepted:
        return
    assert policy.min_entries <= len(accepted)
    assert policy.max_entries is None or len(accepted) <= policy.max_entries
    assert len({entry.prefix for entry in accepted}) == len(accepted)
    for entry in accepted:
        least = policy.min_prefix_v4 if entry.prefix.family == 4 else policy.min_prefix_v6
        assert entry.prefix.family in policy.families
        assert least is None or entry.prefix.length >= least
        assert entry.label is None or (policy.labels == "optional" and 1 <= len(entry.label) <= 255)
        assert policy.allow_any or entry.prefix.length > 0


@given(policies(), st.lists(entries(), max_size=8))
def test_accept_entries_and_allow_list_agree_with_validate(policy: Policy, given_list: list[Any]) -> None:
    report = policy.validate(given_list)
    if report.ok:
        assert policy.accept(given_list) == report.entries() == report.accepted
        assert AllowList(given_list, policy=policy) == AllowList(report.accepted)
        return
    for apply in (policy.accept, lambda given: AllowList(given, policy=policy), lambda _: report.entries()):
        with pytest.raises(PolicyError) as caught:
            apply(given_list)
        assert caught.value.report == report


@given(policies(), st.lists(entries(), max_size=8))
def test_what_was_accepted_is_accepted_again(policy: Policy, given_list: list[Any]) -> None:
    """Stored entries, written out in the policy's own canonical text, pass the same policy and stay the same."""
    report = policy.validate(given_list)
    shows = "address" if policy.bare_addresses else "cidr"
    if not report.accepted or shows not in policy.kinds:
        return  # its canonical text is of a kind that it does not take
    written = [(policy.canonical(entry.prefix), entry.label) for entry in report.accepted]
    assert policy.accept(written) == report.accepted


@given(st.lists(entries(), max_size=8))
def test_default_policy_refuses_every_text_that_the_prefix_room_refuses(given_list: list[Any]) -> None:
    errors = {(problem.index, problem.code) for problem in Policy().validate(given_list).errors}
    for index, entry in enumerate(given_list):
        code = refusal_code(entry)
        assert code is None or (index, code) in errors


def refusal_code(entry: Any) -> str | None:
    try:
        parse_entry(entry)
    except InvalidPrefix as error:
        return error.code
    except TypeError:
        return "wrong_type"
    return None


@given(policies(), spans())
def test_canonical_text_parses_back(policy: Policy, span: Any) -> None:
    prefix = Prefix(format_span(span))
    text = policy.canonical(prefix)
    assert Prefix(text) == prefix
    assert ("/" not in text) == (policy.bare_addresses and prefix.is_address)
