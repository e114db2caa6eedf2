"""Break-glass: a grant opens one key for a time, for one prefix, and nothing else; it ends at its moment by itself.

    key, entries, lists, default     with and without a grant: who passes?
    remove_key, until, end_grant     the grant is over

Requirements: B10, C19, N4; the essay of grants.py.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from cidrmatch import Engine, KeyRules, Policy, presets
from cidrmatch.errors import EngineError, FeatureOff, InvalidPrefix, UnknownName
from cidrmatch.service.stores.store import Store
from tests.stored import Copy

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = Policy(keys=KeyRules(default_list=True, new_keys_need_list=True, cutover=datetime(2020, 1, 1, tzinfo=UTC)))
OLD = datetime(2019, 1, 1, tzinfo=UTC)
GUEST, STRANGER = "9.9.9.9", "8.8.8.8"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self.now + seconds, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    with closing(Store.create(store_url, policy=POLICY, clock=clock)) as made:
        with made.change() as change:
            change.put_list("office", ["198.51.100.0/24", GUEST + "/32"])
            change.put_list("inner", ["198.51.100.0/24"])
            change.put_key("own", ["192.0.2.1"])
            change.put_key("linked", lists=["inner"])
            change.put_key("inside", ["198.51.100.7"], within=["inner"])
            change.put_key("inside office", ["198.51.100.7"], within=["office"])
            change.put_key("only inside", within=["inner"], created_at=OLD)
            change.put_key("open", created_at=OLD)
            change.put_key("off", ["192.0.2.1"], created_at=OLD, enabled=False)
        yield made


def grant(store: Store, key: str, clock: Clock, prefix: str | None = GUEST) -> int:
    with store.change() as change:
        return change.grant(key, prefix, reason="night", until=clock.later(3_600))


def who(engine: Engine, key: str) -> tuple[bool, bool]:
    return engine.allows(key, GUEST), engine.allows(key, STRANGER)


KEYS = {"own": (True, False), "linked": (True, False), "inside": (False, False), "inside office": (True, False),
        "only inside": (False, False), "open": (True, True), "off": (True, True)}  # fmt: skip


def test_a_grant_lets_its_prefix_use_its_key_until_its_moment(store: Store, clock: Clock) -> None:
    copy = Copy(store, clock)
    before = {each: who(copy.engine, each) for each in KEYS}
    for key, then in KEYS.items():
        grant(store, key, clock)
        copy.look()
        assert copy.looked == "some"
        for engine in (copy.engine, Copy(store, clock).engine):
            assert {each: who(engine, each) for each in KEYS} == before | {key: then}
            assert engine.allows("own", "192.0.2.1")
            assert not engine.allows("nobody", GUEST)
        clock.now += 3_600
        assert {each: who(copy.engine, each) for each in KEYS} == before  # without a look: the engine ends it
    assert {each: who(Copy(store, clock).engine, each) for each in KEYS} == before
    with store.reading() as data:
        assert data.grants() == []


def test_a_grant_from_everywhere_and_its_end(store: Store, clock: Clock) -> None:
    copy = Copy(store, clock)
    number = grant(store, "own", clock, None)
    copy.look()
    assert who(copy.engine, "own") == (True, True)
    assert copy.engine.allows("own", "2001:db8::1")
    with store.reading() as data:
        assert [(each.number, each.key, each.prefix, each.reason) for each in data.grants()] == [
            (number, "own", None, "night")
        ]
        assert data.key("own").value.lists == ()  # people see the key as it is
        assert data.engine().lists().keys() == {"office", "inner"}
    with store.change() as change:
        change.end_grant(number)
    copy.look()
    assert who(copy.engine, "own") == (False, False)
    with pytest.raises(UnknownName), store.change() as change:
        change.end_grant(number)


def test_P9_a_key_on_the_default_keeps_it_beside_a_grant(store: Store, clock: Clock) -> None:
    with store.change() as change:
        change.put_key("bare")
        change.set_default("inner")
    grant(store, "bare", clock)
    copy = Copy(store, clock)
    assert who(copy.engine, "bare") == (True, False)
    assert copy.engine.allows("bare", "198.51.100.1")
    with store.change() as change:
        change.set_default("office")
    copy.look()
    assert copy.engine.allows("bare", "198.51.100.1")
    with store.change() as change:
        change.set_default(None)
    copy.look()
    assert copy.looked == "some"
    assert who(copy.engine, "bare") == (True, False)
    assert not copy.engine.allows("bare", "198.51.100.1")


def test_N4_a_grant_opens_an_inactive_key_for_its_prefix_alone(store_url: str, clock: Clock) -> None:
    cutover = datetime(2020, 1, 1, tzinfo=UTC)
    with closing(Store.create(store_url, policy=presets.pigment(), clock=clock)) as store:
        with store.change() as change:
            change.put_key("new")
        with store.change() as change:
            change.set_policy(Policy(families=frozenset((4,)), keys=KeyRules(new_keys_need_list=True, cutover=cutover)))
        copy = Copy(store, clock)
        assert who(copy.engine, "new") == (False, False)
        grant(store, "new", clock)
        copy.look()
        assert who(copy.engine, "new") == (True, False)


def test_a_later_key_of_the_same_name_has_no_grant_of_the_earlier_one(store: Store, clock: Clock) -> None:
    grant(store, "own", clock)
    copy = Copy(store, clock)
    with store.change() as change:
        change.remove_key("own")
    with store.change() as change:
        change.put_key("own", ["192.0.2.1"])
    copy.look()
    assert who(copy.engine, "own") == who(Copy(store, clock).engine, "own") == (False, False)
    grant(store, "own", clock)
    clock.now += 1
    with store.change() as change:
        change.remove_key("own")
        change.put_key("own", ["192.0.2.1"])
    copy.look()
    assert who(copy.engine, "own") == (False, False)
    grant(store, "own", clock)
    with store.change() as change:
        change.update_key("own", entries=["192.0.2.2"])  # it is still the same key
    copy.look()
    assert who(copy.engine, "own") == (True, False)


def test_grants_that_are_none_are_refused_and_leave_nothing(store: Store, clock: Clock) -> None:
    soon = clock.later(60)
    bad: list[tuple[type[Exception], tuple[str, str | None, str, datetime]]] = [
        (UnknownName, ("nobody", GUEST, "r", soon)), (InvalidPrefix, ("own", "9.9.9.9/99", "r", soon)),
        (InvalidPrefix, ("own", "", "r", soon)), (ValueError, ("own", GUEST, " ", soon)),
        (ValueError, ("own", GUEST, "nul\0", soon)), (ValueError, ("own", GUEST, "r", clock.later(0))),
        (ValueError, ("own", GUEST, "r", soon.replace(tzinfo=None))),
    ]  # fmt: skip
    for error, (key, prefix, reason, until) in bad:
        with pytest.raises(error), store.change() as change:
            change.grant(key, prefix, reason=reason, until=until)
    with pytest.raises(EngineError, match="one grant"), store.change() as change:
        grant_twice(change, soon)
    with store.change() as change:
        change.set_enforced(False)
    with pytest.raises(FeatureOff), store.change() as change:
        change.grant("own", GUEST, reason="r", until=soon)
    with store.reading() as data:
        assert data.grants() == []
        assert data.revision.generation == 2


def grant_twice(change: object, soon: datetime) -> None:
    change.grant("own", GUEST, reason="r", until=soon)  # type: ignore[attr-defined]
    change.grant("own", STRANGER, reason="r", until=soon)  # type: ignore[attr-defined]


def test_several_grants_of_a_key_and_the_history_of_them(store: Store, clock: Clock) -> None:
    first, second = grant(store, "own", clock), grant(store, "own", clock, "10.0.0.0/8")
    copy = Copy(store, clock)
    assert copy.engine.allows("own", "10.1.1.1")
    with store.change() as change:
        change.end_grant(first)
    copy.look()
    assert (copy.engine.allows("own", "10.1.1.1"), copy.engine.allows("own", GUEST)) == (True, False)
    with store.reading() as data:
        things = [commit.things[0] for commit in data.history(kind="grant", name="own")]
        assert [each.number for each in data.grants()] == [second]
    assert [(each.before is None, each.after is None) for each in things] == [
        (False, True),
        (True, False),
        (True, False),
    ]
    assert things[0].before == things[2].after


def test_C16_a_grant_for_a_mapped_address_is_one_for_its_ipv4_form(store: Store, clock: Clock) -> None:
    grant(store, "own", clock, f"::ffff:{GUEST}")
    assert who(Copy(store, clock).engine, "own") == (True, False)
