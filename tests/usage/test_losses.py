"""What goes wrong loses as little as can be, says how much, and never stops a request.

A process that is killed, again and again; a disk that is full; a database that is killed and started again.

Requirements: B25.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.writer import Writer
from tests.databases import Postgres, wait_until
from tests.servers import ROOT
from tests.usage.usage_stand import opened, peer_guard

if TYPE_CHECKING:
    from cidrmatch.service.usage.log import UsageLog

NOTING = """
    import mmap, os, sys, threading, time
    from cidrmatch.service.usage.log import UsageLog
    from tests.usage.usage_stand import peer_guard
    url, counters, told, threads = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    log, found = UsageLog(url, counters=counters), peer_guard().check("key_1", "203.0.113.9")
    file = os.open(told, os.O_RDWR)
    said = memoryview(mmap.mmap(file, 16 * threads)).cast("Q")  # for each thread: begun, done
    def note(mine):
        while True:
            for _ in range(50):
                said[2 * mine] += 1
                log.note(found, path=f"/{mine}/{said[2 * mine] - 1}")
                said[2 * mine + 1] += 1
            time.sleep(0.001)
    for mine in range(threads):
        threading.Thread(target=note, args=(mine,)).start()
    print("noting", flush=True)
"""


def kill_one(url: str, folder: Path, threads: int, seconds: float) -> list[int]:
    """Let a process note, kill it, and give what its threads had begun and done."""
    told = folder / "told"
    told.write_bytes(bytes(16 * threads))
    words = [sys.executable, "-c", textwrap.dedent(NOTING), url, str(folder), str(told), str(threads)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"noting\n"
        time.sleep(seconds)
        child.send_signal(signal.SIGKILL)
    return list(memoryview(told.read_bytes()).cast("Q"))


@pytest.mark.parametrize("threads", [1, 8])
def test_B25_a_killed_process_loses_only_what_was_not_flushed_and_the_next_start_says_how_many(
    log_url: str, tmp_path: Path, threads: int
) -> None:
    chance = random.Random(threads)
    written = lost = 0
    for _ in range(5):
        told = kill_one(log_url, tmp_path, threads, chance.uniform(0.05, 0.6))
        (dead,) = tmp_path.glob("*.noted")
        with opened(log_url, tmp_path) as log:
            log.start()
            wait_until(partial(_is_gone, dead), "the next start deals with the counter")
            records = log.find(oldest_first=True, limit=1_000_000)
        gaps = [record for record in records if record.reason == "lost_crash"]
        requests = [record for record in records if record.reason != "lost_crash"]
        new, gone = len(requests) - written, sum(gap.lost or 0 for gap in gaps) - lost
        begun, done = sum(told[::2]), sum(told[1::2])
        assert done <= new + gone <= begun
        for mine in range(threads):
            paths = [record.path for record in requests[written:] if (record.path or "").startswith(f"/{mine}/")]
            assert paths == [f"/{mine}/{number}" for number in range(len(paths))], "a prefix, in order, each once"
        written, lost = len(requests), lost + gone
        assert all((gap.seconds or 0) < 5 for gap in gaps)
    assert written > 0
    assert lost > 0
    assert list(tmp_path.glob("*.noted")) == []


def _is_gone(path: Path) -> bool:
    return not path.exists()


def test_the_counter_of_a_process_that_lives_is_left_alone(log_url: str, tmp_path: Path) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(log_url, tmp_path) as one:
        one.note(found)
        assert one.flush()
        with opened(log_url, tmp_path) as other:
            other.note(found)
            assert other.flush()
            assert len(list(tmp_path.glob("*.noted"))) == 2
        one.note(found)
        assert one.flush()
        assert one.count() == 3
    assert list(tmp_path.glob("*.noted")) == []


def test_a_full_file_stops_no_request_and_is_told_afterwards(tmp_path: Path) -> None:
    """SQLite says that the disk is full when the file may not grow."""
    guard = peer_guard()
    with opened(f"sqlite:///{tmp_path / 'usage.db'}", size=1_000) as log:
        log.note(guard.check("key_1", "203.0.113.9"))
        assert log.flush()
        with log.database.writing() as connection:
            ((pages,),) = connection.rows("PRAGMA page_count")
            connection.rows(f"PRAGMA max_page_count = {pages + 10}")  # of the writer's connection, which stays open
        for number in range(6_000):
            assert guard.check("key_1", "203.0.113.9").allowed
            log.note(guard.check("key_1", "203.0.113.9"), path=f"/{'x' * 100}/{number}")
            if number % 500 == 0:
                time.sleep(0.02)
        wait_until(lambda: log.counts()["lost_disk"] > 0 or _more(log, guard), "drops are counted")
        assert "full" in (log.trouble or "")
        assert not log.flush(0.2)
        with log.database.writing() as connection:
            connection.rows("PRAGMA max_page_count = 1000000")
        assert log.flush(20)
        assert log.trouble is None
        counts = log.counts()
        gaps = log.find(UsageFilter(reason=("lost_disk", "lost_full", "lost_database")))
        assert sum(gap.lost or 0 for gap in gaps) == counts["lost_disk"] + counts["lost_full"]
        assert log.count() - len(gaps) == counts["written"]


def _more(log: UsageLog, guard: Any) -> bool:
    for _ in range(100):
        log.note(guard.check("key_1", "203.0.113.9"))
    return log.counts()["lost_disk"] > 0


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/proc/mounts").exists(), reason="mounts a file system")
def test_a_full_file_system_is_told_as_such(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    guard = peer_guard()
    try:
        with opened(f"sqlite:///{small / 'usage.db'}", tmp_path, size=2_000) as log:
            for number in range(100):
                for _ in range(200):
                    log.note(guard.check("key_1", "203.0.113.9"), path="/" + "y" * 200)
                time.sleep(0.01 if number % 10 else 0.1)
            wait_until(lambda: log.trouble is not None and _more(log, guard), "the disk is full, and drops are counted")
            subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
            assert log.flush(30)
            gaps = log.find(UsageFilter(reason=("lost_disk", "lost_database", "lost_full")))
            lost = sum(count for name, count in log.counts().items() if name.startswith("lost"))
            assert sum(gap.lost or 0 for gap in gaps) == lost
            assert log.count() - len(gaps) == log.counts()["written"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_database_that_is_killed_and_started_again_stops_no_request(tmp_path: Path) -> None:
    guard = peer_guard()
    with Postgres() as server, opened(server.url(), tmp_path, size=1_000) as log:
        for number in range(100):
            log.note(guard.check("key_1", "203.0.113.9"), path=f"/{number}")
        assert log.flush()
        server.kill()
        began = time.monotonic()
        for number in range(100, 10_000):
            log.note(guard.check("key_1", "203.0.113.9"), path=f"/{number}")
        assert time.monotonic() - began < 5
        wait_until(lambda: log.trouble is not None, "the trouble is told")
        log.note(guard.check("key_1", "203.0.113.9"), path="/10000")
        assert log.counts()["lost_database"] + log.counts()["lost_full"] >= 5_000
        server.start()
        assert log.flush(60)
        log.note(guard.check("key_1", "203.0.113.9"), path="/last")
        assert log.flush(60)
        records = log.find(limit=20_000, oldest_first=True)
        gaps = [record for record in records if record.lost]
        paths = [record.path for record in records if not record.lost]
        assert paths == sorted(set(paths), key=paths.index)
        assert paths[:100] == [f"/{number}" for number in range(100)]
        assert paths[-1] == "/last"
        assert len(paths) + sum(gap.lost or 0 for gap in gaps) == 10_002


def test_a_log_starts_while_its_database_is_down(tmp_path: Path) -> None:
    guard = peer_guard()
    with Postgres() as server:
        server.kill()
        with opened(server.url(), tmp_path) as log:
            log.note(guard.check("key_1", "203.0.113.9"))
            assert not log.flush(0.5)
            server.start()
            assert log.flush(60)
            assert log.count() == 1


def test_a_commit_whose_answer_was_lost_is_not_written_twice(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    done, failures = Writer._done, iter([True, False, False, False])

    def fail_once(self: Writer, settled: int) -> None:
        if next(failures, False):
            from cidrmatch.service.usage.errors import UsageUnavailable

            raise UsageUnavailable("the answer was lost")
        done(self, settled)

    monkeypatch.setattr(Writer, "_done", fail_once)
    with opened(log_url, tmp_path) as log:
        for _ in range(10):
            log.note(found)
        assert log.flush()
        assert log.count() == 10
        assert log.counts()["written"] == 10


def test_a_batch_that_the_database_refuses_is_written_off(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    real, is_bad = Writer._insert, [True]

    def refuse(self: Writer, connection: Any, rows: Any) -> None:
        if is_bad[0] and any(len(row) and row[5] == b"/bad" for day in rows.by_day.values() for row in day):
            raise sqlite3.IntegrityError("refused")
        real(self, connection, rows)

    monkeypatch.setattr(Writer, "_insert", refuse)
    with opened(log_url, tmp_path) as log:
        log.note(found, path="/bad")
        assert log.flush()
        log.note(found, path="/good")
        assert log.flush()
        assert [record.path for record in log.find(UsageFilter(key="key_1"))] == ["/good"]
        assert [record.lost for record in log.find(UsageFilter(reason="lost_refused"))] == [1]


def test_a_file_that_is_replaced_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "usage.db"
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{path}") as log:
        log.note(found)
        assert log.flush()
        for name in ("usage.db", "usage.db-wal", "usage.db-shm"):
            (tmp_path / name).rename(tmp_path / f"old-{name}")
        log.note(found)
        assert log.flush()
        assert log.count() == 1
