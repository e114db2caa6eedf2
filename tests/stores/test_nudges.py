"""Nudges: they hurry a follower, they know when they are dead, and without them everything is only slower.

The servers here are killed and paused: each test that does so has its own.
Requirements: B11, C19.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cidrmatch import Reason, Revision, presets
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.nudges import (
    CHANNEL,
    Nudge,
    PostgresNudge,
    RedisNudge,
    SqliteNudge,
    notice,
    nudges_for,
)
from cidrmatch.service.stores.store import Store
from tests.databases import PgBouncer, Postgres, Redis, wait_until

if TYPE_CHECKING:
    from cidrmatch.service.stores.database import Database

HOME, ELSEWHERE = "203.0.113.5", "192.0.2.1"
SLOW = {"every": 300.0, "max_age": 900.0}
"""A follower that looks so seldom that only a nudge brings it there in time."""


@contextmanager
def listening(nudge: Nudge, tenant: str = "main") -> Iterator[Callable[[], int]]:
    """Start a nudge, wait until it lives, and count how often it hurries."""
    hurried: list[float] = []
    nudge.start(lambda: hurried.append(time.monotonic()), tenant)
    try:
        wait_until(lambda: nudge.is_alive, "the nudge lives")
        yield lambda: len(hurried)
    finally:
        nudge.stop()


@contextmanager
def made(url: str, **words: Any) -> Iterator[Store]:
    """Make a store with one key that one list restricts."""
    with closing(Store.create(url, policy=presets.pigment())) as first, first.change() as change:
        change.put_list("office", [HOME], description="the office")
        change.put_key("key", lists=["office"])
    with closing(Store(url, **words)) as store:
        yield store


def move(store: Store, *addresses: str) -> Revision:
    with store.change() as change:
        change.put_list("office", addresses, description="the office")
    assert change.revision is not None
    return change.revision


def nudge_of(database: Database) -> Nudge:
    (nudge,) = nudges_for(database)
    return nudge


def comes_back(store: Store, follower: StoreFollower) -> None:
    """Show that a follower is in step again, and that its nudge lives."""
    wait_until(lambda: follower.health()["nudges"][0]["is_alive"], "the nudge lives again")
    follower.wait_until(move(store, ELSEWHERE), 60, hurry=False)
    assert follower.engine.allows("key", ELSEWHERE)
    assert not follower.engine.allows("key", HOME)


def test_B11_a_database_has_its_own_nudge_and_it_is_what_brings_the_change(store_url: str) -> None:
    with made(store_url) as store, StoreFollower(store, **SLOW) as follower:  # type: ignore[arg-type]
        kind = SqliteNudge if store.database.kind == "sqlite" else PostgresNudge
        assert [type(nudge) for nudge in follower._nudges] == [kind]
        for number in range(5):
            follower.wait_until(move(store, f"192.0.2.{number}"), 60, hurry=False)
            assert follower.engine.allows("key", f"192.0.2.{number}")
        health = follower.health()
        assert json.loads(json.dumps(health)) == health
        assert health["nudges"][0]["is_alive"]
        assert health["nudges"][0]["nudges"] >= 5


def test_a_nudge_hurries_for_its_own_tenant_and_not_for_reports(store_url: str) -> None:
    with made(store_url) as store, listening(nudge_of(store.database)) as count:
        with closing(Store.create(store_url, "other", policy=presets.pigment())) as other:
            before = count()
            move(other, HOME)
            with StoreFollower(store, nudges=(), name="reports"):
                wait_until(lambda: has_reports(store), "the report is written")
        time.sleep(0.5)  # nothing comes; what would come takes 50 ms
        assert count() == before
        move(store, HOME, ELSEWHERE)
        wait_until(lambda: count() > before, "the nudge hurries")


def has_reports(store: Store) -> bool:
    with store.reading() as data:
        return bool(data.readers())


def test_what_a_nudge_says_is_short_and_names_the_tenant() -> None:
    assert notice("main", Revision(255, 7)) == "main ff 7"
    assert len(notice("x" * 100_000, Revision(2**60, 2**60))) < 100


def test_without_a_nudge_a_follower_is_only_slower(store_url: str) -> None:
    with made(store_url) as store, StoreFollower(store, every=0.2, nudges=()) as follower:
        follower.wait_until(move(store, ELSEWHERE), hurry=False)


# SQLite.


def test_C19_a_file_that_is_replaced_is_listened_to(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with made(f"sqlite:///{path}") as store, listening(SqliteNudge(str(path))) as count:
        store.close()
        with closing(sqlite3.connect(path)) as here, closing(sqlite3.connect(tmp_path / "copy.db")) as there:
            here.backup(there)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        before = count()
        os.replace(shutil.copy(tmp_path / "copy.db", tmp_path / "new.db"), path)
        wait_until(lambda: count() > before, "the other file is seen")
        before = count()
        move(store, ELSEWHERE)
        wait_until(lambda: count() > before, "a change of the other file is seen")


def test_a_file_that_is_gone_is_a_dead_nudge_and_none_is_made_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with made(f"sqlite:///{path}") as store:
        nudge = SqliteNudge(str(path))
        with listening(nudge):
            store.close()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            wait_until(lambda: not nudge.is_alive, "the nudge knows that it is dead")
            assert nudge.health()["error"] is not None
            assert not path.exists()


# PostgreSQL.


@pytest.fixture
def server() -> Iterator[Postgres]:
    """A server that a test may kill."""
    with Postgres() as made_one:
        yield made_one


def test_C19_a_killed_postgresql_is_followed_again_when_it_is_back(server: Postgres) -> None:
    with made(server.url(server.create_database())) as store, StoreFollower(store, every=0.5) as follower:
        server.kill()
        wait_until(lambda: not follower.health()["nudges"][0]["is_alive"], "the nudge is dead")
        wait_until(lambda: (follower.age or 0) > 2, "the age grows")
        assert follower.engine.check("key", ELSEWHERE).reason in (Reason.NOT_LISTED, Reason.STALE_DATA)
        wait_until(lambda: follower.engine.check("key", HOME).reason is Reason.STALE_DATA, "everybody is denied")
        assert follower.health()["error"] is not None
        server.start()
        wait_until(lambda: follower.engine.allows("key", HOME), "the data is current again")
        comes_back(store, follower)


def test_C19_a_paused_postgresql_is_noticed_and_denies_everybody_until_it_goes_on(server: Postgres) -> None:
    with made(server.url(server.create_database())) as store, StoreFollower(store, every=0.5, max_age=4.0) as follower:
        wait_until(lambda: follower.health()["nudges"][0]["is_alive"], "the nudge lives")
        server.pause()
        try:
            wait_until(lambda: not follower.health()["nudges"][0]["is_alive"], "the nudge is dead")
            wait_until(lambda: follower.engine.check("key", HOME).reason is Reason.STALE_DATA, "all are denied")
            assert follower.health()["is_stale"]
            assert (follower.age or 0) >= 4.0
        finally:
            server.resume()
        wait_until(lambda: follower.engine.allows("key", HOME), "the data is current again")
        comes_back(store, follower)


def test_a_session_that_is_ended_is_opened_anew(postgres: Postgres) -> None:
    name = postgres.create_database()
    with made(postgres.url(name)) as store, StoreFollower(store, **SLOW) as follower:  # type: ignore[arg-type]
        wait_until(lambda: follower.health()["nudges"][0]["is_alive"], "the nudge lives")
        before = follower.health()["nudges"][0]["nudges"]
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{name}' AND query LIKE '%pg_listening_channels%'"
        )
        wait_until(lambda: follower.health()["nudges"][0]["nudges"] > before, "it has listened anew")
        comes_back(store, follower)
    postgres.drop_database(name)


def test_behind_a_pooler_that_gives_sessions_away_a_nudge_does_not_claim_to_live(postgres: Postgres) -> None:
    name = postgres.create_database()
    with PgBouncer(postgres) as pooler, made(pooler.url(name)) as store, StoreFollower(store, every=0.3) as follower:
        wait_until(lambda: follower.health()["nudges"][0]["error"] is not None, "the nudge is dead")
        assert not follower.health()["nudges"][0]["is_alive"]
        assert "pooler" in follower.health()["nudges"][0]["error"]
        follower.wait_until(move(store, ELSEWHERE), hurry=False)
        assert follower.engine.allows("key", ELSEWHERE)
    postgres.drop_database(name)


# Redis.


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A server that a test may kill."""
    with Redis() as made_one:
        yield made_one


@contextmanager
def followed_by_redis(path: Path, server: Redis) -> Iterator[tuple[Store, StoreFollower]]:
    nudge = RedisNudge(server.url())
    store = made(f"sqlite:///{path}", announce=RedisNudge(server.url()).announce)
    with store as here, StoreFollower(here, nudges=[nudge], **SLOW) as follower:  # type: ignore[arg-type]
        wait_until(lambda: nudge.is_alive, "the nudge lives")
        yield here, follower


def test_B11_redis_brings_the_change_also_after_it_was_emptied(tmp_path: Path, redis_server: Redis) -> None:
    from redis import Redis as Client

    with followed_by_redis(tmp_path / "store.db", redis_server) as (store, follower):
        follower.wait_until(move(store, ELSEWHERE), 60, hurry=False)
        with closing(Client.from_url(redis_server.url())) as client:
            client.flushall()
            follower.wait_until(move(store, HOME), 60, hurry=False)
            before = follower.health()["looks"]
            client.publish(CHANNEL, "anything\x00\xff")  # costs a look
            wait_until(lambda: follower.health()["looks"] > before, "a look")
            assert follower.engine.allows("key", HOME)
            assert not follower.engine.allows("key", ELSEWHERE)


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_C19_a_dead_redis_delays_no_commit_and_comes_back_by_itself(tmp_path: Path, redis: Redis, how: str) -> None:
    with followed_by_redis(tmp_path / "store.db", redis) as (store, follower):
        redis.kill() if how == "kill" else redis.pause()
        began = time.monotonic()
        revision = move(store, ELSEWHERE)
        assert time.monotonic() - began < 10  # one second, and a busy machine
        wait_until(lambda: not follower.health()["nudges"][0]["is_alive"], "the nudge is dead")
        follower.refresh()  # what the next look does
        assert follower.revision == revision
        assert not follower.engine.allows("key", HOME)
        redis.start() if how == "kill" else redis.resume()
        comes_back(store, follower)


def test_a_commit_is_made_although_its_announcement_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fails(said: str) -> None:
        raise RuntimeError(f"nobody hears {said}")

    with made(f"sqlite:///{tmp_path / 'store.db'}", announce=fails) as store:
        revision = move(store, ELSEWHERE)
        with store.reading() as data:
            assert data.revision == revision
    assert "could not be announced" in caplog.text


def test_announcements_that_hang_are_not_piled_up(tmp_path: Path) -> None:
    nudge = RedisNudge("redis://127.0.0.1:1")
    hangs = threading.Event()
    calls: list[str] = []

    def publish(said: str) -> None:
        calls.append(said)
        hangs.wait(60)

    nudge._publish = publish  # type: ignore[method-assign]
    nudge.announce("main 1 1")
    nudge.announce("main 1 2")
    hangs.set()
    assert calls == ["main 1 1"]
    with suppress(AttributeError):
        nudge._sending.join()  # type: ignore[union-attr]
    nudge.announce("main 1 3")
    assert calls == ["main 1 1", "main 1 3"]
