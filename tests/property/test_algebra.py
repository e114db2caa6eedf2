"""Laws of two lists combined, over the whole address space; `exhaustive/test_algebra.py` has all small ones."""

import pickle
from ipaddress import ip_address, ip_network
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import AllowList, Prefix
from cidrmatch._core.probe import freeze_as
from tests import reference
from tests.reference import Span, build_span, exclude_from, format_span, spans_of
from tests.strategies import labels, probes, span_lists, spans

FORMS = ["by size", "scan", "ladder", "map"]
V6 = 0x20010DB8 << 96

small = st.lists(st.tuples(st.integers(0, 15), st.integers(28, 32)), max_size=6)


def listed(found: list[Span]) -> AllowList:
    return AllowList(map(format_span, found))


def labelled() -> st.SearchStrategy[AllowList]:
    pairs = st.lists(st.tuples(spans().map(format_span), labels()), max_size=8)
    return st.one_of(pairs.map(AllowList), span_lists().map(listed))


def same_addresses(one: AllowList, other: AllowList) -> bool:
    return one <= other <= one


@given(small, small)
def test_results_are_those_of_python_sets(these: list[tuple[int, int]], those: list[tuple[int, int]]) -> None:
    texts = [
        [f"192.0.2.{first >> 32 - length << 32 - length}/{length}" for first, length in each] for each in (these, those)
    ]
    (a, b), (x, y) = map(AllowList, texts), ({one for net in each for one in ip_network(net)} for each in texts)
    for result, expected in ((a - b, x - y), (a & b, x & y), (a | b, x | y), (a ^ b, x ^ y)):
        assert {one for entry in result for one in ip_network(str(entry.prefix))} == expected
    assert (a <= b, a < b, a >= b, a > b) == (x <= y, x < y, x >= y, x > y)
    assert (a.isdisjoint(b), a.issubset(b), a.issuperset(b)) == (x.isdisjoint(y), x.issubset(y), x.issuperset(y))


@given(span_lists(), span_lists())
def test_a_difference_has_the_addresses_that_the_twin_leaves(these: list[Span], those: list[Span]) -> None:
    found = spans_of((listed(these) - listed(those)).aggregate())
    assert found == exclude_from(these, those)
    both = spans_of((listed(these) & listed(those)).aggregate())
    rest = exclude_from([Span(4, 0, 2**32 - 1), Span(6, 0, 2**128 - 1)], those)
    assert both == exclude_from(these, rest) or 6 in {span.family for span in rest}


@given(labelled(), labelled(), st.data())
def test_an_address_is_in_a_result_by_the_rule_and_keeps_its_label(
    a: AllowList, b: AllowList, data: st.DataObject
) -> None:
    around = spans_of([*(entry.prefix for entry in a), *(entry.prefix for entry in b)])
    for _ in range(5):
        text = reference.format_address(data.draw(probes(around)))
        here, there = text in a, text in b
        assert (text in a - b) == (here and not there)
        assert (text in a & b) == (here and there)
        assert (text in a ^ b) == (here != there)
        match, side = a.match(text), a & b if there else a - b
        kept = side.match(text)
        assert (kept is None) == (match is None)
        assert kept is None or (match is not None and kept.label == match.label and match.prefix.covers(kept.prefix))


@given(labelled(), labelled())
def test_the_laws_of_sets(a: AllowList, b: AllowList) -> None:
    everyone, nobody = AllowList(["0.0.0.0/0", "::/0"]), AllowList()
    assert same_addresses((a - b) | (a & b), a)
    assert (a - b).isdisjoint(b)
    assert (a - b).isdisjoint(a & b)
    assert same_addresses(a & b, b & a)
    assert same_addresses(a - (a - b), a & b)
    assert same_addresses(everyone - (a | b), (everyone - a) & (everyone - b))
    assert same_addresses(everyone - (a & b), (everyone - a) | (everyone - b))
    assert a ^ b == (a - b) | (b - a)
    assert same_addresses(a ^ b, (a | b) - (a & b))
    assert (a <= b) is (len(a - b) == 0) is same_addresses(a | b, b)
    assert a.isdisjoint(b) is (len(a & b) == 0)
    assert (a < b) is (a <= b and not b <= a)
    assert a <= a
    assert not a < a
    # What is not touched stays as it is, with its entries and labels.
    assert a - nobody == a & everyone == a & a == a | nobody == nobody | a == a - (everyone - a)
    assert a - a == a & nobody == a - everyone == nobody == a ^ a


@given(labelled(), labelled())
def test_a_result_is_a_list_like_any_other(a: AllowList, b: AllowList) -> None:
    for result in (a - b, a & b, a | b, a ^ b):
        again = AllowList(list(result))
        assert result == again
        assert hash(result) == hash(again)
        assert list(result) == list(again)
        assert repr(result) == repr(again)
        assert result.aggregate() == again.aggregate()
        assert pickle.loads(pickle.dumps(result)) == result
        assert [result[number] for number in range(len(result))] == list(again)


@given(span_lists(), span_lists())
def test_no_result_has_a_prefix_inside_the_mapped_space(these: list[Span], those: list[Span]) -> None:
    """C16: as text such a prefix would mean IPv4 addresses."""
    mapped = ip_network("::ffff:0:0/96")
    a, b = listed(these), listed(those)
    for result in (a - b, a & b, a ^ b):
        for entry in result:
            assert Prefix(str(entry.prefix)) == entry.prefix
            network = ip_network(str(entry.prefix))
            assert network.version == 4 or not network.subnet_of(mapped)  # type: ignore[arg-type]


def test_the_mapped_space_counts_nowhere() -> None:
    whole, half = AllowList(["::fffe:0:0/95"]), AllowList(["::fffe:0:0/96"])
    assert whole - half == AllowList()
    assert whole <= half <= whole
    assert not half < whole
    assert whole & AllowList(["0.0.0.0/0"]) == AllowList()
    assert AllowList(["::/0"]) - AllowList(["0.0.0.0/0"]) == AllowList(["::/0"])
    left = AllowList(["::/0"]) - half
    assert len(left) == 95
    assert not any(ip_address("::ffff:1.2.3.4") in ip_network(str(entry.prefix)) for entry in left)


@given(st.randoms(use_true_random=False), st.sampled_from(FORMS))
def test_long_lists_of_every_form_are_read_again_as_they_were_made(random: Random, form: str) -> None:
    """A list whose table is a ladder, a map or a trie has the same ranges as one that is scanned."""
    sides = []
    for _ in range(2):
        lengths = [random.randint(20, 32) for _ in range(300)]
        sides.append([build_span(4, 0x0A000000 + random.randrange(1 << 16), length) for length in lengths])
        sides[-1] += [build_span(6, V6 + (random.randrange(1 << 16) << 56), length + 40) for length in lengths]
    a, b = (freeze_as([format_span(span) for span in side], form) for side in sides)
    assert spans_of(a.aggregate()) == reference.aggregate(sides[0])
    assert spans_of((a - b).aggregate()) == exclude_from(*sides)
