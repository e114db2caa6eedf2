"""A rule machine: whatever is done to a `PatriciaTrie`, in whatever order, it stays equal to the slow twin.

Every rule does the same thing to both.  After each step the two are compared whole (keys, values, order, length) and
about a few questions.  Keys come from a small tree, so that they meet: parents, children, twins, the same key again.
"""

import copy
import pickle
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cidrmatch import AllowList, PatriciaTrie, Prefix, aggregate
from tests import reference
from tests.reference import SlowTrie, Span, build_span, format_span, host_span, packed_of, span_of, spans_of
from tests.strategies import probes, spans

NEST = {4: 0xC0000200, 6: (0x20010DB8 << 96) + (1 << 64)}
"""192.0.2.0 and 2001:db8:0:1::, at the border of two 64-bit words."""
LENGTHS = {4: [0, 1, 24, 25, 26, 27, 30, 31, 32], 6: [0, 1, 48, 62, 63, 64, 65, 66, 127, 128]}


@st.composite
def nested(draw: st.DrawFn) -> Span:
    """One of few prefixes, close together."""
    family = draw(st.sampled_from([4, 6]))
    bits = reference.bits_of(family)
    flip = draw(st.sampled_from([0, 0, 1, 1 << 5, 1 << 6, 1 << 7, 1 << 62, 1 << 63, 1 << 64, 1 << (bits - 1)]))
    return build_span(family, (NEST[family] ^ flip) & reference.largest(family), draw(st.sampled_from(LENGTHS[family])))


KEYS = st.one_of(nested(), nested(), nested(), spans())
VALUES = st.integers()


class TrieMachine(RuleBasedStateMachine):
    """The pair (ours, twin) and everything that can be done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.trie: PatriciaTrie[int] = PatriciaTrie()
        self.twin: SlowTrie[int] = SlowTrie()

    # Changing

    @initialize(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=6))
    def start(self, pairs: list[tuple[Span, int]]) -> None:
        self.trie = PatriciaTrie((format_span(span), value) for span, value in pairs)
        self.twin.values = dict(pairs)

    @rule(key=KEYS, value=VALUES)
    def set_value(self, key: Span, value: int) -> None:
        self.trie[format_span(key)] = value
        self.twin.values[key] = value

    @precondition(lambda self: self.twin.values)
    @rule(data=st.data(), value=VALUES)
    def replace_value(self, data: st.DataObject, value: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.twin.values)))
        self.trie[Prefix(format_span(key))] = value
        self.twin.values[key] = value

    @precondition(lambda self: self.twin.values)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.twin.values)))
        del self.trie[format_span(key)]
        del self.twin.values[key]

    @rule(key=KEYS)
    def remove_perhaps(self, key: Span) -> None:
        if key in self.twin.values:
            assert self.trie.pop(format_span(key)) == self.twin.values.pop(key)
        else:
            with pytest.raises(KeyError):
                del self.trie[format_span(key)]

    @rule(key=KEYS, value=VALUES)
    def set_default(self, key: Span, value: int) -> None:
        assert self.trie.setdefault(format_span(key), value) == self.twin.values.setdefault(key, value)

    @rule(pairs=st.lists(st.tuples(KEYS, VALUES), max_size=5))
    def update(self, pairs: list[tuple[Span, int]]) -> None:
        self.trie.update((format_span(span), value) for span, value in pairs)
        self.twin.values.update(pairs)

    @precondition(lambda self: self.twin.values)
    @rule()
    def pop_any(self) -> None:
        [(span, value)] = pairs([self.trie.popitem()])
        assert self.twin.values.pop(span) == value

    @precondition(lambda self: len(self.twin.values) > 8)
    @rule()
    def clear(self) -> None:
        self.trie.clear()
        self.twin.values.clear()

    @rule(key=KEYS)
    def clear_below(self, key: Span) -> None:
        for prefix, _ in self.trie.covered(format_span(key)):
            del self.trie[prefix]
        for span, _ in self.twin.covered(key):
            del self.twin.values[span]

    # Going on with a twin of itself: what pickle and copy give must be as good as the original

    @rule(protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
    def go_on_with_the_pickle(self, protocol: int) -> None:
        self.trie = pickle.loads(pickle.dumps(self.trie, protocol))

    @rule(how=st.sampled_from([PatriciaTrie.copy, copy.copy, copy.deepcopy]))
    def go_on_with_the_copy(self, how: Any) -> None:
        old = self.trie
        self.trie = how(old)
        old.clear()

    # Asking

    @rule(key=KEYS)
    def ask_about_a_prefix(self, key: Span) -> None:
        text = format_span(key)
        assert pair(self.trie.longest_match(text)) == self.twin.longest_match(key)
        assert pairs(self.trie.covering(text)) == self.twin.covering(key)
        assert pairs(self.trie.covered(text)) == self.twin.covered(key)
        assert self.trie.get(text) == self.twin.values.get(key)
        assert (text in self.trie) == (key in self.twin.values)

    @rule(data=st.data())
    def ask_about_an_address(self, data: st.DataObject) -> None:
        address = data.draw(probes(list(self.twin.values)))
        packed = packed_of(*address)
        assert pair(self.trie.longest_match(packed)) == self.twin.longest_match(host_span(address))
        assert pairs(self.trie.covering(packed)) == self.twin.covering(host_span(address))
        assert (packed in AllowList(list(self.trie))) == reference.contains(self.twin.values, address)

    @rule()
    def aggregate(self) -> None:
        assert spans_of(self.trie.aggregate()) == self.twin.aggregate()
        assert self.trie.aggregate() == aggregate(list(self.trie))

    @rule(hole=KEYS)
    def exclude(self, hole: Span) -> None:
        assert spans_of(self.trie.exclude(format_span(hole))) == self.twin.exclude(hole)

    @rule(key=KEYS)
    def change_while_iterating(self, key: Span) -> None:
        """A new key is noticed by the iterator; then it goes again."""
        iterator = iter(self.trie)
        if key in self.twin.values or not self.twin.values:
            return
        self.trie[format_span(key)] = 1
        with pytest.raises(RuntimeError):
            next(iterator)
        del self.trie[format_span(key)]

    # After each step

    @invariant()
    def keeps_its_invariants(self) -> None:
        """A node covers its children, a fork has two of them, there are at most 2n - 1 nodes."""
        trie: Any = self.trie
        trie.check_invariants()

    @invariant()
    def is_equal_to_the_twin(self) -> None:
        assert pairs(self.trie.items()) == self.twin.items()
        assert len(self.trie) == len(self.twin.values)
        assert [format_span(span) for span, _ in self.twin.items()] == [str(prefix) for prefix in self.trie]


def pair(found: tuple[Prefix, int] | None) -> tuple[Span, int] | None:
    return None if found is None else (span_of(found[0]), found[1])


def pairs(found: Iterable[tuple[Any, int]]) -> list[tuple[Span, int]]:
    return [(span_of(prefix), value) for prefix, value in found]


TestTrieMachine = TrieMachine.TestCase
TestTrieMachine.settings = settings(settings.default, stateful_step_count=40)
