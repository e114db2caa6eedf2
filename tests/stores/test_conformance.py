"""What the products say about lists that people change, shown on a store with a follower, on SQLite and PostgreSQL.

    change --> database --look--> engine: may this address use this key?

Each test asks the engine of the follower, as a request would, and not the store.  docs/conformance.md names this file.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from cidrmatch import EngineError, InUse, NotPermitted, Policy, PolicyError, Reason, State, presets
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.store import Store

HOME, AWAY = "203.0.113.9", "198.51.100.1"
CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
LEGACY, NEW = datetime(2025, 6, 15, tzinfo=UTC), datetime(2025, 6, 16, tzinfo=UTC)


@contextmanager
def followed(
    url: str, policy: Policy, permits: Callable[[object, str, str], bool] | None = None
) -> Iterator[tuple[Store, StoreFollower]]:
    """Make a store, and a follower that looks when the test says so."""
    store = Store.create(url, policy=policy, permits=permits)
    follower = StoreFollower(store, nudges=())
    follower.refresh()
    try:
        yield store, follower
    finally:
        follower.stop()
        store.close()


def test_B9_B10_entries_are_given_at_creation_then_added_edited_and_removed(store_url: str) -> None:
    with followed(store_url, presets.bitbybit()) as (store, follower):
        with store.change(actor="anna") as change:
            change.put_key("key_1", [("203.0.113.0/24", "Office")], owner="acme")
        follower.refresh()
        assert follower.engine.check("key_1", HOME).label == "Office"
        with store.change() as change:
            change.add_entries("key_1", ["198.51.100.0/24"])
            change.remove_entries("key_1", ["203.0.113.0/24"])
        follower.refresh()
        assert [follower.engine.allows("key_1", address) for address in (HOME, AWAY)] == [False, True]


def test_B11_C19_a_change_is_seen_within_ten_seconds_without_any_nudge(store_url: str) -> None:
    store = Store.create(store_url, policy=presets.unkey())
    with store.change() as change:
        change.put_key("key_1", ["203.0.113.0/24"])
    with StoreFollower(store, nudges=()) as follower:
        assert follower.engine.allows("key_1", HOME)
        with store.change() as change:
            change.update_key("key_1", entries=["198.51.100.0/24"])
        assert change.revision is not None
        follower.wait_until(change.revision, timeout=10)
        assert not follower.engine.allows("key_1", HOME)
        assert follower.age is not None
        assert follower.age < 10
    store.close()


def test_P1_the_role_check_of_the_host_is_asked_with_who_changes(store_url: str) -> None:
    with followed(store_url, presets.pigment(), permits=lambda actor, _what, _name: actor == "admin") as (store, _):
        with pytest.raises(NotPermitted), store.change(actor="anna") as change:
            change.put_list("office", ["203.0.113.0/24"], description="Vienna")
        with store.change(actor="admin") as change:
            change.put_list("office", ["203.0.113.0/24"], description="Vienna")
        with store.reading() as data:
            assert data.lists() == ["office"]


def test_P7_a_list_names_its_keys(store_url: str) -> None:
    with followed(store_url, presets.pigment()) as (store, follower):
        with store.change() as change:
            change.put_list("office", ["203.0.113.0/24"], description="Vienna")
            for key in ("key_2", "key_1", "other"):
                change.put_key(key, lists=["office"] if key != "other" else [])
        with store.reading() as data:
            assert data.keys_of("office") == ["key_1", "key_2"]
        follower.refresh()
        assert follower.engine.keys_of("office") == ["key_1", "key_2"]


def test_P9_P10_P11_one_default_covers_keys_without_a_list_and_those_that_come_later(store_url: str) -> None:
    with followed(store_url, presets.pigment()) as (store, follower):
        with store.change() as change:
            change.put_list("office", ["203.0.113.0/24"], description="Vienna")
            change.put_list("partner", ["198.51.100.0/24"], description="Graz")
            change.put_key("bare")
            change.put_key("linked", lists=["partner"])
            change.set_default("office")
        with store.change() as change:
            change.put_key("later")
        follower.refresh()
        engine = follower.engine
        asked = [(key, engine.allows(key, HOME), engine.allows(key, AWAY)) for key in ("bare", "linked", "later")]
        assert asked == [("bare", True, False), ("linked", False, True), ("later", True, False)]
        with store.change() as change:  # one at most: another takes its place, and None ends it
            change.set_default("partner")
        follower.refresh()
        assert [engine.allows("bare", address) for address in (HOME, AWAY)] == [False, True]
        with store.change() as change:
            assert [problem.code for problem in change.set_default(None).problems] == ["unrestricted"]
        follower.refresh()
        assert engine.state("later") is State.UNRESTRICTED


def test_C8_a_new_key_of_nomsa_needs_a_list_and_is_inactive_without_one(store_url: str) -> None:
    with followed(store_url, presets.nomsa(cutover=CUTOVER)) as (store, follower):
        with pytest.raises(PolicyError), store.change() as change:
            change.put_key("new", [], created_at=NEW)
        with store.change() as change:
            change.put_key("new", ["203.0.113.9"], created_at=NEW)
        with store.change() as change:
            change.update_key("new", entries=[])
        follower.refresh()
        decision = follower.engine.check("new", HOME)
        assert (decision.allowed, decision.state) == (False, State.INACTIVE)


def test_C9_the_list_of_a_legacy_key_is_not_emptied(store_url: str) -> None:
    with followed(store_url, presets.nomsa(cutover=CUTOVER)) as (store, follower):
        with store.change() as change:
            change.put_key("legacy", ["203.0.113.9"], created_at=LEGACY)
        with pytest.raises(EngineError, match="cannot be emptied"), store.change() as change:
            change.update_key("legacy", entries=[])
        follower.refresh()
        assert not follower.engine.allows("legacy", AWAY)
        with store.change() as change:
            change.update_key("legacy", enabled=False)
        follower.refresh()
        assert follower.engine.allows("legacy", AWAY)


def test_C21_a_list_in_use_is_not_removed_unless_forced_and_then_the_default_applies(store_url: str) -> None:
    with followed(store_url, presets.pigment()) as (store, follower):
        with store.change() as change:
            change.put_list("office", ["203.0.113.0/24"], description="Vienna")
            change.put_list("partner", ["198.51.100.0/24"], description="Graz")
            change.set_default("office")
            change.put_key("key_1", lists=["partner"])
        for name in ("office", "partner"):
            with pytest.raises(InUse), store.change() as change:
                change.remove_list(name)
        follower.refresh()
        assert not follower.engine.allows("key_1", HOME)
        with store.change() as change:
            change.remove_list("partner", force=True)
        follower.refresh()
        assert [follower.engine.allows("key_1", address) for address in (HOME, AWAY)] == [True, False]


def test_C22_a_list_in_use_cannot_be_emptied_and_one_that_was_imported_empty_denies(store_url: str) -> None:
    from cidrmatch.files import config

    with followed(store_url, presets.unkey()) as (store, follower):
        with store.change() as change:
            change.put_list("office", ["203.0.113.0/24"])
            change.put_key("key_1", lists=["office"])
        with pytest.raises(EngineError, match="cannot be empty"), store.change() as change:
            change.put_list("office", [])
        key = {"id": "key_1", "created_at": "2026-01-01T00:00:00+00:00", "lists": ["office"]}
        document = {"format": 1, "policy": "unkey", "lists": [{"name": "office", "entries": []}], "keys": [key]}
        with store.change("import") as change:
            change.restore_engine(config.load(document))
        follower.refresh()
        decision = follower.engine.check("key_1", HOME)
        assert (decision.allowed, decision.reason) == (False, Reason.EMPTY_LIST)
