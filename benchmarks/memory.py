"""How many bytes a list takes, exactly.

Each list is built in a process of its own, in which Python takes every object
straight from the C library's `malloc` (PYTHONMALLOC=malloc).  One question to
the allocator then sees it all, Python objects and C nodes alike:

    before = bytes in use
    boxes  = one or more, each of texts of its own; the texts are dropped
    bytes a list = (bytes in use - before) / number of boxes

What a box keeps of its texts is counted (a `frozenset` keeps them all); what it
let go is not.  No noise, no pages, no leftovers of the build.  It needs
`mallinfo2` (glibc 2.33 or newer); elsewhere the question is left out.
"""

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import contestants, data
from benchmarks.data import FULL, Family
from benchmarks.questions import FAMILIES, label
from benchmarks.results import Result, Row, Spread

SIZES = (20, 100_000, FULL)
ENTRIES_BUILT = 4_000


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


def measure_apart(name: str, texts: Sequence[str]) -> int:
    """The same in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", name],
        input="\n".join(texts).encode("ascii"),
        env=os.environ | {"PYTHONMALLOC": "malloc"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)


def results(sizes: Sequence[int] = SIZES, only: str = "") -> list[Result]:
    """One result for each family and size, in the form of all the others."""
    asked = [(family, size) for family in FAMILIES for size in sizes if only in f"memory/{family}/{label(size)}"]
    return [_result(family, size) for family, size in asked if is_possible()]


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
    name = f"memory/{family}/{label(size)}"
    return Result(name, "bytes a list", len(texts), data.source(size), rounds=1, per_pass=1, rows=rows)


if __name__ == "__main__":
    print(measure(sys.argv[1], sys.stdin.buffer.read()))
