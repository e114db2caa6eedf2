"""How many questions of a gateway the server answers on one core, beside an application that does nothing.

    python -m benchmarks.server             four minutes, needs wrk and two cores; fails below benchmarks/server.json
    python -m benchmarks.server --choose    the same for uvicorn, too: how the HTTP server was chosen

    core 0   cidrmatch serve, /auth         ours: the client found, the key judged, counted; 204
             bare                           an application that gives the same answer at once, with its header
                                            lines: the same granian with the same settings, and batch work, too
             bare, as granian comes         the same, not as batch work
    core 1   wrk, or the open client

There are two questions, and each has its client.

How much work is a request?  Rounds alternate between the contestants.  In each, wrk asks for some seconds by 16
connections that wait for each answer.  The median of the rounds counts: `requests`, and `ratio` to bare.

How long does a request take?  The open client sends at a fixed rate, whether answers come or not.  A request takes the
connection that has been free longest.  Its time begins when it was due, so a server that stands still is seen.  The
highest load is the largest rate at which 99 of 100 requests are answered within ten milliseconds, for ten seconds.
`p99` is measured at 80 % of it, in several runs, and their median counts.

The highest load is not the rate of wrk.  Requests of wrk come in groups, because the answers did, and a group costs the
server less.  Nobody can offer 80 % of that rate one by one if the server does not keep up with it.  So p99 at 80 % of
the rate of wrk is printed, but it does not count.  The last line shows the client and the machine: what bare has at the
rate at which ours was judged.

Each run waits for a moment in which both cores are idle.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import re
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine
from cidrmatch import Engine, presets
from tests.servers import ROOT, free_port, live, started

LIMITS = Path(__file__).with_suffix(".json")
CONNECTIONS, SECONDS, ROUNDS, SHARE = 16, 3, 9, 0.8
RUNS, RUN_SECONDS, STEP = 5, 5, 0.05
LOAD_SECONDS = 10
"""How long a load is offered to see whether the server keeps up; a backlog of one in a hundred shows within it."""
PATIENCE = 5
"""How many times its length a run may take; what is not asked by then counts as never answered."""
BEHIND = 0.01
"""A server keeps up with a load if 99 of 100 requests take at most this, in seconds."""
SHOWN_FACTS = ("date", "cpu", "python", "load")
ANSWER = [(b"x-cidrmatch-reason", b"matched"), (b"x-cidrmatch-state", b"restricted"), (b"cache-control", b"no-store")]
REQUEST = b"GET /auth HTTP/1.1\r\nHost: bench\r\nX-API-Key: key_500\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n"


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Give the answer of an allowance to everything."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await send({"type": "http.response.start", "status": 204, "headers": ANSWER})
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
        "--interface=asgi3",
        "--loop=uvloop",
        "--http=httptools",
        "--log-level=critical",
        "--no-proxy-headers",
        f"--port={port}",
    ]
    serve = [f"--snapshot={folder}/keys.snap", "--trusted=127.0.0.1", "--log-level=error", f"--listen=127.0.0.1:{port}"]
    return {
        "ours": [*python, "cidrmatch", "serve", *serve],
        "bare": ["chrt", "--batch", "0", *python, *granian, "benchmarks.server:bare"],
        "bare, as granian comes": [*python, *granian, "benchmarks.server:bare"],
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


def latencies(port: int, rate: float, seconds: float) -> list[float]:
    """Ask at a fixed rate, one by one; give the seconds that each request took since it was due.

    Nothing here but system calls takes more than a microsecond, and the loop never sleeps, so it asks in time.
    """
    clock, wanted = time.perf_counter, int(rate * seconds)
    took, asked = [0.0] * wanted, 0
    with ExitStack() as opened, select.epoll() as waiting:
        streams = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CONNECTIONS)]
        for stream in streams:
            stream.setblocking(False)
            waiting.register(stream, select.EPOLLIN)
        free, busy = deque(streams), dict[int, tuple[socket.socket, int]]()
        gc.disable()
        begin = clock()
        while asked < wanted or busy:
            if clock() - begin > PATIENCE * seconds:
                took[asked:] = [math.inf] * (wanted - asked)  # nobody answers these in time
                break
            due = min(wanted, int((clock() - begin) * rate) + 1)
            while asked < due and free:
                stream = free.popleft()
                stream.send(REQUEST)
                busy[stream.fileno()] = stream, asked
                asked += 1
            for number, _ in waiting.poll(0):
                stream, which = busy.pop(number)
                if not stream.recv(4_096).startswith(b"HTTP/1.1 204"):
                    raise RuntimeError("a request was not allowed")
                took[which] = clock() - begin - which / rate
                free.append(stream)
        gc.enable()
    return took


def percentile(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))]


def keeps_up(port: int, rate: float) -> bool:
    """Does the server answer at this rate as fast as it is asked?"""
    return percentile(latencies(port, rate, LOAD_SECONDS), 0.99) <= BEHIND


def highest_load(port: int, most: float) -> float:
    """Give the largest rate that the server keeps up with in two of three runs, in steps down from `most`."""
    for steps in range(20):
        rate = most * (1 - STEP * steps)
        wait_for_quiet()
        answers = [keeps_up(port, rate), keeps_up(port, rate)]
        if sum(answers) == 2 or (any(answers) and keeps_up(port, rate)):
            return rate
    raise RuntimeError("the server keeps up with no rate")


def idle_seconds() -> float:
    """Give the seconds that both cores were idle since the system started."""
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return int(line.split()[4]) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet() -> None:
    """Wait a minute at most until nobody uses the cores; RuntimeError if that does not happen."""
    for _ in range(120):
        before = idle_seconds()
        time.sleep(0.5)
        if idle_seconds() - before > 0.95 * 0.5 * (os.cpu_count() or 1):
            return
    raise RuntimeError("others use the cores, so nothing can be measured")


def measure_work(ports: dict[str, int]) -> tuple[float, float]:
    """Print what wrk sees; give the requests a second of ours, and their ratio to bare."""
    rates: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(ROUNDS):
        wait_for_quiet()
        for name, port in ports.items():
            rates[name].append(rate_of(port))
    print(", ".join(f"{name} {value}" for name, value in machine.facts(()).items() if name in SHOWN_FACTS))
    for name, found in rates.items():
        middle, least, most = statistics.median(found), min(found), max(found)
        print(f"{name:24}{middle:10,.0f} requests a second by wrk (from {least:,.0f} to {most:,.0f})")
    ratio = statistics.median(ours / other for ours, other in zip(rates["ours"], rates["bare"], strict=True))
    print(f"{'ours to bare':24}{ratio:10.2f}")
    return statistics.median(rates["ours"]), ratio


def measure_time(name: str, port: int, rate: float) -> float:
    """Print how long requests take at a rate, in milliseconds; give the median p99 of the runs."""
    found = []
    for _ in range(RUNS):
        wait_for_quiet()
        took = latencies(port, rate, RUN_SECONDS)
        found.append([1_000 * percentile(took, share) for share in (0.5, 0.99)])
    p50, p99 = (statistics.median(each[place] for each in found) for place in (0, 1))
    runs = " ".join(f"{each:.2f}" for _, each in found)
    print(f"{name:24}{rate:10,.0f} requests a second one by one: p50 {p50:.2f} ms, p99 {p99:.2f} ms ({runs})")
    return p99


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--choose", action="store_true", help="also behind uvicorn with httptools and uvloop")
    options = parser.parse_args()
    if shutil.which("wrk") is None or (os.cpu_count() or 1) < 2:
        parser.error("wrk and two cores are needed")
    names = ["ours", "bare", "bare, as granian comes", *(["uvicorn, ours", "uvicorn, bare"] if options.choose else [])]
    with contestants(names) as ports:
        requests, ratio = measure_work(ports)
        os.sched_setaffinity(0, {1})
        highest = highest_load(ports["ours"], requests)
        print(f"{'ours':24}{highest:10,.0f} requests a second one by one is the highest load")
        p99 = measure_time("ours, at 80 % of it", ports["ours"], SHARE * highest)
        measure_time("ours, at 80 % of wrk's", ports["ours"], SHARE * requests)
        measure_time("bare, at 80 % of ours", ports["bare"], SHARE * highest)
    return told({"ratio": ratio, "requests": requests, "p99": p99})


def told(found: dict[str, float]) -> int:
    """Print what misses its limit; give the exit code."""
    limits = json.loads(LIMITS.read_text(encoding="ascii"))
    is_met = {name: found[name] <= limit if name == "p99" else found[name] >= limit for name, limit in limits.items()}
    for name in (name for name, met in is_met.items() if not met):
        print(f"{name}: {found[name]:.2f}, the limit is {limits[name]}", file=sys.stderr)
    return 0 if all(is_met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
