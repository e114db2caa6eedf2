"""Hashes of prefixes and entries: nobody can compute them beforehand, and nothing that is made depends on them.

The lists come from customers.  A hash that anybody can compute lets one of them choose prefixes that all have the same,
and each is then compared with all the others.  `benchmarks/growth.py` chooses such entries by the hash that tuples of
numbers have, and counts what they cost.

Requirements: C17, C18 (lists of customers are judged, whatever is in them).
"""

import os
import subprocess
import sys
from ipaddress import IPv6Address

from benchmarks.growth import colliding
from cidrmatch import Entry, Prefix


def test_C18_addresses_chosen_by_the_hash_of_tuples_do_not_collide() -> None:
    chosen = colliding(2_000)
    halves = [(int(address) >> 64, int(address) & 2**64 - 1) for address in map(IPv6Address, chosen)]
    assert len({hash((*half, 128, 6)) for half in halves}) == 1
    for made in (list(map(Prefix, chosen)), list(map(Entry, chosen))):
        assert len(set(map(hash, made))) == len(chosen)


HASHES = """
from cidrmatch import Prefix
print(hash(Prefix("2001:db8::/32")), hash(Prefix("10.0.0.0/8")))
"""
BYTES = """
import hashlib
from cidrmatch import AllowList, KeyStore
from cidrmatch._core.probe import freeze_as, table_bytes
entries = [(f"2001:db8:{a:x}:{b:x}::/{56 + a % 9}", f"{a}") for a in range(0, 4000, 16) for b in (0, 256, 4096)]
trie = freeze_as([prefix for prefix, label in entries], "map")
answers = trie.match_many([f"2001:db8:{a:x}:1::1" for a in range(4000)])
told = repr((list(AllowList(entries)), table_bytes(trie), trie.__sizeof__(), list(answers)))
print(hashlib.sha256(told.encode() + bytes(KeyStore({"key": entries}))).hexdigest())
"""


def said_with(seed: str, program: str) -> str:
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_hash_of_a_prefix_is_that_of_its_process() -> None:
    """As for texts: another process has another one, and PYTHONHASHSEED makes it the same."""
    assert said_with("1", HASHES) == said_with("1", HASHES)
    assert len({said_with(seed, HASHES) for seed in ("1", "2", "random", "random")}) == 4


def test_what_is_made_of_entries_is_the_same_with_every_seed() -> None:
    assert len({said_with(seed, BYTES) for seed in ("0", "1", "2", "random")}) == 1


def test_equal_prefixes_and_entries_have_equal_hashes() -> None:
    assert hash(Prefix("2001:db8::/32")) == hash(Prefix("2001:DB8:0::/32"))
    assert hash(Prefix("::ffff:10.0.0.0/104")) == hash(Prefix("10.0.0.0/8"))
    assert hash(Entry("10.0.0.0/8", "x")) == hash(Entry(Prefix("10.0.0.0/8"), "x"))
    different = [Prefix(text) for text in ("10.0.0.0/8", "10.0.0.0/9", "a00::/8", "::/0", "0.0.0.0/0", "::/1")]
    assert len(set(map(hash, different))) == len(different)
