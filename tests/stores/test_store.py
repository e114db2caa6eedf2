"""What only a store has: tenants, expected revisions, policies, hashed ids, restoring, undoing, the role check.

    refused --> the store is as it was: the same head, the same data, no history

Requirements: B9, B10, P1, P7, P9 to P11, C8, C9, C21, C22.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import sqlalchemy as sa

from cidrmatch import Engine, KeyRules, Policy, presets
from cidrmatch._keys import Revision
from cidrmatch.errors import (
    AlreadyExists,
    Conflict,
    EngineError,
    FeatureOff,
    InUse,
    NotPermitted,
    PolicyError,
    UnknownName,
)  # fmt: skip
from cidrmatch.files import config
from cidrmatch.service.stores.errors import AssertionBroken, StoreError
from cidrmatch.service.stores.store import Store
from tests.stored import Copy, ask, by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cidrmatch.service.stores.change import StoreChange

Step: TypeAlias = "Callable[[StoreChange], object]"
POLICY = Policy(name="any", keys=KeyRules(default_list=True))
CUTOVER = datetime(2020, 6, 16, tzinfo=UTC)
SECRET = b"0123456789abcdef"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(Store.create(store_url, policy=POLICY)) as made:
        yield made


def change(store: Store, *steps: Step, **author: Any) -> int:
    """Make one commit of some steps; give the number of the data after it."""
    with store.change(**author) as opened:
        for step in steps:
            step(opened)
    assert opened.revision is not None
    return opened.revision.generation


def all_of(store: Store) -> object:
    with store.reading() as data:
        return data.revision, config.dump(data.engine()), data.history(), data.grants()


def check_refused(store: Store, error: type[Exception], *steps: Step, match: str | None = None) -> None:
    """Refuse a change as a whole: also what came before the refused step, and what would come behind it."""
    before = all_of(store)
    with pytest.raises(error, match=match):
        change(store, lambda c: c.put_key("before it", ["192.0.2.9"]), *steps)
    assert all_of(store) == before


def test_B9_a_key_is_made_with_its_list_and_each_commit_has_the_next_number(store: Store) -> None:
    assert change(store, lambda c: c.put_key("a", ["203.0.113.0/24"], owner="acme")) == 1
    assert change(store, lambda c: c.put_key("b")) == 2
    assert change(store) == 2  # nothing changed
    assert change(store, lambda c: c.update_key("a", owner="acme")) == 2
    with store.reading() as data:
        assert data.keys() == ["a", "b"]
        assert data.keys(after="a", limit=1) == ["b"]
        assert data.key("a").revision == 1
        assert data.key("a").value.owner == "acme"
        assert data.lists() == []


def test_B10_a_change_that_is_over_takes_nothing(store: Store) -> None:
    with store.change() as opened:
        opened.put_key("a", ["192.0.2.1"])
    steps: list[Callable[[], object]] = [
        lambda: opened.put_key("b", ["192.0.2.1"]), lambda: opened.put_keys({"b": ["192.0.2.1"]}),
        lambda: opened.set_enforced(False), lambda: opened.set_unknown_key("pass"), lambda: opened.undo(1),
        lambda: opened.restore_engine(Engine()), lambda: opened.set_policy(presets.unkey()),
    ]  # fmt: skip
    for step in steps:
        with pytest.raises(EngineError, match="over"):
            step()
    with store.reading() as data:
        assert data.keys() == ["a"]
        assert data.rules.is_enforced


def test_B10_a_refused_change_changes_nothing(store: Store) -> None:
    change(store, lambda c: c.put_list("office", ["198.51.100.0/24"]), lambda c: c.put_key("a", lists=["office"]))
    check_refused(store, PolicyError, lambda c: c.put_key("x", ["junk"]))
    check_refused(store, AlreadyExists, lambda c: c.put_key("a"))
    check_refused(store, UnknownName, lambda c: c.link("a", "nowhere"))
    check_refused(store, UnknownName, lambda c: c.add_entries("nobody", ["192.0.2.1"]))
    check_refused(store, UnknownName, lambda c: c.drop_assertion("key", "a", "192.0.2.1"))
    check_refused(store, UnknownName, lambda c: c.put_assertion("list", "nowhere", "192.0.2.1", allow=True))
    check_refused(store, UnknownName, lambda c: c.end_grant(7))
    check_refused(store, UnknownName, lambda c: c.undo(99))
    check_refused(store, InUse, lambda c: c.remove_list("office"))  # C21
    check_refused(store, EngineError, lambda c: c.remove_from_list("office", ["198.51.100.0/24"]))  # C22
    check_refused(store, AssertionBroken, lambda c: c.put_assertion("key", "a", "9.9.9.9", allow=True))
    check_refused(store, ValueError, lambda c: c.set_unknown_key("maybe"))
    check_refused(store, TypeError, lambda c: c.set_enforced(0))  # type: ignore[arg-type]
    check_refused(store, ValueError, lambda c: c.put_key("nul\0", ["192.0.2.1"]))
    check_refused(store, ValueError, lambda c: c.put_key("x", ["192.0.2.1"], owner="half \ud800"))
    check_refused(store, EngineError, lambda c: c.put_list("break-glass:5", ["192.0.2.1"]), match="grant")
    check_refused(store, FeatureOff, lambda c: c.set_enforced(False), lambda c: c.put_key("x", ["192.0.2.1"]))
    check_refused(store, KeyError, lambda _: dict[str, int]()["the block raises"])


def test_B10_a_change_is_refused_if_the_key_or_list_has_another_revision(store: Store) -> None:
    change(store, lambda c: c.put_key("a", ["192.0.2.1"]), lambda c: c.put_list("l", ["192.0.2.1"]))
    change(store, lambda c: c.put_key("b", ["192.0.2.1"]))
    for good in (lambda c: c.expect_key("a", 1), lambda c: c.expect_key("b", 2), lambda c: c.expect_list("l", 1),
                 lambda c: c.expect_key("none", None), lambda c: c.expect_list("none", None),
                 lambda c: c.expect_key("nul\0", None), lambda c: c.expect_list("\ud800", None)):  # fmt: skip
        change(store, good)
    for bad in (lambda c: c.expect_key("a", 2), lambda c: c.expect_key("a", None), lambda c: c.expect_key("none", 1),
                lambda c: c.expect_list("l", 2), lambda c: c.expect_list("l", None), lambda c: c.expect_list("none", 0),
                lambda c: c.expect_key("nul\0", 1), lambda c: c.expect_list("nul\0", 1)):  # fmt: skip
        check_refused(store, Conflict, bad)
    with store.reading() as data:
        now = data.revision
    before = Revision(now.epoch, now.generation - 1)
    with pytest.raises(Conflict), store.change(if_revision=before) as opened:
        opened.remove_key("a")
    with store.change(if_revision=now) as opened:
        opened.remove_key("a")


def test_P1_the_role_check_is_asked_about_the_actor_of_the_change(store_url: str) -> None:
    asked: list[tuple[object, str, str]] = []

    def permits(actor: object, operation: str, name: str) -> bool:
        asked.append((actor, operation, name))
        return actor == "admin"

    with closing(Store.create(store_url, policy=POLICY, permits=permits)) as store:
        change(store, lambda c: c.put_list("l", ["192.0.2.1"], actor="other"), actor="admin")
        for step in (lambda c: c.put_list("l", ["192.0.2.2"], actor="admin"), lambda c: c.remove_list("l"),
                     lambda c: c.set_default("l"), lambda c: c.put_key("k", lists=["l"]),
                     lambda c: c.undo(1)):  # fmt: skip
            before = all_of(store)
            with pytest.raises(NotPermitted):
                change(store, step, actor="editor")
            assert all_of(store) == before
        assert {actor for actor, _, _ in asked} == {"admin", "editor"}
        assert ("editor", "link", "l") in asked


def test_P7_P9_P10_P11_lists_name_their_keys_and_the_default_covers_the_others(store: Store) -> None:
    change(store, lambda c: c.put_list("l", ["192.0.2.1"]), lambda c: c.put_list("d", ["192.0.2.2"]),
           lambda c: c.put_key("linked", lists=["l"]), lambda c: c.put_key("inside", ["192.0.2.1"], within=["l"]),
           lambda c: c.put_key("bare"), lambda c: c.set_default("d"))  # fmt: skip
    copy = Copy(store)
    change(store, lambda c: c.put_key("later"))
    copy.look()
    with store.reading() as data:
        assert data.keys_of("l") == ["inside", "linked"]
        with pytest.raises(UnknownName):
            data.keys_of("nowhere")
    assert [copy.engine.allows(key, "192.0.2.2") for key in ("linked", "bare", "later")] == [False, True, True]
    report = None
    with store.change() as opened:
        report = opened.set_default(None)
    assert [problem.code for problem in report.problems] == ["unrestricted"] * len(report.problems)
    assert report.problems


# Policies.


def test_another_policy_judges_everything_that_is_there(store: Store) -> None:
    change(store, lambda c: c.put_key("open"), lambda c: c.put_key("wide", ["8.0.0.0/7"]),
           lambda c: c.put_list("l", ["2001:db8::/32"]))  # fmt: skip
    check_refused(store, EngineError, lambda c: c.set_policy(presets.bitbybit()), match="another policy comes first")
    for policy, word in ((presets.bitbybit(), "refuses what the store has"), (presets.pigment(), "refuses"),
                         (presets.nomsa(cutover=CUTOVER), "refuses")):  # fmt: skip
        before = all_of(store)
        with pytest.raises(EngineError, match=word):
            change(store, lambda c, policy=policy: c.set_policy(policy))  # type: ignore[misc]
        assert all_of(store) == before
    with pytest.raises(ValueError, match="cutover"):
        change(store, lambda c: c.set_policy(presets.nomsa()))
    change(store, lambda c: c.update_key("wide", entries=["8.0.0.0/9"]), lambda c: c.put_list("l", ["2001:db8::/48"]))
    change(store, lambda c: c.set_policy(presets.bitbybit()))
    copy = Copy(store)  # all digests are those of the new policy: an open key is no spoilt one
    assert copy.engine.policy == presets.bitbybit()
    assert copy.engine.allows("open", "9.9.9.9")
    change(store, lambda c: c.set_policy(presets.unkey()), lambda c: c.put_key("ten", ["0.0.0.0/1"]))
    copy.look()
    assert copy.looked == "everything"
    assert copy.engine.allows("open", "9.9.9.9")


def test_N4_another_policy_does_not_open_an_inactive_key(store_url: str) -> None:
    with closing(Store.create(store_url, policy=presets.nomsa(cutover=CUTOVER))) as store:
        change(store, lambda c: c.put_key("a", ["192.0.2.1"]))
        engine = Engine(presets.nomsa(cutover=CUTOVER))
        engine.restore(keys={"a": _emptied(store)})  # C8: imported empty, and so inactive
        change(store, lambda c: c.restore_engine(engine))
        assert not Copy(store).engine.allows("a", "9.9.9.9")
        later = presets.nomsa(cutover=datetime(2999, 1, 1, tzinfo=UTC))
        for policy in (presets.unkey(), presets.bitbybit(), later):
            before = all_of(store)
            with pytest.raises(EngineError, match="every address could use the key"):
                change(store, lambda c, policy=policy: c.set_policy(policy))  # type: ignore[misc]
            assert all_of(store) == before


def _emptied(store: Store) -> Any:
    with store.reading() as data:
        return dataclasses.replace(data.key("a").value, entries=())


def test_C8_C9_a_legacy_list_is_not_emptied_and_an_assertion_sees_the_new_policy(store_url: str) -> None:
    with closing(Store.create(store_url, policy=presets.nomsa(cutover=CUTOVER))) as store:
        old = CUTOVER - timedelta(days=1)
        change(
            store,
            lambda c: c.put_key("legacy", ["192.0.2.1"], created_at=old),
            lambda c: c.put_key("new", ["192.0.2.1"]),
        )
        check_refused(store, EngineError, lambda c: c.update_key("legacy", entries=[]))
        check_refused(store, PolicyError, lambda c: c.put_key("empty", []))
        change(store, lambda c: c.put_assertion("key", "new", "9.9.9.9", allow=False))
        with store.change() as opened:
            opened.set_policy(presets.unkey())
            opened.put_key("x", ["192.0.2.1"])
            with pytest.raises(EngineError, match="comes first"):
                opened.set_policy(presets.pigment())
        with pytest.raises(AssertionBroken):
            change(store, lambda c: c.update_key("new", entries=[]))


@pytest.mark.parametrize("comes_first", [False, True])
def test_N4_what_is_asserted_is_judged_by_the_policy_of_the_same_change(store: Store, comes_first: bool) -> None:
    change(store, lambda c: c.put_key("bare"))
    inactive = Policy(keys=KeyRules(new_keys_need_list=True, cutover=CUTOVER))
    steps: list[Step] = [
        lambda c: c.put_assertion("key", "bare", "9.9.9.9", allow=True),
        lambda c: c.set_policy(inactive),
    ]
    before = all_of(store)
    with pytest.raises(AssertionBroken, match="would be denied"):
        change(store, *(steps if comes_first else reversed(steps)))
    assert all_of(store) == before


# Restoring.


def filled_engine(policy: Policy) -> Engine:
    engine = Engine(policy)
    engine.put_list("office", [{"prefix": "198.51.100.0/24", "label": "Vienna"}], description="where we sit")
    engine.put_list("unused", ["192.0.2.0/24"], description="d")
    for name in ("own", "ключ", "q\"'", "\u202ertl", "l" * 10_000):
        engine.put_key(
            name, ["203.0.113.7", {"prefix": "203.0.113.0/24", "effect": "deny"}], lists=["office"], owner="acme"
        )
    engine.put_key("inside", ["198.51.100.7"], within=["office"])
    engine.put_key("open")
    engine.put_key("off", ["192.0.2.1"], enabled=False)
    engine.put_shadow("own", ["192.0.2.5"])
    engine.put_key("break-glass:1", [{"prefix": "192.0.2.1", "expires": "2999-01-01T00:00:00+00:00"}])
    engine.set_default("unused")
    return engine


def test_a_configuration_goes_through_a_store_and_comes_out_the_same(store: Store) -> None:
    engine = filled_engine(POLICY)
    change(store, lambda c: c.put_key("gone", ["192.0.2.1"]), lambda c: c.put_list("gone", ["192.0.2.1"]))
    change(store, lambda c: c.restore_engine(engine))
    with store.reading() as data:
        made = data.engine()
    assert config.dump(made) == config.dump(engine)
    number = change(store, lambda c: c.restore_engine(made))
    assert number == 2  # nothing changed
    copy = Copy(store)
    for key in engine.view:
        assert copy.engine.key(key) == engine.key(key)
    with store.reading() as data:
        assert {thing.kind for thing in data.history()[0].things} >= {"key", "list", "rules"}


def test_many_rows_at_once_come_back_as_they_were(store: Store) -> None:
    """PostgreSQL takes many rows by COPY, which has signs of its own: tab, newline, backslash, N for nothing."""
    odd = ("\\N", "\\.", "a\tb", "a\nb", "a\\b", "\r", '"', "'", "\U0001f511", "")
    engine = Engine(POLICY)
    for number in range(120):
        entry = {"prefix": f"192.0.2.{number}", "label": "\\N", "effect": "deny"}
        engine.put_key(f"k{number}{odd[number % 10]}", [entry, "10.0.0.0/8"], owner=odd[number % 10])
    engine.put_list("long", [f"198.51.100.{number}" for number in range(120)], description="\\N\t")
    change(store, lambda c: c.restore_engine(engine))
    with store.reading() as data:
        made = data.engine()
        assert config.dump(made) == config.dump(engine)
        assert {thing.name for thing in data.history()[0].things} == {*engine.view, "long"}
    assert everything_of(Copy(store).engine) == everything_of(engine)
    change(store, lambda c: c.put_keys({f"more {number}": [f"192.0.2.{number}"] for number in range(120)}))
    with store.reading() as data:
        assert len(data.keys(limit=1_000)) == 240


def everything_of(engine: Engine) -> object:
    return {key: engine.key(key) for key in engine.view}, {name: each.entries for name, each in engine.lists().items()}


def test_many_rows_that_the_database_refuses_are_told_as_one_is(store: Store, store_url: str) -> None:
    change(store, lambda c: c.put_key("a", ["192.0.2.1"]))
    insert = "INSERT INTO entries (tenant, holder, name, position, prefix) VALUES (1, 'key', 'k7', 0, '192.0.2.1')"
    by_hand(store_url, insert)  # entries of a key that is not there: the key is no orphan's heir
    before = sizes(store_url)
    with pytest.raises(StoreError):
        change(store, lambda c: c.put_keys({f"k{number}": ["192.0.2.1"] for number in range(100)}))
    assert sizes(store_url) == before


def sizes(url: str) -> list[int]:
    return [ask(url, f"SELECT count(*) FROM {table}") for table in ("keys", "entries", "changes", "changed")]


def test_changes_behind_a_restoring_count_in_the_same_commit(store: Store) -> None:
    engine = filled_engine(POLICY)
    change(store, lambda c: c.put_key("own", ["9.9.9.9"]), lambda c: c.put_key("gone", ["9.9.9.9"]),
           lambda c: c.restore_engine(engine), lambda c: c.add_entries("own", ["192.0.2.77"]),
           lambda c: c.remove_key("off"), lambda c: c.remove_list("office", force=True),
           lambda c: c.put_key("more", ["192.0.2.78"]), lambda c: c.set_default(None))  # fmt: skip
    engine.add_entries("own", ["192.0.2.77"])
    engine.remove_key("off")
    engine.remove_list("office", force=True)
    engine.put_key("more", ["192.0.2.78"], created_at=_created(store, "more"))
    engine.set_default(None)
    with store.reading() as data:
        assert config.dump(data.engine()) == config.dump(engine)
        assert data.keys_of("unused") == engine.keys_of("unused")


def _created(store: Store, key: str) -> datetime:
    with store.reading() as data:
        return data.key(key).value.created_at


def test_a_restoring_that_fails_leaves_nothing_behind_in_the_change(store: Store) -> None:
    change(store, lambda c: c.put_key("a", ["192.0.2.1"]))
    hashed = Engine(POLICY, id_secret=SECRET)
    hashed.set_enforced(False)
    with store.change() as opened:
        with pytest.raises(EngineError, match="hashed ids"):
            opened.restore_engine(hashed)
        opened.put_key("b", ["192.0.2.1"])
    with store.reading() as data:
        assert data.keys() == ["a", "b"]
        assert data.rules.is_enforced
    engine = Engine(POLICY)
    engine.put_key("nul\0", ["192.0.2.1"])
    engine.set_enforced(False)
    check_refused(store, ValueError, lambda c: c.restore_engine(engine), match="cannot be stored")


def test_a_restoring_that_breaks_an_assertion_is_refused(store: Store) -> None:
    change(store, lambda c: c.put_key("own", ["203.0.113.7"]), lambda c: c.put_key("kept", ["192.0.2.1"]))
    change(store, lambda c: c.put_assertion("key", "own", "203.0.113.8", allow=False, note="a contractor"))
    change(store, lambda c: c.restore_engine(filled_engine(POLICY)))
    engine = filled_engine(POLICY)
    engine.update_key("own", entries=["203.0.113.8"])
    check_refused(store, AssertionBroken, lambda c: c.restore_engine(engine), match="a contractor")
    engine.remove_key("own")
    check_refused(store, AssertionBroken, lambda c: c.restore_engine(engine), match="cannot be removed")


# Hashed ids, tenants.


def test_ids_are_hashed_and_only_their_secret_opens_the_store(store_url: str) -> None:
    with closing(Store.create(store_url, policy=POLICY, id_secret=SECRET)) as store:
        change(
            store, lambda c: c.put_key("key_live_1", ["192.0.2.1"]), lambda c: c.put_key("nul\0\ud800", ["192.0.2.2"])
        )
        change(store, lambda c: c.add_entries("key_live_1", ["192.0.2.3"]), lambda c: c.expect_key("key_live_1", 1))
        engine = filled_engine(POLICY)
        with store.reading() as data:
            assert not any("live" in key for key in (*data.keys(),))
            assert len(data.key("key_live_1").value.entries) == 2
            assert len(data.key("nul\0\ud800").value.entries) == 1
        change(store, lambda c: c.undo(2))
        change(store, lambda c: c.restore_engine(engine), lambda c: c.add_entries("own", ["192.0.2.77"]))
        with store.reading() as data:
            assert len(data.keys()) == len(engine)
            assert len(data.key("own").value.entries) == 3
        for secret in (None, b"another secret..."):
            other = Store(store_url, id_secret=secret)
            with closing(other), pytest.raises(StoreError, match="id_secret"), other.reading():
                pass


def test_two_tenants_of_one_database_do_not_see_each_other(store_url: str) -> None:
    with (
        closing(Store.create(store_url, "one", policy=POLICY)) as one,
        closing(Store.create(store_url, "two", policy=presets.pigment())) as two,
    ):
        with pytest.raises(AlreadyExists):
            Store.create(store_url, "one", policy=POLICY)
        change(one, lambda c: c.restore_engine(filled_engine(POLICY)))
        before = all_of(one)
        change(two, lambda c: c.put_list("office", ["192.0.2.5"], description="d"),
               lambda c: c.put_key("own", lists=["office"]),
               lambda c: c.put_key("only two"), lambda c: c.set_default("office"))  # fmt: skip
        change(two, lambda c: c.put_assertion("list", "office", "192.0.2.5", allow=True))
        change(two, lambda c: c.grant("own", None, reason="r", until=datetime.now(UTC) + timedelta(hours=1)))
        assert all_of(one) == before
        with two.reading() as data:
            assert data.keys() == ["only two", "own"]
            assert data.keys_of("office") == ["own"]
            assert len(data.history()) == 3
        change(one, lambda c: c.remove_list("office", force=True))
        with two.reading() as data:
            assert data.lists() == ["office"]
        nobody = Store(store_url, "three")
        with closing(nobody), pytest.raises(StoreError, match="no tenant"), nobody.reading():
            pass


def test_texts_come_back_as_they_were_and_those_that_no_database_holds_are_unknown(store: Store) -> None:
    texts = ("'; DROP TABLE keys; --", '"', "\\", "\u202ertl", "\U0001f511", "%s %(x)s ?", "\x01", "x" * 10_000, " a ")
    for text in texts:
        change(store, lambda c, text=text: c.put_key(text, ["192.0.2.1"], owner=text),  # type: ignore[misc]
               lambda c, text=text: c.put_list(text, ["192.0.2.1"], description=text),  # type: ignore[misc]
               actor=text, origin=text, reason=text)  # fmt: skip
    with store.reading() as data:
        assert sorted(data.keys()) == sorted(texts)
        assert data.lists() == sorted(texts)
        for text in texts:
            assert data.key(text).value.owner == text
            assert data.named_list(text).value.description == text
            (commit,) = data.history(kind="key", name=text)
            assert (commit.actor, commit.origin, commit.reason) == (text, text, text)
        for text in ("nul\0", "half \ud800"):
            with pytest.raises(UnknownName):
                data.key(text)
            with pytest.raises(UnknownName):
                data.named_list(text)
            with pytest.raises(ValueError, match="cannot be stored"):
                data.keys(after=text)
            with pytest.raises(ValueError, match="cannot be stored"):
                data.history(name=text)
    assert sorted(Copy(store).engine.keys()) == sorted(texts)
    for author in ({"actor": "\0"}, {"origin": "\ud800"}, {"reason": "\0"}, {"operation": "\0"}):
        with pytest.raises(ValueError, match="cannot be stored"):
            change(store, **author)
    with pytest.raises(TypeError):
        change(store, actor=5)


# Undoing, beside test_undo_and_assertions.py.


def test_B10_undo_gives_everything_its_old_value(store: Store) -> None:
    change(store, lambda c: c.put_list("l", ["192.0.2.1"], description="d"), lambda c: c.put_key("k", ["192.0.2.1"]))
    change(store, lambda c: c.put_key("other", ["192.0.2.3"]))
    engine = Copy(store).engine
    before = {key: engine.key(key) for key in engine.view}, engine.lists()["l"].entries
    steps: list[list[Step]] = [
        [lambda c: c.put_key("k", ["192.0.2.2"], owner="x", replace=True)],
        [lambda c: c.put_list("l", ["192.0.2.7"])],
        [lambda c: c.remove_key("k")],
        [lambda c: c.remove_list("l")],
        [lambda c: c.put_shadow("k", ["192.0.2.9"])],
        [lambda c: c.update_key("k", lists=["l"], within=["l"], enabled=False)],
        [lambda c: c.put_key("new", ["192.0.2.4"]), lambda c: c.put_list("new", ["192.0.2.4"])],
        [
            lambda c: c.remove_key("k"),
            lambda c: c.remove_list("l"),
            lambda c: c.update_key("other", entries=["192.0.2.5"]),
        ],
    ]
    for some in steps:
        number = change(store, *some)
        assert change(store, lambda c, number=number: c.undo(number)) == number + 1  # type: ignore[misc]
        engine = Copy(store).engine
        assert ({key: engine.key(key) for key in engine.view}, engine.lists()["l"].entries) == before
        assert engine.lists()["l"].description == "d"


def test_undo_is_refused_where_the_old_value_is_not_known_or_not_accepted(store: Store, store_url: str) -> None:
    change(store, lambda c: c.put_key("k", ["8.0.0.0/7"]), lambda c: c.put_list("l", ["192.0.2.1"]))
    change(store, lambda c: c.update_key("k", entries=["8.0.0.0/9"]))
    change(store, lambda c: c.set_policy(presets.bitbybit()))
    check_refused(store, PolicyError, lambda c: c.undo(2))
    check_refused(store, Conflict, lambda c: c.undo(3), match="changed rules")
    change(store, lambda c: c.put_key("linked", lists=["l"]))
    check_refused(store, Conflict, lambda c: c.undo(1), match="later commit 2")
    change(store, lambda c: c.put_list("n", ["192.0.2.1"]))
    change(store, lambda c: c.link("k", "n"))
    check_refused(store, InUse, lambda c: c.undo(5))
    by_hand(store_url, "UPDATE keys SET owner = 'hand' WHERE id = 'linked'")
    check_refused(store, Conflict, lambda c: c.undo(7), match="by hand")
    check_refused(store, Conflict, lambda c: c.undo(4), match="later commit 7")


def test_the_history_is_complete_and_in_order(store: Store) -> None:
    for number in range(1, 8):
        change(store, lambda c, number=number: c.put_key("k", [f"192.0.2.{number}"], replace=True),  # type: ignore[misc]
               lambda c, number=number: c.put_key(f"k{number}", ["192.0.2.1"]),  # type: ignore[misc]
               actor=f"a{number}", origin="o", reason="r")  # fmt: skip
    change(store, lambda c: c.set_enforced(False))
    with store.reading() as data:
        assert [commit.revision.generation for commit in data.history()] == list(range(8, 0, -1))
        assert [commit.revision.generation for commit in data.history(before=5, limit=2)] == [4, 3]
        assert [commit.actor for commit in data.history(kind="key", name="k3")] == ["a3"]
        assert len(data.history(name="k", limit=100_000)) == 7
        assert data.history(kind="nothing") == []
        assert data.history(before=1) == []
        rules = data.history(kind="rules")[0].things[0]
        first, last = data.history(kind="key", name="k")[-1], data.history(kind="key", name="k")[0]
    assert isinstance(rules.after, dict)
    assert rules.after["enforced"] is False
    assert first.things[0].before is None
    assert isinstance(last.things[0].before, dict)
    assert last.things[0].before["entries"] == ["192.0.2.6/32"]
    assert last.to_dict()["things"][0]["after"]["entries"] == ["192.0.2.7/32"]


def test_C19_a_look_seeks_what_changed_and_reads_no_history(tmp_path: Path) -> None:
    """The history only grows, so a look that read all of it would be slower with each commit."""
    with closing(Store.create(f"sqlite:///{tmp_path / 'store.db'}", policy=POLICY)) as store:
        copy = Copy(store)
        for number in (1, 2):
            change(store, lambda c, number=number: c.put_key("k", [f"192.0.2.{number}"], replace=True))  # type: ignore[misc]
            copy.look() if number == 1 else None
        asked: list[str] = []
        sa.event.listen(
            store.database.engine, "before_cursor_execute", lambda _, __, statement, *___: asked.append(statement)
        )
        copy.look()
        assert copy.looked == "some"
        (query,) = [each for each in asked if "FROM changed" in each and "FROM changes" in each]
        with store.database.engine.connect() as connection:
            values = (1, 1) * (query.count("?") // 2) + (1,) * (query.count("?") % 2)
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values).all()]
    reads = [step for step in plan if "changed" in step or "changes" in step]
    assert len(reads) == 3
    assert all(step.startswith("SEARCH") and "(tenant=? AND number" in step for step in reads)
