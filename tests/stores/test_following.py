"""Followers of a store: in step with it, or everybody is denied; whatever happens to the database, they come back.

Requirements: B2, B11, C19 (a change is known everywhere within ten seconds), C23.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url

from cidrmatch import Conflict, EngineError, Reason, Revision, presets
from cidrmatch.engine import following as clock_room
from cidrmatch.service.stores.errors import NotYet, SpoiltRow, StoreError, StoreUnavailable
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.reading import Reading
from cidrmatch.service.stores.store import Store
from tests.databases import wait_until

if TYPE_CHECKING:
    from tests.databases import Postgres

HOME, ELSEWHERE = "203.0.113.5", "192.0.2.1"
QUICK = {"every": 0.05, "max_age": 20.0, "nudges": ()}
"""A follower that looks so often that no test waits, and whose data stays fresh on a busy machine."""


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    made = Store.create(store_url, policy=presets.pigment())
    with closing(made):
        yield made


@pytest.fixture
def follower(store: Store) -> Iterator[StoreFollower]:
    with store.change() as change:
        change.put_list("office", [HOME], description="the office")
        change.put_key("key", lists=["office"])
    with StoreFollower(store, **QUICK) as made:  # type: ignore[arg-type]
        yield made


def put(store: Store, name: str, *addresses: str) -> Revision:
    with store.change() as change:
        change.put_list(name, addresses, description=f"the list {name}")
    assert change.revision is not None
    return change.revision


def by_hand(store: Store, statement: str) -> None:
    """Execute a statement past the store, as psql or sqlite3 would."""
    engine = create_engine(store.database.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def counts(follower: StoreFollower) -> tuple[int, int]:
    health = follower.health()
    return health["full_loads"], health["deltas"]


# Deltas and full loads.


def test_B11_a_change_is_answered_by_once_it_was_waited_for(store: Store, follower: StoreFollower) -> None:
    assert follower.engine.allows("key", HOME)
    assert not follower.engine.allows("key", ELSEWHERE)
    revision = put(store, "office", ELSEWHERE)
    follower.wait_until(revision)
    assert follower.revision == revision
    assert not follower.engine.allows("key", HOME)
    assert follower.engine.allows("key", ELSEWHERE)


def test_C19_some_changes_are_taken_over_one_by_one_and_nothing_else_is_read(
    store: Store, follower: StoreFollower
) -> None:
    before = counts(follower)
    with store.change() as change:
        change.put_list("lab", [ELSEWHERE], description="the lab")
        change.put_key("other", lists=["lab"])
        change.set_default("office")
    assert change.revision is not None
    follower.wait_until(change.revision)
    assert follower.engine.allows("other", ELSEWHERE)
    with store.change() as change:
        change.remove_key("other")
        change.remove_list("lab")
    assert change.revision is not None
    follower.wait_until(change.revision)
    assert follower.engine.check("other", ELSEWHERE).reason is Reason.UNKNOWN_KEY
    assert counts(follower) == (before[0], before[1] + 2)


def test_another_policy_replaces_everything(store: Store, follower: StoreFollower) -> None:
    before = counts(follower)
    with store.change() as change:
        change.set_policy(presets.unkey())
    assert change.revision is not None
    follower.wait_until(change.revision)
    assert follower.engine.policy == presets.unkey()
    assert follower.engine.allows("key", HOME)
    assert counts(follower) == (before[0] + 1, before[1])


def test_a_change_that_does_not_fit_the_engine_reads_everything(store: Store, follower: StoreFollower) -> None:
    follower.stop()
    follower._feed.apply(follower.revision, follower._head.rules, {"key": None}, {"office": None}, moment=0.0)  # type: ignore[arg-type, union-attr]
    with store.change() as change:
        change.put_key("key", lists=["office"], replace=True, owner="acme")
    before = counts(follower)
    assert follower.refresh()
    assert follower.engine.allows("key", HOME)
    assert counts(follower) == (before[0] + 1, before[1])


def test_C19_an_edit_by_hand_is_followed(store: Store, follower: StoreFollower) -> None:
    by_hand(store, f"UPDATE entries SET prefix = '{ELSEWHERE}/32' WHERE holder = 'list' AND name = 'office'")
    wait_until(lambda: follower.engine.allows("key", ELSEWHERE), "the edit by hand is known")
    assert not follower.engine.allows("key", HOME)


def test_switches_are_followed(store: Store, follower: StoreFollower) -> None:
    for said in (False, True):
        with store.change() as change:
            change.set_enforced(said)
        assert change.revision is not None
        follower.wait_until(change.revision)
        assert follower.engine.allows("key", ELSEWHERE) is not said


def test_a_grant_is_followed_and_its_list_goes_with_it(store: Store, follower: StoreFollower) -> None:
    with store.change() as change:
        number = change.grant("key", ELSEWHERE, until=store.now() + timedelta(hours=1), reason="the office burns")
    assert change.revision is not None
    follower.wait_until(change.revision)
    assert follower.engine.allows("key", ELSEWHERE)
    with store.change() as change:
        change.end_grant(number)
    assert change.revision is not None
    follower.wait_until(change.revision)
    assert not follower.engine.allows("key", ELSEWHERE)
    assert list(follower.engine.lists()) == ["office"]


def test_ids_are_hashed_in_the_engine_as_in_the_store(store_url: str) -> None:
    secret = b"a secret of the host"
    with closing(Store.create(store_url, policy=presets.unkey(), id_secret=secret)) as store:
        with store.change() as change:
            change.put_key("key", [HOME])
        with StoreFollower(store, **QUICK) as follower:  # type: ignore[arg-type]
            assert follower.engine.allows("key", HOME)
            assert "key" not in list(follower.engine.keys())
    with closing(Store(store_url, id_secret=b"another secret, as long")) as store:
        follower = StoreFollower(store, **QUICK)  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="id_secret"):
            follower.start()
        assert not follower.engine.allows("key", HOME)


# Before the first data.


def test_C19_an_engine_that_never_had_data_denies_everything(store_url: str) -> None:
    with closing(Store(store_url)) as store:
        follower = StoreFollower(store, when_stale="serve", **QUICK)  # type: ignore[arg-type]
        assert follower.engine.check("key", HOME).reason is Reason.STALE_DATA
        with pytest.raises(StoreError, match="no store"):
            follower.start()
        assert follower.engine.check("key", HOME).reason is Reason.STALE_DATA
        assert (follower.revision, follower.age, follower.health()["is_running"]) == (None, None, False)
        with pytest.raises(EngineError):
            follower.engine.put_key("key", [HOME])


def test_start_waits_for_a_database_that_does_not_answer_and_tells_why_it_gave_up(tmp_path: Path) -> None:
    with closing(Store("postgresql://nobody@127.0.0.1:1/none")) as store:
        follower = StoreFollower(store, **QUICK)  # type: ignore[arg-type]
        with pytest.raises(StoreUnavailable, match="refused"):
            follower.start(timeout=0.3)
        assert follower.health()["looks"] > 1
        follower.start(timeout=None)
        with pytest.raises(StoreError, match="already"):
            follower.start()
        assert not follower.engine.allows("key", HOME)
        follower.stop()


def test_arguments_are_judged_at_once(store: Store) -> None:
    for words in ({"every": 0}, {"max_age": 1.0}, {"when_stale": "hope"}, {"nudges": "all"}):
        with pytest.raises(ValueError, match=r"nudge|every|max_age|when_stale"):
            StoreFollower(store, **words)


def test_a_follower_can_be_started_again(store: Store, follower: StoreFollower) -> None:
    follower.stop()
    revision = put(store, "office", ELSEWHERE)
    with pytest.raises(NotYet, match="not running"):
        follower.wait_until(revision)
    with follower:
        assert follower.revision == revision


# Waiting.


def test_wait_until_refuses_a_revision_of_a_history_that_is_over(follower: StoreFollower) -> None:
    mine = follower.revision
    assert mine is not None
    follower.wait_until(mine)
    follower.wait_until(Revision(mine.epoch, mine.generation - 1))
    with pytest.raises(Conflict, match="older history"):
        follower.wait_until(Revision(mine.epoch - 1, mine.generation))
    for later in (Revision(mine.epoch, mine.generation + 1), Revision(mine.epoch + 1, 0)):
        with pytest.raises(TimeoutError):
            follower.wait_until(later, 0.1)


def test_a_follower_lives_in_an_event_loop_and_never_holds_it_up(store: Store) -> None:
    async def live() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        async with StoreFollower(store, **QUICK) as follower:  # type: ignore[arg-type]
            mine = follower.revision
            assert mine is not None
            waiting = asyncio.create_task(follower.wait_until_async(Revision(mine.epoch, mine.generation + 1)))
            revision = await asyncio.to_thread(put, store, "office", HOME)
            await waiting
            assert follower.revision == revision
            with pytest.raises(NotYet):
                await follower.wait_until_async(Revision(mine.epoch, 99), 0.05)
            with pytest.raises(Conflict):
                await follower.wait_until_async(Revision(mine.epoch - 1, 1))
        assert ticks > 100
        ticking.cancel()
        broken = StoreFollower(Store(str(store.database.url.render_as_string(False)), "nobody"), **QUICK)  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="tenant"):
            await broken.start_async()
        broken.store.close()

    asyncio.run(live())


def test_C19_a_removed_address_is_never_allowed_to_who_waited_for_the_removal(
    store: Store, follower: StoreFollower
) -> None:
    """The new enemy: whoever sees that the removal was committed must not see the enemy let in."""
    put(store, "office", HOME, ELSEWHERE)
    for turn in range(100):
        with store.change() as change:
            (change.remove_from_list if turn % 2 == 0 else change.add_to_list)("office", [ELSEWHERE])
        assert change.revision is not None
        follower.wait_until(change.revision)
        assert follower.engine.allows("key", ELSEWHERE) is (turn % 2 == 1), turn


# Backups, other histories.


def copy_of(store: Store, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if store.database.kind == "sqlite":
        copy = tmp_path / "copy.db"
        path = str(store.database.url.database)
        with closing(sqlite3.connect(path)) as here, closing(sqlite3.connect(copy)) as there:
            here.backup(there)
        return copy
    server: Postgres = request.getfixturevalue("postgres")
    store.close()
    server.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{store.database.url.database}'"
    )
    return server.create_database(str(store.database.url.database))


def put_back(store: Store, copy: Any, request: pytest.FixtureRequest) -> None:
    if store.database.kind == "sqlite":
        path = Path(str(store.database.url.database))  # connections of the pool stay open, as in another process
        fresh = path.with_name("fresh.db")
        shutil.copy(copy, fresh)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        os.replace(fresh, path)
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = str(store.database.url.database)
    server.drop_database(name)
    server.execute(f"CREATE DATABASE {name} TEMPLATE {copy}")


def test_C19_a_backup_that_is_put_back_is_followed_and_told(
    store: Store,
    follower: StoreFollower,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    follower.stop()  # PostgreSQL copies a database to which nobody is connected
    copy = copy_of(store, request, tmp_path)
    follower.start()
    old = follower.revision
    new = put(store, "office", ELSEWHERE)
    follower.wait_until(new)
    with caplog.at_level(logging.WARNING):
        put_back(store, copy, request)
        wait_until(lambda: follower.revision == old, "the backup is followed")
    assert follower.engine.allows("key", HOME)
    assert not follower.engine.allows("key", ELSEWHERE)
    told = [record.message for record in caplog.records if "history" in record.message]
    assert len(told) == 1
    assert str(old) in told[0]
    assert str(new) in told[0]
    later = put(store, "office", HOME, ELSEWHERE)  # this store has seen the commit that is gone
    assert later.epoch > new.epoch
    follower.wait_until(later)
    assert follower.engine.allows("key", ELSEWHERE)
    with pytest.raises(Conflict):
        follower.wait_until(new)


def test_C19_another_history_with_the_same_number_is_not_taken_for_ours(
    store: Store, follower: StoreFollower, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    follower.stop()
    copy = copy_of(store, request, tmp_path)
    follower.start()
    new = put(store, "office", ELSEWHERE)
    follower.wait_until(new)
    follower.stop()
    put_back(store, copy, request)
    url = store.database.url.render_as_string(hide_password=False)
    with closing(Store(url)) as other:  # it knows nothing of the commit that is gone
        assert put(other, "office", "192.0.2.77") == new
    before = counts(follower)
    follower.start()
    assert follower.engine.allows("key", "192.0.2.77")
    assert not follower.engine.allows("key", ELSEWHERE)
    assert counts(follower) == (before[0] + 1, before[1])


# What is wrong with the data.


SPOILS = {
    "entries": ("UPDATE entries SET prefix = '/abc' WHERE name = 'office'", r"table entries.*office.*/abc"),
    "keys": ("UPDATE keys SET link_count = 7 WHERE id = 'key'", r"table keys.*key.*7"),
    "tenants": ("UPDATE tenants SET policy = 'anything'", r"table tenants.*main.*policy"),
    "lists": ("DELETE FROM entries WHERE name = 'office'", r"table lists.*office"),
}


@pytest.mark.parametrize("table", SPOILS)
def test_C19_a_spoilt_row_leaves_the_last_good_data_and_then_denies_everybody(
    store: Store, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "office", HOME)
    with store.change() as change:
        change.put_key("key", lists=["office"])
    statement, said = SPOILS[table]
    kept = kept_rows(store, table)
    with StoreFollower(store, every=0.05, max_age=1.5, nudges=()) as follower, caplog.at_level(logging.WARNING):
        by_hand(store, statement)
        wait_until(lambda: follower.health()["error"] is not None, "the spoilt row is seen")
        assert "SpoiltRow" in follower.health()["error"]
        assert follower.engine.check("key", ELSEWHERE).reason in (Reason.NOT_LISTED, Reason.STALE_DATA)
        wait_until(lambda: follower.engine.check("key", HOME).reason is Reason.STALE_DATA, "the data is too old")
        assert follower.health()["is_stale"]
        with pytest.raises(SpoiltRow, match=said):
            follower.refresh()
        assert len([each for each in caplog.records if "SpoiltRow" in each.message or table in each.message]) == 1
        put_rows(store, table, kept)
        wait_until(lambda: follower.engine.allows("key", HOME), "it comes back by itself")
        wait_until(lambda: follower.health()["error"] is None, "nothing is wrong any more")


def kept_rows(store: Store, table: str) -> list[dict[str, Any]]:
    name = "entries" if table == "lists" else table
    with store.database.reading() as connection:
        return [dict(row._mapping) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]


def put_rows(store: Store, table: str, rows: list[dict[str, Any]]) -> None:
    """Mend by hand what was spoilt by hand."""
    row = rows[0]
    entry = f"{row.get('tenant')}, 'list', 'office', 0, '{row.get('prefix')}'"
    texts = {
        "entries": f"UPDATE entries SET prefix = '{row.get('prefix')}' WHERE name = 'office'",
        "keys": f"UPDATE keys SET link_count = {row.get('link_count')} WHERE id = 'key'",
        "tenants": f"UPDATE tenants SET policy = '{row.get('policy')}'",
        "lists": f"INSERT INTO entries (tenant, holder, name, position, prefix) VALUES ({entry})",
    }
    by_hand(store, texts[table])


def test_when_stale_is_serve_the_old_data_goes_on_with_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "office", HOME)
    with store.change() as change:
        change.put_key("key", lists=["office"])
    words: dict[str, Any] = {"every": 0.05, "max_age": 0.2, "nudges": (), "when_stale": "serve"}
    with StoreFollower(store, **words) as follower, caplog.at_level(logging.WARNING):
        by_hand(store, "UPDATE keys SET owner = '' || owner, link_count = 7")
        wait_until(lambda: "served all the same" in caplog.text, "the warning")
        assert follower.engine.allows("key", HOME)
        assert not follower.engine.allows("key", ELSEWHERE)
        assert not follower.health()["is_stale"]


def test_C19_a_tenant_that_is_gone_denies_everybody_after_a_time(store: Store) -> None:
    put(store, "office", HOME)
    with StoreFollower(store, every=0.05, max_age=0.5, nudges=()) as follower:
        by_hand(store, "UPDATE tenants SET name = 'gone'")
        wait_until(lambda: follower.engine.is_stale, "the data is too old")
        assert "there is no tenant" in follower.health()["error"]
        by_hand(store, "UPDATE tenants SET name = 'main'")
        wait_until(lambda: not follower.engine.is_stale, "the tenant is there again")


def test_a_column_that_is_gone_is_noticed_although_nothing_is_new(store: Store) -> None:
    with StoreFollower(store, every=0.05, max_age=0.5, nudges=()) as follower:
        by_hand(store, "ALTER TABLE grants RENAME COLUMN reason TO why")
        wait_until(lambda: follower.engine.is_stale, "the data is too old")
        assert "reason" in follower.health()["error"]


def test_C19_the_age_counts_from_before_the_look_however_long_it_takes(
    store: Store, follower: StoreFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.stop()
    check = Reading.check_columns

    def slowly(reading: Reading) -> None:
        time.sleep(0.3)
        check(reading)

    monkeypatch.setattr(Reading, "check_columns", slowly)
    assert not follower.refresh()
    assert follower.age is not None
    assert follower.age >= 0.3


@pytest.mark.parametrize("hours", [-5, 5])
def test_C19_a_wall_clock_that_is_set_makes_nothing_fresh_and_nothing_stale(
    store: Store, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "office", HOME)
    with StoreFollower(store, every=0.05, max_age=5.0, nudges=()) as follower:
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() + hours * 3600)
        looks = follower.health()["looks"]
        wait_until(lambda: follower.health()["looks"] > looks + 2, "it looks again")
        assert not follower.engine.is_stale
        assert follower.age is not None
        assert follower.age < 5.0
        by_hand(store, "UPDATE tenants SET name = 'gone'")
        boot = clock_room.seconds_since_boot
        monkeypatch.setattr(clock_room, "seconds_since_boot", lambda: boot() + 6.0)  # six seconds pass
        wait_until(lambda: follower.engine.is_stale, "the data is too old")


# Reports.


def test_followers_report_their_revisions_and_take_the_reports_away(store: Store) -> None:
    with StoreFollower(store, name="web-1", **QUICK) as follower:  # type: ignore[arg-type]

        def lags() -> list[tuple[str, int | None]]:
            with store.reading() as data:
                return [(reader.name, reader.lag) for reader in data.readers()]

        wait_until(lambda: lags() == [("web-1", 0)], "the report")
        follower.wait_until(put(store, "office", HOME))
        wait_until(lambda: lags() == [("web-1", 0)], "the report of the new revision")
        follower._follower.stop()
        put(store, "office", ELSEWHERE)
        assert lags() == [("web-1", 1)]
        old = "2020-01-01T00:00:00.000000+00:00"
        by_hand(store, f"INSERT INTO readers SELECT id, 'dead', epoch, number, '{old}' FROM tenants")
        assert ("dead", 1) in lags() or ("dead", 0) in lags()
        follower._reporter.note(follower._head)  # type: ignore[arg-type]
        wait_until(lambda: [name for name, _ in lags()] == ["web-1"], "who was not seen for a day is forgotten")
    assert lags() == []


def test_a_role_that_may_only_read_follows(postgres: Postgres) -> None:
    name = postgres.create_database()
    with closing(Store.create(postgres.url(name), policy=presets.pigment())) as store:
        postgres.execute(
            "DROP ROLE IF EXISTS reads_only; CREATE ROLE reads_only LOGIN;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reads_only", name
        )  # fmt: skip
        url = make_url(postgres.url(name)).set(username="reads_only").render_as_string(hide_password=False)
        with closing(Store(url)) as mine, StoreFollower(mine) as follower:
            follower.wait_until(put(store, "office", HOME))
            assert follower.health()["error"] is None
            wait_until(lambda: follower.health()["nudges"][0]["is_alive"], "the nudge is alive")
        with store.reading() as data:
            assert data.readers() == []
    postgres.drop_database(name)


# Forks.

FORKS = """
import json, os, sys
from cidrmatch import Revision
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.reading import Reading
from cidrmatch.service.stores.store import Store

store = Store(sys.argv[1])
follower = StoreFollower(store, every=0.1)
follower.start()
children = []
for _ in range(3):
    (here, child_writes), (child_reads, tell) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(child_writes, b".")
        revision = Revision(*json.loads(os.read(child_reads, 100)))
        try:
            follower.wait_until(revision, 30, hurry=False)
            said = [follower.engine.allows("key", "192.0.2.1"), follower.health()["looks"] > 0]
        except BaseException as error:
            said = [repr(error), follower.health()]
        os.write(child_writes, json.dumps(said).encode())
        os._exit(0)
    os.read(here, 1)
    children.append((pid, here, tell))
with store.change() as change:
    change.put_list("office", ["192.0.2.1"], description="the office")
for _, _, tell in children:
    os.write(tell, json.dumps(list(change.revision)).encode())
follower.wait_until(change.revision, 30)
found = []
for pid, here, _ in children:
    found.append(json.loads(os.read(here, 10_000)))
    os.waitpid(pid, 0)
print(json.dumps([found, follower.engine.allows("key", "192.0.2.1")]))
follower.stop()
store.close()
"""


def test_C19_forked_children_follow_by_themselves(store: Store, follower: StoreFollower) -> None:
    url = store.database.url.render_as_string(hide_password=False)
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS, url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[[True, True]] * 3, True]


def test_a_child_that_was_forked_in_a_transaction_of_sqlite_may_not_use_the_file(tmp_path: Path) -> None:
    with closing(Store.create(f"sqlite:///{tmp_path / 'store.db'}", policy=presets.pigment())) as store:
        with store.reading():
            says = in_child(store)
        assert "forked in the middle of a transaction" in says
        assert in_child(store) == "it reads"


def in_child(store: Store) -> str:
    """Fork, read the store in the child, and give what came of it."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        try:
            with store.reading():
                said = "it reads"
        except StoreError as error:
            said = str(error)
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as stream:
        said = stream.read()
    os.wait()
    return said
