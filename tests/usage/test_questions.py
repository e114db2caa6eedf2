"""Find, count, sums and last uses are what a slow twin says, on both databases; pages are stable; indexes are used.

Requirements: B26, B29.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cidrmatch import AllowList
from cidrmatch.advice.lint import lint
from cidrmatch.advice.replay import replay
from cidrmatch.service.usage.errors import UsageError
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.masks import Mask
from tests.usage.usage_stand import METHODS, PATHS, Twin, make_engine, make_guard, note_random, opened, peer_guard

if TYPE_CHECKING:
    from cidrmatch.service.usage.log import UsageLog

BIG_LIST = AllowList([f"203.0.113.{number}" for number in range(0, 256, 2)] + ["2001:db8:1::/64"])
WITHIN: list[Any] = ["203.0.113.0/24", "203.0.113.9", "2001:db8::/32", "::ffff:203.0.113.0/120", "0.0.0.0/0", "::/0",
                     AllowList(["198.51.100.0/24", "2001:db8::/48"]), AllowList([]), BIG_LIST]  # fmt: skip


@pytest.fixture
def filled(log_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[UsageLog, Twin]]:
    """Give a log with records of three days, some out of order in time, and its twin."""
    guard = make_guard()
    clock = {"at": 1_794_960_000.0 - 40}
    chance = random.Random(7)

    def tick() -> float:
        clock["at"] += chance.choice((0, 0.001, 0.5, 100, 3_000)) if chance.random() > 0.02 else -1_000
        return clock["at"]

    monkeypatch.setattr("cidrmatch.service.usage.log.time", tick)
    with opened(log_url, tmp_path) as log:
        note_random(log, guard, seed=1, count=300)
        assert log.flush()
        yield log, Twin(log.find(limit=1_000))


def random_filter(chance: random.Random, twin: Twin) -> UsageFilter:
    times = [record.time for record in twin.records]
    choices: dict[str, Any] = {
        "key": lambda: chance.choice(("key_1", "key_2", "key_3", "nobody", "other")),
        "method": lambda: chance.choice((*METHODS, ("GET", "DELETE"), "PATCH")),
        "status": lambda: chance.choice((200, 403, (200, 404), 599)),
        "allowed": lambda: chance.random() < 0.5,
        "blocked": lambda: chance.random() < 0.5,
        "reason": lambda: chance.choice(("matched", "ip_not_listed", ("no_key", "not_asked"))),
        "since": lambda: chance.choice(times),
        "until": lambda: chance.choice(times),
        "within": lambda: chance.choice(WITHIN),
        "path": lambda: chance.choice(PATHS),
        "path_prefix": lambda: chance.choice(("/v1", "", "/v1/\xff", "/v1/%")),
        "request_id": lambda: f"r{chance.randrange(300)}",
    }
    names = chance.sample(sorted(choices), chance.choice((0, 1, 1, 2, 2, 3)))
    return UsageFilter(**{name: choices[name]() for name in names})


def test_B26_B29_random_filters_find_and_count_what_a_slow_twin_does(filled: tuple[UsageLog, Twin]) -> None:
    log, twin = filled
    assert len(twin.records) == 300
    assert len({int(record.time // 86_400) for record in twin.records}) >= 3
    found_any = 0
    for seed in range(250):
        chance = random.Random(seed)
        wanted = random_filter(chance, twin)
        expected = twin.matching(wanted)
        assert log.find(wanted, limit=1_000) == expected, wanted
        assert log.find(wanted, limit=1_000, oldest_first=True) == expected[::-1], wanted
        assert log.count(wanted) == len(expected), wanted
        assert [record for record in twin.records if wanted.takes(record)] == expected, wanted
        by: Any = chance.choice(("key", "address", "reason", "hour", "method", "status", "path"))
        sums = log.sums(by, wanted)
        assert {each.value: (each.requests, each.blocked) for each in sums} == twin.sums(by, wanted), (by, wanted)
        assert sums[:3] == log.sums(by, wanted, limit=3)
        found_any += bool(expected)
    assert found_any > 100


def test_pages_in_both_directions_are_the_whole(filled: tuple[UsageLog, Twin]) -> None:
    log, twin = filled
    for wanted in (UsageFilter(), UsageFilter(key="key_1", allowed=True), UsageFilter(within=BIG_LIST)):
        expected = twin.matching(wanted)
        for oldest_first in (False, True):
            found, after = [], None
            while page := log.find(wanted, after=after, limit=7, oldest_first=oldest_first):
                assert len(page) <= 7
                found += page
                after = page[-1].number
            assert found == (expected[::-1] if oldest_first else expected)
        rows = [row[0] for page in log.pages(wanted, size=11) for row in page]
        assert rows == [record.number for record in reversed(expected)]


def test_a_page_is_not_moved_by_records_that_arrive(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path) as log:
        for number in range(20):
            log.note(guard.check("key_1", "203.0.113.9"), path=f"/{number}")
        assert log.flush()
        first = log.find(limit=10)
        for number in range(20, 40):
            log.note(guard.check("key_1", "203.0.113.9"), path=f"/{number}")
        assert log.flush()
        second = log.find(limit=10, after=first[-1].number)
        assert [record.path for record in first + second] == [f"/{number}" for number in range(19, -1, -1)]
        newer = log.find(after=first[0].number, oldest_first=True)
        assert [record.path for record in newer] == [f"/{number}" for number in range(20, 40)]


def test_last_uses_are_those_of_the_records(filled: tuple[UsageLog, Twin]) -> None:
    log, twin = filled
    assert log.close()  # writes them at once
    for key in ("key_1", "key_2", "key_3", "nobody"):
        seen = [record for record in twin.records if record.key == key]
        allowed = [record.time for record in seen if record.allowed]
        use = log.last_use(key)
        assert use.seen == pytest.approx(seen[0].time) or use.seen == max(record.time for record in seen)
        assert (use.allowed is None) == (not allowed)
        assert log.last_uses()[key] == use
    assert log.last_use("other") == (None, None)
    uses = log.entry_uses()
    assert set(uses) == {
        (None if record.list else record.key, record.list, record.entry) for record in twin.records if record.entry
    }
    assert (None, "partners", "2001:db8::/48") in uses


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"key": 5}, TypeError, "key is a str"),
        ({"status": "403"}, TypeError, "status is a int"),
        ({"status": True}, TypeError, "status is a int"),
        ({"status": 99}, ValueError, "from 100 to 999"),
        ({"allowed": 1}, TypeError, "allowed is a bool"),
        ({"method": 3}, TypeError, "method is a str"),
        ({"since": "yesterday"}, TypeError, "since is seconds"),
        ({"since": datetime(2026, 1, 1)}, ValueError, "no time zone"),
        ({"until": float("nan")}, ValueError, "none of our time"),
        ({"within": "10.0.0.0/99"}, ValueError, "not a prefix"),
        ({"within": "10.0.0.1/8"}, ValueError, "not a prefix"),
        ({"within": None, "path": b"/"}, TypeError, "path is a str"),
    ],
)
def test_a_bad_value_of_a_filter_is_refused(words: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        UsageFilter(**words)


def test_bad_questions_are_refused(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'usage.db'}") as log:
        with pytest.raises(ValueError, match="limit is"):
            log.find(limit=0)
        with pytest.raises(TypeError, match="after is"):
            log.find(after="5")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="by is 'key'"):
            log.sums("colour")  # type: ignore[arg-type]


def test_moments_may_have_any_time_zone() -> None:
    moment = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    there = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    seconds = moment.timestamp()
    made = [UsageFilter(since=since).conditions(None).since for since in (moment, there, seconds)]
    assert made == [int(seconds * 1e6)] * 3


def test_B26_a_filter_by_key_and_status_uses_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "usage.db"
    with opened(f"sqlite:///{path}") as log:
        note_random(log, make_guard(), seed=1, count=200)
        assert log.flush()
        plans: list[str] = []
        connection = sqlite3.connect(path)
        real = log.database.reading

        class Spy:
            def __init__(self) -> None:
                self._transaction: Any = real()

            def __enter__(self) -> Any:
                cursor: Any = self._transaction.__enter__()
                ask = cursor.rows

                def rows(statement: str, values: Any = ()) -> Any:
                    if "lag, key" in statement or "count(*)" in statement:
                        plans.extend(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values))
                    return ask(statement, values)

                cursor.rows = rows
                return cursor

            def __exit__(self, *error: object) -> None:
                self._transaction.__exit__(*error)

        monkeypatch.setattr(log.database, "reading", Spy)
        questions = {
            UsageFilter(key="key_1"): "by_key (key=? AND kind=?",
            UsageFilter(key="key_1", status=403, method="GET"): "by_key (key=? AND kind=?",
            UsageFilter(status=403, since=1.0): "by_kind (kind=?",
        }
        for wanted, index in questions.items():
            plans.clear()
            log.find(wanted)
            assert any(index in plan for plan in plans), plans
            assert not any("SCAN" in plan or "TEMP B-TREE" in plan for plan in plans), plans
        plans.clear()
        log.count(UsageFilter(key="key_1", status=403))
        assert all("COVERING INDEX" in plan for plan in plans if "usage_2" in plan), plans
        connection.close()


def test_a_key_with_more_kinds_than_sqlite_has_arms_is_found(log_url: str, tmp_path: Path) -> None:
    guard = peer_guard()
    with opened(log_url, tmp_path) as log:
        for status in range(100, 600):
            log.note(guard.check("key_1", "203.0.113.9"), status=status)
        assert log.flush()
        assert [record.status for record in log.find(UsageFilter(key="key_1"), limit=3)] == [599, 598, 597]
        found = log.find(UsageFilter(status=range(100, 590)), limit=1_000, oldest_first=True)
        assert [record.status for record in found] == list(range(100, 590))


def test_lint_names_the_entries_that_the_log_says_nobody_needs(log_url: str, tmp_path: Path) -> None:
    engine = make_engine()
    guard = make_guard(engine)
    since = datetime.now(UTC) - timedelta(days=30)
    with opened(log_url, tmp_path) as log:
        log.note(guard.check("key_1", "203.0.113.9"))
        log.note(guard.check("key_1", "192.0.2.1"))
        assert log.close()
        findings = lint(engine, uses=log.entry_uses(), unused_since=since)
    unused = {(finding.kind, finding.name, finding.entry) for finding in findings if finding.code == "not_used_lately"}
    assert unused == {("key", "key_1", "198.51.100.1/32"), ("list", "partners", "2001:db8::/48")}


def test_a_replay_of_the_log_finds_whom_a_list_would_block(log_url: str, tmp_path: Path) -> None:
    guard = make_guard()
    with opened(log_url, tmp_path) as log:
        for address in ("203.0.113.9", "203.0.113.9", "198.51.100.1", "192.0.2.1"):
            log.note(guard.check("key_1", address), method="GET", path="/")
        log.note(guard.check(None, "203.0.113.9"))
        assert log.flush()
        report = replay(log.recorded(), after=AllowList(["203.0.113.0/24"]))
        assert report.newly_blocked.requests == 1
        assert report.newly_allowed.requests == 0
    with opened(log_url, tmp_path, mask=Mask()) as log:
        log.note(guard.check("key_1", "203.0.113.9"))
        assert log.flush()
        with pytest.raises(UsageError, match="is masked"):
            list(log.recorded())
