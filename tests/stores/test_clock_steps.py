"""The wall clock of a machine is set while its follower runs: by libfaketime, in a process of its own.

    test  --- offset.txt: "-1d" ------> libfaketime in the child: every reading of the wall clock is a day earlier
          <-- a line for each look --- {"wall": ..., "age": ..., "stale": false, "203.0.113.9": true, ...}

libfaketime fakes the wall clock alone, as a clock that is set does; the clock since the start of the machine goes on.

Source: C19, C21.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import pytest

from cidrmatch import Condition, Entry, presets
from cidrmatch.service.stores.store import Store
from tests.servers import path_of

HOME, ELSEWHERE, TIMED = "203.0.113.9", "198.51.100.1", "192.0.2.7"
MAX_AGE = 10.0
CHILD = """
import json, select, sys, time
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.store import Store

with StoreFollower(Store(sys.argv[1]), every=0.5, nudges=()) as follower:
    while True:
        version = follower.engine.version
        asked = {name: follower.engine.allows("key", name) for name in sys.argv[2:]}
        if follower.engine.version != version:
            continue  # the answers are of two versions
        print(json.dumps({"wall": time.time(), "age": follower.age, "stale": follower.engine.is_stale,
                          **asked}), flush=True)
        select.select([], [], [], 0.05)  # libfaketime does not take the sleep of CPython
"""


def library() -> str:
    """Give the path of libfaketime for programs with threads; without it, skip, or fail where CI wants it."""
    path_of("faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "faketime is installed without its library"
    return str(found[0])


class Child:
    """A follower in a process whose wall clock the test sets."""

    def __init__(self, url: str, folder: Path) -> None:
        self._offset = folder / "offset.txt"
        self.set_clock("+0")
        faked = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        words = [sys.executable, "-c", CHILD, url, HOME, ELSEWHERE, TIMED]
        self.process = subprocess.Popen(words, env={**os.environ, **faked}, stdout=subprocess.PIPE)
        self._lines: SimpleQueue[dict[str, Any]] = SimpleQueue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def set_clock(self, offset: str) -> None:
        """Set the wall clock, in one step: the file is never half written."""
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(offset)
        fresh.replace(self._offset)

    def read_until(self, is_so: Any, what: str, seconds: float = 60) -> list[dict[str, Any]]:
        """Read lines until one fulfils a condition; every line on the way is checked."""
        deadline, read = time.monotonic() + seconds, []
        while time.monotonic() < deadline:
            with suppress(Empty):
                read.append(self._lines.get(timeout=1))
                if is_so(read[-1]):
                    return read
            assert self.process.poll() is None, "the follower's process ended"
        pytest.fail(f"{what}: not within {seconds} seconds; last was {read[-1:]}")


@contextmanager
def child_of(url: str, folder: Path) -> Iterator[Child]:
    child = Child(url, folder)
    try:
        yield child
    finally:
        child.process.kill()
        child.process.wait(20)
        assert child.process.stdout is not None
        child.process.stdout.close()


def test_C19_C21_a_wall_clock_that_is_set_stops_no_follower_and_opens_nothing(store_url: str, tmp_path: Path) -> None:
    timed = Entry(TIMED, condition=Condition(expires=datetime.now(UTC) + timedelta(hours=1)))
    with closing(Store.create(store_url, policy=presets.bitbybit())) as store, child_of(store_url, tmp_path) as child:
        with store.change() as change:
            change.put_key("key", [HOME, timed])
        child.read_until(lambda line: line[HOME] and line[TIMED], "the first data")
        for offset, is_in_force in (("+1d", False), ("-1d", True), ("+3600d", False), ("+0", True)):
            child.set_clock(offset)
            wanted = time.time() + 86_400 * int(offset.rstrip("d"))

            def is_set(line: dict[str, Any], wanted: float = wanted) -> bool:
                return bool(abs(line["wall"] - wanted) < 3_600)

            child.read_until(is_set, f"the clock at {offset}")
            changed = time.monotonic()
            with store.change() as change:
                change.put_key("key", [ELSEWHERE, timed], replace=True)
            lines = child.read_until(lambda line: line[ELSEWHERE], f"a change after {offset}")
            assert time.monotonic() - changed < MAX_AGE
            with store.change() as change:
                change.put_key("key", [HOME, timed], replace=True)
            lines += child.read_until(lambda line: line[HOME], f"a second change after {offset}")
            assert all(line["age"] < MAX_AGE and not line["stale"] for line in lines), "no step makes data old, or new"
            assert all(line[HOME] != line[ELSEWHERE] for line in lines), "one list or the other, and never everybody"
            assert all(line[TIMED] is is_in_force for line in lines), "conditions go by the wall clock, as it is set"
