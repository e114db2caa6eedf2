"""The key store: a key sees its own entries and no others, however a block came to be.

Requirements: B2, B5 (a request passes if its address is on the key's list), C16 (mapped addresses), C23 (an unknown or
unreadable address is denied).
"""

import copy
import gc
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from cidrmatch import AllowList, Entry, InvalidPrefix, KeyStore, Reason, SnapshotError
from cidrmatch._keys.notes import notes_of
from cidrmatch._keys.probe import hash_of, use_vectors
from cidrmatch._keys.store import Builder

LISTS: dict[str, list[Any]] = {
    "both": ["203.0.113.0/24", "2001:db8::/48"],
    "everyone": ["0.0.0.0/0"],
    "nobody": [],
    "labelled": [("198.51.100.7", "CI"), "198.51.100.0/30"],
    "mixed": ["2001:db8::1", "192.0.2.1", "2001:db8::2"],
    "schlüssel": ["192.0.2.0/25"],
    "half \ud800": ["192.0.2.128/25"],
    "": ["192.0.2.3"],
    "long": [f"10.{number >> 8}.{number & 255}.0/25" for number in range(300)] + ["2001:db8:5::/64"],
    "long6": [f"2001:db8:{number:x}::/49" for number in range(100)] + ["10.9.9.9"],
}
STORE = KeyStore(LISTS)


@pytest.mark.parametrize("vectors", [0, 1, 2, 3])
@pytest.mark.parametrize("key", LISTS)
def test_each_key_answers_as_its_own_allow_list(key: str, vectors: int) -> None:
    """B2, B5."""
    store, allow = use_vectors(STORE, vectors), AllowList(LISTS[key])
    asked: list[Any] = [
        "203.0.113.7", "203.0.114.0", "2001:db8::1", "2001:db8:0:ffff::", "2001:db8:1::", "198.51.100.7",
        "198.51.100.4", "192.0.2.1", "192.0.2.127", "192.0.2.128", "192.0.2.3", "10.0.0.127", "10.0.0.128",
        "10.1.43.1", "10.1.44.1", "0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8:5::1", "2001:db8:63:7fff::", "2001:db8:63:8000::", "10.9.9.9", "::ffff:203.0.113.9",
        bytes([203, 0, 113, 9]),
    ]  # fmt: skip
    for address in asked:
        assert store.allows(key, address) == (address in allow), (key, address)
        assert store.check(key, address) is (Reason.MATCHED if address in allow else Reason.NOT_LISTED)
    assert list(store.allows_many([key] * len(asked), asked)) == [address in allow for address in asked]


@pytest.mark.parametrize("address", [None, "", "junk", "203.0.113.07", b"abc", 5, "203.0.113.7\n", "203.0.113.7é"])
def test_what_is_no_address_is_denied(address: Any) -> None:
    """C23."""
    for key in ("both", "everyone", "long", "schlüssel"):
        assert not STORE.allows(key, address)
        assert STORE.check(key, address) is Reason.CLIENT_IP_UNKNOWN
        assert STORE.allows_many([key], [address]) == b"\0"


@pytest.mark.parametrize("key", ["unknown", "bot", "both\0", "both ", "BOTH", "schlussel", "half \udfff"])
def test_unknown_keys_are_denied(key: Any) -> None:
    """B2."""
    assert STORE.check(key, "203.0.113.7") is Reason.UNKNOWN_KEY
    assert not STORE.allows(key, "203.0.113.7")
    assert key not in STORE
    with pytest.raises(KeyError):
        STORE.entries(key)


class LyingText(str):
    """Says it is another key."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("everyone")

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"everyone"


def test_a_key_of_a_lying_class_is_its_text() -> None:
    assert STORE.check(LyingText("both"), "9.9.9.9") is Reason.NOT_LISTED
    assert STORE.check(LyingText("none"), "9.9.9.9") is Reason.UNKNOWN_KEY
    assert STORE.allows_many([LyingText("both")], ["9.9.9.9"]) == b"\0"


def test_entries_come_back_as_they_were_put() -> None:
    for key, entries in LISTS.items():
        wanted = tuple(Entry(*entry) if type(entry) is tuple else Entry(entry) for entry in entries)
        assert STORE.entries(key) == wanted, key
    assert list(STORE) == list(LISTS)
    assert len(STORE) == len(LISTS)
    assert all(key in STORE for key in LISTS)


def test_pairs_are_taken_one_by_one() -> None:
    store = KeyStore((f"key_{number}", [f"10.0.{number >> 8}.{number & 255}"]) for number in range(3_000))
    store.verify()
    assert len(store) == 3_000
    keys = [f"key_{number}" for number in range(3_100)]
    assert list(store.allows_many(keys, ["10.0.1.5"] * 3_100)) == [number == 261 for number in range(3_100)]
    assert sys.getsizeof(store) > 3_000 * 50


@pytest.mark.parametrize(
    ("lists", "error"),
    [
        ([("a", ["10.0.0.1"]), ("a", [])], ValueError),
        ([("schlüssel", ["10.0.0.1"]), ("schlüssel", [])], ValueError),
        ([(5, ["10.0.0.1"])], TypeError),
        ([(b"a", ["10.0.0.1"])], TypeError),
        ([(LyingText("a"), ["10.0.0.1"])], TypeError),
        ([("a", "10.0.0.1")], TypeError),
        ([("a", ["10.0.0.1", 5])], TypeError),
        ([("a", ["10.0.0.1/abc"])], InvalidPrefix),
        ([("a", [{"prefix": "10.0.0.1", "effect": "deny"}])], ValueError),
        ([("a",)], ValueError),
        (5, TypeError),
    ],
)
def test_bad_lists_are_refused(lists: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        KeyStore(lists)


def test_a_bad_entry_is_named() -> None:
    with pytest.raises(InvalidPrefix) as caught:
        KeyStore({"a": ["10.0.0.1"], "b": ["10.0.0.1", "10.0.0.0/33"]})
    assert (caught.value.index, caught.value.text) == (1, "10.0.0.0/33")


def test_a_store_never_changes() -> None:
    block = bytes(STORE.block)
    with pytest.raises(TypeError):
        STORE.block[0] = 1
    with pytest.raises(AttributeError):
        STORE.generation = 5  # type: ignore[misc]
    assert bytes(STORE.block) == block
    assert copy.copy(STORE) is STORE
    assert copy.deepcopy(STORE) is STORE
    assert bytes(pickle.loads(pickle.dumps(STORE)).block) == block
    assert repr(STORE) == f"<KeyStore of 10 keys, {len(block):,} bytes>"


def test_a_store_that_nobody_filled_is_empty() -> None:
    assert KeyStore.__new__(KeyStore).check("a", "10.0.0.1") is Reason.UNKNOWN_KEY
    with pytest.raises(InvalidPrefix):
        KeyStore.__new__(KeyStore, {"a": ["x"]})


def test_a_builder_is_empty_after_it_failed() -> None:
    builder = Builder()
    builder.add("a", ["10.0.0.1"])
    builder.add("a", ["10.0.0.2"])
    with pytest.raises(ValueError, match="added twice"):
        builder.build()
    builder.add("b", ["10.0.0.3"])
    store = builder.build()
    store.verify()
    assert list(store) == ["b"]


# Batches


def test_batches_answer_in_order_and_into_a_buffer() -> None:
    keys = [*LISTS, "unknown", "both"] * 9
    addresses: list[Any] = ["203.0.113.7", "192.0.2.1", None, "2001:db8::1", "junk"] * 30
    addresses = addresses[: len(keys)]
    wanted = bytes(STORE.allows(key, address) for key, address in zip(keys, addresses, strict=True))
    assert STORE.allows_many(keys, addresses) == wanted
    assert STORE.allows_many(tuple(keys), iter(addresses)) == wanted
    out = bytearray(b"\7" * len(keys))
    assert STORE.allows_many(keys, addresses, out=out) is out
    assert out == wanted
    assert STORE.allows_many([], []) == b""


@pytest.mark.parametrize("out", [bytearray(1), bytearray(3), bytes(2), memoryview(bytearray(8)).cast("i")])
def test_batches_refuse_an_out_that_does_not_fit(out: Any) -> None:
    with pytest.raises((ValueError, BufferError)):
        STORE.allows_many(["both", "both"], ["203.0.113.7", "203.0.113.7"], out=out)


def test_batches_refuse_lists_of_different_lengths_and_single_texts() -> None:
    with pytest.raises(ValueError, match="2 keys, but 1 addresses"):
        STORE.allows_many(["both", "both"], ["203.0.113.7"])
    with pytest.raises(TypeError):
        STORE.allows_many("both", ["203.0.113.7"])
    with pytest.raises(TypeError):
        STORE.allows_many(["both"], "203.0.113.7")


def test_batches_hold_what_they_ask_about() -> None:
    """The lists may lose their items to the collector while memory is waited for."""
    keys, addresses = ["bo" + "th"] * 4_096, [f"203.0.113.{number % 256}" for number in range(4_096)]
    before = sys.getrefcount(keys[0])
    for _ in range(3):
        STORE.allows_many(keys, addresses)
    gc.collect()
    after = sys.getrefcount(keys[0])
    assert after == before


# Blocks


def test_a_block_is_asked_where_it_lies() -> None:
    block = bytes(STORE.block)
    store = KeyStore.from_buffer(block)
    store.verify()
    assert [store.entries(key) for key in LISTS] == [STORE.entries(key) for key in LISTS]
    assert bytes(store.block) == block
    with pytest.raises(ValueError, match="multiple of 8"):
        KeyStore.from_buffer(memoryview(bytearray(b"x" + block))[1:])
    with pytest.raises(TypeError):
        KeyStore.from_buffer("x")  # type: ignore[arg-type]


def test_the_same_content_gives_the_same_bytes() -> None:
    """Whatever order it came in."""
    blocks = set()
    for keys in (list(LISTS), sorted(LISTS), sorted(LISTS, reverse=True)):
        builder, ordered = Builder(), Builder()
        for key in keys:
            builder.add(key, LISTS[key])
        ordered.copy(builder.build(), (), in_order=True)
        blocks.add(bytes(ordered.build(generation=3).block))
    assert len(blocks) == 1


def test_records_are_copied_without_some_and_with_other_numbers() -> None:
    builder = Builder()
    builder.add("a", ["10.0.0.1"], links=(0, 2), within=(1,), created=-5, notes=notes_of(["10.0.0.1"], owner="me"))
    builder.add("b", [])
    builder.add("c", [])
    first = builder.build(lists=3)
    assert first.keys_linked(1) == ["a"]
    assert first.keys_linked(5) == []
    builder.copy(first, ["b", "nobody"], [7, 8, 9])
    builder.add("b", ["10.0.0.2"])
    second = builder.build(lists=10, generation=2, about=b"more")
    second.verify()
    assert (list(second), second.generation, second.lists, second.about) == (["a", "c", "b"], 2, 10, b"more")
    entries, _, links, within, created, notes = second.facts("a")
    assert (entries, links, within, created, notes["owner"]) == ((Entry("10.0.0.1"),), (7, 9), (8,), -5, "me")
    with pytest.raises(LookupError, match="ask an Engine"):
        second.allows("a", "10.0.0.1")
    with pytest.raises(LookupError, match="ask an Engine"):
        second.allows_many(["a"], ["10.0.0.1"])
    with pytest.raises(SnapshotError, match="not there"):
        builder.copy(first, (), [7])


def test_an_empty_store_denies_everybody() -> None:
    store = KeyStore()
    store.verify()
    assert (len(store), list(store)) == (0, [])
    assert not store.allows("a", "10.0.0.1")
    assert KeyStore.from_buffer(bytes(store.block)).check("", "10.0.0.1") is Reason.UNKNOWN_KEY


def field(at: int, value: int, size: int = 8) -> Callable[[bytearray], None]:
    def write(block: bytearray) -> None:
        block[at : at + size] = value.to_bytes(size, "little")

    return write


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (field(0, 0), "does not begin"),
        (field(8, 3, 4), "another format"),
        (field(12, 0x04030201, 4), "byte order"),
        (field(16, 5), "another size"),
        (field(40, 8), "records"),
        (field(48, 1 << 63), "records"),
        (field(48, 131), "records"),
        (field(56, 1 << 40), "rest"),
        (field(64, 1 << 62), "buckets"),
        (field(64, 8), "buckets"),
        (field(72, 0), "buckets"),
        (field(72, 1 << 40), "buckets"),
        (field(96, 1000, 4), "header says"),
        (field(24, 1 << 63), "header says"),
        (field(112, 1 << 63), "header says"),
        (field(120, 1), "header says"),
    ],
)
def test_a_damaged_header_is_refused(damage: Callable[[bytearray], None], reason: str) -> None:
    block = bytearray(bytes(STORE.block))
    damage(block)
    with pytest.raises(SnapshotError, match=reason):
        KeyStore.from_buffer(block)
    for size in (0, 1, 127):
        with pytest.raises(SnapshotError, match="shorter"):
            KeyStore.from_buffer(bytes(STORE.block)[:size])


def with_bytes(block: bytes, at: int, new: bytes) -> bytes:
    return block[:at] + new + block[at + len(new) :]


def test_a_damaged_pickle_is_refused() -> None:
    """C23: a pickle came from anywhere, so it is verified as a file is."""
    block = bytes(STORE.block)
    for damage in (
        pickle.dumps(STORE).replace(b"both", b"bath"),
        pickle.dumps(STORE)[:-300] + pickle.dumps(STORE)[-299:],
    ):
        with pytest.raises((SnapshotError, pickle.UnpicklingError, EOFError, ValueError)):
            pickle.loads(damage)
    made: Any = STORE.__reduce__()
    make, (same, checksum) = made
    assert bytes(make(same, checksum).block) == block
    flags = with_bytes(block, 128 + 24, b"\x45")  # of the first record; no record has them
    for wrong in (with_bytes(block, len(block) - 1, b"\1"), flags):
        with pytest.raises(SnapshotError, match="checksum"):
            make(wrong, checksum)
    with pytest.raises(SnapshotError, match="flags"):
        make(flags, zlib.crc32(flags))


def test_numbers_of_a_header_are_those_that_were_checked() -> None:
    """A mapped header may be written over later; whatever it says then, nobody reads outside the block by it."""
    builder = Builder()
    builder.add("a", ["10.0.0.1"])
    first = builder.build(generation=7, lists=2, about=b"more")
    block = bytearray(first.block)
    store = KeyStore.from_buffer(block)
    block[:128] = b"\xff" * 128
    assert (len(store), store.generation, store.epoch, store.lists, store.about) == (1, 7, 0, 2, b"more")
    assert store.allows("a", "10.0.0.1")
    store.verify()
    assert list(store) == ["a"]
    assert len(store.block) == len(block)
    builder.copy(store, ())
    assert builder.build(lists=2).allows("a", "10.0.0.1")


@pytest.mark.skipif(sys.hash_info.algorithm != "siphash13", reason="this Python hashes texts in another way")
def test_the_hash_is_that_of_cpython_with_a_seed_of_zero() -> None:
    """An independent SipHash-1-3: what CPython itself hashes bytes with."""
    texts = [bytes(range(size)) for size in range(1, 70)]
    code = f"print([hash(text) % 2**64 for text in {texts!r}])"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert [hash_of(text, 0, 0) for text in texts] == json.loads(said.stdout)
    assert len({hash_of(b"key", seed, 0) for seed in range(50)}) == 50


def test_B2_answers_are_never_written_into_the_block_that_is_asked() -> None:
    """Answers in the block would change what it says: the next question could be answered by an earlier answer."""
    store = KeyStore({"key": ["203.0.113.0/24"]})
    memory = bytearray(bytes(store.block) + b"behind")
    size = len(memory) - 6
    mapped = KeyStore.from_buffer(memoryview(memory)[:size])
    for place in (0, size // 2, size - 1):
        with pytest.raises(ValueError, match="out lies in the buffer of the store"):
            mapped.allows_many(["key"], ["203.0.113.7"], out=memoryview(memory)[place : place + 1])
    assert memory[:size] == bytes(store.block)
    mapped.allows_many(["key"], ["203.0.113.7"], out=memoryview(memory)[size : size + 1])
    assert memory[size:] == b"\1ehind"


@pytest.mark.parametrize("keys", [2, 1_000, 2**32, 2**60, 2**61 + 1, 2**64 - 1])
def test_count_of_keys_that_has_no_room_in_the_block_is_refused(keys: int) -> None:
    """A count that somebody wrote is held against the block before memory is asked for by it."""
    block = bytearray(KeyStore({"key": ["203.0.113.0/24"]}).block)
    block[32:40] = keys.to_bytes(8, "little")
    with pytest.raises(SnapshotError, match="more keys than it has room for"):
        KeyStore.from_buffer(block)


def test_count_of_lists_costs_nothing_by_itself() -> None:
    """A copy takes no memory for lists of which only the count is there."""
    builder = Builder()
    builder.add("key", ["203.0.113.0/24"])
    store = builder.build(lists=2**24)
    tracemalloc.start()
    builder.copy(store, ())
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert list(builder.build()) == ["key"]
