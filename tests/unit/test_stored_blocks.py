"""The key store at its edges: ends of ranges, keys that look alike, buckets and records that lie.

A block may come from a file that somebody else wrote, so here blocks are changed by hand, where a check reads them:

    header    seed at 80                buckets begin at the number at 64, records at 128 and end at the number at 48
    bucket    [ 8 tags | 8 places ]     4 bytes each; a place counts in units of 8 bytes, 0 is free
    record    [ size | notes | key size | IPv4 | IPv6 | links, within | flags | 0 | created | key | first ... ]

Requirements: B2, B5 (a request passes if its address is on the key's list), C23 (what cannot be told is denied).
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator

import pytest

from cidrmatch import KeyStore, Reason, SnapshotError
from cidrmatch._keys.probe import hash_of, use_vectors
from cidrmatch._keys.store import Builder

UNIT = 8
RECORDS = 128
LISTED = 5  # flags: enabled, has entries
EVERYONE4 = "203.0.113.5"


# -- Ends of ranges -----------------------------------------------------------


def ends_of(prefixes: list[str]) -> Iterator[tuple[str, bool]]:
    """Give the first and the last address of each prefix, which are in, and their neighbours, if they are out."""
    networks = [ipaddress.ip_network(text) for text in prefixes]
    kind = type(networks[0].network_address)
    held = {(int(network.network_address), int(network.broadcast_address)) for network in networks}
    for first, last in held:
        yield str(kind(first)), True
        yield str(kind(last)), True
        for beside in (first - 1, last + 1):
            if 0 <= beside <= int(kind(-1 % 2 ** (8 * len(networks[0].network_address.packed)))):
                yield str(kind(beside)), any(begin <= beside <= end for begin, end in held)


LONG4 = [f"10.0.{number}.4/30" for number in range(120)] + ["0.0.0.0/31", "255.255.255.254/31", "192.0.2.77"]
LONG6 = [f"2001:db8::{16 * number:x}/126" for number in range(40)] + [
    "::/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126", "2001:db8:1::/64", "2001:db8:2::/49", "2001:db8:3::7",
    "2001:db8:4:5:8000::/65",
]  # fmt: skip
SHORT4 = ["10.0.0.4/30", "192.0.2.77", "0.0.0.0/31", "255.255.255.254/31", "198.51.100.0/24"] * 2
SHORT6 = ["2001:db8::4/126", "2001:db8:3::7", "::/127", "2001:db8:4:5:8000::/65", "2001:db8:1::/64",
          "2001:db8:9::/127", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", "2001:db8:2::/49", "4000::/3"]  # fmt: skip


@pytest.mark.parametrize("vectors", [0, 1, 2, 3])
@pytest.mark.parametrize("prefixes", [LONG4, LONG6, SHORT4, SHORT6], ids=["long4", "long6", "short4", "short6"])
def test_B14_the_first_and_the_last_address_of_each_range_pass_and_their_neighbours_do_not(
    prefixes: list[str], vectors: int
) -> None:
    store = use_vectors(KeyStore({"k": prefixes}), vectors)
    asked = list(ends_of(prefixes))
    assert {address: store.allows("k", address) for address, _ in asked} == dict(asked)
    addresses = [address for address, _ in asked]
    assert list(store.allows_many(["k"] * len(asked), addresses)) == [is_in for _, is_in in asked]


# -- Blocks changed by hand ---------------------------------------------------


class Block:
    """A block that can be changed, and asked as it is then."""

    def __init__(self, store: KeyStore) -> None:
        self.bytes = bytearray(store.block)

    def number(self, at: int, form: str = "Q") -> int:
        found: int = struct.unpack_from("<" + form, self.bytes, at)[0]
        return found

    def write(self, at: int, number: int, form: str = "I") -> None:
        struct.pack_into("<" + form, self.bytes, at, number)

    def tag(self, key: str) -> int:
        """The tag that this block's seed gives a key."""
        return hash_of(key.encode(), self.number(80), self.number(88)) & 0xFFFFFFFF

    def enter(self, key: str, place: int, slot: int = 0) -> None:
        """Say in the first bucket that a key lies at a place."""
        bucket = self.number(64)
        self.write(bucket + 4 * slot, self.tag(key))
        self.write(bucket + 32 + 4 * slot, place)

    def store(self) -> KeyStore:
        return KeyStore.from_buffer(bytes(self.bytes))

    def reasons(self, key: str, address: str = EVERYONE4) -> set[Reason | str]:
        """What each way of asking says."""
        store = self.store()
        allowed = store.allows_many([key], [address]) == b"\1"
        return {store.check(key, address), "allowed" if allowed or store.allows(key, address) else "denied"}


@pytest.mark.parametrize(
    ("stored", "asked"),
    [("key_1", "key_2"), ("key_1", "key_"), ("key_1", "key_12"), ("key_1", ""), ("", "k"), ("a" * 40, "a" * 39 + "b")],
)
def test_B2_a_key_with_the_tag_and_the_length_of_another_is_not_that_other(stored: str, asked: str) -> None:
    """The tag is 32 bits of a hash: equal tags come by chance, and then the whole key decides."""
    block = Block(KeyStore({stored: ["0.0.0.0/0", "::/0"]}))
    place = block.number(block.number(64) + 32, "I")
    assert block.reasons(stored) == {Reason.MATCHED, "allowed"}
    block.enter(asked, place)
    assert block.reasons(asked) == {Reason.UNKNOWN_KEY, "denied"}
    assert asked not in block.store()


def test_B2_a_tag_at_a_free_place_leads_nowhere() -> None:
    """Free places have a tag, too, and a key may have the same."""
    block = Block(KeyStore({"key_1": ["0.0.0.0/0"]}))
    block.enter("key_2", 0, slot=3)
    assert block.reasons("key_2") == {Reason.UNKNOWN_KEY, "denied"}
    assert "key_2" not in block.store()


@pytest.mark.parametrize("place", range(1, RECORDS // UNIT))
def test_C23_a_record_that_lies_in_the_header_is_damaged(place: int) -> None:
    block = Block(KeyStore({"key_1": ["0.0.0.0/0"]}))
    block.enter("key_2", place)
    assert block.reasons("key_2") == {Reason.DAMAGED, "denied"}


def test_C23_a_header_written_as_a_record_allows_nobody() -> None:
    """What is free in a header says: four bytes of key, one entry, and behind the header lies 0.0.0.0/5.

    at 104    [ checksums | epoch    | 0 0 ] [ size of a record ] ...
    read as   [ size, 0   | 4, 1     | 0 0 ] [ flags            ] [ 0 ... ] [ key ] [ 0.0.0.0 ] [ /5 ]
    """
    block = Block(KeyStore([("", [])]))
    assert block.number(RECORDS, "I") == LISTED  # units of a record without anything, and the flags that open
    block.write(104, 8)
    block.write(108, 0)
    block.write(112, 4 | 1 << 32, "Q")
    block.enter("\0\0\0\0", 104 // UNIT)
    assert block.reasons("\0\0\0\0", "1.2.3.4") == {Reason.DAMAGED, "denied"}


def record_for(key: str) -> bytes:
    """A record that lets everyone of IPv4 use a key, as bytes."""
    store = KeyStore({key: ["0.0.0.0/0"]})
    return bytes(store.block)[RECORDS : int.from_bytes(bytes(store.block)[48:56], "little")]


def test_C23_a_record_that_lies_behind_the_records_is_damaged() -> None:
    builder = Builder()
    builder.add("key_1", ["192.0.2.1"])
    forged = record_for("key_2")
    block = Block(builder.build(about=forged))
    place = bytes(block.bytes).index(forged, block.number(48)) // UNIT
    block.enter("key_2", place)
    assert block.reasons("key_2") == {Reason.DAMAGED, "denied"}
    for behind in (block.number(48) // UNIT, len(block.bytes) // UNIT, 2**31, 2**32 - 1):
        block.enter("key_2", behind)
        assert block.reasons("key_2") == {Reason.DAMAGED, "denied"}


@pytest.mark.parametrize("larger", [1, 2, 8, 1 << 20, 2**32 - 40])
def test_C23_a_record_that_is_longer_than_the_rest_is_damaged(larger: int) -> None:
    block = Block(KeyStore({"key_1": ["0.0.0.0/0"]}))
    block.write(RECORDS, block.number(RECORDS, "I") + larger)
    assert block.reasons("key_1") == {Reason.DAMAGED, "denied"}
    with pytest.raises(SnapshotError, match="fit"):
        block.store().verify()


@pytest.mark.parametrize(
    ("field", "form"), [(4, "I"), (8, "I"), (12, "I"), (16, "I"), (20, "H"), (22, "H")],
    ids=["notes", "key", "IPv4", "IPv6", "links", "within"],
)  # fmt: skip
@pytest.mark.parametrize("number", [20, 0x7FFF, 0xFFFF])
def test_C23_a_record_whose_parts_leave_it_is_damaged(field: int, form: str, number: int) -> None:
    block = Block(KeyStore({"key_1": ["0.0.0.0/0"]}))
    block.write(RECORDS + field, number, form)
    assert block.reasons("key_1") == {Reason.DAMAGED, "denied"}


@pytest.mark.parametrize(("entry", "lengths"), [("0.0.0.0/0", (33, 64, 95, 96, 128, 255)), ("::/0", (129, 192, 255))])
@pytest.mark.parametrize("vectors", [0, 1, 2, 3])
def test_C23_a_length_that_no_prefix_has_covers_nobody(entry: str, lengths: tuple[int, ...], vectors: int) -> None:
    """A shift by so many bits, or by fewer than none, must not say that all bits agree."""
    good = KeyStore({"key_1": [entry]})
    address = "0.0.0.0" if entry == "0.0.0.0/0" else "::"
    for length in lengths:
        block = Block(good)
        at = RECORDS + 48 + (4 if entry == "0.0.0.0/0" else 16)
        assert block.bytes[at] == 0
        block.bytes[at] = length
        for client in (address, EVERYONE4, "2001:db8::1"):
            assert not use_vectors(block.store(), vectors).allows("key_1", client), (length, client)
        with pytest.raises(SnapshotError, match="no prefix"):
            block.store().verify()


@pytest.mark.parametrize(
    ("entry", "at", "first"), [("192.0.2.0/24", 48, 0xC0000201), ("2001:db8::/48", 48, 0xFF), ("::/80", 56, 0xFF)]
)
def test_an_entry_with_host_bits_is_found_when_all_is_verified(entry: str, at: int, first: int) -> None:
    block = Block(KeyStore({"key_1": [entry]}))
    block.store().verify()
    block.write(RECORDS + at, first)
    with pytest.raises(SnapshotError, match="no prefix"):
        block.store().verify()
    with pytest.raises(SnapshotError, match="no prefix"):
        block.store().entries("key_1")


def test_a_record_that_is_entered_twice_is_found_when_all_is_verified() -> None:
    block = Block(KeyStore({"key_1": ["192.0.2.0/24"]}))
    block.store().verify()
    block.enter("key_2", RECORDS // UNIT, slot=1)
    with pytest.raises(SnapshotError, match="not as many keys"):
        block.store().verify()


@pytest.mark.parametrize("moved", [4, 5, 8])
def test_ranges_that_overlap_are_found_when_all_is_verified(moved: int) -> None:
    prefixes = [f"10.0.0.{8 * number}/30" for number in range(31)] + [f"10.0.1.{8 * number}/30" for number in range(31)]
    store = KeyStore({"key_1": [*prefixes, "10.0.2.0/30", "10.0.2.8/30", "10.0.2.16/30"]})
    store.verify()
    block = Block(store)
    firsts, narrow = RECORDS + 48, block.number(RECORDS + 12, "I")
    assert narrow == 65
    block.write(firsts + 4 * narrow, block.number(firsts + 4 * narrow, "I") + moved + 3)  # the last of the first range
    with pytest.raises(SnapshotError, match="not sorted"):
        block.store().verify()


# -- Buckets ------------------------------------------------------------------


def test_a_full_bucket_goes_on_in_the_next_and_the_last_in_the_first() -> None:
    """Keys that have no place in the last bucket are found in the first."""
    wrapped = 0
    for salt in range(400):
        keys = [f"{salt}_{number}" for number in range(15)]
        store = KeyStore((key, ["192.0.2.1"]) for key in keys)
        block = Block(store)
        home, count = block.number(64), block.number(72)
        last_places = struct.unpack_from("<8I", block.bytes, home + 64 * (count - 1) + 32)
        homes = [(hash_of(key.encode(), block.number(80), block.number(88)) >> 32) * count >> 32 for key in keys]
        if 0 in last_places or homes.count(count - 1) <= 8:
            continue
        wrapped += 1
        store.verify()
        assert all(store.allows(key, "192.0.2.1") for key in keys)
        assert store.allows_many(keys, ["192.0.2.1"] * 15) == b"\1" * 15
        assert store.check("unknown", "192.0.2.1") is Reason.UNKNOWN_KEY
    assert wrapped > 3


def test_a_link_beyond_the_lists_is_not_copied() -> None:
    builder = Builder()
    builder.add("key_1", [], links=(2,))
    first = builder.build(lists=3)
    for numbers in ([5, 6], [5], []):
        with pytest.raises(SnapshotError, match="not there"):
            Builder().copy(first, (), numbers)
    builder.copy(first, (), [5, 6, 7])
    assert builder.build(lists=8).keys_linked(7) == ["key_1"]


@pytest.mark.parametrize("vectors", [0, 1, 2, 3])
def test_C16_mapped_client_in_hexadecimal_is_asked_among_the_ipv4_entries_of_a_key(vectors: int) -> None:
    store = use_vectors(KeyStore({"only4": ["203.0.113.0/24"], "only6": ["::/0"]}), vectors)
    for text in ("::ffff:cb00:7109", "0:0:0:0:0:ffff:cb00:7109", "::ffff:203.0.113.9"):
        assert (store.allows("only4", text), store.allows("only6", text)) == (True, False), text
        assert store.allows_many(["only4", "only6"], [text, text]) == b"\1\0"
