"""Grants beside other changes: of the default list, of the key, of another grant, and by hand.

Requirements: C19 (what is taken away is taken away everywhere), P9.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from cidrmatch import EngineError, presets
from cidrmatch.service.stores.errors import SpoiltRow
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.schema import grants
from cidrmatch.service.stores.store import Store

OLD, NEW, GRANTED = "203.0.113.1", "192.0.2.1", "198.51.100.1"
_clock = [1_800_000_000.0]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    made = Store.create(store_url, policy=presets.pigment(), clock=lambda: _clock[0])
    with made.change() as change:
        change.put_list("old", [OLD], description="the old office")
        change.put_list("new", [NEW], description="the new office")
        change.set_default("old")
        change.put_key("key")
    yield made
    made.close()


def later(seconds: float) -> datetime:
    return datetime.fromtimestamp(_clock[0] + seconds, UTC)


def granted(store: Store) -> int:
    with store.change() as change:
        return change.grant("key", GRANTED, reason="night", until=later(60))


def numbers(store: Store) -> list[int]:
    with store.reading() as data:
        return [grant.number for grant in data.grants()]


@pytest.mark.parametrize("seconds", [1, 120])
def test_C19_P9_another_default_list_counts_for_a_key_that_has_or_had_a_grant(store: Store, seconds: int) -> None:
    granted(store)
    follower = StoreFollower(store, nudges=())
    follower.refresh()
    _clock[0] += seconds
    with store.change() as change:
        change.set_default("new")
    follower.refresh()
    answers = [follower.engine.allows("key", address) for address in (OLD, NEW, GRANTED)]
    assert answers == [False, True, seconds < 60]
    assert follower.health()["deltas"] == 1


def test_a_change_makes_or_ends_one_grant_in_either_order(store: Store) -> None:
    number = granted(store)
    with store.change() as change:
        assert change.grant("key", NEW, reason="night", until=later(60)) == number + 1
        with pytest.raises(EngineError, match="one grant"):
            change.end_grant(number)
    with store.change() as change:
        change.end_grant(number)
        with pytest.raises(EngineError, match="one grant"):
            change.grant("key", NEW, reason="night", until=later(60))
    assert numbers(store) == [number + 1]


def test_C19_a_key_that_is_made_anew_has_the_grants_of_its_own_change_alone(store: Store) -> None:
    number = granted(store)
    _clock[0] += 1
    with store.change() as change:
        change.remove_key("key")
        change.put_key("key")
        change.grant("key", NEW, reason="night", until=later(60))
    assert numbers(store) == [number + 1]
    with store.change() as change:
        change.grant("key", NEW, reason="night", until=later(60))
        change.remove_key("key")
    with store.change() as change:
        change.put_key("key")
    assert numbers(store) == []


@pytest.mark.parametrize("how", ["ended", "removed", "made anew"])
def test_C19_a_grant_that_was_taken_away_does_not_come_back_by_hand(store: Store, how: str) -> None:
    granted(store)
    engine = sa.create_engine(store.database.url)
    with engine.connect() as connection:
        row = connection.execute(sa.select(grants)).mappings().one()
    _clock[0] += 1
    with store.change() as change:
        if how == "ended":
            change.end_grant(row["number"])
        else:
            change.remove_key("key")
    if how == "made anew":
        with store.change() as change:
            change.put_key("key")
    with engine.begin() as connection:
        connection.execute(sa.insert(grants).values(**row))
    engine.dispose()
    with pytest.raises(SpoiltRow, match="a change of the store has ended this"):
        numbers(store)


def saved(follower: StoreFollower, path: Path) -> bytes:
    follower.refresh()
    follower.engine.save(path, replace=True)
    return path.read_bytes()


def test_C19_the_data_of_a_revision_is_the_same_before_and_after_a_grant_ends(store: Store, tmp_path: Path) -> None:
    """Else a program that copies a store, and starts anew, would find another's data in its own file."""
    first, path = StoreFollower(store, nudges=()), tmp_path / "keys.snap"
    saved(first, path)
    number = granted(store)
    before = saved(first, path)
    assert saved(StoreFollower(store, nudges=()), path) == before
    _clock[0] += 3600
    assert saved(StoreFollower(store, nudges=()), path) == before
    with store.change() as change:
        change.end_grant(number)
    assert saved(first, path) == saved(StoreFollower(store, nudges=()), path)
    assert list(first.engine.lists()) == ["new", "old"]
    assert first.health()["full_loads"] == 1


def test_grants_that_ended_long_ago_go_when_their_key_gets_another(store: Store) -> None:
    granted(store)
    _clock[0] += 200_000
    follower = StoreFollower(store, nudges=())
    follower.refresh()
    number = granted(store)
    follower.refresh()
    assert list(follower.engine.lists()) == [f"break-glass:{number}", "new", "old"]
    assert [follower.engine.allows("key", address) for address in (OLD, NEW, GRANTED)] == [True, False, True]
