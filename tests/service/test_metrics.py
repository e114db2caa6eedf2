"""The page of metrics, without a server.

Requirements: C26 (no key and no address is told).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT

PROGRAM = """
import asyncio, sys
from pathlib import Path
from cidrmatch import Engine
from cidrmatch.service.server.metrics import Metrics

folder = Path(sys.argv[1])
metrics = Metrics(Engine())
starting = folder / "counter_1.db"
starting.write_bytes(b"")

async def ask():
    page = asyncio.create_task(metrics.page())
    await asyncio.sleep(0.1)
    assert not page.done()
    starting.unlink()
    return await page

print(asyncio.run(ask()).decode())
"""


def test_page_waits_for_a_worker_whose_file_has_no_header_yet(tmp_path: Path) -> None:
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "cidrmatch_data_age_seconds" in said.stdout


COUNTED = """
import asyncio, sys
from cidrmatch import Engine, presets
from cidrmatch.client import PeerAddress
from cidrmatch.gateways.guard import Guard
from cidrmatch.service.server.metrics import Metrics

engine = Engine(presets.bitbybit())
engine.put_key("key_1", ["203.0.113.0/24"])
guard, metrics = Guard(engine, PeerAddress()), Metrics(engine)
for key, peer, seconds in (
    ("key_1", "203.0.113.9", 5e-6), ("key_1", "203.0.113.9", 6e-6), ("key_1", "198.51.100.1", 0.0),
    ("other", "203.0.113.9", 1.0), (None, "203.0.113.9", 7.0),
):
    metrics.note(guard.check(key, peer), seconds)
print(asyncio.run(metrics.page()).decode())
"""


def page_of(**more: str) -> set[str]:
    """Give the lines of a page, without what depends on the process or the moment."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **more}
    words = [sys.executable, "-c", COUNTED]
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    return {line for line in said.stdout.splitlines() if line and not line.startswith("#") and "_created" not in line}


def test_one_worker_counts_in_memory_what_several_count_in_files(tmp_path: Path) -> None:
    page = page_of()
    assert page == page_of(PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert page >= {
        'cidrmatch_decisions_total{preset="bitbybit",reason="matched"} 2.0',
        'cidrmatch_decisions_total{preset="bitbybit",reason="ip_not_listed"} 1.0',
        'cidrmatch_decisions_total{preset="bitbybit",reason="unknown_key"} 1.0',
        'cidrmatch_decisions_total{preset="bitbybit",reason="no_key"} 1.0',
        'cidrmatch_decision_seconds_bucket{le="5e-06"} 2.0',
        'cidrmatch_decision_seconds_bucket{le="1e-05"} 3.0',
        'cidrmatch_decision_seconds_bucket{le="0.1"} 3.0',
        'cidrmatch_decision_seconds_bucket{le="1.0"} 4.0',
        'cidrmatch_decision_seconds_bucket{le="+Inf"} 5.0',
        "cidrmatch_decision_seconds_count 5.0",
    }
