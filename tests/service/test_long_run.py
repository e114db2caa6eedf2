"""The server for long: swaps by the thousand, connections by the ten thousand, memory over an hour of load.

    make long                                     all of it; the hour is an hour
    CIDRMATCH_LOAD_SECONDS=600 ... -k memory      a shorter hour

Requirements: B11, C19, C23.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from cidrmatch import Engine
from tests.servers import connect
from tests.service.serving import HOME, Server, serving
from tests.service.test_server import AT_AWAY, AT_HOME, under_load, workers_of

pytestmark = pytest.mark.long


def resident(server: Server) -> int:
    """Bytes in memory of all workers."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in workers_of(server)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def test_C19_a_thousand_swaps_under_load(tmp_path: Path) -> None:
    """Each swap is a change of another key; the answers about key_1 stay the same."""
    with serving(tmp_path, "--workers=2") as server:
        with under_load(server) as load:
            for number in range(1_000):
                with Engine.edit(server.snapshot) as engine:
                    engine.put_key(f"swap {number % 50}", [f"192.0.2.{number % 256}"], replace=True)
        answers = sum(len(thread.statuses) for thread in load)
        print(f"\n1,000 swaps, {answers:,} answers")
        assert {status for thread in load for status in thread.statuses} == {b"204"}
        assert sum(thread.lost for thread in load) == 0
        assert server.ask("key_1", AT_AWAY).status == 403


def test_C23_ten_thousand_idle_connections(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip(f"this machine allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with serving(tmp_path) as server, ExitStack() as idle:
            before = resident(server)
            for _ in range(10_000):
                idle.enter_context(connect(server.target))
            assert {server.ask("key_1", AT_HOME).status for _ in range(50)} == {204}
            grown = resident(server) - before
            print(f"\n10,000 idle connections: {grown / 2**20:.1f} MiB more")
            assert grown < 400 * 2**20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_memory_is_flat_over_an_hour_of_load(tmp_path: Path) -> None:
    seconds = float(os.environ.get("CIDRMATCH_LOAD_SECONDS", "3600"))
    with serving(tmp_path, "--workers=2") as server:
        with under_load(server) as load:
            seen: list[int] = []
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(seconds / 60)
                seen.append(resident(server))
                with Engine.edit(server.snapshot) as engine:
                    engine.put_key("key_2", [HOME], replace=True)
        early, late = statistics.median(seen[10:20]), statistics.median(seen[-10:])
        answers = sum(len(thread.statuses) for thread in load)
        print(f"\n{seconds:.0f} s, {answers:,} answers: {early / 2**20:.1f} MiB early, {late / 2**20:.1f} MiB late")
        assert late < 1.02 * early + 2 * 2**20
