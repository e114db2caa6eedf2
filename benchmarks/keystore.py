"""A million keys with a list each: speed, memory, opening, sharing, changing and swapping.

    python -m benchmarks.keystore [--keys N] [--json PATH]
    python -m benchmarks.keystore --report       the results in results/keys into docs/performance-keys.md

    check    by turns with `dict.get` on the same keys, answers compared first    ratios within a round
    memory   bytes a key in the block; what the process grew by while building
    open     a snapshot of all keys, without `verify` and with it
    share    eight processes that ask one snapshot: the memory of all, by PSS, against that of one
    change   one key of an engine: from the call until `allows` says the new answer
    swap     two processes follow a file that is written again and again, and time their checks

Keys and addresses are drawn at random, so a check meets its key in no near
cache, as `dict.get` does.  The clock is the thread's own where a loop is timed.
"""

import argparse
import gc
import json
import multiprocessing
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import keys, machine, ways
from benchmarks.contestants import Contestant
from benchmarks.keys import ENTRIES, Pair
from benchmarks.paired import Patience, race
from benchmarks.questions import PASS, Side
from benchmarks.report import fill
from benchmarks.ways import Way
from cidrmatch import Engine, KeyStore
from cidrmatch._keys.store import Builder

ROUNDS = 60
SHARERS = 8
CHANGES = 2_000
RESULTS = Path(__file__).parent / "results" / "keys"
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance-keys.md"
SHOWN_FACTS = ("date", "commit", "cpu", "os", "python", "compiler", "load")
Figures = dict[str, float]


def key_of(number: int) -> str:
    return f"key_live_{number:08x}"


@cache
def pool() -> list[str]:
    """Addresses to make lists of; every one is an entry of its own."""
    rng = random.Random(1)
    return [".".join(map(str, rng.randbytes(4))) for _ in range(200_000)]


def list_of(number: int, entries: int = ENTRIES) -> list[str]:
    """The list of a key: a part of the pool, at no particular place."""
    start = number * 7_919 % (len(pool()) - entries)
    return pool()[start : start + entries]


def pairs(count: int, entries: int = ENTRIES) -> Iterator[tuple[str, list[str]]]:
    for number in range(count):
        yield key_of(number), list_of(number, entries)


# -- Building -----------------------------------------------------------------


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def build(count: int) -> tuple[KeyStore, Figures]:
    """Build from lists of text that are there, parsing included."""
    made = list(pairs(count))
    before = peak_bytes()
    gc.collect()
    began = time.process_time()
    store = KeyStore(made)
    elapsed = time.process_time() - began
    size = store.block.nbytes
    return store, {
        "bytes a key": size / count,
        "build, parsing included, us a key": elapsed / count * 1e6,
        "peak while building / block": (peak_bytes() - before) / size,
    }


# -- Checks -------------------------------------------------------------------


def ask_get(get: Callable[[str], object], items: Iterable[Pair]) -> None:
    for key, _address in items:
        get(key)


def ask_many(ask: Callable[[list[str], list[str]], object], items: tuple[list[str], list[str]]) -> None:
    ask(*items)


def checks(store: KeyStore, engine: Engine, count: int) -> Figures:
    """By turns, ratios within a round."""
    rng = random.Random(2)
    known = [key_of(number) for number in range(count)]
    found = {key: number for number, key in enumerate(known)}

    def lists(_turn: int) -> tuple[list[str], list[str]]:
        return rng.choices(known, k=PASS), "\n".join(rng.choices(pool(), k=PASS)).split("\n")

    def items(turn: int) -> list[Pair]:
        return list(zip(*lists(turn), strict=True))

    times = timed(
        [
            side_of("dict.get(key)", found.get, ask_get, items),
            side_of("store.check(key, ip)", store.check, keys.ask_call, items),
            side_of("store.allows(key, ip)", store.allows, keys.ask_call, items),
            side_of("store.allows_many(keys, ips)", store.allows_many, ask_many, lists),
            side_of("engine.check(key, ip)", engine.check, keys.ask_call, items),
            side_of("engine.allows(key, ip)", engine.allows, keys.ask_call, items),
            side_of("engine.allows_many(keys, ips)", engine.allows_many, ask_many, lists),
        ],
        ROUNDS,
    )
    figures = {f"{name}, ns": statistics.median(mine) for name, mine in times.items()}
    return figures | {f"{name} / dict.get": ratio(mine, times["dict.get(key)"]) for name, mine in times.items()}


def few_checks() -> Figures:
    """A thousand keys, put one by one, warm: two of those whom `benchmarks.paired` asks."""
    wanted = ("d[key]", "engine.allows(key, ip)")
    question = keys.checks()[0]
    times = timed([side for side in question.prepare() if side.contestant.name in wanted], 4 * ROUNDS)
    figures = {f"{name}, {question.size:,} keys, ns": statistics.median(times[name]) for name in wanted}
    floor, ours = (times[name] for name in wanted)
    return figures | {f"engine.allows / d[key], {question.size:,} keys": ratio(ours, floor)}


def side_of(name: str, box: object, loop: ways.Loop, fresh: Callable[[int], Any]) -> Side:
    """A contestant whose box is there already."""
    return Side(Contestant(name, lambda _entries: box, Way(loop)), box, ways.own_copy(loop), fresh, PASS)


def timed(sides: Sequence[Side], rounds: int) -> dict[str, list[float]]:
    samples = race(sides, Patience(seconds=0, min_rounds=rounds, max_rounds=rounds))
    return {side.contestant.name: mine for side, mine in zip(sides, samples, strict=True)}


def ratio(mine: Sequence[float], floor: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(mine, floor, strict=True))


def compare(store: KeyStore, engine: Engine, count: int) -> None:
    """Every way gives the same answers, and half of them are yes."""
    rng = random.Random(3)
    numbers = rng.sample(range(min(count, 2_000)), 50)
    for number in numbers:
        for address in [*list_of(number)[:5], "192.0.2.1"]:
            key = key_of(number)
            expected = address in list_of(number)
            answers = {store.allows(key, address), engine.allows(key, address), engine.check(key, address).allowed}
            answers.add(bool(store.allows_many([key], [address])[0]))
            if answers != {expected}:
                raise AssertionError(f"{key} from {address}: {answers}, not {expected}")


# -- The file -----------------------------------------------------------------


def opening(path: Path) -> Figures:
    figures = {}
    for verify in (False, True):
        times = []
        for _ in range(5 if verify else 50):
            began = time.perf_counter()
            Engine.open(path, verify=verify)
            times.append(time.perf_counter() - began)
        figures[f"open, verify={verify}, ms"] = statistics.median(times) * 1e3
    return figures


def proportional_bytes(name: str) -> int:
    """What a process has of the snapshot, shared pages divided by those who share them."""
    total, is_ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            is_ours = line.endswith(name)
        elif is_ours and line.startswith("Pss:"):
            total += int(line.split()[1]) * 1024
    return total


def share(path: Path, count: int) -> Figures:
    """Each touches every page, then all say what they have, at the same time."""

    def sharer(together: Any, queue: Any) -> None:
        engine = Engine.open(path, verify=False)
        for number in range(0, count, 7):
            engine.allows(key_of(number), "192.0.2.1")
        together.wait()
        queue.put(proportional_bytes(path.name))
        together.wait()

    context = multiprocessing.get_context("fork")
    sums = {}
    for processes in (1, SHARERS):
        together, queue = context.Barrier(processes), context.Queue()
        children = [context.Process(target=sharer, args=(together, queue)) for _ in range(processes)]
        for child in children:
            child.start()
        sums[processes] = sum(queue.get() for _ in children)
        for child in children:
            child.join()
    return {"one process, MiB": sums[1] / 2**20, f"{SHARERS} processes / one": sums[SHARERS] / sums[1]}


# -- Changes ------------------------------------------------------------------


def change(engine: Engine, count: int) -> Figures:
    rng = random.Random(4)
    times = []
    for _ in range(CHANGES):
        key, address = key_of(rng.randrange(count)), f"11.{'.'.join(map(str, rng.randbytes(3)))}"
        began = time.perf_counter_ns()
        engine.put_key(key, [address])
        is_there = engine.allows(key, address)
        times.append((time.perf_counter_ns() - began) / 1e3)
        assert is_there
    times.sort()
    return {"change until visible, us": times[len(times) // 2], "change, 99 %, us": times[len(times) * 99 // 100]}


def swap(directory: Path, swaps: int) -> Figures:
    """The file of generation g allows g and nothing else, for every key: a mixed answer would show."""
    path = directory / "swap.snap"
    context = multiprocessing.get_context("fork")
    writer = Engine()

    def write() -> None:
        with writer.transaction() as transaction:
            for number in range(200):
                transaction.put_key(key_of(number), [address_of(writer.version + 1)])
        writer.save(path)

    def reader(is_over: Any, queue: Any) -> None:
        engine = Engine.open(path)
        stop = engine.follow(0.0005)
        times, wrong, rng = [], 0, random.Random(os.getpid())
        while not is_over.is_set():
            key = key_of(rng.randrange(200))
            began = time.perf_counter_ns()
            decision = engine.check(key, address_of(engine.version))
            times.append(time.perf_counter_ns() - began)
            wrong += decision.allowed is not (decision.address == address_of(decision.version))
        stop()
        times.sort()
        queue.put((times[len(times) * 999 // 1000], wrong, engine.version, len(times)))

    figures: Figures = {}
    for name, goes in (("idle", 0), ("swapping", swaps)):
        write()
        is_over, queue = context.Event(), context.Queue()
        readers = [context.Process(target=reader, args=(is_over, queue)) for _ in range(2)]
        for process in readers:
            process.start()
        if not goes:
            time.sleep(3)
        for _ in range(goes):
            write()
        is_over.set()
        found = [queue.get() for _ in readers]
        for process in readers:
            process.join()
        figures[f"check, 99.9 %, {name}, us"] = max(slow for slow, *_ in found) / 1e3
        figures[f"wrong answers, {name}"] = sum(wrong for _, wrong, *_ in found)
        figures[f"checks, {name}"] = sum(times for *_, times in found)
    figures["swaps"] = swaps
    return figures


def address_of(generation: int) -> str:
    return f"10.{generation >> 16 & 255}.{generation >> 8 & 255}.{generation & 255}"


# -- All of it ----------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keystore", description="Measure a million keys.")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--swaps", type=int, default=10_000)
    parser.add_argument("--json", metavar="PATH", type=Path, default=RESULTS / "scratch.tmp.json")
    parser.add_argument("--report", action="store_true", help="fill docs/performance-keys.md from the results")
    options = parser.parse_args(arguments)
    if options.report:
        return fill_document()
    figures: dict[str, Figures] = {}

    def report(name: str, found: Figures) -> None:
        figures[name] = found
        print(f"{name}, {options.keys:,} keys")
        for what, value in found.items():
            print(f"  {what:<44}{value:>14,.2f}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        store, found = build(options.keys)
        report("build", found)
        engine = engine_of(store)
        compare(store, engine, options.keys)
        report("check", {**checks(store, engine, options.keys), **few_checks()})
        began = time.perf_counter()
        engine.save(directory / "keys.snap")
        report("save", {"seconds": time.perf_counter() - began})
        report("open", opening(directory / "keys.snap"))
        report("share", share(directory / "keys.snap", options.keys))
        report("change", change(engine, options.keys))
        del engine, store
        if options.swaps:
            report("swap", swap(directory, options.swaps))
    facts = machine.facts(["python", "-m", "benchmarks.keystore", *(arguments or sys.argv[1:])])
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps({"facts": facts, "keys": options.keys, "figures": figures}, indent=1) + "\n")
    print("results  ", options.json)
    return 0


def fill_document() -> int:
    """Put the results that are kept into the document, a column each."""
    runs = sorted((json.loads(path.read_text()) for path in RESULTS.glob("*-*.json")), key=lambda run: run["keys"])
    heads = [f"{run['keys']:,} keys" for run in runs]
    lines = ["", f"| | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(runs)}"]
    for name, figures in runs[0]["figures"].items():
        lines.append(f"| **{name}** |{' |' * len(runs)}")
        for what in figures:
            found = [run["figures"].get(name, {}).get(what) for run in runs]
            lines.append(f"| {what} | {' | '.join('' if value is None else f'{value:,.2f}' for value in found)} |")
    for run in runs:
        facts = "; ".join(f"{name} {value}" for name, value in run["facts"].items() if name in SHOWN_FACTS)
        lines += ["", f"{run['keys']:,} keys with {ENTRIES} IPv4 entries each: {facts}."]
    fill(DOCUMENT, [*lines, ""])
    return 0


def engine_of(store: KeyStore) -> Engine:
    """An engine that has these keys, as if they had been put and folded."""
    from cidrmatch._keys import View

    engine = Engine()
    builder = Builder()
    builder.copy(store, ())
    engine.view = View(builder.build(generation=0), {}, {}, None, 0, engine.view.settings)
    return engine


if __name__ == "__main__":
    sys.exit(main())
