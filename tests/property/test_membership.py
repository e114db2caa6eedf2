"""Laws about `AllowList`, `aggregate` and the trie: equal to the twin, whatever the order and however it is asked."""

import copy
import pickle
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Entry, PatriciaTrie, Prefix, aggregate
from tests import reference
from tests.judges import MAPPED
from tests.reference import Address, Span, format_span, packed_of, spans_of
from tests.strategies import addresses, labels, probes, span_lists, spans

PROBES = 20


def texts(found: list[Span]) -> list[str]:
    return [format_span(span) for span in found]


def draw_probes(data: st.DataObject, found: list[Span]) -> list[Address]:
    return data.draw(st.lists(probes(found), min_size=1, max_size=PROBES))


def labelled() -> st.SearchStrategy[list[tuple[Span, str | None]]]:
    return st.lists(st.tuples(spans(), labels()), max_size=8)


# Membership


@given(span_lists(), st.data())
def test_contains_is_what_the_twin_says(found: list[Span], data: st.DataObject) -> None:
    allow = AllowList(texts(found))
    for address in draw_probes(data, found):
        expected = reference.contains(found, address)
        packed = packed_of(*address)
        assert (reference.format_address(address) in allow) is expected
        assert (packed in allow) is expected
        assert allow.contains(packed) is expected


@given(span_lists(), st.data())
def test_match_and_matches_are_what_the_twin_says(found: list[Span], data: st.DataObject) -> None:
    entries = {span: str(place) for place, span in reversed(list(enumerate(found)))}
    allow = AllowList((format_span(span), str(place)) for place, span in enumerate(found))
    for address in draw_probes(data, found):
        around = reference.covering(found, reference.host_span(address))
        expected = [Entry(format_span(span), entries[span]) for span in around]
        text = reference.format_address(address)
        assert allow.matches(text) == expected
        assert allow.match(text) == (expected[0] if expected else None)


@given(span_lists(), st.data())
def test_many_at_once_are_what_one_at_a_time_says(found: list[Span], data: st.DataObject) -> None:
    allow = AllowList(texts(found))
    asked = draw_probes(data, found)
    forms: list[Any] = [reference.format_address(address) for address in asked]
    assert allow.contains_many(forms) == bytes(form in allow for form in forms)
    for family in (4, 6):
        packed = [packed_of(*address) for address in asked if address.family == family]
        answers = allow.contains_many(b"".join(packed), family=family)
        assert answers == bytes(one in allow for one in packed)
        assert answers == allow.contains_many(packed)


def unfold(packed: bytes) -> bytes:
    return packed if len(packed) == 16 else MAPPED + packed


@given(span_lists(), st.data())
def test_C16_packed_ipv6_batch_folds_mapped_addresses_too(found: list[Span], data: st.DataObject) -> None:
    allow = AllowList(texts(found))
    asked = draw_probes(data, found)
    full = [unfold(packed_of(*address)) for address in asked]
    expected = bytes(reference.contains(found, address) for address in asked)
    assert allow.contains_many(b"".join(full), family=6) == allow.contains_many(full) == expected


@given(span_lists(), st.data())
def test_covers_is_true_when_no_address_is_missing(found: list[Span], data: st.DataObject) -> None:
    allow = AllowList(texts(found))
    target = data.draw(st.one_of(spans(), st.sampled_from(found)) if found else spans())
    for asked in (target, *related(target)):
        assert allow.covers(format_span(asked)) is reference.is_covered_whole(found, asked)


def related(span: Span) -> list[Span]:
    """The prefix one bit shorter and the one one bit longer."""
    length = reference.length_of(span)
    near = [length - 1, length + 1]
    bits = reference.bits_of(span.family)
    found = [reference.build_span(span.family, span.first, one) for one in near if 0 <= one <= bits]
    return [one for one in found if one == reference.fold_span(one)]


# Sets


@given(span_lists(), st.randoms(use_true_random=False))
def test_order_and_duplicates_of_the_input_do_not_matter(found: list[Span], random: Any) -> None:
    first = AllowList(texts(found))
    shuffled = found + random.choices(found, k=len(found)) if found else []
    random.shuffle(shuffled)
    second = AllowList(texts(shuffled))
    assert first == second
    assert hash(first) == hash(second)
    assert list(first) == list(second)
    assert pickle.dumps(first) == pickle.dumps(second)
    assert spans_of(entry.prefix for entry in first) == sorted(set(found), key=reference.canonical_order)
    assert len(first) == len(set(found))


@given(labelled())
def test_building_again_from_its_own_entries_changes_nothing(found: list[tuple[Span, str | None]]) -> None:
    allow = AllowList((format_span(span), label) for span, label in found)
    for twin in (AllowList(allow), AllowList(list(allow)), pickle.loads(pickle.dumps(allow)), copy.deepcopy(allow)):
        assert twin == allow
        assert list(twin) == list(allow)
    first_label: dict[Span, str | None] = {}
    for span, label in found:
        first_label.setdefault(span, label)
    assert {reference.span_of(entry.prefix): entry.label for entry in allow} == first_label


@given(labelled(), labelled(), st.data())
def test_union_is_building_from_both(one: list[Any], other: list[Any], data: st.DataObject) -> None:
    shared = data.draw(st.lists(st.sampled_from(one), max_size=3)) if one else []
    other = other + [(span, "theirs") for span, _ in shared]
    left = AllowList((format_span(span), label) for span, label in one)
    right = AllowList((format_span(span), label) for span, label in other)
    both = left | right
    assert both == AllowList((format_span(span), label) for span, label in one + other)
    for address in draw_probes(data, [span for span, _ in one + other]):
        text = reference.format_address(address)
        assert (text in both) == (text in left or text in right)


@given(span_lists(), span_lists(), span_lists())
def test_union_is_associative_and_idempotent(one: list[Span], two: list[Span], three: list[Span]) -> None:
    a, b, c = (AllowList(texts(found)) for found in (one, two, three))
    assert (a | b) | c == a | (b | c)
    assert a | b == b | a
    assert a | a == a
    assert a | AllowList() == AllowList() | a == a


# Aggregation


def check_minimal(found: list[Span]) -> None:
    """No two overlap, no two are twins, and they come in order: fewer prefixes cannot hold these addresses."""
    assert found == sorted(found, key=reference.canonical_order)
    for one, other in pairwise(found):
        assert (one.family, one.last) < (other.family, other.first)
        length = reference.length_of(one)
        is_twin = length > 0 and reference.build_span(one.family, one.first, length - 1).last == other.last
        assert not (one.family == other.family and length == reference.length_of(other) and is_twin)


@given(span_lists(max_size=16))
def test_aggregate_is_minimal_and_holds_the_same_addresses(found: list[Span]) -> None:
    small = aggregate(texts(found))
    mine = spans_of(small)
    check_minimal(mine)
    assert reference.merge(mine) == reference.merge(found)
    assert mine == reference.aggregate(found)
    assert aggregate(small) == small
    assert (
        AllowList(texts(found)).aggregate() == PatriciaTrie(dict.fromkeys(texts(found), 1).items()).aggregate() == small
    )


@given(span_lists(), st.data())
def test_aggregated_list_lets_the_same_addresses_in(found: list[Span], data: st.DataObject) -> None:
    allow = AllowList(texts(found))
    small = AllowList(allow.aggregate())
    for address in draw_probes(data, found):
        packed = packed_of(*address)
        assert (packed in small) == (packed in allow)


@given(span_lists(), st.data())
def test_exclude_takes_away_exactly_the_hole(found: list[Span], data: st.DataObject) -> None:
    hole = data.draw(st.one_of(spans(), st.sampled_from(found)) if found else spans())
    rest = PatriciaTrie(dict.fromkeys(texts(found), 1).items()).exclude(format_span(hole))
    assert spans_of(rest) == reference.exclude(found, hole)
    allow = AllowList(rest)
    for address in draw_probes(data, [*found, hole]):
        expected = reference.contains(found, address) and not reference.span_contains(hole, address)
        assert (packed_of(*address) in allow) is expected


# The trie as a map


@given(span_lists(), st.data())
def test_trie_answers_like_the_twin(found: list[Span], data: st.DataObject) -> None:
    trie = PatriciaTrie((format_span(span), place) for place, span in enumerate(found))
    twin: reference.SlowTrie[int] = reference.SlowTrie()
    for place, span in enumerate(found):
        twin.values[span] = place
    assert pairs(trie.items()) == twin.items()
    hosts = [reference.host_span(address) for address in draw_probes(data, found)]
    for asked in data.draw(st.lists(spans(), max_size=5)) + found + hosts:
        text = format_span(asked)
        best = trie.longest_match(text)
        assert (None if best is None else pairs([best])[0]) == twin.longest_match(asked)
        assert pairs(trie.covering(text)) == twin.covering(asked)
        assert pairs(trie.covered(text)) == twin.covered(asked)
        assert (text in trie) == (asked in twin.values)
        assert trie.get(text) == twin.values.get(asked)


def pairs(found: Iterable[tuple[Any, int]]) -> list[tuple[Span, int]]:
    return [(reference.span_of(prefix), value) for prefix, value in found]


@given(spans(), spans(), addresses())
def test_covers_is_the_same_in_every_room(outer: Span, inner: Span, address: Address) -> None:
    for asked in (inner, outer, reference.host_span(address)):
        expected = reference.span_covers(outer, asked)
        text, outer_text = format_span(asked), format_span(outer)
        assert Prefix(outer_text).covers(text) is expected
        assert AllowList([outer_text]).covers(text) is expected
        assert bool(PatriciaTrie([(outer_text, 1)]).covering(text)) is expected
        assert bool(PatriciaTrie([(text, 1)]).covered(outer_text)) is expected
