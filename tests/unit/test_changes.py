"""The doors that a mistake opens: each is shut, or says that it is open."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from cidrmatch import (
    AlreadyExists,
    Engine,
    EngineError,
    Entry,
    FeatureOff,
    InvalidPrefix,
    KeyRecord,
    KeyStore,
    Policy,
    PolicyError,
    State,
    UnknownName,
    presets,
)
from cidrmatch._keys import FrozenList

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
BEFORE = CUTOVER - timedelta(days=1)
HOME, OFFICE, STRANGER = "203.0.113.5", "198.51.100.7", "192.0.2.1"
NO_ENTRIES = "no entries: every address passes"
NOT_ENFORCED = "the list is not enforced: every address passes"


def make(policy: Policy | None = None) -> Engine:
    engine = Engine(policy)
    engine.put_list("office", [OFFICE])
    engine.put_key("k", [HOME], owner="ann")
    engine.put_key("linked", lists=["office"])
    engine.put_key("around", within=["office"])
    engine.put_key("bare")
    return engine


def nomsa() -> Engine:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_list("office", [OFFICE])
    engine.put_key("linked", lists=["office"], created_at=BEFORE)
    engine.put_key("around", within=["office"], created_at=BEFORE)
    return engine


def opened(report: Any) -> list[str]:
    return [problem.message for problem in report.warnings if problem.code == "unrestricted"]


# -- What a mistake gives -----------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda engine, used_up: engine.put_key("new", used_up),
        lambda engine, used_up: engine.update_key("k", entries=used_up),
        lambda engine, used_up: engine.put_keys({"new": used_up}),
        lambda engine, used_up: engine.put_list("new", used_up),
        lambda engine, used_up: engine.put_shadow("k", used_up),
        lambda engine, used_up: engine.add_entries("k", used_up),
        lambda engine, used_up: engine.update_key("around", within=used_up),
        lambda engine, used_up: engine.update_key("linked", lists=used_up),
    ],
)
def test_iterator_that_was_used_up_opens_nothing(act: Callable[[Engine, Any], object]) -> None:
    engine = make()
    version = engine.version
    used_up: Any
    for used_up in (iter(()), (entry for entry in list[str]()), map(str, list[str]())):
        with pytest.raises(ValueError, match="gave nothing"):
            act(engine, used_up)
    assert engine.version == version


@pytest.mark.parametrize("switch", [None, 0, 1, "", "yes", []])
def test_switch_is_true_or_false(switch: Any) -> None:
    engine = make()
    acts: tuple[Callable[[], object], ...] = (
        lambda: engine.put_key("new", [HOME], enabled=switch),
        lambda: engine.put_key("k", [HOME], replace=switch),
        lambda: engine.put_key("new", [HOME], caller=STRANGER, force=switch),
        lambda: engine.remove_list("office", force=switch),
        lambda: engine.put_keys({}, replace=switch),
        lambda: engine.set_enforced(switch),
        lambda: Engine(enforced=switch),
    )
    for act in acts:
        with pytest.raises(TypeError, match="True or False"):
            act()
    if switch is not None:
        with pytest.raises(TypeError, match="True or False"):
            engine.update_key("k", enabled=switch)
    assert engine.check("k", STRANGER).reason == "ip_not_listed"


def test_existing_key_is_replaced_only_when_it_is_said() -> None:
    engine = make()
    acts: tuple[Callable[[], object], ...] = (
        lambda: engine.put_key("k"),
        lambda: engine.put_keys({"other": [HOME], "k": []}),
    )
    for act in acts:
        with pytest.raises(AlreadyExists, match="'k'"):
            act()
    assert (engine.key("k").owner, engine.allows("k", STRANGER), "other" in set(engine.keys())) == ("ann", False, False)
    assert opened(engine.put_key("k", replace=True)) == [NO_ENTRIES]
    with pytest.raises(AlreadyExists):
        engine.put_keys([("twice", [HOME]), ("twice", [OFFICE])])


@pytest.mark.parametrize("seconds", [0, -1, BEFORE.timestamp()])
def test_N2_clock_before_the_cutover_makes_no_key_that_is_free_for_good(seconds: float) -> None:
    engine = Engine(presets.nomsa(cutover=CUTOVER), clock=lambda: seconds)
    acts: tuple[Callable[[], object], ...] = (lambda: engine.put_key("k"), lambda: engine.put_keys({"k": None}))
    for act in acts:
        with pytest.raises(EngineError, match="before the cutover"):
            act()
    assert opened(engine.put_key("k", created_at=BEFORE)) == [NO_ENTRIES]


@pytest.mark.parametrize("policy", ["bitbybit", presets.bitbybit])
def test_name_of_a_preset_is_no_policy(policy: Any) -> None:
    with pytest.raises(TypeError, match=r"presets\.bitbybit\(\)"):
        Engine(policy)


# -- One rule, whatever the way -----------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda engine: engine.remove_list("office", force=True),
        lambda engine: engine.unlink("linked", "office"),
        lambda engine: engine.update_key("linked", lists=[]),
        lambda engine: engine.update_key("around", within=[]),
        lambda engine: engine.put_key("around", replace=True),
    ],
)
def test_C9_last_list_of_a_legacy_key_is_lost_in_no_way(act: Callable[[Engine], object]) -> None:
    engine = nomsa()
    with pytest.raises(EngineError, match="disable"):
        act(engine)
    assert [engine.allows(key, STRANGER) for key in ("linked", "around")] == [False, False]
    assert list(engine.lists()) == ["office"]


@pytest.mark.parametrize(
    "act",
    [
        lambda engine: engine.remove_key("k"),
        lambda engine: engine.restore(keys={}),
        lambda engine: engine.add_entries("k", [OFFICE]),
        lambda engine: engine.remove_entries("k", [HOME]),
        lambda engine: engine.add_to_list("office", [HOME]),
        lambda engine: engine.set_default("office"),
    ],
)
def test_U2_switched_off_lists_are_edited_in_no_way(act: Callable[[Engine], object]) -> None:
    engine = make()
    engine.set_enforced(False)
    with pytest.raises(FeatureOff):
        act(engine)
    engine.remove_key("bare")
    engine.put_key("bare")
    engine.set_enforced(True)
    assert not engine.allows("k", STRANGER)


# -- Warnings -----------------------------------------------------------------


def test_each_change_that_opens_a_key_says_so() -> None:
    engine = make()
    assert opened(engine.update_key("k", entries=[])) == [NO_ENTRIES]
    assert opened(engine.add_entries("k", [HOME])) == []
    assert opened(engine.update_key("k", enabled=False)) == [NOT_ENFORCED]
    assert opened(engine.update_key("k", enabled=True)) == []
    assert opened(engine.remove_entries("k", [HOME])) == [NO_ENTRIES]
    assert opened(engine.unlink("linked", "office")) == [NO_ENTRIES]
    assert opened(engine.link("linked", "office")) == []
    assert opened(engine.put_keys({"a": [], "b": [HOME], "c": None})) == [f"{NO_ENTRIES} for 2 keys: 'a', 'c'"]
    assert opened(engine.remove_list("office", force=True)) == [f"{NO_ENTRIES} for 2 keys: 'around', 'linked'"]
    assert opened(engine.set_enforced(False)) == ["allow lists are not enforced: every address passes for every key"]
    assert opened(engine.set_enforced(True)) == []
    assert opened(engine.put_list("empty", [])) == []


@pytest.mark.parametrize("is_folded", [False, True])
def test_default_that_goes_names_the_keys_that_it_leaves_open(is_folded: bool) -> None:
    engine = make()
    engine.set_default("office")
    engine.put_keys({f"bare{number}": [] for number in range(8)})
    if is_folded:
        engine.fold()
    expected = f"{NO_ENTRIES} for 9 keys: 'bare', 'bare0', 'bare1', 'bare2', 'bare3' ..."
    assert opened(engine.set_default(None)) == [expected]
    assert opened(engine.set_default(None)) == []


def test_key_that_is_removed_where_unknown_keys_pass_is_said_to_be_open() -> None:
    engine = Engine(unknown_key="pass")
    engine.put_key("k", [HOME])
    assert opened(engine.remove_key("k")) == ["the key is unknown now: every address passes"]


# -- Adding and removing ------------------------------------------------------


def test_B10_entries_are_added_and_removed_all_or_none() -> None:
    engine = make(presets.bitbybit())
    engine.add_entries("k", [OFFICE, ("2001:db8::/48", "Lyon")])
    with pytest.raises(PolicyError):
        engine.add_entries("k", [STRANGER, "junk"])
    with pytest.raises(UnknownName, match=r"entry 1.*192\.0\.2\.1"):
        engine.remove_entries("k", [HOME, STRANGER])
    engine.remove_entries("k", [HOME, "2001:db8::/48"])
    assert engine.key("k").entries == (Entry(OFFICE),)
    with pytest.raises(PolicyError):
        engine.add_entries("k", [f"203.0.113.{number}" for number in range(20)])


def test_entry_with_a_condition_is_not_removed_by_its_prefix_alone() -> None:
    engine = make()
    deny = {"prefix": STRANGER, "effect": "deny"}
    engine.update_key("k", entries=["192.0.2.0/24", deny])
    with pytest.raises(UnknownName, match="it has"):
        engine.remove_entries("k", [STRANGER])
    engine.remove_entries("k", [deny])
    assert engine.allows("k", STRANGER)


def test_C22_named_list_grows_and_shrinks_but_is_not_emptied_in_use() -> None:
    engine = make()
    engine.add_to_list("office", [HOME])
    assert engine.allows("linked", HOME)
    engine.remove_from_list("office", [HOME])
    with pytest.raises(EngineError, match="in use"):
        engine.remove_from_list("office", [OFFICE])
    assert (engine.allows("linked", HOME), engine.allows("linked", OFFICE)) == (False, True)


# -- Errors name the key ------------------------------------------------------


def test_errors_of_many_keys_name_the_key() -> None:
    with pytest.raises(InvalidPrefix, match="the key 'b': entry 1") as text:
        KeyStore({"a": [HOME], "b": [HOME, "10.0.0.0/33"]})
    assert text.value.key == "b"
    acts: tuple[Callable[[Any], object], ...] = (KeyStore, Engine().put_keys)
    for act in acts:
        with pytest.raises(TypeError, match="'b'"):
            act({"a": [HOME], "b": HOME})
        with pytest.raises(TypeError, match="item 1"):
            act([("a", [HOME]), 5])
    with pytest.raises(PolicyError, match="of the key 'b'") as policy:
        Engine().put_keys([("a", [HOME]), ("b", ["junk"])])
    assert policy.value.key == "b"


# -- What cannot be folded is refused -----------------------------------------

RECORD = KeyRecord(created_at=CUTOVER, entries=(Entry(HOME),))


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, created_at=datetime(2025, 1, 1)),
        replace(RECORD, created_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-14)))),
        replace(RECORD, owner=5),  # type: ignore[arg-type]
        replace(RECORD, enabled=None),  # type: ignore[arg-type]
        replace(RECORD, lists=("office",) * 70_000),
        replace(RECORD, within=["office"]),  # type: ignore[arg-type]
        replace(RECORD, entries=(HOME,)),  # type: ignore[arg-type]
        replace(RECORD, owner="o" * (1 << 27)),
    ],
    ids=["naive", "year 10000", "owner", "enabled", "links", "within", "entries", "size"],
)
def test_record_that_no_fold_could_write_is_refused(record: KeyRecord) -> None:
    engine = make()
    version = engine.version
    with pytest.raises((TypeError, ValueError), match="'bad'"):
        engine.restore(keys={"bad": record}, lists=[FrozenList("office", (Entry(OFFICE),))])
    assert engine.version == version
    engine.fold()


@pytest.mark.parametrize("bulk", [1, 5])
def test_fold_that_fails_fails_no_change_and_is_told_and_tried_again(monkeypatch: Any, bulk: int) -> None:
    def fail(*_given: object) -> object:
        raise MemoryError("no room")

    monkeypatch.setattr("cidrmatch.engine.folding._SMALLEST_FOLD", 8)
    engine = Engine()
    with monkeypatch.context() as broken:
        broken.setattr("cidrmatch.engine.folding.fold_view", fail)
        engine.put_keys({f"key_{number}": [HOME] for number in range(10 * bulk)})
        if engine._folder.thread is not None:
            engine._folder.thread.join()
        assert isinstance(engine.fold_error, MemoryError)
        engine.put_key("after", [HOME])
        with pytest.raises(MemoryError):
            engine.fold()
    assert engine.allows("after", HOME)
    monkeypatch.setattr(engine._folder, "not_before", 0.0)
    engine.put_key("again", [HOME])
    assert engine._folder.thread is not None
    engine._folder.thread.join()
    assert repr(engine.fold_error) == "None"
    assert engine.view.store is not None


def test_thread_that_cannot_start_fails_no_change(monkeypatch: Any) -> None:
    def fail(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("cidrmatch.engine.folding._SMALLEST_FOLD", 8)
    monkeypatch.setattr(threading.Thread, "start", fail)
    engine = Engine()
    engine.put_keys({f"key_{number}": [HOME] for number in range(10)})
    assert isinstance(engine.fold_error, RuntimeError)
    assert engine.state("key_9") is State.RESTRICTED


# -- Growth -------------------------------------------------------------------


def test_names_of_removed_lists_are_dropped_by_a_fold() -> None:
    engine = make()
    for number in range(300):
        engine.put_list(f"list {number}", [HOME])
        engine.remove_list(f"list {number}")
    engine.fold()
    assert engine.view.names == ("office",)
    assert engine.keys_of("office") == ["around", "linked"]


def test_versions_share_the_lists_that_did_not_change() -> None:
    engine = Engine()
    with engine.transaction() as change:
        for number in range(2_000):
            change.put_list(f"list {number}", [HOME])
    lists = engine.view.lists
    engine.put_list("one more", [HOME])
    engine.remove_list("list 0")
    assert (len(lists), len(engine.view.lists)) == (2_000, 2_000)
    assert "list 0" in lists
    assert lists["list 1"] is engine.view.lists["list 1"]


def test_restoring_without_a_key_says_so_where_unknown_keys_pass() -> None:
    engine = Engine(unknown_key="pass")
    engine.put_key("k", ["192.0.2.1"])
    report = engine.restore(keys={})
    assert engine.allows("k", "8.8.8.8")
    assert [problem.code for problem in report.warnings] == ["unrestricted"]


@pytest.mark.parametrize("missing", ["198.51.100.1", "2001:db8::1"])
def test_B10_an_entry_to_remove_that_is_not_there_is_named_in_both_families(missing: str) -> None:
    engine = Engine()
    engine.put_key("k", ["192.0.2.1", "2001:db8::2"])
    with pytest.raises(UnknownName, match=missing):
        engine.remove_entries("k", ["192.0.2.1", missing])
    assert len(engine.key("k").entries) == 2
