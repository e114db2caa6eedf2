"""A batch that one statement writes is the batch that a transaction writes; if it cannot, nothing is lost or doubled.

    notes --AtOnce--> rows, days, last uses, sessions
          --_insert--> the same

Requirements: B25; C16.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cidrmatch.service.usage import log as log_module
from cidrmatch.service.usage import writer as writer_module
from cidrmatch.service.usage.at_once import AtOnce
from cidrmatch.service.usage.formatting import packer_for
from cidrmatch.service.usage.log import UsageLog
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
        now = start
        while True:
            yield now
            now += step

    monkeypatch.setattr(log_module, "time", moments().__next__)


def content(path: Path) -> dict[str, list[Any]]:
    """Give all rows of a log."""
    with closing(sqlite3.connect(path)) as connection:
        days = [f"usage_{day}" for (day,) in connection.execute("SELECT day FROM usage_days ORDER BY day")]
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in (*TABLES, *days)}


def write_some(path: Path, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Write batches of a few notes, from the evening to the next day."""
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
