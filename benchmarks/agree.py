"""Do several runs agree?  A ratio that one run found and the next does not is weather, not a result.

    python -m benchmarks.agree A.json B.json C.json

One line for each row of ours that has a ratio to the floor: the ratio in each
run, and by how much the largest is above the smallest.  More than 15 %, or a row
that a run does not have, is marked and makes the exit status 1.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Run, load

LIMIT = 0.15

Ratios = dict[tuple[str, str], float]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agree", description="Compare the ratios of some runs.")
    parser.add_argument("first", metavar="RUN.json", type=Path)
    parser.add_argument("others", metavar="RUN.json", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    runs = [ratios(load(path)) for path in (options.first, *options.others)]
    rows = list(dict.fromkeys(key for run in runs for key in run))
    apart = sum(not _show(question, name, [run.get((question, name)) for run in runs]) for question, name in rows)
    print(f"{len(rows) - apart} of {len(rows)} rows agree within {LIMIT:.0%}")
    return 1 if apart or not rows else 0


def ratios(run: Run) -> Ratios:
    """Every row of ours that has a floor."""
    return {
        (result.name, row.name): row.to_floor.median
        for result in run.results
        for row in result.rows
        if row.role == "ours" and row.to_floor
    }


def difference(found: Sequence[float]) -> float:
    """By how much the largest is above the smallest, as a share of the smallest."""
    return max(found) / min(found) - 1


def _show(question: str, name: str, found: Sequence[float | None]) -> bool:
    """Print one row, and tell whether it agrees."""
    there = [ratio for ratio in found if ratio is not None]
    is_within = len(there) == len(found) and difference(there) <= LIMIT
    cells = "".join("      none" if ratio is None else f"{ratio:>9.2f}x" for ratio in found)
    print(f"{' ' if is_within else '!'} {question:<36}{name:<30}{cells}{difference(there):>8.1%}")
    return is_within


if __name__ == "__main__":
    sys.exit(main())
