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
Found = Sequence[float | None]  # a row's ratio in each run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agree", description="Compare the ratios of some runs.")
    parser.add_argument("first", metavar="RUN.json", type=Path)
    parser.add_argument("others", metavar="RUN.json", type=Path, nargs="+")
    options = parser.parse_args(arguments)
    rows = compared([load(path) for path in (options.first, *options.others)])
    for (question, name), found in rows.items():
        print(_line(question, name, found))
    print(verdict(rows))
    return 0 if rows and all(map(agrees, rows.values())) else 1


def compared(runs: Sequence[Run]) -> dict[tuple[str, str], Found]:
    """Every row of ours that has a floor, with its ratio in each run."""
    found = [ratios(run) for run in runs]
    return {key: [each.get(key) for each in found] for key in dict.fromkeys(key for each in found for key in each)}


def verdict(rows: dict[tuple[str, str], Found]) -> str:
    return f"{sum(map(agrees, rows.values()))} of {len(rows)} rows agree within {LIMIT:.0%}"


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


def agrees(found: Found) -> bool:
    there = _there(found)
    return len(there) == len(found) and difference(there) <= LIMIT


def _there(found: Found) -> list[float]:
    return [ratio for ratio in found if ratio is not None]


def _line(question: str, name: str, found: Found) -> str:
    cells = "".join("      none" if ratio is None else f"{ratio:>9.2f}x" for ratio in found)
    return f"{' ' if agrees(found) else '!'} {question:<36}{name:<30}{cells}{difference(_there(found)):>8.1%}"


if __name__ == "__main__":
    sys.exit(main())
