"""The page of metrics, without a server.

Requirements: C26 (no key and no address is told).
"""

from __future__ import annotations

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
