"""How many bytes a list takes, and how many more its building needs, exactly.

What stays.  Each list is built in a process of its own, in which Python takes every object
straight from the C library's `malloc` (PYTHONMALLOC=malloc).  One question to
the allocator then sees it all, Python objects and C nodes alike:

    before = bytes in use
    boxes  = one or more, each of texts of its own; the texts are dropped
    bytes a list = (bytes in use - before) / number of boxes

What a box keeps of its texts is counted (a `frozenset` keeps them all); what it
let go is not.  No noise, no pages, no leftovers of the build.  It needs
`mallinfo2` (glibc 2.33 or newer); elsewhere the question is left out.

What building needs.  A high-water mark is nothing that the C library keeps, but
`tracemalloc` does, to the byte, for everything that comes out of Python's own
allocators.  Our core takes all its memory there (PyMem_RawMalloc), so ours can
be measured, and rivals that call the C library's `malloc` cannot:

    bytes
      |            .--.             peak      at most, above the input
      |      .----'    '--.
      |     /              '-----   result    stays
      |----'                        input     the list of texts, or the buffer of lines
      '-------------------------> time

Should a part of the core ever call `malloc` itself, the mark would miss it: so
the result is held against what the C library's count says it is.
"""

import ctypes
import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks import contestants, data
from benchmarks.contestants import Contestant
from benchmarks.data import FULL, Family
from benchmarks.questions import FAMILIES, DisagreementError, given, label
from benchmarks.results import Result, Row, Spread
from cidrmatch import AllowList
from cidrmatch._core.probe import table_bytes

SIZES = (20, 100_000, FULL)
SIZES_BUILT = (FULL,)
ENTRIES_BUILT = 4_000
OURS = "AllowList"
BUILDS = {"": "AllowList(texts)", "/lines": "AllowList.from_lines(buffer)"}
"""The end of the question's name, and who is asked."""


class Heap(NamedTuple):
    """Bytes while a list is built."""

    given: int
    result: int
    peak: int


class Mallinfo2(ctypes.Structure):
    """The C library's account of its heap, in bytes."""

    _fields_ = (
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")),
    )
    hblkhd: int  # in blocks mapped one by one
    uordblks: int  # in blocks of the heap


def is_possible() -> bool:
    return hasattr(ctypes.CDLL(None), "mallinfo2")


def bytes_in_use() -> int:
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info: Mallinfo2 = mallinfo2()
    return info.hblkhd + info.uordblks


def measure(name: str, lines: bytes) -> int:
    """Build one contestant's boxes in this process, and return the bytes that stay for each."""
    build = next(contestant.build for contestant in contestants.MEMORY if contestant.name == name)
    boxes: list[object] = [None] * max(1, ENTRIES_BUILT // lines.count(b"\n"))
    for _round in range(2):  # whatever is made only once is made in the first round
        boxes[:] = [None] * len(boxes)
        gc.collect()
        before = bytes_in_use()
        for which in range(len(boxes)):
            boxes[which] = build(lines.decode("ascii").split("\n"))
        gc.collect()
        used = bytes_in_use() - before
    return used // len(boxes)


def measure_build(name: str, lines: bytes) -> Heap:
    """Build one contestant's box in this process, and watch the heap meanwhile."""
    contestant = _builder(name)
    contestant.build(given(contestant, lines))  # whatever is made only once is made here
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    taken = given(contestant, lines)
    with_input, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    box = contestant.build(taken)
    _, peak = tracemalloc.get_traced_memory()
    del taken
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    del box
    return Heap(with_input - before, after - before, peak - with_input)


def _builder(name: str) -> Contestant:
    return next(contestant for contestant in contestants.BUILD if contestant.name == name)


def measure_apart(name: str, texts: Sequence[str]) -> int:
    """The bytes that stay, counted in a new process."""
    (used,) = _apart("--stays", name, texts)
    return used


def measure_build_apart(name: str, texts: Sequence[str]) -> Heap:
    """The bytes while building, counted in a new process."""
    return Heap(*_apart("--build", name, texts))


def _apart(what: str, name: str, texts: Sequence[str]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", what, name],
        input="\n".join(texts).encode("ascii"),
        env=os.environ | {"PYTHONMALLOC": "malloc"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


# --- in the form of all other results ----------------------------------------


def results(sizes: Sequence[int] = SIZES, only: str = "") -> Iterator[Result]:
    """One result for each family and size."""
    if not is_possible():
        return
    for family in FAMILIES:
        for size in SIZES:
            if size in sizes and only in f"memory/{family}/{label(size)}":
                yield _result(family, size)
    for family in FAMILIES:
        for end, name in BUILDS.items():
            for size in SIZES_BUILT:
                question = f"memory/build/{family}/{label(size)}{end}"
                if size in sizes and only in question and _builder(name).is_possible:
                    yield _build_result(question, name, family, size)


def _result(family: Family, size: int) -> Result:
    texts = data.prefixes(family, size)
    used = {who.name: measure_apart(who.name, texts) for who in contestants.MEMORY}
    rows = [
        Row(
            who.name,
            who.role,
            Spread.of([used[who.name]]),
            to_floor=Spread.of([used[who.name] / used[contestants.MEMORY[0].name]]),
            to_pytricia=Spread.of([used[who.name] / used["pytricia"]]),
        )
        for who in contestants.MEMORY
    ]
    # What a check reads of it; the rest are the entries, for `match`.  Smaller than the whole, so no rival's loss.
    tables = table_bytes(AllowList(texts))
    of_floor, of_pytricia = (Spread.of([tables / used[name]]) for name in (contestants.MEMORY[0].name, "pytricia"))
    rows.insert(2, Row("AllowList, its tables alone", "part", Spread.of([tables]), of_floor, of_pytricia))
    name = f"memory/{family}/{label(size)}"
    return Result(name, "bytes a list", len(texts), data.source(size), rounds=1, per_pass=1, rows=rows)


def _build_result(question: str, name: str, family: Family, size: int) -> Result:
    """The peak, with the result as its floor."""
    texts = data.prefixes(family, size)
    heap = measure_build_apart(name, texts)
    counted = measure_apart(OURS, texts)
    if abs(heap.result - counted) > counted / 20:
        raise DisagreementError(f"{question}: {heap.result} bytes went through Python, {counted} are in use")
    rows = [
        Row("the input", "empty", Spread.of([heap.given]), None, None),
        Row("the result", "floor", Spread.of([heap.result]), Spread.of([1.0]), None),
        Row("above the input, at most", "ours", Spread.of([heap.peak]), Spread.of([heap.peak / heap.result]), None),
    ]
    return Result(
        question, "bytes, with the result as the floor", len(texts), data.source(size), rounds=1, per_pass=1, rows=rows
    )


def main(what: str, name: str) -> None:
    """The child: read a list, one text a line, and print what was counted."""
    lines = sys.stdin.buffer.read()
    print(*(measure_build(name, lines) if what == "--build" else [measure(name, lines)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
