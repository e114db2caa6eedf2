"""The paired runner: everybody who answers a question, in one process, by turns.

    python -m benchmarks.paired [--quick] [--only SUBSTRING] [--json PATH]

    round 1   A C D B      each letter is one pass: thousands of addresses in one
    round 2   C B A D      Python loop, on objects made new for that pass alone
    round 3   D A C B      (making them is not timed)
    ...

Two separate runs make two weathers; here a gust hits neighbours alike, and the
order changes (by a seed), so that nobody always follows the same one.  Ratios
are taken within a round; their median is reported, with the 5th and the 95th
percentile.
The clock is the thread's own: it stands still while another program has the
core, and a pass on a busy machine is not four milliseconds longer for it.
Texts hash alike in every run (PYTHONHASHSEED=0), for where a set's members collide
is luck that a whole run keeps.
Answers are compared before any clock starts.  The garbage collector is off
while clocks run.  Nothing is subtracted: the empty loop is a contestant.

How long: a question goes on for some seconds and at least some rounds.  A whole
run takes a quarter of an hour; `--quick` leaves out the long lists and takes
one or two.  The JSON of a whole run is named after its day and commit, that of
any other is `results/scratch.tmp.json`.
"""

import argparse
import gc
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter, thread_time_ns

from benchmarks import data, keys, machine, memory, questions
from benchmarks.questions import Question, Side
from benchmarks.results import Result, Row, Run, Spread, table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Patience:
    """How long to go on with one question."""

    seconds: float
    min_rounds: int
    max_rounds: int = 400


QUICK = Patience(seconds=0.6, min_rounds=5)
THOROUGH = Patience(seconds=2.0, min_rounds=7)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    sizes = (20, 1_000) if options.quick else questions.SIZES
    patience = QUICK if options.quick else THOROUGH
    asked = [*questions.everything(sizes), *keys.checks()[: 1 if options.quick else None]]
    chosen = [question for question in asked if options.only in question.name]
    results: list[Result] = []
    for result in _results(chosen, patience, [size for size in memory.SIZES if size in sizes], options.only):
        print(*table(result), "", sep="\n", flush=True)
        results.append(result)
    if not results:
        print(f"no question has {options.only!r} in its name", file=sys.stderr)
        return 2
    run = Run(machine.facts(["python", "-m", "benchmarks.paired", *(arguments or sys.argv[1:])]), results)
    path = options.json or RESULTS / _file_name(run, is_whole=not (options.quick or options.only))
    run.save(path)
    _print_end(run, path)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paired", description="Measure cidrmatch and its rivals by turns."
    )
    parser.add_argument("--quick", action="store_true", help="short lists and few rounds")
    parser.add_argument("--only", metavar="SUBSTRING", default="", help="only questions with this in their name")
    parser.add_argument("--json", metavar="PATH", type=Path, help="where to write the results")
    return parser


def _results(
    chosen: Sequence[Question], patience: Patience, memory_sizes: Sequence[int], only: str
) -> Iterator[Result]:
    for question in chosen:
        yield _result(question, patience)
    yield from memory.results(memory_sizes, only)


def _result(question: Question, patience: Patience) -> Result:
    sides = question.prepare()
    samples = race(
        sides,
        replace(
            patience,
            seconds=patience.seconds * question.share,
            min_rounds=patience.min_rounds + question.more_rounds,
            max_rounds=round(patience.max_rounds * max(1.0, question.share)),
        ),
    )
    return Result(
        question.name,
        f"ns an {question.unit}",
        len(question.entries()),
        data.source(question.size),
        rounds=len(samples[0]),
        per_pass=max(side.per_pass for side in sides),
        rows=_rows(sides, samples),
    )


# --- the race ----------------------------------------------------------------


def race(sides: Sequence[Side], patience: Patience) -> list[list[float]]:
    """For each side, its nanoseconds an item, one sample a round."""
    samples: list[list[float]] = [[] for _ in sides]
    with _no_collector():
        _round(sides, 0)
        until = perf_counter() + patience.seconds
        for turn in range(1, patience.max_rounds + 1):
            for which, sample in _round(sides, turn):
                samples[which].append(sample)
            if turn >= patience.min_rounds and perf_counter() >= until:
                break
    return samples


def _round(sides: Sequence[Side], turn: int) -> list[tuple[int, float]]:
    order = random.Random(turn).sample(range(len(sides)), len(sides))
    return [(which, _pass_ns(sides[which], turn)) for which in order]


def _pass_ns(side: Side, turn: int) -> float:
    items = side.ready(turn)
    began = thread_time_ns()
    kept = side.run(items)
    elapsed = thread_time_ns() - began
    del kept  # only now: taking down what was built is not timed
    return elapsed / side.per_pass


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _rows(sides: Sequence[Side], samples: Sequence[Sequence[float]]) -> list[Row]:
    floor = next((mine for side, mine in zip(sides, samples, strict=True) if side.contestant.role == "floor"), None)
    rival = next((mine for side, mine in zip(sides, samples, strict=True) if side.contestant.name == "pytricia"), None)
    return [
        Row(side.contestant.name, side.contestant.role, Spread.of(mine), _ratio(mine, floor), _ratio(mine, rival))
        for side, mine in zip(sides, samples, strict=True)
    ]


def _ratio(mine: Sequence[float], other: Sequence[float] | None) -> Spread | None:
    if other is None:
        return None
    return Spread.of(a / b for a, b in zip(mine, other, strict=True))


# --- the end -----------------------------------------------------------------


def _file_name(run: Run, *, is_whole: bool) -> str:
    """`2026-01-31T2359-0123456789ab.json`: sorted by name is sorted by age."""
    minute = run.facts["date"][:16].replace(":", "")
    return f"{minute}-{run.facts['commit']}.json" if is_whole else "scratch.tmp.json"


def _print_end(run: Run, path: Path) -> None:
    print(*(f"{key:<9} {value}" for key, value in run.facts.items()), sep="\n")
    print("results  ", path)
    for result in run.results:
        for row in result.losses():
            print(f"faster than ours: {row.name} in {result.name}")


def _hash_alike() -> None:
    """Begin again with the hashes of texts that every run has."""
    if sys.flags.hash_randomization:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "benchmarks.paired", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )


if __name__ == "__main__":
    _hash_alike()
    sys.exit(main())
