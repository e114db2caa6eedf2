"""Feeding an engine: all of a source's data or nothing, no changes of its own, and the source's revision everywhere.

Requirements: B10, B11, C19, C22.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cidrmatch import (
    Conflict,
    Engine,
    EngineError,
    KeyRecord,
    Reason,
    Revision,
    UnknownName,
    parse_entry,
    presets,
)
from cidrmatch._keys import FrozenList
from cidrmatch.engine.feeding import Feed, Rules
from cidrmatch.engine.following import seconds_since_boot

HOME, ELSEWHERE = "203.0.113.5", "192.0.2.1"
RULES = Rules(policy=presets.pigment())
BORN = datetime(2026, 1, 1, tzinfo=UTC)


def record(*lists: str, entries: tuple[str, ...] = ()) -> KeyRecord:
    return KeyRecord(created_at=BORN, entries=tuple(map(parse_entry, entries)), lists=lists)


def named(name: str, *addresses: str) -> FrozenList:
    return FrozenList(name, tuple(map(parse_entry, addresses)), f"the list {name}")


def fill(feed: Feed, number: int = 1, epoch: int = 1) -> None:
    keys = [("key", record("office")), ("free", record())]
    feed.replace(Revision(epoch, number), RULES, keys, [named("office", HOME)], moment=seconds_since_boot())


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def feed(engine: Engine) -> Feed:
    made = engine.feed()
    fill(made)
    return made


def test_C19_everything_is_replaced_at_once(engine: Engine, feed: Feed) -> None:
    assert engine.allows("key", HOME)
    assert not engine.allows("key", ELSEWHERE)
    assert engine.revision == feed.revision == Revision(1, 1)
    feed.replace(Revision(2, 1), RULES, [("other", record("lab"))], [named("lab", ELSEWHERE)], moment=0.0)
    assert engine.check("key", HOME).reason is Reason.UNKNOWN_KEY
    assert engine.allows("other", ELSEWHERE)
    assert engine.revision == Revision(2, 1)


def broken() -> Iterator[tuple[str, KeyRecord]]:
    yield "key", record("lab")
    raise OSError("the source has gone")


@pytest.mark.parametrize(
    ("rules", "keys", "lists", "error"),
    [
        (RULES, [("key", record("lost"))], [], UnknownName),
        (RULES, broken(), [named("lab", ELSEWHERE)], OSError),
        (RULES, [("key", record()), ("key", record())], [], ValueError),
        (RULES, [], [named("lab", ELSEWHERE), named("lab", HOME)], ValueError),
        (Rules(policy=presets.pigment(), default="lost"), [], [], UnknownName),
    ],
)
def test_C19_a_replacement_that_fails_changes_nothing(
    engine: Engine, feed: Feed, rules: Rules, keys: list[tuple[str, KeyRecord]], lists: list[FrozenList], error: type
) -> None:
    before = engine.view
    with pytest.raises(error):
        feed.replace(Revision(1, 2), rules, keys, lists, moment=seconds_since_boot())
    assert engine.view is before
    assert engine.revision == Revision(1, 1)


def test_B11_some_keys_and_lists_are_replaced_and_removed(engine: Engine, feed: Feed) -> None:
    rules = Rules(policy=presets.pigment(), default="lab")
    keys = {"key": None, "other": record("office")}
    lists = {"lab": named("lab", ELSEWHERE), "office": named("office", "198.51.100.9")}
    feed.apply(Revision(1, 2), rules, keys, lists, moment=seconds_since_boot())
    assert engine.revision == Revision(1, 2)
    assert engine.check("key", HOME).reason is Reason.UNKNOWN_KEY
    assert engine.allows("other", "198.51.100.9")
    assert engine.allows("free", ELSEWHERE)
    assert not engine.allows("free", HOME)


@pytest.mark.parametrize(
    ("rules", "keys", "lists", "error"),
    [
        (RULES, {"other": record("lost")}, {"lab": named("lab", HOME)}, UnknownName),
        (RULES, {"free": None}, {"office": None}, ValueError),
        (Rules(policy=presets.pigment(), default="lost"), {"free": None}, {}, UnknownName),
        (Rules(policy=presets.unkey()), {"free": None}, {}, ValueError),
    ],
)
def test_C19_a_change_that_fails_changes_nothing(
    engine: Engine,
    feed: Feed,
    rules: Rules,
    keys: dict[str, KeyRecord | None],
    lists: dict[str, FrozenList | None],
    error: type,
) -> None:
    before = engine.view
    with pytest.raises(error):
        feed.apply(Revision(1, 2), rules, keys, lists, moment=seconds_since_boot())
    assert engine.view is before
    assert engine.revision == Revision(1, 1)


def test_a_fed_engine_takes_no_changes_of_its_own(engine: Engine, feed: Feed) -> None:
    with pytest.raises(EngineError, match="in step with a source"):
        engine.put_key("key", [ELSEWHERE], replace=True)
    with pytest.raises(EngineError, match="in step with a source"), engine.transaction() as change:
        change.remove_key("key")
    with pytest.raises(EngineError, match="fed already"):
        engine.feed()
    assert engine.allows("key", HOME)


def test_an_engine_on_a_file_is_not_fed(engine: Engine, tmp_path: Path) -> None:
    engine.save(tmp_path / "keys.snap")
    with pytest.raises(EngineError, match="stands on a file"):
        engine.feed()


def test_C19_a_saved_copy_has_the_revision_of_the_source(engine: Engine, feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / "copy.snap"
    fill(feed, number=7)
    engine.save(path)
    assert Engine.open(path).revision == Revision(1, 7)
    engine.save(path)
    fill(feed, number=8)
    engine.save(path)
    assert Engine.open(path).revision == Revision(1, 8)


def test_C19_a_copy_that_is_later_is_not_overwritten(engine: Engine, feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / "copy.snap"
    other = Engine()
    fill(other.feed(), number=9)
    other.save(path)
    with pytest.raises(Conflict):
        engine.save(path)
    assert Engine.open(path).revision == Revision(1, 9)


def test_C19_the_age_counts_from_the_moment_when_a_look_began(engine: Engine, feed: Feed) -> None:
    assert engine.age < 60
    feed.freshness._current_at = 0.0  # as old as the machine
    assert engine.age > seconds_since_boot() - 60
    feed.note(seconds_since_boot() - 30)
    assert 30 <= engine.age < 60
    feed.note(seconds_since_boot() - 40)  # a look that began earlier makes it no older
    assert engine.age < 40
    feed.freshness.limit(10)
    engine.is_stale = True
    feed.note(seconds_since_boot() - 20)  # this look took too long
    assert engine.is_stale
    feed.note(seconds_since_boot())
    assert not engine.is_stale
