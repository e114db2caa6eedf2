"""Four times as much may take about four times as long: counted in instructions, which noise cannot change.

    python -m benchmarks.growth       print the growth of each path; fails if one grows faster than its data

A square is invisible in a small test and stops a service with a large configuration.
A clock on a shared machine sees it badly: the same code took from 4 to 9 times as
long for four times as much.  So each path runs once on some things and once on four
times as many, in one process under valgrind's callgrind, each run between two calls
of `getppid` (as in instructions.py).  All instructions of the process count, also
those of CPython and of the C library, because a copy is made there.

    ratio = instructions(4 n) / instructions(n)     4 proportional | up to 4.5 n log n | 16 the square

Where one step costs 100,000 instructions, a copy of all that was there hides behind
them for long.  The limit of such a path is close to 4.  The collector of garbage is
off, because its turns depend on what else lives in the process.
"""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from ipaddress import IPv6Address
from typing import Any, NamedTuple

from benchmarks.instructions import run_marked
from cidrmatch import AllowList, Engine, Entry, KeyRecord, KeyStore, Policy, Prefix, aggregate
from cidrmatch._keys import FrozenList
from cidrmatch.advice.lint import lint

TIMES = 4
LIMIT, LIMIT_OF_CHANGES = 5.5, 4.08
HOME = "203.0.113.5"
START = datetime(2026, 1, 1, tzinfo=UTC)


class GrowingPath(NamedTuple):
    """A path whose work should grow as its data does."""

    name: str
    prepare: Callable[[int], Callable[[], object]]  # makes the run over so many things; not counted
    things: int
    limit: float = LIMIT


# --- the paths ---------------------------------------------------------------


def change_engine(act: Callable[[Engine, int], None], count: int) -> Callable[[], object]:
    return partial(act, Engine(), count)


def put_lists(engine: Engine, count: int) -> None:
    for number in range(count):
        engine.put_list(f"list {number}", [HOME])


def put_and_remove_lists(engine: Engine, count: int) -> None:
    for number in range(count):
        engine.put_list(f"list {number}", [HOME])
        engine.remove_list(f"list {number}")


def put_lists_at_once(engine: Engine, count: int) -> None:
    with engine.transaction() as change:
        for number in range(count):
            change.put_list(f"list {number}", [HOME])


def put_guarded_keys_at_once(engine: Engine, count: int) -> None:
    with engine.transaction() as change:
        for number in range(count):
            change.put_key(f"key {number}", [HOME], caller=HOME)


def lint_what_was_seen(count: int) -> Callable[[], object]:
    """One key has so many nested entries, a fourth as many lists, and was seen from as many addresses."""
    entries = tuple(Entry(f"0.{number // 256}.{number % 256}.0/24") for number in range(count))
    lists = [FrozenList(f"l{number}", entries[number : number + 1]) for number in range(count // 4)]
    names = tuple(each.name or "" for each in lists)
    record = KeyRecord(created_at=START, entries=(Entry("0.0.0.0/1"), *entries), lists=names)
    engine = Engine(clock=START.timestamp)
    engine.restore(keys={"key_1": record}, lists=lists)
    seen = {"key_1": [bytes((0, number // 256, number % 256, 1)) for number in range(count)]}
    return partial(lint, engine, seen=seen)


def lint_a_shared_list(count: int) -> Callable[[], object]:
    """One list of so many entries is linked to as many keys, each seen once."""
    office = FrozenList("office", tuple(Entry(f"10.{number // 256}.{number % 256}.0/24") for number in range(count)))
    records = {f"k{number}": KeyRecord(created_at=START, lists=("office",)) for number in range(count)}
    engine = Engine(clock=START.timestamp)
    engine.restore(keys=records, lists=[office])
    return partial(lint, engine, seen={key: [f"10.0.{number % 256}.1"] for number, key in enumerate(records)})


def cross_expiries(count: int) -> Callable[[], object]:
    """A list has so many entries that expire one after the other; it is asked before and after each expiry."""
    moments = [START + timedelta(seconds=number) for number in range(count + 1)]
    now = moments[0]
    engine = Engine(Policy(), clock=lambda: now.timestamp())  # noqa: PLW0108 another moment each time
    engine.put_key("k", [{"prefix": f"10.{i >> 8}.{i & 255}.0/24", "expires": moments[i + 1]} for i in range(count)])

    def cross() -> None:
        nonlocal now
        for i in range(count):
            now = moments[i]
            if not engine.allows("k", f"10.{i >> 8}.{i & 255}.1"):
                raise AssertionError(f"{i} does not count before its expiry")
            now = moments[i + 1]
            if engine.allows("k", f"10.{i >> 8}.{i & 255}.1"):
                raise AssertionError(f"{i} counts after its expiry")

    return cross


@cache
def colliding(count: int) -> list[str]:
    """Choose IPv6 addresses whose two halves have one and the same hash, if hashed as a tuple of numbers is.

    The lists come from customers.  A hash that anybody can compute lets one of them choose entries that all fall
    together, and each is then compared with all the others.  Tuples are hashed lane by lane,

        state = rotate(state + lane * P2) * P1

    and for any upper half there is a lower half that brings the state to a given one.
    """
    p1, p2, p5, mask = 11400714785074694791, 14029467366897019727, 2870177450012600261, 2**64 - 1
    chosen: list[str] = []
    wanted, inverse, upper = 1, pow(p2, -1, 2**64), 0x20010DB8_00000000
    while len(chosen) < count:
        upper += 1
        state = p5 + hash(upper) * p2 & mask
        state = (state << 31 | state >> 33) * p1 & mask
        lower = (wanted - state) * inverse & mask
        if lower < 2**61 - 1:
            chosen.append(str(IPv6Address(upper << 64 | lower)))
    return chosen


def labelled(texts: list[str]) -> list[tuple[str, str]]:
    return [(text, "label") for text in texts]


def take_chosen(make: Callable[[list[str]], Any], act: Callable[[Any], object], count: int) -> Callable[[], object]:
    return partial(act, make(colliding(count)))


def hash_of_list(entries: list[tuple[str, str]]) -> int:
    return hash(AllowList(entries))


def store_of_keys(keys: list[str]) -> KeyStore:
    return KeyStore(dict.fromkeys(keys, ()))


CHOSEN: dict[str, tuple[Callable[[list[str]], Any], Callable[[Any], object]]] = {
    "validate": (list, Policy().validate),
    "validate a list that is too long": (list, Policy(max_entries=20).validate),
    "AllowList with labels": (labelled, AllowList),
    "hash of an AllowList": (labelled, hash_of_list),
    "set of prefixes": (lambda texts: list(map(Prefix, texts)), set),
    "set of entries": (lambda texts: list(map(Entry, texts)), set),
    "aggregate": (list, aggregate),
    "KeyStore": (list, store_of_keys),
}


def growing_paths() -> Iterator[GrowingPath]:
    for act in (put_lists, put_and_remove_lists, put_lists_at_once, put_guarded_keys_at_once):
        yield GrowingPath(act.__name__.replace("_", " "), partial(change_engine, act), 500, LIMIT_OF_CHANGES)
    yield GrowingPath("lint, one key", lint_what_was_seen, 200)
    yield GrowingPath("lint, one list of many keys", lint_a_shared_list, 200)
    yield GrowingPath("checks across expiries", cross_expiries, 250)
    for name, (make, use) in CHOSEN.items():
        yield GrowingPath(f"chosen entries: {name}", partial(take_chosen, make, use), 500)


# --- counting ----------------------------------------------------------------


def run_paths() -> None:
    """The child's part, under valgrind: two runs of each path, each between two marks."""
    gc.disable()
    for path in growing_paths():
        path.prepare(path.things // TIMES)()  # what happens only once has happened
        for count in (path.things, TIMES * path.things):
            run = path.prepare(count)
            os.getppid()
            run()
            os.getppid()


def count_all() -> list[tuple[int, int]]:
    """Run all paths in a child; give the instructions of the small and the large run of each, in their order."""
    runs = 2 * len(list(growing_paths()))
    counts = list(map(total_of, run_marked("from benchmarks import growth; growth.run_paths()", runs)))
    return list(zip(counts[::2], counts[1::2], strict=True))


def total_of(profile: list[str]) -> int:
    """Give all instructions of one profile, which its last line says: `totals: 12345`."""
    return next(int(line.split()[1]) for line in reversed(profile) if line.startswith(("totals:", "summary:")))


def main() -> int:
    if shutil.which("valgrind") is None:
        print("valgrind is not installed", file=sys.stderr)
        return 2
    steep = []
    print(f"{'':50}{'instructions':>16}{f'{TIMES} times as much':>18}")
    for path, (small, large) in zip(growing_paths(), count_all(), strict=True):
        print(f"{path.name:50}{small:16,}{large / small:17.2f}x")
        if large / small > path.limit:
            steep.append(f"STEEP {path.name}: {large / small:.2f} times the instructions, at most {path.limit}")
    print(*steep, sep="\n", end="\n" if steep else "", file=sys.stderr)
    return 1 if steep else 0


if __name__ == "__main__":
    sys.exit(main())
