"""A note names the entry that decided, with its label and list, whichever way it was found.

    decision --entry, label, list_name--> what it says itself
             --Packer--> the words of the note           = the same, also when it is found by its number

Keys that lie in a store have numbers for their entries; the words of an entry are looked up once.

Requirements: B25, B28, B31.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cidrmatch import Engine
from cidrmatch._keys import SELECT_PACKED, PackedNotes, Packer
from cidrmatch.service.usage.formatting import packer_for
from tests.usage.usage_stand import peer_guard

if TYPE_CHECKING:
    from cidrmatch.gateways.guard import Guard

NOW = 1_795_000_000.0
NESTED4 = [f"10.{n}.0.0/{length}" for n in (0, 1) for length in (16, 17, 20, 24, 31, 32)]
NESTED6 = [f"2001:db8:{n}::/{length}" for n in (0, 1) for length in (48, 49, 64, 96, 127, 128)]
ASKED = (
    "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.15.9", "10.0.99.1", "10.1.0.1", "10.1.200.1", "10.2.0.1",
    "::ffff:10.0.0.1", "2001:db8::", "2001:db8::1", "2001:db8::5", "2001:db8:0:1::", "2001:db8:1::", "2001:db8:2::",
)  # fmt: skip


def stored(engine: Engine, path: Path) -> Engine:
    """Give an engine whose keys lie in a store, all of them."""
    engine.save(path)
    return Engine.open(path)


def words_of(packer: Packer, found: Any) -> tuple[Any, ...] | None:
    """Pack one decision, and give the words of its entry."""
    assert packer.put(NOW, found, "GET", "/", 200, None, None, None, None) == 0
    batch = packer.take()
    assert batch is not None
    assert batch.count == 1
    return batch.entries[0] if batch.entries else None


def said_by(found: Any) -> tuple[Any, ...] | None:
    """Give the same, as the decision says it."""
    entry = found.decision.entry
    return None if entry is None else (entry.prefix, entry.label, found.decision.list_name)


def is_as_said(packer: Packer, guard: Guard, key: str, address: str) -> bool:
    """Pack before anybody asks the decision, because asking makes a rule of a record."""
    found = guard.check(key, address)
    return words_of(packer, found) == said_by(found)


def entries(prefixes: list[str]) -> st.SearchStrategy[list[Any]]:
    labels = st.sampled_from([None, "a", "b", "=c", "née"])
    each = st.builds(
        lambda prefix, label: prefix if label is None else {"prefix": prefix, "label": label},
        st.sampled_from(prefixes),
        labels,
    )
    return st.lists(each, max_size=8, unique_by=lambda entry: entry if isinstance(entry, str) else entry["prefix"])


@given(st.lists(st.tuples(entries(NESTED4), entries(NESTED6), st.booleans()), min_size=1, max_size=4))
def test_B25_a_note_has_the_most_specific_entry_with_its_label(
    tmp_path_factory: pytest.TempPathFactory, lists: list[tuple[list[Any], list[Any], bool]]
) -> None:
    engine = Engine()
    for number, (four, six, is_reversed) in enumerate(lists):
        both = [*four, *six]
        engine.put_key(f"key_{number}", both[::-1] if is_reversed else both)
    guard = peer_guard(stored(engine, tmp_path_factory.mktemp("entries") / "keys.snap"))
    packer = packer_for(10, None)
    for _ in range(2):
        for number in range(len(lists)):
            assert all(is_as_said(packer, guard, f"key_{number}", address) for address in ASKED)


def any_engine() -> Engine:
    """Make an engine with keys of all sorts."""
    engine = Engine()
    engine.put_list("office", [{"prefix": "10.0.0.0/8", "label": "all of ten"}, "2001:db8::/32"])
    engine.put_list("denied", [{"prefix": "10.0.0.1", "effect": "deny", "label": "bad"}])
    engine.put_key("own", [{"prefix": "10.0.0.0/16", "label": "sixteen"}, {"prefix": "10.0.0.1", "label": "one"}])
    engine.put_key("bare", ["10.0.0.0/16", "10.0.0.1", "2001:db8::/32", "2001:db8::1"])
    engine.put_key("long", [{"prefix": f"10.0.{n // 128}.{n % 128 * 2}/31", "label": f"n{n}"} for n in range(2_000)])
    engine.put_key("linked", lists=["office"])
    engine.put_key("both", [{"prefix": "10.0.0.0/24", "label": "own"}], lists=["office", "denied"])
    engine.put_key("within", ["10.0.0.0/16"], within=["office"])
    engine.put_key("denies", [{"prefix": "10.0.0.0/16", "label": "in"}, {"prefix": "10.0.0.1", "effect": "deny"}])
    engine.put_key("trial", ["10.0.0.0/16"])
    engine.put_shadow("trial", ["10.0.0.1"])
    engine.put_key("née", [{"prefix": "10.0.0.0/16", "label": "no ASCII"}])
    engine.put_key("open", [])
    return engine


KEYS = ("own", "bare", "long", "linked", "both", "within", "denies", "trial", "née", "open", "nobody")


@pytest.mark.parametrize("is_stored", [True, False])
def test_B25_keys_of_all_sorts_name_their_entries(tmp_path: Path, is_stored: bool) -> None:
    engine = any_engine()
    guard = peer_guard(stored(engine, tmp_path / "keys.snap") if is_stored else engine)
    packer = packer_for(10, None)
    for _ in range(2):
        wrong = [(key, ip) for key in KEYS for ip in ASKED if not is_as_said(packer, guard, key, ip)]
        assert wrong == []


def test_B31_the_kind_tells_what_a_trial_would_have_said_also_after_a_key_without_one(tmp_path: Path) -> None:
    guard = peer_guard(stored(any_engine(), tmp_path / "keys.snap"))
    packer = packer_for(10, None)
    said = []
    for key in ("bare", "trial", "bare"):
        assert packer.put(NOW, guard.check(key, "10.0.0.2"), "GET", "/", 200, None, None, None, None) == 0
        batch = packer.take()
        assert batch is not None
        said.append(batch.kinds[0][-1])
    assert said == [None, False, None]


def changes(engine: Engine) -> Iterator[str]:
    """Change what the entries of a key are called, in every way, and say which change it was."""
    yield "nothing"
    engine.put_key(
        "own", [{"prefix": "10.0.0.0/16", "label": "changed"}, {"prefix": "10.0.0.1", "label": "eins"}], replace=True
    )
    yield "put"
    engine.fold()
    yield "folded"
    engine.put_key(
        "own", [{"prefix": "10.0.0.1", "label": "uno"}, {"prefix": "10.0.0.0/16", "label": "again"}], replace=True
    )
    engine.fold()
    yield "folded again"
    engine.remove_key("own")
    yield "removed"


def test_a_number_of_another_store_names_nothing_of_this_one(tmp_path: Path) -> None:
    first, second = (stored(any_engine(), tmp_path / f"{name}.snap") for name in "ab")
    second.put_key(
        "own", [{"prefix": "10.0.0.0/16", "label": "other"}, {"prefix": "10.0.0.1", "label": "two"}], replace=True
    )
    second = stored(second, tmp_path / "c.snap")
    guards = [peer_guard(first), peer_guard(second)]
    packer = packer_for(10, None)
    for what in changes(first):
        for guard in guards * 2:
            assert all(is_as_said(packer, guard, "own", address) for address in ASKED), what


def test_stores_that_share_a_slot_name_their_own_entries(tmp_path: Path) -> None:
    """There are four slots for the numbers of an entry, and nine stores."""
    guards = []
    for number in range(9):
        engine = Engine()
        engine.put_key("own", [{"prefix": "10.0.0.0/16", "label": f"label {number}"}])
        guards.append(peer_guard(stored(engine, tmp_path / f"{number}.snap")))
    packer = packer_for(10, None)
    for _ in range(2):
        assert all(is_as_said(packer, guard, "own", "10.0.0.1") for guard in guards)


def test_hashed_ids_name_their_entries(tmp_path: Path) -> None:
    engine = Engine(id_secret=b"nobody guesses it")
    engine.put_key("own", [{"prefix": "10.0.0.0/16", "label": "sixteen"}])
    engine.save(tmp_path / "keys.snap")
    guard = peer_guard(Engine.open(tmp_path / "keys.snap", id_secret=b"nobody guesses it"))
    packer = packer_for(10, None)
    assert all(is_as_said(packer, guard, "own", address) for address in ASKED * 2)


def test_a_plain_id_that_is_the_hash_of_another_names_its_own_entries(tmp_path: Path) -> None:
    secret = b"nobody guesses it"
    engine = Engine(id_secret=secret)
    engine.put_key("own", [{"prefix": "10.0.0.0/16", "label": "sixteen"}])
    held = engine.view.held_id("own")
    engine.put_key(held, [{"prefix": "10.0.0.0/8", "label": "eight"}])
    engine.save(tmp_path / "keys.snap")
    guard = peer_guard(Engine.open(tmp_path / "keys.snap", id_secret=secret))
    packer = packer_for(10, None)
    assert all(is_as_said(packer, guard, key, "10.0.0.1") for key in (held, "own") * 2)


def test_more_entries_than_are_kept_are_all_named(tmp_path: Path) -> None:
    """50,000 are kept; then the packer begins anew."""
    engine = Engine()
    engine.put_keys({f"key_{n}": [{"prefix": "10.0.0.0/16", "label": f"office {n}"}] for n in range(60_000)})
    guard = peer_guard(stored(engine, tmp_path / "keys.snap"))
    packer = packer_for(100_000, None)
    chance = random.Random(5)
    asked = [*range(60_000), *(chance.randrange(60_000) for _ in range(20_000))]
    named: list[str | None] = []

    def read(batch: PackedNotes | None) -> None:
        assert batch is not None
        ids = list(range(1, len(batch.entries) + 1))
        ((_, rows, _, _, data),) = batch.parts(0, [0] * len(batch.kinds), ids, [0] * len(batch.versions), as_copy=False)
        named.extend(batch.entries[number - 1][1] for number in numbers_of(data, rows))

    for number in asked:  # a batch that is read keeps no words alive
        assert packer.put(NOW, guard.check(f"key_{number}", "10.0.0.1"), "GET", "/", 200, None, None, None, None) < 2
        if packer.waiting == 2_000:
            read(packer.take())
    while packer.waiting:
        read(packer.take())
    assert named == [f"office {number}" for number in asked]


def numbers_of(data: bytes, rows: int) -> list[int]:
    """Read the numbers of the entries out of packed rows."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return [row[7] for row in connection.execute(SELECT_PACKED, (data, rows))]
