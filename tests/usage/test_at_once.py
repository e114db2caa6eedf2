"""A batch that one statement writes is the batch that a transaction writes; if it cannot, nothing is lost or doubled.

    notes --AtOnce--> rows, days, state, session
          --_insert--> the same

Requirements: B25; C16.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cidrmatch.service.usage import at_once
from cidrmatch.service.usage import log as log_module
from cidrmatch.service.usage import writer as writer_module
from cidrmatch.service.usage.at_once import AtOnce
from cidrmatch.service.usage.formatting import packer_for
from cidrmatch.service.usage.log import UsageLog
from cidrmatch.service.usage.writer import Writer
from tests.usage.usage_stand import make_guard, note_random, opened, peer_guard

if TYPE_CHECKING:
    from cidrmatch._keys import PackedNotes

MIDNIGHT = 1_795_046_400.0
assert MIDNIGHT % 86_400 == 0
TABLES = ("usage_words", "usage_days", "usage_keys", "usage_entries", "usage_state")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each try of one statement answered."""
    answers: list[bool] = []
    real = AtOnce.write

    def write(self: AtOnce, part: Any, words: Any) -> bool:
        answers.append(real(self, part, words))
        return answers[-1]

    monkeypatch.setattr(AtOnce, "write", write)
    return answers


def set_clock(monkeypatch: pytest.MonkeyPatch, start: float, step: float) -> None:
    def moments() -> Iterator[float]:
        for number in itertools.count():
            yield start + number * step - (3.5 + number / 100 if number % 7 == 6 else 0)

    monkeypatch.setattr(log_module, "time", moments().__next__)


def content(path: Path) -> dict[str, list[Any]]:
    """Give all rows of a log."""
    with closing(sqlite3.connect(path)) as connection:
        days = [f"usage_{day}" for (day,) in connection.execute("SELECT day FROM usage_days ORDER BY day")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in (*TABLES, *days)}


def write_some(path: Path, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Write batches of a few notes, from the evening to the next day; the clock goes back, more each time."""
    set_clock(monkeypatch, MIDNIGHT - 400, 1.0)
    guard = make_guard()
    with opened(f"sqlite:///{path}") as log:
        for number in range(batches):
            note_random(log, guard, number, 20)
            assert log.flush()


def test_B25_one_statement_writes_what_a_transaction_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[bool]
) -> None:
    write_some(tmp_path / "one.db", monkeypatch, 40)
    assert asked.count(True) > 15
    assert False not in asked
    monkeypatch.setattr(AtOnce, "write", lambda *_: False)
    write_some(tmp_path / "many.db", monkeypatch, 40)
    found = content(tmp_path / "one.db")
    assert found == content(tmp_path / "many.db")
    assert [count for _, count, _ in found["usage_days"]] == [400, 400]
    assert all(lag > 2_000_000 for _, _, lag in found["usage_days"])


def test_two_processes_write_one_log_and_nothing_is_lost_or_doubled(tmp_path: Path, asked: list[bool]) -> None:
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    found = peer_guard().check("key_1", "203.0.113.9")
    chance = random.Random(3)
    with opened(url) as one, opened(url) as other:
        for number in range(60):
            log = one if chance.random() < 0.7 else other
            log.note(found, path=f"/{number}")
            assert log.flush()
        records = one.find(limit=100, oldest_first=True)
        assert [record.path for record in records] == [f"/{number}" for number in range(60)]
        assert len({record.number for record in records}) == 60
        assert sum(one.days().values()) == 60
    assert asked.count(False) >= 2


def test_a_process_that_is_alone_again_writes_in_one_statement_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[bool]
) -> None:
    monkeypatch.setattr(writer_module, "_USES_EVERY", 0.0)
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(url) as one, opened(url) as other:
        for log in (one, one, other):
            log.note(found)
            assert log.flush()
        assert one._writer is not None
        one._writer._next_uses = float("inf")
        one.note(found)
        assert one.flush()
        assert asked.pop() is False  # the other one has written
        one._writer._next_uses = 0.0
        one.note(found)
        assert one.flush()
        one._writer._next_uses = float("inf")
        one.note(found)
        assert one.flush()
        assert asked.pop() is True
        assert one.count() == 6


def test_an_answer_that_was_lost_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement is committed, and the process does not hear of it."""
    real = AtOnce.write
    monkeypatch.setattr(AtOnce, "write", lambda self, part, words: real(self, part, words) and False)
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        for number in range(10):
            log.note(found, path=f"/{number}")
            assert log.flush()
        assert [record.path for record in log.find(oldest_first=True)] == [f"/{number}" for number in range(10)]
        assert log.counts()["written"] == 10


def test_B31_an_alarm_and_the_last_uses_see_a_batch_whose_answer_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AtOnce.write
    guard = peer_guard()
    denied, allowed = guard.check("key_1", "192.0.2.1"), guard.check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        for _ in range(2):
            log.note(denied)
            log.note(allowed)
            assert log.flush()
        assert log._writer is not None
        monkeypatch.setattr(AtOnce, "write", lambda self, part, words: real(self, part, words) and False)
        log._writer._unused, log._writer._next_uses = None, float("inf")
        log.note(denied)
        log.note(allowed)
        assert log.flush()
        assert log.counts()["attempts"] == 3
        assert log.counts()["written"] == 6
        last = log.find(limit=1)[0].time
    log = UsageLog(f"sqlite:///{tmp_path / 'usage.db'}")
    assert log.last_use("key_1").allowed == last
    log.close()


def test_a_session_that_was_deleted_is_written_again(tmp_path: Path, asked: list[bool]) -> None:
    path = tmp_path / "usage.db"
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{path}") as log:
        for _ in range(3):
            log.note(found)
            assert log.flush()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("DELETE FROM usage_sessions")
            log.note(found)
            assert log.flush()
            assert asked.pop() is False
            log.note(found)
            assert log.flush()
            ((started, settled, seen),) = other.execute("SELECT started, settled, seen FROM usage_sessions")
            assert settled == 5
            assert started <= seen <= time.time() * 1e6
        assert log.count() == 5


def test_full_batches_are_written_whole(tmp_path: Path, asked: list[bool]) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        for _ in range(2):
            log.note(found, path="/")
            assert log.flush()
        with log.database.writing():  # the writer waits meanwhile
            for number in range(4_500):
                log.note(found, path=f"/{number}")
        assert log.flush(30)
        days = log.days()
        assert sum(days.values()) == log.count() == 4_502
    assert asked.count(True) >= 2
    rows = [row for name, rows in content(tmp_path / "usage.db").items() if name[6:].isdecimal() for row in rows]
    assert {row[5] for row in rows} == {b"/", *(b"/%d" % number for number in range(4_500))}


def test_rows_that_have_no_number_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[bool]
) -> None:
    monkeypatch.setattr(at_once, "MOST_ROWS", 20)  # so many numbers are made; a batch may have more
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        log.note(found)
        assert log.flush()
        with log.database.writing():
            for _ in range(100):
                log.note(found)
        assert log.flush()
        assert sum(log.days().values()) == log.count() == 101
    assert False in asked


def test_the_writer_goes_on_at_once_if_a_whole_batch_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the test is the writer's thread."""
    run = threading.Event()
    monkeypatch.setattr(Writer, "_run", lambda _: run.wait())
    found = peer_guard().check("key_1", "203.0.113.9")
    log = UsageLog(f"sqlite:///{tmp_path / 'usage.db'}")
    try:
        log.start()
        assert log._writer is not None
        real = log._writer._write

        meanwhile = iter((1, 1_999, 4_000, 0, 0))

        def write(*, with_uses: bool) -> None:
            real(with_uses=with_uses)
            for _ in range(next(meanwhile)):
                log.note(found)

        monkeypatch.setattr(log._writer, "_write", write)
        log.note(found)
        answers = [log._writer._work() for _ in range(5)]
        assert answers == [False, False, True, True, False]
    finally:
        run.set()
        log.close(0.1)


def test_a_file_that_is_replaced_gets_a_trigger_of_its_own(tmp_path: Path, asked: list[bool]) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        log.start()
        assert log._writer is not None
        for _ in range(3):
            log.note(found)
            assert log.flush()
        for path in list(tmp_path.glob("usage.db*")):
            if not path.name.endswith(".noted"):
                path.rename(tmp_path / f"old-{path.name}")
        for _ in range(3):
            log._writer._is_alone = True
            log.note(found)
            assert log.flush()
        assert asked[-1]
        assert log.count() == 3


def test_a_day_that_another_program_dropped_is_made_again(tmp_path: Path) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        for number in range(3):
            log.note(found, path=f"/{number}")
            assert log.flush()
        with closing(sqlite3.connect(tmp_path / "usage.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for day in log.days():
                other.execute(f"DROP TABLE usage_{day}")
                other.execute("DELETE FROM usage_days WHERE day = ?", (day,))
            other.execute("COMMIT")
        for number in range(3, 6):
            log.note(found, path=f"/{number}")
            assert log.flush(30)
        assert [record.path for record in log.find(oldest_first=True)] == ["/3", "/4", "/5"]


def test_a_word_that_is_new_is_written_in_a_transaction(tmp_path: Path, asked: list[bool]) -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    methods, tries = ("GET", "GET", "PUT", "PUT", "GET"), []
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        log.start()
        assert log._writer is not None
        log._writer._next_uses = float("inf")
        for method in methods:
            before = len(asked)
            log.note(found, method=method)
            assert log.flush()
            tries.append(len(asked) - before)
        assert tuple(record.method for record in log.find(oldest_first=True)) == methods
    assert tries == [0, 1, 0, 1, 1]


def test_a_few_notes_wait_for_others_and_a_batch_does_not() -> None:
    """The writer would take the lock of the interpreter again and again for a few notes each."""
    found = peer_guard().check("key_1", "203.0.113.9")
    for size, enough in ((1, 1), (10, 6), (100_000, 2_000)):
        packer = packer_for(size, None)
        answers = [packer.put(MIDNIGHT, found, None, None, None, None, None, None, None) for _ in range(enough)]
        assert answers == [0] * (enough - 1) + [1]
        assert (packer.enough, packer.waiting) == (enough, enough)


def test_the_memory_of_a_spent_batch_is_used_again() -> None:
    found = peer_guard().check("key_1", "203.0.113.9")
    packer = packer_for(10_000, None)
    spent: PackedNotes | None = None
    for number in range(5):
        for each in range(3_000):
            packer.put(MIDNIGHT, found, "GET", f"/{number}/{each}", 200, None, None, None, None)
        for first, count in ((0, 2_000), (2_000, 1_000)):
            batch = packer.take(spent)
            assert batch is not None
            assert batch.count == count
            ((_, _, _, _, data),) = batch.parts(0, [1], [1], [1], as_copy=False)
            assert data.endswith(f"/{number}/{first + count - 1}".encode())
            spent = batch
        assert packer.take(spent) is None
        assert spent is not None
        assert (spent.count, spent.moments) == (0, (0.0, 0.0))
        spent = None


def test_a_log_that_only_answers_has_no_trigger(tmp_path: Path, asked: list[bool]) -> None:
    log = UsageLog(f"sqlite:///{tmp_path / 'usage.db'}")
    assert log.count() == 0
    log.close()
    assert asked == []
