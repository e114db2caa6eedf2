"""How many questions of a gateway the server answers on one core, beside an application that does nothing.

    python -m benchmarks.server             two minutes, needs wrk and two cores; fails below benchmarks/server.json
    python -m benchmarks.server --choose    the same for uvicorn, too: how the HTTP server was chosen

    core 0   cidrmatch serve, /auth         ours: the client found, the key judged, counted; 204
             the same granian, bare         an ASGI application that answers 204 at once
    core 1   wrk, or the open client

Rounds alternate between the contestants, each asked for some seconds by 16 connections
that wait for each answer.  The median of the rounds counts.

Then requests are sent to ours at a fixed rate, 80 % of the highest, whether answers come
or not.  The time of a request begins when it was due, so a server that stands still is
seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import machine
from cidrmatch import Engine, presets
from tests.servers import ROOT, free_port, live, started

LIMITS = Path(__file__).with_suffix(".json")
CONNECTIONS, SECONDS, ROUNDS, SHARE = 16, 3, 9, 0.8
SHOWN_FACTS = ("date", "cpu", "python", "load")
REQUEST = b"GET /auth HTTP/1.1\r\nHost: bench\r\nX-API-Key: key_500\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n"


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer 204 to everything."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def commands(folder: Path, port: int) -> dict[str, list[str]]:
    """Give the words that start each contestant."""
    python = ["taskset", "--cpu-list", "0", sys.executable, "-m"]
    granian = [
        "granian", "--interface=asgi", "--no-log", f"--port={port}", "--no-ws", "--http1-buffer-size=65536",
        "--http1-header-read-timeout=5000",
    ]  # fmt: skip
    uvicorn = [
        "uvicorn",
        "--loop=uvloop",
        "--http=httptools",
        "--log-level=critical",
        "--no-proxy-headers",
        f"--port={port}",
    ]
    serve = [f"--snapshot={folder}/keys.snap", "--trusted=127.0.0.1", "--log-level=error", f"--listen=127.0.0.1:{port}"]
    return {
        "ours": [*python, "cidrmatch", "serve", *serve],
        "bare": [*python, *granian, "benchmarks.server:bare"],
        "uvicorn, ours": [*python, *uvicorn, "--factory", "cidrmatch.service.server.app:build"],
        "uvicorn, bare": [*python, *uvicorn, "benchmarks.server:bare"],
    }


@contextmanager
def contestants(names: list[str]) -> Iterator[dict[str, int]]:
    """Start the servers; give the port of each."""
    from cidrmatch.service.server.settings import ENVIRONMENT, Settings

    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        engine = Engine(presets.bitbybit())
        engine.put_keys({f"key_{number}": ["203.0.113.0/24", "198.51.100.7"] for number in range(1_000)})
        engine.save(Path(name, "keys.snap"))
        settings = Settings(f"{name}/keys.snap", trusted=("127.0.0.1",))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", ENVIRONMENT: settings.to_json()}
        ports = {}
        for each in names:
            ports[each] = free_port()
            running.enter_context(started(commands(Path(name), ports[each])[each], ports[each], None, environment))
        yield ports


def rate_of(port: int) -> float:
    """Give the requests a second that wrk sees."""
    lines = [f"-H{name}" for name in ("X-API-Key: key_500", "X-Forwarded-For: 6.6.6.6, 203.0.113.9")]
    words = ["taskset", "--cpu-list", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", *lines]
    said = subprocess.run([*words, f"http://127.0.0.1:{port}/auth"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])


class _Connection(asyncio.Protocol):
    """Sends what is due, one request at a time, and notes how long each took since it was due."""

    def __init__(self, took: list[float]) -> None:
        self._took = took
        self._due: deque[float] = deque()
        self._transport: Any = None
        self._waits_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def ask(self, due: float) -> None:
        self._due.append(due)
        self._next()

    def _next(self) -> None:
        if self._waits_since is None and self._due:
            self._waits_since = self._due.popleft()
            self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 204") or self._waits_since is None:
            raise RuntimeError(data)
        self._took.append(time.perf_counter() - self._waits_since)
        self._waits_since = None
        self._next()


async def latencies(port: int, rate: float, seconds: float) -> list[float]:
    """Ask at a fixed rate; give the seconds that each request took."""
    took: list[float] = []
    loop = asyncio.get_running_loop()
    connections: list[_Connection] = []
    for _ in range(CONNECTIONS):
        _, protocol = await loop.create_connection(lambda: _Connection(took), "127.0.0.1", port)
        connections.append(protocol)
    begin, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - begin) < seconds:
        while sent < now * rate:
            connections[sent % CONNECTIONS].ask(begin + sent / rate)
            sent += 1
        await asyncio.sleep(0)
    while len(took) < sent and time.perf_counter() - begin < 6 * seconds:
        await asyncio.sleep(0.1)
    if len(took) < sent:
        raise RuntimeError(f"{sent - len(took)} requests were not answered")
    return took


def percentile(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--choose", action="store_true", help="also behind uvicorn with httptools and uvloop")
    options = parser.parse_args()
    if shutil.which("wrk") is None or (os.cpu_count() or 1) < 2:
        parser.error("wrk and two cores are needed")
    names = ["ours", "bare", *(["uvicorn, ours", "uvicorn, bare"] if options.choose else [])]
    limits = json.loads(LIMITS.read_text(encoding="ascii"))
    with contestants(names) as ports:
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name in names:
                rates[name].append(rate_of(ports[name]))
        found = {name: statistics.median(rates[name]) for name in names}
        print(", ".join(f"{name} {value}" for name, value in machine.facts(()).items() if name in SHOWN_FACTS))
        for name, rate in found.items():
            print(f"{name:16}{rate:10,.0f} requests a second (from {min(rates[name]):,.0f} to {max(rates[name]):,.0f})")
        ratio = statistics.median(ours / other for ours, other in zip(rates["ours"], rates["bare"], strict=True))
        with suppress(OSError):
            os.sched_setaffinity(0, {1})
        took = uvloop.run(latencies(ports["ours"], SHARE * found["ours"], 10))
    p50, p99 = (percentile(took, share) * 1_000 for share in (0.5, 0.99))
    print(f"ours to bare    {ratio:10.2f}    at {SHARE:.0%} of ours: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    misses = [
        f"{what}: {value:.2f}, the limit is {limits[what]}"
        for what, value, is_met in (
            ("ratio", ratio, ratio >= limits["ratio"]),
            ("requests", found["ours"], found["ours"] >= limits["requests"]),
            ("p99", p99, p99 <= limits["p99"]),
        )
        if not is_met
    ]
    print(*misses, sep="\n", end="\n" if misses else "", file=sys.stderr)
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
