"""What a store costs with many keys: the import, the load of a follower, and one change until it is seen.

    python -m benchmarks.stores                            SQLite, 100,000 keys of two entries each
    python -m benchmarks.stores 1000000 URL [URL ...]      any databases; a fresh tenant is made in each

    engine --save--> snapshot file                          its size is what the memory of a loader is compared with
       '--restore_engine--> store --everything--> another process: seconds, and the most memory that it ever had
                               '--change, look--> milliseconds until the copy answers by it

The import and the load happen in processes of their own, so that neither has the other's memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from cidrmatch import Engine, KeyRecord, presets
from cidrmatch._core import parse_entry
from cidrmatch.engine.following import seconds_since_boot
from cidrmatch.service.stores.store import Store

if TYPE_CHECKING:
    from cidrmatch.engine.feeding import Feed
    from cidrmatch.service.stores.reading import Head

_FIRST = int(IPv4Address("11.0.0.0"))
_CHANGES = 20


def make_engine(keys: int) -> Engine:
    """Make an engine whose keys have an address and a prefix each."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    engine = Engine(presets.unkey())
    engine.restore(
        keys={
            f"key_live_{number:08d}": KeyRecord(
                created_at=at,
                entries=(
                    parse_entry(str(IPv4Address(_FIRST + number))),
                    parse_entry(f"198.{number >> 8 & 255}.{number & 255}.0/24"),
                ),
            )
            for number in range(keys)
        }
    )
    engine.fold()
    return engine


def peak() -> int:
    """Give the most memory that this process ever had, in bytes.

    `ru_maxrss` is no answer: a process begins with that of its parent, which held all keys.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def import_all(url: str, tenant: str, snapshot: str) -> dict[str, float]:
    """Import a snapshot into a tenant."""
    engine = Engine.open(snapshot)
    store = Store.create(url, tenant, policy=presets.unkey())
    began, worked = time.perf_counter(), time.process_time()
    with store.change("import") as change:
        change.restore_engine(engine)
    taken, used = time.perf_counter() - began, time.process_time() - worked
    return {"import s": taken, "import cpu": used, "import peak": peak()}


def load_all(url: str, tenant: str, _: str) -> dict[str, float]:
    """Load everything into an engine, as a follower does, and follow some changes one by one."""
    store, engine = Store(url, tenant), Engine()
    before, feed = peak(), engine.feed()
    began, worked = time.perf_counter(), time.process_time()
    with store.look() as (head, reading):
        feed.replace(head.revision, head.rules, *reading.everything(head), moment=seconds_since_boot())
    loaded, used = time.perf_counter() - began, time.process_time() - worked
    most = peak()
    seen = []
    for number in range(_CHANGES):
        began = time.perf_counter()
        with store.change() as change:
            change.put_key(f"key_live_{number * 37:08d}", [f"192.0.2.{number}"], replace=True)
        head = look(store, feed, head)
        assert feed.revision == change.revision
        assert engine.allows(f"key_live_{number * 37:08d}", f"192.0.2.{number}")
        seen.append((time.perf_counter() - began) * 1_000)
    found = {"load s": loaded, "load cpu": used, "load peak": most, "before": before}
    return found | {"change ms": median(seen), "slowest ms": max(seen)}


def look(store: Store, feed: Feed, last: Head) -> Head:
    """Take over what changed since a head."""
    moment = seconds_since_boot()
    with store.look(last) as (head, reading):
        changed = reading.changed_since(head, last.revision, last.mark)
        assert changed is not None
        feed.apply(head.revision, head.rules, *reading.some(head, changed), moment=moment)
    return head


def measure(what: str, *words: str) -> dict[str, float]:
    """Run one of the functions in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, what, *words], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(words: list[str]) -> None:
    """Measure, and print a table."""
    if words and words[0] in ("import", "load"):
        print(json.dumps((import_all if words[0] == "import" else load_all)(*words[1:])))
        return
    keys = int(words[0]) if words else 100_000
    with tempfile.TemporaryDirectory() as folder:
        snapshot = str(Path(folder, "keys.snap"))
        make_engine(keys).save(snapshot)
        size = Path(snapshot).stat().st_size
        print(f"{keys:,} keys; the snapshot has {size / 2**20:.1f} MiB")
        print(f"{'database':10} {'':6} {'seconds':>8} {'of them CPU':>12} {'most memory':>12}")
        for url in words[1:] or [f"sqlite:///{folder}/store.db"]:
            tenant = f"bench-{uuid.uuid4()}"
            found = measure("import", url, tenant, snapshot) | measure("load", url, tenant, snapshot)
            name = url.partition(":")[0].partition("+")[0]
            for what in ("import", "load"):
                memory = f"{found[what + ' peak'] / 2**20:,.0f} MiB"
                print(f"{name:10} {what:6} {found[what + ' s']:8.1f} {found[what + ' cpu']:12.1f} {memory:>12}")
            print(
                f"{name:10} change {found['change ms']:.1f} ms until it is seen, {found['slowest ms']:.1f} the slowest"
            )
            print(f"{name:10} a loader has {found['before'] / 2**20:,.0f} MiB before it loads")


if __name__ == "__main__":
    main(sys.argv[1:])
