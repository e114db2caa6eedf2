"""Writers that are killed, disks that are full, connections that are cut: what was acknowledged is there, and no half.

    child   commit 7: key and list say 7   --> "7" into a pipe   commit 8 ...   kill -9
    parent  reads the pipe; the store is at 7, or at 8 if the answer was lost; key and list say the same

Requirements: B10, C19 (who follows the store sees whole commits alone).
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from cidrmatch import presets
from cidrmatch.errors import Conflict
from cidrmatch.service.stores import database
from cidrmatch.service.stores.errors import StoreUnavailable
from cidrmatch.service.stores.store import Store
from tests.stored import by_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.databases import Postgres

FIRST = int(IPv4Address("11.0.0.0"))


def address(number: int) -> str:
    return str(IPv4Address(FIRST + number))


def said_by(store: Store) -> tuple[int, str, str]:
    """Give the number of the store's head, and what the key and the list say."""
    with store.reading() as data:
        key, frozen = data.key("pair").value, data.named_list("pair").value
        return data.revision.generation, str(key.entries[0].prefix), str(frozen.entries[0].prefix)


@contextmanager
def child(work: Callable[[], None]) -> Iterator[int]:
    """Run a function in a forked child, which ends with it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(BaseException):
            work()
            code = 0
        os._exit(code)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def put_pair(store: Store, number: int) -> None:
    """Let the key and the list say a number, in one commit."""
    with store.change() as change:
        change.put_list("pair", [address(number)])
        change.put_key("pair", [address(number)], lists=["pair"], replace=True)


def write_for_ever(url: str, pipe: int) -> None:
    """Make commits, and tell the number of each."""
    store = Store(url)
    while True:
        with store.change() as change:
            number = change._stored.head.revision.generation + 1
            change.put_list("pair", [address(number)])
            change.put_key("pair", [address(number)], lists=["pair"], replace=True)
        assert change.revision is not None
        os.write(pipe, struct.pack("<Q", change.revision.generation))


def kill_writers(url: str, times: int, seconds: float) -> int:
    """Kill writers at random moments, and look after each; give the number of commits."""
    drawn, last = random.Random(5), 1
    store = Store(url)
    for _ in range(times):
        reading_end, writing_end = os.pipe()
        with child(lambda pipe=writing_end: write_for_ever(url, pipe)):  # type: ignore[misc]
            os.close(writing_end)
            time.sleep(drawn.uniform(0, seconds))
        with os.fdopen(reading_end, "rb") as pipe:
            told = pipe.read()
        acknowledged = max([last, *(number for (number,) in struct.iter_unpack("<Q", told[: len(told) // 8 * 8]))])
        number, key, frozen = said_by(store)
        assert acknowledged <= number <= acknowledged + 1
        assert key == frozen == f"{address(number)}/32"
        last = number
    with store.reading() as data:
        commits = data.history(limit=last + 10)
    assert [commit.revision.generation for commit in commits] == list(range(last, 0, -1))
    assert all({thing.kind for thing in commit.things} == {"key", "list"} for commit in commits)
    store.close()
    return last


def make(url: str) -> Store:
    store = Store.create(url, policy=presets.unkey())
    with store.change() as change:
        change.put_list("pair", [address(1)])
        change.put_key("pair", [address(1)], lists=["pair"])
    return store


def times_of(url: str, in_sqlite: int, in_postgresql: int) -> int:
    return in_sqlite if url.startswith("sqlite") else in_postgresql


def test_B10_what_was_acknowledged_outlives_the_death_of_the_writer(store_url: str) -> None:
    make(store_url).close()
    assert kill_writers(store_url, times_of(store_url, 20, 10), 0.1) > 2


@pytest.mark.long
def test_B10_what_was_acknowledged_outlives_a_thousand_deaths(store_url: str) -> None:
    make(store_url).close()
    times = times_of(store_url, 1_000, 200)
    commits = kill_writers(store_url, times, 0.15 if store_url.startswith("sqlite") else 1.0)
    print(f"\n{times} kills, {commits} commits")
    assert commits > times  # else most writers died before they wrote


# Two writers.


def count_up(url: str, times: int) -> None:
    """Count in the entries of a key, so that a lost update is a number too few."""
    with closing(Store(url)) as store:
        for _ in range(times):
            while True:
                with store.reading() as data:
                    found = data.key("pair")
                number = int(IPv4Address(str(found.value.entries[0].prefix).partition("/")[0])) - FIRST + 1
                try:
                    with store.change() as change:
                        change.expect_key("pair", found.revision)
                        change.update_key("pair", entries=[address(number)])
                    break
                except Conflict:
                    continue


def count_by_two(url: str, times: int) -> None:
    store = make(url)
    with child(lambda: count_up(url, times // 2)) as one, child(lambda: count_up(url, times // 2)) as other:
        for pid in (one, other):
            assert os.waitpid(pid, 0)[1] == 0
    number, key, _ = said_by(store)
    assert key == f"{address(1 + times)}/32"
    assert number == 1 + times
    store.close()


def test_B10_no_update_of_two_writers_is_lost(store_url: str) -> None:
    count_by_two(store_url, 100)


@pytest.mark.long
def test_B10_no_update_of_ten_thousand_is_lost(store_url: str) -> None:
    count_by_two(store_url, 10_000)


def test_a_writer_that_waits_too_long_is_told(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_LOCK_SECONDS", 1)
    first, second = make(store_url), Store(store_url)
    with first.change() as change:
        change.put_key("held", ["192.0.2.1"])
        with pytest.raises(StoreUnavailable, match="lock") as caught, second.change() as other:
            other.put_key("other", ["192.0.2.2"])
        assert not caught.value.is_unknown
    with second.reading() as data:
        assert data.keys() == ["held", "pair"]
    with second.change() as other:
        other.put_key("other", ["192.0.2.2"])
    first.close()
    second.close()


# Full disks.

MANY = {f"key_{number}": [address(number)] for number in range(5_000)}


def test_a_full_database_changes_nothing_in_sqlite(tmp_path: Path) -> None:
    store = make(f"sqlite:///{tmp_path / 'store.db'}")
    sa.event.listen(store.database.engine, "begin", lambda each: each.exec_driver_sql("PRAGMA max_page_count=200"))
    before = said_by(store)
    with pytest.raises(StoreUnavailable, match="full"), store.change() as change:
        change.put_keys(MANY)
    assert said_by(store) == before
    store.close()


def test_a_full_disk_changes_nothing_in_sqlite(tmp_path: Path) -> None:
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False).returncode
    ):
        pytest.skip("a small disk cannot be mounted here")
    try:
        store = make(f"sqlite:///{tmp_path / 'store.db'}")
        before = said_by(store)
        with pytest.raises(StoreUnavailable), store.change() as change:
            change.put_keys(MANY)
        assert said_by(store) == before
        with store.change() as change:
            change.put_key("small", ["192.0.2.1"])
        assert said_by(store)[0] == before[0] + 1
        store.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


# Connections that are cut.


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


def test_a_connection_that_is_cut_within_a_change_changes_nothing(postgres_url: str) -> None:
    store = make(postgres_url)
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "

    def change_and_lose() -> None:
        with store.change() as change:
            change.put_list("pair", [address(7)])
            by_hand(postgres_url, end + "pg_backend_pid()")
            change.put_key("pair", [address(7)], replace=True)

    with pytest.raises(StoreUnavailable) as caught:
        change_and_lose()
    assert not caught.value.is_unknown
    assert said_by(store) == (1, f"{address(1)}/32", f"{address(1)}/32")
    store.close()


class Cutter:
    """A proxy that cuts a connection at its COMMIT, before or after the server gets it.

    Args:
        port: of the server.
        forwards: whether the server gets the COMMIT.
    """

    def __init__(self, port: int, *, forwards: bool) -> None:
        self._behind, self._forwards = port, forwards
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.cuts = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *given: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=given, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._start(self._carry, self._door.accept()[0])

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._behind)) as server:
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(65_536)
                    if not data:
                        return
                    is_last = self.cuts and end is client and b"COMMIT" in data
                    if not is_last or self._forwards:
                        (server if end is client else client).sendall(data)
                    if is_last:
                        if self._forwards:
                            server.recv(65_536)  # the answer, which the client never gets
                        return

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(20)


@pytest.mark.parametrize("forwards", [False, True])
def test_a_commit_whose_answer_is_lost_is_unknown(postgres: Postgres, postgres_url: str, forwards: bool) -> None:
    make(postgres_url).close()
    with closing(Cutter(postgres.port, forwards=forwards)) as cutter:
        store = Store(postgres_url.replace(f":{postgres.port}/", f":{cutter.port}/"))
        cutter.cuts = True
        with pytest.raises(StoreUnavailable, match="not known whether") as caught:
            put_pair(store, 2)
        assert caught.value.is_unknown
        cutter.cuts = False
        number = 2 if forwards else 1
        assert said_by(store) == (number, f"{address(number)}/32", f"{address(number)}/32")
        put_pair(store, number + 1)
        assert said_by(store) == (number + 1, f"{address(number + 1)}/32", f"{address(number + 1)}/32")
        store.close()
