"""What a store tells beside its data: the warnings of an undo, and all assertions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cidrmatch import presets
from cidrmatch.service.stores.asserting import Assertion
from cidrmatch.service.stores.store import Store


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    found = Store.create(store_url, policy=presets.bitbybit())
    yield found
    found.close()


def test_undo_warns_of_a_key_that_it_opens(store: Store) -> None:
    with store.change() as change:
        change.put_key("key_1")
    with store.change() as change:
        change.add_entries("key_1", ["203.0.113.0/24"])
    with store.change() as change:
        report = change.undo(2)
    assert [problem.code for problem in report.warnings] == ["unrestricted"]
    with store.change() as change:
        report = change.undo(3)
    assert report.problems == ()
    with store.reading() as data:
        assert [str(entry.prefix) for entry in data.key("key_1").value.entries] == ["203.0.113.0/24"]


def test_all_assertions_are_told_sorted(store: Store) -> None:
    with store.change() as change:
        change.put_key("key_1", ["203.0.113.0/24"])
        change.put_list("office", ["198.51.100.0/24"])
        change.put_assertion("list", "office", "198.51.100.7", allow=True, note="the door")
        change.put_assertion("key", "key_1", "192.0.2.66", allow=False)
    with store.reading() as data:
        assert data.assertions() == [
            Assertion("key", "key_1", "192.0.2.66", False, ""),
            Assertion("list", "office", "198.51.100.7", True, "the door"),
        ]
