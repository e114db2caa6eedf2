"""Key stores against the slow twin: any lists, any addresses, every form and every kind of vectors.

    lists of spans --KeyStore--> asked one by one, asked in a batch      the twin: a loop over the spans
                   --copied, with others, in another order--> asked again

Requirements: B2, B5, C16.
"""

from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import KeyStore
from cidrmatch._keys.probe import use_vectors
from cidrmatch._keys.store import Builder
from tests import reference
from tests.reference import Span, format_address, format_span
from tests.strategies import probes, span_lists

keys = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["key", "key_1", "key_11", "k" * 300])
few = span_lists(max_size=8)
many = span_lists(max_size=100)


@given(lists=st.dictionaries(keys, few, min_size=1, max_size=8), data=st.data())
def test_every_key_sees_its_own_entries_and_no_others(lists: dict[str, list[Span]], data: st.DataObject) -> None:
    """B2, B5."""
    store = KeyStore({key: [format_span(span) for span in spans] for key, spans in lists.items()})
    store.verify()
    everything = [span for spans in lists.values() for span in spans]
    asked = [data.draw(probes(everything)) for _ in range(6)]
    texts = [format_address(address) for address in asked]
    expected = [reference.contains(spans, address) for spans in lists.values() for address in asked]
    for vectors in (0, 1, 2, 3):
        narrowed = use_vectors(store, vectors)
        assert [narrowed.allows(key, text) for key in lists for text in texts] == expected
        pairs = [(key, text) for key in lists for text in texts]
        assert list(narrowed.allows_many([key for key, _ in pairs], [text for _, text in pairs])) == expected
    unknown = data.draw(keys.filter(lambda key: key not in lists))
    assert not any(store.allows(unknown, text) for text in texts)


@given(spans=many, other=many, data=st.data())
def test_long_lists_become_ranges_and_mean_the_same(spans: list[Span], other: list[Span], data: st.DataObject) -> None:
    """Beyond 64 IPv4 or 32 IPv6 entries a list is merged."""
    filler = [Span(4, 0xC6120000 + 2 * number, 0xC6120000 + 2 * number) for number in range(65)]
    lists = {"long": [*spans, *filler], "other": other}
    texts = {key: [format_span(span) for span in spans] for key, spans in lists.items()}
    store = KeyStore(texts)
    store.verify()
    assert [str(entry) for entry in store.entries("long")] == texts["long"]
    for _ in range(6):
        address = data.draw(probes(lists["long"]))
        for vectors in (0, 1, 2, 3):
            for key, given_spans in lists.items():
                expected = reference.contains(given_spans, address)
                assert use_vectors(store, vectors).allows(key, format_address(address)) == expected


@given(lists=st.dictionaries(keys, few, max_size=8), more=st.dictionaries(keys, few, max_size=4), data=st.data())
def test_a_store_made_of_another_has_what_was_left_and_what_was_added(
    lists: dict[str, list[Span]], more: dict[str, list[Span]], data: st.DataObject
) -> None:
    texts = {key: [format_span(span) for span in spans] for key, spans in {**lists, **more}.items()}
    first = KeyStore({key: [format_span(span) for span in spans] for key, spans in lists.items()})
    left_out = set(data.draw(st.lists(st.sampled_from(sorted(lists)))) if lists else []) | more.keys()
    builder = Builder()
    builder.copy(first, left_out, in_order=data.draw(st.booleans()))
    for key in more:
        builder.add(key, texts[key])
    second = builder.build()
    second.verify()
    assert set(second) == (lists.keys() - left_out) | more.keys()
    for key in second:
        assert sorted(map(str, second.entries(key))) == sorted(texts[key])
