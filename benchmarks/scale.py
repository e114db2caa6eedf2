"""What one PostgreSQL, one Redis and one bucket carry: a small model of machines that look, are nudged, and load.

    python -m benchmarks.scale                 the table of docs/scale.md; the same each time

    machine     look ........ look .... look        1 to 2 seconds apart, drawn anew (seeded)
    commit           |nudge                         every machine looks at once, and reads one key
    database    [==][==]   [==][==][==]             CORES workers, first come, first served

The costs are those that `benchmarks.look` measured, in `benchmarks/scale.json`.  Nothing is timed here.

The model leaves out: the network, the disk, locks, the planner's moods, and what else the database does.  It says where
the wall stands, not how high the grass before it is.
"""

import heapq
import json
import random
from dataclasses import dataclass
from pathlib import Path

COSTS: dict[str, float] = json.loads(Path(__file__).with_name("scale.json").read_text(encoding="utf-8"))
CORES = 4
SEED = 20_261_129
SECONDS = 60.0
EVERY = 2.0
COMMIT_EVERY = 10.0
PROBE_EVERY = 1.5
KEYS = 1_000_000
BYTES_OF_A_KEY = 173
"""Of a snapshot, with 20 entries of IPv4; docs/performance-keys.md."""
MACHINES = (10, 100, 1_000, 10_000)


def seconds(name: str) -> float:
    return COSTS[name] / 1e6


class Cores:
    """A server with some cores; who comes waits for the first that is free."""

    def __init__(self) -> None:
        self._free_at = [0.0] * CORES
        self.used = 0.0

    def serve(self, at: float, work: float) -> float:
        """Do some work for who comes at a moment; return when it is done."""
        begin = max(at, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, begin + work)
        self.used += work
        return begin + work


@dataclass
class Result:
    """What a minute of a fleet was like."""

    looks_per_second: float
    cores: float
    look_late: float
    """Seconds of the slowest look that only found nothing new; its data is as old as that and the wait."""
    all_have_it: float
    """Seconds from a commit until the last machine has it; the most of all commits."""


def minute_of(machines: int, *, nudged: bool) -> Result:
    """Let machines look for a minute, with a commit every ten seconds."""
    draw, cores, looks = random.Random(SEED), Cores(), 0
    look, delta = seconds("PostgreSQL look server"), seconds("PostgreSQL delta of one key server")
    commits = [COMMIT_EVERY * number for number in range(1, int(SECONDS / COMMIT_EVERY))]
    # (when, machine, which of its plans): a nudge makes a new plan, and the old one is void
    plans = [(draw.uniform(0, EVERY), machine, 0) for machine in range(machines)]
    plan_of, has, slowest, latest = [0] * machines, [0] * machines, 0.0, 0.0
    nudges = [(at + draw.uniform(0, 0.01), machine, -1) for at in commits for machine in range(machines) if nudged]
    queue = plans + nudges
    heapq.heapify(queue)
    while queue:
        at, machine, plan = heapq.heappop(queue)
        if at > SECONDS or plan not in (-1, plan_of[machine]):
            continue
        there = sum(commit <= at for commit in commits)
        done = cores.serve(at, look if there == has[machine] else delta)
        looks += 1
        if there == has[machine]:
            slowest = max(slowest, done - at)
        else:
            latest = max(latest, done - commits[has[machine]])
        has[machine] = there
        plan_of[machine] += 1
        heapq.heappush(queue, (done + draw.uniform(EVERY / 2, EVERY), machine, plan_of[machine]))
    probes = SECONDS / PROBE_EVERY * machines * seconds("PostgreSQL probe server") if nudged else 0.0
    notices = len(commits) * machines * notice() if nudged else 0.0
    return Result(looks / SECONDS, (cores.used + probes + notices) / SECONDS, slowest, latest)


def notice() -> float:
    """Seconds of the server to wake one more listener by a NOTIFY."""
    few, many = (COSTS[f"NOTIFY beside {number} listeners"] for number in (1, 50))
    return (many - few) / 49 / 1e6


def restart(machines: int) -> float:
    """Seconds until all have loaded everything anew from PostgreSQL, if they come back at once."""
    return machines * KEYS * seconds("PostgreSQL full load of a key server") / CORES


HEAD = """\
| machines | looks/s | cores, looking only | cores, nudged | slowest look | all have it: looking, nudged | \
all load from the database | all load from a bucket |
|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def table() -> str:
    """Write the table of docs/scale.md."""
    return HEAD + "".join(row(machines) for machines in MACHINES)


def row(machines: int) -> str:
    plain, nudged = minute_of(machines, nudged=False), minute_of(machines, nudged=True)
    return (
        f"| {machines:,} | {plain.looks_per_second:,.0f} | {plain.cores:.2f} | {nudged.cores:.2f} "
        f"| {plain.look_late * 1000:,.0f} ms | {plain.all_have_it:.1f} s, {nudged.all_have_it:.1f} s "
        f"| {restart(machines) / 60:,.1f} min | {machines * KEYS * BYTES_OF_A_KEY / 1e9:,.0f} GB |\n"
    )


if __name__ == "__main__":
    print(table(), end="")
