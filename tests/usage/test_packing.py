"""Packed notes come out as rows that a slow twin makes of the same notes, for both databases.

    notes --Packer, parts--> SELECT_PACKED in SQLite    = rows of the twin
                        '--> bytes of COPY, parsed      = rows of the twin

Requirements: B25, B28; C16.
"""

from __future__ import annotations

import math
import sqlite3
import struct
import threading
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Prefix, format_address
from cidrmatch._keys import SELECT_PACKED, PackedNotes, Packer
from cidrmatch.client import ClientAddress
from cidrmatch.gateways.guard import GuardDecision
from cidrmatch.service.usage.formatting import packer_for, stored_id, stored_key, stored_path
from cidrmatch.service.usage.masks import Mask
from tests.usage.usage_stand import peer_guard

DAY = 86_400_000_000
NOW = 1_795_000_000.0
GUARD = peer_guard()
MASK = Mask(key="hash", secret=b"nobody guesses it")
Row = tuple[Any, ...]


# -- The twin -----------------------------------------------------------------


class Numbers(dict[Any, int]):
    """Give each new thing the next number, from 1 on."""

    def __missing__(self, thing: Any) -> int:
        self[thing] = len(self) + 1
        return self[thing]


class Twin:
    """Make rows of notes, one by one, in plain Python."""

    def __init__(self, mask: Mask | None, last: int) -> None:
        self.mask, self.last = mask, last
        self.kinds, self.places, self.data = Numbers(), Numbers(), Numbers()

    def row(self, note: Any) -> Row:
        at, found, method, path, status, request_id, seconds, stopped_at, key = note
        words: list[Any] = [method, status if type(status) is int else None, None, None, None, None, stopped_at, None]
        packed = trail = place = data = None
        if found is not None:
            key, words[2], words[3], words[4] = found.key, found.allowed, found.reason, found.client.problem
            packed, trail = self.client(found.client)
            if found.decision is not None:
                words[5], words[7] = found.decision.policy.name, found.decision.would_allow
                data = self.data[found.decision.version]
                if found.decision.entry is not None:
                    place = self.places[id(found.decision.entry), found.decision.list_name]
        words = [word[:64] if type(word) is str else word for word in words]
        micros = int(at * 1e6)
        self.last = max(micros, self.last + 1)
        return (
            self.last,
            self.last - micros,
            None if key is None else stored_key(key if self.mask is None else self.mask.named(key)),
            self.kinds[tuple(words)],
            packed,
            None if path is None else stored_path(path),
            trail,
            place,
            data,
            None if request_id is None else stored_id(str(request_id)),
            None if seconds is None else max(min(int(seconds * 1e6), 2**53), 0),
            None,
        )

    def client(self, client: ClientAddress) -> tuple[bytes | None, bytes | None]:
        packed, trail = client.packed, client.trail
        hides = self.mask is not None and self.mask.hides_addresses
        if packed is not None and packed.startswith(bytes(10) + b"\xff\xff") and len(packed) == 16:
            packed = packed[12:]
        if hides:
            assert self.mask is not None
            return (None, None) if packed is None else (self.mask.address(packed), b"")
        if packed is None and not trail:
            return None, None
        if packed is not None and list(trail) == [format_address(packed)]:
            return packed, None
        if any("\0" in element for element in trail):
            trail = tuple(element.replace("\0", "\ufffd") for element in trail)
        return packed, "\0".join(trail)[:1_024].encode("utf-8", "surrogatepass")


# -- Both forms, read ---------------------------------------------------------


class Part(NamedTuple):
    day: int
    rows: int
    last: int
    lag: int
    data: bytes


def rows_in_sqlite(part: Part) -> list[Row]:
    connection = sqlite3.connect(":memory:")
    try:
        return connection.execute(SELECT_PACKED, (part.data, part.rows)).fetchall()
    finally:
        connection.close()


def rows_of_copy(data: bytes) -> list[Row]:
    """Parse the binary form of COPY, as the manual of PostgreSQL describes it."""
    assert data.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    rows, at = [], 19
    while (columns := struct.unpack_from(">h", data, at)[0]) != -1:
        at += 2
        assert columns == 12
        row: list[Any] = []
        for column in range(12):
            (size,) = struct.unpack_from(">i", data, at)
            value = None if size == -1 else data[at + 4 : at + 4 + size]
            at += 4 + max(size, 0)
            if value is not None and column in (0, 1, 10, 11):
                assert size == 8
            if value is not None and column in (3, 7, 8):
                assert size == 4
            is_number = column not in (2, 4, 5, 6, 9)
            row.append(int.from_bytes(value, "big", signed=True) if value is not None and is_number else value)
        rows.append(tuple(row))
    assert at + 2 == len(data)
    return rows


def check(packer: Packer, mask: Mask | None, notes: list[Any], last: int) -> None:
    twin = Twin(mask, last)
    for note in notes:
        assert packer.put(*note) == 0
    batch = packer.take()
    assert batch is not None
    wanted = [twin.row(note) for note in notes]
    ids = [list(range(1, 1 + len(numbers))) for numbers in (batch.kinds, batch.entries, batch.versions)]
    for as_copy in (False, True):
        parts = [Part(*part) for part in batch.parts(last, *ids, as_copy=as_copy)]
        rows = [rows_of_copy(part.data) if as_copy else rows_in_sqlite(part) for part in parts]
        assert [row for of_day in rows for row in of_day] == wanted
        for part, of_day in zip(parts, rows, strict=True):
            assert {row[0] // DAY for row in of_day} == {part.day}
            assert (part.rows, part.last) == (len(of_day), of_day[-1][0])
            assert part.lag == max(row[1] for row in of_day)
        assert [part.day for part in parts] == sorted({part.day for part in parts})
    assert [words[:3] for words in batch.kinds] == [words[:3] for words in twin.kinds]
    assert batch.versions == list(twin.data)


# -- Laws ---------------------------------------------------------------------

TEXTS = st.text(max_size=20) | st.sampled_from(["", "\0", "\ud800", "x" * 3_000, "\u20ac" * 2_049, "\U0001f511" * 600])
ADDRESSES = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
TRAILS = st.lists(TEXTS | ADDRESSES.map(format_address), max_size=4).map(tuple)
MOMENTS = st.floats(NOW - 3 * 86_400, NOW + 3 * 86_400) | st.just(NOW) | st.just(0.0)


@st.composite
def decisions(draw: st.DrawFn) -> Any:
    packed = draw(
        st.none()
        | ADDRESSES
        | ADDRESSES.filter(lambda each: len(each) == 4).map(lambda each: b"\0" * 10 + b"\xff\xff" + each)
    )
    trail = draw(TRAILS | st.just(() if packed is None else (format_address(packed),)))
    client = ClientAddress(packed, None if packed else "malformed", trail)
    key = draw(st.none() | st.sampled_from(["key_1", "key_2", "key_3", "nobody"]) | TEXTS)
    decision = (
        None if key is None else GUARD.engine.check(key, draw(st.sampled_from(["203.0.113.9", "2001:db8::1", "x"])))
    )
    return GuardDecision(GUARD, key, client, decision, 0.0)


NOTES = st.tuples(
    MOMENTS,
    st.none() | decisions(),
    st.none() | st.sampled_from(["GET", "POST"]) | TEXTS,
    st.none() | TEXTS,
    st.none() | st.integers(0, 1_000),
    st.none() | TEXTS,
    st.none() | st.floats(-1.0, 1e12) | st.integers(0, 2**70),
    st.none() | st.just("scope"),
    st.none() | TEXTS,
)


@pytest.mark.parametrize("mask", [None, MASK, Mask(None, None, "hash", b"nobody guesses it"), Mask(32, 64)])
@given(notes=st.lists(NOTES, min_size=1, max_size=12), last=st.sampled_from([0, int(NOW * 1e6), int(NOW * 1e6) + DAY]))
def test_B25_B28_packed_rows_are_those_of_the_twin(mask: Mask | None, notes: list[Any], last: int) -> None:
    check(packer_for(1_000_000, mask), mask, notes, last)


@given(notes=st.lists(NOTES, min_size=2, max_size=12))
def test_halves_have_the_rows_of_the_whole(notes: list[Any]) -> None:
    packer = packer_for(1_000_000, None)
    for note in notes:
        packer.put(*note)
    batch = packer.take()
    assert batch is not None

    def rows(batch: PackedNotes, last: int) -> tuple[list[Row], int]:
        parts = [Part(*part) for part in batch.parts(last, list(range(50)), list(range(50)), [7] * 50, as_copy=False)]
        return [row for part in parts for row in rows_in_sqlite(part)], parts[-1].last

    first, second = batch.halves()
    left, last = rows(first, 0)
    assert left + rows(second, last)[0] == rows(batch, 0)[0]
    assert first.settled + second.settled == batch.settled == first.requests + second.requests == len(notes)


# -- What is refused, and what is full ----------------------------------------


@pytest.mark.parametrize(
    "change",
    [{0: math.nan}, {0: 1e10}, {3: 7}, {3: ["/"]}, {6: math.nan}, {6: math.inf}, {6: "x"}, {1: object()}],
)
def test_a_note_that_is_none_changes_nothing(change: dict[int, Any]) -> None:
    packer = packer_for(10, None)
    good = [NOW, GUARD.check("key_1", "203.0.113.9"), "GET", "/", 200, "r", 0.1, None, None]
    bad = [change.get(place, value) for place, value in enumerate(good)]
    with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
        packer.put(*bad)
    assert packer.waiting == 0
    assert packer.take() is None
    assert packer.put(*good) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", [b"123", b"", "rubbish", 7.5])
def test_an_address_that_is_none_is_refused(packed: Any) -> None:
    found = GuardDecision(GUARD, "key_1", ClientAddress(packed, None, ("x", "y")), None, 0.0)
    with pytest.raises(ValueError, match="an address that is none"):
        packer_for(10, None).put(NOW, found, None, None, None, None, None, None, None)


def test_a_number_without_an_id_is_refused() -> None:
    packer = packer_for(10, None)
    packer.put(NOW, GUARD.check("key_1", "203.0.113.9"), None, None, None, None, None, None, None)
    batch = packer.take()
    assert batch is not None
    without: list[tuple[list[int], ...]] = [([], [1], [1]), ([1], [], [1]), ([1], [1], [])]
    for ids in without:
        with pytest.raises(ValueError, match="has no id"):
            batch.parts(0, *ids, as_copy=True)


def test_a_decision_that_was_pickled_is_packed_as_the_one_that_was_made() -> None:
    import pickle

    found: Any = GUARD.check("key_2", "2001:db8::1")
    copied = GUARD.check("key_2", "2001:db8::1")
    copied.decision = pickle.loads(pickle.dumps(found.decision))
    rows = []
    for each in (found, copied):
        packer = packer_for(10, None)
        packer.put(NOW, each, "GET", "/", 200, None, None, None, None)
        batch = packer.take()
        assert batch is not None
        rows.append((batch.kinds, batch.versions, batch.entries))
    assert rows[0] == rows[1]
    assert rows[0][2] == [(Prefix("2001:db8::/48"), "partner", "partners")]


def test_eight_threads_pack_and_one_takes_and_nothing_is_lost_or_mixed_up() -> None:
    packer = packer_for(10_000_000, None)
    found = GUARD.check("key_1", "203.0.113.9")
    is_over = threading.Event()
    batches: list[PackedNotes] = []

    def pack(name: int) -> None:
        for number in range(3_000):
            packer.put(NOW, found, f"M{number % 7}", f"/{name}/{number}", 200, str(name), None, None, None)

    def take() -> None:
        while not is_over.is_set() or packer.waiting:
            if (batch := packer.take()) is not None:
                batches.append(batch)

    threads = [threading.Thread(target=pack, args=(name,)) for name in range(8)]
    taker = threading.Thread(target=take)
    taker.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    is_over.set()
    taker.join()
    rows = []
    for batch in batches:
        kinds = list(range(len(batch.kinds)))
        for part in batch.parts(0, kinds, [1], [1], as_copy=True):
            rows += [(row[5], row[9], batch.kinds[row[3]][0]) for row in rows_of_copy(part[4])]
    for name in range(8):
        mine = [row for row in rows if row[1] == str(name).encode()]
        assert mine == [(f"/{name}/{n}".encode(), str(name).encode(), f"M{n % 7}") for n in range(3_000)]
    assert packer.waiting == 0
