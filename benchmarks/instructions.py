"""The guard that noise cannot fool: how many instructions the core takes on each hot path.

    python -m benchmarks.instructions             compare with instructions.json; fails if a path got slower
    python -m benchmarks.instructions --update    write instructions.json, when the new counts are what we want

On a shared machine a clock says something else each time; a count does not.
All paths run in one process under valgrind's callgrind, on data out of a seed.
Each runs twice, the second time between two calls of `getppid`, which nobody
else calls: there callgrind writes down what it has counted and starts anew
(`--dump-before`).

    | import, build box 1, run | run   | build box 2, run | run   | ...
                          getppid  getppid           getppid  getppid
      profile.1                profile.2   profile.3      profile.4
      thrown away              path 1      thrown away    path 2

Two numbers an operation, of the compiled core alone, so that the patch version
of CPython does not matter:

    instructions   executed inside the core's shared objects
    calls          out of them, into CPython and the C library: work that moves there
                   leaves our instructions, and only the calls tell

Counts belong to a toolchain: CPython's ABI and the flags it was built with, the
compiler, Cython, the vectors that a batch can choose from.  With another one
there is nothing to compare: the counts are printed and nothing fails, for a new
compiler is no slower commit.  Caches and wrong guesses are not seen here;
`make bench` sees them.
"""

import argparse
import gc
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import data, machine, ways
from benchmarks.data import Family
from cidrmatch import AllowList, Engine, KeyStore, Policy, parse_address
from cidrmatch._core.probe import freeze_as
from cidrmatch._keys import store
from cidrmatch.client import TrustedProxies

COMMITTED = Path(__file__).with_suffix(".json")
TOLERANCE = 0.02
CORE = re.compile(r"/cidrmatch/(_core|_keys|client)/")  # stands in the path of each of our shared objects

SIZES = {"20": 20, "1k": 1_000, "100k": 100_000}
FAMILIES: tuple[Family, ...] = ("v4", "v6")
ADDRESSES = 1_000
KEYS, ENTRIES_A_KEY = 1_000, 5
LISTS_BUILT = 5


# --- the paths ---------------------------------------------------------------


class Work(NamedTuple):
    """What a path runs on; made outside valgrind, where it takes no time."""

    entries: Any
    items: Any
    operations: int  # in a run over the items


class HotPath(NamedTuple):
    """One path, named as the questions of `make bench` are."""

    name: str
    work: Callable[[], Work]
    build: Callable[[Any], Any]  # from the entries to the box
    loop: ways.Loop  # asks the box for the items, and is counted


def texts(family: Family, size: str) -> Work:
    entries = data.prefixes(family, SIZES[size])
    return Work(entries, data.addresses(entries, ADDRESSES), ADDRESSES)


def packed(family: Family, size: str) -> Work:
    work = texts(family, size)
    return work._replace(items=b"".join(map(data.pack, work.items)))


def routes(family: Family) -> Work:
    """Whole /24s or /48s, as in an Internet table, whose lists have forms of their own; of IPv6 close together."""
    rng = random.Random("routes")
    if family == "v4":
        numbers = rng.sample(range(1 << 16, 224 << 16), SIZES["100k"])
        entries = [f"{number >> 16}.{number >> 8 & 255}.{number & 255}.0/24" for number in numbers]
    else:
        entries = [f"2001:db8:{number:x}::/48" for number in rng.sample(range(1 << 16), 20_000)]
    return Work(entries, data.addresses(entries, ADDRESSES), ADDRESSES)


def keys() -> Work:
    rng = random.Random("keys")
    prefixes = data.prefixes("v4", SIZES["1k"])
    lists = {f"key_live_{number:08x}": rng.sample(prefixes, ENTRIES_A_KEY) for number in range(KEYS)}
    asked = [(key, rng.choice(data.addresses(entries, 2))) for key, entries in lists.items()]
    return Work(lists, asked, KEYS)


def requests() -> Work:
    """Headers of requests through two proxies, as a server hands them over."""
    chains = (f"{client}, 10.0.0.8".encode("ascii") for client in data.addresses(data.prefixes("v4", 20), ADDRESSES))
    others = [(f"x-header-{number}".encode("ascii"), b"value") for number in range(11)]
    return Work(["10.0.0.0/8"], [[*others, (b"x-forwarded-for", chain)] for chain in chains], ADDRESSES)


def built(family: Family, order: Callable[[Sequence[str]], list[str]]) -> Work:
    entries = order(data.prefixes(family, SIZES["1k"]))
    return Work(None, [entries] * LISTS_BUILT, len(entries) * LISTS_BUILT)


def packed_box(family: Family, entries: Sequence[str]) -> Callable[[Any], bytes]:
    return partial(AllowList(entries).contains_many, family=int(family[1]))


def engine_of(lists: Mapping[str, Sequence[str]]) -> Engine:
    engine = Engine(Policy())
    engine.put_keys(lists.items())
    return engine


def ask_pairs(ask: Callable[[str, str], object], pairs: Iterable[tuple[str, str]]) -> None:
    for key, address in pairs:
        ask(key, address)


def ask_requests(find: Callable[[str, Any], object], requests: Iterable[Any]) -> None:
    for headers in requests:
        find("10.0.0.7", headers)


def ask_lists(ask: Callable[[list[str], list[str]], object], pairs: Sequence[tuple[str, str]]) -> None:
    ask([key for key, _ in pairs], [address for _, address in pairs])


def hot_paths() -> Iterator[HotPath]:
    for family in FAMILIES:
        for size in SIZES:
            yield HotPath(f"lookup/text/{family}/{size}", partial(texts, family, size), AllowList, ways.ask_in)
        yield HotPath(f"lookup/text/{family}/routes", partial(routes, family), AllowList, ways.ask_in)
    short = partial(texts, "v4", "20")
    yield HotPath("lookup/method/v4/20", short, lambda entries: AllowList(entries).contains, ways.ask_call)
    yield HotPath("match/text/v4/20", short, lambda entries: AllowList(entries).match, ways.ask_call)
    for family in FAMILIES:
        table = partial(routes, family)
        yield HotPath(
            f"match/text/{family}/routes", table, lambda entries: freeze_as(entries, "map").match, ways.ask_call
        )
    for family in FAMILIES:
        short = partial(texts, family, "20")
        many = partial(packed_box, family)
        yield HotPath(f"batch/text/{family}/20", short, lambda texts: AllowList(texts).contains_many, ways.call_once)
        yield HotPath(f"batch/packed/{family}/100k", partial(packed, family, "100k"), many, ways.call_once)
        yield HotPath(f"parse/{family}", short, lambda _entries: parse_address, ways.ask_call)
    yield HotPath("check/v4/1k keys/allows", keys, lambda lists: engine_of(lists).allows, ask_pairs)
    yield HotPath("check/v4/1k keys/check", keys, lambda lists: engine_of(lists).check, ask_pairs)
    yield HotPath("store/v4/1k keys/allows", keys, lambda lists: KeyStore(lists).allows, ask_pairs)
    yield HotPath("store/v4/1k keys/allows_many", keys, lambda lists: KeyStore(lists).allows_many, ask_lists)
    yield HotPath("client/proxies", requests, lambda entries: TrustedProxies(entries).find, ask_requests)
    for family in FAMILIES:
        for name, order in (("sorted", list), ("shuffled", data.shuffled)):
            work = partial(built, family, order)
            yield HotPath(f"build/{name}/{family}/1k", work, lambda _entries: AllowList, ways.build_each)


# --- counting ----------------------------------------------------------------


class Count(NamedTuple):
    """What one operation takes, inside the core and out of it."""

    instructions: float
    calls: float


Counts = dict[str, Count]


def run_paths() -> None:
    """The child's part, under valgrind: between the two marks of a path lies one run, and nothing else."""
    gc.disable()
    for path, (entries, items) in zip(hot_paths(), pickle.load(sys.stdin.buffer), strict=True):
        box = path.build(entries)
        path.loop(box, items)  # whatever happens only once has happened
        os.getppid()
        path.loop(box, items)
        os.getppid()


def count_all() -> Counts:
    """Run all paths in a child, and read what callgrind has written between the marks."""
    paths = list(hot_paths())
    works = [path.work() for path in paths]
    stdin = pickle.dumps([(work.entries, work.items) for work in works])
    profiles = run_marked("from benchmarks import instructions; instructions.run_paths()", len(paths), stdin)
    counts = {}
    for path, work, profile in zip(paths, works, profiles, strict=True):
        instructions, calls = read_profile(profile)
        counts[path.name] = Count(round(instructions / work.operations, 1), round(calls / work.operations, 1))
    return counts


def run_marked(program: str, runs: int, stdin: bytes = b"") -> list[list[str]]:
    """Run a program under callgrind; give the lines of the profile of each run between two marks."""
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--dump-before=getppid"]
        readable = ["--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={folder}/profile"]
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        words = [*valgrind, *readable, sys.executable, "-c", program]
        subprocess.run(words, input=stdin, env=environment, check=True)
        if len(list(Path(folder).glob("profile.*"))) != 2 * runs:
            raise RuntimeError("callgrind did not see two marks for each run")
        profiles = (Path(folder, f"profile.{2 * run}") for run in range(1, runs + 1))
        return [profile.read_text(encoding="utf-8").splitlines() for profile in profiles]


def read_profile(lines: Iterable[str]) -> tuple[int, int]:
    """Add up the core's own instructions and its calls to others.

    ob=.../cidrmatch/_core/address.so   an object; its functions follow
    fn=find_range4
    57 1000                             instructions of source line 57
    cob=/lib/libc.so.6                  a call goes there; without it, to the same object
    cfn=memcpy
    calls=200 0                         how many,
    58 2400                             and what the callee took: not ours
    """
    instructions = calls = 0
    is_ours = leaves = False
    lines = iter(lines)
    for line in lines:
        if line.startswith("ob="):
            is_ours = CORE.search(line) is not None
        elif line.startswith("cob="):
            leaves = CORE.search(line) is None
        elif line.startswith("calls="):
            next(lines)
            if is_ours and leaves:
                calls += int(line.removeprefix("calls=").split()[0])
            leaves = False
        elif is_ours and line[:1].isdigit():
            instructions += int(line.split()[1])
    return instructions, calls


# --- comparing ---------------------------------------------------------------


def toolchain() -> dict[str, str]:
    """All that changes the counts and is no change of ours."""
    core = Path(store.__file__).read_bytes()  # generators name the Cython they come from
    cython = re.search(rb"_cython_(\d+_\d+_\w+)", core)
    flags = str(sysconfig.get_config_var("CFLAGS")).split()
    cpuinfo = Path("/proc/cpuinfo")
    has_avx2 = cpuinfo.exists() and " avx2 " in cpuinfo.read_text(encoding="ascii", errors="replace")
    return {
        "python": str(sysconfig.get_config_var("SOABI")),
        "python_flags": " ".join(flag for flag in flags if flag[:2] in ("-O", "-m", "-f", "-D") and "=/" not in flag),
        "compiler": machine.facts(())["compiler"],
        "cython": cython[1].decode("ascii").replace("_", ".") if cython else "unknown",
        "vectors": "AVX2" if has_avx2 else "those of every processor",
    }


def slower(counts: Counts, committed: Counts) -> Iterator[str]:
    """Name each path that takes more than is committed, with both counts, and each that only one side knows."""
    for name in counts | committed:
        if name not in counts or name not in committed:
            yield f"{name}: {'counted but not committed' if name in counts else 'committed but not counted'}"
            continue
        for what, now, then in zip(Count._fields, counts[name], committed[name], strict=True):
            if now > then * (1 + TOLERANCE):
                yield f"{name}: {now:,.1f} {what} an operation, committed are {then:,.1f}"


def report(counts: Counts, committed: Counts) -> Iterator[str]:
    """A line for each path: its counts, and how far the instructions are from the committed ones."""
    yield f"{'an operation':30}{'instructions':>14}{'calls':>8}{'to committed':>14}"
    for name, count in counts.items():
        change = f"{count.instructions / committed[name].instructions - 1:+.1%}" if name in committed else "-"
        yield f"{name:30}{count.instructions:14,.1f}{count.calls:8,.1f}{change:>14}"


def judge(counts: Counts, here: Mapping[str, str], document: Mapping[str, Any]) -> int:
    """Print the counts; return 1 if better ones of the same toolchain are committed."""
    there = document["toolchain"]
    others = [f"{what}: {here[what]}; committed: {there.get(what)}" for what in here if here[what] != there.get(what)]
    committed = {} if others else {name: Count(**count) for name, count in document["counts"].items()}
    print(*report(counts, committed), sep="\n")
    if others:
        print("Nothing was compared: there are no committed counts of this toolchain.", *others, sep="\n  ")
        return 0
    worse = list(slower(counts, committed))
    for line in worse:
        print("SLOWER", line, file=sys.stderr)
    if not worse and any(slower(committed, counts)):
        print("Something is faster than what is committed; --update makes sure that it stays so.")
    return 1 if worse else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions", description="Count the core's instructions."
    )
    parser.add_argument("--update", action="store_true", help=f"write {COMMITTED.name}: these counts are what we want")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        parser.error("valgrind is not installed")
    here, counts = toolchain(), count_all()
    if options.update:
        named = {name: count._asdict() for name, count in counts.items()}
        COMMITTED.write_text(json.dumps({"toolchain": here, "counts": named}, indent=1) + "\n", encoding="ascii")
    return judge(counts, here, json.loads(COMMITTED.read_text(encoding="ascii")))


if __name__ == "__main__":
    sys.exit(main())
