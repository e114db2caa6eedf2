"""Every change that an engine offers: what it does, when it is refused, and that a refusal changes nothing."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from cidrmatch import (
    CidrmatchError,
    Conflict,
    Engine,
    EngineError,
    Entry,
    FeatureOff,
    InUse,
    KeyRecord,
    KeyRules,
    LockOut,
    NotPermitted,
    Policy,
    PolicyError,
    State,
    UnknownName,
    presets,
)
from cidrmatch._keys import FrozenList
from cidrmatch.engine.changes import Changes

CUTOVER = datetime(2025, 6, 16, tzinfo=UTC)
BEFORE = CUTOVER - timedelta(microseconds=1)
HOME, OFFICE, STRANGER = "203.0.113.5", "198.51.100.7", "192.0.2.1"


@pytest.fixture
def engine() -> Engine:
    """One key of each kind: own entries, a linked list, both, a default, and one within another list."""
    engine = Engine(Policy())
    engine.put_list("office", ["198.51.100.0/24"], description="Vienna")
    engine.put_list("org", ["198.51.100.0/24", "203.0.113.0/24"])
    engine.put_list("spare", ["192.0.2.77"])
    engine.put_list("empty", [])
    engine.put_key("own", [HOME], owner="ann")
    engine.put_key("linked", lists=["office"])
    engine.put_key("both", [HOME], lists=["office"], within=["org"])
    engine.put_key("plain")
    engine.set_default("org")
    return engine


def nomsa() -> Engine:
    engine = Engine(presets.nomsa(cutover=CUTOVER))
    engine.put_list("office", [OFFICE])
    engine.put_key("new", [HOME], created_at=CUTOVER)
    engine.put_key("legacy", [HOME], created_at=BEFORE)
    engine.put_key("free", created_at=BEFORE)
    return engine


def everything(engine: Engine) -> object:
    """All that can be known of an engine: the version, what it holds, and what it answers."""
    answers = [
        engine.check(key, client).to_dict()
        for key in (*engine.keys(), "nobody")
        for client in (HOME, OFFICE, STRANGER, "2001:db8::1", None)
    ]
    records = {key: engine.key(key) for key in sorted(engine.keys())}
    lists = {name: (frozen.entries, frozen.description) for name, frozen in engine.lists().items()}
    return engine.version, records, lists, engine.default(), answers


def assert_refused(
    engine: Engine, error: type[Exception], act: Callable[[Any], object], match: str | None = None
) -> None:
    """Refused alone and inside a transaction, where the changes around it are taken; nothing was changed by it."""
    before = everything(engine)
    with pytest.raises(error, match=match):
        act(engine)
    assert everything(engine) == before
    with engine.transaction() as change, pytest.raises(error, match=match):
        act(change)
    after = everything(engine)
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    assert after[0] == before[0] + 1
    assert after[1:4] == before[1:4]


# -- Making one ---------------------------------------------------------------


def test_policy_is_the_open_one_unless_said() -> None:
    assert Engine().policy == Policy()
    assert Engine(presets.unkey()).policy.name == "unkey"
    assert Engine().version == 0
    assert Engine().keys() == []


def test_C10_policy_with_new_keys_needs_a_cutover() -> None:
    with pytest.raises(ValueError, match="needs a cutover"):
        Engine(presets.nomsa())


def test_unknown_key_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match="'deny' or 'pass'"):
        Engine(unknown_key="allow")


@pytest.mark.parametrize(("word", "allowed"), [("deny", False), ("pass", True)])
def test_unknown_key_passes_only_where_it_was_said(word: str, allowed: bool) -> None:
    engine = Engine(unknown_key=word)
    engine.put_key("k", [HOME])
    engine.remove_key("k")
    for key in ("k", "never", "", "schlüssel"):
        decision = engine.check(key, HOME)
        assert (decision.allowed, decision.reason) == (allowed, "unknown_key")
        assert engine.allows(key, None) is allowed


def test_writer_alone_writes_nowhere() -> None:
    with pytest.raises(NotImplementedError):
        Changes().remove_key("k")


# -- Keys ---------------------------------------------------------------------


def test_put_key_says_all_of_a_key_anew(engine: Engine) -> None:
    first = engine.key("both")
    engine.put_shadow("both", ["10.0.0.0/8"])
    engine.put_key("both", [OFFICE], replace=True)
    record = engine.key("both")
    assert record.entries == (Entry(OFFICE),)
    assert (record.lists, record.within, record.owner) == ((), (), None)
    assert record.created_at == first.created_at
    assert record.shadow == (Entry("10.0.0.0/8"),)


def test_put_key_takes_the_moment_from_the_clock_or_the_caller() -> None:
    engine = Engine(clock=lambda: 1_700_000_000.5)
    engine.put_key("k")
    assert engine.key("k").created_at == datetime.fromtimestamp(1_700_000_000.5, UTC)
    engine.put_key("old", created_at=CUTOVER)
    engine.put_key("old", [HOME], replace=True)
    engine.put_key("old", created_at=CUTOVER.astimezone(timezone(timedelta(hours=5))), replace=True)
    assert engine.key("old").created_at == CUTOVER
    assert_refused(
        engine, EngineError, lambda writer: writer.put_key("old", created_at=BEFORE, replace=True), "does not change"
    )


def test_put_key_gives_the_report_with_its_warnings() -> None:
    report = Engine(presets.bitbybit()).put_key("k", ["192.168.1.1", HOME, HOME])
    assert [problem.code for problem in report.warnings] == ["private", "duplicate"]
    assert len(report.accepted) == 2


def test_record_is_a_value_that_cannot_be_changed(engine: Engine) -> None:
    with pytest.raises(FrozenInstanceError):
        engine.key("own").enabled = False  # type: ignore[misc]


def test_update_key_leaves_what_it_is_not_told(engine: Engine) -> None:
    before = engine.key("both")
    engine.update_key("both", owner="bob")
    assert engine.key("both") == replace(before, owner="bob")
    engine.update_key("both", entries=[OFFICE])
    engine.update_key("both", enabled=False)
    assert engine.key("both") == replace(before, owner="bob", entries=(Entry(OFFICE),), enabled=False)
    engine.update_key("both", enabled=True, lists=["spare", "spare"], within=[])
    assert engine.lists_of("both") == ("spare",)
    assert engine.key("both").within == ()


def test_remove_key_makes_it_unknown(engine: Engine) -> None:
    engine.remove_key("own")
    assert "own" not in set(engine.keys())
    assert engine.check("own", HOME).reason == "unknown_key"
    for ask in (engine.key, engine.state, engine.lists_of):
        with pytest.raises(UnknownName, match="own"):
            ask("own")
    assert engine.shadow("own") is None


def test_disabled_key_keeps_its_entries_and_restricts_nothing(engine: Engine) -> None:
    engine.update_key("own", enabled=False)
    assert engine.check("own", STRANGER).reason == "unrestricted"
    assert engine.state("own") is State.UNRESTRICTED
    engine.update_key("own", enabled=True)
    assert engine.check("own", STRANGER).reason == "ip_not_listed"


@pytest.mark.parametrize(
    ("name", "error"), [("", ValueError), (" \t", ValueError), (None, TypeError), (5, TypeError), (b"k", TypeError)]
)
def test_key_and_list_are_named_by_text(engine: Engine, name: Any, error: type[Exception]) -> None:
    assert_refused(engine, error, lambda writer: writer.put_key(name, [HOME]), "a key")
    assert_refused(engine, error, lambda writer: writer.put_list(name, [HOME]), "a list")


@pytest.mark.parametrize("owner", [5, b"ann", ["ann"], True])
def test_owner_is_text(engine: Engine, owner: Any) -> None:
    assert_refused(engine, TypeError, lambda writer: writer.put_key("k", [HOME], owner=owner), "an owner is text")
    assert_refused(engine, TypeError, lambda writer: writer.update_key("own", owner=owner), "an owner is text")


def test_naive_moment_is_refused(engine: Engine) -> None:
    assert_refused(engine, ValueError, lambda writer: writer.put_key("k", created_at=datetime(2025, 1, 1)), "zone")


@pytest.mark.parametrize("entries", [["junk"], [HOME, "10.0.0.1/8"], [None], [("10.0.0.0/8", 5)], ["0.0.0.0"]])
def test_refused_entries_change_nothing(engine: Engine, entries: list[Any]) -> None:
    assert_refused(engine, PolicyError, lambda writer: writer.put_key("own", entries, replace=True))
    assert_refused(engine, PolicyError, lambda writer: writer.update_key("own", entries=entries))
    assert_refused(engine, PolicyError, lambda writer: writer.put_list("office", entries))
    assert_refused(engine, PolicyError, lambda writer: writer.put_shadow("own", entries))
    assert_refused(
        engine, PolicyError, lambda writer: writer.put_keys([("own", [OFFICE]), ("plain", entries)], replace=True)
    )


@pytest.mark.parametrize(
    "entries", [HOME, b"\1\1\1\1", "", b"", {}, {"10.0.0.0/8": "label"}, {"prefix": HOME}], ids=repr
)
def test_one_text_or_mapping_is_no_list(engine: Engine, entries: Any) -> None:
    assert_refused(engine, TypeError, lambda writer: writer.put_key("own", entries, replace=True))
    assert_refused(engine, TypeError, lambda writer: writer.update_key("own", entries=entries))
    assert_refused(engine, TypeError, lambda writer: writer.put_list("office", entries))


def test_entries_that_break_off_change_nothing(engine: Engine) -> None:
    def breaking() -> Any:
        yield OFFICE
        raise ZeroDivisionError

    assert_refused(engine, ZeroDivisionError, lambda writer: writer.put_key("own", breaking(), replace=True))
    assert_refused(engine, ZeroDivisionError, lambda writer: writer.put_keys((key, breaking()) for key in ["k"]))


def test_unknown_names_are_refused(engine: Engine) -> None:
    acts: tuple[Callable[..., object], ...] = (
        lambda writer: writer.update_key("x"),
        lambda writer: writer.remove_key("x"),
        lambda writer: writer.link("x", "office"),
        lambda writer: writer.link("own", "x"),
        lambda writer: writer.unlink("x", "office"),
        lambda writer: writer.unlink("own", "office"),
        lambda writer: writer.remove_list("x"),
        lambda writer: writer.remove_list("x", force=True),
        lambda writer: writer.set_default("x"),
        lambda writer: writer.put_shadow("x", [HOME]),
        lambda writer: writer.remove_shadow("x"),
        lambda writer: writer.put_key("k", lists=["office", "x"]),
        lambda writer: writer.put_key("k", within=["x"]),
        lambda writer: writer.update_key("own", lists=["x"]),
        lambda writer: writer.update_key("own", within=["x"]),
    )
    for act in acts:
        assert_refused(engine, UnknownName, act)
    with pytest.raises(LookupError):
        engine.keys_of("x")


def test_one_text_is_no_list_of_names(engine: Engine) -> None:
    assert_refused(engine, TypeError, lambda writer: writer.put_key("k", lists="office"), "not one text")
    assert_refused(engine, TypeError, lambda writer: writer.update_key("own", within="org"), "not one text")


def test_C22_empty_list_cannot_be_linked_or_be_the_default(engine: Engine) -> None:
    acts: tuple[Callable[..., object], ...] = (
        lambda writer: writer.link("own", "empty"),
        lambda writer: writer.set_default("empty"),
        lambda writer: writer.put_key("k", lists=["empty"]),
        lambda writer: writer.put_key("k", within=["empty"]),
    )
    for act in acts:
        assert_refused(engine, EngineError, act, "empty")


def test_put_keys_is_one_commit_of_all_or_nothing(engine: Engine) -> None:
    version = engine.version
    engine.put_keys((f"k{number}", [f"10.0.0.{number}"]) for number in range(1, 101))
    assert engine.version == version + 1
    assert all(engine.allows(f"k{number}", f"10.0.0.{number}") for number in range(1, 101))
    pairs = [(f"k{number}", [OFFICE]) for number in range(1, 101)] + [("bad", ["junk"])]
    assert_refused(engine, PolicyError, lambda writer: writer.put_keys(pairs, replace=True))
    assert engine.allows("k1", "10.0.0.1")
    assert_refused(engine, ValueError, lambda writer: writer.put_keys([("k1", [OFFICE]), ("", [])], replace=True))


# -- The product's own rules --------------------------------------------------


def test_N3_C8_new_key_without_a_list_is_refused_and_with_one_is_taken() -> None:
    engine = nomsa()
    assert_refused(engine, PolicyError, lambda writer: writer.put_key("k", created_at=CUTOVER), "at least 1")
    engine.put_key("k", lists=["office"], created_at=CUTOVER)
    assert engine.state("k") is State.RESTRICTED


def test_N3_links_that_turn_out_to_be_none_are_no_list() -> None:
    engine = nomsa()
    nothing: tuple[Iterable[str], ...] = ([], (), {}.keys())
    for lists in nothing:
        with pytest.raises(PolicyError):
            engine.put_key("k", lists=lists, created_at=CUTOVER)


def test_N2_new_key_cannot_be_disabled() -> None:
    engine = nomsa()
    assert_refused(engine, EngineError, lambda writer: writer.update_key("new", enabled=False), "cannot do without")
    assert_refused(
        engine, EngineError, lambda writer: writer.put_key("k", [HOME], created_at=CUTOVER, enabled=False), "cannot"
    )


def test_N4_new_key_that_lost_its_last_entry_is_inactive() -> None:
    engine = nomsa()
    engine.update_key("new", entries=[])
    assert engine.state("new") is State.INACTIVE
    engine.link("new", "office")
    assert engine.state("new") is State.RESTRICTED
    engine.unlink("new", "office")
    assert engine.check("new", HOME).reason == "inactive"


def test_C9_legacy_list_is_not_emptied_but_disabled() -> None:
    engine = nomsa()
    assert_refused(engine, EngineError, lambda writer: writer.update_key("legacy", entries=[]), "disable it")
    assert_refused(engine, EngineError, lambda writer: writer.put_key("legacy", replace=True), "disable it")
    engine.update_key("legacy", enabled=False)
    assert engine.check("legacy", STRANGER).reason == "unrestricted"
    assert engine.check("free", STRANGER).reason == "unrestricted"
    engine.update_key("free", entries=[], owner="ann")


def test_P2_keys_of_a_product_with_lists_only_have_no_entries() -> None:
    engine = Engine(presets.pigment())
    assert_refused(engine, EngineError, lambda writer: writer.put_key("k", [HOME]), "link a named list")


def test_P3_list_needs_a_description_where_the_product_says_so() -> None:
    engine = Engine(presets.pigment())
    for description in ("", "  \t"):
        with pytest.raises(EngineError, match="description"):
            engine.put_list("office", [OFFICE], description=description)
    with pytest.raises(PolicyError):
        engine.put_list("office", [], description="Vienna")
    with pytest.raises(TypeError, match="a description is text"):
        engine.put_list("office", [OFFICE], description=5)  # type: ignore[arg-type]
    engine.put_list("office", [OFFICE], description="Vienna")
    assert engine.lists()["office"].description == "Vienna"


def test_P9_default_list_is_refused_where_the_product_has_none() -> None:
    """`KeyRules.default_list`: whether one named list may be the default."""
    engine = Engine(Policy(keys=KeyRules(default_list=False)))
    engine.put_list("office", [OFFICE])
    engine.put_key("k")
    assert_refused(engine, EngineError, lambda writer: writer.set_default("office"))
    engine.set_default(None)


# -- Named lists --------------------------------------------------------------


def test_changed_list_is_in_force_for_every_linked_key(engine: Engine) -> None:
    engine.put_list("office", [STRANGER])
    for key in ("linked", "both"):
        assert not engine.allows(key, OFFICE)
    assert engine.allows("linked", STRANGER)
    assert not engine.allows("both", STRANGER), "it must lie within org as well"


def test_P6_P7_links_are_many_to_many(engine: Engine) -> None:
    engine.link("own", "office")
    engine.link("own", "spare")
    engine.link("own", "office")
    assert engine.lists_of("own") == ("office", "spare")
    assert engine.keys_of("office") == ["both", "linked", "own"]
    assert engine.keys_of("org") == ["both"], "within counts as well"
    assert engine.keys_of("empty") == []
    engine.unlink("own", "office")
    assert engine.lists_of("own") == ("spare",)


def test_P10_default_is_replaced_by_a_list_of_its_own(engine: Engine) -> None:
    assert engine.default() == "org"
    decision = engine.check("plain", HOME)
    assert (decision.reason, decision.list_name) == ("matched", "org")
    engine.link("plain", "office")
    assert not engine.allows("plain", HOME)
    engine.unlink("plain", "office")
    assert engine.allows("plain", HOME), "C21: after the last unlink the default applies"
    engine.set_default(None)
    assert engine.check("plain", STRANGER).reason == "unrestricted"


def test_C21_used_list_is_deleted_only_by_force(engine: Engine) -> None:
    assert_refused(engine, InUse, lambda writer: writer.remove_list("office"), "linked to 2 keys")
    assert_refused(engine, InUse, lambda writer: writer.remove_list("org"), "linked to 1 keys and the default")
    engine.put_key("both", replace=True)
    assert_refused(engine, InUse, lambda writer: writer.remove_list("org"), "'org' is the default")
    engine.put_key("both", [HOME], lists=["office"], within=["org"], replace=True)
    engine.remove_list("org", force=True)
    assert engine.default() is None
    assert engine.key("both").within == ()
    engine.remove_list("office", force=True)
    assert engine.key("both").lists == ()
    assert engine.check("linked", STRANGER).reason == "unrestricted"
    engine.remove_list("spare")
    assert list(engine.lists()) == ["empty"]


def test_C22_used_list_cannot_be_emptied(engine: Engine) -> None:
    for name in ("office", "org"):

        def empty(writer: Any, name: str = name) -> object:
            return writer.put_list(name, [])

        assert_refused(engine, EngineError, empty, "cannot be empty")
    engine.put_key("both", [HOME], replace=True)
    assert_refused(engine, EngineError, lambda writer: writer.put_list("org", []), "cannot be empty")
    engine.put_list("spare", [])


def test_lists_are_handed_out_as_a_copy(engine: Engine) -> None:
    engine.lists().clear()
    assert len(engine.lists()) == 4


# -- The role check and the feature gate --------------------------------------


def test_P1_role_check_is_asked_for_each_change_of_a_list() -> None:
    asked: list[tuple[object, str, str]] = []

    def permits(actor: object, operation: str, name: str) -> bool:
        asked.append((actor, operation, name))
        return actor == "admin"

    engine = Engine(permits=permits)
    engine.put_list("office", [OFFICE], actor="admin")
    engine.put_key("k")
    acts: tuple[Callable[..., object], ...] = (
        lambda writer, **who: writer.put_list("office", [HOME], **who),
        lambda writer, **who: writer.link("k", "office", **who),
        lambda writer, **who: writer.unlink("k", "office", **who),
        lambda writer, **who: writer.set_default("office", **who),
        lambda writer, **who: writer.set_default(None, **who),
        lambda writer, **who: writer.remove_list("office", **who),
    )
    for act in acts:
        assert_refused(engine, NotPermitted, partial(act, actor="eve"), "'eve' may not")
        assert_refused(engine, NotPermitted, act, "None may not")
        act(engine, actor="admin")
    operations = ["put_list", "put_list", "link", "unlink", "set_default", "set_default", "remove_list"]
    assert [operation for actor, operation, _ in asked if actor == "admin"] == operations
    assert asked[-1] == ("admin", "remove_list", "office")


@pytest.mark.parametrize("answer", [None, 1, "yes", object()])
def test_role_check_permits_by_true_alone(answer: Any) -> None:
    engine = Engine(permits=lambda *_asked: answer)
    assert_refused(engine, NotPermitted, lambda writer: writer.put_list("office", [OFFICE]))


def test_P1_links_are_not_changed_past_the_role_check() -> None:
    """To link and unlink is a change of a list's use, by whatever method."""
    engine = Engine(permits=lambda actor, *_asked: actor == "admin")
    engine.put_list("office", [OFFICE], actor="admin")
    engine.put_key("k")
    engine.link("k", "office", actor="admin")
    with contextlib.suppress(CidrmatchError):
        engine.update_key("k", lists=[])
    assert not engine.allows("k", STRANGER)


def test_role_check_that_raises_is_heard(engine: Engine) -> None:
    def permits(*_asked: object) -> bool:
        raise ZeroDivisionError

    failing = Engine(permits=permits)
    with pytest.raises(ZeroDivisionError):
        failing.put_list("office", [OFFICE])
    assert (failing.version, failing.lists()) == (0, {})


def test_U2_while_the_feature_is_off_lists_are_neither_edited_nor_enforced(engine: Engine) -> None:
    engine.set_enforced(False)
    for key in sorted(engine.keys()):
        assert engine.check(key, STRANGER).reason == "not_enforced"
        assert engine.allows(key, None) is True
    assert engine.check("nobody", HOME).allowed is False
    acts: tuple[Callable[..., object], ...] = (
        lambda writer: writer.put_key("own", [OFFICE], replace=True),
        lambda writer: writer.put_key("brand new", [OFFICE]),
        lambda writer: writer.update_key("own", entries=[OFFICE]),
        lambda writer: writer.put_list("office", [HOME]),
        lambda writer: writer.remove_list("spare"),
        lambda writer: writer.link("own", "office"),
        lambda writer: writer.unlink("linked", "office"),
        lambda writer: writer.set_default(None),
    )
    for act in acts:
        assert_refused(engine, FeatureOff, act, "switched off")
    engine.put_key("without")
    engine.update_key("own", owner="bob")
    engine.update_key("own", entries=[Entry(HOME)])
    engine.remove_key("plain")
    engine.set_enforced(True)
    assert engine.check("own", STRANGER).reason == "ip_not_listed"


def test_U2_entries_and_links_are_not_taken_away_while_the_feature_is_off(engine: Engine) -> None:
    engine.set_enforced(False)
    acts: tuple[Callable[..., object], ...] = (
        lambda writer: writer.put_key("own", replace=True),
        lambda writer: writer.update_key("own", entries=[]),
        lambda writer: writer.update_key("linked", lists=[]),
        lambda writer: writer.update_key("both", within=[]),
        lambda writer: writer.put_key("brand new", lists=["office"]),
        lambda writer: writer.update_key("own", enabled=False),
        lambda writer: writer.put_shadow("own", [OFFICE]),
    )
    for act in acts:
        assert_refused(engine, FeatureOff, act)


def test_engine_may_begin_with_the_feature_off() -> None:
    engine = Engine(enforced=False)
    engine.put_key("k")
    assert engine.check("k", None).reason == "not_enforced"
    engine.set_enforced(True)
    assert engine.check("k", None).reason == "unrestricted"


# -- The lock-out guard -------------------------------------------------------


def test_change_that_denies_its_own_author_is_refused_unless_forced(engine: Engine) -> None:
    acts: tuple[Callable[..., object], ...] = (
        lambda writer, **more: writer.put_key("own", [HOME], replace=True, caller=STRANGER, **more),
        lambda writer, **more: writer.update_key("own", entries=[HOME], caller=STRANGER, **more),
        lambda writer, **more: writer.put_key("k", [STRANGER], within=["org"], caller=STRANGER, **more),
        lambda writer, **more: writer.put_list("office", ["198.51.100.0/24"], caller=STRANGER, **more),
        lambda writer, **more: writer.put_list("spare", [], caller=STRANGER, **more),
    )
    for act in acts:
        assert_refused(engine, LockOut, act, "den")
        act(engine, force=True)
    for caller in ("junk", b"1", 5):

        def save(writer: Any, caller: object = caller) -> object:
            return writer.put_key("own", [HOME], replace=True, caller=caller)

        assert_refused(engine, LockOut, save)
    engine.put_key("own", [HOME], replace=True, caller=HOME)
    engine.put_key("own", [HOME], replace=True, caller="::ffff:203.0.113.5")
    engine.put_list("office", [STRANGER], caller=STRANGER)
    engine.put_key("free", enabled=False, caller=STRANGER)


def test_guard_sees_what_the_transaction_did_before(engine: Engine) -> None:
    with engine.transaction() as change:
        change.put_list("org", [STRANGER])
        change.put_key("k", [STRANGER], within=["org"], caller=STRANGER)
        with pytest.raises(LockOut):
            change.update_key("k", lists=[], entries=[HOME], caller=HOME)
    assert engine.allows("k", STRANGER)


def test_guard_judges_entries_by_the_clock() -> None:
    now = [1_700_000_000.0]
    engine = Engine(clock=lambda: now[0])
    later = {"prefix": HOME, "not_before": "2030-01-01T00:00:00Z"}
    assert_refused(engine, LockOut, lambda writer: writer.put_key("k", [later], caller=HOME))
    assert_refused(engine, LockOut, lambda writer: writer.put_list("l", [later], caller=HOME))
    now[0] = 1_900_000_000.0
    engine.put_key("k", [later], caller=HOME)


def test_guard_is_not_counted_by_a_trial(engine: Engine) -> None:
    """A trial counts requests; the guard's own question is none."""
    engine.put_shadow("own", [HOME])
    engine.update_key("own", owner="bob", caller=HOME)
    shadow = engine.shadow("own")
    assert shadow is not None
    assert (shadow.would_allow, shadow.would_deny) == (0, 0)


# -- Versions and transactions ------------------------------------------------


def test_each_commit_raises_the_version_by_one(engine: Engine) -> None:
    acts: tuple[Callable[..., object], ...] = (
        lambda: engine.put_key("k", [HOME]),
        lambda: engine.update_key("k", owner="ann"),
        lambda: engine.put_keys([]),
        lambda: engine.link("k", "office"),
        lambda: engine.link("k", "office"),
        lambda: engine.unlink("k", "office"),
        lambda: engine.put_shadow("k", [HOME]),
        lambda: engine.remove_shadow("k"),
        lambda: engine.set_default("office"),
        lambda: engine.put_list("more", [HOME]),
        lambda: engine.remove_list("more"),
        lambda: engine.set_enforced(True),
        lambda: engine.remove_key("k"),
    )
    for act in acts:
        version = engine.version
        act()
        assert engine.version == version + 1
        assert engine.check("own", HOME).version == version + 1


def test_decision_keeps_the_version_that_it_was_made_of(engine: Engine) -> None:
    decision = engine.check("linked", OFFICE)
    version = engine.version
    engine.remove_list("office", force=True)
    engine.remove_key("linked")
    assert (decision.version, decision.list_name, str(decision.entry)) == (version, "office", "198.51.100.0/24")


def test_if_version_refuses_a_lost_update(engine: Engine) -> None:
    for wrong in (engine.version - 1, engine.version + 1, 0):
        acts: tuple[Callable[..., object], ...] = (
            lambda writer, wrong=wrong: writer.put_key("own", [OFFICE], if_version=wrong),
            lambda writer, wrong=wrong: writer.update_key("own", enabled=False, if_version=wrong),
            lambda writer, wrong=wrong: writer.remove_key("own", if_version=wrong),
            lambda writer, wrong=wrong: writer.put_keys([("own", [])], if_version=wrong),
            lambda writer, wrong=wrong: writer.put_list("office", [HOME], if_version=wrong),
            lambda writer, wrong=wrong: writer.remove_list("spare", if_version=wrong),
            lambda writer, wrong=wrong: writer.link("own", "office", if_version=wrong),
            lambda writer, wrong=wrong: writer.unlink("linked", "office", if_version=wrong),
            lambda writer, wrong=wrong: writer.set_default(None, if_version=wrong),
            lambda writer, wrong=wrong: writer.put_shadow("own", [HOME], if_version=wrong),
            lambda writer, wrong=wrong: writer.remove_shadow("own", if_version=wrong),
        )
        for act in acts:
            before = everything(engine)
            with pytest.raises(Conflict, match="version"):
                act(engine)
            assert everything(engine) == before
    engine.put_key("own", [OFFICE], replace=True, if_version=engine.version)
    assert engine.allows("own", OFFICE)


def test_transaction_is_one_commit_that_readers_see_whole(engine: Engine) -> None:
    version = engine.version
    with engine.transaction(if_version=version) as change:
        change.put_list("new", [STRANGER], if_version=version)
        change.put_key("k", lists=["new"])
        change.remove_key("own")
        change.put_key("own", [STRANGER])
        assert engine.version == version
        assert engine.check("k", STRANGER).reason == "unknown_key"
        assert engine.allows("own", HOME)
        with pytest.raises(Conflict):
            change.put_key("late", if_version=version + 1)
    assert engine.version == version + 1
    assert engine.allows("k", STRANGER)
    assert not engine.allows("own", HOME)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, PolicyError])
def test_exception_inside_discards_the_whole_transaction(engine: Engine, error: type[BaseException]) -> None:
    before = everything(engine)
    with pytest.raises(error), engine.transaction() as change:  # noqa: PT012 the block is what is tested
        change.put_key("own", [OFFICE], replace=True)
        change.remove_list("office", force=True)
        change.set_default(None)
        change.remove_key("plain")
        if error is PolicyError:
            change.put_key("own", ["junk"], replace=True)
        raise error
    assert everything(engine) == before


def test_transaction_for_another_version_is_not_entered(engine: Engine) -> None:
    with pytest.raises(Conflict), engine.transaction(if_version=0):
        raise AssertionError
    engine.put_key("after", [HOME])


def test_commit_inside_a_transaction_stands_and_the_transaction_fails(engine: Engine) -> None:
    with pytest.raises(Conflict, match="inside"), engine.transaction() as change:  # noqa: PT012 as above
        change.put_key("outer", [HOME])
        engine.put_key("inner", [HOME])
    assert "inner" in set(engine.keys())
    assert "outer" not in set(engine.keys())


def test_refused_change_inside_a_transaction_undoes_itself_alone(engine: Engine) -> None:
    with engine.transaction() as change:
        change.put_key("own", [OFFICE], replace=True)
        acts: tuple[Callable[..., object], ...] = (
            lambda: change.put_key("own", [HOME], replace=True, caller=STRANGER),
            lambda: change.put_keys([("own", [HOME]), ("k", ["junk"])], replace=True),
            lambda: change.put_list("office", [HOME], caller=STRANGER),
        )
        for act in acts:
            with pytest.raises(CidrmatchError):
                act()
        change.link("own", "spare")
    assert engine.key("own").entries == (Entry(OFFICE),)
    assert engine.lists_of("own") == ("spare",)
    assert "k" not in set(engine.keys())
    assert engine.allows("linked", OFFICE)


def test_transaction_that_is_over_takes_no_change(engine: Engine) -> None:
    with engine.transaction() as done:
        done.put_key("k", [HOME])
    with pytest.raises(ZeroDivisionError), engine.transaction() as failed:
        raise ZeroDivisionError
    before = everything(engine)
    for change in (done, failed):
        with pytest.raises(EngineError, match="over"):
            change.put_list("office", [STRANGER])
    assert everything(engine) == before


def test_writers_wait_for_each_other(engine: Engine) -> None:
    order: list[str] = []

    def write() -> None:
        engine.put_key("late", [HOME])
        order.append("late")

    with engine.transaction() as change:
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.05)
        change.put_key("early", [HOME])
        order.append("early")
        assert engine.allows("own", HOME), "readers do not wait"
    thread.join(10)
    assert order == ["early", "late"]
    assert {"early", "late"} <= set(engine.keys())


# -- Many keys: the overlay and the fold --------------------------------------


def test_overlay_is_folded_and_removed_keys_stay_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cidrmatch.engine.folding._SMALLEST_FOLD", 64)
    engine = Engine()
    for number in range(600):
        engine.put_key(f"k{number}", [f"10.0.{number // 256}.{number % 256}"] if number % 3 else [])
        if number % 5 == 4:
            engine.remove_key(f"k{number - 2}")
        assert len(engine.view.overlay) <= 4 * 64 + 2
    assert engine.view.store is not None
    removed = {f"k{number - 2}" for number in range(600) if number % 5 == 4}
    assert set(engine.keys()) == {f"k{number}" for number in range(600)} - removed
    for number in range(600):
        key, client = f"k{number}", f"10.0.{number // 256}.{number % 256}"
        reason = "unknown_key" if key in removed else "matched" if number % 3 else "unrestricted"
        assert engine.check(key, client).reason == reason
    engine.put_key("k2", [HOME])
    assert engine.check("k2", HOME).reason == "matched"


def test_keys_removed_from_the_base_stay_removed_and_come_back_only_when_put() -> None:
    engine = Engine()
    engine.put_keys((f"k{number}", [HOME]) for number in range(400))
    engine.fold()
    assert engine.view.overlay == {}
    engine.remove_key("k7")
    assert engine.view.store is not None
    assert "k7" in engine.view.store
    assert "k7" not in set(engine.keys())
    assert len(engine) == len(engine.keys()) == 399
    assert engine.check("k7", HOME).reason == "unknown_key"
    assert_refused(engine, UnknownName, lambda writer: writer.update_key("k7", enabled=False))
    assert engine.keys_of("office") == [] if "office" in engine.lists() else True
    engine.put_keys((f"more{number}", [HOME]) for number in range(400))
    engine.fold()
    assert "k7" not in engine.view.store
    assert len(engine.keys()) == len(engine) == 799
    engine.put_key("k7", [OFFICE])
    assert engine.allows("k7", OFFICE)


def test_keys_are_counted_whether_they_are_in_the_store_or_the_overlay_or_both() -> None:
    engine = Engine()
    assert len(engine) == 0
    assert engine, "an engine is true, however few keys it has"
    engine.put_keys((f"k{number}", [HOME]) for number in range(5))
    assert len(engine) == 5
    engine.fold()
    assert len(engine) == 5
    engine.update_key("k1", enabled=False)
    engine.put_key("new")
    engine.remove_key("k2")
    engine.put_key("gone")
    engine.remove_key("gone")
    assert len(engine) == len(engine.keys()) == 5
    assert {"k0", "k1", "k3", "k4", "new"} == {key for key in ("k0", "k1", "k2", "k3", "k4", "new") if key in engine}
    assert not any(key in engine for key in ("k2", "gone", "nobody", ""))
    engine.fold()
    assert [key for key in ("k1", "k2", "new", "gone") if key in engine] == ["k1", "new"]
    with pytest.raises(TypeError, match="key"):
        _ = b"k1" in engine  # type: ignore[operator]


def test_U2_an_engine_says_whether_lists_are_enforced() -> None:
    engine = Engine(enforced=False)
    assert not engine.is_enforced
    engine.set_enforced(True)
    assert engine.is_enforced


def test_default_and_links_reach_keys_in_base_and_overlay() -> None:
    engine = Engine()
    engine.put_list("office", [OFFICE])
    engine.put_keys((f"k{number}", []) for number in range(300))
    engine.fold()
    engine.put_key("new", lists=["office"])
    engine.link("k1", "office")
    assert engine.keys_of("office") == ["k1", "new"]
    engine.set_default("office")
    assert not engine.allows("k299", HOME)
    assert engine.allows("k299", OFFICE)


def test_old_view_never_changes(engine: Engine) -> None:
    view = engine.view
    keys, lists, default = sorted(view), dict(view.lists), view.default
    engine.remove_list("office", force=True)
    engine.set_default(None)
    engine.remove_key("own")
    engine.put_list("spare", [HOME])
    assert (sorted(view), dict(view.lists), view.default) == (keys, lists, default)


def test_record_can_be_put_as_it_is(engine: Engine) -> None:
    """For imports: nothing is judged, but what is there is in force."""
    with engine._drafting(None) as draft:
        draft.set_record("k", KeyRecord(created_at=CUTOVER, entries=(Entry("10.0.0.0/8"),), shadow=()))
    assert engine.allows("k", "10.1.1.1")
    shadow = engine.shadow("k")
    assert shadow is not None
    assert shadow.would_deny == 1


# -- All of it at once --------------------------------------------------------


def test_restore_replaces_everything_in_one_commit(engine: Engine) -> None:
    engine.put_keys((f"k{number}", [HOME]) for number in range(300))
    engine.remove_key("k1")
    version = engine.version
    record = KeyRecord(created_at=CUTOVER, entries=(Entry(HOME),), lists=("new",), within=("org",))
    lists = [FrozenList("new", (Entry(STRANGER),)), FrozenList("org", (Entry("0.0.0.0/0"),)), FrozenList("none", ())]
    engine.restore(keys={"own": record, "plain": KeyRecord(created_at=CUTOVER)}, lists=lists, default="none")
    assert engine.version == version + 1
    assert set(engine.keys()) == {"own", "plain"}
    assert set(engine.lists()) == {"new", "org", "none"}
    assert engine.key("own") == record
    assert engine.allows("own", STRANGER)
    assert engine.check("k2", HOME).reason == "unknown_key"
    assert engine.check("plain", HOME).reason == "empty_list", "C22: it comes in, and denies"
    engine.restore(keys={})
    assert (engine.keys(), engine.lists(), engine.default()) == ([], {}, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": {"own": KeyRecord(created_at=CUTOVER, lists=("x",))}},
        {"keys": {"k": KeyRecord(created_at=CUTOVER), "l": KeyRecord(created_at=CUTOVER, within=("x",))}},
        {"keys": {}, "default": "x"},
    ],
    ids=str,
)
def test_restore_with_a_missing_list_changes_nothing(engine: Engine, wrong: dict[str, Any]) -> None:
    before = everything(engine)
    with pytest.raises(UnknownName, match="x"):
        engine.restore(**wrong)
    assert everything(engine) == before


# -- Trials -------------------------------------------------------------------


def test_B31_trial_counts_and_decides_nothing(engine: Engine) -> None:
    engine.put_shadow("own", [OFFICE])
    for client in (HOME, HOME, OFFICE, STRANGER, None, "junk"):
        decision = engine.check("own", client)
        assert decision.allowed is (client == HOME)
        assert decision.would_allow is (client == OFFICE)
    shadow = engine.shadow("own")
    assert shadow is not None
    assert (shadow.would_allow, shadow.would_deny) == (1, 5)
    assert shadow.denied == {HOME: 2, STRANGER: 1, "unknown": 2}
    assert shadow.list.entries == (Entry(OFFICE),)
    engine.remove_shadow("own")
    assert engine.shadow("own") is None
    assert engine.check("own", HOME).would_allow is None


def test_B31_trial_on_an_unrestricted_key_leaves_it_unrestricted() -> None:
    engine = Engine(presets.bitbybit())
    engine.put_key("k")
    engine.put_shadow("k", [HOME])
    assert engine.check("k", STRANGER).reason == "unrestricted"
    assert engine.allows("k", STRANGER) is True
    shadow = engine.shadow("k")
    assert shadow is not None
    assert (shadow.would_allow, shadow.would_deny) == (0, 2)
    engine.set_enforced(False)
    assert engine.check("k", HOME).reason == "not_enforced"
    assert shadow.would_allow == 1
