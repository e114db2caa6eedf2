"""How many addresses a list lets through: counted piece by piece, each piece asked like one address."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Condition, Engine, Entry, KeyRecord, Policy
from cidrmatch.policy.reach import NEVER, allows, denies_for_a_time, reach_of
from tests.reference import Span, bits_of, format_span, largest, length_of, parse_prefix, span_covers
from tests.strategies import span_lists

SOON = datetime(2027, 1, 1, tzinfo=UTC)
CONDITIONS = [
    *(None, None, Condition(effect="deny"), Condition(effect="deny"), Condition(enabled=False)),
    *(Condition(expires=SOON), Condition(effect="deny", enabled=False), Condition(effect="deny", not_before=SOON)),
]
NO_CLIENTS = [*map(parse_prefix, NEVER), Span(6, 0xFFFF << 32, (0x10000 << 32) - 1)]
BROAD = [
    Span(family, first, last) for family in (4, 6) for first, last in [(0, largest(family)), (0, largest(family) // 2)]
]


def lists() -> st.SearchStrategy[list[Entry]]:
    spans = st.tuples(span_lists(), st.lists(st.sampled_from(BROAD), max_size=3)).map(lambda both: both[0] + both[1])
    conditions = st.lists(st.sampled_from(CONDITIONS), min_size=15, max_size=15)
    return st.tuples(spans, conditions).map(
        lambda both: [Entry(format_span(span), None, condition) for span, condition in zip(*both, strict=False)]
    )


def count_slowly(family: int, entries: list[Entry]) -> int:
    """Cut the family at every border, and ask each piece by its first address."""
    lasting = [
        (parse_prefix(str(entry.prefix)), allows(entry))
        for entry in entries
        if entry.prefix.family == family
        and (entry.condition is None or entry.condition.enabled)
        and not denies_for_a_time(entry)
    ]
    spans = [span for span, _ in lasting] + [span for span in NO_CLIENTS if span.family == family]
    cuts = sorted({0, largest(family) + 1} | {span.first for span in spans} | {span.last + 1 for span in spans})
    total = 0
    for first, end in pairwise(cuts):
        piece = Span(family, first, end - 1)
        if any(span_covers(span, piece) for span in NO_CLIENTS):
            continue
        around = [(length_of(span), not passes) for span, passes in lasting if span_covers(span, piece)]
        total += (end - first) * (bool(around) and not max(around)[1])
    return total


@given(lists())
def test_what_passes_is_counted_as_a_loop_over_all_pieces_counts_it(entries: list[Entry]) -> None:
    reach = reach_of(entries)
    for family in (4, 6):
        slow = count_slowly(family, entries)
        assert reach.clients[family] >= slow, "never too few"
        assert reach.is_most(family) == (2 * slow > 1 << bits_of(family))
        assert reach.is_everyone(family) == (slow == count_slowly(family, [Entry(BROAD_TEXT[family])]))
        if reach.is_most(family) or any(not allows(entry) for entry in entries):
            assert reach.clients[family] in (slow, sum_of(family, entries))


BROAD_TEXT = {4: "0.0.0.0/0", 6: "::/0"}


def sum_of(family: int, entries: list[Entry]) -> int:
    """What a list that is far too small to matter is added up to."""
    prefixes = {
        entry.prefix for entry in entries if allows(entry) and (entry.condition is None or entry.condition.enabled)
    }
    return sum(1 << (bits_of(family) - prefix.length) for prefix in prefixes if prefix.family == family)


@given(lists(), st.integers(0, 2**32 - 1))
def test_C24_everyone_and_nobody_are_what_an_engine_decides(entries: list[Entry], number: int) -> None:
    """Where all pass no address of a client is denied, where nobody passes none is allowed, at any moment."""
    reach = reach_of(entries)
    lasting = [entry for entry in entries if not denies_for_a_time(entry)]  # a moment when they do not count
    engine = Engine(Policy(), clock=lambda: SOON.timestamp() - 1)
    engine.restore(keys={"k": KeyRecord(created_at=SOON, entries=tuple(lasting))})
    address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    is_client = not any(
        parse_prefix(text).first <= number <= parse_prefix(text).last for text in NEVER if ":" not in text
    )
    if lasting and is_client:
        assert not (reach.is_everyone(4) and not engine.allows("k", address))
        assert not (reach.is_nobody() and engine.allows("k", address))
