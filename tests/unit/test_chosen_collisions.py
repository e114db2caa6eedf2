"""Entries that somebody chose so that they fall together: making a list of them takes no longer than of any others.

The lists come from customers.  A hash that anybody can compute lets one of them choose prefixes that all have the same,
and each is then compared with all the others.  Below, they are chosen by the hash that tuples of numbers have:

    hash((upper, lower, ...))  one lane a number:  state = rotate(state + lane * P2) * P1

For any `upper` there is a `lower` that brings the state to a given one.  Four times as many entries may take four times
as long, a little more by chance, but not sixteen times.

Requirements: C17, C18 (lists of customers are judged, whatever is in them).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import cache
from ipaddress import IPv6Address
from typing import Any

import pytest

from cidrmatch import AllowList, Entry, KeyStore, Policy, Prefix, aggregate

P1, P2, P5 = 11400714785074694791, 14029467366897019727, 2870177450012600261
MASK = 2**64 - 1
MOST = 20_000


@cache
def colliding() -> list[str]:
    """IPv6 addresses whose two halves make the same hash as a tuple."""
    chosen: list[str] = []
    wanted, inverse, upper = 1, pow(P2, -1, 2**64), 0x20010DB8_00000000
    while len(chosen) < MOST:
        upper += 1
        state = P5 + hash(upper) * P2 & MASK
        state = (state << 31 | state >> 33) * P1 & MASK
        lower = (wanted - state) * inverse & MASK
        if lower < 2**61 - 1:
            chosen.append(str(IPv6Address(upper << 64 | lower)))
    return chosen


def test_the_experiment_chooses_addresses_that_collide() -> None:
    packed = [int(IPv6Address(address)) for address in colliding()]
    assert len({hash((address >> 64, address & MASK, 128, 6)) for address in packed}) == 1
    assert len({hash((address >> 64, address & MASK, 128)) for address in packed}) == 1
    assert len(set(packed)) == MOST


def seconds(act: Callable[[Any], object], given: Any) -> float:
    """The least processor time of three turns."""
    turns = []
    for _ in range(3):
        begin = time.process_time()
        act(given)
        turns.append(time.process_time() - begin)
    return min(turns)


def labelled(texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(text, "label") for text in texts]


MADE: dict[str, tuple[Callable[[list[str]], Any], Callable[[Any], object]]] = {
    "validate": (list, Policy().validate),
    "validate a list that is too long": (list, Policy(max_entries=20).validate),
    "AllowList with labels": (labelled, AllowList),
    "hash of an AllowList": (labelled, lambda entries: hash(AllowList(entries))),
    "set of prefixes": (lambda texts: list(map(Prefix, texts)), set),
    "set of entries": (lambda texts: list(map(Entry, texts)), set),
    "aggregate": (list, aggregate),
    "KeyStore": (list, lambda keys: KeyStore(dict.fromkeys(keys, ()))),
}


@pytest.mark.parametrize("name", MADE)
def test_C18_time_for_chosen_entries_grows_as_their_number_does(name: str) -> None:
    prepare, act = MADE[name]
    few, many = prepare(colliding()[: MOST // 4]), prepare(colliding())
    assert seconds(act, many) < 11 * seconds(act, few) + 0.02


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
