"""What the usage log costs, and what it answers: `python -m benchmarks.usage [--records N] [PART...]`.

    filters   the slowest page of filters by key and status, on `--records` records of ten days
    export    CSV, JSON Lines and Parquet of a million records, or `--records`: rows a second, and the growth of memory
    drop      a day of these records dropped, and as many deleted
    checks    checks a second of a thread that computes, with and without 10,000 notes a second, by turns
    writing   how many records a second are written beside such a thread, and without one

The first three come first: records of the past get numbers of today behind those of today.

The log is a file of SQLite in a temporary folder; `--url` names another database, which should be empty.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from cidrmatch import Engine, Entry, presets
from cidrmatch.client import TrustedProxies
from cidrmatch.gateways.guard import Guard
from cidrmatch.service.usage.filters import UsageFilter
from cidrmatch.service.usage.log import UsageLog
from cidrmatch.service.usage.schema import drop_day, table_of

KEYS = 10_000
RATE = 10_000
SLICE_SECONDS = 1.0
PAIRS = 12


def make_guard() -> Guard:
    engine = Engine(presets.bitbybit())
    entry = Entry("203.0.113.0/24", "office")
    engine.put_keys({f"key_live_{number:05}": [entry, Entry("198.51.100.7")] for number in range(KEYS)})
    return Guard(engine, TrustedProxies(["10.0.0.0/8"]))


def make_requests(count: int) -> list[tuple[str, list[tuple[bytes, bytes]]]]:
    chance = random.Random(1)
    requests = []
    for _ in range(count):
        key = f"key_live_{min(int(chance.expovariate(0.001)), KEYS - 1):05}"
        outside = chance.random() < 0.05
        address = f"192.0.2.{chance.randrange(256)}" if outside else f"203.0.113.{chance.randrange(256)}"
        requests.append((key, [(b"x-forwarded-for", address.encode())]))
    return requests


class Load:
    """A thread that checks, flat out; of its checks, so many a second are noted."""

    def __init__(self, log: UsageLog | None) -> None:
        self.log = log
        self.guard = make_guard()
        self.requests = make_requests(20_000)

    def run(self, seconds: float, rate: float) -> tuple[float, int]:
        """Check for some seconds; give checks a second, and how many were noted."""
        check, requests, log = self.guard.check, self.requests, self.log
        checks = noted = 0
        began = now = time.perf_counter()
        while now < began + seconds:
            for key, headers in requests[checks % 20_000 : checks % 20_000 + 100]:
                found = check(key, "10.0.0.7", headers)
            checks += 100
            now = time.perf_counter()
            due = int((now - began) * rate) - noted
            for _ in range(due):
                assert log is not None
                log.note(found, method="GET", path=f"/v1/orders/{checks}", status=200, request_id="7f", seconds=0.001)
            noted += due
        return checks / (now - began), noted


def bench_checks(log: UsageLog) -> None:
    load = Load(log)
    load.run(1, RATE)
    ratios, rates = [], []
    noted = 0
    for pair in range(PAIRS):
        found = {}
        for logs in (True, False) if pair % 2 else (False, True):
            assert log.flush(60)
            found[logs], count = load.run(SLICE_SECONDS, RATE if logs else 0)
            noted += count
        ratios.append(found[True] / found[False])
        rates.append(found[False])
    assert log.flush(60)
    counts = log.counts()
    lost = sum(count for name, count in counts.items() if name.startswith("lost"))
    fewer = [f"{100 * (1 - ratio):.1f} %" for ratio in (statistics.median(ratios), max(ratios), min(ratios))]
    print(f"checks alone: {statistics.median(rates):,.0f} a second")
    print(f"with {RATE:,} notes a second: {fewer[0]} fewer, from {fewer[1]} to {fewer[2]}")
    print(f"noted {noted:,} in these slices; lost {lost:,}")


def bench_writing(log: UsageLog) -> None:
    load = Load(log)
    found = load.guard.check("key_live_00001", "10.0.0.7", [(b"x-forwarded-for", b"203.0.113.9")])
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            load.guard.check("key_live_00001", "10.0.0.7")

    beside = threading.Thread(target=compute)
    for total, where in ((200_000, "alone"), (20_000, "beside a thread that computes")):
        if total == 20_000:
            beside.start()
        before, began = log.count(), time.perf_counter()
        for number in range(total):
            log.note(found, method="GET", path=f"/v1/orders/{number}", status=200, request_id="7f", seconds=0.001)
        assert log.flush(300)
        took = time.perf_counter() - began
        assert log.count() - before == total
        print(f"written {where}: {total / took:,.0f} records a second")
    stop.set()
    beside.join()


def fill(log: UsageLog, records: int) -> None:
    """Note so many records, as if they had come in the last ten days."""
    load = Load(log)
    chance = random.Random(2)
    start, step = time.time() - 10 * 86_400, 10 * 86_400 / records
    moments = (start + number * step for number in range(records))
    with mock.patch("cidrmatch.service.usage.log.time", moments.__next__):
        decisions = [load.guard.check(key, "10.0.0.7", headers) for key, headers in load.requests]
        for number in range(records):
            found = decisions[number % 20_000]
            status = 403 if not found.allowed else 200 if number % 1_000 else chance.choice((201, 404, 500, 503))
            method = "GET" if number % 7 else "POST" if number % 49 else "DELETE"
            log.note(found, method=method, path=f"/v1/orders/{number}", status=status, request_id="7f", seconds=0.001)
    assert log.flush(600)


def bench_filters(log: UsageLog, records: int) -> None:
    began = time.perf_counter()
    fill(log, records)
    took = time.perf_counter() - began
    print(f"{log.count():,} records of {len(log.days())} days, made in {took:,.0f} s")
    size = log.database.size_bytes(map(table_of, log.days()))
    print(f"{size / records:.0f} bytes a record with its indexes")
    first = log.sums("key", limit=1)[0].value
    rare = next(each.value for each in reversed(log.sums("key")))
    questions: dict[str, dict[str, Any]] = {
        "no filter": {},
        "a frequent key": {"key": first},
        "a rare key": {"key": rare},
        "an unknown key": {"key": "nobody"},
        "status 403": {"status": 403},
        "status 500": {"status": 500},
        "a status that is not there": {"status": 418},
        "a frequent key, 403": {"key": first, "status": 403},
        "a frequent key, 500": {"key": first, "status": 500},
        "a frequent key, DELETE, 503": {"key": first, "status": 503, "method": "DELETE"},
        "a rare key, 403": {"key": rare, "status": 403},
        "an unknown key, 403": {"key": "nobody", "status": 403},
        "blocked": {"blocked": True},
        "DELETE": {"method": "DELETE"},
    }
    slowest = 0.0
    for name, words in questions.items():
        wanted = UsageFilter(**words)
        times, found = [], 0
        for _ in range(5):
            began = time.perf_counter()
            page = log.find(wanted)
            deep = log.find(wanted, after=page[-1].number) if page else []
            times.append((time.perf_counter() - began) / (2 if page else 1))
            found = len(page) + len(deep)
        began = time.perf_counter()
        count = log.count(wanted)
        counted = time.perf_counter() - began
        slowest = max(slowest, *times)
        page_ms = f"{1e3 * statistics.median(times):6.1f} ms, worst {1e3 * max(times):6.1f}"
        print(f"{name:32} page {page_ms}   count {count:>10,} {1e3 * counted:8.1f} ms  ({found})")
    print(f"slowest page: {1e3 * slowest:.1f} ms")


def bench_export(log: UsageLog, rows: int) -> None:
    if log.count() < rows:
        fill(log, rows)
    forms: tuple[Literal["csv", "jsonl", "parquet"], ...] = ("csv", "jsonl", "parquet")
    done: list[int] = []
    for form in forms:
        done.clear()
        peaks = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024] * 2
        began, size = time.perf_counter(), 0
        for chunk in log.export(format=form, progress=done.append):
            size += len(chunk)
            if done and done[-1] < rows // 10:
                peaks[1] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            if done and done[-1] >= rows:
                break
        speed = done[-1] / (time.perf_counter() - began)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        first, rest = (after - before for before, after in pairwise(peaks))
        print(f"{form:8} {done[-1]:,} rows: {speed:,.0f} a second, {size / 1e6:,.0f} MB; memory grew by {first:.0f} MB")
        print(f"         in the first tenth of the rows, and by {rest:.0f} MB in the others")


def bench_drop(log: UsageLog) -> None:
    if log.count() < 1_000_000:
        fill(log, 2_000_000)
    days = sorted(log.days().items(), key=lambda each: -each[1])[:2]
    (one, many), (other, as_many) = days

    def timed(what: str, count: int, do: Callable[[Any], object]) -> None:
        began = time.perf_counter()
        with log.database.writing() as connection:
            do(connection)
        print(f"{what} {count:,} records: {time.perf_counter() - began:.3f} s")

    timed("deleted", many, lambda connection: connection.run(f"DELETE FROM {table_of(one)} WHERE number % 1000 <> 7"))
    timed("dropped", as_many, lambda connection: drop_day(connection, other))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--url", help="an empty database; by default a file of SQLite")
    parser.add_argument("parts", nargs="*", default=["filters", "export", "drop", "checks", "writing"])
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="usage-") as folder:
        url = words.url or f"sqlite:///{Path(folder) / 'usage.db'}"
        log = UsageLog(url, counters=folder, when_full="block", patience=600)
        parts: dict[str, Callable[[], None]] = {
            "checks": lambda: bench_checks(log),
            "writing": lambda: bench_writing(log),
            "filters": lambda: bench_filters(log, words.records),
            "export": lambda: bench_export(log, min(words.records, 1_000_000)),
            "drop": lambda: bench_drop(log),
        }
        for part in words.parts:
            print(f"-- {part}", flush=True)
            parts[part]()
        log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
