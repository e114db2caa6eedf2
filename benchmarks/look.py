"""What a look at a store costs, and what else a fleet asks of its servers, measured on this machine.

    python -m benchmarks.look                  a table of microseconds of CPU, here and in the server
    python -m benchmarks.look --save FILE      as JSON, for `benchmarks.scale`

CPU is counted, not time, by the kernel (schedstat): of this process, and of a server with all its children.  So the
figures are about the same on a machine that does other things, too.  Servers are started for this, on the loopback.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from cidrmatch import presets
from cidrmatch.service.stores.following import StoreFollower
from cidrmatch.service.stores.nudges import _Listening
from cidrmatch.service.stores.store import Store
from tests.databases import Postgres, Redis

if TYPE_CHECKING:
    from cidrmatch.service.stores.reading import Head

KEYS = 2_000
ENTRIES = ["203.0.113.0/24", "198.51.100.7", "2001:db8::/48"]
LISTENERS, SUBSCRIBERS = (1, 50), 200

Measured = dict[str, float]


def children_of(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from children_of(int(child))


def cpu_of(pid: int | None) -> float:
    """Seconds of CPU that a server and its children have used."""
    total = 0
    for process in () if pid is None else children_of(pid):
        for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0])
    return total / 1e9


def measured(job: Callable[[], object], times: int, pid: int | None) -> tuple[float, float]:
    """Microseconds of CPU of one job, here and in a server."""
    job()
    here, there = time.process_time(), cpu_of(pid)
    for _ in range(times):
        job()
    here, there = time.process_time() - here, cpu_of(pid) - there
    return round(here / times * 1e6, 1), round(there / times * 1e6, 1)


def of_a_store(url: str, kind: str, pid: int | None, looks: int) -> Measured:
    store = Store.create(url, policy=presets.bitbybit())
    with store.change() as change:
        change.put_keys({f"key_{number}": ENTRIES for number in range(KEYS)})
    last: Head | None = None

    def look() -> None:
        nonlocal last
        with store.look(last) as (last, reading):
            reading.check_columns()

    def full() -> None:
        StoreFollower(store, nudges=()).refresh()

    said: Measured = {}
    said[f"{kind} look here"], said[f"{kind} look server"] = measured(look, looks, pid)
    here, there = measured(full, 3, pid)
    said[f"{kind} full load of a key here"], said[f"{kind} full load of a key server"] = here / KEYS, there / KEYS
    follower = StoreFollower(store, nudges=())
    follower.refresh()
    deltas = []
    for number in range(40):
        with store.change() as change:
            change.update_key("key_7", entries=ENTRIES[: 1 + number % 2])
        deltas.append(measured_once(follower.refresh, pid))
    said[f"{kind} delta of one key here"], said[f"{kind} delta of one key server"] = (
        round(sum(column) / len(deltas), 1) for column in zip(*deltas, strict=True)
    )
    store.close()
    return said


def measured_once(job: Callable[[], object], pid: int | None) -> tuple[float, float]:
    here, there = time.process_time(), cpu_of(pid)
    job()
    return (time.process_time() - here) * 1e6, (cpu_of(pid) - there) * 1e6


def notifies(server: Postgres, listeners: int) -> float:
    """Microseconds of the server for one NOTIFY on a channel that nobody hears, beside sessions that hear another."""
    with ExitStack() as stack:
        for _ in range(listeners):
            stack.enter_context(server._connect()).execute("LISTEN cidrmatch")
        sender = stack.enter_context(server._connect())
        number = 300
        before = cpu_of(server.pid)
        for _ in range(number):
            sender.execute("SELECT pg_notify('cidrmatch_nobody', 'x')")
            time.sleep(0.002)  # else many wake the listeners once
        return round((cpu_of(server.pid) - before) / number * 1e6, 1)


def probes(server: Postgres) -> float:
    """Microseconds of the server for one probe of a nudge."""
    with closing(_Listening(Store(server.url(server.create_database())).database.connect_args())) as channel:

        def probe() -> None:
            channel.probe("nonce")
            while "nonce" not in list(channel.messages()):
                pass

        return measured(probe, 300, server.pid)[1]


def publishes(server: Redis) -> float:
    """Microseconds of the server for one PUBLISH to many subscribers."""
    from redis import Redis as Client

    with ExitStack() as stack:
        for _ in range(SUBSCRIBERS):
            client = stack.enter_context(Client(port=server.port))
            stack.enter_context(client.pubsub()).subscribe("cidrmatch")
        sender = stack.enter_context(Client(port=server.port))
        return measured(lambda: sender.publish("cidrmatch", "main 18c2 17"), 300, server.pid)[1]


def measure_all() -> Measured:
    said: Measured = {}
    with tempfile.TemporaryDirectory() as folder:
        said |= of_a_store(f"sqlite:///{folder}/keys.db", "SQLite", None, 500)
    with Postgres() as server:
        said |= of_a_store(server.url(server.create_database()), "PostgreSQL", server.pid, 500)
        said["PostgreSQL probe server"] = probes(server)
        for listeners in LISTENERS:
            said[f"NOTIFY beside {listeners} listeners"] = notifies(server, listeners)
    with Redis() as server:
        said[f"PUBLISH to {SUBSCRIBERS} subscribers"] = publishes(server)
    return said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--save", type=Path)
    asked = parser.parse_args()
    said = measure_all()
    for name, value in said.items():
        print(f"{name:<36}{value:>10,.1f} us")
    if asked.save is not None:
        asked.save.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
