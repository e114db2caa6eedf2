"""What goes wrong loses as little as can be, says how much, and never stops a request.

A process that is killed, again and again; a disk that is full; a database that is killed and started again.

Requirements: B25.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cidrmatch.service.usage import sessions
from cidrmatch.service.usage.at_once import AtOnce
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.log import UsageLog
from cidrmatch.service.usage.writer import Writer
from tests.databases import Postgres, wait_until
from tests.servers import ROOT
from tests.usage.usage_stand import opened, peer_guard

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


def test_a_note_that_the_database_refuses_is_lost_alone(
    log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    real = Writer._insert

    def refuse(self: Writer, connection: Any, batch: Any, last: int) -> int:
        end = real(self, connection, batch, last)
        if any(b"/bad" in part.data for part in self._formatter.parts(connection, "sqlite", batch, last)):
            raise sqlite3.IntegrityError("refused")
        return end

    monkeypatch.setattr(Writer, "_insert", refuse)
    monkeypatch.setattr(AtOnce, "write", lambda *_: False)  # it does not ask `refuse`
    with opened(log_url, tmp_path) as log:
        with log.database.writing():  # so that all of them are one batch
            for number in range(100):
                log.note(found, path=f"/bad/{number}" if number in (0, 57, 58) else f"/good/{number}")
            time.sleep(0.3)
        assert log.flush(30)
        good = [number for number in range(100) if number not in (0, 57, 58)]
        records = log.find(UsageFilter(key="key_1"), limit=200, oldest_first=True)
        assert [record.path for record in records] == [f"/good/{number}" for number in good]
        assert sum(record.lost or 0 for record in log.find(UsageFilter(reason="lost_refused"))) == 3
        assert log.counts()["lost_refused"] == 3
        assert log.counts()["written"] == 97
        assert log.close()
        assert log.last_use("key_1").allowed == records[-1].time


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


def test_a_backup_in_the_place_of_a_file_gets_the_last_uses(tmp_path: Path) -> None:
    """What the process has settled is more than the backup knows of."""
    file, backup = tmp_path / "usage.db", tmp_path / "backup.db"
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{file}") as log:
        log.note(found)
        assert log.flush()
        with closing(sqlite3.connect(file)) as there, closing(sqlite3.connect(backup)) as kept:
            there.backup(kept)
        log.note(found)
        assert log.flush()
        assert log._writer is not None
        log._writer._next_uses = float("inf")  # the last uses are written at the end
        for name in ("usage.db-wal", "usage.db-shm"):
            (tmp_path / name).rename(tmp_path / f"old-{name}")
        backup.replace(file)
        log.note(found)
        assert log.flush()
        last = log.find(limit=1)[0].time
    log = UsageLog(f"sqlite:///{file}")
    assert log.last_use("key_1").allowed == last
    log.close()


def test_a_backup_in_the_place_of_a_file_gives_no_record_the_words_of_another(tmp_path: Path) -> None:
    """The backup has fewer words.  Another process gives their ids to other words, and the first one goes on."""
    file, backup = tmp_path / "usage.db", tmp_path / "backup.db"
    guard = peer_guard()
    allowed, denied = guard.check("key_1", "203.0.113.9"), guard.check("key_1", "198.51.100.99")
    with opened(f"sqlite:///{file}") as log:
        log.note(allowed, method="GET", status=200)
        assert log.flush()
        with sqlite3.connect(file) as there, sqlite3.connect(backup) as kept:
            there.backup(kept)
        for status in (403, 401):
            log.note(denied, method="GET", status=status)
        assert log.flush()
        assert [record.status for record in log.find()] == [401, 403, 200], "this reader knows the words, too"
        for suffix in ("-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        backup.replace(file)
        with opened(f"sqlite:///{file}") as other:
            other.note(allowed, method="POST", status=201)
            assert other.flush()
        log.note(denied, method="GET", status=403)
        assert log.flush()
        wanted = [("GET", 403, False), ("POST", 201, True), ("GET", 200, True)]
        with opened(f"sqlite:///{file}") as reader:
            for each in (reader, log):
                assert [(record.method, record.status, record.allowed) for record in each.find()] == wanted


def test_what_others_put_among_the_counters_keeps_no_log_waiting(tmp_path: Path) -> None:
    """The folder for temporary files is everybody's: a pipe, a link and a file of another user have names of ours."""
    file = tmp_path / "usage.db"
    numbers = struct.pack("QQ", 2**64 - 1, 0)
    os.mkfifo(f"{file}-{'0' * 16}.noted")
    target = tmp_path / "target"
    target.write_bytes(numbers)
    Path(f"{file}-{'1' * 16}.noted").symlink_to(target)
    if os.geteuid() == 0:
        stranger = Path(f"{file}-{'2' * 16}.noted")
        stranger.write_bytes(numbers)
        os.chown(stranger, 65_534, 65_534)
    with opened(f"sqlite:///{file}") as log:
        log.note(peer_guard().check("key_1", "203.0.113.9"))
        assert log.flush(5)
        assert [record.reason for record in log.find()] == ["matched"]
    assert len(list(tmp_path.glob("*.noted"))) == 2 + (os.geteuid() == 0), "they are left alone"


def test_a_log_that_cannot_be_written_is_closed_in_time(tmp_path: Path) -> None:
    file = tmp_path / "usage.db"
    found = peer_guard().check("key_1", "203.0.113.9")
    log = UsageLog(f"sqlite:///{file}")
    log.note(found)
    assert log.flush()
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.note(found)
        time.sleep(0.3)
        began = time.monotonic()
        assert not log.close(timeout=0.2)
        assert time.monotonic() - began < 10, "SQLite waits for a lock for half a minute"
        other.execute("ROLLBACK")
    wait_until(lambda: not any(each.name == "cidrmatch-usage" for each in threading.enumerate()), "the thread ends")
    log.database.close()


def test_a_forked_child_does_not_hold_the_counter_of_its_parent(tmp_path: Path) -> None:
    """Else nobody would be told of a killed parent's records while its children live."""
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        log.note(peer_guard().check("key_1", "203.0.113.9"))
        assert log.flush()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            links = [os.readlink(f"/proc/self/fd/{file}") for file in os.listdir("/proc/self/fd") if _is_open(file)]
            os.write(write, b"yes" if any(link.endswith(".noted") for link in links) else b"no")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 10) == b"no"
        os.close(read)
        os.close(write)
        log.note(peer_guard().check("key_1", "203.0.113.9"))
        assert log.flush(), "the parent goes on"


def _is_open(file: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{file}")


def test_a_counter_is_no_hole_in_its_file(tmp_path: Path) -> None:
    """A hole is filled when it is written through the map; where the disk is full then, the process gets SIGBUS."""
    file = sessions._make(str(tmp_path / "usage.db-1.noted"))
    try:
        assert os.lseek(file, 0, os.SEEK_DATA) == 0
    finally:
        os.close(file)


def test_notes_that_find_no_room_for_a_counter_are_counted_and_told_later(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}", folder) as log:
        log.note(found)
        log.note(found)
        assert log.counts()["lost_disk"] == 2
        folder.mkdir()
        log.note(found)
        assert log.flush()
        assert sorted((record.reason, record.lost) for record in log.find()) == [("lost_disk", 2), ("matched", None)]
    assert list(folder.glob("*.noted")) == [], "nothing is missing at the end"


def test_C26_trouble_with_postgresql_quotes_no_row(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """PostgreSQL says in its CONTEXT which row it could not take, with the key, the address and the path."""
    found = peer_guard().check("key_1", "203.0.113.9")
    with Postgres() as server:
        url = server.url(server.create_database())
        with opened(url, tmp_path) as log:
            log.note(found)
            assert log.flush()
            for code in ("53100", "23514"):  # the disk is full; a row breaks a rule
                with log.database.writing() as connection:
                    connection.run(
                        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                        f" $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{code}'; END $$"
                    )
                    connection.run(
                        "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON usage FOR EACH ROW EXECUTE FUNCTION refuse()"
                    )
                log.note(found)
                wait_until(lambda: log.trouble is not None, "the trouble is known")
                with log.database.writing() as connection:
                    connection.run("DROP TRIGGER refuse ON usage")
                assert log.flush(20)
    assert "no room" in caplog.text
    assert "COPY" not in caplog.text
    assert b"key_1".hex() not in caplog.text
