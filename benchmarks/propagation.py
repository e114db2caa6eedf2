"""How long a change takes from its commit to the answers of every process, and whether it ever takes effect too late.

    python -m benchmarks.propagation                       SQLite, 16 followers, 1,000 changes, with the nudge
    python -m benchmarks.propagation --postgres --no-nudge     PostgreSQL, by looking every two seconds alone
    python -m benchmarks.propagation --enemy 10000         an address is removed: is it ever allowed afterwards?

    writer       commit 7 returned at t           commit 8 ...
    follower 1        | waits for 7: done at t + 12 ms
    follower 2        | waits for 7: done at t + 31 ms            16 processes x 1,000 changes = 16,000 delays

All processes read one monotonic clock.  A follower that sees a change before its commit has returned counts as 0.
Nobody hurries: a follower waits, and what brings the change is its nudge or its next look.
It fails if a delay reaches 10 s, or, with the nudge, if the median reaches 100 ms.

The new enemy: a writer in this process removes an address and hands the revision to a reader in another process.  The
reader waits for it and asks.  It fails if the answer is "allowed" once.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks import machine
from cidrmatch import Revision, presets
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.store import Store
from tests.databases import Postgres
from tests.servers import ROOT

KEYS, LISTS = 1_000, 50
ENEMIES = 20
PATIENCE = 300.0
LONGEST, MEDIAN = 10.0, 0.1
SHOWN_FACTS = ("date", "cpu", "python", "load")


@dataclass(frozen=True)
class Delays:
    """Hold the seconds from each commit to each follower."""

    seconds: list[float]

    @property
    def longest(self) -> float:
        return max(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
        facts = {"min": ordered[0], "median": self.median, "p99": p99, "max": ordered[-1]}
        said = "   ".join(f"{name} {seconds * 1_000:,.1f} ms" for name, seconds in facts.items())
        return f"{len(ordered):,} delays   {said}"


# Processes.


@contextmanager
def child(role: str, url: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Start this program in a role; the first that it says is "ready"."""
    command = [sys.executable, "-m", "benchmarks.propagation", "--role", role, "--url", url, *map(str, words)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def heard(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process has ended")
    return json.loads(line)


def tell(process: subprocess.Popen[str], what: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


def follow(url: str, count: int, *, nudged: bool) -> None:
    """Note when the engine of this process answers by each of the next changes."""
    with closing(Store(url)) as store, StoreFollower(store, nudges="auto" if nudged else ()) as follower:
        start = follower.revision
        assert start is not None
        say("ready")
        seen = []
        for number in range(start.generation + 1, start.generation + 1 + count):
            follower.wait_until(Revision(start.epoch, number), PATIENCE, hurry=False)
            seen.append(time.monotonic())
        say(seen)
        sys.stdin.readline()


def read(url: str) -> None:
    """Wait for each revision that the parent tells, and say whether an address gets in."""
    with closing(Store(url)) as store, StoreFollower(store) as follower:
        say("ready")
        for line in sys.stdin:
            revision, address = json.loads(line)
            follower.wait_until(Revision(*revision), PATIENCE)
            say(follower.engine.allows("key", address))


# The runs.


def fill(url: str) -> None:
    """Make a store of some keys and lists."""
    with closing(Store.create(url, policy=presets.unkey())) as store, store.change() as change:
        for number in range(LISTS):
            change.put_list(f"list_{number}", [f"198.51.100.{number}"], description="a list")
        for number in range(KEYS):
            change.put_key(f"key_{number}", [f"203.0.113.{number % 250}"], lists=[f"list_{number % LISTS}"])


def change_at_random(change: Any, luck: random.Random) -> None:
    address = f"10.{luck.randrange(256)}.{luck.randrange(256)}.{luck.randrange(256)}"
    if luck.random() < 0.5:
        change.put_list(f"list_{luck.randrange(LISTS)}", [address], description="a list")
    else:
        change.put_key(f"key_{luck.randrange(KEYS)}", [address], replace=True)


def measure(url: str, *, followers: int, changes: int, rate: float, nudged: bool) -> Delays:
    """Commit changes at a rate, and collect the delays of all followers."""
    fill(url)
    luck = random.Random(changes)
    with ExitStack() as stack:
        store = stack.enter_context(closing(Store(url)))
        words = ("--changes", changes, *(() if nudged else ("--no-nudge",)))
        processes = [stack.enter_context(child("follow", url, *words)) for _ in range(followers)]
        assert all(heard(process) == "ready" for process in processes)
        returned = []
        due = time.monotonic()
        for number in range(changes):
            with store.change() as change:
                change_at_random(change, luck)
                change.put_list("turn", [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"], description="a list")
            returned.append(time.monotonic())
            due = max(due + luck.uniform(0.5, 1.5) / rate, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        seen = [heard(process) for process in processes]
    return Delays([max(0.0, at - was) for times in seen for at, was in zip(times, returned, strict=True)])


def meet_the_enemy(url: str, rounds: int) -> int:
    """Remove addresses, one a round; return how often one was allowed after that."""
    fill(url)
    enemies = [f"192.0.2.{number}" for number in range(ENEMIES)]
    let_in = 0
    with closing(Store(url)) as store, child("read", url) as reader:
        assert heard(reader) == "ready"
        for number in range(rounds):
            enemy = enemies[number % ENEMIES]
            if enemy == enemies[0]:  # all are let in again
                with store.change() as change:
                    change.put_key("key", ["203.0.113.1", *enemies], replace=True)
                if not answered(reader, change.revision, enemies[-1]):
                    raise RuntimeError(f"round {number}: an address that was added is denied")
            with store.change() as change:
                change.remove_entries("key", [enemy])
            let_in += answered(reader, change.revision, enemy)
    return let_in


def answered(reader: subprocess.Popen[str], revision: Revision | None, address: str) -> bool:
    """Ask the reader about an address, after a revision."""
    assert revision is not None
    tell(reader, [list(revision), address])
    return bool(heard(reader))


def ask() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--no-nudge", action="store_true", help="followers look every two seconds, and nothing else")
    parser.add_argument("--followers", type=int, default=16)
    parser.add_argument("--changes", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=8.0, help="changes a second")
    parser.add_argument("--enemy", type=int, metavar="ROUNDS", help="instead: is a removed address ever allowed?")
    parser.add_argument("--role", choices=["follow", "read"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(asked: argparse.Namespace, url: str) -> str | None:
    """Run what was asked and print it; return what is wrong."""
    if asked.enemy:
        let_in = meet_the_enemy(url, asked.enemy)
        print(f"{asked.enemy:,} rounds, the removed address was allowed {let_in} times")
        return "the enemy got in" if let_in else None
    delays = measure(
        url, followers=asked.followers, changes=asked.changes, rate=asked.rate, nudged=not asked.no_nudge
    )  # fmt: skip
    print(f"{asked.followers} followers, {asked.changes:,} changes, {asked.rate} a second: {delays}")
    if delays.longest >= LONGEST:
        return f"a change took {LONGEST} seconds or more"
    return "the median is too large" if not asked.no_nudge and delays.median >= MEDIAN else None


def main() -> None:
    asked = ask()
    if asked.role == "follow":
        return follow(asked.url, asked.changes, nudged=not asked.no_nudge)
    if asked.role == "read":
        return read(asked.url)
    with ExitStack() as stack:
        if asked.postgres:
            server = stack.enter_context(Postgres({"fsync": "on"}))
            url = server.url(server.create_database())
        else:
            url = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/store.db"
        facts = machine.facts(sys.argv)
        print(", ".join(f"{name} {facts[name]}" for name in SHOWN_FACTS), flush=True)
        wrong = run(asked, url)
    if wrong is not None:
        sys.exit(wrong)
    return None


if __name__ == "__main__":
    main()
